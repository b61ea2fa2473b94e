/* iprep and geoip: what is known of the packet's addresses from elsewhere. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/rule/keyword.h"
#include "lib/rule/rule_reputation.h"
#include "lib/rule/rule_tests.h"

static const char *const side_names[] = { [ADDRESS_ANY] = "any", [ADDRESS_SRC] = "src", [ADDRESS_DST] = "dst",
	[ADDRESS_BOTH] = "both" };

static int
side_of(const char *word)
{
	for (int i = 0; i < (int)(sizeof(side_names) / sizeof(side_names[0])); i++)
		if (word != NULL && strcmp(side_names[i], word) == 0)
			return i;
	return -1;
}

/* iprep:any|src|dst|both,category,operator,score  or  ...,category,isset|isnotset */
int
rule_setup_iprep(struct rule_parser *parser, char *value)
{
	char *side = rule_split(&value, ','), *category = rule_split(&value, ','), *op = rule_split(&value, ',');
	char *score = rule_split(&value, ','), text[64];

	if (parser->set->reputation == NULL)
		return rule_refuse(parser, "no reputation is known: reputation-categories-file is not set");
	int which = side_of(side), number = category == NULL ? -1 : rule_reputation_category(parser->set->reputation, category);

	if (which < 0)
		return rule_refuse(parser, "\"%.20s\" is not any, src, dst or both", side);
	if (number < 0)
		return rule_refuse(parser, "reputation category \"%.40s\" is not known", category == NULL ? "" : category);
	bool set = op != NULL && strcmp(op, "isset") == 0, unset = op != NULL && strcmp(op, "isnotset") == 0;

	if (op == NULL || (score == NULL) != (set || unset))
		return rule_refuse(parser, "the form is side,category,operator,score or side,category,isset|isnotset");
	snprintf(text, sizeof(text), "%.4s%.20s", score == NULL ? ">=" : op, score == NULL ? "0" : score);
	int ret = rule_add_number_test(parser, text, NULL, rule_test_iprep, INT64_MAX);

	if (ret != 0)
		return ret;
	parser->tests[parser->test_count - 1].negated = unset;
	parser->tests[parser->test_count - 1].extra = (uint64_t)which | (uint64_t)number << 8;
	return 0;
}

/* geoip:[any|src|dst|both,][!]CC[,[!]CC] */
int
rule_setup_geoip(struct rule_parser *parser, char *value)
{
	struct rule_number items[RULE_NUMBERS_MAX];
	struct rule_test *test = rule_add_test(parser, rule_test_geoip);
	char *word = rule_split(&value, ',');
	int which = side_of(word);

	if (test == NULL)
		return -EINVAL;
	if (parser->set->geoip == NULL)
		return rule_refuse(parser, "no country is known: geoip-database is not set");
	if (which >= 0)
		word = rule_split(&value, ',');
	for (; word != NULL; word = rule_split(&value, ',')) {
		bool negated = *word == '!';
		const char *code = rule_trim(word + negated);

		if (test->numbers.count == RULE_NUMBERS_MAX)
			return rule_refuse(parser, "more than %d countries", RULE_NUMBERS_MAX);
		if (strlen(code) != 2 || !isalnum((unsigned char)code[0]) || !isalnum((unsigned char)code[1]))
			return rule_refuse(parser, "\"%.20s\" is not a country's two letters", word);
		items[test->numbers.count++] = (struct rule_number){ .op = NUMBER_EQUAL, .negated = negated,
			.a = toupper((unsigned char)code[0]) << 8 | toupper((unsigned char)code[1]) };
		if (negated != items[0].negated)
			return rule_refuse(parser, "countries that are and that are not do not go together");
	}
	if (test->numbers.count == 0)
		return rule_refuse(parser, "a country is missing");
	test->numbers.every = items[0].negated;
	test->numbers.items = rule_arena_copy(&parser->set->arena, items, test->numbers.count * sizeof(items[0]));
	test->extra = which < 0 ? ADDRESS_ANY : (uint64_t)which;
	return test->numbers.items == NULL ? rule_no_memory(parser) : 0;
}
