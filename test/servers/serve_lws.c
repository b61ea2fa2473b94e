/* libwebsockets: one thread, OpenSSL, HTTP/1.1 and HTTP/2 by ALPN. */
#include "test/servers/server.h"

#include <string.h>

#include <libwebsockets.h>

enum { READ_LEN = 65536 };

struct request {
	struct body body;
};

static int
begin_answer(struct lws *wsi, const struct request *request)
{
	uint8_t head[LWS_PRE + 512], *start = head + LWS_PRE, *pos = start, *end = head + sizeof(head) - 1;
	char answer[ANSWER_LEN_MAX];

	if (lws_add_http_common_headers(
		    wsi, 200, "application/json", server_answer(answer, request->body.len), &pos, end) != 0 ||
		lws_finalize_write_http_header(wsi, start, &pos, end) != 0)
		return -1;
	lws_callback_on_writable(wsi);
	return 0;
}

static int
end_answer(struct lws *wsi, struct request *request)
{
	uint8_t room[LWS_PRE + ANSWER_LEN_MAX];
	size_t len = server_answer((char *)room + LWS_PRE, request->body.len);

	body_free(&request->body);
	if (lws_write(wsi, room + LWS_PRE, len, LWS_WRITE_HTTP_FINAL) != (int)len)
		return -1;
	return lws_http_transaction_completed(wsi);
}

static int
take(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct request *request = user;

	switch (reason) {
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
		return server_tls(user, lws_context_user(lws_get_context(wsi)));
	case LWS_CALLBACK_HTTP:
		memset(request, 0, sizeof(*request));
		return strcmp(in, "/batches") == 0 ? 0 : -1;
	case LWS_CALLBACK_HTTP_BODY:
		return body_add(&request->body, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return begin_answer(wsi, request);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return request == NULL ? 0 : end_answer(wsi, request);
	case LWS_CALLBACK_CLOSED_HTTP:
		if (request != NULL)
			body_free(&request->body);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

int
serve(const struct server_args *args)
{
	static const struct lws_protocols protocols[] = {
		{ .name = "http",
			.callback = take,
			.per_session_data_size = sizeof(struct request),
			.rx_buffer_size = READ_LEN },
		{ .name = NULL },
	};
	struct lws_context_creation_info info = {
		.port = args->port,
		.iface = "127.0.0.1",
		.protocols = protocols,
		.user = (void *)args,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT,
		.ssl_cert_filepath = args->cert,
		.ssl_private_key_filepath = args->key,
		.ssl_ca_filepath = args->ca,
		.alpn = "h2,http/1.1",
		.pt_serv_buf_size = READ_LEN,
		.timeout_secs = (unsigned)args->timeout_s,
		.keepalive_timeout = args->timeout_s,
	};
	struct lws_context *context;

	lws_set_log_level(LLL_ERR, NULL);
	context = lws_create_context(&info);
	if (context == NULL)
		return -1;
	while (lws_service(context, 0) >= 0)
		;
	return -1;
}
