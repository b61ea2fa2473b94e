/*
 * Every arrangement of two and of three overlapping chunks, as IPv4 fragments, IPv6 fragments and TCP segments, under
 * each policy, against a model that decides byte by byte: who of the two that claim it keeps it.
 *
 * An arrangement is a way in which the ends of intervals can lie to each other: 13 of two intervals (Allen), 409 of
 * three. Source of the policies: Novak, "Target-Based Fragmentation Reassembly", 3; Novak and Sturges.
 */
#include "test/test.h"

#include <jansson.h>

#include "lib/packet/piece.h"
#include "lib/packet/test_frame.h"
#include "lib/stream/stream.h"

enum {
	CHUNKS_MAX = 3,
	RANKS_MAX = 2 * CHUNKS_MAX,
	UNIT = 8,            /* bytes from one rank to the next: what fragment offsets count in */
	BYTES_MAX = (RANKS_MAX + 3) * UNIT,
	PIECES_MAX = CHUNKS_MAX + RANKS_MAX + 2,
	NOBODY = 0,
	FILLER = '.',
};

struct chunk {
	unsigned int start, end; /* in units, from 1: the first unit is always sent last */
	uint8_t letter;
};

/** Chunks in order of arrival, then what fills the holes, last of all the first unit. */
struct arrangement {
	struct chunk pieces[PIECES_MAX];
	unsigned int piece_count, chunk_count;
	unsigned int end; /* units in all */
};

typedef void (*replay_fn)(const struct arrangement *arrangement, unsigned int policy, uint8_t out[BYTES_MAX]);

/** The definitions, as sentences of the papers: does the later chunk take what it shares with the earlier? */
static bool
later_wins(unsigned int policy, const struct chunk *earlier, const struct chunk *later)
{
	switch (policy) {
	case PIECE_FIRST:
		return false; /* favours the original */
	case PIECE_LAST:
		return true; /* favours the subsequent */
	case PIECE_BSD:
		return !(earlier->start <= later->start); /* the original with an offset less than or equal */
	case PIECE_LINUX:
		return !(earlier->start < later->start); /* the original with an offset less than */
	case PIECE_WINDOWS: /* the original, unless the subsequent begins before and ends after it */
		return later->start < earlier->start && later->end > earlier->end;
	default: /* Solaris: the original, unless the subsequent begins before and ends at or after its end */
		return later->start < earlier->start && later->end >= earlier->end;
	}
}

static void
model(const struct arrangement *arrangement, unsigned int policy, uint8_t out[BYTES_MAX])
{
	for (unsigned int unit = 0; unit < arrangement->end; unit++) {
		const struct chunk *owner = NULL;

		for (unsigned int i = 0; i < arrangement->piece_count; i++) {
			const struct chunk *chunk = &arrangement->pieces[i];

			if (unit < chunk->start || unit >= chunk->end)
				continue;
			if (owner == NULL || later_wins(policy, owner, chunk))
				owner = chunk;
		}
		memset(out + (size_t)unit * UNIT, owner == NULL ? NOBODY : owner->letter, UNIT);
	}
}

/** Adds what no chunk covers: the unit behind all, the holes, the first unit. */
static void
fill(struct arrangement *arrangement)
{
	for (unsigned int unit = arrangement->end; unit-- > 0;) {
		bool covered = false;

		for (unsigned int i = 0; i < arrangement->chunk_count; i++)
			covered |= unit >= arrangement->pieces[i].start && unit < arrangement->pieces[i].end;
		if (!covered)
			arrangement->pieces[arrangement->piece_count++] = (struct chunk){ unit, unit + 1, FILLER };
	}
}

/** Every way to put 2n ends on consecutive ranks with each start before its end. @return how many */
static unsigned int
walk(unsigned int chunk_count, replay_fn replay)
{
	unsigned int ends = 2 * chunk_count, total = 1, found = 0;

	for (unsigned int i = 0; i < ends; i++)
		total *= ends;
	for (unsigned int code = 0; code < total; code++) {
		struct arrangement arrangement = { .piece_count = chunk_count, .chunk_count = chunk_count };
		unsigned int ranks[RANKS_MAX], used = 0, rest = code, top = 0;
		bool valid = true;

		for (unsigned int i = 0; i < ends; i++, rest /= ends) {
			ranks[i] = rest % ends;
			used |= 1u << ranks[i];
			top = ranks[i] > top ? ranks[i] : top;
		}
		for (unsigned int i = 0; i < chunk_count; i++) {
			valid &= ranks[2 * i] < ranks[2 * i + 1];
			arrangement.pieces[i] = (struct chunk){ ranks[2 * i] + 1, ranks[2 * i + 1] + 1, (uint8_t)('A' + i) };
		}
		if (!valid || used != (2u << top) - 1)
			continue;
		found++;
		arrangement.end = top + 2;
		fill(&arrangement);
		for (unsigned int policy = 0; policy < PIECE_POLICY_COUNT; policy++) {
			uint8_t want[BYTES_MAX] = { 0 }, got[BYTES_MAX] = { 0 };

			model(&arrangement, policy, want);
			replay(&arrangement, policy, got);
			assert_memory_equal(want, got, BYTES_MAX);
		}
	}
	return found;
}

/* ---- fragments ---- */

static struct packet_decoder *decoders[PIECE_POLICY_COUNT];
static _Atomic uint64_t packet_counts[PACKET_COUNTER_COUNT];
static uint16_t datagram_id;

static int
decoders_setup(void **state)
{
	for (unsigned int i = 0; i < PIECE_POLICY_COUNT; i++) {
		struct packet_config config = frame_decoder_config();
		int error;

		config.host_os_policy = json_pack("{s: [s, s]}", piece_policy_names[i], "0.0.0.0/0", "::/0");
		error = packet_decoder_create(&decoders[i], &config, packet_counts);
		json_decref(config.host_os_policy);
		if (error < 0)
			return error;
	}
	return 0;
}

static int
decoders_teardown(void **state)
{
	for (unsigned int i = 0; i < PIECE_POLICY_COUNT; i++)
		packet_decoder_destroy(decoders[i]);
	return 0;
}

static void
fragment_v4(struct frame *frame, uint16_t offset, bool more)
{
	frame_ethernet(frame, 0x0800);
	frame_ipv4(frame, 0x0a000001, 0x0a000002, 253, datagram_id, (uint16_t)(offset | (more ? 0x2000 : 0)));
}

static void
fragment_v6(struct frame *frame, uint16_t offset, bool more)
{
	static const uint8_t ends[32] = { [0] = 0xfd, [15] = 1, [16] = 0xfd, [31] = 2 };

	frame_ethernet(frame, 0x86dd);
	frame->l3_at = frame->len;
	frame_be32(frame, 0x60000000);
	frame_be16(frame, 0);
	frame_be16(frame, IP_PROTO_FRAGMENT << 8 | 64);
	frame_put(frame, ends, sizeof(ends));
	frame_be16(frame, 253 << 8);
	frame_be16(frame, (uint16_t)(offset << 3 | more));
	frame_be32(frame, datagram_id);
}

/** Each piece as a fragment; the datagram is whole with the last one. */
static void
replay_fragments(const struct arrangement *arrangement, unsigned int policy, uint8_t out[BYTES_MAX], bool v6)
{
	static struct packet packets[4];

	datagram_id++;
	for (unsigned int i = 0; i < arrangement->piece_count; i++) {
		const struct chunk *piece = &arrangement->pieces[i];
		bool more = piece->end < arrangement->end, last = i + 1 == arrangement->piece_count;
		struct frame frame = { 0 };
		uint8_t bytes[BYTES_MAX];
		uint16_t count;

		(v6 ? fragment_v6 : fragment_v4)(&frame, (uint16_t)piece->start, more);
		memset(bytes, piece->letter, sizeof(bytes));
		frame_put(&frame, bytes, (piece->end - piece->start) * UNIT);
		if (v6)
			frame_set_be16(&frame, frame.l3_at + 4, (uint16_t)(frame.len - frame.l3_at - 40));
		else
			frame_finish_ipv4(&frame);
		frame_give(&packets[0], &frame, 1000000000);
		count = packet_decode_burst(decoders[policy], packets, 1, TEST_COUNT(packets));
		assert_int_equal(count, last ? 2 : 1);
	}
	assert_int_equal(packets[1].payload_len, arrangement->end * UNIT);
	memcpy(out, packets[1].payload, packets[1].payload_len);
}

static void
replay_v4(const struct arrangement *arrangement, unsigned int policy, uint8_t out[BYTES_MAX])
{
	replay_fragments(arrangement, policy, out, false);
}

static void
replay_v6(const struct arrangement *arrangement, unsigned int policy, uint8_t out[BYTES_MAX])
{
	replay_fragments(arrangement, policy, out, true);
}

/* ---- TCP ---- */

enum { ISN = 0xffffffe0 /* the numbers come round inside the data */ };

static struct stream_engine *engines[PIECE_POLICY_COUNT];
static struct flow_table *table;
static _Atomic uint64_t stream_counts[STREAM_COUNTER_COUNT];
static _Atomic uint64_t flow_counts[FLOW_COUNTER_COUNT];
static uint8_t *tcp_out;
static uint32_t tcp_len;

static int
streams_setup(void **state)
{
	struct flow_config flow_config = { .flows_max = 64, .emergency_recovery = 10,
		.timeout_s = { { 30, 300, 0 }, { 60, 600, 60 }, { 30, 300, 0 }, { 30, 300, 0 } } };
	int error = flow_table_create(&table, &flow_config, flow_counts);

	for (unsigned int i = 0; error == 0 && i < PIECE_POLICY_COUNT; i++) {
		struct stream_config config = { .memcap_bytes = 1 << 20, .reassembly_memcap_bytes = 1 << 20,
			.policy = i, .segments_max = STREAM_SEGMENTS_MAX };

		error = stream_engine_create(&engines[i], &config, stream_counts);
	}
	return error;
}

static int
streams_teardown(void **state)
{
	for (unsigned int i = 0; i < PIECE_POLICY_COUNT; i++)
		stream_engine_destroy(engines[i]);
	flow_table_destroy(table);
	return 0;
}

static uint32_t
take(void *arg, struct flow *flow, struct packet *packet, const struct stream_data *data)
{
	assert_int_equal(data->flags & STREAM_GAP, 0);
	assert_true(tcp_len + data->len <= BYTES_MAX);
	if (data->len > 0)
		memcpy(tcp_out + tcp_len, data->data, data->len);
	tcp_len += data->len;
	return data->len;
}

static void
segment(struct stream_engine *engine, bool from_client, uint32_t seq, uint8_t flags, const uint8_t *data, uint32_t len)
{
	struct packet packet = { .ts_ns = 1000000000, .ip_version = 4, .ip_proto = IP_PROTO_TCP, .tcp_seq = seq,
		.tcp_ack = from_client ? 1 : ISN + 1, .tcp_flags = flags, .tcp_window = 65535, .payload = data,
		.payload_len = len, .flags = PACKET_IP | PACKET_L4 | PACKET_FLOW | (from_client ? 0 : PACKET_KEY_SWAPPED) };
	struct flow *flow;

	packet.key = (struct packet_key){ .ip_version = 4, .ip_proto = IP_PROTO_TCP, .port = { 1024, 502 } };
	packet.key.addr[0].words[0] = 0x01010101;
	packet.key.addr[1].words[0] = 0x02020202;
	packet.hash = packet_key_hash(&packet.key);
	flow_lookup_burst(table, &packet, 1, packet.ts_ns, &flow);
	flow = flow_update(table, flow, &packet);
	stream_segment(engine, flow, &packet, take, NULL);
}

static void
on_end(void *arg, struct flow *flow)
{
	stream_end(arg, flow, take, NULL);
}

static void
replay_tcp(const struct arrangement *arrangement, unsigned int policy, uint8_t out[BYTES_MAX])
{
	struct stream_engine *engine = engines[policy];
	uint8_t bytes[BYTES_MAX];

	tcp_out = out;
	tcp_len = 0;
	segment(engine, true, ISN, TCP_SYN, NULL, 0);
	segment(engine, false, 0, TCP_SYN | TCP_ACK, NULL, 0);
	segment(engine, true, ISN + 1, TCP_ACK, NULL, 0);
	for (unsigned int i = 0; i < arrangement->piece_count; i++) {
		const struct chunk *piece = &arrangement->pieces[i];

		assert_int_equal(tcp_len, 0);
		memset(bytes, piece->letter, sizeof(bytes));
		segment(engine, true, ISN + 1 + piece->start * UNIT, TCP_ACK, bytes, (piece->end - piece->start) * UNIT);
	}
	assert_int_equal(tcp_len, arrangement->end * UNIT);
	flow_expire_all(table, on_end, engine);
}

static void
test_ipv4(void **state)
{
	assert_int_equal(walk(2, replay_v4), 13);
	assert_int_equal(walk(3, replay_v4), 409);
}

static void
test_ipv6(void **state)
{
	assert_int_equal(walk(2, replay_v6), 13);
	assert_int_equal(walk(3, replay_v6), 409);
}

static void
test_tcp(void **state)
{
	assert_int_equal(walk(2, replay_tcp), 13);
	assert_int_equal(walk(3, replay_tcp), 409);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ipv4, decoders_setup, decoders_teardown),
		cmocka_unit_test_setup_teardown(test_ipv6, decoders_setup, decoders_teardown),
		cmocka_unit_test_setup_teardown(test_tcp, streams_setup, streams_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
