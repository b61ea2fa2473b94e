/* What each run of a sensor had counted when it was last heard, and that there are not too many of them, in PostgreSQL. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/clickhouse/clickhouse_private.h"
#include "lib/store/runs.h"

enum { FOLD_EVERY_MS = 5000, FOLD_ROWS = 256 };

int
clickhouse_run_note(struct clickhouse_store *store, const struct batch_head *head, const struct store_line *line)
{
	char name[LINE_TEXT_MAX + 1] = "";
	char *text;
	int err;

	if (line->text.len > STORE_RUN_LINE_MAX)
		return 0;
	text = strndup(line->text.data, line->text.len);
	if (text == NULL)
		return -ENOMEM;
	if (line->run.data != NULL)
		memcpy(name, line->run.data, line->run.len > LINE_TEXT_MAX ? LINE_TEXT_MAX : line->run.len);
	/* A run is what a sensor counted between a start and an end: it keeps its name, and its totals only grow. */
	err = pg_run(store->tx, "INSERT INTO runs(sensor, epoch, run, name, uptime_s, received, ts_ns, line)"
		" SELECT $1::text, $2::bigint, coalesce((SELECT r.run + (r.uptime_s > $4 OR r.received > $5 OR r.name <> $3)::int"
		" FROM runs r WHERE r.sensor = $1 AND r.epoch = $2 ORDER BY r.run DESC LIMIT 1), 1), $3::text, $4::bigint,"
		" $5::bigint, $6::bigint, $7::text"
		" ON CONFLICT(sensor, epoch, run) DO UPDATE SET name = excluded.name, uptime_s = excluded.uptime_s,"
		" received = excluded.received, ts_ns = excluded.ts_ns, line = excluded.line", "tntnnnt", head->sensor,
		(int64_t)head->epoch, name, line->uptime_s.value, line->received.value, line->ts_ns.value, text);
	free(text);
	return err < 0 ? err : 0;
}

/* ---- too many ---- */

/* The rows become one, in the place of the first, which is the newest. */
static int
put_folded(struct clickhouse_store *store, const char *sensor, const PGresult *rows, const char *text)
{
	int count = PQntuples(rows);
	int err = pg_run(store->aside, "UPDATE runs SET name = $4, uptime_s = 0, received = 0, ts_ns = 0, line = $5"
		" WHERE sensor = $1 AND epoch = $2 AND run = $3", "tnntt", sensor, pg_number(rows, 0, 0), pg_number(rows, 0, 1),
		STORE_RUNS_NAME, text);

	for (int i = 1; i < count && err >= 0; i++)
		err = pg_run(store->aside, "DELETE FROM runs WHERE sensor = $1 AND epoch = $2 AND run = $3", "tnn", sensor,
			pg_number(rows, i, 0), pg_number(rows, i, 1));
	return err < 0 ? err : 1;
}

/* @return 1: some became one, 0: they are not too many, -errno */
static int
fold(struct clickhouse_store *store, const char *sensor)
{
	PGresult *rows = pg_ask(store->aside, "SELECT epoch, run, line FROM runs WHERE sensor = $1"
		" ORDER BY (SELECT min(id) FROM lanes l WHERE l.sensor = runs.sensor AND l.epoch = runs.epoch) DESC, run DESC"
		" LIMIT $3 OFFSET $2", "tnn", sensor, (int64_t)STORE_RUNS_MAX - 1, (int64_t)FOLD_ROWS);
	const char *lines[FOLD_ROWS];
	unsigned int count = 0;
	char *text = NULL;
	int err = rows == NULL ? pg_error(store->aside) : 0;

	for (int i = 0; err == 0 && i < PQntuples(rows) && i < FOLD_ROWS; i++)
		lines[count++] = PQgetvalue(rows, i, 2);
	if (count > 1) {
		text = store_runs_fold(lines, count);
		err = text == NULL ? -ENOMEM : put_folded(store, sensor, rows, text);
	}
	free(text);
	PQclear(rows);
	return err;
}

static int
fold_of(struct clickhouse_store *store, const char *sensor)
{
	int result = pg_begin(store->aside);

	if (result == 0)
		result = fold(store, sensor);
	if (result == 1 && pg_commit(store->aside) == 0)
		return 1;
	pg_rollback(store->aside);
	return result < 0 ? result : 0;
}

int
clickhouse_runs_fold(struct clickhouse_store *store)
{
	uint64_t now_ms = clickhouse_clock_ms();
	PGresult *rows;
	int result;

	if (store->folded_ms != 0 && now_ms - store->folded_ms < FOLD_EVERY_MS)
		return 0;
	rows = pg_ask(store->aside, "SELECT sensor FROM runs GROUP BY sensor HAVING count(*) > $1 LIMIT 1", "n", (int64_t)STORE_RUNS_MAX);
	if (rows == NULL)
		return pg_error(store->aside);
	result = PQntuples(rows) == 0 ? 0 : fold_of(store, PQgetvalue(rows, 0, 0));
	PQclear(rows);
	/* A sensor may leave a number out before each batch. */
	if (result == 0)
		result = pg_run(store->aside, "DELETE FROM gaps WHERE id <= (SELECT max(id) FROM gaps) - $1", "n", (int64_t)STORE_GAPS_MAX);
	if (result <= 0)
		store->folded_ms = now_ms;
	return result < 0 ? result : result > 0;
}
