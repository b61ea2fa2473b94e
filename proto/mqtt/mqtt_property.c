/* Properties of MQTT 5.0 (V5 2.2.2): one table says what each is and where it may stand. */
#include "proto/mqtt/mqtt.h"

enum property_kind { KIND_NONE, KIND_BYTE, KIND_U16, KIND_U32, KIND_ID, KIND_TEXT, KIND_PAIR };

enum {
	PROPERTY_ID_MAX = 0x2a,
	/* Where a property may stand, by type; a will's have the bit of the type that nobody uses. */
	WILL = 1 << MQTT_UNASSIGNED,
	CONNECT = 1 << MQTT_CONNECT,
	CONNACK = 1 << MQTT_CONNACK,
	PUBLISH = 1 << MQTT_PUBLISH,
	ACKS = 1 << MQTT_PUBACK | 1 << MQTT_PUBREC | 1 << MQTT_PUBREL | 1 << MQTT_PUBCOMP | 1 << MQTT_SUBACK | 1 << MQTT_UNSUBACK,
	SUBSCRIBE = 1 << MQTT_SUBSCRIBE,
	DISCONNECT = 1 << MQTT_DISCONNECT,
	AUTH = 1 << MQTT_AUTH,
	ANY = 0xffff,
};

#define AT(member) offsetof(struct mqtt_properties, member)

/* By identifier. */
static const struct {
	uint8_t kind;
	uint8_t bit;
	uint16_t offset;
	uint16_t allowed;
} properties[PROPERTY_ID_MAX + 1] = {
	[0x01] = { KIND_BYTE, MQTT_PROPERTY_PAYLOAD_FORMAT, AT(payload_format_indicator), PUBLISH | WILL },
	[0x02] = { KIND_U32, MQTT_PROPERTY_MESSAGE_EXPIRY, AT(message_expiry_interval), PUBLISH | WILL },
	[0x03] = { KIND_TEXT, MQTT_PROPERTY_CONTENT_TYPE, AT(content_type), PUBLISH | WILL },
	[0x08] = { KIND_TEXT, MQTT_PROPERTY_RESPONSE_TOPIC, AT(response_topic), PUBLISH | WILL },
	[0x09] = { KIND_TEXT, MQTT_PROPERTY_CORRELATION_DATA, AT(correlation_data), PUBLISH | WILL },
	[0x0b] = { KIND_ID, MQTT_PROPERTY_SUBSCRIPTION_ID, AT(subscription_identifiers), PUBLISH | SUBSCRIBE },
	[0x11] = { KIND_U32, MQTT_PROPERTY_SESSION_EXPIRY, AT(session_expiry_interval), CONNECT | CONNACK | DISCONNECT },
	[0x12] = { KIND_TEXT, MQTT_PROPERTY_ASSIGNED_CLIENT_ID, AT(assigned_client_identifier), CONNACK },
	[0x13] = { KIND_U16, MQTT_PROPERTY_SERVER_KEEP_ALIVE, AT(server_keep_alive), CONNACK },
	[0x15] = { KIND_TEXT, MQTT_PROPERTY_AUTH_METHOD, AT(authentication_method), CONNECT | CONNACK | AUTH },
	[0x16] = { KIND_TEXT, MQTT_PROPERTY_AUTH_DATA, AT(authentication_data), CONNECT | CONNACK | AUTH },
	[0x17] = { KIND_BYTE, MQTT_PROPERTY_REQUEST_PROBLEM, AT(request_problem_information), CONNECT },
	[0x18] = { KIND_U32, MQTT_PROPERTY_WILL_DELAY, AT(will_delay_interval), WILL },
	[0x19] = { KIND_BYTE, MQTT_PROPERTY_REQUEST_RESPONSE, AT(request_response_information), CONNECT },
	[0x1a] = { KIND_TEXT, MQTT_PROPERTY_RESPONSE_INFORMATION, AT(response_information), CONNACK },
	[0x1c] = { KIND_TEXT, MQTT_PROPERTY_SERVER_REFERENCE, AT(server_reference), CONNACK | DISCONNECT },
	[0x1f] = { KIND_TEXT, MQTT_PROPERTY_REASON_STRING, AT(reason_string), CONNACK | ACKS | DISCONNECT | AUTH },
	[0x21] = { KIND_U16, MQTT_PROPERTY_RECEIVE_MAXIMUM, AT(receive_maximum), CONNECT | CONNACK },
	[0x22] = { KIND_U16, MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM, AT(topic_alias_maximum), CONNECT | CONNACK },
	[0x23] = { KIND_U16, MQTT_PROPERTY_TOPIC_ALIAS, AT(topic_alias), PUBLISH },
	[0x24] = { KIND_BYTE, MQTT_PROPERTY_MAXIMUM_QOS, AT(maximum_qos), CONNACK },
	[0x25] = { KIND_BYTE, MQTT_PROPERTY_RETAIN_AVAILABLE, AT(retain_available), CONNACK },
	[0x26] = { KIND_PAIR, MQTT_PROPERTY_USER, AT(user_properties), ANY },
	[0x27] = { KIND_U32, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE, AT(maximum_packet_size), CONNECT | CONNACK },
	[0x28] = { KIND_BYTE, MQTT_PROPERTY_WILDCARD_AVAILABLE, AT(wildcard_subscription_available), CONNACK },
	[0x29] = { KIND_BYTE, MQTT_PROPERTY_SUBSCRIPTION_IDS_AVAILABLE, AT(subscription_identifiers_available), CONNACK },
	[0x2a] = { KIND_BYTE, MQTT_PROPERTY_SHARED_AVAILABLE, AT(shared_subscription_available), CONNACK },
};

/* The properties of one message, or of a will. */
struct reading {
	struct mqtt_pdu *pdu;
	struct mqtt_properties *out;
	uint8_t owner;
	uint8_t id_count;
	uint32_t ids[MQTT_PROPERTIES_MAX]; /* of the subscriptions, which may stand apart from each other */
};

static_assert(MQTT_PROPERTIES_MAX <= UINT8_MAX, "reading.id_count");

static void
read_byte(struct reading *reading, struct cursor *in, void *out)
{
	(void)reading;
	*(uint8_t *)out = cursor_u8(in);
}

static void
read_u16(struct reading *reading, struct cursor *in, void *out)
{
	(void)reading;
	*(uint16_t *)out = cursor_be16(in);
}

static void
read_u32(struct reading *reading, struct cursor *in, void *out)
{
	(void)reading;
	*(uint32_t *)out = cursor_be32(in);
}

/* Of a PUBLISH there may be one for each subscription that it matches (V5 3.3.2.3.8), and none is 0. */
static void
read_id(struct reading *reading, struct cursor *in, void *out)
{
	uint32_t id = mqtt_take_varint(in);

	(void)out;
	if (in->short_read)
		return;
	if (id == 0)
		proto_event(reading->pdu->ctx, MQTT_EVENT_INVALID_PROPERTY);
	reading->ids[reading->id_count++] = id;
}

static void
read_text(struct reading *reading, struct cursor *in, void *out)
{
	mqtt_take_text(reading->pdu, in, out);
}

static void
read_pair(struct reading *reading, struct cursor *in, void *out)
{
	struct record_ref spare = { 0 };
	struct mqtt_user_property *pair = record_append(reading->pdu->ctx->record, out, mqtt_user_property_tables, 0);

	mqtt_take_text(reading->pdu, in, pair == NULL ? &spare : &pair->name);
	mqtt_take_text(reading->pdu, in, pair == NULL ? &spare : &pair->value);
}

static void (*const readers[])(struct reading *reading, struct cursor *in, void *out) = {
	[KIND_BYTE] = read_byte, [KIND_U16] = read_u16, [KIND_U32] = read_u32, [KIND_ID] = read_id,
	[KIND_TEXT] = read_text, [KIND_PAIR] = read_pair,
};

static bool
may_repeat(uint8_t kind, uint8_t owner)
{
	return kind == KIND_PAIR || (kind == KIND_ID && owner == MQTT_PUBLISH);
}

/* One property. @return whether those behind it can be read */
static bool
read_one(struct reading *reading, struct cursor *in)
{
	struct mqtt_properties *out = reading->out;
	uint32_t id = mqtt_take_varint(in);
	bool again;

	if (in->short_read || id > PROPERTY_ID_MAX || properties[id].kind == KIND_NONE) {
		proto_event(reading->pdu->ctx, MQTT_EVENT_INVALID_PROPERTY);
		return false;
	}
	again = record_is_present(out, properties[id].bit) && !may_repeat(properties[id].kind, reading->owner);
	if (again || (properties[id].allowed >> reading->owner & 1) == 0)
		proto_event(reading->pdu->ctx, MQTT_EVENT_INVALID_PROPERTY);
	readers[properties[id].kind](reading, in, (uint8_t *)out + properties[id].offset);
	if (!in->short_read)
		record_present(&out->head, properties[id].bit);
	return !in->short_read;
}

static void
put_ids(const struct reading *reading)
{
	struct record_scalar *scalars = record_reserve(reading->pdu->ctx->record, &reading->out->subscription_identifiers,
		reading->id_count, sizeof(*scalars));

	for (unsigned int i = 0; scalars != NULL && i < reading->id_count; i++)
		scalars[i] = (struct record_scalar){ .kind = SCALAR_U64, .u64 = reading->ids[i] };
}

static void
read_all(struct reading *reading, struct cursor *in)
{
	unsigned int i = 0;

	while (i < MQTT_PROPERTIES_MAX && cursor_left(in) > 0 && read_one(reading, in))
		i++;
	if (reading->id_count > 0)
		put_ids(reading);
	if (i < MQTT_PROPERTIES_MAX || cursor_left(in) == 0)
		return;
	reading->out->skipped_len = (uint32_t)cursor_left(in);
	record_present(&reading->out->head, MQTT_PROPERTY_SKIPPED);
}

bool
mqtt_properties_read(struct mqtt_pdu *pdu, struct cursor *body, struct record_list *list, uint8_t owner)
{
	uint32_t len = mqtt_take_varint(body);
	struct reading reading;
	struct cursor in;

	if (body->short_read || len == 0)
		return false;
	in = cursor_sub(body, len);
	if (in.short_read)
		return false;
	reading.pdu = pdu;
	reading.owner = owner;
	reading.id_count = 0; /* and the identifiers are not cleared */
	reading.out = record_append(pdu->ctx->record, list, mqtt_property_tables, 0);
	if (reading.out == NULL)
		return false;
	read_all(&reading, &in);
	if (in.short_read)
		proto_event(pdu->ctx, MQTT_EVENT_INVALID_PROPERTY);
	return true;
}
