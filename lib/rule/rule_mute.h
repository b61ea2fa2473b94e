/* Hot: rules that need not be asked for a while. Not for other folders. */
#ifndef MR_RULE_MUTE_H
#define MR_RULE_MUTE_H

#include "lib/base/clock.h"
#include "lib/flow/flow.h"
#include "lib/rule/rule_internal.h"

enum { RULE_MUTES = 1024, RULE_MUTE_ALIGN = 64, RULE_MUTE_NS = 1000000000 };

/** The rules that cannot speak of one direction of a flow for a while, as their thresholds have spoken: they are not asked. In one
 *  line of the cache. Where two flows meet in one place the later one stays, the other's rules are asked again: nothing depends on it. */
struct rule_mute {
	_Alignas(RULE_MUTE_ALIGN) uint64_t key; /* flow, protocol and direction */
	uint64_t since_ns;
	uint64_t until_s;     /* when the first of them may speak again; then all are asked */
	uint64_t bits[RULE_MUTE_WORDS]; /* rule.mute_bit */
};

static inline uint64_t
rule_mute_key(const struct rule_view *view)
{
	return view->flow->flow_id << 9 | (uint64_t)view->message->app_idx << 1 | view->to_server; /* flow ids have 53 bits */
}

static inline struct rule_mute *
rule_mute_at(const struct rule_view *view, uint64_t key)
{
	return &view->matcher->mutes[key * UINT64_C(0x9e3779b97f4a7c15) >> 54]; /* 10 bits: RULE_MUTES */
}

static inline bool
rule_mute_holds(const struct rule_view *view, const struct rule_mute *mute)
{
	return view->ts_ns / RULE_MUTE_NS < mute->until_s && !clock_is_back(view->ts_ns, mute->since_ns);
}

static inline void
rule_mute(const struct rule_view *view, const struct rule *rule, uint64_t until_ns)
{
	uint16_t bit = rule->mute_bit[view->to_server];
	uint64_t until_s = until_ns / RULE_MUTE_NS;

	if (view->flow == NULL || view->phase != PHASE_MESSAGE || bit == RULE_NOT_MUTED)
		return;
	uint64_t key = rule_mute_key(view);
	struct rule_mute *mute = rule_mute_at(view, key);

	if (mute->key != key || !rule_mute_holds(view, mute))
		*mute = (struct rule_mute){ .key = key, .since_ns = view->ts_ns, .until_s = until_s };
	mute->bits[bit >> 6] |= UINT64_C(1) << (bit & 63);
	mute->until_s = until_s < mute->until_s ? until_s : mute->until_s;
}

/** The rules that need not be asked of the view's message. [RULE_MUTE_WORDS] */
static inline const uint64_t *
rule_muted(struct rule_view *view)
{
	static const uint64_t none[RULE_MUTE_WORDS];

	if (view->muted != NULL)
		return view->muted;
	view->muted = none;
	if (view->flow != NULL) {
		uint64_t key = rule_mute_key(view);
		const struct rule_mute *mute = rule_mute_at(view, key);

		if (mute->key == key && rule_mute_holds(view, mute))
			view->muted = mute->bits;
	}
	return view->muted;
}

/** Whether a rule with that bit, or RULE_NOT_MUTED, need not be asked; counted if so. */
static inline bool
rule_is_muted(struct rule_view *view, uint16_t bit)
{
	if (bit == RULE_NOT_MUTED || (rule_muted(view)[bit >> 6] >> (bit & 63) & 1) == 0)
		return false;
	rule_count(view, RULE_COUNTER_MUTED);
	return true;
}

#endif
