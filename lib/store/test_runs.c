/* Several runs as one: sums, and what is no record of a run. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/store/runs.h"
#include "test/test.h"

static json_t *
fold(const char *const runs[], unsigned int count)
{
	char *text = store_runs_fold(runs, count);
	json_t *root = json_loads(text, 0, NULL);

	assert_non_null(root);
	assert_null(strchr(text, '\n'));
	free(text);
	return root;
}

static void
test_sums(void **state)
{
	static const char *const runs[] = {
		"{\"timestamp\":\"2026-01-02T00:00:10.000000+0000\",\"event_type\":\"stats\",\"stats\":{\"uptime\":10,\"run\":\"b\","
			"\"capture\":{\"received\":5,\"processed\":4,\"dropped\":{\"imissed\":1}}}}",
		"{\"timestamp\":\"2026-01-01T00:00:00.500000+0000\",\"event_type\":\"stats\",\"stats\":{\"uptime\":60,\"run\":\"a\","
			"\"capture\":{\"received\":9223372036854775807,\"bytes\":-3,\"dropped\":{\"imissed\":2}}}}",
	};
	json_t *root = fold(runs, TEST_COUNT(runs)), *again;
	json_t *stats = json_object_get(root, "stats"), *capture = json_object_get(stats, "capture");
	const char *twice[2];
	char *text = json_dumps(root, JSON_COMPACT);

	assert_string_equal(json_string_value(json_object_get(root, "timestamp")), "2026-01-02T00:00:10.000000+0000");
	assert_string_equal(json_string_value(json_object_get(stats, "run")), STORE_RUNS_NAME);
	assert_int_equal(json_integer_value(json_object_get(stats, "uptime")), 86400 + 10 + 60);
	assert_int_equal(json_integer_value(json_object_get(capture, "received")), INT64_MAX);
	assert_int_equal(json_integer_value(json_object_get(capture, "processed")), 4);
	assert_int_equal(json_integer_value(json_object_get(capture, "bytes")), 0);
	assert_int_equal(json_integer_value(json_object_get(stats, "capture.dropped.imissed")), 3);
	/* One that stands for several is itself one of several later. */
	twice[0] = runs[0];
	twice[1] = text;
	again = fold(twice, 2);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(again, "stats"), "capture.dropped.imissed")), 4);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(again, "stats"), "uptime")), 86400 + 10 + 60);
	json_decref(again);
	free(text);
	json_decref(root);
}

static void
test_what_is_none(void **state)
{
	static const char *const runs[] = { "", "[]", "{\"stats\":7}", "{\"timestamp\":3,\"stats\":{\"uptime\":-9223372036854775808,"
		"\"capture\":[],\"run\":\"a\",\"lost\":9223372036854775807,\"x\":{\"lost\":9223372036854775807}}}" };
	json_t *root = fold(runs, TEST_COUNT(runs));
	json_t *stats = json_object_get(root, "stats");

	assert_int_equal(json_integer_value(json_object_get(stats, "uptime")), 0);
	assert_int_equal(json_integer_value(json_object_get(stats, "lost")), INT64_MAX);
	assert_int_equal(json_integer_value(json_object_get(stats, "x.lost")), INT64_MAX);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
