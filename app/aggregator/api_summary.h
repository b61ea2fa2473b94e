/* What the API makes of the store's reports. */
#ifndef MR_AGGREGATOR_API_SUMMARY_H
#define MR_AGGREGATOR_API_SUMMARY_H

#include "lib/base/counter.h"
#include "lib/store/store.h"

/** {sensors, frames, flows, records, protocols, applications, alerts, talkers, losses}: one screen of all that was
 *  delivered. @return 0 or -errno. */
int api_summary(struct store *store, const struct store_filter *filter, const struct counter_set *counters, json_t **out);
/** {aggregator, retention, sensors: [{sensor, epoch, run, record}]}. */
int api_counters(struct store *store, const struct store_filter *filter, const struct counter_set *counters,
	json_t **out);
/** Losses that the summary adds to the sensors' own, for the reference page. */
extern const struct counter_table api_summary_losses;

#endif
