/* Fields that hold an address of IP or a MAC address, compared by their JSON path: "10.0.0.1", "[10.0.0.0/8,!10.1.0.0/16]", "$HOME_NET",
 * "00:1b:1b". */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hex.h"
#include "lib/rule/keyword.h"
#include "lib/rule/rule_tests.h"

enum { MAC_LEN = 6, MAC_BITS = 48, OUI_LEN = 3, WORD_MAX = 64, ADDRESS_SHAPES_MAX = 32 };

/* ---- one value ---- */

/* As many bytes as stand there, between colons. @return how many, 0: it is no such text */
static unsigned int
mac_bytes(const char *text, uint64_t *value)
{
	unsigned int count = 0;

	for (*value = 0; count < MAC_LEN; text++) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return 0;
		*value = *value << 8 | (uint64_t)(high << 4 | low);
		count++;
		text += 2;
		if (*text == '\0')
			return count;
		if (*text != ':')
			return 0;
	}
	return 0;
}

/* The whole address, or the maker's three bytes of it (IEEE 802 8.2: OUI). */
static bool
mac_number(const char *text, struct rule_number *out)
{
	uint64_t value;
	unsigned int count = mac_bytes(text, &value);
	unsigned int left = count == OUI_LEN ? MAC_BITS - 8 * OUI_LEN : 0;

	if (count != MAC_LEN && count != OUI_LEN)
		return false;
	out->op = NUMBER_RANGE;
	out->a = (int64_t)(value << left);
	out->b = out->a | (int64_t)((UINT64_C(1) << left) - 1);
	return true;
}

/* The first word of a list, or of no list. */
static void
first_word(const char *value, char word[WORD_MAX])
{
	value += strspn(value, "![ ");
	snprintf(word, WORD_MAX, "%.*s", (int)strcspn(value, ",] "), value);
}

static bool
is_mac(const char *value)
{
	struct rule_number number;
	char word[WORD_MAX];

	first_word(value, word);
	return mac_number(word, &number);
}

static bool
is_ip(const char *value)
{
	char word[WORD_MAX];
	uint8_t bytes[16];

	first_word(value, word);
	word[strcspn(word, "/-")] = '\0';
	return word[0] == '$' || inet_pton(AF_INET, word, bytes) == 1 || inet_pton(AF_INET6, word, bytes) == 1;
}

/* ---- the test ---- */

static int
parse_ip(struct rule_parser *parser, struct rule_test *test, char *value)
{
	test->fn = rule_test_field_ip;
	return rule_addresses_parse(parser, value, &test->addresses);
}

static int
parse_mac(struct rule_parser *parser, struct rule_test *test, char *value)
{
	struct rule_number numbers[RULE_NUMBERS_MAX] = { 0 };
	size_t len = strlen(value);
	unsigned int count = 0;
	char *word;

	test->fn = rule_test_field_mac;
	if (value[0] == '[') {
		if (value[len - 1] != ']')
			return rule_refuse(parser, "] is missing");
		value[len - 1] = '\0';
		value++;
	}
	while ((word = rule_split(&value, ',')) != NULL) {
		if (count == RULE_NUMBERS_MAX)
			return rule_refuse(parser, "more than %d alternatives", RULE_NUMBERS_MAX);
		numbers[count].negated = *word == '!';
		if (!mac_number(rule_trim(word + numbers[count].negated), &numbers[count]))
			return rule_refuse(parser, "\"%.40s\" is neither a MAC address nor the first three bytes of one, as 00:1b:1b", word);
		count++;
	}
	test->numbers.count = (uint16_t)count;
	test->numbers.items = rule_arena_copy(&parser->set->arena, numbers, count * sizeof(numbers[0]));
	return test->numbers.items == NULL ? rule_no_memory(parser) : 0;
}

static const struct {
	uint8_t type;
	bool (*is)(const char *value);
	int (*parse)(struct rule_parser *parser, struct rule_test *test, char *value);
} address_rows[] = { { FIELD_IP, is_ip, parse_ip }, { FIELD_MAC, is_mac, parse_mac } };

/* The shapes of a path that hold such addresses. */
static uint16_t
shapes_of(const struct record_path *paths, uint16_t count, uint8_t type, struct record_path kept[ADDRESS_SHAPES_MAX])
{
	uint16_t kept_count = 0;

	for (uint16_t i = 0; i < count && kept_count < ADDRESS_SHAPES_MAX; i++)
		if (paths[i].leaf->type == type)
			kept[kept_count++] = paths[i];
	return kept_count;
}

int
rule_field_address(struct rule_parser *parser, unsigned int app, const struct record_path *paths, uint16_t count, char *value)
{
	for (unsigned int i = 0; i < sizeof(address_rows) / sizeof(address_rows[0]); i++) {
		struct record_path kept[ADDRESS_SHAPES_MAX];
		uint16_t kept_count = shapes_of(paths, count, address_rows[i].type, kept);

		/* what else the path may hold is asked by what looks otherwise */
		if (kept_count == 0 || (kept_count < count && !address_rows[i].is(value)))
			continue;
		struct rule_test *test = rule_add_test(parser, rule_test_field_ip);

		if (test == NULL)
			return -EINVAL;
		test->app = (uint8_t)app;
		test->path_count = kept_count;
		test->paths = rule_arena_copy(&parser->set->arena, kept, kept_count * sizeof(kept[0]));
		if (test->paths == NULL)
			return rule_no_memory(parser);
		if (value[0] == '!' && value[1] == '[') {
			test->negated = true;
			value++;
		}
		return address_rows[i].parse(parser, test, value);
	}
	return 1;
}
