/* What events say of a flow: of one that ended, and of one that goes on. */
#include <string.h>

#include "app/sensor/worker.h"

/* The code of every ICMP answer that has a request is 0: RFC 792, RFC 4443. */
static void
put_icmp_response(struct event *event, const struct flow *flow)
{
	if (flow->packets[FLOW_TO_CLIENT] == 0)
		return;
	event->flags |= EVENT_HAS_ICMP_RESPONSE;
	event->icmp_response_type = flow_icmp_response_type(flow);
	event->icmp_response_code = 0;
}

void
emit_put_flow(struct event *event, const struct flow *flow)
{
	event->flags |= EVENT_HAS_FLOW;
	event->flow_id = flow->flow_id;
	event->ip_version = flow->key.ip_version;
	event->ip_proto = flow->key.ip_proto;
	event->src = *flow_originator(flow);
	event->dst = *flow_responder(flow);
	event->vlan_count = flow->vlan_count;
	memcpy(event->vlan, flow->vlan, sizeof(event->vlan));
	event->port_idx = flow->port_idx;
	if (event->ip_proto == IP_PROTO_TCP || event->ip_proto == IP_PROTO_UDP || event->ip_proto == IP_PROTO_SCTP) {
		event->flags |= EVENT_HAS_PORTS;
		event->sport = flow_originator_port(flow);
		event->dport = flow_responder_port(flow);
	} else if (event->ip_proto == IP_PROTO_ICMP || event->ip_proto == IP_PROTO_ICMPV6) {
		event->flags |= EVENT_HAS_ICMP;
		event->icmp_type = flow_icmp_type(flow);
		event->icmp_code = flow->icmp_code;
		put_icmp_response(event, flow);
	} else if (event->ip_proto == IP_PROTO_ESP) {
		event->flags |= EVENT_HAS_SPI;
		event->esp_spi = flow_esp_spi(flow);
	}
	if (flow->flags & FLOW_HAS_MACS) {
		event->flags |= EVENT_HAS_MACS;
		memcpy(event->src_mac, flow->src_mac, 6);
		memcpy(event->dst_mac, flow->dst_mac, 6);
	}
	if (flow->key.ip_version == 0)
		event->ether_type = flow->key.port[0];
	if (flow->app_proto != 0)
		event->app_idx = (uint16_t)(flow->app_proto - 1);
}

void
emit_turn_ends(struct event *event)
{
	struct ip_addr ip = event->src;
	uint16_t port = event->sport;
	uint8_t mac[6], type = event->icmp_type, code = event->icmp_code;

	event->src = event->dst;
	event->dst = ip;
	event->sport = event->dport;
	event->dport = port;
	memcpy(mac, event->src_mac, sizeof(mac));
	memcpy(event->src_mac, event->dst_mac, sizeof(mac));
	memcpy(event->dst_mac, mac, sizeof(mac));
	if ((event->flags & EVENT_HAS_ICMP_RESPONSE) == 0)
		return;
	event->icmp_type = event->icmp_response_type;
	event->icmp_code = event->icmp_response_code;
	event->icmp_response_type = type;
	event->icmp_response_code = code;
}

void
emit_add_flow(struct event_builder *b, const struct flow *flow, const struct flow_part *told)
{
	b->event->ts_ns = flow->last_ns;
	b->event->app_before = flow->app_proto_before;
	flow_record_fill(flow, told, event_add(b, EVENT_SECTION_FLOW, sizeof(struct flow_record)));
	if (flow->key.ip_proto == IP_PROTO_TCP) {
		struct flow_tcp_record *tcp = event_add(b, EVENT_SECTION_TCP, sizeof(*tcp));

		if (tcp != NULL)
			flow_tcp_record_fill(flow, tcp);
	}
}

uint32_t
emit_flow_len(void)
{
	return event_len_of(2, sizeof(struct flow_record) + sizeof(struct flow_tcp_record));
}

void
emit_flow_into(void *room, const struct flow *flow, const struct flow_part *whole)
{
	struct event_builder b;

	event_begin(&b, room, emit_flow_len(), EVENT_FLOW);
	emit_put_flow(b.event, flow);
	emit_add_flow(&b, flow, whole);
}
