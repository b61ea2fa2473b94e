/* Shared by the files of this folder. */
#ifndef MR_STORE_SQLITE_PRIVATE_H
#define MR_STORE_SQLITE_PRIVATE_H

#include <sqlite3.h>

#include "lib/base/buf.h"
#include "lib/store/sqlite/sqlite_store.h"
#include "lib/store/store_private.h"

enum sqlite_statement {
	SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK,
	SQL_LANE_GET, SQL_SENSOR_ADD, SQL_LANE_COUNT, SQL_LANE_ADD, SQL_LANE_UPDATE, SQL_SENSOR_SEEN,
	SQL_GAP_ADD, SQL_RECORD_ADD, SQL_RUN_GET, SQL_RUN_PUT, SQL_ARRIVAL_ADD,
	SQL_BOUNDS, SQL_AGE_BOUND, SQL_DELETE, SQL_ARRIVAL_DELETE, SQL_TOTAL_ADD, SQL_TOTAL_GET, SQL_PAGES,
	SQL_COUNT,
};

struct sqlite_store {
	struct store base;
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT]; /* the writer's */
	uint64_t records_max;
	uint64_t bytes_max;
	uint64_t age_max_s;
	uint64_t query_max_ms;
	uint64_t deadline_ms;  /* of the query that runs; 0: none */
	int64_t next_id;       /* of the next record; ids are never reused */
	int64_t arrival_s;     /* when the newest row of arrivals was written */
	bool in_transaction;
};

static inline struct sqlite_store *
sqlite_of(struct store *store)
{
	return (struct sqlite_store *)store;
}

/** Logs what went wrong and makes it an errno. */
int sqlite_failed(struct sqlite_store *store, const char *what);
/** Runs a writer's statement that gives no row; the caller has bound it. */
int sqlite_run(struct sqlite_store *store, enum sqlite_statement which);
/** Begins a question that ends by query_max_ms. */
void sqlite_start_deadline(struct sqlite_store *store);
/** Prepares sql, whose parameters ?1.. are the filters by key, and binds those present. */
int sqlite_prepare_filtered(struct sqlite_store *store, const char *sql, const struct store_filter *filter,
	sqlite3_stmt **out);
/** Appends " AND clause" for each filter present. @param skip bits of filters to leave out. */
void sqlite_put_clauses(struct buf *sql, const struct store_filter *filter, uint32_t skip);

int sqlite_store_query(struct store *store, const struct store_filter *filter, const struct store_page *page,
	store_found_fn found, void *arg);
int sqlite_store_report(struct store *store, enum store_report report, const struct store_filter *filter,
	json_t **out);
int sqlite_store_expire(struct store *store, uint64_t now_s, uint64_t *deleted);

#endif
