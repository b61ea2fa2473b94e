/*
 * Answers that go on: the export, and alerts as they arrive. A stream holds one page at most and asks for the next when the
 * peer has taken it, so that a slow peer costs nothing but its connection; records wait in the store meanwhile.
 *
 * Thread: the API's.
 */
#ifndef MR_AGGREGATOR_API_STREAM_H
#define MR_AGGREGATOR_API_STREAM_H

#include "lib/base/counter.h"

struct api;
struct api_route;
struct api_streams;
struct question;

enum api_stream_counter { API_STREAMS_OPEN, API_STREAMS_STARTED, API_STREAMS_SHED, API_STREAM_RECORDS, API_STREAM_COUNTERS };

int api_streams_create(struct api_streams **out, struct api *api);
/** Ends all of them. */
void api_streams_destroy(struct api_streams *streams);
struct counter_set api_streams_counter_set(struct api_streams *streams);
extern const struct counter_table api_streams_counter_table;

/** Begin a stream as the answer to question->request. @return 0, -EBUSY (there are too many), other -errno. */
int api_export(struct api *api, const struct api_route *route, struct question *question);
int api_follow(struct api *api, const struct api_route *route, struct question *question);

#endif
