#include "test/test.h"

#include "lib/packet/piece.h"
#include "lib/packet/test_frame.h"

enum { BURST = 64 };

static _Atomic uint64_t counters[PACKET_COUNTER_COUNT];
static struct packet packets[BURST];
static struct packet_decoder *decoder;

static int
setup(void **state)
{
	struct packet_config config = frame_decoder_config();

	memset(counters, 0, sizeof(counters));
	return packet_decoder_create(&decoder, &config, counters);
}

static int
teardown(void **state)
{
	packet_decoder_destroy(decoder);
	return 0;
}

static uint16_t
decode(const struct frame *frames, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		frame_give(&packets[i], &frames[i], 1000000000 + i);
	return packet_decode_burst(decoder, packets, count, BURST);
}

static void
make_udp(struct frame *frame, const char *payload)
{
	memset(frame, 0, sizeof(*frame));
	frame_ethernet(frame, 0x0800);
	frame_ipv4(frame, 0x0a000001, 0x0a000002, IP_PROTO_UDP, 7, 0);
	frame_udp(frame, 1000, 2000);
	frame_put(frame, payload, strlen(payload));
	frame_finish_ipv4(frame);
}

static void
make_tcp(struct frame *frame, uint8_t flags, const void *options, size_t options_len)
{
	memset(frame, 0, sizeof(*frame));
	frame_ethernet(frame, 0x0800);
	frame_ipv4(frame, 0x0a000001, 0x0a000002, IP_PROTO_TCP, 7, 0);
	frame_tcp(frame, 1024, 502, 100, 200, flags);
	frame_put(frame, options, options_len);
	frame->data[frame->l3_at + 32] = (uint8_t)((20 + options_len) / 4 << 4);
	frame_finish_ipv4(frame);
}

static void
test_udp(void **state)
{
	struct frame frame;
	const struct packet *packet = &packets[0];

	make_udp(&frame, "hello");
	memset(frame.data + frame.len, 0xee, 10); /* link padding is not payload */
	frame.len += 10;
	assert_int_equal(decode(&frame, 1), 1);
	assert_int_equal(packet->flags & (PACKET_INVALID | PACKET_L3_CHECKSUM_BAD | PACKET_L4_CHECKSUM_BAD), 0);
	assert_true(packet_is(packet, PACKET_FLOW));
	assert_false(packet_has_events(packet));
	assert_int_equal(packet->sport, 1000);
	assert_int_equal(packet->dport, 2000);
	assert_int_equal(packet->payload_len, 5);
	assert_memory_equal(packet->payload, "hello", 5);
	assert_int_equal(packet->ttl, 64);
	assert_int_equal(packet->next_idx, PACKET_NO_NEXT);
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_UDP]), 1);
	frame.data[frame.l3_at + 28] ^= 1;
	decode(&frame, 1);
	assert_true(packet_is(packet, PACKET_L4_CHECKSUM_BAD));
	frame.data[frame.l3_at + 8] ^= 1;
	decode(&frame, 1);
	assert_true(packet_is(packet, PACKET_L3_CHECKSUM_BAD));
}

static void
test_tcp_options(void **state)
{
	static const uint8_t syn[] = { 2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8, 1, 3, 3, 7 };
	static const uint8_t aligned[] = { 1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 2, 0 };
	static const uint8_t twice[] = { 2, 4, 5, 0xb4, 2, 4, 5, 0xb4 };
	static const uint8_t cut[] = { 1, 1, 8, 10 };
	struct frame frame;
	const struct packet *packet = &packets[0];

	make_tcp(&frame, TCP_SYN, syn, sizeof(syn));
	decode(&frame, 1);
	assert_int_equal(packet->tcp_mss, 1460);
	assert_int_equal(packet->tcp_wscale, 7);
	assert_int_equal(packet->tcp_ts_value, 9);
	assert_true(packet_is(packet, PACKET_TCP_SACK_PERMITTED));
	assert_false(packet_is(packet, PACKET_L4_CHECKSUM_BAD));
	make_tcp(&frame, TCP_ACK, aligned, sizeof(aligned));
	decode(&frame, 1);
	assert_int_equal(packet->tcp_ts_value, 256);
	assert_int_equal(packet->tcp_ts_echo, 512);
	make_tcp(&frame, TCP_SYN, twice, sizeof(twice));
	decode(&frame, 1);
	assert_true(packet_has_decode_event(packet, DECODE_TCP_OPT_DUPLICATE));
	make_tcp(&frame, TCP_SYN, cut, sizeof(cut));
	decode(&frame, 1);
	assert_true(packet_has_decode_event(packet, DECODE_TCP_OPT_INVALID_LEN));
}

/** A byte of a good UDP frame changed, and the event that must follow. */
static const struct {
	uint32_t at;
	uint8_t value;
	enum decode_event event;
} broken[] = {
	{ 14, 0x65, DECODE_IPV4_WRONG_IP_VERSION },
	{ 14, 0x44, DECODE_IPV4_HLEN_TOO_SMALL },
	{ 17, 10, DECODE_IPV4_IPLEN_SMALLER_THAN_HLEN },
	{ 17, 200, DECODE_IPV4_TRUNC_PKT },
	{ 17, 27, DECODE_UDP_HLEN_TOO_SMALL },
	{ 38, 1, DECODE_UDP_PKT_TOO_SMALL },
	{ 39, 7, DECODE_UDP_LEN_INVALID },
	{ 23, IP_PROTO_TCP, DECODE_TCP_PKT_TOO_SMALL },
	{ 23, IP_PROTO_ICMPV6, DECODE_IPV4_ICMPV6 },
};

static void
test_broken(void **state)
{
	struct frame frame;

	for (size_t i = 0; i < TEST_COUNT(broken); i++) {
		make_udp(&frame, "hello");
		frame.data[broken[i].at] = broken[i].value;
		decode(&frame, 1);
		assert_true(packet_is(&packets[0], PACKET_INVALID));
		assert_false(packet_is(&packets[0], PACKET_FLOW));
		assert_true(packet_has_decode_event(&packets[0], broken[i].event));
	}
	assert_int_equal(decode_event_find("udp.hlen_invalid"), DECODE_UDP_HLEN_INVALID);
	assert_int_equal(decode_event_find("udp.nothing"), -1);
}

/** Every cut of a frame, in its own allocation so that the sanitizer sees a read past its end. */
static void
cut_everywhere(const struct frame *frame, uint16_t link_type)
{
	for (uint32_t len = 0; len <= frame->len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, frame->data, len);
		frame_give(&packets[0], frame, 1);
		packets[0].data = copy;
		packets[0].len = len;
		packets[0].link_type = link_type;
		packet_decode_burst(decoder, packets, 1, BURST);
		packet_spread_hash(&packets[0]);
		free(copy);
	}
}

static void
make_vxlan(struct frame *frame)
{
	struct frame inner;

	make_udp(&inner, "inside");
	memset(frame, 0, sizeof(*frame));
	frame_ethernet(frame, 0x8100);
	frame_be16(frame, 5);
	frame_be16(frame, 0x0800);
	frame_ipv4(frame, 0x01010101, 0x02020202, IP_PROTO_UDP, 7, 0);
	frame_udp(frame, 5555, 4789);
	frame_be32(frame, 0x08000000);
	frame_be32(frame, 77 << 8);
	frame_put(frame, inner.data, inner.len);
	frame_finish_ipv4(frame);
}

static void
test_tunnel(void **state)
{
	struct frame frames[2];

	make_vxlan(&frames[0]);
	make_udp(&frames[1], "behind");
	assert_int_equal(decode(frames, 2), 3);
	assert_true(packet_is(&packets[0], PACKET_TUNNEL));
	assert_int_equal(packets[0].inner_idx, 2);
	assert_int_equal(packets[0].next_idx, 2);
	assert_int_equal(packets[2].next_idx, 1);
	assert_int_equal(packets[1].next_idx, PACKET_NO_NEXT);
	assert_int_equal(packets[2].outer_idx, 0);
	assert_int_equal(packets[2].source, PACKET_SOURCE_VXLAN);
	assert_int_equal(packets[2].key.tunnel_depth, 1);
	assert_int_equal(packets[2].vlan[0], 5);
	assert_memory_equal(packets[2].payload, "inside", 6);
	cut_everywhere(&frames[0], PACKET_LINK_ETHERNET);
	for (uint16_t link = 0; link < 300; link++)
		cut_everywhere(&frames[0], link);
}

static void
test_gre_erspan(void **state)
{
	struct frame inner, frame;

	make_udp(&inner, "inside");
	memset(&frame, 0, sizeof(frame));
	frame_ethernet(&frame, 0x0800);
	frame_ipv4(&frame, 0x01010101, 0x02020202, IP_PROTO_GRE, 7, 0);
	frame_be16(&frame, 0x1000);
	frame_be16(&frame, 0x88be);
	frame_be32(&frame, 1);
	frame_be16(&frame, 0x1000 | 9);
	frame_be16(&frame, 0);
	frame_be32(&frame, 0);
	frame_put(&frame, inner.data, inner.len);
	frame_finish_ipv4(&frame);
	assert_int_equal(decode(&frame, 1), 2);
	assert_int_equal(packets[1].source, PACKET_SOURCE_ERSPAN);
	assert_int_equal(packets[1].vlan[0], 9);
	assert_memory_equal(packets[1].payload, "inside", 6);
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_ERSPAN]), 1);
	cut_everywhere(&frame, PACKET_LINK_ETHERNET);
}

static void
test_both_directions_share_a_key(void **state)
{
	struct frame frames[2];

	make_udp(&frames[0], "to");
	make_udp(&frames[1], "fro");
	frames[1].len = 14;
	frame_ipv4(&frames[1], 0x0a000002, 0x0a000001, IP_PROTO_UDP, 7, 0);
	frame_udp(&frames[1], 2000, 1000);
	frame_finish_ipv4(&frames[1]);
	decode(frames, 2);
	assert_int_equal(packets[0].hash, packets[1].hash);
	assert_memory_equal(&packets[0].key, &packets[1].key, sizeof(struct packet_key));
	assert_true(packet_is(&packets[0], PACKET_KEY_SWAPPED) != packet_is(&packets[1], PACKET_KEY_SWAPPED));
	assert_int_equal(packet_spread_hash(&packets[0]), packet_spread_hash(&packets[1]));
}

static void
test_icmp(void **state)
{
	struct frame frames[3];

	memset(frames, 0, sizeof(frames));
	for (unsigned int i = 0; i < 2; i++) {
		frame_ethernet(&frames[i], 0x0800);
		frame_ipv4(&frames[i], i == 0 ? 1 : 2, i == 0 ? 2 : 1, IP_PROTO_ICMP, 1, 0);
		frame_be16(&frames[i], i == 0 ? 0x0800 : 0);
		frame_be16(&frames[i], 0);
		frame_be32(&frames[i], 0x00070001);
		frame_finish_ipv4(&frames[i]);
	}
	frame_ethernet(&frames[2], 0x0800); /* port unreachable about a datagram 10.0.0.1:1000 -> 10.0.0.2:2000 */
	frame_ipv4(&frames[2], 0x0a000002, 0x0a000001, IP_PROTO_ICMP, 1, 0);
	frame_be16(&frames[2], 0x0303);
	frame_be16(&frames[2], 0);
	frame_be32(&frames[2], 0);
	frame_ipv4(&frames[2], 0x0a000001, 0x0a000002, IP_PROTO_UDP, 7, 0);
	frame_udp(&frames[2], 1000, 2000);
	frames[2].l3_at = 14;
	frame_finish_ipv4(&frames[2]);
	decode(frames, 3);
	assert_memory_equal(&packets[0].key, &packets[1].key, sizeof(struct packet_key));
	assert_int_equal(packets[0].icmp_type, 8);
	assert_int_equal(packets[0].icmp_id, 7);
	assert_false(packet_is(&packets[2], PACKET_FLOW));
	assert_true(packet_is(&packets[2], PACKET_FLOW_FIND));
	struct packet_key key = packets[2].key;
	struct frame udp;

	make_udp(&udp, "x");
	decode(&udp, 1);
	assert_memory_equal(&packets[0].key, &key, sizeof(key));
}

/* Both ends of an Ethernet flow are MACs; without its EtherType in the configuration the frame has no flow. */
static void
test_ether_flow(void **state)
{
	static const uint8_t src[6] = { 2, 0, 0, 0, 0, 2 };
	struct packet_config config = frame_decoder_config();
	struct frame frame = { 0 };
	uint16_t tci;

	frame_ethernet(&frame, 0x8100);
	frame_be16(&frame, 0x8005);
	frame_be16(&frame, 0x88b8);
	frame_be32(&frame, 0x00010008);
	decode(&frame, 1);
	assert_false(packet_is(&packets[0], PACKET_FLOW));
	assert_int_equal(counters[PACKET_COUNTER_UNKNOWN_ETHERTYPE], 1);
	packet_decoder_destroy(decoder);
	config.flow_ether_types[0] = 0x88ba;
	config.flow_ether_types[1] = 0x88b8;
	config.flow_ether_type_count = 2;
	assert_int_equal(packet_decoder_create(&decoder, &config, counters), 0);
	decode(&frame, 1);
	assert_true(packet_is(&packets[0], PACKET_FLOW));
	assert_int_equal(packets[0].payload_len, 4);
	assert_int_equal(packets[0].ip_version, 0);
	assert_int_equal(packets[0].key.port[0], 0x88b8);
	assert_int_equal(packets[0].key.vlan[0], 5);
	assert_memory_equal(packets[0].src.bytes, src, sizeof(src));
	assert_int_equal(packets[0].hash, packet_key_hash(&packets[0].key));
	assert_true(packet_vlan_tci(&packets[0], &tci));
	assert_int_equal(tci, 0x8005);
	assert_int_equal(counters[PACKET_COUNTER_ETHER_FLOW], 1);
}

static void
test_arp_and_llc(void **state)
{
	struct frame frame = { .len = 0 };
	struct packet_arp arp;

	frame_ethernet(&frame, 0x0806);
	frame_be16(&frame, 1);
	frame_be16(&frame, 0x0800);
	frame_be16(&frame, 0x0604);
	frame_be16(&frame, 2);
	frame_put(&frame, "\1\2\3\4\5\6\12\0\0\1\7\7\7\7\7\7\12\0\0\2", 20);
	decode(&frame, 1);
	assert_true(packet_arp_get(&packets[0], &arp));
	assert_int_equal(arp.opcode, 2);
	assert_int_equal(arp.src_mac[5], 6);
	assert_int_equal(arp.dst_ip[3], 2);
	cut_everywhere(&frame, PACKET_LINK_ETHERNET);
	frame.len = 12;
	frame_be16(&frame, 5); /* 802.3 length */
	frame_put(&frame, "\x42\x42\x03zz-padding", 13);
	decode(&frame, 1);
	assert_true(packet_is(&packets[0], PACKET_LLC));
	assert_int_equal(packets[0].payload_len, 5);
	assert_int_equal(packets[0].ether_type, 0);
}

/** Cuts a UDP datagram of len payload bytes into fragments of unit bytes. */
static uint16_t
make_fragments(struct frame *frames, uint32_t len, uint32_t unit)
{
	struct frame whole = { .len = 0 };
	uint16_t count = 0;
	uint32_t l4_len;

	frame_ipv4(&whole, 0x0a000001, 0x0a000002, IP_PROTO_UDP, 99, 0);
	frame_udp(&whole, 1000, 2000);
	for (uint32_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)(i * 7);

		frame_put(&whole, &byte, 1);
	}
	frame_finish_ipv4(&whole);
	l4_len = whole.len - 20;
	for (uint32_t at = 0; at < l4_len; at += unit, count++) {
		uint32_t part = l4_len - at < unit ? l4_len - at : unit;
		struct frame *frame = &frames[count];

		memset(frame, 0, sizeof(*frame));
		frame_ethernet(frame, 0x0800);
		frame_ipv4(frame, 0x0a000001, 0x0a000002, IP_PROTO_UDP, 99,
			(uint16_t)(at / 8 | (at + part < l4_len ? 0x2000 : 0)));
		frame_put(frame, whole.data + 20 + at, part);
		frame_finish_ipv4(frame);
	}
	return count;
}

static void
test_fragments(void **state)
{
	static struct frame frames[BURST];
	unsigned int seed = 1;
	uint16_t count = make_fragments(frames, 1000, 64);

	for (unsigned int round = 0; round < 200; round++) {
		uint16_t decoded;

		for (uint16_t i = count; i > 1; i--) {
			uint16_t j = (uint16_t)((unsigned int)rand_r(&seed) % i);
			struct frame swap = frames[i - 1];

			frames[i - 1] = frames[j];
			frames[j] = swap;
		}
		decoded = decode(frames, count);
		assert_int_equal(decoded, count + 1);
		const struct packet *inner = &packets[count];

		assert_true(packet_is(inner, PACKET_REASSEMBLED));
		assert_true(packet_is(inner, PACKET_FLOW));
		assert_false(packet_is(inner, PACKET_L4_CHECKSUM_BAD));
		assert_int_equal(inner->payload_len, 1000);
		for (uint32_t i = 0; i < 1000; i++)
			assert_int_equal(inner->payload[i], (uint8_t)(i * 7));
		assert_int_equal(packets[count - 1].next_idx, count);
	}
	assert_int_equal(counter_get(&counters[PACKET_COUNTER_REASSEMBLED_IPV4]), 200);
}

static void
test_fragments_bounded(void **state)
{
	static struct frame frames[BURST];
	uint16_t count = make_fragments(frames, 1000, 64);

	for (uint32_t id = 0; id < 1000; id++) { /* partial datagrams for ever */
		for (uint16_t i = 0; i < count; i++) {
			frame_set_be16(&frames[i], 18, (uint16_t)id);
			frame_checksum(&frames[i], 24, 0, 14, 20);
		}
		decode(frames, count - 1);
	}
	assert_true(counter_get(&counters[PACKET_COUNTER_DEFRAG_MAX_TRACKERS]) > 0);
	make_fragments(frames, 1000, 64);
	assert_int_equal(decode(frames, count), count + 1);
}

/** The policies' definitions, chunk against chunk: [start, end). */
static bool
definition_new_wins(enum piece_policy policy, const unsigned int *old, const unsigned int *new)
{
	switch (policy) {
	case PIECE_FIRST:
		return false;
	case PIECE_LAST:
		return true;
	case PIECE_BSD:
		return !(old[0] <= new[0]);
	case PIECE_LINUX:
		return !(old[0] < new[0]);
	case PIECE_WINDOWS:
		return new[0] < old[0] && new[1] > old[1];
	default:
		return new[0] < old[0] && new[1] >= old[1];
	}
}

enum { GRID = 7, UNIT = 8 };

static void
check_arrangement(struct slab *slab, enum piece_policy policy, const unsigned int (*chunks)[2], unsigned int count)
{
	struct piece_list list = { .head = NULL };
	int owner[GRID];
	uint64_t at = 0;

	for (unsigned int u = 0; u < GRID; u++)
		owner[u] = -1;
	for (unsigned int i = 0; i < count; i++) {
		uint8_t bytes[GRID * UNIT];
		unsigned int result;
		bool overlap = false;

		for (unsigned int u = chunks[i][0]; u < chunks[i][1]; u++) {
			overlap |= owner[u] >= 0;
			if (owner[u] < 0 || definition_new_wins(policy, chunks[owner[u]], chunks[i]))
				owner[u] = (int)i;
		}
		memset(bytes, 'A' + (int)i, sizeof(bytes));
		result = piece_insert(&list, slab, policy, chunks[i][0] * UNIT, bytes,
			(chunks[i][1] - chunks[i][0]) * UNIT, 0);
		assert_int_equal(result, overlap ? PIECE_OVERLAP | PIECE_DIFFERENT : 0);
	}
	for (const struct piece *piece = list.head; piece != NULL; piece = piece->next) {
		assert_true(piece->start >= at && piece->end > piece->start);
		for (at = piece->start; at < piece->end; at++)
			assert_int_equal(piece_data(piece)[at - piece->start], 'A' + owner[at / UNIT]);
		assert_true(piece->next != NULL || piece == list.tail);
	}
	piece_clear(&list, slab);
	assert_int_equal(list.bytes, 0);
	assert_int_equal(list.count, 0);
}

/* Three chunks on a grid of seven units take every arrangement of their six ends, equal ones included. */
static void
test_overlap_policies(void **state)
{
	struct slab *slab;
	unsigned int chunks[3][2];
	size_t used;

	assert_int_equal(slab_create(&slab, 1 << 20), 0);
	used = slab_used(slab);
	for (unsigned int policy = 0; policy < PIECE_POLICY_COUNT; policy++)
		for (unsigned int n = 0; n < GRID * GRID * GRID * GRID * GRID * GRID; n++) {
			unsigned int rest = n;
			bool valid = true;

			for (unsigned int i = 0; i < 6; i++, rest /= GRID)
				chunks[i / 2][i % 2] = rest % GRID;
			for (unsigned int i = 0; i < 3; i++)
				valid = valid && chunks[i][0] < chunks[i][1];
			if (valid)
				check_arrangement(slab, policy, (const unsigned int (*)[2])chunks, 3);
		}
	assert_int_equal(slab_used(slab), used);
	slab_destroy(slab);
	assert_int_equal(piece_policy_find("windows2k3"), PIECE_WINDOWS);
	assert_int_equal(piece_policy_find("plan9"), -22);
}

static void
test_ipv6(void **state)
{
	struct frame frame = { .len = 0 };
	static const uint8_t addresses[32] = { 0x20, 1, [15] = 1, [16] = 0x20, [17] = 1, [31] = 2 };
	uint32_t l4;

	frame_ethernet(&frame, 0x86dd);
	frame_be32(&frame, 0x60000000);
	frame_be16(&frame, 0);
	frame_be16(&frame, IP_PROTO_HOPOPTS << 8 | 64);
	frame_put(&frame, addresses, sizeof(addresses));
	frame_put(&frame, "\x3c\0\5\2\0\0\1\0", 8);  /* hop-by-hop: router alert, PadN */
	frame_put(&frame, "\x2c\0\1\4\0\0\0\0", 8);  /* destination options: padding only */
	frame_put(&frame, "\x11\0\0\0\0\0\0\1", 8);  /* atomic fragment */
	l4 = frame.len;
	frame_udp(&frame, 1000, 2000);
	frame_put(&frame, "hi", 2);
	frame_set_be16(&frame, l4 + 4, 10);
	frame_set_be16(&frame, 18, (uint16_t)(frame.len - 54));
	frame_checksum(&frame, l4 + 6, checksum_add(0, addresses, 32) + __builtin_bswap16(10) + (17 << 8), l4, 10);
	decode(&frame, 1);
	assert_false(packet_is(&packets[0], PACKET_INVALID | PACKET_L4_CHECKSUM_BAD));
	assert_int_equal(packets[0].ip_version, 6);
	assert_int_equal(packets[0].l3_len, 64);
	assert_int_equal(packets[0].dport, 2000);
	assert_true(packet_has_decode_event(&packets[0], DECODE_IPV6_EXTHDR_USELESS_FH));
	assert_true(packet_has_decode_event(&packets[0], DECODE_IPV6_DSTOPTS_ONLY_PADDING));
	assert_true(packet_has_decode_event(&packets[0], DECODE_IPV6_ZERO_LEN_PADN));
	cut_everywhere(&frame, PACKET_LINK_ETHERNET);
}

static void
test_create_fails(void **state)
{
	struct packet_config config = frame_decoder_config();
	struct packet_decoder *made = NULL;

	TEST_FAIL_EACH_ALLOC(packet_decoder_create(&made, &config, counters), == 0, packet_decoder_destroy(made));
	packet_decoder_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_udp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tunnel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gre_erspan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_directions_share_a_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_icmp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arp_and_llc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ether_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fragments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fragments_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ipv6, setup, teardown),
		cmocka_unit_test(test_overlap_policies),
		cmocka_unit_test(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
