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

/* Flags that name a buffer. */
static const struct {
	char letter;
	const char *buffer;
} pcre_buffers[] = {
	{ 'U', "http.uri" }, { 'I', "http.uri.raw" }, { 'P', "http.request_body" }, { 'Q', "http.response_body" },
	{ 'H', "http.header" }, { 'D', "http.header.raw" }, { 'M', "http.method" }, { 'C', "http.cookie" },
	{ 'S', "http.stat_code" }, { 'Y', "http.stat_msg" }, { 'V', "http.user_agent" }, { 'W', "http.host" },
	{ 'Z', "http.host.raw" },
};

static const char *
pcre_buffer_of(char letter)
{
	for (unsigned int i = 0; i < sizeof(pcre_buffers) / sizeof(pcre_buffers[0]); i++)
		if (pcre_buffers[i].letter == letter)
			return pcre_buffers[i].buffer;
	return NULL;
}

static int
pcre_letters(struct rule_parser *parser, const char *letters, struct rule_node *node, const char **buffer)
{
	for (; *letters != '\0'; letters++) {
		const char *named = pcre_buffer_of(*letters);
		unsigned int i = 0;

		if (named != NULL) {
			if (*buffer != NULL)
				return rule_refuse(parser, "flag %c names a second buffer", *letters);
			*buffer = named;
			continue;
		}
		while (i < sizeof(pcre_flags) / sizeof(pcre_flags[0]) && pcre_flags[i].letter != *letters)
			i++;
		if (i == sizeof(pcre_flags) / sizeof(pcre_flags[0]))
			return rule_refuse(parser, "'%c' is not a flag", *letters);
		node->pcre.options |= pcre_flags[i].option;
		node->flags |= pcre_flags[i].flag;
	}
	return 0;
}

static const struct {
	const char *name;
	uint8_t kind; /* enum rule_name_kind */
} captured_for[CAPTURED_FOR_COUNT] = {
	[CAPTURED_FOR_PACKET] = { "pkt", RULE_NAME_PKT_VAR },
	[CAPTURED_FOR_FLOW] = { "flow", RULE_NAME_FLOW_VAR },
	[CAPTURED_FOR_ALERT] = { "alert", RULE_NAME_ALERT_VAR },
};

/** What the groups of one expression capture. */
struct captures {
	struct rule_capture rows[RULE_CAPTURES_MAX];
	unsigned int count;
};

/* "flow:name" or "flow_name", with that character between. @return the name, NULL: it is neither of these */
static const char *
capture_name(const char *text, char between, unsigned int *kept)
{
	for (*kept = 0; *kept < CAPTURED_FOR_COUNT; (*kept)++) {
		size_t len = strlen(captured_for[*kept].name);

		if (strncmp(text, captured_for[*kept].name, len) == 0 && text[len] == between && text[len + 1] != '\0')
			return text + len + 1;
	}
	return NULL;
}

static int
capture_add(struct rule_parser *parser, struct captures *captures, const char *name, unsigned int kept, unsigned int group)
{
	if (captures->count == RULE_CAPTURES_MAX)
		return rule_refuse(parser, "more than %d captures", RULE_CAPTURES_MAX);
	struct rule_capture *capture = &captures->rows[captures->count++];

	if (rule_kind_id(parser->set, (enum rule_name_kind)captured_for[kept].kind, name, &capture->id) != 0)
		return rule_no_memory(parser);
	parser->set->flow_vars = parser->set->flow_vars || kept == CAPTURED_FOR_FLOW;
	capture->group = (uint16_t)group;
	capture->kept = (uint8_t)kept;
	return 0;
}

/* ", flow:name, pkt:other": what the groups matched becomes variables, in their order. */
static int
listed_captures(struct rule_parser *parser, char *names, const struct rule_node *node, struct captures *captures)
{
	uint32_t groups = 0;
	char *word;
	int ret = 0;

	while (ret == 0 && names != NULL && (word = rule_split(&names, ',')) != NULL) {
		unsigned int kept;
		const char *name = capture_name(word, ':', &kept);

		if (name == NULL)
			return rule_refuse(parser, "\"%.40s\" is not flow:NAME, pkt:NAME or alert:NAME", word);
		ret = capture_add(parser, captures, name, kept, captures->count + 1);
	}
	pcre2_pattern_info(node->pcre.code, PCRE2_INFO_CAPTURECOUNT, &groups);
	if (ret == 0 && captures->count > groups)
		return rule_refuse(parser, "%u variables for %u groups in parentheses", captures->count, groups);
	return ret;
}

/* (?P<flow_name>...): a group that says itself what it fills. */
static int
named_captures(struct rule_parser *parser, const struct rule_node *node, struct captures *captures)
{
	uint32_t count = 0, entry_len = 0;
	PCRE2_SPTR at = NULL;
	int ret = 0;

	pcre2_pattern_info(node->pcre.code, PCRE2_INFO_NAMECOUNT, &count);
	pcre2_pattern_info(node->pcre.code, PCRE2_INFO_NAMEENTRYSIZE, &entry_len);
	pcre2_pattern_info(node->pcre.code, PCRE2_INFO_NAMETABLE, &at);
	for (uint32_t i = 0; ret == 0 && i < count; i++, at += entry_len) {
		unsigned int kept;
		const char *name = capture_name((const char *)at + 2, '_', &kept);

		if (name != NULL)
			ret = capture_add(parser, captures, name, kept, (unsigned int)at[0] << 8 | at[1]);
	}
	return ret;
}

static int
pcre_captures(struct rule_parser *parser, char *names, struct rule_node *node)
{
	struct captures captures = { .count = 0 };
	int ret = listed_captures(parser, names, node, &captures);

	if (ret == 0)
		ret = named_captures(parser, node, &captures);
	if (ret != 0 || captures.count == 0)
		return ret;
	if ((node->flags & NODE_NEGATED) != 0)
		return rule_refuse(parser, "what does not match captures nothing");
	node->pcre.capture_count = (uint8_t)captures.count;
	node->pcre.captures = rule_arena_copy(&parser->set->arena, captures.rows, captures.count * sizeof(captures.rows[0]));
	return node->pcre.captures == NULL ? rule_no_memory(parser) : 0;
}

int
rule_pcre_compile(struct rule_parser *parser, const char *pattern, uint32_t options, pcre2_code **out)
{
	int code;
	PCRE2_SIZE at;

	*out = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &at, NULL);
	if (*out == NULL) {
		char text[128];

		if (code == PCRE2_ERROR_NOMEMORY)
			return rule_no_memory(parser);
		pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
		parser->at += at;
		return rule_refuse(parser, "%s", text);
	}
	if (rule_set_keep_pcre(parser->set, *out) != 0) {
		pcre2_code_free(*out);
		return rule_no_memory(parser);
	}
	/* Without JIT (a machine that forbids it) the interpreter does the same, slower. */
	(void)pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE);
	return 0;
}

/* "/expression/flags" in place: the expression between its slashes. @return the flags behind it, NULL: refused */
static char *
pcre_between(struct rule_parser *parser, char **value)
{
	size_t len = strlen(*value);

	if (len >= 2 && (*value)[0] == '"' && (*value)[len - 1] == '"') {
		(*value)[len - 1] = '\0';
		(*value)++;
	}
	char *close = strrchr(*value, '/');

	if ((*value)[0] != '/' || close == *value) {
		rule_refuse(parser, "the expression must stand between slashes");
		return NULL;
	}
	*close = '\0';
	(*value)++;
	return close + 1;
}

int
rule_setup_pcre(struct rule_parser *parser, char *value)
{
	bool negated = *value == '!';
	const char *buffer = NULL;

	value = rule_trim(value + negated);
	char *flags = pcre_between(parser, &value);
	struct rule_node *node = flags == NULL ? NULL : rule_add_node(parser, NODE_PCRE);

	if (node == NULL)
		return -EINVAL;
	node->flags = negated ? NODE_NEGATED : 0;
	char *names = strchr(flags, ',');

	if (names != NULL)
		*names++ = '\0';
	int ret = pcre_letters(parser, flags, node, &buffer);

	if (ret == 0)
		ret = rule_pcre_compile(parser, value, node->pcre.options, &node->pcre.code);
	if (ret != 0)
		return ret;
	node->pcre.pattern = rule_arena_text(&parser->set->arena, value, strlen(value));
	if (node->pcre.pattern == NULL)
		return rule_no_memory(parser);
	ret = pcre_captures(parser, names, node);
	return ret != 0 || buffer == NULL ? ret : rule_move_node(parser, node, buffer);
}
