/*
 * What decoding learned about one frame: offsets, endpoints, flags, named events. Nothing
 * is copied from the frame but header fields; the payload is lent from the frame's bytes.
 *
 * The worker fills the first block of fields ("given"), packet_decode_burst() all others.
 * Tunnels and reassembled datagrams append inner packets to the same array, each linked to
 * its outer by index. Handle a burst in the order of next_idx, from index 0: an inner packet
 * comes right behind its outer, so that results do not depend on where a burst was cut.
 *
 * Thread: the decoder's owner only. Lifetime of everything a packet points to: until the
 * next packet_decode_burst() of the same decoder, or until the frame's bytes go.
 */
#ifndef MR_PACKET_PACKET_H
#define MR_PACKET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/config/config.h"
#include "lib/packet/decode_event.h"

enum {
	PACKET_VLAN_MAX = 3,
	PACKET_TUNNEL_DEPTH_MAX = 8,     /* inner packets of inner packets; deeper is decoder event too_many_layers */
	PACKET_INNER_PER_FRAME_MAX = 16, /* inner packets that one frame may append */
	PACKET_FLOW_ETHER_TYPES_MAX = 16, /* EtherTypes whose frames are flows without IP */
	PACKET_NO_OUTER = 0xffff,
	PACKET_NO_NEXT = 0xffff,
};

/** An address in network order; an IPv4 address is the first 4 bytes, the others are 0. */
struct ip_addr {
	union {
		uint8_t bytes[16];
		uint32_t words[4];
		uint64_t halves[2];
	};
};

enum packet_ip_proto {
	IP_PROTO_HOPOPTS = 0,
	IP_PROTO_ICMP = 1,
	IP_PROTO_IGMP = 2,
	IP_PROTO_IPIP = 4,
	IP_PROTO_TCP = 6,
	IP_PROTO_UDP = 17,
	IP_PROTO_IPV6 = 41,
	IP_PROTO_ROUTING = 43,
	IP_PROTO_FRAGMENT = 44,
	IP_PROTO_GRE = 47,
	IP_PROTO_ESP = 50,
	IP_PROTO_AH = 51,
	IP_PROTO_ICMPV6 = 58,
	IP_PROTO_NONE = 59,
	IP_PROTO_DSTOPTS = 60,
	IP_PROTO_L2TP = 115,
	IP_PROTO_SCTP = 132,
	IP_PROTO_MOBILITY = 135,
	IP_PROTO_HIP = 139,
	IP_PROTO_SHIM6 = 140,
};

enum { IGMP_VERSION_NONE = 255 };

/** RFC 9293 3.1 */
enum packet_tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

/** DLT_* values of a capture (pcap-linktype); a port is PACKET_LINK_ETHERNET. */
enum packet_link {
	PACKET_LINK_NULL = 0,
	PACKET_LINK_ETHERNET = 1,
	PACKET_LINK_PPP = 9,
	PACKET_LINK_RAW_BSD = 12,
	PACKET_LINK_PPP_SERIAL = 50,
	PACKET_LINK_RAW = 101,
	PACKET_LINK_CHDLC = 104,
	PACKET_LINK_WLAN = 105,
	PACKET_LINK_LOOP = 108,
	PACKET_LINK_SLL = 113,
	PACKET_LINK_RADIOTAP = 127,
	PACKET_LINK_MPLS = 219,
	PACKET_LINK_IPV4 = 228,
	PACKET_LINK_IPV6 = 229,
	PACKET_LINK_SLL2 = 276,
	PACKET_LINK_ETHER_TYPE = 500, /* of inner packets only: an EtherType, then what it names */
	PACKET_LINK_NSH = 501,        /* the same: a service header */
};

enum packet_flag {
	/* given by the worker */
	PACKET_L3_CHECKSUM_GOOD = 1 << 0, /* the port verified it: not verified again */
	PACKET_L4_CHECKSUM_GOOD = 1 << 1,
	PACKET_GIVEN_FLAGS = (1 << 2) - 1,
	/* learned */
	PACKET_L3_CHECKSUM_BAD = 1 << 2,
	PACKET_L4_CHECKSUM_BAD = 1 << 3,
	PACKET_INVALID = 1 << 4,      /* some layer was malformed: decoding stopped there; no flow */
	PACKET_ETHERNET = 1 << 5,     /* l2_off names an Ethernet header */
	PACKET_LLC = 1 << 6,          /* 802.3: ether_type is 0 and the payload starts with the LLC header */
	PACKET_ARP = 1 << 7,          /* packet_arp_get() succeeds */
	PACKET_IP = 1 << 8,
	PACKET_L4 = 1 << 9,           /* TCP, UDP, ICMP, ICMPv6, IGMP, SCTP or ESP header decoded: l4_off, ports */
	PACKET_FRAGMENT = 1 << 10,    /* an IP fragment, without payload: its datagram follows as an inner packet once complete */
	PACKET_REASSEMBLED = 1 << 11, /* an inner packet made of fragments; its data is the decoder's */
	PACKET_TUNNEL = 1 << 12,      /* carries an inner packet */
	PACKET_FLOW = 1 << 13,        /* key is complete: flow_lookup_burst() finds or creates a flow */
	PACKET_FLOW_FIND = 1 << 14,   /* find only: an ICMP error about the flow of its embedded header */
	PACKET_KEY_SWAPPED = 1 << 15, /* key.addr[0], port[0] is the destination */
	PACKET_TO_SERVER = 1 << 16,   /* set by flow_update(): sent by the flow's originator */
	PACKET_TCP_TIMESTAMP = 1 << 17,
	PACKET_TCP_MSS = 1 << 18,
	PACKET_TCP_WSCALE = 1 << 19,
	PACKET_TCP_SACK_PERMITTED = 1 << 20,
	PACKET_TCP_SACK = 1 << 21,
	PACKET_TCP_FASTOPEN = 1 << 22,
	PACKET_ESTABLISHED = 1 << 23, /* set by flow_update(): the flow was established once this packet was seen */
	PACKET_COPY = 1 << 24,        /* of a frame that came before: HSR, PRP or FRER sent it over several paths. Not decoded further; no flow */
};

/** Where a packet came from: EVE pkt_src. */
enum packet_source {
	PACKET_SOURCE_WIRE,
	PACKET_SOURCE_GRE,
	PACKET_SOURCE_ERSPAN,
	PACKET_SOURCE_IPV6_TUNNEL,
	PACKET_SOURCE_IPV4_TUNNEL,
	PACKET_SOURCE_TEREDO,
	PACKET_SOURCE_VXLAN,
	PACKET_SOURCE_GENEVE,
	PACKET_SOURCE_GTP,
	PACKET_SOURCE_L2TP,
	PACKET_SOURCE_CAPWAP,
	PACKET_SOURCE_DEFRAG,
	PACKET_SOURCE_FLOW_TIMEOUT, /* of events only: stream data that was still unacknowledged at the flow's end */
	PACKET_SOURCE_COUNT,
};

/** "wire/pcap", "gre tunnel", ...: by enum packet_source. */
extern const char *const packet_source_names[PACKET_SOURCE_COUNT];

/** Bits of packet.ip_options: the IPv4 options that occur. RFC 791 3.1. */
enum packet_ip_option {
	IP_OPTION_EOL = 1 << 0,
	IP_OPTION_NOP = 1 << 1,
	IP_OPTION_RR = 1 << 2,
	IP_OPTION_TS = 1 << 3,
	IP_OPTION_SEC = 1 << 4,
	IP_OPTION_ESEC = 1 << 5,
	IP_OPTION_LSRR = 1 << 6,
	IP_OPTION_SSRR = 1 << 7,
	IP_OPTION_SATID = 1 << 8,
	IP_OPTION_CIPSO = 1 << 9,
	IP_OPTION_RTRALT = 1 << 10,
	IP_OPTION_QS = 1 << 11,
	IP_OPTION_OTHER = 1 << 12,
};

/**
 * What names a flow, the same for both directions: the lower endpoint first. For ICMP each
 * end's port is the type it sends, for ESP both hold the SPI; for an ICMP error all is its embedded header's.
 * Of a frame without IP (ip_version 0) the addresses are its MACs and both ports its EtherType.
 */
struct packet_key {
	struct ip_addr addr[2];
	uint16_t port[2];
	uint8_t ip_proto;
	uint8_t ip_version;
	uint8_t tunnel_depth; /* 0 when decoder.recursion-level.use-for-tracking is off */
	uint8_t reserved;
	uint16_t vlan[PACKET_VLAN_MAX]; /* zero when vlan.use-for-tracking is off */
	uint16_t icmp_id; /* of echoes and their kin */
};

_Static_assert(sizeof(struct packet_key) == 48, "hashed and compared as six words");

struct packet {
	/* given by the worker */
	const uint8_t *data;   /* the captured bytes, contiguous; of an inner packet: its first header */
	uint64_t ts_ns;        /* capture time, since the Unix epoch */
	uint64_t frame_number; /* 1 is the first frame of the capture or port; inner packets repeat it */
	uint32_t len;          /* bytes at data */
	uint32_t wire_len;     /* bytes on the wire, at least len */
	uint32_t flags;        /* enum packet_flag */
	uint16_t port_idx;     /* of the capture port */
	uint16_t link_type;    /* enum packet_link */

	/* line 0 ends: what follows is decoded */
	uint32_t hash;         /* of key; with PACKET_FLOW */
	uint16_t outer_idx;    /* in the same array; PACKET_NO_OUTER: came from the wire as it is */
	uint16_t next_idx;     /* the packet to handle after this one; PACKET_NO_NEXT: the burst's last */
	uint8_t source;        /* enum packet_source */
	uint8_t tunnel_depth;
	const uint8_t *payload; /* of the innermost layer decoded; never NULL */
	uint32_t payload_len;
	uint16_t sport, dport; /* TCP, UDP, SCTP; 0 otherwise */
	struct packet_key key;

	struct ip_addr src, dst;
	uint32_t tcp_seq, tcp_ack;
	uint32_t tcp_ts_value, tcp_ts_echo; /* with PACKET_TCP_TIMESTAMP */
	union {
		uint16_t tcp_window;
		uint16_t sctp_chunk_count;
	};
	uint16_t tcp_mss;      /* with PACKET_TCP_MSS */
	uint8_t tcp_flags;     /* enum packet_tcp_flag */
	uint8_t tcp_wscale;    /* with PACKET_TCP_WSCALE */
	uint8_t ip_version;    /* 4, 6; 0: not IP */
	uint8_t ip_proto;      /* behind extension headers */
	uint8_t ttl;           /* hop limit */
	uint8_t icmp_type;     /* of IGMP as well */
	union {
		uint8_t icmp_code;
		uint8_t igmp_version; /* 1, 2, 3; IGMP_VERSION_NONE: RGMP, or a type without one */
	};
	uint8_t vlan_count;
	uint16_t icmp_id;      /* of echoes */
	uint16_t ether_type;   /* behind tags and labels; 0 with PACKET_LLC and without Ethernet */

	uint16_t vlan[PACKET_VLAN_MAX]; /* 12 bits, outermost first */
	uint16_t ip_options;   /* enum packet_ip_option */
	uint16_t l2_off;       /* from data; meaningful with PACKET_ETHERNET */
	uint16_t l3_off;       /* ARP or IP header */
	uint16_t l3_len;       /* IP header with options and extension headers */
	uint16_t l4_off;
	uint16_t l4_len;       /* with PACKET_L4 */
	uint16_t inner_idx;    /* with PACKET_TUNNEL: the first inner packet */
	uint32_t esp_spi;
	uint64_t decode_events[DECODE_EVENT_WORDS]; /* bit i: decode_event_table[i] */
	uint64_t stream_events[2]; /* set by stream_segment(); bit i: stream_event_table[i] */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct packet) == 256, "four cache lines");

/** RFC 826. */
struct packet_arp {
	uint16_t hw_type;
	uint16_t proto_type;
	uint16_t opcode;
	const uint8_t *src_mac; /* [6], lent from the frame */
	const uint8_t *src_ip;  /* [4] */
	const uint8_t *dst_mac;
	const uint8_t *dst_ip;
};

struct packet_config {
	bool vlan_tracking;
	bool recursion_tracking;
	bool checksum_validation; /* `-k none` clears it */
	bool vxlan, vxlan_gpe, geneve, teredo, gre_in_udp, gtp, l2tp, capwap, erspan1;
	bool skip_redundant;           /* PACKET_COPY is looked for */
	bool defrag;
	json_t *vxlan_ports, *vxlan_gpe_ports, *geneve_ports, *teredo_ports, *gre_in_udp_ports, *gtp_ports, *l2tp_ports, *capwap_ports; /* lists of numbers as text; NULL: the defaults */
	json_t *host_os_policy;        /* address ranges to overlap policies, of fragments and of TCP */
	uint64_t defrag_memcap_bytes;
	uint64_t defrag_trackers_max;  /* datagrams in reassembly */
	uint64_t defrag_frags_max;     /* fragments held */
	uint64_t defrag_timeout_s;
	uint64_t layers_max;           /* headers of one packet, tunnels included */
	/* set by the program, not by a key: EtherTypes of enabled protocols, whose frames are flows between two MACs */
	uint16_t flow_ether_types[PACKET_FLOW_ETHER_TYPES_MAX];
	uint8_t flow_ether_type_count;
};

extern const struct knob_table packet_knobs;

enum packet_counter {
	PACKET_COUNTER_PKTS,
	PACKET_COUNTER_BYTES,
	PACKET_COUNTER_INVALID,
	PACKET_COUNTER_ETHERNET,
	PACKET_COUNTER_LLC,
	PACKET_COUNTER_ARP,
	PACKET_COUNTER_UNKNOWN_ETHERTYPE,
	PACKET_COUNTER_ETHER_FLOW,
	PACKET_COUNTER_VLAN,
	PACKET_COUNTER_VLAN_QINQ,
	PACKET_COUNTER_VLAN_QINQINQ,
	PACKET_COUNTER_VNTAG,
	PACKET_COUNTER_ETAG,
	PACKET_COUNTER_CMD,
	PACKET_COUNTER_HSR,
	PACKET_COUNTER_PRP,
	PACKET_COUNTER_FRER,
	PACKET_COUNTER_REDUNDANT,
	PACKET_COUNTER_MACSEC,
	PACKET_COUNTER_MACSEC_ENCRYPTED,
	PACKET_COUNTER_DCE,
	PACKET_COUNTER_IEEE8021AH,
	PACKET_COUNTER_MPLS,
	PACKET_COUNTER_NSH,
	PACKET_COUNTER_PPP,
	PACKET_COUNTER_PPPOE,
	PACKET_COUNTER_RAW,
	PACKET_COUNTER_NULL,
	PACKET_COUNTER_WLAN,
	PACKET_COUNTER_SLL,
	PACKET_COUNTER_SLL2,
	PACKET_COUNTER_IPV4,
	PACKET_COUNTER_IPV6,
	PACKET_COUNTER_TCP,
	PACKET_COUNTER_UDP,
	PACKET_COUNTER_SCTP,
	PACKET_COUNTER_ESP,
	PACKET_COUNTER_IGMP,
	PACKET_COUNTER_ICMPV4,
	PACKET_COUNTER_ICMPV6,
	PACKET_COUNTER_GRE,
	PACKET_COUNTER_ERSPAN,
	PACKET_COUNTER_VXLAN,
	PACKET_COUNTER_VXLAN_GPE,
	PACKET_COUNTER_GENEVE,
	PACKET_COUNTER_TEREDO,
	PACKET_COUNTER_GRE_IN_UDP,
	PACKET_COUNTER_WCCP,
	PACKET_COUNTER_GTP,
	PACKET_COUNTER_L2TP,
	PACKET_COUNTER_CAPWAP,
	PACKET_COUNTER_CAPWAP_FRAGMENTS,
	PACKET_COUNTER_IPV4_IN_IPV4,
	PACKET_COUNTER_IPV6_IN_IPV4,
	PACKET_COUNTER_IPV4_IN_IPV6,
	PACKET_COUNTER_IPV6_IN_IPV6,
	PACKET_COUNTER_TOO_MANY_LAYERS,
	PACKET_COUNTER_MAX_PKT_SIZE,
	PACKET_COUNTER_CHECKSUM_IPV4,
	PACKET_COUNTER_CHECKSUM_TCP,
	PACKET_COUNTER_CHECKSUM_UDP,
	PACKET_COUNTER_CHECKSUM_ICMP,
	PACKET_COUNTER_CHECKSUM_IGMP,
	PACKET_COUNTER_INNER_DROPPED,
	PACKET_COUNTER_FRAGMENTS_IPV4,
	PACKET_COUNTER_FRAGMENTS_IPV6,
	PACKET_COUNTER_REASSEMBLED_IPV4,
	PACKET_COUNTER_REASSEMBLED_IPV6,
	PACKET_COUNTER_DEFRAG_TIMEOUT,
	PACKET_COUNTER_DEFRAG_MAX_TRACKERS,
	PACKET_COUNTER_DEFRAG_MAX_FRAGS,
	PACKET_COUNTER_DEFRAG_MEMCAP,
	PACKET_COUNTER_DEFRAG_OVERLAP,
	PACKET_COUNTER_COUNT,
};

extern const struct counter_desc packet_counters[PACKET_COUNTER_COUNT];

struct packet_decoder;

/**
 * @param out       owned by the caller
 * @param config    copied; its json_t lists are read here and not kept
 * @param counters  [PACKET_COUNTER_COUNT], lent until destroy, written by the decoder's owner
 * @return 0, -EINVAL (a port or policy list, or a count, is wrong) or -ENOMEM
 */
int packet_decoder_create(struct packet_decoder **out, const struct packet_config *config, _Atomic uint64_t *counters);
void packet_decoder_destroy(struct packet_decoder *decoder);

/**
 * Decodes a burst.
 *
 * @param packets      [packets_max], 64-byte aligned; the first count have their given fields filled
 * @param count        frames, 0..packets_max
 * @param packets_max  room for inner packets; one that does not fit is dropped and counted
 * @return the number of packets, count and the inner packets behind
 */
uint16_t packet_decode_burst(struct packet_decoder *decoder, struct packet packets[], uint16_t count,
	uint16_t packets_max);

/** Whether the packet has an ARP message of Ethernet and IPv4. */
bool packet_arp_get(const struct packet *packet, struct packet_arp *out);

/** The bytes from the link header on: the source and destination MAC, or NULL without Ethernet. Lent. */
static inline const uint8_t *
packet_src_mac(const struct packet *packet)
{
	return (packet->flags & PACKET_ETHERNET) != 0 ? packet->data + packet->l2_off + 6 : NULL;
}

static inline const uint8_t *
packet_dst_mac(const struct packet *packet)
{
	return (packet->flags & PACKET_ETHERNET) != 0 ? packet->data + packet->l2_off : NULL;
}

/** The innermost 802.1Q tag of a frame without IP: priority (3 bits), DEI, VLAN. false: it has none. */
bool packet_vlan_tci(const struct packet *packet, uint16_t *tci);

static inline bool
packet_is(const struct packet *packet, uint32_t flags)
{
	return (packet->flags & flags) != 0;
}

static inline bool
packet_has_decode_event(const struct packet *packet, enum decode_event event)
{
	return (packet->decode_events[event / 64] >> event % 64 & 1) != 0;
}

/** Whether any decode event is set: one test for the common case. */
static inline bool
packet_has_events(const struct packet *packet)
{
	uint64_t any = packet->stream_events[0] | packet->stream_events[1];

	for (unsigned int i = 0; i < DECODE_EVENT_WORDS; i++)
		any |= packet->decode_events[i];
	return any != 0;
}

/** The symmetric hash of a flow key. */
uint32_t packet_key_hash(const struct packet_key *key);

/** Hash that spreads frames over workers so that both directions of a flow (and all fragments of a datagram, and
 *  what a tunnel carries, by its outer addresses) meet: CRC32C of the sorted addresses, of the MACs without IP.
 *  Reads data, len and link_type only. */
uint32_t packet_spread_hash(const struct packet *packet);

#endif
