#include "lib/store/clickhouse/clickhouse_group.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
free_group(struct clickhouse_group *group)
{
	for (unsigned int i = 0; i < CLICKHOUSE_COLUMNS_MAX; i++)
		free(group->cells[i]);
	free(group->line);
}

struct clickhouse_group *
clickhouse_groups_add(struct clickhouse_groups *groups)
{
	size_t cap = groups->cap == 0 ? 64 : groups->cap * 2;
	struct clickhouse_group *grown;

	if (groups->count == groups->cap) {
		grown = realloc(groups->rows, cap * sizeof(*grown));
		if (grown == NULL)
			return NULL;
		groups->rows = grown;
		groups->cap = cap;
	}
	groups->rows[groups->count] = (struct clickhouse_group){ 0 };
	return &groups->rows[groups->count++];
}

/* ---- TabSeparated ---- */

static const struct { char letter, byte; } escapes[] = {
	{ 'n', '\n' }, { 't', '\t' }, { 'r', '\r' }, { '0', '\0' }, { 'b', '\b' }, { 'f', '\f' }, { '\'', '\'' }, { '\\', '\\' },
};

/* One cell up to its end; *out is NULL for \N. @return where it ended, NULL: no memory */
static const char *
read_cell(const char *text, char **out)
{
	size_t len = strcspn(text, "\t\n");
	char *cell = malloc(len + 1);
	size_t n = 0;

	*out = NULL;
	if (cell == NULL)
		return NULL;
	if (len == 2 && text[0] == '\\' && text[1] == 'N') {
		free(cell);
		return text + len;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\' && i + 1 < len) {
			i++;
			cell[n] = text[i];
			for (size_t e = 0; e < sizeof(escapes) / sizeof(escapes[0]); e++)
				if (escapes[e].letter == text[i])
					cell[n] = escapes[e].byte;
			n++;
		} else {
			cell[n++] = text[i];
		}
	}
	cell[n] = '\0';
	*out = cell;
	return text + len;
}

int
clickhouse_groups_read(struct clickhouse_groups *groups, const char *text)
{
	while (text != NULL && *text != '\0') {
		struct clickhouse_group *group = clickhouse_groups_add(groups);

		if (group == NULL)
			return -ENOMEM;
		for (unsigned int i = 0; i < groups->column_count; i++) {
			text = read_cell(text, &group->cells[i]);
			if (text == NULL)
				return -ENOMEM;
			if (*text != (i + 1 < groups->column_count ? '\t' : '\n'))
				return -EBADMSG;
			text++;
		}
	}
	return 0;
}

/* ---- groups of several shards ---- */

double
clickhouse_cell_real(const char *cell)
{
	return cell == NULL ? 0 : strtod(cell, NULL);
}

bool
clickhouse_format_is_number(enum clickhouse_format format)
{
	return format != AS_TEXT && format != AS_IP;
}

/* NULL before all. */
static int
compare_cells(const struct clickhouse_column *column, const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	if (column->format == AS_WHOLE)
		return (clickhouse_cell_real(a) > clickhouse_cell_real(b)) - (clickhouse_cell_real(a) < clickhouse_cell_real(b));
	if (clickhouse_format_is_number(column->format)) {
		int64_t x = strtoll(a, NULL, 10), y = strtoll(b, NULL, 10);

		return (x > y) - (x < y);
	}
	return strcmp(a, b);
}

static int
compare_keys(const void *a, const void *b, void *arg)
{
	const struct clickhouse_groups *groups = arg;
	const struct clickhouse_group *x = a, *y = b;
	int order = 0;

	for (unsigned int i = 0; i < groups->column_count && order == 0; i++)
		if (groups->columns[i].join == KEY)
			order = compare_cells(&groups->columns[i], x->cells[i], y->cells[i]);
	return order;
}

static int
compare_order(const void *a, const void *b, void *arg)
{
	const struct clickhouse_groups *groups = arg;
	const struct clickhouse_group *x = a, *y = b;

	for (unsigned int i = 0; i < CLICKHOUSE_ORDER_MAX && groups->order[i] != 0; i++) {
		int at = abs(groups->order[i]) - 1;
		int order = compare_cells(&groups->columns[at], x->cells[at], y->cells[at]);

		if (order != 0)
			return groups->order[i] < 0 ? -order : order;
	}
	return 0;
}

static int
join_cell(const struct clickhouse_column *column, char **into, char **from)
{
	char text[64];
	int order = compare_cells(column, *from, *into);
	int64_t total;

	if (column->join == KEY)
		return 0;
	if (column->join == SUM) {
		if (column->format == AS_WHOLE)
			snprintf(text, sizeof(text), "%.17g", clickhouse_cell_real(*into) + clickhouse_cell_real(*from));
		else if (!__builtin_add_overflow(*into == NULL ? 0 : strtoll(*into, NULL, 10),
			*from == NULL ? 0 : strtoll(*from, NULL, 10), &total))
			snprintf(text, sizeof(text), "%" PRId64, total);
		else
			snprintf(text, sizeof(text), "%" PRId64, INT64_MAX);
		free(*into);
		*into = strdup(text);
		return *into == NULL ? -ENOMEM : 0;
	}
	/* The least of some values passes over those that are none. */
	if ((column->join == LEAST && *from != NULL && (*into == NULL || order < 0)) || (column->join == MOST && order > 0)) {
		char *kept = *into;

		*into = *from;
		*from = kept;
	}
	return 0;
}

int
clickhouse_groups_join(struct clickhouse_groups *groups)
{
	size_t kept = 0;
	int err = 0;

	if (groups->count == 0)
		return 0;
	qsort_r(groups->rows, groups->count, sizeof(*groups->rows), compare_keys, groups);
	for (size_t i = 0; i < groups->count; i++) {
		struct clickhouse_group *group = &groups->rows[i];

		if (kept == 0 || compare_keys(&groups->rows[kept - 1], group, groups) != 0) {
			struct clickhouse_group moved = *group;

			*group = (struct clickhouse_group){ 0 };
			groups->rows[kept++] = moved;
			continue;
		}
		for (unsigned int c = 0; c < groups->column_count && err == 0; c++)
			err = join_cell(&groups->columns[c], &groups->rows[kept - 1].cells[c], &group->cells[c]);
		free_group(group);
		*group = (struct clickhouse_group){ 0 };
	}
	groups->count = kept;
	qsort_r(groups->rows, groups->count, sizeof(*groups->rows), compare_order, groups);
	return err;
}

void
clickhouse_groups_cut(struct clickhouse_groups *groups, size_t most)
{
	while (groups->count > most)
		free_group(&groups->rows[--groups->count]);
}

void
clickhouse_groups_free(struct clickhouse_groups *groups)
{
	clickhouse_groups_cut(groups, 0);
	free(groups->rows);
	groups->rows = NULL;
	groups->cap = 0;
}
