/* libevent's own HTTP server, over its bufferevents with OpenSSL. */
#include "test/servers/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>

static struct bufferevent *
take_connection(struct event_base *base, void *context)
{
	return bufferevent_openssl_socket_new(
		base, -1, SSL_new(context), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

static void
take_request(struct evhttp_request *request, void *context)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	struct evbuffer *output = evhttp_request_get_output_buffer(request);
	struct body body = { 0 };
	char answer[ANSWER_LEN_MAX];
	size_t len = evbuffer_get_length(input);

	if (body_add(&body, evbuffer_pullup(input, -1), len) == 0) {
		evbuffer_add(output, answer, server_answer(answer, body.len));
		evhttp_send_reply(request, 200, "OK", NULL);
	} else {
		evhttp_send_error(request, 413, NULL);
	}
	body_free(&body);
}

int
serve(const struct server_args *args)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	struct evhttp_bound_socket *bound;
	int on = 1;

	if (server_tls(context, args) != 0)
		return -1;
	evhttp_set_bevcb(http, take_connection, context);
	evhttp_set_allowed_methods(http, EVHTTP_REQ_POST);
	evhttp_set_max_body_size(http, BODY_LEN_MAX);
	evhttp_set_timeout(http, args->timeout_s);
	evhttp_set_cb(http, "/batches", take_request, NULL);
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", args->port);
	/* Connections inherit it. Without, head and body of an answer are 40 ms apart. */
	if (bound == NULL ||
		setsockopt(evhttp_bound_socket_get_fd(bound), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return -1;
	return event_base_dispatch(base);
}
