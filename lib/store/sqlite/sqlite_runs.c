/* What each run of a sensor had counted when it was last heard, and that there are not too many of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/runs.h"
#include "lib/store/sqlite/sqlite_private.h"

static const struct line_text no_text = { .data = "" };

static void
bind_run(sqlite3_stmt *statement, int64_t lane_id, const struct store_line *line)
{
	sqlite3_bind_int64(statement, 1, lane_id);
	sqlite3_bind_int64(statement, 2, line->uptime_s.value);
	sqlite3_bind_int64(statement, 3, line->received.value);
	sqlite_bind_text(statement, 4, line->run.data == NULL ? &no_text : &line->run);
}

/* Its sensor has a run more: they are counted in a moment. Those that find no place are with their next. */
static void
note_lane(struct sqlite_store *store, int64_t lane_id)
{
	for (unsigned int i = 0; i < store->run_lane_count; i++)
		if (store->run_lanes[i] == lane_id)
			return;
	if (store->run_lane_count < SQLITE_RUN_LANES_MAX)
		store->run_lanes[store->run_lane_count++] = lane_id;
}

int
sqlite_run_note(struct sqlite_store *store, int64_t lane_id, const struct store_line *line)
{
	sqlite3_stmt *get = store->statements[SQL_RUN_GET];
	sqlite3_stmt *put = store->statements[SQL_RUN_PUT];
	int64_t number = 1;
	bool begins = true;

	if (line->text.len > STORE_RUN_LINE_MAX)
		return 0;
	bind_run(get, lane_id, line);
	if (sqlite3_step(get) == SQLITE_ROW) {
		begins = sqlite3_column_int64(get, 1) != 0;
		number = sqlite3_column_int64(get, 0) + begins;
	}
	sqlite3_reset(get);
	if (begins)
		note_lane(store, lane_id);
	bind_run(put, lane_id, line);
	sqlite3_bind_int64(put, 5, number);
	sqlite3_bind_int64(put, 6, line->ts_ns.value);
	sqlite_bind_text(put, 7, &line->text);
	return sqlite_run(store, SQL_RUN_PUT);
}

/* ---- too many ---- */

struct surplus {
	struct {
		int64_t lane_id, run;
	} rows[STORE_RUNS_FOLD_MAX]; /* newest first */
	char *lines[STORE_RUNS_FOLD_MAX];
	unsigned int count;
};

static int
read_surplus(struct sqlite_store *store, int64_t lane_id, struct surplus *out)
{
	sqlite3_stmt *list = store->statements[SQL_RUN_SURPLUS];
	size_t bytes = 0;
	int code, err = 0;

	sqlite3_bind_int64(list, 1, lane_id);
	sqlite3_bind_int(list, 2, STORE_RUNS_MAX - 1);
	sqlite3_bind_int(list, 3, STORE_RUNS_FOLD_MAX);
	while ((code = sqlite3_step(list)) == SQLITE_ROW && out->count < STORE_RUNS_FOLD_MAX &&
	    (bytes < STORE_RUNS_FOLD_BYTES || out->count < 2)) {
		const char *line = (const char *)sqlite3_column_text(list, 2);

		out->rows[out->count].lane_id = sqlite3_column_int64(list, 0);
		out->rows[out->count].run = sqlite3_column_int64(list, 1);
		out->lines[out->count] = strdup(line == NULL ? "" : line);
		if (out->lines[out->count] == NULL)
			err = -ENOMEM;
		else
			bytes += strlen(out->lines[out->count]);
		out->count++;
	}
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		err = sqlite_failed(store, "runs");
	sqlite3_reset(list);
	return err;
}

static int
put_folded(struct sqlite_store *store, const struct surplus *surplus, const char *text)
{
	const struct store_line line = {
		.text = { .data = text, .len = (uint32_t)strlen(text) },
		.run = { .data = STORE_RUNS_NAME, .len = sizeof(STORE_RUNS_NAME) - 1 },
	};
	sqlite3_stmt *put = store->statements[SQL_RUN_PUT];
	sqlite3_stmt *forget = store->statements[SQL_RUN_FORGET];
	int err;

	bind_run(put, surplus->rows[0].lane_id, &line);
	sqlite3_bind_int64(put, 5, surplus->rows[0].run);
	sqlite3_bind_int64(put, 6, 0);
	sqlite_bind_text(put, 7, &line.text);
	err = sqlite_run(store, SQL_RUN_PUT);
	for (unsigned int i = 1; i < surplus->count && err == 0; i++) {
		sqlite3_bind_int64(forget, 1, surplus->rows[i].lane_id);
		sqlite3_bind_int64(forget, 2, surplus->rows[i].run);
		err = sqlite_run(store, SQL_RUN_FORGET);
	}
	return err;
}

/* @return 1: some became one, 0: they are not too many, -errno */
static int
fold(struct sqlite_store *store, int64_t lane_id)
{
	struct surplus *surplus = calloc(1, sizeof(*surplus));
	int err = surplus == NULL ? -ENOMEM : read_surplus(store, lane_id, surplus);
	char *text;

	if (err == 0 && surplus->count > 1) {
		text = store_runs_fold((const char *const *)surplus->lines, surplus->count);
		err = text == NULL ? -ENOMEM : put_folded(store, surplus, text);
		free(text);
		err = err == 0 ? 1 : err;
	}
	for (unsigned int i = 0; surplus != NULL && i < surplus->count; i++)
		free(surplus->lines[i]);
	free(surplus);
	return err;
}

int
sqlite_runs_fold(struct sqlite_store *store)
{
	int result;

	if (store->run_lane_count == 0)
		return 0;
	result = sqlite_run(store, SQL_BEGIN);
	if (result != 0)
		return result;
	store->in_transaction = true;
	result = fold(store, store->run_lanes[store->run_lane_count - 1]);
	/* One that cannot be folded is not tried again until it has another. */
	if (result <= 0)
		store->run_lane_count--;
	if (result < 0) {
		store->base.ops->rollback(&store->base);
		return result;
	}
	return store->base.ops->commit(&store->base) == 0 ? result : -EIO;
}
