/* Lists of numbers: which of their elements a condition is about. Hot, but for rule_elements_parse(). */
#include <errno.h>
#include <string.h>

#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_tests.h"

static const struct rule_elements any_element = { .which = ELEMENTS_ANY };

/* The elements from *from to below *to; none where either is out of bounds. */
static void
slice(const struct rule_elements *elements, uint32_t count, uint32_t *from, uint32_t *to)
{
	int64_t first = elements->from < 0 ? (int64_t)count + elements->from : elements->from;
	int64_t end = elements->to < 0 ? (int64_t)count + elements->to : elements->to;
	bool whole = first >= 0 && end <= count && first < end;

	*from = whole ? (uint32_t)first : 0;
	*to = whole ? (uint32_t)end : 0;
}

static uint32_t
count_matching(const struct rule_test *test, uint32_t from, uint32_t to, rule_element_fn at, const void *list)
{
	uint32_t matching = 0;

	for (uint32_t i = from; i < to; i++)
		matching += rule_numbers_match(&test->numbers, at(list, i)) != test->negated;
	return matching;
}

static bool
any_matches(const struct rule_test *test, uint32_t from, uint32_t to, rule_element_fn at, const void *list)
{
	for (uint32_t i = from; i < to; i++)
		if (rule_numbers_match(&test->numbers, at(list, i)) != test->negated)
			return true;
	return false;
}

bool
rule_elements_hold(const struct rule_test *test, uint32_t count, rule_element_fn at, const void *list)
{
	const struct rule_elements *elements = test->elements == NULL ? &any_element : test->elements;
	uint32_t from = 0, to = count;

	if (elements->sliced)
		slice(elements, count, &from, &to);
	int64_t place = elements->place < 0 ? (int64_t)to + elements->place : (int64_t)from + elements->place;

	switch ((enum rule_elements_which)elements->which) {
	case ELEMENTS_COUNT:
		return rule_numbers_match(&elements->times, to - from);
	case ELEMENTS_TIMES:
		return rule_numbers_match(&elements->times, count_matching(test, from, to, at, list));
	case ELEMENTS_PLACE:
		if (place < from || place >= to)
			return elements->if_none;
		return rule_numbers_match(&test->numbers, at(list, (uint32_t)place)) != test->negated;
	case ELEMENTS_ALL:
		return from == to ? elements->if_none : count_matching(test, from, to, at, list) == to - from;
	default:
		return from == to ? elements->if_none : any_matches(test, from, to, at, list);
	}
}

/* ---- cold ---- */

static const struct {
	const char *word;
	uint8_t which;
	bool if_none;
} words[] = {
	{ "any", ELEMENTS_ANY, false }, { "or_absent", ELEMENTS_ANY, true },
	{ "all", ELEMENTS_ALL, false }, { "all_or_absent", ELEMENTS_ALL, true },
};

/* "all", "-1", "nb>2", "oob_or 3". @return 0, -EINVAL, -ENOMEM */
static int
which_parse(struct rule_parser *parser, char *word, struct rule_elements *out)
{
	int64_t place;

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, word) == 0) {
			out->which = words[i].which;
			out->if_none = words[i].if_none;
			return 0;
		}
	if (strncmp(word, "nb", 2) == 0) {
		out->which = ELEMENTS_TIMES;
		int ret = rule_numbers_parse(parser, rule_trim(word + 2), NULL, false, &out->times);

		return ret != 0 ? ret : rule_numbers_check(parser, &out->times, 0, INT64_MAX);
	}
	out->which = ELEMENTS_PLACE;
	out->if_none = strncmp(word, "oob_or", 6) == 0;
	if (!rule_integer(rule_trim(word + (out->if_none ? 6 : 0)), &place) || place < INT16_MIN || place > INT16_MAX)
		return rule_refuse(parser, "\"%.40s\" is not a place, any, all, or_absent, all_or_absent, oob_or PLACE or nb>COUNT", word);
	out->place = (int32_t)place;
	return 0;
}

/* "1:-1" */
static int
slice_parse(struct rule_parser *parser, char *word, struct rule_elements *out)
{
	char *colon = strchr(word, ':');
	int64_t from, to;

	if (colon != NULL)
		*colon++ = '\0';
	if (colon == NULL || !rule_integer(rule_trim(word), &from) || !rule_integer(rule_trim(colon), &to) || from < INT16_MIN
		|| from > INT16_MAX || to < INT16_MIN || to > INT16_MAX)
		return rule_refuse(parser, "\"%.40s\" is not FROM:TO", word);
	out->sliced = true;
	out->from = (int32_t)from;
	out->to = (int32_t)to;
	return 0;
}

static int
elements_keep(struct rule_parser *parser, const struct rule_elements *elements, struct rule_test *test)
{
	test->elements = rule_arena_copy(&parser->set->arena, elements, sizeof(*elements));
	return test->elements == NULL ? rule_no_memory(parser) : 0;
}

int
rule_elements_parse(struct rule_parser *parser, char *value, struct rule_test *test)
{
	struct rule_elements elements = { .which = ELEMENTS_ANY };
	size_t count_len = strlen("count");
	int ret;

	if (strncmp(value, "count", count_len) == 0 && strchr(" <>=!&0123456789", value[count_len]) != NULL) {
		elements.which = ELEMENTS_COUNT;
		ret = rule_numbers_parse(parser, rule_trim(value + count_len), NULL, false, &elements.times);
		ret = ret == 0 ? rule_numbers_check(parser, &elements.times, 0, INT64_MAX) : ret;
		ret = ret == 0 ? elements_keep(parser, &elements, test) : ret;
		return ret == 0 ? 1 : ret;
	}
	char *list = strchr(value, ']');
	char *comma = strchr(list == NULL ? value : list, ',');

	if (comma == NULL)
		return 0;
	*comma++ = '\0';
	char *which = rule_split(&comma, ',');

	ret = which_parse(parser, which, &elements);
	if (ret == 0 && comma != NULL)
		ret = slice_parse(parser, comma, &elements);
	return ret == 0 ? elements_keep(parser, &elements, test) : ret;
}
