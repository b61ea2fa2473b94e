/* Objects in one another: classes, attributes, and what describes their tags. */
#include "proto/s7comm_plus/s7comm_plus.h"

enum { TYPES_ID_LEN = 4, RELATION_LEN = 4 };

static uint32_t
begin_object(struct s7p_message *message, struct cursor *in, unsigned int depth)
{
	struct s7p_object *object = NULL;
	uint32_t relation_id = cursor_be32(in);
	uint32_t class_id = s7p_vlq32(in);

	(void)s7p_vlq32(in); /* flags of the class */
	if (s7p_vlq32(in) != 0)
		(void)s7p_vlq32(in); /* an attribute has flags too */
	if (++message->values > S7P_VALUES_MAX)
		s7p_leave_out(message);
	else if (!in->short_read)
		object = record_append(message->ctx->record, &message->record->objects, s7p_object_tables, 0);
	if (object != NULL) {
		object->relation_id = relation_id;
		object->class_id = class_id;
		object->depth = (uint8_t)depth;
		s7p_has(message, S7P_HAS_OBJECTS);
	}
	return relation_id;
}

/* Types of tags come in blocks up to one of length 0; the first block has an id, empty or not. */
static void
skip_types(struct cursor *in)
{
	bool first = true;

	while (!in->short_read) {
		uint16_t len = cursor_be16(in);

		if (len == 0) {
			cursor_skip(in, first ? TYPES_ID_LEN : 0);
			return;
		}
		cursor_skip(in, len);
		first = false;
	}
}

static struct s7p_tag_record *
add_tag(struct s7p_message *message, uint32_t object_id, const uint8_t *name, uint32_t len)
{
	struct s7p_tag_record *tag;

	if (++message->values > S7P_VALUES_MAX) {
		s7p_leave_out(message);
		return NULL;
	}
	tag = record_append(message->ctx->record, &message->record->tags, s7p_tag_tables, 0);
	if (tag == NULL)
		return NULL;
	tag->object_id = object_id;
	record_put_bytes(message->ctx->record, &tag->name, name, len < S7P_BYTES_MAX ? len : S7P_BYTES_MAX);
	s7p_has(message, S7P_HAS_TAGS);
	return tag;
}

/* Names of tags, in the order of their types: each has its length before it and a zero behind it, and lies within a block. Half the room of a
 * message stays for values. */
static void
read_names(struct s7p_message *message, struct cursor *in, uint32_t object_id)
{
	while (!in->short_read) {
		uint16_t block_len = cursor_be16(in);
		struct cursor block = cursor_sub(in, block_len);

		if (block_len == 0)
			return;
		while (cursor_left(&block) > 0) {
			uint8_t len = cursor_u8(&block);
			const uint8_t *name = cursor_take(&block, len);

			cursor_skip(&block, 1);
			if (block.short_read)
				break;
			if (message->values < S7P_VALUES_MAX / 2)
				(void)add_tag(message, object_id, name, len);
			else
				s7p_leave_out(message);
		}
	}
}

static void
skip_numbers(struct cursor *in, uint32_t count)
{
	for (uint32_t i = 0; i < count && !in->short_read; i++)
		(void)s7p_vlq32(in);
}

/* Where a tag is, by both ways of addressing, behind its description: so many numbers, as its form says. */
static void
skip_offsets(struct cursor *in, uint8_t form)
{
	enum { SECTION = 0x0c, SHAPE = 0x03, INSTANCE = 0x08 };
	/* Of a plain one, a bit, an array, an array of several dimensions. */
	static const uint8_t more[] = { 0, 2, 4, 2 };

	skip_numbers(in, ((form & SECTION) != 0 ? 2u : 0u) + 2 + more[form & SHAPE]);
	if ((form & SHAPE) == SHAPE)
		for (uint32_t i = s7p_vlq32(in); i > 0 && !in->short_read; i--)
			skip_numbers(in, 2); /* lowest index, elements */
	skip_numbers(in, form == INSTANCE ? 2 : 0);
}

/* S7-1200 of the first versions describe tags one by one. */
static void
read_description(struct s7p_message *message, struct cursor *in, uint32_t object_id)
{
	struct s7p_tag_record *tag;
	uint8_t form = cursor_u8(in), type;
	uint32_t len = s7p_vlq32(in);
	const uint8_t *name = cursor_take(in, len);
	uint32_t lid;

	cursor_skip(in, 1);
	type = cursor_u8(in);
	(void)s7p_vlq32(in); /* type of the program's language */
	cursor_skip(in, 4);  /* attributes */
	lid = s7p_vlq32(in);
	(void)s7p_vlq32(in); /* length of a string, or the structure's id */
	skip_offsets(in, form);
	if (in->short_read)
		return;
	tag = add_tag(message, object_id, name, len);
	if (tag == NULL)
		return;
	tag->lid = lid;
	tag->type = type;
	record_present(&tag->head, 0);
}

/* @return false: what follows cannot be read, or is no object's */
static bool
read_tag(struct s7p_message *message, struct cursor *in, uint32_t objects[S7P_DEPTH_MAX + 1], unsigned int *depth)
{
	uint8_t tag = cursor_u8(in);
	uint32_t id;

	switch (tag) {
	case S7P_TAG_OBJECT:
		if (*depth == S7P_DEPTH_MAX)
			return false;
		++*depth;
		objects[*depth] = begin_object(message, in, *depth);
		break;
	case S7P_TAG_OBJECT_END:
		if (*depth == 0)
			return false;
		--*depth;
		break;
	case S7P_TAG_ATTRIBUTE:
		id = s7p_vlq32(in);
		return s7p_read_value(message, in, id, objects[*depth]);
	case S7P_TAG_RELATION:
		(void)s7p_vlq32(in);
		cursor_skip(in, RELATION_LEN);
		break;
	case S7P_TAG_DESCRIPTION:
		read_description(message, in, objects[*depth]);
		break;
	case S7P_TAG_DESCRIPTION_END:
		break;
	case S7P_TAG_TYPES:
		skip_types(in);
		break;
	case S7P_TAG_NAMES:
		read_names(message, in, objects[*depth]);
		break;
	default:
		return false;
	}
	return !in->short_read;
}

void
s7p_read_objects(struct s7p_message *message, struct cursor *in)
{
	uint32_t objects[S7P_DEPTH_MAX + 1] = { 0 };
	unsigned int depth = 0;

	for (unsigned int i = 0; i < 4 * S7P_VALUES_MAX && cursor_left(in) > 0; i++) {
		struct cursor before = *in;

		if (!read_tag(message, in, objects, &depth)) {
			if (!in->short_read)
				*in = before;
			return;
		}
	}
}
