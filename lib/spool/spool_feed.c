#include "lib/spool/spool_feed.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/spool/spool_private.h"

enum {
	HEAD_LEN = 8,
	SIZE_MIN = 4 * (SPOOL_RECORD_LEN_MAX + HEAD_LEN),
	WAIT_STEP_US = 500,
	TAKE_MAX = 4096, /* records between two looks at the clock */
};

/* Before each record in the queue. */
struct head {
	uint32_t len;
	uint32_t lane; /* LINK_LANE_COUNT: the rest up to the queue's end is empty */
};

static_assert(sizeof(struct head) == HEAD_LEN, "records follow at multiples of it");

struct spool_feed {
	struct spool *spool;
	struct spool_feed_config config;
	uint8_t *queue; /* [size] */
	size_t size;    /* a power of two */
	int wake_fd;
	pthread_t thread;
	bool started;

	/* Written by the caller. */
	alignas(64) _Atomic uint64_t tail; /* positions only grow */
	_Atomic uint64_t asked;
	_Atomic uint64_t shed[LINK_LANE_COUNT];
	_Atomic bool stop;
	uint64_t half;  /* the thread is woken when the tail passes it */
	bool shedding;

	/* Written by the thread. */
	alignas(64) _Atomic uint64_t head;
	_Atomic uint64_t done;
	uint64_t reported[LINK_LANE_COUNT]; /* of shed */
	uint64_t flushed_ms;
};

/* Whether records were shed since they were last reported. Reports cost a segment each: one a flush, when all is taken. */
static void
report_shed(struct spool_feed *feed)
{
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		uint64_t shed = counter_get(&feed->shed[i]);

		if (shed == feed->reported[i])
			continue;
		spool_give_up(feed->spool, i, shed - feed->reported[i]);
		feed->reported[i] = shed;
	}
}

/* Gives the spool some of what is queued. Returns whether that was all. */
static bool
take(struct spool_feed *feed)
{
	uint64_t head = atomic_load_explicit(&feed->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&feed->tail, memory_order_acquire);

	for (unsigned int i = 0; head != tail && i < TAKE_MAX; i++) {
		size_t at = head & (feed->size - 1);
		struct head record;

		memcpy(&record, feed->queue + at, sizeof(record));
		if (record.lane < LINK_LANE_COUNT)
			spool_append(feed->spool, record.lane, feed->queue + at + HEAD_LEN, record.len);
		head += record.lane < LINK_LANE_COUNT ? (HEAD_LEN + record.len + HEAD_LEN - 1) & ~(uint64_t)(HEAD_LEN - 1) :
			feed->size - at;
		atomic_store_explicit(&feed->head, head, memory_order_release);
	}
	return head == tail;
}

static void
flush(struct spool_feed *feed, uint64_t asked, bool empty)
{
	if (empty)
		report_shed(feed);
	spool_flush(feed->spool);
	feed->flushed_ms = clock_ms();
	if (empty)
		atomic_store_explicit(&feed->done, asked, memory_order_release);
	if (feed->config.flushed != NULL)
		feed->config.flushed(feed->config.arg);
}

static void *
run(void *arg)
{
	struct spool_feed *feed = arg;
	bool stop;

	do {
		stop = atomic_load_explicit(&feed->stop, memory_order_acquire);
		uint64_t asked = atomic_load_explicit(&feed->asked, memory_order_acquire);
		bool empty = take(feed);

		if (clock_ms() >= feed->flushed_ms + SPOOL_FEED_FLUSH_MS ||
			(empty && asked != atomic_load_explicit(&feed->done, memory_order_relaxed)))
			flush(feed, asked, empty);
		if (!empty) {
			stop = false;
			continue;
		}
		struct pollfd wake = { .fd = feed->wake_fd, .events = POLLIN };
		uint64_t count;

		if (!stop && poll(&wake, 1, SPOOL_FEED_FLUSH_MS) > 0 && read(feed->wake_fd, &count, sizeof(count)) < 0)
			continue;
	} while (!stop);
	report_shed(feed);
	spool_flush(feed->spool);
	return NULL;
}

int
spool_feed_create(struct spool_feed **out, struct spool *spool, const struct spool_feed_config *config)
{
	struct spool_feed *feed = aligned_alloc(64, sizeof(*feed));

	if (feed == NULL)
		return -ENOMEM;
	memset(feed, 0, sizeof(*feed));
	feed->spool = spool;
	feed->config = *config;
	for (feed->size = SIZE_MIN; feed->size < config->size || (feed->size & (feed->size - 1)) != 0;)
		feed->size = (feed->size | (feed->size - 1)) + 1;
	feed->wake_fd = eventfd(0, EFD_CLOEXEC);
	feed->queue = malloc(feed->size);
	int rc = feed->queue == NULL ? -ENOMEM : feed->wake_fd < 0 ? -errno : 0;

	if (rc == 0)
		rc = -pthread_create(&feed->thread, NULL, run, feed);
	feed->started = rc == 0;
	if (rc < 0) {
		spool_feed_destroy(feed);
		return rc;
	}
	*out = feed;
	return 0;
}

static void
wake(struct spool_feed *feed)
{
	const uint64_t one = 1;

	/* It can fail only when the thread has been woken so often that once more says nothing. */
	if (write(feed->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void
spool_feed_destroy(struct spool_feed *feed)
{
	if (feed == NULL)
		return;
	if (feed->started) {
		atomic_store_explicit(&feed->stop, true, memory_order_release);
		wake(feed);
		pthread_join(feed->thread, NULL);
	}
	if (feed->wake_fd >= 0)
		close(feed->wake_fd);
	free(feed->queue);
	free(feed);
}

static uint64_t
used(const struct spool_feed *feed)
{
	return atomic_load_explicit(&feed->tail, memory_order_relaxed) -
		atomic_load_explicit(&feed->head, memory_order_acquire);
}

/* Waits for room. Once it waited in vain the disk is taken to hang, and nobody waits until the queue is half empty. */
static bool
has_room(struct spool_feed *feed, uint64_t need)
{
	if (feed->shedding && used(feed) > feed->size / 2)
		return false;
	feed->shedding = false;
	if (used(feed) + need <= feed->size)
		return true;
	uint64_t end_ms = clock_ms() + SPOOL_FEED_WAIT_MS;

	wake(feed);
	while (feed->config.waits || clock_ms() < end_ms) {
		usleep(WAIT_STEP_US);
		if (used(feed) + need <= feed->size)
			return true;
	}
	feed->shedding = true;
	return false;
}

bool
spool_feed_put(struct spool_feed *feed, enum link_lane lane, const void *line, size_t len)
{
	uint64_t tail = atomic_load_explicit(&feed->tail, memory_order_relaxed);
	struct head head = { .len = (uint32_t)len, .lane = (uint32_t)lane };
	size_t need = (HEAD_LEN + len + HEAD_LEN - 1) & ~(size_t)(HEAD_LEN - 1);
	size_t at = tail & (feed->size - 1);
	size_t skip = at + need <= feed->size ? 0 : feed->size - at;

	if (len == 0 || len > SPOOL_RECORD_LEN_MAX || !has_room(feed, skip + need)) {
		counter_add(&feed->shed[lane], 1);
		spool_count(feed->spool, SPOOL_SHED, 1);
		return false;
	}
	if (skip > 0) {
		const struct head rest = { .lane = LINK_LANE_COUNT };

		memcpy(feed->queue + at, &rest, sizeof(rest));
		at = 0;
	}
	memcpy(feed->queue + at, &head, sizeof(head));
	memcpy(feed->queue + at + HEAD_LEN, line, len);
	atomic_store_explicit(&feed->tail, tail + skip + need, memory_order_release);
	if (tail + skip + need >= feed->half) {
		feed->half = tail + feed->size / 4;
		wake(feed);
	}
	return true;
}

void
spool_feed_ask(struct spool_feed *feed)
{
	counter_add(&feed->asked, 1);
	wake(feed);
}

int
spool_feed_flush(struct spool_feed *feed, uint64_t timeout_ms)
{
	uint64_t end_ms = clock_ms() + timeout_ms;

	spool_feed_ask(feed);
	while (atomic_load_explicit(&feed->done, memory_order_acquire) < counter_get(&feed->asked)) {
		if (clock_ms() >= end_ms)
			return -ETIMEDOUT;
		usleep(WAIT_STEP_US);
	}
	return 0;
}
