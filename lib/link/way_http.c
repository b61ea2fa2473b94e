/* CONNECT (RFC 9110 9.3.6), with Basic (RFC 7617) and Digest (RFC 7616) credentials. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "lib/link/way_hop.h"

enum { REQUEST_LEN_MAX = 8192, HASH_TEXT_LEN = 64, INTERIM_MAX = 16 };

static bool
hash_text(const struct way_challenge *challenge, const struct buf *in, char out[HASH_TEXT_LEN + 1])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	struct buf text = { .data = out, .cap = HASH_TEXT_LEN + 1 };

	if (in->full || EVP_Digest(in->data, in->len, digest, &len, challenge->sha256 ? EVP_sha256() : EVP_md5(), NULL) != 1)
		return false;
	buf_hex(&text, digest, len);
	buf_putc(&text, '\0');
	return !text.full;
}

static bool
hash_user(const struct way_challenge *challenge, const struct way_hop *hop, const char *password, const char *cnonce,
	char out[HASH_TEXT_LEN + 1])
{
	char data[2048];
	struct buf text = { .data = data, .cap = sizeof(data) };

	buf_printf(&text, "%s:%s:%s", hop->user, challenge->realm, password);
	if (!hash_text(challenge, &text, out))
		return false;
	if (!challenge->session)
		return true;
	buf_reset(&text);
	buf_printf(&text, "%s:%s:%s", out, challenge->nonce, cnonce);
	return hash_text(challenge, &text, out);
}

bool
way_digest_write(struct buf *out, const struct way_challenge *challenge, const struct way_hop *hop, const char *password,
	const char *uri, const char *cnonce)
{
	char user[HASH_TEXT_LEN + 1], method[HASH_TEXT_LEN + 1], response[HASH_TEXT_LEN + 1];
	char data[2048];
	struct buf text = { .data = data, .cap = sizeof(data) };

	buf_printf(&text, "CONNECT:%s", uri);
	if (!hash_text(challenge, &text, method) || !hash_user(challenge, hop, password, cnonce, user))
		return false;
	buf_reset(&text);
	if (challenge->qop_auth)
		buf_printf(&text, "%s:%s:00000001:%s:auth:%s", user, challenge->nonce, cnonce, method);
	else
		buf_printf(&text, "%s:%s:%s", user, challenge->nonce, method);
	if (!hash_text(challenge, &text, response))
		return false;
	buf_printf(out, "Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", response=\"%s\"", hop->user,
		challenge->realm, challenge->nonce, uri, response);
	if (challenge->algorithm[0] != '\0')
		buf_printf(out, ", algorithm=%s", challenge->algorithm);
	if (challenge->opaque[0] != '\0')
		buf_printf(out, ", opaque=\"%s\"", challenge->opaque);
	if (challenge->qop_auth)
		buf_printf(out, ", qop=auth, nc=00000001, cnonce=\"%s\"", cnonce);
	else if (challenge->session)
		buf_printf(out, ", cnonce=\"%s\"", cnonce);
	return !out->full;
}

static bool
write_credentials(struct buf *out, const struct way_ask *ask, const char *uri)
{
	const struct way_hop *hop = ask->hop;
	char pair[2 * WAY_SECRET_LEN_MAX + 2];
	uint8_t random[12];
	char cnonce[2 * sizeof(random) + 1];
	struct buf text = { .data = cnonce, .cap = sizeof(cnonce) };
	bool basic = hop->auth == WAY_AUTH_BASIC || (hop->auth == WAY_AUTH_ANY && ask->challenge->basic);

	if (hop->user[0] == '\0')
		return true;
	if (ask->challenge->digest && hop->auth != WAY_AUTH_BASIC) {
		if (RAND_bytes(random, sizeof(random)) != 1)
			return false;
		buf_hex(&text, random, sizeof(random));
		buf_putc(&text, '\0');
		buf_puts(out, "Proxy-Authorization: ");
		bool good = way_digest_write(out, ask->challenge, hop, ask->password, uri, cnonce);

		buf_puts(out, "\r\n");
		return good;
	}
	if (basic) {
		int len = snprintf(pair, sizeof(pair), "%s:%s", hop->user, ask->password);

		buf_puts(out, "Proxy-Authorization: Basic ");
		buf_base64(out, (const uint8_t *)pair, (size_t)len);
		buf_puts(out, "\r\n");
		OPENSSL_cleanse(pair, sizeof(pair));
	}
	return !out->full;
}

static bool
write_request(struct buf *out, const struct way_ask *ask)
{
	bool v6 = strchr(ask->to_host, ':') != NULL;
	char uri[WAY_HOST_LEN_MAX + 16];

	snprintf(uri, sizeof(uri), "%s%s%s:%u", v6 ? "[" : "", ask->to_host, v6 ? "]" : "", ask->to_port);
	buf_printf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: millrace-sensor/" MILLRACE_VERSION "\r\n", uri, uri);
	if (!write_credentials(out, ask, uri))
		return false;
	buf_puts(out, "\r\n");
	return !out->full;
}

void
way_fail_io(struct way_failure *fail, const struct way_hop *hop, int rc)
{
	if (rc == -ETIMEDOUT)
		way_fail(fail, WAY_PROXY_TIMEOUT, "%s:%u: no answer in time", hop->at.host, hop->at.port);
	else if (rc == -ECANCELED)
		way_fail(fail, WAY_CANCELLED, "%s:%u: given up", hop->at.host, hop->at.port);
	else
		way_fail(fail, WAY_PROXY_CLOSED, "%s:%u: hung up", hop->at.host, hop->at.port);
}

/* An interim answer (RFC 9110 15.2): the one that counts comes behind it. */
static bool
is_interim(const struct way_reply *reply)
{
	return reply->status / 100 == 1 && reply->status != 101;
}

/* @return 0 with the reply read, or -1 with fail set */
static int
read_reply(struct way_stream *stream, const struct way_ask *ask, struct way_reply *reply, struct way_failure *fail)
{
	const struct way_end *at = &ask->hop->at;
	uint8_t data[WAY_REPLY_LEN_MAX];
	unsigned int interim = 0;
	size_t len = 0;
	int head_len = 0;

	while (head_len == 0) {
		int n = way_stream_read(stream, data + len, sizeof(data) - len);

		if (n <= 0) {
			way_fail_io(fail, ask->hop, n);
			return -1;
		}
		len += (size_t)n;
		head_len = way_reply_parse(reply, cursor_of(data, len));
		while (head_len > 0 && is_interim(reply) && interim++ < INTERIM_MAX) {
			len -= (size_t)head_len;
			memmove(data, data + head_len, len);
			head_len = len == 0 ? 0 : way_reply_parse(reply, cursor_of(data, len));
		}
	}
	if (head_len < 0) {
		way_fail(fail, WAY_PROXY_GARBAGE, "%s:%u: the answer to CONNECT is no HTTP", at->host, at->port);
		return -1;
	}
	/* Behind a yes the next to speak is the sensor. */
	if (reply->status / 100 == 2 && (size_t)head_len != len) {
		way_fail(fail, WAY_PROXY_GARBAGE, "%s:%u: said yes to CONNECT and then more, unasked", at->host, at->port);
		return -1;
	}
	return 0;
}

static bool
may_try_again(const struct way_ask *ask, const struct way_reply *reply)
{
	const struct way_challenge *tried = ask->challenge;

	if (reply->status != 407 || ask->hop->user[0] == '\0' || tried->digest || tried->basic)
		return false;
	if (ask->hop->auth == WAY_AUTH_BASIC)
		return false;
	return reply->challenge.digest || (ask->hop->auth == WAY_AUTH_ANY && reply->challenge.basic);
}

static void
fail_status(struct way_failure *fail, const struct way_ask *ask, const struct way_reply *reply)
{
	static const struct {
		unsigned int status;
		enum way_error error;
	} named[] = {
		{ 401, WAY_PROXY_AUTH }, { 407, WAY_PROXY_AUTH }, { 403, WAY_PROXY_DENIED }, { 405, WAY_PROXY_DENIED },
		{ 502, WAY_PROXY_GATEWAY }, { 503, WAY_PROXY_GATEWAY }, { 504, WAY_PROXY_GATEWAY },
	};
	enum way_error error = WAY_PROXY_STATUS;
	const char *scheme = reply->challenge.digest ? ", asks for Digest" : reply->challenge.basic ? ", asks for Basic" : "";

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (named[i].status == reply->status)
			error = named[i].error;
	way_fail(fail, error, "%s:%u: %u %s to CONNECT %s:%u%s%s", ask->hop->at.host, ask->hop->at.port, reply->status,
		reply->reason, ask->to_host, ask->to_port, scheme, reply->html ? " (a web page)" : "");
}

enum way_hop_result
way_ask_http(struct way_stream *stream, const struct way_ask *ask, struct way_failure *fail)
{
	char data[REQUEST_LEN_MAX];
	struct buf request = { .data = data, .cap = sizeof(data) };
	struct way_reply reply;

	if (!write_request(&request, ask)) {
		way_fail(fail, WAY_INTERNAL, "%s:%u: the request does not fit", ask->hop->at.host, ask->hop->at.port);
		return WAY_HOP_FAILED;
	}
	int rc = way_stream_write(stream, request.data, request.len);

	OPENSSL_cleanse(data, sizeof(data));
	if (rc != 0) {
		way_fail_io(fail, ask->hop, rc);
		return WAY_HOP_FAILED;
	}
	if (read_reply(stream, ask, &reply, fail) != 0)
		return WAY_HOP_FAILED;
	if (reply.status / 100 == 2)
		return WAY_HOP_OPEN;
	if (may_try_again(ask, &reply)) {
		*ask->challenge = reply.challenge;
		return WAY_HOP_AGAIN;
	}
	fail_status(fail, ask, &reply);
	return WAY_HOP_FAILED;
}
