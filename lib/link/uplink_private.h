/* What the files of the uplink share. All of it is the uplink thread's, but for what says otherwise. */
#ifndef MR_LINK_UPLINK_PRIVATE_H
#define MR_LINK_UPLINK_PRIVATE_H

#include <assert.h>
#include <limits.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/link/batch.h"
#include "lib/link/expiry.h"
#include "lib/link/relay.h"
#include "lib/link/uplink.h"
#include "lib/link/uplink_identity.h"
#include "lib/link/way.h"

enum {
	UPLINK_ANSWER_LEN_MAX = 4096,
	UPLINK_URL_LEN_MAX = 1024,
	UPLINK_BACKOFF_MIN_MS = 100,
	UPLINK_POLL_MS = 100,        /* longest sleep: a wakeup may be missed, the spool's sync is due */
	UPLINK_TIMEOUT_FACTOR = 20,  /* of timeout-ms: the bound on a request that does move */
	UPLINK_GROW_AFTER = 16,      /* acknowledgements in a row before a lane's batches and window grow again */
	UPLINK_CAPPED_WINDOW = 2,    /* batches on their way on a line of bounded bandwidth, the one for alerts included */
	UPLINK_CAPPED_BATCH_S = 4,   /* how long one may take */
	UPLINK_CAPPED_BYTES_MIN = 4096,
	UPLINK_POISON_RUN_MAX = 8,   /* refused records in a row before pauses: a server that refuses all is ill */
	UPLINK_HOLE_RUN_MAX = 4,     /* the same for answers about sequences */
};

enum uplink_counter {
	UPLINK_BATCHES,
	UPLINK_RECORDS,
	UPLINK_LINES_BYTES,
	UPLINK_BODY_BYTES,
	UPLINK_ACKED_BATCHES,
	UPLINK_HOLES,
	UPLINK_TOO_LARGE,
	UPLINK_LATER,
	UPLINK_FAILED,
	UPLINK_POISON,
	UPLINK_QUARANTINED,
	UPLINK_QUARANTINE_LOST,
	UPLINK_SKIPPED,
	UPLINK_EPOCHS,
	UPLINK_WAY,
	UPLINK_WAY_CHANGES,
	UPLINK_FAILOVERS,
	UPLINK_FAILBACKS,
	UPLINK_PROBES_FAILED,
	UPLINK_SENT_BYTES,
	UPLINK_RATE,
	UPLINK_RECEIVED_BYTES,
	UPLINK_CERT_RELOADS,
	UPLINK_CERT_RELOADS_FAILED,
	UPLINK_CERT_WARNINGS,
	UPLINK_CERT_DAYS_LEFT,
	UPLINK_COUNTER_COUNT,
};

enum flight_state {
	FLIGHT_FREE,
	FLIGHT_READY, /* encoded, to be sent (again) */
	FLIGHT_AIR,   /* handed to curl */
};

static_assert((int)BATCH_SENSOR_MAX <= (int)SPOOL_OWNER_MAX, "a sensor owns its spool");

struct uplink_flight {
	enum flight_state state;
	bool stale; /* in the air, but its lane has gone back: only an acknowledgement counts */
	struct batch_head head;
	struct buf body;
	uint64_t not_before_ms;
	uint64_t acked_before; /* of its lane, when it was sent */
	CURL *easy;
	struct curl_slist *headers;
	char answer[UPLINK_ANSWER_LEN_MAX];
	size_t answer_len;
	char error[CURL_ERROR_SIZE];
	unsigned int generation; /* of the connections it may use */
	struct curl_slist *connect_to;
	struct uplink *uplink;
	struct way_failure way_failure; /* of the connection it opened; WAY_DONE: none */
};

/* Where to, as whom, by which ways: what the configuration says, copied and checked. */
struct uplink_target {
	struct way_end end;
	char url[UPLINK_URL_LEN_MAX];
	char pin[1024];
	char crl[WAY_PATH_LEN_MAX + 1]; /* "": none */
	struct identity_paths paths;
	struct identity identity;
	struct way_set *ways;
};

/* A try of a preferred way while another is in use. */
struct uplink_probe {
	bool running;
	unsigned int way_idx;
	_Atomic bool done;
	bool good;
	struct way_failure failure;
	int cancel[2]; /* a socket pair: closing the first ends the walk */
	pthread_t thread;
};

struct uplink_way {
	struct relay *relay;
	_Atomic(const struct way *) current; /* any thread may read */
	unsigned int idx;
	unsigned int generation; /* connections of an older one are not used again */
	unsigned int failed;     /* requests in a row */
	unsigned int tried;      /* ways in a row */
	uint64_t rate;           /* bytes a second in force on it; 0: no bound */
	uint64_t rate_ms;        /* when to look at the time of day */
	uint64_t probe_ms;       /* when to try a preferred one */
	uint64_t identity_ms;    /* when to look at the certificate files */
	uint64_t expiry_ms;      /* when to look at their dates */
	struct expiry expiry[2]; /* certificate, CA */
	struct uplink_probe probe;
};

struct uplink_lane {
	uint64_t next;           /* first sequence not in a flight yet */
	uint64_t probe_until;    /* a poison batch's last sequence while it is narrowed down */
	uint64_t not_before_ms;
	uint32_t batch_records;
	size_t batch_bytes;
	unsigned int window;
	unsigned int good_run;
	unsigned int hole_run;
	int credit;
	bool met;                /* an acknowledgement has come since the start: before, one batch asks whether the spool is a copy */
	bool declare;            /* the next batch says Millrace-Skip-To */
	_Atomic uint64_t sent;   /* any thread may read */
	_Atomic uint64_t in_flight;
};

struct uplink {
	struct uplink_config config;
	struct spool *spool;
	struct uplink_target target;
	struct uplink_way way;
	CURLM *multi;
	struct batch_encoder *encoder;
	struct buf lines;
	struct uplink_lane lanes[LINK_LANE_COUNT];
	struct uplink_flight flights[UPLINK_WINDOW_MAX];
	uint64_t not_before_ms;
	uint64_t backoff_ms;
	unsigned int poison_run;
	uint64_t random;
	char quarantine_path[PATH_MAX];
	pthread_t thread;
	bool started;
	bool curl_ready;
	_Atomic bool stop;
	_Atomic bool connected;
	_Atomic unsigned int in_flight;
	pthread_mutex_t error_lock;
	char last_error[UPLINK_ERROR_LEN_MAX];
	_Atomic uint64_t counters[UPLINK_COUNTER_COUNT];
};

static inline void
uplink_count(struct uplink *uplink, enum uplink_counter counter, uint64_t n)
{
	counter_add(&uplink->counters[counter], n);
}

static inline uint64_t
flight_last(const struct uplink_flight *flight)
{
	return flight->head.sequence + flight->head.count - 1;
}

uint64_t uplink_now_ms(void);
void uplink_set_error(struct uplink *uplink, const char *text);

/* uplink_http.c */
int uplink_http_create(struct uplink *uplink);
void uplink_http_destroy(struct uplink *uplink);
int uplink_http_start(struct uplink *uplink, struct uplink_flight *flight);

/* uplink_config.c: logged, and err set. */
int uplink_config_fail(struct config_error *err, int rc, const char *key, const char *value, const char *why);
int uplink_target_read(struct uplink_target *target, const struct uplink_config *config, struct config_error *err);
void uplink_target_free(struct uplink_target *target);

/* uplink_way.c */
int uplink_way_create(struct uplink *uplink);
void uplink_way_destroy(struct uplink *uplink);
/* Tells a request's handle how its connections are made. */
void uplink_way_set(struct uplink *uplink, struct uplink_flight *flight);
/* Before each start: on the way in use, with the certificates in force. @return 0 or -ENOMEM */
int uplink_way_ready(struct uplink *uplink, struct uplink_flight *flight);
void uplink_way_tick(struct uplink *uplink, uint64_t now_ms);
void uplink_way_worked(struct uplink *uplink, const struct uplink_flight *flight);
/* After a request on the way in use failed. @return whether another way was taken, so that no pause is due */
bool uplink_way_failed(struct uplink *uplink);
/* New connections from now on. */
void uplink_way_renew(struct uplink *uplink);
/* How many lanes may send on it, from the most urgent on. */
unsigned int uplink_way_lanes(const struct uplink *uplink);
/* Batches on their way at once, and bytes of one before compression, by the bandwidth in force. */
unsigned int uplink_way_window(const struct uplink *uplink);
size_t uplink_way_batch_bytes(const struct uplink *uplink, size_t batch_bytes);

/* uplink_fault.c: what a request without an answer died of. */
void uplink_fault_name(const struct uplink_flight *flight, CURLcode result, struct way_failure *out);

/* uplink_lane.c */
void uplink_fill_flights(struct uplink *uplink, uint64_t now_ms);
void uplink_start_flights(struct uplink *uplink, uint64_t now_ms);
void uplink_lane_rewind(struct uplink *uplink, enum link_lane lane, uint64_t to);
void uplink_flight_free(struct uplink *uplink, struct uplink_flight *flight);

/* uplink_answer.c */
void uplink_finish(struct uplink *uplink, struct uplink_flight *flight, CURLcode result);
/* What an answer does to a flight in the air and its lane; uplink_finish() took it from curl. */
void uplink_answered(struct uplink *uplink, struct uplink_flight *flight, const struct batch_answer *answer);

/* uplink_quarantine.c */
/* Whether quarantine_path can be written. */
int uplink_quarantine_create(const struct uplink *uplink);
int uplink_quarantine(struct uplink *uplink, const struct uplink_flight *flight, const char *why);

#endif
