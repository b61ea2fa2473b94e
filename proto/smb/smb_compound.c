/*
 * Messages of SMB 2 with several commands that follow one another (MS-SMB2 3.2.4.1.4). Of a longer one than is framed the heads are read and
 * what lies between them is passed over, or is a file's: where a command begins there the bytes up to SMB_PDU_LEN_MAX are gathered.
 */
#include "proto/smb/smb.h"

enum { NEXT_OFF = 20 };

static struct smb_rest *
rest_of(const struct proto_ctx *ctx)
{
	struct smb_state *state = ctx->state;

	return &state->rests[ctx->to_server];
}

static void
drop_front(struct proto_ctx *ctx, struct smb_rest *rest)
{
	slab_free(ctx->slab, rest->front, SMB_PDU_LEN_MAX);
	rest->front = NULL;
	rest->front_len = 0;
	rest->more = 0;
}

static bool
make_front(struct proto_ctx *ctx, struct smb_rest *rest)
{
	if (rest->front == NULL && ctx->slab != NULL)
		rest->front = slab_alloc(ctx->slab, SMB_PDU_LEN_MAX);
	if (rest->front == NULL)
		counter_add(&ctx->counters[SMB_COUNT_MESSAGES_SHED], 1);
	return rest->front != NULL;
}

/* Of a message that goes on behind in: whether the command at its front does, too. */
static bool
goes_beyond(struct cursor in)
{
	size_t left = cursor_left(&in);
	uint32_t next;

	cursor_skip(&in, NEXT_OFF);
	next = cursor_le32(&in);
	return left < SMB2_HEADER_LEN || next == 0 || next > left;
}

/* A command that begins here and ends behind what is there is read when there is more of it. @return false: no memory, or there is no more */
static bool
wait_for(struct proto_ctx *ctx, struct cursor in, uint32_t behind)
{
	struct smb_rest *rest = rest_of(ctx);
	size_t len = cursor_left(&in);

	if (!make_front(ctx, rest))
		return false;
	memmove(rest->front, in.pos, len); /* which may be in it */
	rest->front_len = (uint32_t)len;
	rest->more = (uint32_t)len + behind;
	ctx->skip_len = 0;
	ctx->raw = true;
	return true;
}

/* The next command begins so many bytes behind what is there: they are passed over, but for what is a file's. */
static void
go_on(struct proto_ctx *ctx, uint32_t passed, uint32_t behind)
{
	struct smb_rest *rest = rest_of(ctx);

	if (!ctx->raw)
		rest->left = 0;
	if (passed >= behind || rest->left > passed)
		return;
	rest->after = passed - rest->left;
	rest->more = behind - passed;
	rest->front_len = 0;
	counter_add(&ctx->counters[SMB_COUNT_PASSED_BYTES], rest->after);
	ctx->skip_len = 0;
	ctx->raw = true;
}

/* @param behind  bytes of the message behind in */
static void
parse(struct proto_ctx *ctx, struct cursor in, uint32_t behind)
{
	struct smb_chain *chain = &rest_of(ctx)->chain;

	ctx->skip_len = behind;
	ctx->raw = false;
	for (bool first = true; cursor_left(&in) > 0; first = false) {
		bool cut = behind > 0 && goes_beyond(in);
		struct smb_pdu pdu = { .ctx = ctx, .whole = in, .cut = cut, .session_id = chain->session_id, .tree_id = chain->tree_id,
			.before = chain->before };
		uint32_t next;

		if (cut && !first && wait_for(ctx, in, behind))
			return;
		if (chain->commands++ == SMB_COMPOUND_MAX) {
			proto_event(ctx, SMB_EVENT_TOO_MANY_COMMANDS);
			return;
		}
		next = smb2_command_read(&pdu);
		chain->session_id = pdu.session_id;
		chain->tree_id = pdu.tree_id;
		chain->before = pdu.before;
		if (next < SMB2_HEADER_LEN)
			return;
		if (next > cursor_left(&in) || (next == cursor_left(&in) && behind > 0)) {
			go_on(ctx, next - (uint32_t)cursor_left(&in), behind);
			return;
		}
		if (ctx->raw) { /* its data goes on where others begin */
			proto_event(ctx, SMB_EVENT_MALFORMED_DATA);
			return;
		}
		cursor_skip(&in, next);
	}
}

void
smb_compound_begin(struct proto_ctx *ctx, struct cursor in)
{
	rest_of(ctx)->chain = (struct smb_chain){ 0 };
	parse(ctx, in, ctx->skip_len);
}

/* Up to a front of the next command. @return whether it is there */
static bool
gather(struct proto_ctx *ctx, struct smb_rest *rest, struct cursor *in)
{
	uint32_t want = rest->more < SMB_PDU_LEN_MAX ? rest->more : SMB_PDU_LEN_MAX, len = want - rest->front_len;
	struct cursor bytes = cursor_sub(in, len < cursor_left(in) ? len : cursor_left(in));

	if (cursor_left(&bytes) > 0)
		memcpy(rest->front + rest->front_len, bytes.pos, cursor_left(&bytes));
	rest->front_len += (uint32_t)cursor_left(&bytes);
	ctx->raw = rest->front_len < want;
	return !ctx->raw;
}

static void
parse_front(struct proto_ctx *ctx, struct smb_rest *rest)
{
	const uint8_t *pdu = ctx->pdu;
	uint32_t pdu_len = ctx->pdu_len, len = rest->front_len, behind = rest->more - len;

	rest->more = 0;
	ctx->pdu = rest->front;
	ctx->pdu_len = len;
	parse(ctx, cursor_of(rest->front, len), behind);
	if (!ctx->raw && ctx->skip_len > 0) {
		rest->left = 0;
		rest->after = ctx->skip_len;
		counter_add(&ctx->counters[SMB_COUNT_PASSED_BYTES], ctx->skip_len);
		ctx->raw = true;
	}
	ctx->skip_len = 0;
	smb_call_flush(ctx);
	ctx->pdu = pdu;
	ctx->pdu_len = pdu_len;
	if (rest->more == 0)
		drop_front(ctx, rest);
}

uint32_t
smb_compound_raw(struct proto_ctx *ctx, struct cursor in)
{
	struct smb_rest *rest = rest_of(ctx);
	size_t all = cursor_left(&in);

	for (;;) {
		cursor_skip(&in, smb_file_raw(ctx, in));
		if (ctx->raw || rest->more == 0)
			return (uint32_t)(all - cursor_left(&in));
		if (!make_front(ctx, rest)) {
			rest->after = rest->more;
			rest->more = 0;
			counter_add(&ctx->counters[SMB_COUNT_PASSED_BYTES], rest->after);
			continue;
		}
		if (!gather(ctx, rest, &in))
			return (uint32_t)all;
		parse_front(ctx, rest);
	}
}

/* The commands behind lost bytes are not found any more. */
void
smb_compound_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct smb_rest *rest = rest_of(ctx);
	uint32_t more = rest->more - rest->front_len;

	if (!ctx->raw)
		return;
	missing = smb_file_gap(ctx, missing);
	if (missing == 0) {
		ctx->raw = ctx->raw || more > 0;
		return;
	}
	drop_front(ctx, rest);
	rest->open = NULL;
	rest->left = 0;
	rest->after = missing < more ? more - missing : 0;
	ctx->raw = rest->after > 0;
}

void
smb_compound_end(struct proto_ctx *ctx)
{
	struct smb_state *state = ctx->state;

	for (unsigned int to_server = 0; to_server < 2; to_server++)
		drop_front(ctx, &state->rests[to_server]);
}
