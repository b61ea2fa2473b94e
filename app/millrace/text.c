#include "app/millrace/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cursor.h"

struct text_table {
	const char *const *headings;
	unsigned int column_count;
	size_t cell_count;
	size_t cell_cap;
	char **cells;
	bool failed;
};

/* Ranges that move, hide or reorder what a terminal shows. */
static const struct {
	uint32_t first, last;
} hidden[] = {
	{ 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x061c, 0x061c }, { 0x180e, 0x180e }, { 0x200b, 0x200f },
	{ 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
};

static bool
is_hidden(uint32_t code)
{
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (code >= hidden[i].first && code <= hidden[i].last)
			return true;
	return false;
}

/* One character; the JSON library has checked that it is UTF-8, anything else comes out byte by byte. */
static uint32_t
next_code(struct cursor *c)
{
	uint8_t first = cursor_u8(c);
	unsigned int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
	uint32_t code = more == 0 ? first : first & (0x3fu >> more);

	if (more > cursor_left(c))
		return first;
	for (; more > 0; more--)
		code = code << 6 | (cursor_u8(c) & 0x3f);
	return code;
}

void
text_put(struct buf *out, const char *text, size_t len)
{
	struct cursor c = cursor_of(text, len);

	while (cursor_left(&c) > 0) {
		const uint8_t *start = c.pos;
		uint32_t code = next_code(&c);

		if (!is_hidden(code))
			buf_put(out, start, (size_t)(c.pos - start));
		else if (code < 0x80)
			buf_printf(out, "\\x%02x", code);
		else
			buf_printf(out, "\\u{%x}", code);
	}
}

void
text_print(FILE *out, const char *text, size_t len)
{
	struct buf b;

	if (buf_create(&b, len * 10 + 1) != 0)
		return;
	text_put(&b, text, len);
	fwrite(b.data, 1, b.len, out);
	buf_destroy(&b);
}

void
text_put_value(struct buf *out, const json_t *value)
{
	char *dump;

	if (json_is_string(value)) {
		text_put(out, json_string_value(value), json_string_length(value));
		return;
	}
	if (value == NULL || json_is_null(value))
		return;
	dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	if (dump != NULL)
		buf_puts(out, dump);
	free(dump);
}

struct text_table *
text_table_create(const char *const *headings, unsigned int column_count)
{
	struct text_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->headings = headings;
	table->column_count = column_count;
	return table;
}

/* Characters, as columns of a terminal: continuation bytes take none. */
static size_t
width_of(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

void
text_table_add(struct text_table *table, const char *cell, size_t len)
{
	char *copy;

	if (table->cell_count == table->cell_cap) {
		size_t cap = table->cell_cap == 0 ? 256 : table->cell_cap * 2;
		char **grown = realloc(table->cells, cap * sizeof(*grown));

		table->failed = table->failed || grown == NULL;
		if (grown == NULL)
			return;
		table->cells = grown;
		table->cell_cap = cap;
	}
	copy = len == 0 ? strdup("-") : strndup(cell, len);
	table->failed = table->failed || copy == NULL;
	if (copy != NULL)
		table->cells[table->cell_count++] = copy;
}

static void
print_cell(FILE *out, const char *text, size_t width, bool right, bool last)
{
	size_t pad = width - width_of(text);

	if (right)
		fprintf(out, "%*s%s", (int)pad, "", text);
	else
		fprintf(out, "%s%*s", text, last ? 0 : (int)pad, "");
	fprintf(out, "%s", last ? "\n" : "  ");
}

static void
print_rows(const struct text_table *table, FILE *out)
{
	size_t *widths = calloc(table->column_count, sizeof(*widths));

	if (widths == NULL)
		return;
	for (unsigned int i = 0; i < table->column_count; i++)
		widths[i] = width_of(table->headings[i] + (table->headings[i][0] == '>'));
	for (size_t i = 0; i < table->cell_count; i++)
		if (width_of(table->cells[i]) > widths[i % table->column_count])
			widths[i % table->column_count] = width_of(table->cells[i]);
	for (unsigned int i = 0; i < table->column_count; i++)
		print_cell(out, table->headings[i] + (table->headings[i][0] == '>'), widths[i],
			table->headings[i][0] == '>', i + 1 == table->column_count);
	for (size_t i = 0; i < table->cell_count; i++) {
		unsigned int column = (unsigned int)(i % table->column_count);

		print_cell(out, table->cells[i], widths[column], table->headings[column][0] == '>',
			column + 1 == table->column_count);
	}
	free(widths);
}

void
text_table_print(struct text_table *table, FILE *out)
{
	if (table->failed)
		fprintf(stderr, "millrace: out of memory\n");
	else
		print_rows(table, out);
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}
