/* Shared by the files of this folder. */
#ifndef MR_STORE_SQLITE_PRIVATE_H
#define MR_STORE_SQLITE_PRIVATE_H

#include <sqlite3.h>

#include "lib/base/buf.h"
#include "lib/store/sqlite/sqlite_store.h"
#include "lib/store/store_private.h"

enum {
	SQLITE_PARTITIONS_MAX = 480, /* SQLite joins 500 tables in one question */
	SQLITE_BLOCKS_CACHED = 4,
	SQLITE_RUN_LANES_MAX = 16,
};

enum sqlite_statement {
	SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK,
	SQL_LANE_GET, SQL_SENSOR_ADD, SQL_LANE_COUNT, SQL_LANE_ADD, SQL_LANE_UPDATE, SQL_SENSOR_SEEN,
	SQL_GAP_ADD, SQL_GAP_PRUNE, SQL_RUN_GET, SQL_RUN_PUT, SQL_RUN_SURPLUS, SQL_RUN_FORGET, SQL_TOTAL_ADD, SQL_PAGES,
	SQL_PARTITION_ADD, SQL_PARTITION_UPDATE, SQL_PARTITION_FIRST, SQL_PARTITION_DOOM, SQL_PARTITION_KEEP,
	SQL_PARTITION_FORGET,
	SQL_COUNT,
};

/** Statements of the partition that is written. */
enum sqlite_partition_statement { PART_RECORD_ADD, PART_BLOCK_ADD, PART_SPAN_ADD, PART_TALLY_ADD, PART_COUNT };

/** A day's records, or a part of a busy day's: tables of its own. A row of the table "partitions". */
struct sqlite_partition {
	int64_t id;        /* the number in its tables' names; 0: none */
	int64_t day;       /* of the first arrival, days since the Unix epoch */
	int64_t first_id;  /* of its records; what was deleted from its front no longer counts */
	int64_t next_id;
	int64_t ts_min_ns; /* of its records, as they say */
	int64_t ts_max_ns;
	int64_t arrived_s; /* the last of them */
	int64_t bytes;     /* about what it takes on disk */
	bool doomed;       /* being deleted; questions pass over it */
};

/** Where a line is. */
struct sqlite_place {
	int64_t block;
	uint64_t at;  /* byte in the block's lines */
	uint64_t len;
};

/** A block's lines, unpacked. */
struct sqlite_block {
	int64_t id; /* 0: none */
	char *lines;
	size_t cap;
	size_t len;
	uint64_t used; /* turn of the last use */
};

/** What a span is of. Stored: numbers stay. */
enum sqlite_span_kind {
	SPAN_ALL,     /* all records of a run; its key is empty */
	SPAN_SRC_IP,
	SPAN_DEST_IP,
	SPAN_TYPE,
	SPAN_FLOWS,   /* those of flows; its key is empty, its prints tell whose it may have */
};

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;
struct sqlite_spans;

struct sqlite_store {
	struct store base;
	sqlite3 *db;
	int held;                     /* the writer's turn, while it is open; below 0: none */
	sqlite3_stmt *statements[SQL_COUNT];      /* the writer's */
	sqlite3_stmt *part_statements[PART_COUNT]; /* the writer's */
	struct ZSTD_CCtx_s *packer;   /* the writer's */
	struct sqlite_spans *spans;   /* the writer's; of the run that is being added */
	struct ZSTD_DCtx_s *unpacker;
	struct sqlite_block blocks[SQLITE_BLOCKS_CACHED];
	uint64_t block_turn;
	struct sqlite_partition partition; /* the one that is written */
	int64_t partition_count;
	int64_t newest_partition; /* numbers are not reused */
	uint64_t records_max;
	uint64_t bytes_max;
	uint64_t age_max_s;
	uint64_t partition_records_max;
	uint64_t query_max_ms;
	struct {
		uint64_t since_ms, last_ms; /* clock_ms() */
		unsigned int count;
	} failing; /* of the writer: what failed since the last commit, but for want of room */
	const _Atomic bool *cancel;
	uint64_t deadline_ms;  /* of the query that runs; 0: none */
	int64_t next_id;       /* of the next record; ids are never reused */
	int64_t next_block;
	int64_t dooming;       /* the partition that is taken apart */
	unsigned int doom_step;
	int64_t run_lanes[SQLITE_RUN_LANES_MAX]; /* whose sensors have a run more since they were counted */
	unsigned int run_lane_count;
	unsigned int fold_turns; /* in a row */
	bool in_transaction;
	bool reading;          /* between begin_read and end_read */
};

static inline struct sqlite_store *
sqlite_of(struct store *store)
{
	return (struct sqlite_store *)store;
}

/* ---- sqlite_store.c ---- */

/** Logs what went wrong and makes it an errno. */
int sqlite_failed(struct sqlite_store *store, const char *what);
/** Runs a writer's statement that gives no row; the caller has bound it. */
int sqlite_run(struct sqlite_store *store, enum sqlite_statement which);
/** Runs SQL that gives no row. */
int sqlite_exec(struct sqlite_store *store, const char *sql);
/** Begins a question that ends by query_max_ms. */
void sqlite_start_deadline(struct sqlite_store *store);
/** Between the two, a reader sees one state of the database. */
int sqlite_begin_read(struct sqlite_store *store);
void sqlite_end_read(struct sqlite_store *store);

/* ---- sqlite_append.c ---- */

int sqlite_store_next(struct store *base, const struct batch_head *head, uint64_t *next);
int sqlite_store_append(struct store *base, const struct batch_head *head, const struct store_body *body,
	const struct store_line *lines, struct store_appended *out);

void sqlite_bind_text(sqlite3_stmt *statement, int at, const struct line_text *text);
void sqlite_bind_number(sqlite3_stmt *statement, int at, const struct line_number *number);

/* ---- sqlite_partition.c ---- */

/** Appends text with a partition's number for each '$'. */
void sqlite_put_numbered(struct buf *out, const char *text, int64_t number);
/** Runs such a text. @return 0 or -errno */
int sqlite_exec_numbered(struct sqlite_store *store, const char *text, int64_t number);
/** Creates a partition's tables. Number 0 is always there and empty, so that every question has one to ask. */
int sqlite_partition_make(struct sqlite_store *store, int64_t id);
/** Makes those of a database of version 3 what they are now, within a transaction. */
int sqlite_partitions_upgrade(struct sqlite_store *store);
/** Reads the newest partition and prepares its statements; none: partition.id is 0. */
int sqlite_partition_load(struct sqlite_store *store);
/** Makes sure that a partition is open for what arrives now; begins a new one with each day, and when it is full. */
int sqlite_partition_ready(struct sqlite_store *store, int64_t now_s);
/** Writes back what was noted in store->partition. */
int sqlite_partition_save(struct sqlite_store *store);
void sqlite_partition_close(struct sqlite_store *store);
/** The partitions that questions see, oldest first. @param out the caller's to free. @return their number, or -errno. */
int sqlite_partitions(struct sqlite_store *store, bool doomed, struct sqlite_partition **out);

/* ---- sqlite_block.c ---- */

/** Stores a run of whole lines. @return 0 or -errno; the block's id is store->next_block - 1 then. */
int sqlite_block_add(struct sqlite_store *store, const void *body, size_t body_len, size_t lines_len);
/** The same for lines that are packed here. */
int sqlite_block_pack(struct sqlite_store *store, const char *lines, size_t lines_len);
/** A line; lent until the next call. @return 0 or -errno. */
int sqlite_block_line(struct sqlite_store *store, int64_t partition, const struct sqlite_place *place, const char **line);
/** Makes record_line(partition, id) known to SQL. */
int sqlite_block_functions(struct sqlite_store *store);
void sqlite_blocks_free(struct sqlite_store *store);

/* ---- sqlite_spans.c ---- */

int sqlite_spans_create(struct sqlite_spans **out);
/** NULL is accepted. */
void sqlite_spans_destroy(struct sqlite_spans *spans);
/** Forgets what was noted. */
void sqlite_spans_clear(struct sqlite_spans *spans);
/** Notes a record. Ids of a run follow one another; its lines stay until it is written. @return 0 or -errno */
int sqlite_spans_note(struct sqlite_store *store, int64_t lane_id, int64_t id, const struct store_line *line);
/** Ends the run: what it has becomes rows. @return 0 or -errno */
int sqlite_spans_write(struct sqlite_store *store, int64_t lane_id);
/** Makes may_have_flow(prints, flow_id) known to SQL. */
int sqlite_spans_functions(struct sqlite_store *store);

/* ---- sqlite_runs.c ---- */

/** Keeps the newest stats record of each run; retention never takes it away. */
int sqlite_run_note(struct sqlite_store *store, int64_t lane_id, const struct store_line *line);
/** Where a sensor has too many runs, some of them become one. Outside a transaction. @return 1: there may be more, 0 or -errno */
int sqlite_runs_fold(struct sqlite_store *store);

/* ---- sqlite_query.c, sqlite_report.c, sqlite_expire.c ---- */

/** Prepares sql, whose parameters ?1.. are the filters by key, and binds those present. */
int sqlite_prepare_filtered(struct sqlite_store *store, const char *sql, const struct store_filter *filter,
	sqlite3_stmt **out);
/** Appends " AND clause" for each filter present. @param skip bits of filters to leave out. */
void sqlite_put_clauses(struct buf *sql, const struct store_filter *filter, uint32_t skip);
/** Whether a partition may have records of the time asked for. */
bool sqlite_partition_has(const struct sqlite_partition *partition, const struct store_filter *filter);

int sqlite_store_query(struct store *store, const struct store_filter *filter, struct store_page *page,
	store_found_fn found, void *arg);
int sqlite_store_report(struct store *store, enum store_report report, const struct store_filter *filter,
	json_t **out);
int sqlite_store_expire(struct store *store, uint64_t now_s, uint64_t *deleted);
int sqlite_store_backup(struct store *store, const char *path);

#endif
