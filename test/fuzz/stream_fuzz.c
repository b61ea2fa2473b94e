/*
 * Segments of one TCP connection in any order, with any overlap, through decoder, flow table and reassembly. A
 * byte's value follows from its sequence number, so that whatever is delivered can be checked: it is contiguous
 * but where a gap is said, and every byte is the one that was sent.
 */
#include <arpa/inet.h>

#include "lib/stream/stream.h"
#include "test/fuzz/fuzz_input.h"

enum {
	CLIENT_PORT = 40000,
	SERVER_PORT = 502,
	IP_HEADER_LEN = 20,
	TCP_HEADER_LEN = 20,
	SEGMENT_LEN_MAX = 255 * 8,
	PACKETS_MAX = 8,
	MODE_CONSUME_PART = 1,
	MODE_WRAP = 2, /* sequence numbers start close to their end */
};

/* One direction as the receiver of stream_deliver_fn sees it. */
struct side {
	uint64_t flow_id; /* 0: nothing was delivered yet */
	uint32_t next_seq;
};

static struct fuzz_state {
	struct packet_decoder *decoder;
	struct flow_table *flows;
	struct stream_engine *engine;
	struct side sides[2]; /* [0] sent by the client */
	uint8_t mode;
	uint32_t turn;
} state;

static uint8_t
byte_of(bool from_client, uint32_t seq)
{
	return (uint8_t)(seq * 131 + (seq >> 8) + (from_client ? 17 : 0));
}

static uint32_t
deliver(void *arg, struct flow *flow, struct packet *packet, const struct stream_data *data)
{
	struct fuzz_state *s = arg;
	bool from_client = data->to_server == (flow_originator_port(flow) == CLIENT_PORT);
	struct side *side = &s->sides[!from_client];
	uint32_t start = data->seq_end - data->len;
	uint32_t consumed = data->len;

	(void)packet;
	FUZZ_MUST(data->len > 0 || data->flags & (STREAM_GAP | STREAM_END));
	FUZZ_MUST(data->fresh_off <= data->len);
	for (uint32_t i = 0; i < data->len; i++)
		FUZZ_MUST(data->data[i] == byte_of(from_client, start + i));
	if (side->flow_id == flow->flow_id && data->len > 0 && (data->flags & STREAM_GAP) == 0)
		FUZZ_MUST(start == side->next_seq);
	if (s->mode & MODE_CONSUME_PART)
		consumed = data->len * (s->turn++ % 5) / 4;
	side->flow_id = flow->flow_id;
	side->next_seq = start + consumed;
	return consumed;
}

static void
end_flow(void *arg, struct flow *flow)
{
	struct fuzz_state *s = arg;

	stream_end(s->engine, flow, deliver, s);
}

static void
create_state(struct fuzz_state *s)
{
	static _Atomic uint64_t packet_values[PACKET_COUNTER_COUNT], flow_values[FLOW_COUNTER_COUNT],
		stream_values[STREAM_COUNTER_COUNT];
	struct packet_config packet_config = { 0 };
	struct flow_config flow_config = { 0 };
	struct stream_config stream_config = { 0 };
	struct config_error err;
	struct config *config;

	FUZZ_MUST(config_load(&config, NULL, &err) == 0);
	FUZZ_MUST(config_set(config, "flow.flows-max=64", &err) == 0);
	FUZZ_MUST(config_apply(config, &packet_knobs, &packet_config, &err) == 0);
	FUZZ_MUST(config_apply(config, &flow_knobs, &flow_config, &err) == 0);
	FUZZ_MUST(config_apply(config, &stream_knobs, &stream_config, &err) == 0);
	packet_config.checksum_validation = false;
	stream_config.checksum_validation = false;
	stream_config.memcap_bytes = stream_config.reassembly_memcap_bytes = 4 << 20;
	FUZZ_MUST(packet_decoder_create(&s->decoder, &packet_config, packet_values) == 0);
	FUZZ_MUST(flow_table_create(&s->flows, &flow_config, flow_values) == 0);
	FUZZ_MUST(stream_engine_create(&s->engine, &stream_config, stream_values) == 0);
	config_destroy(config);
}

static void
put_be(uint8_t *at, uint32_t value, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> 8 * (len - 1 - i));
}

/* @return the frame's length: an IPv4 packet as LINKTYPE_IPV4 has it */
static uint32_t
write_segment(uint8_t *frame, bool from_client, uint32_t seq, uint32_t ack, uint8_t flags, uint32_t len)
{
	static const uint8_t addresses[2][4] = { { 10, 0, 0, 2 }, { 10, 0, 0, 1 } };
	uint32_t total = IP_HEADER_LEN + TCP_HEADER_LEN + len;
	uint8_t *tcp = frame + IP_HEADER_LEN;

	memset(frame, 0, IP_HEADER_LEN + TCP_HEADER_LEN);
	frame[0] = 0x45;
	put_be(frame + 2, total, 2);
	frame[8] = 64;
	frame[9] = IPPROTO_TCP;
	memcpy(frame + 12, addresses[from_client], 4);
	memcpy(frame + 16, addresses[!from_client], 4);
	put_be(tcp, from_client ? CLIENT_PORT : SERVER_PORT, 2);
	put_be(tcp + 2, from_client ? SERVER_PORT : CLIENT_PORT, 2);
	put_be(tcp + 4, seq, 4);
	put_be(tcp + 8, ack, 4);
	tcp[12] = TCP_HEADER_LEN / 4 << 4;
	tcp[13] = flags;
	put_be(tcp + 14, 65535, 2);
	for (uint32_t i = 0; i < len; i++)
		tcp[TCP_HEADER_LEN + i] = byte_of(from_client, seq + i + ((flags & 2) != 0));
	return total;
}

static void
offer(struct fuzz_state *s, const uint8_t *frame, uint32_t len, uint64_t number)
{
	static struct packet packets[PACKETS_MAX];
	struct flow *flows[PACKETS_MAX];
	uint8_t *copy = fuzz_copy(cursor_of(frame, len));
	uint64_t now_ns = UINT64_C(1700000000000000000) + number * 1000000;
	uint16_t count;

	packets[0] = (struct packet){ .data = copy, .len = len, .wire_len = len, .ts_ns = now_ns, .frame_number = number,
		.link_type = PACKET_LINK_IPV4 };
	count = packet_decode_burst(s->decoder, packets, 1, PACKETS_MAX);
	(void)flow_lookup_burst(s->flows, packets, count, now_ns, flows);
	if (flows[0] != NULL)
		flows[0] = flow_update(s->flows, flows[0], &packets[0]);
	if (flows[0] != NULL)
		stream_segment(s->engine, flows[0], &packets[0], deliver, s);
	(void)flow_expire(s->flows, now_ns, 64, end_flow, s);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t flags_of[] = { 0x10, 0x10, 0x18, 0x10, 0x02, 0x12, 0x11, 0x14 };
	static uint8_t frame[IP_HEADER_LEN + TCP_HEADER_LEN + SEGMENT_LEN_MAX];
	struct cursor in = cursor_of(data, len);
	uint32_t highest[2];
	uint64_t number = 0;

	if (state.decoder == NULL)
		create_state(&state);
	state.mode = cursor_u8(&in);
	state.turn = 0;
	memset(state.sides, 0, sizeof(state.sides));
	highest[0] = highest[1] = state.mode & MODE_WRAP ? UINT32_MAX - 500 : 1000;
	while (cursor_left(&in) > 0) {
		uint8_t control = cursor_u8(&in);
		int16_t distance = (int16_t)cursor_be16(&in);
		uint32_t segment_len = cursor_u8(&in) * (control & 16 ? 8u : 1u);
		bool from_client = (control & 1) != 0;
		uint32_t seq = highest[!from_client] + (control & 32 ? (uint32_t)(distance / 16) : 0);
		uint32_t frame_len = write_segment(frame, from_client, seq, highest[from_client], flags_of[control >> 1 & 7],
			segment_len);

		offer(&state, frame, frame_len, ++number);
		if ((int32_t)(seq + segment_len - highest[!from_client]) > 0)
			highest[!from_client] = seq + segment_len;
	}
	(void)flow_expire_all(state.flows, end_flow, &state);
	FUZZ_MUST(flow_table_active(state.flows) == 0);
	return 0;
}
