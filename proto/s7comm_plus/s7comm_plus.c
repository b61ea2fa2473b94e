/* S7comm-plus: recognising it, and the way of one TPDU to an event. */
#include "proto/s7comm_plus/s7comm_plus.h"


enum {
	TLS_CONTENT_FIRST = 0x14,
	TLS_CONTENT_LAST = 0x18,
	TLS_MAJOR = 3,
	KEEPALIVES_FROM = 0xfd,
};

static const char root_tsap[] = "SIMATIC-ROOT";

struct header {
	uint8_t id;
	uint8_t version;
	uint16_t len;
};

static struct header
read_header(struct cursor *in)
{
	struct header header = { .id = cursor_u8(in) };

	header.version = cursor_u8(in);
	header.len = cursor_be16(in);
	return header;
}

static bool
is_version(uint8_t version)
{
	return (version >= S7P_V1 && version <= S7P_V3) || version >= KEEPALIVES_FROM;
}

static bool
is_tls(uint8_t content, uint8_t major)
{
	return content >= TLS_CONTENT_FIRST && content <= TLS_CONTENT_LAST && major == TLS_MAJOR;
}

static bool
is_root_tsap(struct cotp_tsap tsap)
{
	return tsap.data != NULL && tsap.len >= sizeof(root_tsap) - 1 && memcmp(tsap.data, root_tsap, sizeof(root_tsap) - 1) == 0;
}

static enum proto_probe
s7p_probe(struct cursor in, bool to_server, bool on_port)
{
	struct cotp_tpdu connect;
	struct cursor data;
	uint8_t id, version;

	(void)to_server;
	(void)on_port;
	switch (cotp_begin(in, &connect, &data)) {
	case COTP_BEGIN_NO:
		return PROTO_PROBE_NO;
	case COTP_BEGIN_MORE:
		return PROTO_PROBE_MORE;
	case COTP_BEGIN_CONNECT:
		return is_root_tsap(connect.called) ? PROTO_PROBE_YES : PROTO_PROBE_MORE;
	case COTP_BEGIN_DATA:
		break;
	}
	id = cursor_u8(&data);
	version = cursor_u8(&data);
	if (id == S7P_PROTOCOL_ID)
		return data.short_read ? PROTO_PROBE_MORE : is_version(version) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	return connect.code != 0 && is_root_tsap(connect.called) && is_tls(id, version) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

static int
s7p_sender_is_server(struct cursor in)
{
	struct cotp_tpdu connect;
	struct cursor data;
	struct header header;
	uint8_t opcode;

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
	header = read_header(&data);
	if (header.id != S7P_PROTOCOL_ID || header.version > S7P_V3)
		return -1;
	if (header.version == S7P_V3)
		cursor_skip(&data, 1 + S7P_DIGEST_LEN);
	opcode = cursor_u8(&data);
	if (data.short_read)
		return -1;
	return opcode == S7P_REQUEST ? 0 : opcode == S7P_RESPONSE || opcode == S7P_NOTIFICATION || opcode == S7P_RESPONSE_2 ? 1 : -1;
}

static struct s7p_record *
begin_record(struct proto_ctx *ctx)
{
	struct s7p_state *state = ctx->state;
	struct s7p_record *record = record_begin(ctx->record, &s7p_table);

	record->id = ++state->last_id;
	return record;
}

static void
deliver_connection(struct proto_ctx *ctx, const struct cotp_tpdu *tpdu)
{
	const struct s7p_state *state = ctx->state;
	struct s7p_record *record = begin_record(ctx);

	if (tpdu->invalid)
		proto_event(ctx, S7P_EVENT_INVALID_TPDU);
	if (tpdu->code == COTP_DR && !state->seen[ctx->to_server])
		proto_event(ctx, S7P_EVENT_CONNECTION_REFUSED);
	cotp_record(ctx->record, &record->head, S7P_HAS_COTP, &record->cotp, tpdu);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, record->id);
}

/* ---- messages ---- */

static void
put_header(struct s7p_message *message)
{
	struct s7p_record *record = message->record;

	if (message->digest != NULL && !record_is_present(record, S7P_HAS_DIGEST)) {
		record_put_bytes(message->ctx->record, &record->digest, message->digest, S7P_DIGEST_LEN);
		s7p_has(message, S7P_HAS_DIGEST);
	}
	if (message->answers) {
		record->response_version = message->version;
		record->response_opcode = message->opcode;
		s7p_has(message, S7P_HAS_RESPONSE);
		return;
	}
	record->version = message->version;
	record->opcode = message->opcode;
	s7p_has(message, S7P_HAS_VERSION);
	s7p_has(message, S7P_HAS_OPCODE);
}

static void
put_function(struct s7p_message *message, uint16_t function, uint16_t sequence_number)
{
	message->record->function = function;
	message->record->sequence_number = sequence_number;
	s7p_has(message, S7P_HAS_FUNCTION);
	s7p_has(message, S7P_HAS_SEQUENCE);
}

/* Once all of it was read. */
static void
put_truncated(struct s7p_message *message)
{
	if (!message->ctx->record->truncated)
		return;
	message->record->truncated = true;
	s7p_has(message, S7P_HAS_TRUNCATED);
}

static const struct pair_desc pair_desc = { .response_time_off = offsetof(struct s7p_record, response_time_us),
	.response_time_bit = S7P_HAS_RESPONSE_TIME, .count_shed = S7P_COUNT_SHED, .count_unanswered = S7P_COUNT_UNANSWERED };

/* Of a request; never 0. */
static struct pair_key
key_of(uint16_t sequence_number, bool to_server)
{
	return (struct pair_key){ .value = UINT32_C(1) << 17 | (uint32_t)to_server << 16 | sequence_number };
}

static void
parse_request(struct s7p_message *message, uint16_t function, uint16_t sequence_number)
{
	struct proto_ctx *ctx = message->ctx;
	const struct s7p_config *config = ctx->config;
	struct s7p_state *state = ctx->state;
	uint32_t session_id = cursor_be32(&message->body);
	uint8_t flags = cursor_u8(&message->body);
	struct pair_wait wait = { .key = key_of(sequence_number, ctx->to_server), .since_ns = ctx->ts_ns,
		.to_server = ctx->to_server };

	if (pair_make_room(ctx, &state->pairs, &pair_desc, config->request_flood) && (flags & S7P_FLAG_UNANSWERED) == 0)
		proto_event(ctx, S7P_EVENT_FLOODED);
	message->record = begin_record(ctx);
	put_header(message);
	put_function(message, function, sequence_number);
	message->record->session_id = session_id;
	message->record->transport_flags = flags;
	s7p_has(message, S7P_HAS_SESSION);
	s7p_has(message, S7P_HAS_FLAGS);
	s7p_read_body(message);
	put_truncated(message);
	counter_add(&ctx->counters[S7P_COUNT_REQUESTS], 1);
	wait.id = message->record->id;
	if (pair_orphan_take(&state->orphans, wait.key.value) || !pair_keep(ctx, &state->pairs, &pair_desc, &wait))
		proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, message->record->id);
	else
		proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, message->record->id);
}

static void
parse_response(struct s7p_message *message, uint16_t function, uint16_t sequence_number)
{
	struct proto_ctx *ctx = message->ctx;
	struct s7p_state *state = ctx->state;
	uint8_t flags = cursor_u8(&message->body);
	struct pair_key key = key_of(sequence_number, !ctx->to_server);
	struct pair_wait wait;

	message->response = true;
	message->record = pair_take(ctx, &state->pairs, &pair_desc, key, &wait);
	message->answers = message->record != NULL;
	if (message->answers) {
		pair_answered(ctx, &state->pairs, &pair_desc, &wait);
	} else {
		message->record = begin_record(ctx);
		counter_add(&ctx->counters[S7P_COUNT_ORPHANS], 1);
		pair_orphan_keep(&state->orphans, key.value);
		if (state->seen[!ctx->to_server] && !state->orphan_said)
			proto_event(ctx, S7P_EVENT_UNSOLICITED_RESPONSE);
		put_function(message, function, sequence_number);
		message->record->transport_flags = flags;
		s7p_has(message, S7P_HAS_FLAGS);
	}
	state->orphan_said = !message->answers;
	put_header(message);
	s7p_read_body(message);
	put_truncated(message);
	counter_add(&ctx->counters[S7P_COUNT_RESPONSES], 1);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, message->record->id);
	s7p_deliver_identity(message);
}

static void
parse_notification(struct s7p_message *message)
{
	struct proto_ctx *ctx = message->ctx;
	struct cursor values;
	bool listed;

	message->record = begin_record(ctx);
	put_header(message);
	listed = s7p_read_notification(message);
	values = message->body; /* behind the credit, the sequence and the time, which change each time */
	if (listed)
		s7p_read_notified(message);
	put_truncated(message);
	if (proto_compares(ctx, PROTO_CYCLIC))
		proto_value(ctx, UINT64_C(1) << 32 | message->record->subscription_id, proto_value_hash(0, values));
	counter_add(&ctx->counters[S7P_COUNT_NOTIFICATIONS], 1);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC, message->record->id);
}

/* The data part of a message, put together. */
static void
parse_data(struct proto_ctx *ctx, uint8_t version, const uint8_t *digest, struct cursor in)
{
	struct s7p_message message = { .ctx = ctx, .version = version, .digest = digest };
	uint16_t function, sequence_number;

	message.opcode = cursor_u8(&in);
	if (in.short_read)
		return;
	if (message.opcode == S7P_NOTIFICATION) {
		message.body = in;
		parse_notification(&message);
		return;
	}
	cursor_skip(&in, 2);
	function = cursor_be16(&in);
	cursor_skip(&in, 2);
	sequence_number = cursor_be16(&in);
	message.body = in;
	if (in.short_read)
		proto_event(ctx, S7P_EVENT_INVALID_LENGTH);
	else if (message.opcode == S7P_REQUEST)
		parse_request(&message, function, sequence_number);
	else if (message.opcode == S7P_RESPONSE || message.opcode == S7P_RESPONSE_2)
		parse_response(&message, function, sequence_number);
	else
		proto_event(ctx, S7P_EVENT_UNKNOWN_OPCODE);
}

/* One part: of version 3 behind a digest. The last part has a trailer behind it, a header whose length is 0. */
static void
parse_part(struct proto_ctx *ctx, struct header header, struct cursor in)
{
	const struct s7p_config *config = ctx->config;
	struct s7p_state *state = ctx->state;
	struct cotp_tpdu part = { .code = COTP_DT };
	struct cursor data = cursor_sub(&in, header.len), whole;
	const uint8_t *digest = NULL;

	if (in.short_read) {
		proto_event(ctx, S7P_EVENT_INVALID_LENGTH);
		return;
	}
	if (header.version == S7P_V3) {
		uint8_t digest_len = cursor_u8(&data);

		digest = cursor_take(&data, digest_len);
		if (digest == NULL || digest_len != S7P_DIGEST_LEN) {
			proto_event(ctx, S7P_EVENT_INVALID_INTEGRITY);
			return;
		}
	}
	part.data = data;
	part.end_of_message = cursor_left(&in) >= S7P_HEADER_LEN;
	switch (cotp_collect(&state->parts[ctx->to_server], ctx->slab, (uint32_t)config->message_max, &part, &whole)) {
	case COTP_COLLECT_WHOLE:
		parse_data(ctx, header.version, digest, whole);
		cotp_message_clear(&state->parts[ctx->to_server], ctx->slab);
		break;
	case COTP_COLLECT_DROPPED:
		proto_event(ctx, S7P_EVENT_REASSEMBLY_DROPPED);
		break;
	case COTP_COLLECT_MORE:
		break;
	}
}

/* Once the connection is wrapped nothing more can be read: said once. */
static void
parse_tls(struct proto_ctx *ctx, struct cursor in)
{
	struct s7p_state *state = ctx->state;
	struct s7p_record *record;

	counter_add(&ctx->counters[S7P_COUNT_TLS], 1);
	if (state->tls)
		return;
	state->tls = true;
	record = begin_record(ctx);
	record->tls_content = cursor_u8(&in);
	record->tls_version = cursor_be16(&in);
	record_present(&record->head, S7P_HAS_TLS);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, record->id);
}

static void
parse_message(struct proto_ctx *ctx, struct cursor in)
{
	struct s7p_state *state = ctx->state;
	struct cursor start = in;
	struct header header = read_header(&in);

	if (state->tls || is_tls(header.id, header.version)) {
		parse_tls(ctx, start);
		return;
	}
	if (in.short_read || header.id != S7P_PROTOCOL_ID) {
		if (state->seen[ctx->to_server])
			proto_event(ctx, header.id == S7P_PROTOCOL_ID ? S7P_EVENT_INVALID_LENGTH : S7P_EVENT_UNKNOWN_PROTOCOL_ID);
		return;
	}
	state->seen[ctx->to_server] = true;
	if (header.version >= KEEPALIVES_FROM) {
		counter_add(&ctx->counters[S7P_COUNT_KEEPALIVES], 1);
		return;
	}
	if (!is_version(header.version)) {
		proto_event(ctx, S7P_EVENT_UNKNOWN_VERSION);
		return;
	}
	parse_part(ctx, header, in);
}

static void
s7p_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	const struct s7p_config *config = ctx->config;
	struct s7p_state *state = ctx->state;
	struct cotp_message *collected = &state->tpdus[ctx->to_server];
	struct cotp_tpdu tpdu;
	struct cursor whole;

	if (!cotp_parse(pdu, &tpdu)) {
		proto_event(ctx, S7P_EVENT_INVALID_TPDU);
		return;
	}
	if (tpdu.code != COTP_DT) {
		deliver_connection(ctx, &tpdu);
		return;
	}
	switch (cotp_collect(collected, ctx->slab, (uint32_t)config->message_max, &tpdu, &whole)) {
	case COTP_COLLECT_WHOLE:
		if (cursor_left(&whole) > 0)
			parse_message(ctx, whole);
		cotp_message_clear(collected, ctx->slab);
		break;
	case COTP_COLLECT_DROPPED:
		proto_event(ctx, S7P_EVENT_REASSEMBLY_DROPPED);
		break;
	case COTP_COLLECT_MORE:
		break;
	}
}

static void
s7p_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct s7p_state *state = ctx->state;

	(void)missing;
	cotp_message_clear(&state->tpdus[ctx->to_server], ctx->slab);
	cotp_message_clear(&state->parts[ctx->to_server], ctx->slab);
	state->seen[ctx->to_server] = false;
}

static void
s7p_end(struct proto_ctx *ctx)
{
	struct s7p_state *state = ctx->state;

	pair_shrink(ctx, &state->pairs, &pair_desc, 0);
	for (unsigned int i = 0; i < 2; i++) {
		cotp_message_clear(&state->tpdus[i], ctx->slab);
		cotp_message_clear(&state->parts[i], ctx->slab);
	}
}

static int
s7p_frame(struct cursor in, bool to_server)
{
	(void)to_server;
	return cotp_frame(in);
}

static const uint16_t s7p_ports[] = { 102, 0 };

extern const struct proto s7comm_plus_proto;
const struct proto s7comm_plus_proto = {
	.app = {
		.name = "s7comm_plus",
		.record = &s7p_table,
		.events = s7p_events,
		.event_count = S7P_EVENT_COUNT,
	},
	.transports = PROTO_TCP,
	.ports = s7p_ports,
	.pdu_len_min = COTP_PREFIX_LEN,
	.probe = s7p_probe,
	.starts = { { 0x03, 0x03 } },
	.start_count = 1,
	.sender_is_server = s7p_sender_is_server,
	.frame = s7p_frame,
	.parse = s7p_parse,
	.gap = s7p_gap,
	.end = s7p_end,
	.state_len = sizeof(struct s7p_state),
	.ahead = PAIR_AHEAD,
	.kind = "function_name",
	.counters = s7p_counters,
	.counter_count = S7P_COUNTER_COUNT,
	.knobs = &s7p_knobs,
	.cyclic = PROTO_LOG_CHANGES,
	.config_len = sizeof(struct s7p_config),
};
