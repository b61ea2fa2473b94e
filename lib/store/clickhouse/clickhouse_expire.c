/*
 * Retention: whole partitions, the oldest first. PostgreSQL says which go, before ClickHouse drops them: a question never
 * sees half of one. One gateway at a time does it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/store/clickhouse/clickhouse_private.h"

enum { DROP_TIMEOUT_MS = 60000 };

/* On the node, or the next that answers. */
static int
ask_shard(struct clickhouse_store *store, struct clickhouse_shard *shard, const char *sql, struct clickhouse_bytes *answer)
{
	const struct clickhouse_call call = { .sql = sql, .timeout_ms = DROP_TIMEOUT_MS };
	int err = -EIO;

	for (unsigned int i = 0; i < shard->node_count && err != 0; i++) {
		struct clickhouse_node *node = &shard->nodes[shard->current];

		err = clickhouse_node_ready(store, shard, node);
		if (err == 0)
			err = clickhouse_ask(store, node, &call, answer);
		if (err != 0)
			shard->current = (shard->current + 1) % shard->node_count;
	}
	return err;
}

int
clickhouse_disk_bytes(struct clickhouse_store *store, uint64_t *bytes)
{
	struct clickhouse_bytes answer = { 0 };
	int err = 0;

	*bytes = 0;
	for (unsigned int i = 0; i < store->shard_count && err == 0; i++) {
		err = ask_shard(store, &store->shards[i], "SELECT sum(bytes_on_disk) FROM system.parts WHERE active"
			" AND database = currentDatabase() AND table = 'records'", &answer);
		if (err == 0)
			*bytes += strtoull(answer.data, NULL, 10);
	}
	clickhouse_bytes_free(&answer);
	return err;
}

/* ---- what is doomed goes ---- */

/* @return 1: a partition is gone, 0: none was doomed, -errno */
static int
drop_doomed(struct clickhouse_store *store)
{
	PGresult *rows = pg_ask(store->aside, "SELECT id FROM partitions WHERE doomed ORDER BY id LIMIT 1", "");
	struct clickhouse_bytes answer = { 0 };
	int64_t part;
	char sql[80];
	int err = 0;

	if (rows == NULL)
		return pg_error(store->aside);
	part = PQntuples(rows) == 0 ? 0 : pg_number(rows, 0, 0);
	PQclear(rows);
	if (part == 0)
		return 0;
	snprintf(sql, sizeof(sql), "ALTER TABLE records DROP PARTITION %" PRId64, part);
	for (unsigned int i = 0; i < store->shard_count && err == 0; i++)
		err = ask_shard(store, &store->shards[i], sql, &answer);
	clickhouse_bytes_free(&answer);
	if (err == 0)
		err = pg_run(store->aside, "WITH gone AS (DELETE FROM stock WHERE part = $1) DELETE FROM partitions WHERE id = $1", "n",
			part);
	return err < 0 ? err : 1;
}

/* A partition that is the newest, or that a gateway is writing to, stays. @return 1: it is doomed, 0: not now, -errno */
static int
doom(struct clickhouse_store *store, int64_t part, const char *reason, uint64_t *deleted)
{
	PGresult *rows;
	int err = pg_begin(store->aside);

	if (err == 0)
		err = pg_run(store->aside, "UPDATE partitions SET doomed = true WHERE id = $1 AND NOT doomed"
			" AND (id < (SELECT max(id) FROM partitions) OR records = 0 OR $2 = 'deleted_by_age')", "nt", part, reason);
	/* Whoever numbered a block for it has done so by now: that held the row. */
	if (err == 1 && pg_run(store->aside, "SELECT 1 FROM blocks WHERE part = $1 AND NOT given_up", "n", part) != 0)
		err = 0;
	if (err == 1) {
		rows = pg_ask(store->aside, "INSERT INTO totals(name, value) SELECT $2::text, records FROM partitions WHERE id = $1"
			" ON CONFLICT(name) DO UPDATE SET value = totals.value + excluded.value"
			" RETURNING (SELECT records FROM partitions WHERE id = $1)", "nt", part, reason);
		*deleted = rows == NULL ? 0 : (uint64_t)pg_number(rows, 0, 0);
		err = rows == NULL ? pg_error(store->aside) : 1;
		PQclear(rows);
	}
	if (err == 1 && pg_commit(store->aside) == 0)
		return 1;
	pg_rollback(store->aside);
	*deleted = 0;
	return err < 0 ? err : 0;
}

static int
choose(struct clickhouse_store *store, uint64_t now_s, uint64_t *deleted)
{
	PGresult *rows = pg_ask(store->aside, "SELECT id, arrived_s, (SELECT sum(records) FROM partitions WHERE NOT doomed)::bigint"
		" FROM partitions WHERE NOT doomed ORDER BY id LIMIT 1", "");
	uint64_t records, bytes = 0;
	int64_t part, arrived_s;
	int err = 0;

	if (rows == NULL)
		return pg_error(store->aside);
	part = PQntuples(rows) == 0 ? 0 : pg_number(rows, 0, 0);
	arrived_s = part == 0 ? 0 : pg_number(rows, 0, 1);
	records = part == 0 ? 0 : (uint64_t)pg_number(rows, 0, 2);
	PQclear(rows);
	if (part == 0)
		return 0;
	if (store->age_max_s != 0 && now_s >= store->age_max_s && arrived_s < (int64_t)(now_s - store->age_max_s))
		return doom(store, part, "deleted_by_age", deleted);
	if (store->records_max != 0 && records > store->records_max)
		return doom(store, part, "deleted_by_records", deleted);
	if (store->bytes_max != 0)
		err = clickhouse_disk_bytes(store, &bytes);
	return err == 0 && bytes > store->bytes_max && store->bytes_max != 0 ? doom(store, part, "deleted_by_bytes", deleted) : err;
}

int
clickhouse_store_expire(struct store *base, uint64_t now_s, uint64_t *deleted)
{
	struct clickhouse_store *store = clickhouse_of(base);
	PGresult *rows;
	int folded = 0;
	int result;

	*deleted = 0;
	rows = pg_ask(store->aside, "SELECT pg_try_advisory_lock($1)::int", "n", (int64_t)CLICKHOUSE_LOCK_JANITOR);
	if (rows == NULL)
		return pg_error(store->aside);
	result = (int)pg_number(rows, 0, 0);
	PQclear(rows);
	if (result == 0)
		return 0;
	result = clickhouse_blocks_clean(store);
	if (result == 0)
		folded = clickhouse_runs_fold(store);
	if (result == 0)
		result = folded < 0 ? folded : drop_doomed(store);
	if (result == 0)
		result = choose(store, now_s, deleted);
	(void)pg_run(store->aside, "SELECT pg_advisory_unlock($1)", "n", (int64_t)CLICKHOUSE_LOCK_JANITOR);
	return result == 0 ? folded : result;
}
