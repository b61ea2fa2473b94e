/* Retention: the oldest records by arrival go first, a chunk at a time, and are counted by the bound they passed. */
#include "lib/store/sqlite/sqlite_private.h"

struct size {
	int64_t oldest; /* id; 0: no records */
	int64_t newest;
	uint64_t bytes; /* of pages in use */
};

static int
read_size(struct sqlite_store *store, struct size *out)
{
	sqlite3_stmt *bounds = store->statements[SQL_BOUNDS];
	sqlite3_stmt *pages = store->statements[SQL_PAGES];
	int err = 0;

	*out = (struct size){ 0 };
	if (sqlite3_step(bounds) == SQLITE_ROW) {
		out->oldest = sqlite3_column_int64(bounds, 0);
		out->newest = sqlite3_column_int64(bounds, 1);
	} else {
		err = sqlite_failed(store, "bounds");
	}
	sqlite3_reset(bounds);
	if (sqlite3_step(pages) == SQLITE_ROW)
		out->bytes = (uint64_t)(sqlite3_column_int64(pages, 0) - sqlite3_column_int64(pages, 1)) *
			(uint64_t)sqlite3_column_int64(pages, 2);
	else
		err = sqlite_failed(store, "pages");
	sqlite3_reset(pages);
	return err;
}

/* The first id that arrived within the bound; records before it are too old. arrivals holds a row a minute. */
static int64_t
age_bound(struct sqlite_store *store, const struct size *size, uint64_t now_s)
{
	sqlite3_stmt *statement = store->statements[SQL_AGE_BOUND];
	int64_t oldest_s;
	int64_t bound = 0;

	if (store->age_max_s == 0 || now_s < store->age_max_s)
		return 0;
	oldest_s = (int64_t)(now_s - store->age_max_s);
	sqlite3_bind_int64(statement, 1, oldest_s);
	if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
		bound = sqlite3_column_int64(statement, 0);
	else if (store->arrival_s + 60 < oldest_s)
		bound = size->newest + 1;
	sqlite3_reset(statement);
	return bound;
}

static int
delete_before(struct sqlite_store *store, const struct size *size, int64_t bound, const char *reason,
	uint64_t *deleted)
{
	sqlite3_stmt *remove = store->statements[SQL_DELETE];
	sqlite3_stmt *arrivals = store->statements[SQL_ARRIVAL_DELETE];
	sqlite3_stmt *total = store->statements[SQL_TOTAL_ADD];
	int err;

	if (bound > size->oldest + STORE_EXPIRE_CHUNK)
		bound = size->oldest + STORE_EXPIRE_CHUNK;
	err = sqlite_run(store, SQL_BEGIN);
	if (err != 0)
		return err;
	store->in_transaction = true;
	sqlite3_bind_int64(remove, 1, bound);
	err = sqlite_run(store, SQL_DELETE);
	if (err == 0) {
		*deleted = (uint64_t)sqlite3_changes64(store->db);
		sqlite3_bind_text(total, 1, reason, -1, SQLITE_STATIC);
		sqlite3_bind_int64(total, 2, (sqlite3_int64)*deleted);
		err = sqlite_run(store, SQL_TOTAL_ADD);
	}
	if (err == 0) {
		sqlite3_bind_int64(arrivals, 1, bound);
		err = sqlite_run(store, SQL_ARRIVAL_DELETE);
	}
	if (err == 0)
		return store->base.ops->commit(&store->base);
	store->base.ops->rollback(&store->base);
	return err;
}

int
sqlite_store_expire(struct store *base, uint64_t now_s, uint64_t *deleted)
{
	struct sqlite_store *store = sqlite_of(base);
	struct size size;
	uint64_t records;
	int64_t bound;
	int err = read_size(store, &size);

	*deleted = 0;
	if (err != 0 || size.oldest == 0)
		return err;
	bound = age_bound(store, &size, now_s);
	if (bound > size.oldest)
		return delete_before(store, &size, bound, "deleted_by_age", deleted);
	/* Ids are given in order and deleted from the oldest on, so their span is their number. */
	records = (uint64_t)(size.newest - size.oldest) + 1;
	if (store->records_max != 0 && records > store->records_max)
		return delete_before(store, &size, size.newest + 1 - (int64_t)store->records_max,
			"deleted_by_records", deleted);
	if (store->bytes_max != 0 && size.bytes > store->bytes_max)
		return delete_before(store, &size, size.newest + 1, "deleted_by_bytes", deleted);
	return 0;
}
