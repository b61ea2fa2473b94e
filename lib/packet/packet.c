/* The cold side: creation, tables of keys and counters, and what the capture side asks of raw frames. */
#include "lib/packet/packet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/packet/decode.h"

const char *const packet_source_names[PACKET_SOURCE_COUNT] = {
	[PACKET_SOURCE_WIRE] = "wire/pcap",
	[PACKET_SOURCE_GRE] = "gre tunnel",
	[PACKET_SOURCE_ERSPAN] = "erspan tunnel",
	[PACKET_SOURCE_IPV6_TUNNEL] = "ipv6 tunnel",
	[PACKET_SOURCE_IPV4_TUNNEL] = "ipv4 tunnel",
	[PACKET_SOURCE_TEREDO] = "teredo tunnel",
	[PACKET_SOURCE_VXLAN] = "vxlan encapsulation",
	[PACKET_SOURCE_GENEVE] = "geneve encapsulation",
	[PACKET_SOURCE_GTP] = "gtp-u tunnel",
	[PACKET_SOURCE_L2TP] = "l2tp tunnel",
	[PACKET_SOURCE_CAPWAP] = "capwap tunnel",
	[PACKET_SOURCE_DEFRAG] = "defrag",
	[PACKET_SOURCE_FLOW_TIMEOUT] = "stream (flow timeout)",
};

#define AT(field) offsetof(struct packet_config, field)

static const struct knob knobs[] = {
	{ "vlan.use-for-tracking", KNOB_BOOL, AT(vlan_tracking), 0, 0, "yes", NULL,
		"VLAN tags are part of what names a flow" },
	{ "decoder.recursion-level.use-for-tracking", KNOB_BOOL, AT(recursion_tracking), 0, 0, "yes", NULL,
		"the tunnel depth is part of what names a flow" },
	{ "decoder.checksum-validation", KNOB_BOOL, AT(checksum_validation), 0, 0, "yes", NULL,
		"verify IPv4, TCP, UDP and ICMP checksums that the port did not" },
	{ "decoder.vxlan.enabled", KNOB_BOOL, AT(vxlan), 0, 0, "yes", NULL, "look into VXLAN" },
	{ "decoder.vxlan.ports", KNOB_LIST, AT(vxlan_ports), 0, 0, NULL, NULL, "its UDP ports; 4789 when not given" },
	{ "decoder.vxlan-gpe.enabled", KNOB_BOOL, AT(vxlan_gpe), 0, 0, "yes", NULL, "look into VXLAN-GPE" },
	{ "decoder.vxlan-gpe.ports", KNOB_LIST, AT(vxlan_gpe_ports), 0, 0, NULL, NULL, "its UDP ports; 4790 when not given" },
	{ "decoder.geneve.enabled", KNOB_BOOL, AT(geneve), 0, 0, "yes", NULL, "look into Geneve" },
	{ "decoder.geneve.ports", KNOB_LIST, AT(geneve_ports), 0, 0, NULL, NULL,
		"its UDP ports; 6081 when not given" },
	{ "decoder.teredo.enabled", KNOB_BOOL, AT(teredo), 0, 0, "yes", NULL, "look into Teredo" },
	{ "decoder.teredo.ports", KNOB_LIST, AT(teredo_ports), 0, 0, NULL, NULL,
		"its UDP ports; 3544 when not given" },
	{ "decoder.gre-in-udp.enabled", KNOB_BOOL, AT(gre_in_udp), 0, 0, "yes", NULL, "look into GRE in UDP (RFC 8086)" },
	{ "decoder.gre-in-udp.ports", KNOB_LIST, AT(gre_in_udp_ports), 0, 0, NULL, NULL, "its UDP ports; 4754 when not given" },
	{ "decoder.gtp.enabled", KNOB_BOOL, AT(gtp), 0, 0, "yes", NULL, "look into GTP-U (3GPP TS 29.281), which carries what mobile networks do" },
	{ "decoder.gtp.ports", KNOB_LIST, AT(gtp_ports), 0, 0, NULL, NULL, "its UDP ports; 2152 when not given" },
	{ "decoder.l2tp.enabled", KNOB_BOOL, AT(l2tp), 0, 0, "yes", NULL, "look into L2TP over UDP (RFC 2661, 3931); over IP it always is" },
	{ "decoder.l2tp.ports", KNOB_LIST, AT(l2tp_ports), 0, 0, NULL, NULL, "its UDP ports; 1701 when not given" },
	{ "decoder.capwap.enabled", KNOB_BOOL, AT(capwap), 0, 0, "yes", NULL, "look into CAPWAP (RFC 5415), which brings a WLAN's frames to its controller" },
	{ "decoder.capwap.ports", KNOB_LIST, AT(capwap_ports), 0, 0, NULL, NULL, "its UDP ports of data; 5247 when not given" },
	{ "decoder.erspan.typeI.enabled", KNOB_BOOL, AT(erspan1), 0, 0, "yes", NULL, "look into ERSPAN type I" },
	{ "decoder.skip-redundant", KNOB_BOOL, AT(skip_redundant), 0, 0, "yes", NULL,
		"pass over the copies that HSR, PRP (IEC 62439-3) and FRER (IEEE 802.1CB) send over another path" },
	{ "decoder.max-layers", KNOB_NUMBER, AT(layers_max), 4, 32, "16", NULL, "headers followed in one packet" },
	{ .name = "decoder.ipv4.*", .type = KNOB_ACCEPTED, .help = "IP in IPv4 is always looked into" },
	{ .name = "decoder.ipv6.*", .type = KNOB_ACCEPTED, .help = "IP in IPv6 is always looked into" },
	{ .name = "decoder.vntag.*", .type = KNOB_ACCEPTED, .help = "VNTAG is always looked into" },
	{ "defrag.enabled", KNOB_BOOL, AT(defrag), 0, 0, "yes", NULL, "reassemble IP datagrams" },
	{ "defrag.memcap", KNOB_SIZE, AT(defrag_memcap_bytes), 1 << 20, UINT64_C(1) << 34, "32 MiB", NULL,
		"memory for fragments, for each worker" },
	{ "defrag.trackers", KNOB_NUMBER, AT(defrag_trackers_max), 16, 1 << 22, "16384", NULL,
		"datagrams in reassembly, for each worker" },
	{ "defrag.max-frags", KNOB_NUMBER, AT(defrag_frags_max), 16, 1 << 24, "65535", NULL,
		"fragments held, for each worker" },
	{ "defrag.timeout", KNOB_NUMBER, AT(defrag_timeout_s), 1, 3600, "60", NULL,
		"seconds until an unfinished datagram is dropped" },
	{ .name = "defrag.memcap-policy", .type = KNOB_ACCEPTED,
		.help = "fragments beyond the memory are dropped and counted" },
	{ .name = "defrag.hash-size", .type = KNOB_ACCEPTED, .help = "defrag.trackers bounds the table" },
	{ .name = "defrag.prealloc", .type = KNOB_ACCEPTED, .help = "memory is taken as fragments come" },
	{ .name = "defrag.host-config", .type = KNOB_ACCEPTED, .help = "one defrag.timeout is for all hosts" },
	{ "host-os-policy", KNOB_TREE, AT(host_os_policy), 0, 0, NULL, NULL,
		"lists of address ranges by overlap policy: first, last, bsd, linux, windows, solaris" },
};

const struct knob_table packet_knobs = { "packet", knobs, sizeof(knobs) / sizeof(knobs[0]) };

const struct counter_desc packet_counters[PACKET_COUNTER_COUNT] = {
	[PACKET_COUNTER_PKTS] = { "decoder.pkts", "frames decoded" },
	[PACKET_COUNTER_BYTES] = { "decoder.bytes", "their bytes on the wire" },
	[PACKET_COUNTER_INVALID] = { "decoder.invalid", "packets with a malformed header" },
	[PACKET_COUNTER_ETHERNET] = { "decoder.ethernet", "Ethernet headers" },
	[PACKET_COUNTER_LLC] = { "decoder.llc", "802.3 frames" },
	[PACKET_COUNTER_ARP] = { "decoder.arp", "ARP messages" },
	[PACKET_COUNTER_UNKNOWN_ETHERTYPE] = { "decoder.unknown_ethertype", "frames whose EtherType no layer decodes" },
	[PACKET_COUNTER_ETHER_FLOW] = { "decoder.ethernet_flow", "frames without IP that a protocol here reads" },
	[PACKET_COUNTER_VLAN] = { "decoder.vlan", "first 802.1Q tags" },
	[PACKET_COUNTER_VLAN_QINQ] = { "decoder.vlan_qinq", "second tags" },
	[PACKET_COUNTER_VLAN_QINQINQ] = { "decoder.vlan_qinqinq", "third tags" },
	[PACKET_COUNTER_VNTAG] = { "decoder.vntag", "VN-Tags" },
	[PACKET_COUNTER_ETAG] = { "decoder.etag", "802.1BR tags" },
	[PACKET_COUNTER_CMD] = { "decoder.cmd", "Cisco MetaData tags, which carry security groups" },
	[PACKET_COUNTER_HSR] = { "decoder.hsr", "HSR tags (IEC 62439-3): frames of a ring, sent both ways" },
	[PACKET_COUNTER_REDUNDANT] = { "decoder.redundant", "frames passed over: copies that HSR, PRP or FRER sent over another path" },
	[PACKET_COUNTER_FRER] = { "decoder.frer", "R-TAGs (IEEE 802.1CB): frames sent over several paths" },
	[PACKET_COUNTER_PRP] = { "decoder.prp", "PRP trailers (IEC 62439-3): frames sent over two networks" },
	[PACKET_COUNTER_MACSEC] = { "decoder.macsec", "MACsec tags (IEEE 802.1AE)" },
	[PACKET_COUNTER_MACSEC_ENCRYPTED] = { "decoder.macsec_encrypted", "of these, frames that are encrypted: nothing behind the tag is seen" },
	[PACKET_COUNTER_DCE] = { "decoder.dce", "Cisco fabric path headers" },
	[PACKET_COUNTER_IEEE8021AH] = { "decoder.ieee8021ah", "MAC-in-MAC (802.1ah) service tags" },
	[PACKET_COUNTER_MPLS] = { "decoder.mpls", "MPLS label stacks" },
	[PACKET_COUNTER_NSH] = { "decoder.nsh", "network service headers (RFC 8300)" },
	[PACKET_COUNTER_PPP] = { "decoder.ppp", "PPP headers" },
	[PACKET_COUNTER_PPPOE] = { "decoder.pppoe", "PPPoE headers" },
	[PACKET_COUNTER_RAW] = { "decoder.raw", "frames that begin with IP" },
	[PACKET_COUNTER_NULL] = { "decoder.null", "frames of a loopback device" },
	[PACKET_COUNTER_WLAN] = { "decoder.wlan", "802.11 frames" },
	[PACKET_COUNTER_SLL] = { "decoder.sll", "Linux cooked frames" },
	[PACKET_COUNTER_SLL2] = { "decoder.sll2", "Linux cooked frames, version 2" },
	[PACKET_COUNTER_IPV4] = { "decoder.ipv4", "IPv4 headers" },
	[PACKET_COUNTER_IPV6] = { "decoder.ipv6", "IPv6 headers" },
	[PACKET_COUNTER_TCP] = { "decoder.tcp", "TCP segments" },
	[PACKET_COUNTER_UDP] = { "decoder.udp", "UDP datagrams" },
	[PACKET_COUNTER_SCTP] = { "decoder.sctp", "SCTP packets" },
	[PACKET_COUNTER_ESP] = { "decoder.esp", "ESP packets" },
	[PACKET_COUNTER_IGMP] = { "decoder.igmp", "IGMP messages" },
	[PACKET_COUNTER_ICMPV4] = { "decoder.icmpv4", "ICMP messages" },
	[PACKET_COUNTER_ICMPV6] = { "decoder.icmpv6", "ICMPv6 messages" },
	[PACKET_COUNTER_GRE] = { "decoder.gre", "GRE headers" },
	[PACKET_COUNTER_ERSPAN] = { "decoder.erspan", "ERSPAN headers" },
	[PACKET_COUNTER_VXLAN] = { "decoder.vxlan", "VXLAN headers" },
	[PACKET_COUNTER_VXLAN_GPE] = { "decoder.vxlan_gpe", "VXLAN-GPE headers" },
	[PACKET_COUNTER_GENEVE] = { "decoder.geneve", "Geneve headers" },
	[PACKET_COUNTER_TEREDO] = { "decoder.teredo", "IPv6 packets in Teredo" },
	[PACKET_COUNTER_GRE_IN_UDP] = { "decoder.gre_in_udp", "GRE headers in UDP" },
	[PACKET_COUNTER_WCCP] = { "decoder.wccp", "packets that WCCP redirected, in GRE" },
	[PACKET_COUNTER_GTP] = { "decoder.gtp", "GTP-U headers before a packet" },
	[PACKET_COUNTER_L2TP] = { "decoder.l2tp", "L2TP headers before a packet" },
	[PACKET_COUNTER_CAPWAP] = { "decoder.capwap", "CAPWAP headers before a frame" },
	[PACKET_COUNTER_CAPWAP_FRAGMENTS] = { "decoder.capwap_fragments", "parts of frames in CAPWAP, which are not joined" },
	[PACKET_COUNTER_IPV4_IN_IPV4] = { "decoder.ipv4_in_ipv4", "IPv4 in IPv4" },
	[PACKET_COUNTER_IPV6_IN_IPV4] = { "decoder.ipv6_in_ipv4", "IPv6 in IPv4" },
	[PACKET_COUNTER_IPV4_IN_IPV6] = { "decoder.ipv4_in_ipv6", "IPv4 in IPv6" },
	[PACKET_COUNTER_IPV6_IN_IPV6] = { "decoder.ipv6_in_ipv6", "IPv6 in IPv6" },
	[PACKET_COUNTER_TOO_MANY_LAYERS] = { "decoder.too_many_layers", "packets with more headers than are followed" },
	[PACKET_COUNTER_MAX_PKT_SIZE] = { "decoder.max_pkt_size", "bytes of the largest frame" },
	[PACKET_COUNTER_CHECKSUM_IPV4] = { "decoder.checksum.ipv4", "wrong IPv4 header checksums" },
	[PACKET_COUNTER_CHECKSUM_TCP] = { "decoder.checksum.tcp", "wrong TCP checksums" },
	[PACKET_COUNTER_CHECKSUM_UDP] = { "decoder.checksum.udp", "wrong UDP checksums" },
	[PACKET_COUNTER_CHECKSUM_ICMP] = { "decoder.checksum.icmp", "wrong ICMP and ICMPv6 checksums" },
	[PACKET_COUNTER_CHECKSUM_IGMP] = { "decoder.checksum.igmp", "wrong IGMP checksums" },
	[PACKET_COUNTER_INNER_DROPPED] = { "decoder.inner_dropped", "inner packets without room in the burst" },
	[PACKET_COUNTER_FRAGMENTS_IPV4] = { "defrag.ipv4.fragments", "IPv4 fragments" },
	[PACKET_COUNTER_FRAGMENTS_IPV6] = { "defrag.ipv6.fragments", "IPv6 fragments" },
	[PACKET_COUNTER_REASSEMBLED_IPV4] = { "defrag.ipv4.reassembled", "IPv4 datagrams made whole" },
	[PACKET_COUNTER_REASSEMBLED_IPV6] = { "defrag.ipv6.reassembled", "IPv6 datagrams made whole" },
	[PACKET_COUNTER_DEFRAG_TIMEOUT] = { "defrag.timeout", "datagrams whose fragments did not all come in time" },
	[PACKET_COUNTER_DEFRAG_MAX_TRACKERS] = { "defrag.max_trackers_reached", "datagrams dropped for newer ones" },
	[PACKET_COUNTER_DEFRAG_MAX_FRAGS] = { "defrag.max_frags_reached", "fragments dropped: too many are held" },
	[PACKET_COUNTER_DEFRAG_MEMCAP] = { "defrag.memcap_drop", "fragments or datagrams dropped: no memory left" },
	[PACKET_COUNTER_DEFRAG_OVERLAP] = { "defrag.overlap_different_data", "fragments that contradict others" },
};

static int
ports_parse(struct decode_ports *out, bool enabled, json_t *list, uint16_t fallback)
{
	if (!enabled)
		return 0;
	if (list == NULL) {
		out->ports[out->count++] = fallback;
		return 0;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		char *end;
		long port;

		if (text == NULL || out->count == DECODE_PORTS_MAX)
			return -EINVAL;
		port = text[0] == '$' ? fallback : strtol(text, &end, 10);
		if (port < 1 || port > 65535 || (text[0] != '$' && *end != '\0'))
			return -EINVAL;
		out->ports[out->count++] = (uint16_t)port;
	}
	return 0;
}

static void
ports_note(struct decode_port_bits *bits, const struct decode_ports *ports)
{
	for (unsigned int i = 0; i < ports->count; i++) {
		bits->low |= UINT64_C(1) << (ports->ports[i] & 63);
		bits->high |= UINT64_C(1) << (ports->ports[i] >> 6 & 63);
	}
}

static int
tunnels_parse(struct packet_decoder *decoder, const struct packet_config *config)
{
	const struct {
		struct decode_ports *ports;
		json_t *list;
		uint16_t fallback;
		bool enabled, either; /* in either direction: else only to the port */
	} rows[] = {
		{ &decoder->vxlan, config->vxlan_ports, 4789, config->vxlan, false },
		{ &decoder->vxlan_gpe, config->vxlan_gpe_ports, 4790, config->vxlan_gpe, false },
		{ &decoder->geneve, config->geneve_ports, 6081, config->geneve, false },
		{ &decoder->teredo, config->teredo_ports, 3544, config->teredo, true },
		{ &decoder->gre_in_udp, config->gre_in_udp_ports, 4754, config->gre_in_udp, false },
		{ &decoder->gtp, config->gtp_ports, 2152, config->gtp, false },
		{ &decoder->l2tp, config->l2tp_ports, 1701, config->l2tp, true },
		{ &decoder->capwap, config->capwap_ports, 5247, config->capwap, true },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int error = ports_parse(rows[i].ports, rows[i].enabled, rows[i].list, rows[i].fallback);

		if (error != 0)
			return error;
		ports_note(&decoder->tunnel_to, rows[i].ports);
		if (rows[i].either)
			ports_note(&decoder->tunnel_from, rows[i].ports);
	}
	return 0;
}

int
packet_decoder_create(struct packet_decoder **out, const struct packet_config *config, _Atomic uint64_t *counters)
{
	struct packet_decoder *decoder;
	int error;

	if (config->flow_ether_type_count > PACKET_FLOW_ETHER_TYPES_MAX)
		return -EINVAL;
	decoder = calloc(1, sizeof(*decoder));
	if (decoder == NULL)
		return -ENOMEM;
	decoder->config = *config;
	decoder->counters = counters;
	error = tunnels_parse(decoder, config);
	decode_ether_kinds(decoder->ether_kinds, config);
	decoder->fast = true;
	if (error == 0 && config->skip_redundant)
		error = seen_create(&decoder->redundant);
	if (error == 0)
		error = defrag_create(&decoder->defrag, config);
	if (error < 0) {
		packet_decoder_destroy(decoder);
		return error;
	}
	*out = decoder;
	return 0;
}

void
packet_decoder_destroy(struct packet_decoder *decoder)
{
	if (decoder == NULL)
		return;
	defrag_destroy(decoder->defrag);
	free(decoder->redundant);
	free(decoder);
}

enum {
	VLAN_TCI_LEN = 2,
	SPREAD_TAGS_MAX = 6, /* looked behind to find the addresses of a frame */
};

bool
packet_vlan_tci(const struct packet *packet, uint16_t *tci)
{
	struct cursor in = cursor_of(packet->data, packet->len);
	bool found = false;

	if (!packet_is(packet, PACKET_ETHERNET) || packet->vlan_count == 0)
		return false;
	cursor_skip(&in, packet->l2_off + 12u);
	/* Each tag is skipped over; other switches' tags may stand between and behind them. */
	while (!in.short_read) {
		uint32_t len = decode_tag_len(cursor_be16(&in));

		if (len == 0)
			return found;
		if (len == VLAN_TCI_LEN) {
			*tci = cursor_be16(&in);
			found = !in.short_read;
		} else {
			cursor_skip(&in, len);
		}
	}
	return false;
}

/** Skips Ethernet with tags, or another link header. @return false: not IP */
static bool
spread_find_ip(struct cursor *in, uint16_t link_type)
{
	struct cursor peek;
	uint16_t ether_type;

	switch (link_type) {
	case PACKET_LINK_ETHERNET:
		cursor_skip(in, 12);
		ether_type = cursor_be16(in);
		for (unsigned int i = 0; i < SPREAD_TAGS_MAX && decode_tag_len(ether_type) > 0; i++) {
			cursor_skip(in, decode_tag_len(ether_type));
			ether_type = cursor_be16(in);
		}
		return ether_type == 0x0800 || ether_type == 0x86dd;
	case PACKET_LINK_SLL:
		cursor_skip(in, 16);
		break;
	case PACKET_LINK_SLL2:
		cursor_skip(in, 20);
		break;
	case PACKET_LINK_NULL:
	case PACKET_LINK_LOOP:
	case PACKET_LINK_CHDLC:
	case PACKET_LINK_PPP:
		cursor_skip(in, 4);
		break;
	default:
		break;
	}
	peek = *in;
	uint8_t version = cursor_u8(&peek) >> 4;

	return version == 4 || version == 6;
}

static uint32_t
hash_pair(const uint8_t *a, const uint8_t *b, size_t len)
{
	bool swapped = memcmp(a, b, len) > 0;

	return crc32c(crc32c(0, swapped ? b : a, len), swapped ? a : b, len);
}

uint32_t
packet_spread_hash(const struct packet *packet)
{
	struct cursor in = cursor_of(packet->data, packet->len), peek;
	const uint8_t *addresses;
	bool v6;

	if (!spread_find_ip(&in, packet->link_type) || in.short_read) {
		if (packet->link_type != PACKET_LINK_ETHERNET || packet->len < 12)
			return 0;
		return hash_pair(packet->data, packet->data + 6, 6);
	}
	peek = in;
	v6 = cursor_u8(&peek) >> 4 == 6;
	cursor_skip(&in, v6 ? 8 : 12);
	addresses = cursor_take(&in, v6 ? 32 : 8);
	if (addresses == NULL)
		return 0;
	return hash_pair(addresses, addresses + (v6 ? 16 : 4), v6 ? 16 : 4);
}
