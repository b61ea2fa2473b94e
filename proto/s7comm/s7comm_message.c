/* What a CPU reports unasked, and who asked for it: the subscription, entries of the diagnostic buffer, alarms. */
#include "proto/s7comm/s7comm.h"

enum {
	SUBSCRIBE = 2,
	DIAGNOSTIC = 3,
	ALARM_QUERY = 0x13,
	USER_LEN = 8,
	SPECIFICATION = 0x12, /* what an alarm begins with, then a length and the form */
	FORM_LOCK = 0x15,
	FORM_INDICATION = 0x16,
	FORM_ACKNOWLEDGE = 0x19,
	FORM_NOTIFY = 0x1c,
	ASSOCIATED_MAX = 32,
	QUERY_HEAD_LEN = 4,
	QUERY_ENTRY_LEN = 10,
};

static void
read_subscription(struct s7_message *message, struct cursor *in)
{
	struct s7_record *record = message->record;
	uint32_t len = USER_LEN;
	const uint8_t *user;

	if (message->half->kind != S7_KIND_REQUEST || cursor_left(in) < 2 + USER_LEN) {
		s7_put_data(message, in);
		return;
	}
	record->message_events = cursor_u8(in);
	cursor_skip(in, 1);
	user = cursor_take(in, USER_LEN);
	while (len > 0 && (user[len - 1] == 0 || user[len - 1] == ' '))
		len--;
	record_put_bytes(message->ctx->record, &record->message_user, user, len);
	s7_has(message, S7_HAS_MESSAGES);
}

static struct s7_alarm *
append_alarm(struct s7_message *message)
{
	s7_has(message, S7_HAS_ALARMS);
	return record_append(message->ctx->record, &message->record->alarms, s7_alarm_tables, 0);
}

static void
alarm_has(struct s7_alarm *alarm, enum s7_alarm_bit bit)
{
	record_present(&alarm->head, (uint8_t)bit);
}

static void
read_acknowledged(struct s7_alarm *alarm, struct cursor *in)
{
	alarm->acknowledged_going = cursor_u8(in);
	alarm->acknowledged_coming = cursor_u8(in);
	if (!in->short_read)
		alarm_has(alarm, S7_ALARM_ACKNOWLEDGED);
}

/* Return code, type, length, bytes, each at an even place. */
static void
read_associated(struct s7_message *message, struct s7_alarm *alarm, struct cursor *in, unsigned int count)
{
	struct record_scalar *values;

	if (count == 0 || count > ASSOCIATED_MAX)
		return;
	values = record_reserve(message->ctx->record, &alarm->values, count, sizeof(*values));
	if (values == NULL)
		return;
	for (unsigned int i = 0; i < count; i++) {
		struct cursor data;
		uint32_t len;
		uint8_t transport;

		values[i] = (struct record_scalar){ .kind = SCALAR_NULL };
		cursor_skip(in, 1);
		data = s7_take_data(in, &transport, i + 1 < count);
		len = (uint32_t)cursor_left(&data);
		if (in->short_read || len == 0)
			continue;
		values[i].kind = SCALAR_HEX;
		record_put_bytes(message->ctx->record, &values[i].bytes, cursor_take(&data, len), len);
	}
	alarm_has(alarm, S7_ALARM_VALUES);
}

static void
read_alarm(struct s7_message *message, struct s7_alarm *alarm, struct cursor *in)
{
	unsigned int associated;
	uint8_t specification = cursor_u8(in), form;

	cursor_skip(in, 1);
	form = cursor_u8(in);
	if (specification != SPECIFICATION) {
		proto_event(message->ctx, S7_EVENT_INVALID_ITEM);
		return;
	}
	associated = cursor_u8(in);
	alarm->event_id = cursor_be32(in);
	alarm_has(alarm, S7_ALARM_EVENT_ID);
	if (form == FORM_INDICATION || form == FORM_NOTIFY) {
		alarm->signals = cursor_u8(in);
		cursor_skip(in, 1);
		alarm_has(alarm, S7_ALARM_SIGNALS);
		read_acknowledged(alarm, in);
		read_associated(message, alarm, in, associated);
	} else if (form == FORM_ACKNOWLEDGE) {
		read_acknowledged(alarm, in);
	}
}

/* Messages that tell begin with the time; function and count stand before the alarms of all of them. */
static void
read_alarms(struct s7_message *message, struct cursor *in, bool with_time)
{
	uint64_t time_ns = 0;
	bool timed = with_time && s7_read_clock(in, &time_ns);
	unsigned int count;

	cursor_skip(in, 1);
	count = cursor_u8(in);
	for (unsigned int i = 0; i < count && cursor_left(in) > 0; i++) {
		struct s7_alarm *alarm = append_alarm(message);

		if (alarm == NULL)
			return;
		if (timed) {
			alarm->time_ns = time_ns;
			alarm_has(alarm, S7_ALARM_TIME);
		}
		read_alarm(message, alarm, in);
	}
	if (in->short_read)
		proto_event(message->ctx, S7_EVENT_INVALID_LENGTH);
}

/* Those that stand, behind a head: a length that leaves two octets out, the kind, the event, its state; of ALARM_S values. */
static void
read_standing(struct s7_message *message, struct cursor *in)
{
	cursor_skip(in, 2 + QUERY_HEAD_LEN);
	while (cursor_left(in) > QUERY_ENTRY_LEN) {
		uint8_t len = cursor_u8(in);
		struct cursor entry = cursor_sub(in, len + 1u);
		struct s7_alarm *alarm;

		if (in->short_read || len < QUERY_ENTRY_LEN || (alarm = append_alarm(message)) == NULL)
			return;
		cursor_skip(&entry, 3);
		alarm->event_id = cursor_be32(&entry);
		cursor_skip(&entry, 1);
		alarm->signals = cursor_u8(&entry);
		alarm_has(alarm, S7_ALARM_EVENT_ID);
		alarm_has(alarm, S7_ALARM_SIGNALS);
		read_acknowledged(alarm, &entry);
	}
}

void
s7_read_messages(struct s7_message *message, struct cursor *in)
{
	struct cursor whole = *in;

	switch (s7_is_part(message) ? 0 : message->record->subfunction) {
	case SUBSCRIBE:
		read_subscription(message, in);
		return;
	case DIAGNOSTIC:
		s7_read_diagnostic(message, in);
		return;
	case 0x05: /* ALARM_8, NOTIFY, ALARM_SQ, ALARM_S, NOTIFY_8 */
	case 0x06:
	case 0x11:
	case 0x12:
	case 0x16:
		read_alarms(message, in, true);
		break;
	case 0x0b:
		if (message->half->kind == S7_KIND_REQUEST)
			read_alarms(message, in, false);
		break;
	case 0x07: /* lock, unlock, each also told to others; an acknowledgement told to others */
	case 0x08:
	case 0x0c:
	case 0x0d:
	case 0x0e:
		if (message->half->kind != S7_KIND_RESPONSE)
			read_alarms(message, in, false);
		break;
	case ALARM_QUERY:
		if (message->half->kind == S7_KIND_RESPONSE)
			read_standing(message, in);
		break;
	default:
		break;
	}
	/* What these tables leave out. */
	s7_put_data(message, &whole);
}
