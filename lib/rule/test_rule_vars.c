/* What expressions capture, and numbers of buffers: for the alert, the packet and the flow. */
#include "lib/rule/test_bench.h"
#include "lib/rule/rule_internal.h"

static struct buf out;

static int
setup(void **state)
{
	(void)state;
	return buf_create(&out, 4096);
}

static int
teardown(void **state)
{
	(void)state;
	buf_destroy(&out);
	return 0;
}

static void
assert_context(const struct bench *b, unsigned int hit, const char *wanted)
{
	rule_context_json(b->matcher, &b->hits.hit[hit], &out);
	assert_int_equal(out.len, strlen(wanted));
	assert_memory_equal(out.data, wanted, out.len);
}

static void
assert_metadata(const struct bench *b, bool packet, const char *wanted)
{
	rule_metadata_json(b->matcher, &b->flow, packet, &out);
	assert_int_equal(out.len, strlen(wanted));
	assert_memory_equal(out.data, wanted, out.len);
}

static void
test_alert_captures(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp any any -> any any (pcre:\"/^(\\w+) (\\w+) (\\w+)/, alert:verb, flow:what, pkt:where\"; sid:1;)\n"
			"alert udp any any -> any any (pcre:\"/ (?P<alert_object>\\w+) (?:to )?(?P<pkt_place>\\w+)/\"; sid:2;)\n"
			"alert udp any any -> any any (pcre:\"/^(?P<alert_verb>\\w+)/\"; content:\"never\"; sid:3;)\n"
			"alert udp any any -> any any (content:\"door\"; sid:4;)\n", IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "open door north", 1), 3);
	assert_context(&b, 0, "{\"verb\":\"open\"}");
	assert_context(&b, 1, "{\"object\":\"door\"}");
	assert_context(&b, 2, "");
	assert_metadata(&b, true,
		"\"metadata\":{\"pktvars\":[{\"where\":\"north\"},{\"place\":\"north\"}],\"flowvars\":[{\"what\":\"door\"}]}");
	assert_metadata(&b, false, "\"metadata\":{\"flowvars\":[{\"what\":\"door\"}]}");
	bench_end(&b);
}

/* More than there is room for is left out; what is captured is cut. */
static void
test_captures_bounded(void **state)
{
	char rules[8192], payload[512], wanted[256];
	struct bench b;
	size_t len = 0;

	(void)state;
	for (unsigned int sid = 1; sid <= 15; sid++)
		len += (size_t)snprintf(rules + len, sizeof(rules) - len,
			"alert udp any any -> any any (pcre:\"/(x+)(y)/, alert:a%u, pkt:p%u\"; sid:%u;)\n", sid, sid, sid);
	memset(payload, 'x', sizeof(payload));
	strcpy(payload + sizeof(payload) - 2, "y");
	bench_begin(&b, rules, IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, payload, 1), 15);
	len = (size_t)snprintf(wanted, sizeof(wanted), "{\"a1\":\"");
	memset(wanted + len, 'x', 112);
	strcpy(wanted + len + 112, "\"}");
	assert_context(&b, 0, wanted);
	assert_context(&b, 14, "");
	assert_int_not_equal(atomic_load(&b.matcher->memory->counters[RULE_COUNTER_CAPTURES_SHED]), 0);
	bench_end(&b);
}

/* What one rule captures another can ask for on the same packet, also one that stands before it. */
static void
test_captured_then_asked(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp any any -> any any (content:\"user\"; flowvar:who,\"alice\"; sid:1;)\n"
			"alert udp any any -> any any (content:\"user\"; pktvar:when,\"now\"; sid:2;)\n"
			"alert udp any any -> any any (pcre:\"/user=(\\w+) (\\w+)/, flow:who, pkt:when\"; noalert; sid:3;)\n", IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "user=alice now", 1), 2);
	assert_int_equal(bench_udp(&b, "user=bob now", 2), 1);
	assert_int_equal(b.hits.hit[0].sid, 2);
	bench_end(&b);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *rule, *reason;
	} rows[] = {
		{ "alert udp any any -> any any (pcre:\"/(a)/, alarm:x\"; sid:1;)", "alert:NAME" },
		{ "alert udp any any -> any any (pcre:\"/(a)/, alert:x, alert:y\"; sid:1;)", "2 variables for 1 groups" },
		{ "alert udp any any -> any any (pcre:!\"/(?P<alert_x>a)/\"; sid:1;)", "captures nothing" },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct ruleset *set = toy_ruleset(rows[i].rule);
		unsigned int count;
		const struct rule_error *errors = ruleset_errors(set, &count);

		assert_int_equal(count, 1);
		assert_non_null(strstr(errors[0].reason, rows[i].reason));
		ruleset_destroy(set);
	}
}

static void
test_entropy(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp any any -> any any (entropy:value >= 4; sid:1;)\n"
			"alert udp any any -> any any (content:\"ab\"; entropy:bytes 4, value < 1; sid:2;)\n", IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "abab", 1), 0);
	assert_metadata(&b, false, "\"metadata\":{\"entropy\":{\"content\":1.0}}");
	assert_int_equal(bench_udp(&b, "aaabbb", 1), 1);
	assert_metadata(&b, false, "\"metadata\":{\"entropy\":{\"content\":0.8112781244591328}}");
	bench_end(&b);
}

static const struct {
	uint32_t tx_id;
	bool sets, hit;
} tx_steps[] = {
	{ 1, true, true }, { 2, false, false }, { 1, false, true }, { 2, true, true }, { 1, false, true }, { 3, false, false },
	{ 0, true, true }, { 0, false, false }, { 2, false, true },
};

/* A transaction's bit is of its messages alone; one without a number has it for itself. */
static void
test_transaction_bits(void **state)
{
	struct toy_record record = { .unit = 3 };
	struct rule_message message = { .record = &record };
	struct bench b;

	(void)state;
	bench_begin(&b, "alert toy any any -> any any (app-layer-event:toy.flooded; xbits:set,mark,track tx; noalert; sid:1;)\n"
			"alert toy any any -> any any (xbits:isset,mark,track tx; sid:2;)\n", IP_PROTO_TCP);
	for (unsigned int i = 0; i < TEST_COUNT(tx_steps); i++) {
		message.tx_id = tx_steps[i].tx_id;
		message.events = tx_steps[i].sets ? 2 : 1;
		rule_hits_reset(&b.hits);
		rule_match_message(b.matcher, NULL, &b.flow, &message, &b.hits);
		if (b.hits.count != tx_steps[i].hit)
			fail_msg("step %u: %u alerts", i, b.hits.count);
	}
	assert_metadata(&b, false, "");
	for (message.tx_id = 100; message.tx_id < 1000; message.tx_id++) {
		message.events = 2;
		rule_hits_reset(&b.hits);
		rule_match_message(b.matcher, NULL, &b.flow, &message, &b.hits);
		assert_int_equal(b.hits.count, 1); /* there is room for the newest */
	}
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alert_captures),
		cmocka_unit_test(test_captures_bounded),
		cmocka_unit_test(test_captured_then_asked),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_entropy),
		cmocka_unit_test(test_transaction_bits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
