/* Inside lib/packet: the key of a flow, put together in registers. Narrow stores would be read back, wider, before they
 * reach the cache: measured at fifty cycles a packet. */
#ifndef MR_PACKET_DECODE_KEY_H
#define MR_PACKET_DECODE_KEY_H

#include <string.h>

#include "lib/base/hash.h"
#include "lib/packet/decode.h"

/** Ends of what names a flow: of the packet itself, or of the header that an ICMP error quotes. */
struct decode_tuple {
	const struct ip_addr *src, *dst;
	uint16_t sport, dport;
	uint8_t ip_proto;
	bool fixed_ports; /* sport and dport stay in this order whatever the addresses: ESP */
	uint16_t icmp_id;
};

_Static_assert(offsetof(struct packet_key, port) == 32 && offsetof(struct packet_key, ip_proto) == 36 &&
	offsetof(struct packet_key, vlan) == 40, "the words of a key");

/** Two chains: half the latency of one. */
static inline uint32_t
decode_hash(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	uint32_t low = hash_u64(hash_u64(hash_u64(0, a), b), e);
	uint32_t high = hash_u64(hash_u64(hash_u64(0x6d696c6c, c), d), f);

	return low * 0x9e3779b1u + high;
}

static inline void
decode_key_word(struct packet_key *key, unsigned int idx, uint64_t word)
{
	memcpy((uint8_t *)key + idx * sizeof(word), &word, sizeof(word));
}

/** The words of a key before its ends are put in order. */
struct decode_words {
	uint64_t src0, src1, dst0, dst1; /* halves of the addresses */
	uint16_t sport, dport;
	bool fixed_ports;
	uint64_t meta; /* word 4 without the ports */
	uint64_t tags; /* word 5 */
};

/** Puts the lower end first, hashes, stores. Which end that is, is a coin toss that no branch predictor wins: no ||
 *  here, and select by masks. */
static inline __attribute__((always_inline)) void
decode_key_store(struct packet *packet, struct decode_words w, enum packet_flag flag)
{
	bool same = (w.src0 == w.dst0) & (w.src1 == w.dst1);
	bool swapped = (w.src0 > w.dst0) | ((w.src0 == w.dst0) & (w.src1 > w.dst1)) |
		(same & !w.fixed_ports & (w.sport > w.dport));
	uint64_t mask = -(uint64_t)swapped;
	uint64_t diff0 = (w.src0 ^ w.dst0) & mask, diff1 = (w.src1 ^ w.dst1) & mask;
	uint64_t port_diff = w.fixed_ports ? 0 : (uint64_t)(w.sport ^ w.dport) & mask;
	uint64_t meta = w.meta | (w.sport ^ port_diff) | (w.dport ^ port_diff) << 16;

	decode_key_word(&packet->key, 0, w.src0 ^ diff0);
	decode_key_word(&packet->key, 1, w.src1 ^ diff1);
	decode_key_word(&packet->key, 2, w.dst0 ^ diff0);
	decode_key_word(&packet->key, 3, w.dst1 ^ diff1);
	decode_key_word(&packet->key, 4, meta);
	decode_key_word(&packet->key, 5, w.tags);
	packet->hash = decode_hash(w.src0 ^ diff0, w.src1 ^ diff1, w.dst0 ^ diff0, w.dst1 ^ diff1, meta, w.tags);
	packet->flags |= (uint32_t)flag | swapped * (uint32_t)PACKET_KEY_SWAPPED;
}

/** Builds key and hash of a packet with addresses. @param flag PACKET_FLOW or PACKET_FLOW_FIND */
static inline void
decode_key(struct decode *d, struct decode_tuple tuple, enum packet_flag flag)
{
	const struct packet_config *config = &d->decoder->config;
	struct packet *packet = d->packet;
	uint64_t depth = config->recursion_tracking ? packet->tunnel_depth : 0;
	uint64_t vlans = packet->vlan[0] | (uint64_t)packet->vlan[1] << 16 | (uint64_t)packet->vlan[2] << 32;

	decode_key_store(packet, (struct decode_words){ tuple.src->halves[0], tuple.src->halves[1], tuple.dst->halves[0],
		tuple.dst->halves[1], tuple.sport, tuple.dport, tuple.fixed_ports,
		(uint64_t)tuple.ip_proto << 32 | (uint64_t)packet->ip_version << 40 | depth << 48,
		(config->vlan_tracking ? vlans : 0) | (uint64_t)tuple.icmp_id << 48 }, flag);
}

#endif
