/*
 * Threads that ask the store, each with a handle of its own, so that a long question delays no short one. What is to be asked
 * is a task: work() runs on one of the threads, then done() on the base's. Tasks begin in the order they came.
 *
 * Thread: the base's.
 */
#ifndef MR_AGGREGATOR_API_POOL_H
#define MR_AGGREGATOR_API_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/store/store.h"

struct event_base;
struct api_pool;

/** The first member of the caller's struct. */
struct api_task {
	/** @return 0 or -errno, kept in err. Runs on a thread of the pool. */
	int (*work)(struct api_task *task, struct store *store);
	/** Whatever became of it; may free the task. */
	void (*done)(struct api_task *task);
	int err; /* -ECANCELED: the pool was stopped before its turn */
	STAILQ_ENTRY(api_task) link;
};

struct api_pool_config {
	unsigned int store_kind;
	struct store_config store;
	uint64_t threads;   /* 1..API_POOL_THREADS_MAX */
	uint64_t tasks_max; /* that wait */
};

enum { API_POOL_THREADS_MAX = 32 };

/** @return 0 or -errno, logged. */
int api_pool_create(struct api_pool **out, struct event_base *base, const struct api_pool_config *config);
/** Ends the questions that run and waits for the threads; then every task is done. Call it when the base runs no more. */
void api_pool_stop(struct api_pool *pool);
void api_pool_destroy(struct api_pool *pool);
/** @return 0, or -EBUSY: too many wait, or it is stopped, and done() will not be called */
int api_pool_submit(struct api_pool *pool, struct api_task *task);

#endif
