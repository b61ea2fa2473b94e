/*
 * Points: object headers' objects one by one, with their prefixes and their records. What
 * does not fit into the record is read past and counted.
 */
#include "proto/dnp3/dnp3.h"
#include "proto/dnp3/dnp3_shapes.h"
#include "proto/dnp3/dnp3_walk.h"

#include <assert.h>

enum {
	POINT_SIZE_MAX = 256,   /* of the shapes' structs */
	GROUP_BINARY_EVENT = 2,
	GROUP_DOUBLE_EVENT = 4,
	GROUP_COMMON_TIME = 51,
	VARIATION_RELATIVE = 3, /* of both kinds of event */
	OBJECTS_LEFT_MAX = 48,  /* object headers that points leave room for behind them */
};

static_assert(sizeof(struct dnp3_point_file) <= POINT_SIZE_MAX && sizeof(struct dnp3_point_auth) <= POINT_SIZE_MAX,
	"the largest points fit into the place for points without room");
static_assert(sizeof(struct dnp3_point_bit) == 32 && offsetof(struct dnp3_point_binary, timestamp) == 40 &&
	      offsetof(struct dnp3_point_counter, timestamp) == 40 &&
	      offsetof(struct dnp3_point_analog, timestamp) == 40 && sizeof(struct dnp3_point_command) <= 64,
	"the points that come in thousands are small");

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

/* Room for as many of count small points as fit, one behind another: they come in hundreds, and are linked by hand. */
static struct dnp3_point_bit *
packed_append(struct dnp3_message *message, struct dnp3_object *object, uint64_t count, uint32_t *appended)
{
	struct record_builder *b = message->ctx->record;
	uint32_t room = b->len + 8 < message->points_room ? message->points_room - b->len - 8 : 0;
	uint64_t fitting = room / sizeof(struct dnp3_point_bit);
	struct dnp3_point_bit *points;
	struct record_ref ref;

	*appended = 0;
	if (object == NULL || fitting == 0)
		return NULL;
	if (fitting > count)
		fitting = count;
	points = record_reserve(b, &ref, (uint32_t)fitting, sizeof(*points));
	if (points == NULL)
		return NULL;
	*appended = (uint32_t)fitting;
	object->points.first = ref.off;
	object->points.last = ref.off + (ref.count - 1) * (uint32_t)sizeof(*points);
	object->points.count = ref.count;
	record_present(&object->head, DNP3_OBJECT_HAS_POINTS);
	return points;
}

/* Points of 1 or 2 bits, the first in the lowest bits of the first octet. */
static bool
packed_read(struct dnp3_message *message, const struct dnp3_header *header, const struct dnp3_layout *layout,
	struct dnp3_object *object)
{
	const uint32_t per_octet = 8 / layout->packed_bits;
	const uint8_t mask = (uint8_t)((1 << layout->packed_bits) - 1);
	struct dnp3_point_bit *points;
	uint64_t count = header->count;
	uint8_t octet = 0;
	uint32_t appended;
	uint32_t next;
	struct cursor in;

	if (count > message->points_left)
		return fail(message, DNP3_EVENT_TOO_MANY_POINTS);
	message->points_left -= count;
	in = cursor_sub(&message->in, (count + per_octet - 1) / per_octet);
	if (in.short_read)
		return fail(message, DNP3_EVENT_TRUNCATED_OBJECT);
	dnp3_leave_room(message, cursor_left(&message->in));
	points = packed_append(message, object, count, &appended);
	next = appended > 0 ? object->points.first : 0;
	for (uint32_t i = 0; i < appended; i++, octet >>= layout->packed_bits) {
		if (i % per_octet == 0)
			octet = cursor_u8(&in);
		next += (uint32_t)sizeof(*points);
		points[i].at = (struct dnp3_point){ .head = { .present = layout->elements[0].present,
			.next = i + 1 < appended ? next : 0, .shape = layout->shape },
			.index = header->start + i, .small.u8 = octet & mask };
	}
	if (appended < count)
		points_truncated(message, object, (uint32_t)count - appended);
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

/* One point of a known layout. walk is of this header. false: the message cannot be read further. */
static bool
point_read(struct dnp3_walk *walk, const struct dnp3_header *header, const struct dnp3_layout *layout,
	struct dnp3_object *object, uint32_t nth)
{
	_Alignas(8) uint8_t nowhere[POINT_SIZE_MAX]; /* where the elements of a point without room go */
	struct dnp3_message *message = walk->message;
	uint32_t prefix = dnp3_number_read(&message->in, header->prefix_len);
	struct dnp3_point *point;

	walk->in = header->sized ? cursor_sub(&message->in, prefix) : message->in;
	if (message->in.short_read)
		return fail(message, DNP3_EVENT_TRUNCATED_OBJECT);
	point = point_append(message, object, layout->shape);
	walk->discard = point == NULL;
	walk->point = walk->discard ? memset(nowhere, 0, sizeof(nowhere)) : (uint8_t *)point;
	walk->present = 0;
	walk->shortened = false;
	dnp3_object_walk(walk, layout);
	if (walk->discard || walk->shortened)
		points_truncated(message, object, 1);
	if (!walk->discard) {
		point_name(point, header, prefix, nth);
		point->head.present |= walk->present;
	}
	if (walk->failed)
		return fail(message, DNP3_EVENT_TRUNCATED_OBJECT);
	if (!header->sized) {
		message->in = walk->in;
		return walk->in.short_read ? fail(message, DNP3_EVENT_TRUNCATED_OBJECT) : true;
	}
	if (walk->in.short_read || cursor_left(&walk->in) > 0)
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

/* Octet strings of no length and without a prefix: no byte bounds their number, so none becomes a point. */
static bool
takes_nothing(const struct dnp3_header *header, const struct dnp3_layout *layout)
{
	return header->prefix_len == 0 && header->variation == 0 && layout != NULL &&
	       layout->elements[0].kind == DNP3_KIND_OCTETS;
}

void
dnp3_leave_room(struct dnp3_message *message, size_t behind)
{
	size_t headers = behind / DNP3_OBJECT_HEADER_MIN;
	uint32_t count = headers < DNP3_OBJECTS_MAX ? (uint32_t)headers : DNP3_OBJECTS_MAX;
	uint32_t objects = count < OBJECTS_LEFT_MAX ? count : OBJECTS_LEFT_MAX;

	message->ids_room = (message->id_count + count) * (uint32_t)sizeof(message->ids[0]) + 8;
	message->points_room = message->ctx->record->cap - message->ids_room - objects * (uint32_t)sizeof(struct dnp3_object);
}

/* What follows the points of a size, 0: not known; and these. */
static size_t
bytes_behind(const struct dnp3_message *message, const struct dnp3_header *header, uint32_t size)
{
	size_t left = cursor_left(&message->in);
	uint64_t len = size > 0 && !header->sized ? (uint64_t)header->count * (header->prefix_len + size) : 0;

	return len < left ? left - (size_t)len : 0;
}

/* IEEE 1815 A.24: a common time of occurrence is that of the relative times behind it in the message (A.3.3, A.5.3). */
static void
follow_time(struct dnp3_message *message, const struct dnp3_header *header, const struct dnp3_object *object)
{
	uint8_t *base = message->ctx->record->base;
	uint32_t next = object->points.first;

	if (next == 0)
		return;
	if (header->group == GROUP_COMMON_TIME) {
		const struct dnp3_point_time *point = (const void *)(base + next);

		message->common_time = point->timestamp;
		message->has_common_time = record_is_present(point, DNP3_TIME_TIMESTAMP);
		return;
	}
	if (!message->has_common_time || header->variation != VARIATION_RELATIVE)
		return;
	while (next != 0) {
		struct dnp3_point_binary *point = (void *)(base + next);

		point->timestamp = message->common_time + point->at.small.u16;
		record_present(&point->at.head, DNP3_BINARY_EVENT_TIMESTAMP);
		next = point->at.head.next;
	}
}

static bool
read_points(struct dnp3_message *message, const struct dnp3_header *header, struct dnp3_object *object)
{
	const struct dnp3_layout *layout = header->no_data ? NULL : header->layout;
	struct dnp3_walk walk = { .message = message, .variation = header->variation, .sized = header->sized };
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
	if (takes_nothing(header, layout))
		return header->count <= message->points_left ? true : fail(message, DNP3_EVENT_TOO_MANY_POINTS);
	dnp3_leave_room(message, bytes_behind(message, header, size));
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
		if (!(layout == NULL ? plain_read(message, header, object, i) : point_read(&walk, header, layout, object, i)))
			return false;
	}
	return true;
}

bool
dnp3_points_read(struct dnp3_message *message, const struct dnp3_header *header, struct dnp3_object *object)
{
	bool whole = read_points(message, header, object);

	if (object != NULL && !header->no_data &&
		(header->group == GROUP_COMMON_TIME || header->group == GROUP_BINARY_EVENT || header->group == GROUP_DOUBLE_EVENT))
		follow_time(message, header, object);
	return whole;
}
