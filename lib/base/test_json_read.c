#include "test/test.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/json_read.h"

static void
assert_read(const char *text, const char *want)
{
	json_t *root = json_read(text, strlen(text));
	char *dump = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);

	if (want == NULL) {
		assert_null(root);
		return;
	}
	assert_non_null(dump);
	assert_string_equal(dump, want);
	free(dump);
	json_decref(root);
}

static void
test_integers_that_do_not_fit_are_reals_alone(void **state)
{
	(void)state;
	assert_read("{\"a\":1,\"b\":-2.5,\"c\":9223372036854775807}", "{\"a\":1,\"b\":-2.5,\"c\":9223372036854775807}");
	assert_read("{\"a\":18446744073709551615,\"flow_id\":9007199254740991}", "{\"a\":1.8446744073709552e19,\"flow_id\":9007199254740991}");
	assert_read("[9223372036854775808, -9223372036854775809,7]", "[9.2233720368547758e18,-9.2233720368547758e18,7]");
	/* What a string says is not touched. */
	assert_read("[\"\\\"18446744073709551615\\\\\", 18446744073709551615,\"18446744073709551615\"]",
		"[\"\\\"18446744073709551615\\\\\",1.8446744073709552e19,\"18446744073709551615\"]");
}

static void
test_what_is_no_json_is_none(void **state)
{
	static const char *const texts[] = { "", "{", "18446744073709551615", "[18446744073709551615", "[\"18446744073709551615", "[\"\\", "{\"a\":1.}",
		"[99999999999999999999999999999999e99999999]" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_read(texts[i], NULL);
}

/* A text of nothing else grows most. */
static void
test_many(void **state)
{
	char text[20002] = "[";
	json_t *root;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		strcat(text, i == 0 ? "9999999999999999999" : ",9999999999999999999");
	strcat(text, "]");
	root = json_read(text, strlen(text));
	assert_int_equal(json_array_size(root), 1000);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers_that_do_not_fit_are_reals_alone),
		cmocka_unit_test(test_what_is_no_json_is_none),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
