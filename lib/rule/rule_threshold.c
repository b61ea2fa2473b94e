/* Hot, but for the two functions that make and free the table: how often a rule may speak. */
#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/rule/rule_mute.h"

enum { UNIQUE_WORDS = 4 };

#define NS_PER_S UINT64_C(1000000000)

struct rule_tracked {
	struct ip_addr addr[2];
	uint64_t start_ns;
	uint64_t unique[UNIQUE_WORDS]; /* ports seen, folded to 256 */
	uint32_t sid, gid;
	uint32_t count;
	uint32_t seconds;
	uint64_t next;   /* THRESHOLD_BACKOFF: the count that speaks next; THRESHOLD_RATE: until when the other action holds, ns */
	uint8_t type, track, ip_version;
};

/** The rows that a key may have; a tag for each, so that a look at them touches one of them. */
struct rule_tracked_set {
	uint32_t tags[RULE_TABLE_WAYS]; /* of the key's hash; 0: free */
	struct rule_tracked rows[RULE_TABLE_WAYS];
};

struct rule_threshold_table {
	uint32_t mask;
	struct rule_tracked_set sets[];
};

static void
tracked_key(const struct rule_view *view, const struct rule *rule, const struct rule_threshold *threshold,
	struct rule_tracked *key)
{
	*key = (struct rule_tracked){ .sid = rule->meta.sid, .gid = rule->meta.gid, .type = threshold->type,
		.track = threshold->track, .ip_version = view->ip_version };
	if (threshold->track == TRACK_FLOW)
		key->addr[0].halves[0] = view->flow == NULL ? 0 : view->flow->flow_id;
	if (threshold->track == TRACK_SRC)
		key->addr[0] = view->src;
	if (threshold->track == TRACK_DST)
		key->addr[1] = view->dst;
	if (threshold->track == TRACK_BOTH)
		rule_addrs_pair(view, key->addr);
	if (threshold->track == TRACK_RULE || threshold->track == TRACK_FLOW)
		key->ip_version = 0;
}

static bool
tracked_same(const struct rule_tracked *a, const struct rule_tracked *b)
{
	return a->sid == b->sid && a->gid == b->gid && a->type == b->type && a->track == b->track
		&& a->ip_version == b->ip_version && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

/* The way that a new key takes: a free one, else that whose window began first. */
static unsigned int
tracked_take(const struct rule_view *view, const struct rule_tracked_set *set)
{
	unsigned int take = 0;

	for (unsigned int i = 0; i < RULE_TABLE_WAYS; i++) {
		if (set->tags[i] == 0)
			return i;
		if (set->rows[i].start_ns < set->rows[take].start_ns)
			take = i;
	}
	if (set->rows[take].start_ns + set->rows[take].seconds * NS_PER_S > view->ts_ns)
		rule_count(view, RULE_COUNTER_THRESHOLD_EVICTED);
	return take;
}

static struct rule_tracked *
tracked_find(const struct rule_view *view, const struct rule *rule, const struct rule_threshold *threshold)
{
	struct rule_threshold_table *table = view->matcher->memory->thresholds;
	struct rule_tracked key;

	tracked_key(view, rule, threshold, &key);
	uint32_t hash = rule_addrs_hash(key.sid ^ (uint32_t)key.type << 24, key.addr), tag = hash | 1;
	struct rule_tracked_set *set = &table->sets[hash & table->mask];

	for (unsigned int i = 0; i < RULE_TABLE_WAYS; i++)
		if (set->tags[i] == tag && tracked_same(&set->rows[i], &key))
			return &set->rows[i];
	unsigned int take = tracked_take(view, set);

	key.start_ns = view->ts_ns;
	key.seconds = threshold->seconds;
	set->tags[take] = tag;
	set->rows[take] = key;
	return &set->rows[take];
}

/* Whether this packet counts: with unique_on, only a port not seen in the window does. */
static bool
tracked_unique(const struct rule_view *view, const struct rule_threshold *threshold, struct rule_tracked *row)
{
	if (threshold->unique == 0)
		return true;
	uint32_t fold = hash_u64(0, threshold->unique == 1 ? view->sport : view->dport) & 255;
	uint64_t bit = UINT64_C(1) << (fold & 63);
	bool fresh = (row->unique[fold >> 6] & bit) == 0;

	row->unique[fold >> 6] |= bit;
	return fresh;
}

/* What comes as late as the window is long is the last in it. */
static bool
window_is_over(const struct rule_view *view, const struct rule_tracked *row, uint64_t seconds)
{
	return view->ts_ns > row->start_ns + seconds * NS_PER_S || clock_is_back(view->ts_ns, row->start_ns);
}

static bool
threshold_check(const struct rule_view *view, const struct rule *rule, const struct rule_threshold *threshold)
{
	struct rule_tracked *row = tracked_find(view, rule, threshold);

	if (threshold->seconds != UINT32_MAX && window_is_over(view, row, threshold->seconds)) {
		row->start_ns = view->ts_ns;
		row->count = 0;
		memset(row->unique, 0, sizeof(row->unique));
	}
	if (!tracked_unique(view, threshold, row))
		return threshold->type == THRESHOLD_DETECTION && row->count > threshold->count;
	if (row->count < UINT32_MAX)
		row->count++;
	if ((rule->flags & RULE_MAY_MUTE) != 0 && row->count >= threshold->count)
		rule_mute(view, rule, row->start_ns + row->seconds * NS_PER_S); /* till then only the count would change */
	switch (threshold->type) {
	case THRESHOLD_LIMIT:
		return row->count <= threshold->count;
	case THRESHOLD_BOTH:
		return row->count == threshold->count;
	case THRESHOLD_BACKOFF:
		row->next = row->next == 0 ? threshold->count : row->next;
		if (row->count < row->next)
			return false;
		row->next *= threshold->multiplier;
		return true;
	case THRESHOLD_DETECTION:
		return row->count > threshold->count;
	default:
		if (row->count < threshold->count)
			return false;
		row->count = 0;
		return true;
	}
}

static bool
suppressed(const struct rule_view *view, const struct rule *rule)
{
	for (const struct rule_suppress *row = rule->suppress; row != NULL; row = row->next) {
		bool src = row->track != TRACK_DST && row->addresses != NULL
			&& rule_addresses_match(row->addresses, view->ip_version, &view->src);
		bool dst = row->track != TRACK_SRC && row->addresses != NULL
			&& rule_addresses_match(row->addresses, view->ip_version, &view->dst);

		if (row->track == TRACK_RULE || src || dst)
			return true;
	}
	return false;
}

/* Whether the rule fires so often that another action holds: beyond its count in its window, and for a time after that. */
static bool
rate_exceeded(const struct rule_view *view, const struct rule *rule)
{
	const struct rule_threshold *rate = &rule->rate;
	struct rule_tracked *row = tracked_find(view, rule, rate);

	if (view->ts_ns <= row->next && !clock_is_back(view->ts_ns, row->start_ns))
		return true;
	if (window_is_over(view, row, rate->seconds)) {
		row->start_ns = view->ts_ns;
		row->count = 0;
	}
	if (++row->count <= rate->count)
		return false;
	row->next = view->ts_ns + rate->timeout_s * NS_PER_S;
	row->start_ns = view->ts_ns;
	row->count = 0;
	return true;
}

bool
rule_threshold_allows(const struct rule_view *view, const struct rule *rule, uint8_t *action)
{
	if (rule->suppress != NULL && suppressed(view, rule))
		return false;
	if (rule->filter.type != THRESHOLD_NONE && !threshold_check(view, rule, &rule->filter))
		return false;
	if (rule->rate.type != THRESHOLD_NONE && rate_exceeded(view, rule)) {
		*action = rule->rate.action;
		if (*action == RULE_PASS)
			return false;
	}
	return rule->threshold.type == THRESHOLD_NONE || threshold_check(view, rule, &rule->threshold);
}

/* ---- cold ---- */

int
rule_thresholds_create(struct rule_memory *memory, uint64_t entries_max)
{
	uint32_t mask = rule_table_mask(entries_max);

	/* Large pages, touched now: a worker looks into it at random places. */
	memory->thresholds_len = sizeof(*memory->thresholds) + (mask + 1ul) * sizeof(struct rule_tracked_set);
	memory->thresholds = mem_area_create(memory->thresholds_len);
	if (memory->thresholds == NULL)
		return -ENOMEM;
	memory->thresholds->mask = mask;
	return 0;
}

void
rule_thresholds_destroy(struct rule_memory *memory)
{
	mem_area_destroy(memory->thresholds, memory->thresholds_len);
}
