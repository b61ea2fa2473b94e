#include "proto/compare.h"
#include "test/test.h"

static void
test_texts(void **state)
{
	static const struct {
		const char *text;
		uint64_t holds, fails; /* a number that it holds of, and one that it does not */
	} rows[] = {
		{ "5", 5, 6 },
		{ "= 0x10", 16, 10 },
		{ "!5", 6, 5 },
		{ "!=5", 6, 5 },
		{ "<5", 4, 5 },
		{ "<=5", 5, 6 },
		{ "> 5", 6, 5 },
		{ ">=5", 5, 4 },
		{ "3-6", 4, 3 },
		{ "3<>6", 5, 6 },
		{ "!3-6", 3, 4 },
		{ "&0x81=1", 0x03, 0x83 },
		{ "&0x81!=1", 0x83, 0x03 },
		{ "!&0x81=1", 0x83, 0x03 },
		{ "255", 255, 254 },
	};
	struct rule_app_test test;

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		assert_true(compare_parse(rows[i].text, 255, &test));
		assert_true(compare_holds(&test, rows[i].holds));
		assert_false(compare_holds(&test, rows[i].fails));
	}
}

static void
test_other_texts(void **state)
{
	static const char *const rows[] = { "", "!", "x", "5x", "256", "<", "<256", "5-", "6-3", "5-5", "3-256", "3<6", "&1", "&1=", "&1=2x",
		"&256=1", "99999999999999999999" };
	struct rule_app_test test;

	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		assert_false(compare_parse(rows[i], 255, &test));
}

static void
test_any(void **state)
{
	struct rule_app_test test = { .words = { COMPARE_ANY, 0x06 } };

	assert_true(compare_holds(&test, 0x04));
	assert_false(compare_holds(&test, 0x09));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_other_texts),
		cmocka_unit_test(test_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
