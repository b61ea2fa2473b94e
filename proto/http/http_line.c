/* Where a message begins and its head ends. */
#include "proto/http/http.h"

static const struct {
	const char *name;
	uint8_t len;
} methods[] = {
	{ "GET", 3 }, { "POST", 4 }, { "HEAD", 4 }, { "PUT", 3 }, { "DELETE", 6 }, { "OPTIONS", 7 }, { "CONNECT", 7 },
	{ "TRACE", 5 }, { "PATCH", 5 }, { "PROPFIND", 8 }, { "PROPPATCH", 9 }, { "MKCOL", 5 }, { "COPY", 4 }, { "MOVE", 4 },
	{ "LOCK", 4 }, { "UNLOCK", 6 }, { "SEARCH", 6 }, { "REPORT", 6 }, { "SUBSCRIBE", 9 }, { "UNSUBSCRIBE", 11 },
	{ "NOTIFY", 6 }, { "M-SEARCH", 8 }, { "RPC_IN_DATA", 11 }, { "RPC_OUT_DATA", 12 }, { "BITS_POST", 9 },
	{ "CCM_POST", 8 }, { "MERGE", 5 }, { "CHECKOUT", 8 }, { "DEBUG", 5 },
};

enum { PLAUSIBLE_LEN = 64 /* of a known method and its target, whose line has not ended */ };

static bool
method_is_known(const uint8_t *text, size_t len)
{
	for (unsigned int i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (methods[i].len == len && methods[i].name[0] == text[0] && memcmp(methods[i].name, text, len) == 0)
			return true;
	return false;
}

/* "HTTP/1.1 200 ": sure after 13 bytes. Browsers take the name in lower case as well. @return -1: begins otherwise */
static int
fit_response(const uint8_t *text, size_t len, bool strict)
{
	static const char shape[] = "HTTP/1.1 200";

	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		bool digit = shape[i] >= '0' && shape[i] <= '9';

		if (i == len)
			return HTTP_FIT_MORE;
		if (digit ? text[i] >= '0' && text[i] <= '9' : text[i] == (uint8_t)shape[i])
			continue;
		if (!strict && i < 4 && http_lower(text[i]) == http_lower((uint8_t)shape[i]))
			continue;
		if (i < 5)
			return -1;
		return strict ? HTTP_FIT_NO : HTTP_FIT_RESPONSE; /* named as invalid */
	}
	if (len < sizeof(shape))
		return HTTP_FIT_MORE;
	if (strict && text[5] > '1')
		return HTTP_FIT_NO;
	if (strict && !http_is_space(text[12]) && text[12] != '\r' && text[12] != '\n')
		return HTTP_FIT_NO;
	return HTTP_FIT_RESPONSE;
}

/* Of a method (RFC 9110 5.6.2 has more, but no method uses them). Looked up: a run of letters that is none costs little. */
static const bool method_chars[256] = {
	['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['-'] = true, ['_'] = true,
};

static bool
is_target_start(uint8_t c)
{
	return c == '/' || c == '*' || (c | 0x20) == 'h' || c == '\\';
}

/* The line's last word says which protocol it is: RTSP, SIP and ICAP look the same before it. Of a known method it may be the only one. */
static enum http_fit
fit_last_word(const uint8_t *target, size_t len, bool known, bool strict)
{
	size_t start;

	while (len > 0 && (target[len - 1] == '\r' || http_is_space(target[len - 1])))
		len--;
	start = len;
	while (start > 0 && !http_is_space(target[start - 1]))
		start--;
	if ((start > 0 || known) && len - start >= 6 && memcmp(target + start, "HTTP/", 5) == 0)
		return target[start + 5] > '1' && (strict || target[start + 5] == '2') ? HTTP_FIT_NO : HTTP_FIT_REQUEST;
	return !strict && known && start == 0 && target[0] == '/' ? HTTP_FIT_SIMPLE : HTTP_FIT_NO;
}

enum http_fit
http_line_fit(const struct cursor *in, bool strict)
{
	struct cursor line = *in;
	size_t left = cursor_left(&line), len = 0, at;
	const uint8_t *text = cursor_take(&line, left), *line_end;
	bool known;

	if (left == 0)
		return HTTP_FIT_MORE;
	if (text[0] == 'H' || (!strict && text[0] == 'h')) {
		int fit = fit_response(text, left, strict);

		if (fit >= 0)
			return (enum http_fit)fit;
	}
	while (len < left && len < HTTP_METHOD_LEN_MAX && method_chars[text[len]])
		len++;
	if (len == left)
		return HTTP_FIT_MORE;
	if (len < 2 || !http_is_space(text[len]) || (strict && text[0] > 'Z'))
		return HTTP_FIT_NO;
	known = method_is_known(text, len);
	for (at = len; at < left && at < len + HTTP_LEADING_MAX && http_is_space(text[at]); at++)
		;
	if (at == left)
		return HTTP_FIT_MORE;
	if (!is_target_start(text[at]) && !known)
		return HTTP_FIT_NO;
	if (strict && !is_target_start(text[at]) && !(len == 7 && memcmp(text, "CONNECT", 7) == 0))
		return HTTP_FIT_NO;
	line_end = memchr(text + at, '\n', left - at < HTTP_LINE_LEN_MAX ? left - at : HTTP_LINE_LEN_MAX);
	if (line_end != NULL)
		return fit_last_word(text + at, (size_t)(line_end - text) - at, known, strict);
	if (strict && known && text[at] == '/' && left >= PLAUSIBLE_LEN)
		return HTTP_FIT_REQUEST;
	return left - at < HTTP_LINE_LEN_MAX ? HTTP_FIT_MORE : known || strict ? HTTP_FIT_REQUEST : HTTP_FIT_NO;
}

enum http_fit
http_line_fit_remains(const struct cursor *in)
{
	struct cursor line = *in;
	size_t left = cursor_left(&line), len = 0;
	const uint8_t *text = cursor_take(&line, left);

	if (left >= 12 && fit_response(text, left, true) == HTTP_FIT_MORE)
		return HTTP_FIT_RESPONSE;
	while (len < left && len < HTTP_METHOD_LEN_MAX && method_chars[text[len]])
		len++;
	if (len + 1 >= left || !http_is_space(text[len]) || !method_is_known(text, len))
		return HTTP_FIT_NO;
	while (len < left && http_is_space(text[len]))
		len++;
	return len < left && is_target_start(text[len]) ? HTTP_FIT_REQUEST : HTTP_FIT_NO;
}

/* ---- where none begins ---- */

/* The line of the place at hand, looked at once for all that begins in it. */
struct pass {
	const uint8_t *text;
	size_t len;
	size_t line_end;   /* of its line end, len where that is not here yet; 0: not looked for */
	bool has_protocol; /* its last word is one */
};

static void
look_at_line(struct pass *pass, size_t from)
{
	const uint8_t *line_end = memchr(pass->text + from, '\n', pass->len - from);
	size_t end = line_end == NULL ? pass->len : (size_t)(line_end - pass->text), word;

	pass->line_end = end;
	while (end > from && (pass->text[end - 1] == '\r' || http_is_space(pass->text[end - 1])))
		end--;
	for (word = end; word > from && !http_is_space(pass->text[word - 1]);)
		word--;
	pass->has_protocol = end - word >= 5 && memcmp(pass->text + word, "HTTP/", 5) == 0;
}

/* Whether the line may be one of a request whose target begins there, of a method that is not known. */
static bool
line_may_fit(struct pass *pass, size_t target)
{
	if (pass->line_end < target)
		look_at_line(pass, target);
	return pass->line_end - target < HTTP_LINE_LEN_MAX && (pass->has_protocol || pass->line_end == pass->len);
}

static bool
ends_with_method(const uint8_t *text, size_t len)
{
	if (text[len - 1] < 'A' || text[len - 1] > 'Z') /* all of them do */
		return false;
	for (unsigned int i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (methods[i].len <= len && memcmp(text + len - methods[i].len, methods[i].name, methods[i].len) == 0)
			return true;
	return false;
}

/* Whether a start line may begin in a token; the byte at `end` is not of it. */
static bool
may_begin_in(struct pass *pass, size_t at, size_t end)
{
	const uint8_t *text = pass->text;
	size_t target = end;

	if (text[end] == '/')
		return end - at >= 4 && (text[end - 1] | 0x20) == 'p' && (text[end - 2] | 0x20) == 't' && (text[end - 4] | 0x20) == 'h';
	if (!http_is_space(text[end]))
		return false;
	while (target < pass->len && target < end + HTTP_LEADING_MAX && http_is_space(text[target]))
		target++;
	if (target == pass->len || ends_with_method(text + at, end - at))
		return true;
	return is_target_start(text[target]) && line_may_fit(pass, target);
}

/* Where what may stand before a status line begins. */
static size_t
before_blanks(const struct pass *pass, size_t at)
{
	size_t from = at;

	while (from > 0 && at - from < HTTP_LEADING_MAX + HTTP_BLANKS_MAX &&
		(http_is_space(pass->text[from - 1]) || http_is_leading(pass->text[from - 1])))
		from--;
	return from;
}

/* Tokens in which no start line begins are passed over whole, with what is between them. */
size_t
http_line_pass(struct cursor in)
{
	struct pass pass = { .len = cursor_left(&in) };
	size_t at = 0;

	pass.text = cursor_take(&in, pass.len);
	while (at < pass.len) {
		size_t start, end, before;

		while (at < pass.len && !method_chars[pass.text[at]] && !http_is_leading(pass.text[at]))
			at++;
		for (start = at; at < pass.len && http_is_leading(pass.text[at]);)
			at++;
		if (at - start > HTTP_LEADING_MAX)
			start = at - HTTP_LEADING_MAX;
		for (end = at; end < pass.len && method_chars[pass.text[end]];)
			end++;
		if (end - at > HTTP_METHOD_LEN_MAX)
			start = end - HTTP_METHOD_LEN_MAX;
		if (end == pass.len || (end > at && may_begin_in(&pass, at, end))) {
			before = before_blanks(&pass, at);
			return before < at ? before : start;
		}
		at = end;
	}
	return before_blanks(&pass, pass.len);
}

/* ---- heads ---- */

/*
 * What ends a head at the start of a line that begins with no visible character: an empty line, and what browsers take for
 * one, a line of CR alone behind a bare LF ("\n\r\r\n") and one of a single blank between two bare LF.
 * @param bare  the line before it ended without CR
 */
static uint32_t
empty_line_len(const uint8_t *text, size_t len, bool bare)
{
	if (text[0] == '\n')
		return 1;
	if (len >= 2 && text[0] == '\r' && text[1] == '\n')
		return 2;
	if (bare && len >= 2 && http_is_space(text[0]) && text[1] == '\n')
		return 2;
	return bare && len >= 3 && text[0] == '\r' && text[1] == '\r' && text[2] == '\n' ? 3 : 0;
}

uint32_t
http_head_len(struct cursor in, uint32_t seen_len)
{
	size_t left = cursor_left(&in);
	const uint8_t *text = cursor_take(&in, left);
	size_t at = seen_len > 3 ? seen_len - 3 : 0;

	if (left > HTTP_HEAD_LEN_MAX)
		left = HTTP_HEAD_LEN_MAX;
	while (at < left) {
		const uint8_t *line_end = memchr(text + at, '\n', left - at);
		uint32_t empty;

		if (line_end == NULL)
			return 0;
		at = (size_t)(line_end - text) + 1;
		if (at == left || text[at] > ' ')
			continue;
		empty = empty_line_len(text + at, left - at, at < 2 || text[at - 2] != '\r');
		if (empty > 0)
			return (uint32_t)at + empty;
	}
	return 0;
}

static uint32_t
last_line_len(const uint8_t *text, uint32_t len)
{
	uint32_t tail;

	if (len < 3 || text[len - 1] != '\n')
		return 0;
	for (tail = len - 1; tail > 0 && len - tail < 4 && text[tail - 1] != '\n';)
		tail--;
	return tail == 0 || text[tail - 1] != '\n' ? 0 : len - tail;
}

uint32_t
http_head_end_len(struct cursor in)
{
	uint32_t left = (uint32_t)cursor_left(&in), last;
	const uint8_t *text = cursor_take(&in, left);

	last = last_line_len(text, left);
	return last == 0 ? 0 : empty_line_len(text + left - last, last, left < last + 2 || text[left - last - 2] != '\r');
}

bool
http_head_is_loose(struct cursor in)
{
	uint32_t left = (uint32_t)cursor_left(&in), last;
	const uint8_t *text = cursor_take(&in, left);

	last = last_line_len(text, left);
	return last == 3 || (last == 2 && text[left - 2] != '\r');
}
