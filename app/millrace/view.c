#include "app/millrace/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/millrace/client.h"
#include "app/millrace/summary.h"
#include "app/millrace/text.h"
#include "lib/store/function.h"

enum { COLUMNS_MAX = 14, PATH_MAX_LEN = 128, PAGES_MAX = 10000 };

/* A column: dotted paths, the values that are there joined by a colon; "record:function" is what the record asks or answers, "record:began"
 * when its flow began, which may have been told of in records before. */
struct column {
	const char *heading; /* ">" first: aligned right */
	const char *paths[2];
};

struct view {
	const char *name;
	const char *path;    /* resource; NULL: only a part of another */
	const char *key;     /* of the rows in the answer */
	void (*print)(const json_t *root); /* instead of rows */
	struct column columns[COLUMNS_MAX];
};

static void print_protocols(const json_t *root);
static void print_counters(const json_t *root);

static const struct view views[] = {
	{ "flows", "/v1/flows", "records", NULL, {
		{ "BEGAN", { "record:began" } }, { "TOLD", { "record.timestamp" } }, { "SENSOR", { "sensor" } },
		{ "SOURCE", { "record.src_ip", "record.src_port" } },
		{ "DESTINATION", { "record.dest_ip", "record.dest_port" } }, { "PROTO", { "record.proto" } },
		{ "APP", { "record.app_proto" } }, { ">PKTS TO", { "record.flow.pkts_toserver" } },
		{ ">PKTS BACK", { "record.flow.pkts_toclient" } }, { ">BYTES TO", { "record.flow.bytes_toserver" } },
		{ ">BYTES BACK", { "record.flow.bytes_toclient" } }, { "STATE", { "record.flow.state" } },
		{ "REASON", { "record.flow.reason" } }, { "FLOW", { "record.flow_id" } } } },
	{ "alerts", "/v1/alerts", "records", NULL, {
		{ "TIME", { "record.timestamp" } }, { "SENSOR", { "sensor" } },
		{ ">SEV", { "record.alert.severity" } }, { ">SIGNATURE", { "record.alert.signature_id" } },
		{ "SOURCE", { "record.src_ip", "record.src_port" } },
		{ "DESTINATION", { "record.dest_ip", "record.dest_port" } }, { "FLOW", { "record.flow_id" } },
		{ "MESSAGE", { "record.alert.signature" } } } },
	{ "events", "/v1/events", "records", NULL, {
		{ "TIME", { "record.timestamp" } }, { "SENSOR", { "sensor" } }, { "LANE", { "lane" } },
		{ ">SEQUENCE", { "sequence" } }, { "TYPE", { "record.event_type" } },
		{ "SOURCE", { "record.src_ip", "record.src_port" } },
		{ "DESTINATION", { "record.dest_ip", "record.dest_port" } }, { "APP", { "record.app_proto" } },
		{ "FUNCTION", { "record:function" } },
		{ "ANOMALY", { "record.anomaly.event" } }, { "FLOW", { "record.flow_id" } } } },
	{ "trend", "/v1/alerts/trend", "trend", NULL, {
		{ "TIME", { "time" } }, { ">SEV", { "severity" } }, { ">ALERTS", { "alerts" } } } },
	{ "sensors", "/v1/sensors", "sensors", NULL, {
		{ "SENSOR", { "sensor" } }, { "STATE", { "state" } }, { "EXPIRES", { "expires" } }, { "SITE", { "site" } },
		{ "ZONE", { "zone" } }, { "FIRST SEEN", { "first_seen" } }, { "LAST SEEN", { "last_seen" } },
		{ "SILENT", { "silent" } }, { ">RECORDS", { "records" } }, { ">LOST", { "lost" } } } },
	{ "audit", "/v1/sensors/audit", "audit", NULL, {
		{ "AT", { "at" } }, { "BY", { "actor" } }, { "ACTION", { "action" } }, { "SENSOR", { "sensor" } },
		{ "DETAIL", { "detail" } } } },
	{ "lanes", "/v1/lanes", "lanes", NULL, {
		{ "SENSOR", { "sensor" } }, { "EPOCH", { "epoch" } }, { "LANE", { "lane" } }, { ">ACKED", { "acked" } },
		{ ">RECORDS", { "records" } }, { ">LOST", { "lost" } }, { "UPDATED", { "updated" } } } },
	{ "gaps", "/v1/gaps", "gaps", NULL, {
		{ "SENSOR", { "sensor" } }, { "EPOCH", { "epoch" } }, { "LANE", { "lane" } }, { ">FIRST", { "first" } },
		{ ">LAST", { "last" } }, { "AT", { "at" } } } },
	{ "protocols", "/v1/protocols", "protocols", print_protocols, {
		{ "PROTOCOL", { "protocol" } }, { ">FUNCTION", { "function" } }, { "NAME", { "name" } },
		{ ">REQUESTS", { "requests" } }, { ">RESPONSES", { "responses" } }, { ">RECORDS", { "records" } } } },
	{ "counters", "/v1/counters", NULL, print_counters, { { NULL } } },
	{ "summary", "/v1/summary", NULL, summary_print, { { NULL } } },
	{ "delivered", NULL, NULL, NULL, {
		{ "SENSOR", { "sensor" } }, { "FIRST SEEN", { "first_seen" } }, { "LAST SEEN", { "last_seen" } },
		{ ">RECORDS", { "records" } }, { ">LOST", { "lost" } } } },
	{ "applications", NULL, NULL, NULL, {
		{ "APPLICATION", { "app_proto" } }, { ">FLOWS", { "flows" } }, { ">PACKETS", { "packets" } },
		{ ">BYTES", { "bytes" } } } },
	{ "records", NULL, NULL, NULL, { { "EVENT TYPE", { "event_type" } }, { ">RECORDS", { "records" } } } },
	{ "signatures", NULL, NULL, NULL, {
		{ ">ALERTS", { "alerts" } }, { ">SIGNATURE", { "signature_id" } }, { ">SEV", { "severity" } },
		{ "MESSAGE", { "signature" } } } },
	{ "pairs", "/v1/pairs", "pairs", NULL, {
		{ "SOURCE", { "src_ip" } }, { "DESTINATION", { "dest_ip", "dest_port" } }, { "PROTO", { "proto" } },
		{ "APP", { "app_proto" } }, { ">FLOWS", { "flows" } }, { ">PACKETS", { "packets" } }, { ">BYTES", { "bytes" } },
		{ "FIRST", { "first" } }, { "LAST", { "last" } } } },
	{ "talkers", "/v1/talkers", "talkers", NULL, {
		{ "ADDRESS", { "ip" } }, { ">FLOWS", { "flows" } }, { ">PACKETS", { "packets" } },
		{ ">BYTES", { "bytes" } } } },
};

static const struct view *
view_find(const char *name)
{
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (strcmp(views[i].name, name) == 0)
			return &views[i];
	return NULL;
}

bool
view_exists(const char *name)
{
	const struct view *view = view_find(name);

	return view != NULL && view->path != NULL;
}

static const json_t *
value_at(const json_t *row, const char *path)
{
	char key[PATH_MAX_LEN];

	while (row != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		row = json_object_get(row, key);
		path += len + (path[len] == '.');
	}
	return row;
}

static void
put_function(struct buf *cell, const json_t *row)
{
	const char *name = store_function_name(json_object_get(row, "record"));
	json_t *text = name == NULL ? NULL : json_string(name);

	if (text != NULL)
		text_put_value(cell, text);
	json_decref(text);
}

static void
put_began(struct buf *cell, const json_t *row)
{
	const json_t *began = value_at(row, "record.flow.began");

	text_put_value(cell, began != NULL ? began : value_at(row, "record.flow.start"));
}

/* RFC 5952 6: the colon before a port is told from those of an address. */
static void
put_host(struct buf *cell, const json_t *value, bool with_port)
{
	bool colons = with_port && json_is_string(value) && strchr(json_string_value(value), ':') != NULL;

	if (colons)
		buf_putc(cell, '[');
	text_put_value(cell, value);
	if (colons)
		buf_putc(cell, ']');
	if (with_port)
		buf_putc(cell, ':');
}

/* Pairs of a protocol without ports have a null. */
static bool
has_port(const json_t *row, const char *path)
{
	const json_t *port = value_at(row, path);

	return port != NULL && !json_is_null(port);
}

/* ARP's addresses are its own. */
static const json_t *
value_of(const json_t *row, const char *path)
{
	const json_t *value = value_at(row, path);

	if (value == NULL && strcmp(path, "record.src_ip") == 0)
		return value_at(row, "record.arp.src_ip");
	if (value == NULL && strcmp(path, "record.dest_ip") == 0)
		return value_at(row, "record.arp.dest_ip");
	return value;
}

static void
put_cell(const struct column *column, const json_t *row, struct buf *cell)
{
	buf_reset(cell);
	for (size_t i = 0; i < sizeof(column->paths) / sizeof(column->paths[0]) && column->paths[i] != NULL; i++) {
		const json_t *value = value_of(row, column->paths[i]);

		if (strcmp(column->paths[i], "record:function") == 0)
			put_function(cell, row);
		else if (strcmp(column->paths[i], "record:began") == 0)
			put_began(cell, row);
		if (value == NULL || json_is_null(value))
			continue;
		if (i == 0 && column->paths[1] != NULL)
			put_host(cell, value, has_port(row, column->paths[1]));
		else
			text_put_value(cell, value);
	}
}

void
view_print_line(const char *name, const json_t *row)
{
	const struct view *view = view_find(name);
	char text[4096];
	struct buf cell = { .data = text, .cap = sizeof(text) };

	for (unsigned int i = 0; i < COLUMNS_MAX && view->columns[i].heading != NULL; i++) {
		put_cell(&view->columns[i], row, &cell);
		printf("%s%.*s", i == 0 ? "" : "  ", cell.len == 0 ? 1 : (int)cell.len, cell.len == 0 ? "-" : cell.data);
	}
	putchar('\n');
}

void
view_print_rows(const char *name, const json_t *rows)
{
	const struct view *view = view_find(name);
	const char *headings[COLUMNS_MAX];
	char text[4096];
	struct buf cell = { .data = text, .cap = sizeof(text) };
	unsigned int count = 0;
	struct text_table *table;
	json_t *row;
	size_t i;

	while (count < COLUMNS_MAX && view->columns[count].heading != NULL) {
		headings[count] = view->columns[count].heading;
		count++;
	}
	table = text_table_create(headings, count);
	if (table == NULL)
		return;
	json_array_foreach(rows, i, row)
		for (unsigned int j = 0; j < count; j++) {
			put_cell(&view->columns[j], row, &cell);
			text_table_add(table, cell.data, cell.len);
		}
	text_table_print(table, stdout);
}

/* RFC 4180. What a spreadsheet would take for a formula comes from the wire: it is told that it is a text. */
static void
print_csv_cell(const char *text, size_t len, bool last)
{
	putchar('"');
	if (len > 1 && strchr("=+-@", text[0]) != NULL)
		putchar('\'');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			putchar('"');
		putchar(text[i]);
	}
	printf(last ? "\"\r\n" : "\",");
}

static void
print_csv(const struct view *view, const json_t *rows)
{
	char text[4096];
	struct buf cell = { .data = text, .cap = sizeof(text) };
	unsigned int count = 0;
	json_t *row;
	size_t i;

	while (count < COLUMNS_MAX && view->columns[count].heading != NULL)
		count++;
	for (unsigned int j = 0; j < count; j++) {
		const char *heading = view->columns[j].heading + (view->columns[j].heading[0] == '>');

		print_csv_cell(heading, strlen(heading), j + 1 == count);
	}
	json_array_foreach((json_t *)rows, i, row)
		for (unsigned int j = 0; j < count; j++) {
			put_cell(&view->columns[j], row, &cell);
			print_csv_cell(cell.data, cell.len, j + 1 == count);
		}
}

/* All that each record says, a line a value. */
static void
print_long(const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)rows, i, row) {
		const char *sensor = json_string_value(json_object_get(row, "sensor")), *lane = json_string_value(json_object_get(row, "lane"));

		printf("%ssensor %s, lane %s, sequence %" JSON_INTEGER_FORMAT "\n", i == 0 ? "" : "\n", sensor == NULL ? "?" : sensor,
			lane == NULL ? "?" : lane, json_integer_value(json_object_get(row, "sequence")));
		summary_print_tree("", json_object_get(row, "record"));
	}
}

static void
print_protocols(const json_t *root)
{
	view_print_rows("protocols", json_object_get(root, "protocols"));
	printf("\n");
	view_print_rows("applications", json_object_get(root, "applications"));
	printf("\n");
	view_print_rows("records", json_object_get(root, "records"));
}

static void
print_counters(const json_t *root)
{
	const char *const parts[] = { "aggregator", "retention" };
	json_t *run;
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		summary_print_tree(parts[i], json_object_get(root, parts[i]));
	json_array_foreach(json_object_get(root, "sensors"), i, run) {
		const char *sensor = json_string_value(json_object_get(run, "sensor"));

		printf("\nsensor %s, epoch %s, run %" JSON_INTEGER_FORMAT "\n", sensor == NULL ? "?" : sensor,
			json_string_value(json_object_get(run, "epoch")), json_integer_value(json_object_get(run, "run")));
		summary_print_tree("", json_object_get(json_object_get(run, "record"), "stats"));
	}
}

void
view_print_json(const json_t *root)
{
	json_dumpf(root, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	printf("\n");
}

/* The following pages' records join those of the first. */
static int
get_pages(const struct options *options, const struct view *view, json_t **out)
{
	int status = client_get(options, view->path, NULL, out);

	for (unsigned int page = 1; status == STATUS_DONE && options->all && page < PAGES_MAX; page++) {
		const char *cursor = json_string_value(json_object_get(*out, "next"));
		json_t *more;

		if (cursor == NULL)
			break;
		status = client_get(options, view->path, cursor, &more);
		if (status != STATUS_DONE) {
			json_decref(*out);
			return status;
		}
		json_array_extend(json_object_get(*out, "records"), json_object_get(more, "records"));
		json_object_set(*out, "next", json_object_get(more, "next"));
		json_decref(more);
	}
	return status;
}

/* @return why the options are not for it, NULL: they are */
static const char *
unfit(const struct options *options, const struct view *view)
{
	bool records = view->key != NULL && strcmp(view->key, "records") == 0;

	if (options->longer && !records)
		return "--long is for flows, alerts and events";
	if (options->all && !records)
		return "--all is for flows, alerts and events: others have no pages";
	if (options->csv && (view->print != NULL || options->longer || options->json))
		return "--csv is for what is one table, and not with --json or --long";
	return NULL;
}

int
view_run(const struct options *options, const char *name)
{
	const struct view *view = view_find(name);
	const char *why = unfit(options, view);
	json_t *root;
	int status;

	if (why != NULL) {
		fprintf(stderr, "millrace: %s\n", why);
		return STATUS_USAGE;
	}
	status = get_pages(options, view, &root);
	if (status != STATUS_DONE)
		return status;
	if (options->json)
		view_print_json(root);
	else if (options->csv)
		print_csv(view, json_object_get(root, view->key));
	else if (options->longer)
		print_long(json_object_get(root, view->key));
	else if (view->print != NULL)
		view->print(root);
	else
		view_print_rows(name, json_object_get(root, view->key));
	if (!options->json && json_is_string(json_object_get(root, "next")))
		fprintf(options->csv ? stderr : stdout, "more: --cursor %s, or --all\n", json_string_value(json_object_get(root, "next")));
	json_decref(root);
	return STATUS_DONE;
}
