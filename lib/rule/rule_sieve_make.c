/* Cold: makes the sieve of some rules: its shelves, and a lens for each thing that their conditions look at. */
#include "lib/rule/rule_sieve_make.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_tests.h"

/** A sieve being made. */
struct sift {
	struct rule_places *make;
	struct rule_sieve *out;
	struct rule_lens *lenses;
	uint32_t lens_count, lens_cap;
};

static inline bool
set_has(const uint64_t *set, uint32_t bit)
{
	return (set[bit >> 6] >> (bit & 63) & 1) != 0;
}

static inline void
set_add(uint64_t *set, uint32_t bit)
{
	set[bit >> 6] |= UINT64_C(1) << (bit & 63);
}

static inline void
set_remove(uint64_t *set, uint32_t bit)
{
	set[bit >> 6] &= ~(UINT64_C(1) << (bit & 63));
}

/* count sets, empty or full. */
static uint64_t *
sets_make(const struct sift *sift, uint32_t count, bool full)
{
	size_t len = (size_t)count * sift->out->words * sizeof(uint64_t);
	uint64_t *sets = rule_arena_alloc(&sift->make->set->arena, len);

	if (sets != NULL && full)
		memset(sets, 0xff, len);
	return sets;
}

/* ---- lenses ---- */

static bool
lens_same(const struct rule_lens *a, const struct rule_lens *b)
{
	if (a->kind != b->kind || a->magnitude != b->magnitude || a->path_count != b->path_count)
		return false;
	if (a->kind == LENS_NUMBER)
		return memcmp(&a->at, &b->at, sizeof(a->at)) == 0;
	if (a->kind == LENS_NUMBERS)
		return memcmp(a->paths, b->paths, a->path_count * sizeof(a->paths[0])) == 0
			&& memcmp(a->ats, b->ats, a->path_count * sizeof(a->ats[0])) == 0;
	return a->buffer == NULL || rule_buffer_same(a->buffer, b->buffer);
}

/* The lens that looks at the same thing, made where there is none. NULL: no memory */
static struct rule_lens *
lens_of(struct sift *sift, const struct rule_lens *key)
{
	struct rule_lens *lens;

	for (uint32_t i = 0; i < sift->lens_count; i++)
		if (lens_same(&sift->lenses[i], key))
			return &sift->lenses[i];
	if (sift->lens_count == sift->lens_cap) {
		uint32_t cap = sift->lens_cap == 0 ? 16 : sift->lens_cap * 2;
		struct rule_lens *grown = realloc(sift->lenses, cap * sizeof(*grown));

		if (grown == NULL)
			return NULL;
		sift->lenses = grown;
		sift->lens_cap = cap;
	}
	lens = &sift->lenses[sift->lens_count++];
	*lens = *key;
	memset(lens->kept, 0xff, sizeof(lens->kept));
	lens->by_value = sets_make(sift, key->kind == LENS_SEARCH ? 1 : RULE_LENS_VALUES, true);
	lens->by_len = sets_make(sift, key->kind == LENS_TEXT ? RULE_LENS_LENS : 1, true);
	return lens->by_value == NULL || lens->by_len == NULL ? NULL : lens;
}

/* Two conditions of a rule on one list may hold for different children: the first is the one that is asked. */
static bool
lens_ask(struct rule_lens *lens, uint32_t bit, bool where_absent)
{
	if (set_has(lens->asked, bit))
		return false;
	set_add(lens->asked, bit);
	if (!where_absent)
		set_remove(lens->kept, bit);
	return true;
}

static void
lens_values(const struct sift *sift, struct rule_lens *lens, uint32_t bit, const bool possible[RULE_LENS_VALUES])
{
	for (unsigned int v = 0; v < RULE_LENS_VALUES; v++)
		if (!possible[v])
			set_remove(&lens->by_value[v * sift->out->words], bit);
}

/* Which of the numbers the children of the last list have, by their shape. */
static const struct rule_number_at **
shapes_make(const struct sift *sift, const struct rule_lens *key)
{
	const struct record_table *const *children = key->paths[0].lists[key->paths[0].list_count - 1]->children;
	const struct rule_number_at **by_shape;
	unsigned int count = 0;

	while (children[count] != NULL)
		count++;
	by_shape = rule_arena_alloc(&sift->make->set->arena, (count + 1) * sizeof(*by_shape));
	for (unsigned int i = 0; by_shape != NULL && i < count; i++)
		for (unsigned int p = 0; p < key->path_count; p++)
			if (key->paths[p].leaf_table == children[i])
				by_shape[i] = &key->ats[p];
	return by_shape;
}

/* Whether all paths go through the same list, or two, of which the outer one's children have one shape; and each to children of a
 * shape of its own: a shape may have two fields of one name, of which either is present. */
static bool
same_lists(const struct rule_lens *key)
{
	const struct record_path *first = &key->paths[0];

	if (first->list_count == 0 || first->list_count > 2 || (first->list_count == 2 && first->lists[0]->children[1] != NULL))
		return false;
	for (unsigned int p = 1; p < key->path_count; p++) {
		if (key->paths[p].list_count != first->list_count
			|| memcmp(key->paths[p].lists, first->lists, first->list_count * sizeof(first->lists[0])) != 0)
			return false;
		for (unsigned int q = 0; q < p; q++)
			if (key->paths[q].leaf_table == key->paths[p].leaf_table)
				return false;
	}
	return true;
}

static int
number_ask(struct sift *sift, const struct rule_lens *key, uint32_t bit, bool where_absent, const bool possible[RULE_LENS_VALUES])
{
	struct rule_lens *lens = lens_of(sift, key);

	if (lens == NULL)
		return -ENOMEM;
	if (lens->kind == LENS_NUMBERS && lens->by_shape == NULL && same_lists(lens)) {
		lens->by_shape = shapes_make(sift, lens);
		if (lens->by_shape == NULL)
			return -ENOMEM;
	}
	if (lens_ask(lens, bit, where_absent))
		lens_values(sift, lens, bit, possible);
	return 0;
}

/* Where the numbers of a test lie. @return 0 or -ENOMEM; key->path_count 0: not numbers */
static int
numbers_key(const struct sift *sift, const struct rule_test *test, struct rule_lens *key)
{
	struct rule_number_at *ats = rule_arena_alloc(&sift->make->set->arena, (test->path_count + 1u) * sizeof(*ats));

	*key = (struct rule_lens){ .kind = LENS_NUMBERS, .paths = test->paths, .ats = ats };
	if (ats == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < test->path_count; i++)
		if (!rule_place_number_at(&test->paths[i], &ats[i]))
			return 0;
	key->path_count = test->path_count;
	if (test->path_count == 1 && test->paths[0].list_count == 0) {
		key->kind = LENS_NUMBER;
		key->at = ats[0];
	}
	return 0;
}

/* A field's own condition: by the lowest byte, by a higher one (of bits), or by magnitude; whichever says something. */
static int
field_ask(struct sift *sift, const struct rule_test *test, uint32_t bit)
{
	struct rule_lens key;
	bool possible[RULE_LENS_VALUES];

	if (numbers_key(sift, test, &key) != 0)
		return -ENOMEM;
	if (key.path_count == 0 || (key.kind == LENS_NUMBERS && test->negated))
		return 0;
	if (rule_narrow_number(test, key.ats, key.path_count, possible))
		return number_ask(sift, &key, bit, test->negated, possible);
	if (key.path_count == 1 && key.ats[0].right < 64 - 8 && rule_narrow_high(test, possible)) {
		key.at = key.ats[0];
		key.at.right += 8;
		key.ats = rule_arena_copy(&sift->make->set->arena, &key.at, sizeof(key.at));
		return key.ats == NULL ? -ENOMEM : number_ask(sift, &key, bit, false, possible);
	}
	key.magnitude = true;
	return rule_narrow_magnitude(test, possible) ? number_ask(sift, &key, bit, false, possible) : 0;
}

static int
tag_ask(struct sift *sift, const struct rule_test *test, uint32_t bit)
{
	const struct rule_app *app = sift->make->app;
	const struct rule_lens key = { .kind = LENS_TAGS };
	bool possible[RULE_LENS_VALUES] = { false };
	struct rule_lens *lens;
	uint32_t tag;

	if (app->record_tags == NULL || test->negated || !app->keyword_tag(test->keyword, test->own, &tag))
		return 0;
	sift->out->record_tags = app->record_tags;
	lens = lens_of(sift, &key);
	if (lens == NULL)
		return -ENOMEM;
	possible[rule_tag_hash(tag)] = true;
	if (lens_ask(lens, bit, false))
		lens_values(sift, lens, bit, possible);
	return 0;
}

static int
test_ask(struct sift *sift, const struct rule_test *test, uint32_t bit)
{
	bool possible[RULE_LENS_VALUES] = { false };
	int64_t values[PLACE_VALUES_MAX];
	struct rule_place_number number = { 0 };

	if (test->fn == rule_test_field_number)
		return field_ask(sift, test, bit);
	if (test->fn != rule_test_own)
		return 0;
	unsigned int count = rule_place_values_of(sift->make, test, &number, values);
	const struct rule_lens key = { .kind = LENS_NUMBER, .path_count = 1, .at = number.at };

	for (unsigned int v = 0; v < count; v++)
		possible[values[v] & (RULE_LENS_VALUES - 1)] = true;
	if (count > 0 && number_ask(sift, &key, bit, false, possible) != 0)
		return -ENOMEM;
	return tag_ask(sift, test, bit);
}

/* The field of a buffer that is a text of the root, as it is; NULL: it is not so. */
static const struct field *
plain_field(const struct rule_buffer *buffer)
{
	bool plain = buffer->kind == BUFFER_FIELD && buffer->transforms == NULL && buffer->path_count == 1
		&& buffer->paths[0].list_count == 0;

	return plain ? buffer->paths[0].leaf : NULL;
}

static int
buffer_ask(struct sift *sift, const struct rule_buffer *buffer, uint32_t bit)
{
	struct rule_lens key = { .kind = LENS_TEXT, .buffer = buffer, .plain = plain_field(buffer) };
	struct rule_narrow narrow;
	struct rule_plan plan;
	struct rule_lens *lens;

	if (rule_narrow_buffer(buffer, &narrow)) {
		lens = lens_of(sift, &key);
		if (lens == NULL)
			return -ENOMEM;
		if (lens_ask(lens, bit, false)) {
			lens_values(sift, lens, bit, narrow.first);
			for (unsigned int n = 0; n < RULE_LENS_LENS; n++)
				if (!narrow.len[n])
					set_remove(&lens->by_len[n * sift->out->words], bit);
		}
	}
	if (narrow.starts || !rule_plan_search(buffer, &plan))
		return 0;
	key.kind = LENS_SEARCH;
	lens = lens_of(sift, &key);
	if (lens == NULL)
		return -ENOMEM;
	(void)lens_ask(lens, bit, false);
	return 0;
}

static int
rule_ask(struct sift *sift, const struct rule *rule, uint32_t bit)
{
	for (unsigned int i = 0; i < rule->test_count; i++)
		if (rule->tests[i].app != RULE_APP_NONE && test_ask(sift, &rule->tests[i], bit) != 0)
			return -ENOMEM;
	for (unsigned int i = 0; i < rule->buffer_count; i++) {
		const struct rule_buffer *buffer = &rule->buffers[i];

		if ((buffer->kind == BUFFER_FIELD || buffer->kind == BUFFER_PAYLOAD) && rule_buffer_required(buffer)
			&& buffer_ask(sift, buffer, bit) != 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- searches ---- */

/* The pattern by which a search lens asks a rule: of the first of its buffers that are looked at so. */
static bool
pattern_of(const struct rule *rule, const struct rule_lens *lens, struct rule_plan *plan)
{
	for (unsigned int i = 0; i < rule->buffer_count; i++) {
		const struct rule_buffer *buffer = &rule->buffers[i];
		struct rule_narrow narrow;

		if (!rule_buffer_same(buffer, lens->buffer) || !rule_buffer_required(buffer))
			continue;
		(void)rule_narrow_buffer(buffer, &narrow);
		if (!narrow.starts && rule_plan_search(buffer, plan))
			return true;
	}
	return false;
}

static int
search_make(struct sift *sift, struct rule_lens *lens)
{
	struct rule_patterns patterns = { 0 };
	struct ruleset *set = sift->make->set;
	int ret = 0;

	for (uint32_t bit = 0; ret == 0 && bit < sift->out->rule_count; bit++) {
		struct rule_plan plan;

		if (set_has(lens->asked, bit) && pattern_of(set->rules[sift->out->entries[bit].rule_idx], lens, &plan))
			ret = rule_patterns_add(&patterns, &plan, bit);
	}
	if (ret == 0)
		ret = rule_database_add(set, &patterns, &lens->database);
	rule_patterns_free(&patterns);
	return ret;
}

void
rule_sieve_settle(struct rule_sieve *sieve)
{
	for (uint32_t i = 0; i < sieve->lens_count; i++) {
		struct rule_lens *lens = &sieve->lenses[i];
		const struct rule_database *made = lens->database;

		if (lens->kind != LENS_SEARCH)
			continue;
		const struct rule_database *own = made->same == NULL ? made : made->same;

		for (uint32_t n = 0; n < own->refused_count; n++)
			set_add(lens->kept, made->rules[own->refused[n]]);
		if (own->db == NULL)
			memset(lens->asked, 0, sizeof(lens->asked));
	}
}

/* ---- together ---- */

/* Places come sorted by need. */
static int
shelves_make(struct sift *sift)
{
	struct rule_sieve *out = sift->out;
	struct rule_sieve_shelf *shelves = rule_arena_alloc(&sift->make->set->arena, (out->rule_count + 1) * sizeof(*shelves));

	if (shelves == NULL)
		return -ENOMEM;
	for (uint32_t bit = 0; bit < out->rule_count; bit++) {
		const struct rule_need *need = &out->entries[bit].need;

		if (out->shelf_count == 0 || rule_need_compare(&shelves[out->shelf_count - 1].need, need) != 0) {
			shelves[out->shelf_count] = (struct rule_sieve_shelf){ .need = *need, .rules = sets_make(sift, 1, false) };
			if (shelves[out->shelf_count++].rules == NULL)
				return -ENOMEM;
		}
		set_add(shelves[out->shelf_count - 1].rules, bit);
	}
	out->shelves = shelves;
	return 0;
}

static unsigned int
asked_count(const struct rule_lens *lens, const struct rule_sieve *sieve)
{
	unsigned int count = 0;

	for (uint32_t w = 0; w < sieve->words; w++)
		count += (unsigned int)__builtin_popcountll(lens->asked[w]);
	return count;
}

/* Cheap lenses first, of one kind those that may take away the most. */
static void
lenses_order(struct sift *sift)
{
	for (uint32_t i = 1; i < sift->lens_count; i++)
		for (uint32_t n = i; n > 0; n--) {
			struct rule_lens *before = &sift->lenses[n - 1], *lens = &sift->lenses[n], swap = *lens;

			if (before->kind < lens->kind
				|| (before->kind == lens->kind && asked_count(before, sift->out) >= asked_count(lens, sift->out)))
				break;
			*lens = *before;
			*before = swap;
		}
}

int
rule_sieve_make(struct rule_places *make, const struct rule_place *const *places, uint32_t count,
	struct rule_entry *entries, struct rule_sieve *out)
{
	struct sift sift = { .make = make, .out = out };
	int ret;

	*out = (struct rule_sieve){ .words = (count + 63) / 64, .rule_count = count, .entries = entries };
	for (uint32_t bit = 0; bit < count; bit++)
		entries[bit] = (struct rule_entry){ .need = places[bit]->need, .rule_idx = places[bit]->rule_idx,
			.may_mute = places[bit]->may_mute,
			.quick_count = places[bit]->quick_count, .quicks = places[bit]->quicks };
	ret = shelves_make(&sift);
	for (uint32_t bit = 0; ret == 0 && bit < count; bit++)
		ret = rule_ask(&sift, make->set->rules[entries[bit].rule_idx], bit);
	for (uint32_t i = 0; ret == 0 && i < sift.lens_count; i++)
		if (sift.lenses[i].kind == LENS_SEARCH)
			ret = search_make(&sift, &sift.lenses[i]);
	if (ret == 0) {
		lenses_order(&sift);
		out->lens_count = sift.lens_count;
		out->lenses = rule_arena_copy(&make->set->arena, sift.lenses, sift.lens_count * sizeof(sift.lenses[0]));
		ret = out->lenses == NULL ? -ENOMEM : 0;
	}
	free(sift.lenses);
	return ret;
}
