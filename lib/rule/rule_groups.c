/* Rules that are asked together: what each is found by is gathered, then frozen. Equal lists of rules are one group. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/rule/rule_compile.h"
#include "lib/rule/rule_sieve.h"

enum { GROUP_TABLE_MIN = 1024 };

/** What group_fill() gathers before it freezes a group. */
struct group_draft {
	struct rule_gate *always;
	uint32_t always_count;
	struct rule_link *links;
	uint32_t link_count, link_cap;
	struct rule_patterns patterns;
};

static int
draft_link(struct group_draft *draft, const struct rule_link *link)
{
	if (draft->link_count == draft->link_cap) {
		uint32_t cap = draft->link_cap == 0 ? 64 : draft->link_cap * 2;
		struct rule_link *grown = realloc(draft->links, cap * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		draft->links = grown;
		draft->link_cap = cap;
	}
	draft->links[draft->link_count++] = *link;
	return 0;
}

static uint8_t
link_byte(const struct rule_link *link)
{
	return (uint8_t)link->first.value;
}

/* By place, then by byte. */
static int
link_order(const void *a, const void *b)
{
	const struct rule_link *left = a, *right = b;

	if (left->first.offset != right->first.offset)
		return left->first.offset < right->first.offset ? -1 : 1;
	if (link_byte(left) != link_byte(right))
		return link_byte(left) - link_byte(right);
	return left->rule_idx < right->rule_idx ? -1 : left->rule_idx > right->rule_idx;
}

/* The links of one place, which are in order from `from` on. @return behind its last, 0 without memory */
static uint32_t
index_make(struct rule_arena *arena, const struct group_draft *draft, uint32_t from, struct rule_index *out)
{
	uint32_t starts[256 + 1], bytes = 0, at = from, offset = draft->links[from].first.offset;

	*out = (struct rule_index){ .offset = offset };
	for (; at < draft->link_count && draft->links[at].first.offset == offset; at++) {
		uint8_t byte = link_byte(&draft->links[at]);

		if (at > from && byte == link_byte(&draft->links[at - 1]))
			continue;
		out->has[byte / 64] |= UINT64_C(1) << byte % 64;
		starts[bytes++] = at;
	}
	starts[bytes] = at;
	for (unsigned int i = 1; i < 4; i++)
		out->before[i] = (uint8_t)(out->before[i - 1] + __builtin_popcountll(out->has[i - 1]));
	out->starts = rule_arena_copy(arena, starts, (bytes + 1) * sizeof(starts[0]));
	return out->starts == NULL ? 0 : at;
}

static int
indexes_make(struct rule_arena *arena, struct group_draft *draft, struct rule_group *group)
{
	uint32_t places = 0;

	if (draft->link_count == 0)
		return 0;
	qsort(draft->links, draft->link_count, sizeof(draft->links[0]), link_order);
	for (uint32_t i = 0; i < draft->link_count; i++)
		places += i == 0 || draft->links[i].first.offset != draft->links[i - 1].first.offset;
	struct rule_index *indexes = rule_arena_alloc(arena, places * sizeof(*indexes));

	for (uint32_t at = 0; indexes != NULL && group->index_count < places; group->index_count++) {
		at = index_make(arena, draft, at, &indexes[group->index_count]);
		if (at == 0)
			return -ENOMEM;
	}
	group->indexes = indexes;
	group->links = rule_arena_copy(arena, draft->links, draft->link_count * sizeof(draft->links[0]));
	return indexes == NULL || group->links == NULL ? -ENOMEM : 0;
}

/* Whether a rule that its pattern found may hold only when later bytes have come. */
static bool
rule_is_spread(const struct rule *rule, const struct rule_plan *plan)
{
	for (unsigned int i = 0; i < rule->buffer_count; i++)
		if (rule->buffers[i].kind == BUFFER_PAYLOAD)
			return plan->kind != PLAN_LITERAL || rule->buffers[i].node_count > 1 || plan->count < plan->node->content.len;
	return false;
}

static int
draft_add(struct group_draft *draft, struct rule *rule, uint32_t rule_idx)
{
	struct rule_plan plan;

	rule_plan_make(rule, &plan);
	rule->flags |= rule_is_spread(rule, &plan) ? RULE_SPREAD : 0;
	switch (plan.kind) {
	case PLAN_INDEX: {
		const struct rule_link link = { .rule_idx = rule_idx, .first = plan.first, .more = plan.more };

		return draft_link(draft, &link);
	}
	case PLAN_LITERAL:
	case PLAN_PCRE:
		return rule_patterns_add(&draft->patterns, &plan, rule_idx);
	default:
		draft->always[draft->always_count++] = rule_gate_of(rule, rule_idx);
		return 0;
	}
}

static int
draft_freeze(struct compile *compile, struct group_draft *draft, struct rule_group *group)
{
	struct rule_arena *arena = &compile->set->arena;

	if (draft->patterns.count > 0 && rule_database_add(compile->set, &draft->patterns, &group->database) != 0)
		return -ENOMEM;
	group->always_count = draft->always_count;
	group->always = rule_arena_copy(arena, draft->always, draft->always_count * sizeof(draft->always[0]));
	return group->always == NULL ? -ENOMEM : indexes_make(arena, draft, group);
}

static int
group_draft(struct compile *compile, const uint32_t *list, uint32_t count, struct rule_group *group)
{
	struct group_draft draft = { .always = calloc(count, sizeof(struct rule_gate)) };
	int ret = draft.always == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; ret == 0 && i < count; i++) {
		if (compile->app != NULL)
			draft.always[draft.always_count++] = (struct rule_gate){ list[i], 0, UINT32_MAX };
		else
			ret = draft_add(&draft, compile->set->rules[list[i]], list[i]);
	}
	if (ret == 0)
		ret = draft_freeze(compile, &draft, group);
	free(draft.always);
	free(draft.links);
	rule_patterns_free(&draft.patterns);
	return ret;
}

static int
group_fill(struct compile *compile, const uint32_t *list, uint32_t count, struct rule_group *group)
{
	group->rule_count = count;
	group->rules = rule_arena_copy(&compile->set->arena, list, count * sizeof(uint32_t));
	if (group->rules == NULL)
		return -ENOMEM;
	if (compile->kind == MESSAGE_RECORD)
		return rule_records_make(compile->set, compile->app, compile->to_server, list, count, &group->records);
	return group_draft(compile, list, count, group);
}

static uint16_t *
group_known(struct compile *compile, const uint32_t *list, uint32_t count)
{
	uint32_t slot = crc32c(count, list, count * sizeof(*list));

	for (;; slot++) {
		uint16_t *at = &compile->known[slot & (compile->known_cap - 1)];

		if (*at == 0)
			return at;
		const struct rule_group *group = &compile->set->groups[*at - 1];

		if (group->rule_count == count && group->app == compile->app && group->to_server == compile->to_server
			&& (group->records != NULL) == (compile->kind == MESSAGE_RECORD)
			&& memcmp(group->rules, list, count * sizeof(*list)) == 0)
			return at;
	}
}

/* Twice the room, so that a search always meets an empty slot. */
static int
known_grow(struct compile *compile)
{
	uint32_t cap = compile->known_cap == 0 ? GROUP_TABLE_MIN : compile->known_cap * 2;
	uint16_t *old = compile->known;

	compile->known = calloc(cap, sizeof(*compile->known));
	free(old);
	compile->known_cap = cap;
	if (compile->known == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < compile->set->group_count; i++) {
		const struct rule_group *group = &compile->set->groups[i];

		uint32_t slot = crc32c(group->rule_count, group->rules, group->rule_count * sizeof(uint32_t));

		while (compile->known[slot & (cap - 1)] != 0)
			slot++;
		compile->known[slot & (cap - 1)] = (uint16_t)(i + 1);
	}
	return 0;
}

int
rule_group_of(struct compile *compile, uint32_t count, uint16_t *out)
{
	struct ruleset *set = compile->set;

	*out = RULE_GROUP_NONE;
	if (count == 0)
		return 0;
	if (set->group_count * 2 >= compile->known_cap && known_grow(compile) != 0)
		return -ENOMEM;
	uint16_t *known = group_known(compile, compile->list, count);

	if (*known != 0) {
		*out = (uint16_t)(*known - 1);
		return 0;
	}
	if (set->group_count == set->group_cap) {
		uint32_t cap = set->group_cap == 0 ? 64 : set->group_cap * 2;
		struct rule_group *grown = cap > RULE_GROUPS_MAX ? NULL : realloc(set->groups, cap * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		set->groups = grown;
		set->group_cap = cap;
	}
	set->groups[set->group_count] = (struct rule_group){ .app = compile->app, .to_server = compile->to_server };
	int ret = group_fill(compile, compile->list, count, &set->groups[set->group_count]);

	if (ret != 0)
		return ret;
	*known = (uint16_t)(set->group_count + 1);
	*out = (uint16_t)set->group_count++;
	return 0;
}
