/* What of the store clickhouse needs no server: what is refused before one is asked, and SQL from hostile filters. */
#include "test/test.h"

#include <errno.h>

#include "lib/store/clickhouse/clickhouse_group.h"
#include "lib/store/clickhouse/clickhouse_private.h"

static const struct {
	const char *shards[3]; /* up to NULL */
	uint64_t quorum;
	const char *database;
} refused[] = {
	{ { NULL }, 0, "millrace" },
	{ { "" }, 0, "millrace" },
	{ { "ftp://localhost:1" }, 0, "millrace" },
	{ { "localhost:8123" }, 0, "millrace" },
	{ { "http://a:1'" }, 0, "millrace" },
	{ { "http://a:1 http://b:1" }, 3, "millrace" },
	{ { "http://a:1 http://b:1", "http://c:1" }, 2, "millrace" },
	{ { "http://a:1" }, 0, "" },
	{ { "http://a:1" }, 0, "a; DROP TABLE x" },
	{ { "http://a:1 http://b:1 http://c:1 http://d:1 http://e:1 http://f:1 http://g:1 http://h:1 http://i:1" }, 0, "millrace" },
};

static void
wrong_configurations_are_refused_before_anybody_is_asked(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(refused); i++) {
		struct store_config config = { .cluster = { .shards = json_array(), .database = refused[i].database, .user = "u",
			.postgres = "host=/nowhere", .quorum = refused[i].quorum } };
		struct store *store = NULL;

		for (size_t s = 0; s < TEST_COUNT(refused[i].shards) && refused[i].shards[s] != NULL; s++)
			json_array_append_new(config.cluster.shards, json_string(refused[i].shards[s]));
		assert_int_equal(store_open(&store, STORE_KIND_CLICKHOUSE, &config, true), -EINVAL);
		assert_null(store);
		json_decref(config.cluster.shards);
	}
}

static const struct {
	const char *name, *value, *sql;
} filters[] = {
	{ "sensor", "plant-1", " AND sensor = 'plant-1'" },
	{ "sensor", "' OR 1=1 --", " AND sensor = '\\' OR 1=1 --'" },
	{ "app_proto", "a\\'b", " AND app_proto = 'a\\\\\\'b'" },
	{ "proto", "tcp", " AND lower(proto) = lower('tcp')" },
	{ "ip", "10.0.0.1", " AND (src_ip = unhex('0A000001') OR dest_ip = unhex('0A000001'))" },
	{ "src_ip", "2001:db8::1", " AND src_ip = unhex('20010DB8000000000000000000000001')" },
	{ "src_ip", "10.1.2.3/12", " AND (src_ip >= unhex('0A000000') AND src_ip <= unhex('0A0FFFFF') AND length(src_ip)"
		" = length(unhex('0A000000')))" },
	{ "flow_id", "9007199254740991", " AND flow_id = 9007199254740991" },
	{ "port", "502", " AND (src_port = 502 OR dest_port = 502)" },
	{ "since", "2", " AND ts_ns >= 2000000000" },
	{ "function", "3", " AND coalesce(function, response_function) = 3" },
};

static void
filters_become_sql_that_they_cannot_leave(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(filters); i++) {
		struct store_filter filter = { 0 };
		struct clickhouse_bytes sql = { 0 };

		assert_int_equal(store_filter_set(&filter, filters[i].name, filters[i].value), 0);
		clickhouse_put_clauses(&sql, &filter, 0);
		clickhouse_bytes_put(&sql, "", 1);
		assert_string_equal(sql.data, filters[i].sql);
		clickhouse_bytes_free(&sql);
	}
}

static void
a_snapshot_shows_what_is_settled_and_of_the_time(void **state)
{
	struct clickhouse_part parts[] = {
		{ .id = 9, .ts_min_ns = 200, .ts_max_ns = 300, .records = 1 },
		{ .id = 7, .ts_min_ns = 100, .ts_max_ns = 150, .records = 1 },
	};
	struct clickhouse_snapshot snapshot = { .last_block = 40, .parts = parts, .part_count = TEST_COUNT(parts) };
	struct store_filter filter = { .present = 1u << STORE_SINCE };
	struct clickhouse_bytes sql = { 0 };

	clickhouse_bytes_put(&snapshot.hidden, "38,39", 6);
	filter.value[STORE_SINCE].number = 151;
	assert_true(clickhouse_put_visible(&sql, &snapshot, &filter, 0, 2));
	clickhouse_bytes_put(&sql, "", 1);
	assert_string_equal(sql.data, "block <= 40 AND block NOT IN (38,39) AND part IN (9)");
	sql.len = 0;
	filter.value[STORE_SINCE].number = 301;
	assert_false(clickhouse_put_visible(&sql, &snapshot, &filter, 0, 2));
	clickhouse_bytes_put(&sql, "", 1);
	assert_string_equal(sql.data, "block <= 40 AND block NOT IN (38,39) AND part IN (0)");
	clickhouse_bytes_free(&sql);
	clickhouse_bytes_free(&snapshot.hidden);
}

static void
bytes_grow_and_a_failure_sticks(void **state)
{
	struct clickhouse_bytes bytes = { 0 };

	for (unsigned int i = 0; i < 10000; i++)
		clickhouse_bytes_put(&bytes, "abc", 3);
	assert_int_equal(bytes.len, 30000);
	assert_memory_equal(bytes.data + 29997, "abc", 3);
	clickhouse_bytes_put(&bytes, "", (size_t)CLICKHOUSE_ANSWER_MAX);
	assert_true(bytes.failed);
	clickhouse_bytes_put(&bytes, "d", 1);
	assert_int_equal(bytes.len, 30000);
	clickhouse_bytes_free(&bytes);
}

static char *
write_groups(const struct clickhouse_groups *groups)
{
	json_t *rows = json_array();
	char *text;

	for (size_t i = 0; i < groups->count; i++) {
		json_t *row = json_array();

		for (unsigned int c = 0; c < groups->column_count; c++)
			json_array_append_new(row, clickhouse_cell_write(&groups->columns[c], &groups->rows[i], groups->rows[i].cells[c]));
		json_array_append_new(rows, row);
	}
	text = json_dumps(rows, JSON_COMPACT);
	json_decref(rows);
	return text;
}

static void
groups_of_two_shards_become_one(void **state)
{
	static const struct clickhouse_column columns[] = { { "type", AS_TEXT, KEY }, { "code", AS_INTEGER, KEY }, { "n", AS_INTEGER, SUM },
		{ "bytes", AS_WHOLE, SUM }, { "first", AS_INTEGER, LEAST }, { "last", AS_INTEGER, MOST } };
	static const int order[CLICKHOUSE_ORDER_MAX] = { -3, 1 };
	struct clickhouse_groups groups = { .columns = columns, .column_count = TEST_COUNT(columns), .order = order };
	char *text;

	assert_int_equal(clickhouse_groups_read(&groups, "a\\tb\t1\t5\t2.5e18\t7\t8\nmodbus\t\\N\t9223372036854775807\t1\t\\N\t1\n"), 0);
	assert_int_equal(clickhouse_groups_read(&groups, "modbus\t\\N\t1\t1\t3\t\\N\na\\tb\t1\t6\t9e18\t4\t9\nz\t2\t11\t0\t1\t1\n"), 0);
	assert_int_equal(clickhouse_groups_join(&groups), 0);
	text = write_groups(&groups);
	assert_string_equal(text, "[[\"modbus\",null,9223372036854775807,2,3,1],[\"a\\tb\",1,11,1.15e19,4,9],[\"z\",2,11,0,1,1]]");
	free(text);
	clickhouse_groups_cut(&groups, 1);
	assert_int_equal(groups.count, 1);
	assert_int_equal(clickhouse_groups_read(&groups, "a\t1\n"), -EBADMSG);
	clickhouse_groups_free(&groups);
	assert_int_equal(groups.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_configurations_are_refused_before_anybody_is_asked),
		cmocka_unit_test(filters_become_sql_that_they_cannot_leave),
		cmocka_unit_test(a_snapshot_shows_what_is_settled_and_of_the_time),
		cmocka_unit_test(bytes_grow_and_a_failure_sticks),
		cmocka_unit_test(groups_of_two_shards_become_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
