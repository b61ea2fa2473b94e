/* The bodies of the control packets (V5 3), which 3.1 and 3.1.1 have in shorter forms. */
#include "proto/mqtt/sparkplug.h"

enum {
	CONNECT_LEVEL_MIN = MQTT_VERSION_3_1,
	CONNECT_LEVEL_MAX = MQTT_VERSION_5,
	QOS_MAX = 2,
	SUBSCRIBE_QOS = 0x03,
	SUBSCRIBE_NO_LOCAL = 0x04,
	SUBSCRIBE_AS_PUBLISHED = 0x08,
	SUBSCRIBE_HANDLING_SHIFT = 4,
	CODES_MAX = MQTT_TOPICS_MAX,
};

static bool
is_v5(const struct mqtt_pdu *pdu)
{
	return pdu->version == MQTT_VERSION_5;
}

void
mqtt_take_text(struct mqtt_pdu *pdu, struct cursor *body, struct record_ref *ref)
{
	uint16_t len = cursor_be16(body);
	const uint8_t *text = cursor_take(body, len);

	if (text != NULL)
		record_put_bytes(pdu->ctx->record, ref, text, len);
}

static void
take_properties(struct mqtt_pdu *pdu, struct cursor *body)
{
	if (mqtt_properties_read(pdu, body, &pdu->message->properties, pdu->type))
		mqtt_has(pdu->message, MQTT_HAS_PROPERTIES);
}

static void
take_message_id(struct mqtt_pdu *pdu, struct cursor *body)
{
	pdu->message->message_id = cursor_be16(body);
	if (body->short_read)
		return;
	mqtt_has(pdu->message, MQTT_HAS_MESSAGE_ID);
	if (pdu->message->message_id == 0)
		proto_event(pdu->ctx, MQTT_EVENT_MISSING_MSG_ID);
}

/* "[truncated N additional bytes]", as Suricata ends a text that it cuts. */
static void
put_cut_text(struct mqtt_pdu *pdu, struct record_ref *ref, const uint8_t *text, uint32_t kept_len, uint32_t left_len)
{
	static const char before[] = "[truncated ", behind[] = " additional bytes]";
	enum { BEFORE_LEN = sizeof(before) - 1, BEHIND_LEN = sizeof(behind) - 1, DIGITS_MAX = 10 };
	uint8_t digits[DIGITS_MAX];
	uint32_t digit_count = 0;
	uint8_t *out;

	do {
		digits[DIGITS_MAX - ++digit_count] = (uint8_t)('0' + left_len % 10);
		left_len /= 10;
	} while (left_len > 0);
	out = record_reserve(pdu->ctx->record, ref, kept_len + BEFORE_LEN + digit_count + BEHIND_LEN, 1);
	if (out == NULL)
		return;
	memcpy(out, text, kept_len);
	memcpy(out + kept_len, before, BEFORE_LEN);
	memcpy(out + kept_len + BEFORE_LEN, digits + DIGITS_MAX - digit_count, digit_count);
	memcpy(out + kept_len + BEFORE_LEN + digit_count, behind, BEHIND_LEN);
}

/* len bytes of a text of which left_len more are not here. The event is given its front, rules see what is here. */
static void
put_message(struct mqtt_pdu *pdu, struct record_ref *ref, const uint8_t *text, uint32_t len, uint32_t left_len)
{
	const struct mqtt_config *config = pdu->ctx->config;
	uint32_t kept_len = len < config->text_len_max ? len : (uint32_t)config->text_len_max;

	if (pdu->for_rules || (kept_len == len && left_len == 0))
		record_put_bytes(pdu->ctx->record, ref, text, len);
	else
		put_cut_text(pdu, ref, text, kept_len, len - kept_len + left_len);
}

static void
read_will(struct mqtt_pdu *pdu, struct mqtt_connect *connect, struct cursor *body)
{
	const uint8_t *text;
	uint16_t len;

	if (is_v5(pdu) && mqtt_properties_read(pdu, body, &connect->will_properties, MQTT_UNASSIGNED))
		mqtt_has(&connect->message, MQTT_HAS_WILL_PROPERTIES);
	mqtt_take_text(pdu, body, &connect->will_topic);
	len = cursor_be16(body);
	text = cursor_take(body, len);
	if (text == NULL)
		return;
	put_message(pdu, &connect->will_message, text, len, 0);
	mqtt_has(&connect->message, MQTT_HAS_WILL);
}

static void
read_password(struct mqtt_pdu *pdu, struct mqtt_connect *connect, struct cursor *body)
{
	const struct mqtt_config *config = pdu->ctx->config;

	mqtt_take_text(pdu, body, &connect->secret);
	if (body->short_read)
		return;
	mqtt_has(&connect->message, MQTT_HAS_SECRET);
	if (!config->passwords)
		return;
	connect->password = connect->secret;
	mqtt_has(&connect->message, MQTT_HAS_PASSWORD);
}

static void
read_connect_flags(struct mqtt_pdu *pdu, struct mqtt_connect *connect, uint8_t flags)
{
	connect->username_flag = (flags & MQTT_CONNECT_USERNAME) != 0;
	connect->password_flag = (flags & MQTT_CONNECT_PASSWORD) != 0;
	connect->will_retain = (flags & MQTT_CONNECT_WILL_RETAIN) != 0;
	connect->will_flag = (flags & MQTT_CONNECT_WILL) != 0;
	connect->clean_session = (flags & MQTT_CONNECT_CLEAN) != 0;
	connect->will_qos = flags >> 3 & 3;
	if ((flags & MQTT_CONNECT_RESERVED) != 0 || connect->will_qos > QOS_MAX ||
		(!connect->will_flag && (connect->will_retain || connect->will_qos != 0)) ||
		(!is_v5(pdu) && connect->password_flag && !connect->username_flag))
		proto_event(pdu->ctx, MQTT_EVENT_INVALID_CONNECT_FLAGS);
}

/* V5 3.1 */
static void
read_connect(struct mqtt_pdu *pdu, struct cursor *body)
{
	struct mqtt_connect *connect = (struct mqtt_connect *)pdu->message;
	uint8_t level, flags;

	mqtt_take_text(pdu, body, &connect->protocol_string);
	level = cursor_u8(body);
	flags = cursor_u8(body);
	connect->keep_alive_s = cursor_be16(body);
	connect->version = level;
	pdu->version = level & (uint8_t)~MQTT_VERSION_BRIDGE;
	if (!body->short_read && (pdu->version < CONNECT_LEVEL_MIN || pdu->version > CONNECT_LEVEL_MAX))
		proto_event(pdu->ctx, MQTT_EVENT_UNKNOWN_VERSION);
	read_connect_flags(pdu, connect, flags);
	if (is_v5(pdu))
		take_properties(pdu, body);
	mqtt_take_text(pdu, body, &connect->client_id);
	if (connect->will_flag)
		read_will(pdu, connect, body);
	if (connect->username_flag) {
		mqtt_take_text(pdu, body, &connect->username);
		if (!body->short_read)
			mqtt_has(&connect->message, MQTT_HAS_USERNAME);
	}
	if (connect->password_flag)
		read_password(pdu, connect, body);
}

/* V5 3.2; a longer one than 3.1.1 has tells the version of a connection seen from its middle. */
static void
read_connack(struct mqtt_pdu *pdu, struct cursor *body)
{
	uint8_t flags = cursor_u8(body);

	pdu->message->session_present = (flags & 1) != 0;
	pdu->message->code = cursor_u8(body);
	if (!body->short_read)
		mqtt_has(pdu->message, MQTT_HAS_CODE);
	if (cursor_left(body) > 0)
		take_properties(pdu, body);
}

static bool
topic_is_valid(const uint8_t *topic, uint32_t len)
{
	return memchr(topic, '#', len) == NULL && memchr(topic, '+', len) == NULL && memchr(topic, 0, len) == NULL;
}

static void
read_payload(struct mqtt_pdu *pdu, struct cursor *body)
{
	struct mqtt_message *message = pdu->message;
	uint32_t here_len = (uint32_t)cursor_left(body);
	const uint8_t *payload = cursor_take(body, here_len);

	message->message_len = here_len + pdu->cut_len;
	if (payload == NULL)
		return;
	put_message(pdu, &message->message, payload, here_len, pdu->cut_len);
	message->payload = message->message;
	mqtt_has(message, MQTT_HAS_MESSAGE);
	mqtt_has(message, MQTT_HAS_PAYLOAD);
}

/* The alias among the properties of a PUBLISH, 0 without one. */
static uint16_t
alias_of(struct mqtt_pdu *pdu)
{
	const struct mqtt_properties *properties =
		(const void *)(pdu->ctx->record->base + pdu->message->properties.first);

	if (!record_is_present(pdu->message, MQTT_HAS_PROPERTIES) || !record_is_present(properties, MQTT_PROPERTY_TOPIC_ALIAS))
		return 0;
	if (properties->topic_alias == 0)
		proto_event(pdu->ctx, MQTT_EVENT_INVALID_PROPERTY);
	return properties->topic_alias;
}

/* The topic of a PUBLISH: what stands there, or what its alias stands for (V5 3.3.2.3.4). */
static struct cursor
topic_of(struct mqtt_pdu *pdu, struct cursor said)
{
	uint16_t alias = alias_of(pdu);

	if (cursor_left(&said) == 0) {
		if (alias == 0)
			proto_event(pdu->ctx, MQTT_EVENT_INVALID_TOPIC);
		return mqtt_topic_find(pdu->ctx, alias);
	}
	if (!topic_is_valid(said.pos, (uint32_t)cursor_left(&said)))
		proto_event(pdu->ctx, MQTT_EVENT_INVALID_TOPIC);
	if (alias != 0)
		mqtt_topic_learn(pdu->ctx, alias, said);
	return said;
}

/* V5 3.3 */
static void
read_publish(struct mqtt_pdu *pdu, struct cursor *body)
{
	struct mqtt_message *message = pdu->message;
	uint16_t said_len = cursor_be16(body);
	struct cursor topic = cursor_sub(body, said_len);
	struct sparkplug_topic sparkplug;
	uint32_t topic_len;

	if (message->qos > QOS_MAX)
		proto_event(pdu->ctx, MQTT_EVENT_INVALID_QOS_LEVEL);
	if (message->qos > 0)
		take_message_id(pdu, body);
	if (is_v5(pdu))
		take_properties(pdu, body);
	if (body->short_read)
		return;
	topic = topic_of(pdu, topic);
	topic_len = (uint32_t)cursor_left(&topic);
	record_put_bytes(pdu->ctx->record, &message->topic, topic.pos, topic_len);
	mqtt_has(message, MQTT_HAS_BODY);
	if (message->truncated) {
		cursor_skip(body, cursor_left(body));
		return;
	}
	if (topic_len > 0 && sparkplug_topic_read(topic.pos, topic_len, &sparkplug)) {
		bool understood = sparkplug_read(pdu, &sparkplug, *body);

		read_payload(pdu, body);
		if (understood)
			message->head.present &= ~(UINT64_C(1) << MQTT_HAS_MESSAGE);
		return;
	}
	read_payload(pdu, body);
}

/* V5 3.4 to 3.7: the reason code is left out where it is success. */
static void
read_ack(struct mqtt_pdu *pdu, struct cursor *body)
{
	take_message_id(pdu, body);
	if (cursor_left(body) == 0) {
		if (is_v5(pdu) && !body->short_read)
			mqtt_has(pdu->message, MQTT_HAS_CODE);
		return;
	}
	pdu->message->code = cursor_u8(body);
	mqtt_has(pdu->message, MQTT_HAS_CODE);
	if (cursor_left(body) > 0)
		take_properties(pdu, body);
}

static void
read_filter(struct mqtt_pdu *pdu, struct cursor *body, uint64_t topics_max, bool with_options)
{
	struct mqtt_message *message = pdu->message;
	struct record_ref spare = { 0 };
	struct mqtt_topic *topic = NULL;
	uint8_t options = 0;

	message->topic_count++;
	if (message->topics.count < topics_max)
		topic = record_append(pdu->ctx->record, &message->topics,
			with_options ? mqtt_topic_tables : mqtt_filter_tables, 0);
	mqtt_take_text(pdu, body, topic == NULL ? &spare : &topic->topic);
	if (with_options)
		options = cursor_u8(body);
	if (topic == NULL || !with_options || body->short_read)
		return;
	topic->qos = options & SUBSCRIBE_QOS;
	record_present(&topic->head, MQTT_TOPIC_HAS_QOS);
	if (topic->qos > QOS_MAX)
		proto_event(pdu->ctx, MQTT_EVENT_INVALID_QOS_LEVEL);
	/* Said only where they differ from what every older version does. */
	if (!is_v5(pdu) || options <= SUBSCRIBE_QOS)
		return;
	topic->no_local = (options & SUBSCRIBE_NO_LOCAL) != 0;
	topic->retain_as_published = (options & SUBSCRIBE_AS_PUBLISHED) != 0;
	topic->retain_handling = options >> SUBSCRIBE_HANDLING_SHIFT & 3;
	record_present(&topic->head, MQTT_TOPIC_HAS_OPTIONS);
}

static void
read_filters(struct mqtt_pdu *pdu, struct cursor *body, uint64_t topics_max, bool with_options)
{
	take_message_id(pdu, body);
	if (is_v5(pdu))
		take_properties(pdu, body);
	/* Each filter is two bytes at least: the body bounds the loop. */
	while (cursor_left(body) > 0)
		read_filter(pdu, body, topics_max, with_options);
	mqtt_has(pdu->message, MQTT_HAS_BODY);
	if (pdu->message->topic_count == 0)
		body->short_read = true;
}

/* V5 3.8 */
static void
read_subscribe(struct mqtt_pdu *pdu, struct cursor *body)
{
	const struct mqtt_config *config = pdu->ctx->config;

	read_filters(pdu, body, config->subscribe_topics, true);
}

/* V5 3.10 */
static void
read_unsubscribe(struct mqtt_pdu *pdu, struct cursor *body)
{
	const struct mqtt_config *config = pdu->ctx->config;

	read_filters(pdu, body, config->unsubscribe_topics, false);
}

/* V5 3.9, 3.11: a code for each filter; none in an UNSUBACK of 3.1.1. */
static void
read_codes(struct mqtt_pdu *pdu, struct cursor *body)
{
	uint32_t count;
	const uint8_t *codes;

	take_message_id(pdu, body);
	if (is_v5(pdu))
		take_properties(pdu, body);
	count = (uint32_t)cursor_left(body);
	codes = cursor_take(body, count);
	if (codes == NULL || (count == 0 && pdu->type == MQTT_UNSUBACK))
		return;
	record_put_bytes(pdu->ctx->record, &pdu->message->codes, codes, count < CODES_MAX ? count : CODES_MAX);
	mqtt_has(pdu->message, MQTT_HAS_CODES);
}

/* V5 3.14, 3.15. Suricata takes a reason code for 0 where it ends the packet: its users' filters find what they expect,
 * and the byte itself stands beside it. */
static void
read_reason(struct mqtt_pdu *pdu, struct cursor *body)
{
	if (cursor_left(body) == 0) {
		if (is_v5(pdu))
			mqtt_has(pdu->message, MQTT_HAS_CODE);
		return;
	}
	pdu->message->code = cursor_u8(body);
	mqtt_has(pdu->message, MQTT_HAS_CODE);
	if (cursor_left(body) == 0)
		return;
	pdu->message->code_said = pdu->message->code;
	take_properties(pdu, body);
}

static void
read_nothing(struct mqtt_pdu *pdu, struct cursor *body)
{
	(void)pdu;
	(void)body;
}

static void
read_unassigned(struct mqtt_pdu *pdu, struct cursor *body)
{
	proto_event(pdu->ctx, MQTT_EVENT_UNASSIGNED_MSG_TYPE);
	cursor_skip(body, cursor_left(body));
}

const mqtt_body mqtt_bodies[MQTT_TYPE_COUNT] = {
	[MQTT_UNASSIGNED] = read_unassigned,
	[MQTT_CONNECT] = read_connect,
	[MQTT_CONNACK] = read_connack,
	[MQTT_PUBLISH] = read_publish,
	[MQTT_PUBACK] = read_ack,
	[MQTT_PUBREC] = read_ack,
	[MQTT_PUBREL] = read_ack,
	[MQTT_PUBCOMP] = read_ack,
	[MQTT_SUBSCRIBE] = read_subscribe,
	[MQTT_SUBACK] = read_codes,
	[MQTT_UNSUBSCRIBE] = read_unsubscribe,
	[MQTT_UNSUBACK] = read_codes,
	[MQTT_PINGREQ] = read_nothing,
	[MQTT_PINGRESP] = read_nothing,
	[MQTT_DISCONNECT] = read_reason,
	[MQTT_AUTH] = read_reason,
};

static void
add_type(struct mqtt_record *record, uint8_t type)
{
	record->type = type;
	if (record->type_count < MQTT_TX_TYPES_MAX)
		record->types[record->type_count++] = type;
}

bool
mqtt_message_read(struct mqtt_pdu *pdu, struct cursor body)
{
	const struct mqtt_config *config = pdu->ctx->config;
	struct mqtt_record *record = pdu->record;
	/* A transaction that has two messages of one type (a QoS 2 message sent again) shows the last. */
	struct record_list *list = &record->messages[pdu->type];
	struct mqtt_message *message;

	*list = (struct record_list){ 0 };
	message = record_append(pdu->ctx->record, list, mqtt_message_tables[pdu->type], 0);
	if (message == NULL)
		return false;
	pdu->message = message;
	record->current = list->first;
	record_present(&record->head, pdu->type);
	add_type(record, pdu->type);
	message->dup = (pdu->flags & 8) != 0;
	message->qos = pdu->flags >> 1 & 3;
	message->retain = (pdu->flags & 1) != 0;
	if (pdu->total_len > config->message_len_max) {
		message->truncated = true;
		message->skipped_len = pdu->total_len;
		mqtt_has(message, MQTT_HAS_TRUNCATED);
		proto_event(pdu->ctx, MQTT_EVENT_MESSAGE_TRUNCATED);
		if (pdu->for_rules)
			counter_add(&pdu->ctx->counters[MQTT_COUNT_TRUNCATED], 1);
	}
	mqtt_bodies[pdu->type](pdu, &body);
	record->version = pdu->version;
	if (body.short_read && pdu->cut_len == 0)
		proto_event(pdu->ctx, MQTT_EVENT_MALFORMED_TRAFFIC);
	else if (cursor_left(&body) > 0)
		proto_event(pdu->ctx, MQTT_EVENT_TRAILING_BYTES);
	return true;
}
