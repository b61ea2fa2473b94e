/*
 * The parts of a flow that goes on: each is told of by a record of its own, with what was counted since the one before. What
 * was told is kept beside the flows, in pages that exist where a long flow's place is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow/flow_table.h"

enum {
	STEPS = 8, /* of the timeout, at least */
	FOLD = FLOW_PACKETS_MAX / 2,
};

int
flow_tell_parts(struct flow_table *table, flow_part_fn fn, void *arg)
{
	if (table->active_ns == 0)
		return 0;
	table->parts = calloc(table->flow_count, sizeof(*table->parts));
	if (table->parts == NULL)
		return -ENOMEM;
	table->part_fn = fn;
	table->part_arg = arg;
	table->part_shift = 63 - (unsigned int)__builtin_clzll(table->active_ns / STEPS);
	return 0;
}

const struct flow_part *
flow_part(const struct flow_table *table, const struct flow *flow)
{
	return flow->parted ? &table->parts[flow_idx(table, flow)] : NULL;
}

struct flow_part
flow_whole(const struct flow_table *table, const struct flow *flow)
{
	const struct flow_part *part = flow_part(table, flow);
	struct flow_part whole = { .start_ns = flow->first_ns };

	if (part != NULL)
		memcpy(whole.folded, part->folded, sizeof(whole.folded));
	return whole;
}

/* Counts are kept by the end that sends: the roles may be swapped yet. */
static unsigned int
side_of(const struct flow *flow, unsigned int direction)
{
	return (direction == FLOW_TO_SERVER) == ((flow->flags & FLOW_SWAPPED) != 0);
}

uint64_t
flow_packets(const struct flow_table *table, const struct flow *flow, enum flow_direction direction)
{
	return flow->packets[direction] + flow_whole(table, flow).folded[side_of(flow, direction)];
}

static void
note_told(struct flow *flow, struct flow_part *part, uint64_t ts_ns)
{
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int side = side_of(flow, i);

		if (flow->packets[i] == FLOW_PACKETS_MAX) {
			flow->packets[i] -= FOLD;
			part->folded[side] += FOLD;
		}
		part->packets[side] = flow->packets[i] + part->folded[side];
		part->bytes[side] = flow->bytes[i];
	}
	part->start_ns = ts_ns;
	part->count++;
}

static bool
is_time(const struct flow_table *table, const struct flow *flow, const struct flow_part *part, uint64_t ts_ns)
{
	/* a time that is far from its neighbours' is that packet's alone */
	if (clock_is_back(ts_ns, table->now_ns) || clock_is_back(table->now_ns, ts_ns))
		return false;
	return clock_has_passed(ts_ns, flow->parted ? part->start_ns : flow->first_ns, table->active_ns);
}

void
flow_part_tell(struct flow_table *table, struct flow *flow, uint64_t ts_ns)
{
	struct flow_part *part;
	bool full;

	if (table->parts == NULL) {
		for (unsigned int i = 0; i < 2; i++)
			flow->packets[i] -= flow->packets[i] == FLOW_PACKETS_MAX; /* where it is counted again: there it sticks */
		return;
	}
	part = &table->parts[flow_idx(table, flow)];
	full = flow->packets[0] == FLOW_PACKETS_MAX || flow->packets[1] == FLOW_PACKETS_MAX;
	if (!full && !is_time(table, flow, part, ts_ns))
		return;
	flow->end_reason = FLOW_END_ACTIVE;
	table->part_fn(table->part_arg, flow);
	flow->end_reason = FLOW_END_NONE;
	table->pending[FLOW_COUNTER_PARTS]++;
	if (!flow->parted)
		memset(part, 0, sizeof(*part));
	note_told(flow, part, ts_ns);
	flow->parted = true;
	flow->tx_count = 0;
	memset(flow->lost_bytes, 0, sizeof(flow->lost_bytes));
}
