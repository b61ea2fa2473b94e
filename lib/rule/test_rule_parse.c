#include <errno.h>
#include <unistd.h>

#include "lib/rule/test_toy.h"
#include "test/folder.h"

struct parse_case {
	const char *text;
	unsigned int column;  /* 0: the rule loads */
	const char *reason;   /* part of it */
};

#define U "alert udp any any -> any any "

static const struct parse_case parse_cases[] = {
	{ U "(msg:\"a\"; content:\"ab|00 01|c\"; sid:1;)", 0, NULL },
	{ "alert tcp [10.0.0.0/8,!10.1.0.0/16] any -> $HOME_NET ![1:20,502] (flow:to_server,established; sid:1;)", 0, NULL },
	{ "alert tcp any any <> any $MODBUS_PORTS (flags:SA,12; sid:1;)", 0, NULL },
	{ "drop tcp-stream 2001:db8::/32 any -> 192.168.0.0/255.255.0.0 any (pcre:\"/a.c/smi\"; sid:1;)", 0, NULL },
	{ "pass ip any any -> ! [1.1.1.1, 2.2.2.2] any (sid:1;)", 20, "behind !" },
	{ "alert pkthdr any any -> any any (decode-event:ipv4.trunc_pkt; sid:1;)", 0, NULL },
	{ "alert tcp any any -> any any (stream-event:pkt_invalid_timestamp; sid:1;)", 0, NULL },
	{ "alert toy any any -> any any (app-layer-event:toy.flooded; sid:1;)", 0, NULL },
	{ "alert toy any any -> any any (toy:unit 3; toy.request.function:write; sid:1;)", 0, NULL },
	{ "alert tcp any any -> any any (toy_data; content:\"x\"; bsize:>3; toy.points.index:5-9; sid:1;)", 0, NULL },
	{ U "(content:\"a\"; byte_extract:1,0,n,relative; byte_test:2,>,n,0,relative,little; byte_jump:1,0,relative; sid:1;)", 0, NULL },
	{ U "(byte_math:bytes 1, offset 0, oper +, rvalue 3, result r; isdataat:!r; sid:1;)", 0, NULL },
	{ U "(flowbits:set,a; flowbits:isset,b|c; xbits:set,d,track ip_src,expire 10; sid:1;)", 0, NULL },
	{ U "(threshold:type both, track by_src, count 2, seconds 10; sid:1;)", 0, NULL },
	{ U "(content:\"a\\;b\\\"c\"; sid:1; metadata:a b, a c, d e; reference:url,x.org/y;)", 0, NULL },
	{ U "(content:!\"GET\"; depth:3; dsize:4<>9; ttl:<5; sid:1;)", 0, NULL },
	{ "alert toy:request_complete any any -> any any (toy.unit:1; sid:1;)", 0, NULL },
	{ "alert toy:response_body any any -> any any (flow:to_server; sid:1;)", 50, "exclude" },
	{ "alert toy:request_maybe any any -> any any (sid:1;)", 7, "not a state of a protocol" },
	{ "alert tcp:all any any -> any any (sid:1;)", 0, NULL },
	{ "alert udp:flow_start any any -> any any (sid:1;)", 0, NULL },
	{ "alert udp:pre_flow any any -> any any (sid:1;)", 7, "blocks packets" },
	{ "alert toytwo any any -> any any (toytwo.request.function:write; sid:1;)", 0, NULL },
	{ "alert toytwo any any -> any any (toytwo.nothing:1; sid:1;)", 34, "not known" },
	{ "foo udp any any -> any any (sid:1;)", 1, "not an action" },
	{ U "(pcre:\"/^[\"']?post/R\"; msg:\"a;b\"; sid:1;)", 0, NULL },
	{ "alert foo any any -> any any (sid:1;)", 7, "not a protocol" },
	{ "alert http any any -> any any (sid:1;)", 7, "protocol http has no parser here" },
	{ "alert udp 1.2.3.400 any -> any any (sid:1;)", 11, "not an address" },
	{ "alert udp $NO any -> any any (sid:1;)", 11, "not defined" },
	{ "alert udp any 70000 -> any any (sid:1;)", 15, "not a port" },
	{ "alert udp any !any -> any any (sid:1;)", 15, "never match" },
	{ "alert udp any any >> any any (sid:1;)", 19, "direction" },
	{ "alert udp any any -> any (sid:1;)", 26, "missing" },
	{ "alert udp any any -> [any any (sid:1;)", 1, "missing" },
	{ U "sid:1;", 1, "missing" },
	{ U "(sid:1;", 36, "parenthesis" },
	{ U "(msg:\"a\";)", 1, "sid is missing" },
	{ U "(sid:x;)", 35, "not a number" },
	{ U "(bogus:1; sid:1;)", 31, "not known" },
	{ U "(content:abc; sid:1;)", 39, "quotes" },
	{ U "(content:\"|0|\"; sid:1;)", 39, "|" },
	{ U "(content:\"abc\"; depth:2; sid:1;)", 52, "fewer" },
	{ U "(nocase; sid:1;)", 31, "no content" },
	{ U "(content:\"a\"; offset:1; distance:2; sid:1;)", 63, "do not go" },
	{ U "(pcre:\"/(/\"; sid:1;)", 37, "parenthes" },
	{ U "(pcre:\"/a/U\"; sid:1;)", 31, "http" },
	{ U "(byte_test:9,>,1,0; sid:1;)", 41, "at most 8" },
	{ U "(byte_test:1,~,1,0; sid:1;)", 41, "operator" },
	{ U "(byte_test:1,=,nope,0; sid:1;)", 41, "variable" },
	{ U "(toy.request.function:on; sid:1;)", 0, NULL },
	{ U "(toy.unit:on; sid:1;)", 40, "not a number" },
	{ U "(flow:sideways; sid:1;)", 36, "not a state" },
	{ U "(content:\"a\"; xbits:set,b,track tx; sid:1;)", 1, "its protocol is named" },
	{ U "(toy.unit:3; xbits:isnotset,b,track tx; sid:1;)", 49, "set or isset" },
	{ U "(toy.unit:3; xbits:set,b,tx; sid:1;)", 49, "track ip_src" },
	{ U "(flow:to_server,to_client; sid:1;)", 36, "exclude" },
	{ U "(threshold:type limit, track by_src, count 1; sid:1;)", 41, "needed" },
	{ U "(toy.unit:300-200; sid:1;)", 40, "empty" },
	{ U "(sid:1; sid:2;)", 42, "given twice" },
	{ U "(msg:\"a; content:\"b\"; sid:1;)", 31, "a quote is missing" },
	{ U "(content:\"a; nocase; content:\"b\"; sid:1;)", 31, "a quote is missing" },
	{ U "(sid:1; reference:url,a\"b; content:\"c\";)", 38, "a quote is missing" },
	{ U "(msg:a\"; content:\"b\"; sid:1;)", 31, "a quote is missing" },
	{ U "(xbits:set,b,track ip_src,expire 0; sid:1;)", 37, "\"0\" is not a number of seconds" },
	{ "alert tcp 10.0.0.0/33 any -> any any (sid:1;)", 11, "\"10.0.0.0/33\" is not" },
	{ "alert tcp any 90:80 -> any any (sid:1;)", 15, "\"90:80\" is not" },
	{ "alert tcp [10.0.0.1,10.0.0.2 any -> any any (sid:1;)", 1, "] is missing" },
	{ U "(toy.request.function:frobnicate; sid:1;)", 52, "name" },
	{ U "(toy.request.data:abc; sid:1;)", 48, "content" },
	{ U "(toy.nothing:1; sid:1;)", 31, "not known" },
	{ U "(toy:bus 1; sid:1;)", 35, "unit N" },
	{ U "(toy_data; sid:1;)", 1, "sticky buffer" },
	{ U "(app-layer-event:toy.nothing; sid:1;)", 47, "no event" },
	{ U "(app-layer-event:applayer_wrong_direction_first_data; sid:1;)", 47, "there is none of all protocols" },
	{ U "(lua:x.lua; sid:1;)", 31, "scripts" },
	{ U "(file_data; content:\"a\"; sid:1;)", 31, "protocol http has no parser here" },
	{ U "(priority:0; sid:1;)", 40, "priority" },
	{ U "(content:\"a; sid:1;)", 31, "quote" },
	{ U "(contnt:\"a\"; sid:1;)", 31, "the keyword is not known; the nearest is content" },
	{ U "(toy.unt:1; sid:1;)", 31, "the nearest is toy.unit" },
	{ U "(qqqqqq:1; sid:1;)", 31, "the keyword is not known" },
	{ "alert tooy any any -> any any (sid:1;)", 7, "the nearest is toy" },
	{ U "(toy.unit 1; sid:1;)", 31, "a colon is missing" },
	{ U "(nocase content:\"abc\"; sid:1;)", 46, "a semicolon is missing behind it" },
	{ U "(content:\"abc\" sid:1;)", 39, "a semicolon is missing before sid:" },
	{ U "(msg:\"x\" content:\"abc\"; sid:1;)", 35, "a semicolon is missing before content:" },
	{ U "(toy.unit:1 sid:1;)", 40, "a semicolon is missing before sid:" },
	{ U "(msg:\"say sid: 5\"; content:\"a sid:1\"; sid:1;)", 0, NULL },
	{ U "(pcre:\"/a\\x22 sid:1/\"; sid:1;)", 0, NULL },
	{ U "(toy.unit:\"1\"; sid:1;)", 40, "without quotes" },
	{ U "(sid:1;) # why", 43, "text behind the closing parenthesis" },
	{ U "(toy.request.function:fetsh; sid:1;)", 52, "it has read, write, restart, \"fetch, all\"" },
	{ U "(toy.request.function:\"fetch, all\"; sid:1;)", 0, NULL },
	{ U "(toy.request.function:[on,\"fetch, all\"]; sid:1;)", 0, NULL },
	{ U "(toy.request.function:!\"fetch, all\"; sid:1;)", 0, NULL },
	{ U "(toy.request.function:\"fetch, al\"; sid:1;)", 52, "the nearest is \"fetch, all\"" },
};

static void
test_parse(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(parse_cases); i++) {
		const struct parse_case *c = &parse_cases[i];
		struct ruleset *set = toy_ruleset(c->text);
		unsigned int count;
		const struct rule_error *errors = ruleset_errors(set, &count);

		if (c->column == 0) {
			if (count != 0)
				fail_msg("%s: refused at %u: %s", c->text, errors[0].column, errors[0].reason);
			assert_int_equal(ruleset_count(set), 1);
		} else {
			if (count != 1)
				fail_msg("%s: not refused", c->text);
			if (strstr(errors[0].reason, c->reason) == NULL || errors[0].column != c->column)
				fail_msg("%s: column %u: %s (wanted %u: %s)", c->text, errors[0].column, errors[0].reason, c->column,
					c->reason);
			assert_string_equal(errors[0].file, "toy.rules");
			assert_int_equal(errors[0].line, 1);
		}
		ruleset_destroy(set);
	}
}

static void
test_meta(void **state)
{
	static const char text[] = "# a comment\n\n"
		"alert udp any any -> any any (msg:\"semi\\; colon\"; classtype:attempted-recon; \\\n"
		"  reference:url,x.org; metadata:tech T0855, tech T0800, by us; target:dest_ip; sid:7; rev:3;)\r\n"
		"broken\n"
		"alert udp any any -> any any (msg:\"later\"; priority:1; sid:8;)\n"
		"alert udp any any -> any any (msg:\"again\"; sid:8;)\n"
		"alert udp any any -> any any (msg:\"newer\"; sid:8; rev:2;)\n";
	struct ruleset *set = toy_ruleset(text);
	unsigned int count;
	const struct rule_error *errors = ruleset_errors(set, &count);

	(void)state;
	assert_int_equal(count, 2);
	assert_int_equal(errors[0].line, 5);
	assert_int_equal(errors[1].line, 7);
	assert_int_equal(errors[1].sid, 8);
	assert_int_equal(ruleset_count(set), 2);
	const struct rule_meta *meta = ruleset_meta(set, 0);

	assert_int_equal(meta->sid, 7); /* priority 2 of its class comes before 3 */
	assert_string_equal(meta->msg, "semi; colon");
	assert_string_equal(meta->category, "Attempted Information Leak");
	assert_int_equal(meta->severity, 2);
	assert_int_equal(meta->rev, 3);
	assert_int_equal(meta->line, 3);
	assert_string_equal(meta->metadata_json, "{\"tech\":[\"T0855\",\"T0800\"],\"by\":[\"us\"]}");
	assert_string_equal(meta->references_json, "[\"url,x.org\"]");
	assert_string_equal(meta->target, "dest_ip");
	assert_string_equal(ruleset_meta(set, 1)->msg, "newer");
	assert_null(ruleset_meta(set, 2));
	ruleset_destroy(set);
}

/* A comment is its line, whatever that ends with, and the indented lines that it goes on in; a sid is given once. */
static void
test_comments(void **state)
{
	static const char text[] = "# of C:\\rules\\\n"
		"alert udp any any -> any any (ttl:1; sid:1;)\n"
		"#alert udp any any -> any any (ttl:1; \\\n"
		"   msg:\"still\"; \\ \r\n"
		"\tsid:2;)\n"
		"  # indented \\\n"
		"  sid:3;)\n"
		"alert udp any any -> any any (ttl:1; \\\n"
		"sid:4;)\n# \\";
	struct ruleset *set = toy_ruleset(text);
	unsigned int count;

	(void)state;
	ruleset_errors(set, &count);
	assert_int_equal(count, 0);
	assert_int_equal(ruleset_count(set), 2);
	assert_int_equal(ruleset_meta(set, 0)->line, 2);
	assert_int_equal(ruleset_meta(set, 1)->line, 8);
	ruleset_destroy(set);
}

static void
test_create_fails_clean(void **state)
{
	static const char text[] = "alert udp [10.0.0.0/8,!10.0.0.1] any -> any [1:20,502] (content:\"abcdef\"; nocase; pcre:\"/x+/\"; "
		"flowbits:set,a; metadata:a b; reference:url,x; classtype:misc-attack; sid:1;)\n"
		"alert udp any any -> any 502 (content:\"|01|\"; offset:7; depth:1; sid:2;)\n"
		"alert toy any any -> any any (toy.unit:3; toy_data; content:\"q\"; sid:3;)\nbad\n";
	struct rule_config config = toy_config();
	struct config_error err;
	struct ruleset *set = NULL;
	struct rule_matcher *matcher = NULL;

	(void)state;
	TEST_FAIL_EACH_ALLOC(ruleset_create_text(&set, "t", text, &config, &toy_world, &err), == 0, ruleset_destroy(set));
	set = toy_ruleset(text);
	assert_int_equal(ruleset_count(set), 3);
	TEST_FAIL_EACH_ALLOC(rule_matcher_create(&matcher, set, &config, NULL), == 0, rule_matcher_destroy(matcher));
	ruleset_destroy(set);
}

/* Files, globs, thresholds, and what a damaged cache does. */
static void
test_files_and_cache(void **state)
{
	char dir[TEST_FOLDER_LEN], path[128], command[192];
	struct rule_config config = toy_config();
	struct config_error err;
	struct ruleset *set = NULL;

	(void)state;
	assert_int_equal(test_folder_make(dir, "/tmp", "test_rule_parse"), 0);
	snprintf(path, sizeof(path), "%s/a.rules", dir);
	FILE *file = fopen(path, "w");

	fputs("alert udp any any -> any any (content:\"abcdef\"; sid:1;)\nalert udp any any -> any 99 (content:\"abcdef\"; sid:2;)\n", file);
	fclose(file);
	config.rule_files = json_pack("[s]", dir);
	config.cache_dir = dir;
	for (unsigned int round = 0; round < 3; round++) {
		if (round == 2) { /* one flipped byte in the middle */
			snprintf(command, sizeof(command), "for f in %s/*.hs; do printf x | dd of=$f bs=1 seek=200 conv=notrunc 2>/dev/null; done",
				dir);
			assert_int_equal(system(command), 0);
		}
		assert_int_equal(ruleset_create(&set, &config, &toy_world, NULL, &err), 0);
		const struct ruleset_stats *stats = ruleset_stats_get(set);

		assert_int_equal(stats->rules_loaded, 2);
		assert_int_equal(stats->databases, 1); /* the same pattern twice is one database */
		assert_int_equal(stats->cache_loaded, round == 1);
		assert_int_equal(stats->cache_stored, round != 1);
		assert_int_equal(stats->cache_discarded, round == 2);
		ruleset_destroy(set);
	}
	json_decref(config.rule_files);
	config.rule_files = json_pack("[s]", "/nonexistent/x.rules");
	assert_int_equal(ruleset_create(&set, &config, &toy_world, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, "x.rules"));
	json_decref(config.rule_files);
	assert_int_equal(test_folder_remove(dir), 0);
}

/* What editors leave: the mark in front, ends of lines of another system, none at the end. A rule that is too long is refused, and a
 * comment is none. */
static void
test_odd_files(void **state)
{
	struct rule_config config = toy_config();
	struct config_error err;
	struct ruleset *set = NULL;
	enum { LONG_LEN = 1 << 20 }; /* longer than a rule may be */
	char *long_word = malloc(LONG_LEN + 1);
	char dir[TEST_FOLDER_LEN], path[96];

	(void)state;
	memset(long_word, 'x', LONG_LEN);
	long_word[LONG_LEN] = '\0';
	assert_int_equal(test_folder_make(dir, "/tmp", "test_rule_parse"), 0);
	snprintf(path, sizeof(path), "%s/a.rules", dir);
	FILE *file = fopen(path, "w");

	fputs("\xef\xbb\xbf" "alert udp any any -> any any (content:\"abc\"; sid:1;)\r\n", file);
	fprintf(file, "# %s\n", long_word);
	fprintf(file, "alert udp any any -> any any (msg:\"%s\"; sid:2;)\n", long_word);
	fputs("alert udp any any -> any any (content:\"abc\"; sid:3;)", file);
	fclose(file);
	config.rule_files = json_pack("[s]", path);
	assert_int_equal(ruleset_create(&set, &config, &toy_world, NULL, &err), 0);
	free(long_word);
	assert_int_equal(ruleset_stats_get(set)->rules_loaded, 2);
	assert_int_equal(ruleset_stats_get(set)->rules_failed, 1);
	ruleset_destroy(set);
	json_decref(config.rule_files);
	assert_int_equal(test_folder_remove(dir), 0);
}

/* A fault is told where it stands in the file, whichever of its rule's lines that is. */
static void
test_places(void **state)
{
	static const struct {
		const char *text;
		unsigned int line, column, sid;
		const char *reason;
	} cases[] = {
		{ "# first\n  " U "(contnt:\"a\"; sid:1;)\n", 2, 33, 1, "not known" },
		{ U "( \\\n msg:\"x\"; \\\n\tcontnt:\"a\"; \\\nsid:1;)\n", 3, 2, 1, "not known" },
		{ U "( \\ \r\n contnt:\"a\"; \\\r\n sid:1;)\r\n", 2, 2, 1, "not known" },
		{ U "(content:\"a\"; sid:1; \\\n\\\n\\\n rev:x;)", 4, 6, 1, "not a number" },
		{ U "(sid:99999999999;)\n", 1, 35, 0, "not a number" },
		{ U "(content:\"a\";)\n", 1, 1, 0, "sid is missing" },
		{ "\xff\xfe" "a\nl\ne", 1, 1, 0, "UTF-16" },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		struct ruleset *set = toy_ruleset(cases[i].text);
		unsigned int count;
		const struct rule_error *errors = ruleset_errors(set, &count);
		char sid[RULE_SID_TEXT_LEN], wanted[RULE_SID_TEXT_LEN] = "";

		assert_int_equal(count, 1);
		if (errors[0].line != cases[i].line || errors[0].column != cases[i].column || strstr(errors[0].reason, cases[i].reason) == NULL)
			fail_msg("case %u: %u:%u: %s", i, errors[0].line, errors[0].column, errors[0].reason);
		assert_int_equal(errors[0].sid, cases[i].sid);
		if (cases[i].sid != 0)
			snprintf(wanted, sizeof(wanted), " (sid %u)", cases[i].sid);
		assert_string_equal(rule_error_sid(&errors[0], sid), wanted);
		ruleset_destroy(set);
	}
}

/* Half a file would be half its rules: nothing is loaded, and the file is named. */
static void
test_files_that_cannot_be_read(void **state)
{
	static const struct {
		const char *path;
		int ret;
		const char *said;
	} rows[] = {
		{ "/dev/null", -EINVAL, "/dev/null: not a file that can be read" },
		{ "/proc/self/mem", -EIO, "/proc/self/mem: Input/output error" },
		{ "/proc/version", -EAGAIN, "/proc/version: changed while it was read" }, /* longer than its size says */
	};
	struct rule_config config = toy_config();

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct config_error err = { "" };
		struct ruleset *set = NULL;

		config.rule_files = json_pack("[s]", rows[i].path);
		assert_int_equal(ruleset_create(&set, &config, &toy_world, NULL, &err), rows[i].ret);
		assert_null(set);
		if (strstr(err.text, rows[i].said) == NULL)
			fail_msg("\"%s\" lacks \"%s\"", err.text, rows[i].said);
		json_decref(config.rule_files);
	}
}

/* A thousand mutations of the good rules: loaded or refused with a place, and matched, never a crash. */
static void
test_mutations(void **state)
{
	uint32_t seed = 12345;
	static const char odd[] = "\"\\;:()[]!|,<>&$-0\xff ";
	struct rule_config config = toy_config();
	struct packet packet = toy_packet(IP_PROTO_UDP, "abcdefghijklmnop", 16);
	struct rule_hits hits;

	(void)state;
	for (unsigned int round = 0; round < 1000; round++) {
		char text[512];
		unsigned int count;

		snprintf(text, sizeof(text), "%s", parse_cases[round % TEST_COUNT(parse_cases)].text);
		size_t len = strlen(text);

		for (unsigned int n = 0; n <= round % 4; n++) {
			seed = seed * 1664525 + 1013904223;
			size_t at = (seed >> 8) % len;

			if ((seed >> 4 & 3) == 0) {
				memmove(text + at, text + at + 1, len - at);
				len--;
			} else {
				text[at] = odd[(seed >> 20) % (sizeof(odd) - 1)];
			}
		}
		struct ruleset *set = toy_ruleset(text);
		const struct rule_error *errors = ruleset_errors(set, &count);
		struct rule_matcher *matcher;

		for (unsigned int i = 0; i < count; i++)
			assert_true(errors[i].reason[0] != '\0' && errors[i].column > 0);
		assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
		rule_hits_reset(&hits);
		rule_match_packet(matcher, &packet, NULL, &hits);
		rule_matcher_destroy(matcher);
		ruleset_destroy(set);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_meta), cmocka_unit_test(test_comments),
		cmocka_unit_test(test_create_fails_clean),
		cmocka_unit_test(test_files_and_cache),
		cmocka_unit_test(test_odd_files),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_files_that_cannot_be_read),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
