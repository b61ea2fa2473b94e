/* The writer against a store that the test holds in its hand: order, groups, bounds, failures. */
#include "test/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "app/aggregator/writer.h"
#include "lib/store/store_private.h"

enum { RECORDS = 10, WAIT_MS = 20000 };

/* One lane; what is appended is noted, and counts at the commit. */
struct held {
	struct store base;
	pthread_mutex_t gate; /* whoever appends passes it */
	uint64_t next;
	uint64_t pending; /* records appended since the last commit */
	_Atomic uint64_t committed, commits, largest_group, rollbacks, expires;
	_Atomic uint64_t fail_at; /* the batch of this sequence fails with append_err */
	_Atomic int append_err, commit_err;
};

static int
held_next(struct store *store, const struct batch_head *head, uint64_t *next)
{
	*next = ((struct held *)store)->next;
	return 0;
}

static int
held_append(struct store *store, const struct batch_head *head, const struct store_body *body,
	const struct store_line *lines, struct store_appended *out)
{
	struct held *held = (struct held *)store;

	pthread_mutex_lock(&held->gate);
	pthread_mutex_unlock(&held->gate);
	*out = (struct store_appended){ .next = held->next };
	if (head->sequence == atomic_load(&held->fail_at))
		return atomic_load(&held->append_err);
	if (head->sequence > held->next)
		return -ERANGE;
	held->next = head->sequence + head->count;
	held->pending += head->count;
	*out = (struct store_appended){ .next = held->next, .stored = head->count };
	return 0;
}

static int
held_commit(struct store *store)
{
	struct held *held = (struct held *)store;
	int err = atomic_load(&held->commit_err);

	if (err == 0) {
		atomic_fetch_add(&held->commits, held->pending > 0);
		atomic_fetch_add(&held->committed, held->pending);
		if (held->pending > held->largest_group)
			held->largest_group = held->pending;
	} else {
		held->next -= held->pending;
	}
	held->pending = 0;
	return err;
}

static void
held_rollback(struct store *store)
{
	struct held *held = (struct held *)store;

	atomic_fetch_add(&held->rollbacks, 1);
	held->next -= held->pending;
	held->pending = 0;
}

static int
held_expire(struct store *store, uint64_t now_s, uint64_t *deleted)
{
	*deleted = 0;
	atomic_fetch_add(&((struct held *)store)->expires, 1);
	return 0;
}

static const struct store_ops held_ops = {
	.name = "held", .next_sequence = held_next, .append = held_append, .commit = held_commit, .rollback = held_rollback,
	.expire = held_expire,
};

struct bed {
	struct held held;
	struct writer *writer;
	_Atomic uint64_t counters[WRITER_COUNTERS];
	struct batch_head heads[64];
};

static void
bed_make(struct bed *bed, uint64_t queue_bytes, uint64_t reorder_ms)
{
	struct writer_config config = { .queue_bytes_max = queue_bytes, .group_records = 4 * RECORDS, .reorder_ms = reorder_ms,
		.counters = bed->counters };

	memset(bed, 0, sizeof(*bed));
	bed->held.base.ops = &held_ops;
	bed->held.next = 1;
	pthread_mutex_init(&bed->held.gate, NULL);
	assert_int_equal(writer_create(&bed->writer, &config, &bed->held.base), 0);
}

static void
bed_break(struct bed *bed)
{
	writer_destroy(bed->writer);
	pthread_mutex_destroy(&bed->held.gate);
}

/* The batch of sequences 10 n + 1 to 10 n + 10. */
static void
submit(struct bed *bed, unsigned int n)
{
	struct writer_job *job = writer_job_get(bed->writer, RECORDS);

	bed->heads[n] = (struct batch_head){ .sensor = "s", .epoch = 1, .sequence = n * RECORDS + 1, .count = RECORDS };
	job->head = &bed->heads[n];
	job->owner = &bed->heads[n];
	writer_submit(bed->writer, job);
}

/* Waits for the next job that is done. @return its batch's number */
static unsigned int
take(struct bed *bed, enum writer_verdict verdict, uint64_t next)
{
	struct writer_job *job;
	unsigned int n;

	while ((job = writer_take(bed->writer)) == NULL) {
		struct pollfd wait = { .fd = writer_fd(bed->writer), .events = POLLIN };

		assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	}
	assert_int_equal(job->verdict, verdict);
	if (next != 0)
		assert_int_equal(job->done.next, next);
	/* Whoever is told so finds it durable. */
	if (verdict == WRITER_STORED)
		assert_true(atomic_load(&bed->held.committed) + 1 >= job->done.next);
	n = (unsigned int)((struct batch_head *)job->owner - bed->heads);
	writer_job_put(bed->writer, job);
	return n;
}

static void
what_comes_while_the_store_works_is_one_group(void **state)
{
	struct bed bed;

	bed_make(&bed, 1 << 20, 0);
	pthread_mutex_lock(&bed.held.gate);
	for (unsigned int n = 0; n < 10; n++)
		submit(&bed, n);
	assert_null(writer_take(bed.writer));
	pthread_mutex_unlock(&bed.held.gate);
	for (unsigned int n = 0; n < 10; n++)
		assert_int_equal(take(&bed, WRITER_STORED, n * RECORDS + RECORDS + 1), n);
	/* Groups of four batches, the last of two; how many came before the first is chance. */
	assert_in_range(bed.held.largest_group, RECORDS, 4 * RECORDS);
	assert_int_equal(bed.held.committed, 10 * RECORDS);
	assert_int_equal(counter_get(&bed.counters[WRITER_COMMITS]), bed.held.commits);
	assert_in_range(bed.held.commits, 3, 10);
	bed_break(&bed);
}

static void
batches_that_overtook_others_wait_for_them(void **state)
{
	static const unsigned int order[] = { 3, 1, 2, 0, 4 };
	struct bed bed;

	bed_make(&bed, 1 << 20, WAIT_MS);
	for (unsigned int i = 0; i < TEST_COUNT(order); i++)
		submit(&bed, order[i]);
	for (unsigned int n = 0; n < TEST_COUNT(order); n++)
		assert_int_equal(take(&bed, WRITER_STORED, n * RECORDS + RECORDS + 1), n);
	assert_int_equal(counter_get(&bed.counters[WRITER_REORDERED]), 3);
	bed_break(&bed);
}

static void
what_waits_in_vain_is_a_hole(void **state)
{
	struct bed bed;

	bed_make(&bed, 1 << 20, 20);
	submit(&bed, 2);
	assert_int_equal(take(&bed, WRITER_HOLE, 1), 2);
	bed_break(&bed);
	/* Without patience, at once. */
	bed_make(&bed, 1 << 20, 0);
	submit(&bed, 2);
	assert_int_equal(take(&bed, WRITER_HOLE, 1), 2);
	assert_int_equal(counter_get(&bed.counters[WRITER_REORDERED]), 0);
	bed_break(&bed);
	/* Those that wait must leave room for those they wait for: here for none of them. */
	bed_make(&bed, RECORDS * sizeof(struct store_line) * 2 - 1, WAIT_MS);
	submit(&bed, 2);
	assert_int_equal(take(&bed, WRITER_HOLE, 1), 2);
	bed_break(&bed);
}

static void
the_queue_has_a_bound(void **state)
{
	struct bed bed;
	unsigned int n = 0;

	bed_make(&bed, 5 * RECORDS * sizeof(struct store_line), 0);
	pthread_mutex_lock(&bed.held.gate);
	while (writer_has_room(bed.writer))
		submit(&bed, n++);
	assert_int_equal(n, 5);
	pthread_mutex_unlock(&bed.held.gate);
	for (unsigned int i = 0; i < n; i++) {
		take(&bed, WRITER_STORED, 0);
		assert_true(writer_has_room(bed.writer));
	}
	bed_break(&bed);
}

static void
failures_are_told_and_over_when_they_are_over(void **state)
{
	struct bed bed;

	bed_make(&bed, 1 << 20, 0);
	bed.held.commit_err = -ENOSPC;
	submit(&bed, 0);
	assert_int_equal(take(&bed, WRITER_NOT_DURABLE, 0), 0);
	bed.held.commit_err = 0;
	submit(&bed, 0);
	assert_int_equal(take(&bed, WRITER_STORED, RECORDS + 1), 0);
	/* What the same transaction held goes with the one that failed. */
	bed.held.append_err = -EIO;
	bed.held.fail_at = 2 * RECORDS + 1;
	pthread_mutex_lock(&bed.held.gate);
	submit(&bed, 1);
	submit(&bed, 2);
	pthread_mutex_unlock(&bed.held.gate);
	assert_int_equal(take(&bed, WRITER_NOT_DURABLE, 0), 1);
	assert_int_equal(take(&bed, WRITER_FAILED, 0), 2);
	assert_int_equal(bed.held.rollbacks, 1);
	bed.held.append_err = -EDQUOT;
	bed.held.fail_at = RECORDS + 1;
	submit(&bed, 1);
	assert_int_equal(take(&bed, WRITER_QUOTA, 0), 1);
	/* Where a part of the store is away, the others' records stay. */
	bed.held.append_err = -EHOSTUNREACH;
	bed.held.fail_at = 2 * RECORDS + 1;
	pthread_mutex_lock(&bed.held.gate);
	submit(&bed, 1);
	submit(&bed, 2);
	pthread_mutex_unlock(&bed.held.gate);
	assert_int_equal(take(&bed, WRITER_FAILED, 0), 2);
	assert_int_equal(take(&bed, WRITER_STORED, 2 * RECORDS + 1), 1);
	assert_int_equal(bed.held.rollbacks, 1);
	bed.held.fail_at = 0;
	submit(&bed, 2);
	assert_int_equal(take(&bed, WRITER_STORED, 3 * RECORDS + 1), 2);
	bed_break(&bed);
}

static void
stopping_stores_what_was_taken(void **state)
{
	struct bed bed;

	bed_make(&bed, 1 << 20, WAIT_MS);
	pthread_mutex_lock(&bed.held.gate);
	submit(&bed, 0);
	submit(&bed, 1);
	submit(&bed, 7);
	pthread_mutex_unlock(&bed.held.gate);
	writer_stop(bed.writer);
	assert_true(writer_is_stopped(bed.writer));
	assert_int_equal(take(&bed, WRITER_STORED, 0), 0);
	assert_int_equal(take(&bed, WRITER_STORED, 0), 1);
	assert_int_equal(take(&bed, WRITER_STOPPED, 0), 7);
	assert_int_equal(bed.held.committed, 2 * RECORDS);
	bed_break(&bed);
}

static void
retention_goes_on_beside(void **state)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct bed bed;

	bed_make(&bed, 1 << 20, 0);
	for (unsigned int i = 0; i < WAIT_MS && atomic_load(&bed.held.expires) == 0; i++)
		nanosleep(&pause, NULL);
	assert_true(bed.held.expires > 0);
	bed_break(&bed);
}

static void
creation_survives_no_memory(void **state)
{
	struct writer_config config = { .queue_bytes_max = 1000 };
	struct held held = { .base.ops = &held_ops, .next = 1 };
	_Atomic uint64_t counters[WRITER_COUNTERS] = { 0 };
	struct writer *writer = NULL;
	struct writer_job *job = NULL;

	config.counters = counters;
	TEST_FAIL_EACH_ALLOC(writer_create(&writer, &config, &held.base), == 0, writer_destroy(writer));
	assert_int_equal(writer_create(&writer, &config, &held.base), 0);
	TEST_FAIL_EACH_ALLOC((job = writer_job_get(writer, RECORDS)), != NULL, writer_job_put(writer, job));
	writer_destroy(writer);
	writer_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_while_the_store_works_is_one_group),
		cmocka_unit_test(batches_that_overtook_others_wait_for_them),
		cmocka_unit_test(what_waits_in_vain_is_a_hole),
		cmocka_unit_test(the_queue_has_a_bound),
		cmocka_unit_test(failures_are_told_and_over_when_they_are_over),
		cmocka_unit_test(stopping_stores_what_was_taken),
		cmocka_unit_test(retention_goes_on_beside),
		cmocka_unit_test(creation_survives_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
