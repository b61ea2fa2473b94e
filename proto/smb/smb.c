/* SMB: finding messages, recognising the protocol, and the way of one command through its pair. */
#include "proto/smb/smb.h"

#include <errno.h>

enum {
	NBSS_MESSAGE = 0, NBSS_REQUEST = 0x81, NBSS_KEEPALIVE = 0x85,
	NBSS_OTHER_LEN_MAX = 256,
	MAGIC_LEN = 4,
	SMB1_RESPONSE = 0x80, SMB1_NT_STATUS = 0x4000, SMB1_UNICODE = 0x8000,
	SMB2_RESPONSE = 1, SMB2_ASYNC = 2, SMB2_RELATED = 4,
	STATUS_PENDING = 0x103, STATUS_BUFFER_OVERFLOW = 0x80000005, STATUS_MORE_DATA = SMB_DOS_ERROR + 0x100ea,
	DOS_DIGITS = 4,
	SMB1_NO_TREE = 0xffff,
};

enum magic { MAGIC_NONE, MAGIC_SMB1, MAGIC_SMB2, MAGIC_TRANSFORM, MAGIC_COMPRESSED };

static enum magic
take_magic(struct cursor *in)
{
	const uint8_t *at = cursor_take(in, MAGIC_LEN);

	if (at == NULL || at[1] != 'S' || at[2] != 'M' || at[3] != 'B' || at[0] < 0xfc)
		return MAGIC_NONE;
	return at[0] == 0xff ? MAGIC_SMB1 : at[0] == 0xfe ? MAGIC_SMB2 : at[0] == 0xfd ? MAGIC_TRANSFORM : MAGIC_COMPRESSED;
}

/* RFC 1002 4.3.1; over port 445 lengths of 24 bits (MS-SMB2 2.1). */
static int
smb_frame(struct cursor in, bool to_server)
{
	uint8_t type = cursor_u8(&in);
	uint32_t len = cursor_be24(&in);

	(void)to_server;
	if (in.short_read)
		return 0;
	if (type >= NBSS_REQUEST && type <= NBSS_KEEPALIVE)
		return len <= NBSS_OTHER_LEN_MAX ? (int)(SMB_NBSS_LEN + len) : -EBADMSG;
	if (type != NBSS_MESSAGE || len < MAGIC_LEN)
		return -EBADMSG;
	if (cursor_left(&in) < MAGIC_LEN)
		return 0;
	if (take_magic(&in) == MAGIC_NONE)
		return -EBADMSG;
	return len + SMB_NBSS_LEN > SMB_PDU_LEN_MAX ? SMB_PDU_LEN_MAX : (int)(len + SMB_NBSS_LEN);
}

/* The four bytes of SMB behind a length are enough, on any port. */
static enum proto_probe
smb_probe(struct cursor in, bool to_server, bool on_port)
{
	uint8_t type = cursor_u8(&in);
	uint32_t len = cursor_be24(&in);

	(void)to_server;
	if (in.short_read)
		return type == NBSS_MESSAGE || type == NBSS_REQUEST ? PROTO_PROBE_MORE : PROTO_PROBE_NO;
	if (type == NBSS_REQUEST && len == 68) { /* two names of 34 bytes each begin with their length */
		uint8_t first = cursor_u8(&in);

		return in.short_read ? PROTO_PROBE_MORE : on_port && first == 32 ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	}
	if (type != NBSS_MESSAGE || len < SMB1_HEADER_LEN)
		return PROTO_PROBE_NO;
	if (cursor_left(&in) < MAGIC_LEN)
		return PROTO_PROBE_MORE;
	return take_magic(&in) == MAGIC_NONE ? PROTO_PROBE_NO : PROTO_PROBE_YES;
}

static int
smb_sender_is_server(struct cursor in)
{
	enum magic magic;

	if (cursor_u8(&in) == NBSS_REQUEST)
		return 0;
	cursor_skip(&in, SMB_NBSS_LEN - 1);
	magic = take_magic(&in);
	if (magic == MAGIC_SMB1) {
		cursor_skip(&in, 5);
		return in.short_read ? -1 : (cursor_u8(&in) & SMB1_RESPONSE) != 0;
	}
	if (magic != MAGIC_SMB2)
		return -1;
	cursor_skip(&in, 12);
	return in.short_read ? -1 : (cursor_le32(&in) & SMB2_RESPONSE) != 0;
}

/* ---- one command ---- */

/* A request has none yet where its response gives them: 0 (MS-SMB2 2.2.1.2), of version 1 also all ones (MS-CIFS 2.2.3.1). */
static void
put_ids(struct smb_pdu *pdu, bool given)
{
	struct smb_record *record = pdu->record;

	record->session_id = pdu->session_id;
	record->tree_id = pdu->tree_id;
	if (given || pdu->session_id != 0)
		record_present(&record->head, SMB_HAS_SESSION);
	if (given || (pdu->tree_id != 0 && (pdu->version != 1 || pdu->tree_id != SMB1_NO_TREE)))
		record_present(&record->head, SMB_HAS_TREE);
}

static void
begin_record(struct smb_pdu *pdu)
{
	struct smb_record *record = record_begin(pdu->ctx->record, &smb_table);

	pdu->record = record;
	record->command = pdu->command;
	record->version = pdu->version;
	put_ids(pdu, pdu->response);
	record_present(&record->head, SMB_HAS_COMMAND);
}

static void
read_body(struct smb_pdu *pdu, struct cursor body)
{
	pdu->io_count = 0;
	if (pdu->version == 1)
		smb1_body_read(pdu, body);
	else
		smb2_body_read(pdu, body);
}

static void
put_status(struct smb_pdu *pdu)
{
	struct smb_record *record = pdu->record;
	char text[10] = "0x", hex[8];
	uint32_t number = pdu->dos_error ? pdu->status & 0xffff : pdu->status;
	uint32_t hex_len = hex_of_u32(hex, number), len = 2;

	record->status = pdu->status;
	if (pdu->dos_error) {
		record->error_class = (uint8_t)(pdu->status >> 16);
		record_present(&record->head, SMB_HAS_ERROR_CLASS);
		for (uint32_t i = hex_len; i < DOS_DIGITS; i++)
			text[len++] = '0';
	}
	memcpy(text + len, hex, hex_len);
	len += hex_len;
	record_put_bytes(pdu->ctx->record, &record->status_text, text, len);
	record_present(&record->head, SMB_HAS_STATUS);
}

static const struct pair_desc pair_desc = { .response_time_off = offsetof(struct smb_record, response_time_us),
	.response_time_bit = SMB_HAS_RESPONSE_TIME, .count_shed = SMB_COUNT_SHED, .count_unanswered = SMB_COUNT_UNANSWERED };

static struct pair_key
key_of(const struct smb_pdu *pdu)
{
	return (struct pair_key){ .value = pdu->message_id, .detail = pdu->command };
}

const struct smb_record *
smb_request_find(const struct smb_pdu *pdu, uint64_t message_id, uint16_t command)
{
	const struct smb_state *state = pdu->ctx->state;
	struct pair_key key = { .value = message_id, .detail = command };
	struct pair_wait wait;

	return pair_find(&state->pairs, &pair_desc, key, &wait);
}

static void
handle_request(struct smb_pdu *pdu, struct cursor body)
{
	struct proto_ctx *ctx = pdu->ctx;
	struct smb_state *state = ctx->state;
	struct pair_wait wait = { .key = key_of(pdu), .since_ns = ctx->ts_ns, .to_server = ctx->to_server };

	counter_add(&ctx->counters[SMB_COUNT_REQUESTS], 1);
	state->requested = true;
	if (pdu->version == 1 && pdu->command == SMB1_NEGOTIATE) {
		state->negotiate_id = pdu->message_id;
		state->negotiating = true;
	}
	if (pair_make_room(ctx, &state->pairs, &pair_desc, SMB_OPEN_MAX))
		proto_event(ctx, SMB_EVENT_FLOODED);
	wait.id = ++state->last_id;
	begin_record(pdu);
	pdu->record->id = wait.id;
	read_body(pdu, body);
	proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, wait.id);
	if (!pair_keep(ctx, &state->pairs, &pair_desc, &wait))
		proto_deliver(ctx, PROTO_EMIT, wait.id);
	smb_file_command(pdu);
}

/* Connections to pipes carry no files (MS-SMB2 2.2.10). */
static void
note_tree(struct smb_state *state, const struct smb_record *record)
{
	if (!record_is_present(record, SMB_HAS_PIPE) || record->status != 0 || smb_tree_is_pipe(state, record->tree_id))
		return;
	state->pipe_trees[state->pipe_next++ % SMB_PIPE_TREES_MAX] = record->tree_id;
	state->pipe_count += state->pipe_count < SMB_PIPE_TREES_MAX;
}

/* A client that offers versions of both sends the form of version 1, and what answers is of version 2 (MS-SMB2 3.3.5.3). */
static struct pair_key
answered_key(const struct smb_pdu *pdu)
{
	struct smb_state *state = pdu->ctx->state;
	struct pair_key key = key_of(pdu), first = { .value = state->negotiate_id, .detail = SMB1_NEGOTIATE };
	struct pair_wait wait;

	if (!state->negotiating || pdu->command != SMB2_BASE || pair_find(&state->pairs, &pair_desc, key, &wait) != NULL)
		return key;
	state->negotiating = false;
	return first;
}

/* Of no request that was seen. */
static void
handle_orphan(struct smb_pdu *pdu, struct cursor body)
{
	struct proto_ctx *ctx = pdu->ctx;
	struct smb_state *state = ctx->state;

	counter_add(&ctx->counters[SMB_COUNT_ORPHANS], 1);
	if (state->requested && pdu->command != SMB2_BASE && pdu->command != SMB2_BASE + 18) /* oplock breaks come unasked */
		proto_event(ctx, SMB_EVENT_RESPONSE_WITHOUT_REQUEST);
	begin_record(pdu);
	pdu->record->id = ++state->last_id;
	put_status(pdu);
	read_body(pdu, body);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, pdu->record->id);
}

static void
deliver_answered(struct proto_ctx *ctx, uint32_t id)
{
	proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, id);
	ctx->to_server = !ctx->to_server;
	proto_deliver(ctx, PROTO_EMIT, id);
	ctx->to_server = !ctx->to_server;
}

/* Rules and event see both. A server that says it is not ready answers once more. */
static void
handle_response(struct smb_pdu *pdu, struct cursor body)
{
	struct proto_ctx *ctx = pdu->ctx;
	struct smb_state *state = ctx->state;
	struct pair_key key = answered_key(pdu);
	struct pair_wait wait;
	const struct smb_record *begun = pair_find(&state->pairs, &pair_desc, key, &wait);

	if (pdu->status == STATUS_PENDING && pdu->version == 2 && begun != NULL)
		return;
	counter_add(&ctx->counters[SMB_COUNT_RESPONSES], 1);
	if (begun == NULL) {
		handle_orphan(pdu, body);
		return;
	}
	pdu->asked_file = begun->file;
	pdu->record = pair_take(ctx, &state->pairs, &pair_desc, key, &wait);
	if (pdu->record == NULL)
		return;
	if (pdu->async)
		pdu->tree_id = pdu->record->tree_id;
	put_status(pdu);
	pdu->record->head.present &= ~(UINT64_C(1) << SMB_HAS_RPC_STUB); /* rules saw the request's */
	put_ids(pdu, true);
	read_body(pdu, body);
	pair_answered(ctx, &state->pairs, &pair_desc, &wait);
	deliver_answered(ctx, wait.id);
	note_tree(state, pdu->record);
	if (pdu->status == 0 || pdu->status == STATUS_BUFFER_OVERFLOW || pdu->status == STATUS_MORE_DATA)
		smb_file_command(pdu);
}

static void
handle_command(struct smb_pdu *pdu, struct cursor body)
{
	if (pdu->response)
		handle_response(pdu, body);
	else
		handle_request(pdu, body);
}

/* MS-CIFS 2.2.1.5: a class, an octet that says nothing, a code. */
static void
take_dos_error(struct smb_pdu *pdu)
{
	uint32_t class = pdu->status & 0xff, code = pdu->status >> 16;

	pdu->dos_error = (class | code) != 0;
	pdu->status = pdu->dos_error ? SMB_DOS_ERROR | class << 16 | code : 0;
}

/* MS-CIFS 2.2.3.1 */
static void
parse_smb1(struct smb_pdu *pdu)
{
	struct cursor in = pdu->whole;
	uint16_t flags2, high, low, mid;

	cursor_skip(&in, MAGIC_LEN);
	pdu->version = 1;
	pdu->command = cursor_u8(&in);
	pdu->status = cursor_le32(&in);
	pdu->response = (cursor_u8(&in) & SMB1_RESPONSE) != 0;
	flags2 = cursor_le16(&in);
	pdu->unicode = (flags2 & SMB1_UNICODE) != 0;
	if ((flags2 & SMB1_NT_STATUS) == 0)
		take_dos_error(pdu);
	high = cursor_le16(&in);
	cursor_skip(&in, 10);
	pdu->tree_id = cursor_le16(&in);
	low = cursor_le16(&in);
	pdu->session_id = cursor_le16(&in);
	mid = cursor_le16(&in);
	pdu->message_id = (uint64_t)high << 32 | (uint32_t)low << 16 | mid;
	if (in.short_read)
		proto_event(pdu->ctx, SMB_EVENT_MALFORMED_DATA);
	else
		handle_command(pdu, in);
}

/* MS-SMB2 2.2.1; commands of one message follow one another, each names the next. @return where the next begins, or 0 */
uint32_t
smb2_command_read(struct smb_pdu *pdu)
{
	struct cursor in = pdu->whole;
	uint32_t flags, next, tree_id;
	uint64_t session_id;
	uint16_t size;

	if (take_magic(&in) != MAGIC_SMB2) {
		proto_event(pdu->ctx, SMB_EVENT_MALFORMED_DATA);
		return 0;
	}
	pdu->version = 2;
	size = cursor_le16(&in);
	cursor_skip(&in, 2);
	pdu->status = cursor_le32(&in);
	pdu->command = (uint16_t)(SMB2_BASE + (cursor_le16(&in) & 0xff));
	cursor_skip(&in, 2);
	flags = cursor_le32(&in);
	pdu->response = (flags & SMB2_RESPONSE) != 0;
	next = cursor_le32(&in);
	pdu->message_id = cursor_le64(&in);
	cursor_skip(&in, 4);
	tree_id = cursor_le32(&in);
	session_id = cursor_le64(&in);
	cursor_skip(&in, 16);
	pdu->async = (flags & SMB2_ASYNC) != 0; /* its high half stands where the tree would */
	if ((flags & SMB2_RELATED) == 0 || tree_id != UINT32_MAX)
		pdu->tree_id = pdu->async ? 0 : tree_id;
	if ((flags & SMB2_RELATED) == 0 || session_id != UINT64_MAX)
		pdu->session_id = session_id;
	if (in.short_read || size != SMB2_HEADER_LEN) {
		if (!pdu->cut)
			proto_event(pdu->ctx, SMB_EVENT_MALFORMED_DATA);
		return 0;
	}
	handle_command(pdu, in);
	return next;
}

static void
smb_parse(struct proto_ctx *ctx, struct cursor in)
{
	uint8_t type = cursor_u8(&in);
	uint32_t len = cursor_be24(&in);
	struct cursor message = in;
	enum magic magic;
	bool cut;

	if (type != NBSS_MESSAGE)
		return;
	cut = len > cursor_left(&in);
	if (cut)
		ctx->skip_len = len - (uint32_t)cursor_left(&in);
	magic = take_magic(&in);
	if (magic == MAGIC_SMB1) {
		struct smb_pdu pdu = { .ctx = ctx, .whole = message, .cut = cut };

		parse_smb1(&pdu);
	} else if (magic == MAGIC_SMB2) {
		smb_compound_begin(ctx, message);
	} else {
		counter_add(&ctx->counters[SMB_COUNT_ENCRYPTED], 1);
	}
	counter_add(&ctx->counters[SMB_COUNT_PASSED_BYTES], ctx->skip_len);
	smb_call_flush(ctx);
}

static void
smb_gap(struct proto_ctx *ctx, uint32_t missing)
{
	smb_call_end(ctx, ctx->to_server);
	smb_compound_gap(ctx, missing);
}

static void
smb_end(struct proto_ctx *ctx)
{
	struct smb_state *state = ctx->state;

	smb_call_end(ctx, true);
	smb_call_end(ctx, false);
	smb_file_end(ctx);
	smb_compound_end(ctx);
	pair_shrink(ctx, &state->pairs, &pair_desc, 0);
}

static const uint16_t smb_ports[] = { 445, 139, 0 };

extern const struct proto smb_proto;
const struct proto smb_proto = {
	.app = {
		.name = "smb",
		.record = &smb_table,
		.events = smb_events,
		.event_count = SMB_EVENT_COUNT,
		.keywords = smb_keywords,
		.keyword_count = SMB_KEYWORD_COUNT,
		.buffers = smb_buffers,
		.buffer_count = SMB_BUFFER_COUNT,
	},
	.transports = PROTO_TCP,
	.ports = smb_ports,
	.pdu_len_min = SMB_NBSS_LEN + MAGIC_LEN,
	.probe = smb_probe,
	.starts = { { 0x00, 0x00 }, { 0x81, 0x81 } },
	.start_count = 2,
	.sender_is_server = smb_sender_is_server,
	.frame = smb_frame,
	.parse = smb_parse,
	.raw = smb_compound_raw,
	.gap = smb_gap,
	.end = smb_end,
	.state_len = sizeof(struct smb_state),
	.ahead = PAIR_AHEAD,
	.counters = smb_counters,
	.counter_count = SMB_COUNTER_COUNT,
	.knobs = &smb_knobs,
	.config_len = sizeof(struct smb_config),
};
