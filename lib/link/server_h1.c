/* HTTP/1.1, by libevent's server: it parses, and one request of a connection is under way at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "lib/link/server_private.h"

enum { METHOD_LEN_MAX = 32 };

struct h1_request {
	struct link_request head;
	struct evhttp_request *http;
	bool chunk; /* one is on its way */
};

static struct evhttp_request *
http_of(const struct link_request *request)
{
	return ((const struct h1_request *)request)->http;
}

/* ---- methods that libevent does not know ---- */

/* Its own answer to them is a page, and before 2.2 it can be told no other. They become one that it knows, and that is refused
 * here as they are. RFC 9110 9.1: any token may be a method. */
static void
know_method(struct evbuffer *input)
{
	static const char *const known[] = { "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH" };
	static const char token[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
	static const char refused[] = "PATCH";
	char line[METHOD_LEN_MAX + 2] = "";
	size_t len;

	if (evbuffer_copyout(input, line, sizeof(line) - 1) <= 0)
		return;
	len = strspn(line, token);
	if (len == 0 || line[len] != ' ')
		return;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == len && memcmp(known[i], line, len) == 0)
			return;
	evbuffer_drain(input, len);
	(void)evbuffer_prepend(input, refused, sizeof(refused) - 1);
}

static void
on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
	struct peer *peer = arg;

	if (!peer->begins || info->n_added == 0)
		return;
	peer->begins = false;
	/* HTTP/2 begins with a method of its own. */
	if (peer->h2 == NULL)
		know_method(input);
}

void
server_h1_accept(struct peer *peer)
{
	peer->begins = true;
	(void)evbuffer_add_cb(bufferevent_get_input(peer->bev), on_input, peer);
}

/* The next request may have come before the last one's answer has gone. */
static void
begin_again(struct peer *peer)
{
	struct evbuffer *input = bufferevent_get_input(peer->bev);

	peer->begins = evbuffer_get_length(input) == 0;
	if (!peer->begins)
		know_method(input);
}

/* ---- when a request begins ---- */

static uint64_t
bytes_read(const struct peer *peer)
{
	return BIO_number_read(SSL_get_rbio(peer->ssl));
}

/* A request has begun when bytes have come since the last answer: libevent does not tell. */
void
server_h1_look(struct peer *peer, uint64_t now_s)
{
	if (peer->since_s == 0 || peer->read == UINT64_MAX || bytes_read(peer) == peer->read)
		return;
	peer->read = UINT64_MAX;
	peer->since_s = now_s;
}

static void
note_answer(struct peer *peer)
{
	peer->since_s = server_clock_s();
	peer->read = bytes_read(peer);
	begin_again(peer);
}

/* ---- a request's ends ---- */

static void
forget(struct link_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(http_of(request));

	if (connection != NULL)
		evhttp_connection_set_closecb(connection, NULL, NULL);
	free(request);
}

/* Of a connection that its peer ended libevent has let go the request: nobody else frees it. */
static void
gone(struct evhttp_connection *connection, void *arg)
{
	struct link_request *request = arg;
	struct evhttp_request *http = http_of(request);

	server_tell_closed(request);
	free(request);
	if (evhttp_request_get_connection(http) == NULL)
		evhttp_request_free(http);
}

static const char *
h1_header(const struct link_request *request, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(http_of(request)), name);
}

static const char *
h1_address(const struct link_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(http_of(request));
	char *address = NULL;
	ev_uint16_t port;

	if (connection != NULL)
		evhttp_connection_get_peer(connection, &address, &port);
	return address == NULL ? "?" : address;
}

static void
add_headers(struct evhttp_request *http, const char *content_type)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);

	evhttp_add_header(headers, "Content-Type", content_type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
}

static void
h1_answer(struct link_request *request, int status, unsigned int retry_after_s, struct evbuffer *body)
{
	struct evhttp_request *http = http_of(request);
	char seconds[16];

	note_answer(request->peer);
	add_headers(http, "application/json");
	if (request->extra_name != NULL)
		evhttp_add_header(evhttp_request_get_output_headers(http), request->extra_name, request->extra_value);
	if (retry_after_s > 0) {
		snprintf(seconds, sizeof(seconds), "%u", retry_after_s);
		evhttp_add_header(evhttp_request_get_output_headers(http), "Retry-After", seconds);
	}
	forget(request);
	evhttp_send_reply(http, status, NULL, body);
}

static void
h1_stream_begin(struct link_request *request, const char *content_type)
{
	add_headers(http_of(request), content_type);
	evhttp_send_reply_start(http_of(request), HTTP_OK, NULL);
}

static void
taken(struct evhttp_connection *connection, void *arg)
{
	struct h1_request *request = arg;

	/* libevent also tells, late, of what went out before the chunk was put behind it, and then again. */
	if (!request->chunk || evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(connection))) > 0)
		return;
	request->chunk = false;
	request->head.taken(request->head.taken_arg);
}

static void
h1_stream_chunk(struct link_request *request, struct evbuffer *chunk)
{
	((struct h1_request *)request)->chunk = true;
	evhttp_send_reply_chunk_with_cb(http_of(request), chunk, taken, request);
}

static void
h1_stream_end(struct link_request *request)
{
	struct evhttp_request *http = http_of(request);

	note_answer(request->peer);
	forget(request);
	evhttp_send_reply_end(http);
}

static void
h1_stream_cut(struct link_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(http_of(request));

	forget(request);
	if (connection != NULL)
		evhttp_connection_free(connection);
}

static const struct request_kind h1_kind = {
	.header = h1_header,
	.address = h1_address,
	.answer = h1_answer,
	.stream_begin = h1_stream_begin,
	.stream_chunk = h1_stream_chunk,
	.stream_end = h1_stream_end,
	.stream_cut = h1_stream_cut,
};

/* ---- a request's beginning ---- */

/* @return NULL: without memory there was no TLS, and evhttp talks plain HTTP, or there is none now */
static struct link_request *
wrap(struct evhttp_request *http)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(http);
	SSL *ssl = connection == NULL ? NULL : bufferevent_openssl_get_ssl(evhttp_connection_get_bufferevent(connection));
	struct peer *peer = ssl == NULL ? NULL : server_peer_of(ssl);
	struct h1_request *request = peer == NULL ? NULL : calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->http = http;
	request->head.kind = &h1_kind;
	request->head.peer = peer;
	request->head.uri = evhttp_request_get_uri(http);
	request->head.parts = evhttp_request_get_evhttp_uri(http);
	request->head.body = evhttp_request_get_input_buffer(http);
	request->head.body_len = evbuffer_get_length(request->head.body);
	request->head.post = evhttp_request_get_command(http) == EVHTTP_REQ_POST;
	evhttp_connection_set_closecb(connection, gone, request);
	return &request->head;
}

/* Libevent's own answer would be a page, and one with content to HEAD. */
static void
refuse_method(struct evhttp_request *http)
{
	struct evbuffer *body = evbuffer_new();

	if (body != NULL && evhttp_request_get_command(http) != EVHTTP_REQ_HEAD)
		server_write_error(body, HTTP_NOTIMPLEMENTED, SERVER_ONLY);
	add_headers(http, "application/json");
	evhttp_add_header(evhttp_request_get_output_headers(http), "Connection", "close");
	evhttp_send_reply(http, HTTP_NOTIMPLEMENTED, NULL, body);
	if (body != NULL)
		evbuffer_free(body);
}

static void
handle(struct evhttp_request *http, void *arg)
{
	struct link_request *request;

	if ((evhttp_request_get_command(http) & (EVHTTP_REQ_GET | EVHTTP_REQ_POST)) == 0) {
		refuse_method(http);
		return;
	}
	request = wrap(http);

	if (request == NULL) {
		evhttp_send_error(http, HTTP_INTERNAL, NULL);
		return;
	}
	request->peer->since_s = 0;
	if (server_hand_on(request))
		return;
	/* The connection is cut: this only frees it. */
	forget(request);
	evhttp_send_error(http, HTTP_INTERNAL, NULL);
}

int
server_h1_create(struct link_server *server)
{
	const struct link_server_config *config = &server->config;

	server->http = evhttp_new(server->base);
	if (server->http == NULL)
		return -ENOMEM;
	evhttp_set_bevcb(server->http, server_accept, server);
	evhttp_set_gencb(server->http, handle, server);
	evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
		EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(server->http, SERVER_HEADERS_MAX);
	evhttp_set_max_body_size(server->http, (ev_ssize_t)(config->body_max + SERVER_BODY_SLACK));
	/* A backstop for what the sweep does exactly. */
	evhttp_set_timeout(server->http, (int)(config->request_timeout_s + config->idle_timeout_s));
	evhttp_set_default_content_type(server->http, "application/json");
	return 0;
}
