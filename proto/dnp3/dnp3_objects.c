/*
 * Points: walks the layouts of dnp3_points.c over the bytes of an object header. What does
 * not fit into the record is read past and counted.
 */
#include "proto/dnp3/dnp3.h"
#include "proto/dnp3/dnp3_shapes.h"

#include <assert.h>
#include <immintrin.h>

enum {
	POINT_SIZE_MAX = 256,    /* of the shapes' structs */
	EXTENDED_ATTRIBUTE_LIST = 255, /* data type whose length octet counts from 256 */
	FIXED_MAX = DNP3_KIND_BYTES4,
};

/* Bytes on the wire of the kinds that have a fixed size, in the order of enum dnp3_kind. */
static const uint8_t kind_sizes[FIXED_MAX + 1] = {
	[DNP3_KIND_U8] = 1, [DNP3_KIND_U16] = 2, [DNP3_KIND_U32] = 4, [DNP3_KIND_U16_U32] = 2, [DNP3_KIND_I16_I32] = 2,
	[DNP3_KIND_I32] = 4, [DNP3_KIND_F32] = 4, [DNP3_KIND_F64] = 8, [DNP3_KIND_U8_U64] = 1, [DNP3_KIND_TIME48] = 6,
	[DNP3_KIND_U16_TIME] = 2, [DNP3_KIND_FLAGS] = 1, [DNP3_KIND_DOUBLE] = 1, [DNP3_KIND_SPLIT7] = 1,
	[DNP3_KIND_CONTROL] = 1, [DNP3_KIND_BCD16] = 2, [DNP3_KIND_BCD32] = 4, [DNP3_KIND_BCD64] = 8,
	[DNP3_KIND_BLOCK] = 4, [DNP3_KIND_BYTES4] = 4,
};

static_assert(sizeof(struct dnp3_point_file) <= POINT_SIZE_MAX && sizeof(struct dnp3_point_auth) <= POINT_SIZE_MAX,
	"the largest points fit into the place for points without room");
static_assert(sizeof(struct dnp3_point_bit) == 32 && offsetof(struct dnp3_point_binary, timestamp) == 40 &&
	      offsetof(struct dnp3_point_counter, timestamp) == 40 &&
	      offsetof(struct dnp3_point_analog, timestamp) == 40 && sizeof(struct dnp3_point_command) <= 64,
	"the points that come in thousands are small");

/* One object being read. */
struct walk {
	struct dnp3_message *message;
	struct cursor in;
	uint8_t *point;            /* the shape's struct */
	uint64_t present;
	uint32_t reg[DNP3_REG_COUNT];
	uint8_t variation;
	bool sized;                /* in ends where the object does */
	bool discard;              /* no room: the point is read past */
	bool shortened;            /* a variable part had no room */
	bool failed;               /* contents that cannot be delimited */
};

const struct dnp3_layout *
dnp3_layout_find(uint8_t group, uint8_t variation)
{
	uint16_t low = 0;
	uint16_t high = dnp3_layout_count;
	uint16_t key = (uint16_t)(group << 8 | variation);

	while (low < high) {
		uint16_t middle = (uint16_t)((low + high) / 2);
		const struct dnp3_layout *layout = &dnp3_layouts[middle];

		if (layout->group == group && (layout->any_variation || layout->variation == variation))
			return layout;
		if ((uint16_t)(layout->group << 8 | layout->variation) < key)
			low = (uint16_t)(middle + 1);
		else
			high = middle;
	}
	return NULL;
}

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

uint32_t
dnp3_number_read(struct cursor *in, uint8_t len)
{
	switch (len) {
	case 0:
		return 0;
	case 1:
		return cursor_u8(in);
	case 2:
		return cursor_le16(in);
	default:
		return cursor_le32(in);
	}
}

/* ---- elements ---- */

static void
put_bytes(struct walk *walk, struct record_ref *ref, const uint8_t *data, uint32_t len)
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
take_bytes(struct walk *walk, const struct dnp3_element *element, uint32_t len)
{
	struct record_ref ref = { 0 };

	put_bytes(walk, &ref, cursor_take(&walk->in, len), len);
	memcpy(walk->point + element->offset, &ref, sizeof(ref));
}

static void
read_bytes(struct walk *walk, const struct dnp3_element *element)
{
	take_bytes(walk, element, element->kind == DNP3_KIND_BYTES4 ? 4 : walk->reg[element->reg]);
}

static void
read_rest(struct walk *walk, const struct dnp3_element *element)
{
	/* Without a size nothing says where the object ends. */
	if (!walk->sized)
		walk->failed = true;
	else
		take_bytes(walk, element, (uint32_t)cursor_left(&walk->in));
}

static void
read_octets(struct walk *walk, const struct dnp3_element *element)
{
	take_bytes(walk, element, walk->sized ? (uint32_t)cursor_left(&walk->in) : walk->variation);
}

/* Packed decimal, low octet first. A nibble above 9 is not a digit; it is read as the hexadecimal digit's value. */
static void
read_bcd(struct walk *walk, const struct dnp3_element *element)
{
	const uint32_t len = kind_sizes[element->kind];
	const uint8_t *digits = cursor_take(&walk->in, len);
	uint64_t value = 0;

	for (uint32_t i = len; digits != NULL && i-- > 0;)
		value = value * 100 + (digits[i] >> 4) * 10 + (digits[i] & 0x0f);
	memcpy(walk->point + element->offset, &value, sizeof(value));
}

static void
read_block(struct walk *walk, const struct dnp3_element *element)
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
attribute_list(struct walk *walk, struct dnp3_point_attribute *attribute, const uint8_t *data, uint32_t len)
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
read_attribute(struct walk *walk, const struct dnp3_element *element)
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
	case DNP3_ATTRIBUTE_HEX:
		put_bytes(walk, &attribute->bytes, data, len);
		break;
	default: /* integers and floats are all little-endian in a union */
		attribute->number.u64 = integer_of(data, len, field == DNP3_ATTRIBUTE_INT);
	}
}

static struct dnp3_element_record *
element_append(struct walk *walk, struct record_list *list)
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
descriptor_read(struct walk *walk, struct dnp3_element_record *record, struct cursor in)
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
read_elements(struct walk *walk, const struct dnp3_element *element)
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

static void (*const variable_readers[])(struct walk *, const struct dnp3_element *) = {
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
element_read(struct walk *walk, const struct dnp3_element *element)
{
	uint64_t value = 0;
	uint32_t len = 4; /* bytes of value that the record keeps, low ones first */

	switch (element->kind) {
	case DNP3_KIND_FLAGS:
		value = bits_spread(cursor_u8(&walk->in));
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
	case DNP3_KIND_U16_TIME:
		value = cursor_le16(&walk->in);
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

/* ---- points ---- */

/* The record of a point with its prefix; NULL when there is no room. */
static struct dnp3_point *
point_append(struct dnp3_message *message, struct dnp3_object *object, uint8_t shape)
{
	struct record_builder *b = message->ctx->record;
	struct dnp3_point *point;

	if (object == NULL || b->len + dnp3_point_shapes[shape]->size + 8 > message->points_room)
		return NULL;
	point = record_append(b, &object->points, dnp3_point_shapes, shape);
	if (point != NULL)
		record_present(&object->head, DNP3_OBJECT_HAS_POINTS);
	return point;
}

static void
points_truncated(struct dnp3_message *message, struct dnp3_object *object, uint32_t count)
{
	message->record->points_truncated += count;
	counter_add(&message->ctx->counters[DNP3_POINTS_TRUNCATED], count);
	if (object == NULL)
		return;
	object->points_truncated += count;
	record_present(&object->head, DNP3_OBJECT_TRUNCATED);
}

/* prefix, index and size, by what the prefix is. */
static void
point_name(struct dnp3_point *point, const struct dnp3_header *header, uint32_t prefix, uint32_t nth)
{
	point->prefix = prefix;
	point->index = header->prefix_len > 0 && !header->sized ? prefix : header->start + nth;
	if (header->sized) {
		point->size = prefix;
		record_present(&point->head, DNP3_HAS_SIZE);
	}
}

static bool
fail(struct dnp3_message *message, enum dnp3_event event)
{
	proto_event(message->ctx, event);
	return false;
}

/* Points of 1 or 2 bits, the first in the lowest bits of the first octet. */
static bool
packed_read(struct dnp3_message *message, const struct dnp3_header *header, const struct dnp3_layout *layout,
	struct dnp3_object *object)
{
	const uint32_t per_octet = 8 / layout->packed_bits;
	const uint8_t mask = (uint8_t)((1 << layout->packed_bits) - 1);
	uint64_t count = header->count;
	uint32_t i = 0;
	struct cursor in;

	if (count > message->points_left)
		return fail(message, DNP3_EVENT_TOO_MANY_POINTS);
	message->points_left -= count;
	in = cursor_sub(&message->in, (count + per_octet - 1) / per_octet);
	if (in.short_read)
		return fail(message, DNP3_EVENT_TRUNCATED_OBJECT);
	for (uint8_t octet = 0; i < count; i++, octet >>= layout->packed_bits) {
		struct dnp3_point_bit *point = (struct dnp3_point_bit *)point_append(message, object, layout->shape);

		if (point == NULL)
			break;
		if (i % per_octet == 0)
			octet = cursor_u8(&in);
		point_name(&point->at, header, 0, i);
		point->at.small.u8 = octet & mask;
		point->at.head.present |= layout->elements[0].present;
	}
	if (i < count)
		points_truncated(message, object, (uint32_t)count - i);
	return true;
}

/* Passes over points of a fixed size that the record has no room for. */
static bool
points_skip(struct dnp3_message *message, struct dnp3_object *object, uint32_t count, uint64_t size)
{
	if (count > message->points_left)
		return fail(message, DNP3_EVENT_TOO_MANY_POINTS);
	message->points_left -= count;
	points_truncated(message, object, count);
	cursor_skip(&message->in, count * size);
	return message->in.short_read ? fail(message, DNP3_EVENT_TRUNCATED_OBJECT) : true;
}

/* One object after its prefix. in ends at its end when the prefix was a size. */
static void
object_walk(struct walk *walk, const struct dnp3_layout *layout)
{
	for (unsigned int i = 0; i < layout->element_count; i++) {
		const struct dnp3_element *element = &layout->elements[i];

		element_read(walk, element);
		if (walk->in.short_read || walk->failed)
			return;
		walk->present |= element->present;
	}
}

/* One point of a known layout. false: the message cannot be read further. */
static bool
point_read(struct dnp3_message *message, const struct dnp3_header *header, const struct dnp3_layout *layout,
	struct dnp3_object *object, uint32_t nth)
{
	_Alignas(8) uint8_t nowhere[POINT_SIZE_MAX]; /* where the elements of a point without room go */
	struct walk walk = { .message = message, .variation = header->variation, .sized = header->sized };
	uint32_t prefix = dnp3_number_read(&message->in, header->prefix_len);
	struct dnp3_point *point;

	walk.in = header->sized ? cursor_sub(&message->in, prefix) : message->in;
	if (message->in.short_read)
		return fail(message, DNP3_EVENT_TRUNCATED_OBJECT);
	point = point_append(message, object, layout->shape);
	walk.discard = point == NULL;
	walk.point = walk.discard ? memset(nowhere, 0, sizeof(nowhere)) : (uint8_t *)point;
	object_walk(&walk, layout);
	if (walk.discard || walk.shortened)
		points_truncated(message, object, 1);
	if (!walk.discard) {
		point_name(point, header, prefix, nth);
		point->head.present |= walk.present;
	}
	if (walk.failed)
		return fail(message, DNP3_EVENT_TRUNCATED_OBJECT);
	if (!header->sized) {
		message->in = walk.in;
		return walk.in.short_read ? fail(message, DNP3_EVENT_TRUNCATED_OBJECT) : true;
	}
	if (walk.in.short_read || cursor_left(&walk.in) > 0)
		proto_event(message->ctx, DNP3_EVENT_INVALID_OBJECT_LENGTH);
	return true;
}

/* Prefixes alone, or sized objects of an unknown kind: which points they are is all that can be said. */
static bool
plain_read(struct dnp3_message *message, const struct dnp3_header *header, struct dnp3_object *object, uint32_t nth)
{
	uint32_t prefix = dnp3_number_read(&message->in, header->prefix_len);
	struct dnp3_point *point;

	if (header->sized)
		cursor_skip(&message->in, prefix);
	if (message->in.short_read)
		return fail(message, DNP3_EVENT_TRUNCATED_OBJECT);
	point = point_append(message, object, DNP3_SHAPE_PLAIN);
	if (point == NULL)
		points_truncated(message, object, 1);
	else
		point_name(point, header, prefix, nth);
	return true;
}

static const struct dnp3_layout *
layout_for(const struct dnp3_header *header)
{
	return header->no_data ? NULL : dnp3_layout_find(header->group, header->variation);
}

bool
dnp3_points_read(struct dnp3_message *message, const struct dnp3_header *header, struct dnp3_object *object)
{
	const struct dnp3_layout *layout = layout_for(header);
	uint32_t size;

	if (header->count == 0 || (header->no_data && header->prefix_len == 0))
		return true;
	if (layout == NULL && !header->no_data) {
		proto_event(message->ctx, DNP3_EVENT_UNKNOWN_OBJECT);
		message->unknown_skipped = true;
		if (!header->sized)
			return false;
	}
	/* A packed point with a prefix of its own stands alone in an octet, and is read as the others. */
	if (layout != NULL && layout->packed_bits != 0 && header->prefix_len == 0)
		return packed_read(message, header, layout, object);
	size = layout == NULL ? 0 : dnp3_layout_size(layout);
	for (uint32_t i = 0; i < header->count; i++) {
		if (message->points_left == 0)
			return fail(message, DNP3_EVENT_TOO_MANY_POINTS);
		if (size > 0 && !header->sized) {
			if (cursor_left(&message->in) < header->prefix_len + size)
				return fail(message, DNP3_EVENT_TRUNCATED_OBJECT);
			if (object == NULL || object->points_truncated > 0)
				return points_skip(message, object, header->count - i, header->prefix_len + size);
		}
		message->points_left--;
		if (!(layout == NULL ? plain_read(message, header, object, i) : point_read(message, header, layout, object, i)))
			return false;
	}
	return true;
}
