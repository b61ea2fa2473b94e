#include <errno.h>
#include <unistd.h>

#include "lib/rule/test_bench.h"

struct match_case {
	const char *options;  /* of "alert udp any any -> any any (...)" */
	const char *payload;
	uint32_t len;
	bool hit;
};

#define BYTES(text) text, sizeof(text) - 1

static const struct match_case match_cases[] = {
	{ "content:\"abc\";", BYTES("xxabcxx"), true },
	{ "content:\"abc\";", BYTES("xxABCxx"), false },
	{ "content:\"ABC\"; nocase;", BYTES("xxabCxx"), true },
	{ "content:!\"abc\";", BYTES("xxabxx"), true },
	{ "content:!\"abc\";", BYTES("xxabcxx"), false },
	{ "content:\"abcdef\"; fast_pattern;", BYTES("--abcdef--"), true },
	{ "content:\"|00 01|\"; offset:2; depth:2;", BYTES("\x00\x01\x00\x01"), true },
	{ "content:\"|00 01|\"; offset:2; depth:2;", BYTES("\x00\x01\x00\x02"), false },
	{ "content:\"|01|\"; offset:1; depth:2;", BYTES("\x00\x00\x01"), true },
	{ "content:\"|01|\"; offset:1; depth:2;", BYTES("\x01\x00\x00\x01"), false },
	{ "content:\"GET\"; startswith;", BYTES("GET /"), true },
	{ "content:\"GET\"; startswith;", BYTES(" GET /"), false },
	{ "content:\"END\"; endswith;", BYTES("END END"), true },
	{ "content:\"END\"; endswith;", BYTES("END EN"), false },
	{ "content:\"a\"; content:\"b\"; distance:2; within:1;", BYTES("ab-a--b"), true },
	{ "content:\"a\"; content:\"b\"; distance:2; within:1;", BYTES("ab-a-b"), false },
	{ "content:\"a\"; content:\"b\"; within:3; content:\"c\"; distance:0;", BYTES("a---a-bc"), true },
	{ "content:\"yy\"; distance:2; within:4; endswith;", BYTES("12--yy"), true },
	{ "content:\"yy\"; distance:2; within:4; endswith;", BYTES("12--yy-"), false },
	{ "content:\"yy\"; distance:-1; within:4;", BYTES("yy"), true },
	{ "content:\"a\"; depth:1; isdataat:30,relative;", BYTES("a123456789012345678901234567890"), true },
	{ "content:\"a\"; depth:1; isdataat:31,relative;", BYTES("a123456789012345678901234567890"), false },
	{ "isdataat:3;", BYTES("abcd"), true },
	{ "isdataat:4;", BYTES("abcd"), false },
	{ "isdataat:!4;", BYTES("abcd"), true },
	{ "byte_test:2,>,255,0;", BYTES("\x01\x00"), true },
	{ "byte_test:2,>,256,0;", BYTES("\x01\x00"), false },
	{ "byte_test:2,=,1,0,little;", BYTES("\x01\x00"), true },
	{ "byte_test:1,!&,0x80,0;", BYTES("\x7f"), true },
	{ "byte_test:1,&,0x80,0;", BYTES("\x7f"), false },
	{ "byte_test:1,>=,0x80,7;", BYTES("1234567\x80"), true },
	{ "byte_test:1,>=,0x80,7;", BYTES("1234567"), false },
	{ "byte_test:3,=,123,0,string,dec;", BYTES("123x"), true },
	{ "byte_test:4,=,0x1f,0,string,hex;", BYTES("0x1f"), true },
	{ "byte_test:1,=,0xf,0,bitmask 0xf0;", BYTES("\xf3"), true },
	{ "content:\"ab\"; byte_test:1,=,3,0,relative;", BYTES("-ab\x03"), true },
	{ "byte_jump:1,0; content:\"x\"; distance:0; within:1;", BYTES("\x02--x"), true },
	{ "byte_jump:1,0; content:\"x\"; distance:0; within:1;", BYTES("\x01--x"), false },
	{ "byte_jump:2,4; isdataat:0,relative;", BYTES("1234\x00\x02" "ab-"), true },
	{ "byte_jump:2,4; isdataat:0,relative;", BYTES("1234\x00\x02"), false },
	{ "byte_jump:2,4; isdataat:0,relative;", BYTES("1234\x00\x02" "ab"), false },
	{ "byte_jump:2,4; isdataat:!0,relative;", BYTES("1234\x00\x02" "ab"), true },
	{ "byte_jump:2,4; isdataat:!1,relative;", BYTES("1234\x00\x02" "ab"), true },
	{ "byte_jump:2,4; isdataat:!1,relative;", BYTES("1234\x00\x02" "abc"), false },
	{ "byte_jump:2,4; isdataat:!1,relative;", BYTES("1234\x00\x02" "a"), false },
	{ "byte_jump:2,4; content:!\"x\"; within:1;", BYTES("1234\x00\x00"), true },
	{ "byte_jump:1,0,from_end,post_offset -2; content:\"x\"; distance:0; within:1;", BYTES("\x00---x-"), true },
	{ "content:\"q\"; byte_jump:0,0,relative,post_offset -9; content:\"a\"; distance:0; within:1;", BYTES("a--q"), true },
	{ "byte_extract:1,0,n; content:\"x\"; offset:n; depth:1;", BYTES("\x03--x"), true },
	{ "byte_extract:1,0,n; content:\"x\"; offset:n; depth:1;", BYTES("\x02--x"), false },
	{ "byte_math:bytes 1, offset 0, oper *, rvalue 2, result r; byte_test:1,=,r,1;", BYTES("\x03\x06"), true },
	/* The match before is tried further on, whatever stands between that does not count from it. */
	{ "content:\"a\"; byte_test:1,=,0x61,0; content:\"b\"; distance:0; within:1;", BYTES("a-ab"), true },
	{ "content:\"a\"; content:!\"q\"; startswith; content:\"b\"; distance:0; within:1;", BYTES("a-ab"), true },
	{ "pcre:\"/a/\"; isdataat:2; byte_test:1,=,0x62,0,relative;", BYTES("a-ab"), true },
	{ "content:\"a\"; byte_extract:1,0,n,relative; content:\"x\"; byte_test:1,=,n,0;", BYTES("ba-abx"), true },
	{ "content:\"a\"; byte_jump:1,0; content:\"b\"; distance:0; within:1;", BYTES("\x01" "a-ab"), false },
	/* Numbers written as text end with their last digit. */
	{ "byte_jump:4,0,string,dec; content:\"x\"; distance:1; within:1;", BYTES("1--x"), true },
	{ "byte_extract:4,0,n,string,hex; content:\"x\"; distance:0; within:1;", BYTES("0x-f"), true },
	{ "byte_test:4,=,7,0,string,dec;", BYTES("\r\n+7"), true },
	{ "byte_test:4,=,7,0,string,dec;", BYTES("-\0+7"), false },
	{ "byte_test:21,>,0,0,string,dec;", BYTES("184467440737095516160"), false },
	{ "byte_jump:8,1; content:\"x\"; distance:0; within:1;", BYTES("x\xff\xff\xff\xff\xff\xff\xff\x00"), true },
	/* Whatever number a variable is. */
	{ "byte_extract:8,0,n; content:\"x\"; offset:n;", BYTES("\x7f\xff\xff\xff\xff\xff\xff\xffx"), false },
	{ "byte_extract:8,0,n; content:\"x\"; distance:n;", BYTES("\x7f\xff\xff\xff\xff\xff\xff\xffx"), false },
	{ "byte_extract:8,0,n; content:\"x\"; depth:n;", BYTES("\x7f\xff\xff\xff\xff\xff\xff\xffx"), true },
	{ "byte_extract:8,0,n; isdataat:!n,relative;", BYTES("\x7f\xff\xff\xff\xff\xff\xff\xffx"), true },
	{ "byte_extract:8,0,n; byte_test:1,>,0,n,relative;", BYTES("\x7f\xff\xff\xff\xff\xff\xff\xffx"), false },
	{ "byte_extract:8,0,n; byte_jump:1,0,post_offset n;", BYTES("\x7f\xff\xff\xff\xff\xff\xff\xffx"), true },
	{ "pcre:\"/a+b/\";", BYTES("xxaab"), true },
	{ "pcre:\"/A+B/i\";", BYTES("xxaab"), true },
	{ "pcre:!\"/a+b/\";", BYTES("xxaab"), false },
	{ "pcre:\"/^ab.d$/s\";", BYTES("ab\nd"), true },
	{ "content:\"|05 64|\"; depth:2; pcre:\"/[\\S\\s]{2}(\\x02|\\x04)/iAR\";", BYTES("\x05\x64--\x04"), true },
	{ "content:\"|05 64|\"; depth:2; pcre:\"/[\\S\\s]{2}(\\x02|\\x04)/iAR\";", BYTES("\x05\x64-\x04"), false },
	{ "dsize:>3;", BYTES("abcd"), true },
	{ "dsize:2<>4;", BYTES("abcd"), false },
	{ "dsize:!4;", BYTES("abcd"), false },
	{ "ip_proto:udp;", BYTES("a"), true },
	{ "ip_proto:!17;", BYTES("a"), false },
	{ "sameip;", BYTES("a"), false },
	{ "flow:established; content:\"a\";", BYTES("a"), false },
	{ "flow:not_established; content:\"a\";", BYTES("a"), true },
};

static unsigned int
match_udp(const char *rules, const void *payload, uint32_t len, struct rule_hits *hits)
{
	struct rule_config config = toy_config();
	struct ruleset *set = toy_ruleset(rules);
	struct rule_matcher *matcher;
	unsigned int count;
	const struct rule_error *errors = ruleset_errors(set, &count);

	if (count > 0)
		fail_msg("%s: %s", rules, errors[0].reason);
	/* An exact copy, so that a read too far is seen. */
	void *copy = malloc(len);

	memcpy(copy, payload, len);
	struct packet packet = toy_packet(IP_PROTO_UDP, copy, len);

	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	rule_hits_reset(hits);
	rule_match_packet(matcher, &packet, NULL, hits);
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
	free(copy);
	return hits->count;
}

static void
test_payload(void **state)
{
	for (unsigned int i = 0; i < TEST_COUNT(match_cases); i++) {
		const struct match_case *c = &match_cases[i];
		struct rule_hits hits;
		char text[512];

		snprintf(text, sizeof(text), "alert udp any any -> any any (%s sid:1;)", c->options);
		if (match_udp(text, c->payload, c->len, &hits) != c->hit)
			fail_msg("%s: %s", text, c->hit ? "did not fire" : "fired");
	}
}

static const struct {
	const char *header;
	bool hit;
} header_cases[] = {
	{ "udp 10.0.0.1 1000 -> 10.0.0.2 502", true },
	{ "udp 10.0.0.1 any -> 10.0.0.2 any", true },
	{ "udp 10.0.0.2 502 -> 10.0.0.1 1000", false },
	{ "udp 10.0.0.2 502 <> 10.0.0.1 1000", true },
	{ "udp any any <> any 1000", true },
	{ "udp ![10.0.0.0/8] any -> any any", false },
	{ "udp [10.0.0.0/8,![10.0.0.2,10.0.0.3]] any -> any any", true },
	{ "udp any any -> [10.0.0.0/8,!10.0.0.2] any", false },
	{ "udp any any -> any [1:500,!400:]", false },
	{ "udp any any -> any [500:600,!502]", false },
	{ "udp any 1000: -> any !500", true },
	{ "tcp any any -> any any", false },
	{ "ip any any -> any any", true },
	{ "ip6 any any -> any any", false },
	{ "pkthdr any any -> any any", true },
	{ "arp any any -> any any", false },
	{ "udp 2001:db8::/32 any -> any any", false },
};

static void
test_header(void **state)
{
	for (unsigned int i = 0; i < TEST_COUNT(header_cases); i++) {
		struct rule_hits hits;
		char text[256];

		snprintf(text, sizeof(text), "alert %s (content:\"a\"; sid:1;)", header_cases[i].header);
		if (match_udp(text, "a", 1, &hits) != header_cases[i].hit)
			fail_msg("%s: %s", text, header_cases[i].hit ? "did not fire" : "fired");
	}
}

static void
test_order_and_bounds(void **state)
{
	struct rule_hits hits;
	char text[8192] = "";

	for (unsigned int i = 0; i < 20; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"alert udp any any -> any any (content:\"a\"; sid:%u; priority:%u;)\n", 100 - i, 1 + i % 2);
	assert_int_equal(match_udp(text, "a", 1, &hits), 15);
	assert_int_equal(hits.dropped, 5);
	for (unsigned int i = 1; i < hits.count; i++) /* the even sids have priority 1 */
		assert_true(hits.hit[i - 1].sid % 2 < hits.hit[i].sid % 2 || hits.hit[i - 1].sid < hits.hit[i].sid);
	assert_int_equal(match_udp("alert udp any any -> any any (content:\"a\"; sid:1;)\n"
				   "pass udp any any -> any 502 (content:\"b\"; sid:2;)\n", "ab", 2, &hits), 0);
	assert_int_equal(match_udp("alert udp any any -> any any (content:\"a\"; noalert; sid:1;)\n", "ab", 2, &hits), 0);
}

/* A payload made so that every place must be tried again ends at the bound, and soon. */
static void
test_cost(void **state)
{
	struct rule_hits hits;
	char *payload = malloc(65000);

	memset(payload, 'a', 65000);
	assert_int_equal(match_udp("alert udp any any -> any any (content:\"a\"; content:\"a\"; distance:0; content:\"a\"; distance:0; "
				   "content:\"b\"; distance:0; sid:1;)\n"
				   "alert udp any any -> any any (pcre:\"/(a+)+b/\"; sid:2;)\n", payload, 65000, &hits), 0);
	free(payload);
}

/* ---- state ---- */

static void
test_flow_bits(void **state)
{
	struct bench b;
	struct buf out;

	assert_int_equal(buf_create(&out, 256), 0);
	bench_begin(&b, "alert udp any any -> any any (content:\"helo\"; flowbits:set,one; flowbits:noalert; sid:1;)\n"
			"alert udp any any -> any any (content:\"data\"; flowbits:isset,one|none; flowbits:set,two; sid:2;)\n"
			"alert udp any any -> any any (content:\"quit\"; flowbits:isnotset,two; sid:3;)\n"
			"alert udp any any -> any any (content:\"bye\"; flowbits:unset,two; sid:4;)\n", IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "data", 1), 0);
	assert_int_equal(bench_udp(&b, "quit", 1), 1);
	assert_int_equal(bench_udp(&b, "helo data", 1), 1); /* the setter comes first in the same packet */
	assert_int_equal(bench_udp(&b, "quit", 1), 0);
	rule_metadata_json(b.matcher, &b.flow, true, &out);
	assert_int_equal(out.len, 37);
	assert_memory_equal(out.data, "\"metadata\":{\"flowbits\":[\"one\",\"two\"]}", 37);
	assert_int_equal(bench_udp(&b, "bye quit", 1), 1); /* what takes bits away comes last */
	assert_int_equal(bench_udp(&b, "quit", 1), 1);
	bench_end(&b);
	buf_destroy(&out);
}

/* Bits that name the traffic stand apart, in alerts and in the flow's record. */
static void
test_traffic(void **state)
{
	static const char both[] = "\"metadata\":{\"flowbits\":[\"x\"]},\"traffic\":{\"id\":[\"a\",\"b\"],\"label\":[\"c\"]}";
	static const char one[] = "\"traffic\":{\"label\":[\"c\"]}";
	struct bench b;
	struct buf out, small;

	assert_int_equal(buf_create(&out, 256), 0);
	assert_int_equal(buf_create(&small, 20), 0);
	bench_begin(&b, "alert udp any any -> any any (content:\"one\"; flowbits:set,traffic/label/c; sid:1;)\n"
			"alert udp any any -> any any (content:\"all\"; flowbits:set,traffic/id/a; flowbits:set,x; flowbits:set,traffic/id/b; sid:2;)\n",
		IP_PROTO_UDP);
	rule_metadata_json(b.matcher, &b.flow, false, &out);
	assert_int_equal(out.len, 0);
	assert_int_equal(bench_udp(&b, "one", 1), 1);
	rule_metadata_json(b.matcher, &b.flow, false, &out);
	assert_int_equal(out.len, sizeof(one) - 1);
	assert_memory_equal(out.data, one, sizeof(one) - 1);
	assert_int_equal(bench_udp(&b, "all", 1), 1);
	rule_metadata_json(b.matcher, &b.flow, false, &out);
	assert_int_equal(out.len, sizeof(both) - 1);
	assert_memory_equal(out.data, both, sizeof(both) - 1);
	rule_metadata_json(b.matcher, &b.flow, false, &small);
	assert_int_equal(small.len, 0);
	bench_end(&b);
	buf_destroy(&out);
	buf_destroy(&small);
}

static void
test_reload_keeps_state(void **state)
{
	struct rule_config config = toy_config();
	struct config_error err;
	struct ruleset *next;
	struct rule_matcher *matcher;
	struct bench b;

	bench_begin(&b, "alert udp any any -> any any (content:\"helo\"; flowbits:set,one; sid:1;)\n"
			"alert udp any any -> any any (content:\"lim\"; threshold:type limit,track by_src,count 1,seconds 60; sid:9;)\n",
		IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "helo lim", 1), 2);
	char path[] = "/tmp/mr_rules_XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	fputs("alert udp any any -> any any (content:\"x\"; flowbits:set,other; sid:5;)\n"
	      "alert udp any any -> any any (content:\"data\"; flowbits:isset,one; sid:2;)\n"
	      "alert udp any any -> any any (content:\"lim\"; threshold:type limit,track by_src,count 1,seconds 60; sid:9;)\n", file);
	fclose(file);
	config.rule_files = json_pack("[s]", path);
	assert_int_equal(ruleset_create(&next, &config, &toy_world, b.set, &err), 0);
	assert_int_equal(rule_matcher_create(&matcher, next, &config, b.slab), 0);
	rule_matcher_inherit(matcher, b.matcher);
	rule_matcher_destroy(b.matcher);
	ruleset_destroy(b.set);
	b.matcher = matcher;
	b.set = next;
	assert_int_equal(bench_udp(&b, "data lim", 2), 1);
	assert_int_equal(b.hits.hit[0].sid, 2);
	bench_end(&b);
	json_decref(config.rule_files);
	remove(path);
}

static void
test_host_bits(void **state)
{
	struct bench b;

	bench_begin(&b, "alert udp any any -> any any (content:\"set\"; xbits:set,x,track ip_pair,expire 10; sid:1;)\n"
			"alert udp any any -> any any (content:\"ask\"; xbits:isset,x,track ip_pair; sid:2;)\n", IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "ask", 1), 0);
	assert_int_equal(bench_udp(&b, "set", 1), 1);
	assert_int_equal(bench_udp(&b, "ask", 11), 1);
	assert_int_equal(bench_udp(&b, "ask", 12), 0);
	/* A clock that is set back: what was set by the later one holds no longer, and no hour more. */
	assert_int_equal(bench_udp(&b, "set", 3600), 1);
	assert_int_equal(bench_udp(&b, "ask", 3590), 1);
	assert_int_equal(bench_udp(&b, "ask", 20), 0);
	bench_end(&b);
}

static const struct {
	const char *option;
	const char *fires; /* of packets a second apart */
} threshold_cases[] = {
	{ "threshold:type limit, track by_src, count 2, seconds 5;", "1100001100" },
	{ "threshold:type threshold, track by_src, count 3, seconds 2;", "0010010010" },
	{ "threshold:type threshold, track by_dst, count 3, seconds 60;", "0010010010" },
	{ "threshold:type both, track by_both, count 3, seconds 5;", "0010000010" },
	{ "threshold:type limit, track by_rule, count 1, seconds 3600;", "1000000000" },
	{ "threshold:type backoff, track by_flow, count 1, multiplier 3;", "1010000010" },
	{ "detection_filter:track by_src, count 4, seconds 3600;", "0000111111" },
	{ "detection_filter:track by_flow, count 2, seconds 5;", "0011110011" },
	{ "detection_filter:track by_dst, count 1, seconds 60, unique_on src_port;", "0000000000" },
};

static void
test_thresholds(void **state)
{
	for (unsigned int i = 0; i < TEST_COUNT(threshold_cases); i++) {
		struct bench b;
		char text[256], got[11] = "";

		snprintf(text, sizeof(text), "alert udp any any -> any any (content:\"a\"; %s sid:1;)", threshold_cases[i].option);
		bench_begin(&b, text, IP_PROTO_UDP);
		for (unsigned int n = 0; n < 10; n++)
			got[n] = (char)('0' + bench_udp(&b, "a", 100 + n));
		if (strcmp(got, threshold_cases[i].fires) != 0)
			fail_msg("%s: %s, wanted %s", text, got, threshold_cases[i].fires);
		bench_end(&b);
	}
}

/* A clock that is set back: what it said before holds nothing back. */
static void
test_thresholds_follow_the_clock(void **state)
{
	struct bench b;

	bench_begin(&b, "alert udp any any -> any any (content:\"a\"; threshold:type limit,track by_src,count 1,seconds 3600; sid:1;)", IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "a", 400000000), 1);
	assert_int_equal(bench_udp(&b, "a", 400000001), 0);
	assert_int_equal(bench_udp(&b, "a", 399999950), 0);
	assert_int_equal(bench_udp(&b, "a", 1000000), 1);
	assert_int_equal(bench_udp(&b, "a", 1000001), 0);
	bench_end(&b);
}

static void
test_stream(void **state)
{
	struct bench b;

	bench_begin(&b, "alert tcp any any -> any 502 (flow:to_server,established; content:\"VERYGOOD\"; sid:1;)\n"
			"alert tcp any any -> any 502 (content:\"E\"; offset:1; depth:1; sid:2;)\n"
			"alert tcp any 502 -> any any (content:\"back\"; sid:3;)\n"
			"alert tcp-pkt any any -> any any (content:\"VERYGOOD\"; sid:4;)\n", IP_PROTO_TCP);
	assert_int_equal(bench_stream(&b, "VERYGOOD", 0, true), 2);
	assert_true(b.hits.hit[0].stream);
	assert_int_equal(bench_stream(&b, "back", 0, true), 0);
	assert_int_equal(bench_stream(&b, "back", 0, false), 1);
	/* Bytes seen before are context: a pattern may straddle, and is not reported again. */
	assert_int_equal(bench_stream(&b, "VERYGOOD", 4, true), 1);
	assert_int_equal(bench_stream(&b, "VERYGOOD data", 8, true), 0);
	assert_int_equal(bench_stream(&b, "VERYGOOD VERYGOOD", 8, true), 1);
	assert_int_equal(bench_stream(&b, "xxxxVE", 4, true), 0);
	assert_int_equal(bench_stream(&b, "V", 0, true), 0); /* the same PDU a byte at a time */
	assert_int_equal(bench_stream(&b, "VE", 1, true), 1);
	assert_int_equal(b.hits.hit[0].sid, 2);
	assert_int_equal(bench_stream(&b, "VER", 2, true), 0);
	/* Without a protocol, what was seen is only context: a unit starts behind it. */
	struct rule_chunk tail = { .data = (const uint8_t *)"VERYGOOD", .len = 8, .seen_len = 4, .unit_off = 4, .to_server = true };

	rule_hits_reset(&b.hits);
	rule_match_stream(b.matcher, NULL, &b.flow, &tail, &b.hits);
	assert_int_equal(b.hits.count, 1);
	assert_int_equal(b.hits.hit[0].sid, 1);
	/* ... and from the stream's beginning as long as that is in view; what fires from both is reported once. */
	struct rule_chunk start = { .data = (const uint8_t *)"VEVE", .len = 4, .seen_len = 1, .unit_off = 1, .to_server = true };

	rule_hits_reset(&b.hits);
	rule_match_stream(b.matcher, NULL, &b.flow, &start, &b.hits);
	assert_int_equal(b.hits.count, 1);
	assert_int_equal(b.hits.hit[0].sid, 2);
	start.offset = 1;
	rule_hits_reset(&b.hits);
	rule_match_stream(b.matcher, NULL, &b.flow, &start, &b.hits);
	assert_int_equal(b.hits.count, 0);
	start = (struct rule_chunk){ .data = (const uint8_t *)"VVE", .len = 3, .seen_len = 1, .unit_off = 1, .to_server = true };
	rule_hits_reset(&b.hits);
	rule_match_stream(b.matcher, NULL, &b.flow, &start, &b.hits);
	assert_int_equal(b.hits.count, 1);
	struct packet packet = toy_packet(IP_PROTO_TCP, "VERYGOOD", 8);

	rule_hits_reset(&b.hits);
	rule_match_packet(b.matcher, &packet, &b.flow, &b.hits);
	assert_int_equal(b.hits.count, 1);
	assert_int_equal(b.hits.hit[0].sid, 4);
	b.flow.key.port[0] = 1;
	assert_int_equal(rule_wants(b.matcher, &b.flow, 0), RULE_WANTS_ALL);
	b.flow.key.port[1] = 503;
	assert_int_equal(rule_wants(b.matcher, &b.flow, 0), RULE_WANTS_PACKETS);
	b.flow.key.ip_proto = IP_PROTO_UDP;
	b.flow.key.port[1] = 502;
	assert_int_equal(rule_wants(b.matcher, &b.flow, 0), 0);
	bench_end(&b);
}

/* A pass rule on packets silences what the packet's bytes say in the stream. */
static void
test_pass_stream(void **state)
{
	struct rule_chunk chunk = { .data = (const uint8_t *)"abcd", .len = 4, .to_server = true };
	struct packet packet = toy_packet(IP_PROTO_TCP, "abcd", 4);
	struct bench b;

	bench_begin(&b, "pass tcp any any -> any 502 (ttl:9; sid:1;)\nalert tcp any any -> any any (content:\"abcd\"; sid:2;)\n",
		IP_PROTO_TCP);
	for (unsigned int i = 0; i < 2; i++) {
		packet.ttl = (uint8_t)(9 + i);
		rule_hits_reset(&b.hits);
		rule_match_stream(b.matcher, &packet, &b.flow, &chunk, &b.hits);
		assert_int_equal(b.hits.count, i);
	}
	bench_end(&b);
}

/* ---- records ---- */

static const struct {
	const char *options;
	bool hit;
} message_cases[] = {
	{ "toy.unit:3;", true },
	{ "toy.unit:!3;", false },
	{ "toy.unit:[1,3];", true },
	{ "toy.unit:![1,3];", false },
	{ "toy.unit:2-4;", true },
	{ "toy.unit:3-5;", false },
	{ "toy.unit:1-3;", false },
	{ "toy.unit:!3-5;", true },
	{ "toy.unit:3<>5;", false },
	{ "toy.unit:>3;", false },
	{ "toy.unit:&2;", true },
	{ "toy.unit:3.5;", false }, /* a fraction is no integer */
	{ "toy.unit:!3.5;", true },
	{ "toy.unit:>2.5;", true },
	{ "toy.unit:>=3.5;", false },
	{ "toy.unit:<3.5;", true },
	{ "toy.unit:<=2.5;", false },
	{ "toy.unit:2.5-3.5;", true },
	{ "toy.unit:3.2-3.8;", false },
	{ "toy.points.value:1.5;", true },
	{ "toy.points.value:1.4;", false },
	{ "toy.request.function:write;", true },
	{ "toy.request.function:READ,7;", false },
	{ "toy.request.flags:final,!alarm;", true },
	{ "toy.request.flags:final,first;", false },
	{ "toy.request.flags;", true },
	{ "toy.points.index:7;", true },
	{ "toy.points.index:8;", false },
	{ "toy.points.value:>2.4;", true },
	{ "toy.points.value:<1;", false },
	{ "toy.points.value:>=2.5;", true },
	{ "toy.points.value:!1.5;", true },
	{ "toy.points.value:[!1.5,!2.5];", false }, /* neither */
	{ "toy.points.value:!1.5,!3.5;", true },
	{ "toy.points.value:![1.5,9];", false },
	{ "toy.points.value:![1.4,9];", true },
	{ "toy.points.value:&0x1=0;", false }, /* bits are of whole numbers */
	{ "toy.points.value:&0x1!=1;", false },
	{ "toy_data; content:\"lo\"; endswith;", true },
	{ "toy.request.data; content:\"hel\"; startswith; bsize:5;", true },
	{ "toy.request.data; content:\"x\";", false },
	{ "toy:unit 3;", true },
	{ "toy:unit 4;", false },
	{ "toy_indexed:unit 3;", true },
	{ "toy_indexed:unit 3; toy.points.index:8;", false },
	{ "toy_indexed:unit 4;", false },
	{ "toy.unit:3; content:\"PDU\";", true },
	{ "toy.unit:3; content:\"NOT\";", false },
	{ "toy.unit:3; flow:to_client;", false },
	{ "toythree.request.data; content:\"hel\"; toythree.request.function:write;", true },
	{ "toytwo.request.data; content:\"hel\";", false },
	{ "toy.unit:3; flow:to_server;", true },
};

static void
toy_record_make(struct record_builder *builder, void *area)
{
	record_builder_init(builder, area, RECORD_LEN_MAX);
	struct toy_record *record = record_begin(builder, &toy_table);

	record->unit = 3;
	record->function = 2;
	record->flags = 2;
	record->head.present = 1 << 1 | 1 << 2 | 1 << 3;
	record_put_bytes(builder, &record->data, "hello", 5);
	for (unsigned int i = 0; i < 2; i++) {
		struct toy_point *point = record_append(builder, &record->points, toy_point_shapes, 0);

		point->index = (uint16_t)(6 + i);
		point->value = 1.5f + (float)i;
	}
}

static void
test_messages(void **state)
{
	struct record_builder builder;
	void *area = aligned_alloc(64, RECORD_LEN_MAX);

	toy_record_make(&builder, area);
	for (unsigned int i = 0; i < TEST_COUNT(message_cases); i++) {
		struct rule_message message = { .app_idx = 0, .record = builder.base, .to_server = true,
			.pdu = (const uint8_t *)"a PDU", .pdu_len = 5 };
		struct bench b;
		char text[256];

		snprintf(text, sizeof(text), "alert toy any any -> any any (%s sid:1;)", message_cases[i].options);
		bench_begin(&b, text, IP_PROTO_TCP);
		rule_hits_reset(&b.hits);
		rule_match_message(b.matcher, NULL, &b.flow, &message, &b.hits);
		if (b.hits.count != message_cases[i].hit)
			fail_msg("%s: %s", text, message_cases[i].hit ? "did not fire" : "fired");
		struct buf out;

		assert_int_equal(buf_create(&out, 1024), 0);
		assert_int_equal(ruleset_explain(b.set, 1, 1, &out), 0);
		assert_int_equal(ruleset_explain(b.set, 1, 2, &out), -ENOENT);
		assert_true(out.len > 0 && !out.full);
		buf_destroy(&out);
		bench_end(&b);
	}
	free(area);
}

static void
test_events(void **state)
{
	struct rule_message message = { .events = 2, .to_server = false };
	struct packet packet = toy_packet(IP_PROTO_UDP, "", 0);
	struct bench b;

	bench_begin(&b, "alert toy any any -> any any (app-layer-event:toy.flooded; sid:1;)\n"
			"alert toy any any -> any any (app-layer-event:toy.bad_length; sid:2;)\n"
			"alert toy any any -> any any (flow:to_server; app-layer-event:toy.flooded; sid:3;)\n"
			"alert pkthdr any any -> any any (decode-event:ipv4.trunc_pkt; sid:4;)\n"
			"alert toy any any -> any any (msg:\"seen\"; sid:5;)\n", IP_PROTO_TCP);
	rule_hits_reset(&b.hits);
	rule_match_message(b.matcher, NULL, &b.flow, &message, &b.hits);
	assert_int_equal(b.hits.count, 2);
	assert_int_equal(b.hits.hit[0].sid, 1);
	assert_int_equal(b.hits.hit[1].sid, 5);
	rule_hits_reset(&b.hits);
	rule_match_message(b.matcher, NULL, &b.flow, &message, &b.hits);
	assert_int_equal(b.hits.count, 1); /* the protocol was new once a direction */
	rule_hits_reset(&b.hits);
	rule_match_packet(b.matcher, &packet, NULL, &b.hits);
	assert_int_equal(b.hits.count, 0);
	packet.decode_events[0] = 1 << 3;
	packet.flags = 0;
	rule_match_packet(b.matcher, &packet, NULL, &b.hits);
	assert_int_equal(b.hits.count, 1);
	assert_int_equal(b.hits.hit[0].sid, 4);
	bench_end(&b);
}

/* A transport header that could not be read: rules on what was wrong with it name its protocol, no others are asked. */
static void
test_events_of_transport(void **state)
{
	struct packet packet = toy_packet(IP_PROTO_UDP, "", 0);
	struct bench b;

	bench_begin(&b, "alert tcp any any -> any any (decode-event:ipv4.trunc_pkt; sid:1;)\n"
			"alert udp any any -> any any (decode-event:ipv4.trunc_pkt; sid:2;)\n"
			"alert udp any any -> any any (decode-event:ipv4.trunc_pkt; ttl:>3; sid:3;)\n"
			"alert ip any any -> any any (decode-event:ipv4.trunc_pkt; sid:4;)\n"
			"alert udp any any -> any any (ttl:<3; sid:5;)\n", IP_PROTO_UDP);
	packet.decode_events[0] = 1 << 3;
	packet.flags = PACKET_IP | PACKET_INVALID;
	packet.ttl = 1;
	rule_hits_reset(&b.hits);
	rule_match_packet(b.matcher, &packet, NULL, &b.hits);
	assert_int_equal(b.hits.count, 2);
	assert_int_equal(b.hits.hit[0].sid, 2);
	assert_int_equal(b.hits.hit[1].sid, 4);
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payload),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_order_and_bounds),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_flow_bits),
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_reload_keeps_state),
		cmocka_unit_test(test_host_bits),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_thresholds_follow_the_clock),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_pass_stream),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_events_of_transport),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
