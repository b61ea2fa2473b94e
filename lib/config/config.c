#include "lib/config/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config/tree.h"

void
config_error_set(struct config_error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
}

static int
read_file(const char *path, char **text, size_t *len, struct config_error *err)
{
	FILE *file = fopen(path, "re");
	int saved = 0;

	*text = NULL;
	if (file == NULL) {
		saved = errno;
		config_error_set(err, "%s: %s", path, strerror(saved));
		return -saved;
	}
	*text = malloc(CONFIG_LEN_MAX);
	if (*text != NULL)
		*len = fread(*text, 1, CONFIG_LEN_MAX, file);
	if (*text == NULL)
		saved = ENOMEM;
	else if (ferror(file))
		saved = errno; /* EISDIR, for one */
	else if (*len == CONFIG_LEN_MAX)
		saved = EFBIG;
	fclose(file);
	if (saved == 0)
		return 0;
	config_error_set(err, "%s: %s", path, strerror(saved));
	free(*text);
	*text = NULL;
	return -saved;
}

static int
load_file(struct config *config, const char *path, struct config_error *err)
{
	char *text;
	size_t len = 0;
	json_t *tree;
	int rc = read_file(path, &text, &len, err);

	if (rc != 0)
		return rc;
	rc = tree_parse(text, len, path, &tree, config->lines, err);
	free(text);
	if (rc != 0)
		return rc;
	if (json_is_object(tree)) {
		json_decref(config->tree);
		config->tree = tree;
		return 0;
	}
	rc = json_is_null(tree) ? 0 : -EINVAL; /* an empty file is an empty configuration */
	json_decref(tree);
	if (rc != 0)
		config_error_set(err, "%s:1: keys and values are expected", path);
	return rc;
}

int
config_load(struct config **out, const char *path, struct config_error *err)
{
	struct config *config = calloc(1, sizeof(*config));
	int rc = 0;

	err->text[0] = '\0';
	if (config != NULL) {
		config->path = strdup(path != NULL ? path : "");
		config->tree = json_object();
		config->lines = json_object();
	}
	if (config == NULL || config->path == NULL || config->tree == NULL || config->lines == NULL) {
		config_destroy(config);
		config_error_set(err, "out of memory");
		return -ENOMEM;
	}
	if (path != NULL)
		rc = load_file(config, path, err);
	if (rc != 0) {
		config_destroy(config);
		return rc;
	}
	*out = config;
	return 0;
}

void
config_destroy(struct config *config)
{
	if (config == NULL)
		return;
	json_decref(config->tree);
	json_decref(config->lines);
	free(config->path);
	free(config);
}

/* The object that holds the last key of path; made where missing when create is set. *key is that last key. */
static json_t *
holder(json_t *tree, const char *path, const char **key, bool create)
{
	char part[CONFIG_PATH_MAX];
	const char *dot;

	while ((dot = strchr(path, '.')) != NULL) {
		size_t len = (size_t)(dot - path);
		json_t *next;

		if (len == 0 || len >= sizeof(part))
			return NULL;
		memcpy(part, path, len);
		part[len] = '\0';
		next = json_object_get(tree, part);
		if (!json_is_object(next)) {
			if (!create || json_object_set_new(tree, part, json_object()) != 0)
				return NULL;
			next = json_object_get(tree, part);
		}
		tree = next;
		path = dot + 1;
	}
	*key = path;
	return *path == '\0' ? NULL : tree;
}

/* On a command line "!$HOME_NET" is what it says: there is no other use for YAML's tags, and the shell took the quotes. */
static int
value_of(const char *text, json_t **value, struct config_error *err)
{
	if (text[0] != '!')
		return tree_parse(text, strlen(text), "--set", value, NULL, err);
	*value = json_string(text);
	if (*value != NULL)
		return 0;
	config_error_set(err, "--set: %s is not UTF-8", text);
	return -EINVAL;
}

int
config_set(struct config *config, const char *assignment, struct config_error *err)
{
	const char *equals = strchr(assignment, '=');
	const char *key;
	char path[CONFIG_PATH_MAX];
	json_t *object, *value;
	int rc;

	if (equals == NULL || equals == assignment || (size_t)(equals - assignment) >= sizeof(path)) {
		config_error_set(err, "--set %s: KEY=VALUE is expected", assignment);
		return -EINVAL;
	}
	memcpy(path, assignment, (size_t)(equals - assignment));
	path[equals - assignment] = '\0';
	rc = value_of(equals + 1, &value, err);
	if (rc != 0)
		return rc;
	object = holder(config->tree, path, &key, true);
	if (object == NULL) {
		json_decref(value);
		config_error_set(err, "--set %s: no such key path", assignment);
		return -EINVAL;
	}
	json_object_del(config->lines, path);
	if (json_object_set_new(object, key, value) != 0) {
		config_error_set(err, "--set %s: out of memory", assignment);
		return -ENOMEM;
	}
	return 0;
}

json_t *
config_get(const struct config *config, const char *path)
{
	const char *key;
	json_t *object = holder(config->tree, path, &key, false);
	json_t *value = object == NULL ? NULL : json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

unsigned int
config_line(const struct config *config, const char *path)
{
	return (unsigned int)json_integer_value(json_object_get(config->lines, path));
}

const char *
config_path(const struct config *config)
{
	return config->path;
}
