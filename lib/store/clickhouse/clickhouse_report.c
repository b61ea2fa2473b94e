/*
 * Reports: one row each. Those about records are asked of every shard, and the groups of all are put together here; those
 * about sensors and lanes are asked of PostgreSQL. A column's format says how its value is written, its sum how
 * two groups' values become one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/store/clickhouse/clickhouse_private.h"
#include "lib/store/function.h"

enum {
	COLUMNS_MAX = 8,
	ORDER_MAX = 3,
	LIMIT_DEFAULT = 10,
	BUCKET_DEFAULT_S = 3600,
	GROUPS_MAX = 200000, /* of one shard's answer */
};

enum format { AS_TEXT, AS_INTEGER, AS_WHOLE, AS_SECONDS, AS_NS, AS_HEX, AS_LANE, AS_IP, AS_JSON, AS_FUNCTION, AS_SIGNATURE };
enum join { KEY, SUM, LEAST, MOST };

struct column {
	const char *name;
	enum format format;
	enum join join;
};

/* What of the limits applies. */
enum limit { NO_LIMIT, LIMIT_100, LIMIT_1000, LIMIT_ASKED };

struct report {
	bool one;              /* an object, not an array */
	bool of_postgres;
	enum limit limit;
	uint32_t filters;      /* those that apply; others are ignored */
	const char *sql;       /* of ClickHouse: up to WHERE; '@' is the bucket's seconds */
	const char *group;     /* what follows the clauses */
	struct column columns[COLUMNS_MAX];
	int order[ORDER_MAX];  /* columns from 1, negative: falling */
};

#define FILTER(key) (1u << STORE_##key)
#define TIME_FILTERS (FILTER(SENSOR) | FILTER(SINCE) | FILTER(UNTIL))
#define FLOW_FILTERS (TIME_FILTERS | FILTER(SRC_IP) | FILTER(DEST_IP) | FILTER(IP) | FILTER(PORT) | FILTER(PROTO) | \
	FILTER(APP_PROTO))
#define ALERT_FILTERS (FLOW_FILTERS | FILTER(SIGNATURE_ID) | FILTER(SEVERITY))

/* Sums are of floating point, so that a hostile one cannot overflow. */
static const struct report reports[STORE_REPORT_COUNT] = {
	[STORE_REPORT_SENSORS] = {
		.of_postgres = true,
		.sql = "SELECT s.name, s.first_seen_s, s.last_seen_s, sum(l.records)::bigint, sum(l.lost)::bigint FROM sensors s"
			" JOIN lanes l ON l.sensor = s.name WHERE ($1::text IS NULL OR s.name = $1)"
			" GROUP BY s.name ORDER BY s.name COLLATE \"C\"",
		.columns = { { "sensor", AS_TEXT, KEY }, { "first_seen", AS_SECONDS, KEY }, { "last_seen", AS_SECONDS, KEY },
			{ "records", AS_INTEGER, KEY }, { "lost", AS_INTEGER, KEY } },
	},
	[STORE_REPORT_LANES] = {
		.of_postgres = true,
		.sql = "SELECT sensor, epoch, lane, next_seq - 1, records, lost, updated_s FROM lanes WHERE next_seq > 1"
			" AND ($1::text IS NULL OR sensor = $1) ORDER BY sensor COLLATE \"C\", id",
		.columns = { { "sensor", AS_TEXT, KEY }, { "epoch", AS_HEX, KEY }, { "lane", AS_LANE, KEY }, { "acked", AS_INTEGER, KEY },
			{ "records", AS_INTEGER, KEY }, { "lost", AS_INTEGER, KEY }, { "updated", AS_SECONDS, KEY } },
	},
	[STORE_REPORT_GAPS] = {
		.of_postgres = true,
		.sql = "SELECT sensor, epoch, lane, first, last, at_s FROM gaps WHERE ($1::text IS NULL OR sensor = $1)"
			" ORDER BY id DESC LIMIT 1000",
		.columns = { { "sensor", AS_TEXT, KEY }, { "epoch", AS_HEX, KEY }, { "lane", AS_LANE, KEY }, { "first", AS_INTEGER, KEY },
			{ "last", AS_INTEGER, KEY }, { "at", AS_SECONDS, KEY } },
	},
	[STORE_REPORT_EVENTS] = {
		.filters = TIME_FILTERS,
		.sql = "SELECT event_type, count() FROM records WHERE ",
		.group = " GROUP BY event_type",
		.columns = { { "event_type", AS_TEXT, KEY }, { "records", AS_INTEGER, SUM } },
		.order = { 1 },
	},
	[STORE_REPORT_PROTOCOLS] = {
		.filters = TIME_FILTERS,
		.sql = "SELECT event_type, coalesce(function, response_function) AS code, max(id), count(function),"
			" count(response_function), count() FROM records WHERE event_type NOT IN ('alert', 'anomaly')"
			" AND (function IS NOT NULL OR response_function IS NOT NULL) AND ",
		.group = " GROUP BY event_type, code",
		.columns = { { "protocol", AS_TEXT, KEY }, { "function", AS_INTEGER, KEY }, { "name", AS_FUNCTION, MOST },
			{ "requests", AS_INTEGER, SUM }, { "responses", AS_INTEGER, SUM }, { "records", AS_INTEGER, SUM } },
		.order = { 1, 2 },
	},
	[STORE_REPORT_APPS] = {
		.filters = TIME_FILTERS,
		.limit = LIMIT_100,
		.sql = "SELECT coalesce(app_proto, 'unknown') AS app, count(), sum(toFloat64(coalesce(packets, 0))),"
			" sum(toFloat64(coalesce(bytes, 0))) FROM records WHERE event_type = 'flow' AND ",
		.group = " GROUP BY app",
		.columns = { { "app_proto", AS_TEXT, KEY }, { "flows", AS_INTEGER, SUM }, { "packets", AS_WHOLE, SUM },
			{ "bytes", AS_WHOLE, SUM } },
		.order = { -2, 1 },
	},
	[STORE_REPORT_SIGNATURES] = {
		.filters = TIME_FILTERS,
		.limit = LIMIT_1000,
		.sql = "SELECT signature_id, max(id), min(severity), count(), min(ts_ns), max(ts_ns) FROM records"
			" WHERE signature_id IS NOT NULL AND ",
		.group = " GROUP BY signature_id",
		.columns = { { "signature_id", AS_INTEGER, KEY }, { "signature", AS_SIGNATURE, MOST }, { "severity", AS_INTEGER, LEAST },
			{ "alerts", AS_INTEGER, SUM }, { "first", AS_NS, LEAST }, { "last", AS_NS, MOST } },
		.order = { -4, 1 },
	},
	[STORE_REPORT_TALKERS] = {
		.filters = FLOW_FILTERS,
		.limit = LIMIT_ASKED,
		/* Each flow counts for both of its ends. */
		.sql = "SELECT hex(address), count(), sum(toFloat64(coalesce(packets, 0))) AS p, sum(toFloat64(coalesce(bytes, 0))) AS b"
			" FROM records ARRAY JOIN if(src_ip = dest_ip, [src_ip], [src_ip, dest_ip]) AS address"
			" WHERE event_type = 'flow' AND address != '' AND ",
		.group = " GROUP BY address ORDER BY b DESC, address LIMIT 200000",
		.columns = { { "ip", AS_IP, KEY }, { "flows", AS_INTEGER, SUM }, { "packets", AS_WHOLE, SUM }, { "bytes", AS_WHOLE, SUM } },
		.order = { -4, 1 },
	},
	[STORE_REPORT_TREND] = {
		.filters = ALERT_FILTERS,
		.limit = LIMIT_ASKED,
		.sql = "SELECT intDiv(intDiv(ts_ns, 1000000000), @) * @ AS time, severity, count() FROM records"
			" WHERE signature_id IS NOT NULL AND ",
		.group = " GROUP BY time, severity",
		.columns = { { "time", AS_SECONDS, KEY }, { "severity", AS_INTEGER, KEY }, { "alerts", AS_INTEGER, SUM } },
		.order = { -1, 2 },
	},
	[STORE_REPORT_FLOWS] = {
		.one = true,
		.filters = TIME_FILTERS,
		.sql = "SELECT count(), sum(toFloat64(coalesce(packets, 0))), sum(toFloat64(coalesce(bytes, 0))) FROM records"
			" WHERE event_type = 'flow' AND ",
		.group = "",
		.columns = { { "flows", AS_INTEGER, SUM }, { "packets", AS_WHOLE, SUM }, { "bytes", AS_WHOLE, SUM } },
	},
	[STORE_REPORT_STATS] = {
		.of_postgres = true,
		.sql = "SELECT sensor, epoch, run, line FROM runs WHERE ($1::text IS NULL OR sensor = $1)"
			" ORDER BY sensor COLLATE \"C\", (SELECT min(id) FROM lanes l WHERE l.sensor = runs.sensor AND l.epoch = runs.epoch), run",
		.columns = { { "sensor", AS_TEXT, KEY }, { "epoch", AS_HEX, KEY }, { "run", AS_INTEGER, KEY }, { "record", AS_JSON, KEY } },
	},
	[STORE_REPORT_RETENTION] = {
		.one = true,
		.of_postgres = true,
		.sql = "SELECT coalesce(sum(records), 0)::bigint, count(*), 0,"
			" coalesce((SELECT value FROM totals WHERE name = 'deleted_by_records'), 0),"
			" coalesce((SELECT value FROM totals WHERE name = 'deleted_by_bytes'), 0),"
			" coalesce((SELECT value FROM totals WHERE name = 'deleted_by_age'), 0)"
			" FROM partitions WHERE NOT doomed AND records > 0 AND ($1::text IS NULL OR true)",
		.columns = { { "records", AS_INTEGER, KEY }, { "partitions", AS_INTEGER, KEY }, { "bytes", AS_INTEGER, KEY },
			{ "deleted_by_records", AS_INTEGER, KEY }, { "deleted_by_bytes", AS_INTEGER, KEY },
			{ "deleted_by_age", AS_INTEGER, KEY } },
	},
};

/* A group: texts, NULL where there is no value. */
struct group {
	char *cells[COLUMNS_MAX];
	char *line; /* of its sample */
};

struct answer {
	struct clickhouse_store *store;
	const struct report *report;
	unsigned int columns;
	struct group *groups;
	size_t count;
	size_t cap;
	struct clickhouse_snapshot snapshot;
};

static unsigned int
column_count(const struct report *report)
{
	unsigned int count = 0;

	while (count < COLUMNS_MAX && report->columns[count].name != NULL)
		count++;
	return count;
}

static void
free_group(struct group *group)
{
	for (unsigned int i = 0; i < COLUMNS_MAX; i++)
		free(group->cells[i]);
	free(group->line);
}

static void
free_answer(struct answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		free_group(&answer->groups[i]);
	free(answer->groups);
	clickhouse_snapshot_free(&answer->snapshot);
}

static struct group *
add_group(struct answer *answer)
{
	size_t cap = answer->cap == 0 ? 64 : answer->cap * 2;
	struct group *grown;

	if (answer->count == answer->cap) {
		grown = realloc(answer->groups, cap * sizeof(*grown));
		if (grown == NULL)
			return NULL;
		answer->groups = grown;
		answer->cap = cap;
	}
	answer->groups[answer->count] = (struct group){ 0 };
	return &answer->groups[answer->count++];
}

/* ---- TabSeparated ---- */

static const struct { char letter, byte; } escapes[] = {
	{ 'n', '\n' }, { 't', '\t' }, { 'r', '\r' }, { '0', '\0' }, { 'b', '\b' }, { 'f', '\f' }, { '\'', '\'' }, { '\\', '\\' },
};

/* One cell up to its end; *out is NULL for \N. @return where it ended, NULL: no memory */
static const char *
read_cell(const char *text, char **out)
{
	size_t len = strcspn(text, "\t\n");
	char *cell = malloc(len + 1);
	size_t n = 0;

	*out = NULL;
	if (cell == NULL)
		return NULL;
	if (len == 2 && text[0] == '\\' && text[1] == 'N') {
		free(cell);
		return text + len;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\' && i + 1 < len) {
			i++;
			cell[n] = text[i];
			for (size_t e = 0; e < sizeof(escapes) / sizeof(escapes[0]); e++)
				if (escapes[e].letter == text[i])
					cell[n] = escapes[e].byte;
			n++;
		} else {
			cell[n++] = text[i];
		}
	}
	cell[n] = '\0';
	*out = cell;
	return text + len;
}

static int
read_groups(struct answer *answer, const char *text)
{
	while (text != NULL && *text != '\0') {
		struct group *group = add_group(answer);

		if (group == NULL)
			return -ENOMEM;
		for (unsigned int i = 0; i < answer->columns; i++) {
			text = read_cell(text, &group->cells[i]);
			if (text == NULL)
				return -ENOMEM;
			if (*text != (i + 1 < answer->columns ? '\t' : '\n'))
				return -EBADMSG;
			text++;
		}
	}
	return 0;
}

/* ---- groups of several shards ---- */

static double
real_of(const char *cell)
{
	return cell == NULL ? 0 : strtod(cell, NULL);
}

static bool
is_number(enum format format)
{
	return format != AS_TEXT && format != AS_IP;
}

/* NULL before all. */
static int
compare_cells(const struct column *column, const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	if (column->format == AS_WHOLE)
		return (real_of(a) > real_of(b)) - (real_of(a) < real_of(b));
	if (is_number(column->format)) {
		int64_t x = strtoll(a, NULL, 10), y = strtoll(b, NULL, 10);

		return (x > y) - (x < y);
	}
	return strcmp(a, b);
}

static int
compare_keys(const void *a, const void *b, void *arg)
{
	const struct report *report = arg;
	const struct group *x = a, *y = b;
	int order = 0;

	for (unsigned int i = 0; i < COLUMNS_MAX && report->columns[i].name != NULL && order == 0; i++)
		if (report->columns[i].join == KEY)
			order = compare_cells(&report->columns[i], x->cells[i], y->cells[i]);
	return order;
}

static int
compare_order(const void *a, const void *b, void *arg)
{
	const struct report *report = arg;
	const struct group *x = a, *y = b;

	for (unsigned int i = 0; i < ORDER_MAX && report->order[i] != 0; i++) {
		int at = abs(report->order[i]) - 1;
		int order = compare_cells(&report->columns[at], x->cells[at], y->cells[at]);

		if (order != 0)
			return report->order[i] < 0 ? -order : order;
	}
	return 0;
}

static int
join_cell(const struct column *column, char **into, char **from)
{
	char text[64];
	int order = compare_cells(column, *from, *into);
	int64_t total;

	if (column->join == KEY)
		return 0;
	if (column->join == SUM) {
		if (column->format == AS_WHOLE)
			snprintf(text, sizeof(text), "%.17g", real_of(*into) + real_of(*from));
		else if (!__builtin_add_overflow(*into == NULL ? 0 : strtoll(*into, NULL, 10),
			*from == NULL ? 0 : strtoll(*from, NULL, 10), &total))
			snprintf(text, sizeof(text), "%" PRId64, total);
		else
			snprintf(text, sizeof(text), "%" PRId64, INT64_MAX);
		free(*into);
		*into = strdup(text);
		return *into == NULL ? -ENOMEM : 0;
	}
	/* The least of some values passes over those that are none. */
	if ((column->join == LEAST && *from != NULL && (*into == NULL || order < 0)) || (column->join == MOST && order > 0)) {
		char *kept = *into;

		*into = *from;
		*from = kept;
	}
	return 0;
}

static int
join_groups(struct answer *answer)
{
	struct report *report = (struct report *)(uintptr_t)answer->report;
	size_t kept = 0;
	int err = 0;

	qsort_r(answer->groups, answer->count, sizeof(*answer->groups), compare_keys, report);
	for (size_t i = 0; i < answer->count; i++) {
		struct group *group = &answer->groups[i];

		if (kept == 0 || compare_keys(&answer->groups[kept - 1], group, report) != 0) {
			struct group moved = *group;

			*group = (struct group){ 0 };
			answer->groups[kept++] = moved;
			continue;
		}
		for (unsigned int c = 0; c < answer->columns && err == 0; c++)
			err = join_cell(&report->columns[c], &answer->groups[kept - 1].cells[c], &group->cells[c]);
		free_group(group);
		*group = (struct group){ 0 };
	}
	answer->count = kept;
	qsort_r(answer->groups, answer->count, sizeof(*answer->groups), compare_order, report);
	return err;
}

static void
cut(struct answer *answer, const struct store_filter *filter)
{
	static const size_t fixed[] = { [NO_LIMIT] = SIZE_MAX, [LIMIT_100] = 100, [LIMIT_1000] = 1000 };
	enum limit limit = answer->report->limit;
	size_t most = limit != LIMIT_ASKED ? fixed[limit] : filter->limit == 0 ? LIMIT_DEFAULT : filter->limit;

	while (answer->count > most)
		free_group(&answer->groups[--answer->count]);
}

/* ---- samples: the line of the newest record of a group ---- */

static int
sample_column(const struct answer *answer)
{
	for (unsigned int i = 0; i < answer->columns; i++)
		if (answer->report->columns[i].format == AS_FUNCTION || answer->report->columns[i].format == AS_SIGNATURE)
			return (int)i;
	return -1;
}

static int
put_sample(void *arg, int64_t id, const char *line, size_t len)
{
	struct answer *answer = arg;
	int at = sample_column(answer);

	for (size_t i = 0; i < answer->count; i++) {
		struct group *group = &answer->groups[i];

		if (group->line == NULL && group->cells[at] != NULL && strtoll(group->cells[at], NULL, 10) == id) {
			group->line = strndup(len == 0 ? "" : line, len);
			return group->line == NULL ? -ENOMEM : 0;
		}
	}
	return 0;
}

static int
read_samples(struct answer *answer)
{
	struct clickhouse_bytes where = { 0 };
	int at = sample_column(answer);
	int err;

	if (at < 0 || answer->count == 0)
		return 0;
	clickhouse_bytes_printf(&where, "id IN (0");
	for (size_t i = 0; i < answer->count; i++)
		clickhouse_bytes_printf(&where, ",%s", answer->groups[i].cells[at]);
	clickhouse_bytes_put(&where, ")", 2);
	err = where.failed ? -ENOMEM : clickhouse_lines(answer->store, &answer->snapshot, where.data, put_sample, answer);
	clickhouse_bytes_free(&where);
	return err;
}

/* ---- how a value is written ---- */

static json_t *
write_time(int64_t seconds, int64_t ns)
{
	char day[32];
	time_t at = (time_t)seconds;
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	return json_sprintf("%s.%06u+0000", day, (unsigned int)(ns / 1000));
}

static json_t *
write_ip(const char *hex)
{
	uint8_t bytes[16];
	char text[INET6_ADDRSTRLEN];
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len && i < sizeof(bytes); i++) {
		const char pair[3] = { hex[2 * i], hex[2 * i + 1] };

		bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	if ((len != 4 && len != 16) || inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text)) == NULL)
		return json_null();
	return json_string(text);
}

static json_t *
write_line(const char *line)
{
	json_t *record = line == NULL ? NULL : json_loads(line, JSON_ALLOW_NUL, NULL);

	return record == NULL ? json_null() : record;
}

/* What the record asks or answers, or the message of an alert. */
static json_t *
write_sample(const char *line, enum format format)
{
	json_t *record = write_line(line);
	json_t *alert = json_object_get(record, "alert");
	json_t *message = json_object_get(alert, "signature");
	const char *name = format == AS_FUNCTION ? store_function_name(record) : json_string_value(message);
	json_t *text = name == NULL ? json_null() : json_string(name);

	json_decref(record);
	return text;
}

static json_t *
write_cell(const struct column *column, const struct group *group, const char *cell)
{
	int64_t value;

	if (column->format == AS_FUNCTION || column->format == AS_SIGNATURE)
		return write_sample(group->line, column->format);
	if (cell == NULL)
		return json_null();
	value = is_number(column->format) ? strtoll(cell, NULL, 10) : 0;
	switch (column->format) {
	case AS_INTEGER:
		return json_integer(value);
	case AS_WHOLE:
		return real_of(cell) < 9e18 ? json_integer((json_int_t)real_of(cell)) : json_real(real_of(cell));
	case AS_SECONDS:
		return write_time(value, 0);
	case AS_NS:
		return write_time(value / 1000000000, value % 1000000000);
	case AS_HEX:
		return json_sprintf("%016" PRIx64, (uint64_t)value);
	case AS_LANE:
		return value < 0 || value >= LINK_LANE_COUNT ? json_null() : json_string(link_lane_name((enum link_lane)value));
	case AS_IP:
		return write_ip(cell);
	case AS_JSON:
		return write_line(cell);
	default:
		return json_string(cell);
	}
}

static int
write_rows(const struct answer *answer, json_t *rows)
{
	for (size_t i = 0; i < answer->count; i++) {
		json_t *row = json_object();

		for (unsigned int c = 0; c < answer->columns; c++) {
			const struct column *column = &answer->report->columns[c];
			json_t *value = write_cell(column, &answer->groups[i], answer->groups[i].cells[c]);

			if (json_object_set_new(row, column->name, value == NULL ? json_null() : value) != 0)
				return -ENOMEM;
		}
		if (json_array_append_new(rows, row) != 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- asking ---- */

static int
ask_postgres(struct answer *answer, const struct store_filter *filter)
{
	const char *sensor = (filter->present >> STORE_SENSOR & 1) != 0 ? filter->value[STORE_SENSOR].text : NULL;
	PGresult *rows = pg_ask(answer->store->aside, answer->report->sql, "t", sensor);

	if (rows == NULL)
		return pg_error(answer->store->aside);
	for (int i = 0; i < PQntuples(rows); i++) {
		struct group *group = add_group(answer);

		for (unsigned int c = 0; group != NULL && c < answer->columns; c++)
			group->cells[c] = PQgetisnull(rows, i, (int)c) ? NULL : strdup(PQgetvalue(rows, i, (int)c));
	}
	PQclear(rows);
	return 0;
}

static void
put_sql(struct clickhouse_bytes *sql, const struct answer *answer, const struct store_filter *filter)
{
	for (const char *text = answer->report->sql; *text != '\0'; text++) {
		if (*text == '@')
			clickhouse_bytes_printf(sql, "%u", filter->bucket_s == 0 ? BUCKET_DEFAULT_S : filter->bucket_s);
		else
			clickhouse_bytes_put(sql, text, 1);
	}
	(void)clickhouse_put_visible(sql, &answer->snapshot, filter, 0, answer->snapshot.part_count);
	clickhouse_put_clauses(sql, filter, ~answer->report->filters);
	clickhouse_bytes_put(sql, answer->report->group, strlen(answer->report->group) + 1);
}

static int
ask_shards(struct answer *answer, const struct store_filter *filter)
{
	struct clickhouse_bytes sql = { 0 };
	struct clickhouse_bytes text = { 0 };
	int err = clickhouse_snapshot_take(answer->store, &answer->snapshot);

	if (err == 0)
		put_sql(&sql, answer, filter);
	for (unsigned int i = 0; i < answer->store->shard_count && err == 0; i++) {
		err = sql.failed ? -ENOMEM : clickhouse_snapshot_ask(answer->store, &answer->snapshot, i, sql.data, &text);
		if (err == 0)
			err = read_groups(answer, text.data);
	}
	clickhouse_bytes_free(&sql);
	clickhouse_bytes_free(&text);
	if (err == 0)
		err = join_groups(answer);
	cut(answer, filter);
	return err == 0 ? read_samples(answer) : err;
}

/* What PostgreSQL does not know. */
static int
put_disk_bytes(struct answer *answer)
{
	enum { BYTES_COLUMN = 2 };
	char text[24];
	uint64_t bytes;
	int err = clickhouse_disk_bytes(answer->store, &bytes);

	if (err != 0)
		return err;
	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	free(answer->groups[0].cells[BYTES_COLUMN]);
	answer->groups[0].cells[BYTES_COLUMN] = strdup(text);
	return answer->groups[0].cells[BYTES_COLUMN] == NULL ? -ENOMEM : 0;
}

int
clickhouse_store_report(struct store *base, enum store_report which, const struct store_filter *filter, json_t **out)
{
	struct answer answer = { .store = clickhouse_of(base), .report = &reports[which] };
	json_t *rows = json_array();
	int err = rows == NULL ? -ENOMEM : 0;

	answer.columns = column_count(answer.report);
	clickhouse_start_deadline(answer.store);
	if (err == 0)
		err = answer.report->of_postgres ? ask_postgres(&answer, filter) : ask_shards(&answer, filter);
	if (err == 0 && which == STORE_REPORT_RETENTION)
		err = put_disk_bytes(&answer);
	if (err == 0)
		err = write_rows(&answer, rows);
	if (err == 0)
		*out = answer.report->one ? json_incref(json_array_get(rows, 0)) : json_incref(rows);
	json_decref(rows);
	free_answer(&answer);
	return err;
}
