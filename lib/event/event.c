/* Building events, and the tables of those that no protocol owns. */
#include "lib/event/event.h"

#include <stddef.h>
#include <string.h>

#define ROW(type, record, member, has, path, what, where) \
	{ path, type, has, 0, offsetof(struct record, member), NULL, NULL, where, what }

static const struct field anomaly_fields[] = {
	ROW(FIELD_TEXT, anomaly_record, type, FIELD_ALWAYS, "type", "layer of the sensor that saw it: decode, stream, applayer", ""),
	ROW(FIELD_TEXT, anomaly_record, event, FIELD_ALWAYS, "event", "the malformation's name", ""),
	ROW(FIELD_TEXT, anomaly_record, layer, 0, "layer", "applayer: proto_parser", ""),
	ROW(FIELD_TEXT, anomaly_record, app_proto, 0, "app_proto", "applayer: the protocol", ""),
};

const struct record_table anomaly_table = { "anomaly", anomaly_fields, sizeof(anomaly_fields) / sizeof(anomaly_fields[0]),
	sizeof(struct anomaly_record) };

static const struct field_name hw_type_rows[] = { { 1, "ethernet" } };
static const struct field_names hw_types = FIELD_NAMES(hw_type_rows, NULL);
static const struct field_name proto_type_rows[] = { { 0x0800, "ipv4" } };
static const struct field_names proto_types = FIELD_NAMES(proto_type_rows, NULL);
static const struct field_name opcode_rows[] = { { 1, "request" }, { 2, "reply" }, { 3, "reverse_request" },
	{ 4, "reverse_reply" }, { 8, "inverse_request" }, { 9, "inverse_reply" } };
static const struct field_names opcodes = FIELD_NAMES(opcode_rows, "unknown");

static const struct field arp_fields[] = {
	{ "hw_type", FIELD_U16, FIELD_ALWAYS, 0, offsetof(struct arp_record, hw_type), &hw_types, NULL, "RFC 826", "hardware type" },
	{ "proto_type", FIELD_U16, FIELD_ALWAYS, 0, offsetof(struct arp_record, proto_type), &proto_types, NULL, "RFC 826",
		"protocol type" },
	{ "opcode", FIELD_U16, FIELD_ALWAYS, 0, offsetof(struct arp_record, opcode), &opcodes, NULL, "RFC 826", "operation" },
	ROW(FIELD_MAC, arp_record, src_mac, FIELD_ALWAYS, "src_mac", "sender hardware address", "RFC 826"),
	ROW(FIELD_IP, arp_record, src_ip, FIELD_ALWAYS, "src_ip", "sender protocol address", "RFC 826"),
	ROW(FIELD_MAC, arp_record, dest_mac, FIELD_ALWAYS, "dest_mac", "target hardware address", "RFC 826"),
	ROW(FIELD_IP, arp_record, dest_ip, FIELD_ALWAYS, "dest_ip", "target protocol address", "RFC 826"),
};

const struct record_table arp_table = { "arp", arp_fields, sizeof(arp_fields) / sizeof(arp_fields[0]),
	sizeof(struct arp_record) };

uint32_t
event_len_of(unsigned int section_count, uint64_t sections_len)
{
	return (uint32_t)(sizeof(struct event) + sections_len + section_count * (sizeof(struct event_section) + 8));
}

void
event_begin(struct event_builder *b, void *room, uint32_t cap, enum event_type type)
{
	b->event = room;
	b->cap = cap;
	memset(b->event, 0, sizeof(*b->event));
	b->event->len = sizeof(struct event);
	b->event->type = (uint8_t)type;
	b->event->app_idx = EVENT_NO_APP;
}

void *
event_add(struct event_builder *b, enum event_section_kind kind, uint32_t len)
{
	struct event_section *section = (struct event_section *)(void *)((uint8_t *)b->event + b->event->len);
	uint64_t end = ((uint64_t)b->event->len + sizeof(*section) + len + 7) & ~UINT64_C(7);

	if (end > b->cap)
		return NULL;
	*section = (struct event_section){ .len = len, .kind = (uint8_t)kind };
	b->event->len = (uint32_t)end;
	return section + 1;
}

const void *
event_find_section(const struct event *event, enum event_section_kind kind)
{
	const struct event_section *section = NULL;

	while ((section = event_section_next(event, section)) != NULL)
		if (section->kind == kind)
			return event_section_data(section);
	return NULL;
}

bool
event_alert_is_stream(const struct event *event)
{
	const struct alert_record *alert = event_find_section(event, EVENT_SECTION_ALERT);

	return alert != NULL && alert->stream;
}
