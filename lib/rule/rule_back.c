/* Which match of a rule is tried further on when a later test fails. */
#include "lib/rule/rule_parser.h"

static bool
node_retries(const struct rule_node *node)
{
	return (node->kind == NODE_CONTENT || node->kind == NODE_PCRE) && (node->flags & NODE_NEGATED) == 0;
}

static bool
node_moves(const struct rule_node *node)
{
	return node->kind == NODE_BYTE_JUMP || node->kind == NODE_BYTE_EXTRACT || node->kind == NODE_BYTE_MATH;
}

/* What a test that counts from somewhere failed for, another place of the match before may hold; what lies between and moves nothing
 * does not matter. With variables any match before may. failed: node_count is the end. */
static int8_t
back_of(const struct rule_draft_buffer *draft, unsigned int failed, bool vars)
{
	bool depends = vars || failed == draft->buffer.node_count || (draft->nodes[failed].flags & NODE_RELATIVE) != 0;

	for (int at = (int)failed - 1; depends && at >= 0; at--) {
		const struct rule_node *node = &draft->nodes[at];

		if (node_retries(node))
			return (int8_t)at;
		if (node_moves(node))
			depends = vars || (node->flags & NODE_RELATIVE) != 0;
	}
	return -1;
}

void
rule_link_backs(struct rule_draft_buffer *draft)
{
	bool vars = false;

	for (unsigned int i = 0; i < draft->buffer.node_count; i++)
		vars |= (draft->nodes[i].flags & NODE_USES_VAR) != 0;
	for (unsigned int i = 0; i < draft->buffer.node_count; i++)
		draft->nodes[i].back = back_of(draft, i, vars);
	draft->buffer.back = back_of(draft, draft->buffer.node_count, vars);
}
