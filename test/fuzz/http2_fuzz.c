/*
 * A peer that speaks HTTP/2, well or not, at the aggregator, whose handler answers what it gets now, later, in pieces or not at all.
 * Whatever comes, the books of a connection add up, and what it holds stays within its bounds.
 *
 * The input is a script: frames that may be, frames that may not, bytes, answers, seconds that pass. Its first byte says whether the peer
 * begins as it should.
 */
#include <event2/buffer.h>
#include <event2/event.h>

#include "lib/link/server_h2.h"
#include "test/fuzz/fuzz_input.h"

enum { STEPS_MAX = 600, BODY_MAX = 128 * 1024, STREAMS_MAX = 4, ASKED_MAX = 256, OUT_MAX = 4 * 1024 * 1024 };

enum step {
	STEP_REQUEST, STEP_DATA, STEP_FRAME, STEP_BYTES, STEP_ANSWER, STEP_STREAM, STEP_CHUNK, STEP_END, STEP_CUT, STEP_WINDOW, STEP_TIME,
	STEP_READ, STEPS,
};

struct world {
	struct event_base *base;
	struct link_server server;
	struct peer peer;
	struct bufferevent *far;
	struct link_request *asked[ASKED_MAX]; /* NULL: it has gone */
	bool streams[ASKED_MAX];
	unsigned int count;
	uint32_t next;     /* stream */
	uint64_t seconds;
};

static void
on_gone(void *arg)
{
	*(struct link_request **)arg = NULL;
}

static void
on_request(void *arg, struct link_request *request)
{
	struct world *world = arg;
	unsigned int at = world->count++ % ASKED_MAX;

	FUZZ_MUST(world->asked[at] == NULL);
	FUZZ_MUST(link_request_path(request) != NULL && link_request_uri(request) != NULL);
	FUZZ_MUST(evbuffer_get_length(link_request_body(request)) <= BODY_MAX + SERVER_BODY_SLACK);
	(void)link_request_header(request, "authorization");
	world->asked[at] = request;
	world->streams[at] = false;
	link_request_on_close(request, on_gone, &world->asked[at]);
}

static void
on_taken(void *arg)
{
	(*(unsigned int *)arg)++;
}

static void
begin(struct world *world)
{
	struct bufferevent *ends[2];

	if (world->base == NULL) {
		world->base = event_base_new();
		world->server.config = (struct link_server_config){ .topic = "fuzz", .body_max = BODY_MAX, .streams_max = STREAMS_MAX,
			.request_timeout_s = 60, .idle_timeout_s = 300 };
		world->server.base = world->base;
		world->server.handler = on_request;
		world->server.arg = world;
	}
	memset(world->asked, 0, sizeof(world->asked));
	world->count = 0;
	world->next = 1;
	world->seconds = server_clock_s();
	FUZZ_MUST(bufferevent_pair_new(world->base, 0, ends) == 0);
	world->peer = (struct peer){ .server = &world->server, .bev = ends[0] };
	world->far = ends[1];
	bufferevent_enable(world->far, EV_READ | EV_WRITE);
	FUZZ_MUST(server_h2_begin(&world->peer, ends[0]) == 0);
}

static void
end(struct world *world)
{
	server_h2_release(&world->peer);
	for (unsigned int i = 0; i < ASKED_MAX; i++)
		FUZZ_MUST(world->asked[i] == NULL);
	bufferevent_free(world->peer.bev);
	bufferevent_free(world->far);
	event_base_loop(world->base, EVLOOP_NONBLOCK);
}

static void
check(const struct world *world)
{
	const struct h2 *h2 = world->peer.h2;
	const struct h2_request *request;
	uint64_t unsent = 0, promised = 0, coming = 0;
	unsigned int ready = 0, whole = 0, open = 0;

	TAILQ_FOREACH(request, &h2->requests, link) {
		unsent += evbuffer_get_length(request->out);
		promised += request->promised;
		coming += request->state != H2_HANDED ? evbuffer_get_length(request->head.body) : 0;
		whole += request->state == H2_WHOLE;
		open++;
		FUZZ_MUST(request->fields_len <= request->fields_cap && request->fields_len <= 2 * SERVER_HEADERS_MAX);
	}
	TAILQ_FOREACH(request, &h2->ready, turn)
		ready++;
	FUZZ_MUST(unsent == h2->unsent && promised == h2->promised && ready == whole);
	FUZZ_MUST(promised <= BODY_MAX + SERVER_BODY_SLACK);
	FUZZ_MUST(coming <= BODY_MAX + SERVER_BODY_SLACK + (STREAMS_MAX + 1) * H2_WINDOW);
	FUZZ_MUST(open <= 2 * STREAMS_MAX + 1 || h2->cut);
	FUZZ_MUST(evbuffer_get_length(bufferevent_get_output(world->peer.bev)) <= OUT_MAX);
}

static void
put_frame(struct world *world, uint8_t type, uint8_t flags, uint32_t stream, struct cursor payload)
{
	size_t len = cursor_left(&payload);
	const uint8_t head[9] = { (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags, (uint8_t)(stream >> 24),
		(uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream };

	bufferevent_write(world->far, head, sizeof(head));
	if (len > 0)
		bufferevent_write(world->far, payload.pos, len);
}

/* One that may be: GET or POST, of the next stream, with headers of the script behind those that must be. */
static void
put_request(struct world *world, struct cursor *in, uint8_t how)
{
	/* The first byte says that nothing is remembered, as our settings wanted. */
	static const uint8_t fields[2][7] = { { 0x20, 0x82, 0x84, 0x87, 0x41, 1, 'x' }, { 0x20, 0x83, 0x84, 0x87, 0x41, 1, 'x' } };
	uint8_t block[sizeof(fields[0]) + 255];
	struct cursor more = fuzz_take(in, how % 4 == 0 ? cursor_u8(in) : 0);
	size_t len = cursor_left(&more);

	memcpy(block, fields[how & 1], sizeof(fields[0]));
	if (len > 0)
		memcpy(block + sizeof(fields[0]), more.pos, len);
	put_frame(world, NGHTTP2_HEADERS, (uint8_t)(NGHTTP2_FLAG_END_HEADERS | ((how & 2) != 0 ? NGHTTP2_FLAG_END_STREAM : 0)),
		world->next, cursor_of(block, sizeof(fields[0]) + len));
	world->next += 2;
}

static void
put_data(struct world *world, struct cursor *in, uint8_t how)
{
	static const uint8_t body[16 * 1024];
	uint32_t back = 2u * (how >> 1 & 7);

	put_frame(world, NGHTTP2_DATA, how & 1 ? NGHTTP2_FLAG_END_STREAM : 0, world->next > back + 2 ? world->next - 2 - back : 1,
		cursor_of(body, cursor_be16(in) % sizeof(body)));
}

static void
put_window(struct world *world, struct cursor *in, uint8_t how)
{
	uint32_t back = 2u * (how >> 1 & 7);
	const uint8_t more[4] = { 0, cursor_u8(in), 0, 1 };

	put_frame(world, NGHTTP2_WINDOW_UPDATE, 0, (how & 1) == 0 ? 0 : world->next > back + 2 ? world->next - 2 - back : 1,
		cursor_of(more, sizeof(more)));
}

/* ---- the handler ---- */

static void
act(struct world *world, enum step step, struct cursor *in, uint8_t how)
{
	static unsigned int taken;
	unsigned int at = how % ASKED_MAX;
	struct evbuffer *bytes;

	for (unsigned int i = 0; i < ASKED_MAX && world->asked[at] == NULL; i++)
		at = (at + 1) % ASKED_MAX;
	if (world->asked[at] == NULL || (world->streams[at] ? step == STEP_ANSWER || step == STEP_STREAM : step > STEP_STREAM))
		return;
	bytes = evbuffer_new();
	evbuffer_expand(bytes, 1u << 16);
	evbuffer_add_printf(bytes, "%*d", 1 + cursor_be16(in), 1);
	switch (step) {
	case STEP_ANSWER: link_request_answer(world->asked[at], 200 + how, how % 3, bytes); break;
	case STEP_STREAM: link_request_stream_begin(world->asked[at], "text/event-stream"); break;
	case STEP_CHUNK: link_request_stream_chunk(world->asked[at], bytes, on_taken, &taken); break;
	case STEP_END: link_request_stream_end(world->asked[at]); break;
	default: link_request_stream_cut(world->asked[at]); break;
	}
	evbuffer_free(bytes);
	world->streams[at] = true;
	if (step == STEP_ANSWER || step == STEP_END || step == STEP_CUT)
		world->asked[at] = NULL;
}

static void
take_step(struct world *world, struct cursor *in)
{
	enum step step = cursor_u8(in) % STEPS;
	uint8_t how = cursor_u8(in);
	uint32_t back = 2u * (how & 7);

	switch (step) {
	case STEP_REQUEST: put_request(world, in, how); break;
	case STEP_DATA: put_data(world, in, how); break;
	case STEP_FRAME:
		put_frame(world, how >> 4, cursor_u8(in), (how & 8) != 0 || world->next < back ? 0 : world->next - back, fuzz_take(in, cursor_u8(in)));
		break;
	case STEP_BYTES: {
		struct cursor raw = fuzz_take(in, how);

		if (cursor_left(&raw) > 0)
			bufferevent_write(world->far, raw.pos, cursor_left(&raw));
		break;
	}
	case STEP_WINDOW: put_window(world, in, how); break;
	case STEP_TIME:
		world->seconds += how;
		server_h2_sweep(&world->peer, world->seconds);
		break;
	case STEP_READ: break;
	default: act(world, step, in, how); break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct world world;
	static const uint8_t nothing[1];
	struct cursor in = cursor_of(data, len);

	begin(&world);
	if (cursor_u8(&in) % 8 != 0) {
		bufferevent_write(world.far, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
		put_frame(&world, NGHTTP2_SETTINGS, 0, 0, cursor_of(nothing, 0));
		put_frame(&world, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, cursor_of(nothing, 0));
	}
	for (unsigned int step = 0; step < STEPS_MAX && cursor_left(&in) > 0; step++) {
		take_step(&world, &in);
		event_base_loop(world.base, EVLOOP_NONBLOCK);
		evbuffer_drain(bufferevent_get_input(world.far), evbuffer_get_length(bufferevent_get_input(world.far)));
		check(&world);
	}
	end(&world);
	return 0;
}
