/* The fast way and the layers find the same in every frame, whole, cut or damaged. */
#include "test/test.h"

#include "lib/packet/decode.h"
#include "lib/packet/test_frame.h"

enum { PACKETS_MAX = 20, DAMAGED_LEN = 90 };

enum way { WAY_FAST, WAY_LAYERS, WAY_COUNT };

static _Atomic uint64_t counters[WAY_COUNT][PACKET_COUNTER_COUNT];
static struct packet packets[WAY_COUNT][PACKETS_MAX];
static struct packet_decoder *decoders[WAY_COUNT];

static int
setup(void **state)
{
	struct packet_config config = frame_decoder_config();

	config.flow_ether_types[0] = 0x88ba;
	config.flow_ether_type_count = 1;
	memset(counters, 0, sizeof(counters));
	for (unsigned int i = 0; i < WAY_COUNT; i++)
		if (packet_decoder_create(&decoders[i], &config, counters[i]) != 0)
			return -1;
	decoders[WAY_LAYERS]->fast = false;
	return 0;
}

static int
teardown(void **state)
{
	for (unsigned int i = 0; i < WAY_COUNT; i++)
		packet_decoder_destroy(decoders[i]);
	return 0;
}

static void
compare(const struct frame *frame, uint32_t flags)
{
	uint16_t count[WAY_COUNT];

	for (unsigned int i = 0; i < WAY_COUNT; i++) {
		frame_give(&packets[i][0], frame, 1000000000);
		packets[i][0].flags = flags;
		count[i] = packet_decode_burst(decoders[i], packets[i], 1, PACKETS_MAX);
	}
	assert_int_equal(count[WAY_FAST], count[WAY_LAYERS]);
	assert_memory_equal(packets[WAY_FAST], packets[WAY_LAYERS], count[WAY_FAST] * sizeof(struct packet));
	assert_memory_equal(counters[WAY_FAST], counters[WAY_LAYERS], sizeof(counters[WAY_FAST]));
}

/** The frame as it is, cut at every length, and with each of its first bytes wrong in several ways. */
static void
compare_all(const struct frame *frame)
{
	static const uint8_t damages[] = { 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff };
	struct frame other = *frame;

	compare(&other, 0);
	compare(&other, PACKET_L3_CHECKSUM_GOOD);
	compare(&other, PACKET_L4_CHECKSUM_GOOD);
	for (other.len = 0; other.len < frame->len; other.len++)
		compare(&other, 0);
	for (uint32_t at = 0; at < DAMAGED_LEN && at < frame->len; at++)
		for (size_t i = 0; i < sizeof(damages); i++) {
			other.data[at] ^= damages[i];
			compare(&other, 0);
			other.data[at] = frame->data[at];
		}
}

struct shape {
	bool tagged, v6, tcp;
	uint16_t port;
	uint16_t payload_len;
	uint8_t options[20];
	uint8_t options_len;
};

static void
add_network(struct frame *frame, const struct shape *shape, uint16_t len)
{
	uint8_t proto = shape->tcp ? IP_PROTO_TCP : IP_PROTO_UDP;

	if (!shape->v6) {
		frame_ipv4(frame, 0x0a000001, 0x0a000002, proto, 7, 0);
		return;
	}
	frame->l3_at = frame->len;
	frame_be32(frame, 0x60000000);
	frame_be16(frame, len);
	frame_be16(frame, (uint16_t)(proto << 8 | 64));
	for (uint32_t i = 0; i < 8; i++)
		frame_be32(frame, i == 3 ? 2 : i == 7 ? 1 : 0x20010db8);
}

static void
make(struct frame *frame, const struct shape *shape)
{
	uint16_t l4_len = (uint16_t)((shape->tcp ? 20u + shape->options_len : 8u) + shape->payload_len);
	uint32_t l4;

	memset(frame, 0, sizeof(*frame));
	frame_ethernet(frame, shape->tagged ? 0x8100 : shape->v6 ? 0x86dd : 0x0800);
	if (shape->tagged) {
		frame_be16(frame, 0x6123);
		frame_be16(frame, shape->v6 ? 0x86dd : 0x0800);
	}
	add_network(frame, shape, l4_len);
	l4 = frame->len;
	if (shape->tcp)
		frame_tcp(frame, 1024, shape->port, 0x12345678, 0x9abcdef0, 0x18);
	else
		frame_udp(frame, 1000, shape->port);
	frame_put(frame, shape->options, shape->options_len);
	if (shape->tcp)
		frame->data[l4 + 12] = (uint8_t)((20 + shape->options_len) / 4 << 4);
	for (uint16_t i = 0; i < shape->payload_len; i++)
		frame->data[frame->len++] = (uint8_t)(i * 7);
	if (!shape->v6) {
		frame_finish_ipv4(frame);
		return;
	}
	if (!shape->tcp)
		frame_set_be16(frame, l4 + 4, l4_len);
	frame_checksum(frame, l4 + (shape->tcp ? 16 : 6), checksum_add(0, frame->data + frame->l3_at + 8, 32) +
		__builtin_bswap16(l4_len) + ((uint64_t)(shape->tcp ? 6 : 17) << 8), l4, l4_len);
}

static void
test_ways_agree(void **state)
{
	static const struct shape shapes[] = {
		{ .tcp = true, .port = 502, .payload_len = 12 },
		{ .tcp = true, .port = 502, .payload_len = 12, .tagged = true },
		{ .tcp = true, .port = 502, .payload_len = 201, .options = { 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8 },
			.options_len = 12 },
		{ .tcp = true, .port = 502, .options = { 2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7 }, .options_len = 12 },
		{ .tcp = true, .port = 502, .payload_len = 5, .options = { 2, 4, 5, 0xb4, 3, 3, 7, 0 }, .options_len = 8 },
		{ .port = 161, .payload_len = 33 },
		{ .port = 161, .payload_len = 0, .tagged = true },
		{ .port = 4789, .payload_len = 64 },
		{ .port = 3544, .payload_len = 64, .v6 = true },
		{ .port = 161, .payload_len = 35, .v6 = true, .tagged = true },
		{ .tcp = true, .port = 502, .payload_len = 150, .v6 = true },
	};
	struct frame frame;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		make(&frame, &shapes[i]);
		compare_all(&frame);
		compare(&frame, 0);
		assert_false(packet_is(&packets[WAY_FAST][0], PACKET_INVALID | PACKET_L3_CHECKSUM_BAD | PACKET_L4_CHECKSUM_BAD));
		memset(frame.data + frame.len, 0xee, 6); /* link padding */
		frame.len += 6;
		compare(&frame, 0);
	}
}

/* Frames of plants: one that is a flow, one that nobody knows. */
static void
test_frames_without_ip(void **state)
{
	static const uint16_t ether_types[] = { 0x88ba, 0x88bb, 0x05dc };

	for (size_t i = 0; i < sizeof(ether_types) / sizeof(ether_types[0]); i++)
		for (unsigned int tagged = 0; tagged < 2; tagged++) {
			struct frame frame = { .len = 0 };

			frame_ethernet(&frame, tagged ? 0x8100 : ether_types[i]);
			if (tagged)
				frame_be32(&frame, 0x40000000 | ether_types[i]);
			frame_put(&frame, "a message of a plant's protocol", 31);
			compare_all(&frame);
		}
}

/* Link types that only look like Ethernet, and the fragments of a datagram. */
static void
test_not_fast(void **state)
{
	struct frame frame = { .len = 0 };

	frame_ethernet(&frame, 0x88a8);
	frame_be32(&frame, 0x00018100);
	frame_be32(&frame, 0x00020800);
	frame_ipv4(&frame, 1, 2, IP_PROTO_UDP, 7, 0x2000);
	frame_udp(&frame, 1000, 2000);
	frame_put(&frame, "fragment", 8);
	frame_finish_ipv4(&frame);
	compare_all(&frame);
}

static void
test_checksum_segment(void **state)
{
	uint8_t data[600];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 151 + (i >> 3) + 0x80);
	for (size_t at = 0; at < 33; at++)
		for (size_t len = 4; at + len <= sizeof(data); len++)
			assert_int_equal(checksum_fold(checksum_segment(data + at, len)),
				checksum_fold(checksum_add(0, data + at, len)));
	memset(data, 0xff, sizeof(data));
	assert_int_equal(checksum_fold(checksum_segment(data, sizeof(data))), 0xffff);
	memset(data, 0, sizeof(data));
	assert_int_equal(checksum_fold(checksum_segment(data, sizeof(data))), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ways_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frames_without_ip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_fast, setup, teardown),
		cmocka_unit_test(test_checksum_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
