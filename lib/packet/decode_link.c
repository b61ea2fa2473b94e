/* Link layers other than Ethernet II, and ARP. */
#include "lib/packet/decode.h"

enum {
	LLC_SAP_SNAP = 0xaa,
	ARP_LEN = 28, /* of Ethernet and IPv4 */
	ARP_HW_ETHERNET = 1,
	ETHER_TYPE_IPV4 = 0x0800,
	ETHER_TYPE_IPV6 = 0x86dd,
	PPP_IPV4 = 0x0021,
	PPP_IPV6 = 0x0057,
	PPP_VJ_UNCOMPRESSED = 0x002f,
	PPP_MPLS = 0x0281,
	PPP_CONTROL_MIN = 0x8000, /* network and link control protocols, RFC 1661 2 */
	IPV4_HEADER_LEN = 20,
	IPV6_HEADER_LEN = 40,
	DCE_TAG_LEN = 2,     /* tree and time to live */
	SERVICE_TAG_LEN = 4, /* priority, flags, service identifier */
	CUSTOMER_HEADER_LEN = 14,
};

/* IEEE 802.2; SNAP: RFC 1042. */
enum decode_layer
decode_llc(struct decode *d)
{
	struct packet *packet = d->packet;
	uint16_t len = packet->ether_type;
	struct cursor in;
	uint16_t saps;
	uint32_t oui;
	uint16_t type;

	decode_limit(d, len);
	packet->ether_type = 0;
	packet->flags |= PACKET_LLC;
	decode_count(d, PACKET_COUNTER_LLC);
	in = d->in;
	saps = cursor_be16(&in);
	cursor_skip(&in, 1);
	oui = cursor_be24(&in);
	type = cursor_be16(&in);
	if (in.short_read || saps != (LLC_SAP_SNAP << 8 | LLC_SAP_SNAP) || oui != 0 || type < 0x0600)
		return LAYER_DONE;
	packet->flags &= ~(uint32_t)PACKET_LLC;
	packet->ether_type = type;
	d->in = in;
	return LAYER_ETHER_TYPE;
}

/* RFC 826; operations: IANA arp-parameters. */
enum decode_layer
decode_arp(struct decode *d)
{
	struct packet *packet = d->packet;
	struct cursor in = d->in;
	uint16_t hw_type = cursor_be16(&in);
	uint16_t proto_type = cursor_be16(&in);
	uint8_t hw_len = cursor_u8(&in);
	uint8_t proto_len = cursor_u8(&in);
	uint16_t opcode = cursor_be16(&in);

	decode_count(d, PACKET_COUNTER_ARP);
	packet->l3_off = decode_offset(d);
	if (cursor_left(&d->in) < ARP_LEN)
		return decode_bad(d, DECODE_ARP_PKT_TOO_SMALL);
	if (hw_type != ARP_HW_ETHERNET)
		return decode_bad(d, DECODE_ARP_UNSUPPORTED_HARDWARE);
	if (proto_type != ETHER_TYPE_IPV4)
		return decode_bad(d, DECODE_ARP_UNSUPPORTED_PROTOCOL);
	if (hw_len != 6)
		return decode_bad(d, DECODE_ARP_INVALID_HARDWARE_SIZE);
	if (proto_len != 4)
		return decode_bad(d, DECODE_ARP_INVALID_PROTOCOL_SIZE);
	if (opcode < 1 || (opcode > 4 && opcode != 8 && opcode != 9))
		return decode_bad(d, DECODE_ARP_UNSUPPORTED_OPCODE);
	packet->flags |= PACKET_ARP;
	return LAYER_DONE;
}

bool
packet_arp_get(const struct packet *packet, struct packet_arp *out)
{
	struct cursor in;

	if ((packet->flags & PACKET_ARP) == 0)
		return false;
	in = cursor_of(packet->data, packet->len);
	cursor_skip(&in, packet->l3_off);
	out->hw_type = cursor_be16(&in);
	out->proto_type = cursor_be16(&in);
	cursor_skip(&in, 2);
	out->opcode = cursor_be16(&in);
	out->src_mac = cursor_take(&in, 6);
	out->src_ip = cursor_take(&in, 4);
	out->dst_mac = cursor_take(&in, 6);
	out->dst_ip = cursor_take(&in, 4);
	return !in.short_read;
}

/* LINKTYPE_LINUX_SLL: type, hardware, address length and address (8), protocol. */
enum decode_layer
decode_sll(struct decode *d)
{
	decode_count(d, PACKET_COUNTER_SLL);
	cursor_skip(&d->in, 14);
	d->packet->ether_type = cursor_be16(&d->in);
	if (d->in.short_read)
		return decode_bad(d, DECODE_SLL_PKT_TOO_SMALL);
	return d->packet->ether_type < 0x0600 ? LAYER_DONE : LAYER_ETHER_TYPE;
}

/* LINKTYPE_LINUX_SLL2: protocol first, 20 bytes in all. */
enum decode_layer
decode_sll2(struct decode *d)
{
	decode_count(d, PACKET_COUNTER_SLL2);
	d->packet->ether_type = cursor_be16(&d->in);
	cursor_skip(&d->in, 18);
	if (d->in.short_read)
		return decode_bad(d, DECODE_SLL2_PKT_TOO_SMALL);
	return d->packet->ether_type < 0x0600 ? LAYER_DONE : LAYER_ETHER_TYPE;
}

/* LINKTYPE_NULL has the family in the capturing host's order, LINKTYPE_LOOP in network order. */
enum decode_layer
decode_null(struct decode *d)
{
	uint32_t family = cursor_le32(&d->in);

	decode_count(d, PACKET_COUNTER_NULL);
	if (d->in.short_read)
		return decode_bad(d, DECODE_LTNULL_PKT_TOO_SMALL);
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	if (family == 2) {
		d->packet->ether_type = ETHER_TYPE_IPV4;
		return LAYER_IPV4;
	}
	if (family == 10 || family == 24 || family == 28 || family == 30) {
		d->packet->ether_type = ETHER_TYPE_IPV6;
		return LAYER_IPV6;
	}
	return decode_bad(d, DECODE_LTNULL_UNSUPPORTED_TYPE);
}

enum decode_layer
decode_raw(struct decode *d)
{
	struct cursor in = d->in;
	uint8_t version = cursor_u8(&in) >> 4;

	if (d->packet->source == PACKET_SOURCE_WIRE)
		decode_count(d, PACKET_COUNTER_RAW);
	if (version == 4) {
		d->packet->ether_type = ETHER_TYPE_IPV4;
		return LAYER_IPV4;
	}
	if (version == 6) {
		d->packet->ether_type = ETHER_TYPE_IPV6;
		return LAYER_IPV6;
	}
	return decode_bad(d, DECODE_IPRAW_INVALID_IP_VERSION);
}

/* Cisco HDLC: address, control, EtherType. */
enum decode_layer
decode_chdlc(struct decode *d)
{
	cursor_skip(&d->in, 2);
	d->packet->ether_type = cursor_be16(&d->in);
	if (d->in.short_read)
		return decode_bad(d, DECODE_CHDLC_PKT_TOO_SMALL);
	return d->packet->ether_type < 0x0600 ? LAYER_DONE : LAYER_ETHER_TYPE;
}

enum decode_layer
decode_typed(struct decode *d)
{
	d->packet->ether_type = cursor_be16(&d->in);
	return LAYER_ETHER_TYPE;
}

/** PPP protocol numbers that are assigned but not decoded, RFC 1661 and IANA ppp-numbers. */
static bool
ppp_is_known(uint16_t protocol)
{
	static const uint16_t known[] = {
		0x0023, 0x0025, 0x0027, 0x0029, 0x002b, 0x002d, 0x0031, 0x0033, 0x0035, 0x003d, 0x0041, 0x0043,
		0x0045, 0x0047, 0x0049, 0x004b, 0x004d, 0x0053, 0x00fb, 0x00fd, 0x0201, 0x0203, 0x0205, 0x0231,
		0x8021, 0x8023, 0x8025, 0x8027, 0x8029, 0x802b, 0x802d, 0x802f, 0x8031, 0x8033, 0x8035, 0x803d,
		0x8041, 0x8047, 0x8049, 0x804b, 0x804d, 0x8057, 0x80fb, 0x80fd, 0x8281, 0xc021, 0xc023, 0xc025,
		0xc027, 0xc223,
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == protocol)
			return true;
	return false;
}

/* RFC 1661 2; HDLC-like framing: RFC 1662 3.1. */
enum decode_layer
decode_ppp(struct decode *d)
{
	struct cursor peek = d->in;
	uint16_t protocol = cursor_be16(&peek);

	decode_count(d, PACKET_COUNTER_PPP);
	if (protocol == 0xff03) {
		d->in = peek;
		protocol = cursor_be16(&d->in);
	} else if ((protocol & 0x0100) != 0) {
		protocol = cursor_u8(&d->in); /* the protocol field was compressed to one byte */
	} else {
		d->in = peek;
	}
	if (peek.short_read || d->in.short_read)
		return decode_bad(d, DECODE_PPP_PKT_TOO_SMALL);
	if (protocol == PPP_IPV4 || protocol == PPP_VJ_UNCOMPRESSED) {
		if (cursor_left(&d->in) < IPV4_HEADER_LEN)
			return decode_bad(d, protocol == PPP_IPV4 ? DECODE_PPP_IP4_PKT_TOO_SMALL :
				DECODE_PPP_VJU_PKT_TOO_SMALL);
		d->packet->ether_type = ETHER_TYPE_IPV4;
		return LAYER_IPV4;
	}
	if (protocol == PPP_IPV6) {
		if (cursor_left(&d->in) < IPV6_HEADER_LEN)
			return decode_bad(d, DECODE_PPP_IP6_PKT_TOO_SMALL);
		d->packet->ether_type = ETHER_TYPE_IPV6;
		return LAYER_IPV6;
	}
	if (protocol == PPP_MPLS)
		return LAYER_MPLS;
	if (!ppp_is_known(protocol))
		return decode_bad(d, DECODE_PPP_WRONG_TYPE);
	if (protocol >= PPP_CONTROL_MIN)
		return LAYER_DONE; /* what negotiates the link carries nothing */
	return decode_bad(d, DECODE_PPP_UNSUP_PROTO);
}

/** Discovery tags, RFC 2516 5: type, length, value. */
static bool
pppoe_tags_are_whole(struct cursor in)
{
	while (cursor_left(&in) > 0) {
		cursor_skip(&in, 2);
		uint16_t len = cursor_be16(&in);

		cursor_skip(&in, len);
	}
	return !in.short_read;
}

/* RFC 2516 4. */
enum decode_layer
decode_pppoe(struct decode *d)
{
	static const uint8_t discovery_codes[] = { 0x09, 0x07, 0x19, 0x65, 0xa7 };
	bool session = d->packet->ether_type == 0x8864;
	uint8_t version_type = cursor_u8(&d->in);
	uint8_t code = cursor_u8(&d->in);
	uint16_t len;

	decode_count(d, PACKET_COUNTER_PPPOE);
	cursor_skip(&d->in, 2);
	len = cursor_be16(&d->in);
	if (d->in.short_read || (session && cursor_left(&d->in) < 2))
		return decode_bad(d, DECODE_PPPOE_PKT_TOO_SMALL);
	if (session) {
		if (version_type != 0x11 || code != 0)
			return decode_bad(d, DECODE_PPPOE_WRONG_CODE);
		decode_limit(d, len);
		return LAYER_PPP;
	}
	decode_limit(d, len);
	for (size_t i = 0; i < sizeof(discovery_codes); i++)
		if (discovery_codes[i] == code) {
			if (len > cursor_left(&d->in) || !pppoe_tags_are_whole(d->in))
				decode_event_set(d->packet, DECODE_PPPOE_MALFORMED_TAGS);
			return LAYER_DONE;
		}
	return decode_bad(d, DECODE_PPPOE_WRONG_CODE);
}

/* A tag of which nothing is told, and behind it the EtherType of the frame. */
struct plain_tag {
	uint8_t len; /* with the EtherType */
	enum decode_event too_small, unknown_type;
	enum packet_counter counter;
};

static enum decode_layer
plain_tag(struct decode *d, const struct plain_tag *tag)
{
	struct packet *packet = d->packet;

	if (cursor_left(&d->in) < tag->len)
		return decode_bad(d, tag->too_small);
	cursor_skip(&d->in, tag->len - 2u);
	packet->ether_type = cursor_be16(&d->in);
	decode_count(d, tag->counter);
	if (d->decoder->ether_kinds[packet->ether_type] == LAYER_DONE)
		decode_event_set(packet, tag->unknown_type);
	return LAYER_ETHER_TYPE;
}

/* Cisco's VN-Tag, between switch and network adapter: direction, virtual interfaces. */
enum decode_layer
decode_vntag(struct decode *d)
{
	static const struct plain_tag tag = { 6, DECODE_VNTAG_HEADER_TOO_SMALL, DECODE_VNTAG_UNKNOWN_TYPE, PACKET_COUNTER_VNTAG };

	return plain_tag(d, &tag);
}

/* IEEE 802.1BR, between a bridge and its port extenders: priority, ports of the extenders. */
enum decode_layer
decode_etag(struct decode *d)
{
	static const struct plain_tag tag = { 8, DECODE_ETAG_HEADER_TOO_SMALL, DECODE_ETAG_UNKNOWN_TYPE, PACKET_COUNTER_ETAG };

	return plain_tag(d, &tag);
}

/* Cisco MetaData, between switches of TrustSec: version, length, one option, whose value is the sender's security group. */
enum decode_layer
decode_cmd(struct decode *d)
{
	static const struct plain_tag tag = { 8, DECODE_CMD_HEADER_TOO_SMALL, DECODE_CMD_UNKNOWN_TYPE, PACKET_COUNTER_CMD };

	return plain_tag(d, &tag);
}

/* Cisco's FabricPath: a header between switches, whose addresses are theirs, and a tag before the whole frame of the hosts. */
enum decode_layer
decode_dce(struct decode *d)
{
	if (cursor_left(&d->in) < DCE_TAG_LEN + CUSTOMER_HEADER_LEN)
		return decode_bad(d, DECODE_DCE_PKT_TOO_SMALL);
	cursor_skip(&d->in, DCE_TAG_LEN);
	decode_count(d, PACKET_COUNTER_DCE);
	return LAYER_ETHERNET;
}

/* IEEE 802.1ah (802.1Q 9.7): a provider's header and service tag before the customer's frame, whose addresses are those
 * of the hosts. */
enum decode_layer
decode_ieee8021ah(struct decode *d)
{
	if (cursor_left(&d->in) < SERVICE_TAG_LEN + CUSTOMER_HEADER_LEN)
		return decode_bad(d, DECODE_IEEE8021AH_HEADER_TOO_SMALL);
	cursor_skip(&d->in, SERVICE_TAG_LEN);
	decode_count(d, PACKET_COUNTER_IEEE8021AH);
	return LAYER_ETHERNET;
}
