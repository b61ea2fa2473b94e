/* byte_test, byte_jump, byte_extract, byte_math: numbers read from the bytes. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/rule/keyword.h"

static const struct {
	const char *name;
	uint32_t flags;
	uint8_t base;
} byte_words[] = {
	{ "relative", NODE_RELATIVE, 0 },
	{ "little", NODE_LITTLE, 0 },
	{ "big", 0, 0 },
	{ "string", NODE_STRING, 0 },
	{ "hex", NODE_STRING, 16 },
	{ "dec", NODE_STRING, 10 },
	{ "oct", NODE_STRING, 8 },
	{ "align", NODE_ALIGN, 0 },
	{ "from_beginning", NODE_FROM_BEGINNING, 0 },
	{ "from_end", NODE_FROM_END, 0 },
};

/* A word that stands alone, "string hex" and "endian little" included. @return 1: not one of these */
static int
byte_word(struct rule_node *node, const char *word)
{
	if (strncmp(word, "string", 6) == 0 && (word[6] == ' ' || word[6] == '\t')) {
		node->flags |= NODE_STRING;
		word += 7 + strspn(word + 7, " \t");
	}
	if (strncmp(word, "endian", 6) == 0 && (word[6] == ' ' || word[6] == '\t'))
		word += 7 + strspn(word + 7, " \t");
	for (unsigned int i = 0; i < sizeof(byte_words) / sizeof(byte_words[0]); i++)
		if (strcmp(byte_words[i].name, word) == 0) {
			node->flags |= byte_words[i].flags;
			if (byte_words[i].base != 0)
				node->byte.base = byte_words[i].base;
			return 0;
		}
	return 1;
}

static int
byte_mask(struct rule_parser *parser, struct rule_node *node, const char *text)
{
	int64_t mask;
	char hex[32];

	snprintf(hex, sizeof(hex), "%s%.20s", strncasecmp(text, "0x", 2) == 0 ? "" : "0x", text);
	if (!rule_integer(hex, &mask) || mask <= 0)
		return rule_refuse(parser, "\"%.30s\" is not a bit mask", text);
	node->byte.mask = (uint64_t)mask;
	node->byte.mask_shift = (uint8_t)__builtin_ctzll((uint64_t)mask);
	return 0;
}

static int
byte_value(struct rule_parser *parser, struct rule_node *node, const char *text, struct rule_value *out)
{
	if (text == NULL || *text == '\0')
		return rule_refuse(parser, "an argument is missing");
	int ret = rule_value_parse(parser, text, out);

	if (ret == 0 && out->var >= 0)
		node->flags |= NODE_USES_VAR;
	return ret;
}

/* A word with an argument: "bitmask 0xff", "multiplier 2", "align 4", "post_offset -3". */
static int
byte_pair(struct rule_parser *parser, struct rule_node *node, char *word)
{
	char *argument = word + strcspn(word, " \t");
	int64_t number;

	if (*argument != '\0')
		*argument++ = '\0';
	argument = rule_trim(argument);
	if (strcmp(word, "bitmask") == 0)
		return byte_mask(parser, node, argument);
	if (strcmp(word, "post_offset") == 0) {
		node->byte.post_offset.var = -1;
		return byte_value(parser, node, argument, &node->byte.post_offset);
	}
	if (strcmp(word, "multiplier") == 0 && rule_integer(argument, &number) && number > 0 && number <= 65535) {
		node->byte.multiplier = (int32_t)number;
		return 0;
	}
	if (strcmp(word, "align") == 0 && rule_integer(argument, &number) && (number == 2 || number == 4)) {
		node->flags |= NODE_ALIGN;
		node->byte.align = (uint8_t)number;
		return 0;
	}
	if (strcmp(word, "dce") == 0)
		return rule_refuse(parser, "dce needs the dcerpc protocol, which has no parser here");
	return rule_refuse(parser, "\"%.40s\" is not one of its options", word);
}

static int
byte_rest(struct rule_parser *parser, struct rule_node *node, char *rest)
{
	char *word;

	while ((word = rule_split(&rest, ',')) != NULL) {
		if (*word == '\0' || byte_word(node, word) == 0)
			continue;
		int ret = byte_pair(parser, node, word);

		if (ret != 0)
			return ret;
	}
	int64_t most = (node->flags & NODE_STRING) != 0 ? RULE_BYTE_STRING_MAX : RULE_BYTE_MAX;

	if (node->byte.count.var < 0 && (node->byte.count.number < 0 || node->byte.count.number > most))
		return rule_refuse(parser, "%lld bytes cannot be read as one number, at most %lld", (long long)node->byte.count.number,
			(long long)most);
	if ((node->flags & NODE_STRING) != 0 && node->byte.base == 0)
		node->byte.base = 10;
	if ((node->flags & NODE_ALIGN) != 0 && node->byte.align == 0)
		node->byte.align = 4;
	return 0;
}

static struct rule_node *
byte_begin(struct rule_parser *parser, enum rule_node_kind kind)
{
	struct rule_node *node = rule_add_node(parser, kind);

	if (node == NULL)
		return NULL;
	node->byte.count.var = node->byte.offset.var = node->byte.value.var = node->byte.post_offset.var = -1;
	node->byte.multiplier = 1;
	node->byte.result = -1;
	return node;
}

static int
byte_offset(struct rule_parser *parser, struct rule_node *node, const char *text)
{
	int ret = byte_value(parser, node, text, &node->byte.offset);

	if (ret == 0 && node->byte.offset.var < 0 && (node->byte.offset.number > 65535 || node->byte.offset.number < -65535))
		return rule_refuse(parser, "the offset goes from -65535 to 65535");
	return ret;
}

static const struct {
	const char *name;
	uint8_t op;
} byte_test_ops[] = {
	{ "<=", BYTE_LESS_EQUAL }, { ">=", BYTE_GREATER_EQUAL }, { "<", BYTE_LESS }, { ">", BYTE_GREATER },
	{ "=", BYTE_EQUAL }, { "&", BYTE_AND }, { "^", BYTE_OR },
};

static int
byte_test_op(struct rule_parser *parser, struct rule_node *node, char *text)
{
	if (text == NULL)
		return rule_refuse(parser, "the operator is missing");
	if (*text == '!') {
		node->flags |= NODE_NEGATED;
		text = rule_trim(text + 1);
		if (*text == '\0')
			text = "=";
	}
	for (unsigned int i = 0; i < sizeof(byte_test_ops) / sizeof(byte_test_ops[0]); i++)
		if (strcmp(byte_test_ops[i].name, text) == 0) {
			node->op = byte_test_ops[i].op;
			return 0;
		}
	return rule_refuse(parser, "\"%.20s\" is not an operator (< > = <= >= & ^, with ! before)", text);
}

int
rule_setup_byte_test(struct rule_parser *parser, char *value)
{
	struct rule_node *node = byte_begin(parser, NODE_BYTE_TEST);

	if (node == NULL)
		return -EINVAL;
	int ret = byte_value(parser, node, rule_split(&value, ','), &node->byte.count);

	if (ret == 0)
		ret = byte_test_op(parser, node, rule_split(&value, ','));
	if (ret == 0)
		ret = byte_value(parser, node, rule_split(&value, ','), &node->byte.value);
	if (ret == 0)
		ret = byte_offset(parser, node, rule_split(&value, ','));
	return ret != 0 ? ret : byte_rest(parser, node, value);
}

int
rule_setup_byte_jump(struct rule_parser *parser, char *value)
{
	struct rule_node *node = byte_begin(parser, NODE_BYTE_JUMP);

	if (node == NULL)
		return -EINVAL;
	int ret = byte_value(parser, node, rule_split(&value, ','), &node->byte.count);

	if (ret == 0)
		ret = byte_offset(parser, node, rule_split(&value, ','));
	return ret != 0 ? ret : byte_rest(parser, node, value);
}

static int
byte_result(struct rule_parser *parser, struct rule_node *node, const char *name)
{
	int64_t number;
	int var;

	if (name == NULL || *name == '\0' || rule_integer(name, &number))
		return rule_refuse(parser, "the name of the variable is missing");
	var = rule_var_index(parser, name, true);
	if (var < 0)
		return rule_refuse(parser, "too many variables, or too long a name");
	node->byte.result = (int8_t)var;
	return 0;
}

int
rule_setup_byte_extract(struct rule_parser *parser, char *value)
{
	struct rule_node *node = byte_begin(parser, NODE_BYTE_EXTRACT);

	if (node == NULL)
		return -EINVAL;
	int ret = byte_value(parser, node, rule_split(&value, ','), &node->byte.count);

	if (ret == 0)
		ret = byte_offset(parser, node, rule_split(&value, ','));
	if (ret == 0)
		ret = byte_result(parser, node, rule_split(&value, ','));
	return ret != 0 ? ret : byte_rest(parser, node, value);
}

static const struct {
	const char *name;
	uint8_t op;
} byte_math_ops[] = {
	{ "+", MATH_ADD }, { "-", MATH_SUB }, { "*", MATH_MUL }, { "/", MATH_DIV }, { "<<", MATH_LEFT }, { ">>", MATH_RIGHT },
};

static int
byte_math_op(struct rule_parser *parser, struct rule_node *node, const char *text)
{
	for (unsigned int i = 0; i < sizeof(byte_math_ops) / sizeof(byte_math_ops[0]); i++)
		if (strcmp(byte_math_ops[i].name, text) == 0) {
			node->op = byte_math_ops[i].op;
			return 0;
		}
	return rule_refuse(parser, "\"%.20s\" is not an operator (+ - * / << >>)", text);
}

static int
byte_math_pair(struct rule_parser *parser, struct rule_node *node, char *word, unsigned int *seen)
{
	static const char *const names[] = { "bytes", "offset", "oper", "rvalue", "result" };
	char copy[64];
	unsigned int which = 0;

	snprintf(copy, sizeof(copy), "%s", word);
	char *argument = copy + strcspn(copy, " \t");

	if (*argument != '\0')
		*argument++ = '\0';
	argument = rule_trim(argument);
	while (which < 5 && strcmp(names[which], copy) != 0)
		which++;
	if (which < 5)
		*seen |= 1u << which;
	switch (which) {
	case 0:
		return byte_value(parser, node, argument, &node->byte.count);
	case 1:
		return byte_offset(parser, node, argument);
	case 2:
		return byte_math_op(parser, node, argument);
	case 3:
		return byte_value(parser, node, argument, &node->byte.value);
	case 4:
		return byte_result(parser, node, argument);
	default:
		return byte_word(node, word) == 0 ? 0 : byte_pair(parser, node, word);
	}
}

int
rule_setup_byte_math(struct rule_parser *parser, char *value)
{
	struct rule_node *node = byte_begin(parser, NODE_BYTE_MATH);
	unsigned int seen = 0;
	char *word, none[] = "";

	if (node == NULL)
		return -EINVAL;
	while ((word = rule_split(&value, ',')) != NULL) {
		int ret = byte_math_pair(parser, node, word, &seen);

		if (ret != 0)
			return ret;
	}
	if (seen != 0x1f)
		return rule_refuse(parser, "bytes, offset, oper, rvalue and result are all needed");
	if (node->op == MATH_DIV && node->byte.value.var < 0 && node->byte.value.number == 0)
		return rule_refuse(parser, "division by zero");
	return byte_rest(parser, node, none);
}
