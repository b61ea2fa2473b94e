/* Where a message begins and its head ends. Cheap where it is not HTTP: the first byte says so nearly always. */
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

/* "HTTP/1.1 200 ": sure after 13 bytes. @return -1: begins otherwise */
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

/* The line's last word says which protocol it is: RTSP, SIP and ICAP look the same before it. */
static enum http_fit
fit_last_word(const uint8_t *target, size_t len, bool known, bool strict)
{
	size_t start;

	while (len > 0 && (target[len - 1] == '\r' || http_is_space(target[len - 1])))
		len--;
	start = len;
	while (start > 0 && !http_is_space(target[start - 1]))
		start--;
	if (start > 0 && len - start >= 6 && memcmp(target + start, "HTTP/", 5) == 0)
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
	if (text[0] == 'H') {
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

uint32_t
http_head_len(struct cursor in, uint32_t seen_len)
{
	size_t left = cursor_left(&in);
	const uint8_t *text = cursor_take(&in, left);
	size_t at = seen_len > 2 ? seen_len - 2 : 0;

	if (left > HTTP_HEAD_LEN_MAX)
		left = HTTP_HEAD_LEN_MAX;
	while (at < left) {
		const uint8_t *line_end = memchr(text + at, '\n', left - at);

		if (line_end == NULL)
			return 0;
		at = (size_t)(line_end - text) + 1;
		if (at < left && text[at] == '\n')
			return (uint32_t)at + 1;
		if (at + 1 < left && text[at] == '\r' && text[at + 1] == '\n')
			return (uint32_t)at + 2;
	}
	return 0;
}
