/* Records by filters, newest first. SQL is put together from fixed texts only; every value is bound. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/store/sqlite/sqlite_private.h"

enum {
	SQL_TEXT_MAX = 4096,
	/* Parameters behind those of the filters, which are 1 + key. */
	PARAM_AFTER_TS = 40,
	PARAM_AFTER_ID = 41,
	PARAM_LIMIT = 42,
};

/* Indexed by key; parameter numbers are 1 + key. A unary plus keeps a column's index from being chosen over the
 * one that gives the order. */
static const char *const clauses[STORE_FILTER_COUNT] = {
	[STORE_SENSOR] = "+lane_id IN (SELECT l.id FROM lanes l JOIN sensors s ON s.id = l.sensor_id WHERE s.name = ?1)",
	[STORE_SINCE] = "ts_ns >= ?2",
	[STORE_UNTIL] = "ts_ns < ?3",
	[STORE_SRC_IP] = "src_ip = ?4",
	[STORE_DEST_IP] = "dest_ip = ?5",
	[STORE_IP] = "(src_ip = ?6 OR dest_ip = ?6)",
	[STORE_PORT] = "(src_port = ?7 OR dest_port = ?7)",
	[STORE_PROTO] = "proto = ?8 COLLATE NOCASE",
	[STORE_APP_PROTO] = "app_proto = ?9",
	[STORE_EVENT_TYPE] = "event_type = ?10",
	[STORE_SIGNATURE_ID] = "signature_id = ?11",
	[STORE_SEVERITY] = "severity = ?12",
	[STORE_FUNCTION] = "coalesce(function, response_function) = ?13",
};

static bool
has(const struct store_filter *filter, enum store_filter_key key)
{
	return (filter->present >> key & 1) != 0;
}

void
sqlite_put_clauses(struct buf *sql, const struct store_filter *filter, uint32_t skip)
{
	for (unsigned int key = 0; key < STORE_FILTER_COUNT; key++) {
		if ((filter->present & ~skip) >> key & 1) {
			buf_puts(sql, " AND ");
			buf_puts(sql, clauses[key]);
		}
	}
}

int
sqlite_prepare_filtered(struct sqlite_store *store, const char *sql, const struct store_filter *filter,
	sqlite3_stmt **out)
{
	if (sqlite3_prepare_v2(store->db, sql, -1, out, NULL) != SQLITE_OK)
		return sqlite_failed(store, "query");
	for (unsigned int key = 0; key < STORE_FILTER_COUNT; key++) {
		int at = (int)key + 1;

		/* A report may leave out filters: binding to a parameter it has not is refused, and harmless. */
		if ((filter->present >> key & 1) == 0)
			continue;
		if (store_filters[key].type == STORE_IS_TEXT)
			sqlite3_bind_text(*out, at, filter->value[key].text, -1, SQLITE_STATIC);
		else if (store_filters[key].type == STORE_IS_IP)
			sqlite3_bind_blob(*out, at, filter->value[key].ip.bytes, (int)filter->value[key].ip.len,
				SQLITE_STATIC);
		else
			sqlite3_bind_int64(*out, at, filter->value[key].number);
	}
	return 0;
}

/* Which index leads: it gives the order, the other filters are tested on its rows. */
static bool
ordered_by_time(const struct store_filter *filter)
{
	return has(filter, STORE_EVENT_TYPE) || has(filter, STORE_SIGNATURE_ID) || has(filter, STORE_IP) ||
		has(filter, STORE_SRC_IP) || has(filter, STORE_DEST_IP);
}

/* One indexed walk. lead replaces the clauses of skip. */
static void
put_arm(struct buf *sql, const struct store_filter *filter, const struct store_page *page, const char *lead,
	uint32_t skip)
{
	bool by_time = ordered_by_time(filter);

	buf_puts(sql, "SELECT * FROM (SELECT id, ts_ns, lane_id, seq, line FROM records WHERE ");
	buf_puts(sql, lead);
	sqlite_put_clauses(sql, filter, skip);
	if (page->continues)
		buf_puts(sql, by_time ? " AND (ts_ns, id) < (?40, ?41)" : " AND id < ?41");
	buf_puts(sql, by_time ? " ORDER BY ts_ns DESC, id DESC LIMIT ?42)" : " ORDER BY id DESC LIMIT ?42)");
}

static void
put_query(struct buf *sql, const struct store_filter *filter, const struct store_page *page)
{
	uint32_t type_bit = 1u << STORE_EVENT_TYPE;
	const char *type = has(filter, STORE_EVENT_TYPE) ? "+event_type = ?10" : "1";
	char lead[128];

	buf_puts(sql, "SELECT r.id, r.ts_ns, s.name, l.epoch, l.lane, r.seq, r.line FROM (");
	if (has(filter, STORE_IP)) {
		/* Two walks, one an index, merged: a record with both addresses alike is found by the first. */
		snprintf(lead, sizeof(lead), "src_ip = ?6 AND %s", type);
		put_arm(sql, filter, page, lead, type_bit | 1u << STORE_IP);
		buf_puts(sql, " UNION ALL ");
		snprintf(lead, sizeof(lead), "dest_ip = ?6 AND +src_ip IS NOT ?6 AND %s", type);
		put_arm(sql, filter, page, lead, type_bit | 1u << STORE_IP);
	} else if (has(filter, STORE_SIGNATURE_ID) || has(filter, STORE_SRC_IP) || has(filter, STORE_DEST_IP)) {
		put_arm(sql, filter, page, type, type_bit);
	} else {
		put_arm(sql, filter, page, "1", 0);
	}
	buf_puts(sql, ") r JOIN lanes l ON l.id = r.lane_id JOIN sensors s ON s.id = l.sensor_id");
	buf_puts(sql, ordered_by_time(filter) ? " ORDER BY r.ts_ns DESC, r.id DESC" : " ORDER BY r.id DESC");
	buf_puts(sql, " LIMIT ?42");
}

static int
walk(struct sqlite_store *store, sqlite3_stmt *statement, store_found_fn found, void *arg)
{
	int count = 0;
	int code;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const struct store_found row = {
			.id = sqlite3_column_int64(statement, 0),
			.ts_ns = sqlite3_column_int64(statement, 1),
			.sensor = (const char *)sqlite3_column_text(statement, 2),
			.epoch = (uint64_t)sqlite3_column_int64(statement, 3),
			.lane = (enum link_lane)sqlite3_column_int(statement, 4),
			.sequence = (uint64_t)sqlite3_column_int64(statement, 5),
			.line = (const char *)sqlite3_column_text(statement, 6),
			.line_len = (size_t)sqlite3_column_bytes(statement, 6),
		};

		if (row.sensor == NULL || row.line == NULL)
			return -ENOMEM;
		found(arg, &row);
		count++;
	}
	return code == SQLITE_DONE ? count : sqlite_failed(store, "query");
}

int
sqlite_store_query(struct store *base, const struct store_filter *filter, const struct store_page *page,
	store_found_fn found, void *arg)
{
	struct sqlite_store *store = sqlite_of(base);
	char text[SQL_TEXT_MAX];
	struct buf sql = { .data = text, .cap = sizeof(text) - 1 };
	sqlite3_stmt *statement = NULL;
	int result;

	if (page->limit == 0 || page->limit > STORE_LIMIT_MAX)
		return -EINVAL;
	put_query(&sql, filter, page);
	if (sql.full)
		return -E2BIG;
	text[sql.len] = '\0';
	sqlite_start_deadline(store);
	result = sqlite_prepare_filtered(store, text, filter, &statement);
	if (result == 0) {
		sqlite3_bind_int64(statement, PARAM_LIMIT, page->limit);
		sqlite3_bind_int64(statement, PARAM_AFTER_TS, page->after_ts_ns);
		sqlite3_bind_int64(statement, PARAM_AFTER_ID, page->after_id);
		result = walk(store, statement, found, arg);
	}
	sqlite3_finalize(statement);
	return result;
}
