/*
 * What a rule on payload is looked for by: the rarest of its contents that Hyperscan can find cheaply, bytes
 * at a fixed place (compared directly), or nothing (verified each time).
 */
#include <ctype.h>
#include <string.h>

#include "lib/rule/rule_tests.h"

enum {
	LITERAL_LEN_MIN = 4,     /* shorter ones in a shared database slow all others down */
	LITERAL_LEN_MAX = 64,
	INDEX_BYTES_GOOD = 3,    /* a fixed place of so many bytes is better than any literal */
	PCRE_WIDTH_MIN = 4,
	SEARCH_LEN_MIN = 2,      /* of a few rules over a short text */
	SCORE_CHOSEN = 1 << 20,  /* fast_pattern: whatever is rarer */
};

/* How rare a byte is on plant networks, where zeros, small numbers and spaces are everywhere. */
static unsigned int
byte_weight(uint8_t byte)
{
	if (byte == 0x00 || byte == 0xff || byte == 0x01)
		return 1;
	if (byte == ' ' || byte < 0x08)
		return 2;
	if (isalnum(byte))
		return 3;
	return isprint(byte) ? 4 : 5;
}

static unsigned int
literal_score(const uint8_t *bytes, unsigned int len)
{
	uint64_t seen[4] = { 0 };
	unsigned int score = 0;

	for (unsigned int i = 0; i < len; i++) {
		bool again = (seen[bytes[i] >> 6] >> (bytes[i] & 63) & 1) != 0;

		score += again ? 1 : byte_weight(bytes[i]);
		seen[bytes[i] >> 6] |= UINT64_C(1) << (bytes[i] & 63);
	}
	return score;
}

static bool
node_fixed(const struct rule_node *node)
{
	uint32_t bad = NODE_NEGATED | NODE_RELATIVE | NODE_USES_VAR;

	return node->kind == NODE_CONTENT && (node->flags & bad) == 0 && (node->flags & NODE_DEPTH) != 0
		&& node->content.depth.number == node->content.len && node->content.offset.number < 65536;
}

/* Adds a fixed content's bytes to the 8 compared, as far as they lie there. */
static void
index_merge(struct rule_plan *plan, const struct rule_node *node)
{
	for (unsigned int i = 0; i < node->content.len; i++) {
		int64_t at = node->content.offset.number + i - plan->offset;
		uint8_t byte = node->content.bytes[i];
		bool either = (node->flags & NODE_NOCASE) != 0 && isalpha(byte);

		if (at < 0 || at > 7)
			continue;
		uint64_t mask = (uint64_t)(either ? 0xdf : 0xff) << 8 * at;

		plan->mask |= mask;
		plan->value = (plan->value & ~mask) | ((uint64_t)byte << 8 * at & mask);
		if (at >= plan->len)
			plan->len = (uint8_t)(at + 1);
	}
}

static bool
plan_index(const struct rule_buffer *buffer, struct rule_plan *plan)
{
	const struct rule_node *best = NULL;
	unsigned int best_score = 0;

	for (unsigned int i = 0; i < buffer->node_count; i++) {
		const struct rule_node *node = &buffer->nodes[i];

		if (!node_fixed(node) || ((node->flags & NODE_NOCASE) != 0 && isalpha(node->content.bytes[0])))
			continue;
		unsigned int score = literal_score(node->content.bytes, node->content.len > 8 ? 8 : node->content.len);

		if (score > best_score) {
			best = node;
			best_score = score;
		}
	}
	if (best == NULL)
		return false;
	plan->kind = PLAN_INDEX;
	plan->offset = (uint32_t)best->content.offset.number;
	plan->value = plan->mask = 0;
	plan->len = 0;
	for (unsigned int i = 0; i < buffer->node_count; i++)
		if (node_fixed(&buffer->nodes[i]))
			index_merge(plan, &buffer->nodes[i]);
	return true;
}

/* The rarest literal of a buffer that has len_min bytes. @return how rare it is, 0: there is none */
static unsigned int
plan_literal(const struct rule_buffer *buffer, uint32_t len_min, struct rule_plan *plan)
{
	unsigned int best_score = 0;
	bool chosen = false;

	*plan = (struct rule_plan){ .kind = PLAN_ALWAYS };

	for (unsigned int i = 0; i < buffer->node_count && !chosen; i++) {
		const struct rule_node *node = &buffer->nodes[i];

		if (node->kind != NODE_CONTENT || (node->flags & NODE_NEGATED) != 0)
			continue;
		uint32_t from = node->content.fast_len > 0 ? node->content.fast_offset : 0;
		uint32_t len = node->content.fast_len > 0 ? node->content.fast_len : node->content.len;

		if (len > LITERAL_LEN_MAX)
			len = LITERAL_LEN_MAX;
		if (len < len_min)
			continue;
		unsigned int score = literal_score(node->content.bytes + from, len);

		chosen = (node->flags & NODE_FAST) != 0;
		if (score <= best_score && !chosen)
			continue;
		best_score = score;
		plan->kind = PLAN_LITERAL;
		plan->node = node;
		plan->from = from;
		plan->count = len;
	}
	return chosen ? SCORE_CHOSEN : best_score;
}

unsigned int
rule_plan_literal(const struct rule_buffer *buffer, struct rule_plan *plan)
{
	return plan_literal(buffer, LITERAL_LEN_MIN, plan);
}

static unsigned int
pcre_hs_flags(uint32_t options)
{
	return HS_FLAG_PREFILTER | HS_FLAG_SINGLEMATCH | ((options & PCRE2_CASELESS) != 0 ? HS_FLAG_CASELESS : 0)
		| ((options & PCRE2_DOTALL) != 0 ? HS_FLAG_DOTALL : 0) | ((options & PCRE2_MULTILINE) != 0 ? HS_FLAG_MULTILINE : 0);
}

/* Whether it can only match at the start: it is soon asked, while a search goes through all bytes. */
static bool
pcre_anchored(const pcre2_code *code)
{
	uint32_t options = 0;

	return pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options) == 0 && (options & PCRE2_ANCHORED) != 0;
}

/* Relative expressions start anywhere, which is what Hyperscan asks; ^ and \A would mean another place there. */
static bool
plan_pcre(const struct rule_buffer *buffer, unsigned int width_min, bool anchored, struct rule_plan *plan)
{
	for (unsigned int i = 0; i < buffer->node_count; i++) {
		const struct rule_node *node = &buffer->nodes[i];
		hs_expr_info_t *info = NULL;
		hs_compile_error_t *error = NULL;

		if (node->kind != NODE_PCRE || (node->flags & (NODE_NEGATED | NODE_RELATIVE)) != 0
			|| (node->pcre.options & (PCRE2_ANCHORED | PCRE2_EXTENDED | PCRE2_UNGREEDY)) != 0
			|| (!anchored && pcre_anchored(node->pcre.code)))
			continue;
		bool usable = hs_expression_info(node->pcre.pattern, pcre_hs_flags(node->pcre.options), &info, &error) == HS_SUCCESS
			&& info->min_width >= width_min;
		uint32_t reach = usable && info->max_width < RULE_AGAIN_MAX ? info->max_width : UINT32_MAX;

		free(info);
		hs_free_compile_error(error);
		if (!usable)
			continue;
		plan->kind = PLAN_PCRE;
		plan->node = node;
		plan->reach = reach;
		return true;
	}
	return false;
}

bool
rule_plan_search(const struct rule_buffer *buffer, struct rule_plan *out)
{
	return plan_literal(buffer, LITERAL_LEN_MIN, out) > 0 || plan_pcre(buffer, SEARCH_LEN_MIN, false, out)
		|| plan_literal(buffer, SEARCH_LEN_MIN, out) > 0;
}

static void
gate_add_size(struct rule_gate *gate, const struct rule_number *size)
{
	int64_t low = 0, high = UINT32_MAX;

	if (size->op == NUMBER_EQUAL || size->op == NUMBER_RANGE)
		low = size->a;
	if (size->op == NUMBER_EQUAL)
		high = size->a;
	else if (size->op == NUMBER_RANGE)
		high = size->b;
	else if (size->op == NUMBER_BELOW)
		high = size->a - 1;
	else if (size->op == NUMBER_ABOVE)
		low = size->a + 1;
	if (low > gate->len_min)
		gate->len_min = low > UINT32_MAX ? UINT32_MAX : (uint32_t)low;
	if (high < gate->len_max)
		gate->len_max = high < 0 ? 0 : (uint32_t)high;
}

struct rule_gate
rule_gate_of(const struct rule *rule, uint32_t rule_idx)
{
	struct rule_gate gate = { .rule_idx = rule_idx, .len_max = UINT32_MAX };

	for (unsigned int i = 0; i < rule->test_count; i++) {
		const struct rule_test *test = &rule->tests[i];

		if (test->fn == rule_test_dsize && !test->negated && test->numbers.count == 1 && !test->numbers.items[0].negated)
			gate_add_size(&gate, &test->numbers.items[0]);
	}
	return gate;
}

void
rule_plan_make(const struct rule *rule, struct rule_plan *out)
{
	const struct rule_buffer *payload = NULL;
	struct rule_plan literal;

	*out = (struct rule_plan){ .kind = PLAN_ALWAYS };
	for (unsigned int i = 0; i < rule->buffer_count; i++)
		if (rule->buffers[i].kind == BUFFER_PAYLOAD)
			payload = &rule->buffers[i];
	if (payload == NULL)
		return;
	bool indexed = plan_index(payload, out);

	if (indexed && __builtin_popcountll(out->mask) >= INDEX_BYTES_GOOD * 8)
		return;
	if (rule_plan_literal(payload, &literal) > 0)
		*out = literal;
	else if (!indexed)
		(void)plan_pcre(payload, PCRE_WIDTH_MIN, true, out);
}
