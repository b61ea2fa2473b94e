/* Cold: gives each rule of a protocol and direction the place where it is found; see rule_places.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_places.h"
#include "lib/rule/rule_sieve.h"
#include "lib/rule/rule_tests.h"

enum {
	INDEX_SHARE_MAX = 32,       /* rules behind one value; with more a literal is the better place */
	SCAN_PATTERNS_MIN = 64,     /* fewer literals of one buffer stay in the sieve, whose lenses mostly spare the search */
	FIELD_BITS = 64,
};

/* ---- one condition ---- */

static bool
number_at(const struct record_table *table, const struct field *field, struct rule_number_at *out)
{
	static const struct {
		uint8_t size;
		bool is_signed;
	} rows[] = {
		[FIELD_BOOL] = { 1, false }, [FIELD_U8] = { 1, false }, [FIELD_U16] = { 2, false }, [FIELD_U32] = { 4, false },
		[FIELD_U64] = { 8, false }, [FIELD_TIME] = { 8, false }, [FIELD_I8] = { 1, true }, [FIELD_I16] = { 2, true },
		[FIELD_I32] = { 4, true }, [FIELD_I64] = { 8, true }, [FIELD_NAMES8] = { 1, false }, [FIELD_NAMES16] = { 2, false },
	};
	uint8_t size = field->type < sizeof(rows) / sizeof(rows[0]) ? rows[field->type].size : 0;

	if (size == 0 || field->offset + size > table->size)
		return false;
	/* eight bytes that lie inside the record, the field among them */
	uint16_t off = field->offset + 8 <= table->size ? field->offset : (uint16_t)(table->size - 8);

	*out = (struct rule_number_at){ .off = off, .bit = field->bit, .is_signed = rows[field->type].is_signed,
		.left = (uint8_t)(64 - 8 * (field->offset - off + size)), .right = (uint8_t)(64 - 8 * size) };
	return true;
}

bool
rule_place_number_at(const struct record_path *path, struct rule_number_at *out)
{
	return number_at(path->leaf_table, path->leaf, out);
}

bool
rule_place_number_of(const struct rule_test *test, struct rule_place_number *out)
{
	if (test->fn != rule_test_field_number || test->path_count != 1)
		return false;
	out->path = test->paths[0].list_count == 0 ? NULL : &test->paths[0];
	return rule_place_number_at(&test->paths[0], &out->at);
}

static bool
quick_of_number(const struct rule_number *number, struct rule_quick *quick)
{
	quick->op = QUICK_RANGE;
	quick->negated = quick->negated != number->negated;
	quick->low = quick->high = number->a;
	switch (number->op) {
	case NUMBER_EQUAL:
		return true;
	case NUMBER_RANGE:
		quick->high = number->b;
		return true;
	case NUMBER_BELOW:
		quick->low = INT64_MIN;
		quick->high = number->a - 1;
		return number->a > INT64_MIN;
	case NUMBER_ABOVE:
		quick->low = number->a + 1;
		quick->high = INT64_MAX;
		return number->a < INT64_MAX;
	case NUMBER_MASK:
	case NUMBER_MASK_NONE:
		quick->op = QUICK_BITS;
		quick->high = number->op == NUMBER_MASK ? number->a : 0;
		return true;
	default:
		return false;
	}
}

/* @return how many conditions were written, at most RULE_NUMBERS_MAX */
static uint32_t
quicks_of_test(const struct rule_test *test, struct rule_quick *quicks)
{
	const struct rule_numbers *numbers = &test->numbers;
	struct rule_place_number number;
	bool single = rule_place_number_of(test, &number) && number.path == NULL && (numbers->count == 1 || (numbers->every && !test->negated));

	for (unsigned int i = 0; single && i < numbers->count; i++) {
		quicks[i] = (struct rule_quick){ .at = number.at, .negated = test->negated };
		single = quick_of_number(&numbers->items[i], &quicks[i]);
	}
	if (single)
		return numbers->count;
	quicks[0] = (struct rule_quick){ .op = QUICK_ASK, .test = test };
	return 1;
}

static int
quick_compare(const void *left, const void *right)
{
	const struct rule_quick *a = left, *b = right;

	return (a->op == QUICK_ASK) - (b->op == QUICK_ASK);
}

/* A keyword for the other direction never holds here. @return -ENOMEM, 0, or 1: the rule cannot match */
static int
place_conditions(const struct rule_places *make, struct rule *rule, struct rule_place *place)
{
	static const struct rule_app_keyword either = { .direction = RULE_EITHER };
	struct rule_quick quicks[RULE_TESTS_MAX + RULE_NUMBERS_MAX];
	uint32_t count = 0;
	bool all = true;

	for (unsigned int i = 0; i < rule->test_count; i++) {
		const struct rule_test *test = &rule->tests[i];
		const struct rule_app_keyword *keyword = test->fn == rule_test_own ? test->keyword : &either;

		if (test->app == RULE_APP_NONE)
			continue;
		if (!test->negated && keyword->direction != RULE_EITHER && (keyword->direction == RULE_TO_SERVER) != make->to_server)
			return 1;
		if (count < RULE_TESTS_MAX)
			count += quicks_of_test(test, &quicks[count]);
		else
			all = false; /* the rest is asked when the candidate is verified */
	}
	rule->flags |= all ? RULE_ASKED : 0;
	qsort(quicks, count, sizeof(quicks[0]), quick_compare);
	place->quick_count = (uint16_t)count;
	place->quicks = rule_arena_copy(&make->set->arena, quicks, count * sizeof(quicks[0]));
	return place->quicks == NULL ? -ENOMEM : 0;
}

/* ---- what must be there ---- */

void
rule_need_paths(const struct record_path *paths, unsigned int count, struct rule_need *need)
{
	uint64_t bits = 0;

	for (unsigned int i = 0; i < count; i++) {
		const struct field *root = paths[i].list_count > 0 ? paths[i].lists[0] : paths[i].leaf;

		if (root->bit >= FIELD_BITS) {
			if (count == 1 && root->type == FIELD_LIST)
				need->list_off = root->offset;
			return;
		}
		bits |= UINT64_C(1) << root->bit;
	}
	if (__builtin_popcountll(bits) == 1)
		need->all |= bits;
	else if (need->any == 0)
		need->any = bits;
}

/* Whether a test holds only where its field is. */
static bool
test_needs_field(const struct rule_test *test)
{
	static const rule_test_fn fns[] = { rule_test_field_number, rule_test_field_real, rule_test_field_array, rule_test_field_element,
		rule_test_field_scalars, rule_test_field_value, rule_test_field_present, rule_test_field_ip,
		rule_test_field_mac };

	bool also_without = test->elements != NULL && (test->elements->if_none || test->elements->which >= ELEMENTS_TIMES);

	for (unsigned int i = 0; i < sizeof(fns) / sizeof(fns[0]); i++)
		if (test->fn == fns[i])
			return !also_without;
	return false;
}

static void
place_need(const struct rule *rule, struct rule_place *place)
{
	for (unsigned int i = 0; i < rule->test_count; i++) {
		const struct rule_test *test = &rule->tests[i];

		if (test_needs_field(test))
			rule_need_paths(test->paths, test->path_count, &place->need);
	}
	for (unsigned int i = 0; i < rule->buffer_count; i++)
		if (rule->buffers[i].kind == BUFFER_FIELD && rule_buffer_required(&rule->buffers[i]))
			rule_need_paths(rule->buffers[i].paths, rule->buffers[i].path_count, &place->need);
}

/* ---- values ---- */

/* The few values a test allows. @return how many, 0: not so */
static unsigned int
test_values(const struct rule_test *test, int64_t values[PLACE_VALUES_MAX])
{
	const struct rule_numbers *numbers = &test->numbers;
	unsigned int count = 0;

	if (test->negated || (numbers->every && numbers->count > 1))
		return 0;
	for (unsigned int i = 0; i < numbers->count; i++) {
		const struct rule_number *item = &numbers->items[i];
		int64_t last = item->op == NUMBER_RANGE ? item->b : item->a;

		if (item->negated || (item->op != NUMBER_EQUAL && item->op != NUMBER_RANGE) || last < item->a
			|| last - item->a >= PLACE_VALUES_MAX)
			return 0;
		for (int64_t value = item->a; value <= last; value++) {
			if (count == PLACE_VALUES_MAX)
				return 0;
			values[count++] = value;
		}
	}
	return count;
}

bool
rule_place_index_of(const struct rule_app *app, const struct rule_test *test, struct rule_app_index *out, struct rule_number_at *at)
{
	struct record_path path;

	return test->fn == rule_test_own && !test->negated && app->keyword_index != NULL
		&& app->keyword_index(test->keyword, test->own, out) && record_path_resolve(app->record, out->path, &path) == 0
		&& path.list_count == 0 && number_at(app->record, path.leaf, at);
}

unsigned int
rule_place_values_of(const struct rule_places *make, const struct rule_test *test, struct rule_place_number *number,
	int64_t values[PLACE_VALUES_MAX])
{
	const struct rule_app *app = make->app;
	struct rule_app_index index;

	if (rule_place_number_of(test, number))
		return test_values(test, values);
	number->path = NULL;
	if (!rule_place_index_of(app, test, &index, &number->at) || index.mask != UINT64_MAX)
		return 0;
	values[0] = (int64_t)index.value;
	return 1;
}

int
rule_place_number_compare(const struct rule_place_number *a, const struct rule_place_number *b)
{
	if ((a->path == NULL) != (b->path == NULL))
		return a->path == NULL ? -1 : 1;
	int order = a->path == NULL ? 0 : memcmp(a->path, b->path, sizeof(*a->path));

	return order != 0 ? order : memcmp(&a->at, &b->at, sizeof(a->at));
}

static int
use_compare(const void *left, const void *right)
{
	const struct rule_value_use *a = left, *b = right;
	int order = rule_place_number_compare(&a->number, &b->number);

	return order != 0 ? order : a->value < b->value ? -1 : a->value > b->value;
}

static int
use_add(struct rule_places *make, const struct rule_place_number *number, int64_t value)
{
	if (make->use_count == make->use_cap) {
		uint32_t cap = make->use_cap == 0 ? 256 : make->use_cap * 2;
		struct rule_value_use *grown = realloc(make->uses, cap * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		make->uses = grown;
		make->use_cap = cap;
	}
	make->uses[make->use_count++] = (struct rule_value_use){ .number = *number, .value = value, .count = 1 };
	return 0;
}

/* Counts, for every value that some rule asks for, the rules that do. */
static int
uses_gather(struct rule_places *make)
{
	int64_t values[PLACE_VALUES_MAX];
	struct rule_place_number number;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < make->place_count; i++) {
		const struct rule *rule = make->set->rules[make->places[i].rule_idx];

		for (unsigned int t = 0; t < rule->test_count; t++) {
			unsigned int count = rule_place_values_of(make, &rule->tests[t], &number, values);

			for (unsigned int v = 0; v < count; v++)
				if (use_add(make, &number, values[v]) != 0)
					return -ENOMEM;
		}
	}
	if (make->use_count > 0)
		qsort(make->uses, make->use_count, sizeof(make->uses[0]), use_compare);
	for (uint32_t i = 0; i < make->use_count; i++) {
		if (kept > 0 && use_compare(&make->uses[kept - 1], &make->uses[i]) == 0)
			make->uses[kept - 1].count++;
		else
			make->uses[kept++] = make->uses[i];
	}
	make->use_count = kept;
	return 0;
}

static uint32_t
uses_of(const struct rule_places *make, const struct rule_place_number *number, int64_t value)
{
	const struct rule_value_use key = { .number = *number, .value = value };
	const struct rule_value_use *use = bsearch(&key, make->uses, make->use_count, sizeof(key), use_compare);

	return use == NULL ? 0 : use->count;
}

/* The number whose values the fewest other rules ask for. */
static void
place_by_value(const struct rule_places *make, struct rule_place *place)
{
	const struct rule *rule = make->set->rules[place->rule_idx];
	uint32_t best = place->kind == PLACE_SCAN ? INDEX_SHARE_MAX : UINT32_MAX;
	int64_t values[PLACE_VALUES_MAX];
	struct rule_place_number number;

	for (unsigned int t = 0; t < rule->test_count; t++) {
		unsigned int count = rule_place_values_of(make, &rule->tests[t], &number, values);
		uint32_t share = 0;

		for (unsigned int v = 0; v < count; v++)
			share += uses_of(make, &number, values[v]);
		if (count == 0 || share >= best)
			continue;
		best = share;
		place->kind = PLACE_INDEX;
		place->number = number;
		place->value_count = (uint8_t)count;
		memcpy(place->values, values, count * sizeof(values[0]));
	}
}

/* ---- literals ---- */

/* @return the buffer's place among those known, or -ENOMEM */
static int
buffer_known(struct rule_places *make, const struct rule_buffer *buffer)
{
	for (uint32_t i = 0; i < make->buffer_count; i++)
		if (rule_buffer_same(make->buffers[i].buffer, buffer))
			return (int)i;
	struct rule_place_buffer *grown = realloc(make->buffers, (make->buffer_count + 1) * sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	make->buffers = grown;
	grown[make->buffer_count] = (struct rule_place_buffer){ .buffer = buffer };
	return (int)make->buffer_count++;
}

static int
place_literal(struct rule_places *make, const struct rule *rule, struct rule_place *place)
{
	const struct rule_buffer *chosen = NULL;
	unsigned int best = 0;

	for (unsigned int i = 0; i < rule->buffer_count; i++) {
		const struct rule_buffer *buffer = &rule->buffers[i];
		struct rule_plan plan;

		if ((buffer->kind != BUFFER_FIELD && buffer->kind != BUFFER_PAYLOAD) || !rule_buffer_required(buffer))
			continue;
		unsigned int score = rule_plan_literal(buffer, &plan);

		if (score <= best)
			continue;
		best = score;
		chosen = buffer;
		place->literal = plan;
	}
	if (chosen == NULL)
		return 0;
	int known = buffer_known(make, chosen);

	place->has_literal = known >= 0;
	place->buffer = (uint32_t)known;
	return known < 0 ? known : 0;
}

/* ---- all together ---- */

/* A buffer with many literals is searched for all of them at once, outside the sieve. */
static void
scans_choose(struct rule_places *make)
{
	for (uint32_t i = 0; i < make->place_count; i++)
		if (make->places[i].has_literal)
			make->buffers[make->places[i].buffer].count++;
	for (uint32_t i = 0; i < make->place_count; i++) {
		struct rule_place *place = &make->places[i];

		if (place->has_literal && make->buffers[place->buffer].count >= SCAN_PATTERNS_MIN)
			place->kind = PLACE_SCAN;
	}
}

/* How many rules each buffer's search finds in the end. */
static void
scans_count(struct rule_places *make)
{
	for (uint32_t i = 0; i < make->buffer_count; i++)
		make->buffers[i].count = 0;
	for (uint32_t i = 0; i < make->place_count; i++)
		if (make->places[i].kind == PLACE_SCAN)
			make->buffers[make->places[i].buffer].count++;
}

int
rule_need_compare(const struct rule_need *a, const struct rule_need *b)
{
	if (a->all != b->all)
		return a->all < b->all ? -1 : 1;
	if (a->any != b->any)
		return a->any < b->any ? -1 : 1;
	return a->list_off < b->list_off ? -1 : a->list_off > b->list_off;
}

/* @return whether looking for the buffer leaves something behind */
static bool
buffer_keeps(const struct rule_buffer *buffer)
{
	for (unsigned int i = 0; i < buffer->node_count; i++) {
		const struct rule_node *node = &buffer->nodes[i];

		if ((node->kind == NODE_PCRE && node->pcre.capture_count > 0)
			|| (node->kind == NODE_DATASET && (node->op == DATASET_SET || node->op == DATASET_UNSET)))
			return true;
	}
	return false;
}

bool
rule_may_mute(const struct rule *rule)
{
	const uint32_t others = RULE_NOALERT | RULE_QUIET | RULE_QUIET_FLOW | RULE_PROTOCOL_ONLY;
	bool alone = rule->meta.action != RULE_PASS && rule->meta.action != RULE_CONFIG && (rule->flags & others) == 0
		&& rule->filter.type == THRESHOLD_NONE && rule->rate.type == THRESHOLD_NONE;

	for (unsigned int i = 0; i < rule->state_count; i++)
		alone = alone && rule->states[i].op >= STATE_ISSET;
	for (unsigned int i = 0; i < rule->buffer_count; i++)
		alone = alone && !buffer_keeps(&rule->buffers[i]);
	return alone && rule->threshold.unique == 0
		&& (rule->threshold.type == THRESHOLD_LIMIT || rule->threshold.type == THRESHOLD_BOTH);
}

static int
place_compare(const void *left, const void *right)
{
	const struct rule_place *a = left, *b = right;
	int order = rule_need_compare(&a->need, &b->need);

	return order != 0 ? order : a->rule_idx < b->rule_idx ? -1 : a->rule_idx > b->rule_idx;
}

int
rule_places_find(struct rule_places *make, const uint32_t *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct rule_place *place = &make->places[make->place_count];
		struct rule *rule = make->set->rules[list[i]];

		*place = (struct rule_place){ .rule_idx = list[i] };
		int ret = place_conditions(make, rule, place);

		if (ret < 0)
			return ret;
		if (ret > 0)
			continue;
		place_need(rule, place);
		if (place_literal(make, rule, place) != 0)
			return -ENOMEM;
		make->place_count++;
	}
	if (uses_gather(make) != 0)
		return -ENOMEM;
	scans_choose(make);
	for (uint32_t i = 0; make->place_count > RULE_SIEVE_BITS && i < make->place_count; i++)
		place_by_value(make, &make->places[i]);
	scans_count(make);
	if (make->place_count > 0)
		qsort(make->places, make->place_count, sizeof(make->places[0]), place_compare);
	return 0;
}
