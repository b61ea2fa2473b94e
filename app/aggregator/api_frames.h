/* What sensors counted within a time, out of their stats records. */
#ifndef MR_AGGREGATOR_API_FRAMES_H
#define MR_AGGREGATOR_API_FRAMES_H

#include "lib/store/store.h"

/**
 * Counters begin anew with each start of a sensor, a run, and only grow in it: within a time a run counted what stands in its last
 * record of that time less what stood in the last one before. Both are as old as the stats interval at most.
 *
 * @param rows    STORE_REPORT_STATS
 * @param filter  its times bound; without one all that was counted
 * @param frames  out: {received, processed, bytes} are added to
 * @param losses  out: added to
 * @return 0 or -errno (-ETIMEDOUT: it takes too long)
 */
int api_frames_add(struct store *store, const struct store_filter *filter, const json_t *rows, json_t *frames, json_t *losses);

#endif
