/* flow, its counters, and bits kept on flows, hosts and pairs of hosts. */
#include <errno.h>
#include <string.h>

#include "lib/rule/keyword.h"
#include "lib/rule/rule_tests.h"

static const struct {
	const char *name;
	uint16_t flag;
} flow_words[] = {
	{ "to_server", RULE_FLOW_TO_SERVER }, { "from_client", RULE_FLOW_TO_SERVER },
	{ "to_client", RULE_FLOW_TO_CLIENT }, { "from_server", RULE_FLOW_TO_CLIENT },
	{ "established", RULE_FLOW_ESTABLISHED }, { "not_established", RULE_FLOW_NOT_ESTABLISHED },
	{ "stateless", RULE_FLOW_STATELESS }, { "only_stream", RULE_FLOW_ONLY_STREAM }, { "no_stream", RULE_FLOW_NO_STREAM },
	{ "only_frag", RULE_FLOW_ONLY_FRAG }, { "no_frag", RULE_FLOW_NO_FRAG },
};

int
rule_setup_flow(struct rule_parser *parser, char *value)
{
	uint16_t *flow = &parser->draft.flow;
	char *word;

	while ((word = rule_split(&value, ',')) != NULL) {
		unsigned int i = 0;

		while (i < sizeof(flow_words) / sizeof(flow_words[0]) && strcasecmp(flow_words[i].name, word) != 0)
			i++;
		if (i == sizeof(flow_words) / sizeof(flow_words[0]))
			return rule_refuse(parser, "\"%.40s\" is not a state of a flow", word);
		*flow |= flow_words[i].flag;
	}
	if ((*flow & RULE_FLOW_TO_SERVER) != 0 && (*flow & RULE_FLOW_TO_CLIENT) != 0)
		return rule_refuse(parser, "to_server and to_client exclude each other");
	if (__builtin_popcount(*flow & (RULE_FLOW_ESTABLISHED | RULE_FLOW_NOT_ESTABLISHED | RULE_FLOW_STATELESS)) > 1)
		return rule_refuse(parser, "established, not_established and stateless exclude each other");
	if ((*flow & RULE_FLOW_ONLY_STREAM) != 0 && (*flow & RULE_FLOW_NO_STREAM) != 0)
		return rule_refuse(parser, "only_stream and no_stream exclude each other");
	if ((*flow & RULE_FLOW_ONLY_FRAG) != 0 && (*flow & RULE_FLOW_NO_FRAG) != 0)
		return rule_refuse(parser, "only_frag and no_frag exclude each other");
	return 0;
}

static const struct {
	const char *name;
	uint8_t op;
} state_ops[] = {
	{ "set", STATE_SET }, { "unset", STATE_UNSET }, { "toggle", STATE_TOGGLE }, { "isset", STATE_ISSET },
	{ "isnotset", STATE_ISNOTSET },
};

enum { XBIT_EXPIRE_S = 30, HOSTBIT_EXPIRE_S = 300 }; /* where the rule does not say it */

static struct rule_state *
state_add(struct rule_parser *parser, enum rule_state_kind kind, const char *op)
{
	unsigned int i = 0;

	while (i < sizeof(state_ops) / sizeof(state_ops[0]) && (op == NULL || strcasecmp(state_ops[i].name, op) != 0))
		i++;
	if (i == sizeof(state_ops) / sizeof(state_ops[0])) {
		rule_refuse(parser, "\"%.40s\" is not set, unset, toggle, isset or isnotset", op == NULL ? "" : op);
		return NULL;
	}
	if (parser->state_count == RULE_STATES_MAX) {
		rule_refuse(parser, "more than %d state conditions", RULE_STATES_MAX);
		return NULL;
	}
	struct rule_state *state = &parser->states[parser->state_count++];

	*state = (struct rule_state){ .kind = (uint8_t)kind, .op = state_ops[i].op };
	return state;
}

/* "name" or "name|other": any of them. */
static int
state_names(struct rule_parser *parser, struct rule_state *state, char *names)
{
	uint32_t ids[16];
	char *name;

	if (names == NULL || *names == '\0')
		return rule_refuse(parser, "the bit's name is missing");
	while ((name = rule_split(&names, '|')) != NULL) {
		if (state->id_count == sizeof(ids) / sizeof(ids[0]))
			return rule_refuse(parser, "more than 16 names");
		if (*name == '\0' || strcspn(name, " \t\"") != strlen(name))
			return rule_refuse(parser, "\"%.40s\" is not a name", name);
		if (rule_name_id(parser->set, name, strlen(name), &ids[state->id_count]) != 0)
			return rule_no_memory(parser);
		state->id_count++;
	}
	if (state->id_count > 1 && state->op < STATE_ISSET)
		return rule_refuse(parser, "only isset and isnotset take alternatives");
	state->ids = rule_arena_copy(&parser->set->arena, ids, state->id_count * sizeof(ids[0]));
	return state->ids == NULL ? rule_no_memory(parser) : 0;
}

int
rule_setup_flowbits(struct rule_parser *parser, char *value)
{
	char *op = rule_split(&value, ',');

	if (strcasecmp(op, "noalert") == 0) {
		parser->draft.flags |= RULE_NOALERT;
		return 0;
	}
	struct rule_state *state = state_add(parser, STATE_FLOW, op);

	return state == NULL ? -EINVAL : state_names(parser, state, value);
}

static int
state_option(struct rule_parser *parser, struct rule_state *state, char *word)
{
	char *argument = word + strcspn(word, " \t");
	int64_t number;

	if (*argument != '\0')
		*argument++ = '\0';
	argument = rule_trim(argument);
	if (strcmp(word, "expire") == 0) {
		if (!rule_integer(argument, &number) || number < 1 || number >= UINT32_MAX)
			return rule_refuse(parser, "\"%.40s\" is not a number of seconds", argument);
		state->expire_s = (uint32_t)number;
		return 0;
	}
	argument = strcmp(word, "track") == 0 ? argument : word;
	if (strcmp(argument, "ip_src") == 0 || strcmp(argument, "src") == 0)
		state->track = TRACK_SRC;
	else if (strcmp(argument, "ip_dst") == 0 || strcmp(argument, "dst") == 0)
		state->track = TRACK_DST;
	else if (strcmp(argument, "ip_pair") == 0 || strcmp(argument, "both") == 0)
		state->kind = STATE_PAIR;
	else if (strcmp(argument, "tx") == 0 && argument != word)
		state->kind = STATE_TX;
	else
		return rule_refuse(parser, "\"%.40s\" is not track ip_src, ip_dst, ip_pair, tx or expire SECONDS", argument);
	return 0;
}

/* Bits of transactions are names of their own. */
static int
state_tx(struct rule_parser *parser, struct rule_state *state)
{
	uint32_t *ids = rule_arena_copy(&parser->set->arena, state->ids, state->id_count * sizeof(state->ids[0]));

	if (state->op != STATE_SET && state->op != STATE_ISSET)
		return rule_refuse(parser, "bits of a transaction are set or isset");
	if (ids == NULL)
		return rule_no_memory(parser);
	for (unsigned int i = 0; i < state->id_count; i++)
		if (rule_kind_id(parser->set, RULE_NAME_TX_BIT, parser->set->names[ids[i]], &ids[i]) != 0)
			return rule_no_memory(parser);
	state->ids = ids;
	return 0;
}

static int
state_host(struct rule_parser *parser, char *value, uint32_t expire_s)
{
	char *op = rule_split(&value, ','), *word;

	if (strcasecmp(op, "noalert") == 0) {
		parser->draft.flags |= RULE_NOALERT;
		return 0;
	}
	struct rule_state *state = state_add(parser, STATE_HOST, op);

	if (state == NULL)
		return -EINVAL;
	state->expire_s = expire_s;
	int ret = state_names(parser, state, rule_split(&value, ','));

	while (ret == 0 && (word = rule_split(&value, ',')) != NULL)
		ret = state_option(parser, state, word);
	return ret == 0 && state->kind == STATE_TX ? state_tx(parser, state) : ret;
}

int
rule_setup_hostbits(struct rule_parser *parser, char *value)
{
	return state_host(parser, value, HOSTBIT_EXPIRE_S);
}

int
rule_setup_xbits(struct rule_parser *parser, char *value)
{
	return state_host(parser, value, XBIT_EXPIRE_S);
}

/* stream_size:server,<,1111 */
int
rule_setup_stream_size(struct rule_parser *parser, char *value)
{
	static const char *const sides[] = { "server", "client", "both", "either" };
	char *side = rule_split(&value, ','), *op = rule_split(&value, ','), *number = rule_split(&value, ',');
	unsigned int which = 0;
	char text[64];

	if (number == NULL)
		return rule_refuse(parser, "stream_size is side,operator,bytes");
	while (which < 4 && strcmp(sides[which], side) != 0)
		which++;
	if (which == 4)
		return rule_refuse(parser, "\"%.20s\" is not server, client, both or either", side);
	snprintf(text, sizeof(text), "%.4s%.40s", op, number);
	int ret = rule_add_number_test(parser, text, NULL, rule_test_stream_size, INT64_MAX);

	if (ret == 0)
		parser->tests[parser->test_count - 1].extra = which;
	return ret;
}

#define FLOW_NUMBER(name) \
	int rule_setup_##name(struct rule_parser *parser, char *value) \
	{ \
		return rule_add_number_test(parser, value, NULL, rule_test_##name, INT64_MAX); \
	}

FLOW_NUMBER(flow_age)
FLOW_NUMBER(flow_pkts_toserver)
FLOW_NUMBER(flow_pkts_toclient)
FLOW_NUMBER(flow_bytes_toserver)
FLOW_NUMBER(flow_bytes_toclient)

/* @return an enum rule_flow_side; RULE_FLOW_SIDE_COUNT: none is called so */
static unsigned int
flow_side_of(const char *name)
{
	static const char *const sides[RULE_FLOW_SIDE_COUNT] = { [RULE_FLOW_CLIENT] = "toclient", [RULE_FLOW_SERVER] = "toserver",
		[RULE_FLOW_EITHER] = "either", [RULE_FLOW_BOTH] = "both" };
	unsigned int which = 0;

	while (which < RULE_FLOW_SIDE_COUNT && strcmp(sides[which], name) != 0)
		which++;
	return which;
}

/* flow.pkts:toserver,>3  or  flow.pkts:either,3 */
static int
flow_side(struct rule_parser *parser, char *value, rule_test_fn fn)
{
	unsigned int which = flow_side_of(rule_split(&value, ','));

	if (which == RULE_FLOW_SIDE_COUNT || value == NULL)
		return rule_refuse(parser, "the form is toserver|toclient|either|both,numbers");
	int ret = rule_add_number_test(parser, rule_trim(value), NULL, fn, INT64_MAX);

	if (ret == 0)
		parser->tests[parser->test_count - 1].extra = which;
	return ret;
}

int
rule_setup_flow_pkts(struct rule_parser *parser, char *value)
{
	return flow_side(parser, value, rule_test_flow_pkts);
}

int
rule_setup_flow_bytes(struct rule_parser *parser, char *value)
{
	return flow_side(parser, value, rule_test_flow_bytes);
}

int
rule_setup_flow_elephant(struct rule_parser *parser, char *value)
{
	struct rule_test *test = rule_add_test(parser, rule_test_flow_elephant);

	if (test == NULL)
		return -EINVAL;
	test->extra = flow_side_of(rule_trim(value));
	return test->extra < RULE_FLOW_SIDE_COUNT ? 0 : rule_refuse(parser, "the form is toserver|toclient|either|both");
}
