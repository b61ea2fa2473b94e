/* Hot: rules that need not be asked for a while. Not for other folders. */
#ifndef MR_RULE_MUTE_H
#define MR_RULE_MUTE_H

#include "lib/base/clock.h"
#include "lib/flow/flow.h"
#include "lib/rule/rule_internal.h"

enum { RULE_MUTE_NS = 1000000000 };

/**
 * The rules that cannot speak of one direction of a flow for a while, as their thresholds have spoken: they are not asked. In one
 * line of the cache, a slab block that hangs from the flow's state. Where there is no memory, or the rules are other ones since,
 * they are asked again: nothing depends on it.
 */
struct rule_mute {
	uint64_t since_ns;
	uint64_t until_s;     /* when the first of them may speak again; then all are asked */
	uint32_t swaps;       /* rule_memory.swaps: whose bits they are */
	uint16_t app_idx;     /* of the messages */
	uint64_t bits[RULE_MUTE_WORDS]; /* rule.mute_bit */
};

_Static_assert(sizeof(struct rule_mute) <= SLAB_BLOCK_MIN, "the smallest block, a line of the cache");

/** What hangs from flow->rule_state, which begins with it. */
struct rule_flow_mutes {
	struct rule_mute *of[2]; /* by direction, 1 to the server; NULL: none */
};

/** The flow's, made where there is none. NULL: no flow or no room. */
struct rule_mute *rule_mute_make(const struct rule_view *view);

static inline bool
rule_mute_holds(const struct rule_view *view, const struct rule_mute *mute)
{
	return mute->app_idx == view->message->app_idx && mute->swaps == view->matcher->memory->swaps
		&& view->ts_ns / RULE_MUTE_NS < mute->until_s && !clock_is_back(view->ts_ns, mute->since_ns);
}

static inline void
rule_mute(const struct rule_view *view, const struct rule *rule, uint64_t until_ns)
{
	uint16_t bit = rule->mute_bit[view->to_server];
	uint64_t until_s = until_ns / RULE_MUTE_NS;
	struct rule_mute *mute;

	if (view->phase != PHASE_MESSAGE || bit == RULE_NOT_MUTED || (mute = rule_mute_make(view)) == NULL)
		return;
	if (!rule_mute_holds(view, mute))
		*mute = (struct rule_mute){ .since_ns = view->ts_ns, .until_s = until_s, .swaps = view->matcher->memory->swaps,
			.app_idx = view->message->app_idx };
	mute->bits[bit >> 6] |= UINT64_C(1) << (bit & 63);
	mute->until_s = until_s < mute->until_s ? until_s : mute->until_s;
}

/** The rules that need not be asked of the view's message. [RULE_MUTE_WORDS] */
static inline const uint64_t *
rule_muted(struct rule_view *view)
{
	static const uint64_t none[RULE_MUTE_WORDS];
	const struct rule_flow_mutes *mutes = view->flow == NULL ? NULL : view->flow->rule_state;
	const struct rule_mute *mute = mutes == NULL ? NULL : mutes->of[view->to_server];

	if (view->muted == NULL)
		view->muted = mute != NULL && rule_mute_holds(view, mute) ? mute->bits : none;
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
