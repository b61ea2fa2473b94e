/*
 * Requests that wait for their response: copies of their records, in slab blocks, in the
 * order they came and by transaction id. A response takes the oldest that it answers, so
 * that clients which send every request with the same id are paired in order too.
 */
#include "proto/modbus/modbus.h"

#include <assert.h>

/*
 * A request that comes with the id, unit and function of one that is still open is either behind it in the pipeline,
 * or the older one's response was lost, or captured before it. Requests of one pipeline follow one another faster
 * than responses take; one that waits many times as long as a response usually does was given up by its client.
 * Were it kept, each later response would be taken for the one before.
 */
enum {
	GIVE_UP_RESPONSES = 8,  /* times the usual response time */
	GIVE_UP_US_MIN = 20000, /* for servers that answer at once */
	GIVE_UP_US_MAX = 1000000, /* and before the first response */
};

struct modbus_open {
	struct modbus_open *older;
	struct modbus_open *newer;
	struct modbus_open *chain; /* the next newer one of the bucket */
	uint64_t ts_ns;
	struct modbus_key key;
	uint32_t id;
	uint32_t record_len;
	bool to_server;
	_Alignas(8) uint8_t record[];
};

static struct modbus_bucket *
bucket_of(struct modbus_state *state, struct modbus_key key)
{
	/* All of the header: clients that scan units or functions often keep one transaction id. */
	return &state->buckets[key.header * UINT32_C(0x9e3779b1) >> 24 & (MODBUS_OPEN_BUCKETS - 1)];
}

static bool
key_answers(struct modbus_key response, struct modbus_key request)
{
	return response.header == request.header && (response.exception || response.sub == request.sub);
}

bool
modbus_pair_keep(struct proto_ctx *ctx, struct modbus_key key)
{
	struct modbus_state *state = ctx->state;
	const struct modbus_record *request = (const void *)ctx->record->base;
	size_t len = sizeof(struct modbus_open) + ctx->record->len;
	struct modbus_open *open = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, len);
	struct modbus_bucket *bucket = bucket_of(state, key);

	if (open == NULL) {
		counter_add(&ctx->counters[MODBUS_COUNT_SHED], 1);
		return false;
	}
	*open = (struct modbus_open){ .older = state->newest, .ts_ns = ctx->ts_ns, .key = key, .id = request->id,
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

static struct modbus_open *
find_oldest(const struct modbus_state *state, struct modbus_key response)
{
	struct modbus_open *open = bucket_of((struct modbus_state *)state, response)->first;

	while (open != NULL && !key_answers(response, open->key))
		open = open->chain;
	return open;
}

bool
modbus_pair_waits(const struct modbus_state *state, struct modbus_key key)
{
	return state->open_count > 0 && find_oldest(state, key) != NULL;
}

static void
unlink_open(struct modbus_state *state, struct modbus_open *open)
{
	struct modbus_bucket *bucket = bucket_of(state, open->key);
	struct modbus_open *before = NULL;

	for (struct modbus_open *at = bucket->first; at != open; at = at->chain)
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
static struct modbus_record *
take(struct proto_ctx *ctx, struct modbus_open *open)
{
	struct modbus_record *record = record_begin_copy(ctx->record, open->record, open->record_len);

	unlink_open(ctx->state, open);
	slab_free(ctx->slab, open, sizeof(*open) + open->record_len);
	return record;
}

struct modbus_record *
modbus_pair_take(struct proto_ctx *ctx, struct modbus_key response)
{
	struct modbus_state *state = ctx->state;
	struct modbus_open *open = state->open_count == 0 ? NULL : find_oldest(state, response);
	struct modbus_record *record;
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
	record_present(&record->head, MODBUS_HAS_RESPONSE_TIME);
	return record;
}

static uint64_t
give_up_ns(const struct modbus_state *state)
{
	uint64_t wait_us = (uint64_t)state->response_time_us * GIVE_UP_RESPONSES;

	if (state->response_time_us == 0 || wait_us > GIVE_UP_US_MAX)
		wait_us = GIVE_UP_US_MAX;
	if (wait_us < GIVE_UP_US_MIN)
		wait_us = GIVE_UP_US_MIN;
	return wait_us * 1000;
}

static void
deliver_unanswered(struct proto_ctx *ctx, struct modbus_open *open)
{
	bool to_server = ctx->to_server;
	uint32_t id = open->id;

	ctx->to_server = open->to_server;
	counter_add(&ctx->counters[MODBUS_COUNT_UNANSWERED], 1);
	if (take(ctx, open) != NULL)
		proto_deliver(ctx, PROTO_EMIT, id);
	ctx->to_server = to_server;
}

bool
modbus_pair_give_up(struct proto_ctx *ctx, struct modbus_key request)
{
	struct modbus_state *state = ctx->state;
	bool any = false;

	while (state->open_count > 0) {
		struct modbus_open *open = find_oldest(state, request);

		if (open == NULL || ctx->ts_ns < open->ts_ns || ctx->ts_ns - open->ts_ns < give_up_ns(state))
			break;
		deliver_unanswered(ctx, open);
		any = true;
	}
	return any;
}

void
modbus_pair_shrink(struct proto_ctx *ctx, unsigned int count)
{
	struct modbus_state *state = ctx->state;

	while (state->open_count > count)
		deliver_unanswered(ctx, state->oldest);
}
