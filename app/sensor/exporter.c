/*
 * An event's whole path: out of a worker's ring, encoded, into every sink. Rings are served in turn, a bounded number of
 * events each, so that no worker waits for another's flood.
 */
#include "app/sensor/exporter.h"

#include <errno.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/histogram.h"
#include "lib/base/log.h"

enum { TURN_MAX = 512, LINE_LEN_MAX = 512 * 1024, IDLE_SLEEP_US = 100 };

const struct counter_desc exporter_counters[EXPORTER_COUNTER_COUNT] = {
	[EXPORTER_EVENTS] = { "exporter.events", "events written" },
	[EXPORTER_BYTES] = { "exporter.bytes", "bytes of EVE lines" },
	[EXPORTER_TOO_LONG] = { "exporter.lines_dropped", "events lost: their line would have been longer than 512 KiB" },
	[EXPORTER_TURNS] = { "exporter.turns", "times that it looked into every worker's ring" },
	[EXPORTER_STALLS] = { "exporter.stalls", "times that it stood still for ten seconds: nothing was written" },
	[EXPORTER_EVENTS_ALERT] = { "exporter.alert", "alert events" },
	[EXPORTER_EVENTS_APP] = { "exporter.app", "protocol events" },
	[EXPORTER_EVENTS_ANOMALY] = { "exporter.anomaly", "anomaly events" },
	[EXPORTER_EVENTS_ARP] = { "exporter.arp", "arp events" },
	[EXPORTER_EVENTS_FLOW] = { "exporter.flow", "flow events" },
	[EXPORTER_EVENTS_ASSET] = { "exporter.asset", "asset events" },
	[EXPORTER_EVENTS_PACKET] = { "exporter.packet", "packets that a rule tagged" },
	[EXPORTER_EVENTS_SUMMARY] = { "exporter.summary", "summaries of records not written" },
	[EXPORTER_EVENTS_FILE] = { "exporter.fileinfo", "fileinfo events" },
};

static const enum link_lane lanes[EVENT_TYPE_COUNT] = {
	[EVENT_ALERT] = LINK_LANE_ALERT, [EVENT_APP] = LINK_LANE_EVENT, [EVENT_ANOMALY] = LINK_LANE_EVENT,
	[EVENT_ARP] = LINK_LANE_EVENT, [EVENT_FLOW] = LINK_LANE_FLOW, [EVENT_ASSET] = LINK_LANE_ASSET,
	[EVENT_PACKET] = LINK_LANE_EVENT, [EVENT_SUMMARY] = LINK_LANE_EVENT, [EVENT_FILE] = LINK_LANE_EVENT,
	[EVENT_NETFLOW] = LINK_LANE_FLOW,
};

struct exporter {
	struct exporter_config config;
	struct event_ring *rings[WORKER_MAX]; /* by worker; a worker's own memory is not looked at while it works */
	struct event_json *json;
	struct buf line;
	pthread_t thread;
	bool started;
	_Atomic bool stop;
	_Atomic bool reopen;
	_Atomic uint64_t counters[EXPORTER_COUNTER_COUNT];
	uint64_t next_flush_ns, next_stats_ns;
	uint64_t *latency; /* [HISTOGRAM_BUCKETS], cycles */
};

int
exporter_json_create(struct event_json **out, const struct settings *s, const char *const port_names[], unsigned int port_count)
{
	struct event_json_config json = { .apps = s->apps, .app_count = s->app_count, .port_names = port_names,
		.port_count = port_count, .community_id_seed = (uint16_t)s->sensor.community_id_seed,
		.ethernet = s->sensor.ethernet, .community_id = s->sensor.community_id };

	return event_json_create(out, &json);
}

int
exporter_create(struct exporter **out, const struct exporter_config *config)
{
	struct exporter *exporter = calloc(1, sizeof(*exporter));
	int rc = exporter == NULL ? -ENOMEM : 0;

	if (rc != 0)
		return rc;
	exporter->config = *config;
	rc = buf_create(&exporter->line, LINE_LEN_MAX);
	if (rc == 0)
		rc = exporter_json_create(&exporter->json, config->settings, config->port_names, config->port_count);
	if (rc == 0 && config->measure) {
		exporter->latency = calloc(HISTOGRAM_BUCKETS, sizeof(*exporter->latency));
		rc = exporter->latency == NULL ? -ENOMEM : 0;
	}
	if (rc != 0) {
		exporter_destroy(exporter);
		return rc;
	}
	*out = exporter;
	return 0;
}

void
exporter_destroy(struct exporter *exporter)
{
	if (exporter == NULL)
		return;
	event_json_destroy(exporter->json);
	buf_destroy(&exporter->line);
	free(exporter->latency);
	free(exporter);
}

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
write_line(struct exporter *exporter, enum link_lane lane)
{
	struct buf *line = &exporter->line;

	if (line->full) {
		counter_add(&exporter->counters[EXPORTER_TOO_LONG], 1);
		return;
	}
	counter_add(&exporter->counters[EXPORTER_EVENTS], 1);
	counter_add(&exporter->counters[EXPORTER_BYTES], line->len + 1);
	if (exporter->config.sinks != NULL)
		sink_set_write(exporter->config.sinks, lane, line->data, line->len);
}

static void
write_event(struct exporter *exporter, const struct event *event)
{
	buf_reset(&exporter->line);
	event_json_write(exporter->json, &exporter->line, event);
	counter_add(&exporter->counters[EXPORTER_EVENTS_ALERT + event->type], 1);
	write_line(exporter, lanes[event->type]);
	if (exporter->latency != NULL)
		exporter->latency[histogram_bucket(rte_rdtsc() - event->born_tsc)]++;
}

/* @return events taken from the ring, at most TURN_MAX */
static unsigned int
serve(struct exporter *exporter, struct event_ring *ring)
{
	const struct event *event;
	unsigned int count = 0;

	while (count < TURN_MAX && (event = event_ring_peek(ring)) != NULL) {
		write_event(exporter, event);
		event_ring_release(ring, event);
		count++;
	}
	return count;
}

static void
write_stats(struct exporter *exporter)
{
	if (exporter->config.stats == NULL || !exporter->config.settings->sensor.log_stats)
		return;
	buf_reset(&exporter->line);
	exporter->config.stats(exporter->config.stats_arg, &exporter->line);
	write_line(exporter, LINK_LANE_STATS);
}

static void
do_timed(struct exporter *exporter)
{
	uint64_t now_ns = monotonic_ns();

	if (atomic_exchange(&exporter->reopen, false) && exporter->config.sinks != NULL)
		sink_set_reopen(exporter->config.sinks);
	if (exporter->config.stats_interval_ms != 0 && now_ns >= exporter->next_stats_ns) {
		if (exporter->next_stats_ns != 0)
			write_stats(exporter);
		exporter->next_stats_ns = now_ns + exporter->config.stats_interval_ms * 1000000;
	}
	if (now_ns < exporter->next_flush_ns || exporter->config.sinks == NULL)
		return;
	sink_set_flush(exporter->config.sinks, now_ns);
	exporter->next_flush_ns = now_ns + (uint64_t)SINK_FLUSH_INTERVAL_MS * 1000000;
}

static unsigned int
turn(struct exporter *exporter)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < exporter->config.worker_count; i++)
		count += serve(exporter, exporter->rings[i]);
	do_timed(exporter);
	counter_add(&exporter->counters[EXPORTER_TURNS], 1);
	return count;
}

static void *
run(void *arg)
{
	struct exporter *exporter = arg;

	pthread_setname_np(pthread_self(), "exporter");
	for (;;) {
		bool stop = atomic_load(&exporter->stop); /* before the rings are found empty */

		if (turn(exporter) > 0)
			continue;
		if (stop)
			break;
		usleep(IDLE_SLEEP_US);
	}
	write_stats(exporter);
	if (exporter->config.sinks != NULL)
		sink_set_flush(exporter->config.sinks, monotonic_ns());
	return NULL;
}

int
exporter_start(struct exporter *exporter)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int rc;

	for (unsigned int i = 0; i < exporter->config.worker_count; i++)
		exporter->rings[i] = exporter->config.workers[i]->ring;
	pthread_attr_init(&attr);
	if (exporter->config.core >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET((unsigned int)exporter->config.core, &cpus);
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	rc = pthread_create(&exporter->thread, &attr, run, exporter);
	pthread_attr_destroy(&attr);
	exporter->started = rc == 0;
	return -rc;
}

void
exporter_stop(struct exporter *exporter)
{
	if (!exporter->started)
		return;
	atomic_store(&exporter->stop, true);
	pthread_join(exporter->thread, NULL);
	exporter->started = false;
}

void
exporter_barrier(struct exporter *exporter)
{
	uint64_t heads[WORKER_MAX];

	if (!exporter->started)
		return;
	for (unsigned int i = 0; i < exporter->config.worker_count; i++)
		heads[i] = event_ring_head(exporter->rings[i]);
	for (unsigned int i = 0; i < exporter->config.worker_count; i++)
		while (event_ring_tail(exporter->rings[i]) < heads[i])
			usleep(IDLE_SLEEP_US);
}

void
exporter_reopen(struct exporter *exporter)
{
	atomic_store(&exporter->reopen, true);
}

struct counter_set
exporter_get_counters(struct exporter *exporter)
{
	return (struct counter_set){ exporter_counters, exporter->counters, EXPORTER_COUNTER_COUNT };
}

uint64_t
exporter_latency_ns(const struct exporter *exporter, double share)
{
	if (exporter->latency == NULL)
		return 0;
	return (uint64_t)((double)histogram_share(exporter->latency, share) * 1e9 / (double)rte_get_tsc_hz());
}
