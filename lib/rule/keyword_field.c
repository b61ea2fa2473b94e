/* Keywords that come from the protocols' tables: fields by JSON path, their own buffers and keywords. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/rule/keyword.h"
#include "lib/rule/rule_tests.h"

enum { FIELD_SHAPES_MAX = 32, FIELD_PATHS_LEN_MAX = 256 };

static bool
field_is_bytes(const struct field *field)
{
	return field->type == FIELD_STRING || field->type == FIELD_HEX || field->type == FIELD_BASE64 || field->type == FIELD_TEXT;
}

static void
field_shapes(const struct record_table *table, const char *text, struct record_path paths[], uint16_t *count)
{
	if (*count == FIELD_SHAPES_MAX || record_path_resolve(table, text, &paths[*count]) != 0)
		return;
	do {
		if (++*count == FIELD_SHAPES_MAX)
			break;
		paths[*count] = paths[*count - 1];
	} while (record_path_next(table, text, &paths[*count]) == 0);
}

/* All shapes of a path, or of several with blanks between, into the set's memory. */
static const struct record_path *
field_paths(struct rule_parser *parser, unsigned int app, const char *text, uint16_t *count)
{
	const struct record_table *table = parser->set->world.apps[app]->record;
	struct record_path paths[FIELD_SHAPES_MAX] = { 0 };
	char words[FIELD_PATHS_LEN_MAX], *rest = NULL;

	*count = 0;
	snprintf(words, sizeof(words), "%s", text);
	for (char *word = strtok_r(words, " ", &rest); table != NULL && word != NULL; word = strtok_r(NULL, " ", &rest))
		field_shapes(table, word, paths, count);
	if (*count == 0)
		return NULL;
	const struct record_path *kept = rule_arena_copy(&parser->set->arena, paths, *count * sizeof(paths[0]));

	if (kept == NULL)
		rule_no_memory(parser);
	return kept;
}

static int
field_buffer(struct rule_parser *parser, unsigned int app, const char *path)
{
	struct rule_buffer buffer = { .kind = BUFFER_FIELD, .app = (uint8_t)app };

	buffer.paths = field_paths(parser, app, path, &buffer.path_count);
	if (buffer.paths == NULL)
		return parser->no_memory ? -ENOMEM : rule_refuse(parser, "the protocol's table has no field %s", path);
	return rule_use_buffer(parser, &buffer);
}

static const struct {
	uint8_t type;
	rule_test_fn fn;
	bool bits;
	int64_t low, high; /* the values that there are; both 0: not whole numbers, or of any kind */
} field_tests[] = {
	{ FIELD_BOOL, rule_test_field_number, false, 0, 1 },
	{ FIELD_U8, rule_test_field_number, false, 0, UINT8_MAX },
	{ FIELD_U16, rule_test_field_number, false, 0, UINT16_MAX },
	{ FIELD_U32, rule_test_field_number, false, 0, UINT32_MAX },
	{ FIELD_U64, rule_test_field_number, false, INT64_MIN, INT64_MAX },
	{ FIELD_I8, rule_test_field_number, false, INT8_MIN, INT8_MAX },
	{ FIELD_I16, rule_test_field_number, false, INT16_MIN, INT16_MAX },
	{ FIELD_I32, rule_test_field_number, false, INT32_MIN, INT32_MAX },
	{ FIELD_I64, rule_test_field_number, false, INT64_MIN, INT64_MAX },
	{ FIELD_TIME, rule_test_field_number, false, INT64_MIN, INT64_MAX },
	{ FIELD_NAMES8, rule_test_field_number, true, 0, UINT8_MAX },
	{ FIELD_NAMES16, rule_test_field_number, true, 0, UINT16_MAX },
	{ FIELD_F32, rule_test_field_real, false, 0, 0 },
	{ FIELD_F64, rule_test_field_real, false, 0, 0 },
	{ FIELD_U8S, rule_test_field_array, false, 0, UINT8_MAX },
	{ FIELD_U16S, rule_test_field_array, false, 0, UINT16_MAX },
	{ FIELD_U32S, rule_test_field_array, false, 0, UINT32_MAX },
	{ FIELD_BOOLS, rule_test_field_array, false, 0, 1 },
	{ FIELD_SCALARS, rule_test_field_scalars, false, 0, 0 },
};

static rule_test_fn
test_of(uint8_t type)
{
	for (unsigned int i = 0; i < sizeof(field_tests) / sizeof(field_tests[0]); i++)
		if (field_tests[i].type == type)
			return field_tests[i].fn;
	return NULL;
}

/* Behind a number, which elements of an array: "16,0", "16,all". Lists of numbers stand in brackets, "[16,28]"; names need none. */
static int
field_element(struct rule_parser *parser, struct rule_test *test, const struct field *field, char *value)
{
	const char *comma = strchr(value, ',');
	uint32_t named;

	if (field->names != NULL && comma != NULL && field_value_of(field->names, comma + 1 + strspn(comma + 1, " "), &named))
		return 0;
	int ret = rule_elements_parse(parser, value, test);

	if (test->elements != NULL)
		test->fn = rule_test_field_element;
	return ret;
}

/* Whether the words of a list mean the same by two tables of names (NULL: one without any), where they are names of the
 * first at all. */
static bool
names_agree(const char *value, const struct field_names *names, const struct field_names *others)
{
	const char *at = value + strspn(value, "[!");

	for (size_t len; *at != '\0'; at += len + strspn(at + len, "\",]")) {
		char word[FIELD_PATHS_LEN_MAX];
		uint32_t meant, there;

		at += strspn(at, " !=");
		at += *at == '"';
		len = strcspn(at, at > value && at[-1] == '"' ? "\"" : ",]");
		snprintf(word, sizeof(word), "%.*s", (int)len, at);
		if (field_value_of(names, rule_trim(word), &meant) &&
			(others == NULL || !field_value_of(others, word, &there) || there != meant))
			return false;
	}
	return true;
}

/*
 * Shapes of a path may call the same number by different names, or not know a name: a rule that has one asks those alone
 * that have it. @return the leaf whose names they are
 */
static const struct field *
field_shapes_of_names(struct rule_parser *parser, struct rule_test *test, const char *value)
{
	struct record_path kept[FIELD_SHAPES_MAX];
	const struct field *field = test->paths[0].leaf;
	uint16_t count = 0;

	for (unsigned int i = test->path_count; i-- > 0;)
		if (test->paths[i].leaf->names != NULL && !names_agree(value, test->paths[i].leaf->names, NULL))
			field = test->paths[i].leaf; /* the first that has the name */
	for (unsigned int i = 0; field->names != NULL && i < test->path_count; i++)
		if (test->paths[i].leaf->names == field->names || names_agree(value, field->names, test->paths[i].leaf->names))
			kept[count++] = test->paths[i];
	if (count == 0 || count == test->path_count)
		return field;
	test->paths = rule_arena_copy(&parser->set->arena, kept, count * sizeof(kept[0]));
	test->path_count = count;
	if (test->paths != NULL)
		return field;
	rule_no_memory(parser);
	return NULL;
}

/* What none of the path's shapes can be is refused. */
static int
field_check(struct rule_parser *parser, const struct rule_test *test)
{
	int64_t low = INT64_MAX, high = INT64_MIN;

	for (unsigned int shape = 0; shape < test->path_count; shape++) {
		unsigned int i = 0, count = sizeof(field_tests) / sizeof(field_tests[0]);

		while (i < count && field_tests[i].type != test->paths[shape].leaf->type)
			i++;
		if (i == count || field_tests[i].low == field_tests[i].high)
			return 0;
		low = field_tests[i].low < low ? field_tests[i].low : low;
		high = field_tests[i].high > high ? field_tests[i].high : high;
	}
	return rule_numbers_check(parser, &test->numbers, low, high);
}

static int
field_compare(struct rule_parser *parser, struct rule_test *test, char *value)
{
	const struct field *field = field_shapes_of_names(parser, test, value);

	if (field == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < sizeof(field_tests) / sizeof(field_tests[0]); i++) {
		if (field_tests[i].type != field->type)
			continue;
		test->fn = field_tests[i].fn;
		for (unsigned int shape = 0; shape < test->path_count; shape++)
			if (test_of(test->paths[shape].leaf->type) != test->fn)
				test->fn = rule_test_field_value;
		int ret = test->fn == rule_test_field_array ? field_element(parser, test, field, value) : 0;

		if (ret != 0)
			return ret < 0 ? ret : 0;
		if (value[0] == '!' && value[1] == '[') {
			test->negated = true;
			value++;
		}
		ret = rule_numbers_parse(parser, value, field->names, field_tests[i].bits, &test->numbers);
		return ret != 0 ? ret : field_check(parser, test);
	}
	return rule_refuse(parser, "a field of this kind cannot be compared; without a value it asks whether the field is present");
}

/* `tls.subject:"CN=plc"`: the text occurs in the field. What follows looks where it looked before. Of a digest's digits case
 * says nothing. */
static int
field_text(struct rule_parser *parser, unsigned int app, const char *path, char *value)
{
	bool digest = strspn(value, "!\"0123456789abcdefABCDEF:") == strlen(value);
	struct rule_node *content = parser->last_content;
	int buffer = parser->buffer;
	int ret = field_buffer(parser, app, path);

	if (ret == 0)
		ret = rule_setup_content(parser, value);
	if (ret == 0 && digest)
		ret = rule_setup_nocase(parser, NULL);
	parser->buffer = buffer;
	parser->last_content = content;
	return ret;
}

static bool
is_text(const char *value)
{
	return value != NULL && (value[0] == '"' || strncmp(value, "!\"", 2) == 0);
}

/* Whether some shape of a path is text, or may be. */
static bool
field_has_bytes(const struct record_path *paths, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (field_is_bytes(paths[i].leaf) || paths[i].leaf->type == FIELD_SCALARS || paths[i].leaf->type == FIELD_IP)
			return true;
	return false;
}

/* A number is asked of the shapes behind those that are text or addresses. @return how many are left */
static uint16_t
field_skip_bytes(const struct record_path **paths, uint16_t *count)
{
	while (*count > 0 && (field_is_bytes((*paths)[0].leaf) || (*paths)[0].leaf->type == FIELD_IP || (*paths)[0].leaf->type == FIELD_MAC)) {
		++*paths;
		--*count;
	}
	return *count;
}

/* 1: no such field */
static int
field_by_path(struct rule_parser *parser, unsigned int app, const char *path, char *value)
{
	uint16_t count;
	const struct record_path *paths = field_paths(parser, app, path, &count);
	bool given = value != NULL && *value != '\0';

	if (paths == NULL)
		return parser->no_memory ? -ENOMEM : 1;
	if (((paths[0].list_count > 0 ? paths[0].lists[0] : paths[0].leaf)->flags & FIELD_LATE) != 0)
		return rule_refuse(parser, "rules are asked before it is known, or by another name: it is of events only");
	if (is_text(value) && field_has_bytes(paths, count))
		return field_text(parser, app, path, value);
	int ret = given ? rule_field_address(parser, app, paths, count, value) : 1;

	if (ret != 1)
		return ret;
	if (given && field_skip_bytes(&paths, &count) == 0)
		return rule_refuse(parser, "text is compared by content or pcre behind it: %s; content:\"...\";", parser->keyword);
	if (field_is_bytes(paths[0].leaf))
		return field_buffer(parser, app, path);
	struct rule_test *test = rule_add_test(parser, rule_test_field_present);

	if (test == NULL)
		return -EINVAL;
	test->app = (uint8_t)app;
	test->paths = paths;
	test->path_count = count;
	if (given)
		return field_compare(parser, test, value);
	/* A content behind it looks at those of its shapes that are text. */
	parser->is_bare = !field_has_bytes(paths, count);
	if (parser->is_bare)
		return 0;
	if (field_buffer(parser, app, path) != 0)
		return -EINVAL;
	parser->buffers[parser->buffer].is_asked = true;
	return 0;
}

static int
own_keyword(struct rule_parser *parser, unsigned int app, const struct rule_app_keyword *keyword, char *value)
{
	char err[160] = "";
	struct rule_test *test = rule_add_test(parser, rule_test_own);
	struct rule_app_test *own = rule_arena_alloc(&parser->set->arena, sizeof(*own));

	if (test == NULL)
		return -EINVAL;
	if (own == NULL)
		return rule_no_memory(parser);
	if (keyword->setup(value == NULL ? "" : value, own, err, sizeof(err)) != 0)
		return rule_refuse(parser, "%s", err[0] != '\0' ? err : "the value is not understood");
	test->app = (uint8_t)app;
	test->own = own;
	test->keyword = keyword;
	return 0;
}

/* to_server or to_client, for rules over whole transactions. @return -1: no word, -2: refused */
static int
buffer_word(struct rule_parser *parser, const char *value)
{
	if (value == NULL || *value == '\0')
		return -1;
	if ((parser->draft.flags & RULE_TRANSACTION) == 0) {
		rule_refuse(parser, "takes no value: a direction is for rules with =>");
		return -2;
	}
	if (strcmp(value, "to_server") == 0 || strcmp(value, "to_client") == 0)
		return strcmp(value, "to_server") == 0;
	rule_refuse(parser, "\"%.40s\" is neither to_server nor to_client", value);
	return -2;
}

static int
own_buffer(struct rule_parser *parser, unsigned int app, const struct rule_app_buffer *buffer, const char *value)
{
	const struct rule_app *owner = parser->set->world.apps[app];
	enum rule_direction direction = owner->buffer_direction == NULL ? RULE_EITHER : owner->buffer_direction(buffer);
	const char *path = buffer->path;
	int word = buffer_word(parser, value);

	if (word == -2)
		return -EINVAL;
	if (word < 0 && (parser->draft.flags & RULE_TRANSACTION) != 0 && direction != RULE_EITHER)
		word = direction == RULE_TO_SERVER;
	if (word >= 0 && owner->buffer_of != NULL) {
		path = owner->buffer_of(buffer, word == 1);
		direction = path == NULL ? direction : word == 1 ? RULE_TO_SERVER : RULE_TO_CLIENT;
	}
	if (path == NULL || (word >= 0 && direction != (word == 1 ? RULE_TO_SERVER : RULE_TO_CLIENT)))
		return rule_refuse(parser, "no message has such a buffer %s", value);
	if ((parser->draft.flags & RULE_TRANSACTION) != 0 && direction == RULE_EITHER)
		return rule_refuse(parser, "both directions have one: say which, as in %s: to_client", buffer->name);
	parser->directions |= (uint8_t)(1 << direction);
	return field_buffer(parser, app, path);
}

/* A keyword or buffer of one protocol by its own name. 1: none */
static int
own_name(struct rule_parser *parser, unsigned int app, const char *name, char *value)
{
	const struct rule_app *owner = parser->set->world.apps[app];

	for (unsigned int i = 0; i < owner->keyword_count; i++)
		if (strcasecmp(owner->keywords[i].name, name) == 0)
			return own_keyword(parser, app, &owner->keywords[i], value);
	for (unsigned int i = 0; i < owner->buffer_count; i++)
		if (strcasecmp(owner->buffers[i].name, name) == 0)
			return is_text(value) ? field_text(parser, app, owner->buffers[i].path, value)
					      : own_buffer(parser, app, &owner->buffers[i], value);
	return 1;
}

int
rule_app_buffer(struct rule_parser *parser, const char *name)
{
	const struct rule_world *world = &parser->set->world;
	char full[64];

	if (parser->draft.app >= world->app_count)
		return 1;
	snprintf(full, sizeof(full), "%s.%s", world->apps[parser->draft.app]->name, name);
	return own_name(parser, parser->draft.app, full, NULL);
}

/* A path that names no protocol: an object that one has beside its own. */
static int
field_beside(struct rule_parser *parser, const char *path, char *value)
{
	const struct rule_world *world = &parser->set->world;

	for (unsigned int app = 0; app < world->app_count; app++) {
		struct record_path found;
		const struct field *first;

		if (world->apps[app]->record == NULL || record_path_resolve(world->apps[app]->record, path, &found) != 0)
			continue;
		first = found.list_count > 0 ? found.lists[0] : found.leaf;
		if ((first->flags & FIELD_BESIDE) != 0)
			return field_by_path(parser, app, path, value);
	}
	return 1;
}

int
rule_alias_use(struct rule_parser *parser, const char *name, size_t len)
{
	const struct rule_world *world = &parser->set->world;

	for (unsigned int app = 0; app < world->app_count; app++)
		for (unsigned int i = 0; i < world->apps[app]->alias_count; i++) {
			const struct rule_app_alias *alias = &world->apps[app]->aliases[i];
			char value[32];

			if (strlen(alias->name) != len || strncasecmp(alias->name, name, len) != 0)
				continue;
			snprintf(value, sizeof(value), "%s", alias->value);
			if (parser->alias != alias && field_by_path(parser, app, alias->path, value) != 0)
				return -EINVAL;
			parser->alias = alias;
			return (int)app;
		}
	return -1;
}

/* "mdns.queries.rrname" is dns.queries.rrname of the records that mdns names. @return 1: the name has no alias */
static int
alias_keyword(struct rule_parser *parser, const char *name, size_t len, char *value)
{
	int app = rule_alias_use(parser, name, len);
	char full[128];

	if (app < 0)
		return app == -1 ? 1 : app;
	snprintf(full, sizeof(full), "%s%s", parser->set->world.apps[app]->name, name + len);
	return rule_field_keyword(parser, full, value);
}

/* By its name, or that of its events' object: "ftp-data", "ftp_data". */
static bool
names_app(const struct rule_app *app, const char *name, size_t len)
{
	const char *object = app->record == NULL ? app->name : app->record->name;

	return (strlen(app->name) == len && strncasecmp(app->name, name, len) == 0) || (strlen(object) == len && strncasecmp(object, name, len) == 0);
}

int
rule_field_keyword(struct rule_parser *parser, const char *name, char *value)
{
	const struct rule_world *world = &parser->set->world;
	const char *dot = strchr(name, '.');

	for (unsigned int app = 0; app < world->app_count; app++) {
		int ret = own_name(parser, app, name, value);

		if (ret <= 0)
			return ret;
	}
	if (dot == NULL)
		return 1;
	for (unsigned int app = 0; app < world->app_count; app++)
		if (names_app(world->apps[app], name, (size_t)(dot - name)))
			return field_by_path(parser, app, dot + 1, value);
	int ret = alias_keyword(parser, name, (size_t)(dot - name), value);

	return ret != 1 ? ret : field_beside(parser, name, value);
}
