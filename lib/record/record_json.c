/*
 * Records as JSON. A table is worked out once: each row knows its key's text and the
 * object it belongs to, so that writing a row is a presence test, a copy of the key and
 * the value.
 */
#include "lib/record/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { OBJECT_MAX = 64 }; /* nested objects of one table */

struct object {
	const char *key; /* into the row's path; not terminated */
	uint16_t key_len;
	uint16_t path_len; /* of the dotted path up to and with this object */
	uint8_t parent;    /* index; the root is its own */
	uint8_t depth;
};

enum { KEY_TEXT_MAX = 48 };

struct row {
	uint8_t bit, object;
	uint16_t next; /* the first row behind it that has another presence bit */
	uint8_t key_len;
	char key[KEY_TEXT_MAX]; /* ,"key": */
	const struct field *field;
	struct record_writer **children; /* FIELD_LIST: by shape */
	uint8_t *name_lens;              /* of field->names, where a name stands in JSON as it is; else 0 */
	uint16_t child_count;
};

struct record_writer {
	const struct record_table *table;
	struct row *rows;
	uint16_t row_count;
	uint8_t object_count;
	struct object objects[OBJECT_MAX];
};

/* A blob being read: nothing is taken from beyond it. */
struct blob {
	const uint8_t *base;
	uint32_t len;
};

static void write_object(const struct record_writer *writer, struct buf *out, const struct blob *blob, uint32_t at);
static void write_value(struct buf *out, const struct blob *blob, const struct row *row, const uint8_t *record);

/* The object a path belongs to, added with its parents when new; -1 when there are too many. */
static int
object_of(struct record_writer *writer, const char *path)
{
	uint8_t at = 0;
	size_t from = 0;

	for (const char *dot; (dot = strchr(path + from, '.')) != NULL; from = (size_t)(dot - path) + 1) {
		size_t len = (size_t)(dot - path);
		uint8_t i = 1;

		while (i < writer->object_count &&
			!(writer->objects[i].path_len == len &&
				strncmp(writer->objects[i].key + writer->objects[i].key_len - len, path, len) == 0))
			i++;
		if (i == writer->object_count) {
			if (i == OBJECT_MAX)
				return -1;
			writer->objects[i] = (struct object){ .key = path + from, .key_len = (uint16_t)(len - from),
				.path_len = (uint16_t)len, .parent = at, .depth = (uint8_t)(writer->objects[at].depth + 1) };
			writer->object_count++;
		}
		at = i;
	}
	return at;
}

static int
row_create_children(struct row *row)
{
	uint16_t count = 0;

	while (row->field->children[count] != NULL)
		count++;
	row->children = calloc(count, sizeof(struct record_writer *));
	if (row->children == NULL)
		return -ENOMEM;
	row->child_count = count;
	for (uint16_t i = 0; i < count; i++) {
		int rc = record_writer_create(&row->children[i], row->field->children[i]);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
row_measure_names(struct row *row)
{
	const struct field_names *names = row->field->names;

	row->name_lens = calloc(names->count + 1u, 1);
	if (row->name_lens == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < names->count; i++) {
		const char *name = names->rows[i].name;
		size_t len = strlen(name);
		bool plain = len <= UINT8_MAX;

		for (size_t j = 0; j < len; j++)
			plain = plain && name[j] >= 0x20 && name[j] < 0x7f && name[j] != '"' && name[j] != '\\';
		row->name_lens[i] = plain ? (uint8_t)len : 0;
	}
	return 0;
}

static int
row_create(struct record_writer *writer, struct row *row, const struct field *field)
{
	const char *dot = strrchr(field->path, '.');
	int object = object_of(writer, field->path);
	int len = snprintf(row->key, sizeof(row->key), ",\"%s\":", dot == NULL ? field->path : dot + 1);

	if (object < 0 || len >= (int)sizeof(row->key))
		return -E2BIG;
	row->field = field;
	row->bit = field->bit;
	row->object = (uint8_t)object;
	row->key_len = (uint8_t)len;
	if (field->names != NULL)
		return row_measure_names(row);
	return field->type == FIELD_LIST ? row_create_children(row) : 0;
}

/* Of the rows that stand beside the record's object, or of the others. */
static int
create_of(struct record_writer **out, const struct record_table *table, bool beside)
{
	struct record_writer *writer = calloc(1, sizeof(*writer));

	*out = NULL;
	if (writer == NULL)
		return -ENOMEM;
	writer->table = table;
	writer->object_count = 1;
	writer->rows = calloc((size_t)table->field_count + 1, sizeof(*writer->rows));
	if (writer->rows == NULL) {
		record_writer_destroy(writer);
		return -ENOMEM;
	}
	for (uint16_t i = 0; i < table->field_count; i++) {
		int rc;

		if ((table->fields[i].flags & FIELD_HIDDEN) != 0 || ((table->fields[i].flags & FIELD_BESIDE) != 0) != beside)
			continue;
		rc = row_create(writer, &writer->rows[writer->row_count++], &table->fields[i]);
		if (rc != 0) {
			record_writer_destroy(writer);
			return rc;
		}
	}
	for (uint16_t i = writer->row_count; i-- > 0;) {
		bool same = i + 1 < writer->row_count && writer->rows[i].bit == writer->rows[i + 1].bit;

		writer->rows[i].next = same ? writer->rows[i + 1].next : (uint16_t)(i + 1);
	}
	*out = writer;
	return 0;
}

int
record_writer_create(struct record_writer **out, const struct record_table *table)
{
	return create_of(out, table, false);
}

int
record_writer_create_beside(struct record_writer **out, const struct record_table *table)
{
	uint16_t i = 0;

	*out = NULL;
	while (i < table->field_count && (table->fields[i].flags & FIELD_BESIDE) == 0)
		i++;
	return i == table->field_count ? 0 : create_of(out, table, true);
}

void
record_writer_destroy(struct record_writer *writer)
{
	if (writer == NULL)
		return;
	for (uint16_t i = 0; writer->rows != NULL && i < writer->row_count; i++) {
		for (uint16_t j = 0; j < writer->rows[i].child_count; j++)
			record_writer_destroy(writer->rows[i].children[j]);
		free(writer->rows[i].children);
		free(writer->rows[i].name_lens);
	}
	free(writer->rows);
	free(writer);
}

/* The elements a ref names, or NULL when they are not inside the blob. */
static const uint8_t *
elements(const struct blob *blob, const struct record_ref *ref, uint32_t size)
{
	if (ref->off % size != 0 || ref->off > blob->len || (uint64_t)ref->count * size > blob->len - ref->off)
		return NULL;
	return blob->base + ref->off;
}

static void
write_plain(struct buf *out, const char *text, size_t len)
{
	buf_putc(out, '"');
	buf_put(out, text, len);
	buf_putc(out, '"');
}

/* Tables of names often have the value itself as their index. */
static void
write_name_or_number(struct buf *out, const struct row *row, uint64_t value)
{
	const struct field_names *names = row->field->names;
	const char *name = NULL;

	if (names != NULL && value < names->count && names->rows[value].value == value && row->name_lens[value] > 0) {
		write_plain(out, names->rows[value].name, row->name_lens[value]);
		return;
	}
	if (names != NULL)
		name = field_name_of(names, (uint32_t)value);
	if (name != NULL && name == names->unknown && name[0] != '\0' && name[strlen(name) - 1] == '-')
		buf_printf(out, "\"%s%llu\"", name, (unsigned long long)value);
	else if (name != NULL)
		buf_json_string(out, name, strlen(name));
	else if (row->field->type >= FIELD_I8 && row->field->type <= FIELD_I64)
		buf_i64(out, (int64_t)value);
	else
		buf_u64(out, value);
}

static void
write_number(struct buf *out, const struct row *row, const void *record)
{
	const struct field *field = row->field;
	const void *at = (const uint8_t *)record + field->offset;
	uint64_t value = 0;

	switch ((enum field_type)field->type) {
	case FIELD_U8:
		value = *(const uint8_t *)at;
		break;
	case FIELD_U16:
		value = *(const uint16_t *)at;
		break;
	case FIELD_U32:
		value = *(const uint32_t *)at;
		break;
	default:
		(void)field_get_u64(field, record, &value);
	}
	write_name_or_number(out, row, value);
}

static void
write_bit_names(struct buf *out, const struct field *field, const void *record)
{
	uint64_t bits = 0;
	bool first = true;

	(void)field_get_u64(field, record, &bits);
	buf_putc(out, '[');
	for (uint16_t i = 0; i < field->names->count; i++) {
		const struct field_name *row = &field->names->rows[i];

		if (row->value > 63 || (bits >> row->value & 1) == 0)
			continue;
		if (!first)
			buf_putc(out, ',');
		first = false;
		buf_json_string(out, row->name, strlen(row->name));
	}
	buf_putc(out, ']');
}

static void
write_numbers(struct buf *out, const struct blob *blob, const struct record_ref *ref, enum field_type type)
{
	uint32_t size = type == FIELD_U32S ? 4 : type == FIELD_U16S ? 2 : 1;
	const uint8_t *at = elements(blob, ref, size);

	buf_putc(out, '[');
	for (uint32_t i = 0; at != NULL && i < ref->count && !out->full; i++) {
		if (i > 0)
			buf_putc(out, ',');
		if (type == FIELD_BOOLS)
			buf_puts(out, at[i] ? "true" : "false");
		else if (size == 1)
			buf_u64(out, at[i]);
		else if (size == 2)
			buf_u64(out, ((const uint16_t *)(const void *)at)[i]);
		else
			buf_u64(out, ((const uint32_t *)(const void *)at)[i]);
	}
	buf_putc(out, ']');
}

static void
write_text(struct buf *out, const struct blob *blob, const struct record_ref *ref, uint8_t flags)
{
	const uint8_t *data = elements(blob, ref, 1);

	(flags & FIELD_OCTETS ? buf_json_octets : buf_json_string)(out, data, data == NULL ? 0 : ref->count);
}

static void
write_bytes(struct buf *out, const struct blob *blob, const struct record_ref *ref, enum field_type type)
{
	const uint8_t *data = elements(blob, ref, 1);
	uint32_t len = data == NULL ? 0 : ref->count;

	buf_putc(out, '"');
	if (type == FIELD_HEX)
		buf_hex(out, data, len);
	else
		buf_base64(out, data, len);
	buf_putc(out, '"');
}

static void
write_scalar(struct buf *out, const struct blob *blob, const struct record_scalar *scalar)
{
	switch ((enum record_scalar_kind)scalar->kind) {
	case SCALAR_BOOL:
		buf_puts(out, scalar->truth ? "true" : "false");
		return;
	case SCALAR_U64:
		buf_u64(out, scalar->u64);
		return;
	case SCALAR_I64:
		buf_i64(out, scalar->i64);
		return;
	case SCALAR_F32:
		buf_f32(out, scalar->f32);
		return;
	case SCALAR_F64:
		buf_f64(out, scalar->f64);
		return;
	case SCALAR_TIME:
		buf_json_time(out, scalar->u64);
		return;
	case SCALAR_STRING:
		write_text(out, blob, &scalar->bytes, 0);
		return;
	case SCALAR_HEX:
		write_bytes(out, blob, &scalar->bytes, FIELD_HEX);
		return;
	default:
		buf_puts(out, "null");
	}
}

static void
write_scalars(struct buf *out, const struct blob *blob, const struct record_ref *ref, bool bare)
{
	enum { WORDS = sizeof(struct record_scalar) / sizeof(uint64_t) };
	const struct record_ref words = { .off = ref->off, .count = ref->count * WORDS };
	const uint8_t *at = ref->count > RECORD_LEN_MAX ? NULL : elements(blob, &words, sizeof(uint64_t));

	if (bare && at != NULL && ref->count == 1) {
		write_scalar(out, blob, (const void *)at);
		return;
	}
	buf_putc(out, '[');
	for (uint32_t i = 0; at != NULL && i < ref->count && !out->full; i++) {
		if (i > 0)
			buf_putc(out, ',');
		write_scalar(out, blob, &((const struct record_scalar *)(const void *)at)[i]);
	}
	buf_putc(out, ']');
}

static void
write_ip(struct buf *out, const struct record_ip *ip)
{
	if (ip->version == 0) {
		buf_puts(out, "null");
		return;
	}
	buf_putc(out, '"');
	buf_ip(out, ip->version, ip->bytes);
	buf_putc(out, '"');
}

/* One child in the form its list asks for. */
static void
write_child(struct buf *out, const struct blob *blob, const struct row *row, uint32_t at)
{
	const struct record_head *head = (const void *)(blob->base + at);
	const struct record_writer *child = row->children[head->shape];

	if (row->field->flags & FIELD_BARE)
		write_value(out, blob, &child->rows[0], blob->base + at);
	else
		write_object(child, out, blob, at);
}

static bool
child_is_inside(const struct blob *blob, const struct row *row, uint32_t at)
{
	const struct record_head *head = (const void *)(blob->base + at);

	return at % 8 == 0 && at <= blob->len && blob->len - at >= sizeof(*head) && head->shape < row->child_count &&
		blob->len - at >= row->children[head->shape]->table->size;
}

static void
write_list(struct buf *out, const struct blob *blob, const struct row *row, const struct record_list *list)
{
	uint32_t at = list->count > 0 ? list->first : 0;

	if (row->field->flags & FIELD_ONE) {
		if (at > 0 && child_is_inside(blob, row, at))
			write_child(out, blob, row, at);
		else
			buf_puts(out, "{}");
		return;
	}
	buf_putc(out, '[');
	for (uint32_t i = 0; i < list->count && !out->full; i++) {
		uint32_t next;

		if (!child_is_inside(blob, row, at))
			break;
		if (i > 0)
			buf_putc(out, ',');
		write_child(out, blob, row, at);
		next = ((const struct record_head *)(const void *)(blob->base + at))->next;
		if (next <= at) /* children lie behind one another: a damaged link cannot make a circle */
			break;
		at = next;
	}
	buf_putc(out, ']');
}

static void
write_value(struct buf *out, const struct blob *blob, const struct row *row, const uint8_t *record)
{
	const struct field *field = row->field;
	const void *at = record + field->offset;

	switch ((enum field_type)field->type) {
	case FIELD_BOOL:
		buf_puts(out, *(const uint8_t *)at ? "true" : "false");
		return;
	case FIELD_F32:
		buf_f32(out, *(const float *)at);
		return;
	case FIELD_F64:
		buf_f64(out, *(const double *)at);
		return;
	case FIELD_TIME:
		buf_json_time(out, *(const uint64_t *)at);
		return;
	case FIELD_STRING:
		write_text(out, blob, at, field->flags);
		return;
	case FIELD_HEX:
	case FIELD_BASE64:
		write_bytes(out, blob, at, field->type);
		return;
	case FIELD_TEXT: {
		const char *text = *(const char *const *)at;

		buf_json_string(out, text, text == NULL ? 0 : strlen(text));
		return;
	}
	case FIELD_MAC:
		buf_putc(out, '"');
		buf_mac(out, at);
		buf_putc(out, '"');
		return;
	case FIELD_IP:
		write_ip(out, at);
		return;
	case FIELD_NAMES8:
	case FIELD_NAMES16:
		write_bit_names(out, field, record);
		return;
	case FIELD_U8S:
	case FIELD_U16S:
	case FIELD_U32S:
	case FIELD_BOOLS:
		write_numbers(out, blob, at, field->type);
		return;
	case FIELD_LIST:
		write_list(out, blob, row, at);
		return;
	case FIELD_SCALARS:
		write_scalars(out, blob, at, (field->flags & FIELD_ONE) != 0);
		return;
	default:
		write_number(out, row, record);
	}
}

/* Closes and opens objects until `to` is the open one. @return whether a comma is due before a key. */
static bool
move_to(const struct record_writer *writer, struct buf *out, uint8_t *open, uint8_t to, bool comma)
{
	uint8_t chain[OBJECT_MAX];
	unsigned int chain_len = 0;
	uint8_t at = to;

	while (writer->objects[at].depth > writer->objects[*open].depth) {
		chain[chain_len++] = at;
		at = writer->objects[at].parent;
	}
	while (*open != at) {
		buf_putc(out, '}');
		comma = true;
		*open = writer->objects[*open].parent;
		if (writer->objects[at].depth > writer->objects[*open].depth) {
			chain[chain_len++] = at;
			at = writer->objects[at].parent;
		}
	}
	while (chain_len > 0) {
		const struct object *object = &writer->objects[chain[--chain_len]];

		if (comma)
			buf_putc(out, ',');
		buf_putc(out, '"');
		buf_put(out, object->key, object->key_len);
		buf_put(out, "\":{", 3);
		comma = false;
	}
	*open = to;
	return comma;
}

/* The key with its comma, or without. Where there is room its whole block is copied: a length the compiler knows. */
static inline void
write_key(struct buf *out, const struct row *row, bool comma)
{
	const char *text = row->key + !comma;
	size_t len = row->key_len - (size_t)!comma;

	if (!buf_has(out, KEY_TEXT_MAX)) {
		buf_put(out, text, len);
		return;
	}
	memcpy(out->data + out->len, text, KEY_TEXT_MAX - 1);
	out->len += len;
}

static void
write_object(const struct record_writer *writer, struct buf *out, const struct blob *blob, uint32_t at)
{
	const uint8_t *record = blob->base + at;
	uint64_t present = ((const struct record_head *)(const void *)record)->present;
	uint8_t open = 0;
	bool comma = false;

	buf_putc(out, '{');
	for (uint16_t i = 0; i < writer->row_count;) {
		const struct row *row = &writer->rows[i];

		if (row->bit != FIELD_ALWAYS && (present >> row->bit & 1) == 0) {
			i = row->next;
			continue;
		}
		if (row->object != open)
			comma = move_to(writer, out, &open, row->object, comma);
		write_key(out, row, comma);
		write_value(out, blob, row, record);
		comma = true;
		i++;
	}
	while (open != 0) {
		buf_putc(out, '}');
		open = writer->objects[open].parent;
	}
	buf_putc(out, '}');
}

void
record_write_json(const struct record_writer *writer, struct buf *out, const void *base, uint32_t blob_len)
{
	struct blob blob = { .base = base, .len = blob_len };

	if (blob_len < writer->table->size) {
		buf_puts(out, "{}");
		return;
	}
	write_object(writer, out, &blob, 0);
}
