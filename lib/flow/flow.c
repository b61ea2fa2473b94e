/* The hot side: finding, making and counting. */
#include "lib/flow/flow.h"

#include <assert.h>
#include <immintrin.h>
#include <string.h>

#include "lib/flow/flow_table.h"

enum {
	SIGNATURE_LANES = (1 << 2 * FLOW_BUCKET_SLOTS) - 1, /* two bits of movemask for each */
	NS_PER_US = 1000,
};

static inline uint16_t
signature_of(uint32_t hash)
{
	uint16_t signature = (uint16_t)(hash >> 16);

	return signature == 0 ? 1 : signature;
}

static inline uint32_t
bucket_first(const struct flow_table *table, uint32_t hash)
{
	return hash & table->bucket_mask;
}

static inline uint32_t
bucket_second(const struct flow_table *table, uint32_t hash)
{
	/* an odd multiple moves every signature to another bucket; applied twice it leads back */
	return (hash ^ (signature_of(hash) * 0x5bd1e995u | 1)) & table->bucket_mask;
}

/** One pair of bits for each slot that holds the signature. */
static inline uint32_t
bucket_match(const struct flow_bucket *bucket, uint16_t signature)
{
	__m256i lanes = _mm256_loadu_si256((const __m256i *)(const void *)bucket->signatures);
	__m256i equal = _mm256_cmpeq_epi16(lanes, _mm256_set1_epi16((short)signature));

	return (uint32_t)_mm256_movemask_epi8(equal) & SIGNATURE_LANES;
}

static inline bool
key_equal(const struct packet_key *a, const struct packet_key *b)
{
	__m256i low = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)a),
		_mm256_loadu_si256((const __m256i *)(const void *)b));
	__m128i high = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)a->port),
		_mm_loadu_si128((const __m128i *)(const void *)b->port));

	return _mm256_testz_si256(low, low) != 0 && _mm_testz_si128(high, high) != 0;
}

static struct flow *
bucket_find(struct flow_table *table, const struct flow_bucket *bucket, const struct packet *packet)
{
	uint32_t match = bucket_match(bucket, signature_of(packet->hash));

	for (; match != 0; match &= match - 1, match &= match - 1) {
		struct flow *flow = &table->flows[bucket->flows[__builtin_ctz(match) / 2]];

		if (key_equal(&flow->key, &packet->key))
			return flow;
	}
	return NULL;
}

struct flow *
flow_find(struct flow_table *table, const struct packet *packet)
{
	const struct flow_bucket *bucket = &table->buckets[bucket_first(table, packet->hash)];
	struct flow *flow = bucket_find(table, bucket, packet);

	if (flow == NULL && bucket->spilled > 0)
		flow = bucket_find(table, &table->buckets[bucket_second(table, packet->hash)], packet);
	return flow;
}

static int
bucket_free_slot(const struct flow_bucket *bucket)
{
	uint32_t match = bucket_match(bucket, 0);

	return match == 0 ? -1 : __builtin_ctz(match) / 2;
}

/** Both buckets are full: twenty flows share them. Ends the one that is worth least. */
static void
bucket_evict(struct flow_table *table, struct flow_bucket *first, struct flow_bucket *second)
{
	static const uint8_t worth[FLOW_STATE_COUNT] = { [FLOW_CLOSED] = 0, [FLOW_NEW] = 1, [FLOW_ESTABLISHED] = 2 };
	struct flow *victim = NULL;

	for (unsigned int i = 0; i < 2 * FLOW_BUCKET_SLOTS; i++) {
		const struct flow_bucket *bucket = i < FLOW_BUCKET_SLOTS ? first : second;
		struct flow *flow = &table->flows[bucket->flows[i % FLOW_BUCKET_SLOTS]];

		if (victim == NULL || worth[flow->state] < worth[victim->state] ||
		    (worth[flow->state] == worth[victim->state] && flow->last_ns < victim->last_ns))
			victim = flow;
	}
	table->pending[FLOW_COUNTER_EVICTED_BUCKET]++;
	flow_finish(table, victim, FLOW_END_FORCED);
}

static void
index_insert(struct flow_table *table, const struct flow *flow)
{
	struct flow_bucket *first = &table->buckets[bucket_first(table, flow->hash)];
	struct flow_bucket *second = &table->buckets[bucket_second(table, flow->hash)];
	struct flow_bucket *bucket = first;
	int slot = bucket_free_slot(first);

	if (slot < 0) {
		bucket = second;
		slot = bucket_free_slot(second);
	}
	if (slot < 0) {
		bucket_evict(table, first, second);
		slot = bucket_free_slot(first);
		bucket = slot < 0 ? second : first;
		if (slot < 0)
			slot = bucket_free_slot(second);
	}
	if (bucket != first)
		first->spilled++;
	bucket->signatures[slot] = signature_of(flow->hash);
	bucket->flows[slot] = flow_idx(table, flow);
}

static bool
bucket_remove(struct flow_bucket *bucket, uint16_t signature, uint32_t idx)
{
	for (unsigned int i = 0; i < FLOW_BUCKET_SLOTS; i++)
		if (bucket->signatures[i] == signature && bucket->flows[i] == idx) {
			bucket->signatures[i] = 0;
			return true;
		}
	return false;
}

static void
index_remove(struct flow_table *table, const struct flow *flow)
{
	struct flow_bucket *first = &table->buckets[bucket_first(table, flow->hash)];
	uint32_t idx = flow_idx(table, flow);

	if (bucket_remove(first, signature_of(flow->hash), idx))
		return;
	if (bucket_remove(&table->buckets[bucket_second(table, flow->hash)], signature_of(flow->hash), idx))
		first->spilled--;
}

/* What hangs from a flow. Each may be NULL: no pointer arithmetic. */
static inline void
prefetch_hung(const struct flow *flow)
{
	uintptr_t stream = (uintptr_t)flow->stream, session = (uintptr_t)flow->session, rules = (uintptr_t)flow->rule_state;

	__builtin_prefetch((const void *)stream, 1);
	__builtin_prefetch((const void *)(stream + 64), 1);
	__builtin_prefetch((const void *)(stream + 128), 1);
	__builtin_prefetch((const void *)session, 1);
	__builtin_prefetch((const void *)(session + 64), 1);
	__builtin_prefetch((const void *)rules);
}

void
flow_finish(struct flow_table *table, struct flow *flow, enum flow_end reason)
{
	uint32_t idx = flow_idx(table, flow);

	index_remove(table, flow);
	flow_timer_disarm(table, flow);
	flow->flags |= FLOW_ENDED;
	flow->end_reason = reason & 0xf;
	flow->timer_next = FLOW_IDX_NONE;
	prefetch_hung(flow); /* flow_expire() is about to hand it out */
	if (table->ended_tail == FLOW_IDX_NONE)
		table->ended_head = idx;
	else
		table->flows[table->ended_tail].timer_next = idx;
	table->ended_tail = idx;
}

static struct flow *
flow_take_free(struct flow_table *table)
{
	uint32_t idx = table->free_head;

	if (table->free_count <= FLOW_RESERVE)
		flow_evict_one(table);
	if (table->free_count == 0)
		return NULL;
	if (idx != FLOW_IDX_NONE)
		table->free_head = table->flows[idx].timer_next;
	else
		idx = table->unused++;
	table->free_count--;
	return &table->flows[idx];
}

static uint8_t
timeout_class_of(uint8_t ip_proto)
{
	if (ip_proto == IP_PROTO_TCP)
		return FLOW_TIMEOUT_TCP;
	if (ip_proto == IP_PROTO_UDP)
		return FLOW_TIMEOUT_UDP;
	if (ip_proto == IP_PROTO_ICMP || ip_proto == IP_PROTO_ICMPV6)
		return FLOW_TIMEOUT_ICMP;
	return FLOW_TIMEOUT_DEFAULT;
}

struct flow *
flow_make(struct flow_table *table, const struct packet *packet)
{
	struct flow *flow = flow_take_free(table);

	if (flow == NULL) {
		table->pending[FLOW_COUNTER_TABLE_FULL]++;
		return NULL;
	}
	memset(flow, 0, sizeof(*flow));
	flow->key = packet->key;
	flow->hash = packet->hash;
	flow->flags = FLOW_LIVE | (table->emergency ? FLOW_EMERGENCY : 0);
	flow->last_ns = packet->ts_ns;
	flow->first_ns = packet->ts_ns;
	flow->timeout_class = timeout_class_of(packet->key.ip_proto);
	flow->timer_slot = FLOW_SLOT_NONE;
	if (table->rates != NULL)
		flow_rates_begin(table->rates, flow_idx(table, flow));
	index_insert(table, flow);
	flow_timer_arm(table, flow);
	return flow;
}

uint16_t
flow_lookup_burst(struct flow_table *table, struct packet packets[], uint16_t count, uint64_t now_ns,
	struct flow *flows[])
{
	uint16_t found = 0;

	assert(count <= FLOW_BURST_MAX);
	table->now_ns = now_ns;
	for (uint16_t i = 0; i < count; i++)
		__builtin_prefetch(&table->buckets[bucket_first(table, packets[i].hash)]);
	for (uint16_t i = 0; i < count; i++) {
		const struct flow_bucket *bucket = &table->buckets[bucket_first(table, packets[i].hash)];
		uint32_t match = bucket_match(bucket, signature_of(packets[i].hash));

		flows[i] = NULL;
		if (match == 0 || !packet_is(&packets[i], PACKET_FLOW | PACKET_FLOW_FIND))
			continue;
		flows[i] = &table->flows[bucket->flows[__builtin_ctz(match) / 2]];
		__builtin_prefetch(flows[i], 1);
		__builtin_prefetch((const uint8_t *)flows[i] + 64, 1);
		__builtin_prefetch((const uint8_t *)flows[i] + 128);
	}
	for (uint16_t i = 0; i < count; i++) {
		const struct packet *packet = &packets[i];

		if (!packet_is(packet, PACKET_FLOW | PACKET_FLOW_FIND))
			continue;
		if (flows[i] == NULL || (flows[i]->flags & FLOW_ENDED) != 0 || !key_equal(&flows[i]->key, &packet->key))
			flows[i] = flow_find(table, packet);
		if (flows[i] == NULL && packet_is(packet, PACKET_FLOW))
			flows[i] = flow_make(table, packet);
		if (flows[i] == NULL)
			continue;
		found++;
		prefetch_hung(flows[i]);
	}
	return found;
}

/** What the flow's first packet decides. RFC 5103 4: the originator sent it, unless it was already an answer. */
static void
flow_begin(struct flow_table *table, struct flow *flow, const struct packet *packet)
{
	bool synack = packet->ip_proto == IP_PROTO_TCP && (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
	bool swapped = packet_is(packet, PACKET_KEY_SWAPPED) != synack;
	const uint8_t *src_mac = packet_src_mac(packet);
	uint64_t id = packet->ts_ns ^ (uint64_t)packet->hash << 32 ^ (uint64_t)packet->key.port[0] << 16;

	flow->flags |= (swapped ? FLOW_SWAPPED : 0) | (synack ? FLOW_SYNACK_FIRST : 0);
	flow->first_ns = packet->ts_ns;
	flow->last_ns = packet->ts_ns;
	/* the finalizer of splitmix64: neighbouring times give unlike numbers */
	id = (id ^ id >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	id = (id ^ id >> 27) * UINT64_C(0x94d049bb133111eb);
	flow->flow_id = ((id ^ id >> 31) & ((UINT64_C(1) << 53) - 1)) | 1;
	flow->port_idx = packet->port_idx;
	flow->icmp_code = packet->icmp_code;
	memcpy(flow->vlan, packet->vlan, sizeof(flow->vlan));
	flow->vlan_count = packet->vlan_count;
	if (src_mac != NULL) {
		flow->flags |= FLOW_HAS_MACS;
		memcpy(flow->src_mac, synack ? packet_dst_mac(packet) : src_mac, sizeof(flow->src_mac));
		memcpy(flow->dst_mac, synack ? src_mac : packet_dst_mac(packet), sizeof(flow->dst_mac));
	}
	memset(flow->ttl_min, 0xff, sizeof(flow->ttl_min));
	table->pending[FLOW_COUNTER_TOTAL]++;
	table->pending[packet->key.ip_proto == IP_PROTO_TCP ? FLOW_COUNTER_TCP :
		packet->key.ip_proto == IP_PROTO_UDP ? FLOW_COUNTER_UDP :
		packet->key.ip_proto == IP_PROTO_ICMP ? FLOW_COUNTER_ICMPV4 :
		packet->key.ip_proto == IP_PROTO_ICMPV6 ? FLOW_COUNTER_ICMPV6 : FLOW_COUNTER_OTHER]++;
}

/** A SYN on a connection that is over, or whose start was never seen, opens a new one. */
static bool
tcp_reuses(const struct flow *flow, const struct packet *packet)
{
	if ((packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN || packet->ip_proto != IP_PROTO_TCP ||
	    flow->packets[0] + flow->packets[1] == 0 || packet_is(packet, PACKET_L4_CHECKSUM_BAD))
		return false;
	return flow->state == FLOW_CLOSED || (flow->flags & FLOW_MIDSTREAM) != 0;
}

/** Ends a flow that the packet cannot be of. @return whether it was one */
static bool
flow_retire(struct flow_table *table, struct flow *flow, const struct packet *packet)
{
	bool over = flow_is_over(table, flow, packet->ts_ns);

	if (!over && !tcp_reuses(flow, packet))
		return false;
	flow_finish(table, flow, over ? FLOW_END_TIMEOUT : FLOW_END_TCP_REUSE);
	table->pending[FLOW_COUNTER_TCP_REUSE] += !over;
	return true;
}

/** The looked up flow is not the packet's. @return the right one */
static struct flow *
flow_replace(struct flow_table *table, struct flow *flow, const struct packet *packet)
{
	if ((flow->flags & FLOW_ENDED) == 0)
		(void)flow_retire(table, flow, packet);
	/* an earlier packet of the burst may have made another one, whose time can be over as well */
	flow = flow_find(table, packet);
	if (flow != NULL && flow_retire(table, flow, packet))
		flow = NULL;
	if (flow == NULL && packet_is(packet, PACKET_FLOW))
		flow = flow_make(table, packet);
	return flow;
}

static void
flow_time_response(struct flow *flow, const struct packet *packet, bool to_server)
{
	uint32_t at_us = (uint32_t)((packet->ts_ns - flow->first_ns) / NS_PER_US);

	if (to_server && (flow->flags & FLOW_REQUEST_SEEN) == 0) {
		flow->flags |= FLOW_REQUEST_SEEN;
		flow->response_us = at_us;
	} else if (!to_server && (flow->flags & FLOW_REQUEST_SEEN) != 0) {
		flow->flags |= FLOW_RESPONSE_SEEN;
		flow->response_us = at_us - flow->response_us;
	}
}

static void
flow_follow_state(struct flow_table *table, struct flow *flow, const struct packet *packet, bool to_server)
{
	uint8_t state_before = flow->state;

	if (flow->key.ip_proto == IP_PROTO_TCP) {
		flow->tcp_flags[to_server] |= packet->tcp_flags;
		if (!packet_is(packet, PACKET_L4_CHECKSUM_BAD))
			flow_tcp_update(flow, packet, to_server);
	} else if (flow->key.ip_version == 0 || (flow->packets[0] > 0 && flow->packets[1] > 0)) {
		flow->state = FLOW_ESTABLISHED; /* frames without IP are published to groups: nobody answers */
	}
	/* the wheel waits for the longer timeout of an established flow */
	if (flow->state != state_before && flow->state == FLOW_CLOSED) {
		flow_timer_disarm(table, flow);
		flow_timer_arm(table, flow);
	}
}

static void
flow_follow_rate(struct flow_table *table, struct flow *flow, const struct packet *packet, bool to_server)
{
	unsigned int side = packet_is(packet, PACKET_KEY_SWAPPED);

	if (!flow_rates_note(table->rates, flow_idx(table, flow), side, packet->ts_ns, packet->wire_len))
		return;
	table->pending[FLOW_COUNTER_ELEPHANTS] += flow->elephants == 0;
	flow->elephants |= (uint8_t)(1 << to_server);
}

struct flow *
flow_update(struct flow_table *table, struct flow *flow, struct packet *packet)
{
	bool to_server;

	if ((flow->flags & FLOW_ENDED) != 0 || flow_is_over(table, flow, packet->ts_ns) || tcp_reuses(flow, packet)) {
		flow = flow_replace(table, flow, packet);
		if (flow == NULL)
			return NULL;
	}
	if (!packet_is(packet, PACKET_FLOW_FIND) && flow->packets[0] + flow->packets[1] == 0)
		flow_begin(table, flow, packet);
	to_server = flow_goes_to_server(flow, packet);
	packet->flags |= to_server ? PACKET_TO_SERVER : 0;
	if (packet_is(packet, PACKET_FLOW_FIND))
		return flow;
	if (flow_part_step(table, flow, packet->ts_ns) || flow->packets[to_server] == FLOW_PACKETS_MAX)
		flow_part_tell(table, flow, packet->ts_ns);
	if (packet->ts_ns > flow->last_ns || clock_is_back(table->now_ns, flow->last_ns))
		flow->last_ns = packet->ts_ns;
	flow->packets[to_server]++;
	flow->bytes[to_server] += packet->wire_len;
	if (table->rates != NULL)
		flow_follow_rate(table, flow, packet, to_server);
	if (packet->ttl < flow->ttl_min[to_server])
		flow->ttl_min[to_server] = packet->ttl;
	if (packet->ttl > flow->ttl_max[to_server])
		flow->ttl_max[to_server] = packet->ttl;
	if (packet->payload_len > 0 && (flow->flags & FLOW_RESPONSE_SEEN) == 0)
		flow_time_response(flow, packet, to_server);
	flow_follow_state(table, flow, packet, to_server);
	if (flow->state != FLOW_NEW)
		packet->flags |= PACKET_ESTABLISHED;
	return flow;
}
