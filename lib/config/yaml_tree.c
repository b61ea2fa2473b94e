/* libyaml's events to a tree. Bounded: depth, length; no aliases, so that no document grows by reference. */
#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "lib/config/tree.h"

struct level {
	json_t *node;   /* object or array being filled */
	char *key;      /* object: the key whose value comes next, or NULL */
	size_t path_len; /* of the dotted path of node */
};

struct reader {
	struct level levels[CONFIG_DEPTH_MAX];
	unsigned int depth; /* levels in use */
	char path[CONFIG_PATH_MAX];
	json_t *root;
	json_t *lines;
	const char *name;
	struct config_error *err;
};

static int
fail(struct reader *r, const yaml_mark_t *mark, const char *reason)
{
	config_error_set(r->err, "%s:%zu: %s", r->name, mark->line + 1, reason);
	return -EINVAL;
}

/* Puts a finished or opened value where it belongs. Takes the reference. */
static int
place(struct reader *r, json_t *value, const yaml_mark_t *mark)
{
	struct level *level;
	int rc;

	if (value == NULL)
		return -ENOMEM;
	if (r->depth == 0) {
		r->root = value;
		return 0;
	}
	level = &r->levels[r->depth - 1];
	if (json_is_array(level->node))
		return json_array_append_new(level->node, value) == 0 ? 0 : -ENOMEM;
	if (json_object_get(level->node, level->key) != NULL) {
		json_decref(value);
		return fail(r, mark, "this key was given before");
	}
	rc = json_object_set_new(level->node, level->key, value) == 0 ? 0 : -ENOMEM;
	free(level->key);
	level->key = NULL;
	return rc;
}

static int
take_key(struct reader *r, const yaml_event_t *event)
{
	struct level *level = &r->levels[r->depth - 1];
	const char *key = (const char *)event->data.scalar.value;
	int len = snprintf(r->path + level->path_len, sizeof(r->path) - level->path_len, "%s%s",
		level->path_len > 0 ? "." : "", key);

	if (len < 0 || level->path_len + (size_t)len >= sizeof(r->path))
		return fail(r, &event->start_mark, "the key's path is too long");
	level->key = strdup(key);
	if (level->key == NULL)
		return -ENOMEM;
	if (r->lines != NULL &&
		json_object_set_new(r->lines, r->path, json_integer((json_int_t)event->start_mark.line + 1)) != 0)
		return -ENOMEM;
	return 0;
}

static int
take_scalar(struct reader *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	struct level *level = r->depth > 0 ? &r->levels[r->depth - 1] : NULL;
	bool empty = event->data.scalar.length == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (strlen(text) != event->data.scalar.length)
		return fail(r, &event->start_mark, "a NUL byte in a value");
	if (level != NULL && json_is_object(level->node) && level->key == NULL)
		return take_key(r, event);
	if (empty || (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "~") == 0))
		return place(r, json_null(), &event->start_mark);
	json_t *value = json_string(text);

	if (value == NULL)
		return fail(r, &event->start_mark, "the value is not UTF-8");
	return place(r, value, &event->start_mark);
}

static int
open_level(struct reader *r, json_t *node, const yaml_mark_t *mark)
{
	size_t path_len = strlen(r->path);
	int rc;

	if (r->depth == CONFIG_DEPTH_MAX) {
		json_decref(node);
		return fail(r, mark, "nested too deep");
	}
	if (r->depth > 0 && json_is_object(r->levels[r->depth - 1].node) && r->levels[r->depth - 1].key == NULL) {
		json_decref(node);
		return fail(r, mark, "a key must be plain text");
	}
	rc = place(r, node, mark);
	if (rc == 0)
		r->levels[r->depth++] = (struct level){ .node = node, .path_len = path_len };
	return rc;
}

static void
close_level(struct reader *r)
{
	if (r->depth == 0)
		return;
	r->depth--;
	if (r->depth > 0)
		r->path[r->levels[r->depth - 1].path_len] = '\0';
}

/* "!10.0.0.0/8" without quotes is a tag to YAML, and the value behind it empty. */
static bool
has_tag(const yaml_event_t *event)
{
	const yaml_char_t *tag = event->type == YAML_SCALAR_EVENT ? event->data.scalar.tag
		: event->type == YAML_MAPPING_START_EVENT         ? event->data.mapping_start.tag
		: event->type == YAML_SEQUENCE_START_EVENT        ? event->data.sequence_start.tag
								  : NULL;

	return tag != NULL && tag[0] == '!';
}

static int
take_event(struct reader *r, const yaml_event_t *event)
{
	if (has_tag(event))
		return fail(r, &event->start_mark, "a value that begins with ! stands in quotes");
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return take_scalar(r, event);
	case YAML_MAPPING_START_EVENT:
		return open_level(r, json_object(), &event->start_mark);
	case YAML_SEQUENCE_START_EVENT:
		return open_level(r, json_array(), &event->start_mark);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		close_level(r);
		return 0;
	case YAML_ALIAS_EVENT:
		return fail(r, &event->start_mark, "aliases are not supported");
	case YAML_DOCUMENT_START_EVENT:
		return r->root == NULL ? 0 : fail(r, &event->start_mark, "a second document");
	default:
		return 0;
	}
}

static int
read_events(struct reader *r, yaml_parser_t *parser)
{
	yaml_event_t event;

	for (;;) {
		bool last;
		int rc;

		if (!yaml_parser_parse(parser, &event)) {
			config_error_set(r->err, "%s:%zu: %s", r->name, parser->problem_mark.line + 1,
				parser->problem != NULL ? parser->problem : "no YAML");
			return -EINVAL;
		}
		last = event.type == YAML_STREAM_END_EVENT;
		rc = take_event(r, &event);
		yaml_event_delete(&event);
		if (rc != 0 || last)
			return rc;
	}
}

int
tree_parse(const char *text, size_t len, const char *name, json_t **tree, json_t *lines, struct config_error *err)
{
	struct reader r = { .name = name, .lines = lines, .err = err };
	yaml_parser_t parser;
	int rc;

	*tree = NULL;
	if (!yaml_parser_initialize(&parser)) {
		config_error_set(err, "%s: out of memory", name);
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	rc = read_events(&r, &parser);
	yaml_parser_delete(&parser);
	for (unsigned int i = 0; i < r.depth; i++)
		free(r.levels[i].key);
	if (rc == -ENOMEM)
		config_error_set(err, "%s: out of memory", name);
	if (rc != 0) {
		json_decref(r.root);
		return rc;
	}
	*tree = r.root != NULL ? r.root : json_null();
	return 0;
}
