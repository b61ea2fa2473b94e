/*
 * The lanes of the record stream, most urgent first. A lane is one sequence of records: the
 * spool keeps them apart on disk, the uplink sends the urgent ones sooner, the aggregator
 * acknowledges each by its own sequence. Names are what stands in `Millrace-Lane`, in the
 * spool's folders and in counters.
 */
#ifndef MR_SPOOL_LANE_H
#define MR_SPOOL_LANE_H

#include <stddef.h>
#include <string.h>

enum link_lane {
	LINK_LANE_ALERT, /* alerts */
	LINK_LANE_ASSET, /* devices and their changes */
	LINK_LANE_EVENT, /* protocol records, anomalies */
	LINK_LANE_FLOW,  /* flow records */
	LINK_LANE_STATS, /* counters, gap records */
	LINK_LANE_COUNT,
};

enum { LINK_LANE_NAME_LEN_MAX = 8 };

static const char *const link_lane_names[LINK_LANE_COUNT] = {
	[LINK_LANE_ALERT] = "alert",
	[LINK_LANE_ASSET] = "asset",
	[LINK_LANE_EVENT] = "event",
	[LINK_LANE_FLOW] = "flow",
	[LINK_LANE_STATS] = "stats",
};

/** @return the lane's name; lane must be below LINK_LANE_COUNT. */
static inline const char *
link_lane_name(enum link_lane lane)
{
	return link_lane_names[lane];
}

/** @param name  not terminated. @return the lane, or -1 when no lane is called that. */
static inline int
link_lane_parse(const char *name, size_t len)
{
	for (int lane = 0; lane < LINK_LANE_COUNT; lane++)
		if (strlen(link_lane_names[lane]) == len && memcmp(link_lane_names[lane], name, len) == 0)
			return lane;
	return -1;
}

#endif
