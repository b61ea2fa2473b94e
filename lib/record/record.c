/* Building records, and typed access to their fields. */
#include "lib/record/record.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static_assert(sizeof(struct record_head) == 16, "every record struct begins with 16 bytes");

void *
record_begin(struct record_builder *b, const struct record_table *table)
{
	assert(table->size >= sizeof(struct record_head) && table->size <= b->cap);
	b->len = table->size;
	b->truncated = false;
	return memset(b->base, 0, table->size);
}

void *
record_begin_copy(struct record_builder *b, const void *blob, uint32_t len)
{
	if (len < sizeof(struct record_head) || len > b->cap)
		return NULL;
	b->len = len;
	b->truncated = false;
	return memcpy(b->base, blob, len);
}

void *
record_reserve(struct record_builder *b, struct record_ref *ref, uint32_t count, uint32_t size)
{
	uint8_t *room = record_extend(b, (uint64_t)count * size);

	if (room == NULL)
		return NULL;
	*ref = (struct record_ref){ .off = (uint32_t)(room - b->base), .count = count };
	return room;
}

void
record_put_bytes(struct record_builder *b, struct record_ref *ref, const void *data, uint32_t len)
{
	uint8_t *room;

	if (data == NULL || len == 0)
		return;
	room = record_extend(b, len);
	if (room == NULL)
		return;
	*ref = (struct record_ref){ .off = (uint32_t)(room - b->base), .count = len };
	memcpy(room, data, len);
}

void *
record_append(struct record_builder *b, struct record_list *list, const struct record_table *const *children,
	uint16_t shape)
{
	return record_append_sized(b, list, children[shape]->size, shape);
}

bool
field_get_u64(const struct field *field, const void *record, uint64_t *out)
{
	const uint8_t *at = (const uint8_t *)record + field->offset;

	if (!record_is_present(record, field->bit))
		return false;
	switch (field->type) {
	case FIELD_BOOL:
	case FIELD_U8:
	case FIELD_NAMES8:
		*out = *at;
		return true;
	case FIELD_U16:
	case FIELD_NAMES16:
		*out = *(const uint16_t *)at;
		return true;
	case FIELD_U32:
		*out = *(const uint32_t *)at;
		return true;
	case FIELD_U64:
	case FIELD_TIME:
		*out = *(const uint64_t *)at;
		return true;
	case FIELD_I8:
		*out = (uint64_t) * (const int8_t *)at;
		return true;
	case FIELD_I16:
		*out = (uint64_t) * (const int16_t *)at;
		return true;
	case FIELD_I32:
		*out = (uint64_t) * (const int32_t *)at;
		return true;
	case FIELD_I64:
		*out = (uint64_t) * (const int64_t *)at;
		return true;
	default:
		return false;
	}
}

bool
field_get_bytes(const struct field *field, const void *base, const void *record, const uint8_t **data, uint32_t *len)
{
	const struct record_ref *ref = (const void *)((const uint8_t *)record + field->offset);

	if (!record_is_present(record, field->bit))
		return false;
	if (field->type != FIELD_STRING && field->type != FIELD_HEX && field->type != FIELD_BASE64 &&
		field->type != FIELD_U8S)
		return false;
	*data = (const uint8_t *)base + ref->off;
	*len = ref->count;
	return true;
}

const char *
field_name_of(const struct field_names *names, uint32_t value)
{
	uint32_t low = 0, high = names->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (names->rows[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < names->count && names->rows[low].value == value)
		return names->rows[low].name;
	return names->unknown;
}

bool
field_value_of(const struct field_names *names, const char *name, uint32_t *out)
{
	for (uint32_t i = 0; i < names->count; i++)
		if (strcasecmp(names->rows[i].name, name) == 0) {
			*out = names->rows[i].value;
			return true;
		}
	return false;
}

void
record_write_json_beside(const struct record_writer *writer, struct buf *out, const void *blob, uint32_t blob_len)
{
	size_t from = out->len;

	record_write_json(writer, out, blob, blob_len);
	if (out->full)
		return;
	/* The object's braces are the outer object's: {"email":{}} becomes ,"email":{} */
	if (out->len <= from + 2) {
		out->len = from;
		return;
	}
	out->data[from] = ',';
	out->len--;
}
