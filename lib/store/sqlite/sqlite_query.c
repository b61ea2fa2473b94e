/* Records by filters. SQL is put together from fixed texts and partitions' numbers only; every value is bound. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* A record found, without its line. */
struct row {
	int64_t id;
	int64_t ts_ns;
	uint64_t epoch;
	uint64_t sequence;
	int64_t partition;
	struct sqlite_place place;
	uint64_t text_at; /* of its line in question.text */
	enum link_lane lane;
	char sensor[BATCH_SENSOR_MAX + 1];
};

struct question {
	struct sqlite_store *store;
	const struct store_filter *filter;
	struct store_page *page;
	bool by_time;
	uint32_t cap;       /* rows looked for: the page's and one, which says that there are more */
	uint32_t count;
	struct row *rows;   /* [cap] */
	struct row *merged; /* [cap] */
	char *text;
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

/* ---- one partition's records ---- */

/* Which index leads: it gives the order, the other filters are tested on its rows. */
static bool
ordered_by_time(const struct store_filter *filter, const struct store_page *page)
{
	return page->order == STORE_NEWEST && (has(filter, STORE_EVENT_TYPE) || has(filter, STORE_SIGNATURE_ID) ||
		has(filter, STORE_IP) || has(filter, STORE_SRC_IP) || has(filter, STORE_DEST_IP) ||
		has(filter, STORE_SINCE) || has(filter, STORE_UNTIL));
}

static const char *
order_of(const struct question *question)
{
	if (question->by_time)
		return " ORDER BY ts_ns DESC, id DESC LIMIT ?42";
	return question->page->order == STORE_ARRIVAL ? " ORDER BY id LIMIT ?42" : " ORDER BY id DESC LIMIT ?42";
}

/* One indexed walk. lead replaces the clauses of skip. */
static void
put_arm(struct buf *sql, const struct question *question, int64_t partition, const char *lead, uint32_t skip)
{
	sqlite_put_numbered(sql, "SELECT * FROM (SELECT id, ts_ns, lane_id, seq, block, at, len FROM records_$ WHERE ",
		partition);
	sqlite_put_numbered(sql, lead, partition);
	sqlite_put_clauses(sql, question->filter, skip);
	if (question->page->order == STORE_ARRIVAL)
		buf_puts(sql, " AND id > ?41");
	else if (question->page->continues)
		buf_puts(sql, question->by_time ? " AND (ts_ns, id) < (?40, ?41)" : " AND id < ?41");
	buf_puts(sql, order_of(question));
	buf_puts(sql, ")");
}

/* Without a type, a time is looked up under each type that there is: the index has no other beginning. */
static const char every_type[] = "event_type IN (WITH RECURSIVE t(e) AS (SELECT min(event_type) FROM records_$ UNION ALL"
	" SELECT (SELECT min(event_type) FROM records_$ WHERE event_type > t.e) FROM t WHERE t.e IS NOT NULL)"
	" SELECT e FROM t WHERE e IS NOT NULL)";

static void
put_query(struct buf *sql, const struct question *question, int64_t partition)
{
	const struct store_filter *filter = question->filter;
	uint32_t type_bit = 1u << STORE_EVENT_TYPE;
	const char *type = has(filter, STORE_EVENT_TYPE) ? "+event_type = ?10" : "1";
	char lead[128];

	buf_puts(sql, "SELECT r.id, r.ts_ns, s.name, l.epoch, l.lane, r.seq, r.block, r.at, r.len FROM (");
	if (question->page->order == STORE_ARRIVAL) {
		put_arm(sql, question, partition, type, type_bit);
	} else if (has(filter, STORE_IP)) {
		/* Two walks, one an index, merged: a record with both addresses alike is found by the first. */
		snprintf(lead, sizeof(lead), "src_ip = ?6 AND %s", type);
		put_arm(sql, question, partition, lead, type_bit | 1u << STORE_IP);
		buf_puts(sql, " UNION ALL ");
		snprintf(lead, sizeof(lead), "dest_ip = ?6 AND +src_ip IS NOT ?6 AND %s", type);
		put_arm(sql, question, partition, lead, type_bit | 1u << STORE_IP);
	} else if (has(filter, STORE_SIGNATURE_ID) || has(filter, STORE_SRC_IP) || has(filter, STORE_DEST_IP)) {
		put_arm(sql, question, partition, type, type_bit);
	} else if (question->by_time && !has(filter, STORE_EVENT_TYPE)) {
		put_arm(sql, question, partition, every_type, 0);
	} else {
		put_arm(sql, question, partition, "1", 0);
	}
	buf_puts(sql, order_of(question));
	buf_puts(sql, ") r JOIN lanes l ON l.id = r.lane_id JOIN sensors s ON s.id = l.sensor_id");
	buf_puts(sql, question->by_time ? " ORDER BY r.ts_ns DESC, r.id DESC"
		: question->page->order == STORE_ARRIVAL ? " ORDER BY r.id" : " ORDER BY r.id DESC");
}

static int
read_rows(struct question *question, sqlite3_stmt *statement, int64_t partition, struct row *rows, uint32_t *count)
{
	int code;

	*count = 0;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW && *count < question->cap) {
		struct row *row = &rows[(*count)++];
		const char *sensor = (const char *)sqlite3_column_text(statement, 2);

		*row = (struct row){
			.id = sqlite3_column_int64(statement, 0),
			.ts_ns = sqlite3_column_int64(statement, 1),
			.epoch = (uint64_t)sqlite3_column_int64(statement, 3),
			.lane = (enum link_lane)sqlite3_column_int(statement, 4),
			.sequence = (uint64_t)sqlite3_column_int64(statement, 5),
			.partition = partition,
			.place = { .block = sqlite3_column_int64(statement, 6), .at = (uint64_t)sqlite3_column_int64(statement, 7),
				.len = (uint64_t)sqlite3_column_int64(statement, 8) },
		};
		snprintf(row->sensor, sizeof(row->sensor), "%s", sensor == NULL ? "" : sensor);
	}
	return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : sqlite_failed(question->store, "query");
}

static int
ask_partition(struct question *question, int64_t partition, struct row *rows, uint32_t *count)
{
	const struct store_page *page = question->page;
	char text[SQL_TEXT_MAX];
	struct buf sql = { .data = text, .cap = sizeof(text) - 1 };
	sqlite3_stmt *statement = NULL;
	int err;

	put_query(&sql, question, partition);
	text[sql.len] = '\0';
	err = sql.full ? -E2BIG : sqlite_prepare_filtered(question->store, text, question->filter, &statement);
	if (err == 0) {
		sqlite3_bind_int64(statement, PARAM_LIMIT, question->cap);
		sqlite3_bind_int64(statement, PARAM_AFTER_TS, page->after_ts_ns);
		sqlite3_bind_int64(statement, PARAM_AFTER_ID, page->after_id);
		err = read_rows(question, statement, partition, rows, count);
	}
	sqlite3_finalize(statement);
	return err;
}

/* ---- all partitions ---- */

static bool
is_before(const struct question *question, const struct row *a, const struct row *b)
{
	if (question->by_time && a->ts_ns != b->ts_ns)
		return a->ts_ns > b->ts_ns;
	return question->page->order == STORE_ARRIVAL ? a->id < b->id : a->id > b->id;
}

/* Both in order; the first cap of them stay. */
static void
merge(struct question *question, const struct row *more, uint32_t more_count)
{
	uint32_t a = 0, b = 0, n = 0;

	while (n < question->cap && (a < question->count || b < more_count)) {
		if (b == more_count || (a < question->count && is_before(question, &question->rows[a], &more[b])))
			question->merged[n++] = question->rows[a++];
		else
			question->merged[n++] = more[b++];
	}
	memcpy(question->rows, question->merged, n * sizeof(*question->rows));
	question->count = n;
}

static int
by_ts_max(const void *a, const void *b)
{
	const struct sqlite_partition *x = a, *y = b;

	return x->ts_max_ns < y->ts_max_ns ? 1 : x->ts_max_ns > y->ts_max_ns ? -1 : 0;
}

static int
by_id_down(const void *a, const void *b)
{
	const struct sqlite_partition *x = a, *y = b;

	return x->id < y->id ? 1 : -1;
}

bool
sqlite_partition_has(const struct sqlite_partition *partition, const struct store_filter *filter)
{
	if (partition->next_id == partition->first_id)
		return false;
	if (has(filter, STORE_SINCE) && partition->ts_max_ns < filter->value[STORE_SINCE].number)
		return false;
	return !has(filter, STORE_UNTIL) || partition->ts_min_ns < filter->value[STORE_UNTIL].number;
}

/* Whether it lies wholly before the page's beginning. */
static bool
is_passed(const struct question *question, const struct sqlite_partition *partition)
{
	const struct store_page *page = question->page;

	if (page->order == STORE_ARRIVAL)
		return partition->next_id <= page->after_id;
	if (!page->continues)
		return false;
	return question->by_time ? partition->ts_min_ns > page->after_ts_ns : partition->first_id > page->after_id;
}

/* Whether nothing of it, nor of those behind it, can be among the rows any more. */
static bool
is_beyond(const struct question *question, const struct sqlite_partition *partition)
{
	if (question->count < question->cap)
		return false;
	return !question->by_time || partition->ts_max_ns < question->rows[question->cap - 1].ts_ns;
}

static int
ask_all(struct question *question)
{
	struct sqlite_partition *partitions;
	struct row *rows = calloc(question->cap, sizeof(*rows));
	int count = rows == NULL ? -ENOMEM : sqlite_partitions(question->store, false, &partitions);
	int err = 0;

	if (count < 0) {
		free(rows);
		return count;
	}
	for (int i = 0; i < count; i++)
		if (partitions[i].next_id > question->page->last_id)
			question->page->last_id = partitions[i].next_id - 1;
	if (question->by_time)
		qsort(partitions, (size_t)count, sizeof(*partitions), by_ts_max);
	else if (question->page->order == STORE_NEWEST)
		qsort(partitions, (size_t)count, sizeof(*partitions), by_id_down);
	for (int i = 0; i < count && err == 0 && !is_beyond(question, &partitions[i]); i++) {
		uint32_t found = 0;

		if (is_passed(question, &partitions[i]) || !sqlite_partition_has(&partitions[i], question->filter))
			continue;
		err = ask_partition(question, partitions[i].id, rows, &found);
		merge(question, rows, found);
	}
	free(partitions);
	free(rows);
	return err;
}

/* ---- the lines ---- */

static int
by_place(const void *a, const void *b)
{
	const struct row *const *x = a;
	const struct row *const *y = b;

	return (*x)->place.block < (*y)->place.block ? -1 : (*x)->place.block > (*y)->place.block;
}

/* As many rows as the page takes: at least one. */
static void
cut_page(struct question *question)
{
	struct store_page *page = question->page;
	uint64_t bytes = 0;
	uint32_t count = 0;

	while (count < question->count && count < page->limit) {
		bytes += question->rows[count].place.len;
		if (count > 0 && page->bytes_max != 0 && bytes > page->bytes_max)
			break;
		count++;
	}
	page->more = count < question->count;
	if (page->more)
		page->last_id = question->rows[count - 1].id;
	question->count = count;
}

/* In the order of blocks, so that each is unpacked once, however the page's order jumps among them. */
static int
read_lines(struct question *question)
{
	const struct row **order = calloc(question->count + 1, sizeof(const struct row *));
	uint64_t at = 0;
	int err = order == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; i < question->count && err == 0; i++) {
		order[i] = &question->rows[i];
		question->rows[i].text_at = at;
		at += question->rows[i].place.len;
	}
	question->text = err == 0 ? malloc(at + 1) : NULL;
	if (err == 0 && question->text == NULL)
		err = -ENOMEM;
	if (err == 0)
		qsort(order, question->count, sizeof(const struct row *), by_place);
	for (uint32_t i = 0; i < question->count && err == 0; i++) {
		const char *line;

		err = sqlite_block_line(question->store, order[i]->partition, &order[i]->place, &line);
		if (err == 0)
			memcpy(question->text + order[i]->text_at, line, order[i]->place.len);
	}
	free(order);
	return err;
}

static void
give(const struct question *question, store_found_fn found, void *arg)
{
	for (uint32_t i = 0; i < question->count; i++) {
		const struct row *row = &question->rows[i];
		const struct store_found record = {
			.id = row->id,
			.ts_ns = row->ts_ns,
			.sensor = row->sensor,
			.epoch = row->epoch,
			.lane = row->lane,
			.sequence = row->sequence,
			.line = question->text + row->text_at,
			.line_len = row->place.len,
		};

		found(arg, &record);
	}
}

int
sqlite_store_query(struct store *base, const struct store_filter *filter, struct store_page *page,
	store_found_fn found, void *arg)
{
	struct question question = { .store = sqlite_of(base), .filter = filter, .page = page };
	int err = page->limit == 0 || page->limit > STORE_LIMIT_MAX ? -EINVAL : 0;

	if (err != 0)
		return err;
	page->last_id = page->after_id;
	question.by_time = ordered_by_time(filter, page);
	question.cap = page->limit + 1;
	question.rows = calloc(question.cap, sizeof(*question.rows));
	question.merged = calloc(question.cap, sizeof(*question.merged));
	sqlite_start_deadline(question.store);
	err = question.rows == NULL || question.merged == NULL ? -ENOMEM : sqlite_begin_read(question.store);
	if (err == 0) {
		err = ask_all(&question);
		cut_page(&question);
		if (err == 0)
			err = read_lines(&question);
		sqlite_end_read(question.store);
	}
	if (err == 0)
		give(&question, found, arg);
	free(question.text);
	free(question.merged);
	free(question.rows);
	return err == 0 ? (int)question.count : err;
}
