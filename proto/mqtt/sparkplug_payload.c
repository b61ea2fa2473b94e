/* Sparkplug B payloads (SpB 6.4): their metrics, and who a birth says that it is. */
#include "proto/mqtt/sparkplug.h"

#include <strings.h>

#include "lib/base/inflate.h"

enum { IDENTITY_ADDRESS_LEN_MAX = 256, NS_PER_MS = 1000000 };

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
	METRIC_METADATA,
	METRIC_PROPERTIES,
	METRIC_INT,
	METRIC_STRING = 15,
	METRIC_BYTES,
	METRIC_DATASET,
	METRIC_TEMPLATE,
};

/* ---- one metric, as it stands in the payload ---- */

struct metric {
	struct sparkplug_field fields[METRIC_INT]; /* by their numbers; those that came alone hold anything */
	struct sparkplug_field value;
	uint32_t has; /* bits of the field numbers */
};

static bool
metric_has(const struct metric *metric, enum metric_field field)
{
	return (metric->has >> field & 1) != 0;
}

static bool
read_metric(struct cursor in, struct metric *out)
{
	struct sparkplug_field field;

	out->has = 0;
	out->value = (struct sparkplug_field){ 0 };
	for (unsigned int i = 0; i < SPARKPLUG_FIELDS_MAX && sparkplug_next(&in, &field); i++) {
		if (field.number > METRIC_TEMPLATE)
			continue; /* extensions */
		*(field.number < METRIC_INT ? &out->fields[field.number] : &out->value) = field;
		out->has |= UINT32_C(1) << field.number;
	}
	return !in.short_read;
}

static uint32_t
datatype_of(const struct metric *metric)
{
	return metric_has(metric, METRIC_DATATYPE) ? (uint32_t)metric->fields[METRIC_DATATYPE].value : 0;
}

static uint64_t
ns_of_ms(uint64_t ms)
{
	return ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : ms * NS_PER_MS;
}

/* What stands for a value: a data set, a template, an array's elements. @return its presence bit; METRIC_HAS_BYTES: none of these */
static uint8_t
put_compound(struct mqtt_pdu *pdu, struct sparkplug_metric *out, const struct sparkplug_field *value, const struct sparkplug_place *place)
{
	if (value->number == METRIC_DATASET && sparkplug_data_set_read(pdu->ctx->record, &out->compound, value->bytes))
		return METRIC_HAS_DATA_SET;
	if (value->number == METRIC_TEMPLATE && sparkplug_template_read(pdu, out, value->bytes, place))
		return METRIC_HAS_TEMPLATE;
	if (value->number == METRIC_BYTES && sparkplug_array_read(pdu->ctx->record, out->datatype, &out->data, value->bytes))
		return METRIC_HAS_ARRAY;
	if (value->number >= METRIC_DATASET && place->depth < SPARKPLUG_DEPTH_MAX && !pdu->ctx->record->truncated)
		proto_event(pdu->ctx, MQTT_EVENT_SPARKPLUG_MALFORMED);
	return METRIC_HAS_BYTES;
}

static void
put_value(struct mqtt_pdu *pdu, struct sparkplug_metric *out, const struct sparkplug_field *value, const struct sparkplug_place *place)
{
	static const uint8_t bits[] = { [SCALAR_BOOL] = METRIC_HAS_BOOLEAN, [SCALAR_U64] = METRIC_HAS_UNSIGNED, [SCALAR_I64] = METRIC_HAS_SIGNED,
		[SCALAR_F32] = METRIC_HAS_FLOAT, [SCALAR_F64] = METRIC_HAS_DOUBLE, [SCALAR_TIME] = METRIC_HAS_TIME,
		[SCALAR_STRING] = METRIC_HAS_TEXT };
	struct record_scalar scalar;
	uint8_t bit;

	if (value->number >= METRIC_BYTES) {
		if (value->wire != WIRE_BYTES)
			return;
		bit = put_compound(pdu, out, value, place);
		if (bit == METRIC_HAS_BYTES)
			sparkplug_put_bytes(pdu->ctx->record, &out->data, value);
		record_present(&out->head, bit);
		return;
	}
	scalar = sparkplug_scalar(pdu->ctx->record, value->number - METRIC_INT, value, out->datatype);
	if (scalar.kind == SCALAR_NULL)
		return;
	if (scalar.kind == SCALAR_STRING)
		out->data = scalar.bytes;
	else
		out->value.u64 = scalar.u64;
	record_present(&out->head, bits[scalar.kind]);
}

/* The name and type that the last birth gave an alias. */
static void
put_name(struct mqtt_pdu *pdu, struct sparkplug_metric *out, const struct metric *metric, uint32_t owner)
{
	struct record_builder *b = pdu->ctx->record;
	const struct sparkplug_alias *known;

	if (metric_has(metric, METRIC_NAME)) {
		sparkplug_put_bytes(b, &out->name, &metric->fields[METRIC_NAME]);
		record_present(&out->head, METRIC_HAS_NAME);
		return;
	}
	known = metric_has(metric, METRIC_ALIAS) ? sparkplug_alias_find(pdu->ctx->state, owner, metric->fields[METRIC_ALIAS].value) : NULL;
	if (known == NULL)
		return;
	record_put_bytes(b, &out->name, known->name, known->name_len);
	record_present(&out->head, METRIC_HAS_NAME);
	if (!metric_has(metric, METRIC_DATATYPE)) {
		out->datatype = known->datatype;
		record_present(&out->head, METRIC_HAS_DATATYPE);
	}
}

/* What is said of a metric beside its value. */
static void
put_about(struct mqtt_pdu *pdu, struct sparkplug_metric *out, const struct metric *metric)
{
	struct record_builder *b = pdu->ctx->record;

	if (metric_has(metric, METRIC_METADATA)) {
		if (sparkplug_metadata_read(b, &out->metadata, metric->fields[METRIC_METADATA].bytes))
			record_present(&out->head, METRIC_HAS_METADATA);
		else
			proto_event(pdu->ctx, MQTT_EVENT_SPARKPLUG_MALFORMED);
	}
	if (metric_has(metric, METRIC_PROPERTIES)) {
		if (sparkplug_properties_read(b, &out->properties, metric->fields[METRIC_PROPERTIES].bytes))
			record_present(&out->head, METRIC_HAS_PROPERTIES);
		else
			proto_event(pdu->ctx, MQTT_EVENT_SPARKPLUG_MALFORMED);
	}
}

static void
put_metric(struct mqtt_pdu *pdu, const struct metric *metric, const struct sparkplug_place *place)
{
	struct sparkplug_metric *out = record_append(pdu->ctx->record, place->metrics, place->tables, 0);

	if (out == NULL)
		return;
	out->datatype = datatype_of(metric);
	out->alias = metric_has(metric, METRIC_ALIAS) ? metric->fields[METRIC_ALIAS].value : 0;
	out->timestamp_ns = metric_has(metric, METRIC_TIMESTAMP) ? ns_of_ms(metric->fields[METRIC_TIMESTAMP].value) : 0;
	out->is_historical = metric_has(metric, METRIC_HISTORICAL) && metric->fields[METRIC_HISTORICAL].value != 0;
	out->is_transient = metric_has(metric, METRIC_TRANSIENT) && metric->fields[METRIC_TRANSIENT].value != 0;
	out->is_null = metric_has(metric, METRIC_NULL) && metric->fields[METRIC_NULL].value != 0;
	/* The presence bits follow the field numbers of name to is_null. */
	out->head.present |= (uint64_t)(metric->has >> METRIC_NAME & 0x7f) & ~UINT64_C(1);
	if (place->within_len > 0) {
		record_put_bytes(pdu->ctx->record, &out->within, place->within, place->within_len);
		record_present(&out->head, METRIC_HAS_WITHIN);
	}
	put_name(pdu, out, metric, place->owner);
	put_about(pdu, out, metric);
	if (metric->value.number != 0)
		put_value(pdu, out, &metric->value, place);
}

bool
sparkplug_metric_read(struct mqtt_pdu *pdu, struct cursor in, const struct sparkplug_place *place)
{
	struct metric metric;

	if (!read_metric(in, &metric))
		return false;
	if (pdu->for_rules && place->depth == 0) {
		counter_add(&pdu->ctx->counters[MQTT_COUNT_METRICS], 1);
		if (metric_has(&metric, METRIC_NAME) && metric_has(&metric, METRIC_ALIAS))
			sparkplug_alias_learn(pdu->ctx, place->owner, metric.fields[METRIC_ALIAS].value, datatype_of(&metric),
				metric.fields[METRIC_NAME].bytes.pos, (uint32_t)cursor_left(&metric.fields[METRIC_NAME].bytes));
	}
	if (place->metrics->count < SPARKPLUG_METRICS_MAX)
		put_metric(pdu, &metric, place);
	return true;
}

/* ---- a payload ---- */

static bool
read_fields(struct mqtt_pdu *pdu, struct sparkplug *sparkplug, struct cursor payload, uint32_t owner)
{
	struct sparkplug_place place = { .metrics = &sparkplug->metrics, .tables = sparkplug_metric_tables, .owner = owner };
	struct sparkplug_field field;

	for (unsigned int i = 0; i < SPARKPLUG_FIELDS_MAX && sparkplug_next(&payload, &field); i++) {
		if (field.number == PAYLOAD_METRICS && field.wire == WIRE_BYTES) {
			if (sparkplug_metric_read(pdu, field.bytes, &place))
				record_present(&sparkplug->head, SPARKPLUG_HAS_METRICS);
			else
				proto_event(pdu->ctx, MQTT_EVENT_SPARKPLUG_MALFORMED);
		} else if (field.number == PAYLOAD_TIMESTAMP && field.wire == WIRE_VARINT) {
			sparkplug->timestamp_ns = ns_of_ms(field.value);
			record_present(&sparkplug->head, SPARKPLUG_HAS_TIMESTAMP);
		} else if (field.number == PAYLOAD_SEQ && field.wire == WIRE_VARINT) {
			sparkplug->seq = field.value;
			record_present(&sparkplug->head, SPARKPLUG_HAS_SEQ);
		} else if (field.number == PAYLOAD_UUID && field.wire == WIRE_BYTES) {
			sparkplug_put_bytes(pdu->ctx->record, &sparkplug->uuid, &field);
			record_present(&sparkplug->head, SPARKPLUG_HAS_UUID);
		} else if (field.number == PAYLOAD_BODY && field.wire == WIRE_BYTES) {
			sparkplug->body_len = (uint32_t)cursor_left(&field.bytes);
			record_present(&sparkplug->head, SPARKPLUG_HAS_BODY);
		}
	}
	return !payload.short_read;
}

/* The body of a payload that says of itself that it is compressed; else empty. */
static struct cursor
packed_body(struct cursor payload)
{
	static const char packed_uuid[] = "SPBV1.0_COMPRESSED";
	struct cursor body = { 0 };
	struct sparkplug_field field;
	bool packed = false;

	for (unsigned int i = 0; i < SPARKPLUG_FIELDS_MAX && sparkplug_next(&payload, &field); i++) {
		if (field.number == PAYLOAD_UUID && cursor_left(&field.bytes) == sizeof(packed_uuid) - 1)
			packed = memcmp(field.bytes.pos, packed_uuid, sizeof(packed_uuid) - 1) == 0;
		else if (field.number == PAYLOAD_BODY)
			body = field.bytes;
	}
	return packed ? body : (struct cursor){ 0 };
}

/* What a compressed payload holds (Eclipse Tahu's form: zlib or gzip in the body). *room is a block of SPARKPLUG_UNPACKED_MAX
 * bytes of the slab, which the caller frees; NULL: it is none, or there is no memory. @param is_cut out: it holds more than
 * that. @return the payload, as far as it can be unpacked; short where it is damaged */
static struct cursor
unpack(struct proto_ctx *ctx, struct cursor payload, uint8_t **room, bool *is_cut)
{
	struct cursor body = packed_body(payload), out = { 0 };
	struct inflate_area *area;
	struct inflated done;

	*room = NULL;
	*is_cut = false;
	if (cursor_left(&body) == 0)
		return out;
	area = slab_alloc(ctx->slab, sizeof(*area));
	*room = slab_alloc(ctx->slab, SPARKPLUG_UNPACKED_MAX);
	if (area != NULL && *room != NULL) {
		done = inflate_once(area, INFLATE_ZLIB_OR_GZIP, body.pos, (uint32_t)cursor_left(&body), *room, SPARKPLUG_UNPACKED_MAX);
		out = cursor_of(*room, done.len);
		out.short_read = done.failed;
		*is_cut = !done.failed && !done.ended && done.len == SPARKPLUG_UNPACKED_MAX;
	} else {
		counter_add(&ctx->counters[MQTT_COUNT_SHED], 1);
		slab_free(ctx->slab, *room, SPARKPLUG_UNPACKED_MAX);
		*room = NULL;
	}
	slab_free(ctx->slab, area, sizeof(*area));
	return out;
}

bool
sparkplug_payload_read(struct mqtt_pdu *pdu, struct sparkplug *sparkplug, struct cursor payload, uint32_t owner)
{
	const uint64_t both = UINT64_C(1) << SPARKPLUG_HAS_UUID | UINT64_C(1) << SPARKPLUG_HAS_BODY;
	struct cursor unpacked;
	uint8_t *room;
	bool is_cut, whole = read_fields(pdu, sparkplug, payload, owner);

	if (!whole || (sparkplug->head.present & both) != both)
		return whole;
	unpacked = unpack(pdu->ctx, payload, &room, &is_cut);
	if (room == NULL)
		return true;
	whole = !unpacked.short_read && read_fields(pdu, sparkplug, unpacked, owner);
	slab_free(pdu->ctx->slab, room, SPARKPLUG_UNPACKED_MAX);
	if (is_cut && pdu->for_rules)
		counter_add(&pdu->ctx->counters[MQTT_COUNT_UNPACKED_CUT], 1);
	return whole || is_cut; /* a field that the bound cuts is none of the sender's faults */
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
	const struct cursor *said = &metric->fields[METRIC_NAME].bytes, *value = &metric->value.bytes;

	if (!metric_has(metric, METRIC_NAME) || metric->value.number != METRIC_STRING || metric->value.wire != WIRE_BYTES)
		return;
	for (unsigned int i = 0; i < sizeof(identity_names) / sizeof(identity_names[0]); i++) {
		size_t len = strlen(identity_names[i].name);

		if (cursor_left(said) == len && strncasecmp((const char *)said->pos, identity_names[i].name, len) == 0 &&
			!record_is_present(record, (uint8_t)identity_names[i].what))
			identity_put(b, record, identity_names[i].what, value->pos, (uint32_t)cursor_left(value));
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

static void
identify_metrics(struct record_builder *b, struct identity_record *record, struct cursor payload)
{
	struct metric metric;
	struct sparkplug_field field;

	for (unsigned int i = 0; i < SPARKPLUG_FIELDS_MAX && sparkplug_next(&payload, &field); i++)
		if (field.number == PAYLOAD_METRICS && field.wire == WIRE_BYTES && read_metric(field.bytes, &metric))
			identify_metric(b, record, &metric);
}

void
sparkplug_identify(struct proto_ctx *ctx, const struct sparkplug_topic *topic, struct cursor payload)
{
	static const char node_role[] = "Sparkplug edge node", device_role[] = "Sparkplug device";
	struct identity_record *record = record_begin(ctx->record, &identity_table);
	struct cursor name = topic->is_node ? topic->node : topic->device, unpacked;
	uint8_t *room;
	bool is_cut;

	record->protocol = "mqtt";
	record->of_sender = true;
	identify_metrics(ctx->record, record, payload);
	unpacked = unpack(ctx, payload, &room, &is_cut);
	identify_metrics(ctx->record, record, unpacked);
	slab_free(ctx->slab, room, SPARKPLUG_UNPACKED_MAX);
	identity_put(ctx->record, record, IDENTITY_NAME, name.pos, (uint32_t)cursor_left(&name));
	identity_put(ctx->record, record, IDENTITY_ROLE, topic->is_node ? node_role : device_role,
		topic->is_node ? sizeof(node_role) - 1 : sizeof(device_role) - 1);
	put_address(ctx->record, record, topic);
	proto_deliver(ctx, PROTO_IDENTITY, 0);
}
