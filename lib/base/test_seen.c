#include "test/test.h"

#include "lib/base/seen.h"

static void
test_prints(void **state)
{
	static const uint8_t text[] = "seventeen bytes..";
	struct seen *seen, *other;
	uint8_t changed[sizeof(text)];

	assert_int_equal(seen_create(&seen), 0);
	assert_int_equal(seen_create(&other), 0);
	for (size_t len = 0; len < sizeof(text); len++) {
		assert_true(seen_print(seen, 1, text, len) == seen_print(seen, 1, text, len));
		assert_true(seen_print(seen, 1, text, len) != seen_print(seen, 2, text, len));
		assert_true(seen_print(seen, 1, text, len) != seen_print(seen, 1, text, len + 1));
		assert_true(seen_print(seen, 1, text, len) != seen_print(other, 1, text, len));
		memcpy(changed, text, sizeof(text));
		if (len > 0)
			changed[len - 1] ^= 0x80;
		assert_int_equal(seen_print(seen, 1, changed, len) == seen_print(seen, 1, text, len), len == 0);
	}
	free(seen);
	free(other);
}

static void
test_windows(void **state)
{
	struct seen *seen;

	assert_int_equal(seen_create(&seen), 0);
	assert_false(seen_note(seen, 7, 1000, 10, true));
	assert_true(seen_note(seen, 7, 1010, 10, true));
	assert_true(seen_note(seen, 7, 990, 10, true)); /* the clock may be another's */
	assert_false(seen_note(seen, 7, 1011, 10, true));
	assert_true(seen_note(seen, 7, 1021, 10, false));
	assert_false(seen_note(seen, 7, 1022, 10, false)); /* forgotten when it was found */
	free(seen);
}

/** Prints of one set: the oldest goes. */
static void
test_bounded(void **state)
{
	enum { SETS = 2048, PRINTS = 4 };
	struct seen *seen;

	assert_int_equal(seen_create(&seen), 0);
	for (uint64_t i = 0; i <= PRINTS; i++)
		assert_false(seen_note(seen, 1 + i * SETS, 100 + i, 1000, true));
	for (uint64_t i = PRINTS; i > 0; i--)
		assert_true(seen_note(seen, 1 + i * SETS, 200, 1000, true));
	assert_false(seen_note(seen, 1, 200, 1000, true));
	free(seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prints),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
