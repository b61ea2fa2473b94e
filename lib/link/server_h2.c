/* A connection that speaks HTTP/2: bytes in and out, what it may cost, its end. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "lib/link/server_h2.h"

enum {
	END_S = 2,             /* that what it is told at last may take */
	CONTINUATIONS_MAX = 8, /* of a request's headers, which are bounded by bytes as well */
	SETTINGS_MAX = 32,     /* of a frame */
	ACKS_MAX = 256,        /* that wait for the wire */
	COST_BYTES = 256,      /* read for 1, whatever they are: frames of unknown types are not told of */
};

/* ---- floods ---- */

bool
server_h2_spend(struct h2 *h2, int64_t cost)
{
	h2->patience -= cost;
	if (h2->patience > H2_PATIENCE_MAX)
		h2->patience = H2_PATIENCE_MAX;
	if (h2->patience >= 0)
		return true;
	if (!h2->cut)
		server_count(h2->peer->server, LINK_SERVER_FLOOD);
	h2->cut = true;
	return false;
}

/* ---- the end ---- */

/* Says why, and then no more; what is written still goes out. */
static void
give_up(struct h2 *h2, uint32_t why)
{
	if (h2->end_s != 0)
		return;
	h2->end_s = server_clock_s();
	h2->cut = true;
	(void)nghttp2_session_terminate_session(h2->session, why);
}

/* nghttp2 has no use for the session any more, or we have none. */
static void
end_when_said(struct h2 *h2)
{
	size_t left = evbuffer_get_length(bufferevent_get_output(h2->peer->bev));

	if (left == 0 && !nghttp2_session_want_write(h2->session) && (h2->cut || !nghttp2_session_want_read(h2->session)))
		server_cut(h2->peer);
}

static void
fail(struct h2 *h2, int code)
{
	bool flood = code == NGHTTP2_ERR_FLOODED || code == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;

	/* What was cut because of a flood is counted already. */
	if (!h2->cut && code != NGHTTP2_ERR_NOMEM)
		server_count(h2->peer->server, flood ? LINK_SERVER_FLOOD : LINK_SERVER_BROKEN);
	give_up(h2, code == NGHTTP2_ERR_NOMEM ? NGHTTP2_INTERNAL_ERROR : flood || code == NGHTTP2_ERR_CALLBACK_FAILURE
		? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
}

/* ---- out ---- */

static ssize_t
send_bytes(nghttp2_session *session, const uint8_t *data, size_t len, int flags, void *user)
{
	struct h2 *h2 = user;
	struct evbuffer *out = bufferevent_get_output(h2->peer->bev);

	if (evbuffer_get_length(out) >= H2_OUT_MAX)
		return NGHTTP2_ERR_WOULDBLOCK;
	return evbuffer_add(out, data, len) == 0 ? (ssize_t)len : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* @return whether there was somebody */
static bool
tell_taken(struct h2 *h2)
{
	bool told = false;

	while (h2->due) {
		struct h2_request *request;

		h2->due = false;
		TAILQ_FOREACH(request, &h2->requests, link) {
			if (!request->due)
				continue;
			/* The list may be another one behind this. */
			request->due = false;
			h2->due = told = true;
			request->head.taken(request->head.taken_arg);
			break;
		}
	}
	return told;
}

static bool
hand_on(struct h2 *h2)
{
	bool handed = false;
	struct h2_request *request;

	while (!h2->cut && h2->unsent < H2_UNSENT_MAX && (request = TAILQ_FIRST(&h2->ready)) != NULL) {
		server_h2_hand_on(request);
		handed = true;
	}
	return handed;
}

void
server_h2_pump(struct h2 *h2)
{
	bool again = true;

	if (h2->pumping)
		return;
	h2->pumping = true;
	while (again) {
		int err;

		if (h2->cut)
			give_up(h2, NGHTTP2_ENHANCE_YOUR_CALM);
		err = nghttp2_session_send(h2->session);
		if (err != 0)
			fail(h2, err);
		again = tell_taken(h2);
		again = (hand_on(h2) || again) && err == 0;
	}
	h2->pumping = false;
	end_when_said(h2);
}

static void
on_drained(struct bufferevent *bev, void *arg)
{
	struct peer *peer = arg;

	server_h2_pump(peer->h2);
}

/* ---- in ---- */

static void
on_bytes(struct bufferevent *bev, void *arg)
{
	struct peer *peer = arg;
	struct h2 *h2 = peer->h2;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len;

	h2->pumping = true;
	while (!h2->cut && (len = evbuffer_get_contiguous_space(in)) > 0) {
		ssize_t used;

		if (!server_h2_spend(h2, 1 + (int64_t)(len / COST_BYTES)))
			break;
		used = nghttp2_session_mem_recv(h2->session, evbuffer_pullup(in, (ev_ssize_t)len), len);

		if (used < 0)
			fail(h2, (int)used);
		else
			evbuffer_drain(in, (size_t)used);
	}
	if (h2->cut)
		evbuffer_drain(in, evbuffer_get_length(in));
	h2->pumping = false;
	server_h2_pump(h2);
}

/* ---- time ---- */

/* @return whether the peer took nothing of what waits for too long */
static bool
is_stalled(struct h2 *h2, uint64_t now_s, uint64_t limit_s)
{
	uint64_t written = h2->peer->ssl == NULL ? 0 : BIO_number_written(SSL_get_wbio(h2->peer->ssl));

	if (written != h2->written || evbuffer_get_length(bufferevent_get_output(h2->peer->bev)) == 0) {
		h2->written = written;
		h2->written_s = now_s;
	}
	return now_s - h2->written_s > limit_s;
}

static void
look_at_requests(struct h2 *h2, uint64_t now_s, uint64_t limit_s)
{
	struct link_server *server = h2->peer->server;
	struct h2_request *request;

	TAILQ_FOREACH(request, &h2->requests, link) {
		if (request->state == H2_COMES && !request->waits && now_s - request->since_s > limit_s) {
			server_count(server, LINK_SERVER_SLOW);
			server_h2_reset(request, NGHTTP2_CANCEL);
		} else if (evbuffer_get_length(request->out) > 0 && now_s - request->moved_s > limit_s) {
			server_count(server, LINK_SERVER_STALLED);
			server_h2_reset(request, NGHTTP2_CANCEL);
		}
	}
}

void
server_h2_sweep(struct peer *peer, uint64_t now_s)
{
	struct h2 *h2 = peer->h2;
	const struct link_server_config *config = &peer->server->config;
	bool idle = h2->asked && config->idle_timeout_s != 0;

	(void)server_h2_spend(h2, -H2_PATIENCE_A_SECOND);
	if (is_stalled(h2, now_s, config->request_timeout_s)) {
		server_count(peer->server, LINK_SERVER_STALLED);
		server_cut(peer);
		return;
	}
	if (h2->end_s != 0) {
		if (now_s - h2->end_s > END_S)
			server_cut(peer);
		return;
	}
	look_at_requests(h2, now_s, config->request_timeout_s);
	if (TAILQ_EMPTY(&h2->requests) && now_s - h2->idle_s > (idle ? config->idle_timeout_s : config->request_timeout_s)) {
		server_count(peer->server, idle ? LINK_SERVER_IDLE : LINK_SERVER_SLOW);
		give_up(h2, NGHTTP2_NO_ERROR);
	}
	server_h2_pump(h2);
}

/* ---- life ---- */

static int
create_session(struct h2 *h2)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int err = nghttp2_session_callbacks_new(&callbacks);

	if (err == 0)
		err = nghttp2_option_new(&option);
	if (err == 0) {
		nghttp2_session_callbacks_set_send_callback(callbacks, send_bytes);
		server_h2_set_callbacks(callbacks);
		nghttp2_option_set_no_auto_window_update(option, 1);
		nghttp2_option_set_no_closed_streams(option, 1);
		nghttp2_option_set_max_settings(option, SETTINGS_MAX);
		nghttp2_option_set_max_outbound_ack(option, ACKS_MAX);
		nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
		nghttp2_option_set_stream_reset_rate_limit(option, H2_PATIENCE_MAX, H2_PATIENCE_A_SECOND);
		nghttp2_option_set_max_deflate_dynamic_table_size(option, 0);
		err = nghttp2_session_server_new3(&h2->session, callbacks, h2, option, &server_h2_memory);
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return err == 0 ? 0 : -ENOMEM;
}

/* The connection's window never holds a stream back: those of the streams bound what comes. */
static int
greet(struct h2 *h2)
{
	const struct link_server_config *config = &h2->peer->server->config;
	const nghttp2_settings_entry settings[] = {
		/* A table of headers of each peer would be memory for a few bytes of the wire: those of a batch are never the same twice. */
		{ NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 0 },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)config->streams_max },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, SERVER_HEADERS_MAX },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	uint64_t window = config->body_max + SERVER_BODY_SLACK + config->streams_max * H2_WINDOW;

	if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, sizeof(settings) / sizeof(settings[0])) != 0 ||
	    nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
		(int32_t)(window > INT32_MAX ? INT32_MAX : window)) != 0)
		return -ENOMEM;
	return 0;
}

static void
read_address(struct h2 *h2, evutil_socket_t fd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);
	const void *at;

	if (fd < 0 || getpeername(fd, (struct sockaddr *)&address, &len) != 0)
		address.ss_family = AF_UNSPEC;
	at = address.ss_family == AF_INET6 ? (const void *)&((struct sockaddr_in6 *)&address)->sin6_addr
		: (const void *)&((struct sockaddr_in *)&address)->sin_addr;
	if (inet_ntop(address.ss_family, at, h2->address, sizeof(h2->address)) == NULL)
		memcpy(h2->address, "?", sizeof("?"));
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct peer *peer = arg;

	if ((what & BEV_EVENT_CONNECTED) == 0) {
		server_h2_release(peer);
		if (peer->owner.event != NULL)
			peer->owner.event(bev, what, peer->owner.arg);
	} else if (peer->server == NULL || server_h2_begin(peer, bev) != 0) {
		server_cut(peer);
	}
}

void
server_h2_take(struct peer *peer)
{
	/* A second hello of the same handshake finds it done. */
	if (peer->owner.event != NULL)
		return;
	bufferevent_getcb(peer->bev, &peer->owner.read, &peer->owner.write, &peer->owner.event, &peer->owner.arg);
	bufferevent_setcb(peer->bev, NULL, NULL, on_event, peer);
}

int
server_h2_begin(struct peer *peer, struct bufferevent *bev)
{
	struct h2 *h2 = calloc(1, sizeof(*h2));
	int err;

	if (h2 == NULL)
		return -ENOMEM;
	h2->peer = peer;
	h2->patience = H2_PATIENCE_MAX;
	h2->idle_s = h2->written_s = server_clock_s();
	TAILQ_INIT(&h2->requests);
	TAILQ_INIT(&h2->ready);
	err = create_session(h2);
	if (err == 0)
		err = greet(h2);
	if (err != 0) {
		nghttp2_session_del(h2->session);
		free(h2);
		return err;
	}
	read_address(h2, bufferevent_getfd(bev));
	peer->h2 = h2;
	server_count(peer->server, LINK_SERVER_HTTP2);
	bufferevent_setcb(bev, on_bytes, on_drained, on_event, peer);
	bufferevent_set_timeouts(bev, NULL, NULL);
	bufferevent_setwatermark(bev, EV_WRITE, H2_OUT_MAX / 2, 0);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	server_h2_pump(h2);
	return 0;
}

void
server_h2_stop(struct peer *peer)
{
	struct h2 *h2 = peer->h2;

	(void)nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h2->session),
		NGHTTP2_NO_ERROR, NULL, 0);
	server_h2_pump(h2);
}

static void
destroy(struct h2 *h2)
{
	h2->pumping = true;
	h2->cut = true;
	while (!TAILQ_EMPTY(&h2->requests))
		server_h2_forget(TAILQ_FIRST(&h2->requests));
	nghttp2_session_del(h2->session);
	free(h2);
}

void
server_h2_release(struct peer *peer)
{
	if (peer->h2 != NULL)
		destroy(peer->h2);
	peer->h2 = NULL;
	if (peer->owner.event != NULL)
		bufferevent_setcb(peer->bev, peer->owner.read, peer->owner.write, peer->owner.event, peer->owner.arg);
}
