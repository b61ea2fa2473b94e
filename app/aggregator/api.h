/*
 * The query API: GET over HTTPS with a bearer token, on a thread and a store handle of its
 * own, so that no question delays a batch.
 *
 *   /v1/flows /v1/alerts /v1/events   {"records":[{sensor,epoch,lane,sequence,record}],"next":cursor|null}
 *   /v1/sensors /v1/lanes /v1/gaps /v1/protocols /v1/counters /v1/summary
 *   /v1/sensors/...                   api_sensors.h
 *   any error                         {"error":{"status":N,"reason":"..."}}
 *
 * Parameters are the filters of lib/store, and limit and cursor for records; any other is an error.
 */
#ifndef MR_AGGREGATOR_API_H
#define MR_AGGREGATOR_API_H

#include "app/aggregator/settings.h"
#include "lib/base/counter.h"

struct api;
struct enrol;

/** Starts the thread. @param counters of the ingest, read as they are. @param enrol NULL: there is none.
 *  @return 0 or -errno, logged. */
int api_create(struct api **out, const struct settings *settings, const struct counter_set *counters, struct enrol *enrol);
/** Ends the thread and waits for it. */
void api_destroy(struct api *api);
/** Reads what api_create() would, without listening. @return 0 or -errno, logged. */
int api_check(const struct settings *settings);
uint16_t api_port(const struct api *api);

#endif
