/* Modbus/TCP: finding PDUs, recognising the protocol, and the way of one PDU. */
#include "proto/modbus/modbus.h"

#include <errno.h>

enum {
	PROBE_PDUS_MAX = 4, /* PDUs looked at in the first bytes of a flow */
	EXCEPTION_CODE_MAX = 11,
};

struct header {
	uint16_t transaction_id;
	uint16_t protocol_id;
	uint16_t length;
	uint8_t unit_id;
	uint8_t function_raw;
};

static struct header
read_header(struct cursor *in)
{
	struct header header;

	header.transaction_id = cursor_be16(in);
	header.protocol_id = cursor_be16(in);
	header.length = cursor_be16(in);
	header.unit_id = cursor_u8(in);
	header.function_raw = cursor_u8(in);
	return header;
}

static const struct modbus_function *
function_of(uint8_t function_raw)
{
	return &modbus_functions[function_raw & ~MODBUS_EXCEPTION_BIT];
}

/* Above the specification's length only functions that mean something are framed: their length is the
 * anomaly to tell. Schneider's function 90 does use more. */
static bool
header_plausible(struct header header)
{
	const struct modbus_function *function = function_of(header.function_raw);

	if (header.length < MODBUS_LENGTH_MIN || (header.function_raw & ~MODBUS_EXCEPTION_BIT) == 0)
		return false;
	if (header.length <= MODBUS_LENGTH_MAX)
		return true;
	return header.length <= MODBUS_LENGTH_FRAMED &&
		(function->category == MODBUS_PUBLIC_ASSIGNED || header.function_raw == MODBUS_FUNCTION_UMAS);
}

/* With another protocol id, only a PDU whose length is the one its function has is worth naming as
 * invalid_protocol_id; anything else is not Modbus. */
static bool
length_is_exact(struct header header)
{
	const struct modbus_function *function = function_of(header.function_raw);
	size_t body_len = header.length - MODBUS_LENGTH_MIN;

	if (header.function_raw & MODBUS_EXCEPTION_BIT || function->category != MODBUS_PUBLIC_ASSIGNED)
		return false;
	return (function->request.kind == MODBUS_SHAPE_FIXED && function->request.len == body_len) ||
		(function->response.kind == MODBUS_SHAPE_FIXED && function->response.len == body_len);
}

/* TCP V1.0b 3.1.3. */
static int
modbus_frame(struct cursor in, bool to_server)
{
	struct header header = read_header(&in);

	(void)to_server;
	if (in.short_read)
		return 0;
	if (!header_plausible(header) || (header.protocol_id != 0 && !length_is_exact(header)))
		return -EBADMSG;
	return MODBUS_HEADER_LEN + header.length;
}

/* Whether the body could be a request's, or a response's. The cursor stands behind the header and may hold only
 * part of the body. */
static enum modbus_fit
fit_half(struct header header, struct cursor body, bool request)
{
	const struct modbus_function *function = function_of(header.function_raw);
	size_t body_len = header.length - MODBUS_LENGTH_MIN;

	if (header.function_raw & MODBUS_EXCEPTION_BIT)
		return !request && body_len == 1 ? MODBUS_FIT_YES : MODBUS_FIT_NO;
	if (cursor_left(&body) > body_len)
		body = cursor_sub(&body, body_len);
	return modbus_shape_fit(request ? function->request : function->response, body, body_len);
}

/* The header as far as it is there. */
static bool
prefix_plausible(struct cursor in)
{
	size_t left = cursor_left(&in);
	struct header header = read_header(&in);

	if (left >= 8)
		return header.protocol_id == 0 && header_plausible(header);
	if (left >= 6)
		return header.protocol_id == 0 && header.length >= MODBUS_LENGTH_MIN &&
			header.length <= MODBUS_LENGTH_FRAMED;
	return left < 4 || header.protocol_id == 0;
}

/* A read of nothing, or of more than one may ask for, is another protocol's bytes: LDAP's unbind request, for one. */
static bool
quantity_plausible(struct header header, struct cursor body)
{
	const struct modbus_function *function = function_of(header.function_raw);
	uint16_t quantity;

	if ((function->access & MODBUS_READ) == 0 || function->request.kind != MODBUS_SHAPE_FIXED)
		return true;
	cursor_skip(&body, 2);
	quantity = cursor_be16(&body);
	return body.short_read || (quantity >= 1 && quantity <= function->quantity_max);
}

/* Off the usual port nothing counts but a PDU of a public function whose body is as long as it says. */
static enum modbus_fit
strict_fit(struct header header, struct cursor body)
{
	enum modbus_fit request = fit_half(header, body, true), response = fit_half(header, body, false);
	uint8_t exception;

	if (header.length > MODBUS_LENGTH_MAX || function_of(header.function_raw)->category != MODBUS_PUBLIC_ASSIGNED)
		return MODBUS_FIT_NO;
	if (header.function_raw & MODBUS_EXCEPTION_BIT && response == MODBUS_FIT_YES) {
		exception = cursor_u8(&body);
		if (body.short_read)
			return MODBUS_FIT_MORE;
		return exception >= 1 && exception <= EXCEPTION_CODE_MAX ? MODBUS_FIT_YES : MODBUS_FIT_NO;
	}
	if (request == MODBUS_FIT_YES && response != MODBUS_FIT_YES && !quantity_plausible(header, body))
		return MODBUS_FIT_NO;
	return request > response ? request : response;
}

static enum proto_probe
modbus_probe(struct cursor in, bool to_server, bool on_port)
{
	(void)to_server;
	for (unsigned int i = 0; i < PROBE_PDUS_MAX; i++) {
		struct cursor body = in;
		struct header header = read_header(&body);
		enum modbus_fit fit = on_port ? MODBUS_FIT_YES : MODBUS_FIT_NO;

		if (!prefix_plausible(in))
			return PROTO_PROBE_NO;
		if (body.short_read)
			return i > 0 ? PROTO_PROBE_YES : PROTO_PROBE_MORE;
		if (!on_port)
			fit = strict_fit(header, body);
		if (fit == MODBUS_FIT_NO)
			return PROTO_PROBE_NO;
		cursor_skip(&in, MODBUS_HEADER_LEN + header.length);
		if (in.short_read || fit == MODBUS_FIT_MORE)
			return i > 0 ? PROTO_PROBE_YES : PROTO_PROBE_MORE;
		if (cursor_left(&in) == 0)
			return PROTO_PROBE_YES;
	}
	return PROTO_PROBE_YES;
}

static int
modbus_sender_is_server(struct cursor in)
{
	struct header header = read_header(&in);
	enum modbus_fit request, response;

	if (in.short_read || header.protocol_id != 0 || !header_plausible(header))
		return -1;
	request = fit_half(header, in, true);
	response = fit_half(header, in, false);
	if (request == MODBUS_FIT_MORE || response == MODBUS_FIT_MORE || request == response)
		return -1;
	return response == MODBUS_FIT_YES;
}

/* A detail is a diagnostic sub-function or MEI type, 0 for other functions; an exception says none. */
static const uint64_t any_detail = UINT64_MAX;

static bool
detail_answers(uint64_t waiting, uint64_t answer)
{
	return answer == any_detail || answer == waiting;
}

static const struct pair_desc pair_desc = { .answers = detail_answers,
	.response_time_off = offsetof(struct modbus_record, response_time_us), .response_time_bit = MODBUS_HAS_RESPONSE_TIME,
	.count_shed = MODBUS_COUNT_SHED, .count_unanswered = MODBUS_COUNT_UNANSWERED };

static bool
is_exception(struct header header)
{
	return (header.function_raw & MODBUS_EXCEPTION_BIT) != 0;
}

static struct pair_key
key_of(struct header header, struct cursor body)
{
	uint8_t function = header.function_raw & (uint8_t)~MODBUS_EXCEPTION_BIT;
	struct pair_key key = { .value = (uint32_t)header.transaction_id << 16 | (uint32_t)header.unit_id << 8 | function };

	if (is_exception(header))
		key.detail = any_detail;
	else if (function == 8)
		key.detail = cursor_be16(&body);
	else if (function == 43)
		key.detail = cursor_u8(&body);
	return key;
}

/* The direction says which half a PDU is, unless its body can only be the other one: the flow may have been opened
 * by the server, or picked up in the middle. A response that is malformed into the shape of a request stays the
 * response of the request that waits for it. */
static bool
is_request(const struct proto_ctx *ctx, struct header header, struct cursor body, struct pair_key key)
{
	const struct modbus_state *state = ctx->state;
	struct pair_wait wait;

	if (is_exception(header))
		return false;
	if (fit_half(header, body, ctx->to_server) == MODBUS_FIT_YES)
		return ctx->to_server;
	if (ctx->to_server)
		return fit_half(header, body, false) != MODBUS_FIT_YES;
	return fit_half(header, body, true) == MODBUS_FIT_YES && pair_find(&state->pairs, &pair_desc, key, &wait) == NULL;
}

static void
fill_header(struct modbus_pdu *pdu, struct header header)
{
	struct modbus_half *half = pdu->half;

	half->transaction_id = header.transaction_id;
	half->protocol_id = header.protocol_id;
	half->length = header.length;
	half->unit_id = header.unit_id;
	half->function_raw = header.function_raw;
	half->function = header.function_raw & (uint8_t)~MODBUS_EXCEPTION_BIT;
	half->access = pdu->function->access;
	half->category = pdu->function->category;
	if (header.protocol_id != 0)
		half->errors |= MODBUS_ERROR_PROTOCOL;
	if (header.length > MODBUS_LENGTH_MAX && half->function != MODBUS_FUNCTION_UMAS)
		half->errors |= MODBUS_ERROR_LENGTH;
	modbus_has(pdu, MODBUS_HAS_HEADER);
}

/* Suricata's names: wrong values in the response to a read or write are a mismatch, whatever they are. */
static void
name_errors(struct modbus_pdu *pdu)
{
	static const uint8_t event_of[] = { MODBUS_EVENT_INVALID_VALUE, MODBUS_EVENT_INVALID_LENGTH,
		MODBUS_EVENT_INVALID_EXCEPTION_CODE, MODBUS_EVENT_INVALID_FUNCTION_CODE,
		MODBUS_EVENT_INVALID_PROTOCOL_ID };
	uint8_t errors = pdu->half->errors;

	if (pdu->bit == MODBUS_RESPONSE && pdu->half->access != 0 && !(pdu->half->function_raw & MODBUS_EXCEPTION_BIT) &&
		(errors & (MODBUS_ERROR_VALUE | MODBUS_ERROR_LENGTH))) {
		proto_event(pdu->ctx, MODBUS_EVENT_VALUE_MISMATCH);
		errors &= (uint8_t) ~(MODBUS_ERROR_VALUE | MODBUS_ERROR_LENGTH);
	}
	for (unsigned int i = 0; errors != 0; i++, errors >>= 1)
		if (errors & 1)
			proto_event(pdu->ctx, event_of[i]);
}

static void
read_body(struct modbus_pdu *pdu, modbus_body read, struct cursor *body)
{
	read(pdu, body);
	if (body->short_read) {
		pdu->half->errors |= MODBUS_ERROR_LENGTH;
	} else if (cursor_left(body) > 0) {
		pdu->half->errors |= MODBUS_ERROR_LENGTH;
		proto_event(pdu->ctx, MODBUS_EVENT_TRAILING_BYTES);
	}
}

static struct modbus_record *
begin_record(struct proto_ctx *ctx)
{
	struct modbus_state *state = ctx->state;
	struct modbus_record *record = record_begin(ctx->record, &modbus_table);

	record->id = ++state->last_id;
	return record;
}

static void
finish(struct modbus_pdu *pdu, unsigned int flags)
{
	struct modbus_state *state = pdu->ctx->state;

	name_errors(pdu);
	if ((pdu->bit == MODBUS_REQUEST) != pdu->ctx->to_server && !state->wrong_direction) {
		state->wrong_direction = true;
		proto_event(pdu->ctx, MODBUS_EVENT_WRONG_DIRECTION);
	}
	proto_deliver(pdu->ctx, flags, pdu->record->id);
	if (cursor_left(&pdu->objects) > 0)
		modbus_identity_deliver(pdu);
}

/* What a read asks for, where its answers are compared; 0: it is none, or they are not. */
static uint64_t
read_hash(const struct proto_ctx *ctx, struct header header, struct cursor body)
{
	if ((function_of(header.function_raw)->access & (MODBUS_READ | MODBUS_WRITE)) != MODBUS_READ || !proto_compares(ctx, 0))
		return 0;
	return proto_value_hash((uint64_t)header.unit_id << 8 | header.function_raw, body) | 1;
}

static void
parse_request(struct proto_ctx *ctx, struct header header, struct cursor body, struct pair_key key)
{
	const struct modbus_config *config = ctx->config;
	struct modbus_state *state = ctx->state;
	struct modbus_pdu pdu = { .ctx = ctx, .bit = MODBUS_REQUEST, .function = function_of(header.function_raw) };
	struct pair_wait wait;

	if (pair_give_up(ctx, &state->pairs, &pair_desc, key, pair_patience_ns(&state->pairs)))
		proto_event(ctx, MODBUS_EVENT_REUSED_TRANSACTION_ID);
	if (pair_make_room(ctx, &state->pairs, &pair_desc, config->request_flood))
		proto_event(ctx, MODBUS_EVENT_FLOODED);
	state->asked = true;
	pdu.record = begin_record(ctx);
	pdu.half = &pdu.record->request;
	fill_header(&pdu, header);
	wait = (struct pair_wait){ .key = key, .since_ns = ctx->ts_ns, .id = pdu.record->id, .to_server = ctx->to_server,
		.asked = read_hash(ctx, header, body) };
	read_body(&pdu, pdu.function->read_request, &body);
	counter_add(&ctx->counters[MODBUS_COUNT_REQUESTS], 1);
	finish(&pdu, pair_keep(ctx, &state->pairs, &pair_desc, &wait) ? PROTO_MATCH | PROTO_HOLD : PROTO_MATCH | PROTO_EMIT);
}

static void
parse_response(struct proto_ctx *ctx, struct header header, struct cursor body, struct pair_key key)
{
	struct modbus_pdu pdu = { .ctx = ctx, .bit = MODBUS_RESPONSE, .function = function_of(header.function_raw) };
	struct modbus_state *state = ctx->state;
	bool exception = is_exception(header);
	struct pair_wait wait = { 0 };
	struct cursor said = body;

	pdu.record = pair_take(ctx, &state->pairs, &pair_desc, key, &wait);
	if (pdu.record != NULL) {
		pair_answered(ctx, &state->pairs, &pair_desc, &wait);
		pdu.request = &pdu.record->request;
	} else {
		pdu.record = begin_record(ctx);
		/* Where the connection's beginning was not seen, what came before the first request may have been asked for. */
		if (state->asked || (ctx->tcp && !ctx->midstream))
			proto_event(ctx, MODBUS_EVENT_UNSOLICITED_RESPONSE);
		counter_add(&ctx->counters[MODBUS_COUNT_ORPHANS], 1);
	}
	pdu.half = &pdu.record->response;
	fill_header(&pdu, header);
	if (exception && ctx->to_server)
		pdu.half->errors |= MODBUS_ERROR_FUNCTION;
	read_body(&pdu, exception ? modbus_read_exception : pdu.function->read_response, &body);
	if (pdu.request != NULL && !exception)
		modbus_compare(&pdu);
	counter_add(&ctx->counters[MODBUS_COUNT_RESPONSES], 1);
	if (exception)
		counter_add(&ctx->counters[MODBUS_COUNT_EXCEPTIONS], 1);
	else if (wait.asked != 0)
		proto_value(ctx, wait.asked, proto_value_hash(0, said));
	finish(&pdu, PROTO_MATCH | PROTO_EMIT);
}

static void
modbus_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	struct header header = read_header(&pdu);
	struct pair_key key;

	if (pdu.short_read)
		return;
	key = key_of(header, pdu);
	if (is_request(ctx, header, pdu, key))
		parse_request(ctx, header, pdu, key);
	else
		parse_response(ctx, header, pdu, key);
}

static void
modbus_end(struct proto_ctx *ctx)
{
	struct modbus_state *state = ctx->state;

	pair_shrink(ctx, &state->pairs, &pair_desc, 0);
}

static const uint16_t modbus_ports[] = { 502, 0 };

extern const struct proto modbus_proto;
const struct proto modbus_proto = {
	.app = {
		.name = "modbus",
		.record = &modbus_table,
		.events = modbus_events,
		.event_count = MODBUS_EVENT_COUNT,
		.keywords = modbus_keywords,
		.keyword_count = 1,
		.keyword_index = modbus_keyword_index,
	},
	.transports = PROTO_TCP | PROTO_UDP,
	.ports = modbus_ports,
	.pdu_len_min = MODBUS_HEADER_LEN + MODBUS_LENGTH_MIN,
	.probe = modbus_probe,
	.sender_is_server = modbus_sender_is_server,
	.frame = modbus_frame,
	.parse = modbus_parse,
	.end = modbus_end,
	.state_len = sizeof(struct modbus_state),
	.ahead = PAIR_AHEAD,
	.kind = "request.function_code",
	.counters = modbus_counters,
	.counter_count = MODBUS_COUNTER_COUNT,
	.knobs = &modbus_knobs,
	.config_len = sizeof(struct modbus_config),
};
