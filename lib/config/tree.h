/* Inside lib/config: YAML text to a jansson tree of strings, and where each key stood. */
#ifndef MR_CONFIG_TREE_H
#define MR_CONFIG_TREE_H

#include "lib/config/config.h"

enum {
	CONFIG_DEPTH_MAX = 16,
	CONFIG_LEN_MAX = 4 * 1024 * 1024,
	CONFIG_PATH_MAX = 512, /* of a dotted path */
};

struct config {
	char *path;    /* of the file; "" when there is none */
	json_t *tree;  /* object; scalars are strings as written */
	json_t *lines; /* dotted path -> line, for keys that came from the file */
};

/** Parses text into a tree. name is for messages; lines may be NULL. @return 0 or -errno with err set. */
int tree_parse(const char *text, size_t len, const char *name, json_t **tree, json_t *lines, struct config_error *err);

void config_error_set(struct config_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
