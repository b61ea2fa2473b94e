/* Hyperscan alone: the largest database of the rules over the same payloads, nothing else. */
#ifndef MR_BENCH_SCAN_H
#define MR_BENCH_SCAN_H

#include "app/bench/memory_source.h"
#include "app/sensor/sensor_config.h"

struct scan_result {
	uint64_t payloads;  /* TCP and UDP payloads of the capture that are not empty */
	uint64_t bytes;
	uint64_t patterns;  /* of the database; 0: no rule needs one, nothing was scanned */
	uint64_t hits;
	double cycles_per_payload;
};

/** @return 0 or -errno */
int scan_payloads(const struct ruleset *ruleset, const struct settings *settings, const struct memory_capture *capture,
	struct scan_result *out);

#endif
