/* What the worker found, as events. Each is built in the worker's room and copied into the ring. */
#include <string.h>
#include <unistd.h>

#include "app/sensor/worker.h"
#include "lib/packet/decode_event.h"
#include "lib/rule/rule_sctp.h"
#include "lib/stream/stream_event.h"

enum { RING_WAIT_US = 50, ALERT_SECTIONS = EVENT_SECTION_MAX, PACKET_LEN_MAX = 64 * 1024 + 64 /* a whole datagram behind a link header */ };

/* Room in the ring. A capture file can wait until the exporter made some; frames of a port cannot. NULL: full, counted. */
static struct event *
reserve(struct worker *worker, uint32_t len)
{
	while (worker->waits_for_ring && !event_ring_has_room(worker->ring, len))
		usleep(RING_WAIT_US);
	return event_ring_reserve(worker->ring, len);
}

void
emit_push(struct worker *worker, const struct event *event)
{
	struct event *room = reserve(worker, event->len);

	if (room == NULL)
		return;
	memcpy(room, event, event->len);
	event_ring_commit(worker->ring, room);
}

/* Turns an event that names the flow's ends around: it is about the responder's data. */
static void
turn(struct event *event)
{
	struct ip_addr addr = event->src;
	uint16_t port = event->sport;
	uint8_t mac[6];

	event->src = event->dst;
	event->dst = addr;
	event->sport = event->dport;
	event->dport = port;
	memcpy(mac, event->src_mac, 6);
	memcpy(event->src_mac, event->dst_mac, 6);
	memcpy(event->dst_mac, mac, 6);
}

static void
put_packet(struct event *event, const struct packet *packet)
{
	const uint8_t *mac = packet_src_mac(packet);

	event->ts_ns = packet->ts_ns;
	event->frame_number = packet->frame_number;
	event->port_idx = packet->port_idx;
	event->link_type = packet->link_type;
	event->pkt_source = packet->source;
	event->ether_type = packet->ether_type;
	if (packet->ip_proto == IP_PROTO_IGMP && packet_is(packet, PACKET_L4)) {
		event->flags |= EVENT_HAS_IGMP;
		event->icmp_type = packet->icmp_type;
		event->icmp_code = packet->igmp_version;
	}
	if (event->flags & EVENT_HAS_FLOW)
		return;
	event->ip_version = packet->ip_version;
	event->ip_proto = packet->ip_proto;
	event->src = packet->src;
	event->dst = packet->dst;
	event->vlan_count = packet->vlan_count;
	memcpy(event->vlan, packet->vlan, sizeof(event->vlan));
	if (packet->ip_proto == IP_PROTO_SCTP && packet->ip_version != 0)
		event->flags |= EVENT_HAS_PORTS; /* 0 where the header is cut */
	if (packet->ip_proto == IP_PROTO_ESP && packet_is(packet, PACKET_L4)) {
		event->flags |= EVENT_HAS_SPI;
		event->esp_spi = packet->esp_spi;
	} else if (packet_is(packet, PACKET_L4)) {
		bool icmp = packet->ip_proto == IP_PROTO_ICMP || packet->ip_proto == IP_PROTO_ICMPV6;

		if ((event->flags & EVENT_HAS_IGMP) == 0)
			event->flags |= icmp ? EVENT_HAS_ICMP : EVENT_HAS_PORTS;
		event->sport = packet->sport;
		event->dport = packet->dport;
		event->icmp_type = packet->icmp_type;
		event->icmp_code = packet->icmp_code; /* or IGMP's version */
	}
	if (mac != NULL) {
		event->flags |= EVENT_HAS_MACS;
		memcpy(event->src_mac, mac, 6);
		memcpy(event->dst_mac, packet_dst_mac(packet), 6);
	}
}

/* A new event in the ring's own memory where that is possible: nothing is copied twice. */
static bool
begin(struct worker *worker, struct event_builder *b, enum event_type type, uint32_t len)
{
	struct event *room = len <= EVENT_LEN_MAX ? reserve(worker, len) : NULL;

	if (len > EVENT_LEN_MAX)
		counter_add(&worker->counters[WORKER_EVENTS_SHED], 1);
	if (room == NULL)
		return false;
	event_begin(b, room, len, type);
	b->event->born_tsc = worker->burst->tsc;
	b->event->ts_ns = worker->now_ns;
	if (worker->flow != NULL)
		emit_put_flow(b->event, worker->flow);
	if (worker->packet != NULL)
		put_packet(b->event, worker->packet);
	else
		b->event->pkt_source = PACKET_SOURCE_FLOW_TIMEOUT;
	return true;
}

void
emit_read_metadata(struct worker *worker, const struct flow *flow)
{
	worker->metadata = (struct buf){ .data = worker->metadata_room, .cap = sizeof(worker->metadata_room) };
	if (worker->matcher != NULL)
		rule_metadata_json(worker->matcher, flow, false, &worker->metadata);
}

static void
put_bytes(struct event_builder *b, enum event_section_kind kind, const uint8_t *data, uint32_t len)
{
	void *at = len > 0 ? event_add(b, kind, len) : NULL;

	if (at != NULL)
		memcpy(at, data, len);
}

static void
put_metadata(struct event_builder *b, const struct worker *worker)
{
	put_bytes(b, EVENT_SECTION_METADATA, (const uint8_t *)worker->metadata.data, (uint32_t)worker->metadata.len);
}

/* Commits, or lets the event wait for its frame number where the user reads a capture. */
static void
finish(struct worker *worker, struct event_builder *b, bool to_server, bool alert, uint32_t tx_id)
{
	struct flow_session *session = worker->flow == NULL ? NULL : worker->flow->session;
	bool for_ack = worker->settings->sensor.acked_frame_numbers && worker->chunk != NULL;
	struct hold_terms terms = { .tx_id = tx_id, .to_server = to_server, .for_ack = for_ack, .for_direction = alert };

	if (session != NULL && (for_ack || tx_id != 0)) {
		terms.seq_end = worker->chunk != NULL ? worker->chunk->seq_end : 0;
		terms.bytes_to_server = worker->chunk != NULL ? worker->chunk->to_server : to_server;
		if (hold_add(worker, session, b->event, &terms))
			return; /* the reserved room is simply not committed */
	}
	event_ring_commit(worker->ring, b->event);
}

void
emit_identity(struct worker *worker, struct proto_ctx *ctx)
{
	struct event_builder b;

	if (!begin(worker, &b, EVENT_ASSET, event_len_of(1, ctx->record->len)))
		return;
	b.event->ts_ns = ctx->ts_ns;
	if (!ctx->to_server && worker->flow != NULL)
		turn(b.event);
	memcpy(event_add(&b, EVENT_SECTION_IDENTITY, ctx->record->len), ctx->record->base, ctx->record->len);
	finish(worker, &b, ctx->to_server, false, 0);
}

void
emit_summary(struct worker *worker, struct proto_ctx *ctx)
{
	struct event_builder b;

	if (!begin(worker, &b, EVENT_SUMMARY, event_len_of(1, ctx->record->len)))
		return;
	b.event->ts_ns = ctx->ts_ns;
	memcpy(event_add(&b, EVENT_SECTION_SUMMARY, ctx->record->len), ctx->record->base, ctx->record->len);
	finish(worker, &b, ctx->to_server, false, 0);
}

/* Events count from zero. */
static void
put_tx_id(struct event *event, const struct proto_ctx *ctx, uint32_t tx_id)
{
	if (ctx == NULL || !ctx->proto->counts_transactions || tx_id == 0)
		return;
	event->tx_id_valid = true;
	event->tx_id = tx_id - 1;
}

void
emit_app(struct worker *worker, struct proto_ctx *ctx, const struct flow_session *session, uint32_t tx_id)
{
	struct event_builder b;

	emit_read_metadata(worker, worker->flow);
	if (!begin(worker, &b, EVENT_APP, event_len_of(2, ctx->record->len + worker->metadata.len)))
		return;
	b.event->app_idx = session->proto.proto_idx;
	b.event->ts_ns = ctx->ts_ns;
	if (!ctx->to_server && worker->flow != NULL && session->proto.proto->app.from_sender)
		turn(b.event);
	put_bytes(&b, EVENT_SECTION_APP, ctx->record->base, ctx->record->len);
	put_metadata(&b, worker);
	put_tx_id(b.event, ctx, tx_id);
	finish(worker, &b, ctx->to_server, false, 0);
}

static void
put_file(struct event_builder *b, const struct file *file)
{
	_Alignas(8) uint8_t room[FILE_RECORD_LEN_MAX];
	struct record_builder builder;

	if (file == NULL)
		return;
	record_builder_init(&builder, room, sizeof(room));
	file_record_fill(file, &builder);
	put_bytes(b, EVENT_SECTION_FILE, builder.base, builder.len);
}

void
emit_file(struct worker *worker, struct proto_ctx *ctx, const struct flow_session *session)
{
	struct event_builder b;

	emit_read_metadata(worker, worker->flow);
	if (!begin(worker, &b, EVENT_FILE, event_len_of(3, FILE_RECORD_LEN_MAX + ctx->record->len + worker->metadata.len)))
		return;
	b.event->app_idx = session->proto.proto_idx;
	b.event->ts_ns = ctx->ts_ns;
	if (!ctx->to_server)
		turn(b.event);
	put_bytes(&b, EVENT_SECTION_APP, ctx->record->base, ctx->record->len);
	put_file(&b, ctx->file);
	put_metadata(&b, worker);
	finish(worker, &b, ctx->to_server, false, 0);
}

static void
put_alert(struct worker *worker, struct event_builder *b, const struct rule_hit *hit)
{
	struct alert_record *alert = event_add(b, EVENT_SECTION_ALERT, sizeof(*alert));
	const struct flow *flow = worker->flow;

	memset(alert, 0, sizeof(*alert));
	alert->meta = hit->meta;
	alert->stream = hit->stream;
	if (flow == NULL)
		return;
	alert->has_flow = true;
	emit_alert_counts(alert, worker->flows, flow);
	alert->flow_start_ns = flow->first_ns;
}

static uint32_t
min_len(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What an alert shows of its frame: link header and bytes. */
struct shown {
	const uint8_t *link;
	const uint8_t *data;
	uint32_t link_len, len;
	uint16_t link_type;
};

/*
 * A reassembled datagram is shown behind the link header of the fragment that made it whole; an IP packet out of a
 * tunnel without the link header that the tunnel may have carried.
 */
static struct shown
show_packet(const struct worker *worker, const struct packet *packet, uint32_t len_max)
{
	struct shown shown = { .data = packet->data, .len = packet->len, .link_type = packet->link_type };

	if (packet_is(packet, PACKET_REASSEMBLED)) {
		const struct packet *fragment = &worker->packets[packet->outer_idx];

		shown.link = fragment->data;
		shown.link_len = min_len(fragment->l3_off, len_max);
		shown.link_type = fragment->link_type;
	} else if (packet->tunnel_depth > 0 && packet_is(packet, PACKET_IP)) {
		shown.data += packet->l3_off;
		shown.len -= packet->l3_off;
		shown.link_type = PACKET_LINK_RAW_BSD;
	}
	shown.len = min_len(shown.len, len_max - shown.link_len);
	return shown;
}

static void
put_shown(struct event_builder *b, const struct shown *shown)
{
	uint8_t *at = shown->len > 0 ? event_add(b, EVENT_SECTION_PACKET, shown->link_len + shown->len) : NULL;

	b->event->link_type = shown->link_type;
	if (at == NULL)
		return;
	if (shown->link_len > 0)
		memcpy(at, shown->link, shown->link_len);
	memcpy(at + shown->link_len, shown->data, shown->len);
}

/* The outermost packet around the one at hand. */
static void
put_tunnel(const struct worker *worker, struct event_builder *b)
{
	const struct packet *packet = worker->packet, *root = packet;
	struct tunnel_record *tunnel;

	if (packet == NULL || packet->tunnel_depth == 0)
		return;
	while (root->tunnel_depth > 0)
		root = &worker->packets[root->outer_idx];
	tunnel = event_add(b, EVENT_SECTION_TUNNEL, sizeof(*tunnel));
	if (tunnel == NULL)
		return;
	*tunnel = (struct tunnel_record){ .src = root->src, .dst = root->dst, .sport = root->sport, .dport = root->dport,
		.ip_version = root->ip_version, .ip_proto = root->ip_proto, .depth = packet->tunnel_depth,
		.pkt_source = root->source, .has_ports = root->sport != 0 || root->dport != 0 };
}

/* The chunks of the packet at hand. */
static void
put_sctp(struct event_builder *b, const struct packet *packet)
{
	static const uint8_t has_of[] = { [1] = 1 << SCTP_HAS_INIT, [2] = 1 << SCTP_HAS_INIT_ACK, [SCTP_DATA] = 1 << SCTP_HAS_DATA,
		[6] = 1 << SCTP_HAS_ABORT };
	struct rule_sctp_chunks chunks = rule_sctp_chunks_of(packet);
	struct rule_sctp_chunk chunk;
	struct sctp_record *record;
	struct cursor in;

	if (packet == NULL || packet->ip_proto != IP_PROTO_SCTP || !packet_is(packet, PACKET_L4))
		return;
	record = event_add(b, EVENT_SECTION_SCTP, sizeof(*record));
	if (record == NULL)
		return;
	*record = (struct sctp_record){ .chunk_count = packet->sctp_chunk_count };
	in = cursor_of(packet->data, packet->len);
	cursor_skip(&in, packet->l4_off + 4u);
	record->vtag = cursor_be32(&in);
	while (rule_sctp_chunk_next(&chunks, &chunk)) {
		record->has |= chunk.type < sizeof(has_of) ? has_of[chunk.type] : 0;
		if (record->type_count < EVENT_SCTP_TYPES_MAX)
			record->types[record->type_count++] = chunk.type;
	}
}

static void
emit_alert(struct worker *worker, const struct rule_hit *hit, bool to_server, const struct proto_ctx *ctx, uint32_t tx_id,
	bool hold)
{
	const struct sensor_config *config = &worker->settings->sensor;
	const struct packet *packet = worker->packet;
	const uint8_t *payload = ctx != NULL ? ctx->pdu : packet != NULL ? packet->payload : NULL;
	uint32_t payload_len = ctx != NULL ? ctx->pdu_len : packet != NULL ? packet->payload_len : 0;
	uint32_t record_len = ctx != NULL ? ctx->record->len : 0;
	const struct file *file = ctx != NULL ? ctx->file : NULL;
	struct shown shown = { 0 };
	struct event_builder b;
	uint32_t len;

	if (ctx == NULL && hit->stream && worker->chunk != NULL) {
		payload = worker->chunk->data;
		payload_len = worker->chunk->len;
	}
	payload_len = config->alert_payload && payload != NULL ? min_len(payload_len, EMIT_PAYLOAD_LEN_MAX) : 0;
	worker->context = (struct buf){ .data = worker->context_room, .cap = sizeof(worker->context_room) };
	if (hit->captured_count > 0)
		rule_context_json(worker->matcher, hit, &worker->context);
	len = event_len_of(ALERT_SECTIONS, sizeof(struct alert_record) + sizeof(struct tunnel_record) + sizeof(struct sctp_record) +
		record_len + payload_len + worker->metadata.len + worker->context.len + (file != NULL ? FILE_RECORD_LEN_MAX : 0));
	if (packet != NULL && config->alert_packet && len < EVENT_LEN_MAX)
		shown = show_packet(worker, packet, min_len(PACKET_LEN_MAX, EVENT_LEN_MAX - len));
	if (!begin(worker, &b, EVENT_ALERT, len + shown.link_len + shown.len))
		return;
	put_alert(worker, &b, hit);
	if (worker->flow != NULL) {
		b.event->flags |= EVENT_HAS_DIRECTION | (to_server ? EVENT_TO_SERVER : 0);
		if (!to_server)
			turn(b.event);
	}
	put_bytes(&b, EVENT_SECTION_APP, record_len > 0 ? ctx->record->base : NULL, record_len);
	put_file(&b, file);
	put_bytes(&b, EVENT_SECTION_PAYLOAD, payload, payload_len);
	if (shown.len > 0)
		put_shown(&b, &shown);
	put_tunnel(worker, &b);
	put_sctp(&b, packet);
	put_metadata(&b, worker);
	put_bytes(&b, EVENT_SECTION_CONTEXT, (const uint8_t *)worker->context.data, (uint32_t)worker->context.len);
	put_tx_id(b.event, ctx, tx_id);
	finish(worker, &b, to_server, true, hold ? tx_id : 0);
}

void
emit_alerts(struct worker *worker, bool to_server, const struct proto_ctx *ctx, uint32_t tx_id, bool hold)
{
	if (worker->hits.count == 0)
		return;
	worker->metadata = (struct buf){ .data = worker->metadata_room, .cap = sizeof(worker->metadata_room) };
	rule_metadata_json(worker->matcher, worker->flow, true, &worker->metadata);
	for (uint16_t i = 0; i < worker->hits.count; i++)
		emit_alert(worker, &worker->hits.hit[i], to_server, ctx, tx_id, hold);
	if (worker->flow != NULL)
		worker->flow->flags |= FLOW_ALERTED;
}

void
emit_tagged(struct worker *worker)
{
	struct shown shown = show_packet(worker, worker->packet, PACKET_LEN_MAX);
	bool to_server = worker->flow == NULL || flow_to_server(worker->packet);
	struct event_builder b;

	if (!begin(worker, &b, EVENT_PACKET, event_len_of(1, shown.link_len + shown.len)))
		return;
	if (worker->flow != NULL && !to_server)
		turn(b.event);
	put_shown(&b, &shown);
	event_ring_commit(worker->ring, b.event);
}

static void
emit_anomaly(struct worker *worker, const struct anomaly_record *what, bool to_server, const struct proto_ctx *ctx, uint32_t tx_id)
{
	struct event_builder b;

	emit_read_metadata(worker, worker->flow);
	if (!begin(worker, &b, EVENT_ANOMALY, event_len_of(4, sizeof(*what) + sizeof(struct tunnel_record) +
		    sizeof(struct sctp_record) + worker->metadata.len)))
		return;
	if (worker->flow != NULL && !to_server)
		turn(b.event);
	put_tx_id(b.event, ctx, tx_id);
	memcpy(event_add(&b, EVENT_SECTION_ANOMALY, sizeof(*what)), what, sizeof(*what));
	put_tunnel(worker, &b);
	put_sctp(&b, worker->packet);
	put_metadata(&b, worker);
	event_ring_commit(worker->ring, b.event);
}

static void
emit_named(struct worker *worker, const char *type, const char *name)
{
	const struct anomaly_record what = { .type = type, .event = name };

	emit_anomaly(worker, &what, worker->flow == NULL || flow_to_server(worker->packet), NULL, 0);
}

void
emit_decode_anomalies(struct worker *worker)
{
	const struct packet *packet = worker->packet;
	const struct sensor_config *config = &worker->settings->sensor;

	for (unsigned int word = 0; word < DECODE_EVENT_WORDS; word++)
		for (uint64_t left = packet->decode_events[word]; left != 0; left &= left - 1) {
			unsigned int event = word * 64 + (unsigned int)__builtin_ctzll(left);

			counter_add(&worker->decode_event_counters[event], 1);
			if (config->anomaly_decode)
				emit_named(worker, "decode", decode_event_table[event].name);
		}
	for (unsigned int word = 0; config->anomaly_stream && word < 2; word++)
		for (uint64_t left = packet->stream_events[word] & ~stream_event_quiet[word]; left != 0; left &= left - 1)
			emit_named(worker, "stream", stream_event_table[word * 64 + (unsigned int)__builtin_ctzll(left)].anomaly);
}

void
emit_app_anomaly(struct worker *worker, const struct proto *proto, bool to_server, const char *event_name, const struct proto_ctx *ctx,
	uint32_t tx_id)
{
	struct anomaly_record what = { .type = "applayer", .event = event_name, .layer = "proto_parser" };

	if (!worker->settings->sensor.anomaly_applayer)
		return;
	what.app_proto = proto->app.name;
	what.head.present = 3;
	emit_anomaly(worker, &what, to_server, ctx, tx_id);
}

static void
put_ip(struct record_ip *out, const uint8_t *bytes)
{
	out->version = 4;
	memcpy(out->bytes, bytes, 4);
}

void
emit_arp(struct worker *worker, const struct packet_arp *arp)
{
	struct event_builder b;
	struct arp_record *record;

	if (!begin(worker, &b, EVENT_ARP, event_len_of(1, sizeof(*record))))
		return;
	record = event_add(&b, EVENT_SECTION_ARP, sizeof(*record));
	memset(record, 0, sizeof(*record));
	record->hw_type = arp->hw_type;
	record->proto_type = arp->proto_type;
	record->opcode = arp->opcode;
	memcpy(record->src_mac, arp->src_mac, 6);
	memcpy(record->dest_mac, arp->dst_mac, 6);
	put_ip(&record->src_ip, arp->src_ip);
	put_ip(&record->dest_ip, arp->dst_ip);
	event_ring_commit(worker->ring, b.event);
}

static void
emit_biflow(struct worker *worker, const struct flow *flow)
{
	struct event_builder b;
	const struct flow_session *session = flow->session;
	const struct mac_lists *macs = session != NULL ? session->macs : NULL;

	if (!begin(worker, &b, EVENT_FLOW, event_len_of(4, sizeof(struct flow_record) + sizeof(struct flow_tcp_record) +
		    sizeof(*macs) + worker->metadata.len)))
		return;
	emit_add_flow(&b, flow, flow_part(worker->flows, flow));
	if (macs != NULL)
		memcpy(event_add(&b, EVENT_SECTION_MACS, sizeof(*macs)), macs, sizeof(*macs));
	put_metadata(&b, worker);
	event_ring_commit(worker->ring, b.event);
}

static void
emit_netflow(struct worker *worker, const struct flow *flow, enum flow_direction direction)
{
	struct event_builder b;
	struct flow_record both;
	struct netflow_record record;
	struct flow_tcp_record tcp;

	flow_record_fill(flow, flow_part(worker->flows, flow), &both);
	if ((direction == FLOW_TO_SERVER ? both.pkts_toserver : both.pkts_toclient) == 0)
		return;
	if (!begin(worker, &b, EVENT_NETFLOW, event_len_of(3, sizeof(record) + sizeof(tcp) + worker->metadata.len)))
		return;
	b.event->ts_ns = flow->last_ns;
	if (direction == FLOW_TO_CLIENT)
		emit_turn_ends(b.event);
	netflow_record_fill(&both, direction, &record);
	put_bytes(&b, EVENT_SECTION_NETFLOW, (const uint8_t *)&record, sizeof(record));
	netflow_tcp_record_fill(flow, direction, &tcp);
	if (flow->key.ip_proto == IP_PROTO_TCP)
		put_bytes(&b, EVENT_SECTION_TCP, (const uint8_t *)&tcp, sizeof(tcp));
	put_metadata(&b, worker);
	event_ring_commit(worker->ring, b.event);
}

void
emit_flow(struct worker *worker, const struct flow *flow)
{
	const struct sensor_config *config = &worker->settings->sensor;

	if (config->log_flow || config->log_netflow)
		emit_read_metadata(worker, flow);
	if (config->log_flow)
		emit_biflow(worker, flow);
	if (!config->log_netflow)
		return;
	emit_netflow(worker, flow, FLOW_TO_SERVER);
	emit_netflow(worker, flow, FLOW_TO_CLIENT);
}

void
emit_flow_part(void *arg, struct flow *flow)
{
	struct worker *worker = arg;
	struct packet *packet = worker->packet;

	if (worker->depth < WORKER_ALL)
		return;
	worker->flow = flow;
	worker->packet = NULL;
	emit_flow(worker, flow);
	worker->packet = packet;
}
