/* What is worked out of a finished draft: which match is tried further on when a later test fails, and whether it asks of records alone. */
#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_tests.h"

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

/* What happens when a rule matched is no condition. */
static bool
state_is_read(const struct rule_state *state)
{
	return state->op == STATE_ISSET || state->op == STATE_ISNOTSET || state->op == STATE_COMPARE;
}

static bool
buffer_is_of_record(const struct rule_draft_buffer *draft)
{
	for (unsigned int i = 0; i < draft->buffer.node_count; i++)
		if (draft->nodes[i].kind == NODE_DATASET)
			return false; /* it may have changed since */
	return draft->buffer.kind == BUFFER_FIELD;
}

void
rule_note_fields_only(struct rule_parser *parser)
{
	struct rule *draft = &parser->draft;
	bool releases = draft->meta.action == RULE_PASS || draft->meta.action == RULE_CONFIG; /* the answer as well */
	bool only = !releases && draft->phase == PHASE_MESSAGE && draft->app_events == 0 && (draft->flow & (RULE_FLOW_TO_SERVER | RULE_FLOW_TO_CLIENT)) == 0
		&& (draft->flags & (RULE_TRANSACTION | RULE_FILE | RULE_FILE_END)) == 0 && parser->buffer_count + parser->test_count > 0;

	for (unsigned int i = 0; i < parser->buffer_count; i++)
		only = only && buffer_is_of_record(&parser->buffers[i]);
	for (unsigned int i = 0; i < parser->test_count; i++)
		only = only && parser->tests[i].app != RULE_APP_NONE && parser->tests[i].fn != rule_test_own;
	for (unsigned int i = 0; i < parser->state_count; i++)
		only = only && !state_is_read(&parser->states[i]);
	draft->flags |= only ? RULE_FIELDS_ONLY : 0;
}
