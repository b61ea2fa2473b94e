#include "test/test.h"

#include "lib/base/losses.h"

static void
test_stats(void **state)
{
	static const char stats[] = "{\"capture\":{\"received\":9,\"dropped\":{\"no_buffer\":2,\"spreader_ring_full\":0}},\"ring\":{\"events_dropped\":3},"
				    "\"workers\":[{\"events_dropped\":3}],\"detect\":{\"alert_queue_overflow\":4},\"rule\":{\"overflow\":4},"
				    "\"flow\":{\"table_full\":1,\"active\":7}}";
	json_t *root = json_loads(stats, 0, NULL), *totals = json_object();
	char *text;

	losses_add_stats(totals, root);
	losses_add_stats(totals, root); /* of another sensor */
	text = json_dumps(totals, JSON_SORT_KEYS | JSON_COMPACT);
	assert_string_equal(text, "{\"capture.dropped.no_buffer\":4,\"capture.dropped.spreader_ring_full\":0,\"flow.table_full\":2,"
				  "\"ring.events_dropped\":6,\"rule.overflow\":8}");
	free(text);
	losses_add(totals, "flow.table_full", INT64_MAX);
	assert_true(json_integer_value(json_object_get(totals, "flow.table_full")) == INT64_MAX);
	json_decref(totals);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
