/* The head of a proxy's answer. Everything in it is hostile: bounded, printable, never sent back but in quotes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/link/way_hop.h"

enum { HEADERS_MAX = 128 };

static const char *
find_end(struct cursor in)
{
	const char *at = (const char *)in.pos;
	size_t len = cursor_left(&in);

	for (size_t i = 0; i + 1 < len; i++)
		if (at[i] == '\n' && (at[i + 1] == '\n' || (i + 2 < len && at[i + 1] == '\r' && at[i + 2] == '\n')))
			return at + i + (at[i + 1] == '\n' ? 2 : 3);
	return NULL;
}

/* The next line without its end, as a cursor of its own. */
static struct cursor
take_line(struct cursor *in)
{
	size_t left = cursor_left(in);
	const uint8_t *newline = left == 0 ? NULL : memchr(in->pos, '\n', left);
	size_t len = newline == NULL ? left : (size_t)(newline - in->pos);
	struct cursor line = cursor_sub(in, len);

	cursor_skip(in, newline == NULL ? 0 : 1);
	if (len > 0 && line.pos[len - 1] == '\r')
		line.left--;
	return line;
}

static void
copy_printable(char *to, size_t size, struct cursor from)
{
	size_t len = cursor_left(&from);
	size_t i;

	for (i = 0; i + 1 < size && i < len; i++) {
		uint8_t c = cursor_u8(&from);

		to[i] = c >= ' ' && c <= '~' ? (char)c : '?';
	}
	to[i] = '\0';
}

static int
read_status(struct way_reply *reply, struct cursor line)
{
	const uint8_t *version = cursor_take(&line, 8);
	unsigned int status = 0;

	if (version == NULL || memcmp(version, "HTTP/1.", 7) != 0 || cursor_u8(&line) != ' ')
		return -EBADMSG;
	for (unsigned int i = 0; i < 3; i++) {
		uint8_t digit = cursor_u8(&line);

		if (digit < '0' || digit > '9')
			return -EBADMSG;
		status = status * 10 + (digit - '0');
	}
	reply->status = status;
	if (cursor_left(&line) > 0)
		cursor_skip(&line, 1);
	copy_printable(reply->reason, sizeof(reply->reason), line);
	return status >= 100 ? 0 : -EBADMSG;
}

static void
skip_spaces(struct cursor *in)
{
	while (cursor_left(in) > 0 && (in->pos[0] == ' ' || in->pos[0] == '\t' || in->pos[0] == ','))
		cursor_skip(in, 1);
}

static bool
is_token(uint8_t c)
{
	return c > ' ' && c < 127 && strchr("()<>@,;:\\\"/[]?={}", c) == NULL;
}

static struct cursor
take_token(struct cursor *in)
{
	size_t len = 0;

	while (len < cursor_left(in) && is_token(in->pos[len]))
		len++;
	return cursor_sub(in, len);
}

static bool
word_is(struct cursor word, const char *text)
{
	return cursor_left(&word) == strlen(text) && strncasecmp((const char *)word.pos, text, strlen(text)) == 0;
}

/* A token or a quoted string. One with a backslash or what is not printable is none that we could give back. */
static bool
take_value(struct cursor *in, struct cursor *value)
{
	size_t len = 0;
	bool good = true;

	if (cursor_left(in) == 0 || in->pos[0] != '"') {
		*value = take_token(in);
		return true;
	}
	cursor_skip(in, 1);
	while (len < cursor_left(in) && in->pos[len] != '"') {
		good = good && in->pos[len] >= ' ' && in->pos[len] <= '~' && in->pos[len] != '\\';
		len++;
	}
	*value = cursor_sub(in, len);
	cursor_skip(in, 1);
	return good && !in->short_read;
}

static bool
copy_whole(char *to, size_t size, struct cursor value)
{
	if (cursor_left(&value) >= size)
		return false;
	copy_printable(to, size, value);
	return true;
}

static bool
read_algorithm(struct way_challenge *challenge, struct cursor value)
{
	static const struct {
		const char *name;
		bool sha256, session;
	} algorithms[] = { { "MD5", false, false }, { "MD5-sess", false, true }, { "SHA-256", true, false },
		{ "SHA-256-sess", true, true } };

	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (word_is(value, algorithms[i].name)) {
			challenge->sha256 = algorithms[i].sha256;
			challenge->session = algorithms[i].session;
			return copy_whole(challenge->algorithm, sizeof(challenge->algorithm), value);
		}
	return false;
}

/* "auth,auth-int": a list of which one word is enough. */
static bool
list_has(struct cursor list, const char *word)
{
	while (cursor_left(&list) > 0) {
		skip_spaces(&list);
		struct cursor token = take_token(&list);

		if (word_is(token, word))
			return true;
		if (cursor_left(&token) == 0)
			cursor_skip(&list, 1);
	}
	return false;
}

static bool
read_parameter(struct way_challenge *challenge, struct cursor name, struct cursor value)
{
	if (word_is(name, "realm"))
		return copy_whole(challenge->realm, sizeof(challenge->realm), value);
	if (word_is(name, "nonce"))
		return copy_whole(challenge->nonce, sizeof(challenge->nonce), value);
	if (word_is(name, "opaque"))
		return copy_whole(challenge->opaque, sizeof(challenge->opaque), value);
	if (word_is(name, "algorithm"))
		return read_algorithm(challenge, value);
	if (word_is(name, "qop")) {
		challenge->qop_auth = list_has(value, "auth");
		return challenge->qop_auth;
	}
	return true;
}

static void
read_digest(struct way_challenge *out, struct cursor in)
{
	struct way_challenge challenge = { .basic = out->basic };
	bool good = true;

	for (unsigned int i = 0; i < HEADERS_MAX && cursor_left(&in) > 0; i++) {
		struct cursor value;

		skip_spaces(&in);
		struct cursor name = take_token(&in);

		if (cursor_left(&name) == 0 || cursor_left(&in) == 0 || in.pos[0] != '=')
			break;
		cursor_skip(&in, 1);
		good = take_value(&in, &value) && good;
		good = good && read_parameter(&challenge, name, value);
	}
	challenge.digest = good && challenge.nonce[0] != '\0';
	/* Of several the first that can be answered; they come with the strongest in front. */
	if (challenge.digest && !out->digest)
		*out = challenge;
}

static void
read_header(struct way_reply *reply, struct cursor line)
{
	struct cursor name = take_token(&line);

	if (cursor_left(&line) == 0 || line.pos[0] != ':')
		return;
	cursor_skip(&line, 1);
	skip_spaces(&line);
	if (word_is(name, "Content-Type"))
		reply->html = cursor_left(&line) >= 9 && strncasecmp((const char *)line.pos, "text/html", 9) == 0;
	if (!word_is(name, "Proxy-Authenticate"))
		return;
	struct cursor scheme = take_token(&line);

	if (word_is(scheme, "Basic"))
		reply->challenge.basic = true;
	else if (word_is(scheme, "Digest"))
		read_digest(&reply->challenge, line);
}

int
way_reply_parse(struct way_reply *reply, struct cursor in)
{
	static const char begin[] = "HTTP/1.";
	size_t seen = cursor_left(&in) < sizeof(begin) - 1 ? cursor_left(&in) : sizeof(begin) - 1;
	const char *end = find_end(in);
	const char *start = (const char *)in.pos;

	if (seen > 0 && memcmp(start, begin, seen) != 0)
		return -EBADMSG;
	if (end == NULL)
		return cursor_left(&in) >= WAY_REPLY_LEN_MAX ? -EBADMSG : 0;
	in.left = (uint32_t)(end - start);
	*reply = (struct way_reply){ 0 };
	if (read_status(reply, take_line(&in)) != 0)
		return -EBADMSG;
	for (unsigned int i = 0; i < HEADERS_MAX && cursor_left(&in) > 0; i++)
		read_header(reply, take_line(&in));
	return (int)(end - start);
}
