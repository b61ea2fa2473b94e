/*
 * What sinks that send to another program share: a spool of their own, and a thread that takes records from it, has them put
 * into the receiver's language, and sends them. A receiver that is slow, or away, holds nothing but its own spool; what that
 * has no room for is lost by the spool's rules, and counted.
 *
 * By a wire (take): a batch of records is given up only when the system took all of it. After a broken connection the batch
 * that was on its way is sent again: a record may come twice. These receivers acknowledge nothing, so what was in the
 * system's buffers of a connection that breaks is lost.
 *
 * By what the sink has of its own (pump): it gives records up itself, by outlet_ack(), when its receiver has acknowledged them.
 *
 * Threads: write, flush, drain, reopen: the exporter's; status, counters: any; the encoder's: the outlet's own.
 */
#ifndef MR_SINK_OUTLET_H
#define MR_SINK_OUTLET_H

#include "lib/base/buf.h"
#include "lib/sink/sink.h"
#include "lib/sink/wire.h"
#include "lib/spool/spool.h"

enum outlet_counter {
	OUTLET_TAKEN,     /* exporter */
	OUTLET_LOST,      /* exporter, a level: what the spool had no room for */
	OUTLET_SENT,
	OUTLET_BYTES,
	OUTLET_PASSED,    /* records that have no form in the receiver's language */
	OUTLET_TOO_LONG,
	OUTLET_CONNECTS,
	OUTLET_FAILURES,
	OUTLET_COUNTER_COUNT,
};

/** Names under a prefix: OUTLET_COUNTERS("sink.syslog") */
#define OUTLET_COUNTERS(prefix) { \
	[OUTLET_TAKEN] = { prefix ".taken", "records put into its spool" }, \
	[OUTLET_LOST] = { prefix ".lost", "records lost because its spool was full or the disk did not take them" }, \
	[OUTLET_SENT] = { prefix ".sent", "records sent, repeats included" }, \
	[OUTLET_BYTES] = { prefix ".bytes", "bytes sent" }, \
	[OUTLET_PASSED] = { prefix ".passed", "records that say nothing to this receiver" }, \
	[OUTLET_TOO_LONG] = { prefix ".too_long", "records dropped because they are longer than a message may be" }, \
	[OUTLET_CONNECTS] = { prefix ".connects", "connections made" }, \
	[OUTLET_FAILURES] = { prefix ".failures", "connections that failed or broke" }, \
}

struct outlet;

/** What a receiver's language needs. Called on the outlet's thread. */
struct outlet_encoder {
	/** Puts a record into messages by outlet_put(). @return 0, -ENOENT (it has no form) or -EMSGSIZE */
	int (*take)(void *arg, struct outlet *outlet, const char *line, size_t len);
	/** Puts what take() kept back. NULL: it keeps nothing back. */
	void (*finish)(void *arg, struct outlet *outlet);
	/** A connection begins. NULL: nothing goes first. */
	void (*begin)(void *arg, struct outlet *outlet);
	/** Does some of the sink's own sending, and comes back within a second; called again and again. NULL: sent by the wire. */
	void (*pump)(void *arg, struct outlet *outlet);
};

struct outlet_config {
	const char *name;                     /* in log lines */
	const struct counter_desc *counters;  /* [OUTLET_COUNTER_COUNT] */
	const char *spool;                    /* folder */
	uint64_t spool_size;                  /* bytes */
	uint32_t lanes;                       /* bit i: records of lane i are wanted */
	uint64_t backoff_max_ms;
	uint64_t drain_ms;
	struct wire_config wire;              /* not looked at where the encoder has a pump */
};

/** Starts the thread. @param encoder, arg borrowed. @return 0 or -errno with err set */
int outlet_create(struct outlet **out, const struct outlet_config *config, const struct outlet_encoder *encoder, void *arg,
	struct config_error *err);
/** Stops at once; what is not sent stays in the spool. NULL is accepted. */
void outlet_destroy(struct outlet *outlet);

/** Puts a message on its way: of UDP a datagram, else bytes. A failure shows when the batch ends. The outlet's thread. */
void outlet_put(struct outlet *outlet, const void *data, size_t len);
enum wire_transport outlet_transport(const struct outlet *outlet);

/* ---- for a pump, on the outlet's thread ---- */

/**
 * Copies a lane's records as lines ended by \n. What the spool lost before them is passed over, and so is what it says in a
 * lane that nobody asked for.
 *
 * @param want   from_seq above what was acknowledged
 * @param batch  out; batch->first may be above what was wanted
 * @param lines  out: lent until the next call
 * @return whether there is any
 */
bool outlet_peek(struct outlet *outlet, const struct spool_want *want, struct spool_batch *batch, const char **lines);
/** All of the lane up to seq is given up. */
void outlet_ack(struct outlet *outlet, enum link_lane lane, uint64_t seq);
struct spool *outlet_spool(struct outlet *outlet);
void outlet_count(struct outlet *outlet, enum outlet_counter which, uint64_t n);
/** For status and log. @param why  what fails; NULL: the receiver takes records */
void outlet_report(struct outlet *outlet, const char *why);
/** Until there may be new records, outlet_wake_fd() is written to, or so much time has passed. */
void outlet_wait(struct outlet *outlet, uint64_t ms);
/** An eventfd; others may write to it. */
int outlet_wake_fd(const struct outlet *outlet);

/* ---- the exporter's ---- */

void outlet_write(struct outlet *outlet, enum link_lane lane, const char *line, size_t len);
void outlet_flush(struct outlet *outlet);
int outlet_drain(struct outlet *outlet, uint64_t timeout_ms);
json_t *outlet_status(struct outlet *outlet);
struct counter_set outlet_get_counters(struct outlet *outlet);

/** What a sink that sends by an outlet begins with; struct sink_ops takes the functions behind it as they are. */
struct outlet_sink {
	struct outlet *outlet;
	bool is_check; /* its settings are looked at: nothing is to be begun */
};

/** What the settings of each such sink begin with. */
struct outlet_settings {
	bool enabled;
	json_t *lanes;        /* names; NULL: those of the kind */
	const char *spool;    /* folder */
	uint64_t spool_size;  /* bytes */
	uint64_t backoff_max_ms;
	uint64_t drain_ms;
};

struct outlet_sink_kind {
	const char *name;                    /* its keys are those of outputs.NAME. */
	const struct knob_table *knobs;
	const struct counter_desc *counters; /* [OUTLET_COUNTER_COUNT] */
	uint32_t lanes;                      /* bit i: of lane i, unless the settings name others */
	size_t size;                         /* bytes of the sink, which begins with struct outlet_sink */
	const struct outlet_encoder *encoder;
	/** Fills the zeroed sink and the wire from the settings, which are lent for the call. @return 0 or -errno with err set */
	int (*start)(void *self, const struct outlet_settings *settings, struct wire_config *wire, struct config_error *err);
	/** Takes a sink that start() left half done as well. */
	void (*destroy)(void *self);
};

/**
 * Reads the settings, makes the sink and starts its outlet.
 *
 * @param self      out: NULL where it is not enabled
 * @param settings  the caller's, of the kind's own struct
 * @return 0 or -errno with err set
 */
int outlet_sink_create(void **self, const struct outlet_sink_kind *kind, struct outlet_settings *settings, struct config *config,
	struct config_error *err);
/** Whether outlet_sink_create() would take the settings. Connects to nothing. @return 0 or -errno with err set */
int outlet_sink_check(const struct outlet_sink_kind *kind, struct outlet_settings *settings, struct config *config, struct config_error *err);
void outlet_sink_write(void *self, enum link_lane lane, const char *line, size_t len);
void outlet_sink_flush(void *self, uint64_t now_ns);
int outlet_sink_drain(void *self, uint64_t timeout_ms);
json_t *outlet_sink_status(void *self);
unsigned int outlet_sink_counters(void *self, struct counter_set sets[]);

/** The value at a dotted path of a record, keys of at most 63 bytes; NULL: there is none. Borrowed from root. */
const json_t *outlet_value_at(const json_t *root, const char *path);
/** "alert", "asset", ... to bits. @param names list of strings; NULL: fallback. @return 0 or -EINVAL with err set */
int outlet_read_lanes(uint32_t *out, json_t *names, uint32_t fallback, const char *key, struct config_error *err);

#endif
