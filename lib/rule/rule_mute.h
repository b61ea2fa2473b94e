/* Hot: rules that need not be asked for a while. Not for other folders. */
#ifndef MR_RULE_MUTE_H
#define MR_RULE_MUTE_H

#include "lib/flow/flow.h"
#include "lib/rule/rule_internal.h"

/** A rule that cannot speak of one direction of a flow for a while, as its threshold has spoken: it is not asked. Where two
 *  meet in one place the later one stays, the other is asked again: nothing depends on it. */
struct rule_mute {
	uint64_t flow;        /* flow_id * 2 + to_server */
	uint32_t rule_idx;
	uint32_t until_s;     /* short entries: the table is looked into at random places */
};

enum { RULE_MUTES = 4096, RULE_MUTE_NS = 1000000000 };

static inline uint64_t
rule_mute_flow(const struct rule_view *view)
{
	return view->flow->flow_id << 1 | view->to_server;
}

static inline struct rule_mute *
rule_mute_at(const struct rule_view *view, uint32_t rule_idx)
{
	uint64_t hash = (rule_mute_flow(view) ^ (uint64_t)rule_idx << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &view->matcher->mutes[hash >> 52]; /* 12 bits: RULE_MUTES */
}

static inline void
rule_mute(const struct rule_view *view, uint32_t rule_idx, uint64_t until_ns)
{
	uint64_t until_s = until_ns / RULE_MUTE_NS;

	if (view->flow != NULL && view->phase == PHASE_MESSAGE)
		*rule_mute_at(view, rule_idx) = (struct rule_mute){ .flow = rule_mute_flow(view), .rule_idx = rule_idx,
			.until_s = until_s < UINT32_MAX ? (uint32_t)until_s : UINT32_MAX };
}

static inline bool
rule_is_muted(const struct rule_view *view, uint32_t rule_idx)
{
	if (view->flow == NULL)
		return false;
	const struct rule_mute *mute = rule_mute_at(view, rule_idx);

	return mute->flow == rule_mute_flow(view) && mute->rule_idx == rule_idx && view->ts_ns / RULE_MUTE_NS < mute->until_s;
}

#endif
