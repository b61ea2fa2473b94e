/* Every keyword's example, and a match and a mismatch for each class of meaning, over pretend protocols. */
#include <errno.h>
#include <unistd.h>

#include "lib/rule/rule_parser.h"
#include "lib/rule/test_toy.h"

/* A protocol of byte fields only, with the names that rules of other sensors use. */
enum { WEB_URI, WEB_URI_RAW, WEB_METHOD, WEB_HEADER, WEB_LINE, WEB_BODY, WEB_ANSWER, WEB_HOST, WEB_FIELDS };

struct web_record {
	struct record_head head;
	struct record_ref fields[WEB_FIELDS];
};

#define WEB_FIELD(path, index) \
	{ path, FIELD_STRING, index, 0, offsetof(struct web_record, fields) + (index) * sizeof(struct record_ref), NULL, NULL, "web", \
		path }

static const struct field web_fields[] = {
	WEB_FIELD("uri", WEB_URI), WEB_FIELD("uri.raw", WEB_URI_RAW), WEB_FIELD("method", WEB_METHOD),
	WEB_FIELD("header", WEB_HEADER), WEB_FIELD("request_line", WEB_LINE), WEB_FIELD("request_body", WEB_BODY),
	WEB_FIELD("response_body", WEB_ANSWER), WEB_FIELD("host", WEB_HOST),
	{ "header_lines", FIELD_STRING, WEB_HEADER, FIELD_HIDDEN | FIELD_LINES,
		offsetof(struct web_record, fields) + WEB_HEADER * sizeof(struct record_ref), NULL, NULL, "web", "header_lines" },
};
static const struct record_table web_table = { "http", web_fields, TEST_COUNT(web_fields), sizeof(struct web_record) };
static const struct field tls_fields[] = { WEB_FIELD("sni", 0) };
static const struct record_table tls_table = { "tls", tls_fields, 1, sizeof(struct web_record) };
static const struct field modbus_fields[] = { WEB_FIELD("request.data", 0) };
static const struct record_table modbus_table = { "modbus", modbus_fields, 1, sizeof(struct web_record) };
static const struct rule_app_event modbus_events[] = { { "invalid_length", "length" } };
static const struct rule_app_buffer web_buffers[] = { { "http.request_header", "header_lines" } };
static const struct rule_app web_apps[] = {
	{ .name = "http", .record = &web_table, .buffers = web_buffers, .buffer_count = 1 },
	{ .name = "tls", .record = &tls_table },
	{ .name = "modbus", .record = &modbus_table, .events = modbus_events, .event_count = 1 },
};
static const struct rule_app *const web_world_apps[] = { &web_apps[0], &web_apps[1], &web_apps[2] };
static const struct rule_world web_world = { web_world_apps, TEST_COUNT(web_world_apps), toy_decode_event, toy_stream_event };

static struct ruleset *
web_ruleset(const char *text)
{
	struct rule_config config = toy_config();
	struct config_error err;
	struct ruleset *set = NULL;

	if (ruleset_create_text(&set, "web.rules", text, &config, &web_world, &err) != 0)
		fail_msg("%s", err.text);
	return set;
}

static void
test_examples(void **state)
{
	unsigned int parsed = 0;

	(void)state;
	for (const struct rule_keyword *keyword = rule_keywords; keyword->name != NULL; keyword++) {
		char text[1024];
		unsigned int count;

		if (strcmp(keyword->name, "iprep") == 0 || strcmp(keyword->name, "geoip") == 0)
			continue; /* need files: test_rule_lists */
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

struct web_case {
	const char *options; /* of "alert http any any -> any any" */
	int field;           /* the one that is there besides the method POST; -1: none */
	const char *value;
	bool hit;
};

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
	/* transforms */
	{ "http.host; dotprefix; content:\".a.b\"; endswith;", WEB_HOST, "a.b", true },
	{ "http.host; dotprefix; content:\".a.b\"; endswith;", WEB_HOST, "xa.b", false },
	{ "http.host; content:\"a\"; startswith; http.host; dotprefix; content:\".a\"; startswith;", WEB_HOST, "a.b", true },
	{ "http.host; domain; content:\"Example.co.uk\"; bsize:13;", WEB_HOST, "www.Example.co.uk", true },
	{ "http.host; domain; content:\"example.com\"; bsize:11;", WEB_HOST, "example.com.", true },
	{ "http.host; domain; bsize:0;", WEB_HOST, "co.uk", true },
	{ "http.host; domain; bsize:0;", WEB_HOST, "caf\xc3\xa9.example", true },
	{ "http.host; tld; content:\"co.uk\"; bsize:5;", WEB_HOST, "www.example.co.uk", true },
	{ "http.host; tld; content:\"uk\"; bsize:2;", WEB_HOST, "www.example.co.uk", false },
	{ "http.uri; to_lowercase; content:\"abc\";", WEB_URI, "ABC", true },
	{ "http.uri; to_lowercase; content:\"ABC\";", WEB_URI, "ABC", false },
	{ "http.uri; to_uppercase; content:\"ABC1\";", WEB_URI, "abc1", true },
	{ "http.request_body; strip_whitespace; content:\"abc\"; bsize:3;", WEB_BODY, " a\tb\r\nc", true },
	{ "http.request_body; compress_whitespace; content:\"a b c\"; bsize:5;", WEB_BODY, "a\t\tb \r\nc", true },
	{ "http.request_body; strip_whitespace; to_uppercase; content:\"AB\"; bsize:2;", WEB_BODY, "a b", true },
	{ "http.header; strip_pseudo_headers; content:\"a: b\"; startswith;", WEB_HEADER, ":m: x\r\na: b\r\n", true },
	{ "http.header; header_lowercase; content:\"host: AbC\"; content:\"x-y: Z\";", WEB_HEADER, "HoSt: AbC\r\nX-Y: Z", true },
	{ "http.request_body; xor:\"0d0ac8ff\"; content:\"hello\";", WEB_BODY, "eo\xa4\x93" "b", true },
	{ "http.request_body; xor:\"0d\"; content:\"hello\";", WEB_BODY, "eo\xa4\x93" "b", false },
	{ "http.request_body; to_md5; content:\"|90 01 50 98 3c d2 4f b0 d6 96 3f 7d 28 e1 7f 72|\"; bsize:16;", WEB_BODY, "abc", true },
	{ "http.request_body; to_sha1; content:\"|a9 99 3e 36 47 06 81 6a ba 3e 25 71 78 50 c2 6c 9c d0 d8 9d|\"; bsize:20;", WEB_BODY,
		"abc", true },
	{ "http.request_body; to_sha256; content:\"|ba 78 16 bf 8f 01 cf ea|\"; startswith; bsize:32;", WEB_BODY, "abc", true },
	{ "http.request_body; to_md5; content:\"|90 01|\"; startswith;", WEB_BODY, "abd", false },
	{ "http.request_line; pcrexform:\"^[A-Z]+ ([^ ]+)\"; content:\"/x\"; bsize:2;", WEB_LINE, "GET /x HTTP", true },
	{ "http.request_line; pcrexform:\"^[0-9]+ ([^ ]+)\"; content:\"GET /x\"; startswith;", WEB_LINE, "GET /x", true },
	{ "http.uri.raw; url_decode; content:\"/../ %zz\"; bsize:8;", WEB_URI_RAW, "/%2e%2E/+%zz", true },
	{ "http.request_body; from_base64; content:\"hello\"; bsize:5;", WEB_BODY, "aGVsbG8=", true },
	{ "http.request_body; from_base64:mode strict; content:\"hello\";", WEB_BODY, "aGVsbG8", false },
	{ "http.request_body; from_base64:mode rfc2045; content:\"hello\";", WEB_BODY, "aGVs\r\nbG8=", true },
	{ "http.request_body; from_base64:bytes 4, offset 1; content:\"hel\"; bsize:3;", WEB_BODY, "_aGVsbG8=", true },
	{ "http.request_body; from_base64; content:\"!\"; startswith;", WEB_BODY, "!", true },
	{ "http.uri; subslice:1,2; content:\"bc\"; bsize:2;", WEB_URI, "abcd", true },
	{ "http.uri; subslice:-2; content:\"cd\"; bsize:2;", WEB_URI, "abcd", true },
	{ "http.uri; subslice:2,9; content:\"cd\";", WEB_URI, "abcd", false },
	{ "http.uri; subslice:2,9,truncate; content:\"cd\";", WEB_URI, "abcd", true },
	/* streams that are cut are unpacked as far as they go; FTEXT and a time keep zeros out of gzip's header */
	{ "http.request_body; zlib_deflate; content:\"hello\"; bsize:5;", WEB_BODY, "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07", true },
	{ "http.request_body; zlib_deflate:max-size 3; content:\"hel\"; bsize:3;", WEB_BODY, "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07", true },
	{ "http.request_body; gunzip; content:\"hello\"; bsize:5;", WEB_BODY,
		"\x1f\x8b\x08\x01\x01\x01\x01\x01\x02\x03\xcb\x48\xcd\xc9\xc9\x07", true },
	{ "http.request_body; gunzip; bsize:0;", WEB_BODY, "hello", true },
	{ "http.request_body; gunzip; content:\"hello\";", WEB_BODY, "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07", false },
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
	{ "http.header; content:\"Basic \"; base64_decode:relative; base64_data; content:\"admin\";", WEB_HEADER, "Basic cm9vdDp0b29y",
		false },
	{ "http.request_body; entropy:value >= 2;", WEB_BODY, "abcd", true },
	{ "http.request_body; entropy:value > 2;", WEB_BODY, "abcd", false },
	{ "http.request_body; entropy:bytes 2, offset 1, value < 0.5;", WEB_BODY, "abbcd", true },
};

static void
web_record_make(uint64_t room[64], int field, const char *value)
{
	struct web_record *record = (struct web_record *)room;
	uint32_t off = sizeof(*record);

	memset(room, 0, 64 * sizeof(room[0]));
	record->head.present = 1u << WEB_METHOD;
	record->fields[WEB_METHOD] = (struct record_ref){ off, 4 };
	memcpy((uint8_t *)room + off, "POST", 4);
	if (field < 0)
		return;
	record->head.present |= 1u << field;
	record->fields[field] = (struct record_ref){ off + 8, (uint32_t)strlen(value) };
	memcpy((uint8_t *)room + off + 8, value, strlen(value));
}

static unsigned int
web_match(const char *text, int field, const char *value)
{
	struct rule_config config = toy_config();
	struct ruleset *set = web_ruleset(text);
	struct flow flow = toy_flow(IP_PROTO_TCP);
	struct rule_matcher *matcher;
	struct rule_hits hits;
	unsigned int count;
	uint64_t room[64];
	const struct rule_error *errors = ruleset_errors(set, &count);

	if (count > 0)
		fail_msg("%s: %s: %s", text, errors[0].keyword, errors[0].reason);
	web_record_make(room, field, value);
	const struct rule_message message = { .record = room, .to_server = true };

	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	for (unsigned int again = 0; again < 2; again++) { /* the second time from what is remembered */
		rule_hits_reset(&hits);
		rule_match_message(matcher, NULL, &flow, &message, &hits);
	}
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
	return hits.count;
}

static void
test_buffers(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(web_cases); i++) {
		const struct web_case *c = &web_cases[i];
		char text[512];

		snprintf(text, sizeof(text), "alert http any any -> any any (%s sid:1;)", c->options);
		if (web_match(text, c->field, c->value) != c->hit)
			fail_msg("%s: %s with \"%s\"", c->options, c->hit ? "did not fire" : "fired", c->value);
		/* the header's protocol may be the transport too */
		snprintf(text, sizeof(text), "alert tcp any any -> any any (%s sid:1;)", c->options);
		assert_int_equal(web_match(text, c->field, c->value), c->hit);
	}
}

static const struct {
	const char *options, *reason;
} refused[] = {
	{ "http_uri;", "no content" },
	{ "content:\"a\"; http_stat_code;", "no keyword or buffer http.stat_code" },
	{ "http.host; content:\"a\"; http_uri;", "another sticky buffer" },
	{ "dns.query; content:\"a\";", "protocol dns has no parser" },
	{ "content:\"a\"; to_md5;", "follows the sticky buffer" },
	{ "http.uri; content:\"a\"; dotprefix;", "follows the sticky buffer" },
	{ "http.uri; xor:\"0\"; content:\"a\";", "hex" },
	{ "http.uri; pcrexform:\"abc\"; content:\"a\";", "0 groups" },
	{ "http.uri; subslice:a; content:\"a\";", "offset" },
	{ "http.uri; gunzip:max-size 0; content:\"a\";", "max-size" },
	{ "http.uri; zlib_deflate:size 9; content:\"a\";", "max-size" },
	{ "http.uri; zlib_deflate:max-size; content:\"a\";", "max-size" },
	{ "http.uri; from_base64:relative; content:\"a\";", "no match before" },
	{ "http.uri; content:\"a\"; absent;", "stands before" },
	{ "absent;", "no sticky buffer" },
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
	{ "requires:nothing x;", "version, feature or keyword" },
	{ "requires:version 7;", "operator" },
	{ "tag:flow;", "session" },
	{ "tag:session,x,packets;", "not a number" },
	{ "tag:session,3,packets,src;", "neither" },
	{ "lua:x.lua;", "scripts" },
	{ "filemd5:list;", "files are not extracted" },
	{ "domain;", "follows the sticky buffer" },
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

static void
test_requires(void **state)
{
	static const char text[] = "alert tcp any any -> any any (requires:version >= 7.0.0 <9; sid:1;)\n"
		"alert tcp any any -> any any (future_keyword:x; requires:version >= 99.1; sid:2;)\n"
		"alert tcp any any -> any any (requires:version <7 | >=8.0.0; sid:3;)\n"
		"alert tcp any any -> any any (requires:keyword flowint, keyword http.uri, feature geoip; sid:4;)\n"
		"alert tcp any any -> any any (requires:keyword future_keyword; future_keyword:x; sid:5;)\n"
		"alert tcp any any -> any any (requires:feature output::x; sid:6;)\n";
	struct ruleset *set = web_ruleset(text);
	unsigned int count;

	(void)state;
	ruleset_errors(set, &count);
	assert_int_equal(count, 0);
	assert_int_equal(ruleset_count(set), 3);
	assert_int_equal(ruleset_stats_get(set)->rules_disabled, 3);
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
	static const char wanted[] = "{\"pktvars\":[{\"cmd\":\"do\"}],\"flowvars\":[{\"user\":\"root\"}],\"flowbits\":[\"in\"],"
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
	rule_metadata_json(b.matcher, &b.flow, &out);
	assert_int_equal(out.len, 0);
	assert_int_equal(bench_udp(&b, "user=root do"), 2);
	rule_metadata_json(b.matcher, &b.flow, &out);
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
		{ "tag:session,3,packets;", "1110" }, { "tag:session;", "1111" }, { "tag:session,100,bytes;", "1100" },
		{ "tag:session,2,seconds;", "1100" }, { "tag:host,2,packets,src;", "1100" }, { "tag:host,2,packets,dst;", "1100" },
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
		cmocka_unit_test(test_requires),
		cmocka_unit_test(test_flowint),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_create_fails_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
