/* Userdata: status lists, blocks, clock, password, cyclic variables; a request, a response or unasked. */
#include "proto/s7comm/s7comm.h"

enum {
	LONG_LENGTH = 8, /* parameters that have an error code */
	PASSWORD_LEN = 8,
	PASSWORD_KEY = 0x55,
	INTERVAL_BASES = 3,
	CYCLIC_TRANSFER = 1,
	CYCLIC_UNSUBSCRIBE = 4,
	CYCLIC_CHANGES = 5,
	CYCLIC_MODIFY = 7,
	CLOCK_LENGTH = 10,
	NO_DATA = 0x0a, /* return code, with transport size and length 0 */
};

/* A request has zeros there, unless it comes in several messages itself. */
static void
read_long_head(struct s7_message *message, struct cursor *in)
{
	struct s7_record *record = message->record;

	record->data_unit = cursor_u8(in);
	record->last_data_unit = cursor_u8(in);
	record->error_key = cursor_be16(in);
	record->error_code = record->error_key;
	record->error_class = (uint8_t)(record->error_key >> 8);
	if (in->short_read)
		return;
	if (record->data_unit != 0 || !s7_asks(message))
		s7_has(message, S7_HAS_DATA_UNIT);
	if (!s7_asks(message))
		s7_has(message, S7_HAS_ERROR);
}

/* Head of three octets, length, method, kind and group, sub-function, sequence; then unit, last unit, error. */
void
s7_read_userdata_head(struct s7_message *message)
{
	struct s7_record *record = message->record;
	struct cursor *in = &message->parameters;
	uint8_t length;

	cursor_skip(in, 3);
	length = cursor_u8(in);
	cursor_skip(in, 1);
	message->half->function = cursor_u8(in);
	message->half->kind = message->half->function >> 4;
	message->half->function_key = (uint16_t)(S7_USERDATA << 8 | message->half->function);
	record->subfunction = cursor_u8(in);
	record->subfunction_key = (uint16_t)((message->half->function & 0x0f) << 8 | record->subfunction);
	record->sequence = cursor_u8(in);
	if (in->short_read) {
		proto_event(message->ctx, S7_EVENT_INVALID_LENGTH);
		return;
	}
	s7_has(message, message->response && message->answers ? S7_HAS_RESPONSE_FUNCTION : S7_HAS_FUNCTION);
	s7_has(message, S7_HAS_SUBFUNCTION);
	s7_has(message, S7_HAS_USERDATA);
	if (record->sequence != 0 || !s7_asks(message))
		s7_has(message, S7_HAS_SEQUENCE);
	if (length >= LONG_LENGTH)
		read_long_head(message, in);
}

/* Two octets of which the second is the century, then the clock. */
static void
read_time(struct s7_message *message, struct cursor *in)
{
	if (cursor_left(in) == 0)
		return;
	if (cursor_left(in) < CLOCK_LENGTH) {
		proto_event(message->ctx, S7_EVENT_INVALID_LENGTH);
		return;
	}
	cursor_skip(in, 2);
	if (s7_read_clock(in, &message->record->clock_ns))
		s7_has(message, S7_HAS_CLOCK);
	else
		proto_event(message->ctx, S7_EVENT_INVALID_VALUE);
}

/* Eight characters; from the third on each is also mixed with what was sent two before. */
static void
read_security(struct s7_message *message, struct cursor *in)
{
	const uint8_t *code;
	uint8_t text[PASSWORD_LEN], len = PASSWORD_LEN;

	if (message->half->kind != S7_KIND_REQUEST || cursor_left(in) < PASSWORD_LEN)
		return;
	code = cursor_take(in, PASSWORD_LEN);
	for (unsigned int i = 0; i < PASSWORD_LEN; i++)
		text[i] = code[i] ^ PASSWORD_KEY ^ (i >= 2 ? code[i - 2] : 0);
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == 0))
		len--;
	message->record->password_len = len;
	s7_has(message, S7_HAS_PASSWORD);
	if (!s7_config_of(message->ctx).log_passwords)
		return;
	record_put_bytes(message->ctx->record, &message->record->password, text, len);
	s7_has(message, S7_HAS_PASSWORD_TEXT);
}

/* A subscription names its variables as a read does; each push brings their values. */
static void
read_cyclic(struct s7_message *message, struct cursor *in)
{
	static const uint16_t bases_ms[INTERVAL_BASES] = { 100, 1000, 10000 };
	unsigned int count, base, factor;

	if (cursor_left(in) < 2) {
		s7_put_data(message, in);
		return;
	}
	count = cursor_be16(in);
	if (message->half->kind != S7_KIND_REQUEST) {
		s7_read_values(message, in, count);
		return;
	}
	base = cursor_u8(in);
	factor = cursor_u8(in);
	message->record->interval_base = base < INTERVAL_BASES ? bases_ms[base] : 0;
	message->record->interval_factor = (uint16_t)factor;
	s7_has(message, S7_HAS_CYCLIC);
	s7_read_addresses(message, in, count);
}

/* What is subscribed is said alike in three of them; RDREC has a form of its own. */
static void
read_cyclic_services(struct s7_message *message, struct cursor *in)
{
	struct cursor whole = *in;

	switch (message->record->subfunction) {
	case CYCLIC_TRANSFER:
	case CYCLIC_CHANGES:
	case CYCLIC_MODIFY:
		read_cyclic(message, in);
		return;
	case CYCLIC_UNSUBSCRIBE:
		if (message->half->kind == S7_KIND_REQUEST && cursor_left(in) >= 2) {
			cursor_skip(in, 1);
			message->record->cyclic_job = cursor_u8(in);
			s7_has(message, S7_HAS_CYCLIC_JOB);
		}
		break;
	default:
		break;
	}
	s7_put_data(message, &whole);
}

static void
read_cpu(struct s7_message *message, struct cursor *in)
{
	if (message->record->subfunction == 1)
		s7_read_szl(message, in);
	else
		s7_read_messages(message, in);
}

static void (*const groups[16])(struct s7_message *message, struct cursor *in) = {
	[S7_GROUP_PROGRAMMER] = s7_read_programmer,
	[S7_GROUP_CYCLIC] = read_cyclic_services,
	[S7_GROUP_BLOCKS] = s7_read_block_functions,
	[S7_GROUP_CPU] = read_cpu,
	[S7_GROUP_SECURITY] = read_security,
	[S7_GROUP_TIME] = read_time,
};

/* Where there is no data, and the parameters say of no error: it is what stands in requests without data, too. */
static bool
is_placeholder(const struct s7_record *record, uint8_t transport, uint16_t len)
{
	return record->return_code == NO_DATA && transport == 0 && len == 0 && record_is_present(record, S7_HAS_ERROR) &&
		record->error_key == 0;
}

void
s7_read_userdata(struct s7_message *message)
{
	struct cursor *in = &message->data;
	unsigned int group = message->half->function & 0x0f;
	struct cursor payload;
	uint8_t transport;
	uint16_t len;

	if (cursor_left(in) == 0)
		return;
	message->record->return_code = cursor_u8(in);
	transport = cursor_u8(in);
	len = cursor_be16(in);
	if (in->short_read) {
		proto_event(message->ctx, S7_EVENT_INVALID_LENGTH);
		return;
	}
	if (!s7_asks(message) && !is_placeholder(message->record, transport, len))
		s7_has(message, S7_HAS_RETURN_CODE);
	payload = cursor_sub(in, len < cursor_left(in) ? len : cursor_left(in));
	if (cursor_left(&payload) < len)
		proto_event(message->ctx, S7_EVENT_INVALID_LENGTH);
	if (groups[group] != NULL)
		groups[group](message, &payload);
	else
		s7_put_data(message, &payload);
}
