#include "app/aggregator/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "app/aggregator/age.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	PARKED_AHEAD_MAX = 1 << 20, /* sequences a batch may be ahead of its lane and still wait for the others */
	EXPIRE_MORE_MS = 1,
	EXPIRE_MS = 1000,
	TAKE_UP_MS = 50, /* where other gateways move lanes on, too: how often those that wait are looked at */
};

TAILQ_HEAD(jobs, writer_job);

struct writer {
	struct writer_config config;
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	int fd;
	bool running; /* the thread is to be joined */
	_Atomic bool lost;
	/* Under the lock. */
	struct jobs queue;
	struct jobs done;
	uint64_t bytes; /* of jobs between writer_submit() and writer_take() */
	bool stop;
	/* The door's. */
	struct jobs spare;
	uint64_t spare_bytes;
	/* The thread's. */
	struct jobs appended; /* done at the commit */
	struct jobs parked;   /* ahead of their lane, in order of their deadlines */
	uint64_t parked_bytes;
	uint64_t group_records; /* appended since the last commit */
	uint64_t expire_ms;     /* when to look at retention again */
	struct age age;
	uint64_t take_up_ms;    /* when to look at those that wait again */
};

/* ---- the door's side ---- */

static void
job_free(struct writer_job *job)
{
	buf_destroy(&job->body);
	buf_destroy(&job->lines);
	free(job->records);
	free(job);
}

static uint64_t
job_memory(const struct writer_job *job)
{
	return job->body.cap + job->lines.cap + job->records_cap * sizeof(*job->records);
}

struct writer_job *
writer_job_get(struct writer *writer, uint32_t record_count)
{
	struct writer_job *job = TAILQ_FIRST(&writer->spare);

	if (job != NULL) {
		TAILQ_REMOVE(&writer->spare, job, link);
		writer->spare_bytes -= job_memory(job);
	} else {
		job = calloc(1, sizeof(*job));
	}
	if (job == NULL || record_count <= job->records_cap)
		return job;
	free(job->records);
	job->records_cap = 0;
	job->records = malloc(record_count * sizeof(*job->records));
	if (job->records == NULL) {
		job_free(job);
		return NULL;
	}
	job->records_cap = record_count;
	return job;
}

void
writer_job_put(struct writer *writer, struct writer_job *job)
{
	if (writer->spare_bytes + job_memory(job) > writer->config.queue_bytes_max) {
		job_free(job);
		return;
	}
	job->owner = NULL;
	job->head = NULL;
	writer->spare_bytes += job_memory(job);
	/* The one that was used last is warm. */
	TAILQ_INSERT_HEAD(&writer->spare, job, link);
}

bool
writer_has_room(struct writer *writer)
{
	bool has;

	pthread_mutex_lock(&writer->lock);
	has = writer->bytes < writer->config.queue_bytes_max;
	pthread_mutex_unlock(&writer->lock);
	return has;
}

void
writer_submit(struct writer *writer, struct writer_job *job)
{
	job->bytes = job->body.len + job->lines.len + job->head->count * sizeof(*job->records);
	job->deadline_ms = 0;
	pthread_mutex_lock(&writer->lock);
	writer->bytes += job->bytes;
	TAILQ_INSERT_TAIL(&writer->queue, job, link);
	pthread_cond_signal(&writer->filled);
	pthread_mutex_unlock(&writer->lock);
}

int
writer_fd(const struct writer *writer)
{
	return writer->fd;
}

struct writer_job *
writer_take(struct writer *writer)
{
	struct writer_job *job;
	uint64_t told;

	pthread_mutex_lock(&writer->lock);
	job = TAILQ_FIRST(&writer->done);
	if (job != NULL) {
		TAILQ_REMOVE(&writer->done, job, link);
		writer->bytes -= job->bytes;
	} else if (read(writer->fd, &told, sizeof(told)) < 0 && errno != EAGAIN) {
		log_error("ingest", "eventfd: %s", strerror(errno));
	}
	pthread_mutex_unlock(&writer->lock);
	return job;
}

/* ---- the thread's side: what is done ---- */

/* Hands over the list; the first of them wakes the door. */
static void
give_back(struct writer *writer, struct jobs *jobs)
{
	static const uint64_t one = 1;

	if (TAILQ_EMPTY(jobs))
		return;
	pthread_mutex_lock(&writer->lock);
	TAILQ_CONCAT(&writer->done, jobs, link);
	if (write(writer->fd, &one, sizeof(one)) != sizeof(one))
		log_error("ingest", "eventfd: %s", strerror(errno));
	pthread_mutex_unlock(&writer->lock);
}

static void
finish(struct writer *writer, struct writer_job *job, enum writer_verdict verdict)
{
	struct jobs one = TAILQ_HEAD_INITIALIZER(one);

	job->verdict = verdict;
	TAILQ_INSERT_TAIL(&one, job, link);
	give_back(writer, &one);
}

static void
finish_hole(struct writer *writer, struct writer_job *job, uint64_t expected)
{
	job->done.next = expected;
	finish(writer, job, WRITER_HOLE);
}

static void
finish_appended(struct writer *writer, enum writer_verdict verdict)
{
	struct writer_job *job;

	TAILQ_FOREACH(job, &writer->appended, link)
		job->verdict = verdict;
	give_back(writer, &writer->appended);
	writer->group_records = 0;
}

static void
commit(struct writer *writer)
{
	int err = store_commit(writer->store);

	if (err == 0 && writer->group_records > 0)
		counter_add(&writer->config.counters[WRITER_COMMITS], 1);
	finish_appended(writer, err == 0 ? WRITER_STORED : WRITER_NOT_DURABLE);
}

/* ---- a batch's place in its lane ---- */

/* Once it waits, it waits no longer than from then on. */
static void
park(struct writer *writer, struct writer_job *job)
{
	if (job->deadline_ms == 0)
		job->deadline_ms = clock_ms() + writer->config.reorder_ms;
	writer->parked_bytes += job->bytes;
	TAILQ_INSERT_TAIL(&writer->parked, job, link);
}

/* Nothing came of it: where nothing else was appended, the store is not to hold its lane either. */
static void
let_go(struct writer *writer)
{
	if (store_is_shared(writer->store) && TAILQ_EMPTY(&writer->appended))
		store_rollback(writer->store);
}

/* @return whether the store stands, and this batch alone is not taken */
static bool
refused(int err, enum writer_verdict *verdict)
{
	static const struct {
		int err;
		enum writer_verdict verdict;
	} refusals[] = {
		{ -ERANGE, WRITER_HOLE }, { -EALREADY, WRITER_COMPARE }, { -ESTALE, WRITER_FOREIGN }, { -EDQUOT, WRITER_QUOTA },
		{ -EHOSTUNREACH, WRITER_FAILED },
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		*verdict = refusals[i].verdict;
		if (refusals[i].err == err)
			return true;
	}
	return false;
}

static void
append(struct writer *writer, struct writer_job *job)
{
	const struct store_body body = { .data = job->body.data, .len = job->body.len, .lines = job->lines.data,
		.lines_len = job->lines.len };
	int err = store_append(writer->store, job->head, &body, job->records, &job->done);
	enum writer_verdict verdict;

	if (refused(err, &verdict)) {
		let_go(writer);
		finish(writer, job, verdict);
	} else if (err == -EAGAIN) {
		let_go(writer);
		park(writer, job);
	} else if (err < 0) {
		store_rollback(writer->store);
		finish_appended(writer, WRITER_NOT_DURABLE);
		finish(writer, job, WRITER_FAILED);
	} else {
		writer->group_records += job->done.stored;
		TAILQ_INSERT_TAIL(&writer->appended, job, link);
		if (err > 0)
			commit(writer);
	}
}

enum place { PLACE_NEXT, PLACE_AHEAD, PLACE_FAILED };

static enum place
place_of(struct writer *writer, const struct batch_head *head, uint64_t *expected)
{
	if (store_next_sequence(writer->store, head, expected) != 0)
		return PLACE_FAILED;
	if (head->skip_to > *expected)
		return head->sequence > head->skip_to ? PLACE_AHEAD : PLACE_NEXT;
	return head->sequence > *expected ? PLACE_AHEAD : PLACE_NEXT;
}

static bool
same_lane(const struct batch_head *a, const struct batch_head *b)
{
	return a->lane == b->lane && a->epoch == b->epoch && strcmp(a->sensor, b->sensor) == 0;
}

static void
unlist_parked(struct writer *writer, struct writer_job *job)
{
	TAILQ_REMOVE(&writer->parked, job, link);
	writer->parked_bytes -= job->bytes;
}

/* The parked batch of the lane that has become next, taken off the list; NULL: none. */
static struct writer_job *
unpark(struct writer *writer, const struct batch_head *head)
{
	struct writer_job *job;
	uint64_t expected;

	TAILQ_FOREACH(job, &writer->parked, link) {
		if (!same_lane(job->head, head) || place_of(writer, job->head, &expected) != PLACE_NEXT)
			continue;
		unlist_parked(writer, job);
		return job;
	}
	return NULL;
}

/* What waits here keeps others out of the queue, maybe the very ones it waits for: so it is half of it at most. */
static bool
may_park(const struct writer *writer, const struct writer_job *job, uint64_t expected)
{
	return writer->config.reorder_ms > 0 && job->head->sequence - expected < PARKED_AHEAD_MAX &&
		writer->parked_bytes + job->bytes <= writer->config.queue_bytes_max / 2;
}

static void
place(struct writer *writer, struct writer_job *job)
{
	struct batch_head head = *job->head;
	uint64_t expected;
	enum place at = place_of(writer, &head, &expected);

	if (at == PLACE_FAILED) {
		finish(writer, job, WRITER_FAILED);
		return;
	}
	if (at == PLACE_AHEAD && may_park(writer, job, expected)) {
		counter_add(&writer->config.counters[WRITER_REORDERED], 1);
		park(writer, job);
		return;
	}
	if (at == PLACE_AHEAD) {
		finish_hole(writer, job, expected);
		return;
	}
	append(writer, job);
	/* Each turn takes one off the list, so it ends. */
	while ((job = unpark(writer, &head)) != NULL)
		append(writer, job);
	if (writer->group_records >= writer->config.group_records)
		commit(writer);
}

/* ---- the thread ---- */

/* Another gateway may have stored what these wait for, or let go of their lane. Each is looked at once. */
static void
take_up_parked(struct writer *writer, uint64_t now_ms)
{
	struct jobs waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct writer_job *job;
	uint64_t expected;

	if (!store_is_shared(writer->store) || now_ms < writer->take_up_ms)
		return;
	writer->take_up_ms = now_ms + TAKE_UP_MS;
	TAILQ_CONCAT(&waiting, &writer->parked, link);
	writer->parked_bytes = 0;
	while ((job = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, job, link);
		if (place_of(writer, job->head, &expected) == PLACE_NEXT)
			append(writer, job);
		else
			park(writer, job);
	}
}

static void
give_up_parked(struct writer *writer, uint64_t now_ms)
{
	struct writer_job *job;
	uint64_t expected;

	while ((job = TAILQ_FIRST(&writer->parked)) != NULL && job->deadline_ms <= now_ms) {
		unlist_parked(writer, job);
		if (place_of(writer, job->head, &expected) == PLACE_FAILED)
			finish(writer, job, WRITER_FAILED);
		else
			finish_hole(writer, job, expected);
	}
}

/* Deletions are a transaction of their own. */
static void
expire(struct writer *writer, uint64_t now_ms)
{
	uint64_t deleted;
	int more;

	if (now_ms < writer->expire_ms)
		return;
	commit(writer);
	more = store_expire(writer->store, age_now(&writer->age, now_ms, (uint64_t)time(NULL)), &deleted);
	writer->expire_ms = now_ms + (more > 0 ? EXPIRE_MORE_MS : EXPIRE_MS);
}

static void
wait_until(struct writer *writer, uint64_t ms)
{
	struct timespec until = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)pthread_cond_timedwait(&writer->filled, &writer->lock, &until);
}

/* The next batch. @param patient waits for one, but not beyond what else there is to do. @param stop out: none will come */
static struct writer_job *
next_job(struct writer *writer, bool patient, bool *stop)
{
	const struct writer_job *parked = TAILQ_FIRST(&writer->parked);
	uint64_t until = parked != NULL && parked->deadline_ms < writer->expire_ms ? parked->deadline_ms : writer->expire_ms;
	struct writer_job *job;

	if (parked != NULL && store_is_shared(writer->store) && writer->take_up_ms < until)
		until = writer->take_up_ms;
	pthread_mutex_lock(&writer->lock);
	while (patient && TAILQ_EMPTY(&writer->queue) && !writer->stop && clock_ms() < until)
		wait_until(writer, until);
	job = TAILQ_FIRST(&writer->queue);
	if (job != NULL)
		TAILQ_REMOVE(&writer->queue, job, link);
	*stop = job == NULL && writer->stop;
	pthread_mutex_unlock(&writer->lock);
	return job;
}

/* The door is woken, whatever else it waits for. */
static void
look_at_store(struct writer *writer)
{
	static const uint64_t one = 1;

	if (writer->lost || !store_is_lost(writer->store))
		return;
	writer->lost = true;
	if (write(writer->fd, &one, sizeof(one)) != sizeof(one))
		log_error("ingest", "eventfd: %s", strerror(errno));
}

static void *
run(void *arg)
{
	struct writer *writer = arg;
	struct writer_job *job;
	bool stop = false;

	while (!stop) {
		uint64_t now_ms;

		/* A group is as large as what has come meanwhile. */
		job = next_job(writer, TAILQ_EMPTY(&writer->appended), &stop);
		if (job != NULL)
			place(writer, job);
		else
			commit(writer);
		now_ms = clock_ms();
		take_up_parked(writer, now_ms);
		give_up_parked(writer, now_ms);
		expire(writer, now_ms);
		look_at_store(writer);
	}
	while ((job = TAILQ_FIRST(&writer->parked)) != NULL) {
		unlist_parked(writer, job);
		finish(writer, job, WRITER_STOPPED);
	}
	return NULL;
}

/* ---- life ---- */

static int
create_wait(struct writer *writer)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->filled, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&writer->lock, NULL);
	writer->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return writer->fd < 0 ? -errno : 0;
}

int
writer_create(struct writer **out, const struct writer_config *config, struct store *store)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int err;

	if (writer == NULL)
		return -ENOMEM;
	writer->config = *config;
	writer->store = store;
	TAILQ_INIT(&writer->queue);
	TAILQ_INIT(&writer->done);
	TAILQ_INIT(&writer->spare);
	TAILQ_INIT(&writer->appended);
	TAILQ_INIT(&writer->parked);
	err = create_wait(writer);
	if (err == 0)
		err = -pthread_create(&writer->thread, NULL, run, writer);
	writer->running = err == 0;
	if (err != 0) {
		writer_destroy(writer);
		return err;
	}
	*out = writer;
	return 0;
}

void
writer_stop(struct writer *writer)
{
	if (!writer->running)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stop = true;
	pthread_cond_signal(&writer->filled);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	writer->running = false;
}

bool
writer_is_lost(const struct writer *writer)
{
	return writer->lost;
}

bool
writer_is_stopped(const struct writer *writer)
{
	return !writer->running;
}

void
writer_destroy(struct writer *writer)
{
	struct writer_job *job;

	if (writer == NULL)
		return;
	writer_stop(writer);
	TAILQ_CONCAT(&writer->spare, &writer->done, link);
	while ((job = TAILQ_FIRST(&writer->spare)) != NULL) {
		TAILQ_REMOVE(&writer->spare, job, link);
		job_free(job);
	}
	if (writer->fd >= 0)
		close(writer->fd);
	pthread_cond_destroy(&writer->filled);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}
