-- Who may be a sensor, for several aggregators that share the store clickhouse. The same tables as those of the file
-- (registry_sqlite.c), in a schema of their own beside the store's. Names sort by their bytes, as they do there.
CREATE SCHEMA IF NOT EXISTS enrol;
CREATE TABLE enrol.sensors(name text COLLATE "C" PRIMARY KEY, site text NOT NULL, zone text NOT NULL, revoked_s bigint,
	barred bigint NOT NULL DEFAULT 0);
CREATE TABLE enrol.invitations(id text PRIMARY KEY, secret bytea NOT NULL, sensor text COLLATE "C" NOT NULL,
	site text NOT NULL, zone text NOT NULL, created_s bigint NOT NULL, expires_s bigint NOT NULL, withdrawn_s bigint,
	serial text);
CREATE INDEX invitations_sensor ON enrol.invitations(sensor, expires_s);
CREATE TABLE enrol.certificates(serial text PRIMARY KEY, sensor text COLLATE "C" NOT NULL, key_digest bytea NOT NULL,
	not_before_s bigint NOT NULL, not_after_s bigint NOT NULL, revoked_s bigint, pem text NOT NULL);
CREATE INDEX certificates_sensor ON enrol.certificates(sensor, not_after_s);
CREATE TABLE enrol.audit(id bigserial PRIMARY KEY, at_s bigint NOT NULL, actor text NOT NULL, action text NOT NULL,
	sensor text NOT NULL, detail text NOT NULL);
