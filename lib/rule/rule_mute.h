/* Hot: rules that need not be asked for a while. Not for other folders. */
#ifndef MR_RULE_MUTE_H
#define MR_RULE_MUTE_H

#include "lib/flow/flow.h"
#include "lib/rule/rule_internal.h"

/** A rule that cannot speak of one direction of a flow for a while, as its threshold has spoken: it is not asked. Where two
 *  meet in one place the later one stays, the other is asked again: nothing depends on it. */
struct rule_mute {
	uint64_t flow_id;
	uint64_t until_ns;
	uint32_t rule_idx;
	bool to_server;
};

enum { RULE_MUTES = 4096 };

static inline struct rule_mute *
rule_mute_at(const struct rule_view *view, uint32_t rule_idx)
{
	uint64_t hash = (view->flow->flow_id ^ ((uint64_t)rule_idx << 1 | view->to_server) << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &view->matcher->mutes[hash >> 52]; /* 12 bits: RULE_MUTES */
}

static inline void
rule_mute(const struct rule_view *view, uint32_t rule_idx, uint64_t until_ns)
{
	if (view->flow != NULL && view->phase == PHASE_MESSAGE)
		*rule_mute_at(view, rule_idx) = (struct rule_mute){ .flow_id = view->flow->flow_id, .rule_idx = rule_idx,
			.until_ns = until_ns, .to_server = view->to_server };
}

static inline bool
rule_is_muted(const struct rule_view *view, uint32_t rule_idx)
{
	if (view->flow == NULL)
		return false;
	const struct rule_mute *mute = rule_mute_at(view, rule_idx);

	return view->ts_ns < mute->until_ns && mute->flow_id == view->flow->flow_id && mute->rule_idx == rule_idx
		&& mute->to_server == view->to_server;
}

#endif
