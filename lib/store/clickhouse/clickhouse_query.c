/* Records by filters: first which, from the columns that filters and order need; then their lines. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cursor.h"
#include "lib/store/clickhouse/clickhouse_private.h"
#include "lib/store/walk.h"

enum { FIRST_PARTS = 2, STRING_MAX = 1 << 30 };

struct question {
	struct clickhouse_store *store;
	struct clickhouse_snapshot snapshot;
	struct store_walk walk;
};

/* ---- RowBinary ---- */

/* A length, then so many bytes. */
static struct cursor
take_string(struct cursor *in)
{
	uint64_t len = 0;
	uint8_t byte = 0x80;

	for (unsigned int shift = 0; (byte & 0x80) != 0 && shift < 35 && !in->short_read; shift += 7) {
		byte = cursor_u8(in);
		len |= (uint64_t)(byte & 0x7f) << shift;
	}
	if (len > STRING_MAX)
		in->short_read = true;
	return cursor_sub(in, in->short_read ? 0 : len);
}

static void
take_text(struct cursor *in, char *out, size_t size)
{
	struct cursor text = take_string(in);
	size_t len = cursor_left(&text);

	if (len >= size)
		len = size - 1;
	if (len > 0)
		memcpy(out, cursor_take(&text, len), len);
	out[len] = '\0';
}

static bool
take_row(struct cursor *in, struct store_row *row)
{
	*row = (struct store_row){ 0 };
	row->id = (int64_t)cursor_le64(in);
	row->ts_ns = (int64_t)cursor_le64(in);
	take_text(in, row->sensor, sizeof(row->sensor));
	row->epoch = cursor_le64(in);
	row->lane = (enum link_lane)cursor_u8(in);
	row->sequence = cursor_le64(in);
	row->len = cursor_le32(in);
	/* One that does not exist is as good as none. */
	in->short_read |= row->lane >= LINK_LANE_COUNT;
	return !in->short_read;
}

/* ---- which ---- */

static void
put_query(struct clickhouse_bytes *sql, const struct question *question, size_t from, size_t to)
{
	const struct store_page *page = question->walk.page;

	clickhouse_bytes_printf(sql, "SELECT id, ts_ns, sensor, epoch, lane, seq, len FROM records WHERE ");
	(void)clickhouse_put_visible(sql, &question->snapshot, question->walk.filter, from, to);
	clickhouse_put_clauses(sql, question->walk.filter, 0);
	if (page->order == STORE_ARRIVAL)
		clickhouse_bytes_printf(sql, " AND id > %" PRId64 " AND block <= %" PRId64, page->after_id,
			question->snapshot.horizon);
	else if (page->continues && question->walk.by_time)
		clickhouse_bytes_printf(sql, " AND ts_ns <= %" PRId64 " AND (ts_ns < %" PRId64 " OR id < %" PRId64 ")",
			page->after_ts_ns, page->after_ts_ns, page->after_id);
	else if (page->continues)
		clickhouse_bytes_printf(sql, " AND id < %" PRId64, page->after_id);
	clickhouse_bytes_printf(sql, " ORDER BY %s LIMIT %u FORMAT RowBinary", question->walk.by_time ? "ts_ns DESC, id DESC"
		: page->order == STORE_ARRIVAL ? "id" : "id DESC", question->walk.cap);
	clickhouse_bytes_put(sql, "", 1);
}

static int
ask_shards(struct question *question, size_t from, size_t to)
{
	struct clickhouse_bytes sql = { 0 };
	struct clickhouse_bytes answer = { 0 };
	int err = 0;

	put_query(&sql, question, from, to);
	for (unsigned int i = 0; i < question->store->shard_count && err == 0; i++) {
		uint32_t found = 0;
		struct cursor in;

		err = sql.failed ? -ENOMEM : clickhouse_snapshot_ask(question->store, &question->snapshot, i, sql.data, &answer);
		if (err != 0)
			break;
		in = cursor_of(answer.data, answer.len);
		while (cursor_left(&in) > 0 && found < question->walk.cap && take_row(&in, &question->walk.more[found]))
			found++;
		if (cursor_left(&in) > 0 || in.short_read)
			err = -EBADMSG;
		else
			store_walk_merge(&question->walk, found);
	}
	clickhouse_bytes_free(&answer);
	clickhouse_bytes_free(&sql);
	return err;
}

/* Whether nothing of the parts from here on can be among the rows. Newer parts have higher ids; of times nothing is sure. */
static bool
is_done(const struct question *question, size_t from)
{
	const struct clickhouse_snapshot *snapshot = &question->snapshot;

	if (from >= snapshot->part_count)
		return true;
	if (question->walk.count < question->walk.cap || question->walk.page->order == STORE_ARRIVAL)
		return false;
	for (size_t i = from; i < snapshot->part_count && question->walk.by_time; i++)
		if (snapshot->parts[i].ts_max_ns >= question->walk.rows[question->walk.count - 1].ts_ns)
			return false;
	return true;
}

/* The newest partitions first, as many again each time: most pages end there. */
static int
ask_all(struct question *question)
{
	size_t from = 0;
	size_t step = question->walk.page->order == STORE_ARRIVAL ? SIZE_MAX / 2 : FIRST_PARTS;
	int err = 0;

	while (err == 0 && !is_done(question, from)) {
		err = ask_shards(question, from, from + step);
		from += step;
		step *= 2;
	}
	return err;
}

/* ---- the lines ---- */

int
clickhouse_lines(struct clickhouse_store *store, struct clickhouse_snapshot *snapshot, const char *where,
	clickhouse_line_fn found, void *arg)
{
	struct clickhouse_bytes sql = { 0 };
	struct clickhouse_bytes answer = { 0 };
	int err = 0;

	clickhouse_bytes_printf(&sql, "SELECT id, line FROM records PREWHERE ");
	clickhouse_bytes_put(&sql, where, strlen(where));
	clickhouse_bytes_printf(&sql, " WHERE ");
	(void)clickhouse_put_visible(&sql, snapshot, NULL, 0, snapshot->part_count);
	clickhouse_bytes_printf(&sql, " FORMAT RowBinary");
	clickhouse_bytes_put(&sql, "", 1);
	for (unsigned int i = 0; i < store->shard_count && err == 0; i++) {
		struct cursor in;

		err = sql.failed ? -ENOMEM : clickhouse_snapshot_ask(store, snapshot, i, sql.data, &answer);
		in = cursor_of(answer.data, err == 0 ? answer.len : 0);
		while (err == 0 && cursor_left(&in) > 0) {
			int64_t id = (int64_t)cursor_le64(&in);
			struct cursor line = take_string(&in);
			size_t len = cursor_left(&line);

			err = in.short_read ? -EBADMSG : found(arg, id, (const char *)cursor_take(&line, len), len);
		}
	}
	clickhouse_bytes_free(&answer);
	clickhouse_bytes_free(&sql);
	return err;
}

static int
put_line(void *arg, int64_t id, const char *line, size_t len)
{
	struct question *question = arg;

	for (uint32_t i = 0; i < question->walk.count; i++) {
		struct store_row *row = &question->walk.rows[i];

		if (row->id != id || row->line != NULL)
			continue;
		row->line = strndup(len == 0 ? "" : line, len);
		return row->line == NULL ? -ENOMEM : row->len == len ? 0 : -EBADMSG;
	}
	return 0;
}

/* The types and times narrow down what is read to where the rows are. */
static int
read_lines(struct question *question)
{
	struct clickhouse_bytes where = { 0 };
	int64_t first_ns = INT64_MAX, last_ns = INT64_MIN;
	int err;

	if (question->walk.count == 0)
		return 0;
	clickhouse_bytes_printf(&where, "id IN (");
	for (uint32_t i = 0; i < question->walk.count; i++) {
		const struct store_row *row = &question->walk.rows[i];

		clickhouse_bytes_printf(&where, "%s%" PRId64, i == 0 ? "" : ",", row->id);
		first_ns = row->ts_ns < first_ns ? row->ts_ns : first_ns;
		last_ns = row->ts_ns > last_ns ? row->ts_ns : last_ns;
	}
	clickhouse_bytes_printf(&where, ") AND ts_ns >= %" PRId64 " AND ts_ns <= %" PRId64, first_ns, last_ns);
	if (store_filter_has(question->walk.filter, STORE_EVENT_TYPE)) {
		struct store_filter type = { .present = 1u << STORE_EVENT_TYPE };

		type.value[STORE_EVENT_TYPE] = question->walk.filter->value[STORE_EVENT_TYPE];
		clickhouse_put_clauses(&where, &type, 0);
	}
	clickhouse_bytes_put(&where, "", 1);
	err = where.failed ? -ENOMEM : clickhouse_lines(question->store, &question->snapshot, where.data, put_line, question);
	for (uint32_t i = 0; i < question->walk.count && err == 0; i++)
		if (question->walk.rows[i].line == NULL)
			err = -EIO;
	clickhouse_bytes_free(&where);
	return err;
}

/* Behind all that is there, and before all that is still to come. */
static int64_t
newest_id(const struct clickhouse_snapshot *snapshot, const struct store_page *page)
{
	int64_t last = snapshot->horizon << CLICKHOUSE_BLOCK_BITS | ((1 << CLICKHOUSE_BLOCK_BITS) - 1);

	return last > page->after_id ? last : page->after_id;
}

int
clickhouse_store_query(struct store *base, const struct store_filter *filter, struct store_page *page,
	store_found_fn found, void *arg)
{
	struct question question = { .store = clickhouse_of(base) };
	int err = store_walk_begin(&question.walk, filter, page);

	clickhouse_start_deadline(question.store);
	if (err == 0)
		err = clickhouse_snapshot_take(question.store, &question.snapshot);
	if (err == 0) {
		page->last_id = newest_id(&question.snapshot, page);
		err = ask_all(&question);
	}
	if (err == 0) {
		store_walk_cut(&question.walk);
		err = read_lines(&question);
	}
	if (err == 0)
		store_walk_give(&question.walk, found, arg);
	for (uint32_t i = 0; i < question.walk.count; i++)
		free(question.walk.rows[i].line);
	clickhouse_snapshot_free(&question.snapshot);
	store_walk_end(&question.walk);
	return err == 0 ? (int)question.walk.count : err;
}
