/* What a handler sees of a request, and its answer: handed to the protocol that brought it. */
#include <event2/buffer.h>
#include <event2/http.h>

#include "lib/link/server_private.h"
#include "lib/link/server_tls.h"

bool
link_request_is_post(const struct link_request *request)
{
	return request->post;
}

const char *
link_request_uri(const struct link_request *request)
{
	return request->uri;
}

const char *
link_request_path(const struct link_request *request)
{
	return request->parts == NULL ? NULL : evhttp_uri_get_path(request->parts);
}

const char *
link_request_query(const struct link_request *request)
{
	return request->parts == NULL ? NULL : evhttp_uri_get_query(request->parts);
}

const char *
link_request_header(const struct link_request *request, const char *name)
{
	return request->kind->header(request, name);
}

struct evbuffer *
link_request_body(struct link_request *request)
{
	return request->body;
}

uint64_t
link_request_body_len(const struct link_request *request)
{
	return request->body_len;
}

const char *
link_request_address(const struct link_request *request)
{
	return request->kind->address(request);
}

static const X509 *
certificate_of(const struct link_request *request)
{
	const SSL *ssl = request->peer->ssl;

	return ssl == NULL ? NULL : server_tls_certificate(ssl);
}

bool
link_request_serial(const struct link_request *request, char serial[LINK_SERIAL_MAX + 1])
{
	const X509 *certificate = certificate_of(request);

	return certificate != NULL && server_tls_serial(certificate, serial);
}

bool
link_request_peer(const struct link_request *request, char name[BATCH_SENSOR_MAX + 1])
{
	const X509 *certificate = certificate_of(request);

	return certificate != NULL && server_tls_name(certificate, name);
}

void
link_request_on_close(struct link_request *request, link_request_told closed, void *arg)
{
	request->closed = closed;
	request->closed_arg = arg;
}

void
server_write_error(struct evbuffer *out, int status, const char *reason)
{
	(void)evbuffer_add_printf(out, "{\"error\":{\"status\":%d,\"reason\":\"%s\"}}\n", status, reason);
}

void
server_tell_closed(struct link_request *request)
{
	link_request_told closed = request->closed;

	request->closed = NULL;
	if (closed != NULL)
		closed(request->closed_arg);
}

void
link_request_extra_header(struct link_request *request, const char *name, const char *value)
{
	request->extra_name = name;
	request->extra_value = value;
}

void
link_request_answer(struct link_request *request, int status, unsigned int retry_after_s, struct evbuffer *body)
{
	request->closed = NULL;
	request->kind->answer(request, status, retry_after_s, body);
}

void
link_request_stream_begin(struct link_request *request, const char *content_type)
{
	request->kind->stream_begin(request, content_type);
}

void
link_request_stream_chunk(struct link_request *request, struct evbuffer *chunk, link_request_told taken, void *arg)
{
	request->taken = taken;
	request->taken_arg = arg;
	request->kind->stream_chunk(request, chunk);
}

void
link_request_stream_end(struct link_request *request)
{
	request->closed = NULL;
	request->kind->stream_end(request);
}

void
link_request_stream_cut(struct link_request *request)
{
	request->closed = NULL;
	request->kind->stream_cut(request);
}
