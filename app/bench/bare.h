/* What DPDK's own calls cost on the same frames, nothing of the sensor around them: the limits that stages are held to. */
#ifndef MR_BENCH_BARE_H
#define MR_BENCH_BARE_H

#include "app/bench/memory_source.h"

struct bare_result {
	double rx;     /* cycles a frame: receive, touch the header, give back */
	double lookup; /* and read addresses and ports by hand, find their flow with rte_hash_lookup_bulk_data() */
	uint32_t flows;
};

/** The least of the loops, in spans of about a millisecond. @param loops  at least 1. @return 0 or -errno */
int bare_measure(const struct memory_capture *capture, struct rte_mempool *pool, unsigned int loops,
	struct bare_result *out);

#endif
