/* Logix tags: read, write, fragments, bit changes, lists of symbols (PM020, "CIP Services"). */
#include "proto/enip/enip.h"

enum { TYPE_UDINT = 0xc8 };

static void
put_elements(struct enip_node *node, uint32_t elements)
{
	node->cip->elements = elements;
	enip_node_has(node, ENIP_HAS_ELEMENTS);
}

static void
put_offset(struct enip_node *node, uint32_t offset)
{
	node->cip->offset = offset;
	enip_node_has(node, ENIP_HAS_OFFSET);
}

void
enip_tag_read_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	(void)pdu;
	put_elements(node, cursor_le16(body));
}

void
enip_tag_read_fragment_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	(void)pdu;
	put_elements(node, cursor_le16(body));
	put_offset(node, cursor_le32(body));
}

/* Type, for structures the handle of their template, then the elements. */
void
enip_tag_read_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	uint16_t type;

	if (cursor_left(body) == 0)
		return;
	type = cursor_le16(body);
	if (!body->short_read)
		enip_append_typed(pdu, node, type, body);
}

/* The handle of a structure stands before the count; it goes back in front of the elements, where replies have it. */
static void
write_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body, bool fragment)
{
	enum { TYPE_STRUCTURE = 0x02a0 };
	uint16_t type = cursor_le16(body);
	uint16_t handle = type == TYPE_STRUCTURE ? cursor_le16(body) : 0;
	struct enip_value *value;

	put_elements(node, cursor_le16(body));
	if (fragment)
		put_offset(node, cursor_le32(body));
	if (body->short_read)
		return;
	if (type != TYPE_STRUCTURE) {
		enip_append_typed(pdu, node, type, body);
		return;
	}
	value = record_append(pdu->ctx->record, &node->cip->values, enip_value_tables, 0);
	if (value == NULL)
		return;
	enip_node_has(node, ENIP_HAS_VALUES);
	value->type = type;
	value->structure = handle;
	value->head.present = 1u << ENIP_VALUE_TYPE | 1u << ENIP_VALUE_STRUCTURE;
	enip_value_put_bytes(pdu, value, SCALAR_HEX, cursor_sub(body, cursor_left(body)));
}

void
enip_tag_write_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	write_request(pdu, node, body, false);
}

void
enip_tag_write_fragment_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	write_request(pdu, node, body, true);
}

static void
append_mask(struct enip_pdu *pdu, struct enip_node *node, const char *name, unsigned int size, struct cursor *body)
{
	struct enip_value *value = record_append(pdu->ctx->record, &node->cip->values, enip_value_tables, 0);
	uint64_t mask = 0;

	if (value == NULL)
		return;
	enip_node_has(node, ENIP_HAS_VALUES);
	value->name = name;
	record_present(&value->head, ENIP_VALUE_NAME);
	for (unsigned int i = 0; i < size; i++)
		mask |= (uint64_t)cursor_u8(body) << 8 * i;
	enip_value_put_number(pdu, value, mask);
}

/* Bits set, then bits kept: masks of 1, 2, 4, 8 or 12 octets; the last is that of a structured type. */
void
enip_tag_modify_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	uint16_t size = cursor_le16(body);

	if (size == 0 || size > 8 || cursor_left(body) < (size_t)size * 2) {
		enip_read_opaque(pdu, node, body);
		return;
	}
	append_mask(pdu, node, "or_mask", size, body);
	append_mask(pdu, node, "and_mask", size, body);
}

/* Where in the template, and how many octets of it. */
void
enip_template_read_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	(void)pdu;
	if (cursor_left(body) < 6)
		return;
	put_offset(node, cursor_le32(body));
	put_elements(node, cursor_le16(body));
}

static struct enip_value *
append_instance(struct enip_pdu *pdu, struct enip_node *node, uint32_t instance_id)
{
	struct enip_value *value = record_append(pdu->ctx->record, &node->cip->values, enip_value_tables, 0);

	if (value == NULL)
		return NULL;
	enip_node_has(node, ENIP_HAS_VALUES);
	value->name = "instance_id";
	record_present(&value->head, ENIP_VALUE_NAME);
	enip_value_put_number(pdu, value, instance_id);
	return value;
}

/* A list of symbols: instance, then the attributes asked for in their order, all of known types or the list ends. */
void
enip_tag_list_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	const uint16_t *ids;
	uint32_t id_count;

	if (!enip_asked_is(node, ENIP_HAS_ATTRIBUTE_LIST))
		return;
	ids = (const void *)(pdu->ctx->record->base + node->asked->attribute_list.off);
	id_count = node->asked->attribute_list.count;
	for (uint32_t i = 0; i < id_count; i++) {
		const struct enip_attribute *row = enip_attribute_find(ENIP_CLASS_SYMBOL, true, ids[i]);

		if (row == NULL || (row->type >= ENIP_TYPE_IP && row->type != ENIP_TYPE_DIMENSIONS))
			return;
	}
	for (unsigned int n = 0; n < ENIP_ATTRIBUTES_MAX && cursor_left(body) >= 4; n++) {
		if (append_instance(pdu, node, cursor_le32(body)) == NULL)
			return;
		for (uint32_t i = 0; i < id_count && cursor_left(body) > 0; i++) {
			const struct enip_attribute *row = enip_attribute_find(ENIP_CLASS_SYMBOL, true, ids[i]);
			bool dimensions = row->type == ENIP_TYPE_DIMENSIONS;
			uint16_t type = dimensions ? TYPE_UDINT : row->type;
			unsigned int size = enip_type_size(type) * (dimensions ? 3 : 1);
			struct cursor peek = *body;
			struct cursor one = cursor_sub(body, size > 0 ? size : cursor_le16(&peek) + 2u);
			struct enip_value *value = one.short_read ? NULL : enip_append_typed(pdu, node, type, &one);

			if (value == NULL)
				return;
			value->attribute_id = ids[i];
			value->name = row->name;
			record_present(&value->head, ENIP_VALUE_ATTRIBUTE);
			record_present(&value->head, ENIP_VALUE_NAME);
		}
	}
}
