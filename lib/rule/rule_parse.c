/* Rule texts: lines are joined, a rule is cut into header and options, and what is refused is remembered. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/keyword.h"

int
rule_refuse(struct rule_parser *parser, const char *format, ...)
{
	va_list args;

	if (parser->reason[0] != '\0')
		return -EINVAL; /* the first reason is the one that counts */
	va_start(args, format);
	vsnprintf(parser->reason, sizeof(parser->reason), format, args);
	va_end(args);
	return -EINVAL;
}

int
rule_no_memory(struct rule_parser *parser)
{
	parser->no_memory = true;
	return -ENOMEM;
}

/* Characters of a line without what ends it. */
static size_t
line_len(const char *line, const char *stop)
{
	while (stop > line && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
		stop--;
	return (size_t)(stop - line);
}

/* ---- one option ---- */

static const struct rule_keyword *
keyword_find(const char *name)
{
	const struct rule_keyword *keyword = rule_keywords;

	while (keyword->name != NULL && strcasecmp(keyword->name, name) != 0)
		keyword++;
	return keyword->name == NULL ? NULL : keyword;
}

bool
rule_keyword_known(struct rule_parser *parser, const char *name)
{
	return keyword_find(name) != NULL || rule_buffer_keyword(parser, name, NULL) == 0 || rule_field_keyword(parser, name, NULL) == 0;
}

static int
option_unquote(struct rule_parser *parser, char **value)
{
	size_t len = strlen(*value);

	if (**value == '!' && (*value)[1] == '"')
		return 0; /* the keyword's own business */
	if (len < 2 || **value != '"')
		return 0;
	if ((*value)[len - 1] != '"')
		return rule_refuse(parser, "the closing quote is missing");
	(*value)[len - 1] = '\0';
	(*value)++;
	return 0;
}

static int
option_set(struct rule_parser *parser, const char *name, char *value)
{
	const struct rule_keyword *keyword = keyword_find(name);

	if (keyword == NULL) {
		int ret = rule_buffer_keyword(parser, name, value);

		if (ret == 1)
			ret = rule_field_keyword(parser, name, value);
		if (ret <= 0)
			return ret;
		return rule_refuse_missing(parser, name);
	}
	if ((keyword->flags & KEYWORD_VALUE) != 0 && (value == NULL || *value == '\0'))
		return rule_refuse(parser, "a value is missing: %s", keyword->help);
	if ((keyword->flags & KEYWORD_NO_VALUE) != 0 && value != NULL && *value != '\0')
		return rule_refuse(parser, "takes no value");
	if ((keyword->flags & KEYWORD_QUOTED) != 0) {
		int ret = option_unquote(parser, &value);

		if (ret != 0)
			return ret;
	}
	int ret = keyword->setup(parser, value);

	if (ret == 0)
		rule_kinds_narrow(parser, keyword->kinds, keyword->name);
	parser->transport = parser->transport || (keyword->kinds & KIND_OTHER_IP) == 0;
	return ret;
}

/*
 * The end of the option that starts at text: its semicolon, escapes respected. One inside quotes is part of the value,
 * unless it stands right behind a quote that is not the first: expressions hold single quotes unescaped. Where both are,
 * a semicolon and more quotes than a pair, a quote is missing and the next option would pass for a part of this one.
 * @param torn  out, whether that is so; NULL: not wanted
 */
static char *
option_end(char *text, bool *torn)
{
	unsigned int quotes = 0;
	bool inside = false;
	char last = '\0';

	for (; *text != '\0'; text++) {
		if (*text == ';' && (quotes % 2 == 0 || (quotes > 1 && last == '"'))) {
			if (torn != NULL)
				*torn = inside && quotes != 2;
			return text;
		}
		inside = inside || *text == ';';
		if (*text == '"')
			quotes++;
		last = isspace((unsigned char)*text) ? last : *text;
		if (*text == '\\' && text[1] != '\0')
			text++;
	}
	return NULL;
}

/* Whether a value goes on with the next option, as in "5 sid:1": what stands before a keyword's colon, outside of quotes or
 * right behind one. An expression may hold anything. @return that keyword, NULL: it does not */
static const char *
option_swallowed(const char *name, const char *value)
{
	bool quoted = false;

	if (value == NULL || strcasecmp(name, "pcre") == 0 || strcasecmp(name, "pcrexform") == 0)
		return NULL;
	for (const char *at = value; *at != '\0'; at++) {
		const struct rule_keyword *keyword;
		char word[32];
		size_t len;

		if (*at == '\\' && at[1] != '\0') {
			at++;
			continue;
		}
		quoted = quoted != (*at == '"');
		if (quoted || (*at != ' ' && *at != '"'))
			continue;
		len = strcspn(at + 1, " :\"");
		if (len == 0 || len >= sizeof(word) || at[1 + len] != ':')
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)len, at + 1);
		keyword = keyword_find(word);
		if (keyword != NULL)
			return keyword->name;
	}
	return NULL;
}

static int
option_read(struct rule_parser *parser, char *name, char *value)
{
	char *blank = strchr(name, ' ');
	const char *next = option_swallowed(name, value);

	if (next != NULL)
		return rule_refuse(parser, "a semicolon is missing before %s:", next);
	if (blank == NULL)
		return option_set(parser, name, value);
	*blank = '\0';
	return rule_refuse(parser, value != NULL ? "a semicolon is missing behind it" : "a colon is missing behind it");
}

int
rule_parse_options(struct rule_parser *parser, char *options)
{
	size_t base = (size_t)(parser->at - parser->text);
	char *start = options;

	for (unsigned int count = 0;; count++) {
		while (isspace((unsigned char)*start))
			start++;
		parser->at = parser->name_at = parser->text + base + (start - options);
		parser->keyword = "";
		if (*start == '\0')
			return 0;
		bool torn = false;
		char *end = option_end(start, &torn);

		if (end == NULL)
			return rule_refuse(parser, "a semicolon or a closing quote is missing");
		if (torn)
			return rule_refuse(parser, "a quote is missing, or one or a semicolon inside of quotes is not escaped");
		if (count == RULE_OPTIONS_MAX)
			return rule_refuse(parser, "more than %d options", RULE_OPTIONS_MAX);
		*end = '\0';
		char *value = strchr(start, ':');

		if (value != NULL) {
			*value = '\0';
			parser->at += value + 1 - start;
			value = rule_trim(value + 1);
		}
		char *name = rule_trim(start);

		parser->keyword = name;
		if (*name == '\0' && value == NULL) {
			start = end + 1;
			continue;
		}
		parser->last_node = NULL;
		parser->behind_bare = parser->is_bare;
		parser->is_bare = false;
		int ret = option_read(parser, name, value);

		if (ret == 0)
			ret = rule_follow_moved(parser);
		if (ret != 0)
			return ret;
		start = end + 1;
	}
}

/* Conditions on the reader come first, wherever they stand: what follows may be of a language not known here. */
static bool
requires_unmet(struct rule_parser *parser, char *options)
{
	bool unmet = false;

	for (char *start = options, *end; (end = option_end(start, NULL)) != NULL; start = end + 1) {
		start += strspn(start, " \t");
		if (strncasecmp(start, "requires:", 9) != 0)
			continue;
		*end = '\0';
		parser->probing = true;
		unmet = rule_setup_requires(parser, rule_trim(start + 9)) == 0 && parser->unmet;
		parser->probing = false;
		break;
	}
	return unmet;
}

/* ---- one rule ---- */

/* What is at fault, in the lines as they stand in the file: line_join() took off their ends. */
static void
error_place(const struct rule_parser *parser, struct rule_error *error)
{
	size_t left = parser->indent + (size_t)(parser->at - parser->text);
	const char *line = parser->raw;

	error->line = parser->line;
	for (;;) {
		const char *stop = memchr(line, '\n', (size_t)(parser->raw_end - line));
		size_t take = line_len(line, stop == NULL ? parser->raw_end : stop);
		bool more = take > 0 && line[take - 1] == '\\';

		take -= more;
		if (left < take || !more || stop == NULL || stop + 1 == parser->raw_end)
			break;
		left -= take;
		line = stop + 1;
		error->line++;
	}
	error->column = (unsigned int)left + 1;
}

static int
error_add(struct rule_parser *parser)
{
	struct ruleset *set = parser->set;
	uint32_t max = parser->config->errors_max > 0 ? parser->config->errors_max : RULE_ERRORS_MAX;

	set->stats.rules_failed++;
	if (set->error_count == max)
		return 0;
	if (set->errors == NULL)
		set->errors = calloc(max, sizeof(*set->errors));
	if (set->errors == NULL)
		return rule_no_memory(parser);
	struct rule_error *error = &set->errors[set->error_count];

	error->file = rule_arena_text(&set->arena, parser->file, strlen(parser->file));
	if (error->file == NULL)
		return rule_no_memory(parser);
	error_place(parser, error);
	error->sid = parser->draft.meta.sid;
	snprintf(error->keyword, sizeof(error->keyword), "%s", parser->keyword);
	snprintf(error->reason, sizeof(error->reason), "%s", parser->reason);
	set->error_count++;
	return 0;
}

static void
draft_reset(struct rule_parser *parser)
{
	parser->draft = (struct rule){ .app = RULE_APP_NONE, .priority = 3 };
	parser->draft.meta.gid = 1;
	parser->body_direction = RULE_EITHER;
	parser->buffer_count = 0;
	parser->directions = 0;
	parser->buffer = -1;
	parser->moved = -1;
	parser->alias = NULL;
	parser->last_node = NULL;
	parser->is_bare = parser->behind_bare = false;
	parser->unmet = false;
	parser->last_content = NULL;
	parser->test_count = 0;
	parser->state_count = 0;
	parser->var_count = 0;
	parser->priority_given = false;
	parser->kinds = parser->header_kinds = KIND_ANY;
	parser->transport = false;
	parser->never[0] = '\0';
	buf_reset(&parser->metadata);
	buf_reset(&parser->references);
	parser->reason[0] = '\0';
	parser->keyword = "";
}

/* sids are worth knowing even of a rule that fails before its sid option. */
static void
sid_peek(struct rule_parser *parser)
{
	const char *at = strstr(parser->text, "sid:");
	unsigned long sid = at == NULL ? 0 : strtoul(at + 4, NULL, 10);

	if (parser->draft.meta.sid == 0 && sid <= UINT32_MAX)
		parser->draft.meta.sid = (uint32_t)sid;
}

static int
rule_read(struct rule_parser *parser, char *work)
{
	char *open = work;
	unsigned int depth = 0;

	for (; *open != '\0' && (*open != '(' || depth > 0); open++)
		depth += *open == '[' ? 1 : *open == ']' && depth > 0 ? -1u : 0;
	parser->at = parser->text;
	if (*open == '\0')
		return rule_refuse(parser, depth > 0 ? "] is missing" : "the options in parentheses are missing");
	char *close = open + strlen(open) - 1;

	while (close > open && isspace((unsigned char)*close))
		close--;
	if (*close != ')') {
		char *last = strrchr(work, ')');

		parser->at = parser->text + (close - work);
		return rule_refuse(parser, last != NULL && last[-1] == ';' ? "text behind the closing parenthesis"
									     : "the closing parenthesis is missing");
	}
	*open = '\0';
	*close = '\0';
	int ret = rule_parse_header(parser, work);

	if (ret != 0)
		return ret;
	parser->at = parser->text + (open + 1 - work);
	ret = rule_parse_options(parser, open + 1);
	if (ret != 0)
		return ret;
	return rule_finish(parser);
}

static int
rule_one(struct rule_parser *parser, const char *text, char *work)
{
	const char *options = strchr(text, '(');

	draft_reset(parser);
	parser->text = text;
	if (options != NULL && strstr(options, "requires:") != NULL) {
		memcpy(work, options + 1, strlen(options));
		if (requires_unmet(parser, work)) {
			parser->set->stats.rules_disabled++;
			return 0;
		}
	}
	parser->first = NULL;
	parser->readings = 1;
	for (parser->reading = 0; parser->reading < parser->readings; parser->reading++) {
		draft_reset(parser);
		memcpy(work, text, strlen(text) + 1);
		(void)rule_read(parser, work);
		if (parser->no_memory)
			return -ENOMEM;
	}
	/* One that fits is enough: what the others look into is not of this rule's protocol or direction. */
	if (parser->first != NULL)
		return 0;
	sid_peek(parser);
	return error_add(parser);
}

/* ---- lines ---- */

/* Joins a rule's lines into out. A comment ends with its line, or with the indented lines that it goes on in: what begins
 * a line behind it is a rule, whatever character the comment ended with. @return the text behind it; *lines counts what was read */
static const char *
line_join(const char *text, const char *end, char *out, bool *too_long, unsigned int *lines)
{
	const char *start = text;
	bool more = true;
	size_t len = 0;

	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	bool comment = start < end && *start == '#';

	*too_long = false;
	*lines = 0;
	while (more && text < end && (*lines == 0 || !comment || *text == ' ' || *text == '\t')) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const char *next = stop == NULL ? end : stop + 1;
		size_t take = line_len(text, stop == NULL ? end : stop);

		more = take > 0 && text[take - 1] == '\\';
		take -= more;
		/* What fits still says whether it is a comment, and which rule is refused. */
		if (take >= RULE_TEXT_MAX - len) {
			*too_long = true;
			take = RULE_TEXT_MAX - len - 1;
		}
		memcpy(out + len, text, take);
		len += take;
		text = next;
		(*lines)++;
	}
	out[len] = '\0';
	return text;
}

/* What an editor of another system may have made of the whole file. */
static int
refuse_text(struct rule_parser *parser, const char *text, size_t len, const char *reason)
{
	draft_reset(parser);
	parser->raw = parser->text = parser->at = text;
	parser->raw_end = text + len;
	parser->indent = 0;
	parser->line = 1;
	rule_refuse(parser, "%s", reason);
	return error_add(parser);
}

int
rule_parse_text(struct rule_parser *parser, const char *file, const char *text, size_t len)
{
	const char *end = text + len;
	unsigned int line = 1;
	char *joined;
	int ret;

	parser->file = file;
	if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
		return refuse_text(parser, text, len, "the file is UTF-16, and none of its rules is read: save it as UTF-8");
	joined = malloc(2 * RULE_TEXT_MAX);
	ret = joined == NULL ? rule_no_memory(parser) : 0;
	while (ret == 0 && text < end) {
		unsigned int lines;
		bool too_long;

		parser->raw = text;
		text = parser->raw_end = line_join(text, end, joined, &too_long, &lines);
		parser->line = line;
		line += lines;
		for (char *at = joined; *at != '\0'; at++)
			if ((unsigned char)*at < ' ')
				*at = ' ';
		const char *start = joined + strspn(joined, " ");

		if (*start == '\0' || *start == '#')
			continue;
		parser->indent = (size_t)(start - joined);
		if (too_long) {
			draft_reset(parser);
			parser->text = parser->at = start;
			rule_refuse(parser, "the rule is longer than %d characters", RULE_TEXT_MAX);
			ret = error_add(parser);
			continue;
		}
		ret = rule_one(parser, start, joined + RULE_TEXT_MAX);
	}
	free(joined);
	return ret;
}
