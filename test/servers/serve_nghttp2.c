/* nghttp2's sessions over libevent's bufferevents with OpenSSL: HTTP/2 alone. */
#include "test/servers/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <nghttp2/nghttp2.h>

enum { STREAMS_MAX = 32, WINDOW_LEN = 1 << 20 };

struct peer {
	struct bufferevent *wire;
	nghttp2_session *session;
};

struct stream {
	struct body body;
	char answer[ANSWER_LEN_MAX];
	size_t answer_len, answer_pos;
};

struct server {
	struct event_base *base;
	SSL_CTX *context;
	nghttp2_session_callbacks *callbacks;
	struct timeval silence;
};

static ssize_t
give_answer(nghttp2_session *session, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
	nghttp2_data_source *source, void *user)
{
	struct stream *stream = source->ptr;
	size_t len = stream->answer_len - stream->answer_pos;

	len = len < room ? len : room;
	memcpy(out, stream->answer + stream->answer_pos, len);
	stream->answer_pos += len;
	if (stream->answer_pos == stream->answer_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

static int
begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	return stream == NULL ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
			      : nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
}

static int
take_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len, void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(session, id);

	if (stream != NULL && body_add(&stream->body, bytes, len) != 0)
		return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
	return 0;
}

static int
take_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	static uint8_t name[] = ":status", value[] = "200";
	nghttp2_nv status = { name, value, sizeof(name) - 1, sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE };
	struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	nghttp2_data_provider provider = { { .ptr = stream }, give_answer };

	if (stream == NULL || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 ||
		(frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
		return 0;
	stream->answer_len = server_answer(stream->answer, stream->body.len);
	return nghttp2_submit_response(session, frame->hd.stream_id, &status, 1, &provider);
}

static int
close_stream(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(session, id);

	if (stream != NULL)
		body_free(&stream->body);
	free(stream);
	return 0;
}

static void
close_peer(struct peer *peer)
{
	nghttp2_session_del(peer->session);
	bufferevent_free(peer->wire);
	free(peer);
}

static int
send_frames(struct peer *peer)
{
	struct evbuffer *output = bufferevent_get_output(peer->wire);
	const uint8_t *bytes;
	ssize_t len;

	while ((len = nghttp2_session_mem_send(peer->session, &bytes)) > 0)
		evbuffer_add(output, bytes, (size_t)len);
	return len < 0 || (!nghttp2_session_want_read(peer->session) && !nghttp2_session_want_write(peer->session)) ? -1
														    : 0;
}

static void
readable(struct bufferevent *wire, void *context)
{
	struct evbuffer *input = bufferevent_get_input(wire);
	struct peer *peer = context;
	struct evbuffer_iovec part;

	while (evbuffer_peek(input, -1, NULL, &part, 1) > 0) {
		if (nghttp2_session_mem_recv(peer->session, part.iov_base, part.iov_len) != (ssize_t)part.iov_len) {
			close_peer(peer);
			return;
		}
		evbuffer_drain(input, part.iov_len);
	}
	if (send_frames(peer) != 0)
		close_peer(peer);
}

static void
changed(struct bufferevent *wire, short what, void *context)
{
	if ((what & BEV_EVENT_CONNECTED) == 0)
		close_peer(context);
	else if (send_frames(context) != 0)
		close_peer(context);
}

static int
choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
	void *context)
{
	return nghttp2_select_next_protocol((unsigned char **)out, out_len, in, in_len) == 1
		? SSL_TLSEXT_ERR_OK
		: SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void
take_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len, void *context)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_LEN },
	};
	struct server *server = context;
	struct peer *peer = calloc(1, sizeof(*peer));
	int on = 1;

	if (peer == NULL || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		abort();
	peer->wire = bufferevent_openssl_socket_new(
		server->base, fd, SSL_new(server->context), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	nghttp2_session_server_new(&peer->session, server->callbacks, peer);
	nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, settings, 2);
	nghttp2_session_set_local_window_size(peer->session, NGHTTP2_FLAG_NONE, 0, 2 * WINDOW_LEN);
	bufferevent_setcb(peer->wire, readable, NULL, changed, peer);
	bufferevent_set_timeouts(peer->wire, &server->silence, &server->silence);
	bufferevent_enable(peer->wire, EV_READ | EV_WRITE);
}

int
serve(const struct server_args *args)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(args->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	struct server server = { .base = event_base_new(),
		.context = SSL_CTX_new(TLS_server_method()),
		.silence = { .tv_sec = args->timeout_s } };

	nghttp2_session_callbacks_new(&server.callbacks);
	nghttp2_session_callbacks_set_on_begin_headers_callback(server.callbacks, begin_headers);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(server.callbacks, take_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(server.callbacks, take_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(server.callbacks, close_stream);
	if (server_tls(server.context, args) != 0)
		return -1;
	SSL_CTX_set_alpn_select_cb(server.context, choose_h2, NULL);
	if (evconnlistener_new_bind(server.base, take_connection, &server, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
		    1024, (struct sockaddr *)&address, sizeof(address)) == NULL)
		return -1;
	return event_base_dispatch(server.base);
}
