#include "lib/stream/test_stream.h"

static void
client(uint32_t offset, const char *text)
{
	segment(true, CLIENT_ISN + 1 + offset, SERVER_ISN + 1, TCP_ACK | TCP_PSH, text, (uint32_t)strlen(text));
}

static void
server_ack(uint32_t offset)
{
	segment(false, SERVER_ISN + 1, CLIENT_ISN + 1 + offset, TCP_ACK, NULL, 0);
}

static void
assert_got(const char *text)
{
	assert_int_equal(sink.len[1], strlen(text));
	assert_memory_equal(sink.bytes[1], text, strlen(text));
}

static void
test_in_order(void **state)
{
	handshake(CLIENT_ISN);
	assert_int_equal(stream_next_seq(flow, true), CLIENT_ISN + 1);
	assert_int_equal(stream_distance(flow, true), 1);
	assert_int_equal(stream_size(flow, true), 0);
	client(0, "abc");
	assert_true((packet.stream_events[0] | packet.stream_events[1]) == 0);
	assert_int_equal(sink.starts[1], 1);
	assert_int_equal(stream_next_seq(flow, true), CLIENT_ISN + 4);
	assert_int_equal(stream_distance(flow, true), 4);
	assert_false(stream_is_acked(flow, true, CLIENT_ISN + 4));
	segment(false, SERVER_ISN + 1, CLIENT_ISN + 4, TCP_ACK, "answer", 6);
	assert_true(stream_is_acked(flow, true, CLIENT_ISN + 4));
	client(3, "def");
	assert_got("abcdef");
	assert_memory_equal(sink.bytes[0], "answer", 6);
	assert_int_equal(counter_get(&counters[STREAM_COUNTER_COPIED_BYTES]), 0);
	segment(true, CLIENT_ISN + 7, SERVER_ISN + 7, TCP_ACK | TCP_FIN, NULL, 0);
	assert_int_equal(sink.ends[1], 1);
	segment(false, SERVER_ISN + 7, CLIENT_ISN + 8, TCP_ACK | TCP_FIN, NULL, 0);
	segment(true, CLIENT_ISN + 8, SERVER_ISN + 8, TCP_ACK, NULL, 0);
	assert_int_equal(sink.ends[0], 1);
	stream_end(engine, flow, on_data, NULL);
	assert_int_equal(sink.ends[1], 1);
	assert_int_equal(sink.gaps[0] + sink.gaps[1], 0);
	assert_int_equal(flow->lost_bytes[0] + flow->lost_bytes[1], 0);
}

static void
test_retransmission(void **state)
{
	handshake(CLIENT_ISN);
	client(0, "abc");
	client(0, "abc");
	assert_true(packet.stream_events[STREAM_PKT_RETRANSMISSION / 64] >> STREAM_PKT_RETRANSMISSION % 64 & 1);
	client(0, "abcdef");
	client(5, "f"); /* keep-alive */
	assert_int_equal(counter_get(&counters[STREAM_COUNTER_KEEPALIVES]), 1);
	client(6, "ghi");
	assert_got("abcdefghi");
}

/** The ACK of lost bytes: a few packets of patience, then a gap of their exact length. */
static void
test_gap(void **state)
{
	handshake(CLIENT_ISN);
	client(0, "abc");
	client(7, "hij");
	assert_got("abc");
	server_ack(10);
	assert_int_equal(sink.gaps[1], 0);
	for (unsigned int i = 0; i < 8; i++)
		server_ack(10);
	assert_int_equal(sink.gaps[1], 1);
	assert_int_equal(sink.missing[1], 4);
	assert_got("abchij");
	assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], 4);
	client(10, "klm");
	assert_got("abchijklm");
}

static void
test_ack_before_data(void **state)
{
	handshake(CLIENT_ISN);
	server_ack(3); /* a mirror swapped the two frames */
	client(0, "abc");
	assert_got("abc");
	assert_int_equal(sink.gaps[1], 0);
	assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], 0);
}

static void
test_gap_at_end(void **state)
{
	handshake(CLIENT_ISN);
	client(0, "VERY");
	client(8, "DATA");
	stream_end(engine, flow, on_data, NULL);
	assert_got("VERYDATA");
	assert_int_equal(sink.missing[1], 4);
	assert_int_equal(sink.ends[1], 1);
}

/** RFC 9293 3.4: what the peer acknowledged it has received, FIN and all; nothing came behind it. */
static void
test_gap_before_fin(void **state)
{
	handshake(CLIENT_ISN);
	client(0, "GET");
	segment(false, SERVER_ISN + 1, CLIENT_ISN + 4, TCP_ACK, NULL, 0);
	segment(false, SERVER_ISN + 1 + 2902, CLIENT_ISN + 4, TCP_ACK | TCP_FIN, NULL, 0);
	segment(true, CLIENT_ISN + 4, SERVER_ISN + 2 + 2902, TCP_ACK, NULL, 0);
	stream_end(engine, flow, on_data, NULL);
	assert_int_equal(sink.missing[0], 2902);
	assert_int_equal(flow->lost_bytes[FLOW_TO_CLIENT], 2902);
	assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], 0);
	assert_int_equal(sink.ends[0], 1);
}

/** A FIN that was not mirrored is acknowledged as a byte is. */
static void
test_unseen_fin(void **state)
{
	handshake(CLIENT_ISN);
	client(0, "abc");
	server_ack(4);
	stream_end(engine, flow, on_data, NULL);
	assert_int_equal(sink.gaps[1], 0);
	assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], 0);
}

/** A transfer of more than four gigabytes of which little is seen: the count does not begin anew. */
static void
test_lost_bytes_stick(void **state)
{
	const uint32_t hole = UINT32_C(0x50000000);

	handshake(CLIENT_ISN);
	for (uint32_t i = 1; i <= 4; i++) {
		for (unsigned int again = 0; again < 16; again++) {
			client(i * hole, "abc");
			server_ack(i * hole + 3);
		}
		assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], i < 4 ? i * hole - 3 * (i - 1) : UINT32_MAX);
	}
}

/** Of a connection whose protocol nobody knows nothing waits; what the peer acknowledged and never came is lost all the same. */
static void
test_lost_after_give_up(void **state)
{
	handshake(CLIENT_ISN);
	sink.give_up = true;
	client(0, "abc");
	client(7, "hij");
	server_ack(10);
	assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], 0); /* a mirror may have swapped them */
	for (unsigned int i = 0; i < 6; i++) {
		now_ns += S / 50;
		server_ack(10);
	}
	assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], 4);
	client(13, "n"); /* out of order */
	client(10, "klm");
	for (unsigned int i = 0; i < 6; i++) {
		now_ns += S / 50;
		server_ack(14);
	}
	assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], 4);
	assert_int_equal(counter_get(&counters[STREAM_COUNTER_RETRANSMISSIONS]), 0);
	client(20, "u"); /* not acknowledged: it may be lost behind us */
	server_ack(14);
	client(30, "v");
	server_ack(31);
	stream_end(engine, flow, on_data, NULL);
	assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], 4 + 6 + 9);
	assert_int_equal(sink.gaps[1], 0);
}

/** What waited when the protocol was given up was seen. */
static void
test_give_up_with_early(void **state)
{
	handshake(CLIENT_ISN);
	client(4, "ef");
	stream_give_up(engine, flow);
	client(6, "gh");
	server_ack(8);
	stream_end(engine, flow, on_data, NULL);
	assert_int_equal(flow->lost_bytes[FLOW_TO_SERVER], 4);
}

static void
test_midstream(void **state)
{
	client(100, "abc");
	assert_got("abc");
	assert_int_equal(sink.starts[1], 0);
	assert_false(packet_is(&packet, PACKET_ESTABLISHED));
	client(103, "def");
	segment(false, SERVER_ISN + 50, CLIENT_ISN + 107, TCP_ACK, "x", 1);
	assert_got("abcdef");
	assert_int_equal(sink.len[0], 1);
}

static void
test_one_way(void **state)
{
	handshake(CLIENT_ISN);
	flow->packets[FLOW_TO_CLIENT] = 0;
	client(0, "a");
	for (uint32_t i = 0; i < 40; i++)
		client(2 + i, "b");
	assert_int_equal(sink.gaps[1], 1);
	assert_int_equal(sink.missing[1], 1);
	assert_int_equal(sink.len[1], 41);
}

static void
test_overlap_reported(void **state)
{
	handshake(CLIENT_ISN);
	client(4, "EVIL");
	client(4, "GOOD");
	assert_true(packet.stream_events[STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA / 64] >>
		STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA % 64 & 1);
	client(0, "1234");
	assert_got("1234EVIL"); /* bsd: the earlier wins where it starts no later */
}

static void
test_timestamps(void **state)
{
	handshake(CLIENT_ISN);
	for (unsigned int i = 0; i < 3; i++) {
		static const uint32_t stamps[] = { 100, 90, 101 };
		struct flow *found[1];

		packet.flags = PACKET_IP | PACKET_L4 | PACKET_FLOW | PACKET_TCP_TIMESTAMP;
		packet.tcp_seq = CLIENT_ISN + 1 + (i == 0 ? 0 : 1);
		packet.tcp_flags = TCP_ACK;
		packet.tcp_ts_value = stamps[i];
		packet.payload = (const uint8_t *)"axb" + i;
		packet.payload_len = 1;
		flow_lookup_burst(table, &packet, 1, S, found);
		flow = flow_update(table, found[0], &packet);
		stream_segment(engine, flow, &packet, on_data, NULL);
	}
	assert_got("ab");
}

static void
test_syn_data(void **state)
{
	/* fast open: the server acknowledged the data */
	segment(true, CLIENT_ISN, 0, TCP_SYN, "abc", 3);
	assert_int_equal(sink.calls, 0);
	segment(false, SERVER_ISN, CLIENT_ISN + 4, TCP_SYN | TCP_ACK, NULL, 0);
	assert_got("abc");
	client(3, "def");
	assert_got("abcdef");
	/* it did not: the client sends it again */
	teardown(NULL);
	setup(NULL);
	segment(true, CLIENT_ISN, 0, TCP_SYN, "xyz", 3);
	segment(false, SERVER_ISN, CLIENT_ISN + 1, TCP_SYN | TCP_ACK, NULL, 0);
	client(0, "abc");
	assert_got("abc");
}

static void
test_rst(void **state)
{
	handshake(CLIENT_ISN);
	client(0, "abc");
	segment(true, CLIENT_ISN + 4, SERVER_ISN + 1, TCP_RST, NULL, 0);
	client(3, "def"); /* the host ignored the RST, so do we */
	assert_true(packet.stream_events[STREAM_SUSPECTED_RST_INJECT / 64] >> STREAM_SUSPECTED_RST_INJECT % 64 & 1);
	assert_got("abcdef");
}

static void
test_give_up_and_swap_in_callback(void **state)
{
	handshake(CLIENT_ISN);
	sink.give_up = true;
	client(3, "def");
	client(0, "abc"); /* gives up with an early segment waiting */
	client(9, "jkl");
	client(6, "ghi");
	assert_int_equal(sink.calls, 1);
	assert_int_equal(stream_bytes_used(engine), 0);
	assert_int_equal(stream_next_seq(flow, true), CLIENT_ISN + 1 + 12);
	teardown(NULL);
	setup(NULL);
	sink.swap = true;
	sink.record_len = 4;
	client(0, "abc"); /* midstream: what opened the flow turns out to be the server */
	client(3, "d");
	assert_int_equal(sink.len[0], 4);
	assert_memory_equal(sink.bytes[0], "abcd", 4);
	assert_int_equal(stream_next_seq(flow, false), CLIENT_ISN + 5);
}

static void
test_unfinished_is_bounded(void **state)
{
	static uint8_t chunk[1000];

	handshake(CLIENT_ISN);
	sink.record_len = 1 << 30; /* never satisfied */
	for (uint32_t i = 0; i < 300; i++)
		segment(true, CLIENT_ISN + 1 + i * 1000, SERVER_ISN + 1, TCP_ACK, chunk, 1000);
	assert_true(stream_bytes_used(engine) <= 256 * 1024);
	assert_true(counter_get(&counters[STREAM_COUNTER_PENDING_DROP]) > 0);
	assert_true(sink.gaps[1] > 0);
}

static void
test_far_segments(void **state)
{
	handshake(CLIENT_ISN);
	client(0, "abc");
	for (unsigned int i = 0; i < 3; i++)
		segment(true, CLIENT_ISN + 0x7f000000u, SERVER_ISN + 1, TCP_ACK, "zzz", 3);
	assert_int_equal(counter_get(&counters[STREAM_COUNTER_OUT_OF_WINDOW]), 3);
	client(3, "def");
	assert_got("abcdef");
}

/** The same bytes, cut anywhere, in any near order, with repeats, across the wrap of sequence numbers. */
static void
test_any_cut(void **state)
{
	uint8_t text[2000];
	unsigned int seed = 11;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 31 + i / 256);
	for (unsigned int round = 0; round < 300; round++) {
		uint32_t isn = (uint32_t)-1000 + round;
		uint32_t starts[400], lens[400];
		unsigned int count = 0;

		handshake(isn);
		sink.record_len = round % 3 == 0 ? 0 : 7;
		for (uint32_t at = 0; at < sizeof(text); count++) {
			uint32_t len = 1 + (uint32_t)rand_r(&seed) % (round % 2 == 0 ? 20 : 300);

			if (count == 399 || len > sizeof(text) - at)
				len = (uint32_t)sizeof(text) - at;
			starts[count] = at;
			lens[count] = len;
			at += len;
		}
		for (unsigned int i = 0; i + 1 < count; i++) { /* neighbours near and far change places */
			unsigned int j = i + (unsigned int)rand_r(&seed) % 8;
			uint32_t start, len;

			if (j >= count)
				continue;
			start = starts[i], len = lens[i];
			starts[i] = starts[j], lens[i] = lens[j];
			starts[j] = start, lens[j] = len;
		}
		for (unsigned int i = 0; i < count; i++) {
			uint32_t back = (uint32_t)rand_r(&seed) % 30, start = starts[i], len = lens[i];

			segment(true, isn + 1 + start, SERVER_ISN + 1, TCP_ACK, text + start, len);
			if (i % 5 == 0) { /* again, with some of what was before */
				back = back > start ? start : back;
				segment(true, isn + 1 + start - back, SERVER_ISN + 1, TCP_ACK, text + start - back,
					len + back);
			}
		}
		segment(true, isn + 1 + (uint32_t)sizeof(text), SERVER_ISN + 1, TCP_ACK | TCP_FIN, NULL, 0);
		assert_int_equal(sink.len[1], sizeof(text));
		assert_memory_equal(sink.bytes[1], text, sizeof(text));
		assert_int_equal(sink.ends[1], 1);
		assert_int_equal(sink.gaps[1], 0);
		assert_int_equal(counter_get(&counters[STREAM_COUNTER_OVERLAP_DIFF_DATA]), 0);
		teardown(NULL);
		setup(NULL);
	}
}

/** Segments from nowhere: nothing breaks, memory stays bounded. */
static void
test_random_segments(void **state)
{
	static const uint8_t zeros[64];
	unsigned int seed = 3;

	for (unsigned int i = 0; i < 50000; i++) {
		uint32_t spread = i % 7 == 0 ? UINT32_MAX : 3000;

		segment(rand_r(&seed) % 2 == 0, 1000 + (uint32_t)rand_r(&seed) % spread,
			1000 + (uint32_t)rand_r(&seed) % spread, (uint8_t)(rand_r(&seed) % 100 == 0 ? rand_r(&seed) : TCP_ACK),
			zeros, (uint32_t)rand_r(&seed) % sizeof(zeros));
		memset(sink.len, 0, sizeof(sink.len));
		assert_true(stream_bytes_used(engine) <= 1 << 20);
		if (i % 64 == 0)
			flow_expire(table, S, 64, on_end, NULL);
	}
}

/* ---- the two directions captured apart ---- */

static void
test_create_fails(void **state)
{
	struct stream_config config = config_default();
	struct stream_engine *made = NULL;

	TEST_FAIL_EACH_ALLOC(stream_engine_create(&made, &config, counters), == 0, stream_engine_destroy(made));
	stream_engine_destroy(NULL);
	assert_int_equal(stream_event_find("pkt_invalid_ack"), STREAM_PKT_INVALID_ACK);
	assert_int_equal(stream_event_find("nothing"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retransmission, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ack_before_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gap_at_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gap_before_fin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unseen_fin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_bytes_stick, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_after_give_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_give_up_with_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_midstream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlap_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timestamps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_syn_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_give_up_and_swap_in_callback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unfinished_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_far_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_segments, setup, teardown),
		cmocka_unit_test(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
