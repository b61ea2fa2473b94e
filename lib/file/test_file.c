/* Files: size, state and sums; what is given up when there is no room; the table. */
#include "lib/file/file.h"
#include "test/test.h"

static const struct file_config plain = { .hashed_max = 2 };
static struct slab *slab;
static struct file_tracker *tracker;

static int
setup(void **state)
{
	(void)state;
	assert_int_equal(slab_create(&slab, 1 << 20), 0);
	assert_int_equal(file_tracker_create(&tracker, &plain, slab), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	assert_int_equal(slab_used(slab), 0);
	file_tracker_destroy(tracker);
	slab_destroy(slab);
	return 0;
}

static uint64_t
counted(enum file_counter counter)
{
	return counter_get(&file_tracker_counters(tracker).values[counter]);
}

static struct file *
begin(const char *name, unsigned int wants)
{
	return file_begin(tracker, (const uint8_t *)name, (uint32_t)strlen(name), wants);
}

static void
give(struct file *file, const char *bytes)
{
	file_bytes(tracker, file, (const uint8_t *)bytes, strlen(bytes));
}

static const char *
json_of(const struct file *file)
{
	static char text[4096];
	_Alignas(8) uint8_t room[FILE_RECORD_LEN_MAX];
	struct buf out = { .data = text, .cap = sizeof(text) - 1 };
	struct record_builder builder;
	struct record_writer *writer;

	record_builder_init(&builder, room, sizeof(room));
	file_record_fill(file, &builder);
	assert_int_equal(record_writer_create(&writer, &fileinfo_table), 0);
	record_write_json(writer, &out, builder.base, builder.len);
	record_writer_destroy(writer);
	text[out.len] = '\0';
	return text;
}

/* RFC 1321 A.5, FIPS 180-4 (the samples of SHA-1 and SHA-256): "abc". The context is used twice. */
static void
test_sums(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		struct file *file = begin("a.txt", FILE_WANT_EVENT | 7);

		give(file, "a");
		give(file, "bc");
		file_end(tracker, file, true);
		assert_string_equal(json_of(file), "{\"filename\":\"a.txt\",\"gaps\":false,\"state\":\"CLOSED\","
			"\"md5\":\"900150983cd24fb0d6963f7d28e17f72\",\"sha1\":\"a9993e364706816aba3e25717850c26c9cd0d89d\","
			"\"sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\","
			"\"stored\":false,\"size\":3,\"tx_id\":0}");
		file_destroy(tracker, file);
	}
}

static void
test_truncated(void **state)
{
	struct file *file = begin("", FILE_WANT_EVENT | 1);

	(void)state;
	give(file, "abc");
	file_end(tracker, file, false);
	give(file, "behind the end");
	assert_string_equal(json_of(file), "{\"gaps\":false,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":3,\"tx_id\":0}");
	file_destroy(tracker, file);
	file = begin("x", FILE_WANT_RULES | 1);
	file_gap(tracker, file, 6);
	give(file, "abcd");
	file_end(tracker, file, true);
	assert_string_equal(json_of(file), "{\"filename\":\"x\",\"gaps\":true,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":10,\"tx_id\":0}");
	file_destroy(tracker, file);
	assert_int_equal(counted(FILE_COUNT_FILES), 2);
	assert_int_equal(counted(FILE_COUNT_TRUNCATED), 2);
}

static void
test_bounds(void **state)
{
	static char name[FILE_NAME_LEN_MAX + 8];
	struct file *files[3], *all[20000];
	unsigned int count = 0;

	(void)state;
	assert_null(begin("nobody asks", 0));
	for (unsigned int i = 0; i < 3; i++)
		files[i] = begin("a", FILE_WANT_EVENT | 1);
	assert_int_equal(files[2]->hashes, 0);
	assert_int_equal(counted(FILE_COUNT_HASHES_SHED), 1);
	for (unsigned int i = 0; i < 3; i++)
		file_destroy(tracker, files[i]);
	memset(name, 'x', sizeof(name) - 1);
	memcpy(name + sizeof(name) - 5, ".exe", 4);
	files[0] = begin(name, FILE_WANT_EVENT);
	assert_int_equal(files[0]->name_len, FILE_NAME_LEN_MAX);
	assert_memory_equal(files[0]->name + FILE_NAME_LEN_MAX - 4, ".exe", 4);
	assert_int_equal(counted(FILE_COUNT_NAMES_CUT), 1);
	file_destroy(tracker, files[0]);
	while (count < TEST_COUNT(all) && (all[count] = begin("a", FILE_WANT_EVENT)) != NULL)
		count++;
	assert_true(count < TEST_COUNT(all));
	assert_int_equal(counted(FILE_COUNT_SHED), 1);
	while (count > 0)
		file_destroy(tracker, all[--count]);
}

static void
test_news(void **state)
{
	struct file *file = begin("a", FILE_WANT_RULES);

	(void)state;
	assert_int_equal(file_take_news(file), FILE_NEWS_NAME);
	assert_int_equal(file_take_news(file), 0);
	file_end(tracker, file, true);
	assert_int_equal(file_take_news(file), FILE_NEWS_END);
	assert_int_equal(file_take_news(file), 0);
	file_destroy(tracker, file);
}

/* What nobody follows may be handed to every function. */
static void
test_null(void **state)
{
	(void)state;
	file_bytes(tracker, NULL, (const uint8_t *)"a", 1);
	file_gap(tracker, NULL, 1);
	file_end(tracker, NULL, true);
	file_destroy(tracker, NULL);
}

static void
test_create(void **state)
{
	struct file_tracker *made;

	(void)state;
	assert_null(record_table_check(&fileinfo_table));
	TEST_FAIL_EACH_ALLOC(file_tracker_create(&made, &plain, slab), == 0, file_tracker_destroy(made));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_news, setup, teardown),
		cmocka_unit_test_setup_teardown(test_null, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
