/* What stands behind the header of a message, by function. */
#include "proto/s7comm_plus/s7comm_plus.h"

enum {
	AREA_DB = 0x8a0e,      /* in the high half of an area id; the low one is the block's number */
	AREA_FIRST = 0x50,     /* I, Q, M, C, T */
	AREA_LAST = 0x54,
	TAG_OBJECT = 0xa1,
	OBJECT_SEARCH_MAX = 16, /* octets between the fixed part and the first object */
	DATA_MAX = 1024,

	NOTIFY_END = 0x00,
	NOTIFY_FAILED_OLD = 0x03,
	NOTIFY_FAILED = 0x13,
	NOTIFY_VALUE = 0x92,
	NOTIFY_VALUE_VLQ = 0x9b,
	NOTIFY_REFERENCE = 0x9c,
};

static void
put_rest(struct s7p_message *message)
{
	uint32_t len = (uint32_t)cursor_left(&message->body);

	if (len == 0)
		return;
	if (len > DATA_MAX)
		len = DATA_MAX;
	record_put_bytes(message->ctx->record, &message->record->data, cursor_take(&message->body, len), len);
	s7p_has(message, S7P_HAS_DATA);
}

static void
read_object_id(struct s7p_message *message)
{
	uint32_t object_id = cursor_be32(&message->body);

	if (message->body.short_read)
		return;
	message->record->object_id = object_id;
	s7p_has(message, S7P_HAS_OBJECT_ID);
}

static void
read_return(struct s7p_message *message)
{
	uint64_t value = s7p_vlq64(&message->body);

	if (message->body.short_read)
		return;
	message->record->return_value = value;
	message->record->error = (int16_t)value;
	s7p_has(message, S7P_HAS_RETURN);
}

/* Between the fixed part and the objects stand an integrity id or zeros, as the version has it. */
static void
find_objects(struct s7p_message *message)
{
	for (unsigned int i = 0; i < OBJECT_SEARCH_MAX && cursor_left(&message->body) > 0; i++) {
		struct cursor at = message->body;

		if (cursor_u8(&at) == TAG_OBJECT) {
			s7p_read_objects(message, &message->body);
			return;
		}
		message->body = at;
	}
}

/* ---- addresses ---- */

static void
set_area(struct s7p_address *address, uint32_t area_id)
{
	address->area_id = area_id;
	if (area_id >> 16 == AREA_DB) {
		address->db_number = (uint16_t)area_id;
		address->area = 0;
		record_present(&address->head, S7P_ADDRESS_DB);
		record_present(&address->head, S7P_ADDRESS_AREA);
	} else if (area_id >= AREA_FIRST && area_id <= AREA_LAST) {
		address->area = (uint8_t)area_id;
		record_present(&address->head, S7P_ADDRESS_AREA);
	}
}

static bool
read_address(struct s7p_message *message)
{
	struct cursor *in = &message->body;
	struct s7p_address *address = record_append(message->ctx->record, &message->record->addresses, s7p_address_tables, 0);
	uint32_t count, shown, *lids;

	if (address == NULL || ++message->values > S7P_VALUES_MAX)
		return false;
	s7p_has(message, S7P_HAS_ADDRESSES);
	address->crc = s7p_vlq32(in);
	if (address->crc != 0)
		record_present(&address->head, S7P_ADDRESS_CRC);
	set_area(address, s7p_vlq32(in));
	count = s7p_vlq32(in);
	if (in->short_read || count > cursor_left(in)) {
		proto_event(message->ctx, S7P_EVENT_INVALID_VALUE);
		return false;
	}
	shown = count < S7P_LIDS_MAX ? count : S7P_LIDS_MAX;
	lids = shown == 0 ? NULL : record_reserve(message->ctx->record, &address->lids, shown, sizeof(*lids));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t lid = s7p_vlq32(in);

		if (i < shown && lids != NULL)
			lids[i] = lid;
	}
	return !in->short_read;
}

static void
put_object_ids(struct s7p_message *message, uint32_t count)
{
	uint32_t shown = count < S7P_LIDS_MAX ? count : S7P_LIDS_MAX;
	uint32_t *ids;

	if (count > cursor_left(&message->body) || count == 0)
		return;
	ids = record_reserve(message->ctx->record, &message->record->object_ids, shown, sizeof(*ids));
	for (uint32_t i = 0; i < count && !message->body.short_read; i++) {
		uint32_t id = s7p_vlq32(&message->body);

		if (i < shown && ids != NULL)
			ids[i] = id;
	}
	if (ids != NULL)
		s7p_has(message, S7P_HAS_OBJECT_IDS);
}

/* Numbered values, as many as said. */
static void
read_items(struct s7p_message *message, uint32_t count, uint32_t object_id)
{
	for (uint32_t i = 0; i < count && i < S7P_VALUES_MAX; i++) {
		uint32_t number = s7p_vlq32(&message->body);

		if (message->body.short_read || !s7p_read_value(message, &message->body, number, object_id))
			return;
	}
}

/* Numbered values up to the number 0. */
static void
read_items_to_end(struct s7p_message *message)
{
	for (unsigned int i = 0; i < S7P_VALUES_MAX; i++) {
		uint32_t number = s7p_vlq32(&message->body);

		if (number == 0 || message->body.short_read || !s7p_read_value(message, &message->body, number, 0))
			return;
	}
}

static void
append_error(struct s7p_message *message, uint32_t id, uint64_t value)
{
	struct s7p_error *error = record_append(message->ctx->record, &message->record->errors, s7p_error_tables, 0);

	if (error == NULL)
		return;
	error->id = id;
	error->value = value;
	error->code = (int16_t)value;
	s7p_has(message, S7P_HAS_ERRORS);
}

static void
read_errors(struct s7p_message *message)
{
	for (unsigned int i = 0; i < S7P_VALUES_MAX; i++) {
		uint32_t number = s7p_vlq32(&message->body);
		uint64_t value;

		if (number == 0 || message->body.short_read)
			return;
		value = s7p_vlq64(&message->body);
		append_error(message, number, value);
	}
}

/* ---- requests ---- */

static void
request_create(struct s7p_message *message)
{
	read_object_id(message);
	if (s7p_read_value(message, &message->body, 0, 0))
		find_objects(message);
}

static void
request_object(struct s7p_message *message)
{
	read_object_id(message);
}

static void
request_set_variable(struct s7p_message *message)
{
	uint32_t count;

	read_object_id(message);
	count = s7p_vlq32(&message->body);
	put_object_ids(message, count);
	for (uint32_t i = 0; i < count && i < S7P_LIDS_MAX; i++) {
		const uint32_t *ids = (const void *)(message->ctx->record->base + message->record->object_ids.off);
		uint32_t id = i < message->record->object_ids.count ? ids[i] : 0;

		if (!s7p_read_value(message, &message->body, id, message->record->object_id))
			return;
	}
}

static void
request_set_multi(struct s7p_message *message)
{
	uint32_t count, ids;

	read_object_id(message);
	count = s7p_vlq32(&message->body);
	ids = s7p_vlq32(&message->body);
	if (message->record->object_id != 0) {
		put_object_ids(message, ids);
	} else {
		for (uint32_t i = 0; i < count && i < S7P_VALUES_MAX; i++)
			if (!read_address(message))
				return;
	}
	read_items(message, count, message->record->object_id);
}

static void
request_get_multi(struct s7p_message *message)
{
	uint32_t count;

	read_object_id(message);
	count = s7p_vlq32(&message->body);
	(void)s7p_vlq32(&message->body); /* numbers in all addresses together */
	if (message->record->object_id != 0) {
		put_object_ids(message, count);
		return;
	}
	for (uint32_t i = 0; i < count && i < S7P_VALUES_MAX; i++)
		if (!read_address(message))
			return;
}

static void
request_substreamed(struct s7p_message *message)
{
	read_object_id(message);
	(void)s7p_read_value(message, &message->body, 0, 0);
}

static void
request_sequence(struct s7p_message *message)
{
	read_object_id(message);
	find_objects(message);
}

static void
request_raw(struct s7p_message *message)
{
	put_rest(message);
}

/* ---- responses ---- */

static void
response_plain(struct s7p_message *message)
{
	read_return(message);
}

static void
response_create(struct s7p_message *message)
{
	uint32_t count;

	read_return(message);
	count = cursor_u8(&message->body);
	put_object_ids(message, count);
	find_objects(message);
}

static void
response_delete(struct s7p_message *message)
{
	read_return(message);
	read_object_id(message);
}

static void
response_get_multi(struct s7p_message *message)
{
	read_return(message);
	read_items_to_end(message);
	read_errors(message);
}

static void
response_set_multi(struct s7p_message *message)
{
	read_return(message);
	read_errors(message);
}

static void
response_substreamed(struct s7p_message *message)
{
	read_return(message);
	cursor_skip(&message->body, 1);
	if (cursor_left(&message->body) > 1)
		(void)s7p_read_value(message, &message->body, 0, 0);
}

static void
response_explore(struct s7p_message *message)
{
	read_return(message);
	read_object_id(message);
	find_objects(message);
}

static void
response_raw(struct s7p_message *message)
{
	read_return(message);
	put_rest(message);
}

static const struct {
	uint16_t function;
	void (*request)(struct s7p_message *message);
	void (*response)(struct s7p_message *message);
} functions[] = {
	{ S7P_GET_MULTI_VARIABLES, request_get_multi, response_get_multi },
	{ S7P_SET_MULTI_VARIABLES, request_set_multi, response_set_multi },
	{ S7P_SET_VARIABLE, request_set_variable, response_plain },
	{ S7P_GET_VARIABLE, request_raw, response_raw },
	{ S7P_GET_VAR_SUBSTREAMED, request_substreamed, response_substreamed },
	{ S7P_SET_VAR_SUBSTREAMED, request_substreamed, response_plain },
	{ S7P_CREATE_OBJECT, request_create, response_create },
	{ S7P_DELETE_OBJECT, request_object, response_delete },
	{ S7P_EXPLORE, request_object, response_explore },
	{ S7P_BEGIN_SEQUENCE, request_sequence, response_raw },
	{ S7P_END_SEQUENCE, request_object, response_raw },
	{ S7P_GET_LINK, request_object, response_raw },
	{ S7P_INVOKE, request_raw, response_raw },
	{ S7P_GET_VARIABLES_ADDRESS, request_raw, response_raw },
	{ S7P_ABORT, request_raw, response_raw },
	{ S7P_ERROR, request_raw, response_raw },
	{ S7P_INIT_SSL, request_raw, response_plain },
};

void
s7p_read_body(struct s7p_message *message)
{
	for (unsigned int i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (functions[i].function != message->record->function)
			continue;
		(message->response ? functions[i].response : functions[i].request)(message);
		if (message->body.short_read)
			proto_event(message->ctx, S7P_EVENT_INVALID_LENGTH);
		return;
	}
	proto_event(message->ctx, S7P_EVENT_UNKNOWN_FUNCTION);
	put_rest(message);
}

/* @return false: the list is over, or what follows cannot be read */
static bool
read_notified(struct s7p_message *message)
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
	case NOTIFY_FAILED:
	case NOTIFY_FAILED_OLD:
	case NOTIFY_REFERENCE:
		id = cursor_be32(in);
		append_error(message, id, tag);
		return !in->short_read;
	default:
		return false;
	}
}

static bool
is_notify_tag(uint8_t tag)
{
	return tag == NOTIFY_VALUE || tag == NOTIFY_VALUE_VLQ || tag == NOTIFY_FAILED || tag == NOTIFY_FAILED_OLD ||
		tag == NOTIFY_REFERENCE || tag == NOTIFY_END;
}

void
s7p_read_notification(struct s7p_message *message)
{
	struct cursor *in = &message->body;
	struct cursor next;

	message->record->subscription_id = cursor_be32(in);
	cursor_skip(in, 6);
	message->record->credit = cursor_u8(in);
	message->record->notification_sequence = s7p_vlq32(in);
	if (in->short_read) {
		proto_event(message->ctx, S7P_EVENT_INVALID_LENGTH);
		return;
	}
	s7p_has(message, S7P_HAS_SUBSCRIPTION);
	/* Some versions have one more octet before the list. */
	next = *in;
	if (!is_notify_tag(cursor_u8(&next)))
		*in = next;
	for (unsigned int i = 0; i < S7P_VALUES_MAX && cursor_left(in) > 0; i++)
		if (!read_notified(message))
			break;
	if (in->short_read)
		proto_event(message->ctx, S7P_EVENT_INVALID_LENGTH);
}

void
s7p_deliver_identity(struct s7p_message *message)
{
	struct proto_ctx *ctx = message->ctx;
	struct identity_record *record;

	if (message->order_number_len == 0)
		return;
	record = record_begin(ctx->record, &identity_table);
	record->protocol = "s7comm_plus";
	record->of_sender = true;
	identity_put(ctx->record, record, IDENTITY_VENDOR, "Siemens", sizeof("Siemens") - 1);
	identity_put(ctx->record, record, IDENTITY_ORDER_NUMBER, message->order_number, message->order_number_len);
	if (message->firmware_len > 0)
		identity_put(ctx->record, record, IDENTITY_FIRMWARE, message->firmware, message->firmware_len);
	if (message->serial_len > 0)
		identity_put(ctx->record, record, IDENTITY_SERIAL, message->serial, message->serial_len);
	proto_deliver(ctx, PROTO_IDENTITY, 0);
}
