/*
 * Retention: the oldest records by arrival go first, and are counted by the bound they passed. A partition goes whole:
 * from then on no question sees it, and its tables are taken apart a step at a time, so that no batch waits long.
 * Where the only partition is beyond a bound, its oldest records go in chunks.
 */
#include <stdlib.h>

#include "lib/store/sqlite/sqlite_private.h"

enum { SQL_TEXT_MAX = 512, TAKE_APART_STEPS = 5, FOLD_TURNS_MAX = 100 };

/* How a doomed partition is taken apart. The first deletes little by little; the others go once it finds nothing. */
static const char *const steps[TAKE_APART_STEPS] = {
	"DELETE FROM blocks_$ WHERE id IN (SELECT id FROM blocks_$ ORDER BY id LIMIT 256)",
	"DROP INDEX IF EXISTS flow_$",
	"DROP INDEX IF EXISTS signature_$",
	"DROP TABLE IF EXISTS spans_$",
	"DROP TABLE IF EXISTS tallies_$; DROP TABLE records_$; DROP TABLE blocks_$",
};

/* What there is, against the bounds. */
struct stock {
	struct sqlite_partition *parts; /* oldest first */
	int count;
	uint64_t records;
	uint64_t bytes; /* of pages in use */
};

static int
read_stock(struct sqlite_store *store, struct stock *out)
{
	sqlite3_stmt *pages = store->statements[SQL_PAGES];
	int err = 0;

	*out = (struct stock){ 0 };
	out->count = sqlite_partitions(store, false, &out->parts);
	if (out->count < 0)
		return out->count;
	for (int i = 0; i < out->count; i++)
		out->records += (uint64_t)(out->parts[i].next_id - out->parts[i].first_id);
	if (sqlite3_step(pages) == SQLITE_ROW)
		out->bytes = (uint64_t)(sqlite3_column_int64(pages, 0) - sqlite3_column_int64(pages, 1)) *
			(uint64_t)sqlite3_column_int64(pages, 2);
	else
		err = sqlite_failed(store, "pages");
	sqlite3_reset(pages);
	return err;
}

static int
begin(struct sqlite_store *store)
{
	int err = sqlite_run(store, SQL_BEGIN);

	store->in_transaction = err == 0;
	return err;
}

static int
end(struct sqlite_store *store, int err)
{
	if (err == 0)
		return store->base.ops->commit(&store->base);
	store->base.ops->rollback(&store->base);
	return err;
}

static int
count_deleted(struct sqlite_store *store, const char *reason, uint64_t deleted)
{
	sqlite3_stmt *total = store->statements[SQL_TOTAL_ADD];

	sqlite3_bind_text(total, 1, reason, -1, SQLITE_STATIC);
	sqlite3_bind_int64(total, 2, (sqlite3_int64)deleted);
	return sqlite_run(store, SQL_TOTAL_ADD);
}

/* ---- the end of a partition ---- */

static int
keep_ids(struct sqlite_store *store)
{
	sqlite3_stmt *keep = store->statements[SQL_PARTITION_KEEP];

	sqlite3_bind_int64(keep, 1, store->next_id);
	sqlite3_bind_int64(keep, 2, store->next_block);
	sqlite3_bind_int64(keep, 3, store->newest_partition);
	return sqlite_run(store, SQL_PARTITION_KEEP);
}

static int
doom(struct sqlite_store *store, const struct sqlite_partition *partition, const char *reason, uint64_t *deleted)
{
	uint64_t records = (uint64_t)(partition->next_id - partition->first_id);
	int err = begin(store);

	if (err != 0)
		return err;
	if (partition->id == store->partition.id)
		sqlite_partition_close(store);
	err = count_deleted(store, reason, records);
	if (err == 0) {
		sqlite3_bind_int64(store->statements[SQL_PARTITION_DOOM], 1, partition->id);
		err = sqlite_run(store, SQL_PARTITION_DOOM);
	}
	if (err == 0)
		err = keep_ids(store);
	err = end(store, err);
	*deleted = err == 0 ? records : 0;
	return err == 0 ? 1 : err;
}

/* @return 1: a step was taken, 0: nothing is doomed */
static int
take_apart(struct sqlite_store *store)
{
	struct sqlite_partition *doomed;
	int count = sqlite_partitions(store, true, &doomed);
	int64_t id = count > 0 ? doomed[0].id : 0;
	int err;

	if (count < 0)
		return count;
	free(doomed);
	if (count == 0)
		return 0;
	if (id != store->dooming) {
		store->dooming = id;
		store->doom_step = 0;
	}
	err = begin(store);
	if (err == 0)
		err = sqlite_exec_numbered(store, steps[store->doom_step], id);
	if (err == 0 && store->doom_step + 1 == TAKE_APART_STEPS) {
		sqlite3_bind_int64(store->statements[SQL_PARTITION_FORGET], 1, id);
		err = sqlite_run(store, SQL_PARTITION_FORGET);
		store->partition_count--;
		store->dooming = 0;
	} else if (err == 0 && (store->doom_step > 0 || sqlite3_changes(store->db) == 0)) {
		store->doom_step++;
	}
	err = end(store, err);
	return err == 0 ? 1 : err;
}

/* ---- records of the only partition ---- */

/* ?1 is the first record that stays. The run that it cuts is tallied anew; its spans are what they were: a question finds less in them. */
static const char *const delete_texts[] = {
	"DELETE FROM records_$ WHERE id < ?1",
	"DELETE FROM blocks_$ WHERE id < coalesce((SELECT block FROM records_$ ORDER BY id LIMIT 1), 9223372036854775807)",
	"DELETE FROM spans_$ WHERE last_id < ?1",
	"INSERT INTO tallies_$ SELECT ?1, t.last_id, t.lane_id, t.ts_min_ns, t.ts_max_ns, r.event_type, r.function,"
	" r.response_function, count(*), max(r.id) FROM (SELECT * FROM tallies_$ WHERE first_id < ?1 AND last_id >= ?1 LIMIT 1) t"
	" CROSS JOIN records_$ r ON r.id BETWEEN ?1 AND t.last_id GROUP BY r.event_type, r.function, r.response_function",
	"DELETE FROM tallies_$ WHERE first_id < ?1",
};

static int
delete_before(struct sqlite_store *store, int64_t partition, int64_t bound)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(delete_texts) / sizeof(delete_texts[0]) && err == 0; i++) {
		char text[SQL_TEXT_MAX];
		struct buf sql = { .data = text, .cap = sizeof(text) - 1 };
		sqlite3_stmt *statement = NULL;

		sqlite_put_numbered(&sql, delete_texts[i], partition);
		text[sql.len] = '\0';
		if (sql.full || sqlite3_prepare_v2(store->db, text, -1, &statement, NULL) != SQLITE_OK)
			return sqlite_failed(store, "delete");
		sqlite3_bind_int64(statement, 1, bound);
		if (sqlite3_step(statement) != SQLITE_DONE)
			err = sqlite_failed(store, "delete");
		sqlite3_finalize(statement);
	}
	return err;
}

static int
delete_oldest(struct sqlite_store *store, const struct sqlite_partition *partition, int64_t bound, const char *reason,
	uint64_t *deleted)
{
	sqlite3_stmt *first = store->statements[SQL_PARTITION_FIRST];
	int err;

	if (bound > partition->first_id + STORE_EXPIRE_CHUNK)
		bound = partition->first_id + STORE_EXPIRE_CHUNK;
	err = begin(store);
	if (err != 0)
		return err;
	err = delete_before(store, partition->id, bound);
	sqlite3_bind_int64(first, 1, partition->id);
	sqlite3_bind_int64(first, 2, bound);
	if (err == 0)
		err = sqlite_run(store, SQL_PARTITION_FIRST);
	if (err == 0)
		err = count_deleted(store, reason, (uint64_t)(bound - partition->first_id));
	err = end(store, err);
	if (err != 0)
		return err;
	*deleted = (uint64_t)(bound - partition->first_id);
	store->partition.first_id = bound;
	return 1;
}

/* A bound on the number or the size is passed. */
static int
shrink(struct sqlite_store *store, const struct stock *stock, int64_t surplus, const char *reason, uint64_t *deleted)
{
	const struct sqlite_partition *oldest = &stock->parts[0];

	if (stock->count > 1)
		return doom(store, oldest, reason, deleted);
	return delete_oldest(store, oldest, oldest->first_id + surplus, reason, deleted);
}

/* When its youngest record came. A clock that was behind says of what came then that it is years old: what records say of
 * themselves is believed where it is later. */
static uint64_t
youngest_s(const struct sqlite_partition *partition, uint64_t now_s)
{
	uint64_t arrived_s = partition->arrived_s < 0 ? 0 : (uint64_t)partition->arrived_s;
	uint64_t ts_s = partition->ts_max_ns < 0 ? 0 : (uint64_t)partition->ts_max_ns / 1000000000;

	return ts_s > arrived_s && ts_s <= now_s ? ts_s : arrived_s;
}

int
sqlite_store_expire(struct store *base, uint64_t now_s, uint64_t *deleted)
{
	struct sqlite_store *store = sqlite_of(base);
	struct stock stock = { 0 };
	int folded = sqlite_runs_fold(store);
	int result;

	*deleted = 0;
	/* What they took is room again before records go for it, unless there is no end of them. */
	if (folded != 0 && ++store->fold_turns < FOLD_TURNS_MAX)
		return folded;
	store->fold_turns = 0;
	result = take_apart(store);
	if (result != 0)
		return result;
	result = read_stock(store, &stock);
	if (result == 0 && stock.count > 0) {
		const struct sqlite_partition *oldest = &stock.parts[0];

		if (store->age_max_s != 0 && now_s >= store->age_max_s && youngest_s(oldest, now_s) < now_s - store->age_max_s)
			result = doom(store, oldest, "deleted_by_age", deleted);
		else if (store->records_max != 0 && stock.records > store->records_max)
			result = shrink(store, &stock, (int64_t)(stock.records - store->records_max), "deleted_by_records",
				deleted);
		else if (store->bytes_max != 0 && stock.bytes > store->bytes_max && stock.records > 0)
			result = shrink(store, &stock, (int64_t)stock.records, "deleted_by_bytes", deleted);
	}
	free(stock.parts);
	return result == 0 ? folded : result;
}
