/* The cold side: creation, timers, eviction, configuration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/seen.h"
#include "lib/flow/flow.h"
#include "lib/flow/flow_table.h"

static const uint64_t NS_PER_S = UINT64_C(1000000000);

#define AT(field) offsetof(struct flow_config, field)
#define TIMEOUT(proto, index, state, state_index, seconds, emergency_seconds)                              \
	{ "flow-timeouts." proto "." state, KNOB_NUMBER, AT(timeout_s[index][state_index]), 0, 1 << 24,    \
		seconds, NULL, "seconds of silence that end a flow" },                                     \
	{ "flow-timeouts." proto ".emergency-" state, KNOB_NUMBER,                                         \
		AT(emergency_timeout_s[index][state_index]), 0, 1 << 24, emergency_seconds, NULL,          \
		"the same while the table is full" }

#define BYPASSED(proto)                                                                                     \
	{ .name = "flow-timeouts." proto ".bypassed", .type = KNOB_ACCEPTED, .help = "no flow is bypassed" }, \
	{ .name = "flow-timeouts." proto ".emergency-bypassed", .type = KNOB_ACCEPTED, .help = "no flow is bypassed" }

static const struct knob knobs[] = {
	{ "flow.flows-max", KNOB_NUMBER, AT(flows_max), 16, UINT64_C(1) << 27, "262144", NULL,
		"flows tracked at once, for each worker; 205 bytes each, 64 more of one that is told in parts" },
	{ "flow.emergency-recovery", KNOB_NUMBER, AT(emergency_recovery), 1, 99, "10", NULL,
		"percent of the table that must be free to leave emergency mode" },
	{ "flow.active-timeout", KNOB_NUMBER, AT(active_timeout_s), 0, 1 << 24, "1800", NULL,
		"seconds after which a flow that goes on is told of, and again each time: what was counted since; 0: at its end alone" },
	{ "flow.skip-duplicates", KNOB_BOOL, AT(skip_duplicates), 0, 0, "no", NULL,
		"pass over the second copy of a packet: for mirrors that copy a frame where it enters and where it leaves" },
	{ "flow.duplicate-window-us", KNOB_NUMBER, AT(duplicate_window_us), 1, 1000000, "2000", NULL,
		"the second copy comes within so many microseconds" },
	{ .name = "flow.memcap", .type = KNOB_ACCEPTED, .help = "flow.flows-max bounds the table" },
	{ .name = "flow.hash-size", .type = KNOB_ACCEPTED, .help = "flow.flows-max bounds the table" },
	{ .name = "flow.prealloc", .type = KNOB_ACCEPTED, .help = "the whole table is made at the start" },
	{ .name = "flow.memcap-policy", .type = KNOB_ACCEPTED, .help = "a full table ends a flow for a new one, and counts it" },
	{ .name = "flow.prune-flows", .type = KNOB_ACCEPTED, .help = "a full table ends a flow for a new one, and counts it" },
	{ .name = "flow.managers", .type = KNOB_ACCEPTED, .help = "each worker ends its own flows" },
	{ .name = "flow.recyclers", .type = KNOB_ACCEPTED, .help = "each worker ends its own flows" },
	{ "flow.rate-tracking.bytes", KNOB_SIZE, AT(rate_bytes), 0, UINT64_C(1) << 50, "0", NULL,
		"a direction that carries so much within the interval is an elephant (flow.elephant); 0: none is, and no rate is "
		"followed, which takes 192 bytes more a flow" },
	{ "flow.rate-tracking.interval", KNOB_NUMBER, AT(rate_interval_s), 1, 86400, "10", NULL, "seconds" },
	TIMEOUT("default", FLOW_TIMEOUT_DEFAULT, "new", FLOW_NEW, "30", "10"),
	TIMEOUT("default", FLOW_TIMEOUT_DEFAULT, "established", FLOW_ESTABLISHED, "300", "100"),
	TIMEOUT("default", FLOW_TIMEOUT_DEFAULT, "closed", FLOW_CLOSED, "0", "0"),
	TIMEOUT("tcp", FLOW_TIMEOUT_TCP, "new", FLOW_NEW, "60", "5"),
	TIMEOUT("tcp", FLOW_TIMEOUT_TCP, "established", FLOW_ESTABLISHED, "600", "100"),
	TIMEOUT("tcp", FLOW_TIMEOUT_TCP, "closed", FLOW_CLOSED, "60", "10"),
	TIMEOUT("udp", FLOW_TIMEOUT_UDP, "new", FLOW_NEW, "30", "10"),
	TIMEOUT("udp", FLOW_TIMEOUT_UDP, "established", FLOW_ESTABLISHED, "300", "100"),
	TIMEOUT("udp", FLOW_TIMEOUT_UDP, "closed", FLOW_CLOSED, "0", "0"),
	TIMEOUT("icmp", FLOW_TIMEOUT_ICMP, "new", FLOW_NEW, "30", "10"),
	TIMEOUT("icmp", FLOW_TIMEOUT_ICMP, "established", FLOW_ESTABLISHED, "300", "100"),
	TIMEOUT("icmp", FLOW_TIMEOUT_ICMP, "closed", FLOW_CLOSED, "0", "0"),
	BYPASSED("default"),
	BYPASSED("tcp"),
	BYPASSED("udp"),
	BYPASSED("icmp"),
};

const struct knob_table flow_knobs = { "flow", knobs, sizeof(knobs) / sizeof(knobs[0]) };

const struct counter_desc flow_counters[FLOW_COUNTER_COUNT] = {
	[FLOW_COUNTER_TOTAL] = { "flow.total", "flows begun" },
	[FLOW_COUNTER_ACTIVE] = { "flow.active", "flows in the table" },
	[FLOW_COUNTER_TCP] = { "flow.tcp", "TCP flows begun" },
	[FLOW_COUNTER_UDP] = { "flow.udp", "UDP flows begun" },
	[FLOW_COUNTER_ICMPV4] = { "flow.icmpv4", "ICMP flows begun" },
	[FLOW_COUNTER_ICMPV6] = { "flow.icmpv6", "ICMPv6 flows begun" },
	[FLOW_COUNTER_OTHER] = { "flow.other", "flows of other IP protocols begun" },
	[FLOW_COUNTER_TCP_REUSE] = { "flow.tcp_reuse", "TCP flows ended by a new connection on their endpoints" },
	[FLOW_COUNTER_PARTS] = { "flow.parts", "records of flows that went on (flow.active-timeout)" },
	[FLOW_COUNTER_END_TIMEOUT] = { "flow.end.timeout", "flows ended by silence" },
	[FLOW_COUNTER_END_FORCED] = { "flow.end.forced", "flows ended early for lack of room" },
	[FLOW_COUNTER_END_SHUTDOWN] = { "flow.end.shutdown", "flows ended with the capture" },
	[FLOW_COUNTER_EVICTED_NEW] = { "flow.evicted.new", "of the forced: not established" },
	[FLOW_COUNTER_EVICTED_ESTABLISHED] = { "flow.evicted.established", "of the forced: established" },
	[FLOW_COUNTER_EVICTED_CLOSED] = { "flow.evicted.closed", "of the forced: closed" },
	[FLOW_COUNTER_EVICTED_BUCKET] = { "flow.evicted.bucket", "of the forced: their buckets were full" },
	[FLOW_COUNTER_TABLE_FULL] = { "flow.table_full", "packets without a flow: no room" },
	[FLOW_COUNTER_EMERG_MODE_ENTERED] = { "flow.emerg_mode_entered", "times the table became full" },
	[FLOW_COUNTER_DUPLICATES] = { "flow.duplicates", "packets passed over: second copies of a mirrored frame" },
	[FLOW_COUNTER_EMERG_MODE_OVER] = { "flow.emerg_mode_over", "times it recovered" },
	[FLOW_COUNTER_ELEPHANTS] = { "flow.elephant", "flows of which a direction reached flow.rate-tracking.bytes" },
};

int
flow_table_create(struct flow_table **out, const struct flow_config *config, _Atomic uint64_t *counters)
{
	struct flow_table *table;
	uint64_t buckets = 2;

	if (config->flows_max == 0 || config->flows_max > UINT32_MAX - FLOW_RESERVE - 1u)
		return -EINVAL;
	table = calloc(1, sizeof(*table));
	if (table == NULL)
		return -ENOMEM;
	/* two slots in three at most are taken: a full pair of buckets is then rare enough to count */
	while (buckets * FLOW_BUCKET_SLOTS * 2 < config->flows_max * 3)
		buckets *= 2;
	table->bucket_mask = (uint32_t)buckets - 1;
	table->flow_count = (uint32_t)config->flows_max + FLOW_RESERVE;
	table->free_count = table->flow_count;
	table->free_head = table->ended_head = table->ended_tail = FLOW_IDX_NONE;
	table->recovery_free = FLOW_RESERVE + (uint32_t)(config->flows_max * config->emergency_recovery / 100);
	table->counters = counters;
	for (unsigned int i = 0; i < FLOW_TIMEOUT_CLASS_COUNT; i++)
		for (unsigned int j = 0; j < FLOW_STATE_COUNT; j++) {
			table->timeouts_ns[0][i][j] = config->timeout_s[i][j] * NS_PER_S;
			table->timeouts_ns[1][i][j] = config->emergency_timeout_s[i][j] * NS_PER_S;
		}
	memset(table->wheel, 0xff, sizeof(table->wheel));
	table->buckets_bytes = buckets * sizeof(struct flow_bucket);
	table->flows_bytes = table->flow_count * sizeof(struct flow);
	table->buckets = mem_area_create(table->buckets_bytes);
	table->flows = mem_area_create(table->flows_bytes);
	table->part_shift = 63;
	table->active_ns = config->active_timeout_s * NS_PER_S;
	table->duplicate_ns = config->duplicate_window_us * 1000;
	if (table->buckets == NULL || table->flows == NULL ||
	    (config->skip_duplicates && seen_create(&table->duplicates) < 0) ||
	    (config->rate_bytes > 0 &&
		    flow_rates_create(&table->rates, config->rate_bytes, config->rate_interval_s, table->flow_count) < 0)) {
		flow_table_destroy(table);
		return -ENOMEM;
	}
	*out = table;
	return 0;
}

void
flow_table_destroy(struct flow_table *table)
{
	if (table == NULL)
		return;
	free(table->duplicates);
	free(table->parts);
	flow_rates_destroy(table->rates);
	if (table->buckets != NULL)
		mem_area_destroy(table->buckets, table->buckets_bytes);
	if (table->flows != NULL)
		mem_area_destroy(table->flows, table->flows_bytes);
	free(table);
}

/** The second after the flow's time is over. */
static uint64_t
deadline_s(const struct flow_table *table, const struct flow *flow)
{
	return (flow->last_ns + flow_timeout_ns(table, flow)) / NS_PER_S + 1;
}

void
flow_timer_arm(struct flow_table *table, struct flow *flow)
{
	uint64_t at = deadline_s(table, flow);
	uint32_t idx = flow_idx(table, flow), *head;

	if (at <= table->wheel_s)
		at = table->wheel_s + 1;
	if (at - table->wheel_s >= FLOW_WHEEL_SLOTS && table->wheel_s != 0)
		at = table->wheel_s + FLOW_WHEEL_SLOTS - 1;
	flow->timer_slot = (uint16_t)(at % FLOW_WHEEL_SLOTS);
	head = &table->wheel[flow->timer_slot];
	flow->timer_next = *head;
	flow->timer_prev = FLOW_IDX_NONE;
	if (*head != FLOW_IDX_NONE)
		table->flows[*head].timer_prev = idx;
	*head = idx;
}

void
flow_timer_disarm(struct flow_table *table, struct flow *flow)
{
	if (flow->timer_slot == FLOW_SLOT_NONE)
		return;
	if (flow->timer_prev == FLOW_IDX_NONE)
		table->wheel[flow->timer_slot] = flow->timer_next;
	else
		table->flows[flow->timer_prev].timer_next = flow->timer_next;
	if (flow->timer_next != FLOW_IDX_NONE)
		table->flows[flow->timer_next].timer_prev = flow->timer_prev;
	flow->timer_slot = FLOW_SLOT_NONE;
}

static void
emergency_enter(struct flow_table *table)
{
	if (table->emergency)
		return;
	table->emergency = true;
	table->pending[FLOW_COUNTER_EMERG_MODE_ENTERED]++;
}

/** The flow under the clock hand, which moves on; NULL when that place is not in use. */
static struct flow *
clock_next(struct flow_table *table)
{
	struct flow *flow;

	if (table->clock_hand >= table->unused)
		table->clock_hand = 0;
	if (table->unused == 0)
		return NULL;
	flow = &table->flows[table->clock_hand++];
	return (flow->flags & (FLOW_LIVE | FLOW_ENDED)) == FLOW_LIVE ? flow : NULL;
}

void
flow_evict_one(struct flow_table *table)
{
	static const enum flow_counter counters[FLOW_STATE_COUNT] = {
		[FLOW_NEW] = FLOW_COUNTER_EVICTED_NEW,
		[FLOW_ESTABLISHED] = FLOW_COUNTER_EVICTED_ESTABLISHED,
		[FLOW_CLOSED] = FLOW_COUNTER_EVICTED_CLOSED,
	};
	struct flow *victim = NULL;

	emergency_enter(table);
	for (unsigned int i = 0; i < FLOW_EVICT_SCAN; i++) {
		struct flow *flow = clock_next(table);

		if (flow == NULL)
			continue;
		if (flow->state != FLOW_ESTABLISHED) {
			victim = flow;
			break;
		}
		if (victim == NULL || flow->last_ns < victim->last_ns)
			victim = flow;
	}
	/* the reserve allows to look further next time before an established flow has to go */
	if (victim == NULL || (victim->state == FLOW_ESTABLISHED && table->free_count > FLOW_RESERVE / 4))
		return;
	table->pending[counters[victim->state]]++;
	flow_finish(table, victim, FLOW_END_FORCED);
}

/** Its time is over, or its last packet is of a clock that was set back since: when that time comes nobody knows. */
static bool
is_over_or_ahead(const struct flow_table *table, const struct flow *flow, uint64_t now_ns)
{
	return flow_is_over(table, flow, now_ns) || clock_is_back(now_ns, flow->last_ns);
}

/** In emergency mode the clock hand looks for flows whose shorter time is over; the wheel would come too late. */
static void
emergency_sweep(struct flow_table *table, uint64_t now_ns, unsigned int budget)
{
	for (unsigned int i = 0; i < budget; i++) {
		struct flow *flow = clock_next(table);

		if (flow != NULL && is_over_or_ahead(table, flow, now_ns))
			flow_finish(table, flow, FLOW_END_TIMEOUT);
	}
}

/** The next flow of a list is on its way while this one is handled; all three lines are looked at. */
static inline void
prefetch_listed(const struct flow_table *table, uint32_t idx)
{
	const uint8_t *flow;

	if (idx == FLOW_IDX_NONE)
		return;
	flow = (const uint8_t *)&table->flows[idx];
	__builtin_prefetch(flow, 1);
	__builtin_prefetch(flow + 64, 1);
	__builtin_prefetch(flow + 128, 1);
}

/** Looks at the flows of each second that has passed. */
static void
wheel_turn(struct flow_table *table, uint64_t now_ns, unsigned int budget)
{
	uint64_t now_s = now_ns / NS_PER_S;

	if (table->wheel_s == 0 || now_s > table->wheel_s + FLOW_WHEEL_SLOTS)
		table->wheel_s = now_s > FLOW_WHEEL_SLOTS ? now_s - FLOW_WHEEL_SLOTS : 1;
	for (; table->wheel_s <= now_s; table->wheel_s++) {
		uint32_t *head = &table->wheel[table->wheel_s % FLOW_WHEEL_SLOTS];

		while (*head != FLOW_IDX_NONE) {
			struct flow *flow = &table->flows[*head];

			if (budget-- == 0)
				return;
			prefetch_listed(table, flow->timer_next);
			if (is_over_or_ahead(table, flow, now_ns)) {
				flow_finish(table, flow, FLOW_END_TIMEOUT);
				continue;
			}
			flow_timer_disarm(table, flow);
			flow_timer_arm(table, flow);
		}
	}
}

static void
counters_publish(struct flow_table *table)
{
	for (unsigned int i = 0; i < FLOW_COUNTER_COUNT; i++)
		if (table->pending[i] != 0) {
			counter_add(&table->counters[i], table->pending[i]);
			table->pending[i] = 0;
		}
	counter_set(&table->counters[FLOW_COUNTER_ACTIVE], flow_table_active(table));
}

/** Hands the ended out and makes their places free. */
static unsigned int
ended_drain(struct flow_table *table, flow_end_fn end_fn, void *arg)
{
	static const enum flow_counter reasons[FLOW_END_COUNT] = {
		[FLOW_END_TIMEOUT] = FLOW_COUNTER_END_TIMEOUT,
		[FLOW_END_FORCED] = FLOW_COUNTER_END_FORCED,
		[FLOW_END_SHUTDOWN] = FLOW_COUNTER_END_SHUTDOWN,
	};
	unsigned int drained = 0;

	while (table->ended_head != FLOW_IDX_NONE) {
		uint32_t idx = table->ended_head;
		struct flow *flow = &table->flows[idx];

		table->ended_head = flow->timer_next;
		prefetch_listed(table, flow->timer_next);
		if (table->ended_head == FLOW_IDX_NONE)
			table->ended_tail = FLOW_IDX_NONE;
		if (flow->end_reason != FLOW_END_TCP_REUSE)
			table->pending[reasons[flow->end_reason]]++;
		/* without a packet (its burst had no room) there is nothing to tell */
		if (flow->packets[0] + flow->packets[1] > 0)
			end_fn(arg, flow);
		flow->flags = 0;
		flow->timer_next = table->free_head;
		table->free_head = idx;
		table->free_count++;
		drained++;
	}
	return drained;
}

const struct flow *
flow_next_ended(const struct flow_table *table)
{
	return table->ended_head == FLOW_IDX_NONE ? NULL : &table->flows[table->ended_head];
}

unsigned int
flow_expire(struct flow_table *table, uint64_t now_ns, unsigned int budget, flow_end_fn end_fn, void *arg)
{
	unsigned int drained;

	if (clock_is_back(now_ns, table->wheel_s * NS_PER_S))
		table->wheel_s = now_ns / NS_PER_S;
	if (now_ns / NS_PER_S >= table->wheel_s)
		wheel_turn(table, now_ns, budget);
	if (table->emergency)
		emergency_sweep(table, now_ns, budget);
	for (unsigned int i = 0; i < FLOW_BURST_MAX && table->free_count + i < FLOW_RESERVE; i++)
		flow_evict_one(table);
	drained = ended_drain(table, end_fn, arg);
	if (table->emergency && table->free_count >= table->recovery_free) {
		table->emergency = false;
		table->pending[FLOW_COUNTER_EMERG_MODE_OVER]++;
	}
	counters_publish(table);
	return drained;
}

unsigned int
flow_expire_all(struct flow_table *table, flow_end_fn end_fn, void *arg)
{
	unsigned int drained;

	for (uint32_t i = 0; i < table->unused; i++)
		if ((table->flows[i].flags & (FLOW_LIVE | FLOW_ENDED)) == FLOW_LIVE)
			flow_finish(table, &table->flows[i], FLOW_END_SHUTDOWN);
	drained = ended_drain(table, end_fn, arg);
	table->emergency = false;
	counters_publish(table);
	return drained;
}

uint32_t
flow_table_walk(const struct flow_table *table, uint32_t from, uint32_t count, void (*fn)(void *arg, const struct flow *flow),
	void *arg)
{
	uint32_t end = from < table->unused && count < table->unused - from ? from + count : table->unused;

	for (uint32_t i = from; i < end; i++)
		if ((table->flows[i].flags & (FLOW_LIVE | FLOW_ENDED)) == FLOW_LIVE)
			fn(arg, &table->flows[i]);
	return end < table->unused ? end : 0;
}

uint64_t
flow_table_active(const struct flow_table *table)
{
	return table->flow_count - table->free_count;
}

uint64_t
flow_table_bytes(const struct flow_table *table)
{
	return table->flows_bytes + table->buckets_bytes + sizeof(*table);
}

#define SWAP(array)                                        \
	do {                                               \
		__typeof__((array)[0]) saved_ = (array)[0]; \
		(array)[0] = (array)[1];                   \
		(array)[1] = saved_;                       \
	} while (0)

void
flow_swap_direction(struct flow *flow)
{
	uint8_t mac[6];

	flow->flags ^= FLOW_SWAPPED | FLOW_DIRECTION_SWAPPED;
	flow->rule_route = 0;
	flow->elephants = (uint8_t)((flow->elephants & 1) << 1 | flow->elephants >> 1);
	SWAP(flow->packets);
	SWAP(flow->bytes);
	SWAP(flow->tcp_flags);
	SWAP(flow->ttl_min);
	SWAP(flow->ttl_max);
	SWAP(flow->lost_bytes);
	memcpy(mac, flow->src_mac, sizeof(mac));
	memcpy(flow->src_mac, flow->dst_mac, sizeof(mac));
	memcpy(flow->dst_mac, mac, sizeof(mac));
}
