/* A bounded reader of Protocol Buffers, and Sparkplug's values in them (SpB 6.4). */
#include "proto/mqtt/sparkplug.h"

enum { VARINT_LEN_MAX = 10, NS_PER_MS = 1000000 };

/* SpB 6.4.16; the names are in the field tables. */
enum datatype { TYPE_INT8 = 1, TYPE_INT16, TYPE_INT32, TYPE_INT64, TYPE_DATETIME = 13 };

uint64_t
sparkplug_take_varint(struct cursor *in)
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

bool
sparkplug_next(struct cursor *in, struct sparkplug_field *out)
{
	uint64_t tag, len;

	if (cursor_left(in) == 0)
		return false;
	tag = sparkplug_take_varint(in);
	*out = (struct sparkplug_field){ .number = (uint32_t)(tag >> 3), .wire = tag & 7 };
	if (out->number == 0 || tag >> 3 > UINT32_MAX)
		in->short_read = true;
	switch ((enum sparkplug_wire)out->wire) {
	case WIRE_VARINT:
		out->value = sparkplug_take_varint(in);
		break;
	case WIRE_FIXED64:
		out->value = cursor_le64(in);
		break;
	case WIRE_FIXED32:
		out->value = cursor_le32(in);
		break;
	case WIRE_BYTES:
		len = sparkplug_take_varint(in);
		out->bytes = cursor_sub(in, len > cursor_left(in) ? SIZE_MAX : (size_t)len);
		break;
	default:
		in->short_read = true;
	}
	return !in->short_read;
}

void
sparkplug_put_bytes(struct record_builder *b, struct record_ref *ref, const struct sparkplug_field *field)
{
	record_put_bytes(b, ref, field->bytes.pos, (uint32_t)cursor_left(&field->bytes));
}

/* An integer's sign is its datatype's: small ones travel as their two's complement in 32 bits. */
static struct record_scalar
integer_of(uint64_t raw, uint32_t datatype)
{
	if (datatype == TYPE_DATETIME)
		return (struct record_scalar){ .kind = SCALAR_TIME, .u64 = raw > UINT64_MAX / NS_PER_MS ? UINT64_MAX : raw * NS_PER_MS };
	if (datatype < TYPE_INT8 || datatype > TYPE_INT64)
		return (struct record_scalar){ .kind = SCALAR_U64, .u64 = raw };
	return (struct record_scalar){ .kind = SCALAR_I64,
		.i64 = datatype == TYPE_INT8    ? (int8_t)raw
			: datatype == TYPE_INT16 ? (int16_t)raw
			: datatype == TYPE_INT32 ? (int32_t)raw
						 : (int64_t)raw };
}

struct record_scalar
sparkplug_scalar(struct record_builder *b, unsigned int form, const struct sparkplug_field *field, uint32_t datatype)
{
	static const struct {
		uint8_t wire, kind;
	} forms[] = {
		{ WIRE_VARINT, SCALAR_U64 }, { WIRE_VARINT, SCALAR_U64 }, { WIRE_FIXED32, SCALAR_F32 }, { WIRE_FIXED64, SCALAR_F64 },
		{ WIRE_VARINT, SCALAR_BOOL }, { WIRE_BYTES, SCALAR_STRING }, { WIRE_BYTES, SCALAR_HEX },
	};
	enum { LAST = sizeof(forms) / sizeof(forms[0]) - 1 };
	struct record_scalar out = { .kind = forms[form < LAST ? form : LAST].kind };

	if (field->wire != forms[form < LAST ? form : LAST].wire)
		return (struct record_scalar){ .kind = SCALAR_NULL };
	if (out.kind == SCALAR_U64)
		return integer_of(field->value, datatype);
	if (out.kind == SCALAR_STRING || out.kind == SCALAR_HEX)
		sparkplug_put_bytes(b, &out.bytes, field);
	else if (out.kind == SCALAR_BOOL)
		out.truth = field->value != 0;
	else
		out.u64 = field->value; /* a float's bits are the lowest */
	return out;
}
