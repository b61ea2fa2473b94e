/* What outlives the packet: flowint counts on a flow; flowvar and pktvar look at what an expression captured; tag keeps
 * the packets that follow. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/rule/keyword.h"

static struct rule_state *
state_new(struct rule_parser *parser, enum rule_state_kind kind, enum rule_name_kind named, const char *name)
{
	uint32_t id;

	if (parser->state_count == RULE_STATES_MAX) {
		rule_refuse(parser, "more than %d state conditions", RULE_STATES_MAX);
		return NULL;
	}
	if (name == NULL || *name == '\0' || strcspn(name, " \t\"") != strlen(name)) {
		rule_refuse(parser, "\"%.40s\" is not a name", name == NULL ? "" : name);
		return NULL;
	}
	if (rule_kind_id(parser->set, named, name, &id) != 0) {
		rule_no_memory(parser);
		return NULL;
	}
	struct rule_state *state = &parser->states[parser->state_count++];

	*state = (struct rule_state){ .kind = (uint8_t)kind, .id_count = 1, .other = RULE_IDX_NONE };
	state->ids = rule_arena_copy(&parser->set->arena, &id, sizeof(id));
	if (state->ids == NULL)
		rule_no_memory(parser);
	return state->ids == NULL ? NULL : state;
}

static const struct {
	const char *text;
	uint8_t op, compare;
	bool alone; /* without a value */
} int_ops[] = {
	{ "+", STATE_ADD, 0, false },
	{ "-", STATE_SUB, 0, false },
	{ "=", STATE_SET, 0, false },
	{ "==", STATE_COMPARE, COMPARE_EQUAL, false },
	{ "!=", STATE_COMPARE, COMPARE_NOT_EQUAL, false },
	{ "<", STATE_COMPARE, COMPARE_LESS, false },
	{ "<=", STATE_COMPARE, COMPARE_LESS_EQUAL, false },
	{ ">", STATE_COMPARE, COMPARE_GREATER, false },
	{ ">=", STATE_COMPARE, COMPARE_GREATER_EQUAL, false },
	{ "isset", STATE_ISSET, 0, true },
	{ "notset", STATE_ISNOTSET, 0, true },
	{ "isnotset", STATE_ISNOTSET, 0, true },
};

static int
int_value(struct rule_parser *parser, struct rule_state *state, const char *text)
{
	int64_t number;

	if (text == NULL || *text == '\0')
		return rule_refuse(parser, "a number or the name of another flowint is missing");
	if (isalpha((unsigned char)*text))
		return rule_kind_id(parser->set, RULE_NAME_FLOW_INT, text, &state->other) == 0 ? 0 : rule_no_memory(parser);
	if (!rule_integer(text, &number) || number < 0 || number > UINT32_MAX)
		return rule_refuse(parser, "\"%.40s\" is not a number from 0 to 4294967295", text);
	state->value = (uint32_t)number;
	return 0;
}

/* flowint:name,+|-|=|==|!=|<|<=|>|>=,value  or  flowint:name,isset|notset */
int
rule_setup_flowint(struct rule_parser *parser, char *value)
{
	char *name = rule_split(&value, ','), *op = rule_split(&value, ','), *operand = rule_split(&value, ',');
	unsigned int i = 0;

	while (i < sizeof(int_ops) / sizeof(int_ops[0]) && (op == NULL || strcasecmp(int_ops[i].text, op) != 0))
		i++;
	if (i == sizeof(int_ops) / sizeof(int_ops[0]))
		return rule_refuse(parser, "\"%.20s\" is not + - = == != < <= > >= isset notset", op == NULL ? "" : op);
	struct rule_state *state = state_new(parser, STATE_INT, RULE_NAME_FLOW_INT, name);

	if (state == NULL)
		return parser->no_memory ? -ENOMEM : -EINVAL;
	state->op = int_ops[i].op;
	state->compare = int_ops[i].compare;
	if (int_ops[i].alone)
		return operand == NULL ? 0 : rule_refuse(parser, "%s takes no value", op);
	return int_value(parser, state, operand);
}

/* flowvar:name,[!]"text": the variable holds the text. */
static int
var_setup(struct rule_parser *parser, char *value, enum rule_name_kind kind)
{
	uint8_t bytes[RULE_CONTENT_LEN_MAX];
	char *name = rule_split(&value, ',');
	bool negated = value != NULL && *value == '!';
	char *text = value == NULL ? NULL : rule_trim(value + negated);
	size_t len = text == NULL ? 0 : strlen(text);

	if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
		text[len - 1] = '\0';
		text++;
	}
	struct rule_state *state = state_new(parser, STATE_VAR, kind, name);

	if (state == NULL)
		return parser->no_memory ? -ENOMEM : -EINVAL;
	int count = text == NULL ? 0 : rule_content_bytes(parser, text, bytes);

	if (count < 0)
		return count;
	state->op = negated ? STATE_ISNOTSET : STATE_ISSET;
	state->text_len = (uint16_t)count;
	state->text = rule_arena_copy(&parser->set->arena, bytes, (size_t)count);
	return state->text == NULL ? rule_no_memory(parser) : 0;
}

int
rule_setup_flowvar(struct rule_parser *parser, char *value)
{
	return var_setup(parser, value, RULE_NAME_FLOW_VAR);
}

int
rule_setup_pktvar(struct rule_parser *parser, char *value)
{
	return var_setup(parser, value, RULE_NAME_PKT_VAR);
}

static const struct {
	const char *name;
	uint8_t metric;
} tag_metrics[] = { { "packets", TAG_PACKETS }, { "bytes", TAG_BYTES }, { "seconds", TAG_SECONDS } };

/* tag:session|host[,number,packets|bytes|seconds[,src|dst]] */
int
rule_setup_tag(struct rule_parser *parser, char *value)
{
	enum { TAG_PACKETS_DEFAULT = 256 };
	char *where = rule_split(&value, ','), *limit = rule_split(&value, ','), *metric = rule_split(&value, ',');
	char *side = rule_split(&value, ',');
	struct rule_tag *tag = parser->draft.tags, *end = tag + RULE_TAGS_OF_RULE;
	bool host = strcmp(where, "host") == 0, found = metric == NULL;
	int64_t number = TAG_PACKETS_DEFAULT;

	while (tag < end && tag->where != TAG_NONE)
		tag++;
	if (tag == end)
		return rule_refuse(parser, "more than %d tags", RULE_TAGS_OF_RULE);
	if (!host && strcmp(where, "session") != 0)
		return rule_refuse(parser, "\"%.20s\" is neither session nor host", where);
	if (limit != NULL && (metric == NULL || !rule_integer(limit, &number) || number < 1 || number > UINT32_MAX))
		return rule_refuse(parser, "\"%.20s\" is not a number of packets, bytes or seconds", limit);
	for (unsigned int i = 0; !found && i < sizeof(tag_metrics) / sizeof(tag_metrics[0]); i++)
		if (strcmp(tag_metrics[i].name, metric) == 0) {
			tag->metric = tag_metrics[i].metric;
			found = true;
		}
	if (!found)
		return rule_refuse(parser, "\"%.20s\" is not packets, bytes or seconds", metric);
	if (side != NULL && (!host || (strcmp(side, "src") != 0 && strcmp(side, "dst") != 0)))
		return rule_refuse(parser, "a host is tagged by src or dst, a session by neither");
	tag->limit = (uint32_t)number;
	tag->where = !host ? TAG_SESSION : side != NULL && side[0] == 'd' ? TAG_DST : TAG_SRC;
	return 0;
}
