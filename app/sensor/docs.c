/* `docs DIR`: the reference pages, written from the tables that the program itself runs on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/sensor/command.h"
#include "app/sensor/sensor.h"
#include "lib/event/event.h"
#include "lib/packet/decode_event.h"
#include "lib/record/summary.h"
#include "lib/stream/stream_event.h"

enum { PAGE_LEN_MAX = 4 * 1024 * 1024, COUNTER_TABLES_MAX = 32 };

static FILE *
open_page(const char *dir, const char *name, const char *title)
{
	char path[1024];
	FILE *page;

	snprintf(path, sizeof(path), "%s/%s.md", dir, name);
	page = fopen(path, "we");
	if (page == NULL)
		fprintf(stderr, "millrace-sensor: %s: %s\n", path, strerror(errno));
	else
		fprintf(page, "# %s\n\nWritten by `millrace-sensor docs`; do not edit.\n", title);
	return page;
}

static int
write_config(const char *dir, const struct settings *settings)
{
	FILE *page = open_page(dir, "configuration", "Configuration keys of the sensor");

	if (page == NULL)
		return 1;
	config_reference(settings->tables, settings->table_count, page);
	return fclose(page);
}

static void
put_record(FILE *page, struct buf *text, const struct record_table *table, bool is_asked)
{
	buf_reset(text);
	record_reference(table, is_asked, text);
	fprintf(page, "\n## %s\n\n", table->name);
	fwrite(text->data, 1, text->len, page);
}

static void
put_events(FILE *page, const struct rule_app *app)
{
	fprintf(page, "\n### Anomalies of %s (`app-layer-event:%s.NAME`)\n\n| name | meaning |\n|---|---|\n", app->name, app->name);
	for (unsigned int i = 0; i < app->event_count; i++)
		fprintf(page, "| `%s` | %s |\n", app->events[i].name, app->events[i].help);
}

static int
write_fields(const char *dir, const struct settings *settings, struct buf *text)
{
	FILE *page = open_page(dir, "fields", "Fields of events: EVE keys and rule keywords");

	if (page == NULL)
		return 1;
	fputs("\nA rule asks for a number or name by `PATH:VALUE` (`5`, `!5`, `>5`, `2<>5`, `[1,2]`, `![1,2]`), for text or bytes by `PATH; content:\"...\";`, for an\n"
	      "IP address by what a rule's header has (`10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, `[10.0.0.0/8,!10.1.0.0/16]`, `$HOME_NET`, each with `!`), for a\n"
	      "MAC address by all of it or its maker's part (`00:1b:1b:0a:0b:0c`, `00:1b:1b`, lists, `!`), for anything that is there by `PATH;`. Of a list one\n"
	      "element is enough, and of `![...]` none may be so. A name that has a comma in it stands in quotes. Where a table's keys are no keywords, they\n"
	      "are of events only; [keywords](keywords.md) has what rules ask of flows and files.\n", page);
	put_record(page, text, &flow_record_table, false);
	put_record(page, text, &netflow_record_table, false);
	put_record(page, text, &flow_tcp_record_table, false);
	put_record(page, text, &arp_table, false);
	put_record(page, text, &anomaly_table, false);
	put_record(page, text, &summary_table, false);
	put_record(page, text, &fileinfo_table, false);
	for (unsigned int i = 0; i < settings->app_count; i++) {
		put_record(page, text, settings->apps[i]->record, true);
		put_events(page, settings->apps[i]);
	}
	return fclose(page);
}

static int
write_names(const char *dir, const struct settings *settings, struct buf *text)
{
	FILE *page = open_page(dir, "names", "Names of values");

	if (page == NULL)
		return 1;
	fputs("\nWhat [fields](fields.md) has no room for: the names of a field's values, with their numbers, where it has more than eight. A list that several\n"
	      "fields have stands at the first of them.\n", page);
	for (unsigned int i = 0; i < settings->app_count; i++) {
		buf_reset(text);
		record_reference_names(settings->apps[i]->record, text);
		if (text->len == 0)
			continue;
		fprintf(page, "\n## %s\n", settings->apps[i]->record->name);
		fwrite(text->data, 1, text->len, page);
	}
	return fclose(page);
}

/* A protocol's own keywords and buffers; its fields are keywords too, by their paths on the page of fields. */
static void
put_app_keywords(FILE *page, const struct rule_app *app)
{
	if (app->keyword_count + app->buffer_count == 0)
		return;
	fprintf(page, "\n## Keywords of %s\n\n| keyword | value, or example |\n|---|---|\n", app->name);
	for (unsigned int i = 0; i < app->keyword_count; i++) {
		fprintf(page, "| `%s` | ", app->keywords[i].name);
		for (const char *at = app->keywords[i].help; at != NULL && *at != '\0'; at++)
			fprintf(page, *at == '|' ? "\\|" : "%c", *at);
		fprintf(page, " |\n");
	}
	for (unsigned int i = 0; i < app->buffer_count; i++)
		fprintf(page, "| `%s` | `alert %s any any -> any any (%s; content:\"...\"; sid:1;)` |\n", app->buffers[i].name, app->name,
			app->buffers[i].name);
}

static int
write_keywords(const char *dir, const struct settings *settings, struct buf *text)
{
	FILE *page = open_page(dir, "keywords", "Rule keywords");

	if (page == NULL)
		return 1;
	buf_reset(text);
	rule_reference(text);
	fputc('\n', page);
	fwrite(text->data, 1, text->len, page);
	for (unsigned int i = 0; i < settings->app_count; i++)
		put_app_keywords(page, settings->apps[i]);
	return fclose(page);
}

static int
write_events(const char *dir)
{
	FILE *page = open_page(dir, "events", "Events of decoding and reassembly");

	if (page == NULL)
		return 1;
	fprintf(page, "\n## `decode-event`\n\n| name | meaning |\n|---|---|\n");
	for (unsigned int i = 0; i < DECODE_EVENT_COUNT; i++)
		fprintf(page, "| `%s` | %s |\n", decode_event_table[i].name, decode_event_table[i].help);
	fprintf(page, "\n## `stream-event`\n\n| name | meaning |\n|---|---|\n");
	for (unsigned int i = 0; i < STREAM_EVENT_COUNT; i++)
		fprintf(page, "| `%s` | %s |\n", stream_event_table[i].name, stream_event_table[i].help);
	return fclose(page);
}

static void
put_counters(FILE *page, const struct counter_desc *descs, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		fprintf(page, "| `%s` | %s |\n", descs[i].name, descs[i].help);
}

static int
write_counters(const char *dir, const struct settings *settings)
{
	const struct counter_table *tables[COUNTER_TABLES_MAX];
	unsigned int table_count = sink_get_counter_tables(tables, COUNTER_TABLES_MAX);
	FILE *page = open_page(dir, "counters", "Counters");

	if (page == NULL)
		return 1;
	fprintf(page, "\n## Sensor\n\nIn `stats` events, in the control socket's `counters`, nested by their dotted names. `capture` closes the "
		      "books: received = processed + the sum of dropped. `ports` and `workers` are lists with the same books for each. "
		      "Counters of what is not turned on (rules, sinks, protocols, capture files) are left out.\n\n| name | meaning |\n|---|---|\n");
	put_counters(page, stats_capture_table.descs, stats_capture_table.count);
	put_counters(page, source_file_counters, SOURCE_FILE_COUNTER_COUNT);
	put_counters(page, spreader_counters, SPREADER_COUNTER_COUNT);
	put_counters(page, worker_counters, WORKER_COUNTER_COUNT);
	put_counters(page, packet_counters, PACKET_COUNTER_COUNT);
	put_counters(page, stats_decoder_table.descs, stats_decoder_table.count);
	put_counters(page, decode_event_counters, DECODE_EVENT_COUNT);
	put_counters(page, flow_counters, FLOW_COUNTER_COUNT);
	put_counters(page, stream_counters, STREAM_COUNTER_COUNT);
	put_counters(page, file_counters, FILE_COUNTER_COUNT);
	put_counters(page, proto_counters, PROTO_COUNTER_COUNT);
	for (unsigned int i = 0; i < settings->app_count; i++) {
		const struct proto *proto = proto_settings_proto(settings->protos, i);

		put_counters(page, proto->counters, proto->counter_count);
	}
	put_counters(page, stats_rules_table.descs, stats_rules_table.count);
	put_counters(page, rule_counter_table.descs, rule_counter_table.count);
	put_counters(page, event_ring_counters, EVENT_RING_COUNTER_COUNT);
	put_counters(page, exporter_counters, EXPORTER_COUNTER_COUNT);
	for (unsigned int i = 0; i < table_count; i++)
		put_counters(page, tables[i]->descs, tables[i]->count);
	return fclose(page);
}

int
command_docs(int argc, char **argv)
{
	struct command_args args = { 0 };
	struct settings settings;
	struct buf text;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: millrace-sensor docs DIR\n");
		return 2;
	}
	if (command_make_dir(argv[1]) != 0 || command_load(&settings, &args) != 0)
		return 1;
	rc = buf_create(&text, PAGE_LEN_MAX);
	if (rc == 0)
		rc = write_config(argv[1], &settings) | write_fields(argv[1], &settings, &text) | write_names(argv[1], &settings, &text) | write_keywords(argv[1], &settings, &text) |
			write_events(argv[1]) | write_counters(argv[1], &settings);
	buf_destroy(&text);
	settings_destroy(&settings);
	return rc == 0 ? 0 : 1;
}
