/* The queue before the spool: everything in order while the disk is well, a bounded wait and a reported loss when not. */
#include "lib/spool/spool_feed.h"
#include "lib/base/clock.h"
#include "lib/spool/test_spool.h"

#include <time.h>

#include "lib/base/log.h"

enum { FEED_RECORDS = 50000 };

static _Atomic bool hang;

static int
setup_feed(void **state)
{
	int rc = setup(state);

	config.segment_size = 1 << 20;
	config.size = 256 << 20; /* nothing is evicted */
	hang = false;
	return rc;
}

/* A disk that does not answer holds the thread. */
static void
on_flushed(void *arg)
{
	while (atomic_load(&hang))
		usleep(1000);
}

static struct spool_feed *
open_feed(struct spool *spool, bool waits)
{
	const struct spool_feed_config feed_config = { .size = 1, .waits = waits, .flushed = on_flushed };
	struct spool_feed *feed = NULL;

	assert_int_equal(spool_feed_create(&feed, spool, &feed_config), 0);
	return feed;
}

static void
test_all_arrives(void **state)
{
	struct spool *spool = open_spool();
	struct spool_feed *feed = open_feed(spool, true);
	char *longest = calloc(1, SPOOL_RECORD_LEN_MAX);
	uint64_t missing;

	assert_non_null(longest);
	memset(longest, 'x', SPOOL_RECORD_LEN_MAX);
	for (uint64_t seq = 1; seq <= FEED_RECORDS; seq++) {
		char text[128];
		size_t len = make_line(text, sizeof(text), LINK_LANE_EVENT, seq);

		assert_true(spool_feed_put(feed, LINK_LANE_EVENT, text, len));
		/* Of every length somewhere at the queue's end. */
		if (seq % 1000 == 0)
			assert_true(spool_feed_put(feed, LINK_LANE_FLOW, longest, SPOOL_RECORD_LEN_MAX - seq / 1000));
	}
	assert_int_equal(spool_feed_flush(feed, 30000), 0);
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), FEED_RECORDS);
	assert_int_equal(missing, 0);
	assert_int_equal(spool_get_readable(spool, LINK_LANE_FLOW), FEED_RECORDS / 1000);
	free(longest);
	spool_feed_destroy(feed);
	spool_destroy(spool);
}

static void
test_hanging_disk(void **state)
{
	struct spool *spool = open_spool();
	struct spool_feed *feed = open_feed(spool, false);
	uint64_t taken = 0, missing;
	char line[1000];

	memset(line, 'x', sizeof(line));
	atomic_store(&hang, true);
	assert_int_equal(spool_feed_flush(feed, 30000), 0); /* the last one: its thread hangs behind it, before the first record */
	uint64_t begin_ms = clock_ms();

	for (unsigned int i = 0; i < 2 * FEED_RECORDS; i++)
		taken += spool_feed_put(feed, LINK_LANE_STATS, line, sizeof(line));
	/* One wait, and the queue's bytes moved: with a wait for each it were hours. */
	assert_true(clock_ms() - begin_ms < 3000);
	assert_true(taken < 2 * FEED_RECORDS);
	assert_int_equal(counter_of(spool, SPOOL_SHED), 2 * FEED_RECORDS - taken);
	assert_int_equal(spool_feed_flush(feed, 20), -ETIMEDOUT);
	atomic_store(&hang, false);
	assert_int_equal(spool_feed_flush(feed, 30000), 0);
	assert_true(spool_feed_put(feed, LINK_LANE_STATS, line, sizeof(line)));
	assert_int_equal(spool_feed_flush(feed, 30000), 0);
	assert_int_equal(spool_feed_flush(feed, 30000), 0);
	/* Each record that was put has a number, and so has the report of those that were shed. */
	assert_int_equal(spool_get_appended(spool, LINK_LANE_STATS), 2 * FEED_RECORDS + 1 + spool->writer_state.gap_count);
	uint64_t seen = read_all(spool, LINK_LANE_STATS, &missing);

	assert_int_equal(seen, taken + 1 + spool->writer_state.gap_count);
	assert_int_equal(missing, 2 * FEED_RECORDS - taken);
	assert_true(spool->writer_state.gap_count > 0);
	assert_int_equal(spool->writer_state.gaps[0].reason, SPOOL_GAP_DISK_SLOW);
	assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS), 0);
	spool_feed_destroy(feed);
	spool_destroy(spool);
}

static void
test_feed_allocation(void **state)
{
	const struct spool_feed_config feed_config = { .size = 1 };
	struct spool *spool = open_spool();
	struct spool_feed *feed = NULL;

	TEST_FAIL_EACH_ALLOC(spool_feed_create(&feed, spool, &feed_config), == 0, spool_feed_destroy(feed));
	spool_destroy(spool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_arrives, setup_feed, teardown),
		cmocka_unit_test_setup_teardown(test_hanging_disk, setup_feed, teardown),
		cmocka_unit_test_setup_teardown(test_feed_allocation, setup_feed, teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
