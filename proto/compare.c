#include "proto/compare.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char *
compare_skip_space(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

bool
compare_number(const char **at, uint64_t max, uint64_t *out)
{
	char *end;

	*at = compare_skip_space(*at);
	if (!isdigit((unsigned char)**at))
		return false;
	*out = strtoull(*at, &end, (*at)[0] == '0' && ((*at)[1] | 0x20) == 'x' ? 16 : 10);
	*at = compare_skip_space(end);
	return *out <= max;
}

/* Behind the ampersand. */
static bool
mask_parse(const char *at, uint64_t max, struct rule_app_test *out)
{
	if (!compare_number(&at, max, &out->words[1]))
		return false;
	out->words[0] |= COMPARE_MASK;
	if (*at == '!') {
		out->words[0] ^= COMPARE_NEGATED;
		at++;
	}
	return *at == '=' && (at++, compare_number(&at, max, &out->words[2])) && *at == '\0';
}

/* Behind the first number: nothing, or a second one. */
static bool
between_parse(const char *at, uint64_t max, struct rule_app_test *out)
{
	if (*at != '-' && strncmp(at, "<>", 2) != 0)
		return *at == '\0';
	at += *at == '-' ? 1 : 2;
	out->words[0] |= COMPARE_BETWEEN;
	return compare_number(&at, max, &out->words[2]) && *at == '\0' && out->words[1] < out->words[2];
}

bool
compare_parse(const char *text, uint64_t max, struct rule_app_test *out)
{
	const char *at = compare_skip_space(text);
	char sign;

	out->words[0] = out->words[1] = out->words[2] = 0;
	if (*at == '!') {
		out->words[0] = COMPARE_NEGATED;
		at = compare_skip_space(at + 1);
	}
	if (*at == '&')
		return mask_parse(at + 1, max, out);
	sign = *at == '<' || *at == '>' ? *at++ : '=';
	if (*at == '=') {
		at++;
		if (sign != '=') { /* "<=" is "not above", ">=" is "not below" */
			sign = sign == '<' ? '>' : '<';
			out->words[0] ^= COMPARE_NEGATED;
		}
	}
	if (!compare_number(&at, max, &out->words[1]))
		return false;
	if (sign == '=')
		return between_parse(at, max, out);
	out->words[0] |= sign == '<' ? COMPARE_BELOW : COMPARE_ABOVE;
	return *at == '\0';
}

bool
compare_holds(const struct rule_app_test *test, uint64_t value)
{
	uint64_t a = test->words[1], b = test->words[2];
	bool holds = false;

	switch (test->words[0] & ~(uint64_t)COMPARE_NEGATED) {
	case COMPARE_EQUAL:
		holds = value == a;
		break;
	case COMPARE_BELOW:
		holds = value < a;
		break;
	case COMPARE_ABOVE:
		holds = value > a;
		break;
	case COMPARE_BETWEEN:
		holds = value > a && value < b;
		break;
	case COMPARE_MASK:
		holds = (value & a) == b;
		break;
	case COMPARE_ANY:
		holds = (value & a) != 0;
		break;
	}
	return holds != ((test->words[0] & COMPARE_NEGATED) != 0);
}
