/* Headers with lengths inside: NSH, IGMP and UDP; protocol numbers that nobody has. */
#include "test/test.h"

#include "lib/packet/test_decoder.h"

enum { ETHER_TYPE_NSH = 0x894f, ETHERNET_LEN = 14, IPV4_LEN = 20 };

/** A service header of a metadata type, of words * 4 bytes, then an IPv4 datagram. */
static struct frame
nsh_frame(uint16_t version, uint8_t metadata_type, uint8_t words, uint8_t next)
{
	struct frame frame = { .len = 0 };

	frame_ethernet(&frame, ETHER_TYPE_NSH);
	frame_be16(&frame, (uint16_t)(version << 14 | 0x0fc0 | words));
	frame_be16(&frame, (uint16_t)(metadata_type << 8 | next));
	for (unsigned int i = 1; i < words; i++)
		frame_be32(&frame, 0x01020304);
	frame_ipv4(&frame, 0x0a000001, 0x0a000002, IP_PROTO_UDP, 7, 0);
	frame_udp(&frame, 1000, 2000);
	frame_put(&frame, "served", 6);
	frame_finish_ipv4(&frame);
	return frame;
}

static void
test_nsh(void **state)
{
	static const struct {
		uint8_t version, type, words, next;
		uint8_t event;
		bool invalid;
	} cases[] = {
		{ 0, 1, 6, 1, DECODE_EVENT_COUNT, false },
		{ 0, 2, 2, 1, DECODE_EVENT_COUNT, false },
		{ 0, 2, 9, 1, DECODE_EVENT_COUNT, false },
		{ 1, 1, 6, 1, DECODE_NSH_UNSUPPORTED_VERSION, false },
		{ 0, 1, 5, 1, DECODE_NSH_BAD_HEADER_LENGTH, true },
		{ 0, 2, 1, 1, DECODE_NSH_BAD_HEADER_LENGTH, true },
		{ 0, 0, 6, 1, DECODE_NSH_RESERVED_TYPE, false },
		{ 0, 15, 6, 1, DECODE_NSH_RESERVED_TYPE, false },
		{ 0, 3, 6, 1, DECODE_NSH_UNSUPPORTED_TYPE, false },
		{ 0, 1, 6, 0, DECODE_NSH_UNKNOWN_PAYLOAD, false },
		{ 0, 1, 6, 4, DECODE_NSH_UNKNOWN_PAYLOAD, false },
		{ 0, 1, 6, 200, DECODE_NSH_UNKNOWN_PAYLOAD, false },
	};

	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		struct frame frame = nsh_frame(cases[i].version, cases[i].type, cases[i].words, cases[i].next);
		bool whole = cases[i].event == DECODE_EVENT_COUNT;

		decode(&frame);
		assert_int_equal(packet_is(packet, PACKET_INVALID), cases[i].invalid);
		assert_int_equal(packet_is(packet, PACKET_FLOW), whole);
		assert_int_equal(packet_has_events(packet), !whole);
		if (whole)
			assert_memory_equal(packet->payload, "served", 6);
		else
			assert_true(packet_has_decode_event(packet, cases[i].event));
		assert_int_equal(counter_get(&counters[PACKET_COUNTER_NSH]), i + 1);
	}
}

static void
test_nsh_cut(void **state)
{
	struct frame frame = nsh_frame(0, 1, 6, 1);

	for (frame.len = ETHERNET_LEN; frame.len < ETHERNET_LEN + 24; frame.len++) {
		decode(&frame);
		assert_true(packet_is(packet, PACKET_INVALID));
		assert_true(packet_has_decode_event(packet, frame.len < ETHERNET_LEN + 8 ? DECODE_NSH_HEADER_TOO_SMALL :
			DECODE_NSH_BAD_HEADER_LENGTH));
	}
}

static struct frame
igmp_frame(const uint8_t *message, size_t len)
{
	struct frame frame = { .len = 0 };
	uint16_t sum;

	frame_ethernet(&frame, 0x0800);
	frame_ipv4(&frame, 0x0a000001, 0xe0000001, IP_PROTO_IGMP, 7, 0);
	frame_put(&frame, message, len);
	frame_finish_ipv4(&frame);
	sum = (uint16_t)~checksum_fold(checksum_add(0, frame.data + ETHERNET_LEN + IPV4_LEN, (uint32_t)len));
	memcpy(frame.data + ETHERNET_LEN + IPV4_LEN + 2, &sum, 2);
	return frame;
}

#define MESSAGE(...) { __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static void
test_igmp(void **state)
{
	static const struct {
		uint8_t message[32];
		size_t len;
		uint8_t version;
		uint32_t payload_len;
		uint8_t event;
	} cases[] = {
		{ MESSAGE(0x11, 0, 0, 0, 0, 0, 0, 0), 1, 0, DECODE_EVENT_COUNT },
		{ MESSAGE(0x11, 100, 0, 0, 0, 0, 0, 0), 2, 0, DECODE_EVENT_COUNT },
		{ MESSAGE(0x11, 100, 0, 0, 0, 0, 0, 0, 2, 60, 0, 1, 10, 0, 0, 9), 3, 0, DECODE_EVENT_COUNT },
		{ MESSAGE(0x11, 100, 0, 0, 0, 0, 0, 0, 2, 60, 0, 2, 10, 0, 0, 9), 3, 0, DECODE_IGMP_V3_PKT_TOO_SMALL },
		{ MESSAGE(0x12, 0, 0, 0, 224, 0, 0, 9), 1, 0, DECODE_EVENT_COUNT },
		{ MESSAGE(0x16, 0, 0, 0, 224, 0, 0, 9, 1, 2), 2, 2, DECODE_EVENT_COUNT },
		{ MESSAGE(0x17, 0, 0, 0, 224, 0, 0, 9), 2, 0, DECODE_EVENT_COUNT },
		{ MESSAGE(0xff, 0, 0, 0, 0, 0, 0, 0), IGMP_VERSION_NONE, 0, DECODE_EVENT_COUNT },
		{ MESSAGE(0x22, 0, 0, 0, 0, 0, 0, 1, 4, 1, 0, 1, 224, 0, 0, 9, 10, 0, 0, 1, 0, 0, 0, 0, 7), 3, 1, DECODE_EVENT_COUNT },
		{ MESSAGE(0x22, 0, 0, 0, 0, 0, 0, 1, 4, 1, 0, 2, 224, 0, 0, 9, 10, 0, 0, 1), 3, 0, DECODE_IGMP_MALFORMED },
		{ MESSAGE(0x22, 0, 0, 0, 0, 0, 0xff, 0xff, 4, 0, 0, 0, 224, 0, 0, 9), 3, 0, DECODE_IGMP_V3_PKT_TOO_SMALL },
		{ MESSAGE(0x16, 0, 0, 0, 224, 0, 0), 0, 0, DECODE_IGMP_PKT_TOO_SMALL },
	};

	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		struct frame frame = igmp_frame(cases[i].message, cases[i].len);
		bool whole = cases[i].event == DECODE_EVENT_COUNT;

		decode(&frame);
		assert_int_equal(packet_is(packet, PACKET_INVALID), !whole);
		assert_int_equal(packet_is(packet, PACKET_FLOW), whole);
		assert_int_equal(packet_has_events(packet), !whole);
		if (!whole) {
			assert_true(packet_has_decode_event(packet, cases[i].event));
			continue;
		}
		assert_int_equal(packet->igmp_version, cases[i].version);
		assert_int_equal(packet->payload_len, cases[i].payload_len);
		assert_false(packet_is(packet, PACKET_L4_CHECKSUM_BAD));
		frame.data[ETHERNET_LEN + IPV4_LEN + 2] ^= 1;
		decode(&frame);
		assert_true(packet_is(packet, PACKET_L4_CHECKSUM_BAD));
	}
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_CHECKSUM_IGMP]), 8);
}

/** Bytes behind what UDP says is its own: told, and the datagram is what its length says. */
static void
test_udp_surplus(void **state)
{
	for (uint8_t len = 0; len <= 6; len++) {
		struct frame frame = { .len = 0 };

		frame_ethernet(&frame, 0x0800);
		frame_ipv4(&frame, 0x0a000001, 0x0a000002, IP_PROTO_UDP, 7, 0);
		frame_udp(&frame, 1000, 2000);
		frame_put(&frame, "hello", 5);
		frame_finish_ipv4(&frame);
		frame.data[ETHERNET_LEN + IPV4_LEN + 5] = 8 + len;
		decode(&frame);
		assert_int_equal(packet_has_decode_event(packet, DECODE_UDP_HLEN_INVALID), len < 5);
		assert_int_equal(packet_has_decode_event(packet, DECODE_UDP_PKT_TOO_SMALL), len > 5);
		assert_int_equal(packet_is(packet, PACKET_INVALID), len > 5);
		if (len <= 5)
			assert_int_equal(packet->payload_len, len);
	}
}

static void
test_unknown_protocol(void **state)
{
	static const struct {
		uint8_t proto;
		bool unknown;
	} cases[] = { { 89, false }, { 112, false }, { 147, false }, { 148, true }, { 253, true } };

	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		struct frame frame = { .len = 0 };

		frame_ethernet(&frame, 0x0800);
		frame_ipv4(&frame, 0x0a000001, 0x0a000002, cases[i].proto, 7, 0);
		frame_put(&frame, "what", 4);
		frame_finish_ipv4(&frame);
		decode(&frame);
		assert_true(packet_is(packet, PACKET_FLOW));
		assert_int_equal(packet_has_decode_event(packet, DECODE_IPV4_UNKNOWN_PROTOCOL), cases[i].unknown);
	}
}

/** A datagram with an authentication header of so many words beyond two (RFC 4302 2.2) before what it carries. */
static struct frame
ah_frame(uint8_t words, unsigned int count)
{
	const uint32_t at = ETHERNET_LEN + IPV4_LEN, len = (words + 2u) * 4;
	struct frame frame = { .len = 0 };

	frame_ethernet(&frame, 0x0800);
	frame_ipv4(&frame, 0x0a000001, 0x0a000002, IP_PROTO_TCP, 7, 0);
	frame_tcp(&frame, 1000, 502, 1, 0, 0x18);
	frame_put(&frame, "vouched", 7);
	frame_finish_ipv4(&frame);
	for (unsigned int i = 0; i < count; i++) {
		memmove(frame.data + at + len, frame.data + at, frame.len - at);
		memset(frame.data + at, 0xaa, len);
		frame.data[at] = frame.data[ETHERNET_LEN + 9];
		frame.data[at + 1] = words;
		frame.data[ETHERNET_LEN + 9] = IP_PROTO_AH;
		frame.len += len;
	}
	frame_set_be16(&frame, ETHERNET_LEN + 2, (uint16_t)(frame.len - ETHERNET_LEN));
	frame_set_be16(&frame, ETHERNET_LEN + 10, 0);
	frame_checksum(&frame, ETHERNET_LEN + 10, 0, ETHERNET_LEN, IPV4_LEN);
	return frame;
}

/** What is behind it is as it were without, its flow and its checksum, too. */
static void
test_ah(void **state)
{
	struct frame plain = ah_frame(1, 0);
	struct packet_key key;

	decode(&plain);
	key = packet->key;
	for (uint8_t words = 1; words < 20; words++) {
		struct frame frame = ah_frame(words, 1 + words % 2);

		decode(&frame);
		assert_false(packet_has_events(packet));
		assert_true(packet_is(packet, PACKET_FLOW));
		assert_false(packet_is(packet, PACKET_L3_CHECKSUM_BAD) || packet_is(packet, PACKET_L4_CHECKSUM_BAD));
		assert_int_equal(packet->ip_proto, IP_PROTO_TCP);
		assert_int_equal(packet->dport, 502);
		assert_int_equal(packet->l4_off, packet->l3_off + packet->l3_len);
		assert_int_equal(packet->payload_len, 7);
		assert_memory_equal(packet->payload, "vouched", 7);
		assert_memory_equal(&packet->key, &key, sizeof(key));
	}
}

static void
test_ah_bounds(void **state)
{
	struct frame frame = ah_frame(0, 1);

	decode(&frame); /* no room for its own fields */
	assert_true(packet_is(packet, PACKET_INVALID));
	assert_true(packet_has_decode_event(packet, DECODE_AH_PKT_TOO_SMALL));
	frame = ah_frame(4, 1);
	for (uint32_t len = 0; len < 24; len++) {
		struct frame cut = frame;

		cut.len = ETHERNET_LEN + IPV4_LEN + len;
		frame_set_be16(&cut, ETHERNET_LEN + 2, (uint16_t)(IPV4_LEN + len));
		decode(&cut);
		assert_true(packet_is(packet, PACKET_INVALID));
		assert_true(packet_has_decode_event(packet, DECODE_AH_PKT_TOO_SMALL));
	}
	frame = ah_frame(1, 40);
	decode(&frame);
	assert_true(packet_has_decode_event(packet, DECODE_TOO_MANY_LAYERS));
}

/** An IPv6 header before a payload of that many bytes. */
static void
put_ipv6(struct frame *frame, uint16_t payload_len, uint8_t next)
{
	static const uint8_t addresses[32] = { 0x20, [16] = 0x20, [31] = 1 };

	frame_be32(frame, 0x60000000);
	frame_be16(frame, payload_len);
	frame_be16(frame, (uint16_t)(next << 8 | 64));
	frame_put(frame, addresses, sizeof(addresses));
}

/** EVE's pkt_src names the tunnel by what it runs in, not by what is inside. */
static void
test_tunnel_in_ipv6(void **state)
{
	static const uint8_t inners[] = { IP_PROTO_IPIP, IP_PROTO_IPV6 };

	for (unsigned int i = 0; i < TEST_COUNT(inners); i++) {
		bool is_v6 = inners[i] == IP_PROTO_IPV6;
		struct frame frame = { .len = 0 };

		frame_ethernet(&frame, 0x86dd);
		put_ipv6(&frame, is_v6 ? 44 : 24, inners[i]);
		if (is_v6)
			put_ipv6(&frame, 4, 89);
		else
			frame_ipv4(&frame, 0x0a000001, 0x0a000002, 89, 7, 0);
		frame_put(&frame, "what", 4);
		if (!is_v6)
			frame_finish_ipv4(&frame);
		frame_give(&packets[0], &frame, 1000000000);
		assert_int_equal(packet_decode_burst(decoder, packets, 1, PACKETS_MAX), 2);
		assert_int_equal(packets[1].ip_version, is_v6 ? 6 : 4);
		assert_string_equal(packet_source_names[packets[1].source], "ipv6 tunnel");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nsh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nsh_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_igmp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_udp_surplus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_protocol, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ah, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ah_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tunnel_in_ipv6, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
