#include "app/bench/sender_h2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <nghttp2/nghttp2.h>

enum { FIELDS_MAX = 24 };

struct sender_h2 {
	struct bufferevent *bev;
	nghttp2_session *session;
	sender_h2_answered answered;
	void *arg;
	const char *body;
	size_t left;
	int status;
};

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
	size_t value_len, uint8_t flags, void *arg)
{
	struct sender_h2 *h2 = arg;

	if (name_len == 7 && memcmp(name, ":status", 7) == 0)
		h2->status = (int)strtol((const char *)value, NULL, 10);
	return 0;
}

static int
on_closed(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
	struct sender_h2 *h2 = arg;

	h2->answered(h2->arg, error == NGHTTP2_NO_ERROR ? h2->status : 0);
	return 0;
}

static ssize_t
read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t len, uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct sender_h2 *h2 = arg;
	size_t part = h2->left < len ? h2->left : len;

	memcpy(to, h2->body, part);
	h2->body += part;
	h2->left -= part;
	if (h2->left == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)part;
}

static int
flush(struct sender_h2 *h2)
{
	const uint8_t *data;
	ssize_t len;

	while ((len = nghttp2_session_mem_send(h2->session, &data)) > 0)
		if (bufferevent_write(h2->bev, data, (size_t)len) != 0)
			return -ENOMEM;
	return len == 0 ? 0 : -EPROTO;
}

struct sender_h2 *
sender_h2_create(struct bufferevent *bev, sender_h2_answered answered, void *arg)
{
	struct sender_h2 *h2 = calloc(1, sizeof(*h2));
	nghttp2_session_callbacks *callbacks = NULL;

	if (h2 == NULL)
		return NULL;
	h2->bev = bev;
	h2->answered = answered;
	h2->arg = arg;
	if (nghttp2_session_callbacks_new(&callbacks) == 0) {
		nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
		nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
		(void)nghttp2_session_client_new(&h2->session, callbacks, h2);
		nghttp2_session_callbacks_del(callbacks);
	}
	if (h2->session == NULL || nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, NULL, 0) != 0 || flush(h2) != 0) {
		sender_h2_destroy(h2);
		return NULL;
	}
	return h2;
}

void
sender_h2_destroy(struct sender_h2 *h2)
{
	if (h2 == NULL)
		return;
	nghttp2_session_del(h2->session);
	free(h2);
}

static nghttp2_nv
field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

int
sender_h2_post(struct sender_h2 *h2, const char *path, char *headers, const void *body, size_t len)
{
	const nghttp2_data_provider provider = { .read_callback = read_body };
	nghttp2_nv fields[FIELDS_MAX];
	char length[24];
	char *rest = NULL;
	size_t count = 0;

	snprintf(length, sizeof(length), "%zu", len);
	fields[count++] = field(":method", "POST");
	fields[count++] = field(":path", path);
	fields[count++] = field(":scheme", "https");
	fields[count++] = field(":authority", "localhost");
	fields[count++] = field("content-length", length);
	for (char *line = strtok_r(headers, "\r\n", &rest); line != NULL && count < FIELDS_MAX; line = strtok_r(NULL, "\r\n", &rest)) {
		char *value = strstr(line, ": ");

		if (value == NULL)
			return -EINVAL;
		*value = '\0';
		for (char *c = line; *c != '\0'; c++)
			*c |= *c >= 'A' && *c <= 'Z' ? 0x20 : 0;
		fields[count++] = field(line, value + 2);
	}
	h2->body = body;
	h2->left = len;
	if (nghttp2_submit_request(h2->session, NULL, fields, count, &provider, NULL) < 0)
		return -ENOMEM;
	return flush(h2);
}

int
sender_h2_read(struct sender_h2 *h2)
{
	struct evbuffer *in = bufferevent_get_input(h2->bev);
	size_t len;

	while ((len = evbuffer_get_contiguous_space(in)) > 0) {
		if (nghttp2_session_mem_recv(h2->session, evbuffer_pullup(in, (ev_ssize_t)len), len) < 0)
			return -EPROTO;
		evbuffer_drain(in, len);
	}
	return flush(h2);
}
