/*
 * Runs of sensors: of each start the newest stats record is kept, and retention never takes it away, so that totals only grow. A
 * sensor may say of each record that it is of another run: so they are bounded. Those that are too many become one, of what they
 * counted together.
 *
 * Thread: any.
 */
#ifndef MR_STORE_RUNS_H
#define MR_STORE_RUNS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STORE_RUNS_MAX = 64,               /* of a sensor, with the one that stands for those before */
	STORE_RUN_LINE_MAX = 256 * 1024,   /* a longer record is none of a run: a sensor's own are a tenth of it */
	STORE_RUNS_FOLD_MAX = 4096,        /* of them become one in one step, */
	STORE_RUNS_FOLD_BYTES = 8 * 1024 * 1024, /* or so much of their records */
	STORE_GAPS_MAX = 1000000,          /* rows that name what was lost; of older ones only the sum is kept */
};

/** The name of one that stands for several: no record is found that is of it. */
#define STORE_RUNS_NAME "folded"

/** Since when a run counts, by its newest record, ns since the Unix epoch. Its time and uptime are a sensor's word, and may be any: a
 *  run began at no time after the record, nor before 1970. */
int64_t store_run_began(const json_t *record);
/** @param runs  lines of stats records, [count]  @return one such line, the caller's; NULL: no memory */
char *store_runs_fold(const char *const runs[], unsigned int count);

#endif
