/* Rules that speak once a flow and direction. */
#include "lib/rule/test_bench.h"

/* Rules of addresses only speak at the first packet of a flow's direction; a pass among them frees the flow. */
static void
test_once(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp 10.0.0.1 any -> any any (sid:1;)\n", IP_PROTO_UDP);
	b.flow.packets[FLOW_TO_SERVER] = 1;
	assert_int_equal(bench_udp(&b, "a", 1), 1);
	b.flow.packets[FLOW_TO_SERVER] = 2;
	assert_int_equal(bench_udp(&b, "a", 1), 0);
	bench_end(&b);
	bench_begin(&b, "pass udp 10.0.0.1 any -> any any (sid:1;)\nalert udp any any -> any 502 (content:\"a\"; sid:2;)\n", IP_PROTO_UDP);
	b.flow.packets[FLOW_TO_SERVER] = 1;
	assert_int_equal(bench_udp(&b, "a", 1), 0);
	b.flow.packets[FLOW_TO_SERVER] = 2;
	assert_int_equal(bench_udp(&b, "a", 1), 0);
	bench_end(&b);
}

/* A pass rule with the keyword alert is heard once of what it lets go: of the packet, not again of its data; of the flow at its first. */
static void
test_pass_that_alerts(void **state)
{
	struct rule_chunk chunk = { .data = (const uint8_t *)"abcd", .len = 4, .to_server = true };
	struct packet packet = toy_packet(IP_PROTO_TCP, "abcd", 4);
	struct bench b;

	(void)state;
	bench_begin(&b, "pass tcp any any -> any 502 (dsize:4; alert; sid:1;)\nalert tcp any any -> any any (content:\"abcd\"; sid:2;)\n", IP_PROTO_TCP);
	rule_hits_reset(&b.hits);
	rule_match_packet(b.matcher, &packet, &b.flow, &b.hits);
	rule_match_stream(b.matcher, &packet, &b.flow, &chunk, &b.hits);
	assert_int_equal(b.hits.count, 1);
	assert_int_equal(b.hits.hit[0].sid, 1);
	assert_int_equal(b.hits.hit[0].action, RULE_ALERT);
	bench_end(&b);
	bench_begin(&b, "pass udp 10.0.0.1 any -> any any (alert; threshold:type limit, track by_src, count 1, seconds 60; sid:1;)\n"
			"alert udp any any -> any 502 (content:\"a\"; sid:2;)\n", IP_PROTO_UDP);
	for (unsigned int i = 1; i <= 2; i++) {
		b.flow.packets[FLOW_TO_SERVER] = i;
		assert_int_equal(bench_udp(&b, "a", 1), i == 1);
	}
	assert_int_equal(b.hits.count, 0);
	bench_end(&b);
}

/* A rule that asks for nothing but the protocol speaks once a direction: at the first data since it is known. */
static void
test_protocol_only(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp any any -> any any (app-layer-protocol:toy; sid:1;)\n"
			"alert udp any any -> any any (app-layer-protocol:toy; prefilter; sid:2;)\n"
			"alert udp any any -> any any (app-layer-protocol:toy; dsize:1; sid:3;)\n"
			"alert udp any any -> any any (app-layer-protocol:!toy; sid:4;)\n", IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "a", 1), 0);
	b.flow.app_proto = 1;
	assert_int_equal(bench_udp(&b, "", 1), 0);
	assert_int_equal(bench_udp(&b, "aa", 1), 2);
	assert_int_equal(bench_udp(&b, "a", 1), 1);
	assert_int_equal(b.hits.hit[0].sid, 3);
	b.flow.app_proto = 0;
	b.flow.app_failed = true;
	assert_int_equal(bench_udp(&b, "a", 1), 1);
	assert_int_equal(b.hits.hit[0].sid, 4);
	assert_int_equal(bench_udp(&b, "a", 1), 0);
	bench_end(&b);
	bench_begin(&b, "pass udp any any -> any any (app-layer-protocol:toy; sid:1;)\n"
			"alert udp any any -> any any (content:\"a\"; sid:2;)\n", IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "a", 1), 1);
	b.flow.app_proto = 1;
	assert_int_equal(bench_udp(&b, "a", 1), 0);
	b.flow.app_proto = 0; /* released for good */
	assert_int_equal(bench_udp(&b, "a", 1), 0);
	bench_end(&b);
}

/* What app-layer-protocol says of a flow that was `before` and is `now`, or in which none was recognised. */
static const struct {
	const char *asked;
	uint16_t now, before;
	bool failed, answered; /* answered: the server has sent */
	bool hit;
} protocols[] = {
	{ "toy", 1, 0, false, true, true },
	{ "toy,final", 2, 1, false, true, false },
	{ "toy,original", 2, 1, false, true, true },
	{ "toy,original", 1, 0, false, true, true },
	{ "!toy,original", 2, 1, false, true, false },
	{ "toy,to_server", 1, 0, false, false, true },
	{ "toy,to_client", 1, 0, false, false, false },
	{ "!toy,to_client", 1, 0, false, false, false },
	{ "toy,to_client,exact", 1, 0, false, true, true },
	{ "unknown|toy", 1, 0, false, true, true },
	{ "unknown|toy", 0, 0, false, true, true },
	{ "unknown|toy", 0, 0, true, true, false },
	{ "unknown", 0, 0, false, true, true },
	{ "unknown", 1, 0, false, true, false },
	{ "unknown,to_client", 1, 0, false, false, true },
	{ "failed", 0, 0, true, true, true },
	{ "failed", 0, 0, false, true, false },
	{ "!failed", 1, 0, false, true, true },
	{ "!failed", 0, 0, true, true, false },
	{ "!toy|failed", 2, 0, false, true, true },
	{ "!toy", 0, 0, false, true, false },
	{ "!toy", 0, 0, true, true, true },
};

static void
test_protocols(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(protocols); i++) {
		char text[128];
		struct bench b;

		snprintf(text, sizeof(text), "alert udp any any -> any any (app-layer-protocol:%s; sid:1;)", protocols[i].asked);
		bench_begin(&b, text, IP_PROTO_UDP);
		b.flow.app_proto = protocols[i].now;
		b.flow.app_proto_before = protocols[i].before;
		b.flow.app_failed = protocols[i].failed;
		if (!protocols[i].answered)
			b.flow.packets[FLOW_TO_CLIENT] = 0;
		if (bench_udp(&b, "a", 1) != protocols[i].hit)
			fail_msg("%u: %s", i, text);
		bench_end(&b);
	}
}

/* What was told before is there for rules that ask for something new as well. */
static void
test_known(void **state)
{
	struct toy_record record = { .function = 1, .flags = 1, .head.present = 1 << 1 | 1 << 2 };
	struct rule_message message = { .record = &record };
	struct bench b;

	(void)state;
	bench_begin(&b, "alert toy any any -> any any (toy.request.function:read; sid:1;)\n"
			"alert toy any any -> any any (toy.request.function:read; toy.request.flags:first; sid:2;)\n"
			"alert toy any any -> any any (toy.request.flags:first; sid:3;)\n"
			"alert toy any any -> any any (toy.unit:0; sid:4;)\n", IP_PROTO_TCP);
	for (unsigned int known = 0; known < 4; known++) {
		static const unsigned int hits[] = { 4, 3, 3, 1 };

		message.known = known << 1;
		rule_hits_reset(&b.hits);
		rule_match_message(b.matcher, NULL, &b.flow, &message, &b.hits);
		assert_int_equal(b.hits.count, hits[known]);
	}
	bench_end(&b);
}

static unsigned int
sids_of(const struct rule_hits *hits)
{
	unsigned int sids = 0;

	for (unsigned int i = 0; i < hits->count; i++)
		sids |= 1u << hits->hit[i].sid;
	return sids;
}

/* Of the rules that are asked of an answer, whose request had "read" and the data "a" and which has the flag "final" and "ab" besides. */
static unsigned int
sids_of_answer(const char *rules)
{
	struct toy_record request = { .function = 1, .head.present = 1 << 1 | 1 << 3, .data = { sizeof(request), 1 } };
	struct toy_record answer = { .function = 1, .flags = 2, .head.present = 1 << 1 | 1 << 2 | 1 << 3, .data = { sizeof(answer), 2 } };
	_Alignas(8) uint8_t records[2][(sizeof(request) + 2 + 7) / 8 * 8];
	struct rule_message message = { .record = records[1], .before = records[0], .pdu = (const uint8_t *)"b", .pdu_len = 1 };
	unsigned int sids;
	struct bench b;

	memcpy(records[0], &request, sizeof(request));
	memcpy(records[0] + sizeof(request), "a", 2);
	memcpy(records[1], &answer, sizeof(answer));
	memcpy(records[1] + sizeof(answer), "ab", 2);
	bench_begin(&b, rules, IP_PROTO_TCP);
	b.flow.packets[FLOW_TO_SERVER] = b.flow.packets[FLOW_TO_CLIENT] = 1;
	rule_hits_reset(&b.hits);
	rule_match_message(b.matcher, NULL, &b.flow, &message, &b.hits);
	sids = sids_of(&b.hits);
	bench_end(&b);
	return sids;
}

/* What held of the request alone was told then. What releases a message is asked of each. */
static void
test_request_and_answer(void **state)
{
	(void)state;
	assert_int_equal(sids_of_answer("alert toy any any -> any any (toy.request.function:read; sid:1;)\n"
		"alert toy any any -> any any (toy.request.flags:final; sid:2;)\n"
		"alert toy any any -> any any (toy.request.function:read; toy.request.flags:final; sid:3;)\n"
		"alert toy any any -> any any (flow:to_client; toy.request.function:read; sid:4;)\n"
		"alert toy any any -> any any (toy.request.function:read; content:\"b\"; sid:5;)\n"
		"alert toy any any -> any any (toy.request.function:read; flowbits:isset,x; sid:6;)\n"
		"alert toy any 502 -> any any (toy.request.function:read; sid:7;)\n"
		"alert toy any any <> any 502 (toy.request.function:read; sid:8;)\n"
		"alert toy any any -> any any (toy.request.data; content:\"a\"; sid:9;)\n"
		"alert toy any any -> any any (toy.request.data; content:\"b\"; sid:10;)\n"
		"alert toy any any -> any any (toy.request.function:read; flowbits:set,y; sid:11;)\n"
		"alert toy any any -> any any (toy:unit 0; sid:12;)\n"),
		1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 10 | 1 << 12);
	assert_int_equal(sids_of_answer("pass toy any any -> any any (toy.request.function:read; sid:1;)\n"
		"alert toy any any -> any any (toy.request.flags:final; sid:2;)\n"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once), cmocka_unit_test(test_pass_that_alerts),
		cmocka_unit_test(test_protocol_only),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_request_and_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
