-- Tokens of the query API, for several aggregators that share the store clickhouse.
CREATE SCHEMA IF NOT EXISTS api;
CREATE TABLE api.tokens(name text COLLATE "C" PRIMARY KEY, digest bytea NOT NULL UNIQUE, scopes text NOT NULL,
	created_s bigint NOT NULL);
