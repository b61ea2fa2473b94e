/* pcre: compiled by PCRE2 with JIT; rules without a usable literal lend the expression to Hyperscan as well. */
#include <errno.h>
#include <string.h>

#include "lib/rule/keyword.h"

static const struct {
	char letter;
	uint32_t option; /* of PCRE2 */
	uint32_t flag;   /* of the node */
} pcre_flags[] = {
	{ 'i', PCRE2_CASELESS, 0 },     { 's', PCRE2_DOTALL, 0 },
	{ 'm', PCRE2_MULTILINE, 0 },    { 'x', PCRE2_EXTENDED, 0 },
	{ 'A', PCRE2_ANCHORED, 0 },     { 'E', PCRE2_DOLLAR_ENDONLY, 0 },
	{ 'G', PCRE2_UNGREEDY, 0 },     { 'R', 0, NODE_RELATIVE },
	{ 'B', 0, 0 },                  { 'O', 0, 0 },
};

static int
pcre_letters(struct rule_parser *parser, const char *letters, struct rule_node *node)
{
	for (; *letters != '\0'; letters++) {
		unsigned int i = 0;

		if (strchr("UIPQHDMCSYWVZ", *letters) != NULL)
			return rule_refuse(parser, "flag %c looks into an HTTP buffer, and protocol http has no parser here", *letters);
		while (i < sizeof(pcre_flags) / sizeof(pcre_flags[0]) && pcre_flags[i].letter != *letters)
			i++;
		if (i == sizeof(pcre_flags) / sizeof(pcre_flags[0]))
			return rule_refuse(parser, "'%c' is not a flag", *letters);
		node->pcre.options |= pcre_flags[i].option;
		node->flags |= pcre_flags[i].flag;
	}
	return 0;
}

static int
pcre_compile(struct rule_parser *parser, struct rule_node *node, const char *pattern)
{
	int code;
	PCRE2_SIZE at;

	node->pcre.pattern = rule_arena_text(&parser->set->arena, pattern, strlen(pattern));
	if (node->pcre.pattern == NULL)
		return rule_no_memory(parser);
	node->pcre.code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, node->pcre.options, &code, &at, NULL);
	if (node->pcre.code == NULL) {
		char text[128];

		if (code == PCRE2_ERROR_NOMEMORY)
			return rule_no_memory(parser);
		pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
		parser->at += at;
		return rule_refuse(parser, "%s", text);
	}
	if (rule_set_keep_pcre(parser->set, node->pcre.code) != 0) {
		pcre2_code_free(node->pcre.code);
		return rule_no_memory(parser);
	}
	/* Without JIT (a machine that forbids it) the interpreter does the same, slower. */
	(void)pcre2_jit_compile(node->pcre.code, PCRE2_JIT_COMPLETE);
	return 0;
}

int
rule_setup_pcre(struct rule_parser *parser, char *value)
{
	bool negated = *value == '!';
	size_t len;

	value = rule_trim(value + negated);
	len = strlen(value);
	if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
		value[len - 1] = '\0';
		value++;
	}
	char *close = strrchr(value, '/');

	if (value[0] != '/' || close == value)
		return rule_refuse(parser, "the expression must stand between slashes");
	*close = '\0';
	struct rule_node *node = rule_add_node(parser, NODE_PCRE);

	if (node == NULL)
		return -EINVAL;
	node->flags = negated ? NODE_NEGATED : 0;
	char *comma = strchr(close + 1, ',');

	if (comma != NULL)
		return rule_refuse(parser, "captures into variables are not kept: \"%.40s\"", comma + 1);
	int ret = pcre_letters(parser, close + 1, node);

	return ret != 0 ? ret : pcre_compile(parser, node, value + 1);
}
