/*
 * Reports: one row each. Those about records are asked of every shard, and the groups of all are put together; those about
 * sensors and lanes are asked of PostgreSQL.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/clickhouse/clickhouse_group.h"
#include "lib/store/clickhouse/clickhouse_private.h"

enum { LIMIT_DEFAULT = 10, BUCKET_DEFAULT_S = 3600 };

/* What of the limits applies. */
enum limit { NO_LIMIT, LIMIT_100, LIMIT_1000, LIMIT_ASKED };

struct report {
	bool one;              /* an object, not an array */
	bool of_postgres;
	bool of_time;          /* the question to PostgreSQL has $2 and $3, ns: since and until */
	enum limit limit;
	uint32_t filters;      /* those that apply; others are ignored */
	const char *sql;       /* of ClickHouse: up to WHERE; '@' is the bucket's seconds */
	const char *group;     /* what follows the clauses */
	struct clickhouse_column columns[CLICKHOUSE_COLUMNS_MAX];
	int order[CLICKHOUSE_ORDER_MAX];
};

#define FILTER(key) (1u << STORE_##key)
#define TIME_FILTERS (FILTER(SENSOR) | FILTER(SINCE) | FILTER(UNTIL))
#define FLOW_FILTERS (TIME_FILTERS | FILTER(SRC_IP) | FILTER(DEST_IP) | FILTER(IP) | FILTER(PORT) | FILTER(PROTO) | \
	FILTER(APP_PROTO) | FILTER(FLOW_ID))
#define ALERT_FILTERS (FLOW_FILTERS | FILTER(SIGNATURE_ID) | FILTER(SEVERITY))

/* A flow that goes on has a record from time to time: the first of them counts for it. */
#define FLOWS "countIf(coalesce(flow_part, 1) <= 1)"

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
	[STORE_REPORT_LOST] = {
		.one = true,
		.of_postgres = true,
		.of_time = true,
		.sql = "SELECT coalesce(sum(last - first + 1), 0)::bigint FROM gaps WHERE ($1::text IS NULL OR sensor = $1)"
			" AND at_s * 1000000000 >= $2 AND at_s * 1000000000 < $3",
		.columns = { { "lost", AS_INTEGER, KEY } },
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
		.sql = "SELECT coalesce(app_proto, 'unknown') AS app, " FLOWS ", sum(toFloat64(coalesce(packets, 0))),"
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
		.sql = "SELECT hex(address), " FLOWS ", sum(toFloat64(coalesce(packets, 0))) AS p, sum(toFloat64(coalesce(bytes, 0))) AS b"
			" FROM records ARRAY JOIN if(src_ip = dest_ip, [src_ip], [src_ip, dest_ip]) AS address"
			" WHERE event_type = 'flow' AND address != '' AND ",
		.group = " GROUP BY address ORDER BY b DESC, address LIMIT 200000",
		.columns = { { "ip", AS_IP, KEY }, { "flows", AS_INTEGER, SUM }, { "packets", AS_WHOLE, SUM }, { "bytes", AS_WHOLE, SUM } },
		.order = { -4, 1 },
	},
	[STORE_REPORT_PAIRS] = {
		.filters = FLOW_FILTERS,
		.limit = LIMIT_ASKED,
		.sql = "SELECT hex(src_ip), hex(dest_ip), dest_port, proto, coalesce(app_proto, 'unknown') AS app, " FLOWS ","
			" sum(toFloat64(coalesce(packets, 0))), sum(toFloat64(coalesce(bytes, 0))) AS b, min(ts_ns), max(ts_ns) FROM records"
			" WHERE event_type = 'flow' AND ",
		.group = " GROUP BY src_ip, dest_ip, dest_port, proto, app ORDER BY b DESC, src_ip, dest_ip LIMIT 200000",
		.columns = { { "src_ip", AS_IP, KEY }, { "dest_ip", AS_IP, KEY }, { "dest_port", AS_INTEGER, KEY }, { "proto", AS_TEXT, KEY },
			{ "app_proto", AS_TEXT, KEY }, { "flows", AS_INTEGER, SUM }, { "packets", AS_WHOLE, SUM }, { "bytes", AS_WHOLE, SUM },
			{ "first", AS_NS, LEAST }, { "last", AS_NS, MOST } },
		.order = { -8, 1, 2, 3 },
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
		.sql = "SELECT " FLOWS ", sum(toFloat64(coalesce(packets, 0))), sum(toFloat64(coalesce(bytes, 0))) FROM records"
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

struct answer {
	struct clickhouse_store *store;
	const struct report *report;
	struct clickhouse_groups groups;
	struct clickhouse_snapshot snapshot;
};

static unsigned int
column_count(const struct report *report)
{
	unsigned int count = 0;

	while (count < CLICKHOUSE_COLUMNS_MAX && report->columns[count].name != NULL)
		count++;
	return count;
}

static void
cut(struct answer *answer, const struct store_filter *filter)
{
	static const size_t fixed[] = { [NO_LIMIT] = SIZE_MAX, [LIMIT_100] = 100, [LIMIT_1000] = 1000 };
	enum limit limit = answer->report->limit;

	clickhouse_groups_cut(&answer->groups, limit != LIMIT_ASKED ? fixed[limit]
		: filter->limit == 0 ? LIMIT_DEFAULT : filter->limit);
}

/* ---- samples: the line of the newest record of a group ---- */

static int
sample_column(const struct answer *answer)
{
	for (unsigned int i = 0; i < answer->groups.column_count; i++)
		if (answer->report->columns[i].format == AS_FUNCTION || answer->report->columns[i].format == AS_SIGNATURE)
			return (int)i;
	return -1;
}

static int
put_sample(void *arg, int64_t id, const char *line, size_t len)
{
	struct answer *answer = arg;
	int at = sample_column(answer);

	for (size_t i = 0; i < answer->groups.count; i++) {
		struct clickhouse_group *group = &answer->groups.rows[i];

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

	if (at < 0 || answer->groups.count == 0)
		return 0;
	clickhouse_bytes_printf(&where, "id IN (0");
	for (size_t i = 0; i < answer->groups.count; i++)
		clickhouse_bytes_printf(&where, ",%s", answer->groups.rows[i].cells[at]);
	clickhouse_bytes_put(&where, ")", 2);
	err = where.failed ? -ENOMEM : clickhouse_lines(answer->store, &answer->snapshot, where.data, put_sample, answer);
	clickhouse_bytes_free(&where);
	return err;
}

static int
write_rows(const struct answer *answer, json_t *rows)
{
	for (size_t i = 0; i < answer->groups.count; i++) {
		json_t *row = json_object();

		for (unsigned int c = 0; c < answer->groups.column_count; c++) {
			const struct clickhouse_column *column = &answer->report->columns[c];
			json_t *value = clickhouse_cell_write(column, &answer->groups.rows[i], answer->groups.rows[i].cells[c]);

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
	int64_t since = (filter->present >> STORE_SINCE & 1) != 0 ? filter->value[STORE_SINCE].number : 0;
	int64_t until = (filter->present >> STORE_UNTIL & 1) != 0 ? filter->value[STORE_UNTIL].number : INT64_MAX;
	PGresult *rows = answer->report->of_time ? pg_ask(answer->store->aside, answer->report->sql, "tnn", sensor, since, until)
		: pg_ask(answer->store->aside, answer->report->sql, "t", sensor);

	if (rows == NULL)
		return pg_error(answer->store->aside);
	for (int i = 0; i < PQntuples(rows); i++) {
		struct clickhouse_group *group = clickhouse_groups_add(&answer->groups);

		for (unsigned int c = 0; group != NULL && c < answer->groups.column_count; c++)
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
			err = clickhouse_groups_read(&answer->groups, text.data);
	}
	clickhouse_bytes_free(&sql);
	clickhouse_bytes_free(&text);
	if (err == 0)
		err = clickhouse_groups_join(&answer->groups);
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
	free(answer->groups.rows[0].cells[BYTES_COLUMN]);
	answer->groups.rows[0].cells[BYTES_COLUMN] = strdup(text);
	return answer->groups.rows[0].cells[BYTES_COLUMN] == NULL ? -ENOMEM : 0;
}

int
clickhouse_store_report(struct store *base, enum store_report which, const struct store_filter *filter, json_t **out)
{
	struct answer answer = { .store = clickhouse_of(base), .report = &reports[which] };
	json_t *rows = json_array();
	int err = rows == NULL ? -ENOMEM : 0;

	answer.groups = (struct clickhouse_groups){ .columns = answer.report->columns, .column_count = column_count(answer.report),
		.order = answer.report->order };
	clickhouse_start_deadline(answer.store);
	if (err == 0)
		err = answer.report->of_postgres ? ask_postgres(&answer, filter) : ask_shards(&answer, filter);
	if (err == 0 && which == STORE_REPORT_RETENTION)
		err = put_disk_bytes(&answer);
	if (err == 0)
		err = write_rows(&answer, rows);
	/* A sum has a row, whatever it is of. */
	if (err == 0 && answer.report->one && json_array_size(rows) == 0)
		err = -EBADMSG;
	if (err == 0)
		*out = answer.report->one ? json_incref(json_array_get(rows, 0)) : json_incref(rows);
	json_decref(rows);
	clickhouse_groups_free(&answer.groups);
	clickhouse_snapshot_free(&answer.snapshot);
	return err;
}
