/* The reference page of a record table: one line a field. */
#include "lib/record/record.h"

#include <stdio.h>
#include <string.h>

static const char *const type_texts[] = {
	[FIELD_BOOL] = "boolean", [FIELD_U8] = "number", [FIELD_U16] = "number", [FIELD_U32] = "number",
	[FIELD_U64] = "number", [FIELD_I8] = "number", [FIELD_I16] = "number", [FIELD_I32] = "number",
	[FIELD_I64] = "number", [FIELD_F32] = "number", [FIELD_F64] = "number", [FIELD_TIME] = "time",
	[FIELD_STRING] = "string", [FIELD_HEX] = "hex string", [FIELD_BASE64] = "base64 string", [FIELD_TEXT] = "string",
	[FIELD_MAC] = "MAC address", [FIELD_IP] = "IP address", [FIELD_NAMES8] = "array of names",
	[FIELD_NAMES16] = "array of names", [FIELD_U8S] = "array of numbers", [FIELD_U16S] = "array of numbers",
	[FIELD_U32S] = "array of numbers", [FIELD_BOOLS] = "array of booleans", [FIELD_LIST] = "array of objects",
	[FIELD_SCALARS] = "array of values",
};

enum { SHOWN_MAX = 8, NAMES_MAX = 256 };

/* Within a cell of a table. */
static void
put_cell(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			buf_putc(out, '\\');
		buf_putc(out, *text);
	}
}

/* As a rule writes it: with quotes where a name has a comma, or is none. */
static void
put_name(struct buf *out, const char *name, void (*put)(struct buf *out, const char *text))
{
	const char *quote = name[0] == '\0' || strchr(name, ',') != NULL ? "\"" : "";

	buf_puts(out, quote);
	put(out, name);
	buf_puts(out, quote);
}

static void
write_names(struct buf *out, const struct field_names *names, const char *table)
{
	for (uint16_t i = 0; i < names->count && i < SHOWN_MAX; i++) {
		buf_puts(out, i == 0 ? ": " : ", ");
		put_name(out, names->rows[i].name, put_cell);
	}
	if (names->count > SHOWN_MAX)
		buf_printf(out, ", … ([%u names](names.md#%s))", names->count, table);
}

static const char *
type_text(const struct field *field)
{
	if (field->names != NULL)
		return "name";
	if (field->type == FIELD_SCALARS && (field->flags & FIELD_ONE) != 0)
		return "value, or array of values";
	return field->flags & FIELD_ONE ? "object" : field->flags & FIELD_BARE ? "array of values" : type_texts[field->type];
}

static const char *
use_text(const struct field *field, bool late)
{
	if ((field->flags & FIELD_HIDDEN) != 0)
		return " (rules only)";
	return late ? " (events only)" : "";
}

/* late: of a list that rules are not asked of. */
static void
write_rows(const struct record_table *table, const char *prefix, const char *root, bool late, struct buf *out)
{
	char nested[256];

	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct field *field = &table->fields[i];
		bool is_late = late || (field->flags & FIELD_LATE) != 0;

		if (field->flags & FIELD_BESIDE)
			snprintf(nested, sizeof(nested), "%s", field->path);
		else
			snprintf(nested, sizeof(nested), "%s.%s", prefix, field->path);
		buf_printf(out, "| `%s` | %s", nested, type_text(field));
		if (field->names != NULL)
			write_names(out, field->names, root);
		buf_puts(out, " | ");
		put_cell(out, field->help);
		buf_printf(out, "%s | %s |\n", use_text(field, is_late), field->source == NULL ? "" : field->source);
		if (field->type != FIELD_LIST)
			continue;
		for (const struct record_table *const *child = field->children; *child != NULL; child++) {
			if (field->children[1] != NULL)
				buf_printf(out, "| *%s: %s* | | | |\n", nested, (*child)->name);
			write_rows(*child, nested, root, is_late, out);
		}
	}
}

void
record_reference(const struct record_table *table, bool is_asked, struct buf *out)
{
	buf_printf(out, "| %s | type | meaning | source |\n|---|---|---|---|\n", is_asked ? "key and rule keyword" : "key");
	write_rows(table, table->name, table->name, false, out);
}

/* ---- all names ---- */

struct names_seen {
	const struct field_names *rows[NAMES_MAX];
	unsigned int count;
};

static bool
names_first(struct names_seen *seen, const struct field_names *names)
{
	if (names == NULL || names->count <= SHOWN_MAX)
		return false;
	for (unsigned int i = 0; i < seen->count; i++)
		if (seen->rows[i] == names)
			return false;
	if (seen->count < NAMES_MAX)
		seen->rows[seen->count++] = names;
	return true;
}

static void
write_all_names(struct buf *out, const struct field_names *names)
{
	for (uint16_t i = 0; i < names->count; i++) {
		buf_printf(out, "%s%u `", i == 0 ? "" : ", ", names->rows[i].value);
		put_name(out, names->rows[i].name, buf_puts);
		buf_puts(out, "`");
	}
	buf_puts(out, "\n");
}

static void
write_lists(const struct record_table *table, const char *prefix, struct names_seen *seen, struct buf *out)
{
	char nested[256];

	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct field *field = &table->fields[i];

		snprintf(nested, sizeof(nested), "%s%s%s", field->flags & FIELD_BESIDE ? "" : prefix, field->flags & FIELD_BESIDE ? "" : ".", field->path);
		if (names_first(seen, field->names)) {
			buf_printf(out, "\n`%s`: ", nested);
			write_all_names(out, field->names);
		}
		for (const struct record_table *const *child = field->children; field->type == FIELD_LIST && *child != NULL; child++)
			write_lists(*child, nested, seen, out);
	}
}

void
record_reference_names(const struct record_table *table, struct buf *out)
{
	struct names_seen seen = { .count = 0 };

	write_lists(table, table->name, &seen, out);
}
