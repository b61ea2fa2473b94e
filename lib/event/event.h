/*
 * What a worker hands on: one event, laid out in the ring as it will be read. An event is a
 * header (who, when, where) and sections behind it, each a record blob behind its own head.
 * The exporter turns it into one EVE line.
 *
 * Thread: written by the worker that owns the ring, read by the exporter.
 */
#ifndef MR_EVENT_EVENT_H
#define MR_EVENT_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/packet/packet.h"
#include "lib/record/record.h"
#include "lib/rule/rule.h"

enum event_type { EVENT_ALERT, EVENT_APP, EVENT_ANOMALY, EVENT_ARP, EVENT_FLOW, EVENT_ASSET, EVENT_PACKET,
	EVENT_SUMMARY, EVENT_FILE, EVENT_NETFLOW, EVENT_TYPE_COUNT };

enum event_section_kind {
	EVENT_SECTION_ALERT,    /* struct alert_record */
	EVENT_SECTION_FLOW,     /* struct flow_record */
	EVENT_SECTION_NETFLOW,  /* struct netflow_record */
	EVENT_SECTION_TCP,      /* struct flow_tcp_record */
	EVENT_SECTION_ANOMALY,  /* struct anomaly_record */
	EVENT_SECTION_ARP,      /* struct arp_record */
	EVENT_SECTION_IDENTITY, /* struct identity_record */
	EVENT_SECTION_SUMMARY,  /* struct summary_record */
	EVENT_SECTION_FILE,     /* struct file_record: of an alert, the file that it is about */
	EVENT_SECTION_APP,      /* a protocol's record: the app index is the event's */
	EVENT_SECTION_PAYLOAD,  /* bytes: EVE payload */
	EVENT_SECTION_PACKET,   /* bytes: EVE packet */
	EVENT_SECTION_TUNNEL,   /* struct tunnel_record */
	EVENT_SECTION_MACS,     /* struct mac_lists */
	EVENT_SECTION_METADATA, /* JSON text: the members metadata and traffic, flow bits and variables of an alert or a flow */
	EVENT_SECTION_SCTP,     /* struct sctp_record */
	EVENT_SECTION_CONTEXT,  /* JSON object: EVE alert.context */
	EVENT_SECTION_KIND_COUNT,
};

enum {
	EVENT_SECTION_MAX = 8, /* of one event */
	EVENT_LEN_MAX = 2 * RECORD_LEN_MAX,
	EVENT_MACS_MAX = 8, /* of each end of a flow */
	EVENT_SCTP_TYPES_MAX = 16, /* chunk types that an event names */
	EVENT_NO_APP = 0xffff,
};

enum event_flag {
	EVENT_HAS_MACS = 1,
	EVENT_HAS_PORTS = 2,
	EVENT_HAS_ICMP = 4,
	EVENT_HAS_FLOW = 8,
	EVENT_TO_SERVER = 16,    /* EVE direction, with EVENT_HAS_DIRECTION */
	EVENT_HAS_DIRECTION = 32,
	EVENT_HAS_ICMP_RESPONSE = 64,
	EVENT_HAS_SPI = 128,
	EVENT_HAS_IGMP = 256,    /* icmp_type is IGMP's, icmp_code its version */
};

/** Its bytes are behind it; the next one is at the next multiple of 8. */
struct event_section {
	uint32_t len; /* of the bytes */
	uint8_t kind; /* enum event_section_kind */
	uint8_t reserved[3];
};

/** The sections are behind it, up to len. */
struct event {
	uint32_t len;  /* with all sections; a multiple of 8 */
	uint8_t type;  /* enum event_type */
	uint8_t ip_version;
	uint8_t reserved[2];
	uint64_t ts_ns;
	uint64_t flow_id;      /* 0: none */
	uint64_t frame_number; /* EVE pcap_cnt; 0: not from a capture */
	uint64_t born_tsc;     /* when the burst was received; for the time from rx to event */
	struct ip_addr src, dst;
	uint16_t sport, dport;
	uint16_t app_idx;      /* EVENT_NO_APP: unknown */
	uint16_t port_idx;     /* capture port */
	uint16_t ether_type;
	uint16_t vlan[PACKET_VLAN_MAX];
	uint8_t vlan_count;
	uint8_t ip_proto;
	uint8_t icmp_type, icmp_code;
	uint8_t icmp_response_type, icmp_response_code; /* of what answers it */
	uint8_t pkt_source;    /* enum packet_source */
	uint8_t src_mac[6], dst_mac[6];
	uint8_t tx_id_valid;
	uint16_t link_type;
	uint16_t flags;        /* enum event_flag */
	uint16_t app_before;   /* of a flow: what it was before, as the index + 1; 0: nothing else */
	uint32_t tx_id;
	uint32_t esp_spi;
};

struct alert_record {
	struct record_head head;
	const struct rule_meta *meta; /* lives until the exporter passed the reload that ended its rule set */
	uint64_t pkts_toserver, pkts_toclient, bytes_toserver, bytes_toclient; /* of the flow so far */
	uint64_t flow_start_ns;
	bool has_flow;
	bool stream;
};

/** EVE tunnel: the outermost packet of the one at hand. */
struct tunnel_record {
	struct ip_addr src, dst;
	uint16_t sport, dport;
	uint8_t ip_version;
	uint8_t ip_proto;
	uint8_t depth;       /* packets around it */
	uint8_t pkt_source;  /* enum packet_source, of the outermost packet */
	bool has_ports;
};

enum sctp_has { SCTP_HAS_INIT, SCTP_HAS_INIT_ACK, SCTP_HAS_DATA, SCTP_HAS_ABORT };

/** EVE sctp: the packet's chunks. RFC 9260 3. */
struct sctp_record {
	uint32_t vtag;
	uint16_t chunk_count;
	uint8_t has;        /* bits: enum sctp_has */
	uint8_t type_count; /* of types */
	uint8_t types[EVENT_SCTP_TYPES_MAX];
};

/** EVE ether.src_macs and ether.dest_macs: the MAC addresses that each end of a flow was seen with. */
struct mac_list {
	uint8_t count;
	uint8_t macs[EVENT_MACS_MAX][6];
};

struct mac_lists {
	struct mac_list src, dst;
};

/** EVE anomaly: what was wrong, and in which layer. */
struct anomaly_record {
	struct record_head head;
	const char *type;   /* "decode", "stream", "applayer" */
	const char *event;  /* "ipv4.trunc_pkt", "invalid_length" */
	const char *layer;  /* applayer: "proto_parser" */
	const char *app_proto; /* applayer */
};

/** EVE arp, as Suricata writes it. RFC 826. */
struct arp_record {
	struct record_head head;
	uint16_t hw_type, proto_type, opcode;
	uint8_t src_mac[6], dest_mac[6];
	struct record_ip src_ip, dest_ip;
};

extern const struct record_table anomaly_table;
extern const struct record_table arp_table;

/* ---- the ring ---- */

enum event_ring_counter {
	EVENT_RING_PUSHED,
	EVENT_RING_DROPPED,       /* the ring was full */
	EVENT_RING_DROPPED_BYTES,
	EVENT_RING_COUNTER_COUNT,
};

extern const struct counter_desc event_ring_counters[EVENT_RING_COUNTER_COUNT];

/** A single-producer, single-consumer ring of events of any length, in one area. */
struct event_ring;

/** @param bytes  area, a power of two, at least 4 * EVENT_LEN_MAX. @return 0, -EINVAL or -ENOMEM */
int event_ring_create(struct event_ring **out, size_t bytes);
void event_ring_destroy(struct event_ring *ring);

/** Producer: room for an event of at most len bytes, or NULL when the ring is full (counted). Nothing is visible
 *  until it was committed and published. */
struct event *event_ring_reserve(struct event_ring *ring, uint32_t len);
/** Producer: whether event_ring_reserve() would succeed. Counts nothing. */
bool event_ring_has_room(struct event_ring *ring, uint32_t len);
/** Producer: event->len says how much of the room is used. */
void event_ring_commit(struct event_ring *ring, struct event *event);
/** Producer: shows the consumer what was committed. Once a burst; a ring without room does it by itself. */
void event_ring_publish(struct event_ring *ring);
/** Consumer: the oldest event, or NULL. Valid until event_ring_release(). */
const struct event *event_ring_peek(struct event_ring *ring);
/** Consumer: done with the event of event_ring_peek(). */
void event_ring_release(struct event_ring *ring, const struct event *event);
/** Any thread: positions only grow; an event pushed before the call is consumed once tail passes this head. */
uint64_t event_ring_head(const struct event_ring *ring);
uint64_t event_ring_tail(const struct event_ring *ring);
struct counter_set event_ring_counters_get(struct event_ring *ring);

/* ---- building ---- */

/** An event under construction in room of cap bytes. */
struct event_builder {
	struct event *event;
	uint32_t cap;
};

/** Starts an event without sections. */
void event_begin(struct event_builder *b, void *room, uint32_t cap, enum event_type type);
/** Adds a section of len bytes. @return its bytes, not cleared; NULL when it does not fit */
void *event_add(struct event_builder *b, enum event_section_kind kind, uint32_t len);
/** The section behind another one of the event, the first one behind NULL. @return NULL behind the last */
static inline const struct event_section *
event_section_next(const struct event *event, const struct event_section *before)
{
	uint32_t off = sizeof(*event);

	if (before != NULL)
		off = (uint32_t)((const uint8_t *)before - (const uint8_t *)event) + (((uint32_t)sizeof(*before) + before->len + 7) & ~UINT32_C(7));
	return off < event->len ? (const struct event_section *)(const void *)((const uint8_t *)event + off) : NULL;
}

static inline const void *
event_section_data(const struct event_section *section)
{
	return section + 1;
}

/** A section's bytes; NULL: the event has none of the kind. */
const void *event_find_section(const struct event *event, enum event_section_kind kind);
/** Whether an alert was found in reassembled data, not in one packet. */
bool event_alert_is_stream(const struct event *event);
/** Bytes an event with such sections needs. */
uint32_t event_len_of(unsigned int section_count, uint64_t sections_len);

/* ---- as EVE: the exporter ---- */

struct event_json_config {
	const struct rule_app *const *apps; /* by app index */
	unsigned int app_count;
	const char *const *port_names;      /* EVE in_iface, by port_idx; NULL: left out */
	unsigned int port_count;
	uint16_t community_id_seed;
	bool ethernet;                      /* EVE ether */
	bool community_id;
};

struct event_json;

/** @param config  copied; what it points to is borrowed. @return 0 or -ENOMEM */
int event_json_create(struct event_json **out, const struct event_json_config *config);
void event_json_destroy(struct event_json *json);
/** Writes the event's line without newline. Thread: one. */
void event_json_write(struct event_json *json, struct buf *out, const struct event *event);
/** The type's EVE name; of EVENT_APP the protocol's. */
const char *event_json_type(const struct event_json *json, const struct event *event);

#endif
