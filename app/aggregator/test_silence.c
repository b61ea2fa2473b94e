#include "test/test.h"

#include <errno.h>

#include "app/aggregator/silence.h"

enum { AFTER_S = 300 };

static struct silence *silence;

static int
setup(void **state)
{
	(void)state;
	return silence_create(&silence, AFTER_S);
}

static int
teardown(void **state)
{
	(void)state;
	silence_destroy(silence);
	return 0;
}

/* Looks at rows of one text, and says which sensors are silent: "a,b". */
static const char *
look(const char *text, uint64_t at_s)
{
	static char silent[64];
	json_t *rows = json_loads(text, 0, NULL);
	json_t *row;
	size_t i;

	assert_non_null(rows);
	silence_look(silence, rows, 1000000 + at_s * 1000);
	assert_int_equal(silence_mark(silence, rows), 0);
	silent[0] = '\0';
	json_array_foreach(rows, i, row)
		if (json_is_true(json_object_get(row, "silent")))
			strcat(strcat(silent, silent[0] == '\0' ? "" : ","), json_string_value(json_object_get(row, "sensor")));
	json_decref(rows);
	return silent;
}

static uint64_t
counter_of(enum silence_counter which)
{
	return counter_get(&silence_counter_set(silence).values[which]);
}

static void
silence_is_told_once(void **state)
{
	(void)state;
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t1\"},{\"sensor\":\"b\",\"last_seen\":\"t1\"}]", 0), "");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t1\"},{\"sensor\":\"b\",\"last_seen\":\"t2\"}]", 299), "");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t1\"},{\"sensor\":\"b\",\"last_seen\":\"t2\"}]", 300), "a");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t1\"},{\"sensor\":\"b\",\"last_seen\":\"t2\"}]", 400), "a");
	assert_int_equal(counter_of(SILENCE_NOW), 1);
	assert_int_equal(counter_of(SILENCE_TOTAL), 1);
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t1\"},{\"sensor\":\"b\",\"last_seen\":\"t2\"}]", 599), "a,b");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t3\"},{\"sensor\":\"b\",\"last_seen\":\"t2\"}]", 600), "b");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t3\"},{\"sensor\":\"b\",\"last_seen\":\"t2\"}]", 900), "a,b");
	assert_int_equal(counter_of(SILENCE_TOTAL), 3);
}

/* A clock that goes back is a change like any other. */
static void
no_clock_matters(void **state)
{
	(void)state;
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"2030\"}]", 0), "");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"1999\"}]", 299), "");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"1999\"}]", 598), "");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"1999\"}]", 599), "a");
}

/* A store whose clock was set back keeps the later time; records are counted all the same. */
static void
records_are_heard(void **state)
{
	(void)state;
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"2030\",\"records\":7}]", 0), "");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"2030\",\"records\":8}]", 300), "");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"2030\",\"records\":8}]", 600), "a");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"2030\",\"records\":9}]", 601), "");
}

static void
who_is_not_expected_is_not_missed(void **state)
{
	(void)state;
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t\",\"state\":\"enrolled\"},{\"sensor\":\"i\",\"last_seen\":null,\"state\":\"invited\"}]", 0), "");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t\",\"state\":\"enrolled\"},{\"sensor\":\"i\",\"last_seen\":null,\"state\":\"invited\"}]", 900), "a");
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t\",\"state\":\"revoked\"},{}]", 901), "");
	assert_int_equal(counter_of(SILENCE_NOW), 0);
	assert_string_equal(look("[{\"sensor\":\"a\",\"last_seen\":\"t\",\"state\":\"enrolled\"}]", 902), ""); /* let in anew */
	assert_string_equal(look("[]", 2000), "");
}

static void
create_fails(void **state)
{
	struct silence *other;

	(void)state;
	TEST_FAIL_EACH_ALLOC(silence_create(&other, AFTER_S), == 0, silence_destroy(other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(silence_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(no_clock_matters, setup, teardown),
		cmocka_unit_test_setup_teardown(records_are_heard, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_not_expected_is_not_missed, setup, teardown),
		cmocka_unit_test(create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
