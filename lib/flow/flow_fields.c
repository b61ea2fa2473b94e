/* What events say of a flow: names, the EVE objects `flow` and `tcp`, the Community ID. */
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "lib/flow/flow.h"

const char *const flow_state_names[FLOW_STATE_COUNT] = { "new", "established", "closed" };

const char *const flow_tcp_state_names[FLOW_TCP_STATE_COUNT] = {
	[FLOW_TCP_NONE] = "none",
	[FLOW_TCP_LISTEN] = "listen",
	[FLOW_TCP_SYN_SENT] = "syn_sent",
	[FLOW_TCP_SYN_RECV] = "syn_recv",
	[FLOW_TCP_ESTABLISHED] = "established",
	[FLOW_TCP_FIN_WAIT1] = "fin_wait1",
	[FLOW_TCP_FIN_WAIT2] = "fin_wait2",
	[FLOW_TCP_TIME_WAIT] = "time_wait",
	[FLOW_TCP_LAST_ACK] = "last_ack",
	[FLOW_TCP_CLOSE_WAIT] = "close_wait",
	[FLOW_TCP_CLOSING] = "closing",
	[FLOW_TCP_CLOSED] = "closed",
};

const char *const flow_end_names[FLOW_END_COUNT] = { "unknown", "timeout", "forced", "shutdown", "tcp_reuse", "active_timeout" };

/* idle timeout, lack of resources, forced end, end of flow detected, active timeout */
const uint8_t flow_end_reason_ipfix[FLOW_END_COUNT] = { 0, 1, 5, 4, 3, 2 };

uint16_t
flow_originator_port(const struct flow *flow)
{
	switch (flow->key.ip_proto) {
	case IP_PROTO_TCP:
	case IP_PROTO_UDP:
	case IP_PROTO_SCTP:
		return flow->key.port[(flow->flags & FLOW_SWAPPED) != 0];
	default:
		return 0;
	}
}

uint16_t
flow_responder_port(const struct flow *flow)
{
	switch (flow->key.ip_proto) {
	case IP_PROTO_TCP:
	case IP_PROTO_UDP:
	case IP_PROTO_SCTP:
		return flow->key.port[(flow->flags & FLOW_SWAPPED) == 0];
	default:
		return 0;
	}
}

uint8_t
flow_icmp_type(const struct flow *flow)
{
	return (uint8_t)flow->key.port[(flow->flags & FLOW_SWAPPED) != 0];
}

uint8_t
flow_icmp_response_type(const struct flow *flow)
{
	return (uint8_t)flow->key.port[(flow->flags & FLOW_SWAPPED) == 0];
}

uint32_t
flow_esp_spi(const struct flow *flow)
{
	return (uint32_t)flow->key.port[0] << 16 | flow->key.port[1];
}

/** Community ID: ICMP types that have an answering type take it for the other port. */
static bool
community_icmp_reply(uint8_t version, uint16_t type, uint16_t *reply)
{
	static const uint8_t pairs[][3] = {
		{ 4, 8, 0 }, { 4, 0, 8 }, { 4, 9, 10 }, { 4, 10, 9 }, { 4, 13, 14 }, { 4, 14, 13 }, { 4, 15, 16 },
		{ 4, 16, 15 }, { 4, 17, 18 }, { 4, 18, 17 }, { 6, 128, 129 }, { 6, 129, 128 }, { 6, 130, 131 },
		{ 6, 131, 130 }, { 6, 133, 134 }, { 6, 134, 133 }, { 6, 135, 136 }, { 6, 136, 135 }, { 6, 139, 140 },
		{ 6, 140, 139 }, { 6, 144, 145 }, { 6, 145, 144 },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i][0] == version && pairs[i][1] == type) {
			*reply = pairs[i][2];
			return true;
		}
	return false;
}

/* Looking an algorithm up by name costs more than the sum itself: once is enough. */
static const EVP_MD *community_md;

static void
community_md_fetch(void)
{
	community_md = EVP_MD_fetch(NULL, "SHA1", NULL);
}

void
flow_community_id(char out[FLOW_COMMUNITY_ID_LEN + 1], uint16_t seed, uint8_t ip_version, uint8_t ip_proto,
	const struct ip_addr *src, const struct ip_addr *dst, uint16_t sport, uint16_t dport)
{
	bool icmp = (ip_version == 4 && ip_proto == IP_PROTO_ICMP) || (ip_version == 6 && ip_proto == IP_PROTO_ICMPV6);
	bool has_ports = icmp || ip_proto == IP_PROTO_TCP || ip_proto == IP_PROTO_UDP || ip_proto == IP_PROTO_SCTP;
	size_t addr_len = ip_version == 6 ? 16 : 4, len = 0;
	bool one_way = icmp && !community_icmp_reply(ip_version, sport, &dport);
	int order = memcmp(src->bytes, dst->bytes, addr_len);
	bool swapped = !one_way && (order > 0 || (order == 0 && sport > dport));
	uint8_t text[2 + 32 + 2 + 4], digest[EVP_MAX_MD_SIZE];
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned int digest_len = 0;

	(void)pthread_once(&once, community_md_fetch);
	text[len++] = (uint8_t)(seed >> 8);
	text[len++] = (uint8_t)seed;
	memcpy(text + len, swapped ? dst->bytes : src->bytes, addr_len);
	len += addr_len;
	memcpy(text + len, swapped ? src->bytes : dst->bytes, addr_len);
	len += addr_len;
	text[len++] = ip_proto;
	text[len++] = 0;
	if (has_ports) {
		uint16_t low = swapped ? dport : sport, high = swapped ? sport : dport;

		text[len++] = (uint8_t)(low >> 8);
		text[len++] = (uint8_t)low;
		text[len++] = (uint8_t)(high >> 8);
		text[len++] = (uint8_t)high;
	}
	memcpy(out, "1:", 3);
	if (community_md != NULL && EVP_Digest(text, len, digest, &digest_len, community_md, NULL) == 1)
		EVP_EncodeBlock((unsigned char *)out + 2, digest, (int)digest_len);
}

enum flow_record_bit { BIT_RESPONSE = 1, BIT_HANDSHAKE, BIT_LOST, BIT_TO_SERVER, BIT_TO_CLIENT, BIT_ELEPHANT, BIT_PART };

#define FLOW_AT(field) offsetof(struct flow_record, field)
#define SOURCE "RFC 7011, RFC 5103"

static const struct field flow_fields[] = {
	{ "pkts_toserver", FIELD_U64, FIELD_ALWAYS, 0, FLOW_AT(pkts_toserver), NULL, NULL, SOURCE,
		"packets of the originator (packetDeltaCount); sticks at 2147483647 where flow.active-timeout is 0" },
	{ "pkts_toclient", FIELD_U64, FIELD_ALWAYS, 0, FLOW_AT(pkts_toclient), NULL, NULL, SOURCE,
		"packets of the responder (reverse packetDeltaCount); likewise" },
	{ "bytes_toserver", FIELD_U64, FIELD_ALWAYS, 0, FLOW_AT(bytes_toserver), NULL, NULL, SOURCE,
		"bytes of the originator's frames" },
	{ "bytes_toclient", FIELD_U64, FIELD_ALWAYS, 0, FLOW_AT(bytes_toclient), NULL, NULL, SOURCE,
		"bytes of the responder's frames" },
	{ "start", FIELD_TIME, FIELD_ALWAYS, 0, FLOW_AT(start), NULL, NULL, SOURCE,
		"first packet counted here (flowStartNanoseconds)" },
	{ "end", FIELD_TIME, FIELD_ALWAYS, 0, FLOW_AT(end), NULL, NULL, SOURCE, "last packet (flowEndNanoseconds)" },
	{ "age", FIELD_U64, FIELD_ALWAYS, 0, FLOW_AT(age), NULL, NULL, SOURCE, "whole seconds from start to end" },
	{ "state", FIELD_TEXT, FIELD_ALWAYS, 0, FLOW_AT(state), NULL, NULL, SOURCE, "new, established, closed" },
	{ "reason", FIELD_TEXT, FIELD_ALWAYS, 0, FLOW_AT(reason), NULL, NULL, SOURCE,
		"why it ended (flowEndReason): timeout, forced, shutdown, tcp_reuse; active_timeout: it goes on, and the counts of its "
		"next record begin behind this one" },
	{ "part", FIELD_U32, BIT_PART, 0, FLOW_AT(part), NULL, NULL, "own",
		"which record of its flow this is, from the second on: all of one flow_id together are the flow" },
	{ "began", FIELD_TIME, BIT_PART, 0, FLOW_AT(began), NULL, NULL, "own", "the flow's first packet, told of in its first record" },
	{ "alerted", FIELD_BOOL, FIELD_ALWAYS, 0, FLOW_AT(alerted), NULL, NULL, SOURCE, "some rule has alerted on it" },
	{ "tx_cnt", FIELD_U16, FIELD_ALWAYS, 0, FLOW_AT(tx_cnt), NULL, NULL, SOURCE, "transactions recorded" },
	{ "min_ttl_toserver", FIELD_U8, BIT_TO_SERVER, 0, FLOW_AT(min_ttl_toserver), NULL, NULL, SOURCE,
		"minimumTTL of the originator" },
	{ "max_ttl_toserver", FIELD_U8, BIT_TO_SERVER, 0, FLOW_AT(max_ttl_toserver), NULL, NULL, SOURCE,
		"maximumTTL of the originator" },
	{ "min_ttl_toclient", FIELD_U8, BIT_TO_CLIENT, 0, FLOW_AT(min_ttl_toclient), NULL, NULL, SOURCE,
		"minimumTTL of the responder" },
	{ "max_ttl_toclient", FIELD_U8, BIT_TO_CLIENT, 0, FLOW_AT(max_ttl_toclient), NULL, NULL, SOURCE,
		"maximumTTL of the responder" },
	{ "lost_bytes_toserver", FIELD_U32, BIT_LOST, 0, FLOW_AT(lost_bytes_toserver), NULL, NULL, "own",
		"acknowledged by the responder but never seen: lost before the sensor; sticks at 4294967295" },
	{ "lost_bytes_toclient", FIELD_U32, BIT_LOST, 0, FLOW_AT(lost_bytes_toclient), NULL, NULL, "own",
		"acknowledged by the originator but never seen; sticks at 4294967295" },
	{ "handshake_us", FIELD_U32, BIT_HANDSHAKE, 0, FLOW_AT(handshake_us), NULL, NULL, "own",
		"microseconds of the TCP handshake" },
	{ "response_us", FIELD_U32, BIT_RESPONSE, 0, FLOW_AT(response_us), NULL, NULL, "own",
		"microseconds from the first payload to the first answer" },
	{ "elephant_toserver", FIELD_BOOL, BIT_ELEPHANT, 0, FLOW_AT(elephant_toserver), NULL, NULL, "own",
		"the originator reached flow.rate-tracking.bytes within the interval" },
	{ "elephant_toclient", FIELD_BOOL, BIT_ELEPHANT, 0, FLOW_AT(elephant_toclient), NULL, NULL, "own",
		"the responder did" },
};

const struct record_table flow_record_table = {
	"flow", flow_fields, sizeof(flow_fields) / sizeof(flow_fields[0]), sizeof(struct flow_record),
};

#define NETFLOW_AT(field) offsetof(struct netflow_record, field)

static const struct field netflow_fields[] = {
	{ "pkts", FIELD_U64, FIELD_ALWAYS, 0, NETFLOW_AT(pkts), NULL, NULL, SOURCE, "packets of the sender (packetDeltaCount)" },
	{ "bytes", FIELD_U64, FIELD_ALWAYS, 0, NETFLOW_AT(bytes), NULL, NULL, SOURCE, "bytes of its frames" },
	{ "start", FIELD_TIME, FIELD_ALWAYS, 0, NETFLOW_AT(start), NULL, NULL, SOURCE, "as flow.start" },
	{ "end", FIELD_TIME, FIELD_ALWAYS, 0, NETFLOW_AT(end), NULL, NULL, SOURCE, "as flow.end" },
	{ "age", FIELD_U64, FIELD_ALWAYS, 0, NETFLOW_AT(age), NULL, NULL, SOURCE, "as flow.age" },
	{ "min_ttl", FIELD_U8, FIELD_ALWAYS, 0, NETFLOW_AT(min_ttl), NULL, NULL, SOURCE, "minimumTTL" },
	{ "max_ttl", FIELD_U8, FIELD_ALWAYS, 0, NETFLOW_AT(max_ttl), NULL, NULL, SOURCE, "maximumTTL" },
};

const struct record_table netflow_record_table = {
	"netflow", netflow_fields, sizeof(netflow_fields) / sizeof(netflow_fields[0]), sizeof(struct netflow_record),
};

#define TCP_AT(field) offsetof(struct flow_tcp_record, field)
#define TCP_FLAG_ROW(key, text, bit) \
	{ key, FIELD_BOOL, bit, 0, TCP_AT(text), NULL, NULL, "RFC 9293 3.1", "some segment had the flag" }

enum { BIT_BOTH = 8 };

/* presence bits of the flag rows are the flags' own numbers */
static const struct field tcp_fields[] = {
	{ "tcp_flags", FIELD_HEX, FIELD_ALWAYS, 0, TCP_AT(tcp_flags), NULL, NULL, "RFC 9293 3.1",
		"flags of all segments (tcpControlBits); of a netflow event those of its sender" },
	{ "tcp_flags_ts", FIELD_HEX, BIT_BOTH, 0, TCP_AT(tcp_flags_ts), NULL, NULL, "RFC 9293 3.1",
		"of the originator's segments" },
	{ "tcp_flags_tc", FIELD_HEX, BIT_BOTH, 0, TCP_AT(tcp_flags_tc), NULL, NULL, "RFC 9293 3.1",
		"of the responder's segments" },
	TCP_FLAG_ROW("syn", syn, 1),
	TCP_FLAG_ROW("fin", fin, 0),
	TCP_FLAG_ROW("rst", rst, 2),
	TCP_FLAG_ROW("psh", psh, 3),
	TCP_FLAG_ROW("ack", ack, 4),
	TCP_FLAG_ROW("urg", urg, 5),
	TCP_FLAG_ROW("ecn", ecn, 6),
	TCP_FLAG_ROW("cwr", cwr, 7),
	{ "state", FIELD_TEXT, BIT_BOTH, 0, TCP_AT(state), NULL, NULL, "RFC 9293 3.3.2", "of the connection" },
};

const struct record_table flow_tcp_record_table = {
	"tcp", tcp_fields, sizeof(tcp_fields) / sizeof(tcp_fields[0]), sizeof(struct flow_tcp_record),
};

/* What was told before is no part of this record. */
static void
take_told_away(const struct flow *flow, const struct flow_part *told, struct flow_record *out)
{
	bool originator = (flow->flags & FLOW_SWAPPED) != 0;

	out->pkts_toserver += told->folded[originator] - told->packets[originator];
	out->pkts_toclient += told->folded[!originator] - told->packets[!originator];
	out->bytes_toserver -= told->bytes[originator];
	out->bytes_toclient -= told->bytes[!originator];
	out->start = told->start_ns;
	if (told->count == 0)
		return;
	out->began = flow->first_ns;
	out->part = told->count + 1;
	record_present(&out->head, BIT_PART);
}

void
flow_record_fill(const struct flow *flow, const struct flow_part *told, struct flow_record *out)
{
	const uint64_t ns_per_s = UINT64_C(1000000000);

	memset(out, 0, sizeof(*out));
	out->pkts_toserver = flow->packets[FLOW_TO_SERVER];
	out->pkts_toclient = flow->packets[FLOW_TO_CLIENT];
	out->bytes_toserver = flow->bytes[FLOW_TO_SERVER];
	out->bytes_toclient = flow->bytes[FLOW_TO_CLIENT];
	out->start = flow->first_ns;
	out->end = flow->last_ns;
	if (told != NULL)
		take_told_away(flow, told, out);
	/* a clock that was set: no time is known */
	out->age = out->end < out->start ? 0 : out->end / ns_per_s - out->start / ns_per_s;
	out->state = flow_state_names[flow->state];
	out->reason = flow_end_names[flow->end_reason];
	out->end_reason = flow_end_reason_ipfix[flow->end_reason];
	out->alerted = (flow->flags & FLOW_ALERTED) != 0;
	out->tx_cnt = flow->tx_count;
	out->min_ttl_toserver = flow->ttl_min[FLOW_TO_SERVER];
	out->max_ttl_toserver = flow->ttl_max[FLOW_TO_SERVER];
	out->min_ttl_toclient = flow->ttl_min[FLOW_TO_CLIENT];
	out->max_ttl_toclient = flow->ttl_max[FLOW_TO_CLIENT];
	out->lost_bytes_toserver = flow->lost_bytes[FLOW_TO_SERVER];
	out->lost_bytes_toclient = flow->lost_bytes[FLOW_TO_CLIENT];
	out->handshake_us = flow->handshake_us;
	out->response_us = flow->response_us;
	out->elephant_toserver = (flow->elephants >> FLOW_TO_SERVER & 1) != 0;
	out->elephant_toclient = (flow->elephants >> FLOW_TO_CLIENT & 1) != 0;
	/* lifetimes are of the whole flow, also in a part that one side was silent in */
	if (flow->packets[FLOW_TO_SERVER] > 0)
		record_present(&out->head, BIT_TO_SERVER);
	if (flow->packets[FLOW_TO_CLIENT] > 0)
		record_present(&out->head, BIT_TO_CLIENT);
	if (out->lost_bytes_toserver + (uint64_t)out->lost_bytes_toclient > 0)
		record_present(&out->head, BIT_LOST);
	if ((flow->flags & FLOW_3WHS) != 0)
		record_present(&out->head, BIT_HANDSHAKE);
	if ((flow->flags & FLOW_RESPONSE_SEEN) != 0)
		record_present(&out->head, BIT_RESPONSE);
	if (flow->elephants != 0)
		record_present(&out->head, BIT_ELEPHANT);
}

void
netflow_record_fill(const struct flow_record *flow, enum flow_direction direction, struct netflow_record *out)
{
	bool to_server = direction == FLOW_TO_SERVER;

	memset(out, 0, sizeof(*out));
	out->pkts = to_server ? flow->pkts_toserver : flow->pkts_toclient;
	out->bytes = to_server ? flow->bytes_toserver : flow->bytes_toclient;
	out->start = flow->start;
	out->end = flow->end;
	out->age = flow->age;
	out->min_ttl = to_server ? flow->min_ttl_toserver : flow->min_ttl_toclient;
	out->max_ttl = to_server ? flow->max_ttl_toserver : flow->max_ttl_toclient;
}

static void
put_flags(uint8_t all, struct flow_tcp_record *out)
{
	memset(out, 0, sizeof(*out));
	out->flags_bytes[0] = all;
	out->tcp_flags = (struct record_ref){ offsetof(struct flow_tcp_record, flags_bytes), 1 };
	out->head.present = all;
	out->fin = (all & TCP_FIN) != 0;
	out->syn = (all & TCP_SYN) != 0;
	out->rst = (all & TCP_RST) != 0;
	out->psh = (all & TCP_PSH) != 0;
	out->ack = (all & TCP_ACK) != 0;
	out->urg = (all & TCP_URG) != 0;
	out->ecn = (all & TCP_ECE) != 0;
	out->cwr = (all & TCP_CWR) != 0;
}

void
netflow_tcp_record_fill(const struct flow *flow, enum flow_direction direction, struct flow_tcp_record *out)
{
	put_flags(flow->tcp_flags[direction], out);
}

void
flow_tcp_record_fill(const struct flow *flow, struct flow_tcp_record *out)
{
	const uint32_t bytes_at = offsetof(struct flow_tcp_record, flags_bytes);

	put_flags(flow->tcp_flags[FLOW_TO_SERVER] | flow->tcp_flags[FLOW_TO_CLIENT], out);
	out->flags_bytes[1] = flow->tcp_flags[FLOW_TO_SERVER];
	out->flags_bytes[2] = flow->tcp_flags[FLOW_TO_CLIENT];
	out->tcp_flags_ts = (struct record_ref){ bytes_at + 1, 1 };
	out->tcp_flags_tc = (struct record_ref){ bytes_at + 2, 1 };
	record_present(&out->head, BIT_BOTH);
	out->state = flow_tcp_state_names[flow->tcp_state];
}
