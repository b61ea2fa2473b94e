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

/* What a sensor says of its own age bounds a run alike, by itself and folded. */
static void
test_any_uptime(void **state)
{
	static const struct {
		int64_t uptime_s, began_s;
	} cases[] = { { 0, 1000 }, { 10, 990 }, { 1000, 0 }, { 1001, 0 }, { INT64_MAX, 0 }, { -1, 1000 }, { INT64_MIN, 1000 } };

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		char line[128];
		const char *const runs[] = { line };
		json_t *folded;

		snprintf(line, sizeof(line), "{\"timestamp\":\"1970-01-01T00:16:40.000000+0000\",\"stats\":{\"uptime\":%lld}}",
			(long long)cases[i].uptime_s);
		json_t *record = json_loads(line, 0, NULL);

		assert_int_equal(store_run_began(record), cases[i].began_s * 1000000000);
		folded = fold(runs, 1);
		assert_int_equal(store_run_began(folded), cases[i].began_s * 1000000000);
		json_decref(record);
		json_decref(folded);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_any_uptime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
