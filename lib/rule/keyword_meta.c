/* Keywords that say what a rule is, not what it matches. */
#include <ctype.h>
#include <errno.h>
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
	int ret = meta_number(parser, value, &parser->draft.meta.sid);

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

	if (strchr(value, ',') == NULL)
		return rule_refuse(parser, "a reference is \"scheme,value\"");
	buf_putc(out, out->len == 0 ? '[' : ',');
	buf_json_string(out, value, strlen(value));
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

/* Only conditions on versions are known; every present one is met, and an unknown keyword is refused where it stands. */
int
rule_setup_requires(struct rule_parser *parser, char *value)
{
	char *piece;

	while ((piece = rule_split(&value, ',')) != NULL) {
		if (strncmp(piece, "version", 7) == 0)
			continue;
		return rule_refuse(parser, "requires \"%.60s\", which is not here", piece);
	}
	return 0;
}

int
rule_setup_ignored(struct rule_parser *parser, char *value)
{
	(void)parser;
	(void)value;
	return 0;
}
