/* What carries other packets: GRE (RFC 2784, 2890, 1701, 2637), ERSPAN, IP in IP (RFC 2003, 2473, 4213), NSH (RFC 8300), and over
 * UDP VXLAN (RFC 7348, draft-ietf-nvo3-vxlan-gpe), Geneve (RFC 8926), Teredo (RFC 4380), GRE (RFC 8086), GTP-U (3GPP TS 29.281). */
#include "lib/packet/decode.h"

enum {
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000,
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	GRE_STRICT_ROUTE = 0x0800,
	GRE_RECURSION = 0x0700,
	GRE_FLAGS_V0 = 0x00f8,
	GRE_ACK_V1 = 0x0080,
	GRE_FLAGS_V1 = 0x0078,
	GRE_VERSION = 0x0007,
	GRE_PROTO_PPP = 0x880b,
	GRE_PROTO_ERSPAN2 = 0x88be,
	GRE_PROTO_ERSPAN3 = 0x22eb,
	GRE_PROTO_WCCP = 0x883e,
	GRE_ROUTES_MAX = 32,
	WCCP_REDIRECT_LEN = 4,
	ERSPAN_FRAME_TYPE = 0x7c00,
	ERSPAN_FRAME_IP = 2 << 10,
	ETHER_TYPE_IPV4 = 0x0800,
	ETHER_TYPE_IPV6 = 0x86dd,
	ETHER_TYPE_ARP = 0x0806,
	ETHER_TYPE_VLAN = 0x8100,
	ETHER_TYPE_BRIDGING = 0x6558,
	IPV4_HEADER_LEN = 20,
	IPV6_HEADER_LEN = 40,
	VXLAN_HEADER_LEN = 8,
	VXLAN_FLAG_VNI = 0x08,
	GPE_FLAG_NEXT = 0x04,
	GPE_FLAG_OAM = 0x01,
	GPE_VERSION = 0x30,
	GTP_VERSION_1 = 0x30, /* and GTP, not GTP' */
	GTP_VERSION = 0xf0,
	GTP_FLAGS_MORE = 0x07,
	GTP_FLAG_EXTENSIONS = 0x04,
	GTP_PDU = 255,
	GTP_EXTENSIONS_MAX = 16,
	GENEVE_HEADER_LEN = 8,
	NSH_HEADER_LEN = 8,
	NSH_LEN_TYPE_1 = 24,
};

/** Source route entries, RFC 1701. */
static bool
gre_skip_routes(struct cursor *in)
{
	for (unsigned int i = 0; i < GRE_ROUTES_MAX; i++) {
		uint16_t family = cursor_be16(in);
		uint8_t len;

		cursor_skip(in, 1);
		len = cursor_u8(in);
		if (in->short_read)
			return false;
		if (family == 0 && len == 0)
			return true;
		cursor_skip(in, len);
	}
	return false;
}

/** Rules of RFC 2637 for version 1, of RFC 2784 for version 0. @return DECODE_EVENT_COUNT when none is broken */
static enum decode_event
gre_check(uint16_t flags, uint16_t proto)
{
	static const struct {
		uint16_t flags;
		enum decode_event event;
	} forbidden[2][6] = {
		{ { GRE_RECURSION, DECODE_GRE_VERSION0_RECUR }, { GRE_FLAGS_V0, DECODE_GRE_VERSION0_FLAGS } },
		{ { GRE_CHECKSUM, DECODE_GRE_VERSION1_CHKSUM }, { GRE_ROUTING, DECODE_GRE_VERSION1_ROUTE },
			{ GRE_STRICT_ROUTE, DECODE_GRE_VERSION1_SSR }, { GRE_RECURSION, DECODE_GRE_VERSION1_RECUR },
			{ GRE_FLAGS_V1, DECODE_GRE_VERSION1_FLAGS } },
	};
	unsigned int version = flags & GRE_VERSION;

	if (version > 1)
		return DECODE_GRE_WRONG_VERSION;
	for (unsigned int i = 0; i < 6; i++)
		if ((flags & forbidden[version][i].flags) != 0)
			return forbidden[version][i].event;
	if (version == 1 && proto != GRE_PROTO_PPP)
		return DECODE_GRE_VERSION1_WRONG_PROTOCOL;
	if (version == 1 && (flags & GRE_KEY) == 0)
		return DECODE_GRE_VERSION1_NO_KEY;
	return DECODE_EVENT_COUNT;
}

/** ERSPAN types I (no header of its own), II and III: draft-foschiano-erspan. */
static enum decode_layer
erspan(struct decode *d, uint16_t flags, uint16_t proto)
{
	struct packet *packet = d->packet;
	enum packet_link link = PACKET_LINK_ETHERNET;
	uint16_t first;

	decode_count(d, PACKET_COUNTER_ERSPAN);
	if (proto == GRE_PROTO_ERSPAN2 && (flags & GRE_SEQUENCE) == 0) {
		if (!d->decoder->config.erspan1)
			return decode_bad(d, DECODE_ERSPAN_UNSUPPORTED_VERSION);
		return decode_inner(d, PACKET_LINK_ETHERNET, PACKET_SOURCE_ERSPAN);
	}
	first = cursor_be16(&d->in);
	if (proto == GRE_PROTO_ERSPAN3) {
		uint16_t last;

		cursor_skip(&d->in, 8);
		last = cursor_be16(&d->in);
		if ((last & 1) != 0)
			cursor_skip(&d->in, 8); /* platform specific subheader */
		if ((last & ERSPAN_FRAME_TYPE) == ERSPAN_FRAME_IP)
			link = PACKET_LINK_RAW;
	} else {
		cursor_skip(&d->in, 6);
	}
	if (d->in.short_read)
		return decode_bad(d, DECODE_ERSPAN_HEADER_TOO_SMALL);
	if (first >> 12 != (proto == GRE_PROTO_ERSPAN3 ? 2 : 1))
		return decode_bad(d, DECODE_ERSPAN_UNSUPPORTED_VERSION);
	if ((first & 0x0fff) != 0) {
		if (packet->vlan_count == PACKET_VLAN_MAX)
			return decode_bad(d, DECODE_ERSPAN_TOO_MANY_VLAN_LAYERS);
		packet->vlan[packet->vlan_count++] = first & 0x0fff;
	}
	return decode_inner(d, link, PACKET_SOURCE_ERSPAN);
}

/** What IP packet begins here, 4 or 6; 0: none, as far as the front of its header says. */
static unsigned int
ip_version_at(struct cursor in)
{
	uint8_t first = cursor_u8(&in);

	return in.short_read ? 0 : first >> 4 == 4 && (first & 0x0f) >= IPV4_HEADER_LEN / 4 ? 4 : first >> 4 == 6 ? 6 : 0;
}

/* draft-wilson-wrec-wccp-v2-01 4.12: the packet stands behind a redirect header, of the first version of WCCP behind none. Of the header's first
 * octet two bits may be set, so that it begins no IP packet. */
static enum decode_layer
wccp(struct decode *d)
{
	if (ip_version_at(d->in) == 0)
		cursor_skip(&d->in, WCCP_REDIRECT_LEN);
	if (d->in.short_read || cursor_left(&d->in) == 0)
		return decode_bad(d, DECODE_GRE_VERSION0_HDR_TOO_BIG);
	decode_count(d, PACKET_COUNTER_WCCP);
	return decode_inner(d, PACKET_LINK_RAW, PACKET_SOURCE_GRE);
}

enum decode_layer
decode_gre(struct decode *d)
{
	uint16_t flags = cursor_be16(&d->in);
	uint16_t proto = cursor_be16(&d->in);
	enum decode_event event = gre_check(flags, proto);
	bool v1 = (flags & GRE_VERSION) == 1;

	decode_count(d, PACKET_COUNTER_GRE);
	if (d->in.short_read)
		return decode_bad(d, DECODE_GRE_PKT_TOO_SMALL);
	if (event != DECODE_EVENT_COUNT)
		return decode_bad(d, event);
	if ((flags & (GRE_CHECKSUM | GRE_ROUTING)) != 0)
		cursor_skip(&d->in, 4);
	if ((flags & GRE_KEY) != 0)
		cursor_skip(&d->in, 4);
	if ((flags & GRE_SEQUENCE) != 0)
		cursor_skip(&d->in, 4);
	if (v1 && (flags & GRE_ACK_V1) != 0)
		cursor_skip(&d->in, 4);
	if (d->in.short_read)
		return decode_bad(d, v1 ? DECODE_GRE_VERSION1_HDR_TOO_BIG : DECODE_GRE_VERSION0_HDR_TOO_BIG);
	if ((flags & GRE_ROUTING) != 0 && !gre_skip_routes(&d->in))
		return decode_bad(d, DECODE_GRE_VERSION0_MALFORMED_SRE_HDR);
	if (proto == ETHER_TYPE_IPV4 || proto == ETHER_TYPE_IPV6)
		return decode_inner(d, PACKET_LINK_RAW, PACKET_SOURCE_GRE);
	if (proto == ETHER_TYPE_BRIDGING)
		return decode_inner(d, PACKET_LINK_ETHERNET, PACKET_SOURCE_GRE);
	if (proto == GRE_PROTO_PPP && cursor_left(&d->in) > 0)
		return decode_inner(d, PACKET_LINK_PPP, PACKET_SOURCE_GRE);
	if ((proto == ETHER_TYPE_ARP || proto == ETHER_TYPE_VLAN) && (flags & ~GRE_VERSION) == 0) {
		/* without options the EtherType lies right before what it names */
		if (decode_append(d, d->in.pos - 2, (uint32_t)cursor_left(&d->in) + 2, PACKET_LINK_ETHER_TYPE,
			PACKET_SOURCE_GRE) != NULL)
			d->packet->flags |= PACKET_TUNNEL;
		return LAYER_DONE;
	}
	if (proto == GRE_PROTO_ERSPAN2 || proto == GRE_PROTO_ERSPAN3)
		return erspan(d, flags, proto);
	return proto == GRE_PROTO_WCCP ? wccp(d) : LAYER_DONE;
}

enum decode_layer
decode_ipip(struct decode *d)
{
	struct packet *packet = d->packet;
	bool inner_v6 = packet->ip_proto == IP_PROTO_IPV6;
	bool outer_v6 = packet->ip_version == 6;
	struct cursor in = d->in;
	uint8_t version = cursor_u8(&in) >> 4;

	if (outer_v6 && cursor_left(&d->in) < (inner_v6 ? IPV6_HEADER_LEN : IPV4_HEADER_LEN))
		return decode_bad(d, inner_v6 ? DECODE_IPV6_IPV6_IN_IPV6_TOO_SMALL : DECODE_IPV6_IPV4_IN_IPV6_TOO_SMALL);
	if (outer_v6 && version != (inner_v6 ? 6 : 4))
		return decode_bad(d, inner_v6 ? DECODE_IPV6_IPV6_IN_IPV6_WRONG_VERSION :
			DECODE_IPV6_IPV4_IN_IPV6_WRONG_VERSION);
	if (outer_v6) {
		decode_count(d, inner_v6 ? PACKET_COUNTER_IPV6_IN_IPV6 : PACKET_COUNTER_IPV4_IN_IPV6);
		return decode_inner(d, PACKET_LINK_RAW, PACKET_SOURCE_IPV6_TUNNEL);
	}
	decode_count(d, inner_v6 ? PACKET_COUNTER_IPV6_IN_IPV4 : PACKET_COUNTER_IPV4_IN_IPV4);
	return decode_inner(d, PACKET_LINK_RAW, PACKET_SOURCE_IPV4_TUNNEL);
}

/** By the next protocol of a service header: RFC 8300 2.2, IANA nsh-parameters. */
static const struct {
	uint16_t ether_type;
	uint8_t layer;
} nsh_next[] = {
	[1] = { ETHER_TYPE_IPV4, LAYER_IPV4 },
	[2] = { ETHER_TYPE_IPV6, LAYER_IPV6 },
	[3] = { 0, LAYER_ETHERNET },
	[5] = { 0, LAYER_MPLS },
};

/* RFC 8300 2.2: the base header, the service path header, then metadata of a fixed or of a given length. */
enum decode_layer
decode_nsh(struct decode *d)
{
	struct cursor in = d->in;
	uint16_t first = cursor_be16(&in);
	uint8_t metadata_type = cursor_u8(&in) & 0x0f;
	uint8_t next = cursor_u8(&in);
	uint32_t len = (first & 0x3fu) * 4;

	decode_count(d, PACKET_COUNTER_NSH);
	if (cursor_left(&d->in) < NSH_HEADER_LEN)
		return decode_bad(d, DECODE_NSH_HEADER_TOO_SMALL);
	if (first >> 14 != 0) {
		decode_event_set(d->packet, DECODE_NSH_UNSUPPORTED_VERSION);
		return LAYER_DONE;
	}
	if (len < NSH_HEADER_LEN || len >= cursor_left(&d->in) || (metadata_type == 1 && len != NSH_LEN_TYPE_1))
		return decode_bad(d, DECODE_NSH_BAD_HEADER_LENGTH);
	if (metadata_type != 1 && metadata_type != 2) {
		decode_event_set(d->packet, metadata_type == 0 || metadata_type == 0x0f ? DECODE_NSH_RESERVED_TYPE :
			DECODE_NSH_UNSUPPORTED_TYPE);
		return LAYER_DONE;
	}
	cursor_skip(&d->in, len);
	if (next >= sizeof(nsh_next) / sizeof(nsh_next[0]) || nsh_next[next].layer == LAYER_DONE) {
		decode_event_set(d->packet, DECODE_NSH_UNKNOWN_PAYLOAD);
		return LAYER_DONE;
	}
	d->packet->ether_type = nsh_next[next].ether_type;
	return nsh_next[next].layer;
}

static bool
port_matches(const struct decode_ports *ports, uint16_t sport, uint16_t dport)
{
	for (unsigned int i = 0; i < ports->count; i++)
		if (ports->ports[i] == dport || ports->ports[i] == sport)
			return true;
	return false;
}

static enum decode_layer
vxlan(struct decode *d)
{
	struct cursor in = d->in;
	uint8_t flags = cursor_u8(&in);

	cursor_skip(&in, VXLAN_HEADER_LEN - 1);
	if (in.short_read || (flags & VXLAN_FLAG_VNI) == 0 || cursor_left(&in) == 0)
		return LAYER_DONE;
	decode_count(d, PACKET_COUNTER_VXLAN);
	decode_append(d, in.pos, (uint32_t)cursor_left(&in), PACKET_LINK_ETHERNET, PACKET_SOURCE_VXLAN);
	d->packet->flags |= PACKET_TUNNEL;
	return LAYER_DONE;
}

/** By the next protocol of VXLAN-GPE: draft-ietf-nvo3-vxlan-gpe 3.2; 0: without a decoder. */
static const uint16_t gpe_next[] = {
	[1] = PACKET_LINK_RAW, [2] = PACKET_LINK_RAW, [3] = PACKET_LINK_ETHERNET, [4] = PACKET_LINK_NSH, [5] = PACKET_LINK_MPLS,
};

static enum decode_layer
vxlan_gpe(struct decode *d)
{
	struct cursor in = d->in;
	uint8_t flags = cursor_u8(&in), next;
	uint16_t link = PACKET_LINK_ETHERNET; /* as VXLAN, where no next protocol is said (3.1) */

	cursor_skip(&in, 2);
	next = cursor_u8(&in);
	cursor_skip(&in, VXLAN_HEADER_LEN - 4);
	if (in.short_read || (flags & (GPE_VERSION | GPE_FLAG_OAM)) != 0 || (flags & (VXLAN_FLAG_VNI | GPE_FLAG_NEXT)) == 0 || cursor_left(&in) == 0)
		return LAYER_DONE;
	decode_count(d, PACKET_COUNTER_VXLAN_GPE);
	if ((flags & GPE_FLAG_NEXT) != 0)
		link = next < sizeof(gpe_next) / sizeof(gpe_next[0]) ? gpe_next[next] : 0;
	if (link == 0) {
		decode_event_set(d->packet, DECODE_VXLAN_UNKNOWN_PAYLOAD_TYPE);
		return LAYER_DONE;
	}
	decode_append(d, in.pos, (uint32_t)cursor_left(&in), link, PACKET_SOURCE_VXLAN);
	d->packet->flags |= PACKET_TUNNEL;
	return LAYER_DONE;
}

static enum decode_layer
geneve(struct decode *d)
{
	struct cursor in = d->in;
	uint8_t first = cursor_u8(&in);
	uint16_t proto;

	cursor_skip(&in, 1);
	proto = cursor_be16(&in);
	cursor_skip(&in, GENEVE_HEADER_LEN - 4u + (first & 0x3fu) * 4u);
	if (in.short_read || first >> 6 != 0)
		return LAYER_DONE;
	decode_count(d, PACKET_COUNTER_GENEVE);
	if (proto != ETHER_TYPE_BRIDGING && proto != ETHER_TYPE_IPV4 && proto != ETHER_TYPE_IPV6) {
		decode_event_set(d->packet, DECODE_GENEVE_UNKNOWN_PAYLOAD_TYPE);
		return LAYER_DONE;
	}
	decode_append(d, in.pos, (uint32_t)cursor_left(&in),
		proto == ETHER_TYPE_BRIDGING ? PACKET_LINK_ETHERNET : PACKET_LINK_RAW, PACKET_SOURCE_GENEVE);
	d->packet->flags |= PACKET_TUNNEL;
	return LAYER_DONE;
}

/** Optional authentication and origin indications, then a whole IPv6 packet: RFC 4380 5.1.1. */
static enum decode_layer
teredo(struct decode *d)
{
	struct cursor in = d->in, peek;
	uint16_t payload_len;

	for (unsigned int i = 0; i < 2; i++) {
		peek = in;
		uint16_t kind = cursor_be16(&peek);

		if (kind == 1) { /* authentication: id and value of given lengths, nonce, confirmation */
			uint8_t id_len = cursor_u8(&peek);
			uint8_t auth_len = cursor_u8(&peek);

			cursor_skip(&peek, id_len + auth_len + 9u);
			in = peek;
		} else if (kind == 0) { /* origin: port and address */
			cursor_skip(&peek, 6);
			in = peek;
		}
	}
	peek = in;
	if (cursor_u8(&peek) >> 4 != 6)
		return LAYER_DONE;
	cursor_skip(&peek, 3);
	payload_len = cursor_be16(&peek);
	if (peek.short_read || cursor_left(&in) != IPV6_HEADER_LEN + (size_t)payload_len)
		return LAYER_DONE;
	decode_count(d, PACKET_COUNTER_TEREDO);
	decode_append(d, in.pos, (uint32_t)cursor_left(&in), PACKET_LINK_RAW, PACKET_SOURCE_TEREDO);
	d->packet->flags |= PACKET_TUNNEL;
	return LAYER_DONE;
}

/** RFC 8086 3: version 0, with no other options than a checksum, a key and a sequence number. What is none of that is no tunnel. */
static enum decode_layer
gre_in_udp(struct decode *d)
{
	struct cursor payload = d->in, in = d->in;
	uint16_t flags = cursor_be16(&in);
	enum decode_layer layer;

	cursor_skip(&in, 2);
	if (in.short_read || (flags & ~(GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE)) != 0)
		return LAYER_DONE;
	decode_count(d, PACKET_COUNTER_GRE_IN_UDP);
	layer = decode_gre(d);
	d->in = payload; /* of the datagram, as of other tunnels */
	return layer;
}

/** 3GPP TS 29.281 5.2.1: each has a length in units of four octets, its own octet in it, and ends with the next one's type. */
static void
gtp_skip_extensions(struct cursor *in)
{
	uint8_t type;

	cursor_skip(in, 3); /* sequence number, N-PDU number */
	type = cursor_u8(in);
	for (unsigned int i = 0; type != 0 && !in->short_read; i++) {
		uint8_t len = cursor_u8(in);

		cursor_skip(in, len == 0 || i == GTP_EXTENSIONS_MAX ? cursor_left(in) + 1 : len * 4u - 2);
		type = cursor_u8(in);
	}
}

/** 3GPP TS 29.281 5.1: of its messages the one that carries a packet; of what kind the session's set-up says (TS 23.501 5.6.10: IP, Ethernet, or
 * unstructured), not the message. */
static enum decode_layer
gtp(struct decode *d)
{
	struct cursor in = d->in;
	uint8_t flags = cursor_u8(&in), type = cursor_u8(&in);
	uint16_t len = cursor_be16(&in), link;

	cursor_skip(&in, 4); /* tunnel endpoint */
	if (in.short_read || (flags & GTP_VERSION) != GTP_VERSION_1 || type != GTP_PDU || len > cursor_left(&in))
		return LAYER_DONE;
	in = cursor_sub(&in, len);
	if ((flags & GTP_FLAGS_MORE) != 0) {
		if ((flags & GTP_FLAG_EXTENSIONS) != 0)
			gtp_skip_extensions(&in);
		else
			cursor_skip(&in, 4); /* all three stand there if one of them does */
	}
	if (in.short_read)
		return LAYER_DONE;
	decode_count(d, PACKET_COUNTER_GTP);
	link = decode_looks_like(d->decoder, in, LOOKS_IP | LOOKS_ETHERNET);
	if (link == 0 && ip_version_at(in) == 0) {
		decode_event_set(d->packet, DECODE_GTP_UNKNOWN_PAYLOAD_TYPE);
		return LAYER_DONE;
	}
	decode_append(d, in.pos, (uint32_t)cursor_left(&in), link == PACKET_LINK_ETHERNET ? PACKET_LINK_ETHERNET : PACKET_LINK_RAW, PACKET_SOURCE_GTP);
	d->packet->flags |= PACKET_TUNNEL;
	return LAYER_DONE;
}

enum decode_layer
decode_udp_tunnel(struct decode *d)
{
	const struct packet_decoder *decoder = d->decoder;
	uint16_t sport = d->packet->sport, dport = d->packet->dport;

	if (port_matches(&decoder->vxlan, dport, dport))
		return vxlan(d);
	if (port_matches(&decoder->geneve, dport, dport))
		return geneve(d);
	if (port_matches(&decoder->teredo, sport, dport))
		return teredo(d);
	if (port_matches(&decoder->vxlan_gpe, dport, dport))
		return vxlan_gpe(d);
	if (port_matches(&decoder->gre_in_udp, dport, dport))
		return gre_in_udp(d);
	if (port_matches(&decoder->gtp, dport, dport))
		return gtp(d);
	if (port_matches(&decoder->l2tp, sport, dport))
		return decode_l2tp_udp(d);
	if (port_matches(&decoder->capwap, sport, dport))
		return decode_capwap(d);
	return LAYER_DONE;
}
