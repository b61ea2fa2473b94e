/* Values and objects: everything says its type, nothing its length. */
#include "proto/s7comm_plus/s7comm_plus.h"

enum {
	MORE = 0x80,
	SIGN = 0x40,
	BITS = 7,
	VLQ32_OCTETS = 5,
	VLQ64_OCTETS = 9, /* the last has eight bits */

	FLAG_ARRAY = 0x10,
	FLAG_ADDRESS_ARRAY = 0x20,
	FLAG_SPARSE_ARRAY = 0x40,

	TAG_OBJECT = 0xa1,
	TAG_OBJECT_END = 0xa2,
	TAG_ATTRIBUTE = 0xa3,
	TAG_RELATION = 0xa4,
	TAG_DESCRIPTION = 0xa7,
	TAG_DESCRIPTION_END = 0xa8,

	/* A structure of one of these ranges is one block of bytes. */
	PACKED_LOW = 0x02000000,
	PACKED_HIGH = 0x90000000,
	PACKED_MASK_LOW = 0x00ffffff,
	PACKED_MASK_HIGH = 0x0fffffff,
	PACKED_TIMESTAMP_LEN = 8,
	PACKED_COUNT_TWICE = 0x0400,
};

/* The first octet of a signed number has its sign in the second highest bit. */
static uint64_t
vlq(struct cursor *in, unsigned int octets, bool is_signed)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < octets; i++) {
		uint8_t octet = cursor_u8(in);

		if (i == 0 && is_signed && (octet & SIGN) != 0)
			value = UINT64_MAX;
		if (i == VLQ64_OCTETS - 1)
			return value << 8 | octet;
		value = value << BITS | (octet & (MORE - 1));
		if ((octet & MORE) == 0)
			break;
	}
	return value;
}

uint32_t
s7p_vlq32(struct cursor *in)
{
	return (uint32_t)vlq(in, VLQ32_OCTETS, false);
}

uint64_t
s7p_vlq64(struct cursor *in)
{
	return vlq(in, VLQ64_OCTETS, false);
}

/* How the types of plain numbers are written. */
enum coding { CODED_SPECIAL, CODED_NOTHING, CODED_FIXED, CODED_VLQ, CODED_VLQ_SIGNED };

static const struct {
	uint8_t coding;
	uint8_t size;
	uint8_t kind; /* enum record_scalar_kind */
} types[S7P_TYPE_COUNT] = {
	[S7P_NULL] = { CODED_NOTHING, 0, SCALAR_NULL },        [S7P_BOOL] = { CODED_FIXED, 1, SCALAR_BOOL },
	[S7P_USINT] = { CODED_FIXED, 1, SCALAR_U64 },          [S7P_UINT] = { CODED_FIXED, 2, SCALAR_U64 },
	[S7P_UDINT] = { CODED_VLQ, VLQ32_OCTETS, SCALAR_U64 }, [S7P_ULINT] = { CODED_VLQ, VLQ64_OCTETS, SCALAR_U64 },
	[S7P_SINT] = { CODED_FIXED, 1, SCALAR_I64 },           [S7P_INT] = { CODED_FIXED, 2, SCALAR_I64 },
	[S7P_DINT] = { CODED_VLQ_SIGNED, VLQ32_OCTETS, SCALAR_I64 },
	[S7P_LINT] = { CODED_VLQ_SIGNED, VLQ64_OCTETS, SCALAR_I64 },
	[S7P_BYTE] = { CODED_FIXED, 1, SCALAR_U64 },           [S7P_WORD] = { CODED_FIXED, 2, SCALAR_U64 },
	[S7P_DWORD] = { CODED_FIXED, 4, SCALAR_U64 },          [S7P_LWORD] = { CODED_FIXED, 8, SCALAR_U64 },
	[S7P_REAL] = { CODED_FIXED, 4, SCALAR_F32 },           [S7P_LREAL] = { CODED_FIXED, 8, SCALAR_F64 },
	[S7P_TIMESTAMP] = { CODED_FIXED, 8, SCALAR_TIME },
	[S7P_TIMESPAN] = { CODED_VLQ_SIGNED, VLQ64_OCTETS, SCALAR_I64 },
	[S7P_RID] = { CODED_FIXED, 4, SCALAR_U64 },            [S7P_AID] = { CODED_VLQ, VLQ32_OCTETS, SCALAR_U64 },
};

static int64_t
sign_extend(uint64_t raw, uint8_t size)
{
	return size == 1 ? (int8_t)raw : size == 2 ? (int16_t)raw : size == 4 ? (int32_t)raw : (int64_t)raw;
}

static uint64_t
read_fixed(struct cursor *in, uint8_t size)
{
	return size == 1 ? cursor_u8(in) : size == 2 ? cursor_be16(in) : size == 4 ? cursor_be32(in) : cursor_be64(in);
}

static struct record_scalar
read_number(struct cursor *in, uint8_t type)
{
	struct record_scalar scalar = { .kind = types[type].kind };
	uint8_t size = types[type].size;
	uint64_t raw;
	uint32_t raw32;

	if (types[type].coding == CODED_NOTHING)
		return scalar;
	raw = types[type].coding == CODED_FIXED ? read_fixed(in, size) : vlq(in, size, types[type].coding == CODED_VLQ_SIGNED);
	if (scalar.kind == SCALAR_F32) {
		raw32 = (uint32_t)raw;
		memcpy(&scalar.f32, &raw32, sizeof(scalar.f32));
	} else if (scalar.kind == SCALAR_F64) {
		memcpy(&scalar.f64, &raw, sizeof(scalar.f64));
	} else if (scalar.kind == SCALAR_BOOL) {
		scalar.truth = raw != 0;
	} else if (scalar.kind == SCALAR_I64) {
		scalar.i64 = types[type].coding == CODED_FIXED ? sign_extend(raw, size)
			: size == VLQ32_OCTETS                 ? (int32_t)raw
							       : (int64_t)raw;
	} else {
		scalar.u64 = size == VLQ32_OCTETS ? (uint32_t)raw : raw;
	}
	return scalar;
}

/* ---- what the device says of itself ---- */

static uint8_t
copy_trimmed(uint8_t *out, const uint8_t *text, uint32_t len, uint32_t cap)
{
	if (len > cap)
		len = cap;
	memcpy(out, text, len);
	return (uint8_t)len;
}

static bool
is_order_number(const uint8_t *text, uint32_t len)
{
	return len >= 4 && (memcmp(text, "6ES7", 4) == 0 || memcmp(text, "6AV2", 4) == 0 || memcmp(text, "6AV6", 4) == 0 ||
		memcmp(text, "6AG1", 4) == 0);
}

/* "1;6ES7 214-1HE30-0XB0 ;V2.2": order number and firmware between semicolons. */
static void
look_at_text(struct s7p_message *message, const uint8_t *text, uint32_t len)
{
	const uint8_t *order, *end = text + len;

	if (!message->response || len < 8 || text[1] != ';' || !is_order_number(text + 2, len - 2))
		return;
	order = text + 2;
	for (uint32_t i = 2; i < len; i++) {
		if (text[i] != ';')
			continue;
		message->order_number_len = copy_trimmed(message->order_number, order, i - 2, S7P_ORDER_NUMBER_LEN);
		message->firmware_len = copy_trimmed(message->firmware, text + i + 1, (uint32_t)(end - text) - i - 1, S7P_TEXT_MAX);
		return;
	}
}

/* Identification and maintenance data: somewhere in it the order number, behind it the serial number. */
static void
look_at_blob(struct s7p_message *message, const uint8_t *data, uint32_t len)
{
	enum { LOOKED_AT_MAX = 64, WANTED = S7P_ORDER_NUMBER_LEN + S7P_SERIAL_LEN };

	if (!message->response)
		return;
	for (uint32_t at = 0; at < LOOKED_AT_MAX && at + WANTED <= len; at++) {
		if (!is_order_number(data + at, len - at))
			continue;
		message->order_number_len = copy_trimmed(message->order_number, data + at, S7P_ORDER_NUMBER_LEN, S7P_ORDER_NUMBER_LEN);
		message->serial_len = copy_trimmed(message->serial, data + at + S7P_ORDER_NUMBER_LEN, S7P_SERIAL_LEN, S7P_SERIAL_LEN);
		return;
	}
}

/* ---- bytes and texts ---- */

static struct record_scalar
put_bytes(struct s7p_message *message, struct cursor *in, uint32_t len, enum record_scalar_kind kind)
{
	struct record_scalar scalar = { .kind = (uint8_t)kind };
	const uint8_t *data = cursor_take(in, len);

	if (data == NULL)
		return scalar;
	record_put_bytes(message->ctx->record, &scalar.bytes, data, len < S7P_BYTES_MAX ? len : S7P_BYTES_MAX);
	if (kind == SCALAR_STRING)
		look_at_text(message, data, len);
	else
		look_at_blob(message, data, len);
	return scalar;
}

static struct record_scalar
read_special(struct s7p_message *message, struct cursor *in, uint8_t type)
{
	if (type == S7P_BLOB) {
		if (s7p_vlq32(in) > 0)
			cursor_skip(in, 9); /* a blob inside another's namespace: its kind and eight octets */
		return put_bytes(message, in, s7p_vlq32(in), SCALAR_HEX);
	}
	if (type == S7P_WSTRING)
		return put_bytes(message, in, s7p_vlq32(in), SCALAR_STRING);
	if (type == S7P_S7STRING) {
		(void)cursor_u8(in); /* longest */
		return put_bytes(message, in, cursor_u8(in), SCALAR_STRING);
	}
	in->short_read = true; /* not known: where it ends cannot be said */
	return (struct record_scalar){ .kind = SCALAR_NULL };
}

static struct record_scalar
read_element(struct s7p_message *message, struct cursor *in, uint8_t type)
{
	return types[type].coding == CODED_SPECIAL ? read_special(message, in, type) : read_number(in, type);
}

static struct s7p_value *
append_value(struct s7p_message *message, uint32_t id, uint32_t object_id)
{
	struct s7p_value *value;

	if (++message->values > S7P_VALUES_MAX)
		return NULL;
	value = record_append(message->ctx->record, &message->record->values, s7p_value_tables, 0);
	if (value == NULL)
		return NULL;
	value->id = id;
	value->object_id = object_id;
	record_present(&value->head, S7P_VALUE_ID);
	if (field_name_of(&s7p_ids, id) != s7p_ids.unknown)
		record_present(&value->head, S7P_VALUE_NAME);
	if (object_id != 0)
		record_present(&value->head, S7P_VALUE_OBJECT);
	s7p_has(message, S7P_HAS_VALUES);
	return value;
}

/* A structure whose members lie in one block. */
static void
read_packed(struct s7p_message *message, struct s7p_value *value, struct cursor *in)
{
	struct record_scalar *scalars = record_reserve(message->ctx->record, &value->values, 1, sizeof(*scalars));
	uint32_t transport_flags, len;

	cursor_skip(in, PACKED_TIMESTAMP_LEN);
	transport_flags = s7p_vlq32(in);
	len = s7p_vlq32(in);
	if ((transport_flags & PACKED_COUNT_TWICE) != 0)
		len = s7p_vlq32(in);
	if (scalars == NULL)
		return;
	*scalars = put_bytes(message, in, len, SCALAR_HEX);
	record_present(&value->head, S7P_VALUE_VALUES);
}

/* @return whether elements of a structure follow */
static bool
begin_struct(struct s7p_message *message, struct s7p_value *value, struct cursor *in)
{
	uint32_t kind = cursor_be32(in);
	struct record_scalar *scalars;

	if ((kind > PACKED_HIGH && kind <= (PACKED_HIGH | PACKED_MASK_HIGH)) ||
		(kind > PACKED_LOW && kind <= (PACKED_LOW | PACKED_MASK_LOW))) {
		read_packed(message, value, in);
		return false;
	}
	scalars = record_reserve(message->ctx->record, &value->values, 1, sizeof(*scalars));
	if (scalars != NULL) {
		*scalars = (struct record_scalar){ .kind = SCALAR_U64, .u64 = kind };
		record_present(&value->head, S7P_VALUE_VALUES);
	}
	return true;
}

/* A sparse array says the key of each element, from 1 on; 0 ends it. */
static void
read_sparse(struct s7p_message *message, struct s7p_value *value, struct cursor *in)
{
	for (unsigned int i = 0; i < S7P_VALUES_MAX && value != NULL; i++) {
		struct record_scalar *scalars;
		uint32_t key = s7p_vlq32(in);

		if (key == 0 || in->short_read)
			return;
		if (i > 0) {
			uint8_t type = value->type, flags = value->flags;

			value = append_value(message, key, value->object_id);
			if (value == NULL)
				break;
			value->type = type;
			value->flags = flags;
		}
		scalars = record_reserve(message->ctx->record, &value->values, 1, sizeof(*scalars));
		if (scalars == NULL)
			break;
		*scalars = read_element(message, in, value->type);
		record_present(&value->head, S7P_VALUE_VALUES);
	}
	in->short_read = true;
}

static void
read_array(struct s7p_message *message, struct s7p_value *value, struct cursor *in)
{
	uint32_t count = s7p_vlq32(in);
	uint32_t shown = count < S7P_ELEMENTS_MAX ? count : S7P_ELEMENTS_MAX;
	struct record_scalar *scalars;

	/* An element takes an octet at least. */
	if (types[value->type].coding != CODED_NOTHING && shown > cursor_left(in)) {
		in->short_read = true;
		return;
	}
	scalars = shown == 0 ? NULL : record_reserve(message->ctx->record, &value->values, shown, sizeof(*scalars));
	if (scalars != NULL)
		memset(scalars, 0, shown * sizeof(*scalars));
	for (uint32_t i = 0; i < count && !in->short_read; i++) {
		struct record_scalar scalar;

		if (i >= shown && types[value->type].coding == CODED_NOTHING)
			break;
		scalar = read_element(message, in, value->type);
		if (i < shown && scalars != NULL)
			scalars[i] = scalar;
	}
	record_present(&value->head, S7P_VALUE_VALUES);
}

/* @return whether elements of a structure follow */
static bool
read_one(struct s7p_message *message, struct cursor *in, struct s7p_value *value)
{
	struct record_scalar *scalars;

	value->flags = cursor_u8(in);
	value->type = cursor_u8(in);
	if (value->type >= S7P_TYPE_COUNT || in->short_read) {
		in->short_read = true;
		return false;
	}
	if ((value->flags & (FLAG_ARRAY | FLAG_ADDRESS_ARRAY)) != 0 && value->type != S7P_STRUCT) {
		read_array(message, value, in);
		return false;
	}
	if ((value->flags & FLAG_SPARSE_ARRAY) != 0) {
		read_sparse(message, value, in);
		return false;
	}
	if (value->type == S7P_STRUCT)
		return begin_struct(message, value, in);
	scalars = record_reserve(message->ctx->record, &value->values, 1, sizeof(*scalars));
	if (scalars == NULL)
		return false;
	*scalars = read_element(message, in, value->type);
	record_present(&value->head, S7P_VALUE_VALUES);
	return false;
}

bool
s7p_read_value(struct s7p_message *message, struct cursor *in, uint32_t id, uint32_t object_id)
{
	unsigned int depth = 0;

	for (;;) {
		struct s7p_value *value = append_value(message, id, object_id);

		if (value == NULL)
			return false;
		value->depth = (uint8_t)depth;
		if (depth > 0)
			record_present(&value->head, S7P_VALUE_DEPTH);
		if (read_one(message, in, value) && ++depth > S7P_DEPTH_MAX)
			in->short_read = true;
		if (in->short_read) {
			proto_event(message->ctx, S7P_EVENT_INVALID_VALUE);
			return false;
		}
		/* The next element; a 0 ends a structure. */
		id = 0;
		while (depth > 0 && id == 0) {
			id = s7p_vlq32(in);
			if (id == 0)
				depth--;
			if (in->short_read) {
				proto_event(message->ctx, S7P_EVENT_INVALID_VALUE);
				return false;
			}
		}
		if (depth == 0)
			return true;
	}
}

/* ---- objects ---- */

static uint32_t
begin_object(struct s7p_message *message, struct cursor *in, unsigned int depth)
{
	struct s7p_object *object = NULL;
	uint32_t relation_id = cursor_be32(in);
	uint32_t class_id = s7p_vlq32(in);

	(void)s7p_vlq32(in); /* flags of the class */
	(void)s7p_vlq32(in); /* attribute */
	if (++message->values <= S7P_VALUES_MAX && !in->short_read)
		object = record_append(message->ctx->record, &message->record->objects, s7p_object_tables, 0);
	if (object != NULL) {
		object->relation_id = relation_id;
		object->class_id = class_id;
		object->depth = (uint8_t)depth;
		s7p_has(message, S7P_HAS_OBJECTS);
	}
	return relation_id;
}

void
s7p_read_objects(struct s7p_message *message, struct cursor *in)
{
	uint32_t objects[S7P_DEPTH_MAX + 1] = { 0 };
	unsigned int depth = 0;

	for (unsigned int i = 0; i < 4 * S7P_VALUES_MAX && cursor_left(in) > 0; i++) {
		struct cursor before = *in;
		uint32_t id;

		switch (cursor_u8(in)) {
		case TAG_OBJECT:
			if (depth == S7P_DEPTH_MAX)
				return;
			depth++;
			objects[depth] = begin_object(message, in, depth);
			break;
		case TAG_OBJECT_END:
			if (depth == 0)
				return;
			depth--;
			break;
		case TAG_ATTRIBUTE:
			id = s7p_vlq32(in);
			if (!s7p_read_value(message, in, id, objects[depth]))
				return;
			break;
		case TAG_RELATION:
			(void)s7p_vlq32(in);
			cursor_skip(in, 4);
			break;
		default:
			*in = before;
			return;
		}
	}
}
