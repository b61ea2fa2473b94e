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
	INDEX_BYTES_GOOD = 3,    /* fixed places of so many bytes that are so rare are better than any literal */
	INDEX_SCORE_GOOD = 6,
	WORD_SCORE_GOOD = 3,     /* a place of three bytes that not all have alike */
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

/* Of what is common in any case one more says nothing: runs of zeros are the padding of every protocol. */
static unsigned int
literal_score(const uint8_t *bytes, unsigned int len)
{
	uint64_t seen[4] = { 0 };
	unsigned int score = 0;

	for (unsigned int i = 0; i < len; i++) {
		bool again = (seen[bytes[i] >> 6] >> (bytes[i] & 63) & 1) != 0;
		unsigned int weight = byte_weight(bytes[i]);

		score += !again ? weight : weight > 2;
		seen[bytes[i] >> 6] |= UINT64_C(1) << (bytes[i] & 63);
	}
	return score;
}

/* ---- bytes at a fixed place ---- */

/** Contents of which it is known where they must stand. */
struct fixed {
	const struct rule_node *nodes[RULE_NODES_MAX];
	uint32_t at[RULE_NODES_MAX]; /* offset of the first byte */
	unsigned int count;
};

/* Whether a content can stand in one place only, counted from a unit's start or from the end of the match before, and where. */
static bool
node_place(const struct rule_node *node, int64_t before, int64_t *at)
{
	bool relative = (node->flags & NODE_RELATIVE) != 0;

	*at = node->content.offset.number + (relative ? before : 0);
	return (node->flags & (NODE_USES_VAR | NODE_DEPTH)) == NODE_DEPTH && node->content.depth.number == node->content.len
		&& (!relative || before >= 0) && *at >= 0 && *at < 65536;
}

/* Whether what is relative to the match before still is so when this held. */
static bool
node_keeps_place(const struct rule_node *node)
{
	return node->kind == NODE_ISDATAAT || node->kind == NODE_BYTE_TEST || node->kind == NODE_BSIZE
		|| ((node->kind == NODE_CONTENT || node->kind == NODE_PCRE) && (node->flags & NODE_NEGATED) != 0);
}

/* @param anchored  that the rule's first place counts from a unit's start */
static void
fixed_gather(const struct rule_buffer *buffer, bool anchored, struct fixed *fixed)
{
	int64_t before = anchored ? 0 : -1, at; /* -1: not known */

	fixed->count = 0;
	for (unsigned int i = 0; i < buffer->node_count; i++) {
		const struct rule_node *node = &buffer->nodes[i];

		if (node_keeps_place(node))
			continue;
		if (node->kind != NODE_CONTENT || !node_place(node, before, &at)) {
			before = -1;
			continue;
		}
		fixed->nodes[fixed->count] = node;
		fixed->at[fixed->count++] = (uint32_t)at;
		before = at + node->content.len;
	}
}

/* What of the fixed bytes lies in the 8 from offset on. */
static struct rule_word
fixed_word(const struct fixed *fixed, uint32_t offset)
{
	struct rule_word word = { .offset = offset };

	for (unsigned int n = 0; n < fixed->count; n++)
		for (unsigned int i = 0; i < fixed->nodes[n]->content.len; i++) {
			uint64_t at = (uint64_t)fixed->at[n] + i - offset; /* wraps around in front of it */
			uint8_t byte = fixed->nodes[n]->content.bytes[i];
			bool either = (fixed->nodes[n]->flags & NODE_NOCASE) != 0 && isalpha(byte);

			if (at > 7)
				continue;
			uint64_t mask = (uint64_t)(either ? 0xdf : 0xff) << 8 * at;

			word.mask |= mask;
			word.value = (word.value & ~mask) | ((uint64_t)byte << 8 * at & mask);
			if (at >= word.len)
				word.len = (uint8_t)(at + 1);
		}
	return word;
}

/* @param bytes  out: those of a word that are given */
static unsigned int
word_score(const struct rule_word *word, unsigned int *bytes)
{
	uint8_t given[8];

	*bytes = 0;
	for (unsigned int i = 0; i < 8; i++)
		if ((word->mask >> 8 * i & 0xff) != 0)
			given[(*bytes)++] = (uint8_t)(word->value >> 8 * i);
	return literal_score(given, *bytes);
}

/* The first word of fixed bytes that is good in itself, else the rarest. Tables are by its first byte, which must be one alone. */
static bool
choose_word(const struct fixed *fixed, struct rule_word *best)
{
	unsigned int best_score = 0, bytes;

	for (unsigned int n = 0; n < fixed->count; n++) {
		struct rule_word word = fixed_word(fixed, fixed->at[n]);
		unsigned int score = word_score(&word, &bytes);

		if ((word.mask & 0xff) != 0xff || score <= best_score)
			continue;
		*best = word;
		best_score = score;
		if (bytes >= INDEX_BYTES_GOOD && score >= WORD_SCORE_GOOD)
			break;
	}
	return best_score > 0;
}

/* The rarest word of the fixed bytes that are not in the first. */
static struct rule_word
choose_more(const struct fixed *fixed, const struct rule_word *first)
{
	struct rule_word best = { 0 };
	unsigned int best_score = 0, bytes;

	for (unsigned int n = 0; n < fixed->count; n++) {
		uint32_t end = fixed->at[n] + fixed->nodes[n]->content.len, behind = first->offset + 8;
		uint32_t from = fixed->at[n] >= first->offset && fixed->at[n] < behind ? behind : fixed->at[n];

		if (from >= end)
			continue;
		struct rule_word word = fixed_word(fixed, from);
		unsigned int score = word_score(&word, &bytes);

		if (score > best_score) {
			best = word;
			best_score = score;
		}
	}
	return best;
}

/* @return how rare what is compared is, 0: there are no fixed bytes */
static unsigned int
plan_index(const struct rule *rule, const struct rule_buffer *buffer, struct rule_plan *plan, unsigned int *bytes)
{
	unsigned int more_bytes;
	struct fixed fixed;

	fixed_gather(buffer, (rule->flags & RULE_ANCHORED) != 0, &fixed);
	if (!choose_word(&fixed, &plan->first))
		return 0;
	plan->kind = PLAN_INDEX;
	plan->more = choose_more(&fixed, &plan->first);
	unsigned int score = word_score(&plan->first, bytes) + word_score(&plan->more, &more_bytes);

	*bytes += more_bytes;
	return score;
}

/* ---- literals, expressions ---- */

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
	unsigned int bytes, index_score = plan_index(rule, payload, out, &bytes);

	if (index_score >= INDEX_SCORE_GOOD && bytes >= INDEX_BYTES_GOOD)
		return;
	if (rule_plan_literal(payload, &literal) > index_score)
		*out = literal;
	else if (index_score == 0)
		(void)plan_pcre(payload, PCRE_WIDTH_MIN, true, out);
}
