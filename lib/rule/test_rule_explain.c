/* What is said of rules: how they are found, that they can never fire, that they are costly, what they cost. */
#include <errno.h>

#include "lib/rule/test_toy.h"

struct told {
	const char *options;
	const char *text; /* part of what is told; NULL: nothing may be */
};

static const char *told_text;
static unsigned int told_count;

static void
note(const struct rule_meta *meta, const char *text, void *arg)
{
	(void)meta;
	(void)arg;
	told_text = text;
	told_count++;
}

static void
test_warnings(void **state)
{
	static const struct told cases[] = {
		{ "toy any any -> any any (flow:to_client; toy_indexed:unit 3;", "other direction" },
		{ "toy any any -> any any (flow:to_server; toy_indexed:unit 3;", NULL },
		{ "tcp any any -> any any (flowbits:isset,never; content:\"abcd\";", "sets the bit" },
		{ "tcp any any -> any any (flowbits:isnotset,never; content:\"abcd\";", NULL },
		{ "tcp any any -> any any (flowbits:set,b; content:\"abcd\"; sid:2;)\nalert tcp any any -> any any (flowbits:isset,b; content:\"wxyz\";", NULL },
		{ "tcp any any -> any any (flow.elephant:toserver;", "elephant" },
		{ "tcp any any -> any any (content:\"ab\";", "any port" },
		{ "tcp any any -> any 502 (content:\"ab\";", NULL },
		{ "tcp any any -> any 502 (pcre:\"/(a|b)/\";", "pcre" },
		{ "tcp any any -> any any (content:\"ab\"; offset:4; depth:2;", NULL },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		char text[512];

		snprintf(text, sizeof(text), "alert %s sid:1;)\n", cases[i].options);
		struct ruleset *set = toy_ruleset(text);

		told_text = NULL;
		told_count = 0;
		assert_true(ruleset_count(set) > 0);
		unsigned int count = ruleset_warnings(set, note, NULL);

		assert_int_equal(count, told_count);
		if (told_count != (cases[i].text != NULL) || (told_count > 0 && strstr(told_text, cases[i].text) == NULL))
			fail_msg("%s: told %s", text, told_count > 0 ? told_text : "nothing");
		ruleset_destroy(set);
	}
}

static void
test_explain(void **state)
{
	static const struct told cases[] = {
		{ "toy any any -> any any (toy.unit:3;", "a sieve: by toy.unit;" },
		{ "toy any any -> any any (toy.request.function:[write,restart];", "a sieve: by toy.request.function;" },
		{ "toy any any -> any any (toy.points.index:4;", "by toy.points.index;" },
		{ "toy any any -> any any (toy:unit 4;", "asked of every record" },
		{ "toy any any -> any any (toy.points.value:>1.5;", "fields it needs" },
		{ "toy any any -> any any (toy.request.data; content:\"reactor\";", "length of toy.request.data, a literal in" },
		{ "toy any any -> any any (toy.request.data; pcre:\"/rea.tor/\";", "a search by Hyperscan of toy.request.data" },
		{ "toy any any -> any any (toy.request.data; pcre:\"/^[^r]*rea.tor/\";", "length of toy.request.data;" },
		{ "toy any any -> any any (app-layer-event:toy.flooded;", "by its events" },
		{ "tcp any any -> any 502 (content:\"reactor\";", "the literal \"reactor\"" },
		{ "tcp any any -> any 502 (content:\"ab\"; depth:2;", "fixed place: offset 0, 2 bytes" },
		{ "tcp any any -> any 502 (content:\"a\";", "verified each time" },
		/* Runs of zeros are everywhere: anything else is better. A literal of the user's choice is, where places are as common. */
		{ "udp any any -> any any (content:\"|05 00 00|\"; startswith; content:\"|0f 00|\"; offset:22; depth:2; content:\"|00 00 00 00 00 00|\"; distance:0;",
			"fixed place: offset 0, 3 bytes, mask 0000000000ffffff; and offset 22, 2 bytes, mask 000000000000ffff" },
		{ "udp any any -> any any (content:\"|01|\"; offset:2; depth:1; content:\"|00 01 00 00 00|\"; distance:1; within:5; content:\"reactor\"; fast_pattern;",
			"the literal \"reactor\"" },
		{ "udp any any -> any any (content:\"|00 00 00 00 00 00|\"; content:\"|00 00 04|\"; offset:8; depth:3;", "fixed place: offset 8, 3 bytes" },
		{ "udp any any -> any any (content:\"|00 00 00 00 00 00|\"; content:\"|00 2a 00 2b|\";", "the literal \"\\u0000*\\u0000+\"" },
		{ "udp any any -> any any (content:\"ab\"; depth:2; content:\"reactor\";", "the literal \"reactor\"" },
		{ "toy any any -> any any (content:\"reactor\";", "each piece of a TCP stream of toy\n" },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		char text[512];
		struct buf out;

		snprintf(text, sizeof(text), "alert %s sid:1;)\n", cases[i].options);
		struct ruleset *set = toy_ruleset(text);

		assert_int_equal(buf_create(&out, 4096), 0);
		assert_int_equal(ruleset_explain(set, 1, 1, &out), 0);
		assert_int_equal(ruleset_explain(set, 1, 2, &out), -ENOENT);
		buf_putc(&out, '\0');
		assert_false(out.full);
		if (strstr(out.data, cases[i].text) == NULL)
			fail_msg("%s: %s", text, out.data);
		buf_destroy(&out);
		ruleset_destroy(set);
	}
}

static void
test_usage(void **state)
{
	struct ruleset *set = toy_ruleset("alert toy any any -> any any (toy.unit:3; threshold:type limit, track by_src, count 1, seconds 60; sid:1;)\n"
		"alert toy any 1 -> any any (toy.unit:3; sid:2;)\n");
	struct rule_config config = toy_config();
	struct packet packet = toy_packet(IP_PROTO_TCP, "", 0);
	struct toy_record record = { .unit = 3 };
	struct rule_message message = { .record = &record };
	struct rule_matcher *matcher = NULL;
	struct rule_usage usage[2] = { 0 };

	(void)state;
	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	for (unsigned int i = 0; i < 320; i++) {
		struct rule_hits hits = { 0 };

		rule_match_message(matcher, &packet, NULL, &message, &hits);
	}
	for (uint32_t i = 0; i < 2; i++)
		rule_matcher_usage(matcher, i, &usage[i]);
	assert_int_equal(usage[0].checks, 320);
	assert_int_equal(usage[0].matches, 320);
	assert_int_equal(usage[0].alerts, 1);
	assert_int_equal(usage[1].checks, 320); /* its port does not hold */
	assert_int_equal(usage[1].matches, 0);
	assert_int_equal(usage[0].measured + usage[1].measured, 640 / 64);
	assert_true(usage[0].ticks + usage[1].ticks > 0);
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
