/* Notifications: what a device sends to a subscription, whenever something changes or a time is over. */
#include "proto/s7comm_plus/s7comm_plus.h"

enum {
	KIND_ITEMS = 0x0400,
	SUBSCRIPTION_NEW = 0x70000000, /* ids of newer devices; older ones count in one octet, and give no credit */
	TIME_LEN_REST = 7,             /* of eight octets, the first of which was read */
	NS_PER_US = 1000,

	NOTIFY_END = 0x00,
	NOTIFY_FAILED_OLD = 0x03,
	NOTIFY_FAILED = 0x13,
	NOTIFY_OBJECT = 0x81,
	NOTIFY_VALUE_BARE = 0x83,
	NOTIFY_VALUE = 0x92,
	NOTIFY_VALUE_VLQ = 0x9b,
	NOTIFY_REFERENCE = 0x9c,
};

/* Newer devices give their time, in microseconds of eight octets, where older ones have a count that is never 0. */
static void
read_changes(struct s7p_message *message)
{
	struct s7p_record *record = message->record;
	struct cursor *in = &message->body;
	uint64_t us = 0;

	record->change_count = cursor_u8(in);
	if (record->change_count != 0)
		return;
	for (unsigned int i = 0; i < TIME_LEN_REST; i++)
		us = us << 8 | cursor_u8(in);
	record->notified_ns = us < UINT64_MAX / NS_PER_US ? us * NS_PER_US : 0;
	s7p_has(message, S7P_HAS_NOTIFIED_AT);
	record->change_count = cursor_u8(in);
}

/* Version 1 has no numbers; its items stand behind a second id, where there are some. */
static bool
read_head_1(struct s7p_message *message)
{
	struct cursor *in = &message->body;
	uint32_t second;

	cursor_skip(in, 4);
	second = cursor_be32(in);
	cursor_skip(in, second == 0 ? 0 : 2);
	return second != 0;
}

static bool
read_head(struct s7p_message *message)
{
	struct s7p_record *record = message->record;
	struct cursor *in = &message->body;
	uint16_t kind = cursor_be16(in);

	if (kind != KIND_ITEMS)
		return false;
	cursor_skip(in, 4);
	if (record->subscription_id < SUBSCRIPTION_NEW) {
		record->notification_sequence = cursor_u8(in);
		record->change_count = cursor_u8(in);
	} else {
		record->credit = cursor_u8(in);
		s7p_has(message, S7P_HAS_CREDIT);
		record->notification_sequence = s7p_vlq32(in);
		read_changes(message);
	}
	s7p_has(message, S7P_HAS_SUBSCRIPTION);
	return true;
}

bool
s7p_read_notification(struct s7p_message *message)
{
	bool listed;

	message->record->subscription_id = cursor_be32(&message->body);
	s7p_has(message, S7P_HAS_SUBSCRIPTION_ID);
	listed = message->version == S7P_V1 ? read_head_1(message) : read_head(message);
	if (!message->body.short_read)
		return listed;
	proto_event(message->ctx, S7P_EVENT_INVALID_LENGTH);
	return false;
}

/* @return false: the list is over, or what follows cannot be read */
static bool
read_item(struct s7p_message *message)
{
	struct cursor *in = &message->body;
	uint8_t tag = cursor_u8(in);
	uint32_t id;

	switch (tag) {
	case NOTIFY_VALUE:
		id = cursor_be32(in);
		return s7p_read_value(message, in, id, 0);
	case NOTIFY_VALUE_VLQ:
		id = s7p_vlq32(in);
		return s7p_read_value(message, in, id, 0);
	case NOTIFY_VALUE_BARE:
		return s7p_read_value(message, in, 0, 0);
	case NOTIFY_OBJECT:
		s7p_read_objects(message, in);
		return !in->short_read;
	case NOTIFY_FAILED:
	case NOTIFY_FAILED_OLD:
	case NOTIFY_REFERENCE:
		id = cursor_be32(in);
		s7p_append_error(message, id, tag);
		return !in->short_read;
	case NOTIFY_END:
		return false;
	default:
		if (!in->short_read)
			proto_event(message->ctx, S7P_EVENT_INVALID_VALUE);
		return false;
	}
}

/* Behind the items an alarm: whose it is, and an object. What else stands there is no such thing. */
static void
read_alarm(struct s7p_message *message)
{
	struct cursor in = message->body, object;
	uint8_t tag;

	cursor_skip(&in, 6);
	tag = cursor_u8(&in);
	object = in;
	if (tag == NOTIFY_OBJECT && cursor_u8(&object) == S7P_TAG_OBJECT && !object.short_read) {
		s7p_read_objects(message, &in);
		message->body = in;
	}
}

void
s7p_read_notified(struct s7p_message *message)
{
	struct cursor *in = &message->body;

	message->numbered = true;
	for (unsigned int i = 0; i < S7P_VALUES_MAX && cursor_left(in) > 0; i++)
		if (!read_item(message))
			break;
	message->numbered = false;
	if (!in->short_read)
		read_alarm(message);
	if (in->short_read)
		proto_event(message->ctx, S7P_EVENT_INVALID_LENGTH);
}
