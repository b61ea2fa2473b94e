#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/event/event.h"

const struct counter_desc event_ring_counters[EVENT_RING_COUNTER_COUNT] = {
	[EVENT_RING_PUSHED] = { "ring.events", "events handed to the exporter" },
	[EVENT_RING_DROPPED] = { "ring.events_dropped", "events lost: the ring to the exporter was full" },
	[EVENT_RING_DROPPED_BYTES] = { "ring.bytes_dropped", "bytes of events lost to a full ring" },
};

static_assert(sizeof(struct event) % 8 == 0 && sizeof(struct event_section) % 8 == 0, "sections are 8-byte aligned");

enum {
	WRAP_MARK = 0,      /* event.len of the place from which the producer went back to the start */
	PREFETCH_LEN = 384, /* an event's head and the start of its record */
};

/*
 * head and tail only grow; their low bits are places in the area. Each side keeps a copy of the other's position and
 * looks at the shared one only when its copy says full or empty, and the producer shows its own once a burst, so that
 * the cache lines travel seldom. Both read where the area is; nobody writes there.
 */
struct event_ring {
	uint8_t *area;
	uint64_t size;
	struct {
		uint64_t next; /* behind what was committed; head once it is published */
		uint64_t tail_seen;
		_Atomic uint64_t counters[EVENT_RING_COUNTER_COUNT];
	} producer __attribute__((aligned(128)));
	struct {
		_Atomic uint64_t head;
	} shown __attribute__((aligned(128)));
	struct {
		_Atomic uint64_t tail;
		uint64_t head_seen;
	} consumer __attribute__((aligned(128)));
};

int
event_ring_create(struct event_ring **out, size_t bytes)
{
	struct event_ring *ring;

	if (bytes < 4 * EVENT_LEN_MAX || (bytes & (bytes - 1)) != 0)
		return -EINVAL;
	ring = aligned_alloc(128, sizeof(*ring));
	if (ring == NULL)
		return -ENOMEM;
	memset(ring, 0, sizeof(*ring));
	ring->size = bytes;
	ring->area = mem_area_create(bytes);
	if (ring->area == NULL) {
		event_ring_destroy(ring);
		return -ENOMEM;
	}
	*out = ring;
	return 0;
}

void
event_ring_destroy(struct event_ring *ring)
{
	if (ring == NULL)
		return;
	mem_area_destroy(ring->area, ring->size);
	free(ring);
}

static struct event *
at(const struct event_ring *ring, uint64_t position)
{
	return (struct event *)(void *)(ring->area + (position & (ring->size - 1)));
}

void
event_ring_publish(struct event_ring *ring)
{
	if (atomic_load_explicit(&ring->shown.head, memory_order_relaxed) != ring->producer.next)
		atomic_store_explicit(&ring->shown.head, ring->producer.next, memory_order_release);
}

static bool
has_room(struct event_ring *ring, uint64_t head, uint64_t len)
{
	if (ring->size - (head - ring->producer.tail_seen) >= len)
		return true;
	event_ring_publish(ring); /* nobody makes room of what nobody sees */
	ring->producer.tail_seen = atomic_load_explicit(&ring->consumer.tail, memory_order_acquire);
	return ring->size - (head - ring->producer.tail_seen) >= len;
}

/* What is left before the area's end is skipped where the event does not fit there. */
static uint64_t
skip_of(const struct event_ring *ring, uint64_t head, uint64_t len)
{
	uint64_t to_end = ring->size - (head & (ring->size - 1));

	return to_end < len ? to_end : 0;
}

static uint32_t
aligned(uint32_t len)
{
	return (len + 7) & ~UINT32_C(7);
}

bool
event_ring_has_room(struct event_ring *ring, uint32_t len)
{
	uint64_t head = ring->producer.next;

	len = aligned(len);
	return has_room(ring, head, len + skip_of(ring, head, len));
}

struct event *
event_ring_reserve(struct event_ring *ring, uint32_t len)
{
	uint64_t head = ring->producer.next;
	uint64_t skip;

	assert(len <= EVENT_LEN_MAX);
	len = aligned(len);
	skip = skip_of(ring, head, len);
	if (!has_room(ring, head, len + skip)) {
		counter_add(&ring->producer.counters[EVENT_RING_DROPPED], 1);
		counter_add(&ring->producer.counters[EVENT_RING_DROPPED_BYTES], len);
		return NULL;
	}
	if (skip > 0) {
		at(ring, head)->len = WRAP_MARK;
		head += skip;
		ring->producer.next = head;
	}
	return at(ring, head);
}

/* The lines that the next event is written to were read by the consumer last: they are on their way until it comes. */
static void
prefetch_next(const struct event_ring *ring)
{
	const uint8_t *next = (const uint8_t *)at(ring, ring->producer.next);

	for (unsigned int off = 0; off < PREFETCH_LEN; off += 64)
		__builtin_prefetch(next + off, 1);
}

void
event_ring_commit(struct event_ring *ring, struct event *event)
{
	uint64_t head = ring->producer.next;

	assert(event == at(ring, head) && event->len >= sizeof(*event) && event->len % 8 == 0);
	counter_add(&ring->producer.counters[EVENT_RING_PUSHED], 1);
	ring->producer.next = head + event->len;
	prefetch_next(ring);
}

const struct event *
event_ring_peek(struct event_ring *ring)
{
	uint64_t tail = atomic_load_explicit(&ring->consumer.tail, memory_order_relaxed);

	for (;;) {
		if (tail == ring->consumer.head_seen) {
			ring->consumer.head_seen = atomic_load_explicit(&ring->shown.head, memory_order_acquire);
			if (tail == ring->consumer.head_seen)
				return NULL;
		}
		if (at(ring, tail)->len != WRAP_MARK)
			return at(ring, tail);
		tail += ring->size - (tail & (ring->size - 1));
		atomic_store_explicit(&ring->consumer.tail, tail, memory_order_release);
	}
}

void
event_ring_release(struct event_ring *ring, const struct event *event)
{
	uint64_t tail = atomic_load_explicit(&ring->consumer.tail, memory_order_relaxed);

	atomic_store_explicit(&ring->consumer.tail, tail + event->len, memory_order_release);
}

uint64_t
event_ring_head(const struct event_ring *ring)
{
	return atomic_load_explicit(&ring->shown.head, memory_order_acquire);
}

uint64_t
event_ring_tail(const struct event_ring *ring)
{
	return atomic_load_explicit(&ring->consumer.tail, memory_order_acquire);
}

struct counter_set
event_ring_counters_get(struct event_ring *ring)
{
	return (struct counter_set){ event_ring_counters, ring->producer.counters, EVENT_RING_COUNTER_COUNT };
}
