/* A batch into the open block: its lane is locked in PostgreSQL, its records become rows as ClickHouse reads them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/store/clickhouse/clickhouse_private.h"

enum {
	LANES_PER_SENSOR_MAX = 20480, /* 4096 epochs: a sensor that starts a spool daily for ten years */
	LANES_FIRST = 256,            /* a power of two */
	FNV_PRIME = 16777619,
};

static uint32_t
hash_name(const char *name)
{
	uint32_t hash = 2166136261;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * FNV_PRIME;
	return hash;
}

/* ---- the lanes of the open block ---- */

/* The lane's place: it, or a free one. There is always a free one. */
static struct clickhouse_lane *
find_lane(struct clickhouse_block *block, const struct batch_head *head)
{
	uint64_t at = hash_name(head->sensor) ^ head->epoch * FNV_PRIME ^ (uint64_t)head->lane * 0x9e3779b9;

	for (;; at++) {
		struct clickhouse_lane *lane = &block->lanes[at & (block->lane_cap - 1)];

		if (lane->tail.next == 0 || (lane->lane == head->lane && lane->epoch == head->epoch &&
		    strcmp(lane->sensor, head->sensor) == 0))
			return lane;
	}
}

static int
make_room(struct clickhouse_block *block)
{
	struct clickhouse_block larger = { .lane_cap = block->lane_cap == 0 ? LANES_FIRST : block->lane_cap * 2 };

	if (block->lane_count * 2 < block->lane_cap)
		return 0;
	larger.lanes = calloc(larger.lane_cap, sizeof(*larger.lanes));
	if (larger.lanes == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < block->lane_cap; i++) {
		const struct clickhouse_lane *lane = &block->lanes[i];
		struct batch_head head = { .epoch = lane->epoch, .lane = lane->lane };

		if (lane->tail.next == 0)
			continue;
		memcpy(head.sensor, lane->sensor, sizeof(head.sensor));
		*find_lane(&larger, &head) = *lane;
	}
	free(block->lanes);
	block->lanes = larger.lanes;
	block->lane_cap = larger.lane_cap;
	return 0;
}

/* @return 1; 0: there is no row that is free; or -errno */
static int
lock_row(struct clickhouse_store *store, const struct batch_head *head, struct store_tail *out)
{
	PGresult *rows = pg_ask(store->tx, "SELECT next_seq, last_mark FROM lanes WHERE sensor = $1 AND epoch = $2 AND lane = $3"
		" FOR UPDATE SKIP LOCKED", "tnn", head->sensor, (int64_t)head->epoch, (int64_t)head->lane);
	int found;

	if (rows == NULL)
		return pg_error(store->tx) == -EAGAIN ? -EIO : pg_error(store->tx);
	found = PQntuples(rows) != 0;
	if (found)
		*out = (struct store_tail){ .next = (uint64_t)pg_number(rows, 0, 0), .mark = pg_number(rows, 0, 1) };
	PQclear(rows);
	return found;
}

/* On its own, so that nobody waits for this gateway's transaction. @return 1: made, 0: it was there, -errno */
static int
make_row(struct clickhouse_store *store, const struct batch_head *head)
{
	int made = pg_run(store->aside, "INSERT INTO lanes(sensor, epoch, lane, next_seq, records, lost, updated_s)"
		" SELECT $1::text, $2::bigint, $3::smallint, 1, 0, 0, $4::bigint"
		" WHERE (SELECT count(*) FROM lanes WHERE sensor = $1) < $5"
		" ON CONFLICT DO NOTHING", "tnnnn", head->sensor, (int64_t)head->epoch, (int64_t)head->lane, store->block.now_s,
		(int64_t)LANES_PER_SENSOR_MAX);
	int there;

	if (made != 0)
		return made;
	there = pg_run(store->aside, "SELECT 1 FROM lanes WHERE sensor = $1 AND epoch = $2 AND lane = $3", "tnn", head->sensor,
		(int64_t)head->epoch, (int64_t)head->lane);
	return there == 0 ? -EDQUOT : there < 0 ? there : 0;
}

/* The lane, locked for this block. @return 0; -EAGAIN: another gateway has it; -EDQUOT; -errno */
static int
take_lane(struct clickhouse_store *store, const struct batch_head *head, struct clickhouse_lane **out)
{
	struct clickhouse_lane *lane;
	struct store_tail tail;
	int found;
	int made;

	if (make_room(&store->block) != 0)
		return -ENOMEM;
	lane = find_lane(&store->block, head);
	*out = lane;
	if (lane->tail.next != 0)
		return 0;
	found = lock_row(store, head, &tail);
	if (found == 0) {
		made = make_row(store, head);
		found = made == 1 ? lock_row(store, head, &tail) : made;
	}
	if (found <= 0)
		return found == 0 ? -EAGAIN : found;
	memcpy(lane->sensor, head->sensor, sizeof(lane->sensor));
	lane->epoch = head->epoch;
	lane->lane = head->lane;
	lane->tail = tail;
	store_tail_begin(&lane->tail, head);
	lane->stored = 0;
	lane->lost = 0;
	store->block.lane_count++;
	return 0;
}

/* ---- rows in RowBinary ---- */

static void
put_u8(struct clickhouse_bytes *out, uint8_t value)
{
	clickhouse_bytes_put(out, &value, 1);
}

static void
put_u32(struct clickhouse_bytes *out, uint32_t value)
{
	clickhouse_bytes_put(out, &value, sizeof(value));
}

static void
put_u64(struct clickhouse_bytes *out, uint64_t value)
{
	clickhouse_bytes_put(out, &value, sizeof(value));
}

static void
put_string(struct clickhouse_bytes *out, const void *data, size_t len)
{
	size_t rest = len;

	for (; rest >= 0x80; rest >>= 7)
		put_u8(out, (uint8_t)(rest | 0x80));
	put_u8(out, (uint8_t)rest);
	clickhouse_bytes_put(out, data, len);
}

static void
put_text(struct clickhouse_bytes *out, const struct line_text *text)
{
	put_u8(out, text->data == NULL);
	if (text->data != NULL)
		put_string(out, text->data, text->len);
}

static void
put_number(struct clickhouse_bytes *out, const struct line_number *number)
{
	put_u8(out, !number->present);
	if (number->present)
		put_u64(out, (uint64_t)number->value);
}

/* Both directions as one; a hostile pair cannot overflow. */
static void
put_sum(struct clickhouse_bytes *out, const struct line_number pair[2])
{
	struct line_number total = { .present = pair[0].present || pair[1].present };

	if (__builtin_add_overflow(pair[0].value, pair[1].value, &total.value))
		total.value = INT64_MAX;
	put_number(out, &total);
}

/* In the order of the statement in clickhouse_block.c. */
static void
put_row(struct clickhouse_store *store, struct clickhouse_bytes *out, const struct batch_head *head, uint64_t sequence,
	const struct store_line *line)
{
	const struct clickhouse_block *block = &store->block;

	put_u32(out, (uint32_t)block->part);
	put_u64(out, (uint64_t)block->id);
	put_u64(out, (uint64_t)block->id << CLICKHOUSE_BLOCK_BITS | block->row_count);
	put_string(out, head->sensor, strlen(head->sensor));
	put_u64(out, head->epoch);
	put_u8(out, (uint8_t)head->lane);
	put_u64(out, sequence);
	put_u64(out, (uint64_t)line->ts_ns.value);
	put_string(out, line->event_type.data, line->event_type.data == NULL ? 0 : line->event_type.len);
	put_text(out, &line->proto);
	put_text(out, &line->app_proto);
	put_string(out, line->src_ip.bytes, line->src_ip.len);
	put_number(out, &line->src_port);
	put_string(out, line->dest_ip.bytes, line->dest_ip.len);
	put_number(out, &line->dest_port);
	put_number(out, &line->signature_id);
	put_number(out, &line->severity);
	put_number(out, &line->function);
	put_number(out, &line->response_function);
	put_sum(out, line->packets);
	put_sum(out, line->bytes);
	put_u32(out, line->text.len);
	put_string(out, line->text.data, line->text.len);
	put_number(out, &line->flow_id);
	put_number(out, &line->flow_part);
}

/* A sensor's records are together. FNV's low bits alone tell names apart badly. Questions ask every shard, so nothing else
 * depends on where a record is. */
static struct clickhouse_shard *
shard_of(struct clickhouse_store *store, const char *sensor)
{
	uint32_t hash = hash_name(sensor);

	return &store->shards[(hash ^ hash >> 16) % store->shard_count];
}

static int
add_rows(struct clickhouse_store *store, const struct batch_head *head, const struct store_line *lines,
	struct store_appended *out)
{
	struct clickhouse_shard *shard = shard_of(store, head->sensor);
	uint32_t from = (uint32_t)(out->next > head->sequence ? out->next - head->sequence : 0);
	struct clickhouse_block *block = &store->block;
	size_t before = shard->rows.len;
	int err = 0;

	for (uint32_t i = from; i < head->count && err == 0; i++) {
		const struct store_line *line = &lines[i];

		put_row(store, &shard->rows, head, head->sequence + i, line);
		block->row_count++;
		if (line->ts_ns.value < block->ts_min_ns)
			block->ts_min_ns = line->ts_ns.value;
		if (line->ts_ns.value > block->ts_max_ns)
			block->ts_max_ns = line->ts_ns.value;
		if (head->lane == LINK_LANE_STATS && line->uptime_s.present)
			err = clickhouse_run_note(store, head, line);
	}
	out->skipped = from;
	out->stored = head->count - from;
	out->next = head->sequence + head->count;
	shard->row_count += (uint32_t)out->stored;
	block->bytes += shard->rows.len - before;
	return shard->rows.failed ? -ENOMEM : err;
}

static int
add_gap(struct clickhouse_store *store, const struct batch_head *head, uint64_t first, uint64_t last)
{
	int err = pg_run(store->tx, "INSERT INTO gaps(sensor, epoch, lane, first, last, at_s) VALUES($1, $2, $3, $4, $5, $6)",
		"tnnnnn", head->sensor, (int64_t)head->epoch, (int64_t)head->lane, (int64_t)first, (int64_t)last,
		store->block.now_s);

	return err < 0 ? err : 0;
}

/* @return whether the block is to be sent before more comes to it */
static bool
is_full(const struct clickhouse_block *block)
{
	return block->bytes > CLICKHOUSE_GATHER_MAX ||
		block->row_count > (1u << CLICKHOUSE_BLOCK_BITS) - 2 * BATCH_COUNT_MAX;
}

int
clickhouse_store_append(struct store *base, const struct batch_head *head, const struct store_body *body,
	const struct store_line *lines, struct store_appended *out)
{
	struct clickhouse_store *store = clickhouse_of(base);
	struct clickhouse_lane *lane;
	uint64_t expected;
	int err = 0;

	*out = (struct store_appended){ .next = 1 };
	/* In one block with the others it would fail them, too. */
	if (!clickhouse_shard_is_there(store, shard_of(store, head->sensor)))
		return -EHOSTUNREACH;
	if (store->block.id == 0)
		err = clickhouse_block_open(store, (int64_t)time(NULL));
	if (err == 0)
		err = take_lane(store, head, &lane);
	if (err != 0)
		return err;
	out->next = lane->tail.next;
	err = store_compare(&lane->tail, head, lines);
	if (err != 0)
		return err;
	expected = head->skip_to > lane->tail.next ? head->skip_to : lane->tail.next;
	if (head->sequence > expected)
		return -ERANGE;
	if (head->sequence + head->count <= expected) {
		out->skipped = head->count;
		return 0;
	}
	if (expected > lane->tail.next) {
		err = add_gap(store, head, lane->tail.next, expected - 1);
		out->lost = expected - lane->tail.next;
		out->next = expected;
	}
	if (err == 0)
		err = add_rows(store, head, lines, out);
	if (err != 0)
		return err;
	lane->tail = (struct store_tail){ .next = out->next, .mark = store_mark(out->next - 1, &lines[head->count - 1]) };
	lane->stored += out->stored;
	lane->lost += out->lost;
	return is_full(&store->block) ? 1 : 0;
}

int
clickhouse_store_next(struct store *base, const struct batch_head *head, uint64_t *next)
{
	struct clickhouse_store *store = clickhouse_of(base);
	struct store_tail tail = { 0 };
	PGresult *rows;

	if (store->block.id != 0 && store->block.lane_count > 0) {
		const struct clickhouse_lane *lane = find_lane(&store->block, head);

		*next = lane->tail.next;
		if (lane->tail.next != 0)
			return 0;
	}
	rows = pg_ask(store->aside, "SELECT next_seq FROM lanes WHERE sensor = $1 AND epoch = $2 AND lane = $3", "tnn",
		head->sensor, (int64_t)head->epoch, (int64_t)head->lane);
	if (rows == NULL)
		return pg_error(store->aside);
	if (PQntuples(rows) != 0)
		tail.next = (uint64_t)pg_number(rows, 0, 0);
	PQclear(rows);
	store_tail_begin(&tail, head);
	*next = tail.next;
	return 0;
}
