/* The reference page of a record table: one line a field. */
#include "lib/record/record.h"

#include <stdio.h>

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

static void
write_names(struct buf *out, const struct field_names *names)
{
	enum { SHOWN_MAX = 8 };

	for (uint16_t i = 0; i < names->count && i < SHOWN_MAX; i++)
		buf_printf(out, "%s%s", i == 0 ? ": " : ", ", names->rows[i].name);
	if (names->count > SHOWN_MAX)
		buf_printf(out, ", … (%u names)", names->count);
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
write_rows(const struct record_table *table, const char *prefix, bool late, struct buf *out)
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
			write_names(out, field->names);
		buf_printf(out, " | %s%s | %s |\n", field->help, use_text(field, is_late), field->source == NULL ? "" : field->source);
		if (field->type != FIELD_LIST)
			continue;
		for (const struct record_table *const *child = field->children; *child != NULL; child++) {
			if (field->children[1] != NULL)
				buf_printf(out, "| *%s: %s* | | | |\n", nested, (*child)->name);
			write_rows(*child, nested, is_late, out);
		}
	}
}

void
record_reference(const struct record_table *table, struct buf *out)
{
	buf_puts(out, "| key and rule keyword | type | meaning | source |\n|---|---|---|---|\n");
	write_rows(table, table->name, false, out);
}
