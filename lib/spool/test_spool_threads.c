/* Writer and reader at the same time. */
#include "lib/spool/test_spool.h"

#include <errno.h>
#include <pthread.h>

#include "lib/base/log.h"

enum { THREAD_RECORDS = 20000 };

static void *
writer_main(void *arg)
{
	struct spool *spool = arg;

	for (unsigned int i = 1; i <= THREAD_RECORDS; i++) {
		append_one(spool, LINK_LANE_EVENT);
		if (i % 37 == 0)
			spool_flush(spool);
	}
	spool_flush(spool);
	return NULL;
}

/* With little room the reader is overtaken by evictions; with much it must see everything. */
static void
run_two_threads(uint64_t size, bool all)
{
	config.size = size;
	config.fsync = SPOOL_FSYNC_INTERVAL;
	config.fsync_interval_ms = 10;
	struct spool *spool = open_spool();
	uint64_t from = 1;
	uint64_t seen = 0;
	pthread_t writer;

	assert_int_equal(pthread_create(&writer, NULL, writer_main, spool), 0);
	for (uint64_t now_ms = 1; from <= THREAD_RECORDS; now_ms++) {
		struct spool_batch batch;
		int rc = spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_EVENT, from, 100, 20000 }, &lines, &batch);

		assert_true(rc >= 0 || rc == -EAGAIN);
		if (rc <= 0 && batch.first == from)
			continue;
		if (rc > 0)
			check_batch(LINK_LANE_EVENT, &batch);
		seen += batch.count;
		from = batch.first + batch.count;
		spool_ack(spool, LINK_LANE_EVENT, from - 1);
		spool_sync(spool, now_ms);
	}
	pthread_join(writer, NULL);
	if (all)
		assert_int_equal(seen, THREAD_RECORDS);
	assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS), 0);
	assert_int_equal(counter_of(spool, SPOOL_READ_ERRORS), 0);
	spool_flush(spool);
	assert_true(spool_get_bytes(spool, LINK_LANE_EVENT) < 2 * config.segment_size);
	spool_destroy(spool);
}

static void
test_two_threads(void **state)
{
	run_two_threads(64 << 20, true);
}

static void
test_two_threads_evicting(void **state)
{
	run_two_threads(16 * 4096, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_threads_evicting, setup, teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
