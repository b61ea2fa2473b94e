/* Hot: which rules of a group may hold for the bytes at hand: those that wait for bytes at fixed places, for what Hyperscan finds, for nothing. */
#include <string.h>

#include "lib/base/cursor.h"
#include "lib/rule/rule_internal.h"

void
rule_scan(struct rule_view *view, const struct rule_database *database, const uint8_t *data, uint32_t len,
	match_event_handler on_match, void *arg)
{
	struct rule_matcher *matcher = view->matcher;

	rule_count(view, RULE_COUNTER_SCANS);
	counter_add(&matcher->memory->counters[RULE_COUNTER_SCAN_BYTES], len);
	if (matcher->on_scan != NULL)
		matcher->on_scan(matcher->on_scan_arg, database->db, data, len);
	if (hs_scan(database->db, (const char *)data, len, 0, matcher->scratch, on_match, arg) != HS_SUCCESS)
		rule_count(view, RULE_COUNTER_SCAN_ERRORS);
}

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
static void
unit_candidates(struct rule_view *view, const struct rule_group *group, uint32_t unit_off)
{
	struct cursor unit = cursor_of(view->payload, view->payload_len);

	cursor_skip(&unit, unit_off);
	size_t len = cursor_left(&unit);

	for (uint32_t i = 0; i < group->index_count && group->indexes[i].offset < len; i++) {
		const struct rule_index *index = &group->indexes[i];
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
	if (group_idx == RULE_GROUP_NONE)
		return;
	const struct rule_group *group = &view->matcher->set->groups[group_idx];

	for (uint32_t i = 0; i < group->always_count; i++)
		if (gate_lets(view, &group->always[i]))
			rule_candidate_add(view->matcher, group->always[i].rule_idx);
	if (view->payload == NULL)
		return;
	unit_candidates(view, group, view->unit_off);
	if (view->from_start)
		unit_candidates(view, group, 0);
	if (group->database != NULL && view->payload_len >= group->database->len_min)
		group_scan(view, group->database);
}
