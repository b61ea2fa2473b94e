/* Inside lib/packet: what the decoders of the layers share. */
#ifndef MR_PACKET_DECODE_H
#define MR_PACKET_DECODE_H

#include "lib/base/cursor.h"
#include "lib/base/seen.h"
#include "lib/base/slab.h"
#include "lib/packet/packet.h"
#include "lib/packet/piece.h"

/** Which header comes next. Each has a decoder in decode_layers[]. */
enum decode_layer {
	LAYER_DONE, /* nothing more to decode: the payload is what is left */
	LAYER_BAD,  /* malformed: an event was set */
	LAYER_ETHERNET,
	LAYER_ETHER_TYPE, /* dispatch by packet->ether_type */
	LAYER_VLAN,
	LAYER_LLC,
	LAYER_ARP,
	LAYER_IPV4,
	LAYER_IPV6,
	LAYER_IP_PROTO, /* dispatch by packet->ip_proto */
	LAYER_TCP,
	LAYER_UDP,
	LAYER_ICMP,
	LAYER_ICMPV6,
	LAYER_SCTP,
	LAYER_ESP,
	LAYER_AH,
	LAYER_IGMP,
	LAYER_GRE,
	LAYER_IPIP,
	LAYER_MPLS,
	LAYER_NSH,
	LAYER_L2TP,
	LAYER_MACSEC,
	LAYER_WLAN,
	LAYER_RADIOTAP,
	LAYER_PPPOE,
	LAYER_VNTAG,
	LAYER_ETAG,
	LAYER_CMD,
	LAYER_HSR,
	LAYER_FRER,
	LAYER_DCE,
	LAYER_IEEE8021AH,
	LAYER_PPP,
	LAYER_SLL,
	LAYER_SLL2,
	LAYER_NULL,
	LAYER_RAW,
	LAYER_CHDLC,
	LAYER_TYPED,
	LAYER_ETHER_FLOW, /* a protocol without IP: its frames are flows between two MACs */
	LAYER_COUNT,
};

enum {
	PRP_SUFFIX = 0x88fb, /* IEC 62439-3 4.1.10 */
	DECODE_PORTS_MAX = 8,   /* of each tunnel protocol over UDP */
	DECODE_HELD_MAX = 64,   /* reassembled datagrams of one burst */
};

struct decode_ports {
	uint16_t ports[DECODE_PORTS_MAX];
	uint8_t count;
	bool enabled;
};

/** Bit i: a port of theirs ends in these six bits; has them before those. Most others differ in one or the other. */
struct decode_port_bits {
	uint64_t low, high;
};

static inline bool
decode_port_may_be(const struct decode_port_bits *bits, uint16_t port)
{
	return (bits->low >> (port & 63) & bits->high >> (port >> 6 & 63) & 1) != 0;
}

struct defrag;

/** A packet while it is being decoded. */
struct decode {
	struct packet_decoder *decoder;
	struct packet *packets;
	struct packet *packet; /* packets[idx] */
	uint16_t idx;
	uint16_t tail;         /* last of packet and the inner packets it appended */
	uint16_t count;
	uint16_t packets_max;
	uint16_t appended;     /* by the frame at hand */
	uint32_t trailer_len;  /* bytes at the end of the frame at hand that no layer sees */
	struct cursor in;      /* what is not decoded yet */
};

struct packet_decoder {
	struct packet_config config;
	_Atomic uint64_t *counters;
	struct decode_ports vxlan, vxlan_gpe, geneve, teredo, gre_in_udp, gtp, l2tp, capwap;
	struct decode_port_bits tunnel_to, tunnel_from; /* of what they may go to, may come from */
	uint8_t ether_kinds[65536]; /* of decode_ether_kinds(); few of its lines are ever touched */
	bool fast;             /* decode_fast() comes first; the tests clear it */
	struct defrag *defrag;
	struct seen *redundant; /* frames of HSR, PRP and FRER; NULL: their copies are not looked for */
	uint64_t max_packet_len;
	uint64_t pending[PACKET_COUNTER_COUNT]; /* counted in this burst, published at its end */
};

static inline void
decode_event_set(struct packet *packet, enum decode_event event)
{
	packet->decode_events[event / 64] |= UINT64_C(1) << event % 64;
}

static inline enum decode_layer
decode_bad(struct decode *d, enum decode_event event)
{
	decode_event_set(d->packet, event);
	return LAYER_BAD;
}

static inline void
decode_count(struct decode *d, enum packet_counter counter)
{
	d->decoder->pending[counter]++;
}

/** Bytes between the EtherType of a tag (of a VLAN, or of some switches and rings) and the next EtherType; 0: it is no tag. */
static inline uint32_t
decode_tag_len(uint16_t ether_type)
{
	switch (ether_type) {
	case 0x8100:
	case 0x88a8:
	case 0x9100:
	case 0x9200:
	case 0x9300: return 2; /* VLAN */
	case 0x8926: return 4; /* VN-Tag */
	case 0x893f: return 6; /* 802.1BR */
	case 0x8909: return 6; /* Cisco MetaData */
	case 0x892f:           /* HSR */
	case 0xf1c1: return 4; /* 802.1CB */
	default: return 0;
	}
}

/** Where the cursor stands, from packet->data. */
static inline uint16_t
decode_offset(const struct decode *d)
{
	return (uint16_t)(d->in.pos - d->packet->data);
}

/** Drops what lies behind len bytes (link padding). */
static inline void
decode_limit(struct decode *d, size_t len)
{
	if (len < cursor_left(&d->in))
		d->in.left = (uint32_t)len;
}

/**
 * Appends an inner packet that is decoded later.
 *
 * @param data, len  its bytes; must live until the next burst
 * @return it, or NULL when there is no room or the nesting is too deep (counted, and an event)
 */
struct packet *decode_append(struct decode *d, const uint8_t *data, uint32_t len, enum packet_link link,
	enum packet_source source);

/** decode_append() of all that the cursor has left, as a tunnel's content. */
enum decode_layer decode_inner(struct decode *d, enum packet_link link, enum packet_source source);

/** A frame that ends in PRP's suffix: sets PACKET_COPY if it is one. @return the length of its trailer, 0 if it has none */
uint32_t decode_prp(struct packet_decoder *decoder, struct packet *packet);
/** Decodes a frame of the usual kind, cleared before. @return false: it is not of that kind, nothing was written */
bool decode_fast(struct decode *d);
/** Fills what TCP's options say. @param in all of them */
void decode_tcp_options(struct packet *packet, struct cursor in);
/** By EtherType: what decode_ether_type() goes on with. */
void decode_ether_kinds(uint8_t kinds[65536], const struct packet_config *config);
enum decode_layer decode_ether_type(struct decode *d);
enum decode_layer decode_ip_proto(struct decode *d);
enum decode_layer decode_ipv4(struct decode *d);
enum decode_layer decode_ipv6(struct decode *d);
enum decode_layer decode_tcp(struct decode *d);
enum decode_layer decode_udp(struct decode *d);
enum decode_layer decode_icmp(struct decode *d);
enum decode_layer decode_icmpv6(struct decode *d);
enum decode_layer decode_sctp(struct decode *d);
enum decode_layer decode_esp(struct decode *d);
enum decode_layer decode_ah(struct decode *d);
enum decode_layer decode_igmp(struct decode *d);
enum decode_layer decode_gre(struct decode *d);
enum decode_layer decode_ipip(struct decode *d);
enum decode_layer decode_mpls(struct decode *d);
enum decode_layer decode_nsh(struct decode *d);
enum decode_layer decode_l2tp(struct decode *d);
enum decode_layer decode_macsec(struct decode *d);
enum decode_layer decode_wlan(struct decode *d);
enum decode_layer decode_radiotap(struct decode *d);
enum decode_layer decode_pppoe(struct decode *d);
enum decode_layer decode_ppp(struct decode *d);
enum decode_layer decode_vntag(struct decode *d);
enum decode_layer decode_etag(struct decode *d);
enum decode_layer decode_cmd(struct decode *d);
enum decode_layer decode_hsr(struct decode *d);
enum decode_layer decode_frer(struct decode *d);
enum decode_layer decode_dce(struct decode *d);
enum decode_layer decode_ieee8021ah(struct decode *d);
enum decode_layer decode_sll(struct decode *d);
enum decode_layer decode_sll2(struct decode *d);
enum decode_layer decode_null(struct decode *d);
enum decode_layer decode_raw(struct decode *d);
enum decode_layer decode_chdlc(struct decode *d);
enum decode_layer decode_typed(struct decode *d);
enum decode_layer decode_arp(struct decode *d);
enum decode_layer decode_llc(struct decode *d);
/** UDP payload of a tunnel's port. @return LAYER_DONE when it was none. */
enum decode_layer decode_udp_tunnel(struct decode *d);
enum decode_layer decode_l2tp_udp(struct decode *d);
enum decode_layer decode_capwap(struct decode *d);

enum decode_looks { LOOKS_IP = 1, LOOKS_ETHERNET = 2, LOOKS_PPP = 4 };

/**
 * What begins here by its look, where only the set-up of a tunnel said what it carries: lengths and types must fit each other.
 *
 * @param kinds  enum decode_looks: what it may be
 * @return enum packet_link; 0: none of them, as far as one sees
 */
uint16_t decode_looks_like(const struct packet_decoder *decoder, struct cursor in, unsigned int kinds);

/* ---- defragmentation ---- */

int defrag_create(struct defrag **out, const struct packet_config *config);
void defrag_destroy(struct defrag *defrag);
/** Frees the datagrams that the last burst handed out. */
void defrag_burst_start(struct defrag *defrag, struct packet_decoder *decoder, uint64_t now_ns);

struct defrag_fragment {
	uint32_t id;
	uint32_t offset;      /* bytes */
	bool more;
	uint8_t next_proto;   /* of the payload */
	uint32_t next_proto_off; /* in header: the byte that names it */
	const uint8_t *header; /* the IP header up to where the payload begins */
	uint32_t header_len;
	const uint8_t *data;
	uint32_t len;
};

/** Keeps a fragment; appends the datagram as an inner packet once it is whole. */
void defrag_insert(struct decode *d, const struct defrag_fragment *fragment);

#endif
