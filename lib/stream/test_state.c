/* Events that depend on a connection's state: short conversations, and what their last segment must be called. */
#include "test/test.h"

#include "lib/packet/host_policy.h"
#include "lib/packet/test_frame.h"
#include "lib/stream/stream.h"

enum { STEPS_MAX = 8, C = 1, S = 0, CLIENT_ISN = 1000, SERVER_ISN = 5000 };

/** Numbers count from the byte behind each side's SYN. */
struct step {
	bool set, from_client;
	uint8_t flags;
	int32_t seq, ack;
	const char *data;
	uint16_t window; /* 0: 65535 */
};

#define SEG(side, bits, seq_off, ack_off) { true, side, bits, seq_off, ack_off, "", 0 }
#define DATA(side, seq_off, ack_off, text) { true, side, TCP_ACK, seq_off, ack_off, text, 0 }
#define SYN_C SEG(C, TCP_SYN, -1, -SERVER_ISN - 1)
#define SYNACK_S SEG(S, TCP_SYN | TCP_ACK, -1, 0)
#define HANDSHAKE SYN_C, SYNACK_S, SEG(C, TCP_ACK, 0, 0)
#define FIN_C SEG(C, TCP_FIN | TCP_ACK, 0, 0)
#define FIN_S SEG(S, TCP_FIN | TCP_ACK, 0, 0)

static const struct {
	enum stream_event event; /* of the last segment; STREAM_EVENT_COUNT: none at all */
	struct step steps[STEPS_MAX];
} talks[] = {
	{ STREAM_EVENT_COUNT, { HANDSHAKE } },
	{ STREAM_EVENT_COUNT, { HANDSHAKE, DATA(C, 0, 0, "abc") } },
	{ STREAM_EVENT_COUNT, { HANDSHAKE, FIN_C, SEG(S, TCP_FIN | TCP_ACK, 0, 1), SEG(C, TCP_ACK, 1, 1) } },
	{ STREAM_EVENT_COUNT, { HANDSHAKE, FIN_S, SEG(C, TCP_ACK, 0, 1), SEG(C, TCP_FIN | TCP_ACK, 0, 1), SEG(S, TCP_ACK, 1, 1) } },
	{ STREAM_3WHS_ACK_IN_WRONG_DIR, { SYN_C, SYNACK_S, SEG(S, TCP_ACK, 0, 0) } },
	{ STREAM_3WHS_RIGHT_SEQ_WRONG_ACK_EVASION, { SYN_C, SYNACK_S, SEG(C, TCP_ACK, 0, 77) } },
	{ STREAM_3WHS_WRONG_SEQ_WRONG_ACK, { SYN_C, SYNACK_S, SEG(C, TCP_ACK, 55, 77) } },
	{ STREAM_3WHS_ACK_DATA_INJECT, { SYN_C, SYNACK_S, { true, C, TCP_PSH, 0, -SERVER_ISN - 1, "xx", 0 } } },
	{ STREAM_3WHS_SYNACK_WITH_WRONG_ACK, { { true, C, TCP_SYN, -1, -SERVER_ISN - 1, "data", 0 }, SEG(S, TCP_SYN | TCP_ACK, -1, 900) } },
	{ STREAM_3WHS_SYNACK_RESEND_WITH_DIFF_SEQ, { SYN_C, SYNACK_S, SEG(S, TCP_SYN | TCP_ACK, 50, 0) } },
	{ STREAM_3WHS_SYNACK_RESEND_WITH_DIFFERENT_ACK, { SYN_C, SYNACK_S, SEG(S, TCP_SYN | TCP_ACK, -1, 50) } },
	{ STREAM_3WHS_SYNACK_TOSERVER_ON_SYN_RECV, { SYN_C, SYNACK_S, SEG(C, TCP_SYN | TCP_ACK, -1, 0) } },
	{ STREAM_3WHS_SYN_TOCLIENT_ON_SYN_RECV, { SYN_C, SYNACK_S, SEG(S, TCP_SYN, -1, -CLIENT_ISN - 1) } },
	{ STREAM_4WHS_SYNACK_WITH_WRONG_ACK, { SYN_C, SEG(S, TCP_SYN, -1, -CLIENT_ISN - 1), SEG(C, TCP_SYN | TCP_ACK, -1, 33) } },
	{ STREAM_EST_SYNACK_RESEND, { HANDSHAKE, SYNACK_S } },
	{ STREAM_EST_SYNACK_RESEND_WITH_DIFFERENT_ACK, { HANDSHAKE, SEG(S, TCP_SYN | TCP_ACK, -1, 50) } },
	{ STREAM_EST_SYNACK_TOSERVER, { HANDSHAKE, SEG(C, TCP_SYN | TCP_ACK, -1, 0) } },
	{ STREAM_EST_SYN_TOCLIENT, { HANDSHAKE, SEG(S, TCP_SYN, -1, -CLIENT_ISN - 1) } },
	{ STREAM_EST_SYN_RESEND, { HANDSHAKE, DATA(C, 0, 0, "abc"), SYN_C } },
	{ STREAM_EST_INVALID_ACK, { HANDSHAKE, SEG(C, TCP_ACK, 0, 1000000000) } },
	{ STREAM_EST_PACKET_OUT_OF_WINDOW, { HANDSHAKE, DATA(C, 1000000000, 0, "abc") } },
	{ STREAM_EST_PKT_BEFORE_LAST_ACK, { HANDSHAKE, DATA(C, 0, 0, "abc"), SEG(S, TCP_ACK, 0, 3), DATA(C, 0, 0, "abc") } },
	{ STREAM_FIN_OUT_OF_WINDOW, { HANDSHAKE, SEG(C, TCP_FIN | TCP_ACK, 1000000000, 0) } },
	{ STREAM_FIN_INVALID_ACK, { HANDSHAKE, SEG(C, TCP_FIN | TCP_ACK, 0, 1000000000) } },
	{ STREAM_FIN1_INVALID_ACK, { HANDSHAKE, FIN_S, SEG(S, TCP_ACK, 1, 1000000000) } },
	{ STREAM_FIN1_ACK_WRONG_SEQ, { HANDSHAKE, FIN_S, SEG(S, TCP_ACK, 1000000000, 0) } },
	{ STREAM_FIN2_INVALID_ACK, { HANDSHAKE, FIN_S, SEG(C, TCP_ACK, 0, 1), SEG(S, TCP_ACK, 1, 1000000000) } },
	{ STREAM_FIN2_ACK_WRONG_SEQ, { HANDSHAKE, FIN_S, SEG(C, TCP_ACK, 0, 1), SEG(C, TCP_ACK, 1000000000, 1) } },
	{ STREAM_TIMEWAIT_ACK_WRONG_SEQ, { HANDSHAKE, FIN_S, SEG(C, TCP_FIN | TCP_ACK, 0, 1), SEG(C, TCP_ACK, 1000000000, 1) } },
	{ STREAM_CLOSEWAIT_INVALID_ACK, { HANDSHAKE, FIN_C, SEG(S, TCP_ACK, 0, 1000000000) } },
	{ STREAM_CLOSEWAIT_ACK_OUT_OF_WINDOW, { HANDSHAKE, FIN_C, SEG(S, TCP_ACK, 1000000000, 1) } },
	{ STREAM_LASTACK_ACK_WRONG_SEQ, { HANDSHAKE, FIN_C, SEG(S, TCP_FIN | TCP_ACK, 0, 1), SEG(S, TCP_ACK, 1000000000, 1) } },
	{ STREAM_SHUTDOWN_SYN_RESEND, { HANDSHAKE, FIN_C, SYN_C } },
	{ STREAM_PKT_BAD_WINDOW_UPDATE, { HANDSHAKE, DATA(C, 0, 0, "0123456789"), { true, S, TCP_ACK, 0, 0, "", 5 } } },
	/* forged first, then what the host really sent; the first was taken and forgotten */
	{ STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA, { HANDSHAKE, DATA(C, 0, 0, "evil"), DATA(C, 0, 0, "good") } },
	{ STREAM_EVENT_COUNT, { HANDSHAKE, DATA(C, 0, 0, "abcd"), DATA(C, 4, 0, "efgh") } },
};

static _Atomic uint64_t stream_counts[STREAM_COUNTER_COUNT];
static _Atomic uint64_t flow_counts[FLOW_COUNTER_COUNT];

static uint32_t
take(void *arg, struct flow *flow, struct packet *packet, const struct stream_data *data)
{
	return data->len;
}

static void
on_end(void *arg, struct flow *flow)
{
	stream_end(arg, flow, NULL, NULL);
}

static void
send_step(struct stream_engine *engine, struct flow_table *table, const struct step *step, struct packet *packet)
{
	uint32_t mine = step->from_client ? CLIENT_ISN : SERVER_ISN, theirs = step->from_client ? SERVER_ISN : CLIENT_ISN;
	struct flow *flow;

	*packet = (struct packet){ .ts_ns = 1000000000, .ip_version = 4, .ip_proto = IP_PROTO_TCP,
		.tcp_seq = mine + 1 + (uint32_t)step->seq, .tcp_ack = theirs + 1 + (uint32_t)step->ack,
		.tcp_flags = step->flags, .tcp_window = step->window == 0 ? 65535 : step->window,
		.payload = (const uint8_t *)step->data, .payload_len = (uint32_t)strlen(step->data),
		.flags = PACKET_IP | PACKET_L4 | PACKET_FLOW | (step->from_client ? 0 : PACKET_KEY_SWAPPED) };
	packet->key = (struct packet_key){ .ip_version = 4, .ip_proto = IP_PROTO_TCP, .port = { 1024, 502 } };
	packet->key.addr[0].words[0] = 0x01010101;
	packet->key.addr[1].words[0] = 0x02020202;
	packet->hash = packet_key_hash(&packet->key);
	flow_lookup_burst(table, packet, 1, packet->ts_ns, &flow);
	flow = flow_update(table, flow, packet);
	stream_segment(engine, flow, packet, take, NULL);
}

static bool
has_event(const struct packet *packet, enum stream_event event)
{
	return (packet->stream_events[event / 64] >> event % 64 & 1) != 0;
}

static void
test_talks(void **state)
{
	const struct stream_config config = { .memcap_bytes = 1 << 20, .reassembly_memcap_bytes = 1 << 20,
		.check_overlap = true, .policy = STREAM_POLICY_BSD, .segments_max = STREAM_SEGMENTS_MAX };
	const struct flow_config flow_config = { .flows_max = 64, .emergency_recovery = 10,
		.timeout_s = { { 30, 300, 0 }, { 60, 600, 60 }, { 30, 300, 0 }, { 30, 300, 0 } } };

	for (size_t i = 0; i < TEST_COUNT(talks); i++) {
		struct stream_engine *engine;
		struct flow_table *table;
		struct packet packet;

		assert_int_equal(stream_engine_create(&engine, &config, stream_counts), 0);
		assert_int_equal(flow_table_create(&table, &flow_config, flow_counts), 0);
		for (unsigned int j = 0; j < STEPS_MAX && talks[i].steps[j].set; j++)
			send_step(engine, table, &talks[i].steps[j], &packet);
		if (talks[i].event == STREAM_EVENT_COUNT ? (packet.stream_events[0] | packet.stream_events[1]) != 0 :
		    !has_event(&packet, talks[i].event)) {
			for (unsigned int event = 0; event < STREAM_EVENT_COUNT; event++)
				if (has_event(&packet, (enum stream_event)event))
					print_message("talk %zu has %s\n", i, stream_event_table[event].name);
			fail_msg("talk %zu wants %s", i,
				talks[i].event == STREAM_EVENT_COUNT ? "nothing" : stream_event_table[talks[i].event].name);
		}
		flow_expire_all(table, on_end, engine);
		flow_table_destroy(table);
		stream_engine_destroy(engine);
	}
}

/** The receiver's range decides: "early" bytes sent again with other content. */
static void
test_host_policy(void **state)
{
	static const struct {
		const char *range;
		uint8_t version;
		const char *addr;
		enum piece_policy policy;
	} rows[] = {
		{ "10.0.0.0/8", 4, "\x0a\x01\x02\x03", PIECE_LINUX },
		{ "10.0.0.0/8", 4, "\x0b\x01\x02\x03", PIECE_BSD },
		{ "10.1.2.3", 4, "\x0a\x01\x02\x03", PIECE_LINUX },
		{ "10.1.2.3", 4, "\x0a\x01\x02\x04", PIECE_BSD },
		{ "0.0.0.0/0", 4, "\x0a\x01\x02\x04", PIECE_LINUX },
		{ "0.0.0.0/0", 6, "\xfd\x01\x02\x04\0\0\0\0\0\0\0\0\0\0\0\0", PIECE_BSD },
		{ "fd00::/8", 6, "\xfd\x01\x02\x04\0\0\0\0\0\0\0\0\0\0\0\0", PIECE_LINUX },
		{ "fd00::/15", 6, "\xfd\x01\x02\x04\0\0\0\0\0\0\0\0\0\0\0\0", PIECE_LINUX },
		{ "fd00::/16", 6, "\xfd\x01\x02\x04\0\0\0\0\0\0\0\0\0\0\0\0", PIECE_BSD },
	};
	static const char *const wrong[] = { "10.0.0.0/33", "10.0.0", "fd00::/129", "x", "10.0.0.0/-1" };
	struct host_policy hosts;

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		json_t *tree = json_pack("{s: [s]}", "linux", rows[i].range);
		struct ip_addr addr = { 0 };

		memcpy(addr.bytes, rows[i].addr, rows[i].version == 6 ? 16 : 4);
		assert_int_equal(host_policy_parse(&hosts, tree, PIECE_BSD), 0);
		assert_int_equal(host_policy_of(&hosts, rows[i].version, &addr), rows[i].policy);
		json_decref(tree);
	}
	for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
		json_t *tree = json_pack("{s: [s]}", "linux", wrong[i]);

		assert_true(host_policy_parse(&hosts, tree, PIECE_BSD) < 0);
		json_decref(tree);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talks),
		cmocka_unit_test(test_host_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
