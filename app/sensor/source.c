#include "app/sensor/source.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <stdlib.h>

#include "app/sensor/frame_meta.h"

int frame_meta_offset = -1;
int frame_time_offset = -1;
uint64_t frame_time_flag;

int
frame_meta_register(void)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "millrace_frame_meta",
		.size = sizeof(struct frame_meta),
		.align = __alignof__(struct frame_meta),
	};

	if (rte_mbuf_dyn_rx_timestamp_register(&frame_time_offset, &frame_time_flag) != 0)
		return -rte_errno;
	frame_meta_offset = rte_mbuf_dynfield_register(&field);
	return frame_meta_offset < 0 ? -rte_errno : 0;
}

void
source_destroy(struct source *source)
{
	if (source != NULL)
		source->ops->destroy(source);
}

static void
free_source(struct source *source)
{
	free(source);
}

struct source_port {
	struct source base;
	uint16_t port_id;
	uint16_t queue_id;
};

static uint16_t
port_rx_burst(struct source *source, struct rte_mbuf *mbufs[], uint16_t count)
{
	const struct source_port *port = (const struct source_port *)source;

	return rte_eth_rx_burst(port->port_id, port->queue_id, mbufs, count);
}

static const struct source_ops port_ops = { .name = "port", .rx_burst = port_rx_burst, .destroy = free_source };

int
source_port_create(struct source **out, uint16_t port_id, uint16_t queue_id, uint16_t port_idx)
{
	struct source_port *port = calloc(1, sizeof(*port));

	if (port == NULL)
		return -ENOMEM;
	port->base = (struct source){ .ops = &port_ops, .live = true, .port_idx = port_idx };
	port->port_id = port_id;
	port->queue_id = queue_id;
	*out = &port->base;
	return 0;
}

struct source_ring {
	struct source base;
	struct rte_ring *ring;
	const _Atomic bool *done;
};

static uint16_t
ring_rx_burst(struct source *source, struct rte_mbuf *mbufs[], uint16_t count)
{
	struct source_ring *ring = (struct source_ring *)source;
	bool done = atomic_load_explicit(ring->done, memory_order_acquire); /* before the ring is found empty */
	uint16_t got = (uint16_t)rte_ring_sc_dequeue_burst(ring->ring, (void **)mbufs, count, NULL);

	if (got == 0 && done)
		atomic_store_explicit(&source->ended, true, memory_order_relaxed);
	return got;
}

static const struct source_ops ring_ops = { .name = "ring", .rx_burst = ring_rx_burst, .destroy = free_source };

int
source_ring_create(struct source **out, struct rte_ring *ring, const _Atomic bool *done, bool live, uint16_t port_idx)
{
	struct source_ring *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return -ENOMEM;
	source->base = (struct source){ .ops = &ring_ops, .live = live, .port_idx = port_idx };
	source->ring = ring;
	source->done = done;
	*out = &source->base;
	return 0;
}
