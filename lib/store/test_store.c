#include "test/test.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/store/cell.h"
#include "lib/store/store.h"

/* ---- the store ---- */

static char path[64];
static char backup_path[64];
static const char *day = "2026-01-02"; /* that records say they are of */
static uint64_t begins; /* what batches say of their epoch */

static int
make_path(void **state)
{
	snprintf(path, sizeof(path), "/tmp/millrace-test-store-%d.db", (int)getpid());
	snprintf(backup_path, sizeof(backup_path), "/tmp/millrace-test-store-%d.copy", (int)getpid());
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
		snprintf(name, sizeof(name), "%s%s", backup_path, ends[i]);
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

/* Ids go on from what the writer remembers: two of them would store over each other's records. */
static void
there_is_one_writer(void **state)
{
	const struct store_config config = { .path = path };
	struct store *store = open_store(NULL, true), *other = NULL;
	struct stat status;

	assert_int_equal(store_open(&other, 0, &config, true), -EBUSY);
	store_close(open_store(NULL, false));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07007, 0);
	store_close(store);
	store_close(open_store(NULL, true));
}

static int
append(struct store *store, uint64_t first, uint32_t count, uint64_t skip_to, struct store_appended *out)
{
	struct batch_head head = { .sensor = "plant-1", .epoch = 0xfedcba9876543210, .lane = LINK_LANE_EVENT,
		.sequence = first, .count = count, .skip_to = skip_to, .begins = begins };
	struct store_line *rows = calloc(count, sizeof(*rows));
	struct store_body body = { 0 };
	char *text = malloc(count * 128);
	struct batch_encoder *encoder;
	struct buf packed;
	int err;

	for (uint32_t i = 0; i < count; i++) {
		int len = snprintf(text + body.lines_len, 128, "{\"timestamp\":\"%sT03:04:%02u.%06u+0000\","
			"\"event_type\":\"modbus\",\"src_ip\":\"10.0.0.%u\",\"n\":%llu}\n", day, (unsigned int)(first + i) % 60,
			(unsigned int)(first + i), (unsigned int)(first + i) % 4, (unsigned long long)(first + i));

		assert_null(store_line_read(&rows[i], text + body.lines_len, (size_t)len - 1));
		body.lines_len += (size_t)len;
	}
	body.lines = text;
	/* Every other batch comes compressed, as sensors send them: it is kept as it is. */
	assert_int_equal(buf_create(&packed, batch_body_bound(body.lines_len)), 0);
	assert_int_equal(batch_encoder_create(&encoder, 3), 0);
	assert_int_equal(batch_encode(encoder, &head, text, body.lines_len, &packed), 0);
	if (first % 2 == 0)
		head.encoding = BATCH_IDENTITY;
	body.data = first % 2 == 0 ? text : packed.data;
	body.len = first % 2 == 0 ? body.lines_len : packed.len;
	err = store_append(store, &head, &body, rows, out);
	batch_encoder_destroy(encoder);
	buf_destroy(&packed);
	free(text);
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
	{ 20, 3, 0, -EALREADY, { .next = 35 } },
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

/* Under one number stands one record: what comes from a copy of the sensor's spool is told from what comes again. */
static void
other_records_under_the_same_numbers_are_told(void **state)
{
	struct store *store = open_store(NULL, true);
	struct store_appended out;

	assert_int_equal(append(store, 1, 10, 0, &out), 0);
	day = "2026-01-03";
	assert_int_equal(append(store, 10, 5, 0, &out), -ESTALE);
	assert_int_equal(out.next, 11);
	assert_int_equal(store_commit(store), 0);
	store_close(store);
	store = open_store(NULL, true);
	assert_int_equal(append(store, 1, 10, 0, &out), -ESTALE);
	assert_int_equal(append(store, 8, 2, 0, &out), -EALREADY);
	assert_int_equal(out.next, 11);
	/* Nothing tells of these: they go on from the end. */
	assert_int_equal(append(store, 11, 5, 0, &out), 0);
	day = "2026-01-02";
	assert_int_equal(append(store, 11, 9, 0, &out), -ESTALE);
	assert_int_equal(append(store, 20, 1, 20, &out), 0);
	assert_int_equal(append(store, 19, 2, 19, &out), 0);
	assert_int_equal(out.skipped, 2);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(count_records(store), 16);
	store_close(store);
}

/* What came before an epoch's first number was another's, and is not missing in it. */
static void
an_epoch_begins_where_it_says(void **state)
{
	struct store *store = open_store(NULL, true);
	struct store_appended out;

	begins = 101;
	assert_int_equal(append(store, 120, 5, 0, &out), -ERANGE);
	assert_int_equal(out.next, 101);
	assert_int_equal(append(store, 120, 5, 111, &out), -ERANGE);
	assert_int_equal(append(store, 120, 5, 120, &out), 0);
	assert_int_equal(out.lost, 19);
	assert_int_equal(out.stored, 5);
	/* Once something is stored, it is that which counts. */
	begins = 200;
	assert_int_equal(append(store, 200, 1, 200, &out), 0);
	assert_int_equal(out.lost, 75);
	begins = 0;
	assert_int_equal(store_commit(store), 0);
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
	bool by_time;
};

static void
note_found(void *arg, const struct store_found *found)
{
	struct pages *pages = arg;
	char n[32];

	assert_string_equal(found->sensor, "plant-1");
	assert_true(found->epoch == 0xfedcba9876543210);
	snprintf(n, sizeof(n), "\"n\":%llu}", (unsigned long long)found->sequence);
	assert_memory_equal(found->line + found->line_len - strlen(n), n, strlen(n));
	assert_true(pages->count == 0 || found->ts_ns <= pages->last_ts || !pages->by_time);
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

/* All pages of one filter. */
static void
read_pages(struct store *reader, struct store_filter *filter, enum store_order order, struct pages *pages)
{
	struct store_page page = { .limit = 7, .order = order };

	*pages = (struct pages){ .by_time = order == STORE_NEWEST && (filter->present & ~1u << STORE_SENSOR) != 0 };
	do {
		int found = store_query(reader, filter, &page, note_found, pages);

		assert_in_range(found, page.more ? 7 : 0, 7);
		page.continues = true;
		page.after_id = pages->last_id;
		page.after_ts_ns = pages->last_ts;
	} while (page.more);
}

/* One partition, then many: the answers are the same. */
static void
filters_and_pages_find_each_record_once(void **state)
{
	static const uint64_t sizes[] = { 0, 10 };

	for (size_t round = 0; round < TEST_COUNT(sizes); round++) {
		const struct store_config config = { .partition_records_max = sizes[round] };
		struct store *store = open_store(&config, true);
		struct store *reader;
		struct store_appended out;

		for (uint64_t first = 1; first <= 100; first += 5)
			assert_int_equal(append(store, first, 5, 0, &out), 0);
		assert_int_equal(store_commit(store), 0);
		reader = open_store(NULL, false);
		for (size_t i = 0; i < TEST_COUNT(filters); i++) {
			for (unsigned int order = STORE_NEWEST; order <= STORE_ARRIVAL; order++) {
				struct store_filter filter = { 0 };
				struct pages pages;

				assert_int_equal(store_filter_set(&filter, filters[i].name, filters[i].value), 0);
				read_pages(reader, &filter, (enum store_order)order, &pages);
				assert_int_equal(pages.count, filters[i].count);
				if (pages.count == 100)
					assert_int_equal(pages.sequences, 5050);
			}
		}
		store_close(reader);
		store_close(store);
		remove_path(NULL);
	}
}

static void
a_page_does_not_move_when_records_arrive(void **state)
{
	struct store *store = open_store(NULL, true);
	struct store_filter filter = { 0 };
	struct store_page page = { .limit = 7, .bytes_max = 300 };
	struct pages pages = { .by_time = true };
	struct store_appended out;
	uint64_t next = 101;

	assert_int_equal(store_filter_set(&filter, "event_type", "modbus"), 0);
	assert_int_equal(append(store, 1, 100, 0, &out), 0);
	assert_int_equal(store_commit(store), 0);
	do {
		/* Two lines are within 300 bytes, a third is not. */
		assert_in_range(store_query(store, &filter, &page, note_found, &pages), 1, 3);
		page.continues = true;
		page.after_id = pages.last_id;
		page.after_ts_ns = pages.last_ts;
		/* Seconds 41 to 45, which are above most of what is still to come. */
		if (next < 105)
			assert_int_equal(append(store, next++, 1, 0, &out), 0);
		assert_int_equal(store_commit(store), 0);
	} while (page.more);
	assert_in_range(pages.count, 100, 104);
	store_close(store);
}

static void
a_backup_is_a_store(void **state)
{
	struct store *store = open_store(NULL, true);
	struct store_config config = { .path = backup_path };
	struct store_appended out;
	struct store *copy;
	struct store *reader;

	assert_int_equal(append(store, 1, 1000, 0, &out), 0);
	assert_int_equal(store_commit(store), 0);
	/* Not committed, so not in the copy. */
	assert_int_equal(append(store, 1001, 10, 0, &out), 0);
	reader = open_store(NULL, false);
	assert_int_equal(store_backup(reader, backup_path), 0);
	assert_int_equal(store_backup(reader, backup_path), -EEXIST);
	assert_int_equal(store_backup(reader, "/nowhere/copy"), -ENOENT);
	assert_int_equal(count_records(reader), 1000);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_open(&copy, 0, &config, true), 0);
	assert_int_equal(count_records(copy), 1000);
	assert_int_equal(append(copy, 1001, 5, 0, &out), 0);
	assert_int_equal(out.stored, 5);
	store_close(copy);
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
is_written(json_t *value, const char *expected)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	assert_string_equal(text, expected);
	free(text);
	json_decref(value);
}

static void
values_are_written(void **state)
{
	is_written(store_cell_time(1767323045, 6000), "\"2026-01-02T03:04:05.000006+0000\"");
	is_written(store_cell_ip("\x0a\0\0\1", 4), "\"10.0.0.1\"");
	is_written(store_cell_ip("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16), "\"2001:db8::1\"");
	is_written(store_cell_ip("\x0a\0\0\1\2", 5), "null");
	is_written(store_cell_lane(LINK_LANE_EVENT), "\"event\"");
	is_written(store_cell_lane(LINK_LANE_COUNT), "null");
	is_written(store_cell_lane(-1), "null");
	is_written(store_cell_hex(0xa1), "\"00000000000000a1\"");
	is_written(store_cell_whole(3), "3");
	is_written(store_cell_whole(1e19), "1e19");
	is_written(store_cell_line("{\"a\":1}x", 7), "{\"a\": 1}");
	is_written(store_cell_line("{", 1), "null");
	is_written(store_cell_line(NULL, 0), "null");
}

/* Until nothing is left to do. @return what was deleted */
static uint64_t
expire(struct store *store, uint64_t now_s)
{
	uint64_t deleted;
	uint64_t total = 0;
	int more;

	for (unsigned int round = 0; (more = store_expire(store, now_s, &deleted)) > 0; round++) {
		assert_in_range(round, 0, 1000);
		total += deleted;
	}
	assert_int_equal(more, 0);
	return total;
}

static void
retention_deletes_the_oldest_and_counts(void **state)
{
	struct store_config config = { .records_max = 100 };
	struct store *store = open_store(&config, true);
	struct store_filter filter = { 0 };
	struct store_appended out;
	uint64_t total;
	json_t *report;

	assert_int_equal(append(store, 1, 6000, 0, &out), 0);
	assert_int_equal(store_commit(store), 0);
	total = expire(store, 0);
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
	assert_int_equal(expire(store, (uint64_t)time(NULL) + 60), 0);
	assert_int_equal(expire(store, (uint64_t)time(NULL) + 7200), 100);
	assert_int_equal(count_records(store), 0);
	assert_int_equal(append(store, 6001, 1, 0, &out), 0);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(count_records(store), 1);
	store_close(store);
}

/* Records that came while the clock was years behind, as after a boot without its battery, are no older than they say. */
static void
retention_by_a_clock_that_was_behind(void **state)
{
	const struct store_config config = { .age_max_s = 3600 };
	struct store *store = open_store(&config, true);
	const uint64_t day_s = 4070908800; /* 2099-01-01 */
	struct store_appended out;

	day = "2099-01-01";
	assert_int_equal(append(store, 1, 10, 0, &out), 0);
	day = "2026-01-02";
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(expire(store, day_s + 4 * 3600), 0);
	assert_int_equal(expire(store, day_s + 5 * 3600), 10);
	store_close(store);
}

/* Whole partitions go, the newest too when it is too old, and ids and sequences go on. */
static void
retention_gives_up_partitions(void **state)
{
	struct store_config config = { .records_max = 20000, .partition_records_max = 1000, .age_max_s = 3600 };
	struct store *store = open_store(&config, true);
	struct store_filter filter = { 0 };
	struct store_page page = { .limit = 1 };
	struct pages pages = { 0 };
	struct store_appended out;

	for (uint64_t first = 1; first <= 30000; first += 500)
		assert_int_equal(append(store, first, 500, 0, &out), 0);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(expire(store, 0), 10000);
	assert_int_equal(count_records(store), 20000);
	assert_int_equal(expire(store, (uint64_t)time(NULL) + 7200), 20000);
	assert_int_equal(count_records(store), 0);
	store_close(store);
	store = open_store(&config, true);
	assert_int_equal(append(store, 29990, 20, 0, &out), 0);
	assert_int_equal(out.skipped, 11);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_query(store, &filter, &page, note_found, &pages), 1);
	assert_int_equal(pages.last_id, 30009);
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
		cmocka_unit_test_setup_teardown(there_is_one_writer, make_path, remove_path),
		cmocka_unit_test_setup_teardown(batches_are_stored_exactly_once, make_path, remove_path),
		cmocka_unit_test_setup_teardown(other_records_under_the_same_numbers_are_told, make_path, remove_path),
		cmocka_unit_test_setup_teardown(an_epoch_begins_where_it_says, make_path, remove_path),
		cmocka_unit_test_setup_teardown(what_is_not_committed_is_not_there, make_path, remove_path),
		cmocka_unit_test_setup_teardown(filters_and_pages_find_each_record_once, make_path, remove_path),
		cmocka_unit_test_setup_teardown(a_page_does_not_move_when_records_arrive, make_path, remove_path),
		cmocka_unit_test_setup_teardown(a_backup_is_a_store, make_path, remove_path),
		cmocka_unit_test(filters_of_the_wrong_kind_are_refused),
		cmocka_unit_test(values_are_written),
		cmocka_unit_test_setup_teardown(reports_answer_on_an_empty_store_and_a_full_one, make_path, remove_path),
		cmocka_unit_test_setup_teardown(retention_deletes_the_oldest_and_counts, make_path, remove_path),
		cmocka_unit_test_setup_teardown(retention_by_a_clock_that_was_behind, make_path, remove_path),
		cmocka_unit_test_setup_teardown(retention_gives_up_partitions, make_path, remove_path),
		cmocka_unit_test_setup_teardown(open_survives_no_memory, make_path, remove_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
