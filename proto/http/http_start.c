/* The first line of a message: a request's or a status line. */
#include "proto/http/http.h"

struct reading {
	struct proto_ctx *ctx;
	struct http_head *head;
	const uint8_t *text;
};

static uint32_t
word_end(const uint8_t *text, uint32_t at, uint32_t to)
{
	while (at < to && !http_is_space(text[at]))
		at++;
	return at;
}

static uint32_t
space_end(const uint8_t *text, uint32_t at, uint32_t to)
{
	while (at < to && http_is_space(text[at]))
		at++;
	return at;
}

static uint32_t
digits_end(const uint8_t *text, uint32_t at, uint32_t to)
{
	while (at < to && text[at] >= '0' && text[at] <= '9')
		at++;
	return at;
}

static void
read_version(const struct reading *r, uint32_t from, uint32_t to)
{
	const uint8_t *text = r->text + from;

	http_put_slice(r->head, HTTP_PROTOCOL, from, to - from);
	if (to - from == 8 && memcmp(text, "HTTP/", 5) == 0 && text[5] >= '0' && text[5] <= '9' && text[6] == '.' &&
		text[7] >= '0' && text[7] <= '9') {
		r->head->major = (uint8_t)(text[5] - '0');
		r->head->minor = (uint8_t)(text[7] - '0');
	} else {
		proto_event(r->ctx, HTTP_EVENT_INVALID_PROTOCOL);
		r->head->major = 1;
	}
}

/* RFC 9112 3. The target may hold spaces: the last word is the protocol. */
static void
read_request_line(const struct reading *r, uint32_t from, uint32_t to)
{
	struct http_head *head = r->head;
	uint32_t end = word_end(r->text, from, to), target = space_end(r->text, end, to), last = to;

	http_put_slice(head, HTTP_METHOD, from, end - from);
	head->is_head = end - from == 4 && memcmp(r->text + from, "HEAD", 4) == 0;
	head->is_connect = end - from == 7 && memcmp(r->text + from, "CONNECT", 7) == 0;
	if (target > end && (target - end > 1 || r->text[end] != ' '))
		proto_event(r->ctx, HTTP_EVENT_METHOD_DELIMITER);
	http_trim(r->text, &target, &to);
	for (last = to; last > target && !http_is_space(r->text[last - 1]); last--)
		;
	if (last > target && to - last >= 5 && memcmp(r->text + last, "HTTP/", 5) == 0) {
		read_version(r, last, to);
		if (r->text[last - 1] != ' ')
			proto_event(r->ctx, HTTP_EVENT_URI_DELIMITER);
		to = last;
		http_trim(r->text, &target, &to);
	} else {
		proto_event(r->ctx, HTTP_EVENT_MISSING_PROTOCOL);
	}
	http_put_slice(head, HTTP_URI_RAW, target, to - target);
}

/* RFC 9112 4. */
static void
read_status_line(const struct reading *r, uint32_t from, uint32_t to)
{
	uint32_t end = word_end(r->text, from, to), code = space_end(r->text, end, to);
	uint32_t code_end = word_end(r->text, code, to), message = space_end(r->text, code_end, to);
	struct http_head *head = r->head;

	read_version(r, from, end);
	http_put_slice(head, HTTP_STAT_CODE, code, code_end - code);
	http_put_slice(head, HTTP_STAT_MSG, message, to - message);
	if (code_end - code != 3 || digits_end(r->text, code, code_end) != code_end) {
		proto_event(r->ctx, HTTP_EVENT_INVALID_STATUS);
		return;
	}
	for (uint32_t i = code; i < code_end; i++)
		head->status = (uint16_t)(head->status * 10 + (r->text[i] - '0'));
}

typedef uint8_t vector __attribute__((vector_size(32)));

/* Of as many bytes and the one behind them. */
static inline vector
odd_at(const uint8_t *text)
{
	vector at, next;

	memcpy(&at, text, sizeof(at));
	memcpy(&next, text + 1, sizeof(next));
	return (vector)(at == '\0') | ((vector)(at == '\r') & (vector)(next != '\n'));
}

bool
http_has_odd(const uint8_t *text, uint32_t len)
{
	vector odd = { 0 };
	uint64_t parts[4];

	if (len <= sizeof(vector)) {
		for (uint32_t i = 0; i < len; i++)
			if (text[i] == '\0' || (text[i] == '\r' && i + 1 < len && text[i + 1] != '\n'))
				return true;
		return false;
	}
	for (uint32_t i = 0; i + sizeof(vector) < len; i += sizeof(vector))
		odd |= odd_at(text + i);
	odd |= odd_at(text + len - sizeof(vector) - 1);
	memcpy(parts, &odd, sizeof(parts));
	return (parts[0] | parts[1] | parts[2] | parts[3]) != 0 || text[len - 1] == '\0';
}

uint32_t
http_start_read(struct proto_ctx *ctx, struct http_head *head, const uint8_t *text, uint32_t len, bool is_odd)
{
	const struct reading r = { ctx, head, text };
	uint32_t at = 0, to, next;
	const uint8_t *line_end;

	while (at < len && (http_is_leading(text[at]) || (!head->is_request && http_is_space(text[at]))))
		at++;
	if (at > 2 || (at > 0 && !head->is_request && http_is_space(text[0])))
		proto_event(ctx, HTTP_EVENT_LEADING_WHITESPACE);
	line_end = memchr(text + at, '\n', len - at);
	if (is_odd) {
		const uint8_t *cr = memchr(text + at, '\r', line_end == NULL ? len - at : (size_t)(line_end - text) - at);

		if (cr != NULL && cr + 1 != line_end)
			line_end = cr;
	}
	to = line_end == NULL ? len : (uint32_t)(line_end - text);
	next = line_end == NULL ? len : to + 1;
	if (to > at && text[to - 1] == '\r')
		to--;
	http_put_slice(head, HTTP_START_LINE, at, to - at);
	http_put_slice(head, HTTP_START, at, len - at);
	if (head->is_request)
		read_request_line(&r, at, to);
	else
		read_status_line(&r, at, to);
	return next;
}
