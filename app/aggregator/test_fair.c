#include "test/test.h"

#include <errno.h>

#include "app/aggregator/fair.h"

struct job {
	struct fair_item item;
	char name;
};

static struct job jobs[64];

static uint64_t
put(struct fair *fair, unsigned int at, char name, uint64_t records, uint64_t now_ms)
{
	char text[2] = { name, '\0' };

	jobs[at].name = name;
	return fair_put(fair, text, records, now_ms, &jobs[at].item);
}

static char
take(struct fair *fair)
{
	struct job *job = (struct job *)fair_take(fair);

	return job == NULL ? '-' : job->name;
}

/* Ten of one sensor, one each of two others: these are second and third. */
static void
queues_take_turns(void **state)
{
	const struct fair_config config = { .sensors_max = 10 };
	struct fair *fair;
	char order[14] = "";

	assert_int_equal(fair_create(&fair, &config), 0);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(put(fair, i, 'a', 1000000, 0), 0);
	assert_int_equal(put(fair, 10, 'b', 1, 0), 0);
	assert_int_equal(put(fair, 11, 'c', 1, 0), 0);
	for (unsigned int i = 0; i < 13; i++)
		order[i] = take(fair);
	assert_string_equal(order, "abcaaaaaaaaa-");
	fair_destroy(fair);
}

static void
buckets_bound_the_rate(void **state)
{
	const struct fair_config config = { .records_per_s = 1000, .sensors_max = 10 };
	struct fair *fair;

	assert_int_equal(fair_create(&fair, &config), 0);
	/* Four seconds' worth at once, then as much as time brings. */
	assert_int_equal(put(fair, 0, 'a', 3000, 100), 0);
	assert_int_equal(put(fair, 1, 'a', 1500, 100), 501);
	assert_int_equal(put(fair, 1, 'b', 4000, 100), 0);
	assert_int_equal(put(fair, 2, 'a', 1500, 601), 0);
	/* One is left. */
	assert_int_equal(put(fair, 3, 'a', 2, 601), 2);
	/* Above the burst: when the bucket is full. */
	assert_int_equal(put(fair, 3, 'a', 100000, 2601), 2000);
	assert_int_equal(put(fair, 3, 'a', 100000, 4601), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_not_equal(take(fair), '-');
	assert_int_equal(take(fair), '-');
	fair_destroy(fair);
}

static void
sensors_are_forgotten_and_bounded(void **state)
{
	const struct fair_config config = { .records_per_s = 1000, .sensors_max = 2 };
	struct fair *fair;
	uint64_t now_ms = 0;

	assert_int_equal(fair_create(&fair, &config), 0);
	assert_int_equal(put(fair, 0, 'a', 1, now_ms), 0);
	assert_int_equal(put(fair, 1, 'b', 1, now_ms), 0);
	assert_int_equal(put(fair, 2, 'c', 1, now_ms), 1000);
	assert_int_equal(take(fair), 'a');
	assert_int_equal(take(fair), 'b');
	/* The sweep comes round with the calls. */
	now_ms = 10000;
	for (unsigned int i = 0; i < 4096 && put(fair, 3, 'c', 0, now_ms) != 0; i++)
		;
	assert_int_equal(take(fair), 'c');
	for (unsigned int i = 0; i < 4096 && put(fair, 4, 'd', 0, now_ms) != 0; i++)
		;
	assert_int_equal(take(fair), 'd');
	assert_int_equal(take(fair), '-');
	fair_destroy(fair);
}

/* One sensor fills the queue: it waits outside, others still come in, up to twice the bound. */
static void
a_full_queue_keeps_out_those_who_filled_it(void **state)
{
	const struct fair_config config = { .bytes_max = 1000, .sensors_max = 10 };
	struct fair *fair;
	unsigned int count = 0;

	assert_int_equal(fair_create(&fair, &config), 0);
	/* One that is larger than the bound comes in alone. */
	assert_false(fair_is_full(fair, "a", 5000));
	for (unsigned int i = 0; i < 64; i++)
		jobs[i].item.bytes = 100;
	for (; !fair_is_full(fair, "a", 100); count++)
		assert_int_equal(put(fair, count, 'a', 1, 0), 0);
	assert_int_equal(count, 10);
	assert_false(fair_is_full(fair, "b", 100));
	assert_int_equal(put(fair, 10, 'b', 1, 0), 0);
	assert_true(fair_is_full(fair, "b", 100));
	assert_false(fair_is_full(fair, "c", 900));
	assert_true(fair_is_full(fair, "c", 901));
	/* The new one's turn comes second; with what has left, there is room again. */
	assert_int_equal(take(fair), 'a');
	assert_int_equal(take(fair), 'b');
	assert_false(fair_is_full(fair, "a", 100));
	assert_true(fair_is_full(fair, "a", 101));
	while (take(fair) != '-')
		;
	assert_false(fair_is_full(fair, "a", 1000));
	fair_destroy(fair);
}

static void
creation_survives_no_memory(void **state)
{
	const struct fair_config config = { .sensors_max = 1 };
	struct fair *fair = NULL;

	TEST_FAIL_EACH_ALLOC(fair_create(&fair, &config), == 0, fair_destroy(fair));
	fair_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_take_turns),
		cmocka_unit_test(buckets_bound_the_rate),
		cmocka_unit_test(sensors_are_forgotten_and_bounded),
		cmocka_unit_test(a_full_queue_keeps_out_those_who_filled_it),
		cmocka_unit_test(creation_survives_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
