#include "test/test.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/json_walk.h"

/* What a walk saw, one path a line; "skip" is not entered, "stop" ends it. */
static enum json_walk_step
note(void *arg, const char *path, const char *key, json_t *value)
{
	char *seen = arg;

	strcat(strcat(seen, path), json_is_object(value) ? "{\n" : "\n");
	return strcmp(key, "stop") == 0 ? JSON_WALK_STOP : strcmp(key, "skip") == 0 ? JSON_WALK_PASS : JSON_WALK_ENTER;
}

static void
assert_walk(const char *text, const char *prefix, bool whole, const char *want)
{
	json_t *tree = json_loads(text, JSON_DECODE_ANY, NULL);
	char seen[8192] = "";

	assert_non_null(tree);
	assert_int_equal(json_walk(tree, prefix, note, seen), whole);
	assert_string_equal(seen, want);
	json_decref(tree);
}

static void
names_are_joined(void **state)
{
	assert_walk("{\"a\": 1, \"b\": {\"c\": {\"d\": [2]}, \"e\": null}, \"f\": {}}", "", true, "a\nb{\nb.c{\nb.c.d\nb.e\nf{\n");
	assert_walk("{\"a\": 1}", "run", true, "run.a\n");
	assert_walk("{}", "run", true, "");
	assert_walk("[{\"a\": 1}]", "", true, "");
}

static void
callback_leads(void **state)
{
	assert_walk("{\"skip\": {\"a\": 1}, \"b\": {\"stop\": {\"c\": 1}, \"d\": 1}, \"e\": 1}", "", false, "skip{\nb{\nb.stop{\n");
}

/* Twenty objects in each other, and a name of more bytes than there is room for. */
static void
bounds_hold(void **state)
{
	char text[2 * JSON_WALK_PATH_MAX] = "", want[3 * JSON_WALK_PATH_MAX] = "", path[64] = "";

	for (unsigned int i = 0; i < 20; i++) {
		strcat(text, "{\"a\":");
		if (i < JSON_WALK_DEPTH_MAX)
			strcat(strcat(strcat(want, strcat(path, i == 0 ? "a" : ".a")), i < 19 ? "{" : ""), "\n");
	}
	strcat(text, "1");
	for (unsigned int i = 0; i < 20; i++)
		strcat(text, "}");
	assert_walk(text, "", true, want);

	strcpy(text, "{\"");
	memset(text + 2, 'n', JSON_WALK_PATH_MAX);
	strcpy(text + 2 + JSON_WALK_PATH_MAX, "\": {\"m\": 1}}");
	memset(want, 'n', JSON_WALK_PATH_MAX - 1);
	strcpy(want + JSON_WALK_PATH_MAX - 1, "{\n");
	memmove(want + JSON_WALK_PATH_MAX + 1, want, JSON_WALK_PATH_MAX - 1);
	strcpy(want + 2 * JSON_WALK_PATH_MAX, "\n");
	assert_walk(text, "", true, want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_joined),
		cmocka_unit_test(callback_leads),
		cmocka_unit_test(bounds_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
