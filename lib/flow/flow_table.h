/* Inside lib/flow: the table. */
#ifndef MR_FLOW_FLOW_TABLE_H
#define MR_FLOW_FLOW_TABLE_H

#include "lib/base/clock.h"
#include "lib/flow/flow.h"

enum {
	FLOW_BUCKET_SLOTS = 10,
	FLOW_WHEEL_SLOTS = 4096,   /* seconds; a later deadline is looked at again when its slot comes */
	FLOW_RESERVE = 2 * FLOW_BURST_MAX, /* flows that may wait for flow_expire() */
	FLOW_EVICT_SCAN = 64,      /* flows looked at for a victim */
	FLOW_SLOT_NONE = 0xffff,
};

static const uint32_t FLOW_IDX_NONE = UINT32_MAX;

/** Signatures are compared at once; a flow lies in its first bucket or, when that was full, in its second. */
struct flow_bucket {
	uint16_t signatures[FLOW_BUCKET_SLOTS]; /* 0: free */
	uint16_t spilled; /* flows whose first bucket is this and that lie in their second */
	uint16_t reserved;
	uint32_t flows[FLOW_BUCKET_SLOTS];
};

_Static_assert(sizeof(struct flow_bucket) == 64, "one cache line");

struct flow_table {
	struct flow_bucket *buckets;
	uint32_t bucket_mask;
	struct flow *flows;
	uint32_t flow_count;   /* of the area, FLOW_RESERVE included */
	uint32_t unused;       /* flows[unused..flow_count) were never taken */
	uint32_t free_head;    /* linked by timer_next */
	uint32_t free_count;   /* those on the list and the never taken */
	uint32_t ended_head, ended_tail; /* linked by timer_next, in order of ending */
	uint32_t clock_hand;
	bool emergency;
	uint32_t recovery_free; /* free flows that end the emergency */
	uint64_t now_ns;       /* of the burst at hand */
	uint64_t wheel_s;      /* next second of the wheel to look at */
	uint32_t wheel[FLOW_WHEEL_SLOTS];
	uint64_t timeouts_ns[2][FLOW_TIMEOUT_CLASS_COUNT][FLOW_STATE_COUNT]; /* [1]: in emergency mode */
	uint64_t pending[FLOW_COUNTER_COUNT];
	_Atomic uint64_t *counters;
	struct seen *duplicates; /* NULL: not looked for */
	uint64_t duplicate_ns;
	struct flow_rates *rates; /* NULL: not followed */
	struct flow_part *parts; /* [flow_count]; NULL: flows are told of at their end alone. Only those of long flows are ever touched */
	unsigned int part_shift; /* nanoseconds to the steps in which a flow's time is looked at; 63: never */
	uint64_t active_ns;
	flow_part_fn part_fn;
	void *part_arg;
	size_t flows_bytes, buckets_bytes;
};

static inline uint32_t
flow_idx(const struct flow_table *table, const struct flow *flow)
{
	return (uint32_t)(flow - table->flows);
}

static inline uint64_t
flow_timeout_ns(const struct flow_table *table, const struct flow *flow)
{
	return table->timeouts_ns[table->emergency][flow->timeout_class][flow->state];
}

/** Whether a flow's time is over at now: then a packet of the same key starts another one. */
static inline bool
flow_is_over(const struct flow_table *table, const struct flow *flow, uint64_t now_ns)
{
	return now_ns > flow->last_ns && now_ns - flow->last_ns > flow_timeout_ns(table, flow);
}

/** Whether a packet is of another step than the one before it. The steps of flows begin at different times, by their hash. */
static inline bool
flow_part_step(const struct flow_table *table, const struct flow *flow, uint64_t ts_ns)
{
	uint64_t phase = (uint64_t)flow->hash << 32 >> (64 - table->part_shift);

	return ((ts_ns + phase) ^ (flow->last_ns + phase)) >> table->part_shift != 0;
}

/** Tells a part of the flow, if it is time. */
void flow_part_tell(struct flow_table *table, struct flow *flow, uint64_t ts_ns);
/** @param limit  bytes of one side within interval_s, from which it is an elephant. @return 0 or -ENOMEM */
int flow_rates_create(struct flow_rates **out, uint64_t limit, uint64_t interval_s, uint32_t flow_count);
void flow_rates_destroy(struct flow_rates *rates);
/** The place belongs to a new flow. */
void flow_rates_begin(struct flow_rates *rates, uint32_t flow_idx);
/** Adds a frame. @param side  which of flow.key.addr[] sends. @return whether the side has reached the limit */
bool flow_rates_note(struct flow_rates *rates, uint32_t flow_idx, unsigned int side, uint64_t ts_ns, uint32_t len);
/** The flow of a packet's key, or NULL. */
struct flow *flow_find(struct flow_table *table, const struct packet *packet);
/** A new flow in the index, evicting others where it must; NULL when there is no room. */
struct flow *flow_make(struct flow_table *table, const struct packet *packet);
/** Takes a flow out of index and wheel and queues it for flow_expire(). */
void flow_finish(struct flow_table *table, struct flow *flow, enum flow_end reason);
void flow_timer_arm(struct flow_table *table, struct flow *flow);
void flow_timer_disarm(struct flow_table *table, struct flow *flow);
/** Ends the least valuable of the flows under the clock hand. */
void flow_evict_one(struct flow_table *table);
/** Follows a TCP segment of a flow that has its direction. */
void flow_tcp_update(struct flow *flow, const struct packet *packet, bool to_server);

#endif
