#include "lib/base/buf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	U64_DIGITS_MAX = 20,
	U16_DIGITS_MAX = 5,
	MAC_LEN = 17,
	IPV4_LEN_MAX = 15,
	COPY_PLAIN_MAX = 256, /* of a text that is copied before it is known to need no escape */
};

int
buf_create(struct buf *b, size_t cap)
{
	*b = (struct buf){ .data = malloc(cap) };
	if (b->data == NULL)
		return -ENOMEM;
	b->cap = cap;
	return 0;
}

void
buf_destroy(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->data);
	*b = (struct buf){ 0 };
}

static const char digit_pairs[201] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				     "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				     "8081828384858687888990919293949596979899";

/* The value's decimal digits, ending at end. Returns where they begin. */
static char *
digits_before(char *end, uint64_t value)
{
	while (value >= 100) {
		end -= 2;
		memcpy(end, digit_pairs + value % 100 * 2, 2);
		value /= 100;
	}
	if (value < 10) {
		*--end = (char)('0' + value);
		return end;
	}
	end -= 2;
	memcpy(end, digit_pairs + value * 2, 2);
	return end;
}

/* Decimal digits of a value above 0. */
static unsigned int
digit_count(uint64_t value)
{
	static const uint64_t powers[20] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
		10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000,
		10000000000000000, 100000000000000000, 1000000000000000000, UINT64_C(10000000000000000000) };
	unsigned int bits = 64 - (unsigned int)__builtin_clzll(value);
	unsigned int guess = bits * 1233 >> 12; /* log10(2): one too low at most */

	return guess + (guess < 20 && value >= powers[guess]);
}

/* Near the end of the room, where the digits may not fit. */
static __attribute__((noinline, cold)) void
put_u64_checked(struct buf *b, uint64_t value)
{
	char text[U64_DIGITS_MAX];
	char *end = text + sizeof(text), *at = digits_before(end, value);

	buf_put(b, at, (size_t)(end - at));
}

/* In 32 bits, and without a look at the room. */
static inline char *
put_u16(char *at, uint32_t value)
{
	if (value < 10) {
		*at = (char)('0' + value);
		return at + 1;
	}
	if (value >= 10000) {
		*at++ = (char)('0' + value / 10000);
		value %= 10000;
	} else if (value < 100) {
		memcpy(at, digit_pairs + value * 2, 2);
		return at + 2;
	} else if (value < 1000) {
		*at = (char)('0' + value / 100);
		memcpy(at + 1, digit_pairs + value % 100 * 2, 2);
		return at + 3;
	}
	memcpy(at, digit_pairs + value / 100 * 2, 2);
	memcpy(at + 2, digit_pairs + value % 100 * 2, 2);
	return at + 4;
}

void
buf_u64(struct buf *b, uint64_t value)
{
	char *at = b->data + b->len;

	if (!buf_has(b, U64_DIGITS_MAX)) {
		put_u64_checked(b, value);
	} else if (value < 10) {
		at[0] = (char)('0' + value);
		b->len += 1;
	} else if (value < 100) {
		memcpy(at, digit_pairs + value * 2, 2);
		b->len += 2;
	} else {
		unsigned int count = digit_count(value);

		(void)digits_before(at + count, value);
		b->len += count;
	}
}

void
buf_u16s(struct buf *b, const uint16_t values[], uint32_t count)
{
	char *at = b->data + b->len;

	if (!buf_has(b, (size_t)count * (U16_DIGITS_MAX + 1))) {
		for (uint32_t i = 0; i < count; i++) {
			if (i > 0)
				buf_putc(b, ',');
			put_u64_checked(b, values[i]);
		}
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		at = put_u16(at, values[i]);
		*at++ = ',';
	}
	b->len = (size_t)(at - b->data) - (count > 0);
}

void
buf_i64(struct buf *b, int64_t value)
{
	if (value < 0) {
		buf_putc(b, '-');
		buf_u64(b, -(uint64_t)value);
		return;
	}
	buf_u64(b, (uint64_t)value);
}

/* The text of a number of `places` digits behind the point, without the zeros at its end. */
static void
put_decimal(struct buf *b, bool negative, uint64_t number, unsigned int places)
{
	char text[32];
	char *end = text + sizeof(text), *at;

	while (places > 0 && number % 10 == 0) {
		number /= 10;
		places--;
	}
	at = digits_before(end, number);
	while ((size_t)(end - at) <= places)
		*--at = '0';
	if (negative)
		*--at = '-';
	buf_put(b, at, (size_t)(end - at) - places);
	if (places > 0) {
		buf_putc(b, '.');
		buf_put(b, end - places, places);
	}
}

/*
 * Singles of ordinary size without the C library, digit for digit as "%.*g" has them: the product with a power of ten
 * is exact, since 24 bits and those of 5^10 fit in a double, and so it is rounded once, as there.
 * @return false: it is for the library
 */
static bool
put_single(struct buf *b, double value)
{
	static const double powers[11] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10 };
	enum { DIGITS_FIRST = 6, DIGITS_LAST = 9, TIE = 0x10000000 };
	double size = fabs(value);
	int before = 0; /* digits in front of the point; 0, -1: as many zeros behind it */

	if (size < 0.01 || size >= 1e6)
		return false;
	while (size >= powers[before])
		before++;
	before -= size < 0.1;
	for (int digits = DIGITS_FIRST; digits <= DIGITS_LAST && digits - before <= 10; digits++) {
		unsigned int places = (unsigned int)(digits - before);
		double number = rint(size * powers[places]), back = number / powers[places];
		uint64_t bits;

		memcpy(&bits, &back, sizeof(bits));
		if ((bits & (2 * TIE - 1)) == TIE)
			return false; /* half way between two singles: rounding twice may go astray */
		if ((float)back != (float)size)
			continue;
		put_decimal(b, value < 0, (uint64_t)number, places);
		return true;
	}
	return false;
}

/* A whole number below 2^53 prints as such; anything else in the fewest digits that read back. */
static void
put_real(struct buf *b, double value, bool single)
{
	char text[40];
	int len = 0;

	if (!isfinite(value)) {
		buf_puts(b, "null");
		return;
	}
	if (value == floor(value) && fabs(value) < 9007199254740992.0) {
		buf_i64(b, (int64_t)value);
		buf_puts(b, ".0");
		return;
	}
	if (single && put_single(b, value))
		return;
	for (int precision = single ? 6 : 15; precision <= 17; precision++) {
		len = snprintf(text, sizeof(text), "%.*g", precision, value);
		if (single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value)
			break;
	}
	buf_put(b, text, (size_t)len);
}

void
buf_f64(struct buf *b, double value)
{
	put_real(b, value, false);
}

void
buf_f32(struct buf *b, float value)
{
	put_real(b, (double)value, true);
}

static const char hex_digits[16] = "0123456789abcdef";

static inline void
put_hex(char *at, uint8_t byte)
{
	at[0] = hex_digits[byte >> 4];
	at[1] = hex_digits[byte & 15];
}

void
buf_hex(struct buf *b, const uint8_t *data, size_t len)
{
	char *at = b->data + b->len;

	if (b->full || len > (b->cap - b->len) / 2) {
		b->full = true;
		return;
	}
	for (size_t i = 0; i < len; i++)
		put_hex(at + 2 * i, data[i]);
	b->len += 2 * len;
}

void
buf_base64(struct buf *b, const uint8_t *data, size_t len)
{
	static const char code[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *at = b->data + b->len;

	if (b->full || (len + 2) / 3 > (b->cap - b->len) / 4) {
		b->full = true;
		return;
	}
	for (size_t i = 0; i < len; i += 3, at += 4) {
		size_t left = len - i;
		uint32_t word = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
			(left > 2 ? data[i + 2] : 0);

		at[0] = code[word >> 18];
		at[1] = code[word >> 12 & 63];
		at[2] = left > 1 ? code[word >> 6 & 63] : '=';
		at[3] = left > 2 ? code[word & 63] : '=';
	}
	b->len += (len + 2) / 3 * 4;
}

/* Length of the valid UTF-8 sequence at data (RFC 3629), 0 when there is none. */
static size_t
utf8_sequence_len(const uint8_t *data, size_t len)
{
	uint8_t lead = data[0];
	size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;

	if (lead < 0xc2 || lead > 0xf4 || len < need || data[1] < low || data[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if ((data[i] & 0xc0) != 0x80)
			return 0;
	return need;
}

static void
put_escaped(struct buf *b, uint8_t byte)
{
	char text[6] = { '\\', 'u', '0', '0', hex_digits[byte >> 4], hex_digits[byte & 15] };

	switch (byte) {
	case '"': buf_put(b, "\\\"", 2); return;
	case '\\': buf_put(b, "\\\\", 2); return;
	case '\n': buf_put(b, "\\n", 2); return;
	case '\r': buf_put(b, "\\r", 2); return;
	case '\t': buf_put(b, "\\t", 2); return;
	default: buf_put(b, text, sizeof(text));
	}
}

/* The high bit of each byte that does not stand in a JSON string as it is; of those behind the first also by chance,
 * since borrows run that way. */
static inline uint64_t
marks_of(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	return ((word - ones * 0x20) | ((word ^ ones * '"') - ones) | ((word ^ ones * '\\') - ones) |
		((word ^ ones * 0x7f) - ones) | word) & ones << 7;
}

/* Fewer than 8 bytes as a word, the first lowest, blanks behind them. Loads overlap where bytes are few. */
static inline uint64_t
short_word(const uint8_t *data, size_t len)
{
	uint32_t low, high;

	if (len == 0)
		return UINT64_C(0x2020202020202020);
	if (len < 4) {
		low = data[0] | (uint32_t)data[len / 2] << 8 * (len / 2) | (uint32_t)data[len - 1] << 8 * (len - 1);
		return low | UINT64_C(0x2020202020202020) << 8 * len;
	}
	memcpy(&low, data, sizeof(low));
	memcpy(&high, data + len - sizeof(high), sizeof(high));
	return low | (uint64_t)high << 8 * (len - sizeof(high)) | UINT64_C(0x2020202020202020) << 8 * len;
}

/* Bytes at the front that stand in a JSON string as they are. The last word overlaps the one before. */
static size_t
plain_len(const uint8_t *data, size_t len)
{
	uint64_t word, marks;

	for (size_t at = 0; len >= 8 && at < len; at += 8) {
		size_t from = at + 8 <= len ? at : len - 8;

		memcpy(&word, data + from, sizeof(word));
		marks = marks_of(word);
		if (marks != 0)
			return from + (unsigned int)__builtin_ctzll(marks) / 8;
	}
	if (len >= 8 || len == 0)
		return len;
	marks = marks_of(short_word(data, len));
	return marks != 0 ? (unsigned int)__builtin_ctzll(marks) / 8 : len;
}

/*
 * Copies a text that stands in a JSON string as it is, and up to 8 bytes of what it likes behind it. The last word overlaps
 * the one before.
 * @return whether it was such a text; else something of it was copied
 */
static inline bool
copy_plain(char *to, const uint8_t *data, size_t len)
{
	uint64_t word, marks = 0;

	if (len < 8) {
		word = short_word(data, len);
		memcpy(to, &word, sizeof(word));
		return marks_of(word) == 0;
	}
	for (size_t at = 0; at + 8 < len; at += 8) {
		memcpy(&word, data + at, sizeof(word));
		memcpy(to + at, &word, sizeof(word));
		marks |= marks_of(word);
	}
	memcpy(&word, data + len - 8, sizeof(word));
	memcpy(to + len - 8, &word, sizeof(word));
	return (marks | marks_of(word)) == 0;
}

static void
put_json_string(struct buf *b, const uint8_t *data, size_t len)
{
	size_t plain = 0; /* start of the run that needs no escape */

	buf_putc(b, '"');
	for (size_t i = plain_len(data, len); i < len; i += plain_len(data + i, len - i)) {
		size_t step = data[i] >= 0x80 ? utf8_sequence_len(data + i, len - i) : 0;

		if (step > 0) {
			i += step;
			continue;
		}
		buf_put(b, data + plain, i - plain);
		put_escaped(b, data[i]);
		plain = ++i;
	}
	buf_put(b, data + plain, len - plain);
	buf_putc(b, '"');
}

void
buf_json_string(struct buf *b, const void *bytes, size_t len)
{
	char *at = b->data + b->len;

	if (len > COPY_PLAIN_MAX || !buf_has(b, COPY_PLAIN_MAX + 2 + 8) || !copy_plain(at + 1, bytes, len)) {
		put_json_string(b, bytes, len);
		return;
	}
	at[0] = '"';
	at[len + 1] = '"';
	b->len += len + 2;
}

static bool
is_utf8(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t step = data[i] < 0x80 ? 1 : utf8_sequence_len(data + i, len - i);

		if (step == 0)
			return false;
		i += step;
	}
	return true;
}

void
buf_json_octets(struct buf *b, const void *bytes, size_t len)
{
	const uint8_t *data = bytes;
	size_t plain = 0;

	if (is_utf8(data, len)) {
		buf_json_string(b, data, len);
		return;
	}
	buf_putc(b, '"');
	for (size_t i = plain_len(data, len); i < len; i += plain_len(data + i, len - i)) {
		const char octet[5] = { '\\', '\\', 'x', hex_digits[data[i] >> 4], hex_digits[data[i] & 15] };

		buf_put(b, data + plain, i - plain);
		if (data[i] >= 0x80)
			buf_put(b, octet, sizeof(octet));
		else
			put_escaped(b, data[i]);
		plain = ++i;
	}
	buf_put(b, data + plain, len - plain);
	buf_putc(b, '"');
}

/* Civil date of a day number since 1970-01-01 (proleptic Gregorian, valid for uint64 ns). */
static void
civil_from_days(uint64_t days, unsigned int *year, unsigned int *month, unsigned int *day)
{
	uint64_t z = days + 719468;
	uint64_t era = z / 146097;
	unsigned int doe = (unsigned int)(z - era * 146097);
	unsigned int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned int mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = (unsigned int)(yoe + era * 400) + (*month <= 2);
}

static void
put_pair(char *at, unsigned int value)
{
	memcpy(at, digit_pairs + value % 100 * 2, 2);
}

void
buf_json_time(struct buf *b, uint64_t ts_ns)
{
	char text[35] = "\"0000-00-00T00:00:00.000000+0000\"";
	uint64_t seconds = ts_ns / 1000000000;
	unsigned int micros = (unsigned int)(ts_ns % 1000000000 / 1000);
	unsigned int of_day = (unsigned int)(seconds % 86400);
	unsigned int year, month, day;

	civil_from_days(seconds / 86400, &year, &month, &day);
	put_pair(text + 1, year / 100);
	put_pair(text + 3, year);
	put_pair(text + 6, month);
	put_pair(text + 9, day);
	put_pair(text + 12, of_day / 3600);
	put_pair(text + 15, of_day / 60 % 60);
	put_pair(text + 18, of_day % 60);
	put_pair(text + 21, micros / 10000);
	put_pair(text + 23, micros / 100);
	put_pair(text + 25, micros);
	buf_put(b, text, 33);
}

void
buf_ip(struct buf *b, unsigned int version, const uint8_t *bytes)
{
	char text[INET6_ADDRSTRLEN];

	if (version == 6) {
		buf_puts(b, inet_ntop(AF_INET6, bytes, text, sizeof(text)));
		return;
	}
	if (!buf_has(b, IPV4_LEN_MAX + 1)) {
		b->full = true;
		return;
	}
	for (int i = 0; i < 4; i++) {
		unsigned int count = bytes[i] < 10 ? 1 : bytes[i] < 100 ? 2 : 3;

		(void)digits_before(b->data + b->len + count, bytes[i]);
		b->len += count;
		b->data[b->len++] = '.';
	}
	b->len--;
}

void
buf_mac(struct buf *b, const uint8_t bytes[6])
{
	char *at = b->data + b->len;

	if (!buf_has(b, MAC_LEN + 1)) {
		b->full = true;
		return;
	}
	for (int i = 0; i < 6; i++) {
		put_hex(at + 3 * i, bytes[i]);
		at[3 * i + 2] = ':';
	}
	b->len += MAC_LEN;
}

void
buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int len;

	if (b->full)
		return;
	va_start(args, format);
	len = vsnprintf(b->data + b->len, b->cap - b->len, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= b->cap - b->len) {
		b->full = true;
		return;
	}
	b->len += (size_t)len;
}
