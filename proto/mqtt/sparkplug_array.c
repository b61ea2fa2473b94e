/* Arrays of Sparkplug B (SpB 6.4.16): elements one behind another in a metric's bytes, low octets first. */
#include "proto/mqtt/sparkplug.h"

enum { TYPE_INT8S = 22, TYPE_BOOLEANS = 32, TYPE_STRINGS = 33, TYPE_DATETIMES = 34, BITS = 8, NS_PER_MS = 1000000 };

/* By datatype from TYPE_INT8S on; those without a size have a form of their own. */
static const struct {
	uint8_t size;
	uint8_t kind; /* enum record_scalar_kind */
} elements[TYPE_DATETIMES - TYPE_INT8S + 1] = {
	{ 1, SCALAR_I64 }, { 2, SCALAR_I64 }, { 4, SCALAR_I64 }, { 8, SCALAR_I64 },
	{ 1, SCALAR_U64 }, { 2, SCALAR_U64 }, { 4, SCALAR_U64 }, { 8, SCALAR_U64 },
	{ 4, SCALAR_F32 }, { 8, SCALAR_F64 }, { 0, SCALAR_BOOL }, { 0, SCALAR_STRING }, { 8, SCALAR_TIME },
};

static struct record_scalar
read_element(struct cursor *in, uint8_t size, uint8_t kind)
{
	struct record_scalar out = { .kind = kind };

	out.u64 = size == 1 ? cursor_u8(in) : size == 2 ? cursor_le16(in) : size == 4 ? cursor_le32(in) : cursor_le64(in);
	if (kind == SCALAR_I64 && size < sizeof(out.u64))
		out.i64 = size == 1 ? (int8_t)out.u64 : size == 2 ? (int16_t)out.u64 : (int32_t)out.u64;
	else if (kind == SCALAR_TIME)
		out.u64 = out.u64 > UINT64_MAX / NS_PER_MS ? UINT64_MAX : out.u64 * NS_PER_MS;
	return out; /* floats lie in the union as they came */
}

/* How many, in four octets, then a bit each, the first in the highest. @return whether the octets are as many as that takes */
static bool
read_booleans(struct record_builder *b, struct record_ref *out, struct cursor in)
{
	uint32_t count = cursor_le32(&in);
	struct record_scalar *scalars;
	uint8_t octet = 0;

	if (in.short_read || count > SPARKPLUG_ELEMENTS_MAX || cursor_left(&in) != (count + BITS - 1) / BITS)
		return false;
	scalars = record_reserve(b, out, count, sizeof(*scalars));
	for (uint32_t i = 0; scalars != NULL && i < count; i++, octet = (uint8_t)(octet << 1)) {
		if (i % BITS == 0)
			octet = cursor_u8(&in);
		scalars[i] = (struct record_scalar){ .kind = SCALAR_BOOL, .truth = (octet & 0x80) != 0 };
	}
	return scalars != NULL || count == 0;
}

/* Each ends with a zero octet. */
static bool
read_strings(struct record_builder *b, struct record_ref *out, struct cursor in)
{
	struct cursor at = in;
	uint32_t count = 0, last = 0;
	struct record_scalar *scalars;

	while (cursor_left(&at) > 0) {
		last = cursor_u8(&at);
		count += last == 0;
	}
	if (last != 0 || count > SPARKPLUG_ELEMENTS_MAX)
		return false;
	scalars = record_reserve(b, out, count, sizeof(*scalars));
	for (uint32_t i = 0; scalars != NULL && i < count; i++) {
		const uint8_t *text = in.pos;
		uint32_t len = 0;

		while (cursor_u8(&in) != 0)
			len++;
		scalars[i] = (struct record_scalar){ .kind = SCALAR_STRING };
		record_put_bytes(b, &scalars[i].bytes, text, len);
	}
	return scalars != NULL || count == 0;
}

bool
sparkplug_array_read(struct record_builder *b, uint32_t datatype, struct record_ref *out, struct cursor in)
{
	struct record_scalar *scalars;
	size_t count;
	uint8_t size;

	if (datatype < TYPE_INT8S || datatype > TYPE_DATETIMES)
		return false;
	if (datatype == TYPE_BOOLEANS)
		return read_booleans(b, out, in);
	if (datatype == TYPE_STRINGS)
		return read_strings(b, out, in);
	size = elements[datatype - TYPE_INT8S].size;
	count = cursor_left(&in) / size;
	if (count * size != cursor_left(&in) || count > SPARKPLUG_ELEMENTS_MAX)
		return false;
	scalars = record_reserve(b, out, (uint32_t)count, sizeof(*scalars));
	for (size_t i = 0; scalars != NULL && i < count; i++)
		scalars[i] = read_element(&in, size, elements[datatype - TYPE_INT8S].kind);
	return scalars != NULL || count == 0;
}
