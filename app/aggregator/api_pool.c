#include "app/aggregator/api_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/base/log.h"

STAILQ_HEAD(tasks, api_task);

struct asker {
	struct api_pool *pool;
	struct store *store;
	pthread_t thread;
	bool running;
};

struct api_pool {
	struct api_pool_config config;
	struct asker askers[API_POOL_THREADS_MAX];
	_Atomic bool cancel; /* what runs is to end */
	struct event *event;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	int fd;
	/* Under the lock. */
	struct tasks queue;
	struct tasks finished;
	uint64_t waiting;
	bool stop;
};

static void
give_back(struct api_pool *pool, struct api_task *task)
{
	static const uint64_t one = 1;

	pthread_mutex_lock(&pool->lock);
	STAILQ_INSERT_TAIL(&pool->finished, task, link);
	pthread_mutex_unlock(&pool->lock);
	if (write(pool->fd, &one, sizeof(one)) != sizeof(one))
		log_error("api", "eventfd: %s", strerror(errno));
}

static struct api_task *
next_task(struct api_pool *pool)
{
	struct api_task *task;

	pthread_mutex_lock(&pool->lock);
	while (STAILQ_EMPTY(&pool->queue) && !pool->stop)
		pthread_cond_wait(&pool->filled, &pool->lock);
	task = STAILQ_FIRST(&pool->queue);
	if (task != NULL) {
		STAILQ_REMOVE_HEAD(&pool->queue, link);
		pool->waiting--;
	}
	pthread_mutex_unlock(&pool->lock);
	return task;
}

static void *
run(void *arg)
{
	struct asker *asker = arg;
	struct api_pool *pool = asker->pool;
	struct api_task *task;

	while ((task = next_task(pool)) != NULL) {
		task->err = atomic_load(&pool->cancel) ? -ECANCELED : task->work(task, asker->store);
		give_back(pool, task);
	}
	return NULL;
}

static void
finish(struct api_pool *pool)
{
	struct api_task *task;

	for (;;) {
		pthread_mutex_lock(&pool->lock);
		task = STAILQ_FIRST(&pool->finished);
		if (task != NULL)
			STAILQ_REMOVE_HEAD(&pool->finished, link);
		pthread_mutex_unlock(&pool->lock);
		if (task == NULL)
			return;
		task->done(task);
	}
}

static void
on_finished(evutil_socket_t fd, short what, void *arg)
{
	struct api_pool *pool = arg;
	uint64_t told;

	/* First, so that what comes behind finish() tells again. */
	if (read(pool->fd, &told, sizeof(told)) < 0 && errno != EAGAIN)
		log_error("api", "eventfd: %s", strerror(errno));
	finish(pool);
}

int
api_pool_submit(struct api_pool *pool, struct api_task *task)
{
	bool takes;

	pthread_mutex_lock(&pool->lock);
	takes = !pool->stop && pool->waiting < pool->config.tasks_max;
	if (takes) {
		STAILQ_INSERT_TAIL(&pool->queue, task, link);
		pool->waiting++;
		pthread_cond_signal(&pool->filled);
	}
	pthread_mutex_unlock(&pool->lock);
	return takes ? 0 : -EBUSY;
}

/* ---- life ---- */

static int
start(struct asker *asker, struct api_pool *pool)
{
	int err;

	asker->pool = pool;
	err = store_open(&asker->store, pool->config.store_kind, &pool->config.store, false);
	if (err == 0)
		err = -pthread_create(&asker->thread, NULL, run, asker);
	asker->running = err == 0;
	return err;
}

int
api_pool_create(struct api_pool **out, struct event_base *base, const struct api_pool_config *config)
{
	struct api_pool *pool = calloc(1, sizeof(*pool));
	int err;

	if (pool == NULL)
		return -ENOMEM;
	pool->config = *config;
	pool->config.store.cancel = &pool->cancel;
	STAILQ_INIT(&pool->queue);
	STAILQ_INIT(&pool->finished);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->filled, NULL);
	pool->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = pool->fd < 0 ? -errno : 0;
	if (err == 0)
		pool->event = event_new(base, pool->fd, EV_READ | EV_PERSIST, on_finished, pool);
	if (err == 0 && (pool->event == NULL || event_add(pool->event, NULL) != 0))
		err = -ENOMEM;
	for (uint64_t i = 0; i < config->threads && i < API_POOL_THREADS_MAX && err == 0; i++)
		err = start(&pool->askers[i], pool);
	if (err != 0) {
		api_pool_destroy(pool);
		return err;
	}
	*out = pool;
	return 0;
}

void
api_pool_stop(struct api_pool *pool)
{
	atomic_store(&pool->cancel, true);
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->filled);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < API_POOL_THREADS_MAX; i++)
		if (pool->askers[i].running)
			pthread_join(pool->askers[i].thread, NULL);
	for (unsigned int i = 0; i < API_POOL_THREADS_MAX; i++)
		pool->askers[i].running = false;
	finish(pool);
}

void
api_pool_destroy(struct api_pool *pool)
{
	if (pool == NULL)
		return;
	api_pool_stop(pool);
	for (unsigned int i = 0; i < API_POOL_THREADS_MAX; i++)
		store_close(pool->askers[i].store);
	if (pool->event != NULL)
		event_free(pool->event);
	if (pool->fd >= 0)
		close(pool->fd);
	pthread_cond_destroy(&pool->filled);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
