/*
 * Where the aggregator keeps records: a table of stores, one folder each. A record is
 * stored exactly once by (sensor, epoch, lane, sequence), and is durable when
 * store_commit() returns 0.
 *
 * Thread: a handle belongs to one thread; several handles may be open on the same store,
 * one of them as the writer.
 */
#ifndef MR_STORE_STORE_H
#define MR_STORE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/link/batch.h"
#include "lib/store/line.h"

enum {
	STORE_LIMIT_MAX = 1000,   /* records of one query */
	STORE_TEXT_MAX = 64,      /* bytes of a text filter */
	STORE_EXPIRE_CHUNK = 5000, /* records deleted in one store_expire(), where a part is not given up whole */
};

struct store;

/** Of the store "clickhouse"; lent while it is open. */
struct store_cluster {
	json_t *shards;            /* array of texts: URLs of a shard's replicas, separated by spaces */
	const char *database;      /* letters, digits, underscores */
	const char *user;
	const char *password_file; /* NULL or "": none */
	const char *ca;            /* the same; PEM, of https:// replicas */
	uint64_t quorum;           /* replicas that must have a record; 0: more than half */
	uint64_t insert_timeout_ms;
	const char *postgres;      /* as libpq reads it */
};

struct store_config {
	const char *path;              /* "sqlite" */
	struct store_cluster cluster;  /* "clickhouse" */
	uint64_t records_max;  /* 0: no bound */
	uint64_t bytes_max;    /* 0: no bound */
	uint64_t age_max_s;    /* since arrival; 0: no bound */
	uint64_t partition_records_max; /* after so many a part of its own begins; 0: the store's choice */
	const _Atomic bool *cancel; /* once it is true, queries end with -ETIMEDOUT; NULL: none */
	uint64_t query_max_ms; /* a query that runs longer ends with -ETIMEDOUT; 0: no bound */
};

/** A batch's body as it came, and its lines; lent for the call. A store may keep the former, which was checked. */
struct store_body {
	const void *data;
	size_t len;
	const char *lines; /* whole lines, each with its \n; struct store_line points into them */
	size_t lines_len;
};

/** What became of a batch. */
struct store_appended {
	uint64_t next;    /* the lane's next sequence: all before it is stored or declared lost */
	uint64_t stored;  /* records added */
	uint64_t skipped; /* records that were stored before */
	uint64_t lost;    /* sequences newly declared lost */
};

/* ---- questions ---- */

enum store_filter_key {
	STORE_SENSOR, STORE_SINCE, STORE_UNTIL, STORE_SRC_IP, STORE_DEST_IP, STORE_IP, STORE_PORT, STORE_PROTO,
	STORE_APP_PROTO, STORE_EVENT_TYPE, STORE_SIGNATURE_ID, STORE_SEVERITY, STORE_FUNCTION, STORE_FLOW_ID,
	STORE_FILTER_COUNT,
};

enum store_filter_type { STORE_IS_TEXT, STORE_IS_NUMBER, STORE_IS_TIME, STORE_IS_IP };

struct store_filter_desc {
	const char *name;            /* the query parameter */
	enum store_filter_type type;
	uint64_t max;                /* of a number */
	const char *help;
};

/** Indexed by enum store_filter_key. */
extern const struct store_filter_desc store_filters[STORE_FILTER_COUNT];

struct store_filter {
	uint32_t limit;    /* rows of a report that has a limit; 0: 10 */
	uint32_t bucket_s; /* of a report by time; 0: an hour */
	uint32_t present; /* bit i: value[i] is asked for */
	struct {
		int64_t number;  /* number, or ns since the Unix epoch */
		struct line_ip ip;      /* of a network its first */
		struct line_ip last_ip; /* of a network its last; len 0: one address */
		char text[STORE_TEXT_MAX + 1];
	} value[STORE_FILTER_COUNT];
};

/** Sets a filter from a query parameter. Times are RFC 3339 or seconds since the Unix epoch, addresses may be networks.
 *  @return 0, -ENOENT (no such filter), -EINVAL (not of its type), -EEXIST (set before). */
int store_filter_set(struct store_filter *filter, const char *name, const char *value);

enum store_order {
	STORE_NEWEST,  /* first, by (time, id) where a filter says type, signature, address or time; else by arrival */
	STORE_ARRIVAL, /* the oldest arrival first: what came after after_id */
};

/**
 * A page of records. It continues behind its last record, so that what arrives meanwhile moves nothing: a record is
 * never shown twice, and none that was there at the first page is left out.
 */
struct store_page {
	uint32_t limit;       /* 1..STORE_LIMIT_MAX */
	enum store_order order;
	uint64_t bytes_max;   /* of lines, beyond it the page ends behind its first record; 0: no bound */
	bool continues;       /* after the two below */
	int64_t after_ts_ns;
	int64_t after_id;
	bool more;            /* out: there are further records */
	int64_t last_id;      /* out: of the last record found when there are more, else of the newest of all */
};

/** A record found; lent for the call. line is one JSON object. */
struct store_found {
	int64_t id;
	int64_t ts_ns;
	const char *sensor;
	uint64_t epoch;
	enum link_lane lane;
	uint64_t sequence;
	const char *line;
	size_t line_len;
};

typedef void (*store_found_fn)(void *arg, const struct store_found *found);

/** What a report tells. Each is a JSON array of objects, or one object. */
enum store_report {
	STORE_REPORT_SENSORS,    /* [{sensor, first_seen, last_seen, records, lost}] */
	STORE_REPORT_LANES,      /* [{sensor, epoch, lane, acked, records, lost, updated}] */
	STORE_REPORT_GAPS,       /* [{sensor, epoch, lane, first, last, at}], newest first, at most STORE_LIMIT_MAX */
	STORE_REPORT_LOST,       /* {lost}: sequences that sensors had to drop, by when that was told */
	STORE_REPORT_EVENTS,     /* [{event_type, records}] */
	STORE_REPORT_PROTOCOLS,  /* [{protocol, function, name, requests, responses}] */
	STORE_REPORT_APPS,       /* [{app_proto, flows, packets, bytes}]; a flow of several records is one, where its first is */
	STORE_REPORT_SIGNATURES, /* [{signature_id, signature, severity, alerts, first, last}] */
	STORE_REPORT_TALKERS,    /* [{ip, flows, packets, bytes}], most bytes first, at most limit */
	STORE_REPORT_PAIRS,      /* [{src_ip, dest_ip, dest_port, proto, app_proto, flows, packets, bytes, first, last}]: by flows' originators, most bytes first, at most limit */
	STORE_REPORT_TREND,      /* [{time, severity, alerts}]: by buckets of bucket_s, newest first, at most limit */
	STORE_REPORT_FLOWS,      /* {flows, packets, bytes} */
	STORE_REPORT_STATS,      /* [{sensor, epoch, run, record}]: the newest stats record of each run of a sensor; its oldest may stand for several (runs.h) */
	STORE_REPORT_RETENTION,  /* {records, partitions, bytes, deleted_by_records, deleted_by_bytes, deleted_by_age} */
	STORE_REPORT_COUNT,
};

/** One row a store. */
struct store_ops {
	const char *name;
	bool shared; /* other programs may write to it at once */
	int (*open)(struct store **out, const struct store_config *config, bool writer);
	void (*close)(struct store *store);
	int (*next_sequence)(struct store *store, const struct batch_head *head, uint64_t *next);
	int (*append)(struct store *store, const struct batch_head *head, const struct store_body *body,
		const struct store_line *lines, struct store_appended *out);
	int (*commit)(struct store *store);
	void (*rollback)(struct store *store);
	int (*expire)(struct store *store, uint64_t now_s, uint64_t *deleted);
	int (*query)(struct store *store, const struct store_filter *filter, struct store_page *page,
		store_found_fn found, void *arg);
	int (*report)(struct store *store, enum store_report report, const struct store_filter *filter, json_t **out);
	int (*backup)(struct store *store, const char *path);
	bool (*is_lost)(const struct store *store); /* NULL: it finds its way back by itself */
};

/** In the order of store_kinds. */
enum store_kind { STORE_KIND_SQLITE, STORE_KIND_CLICKHOUSE };

/** Names for KNOB_CHOICE; ends with NULL. */
extern const char *const store_kinds[];

/** Whether other programs may write to this store at once, so that a lane may move on without this handle's doing. */
bool store_is_shared(const struct store *store);

/** Whether nothing could be written for so long, though there is room, that only opening it anew can help: its disk is gone. */
bool store_is_lost(const struct store *store);

/** @param kind index into store_kinds. @return 0 or -errno, logged. */
int store_open(struct store **out, unsigned int kind, const struct store_config *config, bool writer);
/** NULL is accepted. What was not committed is lost. */
void store_close(struct store *store);

/** The lane's next sequence, counting what is appended and not yet committed. @return 0 or -errno. */
int store_next_sequence(struct store *store, const struct batch_head *head, uint64_t *next);

/**
 * Adds a batch's records, skipping those stored before, within a transaction that is begun when none is open.
 *
 * @param lines [head->count]
 * @return 0; 1: the same, and no more is to be appended before store_commit();
 *         -ERANGE: the batch leaves a hole before it, nothing was changed, out->next is the sequence expected;
 *         -ESTALE: its number before out->next has another record than is stored: it is of a copy of the sensor's spool;
 *         -EALREADY: it ends before that number, so which of the two it is cannot be told: it is to be sent from there on;
 *         -EAGAIN: another program is writing this lane, nothing was changed: soon again;
 *         -EDQUOT: the sensor has used up its epochs, nothing was changed;
 *         -EHOSTUNREACH: the part of the store where it belongs takes nothing at present, nothing was changed;
 *         other -errno: the store failed, store_rollback() must follow
 */
int store_append(struct store *store, const struct batch_head *head, const struct store_body *body,
	const struct store_line *lines, struct store_appended *out);
/** @return 0: everything appended since the last commit is durable; -errno: nothing of it is. */
int store_commit(struct store *store);
void store_rollback(struct store *store);

/**
 * Takes one step at deleting the oldest records beyond the configured bounds, and commits. Call outside a transaction.
 *
 * @param deleted out: records that are gone from now on
 * @return 1: there is more to do, call again soon; 0: done; -errno
 */
int store_expire(struct store *store, uint64_t now_s, uint64_t *deleted);

/** @return the number of records found, or -errno (-ETIMEDOUT: stopped by query_max_ms). */
int store_query(struct store *store, const struct store_filter *filter, struct store_page *page,
	store_found_fn found, void *arg);
/** @param path of a file that must not exist. Writes all that is committed there, while others go on reading and
 *  writing. @return 0 or -errno, logged. */
int store_backup(struct store *store, const char *path);
/** @param out the caller's. @return 0 or -errno. */
int store_report(struct store *store, enum store_report report, const struct store_filter *filter, json_t **out);

#endif
