/* Keywords that say what a rule is, not what it matches. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/rule/keyword.h"

static int
meta_number(struct rule_parser *parser, const char *value, uint32_t *out)
{
	int64_t number;

	if (!rule_integer(value, &number) || number < 0 || number > UINT32_MAX)
		return rule_refuse(parser, "\"%.40s\" is not a number from 0 to 4294967295", value);
	*out = (uint32_t)number;
	return 0;
}

int
rule_setup_msg(struct rule_parser *parser, char *value)
{
	char *out = value;

	for (const char *at = value; *at != '\0'; at++) {
		if (*at == '\\' && at[1] != '\0')
			at++;
		*out++ = *at;
	}
	*out = '\0';
	parser->draft.meta.msg = rule_arena_text(&parser->set->arena, value, strlen(value));
	return parser->draft.meta.msg == NULL ? rule_no_memory(parser) : 0;
}

int
rule_setup_sid(struct rule_parser *parser, char *value)
{
	bool again = parser->draft.meta.sid != 0;
	int ret = again ? rule_refuse(parser, "given twice") : meta_number(parser, value, &parser->draft.meta.sid);

	if (ret == 0 && parser->draft.meta.sid == 0)
		return rule_refuse(parser, "sid 0 is not allowed");
	return ret;
}

int
rule_setup_rev(struct rule_parser *parser, char *value)
{
	return meta_number(parser, value, &parser->draft.meta.rev);
}

int
rule_setup_gid(struct rule_parser *parser, char *value)
{
	return meta_number(parser, value, &parser->draft.meta.gid);
}

int
rule_setup_classtype(struct rule_parser *parser, char *value)
{
	for (unsigned int i = 0; i < parser->class_count; i++) {
		const struct rule_class_row *row = &parser->classes[i];

		if (strcasecmp(row->name, value) != 0)
			continue;
		parser->draft.meta.classtype = rule_arena_text(&parser->set->arena, row->name, strlen(row->name));
		parser->draft.meta.category = rule_arena_text(&parser->set->arena, row->description, strlen(row->description));
		if (!parser->priority_given)
			parser->draft.priority = row->priority;
		return parser->draft.meta.category == NULL ? rule_no_memory(parser) : 0;
	}
	/* As elsewhere, a class that nobody described takes no rule away. */
	parser->draft.meta.classtype = rule_arena_text(&parser->set->arena, value, strlen(value));
	return parser->draft.meta.classtype == NULL ? rule_no_memory(parser) : 0;
}

int
rule_setup_priority(struct rule_parser *parser, char *value)
{
	int64_t number;

	if (!rule_integer(value, &number) || number < 1 || number > 255)
		return rule_refuse(parser, "\"%.40s\" is not a priority from 1 to 255", value);
	parser->priority_given = true;
	parser->draft.priority = (uint8_t)number;
	return 0;
}

int
rule_setup_reference(struct rule_parser *parser, char *value)
{
	struct buf *out = &parser->references;
	char *rest = value, address[1024];
	size_t scheme_len = strcspn(value, ",");

	if (value[scheme_len] == '\0')
		return rule_refuse(parser, "a reference is \"scheme,value\"");
	for (unsigned int i = 0; i < parser->scheme_count; i++)
		if (strlen(parser->schemes[i].scheme) == scheme_len
			&& strncasecmp(parser->schemes[i].scheme, value, scheme_len) == 0) {
			snprintf(address, sizeof(address), "%s%s", parser->schemes[i].prefix, rule_trim(value + scheme_len + 1));
			rest = address;
			break;
		}
	buf_putc(out, out->len == 0 ? '[' : ',');
	buf_json_string(out, rest, strlen(rest));
	return 0;
}

/* "key value, key value": values of one key become one array, where they follow one another. */
int
rule_setup_metadata(struct rule_parser *parser, char *value)
{
	struct buf *out = &parser->metadata;
	char last[64] = "", *pair;

	while ((pair = rule_split(&value, ',')) != NULL) {
		size_t key_len = strcspn(pair, " \t:");
		char *text = pair + key_len;

		if (key_len == 0 || key_len >= sizeof(last))
			continue;
		if (*text != '\0')
			*text++ = '\0';
		text = rule_trim(text);
		if (strcmp(last, pair) == 0) {
			buf_putc(out, ',');
		} else {
			buf_puts(out, out->len == 0 ? "{" : "],");
			buf_json_string(out, pair, key_len);
			buf_puts(out, ":[");
			memcpy(last, pair, key_len + 1);
		}
		buf_json_string(out, text, strlen(text));
	}
	return 0;
}

int
rule_setup_target(struct rule_parser *parser, char *value)
{
	if (strcmp(value, "src_ip") != 0 && strcmp(value, "dest_ip") != 0)
		return rule_refuse(parser, "target is src_ip or dest_ip");
	parser->draft.meta.target = value[0] == 's' ? "src_ip" : "dest_ip";
	return 0;
}

int
rule_setup_noalert(struct rule_parser *parser, char *value)
{
	(void)value;
	parser->draft.flags |= RULE_NOALERT;
	return 0;
}

int
rule_setup_alert(struct rule_parser *parser, char *value)
{
	(void)value;
	parser->draft.flags |= RULE_PASS_ALERT;
	return 0;
}

/* The language that is spoken here, as its makers number it: `requires` compares with it. */
static const int language_version[3] = { 9, 0, 0 };

static const char *const features[] = { "geoip", "pcre_jit", "hyperscan" };

/* "7.0.3" against the language's. @return below, at or above 0; *wrong: no version */
static int
version_compare(const char *text, bool *wrong)
{
	int wanted[3] = { 0 }, used = 0;
	int count = sscanf(text, "%4d.%4d.%4d%n", &wanted[0], &wanted[1], &wanted[2], &used);

	*wrong = count < 1;
	for (unsigned int i = 0; i < 3; i++)
		if (language_version[i] != wanted[i])
			return language_version[i] < wanted[i] ? -1 : 1;
	return 0;
}

static bool
version_holds(char *word, bool *wrong)
{
	size_t mark = strspn(word, "<>=");
	int order = version_compare(rule_trim(word + mark), wrong);

	if (mark == 2 && word[1] == '=')
		return word[0] == '>' ? order >= 0 : order <= 0;
	*wrong = *wrong || mark != 1 || word[0] == '=';
	return word[0] == '>' ? order > 0 : order < 0;
}

/* ">=7.0.0 <8 | >=8.0.1": one of the alternatives, each with all its words. */
static int
requires_version(struct rule_parser *parser, char *text)
{
	bool met = false;
	char *alternative;

	while ((alternative = rule_split(&text, '|')) != NULL) {
		bool all = true;

		for (char *word = alternative; word != NULL && *word != '\0';) {
			char *next = word + strspn(word, "<>= \t");
			bool wrong;

			next += strcspn(next, " \t<>");
			char kept = *next;

			*next = '\0';
			all = version_holds(word, &wrong) && all;
			if (wrong)
				return rule_refuse(parser, "\"%.40s\" is not an operator < <= > >= and a version", word);
			*next = kept;
			word = next + strspn(next, " \t");
		}
		met = met || all;
	}
	parser->unmet = parser->unmet || !met;
	return 0;
}

/* A rule whose conditions are not met, or not known, is left out, counted as disabled: its author meant it for another version. */
int
rule_setup_requires(struct rule_parser *parser, char *value)
{
	char *piece;

	while ((piece = rule_split(&value, ',')) != NULL) {
		char *argument = piece + strcspn(piece, " \t<>=");
		size_t len = (size_t)(argument - piece);
		bool found = false;
		int ret = 0;

		argument = rule_trim(argument);
		if (len == 7 && strncmp(piece, "version", len) == 0) {
			ret = requires_version(parser, argument);
			found = true;
		} else if (len == 7 && strncmp(piece, "feature", len) == 0) {
			for (unsigned int i = 0; i < sizeof(features) / sizeof(features[0]); i++)
				found = found || strcmp(features[i], argument) == 0;
		} else if (len == 7 && strncmp(piece, "keyword", len) == 0) {
			found = !parser->probing || rule_keyword_known(parser, argument);
		} /* a condition that is not known here cannot be met */
		if (ret != 0)
			return ret;
		parser->unmet = parser->unmet || !found;
	}
	return 0;
}

/* config:logging disable, type tx, scope tx|flow: what the rule matches is not logged as a record. */
int
rule_setup_config(struct rule_parser *parser, char *value)
{
	static const char *const words[] = { "logging disable", "type tx", "type flow", "scope tx", "scope flow" };
	unsigned int seen = 0;
	char *piece;

	while ((piece = rule_split(&value, ',')) != NULL) {
		unsigned int i = 0;

		while (i < 5 && strcmp(words[i], piece) != 0)
			i++;
		if (i == 5)
			return rule_refuse(parser, "\"%.40s\" is not logging disable, type tx or scope tx|flow", piece);
		if (i == 2)
			return rule_refuse(parser, "the flow's own record is always logged: only type tx can be silenced");
		seen |= 1u << (i + 1) / 2;
		parser->draft.flags |= i == 4 ? RULE_QUIET_FLOW : 0;
	}
	if (seen != 7)
		return rule_refuse(parser, "logging, type and scope are all needed");
	if (parser->draft.meta.action != RULE_CONFIG)
		return rule_refuse(parser, "only rules of action config configure");
	parser->set->quiet_flows = parser->set->quiet_flows || (parser->draft.flags & RULE_QUIET_FLOW) != 0;
	parser->draft.flags |= RULE_QUIET;
	return 0;
}

int
rule_setup_ignored(struct rule_parser *parser, char *value)
{
	(void)parser;
	(void)value;
	return 0;
}
