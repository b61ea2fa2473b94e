/* EtherNet/IP: finding PDUs, recognising the protocol, and the way of one PDU. */
#include "proto/enip/enip.h"

#include <errno.h>

enum {
	TLS_RECORD_LEN_MAX = 16384 + 2048,
	TLS_HEADER_LEN = 5,
	CPF_PREFIX_LEN = 6, /* interface handle and timeout */
	NOP_LEN_MAX = 512,
	STATUS_MAX = 0xffff, /* those above are no encapsulation status of any specification */
};

struct header {
	uint16_t command;
	uint16_t length;
	uint32_t session_handle;
	uint32_t status;
	uint64_t sender_context;
	uint32_t options;
};

static struct header
read_header(struct cursor *in)
{
	struct header header;

	header.command = cursor_le16(in);
	header.length = cursor_le16(in);
	header.session_handle = cursor_le32(in);
	header.status = cursor_le32(in);
	header.sender_context = cursor_be64(in);
	header.options = cursor_le32(in);
	return header;
}

/* A command: how its bodies are read, and how long they may be. */
struct command {
	uint8_t code;
	bool answered;
	bool cpf;             /* interface handle, timeout and CPF items */
	uint16_t request_len; /* at most */
	uint16_t response_min;
	uint16_t response_max;
	void (*read_request)(struct enip_pdu *pdu, struct cursor *body);
	void (*read_response)(struct enip_pdu *pdu, struct cursor *body);
};

/* EIP 2-4. Of commands that carry CPF both halves have at least the interface handle and timeout. */
static const struct command commands[] = {
	{ ENIP_NOP, false, false, ENIP_LENGTH_MAX, 0, ENIP_LENGTH_MAX, enip_read_nothing, enip_read_nothing },
	{ ENIP_LIST_TARGETS, true, false, 0, 2, 512, enip_read_nothing, enip_read_list },
	{ ENIP_LIST_SERVICES, true, false, 2, 2, 512, enip_read_nothing, enip_read_list },
	{ ENIP_LIST_IDENTITY, true, false, 2, 2, 2048, enip_read_nothing, enip_read_list },
	{ ENIP_LIST_INTERFACES, true, false, 2, 2, 512, enip_read_nothing, enip_read_list },
	{ ENIP_REGISTER_SESSION, true, false, 4, 0, 4, enip_read_register, enip_read_register },
	{ ENIP_UNREGISTER_SESSION, false, false, 0, 0, 0, enip_read_nothing, enip_read_nothing },
	{ ENIP_SEND_RR_DATA, true, true, ENIP_LENGTH_MAX, 0, ENIP_LENGTH_MAX, enip_read_cpf, enip_read_cpf },
	{ ENIP_SEND_UNIT_DATA, true, true, ENIP_LENGTH_MAX, 0, ENIP_LENGTH_MAX, enip_read_cpf, enip_read_cpf },
	{ ENIP_INDICATE_STATUS, false, false, ENIP_LENGTH_MAX, 0, ENIP_LENGTH_MAX, enip_read_nothing, enip_read_nothing },
	{ ENIP_CANCEL, false, false, ENIP_LENGTH_MAX, 0, ENIP_LENGTH_MAX, enip_read_nothing, enip_read_nothing },
};

static const struct command *
command_of(uint16_t code)
{
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].code == code)
			return &commands[i];
	return NULL;
}

/* ---- CIP Security: the same protocol inside TLS (CIP volume 8) ---- */

static bool
is_tls(struct cursor in, uint16_t *version, uint16_t *len)
{
	uint8_t type = cursor_u8(&in);

	*version = cursor_be16(&in);
	*len = cursor_be16(&in);
	return !in.short_read && type >= 20 && type <= 23 && *version >= 0x0301 && *version <= 0x0304 && *len > 0 &&
		*len <= TLS_RECORD_LEN_MAX;
}

static bool
read_tls(struct proto_ctx *ctx, struct cursor pdu)
{
	struct enip_state *state = ctx->state;
	struct enip_record *record;
	uint16_t version, len;

	if (!is_tls(pdu, &version, &len))
		return false;
	counter_add(&ctx->counters[ENIP_COUNT_SECURE], 1);
	if (state->secured)
		return true;
	state->secured = true;
	record = record_begin(ctx->record, &enip_table);
	record->id = ++state->last_id;
	record->security_version = version;
	record_present(&record->head, ENIP_HAS_SECURITY);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, record->id);
	return true;
}

/* ---- framing and recognition ---- */

/* A NOP may be all zeros. Where a PDU is looked for among other bytes those are common, so another must follow it. */
static bool
nop_plausible(const struct header *header, struct cursor rest)
{
	uint16_t next = cursor_le16(&rest);

	if (header->status != 0 || header->options != 0 || header->length > NOP_LEN_MAX)
		return false;
	return header->length > 0 || header->session_handle != 0 || header->sender_context != 0 || rest.short_read ||
		(next != ENIP_NOP && command_of(next) != NULL);
}

/* What any header of a known command has. Options must be 0 (EIP 2-3.7), but a receiver only discards others: they
 * are framed where the rest could not be chance. */
static bool
header_plausible(const struct header *header, struct cursor rest)
{
	const struct command *command = command_of(header->command);

	if (command == NULL || header->length > ENIP_LENGTH_MAX || header->status > STATUS_MAX)
		return false;
	if (header->command == ENIP_NOP)
		return nop_plausible(header, rest);
	if (!command->cpf && header->length > command->request_len && header->length > command->response_max)
		return false;
	return header->options == 0 || command->cpf || header->length <= 4;
}

static int
enip_frame(struct cursor in, bool to_server)
{
	struct cursor at = in;
	struct header header;
	uint16_t version, len;

	(void)to_server;
	if (enip_is_io(in))
		return enip_io_frame(in);
	if (is_tls(in, &version, &len))
		return TLS_HEADER_LEN + len;
	header = read_header(&at);
	if (at.short_read)
		return 0;
	return header_plausible(&header, at) ? ENIP_HEADER_LEN + header.length : -EBADMSG;
}

/* The first octets exclude nearly everything else before the header is whole. */
static bool
prefix_plausible(struct cursor in)
{
	size_t left = cursor_left(&in);
	uint8_t low = cursor_u8(&in);
	uint8_t high = cursor_u8(&in);

	if (left < 2)
		return command_of(low) != NULL || low == 2;
	return high == 0 && command_of(low) != NULL;
}

/* Off the usual port a body must be what its command says. */
static enum proto_probe
body_fits(const struct header *header, struct cursor body, bool to_server)
{
	const struct command *command = command_of(header->command);

	if (header->command <= ENIP_LIST_TARGETS || header->command >= ENIP_INDICATE_STATUS || header->options != 0)
		return PROTO_PROBE_NO;
	if (command->cpf && header->length >= 8) {
		cursor_skip(&body, CPF_PREFIX_LEN);
		return enip_cpf_plausible(body);
	}
	if (command->cpf)
		return header->length == 0 && header->status != 0 ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	if (header->command == ENIP_REGISTER_SESSION && header->length == 4) {
		uint16_t version = cursor_le16(&body);
		uint16_t options = cursor_le16(&body);

		return body.short_read ? PROTO_PROBE_MORE : version == 1 && options == 0 ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	}
	if (header->length == 0) { /* the end of a session, or a list request, which is nearly all zeros: a client's alone */
		bool fits = header->command == ENIP_UNREGISTER_SESSION ? header->session_handle != 0 : to_server && header->status == 0;

		return fits ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	}
	return enip_cpf_plausible(body);
}

static enum proto_probe
enip_probe(struct cursor in, bool to_server, bool on_port)
{
	struct cursor body = in;
	struct header header;
	uint16_t version, len;

	if (enip_is_io(in))
		return enip_io_frame(in) > 0 ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	if (on_port && is_tls(in, &version, &len))
		return PROTO_PROBE_YES;
	if (!prefix_plausible(in))
		return PROTO_PROBE_NO;
	header = read_header(&body);
	if (body.short_read)
		return PROTO_PROBE_MORE;
	if (!header_plausible(&header, body))
		return PROTO_PROBE_NO;
	return on_port ? PROTO_PROBE_YES : body_fits(&header, body, to_server);
}

/* ---- which half a PDU is ---- */

/* -1: the PDU does not say. */
static int
is_response(const struct header *header, struct cursor body)
{
	const struct command *command = command_of(header->command);

	if (header->status != 0)
		return 1;
	if (command->cpf) {
		struct enip_peek peek = enip_peek_cpf(body);

		return !peek.cip ? -1 : (peek.service & ENIP_REPLY_BIT) != 0;
	}
	if (header->command == ENIP_REGISTER_SESSION)
		return header->session_handle != 0;
	if (!command->answered)
		return 0;
	return header->length > command->request_len ? 1 : header->length == 0 ? 0 : -1;
}

static int
enip_sender_is_server(struct cursor in)
{
	struct header header;

	if (enip_is_io(in))
		return -1;
	header = read_header(&in);
	if (in.short_read || !header_plausible(&header, in))
		return -1;
	return is_response(&header, in);
}

/* What a response repeats: the sender context, of connected messages the sequence count; and in the detail, from the
 * highest bit on, the session where both have it, or the connection, the command, and of connected messages the service. */
static uint64_t
detail_of(uint32_t handle, uint16_t command, uint16_t service)
{
	return (uint64_t)handle << 32 | (uint64_t)command << 16 | service;
}

/* A connection whose forward open was not seen may be any: its two numbers have nothing in common. */
static bool
handle_answers(uint64_t waiting, uint64_t answer)
{
	return waiting >> 32 == answer >> 32 || ((uint16_t)(waiting >> 16) == ENIP_SEND_UNIT_DATA && (waiting >> 32 == 0 || answer >> 32 == 0));
}

/* An unconnected send is answered with the service of the message in it. */
static bool
detail_answers(uint64_t waiting, uint64_t answer)
{
	return (uint16_t)(waiting >> 16) == (uint16_t)(answer >> 16) && handle_answers(waiting, answer) &&
		((uint16_t)waiting == (uint16_t)answer || (uint16_t)waiting == ENIP_UNCONNECTED_SEND);
}

static const struct pair_desc pair_desc = { .answers = detail_answers,
	.response_time_off = offsetof(struct enip_record, response_time_us), .response_time_bit = ENIP_HAS_RESPONSE_TIME,
	.count_shed = ENIP_COUNT_SHED, .count_unanswered = ENIP_COUNT_UNANSWERED };

static struct pair_key
key_of(const struct enip_state *state, const struct header *header, struct cursor body, bool asks)
{
	struct enip_peek peek;

	if (header->command != ENIP_SEND_UNIT_DATA)
		return (struct pair_key){ header->sender_context,
			detail_of(header->command == ENIP_SEND_RR_DATA ? header->session_handle : 0, header->command, 0) };
	peek = enip_peek_cpf(body);
	return (struct pair_key){ peek.sequence, detail_of(enip_connection_of(state, peek.connection_id, asks), header->command,
		peek.service & (uint8_t)~ENIP_REPLY_BIT) };
}

/* ---- one PDU ---- */

static void
fill_header(struct enip_pdu *pdu, const struct header *header, const uint8_t *context)
{
	struct enip_half *half = pdu->half;

	half->command = header->command;
	half->length = header->length;
	half->session_handle = header->session_handle;
	half->status = header->status;
	half->options = header->options;
	record_put_bytes(pdu->ctx->record, &half->sender_context, context, 8);
	enip_has(pdu, ENIP_HAS_HEADER);
	if (header->options != 0)
		enip_has(pdu, ENIP_HAS_OPTIONS);
}

/* The session of a flow is known once it was registered in it; other handles are then wrong, and said once. */
static void
follow_session(struct enip_pdu *pdu, const struct header *header)
{
	struct enip_state *state = pdu->ctx->state;

	if (header->command == ENIP_REGISTER_SESSION && pdu->bit == ENIP_RESPONSE && header->status == 0) {
		state->session_handle = header->session_handle;
		state->unknown_session = false;
	} else if (command_of(header->command)->cpf && state->session_handle != 0 && !state->unknown_session &&
		header->session_handle != state->session_handle) {
		state->unknown_session = true;
		proto_event(pdu->ctx, ENIP_EVENT_UNKNOWN_SESSION);
	}
}

static void
read_body(struct enip_pdu *pdu, const struct header *header, struct cursor *body)
{
	const struct command *command = command_of(header->command);

	follow_session(pdu, header);
	if (cursor_left(body) > 0)
		(pdu->bit == ENIP_REQUEST ? command->read_request : command->read_response)(pdu, body);
	if (body->short_read)
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_PDU);
	else if (cursor_left(body) > 0)
		proto_event(pdu->ctx, ENIP_EVENT_TRAILING_BYTES);
}

static void
parse_request(struct proto_ctx *ctx, const struct header *header, struct cursor body, const uint8_t *context)
{
	const struct enip_config *config = ctx->config;
	const struct command *command = command_of(header->command);
	struct enip_state *state = ctx->state;
	struct pair_key key = key_of(state, header, body, true);
	struct enip_pdu pdu = { .ctx = ctx, .bit = ENIP_REQUEST };
	struct pair_wait wait;
	bool held;

	/* Over UDP nobody has to answer: a broadcast asks who is there, again and again. */
	if (pair_give_up(ctx, &state->pairs, &pair_desc, key, pair_patience_ns(&state->pairs)) && ctx->tcp)
		proto_event(ctx, ENIP_EVENT_REUSED_CONTEXT);
	if (pair_make_room(ctx, &state->pairs, &pair_desc, config->max_tx))
		proto_event(ctx, ENIP_EVENT_TOO_MANY_TRANSACTIONS);
	pdu.record = record_begin(ctx->record, &enip_table);
	pdu.record->id = ++state->last_id;
	state->asked = true;
	pdu.half = &pdu.record->request;
	fill_header(&pdu, header, context);
	read_body(&pdu, header, &body);
	counter_add(&ctx->counters[ENIP_COUNT_REQUESTS], 1);
	wait = (struct pair_wait){ .key = key, .since_ns = ctx->ts_ns, .id = pdu.record->id, .to_server = ctx->to_server,
		.asked = pdu.reads && !pdu.acts && proto_compares(ctx, 0) ? proto_value_hash(0, pdu.said) | 1 : 0 };
	held = command->answered && pair_keep(ctx, &state->pairs, &pair_desc, &wait);
	proto_deliver(ctx, held ? PROTO_MATCH | PROTO_HOLD : PROTO_MATCH | PROTO_EMIT, pdu.record->id);
}

static bool
has_error(const struct enip_pdu *pdu)
{
	return pdu->half->status != 0 || (record_is_present(&pdu->record->head, (uint8_t)(pdu->bit + ENIP_HAS_STATUS)) &&
						 pdu->half->cip.status != 0);
}

static void
parse_response(struct proto_ctx *ctx, const struct header *header, struct cursor body, const uint8_t *context)
{
	struct enip_state *state = ctx->state;
	struct enip_pdu pdu = { .ctx = ctx, .bit = ENIP_RESPONSE };
	struct pair_wait wait = { 0 };

	pdu.record = pair_take(ctx, &state->pairs, &pair_desc, key_of(state, header, body, false), &wait);
	pdu.asked = pdu.record != NULL;
	if (pdu.asked) {
		pair_answered(ctx, &state->pairs, &pair_desc, &wait);
	} else {
		pdu.record = record_begin(ctx->record, &enip_table);
		pdu.record->id = ++state->last_id;
		/* A broadcast is answered in flows of the answering devices' own; where the connection's beginning was not seen, what came
		 * before the first request may have been asked for. */
		if (ctx->tcp && (state->asked || !ctx->midstream))
			proto_event(ctx, ENIP_EVENT_UNSOLICITED_RESPONSE);
		counter_add(&ctx->counters[ENIP_COUNT_ORPHANS], 1);
	}
	pdu.half = &pdu.record->response;
	fill_header(&pdu, header, context);
	read_body(&pdu, header, &body);
	counter_add(&ctx->counters[ENIP_COUNT_RESPONSES], 1);
	if (has_error(&pdu))
		counter_add(&ctx->counters[ENIP_COUNT_ERRORS], 1);
	else if (wait.asked != 0)
		proto_value(ctx, wait.asked, proto_value_hash(0, pdu.said));
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, pdu.record->id);
	enip_identity_deliver(&pdu);
}

/* Some devices and simulators put the header of a SendUnitData before cyclic data. */
static bool
is_datagram_io(const struct header *header, struct cursor body)
{
	cursor_skip(&body, CPF_PREFIX_LEN);
	return header->command == ENIP_SEND_UNIT_DATA && enip_is_io(body) && enip_io_frame(body) > 0;
}

static void
enip_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	struct cursor at = pdu;
	const uint8_t *context;
	struct header header;
	int response;

	if (enip_is_io(pdu)) {
		enip_io_read(ctx, pdu);
		return;
	}
	if (read_tls(ctx, pdu))
		return;
	cursor_skip(&at, 12);
	context = cursor_take(&at, 8);
	header = read_header(&pdu);
	if (pdu.short_read || !header_plausible(&header, pdu))
		return;
	if (!ctx->tcp && is_datagram_io(&header, pdu)) {
		cursor_skip(&pdu, CPF_PREFIX_LEN);
		enip_io_read(ctx, pdu);
		return;
	}
	response = is_response(&header, pdu);
	if (response < 0)
		response = !ctx->to_server;
	if (response)
		parse_response(ctx, &header, pdu, context);
	else
		parse_request(ctx, &header, pdu, context);
}

static void
enip_end(struct proto_ctx *ctx)
{
	struct enip_state *state = ctx->state;

	pair_shrink(ctx, &state->pairs, &pair_desc, 0);
	enip_io_end(ctx);
	enip_connections_free(ctx);
}

static const uint16_t enip_ports[] = { 44818, 2222, ENIP_PORT_SECURE, 0 };

extern const struct proto enip_proto;
const struct proto enip_proto = {
	.app = {
		.name = "enip",
		.record = &enip_table,
		.events = enip_events,
		.event_count = ENIP_EVENT_COUNT,
		.keywords = enip_keywords,
		.keyword_count = ENIP_KEYWORD_COUNT,
		.buffers = enip_buffers,
		.buffer_count = ENIP_BUFFER_COUNT,
		.record_tags = enip_record_tags,
		.keyword_tag = enip_keyword_tag,
	},
	.transports = PROTO_TCP | PROTO_UDP,
	.ports = enip_ports,
	.pdu_len_min = ENIP_HEADER_LEN,
	.probe = enip_probe,
	.starts = { { 0x00, 0x04 }, { 0x14, 0x17 }, { 0x63, 0x78 } },
	.start_count = 3,
	.sender_is_server = enip_sender_is_server,
	.frame = enip_frame,
	.parse = enip_parse,
	.end = enip_end,
	.state_len = sizeof(struct enip_state),
	.ahead = PAIR_AHEAD,
	.kind = "request.cip.service",
	.counters = enip_counters,
	.counter_count = ENIP_COUNTER_COUNT,
	.shared_len = sizeof(struct enip_shared),
	.knobs = &enip_knobs,
	.cyclic = PROTO_LOG_SUMMARY,
	.config_len = sizeof(struct enip_config),
};
