/* Cold: what the conditions of a rule leave possible of a text or a number, as the lenses of a sieve look at it. */
#include <ctype.h>
#include <string.h>

#include "lib/rule/rule_sieve_make.h"

enum { STARTS_FEW = 4, LONGEST = RULE_LENS_LENS - 1 };

static void
first_only(struct rule_narrow *out, const bool possible[RULE_LENS_VALUES])
{
	for (unsigned int v = 0; v < RULE_LENS_VALUES; v++)
		out->first[v] = out->first[v] && possible[v];
}

static void
len_at_least(struct rule_narrow *out, uint64_t len)
{
	for (uint64_t n = 0; n < len && n < LONGEST; n++)
		out->len[n] = false;
}

static void
len_at_most(struct rule_narrow *out, uint64_t len)
{
	for (uint64_t n = len + 1; n <= LONGEST; n++)
		out->len[n] = false;
}

/* @param len_max  of the buffer, as its size is asked */
static void
narrow_content(const struct rule_node *node, uint64_t len_max, struct rule_narrow *out)
{
	bool possible[RULE_LENS_VALUES] = { false };
	bool relative = (node->flags & NODE_RELATIVE) != 0;
	int64_t offset = relative || node->content.offset.number < 0 ? 0 : node->content.offset.number;
	bool fixed = !relative && (node->flags & NODE_DEPTH) != 0 && node->content.depth.number == node->content.len;
	bool all = len_max == node->content.len; /* as long as the buffer may be */
	uint8_t byte = node->content.bytes[0];

	len_at_least(out, (uint64_t)offset + node->content.len);
	if (!fixed && !all)
		return;
	if (fixed && (node->flags & NODE_ENDSWITH) != 0)
		len_at_most(out, (uint64_t)offset + node->content.len);
	if (fixed && !all && node->content.offset.number != 0)
		return;
	possible[byte] = true;
	if ((node->flags & NODE_NOCASE) != 0)
		possible[tolower(byte)] = possible[toupper(byte)] = true;
	first_only(out, possible);
}

/* Of an expression that can only match at the start: each byte alone is tried as the beginning of a longer text. */
static void
narrow_pcre(const struct rule_node *node, struct rule_narrow *out)
{
	pcre2_match_data *match = pcre2_match_data_create(1, NULL);
	bool possible[RULE_LENS_VALUES];
	uint32_t options = 0, len_min = 0;

	if (pcre2_pattern_info(node->pcre.code, PCRE2_INFO_MINLENGTH, &len_min) == 0)
		len_at_least(out, len_min);
	(void)pcre2_pattern_info(node->pcre.code, PCRE2_INFO_ALLOPTIONS, &options);
	if (match != NULL && (options & PCRE2_ANCHORED) != 0 && (node->flags & NODE_RELATIVE) == 0) {
		for (unsigned int v = 0; v < RULE_LENS_VALUES; v++) {
			const uint8_t byte = (uint8_t)v;

			possible[v] = pcre2_match(node->pcre.code, &byte, 1, 0, PCRE2_PARTIAL_SOFT, match, NULL) != PCRE2_ERROR_NOMATCH;
		}
		first_only(out, possible);
	}
	pcre2_match_data_free(match);
}

/* Whether some length from LONGEST on is allowed, as far as one item of a list says. */
static bool
long_allowed(const struct rule_number *item)
{
	int64_t last = item->op == NUMBER_RANGE ? item->b : item->op == NUMBER_BELOW ? item->a - 1 : item->a;

	return item->negated || (item->op != NUMBER_EQUAL && item->op != NUMBER_RANGE && item->op != NUMBER_BELOW) || last >= LONGEST;
}

static void
narrow_size(const struct rule_numbers *size, struct rule_narrow *out)
{
	bool longest = size->every;

	for (unsigned int n = 0; n < LONGEST; n++)
		out->len[n] = out->len[n] && rule_numbers_match(size, n);
	for (unsigned int i = 0; i < size->count; i++)
		longest = longest || long_allowed(&size->items[i]);
	out->len[LONGEST] = out->len[LONGEST] && longest;
}

/* The longest that a buffer may be by its bsize; LONGEST: or more. */
static uint64_t
len_allowed(const struct rule_buffer *buffer)
{
	struct rule_narrow sizes;
	uint64_t longest = LONGEST;

	memset(sizes.len, true, sizeof(sizes.len));
	for (unsigned int i = 0; i < buffer->node_count; i++)
		if (buffer->nodes[i].kind == NODE_BSIZE)
			narrow_size(&buffer->nodes[i].size, &sizes);
	while (longest > 0 && !sizes.len[longest])
		longest--;
	return longest;
}

bool
rule_narrow_buffer(const struct rule_buffer *buffer, struct rule_narrow *out)
{
	uint64_t len_max = len_allowed(buffer);
	unsigned int first = 0, len = 0;

	memset(out->first, true, sizeof(out->first));
	memset(out->len, true, sizeof(out->len));
	for (unsigned int i = 0; i < buffer->node_count; i++) {
		const struct rule_node *node = &buffer->nodes[i];

		if ((node->flags & (NODE_NEGATED | NODE_USES_VAR)) != 0)
			continue;
		if (node->kind == NODE_CONTENT)
			narrow_content(node, len_max, out);
		else if (node->kind == NODE_PCRE)
			narrow_pcre(node, out);
		else if (node->kind == NODE_BSIZE)
			narrow_size(&node->size, out);
		else if (node->kind == NODE_ISDATAAT && (node->flags & NODE_RELATIVE) == 0 && node->byte.offset.number >= 0)
			len_at_least(out, (uint64_t)node->byte.offset.number + 1);
	}
	for (unsigned int v = 0; v < RULE_LENS_VALUES; v++)
		first += out->first[v];
	for (unsigned int n = 0; n < RULE_LENS_LENS; n++)
		len += out->len[n];
	out->starts = first <= STARTS_FEW;
	return first < RULE_LENS_VALUES || len < RULE_LENS_LENS;
}

/* Whether a number wider than its lowest byte may hold with that byte. */
static bool
item_possible(const struct rule_number *item, uint8_t byte)
{
	uint8_t mask = (uint8_t)item->a;
	int64_t last = item->op == NUMBER_RANGE ? item->b : item->a;

	if (item->negated)
		return true;
	switch (item->op) {
	case NUMBER_EQUAL:
	case NUMBER_RANGE:
		return last - item->a >= RULE_LENS_VALUES || (uint8_t)(byte - mask) <= last - item->a;
	case NUMBER_MASK:
		return (byte & mask) == mask;
	case NUMBER_MASK_NONE:
		return (byte & mask) == 0;
	default:
		return true;
	}
}

/* Whether a number whose lowest byte is this one may hold; whole: the byte is all of it. */
static bool
byte_possible(const struct rule_test *test, uint8_t byte, const struct rule_number_at *at)
{
	const struct rule_numbers *numbers = &test->numbers;

	if (at->right == 64 - 8)
		return rule_numbers_match(numbers, at->is_signed ? (int8_t)byte : (int64_t)byte) != test->negated;
	if (test->negated)
		return true;
	for (unsigned int i = 0; i < numbers->count; i++)
		if (item_possible(&numbers->items[i], byte) != numbers->every)
			return !numbers->every;
	return numbers->every;
}

bool
rule_narrow_number(const struct rule_test *test, const struct rule_number_at *ats, unsigned int count,
	bool possible[RULE_LENS_VALUES])
{
	bool narrowed = false;

	for (unsigned int v = 0; v < RULE_LENS_VALUES; v++) {
		possible[v] = false;
		for (unsigned int i = 0; i < count; i++)
			possible[v] = possible[v] || byte_possible(test, (uint8_t)v, &ats[i]);
		narrowed = narrowed || !possible[v];
	}
	return narrowed;
}

bool
rule_narrow_high(const struct rule_test *test, bool possible[RULE_LENS_VALUES])
{
	const struct rule_numbers *numbers = &test->numbers;
	bool narrowed = false;

	for (unsigned int v = 0; v < RULE_LENS_VALUES; v++) {
		possible[v] = numbers->every || numbers->count == 0;
		for (unsigned int i = 0; i < numbers->count; i++) {
			const struct rule_number *item = &numbers->items[i];
			uint8_t mask = (uint8_t)(item->a >> 8);
			bool bits = !item->negated && (item->op == NUMBER_MASK || item->op == NUMBER_MASK_NONE);
			bool holds = !bits || (v & mask) == (item->op == NUMBER_MASK ? mask : 0);

			if (holds != numbers->every) {
				possible[v] = !numbers->every;
				break;
			}
		}
		possible[v] = possible[v] || test->negated;
		narrowed = narrowed || !possible[v];
	}
	return narrowed;
}

/* Of one item; steps[RULE_MAGNITUDE_NEGATIVE] are the negative numbers. */
static bool
step_possible(const struct rule_number *item, unsigned int step)
{
	int64_t low = item->op == NUMBER_BELOW ? INT64_MIN : item->a;
	int64_t high = item->op == NUMBER_ABOVE ? INT64_MAX : item->op == NUMBER_RANGE ? item->b : item->a;

	if (item->negated || item->op >= NUMBER_MASK)
		return true;
	if (step == RULE_MAGNITUDE_NEGATIVE)
		return low < 0;
	return high >= 0 && step <= rule_magnitude(high) && (low < 0 || step >= rule_magnitude(low));
}

bool
rule_narrow_magnitude(const struct rule_test *test, bool possible[RULE_LENS_VALUES])
{
	const struct rule_numbers *numbers = &test->numbers;
	bool narrowed = false;

	for (unsigned int v = 0; v < RULE_LENS_VALUES; v++) {
		possible[v] = numbers->every;
		for (unsigned int i = 0; i < numbers->count && !test->negated; i++)
			if (step_possible(&numbers->items[i], v) != numbers->every) {
				possible[v] = !numbers->every;
				break;
			}
		possible[v] = possible[v] || test->negated;
		narrowed = narrowed || !possible[v];
	}
	return narrowed;
}
