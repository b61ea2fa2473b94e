#include "lib/event/event_packet.h"

#include "lib/rule/rule_sctp.h"

static const struct {
	uint8_t ip_proto;
	const char *name;
} ip_proto_names[] = {
	{ IP_PROTO_TCP, "TCP" }, { IP_PROTO_UDP, "UDP" }, { IP_PROTO_ICMP, "ICMP" }, { IP_PROTO_ICMPV6, "IPv6-ICMP" },
	{ IP_PROTO_SCTP, "SCTP" }, { IP_PROTO_GRE, "GRE" }, { IP_PROTO_ESP, "ESP" }, { IP_PROTO_AH, "AH" },
	{ IP_PROTO_IGMP, "IGMP" }, { IP_PROTO_IPIP, "IP-in-IP" }, { IP_PROTO_IPV6, "IPv6" }, { IP_PROTO_HOPOPTS, "IPv6-HOPOPTS" },
};

static void
put_ip_proto(struct buf *out, uint8_t ip_proto)
{
	for (size_t i = 0; i < sizeof(ip_proto_names) / sizeof(ip_proto_names[0]); i++)
		if (ip_proto_names[i].ip_proto == ip_proto) {
			put_text(out, ",\"proto\":", ip_proto_names[i].name);
			return;
		}
	buf_printf(out, ",\"proto\":\"%03u\"", ip_proto);
}

static void
put_address(struct buf *out, const char *key, const struct event *event, const struct ip_addr *addr)
{
	buf_puts(out, key);
	buf_putc(out, '"');
	buf_ip(out, event->ip_version, addr->bytes);
	buf_putc(out, '"');
}

/* RFC 3488 2: RGMP has types of its own, sent to a group of its own. */
static void
put_igmp(struct buf *out, const struct event *event)
{
	static const uint8_t rgmp_group[] = { 224, 0, 0, 25 };
	bool rgmp = event->icmp_type >= 0xfc && memcmp(event->dst.bytes, rgmp_group, sizeof(rgmp_group)) == 0;

	buf_puts(out, rgmp ? ",\"rgmp\":{" : ",\"igmp\":{");
	if (event->icmp_code != IGMP_VERSION_NONE) {
		put_number(out, "\"version\":", event->icmp_code);
		buf_putc(out, ',');
	}
	put_number(out, "\"type\":", event->icmp_type);
	buf_putc(out, '}');
}

static void
put_has(struct buf *out, const char *key, const struct sctp_record *sctp, unsigned int bit)
{
	buf_puts(out, key);
	buf_puts(out, (sctp->has >> bit & 1) != 0 ? "true" : "false");
}

static void
put_sctp(struct buf *out, const struct sctp_record *sctp)
{
	put_number(out, ",\"sctp\":{\"vtag\":", sctp->vtag);
	put_number(out, ",\"chunk_cnt\":", sctp->chunk_count);
	buf_puts(out, ",\"chunk_types\":[");
	for (uint8_t i = 0; i < sctp->type_count && i < EVENT_SCTP_TYPES_MAX; i++) {
		const char *name = field_name_of(&rule_sctp_chunk_names, sctp->types[i]);

		if (i > 0)
			buf_putc(out, ',');
		buf_printf(out, name != NULL ? "\"%s\"" : "\"unknown\"", name);
	}
	buf_putc(out, ']');
	put_has(out, ",\"has_init\":", sctp, SCTP_HAS_INIT);
	put_has(out, ",\"has_init_ack\":", sctp, SCTP_HAS_INIT_ACK);
	put_has(out, ",\"has_data\":", sctp, SCTP_HAS_DATA);
	put_has(out, ",\"has_abort\":", sctp, SCTP_HAS_ABORT);
	buf_putc(out, '}');
}

void
event_put_endpoints(struct buf *out, const struct event *event)
{
	const struct sctp_record *sctp = event_find_section(event, EVENT_SECTION_SCTP);
	bool ports = (event->flags & EVENT_HAS_PORTS) != 0;

	if (event->ip_version == 0)
		return;
	put_address(out, ",\"src_ip\":", event, &event->src);
	if (ports)
		put_number(out, ",\"src_port\":", event->sport);
	put_address(out, ",\"dest_ip\":", event, &event->dst);
	if (ports)
		put_number(out, ",\"dest_port\":", event->dport);
	put_ip_proto(out, event->ip_proto);
	put_number(out, ",\"ip_v\":", event->ip_version);
	if (event->flags & EVENT_HAS_ICMP) {
		put_number(out, ",\"icmp_type\":", event->icmp_type);
		put_number(out, ",\"icmp_code\":", event->icmp_code);
	}
	if (event->flags & EVENT_HAS_ICMP_RESPONSE) {
		put_number(out, ",\"response_icmp_type\":", event->icmp_response_type);
		put_number(out, ",\"response_icmp_code\":", event->icmp_response_code);
	}
	if (event->flags & EVENT_HAS_SPI)
		put_number(out, ",\"spi\":", event->esp_spi);
	if (event->flags & EVENT_HAS_IGMP)
		put_igmp(out, event);
	if (sctp != NULL)
		put_sctp(out, sctp);
}

void
event_put_flow_ends(struct buf *out, const struct event *event)
{
	bool forward = (event->flags & EVENT_TO_SERVER) != 0;
	bool ports = (event->flags & EVENT_HAS_PORTS) != 0;

	if (event->ip_version == 0)
		return;
	put_address(out, ",\"src_ip\":", event, forward ? &event->src : &event->dst);
	put_address(out, ",\"dest_ip\":", event, forward ? &event->dst : &event->src);
	if (!ports)
		return;
	put_number(out, ",\"src_port\":", forward ? event->sport : event->dport);
	put_number(out, ",\"dest_port\":", forward ? event->dport : event->sport);
}

void
event_put_payload(struct buf *out, const uint8_t *data, uint32_t len)
{
	buf_puts(out, ",\"payload\":\"");
	buf_base64(out, data, len);
	buf_puts(out, "\",\"payload_printable\":\"");
	for (uint32_t i = 0; i < len; i++) {
		if (data[i] == '"' || data[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, data[i] < 0x20 || data[i] > 0x7e ? '.' : (char)data[i]);
	}
	buf_putc(out, '"');
}

static const struct {
	uint16_t link_type;
	const char *name;
} link_names[] = {
	{ PACKET_LINK_ETHERNET, "EN10MB" }, { PACKET_LINK_NULL, "NULL" }, { PACKET_LINK_RAW_BSD, "RAW" },
	{ PACKET_LINK_RAW, "RAW" }, { PACKET_LINK_PPP, "PPP" }, { PACKET_LINK_SLL, "LINUX_SLL" },
	{ PACKET_LINK_SLL2, "LINUX_SLL2" }, { PACKET_LINK_LOOP, "LOOP" }, { PACKET_LINK_IPV4, "IPv4" },
	{ PACKET_LINK_IPV6, "IPv6" },
};

void
event_put_packet(struct buf *out, const struct event *event, const uint8_t *data, uint32_t len)
{
	buf_puts(out, ",\"packet\":\"");
	buf_base64(out, data, len);
	put_number(out, "\",\"packet_info\":{\"linktype\":", event->link_type);
	for (size_t i = 0; i < sizeof(link_names) / sizeof(link_names[0]); i++)
		if (link_names[i].link_type == event->link_type) {
			put_text(out, ",\"linktype_name\":", link_names[i].name);
			break;
		}
	buf_putc(out, '}');
}

void
event_put_tunnel(struct buf *out, const struct tunnel_record *tunnel)
{
	buf_puts(out, ",\"tunnel\":{\"src_ip\":\"");
	buf_ip(out, tunnel->ip_version, tunnel->src.bytes);
	if (tunnel->has_ports)
		put_number(out, "\",\"src_port\":", tunnel->sport);
	else
		buf_putc(out, '"');
	buf_puts(out, ",\"dest_ip\":\"");
	buf_ip(out, tunnel->ip_version, tunnel->dst.bytes);
	buf_putc(out, '"');
	if (tunnel->has_ports)
		put_number(out, ",\"dest_port\":", tunnel->dport);
	put_ip_proto(out, tunnel->ip_proto);
	put_number(out, ",\"depth\":", tunnel->depth);
	put_text(out, ",\"pkt_src\":", packet_source_names[tunnel->pkt_source]);
	buf_putc(out, '}');
}
