"""Makes a C table of migrations from numbered SQL files: embed_sql.py OUT NAME FILE..."""
import os
import re
import sys

out, name, *files = sys.argv[1:]
rows = []
for version, path in enumerate(files, 1):
    if not re.search(r'-%04d\.sql$' % version, path):
        sys.exit(f'{path}: version {version} is due here')
    with open(path, encoding='utf-8') as file:
        lines = [line.rstrip('\n') for line in file if line.strip() and not line.startswith('--')]
    text = '\n'.join('\t"' + line.replace('\\', '\\\\').replace('"', '\\"').replace('\t', ' ') + '\\n"' for line in lines)
    rows.append(f'\t{{ {version}, /* {os.path.basename(path)} */\n{text} }},\n')
with open(out, 'w', encoding='utf-8') as file:
    file.write('#include "lib/postgres/pg.h"\n\n'
               f'extern const struct pg_migration {name}[];\nextern const unsigned int {name}_count;\n'
               f'const struct pg_migration {name}[] = {{\n{"".join(rows)}}};\n'
               f'const unsigned int {name}_count = {len(rows)};\n')
