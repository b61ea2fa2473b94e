#include "test/test.h"

#include "app/millrace/text.h"

static const struct {
	const char *in, *out;
} texts[] = {
	{ "plain", "plain" },
	{ "\x1b[31mred\x07", "\\x1b[31mred\\x07" },
	{ "a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f" },
	{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "\xc2\x9b""31m", "\\u{9b}31m" },                  /* C1 control sequence introducer */
	{ "\xe2\x80\xae" "gpj.exe", "\\u{202e}gpj.exe" },   /* right-to-left override */
	{ "a\xef\xbb\xbf" "b", "a\\u{feff}b" },
	{ "cut \xe2\x82", "cut \xe2\\u{82}" },
};

static void
nothing_that_drives_a_terminal_gets_through(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(texts); i++) {
		char text[256];
		struct buf out = { .data = text, .cap = sizeof(text) };

		text_put(&out, texts[i].in, strlen(texts[i].in));
		text[out.len] = '\0';
		assert_string_equal(text, texts[i].out);
	}
}

static void
tables_survive_no_memory(void **state)
{
	static const char *const headings[] = { "A", ">B" };
	struct text_table *table = NULL;
	FILE *nowhere = fopen("/dev/null", "w");

	TEST_FAIL_EACH_ALLOC((table = text_table_create(headings, 2)), != NULL, text_table_print(table, nowhere));
	test_fail_alloc(2);
	table = text_table_create(headings, 2);
	text_table_add(table, "x", 1);
	text_table_add(table, "", 0);
	test_fail_alloc(0);
	text_table_print(table, nowhere);
	fclose(nowhere);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_drives_a_terminal_gets_through),
		cmocka_unit_test(tables_survive_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
