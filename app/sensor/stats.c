/*
 * Counters as a stats event: every set's values summed over the workers, nested by their dotted names, and the books of
 * frames: received = processed + each named drop, for the sensor, each port and each worker.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/sensor/advice.h"
#include "app/sensor/sensor.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

static void
add_at(json_t *root, const char *path, uint64_t value)
{
	char part[128];
	const char *dot;
	json_t *old;

	while ((dot = strchr(path, '.')) != NULL) {
		json_t *next;

		snprintf(part, sizeof(part), "%.*s", (int)(dot - path), path);
		next = json_object_get(root, part);
		if (next == NULL) {
			next = json_object();
			json_object_set_new(root, part, next);
		}
		root = next;
		path = dot + 1;
	}
	old = json_object_get(root, path);
	json_object_set_new(root, path, json_integer((json_int_t)value + json_integer_value(old)));
}

static void
add_set(json_t *root, const struct counter_set *set, bool null_values)
{
	for (unsigned int i = 0; i < set->count; i++)
		if (set->descs[i].name != NULL && (null_values || counter_get(&set->values[i]) != 0))
			add_at(root, set->descs[i].name, counter_get(&set->values[i]));
}

enum { CAPTURE_RECEIVED, CAPTURE_PROCESSED, CAPTURE_BYTES, CAPTURE_MISSED, CAPTURE_ERRORS, CAPTURE_NO_BUFFER, CAPTURE_KERNEL,
	CAPTURE_SPREADER, CAPTURE_LINKS_LOST, CAPTURE_SILENCES, CAPTURE_STALLS,
	CAPTURE_COUNT };

static const struct counter_desc capture_descs[CAPTURE_COUNT] = {
	[CAPTURE_RECEIVED] = { "capture.received", "frames that came, the lost ones included" },
	[CAPTURE_PROCESSED] = { "capture.processed", "frames whose whole path was gone" },
	[CAPTURE_BYTES] = { "capture.bytes", "bytes of frames on the wire" },
	[CAPTURE_MISSED] = { "capture.dropped.nic_missed", "frames lost: the port's queues were full" },
	[CAPTURE_ERRORS] = { "capture.dropped.nic_errors", "frames that the port found damaged" },
	[CAPTURE_NO_BUFFER] = { "capture.dropped.no_buffer", "frames lost: no free buffer" },
	[CAPTURE_KERNEL] = { "capture.dropped.kernel", "frames that the kernel lost before an af_packet port had them" },
	[CAPTURE_SPREADER] = { "capture.dropped.spreader_ring_full", "frames lost between a port and its workers" },
	[CAPTURE_LINKS_LOST] = { "capture.links_lost", "times that the link of a port was lost: what passed meanwhile was not seen" },
	[CAPTURE_SILENCES] = { "capture.silences", "times that a port had no frame for ports-silence seconds" },
	[CAPTURE_STALLS] = { "capture.stalls", "times that a worker, or who gives them frames, stood still for ten seconds: nothing was seen of them" },
};

const struct counter_table stats_capture_table = { capture_descs, CAPTURE_COUNT };

enum { DECODER_AVG_PKT_SIZE, DECODER_COUNT };

static const struct counter_desc decoder_descs[DECODER_COUNT] = {
	[DECODER_AVG_PKT_SIZE] = { "decoder.avg_pkt_size", "bytes of a frame on the wire, on average" },
};

const struct counter_table stats_decoder_table = { decoder_descs, DECODER_COUNT };

enum { RULES_LOADED, RULES_FAILED, RULES_SKIPPED, RULES_DATABASES, RULES_DATABASE_BYTES, RULES_COUNT };

static const struct counter_desc rules_descs[RULES_COUNT] = {
	[RULES_LOADED] = { "rules.loaded", "rules in force" },
	[RULES_FAILED] = { "rules.failed", "rules that could not be read, and are left out" },
	[RULES_SKIPPED] = { "rules.skipped", "rules left out because what they require is not met" },
	[RULES_DATABASES] = { "rules.databases", "Hyperscan databases" },
	[RULES_DATABASE_BYTES] = { "rules.database_bytes", "bytes of them" },
};

const struct counter_table stats_rules_table = { rules_descs, RULES_COUNT };

static void
add_values(json_t *root, const struct counter_table *table, const uint64_t values[])
{
	for (unsigned int i = 0; i < table->count; i++)
		add_at(root, table->descs[i].name, values[i]);
}

static json_t *
worker_books(struct worker *worker, const struct stall *stall)
{
	uint64_t received = counter_get(&worker->counters[WORKER_RECEIVED]);
	uint64_t processed = counter_get(&worker->counters[WORKER_PROCESSED]);

	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:b}", "worker", (json_int_t)worker->worker_idx, "received", (json_int_t)received,
		"processed", (json_int_t)processed, "events",
		(json_int_t)counter_get(&event_ring_counters_get(worker->ring).values[EVENT_RING_PUSHED]), "events_dropped",
		(json_int_t)counter_get(&event_ring_counters_get(worker->ring).values[EVENT_RING_DROPPED]),
		"stalled", (int)stall->stalled);
}

static json_t *
port_books(struct port *port, uint64_t sums[CAPTURE_COUNT])
{
	const char *link = port_link_name((enum port_link)port->watch.link);
	struct port_counts counts;
	uint64_t lost;
	json_t *books;

	port_get_counts(port, &counts);
	lost = counts.missed + counts.errors + counts.no_buffer + counts.kernel_lost;
	sums[CAPTURE_RECEIVED] += counts.received + lost;
	sums[CAPTURE_MISSED] += counts.missed;
	sums[CAPTURE_ERRORS] += counts.errors;
	sums[CAPTURE_NO_BUFFER] += counts.no_buffer;
	sums[CAPTURE_KERNEL] += counts.kernel_lost;
	sums[CAPTURE_LINKS_LOST] += port->watch.links_lost;
	sums[CAPTURE_SILENCES] += port->watch.silences;
	books = json_pack("{s:s,s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I}}", "port", port->name, "received",
		(json_int_t)(counts.received + lost), "processed", (json_int_t)counts.received, "bytes", (json_int_t)counts.bytes,
		"dropped", "nic_missed", (json_int_t)counts.missed, "nic_errors", (json_int_t)counts.errors, "no_buffer",
		(json_int_t)counts.no_buffer, "kernel", (json_int_t)counts.kernel_lost);
	if (link != NULL)
		json_object_set_new(books, "link", json_string(link));
	return books;
}

static void
add_capture(json_t *root, struct sensor *sensor)
{
	uint64_t sums[CAPTURE_COUNT] = { 0 };
	json_t *ports = json_array(), *workers = json_array();

	/* Read from the end of the way to its beginning: what moves meanwhile is not yet processed, never lost. */
	for (unsigned int i = 0; i < sensor->worker_count; i++) {
		sums[CAPTURE_PROCESSED] += counter_get(&sensor->workers[i]->counters[WORKER_PROCESSED]);
		sums[CAPTURE_BYTES] += counter_get(&sensor->workers[i]->counters[WORKER_BYTES]);
		sums[CAPTURE_STALLS] += sensor->stalls[i].count;
		json_array_append_new(workers, worker_books(sensor->workers[i], &sensor->stalls[i]));
	}
	if (sensor->spreader != NULL)
		sums[CAPTURE_SPREADER] = counter_get(&spreader_get_counters(sensor->spreader).values[SPREADER_DROPPED]);
	sums[CAPTURE_STALLS] += sensor->spreader_stall.count;
	for (unsigned int i = 0; i < sensor->ports_started; i++)
		json_array_append_new(ports, port_books(&sensor->ports[i], sums));
	if (sensor->reading)
		sums[CAPTURE_RECEIVED] = counter_get(&source_file_counters_get(sensor->file).values[SOURCE_FILE_FRAMES]);
	add_values(root, &stats_capture_table, sums);
	json_object_set_new(root, "ports", ports);
	json_object_set_new(root, "workers", workers);
}

/* What is no sum: the largest frame of any worker, and the average one. */
static void
add_sizes(json_t *root, struct sensor *sensor)
{
	json_t *decoder = json_object_get(root, "decoder");
	uint64_t pkts = 0, bytes = 0, largest = 0;

	for (unsigned int i = 0; i < sensor->worker_count; i++) {
		const _Atomic uint64_t *counters = sensor->workers[i]->packet_counters;
		uint64_t max = counter_get(&counters[PACKET_COUNTER_MAX_PKT_SIZE]);

		pkts += counter_get(&counters[PACKET_COUNTER_PKTS]);
		bytes += counter_get(&counters[PACKET_COUNTER_BYTES]);
		largest = max > largest ? max : largest;
	}
	if (pkts == 0)
		return;
	json_object_set_new(decoder, "max_pkt_size", json_integer((json_int_t)largest));
	add_at(root, decoder_descs[DECODER_AVG_PKT_SIZE].name, bytes / pkts);
}

/* Of rule.*, under the names that Suricata's records have for them. */
static const struct {
	const char *ours, *theirs;
} alert_counters[] = { { "hits", "alert" }, { "overflow", "alert_queue_overflow" }, { "suppressed", "alerts_suppressed" } };

static void
add_rules(json_t *root, struct sensor *sensor)
{
	const struct ruleset_stats *rules;
	uint64_t values[RULES_COUNT];
	json_t *detect;

	if (sensor->ruleset == NULL)
		return;
	rules = ruleset_stats_get(sensor->ruleset);
	values[RULES_LOADED] = rules->rules_loaded;
	values[RULES_FAILED] = rules->rules_failed;
	values[RULES_SKIPPED] = rules->rules_disabled;
	values[RULES_DATABASES] = rules->databases;
	values[RULES_DATABASE_BYTES] = rules->database_bytes;
	add_values(root, &stats_rules_table, values);
	/* the same where readers of Suricata's records look for it */
	detect = json_pack("{s:[{s:i,s:I,s:I,s:I}]}", "engines", "id", 0, "rules_loaded", (json_int_t)rules->rules_loaded,
		"rules_failed", (json_int_t)rules->rules_failed, "rules_skipped", (json_int_t)rules->rules_disabled);
	for (unsigned int i = 0; i < sizeof(alert_counters) / sizeof(alert_counters[0]); i++) {
		const json_t *value = json_object_get(json_object_get(root, "rule"), alert_counters[i].ours);

		if (value != NULL)
			json_object_set_new(detect, alert_counters[i].theirs, json_integer(json_integer_value(value)));
	}
	json_object_set_new(root, "detect", detect);
}

json_t *
stats_collect(struct sensor *sensor)
{
	struct counter_set sets[WORKER_COUNTER_SETS_MAX];
	bool nulls = sensor->settings.sensor.stats_null_values;
	json_t *root = json_object();
	unsigned int count;

	/* Of a clock that is set back it would fall, and a store would take it for another run's, whose counters it adds. */
	json_object_set_new(root, "uptime", json_integer((json_int_t)((clock_ms() - sensor->started_ms) / 1000)));
	json_object_set_new(root, "run", json_sprintf("%016" PRIx64, sensor->started_ns)); /* counters begin anew with it */
	add_capture(root, sensor);
	/* Under the lock no rule set and no matcher, whose counters are read here, goes away. */
	pthread_mutex_lock(&sensor->reload_lock);
	for (unsigned int i = 0; i < sensor->worker_count; i++) {
		count = worker_get_counters(sensor->workers[i], sets, WORKER_COUNTER_SETS_MAX);
		for (unsigned int j = 0; j < count; j++)
			add_set(root, &sets[j], nulls);
	}
	add_sizes(root, sensor);
	add_rules(root, sensor);
	pthread_mutex_unlock(&sensor->reload_lock);
	count = sensor->sinks == NULL ? 0 : sink_set_counters(sensor->sinks, sets, WORKER_COUNTER_SETS_MAX);
	for (unsigned int j = 0; j < count; j++)
		add_set(root, &sets[j], nulls);
	count = 0;
	if (sensor->exporter != NULL)
		sets[count++] = exporter_get_counters(sensor->exporter);
	if (sensor->spreader != NULL)
		sets[count++] = spreader_get_counters(sensor->spreader);
	if (sensor->reading)
		sets[count++] = source_file_counters_get(sensor->file);
	for (unsigned int j = 0; j < count; j++)
		add_set(root, &sets[j], nulls);
	return root;
}

static uint64_t
stats_time(const struct sensor *sensor)
{
	struct timespec now;

	if (sensor->reading && source_file_last_ns(sensor->file) != 0)
		return source_file_last_ns(sensor->file);
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void
stats_write_line(void *arg, struct buf *out)
{
	struct sensor *sensor = arg;
	json_t *stats = stats_collect(sensor);
	char *text = json_dumps(stats, JSON_COMPACT);
	char advice[512];

	while (advice_next(stats, &sensor->advice_given, advice, sizeof(advice)))
		log_warning("sensor", "%s", advice);
	buf_puts(out, "{\"timestamp\":");
	buf_json_time(out, stats_time(sensor));
	buf_puts(out, ",\"event_type\":\"stats\",\"stats\":");
	buf_puts(out, text != NULL ? text : "{}");
	buf_putc(out, '}');
	free(text);
	json_decref(stats);
}
