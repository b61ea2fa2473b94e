/* Reports: one row each, asked of every partition and summed; a column's name says how its value is written ("updated:s" is a time). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/cell.h"
#include "lib/store/function.h"
#include "lib/store/sqlite/sqlite_private.h"

enum {
	ARM_TEXT_MAX = 2048,
	OUTER_TEXT_MAX = 4096,
	/* Parameters behind those of the filters, which are 1 + key. */
	PARAM_LIMIT = 42,
	PARAM_BUCKET = 43,
	LIMIT_DEFAULT = 10,
	BUCKET_DEFAULT_S = 3600,
};

/* A question to each partition, and one to their answers together. Those without arms ask what is no partition's. */
struct report {
	bool one;           /* an object, not an array */
	uint32_t filters;   /* those that apply; others are ignored */
	const char *before;
	const char *arm;    /* ends in a WHERE; '$' is the partition's number */
	const char *arm_after;
	const char *after;
};

#define FILTER(key) (1u << STORE_##key)
#define TIME_FILTERS (FILTER(SENSOR) | FILTER(SINCE) | FILTER(UNTIL))
#define FLOW_FILTERS (TIME_FILTERS | FILTER(SRC_IP) | FILTER(DEST_IP) | FILTER(IP) | FILTER(PORT) | FILTER(PROTO) | \
	FILTER(APP_PROTO) | FILTER(FLOW_ID))
#define ALERT_FILTERS (FLOW_FILTERS | FILTER(SIGNATURE_ID) | FILTER(SEVERITY))

/* Counts come from the tallies of the runs that lie within the times asked for, and from the records of those that
 * reach over them: a text for each, the clauses of the filters follow. */
#define WITHIN "((?2 IS NULL OR ts_min_ns >= ?2) AND (?3 IS NULL OR ts_max_ns < ?3))"
#define OF_SENSOR "(?1 IS NULL OR lane_id IN (SELECT l.id FROM lanes l JOIN sensors s ON s.id = l.sensor_id WHERE s.name = ?1))"
#define FROM_TALLIES " FROM tallies_$ WHERE " WITHIN " AND " OF_SENSOR
#define FROM_EDGES " FROM (SELECT first_id, last_id FROM spans_$ WHERE kind = 0 AND NOT " WITHIN \
	" AND (?2 IS NULL OR ts_max_ns >= ?2) AND (?3 IS NULL OR ts_min_ns < ?3)) e" \
	" CROSS JOIN records_$ NOT INDEXED ON id BETWEEN e.first_id AND e.last_id WHERE 1"
/* A flow that goes on has a record from time to time: the first of them counts for it. */
#define FLOWS "count(*) FILTER (WHERE coalesce(flow_part, 1) <= 1)"
#define HAS_FUNCTION " AND event_type NOT IN ('alert', 'anomaly') AND (function IS NOT NULL OR response_function IS NOT NULL)"

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
	[STORE_REPORT_LOST] = {
		.one = true,
		.before = "SELECT total(g.last - g.first + 1) AS \"lost:n\" FROM gaps g JOIN lanes l ON l.id = g.lane_id"
			" JOIN sensors s ON s.id = l.sensor_id WHERE (?1 IS NULL OR s.name = ?1)"
			" AND (?2 IS NULL OR g.at_s * 1000000000 >= ?2) AND (?3 IS NULL OR g.at_s * 1000000000 < ?3)",
		.after = "",
	},
	[STORE_REPORT_EVENTS] = {
		.filters = TIME_FILTERS,
		.before = "SELECT event_type, sum(n) AS records FROM (",
		.arm = "SELECT event_type, sum(n) AS n FROM (SELECT event_type, records AS n" FROM_TALLIES
			" UNION ALL SELECT event_type, 1" FROM_EDGES,
		.arm_after = ") GROUP BY event_type",
		.after = ") GROUP BY event_type ORDER BY event_type",
	},
	[STORE_REPORT_PROTOCOLS] = {
		.filters = TIME_FILTERS,
		.before = "SELECT protocol, function, line AS \"name:function\", requests, responses, records FROM (SELECT"
			" protocol, function, sum(requests) AS requests, sum(responses) AS responses, sum(records) AS records,"
			" record_line(max(part), max(sample)) AS line FROM (",
		.arm = "SELECT event_type AS protocol, coalesce(function, response_function) AS function,"
			" sum(iif(function IS NULL, 0, n)) AS requests, sum(iif(response_function IS NULL, 0, n)) AS responses,"
			" sum(n) AS records, $ AS part, max(sample) AS sample FROM (SELECT event_type, function, response_function,"
			" records AS n, sample" FROM_TALLIES HAS_FUNCTION
			" UNION ALL SELECT event_type, function, response_function, 1, id" FROM_EDGES HAS_FUNCTION,
		.arm_after = ") GROUP BY 1, 2",
		.after = ") GROUP BY 1, 2) ORDER BY protocol, function",
	},
	[STORE_REPORT_APPS] = {
		.filters = TIME_FILTERS,
		.before = "SELECT app_proto, sum(flows) AS flows, total(packets) AS \"packets:n\", total(bytes) AS \"bytes:n\""
			" FROM (",
		.arm = "SELECT coalesce(app_proto, 'unknown') AS app_proto, " FLOWS " AS flows, total(packets) AS packets,"
			" total(bytes) AS bytes FROM records_$ WHERE event_type = 'flow'",
		.arm_after = " GROUP BY 1",
		.after = ") GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100",
	},
	[STORE_REPORT_SIGNATURES] = {
		.filters = TIME_FILTERS,
		.before = "SELECT signature_id, json_extract(record_line(part, sample), '$.alert.signature') AS signature, severity,"
			" alerts, first AS \"first:ns\", last AS \"last:ns\" FROM (SELECT signature_id, min(severity) AS severity,"
			" sum(alerts) AS alerts, min(first) AS first, max(last) AS last, max(part) AS part, max(sample) AS sample FROM (",
		.arm = "SELECT signature_id, min(severity) AS severity, count(*) AS alerts, min(ts_ns) AS first,"
			" max(ts_ns) AS last, $ AS part, max(id) AS sample FROM records_$ INDEXED BY signature_$ WHERE signature_id IS NOT NULL",
		.arm_after = " GROUP BY signature_id",
		.after = ") GROUP BY signature_id) ORDER BY alerts DESC, signature_id LIMIT 1000",
	},
	[STORE_REPORT_TALKERS] = {
		.filters = FLOW_FILTERS,
		/* The row that stands for two: each flow counts for both of its ends. */
		.before = "SELECT ip AS \"ip:ip\", sum(flows) AS flows, total(packets) AS \"packets:n\","
			" total(bytes) AS \"bytes:n\" FROM (",
		.arm = "SELECT CASE e.x WHEN 1 THEN src_ip ELSE dest_ip END AS ip, " FLOWS " AS flows, total(packets) AS packets,"
			" total(bytes) AS bytes FROM records_$ CROSS JOIN (SELECT 1 AS x UNION ALL SELECT 2) e WHERE"
			" event_type = 'flow' AND (e.x = 1 OR dest_ip IS NOT src_ip)",
		.arm_after = " GROUP BY 1",
		.after = ") WHERE ip IS NOT NULL GROUP BY ip ORDER BY 4 DESC, ip LIMIT ?42",
	},
	[STORE_REPORT_PAIRS] = {
		.filters = FLOW_FILTERS,
		.before = "SELECT src_ip AS \"src_ip:ip\", dest_ip AS \"dest_ip:ip\", dest_port, proto, app_proto, sum(flows) AS flows,"
			" total(packets) AS \"packets:n\", total(bytes) AS \"bytes:n\", min(first) AS \"first:ns\", max(last) AS \"last:ns\" FROM (",
		.arm = "SELECT src_ip, dest_ip, dest_port, proto, coalesce(app_proto, 'unknown') AS app_proto, " FLOWS " AS flows,"
			" total(packets) AS packets, total(bytes) AS bytes, min(ts_ns) AS first, max(ts_ns) AS last FROM records_$"
			" WHERE event_type = 'flow'",
		.arm_after = " GROUP BY 1, 2, 3, 4, 5",
		.after = ") GROUP BY 1, 2, 3, 4, 5 ORDER BY 8 DESC, 1, 2, 3 LIMIT ?42",
	},
	[STORE_REPORT_TREND] = {
		.filters = ALERT_FILTERS,
		.before = "SELECT time AS \"time:s\", severity, sum(alerts) AS alerts FROM (",
		.arm = "SELECT ts_ns / 1000000000 / ?43 * ?43 AS time, severity, count(*) AS alerts FROM records_$"
			" WHERE signature_id IS NOT NULL",
		.arm_after = " GROUP BY 1, 2",
		.after = ") GROUP BY 1, 2 ORDER BY 1 DESC, 2 LIMIT ?42",
	},
	[STORE_REPORT_FLOWS] = {
		.one = true,
		.filters = TIME_FILTERS,
		.before = "SELECT sum(flows) AS flows, total(packets) AS \"packets:n\", total(bytes) AS \"bytes:n\" FROM (",
		.arm = "SELECT " FLOWS " AS flows, total(packets) AS packets, total(bytes) AS bytes FROM records_$"
			" WHERE event_type = 'flow'",
		.arm_after = "",
		.after = ")",
	},
	[STORE_REPORT_STATS] = {
		.before = "SELECT s.name AS sensor, l.epoch AS \"epoch:hex\", n.run AS run, n.line AS \"record:json\""
			" FROM runs n JOIN lanes l ON l.id = n.lane_id JOIN sensors s ON s.id = l.sensor_id"
			" WHERE (?1 IS NULL OR s.name = ?1)",
		.after = " ORDER BY s.name, l.id, n.run",
	},
	[STORE_REPORT_RETENTION] = {
		.one = true,
		.before = "SELECT (SELECT coalesce(sum(next_id - first_id), 0) FROM partitions WHERE doomed = 0 AND id > 0) AS records,"
			" (SELECT count(*) FROM partitions WHERE doomed = 0 AND id > 0) AS partitions,"
			" (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS bytes,"
			" coalesce((SELECT value FROM totals WHERE name = 'deleted_by_records'), 0) AS deleted_by_records,"
			" coalesce((SELECT value FROM totals WHERE name = 'deleted_by_bytes'), 0) AS deleted_by_bytes,"
			" coalesce((SELECT value FROM totals WHERE name = 'deleted_by_age'), 0) AS deleted_by_age",
		.after = "",
	},
};

/* ---- how a column's value is written ---- */

static json_t *
write_seconds(sqlite3_stmt *statement, int column)
{
	return store_cell_time(sqlite3_column_int64(statement, column), 0);
}

static json_t *
write_ns(sqlite3_stmt *statement, int column)
{
	int64_t ns = sqlite3_column_int64(statement, column);

	return store_cell_time(ns / 1000000000, ns % 1000000000);
}

static json_t *
write_hex(sqlite3_stmt *statement, int column)
{
	return store_cell_hex((uint64_t)sqlite3_column_int64(statement, column));
}

static json_t *
write_lane(sqlite3_stmt *statement, int column)
{
	return store_cell_lane(sqlite3_column_int64(statement, column));
}

static json_t *
write_ip(sqlite3_stmt *statement, int column)
{
	const void *bytes = sqlite3_column_blob(statement, column);

	return store_cell_ip(bytes, (size_t)sqlite3_column_bytes(statement, column));
}

static json_t *
write_record(sqlite3_stmt *statement, int column)
{
	const char *line = (const char *)sqlite3_column_text(statement, column);

	return store_cell_line(line, (size_t)sqlite3_column_bytes(statement, column));
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

static json_t *
write_whole(sqlite3_stmt *statement, int column)
{
	return store_cell_whole(sqlite3_column_double(statement, column));
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

static void
put_arm(struct buf *sql, const struct report *report, const struct store_filter *filter, int64_t partition)
{
	sqlite_put_numbered(sql, report->arm, partition);
	sqlite_put_clauses(sql, filter, ~report->filters);
	buf_puts(sql, report->arm_after);
}

/* Partition 0 is empty: it stands for none. */
static int
put_report(struct sqlite_store *store, const struct report *report, const struct store_filter *filter, struct buf *sql)
{
	struct sqlite_partition *partitions = NULL;
	int count = report->arm == NULL ? 0 : sqlite_partitions(store, false, &partitions);
	bool any = false;

	if (count < 0)
		return count;
	if (buf_create(sql, OUTER_TEXT_MAX + (size_t)(count + 1) * ARM_TEXT_MAX) != 0) {
		free(partitions);
		return -ENOMEM;
	}
	buf_puts(sql, report->before);
	for (int i = 0; i < count; i++) {
		if (!sqlite_partition_has(&partitions[i], filter))
			continue;
		if (any)
			buf_puts(sql, " UNION ALL ");
		put_arm(sql, report, filter, partitions[i].id);
		any = true;
	}
	if (report->arm != NULL && !any)
		put_arm(sql, report, filter, 0);
	buf_puts(sql, report->after);
	buf_putc(sql, '\0');
	free(partitions);
	return sql->full ? -E2BIG : 0;
}

static int
ask(struct sqlite_store *store, const struct report *report, const struct store_filter *filter, json_t *rows)
{
	sqlite3_stmt *statement = NULL;
	struct buf sql = { 0 };
	int err = put_report(store, report, filter, &sql);

	if (err == 0)
		err = sqlite_prepare_filtered(store, sql.data, filter, &statement);
	if (err == 0) {
		sqlite3_bind_int64(statement, PARAM_LIMIT, filter->limit == 0 ? LIMIT_DEFAULT : filter->limit);
		sqlite3_bind_int64(statement, PARAM_BUCKET, filter->bucket_s == 0 ? BUCKET_DEFAULT_S : filter->bucket_s);
		err = walk(store, statement, rows);
	}
	sqlite3_finalize(statement);
	buf_destroy(&sql);
	return err;
}

int
sqlite_store_report(struct store *base, enum store_report which, const struct store_filter *filter, json_t **out)
{
	struct sqlite_store *store = sqlite_of(base);
	json_t *rows = json_array();
	int err = rows == NULL ? -ENOMEM : 0;

	sqlite_start_deadline(store);
	if (err == 0)
		err = sqlite_begin_read(store);
	if (err == 0) {
		err = ask(store, &reports[which], filter, rows);
		sqlite_end_read(store);
	}
	if (err == 0)
		*out = reports[which].one ? json_incref(json_array_get(rows, 0)) : json_incref(rows);
	json_decref(rows);
	return err;
}
