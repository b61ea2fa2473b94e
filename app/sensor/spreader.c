/*
 * One source, several workers: frames are given to the worker that their sorted addresses name, so that both directions
 * of a flow, and all fragments of a datagram, meet on one core.
 */
#include <errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/sensor/frame_meta.h"
#include "app/sensor/sensor.h"

enum { SPREAD_RING_LEN = 4096, SPREAD_IDLE_US = 50 };

const struct counter_desc spreader_counters[SPREADER_COUNTER_COUNT] = {
	[SPREADER_RECEIVED] = { "spreader.received", "frames taken from a port with fewer queues than workers" },
	[SPREADER_SPREAD] = { "spreader.spread", "frames given to workers" },
	[SPREADER_DROPPED] = { "spreader.dropped", "frames lost: their worker's ring was full" },
	[SPREADER_POLLS] = { "spreader.polls", "times that it asked the port for frames" },
};

struct spreader {
	struct source *source;
	struct rte_ring *rings[WORKER_MAX];
	unsigned int worker_count;
	bool wait;
	_Atomic bool stop;
	_Atomic bool done; /* no frame comes any more: for the workers' sources */
	_Atomic uint64_t counters[SPREADER_COUNTER_COUNT];
};

int
spreader_create(struct spreader **out, struct source *source, unsigned int worker_count, bool wait)
{
	struct spreader *spreader = calloc(1, sizeof(*spreader));

	if (spreader == NULL) {
		source_destroy(source);
		return -ENOMEM;
	}
	spreader->source = source;
	spreader->worker_count = worker_count;
	spreader->wait = wait;
	for (unsigned int i = 0; i < worker_count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "millrace_spread_%u", i);
		spreader->rings[i] = rte_ring_create(name, SPREAD_RING_LEN, (int)rte_socket_id(), RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (spreader->rings[i] == NULL) {
			spreader_destroy(spreader);
			return -ENOMEM;
		}
	}
	*out = spreader;
	return 0;
}

void
spreader_destroy(struct spreader *spreader)
{
	if (spreader == NULL)
		return;
	for (unsigned int i = 0; i < spreader->worker_count; i++)
		rte_ring_free(spreader->rings[i]);
	source_destroy(spreader->source);
	free(spreader);
}

int
spreader_source(struct spreader *spreader, unsigned int worker_idx, struct source **out)
{
	return source_ring_create(out, spreader->rings[worker_idx], &spreader->done, spreader->source->live,
		spreader->source->port_idx);
}

static unsigned int
worker_of(const struct spreader *spreader, struct rte_mbuf *mbuf)
{
	struct packet packet = { .data = rte_pktmbuf_mtod(mbuf, const uint8_t *), .len = mbuf->data_len,
		.link_type = PACKET_LINK_ETHERNET };

	if (!spreader->source->live)
		packet.link_type = frame_meta_of(mbuf)->link_type;
	return packet_spread_hash(&packet) % spreader->worker_count;
}

static void
give(struct spreader *spreader, unsigned int worker_idx, struct rte_mbuf *mbufs[], unsigned int count)
{
	unsigned int given = 0;

	do {
		given += rte_ring_sp_enqueue_burst(spreader->rings[worker_idx], (void *const *)(mbufs + given), count - given, NULL);
		if (given < count && spreader->wait)
			usleep(1);
	} while (given < count && spreader->wait && !atomic_load_explicit(&spreader->stop, memory_order_relaxed));
	counter_add(&spreader->counters[SPREADER_SPREAD], given);
	counter_add(&spreader->counters[SPREADER_DROPPED], count - given);
	rte_pktmbuf_free_bulk(mbufs + given, count - given);
}

static void
spread(struct spreader *spreader, struct rte_mbuf *mbufs[], uint16_t received)
{
	static _Thread_local struct rte_mbuf *to[WORKER_MAX][BURST_MAX];
	unsigned int counts[WORKER_MAX] = { 0 };

	for (uint16_t i = 0; i < received; i++) {
		unsigned int worker_idx = worker_of(spreader, mbufs[i]);

		to[worker_idx][counts[worker_idx]++] = mbufs[i];
	}
	for (unsigned int i = 0; i < spreader->worker_count; i++)
		if (counts[i] > 0)
			give(spreader, i, to[i], counts[i]);
}

int
spreader_run(void *arg)
{
	struct spreader *spreader = arg;
	struct rte_mbuf *mbufs[BURST_MAX];

	while (!atomic_load_explicit(&spreader->stop, memory_order_relaxed)) {
		uint16_t received = source_rx_burst(spreader->source, mbufs, BURST_MAX);

		counter_add(&spreader->counters[SPREADER_POLLS], 1);
		counter_add(&spreader->counters[SPREADER_RECEIVED], received);
		if (received > 0)
			spread(spreader, mbufs, received);
		else if (atomic_load_explicit(&spreader->source->ended, memory_order_relaxed))
			break;
		else
			usleep(SPREAD_IDLE_US);
	}
	atomic_store_explicit(&spreader->done, true, memory_order_release);
	return 0;
}

void
spreader_stop(struct spreader *spreader)
{
	if (spreader != NULL)
		atomic_store(&spreader->stop, true);
}

struct counter_set
spreader_get_counters(struct spreader *spreader)
{
	return (struct counter_set){ spreader_counters, spreader->counters, SPREADER_COUNTER_COUNT };
}
