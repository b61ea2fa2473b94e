/* Setup functions of the keywords, by the file they live in; keywords.c lists them. */
#ifndef MR_RULE_KEYWORD_H
#define MR_RULE_KEYWORD_H

#include "lib/rule/rule_parser.h"

#define RULE_KEYWORD_SETUPS(X) \
	/* keyword_meta.c */ \
	X(msg) X(sid) X(rev) X(gid) X(classtype) X(priority) X(reference) X(metadata) X(target) X(noalert) X(alert) X(requires) X(config) X(ignored) \
	/* keyword_content.c */ \
	X(content) X(nocase) X(offset) X(depth) X(distance) X(within) X(startswith) X(endswith) X(rawbytes) X(fast_pattern) \
	X(isdataat) X(bsize) X(pkt_data) X(buffer_ether) X(buffer_ipv4) X(buffer_ipv6) X(buffer_tcp) X(buffer_udp) \
	X(buffer_icmpv4) X(buffer_icmpv6) \
	/* keyword_payload.c */ \
	X(absent) X(base64_decode) X(base64_data) X(entropy) X(asn1) X(rpc) X(ip_src) X(ip_dst) X(buffer_igmp) X(buffer_sctp) X(buffer_sctp_data) X(replace) \
	/* keyword_buffer.c */ \
	X(file_data) X(uricontent) X(urilen) \
	/* keyword_transform.c */ \
	X(dotprefix) X(to_lowercase) X(to_uppercase) X(strip_whitespace) X(compress_whitespace) X(strip_pseudo_headers) \
	X(header_lowercase) X(url_decode) X(to_md5) X(to_sha1) X(to_sha256) X(xor) X(pcrexform) X(from_base64) X(subslice) X(gunzip) X(zlib_deflate) \
	X(domain) X(tld) \
	/* keyword_dataset.c */ \
	X(dataset) X(datarep) \
	/* keyword_file.c */ \
	X(file_name) X(filename) X(fileext) X(filesize) X(filestore) X(filemd5) X(filesha1) X(filesha256) \
	/* keyword_address.c */ \
	X(iprep) X(geoip) \
	/* keyword_state.c */ \
	X(flowint) X(flowvar) X(pktvar) X(tag) \
	/* keyword_pcre.c */ \
	X(pcre) \
	/* keyword_byte.c */ \
	X(byte_test) X(byte_jump) X(byte_extract) X(byte_math) \
	/* keyword_flow.c */ \
	X(flow) X(flowbits) X(hostbits) X(xbits) X(stream_size) X(flow_age) X(flow_pkts_toserver) X(flow_pkts_toclient) \
	X(flow_bytes_toserver) X(flow_bytes_toclient) X(flow_pkts) X(flow_bytes) X(flow_elephant) \
	/* keyword_packet.c */ \
	X(dsize) X(ttl) X(itype) X(icode) X(icmp_id) X(ip_proto) X(tcp_flags) X(seq) X(ack) X(window) X(tcp_mss) X(tcp_wscale) \
	X(ipopts) X(vlan_id) X(vlan_layers) X(id) X(tos) X(fragoffset) X(fragbits) X(sameip) X(icmpv6_mtu) X(icmp_seq) X(l3_proto) X(igmp_type) \
	X(sctp_vtag) X(sctp_chunk_cnt) X(sctp_chunk_type) X(tcp_session) \
	X(ipv4_csum) X(tcpv4_csum) X(tcpv6_csum) X(udpv4_csum) X(udpv6_csum) X(icmpv4_csum) X(icmpv6_csum) X(igmp_csum) \
	/* keyword_event.c */ \
	X(app_layer_event) X(app_layer_protocol) X(decode_event) X(stream_event) \
	/* keyword_threshold.c */ \
	X(threshold) X(detection_filter)

#define RULE_KEYWORD_DECLARE(name) int rule_setup_##name(struct rule_parser *parser, char *value);
RULE_KEYWORD_SETUPS(RULE_KEYWORD_DECLARE)
#undef RULE_KEYWORD_DECLARE

#endif
