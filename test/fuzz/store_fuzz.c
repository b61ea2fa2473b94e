/*
 * A ClickHouse that says anything: rows, lines and groups as it answers them. What lib/store/clickhouse/clickhouse_snapshot.c does
 * (which node is asked, for what is to be seen) is done here instead, so that no server is. PostgreSQL's answers are read by libpq and
 * Kafka's by librdkafka: of them there is nothing of our own to fuzz.
 *
 * Answers are pieces of the input, a length before each; when it is used up they are empty.
 */
#include <errno.h>

#include "lib/store/clickhouse/clickhouse_private.h"
#include "test/fuzz/fuzz_input.h"

enum { SHARDS = 2, PARTS = 3, LIMIT_MAX = 40 };

static struct cursor answers;

void
clickhouse_start_deadline(struct clickhouse_store *store)
{
	store->deadline_ms = UINT64_MAX;
}

int
clickhouse_snapshot_take(struct clickhouse_store *store, struct clickhouse_snapshot *out)
{
	*out = (struct clickhouse_snapshot){ .last_block = 9, .horizon = 9, .part_count = PARTS };
	out->parts = calloc(PARTS, sizeof(*out->parts));
	FUZZ_MUST(out->parts != NULL);
	for (unsigned int i = 0; i < PARTS; i++)
		out->parts[i] = (struct clickhouse_part){ .id = PARTS - i, .ts_max_ns = INT64_MAX, .records = 1 };
	return 0;
}

void
clickhouse_snapshot_free(struct clickhouse_snapshot *snapshot)
{
	free(snapshot->parts);
	*snapshot = (struct clickhouse_snapshot){ 0 };
}

/* In a buffer of its size, with the 0 that clickhouse_ask() puts behind. */
int
clickhouse_snapshot_ask(struct clickhouse_store *store, struct clickhouse_snapshot *snapshot, unsigned int shard,
	const char *sql, struct clickhouse_bytes *answer)
{
	struct cursor text = fuzz_take(&answers, cursor_be16(&answers));
	size_t len = cursor_left(&text);

	FUZZ_MUST(shard < SHARDS && strlen(sql) > 0);
	clickhouse_bytes_free(answer);
	clickhouse_bytes_put(answer, text.pos, len);
	clickhouse_bytes_put(answer, "", 1);
	FUZZ_MUST(!answer->failed);
	answer->len = len;
	return 0;
}

bool
clickhouse_put_visible(struct clickhouse_bytes *sql, const struct clickhouse_snapshot *snapshot,
	const struct store_filter *filter, size_t from, size_t to)
{
	clickhouse_bytes_put(sql, "1", 1);
	return true;
}

void
clickhouse_put_clauses(struct clickhouse_bytes *sql, const struct store_filter *filter, uint32_t skip)
{
}

/* What is handed on is used without another look. */
static void
check_found(void *arg, const struct store_found *found)
{
	uint32_t *count = arg;

	FUZZ_MUST(found->lane < LINK_LANE_COUNT && link_lane_name(found->lane) != NULL);
	FUZZ_MUST(memchr(found->sensor, '\0', STORE_TEXT_MAX + 1) != NULL);
	FUZZ_MUST(strnlen(found->line, found->line_len) <= found->line_len);
	++*count;
}

static void
query(struct clickhouse_store *store, uint8_t how)
{
	struct store_filter filter = { .present = how & 1 ? 1u << STORE_EVENT_TYPE : 0 };
	struct store_page page = { .limit = 1 + how % LIMIT_MAX, .order = how & 2 ? STORE_ARRIVAL : STORE_NEWEST, .bytes_max = how & 4 ? 100 : 0,
		.continues = how & 8, .after_id = 7 };
	uint32_t count = 0;
	int rc = clickhouse_store_query(&store->base, &filter, &page, check_found, &count);

	FUZZ_MUST(rc < 0 ? count == 0 : count == (uint32_t)rc && count <= page.limit);
}

/* Those that ClickHouse answers and not PostgreSQL. */
static void
report(struct clickhouse_store *store, uint8_t which)
{
	static const enum store_report reports[] = { STORE_REPORT_EVENTS, STORE_REPORT_PROTOCOLS, STORE_REPORT_APPS, STORE_REPORT_SIGNATURES,
		STORE_REPORT_TALKERS, STORE_REPORT_TREND, STORE_REPORT_FLOWS };
	const struct store_filter filter = { .limit = which >> 4 };
	json_t *out = NULL;
	int rc = clickhouse_store_report(&store->base, reports[which % (sizeof(reports) / sizeof(reports[0]))], &filter, &out);
	char *text = rc == 0 ? json_dumps(out, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	/* It goes into an answer as it is. */
	FUZZ_MUST((rc == 0) == (text != NULL));
	free(text);
	json_decref(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct clickhouse_store store = { .shard_count = SHARDS };
	uint8_t how;

	answers = cursor_of(data, len);
	how = cursor_u8(&answers);
	if (how & 0x80)
		report(&store, how & 0x7f);
	else
		query(&store, how);
	return 0;
}
