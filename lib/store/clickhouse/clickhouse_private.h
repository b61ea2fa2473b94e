/* Shared by the files of this folder. */
#ifndef MR_STORE_CLICKHOUSE_PRIVATE_H
#define MR_STORE_CLICKHOUSE_PRIVATE_H

#include "lib/base/buf.h"
#include "lib/postgres/pg.h"
#include "lib/store/clickhouse/clickhouse_store.h"
#include "lib/store/store_private.h"

enum {
	CLICKHOUSE_SHARDS_MAX = 64,
	CLICKHOUSE_REPLICAS_MAX = 8,
	CLICKHOUSE_BLOCK_BITS = 24,             /* of a record's id: its place in its block */
	CLICKHOUSE_GATHER_MAX = 64 * 1024 * 1024, /* bytes of rows, beyond it a block is closed */
	CLICKHOUSE_ANSWER_MAX = 1024 * 1024 * 1024,
	CLICKHOUSE_LOCK_BLOCKS = 0x6d720002,    /* advisory: shared while a block is numbered, exclusive for a snapshot */
	CLICKHOUSE_LOCK_JANITOR = 0x6d720003,
};

/** Bytes that grow. */
struct clickhouse_bytes {
	char *data;
	size_t len;
	size_t cap;
	bool failed; /* sticky: no memory, or above CLICKHOUSE_ANSWER_MAX */
};

void clickhouse_bytes_put(struct clickhouse_bytes *bytes, const void *data, size_t len);
void clickhouse_bytes_printf(struct clickhouse_bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));
void clickhouse_bytes_free(struct clickhouse_bytes *bytes);

/** How many of a partition's records a replica was seen to have. */
struct clickhouse_seen {
	int64_t part;
	int64_t records;
};

struct clickhouse_node {
	char *url;            /* http://HOST:PORT */
	const char *replica;  /* HOST:PORT, in it */
	void *easy;           /* CURL */
	bool ready;           /* its schema is this program's */
	unsigned int major;   /* of its version */
	uint64_t uptime_s;    /* when it was last asked */
	struct clickhouse_seen *seen; /* [seen_count], by part */
	size_t seen_count;
};

struct clickhouse_shard {
	struct clickhouse_node nodes[CLICKHOUSE_REPLICAS_MAX];
	unsigned int node_count;
	unsigned int current;          /* the node that did what was last asked */
	unsigned int quorum;
	bool away;                     /* it took no block, and was not seen to be able to since */
	uint64_t away_ms;              /* when it was last found so */
	struct clickhouse_bytes rows;  /* the writer's: of the block that is gathered */
	uint32_t row_count;
};

/** A lane that the open block moves on; its row in PostgreSQL is locked. */
struct clickhouse_lane {
	char sensor[BATCH_SENSOR_MAX + 1];
	uint64_t epoch;
	enum link_lane lane;
	struct store_tail tail;
	uint64_t stored;
	uint64_t lost;
};

/** What the open block consists of. */
struct clickhouse_block {
	int64_t id;   /* 0: none is open */
	int64_t part;
	int64_t now_s;
	uint32_t row_count;
	size_t bytes;
	int64_t ts_min_ns;
	int64_t ts_max_ns;
	bool sent;    /* some node may have got it */
	struct clickhouse_lane *lanes; /* [lane_cap], open addressing by (sensor, epoch, lane); tail.next 0: free */
	size_t lane_cap;
	size_t lane_count;
};

struct clickhouse_store {
	struct store base;
	struct clickhouse_shard shards[CLICKHOUSE_SHARDS_MAX];
	unsigned int shard_count;
	char *database;
	char *ca;
	void *headers; /* curl_slist: who asks */
	char *postgres;
	struct pg *tx;    /* the writer's: lanes are locked and moved on here */
	struct pg *aside; /* what does not wait for that */
	struct clickhouse_block block;
	uint64_t insert_timeout_ms;
	uint64_t query_max_ms;
	uint64_t records_max;
	uint64_t bytes_max;
	uint64_t age_max_s;
	uint64_t partition_records_max;
	uint64_t deadline_ms; /* of the question that runs; 0: none */
	const _Atomic bool *cancel;
	uint64_t cleaned_ms;  /* when blocks were last looked after */
	uint64_t folded_ms;   /* when runs were */
};

static inline struct clickhouse_store *
clickhouse_of(struct store *store)
{
	return (struct clickhouse_store *)store;
}

/* ---- clickhouse_client.c: one request to one node ---- */

struct clickhouse_call {
	const char *sql;
	const void *body;    /* NULL: sql is all */
	size_t body_len;
	const char *settings; /* "&name=value..."; NULL: none */
	uint64_t timeout_ms;
	bool no_database;    /* it is not there yet */
};

uint64_t clickhouse_clock_ms(void);
/** @param shards a text each: URLs of its replicas, separated by spaces. @return 0 or -errno, logged */
int clickhouse_nodes_create(struct clickhouse_store *store, const struct store_cluster *cluster);
void clickhouse_nodes_destroy(struct clickhouse_store *store);
/** @return 0; -ENOTCONN: nothing of it came there; -EREMOTEIO: the node refused it, or has ended; -ETIMEDOUT; -ENOMEM. What
 *  went wrong is logged but for -ETIMEDOUT. */
int clickhouse_ask(struct clickhouse_store *store, struct clickhouse_node *node, const struct clickhouse_call *call,
	struct clickhouse_bytes *answer);

/* ---- clickhouse_schema.c ---- */

/** Brings the node's tables to this program's version. @return 0, -EPROTO: it is of another version; other -errno */
int clickhouse_node_ready(struct clickhouse_store *store, struct clickhouse_shard *shard, struct clickhouse_node *node);

/* ---- clickhouse_block.c: a block's life in PostgreSQL and ClickHouse ---- */

/** Numbers a block, and begins the transaction that will move its lanes on. */
int clickhouse_block_open(struct clickhouse_store *store, int64_t now_s);
/** Sends its rows to a quorum of each shard's replicas. @return 0 or -errno: it is not known what became of them */
int clickhouse_block_send(struct clickhouse_store *store);
/** Whether the shard can take a block, as far as is known: one that failed is asked again, once a second. */
bool clickhouse_shard_is_there(struct clickhouse_store *store, struct clickhouse_shard *shard);
/** The transaction's end: what was sent counts. */
int clickhouse_block_settle(struct clickhouse_store *store);
/** Rolls back; what may have come to a node never counts. */
void clickhouse_block_give_up(struct clickhouse_store *store);
/** Gives up what gateways that died have left, and forgets what came nowhere. */
int clickhouse_blocks_clean(struct clickhouse_store *store);

/* ---- clickhouse_append.c ---- */

int clickhouse_store_next(struct store *base, const struct batch_head *head, uint64_t *next);
int clickhouse_store_append(struct store *base, const struct batch_head *head, const struct store_body *body,
	const struct store_line *lines, struct store_appended *out);

/* ---- clickhouse_runs.c ---- */

/** Keeps the newest stats record of each run; retention never takes it away. */
int clickhouse_run_note(struct clickhouse_store *store, const struct batch_head *head, const struct store_line *line);
/** Where a sensor has too many runs, some of them become one. @return 1: there may be more, 0 or -errno */
int clickhouse_runs_fold(struct clickhouse_store *store);

/* ---- clickhouse_snapshot.c: what is to be seen, and where ---- */

struct clickhouse_part {
	int64_t id;
	int64_t ts_min_ns;
	int64_t ts_max_ns;
	int64_t records;
};

struct clickhouse_stock {
	int64_t part;
	int64_t shard;
	int64_t records;
};

struct clickhouse_snapshot {
	int64_t last_block;  /* later ones are not seen */
	int64_t horizon;     /* no block up to here is still to come */
	struct clickhouse_bytes hidden; /* "12,15": blocks up to last_block that are not seen */
	struct clickhouse_part *parts;  /* [part_count], newest first */
	size_t part_count;
	struct clickhouse_stock *stock; /* [stock_count] */
	size_t stock_count;
	struct clickhouse_node *nodes[CLICKHOUSE_SHARDS_MAX]; /* of each shard, one that has all of it */
};

/** Begins a question that ends by query_max_ms. */
void clickhouse_start_deadline(struct clickhouse_store *store);
/** Takes one, and finds for each shard a replica that has all it shows. @return 0 or -errno; free it in any case */
int clickhouse_snapshot_take(struct clickhouse_store *store, struct clickhouse_snapshot *out);
void clickhouse_snapshot_free(struct clickhouse_snapshot *snapshot);
/** Asks each shard's node of the snapshot. */
int clickhouse_snapshot_ask(struct clickhouse_store *store, struct clickhouse_snapshot *snapshot, unsigned int shard,
	const char *sql, struct clickhouse_bytes *answer);
/** Appends "block <= .. AND part IN (..)" for the parts [from, to) that may have records of the time asked for.
 *  @return whether there are any */
bool clickhouse_put_visible(struct clickhouse_bytes *sql, const struct clickhouse_snapshot *snapshot,
	const struct store_filter *filter, size_t from, size_t to);
/** Appends " AND clause" for each filter present. @param skip bits of filters to leave out. */
void clickhouse_put_clauses(struct clickhouse_bytes *sql, const struct store_filter *filter, uint32_t skip);

/* ---- clickhouse_query.c, clickhouse_report.c, clickhouse_expire.c ---- */

/** Lines by records' ids, in no order. */
typedef int (*clickhouse_line_fn)(void *arg, int64_t id, const char *line, size_t len);
int clickhouse_lines(struct clickhouse_store *store, struct clickhouse_snapshot *snapshot, const char *where,
	clickhouse_line_fn found, void *arg);
int clickhouse_store_query(struct store *base, const struct store_filter *filter, struct store_page *page,
	store_found_fn found, void *arg);
int clickhouse_store_report(struct store *base, enum store_report which, const struct store_filter *filter, json_t **out);
/** Of one copy of all shards' records. */
int clickhouse_disk_bytes(struct clickhouse_store *store, uint64_t *bytes);
int clickhouse_store_expire(struct store *base, uint64_t now_s, uint64_t *deleted);

#endif
