/* Tags that only some switches write (VN-Tag, 802.1BR, Cisco MetaData, FabricPath, 802.1ah), and those of HSR, PRP and FRER. */
#include "test/test.h"

#include "lib/packet/test_decoder.h"

enum { ETHER_TYPE_VNTAG = 0x8926, ETHER_TYPE_DCE = 0x8903, ETHER_TYPE_SERVICE = 0x88e7 };

static void
add_datagram(struct frame *frame)
{
	frame_ipv4(frame, 0x0a000001, 0x0a000002, IP_PROTO_UDP, 7, 0);
	frame_udp(frame, 1000, 2000);
	frame_put(frame, "tagged", 6);
	frame_finish_ipv4(frame);
}

/** Cut anywhere, a frame is malformed, and with the event given where the cut is inside [from, to). */
static void
check_cuts(struct frame frame, uint32_t from, uint32_t to, enum decode_event event)
{
	uint32_t len = frame.len;

	for (frame.len = 0; frame.len < len; frame.len++) {
		decode(&frame);
		assert_true(packet_is(packet, PACKET_INVALID));
		assert_int_equal(packet_has_decode_event(packet, event), frame.len >= from && frame.len < to);
	}
}

/** Behind such a tag is a VLAN's, and that is the frame's. */
static void
check_plain(uint16_t ether_type, const char *tag, uint8_t len, enum packet_counter counter, enum decode_event too_small,
	enum decode_event unknown_type)
{
	struct frame frame = { .len = 0 };
	uint16_t tci = 0;

	frame_ethernet(&frame, ether_type);
	frame_put(&frame, tag, len);
	frame_be16(&frame, 0x8100);
	frame_be32(&frame, 0x00070800);
	add_datagram(&frame);
	decode(&frame);
	assert_false(packet_is(packet, PACKET_INVALID));
	assert_false(packet_has_events(packet));
	assert_true(packet_is(packet, PACKET_FLOW));
	assert_int_equal(packet->vlan_count, 1);
	assert_int_equal(packet->vlan[0], 7);
	assert_memory_equal(packet->payload, "tagged", 6);
	assert_int_equal(counter_get(&counters[counter]), 1);
	assert_true(packet_vlan_tci(packet, &tci));
	assert_int_equal(tci, 7);
	check_cuts(frame, 14, 14 + len + 2, too_small);
	frame_set_be16(&frame, 14 + len, 0x9999);
	decode(&frame);
	assert_true(packet_has_decode_event(packet, unknown_type));
}

static void
test_vntag(void **state)
{
	check_plain(ETHER_TYPE_VNTAG, "\x80\x01\x00\x02", 4, PACKET_COUNTER_VNTAG, DECODE_VNTAG_HEADER_TOO_SMALL, DECODE_VNTAG_UNKNOWN_TYPE);
}

static void
test_etag(void **state)
{
	check_plain(0x893f, "\x10\x00\x00\xd3\x00\x00", 6, PACKET_COUNTER_ETAG, DECODE_ETAG_HEADER_TOO_SMALL,
		DECODE_ETAG_UNKNOWN_TYPE);
}

static void
test_cmd(void **state)
{
	check_plain(0x8909, "\x01\x01\x00\x01\x00\x05", 6, PACKET_COUNTER_CMD, DECODE_CMD_HEADER_TOO_SMALL, DECODE_CMD_UNKNOWN_TYPE);
}

/* A VLAN tag with a VN-Tag behind it: the tag is the one before. */
static void
test_vntag_behind_vlan(void **state)
{
	struct frame frame = { .len = 0 };
	uint16_t tci = 0;

	frame_ethernet(&frame, 0x8100);
	frame_be16(&frame, 0x8005);
	frame_be16(&frame, ETHER_TYPE_VNTAG);
	frame_be32(&frame, 0x80010002);
	frame_be16(&frame, 0x0800);
	add_datagram(&frame);
	decode(&frame);
	assert_int_equal(packet->vlan[0], 5);
	assert_true(packet_vlan_tci(packet, &tci));
	assert_int_equal(tci, 0x8005);
}

/** Behind the switches' header stands the hosts' frame, and its addresses are the packet's. */
static void
check_frame_inside(struct frame *frame, enum packet_counter counter)
{
	static const uint8_t hosts[12] = { 2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 9 };

	frame_put(frame, hosts, sizeof(hosts));
	frame_be16(frame, 0x0800);
	add_datagram(frame);
	decode(frame);
	assert_false(packet_is(packet, PACKET_INVALID));
	assert_false(packet_has_events(packet));
	assert_true(packet_is(packet, PACKET_FLOW));
	assert_memory_equal(packet_src_mac(packet), hosts + 6, 6);
	assert_memory_equal(packet_dst_mac(packet), hosts, 6);
	assert_memory_equal(packet->payload, "tagged", 6);
	assert_int_equal(counter_get(&counters[counter]), 1);
}

static void
test_dce(void **state)
{
	struct frame frame = { .len = 0 };

	frame_ethernet(&frame, ETHER_TYPE_DCE);
	frame_be16(&frame, 0x0060);
	check_frame_inside(&frame, PACKET_COUNTER_DCE);
	check_cuts(frame, 14, 30, DECODE_DCE_PKT_TOO_SMALL);
}

static void
test_ieee8021ah(void **state)
{
	struct frame frame = { .len = 0 };

	frame_ethernet(&frame, 0x88a8);
	frame_be16(&frame, 5);
	frame_be16(&frame, ETHER_TYPE_SERVICE);
	frame_be32(&frame, 0x00abcdef);
	check_frame_inside(&frame, PACKET_COUNTER_IEEE8021AH);
	assert_int_equal(packet->vlan[0], 5);
	check_cuts(frame, 18, 36, DECODE_IEEE8021AH_HEADER_TOO_SMALL);
}

/** Gives a frame at a time. @return whether it is a copy of one before */
static bool
is_copy(const struct frame *frame, uint64_t ts_ns)
{
	frame_give(&packets[0], frame, ts_ns);
	assert_int_equal(packet_decode_burst(decoder, packets, 1, PACKETS_MAX), 1);
	assert_false(packet_is(packet, PACKET_INVALID));
	assert_int_equal(packet_is(packet, PACKET_FLOW), !packet_is(packet, PACKET_COPY));
	return packet_is(packet, PACKET_COPY);
}

/** The second copy is passed over: not another number, not other content, not what comes later. */
static void
check_numbered(uint16_t ether_type, enum packet_counter counter, enum decode_event too_small, enum decode_event unknown_type)
{
	struct frame frame = { .len = 0 };

	frame_ethernet(&frame, 0x8100);
	frame_be16(&frame, 7);
	frame_be16(&frame, ether_type);
	frame_be16(&frame, 0x0028);
	frame_be16(&frame, 0x0100);
	frame_be16(&frame, 0x0800);
	add_datagram(&frame);
	check_cuts(frame, 18, 24, too_small);
	assert_false(is_copy(&frame, 1000000000));
	assert_int_equal(packet->vlan[0], 7);
	assert_memory_equal(packet->payload, "tagged", 6);
	frame.data[18] ^= 0x10; /* the other way round the ring */
	assert_true(is_copy(&frame, 1000001000));
	assert_true(is_copy(&frame, 1400000000));
	assert_false(is_copy(&frame, 1400000001));
	frame_set_be16(&frame, 20, 0x0101);
	assert_false(is_copy(&frame, 1400000002));
	frame.data[1] ^= 4;
	assert_false(is_copy(&frame, 1400000003));
	frame.data[1] ^= 4;
	frame.data[frame.len - 1] ^= 1; /* a wrong checksum, but no copy */
	assert_false(is_copy(&frame, 1400000004));
	frame_set_be16(&frame, 22, 0x9999);
	decode(&frame);
	assert_true(packet_has_decode_event(packet, unknown_type));
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_REDUNDANT]), 2);
	assert_true(counter_get(&counters[counter]) > 8);
}

static void
test_hsr(void **state)
{
	check_numbered(0x892f, PACKET_COUNTER_HSR, DECODE_HSR_HEADER_TOO_SMALL, DECODE_HSR_UNKNOWN_TYPE);
}

static void
test_frer(void **state)
{
	check_numbered(0xf1c1, PACKET_COUNTER_FRER, DECODE_FRER_HEADER_TOO_SMALL, DECODE_FRER_UNKNOWN_TYPE);
}

static void
test_prp(void **state)
{
	struct frame frame = { .len = 0 };
	uint32_t at;

	frame_ethernet(&frame, 0x8100);
	frame_be32(&frame, 0x00070800);
	add_datagram(&frame);
	at = frame.len;
	frame_be16(&frame, 0x0100);
	frame_be16(&frame, (uint16_t)(0xa000 | (at + 6 - 18)));
	frame_be16(&frame, 0x88fb);
	assert_false(is_copy(&frame, 1000000000));
	assert_memory_equal(packet->payload, "tagged", 6);
	assert_int_equal(packet->payload_len, 6);
	frame.data[at + 2] ^= 0x10; /* the other network */
	assert_true(is_copy(&frame, 1000000500));
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_PRP]), 2);
	frame_set_be16(&frame, at, 0x0101);
	assert_false(is_copy(&frame, 1000001000));
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_PRP]), 3);
	for (unsigned int bit = 0; bit < 32; bit++) {
		frame.data[at + 2 + bit / 8] ^= 1u << bit % 8; /* no trailer: nothing is a copy, nothing is cut off */
		if (bit != 4) {
			assert_false(is_copy(&frame, 1000002000));
			assert_false(is_copy(&frame, 1000002000));
		}
		frame.data[at + 2 + bit / 8] ^= 1u << bit % 8;
	}
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_PRP]), 3);
}

/** Without tags or with some, a conversation goes to one worker, and back. */
static void
test_tags_are_spread_by_their_datagram(void **state)
{
	static const struct {
		uint16_t ether_type;
		uint8_t len;
	} tags[] = { { 0x8100, 2 }, { 0x8926, 4 }, { 0x893f, 6 }, { 0x8909, 6 }, { 0x892f, 4 }, { 0xf1c1, 4 } };
	struct frame plain = { .len = 0 };
	uint32_t hash;

	frame_ethernet(&plain, 0x0800);
	add_datagram(&plain);
	frame_give(&packets[0], &plain, 1);
	hash = packet_spread_hash(packet);
	for (size_t i = 0; i < TEST_COUNT(tags); i++) {
		struct frame frame = { .len = 0 };

		frame_ethernet(&frame, tags[i].ether_type);
		frame.data[0] ^= 4; /* by another router */
		frame_put(&frame, "\0\0\0\0\0\0", tags[i].len);
		frame_be16(&frame, 0x0800);
		add_datagram(&frame);
		frame_give(&packets[0], &frame, 1);
		assert_int_equal(packet_spread_hash(packet), hash);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_vntag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vntag_behind_vlan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_etag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cmd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hsr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tags_are_spread_by_their_datagram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dce, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ieee8021ah, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
