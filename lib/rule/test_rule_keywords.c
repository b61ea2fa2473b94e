/* Every keyword's example, and a match and a mismatch for each class of meaning, over pretend protocols. */
#include <errno.h>
#include <unistd.h>

#include "lib/rule/rule_parser.h"
#include "lib/flow/test_packets.h"
#include "lib/rule/test_web.h"

static void
test_examples(void **state)
{
	unsigned int parsed = 0;

	(void)state;
	for (const struct rule_keyword *keyword = rule_keywords; keyword->name != NULL; keyword++) {
		char text[1024];
		unsigned int count;

		if (strcmp(keyword->name, "iprep") == 0 || strcmp(keyword->name, "geoip") == 0 || strcmp(keyword->name, "filemd5") == 0 ||
			strncmp(keyword->name, "filesha", 7) == 0)
			continue; /* need files: test_rule_lists, test_rule_file */
		if (keyword->example == NULL) {
			assert_non_null(strstr(keyword->help, "refused"));
			continue;
		}
		if (strstr(keyword->example, "any any") != NULL)
			snprintf(text, sizeof(text), "%s", keyword->example);
		else
			snprintf(text, sizeof(text), "alert tcp any any -> any any (%s%s)", keyword->example,
				strcmp(keyword->name, "sid") == 0 ? "" : " sid:1;");
		if (strstr(text, keyword->name) == NULL)
			fail_msg("%s: its example does without it", keyword->name);
		struct ruleset *set = web_ruleset(text);
		const struct rule_error *errors = ruleset_errors(set, &count);

		if (count != 0)
			fail_msg("%s: %s:%u: %s", text, errors[0].keyword, errors[0].column, errors[0].reason);
		assert_int_equal(ruleset_count(set), 1);
		ruleset_destroy(set);
		parsed++;
	}
	assert_true(parsed > 100);
}

/* ---- buffers of messages ---- */

static const struct web_case web_cases[] = {
	/* older names: modifiers move the content before them, with what else modifies it */
	{ "content:\"/a\"; http_uri; content:\"POST\"; http_method;", WEB_URI, "/a", true },
	{ "content:\"/a\"; http_uri; content:\"GET\"; http_method;", WEB_URI, "/a", false },
	{ "content:\"/A\"; http_uri; nocase; content:\"b\"; http_uri; distance:1;", WEB_URI, "/a-b", true },
	{ "content:\"/A\"; nocase; http_uri; content:\"b\"; distance:1; http_uri;", WEB_URI, "/ab", false },
	{ "content:!\"x\"; http_header;", WEB_HEADER, "Host: y", true },
	{ "content:\"x\"; http_client_body; depth:1;", WEB_BODY, "ax", false },
	{ "uricontent:\"cgi\"; nocase;", WEB_URI, "/CGI", true },
	{ "uricontent:\"cgi\";", WEB_URI, "/CGI", false },
	{ "pcre:\"/^\\/a.$/U\";", WEB_URI, "/ab", true },
	{ "http.uri; content:\"/\"; pcre:\"/^b/UR\";", WEB_URI, "/b", true },
	{ "http.uri; content:\"/\"; pcre:\"/^b/UR\";", WEB_URI, "b/", false },
	{ "pcre:\"/x/P\";", WEB_BODY, "x", true },
	{ "urilen:>3;", WEB_URI, "/abc", true },
	{ "urilen:2<>4,norm;", WEB_URI, "/abc", false },
	{ "urilen:4,raw;", WEB_URI_RAW, "/abc", true },
	{ "http.uri; content:\"/abc\"; bsize:4; nocase; fast_pattern; endswith;", WEB_URI, "/ABC", true },
	{ "flow:to_server; file_data; content:\"MZ\";", WEB_BODY, "MZ", true },
	{ "http_request_line; content:\"GET\";", WEB_LINE, "GET /", true },
	/* absent */
	{ "http.host; absent;", -1, "", true },
	{ "http.host; absent;", WEB_HOST, "a", false },
	{ "http.host; absent:or_else; content:\"a\";", -1, "", true },
	{ "http.host; absent:or_else; content:\"a\";", WEB_HOST, "a", true },
	{ "http.host; absent:or_else; content:\"a\";", WEB_HOST, "b", false },
	/* each line alone */
	{ "http.request_header; content:\"Host: a\"; bsize:7;", WEB_HEADER, "X: y\r\nHost: a\r\nB: c\r\n", true },
	{ "http.request_header; content:\"B: c\"; startswith; endswith;", WEB_HEADER, "X: y\r\nHost: a\r\nB: c", true },
	{ "http.request_header; content:\"X: y\"; content:\"Host\";", WEB_HEADER, "X: y\r\nHost: a\r\n", false },
	{ "http.request_header; content:\"X: y\"; http.header; content:\"Host: a|0d 0a|\";", WEB_HEADER, "X: y\r\nHost: a\r\n", true },
	{ "http.request_header; header_lowercase; content:\"host\"; startswith;", WEB_HEADER, "X: y\nHOST: a\n", true },
	{ "http.request_header; content:\"|0d|\";", WEB_HEADER, "X: y\r\nHost: a\r\n", false },
	/* decoded on the way */
	{ "http.header; content:\"Basic \"; base64_decode:bytes 12, offset 0, relative; base64_data; content:\"root:\";", WEB_HEADER,
		"Basic cm9vdDp0b29y", true },
	{ "content:\"Basic \"; http_header; base64_decode:bytes 12, offset 0, relative; base64_data; content:\"root:\";", WEB_HEADER,
		"Basic cm9vdDp0b29y", true },
	{ "content:\"a=\"; http_uri; byte_test:2,=,17,0,relative,string,dec;", WEB_URI, "x?a=17", true },
	{ "content:\"a=\"; http_uri; byte_test:2,=,17,0,relative,string,dec;", WEB_URI, "17?a=18", false },
	{ "content:\"a=\"; http_uri; isdataat:!1,relative;", WEB_URI, "x?a=", true },
	{ "http.header; content:\"Basic \"; base64_decode:relative; base64_data; content:\"admin\";", WEB_HEADER, "Basic cm9vdDp0b29y",
		false },
	{ "http.request_body; entropy:value >= 2;", WEB_BODY, "abcd", true },
	{ "http.request_body; entropy:value > 2;", WEB_BODY, "abcd", false },
	{ "http.request_body; entropy:bytes 2, offset 1, value < 0.5;", WEB_BODY, "abbcd", true },
};

static void
test_buffers(void **state)
{
	(void)state;
	web_cases_check(web_cases, TEST_COUNT(web_cases));
}

static const struct {
	const char *options, *reason;
} refused[] = {
	{ "http_uri;", "no content" },
	{ "content:\"a\"; http_stat_code;", "no keyword or buffer http.stat_code" },
	{ "http.host; content:\"a\"; http_uri;", "another sticky buffer" },
	{ "dns.query; content:\"a\";", "protocol dns has no parser" },
	{ "content:\"a\"; to_md5;", "no sticky buffer" },
	{ "http.uri; xor:\"0\"; content:\"a\";", "hex" },
	{ "http.uri; xor:\"\"; content:\"a\";", "hex" },
	{ "http.uri; xor:extract 0 0; content:\"a\";", "1 to 255 bytes" },
	{ "http.uri; xor:extract 1; content:\"a\";", "1 to 255 bytes" },
	{ "http.uri; xor:offset abc,\"00\"; content:\"a\";", "offset N,KEY" },
	{ "http.uri; xor:offset 1; content:\"a\";", "offset N,KEY" },
	{ "http.uri; xor:offset ,\"00\"; content:\"a\";", "offset N,KEY" },
	{ "http.uri; to_lowercase; content:\"Ab\";", "capital letters" },
	{ "http.uri; to_uppercase; content:\"aB\";", "small letters" },
	{ "http.uri; strip_whitespace; content:\"a b\";", "whitespace" },
	{ "http.uri; compress_whitespace; content:\"a  b\";", "in a row" },
	{ "http.uri; to_md5; content:\"01234567890123456\";", "a digest" },
	{ "http.uri; subslice:0,0; bsize:0;", "offset" },
	{ "http.uri; pcrexform:\"abc\"; content:\"a\";", "0 groups" },
	{ "http.uri; subslice:a; content:\"a\";", "offset" },
	{ "http.uri; gunzip:max-size 0; content:\"a\";", "max-size" },
	{ "http.uri; zlib_deflate:size 9; content:\"a\";", "max-size" },
	{ "http.uri; zlib_deflate:max-size; content:\"a\";", "max-size" },
	{ "http.uri; from_base64:relative; content:\"a\";", "no match before" },
	{ "http.uri; content:\"a\"; absent;", "stands before" },
	{ "absent;", "no sticky buffer" },
	{ "http.answer:to_client; content:\"a\";", "rules with =>" },
	{ "file_data:to_client; content:\"a\";", "rules with =>" },
	{ "base64_data; content:\"a\";", "no base64_decode" },
	{ "base64_decode:bytes 0; base64_data; content:\"a\";", "bytes N" },
	{ "entropy:bytes 3;", "missing" },
	{ "replace:\"x\";", "passive" },
	{ "rpc:x;", "not a number" },
	{ "pcre:\"/a(b)/, flow:x, flow:y\";", "2 variables for 1 groups" },
	{ "pcre:\"/ab/UP\";", "second buffer" },
	{ "flowint:a,~,1;", "notset" },
	{ "flowint:a,+;", "missing" },
	{ "flowint:a,isset,1;", "no value" },
	{ "tcpv4-csum:bad;", "neither" },
	{ "config:logging disable, type tx, scope tx;", "action config" },
	{ "requires:version 7;", "operator" },
	{ "app-layer-protocol:!unknown;", "cannot be negated" },
	{ "app-layer-protocol:failed,sideways;", "original, to_server" },
	{ "app-layer-protocol:failed|nothing;", "no parser here" },
	{ "tag:flow;", "session" },
	{ "tag:session,x,packets;", "not a number" },
	{ "tag:session,3,packets,src;", "neither" },
	{ "tag:session; tag:host; tag:host,2,packets,dst; tag:session;", "more than 3" },
	{ "lua:x.lua;", "scripts" },
	{ "filemagic:\"PDF\";", "not guessed from its bytes" },
	{ "domain;", "no sticky buffer" },
	{ "content:\"a\"; asn1:absolute_offset 3;", "what to look for" },
	{ "content:\"a\"; asn1:oversize_length;", "with a number" },
	{ "content:\"a\"; asn1:oversize_length -1;", "negative" },
	{ "tcp.session:new;", "setup, established or closing" },
};

static void
test_refused(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(refused); i++) {
		char text[512];
		unsigned int count;

		snprintf(text, sizeof(text), "alert tcp any any -> any any (%s sid:1;)", refused[i].options);
		struct ruleset *set = web_ruleset(text);
		const struct rule_error *errors = ruleset_errors(set, &count);

		if (count != 1 || strstr(errors[0].reason, refused[i].reason) == NULL)
			fail_msg("%s: %s", refused[i].options, count == 0 ? "not refused" : errors[0].reason);
		assert_true(errors[0].column > 1 && errors[0].keyword[0] != '\0');
		ruleset_destroy(set);
	}
}

/* Rules over requests and responses at once. */
static void
test_transactions(void **state)
{
	static const struct {
		const char *options, *reason;
	} rows[] = {
		{ "http.request_header; content:\"a\"; http.answer; content:\"b\";", NULL },
		{ "http.either: to_server; content:\"a\"; http.either:to_client; content:\"b\";", NULL },
		{ "http.request_header: to_server; content:\"a\"; file.data: to_client; content:\"b\"; http.answer; content:\"c\";", NULL },
		{ "http.request_header; content:\"a\"; http.answer; content:\"b\"; flow:to_client;", "cannot name one" },
		{ "http.request_header; content:\"a\";", "-> is for one" },
		{ "http.answer; content:\"a\";", "-> is for one" },
		{ "content:\"a\";", "seen together" },
		{ "tls.sni; content:\"a\";", "seen together" },
		{ "http.either; content:\"a\";", "say which" },
		{ "http.either: both; content:\"a\";", "neither to_server" },
		{ "http.answer: to_server; content:\"a\";", "no message has" },
		{ "file.data; content:\"a\";", "say to_server or" },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(rows); i++) {
		char text[512];
		unsigned int count;

		snprintf(text, sizeof(text), "alert tcp any any => any any (%s sid:1;)", rows[i].options);
		struct ruleset *set = web_ruleset(text);
		const struct rule_error *errors = ruleset_errors(set, &count);

		if (count != (rows[i].reason != NULL) || (count == 1 && strstr(errors[0].reason, rows[i].reason) == NULL))
			fail_msg("%s: %s", rows[i].options, count == 0 ? "not refused" : errors[0].reason);
		ruleset_destroy(set);
	}
}

static void
test_requires(void **state)
{
	static const char text[] = "alert tcp any any -> any any (requires:version >= 7.0.0 <10; sid:1;)\n"
		"alert tcp any any -> any any (future_keyword:x; requires:version >= 99.1; sid:2;)\n"
		"alert tcp any any -> any any (requires:version <7 | >=8.0.0; sid:3;)\n"
		"alert tcp any any -> any any (requires:keyword flowint, keyword http.uri, feature geoip; sid:4;)\n"
		"alert tcp any any -> any any (requires:keyword future_keyword; future_keyword:x; sid:5;)\n"
		"alert tcp any any -> any any (requires:feature output::x; sid:6;)\n"
		"alert tcp any any => any any (requires:future x, version >= 7; sid:7;)\n";
	struct ruleset *set = web_ruleset(text);
	unsigned int count;

	(void)state;
	ruleset_errors(set, &count);
	assert_int_equal(count, 0);
	assert_int_equal(ruleset_count(set), 3);
	assert_int_equal(ruleset_stats_get(set)->rules_disabled, 4);
	ruleset_destroy(set);
}

/* ---- state ---- */

struct bench {
	struct ruleset *set;
	struct rule_matcher *matcher;
	struct slab *slab;
	struct flow flow;
	struct rule_hits hits;
	uint64_t frame;
};

static void
bench_begin(struct bench *b, const char *rules)
{
	struct rule_config config = toy_config();
	unsigned int count;

	*b = (struct bench){ .set = web_ruleset(rules), .flow = toy_flow(IP_PROTO_UDP) };
	const struct rule_error *errors = ruleset_errors(b->set, &count);

	if (count > 0)
		fail_msg("%s: %s", errors[0].keyword, errors[0].reason);
	assert_int_equal(slab_create(&b->slab, 1 << 20), 0);
	assert_int_equal(rule_matcher_create(&b->matcher, b->set, &config, b->slab), 0);
}

static void
bench_end(struct bench *b)
{
	rule_flow_end(b->matcher, &b->flow);
	assert_int_equal(slab_used(b->slab), 0);
	rule_matcher_destroy(b->matcher);
	ruleset_destroy(b->set);
	slab_destroy(b->slab);
}

static unsigned int
bench_udp(struct bench *b, const char *payload)
{
	struct packet packet = toy_packet(IP_PROTO_UDP, payload, (uint32_t)strlen(payload));

	packet.frame_number = ++b->frame;
	rule_hits_reset(&b->hits);
	rule_match_packet(b->matcher, &packet, &b->flow, &b->hits);
	return b->hits.count;
}

static void
test_flowint(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp any any -> any any (content:\"fail\"; flowint:n,+,2; noalert; sid:1;)\n"
			"alert udp any any -> any any (content:\"ask\"; flowint:n,>,3; flowint:n,!=,limit; sid:2;)\n"
			"alert udp any any -> any any (content:\"init\"; flowint:limit,notset; flowint:limit,=,9; sid:3;)\n"
			"alert udp any any -> any any (content:\"less\"; flowint:n,-,limit; sid:4;)\n"
			"alert udp any any -> any any (content:\"same\"; flowint:n,==,4294967291; sid:5;)\n");
	assert_int_equal(bench_udp(&b, "ask"), 0);
	assert_int_equal(bench_udp(&b, "fail"), 0);
	assert_int_equal(bench_udp(&b, "ask"), 0);
	assert_int_equal(bench_udp(&b, "fail ask"), 1);
	assert_int_equal(bench_udp(&b, "init"), 1);
	assert_int_equal(bench_udp(&b, "init"), 0);
	assert_int_equal(bench_udp(&b, "less"), 1);
	assert_int_equal(bench_udp(&b, "same"), 1); /* 4 - 9 */
	bench_end(&b);
}

static bool
bench_quiet(struct bench *b, const char *uri)
{
	uint64_t room[64];
	const struct rule_message message = { .record = room, .to_server = true };

	web_record_make(room, WEB_URI, uri);
	rule_hits_reset(&b->hits);
	rule_match_message(b->matcher, NULL, &b->flow, &message, &b->hits);
	return b->hits.quiet;
}

static void
test_config(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, "config http any any -> any any (http.uri; content:\"/health\"; config:logging disable, type tx, scope tx; sid:1;)\n"
			"config http any any -> any any (http.uri; content:\"/all\"; config:logging disable, type tx, scope flow; sid:2;)\n");
	b.flow = toy_flow(IP_PROTO_TCP);
	assert_false(bench_quiet(&b, "/x"));
	assert_true(bench_quiet(&b, "/health"));
	assert_false(bench_quiet(&b, "/x"));
	assert_true(bench_quiet(&b, "/all"));
	assert_true(bench_quiet(&b, "/x"));
	assert_int_equal(b.hits.count, 0);
	bench_end(&b);
}

static void
test_captures(void **state)
{
	static const char wanted[] = "\"metadata\":{\"pktvars\":[{\"cmd\":\"do\"}],\"flowvars\":[{\"user\":\"root\"}],\"flowbits\":[\"in\"],"
		"\"flowints\":{\"n\":1}}";
	struct bench b;
	struct buf out;

	(void)state;
	assert_int_equal(buf_create(&out, 512), 0);
	bench_begin(&b, "alert udp any any -> any any (pcre:\"/user=(\\w+) (\\w+)/, flow:user, pkt:cmd\"; flowbits:set,in; flowint:n,+,1; sid:1;)\n"
			"alert udp any any -> any any (content:\"later\"; flowvar:user,\"oo\"; sid:2;)\n"
			"alert udp any any -> any any (content:\"user\"; pktvar:cmd,\"do\"; sid:3;)\n"
			"alert udp any any -> any any (content:\"later\"; pktvar:cmd,\"do\"; sid:4;)\n");
	assert_int_equal(bench_udp(&b, "later"), 0);
	rule_metadata_json(b.matcher, &b.flow, true, &out);
	assert_int_equal(out.len, 0);
	assert_int_equal(bench_udp(&b, "user=root do"), 2);
	rule_metadata_json(b.matcher, &b.flow, true, &out);
	assert_int_equal(out.len, sizeof(wanted) - 1);
	assert_memory_equal(out.data, wanted, sizeof(wanted) - 1);
	assert_int_equal(bench_udp(&b, "later"), 1);
	assert_int_equal(b.hits.hit[0].sid, 2);
	bench_end(&b);
	buf_destroy(&out);
}

static bool
bench_tagged(struct bench *b, uint8_t from)
{
	struct packet packet = toy_packet(IP_PROTO_UDP, "xx", 2);

	packet.src.bytes[3] = from;
	packet.frame_number = ++b->frame;
	packet.ts_ns = b->frame * 1000000000;
	packet.wire_len = 60;
	return rule_packet_tagged(b->matcher, &packet, from == 1 ? &b->flow : NULL);
}

static void
test_tags(void **state)
{
	static const struct {
		const char *option;
		const char *takes; /* of packets a second apart; a small letter: of another address */
	} cases[] = {
		{ "tag:session,3,packets;", "1100" }, { "tag:session,1,packets;", "0000" }, { "tag:session;", "1111" }, { "tag:session,100,bytes;", "1100" },
		{ "tag:session,2,seconds;", "1100" }, { "tag:host,3,packets,src;", "1100" }, { "tag:host,3,packets,dst;", "1100" },
		{ "tag:session,2,packets; tag:host,4,packets,src;", "1110" }, { "tag:session,3,packets; tag:session,9,packets;", "1100" },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		char text[128], taken[5] = "0000";
		struct bench b;

		snprintf(text, sizeof(text), "alert udp any any -> any any (content:\"abcd\"; %s sid:1;)", cases[i].option);
		bench_begin(&b, text);
		assert_false(bench_tagged(&b, 1));
		b.frame = 0;
		assert_int_equal(bench_udp(&b, "abcd"), 1);
		for (unsigned int n = 0; n < 4; n++)
			taken[n] = bench_tagged(&b, 1) ? '1' : '0';
		if (strcmp(taken, cases[i].takes) != 0)
			fail_msg("%s: %s, not %s", cases[i].option, taken, cases[i].takes);
		if (strstr(cases[i].option, "dst") == NULL)
			assert_false(bench_tagged(&b, 9));
		bench_end(&b);
	}
}

static const struct {
	const char *options;
	uint32_t clear, set; /* of the packet's flags */
	bool hit;
} packet_cases[] = {
	{ "ip.src; content:\"|0a 00 00 01|\"; bsize:4;", 0, 0, true },
	{ "ip.dst; content:\"|0a 00 00 01|\";", 0, 0, false },
	{ "udpv4-csum:valid;", 0, 0, true },
	{ "udpv4-csum:invalid;", 0, PACKET_L4_CHECKSUM_BAD, true },
	{ "ipv4-csum:invalid;", 0, PACKET_L4_CHECKSUM_BAD, false },
	{ "ipv4-csum:invalid;", 0, PACKET_L3_CHECKSUM_BAD, true },
	{ "udpv6-csum:valid;", 0, 0, false },
	{ "ipv4-csum:invalid;", PACKET_L4, PACKET_L3_CHECKSUM_BAD | PACKET_FRAGMENT, true },
	{ "udpv4-csum:valid;", PACKET_L4, PACKET_FRAGMENT, false },
	{ "rpc:100000,*,3;", 0, 0, true },
	{ "rpc:100000,2,4;", 0, 0, false },
	{ "rpc:100003;", 0, 0, false },
	{ "igmp.type:0;", 0, 0, false },
};

static void
test_packets(void **state)
{
	static const uint8_t call[] = { 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x86, 0xa0, 0, 0, 0, 2, 0, 0, 0, 3 };

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(packet_cases); i++) {
		struct packet packet = toy_packet(IP_PROTO_UDP, call, sizeof(call));
		struct rule_config config = toy_config();
		struct rule_matcher *matcher;
		struct rule_hits hits;
		char text[256];

		packet.flags = (packet.flags & ~packet_cases[i].clear) | packet_cases[i].set;
		snprintf(text, sizeof(text), "alert udp any any -> any any (%s sid:1;)", packet_cases[i].options);
		struct ruleset *set = web_ruleset(text);

		assert_int_equal(ruleset_count(set), 1);
		assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
		rule_hits_reset(&hits);
		rule_match_packet(matcher, &packet, NULL, &hits);
		if (hits.count != packet_cases[i].hit)
			fail_msg("%s: %s", text, packet_cases[i].hit ? "did not fire" : "fired");
		rule_matcher_destroy(matcher);
		ruleset_destroy(set);
	}
}

static void
tell_nobody(void *arg, struct flow *flow)
{
}

static bool
fires_on(const struct flow_table *table, struct flow *flow, const char *option)
{
	struct packet packet = toy_packet(IP_PROTO_UDP, "x", 1);
	struct rule_config config = toy_config();
	struct rule_matcher *matcher;
	struct rule_hits hits;
	char text[256];

	snprintf(text, sizeof(text), "alert udp any any -> any any (%s; sid:1;)", option);
	struct ruleset *set = web_ruleset(text);

	assert_int_equal(ruleset_count(set), 1);
	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	rule_matcher_count_flows(matcher, table);
	rule_hits_reset(&hits);
	rule_match_packet(matcher, &packet, flow, &hits);
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
	return hits.count > 0;
}

/* Of a flow whose own count went back, all packets count; bytes need more than 32 bits, too. */
static void
test_long_flows(void **state)
{
	static const struct {
		const char *option;
		bool holds;
	} cases[] = {
		{ "flow.pkts:toserver,>2147483648", true }, { "flow.pkts:toserver,>3221225471", false }, { "flow.pkts:toserver,3221225471", true },
		{ "flow.pkts:both,3221225471", true }, { "flow.pkts:either,>4294967296", false }, { "flow.pkts_toserver:>3000000000", true },
		{ "flow.pkts_toclient:<6", true }, { "flow.bytes:toserver,>4294967296", true }, { "flow.bytes_toserver:>1gb", true },
		{ "flow.bytes_toserver:6442450944", true }, { "flow.bytes_toserver:>7gb", false }, { "flow.bytes:both,6442450944", true },
	};
	struct flow_config flows = config_of(16);
	_Atomic uint64_t counters[FLOW_COUNTER_COUNT] = { 0 };
	struct packet packet;
	struct flow_table *table;
	struct flow *flow;

	(void)state;
	flows.active_timeout_s = 1800;
	assert_int_equal(flow_table_create(&table, &flows, counters), 0);
	assert_int_equal(flow_tell_parts(table, tell_nobody, NULL), 0);
	make(&packet, IP_PROTO_UDP, 1, 1000, 2, 502, S);
	flow_lookup_burst(table, &packet, 1, S, &flow);
	flow = flow_update(table, flow, &packet);
	/* It goes back twice. */
	for (unsigned int i = 0; i < 2; i++) {
		flow->packets[FLOW_TO_SERVER] = FLOW_PACKETS_MAX - 1;
		for (unsigned int k = 0; k < 2; k++)
			flow = flow_update(table, flow, &packet);
	}
	assert_true(flow->packets[FLOW_TO_SERVER] < FLOW_PACKETS_MAX);
	flow->bytes[FLOW_TO_SERVER] = UINT64_C(6) << 30;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++)
		assert_int_equal(fires_on(table, flow, cases[i].option), cases[i].holds);
	flow_expire_all(table, tell_nobody, NULL);
	flow_table_destroy(table);
}

static void
test_create_fails_clean(void **state)
{
	static const char text[] = "alert http any any -> any any (http.uri; to_md5; content:\"abcd\"; sid:1;)\n"
		"alert udp any any -> any any (pcre:\"/(a)/, flow:x\"; flowint:n,+,m; flowvar:x,\"a\"; content:\"a\"; http_uri; sid:2;)\n";
	struct rule_config config = toy_config();
	struct config_error err;
	struct ruleset *set = NULL;
	struct rule_matcher *matcher = NULL;

	(void)state;
	TEST_FAIL_EACH_ALLOC(ruleset_create_text(&set, "t", text, &config, &web_world, &err), == 0, ruleset_destroy(set));
	set = web_ruleset(text);
	assert_int_equal(ruleset_count(set), 2);
	TEST_FAIL_EACH_ALLOC(rule_matcher_create(&matcher, set, &config, NULL), == 0, rule_matcher_destroy(matcher));
	ruleset_destroy(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_requires),
		cmocka_unit_test(test_flowint),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_long_flows),
		cmocka_unit_test(test_create_fails_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
