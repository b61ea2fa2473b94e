#include "lib/store/line.h"

#include <arpa/inet.h>
#include <assert.h>
#include <immintrin.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/cursor.h"
#include "lib/store/function.h"

/* ---- which values are columns: by their path in the line ---- */

enum value_type { VALUE_TEXT, VALUE_NUMBER, VALUE_IP, VALUE_TIME };

struct wanted {
	const char *path; /* dotted */
	uint8_t type;     /* enum value_type */
	uint16_t offset;  /* in struct store_line */
};

#define VALUE(path, type, member) { path, type, offsetof(struct store_line, member) }

static const struct wanted wanted[] = {
	VALUE("timestamp", VALUE_TIME, ts_ns),
	VALUE("event_type", VALUE_TEXT, event_type),
	VALUE("src_ip", VALUE_IP, src_ip),
	VALUE("arp.src_ip", VALUE_IP, src_ip), /* ARP has no IP header, and is of hosts all the same */
	VALUE("arp.dest_ip", VALUE_IP, dest_ip),
	VALUE("src_port", VALUE_NUMBER, src_port),
	VALUE("dest_ip", VALUE_IP, dest_ip),
	VALUE("dest_port", VALUE_NUMBER, dest_port),
	VALUE("proto", VALUE_TEXT, proto),
	VALUE("app_proto", VALUE_TEXT, app_proto),
	VALUE("alert.signature_id", VALUE_NUMBER, signature_id),
	VALUE("alert.severity", VALUE_NUMBER, severity),
	VALUE("flow_id", VALUE_NUMBER, flow_id),
	VALUE("flow.part", VALUE_NUMBER, flow_part),
	VALUE("flow.pkts_toserver", VALUE_NUMBER, packets[0]),
	VALUE("flow.pkts_toclient", VALUE_NUMBER, packets[1]),
	VALUE("flow.bytes_toserver", VALUE_NUMBER, bytes[0]),
	VALUE("flow.bytes_toclient", VALUE_NUMBER, bytes[1]),
	VALUE("stats.uptime", VALUE_NUMBER, uptime_s),
	VALUE("stats.run", VALUE_TEXT, run),
	VALUE("stats.capture.received", VALUE_NUMBER, received),
};
enum { WANTED_COUNT = sizeof(wanted) / sizeof(wanted[0]), LETTERS = 32 };
static_assert(WANTED_COUNT + STORE_FUNCTIONS_MAX < 64, "a bit each in struct place");

/* Where the scanner is: those rows of wanted[], and behind them of store_functions[], whose paths begin so. */
struct place {
	uint64_t rows;
	uint32_t prefix_len; /* of each of them, with the dot (or the end) behind the last key */
};

static const char *
row_path(unsigned int row)
{
	return row < WANTED_COUNT ? wanted[row].path : store_functions[row - WANTED_COUNT].code;
}

/* Rows by the low bits of their first letter: most keys of a line are none of theirs. */
static uint64_t letter_rows[LETTERS]; /* written once, by fill_letters() */
static pthread_once_t letters_filled = PTHREAD_ONCE_INIT;

static void
fill_letters(void)
{
	for (unsigned int row = 0; row < WANTED_COUNT + store_function_count; row++)
		letter_rows[(uint8_t)row_path(row)[0] % LETTERS] |= UINT64_C(1) << row;
}

static struct place
place_below(struct place in, const char *key, size_t key_len)
{
	struct place out = { .prefix_len = in.prefix_len + (uint32_t)key_len + 1 };

	for (uint64_t rest = in.rows; rest != 0; rest &= rest - 1) {
		unsigned int row = (unsigned int)__builtin_ctzll(rest);
		const char *at = row_path(row) + in.prefix_len;

		if (*at == *key && strncmp(at, key, key_len) == 0 && (at[key_len] == '.' || at[key_len] == '\0'))
			out.rows |= UINT64_C(1) << row;
	}
	/* A dot within a key is not one between two. */
	if (out.rows != 0 && memchr(key, '.', key_len) != NULL)
		out.rows = 0;
	return out;
}

/* Whether the row's path ends here; no other one does then. */
static bool
place_ends(struct place place, unsigned int row)
{
	return place.prefix_len > 0 && row_path(row)[place.prefix_len - 1] == '\0';
}

/* @return the row that the value here is wanted for, -1: none */
static int
place_row(struct place place)
{
	for (uint64_t rest = place.rows; rest != 0; rest &= rest - 1) {
		unsigned int row = (unsigned int)__builtin_ctzll(rest);

		if (place_ends(place, row))
			return (int)row;
	}
	return -1;
}

/* ---- values ---- */

static bool
read_digits(struct cursor *c, unsigned int count, int64_t *out)
{
	*out = 0;
	for (unsigned int i = 0; i < count; i++) {
		uint8_t digit = (uint8_t)(cursor_u8(c) - '0');

		if (c->short_read || digit > 9)
			return false;
		*out = *out * 10 + digit;
	}
	return true;
}

/* Days from 1970-01-01 in the Gregorian calendar; the year starts in March so that the leap day is its last. */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

/* "Z", "+0000" or "+00:00", in seconds east. */
static bool
read_zone(struct cursor *c, int64_t *out)
{
	uint8_t sign = cursor_u8(c);
	int64_t hours;
	int64_t minutes;

	*out = 0;
	if (sign == 'Z')
		return cursor_left(c) == 0;
	if ((sign != '+' && sign != '-') || !read_digits(c, 2, &hours))
		return false;
	if (cursor_left(c) == 3 && cursor_u8(c) != ':')
		return false;
	if (!read_digits(c, 2, &minutes) || cursor_left(c) != 0)
		return false;
	*out = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
	return true;
}

/* "2026-01-02T03:04:05[.fraction]ZONE" (RFC 3339, and EVE's zone without a colon). */
bool
store_time_read(struct line_number *out, const char *text, size_t len)
{
	struct cursor c = cursor_of(text, len);
	static const char separators[] = "--T::";
	int64_t part[6]; /* year, month, day, hour, minute, second */
	int64_t fraction_ns = 0;
	int64_t zone_s;

	for (unsigned int i = 0; i < 6; i++) {
		if (!read_digits(&c, i == 0 ? 4 : 2, &part[i]))
			return false;
		if (i < 5 && cursor_u8(&c) != separators[i])
			return false;
	}
	if (cursor_left(&c) > 0 && *c.pos == '.') {
		int64_t scale = 100000000;

		cursor_skip(&c, 1);
		while (cursor_left(&c) > 0 && *c.pos >= '0' && *c.pos <= '9') {
			fraction_ns += (cursor_u8(&c) - '0') * scale;
			scale /= 10;
		}
	}
	if (!read_zone(&c, &zone_s) || part[0] < 1970 || part[0] > 2261 || part[1] < 1 || part[1] > 12 ||
	    part[2] < 1 || part[2] > 31 || part[3] > 23 || part[4] > 59 || part[5] > 60)
		return false;
	out->value = ((days_of(part[0], part[1], part[2]) * 24 + part[3]) * 60 + part[4]) * 60 + part[5] - zone_s;
	out->value = out->value * 1000000000 + fraction_ns;
	out->present = out->value >= 0;
	return out->present;
}

bool
store_ip_read(struct line_ip *out, const char *text, size_t len)
{
	char copy[INET6_ADDRSTRLEN];

	out->len = 0;
	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, out->bytes) == 1)
		out->len = 4;
	else if (inet_pton(AF_INET6, copy, out->bytes) == 1)
		out->len = 16;
	return out->len != 0;
}

static void
take_string(unsigned int row, struct store_line *out, const char *text, size_t len)
{
	const struct wanted *want = &wanted[row];
	void *at = (char *)out + want->offset;
	struct line_text *column = at;

	if (want->type == VALUE_TIME)
		(void)store_time_read(at, text, len);
	else if (want->type == VALUE_IP)
		(void)store_ip_read(at, text, len);
	else if (want->type == VALUE_TEXT && len <= LINE_TEXT_MAX)
		*column = (struct line_text){ .data = text, .len = (uint32_t)len };
}

static void
take_function(unsigned int row, struct store_line *out, int64_t number)
{
	bool response;
	int32_t code = store_function_code(&store_functions[row - WANTED_COUNT], number, &response);

	if (code >= 0)
		*(response ? &out->response_function : &out->function) =
			(struct line_number){ .value = code, .present = true };
}

static void
take_number(unsigned int row, struct store_line *out, int64_t number)
{
	struct line_number *column;

	if (row >= WANTED_COUNT) {
		take_function(row, out, number);
	} else if (wanted[row].type == VALUE_NUMBER) {
		column = (void *)((char *)out + wanted[row].offset);
		*column = (struct line_number){ .value = number, .present = true };
	}
}

/* ---- the scanner: one pass, an explicit stack ---- */

enum expect { EXPECT_VALUE, EXPECT_VALUE_OR_END, EXPECT_KEY, EXPECT_KEY_OR_END, EXPECT_MORE, EXPECT_NOTHING };

struct scanner {
	struct cursor in;
	struct store_line *out;
	struct place place; /* of the value that comes next */
	const char *error;
	unsigned int depth;
	enum expect expect;
	struct {
		bool is_object;
		struct place place;
	} stack[LINE_DEPTH_MAX];
};

static uint8_t
peek(const struct scanner *s)
{
	return cursor_left(&s->in) > 0 ? *s->in.pos : 0;
}

static bool
fail(struct scanner *s, const char *why)
{
	s->error = why;
	return false;
}

static void
skip_space(struct scanner *s)
{
	/* Sensors write none. */
	if (peek(s) > ' ')
		return;
	while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\r')
		cursor_skip(&s->in, 1);
}

/* RFC 3629 4: the second byte's range keeps out overlong forms, surrogates and values above U+10FFFF. */
static bool
scan_utf8(struct scanner *s, uint8_t first)
{
	unsigned int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
	uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

	if (first < 0xc2 || first > 0xf4)
		return fail(s, "not UTF-8");
	for (; more > 0; more--) {
		uint8_t next = cursor_u8(&s->in);

		if (s->in.short_read || next < low || next > high)
			return fail(s, "not UTF-8");
		low = 0x80;
		high = 0xbf;
	}
	return true;
}

static bool
scan_hex4(struct scanner *s, unsigned int *out)
{
	*out = 0;
	for (unsigned int i = 0; i < 4; i++) {
		uint8_t c = cursor_u8(&s->in);
		unsigned int digit = c >= '0' && c <= '9' ? c - (unsigned int)'0'
			: (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10u : 16;

		if (digit == 16)
			return fail(s, "bad \\u escape");
		*out = *out << 4 | digit;
	}
	return true;
}

static bool
scan_escape(struct scanner *s)
{
	uint8_t c = cursor_u8(&s->in);
	unsigned int unit;

	if (c != 'u')
		return (c != 0 && strchr("\"\\/bfnrt", c) != NULL) || fail(s, "bad escape");
	if (!scan_hex4(s, &unit))
		return false;
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return fail(s, "lone surrogate");
	if (unit < 0xd800 || unit > 0xdbff)
		return true;
	if (cursor_u8(&s->in) != '\\' || cursor_u8(&s->in) != 'u')
		return fail(s, "lone surrogate");
	if (!scan_hex4(s, &unit))
		return false;
	return (unit >= 0xdc00 && unit <= 0xdfff) || fail(s, "lone surrogate");
}

/*
 * Bytes at the cursor that stand in a string as they are: no quote, no backslash, no control byte, nothing above ASCII.
 * Nearly all of a line is in its keys and texts, so they are looked at 32 at a time.
 */
static size_t
plain_run(const struct cursor *in)
{
	const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\'), space = _mm256_set1_epi8(' ');
	size_t left = cursor_left(in);
	size_t run = 0;

	for (; left - run >= sizeof(__m256i); run += sizeof(__m256i)) {
		__m256i text = _mm256_loadu_si256((const __m256i *)(in->pos + run));
		/* As signed numbers, bytes above ASCII are below the space as control bytes are. */
		__m256i stop = _mm256_or_si256(_mm256_cmpgt_epi8(space, text),
			_mm256_or_si256(_mm256_cmpeq_epi8(text, quote), _mm256_cmpeq_epi8(text, backslash)));
		uint32_t stops = (uint32_t)_mm256_movemask_epi8(stop);

		if (stops != 0)
			return run + (size_t)__builtin_ctz(stops);
	}
	while (run < left && in->pos[run] >= ' ' && in->pos[run] < 0x80 && in->pos[run] != '"' && in->pos[run] != '\\')
		run++;
	return run;
}

/* The opening quote was seen. *plain: no escape in it, so the span is the text. */
static bool
scan_string(struct scanner *s, const char **text, size_t *len, bool *plain)
{
	cursor_skip(&s->in, 1);
	*text = (const char *)s->in.pos;
	*plain = true;
	for (;;) {
		const uint8_t *at;
		uint8_t c;

		cursor_skip(&s->in, plain_run(&s->in));
		at = s->in.pos;
		c = cursor_u8(&s->in);
		if (s->in.short_read)
			return fail(s, "unfinished string");
		if (c == '"') {
			*len = (size_t)((const char *)at - *text);
			return true;
		}
		if (c < 0x20)
			return fail(s, "control byte in a string");
		if (c >= 0x80 && !scan_utf8(s, c))
			return false;
		if (c == '\\') {
			*plain = false;
			if (!scan_escape(s))
				return false;
		}
	}
}

static unsigned int
scan_digits(struct scanner *s, int64_t *value)
{
	unsigned int count = 0;

	while (peek(s) >= '0' && peek(s) <= '9') {
		int64_t digit = cursor_u8(&s->in) - '0';

		if (count++ < LINE_DIGITS_MAX - 1)
			*value = *value * 10 + digit;
	}
	return count;
}

static bool
scan_number(struct scanner *s)
{
	bool negative = peek(s) == '-';
	int64_t value = 0;
	int64_t ignored = 0;
	bool whole = true;
	unsigned int digits;
	uint8_t first;
	int row;

	if (negative)
		cursor_skip(&s->in, 1);
	first = peek(s);
	digits = scan_digits(s, &value);
	if (digits == 0 || digits > LINE_DIGITS_MAX + 1 || (first == '0' && digits > 1))
		return fail(s, "bad number");
	if (peek(s) == '.') {
		cursor_skip(&s->in, 1);
		whole = false;
		if (scan_digits(s, &ignored) == 0)
			return fail(s, "bad number");
	}
	if ((peek(s) | 32) == 'e') {
		int64_t exponent = 0;

		cursor_skip(&s->in, 1);
		whole = false;
		if (peek(s) == '+' || peek(s) == '-')
			cursor_skip(&s->in, 1);
		if (scan_digits(s, &exponent) == 0 || exponent > LINE_EXPONENT_MAX)
			return fail(s, "bad number");
	}
	row = place_row(s->place);
	if (row >= 0 && whole && digits < LINE_DIGITS_MAX)
		take_number((unsigned int)row, s->out, negative ? -value : value);
	return true;
}

static bool
scan_word(struct scanner *s)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i]);

		if (cursor_left(&s->in) >= len && memcmp(s->in.pos, words[i], len) == 0) {
			cursor_skip(&s->in, len);
			return true;
		}
	}
	return fail(s, "not a JSON value");
}

static bool
open_level(struct scanner *s, bool is_object)
{
	struct place place = is_object ? s->place : (struct place){ 0 };
	int row = place_row(place);

	if (s->depth == LINE_DEPTH_MAX)
		return fail(s, "nested too deep");
	if (row >= 0) {
		if (row >= WANTED_COUNT && store_functions[row - WANTED_COUNT].fixed != 0)
			take_function((unsigned int)row, s->out, 0);
		place.rows = 0; /* a path ends here, and no other goes on */
	}
	cursor_skip(&s->in, 1);
	s->stack[s->depth].is_object = is_object;
	s->stack[s->depth].place = place;
	s->depth++;
	s->place.rows = 0;
	s->expect = is_object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
	return true;
}

static bool
close_level(struct scanner *s)
{
	cursor_skip(&s->in, 1);
	s->depth--;
	s->place.rows = 0;
	s->expect = s->depth == 0 ? EXPECT_NOTHING : EXPECT_MORE;
	return true;
}

static bool
scan_value(struct scanner *s)
{
	uint8_t c = peek(s);
	const char *text;
	size_t len;
	bool plain;
	int row;

	if (c == '{' || c == '[')
		return open_level(s, c == '{');
	s->expect = EXPECT_MORE;
	if (c == '"') {
		if (!scan_string(s, &text, &len, &plain))
			return false;
		row = place_row(s->place);
		if (row >= 0 && row < WANTED_COUNT && plain)
			take_string((unsigned int)row, s->out, text, len);
		return true;
	}
	if (c == '-' || (c >= '0' && c <= '9'))
		return scan_number(s);
	return scan_word(s);
}

static bool
scan_key(struct scanner *s)
{
	const char *text;
	size_t len;
	bool plain;

	if (peek(s) != '"')
		return fail(s, "a key is missing");
	if (!scan_string(s, &text, &len, &plain))
		return false;
	skip_space(s);
	if (cursor_u8(&s->in) != ':')
		return fail(s, "a colon is missing");
	s->place = s->stack[s->depth - 1].place;
	if (s->depth == 1)
		s->place.rows = letter_rows[(uint8_t)*text % LETTERS];
	if (!plain)
		s->place.rows = 0;
	if (s->place.rows != 0)
		s->place = place_below(s->place, text, len);
	s->expect = EXPECT_VALUE;
	return true;
}

static bool
scan_step(struct scanner *s)
{
	uint8_t c;

	skip_space(s);
	c = peek(s);
	if ((s->expect == EXPECT_KEY_OR_END && c == '}') || (s->expect == EXPECT_VALUE_OR_END && c == ']'))
		return close_level(s);
	if (s->expect == EXPECT_KEY || s->expect == EXPECT_KEY_OR_END)
		return scan_key(s);
	if (s->expect == EXPECT_VALUE || s->expect == EXPECT_VALUE_OR_END)
		return scan_value(s);
	if (c == (s->stack[s->depth - 1].is_object ? '}' : ']'))
		return close_level(s);
	if (c != ',')
		return fail(s, "a comma is missing");
	cursor_skip(&s->in, 1);
	s->place.rows = 0;
	s->expect = s->stack[s->depth - 1].is_object ? EXPECT_KEY : EXPECT_VALUE;
	return true;
}

const char *
store_line_read(struct store_line *out, const char *text, size_t len)
{
	struct scanner s;

	/* The stack's levels are written as they are opened. */
	s.in = cursor_of(text, len);
	s.out = out;
	s.place = (struct place){ 0 };
	s.error = NULL;
	s.depth = 0;
	s.expect = EXPECT_VALUE;
	*out = (struct store_line){ .text = { .data = text, .len = (uint32_t)len } };
	if (len > UINT32_MAX)
		return "too long";
	pthread_once(&letters_filled, fill_letters);
	skip_space(&s);
	if (peek(&s) != '{')
		return "not a JSON object";
	/* Every step consumes a byte or ends, so the loop is bounded by the line. */
	while (s.expect != EXPECT_NOTHING)
		if (!scan_step(&s))
			return s.error;
	skip_space(&s);
	return cursor_left(&s.in) == 0 ? NULL : "something follows the object";
}
