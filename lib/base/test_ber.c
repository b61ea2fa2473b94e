/* BER: each form of identifier, length and integer, and what does not fit. */
#include "test/test.h"

#include "lib/base/ber.h"

static void
elements(void **state)
{
	static const uint8_t bytes[] = { 0x61, 0x03, 0x80, 0x01, 0x07, 0xbf, 0x2d, 0x81, 0x01, 0xaa, 0x5f, 0x81, 0x00, 0x82, 0x00,
		0x00 };
	struct cursor in = cursor_of(bytes, sizeof(bytes));
	struct ber ber, inner;

	assert_true(ber_next(&in, &ber));
	assert_int_equal(ber.tag, 0x61);
	assert_true(ber_is_constructed(&ber));
	assert_true(ber_next(&ber.content, &inner));
	assert_int_equal(inner.tag, 0x80);
	assert_false(ber_is_constructed(&inner));
	assert_int_equal(cursor_u8(&inner.content), 7);
	assert_false(ber_next(&ber.content, &inner));
	assert_false(ber.content.short_read);
	assert_true(ber_next(&in, &ber));
	assert_int_equal(ber.tag, 0xbf2d);
	assert_true(ber_is_constructed(&ber));
	assert_int_equal(cursor_left(&ber.content), 1);
	assert_true(ber_next(&in, &ber));
	assert_int_equal(ber.tag, 0x5f8100);
	assert_false(ber_is_constructed(&ber));
	assert_int_equal(cursor_left(&ber.content), 0);
	assert_false(ber_next(&in, &ber));
	assert_false(in.short_read);
}

static void
what_does_not_fit(void **state)
{
	static const struct {
		uint8_t bytes[8];
		uint8_t len;
	} rows[] = {
		{ { 0x80 }, 1 },
		{ { 0x80, 2, 0 }, 3 },
		{ { 0xa0, 0x80, 0, 0 }, 4 },                      /* indefinite */
		{ { 0x80, 0x85, 0, 0, 0, 0, 1, 0 }, 8 },          /* five bytes of length */
		{ { 0x80, 0x84, 0xff, 0xff, 0xff, 0xff, 0 }, 7 },
		{ { 0x80, 0x82, 0 }, 3 },
		{ { 0x9f, 0x81, 0x82, 0x83, 0x01, 0 }, 6 },       /* four bytes of tag number */
		{ { 0x9f, 0x81 }, 2 },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct cursor in = cursor_of(rows[i].bytes, rows[i].len);
		struct ber ber;

		assert_false(ber_next(&in, &ber));
		assert_true(in.short_read);
	}
}

static void
integers(void **state)
{
	static const uint8_t minus[] = { 0xff, 0x7f }, wide[] = { 0, 0xff, 0xff, 0xff, 0xff }, nine[] = { 1, 0, 0, 0, 0, 0, 0, 0, 0 };
	int64_t i64;
	uint64_t u64;
	uint32_t u32;
	bool truth;

	assert_true(ber_i64(cursor_of(minus, 2), &i64));
	assert_int_equal(i64, -129);
	assert_false(ber_i64(cursor_of(nine, 9), &i64));
	assert_false(ber_i64(cursor_of(nine, 0), &i64));
	assert_true(ber_u64(cursor_of(minus, 2), &u64));
	assert_int_equal(u64, 0xff7f);
	assert_true(ber_u32(cursor_of(wide, 5), &u32));
	assert_int_equal(u32, UINT32_MAX);
	assert_false(ber_u64(cursor_of(nine, 9), &u64));
	assert_false(ber_u32(cursor_of(nine, 5), &u32));
	assert_int_equal(u32, 0);
	assert_true(ber_bool(cursor_of(nine, 1), &truth));
	assert_true(truth);
	assert_false(ber_bool(cursor_of(nine, 2), &truth));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(integers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
