/* What a rule that nothing finds is asked before it is verified: the protocol of the flow, the length, the IP protocol. */
#include "lib/rule/test_bench.h"

static const struct {
	const char *rule;
	const char *payload;
	bool hit;
	bool asked;      /* verified, and not kept out before */
	uint16_t app;
} gate_rows[] = {
	{ "alert udp any any -> any any (dsize:3; sid:1;)", "abc", true, true, 0 },
	{ "alert udp any any -> any any (dsize:3; sid:1;)", "ab", false, false, 0 },
	{ "alert udp any any -> any any (dsize:>3; sid:1;)", "abcd", true, true, 0 },
	{ "alert udp any any -> any any (dsize:>3; sid:1;)", "abc", false, false, 0 },
	{ "alert udp any any -> any any (dsize:<3; sid:1;)", "ab", true, true, 0 },
	{ "alert udp any any -> any any (dsize:<3; sid:1;)", "abc", false, false, 0 },
	{ "alert udp any any -> any any (dsize:1<>4; sid:1;)", "ab", true, true, 0 },
	{ "alert udp any any -> any any (dsize:1<>4; sid:1;)", "abcde", false, false, 0 },
	{ "alert udp any any -> any any (dsize:!3; sid:1;)", "abcd", true, true, 0 },
	{ "alert udp any any -> any any (dsize:>1; dsize:<4; sid:1;)", "abc", true, true, 0 },
	{ "alert toy any any -> any any (content:\"b\"; sid:1;)", "abc", true, true, 1 },
	{ "alert toy any any -> any any (content:\"b\"; sid:1;)", "abc", false, false, 0 },
	{ "alert toy any any -> any any (content:\"a\"; depth:1; sid:1;)", "abc", true, true, 1 },
	{ "alert toy any any -> any any (content:\"a\"; depth:1; sid:1;)", "abc", false, false, 0 },
	{ "alert ip any any -> any any (ip_proto:17; dsize:3; sid:1;)", "abc", true, true, 0 },
	{ "alert ip any any -> any any (ip_proto:47; dsize:3; sid:1;)", "abc", false, false, 0 },
	{ "alert ip any any -> any any (ip_proto:!47; dsize:3; sid:1;)", "abc", true, true, 0 },
};

static void
test_gates(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(gate_rows); i++) {
		struct rule_usage usage = { 0 };
		struct bench b;

		bench_begin(&b, gate_rows[i].rule, IP_PROTO_UDP);
		b.flow.app_proto = gate_rows[i].app;
		if (bench_udp(&b, gate_rows[i].payload, 1) != gate_rows[i].hit)
			fail_msg("%s: \"%s\": %s", gate_rows[i].rule, gate_rows[i].payload, gate_rows[i].hit ? "did not fire" : "fired");
		rule_matcher_usage(b.matcher, 0, &usage);
		assert_int_equal(usage.checks, gate_rows[i].asked);
		bench_end(&b);
	}
}

/* Bytes of a flow whose protocol is another one's need not be shown to the rules of a protocol. */
static void
test_wants(void **state)
{
	static const unsigned int wanted[] = { 0, RULE_WANTS_TO_SERVER, 0 };
	struct bench b;

	(void)state;
	bench_begin(&b, "alert toy any any -> any any (flow:to_server; content:\"abcd\"; sid:1;)", IP_PROTO_TCP);
	for (uint16_t app = 0; app < TEST_COUNT(wanted); app++) {
		b.flow.app_proto = app;
		assert_int_equal(rule_wants(b.matcher, &b.flow, app), wanted[app]);
		assert_int_equal(bench_stream(&b, "abcd", 0, true), app == 1);
	}
	assert_int_equal(rule_wants(b.matcher, &b.flow, RULE_ANY_PROTO), RULE_WANTS_TO_SERVER);
	bench_end(&b);
}

/* A rule of one IP protocol is also asked where the packet's header of it could not be read. */
static void
test_unread_header(void **state)
{
	struct packet packet = toy_packet(IP_PROTO_UDP, "abc", 3);
	struct bench b;

	(void)state;
	bench_begin(&b, "alert ip any any -> any any (ip_proto:17; dsize:3; sid:1;)", IP_PROTO_UDP);
	packet.flags &= ~(uint32_t)PACKET_L4;
	rule_hits_reset(&b.hits);
	rule_match_packet(b.matcher, &packet, NULL, &b.hits);
	assert_int_equal(b.hits.count, 1);
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gates),
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_unread_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
