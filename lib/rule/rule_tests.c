/* Hot: one condition each. A condition about a header that is not there does not hold. */
#include "lib/base/cursor.h"
#include "lib/flow/flow.h"
#include "lib/rule/rule_reputation.h"
#include "lib/rule/rule_sctp.h"
#include "lib/rule/rule_tests.h"
#include "lib/stream/stream.h"

enum rule_session_phase { SESSION_SETUP, SESSION_ESTABLISHED, SESSION_CLOSING };

enum { NS_PER_S = 1000000000 };

static bool
packet_number(const struct rule_view *view, const struct rule_test *test, bool present, int64_t value)
{
	return view->packet != NULL && present && rule_numbers_match(&test->numbers, value) != test->negated;
}

/* A cursor over the packet from one of its offsets on; empty without a packet. */
static struct cursor
packet_at(const struct rule_view *view, uint32_t offset)
{
	const struct packet *packet = view->packet;

	if (packet == NULL || offset > packet->len)
		return cursor_of("", 0);
	struct cursor cursor = cursor_of(packet->data, packet->len);

	cursor_skip(&cursor, offset);
	return cursor;
}

static bool
is_l4(const struct rule_view *view, uint8_t ip_proto)
{
	return view->packet != NULL && (view->packet->flags & PACKET_L4) != 0 && view->packet->ip_proto == ip_proto;
}

static bool
is_icmp(const struct rule_view *view)
{
	return is_l4(view, IP_PROTO_ICMP) || is_l4(view, IP_PROTO_ICMPV6);
}

static bool
is_ip(const struct rule_view *view)
{
	return view->packet != NULL && (view->packet->flags & PACKET_IP) != 0;
}

/* An echo, timestamp, information or address mask message (RFC 792, RFC 950, RFC 4443 4): others have no identifier and number. */
static bool
is_icmp_query(const struct rule_view *view)
{
	enum { QUERIES_V4 = 1 << 0 | 1 << 8 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 18, ECHO_V6 = 128, ECHO_REPLY_V6 = 129 };
	uint8_t type = view->packet == NULL ? 0 : view->packet->icmp_type;

	if (is_l4(view, IP_PROTO_ICMP))
		return type < 32 && (QUERIES_V4 >> type & 1) != 0;
	return is_l4(view, IP_PROTO_ICMPV6) && (type == ECHO_V6 || type == ECHO_REPLY_V6);
}

#define PACKET_NUMBER(name, present, value) \
	bool rule_test_##name(const struct rule_view *view, const struct rule_test *test) \
	{ \
		return view->packet != NULL && packet_number(view, test, (present), (value)); \
	}

PACKET_NUMBER(dsize, true, view->packet->payload_len)
PACKET_NUMBER(ttl, is_ip(view), view->packet->ttl)
PACKET_NUMBER(itype, is_icmp(view), view->packet->icmp_type)
PACKET_NUMBER(icode, is_icmp(view), view->packet->icmp_code)
PACKET_NUMBER(icmp_id, is_icmp_query(view), view->packet->icmp_id)
PACKET_NUMBER(ip_proto, is_ip(view), view->packet->ip_proto)
PACKET_NUMBER(seq, is_l4(view, IP_PROTO_TCP), view->packet->tcp_seq)
PACKET_NUMBER(ack, is_l4(view, IP_PROTO_TCP), view->packet->tcp_ack)
PACKET_NUMBER(window, is_l4(view, IP_PROTO_TCP), view->packet->tcp_window)
PACKET_NUMBER(tcp_mss, (view->packet->flags & PACKET_TCP_MSS) != 0, view->packet->tcp_mss)
PACKET_NUMBER(tcp_wscale, (view->packet->flags & PACKET_TCP_WSCALE) != 0, view->packet->tcp_wscale)
PACKET_NUMBER(vlan_layers, true, view->packet->vlan_count)
PACKET_NUMBER(l3_proto, true, view->packet->ether_type)

bool
rule_test_icmp_seq(const struct rule_view *view, const struct rule_test *test)
{
	struct cursor cursor = packet_at(view, view->packet == NULL ? 0 : view->packet->l4_off);

	cursor_skip(&cursor, 6); /* RFC 792: type, code, checksum, identifier */
	uint16_t seq = cursor_be16(&cursor);

	return packet_number(view, test, is_icmp_query(view) && !cursor.short_read, seq);
}

bool
rule_test_icmpv6_mtu(const struct rule_view *view, const struct rule_test *test)
{
	enum { ICMPV6_TOO_BIG = 2 }; /* RFC 4443 3.2 */
	bool too_big = is_l4(view, IP_PROTO_ICMPV6) && view->packet->icmp_type == ICMPV6_TOO_BIG;
	struct cursor cursor = packet_at(view, too_big ? view->packet->l4_off : 0);

	cursor_skip(&cursor, 4);
	uint32_t mtu = cursor_be32(&cursor);

	return packet_number(view, test, too_big && !cursor.short_read, mtu);
}

/* RFC 9260 3.1 */
bool
rule_test_sctp_vtag(const struct rule_view *view, const struct rule_test *test)
{
	bool sctp = is_l4(view, IP_PROTO_SCTP);
	struct cursor cursor = packet_at(view, sctp ? view->packet->l4_off : 0);

	cursor_skip(&cursor, 4);
	uint32_t tag = cursor_be32(&cursor);

	return packet_number(view, test, sctp && !cursor.short_read, tag);
}

PACKET_NUMBER(sctp_chunk_cnt, is_l4(view, IP_PROTO_SCTP), view->packet->sctp_chunk_count)

bool
rule_test_sctp_chunk_type(const struct rule_view *view, const struct rule_test *test)
{
	struct rule_sctp_chunks chunks = rule_sctp_chunks_of(view->packet);
	struct rule_sctp_chunk chunk;

	while (rule_sctp_chunk_next(&chunks, &chunk))
		if (packet_number(view, test, true, chunk.type))
			return true;
	return false;
}

/* The phase of the connection behind this packet. */
bool
rule_test_tcp_session(const struct rule_view *view, const struct rule_test *test)
{
	unsigned int state = view->flow == NULL ? FLOW_TCP_NONE : view->flow->tcp_state;
	unsigned int phase = state < FLOW_TCP_ESTABLISHED ? SESSION_SETUP : state == FLOW_TCP_ESTABLISHED ? SESSION_ESTABLISHED : SESSION_CLOSING;

	return is_l4(view, IP_PROTO_TCP) && state != FLOW_TCP_NONE && (test->bits[0] >> phase & 1) != 0;
}

/* RFC 791 3.1, from byte 1 on. */
bool
rule_test_tos(const struct rule_view *view, const struct rule_test *test)
{
	struct cursor cursor = packet_at(view, view->packet == NULL ? 0 : view->packet->l3_off);
	uint16_t word = cursor_be16(&cursor);

	return packet_number(view, test, is_ip(view) && !cursor.short_read, view->ip_version == 6 ? word >> 4 & 0xff : word & 0xff);
}

bool
rule_test_id(const struct rule_view *view, const struct rule_test *test)
{
	struct cursor cursor = packet_at(view, view->packet == NULL ? 0 : view->packet->l3_off);

	cursor_skip(&cursor, 4);
	uint16_t id = cursor_be16(&cursor);

	return packet_number(view, test, is_ip(view) && view->ip_version == 4 && !cursor.short_read, id);
}

/* Flags (3 bits) and fragment offset (13 bits) of IPv4. */
static bool
fragment_word(const struct rule_view *view, uint16_t *word)
{
	struct cursor cursor = packet_at(view, view->packet == NULL ? 0 : view->packet->l3_off);

	cursor_skip(&cursor, 6);
	*word = cursor_be16(&cursor);
	return is_ip(view) && view->ip_version == 4 && !cursor.short_read;
}

/* In units of eight bytes, also of IPv6 (RFC 8200 4.5), whose fragments end their headers with it. */
bool
rule_test_fragoffset(const struct rule_view *view, const struct rule_test *test)
{
	enum { FRAGMENT_HEADER_LEN = 8 };
	const struct packet *packet = view->packet;
	uint16_t word;

	if (fragment_word(view, &word))
		return packet_number(view, test, true, word & 0x1fff);
	if (packet == NULL || view->ip_version != 6 || (packet->flags & PACKET_FRAGMENT) == 0 || packet->l3_len < FRAGMENT_HEADER_LEN)
		return false;
	struct cursor cursor = packet_at(view, (uint32_t)packet->l3_off + packet->l3_len - FRAGMENT_HEADER_LEN + 2);

	word = cursor_be16(&cursor);
	return packet_number(view, test, !cursor.short_read, word >> 3);
}

/* "exactly", "at least", "any of", "not all of", "none of"; where none is wanted: none, or with ! some */
static bool
bits_hold(uint64_t have, uint64_t wanted, uint64_t how)
{
	if (wanted == 0)
		return (have != 0) == (how == '!');
	if (how == '+')
		return (have & wanted) == wanted;
	if (how == '*')
		return (have & wanted) != 0;
	if (how == '!')
		return (have & wanted) != wanted;
	if (how == '-')
		return (have & wanted) == 0;
	return have == wanted;
}

bool
rule_test_fragbits(const struct rule_view *view, const struct rule_test *test)
{
	uint16_t word;

	return fragment_word(view, &word) && bits_hold(word >> 13, test->bits[0], test->extra);
}

bool
rule_test_tcp_flags(const struct rule_view *view, const struct rule_test *test)
{
	return is_l4(view, IP_PROTO_TCP) && bits_hold(view->packet->tcp_flags & ~test->bits[1], test->bits[0], test->extra);
}

bool
rule_test_ipopts(const struct rule_view *view, const struct rule_test *test)
{
	return view->packet != NULL && (view->packet->ip_options & test->bits[0]) != 0;
}

static int64_t
vlan_number(const void *list, uint32_t i)
{
	return ((const struct packet *)list)->vlan[i];
}

bool
rule_test_vlan_id(const struct rule_view *view, const struct rule_test *test)
{
	return view->packet != NULL && rule_elements_hold(test, view->packet->vlan_count, vlan_number, view->packet);
}

bool
rule_test_sameip(const struct rule_view *view, const struct rule_test *test)
{
	(void)test;
	return view->ip_version != 0 && view->src.halves[0] == view->dst.halves[0] && view->src.halves[1] == view->dst.halves[1];
}

/* extra: 1 valid, 0 invalid; bits[0]: the IP version or 0; bits[1]: the protocol, 0: the IPv4 header's own. */
bool
rule_test_csum(const struct rule_view *view, const struct rule_test *test)
{
	const struct packet *packet = view->packet;

	if (packet == NULL || (packet->flags & PACKET_IP) == 0 || (test->bits[0] != 0 && packet->ip_version != test->bits[0]))
		return false;
	/* a transport's is of the whole datagram */
	if (test->bits[1] != 0 && ((packet->flags & PACKET_FRAGMENT) != 0 || packet->ip_proto != test->bits[1]))
		return false;
	bool bad = (packet->flags & (test->bits[1] == 0 ? PACKET_L3_CHECKSUM_BAD : PACKET_L4_CHECKSUM_BAD)) != 0;

	return bad != (test->extra == 1);
}

bool
rule_test_igmp_type(const struct rule_view *view, const struct rule_test *test)
{
	bool igmp = is_ip(view) && view->packet->ip_proto == IP_PROTO_IGMP;
	struct cursor cursor = packet_at(view, igmp ? (uint32_t)view->packet->l3_off + view->packet->l3_len : 0);
	uint8_t type = cursor_u8(&cursor);

	return packet_number(view, test, igmp && !cursor.short_read, type);
}

/* RFC 5531 9: a call; over TCP behind the record mark. extra: which of program, version, procedure are asked. */
bool
rule_test_rpc(const struct rule_view *view, const struct rule_test *test)
{
	enum { RPC_CALL = 0, RPC_VERSION = 2 };
	const struct packet *packet = view->packet;

	if (packet == NULL || (!is_l4(view, IP_PROTO_TCP) && !is_l4(view, IP_PROTO_UDP)))
		return false;
	struct cursor cursor = cursor_of(packet->payload, packet->payload_len);

	cursor_skip(&cursor, packet->ip_proto == IP_PROTO_TCP ? 8 : 4);
	uint32_t type = cursor_be32(&cursor);
	uint32_t rpc_version = cursor_be32(&cursor);
	bool holds = type == RPC_CALL && rpc_version == RPC_VERSION;

	for (unsigned int i = 0; i < 3; i++) {
		uint32_t value = cursor_be32(&cursor);

		holds = holds && ((test->extra >> i & 1) == 0 || value == test->bits[i]);
	}
	return holds && !cursor.short_read;
}

/* Whether what is known of the asked ends holds. */
static bool
sides_hold(const struct rule_view *view, enum rule_address_side side,
	bool (*holds)(const struct rule_view *, const struct rule_test *, const struct ip_addr *), const struct rule_test *test)
{
	bool src = side != ADDRESS_DST && holds(view, test, &view->src);
	bool dst = side != ADDRESS_SRC && holds(view, test, &view->dst);

	return side == ADDRESS_BOTH ? src && dst : src || dst;
}

static bool
iprep_holds(const struct rule_view *view, const struct rule_test *test, const struct ip_addr *addr)
{
	int score = rule_reputation_score(view->matcher->set->reputation, (unsigned int)(test->extra >> 8), view->ip_version, addr);

	return (score >= 0 && rule_numbers_match(&test->numbers, score)) != test->negated;
}

bool
rule_test_iprep(const struct rule_view *view, const struct rule_test *test)
{
	return view->ip_version != 0 && sides_hold(view, (enum rule_address_side)(test->extra & 0xff), iprep_holds, test);
}

static bool
geoip_holds(const struct rule_view *view, const struct rule_test *test, const struct ip_addr *addr)
{
	uint16_t country = rule_geoip_country(view->matcher->set->geoip, view->ip_version, addr);

	return country != 0 && rule_numbers_match(&test->numbers, country);
}

bool
rule_test_geoip(const struct rule_view *view, const struct rule_test *test)
{
	return sides_hold(view, (enum rule_address_side)test->extra, geoip_holds, test);
}

/* ---- flows ---- */

#define FLOW_NUMBER(name, value) \
	bool rule_test_##name(const struct rule_view *view, const struct rule_test *test) \
	{ \
		return view->flow != NULL && rule_numbers_match(&test->numbers, (int64_t)(value)) != test->negated; \
	}

/* The first packet of a flow, whichever way it goes. */
bool
rule_test_flow_start(const struct rule_view *view, const struct rule_test *test)
{
	(void)test;
	return view->phase == PHASE_PACKET && view->flow != NULL && view->flow->packets[0] + view->flow->packets[1] == 1;
}

/* The flow's own count goes back by half where it is full. */
static uint64_t
packets_of(const struct rule_view *view, enum flow_direction direction)
{
	const struct flow_table *flows = view->matcher->flows;

	return flows == NULL ? view->flow->packets[direction] : flow_packets(flows, view->flow, direction);
}

FLOW_NUMBER(flow_age, (view->flow->last_ns - view->flow->first_ns) / NS_PER_S)
FLOW_NUMBER(flow_pkts_toserver, packets_of(view, FLOW_TO_SERVER))
FLOW_NUMBER(flow_pkts_toclient, packets_of(view, FLOW_TO_CLIENT))
FLOW_NUMBER(flow_bytes_toserver, view->flow->bytes[FLOW_TO_SERVER])
FLOW_NUMBER(flow_bytes_toclient, view->flow->bytes[FLOW_TO_CLIENT])

static bool
flow_sides(const struct rule_test *test, uint64_t to_client, uint64_t to_server)
{
	bool client = rule_numbers_match(&test->numbers, (int64_t)to_client);
	bool server = rule_numbers_match(&test->numbers, (int64_t)to_server);

	if (test->extra == RULE_FLOW_CLIENT)
		return client;
	if (test->extra == RULE_FLOW_SERVER)
		return server;
	if (test->extra == RULE_FLOW_EITHER)
		return client || server;
	return rule_numbers_match(&test->numbers, (int64_t)(to_client + to_server));
}

bool
rule_test_flow_pkts(const struct rule_view *view, const struct rule_test *test)
{
	return view->flow != NULL && flow_sides(test, packets_of(view, FLOW_TO_CLIENT), packets_of(view, FLOW_TO_SERVER));
}

bool
rule_test_flow_bytes(const struct rule_view *view, const struct rule_test *test)
{
	return view->flow != NULL && flow_sides(test, view->flow->bytes[FLOW_TO_CLIENT], view->flow->bytes[FLOW_TO_SERVER]);
}

bool
rule_test_flow_elephant(const struct rule_view *view, const struct rule_test *test)
{
	static const uint8_t bits[] = { [RULE_FLOW_CLIENT] = 1 << FLOW_TO_CLIENT, [RULE_FLOW_SERVER] = 1 << FLOW_TO_SERVER,
		[RULE_FLOW_EITHER] = 0, [RULE_FLOW_BOTH] = 1 << FLOW_TO_CLIENT | 1 << FLOW_TO_SERVER };
	uint8_t asked = bits[test->extra];

	return view->flow != NULL && view->flow->elephants != 0 && (view->flow->elephants & asked) == asked;
}

/* Of an end that sent no more than a SYN there may be no stream yet. */
static int64_t
distance_of(const struct flow *flow, bool to_server)
{
	uint64_t distance = stream_distance(flow, to_server);

	return distance > 0 ? (int64_t)distance : flow->packets[to_server] > 0;
}

bool
rule_test_stream_size(const struct rule_view *view, const struct rule_test *test)
{
	enum { SERVER, CLIENT, BOTH, EITHER };

	if (view->flow == NULL || view->class != CLASS_TCP)
		return false;
	bool server = rule_numbers_match(&test->numbers, distance_of(view->flow, false));
	bool client = rule_numbers_match(&test->numbers, distance_of(view->flow, true));

	switch (test->extra) {
	case SERVER:
		return server;
	case CLIENT:
		return client;
	case BOTH:
		return server && client;
	default:
		return server || client;
	}
}

/* Whether the direction's bytes can have been recognised: it has carried some. */
static bool
has_carried(const struct flow *flow, bool to_server)
{
	return flow->key.ip_proto == IP_PROTO_TCP ? stream_size(flow, to_server) > 0 : flow->packets[to_server] > 0;
}

static uint16_t
protocol_of(const struct flow *flow, enum rule_protocol_mode mode)
{
	switch (mode) {
	case PROTOCOL_ORIGINAL:
		return flow->app_proto_before != 0 ? flow->app_proto_before : flow->app_proto;
	case PROTOCOL_TO_SERVER:
	case PROTOCOL_TO_CLIENT:
		return has_carried(flow, mode == PROTOCOL_TO_SERVER) ? flow->app_proto : 0;
	default:
		return flow->app_proto;
	}
}

/* Of what is not known yet nothing is said but that it is unknown. */
bool
rule_test_app_protocol(const struct rule_view *view, const struct rule_test *test)
{
	const struct flow *flow = view->flow;
	uint16_t proto = flow == NULL ? 0 : protocol_of(flow, (enum rule_protocol_mode)test->protocols.mode);

	if (flow == NULL)
		return false;
	if (proto != 0)
		return (test->protocols.apps >> (proto - 1) & 1) != test->negated;
	return flow->app_failed ? test->protocols.failed != test->negated : test->protocols.unknown;
}
