#include "lib/sink/syslog/format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/json_read.h"
#include "lib/sink/outlet.h"

const char *const format_names[] = { "eve", "cef", "leef", NULL };

enum kind {
	KIND_TEXT,   /* as it is */
	KIND_IP,     /* CEF's src and dst are for IPv4; for IPv6 there are c6a2 and c6a3 */
	KIND_TIME,   /* an EVE time as milliseconds since the Unix epoch */
};

/* One row a field; "": that language has no name for it. */
static const struct field {
	const char *path;
	const char *cef;
	const char *leef;
	enum kind kind;
} fields[] = {
	{ "timestamp", "rt", "devTime", KIND_TIME },
	{ "src_ip", "src", "src", KIND_IP },
	{ "src_port", "spt", "srcPort", KIND_TEXT },
	{ "dest_ip", "dst", "dst", KIND_IP },
	{ "dest_port", "dpt", "dstPort", KIND_TEXT },
	{ "proto", "proto", "proto", KIND_TEXT },
	{ "app_proto", "app", "application", KIND_TEXT },
	{ "ether.src_mac", "smac", "srcMAC", KIND_TEXT },
	{ "ether.dest_mac", "dmac", "dstMAC", KIND_TEXT },
	{ "in_iface", "deviceInboundInterface", "interface", KIND_TEXT },
	{ "flow_id", "externalId", "flowId", KIND_TEXT },
	{ "alert.action", "act", "action", KIND_TEXT },
	{ "alert.category", "cat", "cat", KIND_TEXT },
	{ "flow.bytes_toserver", "in", "srcBytes", KIND_TEXT },
	{ "flow.bytes_toclient", "out", "dstBytes", KIND_TEXT },
	{ "flow.pkts_toserver", "", "srcPackets", KIND_TEXT },
	{ "flow.pkts_toclient", "", "dstPackets", KIND_TEXT },
	{ "flow.start", "start", "", KIND_TIME },
	{ "flow.end", "end", "", KIND_TIME },
	{ "flow.reason", "reason", "reason", KIND_TEXT },
};

/* ---- reading ---- */

int
format_read(struct format_event *out, const char *line, size_t len)
{
	const char *type;
	const char *timestamp;
	const json_t *severity;

	*out = (struct format_event){ .root = json_read(line, len), .timestamp = "" };
	type = json_string_value(json_object_get(out->root, "event_type"));
	if (type == NULL) {
		format_free(out);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < FORMAT_TYPE_MAX && type[i] != '\0'; i++)
		out->type[i] = type[i] > ' ' && type[i] <= '~' ? type[i] : '_';
	timestamp = json_string_value(json_object_get(out->root, "timestamp"));
	if (timestamp != NULL)
		out->timestamp = timestamp;
	severity = outlet_value_at(out->root, "alert.severity");
	if (json_is_integer(severity) && json_integer_value(severity) > 0 && strcmp(type, "alert") == 0)
		out->severity = json_integer_value(severity) > 255 ? 255 : (unsigned int)json_integer_value(severity);
	return 0;
}

void
format_free(struct format_event *event)
{
	json_decref(event->root);
	event->root = NULL;
}

/* ---- characters that would be taken for the language's own ---- */

enum place { PLACE_HEADER, PLACE_CEF_VALUE, PLACE_LEEF_VALUE };

/* What was sniffed may hold anything: control characters go, since a receiver may take them for the end of a message. */
static void
put_escaped(struct buf *out, enum place place, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < ' ' || c == 0x7f)
			buf_putc(out, ' ');
		else if (place == PLACE_HEADER && (c == '|' || c == '\\'))
			buf_printf(out, "\\%c", c);
		else if (place == PLACE_CEF_VALUE && (c == '=' || c == '\\'))
			buf_printf(out, "\\%c", c);
		else
			buf_putc(out, (char)c);
	}
}

static void
put_value(struct buf *out, enum place place, const json_t *value)
{
	char *text;
	size_t len;

	if (json_is_string(value)) {
		put_escaped(out, place, json_string_value(value), json_string_length(value));
		return;
	}
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	len = text == NULL ? 0 : strnlen(text, FORMAT_DETAIL_MAX);
	/* A character is cut whole or not at all. */
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	put_escaped(out, place, text, len);
	free(text);
}

/* ---- fields ---- */

/* "2026-01-02T03:04:05.678901+0000": EVE's times are UTC. @return false when it is none */
static bool
read_time_ms(const char *text, uint64_t *out_ms)
{
	struct tm parts = { 0 };
	const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
	time_t seconds = rest == NULL ? -1 : timegm(&parts);
	unsigned int ms = 0;

	if (seconds < 0)
		return false;
	if (*rest == '.' && sscanf(rest, ".%3u", &ms) != 1)
		ms = 0;
	*out_ms = (uint64_t)seconds * 1000 + ms;
	return true;
}

static void
begin_pair(struct buf *out, enum format format, const char *key, bool *first)
{
	if (!*first)
		buf_putc(out, format == FORMAT_CEF ? ' ' : '\t');
	*first = false;
	buf_puts(out, key);
	buf_putc(out, '=');
}

static void
put_field(struct buf *out, enum format format, const struct field *field, const json_t *value, bool *first)
{
	enum place place = format == FORMAT_CEF ? PLACE_CEF_VALUE : PLACE_LEEF_VALUE;
	const char *key = format == FORMAT_CEF ? field->cef : field->leef;
	const char *text = json_string_value(value);
	uint64_t ms;

	if (key[0] == '\0' || value == NULL || (field->kind == KIND_TIME && !read_time_ms(text, &ms)))
		return;
	if (field->kind == KIND_TIME) {
		begin_pair(out, format, key, first);
		buf_u64(out, ms);
		return;
	}
	if (field->kind == KIND_IP && format == FORMAT_CEF && text != NULL && strchr(text, ':') != NULL) {
		bool source = strcmp(key, "src") == 0;

		begin_pair(out, format, source ? "c6a2Label" : "c6a3Label", first);
		buf_puts(out, source ? "Source IPv6 Address" : "Destination IPv6 Address");
		key = source ? "c6a2" : "c6a3";
	}
	begin_pair(out, format, key, first);
	put_value(out, place, value);
}

/* The event's own object, where the table has no names for what is in it. */
static void
put_detail(struct buf *out, enum format format, const struct format_event *event, bool *first)
{
	const json_t *own = json_object_get(event->root, event->type);

	if (own == NULL || strcmp(event->type, "alert") == 0 || strcmp(event->type, "flow") == 0)
		return;
	begin_pair(out, format, "msg", first);
	put_value(out, format == FORMAT_CEF ? PLACE_CEF_VALUE : PLACE_LEEF_VALUE, own);
}

static void
put_fields(struct buf *out, enum format format, const struct format_event *event, const char *sensor)
{
	const json_t *community = json_object_get(event->root, "community_id");
	bool first = true;

	if (format == FORMAT_LEEF) {
		/* A worst alert is 10, the mildest 1. */
		unsigned int severity = event->severity == 0 || event->severity > 4 ? 1 : 13 - 3 * event->severity;

		begin_pair(out, format, "sev", &first);
		buf_u64(out, severity);
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		put_field(out, format, &fields[i], outlet_value_at(event->root, fields[i].path), &first);
	if (community != NULL) {
		if (format == FORMAT_CEF) {
			begin_pair(out, format, "cs1Label", &first);
			buf_puts(out, "communityId");
		}
		begin_pair(out, format, format == FORMAT_CEF ? "cs1" : "communityId", &first);
		put_value(out, format == FORMAT_CEF ? PLACE_CEF_VALUE : PLACE_LEEF_VALUE, community);
	}
	if (sensor[0] != '\0') {
		begin_pair(out, format, format == FORMAT_CEF ? "dvchost" : "devName", &first);
		put_escaped(out, format == FORMAT_CEF ? PLACE_CEF_VALUE : PLACE_LEEF_VALUE, sensor, strlen(sensor));
	}
	put_detail(out, format, event, &first);
}

static void
put_cef(struct buf *out, const struct format_event *event, const char *sensor)
{
	const json_t *id = outlet_value_at(event->root, "alert.signature_id");
	const json_t *name = outlet_value_at(event->root, "alert.signature");

	buf_puts(out, "CEF:0|Millrace|millrace-sensor|" MILLRACE_VERSION "|");
	if (event->severity > 0 && id != NULL)
		put_value(out, PLACE_HEADER, id);
	else
		put_escaped(out, PLACE_HEADER, event->type, strlen(event->type));
	buf_putc(out, '|');
	if (event->severity > 0 && json_is_string(name))
		put_value(out, PLACE_HEADER, name);
	else
		put_escaped(out, PLACE_HEADER, event->type, strlen(event->type));
	buf_printf(out, "|%u|", event->severity == 0 || event->severity > 4 ? 1 : 13 - 3 * event->severity);
	put_fields(out, FORMAT_CEF, event, sensor);
}

static void
put_leef(struct buf *out, const struct format_event *event, const char *sensor)
{
	const json_t *id = outlet_value_at(event->root, "alert.signature_id");
	const json_t *name = outlet_value_at(event->root, "alert.signature");

	buf_puts(out, "LEEF:2.0|Millrace|millrace-sensor|" MILLRACE_VERSION "|");
	if (event->severity > 0 && id != NULL)
		put_value(out, PLACE_HEADER, id);
	else
		put_escaped(out, PLACE_HEADER, event->type, strlen(event->type));
	buf_puts(out, "|x09|");
	put_fields(out, FORMAT_LEEF, event, sensor);
	if (event->severity > 0 && json_is_string(name)) {
		buf_puts(out, "\tname=");
		put_value(out, PLACE_LEEF_VALUE, name);
	}
}

static void
put_json(struct buf *out, const json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT);

	if (text == NULL)
		out->full = true;
	else
		buf_puts(out, text);
	free(text);
}

void
format_put(struct buf *out, enum format format, const struct format_event *event, const char *sensor)
{
	if (format == FORMAT_CEF)
		put_cef(out, event, sensor);
	else if (format == FORMAT_LEEF)
		put_leef(out, event, sensor);
	else
		put_json(out, event->root);
}

void
format_put_short(struct buf *out, const struct format_event *event)
{
	static const char *const longest[] = { "packet", "packet_info", "payload", "payload_printable" };

	for (size_t i = 0; i < sizeof(longest) / sizeof(longest[0]); i++)
		json_object_del(event->root, longest[i]);
	put_json(out, event->root);
}
