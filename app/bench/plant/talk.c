#include "app/bench/plant/talk.h"

#include <assert.h>

enum {
	SECOND_NS = 1000000000,
	ARP_TIMEOUT_S = 300,
	DELAY_MIN_NS = 20000, /* one frame to the next, on a switched segment */
	DELAY_SPREAD_NS = 60000,
	DUPLICATE_DELAY_NS = 3000,
	RETRANSMIT_DELAY_NS = 200000000, /* the least timeout of usual TCP stacks */
	REORDER_DELAY_NS = 2500000,
	WINDOW = 8192,
	WINDOW_SCALE = 2,
	PORT_EPHEMERAL = 49152, /* RFC 6335 6 */
	GARBAGE_LEN_MAX = 40,
	SPLIT_PIECES_MAX = 4,
};

/* A piece of the stream on its way out. */
struct piece {
	const uint8_t *data;
	size_t len;
	uint32_t seq;
	uint8_t flags;
};

bool
plant_fault_strikes(struct plant_net *net, enum plant_fault fault)
{
	/* A fault that is off takes no number from the stream, so that it changes nothing else. */
	if (!plant_random_chance(&net->random, net->fault_permille[fault]))
		return false;
	net->fault_count[fault]++;
	return true;
}

static uint64_t
talk_delay_ns(struct plant_net *net)
{
	if (net->quiet)
		return DELAY_MIN_NS;
	return DELAY_MIN_NS + plant_random_below(&net->random, DELAY_SPREAD_NS);
}

static void
give_frame(struct plant_net *net, struct buf *frame, uint64_t now_ns)
{
	uint8_t *slot;
	struct buf out;

	if (plant_fault_strikes(net, PLANT_FAULT_LOSS))
		return;
	slot = plant_capture_get(net->capture);
	out = buf_over(slot, PLANT_FRAME_LEN_MAX);
	buf_put(&out, frame->data, frame->len);
	plant_capture_give(net->capture, now_ns, out.len);
}

static void
give_datagram(struct plant_net *net, struct buf *frame, uint64_t now_ns)
{
	uint8_t bytes[PLANT_FRAME_LEN_MAX];
	struct buf second = buf_over(bytes, sizeof(bytes));

	if (plant_fault_strikes(net, PLANT_FAULT_FRAGMENT)) {
		size_t at = 24 + 8 * (size_t)plant_random_below(&net->random, 4);

		if (plant_wire_fragment(frame, at, &second) != 0)
			give_frame(net, &second, now_ns + DUPLICATE_DELAY_NS);
	}
	give_frame(net, frame, now_ns);
	if (plant_fault_strikes(net, PLANT_FAULT_DUPLICATE))
		give_frame(net, frame, now_ns + DUPLICATE_DELAY_NS);
}

static size_t
put_syn_options(const struct plant_talk *talk, struct buf *out, uint64_t now_ns)
{
	put_u8(out, 2); /* maximum segment size, RFC 9293 3.2 */
	put_u8(out, 4);
	put_be16(out, PLANT_TCP_MSS);
	put_be16(out, 0x0402); /* SACK permitted, RFC 2018 2 */
	if (talk->timestamps) {
		put_u8(out, 8); /* timestamps, RFC 7323 3 */
		put_u8(out, 10);
		put_be32(out, (uint32_t)(now_ns / 1000000));
		put_be32(out, 0);
	} else {
		put_be16(out, 0x0101);
	}
	put_u8(out, 1);
	put_u8(out, 3); /* window scale, RFC 7323 2 */
	put_u8(out, 3);
	put_u8(out, WINDOW_SCALE);
	return out->len;
}

static size_t
put_options(const struct plant_talk *talk, uint8_t flags, struct buf *out, uint64_t now_ns)
{
	uint32_t now_ms = (uint32_t)(now_ns / 1000000);

	if ((flags & PLANT_TCP_SYN) != 0)
		return put_syn_options(talk, out, now_ns);
	if (!talk->timestamps)
		return 0;
	put_be16(out, 0x0101);
	put_u8(out, 8);
	put_u8(out, 10);
	put_be32(out, now_ms);
	put_be32(out, now_ms - 1);
	return out->len;
}

static void
talk_build(struct plant_talk *talk, enum plant_end from, const struct piece *piece, struct buf *frame, uint64_t now_ns)
{
	enum plant_end to = from == PLANT_CLIENT ? PLANT_SERVER : PLANT_CLIENT;
	uint8_t option_bytes[PLANT_TCP_OPTIONS_MAX];
	struct buf options = buf_over(option_bytes, sizeof(option_bytes));
	struct plant_packet packet = {
		.src = talk->hosts[from],
		.dst = talk->hosts[to],
		.src_port = talk->ports[from],
		.dst_port = talk->ports[to],
		.payload = piece->data,
		.payload_len = piece->len,
	};

	if (!talk->tcp) {
		(void)plant_wire_udp(frame, &packet);
		return;
	}
	packet.options_len = put_options(talk, piece->flags, &options, now_ns);
	packet.options = option_bytes;
	packet.tcp_flags = piece->flags;
	packet.window = WINDOW;
	packet.seq = piece->seq;
	packet.ack = (piece->flags & PLANT_TCP_ACK) != 0 ? talk->seq[to] : 0;
	talk->acked[from] = talk->seq[to];
	(void)plant_wire_tcp(frame, &packet);
}

static uint64_t
talk_emit(struct plant_talk *talk, enum plant_end from, const struct piece *piece, uint64_t now_ns)
{
	struct plant_net *net = talk->net;
	uint8_t bytes[PLANT_FRAME_LEN_MAX];
	struct buf frame = buf_over(bytes, sizeof(bytes));

	talk_build(talk, from, piece, &frame, now_ns);
	assert(!frame.full);
	if (talk->tcp && piece->len > 0 && plant_fault_strikes(net, PLANT_FAULT_BAD_CHECKSUM)) {
		struct buf spoilt;
		uint8_t spoilt_bytes[PLANT_FRAME_LEN_MAX];

		spoilt = buf_over(spoilt_bytes, sizeof(spoilt_bytes));
		buf_put(&spoilt, frame.data, frame.len);
		spoilt_bytes[50] ^= 0x55; /* the TCP checksum, behind Ethernet and IPv4 */
		give_frame(net, &spoilt, now_ns);
		now_ns += DUPLICATE_DELAY_NS;
	}
	if (piece->len > 0 && plant_fault_strikes(net, PLANT_FAULT_REORDER))
		give_datagram(net, &frame, now_ns + REORDER_DELAY_NS);
	else
		give_datagram(net, &frame, now_ns);
	if (talk->tcp && piece->len > 0 && plant_fault_strikes(net, PLANT_FAULT_RETRANSMIT))
		give_datagram(net, &frame, now_ns + RETRANSMIT_DELAY_NS);
	return now_ns + talk_delay_ns(net);
}

static uint64_t
talk_arp(struct plant_talk *talk, uint64_t now_ns)
{
	struct plant_net *net = talk->net;
	const struct plant_host *client = talk->hosts[PLANT_CLIENT];
	const struct plant_host *server = talk->hosts[PLANT_SERVER];
	const struct plant_host *neighbour = server->gateway != NULL ? server->gateway : server;

	if (net->quiet || client->gateway != NULL || now_ns < talk->arp_next_ns)
		return now_ns;
	talk->arp_next_ns = now_ns + (uint64_t)ARP_TIMEOUT_S * SECOND_NS;
	for (int reply = 0; reply < 2; reply++) {
		uint8_t bytes[PLANT_FRAME_LEN_MAX];
		struct buf frame = buf_over(bytes, sizeof(bytes));

		(void)plant_wire_arp(&frame, reply ? neighbour : client, reply ? client : neighbour, reply);
		give_frame(net, &frame, now_ns);
		now_ns += talk_delay_ns(net);
	}
	return now_ns;
}

void
plant_talk_init(struct plant_talk *talk, struct plant_net *net, struct plant_host *client, struct plant_host *server)
{
	*talk = (struct plant_talk){ .net = net, .hosts = { client, server }, .tcp = true };
	talk->ports[PLANT_CLIENT] = (uint16_t)(PORT_EPHEMERAL + plant_random_below(&net->random, 16000));
	talk->timestamps = !net->quiet && plant_random_chance(&net->random, 250);
}

uint64_t
plant_talk_open(struct plant_talk *talk, uint64_t now_ns)
{
	struct plant_net *net = talk->net;
	struct piece syn = { .flags = PLANT_TCP_SYN };
	struct piece syn_ack = { .flags = PLANT_TCP_SYN | PLANT_TCP_ACK };

	now_ns = talk_arp(talk, now_ns);
	talk->open = true;
	if (!talk->tcp)
		return now_ns;
	talk->ports[PLANT_CLIENT]++;
	if (talk->ports[PLANT_CLIENT] < PORT_EPHEMERAL)
		talk->ports[PLANT_CLIENT] = PORT_EPHEMERAL;
	talk->seq[PLANT_CLIENT] = (uint32_t)plant_random_next(&net->random);
	talk->seq[PLANT_SERVER] = (uint32_t)plant_random_next(&net->random);
	talk->acked[PLANT_CLIENT] = talk->seq[PLANT_SERVER];
	talk->acked[PLANT_SERVER] = talk->seq[PLANT_CLIENT];
	if (plant_fault_strikes(net, PLANT_FAULT_MIDSTREAM))
		return now_ns;
	syn.seq = talk->seq[PLANT_CLIENT];
	now_ns = talk_emit(talk, PLANT_CLIENT, &syn, now_ns);
	talk->seq[PLANT_CLIENT]++;
	syn_ack.seq = talk->seq[PLANT_SERVER];
	now_ns = talk_emit(talk, PLANT_SERVER, &syn_ack, now_ns);
	talk->seq[PLANT_SERVER]++;
	return plant_talk_ack(talk, PLANT_CLIENT, now_ns);
}

uint64_t
plant_talk_ack(struct plant_talk *talk, enum plant_end from, uint64_t now_ns)
{
	enum plant_end to = from == PLANT_CLIENT ? PLANT_SERVER : PLANT_CLIENT;
	struct piece piece = { .seq = talk->seq[from], .flags = PLANT_TCP_ACK };

	if (!talk->tcp || talk->acked[from] == talk->seq[to])
		return now_ns;
	return talk_emit(talk, from, &piece, now_ns);
}

/* One segment, or two that overlap. */
static uint64_t
talk_send_piece(struct plant_talk *talk, enum plant_end from, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct piece piece = {
		.data = data, .len = len, .seq = talk->seq[from], .flags = PLANT_TCP_PSH | PLANT_TCP_ACK
	};

	if (len > 4 && plant_fault_strikes(talk->net, PLANT_FAULT_OVERLAP)) {
		size_t half = len / 2;

		piece.len = half + 1;
		now_ns = talk_emit(talk, from, &piece, now_ns);
		piece = (struct piece){ .data = data + half - 1,
			.len = len - half + 1,
			.seq = talk->seq[from] + (uint32_t)half - 1,
			.flags = piece.flags };
	}
	now_ns = talk_emit(talk, from, &piece, now_ns);
	talk->seq[from] += (uint32_t)len;
	return now_ns;
}

static size_t
talk_segment_max(struct plant_talk *talk, size_t len)
{
	size_t most = talk->timestamps ? PLANT_TCP_MSS - 12 : PLANT_TCP_MSS;

	if (talk->net->segment_len_max != 0 && talk->net->segment_len_max < most)
		most = talk->net->segment_len_max;
	if (len > 1 && plant_fault_strikes(talk->net, PLANT_FAULT_SPLIT)) {
		size_t pieces = plant_random_between(&talk->net->random, 2, SPLIT_PIECES_MAX);
		size_t piece = (len + pieces - 1) / pieces;

		most = piece < most ? piece : most;
	}
	return most;
}

static uint64_t
talk_garbage(struct plant_talk *talk, enum plant_end from, uint64_t now_ns)
{
	uint8_t bytes[GARBAGE_LEN_MAX];
	size_t len = plant_random_between(&talk->net->random, 1, GARBAGE_LEN_MAX);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)plant_random_next(&talk->net->random);
	return talk_send_piece(talk, from, bytes, len, now_ns);
}

uint64_t
plant_talk_send(struct plant_talk *talk, enum plant_end from, const void *data, size_t len, uint64_t now_ns)
{
	const uint8_t *bytes = data;
	size_t most;

	now_ns = talk_arp(talk, now_ns);
	for (size_t at = 0; !talk->tcp && at < len; at += PLANT_UDP_PAYLOAD_MAX) {
		size_t left = len - at;
		struct piece piece = { .data = bytes + at,
			.len = left < PLANT_UDP_PAYLOAD_MAX ? left : PLANT_UDP_PAYLOAD_MAX };

		now_ns = talk_emit(talk, from, &piece, now_ns);
	}
	if (!talk->tcp)
		return now_ns;
	if (plant_fault_strikes(talk->net, PLANT_FAULT_GARBAGE))
		now_ns = talk_garbage(talk, from, now_ns);
	most = talk_segment_max(talk, len);
	for (size_t at = 0; at < len; at += most)
		now_ns = talk_send_piece(talk, from, bytes + at, len - at < most ? len - at : most, now_ns);
	return now_ns;
}

uint64_t
plant_talk_reset(struct plant_talk *talk, enum plant_end from, uint64_t now_ns)
{
	struct piece rst = { .seq = talk->seq[from], .flags = PLANT_TCP_RST | PLANT_TCP_ACK };

	if (!talk->open)
		return now_ns;
	talk->open = false;
	return talk->tcp ? talk_emit(talk, from, &rst, now_ns) : now_ns;
}

uint64_t
plant_talk_close(struct plant_talk *talk, uint64_t now_ns)
{
	if (!talk->open || !talk->tcp) {
		talk->open = false;
		return now_ns;
	}
	if (plant_fault_strikes(talk->net, PLANT_FAULT_RESET))
		return plant_talk_reset(talk, PLANT_CLIENT, now_ns);
	for (enum plant_end from = PLANT_CLIENT; from <= PLANT_SERVER; from++) {
		struct piece fin = { .seq = talk->seq[from], .flags = PLANT_TCP_FIN | PLANT_TCP_ACK };

		now_ns = talk_emit(talk, from, &fin, now_ns);
		talk->seq[from]++;
	}
	talk->open = false;
	return plant_talk_ack(talk, PLANT_CLIENT, now_ns);
}
