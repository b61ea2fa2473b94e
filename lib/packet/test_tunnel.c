/* Packets in tunnels: with each header in use what is inside is what it is without, and what carries no packet is a datagram. */
#include "test/test.h"

#include "lib/packet/test_decoder.h"

enum { GRE = 0, L2TP = 1, UDP = 2 }; /* in place of a port: what stands right in IP */

struct row {
	const char *name;
	uint16_t port; /* of UDP, or GRE, or L2TP */
	const char *header;
	uint8_t header_len;
	enum { IP, ETHERNET, NOTHING, OTHER } inner; /* nothing: it is no such tunnel, or no packet of it; other: an event says so */
	enum packet_counter counter;
	enum packet_source source;
};

#define HEADER(text) text, sizeof(text) - 1
static const struct row rows[] = {
	{ "WCCP 1", GRE, HEADER("\0\0\x88\x3e"), IP, PACKET_COUNTER_WCCP, PACKET_SOURCE_GRE },
	{ "WCCP 2", GRE, HEADER("\0\0\x88\x3e" "\0\0\0\x15"), IP, PACKET_COUNTER_WCCP, PACKET_SOURCE_GRE },
	{ "WCCP 2, a dynamic service", GRE, HEADER("\0\0\x88\x3e" "\x80\x5a\0\x15"), IP, PACKET_COUNTER_WCCP, PACKET_SOURCE_GRE },
	{ "WCCP 2, the other bucket", GRE, HEADER("\0\0\x88\x3e" "\x40\x00\x07\x15"), IP, PACKET_COUNTER_WCCP, PACKET_SOURCE_GRE },
	{ "WCCP 2 with a key", GRE, HEADER("\x20\0\x88\x3e" "\0\0\0\1" "\0\0\0\x15"), IP, PACKET_COUNTER_WCCP, PACKET_SOURCE_GRE },
	{ "GRE in UDP", 4754, HEADER("\0\0\x08\0"), IP, PACKET_COUNTER_GRE_IN_UDP, PACKET_SOURCE_GRE },
	{ "GRE in UDP, Ethernet", 4754, HEADER("\x20\0\x65\x58" "\0\0\0\1"), ETHERNET, PACKET_COUNTER_GRE_IN_UDP, PACKET_SOURCE_GRE },
	{ "GRE in UDP, all options", 4754, HEADER("\xb0\0\x08\0" "\0\0\0\0" "\0\0\0\1" "\0\0\0\2"), IP, PACKET_COUNTER_GRE_IN_UDP, PACKET_SOURCE_GRE },
	{ "GRE in UDP, version 1", 4754, HEADER("\x20\1\x88\x0b" "\0\0\0\1"), NOTHING, PACKET_COUNTER_GRE_IN_UDP, 0 },
	{ "GRE in UDP, routes", 4754, HEADER("\x40\0\x08\0" "\0\0\0\0" "\0\0\0\0"), NOTHING, PACKET_COUNTER_GRE_IN_UDP, 0 },
	{ "VXLAN-GPE, IPv4", 4790, HEADER("\x0c\0\0\1" "\0\0\7\0"), IP, PACKET_COUNTER_VXLAN_GPE, PACKET_SOURCE_VXLAN },
	{ "VXLAN-GPE, Ethernet", 4790, HEADER("\x0c\0\0\3" "\0\0\7\0"), ETHERNET, PACKET_COUNTER_VXLAN_GPE, PACKET_SOURCE_VXLAN },
	{ "VXLAN-GPE as VXLAN", 4790, HEADER("\x08\0\0\0" "\0\0\7\0"), ETHERNET, PACKET_COUNTER_VXLAN_GPE, PACKET_SOURCE_VXLAN },
	{ "VXLAN-GPE, NSH", 4790, HEADER("\x0c\0\0\4" "\0\0\7\0" "\x0f\xc2\2\1" "\0\0\1\xff"), IP, PACKET_COUNTER_VXLAN_GPE, PACKET_SOURCE_VXLAN },
	{ "VXLAN-GPE, MPLS", 4790, HEADER("\x0c\0\0\5" "\0\0\7\0" "\0\1\1\x40"), IP, PACKET_COUNTER_VXLAN_GPE, PACKET_SOURCE_VXLAN },
	{ "VXLAN-GPE, of another protocol", 4790, HEADER("\x0c\0\0\x63" "\0\0\7\0"), OTHER, PACKET_COUNTER_VXLAN_GPE, 0 },
	{ "VXLAN-GPE, of a management packet", 4790, HEADER("\x0d\0\0\1" "\0\0\7\0"), NOTHING, PACKET_COUNTER_VXLAN_GPE, 0 },
	{ "VXLAN-GPE, another version", 4790, HEADER("\x1c\0\0\1" "\0\0\7\0"), NOTHING, PACKET_COUNTER_VXLAN_GPE, 0 },
	{ "GTP-U", 2152, HEADER("\x30\xff\0\0" "\0\0\0\7"), IP, PACKET_COUNTER_GTP, PACKET_SOURCE_GTP },
	{ "GTP-U with a number", 2152, HEADER("\x32\xff\0\0" "\0\0\0\7" "\0\1\0\x85"), IP, PACKET_COUNTER_GTP, PACKET_SOURCE_GTP },
	{ "GTP-U with extensions", 2152, HEADER("\x34\xff\0\0" "\0\0\0\7" "\0\0\0\x85" "\1\0\x09\xc0" "\2\0\0\0\0\0\0\0"), IP, PACKET_COUNTER_GTP, PACKET_SOURCE_GTP },
	{ "GTP-U, an extension of no length", 2152, HEADER("\x34\xff\0\0" "\0\0\0\7" "\0\0\0\x85" "\0\0\0\0"), NOTHING, PACKET_COUNTER_GTP, 0 },
	{ "GTP-U, no packet", 2152, HEADER("\x30\xff\0\0" "\0\0\0\7" "\0"), OTHER, PACKET_COUNTER_GTP, 0 },
	{ "GTP-U, an echo", 2152, HEADER("\x32\1\0\0" "\0\0\0\0" "\0\1\0\0"), NOTHING, PACKET_COUNTER_GTP, 0 },
	{ "GTP'", 2152, HEADER("\x20\xff\0\0" "\0\0\0\7"), NOTHING, PACKET_COUNTER_GTP, 0 },
	{ "GTP-U, Ethernet", 2152, HEADER("\x30\xff\0\0" "\0\0\0\7"), ETHERNET, PACKET_COUNTER_GTP, PACKET_SOURCE_GTP },
	{ "ERSPAN III, Ethernet", GRE, HEADER("\x10\0\x22\xeb" "\0\0\0\1" "\x20\0\0\1" "\0\0\0\0" "\0\0\0\0"), ETHERNET, PACKET_COUNTER_ERSPAN, PACKET_SOURCE_ERSPAN },
	{ "ERSPAN III, IP", GRE, HEADER("\x10\0\x22\xeb" "\0\0\0\1" "\x20\0\0\1" "\0\0\0\0" "\0\0\x08\0"), IP, PACKET_COUNTER_ERSPAN, PACKET_SOURCE_ERSPAN },
	{ "L2TPv2", 1701, HEADER("\0\2" "\0\7" "\0\x08" "\xff\3\0\x21"), IP, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv2, short PPP", 1701, HEADER("\0\2" "\0\7" "\0\x08" "\x21"), IP, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv2, all options", 1701, HEADER("\x4a\2" "\0\0" "\0\7" "\0\x08" "\0\1\0\2" "\0\3\0\0\0" "\0\x21"), IP, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv2, an offset beyond the end", 1701, HEADER("\x02\2" "\0\7" "\0\x08" "\x0f\0" "\0\x21"), NOTHING, PACKET_COUNTER_L2TP, 0 },
	{ "L2TPv2, control", 1701, HEADER("\xc8\2" "\0\0" "\0\7" "\0\0" "\0\0\0\0"), NOTHING, PACKET_COUNTER_L2TP, 0 },
	{ "L2TPv2, no session", 1701, HEADER("\0\2" "\0\7" "\0\0" "\0\x21"), NOTHING, PACKET_COUNTER_L2TP, 0 },
	{ "L2F", 1701, HEADER("\0\1" "\0\7" "\0\x08" "\0\x21"), NOTHING, PACKET_COUNTER_L2TP, 0 },
	{ "L2TPv3 in UDP", 1701, HEADER("\0\3\0\0" "\0\0\0\7"), ETHERNET, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv3", L2TP, HEADER("\0\0\0\7"), ETHERNET, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv3, a sublayer", L2TP, HEADER("\0\0\0\7" "\x40\0\0\1"), ETHERNET, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv3, a cookie", L2TP, HEADER("\0\0\0\7" "\x12\x34\x56\x78\x9a\xbc\xde\xf0"), ETHERNET, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv3, both", L2TP, HEADER("\0\0\0\7" "\x12\x34\x56\x78\x9a\xbc\xde\xf0" "\x40\0\0\1"), ETHERNET, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv3, PPP", L2TP, HEADER("\0\0\0\7" "\x12\x34\x56\x78" "\xff\3\0\x21"), IP, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv3, IP", L2TP, HEADER("\0\0\0\7" "\x40\0\0\1"), IP, PACKET_COUNTER_L2TP, PACKET_SOURCE_L2TP },
	{ "L2TPv3, control", L2TP, HEADER("\0\0\0\0"), NOTHING, PACKET_COUNTER_L2TP, 0 },
	{ "L2TPv3, something else", L2TP, HEADER("\0\0\0\7" "\x0f\0\x08\0" "nothing that is known"), NOTHING, PACKET_COUNTER_L2TP, 0 },
	{ "CAPWAP, Ethernet", 5247, HEADER("\0\x10\2\0" "\0\0\0\0"), ETHERNET, PACKET_COUNTER_CAPWAP, PACKET_SOURCE_CAPWAP },
	{ "CAPWAP, 802.11", 5247, HEADER("\0\x18\x03\x20" "\0\0\0\0" "\3\x2d\x1a\0" "\x08\1\0\0" "abcdefabcdefabcdef\0\0" "\xaa\xaa\3\0\0\0\x08\0"),
		IP, PACKET_COUNTER_CAPWAP, PACKET_SOURCE_CAPWAP },
	{ "CAPWAP, 802.11 the other way", 5247, HEADER("\0\x10\x03\0" "\0\0\0\0" "\2\x88\0\0" "abcdefabcdefabcdef\0\0" "\0\0" "\xaa\xaa\3\0\0\0\x08\0"),
		IP, PACKET_COUNTER_CAPWAP, PACKET_SOURCE_CAPWAP },
	{ "CAPWAP, 802.11 with four addresses", 5247, HEADER("\0\x10\x03\0" "\0\0\0\0" "\x88\x83\0\0" "abcdefabcdefabcdef\0\0" "abcdef" "\0\0\0\0\0\0" "\xaa\xaa\3\0\0\0\x08\0"),
		IP, PACKET_COUNTER_CAPWAP, PACKET_SOURCE_CAPWAP },
	{ "CAPWAP, of another radio", 5247, HEADER("\0\x10\x07\0" "\0\0\0\0"), NOTHING, PACKET_COUNTER_CAPWAP, 0 },
	{ "CAPWAP, encrypted", 5247, HEADER("\1\0\0\0"), NOTHING, PACKET_COUNTER_CAPWAP, 0 },
	{ "CAPWAP, a part", 5247, HEADER("\0\x10\x02\x80" "\0\1\0\0"), NOTHING, PACKET_COUNTER_CAPWAP, 0 },
	{ "CAPWAP, kept alive", 5247, HEADER("\0\x10\x02\x08" "\0\0\0\0"), NOTHING, PACKET_COUNTER_CAPWAP, 0 },
	{ "CAPWAP, a header beyond the end", 5247, HEADER("\0\xf8\x02\0" "\0\0\0\0"), NOTHING, PACKET_COUNTER_CAPWAP, 0 },
};

/* @return bytes before the inner packet's IP header */
static uint32_t
make(struct frame *frame, const struct row *row)
{
	struct frame inner = { .len = 0 };
	uint32_t skipped = row->inner == ETHERNET ? 0 : 14, at;

	frame_ethernet(&inner, 0x0800);
	frame_ipv4(&inner, 0x0a000001, 0x0a000002, IP_PROTO_UDP, 7, 0);
	frame_udp(&inner, 1000, 2000);
	frame_put(&inner, "inside", 6);
	frame_finish_ipv4(&inner);
	memset(frame, 0, sizeof(*frame));
	frame_ethernet(frame, 0x0800);
	frame_ipv4(frame, 0x01010101, 0x02020202, row->port == GRE ? IP_PROTO_GRE : row->port == L2TP ? IP_PROTO_L2TP : IP_PROTO_UDP, 7, 0);
	if (row->port >= UDP)
		frame_udp(frame, 5555, row->port);
	at = frame->len;
	frame_put(frame, row->header, row->header_len);
	frame_put(frame, inner.data + skipped, inner.len - skipped);
	if (row->port == 2152)
		frame_set_be16(frame, at + 2, (uint16_t)(frame->len - at - 8));
	if (row->port == 1701 && row->header[0] == 0x4a)
		frame_set_be16(frame, at + 2, (uint16_t)(frame->len - at));
	frame_finish_ipv4(frame);
	return at;
}

static void
test_inside(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		const struct row *row = &rows[i];
		uint64_t before = counter_get(&counters[row->counter]);
		struct frame frame;
		uint32_t at = make(&frame, row);
		bool inside = row->inner == IP || row->inner == ETHERNET;
		uint16_t count;

		frame_give(&packets[0], &frame, 1);
		count = packet_decode_burst(decoder, packets, 1, PACKETS_MAX);
		if (count != (inside ? 2 : 1) || packet_is(packet, PACKET_INVALID) || packet_is(packet, PACKET_TUNNEL) != inside)
			fail_msg("%s: %u packets", row->name, count);
		if (packet_has_events(packet) != (row->inner == OTHER) || counter_get(&counters[row->counter]) - before != (row->inner == NOTHING ? 0 : 1))
			fail_msg("%s: events or counters", row->name);
		if (row->port >= UDP && packet->payload != frame.data + at)
			fail_msg("%s: the datagram's payload", row->name);
		if (!inside)
			continue;
		if (packets[1].source != row->source || packets[1].sport != 1000 || packets[1].payload_len != 6 || packet_has_events(&packets[1]) ||
			memcmp(packets[1].payload, "inside", 6) != 0 || packets[1].tunnel_depth != 1)
			fail_msg("%s: what is inside", row->name);
	}
}

/* Frames whose addresses begin as IP or a control word do: what is behind the addresses tells. */
static void
test_pseudowire(void **state)
{
	static const uint8_t first[] = { 0x00, 0x02, 0x10, 0x40, 0x44, 0x4c, 0x60, 0x68, 0xf8 };
	static const struct {
		const char *start;
		uint8_t len;
	} behind[] = {
		{ HEADER("\x08\0") }, { HEADER("\x81\0\0\7\x08\0") }, { HEADER("\x88\x92\xfe\xfc") }, { HEADER("\x08\6\0\1\x08\0\6\4\0\1") },
		{ HEADER("\0\x26\x42\x42\3\0") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(first) * TEST_COUNT(behind) * 2; i++) {
		size_t kind = i / 2 % TEST_COUNT(behind);
		struct frame frame = { .len = 0 };
		bool word = i % 2 != 0;
		uint32_t at;

		frame_ethernet(&frame, 0x8847);
		frame_put(&frame, "\0\7\0\x40" "\0\x08\1\x40" "\0\0\0\1", word ? 12 : 8);
		at = frame.len;
		frame_put(&frame, (const uint8_t[]){ first[i / 2 / TEST_COUNT(behind)] }, 1);
		frame_put(&frame, "\x1b\x1b\1\2\3" "\x60\0\0\4\5\6", 11);
		frame_put(&frame, behind[kind].start, behind[kind].len);
		if (kind < 2) {
			frame_ipv4(&frame, 0x0a000001, 0x0a000002, IP_PROTO_UDP, 7, 0);
			frame_udp(&frame, 1000, 2000);
			frame_finish_ipv4(&frame);
		} else {
			frame_put(&frame, (const uint8_t[40]){ 0 }, 40);
		}
		frame_give(&packets[0], &frame, 1);
		assert_int_equal(packet_decode_burst(decoder, packets, 1, PACKETS_MAX), 1);
		if (packet_has_events(packet) || packet->l2_off != at || packet->sport != (kind < 2 ? 1000 : 0) || packet_is(packet, PACKET_ARP) != (kind == 3))
			fail_msg("%zu: %x", i, first[i / 2 / TEST_COUNT(behind)]);
	}
}

/* What the ends of a path tell each other (RFC 5586) is nothing wrong. */
static void
test_associated_channel(void **state)
{
	static const char *const stacks[] = { "\0\7\0\xff" "\0\0\xd1\1" "\x10\0\0\7", "\0\7\0\xff" "\0\x08\1\1" "\x10\0\0\x21" };

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(stacks); i++) {
		struct frame frame = { .len = 0 };

		frame_ethernet(&frame, 0x8847);
		frame_put(&frame, stacks[i], 12);
		frame_put(&frame, "\x20\xc0\3\x18", 4);
		decode(&frame);
		assert_false(packet_has_events(packet));
		assert_false(packet_is(packet, PACKET_INVALID));
	}
}

/* A tag that only protects against changes hides nothing. */
static void
test_macsec(void **state)
{
	static const struct {
		const char *tag;
		uint8_t len, counter;
		bool seen;
	} tags[] = {
		{ HEADER("\0\0\0\0\0\1"), PACKET_COUNTER_MACSEC, true },
		{ HEADER("\x20\0\0\0\0\1" "abcdefgh"), PACKET_COUNTER_MACSEC, true },
		{ HEADER("\x2c\0\0\0\0\1" "abcdefgh"), PACKET_COUNTER_MACSEC_ENCRYPTED, false },
		{ HEADER("\x80\0\0\0\0\1"), PACKET_COUNTER_MACSEC, false },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(tags); i++) {
		uint64_t before = counter_get(&counters[tags[i].counter]);
		struct frame frame = { .len = 0 };

		frame_ethernet(&frame, 0x88e5);
		frame_put(&frame, tags[i].tag, tags[i].len);
		frame_be16(&frame, 0x0800);
		frame_ipv4(&frame, 0x0a000001, 0x0a000002, IP_PROTO_UDP, 7, 0);
		frame_udp(&frame, 1000, 2000);
		frame_put(&frame, "inside", 6);
		frame_finish_ipv4(&frame);
		frame_put(&frame, "sixteen of check", 16);
		decode(&frame);
		assert_false(packet_has_events(packet));
		assert_int_equal(packet->sport, tags[i].seen ? 1000 : 0);
		assert_true(!tags[i].seen || packet->payload_len == 6);
		assert_int_equal(counter_get(&counters[tags[i].counter]) - before, 1);
		for (frame.len = 14; frame.len < 14u + tags[i].len; frame.len++) {
			decode(&frame);
			assert_true(packet_has_decode_event(packet, DECODE_MACSEC_HEADER_TOO_SMALL));
		}
	}
}

/* Each cut in its own allocation, so that the sanitizer sees a read past its end. */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct frame frame;
		uint32_t at = make(&frame, &rows[i]), len = frame.len;

		for (frame.len = at; frame.len < len; frame.len++) {
			uint8_t *copy;

			frame_set_be16(&frame, 16, (uint16_t)(frame.len - 14));
			if (rows[i].port >= UDP)
				frame_set_be16(&frame, 38, (uint16_t)(frame.len - 34));
			copy = malloc(frame.len);
			assert_non_null(copy);
			memcpy(copy, frame.data, frame.len);
			frame_give(&packets[0], &frame, 1);
			packets[0].data = copy;
			packet_decode_burst(decoder, packets, 1, PACKETS_MAX);
			free(copy);
		}
	}
}

/* Switched off they are datagrams; on another port they are found there. Answers to a port are none. */
static void
test_ports(void **state)
{
	struct packet_config config = frame_decoder_config();
	struct frame frame;

	(void)state;
	packet_decoder_destroy(decoder);
	config.vxlan_gpe = config.gre_in_udp = config.gtp = config.l2tp = config.capwap = false;
	assert_int_equal(packet_decoder_create(&decoder, &config, counters), 0);
	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		if (rows[i].port >= UDP) {
			make(&frame, &rows[i]);
			decode(&frame);
			assert_false(packet_has_events(packet));
		}
	packet_decoder_destroy(decoder);
	config = frame_decoder_config();
	config.gtp_ports = json_pack("[s, s]", "2152", "40000");
	assert_int_equal(packet_decoder_create(&decoder, &config, counters), 0);
	for (unsigned int i = 0; i < 3; i++) {
		static const struct row row = { "GTP-U", 2152, HEADER("\x30\xff\0\0" "\0\0\0\7"), IP, PACKET_COUNTER_GTP, PACKET_SOURCE_GTP };

		make(&frame, &row);
		frame_set_be16(&frame, 34, i == 2 ? 2152 : 5555);
		frame_set_be16(&frame, 36, i == 1 ? 40000 : i == 2 ? 5555 : 2152);
		frame_set_be16(&frame, 40, 0); /* no checksum */
		frame_give(&packets[0], &frame, 1);
		assert_int_equal(packet_decode_burst(decoder, packets, 1, PACKETS_MAX), i < 2 ? 2 : 1);
	}
	json_decref(config.gtp_ports);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pseudowire, setup, teardown),
		cmocka_unit_test_setup_teardown(test_associated_channel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_macsec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
