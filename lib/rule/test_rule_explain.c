/* What is said of rules: how they are found, that they can never fire, that they are costly, what they cost. */
#include <errno.h>

#include "lib/rule/test_toy.h"
#include "test/folder.h"

struct told {
	const char *options;
	const char *text; /* part of what is told; NULL: nothing may be */
};

static char told_text[256];
static unsigned int told_count;

static void
note(const struct rule_meta *meta, const char *text, void *arg)
{
	(void)meta;
	(void)arg;
	snprintf(told_text, sizeof(told_text), "%s", text);
	told_count++;
}

static void
check_told(const struct told *wanted)
{
	char text[512];

	snprintf(text, sizeof(text), "alert %s sid:1;)\n", wanted->options);
	struct ruleset *set = toy_ruleset(text);

	told_text[0] = '\0';
	told_count = 0;
	assert_true(ruleset_count(set) > 0);
	unsigned int count = ruleset_warnings(set, note, NULL);

	assert_int_equal(count, told_count);
	if (told_count != (wanted->text != NULL) || (told_count > 0 && strstr(told_text, wanted->text) == NULL))
		fail_msg("%s: told %s", text, told_count > 0 ? told_text : "nothing");
	ruleset_destroy(set);
}

static void
test_warnings(void **state)
{
	static const struct told cases[] = {
		{ "toy any any -> any any (flow:to_client; toy_indexed:unit 3;", "other direction" },
		{ "toy any any -> any any (flow:to_server; toy_indexed:unit 3;", NULL },
		{ "tcp any any -> any any (flowbits:isset,never; content:\"abcd\";", "sets the bit" },
		{ "tcp any any -> any any (flowbits:isnotset,never; content:\"abcd\";", NULL },
		{ "tcp any any -> any any (flowbits:set,b; content:\"abcd\"; sid:2;)\nalert tcp any any -> any any (flowbits:isset,b; content:\"wxyz\";", NULL },
		{ "tcp any any -> any any (flow.elephant:toserver;", "elephant" },
		{ "tcp any any -> any any (content:\"ab\";", "any port" },
		{ "tcp any any -> any 502 (content:\"ab\";", NULL },
		{ "tcp any any -> any 502 (pcre:\"/(a|b)/\";", "pcre" },
		{ "tcp any any -> any any (content:\"ab\"; offset:4; depth:2;", NULL },
		{ "toy any any -> any any (toy.request.function; content:\"abcd\";", "looks into the payload" },
		{ "toy any any -> any any (toy.request.function; pkt_data; content:\"abcd\";", NULL },
		{ "toy any any -> any any (toy.request.function:write; content:\"abcd\";", NULL },
		{ "toy any any -> any any (toy.request.data; content:\"abcd\";", NULL },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++)
		check_told(&cases[i]);
}

/* What loads elsewhere as well, but of which no packet is, or nothing that other rules leave. */
static const struct told never_cases[] = {
	{ "udp any any -> any any (flags:S;", "no packet of udp has flags" },
	{ "tcp any any -> any any (flags:S;", NULL },
	{ "udp any any -> any any (tcp.seq:0;", "has tcp.seq" },
	{ "tcp any any -> any any (itype:8;", "no packet of tcp has itype" },
	{ "icmp any any -> any any (itype:8;", NULL },
	{ "ipv6 any any -> any any (fragbits:M;", "no packet of ipv6 has fragbits" },
	{ "arp any any -> any any (ttl:3;", "no packet of arp has ttl" },
	{ "ether any any -> any any (ttl:3;", NULL },
	{ "ip any any -> any any (flags:S; itype:8;", "no packet has itype and what else" },
	{ "tcp any any -> any any (icmpv4-csum:invalid;", "has icmpv4-csum" },
	{ "icmp any 5 -> any any (itype:8;", "no packet of icmp has ports" },
	{ "ip any any -> any !80 (dsize:>5;", NULL },
	{ "ipv6 10.0.0.0/8 any -> any any (dsize:>5;", "that source address" },
	{ "ip 10.0.0.1 any -> fe80::1 any (dsize:>5;", "that destination address" },
	{ "ip ![10.0.0.1] any -> fe80::1 any (dsize:>5;", NULL },
	{ "arp any any -> any any (flow:established;", "no packet of arp has a flow" },
	{ "udp any any -> any any (toy.unit:3;", "the protocol toy" },
	{ "icmp any any -> any any (app-layer-event:toy.flooded;", "the protocol toy" },
	{ "ip any any -> any any (toy.unit:3;", NULL },
	{ "udp any any -> any any (app-layer-protocol:toy;", "app-layer-protocol" },
	{ "udp any any -> any any (app-layer-protocol:!toy;", NULL },
	{ "tcp any any -> any any (ip_proto:17;", "ip_proto" },
	{ "ip any any -> any any (ip_proto:17;", NULL },
	{ "igmp any any -> any any (igmp.type:0x11;", NULL },
	{ "udp any any -> any 53 (stream_size:client,>,4; content:\"abcd\";", "stream_size" },
	{ "udp any any -> any any (flow:only_stream; content:\"abcd\";", "only_stream" },
	{ "tcp any any -> any any (flow:only_stream; content:\"abcd\";", NULL },
	{ "udp any any -> any any (udp.hdr; content:\"|00|\"; offset:8;", "udp.hdr has at most 8" },
	{ "udp any any -> any any (udp.hdr; content:\"|00|\"; offset:7;", NULL },
	{ "udp any any -> any 1 (isdataat:100; dsize:<50;", "101 bytes are needed" },
	{ "udp any any -> any 1 (isdataat:48; dsize:<50;", NULL },
	{ "udp any any -> any 1 (byte_test:4,>,1,7; dsize:10;", "11 bytes are needed" },
	{ "udp any any -> any 1 (byte_test:4,>,1,6; dsize:10;", NULL },
	{ "udp any any -> any 1 (isdataat:!4; content:\"abcde\";", "5 bytes are needed" },
	{ "udp any any -> any 1 (content:\"abcde\"; isdataat:!4,relative;", NULL },
	{ "udp any any -> any any (fragbits:M; content:\"abcd\";", "fragments have neither" },
	{ "udp any any -> any 53 (fragoffset:>0;", "fragments have neither" },
	{ "tcp any any -> any any (fragbits:M; flags:!A;", "fragments have neither" },
	{ "ip any any -> any any (fragbits:M; ttl:3; ip_proto:2; ipopts:any; tos:1;", NULL },
	{ "udp any any -> any any (fragbits:M; dsize:<10;", NULL },
	{ "udp any any -> any any (fragbits:!M; content:\"abcd\";", NULL },
	{ "tcp any any -> any any (ttl:<5; ttl:>10;", "exclude each other" },
	{ "tcp any any -> any any (ttl:>5; ttl:<7;", NULL },
	{ "toy any any -> any any (toy.unit:3; toy.unit:4;", "exclude each other" },
	{ "toy any any -> any any (toy.points.index:3; toy.points.index:4;", NULL },
	{ "tcp any any -> any any (flowbits:set,a; content:\"wxyz\"; sid:2;)\nalert tcp any any -> any any (flowbits:isset,a; flowbits:isnotset,a; content:\"abcd\";",
		"not to be set" },
	{ "tcp any any -> any any (flowbits:isset,a; flowbits:set,a; content:\"abcd\";", "what sets the bit it asks for cannot" },
	{ "tcp any any -> any any (flowint:n,+,1; content:\"wxyz\"; sid:2;)\nalert tcp any any -> any any (flowint:n,isset; flowint:n,>,3; content:\"abcd\";", NULL },
	{ "tcp any any -> any any (flowint:n,>,3; content:\"abcd\";", "counts what it compares" },
	{ "tcp any any -> any any (content:\"user=\"; pcre:\"/user=(a+)/, flow:user\"; sid:2;)\nalert tcp any any -> any any (flowvar:user,\"aa\"; content:\"abcd\";", NULL },
	{ "tcp any any -> any any (flowvar:user,\"aa\"; content:\"abcd\";", "captures what it asks for" },
};

static void
test_never(void **state)
{

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(never_cases); i++)
		check_told(&never_cases[i]);
	/* what is refused elsewhere is refused */
	static const char *const refused[] = { "tcp any any -> any any (flow:only_stream,no_stream;", "ip any any -> any any (flow:only_frag,no_frag;",
		"tcp-stream any any -> any any (dsize:>5; content:\"abcd\";", "tcp-pkt any any -> any any (flow:only_stream; content:\"abcd\";",
		"udp any any -> any any (dsize:2; content:\"abc\";" };

	for (unsigned int i = 0; i < TEST_COUNT(refused); i++) {
		char text[512];

		snprintf(text, sizeof(text), "alert %s sid:1;)\n", refused[i]);
		struct ruleset *set = toy_ruleset(text);

		if (ruleset_count(set) > 0)
			fail_msg("%s loads", text);
		ruleset_destroy(set);
	}
}

/* What another rule leaves counts only where that rule can fire. */
static void
test_never_behind(void **state)
{
	struct ruleset *set = toy_ruleset("alert udp any any -> any any (flags:S; flowbits:set,dead; sid:1;)\n"
		"alert udp any any -> any any (flowbits:isset,dead; content:\"abcd\"; sid:2;)\n"
		"alert udp any any -> any any (flowbits:set,live; content:\"wxyz\"; sid:3;)\n"
		"alert udp any any -> any any (flowbits:isset,live; flowbits:set,more; content:\"wxyz\"; sid:4;)\n"
		"alert udp any any -> any any (flowbits:isset,more; content:\"wxyz\"; sid:5;)\n");

	(void)state;
	assert_int_equal(ruleset_warnings(set, note, NULL), 2);
	ruleset_destroy(set);
}

/* Chains against the order of the rules: each asks for a bit, or for either of two of which nobody sets the other, and sets the
 * next. The time of a look at each link is that of one look at all. */
static void
test_never_behind_chains(void **state)
{
	enum { LINKS = 2000 };
	size_t cap = LINKS * 160, len = 0;
	char *text = malloc(cap);

	(void)state;
	for (unsigned int begun = 0; begun < 2; begun++) {
		for (unsigned int i = 0; i < LINKS; i++)
			len += (size_t)snprintf(text + len, cap - len, "alert udp any any -> any 1 (dsize:%u; flowbits:isset,b%u%s; flowbits:set,b%u; sid:%u;)\n",
				i + 1, i + 1, i % 3 == 0 ? "|nobody" : "", i, i + 1);
		len += (size_t)snprintf(text + len, cap - len, "alert udp any any -> any 1 (flowbits:%s,b%u; dsize:5; sid:%u;)\n",
			begun != 0 ? "set" : "isnotset", LINKS, LINKS + 1);
		struct ruleset *set = toy_ruleset(text);

		assert_int_equal(ruleset_count(set), LINKS + 1);
		assert_int_equal(ruleset_warnings(set, note, NULL), begun != 0 ? 0 : LINKS);
		ruleset_destroy(set);
		len = 0;
	}
	free(text);
}

/* A rule of the same number that is no longer there is found by its place. */
static void
test_replaced(void **state)
{
	struct ruleset *set = toy_ruleset("alert udp any any -> any any (content:\"abcd\"; sid:1; rev:2;)\n"
		"\nalert udp any any -> any any (content:\"efgh\"; sid:1; rev:3;)\n");

	(void)state;
	assert_int_equal(ruleset_count(set), 1);
	assert_int_equal(ruleset_warnings(set, note, NULL), 1);
	assert_non_null(strstr(told_text, "the place of rev 2"));
	assert_non_null(strstr(told_text, ":1"));
	ruleset_destroy(set);
}

/* A class that the given file lacks is a slip; without a file nobody said which there are. */
static void
test_classes(void **state)
{
	static const char text[] = "alert udp any any -> any any (content:\"abcd\"; classtype:ot-writ; sid:1;)\n"
		"alert udp any any -> any any (content:\"abcd\"; classtype:ot-write; sid:2;)\n"
		"alert udp any any -> any any (content:\"abcd\"; classtype:bad-unknown; sid:3;)\n"
		"alert udp any any -> any any (content:\"abcd\"; sid:4;)\n";
	struct rule_config config = toy_config();
	char dir[TEST_FOLDER_LEN], path[96];
	struct config_error err;
	struct ruleset *set = toy_ruleset(text);

	(void)state;
	assert_int_equal(ruleset_warnings(set, note, NULL), 0);
	ruleset_destroy(set);
	assert_int_equal(test_folder_make(dir, "/tmp", "test_rule_explain"), 0);
	snprintf(path, sizeof(path), "%s/classification.config", dir);
	FILE *file = fopen(path, "w");

	fputs("config classification: ot-write,usual writes,3\n", file);
	fclose(file);
	config.classification_file = path;
	assert_int_equal(ruleset_create_text(&set, "r", text, &config, &toy_world, &err), 0);
	assert_int_equal(ruleset_warnings(set, note, NULL), 1);
	assert_non_null(strstr(told_text, "classification-file"));
	ruleset_destroy(set);
	assert_int_equal(test_folder_remove(dir), 0);
}

static void
test_explain(void **state)
{
	static const struct told cases[] = {
		{ "toy any any -> any any (toy.unit:3;", "a sieve: by toy.unit;" },
		{ "toy any any -> any any (toy.request.function:[write,restart];", "a sieve: by toy.request.function;" },
		{ "toy any any -> any any (toy.points.index:4;", "by toy.points.index;" },
		{ "toy any any -> any any (toy:unit 4;", "asked of every record" },
		{ "toy any any -> any any (toy.points.value:>1.5;", "fields it needs" },
		{ "toy any any -> any any (toy.request.data; content:\"reactor\";", "length of toy.request.data, a literal in" },
		{ "toy any any -> any any (toy.request.data; pcre:\"/rea.tor/\";", "a search by Hyperscan of toy.request.data" },
		{ "toy any any -> any any (toy.request.data; pcre:\"/^[^r]*rea.tor/\";", "length of toy.request.data;" },
		{ "toy any any -> any any (app-layer-event:toy.flooded;", "by its events" },
		{ "tcp any any -> any 502 (content:\"reactor\";", "the literal \"reactor\"" },
		{ "tcp any any -> any 502 (content:\"ab\"; depth:2;", "fixed place: offset 0, 2 bytes" },
		{ "tcp any any -> any 502 (content:\"a\";", "verified each time" },
		/* Runs of zeros are everywhere: anything else is better. A literal of the user's choice is, where places are as common. */
		{ "udp any any -> any any (content:\"|05 00 00|\"; startswith; content:\"|0f 00|\"; offset:22; depth:2; content:\"|00 00 00 00 00 00|\"; distance:0;",
			"fixed place: offset 0, 3 bytes, mask 0000000000ffffff; and offset 22, 2 bytes, mask 000000000000ffff" },
		{ "udp any any -> any any (content:\"|01|\"; offset:2; depth:1; content:\"|00 01 00 00 00|\"; distance:1; within:5; content:\"reactor\"; fast_pattern;",
			"the literal \"reactor\"" },
		{ "udp any any -> any any (content:\"|00 00 00 00 00 00|\"; content:\"|00 00 04|\"; offset:8; depth:3;", "fixed place: offset 8, 3 bytes" },
		{ "udp any any -> any any (content:\"|00 00 00 00 00 00|\"; content:\"|00 2a 00 2b|\";", "the literal \"\\u0000*\\u0000+\"" },
		{ "udp any any -> any any (content:\"ab\"; depth:2; content:\"reactor\";", "the literal \"reactor\"" },
		{ "toy any any -> any any (content:\"reactor\";", "each piece of a TCP stream of toy\n" },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		char text[512];
		struct buf out;

		snprintf(text, sizeof(text), "alert %s sid:1;)\n", cases[i].options);
		struct ruleset *set = toy_ruleset(text);

		assert_int_equal(buf_create(&out, 4096), 0);
		assert_int_equal(ruleset_explain(set, 1, 1, &out), 0);
		assert_int_equal(ruleset_explain(set, 1, 2, &out), -ENOENT);
		buf_putc(&out, '\0');
		assert_false(out.full);
		if (strstr(out.data, cases[i].text) == NULL)
			fail_msg("%s: %s", text, out.data);
		buf_destroy(&out);
		ruleset_destroy(set);
	}
}

static void
test_usage(void **state)
{
	struct ruleset *set = toy_ruleset("alert toy any any -> any any (toy.unit:3; threshold:type limit, track by_src, count 1, seconds 60; sid:1;)\n"
		"alert toy any 1 -> any any (toy.unit:3; sid:2;)\n");
	struct rule_config config = toy_config();
	struct packet packet = toy_packet(IP_PROTO_TCP, "", 0);
	struct toy_record record = { .unit = 3 };
	struct rule_message message = { .record = &record };
	struct rule_matcher *matcher = NULL;
	struct rule_usage usage[2] = { 0 };

	(void)state;
	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	for (unsigned int i = 0; i < 320; i++) {
		struct rule_hits hits = { 0 };

		rule_match_message(matcher, &packet, NULL, &message, &hits);
	}
	for (uint32_t i = 0; i < 2; i++)
		rule_matcher_usage(matcher, i, &usage[i]);
	assert_int_equal(usage[0].checks, 320);
	assert_int_equal(usage[0].matches, 320);
	assert_int_equal(usage[0].alerts, 1);
	assert_int_equal(usage[1].checks, 320); /* its port does not hold */
	assert_int_equal(usage[1].matches, 0);
	assert_int_equal(usage[0].measured + usage[1].measured, 640 / 64);
	assert_true(usage[0].ticks + usage[1].ticks > 0);
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_never_behind),
		cmocka_unit_test(test_never_behind_chains),
		cmocka_unit_test(test_replaced), cmocka_unit_test(test_classes), cmocka_unit_test(test_explain),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
