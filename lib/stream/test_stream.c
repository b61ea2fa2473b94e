#include "test/test.h"

#include <ctype.h>

#include "lib/packet/test_frame.h"
#include "lib/stream/stream.h"

enum { TEXT_MAX = 4096, CLIENT_ISN = 1000, SERVER_ISN = 5000 };

static const uint64_t S = UINT64_C(1000000000);
static _Atomic uint64_t counters[STREAM_COUNTER_COUNT];
static _Atomic uint64_t flow_counts[FLOW_COUNTER_COUNT];
static struct stream_engine *engine;
static struct flow_table *table;
static struct packet packet;
static uint64_t now_ns;
static struct flow *flow;

/** What the callback got, by direction (1: to server), and how it consumes. */
static struct sink {
	uint8_t bytes[2][TEXT_MAX];
	uint32_t len[2];
	uint32_t missing[2];
	unsigned int gaps[2], ends[2], starts[2];
	uint32_t record_len; /* consumes whole records of this length; 0: all */
	bool swap, give_up;  /* in the first call */
	unsigned int calls;
	char order[TEXT_MAX]; /* of bytes of both directions: what the client sent, and in capitals what the server did */
	uint32_t order_len;
} sink;

static struct stream_config
config_default(void)
{
	return (struct stream_config){
		.memcap_bytes = 1 << 20, .reassembly_memcap_bytes = 1 << 20, .checksum_validation = true,
		.policy = STREAM_POLICY_BSD, .segments_max = STREAM_SEGMENTS_MAX,
	};
}

static int
setup(void **state)
{
	struct stream_config config = config_default();
	struct flow_config flow_config = { .flows_max = 64, .emergency_recovery = 10,
		.timeout_s = { { 30, 300, 0 }, { 60, 600, 60 }, { 30, 300, 0 }, { 30, 300, 0 } } };

	memset(counters, 0, sizeof(counters));
	memset(&sink, 0, sizeof(sink));
	flow = NULL;
	now_ns = S;
	return stream_engine_create(&engine, &config, counters) < 0 ||
		flow_table_create(&table, &flow_config, flow_counts) < 0;
}

static void
on_end(void *arg, struct flow *ended)
{
	stream_end(engine, ended, NULL, NULL);
}

static int
teardown(void **state)
{
	flow_expire_all(table, on_end, NULL);
	assert_int_equal(stream_bytes_used(engine), 0);
	flow_table_destroy(table);
	stream_engine_destroy(engine);
	return 0;
}

static uint32_t
on_data(void *arg, struct flow *of, struct packet *at, const struct stream_data *data)
{
	bool way = data->to_server;
	uint32_t consumed = sink.record_len == 0 ? data->len : data->len - data->len % sink.record_len;

	sink.calls++;
	if ((data->flags & STREAM_GAP) != 0) {
		sink.gaps[way]++;
		sink.missing[way] += data->missing;
	}
	sink.starts[way] += (data->flags & STREAM_START) != 0;
	if ((data->flags & STREAM_END) != 0) {
		sink.ends[way]++;
		consumed = data->len;
	}
	assert_true(sink.len[way] + consumed <= TEXT_MAX);
	if (consumed > 0)
		memcpy(sink.bytes[way] + sink.len[way], data->data, consumed);
	sink.len[way] += consumed;
	for (uint32_t i = 0; i < consumed && sink.order_len < TEXT_MAX - 1; i++)
		sink.order[sink.order_len++] = (char)(way ? data->data[i] : toupper(data->data[i]));
	if (sink.swap && sink.calls == 1)
		flow_swap_direction(of);
	if (sink.give_up && sink.calls == 1)
		stream_give_up(engine, of);
	return consumed;
}

/** One segment from the client (1.1.1.1:1024) or the server (2.2.2.2:502). */
static void
segment(bool from_client, uint32_t seq, uint32_t ack, uint8_t flags, const void *data, uint32_t len)
{
	struct flow *found[1];

	memset(&packet, 0, sizeof(packet));
	packet.ts_ns = now_ns;
	packet.flags = PACKET_IP | PACKET_L4 | PACKET_FLOW | (from_client ? 0 : PACKET_KEY_SWAPPED);
	packet.ip_version = packet.key.ip_version = 4;
	packet.ip_proto = packet.key.ip_proto = IP_PROTO_TCP;
	packet.key.addr[0].words[0] = 0x01010101;
	packet.key.addr[1].words[0] = 0x02020202;
	packet.key.port[0] = 1024;
	packet.key.port[1] = 502;
	packet.hash = packet_key_hash(&packet.key);
	packet.tcp_seq = seq;
	packet.tcp_ack = ack;
	packet.tcp_flags = flags;
	packet.tcp_window = 65535;
	packet.payload = data;
	packet.payload_len = len;
	flow_lookup_burst(table, &packet, 1, S, found);
	flow = flow_update(table, found[0], &packet);
	stream_segment(engine, flow, &packet, on_data, NULL);
}

static void
handshake(uint32_t client_isn)
{
	segment(true, client_isn, 0, TCP_SYN, NULL, 0);
	segment(false, SERVER_ISN, client_isn + 1, TCP_SYN | TCP_ACK, NULL, 0);
	segment(true, client_isn + 1, SERVER_ISN + 1, TCP_ACK, NULL, 0);
}

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
	client(0, "abc");
	assert_true((packet.stream_events[0] | packet.stream_events[1]) == 0);
	assert_int_equal(sink.starts[1], 1);
	assert_int_equal(stream_next_seq(flow, true), CLIENT_ISN + 4);
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

/* "ab" of the client at its offset 0, answered by "cd", and so on: each side acknowledges what it had of the other. */
static void
ask(uint32_t turn, const char *text)
{
	segment(true, CLIENT_ISN + 1 + 2 * turn, SERVER_ISN + 1 + 2 * turn, TCP_ACK | TCP_PSH, text, 2);
}

static void
answer(uint32_t turn, const char *text)
{
	segment(false, SERVER_ISN + 1 + 2 * turn, CLIENT_ISN + 3 + 2 * turn, TCP_ACK | TCP_PSH, text, 2);
}

static void
test_answers_wait_for_what_they_answer(void **state)
{
	handshake(CLIENT_ISN);
	for (uint32_t turn = 0; turn < 40; turn++)
		answer(turn, "cd");
	assert_int_equal(sink.order_len, 0);
	for (uint32_t turn = 0; turn < 40; turn++)
		ask(turn, "ab");
	assert_int_equal(sink.order_len, 160);
	for (uint32_t i = 0; i < 160; i++)
		assert_int_equal(sink.order[i], "abCD"[i % 4]);
	assert_int_equal(sink.gaps[0] + sink.gaps[1], 0);
	assert_true(counters[STREAM_COUNTER_EARLY_ANSWERS] > 0);
	assert_int_equal(counters[STREAM_COUNTER_REASSEMBLY_GAP], 0);
}

/* What the client sent later shows that the request is lost, a few packets on. */
static void
test_an_answer_whose_request_is_lost_goes_on(void **state)
{
	handshake(CLIENT_ISN);
	answer(0, "cd");
	for (uint32_t turn = 1; turn < 4; turn++) {
		ask(turn, "ab");
		answer(turn, "cd");
	}
	assert_string_equal(sink.order, "CDabCDabCDabCD");
	assert_int_equal(sink.gaps[1], 1);
	assert_int_equal(sink.missing[1], 2);
	assert_int_equal(sink.gaps[0], 0);
	assert_int_equal(counters[STREAM_COUNTER_EARLY_ANSWERS], 1);
}

/* Nothing shows it: so long, and no longer. */
static void
test_patience_ends(void **state)
{
	handshake(CLIENT_ISN);
	for (uint32_t turn = 0; turn < 10; turn++) {
		answer(turn, "cd");
		now_ns += S / 1000;
	}
	assert_int_equal(sink.order_len, 0);
	now_ns += S / 10;
	answer(10, "cd");
	assert_int_equal(sink.gaps[1], 1);
	assert_int_equal(sink.len[0], 22);
	/* A side of which nothing ever comes is not waited for any more. */
	for (uint32_t turn = 11; turn < 31; turn++) {
		now_ns += S / 10;
		answer(turn, "cd");
	}
	assert_int_equal(sink.len[0], 62);
	assert_true(sink.gaps[1] > 1);
}

/* A request that is sent again acknowledges the answer that waits for it. */
static void
test_two_sides_never_wait_for_each_other(void **state)
{
	handshake(CLIENT_ISN);
	answer(0, "cd");
	segment(true, CLIENT_ISN + 1, SERVER_ISN + 3, TCP_ACK | TCP_PSH, "ab", 2);
	assert_string_equal(sink.order, "abCD");
}

static void
test_what_waits_is_bounded(void **state)
{
	handshake(CLIENT_ISN);
	for (uint32_t turn = 0; turn < 1000; turn++)
		answer(turn, "cd");
	assert_int_equal(sink.len[0], 2000);
	assert_true(stream_bytes_used(engine) < 64 * 1024);
}

/* At the flow's end all is handed on. */
static void
test_early_answers_end_with_the_flow(void **state)
{
	handshake(CLIENT_ISN);
	answer(0, "cd");
	segment(false, SERVER_ISN + 3, CLIENT_ISN + 3, TCP_ACK | TCP_FIN, NULL, 0);
	assert_int_equal(sink.order_len, 0);
	stream_end(engine, flow, on_data, NULL);
	assert_string_equal(sink.order, "CD");
	assert_int_equal(sink.ends[0], 1);
}

static void
test_nothing_follows_the_end_of_an_early_answer(void **state)
{
	handshake(CLIENT_ISN);
	segment(false, SERVER_ISN + 1, CLIENT_ISN + 3, TCP_ACK | TCP_FIN, "cd", 2);
	segment(false, SERVER_ISN + 3, CLIENT_ISN + 5, TCP_ACK, "ef", 2);
	assert_int_equal(sink.order_len, 0);
	ask(0, "ab");
	assert_string_equal(sink.order, "abCD");
	assert_int_equal(sink.ends[0], 1);
	segment(true, CLIENT_ISN + 3, SERVER_ISN + 3, TCP_ACK | TCP_PSH, "gh", 2);
	assert_string_equal(sink.order, "abCDgh");
}

/* Small frames were filtered out, so that each segment of both sides stands behind a hole: none waits for many others. */
static void
test_hole_upon_hole(void **state)
{
	enum { TURNS = 60, PART = 10, LATE_MOST = 8 };

	handshake(CLIENT_ISN);
	for (uint32_t i = 0; i < TURNS; i++) {
		uint32_t client_at = CLIENT_ISN + 1 + i * PART, server_at = SERVER_ISN + 1 + i * PART;

		segment(true, client_at + PART / 2, server_at, TCP_ACK | TCP_PSH, "asked", PART / 2);
		segment(false, server_at + PART / 2, client_at + PART, TCP_ACK | TCP_PSH, "told!", PART / 2);
		for (unsigned int way = 0; way < 2; way++)
			assert_true(sink.len[way] + LATE_MOST * (PART / 2) >= (i + 1) * (PART / 2));
	}
	assert_true(sink.gaps[0] > TURNS - LATE_MOST && sink.gaps[1] > TURNS - LATE_MOST);
}

/* So much is missing that the sensor must have missed it: what waited is handed on, too. */
static void
test_an_early_answer_before_a_jump(void **state)
{
	handshake(CLIENT_ISN);
	answer(0, "cd");
	for (uint32_t i = 0; i < 20; i++)
		segment(false, SERVER_ISN + 100000000 + 2 * i, CLIENT_ISN + 3, TCP_ACK | TCP_PSH, "ij", 2);
	assert_memory_equal(sink.order, "CDIJ", 4);
}

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
		cmocka_unit_test_setup_teardown(test_answers_wait_for_what_they_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_answer_whose_request_is_lost_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_patience_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_sides_never_wait_for_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_waits_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_answers_end_with_the_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_follows_the_end_of_an_early_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hole_upon_hole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_early_answer_before_a_jump, setup, teardown),
		cmocka_unit_test(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
