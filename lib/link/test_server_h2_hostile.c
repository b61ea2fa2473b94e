/* HTTP/2 that no client speaks, frame by frame: floods, what is too long, too many, or broken. */
#include "test/test.h"

#include <event2/buffer.h>
#include <event2/event.h>

#include "lib/link/test_h2_rig.h"

enum { FLOOD = 3000 };

/* GET and POST https://x/ */
static const uint8_t get[] = { 0x82, 0x84, 0x87, 0x41, 1, 'x' };
static const uint8_t post[] = { 0x83, 0x84, 0x87, 0x41, 1, 'x' };
static const uint8_t zeros[RIG_FRAME_MAX];

/* @param n of the flood's frame */
static void
put_flood(struct rig *rig, uint8_t type, uint32_t n)
{
	static const uint8_t increment[4] = { 0, 0, 0, 1 };
	uint32_t stream = 2 * n + 3;

	switch (type) {
	case NGHTTP2_RST_STREAM:
		rig_put_frame(rig, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, stream, get, sizeof(get));
		rig_put_frame(rig, NGHTTP2_RST_STREAM, 0, stream, zeros, 4);
		break;
	case NGHTTP2_HEADERS: /* each with a fault of its own, that makes the server reset it */
		rig_put_frame(rig, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream, get, sizeof(get));
		rig_put_frame(rig, NGHTTP2_WINDOW_UPDATE, 0, stream, "\x7f\xff\xff\xff", 4);
		break;
	case NGHTTP2_PING: rig_put_frame(rig, type, 0, 0, zeros, 8); break;
	case NGHTTP2_SETTINGS: rig_put_frame(rig, type, 0, 0, NULL, 0); break;
	case NGHTTP2_PRIORITY: rig_put_frame(rig, type, 0, 1, zeros, 5); break;
	case NGHTTP2_WINDOW_UPDATE: rig_put_frame(rig, type, 0, 0, increment, 4); break;
	case NGHTTP2_DATA: rig_put_frame(rig, type, 0, 1, NULL, 0); break;
	case NGHTTP2_CONTINUATION:
		if (n == 0)
			rig_put_frame(rig, NGHTTP2_HEADERS, 0, stream, get, sizeof(get));
		rig_put_frame(rig, type, 0, 3, NULL, 0);
		break;
	default: rig_put_frame(rig, type, 0, 0, zeros, 1); break;
	}
}

static void
test_floods(void **state)
{
	static const uint8_t kinds[] = { NGHTTP2_RST_STREAM, NGHTTP2_HEADERS, NGHTTP2_PING, NGHTTP2_SETTINGS, NGHTTP2_PRIORITY,
		NGHTTP2_WINDOW_UPDATE, NGHTTP2_DATA, NGHTTP2_CONTINUATION, 0xbb };

	for (unsigned int i = 0; i < TEST_COUNT(kinds); i++) {
		struct rig rig;

		rig_create(&rig);
		rig.answers = true;
		rig_greet(&rig);
		rig_put_frame(&rig, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, post, sizeof(post));
		for (unsigned int n = 0; n < FLOOD; n++) {
			put_flood(&rig, kinds[i], n);
			/* Before they are too many at once. */
			if (n % (RIG_STREAMS_MAX / 2) == 0)
				event_base_loop(rig.base, EVLOOP_NONBLOCK);
		}
		rig_run(&rig);
		if (!rig.peer.h2->cut)
			print_message("frames of type %u: %d left of %d\n", kinds[i], (int)rig.peer.h2->patience, H2_PATIENCE_MAX);
		assert_int_equal(rig_counted(&rig, LINK_SERVER_FLOOD), 1);
		assert_int_equal(rig_counted(&rig, LINK_SERVER_BROKEN), 0);
		assert_true(rig.peer.h2->cut);
		rig_destroy(&rig);
	}
}

static void
test_streams_are_bounded(void **state)
{
	struct rig rig;

	rig_create(&rig);
	bufferevent_write(rig.ends[1], NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	rig_put_frame(&rig, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	/* Its settings are not acknowledged: those too many are refused, not the connection. */
	for (uint32_t i = 0; i < RIG_STREAMS_MAX + 5; i++)
		rig_put_frame(&rig, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1, get, sizeof(get));
	rig_run(&rig);
	assert_int_equal(rig.count, RIG_STREAMS_MAX);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_STREAMS), 5);
	rig_destroy(&rig);
}

/* @param len of a header's value, over as many frames as it takes */
static void
put_long_headers(struct rig *rig, uint32_t stream, size_t len, unsigned int times)
{
	struct evbuffer *block = evbuffer_new();
	static const uint8_t name[] = { 0x40, 1, 'a', 0x7f }; /* indexed from here on as 62 */
	size_t rest = len - 127;

	evbuffer_add(block, get, sizeof(get));
	evbuffer_add(block, name, sizeof(name));
	for (; rest >= 128; rest /= 128)
		evbuffer_add_printf(block, "%c", (char)(rest % 128 | 128));
	evbuffer_add_printf(block, "%c", (char)rest);
	for (size_t i = 0; i < len; i++)
		evbuffer_add(block, "v", 1);
	for (unsigned int i = 1; i < times; i++)
		evbuffer_add(block, "\xbe", 1);
	for (bool first = true; evbuffer_get_length(block) > 0; first = false) {
		size_t part = evbuffer_get_length(block) < RIG_FRAME_MAX ? evbuffer_get_length(block) : RIG_FRAME_MAX;

		rig_put_frame(rig, first ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION, (uint8_t)((first ? NGHTTP2_FLAG_END_STREAM : 0) |
			(part == evbuffer_get_length(block) ? NGHTTP2_FLAG_END_HEADERS : 0)), stream, evbuffer_pullup(block, (ev_ssize_t)part), part);
		evbuffer_drain(block, part);
	}
	evbuffer_free(block);
}

static void
test_long_headers(void **state)
{
	struct rig rig;

	rig_create(&rig);
	rig.answers = true;
	rig_greet(&rig);
	put_long_headers(&rig, 1, SERVER_HEADERS_MAX - 500, 1);
	rig_run(&rig);
	assert_int_equal(rig.count, 1);
	put_long_headers(&rig, 3, SERVER_HEADERS_MAX, 1);
	rig_run(&rig);
	assert_int_equal(rig.count, 1);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_HEADERS), 1);
	assert_true(TAILQ_EMPTY(&rig.peer.h2->requests));
	/* A few bytes that unpack to many. */
	put_long_headers(&rig, 5, 3000, 100);
	rig_run(&rig);
	assert_int_equal(rig.count, 1);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_FLOOD), 1);
	rig_destroy(&rig);
}

static void
test_broken(void **state)
{
	static const uint8_t odd[] = { 0x82, 0x84, 0x87, 0x41, 1, 'x', 0x00, 1, 'a', 2, 'b', 0 };
	struct rig rig;

	rig_create(&rig);
	bufferevent_write(rig.ends[1], "GET / HTTP/1.1\r\n\r\n12345678", 26);
	rig_run(&rig);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_BROKEN), 1);
	rig_destroy(&rig);

	rig_create(&rig);
	rig_greet(&rig);
	rig_put_frame(&rig, NGHTTP2_DATA, 0, 0, zeros, 1);
	rig_run(&rig);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_BROKEN), 1);
	rig_destroy(&rig);

	/* A zero in a value, and a method that is not served: the request alone. */
	rig_create(&rig);
	rig_greet(&rig);
	rig_put_frame(&rig, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, odd, sizeof(odd));
	rig_put_frame(&rig, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 3,
		"\x42\x03PUT\x84\x87\x41\x01x", 10);
	rig_run(&rig);
	assert_int_equal(rig.count, 0);
	assert_true(TAILQ_EMPTY(&rig.peer.h2->requests));
	rig_put_frame(&rig, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 5, get, sizeof(get));
	rig_run(&rig);
	assert_int_equal(rig.count, 1);
	rig_destroy(&rig);
}

/* Cut at each length, the peer goes away: nothing is handed on but what is whole. */
static void
test_cut(void **state)
{
	static const uint8_t bytes[] = NGHTTP2_CLIENT_MAGIC "\0\0\0\x04\0\0\0\0\0" "\0\0\x06\x01\x04\0\0\0\x01\x83\x84\x87\x41\x01x"
		"\0\0\x03\0\x01\0\0\0\x01" "abc";

	for (size_t len = 0; len < sizeof(bytes); len++) {
		struct rig rig;

		rig_create(&rig);
		bufferevent_write(rig.ends[1], bytes, len);
		rig_run(&rig);
		assert_int_equal(rig.count, len == sizeof(bytes) - 1);
		rig_destroy(&rig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_streams_are_bounded),
		cmocka_unit_test(test_long_headers),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
