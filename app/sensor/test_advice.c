#include "test/test.h"

#include "app/sensor/advice.h"

static bool
told(const char *json, uint32_t *given, const char *what)
{
	json_t *stats = json_loads(json, 0, NULL);
	char text[512] = "";
	bool there = advice_next(stats, given, text, sizeof(text));

	json_decref(stats);
	if (there)
		assert_non_null(strstr(text, what));
	return there;
}

static void
test_advice(void **state)
{
	static const struct {
		const char *stats, *what; /* NULL: nothing is said */
	} cases[] = {
		{ "{}", NULL },
		{ "{\"tcp\":{\"invalid_checksum\":100},\"decoder\":{\"tcp\":1000}}", "100 of 1000 TCP segments" },
		{ "{\"tcp\":{\"invalid_checksum\":99},\"decoder\":{\"tcp\":1000}}", NULL },
		{ "{\"tcp\":{\"invalid_checksum\":9},\"decoder\":{\"tcp\":10}}", NULL },
		{ "{\"tcp\":{\"invalid_checksum\":10},\"decoder\":{\"tcp\":10}}", "-k none" },
		{ "{\"decoder\":{\"ipv4\":1000,\"event\":{\"ipv4\":{\"trunc_pkt\":10}}}}", "gro off" },
		{ "{\"decoder\":{\"ipv4\":1001,\"event\":{\"ipv4\":{\"trunc_pkt\":10}}}}", NULL },
		{ "{\"decoder\":7}", NULL },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		uint32_t given = 0;

		assert_int_equal(told(cases[i].stats, &given, cases[i].what), cases[i].what != NULL);
		/* Once. */
		assert_false(told(cases[i].stats, &given, ""));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_advice) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
