/* Requests that wait for their response: copies of their records in slab blocks, in the order they came. */
#include "proto/s7comm/s7comm.h"

#include <assert.h>

struct s7_open {
	struct s7_open *newer;
	uint64_t ts_ns;
	struct s7_key key;
	uint32_t id;
	uint32_t record_len;
	bool silent;
	_Alignas(8) uint8_t record[];
};

bool
s7_pair_keep(struct proto_ctx *ctx, struct s7_key key, bool silent)
{
	struct s7_state *state = ctx->state;
	const struct s7_record *request = (const void *)ctx->record->base;
	size_t len = sizeof(struct s7_open) + ctx->record->len;
	struct s7_open *open = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, len);

	if (open == NULL) {
		counter_add(&ctx->counters[S7_COUNT_SHED], 1);
		return false;
	}
	*open = (struct s7_open){ .ts_ns = ctx->ts_ns, .key = key, .id = request->id, .record_len = ctx->record->len,
		.silent = silent };
	memcpy(open->record, ctx->record->base, ctx->record->len);
	if (state->newest != NULL)
		state->newest->newer = open;
	else
		state->oldest = open;
	state->newest = open;
	state->open_count++;
	return true;
}

/* Lost segments delay one direction by a few packets: then responses overtake their requests, one after the other. */
void
s7_orphan_keep(struct s7_state *state, struct s7_key key)
{
	state->orphans[state->orphan_next++ & (S7_ORPHANS - 1)] = key;
}

bool
s7_orphan_take(struct s7_state *state, struct s7_key key)
{
	for (unsigned int i = 0; i < S7_ORPHANS; i++)
		if (state->orphans[i].value == key.value && state->orphans[i].to_server == key.to_server) {
			state->orphans[i].value = 0;
			return true;
		}
	return false;
}

/* The open request of a key and the one before it in the list. */
static struct s7_open *
find(const struct s7_state *state, struct s7_key key, struct s7_open **before)
{
	struct s7_open *open = state->oldest;

	*before = NULL;
	while (open != NULL && (open->key.value != key.value || open->key.to_server != key.to_server)) {
		*before = open;
		open = open->newer;
	}
	return open;
}

bool
s7_pair_waits(const struct proto_ctx *ctx, struct s7_key key)
{
	struct s7_open *before;

	return find(ctx->state, key, &before) != NULL;
}

static struct s7_record *
take(struct proto_ctx *ctx, struct s7_open *open, struct s7_open *before)
{
	struct s7_state *state = ctx->state;
	struct s7_record *record = record_begin_copy(ctx->record, open->record, open->record_len);

	if (before != NULL)
		before->newer = open->newer;
	else
		state->oldest = open->newer;
	if (state->newest == open)
		state->newest = before;
	assert(state->open_count > 0);
	if (--state->open_count == 0)
		state->flooded = false;
	slab_free(ctx->slab, open, sizeof(*open) + open->record_len);
	return record;
}

struct s7_record *
s7_pair_take(struct proto_ctx *ctx, struct s7_key key, bool *silent)
{
	struct s7_open *before, *open = find(ctx->state, key, &before);
	struct s7_record *record;
	uint64_t waited_us;

	if (open == NULL)
		return NULL;
	waited_us = ctx->ts_ns > open->ts_ns ? (ctx->ts_ns - open->ts_ns) / 1000 : 0;
	*silent = open->silent;
	record = take(ctx, open, before);
	if (record == NULL)
		return NULL;
	record->response_time_us = waited_us > UINT32_MAX ? UINT32_MAX : (uint32_t)waited_us;
	record_present(&record->head, S7_HAS_RESPONSE_TIME);
	return record;
}

void
s7_pair_shrink(struct proto_ctx *ctx, unsigned int count)
{
	struct s7_state *state = ctx->state;
	bool to_server = ctx->to_server;

	while (state->open_count > count) {
		struct s7_open *open = state->oldest;
		uint32_t id = open->id;

		ctx->to_server = open->key.to_server;
		counter_add(&ctx->counters[S7_COUNT_UNANSWERED], 1);
		if (take(ctx, open, NULL) != NULL)
			proto_deliver(ctx, PROTO_EMIT, id);
	}
	ctx->to_server = to_server;
}
