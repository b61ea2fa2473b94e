/* Transforms of buffers: what is left of the bytes, and which contents look at them before and after. */
#include "lib/rule/test_web.h"

static const struct web_case web_cases[] = {
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
	{ "http.uri; to_lowercase; content:\"ABC\"; nocase;", WEB_URI, "ABC", true },
	{ "http.uri; to_uppercase; content:\"ABC1\";", WEB_URI, "abc1", true },
	{ "http.request_body; strip_whitespace; content:\"abc\"; bsize:3;", WEB_BODY, " a\tb\r\nc", true },
	{ "http.request_body; compress_whitespace; content:\"a b c\"; bsize:5;", WEB_BODY, "a\t\tb \r\nc", true },
	{ "http.request_body; strip_whitespace; to_uppercase; content:\"AB\"; bsize:2;", WEB_BODY, "a b", true },
	{ "http.header; strip_pseudo_headers; content:\"a: b\"; startswith;", WEB_HEADER, ":m: x\r\na: b\r\n", true },
	{ "http.header; header_lowercase; content:\"host: AbC\"; content:\"x-y: Z\";", WEB_HEADER, "HoSt: AbC\r\nX-Y: Z", true },
	{ "http.request_body; xor:\"0d0ac8ff\"; content:\"hello\";", WEB_BODY, "eo\xa4\x93" "b", true },
	{ "http.request_body; xor:\"0d\"; content:\"hello\";", WEB_BODY, "eo\xa4\x93" "b", false },
	{ "http.request_body; xor:offset 2,\"01\"; content:\"ab\"; startswith; content:\"ab\"; distance:0; bsize:4;", WEB_BODY, "ab`c", true },
	{ "http.request_body; xor:offset 9,01; content:\"ab\"; bsize:2;", WEB_BODY, "ab", true },
	{ "http.request_body; xor:offset 1,extract 1 0; content:\"hello\"; bsize:6;", WEB_BODY, "\x42*'..-", true },
	{ "http.request_body; xor:offset 3,  extract 2 1; content:\"bab\";", WEB_BODY, "x\x01\x02" "ccc", true },
	{ "http.request_body; xor:extract 1 6; content:\"abc\"; bsize:3;", WEB_BODY, "abc", true },
	{ "http.request_body; xor:\"01\"; xor:extract 1 0; content:\"hello\"; bsize:6;", WEB_BODY, "\x43+&//,", true },
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
	/* what stands before a transform looks at the bytes as they were */
	{ "http.uri; content:\"/?a=aGk=\"; from_base64:offset 4; content:\"hi\"; bsize:2;", WEB_URI, "/?a=aGk=", true },
	{ "http.uri; content:\"hi\"; from_base64:offset 4; content:\"hi\";", WEB_URI, "/?a=aGk=", false },
	{ "http.uri; content:\"AB\"; to_lowercase; content:\"ab\"; startswith; subslice:1; content:\"bc\"; bsize:2;", WEB_URI, "ABC", true },
	{ "http.uri; content:\"AB\"; to_lowercase; content:\"ab\"; subslice:1; content:\"ab\";", WEB_URI, "ABC", false },
	{ "http.uri; to_lowercase; content:\"a\"; http.uri; content:\"A\";", WEB_URI, "A", true },
	{ "http.uri; subslice:-9,2,truncate; content:\"ab\"; bsize:2;", WEB_URI, "abcd", true },
	{ "http.uri; subslice:-9; bsize:0;", WEB_URI, "abcd", true },
	{ "http.uri; subslice:1,-1; content:\"bc\"; bsize:2;", WEB_URI, "abcd", true },
	{ "http.uri; subslice:0,-9; bsize:0;", WEB_URI, "abcd", true },
};

static void
test_transforms(void **state)
{
	(void)state;
	web_cases_check(web_cases, TEST_COUNT(web_cases));
}

/* More bytes asked for than there may be. */
static void
test_possible(void **state)
{
	static const struct {
		const char *options;
		bool loads;
	} rows[] = {
		{ "dsize:10; content:\"boom\"; content:\"loom\"; distance:10;", false },
		{ "dsize:10; content:\"boom\"; content:\"loom\"; distance:2;", true },
		{ "dsize:10; content:\"boom\"; content:\"loom\"; distance:3;", false },
		{ "dsize:10; content:\"boom\"; content:\"loom\"; distance:-15;", true },
		{ "dsize:<8; content:\"boom\"; offset:4;", false },
		{ "dsize:!7; content:\"boom\"; offset:4;", true },
		{ "dsize:>7; content:\"boom\"; offset:4;", true },
		{ "dsize:4; content:!\"a\"; offset:7;", true },
		{ "dsize:8; content:\"a\"; pcre:\"/b/\"; content:\"loom\"; distance:3;", true },
		{ "dsize:8; byte_extract:1,0,n; content:\"loom\"; offset:n;", true },
		{ "http.uri; content:\"abc\"; bsize:2;", false },
		{ "http.uri; content:\"abc\"; bsize:2<>5;", true },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), "alert tcp any any -> any any (%s sid:1;)", rows[i].options);
		struct ruleset *set = web_ruleset(text);

		if (ruleset_count(set) != rows[i].loads)
			fail_msg("%s: %s", rows[i].options, rows[i].loads ? "is refused" : "loads");
		ruleset_destroy(set);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transforms),
		cmocka_unit_test(test_possible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
