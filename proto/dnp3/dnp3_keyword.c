/*
 * The rule keywords of DNP3 that are more than a field: dnp3_func, dnp3_ind, dnp3_obj (also
 * with a dot), and the buffer dnp3_data. Their language is Snort's and Suricata's.
 */
#include "proto/dnp3/dnp3.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/compare.h"

enum { VALUE_LEN_MAX = 255, ANY_VARIATION = 256 };

static int
refuse(char *err, size_t err_len, const char *value, const char *expected)
{
	snprintf(err, err_len, "\"%s\": expected %s", value, expected);
	return -EINVAL;
}

static int
func_setup(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	const char *name = compare_skip_space(value);
	bool negated = *name == '!';
	uint32_t code;

	memset(out, 0, sizeof(*out));
	if (compare_parse(value, UINT8_MAX, out))
		return 0;
	name = compare_skip_space(name + negated);
	/* The standard's own name of code 33 is accepted beside the one that rules use. */
	if (strcasecmp(name, "authenticate_req_nr") == 0)
		name = "authenticate_err";
	if (!field_value_of(&dnp3_functions, name, &code))
		return refuse(err, err_len, value, "a function code 0 to 255 or its name, as \"read\"");
	out->words[0] = COMPARE_EQUAL | (negated ? COMPARE_NEGATED : 0);
	out->words[1] = code;
	return 0;
}

static bool
func_test(const struct rule_app_test *test, const void *record)
{
	const struct dnp3_record *dnp3 = record;

	return record_is_present(record, DNP3_HAS_APPLICATION) && compare_holds(test, dnp3->function);
}

/* One name of a list into the mask of what is looked at and the bits that must be set. */
static bool
indicator_parse(const char *name, uint64_t *mask, uint64_t *set, bool *negated)
{
	uint32_t bit;

	if (*name == '!') {
		*negated = true;
		name = compare_skip_space(name + 1);
	}
	if (!field_value_of(&dnp3_indicators, name, &bit))
		return false;
	/* Rules write the first octet above the second. */
	bit = bit < 8 ? bit + 8 : bit - 8;
	*mask |= UINT64_C(1) << bit;
	if (!*negated)
		*set |= UINT64_C(1) << bit;
	return true;
}

/* A comma-separated list of names. *any_negated: one was preceded by "!". */
static bool
indicators_parse(const char *list, uint64_t *mask, uint64_t *set, bool *any_negated)
{
	char text[VALUE_LEN_MAX + 1];
	char *rest = NULL;

	if ((size_t)snprintf(text, sizeof(text), "%s", list) >= sizeof(text))
		return false;
	for (char *name = strtok_r(text, ", \t", &rest); name != NULL; name = strtok_r(NULL, ", \t", &rest)) {
		bool negated = false;

		if (!indicator_parse(name, mask, set, &negated))
			return false;
		*any_negated = *any_negated || negated;
	}
	return *mask != 0;
}

/*
 * A number in one of the integer forms, or names: "+a,b" all of them, "*a,b" any, "-a,b" none,
 * "=a,b" these and no other. Without a sign any, as Snort has it; with a "!" in the list, all as said.
 */
static int
ind_setup(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	const char *list = compare_skip_space(value);
	char sign = *list != '\0' && strchr("+*-=", *list) != NULL ? *list++ : '\0';
	uint64_t mask = 0;
	uint64_t set = 0;
	bool negated = false;

	memset(out, 0, sizeof(*out));
	if ((sign == '\0' || sign == '=') && compare_parse(value, UINT16_MAX, out))
		return 0;
	if (!indicators_parse(list, &mask, &set, &negated))
		return refuse(err, err_len, value, "internal indications, as \"device_restart,need_time\", or a number");
	*out = (struct rule_app_test){ .words = { COMPARE_ANY, mask, 0 } };
	if (sign == '-')
		*out = (struct rule_app_test){ .words = { COMPARE_MASK, mask, 0 } };
	else if (sign == '=')
		*out = (struct rule_app_test){ .words = { COMPARE_EQUAL, set, 0 } };
	else if (sign == '+' || negated)
		*out = (struct rule_app_test){ .words = { COMPARE_MASK, mask, set } };
	return 0;
}

static bool
ind_test(const struct rule_app_test *test, const void *record)
{
	const struct dnp3_record *dnp3 = record;

	return record_is_present(record, DNP3_HAS_IIN) && compare_holds(test, dnp3->iin);
}

/* "group,variation", or a group alone for all its variations. */
static int
obj_setup(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	const char *at = value;

	memset(out, 0, sizeof(*out));
	out->words[1] = ANY_VARIATION;
	if (!compare_number(&at, UINT8_MAX, &out->words[0]))
		return refuse(err, err_len, value, "a group and a variation, as \"12,1\"");
	if (*at == ',') {
		at++;
		if (!compare_number(&at, UINT8_MAX, &out->words[1]))
			return refuse(err, err_len, value, "a variation 0 to 255 after the comma");
	}
	return *at == '\0' ? 0 : refuse(err, err_len, value, "nothing after the variation");
}

static bool
obj_test(const struct rule_app_test *test, const void *record)
{
	const struct dnp3_record *dnp3 = record;
	const uint16_t *ids = (const void *)((const uint8_t *)record + dnp3->object_ids.off);

	for (uint32_t i = 0; i < dnp3->object_ids.count; i++)
		if (ids[i] >> 8 == test->words[0] && (test->words[1] == ANY_VARIATION || (ids[i] & 0xff) == test->words[1]))
			return true;
	return false;
}

bool
dnp3_keyword_index(const struct rule_app_keyword *keyword, const struct rule_app_test *test, struct rule_app_index *out)
{
	uint64_t bits = test->words[1];

	if (test->words[0] == COMPARE_EQUAL && keyword->test == func_test) {
		*out = (struct rule_app_index){ "application.function_code", bits, UINT64_MAX };
		return true;
	}
	*out = (struct rule_app_index){ "iin.raw", test->words[0] == COMPARE_MASK ? test->words[2] : bits, bits };
	return keyword->test == ind_test
		&& (test->words[0] == COMPARE_MASK || (test->words[0] == COMPARE_ANY && (bits & (bits - 1)) == 0));
}

#define FUNC_HELP "application function code: a number, a comparison, or a name as direct_operate; ! negates"
#define IND_HELP "internal indications of a response: names after none, +, *, - or =, or a number"
#define OBJ_HELP "an object header of this group and variation is in the message"

const struct rule_app_keyword dnp3_keywords[DNP3_KEYWORD_COUNT] = {
	{ "dnp3_func", RULE_EITHER, func_setup, func_test, FUNC_HELP },
	{ "dnp3.func", RULE_EITHER, func_setup, func_test, FUNC_HELP },
	{ "dnp3_ind", RULE_EITHER, ind_setup, ind_test, IND_HELP },
	{ "dnp3.ind", RULE_EITHER, ind_setup, ind_test, IND_HELP },
	{ "dnp3_obj", RULE_EITHER, obj_setup, obj_test, OBJ_HELP },
	{ "dnp3.obj", RULE_EITHER, obj_setup, obj_test, OBJ_HELP },
};

const struct rule_app_buffer dnp3_buffers[DNP3_BUFFER_COUNT] = {
	{ "dnp3_data", "data" },
	{ "dnp3.data", "data" },
};
