/* Requests that wait for their response: copies of their records in slab blocks, in the order they came. */
#include "proto/s7comm_plus/s7comm_plus.h"

#include <assert.h>

struct s7p_open {
	struct s7p_open *newer;
	uint64_t ts_ns;
	uint32_t id;
	uint32_t record_len;
	uint16_t sequence_number;
	bool to_server;
	_Alignas(8) uint8_t record[];
};

bool
s7p_pair_keep(struct proto_ctx *ctx, uint16_t sequence_number)
{
	struct s7p_state *state = ctx->state;
	const struct s7p_record *request = (const void *)ctx->record->base;
	size_t len = sizeof(struct s7p_open) + ctx->record->len;
	struct s7p_open *open = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, len);

	if (open == NULL) {
		counter_add(&ctx->counters[S7P_COUNT_SHED], 1);
		return false;
	}
	*open = (struct s7p_open){ .ts_ns = ctx->ts_ns, .id = request->id, .record_len = ctx->record->len,
		.sequence_number = sequence_number, .to_server = ctx->to_server };
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
s7p_orphan_keep(struct s7p_state *state, uint16_t sequence_number)
{
	state->orphans[state->orphan_next++ & (S7P_ORPHANS - 1)] = UINT32_C(1) << 16 | sequence_number;
}

bool
s7p_orphan_take(struct s7p_state *state, uint16_t sequence_number)
{
	for (unsigned int i = 0; i < S7P_ORPHANS; i++)
		if (state->orphans[i] == (UINT32_C(1) << 16 | sequence_number)) {
			state->orphans[i] = 0;
			return true;
		}
	return false;
}

static struct s7p_record *
take(struct proto_ctx *ctx, struct s7p_open *open, struct s7p_open *before)
{
	struct s7p_state *state = ctx->state;
	struct s7p_record *record = record_begin_copy(ctx->record, open->record, open->record_len);

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

struct s7p_record *
s7p_pair_take(struct proto_ctx *ctx, uint16_t sequence_number)
{
	struct s7p_state *state = ctx->state;
	struct s7p_open *before = NULL, *open = state->oldest;
	struct s7p_record *record;
	uint64_t waited_us;

	while (open != NULL && (open->sequence_number != sequence_number || open->to_server == ctx->to_server)) {
		before = open;
		open = open->newer;
	}
	if (open == NULL)
		return NULL;
	waited_us = ctx->ts_ns > open->ts_ns ? (ctx->ts_ns - open->ts_ns) / 1000 : 0;
	record = take(ctx, open, before);
	if (record == NULL)
		return NULL;
	record->response_time_us = waited_us > UINT32_MAX ? UINT32_MAX : (uint32_t)waited_us;
	record_present(&record->head, S7P_HAS_RESPONSE_TIME);
	return record;
}

void
s7p_pair_shrink(struct proto_ctx *ctx, unsigned int count)
{
	struct s7p_state *state = ctx->state;
	bool to_server = ctx->to_server;

	while (state->open_count > count) {
		struct s7p_open *open = state->oldest;
		uint32_t id = open->id;

		ctx->to_server = open->to_server;
		counter_add(&ctx->counters[S7P_COUNT_UNANSWERED], 1);
		if (take(ctx, open, NULL) != NULL)
			proto_deliver(ctx, PROTO_EMIT, id);
	}
	ctx->to_server = to_server;
}
