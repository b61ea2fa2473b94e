/* The answer of a request over HTTP/2, whole or in chunks, as fast as the peer takes it. */
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/util.h>

#include "lib/link/server_h2.h"

enum { HEADERS_SENT_MAX = 8 };

static const char *
h2_header(const struct link_request *request, const char *name)
{
	return server_h2_field((const struct h2_request *)request, name);
}

static const char *
h2_address(const struct link_request *request)
{
	return ((const struct h2_request *)request)->h2->address;
}

static ssize_t
read_answer(nghttp2_session *session, int32_t stream, uint8_t *to, size_t len, uint32_t *flags, nghttp2_data_source *source,
	void *user)
{
	struct h2_request *request = source->ptr;
	struct h2 *h2 = user;
	int got = evbuffer_remove(request->out, to, len);
	bool empty = evbuffer_get_length(request->out) == 0;

	if (got > 0) {
		h2->unsent -= (uint64_t)got;
		request->moved_s = server_clock_s();
		(void)server_h2_spend(h2, -(got / H2_WORTH_BYTES));
	}
	if (empty && request->ends) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	} else if (empty && got > 0 && request->head.taken != NULL) {
		request->due = true;
		h2->due = true;
	} else if (empty && got <= 0) {
		request->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	return got > 0 ? got : 0;
}

static nghttp2_nv
field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

/* The body, if any, is read from out. */
static void
respond(struct h2_request *request, int status, unsigned int retry_after_s, const char *content_type)
{
	const nghttp2_data_provider body = { .source.ptr = request, .read_callback = read_answer };
	nghttp2_nv fields[HEADERS_SENT_MAX];
	char code[16], seconds[16], length[24], date[32];
	size_t count = 0;

	snprintf(code, sizeof(code), "%d", status);
	fields[count++] = field(":status", code);
	fields[count++] = field("content-type", content_type);
	fields[count++] = field("cache-control", "no-store");
	fields[count++] = field("x-content-type-options", "nosniff");
	if (evutil_date_rfc1123(date, sizeof(date), NULL) > 0)
		fields[count++] = field("date", date);
	if (retry_after_s > 0) {
		snprintf(seconds, sizeof(seconds), "%u", retry_after_s);
		fields[count++] = field("retry-after", seconds);
	}
	if (request->head.extra_name != NULL)
		fields[count++] = field(request->head.extra_name, request->head.extra_value);
	if (request->ends && !request->bare) {
		snprintf(length, sizeof(length), "%zu", evbuffer_get_length(request->out));
		fields[count++] = field("content-length", length);
	}
	request->moved_s = server_clock_s();
	/* However long the peer takes for the answer. */
	server_h2_drop_body(request);
	if (nghttp2_submit_response(request->h2->session, request->stream, fields, count, request->bare ? NULL : &body) != 0)
		server_h2_reset(request, NGHTTP2_INTERNAL_ERROR);
}

static void
put(struct h2_request *request, struct evbuffer *bytes)
{
	size_t before = evbuffer_get_length(request->out);

	/* What waited until now had no chance to move. */
	if (before == 0)
		request->moved_s = server_clock_s();
	(void)evbuffer_add_buffer(request->out, bytes);
	request->h2->unsent += evbuffer_get_length(request->out) - before;
}

static void
go_on(struct h2_request *request)
{
	struct h2 *h2 = request->h2;

	if (request->deferred) {
		request->deferred = false;
		(void)nghttp2_session_resume_data(h2->session, request->stream);
	}
	server_h2_pump(h2);
}

static void
h2_answer(struct link_request *head, int status, unsigned int retry_after_s, struct evbuffer *body)
{
	struct h2_request *request = (struct h2_request *)head;
	struct h2 *h2 = request->h2;

	request->state = H2_ANSWERED;
	request->ends = true;
	put(request, body);
	respond(request, status, retry_after_s, "application/json");
	server_h2_pump(h2);
}

static void
h2_stream_begin(struct link_request *head, const char *content_type)
{
	struct h2_request *request = (struct h2_request *)head;
	struct h2 *h2 = request->h2;

	respond(request, HTTP_OK, 0, content_type);
	server_h2_pump(h2);
}

static void
h2_stream_chunk(struct link_request *head, struct evbuffer *chunk)
{
	struct h2_request *request = (struct h2_request *)head;

	put(request, chunk);
	go_on(request);
}

static void
h2_stream_end(struct link_request *head)
{
	struct h2_request *request = (struct h2_request *)head;

	request->state = H2_ANSWERED;
	request->ends = true;
	request->due = false;
	request->head.taken = NULL;
	go_on(request);
}

static void
h2_stream_cut(struct link_request *head)
{
	struct h2_request *request = (struct h2_request *)head;
	struct h2 *h2 = request->h2;

	request->state = H2_ANSWERED;
	request->head.taken = NULL;
	server_h2_reset(request, NGHTTP2_INTERNAL_ERROR);
	server_h2_pump(h2);
}

const struct request_kind server_h2_kind = {
	.header = h2_header,
	.address = h2_address,
	.answer = h2_answer,
	.stream_begin = h2_stream_begin,
	.stream_chunk = h2_stream_chunk,
	.stream_end = h2_stream_end,
	.stream_cut = h2_stream_cut,
};

/* What never comes to the handler. */
void
server_h2_answer_status(struct h2_request *request)
{
	const char *why = request->status == STATUS_HEADERS ? "the headers are too long"
		: request->status == STATUS_METHOD ? SERVER_ONLY : "the path cannot be read";

	request->state = H2_ANSWERED;
	request->ends = true;
	if (request->status == STATUS_HEADERS)
		server_count(request->h2->peer->server, LINK_SERVER_HEADERS);
	if (!request->bare)
		server_write_error(request->out, request->status, why);
	request->h2->unsent += evbuffer_get_length(request->out);
	respond(request, request->status, 0, "application/json");
}
