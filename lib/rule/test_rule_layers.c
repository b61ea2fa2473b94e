/* Keywords that walk a structure of their own: elements of BER, chunks of SCTP, messages of IGMP; and phases of a TCP connection. */
#include <stdlib.h>

#include "lib/rule/test_bench.h"

/* Whether a rule fires on a packet with this payload, which ends where its block does. */
static bool
fires(const char *options, uint8_t ip_proto, const void *payload, uint32_t len, struct flow *flow)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	char text[256];
	struct bench b;

	snprintf(text, sizeof(text), "alert %s any any -> any any (%s sid:1;)",
		ip_proto == IP_PROTO_SCTP ? "sctp" : ip_proto == IP_PROTO_IGMP || ip_proto == IP_PROTO_GRE ? "igmp" : ip_proto == IP_PROTO_TCP ? "tcp" : "udp", options);
	bench_begin(&b, text, ip_proto);
	memcpy(copy, payload, len);
	struct packet packet = toy_packet(ip_proto, copy, len);

	if (ip_proto == IP_PROTO_SCTP) {
		packet.l4_len = 12;
		packet.sctp_chunk_count = 2;
	}
	if (ip_proto == IP_PROTO_TCP)
		packet.tcp_flags = TCP_SYN;
	if (ip_proto == IP_PROTO_IGMP)
		packet.l4_len = (uint16_t)len;
	rule_hits_reset(&b.hits);
	rule_match_packet(b.matcher, &packet, flow != NULL ? flow : &b.flow, &b.hits);
	free(copy);
	bool fired = b.hits.count == 1;

	bench_end(&b);
	return fired;
}

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct {
	const char *options;
	const uint8_t *data;
	uint32_t len;
	bool hit;
} asn1_cases[] = {
	{ "asn1:oversize_length 127;", BYTES(0x30, 0x81, 0x80, 0x02, 0x01, 0x05), true },
	{ "asn1:oversize_length 128;", BYTES(0x30, 0x81, 0x80, 0x02, 0x01, 0x05), false },
	{ "asn1:oversize_length 100;", BYTES(0x30, 0x06, 0x02, 0x01, 0x05, 0x04, 0x82, 0x01), false }, /* its length is cut */
	{ "asn1:oversize_length 100;", BYTES(0x30, 0x07, 0x02, 0x01, 0x05, 0x04, 0x82, 0x01, 0x00), true },
	{ "asn1:oversize_length 100;", BYTES(0x30, 0x03, 0x02, 0x01, 0x05, 0x04, 0x7f), true }, /* behind the first element */
	{ "asn1:oversize_length 100;", BYTES(0x30, 0x80, 0x7f, 0x81, 0x01, 0x01, 0x00, 0x04, 0x7f), true }, /* long tag, no length */
	{ "asn1:oversize_length 100;", BYTES(0x04, 0x8a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), true },
	{ "asn1:oversize_length 100;", BYTES(0x04, 0x03, 0x04, 0x7f, 0x00), false }, /* nothing is inside what is primitive */
	{ "asn1:bitstring_overflow;", BYTES(0x03, 0x02, 0x08, 0xff), false },
	{ "asn1:bitstring_overflow;", BYTES(0x03, 0x02, 0x09, 0xff), true },
	{ "asn1:bitstring_overflow;", BYTES(0x30, 0x03, 0x03, 0x01, 0x01), true },
	{ "asn1:bitstring_overflow;", BYTES(0x83, 0x02, 0x09, 0xff), false }, /* of another class */
	{ "asn1:double_overflow;", BYTES(0x09, 0x82, 0x01, 0x01, 0x03), true },
	{ "asn1:double_overflow;", BYTES(0x09, 0x82, 0x01, 0x00, 0x03), false },
	{ "asn1:double_overflow;", BYTES(0x09, 0x82, 0x01, 0x01, 0x80), false }, /* binary */
	{ "asn1:double_overflow, bitstring_overflow;", BYTES(0x03, 0x01, 0x01), true },
	{ "asn1:bitstring_overflow, absolute_offset 2;", BYTES(0xaa, 0xbb, 0x03, 0x01, 0x01), true },
	{ "asn1:bitstring_overflow;", BYTES(0x0a, 0x01, 0x03, 0x01, 0x01), false },
	{ "content:\"|aa|\"; asn1:bitstring_overflow, relative_offset 1;", BYTES(0xaa, 0xbb, 0x03, 0x01, 0x01), true },
	{ "content:\"|bb 03|\"; asn1:bitstring_overflow, relative_offset -1;", BYTES(0xaa, 0xbb, 0x03, 0x01, 0x01), true },
	{ "content:\"|aa|\"; asn1:bitstring_overflow, relative_offset 9;", BYTES(0xaa, 0xbb, 0x03, 0x01, 0x01), false },
	{ "content:\"|aa|\"; asn1:bitstring_overflow, relative_offset 1;", BYTES(0xaa, 0xaa, 0xbb, 0x03, 0x01, 0x01), true }, /* the second */
};

static void
test_asn1(void **state)
{
	uint8_t deep[200];

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(asn1_cases); i++)
		if (fires(asn1_cases[i].options, IP_PROTO_UDP, asn1_cases[i].data, asn1_cases[i].len, NULL) != asn1_cases[i].hit)
			fail_msg("%u: %s: %s", i, asn1_cases[i].options, asn1_cases[i].hit ? "did not fire" : "fired");
	for (unsigned int i = 0; i < sizeof(deep); i++) /* each holds the next, and none ends */
		deep[i] = i % 2 == 0 ? 0x30 : 0x80;
	for (uint32_t len = 0; len <= sizeof(deep); len++)
		assert_false(fires("asn1:oversize_length 1, bitstring_overflow, double_overflow;", IP_PROTO_UDP, deep, len, NULL));
}

static const uint8_t sctp[] = { 1, 2, 3, 4, 0, 0, 0xbe, 0xef, 0, 0, 0, 0, /* common header */
	3, 0, 0, 5, 9, 0, 0, 0,                                               /* SACK, too short, padded */
	0, 3, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 46, 't', 'e', 's', 't' }; /* DATA */

static void
test_sctp(void **state)
{
	static const struct {
		const char *options;
		bool hit;
	} cases[] = {
		{ "sctp.vtag:48879;", true },
		{ "sctp.vtag:<48879;", false },
		{ "sctp.chunk_cnt:2;", true },
		{ "sctp.chunk_cnt:>2;", false },
		{ "sctp.chunk_type:data;", true },
		{ "sctp.chunk_type:3;", true },
		{ "sctp.chunk_type:init;", false },
		{ "sctp.chunk_data; content:\"test\"; bsize:4;", true },
		{ "sctp.chunk_data; content:\"tesu\";", false },
		{ "sctp.hdr; content:\"|be ef|\"; offset:6; depth:2; content:\"test\"; endswith;", true },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		if (fires(cases[i].options, IP_PROTO_SCTP, sctp, sizeof(sctp), NULL) != cases[i].hit)
			fail_msg("%s: %s", cases[i].options, cases[i].hit ? "did not fire" : "fired");
		for (uint32_t len = 12; len < sizeof(sctp); len++) /* no chunk that is cut */
			if (strstr(cases[i].options, "chunk_data") != NULL || strstr(cases[i].options, "type:data") != NULL)
				assert_false(fires(cases[i].options, IP_PROTO_SCTP, sctp, len, NULL));
	}
	assert_false(fires("content:\"a\"; tcp.session:setup;", IP_PROTO_TCP, "a", 1, NULL));
}

static void
test_session(void **state)
{
	static const char *const phases[] = { "tcp.session:setup;", "tcp.session:established;", "tcp.session:closing;" };
	struct flow flow = toy_flow(IP_PROTO_TCP);

	(void)state;
	for (unsigned int tcp_state = FLOW_TCP_SYN_SENT; tcp_state < FLOW_TCP_STATE_COUNT; tcp_state++) {
		unsigned int phase = tcp_state < FLOW_TCP_ESTABLISHED ? 0 : tcp_state == FLOW_TCP_ESTABLISHED ? 1 : 2;

		flow.tcp_state = (uint8_t)tcp_state;
		for (unsigned int i = 0; i < TEST_COUNT(phases); i++)
			assert_int_equal(fires(phases[i], IP_PROTO_TCP, "a", 1, &flow), i == phase);
		assert_int_equal(fires("tcp.session:setup, closing;", IP_PROTO_TCP, "a", 1, &flow), phase != 1);
	}
}

/* The header's protocol: IGMP and nothing else. Its messages have no payload, and end where their records end. */
static void
test_igmp(void **state)
{
	static const uint8_t message[] = { 0x16, 0, 0, 0, 224, 0, 0, 9 };

	(void)state;
	assert_true(fires("igmp.hdr; content:\"|e0 00 00 09|\"; offset:4; endswith;", IP_PROTO_IGMP, message, sizeof(message), NULL));
	assert_true(fires("igmp.type:22;", IP_PROTO_IGMP, message, sizeof(message), NULL));
	assert_false(fires("igmp.type:17;", IP_PROTO_IGMP, message, sizeof(message), NULL));
	assert_true(fires("ttl:0;", IP_PROTO_IGMP, message, sizeof(message), NULL));
	assert_false(fires("ttl:0;", IP_PROTO_GRE, message, sizeof(message), NULL));
}

/* RFC 7413: what a SYN carries is in its own payload, and not yet in the stream. */
static void
test_syn(void **state)
{
	(void)state;
	assert_true(fires("flags:S; content:\"GET\";", IP_PROTO_TCP, "GET /", 5, NULL));
	assert_true(fires("flags:S+; content:\"GET\";", IP_PROTO_TCP, "GET /", 5, NULL));
	assert_false(fires("flags:SA; content:\"GET\";", IP_PROTO_TCP, "GET /", 5, NULL));
	assert_false(fires("flags:!A; content:\"GET\";", IP_PROTO_TCP, "GET /", 5, NULL)); /* asked of the stream */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asn1),
		cmocka_unit_test(test_sctp),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_igmp),
		cmocka_unit_test(test_syn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
