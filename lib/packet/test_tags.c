/* Tags that only some switches write: VN-Tag, 802.1BR, FabricPath and 802.1ah. */
#include "test/test.h"

#include "lib/packet/test_decoder.h"

enum { ETHER_TYPE_VNTAG = 0x8926, ETHER_TYPE_ETAG = 0x893f, ETHER_TYPE_DCE = 0x8903, ETHER_TYPE_SERVICE = 0x88e7 };

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

static void
test_vntag(void **state)
{
	struct frame frame = { .len = 0 };
	uint16_t tci = 0;

	frame_ethernet(&frame, ETHER_TYPE_VNTAG);
	frame_be32(&frame, 0x80010002);
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
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_VNTAG]), 1);
	assert_true(packet_vlan_tci(packet, &tci));
	assert_int_equal(tci, 7);
	check_cuts(frame, 14, 20, DECODE_VNTAG_HEADER_TOO_SMALL);
	frame_set_be16(&frame, 18, 0x9999);
	decode(&frame);
	assert_true(packet_has_decode_event(packet, DECODE_VNTAG_UNKNOWN_TYPE));
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

static void
test_etag(void **state)
{
	struct frame frame = { .len = 0 };

	frame_ethernet(&frame, ETHER_TYPE_ETAG);
	frame_be32(&frame, 0x100000d3);
	frame_be16(&frame, 0);
	frame_be16(&frame, 0x8100);
	frame_be32(&frame, 0x00070800);
	add_datagram(&frame);
	decode(&frame);
	assert_false(packet_is(packet, PACKET_INVALID));
	assert_false(packet_has_events(packet));
	assert_true(packet_is(packet, PACKET_FLOW));
	assert_int_equal(packet->vlan[0], 7);
	assert_memory_equal(packet->payload, "tagged", 6);
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_ETAG]), 1);
	check_cuts(frame, 14, 22, DECODE_ETAG_HEADER_TOO_SMALL);
	frame_set_be16(&frame, 20, 0x9999);
	decode(&frame);
	assert_true(packet_has_decode_event(packet, DECODE_ETAG_UNKNOWN_TYPE));
}

/** The addresses are the hosts', not the switches'. */
static void
test_dce(void **state)
{
	static const uint8_t host[12] = { 2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 9 };
	struct frame frame = { .len = 0 };

	frame_ethernet(&frame, ETHER_TYPE_DCE);
	frame_be16(&frame, 0x0060);
	frame_put(&frame, host, sizeof(host));
	frame_be16(&frame, 0x0800);
	add_datagram(&frame);
	decode(&frame);
	assert_false(packet_is(packet, PACKET_INVALID));
	assert_false(packet_has_events(packet));
	assert_true(packet_is(packet, PACKET_FLOW));
	assert_memory_equal(packet_src_mac(packet), host + 6, 6);
	assert_memory_equal(packet_dst_mac(packet), host, 6);
	assert_memory_equal(packet->payload, "tagged", 6);
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_DCE]), 1);
	check_cuts(frame, 14, 30, DECODE_DCE_PKT_TOO_SMALL);
}

static void
test_ieee8021ah(void **state)
{
	static const uint8_t customer[12] = { 2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 9 };
	struct frame frame = { .len = 0 };

	frame_ethernet(&frame, 0x88a8);
	frame_be16(&frame, 5);
	frame_be16(&frame, ETHER_TYPE_SERVICE);
	frame_be32(&frame, 0x00abcdef);
	frame_put(&frame, customer, sizeof(customer));
	frame_be16(&frame, 0x0800);
	add_datagram(&frame);
	decode(&frame);
	assert_false(packet_is(packet, PACKET_INVALID));
	assert_false(packet_has_events(packet));
	assert_true(packet_is(packet, PACKET_FLOW));
	assert_int_equal(packet->vlan[0], 5);
	assert_memory_equal(packet_src_mac(packet), customer + 6, 6);
	assert_memory_equal(packet_dst_mac(packet), customer, 6);
	assert_memory_equal(packet->payload, "tagged", 6);
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_IEEE8021AH]), 1);
	check_cuts(frame, 18, 36, DECODE_IEEE8021AH_HEADER_TOO_SMALL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_vntag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vntag_behind_vlan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_etag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dce, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ieee8021ah, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
