/*
 * Values: attributes and tags by their data type (CIP appendix C-6). What type an attribute
 * has, only its class says (enip_attributes.c); those that no table knows stay hex.
 */
#include "proto/enip/enip.h"

enum kind { KIND_NONE, KIND_BOOL, KIND_SIGNED, KIND_UNSIGNED, KIND_REAL, KIND_TEXT8, KIND_TEXT16, KIND_HEX };

enum { TYPE_FIRST = 0xc1, TYPE_UDINT = 0xc8, TYPE_LAST = 0xde, TYPE_STRUCTURE = 0x02a0, STRUCTURE_STRING = 0x0fce, PATH_WORDS_MAX = 64 };

/* By type code from TYPE_FIRST on. */
static const struct type {
	uint8_t kind;
	uint8_t size;
} types[] = {
	{ KIND_BOOL, 1 }, /* BOOL */
	{ KIND_SIGNED, 1 }, { KIND_SIGNED, 2 }, { KIND_SIGNED, 4 }, { KIND_SIGNED, 8 }, /* SINT to LINT */
	{ KIND_UNSIGNED, 1 }, { KIND_UNSIGNED, 2 }, { KIND_UNSIGNED, 4 }, { KIND_UNSIGNED, 8 }, /* USINT to ULINT */
	{ KIND_REAL, 4 }, { KIND_REAL, 8 }, /* REAL, LREAL */
	{ KIND_SIGNED, 4 }, { KIND_UNSIGNED, 2 }, { KIND_UNSIGNED, 4 }, /* STIME, DATE, TIME_OF_DAY */
	{ KIND_HEX, 6 }, /* DATE_AND_TIME */
	{ KIND_TEXT16, 0 }, /* STRING */
	{ KIND_UNSIGNED, 1 }, { KIND_UNSIGNED, 2 }, { KIND_UNSIGNED, 4 }, { KIND_UNSIGNED, 8 }, /* BYTE to LWORD */
	{ KIND_NONE, 0 }, /* STRING2 */
	{ KIND_SIGNED, 4 }, { KIND_SIGNED, 8 }, { KIND_SIGNED, 2 }, /* FTIME, LTIME, ITIME */
	{ KIND_NONE, 0 }, /* STRINGN */
	{ KIND_TEXT8, 0 }, /* SHORT_STRING */
	{ KIND_SIGNED, 4 }, /* TIME */
	{ KIND_NONE, 0 }, /* EPATH */
	{ KIND_UNSIGNED, 2 }, /* ENGUNIT */
	{ KIND_NONE, 0 }, /* STRINGI */
};

static const struct type *
type_of(uint16_t type)
{
	return type < TYPE_FIRST || type > TYPE_LAST || types[type - TYPE_FIRST].kind == KIND_NONE ? NULL
												    : &types[type - TYPE_FIRST];
}

unsigned int
enip_type_size(uint16_t type)
{
	return type_of(type) == NULL ? 0 : type_of(type)->size;
}

static uint64_t
read_unsigned(unsigned int size, struct cursor *in)
{
	return size == 1 ? cursor_u8(in) : size == 2 ? cursor_le16(in) : size == 4 ? cursor_le32(in) : cursor_le64(in);
}

static int64_t
read_signed(unsigned int size, struct cursor *in)
{
	uint64_t raw = read_unsigned(size, in);

	return size == 1 ? (int8_t)raw : size == 2 ? (int16_t)raw : size == 4 ? (int32_t)raw : (int64_t)raw;
}

static struct enip_value *
append(struct enip_pdu *pdu, struct enip_node *node)
{
	struct enip_value *value = record_append(pdu->ctx->record, &node->cip->values, enip_value_tables, 0);

	if (value != NULL)
		enip_node_has(node, ENIP_HAS_VALUES);
	return value;
}

static struct record_scalar *
reserve(struct enip_pdu *pdu, struct enip_value *value, uint32_t count)
{
	struct record_scalar *scalars = record_reserve(pdu->ctx->record, &value->scalars, count, sizeof(*scalars));

	if (scalars != NULL)
		record_present(&value->head, ENIP_VALUE_SCALARS);
	return scalars;
}

void
enip_value_put_number(struct enip_pdu *pdu, struct enip_value *value, uint64_t number)
{
	struct record_scalar *scalar = reserve(pdu, value, 1);

	if (scalar != NULL)
		*scalar = (struct record_scalar){ .kind = SCALAR_U64, .u64 = number };
}

void
enip_value_put_bytes(struct enip_pdu *pdu, struct enip_value *value, enum record_scalar_kind kind, struct cursor bytes)
{
	struct record_scalar *scalar = bytes.short_read ? NULL : reserve(pdu, value, 1);

	if (scalar == NULL)
		return;
	*scalar = (struct record_scalar){ .kind = (uint8_t)kind };
	record_put_bytes(pdu->ctx->record, &scalar->bytes, bytes.pos, (uint32_t)cursor_left(&bytes));
}

static struct record_scalar
read_number(const struct type *type, struct cursor *in)
{
	struct record_scalar scalar = { .kind = SCALAR_U64 };

	if (type->kind == KIND_BOOL) {
		scalar.kind = SCALAR_BOOL;
		scalar.truth = cursor_u8(in) != 0;
	} else if (type->kind == KIND_SIGNED) {
		scalar.kind = SCALAR_I64;
		scalar.i64 = read_signed(type->size, in);
	} else if (type->kind == KIND_REAL && type->size == 4) {
		scalar.kind = SCALAR_F32;
		scalar.f32 = cursor_le_f32(in);
	} else if (type->kind == KIND_REAL) {
		scalar.kind = SCALAR_F64;
		scalar.f64 = cursor_le_f64(in);
	} else {
		scalar.u64 = read_unsigned(type->size, in);
	}
	return scalar;
}

/* One element, or as many as count says. */
static void
read_elements(struct enip_pdu *pdu, struct enip_value *value, const struct type *type, uint32_t count, struct cursor *in)
{
	struct record_scalar *out;

	if (type->kind == KIND_TEXT8 || type->kind == KIND_TEXT16) {
		size_t len = type->kind == KIND_TEXT8 ? cursor_u8(in) : cursor_le16(in);

		enip_value_put_bytes(pdu, value, SCALAR_STRING, cursor_sub(in, len));
		return;
	}
	if (type->kind == KIND_HEX) {
		enip_value_put_bytes(pdu, value, SCALAR_HEX, cursor_sub(in, type->size));
		return;
	}
	if (cursor_left(in) < (size_t)count * type->size) {
		in->short_read = true;
		return;
	}
	out = reserve(pdu, value, count);
	for (uint32_t i = 0; out != NULL && i < count; i++)
		out[i] = read_number(type, in);
}

/* Logix strings: a structure of length and characters, with a handle of their own (PM020). */
static void
read_structure(struct enip_pdu *pdu, struct enip_value *value, struct cursor *in)
{
	value->structure = cursor_le16(in);
	record_present(&value->head, ENIP_VALUE_STRUCTURE);
	if (value->structure == STRUCTURE_STRING && cursor_left(in) >= 4) {
		struct cursor text = *in;
		uint32_t len = cursor_le32(&text);

		if (len <= cursor_left(&text)) {
			enip_value_put_bytes(pdu, value, SCALAR_STRING, cursor_sub(&text, len));
			cursor_skip(in, cursor_left(in));
			return;
		}
	}
	enip_value_put_bytes(pdu, value, SCALAR_HEX, cursor_sub(in, cursor_left(in)));
}

struct enip_value *
enip_append_typed(struct enip_pdu *pdu, struct enip_node *node, uint16_t code, struct cursor *body)
{
	const struct type *type = type_of(code);
	struct enip_value *value = append(pdu, node);
	size_t count;

	if (value == NULL)
		return NULL;
	value->type = code;
	record_present(&value->head, ENIP_VALUE_TYPE);
	if (code == TYPE_STRUCTURE) {
		read_structure(pdu, value, body);
		return value;
	}
	if (type == NULL) {
		enip_value_put_bytes(pdu, value, SCALAR_HEX, cursor_sub(body, cursor_left(body)));
		return value;
	}
	count = type->size == 0 || type->kind == KIND_HEX ? 1 : cursor_left(body) / type->size;
	if (count > ENIP_ELEMENTS_MAX)
		count = ENIP_ELEMENTS_MAX;
	read_elements(pdu, value, type, count == 0 ? 1 : (uint32_t)count, body);
	return value;
}

/* ---- attributes ---- */

static struct enip_value *
append_attribute(struct enip_pdu *pdu, struct enip_node *node, uint32_t attribute_id, const char *name)
{
	struct enip_value *value = append(pdu, node);

	if (value == NULL)
		return NULL;
	value->attribute_id = (uint16_t)attribute_id;
	record_present(&value->head, ENIP_VALUE_ATTRIBUTE);
	value->name = name;
	if (name != NULL)
		record_present(&value->head, ENIP_VALUE_NAME);
	return value;
}

static void
put_ip(struct enip_value *value, struct cursor *in)
{
	uint32_t address = cursor_le32(in);

	if (in->short_read)
		return;
	value->ip = (struct record_ip){ .version = 4, .bytes = { (uint8_t)(address >> 24), (uint8_t)(address >> 16),
		(uint8_t)(address >> 8), (uint8_t)address } };
	record_present(&value->head, ENIP_VALUE_IP);
}

/* TCP/IP interface object, attribute 5 (EIP 5-4.3.2.5). */
static void
read_interface(struct enip_pdu *pdu, struct enip_node *node, uint32_t attribute_id, struct cursor *in)
{
	static const char *const names[] = { "ip_address", "network_mask", "gateway_address", "name_server",
		"name_server_2" };
	struct enip_value *value;
	size_t len;

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]) && !in->short_read; i++) {
		value = append_attribute(pdu, node, attribute_id, names[i]);
		if (value != NULL)
			put_ip(value, in);
	}
	value = append_attribute(pdu, node, attribute_id, "domain_name");
	if (value == NULL)
		return;
	len = cursor_le16(in);
	enip_value_put_bytes(pdu, value, SCALAR_STRING, cursor_sub(in, len));
	if (len % 2 == 1 && cursor_left(in) > 0)
		cursor_skip(in, 1);
}

static void
read_own_type(struct enip_pdu *pdu, struct enip_value *value, uint16_t type, struct cursor *in)
{
	struct record_scalar *scalar;
	const uint8_t *mac;
	uint16_t words;

	switch (type) {
	case ENIP_TYPE_IP:
		put_ip(value, in);
		return;
	case ENIP_TYPE_MAC:
		mac = cursor_take(in, 6);
		if (mac == NULL)
			return;
		memcpy(value->mac, mac, 6);
		record_present(&value->head, ENIP_VALUE_MAC);
		return;
	case ENIP_TYPE_REVISION:
		words = cursor_be16(in);
		scalar = in->short_read ? NULL : reserve(pdu, value, 1);
		if (scalar == NULL)
			return;
		*scalar = (struct record_scalar){ .kind = SCALAR_STRING };
		enip_put_revision(pdu, &scalar->bytes, words);
		return;
	case ENIP_TYPE_PATH:
		words = cursor_le16(in);
		enip_value_put_bytes(pdu, value, SCALAR_HEX, cursor_sub(in, words > PATH_WORDS_MAX ? SIZE_MAX : (size_t)words * 2));
		return;
	case ENIP_TYPE_DIMENSIONS:
		read_elements(pdu, value, type_of(TYPE_UDINT), 3, in);
		return;
	case ENIP_TYPE_BYTES4:
		enip_value_put_bytes(pdu, value, SCALAR_HEX, cursor_sub(in, 4));
		return;
	default:
		enip_value_put_bytes(pdu, value, SCALAR_HEX, cursor_sub(in, cursor_left(in)));
	}
}

/* One attribute's value; row NULL: unknown, all the rest is its. */
static void
read_attribute(struct enip_pdu *pdu, struct enip_node *node, const struct enip_attribute *row, uint32_t attribute_id,
	struct cursor *in)
{
	const struct type *type = row == NULL ? NULL : type_of(row->type);
	struct enip_value *value;

	if (row != NULL && row->type == ENIP_TYPE_INTERFACE) {
		read_interface(pdu, node, attribute_id, in);
		return;
	}
	value = append_attribute(pdu, node, attribute_id, row == NULL ? NULL : row->name);
	if (value == NULL)
		return;
	if (row != NULL && row->class_id == ENIP_CLASS_IDENTITY && pdu->bit == ENIP_RESPONSE)
		enip_fact(pdu, attribute_id, *in);
	if (type == NULL) {
		read_own_type(pdu, value, row == NULL ? ENIP_TYPE_REST : row->type, in);
		return;
	}
	value->type = row->type;
	record_present(&value->head, ENIP_VALUE_TYPE);
	read_elements(pdu, value, type, 1, in);
}

static const struct enip_attribute *
find(const struct enip_cip *path, uint32_t attribute_id)
{
	return enip_attribute_find(path->class_id, path->instance_id != 0, attribute_id);
}

/* Of a reply the request says which object and attribute it is about. */
void
enip_read_attribute_single(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	if (enip_asked_is(node, ENIP_HAS_ATTRIBUTE) && cursor_left(body) > 0)
		read_attribute(pdu, node, find(node->asked, node->asked->attribute_id), node->asked->attribute_id, body);
}

void
enip_read_attribute_set(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	if (enip_node_is(node, ENIP_HAS_ATTRIBUTE) && cursor_left(body) > 0)
		read_attribute(pdu, node, find(node->cip, node->cip->attribute_id), node->cip->attribute_id, body);
}

/* Devices of older editions leave attributes out at the end. */
static void
read_all(struct enip_pdu *pdu, struct enip_node *node, const struct enip_cip *path, struct cursor *body)
{
	const struct enip_attribute *row;
	unsigned int count = enip_attributes_all(path->instance_id == 0 ? 0 : path->class_id, &row);

	for (unsigned int i = 0; i < count && cursor_left(body) > 0; i++)
		read_attribute(pdu, node, &row[i], row[i].attribute_id, body);
}

void
enip_read_attributes_all(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	if (node->asked != NULL)
		read_all(pdu, node, node->asked, body);
}

void
enip_read_attributes_set_all(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	/* Which attributes can be set differs between classes; no table says it. */
	(void)pdu;
	(void)node;
	(void)body;
}

/* CIP: the attributes asked for. */
void
enip_read_attribute_ids(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	uint16_t count = cursor_le16(body);
	uint16_t *ids;

	if (count == 0 || count > ENIP_ATTRIBUTES_MAX || cursor_left(body) < (size_t)count * 2) {
		body->short_read = count > 0;
		return;
	}
	ids = record_reserve(pdu->ctx->record, &node->cip->attribute_list, count, sizeof(*ids));
	for (uint16_t i = 0; i < count; i++) {
		uint16_t id = cursor_le16(body);

		if (ids != NULL)
			ids[i] = id;
	}
	enip_node_has(node, ENIP_HAS_ATTRIBUTE_LIST);
}

/* Id, status and value, one after another. From a value of unknown length on nothing can be told apart: it stays hex. */
void
enip_read_attribute_list(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	uint16_t count = cursor_le16(body);

	for (uint16_t i = 0; i < count && i < ENIP_ATTRIBUTES_MAX && cursor_left(body) >= 4; i++) {
		struct cursor here = *body;
		uint16_t id = cursor_le16(body);
		uint16_t status = cursor_le16(body);
		const struct enip_attribute *row = node->asked == NULL ? NULL : find(node->asked, id);

		if (status == 0 && row == NULL && i + 1 < count) {
			*body = here;
			return;
		}
		if (status == 0) {
			read_attribute(pdu, node, row, id, body);
		} else {
			struct enip_value *value = append_attribute(pdu, node, id, row == NULL ? NULL : row->name);

			if (value == NULL)
				return;
			value->status = status;
			record_present(&value->head, ENIP_VALUE_STATUS);
		}
	}
}

void
enip_read_attribute_list_set(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	uint16_t count = cursor_le16(body);
	uint16_t *ids;

	if (count == 0 || count > ENIP_ATTRIBUTES_MAX) {
		body->short_read = true;
		return;
	}
	ids = record_reserve(pdu->ctx->record, &node->cip->attribute_list, count, sizeof(*ids));
	node->cip->attribute_list.count = 0;
	for (uint16_t i = 0; i < count && cursor_left(body) >= 2; i++) {
		uint16_t id = cursor_le16(body);

		if (ids != NULL)
			ids[node->cip->attribute_list.count++] = id;
		read_attribute(pdu, node, find(node->cip, id), id, body);
	}
	enip_node_has(node, ENIP_HAS_ATTRIBUTE_LIST);
}

void
enip_read_attribute_statuses(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	uint16_t count = cursor_le16(body);

	for (uint16_t i = 0; i < count && i < ENIP_ATTRIBUTES_MAX && cursor_left(body) >= 4; i++) {
		uint16_t id = cursor_le16(body);
		uint16_t status = cursor_le16(body);
		struct enip_value *value = append_attribute(pdu, node, id, NULL);

		if (value == NULL)
			return;
		value->status = status;
		record_present(&value->head, ENIP_VALUE_STATUS);
	}
}
