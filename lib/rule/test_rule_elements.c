/* Numbers as rules write them, and which numbers of a list are meant: of VLAN tags, and of arrays of records. */
#include "lib/rule/test_bench.h"

static const uint16_t tags[] = { 100, 200, 100 };

/* By the number of tags, 0 to 3. */
static const struct {
	const char *value, *fires;
} vlans[] = {
	{ "100", "0111" }, { "200", "0011" }, { "!100", "0011" }, { ">100,any", "0011" },
	{ "100,all", "0100" }, { ">=100,all", "0111" }, { "100,all_or_absent", "1100" }, { "200,or_absent", "1011" },
	{ "100,0", "0111" }, { "200,1", "0011" }, { "100,2", "0001" }, { "100,-1", "0101" }, { "200,-2", "0001" },
	{ "100,-3", "0001" }, { "200,oob_or 1", "1111" }, { "100,oob_or 2", "1111" }, { "200,oob_or 2", "1110" },
	{ "100,nb>1", "0001" }, { "100,nb 1", "0110" }, { "100,nb<1", "1000" },
	{ "200,any,1:3", "0001" }, { "100,any,1:3", "0001" }, { "100,all,0:1", "0111" }, { "100,all,-1:0", "0000" },
	{ "100,nb=1,-2:2", "0010" }, { "count >1", "0011" }, { "count 0", "1000" }, { "count 0-3", "0110" },
	{ "[100,200],all", "0111" }, { "[200,300],-1", "0010" }, { "&0x40=0x40", "0111" }, { "&0x60!=0x60", "0011" },
};

static void
test_vlan(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(vlans); i++) {
		char text[160], fired[5] = "0000";
		struct bench b;

		snprintf(text, sizeof(text), "alert udp any any -> any any (vlan.id:%s; sid:1;)", vlans[i].value);
		bench_begin(&b, text, IP_PROTO_UDP);
		for (uint8_t count = 0; count < 4; count++) {
			struct packet packet = toy_packet(IP_PROTO_UDP, "", 0);

			packet.vlan_count = count;
			memcpy(packet.vlan, tags, count * sizeof(tags[0]));
			rule_hits_reset(&b.hits);
			rule_match_packet(b.matcher, &packet, &b.flow, &b.hits);
			fired[count] = (char)('0' + b.hits.count);
		}
		if (strcmp(fired, vlans[i].fires) != 0)
			fail_msg("vlan.id:%s: %s, not %s", vlans[i].value, fired, vlans[i].fires);
		bench_end(&b);
	}
}

static const struct {
	const char *options, *reason;
} refused[] = {
	{ "vlan.id:100,some;", "is not a place" },   { "vlan.id:100,0,1;", "FROM:TO" },
	{ "vlan.id:100,any,1:x;", "FROM:TO" },        { "vlan.id:,0;", "number" },
	{ "vlan.id:count x;", "not a number" },       { "vlan.id:100,nb;", "number" },
	{ "vlan.id:&0x40=0x41;", "beyond the mask" }, { "dsize:10xb;", "not a number" },
	{ "vlan.id:4096;", "from 0 to 4095" },        { "ttl:256;", "from 0 to 255" },
	{ "ttl:>255;", "from 0 to 255" },             { "ttl:[1,300];", "from 0 to 255" },
	{ "dsize:<0;", "from 0 to 65535" },           { "tos:x100;", "from 0 to 255" },
	{ "vlan.layers:1-2;", "between 1 and 2" },    { "dsize:5<>5;", "is empty" },
	{ "toy.unit:4-5;", "between 4 and 5" },       { "toy.unit:256;", "from 0 to 255" },
	{ "vlan.id:1,nb 1-2;", "between 1 and 2" },   { "ip_proto:256;", "from 0 to 255" },
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(refused); i++) {
		unsigned int count;
		char text[160];

		snprintf(text, sizeof(text), "alert udp any any -> any any (%s sid:1;)", refused[i].options);
		struct ruleset *set = toy_ruleset(text);
		const struct rule_error *errors = ruleset_errors(set, &count);

		if (count != 1 || strstr(errors[0].reason, refused[i].reason) == NULL)
			fail_msg("%s: %s", refused[i].options, count == 0 ? "not refused" : errors[0].reason);
		ruleset_destroy(set);
	}
}

static void
test_units(void **state)
{
	static uint8_t payload[3000];
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp any any -> any any (dsize:>1kb; sid:1;)\n"
			"alert udp any any -> any any (dsize:<2 KiB; sid:2;)\n"
			"alert udp any any -> any any (dsize:<1mb; sid:3;)\n"
			"alert udp any any -> any any (dsize:&0xfff=3000; sid:4;)\n", IP_PROTO_UDP);
	struct packet packet = toy_packet(IP_PROTO_UDP, payload, sizeof(payload));

	rule_hits_reset(&b.hits);
	rule_match_packet(b.matcher, &packet, &b.flow, &b.hits);
	assert_int_equal(b.hits.count, 3);
	assert_int_equal(b.hits.hit[0].sid, 1);
	assert_int_equal(b.hits.hit[1].sid, 3);
	assert_int_equal(b.hits.hit[2].sid, 4);
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
