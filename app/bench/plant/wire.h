/*
 * Frames as they are on the wire: Ethernet, ARP, IPv4, TCP, UDP, with lengths and checksums
 * right. Writers append to a bounded struct buf; nothing is written past its end.
 */
#ifndef MR_BENCH_PLANT_WIRE_H
#define MR_BENCH_PLANT_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum {
	PLANT_TCP_FIN = 0x01,
	PLANT_TCP_SYN = 0x02,
	PLANT_TCP_RST = 0x04,
	PLANT_TCP_PSH = 0x08,
	PLANT_TCP_ACK = 0x10,
	PLANT_TCP_MSS = 1460,
	PLANT_TCP_OPTIONS_MAX = 40,
	PLANT_UDP_PAYLOAD_MAX = 1460, /* five of DNP3's longest link frames: they never straddle datagrams */
};

struct plant_host {
	char name[24];
	uint8_t mac[6];
	uint32_t ip; /* host order */
	uint16_t ip_id; /* of the next datagram sent */
	uint8_t ttl;
	const struct plant_host *gateway; /* seen through this router; NULL: on the captured segment */
};

/** One datagram, TCP or UDP. */
struct plant_packet {
	struct plant_host *src;
	struct plant_host *dst;
	uint16_t src_port, dst_port;
	uint8_t tcp_flags;
	uint16_t window;
	uint32_t seq, ack;
	const uint8_t *options; /* padded to whole words */
	size_t options_len;
	const uint8_t *payload;
	size_t payload_len;
};

static inline void
put_u8(struct buf *out, uint8_t value)
{
	buf_putc(out, (char)value);
}

static inline void
put_be16(struct buf *out, uint16_t value)
{
	const uint8_t bytes[] = { (uint8_t)(value >> 8), (uint8_t)value };

	buf_put(out, bytes, sizeof(bytes));
}

static inline void
put_be32(struct buf *out, uint32_t value)
{
	put_be16(out, (uint16_t)(value >> 16));
	put_be16(out, (uint16_t)value);
}

static inline void
put_le16(struct buf *out, uint16_t value)
{
	put_be16(out, __builtin_bswap16(value));
}

static inline void
put_le32(struct buf *out, uint32_t value)
{
	put_be32(out, __builtin_bswap32(value));
}

static inline void
put_le48(struct buf *out, uint64_t value)
{
	put_le32(out, (uint32_t)value);
	put_le16(out, (uint16_t)(value >> 32));
}

/** A writer over memory that the caller lends; buf_destroy() is not for it. */
static inline struct buf
buf_over(void *data, size_t cap)
{
	return (struct buf){ .data = data, .cap = cap };
}

/** Appends a frame. @return its length, 0 where it does not fit in out */
size_t plant_wire_tcp(struct buf *out, const struct plant_packet *packet);
size_t plant_wire_udp(struct buf *out, const struct plant_packet *packet);
/** Who has dst, tell src (broadcast); with reply: src answers dst. */
size_t plant_wire_arp(struct buf *out, const struct plant_host *src, const struct plant_host *dst, int reply);
/**
 * Cuts an IPv4 frame made here into two fragments.
 *
 * @param frame      the whole frame, without padding after the datagram or with it
 * @param first_len  bytes of IP payload in the first fragment, a multiple of 8
 * @param second     out: the second fragment
 * @return length of the first fragment's frame (frame is rewritten), 0: cannot be cut there
 * Source: RFC 791 3.2.
 */
size_t plant_wire_fragment(struct buf *frame, size_t first_len, struct buf *second);

/** Which MAC the host's frames carry on the captured segment: its own, or its gateway's. */
const uint8_t *plant_wire_mac(const struct plant_host *host);

#endif
