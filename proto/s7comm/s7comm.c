/* S7comm: recognising it, and the way of one TPDU to an event. */
#include "proto/s7comm/s7comm.h"

#include "lib/base/hash.h"

enum {
	USERDATA_FUNCTION_AT = 5, /* in the parameters */
	TSAP_LEN = 2,
	TSAP_TYPE_PG = 1,
	TSAP_TYPE_BASIC = 3,
	RACK_SHIFT = 5,
	SLOT_MASK = 0x1f,
	CYCLIC_PUSH = S7_USERDATA << 8 | S7_KIND_PUSH << 4 | S7_GROUP_CYCLIC,
};

struct header {
	uint8_t rosctr;
	uint8_t error_class;
	uint8_t error_code;
	uint16_t reference;
	uint16_t parameters_len;
	uint16_t data_len;
};

static bool
is_rosctr(uint8_t rosctr)
{
	return rosctr == S7_JOB || rosctr == S7_ACK || rosctr == S7_ACK_DATA || rosctr == S7_USERDATA;
}

static struct header
read_header(struct cursor *in)
{
	struct header header = { .rosctr = cursor_u8(in) };

	cursor_skip(in, 2); /* redundancy identification */
	header.reference = cursor_be16(in);
	header.parameters_len = cursor_be16(in);
	header.data_len = cursor_be16(in);
	if (header.rosctr == S7_ACK || header.rosctr == S7_ACK_DATA) {
		header.error_class = cursor_u8(in);
		header.error_code = cursor_u8(in);
	}
	return header;
}

/* ---- recognition ---- */

/* A selector as this protocol has them: kind of connection, then rack and slot. 'MW' is the S7-200's. */
static bool
is_s7_tsap(struct cotp_tsap tsap)
{
	if (tsap.data == NULL || tsap.len != TSAP_LEN)
		return false;
	return (tsap.data[0] >= TSAP_TYPE_PG && tsap.data[0] <= TSAP_TYPE_BASIC) || memcmp(tsap.data, "MW", TSAP_LEN) == 0;
}

static enum proto_probe
s7_probe(struct cursor in, bool to_server, bool on_port)
{
	struct cotp_tpdu connect;
	struct cursor data;
	uint8_t id, rosctr;

	(void)to_server;
	(void)on_port;
	switch (cotp_begin(in, &connect, &data)) {
	case COTP_BEGIN_NO:
		return PROTO_PROBE_NO;
	case COTP_BEGIN_MORE:
		return PROTO_PROBE_MORE;
	case COTP_BEGIN_CONNECT:
		return is_s7_tsap(connect.calling) && is_s7_tsap(connect.called) ? PROTO_PROBE_YES : PROTO_PROBE_MORE;
	case COTP_BEGIN_DATA:
		break;
	}
	id = cursor_u8(&data);
	rosctr = cursor_u8(&data);
	if (id != S7_PROTOCOL_ID)
		return PROTO_PROBE_NO;
	if (data.short_read)
		return PROTO_PROBE_MORE;
	return is_rosctr(rosctr) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

/* Blocks are downloaded by jobs of the device. */
static bool
is_job_of_server(uint8_t function)
{
	return function == S7_DOWNLOAD_BLOCK || function == S7_DOWNLOAD_ENDED;
}

static int
s7_sender_is_server(struct cursor in)
{
	struct cotp_tpdu connect;
	struct cursor data;
	struct header header;
	uint8_t function;

	switch (cotp_begin(in, &connect, &data)) {
	case COTP_BEGIN_CONNECT:
		return connect.code == COTP_CC;
	case COTP_BEGIN_DATA:
		break;
	default:
		return -1;
	}
	if (connect.code != 0)
		return connect.code == COTP_CC;
	if (cursor_u8(&data) != S7_PROTOCOL_ID)
		return -1;
	header = read_header(&data);
	if (header.rosctr == S7_USERDATA)
		cursor_skip(&data, USERDATA_FUNCTION_AT);
	function = cursor_u8(&data);
	if (header.rosctr == S7_USERDATA)
		return data.short_read ? -1 : function >> 4 != S7_KIND_REQUEST;
	if (data.short_read && header.rosctr != S7_ACK)
		return -1;
	return (header.rosctr != S7_JOB) != is_job_of_server(function);
}

/* ---- records ---- */

static struct s7_record *
begin_record(struct proto_ctx *ctx)
{
	struct s7_state *state = ctx->state;
	struct s7_record *record = record_begin(ctx->record, &s7_table);

	record->id = ++state->last_id;
	return record;
}

static void
set_connection(struct s7_record *record, struct cotp_tsap called)
{
	if (!is_s7_tsap(called) || called.data[0] > TSAP_TYPE_BASIC)
		return;
	record->connection_type = called.data[0];
	record->rack = called.data[1] >> RACK_SHIFT;
	record->slot = called.data[1] & SLOT_MASK;
	record_present(&record->head, S7_HAS_CONNECTION);
}

/* A TPDU that carries no data. */
static void
deliver_connection(struct proto_ctx *ctx, const struct cotp_tpdu *tpdu)
{
	struct s7_record *record = begin_record(ctx);

	if (tpdu->invalid)
		proto_event(ctx, S7_EVENT_INVALID_TPDU);
	if (tpdu->code == COTP_DR && !((struct s7_state *)ctx->state)->seen[ctx->to_server])
		proto_event(ctx, S7_EVENT_CONNECTION_REFUSED);
	cotp_record(ctx->record, &record->head, S7_HAS_COTP, &record->cotp, tpdu);
	set_connection(record, tpdu->called);
	counter_add(&ctx->counters[S7_COUNT_CONNECTIONS], 1);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, record->id);
}

/* ---- volume ---- */

/* What a read of variables asks for, where its answers are compared; 0: it is none, or they are not. */
static uint64_t
read_hash(const struct s7_message *message, struct cursor parameters)
{
	if (message->half->function_key != (S7_JOB << 8 | S7_READ_VAR) || !proto_compares(message->ctx, 0))
		return 0;
	return proto_value_hash(0, parameters) | 1;
}

/* A refused read is no value. */
static void
compare_values(struct s7_message *message, uint64_t point, struct cursor data)
{
	const struct s7_record *record = message->record;

	if (point != 0 && !(record_is_present(record, S7_HAS_ERROR) && record->error_key != 0))
		proto_value(message->ctx, point, proto_value_hash(0, data));
}

/* ---- messages ---- */

static void
fill_header(struct s7_message *message, struct header header)
{
	struct s7_record *record = message->record;

	message->half = message->answers ? &record->response : &record->first;
	message->half->rosctr = header.rosctr;
	message->half->reference = header.reference;
	s7_has(message, message->answers ? S7_HAS_RESPONSE : S7_HAS_HEADER);
	if (header.rosctr == S7_ACK || header.rosctr == S7_ACK_DATA) {
		record->error_class = header.error_class;
		record->error_code = header.error_code;
		record->error_key = (uint16_t)(header.error_class << 8 | header.error_code);
		s7_has(message, S7_HAS_ERROR);
	}
}

static void
read_body(struct s7_message *message, struct cursor left)
{
	if (left.short_read)
		proto_event(message->ctx, S7_EVENT_INVALID_LENGTH);
	else if (cursor_left(&left) > 0)
		proto_event(message->ctx, S7_EVENT_TRAILING_BYTES);
	if (message->half->rosctr != S7_USERDATA) {
		s7_read_job(message);
		return;
	}
	s7_read_userdata_head(message);
	s7_read_userdata(message);
}

static const struct pair_desc pair_desc = { .response_time_off = offsetof(struct s7_record, response_time_us),
	.response_time_bit = S7_HAS_RESPONSE_TIME, .count_shed = S7_COUNT_SHED, .count_unanswered = S7_COUNT_UNANSWERED };

static void
parse_request(struct s7_message *message, struct header header, struct cursor left, struct pair_key key)
{
	struct proto_ctx *ctx = message->ctx;
	struct s7_config config = s7_config_of(ctx);
	struct s7_state *state = ctx->state;
	struct cursor parameters = message->parameters;
	struct pair_wait wait;

	/* What was asked before bytes were lost may have been answered in them. */
	if (pair_find(&state->pairs, &pair_desc, key, &wait) != NULL && wait.since_ns > state->gap_ns)
		proto_event(ctx, S7_EVENT_REUSED_PDU_REFERENCE);
	if (pair_make_room(ctx, &state->pairs, &pair_desc, config.request_flood))
		proto_event(ctx, S7_EVENT_FLOODED);
	message->record = begin_record(ctx);
	fill_header(message, header);
	read_body(message, left);
	wait = (struct pair_wait){ .key = key, .since_ns = ctx->ts_ns, .id = message->record->id, .to_server = ctx->to_server,
		.asked = read_hash(message, parameters) };
	if (pair_orphan_take(&state->orphans, key.value) || !pair_keep(ctx, &state->pairs, &pair_desc, &wait))
		proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, message->record->id);
	else
		proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, message->record->id);
}

static void
parse_response(struct s7_message *message, struct header header, struct cursor left, struct pair_key key)
{
	struct proto_ctx *ctx = message->ctx;
	struct s7_state *state = ctx->state;
	struct cursor data = message->data;
	struct pair_wait wait = { 0 };

	message->record = pair_take(ctx, &state->pairs, &pair_desc, key, &wait);
	message->answers = message->record != NULL;
	if (message->answers) {
		pair_answered(ctx, &state->pairs, &pair_desc, &wait);
	} else {
		message->record = begin_record(ctx);
		counter_add(&ctx->counters[S7_COUNT_ORPHANS], 1);
		pair_orphan_keep(&state->orphans, key.value);
		/* Before the first request the capture began in the middle. */
		if (state->seen[!ctx->to_server] && !state->orphan_said)
			proto_event(ctx, S7_EVENT_UNSOLICITED_RESPONSE);
	}
	state->orphan_said = !message->answers;
	fill_header(message, header);
	read_body(message, left);
	compare_values(message, wait.asked, data);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, message->record->id);
	s7_deliver_identity(message);
}

/* What no request asked for. */
static void
parse_push(struct s7_message *message, struct header header, struct cursor left)
{
	struct proto_ctx *ctx = message->ctx;
	unsigned int flags = PROTO_MATCH | PROTO_EMIT;
	struct cursor data = message->data;

	message->record = begin_record(ctx);
	fill_header(message, header);
	read_body(message, left);
	if (message->half->function_key == CYCLIC_PUSH) {
		flags |= PROTO_CYCLIC;
		if (proto_compares(ctx, flags))
			compare_values(message, UINT64_C(1) << 32 | (uint64_t)message->record->subfunction << 8 | message->record->sequence,
				data);
	}
	proto_deliver(ctx, flags, message->record->id);
}

/* @return the function octet of userdata; the cursor is a copy */
static uint8_t
userdata_function(struct cursor parameters)
{
	cursor_skip(&parameters, USERDATA_FUNCTION_AT);
	return cursor_u8(&parameters);
}

static void
dispatch(struct s7_message *message, struct header header, struct cursor left)
{
	struct proto_ctx *ctx = message->ctx;
	struct pair_key key = { .value = (uint32_t)header.reference << 16 | UINT32_C(0x8000) }; /* never 0 */
	bool from_client = ctx->to_server;
	unsigned int kind = S7_KIND_REQUEST;

	if (header.rosctr == S7_USERDATA) {
		uint8_t function = userdata_function(message->parameters);

		kind = function >> 4;
		key.value |= UINT32_C(0x100) | (function & 0x0f);
		counter_add(&ctx->counters[S7_COUNT_USERDATA], 1);
	} else {
		kind = header.rosctr == S7_JOB ? S7_KIND_REQUEST : S7_KIND_RESPONSE;
		counter_add(&ctx->counters[header.rosctr == S7_JOB ? S7_COUNT_JOBS : S7_COUNT_ACKS], 1);
	}
	if (kind == S7_KIND_RESPONSE)
		from_client = !ctx->to_server;
	key.value |= (uint64_t)from_client << 32;
	if (kind == S7_KIND_REQUEST) {
		parse_request(message, header, left, key);
	} else if (kind == S7_KIND_RESPONSE) {
		message->response = true;
		parse_response(message, header, left, key);
	} else {
		parse_push(message, header, left);
	}
}

static void
parse_message(struct proto_ctx *ctx, struct cursor in)
{
	struct s7_state *state = ctx->state;
	struct s7_message message = { .ctx = ctx };
	uint8_t id = cursor_u8(&in);
	struct header header = read_header(&in);
	struct cursor whole;

	if (in.short_read || id != S7_PROTOCOL_ID) {
		/* The end of a message that began before the capture did is no anomaly. */
		if (state->seen[ctx->to_server])
			proto_event(ctx, id == S7_PROTOCOL_ID ? S7_EVENT_INVALID_LENGTH : S7_EVENT_UNKNOWN_PROTOCOL_ID);
		return;
	}
	if (!is_rosctr(header.rosctr)) {
		proto_event(ctx, S7_EVENT_UNKNOWN_ROSCTR);
		return;
	}
	whole = in;
	message.parameters = cursor_sub(&in, header.parameters_len);
	message.data = cursor_sub(&in, header.data_len);
	/* What is cut short is read as far as it goes. */
	if (in.short_read && !message.parameters.short_read) {
		cursor_skip(&whole, header.parameters_len);
		message.data = whole;
	} else if (in.short_read) {
		message.parameters = whole;
		message.data = cursor_of(whole.pos + whole.left, 0);
	}
	dispatch(&message, header, in);
	state->seen[ctx->to_server] = true;
}

static void
s7_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	struct s7_state *state = ctx->state;
	struct cotp_message *collected = &state->messages[ctx->to_server];
	struct cotp_tpdu tpdu;
	struct cursor whole;

	if (!cotp_parse(pdu, &tpdu)) {
		proto_event(ctx, S7_EVENT_INVALID_TPDU);
		return;
	}
	if (tpdu.code != COTP_DT) {
		deliver_connection(ctx, &tpdu);
		return;
	}
	counter_add(&ctx->counters[S7_COUNT_DATA_TPDUS], 1);
	switch (cotp_collect(collected, ctx->slab, (uint32_t)s7_config_of(ctx).message_max, &tpdu, &whole)) {
	case COTP_COLLECT_WHOLE:
		if (cursor_left(&whole) > 0)
			parse_message(ctx, whole);
		cotp_message_clear(collected, ctx->slab);
		break;
	case COTP_COLLECT_DROPPED:
		proto_event(ctx, S7_EVENT_REASSEMBLY_DROPPED);
		break;
	case COTP_COLLECT_MORE:
		break;
	}
}

static void
s7_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct s7_state *state = ctx->state;

	(void)missing;
	cotp_message_clear(&state->messages[ctx->to_server], ctx->slab);
	state->seen[ctx->to_server] = false;
	state->gap_ns = ctx->ts_ns;
	if (state->szl.to_server == ctx->to_server)
		state->szl.data_unit = 0;
}

static void
s7_end(struct proto_ctx *ctx)
{
	struct s7_state *state = ctx->state;

	pair_shrink(ctx, &state->pairs, &pair_desc, 0);
	cotp_message_clear(&state->messages[0], ctx->slab);
	cotp_message_clear(&state->messages[1], ctx->slab);
}

static int
s7_frame(struct cursor in, bool to_server)
{
	(void)to_server;
	return cotp_frame(in);
}

static const uint16_t s7_ports[] = { 102, 0 };

extern const struct proto s7comm_proto;
const struct proto s7comm_proto = {
	.app = {
		.name = "s7comm",
		.record = &s7_table,
		.events = s7_events,
		.event_count = S7_EVENT_COUNT,
	},
	.transports = PROTO_TCP,
	.ports = s7_ports,
	.pdu_len_min = COTP_PREFIX_LEN,
	.probe = s7_probe,
	.starts = { { 0x03, 0x03 } },
	.start_count = 1,
	.sender_is_server = s7_sender_is_server,
	.frame = s7_frame,
	.parse = s7_parse,
	.gap = s7_gap,
	.end = s7_end,
	.state_len = sizeof(struct s7_state),
	.ahead = PAIR_AHEAD,
	.kind = "function_name",
	.counters = s7_counters,
	.counter_count = S7_COUNTER_COUNT,
	.knobs = &s7_knobs,
	.cyclic = PROTO_LOG_CHANGES,
	.config_len = sizeof(struct s7_config),
};
