/* What carries packets and frames without a word on what they are, which only the set-up of the tunnel said: MPLS (RFC 3032, 4385, 5586), L2TP
 * (RFC 2661, 3931). What begins there is told by its look. */
#include "lib/packet/decode.h"

enum {
	ETHER_TYPE_IPV4 = 0x0800,
	ETHER_TYPE_IPV6 = 0x86dd,
	ETHER_TYPE_ARP = 0x0806,
	ETHER_TYPE_PROFINET = 0x8892,
	ETHER_TYPE_MRP = 0x88e3,
	ETHER_TYPE_LLDP = 0x88cc,
	ETHER_TYPE_PTP = 0x88f7,
	ETHERNET_LEN = 14,
	ETHER_TYPE_MIN = 0x0600,
	IPV4_HEADER_LEN = 20,
	IPV6_HEADER_LEN = 40,
	TAGS_MAX = 4,
	LLC_BRIDGES = 0x4242, /* of spanning trees */
	LLC_SNAP = 0xaaaa,
	PPP_ADDRESS = 0xff03,
	PPP_IPV4 = 0x0021,
	PPP_IPV6 = 0x0057,
	MPLS_LABELS_MAX = 16,
	MPLS_BOTTOM = 0x100,
	MPLS_ASSOCIATED_CHANNEL = 13, /* RFC 5586 4.2 */
	L2TP_CONTROL = 0x8000,
	L2TP_LENGTH = 0x4000,
	L2TP_SEQUENCE = 0x0800,
	L2TP_OFFSET = 0x0200,
	L2TP_VERSION = 0x000f,
	L2TP_BEFORE_MAX = 12, /* a cookie of four or eight octets, a sublayer of four: RFC 3931 4.1, 4.6 */
};

/** 4 or 6: an IP packet that fits into what is left, and is all of it where whole; 0: none. */
static unsigned int
ip_looks(struct cursor in, bool whole)
{
	size_t left = cursor_left(&in), len;
	uint8_t first = cursor_u8(&in);
	unsigned int version = first >> 4;

	if (version == 4) {
		cursor_skip(&in, 1);
		len = cursor_be16(&in);
		if ((first & 0x0fu) < IPV4_HEADER_LEN / 4 || len < (first & 0x0fu) * 4)
			return 0;
	} else if (version == 6) {
		cursor_skip(&in, 3);
		len = IPV6_HEADER_LEN + (size_t)cursor_be16(&in);
	} else {
		return 0;
	}
	return in.short_read || len > left || (whole && len != left) ? 0 : version;
}

/** What stands behind a length in place of an EtherType: IEEE 802.2. */
static bool
llc_looks(uint16_t len, struct cursor in)
{
	uint16_t saps;

	if (len > cursor_left(&in))
		return false;
	saps = cursor_be16(&in);
	return !in.short_read && (saps == LLC_BRIDGES || saps == LLC_SNAP) && cursor_u8(&in) == 3;
}

static bool
ethernet_looks(const struct packet_decoder *decoder, struct cursor in)
{
	uint16_t type;

	cursor_skip(&in, ETHERNET_LEN - 2);
	type = cursor_be16(&in);
	for (unsigned int i = 0; i < TAGS_MAX && decode_tag_len(type) > 0; i++) {
		cursor_skip(&in, decode_tag_len(type));
		type = cursor_be16(&in);
	}
	if (in.short_read)
		return false;
	if (type < ETHER_TYPE_MIN)
		return llc_looks(type, in);
	switch (type) {
	case ETHER_TYPE_IPV4: return ip_looks(in, false) == 4;
	case ETHER_TYPE_IPV6: return ip_looks(in, false) == 6;
	case ETHER_TYPE_ARP: return cursor_be32(&in) == (1u << 16 | ETHER_TYPE_IPV4);
	case ETHER_TYPE_PROFINET:
	case ETHER_TYPE_MRP:
	case ETHER_TYPE_LLDP:
	case ETHER_TYPE_PTP: return true;
	default: return decoder->ether_kinds[type] != LAYER_DONE;
	}
}

static bool
ppp_looks(struct cursor in)
{
	uint16_t protocol = cursor_be16(&in);

	if (protocol == PPP_ADDRESS)
		protocol = cursor_be16(&in);
	return (protocol == PPP_IPV4 && ip_looks(in, false) == 4) || (protocol == PPP_IPV6 && ip_looks(in, false) == 6);
}

uint16_t
decode_looks_like(const struct packet_decoder *decoder, struct cursor in, unsigned int kinds)
{
	if ((kinds & LOOKS_IP) != 0 && ip_looks(in, true) != 0)
		return PACKET_LINK_RAW;
	if ((kinds & LOOKS_ETHERNET) != 0 && ethernet_looks(decoder, in))
		return PACKET_LINK_ETHERNET;
	return (kinds & LOOKS_PPP) != 0 && ppp_looks(in) ? PACKET_LINK_PPP : 0;
}

/** A pseudowire's frame, with a control word (RFC 4385 3), mostly 0, or without (RFC 4448 4.4.1): addresses that begin with 0, 4 or 6 look like
 * something else. */
static bool
mpls_frame(struct decode *d, uint8_t nibble)
{
	struct cursor behind = d->in;
	uint32_t word = cursor_be32(&behind);

	if (word != 0 && ip_looks(d->in, false) == 0 && ethernet_looks(d->decoder, d->in))
		return true;
	if (nibble == 0)
		d->in = behind;
	return nibble == 0;
}

/** What the bottom label or the payload says it is. */
static enum decode_layer
mpls_payload(struct decode *d, uint32_t label)
{
	struct cursor in = d->in;
	uint8_t nibble = cursor_u8(&in) >> 4;

	if (in.short_read)
		return decode_bad(d, DECODE_MPLS_PKT_TOO_SMALL);
	if (label == 1)
		return decode_bad(d, DECODE_MPLS_BAD_LABEL_ROUTER_ALERT);
	if (label == 3)
		return decode_bad(d, DECODE_MPLS_BAD_LABEL_IMPLICIT_NULL);
	if (label >= 16 && mpls_frame(d, nibble))
		return LAYER_ETHERNET;
	if (nibble == 1 && (label == MPLS_ASSOCIATED_CHANNEL || label >= 16))
		return LAYER_DONE; /* what the ends of a path tell each other: RFC 4385 5, 5586 */
	if (label >= 4 && label < 16)
		return decode_bad(d, DECODE_MPLS_BAD_LABEL_RESERVED);
	if (label == 0 || nibble == 4) {
		d->packet->ether_type = ETHER_TYPE_IPV4;
		return LAYER_IPV4;
	}
	if (label == 2 || nibble == 6) {
		d->packet->ether_type = ETHER_TYPE_IPV6;
		return LAYER_IPV6;
	}
	return decode_bad(d, DECODE_MPLS_UNKNOWN_PAYLOAD_TYPE);
}

enum decode_layer
decode_mpls(struct decode *d)
{
	decode_count(d, PACKET_COUNTER_MPLS);
	for (unsigned int i = 0; i < MPLS_LABELS_MAX; i++) {
		uint32_t entry = cursor_be32(&d->in);

		if (d->in.short_read)
			return decode_bad(d, DECODE_MPLS_HEADER_TOO_SMALL);
		if ((entry & MPLS_BOTTOM) != 0)
			return mpls_payload(d, entry >> 12);
	}
	return decode_bad(d, DECODE_TOO_MANY_LAYERS);
}

static enum decode_layer
l2tp_inner(struct decode *d, struct cursor in, uint16_t link)
{
	decode_count(d, PACKET_COUNTER_L2TP);
	if (decode_append(d, in.pos, (uint32_t)cursor_left(&in), link, PACKET_SOURCE_L2TP) != NULL)
		d->packet->flags |= PACKET_TUNNEL;
	return LAYER_DONE;
}

/** RFC 2661 3.1: a data message, whose frame is PPP's without its check sequence. */
static enum decode_layer
l2tp_v2(struct decode *d, struct cursor in, uint16_t flags)
{
	size_t whole = cursor_left(&d->in);
	uint16_t tunnel_id, session_id;

	if ((flags & L2TP_LENGTH) != 0) {
		uint16_t len = cursor_be16(&in);

		if (len > whole || len < whole - cursor_left(&in))
			return LAYER_DONE;
		in = cursor_of(in.pos, cursor_left(&in) - (whole - len));
	}
	tunnel_id = cursor_be16(&in);
	session_id = cursor_be16(&in);
	if ((flags & L2TP_SEQUENCE) != 0)
		cursor_skip(&in, 4);
	if ((flags & L2TP_OFFSET) != 0)
		cursor_skip(&in, cursor_be16(&in));
	if (in.short_read || tunnel_id == 0 || session_id == 0 || cursor_left(&in) == 0)
		return LAYER_DONE; /* 0 is of control messages alone */
	return l2tp_inner(d, in, PACKET_LINK_PPP);
}

/** RFC 3931 4.1: behind a session's number what the ends agreed on, a cookie and a sublayer. */
static enum decode_layer
l2tp_v3(struct decode *d, struct cursor in)
{
	static const unsigned int kinds[] = { LOOKS_ETHERNET, LOOKS_PPP, LOOKS_IP }; /* by what else may look like it */
	uint32_t session_id = cursor_be32(&in);

	if (in.short_read || session_id == 0)
		return LAYER_DONE;
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct cursor at = in;

		for (uint32_t before = 0; before <= L2TP_BEFORE_MAX; before += 4, cursor_skip(&at, 4)) {
			uint16_t link = decode_looks_like(d->decoder, at, kinds[i]);

			if (link != 0)
				return l2tp_inner(d, at, link);
		}
	}
	return LAYER_DONE;
}

enum decode_layer
decode_l2tp_udp(struct decode *d)
{
	struct cursor in = d->in;
	uint16_t flags = cursor_be16(&in);

	if (in.short_read || (flags & L2TP_CONTROL) != 0)
		return LAYER_DONE;
	if ((flags & L2TP_VERSION) == 2)
		return l2tp_v2(d, in, flags);
	cursor_skip(&in, 2);
	return (flags & L2TP_VERSION) == 3 ? l2tp_v3(d, in) : LAYER_DONE;
}

/* RFC 3931 4.1.1, right in IP. */
enum decode_layer
decode_l2tp(struct decode *d)
{
	return l2tp_v3(d, d->in);
}
