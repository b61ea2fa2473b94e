/* Every general keyword: one row each. Fields and keywords of protocols come from the protocols' own tables. */
#include <string.h>

#include "lib/rule/keyword.h"

const struct rule_keyword rule_keywords[] = {
	{ "msg", rule_setup_msg, KEYWORD_VALUE | KEYWORD_QUOTED, "text of the alert" },
	{ "sid", rule_setup_sid, KEYWORD_VALUE, "number of the rule" },
	{ "rev", rule_setup_rev, KEYWORD_VALUE, "revision of the rule" },
	{ "gid", rule_setup_gid, KEYWORD_VALUE, "group of the number, 1 by default" },
	{ "classtype", rule_setup_classtype, KEYWORD_VALUE, "class, from classification.config" },
	{ "priority", rule_setup_priority, KEYWORD_VALUE, "1 (most urgent) to 255" },
	{ "reference", rule_setup_reference, KEYWORD_VALUE, "scheme,value" },
	{ "metadata", rule_setup_metadata, KEYWORD_VALUE, "key value, key value" },
	{ "target", rule_setup_target, KEYWORD_VALUE, "src_ip or dest_ip: the attacked end" },
	{ "noalert", rule_setup_noalert, KEYWORD_NO_VALUE, "matches and sets state, but gives no alert" },
	{ "alert", rule_setup_ignored, 0, "the default" },
	{ "requires", rule_setup_requires, KEYWORD_VALUE, "conditions for loading" },
	{ "prefilter", rule_setup_ignored, 0, "accepted: what is looked at first is chosen here" },
	{ "bypass", rule_setup_ignored, 0, "accepted: a passive sensor bypasses nothing" },
	{ "content", rule_setup_content, KEYWORD_VALUE, "bytes that must (or, with !, must not) occur" },
	{ "nocase", rule_setup_nocase, KEYWORD_NO_VALUE, "case does not matter" },
	{ "offset", rule_setup_offset, KEYWORD_VALUE, "bytes to skip from the start" },
	{ "depth", rule_setup_depth, KEYWORD_VALUE, "bytes to look into, from the offset" },
	{ "distance", rule_setup_distance, KEYWORD_VALUE, "bytes to skip behind the match before" },
	{ "within", rule_setup_within, KEYWORD_VALUE, "bytes to look into behind the match before" },
	{ "startswith", rule_setup_startswith, KEYWORD_NO_VALUE, "only at the start" },
	{ "endswith", rule_setup_endswith, KEYWORD_NO_VALUE, "only at the end" },
	{ "rawbytes", rule_setup_rawbytes, 0, "accepted: payload is always raw" },
	{ "fast_pattern", rule_setup_fast_pattern, 0, "choose this content as the one looked for first" },
	{ "isdataat", rule_setup_isdataat, KEYWORD_VALUE, "[!]bytes[,relative]: there is data that far" },
	{ "bsize", rule_setup_bsize, KEYWORD_VALUE, "size of the sticky buffer" },
	{ "pkt_data", rule_setup_pkt_data, KEYWORD_NO_VALUE, "later content looks into the payload again" },
	{ "ether.hdr", rule_setup_buffer_ether, KEYWORD_NO_VALUE, "the Ethernet header" },
	{ "ipv4.hdr", rule_setup_buffer_ipv4, KEYWORD_NO_VALUE, "the IPv4 header" },
	{ "ipv6.hdr", rule_setup_buffer_ipv6, KEYWORD_NO_VALUE, "the IPv6 header" },
	{ "tcp.hdr", rule_setup_buffer_tcp, KEYWORD_NO_VALUE, "the TCP header" },
	{ "udp.hdr", rule_setup_buffer_udp, KEYWORD_NO_VALUE, "the UDP header" },
	{ "icmpv4.hdr", rule_setup_buffer_icmpv4, KEYWORD_NO_VALUE, "the ICMPv4 header and message" },
	{ "icmpv6.hdr", rule_setup_buffer_icmpv6, KEYWORD_NO_VALUE, "the ICMPv6 header and message" },
	{ "pcre", rule_setup_pcre, KEYWORD_VALUE, "[!]\"/expression/flags\", flags i s m x A E G R B" },
	{ "byte_test", rule_setup_byte_test, KEYWORD_VALUE, "bytes, [!]operator, value, offset [, relative, endian, string base, bitmask]" },
	{ "byte_jump", rule_setup_byte_jump, KEYWORD_VALUE, "bytes, offset [, relative, multiplier, align, from_beginning, from_end, post_offset, ...]" },
	{ "byte_extract", rule_setup_byte_extract, KEYWORD_VALUE, "bytes, offset, name [, relative, multiplier, ...]" },
	{ "byte_math", rule_setup_byte_math, KEYWORD_VALUE, "bytes N, offset N, oper + - * / << >>, rvalue N, result name [, ...]" },
	{ "flow", rule_setup_flow, KEYWORD_VALUE, "to_server, to_client, established, not_established, stateless, only_stream, no_stream" },
	{ "flowbits", rule_setup_flowbits, KEYWORD_VALUE, "set|unset|toggle|isset|isnotset,name[|name], or noalert" },
	{ "hostbits", rule_setup_hostbits, KEYWORD_VALUE, "set|unset|toggle|isset|isnotset,name,src|dst" },
	{ "xbits", rule_setup_xbits, KEYWORD_VALUE, "set|unset|toggle|isset|isnotset,name,track ip_src|ip_dst|ip_pair[,expire seconds]" },
	{ "stream_size", rule_setup_stream_size, KEYWORD_VALUE, "server|client|both|either, operator, bytes" },
	{ "flow.age", rule_setup_flow_age, KEYWORD_VALUE, "seconds since the flow began" },
	{ "flow.pkts", rule_setup_flow_pkts, KEYWORD_VALUE, "toserver|toclient|either|both,number" },
	{ "flow.pkts_toserver", rule_setup_flow_pkts_toserver, KEYWORD_VALUE, "packets of the originator" },
	{ "flow.pkts_toclient", rule_setup_flow_pkts_toclient, KEYWORD_VALUE, "packets of the responder" },
	{ "flow.bytes", rule_setup_flow_bytes, KEYWORD_VALUE, "toserver|toclient|either|both,number" },
	{ "flow.bytes_toserver", rule_setup_flow_bytes_toserver, KEYWORD_VALUE, "bytes of the originator" },
	{ "flow.bytes_toclient", rule_setup_flow_bytes_toclient, KEYWORD_VALUE, "bytes of the responder" },
	{ "dsize", rule_setup_dsize, KEYWORD_VALUE, "bytes of the packet's payload" },
	{ "ttl", rule_setup_ttl, KEYWORD_VALUE, "time to live, hop limit" },
	{ "itype", rule_setup_itype, KEYWORD_VALUE, "ICMP type" },
	{ "icode", rule_setup_icode, KEYWORD_VALUE, "ICMP code" },
	{ "icmp_id", rule_setup_icmp_id, KEYWORD_VALUE, "ICMP echo identifier" },
	{ "icmp_seq", rule_setup_icmp_seq, KEYWORD_VALUE, "ICMP echo sequence number" },
	{ "ip_proto", rule_setup_ip_proto, KEYWORD_VALUE, "IP protocol number or name" },
	{ "tcp.flags", rule_setup_tcp_flags, KEYWORD_VALUE, "[+*!]FSRPAUEC0[,ignored]" },
	{ "flags", rule_setup_tcp_flags, KEYWORD_VALUE, "[+*!]FSRPAUEC0[,ignored]" },
	{ "seq", rule_setup_seq, KEYWORD_VALUE, "TCP sequence number" },
	{ "tcp.seq", rule_setup_seq, KEYWORD_VALUE, "TCP sequence number" },
	{ "ack", rule_setup_ack, KEYWORD_VALUE, "TCP acknowledgment number" },
	{ "tcp.ack", rule_setup_ack, KEYWORD_VALUE, "TCP acknowledgment number" },
	{ "window", rule_setup_window, KEYWORD_VALUE, "TCP window" },
	{ "tcp.window", rule_setup_window, KEYWORD_VALUE, "TCP window" },
	{ "tcp.mss", rule_setup_tcp_mss, KEYWORD_VALUE, "TCP maximum segment size option" },
	{ "tcp.wscale", rule_setup_tcp_wscale, KEYWORD_VALUE, "TCP window scale option" },
	{ "ipopts", rule_setup_ipopts, KEYWORD_VALUE, "an IPv4 option by name" },
	{ "vlan.id", rule_setup_vlan_id, KEYWORD_VALUE, "VLAN, and the layer: -3 to 2, any, all" },
	{ "vlan.layers", rule_setup_vlan_layers, KEYWORD_VALUE, "number of VLAN tags" },
	{ "id", rule_setup_id, KEYWORD_VALUE, "IPv4 identification" },
	{ "tos", rule_setup_tos, KEYWORD_VALUE, "type of service, traffic class" },
	{ "fragoffset", rule_setup_fragoffset, KEYWORD_VALUE, "fragment offset" },
	{ "fragbits", rule_setup_fragbits, KEYWORD_VALUE, "[+*!]MDR" },
	{ "sameip", rule_setup_sameip, KEYWORD_NO_VALUE, "source and destination address are equal" },
	{ "icmpv6.mtu", rule_setup_icmpv6_mtu, KEYWORD_VALUE, "MTU of ICMPv6 packet too big" },
	{ "l3_proto", rule_setup_l3_proto, KEYWORD_VALUE, "EtherType: number, ipv4, ipv6, arp" },
	{ "app-layer-event", rule_setup_app_layer_event, KEYWORD_VALUE, "protocol.event" },
	{ "app-layer-protocol", rule_setup_app_layer_protocol, KEYWORD_VALUE, "[!]protocol of the flow" },
	{ "decode-event", rule_setup_decode_event, KEYWORD_VALUE, "event of decoding" },
	{ "stream-event", rule_setup_stream_event, KEYWORD_VALUE, "event of TCP reassembly" },
	{ "threshold", rule_setup_threshold, KEYWORD_VALUE, "type limit|threshold|both|backoff, track by_src|by_dst|by_both|by_rule|by_flow, count N, seconds N" },
	{ "detection_filter", rule_setup_detection_filter, KEYWORD_VALUE, "track by_..., count N, seconds N: only beyond the count" },
	{ NULL, NULL, 0, NULL },
};

/* What well-known rule sets ask for and this sensor does not have: the reason by the keyword's beginning. */
static const struct {
	const char *prefix, *reason;
} keyword_missing[] = {
	{ "http", "protocol http has no parser here" },
	{ "file", "files are not extracted here" },
	{ "uricontent", "protocol http has no parser here" },
	{ "urilen", "protocol http has no parser here" },
	{ "tls", "protocol tls has no parser here" },
	{ "ssl", "protocol tls has no parser here" },
	{ "ja3", "protocol tls has no parser here" },
	{ "ja4", "protocol tls has no parser here" },
	{ "dns", "protocol dns has no parser here" },
	{ "ssh", "protocol ssh has no parser here" },
	{ "smb", "protocol smb has no parser here" },
	{ "dcerpc", "protocol dcerpc has no parser here" },
	{ "dce_", "protocol dcerpc has no parser here" },
	{ "smtp", "protocol smtp has no parser here" },
	{ "email", "protocol smtp has no parser here" },
	{ "ftp", "protocol ftp has no parser here" },
	{ "krb5", "protocol krb5 has no parser here" },
	{ "snmp", "protocol snmp has no parser here" },
	{ "sip", "protocol sip has no parser here" },
	{ "ike", "protocol ike has no parser here" },
	{ "quic", "protocol quic has no parser here" },
	{ "mqtt", "protocol mqtt has no parser here" },
	{ "lua", "scripts are not run in a passive sensor" },
	{ "dataset", "data sets are not here" },
	{ "datarep", "data sets are not here" },
	{ "iprep", "reputation lists are not here" },
	{ "geoip", "location data is not here" },
	{ "base64_", "base64 decoding is not here" },
	{ "asn1", "asn1 is not here" },
	{ "flowint", "integer variables of flows are not here" },
	{ "tag", "tagging of later packets is not here" },
	{ "dotprefix", "transforms of buffers are not here" },
	{ "to_", "transforms of buffers are not here" },
	{ "strip_", "transforms of buffers are not here" },
	{ "compress_", "transforms of buffers are not here" },
	{ "url_decode", "transforms of buffers are not here" },
	{ "xor", "transforms of buffers are not here" },
	{ "pcrexform", "transforms of buffers are not here" },
	{ "subslice", "transforms of buffers are not here" },
	{ "header_lowercase", "transforms of buffers are not here" },
	{ "domain", "transforms of buffers are not here" },
	{ "tld", "transforms of buffers are not here" },
	{ "rpc", "rpc is not here" },
	{ "replace", "a passive sensor replaces nothing" },
	{ "absent", "absent is not here" },
	{ "entropy", "entropy is not here" },
};

const char *
rule_keyword_missing(const char *name)
{
	for (unsigned int i = 0; i < sizeof(keyword_missing) / sizeof(keyword_missing[0]); i++)
		if (strncasecmp(name, keyword_missing[i].prefix, strlen(keyword_missing[i].prefix)) == 0)
			return keyword_missing[i].reason;
	return NULL;
}

void
rule_reference(struct buf *out)
{
	buf_puts(out, "| keyword | value |\n|---|---|\n");
	for (const struct rule_keyword *keyword = rule_keywords; keyword->name != NULL; keyword++) {
		buf_puts(out, "| `");
		buf_puts(out, keyword->name);
		buf_puts(out, "` | ");
		for (const char *at = keyword->help; *at != '\0'; at++) {
			if (*at == '|')
				buf_putc(out, '\\');
			buf_putc(out, *at);
		}
		buf_puts(out, " |\n");
	}
}
