#include "app/bench/plant/wire.h"

#include <assert.h>

#include "lib/base/cursor.h"

enum {
	ETHERNET_HEADER_LEN = 14,
	ETHERNET_FRAME_MIN = 60, /* without the frame check sequence, which captures leave out */
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	IPV4_HEADER_LEN = 20,
	IPV4_DONT_FRAGMENT = 0x4000,
	IPV4_MORE_FRAGMENTS = 0x2000,
	IPV4_TOTAL_LENGTH_AT = 2, /* offsets in the header */
	IPV4_FRAGMENT_AT = 6,
	IPV4_CHECKSUM_AT = 10,
	TCP_HEADER_LEN = 20,
	TCP_CHECKSUM_AT = 16,
	UDP_HEADER_LEN = 8,
	UDP_CHECKSUM_AT = 6,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
};

static const uint8_t mac_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* RFC 1071: the ones' complement sum of big-endian words, not yet complemented. */
static uint32_t
checksum_add(uint32_t sum, const void *data, size_t len)
{
	struct cursor in = cursor_of(data, len);

	while (cursor_left(&in) >= 2)
		sum += cursor_be16(&in);
	if (cursor_left(&in) == 1)
		sum += (uint32_t)cursor_u8(&in) << 8;
	return sum;
}

static uint16_t
checksum_end(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void
patch_be16(struct buf *out, size_t at, uint16_t value)
{
	assert(at + 2 <= out->len);
	out->data[at] = (char)(value >> 8);
	out->data[at + 1] = (char)value;
}

static uint16_t
peek_be16(const struct buf *in, size_t at)
{
	struct cursor c = cursor_of(in->data, in->len);

	cursor_skip(&c, at);
	return cursor_be16(&c);
}

static void
pad_frame(struct buf *out, size_t start)
{
	while (!out->full && out->len - start < ETHERNET_FRAME_MIN)
		put_u8(out, 0);
}

const uint8_t *
plant_wire_mac(const struct plant_host *host)
{
	return host->gateway != NULL ? host->gateway->mac : host->mac;
}

static void
put_ethernet(struct buf *out, const uint8_t *dst, const uint8_t *src, uint16_t type)
{
	buf_put(out, dst, 6);
	buf_put(out, src, 6);
	put_be16(out, type);
}

static void
put_ipv4(struct buf *out, const struct plant_packet *packet, uint8_t protocol, size_t payload_len)
{
	struct plant_host *src = packet->src;
	size_t start = out->len;

	put_u8(out, 0x45);
	put_u8(out, 0);
	put_be16(out, (uint16_t)(IPV4_HEADER_LEN + payload_len));
	put_be16(out, src->ip_id++);
	put_be16(out, IPV4_DONT_FRAGMENT);
	put_u8(out, src->gateway != NULL ? (uint8_t)(src->ttl - 1) : src->ttl);
	put_u8(out, protocol);
	put_be16(out, 0);
	put_be32(out, src->ip);
	put_be32(out, packet->dst->ip);
	if (!out->full)
		patch_be16(out, start + IPV4_CHECKSUM_AT,
			checksum_end(checksum_add(0, out->data + start, IPV4_HEADER_LEN)));
}

/* RFC 9293 3.1, RFC 768: the pseudo header in front of the transport's own checksum. */
static uint16_t
transport_checksum(const struct buf *out, size_t at, const struct plant_packet *packet, uint8_t protocol)
{
	uint32_t sum = protocol + (uint32_t)(out->len - at);

	sum += (packet->src->ip >> 16) + (packet->src->ip & 0xffff);
	sum += (packet->dst->ip >> 16) + (packet->dst->ip & 0xffff);
	return checksum_end(checksum_add(sum, out->data + at, out->len - at));
}

size_t
plant_wire_tcp(struct buf *out, const struct plant_packet *packet)
{
	size_t start = out->len;
	size_t header_len = TCP_HEADER_LEN + packet->options_len;
	size_t at;

	assert(packet->options_len % 4 == 0 && packet->options_len <= PLANT_TCP_OPTIONS_MAX);
	put_ethernet(out, plant_wire_mac(packet->dst), plant_wire_mac(packet->src), ETHERTYPE_IPV4);
	put_ipv4(out, packet, PROTOCOL_TCP, header_len + packet->payload_len);
	at = out->len;
	put_be16(out, packet->src_port);
	put_be16(out, packet->dst_port);
	put_be32(out, packet->seq);
	put_be32(out, packet->ack);
	put_u8(out, (uint8_t)(header_len / 4 << 4));
	put_u8(out, packet->tcp_flags);
	put_be16(out, packet->window);
	put_be32(out, 0); /* checksum, urgent pointer */
	buf_put(out, packet->options, packet->options_len);
	buf_put(out, packet->payload, packet->payload_len);
	if (out->full)
		return 0;
	patch_be16(out, at + TCP_CHECKSUM_AT, transport_checksum(out, at, packet, PROTOCOL_TCP));
	pad_frame(out, start);
	return out->full ? 0 : out->len - start;
}

size_t
plant_wire_udp(struct buf *out, const struct plant_packet *packet)
{
	size_t start = out->len;
	size_t at;
	uint16_t sum;

	put_ethernet(out, plant_wire_mac(packet->dst), plant_wire_mac(packet->src), ETHERTYPE_IPV4);
	put_ipv4(out, packet, PROTOCOL_UDP, UDP_HEADER_LEN + packet->payload_len);
	at = out->len;
	put_be16(out, packet->src_port);
	put_be16(out, packet->dst_port);
	put_be16(out, (uint16_t)(UDP_HEADER_LEN + packet->payload_len));
	put_be16(out, 0);
	buf_put(out, packet->payload, packet->payload_len);
	if (out->full)
		return 0;
	sum = transport_checksum(out, at, packet, PROTOCOL_UDP);
	patch_be16(out, at + UDP_CHECKSUM_AT, sum == 0 ? 0xffff : sum); /* RFC 768: 0 means none */
	pad_frame(out, start);
	return out->full ? 0 : out->len - start;
}

/* RFC 826. */
size_t
plant_wire_arp(struct buf *out, const struct plant_host *src, const struct plant_host *dst, int reply)
{
	static const uint8_t mac_unknown[6];
	const uint8_t *src_mac = plant_wire_mac(src);
	size_t start = out->len;

	put_ethernet(out, reply ? plant_wire_mac(dst) : mac_broadcast, src_mac, ETHERTYPE_ARP);
	put_be16(out, 1); /* Ethernet */
	put_be16(out, ETHERTYPE_IPV4);
	put_u8(out, 6);
	put_u8(out, 4);
	put_be16(out, reply ? 2 : 1);
	buf_put(out, src_mac, 6);
	put_be32(out, src->ip);
	buf_put(out, reply ? plant_wire_mac(dst) : mac_unknown, 6);
	put_be32(out, dst->ip);
	pad_frame(out, start);
	return out->full ? 0 : out->len - start;
}

static void
patch_fragment(struct buf *frame, size_t payload_len, uint16_t fragment)
{
	size_t ip = ETHERNET_HEADER_LEN;

	patch_be16(frame, ip + IPV4_TOTAL_LENGTH_AT, (uint16_t)(IPV4_HEADER_LEN + payload_len));
	patch_be16(frame, ip + IPV4_FRAGMENT_AT, fragment);
	patch_be16(frame, ip + IPV4_CHECKSUM_AT, 0);
	patch_be16(frame, ip + IPV4_CHECKSUM_AT, checksum_end(checksum_add(0, frame->data + ip, IPV4_HEADER_LEN)));
}

size_t
plant_wire_fragment(struct buf *frame, size_t first_len, struct buf *second)
{
	size_t headers_len = ETHERNET_HEADER_LEN + IPV4_HEADER_LEN;
	size_t payload_len;

	if (frame->len < headers_len || first_len == 0 || first_len % 8 != 0)
		return 0;
	payload_len = peek_be16(frame, ETHERNET_HEADER_LEN + IPV4_TOTAL_LENGTH_AT) - (size_t)IPV4_HEADER_LEN;
	if (first_len >= payload_len || headers_len + payload_len > frame->len)
		return 0;
	buf_put(second, frame->data, headers_len);
	buf_put(second, frame->data + headers_len + first_len, payload_len - first_len);
	if (second->full)
		return 0;
	patch_fragment(second, payload_len - first_len, (uint16_t)(first_len / 8));
	pad_frame(second, 0);
	frame->len = headers_len + first_len;
	patch_fragment(frame, first_len, IPV4_MORE_FRAGMENTS);
	pad_frame(frame, 0);
	return frame->len;
}
