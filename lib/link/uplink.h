/*
 * The sensor's half of the link: one thread takes records from the spool lane by lane, most urgent first but no
 * lane starved, and posts them in batches (batch.h) to the aggregator until each is acknowledged. It never
 * gives up: what cannot be sent now is tried again, with growing pauses; what the aggregator will never take is narrowed
 * down to the record, put into a quarantine file, reported as a gap, and passed over.
 *
 * TLS 1.3, or 1.2 with ECDHE and AES-256-GCM; the server's name and its CA are always checked; the client
 * certificate says who the sensor is, and is read again when its file changes. The aggregator is reached by ways
 * (way.h), the preferred one first. The environment's proxy variables are not looked at.
 *
 * Threads: create, destroy: the owner; wake, wait, status, counters: any.
 */
#ifndef MR_LINK_UPLINK_H
#define MR_LINK_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/config/config.h"
#include "lib/spool/spool.h"

enum {
	UPLINK_WINDOW_MAX = 16,
	UPLINK_ERROR_LEN_MAX = 256,
};

struct uplink_config {
	bool enabled;
	const char *url;       /* https://host:port of the aggregator */
	const char *sensor;    /* "": the certificate's subject CN, which it must equal */
	const char *cert;      /* PEM files */
	const char *key;
	const char *ca;
	const json_t *ways;    /* way.h; NULL: the one of the next five */
	const json_t *hosts;   /* "NAME ADDRESS", ... */
	const char *proxy;     /* SCHEME://HOST:PORT; http, https, socks5h, socks5; "": direct */
	const char *pre_proxy; /* one to pass before it; "": none */
	const char *proxy_user;
	const char *proxy_password_file; /* first line; read at each connection */
	const char *proxy_ca;  /* of an https proxy; "": as ca */
	const char *source;    /* address to come from; "": the system's choice */
	const char *interface;
	bool metered;          /* alerts only */
	const json_t *bandwidth; /* rate.h; NULL: no bound */
	uint64_t failover_after; /* failures in a row */
	uint64_t failback_s;
	const char *crl;       /* PEM; "": none */
	const char *pin;       /* "sha256//BASE64[;...]"; "": none */
	uint64_t window;       /* batches in flight */
	uint64_t batch_records;
	uint64_t batch_bytes;  /* of lines, before compression */
	uint64_t zstd_level;
	uint64_t connect_timeout_ms; /* of each step of a way */
	uint64_t timeout_ms;   /* of a request in which nothing moves */
	uint64_t backoff_max_ms;
	uint64_t drain_ms;     /* how long a stop waits for acknowledgements */
	const char *quarantine; /* file; "": quarantine.ndjson in the spool's folder */
	uint64_t quarantine_size; /* bytes; beyond it refused records are only counted */
};

struct way_set;

/** The ways that the configuration says (way.h). @param out owned by the caller. @return 0 or -errno with err set, logged */
int uplink_ways_read(struct way_set **out, const struct uplink_config *config, struct config_error *err);

/** Keys of `uplink.`. */
extern const struct knob_table uplink_knobs;

struct uplink_status {
	char way[64];                /* name of the one in use */
	bool metered;                /* it is: alerts only */
	bool connected;              /* the last request was answered */
	unsigned int in_flight;      /* batches */
	char last_error[UPLINK_ERROR_LEN_MAX]; /* "" when there was none since the last acknowledgement */
	struct {
		uint64_t appended;   /* highest sequences */
		uint64_t sent;
		uint64_t acked;
		uint64_t in_flight;  /* records */
		uint64_t bytes;      /* on disk */
	} lanes[LINK_LANE_COUNT];
};

struct uplink;

/**
 * Checks the configuration and the files, starts the thread.
 *
 * @param config copied; its strings are read during the call only
 * @param spool  borrowed; the uplink is its reader until destroyed
 * @param err    out: the key and what is wrong
 * @return 0, -EINVAL, -ENOMEM or -errno
 */
int uplink_create(struct uplink **out, const struct uplink_config *config, struct spool *spool, struct config_error *err);
/** Stops the thread at once; what is not acknowledged stays in the spool. NULL is accepted. */
void uplink_destroy(struct uplink *uplink);
/** There may be new records. */
void uplink_wake(struct uplink *uplink);
/** Waits until everything readable is acknowledged or given up. @return 0 or -ETIMEDOUT */
int uplink_wait_drained(struct uplink *uplink, uint64_t timeout_ms);
void uplink_get_status(struct uplink *uplink, struct uplink_status *status);
struct counter_set uplink_get_counters(struct uplink *uplink);
extern const struct counter_table uplink_counter_table;

#endif
