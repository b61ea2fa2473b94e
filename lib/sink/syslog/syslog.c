#include "lib/sink/syslog/syslog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/sink/outlet.h"
#include "lib/sink/syslog/format.h"

enum { FRAME_MAX = 16, LANES_DEFAULT = 1u << LINK_LANE_ALERT | 1u << LINK_LANE_ASSET };

struct syslog_config {
	struct outlet_settings outlet; /* first */
	const char *url;
	const char *ca, *cert, *key;
	unsigned int format;
	unsigned int facility;
	const char *hostname;
	uint64_t message_max;
	uint64_t timeout_ms;
};

struct syslog_sink {
	struct outlet_sink base; /* first */
	struct syslog_config config;
	char host[SYSLOG_HOST_MAX + 1];
	struct buf message; /* FRAME_MAX bytes of room for the count, then the message */
};

static const char *const facilities[] = { "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
	"authpriv", "ftp", "ntp", "audit", "console", "cron2", "local0", "local1", "local2", "local3", "local4", "local5",
	"local6", "local7", NULL };

#define ROW(key, type_, field, ...) { "outputs.syslog." key, type_, offsetof(struct syslog_config, field), __VA_ARGS__ }

static const struct knob rows[] = {
	ROW("enabled", KNOB_BOOL, outlet.enabled, 0, 0, "no", NULL, "send events as syslog messages (RFC 5424)"),
	ROW("url", KNOB_TEXT, url, 0, 0, "", NULL, "udp://HOST[:514], tcp://HOST[:601] or tls://HOST[:6514]"),
	ROW("format", KNOB_CHOICE, format, 0, 0, "eve", format_names, "what a message says: EVE JSON, CEF or LEEF"),
	ROW("lanes", KNOB_LIST, outlet.lanes, 0, 0, NULL, NULL,
		"which events: alert, asset, event (protocols, anomalies), flow, stats; default: alert and asset"),
	ROW("facility", KNOB_CHOICE, facility, 0, 0, "local5", facilities, "the messages' facility"),
	ROW("hostname", KNOB_TEXT, hostname, 0, 0, "", NULL, "the sensor's name in messages; default: the system's"),
	ROW("ca", KNOB_TEXT, ca, 0, 0, "", NULL, "CA certificates of a tls:// receiver, PEM"),
	ROW("cert", KNOB_TEXT, cert, 0, 0, "", NULL, "client certificate for a tls:// receiver, PEM; empty: none"),
	ROW("key", KNOB_TEXT, key, 0, 0, "", NULL, "its private key, PEM"),
	ROW("message-max", KNOB_SIZE, message_max, SYSLOG_MESSAGE_MIN, SYSLOG_MESSAGE_MAX, "8 KiB", NULL,
		"bytes of a message; longer events go without frames and payload, or are dropped and counted"),
	ROW("spool", KNOB_TEXT, outlet.spool, 0, 0, "/var/lib/millrace/spool-syslog", NULL, "folder of events that wait for the receiver"),
	ROW("spool-size", KNOB_SIZE, outlet.spool_size, 16ull << 20, 1ull << 40, "64 MiB", NULL, "bound of that folder"),
	ROW("timeout-ms", KNOB_NUMBER, timeout_ms, 100, 600000, "10000", NULL, "give a connection or a message up after this long"),
	ROW("backoff-max-ms", KNOB_NUMBER, outlet.backoff_max_ms, 100, 3600000, "30000", NULL, "longest pause between attempts"),
	ROW("drain-ms", KNOB_NUMBER, outlet.drain_ms, 0, 3600000, "2000", NULL, "how long a stop waits for what is not sent"),
};

static const struct knob_table knobs = { "sink/syslog", rows, sizeof(rows) / sizeof(rows[0]) };

static const struct counter_desc counters[OUTLET_COUNTER_COUNT] = OUTLET_COUNTERS("sink.syslog");
static const struct counter_table own_counter_table = { counters, OUTLET_COUNTER_COUNT };

/* ---- messages ---- */

/* RFC 5424 6.2.1: how bad. An alert's severity 1 is critical, 2 an error, 3 a warning; all else is worth knowing. */
static unsigned int
severity_of(const struct format_event *event)
{
	return event->severity == 0 ? 6 : event->severity < 4 ? event->severity + 1 : 5;
}

/* EVE's "+0000" is "Z" in RFC 3339. */
static void
put_time(struct buf *out, const char *timestamp)
{
	size_t len = strspn(timestamp, "0123456789-:.T");

	if (len < 19 || len > 26 || strcmp(timestamp + len, "+0000") != 0) {
		buf_putc(out, '-');
		return;
	}
	buf_put(out, timestamp, len);
	buf_putc(out, 'Z');
}

static void
put_header(struct buf *out, const struct syslog_sink *sink, const struct format_event *event)
{
	buf_printf(out, "<%u>1 ", sink->config.facility * 8 + severity_of(event));
	put_time(out, event->timestamp);
	buf_printf(out, " %s millrace - %s - ", sink->host, event->type);
}

/* Makes the message, behind FRAME_MAX bytes. @return 0 or -EMSGSIZE */
static int
put_message(struct syslog_sink *sink, const struct format_event *event, const char *line, size_t len)
{
	struct buf *out = &sink->message;

	buf_reset(out);
	out->len = FRAME_MAX;
	put_header(out, sink, event);
	if (sink->config.format != FORMAT_EVE) {
		format_put(out, sink->config.format, event, sink->host);
		return out->full ? -EMSGSIZE : 0;
	}
	/* As the file has it, to the byte. */
	if (buf_has(out, len)) {
		buf_put(out, line, len);
		return 0;
	}
	format_put_short(out, event);
	return out->full ? -EMSGSIZE : 0;
}

static int
take(void *arg, struct outlet *outlet, const char *line, size_t len)
{
	struct syslog_sink *sink = arg;
	struct format_event event;
	char frame[FRAME_MAX + 1];
	size_t message_len;
	int frame_len;
	int rc;

	if (format_read(&event, line, len) != 0)
		return -ENOENT;
	rc = put_message(sink, &event, line, len);
	format_free(&event);
	if (rc != 0)
		return rc;
	message_len = sink->message.len - FRAME_MAX;
	if (outlet_transport(outlet) == WIRE_UDP) {
		outlet_put(outlet, sink->message.data + FRAME_MAX, message_len);
		return 0;
	}
	frame_len = snprintf(frame, sizeof(frame), "%zu ", message_len);
	memcpy(sink->message.data + FRAME_MAX - frame_len, frame, (size_t)frame_len);
	outlet_put(outlet, sink->message.data + FRAME_MAX - frame_len, message_len + (size_t)frame_len);
	return 0;
}

static const struct outlet_encoder encoder = { .take = take };

/* ---- the row in the table of sinks ---- */

static void
ops_destroy(void *self)
{
	struct syslog_sink *sink = self;

	if (sink == NULL)
		return;
	outlet_destroy(sink->base.outlet);
	buf_destroy(&sink->message);
	free(sink);
}

/* A header's fields are separated by spaces and hold printable ASCII only. */
static int
set_host(struct syslog_sink *sink, struct config_error *err)
{
	const char *name = sink->config.hostname;

	if (name[0] == '\0' && gethostname(sink->host, sizeof(sink->host) - 1) != 0)
		return -errno;
	if (strlen(name) > SYSLOG_HOST_MAX) {
		snprintf(err->text, sizeof(err->text), "outputs.syslog.hostname: longer than 255 characters");
		return -EINVAL;
	}
	if (name[0] != '\0')
		memcpy(sink->host, name, strlen(name) + 1);
	for (char *c = sink->host; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~') {
			snprintf(err->text, sizeof(err->text), "outputs.syslog.hostname: printable ASCII without spaces is wanted");
			return -EINVAL;
		}
	return 0;
}

static int
start(void *self, const struct outlet_settings *settings, struct wire_config *wire, struct config_error *err)
{
	const struct syslog_config *config = (const struct syslog_config *)settings;
	struct syslog_sink *sink = self;
	size_t message_max = config->message_max;

	sink->config = *config;
	*wire = (struct wire_config){ .key = "outputs.syslog", .url = config->url, .ca = config->ca, .cert = config->cert,
		.cert_key = config->key, .timeout_ms = config->timeout_ms,
		.default_ports = { [WIRE_UDP] = 514, [WIRE_TCP] = 601, [WIRE_TLS] = 6514 } };
	int rc = set_host(sink, err);

	if (rc != 0)
		return rc;
	if (strncmp(config->url, "udp:", 4) == 0 && message_max > SYSLOG_DATAGRAM_MAX)
		message_max = SYSLOG_DATAGRAM_MAX;
	if (buf_create(&sink->message, FRAME_MAX + message_max) != 0) {
		snprintf(err->text, sizeof(err->text), "outputs.syslog: no memory");
		return -ENOMEM;
	}
	return 0;
}

static const struct outlet_sink_kind kind = {
	.name = "syslog",
	.knobs = &knobs,
	.counters = counters,
	.lanes = LANES_DEFAULT,
	.size = sizeof(struct syslog_sink),
	.encoder = &encoder,
	.start = start,
	.destroy = ops_destroy,
};

static int
ops_create(void **self, struct config *config, const struct sink_env *env, struct config_error *err)
{
	struct syslog_config own;

	return outlet_sink_create(self, &kind, &own.outlet, config, err);
}

static int
ops_check(struct config *config, struct config_error *err)
{
	struct syslog_config own;

	return outlet_sink_check(&kind, &own.outlet, config, err);
}

static const struct knob_table *const knob_tables[] = { &knobs, NULL };

static const struct counter_table *const counter_tables[] = { &own_counter_table, NULL };

const struct sink_ops syslog_sink_ops = {
	.name = "syslog",
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
