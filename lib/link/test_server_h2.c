/* HTTP/2 by a real client: several requests at once, bodies and answers that are bounded, ends. */
#include "test/test.h"

#include <event2/buffer.h>
#include <event2/event.h>

#include "lib/link/test_h2_rig.h"

static void
assert_answered(struct rig *rig, int which, const char *status, const char *text)
{
	assert_string_equal(rig->status[which], status);
	assert_non_null(rig->bodies[which]);
	assert_int_equal(evbuffer_get_length(rig->bodies[which]), strlen(text));
	assert_memory_equal(evbuffer_pullup(rig->bodies[which], -1), text, strlen(text));
	assert_int_equal(rig->closed[which], 1000);
}

static void
test_several_at_once(void **state)
{
	struct rig rig;
	size_t left[] = { 1000, 40000 };
	int streams[3];

	rig_create(&rig);
	rig_client(&rig, NGHTTP2_INITIAL_WINDOW_SIZE);
	streams[0] = rig_ask(&rig, "/v1/records?a=b", &left[0], true);
	streams[1] = rig_ask(&rig, "/v1/records", &left[1], false);
	streams[2] = rig_ask(&rig, "/v1/flows", NULL, false);
	rig_run(&rig);
	assert_int_equal(rig.count, 3);
	/* What comes without a body is whole first. */
	assert_false(link_request_is_post(rig.asked[0]) && link_request_is_post(rig.asked[1]) && link_request_is_post(rig.asked[2]));
	for (unsigned int i = 0; i < 3; i++) {
		struct link_request *request = rig.asked[i];

		assert_string_equal(link_request_header(request, "Millrace-Sensor"), "plant-1");
		assert_null(link_request_header(request, "Millrace"));
		assert_string_equal(link_request_address(request), "?");
		assert_int_equal(link_request_body_len(request), evbuffer_get_length(link_request_body(request)));
		if (link_request_body_len(request) == 1000) {
			assert_string_equal(link_request_uri(request), "/v1/records?a=b");
			assert_string_equal(link_request_path(request), "/v1/records");
			assert_string_equal(link_request_query(request), "a=b");
		}
	}
	rig_answer(&rig, 2, 200, "last first");
	rig_answer(&rig, 0, 200, "then the first");
	rig_answer(&rig, 1, 429, "later");
	rig_run(&rig);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(rig.closed[streams[i]], 1000);
	assert_int_equal(strcmp(rig.retry[0], "7") == 0 || strcmp(rig.retry[1], "7") == 0 || strcmp(rig.retry[2], "7") == 0, 1);
	assert_true(TAILQ_EMPTY(&rig.peer.h2->requests));
	assert_int_equal(rig.peer.h2->unsent, 0);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_HTTP2), 1);
	rig_destroy(&rig);
}

/* Bodies that together are more than a connection may have come one behind the other, each of them whole. */
static void
test_long_bodies(void **state)
{
	struct rig rig;
	size_t left[6];

	for (unsigned int tells = 0; tells < 2; tells++) {
		rig_create(&rig);
		rig_client(&rig, NGHTTP2_INITIAL_WINDOW_SIZE);
		rig.answers = true;
		for (unsigned int i = 0; i < TEST_COUNT(left); i++) {
			left[i] = RIG_BODY_MAX - i * 1000;
			rig_ask(&rig, "/", &left[i], tells == 1);
		}
		rig_run(&rig);
		assert_int_equal(rig.count, TEST_COUNT(left));
		for (unsigned int i = 0; i < TEST_COUNT(left); i++)
			assert_answered(&rig, (int)i, "200", "{}");
		assert_int_equal(rig.peer.h2->promised, 0);
		rig_destroy(&rig);
	}
}

/* At no time are more bytes of bodies there than the connection may have. */
static void
test_bodies_are_bounded(void **state)
{
	struct rig rig;
	size_t left[RIG_STREAMS_MAX];
	struct h2_request *request;
	uint64_t held = 0;

	rig_create(&rig);
	rig.holds_back = true;
	rig_client(&rig, NGHTTP2_INITIAL_WINDOW_SIZE);
	for (unsigned int i = 0; i < RIG_STREAMS_MAX; i++) {
		left[i] = RIG_BODY_MAX;
		rig_ask(&rig, "/", &left[i], true);
	}
	rig_run(&rig);
	TAILQ_FOREACH(request, &rig.peer.h2->requests, link)
		held += evbuffer_get_length(request->head.body);
	assert_int_equal(rig.count, 0);
	assert_int_equal(held, RIG_BODY_MAX - 1 + (RIG_STREAMS_MAX - 1) * H2_WINDOW);
	assert_int_equal(rig.peer.h2->promised, RIG_BODY_MAX - H2_WINDOW);
	/* One that goes makes room for the next. */
	nghttp2_submit_rst_stream(rig.client, NGHTTP2_FLAG_NONE, 1, NGHTTP2_CANCEL);
	rig_run(&rig);
	assert_int_equal(left[1], 1);
	assert_int_equal(left[2], RIG_BODY_MAX - H2_WINDOW);
	assert_int_equal(rig.peer.h2->promised, RIG_BODY_MAX - H2_WINDOW);
	rig_destroy(&rig);
}

static void
test_too_long(void **state)
{
	struct rig rig;
	size_t left[2] = { 10 * RIG_BODY_MAX, 10 * RIG_BODY_MAX };

	rig_create(&rig);
	rig_client(&rig, NGHTTP2_INITIAL_WINDOW_SIZE);
	rig_ask(&rig, "/", &left[0], true);
	rig_run(&rig);
	rig_ask(&rig, "/", &left[1], false);
	rig_run(&rig);
	assert_int_equal(rig.count, 2);
	assert_int_equal(link_request_body_len(rig.asked[0]), 10 * RIG_BODY_MAX);
	assert_true(link_request_body_len(rig.asked[1]) > RIG_BODY_MAX);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(evbuffer_get_length(link_request_body(rig.asked[i])), 0);
		rig_answer(&rig, i, 413, "too long");
		rig_run(&rig);
		/* Told to stop sending, too. */
		assert_answered(&rig, (int)i, "413", "too long");
	}
	rig_destroy(&rig);
}

/* ---- answers ---- */

static void
note_taken(void *arg)
{
	((struct rig *)arg)->taken++;
}

static void
send_chunk(struct rig *rig, unsigned int which, size_t len)
{
	struct evbuffer *chunk = evbuffer_new();
	char *text = calloc(1, len);

	evbuffer_add(chunk, text, len);
	free(text);
	link_request_stream_chunk(rig->asked[which], chunk, note_taken, rig);
	assert_int_equal(evbuffer_get_length(chunk), 0);
	evbuffer_free(chunk);
}

static void
test_streams(void **state)
{
	struct rig rig;
	struct link_request *request;

	rig_create(&rig);
	rig_client(&rig, 30000);
	rig_ask(&rig, "/", NULL, false);
	rig_ask(&rig, "/", NULL, false);
	rig_run(&rig);
	link_request_stream_begin(rig.asked[0], "text/event-stream");
	rig_run(&rig);
	assert_string_equal(rig.status[0], "200");
	send_chunk(&rig, 0, 20000);
	rig_run(&rig);
	assert_int_equal(rig.taken, 1);
	/* The peer's window has no room for all of it: it is not taken until there is some. */
	send_chunk(&rig, 0, 20000);
	rig_run(&rig);
	assert_int_equal(rig.taken, 1);
	assert_int_equal(rig.peer.h2->unsent, 10000);
	nghttp2_session_consume(rig.client, 1, 30000);
	rig_run(&rig);
	assert_int_equal(rig.taken, 2);
	request = rig.asked[0];
	link_request_stream_end(request);
	rig_run(&rig);
	assert_int_equal(rig.closed[0], 1000);
	assert_int_equal(evbuffer_get_length(rig.bodies[0]), 40000);
	/* One that cannot go on. */
	link_request_stream_begin(rig.asked[1], "text/event-stream");
	send_chunk(&rig, 1, 100);
	link_request_stream_cut(rig.asked[1]);
	rig_run(&rig);
	assert_int_equal(rig.closed[1], 1000 + NGHTTP2_INTERNAL_ERROR);
	rig_destroy(&rig);
}

/* A peer that does not take its answers is not worked for, and in the end not waited for. */
static void
test_stalled(void **state)
{
	struct rig rig;
	char *long_text = malloc(H2_UNSENT_MAX + 100000);
	uint64_t now_s = server_clock_s();

	memset(long_text, 'x', H2_UNSENT_MAX + 99999);
	long_text[H2_UNSENT_MAX + 99999] = '\0';
	rig_create(&rig);
	rig_client(&rig, 1000);
	rig_ask(&rig, "/", NULL, false);
	rig_run(&rig);
	rig_answer(&rig, 0, 200, long_text);
	rig_ask(&rig, "/", NULL, false);
	rig_run(&rig);
	assert_int_equal(rig.count, 1);
	server_h2_sweep(&rig.peer, now_s + 60);
	rig_run(&rig);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_STALLED), 0);
	server_h2_sweep(&rig.peer, now_s + 62);
	rig_run(&rig);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_STALLED), 1);
	assert_int_equal(rig.closed[0], 1000 + NGHTTP2_CANCEL);
	assert_int_equal(rig.count, 2);
	assert_int_equal(rig.peer.h2->unsent, 0);
	free(long_text);
	rig_destroy(&rig);
}

/* Answers that wait hold no bodies, and neither do requests that wait behind them, beyond what the connection has for bodies. */
static void
test_stalled_bodies(void **state)
{
	struct rig rig;
	size_t left[RIG_STREAMS_MAX];
	struct h2_request *request;
	uint64_t held = 0;
	char *long_text = malloc(H2_UNSENT_MAX);

	memset(long_text, 'x', H2_UNSENT_MAX - 1);
	long_text[H2_UNSENT_MAX - 1] = '\0';
	rig_create(&rig);
	rig_client(&rig, 0);
	for (unsigned int i = 0; i < RIG_STREAMS_MAX; i++) {
		left[i] = RIG_BODY_MAX;
		rig_ask(&rig, "/", &left[i], true);
	}
	rig_run(&rig);
	/* One behind the other, none is answered yet. */
	assert_int_equal(rig.count, RIG_STREAMS_MAX);
	for (unsigned int i = 0; i < RIG_STREAMS_MAX; i++)
		rig_answer(&rig, i, 429, i == 0 ? long_text : "{}");
	rig_run(&rig);
	TAILQ_FOREACH(request, &rig.peer.h2->requests, link)
		held += evbuffer_get_length(request->head.body);
	assert_int_equal(held, 0);
	assert_int_equal(rig.peer.h2->unsent, H2_UNSENT_MAX - 1 + 2 * (RIG_STREAMS_MAX - 1));
	rig_destroy(&rig);
	free(long_text);
}

static void
test_whole_bodies_wait(void **state)
{
	struct rig rig;
	size_t left[4];
	struct h2_request *request;
	uint64_t held = 0;
	char *long_text = malloc(H2_UNSENT_MAX + 1);

	memset(long_text, 'x', H2_UNSENT_MAX);
	long_text[H2_UNSENT_MAX] = '\0';
	rig_create(&rig);
	rig_client(&rig, 0);
	rig_ask(&rig, "/", NULL, false);
	rig_run(&rig);
	rig_answer(&rig, 0, 200, long_text);
	for (unsigned int i = 0; i < TEST_COUNT(left); i++) {
		left[i] = RIG_BODY_MAX;
		rig_ask(&rig, "/", &left[i], true);
	}
	rig_run(&rig);
	assert_int_equal(rig.count, 1);
	TAILQ_FOREACH(request, &rig.peer.h2->requests, link)
		held += evbuffer_get_length(request->head.body);
	assert_int_equal(held, RIG_BODY_MAX + (TEST_COUNT(left) - 1) * H2_WINDOW);
	/* The answer is given up, and they go on. */
	server_h2_sweep(&rig.peer, server_clock_s() + 62);
	rig_run(&rig);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_STALLED), 1);
	assert_int_equal(rig.count, 1 + TEST_COUNT(left));
	rig_destroy(&rig);
	free(long_text);
}

/* ---- ends ---- */

static void
test_the_peer_goes(void **state)
{
	struct rig rig;

	rig_create(&rig);
	rig_client(&rig, NGHTTP2_INITIAL_WINDOW_SIZE);
	rig_ask(&rig, "/", NULL, false);
	rig_ask(&rig, "/", NULL, false);
	rig_run(&rig);
	nghttp2_submit_rst_stream(rig.client, NGHTTP2_FLAG_NONE, 1, NGHTTP2_CANCEL);
	rig_run(&rig);
	assert_null(rig.asked[0]);
	assert_non_null(rig.asked[1]);
	server_h2_release(&rig.peer);
	assert_null(rig.asked[1]);
	rig_destroy(&rig);
}

static void
test_stop(void **state)
{
	struct rig rig;

	rig_create(&rig);
	rig_client(&rig, NGHTTP2_INITIAL_WINDOW_SIZE);
	rig_ask(&rig, "/", NULL, false);
	rig_run(&rig);
	server_h2_stop(&rig.peer);
	rig_run(&rig);
	assert_int_equal(rig.goaway, 1000 + NGHTTP2_NO_ERROR);
	rig_answer(&rig, 0, 200, "what was taken is answered");
	rig_run(&rig);
	assert_answered(&rig, 0, "200", "what was taken is answered");
	rig_destroy(&rig);
}

static void
test_time(void **state)
{
	struct rig rig;
	size_t left = 1000;
	uint64_t now_s = server_clock_s();

	/* Nothing came. */
	rig_create(&rig);
	server_h2_sweep(&rig.peer, now_s + 62);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_SLOW), 1);
	rig_destroy(&rig);

	/* A request that never ends, then silence. */
	rig_create(&rig);
	rig.answers = true;
	rig_client(&rig, NGHTTP2_INITIAL_WINDOW_SIZE);
	rig_ask(&rig, "/", &left, true);
	rig_run(&rig);
	left = SIZE_MAX;
	const nghttp2_nv fields[] = { RIG_FIELD(":method", "POST"), RIG_FIELD(":path", "/"), RIG_FIELD(":scheme", "https"), RIG_FIELD(":authority", "t") };

	nghttp2_submit_headers(rig.client, NGHTTP2_FLAG_NONE, -1, NULL, fields, 4, NULL);
	rig_run(&rig);
	server_h2_sweep(&rig.peer, now_s + 60);
	rig_run(&rig);
	assert_int_equal(rig.closed[1], 0);
	server_h2_sweep(&rig.peer, now_s + 62);
	rig_run(&rig);
	assert_int_equal(rig.closed[1], 1000 + NGHTTP2_CANCEL);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_SLOW), 1);
	server_h2_sweep(&rig.peer, now_s + 290);
	rig_run(&rig);
	assert_int_equal(rig.goaway, 0);
	server_h2_sweep(&rig.peer, now_s + 310);
	rig_run(&rig);
	assert_int_equal(rig.goaway, 1000 + NGHTTP2_NO_ERROR);
	assert_int_equal(rig_counted(&rig, LINK_SERVER_IDLE), 1);
	rig_destroy(&rig);
}

static void
test_no_memory(void **state)
{
	struct rig rig;

	rig_create(&rig);
	server_h2_release(&rig.peer);
	TEST_FAIL_EACH_ALLOC(server_h2_begin(&rig.peer, rig.ends[0]), == 0, server_h2_release(&rig.peer));
	rig_destroy(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several_at_once),
		cmocka_unit_test(test_long_bodies),
		cmocka_unit_test(test_bodies_are_bounded),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_stalled),
		cmocka_unit_test(test_stalled_bodies),
		cmocka_unit_test(test_whole_bodies_wait),
		cmocka_unit_test(test_the_peer_goes),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
