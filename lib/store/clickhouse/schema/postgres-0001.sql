-- What is small and changes beside ClickHouse's records. A block is what a gateway writes in one go: it is numbered
-- here before its records are sent, and is gone from here in the transaction that moves its lanes on. What stands in
-- `blocks` is therefore not to be shown: pending, or given up.
CREATE SEQUENCE block_ids;
CREATE TABLE sensors(name text PRIMARY KEY, first_seen_s bigint NOT NULL, last_seen_s bigint NOT NULL);
CREATE TABLE lanes(sensor text NOT NULL, epoch bigint NOT NULL, lane smallint NOT NULL, id bigserial NOT NULL,
	next_seq bigint NOT NULL, records bigint NOT NULL, lost bigint NOT NULL, updated_s bigint NOT NULL,
	PRIMARY KEY(sensor, epoch, lane));
CREATE TABLE gaps(id bigserial PRIMARY KEY, sensor text NOT NULL, epoch bigint NOT NULL, lane smallint NOT NULL,
	first bigint NOT NULL, last bigint NOT NULL, at_s bigint NOT NULL);
CREATE INDEX gaps_sensor ON gaps(sensor, id);
CREATE TABLE runs(sensor text NOT NULL, epoch bigint NOT NULL, run bigint NOT NULL, name text NOT NULL,
	uptime_s bigint NOT NULL, received bigint NOT NULL, ts_ns bigint NOT NULL, line text NOT NULL,
	PRIMARY KEY(sensor, epoch, run));
CREATE TABLE totals(name text PRIMARY KEY, value bigint NOT NULL);
-- A partition of the records; `day` since the Unix epoch. `stock` says how many of its records each shard must have.
CREATE TABLE partitions(id bigserial PRIMARY KEY, day bigint NOT NULL, ts_min_ns bigint NOT NULL, ts_max_ns bigint NOT NULL,
	arrived_s bigint NOT NULL, records bigint NOT NULL, bytes bigint NOT NULL, doomed boolean NOT NULL DEFAULT false);
CREATE TABLE stock(part bigint NOT NULL, shard integer NOT NULL, records bigint NOT NULL, PRIMARY KEY(part, shard));
CREATE TABLE blocks(id bigint PRIMARY KEY, part bigint NOT NULL, given_up boolean NOT NULL DEFAULT false,
	at_s bigint NOT NULL);
