/* A few bytes in many: at every place of texts of every length, as a byte by byte search finds them. */
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_find.h"
#include "test/test.h"

enum { LEN_MAX = 100, TRIES = 200 };

static const uint8_t *
find_slowly(const uint8_t *data, size_t len, const char *needle, bool nocase)
{
	size_t needle_len = strlen(needle);

	for (size_t at = 0; at + needle_len <= len; at++)
		if (nocase ? strncasecmp((const char *)data + at, needle, needle_len) == 0 : memcmp(data + at, needle, needle_len) == 0)
			return data + at;
	return NULL;
}

/* Texts of few letters, in memory that ends with them. */
static void
test_find(void **state)
{
	static const char *const needles[] = { "a", "A", "@", "`", "ab", "aB", "[a", "{a", "abc", "aab@", "baabaab" };
	static const char letters[] = "aAbB@`[{c";
	unsigned int found = 0;

	(void)state;
	srand(1);
	for (size_t len = 0; len <= LEN_MAX; len++)
		for (unsigned int n = 0; n < TRIES; n++) {
			const char *needle = needles[n % TEST_COUNT(needles)];
			bool nocase = n % 3 == 0 && strpbrk(needle, "AB") == NULL;
			uint8_t *data = malloc(len > 0 ? len : 1);

			assert_non_null(data);
			for (size_t i = 0; i < len; i++) /* mostly bytes that are in no needle */
				data[i] = n % 2 == 0 || rand() % 8 == 0 ? (uint8_t)letters[(size_t)rand() % (sizeof(letters) - 1)] : 0xff;
			const uint8_t *expected = find_slowly(data, len, needle, nocase);

			assert_ptr_equal(rule_find(data, len, (const uint8_t *)needle, strlen(needle), nocase), expected);
			found += expected != NULL;
			free(data);
		}
	assert_in_range(found, LEN_MAX, LEN_MAX * TRIES - LEN_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_find) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
