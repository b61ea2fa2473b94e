/*
 * Events as EVE lines: the common keys, then one object for each section. Key order is fixed. A line is built in one
 * pass over the header and the field tables; nothing is allocated for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/event/event.h"
#include "lib/event/event_packet.h"
#include "lib/flow/flow.h"
#include "lib/record/identity.h"
#include "lib/record/summary.h"

enum { COMMUNITY_CACHE_LEN = 8192 };

struct community {
	uint64_t flow_id;
	char text[FLOW_COMMUNITY_ID_LEN + 1];
};

struct event_json {
	struct event_json_config config;
	struct record_writer *flow, *netflow, *tcp, *anomaly, *arp, *identity, *summary, *file;
	struct record_writer *apps[RULE_APPS_MAX];
	struct record_writer *beside[RULE_APPS_MAX]; /* NULL: the protocol has no keys beside its object */
	struct community *community; /* direct-mapped by flow_id: a SHA-1 a flow, not a record */
};

int
event_json_create(struct event_json **out, const struct event_json_config *config)
{
	struct event_json *json = calloc(1, sizeof(*json));
	int rc = json == NULL ? -ENOMEM : 0;

	if (rc != 0)
		return rc;
	json->config = *config;
	json->community = calloc(COMMUNITY_CACHE_LEN, sizeof(*json->community));
	if (json->community == NULL)
		rc = -ENOMEM;
	if (rc == 0)
		rc = record_writer_create(&json->flow, &flow_record_table);
	if (rc == 0)
		rc = record_writer_create(&json->netflow, &netflow_record_table);
	if (rc == 0)
		rc = record_writer_create(&json->tcp, &flow_tcp_record_table);
	if (rc == 0)
		rc = record_writer_create(&json->anomaly, &anomaly_table);
	if (rc == 0)
		rc = record_writer_create(&json->arp, &arp_table);
	if (rc == 0)
		rc = record_writer_create(&json->identity, &identity_table);
	if (rc == 0)
		rc = record_writer_create(&json->summary, &summary_table);
	if (rc == 0)
		rc = record_writer_create(&json->file, &fileinfo_table);
	for (unsigned int i = 0; rc == 0 && i < config->app_count; i++)
		if (config->apps[i]->record != NULL)
			rc = record_writer_create(&json->apps[i], config->apps[i]->record);
	for (unsigned int i = 0; rc == 0 && i < config->app_count; i++)
		if (config->apps[i]->record != NULL)
			rc = record_writer_create_beside(&json->beside[i], config->apps[i]->record);
	if (rc != 0) {
		event_json_destroy(json);
		return rc;
	}
	*out = json;
	return 0;
}

void
event_json_destroy(struct event_json *json)
{
	if (json == NULL)
		return;
	record_writer_destroy(json->flow);
	record_writer_destroy(json->netflow);
	record_writer_destroy(json->tcp);
	record_writer_destroy(json->anomaly);
	record_writer_destroy(json->arp);
	record_writer_destroy(json->identity);
	record_writer_destroy(json->summary);
	record_writer_destroy(json->file);
	for (unsigned int i = 0; i < RULE_APPS_MAX; i++) {
		record_writer_destroy(json->apps[i]);
		record_writer_destroy(json->beside[i]);
	}
	free(json->community);
	free(json);
}

static const char *const type_names[EVENT_TYPE_COUNT] = {
	[EVENT_ALERT] = "alert", [EVENT_ANOMALY] = "anomaly", [EVENT_ARP] = "arp", [EVENT_FLOW] = "flow",
	[EVENT_ASSET] = "asset", [EVENT_PACKET] = "packet", [EVENT_SUMMARY] = "summary", [EVENT_FILE] = "fileinfo",
	[EVENT_NETFLOW] = "netflow",
};

/* Of what came in a packet, which has a way that it came: EVE pkt_src. */
static const bool type_has_packet[EVENT_TYPE_COUNT] = {
	[EVENT_ALERT] = true, [EVENT_ANOMALY] = true, [EVENT_APP] = true, [EVENT_FILE] = true, [EVENT_ARP] = true, [EVENT_PACKET] = true,
};

/* The key of its object, which is the type of its events: "ftp_data" of ftp-data. */
static const char *
object_name(const struct event_json *json, const struct event *event)
{
	const struct rule_app *app = event->app_idx < json->config.app_count ? json->config.apps[event->app_idx] : NULL;

	return app == NULL ? NULL : app->record != NULL ? app->record->name : app->name;
}

static const char *
app_name(const struct event_json *json, const struct event *event)
{
	return event->app_idx < json->config.app_count ? json->config.apps[event->app_idx]->name : NULL;
}

const char *
event_json_type(const struct event_json *json, const struct event *event)
{
	return event->type == EVENT_APP ? object_name(json, event) : type_names[event->type];
}

static void
put_community_id(struct event_json *json, struct buf *out, const struct event *event)
{
	struct community *slot = &json->community[event->flow_id % COMMUNITY_CACHE_LEN];

	if (!json->config.community_id || !(event->flags & EVENT_HAS_FLOW) || event->ip_version == 0)
		return;
	if (slot->flow_id != event->flow_id) {
		bool icmp = (event->flags & EVENT_HAS_ICMP) != 0;

		slot->flow_id = event->flow_id;
		flow_community_id(slot->text, json->config.community_id_seed, event->ip_version, event->ip_proto, &event->src,
			&event->dst, icmp ? event->icmp_type : event->sport, icmp ? event->icmp_code : event->dport);
	}
	put_text(out, ",\"community_id\":", slot->text);
}

static void
put_macs(struct buf *out, const char *key, const struct mac_list *list)
{
	buf_puts(out, key);
	for (uint8_t i = 0; i < list->count && i < EVENT_MACS_MAX; i++) {
		buf_puts(out, i == 0 ? "\"" : ",\"");
		buf_mac(out, list->macs[i]);
		buf_putc(out, '"');
	}
	buf_putc(out, ']');
}

static void
put_ether(const struct event_json *json, struct buf *out, const struct event *event)
{
	const struct mac_lists *lists = event_find_section(event, EVENT_SECTION_MACS);

	if (!json->config.ethernet || !(event->flags & EVENT_HAS_MACS))
		return;
	buf_puts(out, ",\"ether\":{\"src_mac\":\"");
	buf_mac(out, event->src_mac);
	buf_puts(out, "\",\"dest_mac\":\"");
	buf_mac(out, event->dst_mac);
	buf_putc(out, '"');
	if (event->ether_type != 0)
		put_number(out, ",\"ether_type\":", event->ether_type);
	if (lists != NULL) {
		put_macs(out, ",\"src_macs\":[", &lists->src);
		put_macs(out, ",\"dest_macs\":[", &lists->dst);
	}
	buf_putc(out, '}');
}

static void
put_header(struct event_json *json, struct buf *out, const struct event *event)
{
	const char *app = app_name(json, event);

	buf_puts(out, "{\"timestamp\":");
	buf_json_time(out, event->ts_ns);
	if (event->flags & EVENT_HAS_FLOW)
		put_number(out, ",\"flow_id\":", event->flow_id);
	if (event->port_idx < json->config.port_count)
		put_text(out, ",\"in_iface\":", json->config.port_names[event->port_idx]);
	if (event->frame_number != 0)
		put_number(out, ",\"pcap_cnt\":", event->frame_number);
	put_text(out, ",\"event_type\":", event_json_type(json, event));
	if (event->vlan_count > 0) {
		buf_puts(out, ",\"vlan\":[");
		for (uint8_t i = 0; i < event->vlan_count && i < PACKET_VLAN_MAX; i++) {
			if (i > 0)
				buf_putc(out, ',');
			buf_u64(out, event->vlan[i]);
		}
		buf_putc(out, ']');
	}
	event_put_endpoints(out, event);
	if (type_has_packet[event->type] && event->pkt_source < PACKET_SOURCE_COUNT)
		put_text(out, ",\"pkt_src\":", packet_source_names[event->pkt_source]);
	if (app != NULL)
		put_text(out, ",\"app_proto\":", app);
	else if ((event->type == EVENT_FLOW || event->type == EVENT_NETFLOW) && (event->ip_proto == IP_PROTO_TCP || event->ip_proto == IP_PROTO_UDP))
		buf_puts(out, ",\"app_proto\":\"failed\"");
	if (event->app_before > 0 && event->app_before <= json->config.app_count)
		put_text(out, ",\"app_proto_orig\":", json->config.apps[event->app_before - 1]->name);
	if (event->flags & EVENT_HAS_DIRECTION)
		put_text(out, ",\"direction\":", event->flags & EVENT_TO_SERVER ? "to_server" : "to_client");
	if (event->tx_id_valid)
		put_number(out, ",\"tx_id\":", event->tx_id);
	put_community_id(json, out, event);
	put_ether(json, out, event);
}

static void
put_end(struct buf *out, const char *key, const struct event *event, bool src)
{
	buf_puts(out, key);
	buf_puts(out, "{\"ip\":\"");
	buf_ip(out, event->ip_version, src ? event->src.bytes : event->dst.bytes);
	buf_putc(out, '"');
	if ((event->flags & EVENT_HAS_PORTS) != 0)
		put_number(out, ",\"port\":", src ? event->sport : event->dport);
	buf_putc(out, '}');
}

/* Which end the rule says is attacked. */
static void
put_target(struct buf *out, const struct event *event, const char *target)
{
	if (target == NULL || event->ip_version == 0)
		return;
	put_end(out, ",\"source\":", event, target[0] == 'd');
	put_end(out, ",\"target\":", event, target[0] == 's');
}

static void
put_context(struct buf *out, const struct event *event)
{
	const struct event_section *section = NULL;

	while ((section = event_section_next(event, section)) != NULL) {
		if (section->kind != EVENT_SECTION_CONTEXT)
			continue;
		buf_puts(out, ",\"context\":");
		buf_put(out, event_section_data(section), section->len);
	}
}

/* A passive sensor blocks nothing: whatever the rule's action, the traffic was allowed. */
static void
put_alert(struct buf *out, const struct event *event, const struct alert_record *alert)
{
	const struct rule_meta *meta = alert->meta;

	put_number(out, ",\"alert\":{\"action\":\"allowed\",\"gid\":", meta->gid);
	put_number(out, ",\"signature_id\":", meta->sid);
	put_number(out, ",\"rev\":", meta->rev);
	put_text(out, ",\"signature\":", meta->msg);
	put_text(out, ",\"category\":", meta->category);
	put_number(out, ",\"severity\":", meta->severity);
	put_target(out, event, meta->target);
	if (meta->metadata_json != NULL) {
		buf_puts(out, ",\"metadata\":");
		buf_puts(out, meta->metadata_json);
	}
	if (meta->references_json != NULL) {
		buf_puts(out, ",\"references\":");
		buf_puts(out, meta->references_json);
	}
	put_context(out, event);
	buf_putc(out, '}');
	put_number(out, ",\"stream\":", alert->stream);
	if (!alert->has_flow)
		return;
	put_number(out, ",\"flow\":{\"pkts_toserver\":", alert->pkts_toserver);
	put_number(out, ",\"pkts_toclient\":", alert->pkts_toclient);
	put_number(out, ",\"bytes_toserver\":", alert->bytes_toserver);
	put_number(out, ",\"bytes_toclient\":", alert->bytes_toclient);
	buf_puts(out, ",\"start\":");
	buf_json_time(out, alert->flow_start_ns);
	event_put_flow_ends(out, event);
	buf_putc(out, '}');
}

static void
put_record(struct buf *out, const struct record_writer *writer, const char *name, const uint8_t *blob, uint32_t len)
{
	if (writer == NULL)
		return;
	buf_puts(out, ",\"");
	buf_puts(out, name);
	buf_puts(out, "\":");
	record_write_json(writer, out, blob, len);
}

static void
put_app(const struct event_json *json, struct buf *out, const struct event *event, const uint8_t *blob, uint32_t len)
{
	const char *name = object_name(json, event);
	const char *key = NULL;

	if (name == NULL)
		return;
	if (event->type == EVENT_ALERT)
		key = json->config.apps[event->app_idx]->alert_key[(event->flags & EVENT_TO_SERVER) != 0];
	if (key == NULL) {
		put_record(out, json->apps[event->app_idx], name, blob, len);
		if (json->beside[event->app_idx] != NULL)
			record_write_json_beside(json->beside[event->app_idx], out, blob, len);
		return;
	}
	buf_puts(out, ",\"");
	buf_puts(out, name);
	buf_puts(out, "\":{\"");
	buf_puts(out, key);
	buf_puts(out, "\":");
	record_write_json(json->apps[event->app_idx], out, blob, len);
	buf_putc(out, '}');
}

/* An alert may be about several files as far as its readers know. */
static void
put_file(const struct event_json *json, struct buf *out, const struct event *event, const uint8_t *blob, uint32_t len)
{
	bool alert = event->type == EVENT_ALERT;

	buf_puts(out, alert ? ",\"files\":[" : ",\"fileinfo\":");
	record_write_json(json->file, out, blob, len);
	if (alert)
		buf_putc(out, ']');
}

static void
put_section(const struct event_json *json, struct buf *out, const struct event *event,
	const struct event_section *section)
{
	const uint8_t *data = event_section_data(section);

	switch ((enum event_section_kind)section->kind) {
	case EVENT_SECTION_ALERT:
		put_alert(out, event, (const struct alert_record *)(const void *)data);
		return;
	case EVENT_SECTION_FLOW:
		put_record(out, json->flow, "flow", data, section->len);
		return;
	case EVENT_SECTION_NETFLOW:
		put_record(out, json->netflow, "netflow", data, section->len);
		return;
	case EVENT_SECTION_TCP:
		put_record(out, json->tcp, "tcp", data, section->len);
		return;
	case EVENT_SECTION_ANOMALY:
		put_record(out, json->anomaly, "anomaly", data, section->len);
		return;
	case EVENT_SECTION_ARP:
		put_record(out, json->arp, "arp", data, section->len);
		return;
	case EVENT_SECTION_IDENTITY:
		put_record(out, json->identity, "asset", data, section->len);
		return;
	case EVENT_SECTION_SUMMARY:
		put_record(out, json->summary, "summary", data, section->len);
		return;
	case EVENT_SECTION_FILE:
		put_file(json, out, event, data, section->len);
		return;
	case EVENT_SECTION_APP:
		put_app(json, out, event, data, section->len);
		return;
	case EVENT_SECTION_PAYLOAD:
		event_put_payload(out, data, section->len);
		return;
	case EVENT_SECTION_PACKET:
		event_put_packet(out, event, data, section->len);
		return;
	case EVENT_SECTION_TUNNEL:
		event_put_tunnel(out, (const struct tunnel_record *)(const void *)data);
		return;
	case EVENT_SECTION_METADATA:
		buf_putc(out, ',');
		buf_put(out, data, section->len);
		return;
	case EVENT_SECTION_MACS: /* inside ether */
	case EVENT_SECTION_SCTP: /* beside the ends */
	case EVENT_SECTION_CONTEXT: /* inside alert */
	case EVENT_SECTION_KIND_COUNT:
		return;
	}
}

void
event_json_write(struct event_json *json, struct buf *out, const struct event *event)
{
	const struct event_section *section = NULL;

	put_header(json, out, event);
	while ((section = event_section_next(event, section)) != NULL)
		put_section(json, out, event, section);
	buf_putc(out, '}');
}
