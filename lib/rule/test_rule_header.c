/* What rules ask of headers, and whom their thresholds and bits are kept for. */
#include "lib/rule/test_bench.h"

static unsigned int
count_of(struct bench *b, const struct packet *packet)
{
	rule_hits_reset(&b->hits);
	rule_match_packet(b->matcher, packet, &b->flow, &b->hits);
	return b->hits.count;
}

/* Whether a rule of any protocol fires on the packet. */
static bool
fires(const char *options, const struct packet *packet)
{
	char text[256];
	struct bench b;

	snprintf(text, sizeof(text), "alert ip %s sid:1;)", options);
	bench_begin(&b, text, packet->ip_proto);
	unsigned int count = count_of(&b, packet);

	bench_end(&b);
	return count == 1;
}

#define ANY "any any -> any any ("

/* Type, code, checksum, identifier or what other messages have there, sequence number. */
static const struct {
	const char *options;
	uint8_t ip_proto, type;
	bool hit;
} icmp_cases[] = {
	{ ANY "icmp_id:0;", IP_PROTO_ICMP, 8, true },          { ANY "icmp_seq:0;", IP_PROTO_ICMP, 0, true },
	{ ANY "icmp_id:0;", IP_PROTO_ICMP, 3, false },         { ANY "icmp_seq:0;", IP_PROTO_ICMP, 3, false },
	{ ANY "icmp_id:!7;", IP_PROTO_ICMP, 5, false },        { ANY "icmp_seq:0;", IP_PROTO_ICMP, 40, false },
	{ ANY "icmp_id:0;", IP_PROTO_ICMP, 13, true },         { ANY "icmp_seq:0;", IP_PROTO_ICMP, 17, true },
	{ ANY "icmp_id:0;", IP_PROTO_ICMPV6, 128, true },      { ANY "icmp_seq:0;", IP_PROTO_ICMPV6, 129, true },
	{ ANY "icmp_id:0;", IP_PROTO_ICMPV6, 2, false },       { ANY "icmp_seq:0;", IP_PROTO_ICMPV6, 8, false },
};

static void
test_icmp(void **state)
{
	static const uint8_t message[16];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(icmp_cases); i++) {
		struct packet packet = toy_packet(icmp_cases[i].ip_proto, message, sizeof(message));

		packet.icmp_type = icmp_cases[i].type;
		if (fires(icmp_cases[i].options, &packet) != icmp_cases[i].hit)
			fail_msg("%s of type %u", icmp_cases[i].options, icmp_cases[i].type);
	}
}

static const struct {
	const char *options;
	uint8_t flags;
	bool hit;
} flag_cases[] = {
	{ ANY "flags:0;", 0, true },            { ANY "flags:0;", TCP_FIN, false },
	{ ANY "flags:!0;", 0, false },          { ANY "flags:!0;", TCP_FIN, true },
	{ ANY "flags:!0;", TCP_SYN | TCP_ACK, true }, { ANY "flags:0+;", TCP_SYN, false },
	{ ANY "flags:-SF;", TCP_SYN, false },   { ANY "flags:-SF;", TCP_ACK, true },
	{ ANY "flags:=S;", TCP_SYN, true },     { ANY "flags:=S;", TCP_SYN | TCP_ACK, false },
	{ ANY "flags:!SA;", TCP_SYN, true },    { ANY "flags:!SA;", TCP_SYN | TCP_ACK | TCP_PSH, false },
};

static void
test_flags(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(flag_cases); i++) {
		struct packet packet = toy_packet(IP_PROTO_TCP, "", 0);

		packet.tcp_flags = flag_cases[i].flags;
		if (fires(flag_cases[i].options, &packet) != flag_cases[i].hit)
			fail_msg("%s of %x", flag_cases[i].options, flag_cases[i].flags);
	}
}

static const struct {
	const char *options;
	uint8_t ip_proto, tos;
	bool hit;
} ip_cases[] = {
	{ ANY "tos:x12;", IP_PROTO_UDP, 0x12, true },      { ANY "tos:X12;", IP_PROTO_UDP, 12, false },
	{ ANY "tos:! x12;", IP_PROTO_UDP, 0x12, false },   { ANY "tos:!x12;", IP_PROTO_UDP, 12, true },
	{ ANY "tos:12;", IP_PROTO_UDP, 12, true },         { ANY "tos:0x12;", IP_PROTO_UDP, 0x12, true },
	{ ANY "ip_proto:EIGRP;", 88, 0, true },            { ANY "ip_proto:!rsvp;", 46, 0, false },
	{ ANY "ip_proto:ipip;", 94, 0, true },             { ANY "ip_proto:ipencap;", 4, 0, true },
	{ ANY "ip_proto:46-50;", 47, 0, true },            { ANY "ip_proto:47-50;", 47, 0, false },
};

static void
test_ip(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(ip_cases); i++) {
		const uint8_t header[20] = { 0x45, ip_cases[i].tos };
		struct packet packet = toy_packet(ip_cases[i].ip_proto, header, sizeof(header));

		if (fires(ip_cases[i].options, &packet) != ip_cases[i].hit)
			fail_msg("%s", ip_cases[i].options);
	}
}

/* "::/0" is what has an address of IPv6. */
static const struct {
	const char *header;
	bool v4, v6;
} address_cases[] = {
	{ "any any -> any any (ttl:0;", true, true },           { "::/0 any -> any any (ttl:0;", false, true },
	{ "!::/0 any -> any any (ttl:0;", true, false },        { "0.0.0.0/0 any -> any any (ttl:0;", true, false },
	{ "!0.0.0.0/0 any -> any any (ttl:0;", false, true },   { "[0.0.0.0/0,::/0] any -> any any (ttl:0;", true, true },
	{ "[any,!::/0] any -> any any (ttl:0;", true, false },  { "[::/0,!fe80::/10] any -> any any (ttl:0;", false, false },
	{ "[0.0.0.0/0,[!10.0.0.0/8]] any -> any any (ttl:0;", false, false }, { "[[!10.0.0.0/8]] any -> any any (ttl:0;", false, true },
	{ "![!10.0.0.0/8] any -> any any (ttl:0;", true, false }, { "[[0.0.0.0/0,!10.0.0.0/8],10.0.0.1] any -> any any (ttl:0;", true, false },
	{ "[::/0,[!fe80::/10,[!10.0.0.0/8]]] any -> any any (ttl:0;", false, false }, { "[![!10.0.0.1,10.0.0.0/8],fe80::/10] any -> any any (ttl:0;", false, true },
	{ "[::/1,!::/8] any -> any any (ttl:0;", false, false }, { "::-ffff:: any -> any any (ttl:0;", false, true },
};

static void
test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(address_cases); i++) {
		struct packet v4 = toy_packet(IP_PROTO_UDP, "", 0), v6 = v4;

		v6.ip_version = 6;
		v6.src.bytes[0] = 0xfe;
		v6.src.bytes[1] = 0x80;
		if (fires(address_cases[i].header, &v4) != address_cases[i].v4 || fires(address_cases[i].header, &v6) != address_cases[i].v6)
			fail_msg("%s", address_cases[i].header);
	}
}

/* What has no ports has none that a rule could name, nor one that is not another. */
static void
test_no_ports(void **state)
{
	static const char *const rules[] = { "any any -> any !80 (ttl:0;", "any !80 -> any any (ttl:0;", "any any -> any [0:600] (ttl:0;" };

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rules); i++) {
		struct packet udp = toy_packet(IP_PROTO_UDP, "", 0), icmp = toy_packet(IP_PROTO_ICMP, "", 0), gre = toy_packet(47, "", 0);

		icmp.sport = icmp.dport = gre.sport = gre.dport = 0;
		gre.flags &= ~(uint32_t)PACKET_L4;
		if (!fires(rules[i], &udp) || fires(rules[i], &icmp) || fires(rules[i], &gre))
			fail_msg("%s", rules[i]);
	}
}

/* A fragment is of its datagram's protocol and has no ports. */
static void
test_fragments(void **state)
{
	static const struct {
		const char *rule;
		bool hit;
	} fragment_cases[] = {
		{ "alert udp any any -> any any (ttl:0; sid:1;)", true },     { "alert tcp any any -> any any (ttl:0; sid:1;)", false },
		{ "alert udp any any -> any !80 (ttl:0; sid:1;)", false },    { "alert udp any 0 -> any any (ttl:0; sid:1;)", false },
		{ "alert ip any any -> any any (content:\"abcd\"; sid:1;)", false }, { "alert udp any any -> any any (dsize:0; sid:1;)", true },
		{ "alert udp any any -> any any (flow:only_frag; ttl:0; sid:1;)", false }, { "alert udp any any -> any any (flow:no_frag; ttl:0; sid:1;)", true },
		{ "alert ip any any -> any any (flow:only_stream; ttl:0; sid:1;)", false }, { "alert udp any any -> any any (flow:not_established; ttl:0; sid:1;)", true },
		{ "alert udp any any -> any any (flow:established; ttl:0; sid:1;)", false },
	};
	struct packet packet = toy_packet(IP_PROTO_UDP, "", 0);

	(void)state;
	packet.sport = packet.dport = 0;
	packet.flags = PACKET_IP | PACKET_FRAGMENT;
	for (size_t i = 0; i < TEST_COUNT(fragment_cases); i++) {
		struct bench b;

		bench_begin(&b, fragment_cases[i].rule, IP_PROTO_UDP);
		rule_hits_reset(&b.hits);
		rule_match_packet(b.matcher, &packet, NULL, &b.hits);
		if ((b.hits.count == 1) != fragment_cases[i].hit)
			fail_msg("%s", fragment_cases[i].rule);
		bench_end(&b);
	}
}

/* by_both is of two ends, whichever of them sends. */
static void
test_both_ends(void **state)
{
	struct packet there = toy_packet(IP_PROTO_UDP, "", 0), back = there, other = there;
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp any any -> any any (ttl:0; threshold:type limit, track by_both, count 1, seconds 60; sid:1;)", IP_PROTO_UDP);
	back.src = there.dst;
	back.dst = there.src;
	other.src.bytes[3] = 3;
	assert_int_equal(count_of(&b, &there), 1);
	assert_int_equal(count_of(&b, &back), 0);
	assert_int_equal(count_of(&b, &other), 1);
	bench_end(&b);
}

/* Bits of hosts hold five minutes, of xbits half of one, where no time is given. */
static void
test_bits_expire(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp any any -> any any (content:\"set\"; hostbits:set,h,src; xbits:set,x,track ip_src; noalert; sid:1;)\n"
			"alert udp any any -> any any (content:\"ask\"; hostbits:isset,h,src; sid:2;)\n"
			"alert udp any any -> any any (content:\"ask\"; xbits:isset,x,track ip_src; sid:3;)\n", IP_PROTO_UDP);
	assert_int_equal(bench_udp(&b, "set", 100), 0);
	assert_int_equal(bench_udp(&b, "ask", 130), 2);
	assert_int_equal(bench_udp(&b, "ask", 131), 1);
	assert_int_equal(bench_udp(&b, "ask", 400), 1);
	assert_int_equal(bench_udp(&b, "ask", 401), 0);
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_icmp),       cmocka_unit_test(test_flags),
		cmocka_unit_test(test_ip),         cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_no_ports),   cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_both_ends),  cmocka_unit_test(test_bits_expire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
