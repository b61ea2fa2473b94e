/*
 * Flows whose rate makes them elephants: a direction that carried so many bytes within an interval. The interval slides
 * in steps of a tenth; what is over falls out of the sum with its step. Kept beside the flows, and only where asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/flow_table.h"

enum { STEPS = 10 };

struct rate {
	uint64_t sum;         /* of the steps */
	uint64_t last;        /* the latest step: capture time by the length of a step */
	uint64_t bytes[STEPS]; /* by step number, modulo STEPS */
};

struct flow_rates {
	uint64_t step_ns;
	uint64_t limit;
	size_t area_bytes;
	struct rate (*flows)[2]; /* by the flow's index in its table, and side: which key.addr[] sends */
};

int
flow_rates_create(struct flow_rates **out, uint64_t limit, uint64_t interval_s, uint32_t flow_count)
{
	struct flow_rates *rates = calloc(1, sizeof(*rates));

	if (rates == NULL)
		return -ENOMEM;
	rates->limit = limit;
	rates->step_ns = interval_s * UINT64_C(1000000000) / STEPS;
	rates->area_bytes = flow_count * sizeof(*rates->flows);
	rates->flows = mem_area_create(rates->area_bytes);
	if (rates->flows == NULL) {
		free(rates);
		return -ENOMEM;
	}
	*out = rates;
	return 0;
}

void
flow_rates_destroy(struct flow_rates *rates)
{
	if (rates == NULL)
		return;
	mem_area_destroy(rates->flows, rates->area_bytes);
	free(rates);
}

void
flow_rates_begin(struct flow_rates *rates, uint32_t flow_idx)
{
	memset(rates->flows[flow_idx], 0, sizeof(rates->flows[flow_idx]));
}

/* A frame out of order counts with the latest step; after a clock was set back by an interval all begins anew. */
static void
advance(struct rate *rate, uint64_t step)
{
	if (step + STEPS < rate->last || step >= rate->last + STEPS) {
		*rate = (struct rate){ .last = step };
		return;
	}
	while (rate->last < step) {
		uint64_t *oldest = &rate->bytes[++rate->last % STEPS];

		rate->sum -= *oldest;
		*oldest = 0;
	}
}

bool
flow_rates_note(struct flow_rates *rates, uint32_t flow_idx, unsigned int side, uint64_t ts_ns, uint32_t len)
{
	struct rate *rate = &rates->flows[flow_idx][side];

	advance(rate, ts_ns / rates->step_ns);
	rate->bytes[rate->last % STEPS] += len;
	rate->sum += len;
	return rate->sum >= rates->limit;
}
