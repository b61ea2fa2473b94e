/* file.data: every place where a message may carry a file is looked into, and no other one. */
#include "lib/rule/test_web.h"

enum { WEB, MAIL = 3 };

struct body {
	unsigned int app;
	int field;
	bool to_server;
};

static const struct body request = { WEB, WEB_BODY, true }, response = { WEB, WEB_ANSWER, false }, mail = { MAIL, 0, true };

/* Alerts of a message that carries "MZ" there. */
static unsigned int
alerts(struct ruleset *set, struct body body)
{
	struct rule_config config = toy_config();
	struct flow flow = toy_flow(IP_PROTO_TCP);
	struct rule_matcher *matcher;
	struct rule_hits hits;
	uint64_t room[64];

	web_record_make(room, body.field, "MZ");
	const struct rule_message message = { .app_idx = body.app, .record = room, .to_server = body.to_server };

	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	rule_hits_reset(&hits);
	rule_match_message(matcher, NULL, &flow, &message, &hits);
	rule_matcher_destroy(matcher);
	return hits.count;
}

static void
test_places(void **state)
{
	static const struct {
		const char *head, *options;
		bool request, response, mail;
	} cases[] = {
		{ "tcp", "file.data; content:\"MZ\";", true, true, true },
		{ "tcp", "flow:to_client; file_data; content:\"MZ\";", false, true, false },
		{ "tcp", "file_data; content:\"MZ\"; flow:to_server;", true, false, true },
		{ "http", "file.data; content:\"MZ\";", true, true, false },
		{ "http", "flow:to_server; file.data; content:\"MZ\";", true, false, false },
		{ "mail", "file.data; content:\"MZ\";", false, false, true },
		{ "tcp", "http.method; content:\"POST\"; file.data; content:\"MZ\";", true, true, false },
		{ "tcp", "file.data; content:\"MZ\"; file.data; content:\"Z\";", true, true, true },
		{ "tcp", "file.data; content:!\"MZ\";", false, false, false },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		char text[256];

		snprintf(text, sizeof(text), "alert %s any any -> any any (%s sid:1;)", cases[i].head, cases[i].options);
		struct ruleset *set = web_ruleset(text);

		assert_int_equal(ruleset_stats_get(set)->rules_loaded, 1);
		assert_int_equal(ruleset_stats_get(set)->rules_failed, 0);
		if (alerts(set, request) != cases[i].request || alerts(set, response) != cases[i].response
			|| alerts(set, mail) != cases[i].mail)
			fail_msg("%s: %u %u %u", text, alerts(set, request), alerts(set, response), alerts(set, mail));
		ruleset_destroy(set);
	}
}

static void
test_refused(void **state)
{
	static const char *const rules[] = {
		"alert tls any any -> any any (file.data; content:\"MZ\"; sid:1;)",
		"alert tcp any any -> any any (tls.sni; content:\"x\"; file.data; content:\"MZ\"; sid:1;)",
		"alert tcp any any -> any any (file.data; sid:1;)",
		"alert tcp any any -> any any (file.data:to_client; content:\"MZ\"; sid:1;)",
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(rules); i++) {
		struct ruleset *set = web_ruleset(rules[i]);

		/* Once, however many places were tried. */
		assert_int_equal(ruleset_stats_get(set)->rules_failed, 1);
		assert_int_equal(ruleset_count(set), 0);
		ruleset_destroy(set);
	}
}

/* Another revision takes the place of all of the older one's, another text with its number is refused. */
static void
test_revisions(void **state)
{
	static const char any[] = "alert tcp any any -> any any (msg:\"any\"; file.data; content:\"MZ\"; sid:1; rev:%u;)\n";
	static const char web[] = "alert http any any -> any any (msg:\"web\"; flow:to_client; file.data; content:\"MZ\"; sid:1; rev:%u;)\n";
	static const struct {
		const char *first, *second;
		unsigned int revs[2], rules, failed;
	} cases[] = {
		{ any, web, { 1, 2 }, 1, 0 }, { web, any, { 1, 2 }, 3, 0 }, { any, any, { 1, 2 }, 3, 0 }, { any, any, { 1, 1 }, 3, 1 },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		char text[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		int len = snprintf(text, sizeof(text), cases[i].first, cases[i].revs[0]);

		snprintf(text + len, sizeof(text) - (size_t)len, cases[i].second, cases[i].revs[1]);
#pragma GCC diagnostic pop
		struct ruleset *set = web_ruleset(text);

		assert_int_equal(ruleset_count(set), cases[i].rules);
		assert_int_equal(ruleset_stats_get(set)->rules_loaded, 1);
		assert_int_equal(ruleset_stats_get(set)->rules_failed, cases[i].failed);
		for (unsigned int r = 0; r < ruleset_count(set); r++)
			assert_int_equal(ruleset_meta(set, r)->rev, cases[i].failed > 0 ? 1 : 2);
		assert_int_equal(alerts(set, response), 1);
		assert_int_equal(alerts(set, mail), cases[i].rules == 3);
		ruleset_destroy(set);
	}
}

/* Many more, so that the table of numbers grows in between. */
static void
test_many(void **state)
{
	enum { MANY = 3000, LINE_MAX = 96 };
	char *text = malloc(MANY * 2 * LINE_MAX);
	size_t len = 0;

	(void)state;
	assert_non_null(text);
	for (unsigned int i = 0; i < 2 * MANY; i++)
		len += (size_t)snprintf(text + len, LINE_MAX, "alert tcp any any -> any any (file.data; content:\"MZ%u\"; sid:%u; rev:%u;)\n",
			i, i % MANY + 1, i / MANY + 1);
	struct ruleset *set = web_ruleset(text);

	assert_int_equal(ruleset_stats_get(set)->rules_failed, 0);
	assert_int_equal(ruleset_stats_get(set)->rules_loaded, MANY);
	assert_int_equal(ruleset_count(set), 3 * MANY);
	ruleset_destroy(set);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_revisions),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
