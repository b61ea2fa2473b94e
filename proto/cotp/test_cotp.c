/* TPKT and COTP: framing, connection parameters, messages in several TPDUs. */
#include "test/test.h"

#include <errno.h>

#include "proto/cotp/cotp.h"

static const uint8_t connect_request[] = { 3, 0, 0, 22, 17, 0xe0, 0, 0, 0, 1, 0, 0xc0, 1, 10, 0xc1, 2, 1, 0, 0xc2, 2, 1, 2 };
static const uint8_t data_end[] = { 3, 0, 0, 9, 2, 0xf0, 0x80, 'c', 'd' };
static const uint8_t data_more[] = { 3, 0, 0, 9, 2, 0xf0, 0x00, 'a', 'b' };
static const uint8_t data_empty[] = { 3, 0, 0, 7, 2, 0xf0, 0x00 };

static void
test_frame(void **state)
{
	static const uint8_t bad[][6] = { { 2, 0, 0, 7, 2, 0xf0 }, { 3, 1, 0, 7, 2, 0xf0 }, { 3, 0, 0, 6, 2, 0xf0 },
		{ 3, 0, 0, 7, 1, 0xf0 }, { 3, 0, 0, 7, 2, 0x30 }, { 3, 0, 0, 22, 5, 0xe0 } };

	(void)state;
	assert_int_equal(cotp_frame(cursor_of(connect_request, sizeof(connect_request))), sizeof(connect_request));
	assert_int_equal(cotp_frame(cursor_of(data_end, sizeof(data_end))), sizeof(data_end));
	for (size_t len = 0; len < COTP_PREFIX_LEN; len++)
		assert_int_equal(cotp_frame(cursor_of(data_end, len)), 0);
	for (size_t i = 0; i < TEST_COUNT(bad); i++)
		assert_int_equal(cotp_frame(cursor_of(bad[i], sizeof(bad[i]))), -EBADMSG);
}

static void
test_connect(void **state)
{
	struct cotp_tpdu tpdu;

	(void)state;
	assert_true(cotp_parse(cursor_of(connect_request, sizeof(connect_request)), &tpdu));
	assert_int_equal(tpdu.code, COTP_CR);
	assert_int_equal(tpdu.src_ref, 1);
	assert_int_equal(tpdu.tpdu_len_max, 1024);
	assert_int_equal(tpdu.calling.len, 2);
	assert_memory_equal(tpdu.called.data, "\x01\x02", 2);
	assert_false(tpdu.invalid);
	for (size_t len = 0; len < sizeof(connect_request); len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, connect_request, len);
		(void)cotp_parse(cursor_of(copy, len), &tpdu);
		free(copy);
	}
}

static enum cotp_collect
collect(struct cotp_message *message, struct slab *slab, const uint8_t *tpkt, size_t len, struct cursor *whole)
{
	struct cotp_tpdu tpdu;

	assert_true(cotp_parse(cursor_of(tpkt, len), &tpdu));
	return cotp_collect(message, slab, 8, &tpdu, whole);
}

static void
test_messages(void **state)
{
	struct cotp_message message = { 0 };
	struct cursor whole;
	struct slab *slab;

	(void)state;
	assert_int_equal(slab_create(&slab, 1 << 20), 0);
	assert_int_equal(collect(&message, slab, data_end, sizeof(data_end), &whole), COTP_COLLECT_WHOLE);
	assert_int_equal(cursor_left(&whole), 2);
	assert_int_equal(slab_used(slab), 0);
	assert_int_equal(collect(&message, slab, data_empty, sizeof(data_empty), &whole), COTP_COLLECT_MORE);
	assert_int_equal(collect(&message, slab, data_more, sizeof(data_more), &whole), COTP_COLLECT_MORE);
	assert_int_equal(collect(&message, slab, data_end, sizeof(data_end), &whole), COTP_COLLECT_WHOLE);
	assert_int_equal(cursor_left(&whole), 4);
	assert_memory_equal(cursor_take(&whole, 4), "abcd", 4);
	cotp_message_clear(&message, slab);
	assert_int_equal(slab_used(slab), 0);
	/* Too long: dropped once, passed over to its end, and the next one is whole again. */
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(collect(&message, slab, data_more, sizeof(data_more), &whole), COTP_COLLECT_MORE);
	assert_int_equal(collect(&message, slab, data_more, sizeof(data_more), &whole), COTP_COLLECT_DROPPED);
	assert_int_equal(slab_used(slab), 0);
	assert_int_equal(collect(&message, slab, data_end, sizeof(data_end), &whole), COTP_COLLECT_MORE);
	assert_int_equal(collect(&message, slab, data_end, sizeof(data_end), &whole), COTP_COLLECT_WHOLE);
	assert_int_equal(collect(&message, NULL, data_more, sizeof(data_more), &whole), COTP_COLLECT_DROPPED);
	cotp_message_clear(&message, slab);
	slab_destroy(slab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame), cmocka_unit_test(test_connect), cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests_name("cotp", tests, NULL, NULL);
}
