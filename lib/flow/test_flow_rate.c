/* Elephants: bytes of one side within an interval that slides. */
#include "test/test.h"

#include "lib/flow/flow_table.h"

enum { LIMIT = 1000, INTERVAL_S = 10, FLOWS = 4, FLOW = 2 };

static const uint64_t S = UINT64_C(1000000000);
static struct flow_rates *rates;

static int
setup(void **state)
{
	(void)state;
	return flow_rates_create(&rates, LIMIT, INTERVAL_S, FLOWS);
}

static int
teardown(void **state)
{
	(void)state;
	flow_rates_destroy(rates);
	return 0;
}

struct frame {
	unsigned int second, side, len;
	bool reaches;
};

static void
expect(const struct frame *frames, unsigned int count)
{
	flow_rates_begin(rates, FLOW);
	for (unsigned int i = 0; i < count; i++)
		if (flow_rates_note(rates, FLOW, frames[i].side, (100 + frames[i].second) * S, frames[i].len) != frames[i].reaches)
			fail_msg("frame %u", i);
}

static void
test_sums(void **state)
{
	static const struct frame within[] = { { 0, 0, 500, false }, { 9, 0, 499, false }, { 9, 0, 1, true } };
	static const struct frame sides[] = { { 0, 0, 999, false }, { 0, 1, 999, false }, { 1, 1, 1, true }, { 1, 0, 1, true } };
	static const struct frame slides[] = { { 0, 0, 600, false }, { 5, 0, 300, false }, { 10, 0, 699, false }, { 14, 0, 1, true },
		{ 15, 0, 100, false }, { 24, 0, 899, false }, { 24, 0, 1, true }, { 34, 0, 999, false } };
	static const struct frame silence[] = { { 0, 0, 999, false }, { 1000000, 0, 999, false }, { 1000001, 0, 1, true } };
	static const struct frame disorder[] = { { 5, 0, 500, false }, { 3, 0, 500, true } };
	static const struct frame set_back[] = { { 50, 0, 999, false }, { 1, 0, 999, false }, { 1, 0, 1, true } };

	(void)state;
	expect(within, TEST_COUNT(within));
	expect(sides, TEST_COUNT(sides));
	expect(slides, TEST_COUNT(slides));
	expect(silence, TEST_COUNT(silence));
	expect(disorder, TEST_COUNT(disorder));
	expect(set_back, TEST_COUNT(set_back));
}

static void
test_flows_apart(void **state)
{
	(void)state;
	assert_true(flow_rates_note(rates, 0, 0, S, LIMIT));
	assert_false(flow_rates_note(rates, 1, 0, S, 1));
	flow_rates_begin(rates, 0);
	assert_false(flow_rates_note(rates, 0, 0, S, 1));
	assert_true(flow_rates_note(rates, FLOWS - 1, 1, S, LIMIT));
}

static void
test_create_fails(void **state)
{
	struct flow_rates *other;

	(void)state;
	TEST_FAIL_EACH_ALLOC(flow_rates_create(&other, LIMIT, INTERVAL_S, FLOWS), == 0, flow_rates_destroy(other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flows_apart, setup, teardown),
		cmocka_unit_test(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
