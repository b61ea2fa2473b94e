/* Rules over payload that are found by bytes at fixed places: which data they are asked of. */
#include "lib/rule/test_bench.h"

/* The options of a rule, and data that it meets. */
static const struct {
	const char *options;
	const char *payload;
	bool hit;
	bool asked; /* verified, and not kept out before */
} place_rows[] = {
	{ "content:\"a1c\"; startswith; content:\"x9\"; offset:10; depth:2; content:\"anywhere\";", "a1c.......x9anywhere", true, true },
	{ "content:\"a1c\"; startswith; content:\"x9\"; offset:10; depth:2; content:\"anywhere\";", "a1c.......x9", false, true },
	{ "content:\"a1c\"; startswith; content:\"x9\"; offset:10; depth:2; content:\"anywhere\";", "a1c.......y9anywhere", false, false },
	{ "content:\"a1c\"; startswith; content:\"x9\"; offset:10; depth:2; content:\"anywhere\";", "b1c.......x9anywhere", false, false },
	{ "content:\"a1c\"; startswith; content:\"x9\"; offset:10; depth:2; content:\"anywhere\";", "a1c.......x", false, false },
	{ "content:\"abcdefghijkl\"; startswith;", "abcdefghijkl", true, true },
	{ "content:\"abcdefghijkl\"; startswith;", "abcdefghijkX", false, false },
	{ "content:\"abcdefghijkl\"; startswith;", "abcdefghijk", false, false },
	/* from the end of the match before, where that can only be one */
	{ "content:\"abc\"; startswith; content:\"de\"; distance:9; within:2;", "abc.........de", true, true },
	{ "content:\"abc\"; startswith; content:\"de\"; distance:9; within:2;", "abc.........dx", false, false },
	{ "content:\"abc\"; offset:9; depth:3; content:\"de\"; distance:-12; within:2;", "de.......abc", true, true },
	{ "content:\"abc\"; offset:9; depth:3; content:\"de\"; distance:-12; within:2;", "dx.......abc", false, false },
	{ "content:\"abc\"; offset:9; depth:3; content:\"de\"; distance:-13; within:2;", "de.......abc", false, true },
	{ "content:\"abc\"; startswith; content:!\"zz\"; content:\"de\"; distance:6; within:2;", "abc......de", true, true },
	{ "content:\"abc\"; startswith; isdataat:3,relative; byte_test:1,>,0,0,relative; content:\"de\"; distance:6; within:2;", "abc......dx", false, false },
	{ "content:!\"q\"; depth:1; content:\"abc\"; distance:2; within:3;", "..abc", true, true },
	{ "content:!\"q\"; depth:1; content:\"abc\"; distance:2; within:3;", "...abc", false, false },
	{ "content:!\"q\"; depth:1; content:\"abc\"; distance:2; within:3;", "q.abc", false, true },
	/* where it can be several */
	{ "content:\"abc\"; startswith; content:\"de\"; distance:2; within:5;", "abc......de", false, true },
	{ "content:\"abc\"; startswith; content:\"de\"; distance:2; within:5;", "abc...de", true, true },
	{ "content:\"abc\"; depth:4; content:\"de\"; distance:6; within:2;", ".abc......de", true, true },
	{ "content:\"abc\"; startswith; byte_jump:1,0,relative,string,dec; content:\"de\"; distance:0; within:2;", "abc1.de", true, true },
	{ "content:\"abc\"; startswith; pcre:\"/x+/R\"; content:\"de\"; distance:0; within:2;", "abc...xxxde", true, true },
	{ "content:\"ab\"; content:\"cd\"; distance:1; within:2;", "ab.ab.cd", true, true },
	{ "content:\"ab\"; distance:0; content:\"cdef\"; distance:1; within:4;", "...ab.cdef", true, true },
	/* either case */
	{ "content:\"1aBc\"; nocase; startswith;", "1AbC", true, true },
	{ "content:\"1aBc\"; nocase; startswith;", "1AbD", false, false },
	{ "content:\"aBc\"; nocase; startswith; content:\"7_\"; distance:8; within:2;", "AbC........7_", true, true },
	{ "content:\"aBc\"; nocase; startswith; content:\"7_\"; distance:8; within:2;", "AbD........7_", false, false },
};

static void
test_places(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(place_rows); i++) {
		struct rule_usage usage = { 0 };
		char rule[256];
		struct bench b;

		snprintf(rule, sizeof(rule), "alert udp any any -> any any (%s sid:1;)", place_rows[i].options);
		bench_begin(&b, rule, IP_PROTO_UDP);
		if (bench_udp(&b, place_rows[i].payload, 1) != place_rows[i].hit)
			fail_msg("%s: \"%s\": %s", rule, place_rows[i].payload, place_rows[i].hit ? "did not fire" : "fired");
		rule_matcher_usage(b.matcher, 0, &usage);
		if (usage.checks != place_rows[i].asked)
			fail_msg("%s: \"%s\": %s", rule, place_rows[i].payload, place_rows[i].asked ? "not asked" : "asked");
		bench_end(&b);
	}
}

/* Many rules at many places: each is found by its own bytes and by no other's. */
static void
test_many_places(void **state)
{
	enum { RULES = 300, ROOM = 128 };
	static char rules[RULES * ROOM];
	size_t len = 0;
	struct bench b;

	(void)state;
	for (unsigned int i = 0; i < RULES; i++)
		len += (size_t)snprintf(rules + len, ROOM, "alert udp any any -> any any (content:\"%c%c%c\"; offset:%u; depth:3; sid:%u;)\n",
			'A' + i % 26, 'a' + i / 26, 'A' + i % 7, i % 5, i + 1);
	bench_begin(&b, rules, IP_PROTO_UDP);
	for (unsigned int i = 0; i < RULES; i++) {
		const char payload[] = { '.', '.', '.', '.', (char)('A' + i % 26), (char)('a' + i / 26), (char)('A' + i % 7), '\0' };

		assert_int_equal(bench_udp(&b, payload + 4 - i % 5, 1), 1);
		assert_int_equal(b.hits.hit[0].sid, i + 1);
	}
	assert_int_equal(bench_udp(&b, "....", 1), 0);
	assert_int_equal(bench_udp(&b, "", 1), 0);
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_many_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
