/*
 * The way most frames of a plant go, in one step: Ethernet, perhaps one tag, then IPv4 or IPv6 without options and TCP or
 * UDP, or a protocol of plants that has frames of its own.
 * Everything is read before anything is written: what is unusual in any way is left to the layers, which begin anew.
 * The packet is the same whichever way it went: test_fast.c compares the two.
 */
#include <string.h>

#include "lib/packet/checksum.h"
#include "lib/packet/decode.h"
#include "lib/packet/decode_key.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

enum {
	ETHERNET_LEN = 14,
	VLAN_TAG_LEN = 4,
	IPV4_HEADER_LEN = 20,
	IPV6_HEADER_LEN = 40,
	TCP_HEADER_LEN = 20,
	TCP_TIMESTAMP_LEN = 12, /* NOP, NOP, timestamp: what nearly every stack sends, RFC 7323 A */
	UDP_HEADER_LEN = 8,
	ETHER_TYPE_VLAN = 0x8100,
};

/** Where the headers of a frame are, and what of them decides where the next one is. */
struct fast {
	struct packet_decoder *decoder; /* these two are here, not read from struct decode again after every store */
	struct packet *packet;
	struct cursor in;      /* behind l4 at last: the payload */
	const uint8_t *l2, *l3, *l4, *timestamp;
	size_t segment_len;    /* from l4 on */
	uint32_t l4_len;
	uint32_t flags;        /* of the packet, until they are stored */
	uint16_t ether_type, vlan;
	bool tagged, timed;
	uint8_t proto;
};

static ALWAYS_INLINE void
tally(const struct fast *f, enum packet_counter counter)
{
	f->decoder->pending[counter]++;
}

static ALWAYS_INLINE uint16_t
be16_at(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static ALWAYS_INLINE uint64_t
load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/** Six bytes as they lie in memory; 8 must be readable. */
static ALWAYS_INLINE uint64_t
mac_at(const uint8_t *at)
{
	return load64(at) & UINT64_C(0xffffffffffff);
}

static ALWAYS_INLINE uint32_t
be32_at(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return __builtin_bswap32(value);
}

/* Whether a frame has a tag, or a segment a timestamp, is as good as random: reckoned with, not branched on. */
static ALWAYS_INLINE bool
find_link(struct fast *f)
{
	f->l2 = cursor_take(&f->in, ETHERNET_LEN);
	if (f->l2 == NULL)
		return false;
	f->tagged = be16_at(f->l2 + ETHERNET_LEN - 2) == ETHER_TYPE_VLAN;
	if (cursor_take(&f->in, f->tagged * (size_t)VLAN_TAG_LEN) == NULL)
		return false;
	f->ether_type = be16_at(f->in.pos - 2);
	f->vlan = (uint16_t)(be16_at(f->in.pos - 4) & -(uint32_t)f->tagged & 0x0fff);
	return true;
}

static ALWAYS_INLINE bool
find_network(struct fast *f, bool v6)
{
	size_t len;

	f->l3 = cursor_take(&f->in, v6 ? IPV6_HEADER_LEN : IPV4_HEADER_LEN);
	if (f->l3 == NULL)
		return false;
	if (v6) {
		if (f->l3[0] >> 4 != 6)
			return false;
		len = be16_at(f->l3 + 4);
		f->proto = f->l3[6];
	} else {
		/* options; more fragments, or an offset */
		if (f->l3[0] != 0x45 || (be16_at(f->l3 + 6) & 0x3fff) != 0)
			return false;
		len = (size_t)be16_at(f->l3 + 2) - IPV4_HEADER_LEN; /* one too small becomes too large */
		f->proto = f->l3[9];
	}
	if (len > cursor_left(&f->in))
		return false;
	f->in.left = (uint32_t)len;
	f->segment_len = len;
	return true;
}

static ALWAYS_INLINE bool
find_tcp(struct fast *f)
{
	f->l4 = cursor_take(&f->in, TCP_HEADER_LEN);
	if (f->l4 == NULL || f->l4[12] >> 4 < TCP_HEADER_LEN / 4)
		return false;
	f->l4_len = (f->l4[12] >> 4) * 4u;
	if (cursor_take(&f->in, f->l4_len - TCP_HEADER_LEN) == NULL)
		return false;
	f->timestamp = f->in.pos - TCP_TIMESTAMP_LEN; /* or the header's end */
	f->timed = (f->l4_len == TCP_HEADER_LEN + TCP_TIMESTAMP_LEN) & (be32_at(f->timestamp) == 0x0101080a);
	return true;
}

static ALWAYS_INLINE bool
find_udp(struct fast *f, const struct packet_decoder *decoder)
{
	f->l4 = cursor_take(&f->in, UDP_HEADER_LEN);
	if (f->l4 == NULL)
		return false;
	f->l4_len = UDP_HEADER_LEN;
	f->segment_len = be16_at(f->l4 + 4);
	if (f->segment_len != UDP_HEADER_LEN + cursor_left(&f->in))
		return false;
	/* what looks like a port that some tunnel uses: the layers look closer */
	return !decode_port_may_be(&decoder->tunnel_from, be16_at(f->l4)) && !decode_port_may_be(&decoder->tunnel_to, be16_at(f->l4 + 2));
}

/** The 32-bit words of an address pair, and of an IPv4 header, added up. */
static ALWAYS_INLINE uint64_t
words_sum(const uint8_t *at, unsigned int count)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < count; i++)
		sum += checksum_load32(at + i * 4);
	return sum;
}

static ALWAYS_INLINE void
verify(struct fast *f, bool v6, bool tcp)
{
	uint64_t addresses = v6 ? words_sum(f->l3 + 8, 8) : words_sum(f->l3 + 12, 2);
	uint64_t pseudo = addresses + ((uint64_t)f->proto << 8) + __builtin_bswap16((uint16_t)f->segment_len);

	if (!f->decoder->config.checksum_validation)
		return;
	if (!v6 && (f->flags & PACKET_L3_CHECKSUM_GOOD) == 0 && !checksum_is_right(words_sum(f->l3, 3) + addresses)) {
		f->flags |= PACKET_L3_CHECKSUM_BAD;
		tally(f, PACKET_COUNTER_CHECKSUM_IPV4);
	}
	/* a zero checksum of UDP is none: RFC 768, RFC 6935 */
	if ((f->flags & PACKET_L4_CHECKSUM_GOOD) != 0 || (!tcp && (f->l4[6] | f->l4[7]) == 0))
		return;
	if (!checksum_is_right(pseudo + checksum_segment(f->l4, f->segment_len))) {
		f->flags |= PACKET_L4_CHECKSUM_BAD;
		tally(f, tcp ? PACKET_COUNTER_CHECKSUM_TCP : PACKET_COUNTER_CHECKSUM_UDP);
	}
}

static ALWAYS_INLINE void
fill_link(const struct fast *f)
{
	struct packet *packet = f->packet;

	packet->ether_type = f->ether_type;
	tally(f, PACKET_COUNTER_ETHERNET);
	f->decoder->pending[PACKET_COUNTER_VLAN] += f->tagged;
	packet->vlan[0] = f->vlan;
	packet->vlan_count = f->tagged;
}

static ALWAYS_INLINE uint64_t
key_tags(const struct fast *f)
{
	return f->decoder->config.vlan_tracking ? f->vlan : 0;
}

static ALWAYS_INLINE void
fill_network(const struct fast *f, bool v6)
{
	struct packet *packet = f->packet;

	packet->l3_off = (uint16_t)(f->l3 - f->l2);
	packet->l4_off = (uint16_t)(f->l4 - f->l2);
	packet->l3_len = (uint16_t)(f->l4 - f->l3);
	packet->l4_len = (uint16_t)f->l4_len;
	packet->ip_proto = f->proto;
	tally(f, v6 ? PACKET_COUNTER_IPV6 : PACKET_COUNTER_IPV4);
	if (v6) {
		packet->ip_version = 6;
		packet->ttl = f->l3[7];
		memcpy(packet->src.bytes, f->l3 + 8, 16);
		memcpy(packet->dst.bytes, f->l3 + 24, 16);
		return;
	}
	packet->ip_version = 4;
	packet->ttl = f->l3[8];
	packet->src.words[0] = checksum_load32(f->l3 + 12);
	packet->dst.words[0] = checksum_load32(f->l3 + 16);
}

/* Read from the frame once more: what was just stored narrow is slow to read back wide. */
static ALWAYS_INLINE void
fill_key(const struct fast *f, bool v6)
{
	const uint8_t *src = f->l3 + (v6 ? 8 : 12), *dst = f->l3 + (v6 ? 24 : 16);
	struct decode_words words = { .sport = be16_at(f->l4), .dport = be16_at(f->l4 + 2),
		.meta = (uint64_t)f->proto << 32 | (uint64_t)(v6 ? 6 : 4) << 40, .tags = key_tags(f) };

	words.src0 = v6 ? load64(src) : checksum_load32(src);
	words.dst0 = v6 ? load64(dst) : checksum_load32(dst);
	words.src1 = v6 ? load64(src + 8) : 0;
	words.dst1 = v6 ? load64(dst + 8) : 0;
	f->packet->sport = words.sport;
	f->packet->dport = words.dport;
	decode_key_store(f->packet, words, PACKET_FLOW);
}

static ALWAYS_INLINE void
fill_transport(const struct fast *f, bool tcp)
{
	struct packet *packet = f->packet;
	uint32_t timed = -(uint32_t)f->timed;

	packet->payload = f->in.pos;
	packet->payload_len = f->in.left;
	tally(f, tcp ? PACKET_COUNTER_TCP : PACKET_COUNTER_UDP);
	packet->flags = f->flags;
	if (tcp) {
		packet->tcp_seq = be32_at(f->l4 + 4);
		packet->tcp_ack = be32_at(f->l4 + 8);
		packet->tcp_flags = f->l4[13];
		packet->tcp_window = be16_at(f->l4 + 14);
		packet->flags = f->flags | f->timed * (uint32_t)PACKET_TCP_TIMESTAMP;
		packet->tcp_ts_value = be32_at(f->timestamp + 4) & timed;
		packet->tcp_ts_echo = be32_at(f->timestamp + 8) & timed;
		if (f->l4_len > (f->timed ? TCP_HEADER_LEN + TCP_TIMESTAMP_LEN : TCP_HEADER_LEN))
			decode_tcp_options(packet, cursor_of(f->l4 + TCP_HEADER_LEN, f->l4_len - TCP_HEADER_LEN));
	}
}

static ALWAYS_INLINE bool
decode_transport(struct fast *f, bool v6, bool tcp)
{
	if (!(tcp ? find_tcp(f) : find_udp(f, f->decoder)))
		return false;
	f->flags = f->packet->flags | PACKET_ETHERNET | PACKET_IP | PACKET_L4;
	fill_link(f);
	fill_network(f, v6);
	verify(f, v6, tcp);
	fill_transport(f, tcp);
	fill_key(f, v6);
	return true;
}

/* One copy of the code for each kind: nothing below asks again which it is. */
static ALWAYS_INLINE bool
decode_network(struct fast *f, bool v6)
{
	if (!find_network(f, v6))
		return false;
	if (f->proto == IP_PROTO_TCP)
		return decode_transport(f, v6, true);
	return f->proto == IP_PROTO_UDP && decode_transport(f, v6, false);
}

/* A flow between two MACs, as decode_ether_flow() makes it. */
static ALWAYS_INLINE bool
decode_frame(const struct fast *f)
{
	struct packet *packet = f->packet;
	struct decode_words words = { .src0 = mac_at(f->l2 + 6), .dst0 = mac_at(f->l2), .sport = f->ether_type,
		.dport = f->ether_type, .tags = key_tags(f) };

	packet->flags |= PACKET_ETHERNET;
	fill_link(f);
	packet->src.halves[0] = words.src0;
	packet->dst.halves[0] = words.dst0;
	packet->payload = f->in.pos;
	packet->payload_len = f->in.left;
	tally(f, PACKET_COUNTER_ETHER_FLOW);
	decode_key_store(packet, words, PACKET_FLOW);
	return true;
}

bool
decode_fast(struct decode *d)
{
	struct fast f = { .decoder = d->decoder, .packet = d->packet, .in = d->in };

	if (!find_link(&f))
		return false;
	switch (f.decoder->ether_kinds[f.ether_type]) {
	case LAYER_IPV4: return decode_network(&f, false);
	case LAYER_IPV6: return decode_network(&f, true);
	case LAYER_ETHER_FLOW: return decode_frame(&f);
	default: return false;
	}
}
