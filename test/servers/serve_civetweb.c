/* civetweb: a thread for each connection, OpenSSL. */
#include "test/servers/server.h"

#include <stdio.h>
#include <unistd.h>

#include <civetweb.h>

/* A thread has 100 KB of stack. */
enum { READ_LEN = 16384 };

static int
set_tls(void *context, void *user)
{
	return server_tls(context, user) == 0 ? 1 : -1;
}

static int
take_request(struct mg_connection *connection, void *user)
{
	struct body body = { 0 };
	char answer[ANSWER_LEN_MAX], bytes[READ_LEN];
	int len, err = 0;
	size_t answer_len;

	while (err == 0 && (len = mg_read(connection, bytes, sizeof(bytes))) > 0)
		err = body_add(&body, bytes, (size_t)len);
	answer_len = server_answer(answer, body.len);
	if (err == 0)
		mg_printf(connection, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", answer_len, answer);
	else
		mg_send_http_error(connection, 413, "too long");
	body_free(&body);
	return err == 0 ? 200 : 413;
}

int
serve(const struct server_args *args)
{
	static char listen[32], threads[16], timeout_ms[16];
	const char *options[] = { "listening_ports", listen, "num_threads", threads, "enable_keep_alive", "yes",
		"keep_alive_timeout_ms", timeout_ms, "request_timeout_ms", timeout_ms, "tcp_nodelay", "1",
		"ssl_verify_peer", "yes", "ssl_ca_file", args->ca, "ssl_certificate", args->cert, NULL };
	struct mg_callbacks callbacks = { .init_ssl = set_tls };
	struct mg_context *context;

	snprintf(listen, sizeof(listen), "127.0.0.1:%us", args->port);
	snprintf(threads, sizeof(threads), "%d", args->peers_max);
	snprintf(timeout_ms, sizeof(timeout_ms), "%d", 1000 * args->timeout_s);
	mg_init_library(MG_FEATURES_TLS);
	context = mg_start(&callbacks, (void *)args, options);
	if (context == NULL)
		return -1;
	mg_set_request_handler(context, "/batches", take_request, NULL);
	for (;;)
		pause();
}
