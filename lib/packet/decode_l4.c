/* TCP (RFC 9293), UDP (RFC 768), ICMP (RFC 792), ICMPv6 (RFC 4443), IGMP (RFC 9776), SCTP (RFC 9260), ESP (RFC 4303). */
#include "lib/packet/checksum.h"
#include "lib/packet/decode.h"
#include "lib/packet/decode_key.h"

#include <string.h>

enum {
	TCP_HEADER_LEN = 20,
	UDP_HEADER_LEN = 8,
	ICMP_HEADER_LEN = 8,
	SCTP_HEADER_LEN = 12,
	SCTP_CHUNKS_MAX = 256,
	IGMP_HEADER_LEN = 8,
	IGMP_QUERY_V3_LEN = 12,
	IGMP_RECORD_LEN = 8,
	IP_PROTO_ASSIGNED_MAX = 147, /* IANA protocol-numbers: what is above is unassigned, or for experiments */
	TCP_OPTION_TIMESTAMP_ALIGNED = 0x0101080a, /* NOP NOP TS 10: what nearly every stack sends, RFC 7323 A */
};

/** By IP protocol. What has no row ends as plain IP. */
static const uint8_t ip_protos[256] = {
	[IP_PROTO_ICMP] = LAYER_ICMP,
	[IP_PROTO_IGMP] = LAYER_IGMP,
	[IP_PROTO_IPIP] = LAYER_IPIP,
	[IP_PROTO_TCP] = LAYER_TCP,
	[IP_PROTO_UDP] = LAYER_UDP,
	[IP_PROTO_IPV6] = LAYER_IPIP,
	[IP_PROTO_GRE] = LAYER_GRE,
	[IP_PROTO_ESP] = LAYER_ESP,
	[IP_PROTO_AH] = LAYER_AH,
	[IP_PROTO_ICMPV6] = LAYER_ICMPV6,
	[IP_PROTO_L2TP] = LAYER_L2TP,
	[IP_PROTO_SCTP] = LAYER_SCTP,
};

/** The flow of a packet whose protocol has ports (or none). */
static void
key_of_packet(struct decode *d, bool fixed_ports, uint16_t sport, uint16_t dport)
{
	struct packet *packet = d->packet;
	struct decode_tuple tuple = { &packet->src, &packet->dst, sport, dport, packet->ip_proto, fixed_ports, 0 };

	decode_key(d, tuple, PACKET_FLOW);
}

enum decode_layer
decode_ip_proto(struct decode *d)
{
	struct packet *packet = d->packet;
	enum decode_layer layer = ip_protos[packet->ip_proto];

	packet->l4_off = decode_offset(d);
	if (layer == LAYER_DONE || layer == LAYER_GRE || layer == LAYER_IPIP || layer == LAYER_L2TP) {
		if (packet->ip_proto > IP_PROTO_ASSIGNED_MAX)
			decode_event_set(packet, packet->ip_version == 4 ? DECODE_IPV4_UNKNOWN_PROTOCOL :
				DECODE_IPV6_UNKNOWN_NEXT_HEADER);
		key_of_packet(d, true, 0, 0);
	}
	return layer;
}

/** Whether a transport checksum over the rest of the datagram (from l4_off) is wrong. */
static bool
l4_checksum_is_bad(const struct decode *d, const uint8_t *segment, size_t len, bool pseudo_header)
{
	const struct packet *packet = d->packet;
	uint64_t sum = 0;

	if (!d->decoder->config.checksum_validation || packet_is(packet, PACKET_L4_CHECKSUM_GOOD))
		return false;
	if (pseudo_header) {
		sum = (uint64_t)packet->src.words[0] + packet->dst.words[0];
		if (packet->ip_version == 6)
			for (unsigned int i = 1; i < 4; i++)
				sum += (uint64_t)packet->src.words[i] + packet->dst.words[i];
		sum += __builtin_bswap16((uint16_t)len) + ((uint64_t)packet->ip_proto << 8);
	}
	return checksum_fold(sum + checksum_segment(segment, len)) != 0xffff;
}

/** RFC 9293 3.1; which options are followed, and the only length each may have (0: any). */
static const struct {
	uint8_t kind;
	uint8_t len;
	uint32_t flag;
} tcp_options[] = {
	{ 2, 4, PACKET_TCP_MSS },
	{ 3, 3, PACKET_TCP_WSCALE },
	{ 4, 2, PACKET_TCP_SACK_PERMITTED },
	{ 5, 0, PACKET_TCP_SACK },
	{ 8, 10, PACKET_TCP_TIMESTAMP },
	{ 34, 0, PACKET_TCP_FASTOPEN },
};

/** @param value the option's bytes behind kind and length */
static void
tcp_option(struct packet *packet, uint8_t kind, uint8_t len, struct cursor value)
{
	uint32_t flag = 0;

	for (size_t i = 0; i < sizeof(tcp_options) / sizeof(tcp_options[0]) && flag == 0; i++) {
		if (tcp_options[i].kind != kind)
			continue;
		if ((tcp_options[i].len != 0 && tcp_options[i].len != len) ||
		    (kind == 5 && (len < 10 || (len - 2) % 8 != 0) && len != 2)) {
			decode_event_set(packet, DECODE_TCP_OPT_INVALID_LEN);
			return;
		}
		flag = tcp_options[i].flag;
	}
	if ((packet->flags & flag) != 0) {
		decode_event_set(packet, DECODE_TCP_OPT_DUPLICATE);
		return;
	}
	packet->flags |= flag;
	if (flag == PACKET_TCP_MSS) {
		packet->tcp_mss = cursor_be16(&value);
	} else if (flag == PACKET_TCP_WSCALE) {
		packet->tcp_wscale = cursor_u8(&value);
	} else if (flag == PACKET_TCP_TIMESTAMP) {
		packet->tcp_ts_value = cursor_be32(&value);
		packet->tcp_ts_echo = cursor_be32(&value);
	}
}

void
decode_tcp_options(struct packet *packet, struct cursor in)
{
	struct cursor peek = in;

	if (cursor_left(&in) == 12 && cursor_be32(&peek) == TCP_OPTION_TIMESTAMP_ALIGNED) {
		packet->flags |= PACKET_TCP_TIMESTAMP;
		packet->tcp_ts_value = cursor_be32(&peek);
		packet->tcp_ts_echo = cursor_be32(&peek);
		return;
	}
	while (cursor_left(&in) > 0) {
		uint8_t kind = cursor_u8(&in);

		if (kind == 0)
			return;
		if (kind == 1)
			continue;
		uint8_t len = cursor_u8(&in);

		if (len < 2 || len - 2u > cursor_left(&in)) {
			decode_event_set(packet, DECODE_TCP_OPT_INVALID_LEN);
			return;
		}
		tcp_option(packet, kind, len, cursor_sub(&in, len - 2u));
	}
}

enum decode_layer
decode_tcp(struct decode *d)
{
	struct packet *packet = d->packet;
	size_t len = cursor_left(&d->in);
	const uint8_t *at = cursor_take(&d->in, TCP_HEADER_LEN);
	struct cursor in;
	uint32_t header_len;

	decode_count(d, PACKET_COUNTER_TCP);
	if (at == NULL)
		return decode_bad(d, DECODE_TCP_PKT_TOO_SMALL);
	header_len = (at[12] >> 4) * 4u;
	if (header_len < TCP_HEADER_LEN)
		return decode_bad(d, DECODE_TCP_HLEN_TOO_SMALL);
	if (header_len > len)
		return decode_bad(d, DECODE_TCP_INVALID_OPTLEN);
	in = cursor_of(at, TCP_HEADER_LEN);
	packet->sport = cursor_be16(&in);
	packet->dport = cursor_be16(&in);
	packet->tcp_seq = cursor_be32(&in);
	packet->tcp_ack = cursor_be32(&in);
	packet->tcp_flags = at[13];
	packet->tcp_window = (uint16_t)(at[14] << 8 | at[15]);
	packet->l4_len = (uint16_t)header_len;
	packet->flags |= PACKET_L4;
	if (header_len > TCP_HEADER_LEN)
		decode_tcp_options(packet, cursor_sub(&d->in, header_len - TCP_HEADER_LEN));
	if (l4_checksum_is_bad(d, at, len, true)) {
		packet->flags |= PACKET_L4_CHECKSUM_BAD;
		decode_count(d, PACKET_COUNTER_CHECKSUM_TCP);
	}
	key_of_packet(d, false, packet->sport, packet->dport);
	return LAYER_DONE;
}

enum decode_layer
decode_udp(struct decode *d)
{
	struct packet *packet = d->packet;
	size_t left = cursor_left(&d->in);
	const uint8_t *at = cursor_take(&d->in, UDP_HEADER_LEN);
	uint16_t len;

	decode_count(d, PACKET_COUNTER_UDP);
	if (at == NULL)
		return decode_bad(d, DECODE_UDP_HLEN_TOO_SMALL);
	len = (uint16_t)(at[4] << 8 | at[5]);
	if (len == 0 && left > 65535)
		len = UDP_HEADER_LEN; /* RFC 2675 4: a jumbogram; only its header is trusted */
	if (len > left)
		return decode_bad(d, DECODE_UDP_PKT_TOO_SMALL);
	if (len != left && left <= 65535)
		decode_event_set(packet, DECODE_UDP_HLEN_INVALID);
	if (len < UDP_HEADER_LEN)
		return decode_bad(d, DECODE_UDP_LEN_INVALID);
	decode_limit(d, len - UDP_HEADER_LEN);
	packet->sport = (uint16_t)(at[0] << 8 | at[1]);
	packet->dport = (uint16_t)(at[2] << 8 | at[3]);
	packet->l4_len = UDP_HEADER_LEN;
	packet->flags |= PACKET_L4;
	/* a zero checksum is none: RFC 768, and RFC 6935 for tunnels over IPv6 */
	if ((at[6] | at[7]) != 0 && l4_checksum_is_bad(d, at, len, true)) {
		packet->flags |= PACKET_L4_CHECKSUM_BAD;
		decode_count(d, PACKET_COUNTER_CHECKSUM_UDP);
	}
	key_of_packet(d, false, packet->sport, packet->dport);
	return decode_udp_tunnel(d);
}

/** Types that answer each other are one flow. RFC 792, 950, 1256; RFC 4443, 4861, 2710. */
static const struct {
	uint8_t version;
	uint8_t request, reply;
	bool has_id;
} icmp_pairs[] = {
	{ 4, 8, 0, true }, { 4, 10, 9, false }, { 4, 13, 14, true }, { 4, 15, 16, true }, { 4, 17, 18, true },
	{ 6, 128, 129, true }, { 6, 130, 131, false }, { 6, 133, 134, false }, { 6, 135, 136, false },
	{ 6, 139, 140, false }, { 6, 144, 145, true }, { 6, 146, 147, true },
};

static void
icmp_key(struct decode *d)
{
	struct packet *packet = d->packet;
	uint8_t type = packet->icmp_type;
	struct decode_tuple tuple = { &packet->src, &packet->dst, type, type, packet->ip_proto, false, 0 };

	for (size_t i = 0; i < sizeof(icmp_pairs) / sizeof(icmp_pairs[0]); i++)
		if (icmp_pairs[i].version == packet->ip_version &&
		    (icmp_pairs[i].request == type || icmp_pairs[i].reply == type)) {
			tuple.dport = icmp_pairs[i].request == type ? icmp_pairs[i].reply : icmp_pairs[i].request;
			tuple.icmp_id = icmp_pairs[i].has_id ? packet->icmp_id : 0;
			break;
		}
	decode_key(d, tuple, PACKET_FLOW);
}

/** RFC 792: an error quotes the header of the datagram it is about; the flow is that datagram's. */
static void
icmp_error_key(struct decode *d, struct cursor in)
{
	struct packet *packet = d->packet;
	bool v6 = packet->ip_version == 6;
	struct ip_addr src = { .halves = { 0 } }, dst = { .halves = { 0 } };
	struct decode_tuple tuple = { &dst, &src, 0, 0, 0, false, 0 }; /* the error travels against the quoted one */
	uint8_t first = cursor_u8(&in);
	const uint8_t *addresses;

	if (in.short_read || first >> 4 != packet->ip_version) {
		decode_event_set(packet, in.short_read ?
			(v6 ? DECODE_ICMPV6_IPV6_TRUNC_PKT : DECODE_ICMPV4_IPV4_TRUNC_PKT) :
			(v6 ? DECODE_ICMPV6_IPV6_UNKNOWN_VERSION : DECODE_ICMPV4_IPV4_UNKNOWN_VER));
		return;
	}
	cursor_skip(&in, v6 ? 5 : 8);
	tuple.ip_proto = cursor_u8(&in);
	cursor_skip(&in, v6 ? 1 : 2);
	addresses = cursor_take(&in, v6 ? 32 : 8);
	if (addresses == NULL) {
		decode_event_set(packet, v6 ? DECODE_ICMPV6_IPV6_TRUNC_PKT : DECODE_ICMPV4_IPV4_TRUNC_PKT);
		return;
	}
	memcpy(src.bytes, addresses, v6 ? 16 : 4);
	memcpy(dst.bytes, addresses + (v6 ? 16 : 4), v6 ? 16 : 4);
	if (!v6)
		cursor_skip(&in, (first & 0x0fu) * 4 > 20 ? (first & 0x0fu) * 4 - 20 : 0);
	if (tuple.ip_proto != IP_PROTO_TCP && tuple.ip_proto != IP_PROTO_UDP && tuple.ip_proto != IP_PROTO_SCTP)
		return;
	tuple.dport = cursor_be16(&in);
	tuple.sport = cursor_be16(&in);
	if (!in.short_read)
		decode_key(d, tuple, PACKET_FLOW_FIND);
}

/** Highest code of each assigned type: IANA icmp-parameters. -1: unassigned. */
static int
icmp_code_max(uint8_t type)
{
	static const struct {
		uint8_t type, code_max;
	} rows[] = {
		{ 0, 0 }, { 3, 15 }, { 4, 0 }, { 5, 3 }, { 6, 0 }, { 8, 0 }, { 9, 16 }, { 10, 0 }, { 11, 1 }, { 12, 2 },
		{ 13, 0 }, { 14, 0 }, { 15, 0 }, { 16, 0 }, { 17, 0 }, { 18, 0 }, { 30, 0 }, { 40, 5 }, { 42, 0 },
		{ 43, 4 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			return rows[i].code_max;
	return -1;
}

enum decode_layer
decode_icmp(struct decode *d)
{
	struct packet *packet = d->packet;
	size_t len = cursor_left(&d->in);
	const uint8_t *at = cursor_take(&d->in, ICMP_HEADER_LEN);
	int code_max;

	decode_count(d, PACKET_COUNTER_ICMPV4);
	if (packet->ip_version != 4)
		return decode_bad(d, DECODE_IPV6_ICMPV4);
	if (at == NULL)
		return decode_bad(d, DECODE_ICMPV4_PKT_TOO_SMALL);
	packet->icmp_type = at[0];
	packet->icmp_code = at[1];
	packet->icmp_id = (uint16_t)(at[4] << 8 | at[5]);
	packet->l4_len = ICMP_HEADER_LEN;
	packet->flags |= PACKET_L4;
	code_max = icmp_code_max(at[0]);
	if (code_max < 0)
		decode_event_set(packet, DECODE_ICMPV4_UNKNOWN_TYPE);
	else if (at[1] > code_max)
		decode_event_set(packet, DECODE_ICMPV4_UNKNOWN_CODE);
	if (l4_checksum_is_bad(d, at, len, false)) {
		packet->flags |= PACKET_L4_CHECKSUM_BAD;
		decode_count(d, PACKET_COUNTER_CHECKSUM_ICMP);
	}
	if (at[0] == 3 || at[0] == 4 || at[0] == 5 || at[0] == 11 || at[0] == 12)
		icmp_error_key(d, d->in);
	else
		icmp_key(d);
	return LAYER_DONE;
}

/** Type ranges of ICMPv6: IANA icmpv6-parameters. */
static void
icmpv6_check(struct packet *packet)
{
	static const uint8_t error_code_max[] = { 0, 8, 0, 1, 10 };
	uint8_t type = packet->icmp_type, code = packet->icmp_code;

	if (type == 100 || type == 101 || type == 200 || type == 201)
		decode_event_set(packet, DECODE_ICMPV6_EXPERIMENTATION_TYPE);
	else if (type == 0 || (type > 4 && type < 128) || (type > 161 && type < 255))
		decode_event_set(packet, DECODE_ICMPV6_UNASSIGNED_TYPE);
	else if (type == 127 || type == 255)
		decode_event_set(packet, DECODE_ICMPV6_UNKNOWN_TYPE);
	else if ((type <= 4 && code > error_code_max[type]) || (type >= 128 && type <= 137 && code != 0))
		decode_event_set(packet, DECODE_ICMPV6_UNKNOWN_CODE);
	if (((type >= 130 && type <= 132) || type == 143) && packet->ttl != 1)
		decode_event_set(packet, DECODE_ICMPV6_MLD_MESSAGE_WITH_INVALID_HL);
}

enum decode_layer
decode_icmpv6(struct decode *d)
{
	struct packet *packet = d->packet;
	size_t len = cursor_left(&d->in);
	const uint8_t *at = cursor_take(&d->in, ICMP_HEADER_LEN);

	decode_count(d, PACKET_COUNTER_ICMPV6);
	if (packet->ip_version != 6)
		return decode_bad(d, DECODE_IPV4_ICMPV6);
	if (at == NULL)
		return decode_bad(d, DECODE_ICMPV6_PKT_TOO_SMALL);
	packet->icmp_type = at[0];
	packet->icmp_code = at[1];
	packet->icmp_id = (uint16_t)(at[4] << 8 | at[5]);
	packet->l4_len = ICMP_HEADER_LEN;
	packet->flags |= PACKET_L4;
	icmpv6_check(packet);
	if (l4_checksum_is_bad(d, at, len, true)) {
		packet->flags |= PACKET_L4_CHECKSUM_BAD;
		decode_count(d, PACKET_COUNTER_CHECKSUM_ICMP);
	}
	if (at[0] < 128)
		icmp_error_key(d, d->in);
	else
		icmp_key(d);
	return LAYER_DONE;
}

/** The sources of a query, RFC 9776 4.1. @return an event, or DECODE_EVENT_COUNT: it is whole; in stands behind it */
static enum decode_event
igmp_query(struct cursor *in)
{
	uint16_t sources;

	cursor_skip(in, 6);
	sources = cursor_be16(in);
	cursor_skip(in, sources * 4u);
	return in->short_read ? DECODE_IGMP_V3_PKT_TOO_SMALL : DECODE_EVENT_COUNT;
}

/** The group records of a report, RFC 9776 4.2. As igmp_query(). */
static enum decode_event
igmp_report(struct cursor *in)
{
	uint16_t records;

	cursor_skip(in, 2);
	records = cursor_be16(in);
	for (uint16_t i = 0; i < records; i++) {
		if (cursor_left(in) < IGMP_RECORD_LEN)
			return DECODE_IGMP_V3_PKT_TOO_SMALL;
		cursor_skip(in, 1);
		uint8_t aux_words = cursor_u8(in);
		uint16_t sources = cursor_be16(in);

		cursor_skip(in, 4 + (aux_words + (uint32_t)sources) * 4);
		if (in->short_read)
			return DECODE_IGMP_MALFORMED;
	}
	return DECODE_EVENT_COUNT;
}

/** Which version a message is of: RFC 9776 4, 7.1. in stands behind type, code and checksum, then behind the message. */
static enum decode_event
igmp_walk(struct packet *packet, struct cursor *in, size_t len, uint8_t code)
{
	packet->igmp_version = IGMP_VERSION_NONE;
	switch (packet->icmp_type) {
	case 0x11:
		packet->igmp_version = len >= IGMP_QUERY_V3_LEN ? 3 : code == 0 ? 1 : 2;
		if (packet->igmp_version == 3)
			return igmp_query(in);
		break;
	case 0x12:
		packet->igmp_version = 1;
		break;
	case 0x16:
	case 0x17:
		packet->igmp_version = 2;
		break;
	case 0x22:
		packet->igmp_version = 3;
		return igmp_report(in);
	}
	cursor_skip(in, 4);
	return DECODE_EVENT_COUNT;
}

enum decode_layer
decode_igmp(struct decode *d)
{
	struct packet *packet = d->packet;
	const uint8_t *at = d->in.pos;
	size_t len = cursor_left(&d->in);
	struct cursor in = d->in;
	enum decode_event event;

	decode_count(d, PACKET_COUNTER_IGMP);
	if (len < IGMP_HEADER_LEN)
		return decode_bad(d, DECODE_IGMP_PKT_TOO_SMALL);
	packet->icmp_type = cursor_u8(&in);
	uint8_t code = cursor_u8(&in);

	cursor_skip(&in, 2);
	event = igmp_walk(packet, &in, len, code);
	if (event != DECODE_EVENT_COUNT)
		return decode_bad(d, event);
	packet->l4_len = (uint16_t)(len - cursor_left(&in));
	packet->flags |= PACKET_L4;
	if (l4_checksum_is_bad(d, at, len, false)) {
		packet->flags |= PACKET_L4_CHECKSUM_BAD;
		decode_count(d, PACKET_COUNTER_CHECKSUM_IGMP);
	}
	d->in = in;
	key_of_packet(d, true, 0, 0);
	return LAYER_DONE;
}

static void
sctp_walk_chunks(struct packet *packet, struct cursor in)
{
	while (cursor_left(&in) >= 4) {
		uint16_t len;

		cursor_skip(&in, 2);
		len = cursor_be16(&in);
		if (len < 4) {
			decode_event_set(packet, DECODE_SCTP_CHUNK_TOO_SMALL);
			return;
		}
		if (len - 4u > cursor_left(&in)) {
			decode_event_set(packet, DECODE_SCTP_CHUNK_TRUNC);
			return;
		}
		cursor_skip(&in, len - 4u);
		cursor_skip(&in, (4u - len % 4u) % 4u);
		if (packet->sctp_chunk_count++ == SCTP_CHUNKS_MAX)
			decode_event_set(packet, DECODE_SCTP_TOO_MANY_CHUNKS);
	}
}

enum decode_layer
decode_sctp(struct decode *d)
{
	struct packet *packet = d->packet;
	const uint8_t *at = cursor_take(&d->in, SCTP_HEADER_LEN);

	decode_count(d, PACKET_COUNTER_SCTP);
	if (at == NULL)
		return decode_bad(d, DECODE_SCTP_PKT_TOO_SMALL);
	packet->sport = (uint16_t)(at[0] << 8 | at[1]);
	packet->dport = (uint16_t)(at[2] << 8 | at[3]);
	packet->l4_len = SCTP_HEADER_LEN;
	packet->flags |= PACKET_L4;
	sctp_walk_chunks(packet, d->in);
	key_of_packet(d, false, packet->sport, packet->dport);
	return LAYER_DONE;
}

enum decode_layer
decode_esp(struct decode *d)
{
	struct packet *packet = d->packet;
	struct cursor in = d->in;
	uint32_t spi = cursor_be32(&in);

	cursor_skip(&in, 4);
	decode_count(d, PACKET_COUNTER_ESP);
	if (in.short_read)
		return decode_bad(d, DECODE_ESP_PKT_TOO_SMALL);
	d->in = in;
	packet->esp_spi = spi;
	packet->l4_len = 8;
	packet->flags |= PACKET_L4;
	key_of_packet(d, true, (uint16_t)(spi >> 16), (uint16_t)spi);
	return LAYER_DONE;
}
