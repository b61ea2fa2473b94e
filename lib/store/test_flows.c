/* Flows in the embedded store: counted once whatever the number of their records, found by their number; a database of before. */
#include "test/test.h"

#include <errno.h>
#include <sqlite3.h>
#include <unistd.h>

#include "lib/store/store.h"

enum { LINE_MAX = 400 };

static char path[64];

static int
make_path(void **state)
{
	snprintf(path, sizeof(path), "/tmp/millrace-test-flows-%d.db", (int)getpid());
	return 0;
}

static int
remove_path(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-lock" };
	char name[80];

	for (size_t i = 0; i < TEST_COUNT(ends); i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
	return 0;
}

static struct store *
open_store(void)
{
	const struct store_config config = { .path = path };
	struct store *store = NULL;

	assert_int_equal(store_open(&store, STORE_KIND_SQLITE, &config, true), 0);
	return store;
}

static int
append_batch(struct store *store, struct batch_head *head, const char *const *lines, struct store_appended *out)
{
	struct store_line *rows = calloc(head->count, sizeof(*rows));
	char *text = malloc((size_t)head->count * LINE_MAX);
	struct store_body body = { .data = text, .lines = text };
	int err;

	for (uint32_t i = 0; i < head->count; i++) {
		size_t len = strlen(lines[i]);

		memcpy(text + body.lines_len, lines[i], len);
		assert_null(store_line_read(&rows[i], text + body.lines_len, len));
		text[body.lines_len + len] = '\n';
		body.lines_len += len + 1;
	}
	body.len = body.lines_len;
	err = store_append(store, head, &body, rows, out);
	free(text);
	free(rows);
	return err;
}

static void
append_lines(struct store *store, const char *const *lines, uint32_t count)
{
	static uint64_t epoch; /* of each batch its own */
	struct batch_head head = { .sensor = "plant-1", .epoch = ++epoch, .lane = LINK_LANE_FLOW, .sequence = 1, .count = count };
	struct store_appended out;

	assert_int_equal(append_batch(store, &head, lines, &out), 0);
	assert_int_equal(store_commit(store), 0);
}

#define RECORD(minute, type, id, source, rest) "{\"timestamp\":\"2026-01-02T03:" minute ":00.000000+0000\",\"flow_id\":" id \
	",\"event_type\":\"" type "\",\"src_ip\":\"" source "\",\"dest_ip\":\"fd00::2\",\"app_proto\":\"modbus\"" rest "}"
#define FLOW(minute, id, source, part) RECORD(minute, "flow", id, source, \
	",\"flow\":{\"pkts_toserver\":1,\"pkts_toclient\":2,\"bytes_toserver\":100,\"bytes_toclient\":200" part "}")

/* The flow 7 is told in three records, 8 in one; of 9 only the second came. */
static const char *const records[] = {
	FLOW("10", "7", "fd00::1", ""),
	RECORD("11", "alert", "7", "fd00::1", ",\"alert\":{\"signature_id\":5}"),
	FLOW("20", "8", "fd01::1", ""),
	FLOW("40", "7", "fd00::1", ",\"part\":2"),
	FLOW("41", "9", "10.0.0.9", ",\"part\":2"),
	FLOW("50", "7", "fd00::1", ",\"part\":3"),
	RECORD("51", "modbus", "9", "10.0.0.9", ""),
};

static int64_t
number_of(struct store *store, enum store_report report, const struct store_filter *filter, const char *ip, const char *key)
{
	json_t *answer, *row, *found;
	int64_t number;
	size_t i;

	assert_int_equal(store_report(store, report, filter, &answer), 0);
	found = answer;
	if (json_is_array(answer))
		json_array_foreach(answer, i, row)
			if (ip == NULL || strcmp(json_string_value(json_object_get(row, "ip")), ip) == 0)
				found = row;
	number = json_integer_value(json_object_get(found, key));
	json_decref(answer);
	return number;
}

static void
a_flow_of_several_records_is_one(void **state)
{
	struct store *store = open_store();
	struct store_filter filter = { 0 };

	append_lines(store, records, TEST_COUNT(records));
	assert_int_equal(number_of(store, STORE_REPORT_FLOWS, &filter, NULL, "flows"), 2);
	assert_int_equal(number_of(store, STORE_REPORT_FLOWS, &filter, NULL, "packets"), 15);
	assert_int_equal(number_of(store, STORE_REPORT_APPS, &filter, NULL, "flows"), 2);
	assert_int_equal(number_of(store, STORE_REPORT_APPS, &filter, NULL, "bytes"), 1500);
	assert_int_equal(number_of(store, STORE_REPORT_TALKERS, &filter, "fd00::1", "flows"), 1);
	assert_int_equal(number_of(store, STORE_REPORT_TALKERS, &filter, "fd00::1", "bytes"), 900);
	assert_int_equal(number_of(store, STORE_REPORT_TALKERS, &filter, "10.0.0.9", "flows"), 0);
	assert_int_equal(number_of(store, STORE_REPORT_TALKERS, &filter, "10.0.0.9", "packets"), 3);
	/* It counts where it began. */
	assert_int_equal(store_filter_set(&filter, "since", "2026-01-02T03:30:00Z"), 0);
	assert_int_equal(number_of(store, STORE_REPORT_FLOWS, &filter, NULL, "flows"), 0);
	assert_int_equal(number_of(store, STORE_REPORT_FLOWS, &filter, NULL, "packets"), 9);
	store_close(store);
}

static void
count(void *arg, const struct store_found *found)
{
	(*(unsigned int *)arg)++;
}

static unsigned int
found_by(struct store *store, const char *name, const char *value, const char *type)
{
	struct store_page page = { .limit = 100 };
	struct store_filter filter = { 0 };
	unsigned int found = 0;

	assert_int_equal(store_filter_set(&filter, name, value), 0);
	if (type != NULL)
		assert_int_equal(store_filter_set(&filter, "event_type", type), 0);
	assert_true(store_query(store, &filter, &page, count, &found) >= 0);
	return found;
}

static const struct {
	const char *name, *value, *type;
	unsigned int count;
} questions[] = {
	{ "flow_id", "7", NULL, 4 },
	{ "flow_id", "7", "flow", 3 },
	{ "flow_id", "9", NULL, 2 },
	{ "flow_id", "1", NULL, 0 },
	{ "ip", "fd00::/16", NULL, 7 },
	{ "src_ip", "fd00::/16", NULL, 4 },
	{ "src_ip", "fd00::/15", NULL, 5 },
	{ "src_ip", "fd00::/15", "flow", 4 },
	{ "src_ip", "::/0", NULL, 5 },
	{ "src_ip", "0.0.0.0/0", NULL, 2 },
	{ "ip", "10.0.0.255/24", NULL, 2 },
	{ "ip", "10.0.0.9/32", "modbus", 1 },
	{ "ip", "10.0.0.8/32", NULL, 0 },
	/* The same bytes first, of another length. */
	{ "src_ip", "253.0.0.0/8", NULL, 0 },
};

static void
flows_and_networks_are_found(void **state)
{
	struct store *store = open_store();

	append_lines(store, records, TEST_COUNT(records));
	for (size_t i = 0; i < TEST_COUNT(questions); i++)
		assert_int_equal(found_by(store, questions[i].name, questions[i].value, questions[i].type), questions[i].count);
	store_close(store);
}

struct all {
	unsigned int count;
	int64_t last_id, last_ts;
};

static void
note(void *arg, const struct store_found *found)
{
	struct all *all = arg;

	assert_true(all->count == 0 || found->ts_ns < all->last_ts || (found->ts_ns == all->last_ts && found->id < all->last_id));
	all->count++;
	all->last_id = found->id;
	all->last_ts = found->ts_ns;
}

static unsigned int
found_on_pages(struct store *store, const char *name, const char *value)
{
	struct store_page page = { .limit = 1000 };
	struct store_filter filter = { 0 };
	struct all all = { 0 };

	assert_int_equal(store_filter_set(&filter, name, value), 0);
	do {
		assert_true(store_query(store, &filter, &page, note, &all) >= 0);
		page.continues = true;
		page.after_id = all.last_id;
		page.after_ts_ns = all.last_ts;
	} while (page.more);
	return all.count;
}

/* More spans than are put together: its records are looked at one after the other. */
static void
a_network_of_very_many_is_found(void **state)
{
	enum { BATCHES = 11, OF_BATCH = 1000 };
	struct store *store = open_store();
	static char texts[OF_BATCH][LINE_MAX];
	const char *lines[OF_BATCH];

	for (unsigned int batch = 0; batch < BATCHES; batch++) {
		for (unsigned int i = 0; i < OF_BATCH; i++) {
			snprintf(texts[i], LINE_MAX, "{\"timestamp\":\"2026-01-02T03:%02u:%02u.000000+0000\",\"event_type\":\"arp\","
				"\"src_ip\":\"10.1.%u.%u\",\"dest_ip\":\"10.%u.%u.%u\"}", batch, i % 60, (batch * OF_BATCH + i) / 256,
				(batch * OF_BATCH + i) % 256, 2 + i % 2, (batch * OF_BATCH + i) / 256, (batch * OF_BATCH + i) % 256);
			lines[i] = texts[i];
		}
		append_lines(store, lines, OF_BATCH);
	}
	assert_int_equal(found_on_pages(store, "ip", "10.0.0.0/8"), BATCHES * OF_BATCH);
	assert_int_equal(found_on_pages(store, "ip", "10.2.0.0/16"), BATCHES * OF_BATCH / 2);
	assert_int_equal(found_on_pages(store, "src_ip", "10.1.0.0/18"), BATCHES * OF_BATCH);
	assert_int_equal(found_on_pages(store, "dest_ip", "10.3.5.0/24"), 128);
	store_close(store);
}

static void
networks_that_are_none_are_refused(void **state)
{
	static const char *const wrong[] = { "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "/8", "10.0.0/8",
		"10.0.0.0/8/8", "10.0.0.0/ 8" };
	struct store_filter filter = { 0 };

	for (size_t i = 0; i < TEST_COUNT(wrong); i++)
		assert_int_equal(store_filter_set(&filter, "ip", wrong[i]), -EINVAL);
	assert_int_equal(store_filter_set(&filter, "flow_id", "1000000000000000000"), -EINVAL);
	assert_int_equal(store_filter_set(&filter, "flow_id", "999999999999999999"), 0);
}

/* ---- a database of version 3 ---- */

#define LANES_OF_3(mark) \
	"CREATE TABLE sensors(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE," \
	" first_seen_s INTEGER NOT NULL, last_seen_s INTEGER NOT NULL);" \
	"CREATE TABLE lanes(id INTEGER PRIMARY KEY, sensor_id INTEGER NOT NULL REFERENCES sensors(id)," \
	" epoch INTEGER NOT NULL, lane INTEGER NOT NULL, next_seq INTEGER NOT NULL, records INTEGER NOT NULL," \
	" lost INTEGER NOT NULL, updated_s INTEGER NOT NULL" mark ", UNIQUE(sensor_id, epoch, lane));" \
	"CREATE TABLE gaps(id INTEGER PRIMARY KEY, lane_id INTEGER NOT NULL REFERENCES lanes(id)," \
	" first INTEGER NOT NULL, last INTEGER NOT NULL, at_s INTEGER NOT NULL);" \
	"CREATE TABLE runs(lane_id INTEGER NOT NULL REFERENCES lanes(id), run INTEGER NOT NULL," \
	" name TEXT NOT NULL, uptime_s INTEGER NOT NULL, received INTEGER NOT NULL, ts_ns INTEGER NOT NULL," \
	" line TEXT NOT NULL, PRIMARY KEY(lane_id, run));" \
	"CREATE TABLE totals(name TEXT PRIMARY KEY, value INTEGER NOT NULL);" \
	"CREATE TABLE partitions(id INTEGER PRIMARY KEY, day INTEGER NOT NULL, first_id INTEGER NOT NULL," \
	" next_id INTEGER NOT NULL, ts_min_ns INTEGER NOT NULL, ts_max_ns INTEGER NOT NULL, arrived_s INTEGER NOT NULL," \
	" bytes INTEGER NOT NULL, next_block INTEGER NOT NULL, doomed INTEGER NOT NULL);"

#define PARTITION_OF_3(n) \
	"CREATE TABLE blocks_" n "(id INTEGER PRIMARY KEY, lines_len INTEGER NOT NULL, body BLOB NOT NULL);" \
	"CREATE TABLE records_" n "(id INTEGER PRIMARY KEY, lane_id INTEGER NOT NULL, seq INTEGER NOT NULL," \
	" ts_ns INTEGER NOT NULL, event_type TEXT NOT NULL, proto TEXT, app_proto TEXT, src_ip BLOB, src_port INTEGER," \
	" dest_ip BLOB, dest_port INTEGER, signature_id INTEGER, severity INTEGER, function INTEGER," \
	" response_function INTEGER, packets INTEGER, bytes INTEGER, block INTEGER NOT NULL, at INTEGER NOT NULL," \
	" len INTEGER NOT NULL);" \
	"CREATE INDEX flow_" n " ON records_" n "(ts_ns) WHERE event_type = 'flow';" \
	"CREATE INDEX signature_" n " ON records_" n "(signature_id, ts_ns, severity, lane_id) WHERE signature_id IS NOT NULL;" \
	"CREATE TABLE spans_" n "(kind INTEGER NOT NULL, key BLOB NOT NULL, ts_max_ns INTEGER NOT NULL, first_id INTEGER NOT NULL," \
	" ts_min_ns INTEGER NOT NULL, last_id INTEGER NOT NULL, PRIMARY KEY(kind, key, ts_max_ns, first_id)) WITHOUT ROWID;" \
	"CREATE TABLE tallies_" n "(first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, lane_id INTEGER NOT NULL," \
	" ts_min_ns INTEGER NOT NULL, ts_max_ns INTEGER NOT NULL, event_type TEXT NOT NULL, function INTEGER," \
	" response_function INTEGER, records INTEGER NOT NULL, sample INTEGER NOT NULL);"

/* A flow record each in two partitions, the third is being taken apart. The body is the line "{}" and its end. */
#define CONTENT_OF_3 \
	"INSERT INTO partitions VALUES(0, 0, 1, 1, 0, 0, 0, 0, 1, 0), (1, 20000, 1, 2, 5000, 5000, 1, 99, 2, 0)," \
	" (2, 20001, 2, 3, 6000, 6000, 2, 99, 3, 0), (3, 20002, 3, 3, 7000, 7000, 3, 99, 3, 1);" \
	"INSERT INTO sensors VALUES(1, 'old', 1, 2); INSERT INTO lanes(id, sensor_id, epoch, lane, next_seq, records, lost, updated_s)" \
	" VALUES(1, 1, 77, 3, 3, 2, 0, 2);" \
	"INSERT INTO blocks_1 VALUES(1, 3, x'28b52ffd20031900007b7d0a'); INSERT INTO blocks_2 VALUES(2, 3, x'28b52ffd20031900007b7d0a');" \
	"INSERT INTO records_1 VALUES(1, 1, 1, 5000, 'flow', 'TCP', 'modbus', x'0a000001', 1, x'0a000002', 502, NULL, NULL, NULL, NULL," \
	" 10, 1000, 1, 0, 2);" \
	"INSERT INTO records_2 VALUES(2, 1, 2, 6000, 'flow', 'TCP', 'modbus', x'0a000001', 1, x'0a000002', 502, NULL, NULL, NULL, NULL," \
	" 10, 1000, 2, 0, 2);" \
	"INSERT INTO spans_1 VALUES(0, x'', 5000, 1, 5000, 1), (1, x'0a000001', 5000, 1, 5000, 1);" \
	"INSERT INTO spans_2 VALUES(0, x'', 6000, 2, 6000, 2), (1, x'0a000001', 6000, 2, 6000, 2);"

static void
make_database(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Its lane has no mark of what is stored last, and takes one with the next record. */
static void
lanes_go_on(struct store *store)
{
	static const char *const lines[] = { "{}", "{\"n\":3}" }, *const others[] = { "{}", "{\"n\":4}" };
	struct batch_head head = { .sensor = "old", .epoch = 77, .lane = LINK_LANE_FLOW, .sequence = 2, .count = 2 };
	struct store_appended out;

	assert_int_equal(append_batch(store, &head, lines, &out), 0);
	assert_int_equal(out.skipped, 1);
	assert_int_equal(out.stored, 1);
	assert_int_equal(append_batch(store, &head, others, &out), -ESTALE);
	assert_int_equal(store_commit(store), 0);
}

static void
a_database_of_before_is_taken_over(void **state)
{
	static const char *const olds[] = {
		LANES_OF_3("") PARTITION_OF_3("0") PARTITION_OF_3("1") PARTITION_OF_3("2") CONTENT_OF_3 "PRAGMA user_version = 3",
		LANES_OF_3(", last_mark INTEGER NOT NULL DEFAULT 0") PARTITION_OF_3("0") PARTITION_OF_3("1") PARTITION_OF_3("2")
			CONTENT_OF_3 "PRAGMA user_version = 3",
	};

	for (size_t i = 0; i < TEST_COUNT(olds); i++) {
		struct store_filter none = { 0 };
		struct store *store;

		make_database(olds[i]);
		/* Twice: it is another one from the first time on. */
		store_close(open_store());
		store = open_store();
		assert_int_equal(number_of(store, STORE_REPORT_FLOWS, &none, NULL, "flows"), 2);
		assert_int_equal(found_by(store, "ip", "10.0.0.0/8", NULL), 2);
		assert_int_equal(found_by(store, "flow_id", "7", NULL), 0);
		lanes_go_on(store);
		append_lines(store, records, TEST_COUNT(records));
		assert_int_equal(number_of(store, STORE_REPORT_FLOWS, &none, NULL, "flows"), 4);
		assert_int_equal(found_by(store, "flow_id", "7", NULL), 4);
		store_close(store);
		remove_path(NULL);
	}
}

/* A part is missing, so that it cannot be made to its end: nothing of it is kept. */
static void
a_database_is_taken_over_as_a_whole(void **state)
{
	const struct store_config config = { .path = path };
	struct store *store = NULL;

	make_database(LANES_OF_3("") PARTITION_OF_3("0") PARTITION_OF_3("1") PARTITION_OF_3("2") CONTENT_OF_3 "DROP TABLE spans_2;"
		"PRAGMA user_version = 3");
	assert_int_not_equal(store_open(&store, STORE_KIND_SQLITE, &config, true), 0);
	make_database("ALTER TABLE records_1 ADD COLUMN flow_id; ALTER TABLE lanes ADD COLUMN last_mark");
}

static void
other_versions_are_refused(void **state)
{
	const struct store_config config = { .path = path };
	struct store *store = NULL;

	make_database("PRAGMA user_version = 5");
	assert_int_equal(store_open(&store, STORE_KIND_SQLITE, &config, true), -EPROTO);
	make_database("PRAGMA user_version = 2");
	assert_int_equal(store_open(&store, STORE_KIND_SQLITE, &config, true), -EPROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_flow_of_several_records_is_one, make_path, remove_path),
		cmocka_unit_test_setup_teardown(flows_and_networks_are_found, make_path, remove_path),
		cmocka_unit_test_setup_teardown(a_network_of_very_many_is_found, make_path, remove_path),
		cmocka_unit_test(networks_that_are_none_are_refused),
		cmocka_unit_test_setup_teardown(a_database_of_before_is_taken_over, make_path, remove_path),
		cmocka_unit_test_setup_teardown(a_database_is_taken_over_as_a_whole, make_path, remove_path),
		cmocka_unit_test_setup_teardown(other_versions_are_refused, make_path, remove_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
