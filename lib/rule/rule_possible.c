/* Rules that can never match: a content that no transform leaves, or more bytes asked for than there may be. */
#include <ctype.h>
#include <errno.h>

#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_tests.h"

static const uint16_t digest_lens[] = { 16, 20, 32 }; /* as rule_digests[] */

static bool
content_has(const struct rule_node *node, int (*is)(int))
{
	for (unsigned int i = 0; i < node->content.len; i++)
		if (node->content.bytes[i] < 0x80 && is(node->content.bytes[i]) != 0)
			return true;
	return false;
}

static bool
content_has_space_run(const struct rule_node *node)
{
	for (unsigned int i = 1; i < node->content.len; i++)
		if (isspace(node->content.bytes[i - 1]) != 0 && isspace(node->content.bytes[i]) != 0)
			return true;
	return false;
}

/* What the last transform of a buffer never leaves in it. @return what the content has of that, NULL: nothing */
static const char *
content_excluded(const struct rule_transform *last, const struct rule_node *node)
{
	bool nocase = (node->flags & NODE_NOCASE) != 0;

	switch (last->kind) {
	case TRANSFORM_LOWERCASE:
		return !nocase && content_has(node, isupper) ? "capital letters" : NULL;
	case TRANSFORM_UPPERCASE:
		return !nocase && content_has(node, islower) ? "small letters" : NULL;
	case TRANSFORM_STRIP_WHITESPACE:
		return content_has(node, isspace) ? "whitespace" : NULL;
	case TRANSFORM_COMPRESS_WHITESPACE:
		return content_has_space_run(node) ? "whitespace in a row" : NULL;
	case TRANSFORM_DIGEST:
		return node->content.len > digest_lens[last->digest] ? "more bytes than a digest" : NULL;
	default:
		return NULL;
	}
}

/* The bytes that a buffer has at least where its contents are found. */
static int64_t
contents_len_min(const struct rule_draft_buffer *draft)
{
	int64_t end = 0, len = 0;

	for (unsigned int i = 0; i < draft->buffer.node_count; i++) {
		const struct rule_node *node = &draft->nodes[i];
		bool relative = (node->flags & NODE_RELATIVE) != 0;

		if (node->kind == NODE_CONTENT && (node->flags & NODE_NEGATED) == 0) {
			/* a place that only the traffic tells may be any */
			int64_t start = node->content.offset.var >= 0 ? 0 : node->content.offset.number + (relative ? end : 0);

			end = (start > 0 ? start : 0) + node->content.len;
			len = end > len ? end : len;
		} else if (node->kind == NODE_PCRE || node->kind == NODE_BYTE_JUMP || node->kind == NODE_BYTE_EXTRACT || node->kind == NODE_BYTE_MATH) {
			end = 0;
		}
	}
	return len;
}

/* The largest number that a list of alternatives takes. */
static int64_t
numbers_max(const struct rule_numbers *numbers)
{
	int64_t max = 0;

	for (unsigned int i = 0; i < numbers->count; i++) {
		const struct rule_number *number = &numbers->items[i];
		int64_t most = number->op == NUMBER_EQUAL ? number->a : number->op == NUMBER_BELOW ? number->a - 1 : number->b;

		if (number->negated || number->op == NUMBER_ABOVE || number->op > NUMBER_RANGE)
			return INT64_MAX;
		max = most > max ? most : max;
	}
	return max;
}

static int
check_len(struct rule_parser *parser, const struct rule_draft_buffer *draft)
{
	int64_t len = contents_len_min(draft), max = INT64_MAX;

	for (unsigned int i = 0; i < draft->buffer.node_count; i++)
		if (draft->nodes[i].kind == NODE_BSIZE && numbers_max(&draft->nodes[i].size) < max)
			max = numbers_max(&draft->nodes[i].size);
	for (unsigned int i = 0; draft->buffer.kind == BUFFER_PAYLOAD && i < parser->test_count; i++)
		if (parser->tests[i].fn == rule_test_dsize && !parser->tests[i].negated && numbers_max(&parser->tests[i].numbers) < max)
			max = numbers_max(&parser->tests[i].numbers);
	return len <= max ? 0 : rule_refuse(parser, "it can never match: its contents need %lld bytes, and there are at most %lld", (long long)len,
		(long long)max);
}

int
rule_check_possible(struct rule_parser *parser)
{
	for (unsigned int i = 0; i < parser->buffer_count; i++) {
		const struct rule_draft_buffer *draft = &parser->buffers[i];
		const struct rule_transform *last = draft->transform_count == 0 ? NULL : &draft->transforms[draft->transform_count - 1];

		for (unsigned int n = 0; last != NULL && n < draft->buffer.node_count; n++) {
			const struct rule_node *node = &draft->nodes[n];
			const char *has = node->kind != NODE_CONTENT || (node->flags & NODE_NEGATED) != 0 ? NULL : content_excluded(last, node);

			if (has == NULL)
				continue;
			parser->at = draft->at;
			parser->keyword = draft->keyword;
			return rule_refuse(parser, "it can never match: a content has %s, of which the transform leaves none", has);
		}
		if (check_len(parser, draft) != 0)
			return -EINVAL;
	}
	return 0;
}
