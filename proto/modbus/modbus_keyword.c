/*
 * The rule keyword "modbus", Suricata's language:
 *
 *   modbus: function N[, subfunction N]
 *   modbus: function [!]assigned|unassigned|public|user|reserved|all
 *   modbus: access read|write [discretes|coils|input|holding][, address RANGE[, value RANGE]]
 *   modbus: unit RANGE[, any of the above]
 *
 * RANGE is a, <a, >a or a<>b, its ends not included. Addresses count from 1 here, as in the
 * device's documentation (V1.1b3 4.4); in the PDU and in the records they count from 0.
 */
#include "proto/modbus/modbus.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

enum { WORD_LEN_MAX = 32, NUMBER_MAX = 65535 };

enum range_kind { RANGE_NONE, RANGE_EXACT, RANGE_BELOW, RANGE_ABOVE, RANGE_BETWEEN };

struct range {
	uint8_t kind;
	uint16_t low;
	uint16_t high;
};

/* What is in rule_app_test.words. Zero says nothing about the request. */
struct test {
	struct range unit;
	struct range address;
	struct range value;
	uint16_t subfunction;
	uint8_t function;
	uint8_t categories; /* enum modbus_category, or-ed */
	uint8_t access;     /* enum modbus_access, or-ed */
	bool has_function;
	bool has_subfunction;
	bool has_categories;
};

static_assert(sizeof(struct test) <= sizeof(struct rule_app_test), "the keyword's argument fits the rule's room");

/* ---- reading the text ---- */

struct text {
	const char *at;
	char word[WORD_LEN_MAX];
	char *err;
	size_t err_len;
};

static int
fail(struct text *text, const char *reason, const char *what)
{
	snprintf(text->err, text->err_len, "%s: '%s'", reason, what);
	return -EINVAL;
}

static bool
is_separator(char c)
{
	return isspace((unsigned char)c) || c == ',' || c == '"';
}

/* The next word, up to a space, comma or quote; "" at the end. */
static const char *
next_word(struct text *text)
{
	size_t len = 0;

	while (is_separator(*text->at))
		text->at++;
	while (*text->at != '\0' && !is_separator(*text->at) && len < sizeof(text->word) - 1)
		text->word[len++] = *text->at++;
	text->word[len] = '\0';
	return text->word;
}

/* Takes the next word when it is the wanted one. */
static bool
take_word(struct text *text, const char *wanted)
{
	const char *start = text->at;

	if (strcasecmp(next_word(text), wanted) == 0)
		return true;
	text->at = start;
	return false;
}

static bool
parse_number(const char *digits, const char **end, uint32_t max, uint32_t *out)
{
	uint32_t value = 0;
	const char *at = digits;

	for (; isdigit((unsigned char)*at); at++) {
		value = value * 10 + (uint32_t)(*at - '0');
		if (value > max)
			return false;
	}
	*end = at;
	*out = value;
	return at != digits;
}

static int
take_number(struct text *text, uint32_t max, uint32_t *out)
{
	const char *word = next_word(text), *end;

	if (!parse_number(word, &end, max, out) || *end != '\0')
		return fail(text, "not a number in range", word);
	return 0;
}

static int
take_range(struct text *text, struct range *out)
{
	const char *word = next_word(text), *at = word;
	uint32_t low, high;

	out->kind = *at == '<' ? RANGE_BELOW : *at == '>' ? RANGE_ABOVE : RANGE_EXACT;
	if (out->kind != RANGE_EXACT)
		at++;
	if (!parse_number(at, &at, NUMBER_MAX, &low))
		return fail(text, "not a range of numbers", word);
	out->low = out->high = (uint16_t)low;
	if (out->kind == RANGE_EXACT && strncmp(at, "<>", 2) == 0) {
		if (!parse_number(at + 2, &at, NUMBER_MAX, &high) || high <= low)
			return fail(text, "not a range of numbers", word);
		out->kind = RANGE_BETWEEN;
		out->high = (uint16_t)high;
	}
	return *at == '\0' ? 0 : fail(text, "not a range of numbers", word);
}

static int
take_function(struct text *text, struct test *test)
{
	static const struct {
		const char *name;
		uint8_t categories;
	} groups[] = {
		{ "assigned", MODBUS_PUBLIC_ASSIGNED },
		{ "unassigned", MODBUS_PUBLIC_UNASSIGNED },
		{ "public", MODBUS_PUBLIC_ASSIGNED | MODBUS_PUBLIC_UNASSIGNED },
		{ "user", MODBUS_USER_DEFINED },
		{ "reserved", MODBUS_RESERVED },
		{ "all", MODBUS_PUBLIC_ASSIGNED | MODBUS_PUBLIC_UNASSIGNED | MODBUS_USER_DEFINED | MODBUS_RESERVED },
	};
	const char *word = next_word(text), *end;
	bool negated = word[0] == '!';
	uint32_t number;

	if (parse_number(word, &end, 255, &number) && *end == '\0' && number > 0) {
		test->has_function = true;
		test->function = (uint8_t)number;
		if (!take_word(text, "subfunction"))
			return 0;
		if (take_number(text, NUMBER_MAX, &number) != 0)
			return -EINVAL;
		test->has_subfunction = true;
		test->subfunction = (uint16_t)number;
		return 0;
	}
	if (strcmp(word, "!") == 0) {
		next_word(text);
	} else if (negated) {
		word++;
	}
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (strcasecmp(word, groups[i].name) != 0)
			continue;
		test->has_categories = true;
		test->categories = negated ? 0x0f & (uint8_t)~groups[i].categories : groups[i].categories;
		return 0;
	}
	return fail(text, "not a function code or group of functions", word);
}

static int
take_access(struct text *text, struct test *test)
{
	static const struct {
		const char *name;
		uint8_t access;
	} tables[] = {
		{ "discretes", MODBUS_DISCRETES },
		{ "coils", MODBUS_COILS },
		{ "input", MODBUS_INPUT },
		{ "holding", MODBUS_HOLDING },
	};
	bool write = take_word(text, "write");

	if (!write && !take_word(text, "read"))
		return fail(text, "access is read or write, not", next_word(text));
	test->access = write ? MODBUS_WRITE : MODBUS_READ;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (take_word(text, tables[i].name)) {
			test->access |= tables[i].access;
			break;
		}
	if (write && (test->access & (MODBUS_DISCRETES | MODBUS_INPUT)))
		return fail(text, "this table can only be read", text->word);
	if (!take_word(text, "address"))
		return 0;
	if (take_range(text, &test->address) != 0)
		return -EINVAL;
	if (!take_word(text, "value"))
		return 0;
	if (!write || test->address.kind != RANGE_EXACT)
		return fail(text, "a value needs write access to one address", "value");
	return take_range(text, &test->value);
}

static int
setup(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	struct text text = { .at = value, .err = err, .err_len = err_len };
	struct test test = { 0 };
	bool unit, named;
	int rc = 0;

	unit = take_word(&text, "unit");
	if (unit)
		rc = take_range(&text, &test.unit);
	if (rc != 0)
		return rc;
	named = true;
	if (take_word(&text, "function"))
		rc = take_function(&text, &test);
	else if (take_word(&text, "access"))
		rc = take_access(&text, &test);
	else
		named = false;
	if (rc != 0)
		return rc;
	if (!unit && !named)
		return fail(&text, "wanted function, access or unit, not", next_word(&text));
	if (*next_word(&text) != '\0')
		return fail(&text, "not understood", text.word);
	memset(out, 0, sizeof(*out));
	memcpy(out->words, &test, sizeof(test));
	return 0;
}

/* ---- asking a record ---- */

static bool
in_range(struct range range, uint32_t value)
{
	switch ((enum range_kind)range.kind) {
	case RANGE_EXACT:
		return value == range.low;
	case RANGE_BELOW:
		return value < range.low;
	case RANGE_ABOVE:
		return value > range.low;
	case RANGE_BETWEEN:
		return value > range.low && value < range.high;
	default:
		return true;
	}
}

/* Whether some address from first to last is in the range. */
static bool
overlaps(struct range range, uint32_t first, uint32_t last)
{
	switch ((enum range_kind)range.kind) {
	case RANGE_EXACT:
		return range.low >= first && range.low <= last;
	case RANGE_BELOW:
		return first < range.low;
	case RANGE_ABOVE:
		return last > range.low;
	case RANGE_BETWEEN:
		return last > range.low && first < range.high && range.high - range.low > 1;
	default:
		return true;
	}
}

/* The addresses a request touches by the access asked for, counted from 1. */
static bool
touched(const struct modbus_record *record, uint8_t access, uint32_t *first, uint32_t *last)
{
	const struct modbus_half *request = &record->request;
	uint32_t quantity = 1;

	if ((access & MODBUS_WRITE) && modbus_record_has(record, MODBUS_REQUEST, MODBUS_HAS_WRITE)) {
		*first = request->write_address + 1u;
		if (modbus_record_has(record, MODBUS_REQUEST, MODBUS_HAS_WRITE_MULTIPLE))
			quantity = request->write_quantity;
	} else if ((access & MODBUS_READ) && modbus_record_has(record, MODBUS_REQUEST, MODBUS_HAS_READ)) {
		*first = request->read_address + 1u;
		quantity = request->read_quantity;
	} else {
		return false;
	}
	*last = *first + quantity - 1;
	return quantity > 0;
}

/* The value written to one address, if it is among the values. */
static bool
written(const struct modbus_record *record, uint32_t address, uint16_t *out)
{
	const struct modbus_half *request = &record->request;
	const void *values = (const uint8_t *)record + request->values.off;
	uint32_t at = address - (request->write_address + 1u);

	if (at >= request->values.count)
		return false;
	if (modbus_record_has(record, MODBUS_REQUEST, MODBUS_HAS_WRITE_BITS))
		*out = ((const uint8_t *)values)[at];
	else
		*out = ((const uint16_t *)values)[at];
	return true;
}

static bool
access_matches(const struct test *test, const struct modbus_record *record)
{
	uint8_t tables = test->access & MODBUS_TABLES;
	uint32_t first, last;
	uint16_t value;

	if ((record->request.access & test->access & (MODBUS_READ | MODBUS_WRITE)) == 0 ||
		(tables != 0 && (record->request.access & tables) == 0))
		return false;
	if (test->address.kind == RANGE_NONE)
		return true;
	if (!touched(record, test->access, &first, &last) || !overlaps(test->address, first, last))
		return false;
	if (test->value.kind == RANGE_NONE)
		return true;
	return written(record, test->address.low, &value) && in_range(test->value, value);
}

static bool
matches(const struct rule_app_test *compiled, const void *blob)
{
	const struct modbus_record *record = blob;
	const struct modbus_half *request = &record->request;
	const struct test *test = (const void *)compiled->words;

	if (!modbus_record_has(record, MODBUS_REQUEST, MODBUS_HAS_HEADER) || !in_range(test->unit, request->unit_id))
		return false;
	if (test->access != 0)
		return access_matches(test, record);
	if (test->has_categories)
		return (request->category & test->categories) != 0;
	if (test->has_function && test->function != request->function)
		return false;
	return !test->has_subfunction || (modbus_record_has(record, MODBUS_REQUEST, MODBUS_HAS_DIAGNOSTIC) &&
		test->subfunction == request->subfunction);
}

bool
modbus_keyword_index(const struct rule_app_keyword *keyword, const struct rule_app_test *compiled, struct rule_app_index *out)
{
	const struct test *test = (const void *)compiled->words;

	if (keyword->test != matches)
		return false;
	if (test->has_function) {
		*out = (struct rule_app_index){ "request.function_code", test->function, UINT64_MAX };
		return true;
	}
	if (test->categories != 0 && (test->categories & (test->categories - 1)) == 0) {
		/* a record has one category: one wanted bit is an equality */
		*out = (struct rule_app_index){ "request.category", test->categories, UINT64_MAX };
		return true;
	}
	if (test->unit.kind == RANGE_EXACT) {
		*out = (struct rule_app_index){ "request.unit_id", test->unit.low, UINT64_MAX };
		return true;
	}
	uint8_t way = test->access & (MODBUS_READ | MODBUS_WRITE);

	*out = (struct rule_app_index){ "request.access_type", way, way };
	return way == MODBUS_READ || way == MODBUS_WRITE;
}

const struct rule_app_keyword modbus_keywords[] = {
	{
		.name = "modbus",
		.direction = RULE_TO_SERVER,
		.setup = setup,
		.test = matches,
		.help = "function, access, address, value or unit of a request; addresses count from 1",
	},
};
