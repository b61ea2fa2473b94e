#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_parser.h"

char *
rule_trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	size_t len = strlen(text);

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

char *
rule_split(char **rest, char separator)
{
	char *start = *rest;
	bool quoted = false;

	if (start == NULL)
		return NULL;
	for (char *at = start; *at != '\0'; at++) {
		if (*at == '\\' && at[1] != '\0') {
			at++;
			continue;
		}
		if (*at == '"')
			quoted = !quoted;
		if (*at == separator && !quoted) {
			*at = '\0';
			*rest = at + 1;
			return rule_trim(start);
		}
	}
	*rest = NULL;
	return rule_trim(start);
}

bool
rule_integer(const char *text, int64_t *out)
{
	char *end;
	const char *digits = text[0] == '-' || text[0] == '+' ? text + 1 : text;
	bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');

	if (!isdigit((unsigned char)digits[0]))
		return false;
	errno = 0;
	if (text[0] == '-')
		*out = strtoll(text, &end, hex ? 16 : 10);
	else
		*out = (int64_t)strtoull(text, &end, hex ? 16 : 10);
	return errno == 0 && *end == '\0';
}

int
rule_var_index(struct rule_parser *parser, const char *name, bool create)
{
	for (unsigned int i = 0; i < parser->var_count; i++)
		if (strcmp(parser->var_names[i], name) == 0)
			return (int)i;
	if (!create || parser->var_count == RULE_VARS_MAX || strlen(name) >= sizeof(parser->var_names[0]))
		return -1;
	memcpy(parser->var_names[parser->var_count], name, strlen(name) + 1);
	return (int)parser->var_count++;
}

int
rule_value_parse(struct rule_parser *parser, const char *text, struct rule_value *out)
{
	out->var = -1;
	if (rule_integer(text, &out->number))
		return 0;
	int var = rule_var_index(parser, text, false);

	if (var < 0)
		return rule_refuse(parser, "\"%s\" is neither a number nor a variable that byte_extract or byte_math made", text);
	out->var = (int8_t)var;
	return 0;
}

/* "10kb", "1 MiB": powers of 1,024. What no integer holds is no number. */
static bool
number_with_unit(const char *text, int64_t *value)
{
	static const char letters[] = "kmg";
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits + strspn(text + digits, " ");
	const char *letter = *unit == '\0' ? NULL : strchr(letters, *unit | 0x20);
	unsigned int shift;
	char number[16];

	if (digits == 0 || digits >= sizeof(number) || letter == NULL || (strcasecmp(unit + 1, "b") != 0 && strcasecmp(unit + 1, "ib") != 0))
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)digits, text);
	shift = 10 * (unsigned int)(letter - letters + 1);
	*value = (int64_t)strtoll(number, NULL, 10);
	if (*value > INT64_MAX >> shift)
		return false;
	*value <<= shift;
	return true;
}

/* "0xc0=0x80", "0xc0!=0" behind &: bits, and what they must (not) be. @return whether it is that */
static bool
number_masked(char *text, struct rule_number *out)
{
	char *equals = strchr(text, '=');
	bool negated = equals != NULL && equals > text && equals[-1] == '!';

	if (equals == NULL)
		return false;
	*(negated ? equals - 1 : equals) = '\0';
	if (!rule_integer(rule_trim(text), &out->a) || !rule_integer(rule_trim(equals + 1), &out->b))
		return false;
	out->op = NUMBER_MASKED;
	out->negated = negated;
	return true;
}

/* Words for a state that may have names of its own, as "yes" and "no". */
static bool
number_word(const char *text, bool has_names, int64_t *value)
{
	static const struct {
		const char *word;
		bool only_names, value;
	} words[] = { { "true", false, true }, { "false", false, false }, { "on", true, true }, { "off", true, false } };

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if ((has_names || !words[i].only_names) && strcasecmp(text, words[i].word) == 0) {
			*value = words[i].value;
			return true;
		}
	return false;
}

/* A name of the enumeration, "true", "false", "on", "off", or a number. */
static bool
number_one(const char *text, const struct field_names *names, int64_t *value, double *real)
{
	uint32_t named;
	char *end;

	if (rule_integer(text, value)) {
		*real = (double)*value;
		return true;
	}
	if (names != NULL && field_value_of(names, text, &named)) {
		*value = named;
		*real = named;
		return true;
	}
	if (number_word(text, names != NULL, value) || number_with_unit(text, value)) {
		*real = (double)*value;
		return true;
	}
	if (!isdigit((unsigned char)text[0]) && text[0] != '-' && text[0] != '.')
		return false;
	*real = strtod(text, &end);
	*value = fabs(*real) < 9e18 ? (int64_t)floor(*real) : *real > 0 ? INT64_MAX : INT64_MIN;
	return end != text && *end == '\0' && isfinite(*real);
}

/* A number between two integers: the value is the lower one. */
static bool
number_between(int64_t value, double real)
{
	return (double)value != real;
}

/* "2<>5", "2-5": what lies between, without the ends. */
static int
number_range(struct rule_parser *parser, char *text, char *mark, size_t mark_len, const struct field_names *names,
	struct rule_number *out)
{
	char *high = rule_trim(mark + mark_len);

	*mark = '\0';
	char *low = rule_trim(text);

	if (!number_one(low, names, &out->a, &out->fa) || !number_one(high, names, &out->b, &out->fb))
		return rule_refuse(parser, "\"%s\" and \"%s\" do not make a range", low, high);
	out->op = NUMBER_RANGE;
	out->a += number_between(out->a, out->fa) && out->a < INT64_MAX;
	if (out->a >= out->b && out->fa >= out->fb)
		return rule_refuse(parser, "the range %s to %s is empty", low, high);
	out->a += !number_between(out->a, out->fa);
	out->b -= !number_between(out->b, out->fb);
	out->fa = nextafter(out->fa, INFINITY);
	out->fb = nextafter(out->fb, -INFINITY);
	if (out->a > out->b) /* fractions alone */
		out->a = out->b = INT64_MIN;
	return 0;
}

static const struct {
	const char *text;
	uint8_t op;
	int8_t adjust; /* >= 5 is > 4 */
	bool negated;
} number_marks[] = {
	{ ">=", NUMBER_ABOVE, -1, false },
	{ "<=", NUMBER_BELOW, 1, false },
	{ "!=", NUMBER_EQUAL, 0, true },
	{ ">", NUMBER_ABOVE, 0, false },
	{ "<", NUMBER_BELOW, 0, false },
	{ "==", NUMBER_EQUAL, 0, false },
	{ "=", NUMBER_EQUAL, 0, false },
	{ "!&", NUMBER_MASK_NONE, 0, false },
	{ "&", NUMBER_MASK, 0, false },
	{ NULL, NUMBER_EQUAL, 0, false },
};

/* What integers and fractions are asked: of 1.5 none is equal, those from 2 on are above, those up to 1 below. */
static void
number_adjust(struct rule_number *out, int8_t adjust)
{
	if (!number_between(out->a, out->fa))
		out->a += adjust;
	else if (out->op == NUMBER_EQUAL)
		out->a = INT64_MIN; /* which no record has */
	else if (out->op == NUMBER_BELOW)
		out->a += out->a < INT64_MAX;
	if (adjust != 0)
		out->fa = nextafter(out->fa, adjust * INFINITY);
}

static int
number_item(struct rule_parser *parser, char *text, const struct field_names *names, struct rule_number *out)
{
	unsigned int i = 0;
	char *mark = strstr(text, "<>");

	while (number_marks[i].text != NULL && strncmp(text, number_marks[i].text, strlen(number_marks[i].text)) != 0)
		i++;
	if (number_marks[i].text == NULL && *text == '!') {
		out->negated = true;
		text = rule_trim(text + 1);
	}
	if (mark != NULL && mark > text)
		return number_range(parser, text, mark, 2, names, out);
	if (number_marks[i].text != NULL) {
		text = rule_trim(text + strlen(number_marks[i].text));
		out->negated = number_marks[i].negated;
	}
	out->op = number_marks[i].op;
	if (out->op == NUMBER_MASK && number_masked(text, out))
		return (out->b & ~out->a) == 0 ? 0 : rule_refuse(parser, "bits beyond the mask can never be set");
	if (number_one(text, names, &out->a, &out->fa)) {
		number_adjust(out, number_marks[i].adjust);
		return 0;
	}
	mark = strchr(text + (*text != '\0'), '-');
	if (mark != NULL && number_marks[i].text == NULL)
		return number_range(parser, text, mark, 1, names, out);
	return rule_refuse_name(parser, text, names);
}

/* Names that have a comma in them stand in quotes: ["basic, stream access", !"regular, stream access"]. */
static void
number_unquote(char *piece)
{
	char *open = strchr(piece, '"'), *close = strrchr(piece, '"');

	if (open == NULL || open == close || close[1] != '\0' || open != piece + strspn(piece, "!= "))
		return;
	*close = '\0';
	memmove(open, open + 1, (size_t)(close - open));
}

/* A name may stand for several numbers: the others, as alternatives of the first. @return false: too many */
static bool
number_namesakes(const char *text, const struct field_names *names, struct rule_number *items, uint16_t *count)
{
	const struct rule_number first = items[*count];
	const char *name;

	if (first.op != NUMBER_EQUAL || first.a < 0 || first.a > UINT32_MAX)
		return true;
	name = field_name_of(names, (uint32_t)first.a);
	if (name == NULL || strcasecmp(name, text + strspn(text, "!= ")) != 0)
		return true;
	for (uint32_t i = 0; i < names->count; i++) {
		if (names->rows[i].value == first.a || strcasecmp(names->rows[i].name, name) != 0)
			continue;
		if (*count + 1 == RULE_NUMBERS_MAX)
			return false;
		items[++*count] = first;
		items[*count].a = names->rows[i].value;
		items[*count].fa = names->rows[i].value;
	}
	return true;
}

int
rule_numbers_parse(struct rule_parser *parser, char *text, const struct field_names *names, bool bit_names,
	struct rule_numbers *out)
{
	struct rule_number items[RULE_NUMBERS_MAX];
	size_t len = strlen(text);
	char *piece;

	*out = (struct rule_numbers){ 0 };
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text[len - 1] = '\0';
		text++;
	}
	while ((piece = rule_split(&text, ',')) != NULL) {
		struct rule_number *item = &items[out->count];
		uint32_t bit;
		bool not = *piece == '!';

		if (out->count == RULE_NUMBERS_MAX)
			return rule_refuse(parser, "more than %d alternatives", RULE_NUMBERS_MAX);
		if (*piece == '\0')
			return rule_refuse(parser, "a number is missing");
		*item = (struct rule_number){ 0 };
		if (names != NULL)
			number_unquote(piece);
		if (bit_names && field_value_of(names, rule_trim(piece + not), &bit)) {
			out->every = true;
			item->op = not ? NUMBER_MASK_NONE : NUMBER_MASK;
			item->a = INT64_C(1) << (bit & 63);
		} else if (number_item(parser, piece, bit_names ? NULL : names, item) != 0) {
			return -EINVAL;
		} else if (names != NULL && !bit_names && !number_namesakes(piece, names, items, &out->count)) {
			return rule_refuse(parser, "more than %d alternatives", RULE_NUMBERS_MAX);
		}
		out->count++;
	}
	bool all_negated = true;

	for (unsigned int i = 0; i < out->count; i++)
		all_negated = all_negated && items[i].negated;
	out->every = out->every || all_negated; /* !1,!2 means neither */
	out->items = rule_arena_copy(&parser->set->arena, items, out->count * sizeof(items[0]));
	return out->items == NULL ? rule_no_memory(parser) : 0;
}

/* Ends of ranges stand a hair's breadth inside of what was written. */
static bool
is_fraction(double real)
{
	return fabs(real - rint(real)) > 1e-9;
}

/* Whether some value from low to high is so; fractions are nobody's, and are let be. */
static bool
number_possible(const struct rule_number *number, int64_t low, int64_t high)
{
	switch (number->op) {
	case NUMBER_BELOW:
		return number->a > low;
	case NUMBER_ABOVE:
		return number->a < high;
	case NUMBER_RANGE:
		return is_fraction(number->fa) || is_fraction(number->fb)
			|| (number->b > INT64_MIN && (number->negated || (number->a <= high && number->b >= low)));
	case NUMBER_EQUAL:
		return number->negated || is_fraction(number->fa) || (number->a >= low && number->a <= high);
	default:
		return true;
	}
}

int
rule_numbers_check(struct rule_parser *parser, const struct rule_numbers *numbers, int64_t low, int64_t high)
{
	for (unsigned int i = 0; i < numbers->count; i++) {
		const struct rule_number *number = &numbers->items[i];

		if (number_possible(number, low, high))
			continue;
		if (number->op == NUMBER_RANGE && number->b == INT64_MIN)
			return rule_refuse(parser, "nothing lies between %.15g and %.15g", number->fa, number->fb);
		return rule_refuse(parser, "the values go from %" PRId64 " to %" PRId64, low, high);
	}
	return 0;
}

static bool
number_holds(const struct rule_number *number, int64_t value)
{
	switch (number->op) {
	case NUMBER_BELOW:
		return value < number->a;
	case NUMBER_ABOVE:
		return value > number->a;
	case NUMBER_RANGE:
		return value >= number->a && value <= number->b;
	case NUMBER_MASK:
		return (value & number->a) == number->a;
	case NUMBER_MASK_NONE:
		return (value & number->a) == 0;
	case NUMBER_MASKED:
		return (value & number->a) == number->b;
	default:
		return value == number->a;
	}
}

bool
rule_numbers_match(const struct rule_numbers *numbers, int64_t value)
{
	for (unsigned int i = 0; i < numbers->count; i++)
		if ((number_holds(&numbers->items[i], value) != numbers->items[i].negated) != numbers->every)
			return !numbers->every;
	return numbers->every;
}

bool
rule_numbers_match_double(const struct rule_numbers *numbers, double value)
{
	for (unsigned int i = 0; i < numbers->count; i++) {
		const struct rule_number *n = &numbers->items[i];
		bool holds = n->op == NUMBER_BELOW ? value < n->fa
			: n->op == NUMBER_ABOVE    ? value > n->fa
			: n->op == NUMBER_RANGE    ? value >= n->fa && value <= n->fb
						   : value == n->fa;

		if (n->op >= NUMBER_MASK) /* it has no bits */
			holds = n->negated;
		if ((holds != n->negated) != numbers->every)
			return !numbers->every;
	}
	return numbers->every;
}
