/* Hyperscan alone: what the rules gave it in one loop over the capture, scanned again with nothing around it. */
#ifndef MR_BENCH_SCAN_H
#define MR_BENCH_SCAN_H

#include "app/bench/memory_source.h"
#include "app/sensor/sensor_config.h"

struct scan_setup {
	const struct settings *settings;
	const struct memory_capture *capture;
	struct rte_mempool *pool;
	struct ruleset *ruleset;
	unsigned int loops;
};

struct scan_result {
	uint64_t scans, bytes;       /* of one loop; 0: no rule that met this traffic needs a database */
	uint64_t left_out;           /* scans that found no room in the log: not measured */
	unsigned int databases;      /* that were scanned with */
	uint64_t hits;
	double cycles_per_scan;      /* of the best loop over the log */
	double cycles_per_packet;    /* the same for each frame of the capture, scans left out counted as the others */
};

/** Runs one loop with the rules, then the scans alone. Thread: the worker's core. @return 0 or -errno */
int scan_alone(const struct scan_setup *setup, struct scan_result *out);

#endif
