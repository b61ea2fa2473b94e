/* A request's target in normal form (RFC 3986 6.2.2, and what servers do beyond it), and the host it is for. */
#include "proto/http/http.h"

#include "lib/base/hex.h"

struct part {
	const uint8_t *text;
	uint32_t off, len; /* as a slice */
};

static struct part
part_of(const struct http_target *in, const struct http_head *head, enum http_slice slice)
{
	struct part part = { .off = head->slices[slice].off, .len = head->slices[slice].count };

	if ((head->present >> slice & 1) == 0)
		return (struct part){ .text = in->text };
	part.text = part.off < in->len ? in->text + part.off : (const uint8_t *)in->derived->data + (part.off - in->len);
	return part;
}

static struct part
part_sub(struct part part, uint32_t from, uint32_t len)
{
	return (struct part){ part.text + from, part.off + from, len };
}

/* A number of so many hex digits at the place; -1: not there. */
static int
hex_at(const uint8_t *text, uint32_t at, uint32_t len, uint32_t digits)
{
	int value = 0;

	if (at + digits > len)
		return -1;
	for (uint32_t i = 0; i < digits; i++) {
		int digit = hex_digit(text[at + i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* %uXXXX as servers that know it map it to a byte: full-width forms are their ASCII, the rest is lost. */
static uint8_t
best_fit(int value)
{
	if (value >= 0xff01 && value <= 0xff5e)
		value -= 0xfee0;
	return value < 0x100 ? (uint8_t)value : '?';
}

/* The next byte, decoded; *at moves behind it. What is no escape stays as it is. */
static uint8_t
decode_next(const uint8_t *text, uint32_t len, uint32_t *at)
{
	uint8_t c = text[(*at)++];
	int value;

	if (c != '%')
		return c;
	value = hex_at(text, *at, len, 2);
	if (value >= 0) {
		*at += 2;
		return (uint8_t)value;
	}
	if (*at < len && (text[*at] | 0x20) == 'u') {
		value = hex_at(text, *at + 1, len, 4);
		if (value >= 0) {
			*at += 5;
			return best_fit(value);
		}
	}
	return c;
}

static uint32_t
find_byte(struct part part, uint8_t c)
{
	const uint8_t *at = part.len == 0 ? NULL : memchr(part.text, c, part.len);

	return at == NULL ? part.len : (uint32_t)(at - part.text);
}

typedef uint8_t vector __attribute__((vector_size(16)));

/* Sixteen bytes, zeros behind the end. */
static inline vector
vector_at(const uint8_t *text, size_t left)
{
	vector bytes = { 0 };

	if (left >= sizeof(bytes))
		memcpy(&bytes, text, sizeof(bytes));
	else
		memcpy(&bytes, text, left);
	return bytes;
}

/* Escapes, backslashes, "//" or "/." make a path another one in normal form. */
static bool
is_normal(struct part path, struct part rest)
{
	for (uint32_t i = 0; i < path.len; i += sizeof(vector)) {
		vector text = vector_at(path.text + i, path.len - i), next = vector_at(path.text + i + 1, path.len - i - 1);
		vector odd = (text == '%') | (text == '\\') | ((text == '/') & ((next == '/') | (next == '.')));
		uint64_t halves[2];

		memcpy(halves, &odd, sizeof(halves));
		if ((halves[0] | halves[1]) != 0)
			return false;
	}
	return find_byte(rest, '%') == rest.len;
}

/* RFC 3986 5.2.4, in place. @return the length that is left */
static size_t
remove_dots(char *path, size_t len)
{
	size_t out = 0;

	for (size_t at = 0; at < len;) {
		size_t end = at + 1;

		while (end < len && path[end] != '/')
			end++;
		if (path[at] == '/' && end - at == 2 && path[at + 1] == '.') {
			if (end == len)
				path[out++] = '/';
		} else if (path[at] == '/' && end - at == 3 && path[at + 1] == '.' && path[at + 2] == '.') {
			while (out > 0 && path[--out] != '/')
				;
			if (end == len)
				path[out++] = '/';
		} else {
			memmove(path + out, path + at, end - at);
			out += end - at;
		}
		at = end;
	}
	return out;
}

static void
put_path(struct buf *out, struct part path)
{
	size_t start = out->len;

	for (uint32_t at = 0; at < path.len;) {
		uint8_t c = decode_next(path.text, path.len, &at);

		if (c == '\\')
			c = '/';
		if (c != '/' || out->len == start || out->data[out->len - 1] != '/')
			buf_putc(out, (char)c);
	}
	out->len = start + remove_dots(out->data + start, out->len - start);
}

static bool
has_escape(const char *text, size_t len)
{
	for (size_t i = 0; i + 2 < len; i++)
		if (text[i] == '%' && hex_at((const uint8_t *)text, (uint32_t)i + 1, (uint32_t)len, 2) >= 0)
			return true;
	return false;
}

static void
put_uri(struct proto_ctx *ctx, struct http_head *head, const struct http_target *in, struct part uri)
{
	size_t start = in->derived->len;
	uint32_t path_len = find_byte(uri, '?'), fragment = find_byte(uri, '#');
	struct part rest;

	if (fragment < path_len)
		path_len = fragment;
	rest = part_sub(uri, path_len, uri.len - path_len);
	if (is_normal(part_sub(uri, 0, path_len), rest)) {
		http_put_slice(head, HTTP_URI, uri.off, uri.len);
		return;
	}
	put_path(in->derived, part_sub(uri, 0, path_len));
	for (uint32_t at = 0; at < rest.len;)
		buf_putc(in->derived, (char)decode_next(rest.text, rest.len, &at));
	if (has_escape(in->derived->data + start, in->derived->len - start))
		proto_event(ctx, HTTP_EVENT_DOUBLE_ENCODED_URI);
	http_put_slice(head, HTTP_URI, in->len + (uint32_t)start, (uint32_t)(in->derived->len - start));
}

/* ---- the host ---- */

struct authority {
	struct part host;
	uint16_t port; /* 0: not named */
	bool bad_port;
};

/* RFC 3986 3.2: the address of version 6 stands in brackets. */
static struct authority
split_authority(struct part text)
{
	struct authority out = { .host = text };
	uint32_t at = text.len, value = 0;

	while (at > 0 && text.text[at - 1] >= '0' && text.text[at - 1] <= '9')
		at--;
	if (at == 0 || text.text[at - 1] != ':') {
		uint32_t colon = find_byte(text, ':');

		out.bad_port = colon < text.len && text.text[0] != '[';
		if (out.bad_port)
			out.host.len = colon;
		return out;
	}
	for (uint32_t i = at; i < text.len && value <= UINT16_MAX; i++)
		value = value * 10 + (uint32_t)(text.text[i] - '0');
	out.host.len = at - 1;
	out.bad_port = at < text.len && (value == 0 || value > UINT16_MAX);
	if (!out.bad_port)
		out.port = (uint16_t)value;
	return out;
}

static bool
same_host(struct part a, struct part b)
{
	for (uint32_t i = 0; i < a.len && a.len == b.len; i++)
		if (http_lower(a.text[i]) != http_lower(b.text[i]))
			return false;
	return a.len == b.len;
}

enum { HOST_BAD = 1, HOST_UPPER = 2 };

/* What a byte makes of a host. */
static const uint8_t host_kinds[256] = {
	[0 ... ' '] = HOST_BAD, ['/'] = HOST_BAD, ['\\'] = HOST_BAD, ['?'] = HOST_BAD, ['#'] = HOST_BAD, ['@'] = HOST_BAD,
	[','] = HOST_BAD, [0x7f] = HOST_BAD, ['A' ... 'Z'] = HOST_UPPER,
};

static uint8_t
kinds_of(struct part host)
{
	uint8_t kinds = 0;

	for (uint32_t i = 0; i < host.len; i++)
		kinds |= host_kinds[host.text[i]];
	return kinds;
}

/* @param kinds  of its bytes */
static void
put_host(struct http_head *head, const struct http_target *in, struct part host, uint8_t kinds)
{
	size_t start = in->derived->len;

	if ((kinds & HOST_UPPER) == 0) {
		http_put_slice(head, HTTP_HOST, host.off, host.len);
		return;
	}
	for (uint32_t i = 0; i < host.len; i++)
		buf_putc(in->derived, (char)http_lower(host.text[i]));
	http_put_slice(head, HTTP_HOST, in->len + (uint32_t)start, (uint32_t)(in->derived->len - start));
}

/* "scheme://authority" before the path; without one the whole is the path. */
static bool
take_authority(struct part *uri, struct part *authority)
{
	uint32_t at = 0, end;

	while (at < uri->len && at < 8 && (uri->text[at] | 0x20) >= 'a' && (uri->text[at] | 0x20) <= 'z')
		at++;
	if (at == 0 || at + 3 > uri->len || memcmp(uri->text + at, "://", 3) != 0)
		return false;
	at += 3;
	for (end = at; end < uri->len && uri->text[end] != '/' && uri->text[end] != '?' && uri->text[end] != '#'; end++)
		;
	*authority = part_sub(*uri, at, end - at);
	for (uint32_t i = at; i < end; i++) /* user information */
		if (uri->text[i] == '@')
			*authority = part_sub(*uri, i + 1, end - i - 1);
	*uri = part_sub(*uri, end, uri->len - end);
	return true;
}

/* @param kinds  of the bytes of the host that is named */
static void
judge_host(struct proto_ctx *ctx, const struct http_head *head, const struct authority *named, uint8_t kinds)
{
	if ((head->present >> HTTP_HOST_RAW & 1) == 0) {
		if (head->major == 1 && head->minor >= 1)
			proto_event(ctx, HTTP_EVENT_MISSING_HOST);
		return;
	}
	if (named->host.len == 0 || (kinds & HOST_BAD) != 0)
		proto_event(ctx, HTTP_EVENT_INVALID_HOST);
}

void
http_target_read(struct proto_ctx *ctx, struct http_head *head, const struct http_target *in)
{
	struct part uri = part_of(in, head, HTTP_URI_RAW), whole = uri, text = { 0 };
	struct authority named = split_authority(part_of(in, head, HTTP_HOST_RAW)), host = named;
	bool has_host = (head->present >> HTTP_HOST_RAW & 1) != 0;
	uint8_t kinds = kinds_of(named.host);

	judge_host(ctx, head, &named, kinds);
	bool is_authority = head->is_connect && uri.len > 0 && uri.text[0] != '/';

	if (is_authority)
		text = whole;
	if (is_authority || take_authority(&uri, &text)) {
		host = split_authority(text);
		kinds = kinds_of(host.host);
		if (has_host && !same_host(host.host, named.host))
			proto_event(ctx, HTTP_EVENT_AMBIGUOUS_HOST);
		if (!has_host)
			http_put_slice(head, HTTP_HOST_RAW, text.off, text.len);
		has_host = true;
	}
	put_uri(ctx, head, in, head->is_connect ? whole : uri);
	if (!has_host)
		return;
	if (host.bad_port)
		proto_event(ctx, HTTP_EVENT_INVALID_SERVER_PORT);
	head->port = host.port;
	put_host(head, in, host.host, kinds);
}
