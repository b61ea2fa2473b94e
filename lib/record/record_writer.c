/*
 * Tables made ready for writing. Each row knows its key's text, the object it belongs to and how its value is written;
 * rows with one presence bit that follow one another are a group, so that what is absent is passed over by one look.
 */
#include "lib/record/record_writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
row_create_name_index(struct row *row)
{
	const struct field_names *names = row->field->names;
	uint32_t last = names->count == 0 ? 0 : names->rows[names->count - 1].value;

	row->name_index_len = (uint16_t)(names->count == 0 ? 0 : last < NAME_INDEX_MAX ? last + 1 : NAME_INDEX_MAX);
	row->name_index = calloc(row->name_index_len + 1u, sizeof(*row->name_index));
	if (row->name_index == NULL)
		return -ENOMEM;
	for (uint32_t value = 0, i = 0; value < row->name_index_len; value++) {
		i += i < names->count && names->rows[i].value < value;
		row->name_index[value] = names->rows[i].value == value ? (uint16_t)i : names->count;
	}
	return 0;
}

static int
row_create_names(struct row *row)
{
	const struct field_names *names = row->field->names;

	row->names = calloc(names->count + 1u, sizeof(*row->names));
	if (row->names == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < names->count; i++) {
		struct buf text = { .data = row->names[i].text, .cap = sizeof(row->names[i].text) };

		buf_json_string(&text, names->rows[i].name, strlen(names->rows[i].name));
		row->names[i].len = text.full ? 0 : (uint8_t)text.len;
	}
	return row_create_name_index(row);
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
	row->write = record_write_of(field);
	row->offset = field->offset;
	row->object = (uint8_t)object;
	row->key_len = (uint8_t)len;
	if (field->names != NULL)
		return row_create_names(row);
	return field->type == FIELD_LIST ? row_create_children(row) : 0;
}

/* The row just added goes on with the last group or begins one. */
static void
group_add(struct record_writer *writer, uint8_t field_bit)
{
	uint8_t bit = field_bit == FIELD_ALWAYS ? GROUP_ALWAYS : field_bit;

	if (writer->group_count == 0 || writer->groups[writer->group_count - 1].bit != bit)
		writer->groups[writer->group_count++].bit = bit;
	writer->groups[writer->group_count - 1].end = writer->row_count;
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
	writer->groups = calloc((size_t)table->field_count + 1, sizeof(*writer->groups));
	if (writer->rows == NULL || writer->groups == NULL) {
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
		group_add(writer, table->fields[i].bit);
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
		free(writer->rows[i].names);
		free(writer->rows[i].name_index);
	}
	free(writer->rows);
	free(writer->groups);
	free(writer);
}
