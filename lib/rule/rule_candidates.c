/* Hot: which rules of a group may hold for the bytes at hand: those that wait for bytes at fixed places, for what Hyperscan finds, for nothing. */
#include <string.h>

#include "lib/base/cursor.h"
#include "lib/rule/rule_internal.h"

struct pattern_arg {
	struct rule_view *view;
	const struct rule_database *database;
	uint32_t from; /* where in the payload the scan began */
};

static int
on_pattern(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *arg)
{
	const struct pattern_arg *found = arg;
	uint32_t end = found->from + (uint32_t)to, reach = found->database->reach;
	uint32_t start = end > reach ? end - reach : 0;

	(void)from;
	(void)flags;
	if (start < found->view->first_hit)
		found->view->first_hit = start;
	rule_candidate_add(found->view->matcher, found->database->rules[id]);
	return 0;
}

/* Where a group's scan begins: new bytes, those before them that a pattern may straddle, and all behind the first hit of a
 * rule that may still find its other parts. */
static uint32_t
scan_from(const struct rule_view *view, const struct rule_database *database)
{
	uint32_t straddle = database->reach - 1, back = straddle > view->again_len ? straddle : view->again_len;

	if (back > RULE_AGAIN_MAX)
		back = RULE_AGAIN_MAX;
	return view->seen_len > back ? view->seen_len - back : 0;
}

static void
group_scan(struct rule_view *view, const struct rule_database *database)
{
	struct pattern_arg arg = { view, database, scan_from(view, database) };
	struct cursor cursor = cursor_of(view->payload, view->payload_len);

	cursor_skip(&cursor, arg.from);
	rule_scan(view, database, cursor.pos, (uint32_t)cursor_left(&cursor), on_pattern, &arg);
}

/* Up to 8 bytes of a unit from offset on, first byte lowest. @return how many there were */
static inline uint32_t
unit_word(struct cursor unit, uint32_t offset, uint64_t *word)
{
	cursor_skip(&unit, offset);
	size_t len = cursor_left(&unit);

	*word = 0;
	if (len >= sizeof(*word)) {
		memcpy(word, unit.pos, sizeof(*word));
		return sizeof(*word);
	}
	for (size_t i = 0; i < len; i++)
		*word |= (uint64_t)unit.pos[i] << 8 * i;
	return (uint32_t)len;
}

static inline bool
word_holds(const struct rule_word *word, uint64_t bytes, uint32_t len)
{
	return len >= word->len && (bytes & word->mask) == word->value;
}

static bool
more_holds(const struct rule_word *more, struct cursor unit)
{
	uint64_t bytes;
	uint32_t len = unit_word(unit, more->offset, &bytes);

	return word_holds(more, bytes, len);
}

static void
links_candidates(struct rule_view *view, const struct rule_link *links, uint32_t count, struct cursor unit)
{
	uint64_t bytes;
	uint32_t len = unit_word(unit, links->first.offset, &bytes);

	for (uint32_t i = 0; i < count; i++)
		if (word_holds(&links[i].first, bytes, len) && (links[i].more.len == 0 || more_holds(&links[i].more, unit)))
			rule_candidate_add(view->matcher, links[i].rule_idx);
}

/* The rules that wait for the bytes at fixed places of a unit. Indexes are in the order of their places. */
static inline __attribute__((always_inline)) void
unit_candidates(struct rule_view *view, const struct rule_group *group, uint32_t unit_off)
{
	uint32_t off = unit_off < view->payload_len ? unit_off : view->payload_len, len = view->payload_len - off;
	struct cursor unit = cursor_of(view->payload + off, len);

	const struct rule_index *index = group->indexes;

	for (uint32_t left = group->index_count; left > 0 && index->offset < len; left--, index++) {
		unsigned int byte = unit.pos[index->offset];
		uint64_t word = index->has[byte / 64], bit = UINT64_C(1) << byte % 64;

		if ((word & bit) == 0)
			continue;
		const uint32_t *start = &index->starts[index->before[byte / 64] + __builtin_popcountll(word & (bit - 1))];

		links_candidates(view, &group->links[start[0]], start[1] - start[0], unit);
	}
}

static inline bool
gate_lets(const struct rule_view *view, const struct rule_gate *gate)
{
	return view->payload_len >= gate->len_min && view->payload_len <= gate->len_max;
}

void
rule_group_candidates(struct rule_view *view, uint16_t group_idx)
{
	const struct rule_group *group = &view->matcher->set->groups[group_idx];

	for (uint32_t i = 0; i < group->always_count; i++)
		if (gate_lets(view, &group->always[i]))
			rule_candidate_add(view->matcher, group->always[i].rule_idx);
	if (view->payload == NULL)
		return;
	for (unsigned int i = 0; i <= view->from_start; i++)
		unit_candidates(view, group, i == 0 ? view->unit_off : 0);
	if (group->database != NULL && view->payload_len >= group->database->len_min)
		group_scan(view, group->database);
}
