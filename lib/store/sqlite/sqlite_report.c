/* Reports: one row each; a column's name says how its value is written ("updated:s" is a time). */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/store/function.h"
#include "lib/store/sqlite/sqlite_private.h"

enum { SQL_TEXT_MAX = 4096 };

struct report {
	bool one;           /* an object, not an array */
	uint32_t filters;   /* those that apply; others are ignored */
	const char *before; /* ends in a WHERE */
	const char *after;
};

#define FILTER(key) (1u << STORE_##key)
#define RECORD_FILTERS (FILTER(SENSOR) | FILTER(SINCE) | FILTER(UNTIL))

static const struct report reports[STORE_REPORT_COUNT] = {
	[STORE_REPORT_SENSORS] = {
		.before = "SELECT s.name AS sensor, s.first_seen_s AS \"first_seen:s\", s.last_seen_s AS \"last_seen:s\","
			" sum(l.records) AS records, sum(l.lost) AS lost FROM sensors s JOIN lanes l ON l.sensor_id = s.id"
			" WHERE (?1 IS NULL OR s.name = ?1)",
		.after = " GROUP BY s.id ORDER BY s.name",
	},
	[STORE_REPORT_LANES] = {
		.before = "SELECT s.name AS sensor, l.epoch AS \"epoch:hex\", l.lane AS \"lane:lane\","
			" l.next_seq - 1 AS acked, l.records AS records, l.lost AS lost, l.updated_s AS \"updated:s\""
			" FROM sensors s JOIN lanes l ON l.sensor_id = s.id WHERE (?1 IS NULL OR s.name = ?1)",
		.after = " ORDER BY s.name, l.id",
	},
	[STORE_REPORT_GAPS] = {
		.before = "SELECT s.name AS sensor, l.epoch AS \"epoch:hex\", l.lane AS \"lane:lane\", g.first AS first,"
			" g.last AS last, g.at_s AS \"at:s\" FROM gaps g JOIN lanes l ON l.id = g.lane_id"
			" JOIN sensors s ON s.id = l.sensor_id WHERE (?1 IS NULL OR s.name = ?1)",
		.after = " ORDER BY g.id DESC LIMIT 1000",
	},
	[STORE_REPORT_EVENTS] = {
		.filters = RECORD_FILTERS,
		.before = "SELECT event_type, count(*) AS records FROM records INDEXED BY records_type WHERE 1",
		.after = " GROUP BY event_type ORDER BY event_type",
	},
	[STORE_REPORT_PROTOCOLS] = {
		.filters = RECORD_FILTERS,
		.before = "SELECT p.protocol AS protocol, p.function AS function, r.line AS \"name:function\","
			" p.requests AS requests, p.responses AS responses, p.records AS records FROM (SELECT event_type AS"
			" protocol, coalesce(function, response_function) AS function, count(function) AS requests,"
			" count(response_function) AS responses, count(*) AS records, max(id) AS sample"
			" FROM records INDEXED BY records_type WHERE event_type NOT IN ('alert', 'anomaly') AND (function IS NOT NULL"
			" OR response_function IS NOT NULL)",
		.after = " GROUP BY 1, 2) p JOIN records r ON r.id = p.sample ORDER BY p.protocol, p.function",
	},
	[STORE_REPORT_APPS] = {
		.filters = RECORD_FILTERS,
		.before = "SELECT coalesce(app_proto, 'unknown') AS app_proto, count(*) AS flows,"
			" total(packets) AS \"packets:n\", total(bytes) AS \"bytes:n\" FROM records WHERE event_type = 'flow'",
		.after = " GROUP BY 1 ORDER BY flows DESC, 1 LIMIT 100",
	},
	[STORE_REPORT_SIGNATURES] = {
		.filters = RECORD_FILTERS,
		.before = "SELECT a.signature_id AS signature_id, json_extract(r.line, '$.alert.signature') AS signature,"
			" a.severity AS severity, a.alerts AS alerts, a.first AS \"first:ns\", a.last AS \"last:ns\" FROM"
			" (SELECT signature_id, min(severity) AS severity, count(*) AS alerts, min(ts_ns) AS first,"
			" max(ts_ns) AS last, max(id) AS sample FROM records INDEXED BY records_signature"
			" WHERE signature_id IS NOT NULL",
		.after = " GROUP BY signature_id) a JOIN records r ON r.id = a.sample"
			" ORDER BY a.alerts DESC, a.signature_id LIMIT 1000",
	},
	[STORE_REPORT_TALKERS] = {
		.filters = RECORD_FILTERS,
		/* The row that stands for two: each flow counts for both of its ends. */
		.before = "SELECT ip AS \"ip:ip\", count(*) AS flows, total(packets) AS \"packets:n\","
			" total(bytes) AS \"bytes:n\" FROM (SELECT CASE e.x WHEN 1 THEN src_ip ELSE dest_ip END AS ip, packets,"
			" bytes FROM records CROSS JOIN (SELECT 1 AS x UNION ALL SELECT 2) e WHERE event_type = 'flow'"
			" AND (e.x = 1 OR dest_ip IS NOT src_ip)",
		.after = ") WHERE ip IS NOT NULL GROUP BY ip ORDER BY total(bytes) DESC, ip LIMIT 10",
	},
	[STORE_REPORT_FLOWS] = {
		.one = true,
		.filters = RECORD_FILTERS,
		.before = "SELECT count(*) AS flows, total(packets) AS \"packets:n\", total(bytes) AS \"bytes:n\""
			" FROM records WHERE event_type = 'flow'",
		.after = "",
	},
	[STORE_REPORT_STATS] = {
		.before = "SELECT s.name AS sensor, l.epoch AS \"epoch:hex\", n.run AS run, n.line AS \"record:json\""
			" FROM runs n JOIN lanes l ON l.id = n.lane_id JOIN sensors s ON s.id = l.sensor_id"
			" WHERE (?1 IS NULL OR s.name = ?1)",
		.after = " ORDER BY s.name, l.id, n.run",
	},
	[STORE_REPORT_RETENTION] = {
		.one = true,
		.before = "SELECT coalesce((SELECT max(id) FROM records) - (SELECT min(id) FROM records) + 1, 0) AS records,"
			" (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS bytes,"
			" coalesce((SELECT value FROM totals WHERE name = 'deleted_by_records'), 0) AS deleted_by_records,"
			" coalesce((SELECT value FROM totals WHERE name = 'deleted_by_bytes'), 0) AS deleted_by_bytes,"
			" coalesce((SELECT value FROM totals WHERE name = 'deleted_by_age'), 0) AS deleted_by_age WHERE 1",
		.after = "",
	},
};

/* ---- how a column's value is written ---- */

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
write_seconds(sqlite3_stmt *statement, int column)
{
	return write_time(sqlite3_column_int64(statement, column), 0);
}

static json_t *
write_ns(sqlite3_stmt *statement, int column)
{
	int64_t ns = sqlite3_column_int64(statement, column);

	return write_time(ns / 1000000000, ns % 1000000000);
}

static json_t *
write_hex(sqlite3_stmt *statement, int column)
{
	return json_sprintf("%016" PRIx64, (uint64_t)sqlite3_column_int64(statement, column));
}

static json_t *
write_lane(sqlite3_stmt *statement, int column)
{
	int lane = sqlite3_column_int(statement, column);

	return lane < 0 || lane >= LINK_LANE_COUNT ? json_null() : json_string(link_lane_name((enum link_lane)lane));
}

static json_t *
write_ip(sqlite3_stmt *statement, int column)
{
	const void *bytes = sqlite3_column_blob(statement, column);
	int len = sqlite3_column_bytes(statement, column);
	char text[INET6_ADDRSTRLEN];

	if ((len != 4 && len != 16) || inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text)) == NULL)
		return json_null();
	return json_string(text);
}

static json_t *
write_record(sqlite3_stmt *statement, int column)
{
	json_t *record = json_loadb((const char *)sqlite3_column_text(statement, column),
		(size_t)sqlite3_column_bytes(statement, column), JSON_ALLOW_NUL, NULL);

	return record == NULL ? json_null() : record;
}

/* What the record asks or answers. */
static json_t *
write_function(sqlite3_stmt *statement, int column)
{
	json_t *record = write_record(statement, column);
	const char *name = store_function_name(record);
	json_t *text = name == NULL ? json_null() : json_string(name);

	json_decref(record);
	return text;
}

/* total() is a double, so that a hostile sum cannot overflow; a whole one is written as an integer. */
static json_t *
write_whole(sqlite3_stmt *statement, int column)
{
	double value = sqlite3_column_double(statement, column);

	return value < 9e18 ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *
write_plain(sqlite3_stmt *statement, int column)
{
	json_t *text;

	if (sqlite3_column_type(statement, column) == SQLITE_NULL)
		return json_null();
	if (sqlite3_column_type(statement, column) == SQLITE_INTEGER)
		return json_integer(sqlite3_column_int64(statement, column));
	text = json_stringn((const char *)sqlite3_column_text(statement, column),
		(size_t)sqlite3_column_bytes(statement, column));
	return text == NULL ? json_null() : text;
}

static const struct {
	const char *suffix;
	json_t *(*write)(sqlite3_stmt *statement, int column);
} formats[] = {
	{ ":s", write_seconds },
	{ ":ns", write_ns },
	{ ":hex", write_hex },
	{ ":lane", write_lane },
	{ ":ip", write_ip },
	{ ":json", write_record },
	{ ":function", write_function },
	{ ":n", write_whole },
};

static int
put_column(json_t *row, sqlite3_stmt *statement, int column)
{
	const char *name = sqlite3_column_name(statement, column);
	const char *suffix = name == NULL ? NULL : strchr(name, ':');
	char key[64];

	if (name == NULL)
		return -ENOMEM;
	if (suffix == NULL)
		return json_object_set_new(row, name, write_plain(statement, column));
	snprintf(key, sizeof(key), "%.*s", (int)(suffix - name), name);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i].suffix, suffix) == 0)
			return json_object_set_new(row, key, formats[i].write(statement, column));
	return -EINVAL;
}

static json_t *
read_row(sqlite3_stmt *statement)
{
	json_t *row = json_object();

	for (int column = 0; row != NULL && column < sqlite3_column_count(statement); column++) {
		if (put_column(row, statement, column) != 0) {
			json_decref(row);
			return NULL;
		}
	}
	return row;
}

static int
walk(struct sqlite_store *store, sqlite3_stmt *statement, json_t *rows)
{
	int code;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		if (json_array_append_new(rows, read_row(statement)) != 0)
			return -ENOMEM;
	return code == SQLITE_DONE ? 0 : sqlite_failed(store, "report");
}

int
sqlite_store_report(struct store *base, enum store_report which, const struct store_filter *filter, json_t **out)
{
	struct sqlite_store *store = sqlite_of(base);
	const struct report *report = &reports[which];
	char text[SQL_TEXT_MAX];
	struct buf sql = { .data = text, .cap = sizeof(text) - 1 };
	sqlite3_stmt *statement = NULL;
	json_t *rows = json_array();
	int err;

	if (rows == NULL)
		return -ENOMEM;
	buf_puts(&sql, report->before);
	sqlite_put_clauses(&sql, filter, ~report->filters);
	buf_puts(&sql, report->after);
	text[sql.len] = '\0';
	sqlite_start_deadline(store);
	err = sql.full ? -E2BIG : sqlite_prepare_filtered(store, text, filter, &statement);
	if (err == 0)
		err = walk(store, statement, rows);
	sqlite3_finalize(statement);
	if (err == 0)
		*out = report->one ? json_incref(json_array_get(rows, 0)) : json_incref(rows);
	json_decref(rows);
	return err;
}
