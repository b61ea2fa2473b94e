/* From the tree to each module's struct, by the module's table; unknown keys; dump and reference page. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/json_walk.h"
#include "lib/base/near.h"
#include "lib/config/tree.h"

/* "sensor.yaml:12: flow.memcap: " before the reason. */
static int
refuse(const struct config *config, const struct knob *knob, struct config_error *err, const char *format, ...)
{
	unsigned int line = config_line(config, knob->name);
	char reason[256];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (line > 0)
		config_error_set(err, "%s:%u: %s: %s", config->path, line, knob->name, reason);
	else
		config_error_set(err, "%s: %s", knob->name, reason);
	return -EINVAL;
}

static bool
parse_bool(const char *text, bool *out)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0) {
			*out = i % 2 == 1;
			return true;
		}
	return false;
}

static const struct {
	const char *text;
	unsigned int shift;
} size_suffixes[] = {
	{ "", 0 }, { "b", 0 }, { "kb", 10 }, { "mb", 20 }, { "gb", 30 }, { "k", 10 }, { "m", 20 }, { "g", 30 },
	{ "kib", 10 }, { "mib", 20 }, { "gib", 30 },
};

static bool
parse_number(const char *text, bool size, uint64_t *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	/* Decimal with a zero in front, as in 0502, is no octal number. */
	*out = strtoull(text, &end, text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10);
	if (errno != 0)
		return false;
	while (*end == ' ')
		end++;
	if (!size)
		return *end == '\0';
	for (unsigned int i = 0; i < sizeof(size_suffixes) / sizeof(size_suffixes[0]); i++)
		if (strcasecmp(end, size_suffixes[i].text) == 0) {
			if (*out > UINT64_MAX >> size_suffixes[i].shift)
				return false;
			*out <<= size_suffixes[i].shift;
			return true;
		}
	return false;
}

static int
apply_number(const struct config *config, const struct knob *knob, const char *text, uint64_t *out,
	struct config_error *err)
{
	bool size = knob->type == KNOB_SIZE;

	if (!parse_number(text, size, out))
		return refuse(config, knob, err, "\"%.64s\" is not a %s", text, size ? "size (as 64mb)" : "number");
	if (knob->min == 0 && knob->max == 0)
		return 0;
	if (*out < knob->min)
		return refuse(config, knob, err, "%llu is below %llu", (unsigned long long)*out, (unsigned long long)knob->min);
	if (*out > knob->max)
		return refuse(config, knob, err, "%llu is above %llu", (unsigned long long)*out, (unsigned long long)knob->max);
	return 0;
}

static int
apply_choice(const struct config *config, const struct knob *knob, const char *text, unsigned int *out,
	struct config_error *err)
{
	char list[160] = "";

	for (unsigned int i = 0; knob->choices[i] != NULL; i++) {
		if (strcasecmp(text, knob->choices[i]) == 0) {
			*out = i;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i > 0 ? ", " : "", knob->choices[i]);
	}
	return refuse(config, knob, err, "\"%.64s\" is none of %s", text, list);
}

/* A list as it will be lent: a single string becomes an array of one, in the tree itself. */
static int
apply_list(struct config *config, const struct knob *knob, json_t *value, json_t **out, struct config_error *err)
{
	size_t i;
	json_t *item;

	if (json_is_string(value)) {
		char assignment[CONFIG_PATH_MAX];
		int rc;

		snprintf(assignment, sizeof(assignment), "%s=[]", knob->name);
		json_incref(value);
		rc = config_set(config, assignment, err);
		if (rc != 0 || json_array_append_new(config_get(config, knob->name), value) != 0)
			return rc != 0 ? rc : refuse(config, knob, err, "out of memory");
		value = config_get(config, knob->name);
	}
	if (!json_is_array(value))
		return refuse(config, knob, err, "a list is expected");
	json_array_foreach(value, i, item)
		if (!json_is_string(item))
			return refuse(config, knob, err, "item %zu of the list is not plain text", i + 1);
	*out = value;
	return 0;
}

static int
apply_scalar(const struct config *config, const struct knob *knob, const char *text, void *at, struct config_error *err)
{
	switch (knob->type) {
	case KNOB_BOOL:
		if (!parse_bool(text, at))
			return refuse(config, knob, err, "\"%.64s\" is neither yes nor no", text);
		return 0;
	case KNOB_NUMBER:
	case KNOB_SIZE:
		return apply_number(config, knob, text, at, err);
	case KNOB_CHOICE:
		return apply_choice(config, knob, text, at, err);
	default:
		*(const char **)at = text;
		return 0;
	}
}

/* What "a.b.*" covers: the mapping at "a.b". NULL for a name that does not end so. */
static json_t *
subtree_get(struct config *config, const char *name)
{
	size_t len = strlen(name);
	char path[CONFIG_PATH_MAX];

	if (len < 2 || len >= sizeof(path) || strcmp(name + len - 2, ".*") != 0)
		return NULL;
	memcpy(path, name, len - 2);
	path[len - 2] = '\0';
	return config_get(config, path);
}

static int
apply_one(struct config *config, const struct knob *knob, void *at, struct config_error *err)
{
	json_t *value = knob->type == KNOB_ACCEPTED ? NULL : config_get(config, knob->name);
	const char *text;

	if (knob->type == KNOB_ACCEPTED)
		return 0;
	if (knob->type == KNOB_TREE) {
		*(json_t **)at = value != NULL ? value : subtree_get(config, knob->name);
		return 0;
	}
	if (knob->type == KNOB_LIST) {
		if (value == NULL && knob->fallback != NULL) {
			char assignment[CONFIG_PATH_MAX];

			snprintf(assignment, sizeof(assignment), "%s=%s", knob->name, knob->fallback);
			if (config_set(config, assignment, err) != 0)
				return -EINVAL;
			value = config_get(config, knob->name);
		}
		*(json_t **)at = NULL;
		return value == NULL ? 0 : apply_list(config, knob, value, at, err);
	}
	if (value != NULL && !json_is_string(value))
		return refuse(config, knob, err, "a single value is expected");
	text = value != NULL ? json_string_value(value) : knob->fallback;
	if (text == NULL && knob->type != KNOB_TEXT)
		return 0;
	return apply_scalar(config, knob, text != NULL ? text : "", at, err);
}

int
config_apply(struct config *config, const struct knob_table *table, void *target, struct config_error *err)
{
	for (unsigned int i = 0; i < table->count; i++) {
		int rc = apply_one(config, &table->knobs[i], (char *)target + table->knobs[i].offset, err);

		if (rc != 0)
			return rc;
	}
	return 0;
}

int
config_check_values(struct config *config, const struct knob_table *const tables[], unsigned int table_count,
	struct config_error *err)
{
	union {
		bool truth;
		uint64_t number;
		unsigned int choice;
		const char *text;
		json_t *list;
	} value;

	for (unsigned int i = 0; i < table_count; i++)
		for (unsigned int j = 0; j < tables[i]->count; j++) {
			int rc = apply_one(config, &tables[i]->knobs[j], &value, err);

			if (rc != 0)
				return rc;
		}
	return 0;
}

/* Whether a table row covers path: by name, by its subtree, or as a parent of the row's name. */
enum cover { COVER_NONE, COVER_PARENT, COVER_WHOLE };

static enum cover
cover(const struct knob *knob, const char *path)
{
	size_t len = strlen(path), name_len = strlen(knob->name);

	if (name_len >= 2 && strcmp(knob->name + name_len - 2, ".*") == 0) {
		if (strncmp(knob->name, path, name_len - 1) == 0)
			return COVER_WHOLE;
		return strncmp(knob->name, path, len) == 0 && knob->name[len] == '.' ? COVER_PARENT : COVER_NONE;
	}
	if (strcmp(knob->name, path) == 0)
		return COVER_WHOLE;
	if (knob->type == KNOB_TREE && strncmp(knob->name, path, name_len) == 0 && path[name_len] == '.')
		return COVER_WHOLE;
	return strncmp(knob->name, path, len) == 0 && knob->name[len] == '.' ? COVER_PARENT : COVER_NONE;
}

static unsigned int
count_dots(const char *path)
{
	unsigned int count = 0;

	for (; *path != '\0'; path++)
		count += *path == '.';
	return count;
}

/* A known name down to the depth of what was written: of "spol" it is "spool", whatever is longer below it. */
static void
cut_name(char out[CONFIG_PATH_MAX], const char *name, unsigned int dots)
{
	size_t len = 0;

	while (name[len] != '\0' && (name[len] != '.' || dots-- > 0) && len + 1 < CONFIG_PATH_MAX) {
		out[len] = name[len];
		len++;
	}
	out[len] = '\0';
}

enum { SLIP_MAX = 4, OTHER_PARENT = 16 }; /* letters; what is further away is no slip, but rather of the same parent */

static bool
same_parent(const char *a, const char *b)
{
	const char *end_a = strrchr(a, '.'), *end_b = strrchr(b, '.');
	size_t len_a = end_a == NULL ? 0 : (size_t)(end_a - a), len_b = end_b == NULL ? 0 : (size_t)(end_b - b);

	return len_a == len_b && memcmp(a, b, len_a) == 0;
}

static void
nearest(const char *path, const struct knob_table *const tables[], unsigned int table_count, char best[CONFIG_PATH_MAX])
{
	unsigned int dots = count_dots(path), best_distance = 1000;
	char name[CONFIG_PATH_MAX];

	best[0] = '\0';
	for (unsigned int i = 0; i < table_count; i++)
		for (unsigned int j = 0; j < tables[i]->count; j++) {
			cut_name(name, tables[i]->knobs[j].name, dots);
			unsigned int d = near_distance(path, name);

			if (d > SLIP_MAX && !same_parent(path, name))
				d += OTHER_PARENT;

			if (d < best_distance && tables[i]->knobs[j].type != KNOB_ACCEPTED) {
				best_distance = d;
				memcpy(best, name, CONFIG_PATH_MAX);
			}
		}
}

static enum cover
cover_any(const char *path, const struct knob_table *const tables[], unsigned int table_count)
{
	enum cover best = COVER_NONE;

	for (unsigned int i = 0; i < table_count; i++)
		for (unsigned int j = 0; j < tables[i]->count && best != COVER_WHOLE; j++) {
			enum cover c = cover(&tables[i]->knobs[j], path);

			best = c > best ? c : best;
		}
	return best;
}

/* The row that covers path; NULL: none, or path is a parent of rows. */
static const struct knob *
knob_of(const char *path, const struct knob_table *const tables[], unsigned int table_count)
{
	for (unsigned int i = 0; i < table_count; i++)
		for (unsigned int j = 0; j < tables[i]->count; j++)
			if (cover(&tables[i]->knobs[j], path) == COVER_WHOLE)
				return &tables[i]->knobs[j];
	return NULL;
}

/* The first row below path, which is a parent. */
static const char *
first_below(const char *path, const struct knob_table *const tables[], unsigned int table_count)
{
	size_t len = strlen(path);

	for (unsigned int i = 0; i < table_count; i++)
		for (unsigned int j = 0; j < tables[i]->count; j++)
			if (strncmp(tables[i]->knobs[j].name, path, len) == 0 && tables[i]->knobs[j].name[len] == '.')
				return tables[i]->knobs[j].name;
	return "";
}

struct unknown {
	struct config *config;
	const struct knob_table *const *tables;
	unsigned int table_count;
	struct config_error *err;
};

static enum json_walk_step
refuse_unknown(void *arg, const char *path, const char *key, json_t *value)
{
	const struct unknown *look = arg;
	enum cover covered = cover_any(path, look->tables, look->table_count);
	char name[CONFIG_PATH_MAX], said[CONFIG_PATH_MAX * 2];
	unsigned int line;

	if (covered == COVER_WHOLE || (covered == COVER_PARENT && json_is_null(value)))
		return JSON_WALK_PASS;
	if (covered == COVER_PARENT && json_is_object(value))
		return JSON_WALK_ENTER;
	line = config_line(look->config, path);
	nearest(path, look->tables, look->table_count, name);
	if (covered == COVER_PARENT)
		(void)snprintf(said, sizeof(said), "keys below it are expected, as %s", first_below(path, look->tables, look->table_count));
	else
		(void)snprintf(said, sizeof(said), "no such key; the nearest is %s", name);
	if (line > 0)
		config_error_set(look->err, "%s:%u: %s: %s", look->config->path, line, path, said);
	else
		config_error_set(look->err, "%s: %s", path, said);
	return JSON_WALK_STOP;
}

int
config_check_unknown(struct config *config, const struct knob_table *const tables[], unsigned int table_count,
	struct config_error *err)
{
	struct unknown look = { .config = config, .tables = tables, .table_count = table_count, .err = err };

	return json_walk(config->tree, "", refuse_unknown, &look) ? 0 : -EINVAL;
}

struct ignored {
	struct config *config;
	const struct knob_table *const *tables;
	unsigned int table_count;
	void (*fn)(void *arg, const char *text);
	void *arg;
};

static enum json_walk_step
tell_ignored(void *arg, const char *path, const char *key, json_t *value)
{
	const struct ignored *ignored = arg;
	const struct knob *knob = knob_of(path, ignored->tables, ignored->table_count);
	unsigned int line = config_line(ignored->config, path);
	struct config_error said;

	if (knob == NULL)
		return JSON_WALK_ENTER;
	if (knob->type != KNOB_ACCEPTED)
		return JSON_WALK_PASS;
	if (line > 0)
		config_error_set(&said, "%s:%u: %s has no effect: %s", ignored->config->path, line, path, knob->help);
	else
		config_error_set(&said, "%s has no effect: %s", path, knob->help);
	ignored->fn(ignored->arg, said.text);
	return JSON_WALK_PASS;
}

void
config_tell_ignored(struct config *config, const struct knob_table *const tables[], unsigned int table_count,
	void (*fn)(void *arg, const char *text), void *arg)
{
	struct ignored ignored = { .config = config, .tables = tables, .table_count = table_count, .fn = fn, .arg = arg };

	json_walk(config->tree, "", tell_ignored, &ignored);
}

void
config_dump(struct config *config, const struct knob_table *const tables[], unsigned int table_count, FILE *out)
{
	for (unsigned int i = 0; i < table_count; i++)
		for (unsigned int j = 0; j < tables[i]->count; j++) {
			const struct knob *knob = &tables[i]->knobs[j];
			json_t *value = config_get(config, knob->name);
			char *text;

			if (knob->type == KNOB_ACCEPTED)
				continue;
			text = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
			fprintf(out, "%s: %s%s\n", knob->name, text != NULL ? text : knob->fallback != NULL ? knob->fallback : "",
				value != NULL ? "" : "  # default");
			free(text);
		}
}

static const char *const type_names[] = {
	[KNOB_BOOL] = "yes/no", [KNOB_NUMBER] = "number", [KNOB_SIZE] = "size", [KNOB_TEXT] = "text",
	[KNOB_CHOICE] = "choice", [KNOB_LIST] = "list", [KNOB_TREE] = "mapping", [KNOB_ACCEPTED] = "accepted, no effect",
};

static void
reference_row(const struct knob *knob, FILE *out)
{
	fprintf(out, "| `%s` | %s", knob->name, type_names[knob->type]);
	if (knob->min != 0 || knob->max != 0)
		fprintf(out, ", %llu to %llu", (unsigned long long)knob->min, (unsigned long long)knob->max);
	for (unsigned int i = 0; knob->type == KNOB_CHOICE && knob->choices[i] != NULL; i++)
		fprintf(out, "%s%s", i == 0 ? ": " : ", ", knob->choices[i]);
	fprintf(out, " | %s%s%s | %s |\n", knob->fallback != NULL ? "`" : "", knob->fallback != NULL ? knob->fallback : "",
		knob->fallback != NULL ? "`" : "", knob->help != NULL ? knob->help : "");
}

void
config_reference(const struct knob_table *const tables[], unsigned int table_count, FILE *out)
{
	for (unsigned int i = 0; i < table_count; i++) {
		fprintf(out, "\n## %s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", tables[i]->owner);
		for (unsigned int j = 0; j < tables[i]->count; j++)
			reference_row(&tables[i]->knobs[j], out);
	}
}
