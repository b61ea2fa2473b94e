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

	BLOB_ROOT_PLAIN = 1, /* roots above have eight octets and a kind in front */
	BLOB_ROOT_LEN = 8,
	BLOB_LIST = 0,       /* kinds: ids and values as in a structure, octets */
	BLOB_OCTETS = 2,
	BLOB_OCTETS_2 = 3,

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
	if (len > S7P_BYTES_MAX)
		s7p_leave_out(message);
	record_put_bytes(message->ctx->record, &scalar.bytes, data, len < S7P_BYTES_MAX ? len : S7P_BYTES_MAX);
	if (kind == SCALAR_STRING)
		look_at_text(message, data, len);
	else
		look_at_blob(message, data, len);
	return scalar;
}

/* @return whether ids and values follow instead of octets */
static bool
begin_blob(struct cursor *in)
{
	uint8_t kind;

	if (s7p_vlq32(in) <= BLOB_ROOT_PLAIN)
		return false;
	cursor_skip(in, BLOB_ROOT_LEN);
	kind = cursor_u8(in);
	if (kind != BLOB_LIST && kind != BLOB_OCTETS && kind != BLOB_OCTETS_2)
		in->short_read = true;
	return kind == BLOB_LIST;
}

static struct record_scalar
read_special(struct s7p_message *message, struct cursor *in, uint8_t type)
{
	if (type == S7P_BLOB) {
		if (begin_blob(in))
			in->short_read = true; /* among other elements */
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
	if (type == S7P_VARIANT) {
		cursor_skip(in, 1); /* flags */
		type = cursor_u8(in);
		if (type >= S7P_TYPE_COUNT) {
			in->short_read = true;
			type = S7P_NULL;
		}
	}
	return types[type].coding == CODED_SPECIAL ? read_special(message, in, type) : read_number(in, type);
}

/* @param named  whether the id is one that may have a name */
static struct s7p_value *
append_value(struct s7p_message *message, uint32_t id, uint32_t object_id, bool named)
{
	struct s7p_value *value;

	if (++message->values > S7P_VALUES_MAX) {
		s7p_leave_out(message);
		return NULL;
	}
	value = record_append(message->ctx->record, &message->record->values, s7p_value_tables, 0);
	if (value == NULL)
		return NULL;
	value->id = id;
	value->object_id = object_id;
	record_present(&value->head, S7P_VALUE_ID);
	if (named && field_name_of(&s7p_ids, id) != s7p_ids.unknown)
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

/* @return how many structures follow, each with its elements */
static uint32_t
begin_struct(struct s7p_message *message, struct s7p_value *value, struct cursor *in)
{
	uint32_t kind = cursor_be32(in);
	struct record_scalar *scalars;

	if ((kind > PACKED_HIGH && kind <= (PACKED_HIGH | PACKED_MASK_HIGH)) ||
		(kind > PACKED_LOW && kind <= (PACKED_LOW | PACKED_MASK_LOW))) {
		read_packed(message, value, in);
		return 0;
	}
	scalars = record_reserve(message->ctx->record, &value->values, 1, sizeof(*scalars));
	if (scalars != NULL) {
		*scalars = (struct record_scalar){ .kind = SCALAR_U64, .u64 = kind };
		record_present(&value->head, S7P_VALUE_VALUES);
	}
	return (value->flags & FLAG_ADDRESS_ARRAY) != 0 ? s7p_vlq32(in) : 1;
}

/* A sparse array says the key of each element, from 1 on; 0 ends it. Of variants the key is the type, and numbers follow. */
static void
read_sparse(struct s7p_message *message, struct s7p_value *value, struct cursor *in, bool named)
{
	uint8_t type = value->type == S7P_VARIANT ? S7P_UDINT : value->type;

	for (unsigned int i = 0; i < S7P_VALUES_MAX && value != NULL; i++) {
		const struct s7p_value first = *value;
		struct record_scalar *scalars;
		uint32_t key = s7p_vlq32(in);

		if (key == 0 || in->short_read)
			return;
		if (i > 0) {
			value = append_value(message, first.id, first.object_id, named);
			if (value == NULL)
				break;
			value->type = first.type;
			value->flags = first.flags;
			value->depth = first.depth;
			value->head.present = first.head.present & ~(UINT64_C(1) << S7P_VALUE_VALUES);
		}
		value->key = key;
		record_present(&value->head, S7P_VALUE_KEY);
		scalars = record_reserve(message->ctx->record, &value->values, 1, sizeof(*scalars));
		if (scalars == NULL)
			break;
		*scalars = read_element(message, in, type);
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
	if (shown < count)
		s7p_leave_out(message);
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

/* @return how many structures follow, each with its elements */
static uint32_t
read_one(struct s7p_message *message, struct cursor *in, struct s7p_value *value, bool named)
{
	struct record_scalar *scalars;
	struct cursor blob;

	value->flags = cursor_u8(in);
	value->type = cursor_u8(in);
	if (value->type >= S7P_TYPE_COUNT || in->short_read) {
		in->short_read = true;
		return 0;
	}
	if ((value->flags & (FLAG_ARRAY | FLAG_ADDRESS_ARRAY)) != 0 && value->type != S7P_STRUCT) {
		read_array(message, value, in);
		return 0;
	}
	if ((value->flags & FLAG_SPARSE_ARRAY) != 0) {
		read_sparse(message, value, in, named);
		return 0;
	}
	if (value->type == S7P_STRUCT)
		return begin_struct(message, value, in);
	blob = *in;
	if (value->type == S7P_BLOB && begin_blob(&blob)) {
		*in = blob;
		return 1;
	}
	scalars = record_reserve(message->ctx->record, &value->values, 1, sizeof(*scalars));
	if (scalars == NULL)
		return 0;
	*scalars = read_element(message, in, value->type);
	record_present(&value->head, S7P_VALUE_VALUES);
	return 0;
}

/** Where a value is being read: the structures around it. */
struct walk {
	unsigned int depth;
	struct {
		uint32_t count, left; /* structures: more than one in an array of them */
	} levels[S7P_DEPTH_MAX + 1];
};

static void
put_place(struct s7p_value *value, const struct walk *walk)
{
	value->depth = (uint8_t)walk->depth;
	if (walk->depth > 0)
		record_present(&value->head, S7P_VALUE_DEPTH);
	if (walk->levels[walk->depth].count > 1) {
		value->element = walk->levels[walk->depth].count - walk->levels[walk->depth].left;
		record_present(&value->head, S7P_VALUE_ELEMENT);
	}
}

static void
enter(struct walk *walk, struct cursor *in, uint32_t count)
{
	if (count == 0)
		return;
	if (walk->depth == S7P_DEPTH_MAX) {
		in->short_read = true;
		return;
	}
	walk->depth++;
	walk->levels[walk->depth].count = walk->levels[walk->depth].left = count;
}

/* The id of the next element; a 0 ends a structure, and the last of them what they are in. 0: none is left. */
static uint32_t
next_element(struct walk *walk, struct cursor *in)
{
	while (walk->depth > 0 && !in->short_read) {
		uint32_t id = s7p_vlq32(in);

		if (id != 0)
			return id;
		if (--walk->levels[walk->depth].left == 0)
			walk->depth--;
	}
	return 0;
}

bool
s7p_read_value(struct s7p_message *message, struct cursor *in, uint32_t id, uint32_t object_id)
{
	struct walk walk = { .depth = 0 };

	do {
		bool named = walk.depth > 0 || !message->numbered;
		struct s7p_value *value = append_value(message, id, object_id, named);

		if (value == NULL)
			return false;
		put_place(value, &walk);
		enter(&walk, in, read_one(message, in, value, named));
		id = next_element(&walk, in);
		if (in->short_read) {
			proto_event(message->ctx, S7P_EVENT_INVALID_VALUE);
			return false;
		}
	} while (id != 0);
	return true;
}
