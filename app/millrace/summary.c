#include "app/millrace/summary.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "app/millrace/text.h"
#include "app/millrace/view.h"
#include "lib/base/json_walk.h"

enum { NAME_WIDTH = 44 };

static json_int_t
number(const json_t *root, const char *first, const char *second)
{
	return json_integer_value(json_object_get(json_object_get(root, first), second));
}

static void
print_leaf(const char *name, const json_t *value)
{
	char text[1024];
	struct buf out = { .data = text, .cap = sizeof(text) };

	text_put(&out, name, strlen(name));
	for (size_t i = out.len; i < NAME_WIDTH; i++)
		buf_putc(&out, ' ');
	buf_putc(&out, ' ');
	fwrite(out.data, 1, out.len, stdout);
	/* What was sniffed may be long. */
	if (json_is_string(value))
		text_print(stdout, json_string_value(value), json_string_length(value));
	else if (!json_is_null(value))
		json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	printf("\n");
}

static bool
has_objects(const json_t *value)
{
	return json_is_object(json_array_get(value, 0));
}

/* A list of objects is told value by value, too: flows.0.src_ip. */
static void
print_objects(const char *path, const json_t *list)
{
	char prefix[JSON_WALK_PATH_MAX];

	for (size_t i = 0; i < json_array_size(list); i++) {
		snprintf(prefix, sizeof(prefix), "%s.%zu", path, i);
		summary_print_tree(prefix, json_array_get(list, i));
	}
}

static enum json_walk_step
print_value(void *arg, const char *path, const char *key, json_t *value)
{
	json_t *none = json_is_object(value) && json_object_size(value) == 0 ? json_string("none") : NULL;

	if (has_objects(value))
		print_objects(path, value);
	else if (none != NULL || !json_is_object(value))
		print_leaf(path, none != NULL ? none : value);
	json_decref(none);
	return JSON_WALK_ENTER;
}

void
summary_print_tree(const char *prefix, const json_t *object)
{
	json_walk(object, prefix, print_value, NULL);
}

static void
heading(const char *text)
{
	printf("\n== %s\n", text);
}

/* What a section shows, and by which number the largest rows are chosen (NULL: as they come). */
struct section {
	const char *title;
	const char *key;
	const char *view;
	const char *none;
	const char *by;
	size_t rows_max;
	const char *more; /* the command that shows all */
	bool cut;         /* the answer has not all of them either */
};

static const struct section sections[] = {
	{ "sensors", "sensors", "delivered", "none has delivered", NULL, 6, "sensors", false },
	{ "records", "records", "records", "none", "records", 10, "protocols", false },
	{ "applications (flows)", "applications", "applications", "none", "flows", 6, "protocols", false },
	{ "protocols", "protocols", "protocols", "no industrial protocol was seen", "records", 10, "protocols", false },
	{ "alerts", "alerts", "signatures", "none", "alerts", 8, "summary --json", false },
	{ "top talkers", "talkers", "talkers", "none", "bytes", 6, "talkers --limit 1000", true },
};

/* The rows_max largest rows, largest first: a new array. */
static json_t *
largest(const json_t *rows, const struct section *section)
{
	json_t *chosen = json_array();
	size_t i;
	json_t *row;

	json_array_foreach((json_t *)rows, i, row) {
		size_t at = json_array_size(chosen);

		while (section->by != NULL && at > 0 &&
			json_integer_value(json_object_get(json_array_get(chosen, at - 1), section->by)) <
				json_integer_value(json_object_get(row, section->by)))
			at--;
		json_array_insert(chosen, at, row);
		if (json_array_size(chosen) > section->rows_max)
			json_array_remove(chosen, section->rows_max);
	}
	return chosen;
}

static void
print_section(const json_t *root, const struct section *section)
{
	const json_t *rows = json_object_get(root, section->key);
	size_t count = json_array_size(rows);
	json_t *shown;

	heading(section->title);
	if (count == 0) {
		printf("%s\n", section->none);
		return;
	}
	shown = largest(rows, section);
	view_print_rows(section->view, shown);
	if (section->cut && count > json_array_size(shown))
		printf("... and more: millrace %s\n", section->more);
	else if (count > json_array_size(shown))
		printf("... and %zu more: millrace %s\n", count - json_array_size(shown), section->more);
	json_decref(shown);
}

/* Losses are all named; those that are zero share lines, so that the others stand out. */
static void
print_losses(const json_t *losses)
{
	unsigned int zeros = 0;
	size_t width = 0;
	const char *name;
	json_t *value;

	heading("losses");
	json_object_foreach((json_t *)losses, name, value) {
		if (json_integer_value(value) != 0)
			print_leaf(name, value);
		zeros += json_integer_value(value) == 0;
	}
	if (zeros == 0)
		return;
	printf("zero:");
	width = 5;
	json_object_foreach((json_t *)losses, name, value) {
		if (json_integer_value(value) != 0)
			continue;
		if (width + strlen(name) + 1 > 110) {
			printf("\n     ");
			width = 5;
		}
		printf(" ");
		text_print(stdout, name, strlen(name));
		width += strlen(name) + 1;
	}
	printf("\n");
}

void
summary_print(const json_t *root)
{
	json_int_t received = number(root, "frames", "received");
	json_int_t processed = number(root, "frames", "processed");

	printf("frames     %" JSON_INTEGER_FORMAT " received, %" JSON_INTEGER_FORMAT " processed, %" JSON_INTEGER_FORMAT
		" lost, %" JSON_INTEGER_FORMAT " bytes\n", received, processed, received - processed,
		number(root, "frames", "bytes"));
	printf("flows      %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " packets, %" JSON_INTEGER_FORMAT " bytes\n",
		number(root, "flows", "flows"), number(root, "flows", "packets"), number(root, "flows", "bytes"));
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		print_section(root, &sections[i]);
	print_losses(json_object_get(root, "losses"));
}
