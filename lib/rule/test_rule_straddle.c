/* Rules over a stream that comes in pieces: contents far apart, and what is searched a second time. */
#include <stdlib.h>

#include "lib/rule/rule_internal.h"
#include "lib/rule/test_bench.h"

enum { TOTAL = 12000, AT = 1000 };

/* Gives a stream in pieces, each behind as many of the bytes before it as are kept. @return alerts */
static unsigned int
feed(struct bench *b, const uint8_t *data, uint32_t piece, uint32_t keep, bool unit)
{
	unsigned int alerts = 0;
	uint32_t again_len = 0;

	for (uint32_t at = 0; at < TOTAL; at += piece) {
		uint32_t kept = at < keep ? at : keep, fresh = TOTAL - at < piece ? TOTAL - at : piece;
		uint8_t *copy = malloc(kept + fresh);
		struct rule_chunk chunk = { .data = copy, .len = kept + fresh, .seen_len = kept, .unit_off = unit ? 0 : kept,
			.offset = at - kept, .again_len = again_len, .to_server = true };

		memcpy(copy, data + at - kept, kept + fresh);
		rule_hits_reset(&b->hits);
		again_len = rule_match_stream(b->matcher, NULL, &b->flow, &chunk, &b->hits);
		assert_true(again_len <= chunk.len);
		alerts += b->hits.count;
		free(copy);
	}
	return alerts;
}

static const struct {
	const char *options;
	uint32_t reach; /* where the last of the contents ends behind the first one's beginning */
} spread_cases[] = {
	{ "content:\"begin\"; content:\"ended\";", 2000 },
	{ "content:\"ended\"; content:\"begin\";", 2000 },
	{ "content:\"begin\"; content:\"ended\"; distance:0;", 2000 },
	{ "content:\"begin\"; isdataat:1500,relative; content:\"ended\";", 2000 },
	{ "pcre:\"/begin.*ended/s\";", 2000 },
	{ "content:\"begin\"; offset:1000; depth:5; content:\"ended\";", 2000 }, /* counts from the stream's start */
};

static void
test_far_apart(void **state)
{
	static const uint32_t pieces[] = { 7, 100, 999, 1460 };
	uint8_t *data = malloc(TOTAL);

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(spread_cases) * TEST_COUNT(pieces); i++) {
		uint32_t piece = pieces[i % TEST_COUNT(pieces)], reach = spread_cases[i / TEST_COUNT(pieces)].reach;
		struct bench b;
		char text[256];

		snprintf(text, sizeof(text), "alert tcp any any -> any any (%s sid:1;)", spread_cases[i / TEST_COUNT(pieces)].options);
		bench_begin(&b, text, IP_PROTO_TCP);
		memset(data, '.', TOTAL);
		memcpy(data + AT, "begin", 5);
		memcpy(data + AT + reach - 5, "ended", 5);
		if (feed(&b, data, piece, 2 * AT + reach, false) != 1 || feed(&b, data, piece, TOTAL, true) != 1)
			fail_msg("%s in pieces of %u: not once", text, piece);
		memcpy(data + AT + reach - 5, ".....", 5);
		assert_int_equal(feed(&b, data, piece, 2 * AT + reach, false), 0);
		bench_end(&b);
	}
	free(data);
}

/* A number that the next piece brings makes the rule true, as a content would. */
static void
test_number_to_come(void **state)
{
	static const char *const options[] = { "byte_extract:1,0,n,relative;", "byte_test:1,=,0x2e,0,relative;", "isdataat:1,relative;",
		"byte_math:bytes 1, offset 0, oper +, rvalue 1, result n, relative;" };
	uint8_t *data = malloc(TOTAL);

	(void)state;
	memset(data, '.', TOTAL);
	memcpy(data + AT, "begin", 5);
	for (unsigned int i = 0; i < TEST_COUNT(options); i++) {
		struct bench b;
		char text[256];

		snprintf(text, sizeof(text), "alert tcp any any -> any any (content:\"begin\"; %s sid:1;)", options[i]);
		bench_begin(&b, text, IP_PROTO_TCP);
		assert_int_equal(feed(&b, data, (AT + 5) / 5, 4000, false), 1);
		bench_end(&b);
	}
	free(data);
}

static uint64_t
scanned(struct bench *b)
{
	return atomic_load(&b->matcher->memory->counters[RULE_COUNTER_SCAN_BYTES]);
}

/* Bytes seen before are searched again only where a pattern may straddle, or a rule found one of its parts in them. */
static void
test_search_again(void **state)
{
	uint8_t *data = malloc(TOTAL);
	struct bench b;

	(void)state;
	memset(data, '.', TOTAL);
	bench_begin(&b, "alert tcp any any -> any any (content:\"begin\"; content:\"ended\"; sid:1;)\n"
			"alert tcp any any -> any any (content:\"single\"; sid:2;)\n", IP_PROTO_TCP);
	assert_int_equal(feed(&b, data, 1000, 4000, false), 0);
	assert_int_equal(scanned(&b), TOTAL + 11 * (strlen("single") - 1));
	memcpy(data + 500, "single", 6);
	assert_int_equal(feed(&b, data, 1000, 4000, false), 1);
	assert_int_equal(scanned(&b), 2 * (TOTAL + 11 * (strlen("single") - 1)));
	memcpy(data + 4500, "begin", 5);
	assert_int_equal(feed(&b, data, 1000, 4000, false), 1);
	assert_true(scanned(&b) > 3 * TOTAL + 4 * 1500 && scanned(&b) < 3 * TOTAL + 5 * 3000);
	bench_end(&b);
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_far_apart),
		cmocka_unit_test(test_number_to_come),
		cmocka_unit_test(test_search_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
