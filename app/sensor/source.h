/*
 * Where a worker's frames come from: a queue of a DPDK port, a capture file, a ring filled
 * by the spreader, or frames kept in memory (the benchmark). All hand out mbufs.
 *
 * Thread: the worker that owns the source, after start.
 */
#ifndef MR_SENSOR_SOURCE_H
#define MR_SENSOR_SOURCE_H

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/config/config.h"

enum { BURST_MAX = 64 };

struct source;

struct source_ops {
	const char *name;
	/** Up to count mbufs, moved to the caller. */
	uint16_t (*rx_burst)(struct source *source, struct rte_mbuf *mbufs[], uint16_t count);
	/** Mbufs go back. NULL: rte_pktmbuf_free_bulk(). */
	void (*give_back)(struct source *source, struct rte_mbuf *mbufs[], uint16_t count);
	void (*destroy)(struct source *source);
};

/** First member of every source. */
struct source {
	const struct source_ops *ops;
	_Atomic bool ended;  /* nothing comes any more (a file's end) */
	bool live;           /* time goes on while no frame comes */
	uint16_t port_idx;
};

static inline uint16_t
source_rx_burst(struct source *source, struct rte_mbuf *mbufs[], uint16_t count)
{
	return source->ops->rx_burst(source, mbufs, count);
}

static inline void
source_give_back(struct source *source, struct rte_mbuf *mbufs[], uint16_t count)
{
	if (source->ops->give_back != NULL)
		source->ops->give_back(source, mbufs, count);
	else
		rte_pktmbuf_free_bulk(mbufs, count);
}

void source_destroy(struct source *source);

/** A queue of a started port. */
int source_port_create(struct source **out, uint16_t port_id, uint16_t queue_id, uint16_t port_idx);
/** A ring that another thread fills; it sets *done when it will not fill any more. */
int source_ring_create(struct source **out, struct rte_ring *ring, const _Atomic bool *done, bool live, uint16_t port_idx);

enum source_file_counter {
	SOURCE_FILE_FRAMES,
	SOURCE_FILE_BYTES,
	SOURCE_FILE_CUT,      /* frames longer than a buffer */
	SOURCE_FILE_ERRORS,   /* files that ended in damage */
	SOURCE_FILE_COUNTER_COUNT,
};

extern const struct counter_desc source_file_counters[SOURCE_FILE_COUNTER_COUNT];

/**
 * Capture files, one after the other, as one stream of frames.
 * @param paths  [path_count], borrowed for the source's life
 * @return 0 or -errno with err set: none can be opened. One of several that cannot is a fault
 */
int source_file_create(struct source **out, const char *const paths[], unsigned int path_count, struct rte_mempool *pool,
	struct rte_mempool *jumbo_pool, struct config_error *err);
struct counter_set source_file_counters_get(struct source *source);
/** Text of what was wrong with the files, one line each; "" when nothing was. After the source ended. */
const char *source_file_faults(const struct source *source);
/** Capture time of the last frame, ns. */
uint64_t source_file_last_ns(const struct source *source);

#endif
