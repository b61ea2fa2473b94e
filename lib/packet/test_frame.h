/* For the unit tests of packets, flows and streams: frames built in memory, with right lengths and checksums. */
#ifndef MR_PACKET_TEST_FRAME_H
#define MR_PACKET_TEST_FRAME_H

#include <string.h>

#include "lib/packet/checksum.h"
#include "lib/packet/packet.h"

enum { FRAME_MAX = 2048 };

struct frame {
	uint8_t data[FRAME_MAX];
	uint32_t len;
	uint32_t l3_at; /* set by the IP header's builder */
};

static inline void
frame_put(struct frame *frame, const void *data, size_t len)
{
	memcpy(frame->data + frame->len, data, len);
	frame->len += (uint32_t)len;
}

static inline void
frame_be16(struct frame *frame, uint16_t value)
{
	uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	frame_put(frame, bytes, 2);
}

static inline void
frame_be32(struct frame *frame, uint32_t value)
{
	frame_be16(frame, (uint16_t)(value >> 16));
	frame_be16(frame, (uint16_t)value);
}

static inline void
frame_ethernet(struct frame *frame, uint16_t ether_type)
{
	static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };

	frame_put(frame, macs, sizeof(macs));
	frame_be16(frame, ether_type);
}

/** @param fragment the flags and offset field */
static inline void
frame_ipv4(struct frame *frame, uint32_t src, uint32_t dst, uint8_t proto, uint16_t id, uint16_t fragment)
{
	frame->l3_at = frame->len;
	frame_be16(frame, 0x4500);
	frame_be16(frame, 0);
	frame_be16(frame, id);
	frame_be16(frame, fragment);
	frame_be16(frame, (uint16_t)(64 << 8 | proto));
	frame_be16(frame, 0);
	frame_be32(frame, src);
	frame_be32(frame, dst);
}

static inline void
frame_set_be16(struct frame *frame, uint32_t at, uint16_t value)
{
	frame->data[at] = (uint8_t)(value >> 8);
	frame->data[at + 1] = (uint8_t)value;
}

/** Writes a checksum over [at, at + len) into its field. */
static inline void
frame_checksum(struct frame *frame, uint32_t field, uint64_t sum, uint32_t at, uint32_t len)
{
	uint16_t folded;

	frame_set_be16(frame, field, 0);
	folded = (uint16_t)~checksum_fold(checksum_add(sum, frame->data + at, len));
	memcpy(frame->data + field, &folded, sizeof(folded));
}

/** Lengths and checksums of the innermost IPv4 header and what it carries. */
static inline void
frame_finish_ipv4(struct frame *frame)
{
	uint32_t ip = frame->l3_at, l4 = ip + 20, l4_len = frame->len - l4;
	uint8_t proto = frame->data[ip + 9];
	uint64_t pseudo = checksum_add(0, frame->data + ip + 12, 8) + __builtin_bswap16((uint16_t)l4_len) +
		((uint64_t)proto << 8);

	frame_set_be16(frame, ip + 2, (uint16_t)(frame->len - ip));
	frame_checksum(frame, ip + 10, 0, ip, 20);
	if ((frame->data[ip + 6] & 0x3f) != 0 || frame->data[ip + 7] != 0)
		return;
	if (proto == IP_PROTO_UDP)
		frame_set_be16(frame, l4 + 4, (uint16_t)l4_len);
	if (proto == IP_PROTO_TCP || proto == IP_PROTO_UDP)
		frame_checksum(frame, l4 + (proto == IP_PROTO_TCP ? 16 : 6), pseudo, l4, l4_len);
	else if (proto == IP_PROTO_ICMP)
		frame_checksum(frame, l4 + 2, 0, l4, l4_len);
}

static inline void
frame_udp(struct frame *frame, uint16_t sport, uint16_t dport)
{
	frame_be16(frame, sport);
	frame_be16(frame, dport);
	frame_be32(frame, 0);
}

static inline void
frame_tcp(struct frame *frame, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags)
{
	frame_be16(frame, sport);
	frame_be16(frame, dport);
	frame_be32(frame, seq);
	frame_be32(frame, ack);
	frame_be16(frame, (uint16_t)(0x5000 | flags));
	frame_be16(frame, 0xffff);
	frame_be32(frame, 0);
}

static inline void
frame_give(struct packet *packet, const struct frame *frame, uint64_t ts_ns)
{
	packet->data = frame->data;
	packet->len = frame->len;
	packet->wire_len = frame->len;
	packet->ts_ns = ts_ns;
	packet->frame_number = 1;
	packet->flags = 0;
	packet->port_idx = 0;
	packet->link_type = PACKET_LINK_ETHERNET;
}

static inline struct packet_config
frame_decoder_config(void)
{
	return (struct packet_config){
		.vlan_tracking = true, .recursion_tracking = true, .checksum_validation = true,
		.vxlan = true, .vxlan_gpe = true, .geneve = true, .teredo = true, .gre_in_udp = true, .gtp = true, .l2tp = true, .capwap = true, .erspan1 = true, .skip_redundant = true, .defrag = true,
		.defrag_memcap_bytes = 1 << 20, .defrag_trackers_max = 64, .defrag_frags_max = 1024,
		.defrag_timeout_s = 60, .layers_max = 16,
	};
}

#endif
