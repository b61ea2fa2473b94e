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
	struct rule_index *indexes;
	uint32_t index_count;
	struct rule_patterns patterns;
};

static struct rule_index *
draft_index(struct group_draft *draft, uint32_t offset)
{
	for (uint32_t i = 0; i < draft->index_count; i++)
		if (draft->indexes[i].offset == offset)
			return &draft->indexes[i];
	struct rule_index *grown = realloc(draft->indexes, (draft->index_count + 1) * sizeof(*grown));

	if (grown == NULL)
		return NULL;
	draft->indexes = grown;
	grown[draft->index_count] = (struct rule_index){ .offset = offset };
	return &grown[draft->index_count++];
}

static int
draft_link(struct group_draft *draft, uint32_t offset, const struct rule_link *link)
{
	struct rule_index *index = draft_index(draft, offset);

	if (index == NULL)
		return -ENOMEM;
	if (draft->link_count + 1 >= draft->link_cap) {
		uint32_t cap = draft->link_cap == 0 ? 64 : draft->link_cap * 2;
		struct rule_link *grown = realloc(draft->links, cap * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		draft->links = grown;
		draft->link_cap = cap;
	}
	uint32_t at = ++draft->link_count; /* [0] stays unused */
	uint32_t *first = &index->first[link->value & 0xff];

	draft->links[at] = *link;
	draft->links[at].next = *first;
	*first = at;
	return 0;
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
		const struct rule_link link = { .rule_idx = rule_idx, .value = plan.value, .mask = plan.mask, .len = plan.len };

		return draft_link(draft, plan.offset, &link);
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
	group->index_count = draft->index_count;
	group->indexes = rule_arena_copy(arena, draft->indexes, draft->index_count * sizeof(struct rule_index));
	group->link_count = draft->link_count;
	group->links = rule_arena_copy(arena, draft->links, draft->link_count == 0 ? 0 : (draft->link_count + 1) * sizeof(struct rule_link));
	return group->always == NULL || group->indexes == NULL || group->links == NULL ? -ENOMEM : 0;
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
	if (draft.links != NULL)
		draft.links[0] = (struct rule_link){ 0 };
	if (ret == 0)
		ret = draft_freeze(compile, &draft, group);
	free(draft.always);
	free(draft.links);
	free(draft.indexes);
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
		struct rule_group *grown = cap > RULE_GROUP_NONE ? NULL : realloc(set->groups, cap * sizeof(*grown));

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
