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
	"\"text\":\"longer than the thirty-two bytes that are looked at together, and than twice as many: \xc3\xa4\","
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

static void
text_agrees(const struct line_text *text, json_t *root, const char *key, bool escapes)
{
	const char *value = json_string_value(json_object_get(root, key));

	if (text->data == NULL) {
		assert_true(value == NULL || strlen(value) > LINE_TEXT_MAX || escapes);
		return;
	}
	assert_non_null(value);
	assert_int_equal(text->len, strlen(value));
	assert_memory_equal(text->data, value, text->len);
}

static void
number_agrees(const struct line_number *number, json_t *root, const char *object, const char *key)
{
	json_t *value = json_object_get(object == NULL ? root : json_object_get(root, object), key);

	/* Whole numbers are columns; 12.0 and 1e2 are none. */
	if (number->present)
		assert_true(json_is_number(value) && json_number_value(value) == (double)number->value);
}

/* What the scanner takes the JSON library takes too, and the other way round, and both find the same; the sanitizers watch
 * the rest. Only numbers have bounds here that the library has not. */
static void
line_mutated_agrees_with_jansson(void **state)
{
	static const char bytes[] = "{}[]\",:\\0123456789.eE+-truefalsn \xff\xc3\x80u";
	uint32_t seed = 20260102;
	size_t len = strlen(sample);
	char *copy = malloc(len);
	unsigned int taken = 0;

	for (unsigned int round = 0; round < 20000; round++) {
		struct store_line line;
		const char *why;
		json_t *root;
		bool escapes;

		memcpy(copy, sample, len);
		for (unsigned int i = 0; i < 1 + round % 4; i++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % len] = bytes[(seed >> 24) % (sizeof(bytes) - 1)];
		}
		why = store_line_read(&line, copy, len);
		root = json_loadb(copy, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
		assert_true((why == NULL) == (root != NULL) || (why != NULL && strcmp(why, "bad number") == 0));
		escapes = memchr(copy, '\\', len) != NULL;
		if (why == NULL) {
			taken++;
			text_agrees(&line.event_type, root, "event_type", escapes);
			text_agrees(&line.proto, root, "proto", escapes);
			text_agrees(&line.app_proto, root, "app_proto", escapes);
			number_agrees(&line.src_port, root, NULL, "src_port");
			number_agrees(&line.dest_port, root, NULL, "dest_port");
			number_agrees(&line.signature_id, root, "alert", "signature_id");
			number_agrees(&line.bytes[1], root, "flow", "bytes_toclient");
		}
		json_decref(root);
	}
	assert_in_range(taken, 1000, 19000);
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
static char backup_path[64];

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
	static const char *const ends[] = { "", "-wal", "-shm" };
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

static int
append(struct store *store, uint64_t first, uint32_t count, uint64_t skip_to, struct store_appended *out)
{
	struct batch_head head = { .sensor = "plant-1", .epoch = 0xfedcba9876543210, .lane = LINK_LANE_EVENT,
		.sequence = first, .count = count, .skip_to = skip_to };
	struct store_line *rows = calloc(count, sizeof(*rows));
	struct store_body body = { 0 };
	char *text = malloc(count * 128);
	struct batch_encoder *encoder;
	struct buf packed;
	int err;

	for (uint32_t i = 0; i < count; i++) {
		int len = snprintf(text + body.lines_len, 128, "{\"timestamp\":\"2026-01-02T03:04:%02u.%06u+0000\","
			"\"event_type\":\"modbus\",\"src_ip\":\"10.0.0.%u\",\"n\":%llu}\n", (unsigned int)(first + i) % 60,
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
	assert_int_equal(store_backup(reader, "/nowhere/copy"), -EIO);
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
		cmocka_unit_test(line_tells_objects_from_the_rest),
		cmocka_unit_test(line_finds_its_columns),
		cmocka_unit_test(time_is_read_to_the_nanosecond),
		cmocka_unit_test(line_cut_at_every_length_is_refused),
		cmocka_unit_test(line_mutated_agrees_with_jansson),
		cmocka_unit_test(line_deeper_than_the_bound_is_refused),
		cmocka_unit_test_setup_teardown(batches_are_stored_exactly_once, make_path, remove_path),
		cmocka_unit_test_setup_teardown(what_is_not_committed_is_not_there, make_path, remove_path),
		cmocka_unit_test_setup_teardown(filters_and_pages_find_each_record_once, make_path, remove_path),
		cmocka_unit_test_setup_teardown(a_page_does_not_move_when_records_arrive, make_path, remove_path),
		cmocka_unit_test_setup_teardown(a_backup_is_a_store, make_path, remove_path),
		cmocka_unit_test(filters_of_the_wrong_kind_are_refused),
		cmocka_unit_test_setup_teardown(reports_answer_on_an_empty_store_and_a_full_one, make_path, remove_path),
		cmocka_unit_test_setup_teardown(retention_deletes_the_oldest_and_counts, make_path, remove_path),
		cmocka_unit_test_setup_teardown(retention_gives_up_partitions, make_path, remove_path),
		cmocka_unit_test_setup_teardown(open_survives_no_memory, make_path, remove_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
