/* Calls of DCE/RPC whose fragments come in several messages, or in pieces of which some come later (C706 12.6.2, 12.6.3.1). */
#include "proto/smb/smb.h"

struct smb_call {
	struct smb_call *next;
	uint64_t file, session_id;
	uint8_t *kept;    /* [SMB_STUB_LEN_MAX]; NULL: nothing */
	uint32_t call_id, tree_id;
	uint32_t id;      /* of the command that began it */
	uint32_t left;    /* bytes of the last PDU that are still to come */
	uint16_t kept_len;
	uint16_t opnum, iface_version;
	uint8_t iface[SMB_UUID_LEN];
	uint8_t version;
	bool to_server, has_opnum, has_iface;
	bool last;        /* the last PDU is the call's last */
	bool told;        /* rules saw the stub, or never will */
	bool finished, ended; /* its last PDU was there; no more comes */
};

static struct smb_call *
find(struct smb_state *state, uint64_t file, bool to_server, const uint32_t *call_id)
{
	for (struct smb_call *call = state->calls; call != NULL; call = call->next)
		if (!call->ended && call->file == file && call->to_server == to_server && (call_id == NULL ? call->left > 0 : call->call_id == *call_id))
			return call;
	return NULL;
}

static void
end(struct smb_state *state, struct smb_call *call)
{
	call->ended = true;
	state->calls_ended = true;
}

static void
drop_kept(struct proto_ctx *ctx, struct smb_call *call)
{
	slab_free(ctx->slab, call->kept, SMB_STUB_LEN_MAX);
	call->kept = NULL;
	call->kept_len = 0;
}

/* Where there are too many the oldest one ends. */
static struct smb_call *
add(struct smb_pdu *pdu, const struct smb_part *part, uint64_t file)
{
	struct smb_state *state = pdu->ctx->state;
	const struct smb_record *record = pdu->record;
	struct smb_call *call = pdu->ctx->slab == NULL ? NULL : slab_alloc(pdu->ctx->slab, sizeof(*call)), *oldest = NULL;
	unsigned int count = 0;

	if (call == NULL) {
		counter_add(&pdu->ctx->counters[SMB_COUNT_CALLS_SHED], 1);
		return NULL;
	}
	for (struct smb_call *each = state->calls; each != NULL; each = each->next) {
		oldest = each->ended ? oldest : each;
		count += !each->ended;
	}
	if (count == SMB_CALLS_MAX)
		end(state, oldest);
	*call = (struct smb_call){ .next = state->calls, .file = file, .session_id = pdu->session_id, .call_id = part->counts.call_id,
		.tree_id = pdu->tree_id, .id = record->id, .opnum = record->opnum, .iface_version = record->iface_version, .version = pdu->version,
		.to_server = !pdu->response, .has_opnum = record_is_present(record, SMB_HAS_RPC_OPNUM), .has_iface = record->has_iface };
	memcpy(call->iface, record->iface, SMB_UUID_LEN);
	call->told = proto_is_unread(pdu->ctx, pdu->ctx->to_server);
	state->calls = call;
	return call;
}

static void
put_call(struct smb_record *record, const struct smb_call *call)
{
	record->opnum = call->opnum;
	record->has_iface = call->has_iface;
	record->iface_version = call->iface_version;
	memcpy(record->iface, call->iface, SMB_UUID_LEN);
	if (call->has_opnum)
		record_present(&record->head, SMB_HAS_RPC_OPNUM);
}

static uint32_t
copy_part(uint8_t *out, uint32_t room, const struct smb_part *part)
{
	uint32_t len = 0;

	for (unsigned int i = 0; i < part->stub_count && len < room; i++) {
		size_t here = cursor_left(&part->stubs[i]);
		uint32_t taken = here < room - len ? (uint32_t)here : room - len;

		if (taken > 0)
			memcpy(out + len, part->stubs[i].pos, taken);
		len += taken;
	}
	return len;
}

/* What was kept, and what is at hand. */
static void
put_stub(struct proto_ctx *ctx, struct smb_record *record, const struct smb_call *call, const struct smb_part *part, size_t part_len)
{
	uint32_t kept_len = call == NULL ? 0 : call->kept_len;
	size_t len = kept_len + part_len < SMB_STUB_LEN_MAX ? kept_len + part_len : SMB_STUB_LEN_MAX;
	uint8_t *out = record_reserve(ctx->record, &record->stub, (uint32_t)len, 1);

	record_present(&record->head, SMB_HAS_RPC_STUB);
	if (out == NULL)
		return;
	if (kept_len > 0)
		memcpy(out, call->kept, kept_len);
	if (part != NULL)
		(void)copy_part(out + kept_len, (uint32_t)len - kept_len, part);
}

/* @return false: no memory */
static bool
keep(struct proto_ctx *ctx, struct smb_call *call, const struct smb_part *part)
{
	if (call->kept == NULL)
		call->kept = slab_alloc(ctx->slab, SMB_STUB_LEN_MAX);
	if (call->kept == NULL) {
		counter_add(&ctx->counters[SMB_COUNT_CALLS_SHED], 1);
		return false;
	}
	call->kept_len = (uint16_t)(call->kept_len + copy_part(call->kept + call->kept_len, SMB_STUB_LEN_MAX - call->kept_len, part));
	return true;
}

struct smb_call *
smb_call_rest(const struct smb_pdu *pdu, uint64_t file)
{
	return file == 0 ? NULL : find(pdu->ctx->state, file, !pdu->response, NULL);
}

void
smb_call_go_on(struct smb_pdu *pdu, const struct smb_call *call, struct cursor *in, uint32_t *len, struct smb_part *part)
{
	uint32_t here = call->left < *len ? call->left : *len;

	put_call(pdu->record, call);
	part->counts = (struct smb_rpc_counts){ .call_id = call->call_id, .stub_len = here };
	part->hole = here > cursor_left(in);
	part->stubs[part->stub_count++] = cursor_sub(in, part->hole ? cursor_left(in) : here);
	part->left = call->left - here;
	part->last = call->last;
	*len -= here;
}

void
smb_call_add(struct smb_pdu *pdu, const struct smb_part *part, uint64_t file)
{
	struct proto_ctx *ctx = pdu->ctx;
	struct smb_state *state = ctx->state;
	struct smb_call *call = file == 0 ? NULL : find(state, file, !pdu->response, &part->counts.call_id);
	bool done = part->last && part->left == 0 && !part->hole, unread = proto_is_unread(ctx, ctx->to_server);
	size_t len = 0, all;

	for (unsigned int i = 0; i < part->stub_count; i++)
		len += cursor_left(&part->stubs[i]);
	if (call != NULL && part->first) {
		end(state, call);
		call = NULL;
	}
	if (call == NULL && !done && !part->hole && file != 0)
		call = add(pdu, part, file);
	all = len + (call == NULL ? 0 : call->kept_len);
	if (call == NULL || (!call->told && (done || part->hole || all >= SMB_STUB_LEN_MAX || !keep(ctx, call, part)))) {
		if (!unread) {
			put_stub(ctx, pdu->record, call, part, len);
			counter_add(&ctx->counters[SMB_COUNT_STUBS_CUT], part->hole || all > SMB_STUB_LEN_MAX || (all == SMB_STUB_LEN_MAX && !done));
		}
		if (call != NULL)
			call->told = true;
	}
	if (call == NULL)
		return;
	call->left = part->left;
	call->last = part->last;
	if (call->told)
		drop_kept(ctx, call);
	if (done || part->hole) {
		call->finished = true;
		end(state, call);
	}
}

void
smb_call_rename(struct smb_state *state, uint64_t before, uint64_t file)
{
	for (struct smb_call *call = state->calls; call != NULL; call = call->next)
		if (call->file == before)
			call->file = file;
}

void
smb_call_close(struct smb_state *state, uint64_t file)
{
	for (struct smb_call *call = state->calls; call != NULL; call = call->next)
		if (call->file == file)
			end(state, call);
}

static void
tell(struct proto_ctx *ctx, const struct smb_call *call)
{
	struct smb_record *record = record_begin(ctx->record, &smb_table);
	bool before = ctx->to_server;
	uint64_t events = ctx->events;

	record->session_id = call->session_id;
	record->tree_id = call->tree_id;
	record->version = call->version;
	record->id = call->id;
	record->call_id = call->call_id;
	record_present(&record->head, SMB_HAS_SESSION);
	record_present(&record->head, SMB_HAS_TREE);
	record_present(&record->head, SMB_HAS_RPC);
	put_call(record, call);
	put_stub(ctx, record, call, NULL, 0);
	ctx->events = 0; /* of the command at hand */
	ctx->to_server = call->to_server;
	proto_deliver(ctx, PROTO_MATCH, call->id);
	ctx->to_server = before;
	ctx->events = events;
}

void
smb_call_flush(struct proto_ctx *ctx)
{
	struct smb_state *state = ctx->state;
	struct smb_call **place = &state->calls;

	if (!state->calls_ended)
		return;
	state->calls_ended = false;
	while (*place != NULL) {
		struct smb_call *call = *place;

		if (!call->ended) {
			place = &call->next;
			continue;
		}
		*place = call->next;
		counter_add(&ctx->counters[SMB_COUNT_CALLS_UNFINISHED], !call->finished);
		if (!call->told && call->kept_len > 0 && !proto_is_unread(ctx, call->to_server))
			tell(ctx, call);
		drop_kept(ctx, call);
		slab_free(ctx->slab, call, sizeof(*call));
	}
}

void
smb_call_end(struct proto_ctx *ctx, bool to_server)
{
	struct smb_state *state = ctx->state;

	for (struct smb_call *call = state->calls; call != NULL; call = call->next)
		if (call->to_server == to_server)
			end(state, call);
	smb_call_flush(ctx);
}
