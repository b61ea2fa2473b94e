/* A batch into the store: its lane, its gap, its block and its records. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/store/runs.h"
#include "lib/store/sqlite/sqlite_private.h"

enum {
	LANES_PER_SENSOR_MAX = 20480, /* 4096 epochs: a sensor that starts a spool daily for ten years */
	WHOLE_BYTES_MAX = 2 * 1024 * 1024, /* a body of more lines is packed anew, in runs: a line is found by unpacking its block */
	PACK_BYTES = 1024 * 1024,
	RECORD_BYTES = 90,            /* of a record's row, about */
};

static void
bind_u64(sqlite3_stmt *statement, int at, uint64_t value)
{
	sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

static void
bind_lane(sqlite3_stmt *statement, const struct batch_head *head)
{
	sqlite3_bind_text(statement, 1, head->sensor, -1, SQLITE_STATIC);
	bind_u64(statement, 2, head->epoch);
	sqlite3_bind_int(statement, 3, (int)head->lane);
}

struct lane {
	int64_t id;
	struct store_tail tail;
};

/* @return 1: found, 0: no such lane yet (next is 1), -errno */
static int
lane_get(struct sqlite_store *store, const struct batch_head *head, struct lane *out)
{
	sqlite3_stmt *statement = store->statements[SQL_LANE_GET];
	int code;
	int result = 0;

	*out = (struct lane){ .tail = { .next = 1 } };
	bind_lane(statement, head);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		out->id = sqlite3_column_int64(statement, 0);
		out->tail.next = (uint64_t)sqlite3_column_int64(statement, 1);
		out->tail.mark = sqlite3_column_int64(statement, 2);
		result = 1;
	} else if (code != SQLITE_DONE) {
		result = sqlite_failed(store, "lane");
	}
	sqlite3_reset(statement);
	store_tail_begin(&out->tail, head);
	return result;
}

static int
lane_add(struct sqlite_store *store, const struct batch_head *head, int64_t now_s, struct lane *out)
{
	sqlite3_stmt *count = store->statements[SQL_LANE_COUNT];
	sqlite3_stmt *add = store->statements[SQL_LANE_ADD];
	sqlite3_stmt *sensor = store->statements[SQL_SENSOR_ADD];
	int64_t lanes = 0;
	int err;

	sqlite3_bind_text(count, 1, head->sensor, -1, SQLITE_STATIC);
	if (sqlite3_step(count) == SQLITE_ROW)
		lanes = sqlite3_column_int64(count, 0);
	sqlite3_reset(count);
	if (lanes >= LANES_PER_SENSOR_MAX)
		return -EDQUOT;
	sqlite3_bind_text(sensor, 1, head->sensor, -1, SQLITE_STATIC);
	sqlite3_bind_int64(sensor, 2, now_s);
	err = sqlite_run(store, SQL_SENSOR_ADD);
	if (err != 0)
		return err;
	bind_lane(add, head);
	sqlite3_bind_int64(add, 4, now_s);
	err = sqlite_run(store, SQL_LANE_ADD);
	out->id = sqlite3_last_insert_rowid(store->db);
	return err;
}

static const struct line_text no_text = { .data = "" };

void
sqlite_bind_text(sqlite3_stmt *statement, int at, const struct line_text *text)
{
	if (text->data == NULL)
		sqlite3_bind_null(statement, at);
	else
		sqlite3_bind_text(statement, at, text->data, (int)text->len, SQLITE_STATIC);
}

static void
bind_ip(sqlite3_stmt *statement, int at, const struct line_ip *ip)
{
	if (ip->len == 0)
		sqlite3_bind_null(statement, at);
	else
		sqlite3_bind_blob(statement, at, ip->bytes, (int)ip->len, SQLITE_STATIC);
}

void
sqlite_bind_number(sqlite3_stmt *statement, int at, const struct line_number *number)
{
	if (number->present)
		sqlite3_bind_int64(statement, at, number->value);
	else
		sqlite3_bind_null(statement, at);
}

/* Both directions as one; a hostile pair cannot overflow. */
static struct line_number
sum(const struct line_number pair[2])
{
	int64_t total;

	if (__builtin_add_overflow(pair[0].value, pair[1].value, &total))
		total = INT64_MAX;
	return (struct line_number){ .value = total, .present = pair[0].present || pair[1].present };
}

/* Where a batch's lines went: one block or several. */
struct placing {
	const char *lines; /* of the block */
	int64_t block;
};

static int
record_add(struct sqlite_store *store, int64_t lane_id, uint64_t sequence, const struct store_line *line,
	const struct placing *placing)
{
	sqlite3_stmt *statement = store->part_statements[PART_RECORD_ADD];
	struct line_number packets = sum(line->packets);
	struct line_number bytes = sum(line->bytes);
	int code;

	sqlite3_bind_int64(statement, 1, store->next_id);
	sqlite3_bind_int64(statement, 2, lane_id);
	bind_u64(statement, 3, sequence);
	sqlite3_bind_int64(statement, 4, line->ts_ns.value);
	sqlite_bind_text(statement, 5, line->event_type.data == NULL ? &no_text : &line->event_type);
	sqlite_bind_text(statement, 6, &line->proto);
	sqlite_bind_text(statement, 7, &line->app_proto);
	bind_ip(statement, 8, &line->src_ip);
	sqlite_bind_number(statement, 9, &line->src_port);
	bind_ip(statement, 10, &line->dest_ip);
	sqlite_bind_number(statement, 11, &line->dest_port);
	sqlite_bind_number(statement, 12, &line->signature_id);
	sqlite_bind_number(statement, 13, &line->severity);
	sqlite_bind_number(statement, 14, &line->function);
	sqlite_bind_number(statement, 15, &line->response_function);
	sqlite_bind_number(statement, 16, &packets);
	sqlite_bind_number(statement, 17, &bytes);
	sqlite3_bind_int64(statement, 18, placing->block);
	sqlite3_bind_int64(statement, 19, line->text.data - placing->lines);
	sqlite3_bind_int64(statement, 20, line->text.len);
	sqlite_bind_number(statement, 21, &line->flow_id);
	sqlite_bind_number(statement, 22, &line->flow_part);
	code = sqlite3_step(statement);
	sqlite3_reset(statement);
	if (code != SQLITE_DONE)
		return sqlite_failed(store, "record");
	store->next_id++;
	store->partition.bytes += RECORD_BYTES;
	if (line->ts_ns.value < store->partition.ts_min_ns)
		store->partition.ts_min_ns = line->ts_ns.value;
	if (line->ts_ns.value > store->partition.ts_max_ns)
		store->partition.ts_max_ns = line->ts_ns.value;
	return 0;
}

static int
gap_add(struct sqlite_store *store, int64_t lane_id, uint64_t first, uint64_t last, int64_t now_s)
{
	sqlite3_stmt *statement = store->statements[SQL_GAP_ADD];
	int err;

	sqlite3_bind_int64(statement, 1, lane_id);
	bind_u64(statement, 2, first);
	bind_u64(statement, 3, last);
	sqlite3_bind_int64(statement, 4, now_s);
	err = sqlite_run(store, SQL_GAP_ADD);
	if (err != 0)
		return err;
	/* A sensor may leave one out before each batch. */
	sqlite3_bind_int64(store->statements[SQL_GAP_PRUNE], 1, STORE_GAPS_MAX);
	return sqlite_run(store, SQL_GAP_PRUNE);
}

static int
lane_update(struct sqlite_store *store, const struct batch_head *head, const struct lane *lane,
	const struct store_appended *done, int64_t now_s)
{
	sqlite3_stmt *update = store->statements[SQL_LANE_UPDATE];
	sqlite3_stmt *seen = store->statements[SQL_SENSOR_SEEN];
	int err;

	sqlite3_bind_int64(update, 1, lane->id);
	bind_u64(update, 2, done->next);
	bind_u64(update, 3, done->stored);
	bind_u64(update, 4, done->lost);
	sqlite3_bind_int64(update, 5, now_s);
	sqlite3_bind_int64(update, 6, lane->tail.mark);
	err = sqlite_run(store, SQL_LANE_UPDATE);
	if (err != 0)
		return err;
	sqlite3_bind_text(seen, 1, head->sensor, -1, SQLITE_STATIC);
	sqlite3_bind_int64(seen, 2, now_s);
	return sqlite_run(store, SQL_SENSOR_SEEN);
}

/* Lines of a body that cannot be kept as it came, from the given one on: packed in runs of PACK_BYTES. */
static int
place_packed(struct sqlite_store *store, const struct store_line *lines, uint32_t count, struct placing *placing)
{
	const char *end = lines[0].text.data;

	for (uint32_t i = 0; i < count; i++) {
		const char *next = lines[i].text.data + lines[i].text.len + 1;

		if (i > 0 && next - lines[0].text.data > PACK_BYTES)
			break;
		end = next;
	}
	*placing = (struct placing){ .lines = lines[0].text.data, .block = store->next_block };
	return sqlite_block_pack(store, placing->lines, (size_t)(end - placing->lines));
}

static int
place_whole(struct sqlite_store *store, const struct store_body *body, struct placing *placing)
{
	*placing = (struct placing){ .lines = body->lines, .block = store->next_block };
	return sqlite_block_add(store, body->data, body->len, body->lines_len);
}

static int
records_add(struct sqlite_store *store, int64_t lane_id, const struct batch_head *head, const struct store_body *body,
	const struct store_line *lines, struct store_appended *out)
{
	bool whole = head->encoding == BATCH_ZSTD && body->lines_len <= WHOLE_BYTES_MAX;
	uint32_t from = (uint32_t)(out->next > head->sequence ? out->next - head->sequence : 0);
	struct placing placing = { 0 };
	int err = 0;

	out->skipped = from;
	sqlite_spans_clear(store->spans);
	if (whole)
		err = place_whole(store, body, &placing);
	for (uint32_t i = from; i < head->count && err == 0; i++) {
		const struct store_line *line = &lines[i];

		if (!whole && (i == from || line->text.data + line->text.len + 1 - placing.lines > PACK_BYTES))
			err = place_packed(store, line, head->count - i, &placing);
		if (err == 0)
			err = record_add(store, lane_id, head->sequence + i, line, &placing);
		if (err == 0)
			err = sqlite_spans_note(store, lane_id, store->next_id - 1, line);
		if (err == 0 && head->lane == LINK_LANE_STATS && line->uptime_s.present)
			err = sqlite_run_note(store, lane_id, line);
	}
	out->stored = head->count - from;
	out->next = head->sequence + head->count;
	return err != 0 ? err : sqlite_spans_write(store, lane_id);
}

static int
begin(struct sqlite_store *store)
{
	int err;

	if (store->in_transaction)
		return 0;
	err = sqlite_run(store, SQL_BEGIN);
	store->in_transaction = err == 0;
	return err;
}

int
sqlite_store_append(struct store *base, const struct batch_head *head, const struct store_body *body,
	const struct store_line *lines, struct store_appended *out)
{
	struct sqlite_store *store = sqlite_of(base);
	int64_t now_s = (int64_t)time(NULL);
	struct lane lane;
	uint64_t expected;
	int found = lane_get(store, head, &lane);
	int err;

	if (found < 0)
		return found;
	*out = (struct store_appended){ .next = lane.tail.next };
	err = store_compare(&lane.tail, head, lines);
	if (err != 0)
		return err;
	expected = head->skip_to > lane.tail.next ? head->skip_to : lane.tail.next;
	if (head->sequence > expected)
		return -ERANGE;
	if (head->sequence + head->count <= expected) {
		out->skipped = head->count;
		return 0;
	}
	err = begin(store);
	if (err == 0 && found == 0)
		err = lane_add(store, head, now_s, &lane);
	if (err == 0)
		err = sqlite_partition_ready(store, now_s);
	if (err == 0 && expected > lane.tail.next) {
		err = gap_add(store, lane.id, lane.tail.next, expected - 1, now_s);
		out->lost = expected - lane.tail.next;
		out->next = expected;
	}
	if (err == 0)
		err = records_add(store, lane.id, head, body, lines, out);
	lane.tail.mark = store_mark(out->next - 1, &lines[head->count - 1]);
	return err != 0 ? err : lane_update(store, head, &lane, out, now_s);
}

int
sqlite_store_next(struct store *base, const struct batch_head *head, uint64_t *next)
{
	struct lane lane;
	int err = lane_get(sqlite_of(base), head, &lane);

	*next = lane.tail.next;
	return err < 0 ? err : 0;
}
