/*
 * A block's life: numbered in PostgreSQL, sent to ClickHouse, settled in PostgreSQL. Its number stands in the table
 * `blocks` from before its first byte is sent until the transaction that moves its lanes on; so whatever dies, either
 * the lanes have moved on and the block is to be seen, or they have not and its number hides it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/store/clickhouse/clickhouse_private.h"

enum {
	SECONDS_OF_DAY = 86400,
	PARTITION_RECORDS = 100000000,
	PARTS_OF_BOUND = 8,
	SEND_PAUSE_MS = 50,
	SEND_PAUSE_MAX_MS = 1000,
	PROBE_EVERY_MS = 1000,
	PROBE_TIMEOUT_MS = 1000,
	CLEAN_EVERY_MS = 5000,
	PENDING_MIN_S = 5,       /* a younger one may be between its numbering and its lock */
	GIVEN_UP_KEEP_S = 3600,  /* a node that got it has written it by then, or never will */
	CLEAN_BLOCKS = 500,
	CLEAN_TIMEOUT_MS = 10000,
};

/* Blocks are old or not by one clock, the database's: that of a gateway may be wrong, or another gateway's may. */
#define PG_NOW_S "extract(epoch FROM now())::bigint"

static const char insert[] =
	"INSERT INTO records (part, block, id, sensor, epoch, lane, seq, ts_ns, event_type, proto, app_proto, src_ip, src_port,"
	" dest_ip, dest_port, signature_id, severity, function, response_function, packets, bytes, len, line, flow_id,"
	" flow_part) FORMAT RowBinary";

/* ---- numbering ---- */

static uint64_t
partition_records(const struct clickhouse_store *store)
{
	uint64_t most = store->partition_records_max == 0 ? PARTITION_RECORDS : store->partition_records_max;
	uint64_t bound = store->records_max / PARTS_OF_BOUND;

	return store->records_max == 0 || most < bound ? most : bound == 0 ? 1 : bound;
}

static uint64_t
partition_bytes(const struct clickhouse_store *store)
{
	return store->bytes_max == 0 ? INT64_MAX : store->bytes_max / PARTS_OF_BOUND + 1;
}

/* The lock is shared among those who number, and kept until this is durable: whoever takes a snapshot waits for it, so that
 * no number below the last can appear later. The partition is the newest, and cannot be doomed meanwhile. */
static int
number_block(struct clickhouse_store *store, int64_t now_s)
{
	PGresult *rows = pg_ask(store->aside,
		"WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared($1)),"
		" part AS (SELECT id FROM partitions WHERE id = (SELECT max(id) FROM partitions) AND NOT doomed AND day >= $2"
		"  AND records < $3 AND bytes < $4 FOR SHARE)"
		" INSERT INTO blocks(id, part, at_s) SELECT nextval('block_ids'), part.id, " PG_NOW_S " FROM locked, part RETURNING id, part",
		"nnnn", (int64_t)CLICKHOUSE_LOCK_BLOCKS, now_s / SECONDS_OF_DAY, (int64_t)partition_records(store),
		(int64_t)partition_bytes(store));
	int found = rows == NULL ? pg_error(store->aside) : PQntuples(rows);

	if (found > 0) {
		store->block.id = pg_number(rows, 0, 0);
		store->block.part = pg_number(rows, 0, 1);
	}
	PQclear(rows);
	return found;
}

static int
add_partition(struct clickhouse_store *store, int64_t now_s)
{
	int changed = pg_run(store->aside, "INSERT INTO partitions(day, ts_min_ns, ts_max_ns, arrived_s, records, bytes)"
		" VALUES($1, 9223372036854775807, 0, $2, 0, 0)", "nn", now_s / SECONDS_OF_DAY, now_s);

	return changed < 0 ? changed : 0;
}

/* Its row stays locked while this gateway lives: that is how others know. */
static int
lock_block(struct clickhouse_store *store)
{
	int err = pg_begin(store->tx);

	if (err == 0)
		err = pg_run(store->tx, "SELECT 1 FROM blocks WHERE id = $1 AND NOT given_up FOR UPDATE", "n", store->block.id);
	return err < 0 ? err : err == 1 ? 0 : -EIO;
}

int
clickhouse_block_open(struct clickhouse_store *store, int64_t now_s)
{
	int found = number_block(store, now_s);
	int err;

	if (found == 0) {
		err = add_partition(store, now_s);
		found = err == 0 ? number_block(store, now_s) : err;
	}
	if (found <= 0)
		return found == 0 ? -EAGAIN : found;
	store->block.now_s = now_s;
	store->block.row_count = 0;
	store->block.bytes = 0;
	store->block.ts_min_ns = INT64_MAX;
	store->block.ts_max_ns = 0;
	store->block.sent = false;
	err = lock_block(store);
	if (err != 0)
		clickhouse_block_give_up(store);
	return err;
}

/* ---- sending ---- */

/* One try at one replica. The bytes are the same each time, so a replica that has them from another try takes them for
 * what they are, and says so only when the quorum has them. */
static int
send_rows(struct clickhouse_store *store, struct clickhouse_shard *shard, uint64_t left_ms)
{
	struct clickhouse_node *node = &shard->nodes[shard->current];
	struct clickhouse_bytes answer = { 0 };
	char settings[160];
	const struct clickhouse_call call = { .sql = insert, .body = shard->rows.data, .body_len = shard->rows.len,
		.settings = settings, .timeout_ms = left_ms };
	int err = clickhouse_node_ready(store, shard, node);

	if (err != 0)
		return err;
	snprintf(settings, sizeof(settings), "&max_insert_block_size=16777216&insert_quorum=%u&insert_quorum_timeout=%" PRIu64,
		shard->quorum > 1 ? shard->quorum : 0, left_ms > 1000 ? left_ms - 500 : left_ms);
	err = clickhouse_ask(store, node, &call, &answer);
	clickhouse_bytes_free(&answer);
	if (err != -ENOTCONN && err != -ENOMEM)
		store->block.sent = true;
	return err;
}

static int
send_shard(struct clickhouse_store *store, struct clickhouse_shard *shard)
{
	uint64_t end_ms = clickhouse_clock_ms() + store->insert_timeout_ms;
	uint64_t pause_ms = SEND_PAUSE_MS;
	unsigned int tries = 0;
	int err;

	for (;;) {
		uint64_t now_ms = clickhouse_clock_ms();
		uint64_t left_ms = now_ms >= end_ms ? 0 : end_ms - now_ms;

		/* A replica that does not answer leaves time for the others. */
		err = left_ms == 0 ? -ETIMEDOUT : send_rows(store, shard, left_ms / (tries < shard->node_count ? 2 : 1) + 1);
		if (err == 0 || left_ms == 0 || err == -ENOMEM || err == -EPROTO)
			return err;
		shard->current = (shard->current + 1) % shard->node_count;
		if (++tries % shard->node_count == 0) {
			const struct timespec pause = { .tv_sec = (time_t)(pause_ms / 1000),
				.tv_nsec = (long)(pause_ms % 1000) * 1000000 };

			nanosleep(&pause, NULL);
			pause_ms = pause_ms * 2 > SEND_PAUSE_MAX_MS ? SEND_PAUSE_MAX_MS : pause_ms * 2;
		}
	}
}

int
clickhouse_block_send(struct clickhouse_store *store)
{
	int err = 0;

	for (unsigned int i = 0; i < store->shard_count && err == 0; i++) {
		struct clickhouse_shard *shard = &store->shards[i];

		if (shard->row_count == 0)
			continue;
		err = send_shard(store, shard);
		if (err != 0 && err != -ENOMEM) {
			log_warning("store", "clickhouse: shard %u takes nothing: batches for it are refused until it can", i + 1);
			shard->away = true;
			shard->away_ms = clickhouse_clock_ms();
		}
	}
	return err;
}

/* A quorum of its replicas is at work, and no block of before still waits for one. */
static bool
can_take(struct clickhouse_store *store, struct clickhouse_shard *shard, struct clickhouse_node *node)
{
	struct clickhouse_call call = { .timeout_ms = PROBE_TIMEOUT_MS };
	struct clickhouse_bytes answer = { 0 };
	struct clickhouse_bytes sql = { 0 };
	bool can;

	clickhouse_bytes_printf(&sql, "SELECT active_replicas >= %u AND NOT is_readonly AND NOT is_session_expired FROM system.replicas"
		" WHERE database = '%s' AND table = 'records' UNION ALL SELECT count() = 0 FROM system.zookeeper"
		" WHERE path = '/millrace/%s/%u/records/quorum' AND name = 'status'", shard->quorum, store->database, store->database,
		(unsigned int)(shard - store->shards) + 1);
	clickhouse_bytes_put(&sql, "", 1);
	call.sql = sql.data;
	can = !sql.failed && clickhouse_ask(store, node, &call, &answer) == 0 && answer.len == 4 &&
		memcmp(answer.data, "1\n1\n", 4) == 0;
	clickhouse_bytes_free(&sql);
	clickhouse_bytes_free(&answer);
	return can;
}

bool
clickhouse_shard_is_there(struct clickhouse_store *store, struct clickhouse_shard *shard)
{
	uint64_t now_ms = clickhouse_clock_ms();

	if (!shard->away)
		return true;
	if (now_ms - shard->away_ms < PROBE_EVERY_MS)
		return false;
	for (unsigned int i = 0; i < shard->node_count && shard->away; i++)
		shard->away = !can_take(store, shard, &shard->nodes[i]);
	shard->away_ms = now_ms;
	if (!shard->away)
		log_notice("store", "clickhouse: shard %u can take blocks again", (unsigned int)(shard - store->shards) + 1);
	return !shard->away;
}

/* ---- settling ---- */

/* The lanes as arrays, a row each. Names have no character that an array would want quoted. */
static int
move_lanes(struct clickhouse_store *store)
{
	struct clickhouse_bytes columns[7] = { { 0 } };
	const struct clickhouse_block *block = &store->block;
	int err = 0;

	for (size_t i = 0; i < block->lane_cap; i++) {
		const struct clickhouse_lane *lane = &block->lanes[i];

		if (lane->tail.next == 0)
			continue;
		clickhouse_bytes_printf(&columns[0], ",%s", lane->sensor);
		clickhouse_bytes_printf(&columns[1], ",%" PRId64, (int64_t)lane->epoch);
		clickhouse_bytes_printf(&columns[2], ",%d", (int)lane->lane);
		clickhouse_bytes_printf(&columns[3], ",%" PRIu64, lane->tail.next);
		clickhouse_bytes_printf(&columns[4], ",%" PRIu64, lane->stored);
		clickhouse_bytes_printf(&columns[5], ",%" PRIu64, lane->lost);
		clickhouse_bytes_printf(&columns[6], ",%" PRId64, lane->tail.mark);
	}
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		clickhouse_bytes_put(&columns[i], "}", 2);
		if (columns[i].failed)
			err = -ENOMEM;
		else
			columns[i].data[0] = '{';
	}
	if (err == 0)
		err = pg_run(store->tx, "UPDATE lanes SET next_seq = u.next, records = records + u.stored, lost = lanes.lost + u.lost,"
			" last_mark = u.mark, updated_s = $8 FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[],"
			" $6::bigint[], $7::bigint[]) AS u(sensor, epoch, lane, next, stored, lost, mark)"
			" WHERE lanes.sensor = u.sensor AND lanes.epoch = u.epoch AND lanes.lane = u.lane", "tttttttn", columns[0].data,
			columns[1].data, columns[2].data, columns[3].data, columns[4].data, columns[5].data, columns[6].data, block->now_s);
	if (err >= 0 && err != (int)block->lane_count)
		err = -EIO;
	/* In the order of names, so that two gateways never wait for each other. */
	if (err >= 0)
		err = pg_run(store->tx, "INSERT INTO sensors(name, first_seen_s, last_seen_s) SELECT DISTINCT name, $2::bigint, $2::bigint"
			" FROM unnest($1::text[]) AS u(name) ORDER BY name ON CONFLICT(name) DO UPDATE"
			" SET last_seen_s = greatest(sensors.last_seen_s, excluded.last_seen_s)", "tn", columns[0].data, block->now_s);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		clickhouse_bytes_free(&columns[i]);
	return err < 0 ? err : 0;
}

/* Last, since all gateways meet at this row. */
static int
fill_partition(struct clickhouse_store *store)
{
	const struct clickhouse_block *block = &store->block;
	int err = pg_run(store->tx, "UPDATE partitions SET records = records + $2, bytes = bytes + $3,"
		" ts_min_ns = least(ts_min_ns, $4), ts_max_ns = greatest(ts_max_ns, $5), arrived_s = greatest(arrived_s, $6)"
		" WHERE id = $1 AND NOT doomed", "nnnnnn", block->part, (int64_t)block->row_count, (int64_t)block->bytes,
		block->ts_min_ns, block->ts_max_ns, block->now_s);

	if (err != 1)
		return err < 0 ? err : -EIO;
	for (unsigned int i = 0; i < store->shard_count && err >= 0; i++)
		if (store->shards[i].row_count > 0)
			err = pg_run(store->tx, "INSERT INTO stock(part, shard, records) VALUES($1, $2, $3) ON CONFLICT(part, shard)"
				" DO UPDATE SET records = stock.records + excluded.records", "nnn", block->part, (int64_t)i,
				(int64_t)store->shards[i].row_count);
	return err < 0 ? err : 0;
}

static void
forget(struct clickhouse_store *store)
{
	struct clickhouse_block *block = &store->block;

	for (unsigned int i = 0; i < store->shard_count; i++) {
		store->shards[i].rows.len = 0;
		store->shards[i].rows.failed = false;
		store->shards[i].row_count = 0;
	}
	if (block->lane_count > 0)
		memset(block->lanes, 0, block->lane_cap * sizeof(*block->lanes));
	block->lane_count = 0;
	block->id = 0;
}

int
clickhouse_block_settle(struct clickhouse_store *store)
{
	int err = move_lanes(store);

	if (err == 0)
		err = fill_partition(store);
	if (err == 0) {
		err = pg_run(store->tx, "DELETE FROM blocks WHERE id = $1 AND NOT given_up", "n", store->block.id);
		err = err == 1 ? 0 : err < 0 ? err : -EIO;
	}
	if (err == 0)
		err = pg_commit(store->tx);
	if (err == 0)
		forget(store);
	return err;
}

void
clickhouse_block_give_up(struct clickhouse_store *store)
{
	pg_rollback(store->tx);
	/* When even this fails, whoever cleans finds that nobody holds its row. A block whose transaction did end well, though
	 * that was not told, is not there any more: nothing changes. */
	if (store->block.id != 0)
		(void)pg_run(store->aside, store->block.sent ? "UPDATE blocks SET given_up = true WHERE id = $1"
			: "DELETE FROM blocks WHERE id = $1", "n", store->block.id);
	forget(store);
}

/* ---- cleaning ---- */

/* The blocks of the list that some replica has. Each must answer: one that is away may have what the others have not. */
static int
find_present(struct clickhouse_store *store, const char *list, struct clickhouse_bytes *present)
{
	struct clickhouse_call call = { .timeout_ms = CLEAN_TIMEOUT_MS };
	struct clickhouse_bytes sql = { 0 };
	struct clickhouse_bytes answer = { 0 };
	int err = 0;

	clickhouse_bytes_printf(&sql, "SELECT DISTINCT block FROM records WHERE block IN (");
	clickhouse_bytes_put(&sql, list, strlen(list));
	clickhouse_bytes_put(&sql, ")", 2);
	call.sql = sql.data;
	for (unsigned int i = 0; i < store->shard_count; i++) {
		struct clickhouse_shard *shard = &store->shards[i];

		for (unsigned int n = 0; n < shard->node_count && err == 0; n++) {
			err = sql.failed ? -ENOMEM : clickhouse_node_ready(store, shard, &shard->nodes[n]);
			if (err == 0)
				err = clickhouse_ask(store, &shard->nodes[n], &call, &answer);
			for (size_t at = 0; err == 0 && at < answer.len; at++)
				clickhouse_bytes_put(present, answer.data[at] == '\n' ? "," : &answer.data[at], 1);
		}
	}
	clickhouse_bytes_put(present, "0", 2);
	clickhouse_bytes_free(&sql);
	clickhouse_bytes_free(&answer);
	return err != 0 ? err : present->failed ? -ENOMEM : 0;
}

static int
forget_absent(struct clickhouse_store *store, const char *list)
{
	struct clickhouse_bytes present = { 0 };
	struct clickhouse_bytes sql = { 0 };
	int err = find_present(store, list, &present);

	clickhouse_bytes_printf(&sql, "DELETE FROM blocks WHERE given_up AND id IN (");
	clickhouse_bytes_put(&sql, list, strlen(list));
	clickhouse_bytes_printf(&sql, ") AND id NOT IN (");
	if (err == 0)
		clickhouse_bytes_put(&sql, present.data, present.len - 1);
	clickhouse_bytes_put(&sql, ")", 2);
	if (err == 0)
		err = sql.failed ? -ENOMEM : pg_run(store->aside, sql.data, "");
	clickhouse_bytes_free(&present);
	clickhouse_bytes_free(&sql);
	return err < 0 ? err : 0;
}

int
clickhouse_blocks_clean(struct clickhouse_store *store)
{
	uint64_t now_ms = clickhouse_clock_ms();
	PGresult *rows;
	int err;

	if (store->cleaned_ms != 0 && now_ms - store->cleaned_ms < CLEAN_EVERY_MS)
		return 0;
	store->cleaned_ms = now_ms;
	/* Whoever lives holds the row of what it is writing. Of before there may be some of a clock that was ahead. */
	err = pg_run(store->aside, "UPDATE blocks SET given_up = true, at_s = least(at_s, " PG_NOW_S ") WHERE id IN (SELECT id FROM blocks"
		" WHERE NOT given_up AND at_s NOT BETWEEN " PG_NOW_S " - $1 AND " PG_NOW_S " + $2 FOR UPDATE SKIP LOCKED)", "nn",
		(int64_t)PENDING_MIN_S, (int64_t)GIVEN_UP_KEEP_S);
	if (err < 0)
		return err;
	if (err > 0)
		log_notice("store", "%d blocks of gateways that ended are given up", err);
	rows = pg_ask(store->aside, "SELECT coalesce(string_agg(id::text, ','), '') FROM (SELECT id FROM blocks WHERE given_up"
		" AND at_s < " PG_NOW_S " - $1 ORDER BY random() LIMIT $2) b", "nn", (int64_t)GIVEN_UP_KEEP_S, (int64_t)CLEAN_BLOCKS);
	if (rows == NULL)
		return pg_error(store->aside);
	err = PQgetvalue(rows, 0, 0)[0] == '\0' ? 0 : forget_absent(store, PQgetvalue(rows, 0, 0));
	PQclear(rows);
	return err;
}
