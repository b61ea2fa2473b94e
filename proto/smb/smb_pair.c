/* Commands that wait for their response: copies of their records in slab blocks, by age. */
#include "proto/smb/smb.h"

#include <assert.h>

struct smb_open {
	struct smb_open *older, *newer;
	uint64_t opened_ns;
	uint64_t message_id;
	uint32_t id;
	uint32_t record_len;
	uint16_t command;
	_Alignas(8) uint8_t record[];
};

static struct smb_open *
find(const struct smb_pdu *pdu)
{
	const struct smb_state *state = pdu->ctx->state;
	struct smb_open *open = state->oldest;

	while (open != NULL && (open->message_id != pdu->message_id || open->command != pdu->command))
		open = open->newer;
	return open;
}

bool
smb_pair_keep(struct smb_pdu *pdu, uint32_t id)
{
	struct proto_ctx *ctx = pdu->ctx;
	struct smb_state *state = ctx->state;
	size_t len = sizeof(struct smb_open) + ctx->record->len;
	struct smb_open *open = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, len);

	if (open == NULL) {
		counter_add(&ctx->counters[SMB_COUNT_SHED], 1);
		return false;
	}
	*open = (struct smb_open){ .older = state->newest, .opened_ns = ctx->ts_ns, .message_id = pdu->message_id, .id = id,
		.record_len = ctx->record->len, .command = pdu->command };
	memcpy(open->record, ctx->record->base, ctx->record->len);
	if (state->newest != NULL)
		state->newest->newer = open;
	else
		state->oldest = open;
	state->newest = open;
	state->open_count++;
	return true;
}

uint32_t
smb_pair_find(const struct smb_pdu *pdu)
{
	const struct smb_open *open = find(pdu);

	return open == NULL ? 0 : open->id;
}

static struct smb_record *
take(struct proto_ctx *ctx, struct smb_open *open)
{
	struct smb_state *state = ctx->state;
	struct smb_record *record = record_begin_copy(ctx->record, open->record, open->record_len);

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
	slab_free(ctx->slab, open, sizeof(*open) + open->record_len);
	return record;
}

struct smb_record *
smb_pair_take(struct smb_pdu *pdu, uint64_t *opened_ns)
{
	struct smb_open *open = find(pdu);

	if (open == NULL)
		return NULL;
	*opened_ns = open->opened_ns;
	return take(pdu->ctx, open);
}

void
smb_pair_shrink(struct proto_ctx *ctx, unsigned int count)
{
	struct smb_state *state = ctx->state;
	bool to_server = ctx->to_server;

	ctx->to_server = true;
	while (state->open_count > count) {
		uint32_t id = state->oldest->id;

		counter_add(&ctx->counters[SMB_COUNT_UNANSWERED], 1);
		if (take(ctx, state->oldest) != NULL)
			proto_deliver(ctx, PROTO_EMIT, id);
	}
	ctx->to_server = to_server;
}
