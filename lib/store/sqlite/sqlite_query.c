/* Records by filters. SQL is put together from fixed texts and partitions' numbers only; every value is bound. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/sqlite/sqlite_private.h"
#include "lib/store/walk.h"

enum {
	SQL_TEXT_MAX = 4096,
	SPANS_TEXT_MAX = 1024,
	NETWORK_SPANS_MAX = 20000, /* are put together in some 30 ms */
	/* Parameters behind those of the filters, which are 1 + key. */
	PARAM_AFTER_TS = 40,
	PARAM_AFTER_ID = 41,
	PARAM_LIMIT = 42,
	PARAM_FIRST_ID = 43,
	PARAM_LAST_ID = 44,
	PARAM_OLDEST_TS = 45,
	PARAM_LAST_IP = 46, /* of STORE_SRC_IP, _DEST_IP and _IP */
};

/* Indexed by key; parameter numbers are 1 + key. */
static const char *const clauses[STORE_FILTER_COUNT] = {
	[STORE_SENSOR] = "lane_id IN (SELECT l.id FROM lanes l JOIN sensors s ON s.id = l.sensor_id WHERE s.name = ?1)",
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
	[STORE_FLOW_ID] = "flow_id = ?14",
};

/* Bytes are compared one after the other, so an address of the other kind may stand between two. */
static const char *const network_clauses[STORE_FILTER_COUNT] = {
	[STORE_SRC_IP] = "src_ip BETWEEN ?4 AND ?46 AND length(src_ip) = length(?4)",
	[STORE_DEST_IP] = "dest_ip BETWEEN ?5 AND ?47 AND length(dest_ip) = length(?5)",
	[STORE_IP] = "(src_ip BETWEEN ?6 AND ?48 AND length(src_ip) = length(?6)"
		" OR dest_ip BETWEEN ?6 AND ?48 AND length(dest_ip) = length(?6))",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct question {
	struct sqlite_store *store;
	struct store_walk walk;
	char *text; /* the lines, one behind the other */
};

void
sqlite_put_clauses(struct buf *sql, const struct store_filter *filter, uint32_t skip)
{
	for (unsigned int key = 0; key < STORE_FILTER_COUNT; key++) {
		if ((filter->present & ~skip) >> key & 1) {
			buf_puts(sql, " AND ");
			buf_puts(sql, store_filter_has_network(filter, key) ? network_clauses[key] : clauses[key]);
		}
	}
}

static void
bind_ips(sqlite3_stmt *statement, int at, int last_at, const struct store_filter *filter, unsigned int key)
{
	const struct line_ip *ip = &filter->value[key].ip, *last = &filter->value[key].last_ip;

	sqlite3_bind_blob(statement, at, ip->bytes, (int)ip->len, SQLITE_STATIC);
	if (last->len > 0)
		sqlite3_bind_blob(statement, last_at, last->bytes, (int)last->len, SQLITE_STATIC);
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
			bind_ips(*out, at, PARAM_LAST_IP + (int)key - STORE_SRC_IP, filter, key);
		else
			sqlite3_bind_int64(*out, at, filter->value[key].number);
	}
	return 0;
}

/* ---- one partition's records ---- */

static const char *
order_of(const struct question *question)
{
	if (question->walk.by_time)
		return " ORDER BY ts_ns DESC, id DESC LIMIT ?42";
	return question->walk.page->order == STORE_ARRIVAL ? " ORDER BY id LIMIT ?42" : " ORDER BY id DESC LIMIT ?42";
}

/* What leads to the records that a question is about. */
struct lead {
	const char *from;   /* behind the table's name */
	const char *where;
	uint32_t implied;   /* bits of filters that need no clause */
};

static const struct lead every_record = { " NOT INDEXED", "1", 0 };
static const struct lead by_signature = { "", "signature_id = ?11", 1u << STORE_SIGNATURE_ID };

static void
put_query(struct buf *sql, const struct question *question, int64_t partition, const struct lead *lead)
{
	const struct store_page *page = question->walk.page;

	buf_puts(sql, "SELECT r.id, r.ts_ns, s.name, l.epoch, l.lane, r.seq, r.block, r.at, r.len FROM ("
		"SELECT id, ts_ns, lane_id, seq, block, at, len FROM ");
	sqlite_put_numbered(sql, "records_$", partition);
	buf_puts(sql, lead->from);
	buf_puts(sql, " WHERE ");
	buf_puts(sql, lead->where);
	sqlite_put_clauses(sql, question->walk.filter, lead->implied);
	if (page->order == STORE_ARRIVAL)
		buf_puts(sql, " AND id > ?41");
	else if (page->continues)
		buf_puts(sql, question->walk.by_time ? " AND (ts_ns, id) < (?40, ?41)" : " AND id < ?41");
	buf_puts(sql, order_of(question));
	buf_puts(sql, ") r JOIN lanes l ON l.id = r.lane_id JOIN sensors s ON s.id = l.sensor_id");
	buf_puts(sql, question->walk.by_time ? " ORDER BY r.ts_ns DESC, r.id DESC"
		: page->order == STORE_ARRIVAL ? " ORDER BY r.id" : " ORDER BY r.id DESC");
}

/* Those found are merged into the page. */
static int
read_rows(struct question *question, sqlite3_stmt *statement, int64_t partition)
{
	uint32_t count = 0;
	int code;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW && count < question->walk.cap) {
		struct store_row *row = &question->walk.more[count++];
		const char *sensor = (const char *)sqlite3_column_text(statement, 2);

		*row = (struct store_row){
			.id = sqlite3_column_int64(statement, 0),
			.ts_ns = sqlite3_column_int64(statement, 1),
			.epoch = (uint64_t)sqlite3_column_int64(statement, 3),
			.lane = (enum link_lane)sqlite3_column_int(statement, 4),
			.sequence = (uint64_t)sqlite3_column_int64(statement, 5),
			.partition = partition,
			.block = sqlite3_column_int64(statement, 6),
			.at = (uint64_t)sqlite3_column_int64(statement, 7),
			.len = (uint64_t)sqlite3_column_int64(statement, 8),
		};
		snprintf(row->sensor, sizeof(row->sensor), "%s", sensor == NULL ? "" : sensor);
	}
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		return sqlite_failed(question->store, "query");
	if (count > 0)
		store_walk_merge(&question->walk, count);
	return 0;
}

static int
prepare(const struct question *question, int64_t partition, const struct lead *lead, sqlite3_stmt **out)
{
	const struct store_page *page = question->walk.page;
	char text[SQL_TEXT_MAX];
	struct buf sql = { .data = text, .cap = sizeof(text) - 1 };
	int err;

	put_query(&sql, question, partition, lead);
	text[sql.len] = '\0';
	err = sql.full ? -E2BIG : sqlite_prepare_filtered(question->store, text, question->walk.filter, out);
	if (err != 0)
		return err;
	sqlite3_bind_int64(*out, PARAM_LIMIT, question->walk.cap);
	sqlite3_bind_int64(*out, PARAM_AFTER_TS, page->after_ts_ns);
	sqlite3_bind_int64(*out, PARAM_AFTER_ID, page->after_id);
	return 0;
}

/* ---- spans ---- */

/* What spans a question goes over: those that have one of its filters' values. */
struct through {
	enum sqlite_span_kind kind;
	enum store_filter_key key; /* where its value is; STORE_FILTER_COUNT: none */
	const char *where;         /* of a span's records */
	uint32_t implied;
};

#define IN_SPAN "id BETWEEN ?43 AND ?44 AND ts_ns >= ?45"
/* An address at either end is two walks; a record with both alike is found by the first. */
static const struct through throughs[] = {
	{ SPAN_FLOWS, STORE_FLOW_ID, IN_SPAN, 0 },
	{ SPAN_SRC_IP, STORE_SRC_IP, IN_SPAN, 0 },
	{ SPAN_DEST_IP, STORE_DEST_IP, IN_SPAN, 0 },
	{ SPAN_SRC_IP, STORE_IP, IN_SPAN " AND src_ip = ?6", 1u << STORE_IP },
	{ SPAN_DEST_IP, STORE_IP, IN_SPAN " AND dest_ip = ?6 AND src_ip IS NOT ?6", 1u << STORE_IP },
	{ SPAN_TYPE, STORE_EVENT_TYPE, IN_SPAN, 0 },
	{ SPAN_ALL, STORE_FILTER_COUNT, IN_SPAN, 0 },
};

#define OF_NETWORK " FROM spans_$ WHERE kind IN (?1, ?7) AND key BETWEEN ?2 AND ?6 AND length(key) = length(?2)" \
	" AND ts_max_ns >= ?3 AND ts_min_ns <= ?4"
/* Spans of one run may lie over one another where they are of several addresses: what hangs together is one. */
#define NETWORK_SPANS "SELECT min(first_id), max(last_id), max(ts_max_ns) FROM (SELECT first_id, last_id, ts_max_ns," \
	" sum(begins) OVER (ORDER BY first_id, last_id ROWS UNBOUNDED PRECEDING) AS number FROM (SELECT first_id, last_id, ts_max_ns," \
	" coalesce(first_id > max(last_id) OVER (ORDER BY first_id, last_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 1) AS begins" \
	OF_NETWORK ")) GROUP BY number ORDER BY 3 DESC"
#define NETWORK_COUNT "SELECT count(*) FROM (SELECT 1" OF_NETWORK " LIMIT ?8)"
#define SPANS "SELECT first_id, last_id, ts_max_ns FROM spans_$ WHERE kind = ?1 AND key = ?2 AND ts_max_ns >= ?3 AND ts_min_ns <= ?4"

static const char *
spans_text(const struct store_filter *filter, const struct through *through)
{
	if (through->key == STORE_FLOW_ID)
		return SPANS " AND may_have_flow(prints, ?5) ORDER BY ts_max_ns DESC";
	if (!store_filter_has_network(filter, through->key))
		return SPANS " ORDER BY ts_max_ns DESC";
	return NETWORK_SPANS;
}

static void
bind_key(sqlite3_stmt *spans, const struct store_filter *filter, enum store_filter_key key)
{
	if (key == STORE_FILTER_COUNT || key == STORE_FLOW_ID)
		sqlite3_bind_zeroblob(spans, 2, 0);
	else if (store_filters[key].type == STORE_IS_IP)
		bind_ips(spans, 2, 6, filter, key);
	else
		sqlite3_bind_blob(spans, 2, filter->value[key].text, (int)strlen(filter->value[key].text), SQLITE_STATIC);
	if (key == STORE_FLOW_ID)
		sqlite3_bind_int64(spans, 5, filter->value[key].number);
}

static int64_t
oldest_ts(const struct question *question)
{
	const struct store_walk *walk = &question->walk;

	return walk->count < walk->cap ? INT64_MIN : walk->rows[walk->cap - 1].ts_ns;
}

static int
prepare_spans(const struct question *question, int64_t partition, const struct through *through, const char *sql_text,
	sqlite3_stmt **out)
{
	const struct store_filter *filter = question->walk.filter;
	const struct store_page *page = question->walk.page;
	int64_t since = store_filter_has(filter, STORE_SINCE) ? filter->value[STORE_SINCE].number : INT64_MIN;
	int64_t newest = page->continues ? page->after_ts_ns : INT64_MAX;
	char text[SPANS_TEXT_MAX];
	struct buf sql = { .data = text, .cap = sizeof(text) - 1 };

	if (store_filter_has(filter, STORE_UNTIL) && filter->value[STORE_UNTIL].number <= newest)
		newest = filter->value[STORE_UNTIL].number;
	sqlite_put_numbered(&sql, sql_text, partition);
	text[sql.len] = '\0';
	if (sqlite3_prepare_v2(question->store->db, text, -1, out, NULL) != SQLITE_OK)
		return sqlite_failed(question->store, "spans");
	sqlite3_bind_int(*out, 1, (int)through->kind);
	sqlite3_bind_int(*out, 7, (int)(through->key == STORE_IP ? SPAN_DEST_IP : through->kind));
	bind_key(*out, filter, through->key);
	sqlite3_bind_int64(*out, 3, since);
	sqlite3_bind_int64(*out, 4, newest);
	return 0;
}

/* Newest first, until what is left is older than what the page has. */
static int
walk_spans(struct question *question, int64_t partition, const struct through *through)
{
	bool network = store_filter_has_network(question->walk.filter, through->key);
	const struct lead lead = { " NOT INDEXED", network ? IN_SPAN : through->where, network ? 0 : through->implied };
	sqlite3_stmt *spans = NULL;
	sqlite3_stmt *rows = NULL;
	int err = prepare(question, partition, &lead, &rows);
	int code = SQLITE_DONE;

	if (err == 0)
		err = prepare_spans(question, partition, through, spans_text(question->walk.filter, through), &spans);
	while (err == 0 && (code = sqlite3_step(spans)) == SQLITE_ROW && sqlite3_column_int64(spans, 2) >= oldest_ts(question)) {
		sqlite3_bind_int64(rows, PARAM_FIRST_ID, sqlite3_column_int64(spans, 0));
		sqlite3_bind_int64(rows, PARAM_LAST_ID, sqlite3_column_int64(spans, 1));
		sqlite3_bind_int64(rows, PARAM_OLDEST_TS, oldest_ts(question));
		err = read_rows(question, rows, partition);
		sqlite3_reset(rows);
	}
	if (err == 0 && code != SQLITE_DONE && code != SQLITE_ROW)
		err = sqlite_failed(question->store, "spans");
	sqlite3_finalize(spans);
	sqlite3_finalize(rows);
	return err;
}

static int
walk_records(struct question *question, int64_t partition, const struct lead *lead)
{
	sqlite3_stmt *statement = NULL;
	int err = prepare(question, partition, lead, &statement);

	if (err == 0)
		err = read_rows(question, statement, partition);
	sqlite3_finalize(statement);
	return err;
}

/* A network may be all there is; a type of which there is little leads to less. */
static const struct through *
through_of(const struct store_filter *filter)
{
	const struct through *through = throughs;

	while (through->key != STORE_FILTER_COUNT && (!store_filter_has(filter, through->key) ||
	    (store_filter_has_network(filter, through->key) && store_filter_has(filter, STORE_EVENT_TYPE))))
		through++;
	return through;
}

/* Spans of many addresses take longer to put together than the records, of which many are asked for then, to look at. */
static int
count_spans(const struct question *question, int64_t partition, const struct through *through, int *count)
{
	sqlite3_stmt *statement = NULL;
	int err = prepare_spans(question, partition, through, NETWORK_COUNT, &statement);

	if (err == 0) {
		sqlite3_bind_int(statement, 8, NETWORK_SPANS_MAX);
		if (sqlite3_step(statement) == SQLITE_ROW)
			*count = sqlite3_column_int(statement, 0);
		else
			err = sqlite_failed(question->store, "spans");
	}
	sqlite3_finalize(statement);
	return err;
}

static int
walk_network(struct question *question, int64_t partition, const struct through *through)
{
	int count = 0;
	int err = count_spans(question, partition, through, &count);

	if (err != 0)
		return err;
	return walk_spans(question, partition, count < NETWORK_SPANS_MAX ? through : &throughs[COUNT(throughs) - 1]);
}

static int
ask_partition(struct question *question, int64_t partition)
{
	const struct store_filter *filter = question->walk.filter;
	const struct through *through;
	int err;

	if (!question->walk.by_time)
		return walk_records(question, partition, &every_record);
	if (store_filter_has(filter, STORE_SIGNATURE_ID))
		return walk_records(question, partition, &by_signature);
	through = through_of(filter);
	if (store_filter_has_network(filter, through->key))
		return walk_network(question, partition, through);
	err = walk_spans(question, partition, through);
	if (err == 0 && through->key == STORE_IP)
		err = walk_spans(question, partition, through + 1);
	return err;
}

/* ---- all partitions ---- */

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
	if (store_filter_has(filter, STORE_SINCE) && partition->ts_max_ns < filter->value[STORE_SINCE].number)
		return false;
	return !store_filter_has(filter, STORE_UNTIL) || partition->ts_min_ns < filter->value[STORE_UNTIL].number;
}

/* Whether it lies wholly before the page's beginning. */
static bool
is_passed(const struct question *question, const struct sqlite_partition *partition)
{
	const struct store_page *page = question->walk.page;

	if (page->order == STORE_ARRIVAL)
		return partition->next_id <= page->after_id;
	if (!page->continues)
		return false;
	return question->walk.by_time ? partition->ts_min_ns > page->after_ts_ns : partition->first_id > page->after_id;
}

/* Whether nothing of it, nor of those behind it, can be among the rows any more. */
static bool
is_beyond(const struct question *question, const struct sqlite_partition *partition)
{
	if (question->walk.count < question->walk.cap)
		return false;
	return !question->walk.by_time || partition->ts_max_ns < question->walk.rows[question->walk.cap - 1].ts_ns;
}

static int
ask_all(struct question *question)
{
	struct sqlite_partition *partitions;
	int count = sqlite_partitions(question->store, false, &partitions);
	int err = 0;

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++)
		if (partitions[i].next_id > question->walk.page->last_id)
			question->walk.page->last_id = partitions[i].next_id - 1;
	if (question->walk.by_time)
		qsort(partitions, (size_t)count, sizeof(*partitions), by_ts_max);
	else if (question->walk.page->order == STORE_NEWEST)
		qsort(partitions, (size_t)count, sizeof(*partitions), by_id_down);
	for (int i = 0; i < count && err == 0 && !is_beyond(question, &partitions[i]); i++) {
		if (!is_passed(question, &partitions[i]) && sqlite_partition_has(&partitions[i], question->walk.filter))
			err = ask_partition(question, partitions[i].id);
	}
	free(partitions);
	return err;
}

/* ---- the lines ---- */

static int
by_place(const void *a, const void *b)
{
	const struct store_row *const *x = a;
	const struct store_row *const *y = b;

	return (*x)->block < (*y)->block ? -1 : (*x)->block > (*y)->block;
}

/* In the order of blocks, so that each is unpacked once, however the page's order jumps among them. */
static int
read_lines(struct question *question)
{
	struct store_walk *walk = &question->walk;
	struct store_row **order = calloc(walk->count + 1, sizeof(struct store_row *));
	uint64_t at = 0;
	int err = 0;

	for (uint32_t i = 0; i < walk->count; i++)
		at += walk->rows[i].len;
	question->text = malloc(at + 1);
	if (order == NULL || question->text == NULL) {
		free(order);
		return -ENOMEM;
	}
	at = 0;
	for (uint32_t i = 0; i < walk->count; i++) {
		order[i] = &walk->rows[i];
		order[i]->line = question->text + at;
		at += order[i]->len;
	}
	qsort(order, walk->count, sizeof(struct store_row *), by_place);
	for (uint32_t i = 0; i < walk->count && err == 0; i++) {
		const struct sqlite_place place = { .block = order[i]->block, .at = order[i]->at, .len = order[i]->len };
		const char *line;

		err = sqlite_block_line(question->store, order[i]->partition, &place, &line);
		if (err == 0)
			memcpy(order[i]->line, line, place.len);
	}
	free(order);
	return err;
}

int
sqlite_store_query(struct store *base, const struct store_filter *filter, struct store_page *page,
	store_found_fn found, void *arg)
{
	struct question question = { .store = sqlite_of(base) };
	int err = store_walk_begin(&question.walk, filter, page);

	page->last_id = page->after_id;
	sqlite_start_deadline(question.store);
	if (err == 0)
		err = sqlite_begin_read(question.store);
	if (err == 0) {
		err = ask_all(&question);
		store_walk_cut(&question.walk);
		if (err == 0)
			err = read_lines(&question);
		sqlite_end_read(question.store);
	}
	if (err == 0)
		store_walk_give(&question.walk, found, arg);
	free(question.text);
	store_walk_end(&question.walk);
	return err == 0 ? (int)question.walk.count : err;
}
