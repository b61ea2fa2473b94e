#include "test/test.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/counter.h"
#include "lib/base/cursor.h"
#include "lib/base/hash.h"
#include "lib/base/histogram.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/slab.h"

static void
cursor_short_reads_stick(void **state)
{
	const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct cursor c = cursor_of(bytes, sizeof(bytes));

	assert_int_equal(cursor_be16(&c), 0x0102);
	assert_int_equal(cursor_le24(&c), 0x050403);
	assert_int_equal(cursor_be32(&c), 0);
	assert_true(c.short_read);
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_left(&c), 0);
	c = cursor_of(bytes, sizeof(bytes));
	assert_int_equal(cursor_le48(&c), 0x060504030201);
	c = cursor_of(bytes, sizeof(bytes));
	assert_int_equal(cursor_be64(&c), 0x0102030405060708);
	assert_null(cursor_take(&c, 1));
}

static void
cursor_sub_is_bounded(void **state)
{
	const uint8_t bytes[] = { 1, 2, 3 };
	struct cursor c = cursor_of(bytes, sizeof(bytes));
	struct cursor sub = cursor_sub(&c, 2);

	assert_int_equal(cursor_be16(&sub), 0x0102);
	assert_int_equal(cursor_u8(&sub), 0);
	assert_int_equal(cursor_u8(&c), 3);
	sub = cursor_sub(&c, 1);
	assert_true(sub.short_read && c.short_read);
}

static void
buf_writes_json_text(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *want;
	} cases[] = {
		{ "plain", 5, "\"plain\"" },
		{ "q\"b\\", 4, "\"q\\\"b\\\\\"" },
		{ "a\0b", 3, "\"a\\u0000b\"" },
		{ "\xc3\xa9", 2, "\"\xc3\xa9\"" },
		{ "\xc3", 1, "\"\\u00c3\"" },
		{ "\xed\xa0\x80", 3, "\"\\u00ed\\u00a0\\u0080\"" },
		{ "\x1b[2J\x7f", 5, "\"\\u001b[2J\\u007f\"" },
		{ "\n\r\t", 3, "\"\\n\\r\\t\"" },
	};
	struct buf b;

	assert_int_equal(buf_create(&b, 256), 0);
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		buf_reset(&b);
		buf_json_string(&b, cases[i].in, cases[i].len);
		buf_putc(&b, '\0');
		assert_string_equal(b.data, cases[i].want);
	}
	buf_reset(&b);
	buf_json_octets(&b, "\xc3\xa9\"", 3);
	buf_json_octets(&b, "a\x03\xc3\xa9\\\xff", 6);
	buf_putc(&b, '\0');
	assert_string_equal(b.data, "\"\xc3\xa9\\\"\"\"a\\u0003\\\\xc3\\\\xa9\\\\\\\\xff\"");
	buf_destroy(&b);
}

static void
buf_writes_numbers(void **state)
{
	struct buf b;

	assert_int_equal(buf_create(&b, 256), 0);
	buf_u64(&b, 0);
	buf_putc(&b, ' ');
	buf_u64(&b, UINT64_MAX);
	buf_putc(&b, ' ');
	buf_i64(&b, INT64_MIN);
	buf_putc(&b, ' ');
	buf_f32(&b, 0.1f);
	buf_putc(&b, ' ');
	buf_f64(&b, 0.1);
	buf_putc(&b, ' ');
	buf_f64(&b, -2.0);
	buf_putc(&b, ' ');
	buf_f64(&b, (double)INFINITY);
	buf_putc(&b, ' ');
	buf_json_time(&b, UINT64_C(1767323045678901234));
	buf_putc(&b, ' ');
	buf_base64(&b, (const uint8_t *)"abcd", 4);
	buf_putc(&b, ' ');
	buf_hex(&b, (const uint8_t *)"\x00\xff", 2);
	buf_putc(&b, '\0');
	assert_false(b.full);
	assert_string_equal(b.data, "0 18446744073709551615 -9223372036854775808 0.1 0.1 -2.0 null "
				    "\"2026-01-02T03:04:05.678901+0000\" YWJjZA== 00ff");
	buf_destroy(&b);
}

/* What the C library says of a single: the fewest digits from six on that read back as it. */
static void
library_single(char text[40], float value)
{
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, 40, "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			return;
	}
}

/* Singles of every size, as bits in even steps and as texts of few digits that were read. */
static void
buf_writes_singles_as_the_library(void **state)
{
	char expected[40];
	struct buf b;

	assert_int_equal(buf_create(&b, 64), 0);
	for (uint32_t i = 0; i < 600000; i++) {
		uint32_t bits = i * UINT32_C(7159) + (i << 31);
		float value;

		memcpy(&value, &bits, sizeof(value));
		if (i % 3 == 0)
			value = (float)((i * 7919 % 2000003) / 1000.0);
		if (!isfinite(value) || (value == floorf(value) && fabsf(value) < 9007199254740992.0f))
			continue;
		library_single(expected, value);
		buf_reset(&b);
		buf_f32(&b, value);
		buf_putc(&b, '\0');
		if (strcmp(b.data, expected) != 0)
			fail_msg("%s is written as %s", expected, b.data);
	}
	buf_destroy(&b);
}

/* Whatever room is left, a text or number stands there whole, as in a buffer with more than enough, or not at all. */
static void
buf_writes_whole_or_not_at_all(void **state)
{
	static const uint64_t numbers[] = { 7, 42, 1234, 98765432109876, UINT64_MAX };
	char text[320], roomy[400];
	struct buf whole = { .data = roomy, .cap = sizeof(roomy) };

	memset(text, 'x', sizeof(text));
	for (size_t len = 0; len < sizeof(text); len++)
		for (size_t cap = len; cap < len + 20; cap++) {
			struct buf b;

			assert_int_equal(buf_create(&b, cap == 0 ? 1 : cap), 0); /* the address sanitizer watches its end */
			b.cap = cap;
			buf_json_string(&b, text, len);
			assert_int_equal(b.full, cap < len + 2);
			assert_true(b.full || (b.len == len + 2 && b.data[0] == '"' && b.data[len + 1] == '"'));
			assert_true(b.full || memcmp(b.data + 1, text, len) == 0);
			buf_destroy(&b);
		}
	for (size_t i = 0; i < TEST_COUNT(numbers); i++) {
		buf_reset(&whole);
		buf_u64(&whole, numbers[i]);
		for (size_t cap = 1; cap < 24; cap++) {
			struct buf b;

			assert_int_equal(buf_create(&b, cap), 0);
			buf_u64(&b, numbers[i]);
			assert_int_equal(b.full, cap < whole.len);
			assert_true(b.full || (b.len == whole.len && memcmp(b.data, whole.data, b.len) == 0));
			buf_destroy(&b);
		}
	}
}

/* Each value alone, and many in rooms of every length around theirs: the same text as one by one, or none. */
static void
buf_writes_lists_of_numbers(void **state)
{
	static const uint16_t values[] = { 0, 9, 10, 99, 100, 999, 1000, 9999, 10000, 65535, 7, 256 };
	enum { COUNT = sizeof(values) / sizeof(values[0]) };
	char text[8];
	struct buf b, one;

	assert_int_equal(buf_create(&b, 100), 0);
	for (unsigned int value = 0; value <= UINT16_MAX; value++) {
		uint16_t list[1] = { (uint16_t)value };

		buf_reset(&b);
		buf_u16s(&b, list, 1);
		assert_int_equal(b.len, snprintf(text, sizeof(text), "%u", value));
		assert_memory_equal(b.data, text, b.len);
	}
	buf_reset(&b);
	buf_u16s(&b, values, 0);
	assert_int_equal(b.len, 0);
	buf_u16s(&b, values, COUNT);
	assert_int_equal(b.len, strlen("0,9,10,99,100,999,1000,9999,10000,65535,7,256"));
	assert_memory_equal(b.data, "0,9,10,99,100,999,1000,9999,10000,65535,7,256", b.len);
	for (size_t cap = 1; cap < 90; cap++) {
		assert_int_equal(buf_create(&one, cap), 0); /* the address sanitizer watches its end */
		buf_u16s(&one, values, COUNT);
		assert_int_equal(one.full, cap < b.len);
		assert_true(one.full || (one.len == b.len && memcmp(one.data, b.data, b.len) == 0));
		buf_destroy(&one);
	}
	buf_destroy(&b);
}

/* What a byte becomes alone it becomes at every place of every string. */
static void
buf_writes_strings_of_any_byte(void **state)
{
	struct buf b, alone;

	assert_int_equal(buf_create(&b, 64), 0);
	assert_int_equal(buf_create(&alone, 64), 0);
	for (unsigned int byte = 0; byte < 256; byte++) {
		char text[24];

		text[0] = (char)byte;
		buf_reset(&alone);
		buf_json_string(&alone, text, 1);
		for (size_t len = 1; len < 24; len++)
			for (size_t at = 0; at < len; at++) {
				memset(text, 'a', sizeof(text));
				text[at] = (char)byte;
				buf_reset(&b);
				buf_json_string(&b, text, len);
				assert_int_equal(b.len, alone.len + len - 1);
				assert_memory_equal(b.data + 1 + at, alone.data + 1, alone.len - 2);
				assert_true(b.data[b.len - 1] == '"' && (at == 0 || b.data[at] == 'a'));
			}
	}
	buf_destroy(&b);
	buf_destroy(&alone);
}

static void
hex_is_as_printf_writes_it(void **state)
{
	static const uint32_t values[] = { 0, 1, 0xf, 0x10, 0x8180, 0xfffff, 0x100000, 0xc0000022, UINT32_MAX };
	char expected[9], text[9];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(values); i++) {
		text[hex_of_u32(text, values[i])] = '\0';
		snprintf(expected, sizeof(expected), "%x", values[i]);
		assert_string_equal(text, expected);
	}
}

static void
buf_is_bounded(void **state)
{
	struct buf b;

	assert_int_equal(buf_create(&b, 4), 0);
	buf_puts(&b, "abc");
	buf_puts(&b, "de");
	assert_true(b.full);
	buf_putc(&b, 'f');
	assert_int_equal(b.len, 3);
	buf_destroy(&b);
	TEST_FAIL_EACH_ALLOC(buf_create(&b, 16), == 0, buf_destroy(&b));
}

static void
slab_reuses_and_is_bounded(void **state)
{
	struct slab *slab;
	void *blocks[64];
	unsigned int count = 0;

	assert_int_equal(slab_create(&slab, 1), 0);
	assert_int_equal(slab_size(slab), SLAB_BLOCK_MAX);
	assert_null(slab_alloc(slab, SLAB_BLOCK_MAX + 1));
	while ((blocks[count] = slab_alloc(slab, 5000)) != NULL)
		count++;
	assert_int_equal(count, SLAB_BLOCK_MAX / 8192);
	assert_int_equal(slab_used(slab), SLAB_BLOCK_MAX);
	while (count > 0)
		slab_free(slab, blocks[--count], 5000);
	assert_int_equal(slab_used(slab), 0);
	blocks[0] = slab_alloc(slab, 64); /* a larger block is halved for it */
	blocks[1] = slab_alloc(slab, 65);
	assert_non_null(blocks[0]);
	assert_non_null(blocks[1]);
	assert_int_equal(slab_used(slab), 64 + 128);
	assert_int_equal((uintptr_t)blocks[0] % 64, 0);
	slab_free(slab, NULL, 64);
	slab_destroy(slab);
	assert_int_equal(slab_create(&slab, 0), -EINVAL);
	TEST_FAIL_EACH_ALLOC(slab_create(&slab, 1), == 0, slab_destroy(slab));
}

static void
crc32c_has_the_known_values(void **state)
{
	uint8_t zeros[32] = { 0 };

	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, zeros, sizeof(zeros)), 0x8a9136aa); /* RFC 3720 B.4 */
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void
histogram_knows_a_value_to_a_sixteenth(void **state)
{
	static uint64_t buckets[HISTOGRAM_BUCKETS];
	unsigned int before = 0;

	for (uint64_t value = 0; value < 100000; value++) {
		unsigned int bucket = histogram_bucket(value);

		assert_true(bucket >= before && bucket <= before + 1);
		assert_true(histogram_value(bucket) <= value && value - histogram_value(bucket) <= value / 16);
		before = bucket;
	}
	assert_true(histogram_bucket(UINT64_MAX) < HISTOGRAM_BUCKETS);
	assert_int_equal(histogram_share(buckets, 0.5), 0);
	for (uint64_t value = 1; value <= 100; value++)
		buckets[histogram_bucket(value)]++;
	assert_int_equal(histogram_share(buckets, 0.5), 50);
	assert_int_equal(histogram_share(buckets, 0.1), 10);
	assert_int_equal(histogram_share(buckets, 1), 100);
}

static void
log_levels_have_names(void **state)
{
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_true(log_level_parse("loud") < 0);
	assert_string_equal(log_level_name(LOG_LEVEL_ERROR), "error");
}

static void
areas_are_zeroed_and_aligned(void **state)
{
	uint8_t *area = mem_area_create(3 << 20);

	assert_non_null(area);
	assert_int_equal((uintptr_t)area % (2 << 20), 0);
	assert_int_equal(area[0] | area[(3 << 20) - 1], 0);
	mem_area_destroy(area, 3 << 20);
	assert_null(mem_area_create(0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cursor_short_reads_stick),
		cmocka_unit_test(cursor_sub_is_bounded),
		cmocka_unit_test(buf_writes_json_text),
		cmocka_unit_test(buf_writes_numbers),
		cmocka_unit_test(buf_writes_singles_as_the_library),
		cmocka_unit_test(buf_writes_whole_or_not_at_all),
		cmocka_unit_test(buf_writes_lists_of_numbers),
		cmocka_unit_test(buf_writes_strings_of_any_byte),
		cmocka_unit_test(hex_is_as_printf_writes_it),
		cmocka_unit_test(buf_is_bounded),
		cmocka_unit_test(slab_reuses_and_is_bounded),
		cmocka_unit_test(crc32c_has_the_known_values),
		cmocka_unit_test(histogram_knows_a_value_to_a_sixteenth),
		cmocka_unit_test(log_levels_have_names),
		cmocka_unit_test(areas_are_zeroed_and_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
