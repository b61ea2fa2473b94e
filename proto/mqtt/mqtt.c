/* MQTT: finding control packets, recognising the protocol, and the way of one packet through its transaction. */
#include "proto/mqtt/sparkplug.h"

#include <errno.h>

enum {
	PROBE_PDUS_MAX = 8,
	FAILURE_FIRST = 0x80, /* reason codes from here on say that something failed (V5 2.4) */
};

enum role { ROLE_ALONE, ROLE_OPENS, ROLE_CONTINUES, ROLE_ENDS };

enum sender { SENDER_ANY, SENDER_CLIENT, SENDER_SERVER };

/* What a type does to a transaction. Of an answer: whose it is, and whether the transaction was begun by its sender. */
static const struct {
	uint8_t role;
	uint8_t sender;
	uint8_t opener;
	bool own;
	uint8_t missing; /* the event where the transaction was not seen */
} types[MQTT_TYPE_COUNT] = {
	[MQTT_UNASSIGNED] = { ROLE_ALONE, SENDER_ANY, 0, false, 0 },
	[MQTT_CONNECT] = { ROLE_OPENS, SENDER_CLIENT, MQTT_CONNECT, true, 0 },
	[MQTT_CONNACK] = { ROLE_ENDS, SENDER_SERVER, MQTT_CONNECT, false, MQTT_EVENT_MISSING_CONNECT },
	[MQTT_PUBLISH] = { ROLE_OPENS, SENDER_ANY, MQTT_PUBLISH, true, 0 },
	[MQTT_PUBACK] = { ROLE_ENDS, SENDER_ANY, MQTT_PUBLISH, false, MQTT_EVENT_MISSING_PUBLISH },
	[MQTT_PUBREC] = { ROLE_CONTINUES, SENDER_ANY, MQTT_PUBLISH, false, MQTT_EVENT_MISSING_PUBLISH },
	[MQTT_PUBREL] = { ROLE_CONTINUES, SENDER_ANY, MQTT_PUBLISH, true, MQTT_EVENT_MISSING_PUBLISH },
	[MQTT_PUBCOMP] = { ROLE_ENDS, SENDER_ANY, MQTT_PUBLISH, false, MQTT_EVENT_MISSING_PUBLISH },
	[MQTT_SUBSCRIBE] = { ROLE_OPENS, SENDER_CLIENT, MQTT_SUBSCRIBE, true, 0 },
	[MQTT_SUBACK] = { ROLE_ENDS, SENDER_SERVER, MQTT_SUBSCRIBE, false, MQTT_EVENT_MISSING_SUBSCRIBE },
	[MQTT_UNSUBSCRIBE] = { ROLE_OPENS, SENDER_CLIENT, MQTT_UNSUBSCRIBE, true, 0 },
	[MQTT_UNSUBACK] = { ROLE_ENDS, SENDER_SERVER, MQTT_UNSUBSCRIBE, false, MQTT_EVENT_MISSING_UNSUBSCRIBE },
	[MQTT_PINGREQ] = { ROLE_ALONE, SENDER_CLIENT, 0, false, 0 },
	[MQTT_PINGRESP] = { ROLE_ALONE, SENDER_SERVER, 0, false, 0 },
	[MQTT_DISCONNECT] = { ROLE_ALONE, SENDER_ANY, 0, false, 0 },
	[MQTT_AUTH] = { ROLE_ALONE, SENDER_ANY, 0, false, 0 },
};

static int
mqtt_frame(struct cursor in, bool to_server)
{
	struct mqtt_header header;
	enum mqtt_fit fit = mqtt_shape_fit(&in, &header);

	(void)to_server;
	if (fit == MQTT_FIT_NO)
		return -EBADMSG;
	if (fit == MQTT_FIT_MORE)
		return 0;
	if (header.remaining_len > MQTT_PDU_LEN_MAX - header.header_len)
		return MQTT_PDU_LEN_MAX;
	return (int)(header.header_len + header.remaining_len);
}

/* A CONNECT says all. From the middle of a connection: packets one behind the other to the end of the data, of which
 * one has a topic, or on the usual port several, or any that is whole. */
static enum proto_probe
mqtt_probe(struct cursor in, bool to_server, bool on_port)
{
	bool strong = false;

	(void)to_server;
	for (unsigned int i = 0; i < PROBE_PDUS_MAX && cursor_left(&in) > 0; i++) {
		struct mqtt_header header;
		enum mqtt_fit fit = mqtt_shape_fit(&in, &header);

		if (fit == MQTT_FIT_NO)
			return PROTO_PROBE_NO;
		if (fit == MQTT_FIT_MORE)
			return strong && on_port ? PROTO_PROBE_YES : PROTO_PROBE_MORE;
		if (header.type == MQTT_CONNECT)
			return PROTO_PROBE_YES;
		strong = strong || fit == MQTT_FIT_STRONG;
		if (header.remaining_len > cursor_left(&in))
			return strong && (on_port || i > 0) ? PROTO_PROBE_YES : PROTO_PROBE_MORE;
		cursor_skip(&in, header.remaining_len);
	}
	return strong || on_port ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

static int
mqtt_sender_is_server(struct cursor in)
{
	struct mqtt_header header;

	if (mqtt_shape_fit(&in, &header) < MQTT_FIT_WEAK || types[header.type].sender == SENDER_ANY)
		return -1;
	return types[header.type].sender == SENDER_SERVER;
}

static struct mqtt_record *
begin_record(struct mqtt_pdu *pdu)
{
	pdu->record = record_begin(pdu->ctx->record, &mqtt_table);
	return pdu->record;
}

/* Whether the rules must be shown more of the message than the event says. */
static bool
is_longer_than_written(const struct mqtt_pdu *pdu)
{
	const struct mqtt_config *config = pdu->ctx->config;

	return pdu->total_len > config->text_len_max;
}

/* The message as it is written, in a record of its own. Its events were told when the rules saw it. */
static bool
read_again(struct mqtt_pdu *pdu, struct cursor body)
{
	bool done;

	pdu->for_rules = false;
	done = mqtt_message_read(pdu, body);
	pdu->ctx->events = 0;
	return done;
}

/* Before the server accepted the client nothing else is expected (V5 3.1.4). A connection seen from its middle was
 * introduced before. Said once in a flow. */
static void
check_introduction(struct mqtt_pdu *pdu)
{
	struct mqtt_state *state = pdu->ctx->state;

	if (!state->connecting || state->introduced || state->unintroduced || pdu->type == MQTT_CONNECT || pdu->type == MQTT_CONNACK ||
		pdu->type == MQTT_UNASSIGNED || pdu->type == MQTT_AUTH)
		return;
	state->unintroduced = true;
	proto_event(pdu->ctx, MQTT_EVENT_UNINTRODUCED_MESSAGE);
}

static void
check_direction(struct mqtt_pdu *pdu)
{
	struct mqtt_state *state = pdu->ctx->state;
	uint8_t want = pdu->ctx->to_server ? SENDER_CLIENT : SENDER_SERVER;

	if (types[pdu->type].sender == SENDER_ANY || types[pdu->type].sender == want || state->wrong_direction)
		return;
	state->wrong_direction = true;
	proto_event(pdu->ctx, MQTT_EVENT_WRONG_DIRECTION);
}

/* A transaction of one message. */
static void
parse_alone(struct mqtt_pdu *pdu, struct cursor body)
{
	struct mqtt_state *state = pdu->ctx->state;
	uint32_t id = ++state->last_id;

	begin_record(pdu);
	if (!mqtt_message_read(pdu, body))
		return;
	if (!is_longer_than_written(pdu)) {
		proto_deliver(pdu->ctx, PROTO_MATCH | PROTO_EMIT, id);
		return;
	}
	proto_deliver(pdu->ctx, PROTO_MATCH | PROTO_HOLD, id);
	begin_record(pdu);
	if (read_again(pdu, body))
		proto_deliver(pdu->ctx, PROTO_EMIT, id);
}

/* The id of a message that opens a transaction, read before there is a record. */
static uint16_t
peek_message_id(const struct mqtt_pdu *pdu, struct cursor body)
{
	if (pdu->type == MQTT_CONNECT)
		return 0;
	if (pdu->type == MQTT_PUBLISH)
		cursor_skip(&body, cursor_be16(&body));
	return cursor_be16(&body);
}

static bool
waits_for_answer(const struct mqtt_pdu *pdu, uint16_t message_id)
{
	if (pdu->type == MQTT_CONNECT)
		return true;
	return (pdu->flags >> 1 & 3) != 0 && (pdu->flags >> 1 & 3) != 3 && message_id != 0;
}

static const struct pair_desc pair_desc = { .response_time_off = offsetof(struct mqtt_record, response_time_us),
	.response_time_bit = MQTT_HAS_RESPONSE_TIME, .count_shed = MQTT_COUNT_SHED, .count_unanswered = MQTT_COUNT_UNANSWERED };

/* What the messages of a transaction have in common: the type that opened it, from which end, and its id. */
static struct pair_key
key_of(uint8_t opener, bool to_server, uint16_t message_id)
{
	return (struct pair_key){ .value = (uint32_t)opener << 17 | (uint32_t)to_server << 16 | message_id };
}

/* Whoever uses an id again has given up the older transaction; a copy sent again (DUP) replaces it. */
static void
make_room(struct mqtt_pdu *pdu, struct pair_key key)
{
	const struct mqtt_config *config = pdu->ctx->config;
	struct mqtt_state *state = pdu->ctx->state;

	if (pair_give_up(pdu->ctx, &state->pairs, &pair_desc, key, 0) && (pdu->flags & 8) == 0 && pdu->type != MQTT_CONNECT)
		proto_event(pdu->ctx, MQTT_EVENT_REUSED_MSG_ID);
	if (pair_make_room(pdu->ctx, &state->pairs, &pair_desc, config->open_max))
		proto_event(pdu->ctx, MQTT_EVENT_TOO_MANY_TRANSACTIONS);
}

/* Whether the topic had this payload before. Messages with an alias alone are not compared. */
static void
compare_payload(const struct mqtt_pdu *pdu, struct cursor body)
{
	uint16_t topic_len = cursor_be16(&body);
	struct cursor topic = cursor_sub(&body, topic_len);

	if (pdu->type != MQTT_PUBLISH || topic_len == 0 || !proto_compares(pdu->ctx, 0))
		return;
	if ((pdu->flags >> 1 & 3) != 0)
		cursor_skip(&body, 2);
	if (!body.short_read)
		proto_value(pdu->ctx, proto_value_hash(pdu->ctx->to_server, topic) | 1, proto_value_hash(0, body));
}

static void
parse_opening(struct mqtt_pdu *pdu, struct cursor body)
{
	struct proto_ctx *ctx = pdu->ctx;
	struct mqtt_state *state = ctx->state;
	uint16_t message_id = peek_message_id(pdu, body);
	struct pair_wait wait = { .key = key_of(pdu->type, ctx->to_server, message_id), .since_ns = ctx->ts_ns,
		.to_server = ctx->to_server };

	if (!waits_for_answer(pdu, message_id)) {
		compare_payload(pdu, body);
		parse_alone(pdu, body);
		return;
	}
	make_room(pdu, wait.key);
	compare_payload(pdu, body);
	wait.note = (uint8_t)ctx->values;
	if (pdu->type == MQTT_CONNECT && state->introduced)
		proto_event(ctx, MQTT_EVENT_DOUBLE_CONNECT);
	wait.id = ++state->last_id;
	begin_record(pdu);
	if (!mqtt_message_read(pdu, body))
		return;
	proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, wait.id);
	if (is_longer_than_written(pdu)) {
		begin_record(pdu);
		if (!read_again(pdu, body))
			return;
	}
	if (!pair_keep(ctx, &state->pairs, &pair_desc, &wait))
		proto_deliver(ctx, PROTO_EMIT, wait.id);
}

/* An answer whose transaction was not seen from its beginning. */
static void
parse_orphan(struct mqtt_pdu *pdu, struct cursor body)
{
	const struct mqtt_state *state = pdu->ctx->state;

	if (state->introduced || pdu->type == MQTT_CONNACK)
		proto_event(pdu->ctx, types[pdu->type].missing);
	counter_add(&pdu->ctx->counters[MQTT_COUNT_ORPHANS], 1);
	parse_alone(pdu, body);
}

/* The rules see an answer alone, with the types of what went before; the event is the whole transaction. */
static void
parse_answer(struct mqtt_pdu *pdu, struct cursor body)
{
	struct proto_ctx *ctx = pdu->ctx;
	uint16_t message_id = pdu->type == MQTT_CONNACK ? 0 : peek_message_id(pdu, body);
	struct pair_key key = key_of(types[pdu->type].opener, ctx->to_server == types[pdu->type].own, message_id);
	struct mqtt_state *state = ctx->state;
	const struct mqtt_record *begun;
	struct pair_wait wait;
	bool ends;

	begun = pair_find(&state->pairs, &pair_desc, key, &wait);
	if (begun == NULL) {
		parse_orphan(pdu, body);
		return;
	}
	begin_record(pdu);
	memcpy(pdu->record->types, begun->types, sizeof(begun->types));
	pdu->record->type_count = begun->type_count;
	if (!mqtt_message_read(pdu, body))
		return;
	ends = types[pdu->type].role == ROLE_ENDS || (pdu->type == MQTT_PUBREC && pdu->message->code >= FAILURE_FIRST);
	proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, wait.id);
	pdu->record = pair_take(ctx, &state->pairs, &pair_desc, key, &wait);
	if (pdu->record == NULL || !read_again(pdu, body))
		return;
	if (!ends && pair_keep(ctx, &state->pairs, &pair_desc, &wait))
		return;
	pair_answered(ctx, &state->pairs, &pair_desc, &wait);
	ctx->to_server = wait.to_server;
	ctx->values = wait.note;
	proto_deliver(ctx, PROTO_EMIT, wait.id);
}

/* No Sparkplug payload begins with a zero byte: it is the length of the empty properties that only 5.0 has. */
static bool
has_empty_properties(const struct mqtt_header *header, struct cursor body)
{
	uint16_t topic_len = cursor_be16(&body);
	const uint8_t *at = cursor_take(&body, topic_len);
	struct sparkplug_topic topic;

	if (header->type != MQTT_PUBLISH || at == NULL || !sparkplug_topic_read(at, topic_len, &topic))
		return false;
	if ((header->flags >> 1 & 3) != 0)
		cursor_skip(&body, 2);
	return cursor_left(&body) > 0 && cursor_u8(&body) == 0;
}

/* The version that a message seen from the middle of a connection can only have. */
static uint8_t
version_of(const struct mqtt_state *state, const struct mqtt_header *header, struct cursor body)
{
	bool is_longer = (header->type == MQTT_CONNACK || (header->type >= MQTT_PUBACK && header->type <= MQTT_PUBCOMP))
		? header->remaining_len > 2
		: header->type == MQTT_AUTH || (header->type == MQTT_DISCONNECT && header->remaining_len > 0) ||
			(header->type == MQTT_UNSUBACK && header->remaining_len > 2);

	if (state->version != 0)
		return state->version;
	return is_longer || has_empty_properties(header, body) ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1;
}

static void
remember(const struct mqtt_pdu *pdu, bool accepted, const struct mqtt_header *header)
{
	struct mqtt_state *state = pdu->ctx->state;

	if (pdu->type == MQTT_CONNECT || (pdu->version == MQTT_VERSION_5 && state->version == 0) ||
		(pdu->type == MQTT_CONNACK && header->remaining_len == 2 && state->version == 0))
		state->version = pdu->version;
	if (pdu->type == MQTT_CONNACK && accepted)
		state->introduced = true;
	if (pdu->type == MQTT_CONNECT) {
		state->connecting = true;
		state->has_seq = false;
	}
}

static void
identify(struct mqtt_pdu *pdu, struct cursor body)
{
	uint16_t topic_len = cursor_be16(&body);
	const uint8_t *at = cursor_take(&body, topic_len);
	struct sparkplug_topic topic;

	if (at == NULL || !pdu->ctx->to_server || !sparkplug_topic_read(at, topic_len, &topic) || !topic.is_birth)
		return;
	if ((pdu->flags >> 1 & 3) != 0)
		cursor_skip(&body, 2);
	if (pdu->version == MQTT_VERSION_5)
		cursor_skip(&body, mqtt_take_varint(&body));
	if (!body.short_read)
		sparkplug_identify(pdu->ctx, &topic, body);
}

static void
mqtt_parse(struct proto_ctx *ctx, struct cursor in)
{
	struct mqtt_header header;
	struct cursor body = in;
	struct mqtt_pdu pdu = { .ctx = ctx, .for_rules = true };
	bool to_server = ctx->to_server;
	uint8_t role;

	if (mqtt_shape_fit(&body, &header) < MQTT_FIT_WEAK)
		return;
	pdu.type = header.type;
	pdu.flags = header.flags;
	pdu.version = version_of(ctx->state, &header, body);
	pdu.total_len = header.header_len + header.remaining_len;
	pdu.cut_len = header.remaining_len - (uint32_t)cursor_left(&body);
	ctx->skip_len = pdu.cut_len;
	role = types[header.type].role;
	counter_add(&ctx->counters[MQTT_COUNT_MESSAGES], 1);
	if (header.type == MQTT_PUBLISH)
		counter_add(&ctx->counters[MQTT_COUNT_PUBLISHES], 1);
	check_introduction(&pdu);
	check_direction(&pdu);
	if (role == ROLE_ALONE)
		parse_alone(&pdu, body);
	else if (role == ROLE_OPENS)
		parse_opening(&pdu, body);
	else
		parse_answer(&pdu, body);
	ctx->to_server = to_server;
	remember(&pdu, pdu.message != NULL && pdu.message->code == 0, &header);
	if (header.type == MQTT_PUBLISH)
		identify(&pdu, body);
}

static void
mqtt_end(struct proto_ctx *ctx)
{
	struct mqtt_state *state = ctx->state;

	pair_shrink(ctx, &state->pairs, &pair_desc, 0);
	sparkplug_alias_free(ctx);
	mqtt_topics_forget(ctx, false);
	mqtt_topics_forget(ctx, true);
}

/* What was lost may have given an alias to another topic. */
static void
mqtt_gap(struct proto_ctx *ctx, uint32_t missing)
{
	(void)missing;
	mqtt_topics_forget(ctx, ctx->to_server);
}

static const uint16_t mqtt_ports[] = { 1883, 0 };

extern const struct proto mqtt_proto;
const struct proto mqtt_proto = {
	.app = {
		.name = "mqtt",
		.record = &mqtt_table,
		.events = mqtt_events,
		.event_count = MQTT_EVENT_COUNT,
		.keywords = mqtt_keywords,
		.keyword_count = MQTT_KEYWORD_COUNT,
		.record_tags = mqtt_record_tags,
		.keyword_tag = mqtt_keyword_tag,
		.buffers = mqtt_buffers,
		.buffer_count = MQTT_BUFFER_COUNT,
	},
	.transports = PROTO_TCP,
	.ports = mqtt_ports,
	.pdu_len_min = 2,
	.probe = mqtt_probe,
	.starts = { { 0x00, 0x00 }, { 0x10, 0xff } },
	.start_count = 2,
	.sender_is_server = mqtt_sender_is_server,
	.frame = mqtt_frame,
	.parse = mqtt_parse,
	.gap = mqtt_gap,
	.end = mqtt_end,
	.state_len = sizeof(struct mqtt_state),
	.ahead = PAIR_AHEAD,
	.kind = "type",
	.counters = mqtt_counters,
	.counter_count = MQTT_COUNTER_COUNT,
	.knobs = &mqtt_knobs,
	.config_len = sizeof(struct mqtt_config),
};
