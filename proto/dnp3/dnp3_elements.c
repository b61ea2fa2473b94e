/*
 * Elements: the one interpreter of the layouts that dnp3_points.c lists.
 */
#include "proto/dnp3/dnp3_walk.h"

#include <immintrin.h>

#include "proto/dnp3/dnp3_shapes.h"

enum {
	EXTENDED_ATTRIBUTE_LIST = 255, /* data type whose length octet counts from 256 */
	FIXED_MAX = DNP3_KIND_BYTES4,
};

/* Bytes on the wire of the kinds that have a fixed size, in the order of enum dnp3_kind. */
static const uint8_t kind_sizes[FIXED_MAX + 1] = {
	[DNP3_KIND_U8] = 1, [DNP3_KIND_U16] = 2, [DNP3_KIND_U32] = 4, [DNP3_KIND_U16_U32] = 2, [DNP3_KIND_I16_I32] = 2,
	[DNP3_KIND_I32] = 4, [DNP3_KIND_F32] = 4, [DNP3_KIND_F64] = 8, [DNP3_KIND_U8_U64] = 1, [DNP3_KIND_TIME48] = 6,
	[DNP3_KIND_FLAGS] = 1, [DNP3_KIND_EVENT] = 1, [DNP3_KIND_DOUBLE] = 1, [DNP3_KIND_SPLIT7] = 1,
	[DNP3_KIND_CONTROL] = 1, [DNP3_KIND_BCD16] = 2, [DNP3_KIND_BCD32] = 4, [DNP3_KIND_BCD64] = 8,
	[DNP3_KIND_BLOCK] = 4, [DNP3_KIND_BYTES4] = 4,
};

uint32_t
dnp3_layout_size(const struct dnp3_layout *layout)
{
	uint32_t size = 0;

	if (layout->packed_bits != 0)
		return 0;
	for (unsigned int i = 0; i < layout->element_count; i++) {
		if (layout->elements[i].kind > FIXED_MAX)
			return 0;
		size += kind_sizes[layout->elements[i].kind];
	}
	return size;
}

static void
put_bytes(struct dnp3_walk *walk, struct record_ref *ref, const uint8_t *data, uint32_t len)
{
	struct record_builder *b = walk->message->ctx->record;

	if (walk->discard || data == NULL || len == 0)
		return;
	if (b->len + len > walk->message->points_room) {
		walk->shortened = true;
		return;
	}
	record_put_bytes(b, ref, data, len);
}

/* len bytes into the record_ref at the element's place. */
static void
take_bytes(struct dnp3_walk *walk, const struct dnp3_element *element, uint32_t len)
{
	struct record_ref ref = { 0 };

	put_bytes(walk, &ref, cursor_take(&walk->in, len), len);
	memcpy(walk->point + element->offset, &ref, sizeof(ref));
}

static void
read_bytes(struct dnp3_walk *walk, const struct dnp3_element *element)
{
	take_bytes(walk, element, element->kind == DNP3_KIND_BYTES4 ? 4 : walk->reg[element->reg]);
}

static void
read_rest(struct dnp3_walk *walk, const struct dnp3_element *element)
{
	/* Without a size nothing says where the object ends. */
	if (!walk->sized)
		walk->failed = true;
	else
		take_bytes(walk, element, (uint32_t)cursor_left(&walk->in));
}

static void
read_octets(struct dnp3_walk *walk, const struct dnp3_element *element)
{
	take_bytes(walk, element, walk->sized ? (uint32_t)cursor_left(&walk->in) : walk->variation);
}

/* Packed decimal, low octet first. A nibble above 9 is not a digit; it is read as the hexadecimal digit's value. */
static void
read_bcd(struct dnp3_walk *walk, const struct dnp3_element *element)
{
	const uint32_t len = kind_sizes[element->kind];
	const uint8_t *digits = cursor_take(&walk->in, len);
	uint64_t value = 0;

	for (uint32_t i = len; digits != NULL && i-- > 0;)
		value = value * 100 + (digits[i] >> 4) * 10 + (digits[i] & 0x0f);
	memcpy(walk->point + element->offset, &value, sizeof(value));
}

static void
read_block(struct dnp3_walk *walk, const struct dnp3_element *element)
{
	struct dnp3_point_file *file = (struct dnp3_point_file *)walk->point;

	file->block_number = cursor_le32(&walk->in);
	file->last_block = file->block_number >> 31 != 0;
}

/* A little-endian integer of 1 to 8 octets, sign-extended when asked. */
static uint64_t
integer_of(const uint8_t *data, uint32_t len, bool is_signed)
{
	uint64_t value = is_signed && (data[len - 1] & 0x80) != 0 ? UINT64_MAX : 0;

	for (uint32_t i = len; i-- > 0;)
		value = value << 8 | data[i];
	return value;
}

/* A list of attributes: pairs of variation and properties, of which bit 0 says that it may be written. */
static void
attribute_list(struct dnp3_walk *walk, struct dnp3_point_attribute *attribute, const uint8_t *data, uint32_t len)
{
	struct cursor in = cursor_of(data, len);
	uint8_t variations[256];
	uint8_t writable[256];
	uint32_t count = 0;

	while (cursor_left(&in) >= 2 && count < sizeof(variations)) {
		variations[count] = cursor_u8(&in);
		writable[count++] = cursor_u8(&in) & 1;
	}
	put_bytes(walk, &attribute->bytes, variations, count);
	put_bytes(walk, &attribute->flags, writable, count);
	walk->present |= UINT64_C(1) << DNP3_ATTRIBUTE_VARIATIONS | UINT64_C(1) << DNP3_ATTRIBUTE_WRITABLE;
}

/* Which field of the record holds a value of this type and length, A.1 (attribute data types). */
static unsigned int
attribute_field(uint8_t data_type, uint32_t len)
{
	bool integer = len >= 1 && len <= 8;

	switch (data_type) {
	case 1: /* VSTR */
	case 8: /* UNCD */
		return DNP3_ATTRIBUTE_TEXT;
	case 2:
		return integer ? DNP3_ATTRIBUTE_UINT : DNP3_ATTRIBUTE_HEX;
	case 3:
		return integer ? DNP3_ATTRIBUTE_INT : DNP3_ATTRIBUTE_HEX;
	case 4:
		return len == 4 ? DNP3_ATTRIBUTE_F32 : len == 8 ? DNP3_ATTRIBUTE_F64 : DNP3_ATTRIBUTE_HEX;
	case 7: /* DNP3TIME */
		return len == 6 ? DNP3_ATTRIBUTE_UINT : DNP3_ATTRIBUTE_HEX;
	case 254:
	case EXTENDED_ATTRIBUTE_LIST:
		return DNP3_ATTRIBUTE_VARIATIONS;
	default:
		return DNP3_ATTRIBUTE_HEX;
	}
}

static void
read_attribute(struct dnp3_walk *walk, const struct dnp3_element *element)
{
	struct dnp3_point_attribute *attribute = (struct dnp3_point_attribute *)walk->point;
	const uint8_t *data;
	unsigned int field;
	uint32_t len;

	attribute->data_type = cursor_u8(&walk->in);
	len = cursor_u8(&walk->in);
	if (attribute->data_type == EXTENDED_ATTRIBUTE_LIST)
		len += 256;
	attribute->length = (uint16_t)len;
	data = cursor_take(&walk->in, len);
	if (data == NULL)
		return;
	walk->present |= UINT64_C(1) << DNP3_ATTRIBUTE_DATA_TYPE | UINT64_C(1) << DNP3_ATTRIBUTE_DATA_TYPE_NAME |
	                 UINT64_C(1) << DNP3_ATTRIBUTE_LENGTH;
	field = attribute_field(attribute->data_type, len);
	walk->present |= UINT64_C(1) << field;
	switch (field) {
	case DNP3_ATTRIBUTE_VARIATIONS:
		attribute_list(walk, attribute, data, len);
		break;
	case DNP3_ATTRIBUTE_TEXT:
		dnp3_identity_note(walk->message, walk->variation, data, len);
		put_bytes(walk, &attribute->bytes, data, len);
		break;
	case DNP3_ATTRIBUTE_HEX:
		put_bytes(walk, &attribute->bytes, data, len);
		break;
	default: /* integers and floats are all little-endian in a union */
		attribute->number.u64 = integer_of(data, len, field == DNP3_ATTRIBUTE_INT);
	}
}

static struct dnp3_element_record *
element_append(struct dnp3_walk *walk, struct record_list *list)
{
	struct record_builder *b = walk->message->ctx->record;

	if (walk->discard)
		return NULL;
	if (b->len + sizeof(struct dnp3_element_record) + 8 > walk->message->points_room) {
		walk->shortened = true;
		return NULL;
	}
	return record_append(b, list, dnp3_element_shapes, 0);
}

/* The fields of a data set descriptor element after its length, A.36: code, type, longest length, ancillary value. */
static void
descriptor_read(struct dnp3_walk *walk, struct dnp3_element_record *record, struct cursor in)
{
	enum { UUID = 2, NAMESPACE = 3, DATA_ELEMENT = 5 };
	uint32_t len;
	bool text;

	record->descriptor_code = cursor_u8(&in);
	record->data_type = cursor_u8(&in);
	record->max_length = cursor_u8(&in);
	if (in.short_read)
		return;
	for (unsigned int bit = DNP3_ELEMENT_DESCRIPTOR; bit <= DNP3_ELEMENT_MAX_LENGTH; bit++)
		record_present(&record->head, (uint8_t)bit);
	len = (uint32_t)cursor_left(&in);
	text = record->descriptor_code >= NAMESPACE && record->descriptor_code <= DATA_ELEMENT;
	record_present(&record->head, text ? DNP3_ELEMENT_TEXT : DNP3_ELEMENT_HEX);
	put_bytes(walk, &record->value, cursor_take(&in, len), len);
}

/* Elements to the object's end, each with its length in front. */
static void
read_elements(struct dnp3_walk *walk, const struct dnp3_element *element)
{
	struct dnp3_point_dataset *dataset = (struct dnp3_point_dataset *)walk->point;

	if (!walk->sized) {
		walk->failed = true;
		return;
	}
	while (cursor_left(&walk->in) > 0) {
		uint8_t len = cursor_u8(&walk->in);
		struct cursor in = cursor_sub(&walk->in, len);
		struct dnp3_element_record *record = walk->in.short_read ? NULL : element_append(walk, &dataset->elements);

		if (record == NULL)
			continue;
		record->length = len;
		record_present(&record->head, DNP3_ELEMENT_LENGTH);
		if (element->kind == DNP3_KIND_DESCRIPTORS) {
			descriptor_read(walk, record, in);
			continue;
		}
		record_present(&record->head, DNP3_ELEMENT_HEX);
		put_bytes(walk, &record->value, cursor_take(&in, len), len);
	}
}

static void (*const variable_readers[])(struct dnp3_walk *, const struct dnp3_element *) = {
	[DNP3_KIND_BCD16] = read_bcd,
	[DNP3_KIND_BCD32] = read_bcd,
	[DNP3_KIND_BCD64] = read_bcd,
	[DNP3_KIND_BLOCK] = read_block,
	[DNP3_KIND_BYTES4] = read_bytes,
	[DNP3_KIND_BYTES] = read_bytes,
	[DNP3_KIND_REST] = read_rest,
	[DNP3_KIND_OCTETS] = read_octets,
	[DNP3_KIND_ATTRIBUTE] = read_attribute,
	[DNP3_KIND_DESCRIPTORS] = read_elements,
	[DNP3_KIND_VALUES] = read_elements,
};

/* The bits of an octet as eight uint8_t, bit 0 first. */
static uint64_t
bits_spread(uint8_t octet)
{
	return _pdep_u64(octet, UINT64_C(0x0101010101010101));
}

/* The control code's fields as four uint8_t, A.8.1: 4 bits, 1, 1, 2. */
static uint32_t
control_spread(uint8_t octet)
{
	return _pdep_u32(octet, 0x0301010f);
}

/* Flags whose bits 6 and 7 are one number, in the seventh place. */
static uint64_t
double_spread(uint8_t octet)
{
	return _pdep_u64(octet, UINT64_C(0x0003010101010101));
}

/* Reads one element into the point. The kinds with a number in them are here, as they are most of the traffic. */
static void
element_read(struct dnp3_walk *walk, const struct dnp3_element *element)
{
	uint64_t value = 0;
	uint32_t len = 4; /* bytes of value that the record keeps, low ones first */

	switch (element->kind) {
	case DNP3_KIND_FLAGS:
		value = bits_spread(cursor_u8(&walk->in));
		len = 8;
		break;
	case DNP3_KIND_EVENT:
		value = cursor_u8(&walk->in);
		((struct dnp3_point *)(void *)walk->point)->small.u8 = (uint8_t)value;
		value = bits_spread((uint8_t)value);
		len = 8;
		break;
	case DNP3_KIND_DOUBLE:
		value = double_spread(cursor_u8(&walk->in));
		len = 8;
		break;
	case DNP3_KIND_U32:
	case DNP3_KIND_I32:
	case DNP3_KIND_F32:
		value = cursor_le32(&walk->in);
		break;
	case DNP3_KIND_I16_I32:
		value = (uint64_t)(int64_t)(int16_t)cursor_le16(&walk->in);
		break;
	case DNP3_KIND_U16_U32:
		value = cursor_le16(&walk->in);
		break;
	case DNP3_KIND_F64:
		value = cursor_le64(&walk->in);
		len = 8;
		break;
	case DNP3_KIND_TIME48:
		value = cursor_le48(&walk->in);
		len = 8;
		break;
	case DNP3_KIND_U8:
	case DNP3_KIND_U8_U64:
		value = cursor_u8(&walk->in);
		len = element->kind == DNP3_KIND_U8 ? 1 : 8;
		break;
	case DNP3_KIND_U16:
		value = cursor_le16(&walk->in);
		walk->reg[element->reg] = (uint32_t)value;
		len = 2;
		break;
	case DNP3_KIND_SPLIT7:
		value = _pdep_u32(cursor_u8(&walk->in), 0x017f);
		len = 2;
		break;
	case DNP3_KIND_CONTROL:
		value = control_spread(cursor_u8(&walk->in));
		break;
	default:
		variable_readers[element->kind](walk, element);
		return;
	}
	memcpy(walk->point + element->offset, &value, len);
}

void
dnp3_object_walk(struct dnp3_walk *walk, const struct dnp3_layout *layout)
{
	for (unsigned int i = 0; i < layout->element_count; i++) {
		const struct dnp3_element *element = &layout->elements[i];

		element_read(walk, element);
		if (walk->in.short_read || walk->failed)
			return;
		walk->present |= element->present;
	}
}
