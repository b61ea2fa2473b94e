/* Transfer and content codings as fields name them, and as browsers take what they name. */
#include "proto/http/http.h"

struct token {
	const char *text;
	size_t len;
};

static bool
token_is(struct token token, const char *name)
{
	return token.len == strlen(name) && memcmp(token.text, name, token.len) == 0;
}

static bool
token_has(struct token token, const char *name)
{
	return memmem(token.text, token.len, name, strlen(name)) != NULL;
}

void
http_transfer_read(struct proto_ctx *ctx, struct http_head *head, const char *text, size_t len)
{
	struct token whole = { text, len };

	head->chunked = token_has(whole, "chunked");
	if (!token_is(whole, "chunked") && !token_is(whole, "identity"))
		http_event(ctx, HTTP_EVENT_INVALID_REQUEST_TRANSFER_ENCODING, head->is_request);
}

/* enum http_coding; what is no coding that anybody uses is told. */
static uint8_t
coding_of(struct proto_ctx *ctx, struct token token)
{
	static const char *const usual[] = { "br", "zstd", "compress", "x-compress", "aes128gcm", "exi", "pack200-gzip" };
	static const char *const none[] = { "identity", "none", "inflate" };
	bool is_gzip = token_is(token, "gzip") || token_is(token, "x-gzip");

	for (unsigned int i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (token_is(token, usual[i]))
			return HTTP_CODING_OTHER;
	for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (token_is(token, none[i]))
			return HTTP_CODING_NONE;
	if (token_is(token, "lzma"))
		return HTTP_CODING_LZMA;
	if (!is_gzip && !token_is(token, "deflate") && !token_is(token, "x-deflate"))
		proto_event(ctx, HTTP_EVENT_ABNORMAL_CONTENT_ENCODING);
	if (is_gzip || token_has(token, "gzip"))
		return HTTP_CODING_GZIP;
	return token_has(token, "deflate") ? HTTP_CODING_DEFLATE : HTTP_CODING_NONE;
}

static bool
is_between(char c)
{
	return c == ',' || http_is_space((uint8_t)c);
}

void
http_content_read(struct proto_ctx *ctx, struct http_head *head, const char *text, size_t len)
{
	const struct http_config *config = ctx->config;
	unsigned int named = 0;

	for (size_t at = 0; at < len;) {
		struct token token = { .text = text + at };
		uint8_t coding;

		while (at < len && !is_between(text[at]))
			at++;
		token.len = (size_t)(text + at - token.text);
		at++;
		if (token.len == 0)
			continue;
		if (++named > config->layers_max) {
			proto_event(ctx, HTTP_EVENT_TOO_MANY_ENCODINGS);
			return;
		}
		coding = coding_of(ctx, token);
		if (coding != HTTP_CODING_NONE)
			head->codings[head->coding_count++] = coding;
	}
}
