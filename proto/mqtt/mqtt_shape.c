/* What the first bytes of a control packet look like: for framing, recognition and finding the way again. */
#include "proto/mqtt/mqtt.h"

enum {
	TOPIC_LOOK_LEN_MAX = 64, /* bytes of a topic that are looked at */
	TOPIC_STRONG_LEN = 3,    /* a shorter topic could be chance */
	REASON_FIRST = 0x80,     /* reason codes of failures, V5 2.4 */
	REASON_LAST = 0xa2,
	VARINT_LEN_MAX = 4,
};

typedef enum mqtt_fit (*shape_look)(struct cursor body, const struct mqtt_header *header);

uint32_t
mqtt_take_varint(struct cursor *in)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < VARINT_LEN_MAX; i++) {
		uint8_t byte = cursor_u8(in);

		value |= (uint32_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0)
			return value;
	}
	in->short_read = true;
	return 0;
}

/* Text as far as it is here: UTF-8 has no control characters but those that a topic seldom has. */
static enum mqtt_fit
look_topic(struct cursor body, uint32_t room)
{
	uint16_t topic_len = cursor_be16(&body);
	size_t look_len;

	if (body.short_read)
		return MQTT_FIT_MORE;
	if (topic_len > room)
		return MQTT_FIT_NO;
	look_len = topic_len < TOPIC_LOOK_LEN_MAX ? topic_len : TOPIC_LOOK_LEN_MAX;
	if (look_len > cursor_left(&body))
		look_len = cursor_left(&body);
	for (size_t i = 0; i < look_len; i++) {
		uint8_t byte = cursor_u8(&body);

		if (byte < 0x20 || byte == 0x7f || byte == 0xff || byte == 0xc0 || byte == 0xc1)
			return MQTT_FIT_NO;
	}
	if (look_len < topic_len && look_len < TOPIC_LOOK_LEN_MAX)
		return MQTT_FIT_MORE;
	return topic_len >= TOPIC_STRONG_LEN ? MQTT_FIT_STRONG : MQTT_FIT_WEAK;
}

static enum mqtt_fit
look_publish(struct cursor body, const struct mqtt_header *header)
{
	uint32_t fixed_len = (header->flags >> 1 & 3) != 0 ? 4 : 2;

	return header->remaining_len < fixed_len ? MQTT_FIT_NO : look_topic(body, header->remaining_len - fixed_len);
}

/* Type 0 is nobody's: only what looks like a message otherwise is worth a name. */
static enum mqtt_fit
look_unassigned(struct cursor body, const struct mqtt_header *header)
{
	enum mqtt_fit fit = look_publish(body, header);

	return fit == MQTT_FIT_STRONG ? MQTT_FIT_WEAK : fit == MQTT_FIT_MORE ? fit : MQTT_FIT_NO;
}

static enum mqtt_fit
look_connect(struct cursor body, const struct mqtt_header *header)
{
	static const char name[] = "MQTT", old_name[] = "MQIsdp";
	uint16_t name_len = cursor_be16(&body);
	const char *want = name_len == sizeof(name) - 1 ? name : old_name;

	(void)header;
	if (body.short_read)
		return MQTT_FIT_MORE;
	if (name_len != sizeof(name) - 1 && name_len != sizeof(old_name) - 1)
		return MQTT_FIT_NO;
	for (unsigned int i = 0; i < name_len && cursor_left(&body) > 0; i++)
		if (cursor_u8(&body) != (uint8_t)want[i])
			return MQTT_FIT_NO;
	return cursor_left(&body) > 0 ? MQTT_FIT_STRONG : MQTT_FIT_MORE;
}

static enum mqtt_fit
look_connack(struct cursor body, const struct mqtt_header *header)
{
	uint8_t flags = cursor_u8(&body);
	uint8_t code = cursor_u8(&body);

	(void)header;
	if (body.short_read)
		return MQTT_FIT_MORE;
	return flags <= 1 && (code <= 5 || (code >= REASON_FIRST && code <= REASON_LAST)) ? MQTT_FIT_WEAK : MQTT_FIT_NO;
}

/* 16 and 17 say that nobody listens, 24 and 25 are of authentication, 4 of a disconnection with will. */
static bool
is_reason(uint8_t code)
{
	return code == 0 || code == 4 || code == 16 || code == 17 || code == 24 || code == 25 ||
		(code >= REASON_FIRST && code <= REASON_LAST);
}

static enum mqtt_fit
look_ack(struct cursor body, const struct mqtt_header *header)
{
	uint8_t code;

	if (header->remaining_len == 2)
		return MQTT_FIT_WEAK;
	cursor_skip(&body, 2);
	code = cursor_u8(&body);
	if (body.short_read)
		return MQTT_FIT_MORE;
	return is_reason(code) ? MQTT_FIT_WEAK : MQTT_FIT_NO;
}

/* The filter stands behind the id and, from 5.0 on, behind properties. */
static enum mqtt_fit
look_filters(struct cursor body, const struct mqtt_header *header)
{
	struct cursor old = body;
	enum mqtt_fit fit;

	cursor_skip(&old, 2);
	fit = look_topic(old, header->remaining_len - 4);
	if (fit != MQTT_FIT_NO && fit != MQTT_FIT_WEAK)
		return fit;
	cursor_skip(&body, 2);
	cursor_skip(&body, mqtt_take_varint(&body));
	if (body.short_read)
		return MQTT_FIT_WEAK;
	fit = look_topic(body, header->remaining_len);
	return fit == MQTT_FIT_STRONG ? fit : MQTT_FIT_WEAK;
}

static enum mqtt_fit
look_suback(struct cursor body, const struct mqtt_header *header)
{
	uint8_t code;

	cursor_skip(&body, 2);
	code = cursor_u8(&body);
	if (body.short_read)
		return MQTT_FIT_MORE;
	return header->remaining_len > 3 || code <= 2 || (code >= REASON_FIRST && code <= REASON_LAST) ? MQTT_FIT_WEAK
												       : MQTT_FIT_NO;
}

static enum mqtt_fit
look_end(struct cursor body, const struct mqtt_header *header)
{
	uint8_t code = cursor_u8(&body);

	if (header->remaining_len == 0)
		return MQTT_FIT_WEAK;
	return body.short_read ? MQTT_FIT_MORE : is_reason(code) ? MQTT_FIT_WEAK : MQTT_FIT_NO;
}

static enum mqtt_fit
look_nothing(struct cursor body, const struct mqtt_header *header)
{
	(void)body;
	(void)header;
	return MQTT_FIT_WEAK;
}

/* V5 2.1.3. V3.1 has DUP and QoS in the flags of more types: these are let pass. */
static const struct {
	shape_look look;
	uint32_t remaining_min;
	uint32_t remaining_max;
	uint8_t flags_fixed; /* flags that must be 0 */
} shapes[MQTT_TYPE_COUNT] = {
	[MQTT_UNASSIGNED] = { look_unassigned, 4, 1 << 16, 0x0f },
	[MQTT_CONNECT] = { look_connect, 12, 1 << 20, 0x0f },
	[MQTT_CONNACK] = { look_connack, 2, 1 << 17, 0x0f },
	[MQTT_PUBLISH] = { look_publish, 2, UINT32_MAX, 0 },
	[MQTT_PUBACK] = { look_ack, 2, 1 << 17, 0x0f },
	[MQTT_PUBREC] = { look_ack, 2, 1 << 17, 0x0f },
	[MQTT_PUBREL] = { look_ack, 2, 1 << 17, 0x01 },
	[MQTT_PUBCOMP] = { look_ack, 2, 1 << 17, 0x0f },
	[MQTT_SUBSCRIBE] = { look_filters, 5, 1 << 24, 0x01 },
	[MQTT_SUBACK] = { look_suback, 3, 1 << 20, 0x0f },
	[MQTT_UNSUBSCRIBE] = { look_filters, 4, 1 << 24, 0x01 },
	[MQTT_UNSUBACK] = { look_nothing, 2, 1 << 20, 0x0f },
	[MQTT_PINGREQ] = { look_nothing, 0, 0, 0x0f },
	[MQTT_PINGRESP] = { look_nothing, 0, 0, 0x0f },
	[MQTT_DISCONNECT] = { look_end, 0, 1 << 17, 0x0f },
	[MQTT_AUTH] = { look_end, 0, 1 << 17, 0x0f },
};

enum mqtt_fit
mqtt_shape_fit(struct cursor *in, struct mqtt_header *header)
{
	size_t len = cursor_left(in);
	uint8_t first = cursor_u8(in);

	header->type = first >> 4;
	header->flags = first & 0x0f;
	if (in->short_read)
		return MQTT_FIT_MORE;
	if ((header->flags & shapes[header->type].flags_fixed) != 0)
		return MQTT_FIT_NO;
	header->remaining_len = mqtt_take_varint(in);
	if (in->short_read)
		return len < MQTT_HEADER_LEN_MAX ? MQTT_FIT_MORE : MQTT_FIT_NO;
	header->header_len = (uint32_t)(len - cursor_left(in));
	if (header->remaining_len < shapes[header->type].remaining_min ||
		header->remaining_len > shapes[header->type].remaining_max)
		return MQTT_FIT_NO;
	return shapes[header->type].look(*in, header);
}
