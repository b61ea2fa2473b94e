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

/* Types and names of tags come in blocks up to one of length 0; the first block of types has an id, empty or not. */
static void
skip_blocks(struct cursor *in, uint8_t tag)
{
	bool first = true;

	while (!in->short_read) {
		uint16_t len = cursor_be16(in);

		if (len == 0) {
			cursor_skip(in, first && tag == S7P_TAG_TYPES ? TYPES_ID_LEN : 0);
			return;
		}
		cursor_skip(in, len);
		first = false;
	}
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
	case S7P_TAG_TYPES:
	case S7P_TAG_NAMES:
		skip_blocks(in, tag);
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
