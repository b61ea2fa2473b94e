/*
 * What a question may see. PostgreSQL says which blocks count and how many records each partition and shard must have; a
 * replica is asked only when it has them. ClickHouse's own setting for that would not do: after a partition was dropped,
 * 18.16 takes every replica for one that lags.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/store/clickhouse/clickhouse_private.h"
#include "lib/store/walk.h"

enum {
	TRIES_MAX = 60,
	TRY_PAUSE_MS = 25,
	QUESTION_MS = 600000, /* without a bound */
	LOCK_WAIT_MS = 2000,
};

/* Kinds of the rows of one statement, so that all is of one moment. */
enum { ROW_LAST, ROW_BLOCK, ROW_PART, ROW_STOCK };

static const char statement[] =
	"SELECT 0, last_value, is_called::int::bigint, 0::bigint, 0::bigint FROM block_ids"
	" UNION ALL SELECT 1, id, given_up::int::bigint, 0, 0 FROM blocks"
	" UNION ALL SELECT 2, id, ts_min_ns, ts_max_ns, records FROM partitions WHERE NOT doomed AND records > 0"
	" UNION ALL SELECT 3, s.part, s.shard, s.records, 0 FROM stock s JOIN partitions p ON p.id = s.part WHERE NOT p.doomed";

void
clickhouse_start_deadline(struct clickhouse_store *store)
{
	store->deadline_ms = store->query_max_ms == 0 ? 0 : clickhouse_clock_ms() + store->query_max_ms;
}

static uint64_t
left_ms(const struct clickhouse_store *store)
{
	uint64_t now_ms = clickhouse_clock_ms();

	if (store->deadline_ms == 0)
		return QUESTION_MS;
	return now_ms >= store->deadline_ms ? 0 : store->deadline_ms - now_ms;
}

/* ---- from PostgreSQL ---- */

static int
newest_first(const void *a, const void *b)
{
	const struct clickhouse_part *x = a, *y = b;

	return x->id < y->id ? 1 : x->id > y->id ? -1 : 0;
}

static void
read_row(struct clickhouse_snapshot *out, const PGresult *rows, int row)
{
	int64_t a = pg_number(rows, row, 1), b = pg_number(rows, row, 2), c = pg_number(rows, row, 3);

	switch (pg_number(rows, row, 0)) {
	case ROW_LAST:
		out->last_block = b != 0 ? a : 0;
		break;
	case ROW_BLOCK:
		clickhouse_bytes_printf(&out->hidden, "%s%" PRId64, out->hidden.len == 0 ? "" : ",", a);
		if (b == 0 && a <= out->horizon)
			out->horizon = a - 1;
		break;
	case ROW_PART:
		out->parts[out->part_count++] = (struct clickhouse_part){ .id = a, .ts_min_ns = b, .ts_max_ns = c,
			.records = pg_number(rows, row, 4) };
		break;
	default:
		out->stock[out->stock_count++] = (struct clickhouse_stock){ .part = a, .shard = b, .records = c };
		break;
	}
}

static int
read_rows(struct clickhouse_snapshot *out, const PGresult *rows)
{
	int count = PQntuples(rows);

	out->parts = calloc((size_t)count, sizeof(*out->parts));
	out->stock = calloc((size_t)count, sizeof(*out->stock));
	if (out->parts == NULL || out->stock == NULL)
		return -ENOMEM;
	out->horizon = INT64_MAX;
	for (int i = 0; i < count; i++)
		read_row(out, rows, i);
	if (out->horizon > out->last_block)
		out->horizon = out->last_block;
	clickhouse_bytes_put(&out->hidden, "", 1);
	qsort(out->parts, out->part_count, sizeof(*out->parts), newest_first);
	return out->hidden.failed ? -ENOMEM : 0;
}

/* Those who number a block hold the lock shared until its row is there for all to see. Where one takes long over it (a
 * standby that is away) nobody waits: what it has not numbered it has not sent. */
static int
take(struct clickhouse_store *store, struct clickhouse_snapshot *out)
{
	PGresult *rows;
	char lock[64];
	int err = pg_begin(store->aside);

	if (err != 0)
		return err;
	snprintf(lock, sizeof(lock), "SET LOCAL lock_timeout = %d", LOCK_WAIT_MS);
	err = pg_script(store->aside, lock);
	if (err == 0 && pg_run(store->aside, "SELECT pg_advisory_xact_lock($1)", "n", (int64_t)CLICKHOUSE_LOCK_BLOCKS) < 0) {
		pg_rollback(store->aside);
		err = pg_error(store->aside) == -EAGAIN ? pg_begin(store->aside) : pg_error(store->aside);
	}
	rows = err == 0 ? pg_ask(store->aside, statement, "") : NULL;
	if (rows == NULL)
		err = err != 0 ? err : pg_error(store->aside);
	else
		err = read_rows(out, rows);
	PQclear(rows);
	pg_rollback(store->aside);
	return err;
}

/* ---- what a question may see, in SQL ---- */

static bool
is_of_time(const struct clickhouse_part *part, const struct store_filter *filter)
{
	if (filter == NULL)
		return true;
	if ((filter->present >> STORE_SINCE & 1) != 0 && part->ts_max_ns < filter->value[STORE_SINCE].number)
		return false;
	return (filter->present >> STORE_UNTIL & 1) == 0 || part->ts_min_ns < filter->value[STORE_UNTIL].number;
}

bool
clickhouse_put_visible(struct clickhouse_bytes *sql, const struct clickhouse_snapshot *snapshot,
	const struct store_filter *filter, size_t from, size_t to)
{
	bool any = false;

	clickhouse_bytes_printf(sql, "block <= %" PRId64, snapshot->last_block);
	if (snapshot->hidden.len > 1) {
		clickhouse_bytes_printf(sql, " AND block NOT IN (");
		clickhouse_bytes_put(sql, snapshot->hidden.data, snapshot->hidden.len - 1);
		clickhouse_bytes_printf(sql, ")");
	}
	clickhouse_bytes_printf(sql, " AND part IN (");
	for (size_t i = from; i < to && i < snapshot->part_count; i++) {
		if (!is_of_time(&snapshot->parts[i], filter))
			continue;
		clickhouse_bytes_printf(sql, "%s%" PRId64, any ? "," : "", snapshot->parts[i].id);
		any = true;
	}
	clickhouse_bytes_printf(sql, any ? ")" : "0)");
	return any;
}

static void
put_text(struct clickhouse_bytes *sql, const char *text)
{
	clickhouse_bytes_put(sql, "'", 1);
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			clickhouse_bytes_put(sql, "\\", 1);
		clickhouse_bytes_put(sql, text, 1);
	}
	clickhouse_bytes_put(sql, "'", 1);
}

/* Indexed by key; '?' is the value. */
static const char *const clauses[STORE_FILTER_COUNT] = {
	[STORE_SENSOR] = "sensor = ?",
	[STORE_SINCE] = "ts_ns >= ?",
	[STORE_UNTIL] = "ts_ns < ?",
	[STORE_SRC_IP] = "src_ip = ?",
	[STORE_DEST_IP] = "dest_ip = ?",
	[STORE_IP] = "(src_ip = ? OR dest_ip = ?)",
	[STORE_PORT] = "(src_port = ? OR dest_port = ?)",
	[STORE_PROTO] = "lower(proto) = lower(?)",
	[STORE_APP_PROTO] = "app_proto = ?",
	[STORE_EVENT_TYPE] = "event_type = ?",
	[STORE_SIGNATURE_ID] = "signature_id = ?",
	[STORE_SEVERITY] = "severity = ?",
	[STORE_FUNCTION] = "coalesce(function, response_function) = ?",
	[STORE_FLOW_ID] = "flow_id = ?",
};

/* '^' is the network's last. An address of the other kind may stand between two. */
static const char *const network_clauses[STORE_FILTER_COUNT] = {
	[STORE_SRC_IP] = "(src_ip >= ? AND src_ip <= ^ AND length(src_ip) = length(?))",
	[STORE_DEST_IP] = "(dest_ip >= ? AND dest_ip <= ^ AND length(dest_ip) = length(?))",
	[STORE_IP] = "((src_ip >= ? AND src_ip <= ^ AND length(src_ip) = length(?))"
		" OR (dest_ip >= ? AND dest_ip <= ^ AND length(dest_ip) = length(?)))",
};

static void
put_ip(struct clickhouse_bytes *sql, const struct line_ip *ip)
{
	clickhouse_bytes_printf(sql, "unhex('");
	for (uint32_t i = 0; i < ip->len; i++)
		clickhouse_bytes_printf(sql, "%02X", ip->bytes[i]);
	clickhouse_bytes_printf(sql, "')");
}

static void
put_value(struct clickhouse_bytes *sql, const struct store_filter *filter, unsigned int key)
{
	if (store_filters[key].type == STORE_IS_TEXT) {
		put_text(sql, filter->value[key].text);
	} else if (store_filters[key].type == STORE_IS_IP) {
		put_ip(sql, &filter->value[key].ip);
	} else {
		clickhouse_bytes_printf(sql, "%" PRId64, filter->value[key].number);
	}
}

void
clickhouse_put_clauses(struct clickhouse_bytes *sql, const struct store_filter *filter, uint32_t skip)
{
	for (unsigned int key = 0; key < STORE_FILTER_COUNT; key++) {
		bool network = store_filter_has_network(filter, key);

		if (((filter->present & ~skip) >> key & 1) == 0)
			continue;
		clickhouse_bytes_printf(sql, " AND ");
		for (const char *text = network ? network_clauses[key] : clauses[key]; *text != '\0'; text++) {
			if (*text == '?')
				put_value(sql, filter, key);
			else if (*text == '^')
				put_ip(sql, &filter->value[key].last_ip);
			else
				clickhouse_bytes_put(sql, text, 1);
		}
	}
}

/* ---- which replica has it ---- */

static int64_t
seen_of(const struct clickhouse_node *node, int64_t part)
{
	for (size_t i = 0; i < node->seen_count; i++)
		if (node->seen[i].part == part)
			return node->seen[i].records;
	return 0;
}

/* Keeps what the snapshot wants, all of which the node has. */
static int
note_seen(struct clickhouse_node *node, const struct clickhouse_snapshot *snapshot, int64_t shard)
{
	struct clickhouse_seen *seen = realloc(node->seen, (snapshot->stock_count + 1) * sizeof(*seen));

	if (seen == NULL)
		return -ENOMEM;
	node->seen = seen;
	node->seen_count = 0;
	for (size_t i = 0; i < snapshot->stock_count; i++)
		if (snapshot->stock[i].shard == shard)
			seen[node->seen_count++] = (struct clickhouse_seen){ snapshot->stock[i].part, snapshot->stock[i].records };
	return 0;
}

/* Asks for the counts of partitions that have grown since, and for how long the node is up. */
static int
count_parts(struct clickhouse_store *store, struct clickhouse_node *node, const struct clickhouse_snapshot *snapshot,
	int64_t shard, struct clickhouse_bytes *answer)
{
	struct clickhouse_call call = { .timeout_ms = left_ms(store) };
	struct clickhouse_bytes sql = { 0 };
	bool any = false;
	int err;

	clickhouse_bytes_printf(&sql, "SELECT toUInt32(0) AS part, toUInt64(uptime()) AS n UNION ALL"
		" SELECT part, count() AS n FROM records WHERE part IN (0");
	for (size_t i = 0; i < snapshot->stock_count; i++) {
		const struct clickhouse_stock *stock = &snapshot->stock[i];

		if (stock->shard == shard && seen_of(node, stock->part) != stock->records)
			clickhouse_bytes_printf(&sql, ",%" PRId64, stock->part);
	}
	clickhouse_bytes_printf(&sql, ") AND ");
	any = clickhouse_put_visible(&sql, snapshot, NULL, 0, snapshot->part_count);
	clickhouse_bytes_printf(&sql, " GROUP BY part");
	clickhouse_bytes_put(&sql, "", 1);
	call.sql = any ? sql.data : "SELECT 0, toUInt64(uptime())";
	err = call.timeout_ms == 0 ? -ETIMEDOUT : sql.failed ? -ENOMEM : clickhouse_ask(store, node, &call, answer);
	clickhouse_bytes_free(&sql);
	return err;
}

/* The number beside a part in the answer. */
static int64_t
answer_of(const char *text, int64_t part)
{
	for (const char *line = text; line != NULL && *line != '\0';) {
		char *end;

		if (strtoll(line, &end, 10) == part)
			return strtoll(end, NULL, 10);
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return 0;
}

static bool
counts_match(const struct clickhouse_node *node, const struct clickhouse_snapshot *snapshot, int64_t shard, const char *text)
{
	for (size_t i = 0; i < snapshot->stock_count; i++) {
		const struct clickhouse_stock *stock = &snapshot->stock[i];

		if (stock->shard == shard && seen_of(node, stock->part) != stock->records &&
		    answer_of(text, stock->part) != stock->records)
			return false;
	}
	return true;
}

/* @return 1: it has all, 0: not yet, -errno: it cannot be asked */
static int
has_all(struct clickhouse_store *store, struct clickhouse_shard *shard, struct clickhouse_node *node,
	const struct clickhouse_snapshot *snapshot)
{
	int64_t number = shard - store->shards;
	struct clickhouse_bytes answer = { 0 };
	int result = clickhouse_node_ready(store, shard, node);

	if (result == 0)
		result = count_parts(store, node, snapshot, number, &answer);
	if (result == 0) {
		uint64_t uptime_s = (uint64_t)answer_of(answer.data, 0);

		/* One that began anew may have lost what was not on its disk: it is counted from the beginning. */
		if (uptime_s < node->uptime_s)
			node->seen_count = 0;
		else
			result = counts_match(node, snapshot, number, answer.data) ? 1 : 0;
		node->uptime_s = uptime_s;
	}
	if (result == 1 && note_seen(node, snapshot, number) != 0)
		result = -ENOMEM;
	clickhouse_bytes_free(&answer);
	return result;
}

static int
find_node(struct clickhouse_store *store, struct clickhouse_shard *shard, struct clickhouse_snapshot *snapshot)
{
	for (unsigned int i = 0; i < shard->node_count; i++) {
		struct clickhouse_node *node = &shard->nodes[shard->current];
		int result = has_all(store, shard, node, snapshot);

		if (result == 1) {
			snapshot->nodes[shard - store->shards] = node;
			return 0;
		}
		if (result == -ETIMEDOUT || result == -ENOMEM)
			return result;
		shard->current = (shard->current + 1) % shard->node_count;
	}
	return -EAGAIN;
}

int
clickhouse_snapshot_take(struct clickhouse_store *store, struct clickhouse_snapshot *out)
{
	static const struct timespec pause = { .tv_nsec = TRY_PAUSE_MS * 1000000 };
	int err = -EAGAIN;

	/* A partition that is dropped meanwhile makes a snapshot wrong: each try has its own. */
	for (unsigned int i = 0; i < TRIES_MAX && err == -EAGAIN; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		clickhouse_snapshot_free(out);
		err = take(store, out);
		for (unsigned int s = 0; s < store->shard_count && err == 0; s++)
			err = find_node(store, &store->shards[s], out);
	}
	if (err == -EAGAIN) {
		log_warning("store", "clickhouse: no replica of a shard has all that was committed");
		err = -EIO;
	}
	return err;
}

void
clickhouse_snapshot_free(struct clickhouse_snapshot *snapshot)
{
	clickhouse_bytes_free(&snapshot->hidden);
	free(snapshot->parts);
	free(snapshot->stock);
	*snapshot = (struct clickhouse_snapshot){ 0 };
}

int
clickhouse_snapshot_ask(struct clickhouse_store *store, struct clickhouse_snapshot *snapshot, unsigned int shard,
	const char *sql, struct clickhouse_bytes *answer)
{
	uint64_t ms = left_ms(store);
	char settings[48];
	const struct clickhouse_call call = { .sql = sql, .settings = settings, .timeout_ms = ms };

	if (ms == 0)
		return -ETIMEDOUT;
	snprintf(settings, sizeof(settings), "&max_execution_time=%" PRIu64, (ms + 999) / 1000);
	return clickhouse_ask(store, snapshot->nodes[shard], &call, answer);
}
