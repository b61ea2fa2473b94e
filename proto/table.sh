#!/bin/sh
# Writes proto_table.c: one row for each protocol folder named.
printf '#include "proto/proto.h"\n\n'
for name; do printf 'extern const struct proto %s_proto;\n' "$name"; done
printf '\nconst struct proto *const proto_table[] = {\n'
for name; do printf '\t&%s_proto,\n' "$name"; done
printf '\tNULL,\n};\n'
