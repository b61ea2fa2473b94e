/*
 * Requests that wait for their response: copies of their records, in slab blocks, in the
 * order they came and by what the response repeats. A response takes the oldest that it
 * answers: clients that never change the sender context are paired in order.
 */
#include "proto/enip/enip.h"

#include <assert.h>

/* A request with the key of one that waits much longer than responses usually take follows a response that was lost. */
enum {
	GIVE_UP_RESPONSES = 8,
	GIVE_UP_US_MIN = 20000,
	GIVE_UP_US_MAX = 1000000,
};

struct enip_open {
	struct enip_open *older;
	struct enip_open *newer;
	struct enip_open *chain; /* the next newer one of the bucket */
	uint64_t ts_ns;
	struct enip_key key;
	uint32_t id;
	uint32_t record_len;
	bool to_server;
	_Alignas(8) uint8_t record[];
};

static struct enip_bucket *
bucket_of(struct enip_state *state, struct enip_key key)
{
	uint64_t mixed = (key.context ^ (uint64_t)key.command << 48) * UINT64_C(0x9e3779b97f4a7c15);

	return &state->buckets[mixed >> 60 & (ENIP_OPEN_BUCKETS - 1)];
}

/* An unconnected send is answered with the service of the message in it. */
static bool
key_answers(struct enip_key open, struct enip_key key)
{
	return open.context == key.context && open.handle == key.handle && open.command == key.command &&
		(open.service == key.service || open.service == ENIP_UNCONNECTED_SEND);
}

bool
enip_pair_keep(struct proto_ctx *ctx, struct enip_key key)
{
	struct enip_state *state = ctx->state;
	const struct enip_record *request = (const void *)ctx->record->base;
	size_t len = sizeof(struct enip_open) + ctx->record->len;
	struct enip_open *open = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, len);
	struct enip_bucket *bucket = bucket_of(state, key);

	if (open == NULL) {
		counter_add(&ctx->counters[ENIP_COUNT_SHED], 1);
		return false;
	}
	*open = (struct enip_open){ .older = state->newest, .ts_ns = ctx->ts_ns, .key = key, .id = request->id,
		.record_len = ctx->record->len, .to_server = ctx->to_server };
	memcpy(open->record, ctx->record->base, ctx->record->len);
	if (bucket->last != NULL)
		bucket->last->chain = open;
	else
		bucket->first = open;
	bucket->last = open;
	if (state->newest != NULL)
		state->newest->newer = open;
	else
		state->oldest = open;
	state->newest = open;
	state->open_count++;
	return true;
}

static struct enip_open *
find_oldest(struct enip_state *state, struct enip_key key)
{
	struct enip_open *open = state->open_count == 0 ? NULL : bucket_of(state, key)->first;

	while (open != NULL && !key_answers(open->key, key))
		open = open->chain;
	return open;
}

static void
unlink_open(struct enip_state *state, struct enip_open *open)
{
	struct enip_bucket *bucket = bucket_of(state, open->key);
	struct enip_open *before = NULL;

	for (struct enip_open *at = bucket->first; at != open; at = at->chain)
		before = at;
	if (before != NULL)
		before->chain = open->chain;
	else
		bucket->first = open->chain;
	if (bucket->last == open)
		bucket->last = before;
	if (open->older != NULL)
		open->older->newer = open->newer;
	else
		state->oldest = open->newer;
	if (open->newer != NULL)
		open->newer->older = open->older;
	else
		state->newest = open->older;
	assert(state->open_count > 0);
	if (--state->open_count == 0)
		state->flooded = false;
}

/* Moves a request back into ctx->record and gives its block back. */
static struct enip_record *
take(struct proto_ctx *ctx, struct enip_open *open)
{
	struct enip_record *record = record_begin_copy(ctx->record, open->record, open->record_len);

	unlink_open(ctx->state, open);
	slab_free(ctx->slab, open, sizeof(*open) + open->record_len);
	return record;
}

struct enip_record *
enip_pair_take(struct proto_ctx *ctx, struct enip_key response)
{
	struct enip_state *state = ctx->state;
	struct enip_open *open = find_oldest(state, response);
	struct enip_record *record;
	uint64_t ts_ns, waited_us;

	if (open == NULL)
		return NULL;
	ts_ns = open->ts_ns;
	record = take(ctx, open);
	if (record == NULL)
		return NULL;
	waited_us = ctx->ts_ns > ts_ns ? (ctx->ts_ns - ts_ns) / 1000 : 0;
	record->response_time_us = waited_us > UINT32_MAX ? UINT32_MAX : (uint32_t)waited_us;
	state->response_time_us = state->response_time_us == 0
		? record->response_time_us
		: (uint32_t)((state->response_time_us * UINT64_C(7) + record->response_time_us) / 8);
	record_present(&record->head, ENIP_HAS_RESPONSE_TIME);
	return record;
}

static uint64_t
give_up_ns(const struct enip_state *state)
{
	uint64_t wait_us = (uint64_t)state->response_time_us * GIVE_UP_RESPONSES;

	if (state->response_time_us == 0 || wait_us > GIVE_UP_US_MAX)
		wait_us = GIVE_UP_US_MAX;
	if (wait_us < GIVE_UP_US_MIN)
		wait_us = GIVE_UP_US_MIN;
	return wait_us * 1000;
}

static void
deliver_unanswered(struct proto_ctx *ctx, struct enip_open *open)
{
	bool to_server = ctx->to_server;
	uint32_t id = open->id;

	ctx->to_server = open->to_server;
	counter_add(&ctx->counters[ENIP_COUNT_UNANSWERED], 1);
	if (take(ctx, open) != NULL)
		proto_deliver(ctx, PROTO_EMIT, id);
	ctx->to_server = to_server;
}

bool
enip_pair_give_up(struct proto_ctx *ctx, struct enip_key request)
{
	struct enip_state *state = ctx->state;
	bool any = false;

	while (state->open_count > 0) {
		struct enip_open *open = find_oldest(state, request);

		if (open == NULL || ctx->ts_ns < open->ts_ns || ctx->ts_ns - open->ts_ns < give_up_ns(state))
			break;
		deliver_unanswered(ctx, open);
		any = true;
	}
	return any;
}

void
enip_pair_shrink(struct proto_ctx *ctx, unsigned int count)
{
	struct enip_state *state = ctx->state;

	while (state->open_count > count)
		deliver_unanswered(ctx, state->oldest);
}
