/*
 * Looks at the sensors from time to time, for silence.h: a question to the store like any other, on a thread of the pool.
 *
 * Thread: the API's.
 */
#ifndef MR_AGGREGATOR_API_SILENCE_H
#define MR_AGGREGATOR_API_SILENCE_H

#include "app/aggregator/silence.h"

struct api;
struct api_silence;

/** Looks every tenth of after_s, but no more than once a second and no less than once in half a minute. @return 0 or -ENOMEM */
int api_silence_create(struct api_silence **out, struct api *api, struct silence *silence, uint64_t after_s);
/** After api_pool_stop(): no look is under way. NULL is accepted. */
void api_silence_destroy(struct api_silence *looks);

#endif
