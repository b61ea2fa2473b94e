/* The threads that ask: a long question beside short ones, the bound, and the end. */
#include "test/test.h"

#include <errno.h>
#include <semaphore.h>
#include <unistd.h>

#include <event2/event.h>

#include "app/aggregator/api_pool.h"

enum { THREADS = 2, TASKS_MAX = 3 };

static char store_path[] = "/tmp/millrace-test-pool-XXXXXX";

struct question {
	struct api_task task;
	struct event_base *base;
	sem_t *gate;  /* NULL: it is a short one */
	sem_t *began; /* told when it is at work */
	bool done;
};

struct bed {
	struct event_base *base;
	struct api_pool *pool;
	sem_t gate, began;
	struct question questions[THREADS + TASKS_MAX + 1];
};

static int
work(struct api_task *task, struct store *store)
{
	struct question *question = (struct question *)task;
	const struct store_filter any = { 0 };
	json_t *rows = NULL;
	int err = store_report(store, STORE_REPORT_SENSORS, &any, &rows);

	json_decref(rows);
	if (question->gate != NULL) {
		sem_post(question->began);
		sem_wait(question->gate);
	}
	return err;
}

static void
done(struct api_task *task)
{
	struct question *question = (struct question *)task;

	assert_false(question->done);
	question->done = true;
	event_base_loopbreak(question->base);
}

static int
submit(struct bed *bed, unsigned int i, bool is_long)
{
	bed->questions[i] = (struct question){ .task = { .work = work, .done = done }, .base = bed->base,
		.gate = is_long ? &bed->gate : NULL, .began = &bed->began };
	return api_pool_submit(bed->pool, &bed->questions[i].task);
}

static void
bed_make(struct bed *bed)
{
	const struct api_pool_config config = { .threads = THREADS, .tasks_max = TASKS_MAX, .store.path = store_path };

	memset(bed, 0, sizeof(*bed));
	sem_init(&bed->gate, 0, 0);
	sem_init(&bed->began, 0, 0);
	bed->base = event_base_new();
	assert_int_equal(api_pool_create(&bed->pool, bed->base, &config), 0);
}

static void
bed_break(struct bed *bed)
{
	api_pool_destroy(bed->pool);
	event_base_free(bed->base);
	sem_destroy(&bed->gate);
	sem_destroy(&bed->began);
}

static void
a_long_question_delays_no_short_one(void **state)
{
	struct bed bed;

	bed_make(&bed);
	assert_int_equal(submit(&bed, 0, true), 0);
	sem_wait(&bed.began);
	for (unsigned int i = 1; i < TASKS_MAX; i++) {
		assert_int_equal(submit(&bed, i, false), 0);
		event_base_dispatch(bed.base);
		assert_true(bed.questions[i].done);
		assert_int_equal(bed.questions[i].task.err, 0);
		assert_false(bed.questions[0].done);
	}
	sem_post(&bed.gate);
	event_base_dispatch(bed.base);
	assert_true(bed.questions[0].done);
	bed_break(&bed);
}

static void
what_waits_has_a_bound(void **state)
{
	struct bed bed;

	bed_make(&bed);
	for (unsigned int i = 0; i < THREADS; i++) {
		assert_int_equal(submit(&bed, i, true), 0);
		sem_wait(&bed.began);
	}
	for (unsigned int i = 0; i < TASKS_MAX; i++)
		assert_int_equal(submit(&bed, THREADS + i, false), 0);
	assert_int_equal(submit(&bed, THREADS + TASKS_MAX, false), -EBUSY);
	for (unsigned int i = 0; i < THREADS; i++)
		sem_post(&bed.gate);
	for (unsigned int i = 0; i < THREADS + TASKS_MAX; i++)
		while (!bed.questions[i].done)
			event_base_dispatch(bed.base);
	bed_break(&bed);
}

/* Each is done once: what runs is waited for, what waits is told that its turn does not come. */
static void
stopping_leaves_no_question_behind(void **state)
{
	struct bed bed;
	unsigned int cancelled = 0;

	bed_make(&bed);
	for (unsigned int i = 0; i < THREADS; i++) {
		assert_int_equal(submit(&bed, i, true), 0);
		sem_wait(&bed.began);
	}
	for (unsigned int i = 0; i < TASKS_MAX; i++)
		assert_int_equal(submit(&bed, THREADS + i, true), 0);
	for (unsigned int i = 0; i < THREADS + TASKS_MAX; i++)
		sem_post(&bed.gate);
	api_pool_stop(bed.pool);
	for (unsigned int i = 0; i < THREADS + TASKS_MAX; i++) {
		assert_true(bed.questions[i].done);
		cancelled += bed.questions[i].task.err == -ECANCELED;
	}
	assert_in_range(cancelled, 0, TASKS_MAX);
	assert_int_equal(submit(&bed, THREADS + TASKS_MAX, false), -EBUSY);
	bed_break(&bed);
}

static void
creation_survives_no_memory(void **state)
{
	const struct api_pool_config config = { .threads = THREADS, .tasks_max = TASKS_MAX, .store.path = store_path };
	struct event_base *base = event_base_new();
	struct api_pool *pool = NULL;

	TEST_FAIL_EACH_ALLOC(api_pool_create(&pool, base, &config), == 0, api_pool_destroy(pool));
	api_pool_destroy(NULL);
	event_base_free(base);
}

static int
make_store(void **state)
{
	struct store_config config = { .path = store_path };
	struct store *store;
	int fd = mkstemp(store_path);

	if (fd < 0)
		return -1;
	close(fd);
	assert_int_equal(store_open(&store, 0, &config, true), 0);
	store_close(store);
	return 0;
}

static int
remove_store(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-lock" };
	char name[80];

	for (size_t i = 0; i < TEST_COUNT(ends); i++) {
		snprintf(name, sizeof(name), "%s%s", store_path, ends[i]);
		unlink(name);
	}
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_question_delays_no_short_one),
		cmocka_unit_test(what_waits_has_a_bound),
		cmocka_unit_test(stopping_leaves_no_question_behind),
		cmocka_unit_test(creation_survives_no_memory),
	};

	return cmocka_run_group_tests(tests, make_store, remove_store);
}
