/* Commands that wait for their last reply: copies of their records in slab blocks, in the order they came. */
#include "proto/ftp/ftp.h"

#include <assert.h>

struct ftp_open {
	struct ftp_open *newer;
	uint64_t opened_ns;
	uint32_t id;
	uint32_t record_len;
	_Alignas(8) uint8_t record[];
};

static struct ftp_open *
make(struct proto_ctx *ctx, uint32_t id, uint64_t opened_ns)
{
	size_t len = sizeof(struct ftp_open) + ctx->record->len;
	struct ftp_open *open = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, len);

	if (open == NULL) {
		counter_add(&ctx->counters[FTP_COUNT_SHED], 1);
		return NULL;
	}
	*open = (struct ftp_open){ .opened_ns = opened_ns, .id = id, .record_len = ctx->record->len };
	memcpy(open->record, ctx->record->base, ctx->record->len);
	return open;
}

bool
ftp_pair_keep(struct proto_ctx *ctx, uint32_t id, uint64_t opened_ns)
{
	struct ftp_state *state = ctx->state;
	struct ftp_open *open = make(ctx, id, opened_ns);

	if (open == NULL)
		return false;
	if (state->newest != NULL)
		state->newest->newer = open;
	else
		state->oldest = open;
	state->newest = open;
	state->open_count++;
	return true;
}

bool
ftp_pair_put_back(struct proto_ctx *ctx, uint32_t id, uint64_t opened_ns)
{
	struct ftp_state *state = ctx->state;
	struct ftp_open *open = make(ctx, id, opened_ns);

	if (open == NULL)
		return false;
	open->newer = state->oldest;
	state->oldest = open;
	if (state->newest == NULL)
		state->newest = open;
	state->open_count++;
	return true;
}

struct ftp_record *
ftp_pair_take(struct proto_ctx *ctx, uint32_t *id, uint64_t *opened_ns)
{
	struct ftp_state *state = ctx->state;
	struct ftp_open *open = state->oldest;
	struct ftp_record *record;

	if (open == NULL)
		return NULL;
	assert(state->open_count > 0);
	*id = open->id;
	*opened_ns = open->opened_ns;
	record = record_begin_copy(ctx->record, open->record, open->record_len);
	state->oldest = open->newer;
	if (state->oldest == NULL)
		state->newest = NULL;
	if (--state->open_count == 0)
		state->flooded = false;
	slab_free(ctx->slab, open, sizeof(*open) + open->record_len);
	return record;
}

bool
ftp_pair_peek(const struct ftp_state *state, uint32_t *id, uint32_t *reply_count)
{
	const struct ftp_open *open = state->oldest;

	if (open == NULL)
		return false;
	*id = open->id;
	*reply_count = ((const struct ftp_record *)(const void *)open->record)->replies.count;
	return true;
}

void
ftp_pair_shrink(struct proto_ctx *ctx, unsigned int count)
{
	struct ftp_state *state = ctx->state;
	bool to_server = ctx->to_server;
	uint64_t opened_ns;
	uint32_t id;

	ctx->to_server = true;
	while (state->open_count > count) {
		counter_add(&ctx->counters[FTP_COUNT_UNANSWERED], 1);
		if (ftp_pair_take(ctx, &id, &opened_ns) != NULL)
			proto_deliver(ctx, PROTO_EMIT, id);
	}
	ctx->to_server = to_server;
}
