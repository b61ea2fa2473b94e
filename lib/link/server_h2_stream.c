/* A request over HTTP/2: its headers, its body as far as it was promised room, its turn. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "lib/link/server_h2.h"

enum {
	COST_FRAME = 1,
	COST_RESET = 5,
	WORTH_REQUEST = 8,      /* that was answered */
	FIELD_EXTRA = 32,       /* RFC 9113 6.5.2 */
	LISTED_MAX = 4 * SERVER_HEADERS_MAX, /* headers beyond it are an attack: they are unpacked for nothing */
	FIELDS_START = 1024,
};

#define LENGTH_UNKNOWN UINT64_MAX

static struct h2_request *
request_of(nghttp2_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session, stream);
}

static uint64_t
body_room(const struct h2 *h2)
{
	return h2->peer->server->config.body_max + SERVER_BODY_SLACK;
}

/* ---- its beginning and its end ---- */

static void
request_free(struct h2_request *request)
{
	if (request->parts != NULL)
		evhttp_uri_free(request->parts);
	if (request->head.body != NULL)
		evbuffer_free(request->head.body);
	if (request->out != NULL)
		evbuffer_free(request->out);
	free(request->fields);
	free(request);
}

static void
take_back(struct h2_request *request)
{
	request->h2->promised -= request->promised;
	request->promised = 0;
	request->waits = false;
}

void
server_h2_forget(struct h2_request *request)
{
	struct h2 *h2 = request->h2;

	take_back(request);
	h2->unsent -= evbuffer_get_length(request->out);
	TAILQ_REMOVE(&h2->requests, request, link);
	if (request->state == H2_WHOLE)
		TAILQ_REMOVE(&h2->ready, request, turn);
	if (TAILQ_EMPTY(&h2->requests))
		h2->idle_s = server_clock_s();
	server_tell_closed(&request->head);
	request_free(request);
}

/* What of the answer waits is not sent. */
static void
drop_answer(struct h2_request *request)
{
	request->h2->unsent -= evbuffer_get_length(request->out);
	evbuffer_drain(request->out, evbuffer_get_length(request->out));
}

void
server_h2_reset(struct h2_request *request, uint32_t why)
{
	struct h2 *h2 = request->h2;

	take_back(request);
	drop_answer(request);
	request->due = false;
	if (request->state == H2_WHOLE)
		TAILQ_REMOVE(&h2->ready, request, turn);
	if (request->state != H2_HANDED)
		request->state = H2_ANSWERED;
	(void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, request->stream, why);
}

/* ---- headers ---- */

const char *
server_h2_field(const struct h2_request *request, const char *name)
{
	const char *at = request->fields;
	const char *end = at + request->fields_len;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		if (strcasecmp(at, name) == 0)
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

static bool
add_text(struct h2_request *request, const uint8_t *text, size_t len)
{
	size_t want = request->fields_len + len + 1;
	size_t cap = request->fields_cap == 0 ? FIELDS_START : request->fields_cap;
	char *more;

	while (cap < want)
		cap *= 2;
	if (cap != request->fields_cap) {
		more = realloc(request->fields, cap);
		if (more == NULL)
			return false;
		request->fields = more;
		request->fields_cap = cap;
	}
	memcpy(request->fields + request->fields_len, text, len);
	request->fields[want - 1] = '\0';
	request->fields_len = want;
	return true;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
	size_t value_len, uint8_t flags, void *user)
{
	struct h2_request *request = request_of(session, frame->hd.stream_id);
	size_t before;

	/* Trailers are nobody's. */
	if (request == NULL || frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	request->listed += name_len + value_len + FIELD_EXTRA;
	if (request->listed > LISTED_MAX)
		return server_h2_spend(request->h2, 2 * H2_PATIENCE_MAX) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
	if (request->listed > SERVER_HEADERS_MAX)
		request->status = STATUS_HEADERS;
	if (request->status != 0)
		return 0;
	/* nghttp2 lets no zero through; were it otherwise, the rest would be read as a header of its own. */
	if (memchr(name, '\0', name_len) != NULL || memchr(value, '\0', value_len) != NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	before = request->fields_len;
	if (add_text(request, name, name_len) && add_text(request, value, value_len))
		return 0;
	request->fields_len = before;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2 *h2 = user;
	struct h2_request *request;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	request->head.body = evbuffer_new();
	request->out = evbuffer_new();
	if (request->head.body == NULL || request->out == NULL) {
		request_free(request);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	request->head.kind = &server_h2_kind;
	request->head.peer = h2->peer;
	request->h2 = h2;
	request->stream = frame->hd.stream_id;
	request->length = LENGTH_UNKNOWN;
	request->since_s = request->moved_s = server_clock_s();
	TAILQ_INSERT_TAIL(&h2->requests, request, link);
	(void)nghttp2_session_set_stream_user_data(session, request->stream, request);
	return 0;
}

/* ---- bodies ---- */

void
server_h2_promise(struct h2 *h2)
{
	struct h2_request *request;

	TAILQ_FOREACH(request, &h2->requests, link) {
		uint64_t whole = request->length == LENGTH_UNKNOWN ? body_room(h2) : request->length;
		uint64_t more = whole > H2_WINDOW ? whole - H2_WINDOW : 0;

		if (!request->waits)
			continue;
		/* In turn: a long one is not passed by until it starves. */
		if (h2->promised + more > body_room(h2))
			return;
		h2->promised += more;
		request->promised = more;
		request->waits = false;
		request->since_s = server_clock_s();
		(void)nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, request->stream, (int32_t)whole);
	}
}

/* Nothing more of it is wanted. */
static void
become_whole(struct h2_request *request)
{
	if (request->state != H2_COMES)
		return;
	request->state = H2_WHOLE;
	TAILQ_INSERT_TAIL(&request->h2->ready, request, turn);
	request->h2->asked = true;
	request->waits = false;
}

void
server_h2_drop_body(struct h2_request *request)
{
	evbuffer_drain(request->head.body, evbuffer_get_length(request->head.body));
}

/* A body that is longer than is taken is not kept: its length is answered, not it. */
static void
refuse_body(struct h2_request *request)
{
	server_h2_drop_body(request);
	become_whole(request);
}

static int
on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *user)
{
	struct h2_request *request = request_of(session, stream);
	struct h2 *h2 = user;

	(void)nghttp2_session_consume_connection(session, len);
	(void)server_h2_spend(h2, -(int64_t)(len / H2_WORTH_BYTES));
	if (request == NULL || request->state != H2_COMES)
		return 0;
	request->received += len;
	request->head.body_len = request->received;
	if (evbuffer_add(request->head.body, data, len) != 0) {
		server_h2_reset(request, NGHTTP2_INTERNAL_ERROR);
		return 0;
	}
	if (request->received >= body_room(h2))
		refuse_body(request);
	return 0;
}

/* ---- a request that is known by its headers ---- */

/* nghttp2 has seen that it is one number, and that as many bytes come. */
static void
read_length(struct h2_request *request)
{
	const char *text = server_h2_field(request, "content-length");

	if (text != NULL)
		request->length = strtoull(text, NULL, 10);
}

static void
read_headers(struct h2_request *request)
{
	const char *method = server_h2_field(request, ":method");

	request->head.uri = server_h2_field(request, ":path");
	request->head.post = method != NULL && strcmp(method, "POST") == 0;
	if (request->status != 0)
		return;
	if (method == NULL || (!request->head.post && strcmp(method, "GET") != 0)) {
		request->bare = method != NULL && strcmp(method, "HEAD") == 0;
		request->status = STATUS_METHOD;
		return;
	}
	if (request->head.uri != NULL)
		request->parts = evhttp_uri_parse_with_flags(request->head.uri, EVHTTP_URI_NONCONFORMANT);
	request->head.parts = request->parts;
	if (request->parts == NULL)
		request->status = STATUS_URI;
	read_length(request);
}

static void
on_headers(struct h2 *h2, struct h2_request *request, bool last)
{
	static const nghttp2_nv go_on = { (uint8_t *)":status", (uint8_t *)"100", 7, 3, NGHTTP2_NV_FLAG_NONE };
	const char *expect;

	read_headers(request);
	if (last || request->status != 0) {
		become_whole(request);
		return;
	}
	if (request->length != LENGTH_UNKNOWN && request->length > body_room(h2)) {
		request->head.body_len = request->length;
		refuse_body(request);
		return;
	}
	expect = server_h2_field(request, "expect");
	if (expect != NULL && strcasecmp(expect, "100-continue") == 0)
		(void)nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, request->stream, NULL, &go_on, 1, NULL);
	request->waits = request->length > H2_WINDOW;
	server_h2_promise(h2);
}

/* ---- frames ---- */

static int
on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
	int64_t cost = hd->type == NGHTTP2_RST_STREAM ? COST_RESET : COST_FRAME;

	return server_h2_spend(user, cost) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	struct h2_request *request;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	request = request_of(session, frame->hd.stream_id);
	if (request == NULL || request->state != H2_COMES)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		on_headers(user, request, last);
	else if (last)
		become_whole(request);
	return 0;
}

/* Resets that a peer makes us send cost it as much as its own. */
static int
on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2 *h2 = user;

	if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR) {
		if (frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM)
			server_count(h2->peer->server, LINK_SERVER_STREAMS);
		(void)server_h2_spend(h2, COST_RESET);
	} else if (frame->hd.type == NGHTTP2_DATA && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
		nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0) {
		/* Answered before all of it came: the rest is not wanted. */
		(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	} else if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR && !h2->cut) {
		/* An internal error is nghttp2's own bound on resets. */
		server_count(h2->peer->server, frame->goaway.error_code == NGHTTP2_INTERNAL_ERROR ? LINK_SERVER_FLOOD : LINK_SERVER_BROKEN);
	}
	return 0;
}

static int
on_closed(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
	struct h2_request *request = request_of(session, stream);

	if (request == NULL)
		return 0;
	(void)nghttp2_session_set_stream_user_data(session, stream, NULL);
	if (request->state == H2_ANSWERED && error == NGHTTP2_NO_ERROR)
		(void)server_h2_spend(user, -WORTH_REQUEST);
	server_h2_forget(request);
	server_h2_promise(user);
	return 0;
}

void
server_h2_set_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
}

/* ---- its turn ---- */

void
server_h2_hand_on(struct h2_request *request)
{
	struct h2 *h2 = request->h2;

	TAILQ_REMOVE(&h2->ready, request, turn);
	take_back(request);
	request->state = H2_HANDED;
	if (request->status != 0)
		server_h2_answer_status(request);
	else if (!server_hand_on(&request->head))
		h2->cut = true;
	server_h2_promise(h2);
}
