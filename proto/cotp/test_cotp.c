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

/* X.224 13: the TPDUs without user data, each cut at every length too. */
static void
test_other_tpdus(void **state)
{
	static const struct {
		uint8_t len, bytes[16];
		struct cotp_tpdu tpdu;
	} rows[] = {
		{ 11, { 3, 0, 0, 11, 6, 0x80, 0, 1, 0, 2, 133 }, { .code = COTP_DR, .dst_ref = 1, .src_ref = 2, .reason = 133 } },
		{ 10, { 3, 0, 0, 10, 5, 0xc0, 0, 3, 0, 4 }, { .code = COTP_DC, .dst_ref = 3, .src_ref = 4 } },
		{ 9, { 3, 0, 0, 9, 4, 0x70, 0, 5, 3 }, { .code = COTP_ER, .dst_ref = 5, .reason = 3 } },
		{ 9, { 3, 0, 0, 9, 4, 0x50, 0, 6, 1 }, { .code = COTP_RJ, .dst_ref = 6 } },
		{ 9, { 3, 0, 0, 9, 4, 0x60, 0, 7, 1 }, { .code = COTP_AK, .dst_ref = 7 } },
		{ 9, { 3, 0, 0, 9, 4, 0x20, 0, 8, 1 }, { .code = COTP_EA, .dst_ref = 8 } },
		{ 10, { 3, 0, 0, 10, 4, 0x10, 0, 9, 0x81, 'e' }, { .code = COTP_ED, .dst_ref = 9, .end_of_message = true } },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct cotp_tpdu tpdu;

		assert_int_equal(cotp_frame(cursor_of(rows[i].bytes, rows[i].len)), rows[i].len);
		assert_true(cotp_parse(cursor_of(rows[i].bytes, rows[i].len), &tpdu));
		assert_int_equal(tpdu.code, rows[i].tpdu.code);
		assert_int_equal(tpdu.dst_ref, rows[i].tpdu.dst_ref);
		assert_int_equal(tpdu.src_ref, rows[i].tpdu.src_ref);
		assert_int_equal(tpdu.reason, rows[i].tpdu.reason);
		assert_int_equal(tpdu.end_of_message, rows[i].tpdu.end_of_message);
		assert_false(tpdu.invalid);
		for (uint8_t len = 0; len < rows[i].len; len++)
			assert_int_equal(cotp_parse(cursor_of(rows[i].bytes, len), &tpdu), len >= TPKT_HEADER_LEN + 1u + rows[i].bytes[4]);
	}
}

/* Parameters that nobody knows are passed over; one that runs past the header is said. */
static void
test_parameters(void **state)
{
	static const uint8_t unknown[] = { 3, 0, 0, 18, 13, 0xe0, 0, 0, 0, 1, 0, 0xc7, 1, 9, 0xc0, 1, 3, 0 };
	static const uint8_t beyond[] = { 3, 0, 0, 15, 10, 0xe0, 0, 0, 0, 1, 0, 0xc1, 9, 1, 2 };
	struct cotp_tpdu tpdu;

	(void)state;
	assert_true(cotp_parse(cursor_of(unknown, sizeof(unknown)), &tpdu));
	assert_int_equal(tpdu.tpdu_len_max, 0); /* 2 to the power of 3 is no size */
	assert_true(tpdu.invalid);
	assert_true(cotp_parse(cursor_of(beyond, sizeof(beyond)), &tpdu));
	assert_true(tpdu.invalid);
	assert_null(tpdu.calling.data);
}

/* The preferred size is one of units of 128 octets, and goes before the power of two. */
static void
test_preferred_size(void **state)
{
	static const uint8_t both[] = { 3, 0, 0, 18, 13, 0xe0, 0, 0, 0, 1, 0, 0xf0, 2, 1, 0xff, 0xc0, 1, 10 };
	static const uint8_t long_one[] = { 3, 0, 0, 21, 16, 0xe0, 0, 0, 0, 1, 0, 0xf0, 5, 0, 0, 0, 0, 8, 0xc0, 1, 10 };
	struct cotp_tpdu tpdu;

	(void)state;
	assert_true(cotp_parse(cursor_of(both, sizeof(both)), &tpdu));
	assert_int_equal(tpdu.tpdu_len_max, 0x1ff * 128);
	assert_false(tpdu.invalid);
	assert_true(cotp_parse(cursor_of(long_one, sizeof(long_one)), &tpdu));
	assert_int_equal(tpdu.tpdu_len_max, 1024);
}

/* 1 is congestion in a DR, and a parameter that is not known in an ER. */
static void
test_reasons(void **state)
{
	struct cotp_tpdu tpdu = { .code = COTP_DR, .reason = 1 };
	struct record_builder builder;
	struct record_head head = { 0 };
	struct cotp_info info;
	uint8_t area[64];

	(void)state;
	record_builder_init(&builder, area, sizeof(area));
	cotp_record(&builder, &head, 0, &info, &tpdu);
	assert_string_equal(field_name_of(&cotp_reason_names, info.reason_id), "congestion");
	assert_true((head.present >> COTP_HAS_SRC_REF & 1) != 0);
	tpdu.code = COTP_ER;
	head.present = 0;
	cotp_record(&builder, &head, 0, &info, &tpdu);
	assert_true((head.present & (1u << COTP_HAS_SRC_REF | 1u << COTP_HAS_DST_REF)) == 1u << COTP_HAS_DST_REF);
	assert_int_equal(info.reason, 1);
	assert_string_equal(field_name_of(&cotp_reason_names, info.reason_id), "invalid parameter code");
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

/* A message that outgrows its buffer stays in order. */
static void
test_long_message(void **state)
{
	enum { PART_LEN = 1000, PARTS = 9 };
	uint8_t tpkt[7 + PART_LEN] = { 3, 0, sizeof(tpkt) >> 8, (uint8_t)sizeof(tpkt), 2, 0xf0, 0 };
	struct cotp_message message = { 0 };
	struct cotp_tpdu tpdu;
	struct cursor whole;
	struct slab *slab;

	(void)state;
	assert_int_equal(slab_create(&slab, 1 << 20), 0);
	for (unsigned int i = 0; i < PARTS; i++) {
		memset(tpkt + 7, (int)i, PART_LEN);
		tpkt[6] = i + 1 == PARTS ? 0x80 : 0;
		assert_true(cotp_parse(cursor_of(tpkt, sizeof(tpkt)), &tpdu));
		assert_int_equal(cotp_collect(&message, slab, COTP_MESSAGE_LEN_MAX, &tpdu, &whole),
			i + 1 == PARTS ? COTP_COLLECT_WHOLE : COTP_COLLECT_MORE);
	}
	assert_int_equal(cursor_left(&whole), PARTS * PART_LEN);
	for (unsigned int i = 0; i < PARTS * PART_LEN; i++)
		assert_int_equal(cursor_u8(&whole), i / PART_LEN);
	cotp_message_clear(&message, slab);
	assert_int_equal(slab_used(slab), 0);
	slab_destroy(slab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame), cmocka_unit_test(test_connect), cmocka_unit_test(test_other_tpdus),
		cmocka_unit_test(test_parameters), cmocka_unit_test(test_preferred_size), cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_messages), cmocka_unit_test(test_long_message),
	};

	return cmocka_run_group_tests_name("cotp", tests, NULL, NULL);
}
