/* What the files of the uplink share. All of it is the uplink thread's, but for what says otherwise. */
#ifndef MR_LINK_UPLINK_PRIVATE_H
#define MR_LINK_UPLINK_PRIVATE_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/link/batch.h"
#include "lib/link/uplink.h"

enum {
	UPLINK_ANSWER_LEN_MAX = 4096,
	UPLINK_URL_LEN_MAX = 1024,
	UPLINK_BACKOFF_MIN_MS = 100,
	UPLINK_POLL_MS = 100,        /* longest sleep: a wakeup may be missed, the spool's sync is due */
	UPLINK_GROW_AFTER = 16,      /* acknowledgements in a row before a lane's batches and window grow again */
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
	UPLINK_COUNTER_COUNT,
};

enum flight_state {
	FLIGHT_FREE,
	FLIGHT_READY, /* encoded, to be sent (again) */
	FLIGHT_AIR,   /* handed to curl */
};

struct uplink_flight {
	enum flight_state state;
	bool stale; /* in the air, but its lane has gone back: only an acknowledgement counts */
	struct batch_head head;
	struct buf body;
	uint64_t not_before_ms;
	CURL *easy;
	struct curl_slist *headers;
	char answer[UPLINK_ANSWER_LEN_MAX];
	size_t answer_len;
	char error[CURL_ERROR_SIZE];
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
	bool declare;            /* the next batch says Millrace-Skip-To */
	_Atomic uint64_t sent;   /* any thread may read */
	_Atomic uint64_t in_flight;
};

struct uplink {
	struct uplink_config config;
	struct spool *spool;
	char url[UPLINK_URL_LEN_MAX];
	char sensor[BATCH_SENSOR_MAX + 1];
	char proxy_password[256];
	CURLM *multi;
	struct batch_encoder *encoder;
	struct buf lines;
	struct uplink_lane lanes[LINK_LANE_COUNT];
	struct uplink_flight flights[UPLINK_WINDOW_MAX];
	uint64_t not_before_ms;
	uint64_t backoff_ms;
	unsigned int poison_run;
	uint64_t random;
	int quarantine_fd;
	uint64_t quarantine_len;
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
int uplink_http_identity(const char *cert_path, char sensor[BATCH_SENSOR_MAX + 1]);

/* uplink_lane.c */
void uplink_fill_flights(struct uplink *uplink, uint64_t now_ms);
void uplink_start_flights(struct uplink *uplink, uint64_t now_ms);
void uplink_lane_rewind(struct uplink *uplink, enum link_lane lane, uint64_t to);
void uplink_flight_free(struct uplink *uplink, struct uplink_flight *flight);

/* uplink_answer.c */
void uplink_finish(struct uplink *uplink, struct uplink_flight *flight, CURLcode result);

/* uplink_quarantine.c */
int uplink_quarantine_create(struct uplink *uplink, const char *spool_path);
int uplink_quarantine(struct uplink *uplink, const struct uplink_flight *flight, const char *why);

#endif
