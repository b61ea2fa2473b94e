#include "test/test.h"

#include "app/sensor/stall.h"

static void
who_stands_still_is_told_once(void **state)
{
	struct stall stall = { 0 };
	uint64_t rounds = 5;

	assert_int_equal(stall_step(&stall, rounds, false), STALL_NONE);
	for (unsigned int i = 1; i < STALL_TICKS; i++)
		assert_int_equal(stall_step(&stall, rounds, false), STALL_NONE);
	assert_int_equal(stall_step(&stall, rounds, false), STALL_BEGINS);
	for (unsigned int i = 0; i < 3 * STALL_TICKS; i++)
		assert_int_equal(stall_step(&stall, rounds, false), STALL_NONE);
	assert_true(stall.stalled);
	assert_int_equal(stall.count, 1);
	assert_int_equal(stall_step(&stall, ++rounds, false), STALL_ENDS);
	assert_false(stall.stalled);
	assert_int_equal(stall_step(&stall, ++rounds, false), STALL_NONE);
	assert_int_equal(stall.count, 1);
}

static void
who_moves_now_and_then_is_not(void **state)
{
	struct stall stall = { 0 };

	for (unsigned int i = 0; i < 20 * STALL_TICKS; i++)
		assert_int_equal(stall_step(&stall, i / (STALL_TICKS - 1), false), STALL_NONE);
}

static void
who_has_ended_is_not(void **state)
{
	struct stall stall = { 0 };

	for (unsigned int i = 0; i < 2 * STALL_TICKS; i++)
		assert_int_equal(stall_step(&stall, 7, true), STALL_NONE);
	for (unsigned int i = 0; i < STALL_TICKS; i++)
		stall_step(&stall, 7, false);
	assert_true(stall.stalled);
	assert_int_equal(stall_step(&stall, 7, true), STALL_ENDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_stands_still_is_told_once),
		cmocka_unit_test(who_moves_now_and_then_is_not),
		cmocka_unit_test(who_has_ended_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
