/* What waits for other bytes: answers for what they answer, segments for the hole before them. */
#include "lib/stream/test_stream.h"

/* "ab" of the client at its offset 0, answered by "cd", and so on: each side acknowledges what it had of the other. */
static void
ask(uint32_t turn, const char *text)
{
	segment(true, CLIENT_ISN + 1 + 2 * turn, SERVER_ISN + 1 + 2 * turn, TCP_ACK | TCP_PSH, text, 2);
}

static void
answer(uint32_t turn, const char *text)
{
	segment(false, SERVER_ISN + 1 + 2 * turn, CLIENT_ISN + 3 + 2 * turn, TCP_ACK | TCP_PSH, text, 2);
}

static void
test_answers_wait_for_what_they_answer(void **state)
{
	handshake(CLIENT_ISN);
	for (uint32_t turn = 0; turn < 40; turn++)
		answer(turn, "cd");
	assert_int_equal(sink.order_len, 0);
	for (uint32_t turn = 0; turn < 40; turn++)
		ask(turn, "ab");
	assert_int_equal(sink.order_len, 160);
	for (uint32_t i = 0; i < 160; i++)
		assert_int_equal(sink.order[i], "abCD"[i % 4]);
	assert_int_equal(sink.gaps[0] + sink.gaps[1], 0);
	assert_true(counters[STREAM_COUNTER_EARLY_ANSWERS] > 0);
	assert_int_equal(counters[STREAM_COUNTER_REASSEMBLY_GAP], 0);
}

/* What the client sent later shows that the request is lost, a few packets on. */
static void
test_an_answer_whose_request_is_lost_goes_on(void **state)
{
	handshake(CLIENT_ISN);
	answer(0, "cd");
	for (uint32_t turn = 1; turn < 4; turn++) {
		ask(turn, "ab");
		answer(turn, "cd");
	}
	assert_string_equal(sink.order, "CDabCDabCDabCD");
	assert_int_equal(sink.gaps[1], 1);
	assert_int_equal(sink.missing[1], 2);
	assert_int_equal(sink.gaps[0], 0);
	assert_int_equal(counters[STREAM_COUNTER_EARLY_ANSWERS], 1);
}

/* Nothing shows it: so long, and no longer. */
static void
test_patience_ends(void **state)
{
	handshake(CLIENT_ISN);
	for (uint32_t turn = 0; turn < 10; turn++) {
		answer(turn, "cd");
		now_ns += S / 1000;
	}
	assert_int_equal(sink.order_len, 0);
	now_ns += S / 10;
	answer(10, "cd");
	assert_int_equal(sink.gaps[1], 1);
	assert_int_equal(sink.len[0], 22);
	/* A side of which nothing ever comes is not waited for any more. */
	for (uint32_t turn = 11; turn < 31; turn++) {
		now_ns += S / 10;
		answer(turn, "cd");
	}
	assert_int_equal(sink.len[0], 62);
	assert_true(sink.gaps[1] > 1);
}

/* A request that is sent again acknowledges the answer that waits for it. */
static void
test_two_sides_never_wait_for_each_other(void **state)
{
	handshake(CLIENT_ISN);
	answer(0, "cd");
	segment(true, CLIENT_ISN + 1, SERVER_ISN + 3, TCP_ACK | TCP_PSH, "ab", 2);
	assert_string_equal(sink.order, "abCD");
}

static void
test_what_waits_is_bounded(void **state)
{
	handshake(CLIENT_ISN);
	for (uint32_t turn = 0; turn < 1000; turn++)
		answer(turn, "cd");
	assert_int_equal(sink.len[0], 2000);
	assert_true(stream_bytes_used(engine) < 64 * 1024);
}

/* At the flow's end all is handed on. */
static void
test_early_answers_end_with_the_flow(void **state)
{
	handshake(CLIENT_ISN);
	answer(0, "cd");
	segment(false, SERVER_ISN + 3, CLIENT_ISN + 3, TCP_ACK | TCP_FIN, NULL, 0);
	assert_int_equal(sink.order_len, 0);
	stream_end(engine, flow, on_data, NULL);
	assert_string_equal(sink.order, "CD");
	assert_int_equal(sink.ends[0], 1);
}

static void
test_nothing_follows_the_end_of_an_early_answer(void **state)
{
	handshake(CLIENT_ISN);
	segment(false, SERVER_ISN + 1, CLIENT_ISN + 3, TCP_ACK | TCP_FIN, "cd", 2);
	segment(false, SERVER_ISN + 3, CLIENT_ISN + 5, TCP_ACK, "ef", 2);
	assert_int_equal(sink.order_len, 0);
	ask(0, "ab");
	assert_string_equal(sink.order, "abCD");
	assert_int_equal(sink.ends[0], 1);
	segment(true, CLIENT_ISN + 3, SERVER_ISN + 3, TCP_ACK | TCP_PSH, "gh", 2);
	assert_string_equal(sink.order, "abCDgh");
}

/* Small frames were filtered out, so that each segment of both sides stands behind a hole: none waits for many others. */
static void
test_hole_upon_hole(void **state)
{
	enum { TURNS = 60, PART = 10, LATE_MOST = 8 };

	handshake(CLIENT_ISN);
	for (uint32_t i = 0; i < TURNS; i++) {
		uint32_t client_at = CLIENT_ISN + 1 + i * PART, server_at = SERVER_ISN + 1 + i * PART;

		segment(true, client_at + PART / 2, server_at, TCP_ACK | TCP_PSH, "asked", PART / 2);
		segment(false, server_at + PART / 2, client_at + PART, TCP_ACK | TCP_PSH, "told!", PART / 2);
		for (unsigned int way = 0; way < 2; way++)
			assert_true(sink.len[way] + LATE_MOST * (PART / 2) >= (i + 1) * (PART / 2));
	}
	assert_true(sink.gaps[0] > TURNS - LATE_MOST && sink.gaps[1] > TURNS - LATE_MOST);
}

/* So much is missing that the sensor must have missed it: what waited is handed on, too. */
static void
test_an_early_answer_before_a_jump(void **state)
{
	handshake(CLIENT_ISN);
	answer(0, "cd");
	for (uint32_t i = 0; i < 20; i++)
		segment(false, SERVER_ISN + 100000000 + 2 * i, CLIENT_ISN + 3, TCP_ACK | TCP_PSH, "ij", 2);
	assert_memory_equal(sink.order, "CDIJ", 4);
}

/* What the client sent in the midst of a hole stands there: neither before what it had read nor behind what it had not. */
static void
test_a_request_within_a_hole(void **state)
{
	handshake(CLIENT_ISN);
	ask(0, "ab");
	segment(true, CLIENT_ISN + 3, SERVER_ISN + 6, TCP_ACK | TCP_PSH, "gh", 2);
	segment(true, CLIENT_ISN + 5, SERVER_ISN + 11, TCP_ACK, NULL, 0);
	assert_string_equal(sink.order, "ab");
	for (uint32_t i = 0; i < 4; i++)
		segment(false, SERVER_ISN + 11 + 2 * i, CLIENT_ISN + 5, TCP_ACK | TCP_PSH, "ij", 2);
	assert_string_equal(sink.order, "abghIJIJIJIJ");
	assert_int_equal(sink.gaps[0], 2);
	assert_int_equal(sink.missing[0], 10);
	assert_int_equal(counters[STREAM_COUNTER_REASSEMBLY_GAP], 1);
	assert_int_equal(counters[STREAM_COUNTER_GAP_BYTES], 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers_wait_for_what_they_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_answer_whose_request_is_lost_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_patience_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_sides_never_wait_for_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_waits_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_answers_end_with_the_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_follows_the_end_of_an_early_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hole_upon_hole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_early_answer_before_a_jump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_request_within_a_hole, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
