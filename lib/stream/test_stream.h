/* A connection between a client and a server, and a sink that notes what the stream hands on. */
#ifndef MR_STREAM_TEST_STREAM_H
#define MR_STREAM_TEST_STREAM_H

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

static inline struct stream_config
config_default(void)
{
	return (struct stream_config){
		.memcap_bytes = 1 << 20, .reassembly_memcap_bytes = 1 << 20, .checksum_validation = true,
		.policy = STREAM_POLICY_BSD, .segments_max = STREAM_SEGMENTS_MAX,
	};
}

static inline int
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

static inline void
on_end(void *arg, struct flow *ended)
{
	stream_end(engine, ended, NULL, NULL);
}

static inline int
teardown(void **state)
{
	flow_expire_all(table, on_end, NULL);
	assert_int_equal(stream_bytes_used(engine), 0);
	flow_table_destroy(table);
	stream_engine_destroy(engine);
	return 0;
}

static inline uint32_t
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
static inline void
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

static inline void
handshake(uint32_t client_isn)
{
	segment(true, client_isn, 0, TCP_SYN, NULL, 0);
	segment(false, SERVER_ISN, client_isn + 1, TCP_SYN | TCP_ACK, NULL, 0);
	segment(true, client_isn + 1, SERVER_ISN + 1, TCP_ACK, NULL, 0);
}

#endif
