/*
 * The exporter: one thread that takes events from the workers' rings, encodes each as an EVE
 * line and hands it to the sinks. exporter.c shows an event's whole path.
 */
#ifndef MR_SENSOR_EXPORTER_H
#define MR_SENSOR_EXPORTER_H

#include <stdatomic.h>

#include "app/sensor/worker.h"
#include "lib/sink/sink.h"

enum exporter_counter {
	EXPORTER_EVENTS,
	EXPORTER_BYTES,
	EXPORTER_TOO_LONG,   /* lines longer than the buffer */
	EXPORTER_TURNS,
	EXPORTER_STALLS,     /* the watchdog's */
	EXPORTER_EVENTS_ALERT, /* by enum event_type from here on */
	EXPORTER_EVENTS_APP,
	EXPORTER_EVENTS_ANOMALY,
	EXPORTER_EVENTS_ARP,
	EXPORTER_EVENTS_FLOW,
	EXPORTER_EVENTS_ASSET,
	EXPORTER_EVENTS_PACKET,
	EXPORTER_EVENTS_SUMMARY,
	EXPORTER_EVENTS_FILE,
	EXPORTER_COUNTER_COUNT,
};

extern const struct counter_desc exporter_counters[EXPORTER_COUNTER_COUNT];

struct exporter;

/** Appends one stats line: "{…}". Called on the exporter's thread. */
typedef void (*exporter_stats_fn)(void *arg, struct buf *out);

struct exporter_config {
	const struct settings *settings;
	struct worker *const *workers;
	unsigned int worker_count;
	const char *const *port_names;
	unsigned int port_count;
	struct sink_set *sinks;      /* borrowed; NULL: lines are encoded and thrown away (the benchmark) */
	exporter_stats_fn stats;     /* NULL: no stats events */
	void *stats_arg;
	uint64_t stats_interval_ms;  /* 0: only at the end */
	int core;                    /* CPU; -1: any */
	bool measure;                /* keep the time from rx to line */
};

/** An encoder of events as EVE lines, as the settings have them: one thread uses it. @return 0 or -errno */
int exporter_json_create(struct event_json **out, const struct settings *s, const char *const port_names[], unsigned int port_count);
/** @param config copied. @return 0 or -errno */
int exporter_create(struct exporter **out, const struct exporter_config *config);
int exporter_start(struct exporter *exporter);
/** Drains every ring, writes a last stats line, flushes, joins. Call when the workers are done. */
void exporter_stop(struct exporter *exporter);
void exporter_destroy(struct exporter *exporter);
/** Any thread: waits until every event pushed before the call is written. */
void exporter_barrier(struct exporter *exporter);
/** Any thread: sinks open their files anew at the next turn. */
void exporter_reopen(struct exporter *exporter);
struct counter_set exporter_get_counters(struct exporter *exporter);
/** After exporter_stop(): the time below which the given share of events was encoded after its frame was received,
 *  ns; share 0..1. */
uint64_t exporter_latency_ns(const struct exporter *exporter, double share);

#endif
