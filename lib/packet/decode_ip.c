/* IPv4 (RFC 791), IPv6 and its extension headers (RFC 8200), AH (RFC 4302). */
#include "lib/packet/checksum.h"
#include "lib/packet/decode.h"

#include <string.h>

enum {
	IPV4_HEADER_LEN = 20,
	IPV4_MORE_FRAGMENTS = 0x2000,
	IPV4_OFFSET_MASK = 0x1fff,
	IPV6_HEADER_LEN = 40,
	IPV6_EXTENSIONS_MAX = 16,
	IP_DATAGRAM_MAX = 65535,
	AH_LEN_MIN = 12, /* with no check value */
};

/** IANA ip-parameters: what each known option sets, and the bounds of its length. */
static const struct {
	uint8_t type;
	uint8_t len_min, len_max;
	uint16_t bit;
} ipv4_options[] = {
	{ 7, 3, 40, IP_OPTION_RR },     { 68, 4, 40, IP_OPTION_TS },    { 25, 8, 8, IP_OPTION_QS },
	{ 130, 3, 40, IP_OPTION_SEC },  { 131, 3, 40, IP_OPTION_LSRR }, { 133, 3, 40, IP_OPTION_ESEC },
	{ 134, 6, 40, IP_OPTION_CIPSO }, { 136, 4, 4, IP_OPTION_SATID }, { 137, 3, 40, IP_OPTION_SSRR },
	{ 148, 4, 4, IP_OPTION_RTRALT },
};

static void
ipv4_option(struct packet *packet, uint8_t type, uint8_t len)
{
	for (size_t i = 0; i < sizeof(ipv4_options) / sizeof(ipv4_options[0]); i++) {
		if (ipv4_options[i].type != type)
			continue;
		if (len < ipv4_options[i].len_min || len > ipv4_options[i].len_max)
			decode_event_set(packet, DECODE_IPV4_OPT_INVALID_LEN);
		else if ((packet->ip_options & ipv4_options[i].bit) != 0)
			decode_event_set(packet, DECODE_IPV4_OPT_DUPLICATE);
		packet->ip_options |= ipv4_options[i].bit;
		return;
	}
	packet->ip_options |= IP_OPTION_OTHER;
	decode_event_set(packet, DECODE_IPV4_OPT_UNKNOWN);
}

static void
ipv4_parse_options(struct packet *packet, struct cursor in)
{
	while (cursor_left(&in) > 0) {
		uint8_t type = cursor_u8(&in);

		if (type == 0) {
			packet->ip_options |= IP_OPTION_EOL;
			return;
		}
		if (type == 1) {
			packet->ip_options |= IP_OPTION_NOP;
			continue;
		}
		if (cursor_left(&in) == 0) {
			decode_event_set(packet, DECODE_IPV4_OPT_EOL_REQUIRED);
			return;
		}
		uint8_t len = cursor_u8(&in);

		if (len < 2 || len - 2u > cursor_left(&in)) {
			decode_event_set(packet, DECODE_IPV4_OPT_INVALID_LEN);
			return;
		}
		cursor_skip(&in, len - 2u);
		ipv4_option(packet, type, len);
	}
}

static enum decode_layer
ipv4_fragment(struct decode *d, const uint8_t *header, uint32_t header_len, uint16_t fragment_field)
{
	struct packet *packet = d->packet;
	struct defrag_fragment fragment = {
		.id = (uint32_t)header[4] << 8 | header[5],
		.offset = (uint32_t)(fragment_field & IPV4_OFFSET_MASK) * 8,
		.more = (fragment_field & IPV4_MORE_FRAGMENTS) != 0,
		.next_proto = packet->ip_proto,
		.next_proto_off = 9,
		.header = header,
		.header_len = header_len,
		.data = d->in.pos,
		.len = (uint32_t)cursor_left(&d->in),
	};

	packet->flags |= PACKET_FRAGMENT;
	decode_count(d, PACKET_COUNTER_FRAGMENTS_IPV4);
	if (fragment.offset + fragment.len > IP_DATAGRAM_MAX)
		decode_event_set(packet, DECODE_IPV4_FRAG_PKT_TOO_LARGE);
	else
		defrag_insert(d, &fragment);
	cursor_skip(&d->in, cursor_left(&d->in)); /* its bytes are the whole datagram's: no payload of their own */
	return LAYER_DONE;
}

/** Four bytes in wire order, widened: stored as one half, they are read back as one. */
static inline uint64_t
ipv4_address(const uint8_t *at)
{
	uint32_t address;

	memcpy(&address, at, sizeof(address));
	return address;
}

enum decode_layer
decode_ipv4(struct decode *d)
{
	struct packet *packet = d->packet;
	const uint8_t *header = d->in.pos;
	size_t left = cursor_left(&d->in);
	uint16_t total_len, fragment_field;
	uint32_t header_len;

	decode_count(d, PACKET_COUNTER_IPV4);
	packet->l3_off = decode_offset(d);
	if (left < IPV4_HEADER_LEN)
		return decode_bad(d, DECODE_IPV4_PKT_TOO_SMALL);
	if (header[0] >> 4 != 4)
		return decode_bad(d, DECODE_IPV4_WRONG_IP_VERSION);
	header_len = (header[0] & 0x0fu) * 4;
	if (header_len < IPV4_HEADER_LEN)
		return decode_bad(d, DECODE_IPV4_HLEN_TOO_SMALL);
	total_len = (uint16_t)(header[2] << 8 | header[3]);
	if (total_len < header_len)
		return decode_bad(d, DECODE_IPV4_IPLEN_SMALLER_THAN_HLEN);
	if (total_len > left)
		return decode_bad(d, DECODE_IPV4_TRUNC_PKT);
	decode_limit(d, total_len);
	cursor_skip(&d->in, header_len);
	packet->flags |= PACKET_IP;
	packet->ip_version = 4;
	packet->l3_len = (uint16_t)header_len;
	packet->ttl = header[8];
	packet->ip_proto = header[9];
	packet->src.halves[0] = ipv4_address(header + 12);
	packet->dst.halves[0] = ipv4_address(header + 16);
	if (header_len > IPV4_HEADER_LEN)
		ipv4_parse_options(packet, cursor_of(header + IPV4_HEADER_LEN, header_len - IPV4_HEADER_LEN));
	if (d->decoder->config.checksum_validation && !packet_is(packet, PACKET_L3_CHECKSUM_GOOD) &&
	    checksum_fold(checksum_add(0, header, header_len)) != 0xffff) {
		packet->flags |= PACKET_L3_CHECKSUM_BAD;
		decode_count(d, PACKET_COUNTER_CHECKSUM_IPV4);
	}
	fragment_field = (uint16_t)(header[6] << 8 | header[7]);
	if ((fragment_field & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK)) != 0)
		return ipv4_fragment(d, header, header_len, fragment_field);
	return decode_ip_proto(d);
}

/** RFC 4302 2, in IPv4: what it vouches for is behind it as it would be without. Several are bounded as all layers are. */
enum decode_layer
decode_ah(struct decode *d)
{
	struct packet *packet = d->packet;
	struct cursor peek = d->in;
	uint8_t next = cursor_u8(&peek);
	size_t len = (cursor_u8(&peek) + 2u) * 4;

	if (len < AH_LEN_MIN || cursor_take(&d->in, len) == NULL)
		return decode_bad(d, DECODE_AH_PKT_TOO_SMALL);
	packet->ip_proto = next;
	packet->l3_len += (uint16_t)len;
	return LAYER_IP_PROTO;
}

/** Hop-by-hop and destination options, RFC 8200 4.2. */
static void
ipv6_parse_options(struct packet *packet, struct cursor in, bool hop_by_hop)
{
	unsigned int others = 0;

	while (cursor_left(&in) > 0) {
		uint8_t type = cursor_u8(&in);
		uint8_t len;

		if (type == 0)
			continue;
		len = cursor_u8(&in);
		cursor_skip(&in, len);
		if (in.short_read) {
			decode_event_set(packet, DECODE_IPV6_EXTHDR_INVALID_OPTLEN);
			return;
		}
		if (type == 1) {
			if (len == 0)
				decode_event_set(packet, DECODE_IPV6_ZERO_LEN_PADN);
			continue;
		}
		others++;
		/* tunnel limit, router alert, quick start, home address, jumbo payload: IANA ipv6-parameters */
		if (type != 0x04 && type != 0x05 && type != 0x26 && type != 0xc9 && type != 0xc2 && type != 0x07)
			decode_event_set(packet, hop_by_hop ? DECODE_IPV6_HOPOPTS_UNKNOWN_OPT :
				DECODE_IPV6_DSTOPTS_UNKNOWN_OPT);
		else if ((type == 0x05 && len != 2) || (type == 0xc2 && len != 4) || (type == 0xc9 && len != 16))
			decode_event_set(packet, DECODE_IPV6_EXTHDR_INVALID_OPTLEN);
	}
	if (others == 0)
		decode_event_set(packet, hop_by_hop ? DECODE_IPV6_HOPOPTS_ONLY_PADDING :
			DECODE_IPV6_DSTOPTS_ONLY_PADDING);
}

/** How often each extension header may occur, and the event of one too many. */
static const struct {
	uint8_t proto;
	uint8_t max;
	uint8_t event;
} ipv6_extensions[] = {
	{ IP_PROTO_HOPOPTS, 1, DECODE_IPV6_EXTHDR_DUPL_HH },
	{ IP_PROTO_ROUTING, 1, DECODE_IPV6_EXTHDR_DUPL_RH },
	{ IP_PROTO_FRAGMENT, 1, DECODE_IPV6_EXTHDR_DUPL_FH },
	{ IP_PROTO_DSTOPTS, 2, DECODE_IPV6_EXTHDR_DUPL_DH },
	{ IP_PROTO_AH, 1, DECODE_IPV6_EXTHDR_DUPL_AH },
	{ IP_PROTO_MOBILITY, 1, DECODE_EVENT_COUNT },
	{ IP_PROTO_HIP, 1, DECODE_EVENT_COUNT },
	{ IP_PROTO_SHIM6, 1, DECODE_EVENT_COUNT },
};

enum { IPV6_EXTENSION_KINDS = sizeof(ipv6_extensions) / sizeof(ipv6_extensions[0]) };

static int
ipv6_extension_find(uint8_t proto)
{
	for (int i = 0; i < IPV6_EXTENSION_KINDS; i++)
		if (ipv6_extensions[i].proto == proto)
			return i;
	return -1;
}

/** @return whether the datagram goes on behind this header */
static bool
ipv6_fragment(struct decode *d, const uint8_t *ip_header, const uint8_t *extension, uint32_t next_proto_off)
{
	struct packet *packet = d->packet;
	uint16_t field = (uint16_t)(extension[2] << 8 | extension[3]);
	struct defrag_fragment fragment = {
		.id = (uint32_t)extension[4] << 24 | (uint32_t)extension[5] << 16 | (uint32_t)extension[6] << 8 |
			extension[7],
		.offset = field & 0xfff8u,
		.more = (field & 1) != 0,
		.next_proto = extension[0],
		.next_proto_off = next_proto_off,
		.header = ip_header,
		.header_len = (uint32_t)(extension - ip_header),
		.data = d->in.pos,
		.len = (uint32_t)cursor_left(&d->in),
	};

	if (extension[1] != 0 || (field & 6) != 0)
		decode_event_set(packet, DECODE_IPV6_FH_NON_ZERO_RESERVED_FIELD);
	if (fragment.offset == 0 && !fragment.more) {
		decode_event_set(packet, DECODE_IPV6_EXTHDR_USELESS_FH);
		return true;
	}
	packet->flags |= PACKET_FRAGMENT;
	packet->ip_proto = extension[0];
	decode_count(d, PACKET_COUNTER_FRAGMENTS_IPV6);
	if (fragment.more && fragment.len % 8 != 0)
		decode_event_set(packet, DECODE_IPV6_FRAG_INVALID_LENGTH);
	else if (fragment.offset + fragment.len > IP_DATAGRAM_MAX)
		decode_event_set(packet, DECODE_IPV6_FRAG_PKT_TOO_LARGE);
	else
		defrag_insert(d, &fragment);
	packet->l3_len = (uint16_t)(d->in.pos - ip_header);
	cursor_skip(&d->in, cursor_left(&d->in));
	return false;
}

/** Reads one extension header. @return its bytes; NULL when it is cut off */
static const uint8_t *
ipv6_extension_take(struct decode *d, uint8_t proto, uint8_t *next, size_t *len)
{
	struct cursor peek = d->in;
	uint8_t units;

	*next = cursor_u8(&peek);
	units = cursor_u8(&peek);
	*len = proto == IP_PROTO_FRAGMENT ? 8 : proto == IP_PROTO_AH ? (units + 2u) * 4 : (units + 1u) * 8;
	return cursor_take(&d->in, *len);
}

static void
ipv6_extension_check(struct packet *packet, uint8_t proto, const uint8_t *at, size_t len)
{
	struct cursor in = cursor_of(at, len);

	cursor_skip(&in, 2);
	if (proto == IP_PROTO_HOPOPTS || proto == IP_PROTO_DSTOPTS)
		ipv6_parse_options(packet, in, proto == IP_PROTO_HOPOPTS);
	else if (proto == IP_PROTO_ROUTING && cursor_u8(&in) == 0)
		decode_event_set(packet, DECODE_IPV6_RH_TYPE_0);
	else if (proto == IP_PROTO_AH && cursor_be16(&in) != 0)
		decode_event_set(packet, DECODE_IPV6_EXTHDR_AH_RES_NOT_NULL);
}

/** Walks the extension headers. @return LAYER_IP_PROTO with packet->ip_proto set, LAYER_DONE for a fragment */
static enum decode_layer
ipv6_walk(struct decode *d, const uint8_t *header)
{
	struct packet *packet = d->packet;
	uint8_t seen[IPV6_EXTENSION_KINDS] = { 0 };
	uint32_t next_proto_off = 6;
	uint8_t proto = header[6];

	for (unsigned int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		const uint8_t *at = d->in.pos;
		int kind = ipv6_extension_find(proto);
		uint8_t next;
		size_t len;

		packet->ip_proto = proto;
		if (kind < 0)
			break;
		if (ipv6_extension_take(d, proto, &next, &len) == NULL)
			return decode_bad(d, DECODE_IPV6_TRUNC_EXTHDR);
		if (++seen[kind] > ipv6_extensions[kind].max && ipv6_extensions[kind].event < DECODE_EVENT_COUNT)
			decode_event_set(packet, ipv6_extensions[kind].event);
		if (proto == IP_PROTO_FRAGMENT) {
			if (!ipv6_fragment(d, header, at, next_proto_off))
				return LAYER_DONE;
		} else {
			ipv6_extension_check(packet, proto, at, len);
		}
		next_proto_off = (uint32_t)(at - header);
		proto = next;
	}
	packet->l3_len = (uint16_t)(d->in.pos - header);
	if (packet->l3_len > IPV6_HEADER_LEN && packet->ip_proto != IP_PROTO_NONE && cursor_left(&d->in) < 2)
		return decode_bad(d, DECODE_IPV6_TRUNC_EXTHDR);
	if (packet->ip_proto == IP_PROTO_NONE && cursor_left(&d->in) > 0)
		decode_event_set(packet, DECODE_IPV6_DATA_AFTER_NONE_HEADER);
	return LAYER_IP_PROTO;
}

enum decode_layer
decode_ipv6(struct decode *d)
{
	struct packet *packet = d->packet;
	const uint8_t *header = cursor_take(&d->in, IPV6_HEADER_LEN);
	uint16_t payload_len;

	decode_count(d, PACKET_COUNTER_IPV6);
	if (header == NULL)
		return decode_bad(d, DECODE_IPV6_PKT_TOO_SMALL);
	packet->l3_off = (uint16_t)(header - packet->data);
	if (header[0] >> 4 != 6)
		return decode_bad(d, DECODE_IPV6_WRONG_IP_VERSION);
	payload_len = (uint16_t)(header[4] << 8 | header[5]);
	if (payload_len > cursor_left(&d->in))
		return decode_bad(d, DECODE_IPV6_TRUNC_PKT);
	decode_limit(d, payload_len);
	packet->flags |= PACKET_IP;
	packet->ip_version = 6;
	packet->l3_len = IPV6_HEADER_LEN;
	packet->ttl = header[7];
	memcpy(packet->src.bytes, header + 8, 16);
	memcpy(packet->dst.bytes, header + 24, 16);
	return ipv6_walk(d, header);
}
