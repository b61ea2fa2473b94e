/* Least cycles of each span of a capture over several loops: what a measurement on a shared machine is worth. */
#ifndef MR_BENCH_SPANS_H
#define MR_BENCH_SPANS_H

#include <rte_cycles.h>
#include <stdint.h>

enum { SPANS_MAX = 4096, SPAN_FRAMES = 4096 };

struct spans {
	uint64_t least[SPANS_MAX];
	unsigned int count;
};

/** One loop over frame_count frames. @param loop  0 warms up and does not count. @param burst  frames handled, 0: the end */
static inline void
spans_loop(struct spans *spans, unsigned int loop, uint32_t frame_count, uint16_t (*burst)(void *arg), void *arg)
{
	uint32_t frames = frame_count / SPANS_MAX + SPAN_FRAMES, done;
	unsigned int i = 0;

	do {
		uint64_t since = rte_rdtsc(), took;
		uint16_t received = 1;

		for (done = 0; done < frames && received > 0; done += received)
			received = burst(arg);
		took = rte_rdtsc() - since;
		if (done > 0 && (loop <= 1 || took < spans->least[i]))
			spans->least[i] = took;
		i += done > 0;
	} while (done >= frames && i < SPANS_MAX);
	spans->count = i;
}

static inline double
spans_sum(const struct spans *spans)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < spans->count; i++)
		sum += spans->least[i];
	return (double)sum;
}

#endif
