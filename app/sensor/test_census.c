#include "test/test.h"

#include "app/sensor/census.h"

/* A table of so many flows: flow i has i bytes, and its ends are i and 255. */
static uint32_t table_len;

uint32_t
flow_table_walk(const struct flow_table *table, uint32_t from, uint32_t count, void (*fn)(void *arg, const struct flow *flow), void *arg)
{
	uint32_t end = table_len - from < count ? table_len : from + count;

	(void)table;
	for (uint32_t i = from; i < end; i++) {
		struct flow flow = { .bytes = { i, 0 }, .key = { .ip_version = 4 } };

		flow.key.addr[0].bytes[3] = (uint8_t)i;
		flow.key.addr[1].bytes[3] = 255;
		fn(arg, &flow);
	}
	return end < table_len ? end : 0;
}

struct flow_part
flow_whole(const struct flow_table *table, const struct flow *flow)
{
	(void)table;
	return (struct flow_part){ .start_ns = flow->first_ns };
}

static unsigned int
answer(struct census *census)
{
	unsigned int steps = 0;

	while (!census_is_done(census)) {
		assert_true(census_is_asked(census));
		census_step(census, NULL);
		steps++;
	}
	return steps;
}

static void
test_the_largest(void **state)
{
	static struct census census;
	struct census_question question = { .limit = 10 };
	uint64_t sum = 0;

	table_len = 1000;
	assert_true(census_ask(&census, &question));
	assert_false(census_ask(&census, &question)); /* not before it is answered */
	assert_true(answer(&census) > 1);             /* a little at a time */
	assert_int_equal(census.found, 1000);
	assert_int_equal(census.count, 10);
	for (unsigned int i = 0; i < 10; i++)
		sum += census.rows[i].flow.bytes[0];
	assert_int_equal(sum, 9945); /* 990 to 999 */
	table_len = 0;
	assert_true(census_ask(&census, &question));
	assert_int_equal(answer(&census), 1);
	assert_int_equal(census.count, 0);
}

static void
test_of_an_address(void **state)
{
	static struct census census;
	struct census_question question = { .limit = CENSUS_ROWS_MAX, .of_addr = true, .ip_version = 4, .addr.bytes = { 0, 0, 0, 7 } };

	table_len = 1000;
	assert_true(census_ask(&census, &question));
	answer(&census);
	assert_int_equal(census.found, 4); /* 7, 263, 519, 775 */
	question.addr.bytes[3] = 255;
	assert_true(census_ask(&census, &question));
	answer(&census);
	assert_int_equal(census.found, 1000);
	assert_int_equal(census.count, CENSUS_ROWS_MAX);
	question.ip_version = 6;
	assert_true(census_ask(&census, &question));
	answer(&census);
	assert_int_equal(census.found, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_largest),
		cmocka_unit_test(test_of_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
