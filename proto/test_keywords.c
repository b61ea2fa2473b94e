/* The rule language over the real protocols: every example of the reference page, every buffer by its name. */
#include "lib/packet/decode_event.h"
#include "lib/rule/rule_parser.h"
#include "lib/stream/stream_event.h"
#include "proto/session.h"
#include "test/test.h"

static const struct rule_app *apps[PROTO_MAX];
static struct rule_world world = { .apps = apps, .decode_event_find = decode_event_find, .stream_event_find = stream_event_find };

/* Loads one rule. @return NULL, or why it was refused */
static const char *
refusal(const char *text)
{
	static char reason[256];
	const struct rule_config config = { .alerts_max = 15, .verify_steps_max = 3000, .pcre_match_limit = 3500,
		.thresholds_max = 64, .host_bits_max = 64, .cache_dir = "" };
	struct config_error err;
	struct ruleset *set;
	unsigned int count;

	assert_int_equal(ruleset_create_text(&set, "x.rules", text, &config, &world, &err), 0);
	const struct rule_error *errors = ruleset_errors(set, &count);

	snprintf(reason, sizeof(reason), "%s", count > 0 ? errors[0].reason : "");
	assert_int_equal(ruleset_stats_get(set)->rules_loaded, count == 0);
	ruleset_destroy(set);
	return count > 0 ? reason : NULL;
}

static void
test_examples(void **state)
{
	(void)state;
	for (const struct rule_keyword *keyword = rule_keywords; keyword->name != NULL; keyword++) {
		char text[1024];

		if (keyword->example == NULL)
			continue;
		if (strstr(keyword->example, "any any") != NULL)
			snprintf(text, sizeof(text), "%s", keyword->example);
		else
			snprintf(text, sizeof(text), "alert tcp any any -> any any (%s%s)", keyword->example,
				strcmp(keyword->name, "sid") == 0 ? "" : " sid:1;");
		const char *why = refusal(text);

		/* of protocols that are not in this build, and of files that are not configured or not here */
		if (why != NULL && strstr(why, "has no parser here") == NULL && strstr(why, "is not set") == NULL && strstr(why, "No such file") == NULL)
			fail_msg("%s: %s", text, why);
	}
}

static void
test_buffers(void **state)
{
	unsigned int loaded = 0;

	(void)state;
	for (unsigned int i = 0; i < world.app_count; i++)
		for (unsigned int b = 0; b < apps[i]->buffer_count; b++) {
			char text[256];

			snprintf(text, sizeof(text), "alert %s any any -> any any (%s; content:\"abcd\"; sid:1;)", apps[i]->name,
				apps[i]->buffers[b].name);
			const char *why = refusal(text);

			if (why != NULL)
				fail_msg("%s: %s", text, why);
			loaded++;
		}
	assert_true(loaded > 10);
}

/* What a number can be is what the widest shape of its path can be: a delay of DNP3 has 16 bits (group 52) or 32 (group 91). */
static void
test_bounds(void **state)
{
	(void)state;
	assert_null(refusal("alert dnp3 any any -> any any (dnp3.application.objects.points.delay_ms:70000; sid:1;)"));
	assert_non_null(refusal("alert dnp3 any any -> any any (dnp3.application.objects.points.delay_ms:5000000000; sid:1;)"));
	assert_non_null(refusal("alert modbus any any -> any any (modbus.request.unit_id:256; sid:1;)"));
}

/* What is known only when all of a body, a transfer or a connection was there is no field of a rule, which is asked before: it would not hold, or of a part. */
static void
test_late(void **state)
{
	static const char *const rows[] = { "http any any -> any any (http.length:>1000000;", "ftp-data any any -> any any (ftp_data.size:<1000;",
		"ftp-data any any -> any any (ftp_data.gaps:false;", "enip any any -> any any (enip.io.lost:>9;" };

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		char text[128];

		snprintf(text, sizeof(text), "alert %s sid:1;)", rows[i]);
		const char *why = refusal(text);

		if (why == NULL || strstr(why, "before it is known") == NULL)
			fail_msg("%s: %s", text, why == NULL ? "loaded" : why);
	}
	assert_null(refusal("alert smb any any -> any any (smb.response_time_us:>1000000; sid:1;)"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_late),
	};

	for (unsigned int i = 0; proto_table[i] != NULL; i++)
		apps[world.app_count++] = &proto_table[i]->app;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
