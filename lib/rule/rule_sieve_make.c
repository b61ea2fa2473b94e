/* Cold: makes the sieve of some rules: its shelves, and a lens for each thing that their conditions look at. */
#include "lib/rule/rule_sieve_make.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_tests.h"

enum { LINE_LEN = 64 };

static_assert(sizeof(struct rule_lens) == LINE_LEN, "a look costs one line");

/** A sieve being made. */
struct sift {
	struct rule_places *make;
	struct rule_sieve *out;
	struct rule_lens *lenses;
	uint32_t lens_count, lens_cap;
};

/** What a lens looks at. */
struct lens_key {
	uint8_t kind;
	bool magnitude;
	struct rule_number_at at;
	struct rule_lens_deep deep;
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
lens_same(const struct rule_lens *lens, const struct lens_key *key)
{
	const struct rule_lens_deep *a = lens->deep, *b = &key->deep;

	if (lens->kind != key->kind || lens->magnitude != key->magnitude || a->path_count != b->path_count)
		return false;
	if (lens->kind == LENS_NUMBER || lens->kind == LENS_ARRAY)
		return memcmp(&lens->at, &key->at, sizeof(key->at)) == 0;
	if (lens->kind == LENS_NUMBERS)
		return memcmp(a->paths, b->paths, a->path_count * sizeof(a->paths[0])) == 0
			&& memcmp(a->ats, b->ats, a->path_count * sizeof(a->ats[0])) == 0;
	return a->buffer == NULL || rule_buffer_same(a->buffer, b->buffer);
}

/* The set of those that stay where a lens sees nothing. */
static inline uint64_t *
lens_kept(const struct sift *sift, const struct rule_lens *lens)
{
	return &lens->by_value[RULE_LENS_VALUES * sift->out->words];
}

/* The field of a buffer that is a text of the root, as it is; NULL: it is not so. */
static const struct field *
plain_field(const struct rule_buffer *buffer)
{
	const struct field *leaf = buffer->kind == BUFFER_FIELD && buffer->path_count == 1 ? buffer->paths[0].leaf : NULL;
	bool plain = leaf != NULL && buffer->transforms == NULL && buffer->paths[0].list_count == 0 &&
		(leaf->flags & FIELD_LINES) == 0 && leaf->type != FIELD_IP && leaf->type != FIELD_SCALARS;

	return plain ? leaf : NULL;
}

/* The lens that looks at the same thing, made where there is none. NULL: no memory */
static struct rule_lens *
lens_of(struct sift *sift, const struct lens_key *key)
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
	*lens = (struct rule_lens){ .kind = key->kind, .magnitude = key->magnitude, .at = key->at,
		.plain = key->deep.buffer == NULL ? NULL : plain_field(key->deep.buffer) };
	lens->by_value = sets_make(sift, RULE_LENS_VALUES + 1, true);
	lens->deep = rule_arena_copy(&sift->make->set->arena, &key->deep, sizeof(key->deep));
	if (lens->by_value == NULL || lens->deep == NULL)
		return NULL;
	lens->deep->by_len = sets_make(sift, key->kind == LENS_TEXT ? RULE_LENS_LENS : 1, true);
	return lens->deep->by_len == NULL ? NULL : lens;
}

/* Two conditions of a rule on one list may hold for different children: the first is the one that is asked. */
static bool
lens_ask(const struct sift *sift, struct rule_lens *lens, uint32_t bit)
{
	if (set_has(lens->asked, bit))
		return false;
	set_add(lens->asked, bit);
	set_remove(lens_kept(sift, lens), bit);
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
shapes_make(const struct sift *sift, const struct rule_lens_deep *key)
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
same_lists(const struct rule_lens_deep *key)
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
number_ask(struct sift *sift, const struct lens_key *key, uint32_t bit, const bool possible[RULE_LENS_VALUES])
{
	struct rule_lens *lens = lens_of(sift, key);

	if (lens == NULL)
		return -ENOMEM;
	if (lens->kind == LENS_NUMBERS && lens->deep->by_shape == NULL && same_lists(lens->deep)) {
		lens->deep->by_shape = shapes_make(sift, lens->deep);
		if (lens->deep->by_shape == NULL)
			return -ENOMEM;
	}
	if (lens_ask(sift, lens, bit))
		lens_values(sift, lens, bit, possible);
	return 0;
}

/* Where the numbers of a test lie. @return 0 or -ENOMEM; key->deep.path_count 0: not numbers */
static int
numbers_key(const struct sift *sift, const struct rule_test *test, struct lens_key *key)
{
	struct rule_number_at *ats = rule_arena_alloc(&sift->make->set->arena, (test->path_count + 1u) * sizeof(*ats));

	*key = (struct lens_key){ .kind = LENS_NUMBERS, .deep = { .paths = test->paths, .ats = ats } };
	if (ats == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < test->path_count; i++)
		if (!rule_place_number_at(&test->paths[i], &ats[i]))
			return 0;
	key->deep.path_count = test->path_count;
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
	struct lens_key key;
	bool possible[RULE_LENS_VALUES];

	if (numbers_key(sift, test, &key) != 0)
		return -ENOMEM;
	if (key.deep.path_count == 0 || (key.kind == LENS_NUMBERS && test->negated))
		return 0;
	if (rule_narrow_number(test, key.deep.ats, key.deep.path_count, possible))
		return number_ask(sift, &key, bit, possible);
	if (key.deep.path_count == 1 && key.deep.ats[0].right < 64 - 8 && rule_narrow_high(test, possible)) {
		key.at = key.deep.ats[0];
		key.at.right += 8;
		key.deep.ats = rule_arena_copy(&sift->make->set->arena, &key.at, sizeof(key.at));
		return key.deep.ats == NULL ? -ENOMEM : number_ask(sift, &key, bit, possible);
	}
	key.magnitude = true;
	return rule_narrow_magnitude(test, possible) ? number_ask(sift, &key, bit, possible) : 0;
}

static int
tag_ask(struct sift *sift, const struct rule_test *test, uint32_t bit)
{
	const struct rule_app *app = sift->make->app;
	const struct lens_key key = { .kind = LENS_TAGS };
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
	if (lens_ask(sift, lens, bit))
		lens_values(sift, lens, bit, possible);
	return 0;
}

/* By the lowest byte of what the keyword says of a number, or where that says nothing by the one above. */
static int
index_ask(struct sift *sift, const struct rule_test *test, uint32_t bit)
{
	struct lens_key key = { .kind = LENS_NUMBER, .deep.path_count = 1 };
	bool possible[RULE_LENS_VALUES];
	struct rule_app_index index;

	if (!rule_place_index_of(sift->make->app, test, &index, &key.at))
		return 0;
	unsigned int shift = (index.mask & (RULE_LENS_VALUES - 1)) == 0 && key.at.right < 64 - 8 ? 8 : 0;
	uint64_t mask = index.mask >> shift & (RULE_LENS_VALUES - 1), value = index.value >> shift & mask;

	key.at.right += shift;
	for (unsigned int v = 0; v < RULE_LENS_VALUES; v++)
		possible[v] = (v & mask) == value;
	return mask == 0 ? 0 : number_ask(sift, &key, bit, possible);
}

static int
array_ask(struct sift *sift, const struct rule_test *test, uint32_t bit)
{
	const struct field *field = test->paths[0].leaf;
	struct lens_key key = { .kind = LENS_ARRAY, .deep = { .paths = test->paths, .path_count = 1 } };
	bool possible[RULE_LENS_VALUES];

	if (test->negated || test->path_count != 1 || test->paths[0].list_count > 0)
		return 0;
	key.at = (struct rule_number_at){ .off = field->offset, .bit = field->bit, .right = (uint8_t)(64 - 8 * rule_array_size(field)) };
	return rule_narrow_number(test, &key.at, 1, possible) ? number_ask(sift, &key, bit, possible) : 0;
}

static int
test_ask(struct sift *sift, const struct rule_test *test, uint32_t bit)
{
	if (test->fn == rule_test_field_number)
		return field_ask(sift, test, bit);
	if (test->fn == rule_test_field_array)
		return array_ask(sift, test, bit);
	if (test->fn != rule_test_own)
		return 0;
	return index_ask(sift, test, bit) != 0 ? -ENOMEM : tag_ask(sift, test, bit);
}

static int
text_ask(struct sift *sift, const struct lens_key *key, uint32_t bit, const struct rule_narrow *narrow)
{
	struct rule_lens *lens = lens_of(sift, key);

	if (lens == NULL)
		return -ENOMEM;
	if (!lens_ask(sift, lens, bit))
		return 0;
	lens_values(sift, lens, bit, narrow->first);
	for (unsigned int n = 0; n < RULE_LENS_LENS; n++)
		if (!narrow->len[n])
			set_remove(&lens->deep->by_len[n * sift->out->words], bit);
	return 0;
}

static int
buffer_ask(struct sift *sift, const struct rule_buffer *buffer, uint32_t bit)
{
	struct lens_key key = { .kind = LENS_TEXT, .deep.buffer = buffer };
	struct rule_narrow narrow;
	struct rule_plan plan;
	struct rule_lens *lens;

	if (rule_narrow_buffer(buffer, &narrow) && text_ask(sift, &key, bit, &narrow) != 0)
		return -ENOMEM;
	if (narrow.starts || !rule_plan_search(buffer, &plan))
		return 0;
	key.kind = plan.kind == PLAN_LITERAL ? LENS_LITERALS : LENS_SEARCH;
	lens = lens_of(sift, &key);
	if (lens == NULL)
		return -ENOMEM;
	(void)lens_ask(sift, lens, bit);
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

/* What a lens searches a rule's buffer for: the first of its buffers that are looked at so. */
static bool
search_of(const struct sift *sift, const struct rule_lens *lens, uint32_t bit, struct rule_plan *plan)
{
	const struct rule *rule = sift->make->set->rules[sift->out->entries[bit].rule_idx];
	bool literals = lens->kind == LENS_LITERALS;

	for (unsigned int i = 0; i < rule->buffer_count; i++) {
		const struct rule_buffer *buffer = &rule->buffers[i];
		struct rule_narrow narrow;

		if (!rule_buffer_same(buffer, lens->deep->buffer) || !rule_buffer_required(buffer))
			continue;
		(void)rule_narrow_buffer(buffer, &narrow);
		if (!narrow.starts && rule_plan_search(buffer, plan) && (!literals || plan->kind == PLAN_LITERAL))
			return true;
	}
	return false;
}

/* Many literals are better searched for together, with the expressions if there are any. */
static void
literals_join(struct sift *sift, struct rule_lens *literals)
{
	const struct lens_key key = { .kind = LENS_SEARCH, .deep.buffer = literals->deep->buffer };
	struct rule_lens *search = NULL;

	for (uint32_t i = 0; i < sift->lens_count; i++)
		if (lens_same(&sift->lenses[i], &key))
			search = &sift->lenses[i];
	if (search == NULL) {
		literals->kind = LENS_SEARCH;
		return;
	}
	for (uint32_t w = 0; w < sift->out->words; w++) {
		lens_kept(sift, search)[w] &= lens_kept(sift, literals)[w];
		search->asked[w] |= literals->asked[w];
		literals->asked[w] = 0;
	}
}

static void
literals_make(const struct sift *sift, struct rule_lens *lens)
{
	struct rule_lens_deep *deep = lens->deep;
	struct rule_plan plan;

	for (uint32_t bit = 0; bit < sift->out->rule_count; bit++)
		if (set_has(lens->asked, bit) && search_of(sift, lens, bit, &plan))
			deep->literals[deep->literal_count++] = (struct rule_lens_literal){ .bytes = plan.node->content.bytes + plan.from,
				.len = (uint8_t)plan.count, .nocase = (plan.node->flags & NODE_NOCASE) != 0, .bit = (uint16_t)bit };
}

static int
search_make(struct sift *sift, struct rule_lens *lens)
{
	struct rule_patterns patterns = { 0 };
	int ret = 0;

	for (uint32_t bit = 0; ret == 0 && bit < sift->out->rule_count; bit++) {
		struct rule_plan plan;

		if (set_has(lens->asked, bit) && search_of(sift, lens, bit, &plan))
			ret = rule_patterns_add(&patterns, &plan, bit);
	}
	if (ret == 0)
		ret = rule_database_add(sift->make->set, &patterns, &lens->deep->database);
	rule_patterns_free(&patterns);
	return ret;
}

static unsigned int
asked_count(const struct rule_lens *lens, const struct rule_sieve *sieve)
{
	unsigned int count = 0;

	for (uint32_t w = 0; w < sieve->words; w++)
		count += (unsigned int)__builtin_popcountll(lens->asked[w]);
	return count;
}

static int
searches_make(struct sift *sift)
{
	int ret = 0;

	for (uint32_t i = 0; i < sift->lens_count; i++)
		if (sift->lenses[i].kind == LENS_LITERALS && asked_count(&sift->lenses[i], sift->out) > RULE_LENS_LITERALS_MAX)
			literals_join(sift, &sift->lenses[i]);
	for (uint32_t i = 0; ret == 0 && i < sift->lens_count; i++) {
		if (sift->lenses[i].kind == LENS_LITERALS)
			literals_make(sift, &sift->lenses[i]);
		else if (sift->lenses[i].kind == LENS_SEARCH)
			ret = search_make(sift, &sift->lenses[i]);
	}
	return ret;
}

void
rule_sieve_settle(struct rule_sieve *sieve)
{
	for (uint32_t i = 0; i < sieve->lens_count; i++) {
		struct rule_lens *lens = &sieve->lenses[i];
		const struct rule_database *made = lens->deep->database;

		if (lens->kind != LENS_SEARCH)
			continue;
		const struct rule_database *own = made->same == NULL ? made : made->same;

		for (uint32_t n = 0; n < own->refused_count; n++)
			set_add(&lens->by_value[RULE_LENS_VALUES * sieve->words], made->rules[own->refused[n]]);
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

		if (out->shelf_count == 0 || rule_need_compare(&shelves[out->shelf_count - 1].need, need) != 0)
			shelves[out->shelf_count++] = (struct rule_sieve_shelf){ .need = *need };
		set_add(shelves[out->shelf_count - 1].rules, bit);
	}
	out->shelves = shelves;
	return 0;
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

/* Starts at a line of the cache. */
static void *
lines_alloc(const struct sift *sift, size_t len)
{
	uintptr_t at = (uintptr_t)rule_arena_alloc(&sift->make->set->arena, len + LINE_LEN);

	return at == 0 ? NULL : (void *)((at + LINE_LEN - 1) & ~(uintptr_t)(LINE_LEN - 1));
}

/* Those that are asked by nobody any more are left out. */
static int
lenses_write(struct sift *sift)
{
	struct rule_lens *lenses = lines_alloc(sift, (sift->lens_count + 1) * sizeof(*lenses));

	if (lenses == NULL)
		return -ENOMEM;
	lenses_order(sift);
	for (uint32_t i = 0; i < sift->lens_count; i++)
		if (asked_count(&sift->lenses[i], sift->out) > 0) {
			sift->out->number_count += sift->lenses[i].kind == LENS_NUMBER;
			lenses[sift->out->lens_count++] = sift->lenses[i];
		}
	sift->out->lenses = lenses;
	return 0;
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
			.mute_bit = RULE_NOT_MUTED,
			.quick_count = places[bit]->quick_count, .quicks = places[bit]->quicks };
	ret = shelves_make(&sift);
	for (uint32_t bit = 0; ret == 0 && bit < count; bit++)
		ret = rule_ask(&sift, make->set->rules[entries[bit].rule_idx], bit);
	if (ret == 0)
		ret = searches_make(&sift);
	if (ret == 0)
		ret = lenses_write(&sift);
	free(sift.lenses);
	return ret;
}
