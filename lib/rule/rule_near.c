/* What was meant by a keyword or a name that is not known: a public set may have thousands of them, so the first ones are told alone. */
#include <stdio.h>
#include <string.h>

#include "lib/base/near.h"
#include "lib/rule/keyword.h"

enum { NEAR_ERRORS_MAX = 100, NEAR_PATH_MAX = 256 };

static bool
is_wanted(const struct rule_parser *parser)
{
	return !parser->probing && parser->reason[0] == '\0' && parser->set->error_count < NEAR_ERRORS_MAX;
}

/* Depth is bounded by RECORD_DEPTH_MAX, as in the table's check. */
static void
offer_fields(struct near *near, const struct record_table *table, const char *prefix)
{
	char path[NEAR_PATH_MAX];

	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct field *field = &table->fields[i];

		if ((field->flags & FIELD_BESIDE) != 0)
			snprintf(path, sizeof(path), "%s", field->path);
		else
			snprintf(path, sizeof(path), "%s.%s", prefix, field->path);
		if ((field->flags & FIELD_LATE) != 0)
			continue;
		near_offer(near, path);
		for (const struct record_table *const *child = field->children; field->type == FIELD_LIST && *child != NULL; child++)
			offer_fields(near, *child, path);
	}
}

static void
offer_app(struct near *near, const struct rule_app *app)
{
	for (unsigned int i = 0; i < app->keyword_count; i++)
		near_offer(near, app->keywords[i].name);
	for (unsigned int i = 0; i < app->buffer_count; i++)
		near_offer(near, app->buffers[i].name);
	if (app->record != NULL)
		offer_fields(near, app->record, app->record->name);
}

const char *
rule_near_keyword(const struct rule_parser *parser, const char *written, struct near *near)
{
	*near = (struct near){ .written = written };
	if (!is_wanted(parser))
		return near->best;
	for (const struct rule_keyword *keyword = rule_keywords; keyword->name != NULL; keyword++)
		near_offer(near, keyword->name);
	rule_buffer_offer(near);
	for (unsigned int i = 0; i < parser->set->world.app_count; i++)
		offer_app(near, parser->set->world.apps[i]);
	return near->best;
}

const char *
rule_near_app(const struct rule_parser *parser, const char *written, struct near *near)
{
	*near = (struct near){ .written = written };
	for (unsigned int i = 0; is_wanted(parser) && i < parser->set->world.app_count; i++)
		near_offer(near, parser->set->world.apps[i]->name);
	return near->best;
}

/* All of them where they are few and short, as a rule writes them: with quotes where a name has a comma. */
static void
put_names(char *out, size_t len, const struct field_names *names)
{
	enum { SHOWN_MAX = 8 };
	size_t at = 0;

	for (uint16_t i = 0; names->count <= SHOWN_MAX && i < names->count && at < len; i++) {
		const char *quote = strchr(names->rows[i].name, ',') != NULL ? "\"" : "";

		at += (size_t)snprintf(out + at, len - at, "%s%s%s%s", i == 0 ? "; it has " : ", ", quote, names->rows[i].name, quote);
	}
	if (at == 0 || at >= len)
		out[0] = '\0';
}

int
rule_refuse_name(struct rule_parser *parser, const char *text, const struct field_names *names)
{
	struct near near = { .written = text };
	char few[128];

	if (names == NULL)
		return rule_refuse(parser, *text == '"' ? "%.60s: a number stands without quotes" : "\"%.60s\" is not a number", text);
	for (uint16_t i = 0; is_wanted(parser) && i < names->count; i++)
		near_offer(&near, names->rows[i].name);
	put_names(few, sizeof(few), names);
	return rule_refuse(parser, "\"%.60s\" is neither a number nor a name of this field%s%s%s", text,
		near.distance > 0 ? "; the nearest is \"" : few, near.best, near.distance > 0 ? "\"" : "");
}
