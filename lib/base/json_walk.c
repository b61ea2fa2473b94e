#include "lib/base/json_walk.h"

#include <stdio.h>
#include <string.h>

struct level {
	json_t *object;
	void *at;
	size_t path_len;
};

static struct level
level_of(json_t *object, size_t path_len)
{
	return (struct level){ .object = object, .at = json_object_iter(object), .path_len = path_len };
}

bool
json_walk(const json_t *object, const char *prefix, json_walk_fn fn, void *arg)
{
	struct level levels[JSON_WALK_DEPTH_MAX];
	char path[JSON_WALK_PATH_MAX];
	unsigned int depth = 1;

	snprintf(path, sizeof(path), "%s", prefix);
	levels[0] = level_of((json_t *)object, strlen(path));
	while (depth > 0) {
		struct level *level = &levels[depth - 1];
		const char *key;
		json_t *value;

		if (level->at == NULL) {
			depth--;
			continue;
		}
		key = json_object_iter_key(level->at);
		value = json_object_iter_value(level->at);
		level->at = json_object_iter_next(level->object, level->at);
		snprintf(path + level->path_len, sizeof(path) - level->path_len, "%s%s", level->path_len == 0 ? "" : ".", key);
		switch (fn(arg, path, key, value)) {
		case JSON_WALK_STOP:
			return false;
		case JSON_WALK_ENTER:
			if (json_is_object(value) && depth < JSON_WALK_DEPTH_MAX)
				levels[depth++] = level_of(value, strlen(path));
			break;
		case JSON_WALK_PASS:
			break;
		}
	}
	return true;
}
