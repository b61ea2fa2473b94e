#include "test/test.h"

#include "app/aggregator/age.h"

enum { NOW_S = 1800000000, YEAR_S = 31536000 };

static void
a_steady_clock_counts(void **state)
{
	struct age age = { 0 };

	for (uint64_t s = 0; s < 100; s++)
		assert_int_equal(age_now(&age, 5000 + s * 10000, NOW_S + s * 10), NOW_S + s * 10);
	/* NTP, or an hour of summer. */
	assert_int_equal(age_now(&age, 5000 + 1000000, NOW_S + 1000 + AGE_JUMP_S), NOW_S + 1000 + AGE_JUMP_S);
}

static void
a_jump_ahead_waits_a_day(void **state)
{
	struct age age = { 0 };
	uint64_t day_ms = AGE_HOLD_S * UINT64_C(1000);

	assert_int_equal(age_now(&age, 1000, NOW_S), NOW_S);
	assert_int_equal(age_now(&age, 2000, NOW_S + YEAR_S), 0);
	assert_int_equal(age_now(&age, 1000 + day_ms, NOW_S + YEAR_S + AGE_HOLD_S - 1), 0);
	assert_int_equal(age_now(&age, 2000 + day_ms, NOW_S + YEAR_S + AGE_HOLD_S), NOW_S + YEAR_S + AGE_HOLD_S);
}

static void
a_clock_set_right_counts_at_once(void **state)
{
	struct age age = { 0 };

	assert_int_equal(age_now(&age, 1000, NOW_S), NOW_S);
	assert_int_equal(age_now(&age, 2000, NOW_S + YEAR_S), 0);
	assert_int_equal(age_now(&age, 3000, NOW_S + 2), NOW_S + 2);
	assert_int_equal(age_now(&age, 4000, NOW_S - YEAR_S), NOW_S - YEAR_S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_steady_clock_counts),
		cmocka_unit_test(a_jump_ahead_waits_a_day),
		cmocka_unit_test(a_clock_set_right_counts_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
