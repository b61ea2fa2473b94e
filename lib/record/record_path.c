/* From a dotted path to a field, through lists; and the tables' own consistency. */
#include "lib/record/record.h"

#include <errno.h>
#include <string.h>

/* Counts down *skip at each match; the match that finds it zero is the answer. Depth is bounded by
 * RECORD_DEPTH_MAX, which record_table_check() holds the tables to. */
static int
resolve(const struct record_table *table, const char *path, unsigned int *skip, struct record_path *out)
{
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct field *field = &table->fields[i];
		size_t len = strlen(field->path);

		if (field->type != FIELD_LIST && strcmp(field->path, path) == 0) {
			if ((*skip)-- > 0)
				continue;
			out->leaf = field;
			out->leaf_table = table;
			return 0;
		}
		if (field->type != FIELD_LIST || strncmp(field->path, path, len) != 0 || path[len] != '.' ||
			out->list_count == RECORD_DEPTH_MAX)
			continue;
		out->list_tables[out->list_count] = table;
		out->lists[out->list_count++] = field;
		for (const struct record_table *const *child = field->children; *child != NULL; child++)
			if (resolve(*child, path + len + 1, skip, out) == 0)
				return 0;
		out->list_count--;
	}
	return -ENOENT;
}

int
record_path_resolve(const struct record_table *table, const char *path, struct record_path *out)
{
	unsigned int skip = 0;

	memset(out, 0, sizeof(*out));
	return resolve(table, path, &skip, out);
}

int
record_path_next(const struct record_table *table, const char *text, struct record_path *path)
{
	const struct record_path now = *path;

	for (unsigned int nth = 0;; nth++) {
		unsigned int skip = nth;

		memset(path, 0, sizeof(*path));
		if (resolve(table, text, &skip, path) != 0)
			return -ENOENT;
		if (memcmp(path, &now, sizeof(now)) != 0)
			continue;
		skip = nth + 1;
		memset(path, 0, sizeof(*path));
		return resolve(table, text, &skip, path);
	}
}

/* Whether the record at a depth is of the table: it may be a child of another shape. */
static bool
is_of(const struct record_path *path, unsigned int depth, const uint8_t *record, const struct record_table *table)
{
	const struct record_head *head = (const void *)record;

	return depth == 0 || path->lists[depth - 1]->children[head->shape] == table;
}

bool
record_path_any(const struct record_path *path, const void *blob, record_test test, void *arg)
{
	const uint8_t *base = blob;
	const uint8_t *stack[RECORD_DEPTH_MAX + 1] = { base }; /* the record looked at, at each depth */
	unsigned int depth = 0;

	for (;;) {
		if (depth == path->list_count) {
			if (is_of(path, depth, stack[depth], path->leaf_table) && test(path->leaf, base, stack[depth], arg))
				return true;
		} else if (is_of(path, depth, stack[depth], path->list_tables[depth])) {
			const struct field *field = path->lists[depth];
			const struct record_list *list = (const void *)(stack[depth] + field->offset);

			if (record_is_present(stack[depth], field->bit) && list->count > 0) {
				stack[++depth] = base + list->first;
				continue;
			}
		}
		/* The next sibling, of this record or of the nearest ancestor that has one. */
		while (depth > 0 && ((const struct record_head *)(const void *)stack[depth])->next == 0)
			depth--;
		if (depth == 0)
			return false;
		stack[depth] = base + ((const struct record_head *)(const void *)stack[depth])->next;
	}
}

static const uint8_t type_sizes[] = {
	[FIELD_BOOL] = 1, [FIELD_U8] = 1, [FIELD_U16] = 2, [FIELD_U32] = 4, [FIELD_U64] = 8,
	[FIELD_I8] = 1, [FIELD_I16] = 2, [FIELD_I32] = 4, [FIELD_I64] = 8, [FIELD_F32] = 4, [FIELD_F64] = 8,
	[FIELD_TIME] = 8, [FIELD_STRING] = sizeof(struct record_ref), [FIELD_HEX] = sizeof(struct record_ref),
	[FIELD_BASE64] = sizeof(struct record_ref), [FIELD_TEXT] = sizeof(char *), [FIELD_MAC] = 6,
	[FIELD_IP] = sizeof(struct record_ip), [FIELD_NAMES8] = 1, [FIELD_NAMES16] = 2,
	[FIELD_U8S] = sizeof(struct record_ref), [FIELD_U16S] = sizeof(struct record_ref),
	[FIELD_U32S] = sizeof(struct record_ref), [FIELD_BOOLS] = sizeof(struct record_ref),
	[FIELD_LIST] = sizeof(struct record_list), [FIELD_SCALARS] = sizeof(struct record_ref),
};

/* Length of the path without its last key: "request.read." of "request.read.address". */
static size_t
object_len(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot == NULL ? 0 : (size_t)(dot - path) + 1;
}

/* Rows of one object follow one another: once another object began, none of the first comes again. */
static bool
adjacent(const struct record_table *table, uint16_t at)
{
	const char *path = table->fields[at].path;

	for (size_t len = object_len(path); len > 0;) {
		bool left = false;

		for (uint16_t i = at; i-- > 0;) {
			bool inside = strncmp(table->fields[i].path, path, len) == 0;

			if (inside && left)
				return false;
			left = left || !inside;
		}
		for (len--; len > 0 && path[len - 1] != '.';)
			len--;
	}
	return true;
}

static const char *
names_check(const struct field_names *names)
{
	for (uint16_t i = 1; i < names->count; i++)
		if (names->rows[i - 1].value >= names->rows[i].value)
			return "names do not ascend";
	return NULL;
}

/* The value that stands for the child is always there, and the first one written. */
static const char *
bare_check(const struct field *list)
{
	for (const struct record_table *const *child = list->children; *child != NULL; child++)
		if ((*child)->field_count == 0 || (*child)->fields[0].bit != FIELD_ALWAYS ||
			((*child)->fields[0].flags & FIELD_HIDDEN) != 0 || strchr((*child)->fields[0].path, '.') != NULL)
			return "a bare child without a first value";
	return NULL;
}

static const char *
field_check(const struct record_table *table, uint16_t at, unsigned int depth)
{
	const struct field *field = &table->fields[at];

	if (field->path == NULL || field->path[0] == '\0' || field->help == NULL)
		return "a field without path or help";
	if (field->type >= sizeof(type_sizes) || field->offset + type_sizes[field->type] > table->size)
		return "a field beyond its struct";
	if (field->offset < sizeof(struct record_head))
		return "a field inside the head";
	if (field->bit != FIELD_ALWAYS && field->bit > 63)
		return "a presence bit above 63";
	if (!adjacent(table, at))
		return "an object's rows are not adjacent";
	if (field->names != NULL && names_check(field->names) != NULL)
		return names_check(field->names);
	if ((field->type == FIELD_NAMES8 || field->type == FIELD_NAMES16) && field->names == NULL)
		return "a bit set without names";
	if ((field->type == FIELD_LIST) != (field->children != NULL))
		return "children without a list, or a list without";
	if (field->type == FIELD_LIST && depth + 1 > RECORD_DEPTH_MAX)
		return "lists too deep";
	if (field->type != FIELD_LIST && (field->flags & (field->type == FIELD_SCALARS ? FIELD_BARE : FIELD_ONE | FIELD_BARE)) != 0)
		return "a flag of lists elsewhere";
	if (field->flags & FIELD_BARE)
		return bare_check(field);
	return NULL;
}

static const char *
table_check(const struct record_table *table, unsigned int depth)
{
	if (table->size < sizeof(struct record_head))
		return "a struct without a head";
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct field *field = &table->fields[i];
		const char *wrong = field_check(table, i, depth);

		if (wrong != NULL)
			return wrong;
		if (field->type != FIELD_LIST)
			continue;
		for (const struct record_table *const *child = field->children; *child != NULL; child++) {
			wrong = table_check(*child, depth + 1);
			if (wrong != NULL)
				return wrong;
		}
	}
	return NULL;
}

const char *
record_table_check(const struct record_table *table)
{
	return table_check(table, 0);
}
