#include "lib/sink/ipfix/ipfix.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/json_read.h"
#include "lib/sink/ipfix/message.h"
#include "lib/sink/outlet.h"

enum {
	LANES_DEFAULT = 1u << LINK_LANE_EVENT | 1u << LINK_LANE_FLOW,
	MESSAGE_MIN = IPFIX_HEADER_LEN + IPFIX_TEMPLATES_LEN,
};

static_assert(MESSAGE_MIN >= IPFIX_HEADER_LEN + IPFIX_TYPES_LEN, "the types do not fit the smallest message");

struct ipfix_config {
	struct outlet_settings outlet; /* first */
	const char *url;
	const char *ca, *cert, *key;
	uint64_t domain;
	uint64_t enterprise;
	uint64_t template_interval_s;
	uint64_t message_max;
	uint64_t timeout_ms;
};

struct ipfix_sink {
	struct outlet_sink base; /* first */
	struct ipfix_config config;
	struct ipfix_message message;
	struct buf record;
	time_t templates_due; /* CLOCK_MONOTONIC, s */
};

#define ROW(key, type_, field, ...) { "outputs.ipfix." key, type_, offsetof(struct ipfix_config, field), __VA_ARGS__ }

static const struct knob rows[] = {
	ROW("enabled", KNOB_BOOL, outlet.enabled, 0, 0, "no", NULL, "send flows to an IPFIX collector (RFC 7011)"),
	ROW("url", KNOB_TEXT, url, 0, 0, "", NULL, "udp://HOST[:4739], tcp://HOST[:4739] or tls://HOST[:4740]"),
	ROW("lanes", KNOB_LIST, outlet.lanes, 0, 0, NULL, NULL,
		"which events: flow (biflows), event (calls of protocols' functions); default: both"),
	ROW("domain", KNOB_NUMBER, domain, 0, UINT32_MAX, "1", NULL, "observation domain"),
	ROW("enterprise", KNOB_NUMBER, enterprise, 2, UINT32_MAX, "32473", NULL,
		"private enterprise number of the sensor's own elements; the default is the one set aside for examples (RFC 5612)"),
	ROW("template-interval", KNOB_NUMBER, template_interval_s, 1, 86400, "60", NULL, "seconds after which templates are sent again over UDP"),
	ROW("message-max", KNOB_SIZE, message_max, MESSAGE_MIN, 65000, "1400", NULL, "bytes of a message; over UDP it must fit the path"),
	ROW("ca", KNOB_TEXT, ca, 0, 0, "", NULL, "CA certificates of a tls:// collector, PEM"),
	ROW("cert", KNOB_TEXT, cert, 0, 0, "", NULL, "client certificate for a tls:// collector, PEM; empty: none"),
	ROW("key", KNOB_TEXT, key, 0, 0, "", NULL, "its private key, PEM"),
	ROW("spool", KNOB_TEXT, outlet.spool, 0, 0, "/var/lib/millrace/spool-ipfix", NULL, "folder of events that wait for the collector"),
	ROW("spool-size", KNOB_SIZE, outlet.spool_size, 16ull << 20, 1ull << 40, "64 MiB", NULL, "bound of that folder"),
	ROW("timeout-ms", KNOB_NUMBER, timeout_ms, 100, 600000, "10000", NULL, "give a connection or a message up after this long"),
	ROW("backoff-max-ms", KNOB_NUMBER, outlet.backoff_max_ms, 100, 3600000, "30000", NULL, "longest pause between attempts"),
	ROW("drain-ms", KNOB_NUMBER, outlet.drain_ms, 0, 3600000, "2000", NULL, "how long a stop waits for what is not sent"),
};

static const struct knob_table knobs = { "sink/ipfix", rows, sizeof(rows) / sizeof(rows[0]) };

static const struct counter_desc counters[OUTLET_COUNTER_COUNT] = OUTLET_COUNTERS("sink.ipfix");
static const struct counter_table own_counter_table = { counters, OUTLET_COUNTER_COUNT };

/* ---- messages ---- */

static time_t
clock_s(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec;
}

static void
send_message(struct ipfix_sink *sink, struct outlet *outlet)
{
	size_t len = ipfix_end(&sink->message, (uint64_t)clock_s(CLOCK_REALTIME));

	if (len > 0)
		outlet_put(outlet, sink->message.out.data, len);
	ipfix_begin(&sink->message);
}

static void
put_templates(struct ipfix_sink *sink, struct outlet *outlet)
{
	/* An empty message has room for either: MESSAGE_MIN. */
	if (!ipfix_put_templates(&sink->message)) {
		send_message(sink, outlet);
		(void)ipfix_put_templates(&sink->message);
	}
	if (!ipfix_put_types(&sink->message)) {
		send_message(sink, outlet);
		(void)ipfix_put_types(&sink->message);
	}
	sink->templates_due = clock_s(CLOCK_MONOTONIC) + (time_t)sink->config.template_interval_s;
}

static void
begin(void *arg, struct outlet *outlet)
{
	struct ipfix_sink *sink = arg;

	/* RFC 7011 3.1: the count is of one transport session. */
	sink->message.sequence = 0;
	ipfix_begin(&sink->message);
	put_templates(sink, outlet);
}

static int
take(void *arg, struct outlet *outlet, const char *line, size_t len)
{
	struct ipfix_sink *sink = arg;
	json_t *event = json_read(line, len);
	enum ipfix_template id;
	int rc = event == NULL ? -ENOENT : ipfix_encode(&sink->message, event, &id, &sink->record);

	json_decref(event);
	if (rc != 0)
		return rc;
	if (outlet_transport(outlet) == WIRE_UDP && clock_s(CLOCK_MONOTONIC) >= sink->templates_due)
		put_templates(sink, outlet);
	if (!ipfix_put(&sink->message, id, &sink->record)) {
		send_message(sink, outlet);
		if (!ipfix_put(&sink->message, id, &sink->record))
			return -EMSGSIZE;
	}
	return 0;
}

static void
finish(void *arg, struct outlet *outlet)
{
	send_message(arg, outlet);
}

static const struct outlet_encoder encoder = { .take = take, .finish = finish, .begin = begin };

/* ---- the row in the table of sinks ---- */

static void
ops_destroy(void *self)
{
	struct ipfix_sink *sink = self;

	if (sink == NULL)
		return;
	outlet_destroy(sink->base.outlet);
	buf_destroy(&sink->message.out);
	buf_destroy(&sink->record);
	free(sink);
}

static int
start(void *self, const struct outlet_settings *settings, struct wire_config *wire, struct config_error *err)
{
	const struct ipfix_config *config = (const struct ipfix_config *)settings;
	struct ipfix_sink *sink = self;

	sink->config = *config;
	*wire = (struct wire_config){ .key = "outputs.ipfix", .url = config->url, .ca = config->ca, .cert = config->cert,
		.cert_key = config->key, .timeout_ms = config->timeout_ms,
		.default_ports = { [WIRE_UDP] = 4739, [WIRE_TCP] = 4739, [WIRE_TLS] = 4740 } };
	sink->message.domain = (uint32_t)config->domain;
	sink->message.enterprise = (uint32_t)config->enterprise;
	if (buf_create(&sink->message.out, config->message_max) != 0 || buf_create(&sink->record, IPFIX_RECORD_MAX) != 0) {
		snprintf(err->text, sizeof(err->text), "outputs.ipfix: no memory");
		return -ENOMEM;
	}
	return 0;
}

static const struct outlet_sink_kind kind = {
	.name = "ipfix",
	.knobs = &knobs,
	.counters = counters,
	.lanes = LANES_DEFAULT,
	.size = sizeof(struct ipfix_sink),
	.encoder = &encoder,
	.start = start,
	.destroy = ops_destroy,
};

static int
ops_create(void **self, struct config *config, const struct sink_env *env, struct config_error *err)
{
	struct ipfix_config own;

	return outlet_sink_create(self, &kind, &own.outlet, config, err);
}

static int
ops_check(struct config *config, struct config_error *err)
{
	struct ipfix_config own;

	return outlet_sink_check(&kind, &own.outlet, config, err);
}

static const struct knob_table *const knob_tables[] = { &knobs, NULL };

static const struct counter_table *const counter_tables[] = { &own_counter_table, NULL };

const struct sink_ops ipfix_sink_ops = {
	.name = "ipfix",
	.knobs = knob_tables,
	.create = ops_create,
	.check = ops_check,
	.write = outlet_sink_write,
	.flush = outlet_sink_flush,
	.drain = outlet_sink_drain,
	.status = outlet_sink_status,
	.counter_tables = counter_tables,
	.counters = outlet_sink_counters,
	.destroy = ops_destroy,
};
