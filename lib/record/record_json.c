/* Records as JSON: writing a row is a look at its presence, a copy of the key, and what row->write makes of the value. */
#include "lib/record/record_writer.h"

static void write_object(const struct record_writer *writer, struct buf *out, const struct blob *blob, uint32_t at);

/* The elements a ref names, or NULL when they are not inside the blob. */
static const uint8_t *
elements(const struct blob *blob, const struct record_ref *ref, uint32_t size)
{
	if (ref->off % size != 0 || ref->off > blob->len || (uint64_t)ref->count * size > blob->len - ref->off)
		return NULL;
	return blob->base + ref->off;
}

/* Where a value stands among the names, or names->count. */
static uint16_t
name_index(const struct row *row, uint32_t value)
{
	const struct field_names *names = row->field->names;
	uint16_t low = 0, high = names->count;

	if (value < row->name_index_len)
		return row->name_index[value];
	while (low < high) {
		uint16_t middle = (uint16_t)((low + high) / 2);

		if (names->rows[middle].value < value)
			low = (uint16_t)(middle + 1);
		else
			high = middle;
	}
	return low < names->count && names->rows[low].value == value ? low : names->count;
}

static void
write_name(struct buf *out, const struct row *row, uint16_t i)
{
	const struct name_text *name = &row->names[i];
	const char *text = row->field->names->rows[i].name;

	if (name->len == 0 || !buf_has(out, NAME_TEXT_MAX)) {
		buf_json_string(out, text, strlen(text));
		return;
	}
	memcpy(out->data + out->len, name->text, NAME_TEXT_MAX);
	out->len += name->len;
}

/* A value that has no name. */
static void
write_unknown(struct buf *out, const struct row *row, uint64_t value)
{
	const char *unknown = row->field->names->unknown;
	size_t len = unknown == NULL ? 0 : strlen(unknown);

	if (len > 0 && unknown[len - 1] == '-') {
		buf_putc(out, '"');
		buf_put(out, unknown, len);
		buf_u64(out, value);
		buf_putc(out, '"');
	} else if (unknown != NULL) {
		buf_json_string(out, unknown, len);
	} else if (row->field->type >= FIELD_I8 && row->field->type <= FIELD_I64) {
		buf_i64(out, (int64_t)value);
	} else {
		buf_u64(out, value);
	}
}

static void
write_u8(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	buf_u64(out, *(const uint8_t *)at);
}

static void
write_u16(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	buf_u64(out, *(const uint16_t *)at);
}

static void
write_u32(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	buf_u64(out, *(const uint32_t *)at);
}

static void
write_u64(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	buf_u64(out, *(const uint64_t *)at);
}

static uint64_t
number_at(enum field_type type, const void *at)
{
	switch (type) {
	case FIELD_U8:
	case FIELD_NAMES8:
		return *(const uint8_t *)at;
	case FIELD_U16:
	case FIELD_NAMES16:
		return *(const uint16_t *)at;
	case FIELD_U32:
		return *(const uint32_t *)at;
	case FIELD_I8:
		return (uint64_t) * (const int8_t *)at;
	case FIELD_I16:
		return (uint64_t) * (const int16_t *)at;
	case FIELD_I32:
		return (uint64_t) * (const int32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static void
write_signed(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	buf_i64(out, (int64_t)number_at(row->field->type, at));
}

static void
write_named(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	uint64_t value = number_at(row->field->type, at);
	uint16_t i = name_index(row, (uint32_t)value);

	if (i < row->field->names->count)
		write_name(out, row, i);
	else
		write_unknown(out, row, value);
}

static void
write_bit_names(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	const struct field_names *names = row->field->names;
	uint64_t bits = number_at(row->field->type, at);
	bool first = true;

	buf_putc(out, '[');
	for (uint16_t i = 0; i < names->count; i++) {
		if (names->rows[i].value > 63 || (bits >> names->rows[i].value & 1) == 0)
			continue;
		if (!first)
			buf_putc(out, ',');
		first = false;
		write_name(out, row, i);
	}
	buf_putc(out, ']');
}

static void
put_bool(struct buf *out, bool value)
{
	if (value)
		buf_put(out, "true", 4);
	else
		buf_put(out, "false", 5);
}

static void
write_bool(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	put_bool(out, *(const uint8_t *)at);
}

static void
write_numbers(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	enum field_type type = row->field->type;
	const struct record_ref *ref = at;
	uint32_t size = type == FIELD_U32S ? 4 : type == FIELD_U16S ? 2 : 1;
	const uint8_t *from = elements(blob, ref, size);

	buf_putc(out, '[');
	if (size == 2 && from != NULL)
		buf_u16s(out, (const uint16_t *)(const void *)from, ref->count);
	for (uint32_t i = 0; size != 2 && from != NULL && i < ref->count && !out->full; i++) {
		if (i > 0)
			buf_putc(out, ',');
		if (type == FIELD_BOOLS)
			put_bool(out, from[i]);
		else if (size == 1)
			buf_u64(out, from[i]);
		else
			buf_u64(out, ((const uint32_t *)(const void *)from)[i]);
	}
	buf_putc(out, ']');
}

static void
put_string(struct buf *out, const struct blob *blob, const struct record_ref *ref)
{
	const uint8_t *data = elements(blob, ref, 1);

	buf_json_string(out, data, data == NULL ? 0 : ref->count);
}

static void
put_hex(struct buf *out, const struct blob *blob, const struct record_ref *ref)
{
	const uint8_t *data = elements(blob, ref, 1);

	buf_putc(out, '"');
	buf_hex(out, data, data == NULL ? 0 : ref->count);
	buf_putc(out, '"');
}

static void
write_string(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	put_string(out, blob, at);
}

static void
write_octets(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	const struct record_ref *ref = at;
	const uint8_t *data = elements(blob, ref, 1);

	buf_json_octets(out, data, data == NULL ? 0 : ref->count);
}

static void
write_hex(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	put_hex(out, blob, at);
}

static void
write_base64(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	const struct record_ref *ref = at;
	const uint8_t *data = elements(blob, ref, 1);

	buf_putc(out, '"');
	buf_base64(out, data, data == NULL ? 0 : ref->count);
	buf_putc(out, '"');
}

static void
put_scalar(struct buf *out, const struct blob *blob, const struct record_scalar *scalar)
{
	switch ((enum record_scalar_kind)scalar->kind) {
	case SCALAR_BOOL:
		put_bool(out, scalar->truth);
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
		put_string(out, blob, &scalar->bytes);
		return;
	case SCALAR_HEX:
		put_hex(out, blob, &scalar->bytes);
		return;
	default:
		buf_puts(out, "null");
	}
}

static void
write_scalars(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	enum { WORDS = sizeof(struct record_scalar) / sizeof(uint64_t) };
	const struct record_ref *ref = at;
	const struct record_ref words = { .off = ref->off, .count = ref->count * WORDS };
	const void *from = ref->count > RECORD_LEN_MAX ? NULL : elements(blob, &words, sizeof(uint64_t));
	const struct record_scalar *scalars = from;

	if ((row->field->flags & FIELD_ONE) != 0 && scalars != NULL && ref->count == 1) {
		put_scalar(out, blob, scalars);
		return;
	}
	buf_putc(out, '[');
	for (uint32_t i = 0; scalars != NULL && i < ref->count && !out->full; i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_scalar(out, blob, &scalars[i]);
	}
	buf_putc(out, ']');
}

static void
write_f32(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	buf_f32(out, *(const float *)at);
}

static void
write_f64(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	buf_f64(out, *(const double *)at);
}

static void
write_time(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	buf_json_time(out, *(const uint64_t *)at);
}

static void
write_constant(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	const char *text = *(const char *const *)at;

	buf_json_string(out, text, text == NULL ? 0 : strlen(text));
}

static void
write_mac(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	buf_putc(out, '"');
	buf_mac(out, at);
	buf_putc(out, '"');
}

static void
write_ip(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	const struct record_ip *ip = at;

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
	const struct row *bare = &child->rows[0];

	if (row->field->flags & FIELD_BARE)
		bare->write(out, blob, bare, blob->base + at + bare->offset);
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
write_one(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	const struct record_list *list = at;

	if (list->count > 0 && list->first > 0 && child_is_inside(blob, row, list->first))
		write_child(out, blob, row, list->first);
	else
		buf_puts(out, "{}");
}

static void
write_list(struct buf *out, const struct blob *blob, const struct row *row, const void *at)
{
	const struct record_list *list = at;
	uint32_t child = list->first;

	buf_putc(out, '[');
	for (uint32_t i = 0; i < list->count && !out->full; i++) {
		uint32_t next;

		if (!child_is_inside(blob, row, child))
			break;
		if (i > 0)
			buf_putc(out, ',');
		write_child(out, blob, row, child);
		next = ((const struct record_head *)(const void *)(blob->base + child))->next;
		if (next <= child) /* children lie behind one another: a damaged link cannot make a circle */
			break;
		child = next;
	}
	buf_putc(out, ']');
}

row_write
record_write_of(const struct field *field)
{
	static const row_write of_type[] = {
		[FIELD_BOOL] = write_bool, [FIELD_U8] = write_u8, [FIELD_U16] = write_u16, [FIELD_U32] = write_u32, [FIELD_U64] = write_u64,
		[FIELD_I8] = write_signed, [FIELD_I16] = write_signed, [FIELD_I32] = write_signed, [FIELD_I64] = write_signed,
		[FIELD_F32] = write_f32, [FIELD_F64] = write_f64, [FIELD_TIME] = write_time, [FIELD_STRING] = write_string,
		[FIELD_HEX] = write_hex, [FIELD_BASE64] = write_base64, [FIELD_TEXT] = write_constant, [FIELD_MAC] = write_mac,
		[FIELD_IP] = write_ip, [FIELD_NAMES8] = write_bit_names, [FIELD_NAMES16] = write_bit_names,
		[FIELD_U8S] = write_numbers, [FIELD_U16S] = write_numbers, [FIELD_U32S] = write_numbers, [FIELD_BOOLS] = write_numbers,
		[FIELD_LIST] = write_list, [FIELD_SCALARS] = write_scalars,
	};

	if (field->names != NULL && field->type >= FIELD_U8 && field->type <= FIELD_I64)
		return write_named;
	if (field->type == FIELD_STRING && (field->flags & FIELD_OCTETS) != 0)
		return write_octets;
	if (field->type == FIELD_LIST && (field->flags & FIELD_ONE) != 0)
		return write_one;
	return of_type[field->type];
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
	const uint64_t present[2] = { ((const struct record_head *)(const void *)record)->present, UINT64_MAX };
	uint8_t open = 0;
	bool comma = false;

	buf_putc(out, '{');
	for (uint16_t i = 0, group = 0; group < writer->group_count; i = writer->groups[group++].end) {
		uint8_t bit = writer->groups[group].bit;

		if ((present[bit / 64] >> bit % 64 & 1) == 0)
			continue;
		for (const struct row *row = &writer->rows[i], *end = &writer->rows[writer->groups[group].end]; row < end; row++) {
			if (row->object != open)
				comma = move_to(writer, out, &open, row->object, comma);
			write_key(out, row, comma);
			row->write(out, blob, row, record + row->offset);
			comma = true;
		}
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
