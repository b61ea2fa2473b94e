/* Sparkplug B payloads (SpB 6.4): a bounded reader of the Protocol Buffers that they are written in, and metrics. */
#include "proto/mqtt/mqtt.h"

#include <strings.h>

enum wire { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_FIXED32 = 5 };

enum {
	VARINT_LEN_MAX = 10,
	FIELDS_READ_MAX = 4096, /* of one message, whatever they are */
	IDENTITY_ADDRESS_LEN_MAX = 256,
};

/* Field numbers of Payload and of Metric. */
enum payload_field { PAYLOAD_TIMESTAMP = 1, PAYLOAD_METRICS, PAYLOAD_SEQ, PAYLOAD_UUID, PAYLOAD_BODY };
enum metric_field {
	METRIC_NAME = 1,
	METRIC_ALIAS,
	METRIC_TIMESTAMP,
	METRIC_DATATYPE,
	METRIC_HISTORICAL,
	METRIC_TRANSIENT,
	METRIC_NULL,
	METRIC_INT = 10,
	METRIC_LONG,
	METRIC_FLOAT,
	METRIC_DOUBLE,
	METRIC_BOOLEAN,
	METRIC_STRING,
	METRIC_BYTES,
	METRIC_DATASET,
	METRIC_TEMPLATE,
};

/* SpB 6.4.16; the names are in the field table. */
enum datatype { TYPE_INT8 = 1, TYPE_INT16, TYPE_INT32, TYPE_INT64, TYPE_DATETIME = 13 };

struct pb_field {
	uint32_t number;
	uint8_t wire;
	uint64_t number_value; /* of a varint or fixed number */
	struct cursor bytes;   /* of WIRE_BYTES */
};

static uint64_t
take_varint(struct cursor *in)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < VARINT_LEN_MAX; i++) {
		uint8_t byte = cursor_u8(in);

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0)
			return value;
	}
	in->short_read = true;
	return 0;
}

/* The next field. @return false: none is left, or it is damaged (then the cursor is short) */
static bool
next_field(struct cursor *in, struct pb_field *out)
{
	uint64_t tag, len;

	if (cursor_left(in) == 0)
		return false;
	tag = take_varint(in);
	*out = (struct pb_field){ .number = (uint32_t)(tag >> 3), .wire = tag & 7 };
	if (out->number == 0 || tag >> 3 > UINT32_MAX)
		in->short_read = true;
	switch ((enum wire)out->wire) {
	case WIRE_VARINT:
		out->number_value = take_varint(in);
		break;
	case WIRE_FIXED64:
		out->number_value = cursor_le64(in);
		break;
	case WIRE_FIXED32:
		out->number_value = cursor_le32(in);
		break;
	case WIRE_BYTES:
		len = take_varint(in);
		out->bytes = cursor_sub(in, len > cursor_left(in) ? SIZE_MAX : (size_t)len);
		break;
	default:
		in->short_read = true;
	}
	return !in->short_read;
}

static uint32_t
bytes_len(const struct pb_field *field)
{
	return (uint32_t)cursor_left(&field->bytes);
}

/* ---- one metric, as it stands in the payload ---- */

struct metric {
	struct pb_field name, value;
	uint64_t alias, timestamp_ms;
	uint32_t datatype;
	uint32_t has; /* bits of the field numbers */
	bool historical, transient, null;
};

static void
keep_field(struct metric *metric, const struct pb_field *field)
{
	switch ((enum metric_field)field->number) {
	case METRIC_NAME:
		metric->name = *field;
		break;
	case METRIC_ALIAS:
		metric->alias = field->number_value;
		break;
	case METRIC_TIMESTAMP:
		metric->timestamp_ms = field->number_value;
		break;
	case METRIC_DATATYPE:
		metric->datatype = (uint32_t)field->number_value;
		break;
	case METRIC_HISTORICAL:
		metric->historical = field->number_value != 0;
		break;
	case METRIC_TRANSIENT:
		metric->transient = field->number_value != 0;
		break;
	case METRIC_NULL:
		metric->null = field->number_value != 0;
		break;
	default:
		if (field->number < METRIC_INT || field->number > METRIC_TEMPLATE)
			return; /* metadata, properties, extensions */
		metric->value = *field;
	}
	metric->has |= UINT32_C(1) << field->number;
}

static bool
read_metric(struct cursor in, struct metric *out)
{
	struct pb_field field;

	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < FIELDS_READ_MAX && next_field(&in, &field); i++)
		keep_field(out, &field);
	return !in.short_read;
}

/* Each value's field, the wire type it must have, and the presence bit of its kind. */
static const struct {
	uint8_t number;
	uint8_t wire;
	uint8_t bit;
} values[] = {
	{ METRIC_INT, WIRE_VARINT, METRIC_HAS_UNSIGNED },
	{ METRIC_LONG, WIRE_VARINT, METRIC_HAS_UNSIGNED },
	{ METRIC_FLOAT, WIRE_FIXED32, METRIC_HAS_FLOAT },
	{ METRIC_DOUBLE, WIRE_FIXED64, METRIC_HAS_DOUBLE },
	{ METRIC_BOOLEAN, WIRE_VARINT, METRIC_HAS_BOOLEAN },
	{ METRIC_STRING, WIRE_BYTES, METRIC_HAS_TEXT },
	{ METRIC_BYTES, WIRE_BYTES, METRIC_HAS_BYTES },
	{ METRIC_DATASET, WIRE_BYTES, METRIC_HAS_BYTES },
	{ METRIC_TEMPLATE, WIRE_BYTES, METRIC_HAS_BYTES },
};

/* An integer's sign is its datatype's: small ones travel as their two's complement in 32 bits. */
static uint8_t
put_integer(struct sparkplug_metric *out, const struct metric *metric)
{
	uint64_t raw = metric->value.number_value;

	if (out->datatype == TYPE_DATETIME) {
		out->value.u64 = raw > UINT64_MAX / 1000000 ? UINT64_MAX : raw * 1000000;
		return METRIC_HAS_TIME;
	}
	if (out->datatype < TYPE_INT8 || out->datatype > TYPE_INT64) {
		out->value.u64 = raw;
		return METRIC_HAS_UNSIGNED;
	}
	out->value.i64 = out->datatype == TYPE_INT8 ? (int8_t)raw
		: out->datatype == TYPE_INT16       ? (int16_t)raw
		: out->datatype == TYPE_INT32       ? (int32_t)raw
						    : (int64_t)raw;
	return METRIC_HAS_SIGNED;
}

static void
put_value(struct record_builder *b, struct sparkplug_metric *out, const struct metric *metric)
{
	uint32_t bits;

	for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint8_t bit = values[i].bit;

		if (values[i].number != metric->value.number || values[i].wire != metric->value.wire)
			continue;
		if (bit == METRIC_HAS_UNSIGNED)
			bit = put_integer(out, metric);
		else if (bit == METRIC_HAS_BOOLEAN)
			out->value.flag = metric->value.number_value != 0;
		else if (bit == METRIC_HAS_DOUBLE)
			memcpy(&out->value.f64, &metric->value.number_value, sizeof(out->value.f64));
		else if (bit == METRIC_HAS_FLOAT) {
			bits = (uint32_t)metric->value.number_value;
			memcpy(&out->value.f32, &bits, sizeof(bits));
		} else if (metric->value.number == METRIC_BYTES &&
			sparkplug_array_read(b, out->datatype, &out->data, metric->value.bytes))
			bit = METRIC_HAS_ARRAY;
		else
			record_put_bytes(b, &out->data, metric->value.bytes.pos, bytes_len(&metric->value));
		record_present(&out->head, bit);
	}
}

static uint64_t
ns_of_ms(uint64_t ms)
{
	return ms > UINT64_MAX / 1000000 ? UINT64_MAX : ms * 1000000;
}

/* The name and type that the last birth gave an alias. */
static void
put_name(struct mqtt_pdu *pdu, struct sparkplug_metric *out, const struct metric *metric, uint32_t owner)
{
	struct record_builder *b = pdu->ctx->record;
	const struct sparkplug_alias *known;

	if (metric->has >> METRIC_NAME & 1) {
		record_put_bytes(b, &out->name, metric->name.bytes.pos, bytes_len(&metric->name));
		record_present(&out->head, METRIC_HAS_NAME);
		return;
	}
	known = metric->has >> METRIC_ALIAS & 1 ? sparkplug_alias_find(pdu->ctx->state, owner, metric->alias) : NULL;
	if (known == NULL)
		return;
	record_put_bytes(b, &out->name, known->name, known->name_len);
	record_present(&out->head, METRIC_HAS_NAME);
	if ((metric->has >> METRIC_DATATYPE & 1) == 0) {
		out->datatype = known->datatype;
		record_present(&out->head, METRIC_HAS_DATATYPE);
	}
}

static void
put_metric(struct mqtt_pdu *pdu, struct sparkplug *sparkplug, const struct metric *metric, uint32_t owner)
{
	struct sparkplug_metric *out = record_append(pdu->ctx->record, &sparkplug->metrics, sparkplug_metric_tables, 0);

	if (out == NULL)
		return;
	out->alias = metric->alias;
	out->timestamp_ns = ns_of_ms(metric->timestamp_ms);
	out->datatype = metric->datatype;
	out->is_historical = metric->historical;
	out->is_transient = metric->transient;
	out->is_null = metric->null;
	/* The presence bits follow the field numbers of name to is_null. */
	out->head.present |= (uint64_t)(metric->has >> METRIC_NAME & 0x7f) & ~UINT64_C(1);
	put_name(pdu, out, metric, owner);
	put_value(pdu->ctx->record, out, metric);
}

static void
read_metrics(struct mqtt_pdu *pdu, struct sparkplug *sparkplug, const struct pb_field *field, uint32_t owner)
{
	struct metric metric;

	if (!read_metric(field->bytes, &metric)) {
		proto_event(pdu->ctx, MQTT_EVENT_SPARKPLUG_MALFORMED);
		return;
	}
	if (pdu->for_rules) {
		counter_add(&pdu->ctx->counters[MQTT_COUNT_METRICS], 1);
		if ((metric.has >> METRIC_NAME & 1) != 0 && (metric.has >> METRIC_ALIAS & 1) != 0)
			sparkplug_alias_learn(pdu->ctx, owner, metric.alias, metric.datatype, metric.name.bytes.pos,
				bytes_len(&metric.name));
	}
	record_present(&sparkplug->head, SPARKPLUG_HAS_METRICS);
	if (sparkplug->metrics.count < SPARKPLUG_METRICS_MAX)
		put_metric(pdu, sparkplug, &metric, owner);
}

bool
sparkplug_payload_read(struct mqtt_pdu *pdu, struct sparkplug *sparkplug, struct cursor payload, uint32_t owner)
{
	struct pb_field field;

	for (unsigned int i = 0; i < FIELDS_READ_MAX && next_field(&payload, &field); i++) {
		if (field.number == PAYLOAD_METRICS && field.wire == WIRE_BYTES) {
			read_metrics(pdu, sparkplug, &field, owner);
		} else if (field.number == PAYLOAD_TIMESTAMP && field.wire == WIRE_VARINT) {
			sparkplug->timestamp_ns = ns_of_ms(field.number_value);
			record_present(&sparkplug->head, SPARKPLUG_HAS_TIMESTAMP);
		} else if (field.number == PAYLOAD_SEQ && field.wire == WIRE_VARINT) {
			sparkplug->seq = field.number_value;
			record_present(&sparkplug->head, SPARKPLUG_HAS_SEQ);
		} else if (field.number == PAYLOAD_UUID && field.wire == WIRE_BYTES) {
			record_put_bytes(pdu->ctx->record, &sparkplug->uuid, field.bytes.pos, bytes_len(&field));
			record_present(&sparkplug->head, SPARKPLUG_HAS_UUID);
		} else if (field.number == PAYLOAD_BODY && field.wire == WIRE_BYTES) {
			sparkplug->body_len = bytes_len(&field);
			record_present(&sparkplug->head, SPARKPLUG_HAS_BODY);
		}
	}
	return !payload.short_read;
}

/* ---- identities: what births say under names that the specification and usual libraries have ---- */

static const struct {
	const char *name;
	enum identity_bit what;
} identity_names[] = {
	{ "properties/hardware make", IDENTITY_VENDOR },
	{ "properties/manufacturer", IDENTITY_VENDOR },
	{ "properties/vendor", IDENTITY_VENDOR },
	{ "properties/hardware model", IDENTITY_MODEL },
	{ "properties/model", IDENTITY_MODEL },
	{ "properties/hardware version", IDENTITY_HARDWARE },
	{ "properties/product", IDENTITY_PRODUCT },
	{ "properties/os", IDENTITY_PRODUCT },
	{ "properties/serial number", IDENTITY_SERIAL },
	{ "properties/serial", IDENTITY_SERIAL },
	{ "properties/firmware version", IDENTITY_FIRMWARE },
	{ "properties/fw", IDENTITY_FIRMWARE },
	{ "properties/os version", IDENTITY_FIRMWARE },
	{ "properties/location", IDENTITY_LOCATION },
};

static void
identify_metric(struct record_builder *b, struct identity_record *record, const struct metric *metric)
{
	if ((metric->has >> METRIC_NAME & 1) == 0 || metric->value.number != METRIC_STRING || metric->value.wire != WIRE_BYTES)
		return;
	for (unsigned int i = 0; i < sizeof(identity_names) / sizeof(identity_names[0]); i++) {
		size_t len = strlen(identity_names[i].name);

		if (bytes_len(&metric->name) == len &&
			strncasecmp((const char *)metric->name.bytes.pos, identity_names[i].name, len) == 0 &&
			!record_is_present(record, (uint8_t)identity_names[i].what))
			identity_put(b, record, identity_names[i].what, metric->value.bytes.pos, bytes_len(&metric->value));
	}
}

/* "group/node" or "group/node/device". */
static void
put_address(struct record_builder *b, struct identity_record *record, const struct sparkplug_topic *topic)
{
	const struct cursor parts[] = { topic->group, topic->node, topic->device };
	char text[IDENTITY_ADDRESS_LEN_MAX];
	uint32_t at = 0;

	for (unsigned int i = 0; i < 3; i++) {
		size_t len = cursor_left(&parts[i]);

		if (len == 0 || at + len + 1 > sizeof(text))
			continue;
		if (at > 0)
			text[at++] = '/';
		memcpy(text + at, parts[i].pos, len);
		at += (uint32_t)len;
	}
	identity_put(b, record, IDENTITY_ADDRESS, text, at);
}

void
sparkplug_identify(struct proto_ctx *ctx, const struct sparkplug_topic *topic, struct cursor payload)
{
	static const char node_role[] = "Sparkplug edge node", device_role[] = "Sparkplug device";
	struct identity_record *record = record_begin(ctx->record, &identity_table);
	struct cursor name = topic->is_node ? topic->node : topic->device;
	struct metric metric;
	struct pb_field field;

	record->protocol = "mqtt";
	record->of_sender = true;
	for (unsigned int i = 0; i < FIELDS_READ_MAX && next_field(&payload, &field); i++)
		if (field.number == PAYLOAD_METRICS && field.wire == WIRE_BYTES && read_metric(field.bytes, &metric))
			identify_metric(ctx->record, record, &metric);
	identity_put(ctx->record, record, IDENTITY_NAME, name.pos, (uint32_t)cursor_left(&name));
	identity_put(ctx->record, record, IDENTITY_ROLE, topic->is_node ? node_role : device_role,
		topic->is_node ? sizeof(node_role) - 1 : sizeof(device_role) - 1);
	put_address(ctx->record, record, topic);
	proto_deliver(ctx, PROTO_IDENTITY, 0);
}
