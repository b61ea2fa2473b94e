"""A store of its own in what scripts/cluster has started: a database in ClickHouse and one in PostgreSQL."""
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import uuid

BASE = int(os.environ.get('CLUSTER_PORT', '29100'))
# As scripts/cluster has it: by shard, the URLs of its replicas.
SHARDS = [[f'http://127.0.0.1:{BASE + n}' for n in shard] for shard in
          {'1': [(1, 2, 3)], '2': [(1, 2), (3, 15)], '3': [(1,), (2,), (3,)]}[os.environ.get('CLUSTER_SHARDS', '1')]]
HTTPS = 11  # beside a replica's port
DIR = os.path.abspath(os.environ.get('CLUSTER_DIR', 'run/cluster'))
REPLICAS = len(SHARDS[0])  # of each shard
POSTGRES = f'host=127.0.0.1,127.0.0.1 port={BASE + 4},{BASE + 5} user=millrace target_session_attrs=read-write'
LANES = ('alert', 'asset', 'event', 'flow', 'stats')


def wanted():
    """Whether the tests are to run against it: MILLRACE_STORE=clickhouse."""
    return os.environ.get('MILLRACE_STORE') == 'clickhouse'


class Store:
    def __init__(self):
        self.name = 'test_' + uuid.uuid4().hex[:12]
        self.psql('postgres', f'CREATE DATABASE {self.name}')

    def psql(self, database, sql):
        run = subprocess.run(['psql', '-X', '-q', '-A', '-t', '-F', '\t', '-v', 'ON_ERROR_STOP=1', '-d',
                              f'{POSTGRES} dbname={database}', '-c', sql], capture_output=True, text=True, check=True)
        return [tuple(line.split('\t')) for line in run.stdout.splitlines()]

    def query(self, sql):
        return self.psql(self.name, sql)

    def clickhouse(self, sql, replica=0, shard=0, database=None):
        url = f'{SHARDS[shard][replica]}/?' + urllib.parse.urlencode({'database': database or self.name})
        with urllib.request.urlopen(url, sql.encode(), timeout=60) as answer:
            return answer.read().decode()

    def settings(self, order=SHARDS, insert_timeout_ms=20000, tls=os.environ.get('CLUSTER_TLS') == '1', **more):
        """What the configuration says of it. CLUSTER_TLS=1: by https, with a user and a password."""
        if tls:
            order = [[f'https://127.0.0.1:{int(url.rsplit(":", 1)[1]) + HTTPS}' for url in shard] for shard in order]
            more = {'ca': f'{DIR}/pki/ca.pem', 'user': 'millrace', 'password-file': f'{DIR}/pki/clickhouse.password', **more}
        shards = ', '.join('"' + ' '.join(shard) + '"' for shard in order)
        others = ''.join(f', {key}: "{value}"' for key, value in more.items())
        return (f'store: {{ kind: clickhouse, clickhouse: {{ shards: [{shards}], database: {self.name}{others}, insert-timeout: {insert_timeout_ms} }}, '
                f'postgres: {{ url: "{POSTGRES} dbname={self.name}" }} }}')

    def records(self, replica=0):
        """[(sensor, epoch, lane number, sequence, line)], in the order of arrival; straight from the tables: what PostgreSQL
        says is to be seen, of what one replica of each shard has."""
        hidden = [int(row[0]) for row in self.query('SELECT id FROM blocks')]
        parts = [row[0] for row in self.query('SELECT id FROM partitions WHERE NOT doomed')]
        found = []
        for shard in range(len(SHARDS)):
            text = self.clickhouse('SELECT id, sensor, reinterpretAsInt64(reinterpretAsString(epoch)), lane, seq, block, line'
                                   f' FROM records WHERE part IN ({",".join(["0", *parts])})', replica, shard)
            for line in text.splitlines():
                id, sensor, epoch, lane, sequence, block, body = line.split('\t')
                if int(block) not in hidden:
                    body = body.encode().decode('unicode_escape').encode('latin-1').decode()
                    found.append((int(id), sensor, int(epoch), int(lane), int(sequence), body))
        return [row[1:] for row in sorted(found)]

    def close(self):
        for shard in range(len(SHARDS)):
            for replica in range(REPLICAS):
                try:
                    self.clickhouse(f'DROP DATABASE IF EXISTS {self.name}', replica, shard, 'default')
                except urllib.error.HTTPError:
                    pass  # 18.16 now and then finds its folder not empty yet: what is left is empty
        self.psql('postgres', f'DROP DATABASE IF EXISTS {self.name} WITH (FORCE)')
