#include "lib/sink/kafka/kafka.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/json_read.h"
#include "lib/sink/kafka/producer.h"
#include "lib/sink/outlet.h"

enum {
	BATCH_RECORDS = 2048,
	BATCH_BYTES = 1024 * 1024,
	TOPIC_MAX = 249,         /* Kafka's bound */
	KEY_MAX = 256,
	IDLE_MS = 500,
	BACKOFF_MIN_MS = 100,
	LANES_DEFAULT = (1u << LINK_LANE_COUNT) - 1,
};

enum kafka_key { KEY_FLOW, KEY_SENSOR, KEY_NONE };

/* What is known of a record that was read from the spool. */
enum state { STATE_WAITS, STATE_SENT, STATE_DONE };

/* A batch of a lane, given up in order; at most one a lane, so that alerts never wait behind flows. */
struct flight {
	uint64_t first;         /* number of the first record */
	unsigned int count;     /* 0: none is under way */
	unsigned int at;        /* all before it are done */
	unsigned int pending;   /* in the producer's hands */
	bool too_long;          /* a broker said so of one of a request's: from now on each goes by itself */
	bool alone;             /* what is under way does */
	bool refused;           /* something was: a pause is due */
	uint64_t not_before_ms;
	uint64_t backoff_ms;
	uint8_t states[BATCH_RECORDS];
};

struct kafka_config {
	struct outlet_settings outlet; /* first */
	const char *brokers;
	const char *topic;
	unsigned int key;
	const char *sensor;
	unsigned int security;
	const char *ca, *cert, *cert_key;
	unsigned int sasl_mechanism;
	const char *sasl_user, *sasl_password_file;
	unsigned int compression;
	json_t *options;
	uint64_t timeout_ms;
};

enum kafka_counter { KAFKA_REPEATED, KAFKA_RENEWED, KAFKA_COUNTER_COUNT };

struct kafka_sink {
	struct outlet_sink base; /* first */
	struct outlet *outlet;   /* the thread's; base's may not be set when it begins */
	struct producer *producer;
	enum kafka_key key;
	bool reads;              /* topic or key take something from the record */
	char topic[TOPIC_MAX + 1];
	char sensor[256];
	uint64_t backoff_max_ms;
	struct flight flights[LINK_LANE_COUNT];
	_Atomic uint64_t counters[KAFKA_COUNTER_COUNT];
};

static const char *const keys[] = { [KEY_FLOW] = "flow", [KEY_SENSOR] = "sensor", [KEY_NONE] = "none", NULL };
static const char *const securities[] = { [PRODUCER_PLAINTEXT] = "plaintext", [PRODUCER_SSL] = "tls",
	[PRODUCER_SASL_PLAINTEXT] = "sasl-plaintext", [PRODUCER_SASL_SSL] = "sasl-tls", NULL };
static const char *const mechanisms[] = { "SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", NULL };
static const char *const compressions[] = { "zstd", "lz4", "snappy", "gzip", "none", NULL };

#define ROW(key, type_, field, ...) { "outputs.kafka." key, type_, offsetof(struct kafka_config, field), __VA_ARGS__ }

static const struct knob rows[] = {
	ROW("enabled", KNOB_BOOL, outlet.enabled, 0, 0, "no", NULL, "send events to Kafka"),
	ROW("brokers", KNOB_TEXT, brokers, 0, 0, "", NULL, "HOST:PORT,... of some brokers; they name the others"),
	ROW("topic", KNOB_TEXT, topic, 0, 0, "millrace", NULL,
		"where events go; {lane} in it is alert, asset, event, flow or stats, {type} the event type: a topic a kind of record"),
	ROW("key", KNOB_CHOICE, key, 0, 0, "flow", keys,
		"what of a record its messages are kept in order by: flow (its flow_id; where it has none, the sensor), sensor, none"),
	ROW("sensor", KNOB_TEXT, sensor, 0, 0, "", NULL, "the sensor's name in keys and headers; default: the system's"),
	ROW("lanes", KNOB_LIST, outlet.lanes, 0, 0, NULL, NULL,
		"which events: alert, asset, event (protocols, anomalies), flow, stats; default: all"),
	ROW("security", KNOB_CHOICE, security, 0, 0, "plaintext", securities, "plaintext, tls, sasl-plaintext or sasl-tls"),
	ROW("ca", KNOB_TEXT, ca, 0, 0, "", NULL, "CA certificates of the brokers, PEM"),
	ROW("cert", KNOB_TEXT, cert, 0, 0, "", NULL, "client certificate, PEM; empty: none"),
	ROW("key-file", KNOB_TEXT, cert_key, 0, 0, "", NULL, "its private key, PEM"),
	ROW("sasl-mechanism", KNOB_CHOICE, sasl_mechanism, 0, 0, "SCRAM-SHA-512", mechanisms, "how the password is shown"),
	ROW("sasl-user", KNOB_TEXT, sasl_user, 0, 0, "", NULL, "user name"),
	ROW("sasl-password-file", KNOB_TEXT, sasl_password_file, 0, 0, "", NULL, "file whose first line is the password"),
	ROW("compression", KNOB_CHOICE, compression, 0, 0, "zstd", compressions, "of batches"),
	ROW("options", KNOB_LIST, options, 0, 0, NULL, NULL,
		"settings of librdkafka, each NAME=VALUE, but for those that these keys or the sink itself set"),
	ROW("spool", KNOB_TEXT, outlet.spool, 0, 0, "/var/lib/millrace/spool-kafka", NULL, "folder of events that wait for the brokers"),
	ROW("spool-size", KNOB_SIZE, outlet.spool_size, 16ull << 20, 1ull << 40, "256 MiB", NULL, "bound of that folder"),
	ROW("timeout-ms", KNOB_NUMBER, timeout_ms, 100, 300000, "10000", NULL, "ask again when a request is not answered for this long"),
	ROW("backoff-max-ms", KNOB_NUMBER, outlet.backoff_max_ms, 100, 3600000, "10000", NULL, "longest pause between attempts"),
	ROW("drain-ms", KNOB_NUMBER, outlet.drain_ms, 0, 3600000, "5000", NULL, "how long a stop waits for what is not acknowledged"),
};

static const struct knob_table knobs = { "sink/kafka", rows, sizeof(rows) / sizeof(rows[0]) };

static const struct counter_desc outlet_counters[OUTLET_COUNTER_COUNT] = OUTLET_COUNTERS("sink.kafka");
static const struct counter_desc own_counters[KAFKA_COUNTER_COUNT] = {
	[KAFKA_REPEATED] = { "sink.kafka.repeated", "records sent again that a broker may have stored already" },
	[KAFKA_RENEWED] = { "sink.kafka.renewed", "producers that took another's place: a certificate was renewed, or a fatal error" },
};
static const struct counter_table outlet_counter_table = { outlet_counters, OUTLET_COUNTER_COUNT };
static const struct counter_table own_counter_table = { own_counters, KAFKA_COUNTER_COUNT };

/* ---- a record to a message ---- */

/* Kafka's, for topics; the sensor's own names are of them. */
static const char topic_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static void
put_name(struct buf *out, const char *name)
{
	for (; *name != '\0'; name++)
		buf_putc(out, strchr(topic_letters, *name) == NULL ? '_' : *name);
}

static void
put_topic(struct buf *out, const char *pattern, enum link_lane lane, const char *type)
{
	while (*pattern != '\0')
		if (strncmp(pattern, "{lane}", 6) == 0) {
			put_name(out, link_lane_name(lane));
			pattern += 6;
		} else if (strncmp(pattern, "{type}", 6) == 0) {
			put_name(out, type);
			pattern += 6;
		} else {
			buf_putc(out, *pattern++);
		}
	buf_putc(out, '\0');
}

/* @return 0, -EMSGSIZE, -EINVAL or -EAGAIN, as producer_send() */
static int
send_record(struct kafka_sink *sink, enum link_lane lane, unsigned int idx, const char *line, size_t len)
{
	struct flight *flight = &sink->flights[lane];
	json_t *record = sink->reads ? json_read(line, len) : NULL;
	const char *type = json_string_value(json_object_get(record, "event_type"));
	const json_t *flow_id = json_object_get(record, "flow_id");
	char topic_text[TOPIC_MAX + 1], key[KEY_MAX], id[96];
	struct buf topic = { .data = topic_text, .cap = sizeof(topic_text) };
	struct producer_message message = { .topic = topic_text, .key = key, .value = line, .len = len, .id = id,
		.sensor = sink->sensor, .token = (void *)(uintptr_t)((unsigned int)lane * BATCH_RECORDS + idx) };

	put_topic(&topic, sink->topic, lane, type == NULL ? "other" : type);
	if (sink->key == KEY_FLOW && json_is_integer(flow_id))
		snprintf(key, sizeof(key), "%" JSON_INTEGER_FORMAT, json_integer_value(flow_id));
	else
		snprintf(key, sizeof(key), "%s", sink->sensor);
	json_decref(record);
	message.key = sink->key == KEY_NONE ? NULL : key;
	message.key_len = sink->key == KEY_NONE ? 0 : strlen(key);
	snprintf(id, sizeof(id), "%016" PRIx64 "/%s/%" PRIu64, spool_get_epoch(outlet_spool(sink->outlet)), link_lane_name(lane),
		flight->first + idx);
	return topic.full ? -EMSGSIZE : producer_send(sink->producer, &message);
}

/* ---- flights ---- */

static void
give_one_up(struct kafka_sink *sink, struct flight *flight, unsigned int idx)
{
	flight->states[idx] = STATE_DONE;
	outlet_count(sink->outlet, OUTLET_TOO_LONG, 1);
}

/* Gives the records to the producer that are not there, nor done. */
static void
send_lines(struct kafka_sink *sink, enum link_lane lane, const struct spool_batch *batch, const char *lines)
{
	struct flight *flight = &sink->flights[lane];
	const char *stop = lines + batch->bytes;
	unsigned int idx = (unsigned int)(batch->first - flight->first);

	for (unsigned int i = 0; i < batch->count && idx < flight->count; i++, idx++) {
		const char *end = memchr(lines, '\n', (size_t)(stop - lines));
		size_t len = (size_t)(end - lines);
		int rc;

		if (flight->states[idx] == STATE_WAITS) {
			rc = send_record(sink, lane, idx, lines, len);
			if (rc == 0) {
				flight->states[idx] = STATE_SENT;
				flight->pending++;
			} else if (rc == -EMSGSIZE) {
				give_one_up(sink, flight, idx);
			} else {
				if (rc == -EINVAL)
					outlet_report(sink->outlet, "the producer takes no message");
				flight->refused = true;
				return;
			}
		}
		lines = end + 1;
	}
}

/* A batch for a lane that has none under way, or the rest of the one that has. @return whether there was something to do */
static bool
depart(struct kafka_sink *sink, enum link_lane lane, uint64_t now_ms)
{
	struct flight *flight = &sink->flights[lane];
	bool fresh = flight->count == 0;
	uint64_t from = fresh ? spool_get_acked(outlet_spool(sink->outlet), lane) + 1 : flight->first + flight->at;
	const struct spool_want want = { lane, from, fresh ? BATCH_RECORDS : flight->too_long ? 1 : flight->count - flight->at, BATCH_BYTES };
	struct spool_batch batch;
	const char *lines;
	bool any;

	if (flight->pending > 0 || now_ms < flight->not_before_ms)
		return false;
	any = outlet_peek(sink->outlet, &want, &batch, &lines);
	if (fresh && any) {
		flight->first = batch.first;
		flight->count = batch.count;
		flight->at = 0;
		flight->too_long = false;
		memset(flight->states, STATE_WAITS, sizeof(flight->states));
	}
	/* What the spool had to let go meanwhile, and counted. */
	for (unsigned int i = flight->at; !fresh && i < flight->count && flight->first + i < batch.first; i++)
		flight->states[i] = STATE_DONE;
	flight->alone = flight->too_long;
	if (any)
		send_lines(sink, lane, &batch, lines);
	return any;
}

/* When all of what was sent is reported: what is done is given up, the rest goes again. */
static void
arrive(struct kafka_sink *sink, enum link_lane lane, uint64_t now_ms)
{
	struct flight *flight = &sink->flights[lane];

	if (flight->count == 0 || flight->pending > 0)
		return;
	while (flight->at < flight->count && flight->states[flight->at] == STATE_DONE)
		flight->at++;
	if (flight->at > 0)
		outlet_ack(sink->outlet, lane, flight->first + flight->at - 1);
	if (flight->at == flight->count)
		flight->count = 0;
	if (!flight->refused)
		return;
	flight->refused = false;
	flight->not_before_ms = now_ms + flight->backoff_ms;
	flight->backoff_ms = flight->backoff_ms * 2 < sink->backoff_max_ms ? flight->backoff_ms * 2 : sink->backoff_max_ms;
}

/* ---- what the producer tells ---- */

static void
on_report(void *arg, const struct producer_report *report)
{
	struct kafka_sink *sink = arg;
	struct flight *flight = &sink->flights[(uintptr_t)report->token / BATCH_RECORDS];
	unsigned int idx = (uintptr_t)report->token % BATCH_RECORDS;

	flight->pending--;
	switch (report->fate) {
	case PRODUCER_STORED:
		flight->states[idx] = STATE_DONE;
		flight->backoff_ms = BACKOFF_MIN_MS;
		outlet_count(sink->outlet, OUTLET_SENT, 1);
		outlet_count(sink->outlet, OUTLET_BYTES, report->len);
		outlet_report(sink->outlet, NULL);
		return;
	case PRODUCER_TOO_LONG:
		if (flight->alone) {
			give_one_up(sink, flight, idx);
			return;
		}
		flight->too_long = true;
		break;
	case PRODUCER_REFUSED:
		flight->refused = true;
		outlet_count(sink->outlet, OUTLET_FAILURES, 1);
		outlet_report(sink->outlet, report->why);
		break;
	}
	flight->states[idx] = STATE_WAITS;
	counter_add(&sink->counters[KAFKA_REPEATED], 1);
}

static void
on_trouble(void *arg, const char *why)
{
	struct kafka_sink *sink = arg;

	outlet_count(sink->outlet, OUTLET_FAILURES, 1);
	outlet_report(sink->outlet, why);
}

static void
on_renewed(void *arg)
{
	struct kafka_sink *sink = arg;

	counter_add(&sink->counters[KAFKA_RENEWED], 1);
	for (unsigned int lane = 0; lane < LINK_LANE_COUNT; lane++) {
		struct flight *flight = &sink->flights[lane];

		counter_add(&sink->counters[KAFKA_REPEATED], flight->pending);
		flight->pending = 0;
		flight->not_before_ms = 0;
		for (unsigned int i = 0; i < flight->count; i++)
			if (flight->states[i] == STATE_SENT)
				flight->states[i] = STATE_WAITS;
	}
}

static const struct producer_events events = { .report = on_report, .trouble = on_trouble, .renewed = on_renewed };

static void
pump(void *arg, struct outlet *outlet)
{
	struct kafka_sink *sink = arg;
	uint64_t wait_ms = IDLE_MS;
	bool busy = false;

	if (sink->outlet == NULL) {
		sink->outlet = outlet;
		producer_wake(sink->producer, outlet_wake_fd(outlet));
	}
	producer_poll(sink->producer);
	for (unsigned int lane = 0; lane < LINK_LANE_COUNT; lane++) {
		arrive(sink, lane, clock_ms());
		busy |= depart(sink, lane, clock_ms());
		if (sink->flights[lane].count > 0)
			wait_ms = BACKOFF_MIN_MS;
	}
	if (!busy)
		outlet_wait(outlet, wait_ms);
}

static const struct outlet_encoder encoder = { .pump = pump };

/* ---- the row in the table of sinks ---- */

static void
ops_destroy(void *self)
{
	struct kafka_sink *sink = self;

	if (sink == NULL)
		return;
	outlet_destroy(sink->base.outlet);
	producer_destroy(sink->producer);
	free(sink);
}

static int
fail(struct config_error *err, const char *key, const char *why)
{
	snprintf(err->text, sizeof(err->text), "outputs.kafka.%s: %s", key, why);
	return -EINVAL;
}

static int
set_names(struct kafka_sink *sink, const struct kafka_config *config, struct config_error *err)
{
	static const char longest_type[] = "01234567890123456789012345678901";
	char text[TOPIC_MAX + 1];
	struct buf topic = { .data = text, .cap = sizeof(text) };

	put_topic(&topic, config->topic, LINK_LANE_ALERT, longest_type);
	if (topic.full || config->topic[0] == '\0')
		return fail(err, "topic", "must have 1 to 249 characters, with what stands for {lane} and {type}");
	if (text[strspn(text, topic_letters)] != '\0')
		return fail(err, "topic", "letters, digits, '.', '_', '-', {lane} and {type} are allowed");
	memcpy(sink->topic, config->topic, strlen(config->topic) + 1);
	if (config->sensor[0] == '\0' && gethostname(sink->sensor, sizeof(sink->sensor) - 1) != 0)
		return fail(err, "sensor", strerror(errno));
	if (strlen(config->sensor) >= sizeof(sink->sensor))
		return fail(err, "sensor", "is too long");
	if (config->sensor[0] != '\0')
		memcpy(sink->sensor, config->sensor, strlen(config->sensor) + 1);
	sink->key = config->key;
	sink->reads = sink->key == KEY_FLOW || strstr(sink->topic, "{type}") != NULL;
	return 0;
}

static int
start(void *self, const struct outlet_settings *settings, struct wire_config *wire, struct config_error *err)
{
	const struct kafka_config *config = (const struct kafka_config *)settings;
	struct kafka_sink *sink = self;
	const struct producer_config producer = {
		.key = "outputs.kafka", .brokers = config->brokers, .security = config->security, .ca = config->ca, .cert = config->cert,
		.cert_key = config->cert_key, .sasl_mechanism = mechanisms[config->sasl_mechanism], .sasl_user = config->sasl_user,
		.sasl_password_file = config->sasl_password_file, .compression = compressions[config->compression],
		.timeout_ms = config->timeout_ms, .backoff_max_ms = settings->backoff_max_ms,
		.messages_max = LINK_LANE_COUNT * BATCH_RECORDS, .options = config->options, .is_check = sink->base.is_check,
	};

	sink->backoff_max_ms = settings->backoff_max_ms;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		sink->flights[i].backoff_ms = BACKOFF_MIN_MS;
	int rc = set_names(sink, config, err);

	return rc == 0 ? producer_create(&sink->producer, &producer, &events, sink, err) : rc;
}

static const struct outlet_sink_kind kind = {
	.name = "kafka",
	.knobs = &knobs,
	.counters = outlet_counters,
	.lanes = LANES_DEFAULT,
	.size = sizeof(struct kafka_sink),
	.encoder = &encoder,
	.start = start,
	.destroy = ops_destroy,
};

static int
ops_create(void **self, struct config *config, const struct sink_env *env, struct config_error *err)
{
	struct kafka_config own;

	return outlet_sink_create(self, &kind, &own.outlet, config, err);
}

static int
ops_check(struct config *config, struct config_error *err)
{
	struct kafka_config own;

	return outlet_sink_check(&kind, &own.outlet, config, err);
}

static const char *
ops_warn(struct config *config)
{
	struct config_error err;
	struct kafka_config own;

	if (config_apply(config, &knobs, &own, &err) != 0 || !own.outlet.enabled || own.security != PRODUCER_SASL_PLAINTEXT)
		return NULL;
	return strcmp(mechanisms[own.sasl_mechanism], "PLAIN") == 0 ?
		"outputs.kafka: the password goes over the network in the clear (sasl-plaintext with PLAIN): use sasl-tls" :
		"outputs.kafka: a password is used without TLS (sasl-plaintext), events can be read on their way: use sasl-tls";
}

static unsigned int
ops_counters(void *self, struct counter_set sets[])
{
	struct kafka_sink *sink = self;

	sets[0] = outlet_get_counters(sink->base.outlet);
	sets[1] = (struct counter_set){ own_counters, sink->counters, KAFKA_COUNTER_COUNT };
	return 2;
}

static const struct knob_table *const knob_tables[] = { &knobs, NULL };

static const struct counter_table *const counter_tables[] = { &outlet_counter_table, &own_counter_table, NULL };

const struct sink_ops kafka_sink_ops = {
	.name = "kafka",
	.knobs = knob_tables,
	.create = ops_create,
	.check = ops_check,
	.write = outlet_sink_write,
	.flush = outlet_sink_flush,
	.drain = outlet_sink_drain,
	.status = outlet_sink_status,
	.warn = ops_warn,
	.counter_tables = counter_tables,
	.counters = ops_counters,
	.destroy = ops_destroy,
};
