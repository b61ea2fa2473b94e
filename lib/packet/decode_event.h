/*
 * Named malformations of headers, under the names that `decode-event` rules use
 * ("ipv4.trunc_pkt"; anomaly records write "decoder.ipv4.trunc_pkt").
 */
#ifndef MR_PACKET_DECODE_EVENT_H
#define MR_PACKET_DECODE_EVENT_H

#include <stdint.h>

#include "lib/base/counter.h"

#define DECODE_EVENTS(X) \
	X(IPV4_PKT_TOO_SMALL, "ipv4.pkt_too_small", "IPv4 header does not fit") \
	X(IPV4_HLEN_TOO_SMALL, "ipv4.hlen_too_small", "header length below 20") \
	X(IPV4_IPLEN_SMALLER_THAN_HLEN, "ipv4.iplen_smaller_than_hlen", "total length below the header length") \
	X(IPV4_TRUNC_PKT, "ipv4.trunc_pkt", "total length beyond the captured bytes") \
	X(IPV4_OPT_INVALID, "ipv4.opt_invalid", "an option's content is invalid") \
	X(IPV4_OPT_INVALID_LEN, "ipv4.opt_invalid_len", "an option's length is invalid") \
	X(IPV4_OPT_MALFORMED, "ipv4.opt_malformed", "an option is cut off") \
	X(IPV4_OPT_PAD_REQUIRED, "ipv4.opt_pad_required", "options do not fill the header") \
	X(IPV4_OPT_EOL_REQUIRED, "ipv4.opt_eol_required", "options lack the end-of-list") \
	X(IPV4_OPT_DUPLICATE, "ipv4.opt_duplicate", "an option occurs twice") \
	X(IPV4_OPT_UNKNOWN, "ipv4.opt_unknown", "unknown option") \
	X(IPV4_WRONG_IP_VERSION, "ipv4.wrong_ip_version", "version is not 4") \
	X(IPV4_ICMPV6, "ipv4.icmpv6", "ICMPv6 inside IPv4") \
	X(IPV4_UNKNOWN_PROTOCOL, "ipv4.unknown_protocol", "protocol number that IANA has not assigned") \
	X(IPV4_FRAG_PKT_TOO_LARGE, "ipv4.frag_pkt_too_large", "fragments reach beyond 65,535 bytes") \
	X(IPV4_FRAG_OVERLAP, "ipv4.frag_overlap", "fragments overlap with different data") \
	X(IPV4_FRAG_IGNORED, "ipv4.frag_ignored", "fragment not kept") \
	X(ICMPV4_PKT_TOO_SMALL, "icmpv4.pkt_too_small", "header does not fit") \
	X(ICMPV4_UNKNOWN_TYPE, "icmpv4.unknown_type", "unassigned type") \
	X(ICMPV4_UNKNOWN_CODE, "icmpv4.unknown_code", "unassigned code") \
	X(ICMPV4_IPV4_TRUNC_PKT, "icmpv4.ipv4_trunc_pkt", "the embedded IPv4 header is cut off") \
	X(ICMPV4_IPV4_UNKNOWN_VER, "icmpv4.ipv4_unknown_ver", "the embedded header is not IPv4") \
	X(ICMPV6_PKT_TOO_SMALL, "icmpv6.pkt_too_small", "header does not fit") \
	X(ICMPV6_UNKNOWN_TYPE, "icmpv6.unknown_type", "unassigned type") \
	X(ICMPV6_UNKNOWN_CODE, "icmpv6.unknown_code", "unassigned code") \
	X(ICMPV6_IPV6_UNKNOWN_VERSION, "icmpv6.ipv6_unknown_version", "the embedded header is not IPv6") \
	X(ICMPV6_IPV6_TRUNC_PKT, "icmpv6.ipv6_trunc_pkt", "the embedded IPv6 header is cut off") \
	X(ICMPV6_MLD_MESSAGE_WITH_INVALID_HL, "icmpv6.mld_message_with_invalid_hl", "MLD message whose hop limit is not 1") \
	X(ICMPV6_UNASSIGNED_TYPE, "icmpv6.unassigned_type", "type that IANA has not assigned") \
	X(ICMPV6_EXPERIMENTATION_TYPE, "icmpv6.experimentation_type", "type for private experiments") \
	X(IPV6_PKT_TOO_SMALL, "ipv6.pkt_too_small", "IPv6 header does not fit") \
	X(IPV6_TRUNC_PKT, "ipv6.trunc_pkt", "payload length beyond the captured bytes") \
	X(IPV6_TRUNC_EXTHDR, "ipv6.trunc_exthdr", "extension header is cut off") \
	X(IPV6_EXTHDR_DUPL_FH, "ipv6.exthdr_dupl_fh", "two fragment headers") \
	X(IPV6_EXTHDR_USELESS_FH, "ipv6.exthdr_useless_fh", "fragment header on a whole datagram") \
	X(IPV6_EXTHDR_DUPL_RH, "ipv6.exthdr_dupl_rh", "two routing headers") \
	X(IPV6_EXTHDR_DUPL_HH, "ipv6.exthdr_dupl_hh", "two hop-by-hop headers") \
	X(IPV6_EXTHDR_DUPL_DH, "ipv6.exthdr_dupl_dh", "three destination options headers") \
	X(IPV6_EXTHDR_DUPL_AH, "ipv6.exthdr_dupl_ah", "two authentication headers") \
	X(IPV6_EXTHDR_DUPL_EH, "ipv6.exthdr_dupl_eh", "two ESP headers") \
	X(IPV6_EXTHDR_INVALID_OPTLEN, "ipv6.exthdr_invalid_optlen", "an option's length is invalid") \
	X(IPV6_WRONG_IP_VERSION, "ipv6.wrong_ip_version", "version is not 6") \
	X(IPV6_EXTHDR_AH_RES_NOT_NULL, "ipv6.exthdr_ah_res_not_null", "reserved field of AH is not zero") \
	X(IPV6_HOPOPTS_UNKNOWN_OPT, "ipv6.hopopts_unknown_opt", "unknown hop-by-hop option") \
	X(IPV6_HOPOPTS_ONLY_PADDING, "ipv6.hopopts_only_padding", "hop-by-hop header of padding only") \
	X(IPV6_DSTOPTS_UNKNOWN_OPT, "ipv6.dstopts_unknown_opt", "unknown destination option") \
	X(IPV6_DSTOPTS_ONLY_PADDING, "ipv6.dstopts_only_padding", "destination options header of padding only") \
	X(IPV6_RH_TYPE_0, "ipv6.rh_type_0", "routing header of type 0") \
	X(IPV6_ZERO_LEN_PADN, "ipv6.zero_len_padn", "PadN option without data") \
	X(IPV6_FH_NON_ZERO_RESERVED_FIELD, "ipv6.fh_non_zero_reserved_field", "reserved bits of the fragment header are set") \
	X(IPV6_DATA_AFTER_NONE_HEADER, "ipv6.data_after_none_header", "data behind next header 59") \
	X(IPV6_UNKNOWN_NEXT_HEADER, "ipv6.unknown_next_header", "unassigned next header") \
	X(IPV6_ICMPV4, "ipv6.icmpv4", "ICMPv4 inside IPv6") \
	X(IPV6_FRAG_PKT_TOO_LARGE, "ipv6.frag_pkt_too_large", "fragments reach beyond 65,535 bytes") \
	X(IPV6_FRAG_OVERLAP, "ipv6.frag_overlap", "fragments overlap with different data") \
	X(IPV6_FRAG_INVALID_LENGTH, "ipv6.frag_invalid_length", "a fragment but the last is no multiple of 8 long") \
	X(IPV6_FRAG_IGNORED, "ipv6.frag_ignored", "fragment not kept") \
	X(IPV6_IPV4_IN_IPV6_TOO_SMALL, "ipv6.ipv4_in_ipv6_too_small", "tunnelled IPv4 header does not fit") \
	X(IPV6_IPV4_IN_IPV6_WRONG_VERSION, "ipv6.ipv4_in_ipv6_wrong_version", "tunnelled header is not IPv4") \
	X(IPV6_IPV6_IN_IPV6_TOO_SMALL, "ipv6.ipv6_in_ipv6_too_small", "tunnelled IPv6 header does not fit") \
	X(IPV6_IPV6_IN_IPV6_WRONG_VERSION, "ipv6.ipv6_in_ipv6_wrong_version", "tunnelled header is not IPv6") \
	X(TCP_PKT_TOO_SMALL, "tcp.pkt_too_small", "TCP header does not fit") \
	X(TCP_HLEN_TOO_SMALL, "tcp.hlen_too_small", "data offset below 5 words") \
	X(TCP_INVALID_OPTLEN, "tcp.invalid_optlen", "data offset beyond the segment") \
	X(TCP_OPT_INVALID_LEN, "tcp.opt_invalid_len", "an option's length is invalid") \
	X(TCP_OPT_DUPLICATE, "tcp.opt_duplicate", "an option occurs twice") \
	X(UDP_PKT_TOO_SMALL, "udp.pkt_too_small", "UDP length beyond the datagram's end") \
	X(UDP_HLEN_TOO_SMALL, "udp.hlen_too_small", "UDP header does not fit") \
	X(UDP_HLEN_INVALID, "udp.hlen_invalid", "bytes in the datagram behind the UDP length") \
	X(UDP_LEN_INVALID, "udp.len_invalid", "UDP length below 8") \
	X(SLL_PKT_TOO_SMALL, "sll.pkt_too_small", "Linux cooked header does not fit") \
	X(SLL2_PKT_TOO_SMALL, "sll2.pkt_too_small", "Linux cooked v2 header does not fit") \
	X(ETHERNET_PKT_TOO_SMALL, "ethernet.pkt_too_small", "Ethernet header does not fit") \
	X(ETHERNET_UNKNOWN_ETHERTYPE, "ethernet.unknown_ethertype", "EtherType that no decoder knows") \
	X(PPP_PKT_TOO_SMALL, "ppp.pkt_too_small", "PPP header does not fit") \
	X(PPP_VJU_PKT_TOO_SMALL, "ppp.vju_pkt_too_small", "Van Jacobson uncompressed packet does not fit") \
	X(PPP_IP4_PKT_TOO_SMALL, "ppp.ip4_pkt_too_small", "IPv4 header does not fit") \
	X(PPP_IP6_PKT_TOO_SMALL, "ppp.ip6_pkt_too_small", "IPv6 header does not fit") \
	X(PPP_WRONG_TYPE, "ppp.wrong_type", "unassigned PPP protocol") \
	X(PPP_UNSUP_PROTO, "ppp.unsup_proto", "PPP protocol without a decoder") \
	X(PPPOE_PKT_TOO_SMALL, "pppoe.pkt_too_small", "PPPoE header does not fit") \
	X(PPPOE_WRONG_CODE, "pppoe.wrong_code", "unassigned PPPoE code") \
	X(PPPOE_MALFORMED_TAGS, "pppoe.malformed_tags", "discovery tags are cut off") \
	X(GRE_PKT_TOO_SMALL, "gre.pkt_too_small", "GRE header does not fit") \
	X(GRE_WRONG_VERSION, "gre.wrong_version", "version above 1") \
	X(GRE_VERSION0_RECUR, "gre.version0_recur", "recursion control is not zero") \
	X(GRE_VERSION0_FLAGS, "gre.version0_flags", "reserved flags are set") \
	X(GRE_VERSION0_HDR_TOO_BIG, "gre.version0_hdr_too_big", "header beyond the packet") \
	X(GRE_VERSION0_MALFORMED_SRE_HDR, "gre.version0_malformed_sre_hdr", "source route entry is cut off") \
	X(GRE_VERSION1_CHKSUM, "gre.version1_chksum", "checksum flag in version 1") \
	X(GRE_VERSION1_ROUTE, "gre.version1_route", "routing flag in version 1") \
	X(GRE_VERSION1_SSR, "gre.version1_ssr", "strict source route flag in version 1") \
	X(GRE_VERSION1_RECUR, "gre.version1_recur", "recursion control in version 1") \
	X(GRE_VERSION1_FLAGS, "gre.version1_flags", "reserved flags in version 1") \
	X(GRE_VERSION1_NO_KEY, "gre.version1_no_key", "version 1 without a key") \
	X(GRE_VERSION1_WRONG_PROTOCOL, "gre.version1_wrong_protocol", "version 1 whose protocol is not PPP") \
	X(GRE_VERSION1_MALFORMED_SRE_HDR, "gre.version1_malformed_sre_hdr", "source route entry in version 1") \
	X(GRE_VERSION1_HDR_TOO_BIG, "gre.version1_hdr_too_big", "header beyond the packet") \
	X(VLAN_HEADER_TOO_SMALL, "vlan.header_too_small", "802.1Q tag is cut off") \
	X(VLAN_UNKNOWN_TYPE, "vlan.unknown_type", "EtherType behind a tag that no decoder knows") \
	X(VLAN_TOO_MANY_LAYERS, "vlan.too_many_layers", "more than three tags") \
	X(IEEE8021AH_HEADER_TOO_SMALL, "ieee8021ah.header_too_small", "802.1ah tag is cut off") \
	X(VNTAG_HEADER_TOO_SMALL, "vntag.header_too_small", "VN-Tag is cut off") \
	X(VNTAG_UNKNOWN_TYPE, "vntag.unknown_type", "EtherType behind a VN-Tag that no decoder knows") \
	X(ETAG_HEADER_TOO_SMALL, "etag.header_too_small", "802.1BR tag is cut off") \
	X(ETAG_UNKNOWN_TYPE, "etag.unknown_type", "EtherType behind an 802.1BR tag that no decoder knows") \
	X(CMD_HEADER_TOO_SMALL, "cmd.header_too_small", "Cisco MetaData tag is cut off") \
	X(CMD_UNKNOWN_TYPE, "cmd.unknown_type", "EtherType behind a Cisco MetaData tag that no decoder knows") \
	X(HSR_HEADER_TOO_SMALL, "hsr.header_too_small", "HSR tag is cut off") \
	X(HSR_UNKNOWN_TYPE, "hsr.unknown_type", "EtherType behind an HSR tag that no decoder knows") \
	X(FRER_HEADER_TOO_SMALL, "frer.header_too_small", "R-TAG is cut off") \
	X(MACSEC_HEADER_TOO_SMALL, "macsec.header_too_small", "MACsec tag is cut off") \
	X(FRER_UNKNOWN_TYPE, "frer.unknown_type", "EtherType behind an R-TAG that no decoder knows") \
	X(IPRAW_INVALID_IP_VERSION, "ipraw.invalid_ip_version", "raw packet that is neither IPv4 nor IPv6") \
	X(LTNULL_PKT_TOO_SMALL, "ltnull.pkt_too_small", "null header does not fit") \
	X(LTNULL_UNSUPPORTED_TYPE, "ltnull.unsupported_type", "null header's family is not IP") \
	X(SCTP_PKT_TOO_SMALL, "sctp.pkt_too_small", "SCTP header does not fit") \
	X(SCTP_TOO_MANY_CHUNKS, "sctp.too_many_chunks", "more chunks than are followed") \
	X(SCTP_CHUNK_TOO_SMALL, "sctp.chunk_too_small", "chunk length below 4") \
	X(SCTP_CHUNK_TRUNC, "sctp.chunk_trunc", "chunk beyond the packet") \
	X(ESP_PKT_TOO_SMALL, "esp.pkt_too_small", "ESP header does not fit") \
	X(AH_PKT_TOO_SMALL, "ah.pkt_too_small", "AH header does not fit") \
	X(IGMP_PKT_TOO_SMALL, "igmp.pkt_too_small", "IGMP message does not fit") \
	X(IGMP_V3_PKT_TOO_SMALL, "igmp.v3_pkt_too_small", "sources or group records of an IGMPv3 message are cut off") \
	X(IGMP_MALFORMED, "igmp.malformed", "a group record of an IGMPv3 report reaches beyond the message") \
	X(MPLS_HEADER_TOO_SMALL, "mpls.header_too_small", "label does not fit") \
	X(MPLS_PKT_TOO_SMALL, "mpls.pkt_too_small", "nothing behind the labels") \
	X(MPLS_BAD_LABEL_ROUTER_ALERT, "mpls.bad_label_router_alert", "router alert label at the bottom") \
	X(MPLS_BAD_LABEL_IMPLICIT_NULL, "mpls.bad_label_implicit_null", "implicit null label on the wire") \
	X(MPLS_BAD_LABEL_RESERVED, "mpls.bad_label_reserved", "reserved label") \
	X(MPLS_UNKNOWN_PAYLOAD_TYPE, "mpls.unknown_payload_type", "payload is neither IP nor Ethernet") \
	X(VXLAN_UNKNOWN_PAYLOAD_TYPE, "vxlan.unknown_payload_type", "payload has no decoder (VXLAN-GPE)") \
	X(GTP_UNKNOWN_PAYLOAD_TYPE, "gtp.unknown_payload_type", "payload is no IP packet") \
	X(GENEVE_UNKNOWN_PAYLOAD_TYPE, "geneve.unknown_payload_type", "payload has no decoder") \
	X(ERSPAN_HEADER_TOO_SMALL, "erspan.header_too_small", "ERSPAN header does not fit") \
	X(ERSPAN_UNSUPPORTED_VERSION, "erspan.unsupported_version", "ERSPAN version that is not known") \
	X(ERSPAN_TOO_MANY_VLAN_LAYERS, "erspan.too_many_vlan_layers", "no room for the session's VLAN") \
	X(DCE_PKT_TOO_SMALL, "dce.pkt_too_small", "Cisco fabric path header does not fit") \
	X(CHDLC_PKT_TOO_SMALL, "chdlc.pkt_too_small", "Cisco HDLC header does not fit") \
	X(NSH_HEADER_TOO_SMALL, "nsh.header_too_small", "service header does not fit") \
	X(NSH_UNSUPPORTED_VERSION, "nsh.unsupported_version", "version is not 0") \
	X(NSH_BAD_HEADER_LENGTH, "nsh.bad_header_length", "length is invalid") \
	X(NSH_RESERVED_TYPE, "nsh.reserved_type", "reserved metadata type") \
	X(NSH_UNSUPPORTED_TYPE, "nsh.unsupported_type", "metadata type that is not known") \
	X(NSH_UNKNOWN_PAYLOAD, "nsh.unknown_payload", "payload has no decoder") \
	X(ARP_PKT_TOO_SMALL, "arp.pkt_too_small", "ARP message does not fit") \
	X(ARP_UNSUPPORTED_HARDWARE, "arp.unsupported_hardware", "hardware type is not Ethernet") \
	X(ARP_UNSUPPORTED_PROTOCOL, "arp.unsupported_protocol", "protocol type is not IPv4") \
	X(ARP_UNSUPPORTED_PKT, "arp.unsupported_pkt", "longer than an ARP message") \
	X(ARP_INVALID_HARDWARE_SIZE, "arp.invalid_hardware_size", "hardware address length is not 6") \
	X(ARP_INVALID_PROTOCOL_SIZE, "arp.invalid_protocol_size", "protocol address length is not 4") \
	X(ARP_UNSUPPORTED_OPCODE, "arp.unsupported_opcode", "operation that no ARP, RARP or InARP message has") \
	X(TOO_MANY_LAYERS, "too_many_layers", "more nested headers than are followed") \
	X(AFP_TRUNC_PKT, "afp.trunc_pkt", "the port cut the frame short")

#define DECODE_EVENT_ENUM(id, name, help) DECODE_##id,
enum decode_event { DECODE_EVENTS(DECODE_EVENT_ENUM) DECODE_EVENT_COUNT };
#undef DECODE_EVENT_ENUM

enum { DECODE_EVENT_WORDS = 3 };

_Static_assert(DECODE_EVENT_COUNT <= DECODE_EVENT_WORDS * 64, "every event has a bit");

struct decode_event_desc {
	const char *name; /* "ipv4.trunc_pkt" */
	const char *help;
};

extern const struct decode_event_desc decode_event_table[DECODE_EVENT_COUNT];

/** Packets with each event: "decoder.event.ipv4.trunc_pkt". */
extern const struct counter_desc decode_event_counters[DECODE_EVENT_COUNT];

/** The event of a name, without "decoder."; -1: there is none. */
int decode_event_find(const char *name);

#endif
