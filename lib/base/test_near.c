/* How far names lie apart, and which is taken for the one that was meant. */
#include "lib/base/near.h"

#include <string.h>

#include "test/test.h"

static void
test_distance(void **state)
{
	char long_name[200];

	(void)state;
	assert_int_equal(near_distance("", ""), 0);
	assert_int_equal(near_distance("", "abc"), 3);
	assert_int_equal(near_distance("abc", ""), 3);
	assert_int_equal(near_distance("WrSingleCoil", "wrsinglecoil"), 0);
	assert_int_equal(near_distance("WriteSingleCoil", "WrSingleCoil"), 3);
	assert_int_equal(near_distance("contnt", "content"), 1);
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(near_distance(long_name, "a"), NEAR_FAR);
	assert_int_equal(near_distance("a", long_name), NEAR_FAR);
}

static void
test_offer(void **state)
{
	static const char *const names[] = { "depth", "content", "contents", "flow", "sid" };
	static const struct {
		const char *written, *best;
	} cases[] = { { "contnt", "content" }, { "contentss", "contents" }, { "flo", "flow" }, { "xyz", "" }, { "a", "" }, { "SDI", "" }, { "CONTENT", "content" } };

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct near near = { .written = cases[i].written };

		for (unsigned int j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			near_offer(&near, names[j]);
		assert_string_equal(near.best, cases[i].best);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
