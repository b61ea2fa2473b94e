/* HTTP/1: text in which heads are looked for. */
#include <errno.h>

#include "proto/http/http.h"
#include "test/test.h"

extern const struct proto http_proto;

enum { RUNS = 4000, PIECES = 12 };

/* What begins lines, ends them and looks like both. */
static const char *const pieces[] = {
	"GET", "G", "POST", "H", "HTTP", "HTTP/1.1", "HTTP/1", " HTTP/1.1\r\n", " ", "  \t", "\r\n", "\n", "\r", "/", "/a", "*", "x",
	"ab-c", "200", " 200 OK", ".", "abcdefghijklmnopqrstuvwxyz", "\n\n\n\n\n\n\n\n\n", "        ", "CONNECT", "h://", "http/1.1",
	"Http/", "http",
};

enum { TEXT_LEN = 2 * HTTP_LINE_LEN_MAX };

static char text[TEXT_LEN];

/* Pieces one behind the other, in one of a hundred with a line as long as it may be in the middle. @return their length */
static size_t
put_together(unsigned int run, uint32_t *random)
{
	size_t len = 0, dots = run % 100 == 0 ? HTTP_LINE_LEN_MAX + 100 : 0;

	for (unsigned int i = 0; i < PIECES; i++) {
		*random = *random * 1664525 + 1013904223;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", pieces[(*random >> 16) % TEST_COUNT(pieces)]);
		for (; i == PIECES / 2 && dots > 0; dots--)
			text[len++] = '.';
	}
	return len;
}

/* What is passed over is no place for frame(). */
static void
test_pass(void **state)
{
	uint32_t random = 1;
	unsigned int passed = 0;

	(void)state;
	for (unsigned int run = 0; run < RUNS; run++) {
		size_t len = put_together(run, &random);

		for (size_t at = 0; at < len; at++) {
			size_t pass = http_proto.pass(cursor_of(text + at, len - at));

			assert_in_range(pass, 0, len - at);
			for (size_t i = at; i < at + pass; i++)
				assert_int_equal(http_proto.frame(cursor_of(text + i, len - i), true), -EBADMSG);
			passed += pass > 0;
			at += pass > 0 && len > HTTP_LINE_LEN_MAX ? pass : 0; /* from each place would take long */
		}
	}
	assert_true(passed > RUNS);
}

/* A word that does not end is passed over but for what may be a method's beginning, at once. */
static void
test_word(void **state)
{
	(void)state;
	memset(text, 'S', TEXT_LEN);
	assert_in_range(http_proto.pass(cursor_of(text, TEXT_LEN)), TEXT_LEN - HTTP_METHOD_LEN_MAX, TEXT_LEN);
	text[0] = ' '; /* a status line may stand behind blanks: they are asked about, and nothing else */
	assert_int_equal(http_proto.pass(cursor_of(text, TEXT_LEN)), 0);
	assert_in_range(http_proto.pass(cursor_of(text + 1, TEXT_LEN - 1)), TEXT_LEN - 1 - HTTP_METHOD_LEN_MAX, TEXT_LEN - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pass), cmocka_unit_test(test_word) };

	return cmocka_run_group_tests_name("http_pass", tests, NULL, NULL);
}
