#include "lib/link/test_h2_rig.h"

#include "test/test.h"

#include <event2/buffer.h>
#include <event2/event.h>

static void
forget(void *arg)
{
	*(struct link_request **)arg = NULL;
}

void
rig_answer(struct rig *rig, unsigned int which, int status, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add_printf(body, "%s", text);
	link_request_answer(rig->asked[which], status, status == 429 ? 7 : 0, body);
	assert_int_equal(evbuffer_get_length(body), 0);
	rig->asked[which] = NULL;
	evbuffer_free(body);
}

static void
on_request(void *arg, struct link_request *request)
{
	struct rig *rig = arg;
	unsigned int which = rig->count++ % RIG_ASKED_MAX;

	rig->asked[which] = request;
	link_request_on_close(request, forget, &rig->asked[which]);
	if (rig->answers)
		rig_answer(rig, which, 200, "{}");
}

void
rig_create(struct rig *rig)
{
	*rig = (struct rig){ .server = { .config = { .topic = "test", .body_max = RIG_BODY_MAX, .streams_max = RIG_STREAMS_MAX,
		.request_timeout_s = 60, .idle_timeout_s = 300 } } };
	rig->base = event_base_new();
	rig->server.config.counters = rig->counters;
	rig->server.base = rig->base;
	rig->server.handler = on_request;
	rig->server.arg = rig;
	assert_int_equal(bufferevent_pair_new(rig->base, 0, rig->ends), 0);
	rig->peer.server = &rig->server;
	rig->peer.bev = rig->ends[0];
	bufferevent_enable(rig->ends[1], EV_READ | EV_WRITE);
	assert_int_equal(server_h2_begin(&rig->peer, rig->ends[0]), 0);
}

void
rig_destroy(struct rig *rig)
{
	server_h2_release(&rig->peer);
	nghttp2_session_del(rig->client);
	for (unsigned int i = 0; i < RIG_ASKED_MAX; i++)
		if (rig->bodies[i] != NULL)
			evbuffer_free(rig->bodies[i]);
	bufferevent_free(rig->ends[0]);
	bufferevent_free(rig->ends[1]);
	event_base_loop(rig->base, EVLOOP_NONBLOCK);
	event_base_free(rig->base);
}

uint64_t
rig_counted(const struct rig *rig, enum link_server_counter which)
{
	return rig->counters[which];
}

/* ---- a real client ---- */

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
	size_t value_len, uint8_t flags, void *arg)
{
	struct rig *rig = arg;
	int which = frame->hd.stream_id / 2;

	if (strcmp((const char *)name, ":status") == 0)
		snprintf(rig->status[which], sizeof(rig->status[which]), "%.7s", (const char *)value);
	else if (strcmp((const char *)name, "retry-after") == 0)
		snprintf(rig->retry[which], sizeof(rig->retry[which]), "%.7s", (const char *)value);
	return 0;
}

static int
on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *arg)
{
	struct rig *rig = arg;

	if (rig->bodies[stream / 2] == NULL)
		rig->bodies[stream / 2] = evbuffer_new();
	return evbuffer_add(rig->bodies[stream / 2], data, len);
}

static int
on_closed(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
	((struct rig *)arg)->closed[stream / 2] = 1000 + error;
	return 0;
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	if (frame->hd.type == NGHTTP2_GOAWAY)
		((struct rig *)arg)->goaway = 1000 + frame->goaway.error_code;
	return 0;
}

void
rig_client(struct rig *rig, uint32_t window)
{
	const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window } };
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;

	nghttp2_option_new(&option);
	nghttp2_option_set_no_auto_window_update(option, window == NGHTTP2_INITIAL_WINDOW_SIZE ? 0 : 1);
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	assert_int_equal(nghttp2_session_client_new2(&rig->client, callbacks, rig, option), 0);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	nghttp2_submit_settings(rig->client, NGHTTP2_FLAG_NONE, settings, 1);
}

void
rig_run(struct rig *rig)
{
	struct evbuffer *in = bufferevent_get_input(rig->ends[1]);

	for (unsigned int quiet = 0; quiet < 3; quiet++) {
		const uint8_t *data;
		ssize_t len;

		while (rig->client != NULL && (len = nghttp2_session_mem_send(rig->client, &data)) > 0) {
			bufferevent_write(rig->ends[1], data, (size_t)len);
			quiet = 0;
		}
		event_base_loop(rig->base, EVLOOP_NONBLOCK);
		len = (ssize_t)evbuffer_get_length(in);
		if (len > 0 && rig->client != NULL)
			(void)nghttp2_session_mem_recv(rig->client, evbuffer_pullup(in, -1), (size_t)len);
		evbuffer_drain(in, (size_t)len);
		quiet = len > 0 ? 0 : quiet;
	}
}

static ssize_t
read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t len, uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	const struct rig *rig = arg;
	size_t *left = source->ptr;
	size_t part = *left < len ? *left : len;

	if (rig->holds_back && *left == 1)
		return NGHTTP2_ERR_DEFERRED;
	if (rig->holds_back && part == *left)
		part--;
	memset(to, 'a' + stream % 26, part);
	*left -= part;
	if (*left == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)part;
}

int
rig_ask(struct rig *rig, const char *path, size_t *left, bool tells_length)
{
	char length[24];
	const nghttp2_data_provider body = { .source.ptr = left, .read_callback = read_body };

	snprintf(length, sizeof(length), "%zu", left == NULL ? 0 : *left);
	const nghttp2_nv fields[] = { RIG_FIELD(":method", left == NULL ? "GET" : "POST"), RIG_FIELD(":path", path), RIG_FIELD(":scheme", "https"),
		RIG_FIELD(":authority", "test"), RIG_FIELD("millrace-sensor", "plant-1"), RIG_FIELD("content-length", length) };
	int32_t stream = nghttp2_submit_request(rig->client, NULL, fields, tells_length && left != NULL ? 6 : 5,
		left == NULL ? NULL : &body, NULL);

	assert_true(stream > 0);
	return stream / 2;
}

void
rig_put_frame(struct rig *rig, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t len)
{
	const uint8_t head[9] = { (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags, (uint8_t)(stream >> 24),
		(uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream };

	bufferevent_write(rig->ends[1], head, sizeof(head));
	if (len > 0)
		bufferevent_write(rig->ends[1], payload, len);
}

void
rig_greet(struct rig *rig)
{
	bufferevent_write(rig->ends[1], NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	rig_put_frame(rig, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}
