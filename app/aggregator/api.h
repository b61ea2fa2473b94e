/*
 * The query API: HTTPS with bearer tokens that have scopes, on a thread and a store handle of its own, so that no question
 * delays a batch. What can be asked is the table of api_route.c, and GET /v1/openapi.json tells it.
 *
 *   records       {"records":[{sensor,epoch,lane,sequence,record}],"next":cursor|null}, pages that do not move
 *   /v1/export    the same records, a line each, as many as there are; /v1/alerts/live server-sent events
 *   any error     {"error":{"status":N,"reason":"..."}}
 *
 * Every request is a line of the audit log.
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
/** Of its questions. */
extern const struct counter_table api_counter_table;
struct counter_set api_counter_set(struct api *api);
/** Of its listener. */
extern const struct counter_desc api_server_counters[LINK_SERVER_COUNTERS];

#endif
