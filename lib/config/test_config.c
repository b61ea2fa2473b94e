#include "test/test.h"

#include <errno.h>
#include <unistd.h>

#include "lib/config/config.h"

struct target {
	bool on;
	uint64_t count, size;
	const char *text;
	unsigned int mode;
	json_t *files, *vars, *groups;
};

static const char *const modes[] = { "slow", "fast", NULL };
static const struct knob knobs[] = {
	{ "a.on", KNOB_BOOL, offsetof(struct target, on), 0, 0, "yes", NULL, "switch" },
	{ "a.count", KNOB_NUMBER, offsetof(struct target, count), 10, 1000, "20", NULL, "count" },
	{ "a.size", KNOB_SIZE, offsetof(struct target, size), 0, 0, "4kb", NULL, "size" },
	{ "text", KNOB_TEXT, offsetof(struct target, text), 0, 0, NULL, NULL, "text" },
	{ "mode", KNOB_CHOICE, offsetof(struct target, mode), 0, 0, "fast", modes, "mode" },
	{ "files", KNOB_LIST, offsetof(struct target, files), 0, 0, NULL, NULL, "files" },
	{ "vars", KNOB_TREE, offsetof(struct target, vars), 0, 0, NULL, NULL, "vars" },
	{ "groups.*", KNOB_TREE, offsetof(struct target, groups), 0, 0, NULL, NULL, "groups" },
	{ "other.*", KNOB_ACCEPTED, 0, 0, 0, NULL, NULL, "accepted" },
	{ "a.old", KNOB_ACCEPTED, 0, 0, 0, NULL, NULL, "count bounds it" },
};
static const struct knob_table table = { "a", knobs, TEST_COUNT(knobs) };
static const struct knob_table *const tables[] = { &table };

static const char *
with_file(const char *text)
{
	static char path[] = "/tmp/millrace-config-XXXXXX";
	int fd;

	strcpy(path, "/tmp/millrace-config-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}

static int
load_and_apply(const char *text, struct target *target, struct config **config, struct config_error *err)
{
	const char *path = with_file(text);
	int rc = config_load(config, path, err);

	unlink(path);
	if (rc != 0) {
		*config = NULL;
		return rc;
	}
	rc = config_apply(*config, &table, target, err);
	return rc != 0 ? rc : config_check_unknown(*config, tables, 1, err);
}

static void
values_and_defaults_arrive(void **state)
{
	struct target t = { 0 };
	struct config *config;
	struct config_error err;

	assert_int_equal(load_and_apply("a:\n  count: 0x20\n  size: 2 MiB\ntext: \"x y\"\nfiles: one.rules\n"
					"vars:\n  g:\n    H: any\ngroups:\n  A: b\nother:\n  k: [1, 2]\nmode: SLOW\n",
				 &t, &config, &err),
		0);
	assert_true(t.on);
	assert_int_equal(t.count, 32);
	assert_int_equal(t.size, 2 << 20);
	assert_string_equal(t.text, "x y");
	assert_int_equal(t.mode, 0);
	assert_int_equal(json_array_size(t.files), 1);
	assert_non_null(json_object_get(t.vars, "g"));
	assert_string_equal(json_string_value(json_object_get(t.groups, "A")), "b");
	assert_int_equal(config_line(config, "a.count"), 2);
	assert_int_equal(config_set(config, "a.on=no", &err), 0);
	assert_int_equal(config_set(config, "files=[p, q]", &err), 0);
	assert_int_equal(config_apply(config, &table, &t, &err), 0);
	assert_false(t.on);
	assert_int_equal(json_array_size(t.files), 2);
	assert_int_equal(config_set(config, "nonsense", &err), -EINVAL);
	assert_int_equal(config_set(config, "vars.address-groups.EXTERNAL_NET=!$HOME_NET", &err), 0);
	assert_string_equal(json_string_value(config_get(config, "vars.address-groups.EXTERNAL_NET")), "!$HOME_NET");
	assert_int_equal(config_set(config, "a.text=!\xff", &err), -EINVAL);
	assert_non_null(strstr(err.text, "is not UTF-8"));
	config_destroy(config);
}

/* A word that is far from all is rather of its own place; a slip may be in any part. */
static void
the_nearest_is_of_the_same_place(void **state)
{
	static const struct knob rows[] = {
		{ "stats.interval", KNOB_NUMBER, offsetof(struct target, count), 0, 9, "1", NULL, "" },
		{ "spool.size", KNOB_NUMBER, offsetof(struct target, count), 0, 9, "1", NULL, "" },
		{ "vars.address-groups", KNOB_TREE, offsetof(struct target, vars), 0, 0, NULL, NULL, "" },
	};
	static const struct knob_table places = { "places", rows, TEST_COUNT(rows) };
	static const struct knob_table *const all[] = { &places };
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "vars: { HOME_NET: x }\n", "the nearest is vars.address-groups" },
		{ "spol: { size: x }\n", "the nearest is spool" },
		{ "stat.intervall: x\n", "the nearest is stats.interval" },
		{ "spool: { intervals_of_it: x }\n", "the nearest is spool.size" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		const char *path = with_file(cases[i].text);
		struct config_error err = { "" };
		struct config *config;

		assert_int_equal(config_load(&config, path, &err), 0);
		unlink(path);
		assert_int_equal(config_check_unknown(config, all, 1, &err), -EINVAL);
		if (strstr(err.text, cases[i].want) == NULL)
			fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.text, cases[i].want);
		config_destroy(config);
	}
}

static void
errors_name_file_line_and_reason(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
		{ "a:\n  count: 7\n", ":2: a.count: 7 is below 10" },
		{ "a:\n  count: 7000\n", ":2: a.count: 7000 is above 1000" },
		{ "a:\n  count: many\n", ":2: a.count: \"many\" is not a number" },
		{ "a:\n  size: 4q\n", "is not a size" },
		{ "a:\n  size: 99999999999gb\n", "is not a size" },
		{ "a:\n  on: perhaps\n", "neither yes nor no" },
		{ "mode: medium\n", "is none of slow, fast" },
		{ "text: [1]\n", "a single value is expected" },
		{ "\n\na:\n  cuont: 11\n", ":4: a.cuont: no such key; the nearest is a.count" },
		{ "\ntxt: x\n", ":2: txt: no such key; the nearest is text" },
		{ "\na: [1]\n", ":2: a: keys below it are expected, as a.on" },
		{ "a: 1\n", ":1: a: keys below it are expected, as a.on" },
		{ "\naa: { count: 11 }\n", ":2: aa: no such key; the nearest is a" },
		{ "a:\n  on: yes\n  on: no\n", ":3: this key was given before" },
		{ "a: [b\n", ":2: " },
		{ "a: &x 1\nb: *x\n", "aliases are not supported" },
		{ "\ntext: !10.0.0.0/8\n", ":2: a value that begins with ! stands in quotes" },
		{ "\ntext: !$HOME_NET\n", ":2: a value that begins with ! stands in quotes" },
		{ "files: !x [a]\n", ":1: a value that begins with ! stands in quotes" },
		{ "- 1\n", "keys and values are expected" },
		{ "files: {a: b}\n", "a list is expected" },
		{ "a: 1\n---\nb: 2\n", "a second document" },
		{ "? [x]\n: y\n", "a key must be plain text" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct target t = { 0 };
		struct config *config;
		struct config_error err = { "" };

		assert_true(load_and_apply(cases[i].text, &t, &config, &err) < 0);
		if (strstr(err.text, cases[i].want) == NULL)
			fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.text, cases[i].want);
		config_destroy(config);
	}
}

/* What another program than the one that reads a key would say of it. */
static void
values_that_nobody_reads_are_checked(void **state)
{
	static const struct {
		const char *text;
		const char *want; /* NULL: all is well */
	} cases[] = {
		{ "a:\n  count: 0100\n", NULL },
		{ "files: one.rules\n", NULL },
		{ "a:\n  count: 7\n", ":2: a.count: 7 is below 10" },
		{ "a:\n  size: 1.5 GiB\n", ":2: a.size: \"1.5 GiB\" is not a size" },
		{ "mode: medium\n", ":1: mode: \"medium\" is none of slow, fast" },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct config *config;
		struct config_error err = { "" };
		char path[] = "/tmp/test_config.XXXXXX";
		int fd = mkstemp(path);

		assert_int_equal(write(fd, cases[i].text, strlen(cases[i].text)), strlen(cases[i].text));
		close(fd);
		assert_int_equal(config_load(&config, path, &err), 0);
		assert_int_equal(config_check_values(config, tables, 1, &err), cases[i].want == NULL ? 0 : -EINVAL);
		assert_non_null(strstr(err.text, cases[i].want == NULL ? "" : cases[i].want));
		config_destroy(config);
		unlink(path);
	}
}

static void
numbers_are_decimal(void **state)
{
	struct target t = { 0 };
	struct config *config;
	struct config_error err;

	assert_int_equal(load_and_apply("a:\n  count: 0100\n", &t, &config, &err), 0);
	assert_int_equal(t.count, 100);
	config_destroy(config);
}

static void
collect(void *arg, const char *text)
{
	strcat(strcat(arg, text[0] == '/' ? strchr(text, ':') : text), "\n");
}

static void
keys_without_effect_are_told(void **state)
{
	struct target t = { 0 };
	struct config *config;
	struct config_error err;
	char told[1024] = "";

	assert_int_equal(load_and_apply("a:\n  on: yes\n  old: [1, 2]\nother:\n  k: 1\n  l:\n    m: 2\nvars:\n  old: 1\n", &t, &config, &err), 0);
	assert_int_equal(config_set(config, "other.set=1", &err), 0);
	config_tell_ignored(config, tables, 1, collect, told);
	assert_string_equal(told, ":3: a.old has no effect: count bounds it\n:5: other.k has no effect: accepted\n"
				  ":6: other.l has no effect: accepted\nother.set has no effect: accepted\n");
	config_destroy(config);
}

static void
depth_and_size_are_bounded(void **state)
{
	struct config_error err;
	struct config *config;
	struct target t;
	char deep[400] = "";

	for (int i = 0; i < 100; i++)
		strcat(deep, "[");
	assert_true(load_and_apply(deep, &t, &config, &err) < 0);
	assert_non_null(strstr(err.text, "deep"));
	assert_int_equal(config_load(&config, "/nonexistent/x.yaml", &err), -ENOENT);
	assert_int_equal(config_load(&config, "/tmp", &err), -EISDIR);
}

static void
creation_survives_allocation_failure(void **state)
{
	struct config *config;
	struct config_error err;

	TEST_FAIL_EACH_ALLOC(config_load(&config, NULL, &err), == 0, config_destroy(config));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_and_defaults_arrive),
		cmocka_unit_test(the_nearest_is_of_the_same_place),
		cmocka_unit_test(errors_name_file_line_and_reason),
		cmocka_unit_test(keys_without_effect_are_told),
		cmocka_unit_test(values_that_nobody_reads_are_checked),
		cmocka_unit_test(numbers_are_decimal),
		cmocka_unit_test(depth_and_size_are_bounded),
		cmocka_unit_test(creation_survives_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
