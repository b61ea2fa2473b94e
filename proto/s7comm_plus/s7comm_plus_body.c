/* What stands behind the header of a message, by function. */
#include "proto/s7comm_plus/s7comm_plus.h"

enum {
	AREA_DB = 0x8a0e,      /* in the high half of an area id; the low one is the block's number */
	AREA_FIRST = 0x50,     /* I, Q, M, C, T */
	AREA_LAST = 0x54,
	DATA_MAX = 1024,
	OBJECT_QUALIFIER = 1256,
	SEQUENCE_OBJECT = 1, /* what a sequence is begun with: an object, or an id */
};

static void
put_rest(struct s7p_message *message)
{
	uint32_t len = (uint32_t)cursor_left(&message->body);

	if (len == 0)
		return;
	if (len > DATA_MAX) {
		s7p_leave_out(message);
		len = DATA_MAX;
	}
	record_put_bytes(message->ctx->record, &message->record->data, cursor_take(&message->body, len), len);
	s7p_has(message, S7P_HAS_DATA);
}

/* That of the request: an answer may name the object that it found in its place. */
static void
read_object_id(struct s7p_message *message)
{
	uint32_t object_id = cursor_be32(&message->body);

	if (message->body.short_read || (message->answers && record_is_present(message->record, S7P_HAS_OBJECT_ID)))
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

static bool
object_follows(struct cursor in)
{
	return cursor_u8(&in) == S7P_TAG_OBJECT;
}

/* Of versions that sign their messages a number may stand before the objects. */
static void
read_objects(struct s7p_message *message, bool numbered)
{
	if (numbered && !object_follows(message->body) && cursor_left(&message->body) > 0)
		(void)s7p_vlq32(&message->body);
	if (object_follows(message->body))
		s7p_read_objects(message, &message->body);
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

	if (address == NULL || ++message->values > S7P_VALUES_MAX) {
		s7p_leave_out(message);
		return false;
	}
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
	if (shown < count)
		s7p_leave_out(message);
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
	uint32_t shown = count < S7P_IDS_MAX ? count : S7P_IDS_MAX, read = 0;
	uint32_t *ids;

	if (count > cursor_left(&message->body) || count == 0)
		return;
	if (shown < count)
		s7p_leave_out(message);
	ids = record_reserve(message->ctx->record, &message->record->object_ids, shown, sizeof(*ids));
	for (uint32_t i = 0; i < count && !message->body.short_read; i++) {
		uint32_t id = s7p_vlq32(&message->body);

		if (i < shown && ids != NULL)
			ids[i] = id;
		read += !message->body.short_read;
	}
	if (ids == NULL || read == 0)
		return;
	/* Of a message that ends before what it says, those that are there. */
	message->record->object_ids.count = read < shown ? read : shown;
	s7p_has(message, S7P_HAS_OBJECT_IDS);
}

/* One id, that of the last attribute on the way. */
static void
put_object_id(struct s7p_message *message, uint32_t id)
{
	uint32_t *ids = record_reserve(message->ctx->record, &message->record->object_ids, 1, sizeof(*ids));

	if (ids == NULL)
		return;
	*ids = id;
	s7p_has(message, S7P_HAS_OBJECT_IDS);
}

/* The only one asked for; 0: several, or none. */
static uint32_t
asked_id(const struct s7p_message *message)
{
	const struct s7p_record *record = message->record;
	const uint32_t *ids = (const void *)(message->ctx->record->base + record->object_ids.off);

	return record_is_present(record, S7P_HAS_OBJECT_IDS) && record->object_ids.count == 1 ? ids[0] : 0;
}

/* Which object values belong to: always the same, and said once more with each request. */
static void
skip_qualifier(struct s7p_message *message)
{
	struct cursor in = message->body;

	if (cursor_be32(&in) != OBJECT_QUALIFIER)
		return;
	while (s7p_vlq32(&in) != 0 && !in.short_read) {
		uint8_t type;

		cursor_skip(&in, 1);
		type = cursor_u8(&in);
		if (type == S7P_RID)
			cursor_skip(&in, 4);
		else
			(void)s7p_vlq32(&in);
	}
	message->body = in;
}

/* Numbered values, as many as said. */
static void
read_items(struct s7p_message *message, uint32_t count, uint32_t object_id)
{
	message->numbered = true;
	for (uint32_t i = 0; i < count && i < S7P_VALUES_MAX; i++) {
		uint32_t number = s7p_vlq32(&message->body);

		if (message->body.short_read || !s7p_read_value(message, &message->body, number, object_id))
			break;
	}
	message->numbered = false;
}

/* Numbered values up to the number 0. */
static void
read_items_to_end(struct s7p_message *message)
{
	message->numbered = true;
	for (unsigned int i = 0; i < S7P_VALUES_MAX; i++) {
		uint32_t number = s7p_vlq32(&message->body);

		if (number == 0 || message->body.short_read || !s7p_read_value(message, &message->body, number, 0))
			break;
	}
	message->numbered = false;
}

void
s7p_append_error(struct s7p_message *message, uint32_t id, uint64_t value)
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
		s7p_append_error(message, number, value);
	}
}

/* ---- requests ---- */

static void
request_create(struct s7p_message *message)
{
	read_object_id(message);
	if (!s7p_read_value(message, &message->body, 0, 0))
		return;
	cursor_skip(&message->body, 4);
	read_objects(message, message->version != S7P_V1);
}

static void
request_object(struct s7p_message *message)
{
	read_object_id(message);
}

/* The way to a variable; behind a 0 in it stands the length of the value. */
static void
request_set_variable(struct s7p_message *message)
{
	uint32_t count, id = 0;

	read_object_id(message);
	count = s7p_vlq32(&message->body);
	for (uint32_t i = 0; i < count && !message->body.short_read; i++) {
		uint32_t next = s7p_vlq32(&message->body);

		if (next != 0)
			id = next;
		else if (++i < count)
			(void)s7p_vlq32(&message->body);
	}
	put_object_id(message, id);
	(void)s7p_read_value(message, &message->body, id, message->record->object_id);
}

static void
request_get_variable(struct s7p_message *message)
{
	uint32_t count;

	read_object_id(message);
	count = s7p_vlq32(&message->body);
	put_object_ids(message, count);
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
	uint32_t count, numbers;

	read_object_id(message);
	count = s7p_vlq32(&message->body);
	numbers = s7p_vlq32(&message->body); /* in all addresses together */
	if (message->record->object_id != 0) {
		put_object_ids(message, numbers);
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

/* Behind where it goes the value that is written, or the first piece of it. */
static void
request_set_substreamed(struct s7p_message *message)
{
	request_substreamed(message);
	skip_qualifier(message);
	cursor_skip(&message->body, 2);
	if (cursor_left(&message->body) > 0)
		(void)s7p_read_value(message, &message->body, 0, message->record->object_id);
}

static void
request_link(struct s7p_message *message)
{
	uint32_t id;

	read_object_id(message);
	id = s7p_vlq32(&message->body);
	put_object_id(message, id);
}

static void
request_begin_sequence(struct s7p_message *message)
{
	uint16_t kind;

	message->record->transaction_type = cursor_u8(&message->body);
	s7p_has(message, S7P_HAS_TRANSACTION);
	if (message->version == S7P_V1)
		return;
	kind = cursor_be16(&message->body);
	if (kind != SEQUENCE_OBJECT) {
		read_object_id(message);
		return;
	}
	/* One octet of zero, or two. */
	for (unsigned int i = 0; i < 2 && !object_follows(message->body); i++)
		cursor_skip(&message->body, 1);
	read_objects(message, false);
}

static void
request_end_sequence(struct s7p_message *message)
{
	cursor_skip(&message->body, 2); /* not known */
}

/* What is called, with its arguments. */
static void
request_invoke(struct s7p_message *message)
{
	read_object_id(message);
	cursor_skip(&message->body, 4);
	read_items_to_end(message);
}

/* Attributes that are asked for, if not by a filter. */
static void
request_explore(struct s7p_message *message)
{
	uint8_t filters, count;

	read_object_id(message);
	(void)s7p_vlq32(&message->body);
	cursor_skip(&message->body, 3); /* children, not known, parents */
	filters = cursor_u8(&message->body);
	count = cursor_u8(&message->body);
	if (filters == 0 && !message->body.short_read)
		put_object_ids(message, count);
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
	if (message->version == S7P_V1)
		read_objects(message, false);
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
	read_objects(message, message->version != S7P_V1);
}

static void
response_get_variable(struct s7p_message *message)
{
	read_return(message);
	(void)s7p_read_value(message, &message->body, asked_id(message), message->answers ? message->record->object_id : 0);
}

static void
response_link(struct s7p_message *message)
{
	uint32_t *links;
	uint8_t count;

	read_return(message);
	count = cursor_u8(&message->body);
	if (count == 0 || cursor_left(&message->body) / sizeof(*links) < count)
		return;
	links = record_reserve(message->ctx->record, &message->record->links, count, sizeof(*links));
	if (links == NULL)
		return;
	for (unsigned int i = 0; i < count; i++)
		links[i] = cursor_be32(&message->body);
	s7p_has(message, S7P_HAS_LINKS);
}

/* The object that the sequence is about, when it was made for it. */
static void
response_begin_sequence(struct s7p_message *message)
{
	uint32_t id;

	read_return(message);
	if (message->version == S7P_V1)
		return;
	cursor_skip(&message->body, 2);
	id = cursor_be32(&message->body);
	if (id != 0 && !message->body.short_read)
		put_object_id(message, id);
}

/* Three results of what was called, a fourth where no item 1 follows, and what it gave back. */
static void
response_invoke(struct s7p_message *message)
{
	enum { RESULTS = 3, FIRST_ITEM = 1 };
	struct cursor next;

	read_return(message);
	for (unsigned int i = 1; i < RESULTS; i++)
		(void)s7p_vlq64(&message->body);
	next = message->body;
	if (cursor_u8(&next) != FIRST_ITEM)
		(void)s7p_vlq64(&message->body);
	read_items_to_end(message);
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
	{ S7P_GET_VARIABLE, request_get_variable, response_get_variable },
	{ S7P_GET_VAR_SUBSTREAMED, request_substreamed, response_substreamed },
	{ S7P_SET_VAR_SUBSTREAMED, request_set_substreamed, response_plain },
	{ S7P_CREATE_OBJECT, request_create, response_create },
	{ S7P_DELETE_OBJECT, request_object, response_delete },
	{ S7P_EXPLORE, request_explore, response_explore },
	{ S7P_BEGIN_SEQUENCE, request_begin_sequence, response_begin_sequence },
	{ S7P_END_SEQUENCE, request_end_sequence, response_plain },
	{ S7P_GET_LINK, request_link, response_link },
	{ S7P_INVOKE, request_invoke, response_invoke },
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
