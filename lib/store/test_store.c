#include "test/test.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "lib/store/store.h"

/* ---- lines ---- */

static const struct {
	const char *line;
	const char *error;
} lines[] = {
	{ "{}", NULL },
	{ " { \"a\" : [ 1 , -2.5e3 , true , false , null , \"x\\n\\u0000\\ud83d\\ude00\" , { } , [ ] ] } ", NULL },
	{ "{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}", NULL },
	{ "", "not a JSON object" },
	{ "[]", "not a JSON object" },
	{ "42", "not a JSON object" },
	{ "{", "a key is missing" },
	{ "{\"a\"}", "a colon is missing" },
	{ "{\"a\":}", "not a JSON value" },
	{ "{\"a\":1", "a comma is missing" },
	{ "{\"a\":1,}", "a key is missing" },
	{ "{\"a\":[1,]}", "not a JSON value" },
	{ "{\"a\":[1}", "a comma is missing" },
	{ "{\"a\":1}}", "something follows the object" },
	{ "{} {}", "something follows the object" },
	{ "{\"a\":01}", "bad number" },
	{ "{\"a\":1.}", "bad number" },
	{ "{\"a\":1e}", "bad number" },
	{ "{\"a\":1e999}", "bad number" },
	{ "{\"a\":-}", "bad number" },
	{ "{\"a\":123456789012345678901}", "bad number" },
	{ "{\"a\":tru}", "not a JSON value" },
	{ "{\"a\":\"", "unfinished string" },
	{ "{\"a\":\"\t\"}", "control byte in a string" },
	{ "{\"a\":\"\\x\"}", "bad escape" },
	{ "{\"a\":\"\\u12g4\"}", "bad \\u escape" },
	{ "{\"a\":\"\\ud800\"}", "lone surrogate" },
	{ "{\"a\":\"\\udc00\"}", "lone surrogate" },
	{ "{\"a\":\"\xff\"}", "not UTF-8" },
	{ "{\"a\":\"\xc0\x80\"}", "not UTF-8" },
	{ "{\"a\":\"\xed\xa0\x80\"}", "not UTF-8" },
	{ "{\"a\":\"\xf4\x90\x80\x80\"}", "not UTF-8" },
};

static void
line_tells_objects_from_the_rest(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(lines); i++) {
		struct store_line line;
		const char *error = store_line_read(&line, lines[i].line, strlen(lines[i].line));

		if (lines[i].error == NULL)
			assert_null(error);
		else
			assert_string_equal(error == NULL ? "taken" : error, lines[i].error);
	}
}

static const char sample[] =
	"{\"timestamp\":\"2026-01-02T03:04:05.678901+0000\",\"event_type\":\"modbus\",\"src_ip\":\"10.0.0.1\","
	"\"src_port\":49152,\"dest_ip\":\"2001:db8::2\",\"dest_port\":502,\"proto\":\"TCP\",\"app_proto\":\"modbus\","
	"\"other\":{\"src_ip\":\"9.9.9.9\",\"list\":[{\"proto\":\"x\"}]},"
	"\"modbus\":{\"id\":1,\"request\":{\"function_raw\":3,\"function_code\":\"RdHoldRegs\"},"
	"\"response\":{\"function_raw\":131}},\"alert\":{\"signature_id\":1110001,\"severity\":2},"
	"\"flow\":{\"pkts_toserver\":3,\"pkts_toclient\":4,\"bytes_toserver\":300,\"bytes_toclient\":400},"
	"\"stats\":{\"uptime\":77}}";

static void
line_finds_its_columns(void **state)
{
	struct store_line line;

	assert_null(store_line_read(&line, sample, strlen(sample)));
	assert_int_equal(line.ts_ns.value, INT64_C(1767323045678901000));
	assert_int_equal(line.event_type.len, 6);
	assert_memory_equal(line.event_type.data, "modbus", 6);
	assert_memory_equal(line.proto.data, "TCP", 3);
	assert_int_equal(line.src_ip.len, 4);
	assert_memory_equal(line.src_ip.bytes, "\x0a\x00\x00\x01", 4);
	assert_int_equal(line.dest_ip.len, 16);
	assert_int_equal(line.src_port.value, 49152);
	assert_int_equal(line.dest_port.value, 502);
	assert_int_equal(line.signature_id.value, 1110001);
	assert_int_equal(line.severity.value, 2);
	assert_int_equal(line.function.value, 3);
	assert_int_equal(line.response_function.value, 3); /* the exception's mark is taken off */
	assert_int_equal(line.bytes[0].value + line.bytes[1].value, 700);
	assert_int_equal(line.packets[0].value + line.packets[1].value, 7);
	assert_int_equal(line.uptime_s.value, 77);
}

static const struct {
	const char *text;
	int64_t ns; /* -1: none */
} times[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "2000-02-29T12:00:00+00:00", INT64_C(951825600000000000) },
	{ "2026-01-02T03:04:05.5+0130", INT64_C(1767317645500000000) },
	{ "2026-01-02T03:04:05.123456789-0100", INT64_C(1767326645123456789) },
	{ "2026-01-02", -1 },
	{ "2026-13-02T03:04:05Z", -1 },
	{ "2026-01-02T03:04:05", -1 },
	{ "1960-01-02T03:04:05Z", -1 },
	{ "9999-01-02T03:04:05Z", -1 },
	{ "2026-01-02T03:04:05Zx", -1 },
};

static void
time_is_read_to_the_nanosecond(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(times); i++) {
		struct line_number out = { 0 };
		bool ok = store_time_read(&out, times[i].text, strlen(times[i].text));

		assert_int_equal(ok, times[i].ns >= 0);
		if (ok)
			assert_int_equal(out.value, times[i].ns);
	}
}

static void
line_cut_at_every_length_is_refused(void **state)
{
	for (size_t len = 0; len < strlen(sample); len++) {
		char *copy = malloc(len + 1);
		struct store_line line;

		memcpy(copy, sample, len);
		assert_non_null(store_line_read(&line, copy, len));
		free(copy);
	}
}

/* What the scanner takes, the JSON library takes too; the sanitizers watch the rest. */
static void
line_mutated_agrees_with_jansson(void **state)
{
	static const char bytes[] = "{}[]\",:\\0123456789.eE+-truefalsn \xff\xc3\x80u";
	uint32_t seed = 20260102;
	size_t len = strlen(sample);
	char *copy = malloc(len);

	for (unsigned int round = 0; round < 20000; round++) {
		struct store_line line;

		memcpy(copy, sample, len);
		for (unsigned int i = 0; i < 1 + round % 4; i++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % len] = bytes[(seed >> 24) % (sizeof(bytes) - 1)];
		}
		if (store_line_read(&line, copy, len) == NULL) {
			json_t *root = json_loadb(copy, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);

			assert_non_null(root);
			json_decref(root);
		}
	}
	free(copy);
}

static void
line_deeper_than_the_bound_is_refused(void **state)
{
	char deep[LINE_DEPTH_MAX * 5 + 8];
	struct store_line line;

	for (unsigned int depth = LINE_DEPTH_MAX - 1; depth <= LINE_DEPTH_MAX; depth++) {
		size_t len = 0;

		len += (size_t)snprintf(deep, sizeof(deep), "{\"a\":");
		for (unsigned int i = 0; i < depth; i++)
			deep[len++] = '[';
		for (unsigned int i = 0; i < depth; i++)
			deep[len++] = ']';
		deep[len++] = '}';
		assert_int_equal(store_line_read(&line, deep, len) == NULL, depth < LINE_DEPTH_MAX);
	}
}

/* ---- the store ---- */

static char path[64];

static int
make_path(void **state)
{
	snprintf(path, sizeof(path), "/tmp/millrace-test-store-%d.db", (int)getpid());
	return 0;
}

static int
remove_path(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char name[80];

	for (size_t i = 0; i < TEST_COUNT(ends); i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
	return 0;
}

static struct store *
open_store(const struct store_config *bounds, bool writer)
{
	struct store_config config = { 0 };
	struct store *store = NULL;

	if (bounds != NULL)
		config = *bounds;
	config.path = path;
	assert_int_equal(store_open(&store, 0, &config, writer), 0);
	return store;
}

static int
append(struct store *store, uint64_t first, uint32_t count, uint64_t skip_to, struct store_appended *out)
{
	struct batch_head head = { .sensor = "plant-1", .epoch = 0xfedcba9876543210, .lane = LINK_LANE_EVENT,
		.sequence = first, .count = count, .skip_to = skip_to };
	struct store_line *rows = calloc(count, sizeof(*rows));
	char(*texts)[128] = calloc(count, sizeof(*texts));
	int err;

	for (uint32_t i = 0; i < count; i++) {
		snprintf(texts[i], sizeof(texts[i]), "{\"timestamp\":\"2026-01-02T03:04:%02u.%06u+0000\","
			"\"event_type\":\"modbus\",\"src_ip\":\"10.0.0.%u\",\"n\":%llu}", (unsigned int)(first + i) % 60,
			(unsigned int)(first + i), (unsigned int)(first + i) % 4, (unsigned long long)(first + i));
		assert_null(store_line_read(&rows[i], texts[i], strlen(texts[i])));
	}
	err = store_append(store, &head, rows, out);
	free(texts);
	free(rows);
	return err;
}

static const struct {
	uint64_t first;
	uint32_t count;
	uint64_t skip_to;
	int err;
	struct store_appended out;
} steps[] = {
	{ 1, 10, 0, 0, { .next = 11, .stored = 10 } },
	{ 1, 10, 0, 0, { .next = 11, .skipped = 10 } },
	{ 5, 10, 0, 0, { .next = 15, .stored = 4, .skipped = 6 } },
	{ 16, 1, 0, -ERANGE, { .next = 15 } },
	{ 15, 1, 0, 0, { .next = 16, .stored = 1 } },
	{ 30, 5, 25, -ERANGE, { .next = 16 } },
	{ 30, 5, 30, 0, { .next = 35, .stored = 5, .lost = 14 } },
	{ 30, 5, 30, 0, { .next = 35, .skipped = 5 } },
	{ 20, 3, 0, 0, { .next = 35, .skipped = 3 } },
	{ 20, 20, 10, 0, { .next = 40, .stored = 5, .skipped = 15 } },
};

static int64_t
count_records(struct store *store)
{
	struct store_filter filter = { 0 };
	json_t *rows;
	int64_t total = 0;
	json_t *row;
	size_t i;

	assert_int_equal(store_report(store, STORE_REPORT_EVENTS, &filter, &rows), 0);
	json_array_foreach(rows, i, row)
		total += json_integer_value(json_object_get(row, "records"));
	json_decref(rows);
	return total;
}

static void
batches_are_stored_exactly_once(void **state)
{
	struct store *store = open_store(NULL, true);
	int64_t stored = 0;

	for (size_t i = 0; i < TEST_COUNT(steps); i++) {
		struct store_appended out;

		assert_int_equal(append(store, steps[i].first, steps[i].count, steps[i].skip_to, &out), steps[i].err);
		assert_int_equal(out.next, steps[i].out.next);
		assert_int_equal(out.stored, steps[i].out.stored);
		assert_int_equal(out.skipped, steps[i].out.skipped);
		assert_int_equal(out.lost, steps[i].out.lost);
		stored += (int64_t)out.stored;
		/* Every second step is closed and opened again in between. */
		assert_int_equal(store_commit(store), 0);
		if (i % 2 == 1) {
			store_close(store);
			store = open_store(NULL, true);
		}
	}
	assert_int_equal(count_records(store), stored);
	store_close(store);
}

static void
what_is_not_committed_is_not_there(void **state)
{
	struct store *store = open_store(NULL, true);
	struct batch_head head = { .sensor = "plant-1", .epoch = 0xfedcba9876543210, .lane = LINK_LANE_EVENT };
	struct store_appended out;
	uint64_t next;

	assert_int_equal(append(store, 1, 5, 0, &out), 0);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(append(store, 6, 5, 0, &out), 0);
	assert_int_equal(store_next_sequence(store, &head, &next), 0);
	assert_int_equal(next, 11);
	store_rollback(store);
	assert_int_equal(store_next_sequence(store, &head, &next), 0);
	assert_int_equal(next, 6);
	assert_int_equal(append(store, 6, 5, 0, &out), 0);
	store_close(store);
	store = open_store(NULL, true);
	assert_int_equal(count_records(store), 5);
	store_close(store);
}

struct pages {
	int64_t last_id;
	int64_t last_ts;
	unsigned int count;
	uint64_t sequences;
};

static void
note_found(void *arg, const struct store_found *found)
{
	struct pages *pages = arg;

	assert_string_equal(found->sensor, "plant-1");
	assert_true(found->epoch == 0xfedcba9876543210);
	pages->last_id = found->id;
	pages->last_ts = found->ts_ns;
	pages->count++;
	pages->sequences += found->sequence;
}

static const struct {
	const char *name, *value;
	unsigned int count;
} filters[] = {
	{ "sensor", "plant-1", 100 },
	{ "sensor", "nobody", 0 },
	{ "event_type", "modbus", 100 },
	{ "event_type", "' OR 1=1 --", 0 },
	{ "ip", "10.0.0.1", 25 },
	{ "src_ip", "10.0.0.2", 25 },
	{ "dest_ip", "10.0.0.2", 0 },
	{ "since", "2026-01-02T03:04:30Z", 41 },
	{ "until", "1767323070", 59 },
	{ "port", "502", 0 },
	{ "signature_id", "1", 0 },
};

static void
filters_and_pages_find_each_record_once(void **state)
{
	struct store *store = open_store(NULL, true);
	struct store *reader;
	struct store_appended out;

	assert_int_equal(append(store, 1, 100, 0, &out), 0);
	assert_int_equal(store_commit(store), 0);
	reader = open_store(NULL, false);
	for (size_t i = 0; i < TEST_COUNT(filters); i++) {
		struct store_filter filter = { 0 };
		struct store_page page = { .limit = 7 };
		struct pages pages = { 0 };
		int found;

		assert_int_equal(store_filter_set(&filter, filters[i].name, filters[i].value), 0);
		while ((found = store_query(reader, &filter, &page, note_found, &pages)) == 7) {
			page.continues = true;
			page.after_id = pages.last_id;
			page.after_ts_ns = pages.last_ts;
		}
		assert_in_range(found, 0, 6);
		assert_int_equal(pages.count, filters[i].count);
		if (pages.count == 100)
			assert_int_equal(pages.sequences, 5050);
	}
	store_close(reader);
	store_close(store);
}

static void
filters_of_the_wrong_kind_are_refused(void **state)
{
	struct store_filter filter = { 0 };

	assert_int_equal(store_filter_set(&filter, "colour", "red"), -ENOENT);
	assert_int_equal(store_filter_set(&filter, "port", "65536"), -EINVAL);
	assert_int_equal(store_filter_set(&filter, "port", "5x"), -EINVAL);
	assert_int_equal(store_filter_set(&filter, "ip", "10.0.0"), -EINVAL);
	assert_int_equal(store_filter_set(&filter, "since", "yesterday"), -EINVAL);
	assert_int_equal(store_filter_set(&filter, "sensor", ""), -EINVAL);
	assert_int_equal(store_filter_set(&filter, "port", "502"), 0);
	assert_int_equal(store_filter_set(&filter, "port", "502"), -EEXIST);
}

static void
reports_answer_on_an_empty_store_and_a_full_one(void **state)
{
	struct store *store = open_store(NULL, true);
	struct store_filter filter = { 0 };
	struct store_appended out;

	assert_int_equal(store_filter_set(&filter, "sensor", "plant-1"), 0);
	assert_int_equal(store_filter_set(&filter, "since", "0"), 0);
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < STORE_REPORT_COUNT; i++) {
			json_t *rows = NULL;

			assert_int_equal(store_report(store, (enum store_report)i, &filter, &rows), 0);
			assert_non_null(rows);
			json_decref(rows);
		}
		assert_int_equal(append(store, 1, 10, 0, &out), 0);
		assert_int_equal(store_commit(store), 0);
	}
	store_close(store);
}

static void
retention_deletes_the_oldest_and_counts(void **state)
{
	struct store_config config = { .records_max = 100 };
	struct store *store = open_store(&config, true);
	struct store_filter filter = { 0 };
	struct store_appended out;
	uint64_t deleted;
	uint64_t total = 0;
	json_t *report;

	assert_int_equal(append(store, 1, 6000, 0, &out), 0);
	assert_int_equal(store_commit(store), 0);
	do {
		assert_int_equal(store_expire(store, 0, &deleted), 0);
		assert_in_range(deleted, 0, STORE_EXPIRE_CHUNK);
		total += deleted;
	} while (deleted > 0);
	assert_int_equal(total, 5900);
	assert_int_equal(count_records(store), 100);
	assert_int_equal(store_report(store, STORE_REPORT_RETENTION, &filter, &report), 0);
	assert_int_equal(json_integer_value(json_object_get(report, "records")), 100);
	assert_int_equal(json_integer_value(json_object_get(report, "deleted_by_records")), 5900);
	json_decref(report);
	/* What was deleted is not stored again. */
	assert_int_equal(append(store, 1, 6000, 0, &out), 0);
	assert_int_equal(out.skipped, 6000);
	store_close(store);
	config = (struct store_config){ .age_max_s = 3600 };
	store = open_store(&config, true);
	assert_int_equal(store_expire(store, (uint64_t)time(NULL) + 60, &deleted), 0);
	assert_int_equal(deleted, 0);
	assert_int_equal(store_expire(store, (uint64_t)time(NULL) + 7200, &deleted), 0);
	assert_int_equal(deleted, 100);
	assert_int_equal(append(store, 6001, 1, 0, &out), 0);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(count_records(store), 1);
	store_close(store);
}

static void
open_survives_no_memory(void **state)
{
	struct store_config config = { .path = path };
	struct store *store = NULL;

	TEST_FAIL_EACH_ALLOC(store_open(&store, 0, &config, true), == 0, store_close(store));
	assert_int_equal(store_open(&store, 9, &config, true), -EINVAL);
	store_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_tells_objects_from_the_rest),
		cmocka_unit_test(line_finds_its_columns),
		cmocka_unit_test(time_is_read_to_the_nanosecond),
		cmocka_unit_test(line_cut_at_every_length_is_refused),
		cmocka_unit_test(line_mutated_agrees_with_jansson),
		cmocka_unit_test(line_deeper_than_the_bound_is_refused),
		cmocka_unit_test_setup_teardown(batches_are_stored_exactly_once, make_path, remove_path),
		cmocka_unit_test_setup_teardown(what_is_not_committed_is_not_there, make_path, remove_path),
		cmocka_unit_test_setup_teardown(filters_and_pages_find_each_record_once, make_path, remove_path),
		cmocka_unit_test(filters_of_the_wrong_kind_are_refused),
		cmocka_unit_test_setup_teardown(reports_answer_on_an_empty_store_and_a_full_one, make_path, remove_path),
		cmocka_unit_test_setup_teardown(retention_deletes_the_oldest_and_counts, make_path, remove_path),
		cmocka_unit_test_setup_teardown(open_survives_no_memory, make_path, remove_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
