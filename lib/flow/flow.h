/*
 * Flows: a bounded table of biflows (RFC 5103), found or made a burst at a time, with the
 * TCP state of both ends, timeouts by capture time and the meaning of IPFIX flow records.
 *
 * A worker's burst: flow_lookup_burst(), then for each packet in order flow_update(), which
 * may return another flow than was looked up (a new connection on the same endpoints, or a
 * flow whose time was over), then once flow_expire(). Flows that ended stay readable until
 * flow_expire() handed them to its callback, which is where stream and session are freed.
 * A flow that goes on is told of in parts, where flow_tell_parts() was called.
 *
 * Thread: the table's owner only, except where a function says otherwise.
 */
#ifndef MR_FLOW_FLOW_H
#define MR_FLOW_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/counter.h"
#include "lib/config/config.h"
#include "lib/packet/packet.h"
#include "lib/record/record.h"

enum {
	/* of a direction: both fit into 32 bits. There it sticks, or a part is told and it goes back by half, so that parts miss nothing */
	FLOW_PACKETS_MAX = INT32_MAX,
	FLOW_BURST_MAX = 512,      /* packets of one flow_lookup_burst(), inner ones included */
	FLOW_COMMUNITY_ID_LEN = 30, /* "1:" and 28 characters of base64 */
};

/** Index of everything kept for each direction: flow.packets[FLOW_TO_SERVER]. */
enum flow_direction { FLOW_TO_CLIENT, FLOW_TO_SERVER };

enum flow_state { FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSED, FLOW_STATE_COUNT };

/** RFC 9293 3.3.2, as a bystander sees the connection. */
enum flow_tcp_state {
	FLOW_TCP_NONE,
	FLOW_TCP_LISTEN,
	FLOW_TCP_SYN_SENT,
	FLOW_TCP_SYN_RECV,
	FLOW_TCP_ESTABLISHED,
	FLOW_TCP_FIN_WAIT1,
	FLOW_TCP_FIN_WAIT2,
	FLOW_TCP_TIME_WAIT,
	FLOW_TCP_LAST_ACK,
	FLOW_TCP_CLOSE_WAIT,
	FLOW_TCP_CLOSING,
	FLOW_TCP_CLOSED,
	FLOW_TCP_STATE_COUNT,
};

/** EVE flow.reason. IPFIX flowEndReason (RFC 5102 5.11.3) is flow_end_reason_ipfix[]. */
enum flow_end {
	FLOW_END_NONE,
	FLOW_END_TIMEOUT,   /* silent for longer than its timeout */
	FLOW_END_FORCED,    /* the table was full, or in emergency mode */
	FLOW_END_SHUTDOWN,  /* the capture or the sensor ended */
	FLOW_END_TCP_REUSE, /* a new connection took the same endpoints */
	FLOW_END_ACTIVE,    /* no end: a part of a flow that goes on */
	FLOW_END_COUNT,
};

enum flow_flag {
	FLOW_ENDED = 1 << 0,         /* out of the index; waits for flow_expire() */
	FLOW_SWAPPED = 1 << 1,       /* the originator is key.addr[1] */
	FLOW_3WHS = 1 << 2,          /* the whole TCP handshake was seen */
	FLOW_MIDSTREAM = 1 << 3,     /* TCP: the first packet was not a SYN */
	FLOW_ALERTED = 1 << 4,       /* the worker sets it */
	FLOW_APP_GIVEN_UP = 1 << 5,  /* no protocol wants the bytes: streams only follow sequence numbers */
	FLOW_RST_SEEN = 1 << 6,
	FLOW_FIN_SEEN = 1 << 7,      /* either direction */
	FLOW_SEEN_BOTH = 1 << 8,     /* both directions have sent */
	FLOW_SYNACK_FIRST = 1 << 9,  /* picked up at the SYN+ACK: directions were swapped */
	FLOW_HAS_MACS = 1 << 10,
	FLOW_DIRECTION_SWAPPED = 1 << 11, /* flow_swap_direction() was called */
	FLOW_EMERGENCY = 1 << 12,    /* created while the table was in emergency mode */
	FLOW_REQUEST_SEEN = 1 << 13, /* payload to server; response_us counts from it */
	FLOW_RESPONSE_SEEN = 1 << 14, /* and payload to client behind it: response_us holds */
	FLOW_LIVE = 1 << 15,         /* in use, ended or not */
};

struct flow {
	/* line 0: read or written for every packet */
	struct packet_key key;
	uint64_t last_ns;      /* capture time of the last packet */
	uint32_t hash;
	uint16_t flags;        /* enum flow_flag */
	uint8_t state;         /* enum flow_state */
	uint8_t tcp_state;     /* enum flow_tcp_state */

	/* line 1 */
	uint32_t packets[2];   /* by enum flow_direction, since the flow's beginning; up to FLOW_PACKETS_MAX, see there */
	uint64_t bytes[2];     /* frames, as on the wire, without FCS */
	void *stream;          /* lib/stream's; NULL: none */
	void *session;         /* the worker's protocol session */
	void *rule_state;      /* the rule engine's: flow bits */
	uint8_t tcp_flags[2];  /* or of all seen */
	uint8_t ttl_min[2];
	uint8_t ttl_max[2];
	uint8_t end_reason : 4; /* enum flow_end; with FLOW_ENDED */
	uint8_t rule_route : 4; /* the rule engine's: where its ends are; 0: not looked up since the last swap */
	uint8_t timeout_class; /* table's; by protocol */
	uint16_t app_proto;    /* index in proto_table[] + 1 as the worker numbers it; 0: unknown */
	uint16_t tx_count;     /* the worker's, of this part; sticks at the maximum */
	uint32_t response_us;  /* first data to server until first data to client; with FLOW_RESPONSE_SEEN */

	/* line 2 */
	uint64_t first_ns;
	uint64_t flow_id;      /* same for the same capture, whatever the number of workers; below 2^53 */
	uint32_t timer_next;   /* wheel links */
	uint32_t timer_prev;
	uint16_t timer_slot;
	uint16_t port_idx;     /* capture port of the first packet */
	uint16_t app_proto_before; /* as app_proto: what the flow was until its protocol said that another one follows; 0: none */
	uint8_t elephants;     /* bits by enum flow_direction: it reached flow.rate-tracking.bytes within the interval, some time */
	bool app_failed : 1;   /* the worker's: it was looked for, and no protocol recognised */
	bool parted : 1;       /* a part of it was told: flow_part() */
	uint32_t handshake_us; /* SYN to the ACK that ends the handshake; 0: not seen */
	uint8_t src_mac[6];    /* of the first packet's sender, with FLOW_HAS_MACS */
	uint8_t dst_mac[6];
	uint32_t lost_bytes[2]; /* of this part: acknowledged by the peer, never seen here; sticks at the maximum */
	uint16_t vlan[PACKET_VLAN_MAX]; /* of the first packet */
	uint8_t vlan_count;
	uint8_t icmp_code;     /* of the first packet */
};

_Static_assert(sizeof(struct flow) == 192, "three cache lines: ten million flows take 1.79 GiB");

/** What was told of a flow that goes on. By the end that sends: key.addr[]. */
struct flow_part {
	uint64_t packets[2]; /* since the flow's beginning */
	uint64_t bytes[2];
	uint64_t folded[2];  /* packets that flow.packets went back by */
	uint64_t start_ns;   /* first packet that was not told of */
	uint32_t count;      /* parts told */
};

enum flow_timeout_class {
	FLOW_TIMEOUT_DEFAULT,
	FLOW_TIMEOUT_TCP,
	FLOW_TIMEOUT_UDP,
	FLOW_TIMEOUT_ICMP,
	FLOW_TIMEOUT_CLASS_COUNT,
};

struct flow_config {
	uint64_t flows_max;      /* capacity of one table */
	uint64_t emergency_recovery; /* percent of the capacity that must be free to leave emergency mode */
	uint64_t active_timeout_s;   /* a flow that goes on is told of each time; IPFIX flowActiveTimeout; 0: never */
	bool skip_duplicates;        /* flow_is_duplicate() looks */
	uint64_t duplicate_window_us;
	uint64_t rate_bytes;         /* of a direction within rate_interval_s: an elephant; 0: rates are not followed */
	uint64_t rate_interval_s;
	uint64_t timeout_s[FLOW_TIMEOUT_CLASS_COUNT][FLOW_STATE_COUNT];
	uint64_t emergency_timeout_s[FLOW_TIMEOUT_CLASS_COUNT][FLOW_STATE_COUNT];
};

extern const struct knob_table flow_knobs;

enum flow_counter {
	FLOW_COUNTER_TOTAL,
	FLOW_COUNTER_ACTIVE,
	FLOW_COUNTER_TCP,
	FLOW_COUNTER_UDP,
	FLOW_COUNTER_ICMPV4,
	FLOW_COUNTER_ICMPV6,
	FLOW_COUNTER_OTHER,
	FLOW_COUNTER_TCP_REUSE,
	FLOW_COUNTER_PARTS,
	FLOW_COUNTER_END_TIMEOUT,
	FLOW_COUNTER_END_FORCED,
	FLOW_COUNTER_END_SHUTDOWN,
	FLOW_COUNTER_EVICTED_NEW,
	FLOW_COUNTER_EVICTED_ESTABLISHED,
	FLOW_COUNTER_EVICTED_CLOSED,
	FLOW_COUNTER_EVICTED_BUCKET,
	FLOW_COUNTER_TABLE_FULL,
	FLOW_COUNTER_EMERG_MODE_ENTERED,
	FLOW_COUNTER_EMERG_MODE_OVER,
	FLOW_COUNTER_ELEPHANTS,
	FLOW_COUNTER_DUPLICATES,
	FLOW_COUNTER_COUNT,
};

extern const struct counter_desc flow_counters[FLOW_COUNTER_COUNT];

struct flow_table;

/**
 * @param out       owned by the caller
 * @param config    copied
 * @param counters  [FLOW_COUNTER_COUNT], lent until destroy, written by the table's owner
 * @return 0, -EINVAL or -ENOMEM
 */
int flow_table_create(struct flow_table **out, const struct flow_config *config, _Atomic uint64_t *counters);
/** Frees the table. Flows still inside are not handed out: call flow_expire_all() before. */
void flow_table_destroy(struct flow_table *table);

/**
 * Finds or creates the flow of each packet.
 *
 * @param packets  [count], decoded
 * @param count    0..FLOW_BURST_MAX
 * @param now_ns   time of the burst: the latest capture time seen so far, or that of a clock set back, which flows follow
 * @param flows    out [count]: NULL where the packet has none (not IP, malformed, a fragment, an ICMP error about
 *                 an unknown flow) or the table is full;
 *                 borrowed until flow_expire()
 * @return number of non-NULL entries in flows
 * Source: RFC 7011 2 (flow), RFC 5103 (biflow direction).
 */
uint16_t flow_lookup_burst(struct flow_table *table, struct packet packets[], uint16_t count, uint64_t now_ns,
	struct flow *flows[]);

/** Whether the packet is the second copy of one just seen, as a mirror of both directions of a switch's ports makes
 *  them. The caller then passes it over; it is counted. Always false unless flow.skip-duplicates is on. */
bool flow_is_duplicate(struct flow_table *table, const struct packet *packet);

/**
 * Counts a packet on its flow, follows the TCP state, and sets the packet's PACKET_TO_SERVER and
 * PACKET_ESTABLISHED flags. Call for each packet in order.
 *
 * @param flow  of flow_lookup_burst(), not NULL
 * @return the packet's flow: another one when the looked up flow is over (its timeout has passed, a new connection
 *         reuses its endpoints); NULL when the table has no room for that one
 */
struct flow *flow_update(struct flow_table *table, struct flow *flow, struct packet *packet);

/** Writes the record of a part. What is read of the flow is of the time before the packet at hand. */
typedef void (*flow_part_fn)(void *arg, struct flow *flow);

/**
 * From now on flow_update() hands out each flow that goes on and of which the last record is flow.active-timeout old, or an eighth
 * of it older (so that flows that began together are not told together), before it counts the packet that shows it: by the packets'
 * times alone, so the parts are the same whatever the number of workers. Nothing where flow.active-timeout is 0.
 *
 * @return 0 or -ENOMEM
 * Source: RFC 5102 5.11.1 (flowActiveTimeout), RFC 5470 5.1.1.
 */
int flow_tell_parts(struct flow_table *table, flow_part_fn fn, void *arg);
/** What was told of the flow before; NULL: nothing. Borrowed until its next packet. */
const struct flow_part *flow_part(const struct flow_table *table, const struct flow *flow);
/** As if nothing had been told: a record with it is of the whole flow so far. */
struct flow_part flow_whole(const struct flow_table *table, const struct flow *flow);
/** Packets since the flow's beginning, also of more than FLOW_PACKETS_MAX. */
uint64_t flow_packets(const struct flow_table *table, const struct flow *flow, enum flow_direction direction);

/** The originator turns out to be the other end: swaps all that is kept for each direction (streams need nothing). The
 *  caller fixes PACKET_TO_SERVER of the packet at hand. */
void flow_swap_direction(struct flow *flow);

/** Frees what hangs from an ended flow (stream, session, rule_state) and writes its record. */
typedef void (*flow_end_fn)(void *arg, struct flow *flow);

/**
 * Hands out flows that ended, by timeout up to now_ns or since the last call.
 *
 * @param now_ns  capture time. More than CLOCK_BACK_S behind the last: the clock was set, and timers follow it
 * @param budget  flows looked at by the timers; those already ended always go
 * @return flows handed out
 */
unsigned int flow_expire(struct flow_table *table, uint64_t now_ns, unsigned int budget, flow_end_fn end_fn, void *arg);
/** In a flow_end_fn: the flow whose turn comes next, to be asked for ahead; NULL: none. */
const struct flow *flow_next_ended(const struct flow_table *table);
/** At the end of a capture: first flow_expire() with the capture's last time (the same on all workers), then this:
 *  every flow left ends with FLOW_END_SHUTDOWN, in table order. */
unsigned int flow_expire_all(struct flow_table *table, flow_end_fn end_fn, void *arg);

/** Calls fn for each live flow among count places of the table, from a place on (0 at first). @return the next place, 0 at the end */
uint32_t flow_table_walk(const struct flow_table *table, uint32_t from, uint32_t count, void (*fn)(void *arg, const struct flow *flow),
	void *arg);
uint64_t flow_table_active(const struct flow_table *table);
uint64_t flow_table_bytes(const struct flow_table *table);

/* ---- the flow's ends, by role ---- */

static inline const struct ip_addr *
flow_originator(const struct flow *flow)
{
	return &flow->key.addr[(flow->flags & FLOW_SWAPPED) != 0];
}

static inline const struct ip_addr *
flow_responder(const struct flow *flow)
{
	return &flow->key.addr[(flow->flags & FLOW_SWAPPED) == 0];
}

/** Host order; 0 where the protocol has no ports. */
uint16_t flow_originator_port(const struct flow *flow);
uint16_t flow_responder_port(const struct flow *flow);
/** ICMP and ICMPv6: the originator's type (echo request, ...) and that of the answer. */
uint8_t flow_icmp_type(const struct flow *flow);
uint8_t flow_icmp_response_type(const struct flow *flow);
/** ESP: the security parameters index. */
uint32_t flow_esp_spi(const struct flow *flow);

/** Which way a packet of the flow goes. */
static inline bool
flow_goes_to_server(const struct flow *flow, const struct packet *packet)
{
	return packet_is(packet, PACKET_KEY_SWAPPED) == ((flow->flags & FLOW_SWAPPED) != 0);
}

/** The same, once flow_update() has seen it. */
static inline bool
flow_to_server(const struct packet *packet)
{
	return (packet->flags & PACKET_TO_SERVER) != 0;
}

/* ---- what events say of a flow; any thread ---- */

extern const char *const flow_state_names[FLOW_STATE_COUNT];         /* "new", "established", "closed" */
extern const char *const flow_tcp_state_names[FLOW_TCP_STATE_COUNT]; /* "none", ..., "syn_sent", ..., "closed" */
extern const char *const flow_end_names[FLOW_END_COUNT];             /* EVE flow.reason */
extern const uint8_t flow_end_reason_ipfix[FLOW_END_COUNT];

/**
 * Community ID v1 of a flow or packet: base64 of a SHA-1, with its "1:". Exporter side: not for workers.
 *
 * @param src, dst, sport, dport  for ICMP the ports are type and code of the packet that opened the flow
 * @param out  [FLOW_COMMUNITY_ID_LEN + 1], terminated
 */
void flow_community_id(char out[FLOW_COMMUNITY_ID_LEN + 1], uint16_t seed, uint8_t ip_version, uint8_t ip_proto,
	const struct ip_addr *src, const struct ip_addr *dst, uint16_t sport, uint16_t dport);

/** The EVE objects `flow` and `tcp` of a flow record; a blob without variable parts. */
struct flow_record {
	struct record_head head;
	uint64_t pkts_toserver, pkts_toclient;
	uint64_t bytes_toserver, bytes_toclient;
	uint64_t start, end; /* ns */
	uint64_t age;        /* seconds */
	uint64_t began;      /* ns; the flow's first packet, from the second part on */
	uint32_t part;       /* which of the flow's records, from the second on */
	const char *state;
	const char *reason;
	bool alerted;
	uint8_t min_ttl_toserver, max_ttl_toserver;
	uint8_t min_ttl_toclient, max_ttl_toclient;
	uint8_t end_reason;  /* IPFIX flowEndReason */
	uint16_t tx_cnt;
	uint32_t lost_bytes_toserver, lost_bytes_toclient;
	uint32_t handshake_us, response_us;
	bool elephant_toserver, elephant_toclient;
};

/** The EVE object `netflow`: one direction of a flow record. */
struct netflow_record {
	struct record_head head;
	uint64_t pkts, bytes;
	uint64_t start, end; /* ns; of both directions */
	uint64_t age;        /* seconds */
	uint8_t min_ttl, max_ttl;
};

struct flow_tcp_record {
	struct record_head head;
	struct record_ref tcp_flags, tcp_flags_ts, tcp_flags_tc; /* one byte each, printed as two hex digits */
	bool syn, fin, rst, psh, ack, urg, ecn, cwr;
	const char *state;
	uint8_t flags_bytes[8]; /* behind the refs */
};

extern const struct record_table flow_record_table;     /* "flow" */
extern const struct record_table netflow_record_table;  /* "netflow" */
extern const struct record_table flow_tcp_record_table; /* "tcp" */

/** @param told  by flow_part(), NULL: nothing; the record is of what came behind it. Or by flow_whole() */
void flow_record_fill(const struct flow *flow, const struct flow_part *told, struct flow_record *out);
void netflow_record_fill(const struct flow_record *flow, enum flow_direction direction, struct netflow_record *out);
/** Only for TCP flows. */
void flow_tcp_record_fill(const struct flow *flow, struct flow_tcp_record *out);
/** The flags of one direction alone, for a netflow event. */
void netflow_tcp_record_fill(const struct flow *flow, enum flow_direction direction, struct flow_tcp_record *out);

#endif
