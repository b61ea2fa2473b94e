/* GOOSE: a message that is known by the bytes of the one before says the same as one that was read. */
#include "proto/goose/test_publication.h"

#include "proto/goose/goose.h"

extern const struct proto goose_proto;

enum { LOG_MAX = 64 * 1024 };

static struct buf logs[2]; /* by whether forms are kept */

static struct pdu
encode(uint32_t st_num, uint32_t sq_num, bool value)
{
	static const uint8_t quality[] = { 0x84, 0x03, 0x03, 0x00, 0x00 };
	const uint8_t truth[] = { 0x83, 0x01, value };
	struct pdu pdu = pdu_begin();

	pdu_put(&pdu, quality, sizeof(quality));
	pdu_put(&pdu, truth, sizeof(truth));
	pdu_tag(&pdu, 0xab, RIG_PDU_MAX);
	pdu_number(&pdu, 0x8a, 2, 1);
	pdu_number(&pdu, 0x89, 0, 1);
	pdu_number(&pdu, 0x88, 1, 1);
	pdu_number(&pdu, 0x87, 0, 1);
	pdu_number(&pdu, 0x86, sq_num, 1);
	pdu_number(&pdu, 0x85, st_num, 2);
	pdu_number(&pdu, 0x84, UINT64_C(0x6553f10080000000) + st_num, 8);
	pdu_text(&pdu, 0x83, "goid");
	pdu_text(&pdu, 0x82, "IED1LD0/LLN0$ds1");
	pdu_number(&pdu, 0x81, 2000, 2);
	pdu_text(&pdu, 0x80, "IED1LD0/LLN0$GO$gcb1");
	pdu_tag(&pdu, 0x61, RIG_PDU_MAX);
	pdu_header(&pdu, 1, 0, 0);
	return pdu;
}

static struct goose_stream *
last_stream(void)
{
	struct goose_state *state = rig->ctx.state;

	return state->last;
}

/* One message, and all that became of it. */
static void
say(struct buf *log, const struct pdu *pdu, size_t len, bool keep)
{
	struct goose_stream *stream;

	buf_reset(&rig->json);
	buf_putc(&rig->json, '\0');
	rig_wait_ms(10);
	buf_printf(log, "%llx ", (unsigned long long)rig_parse(pdu_data(pdu), len));
	buf_printf(log, "%u %u %s\n", rig->count, rig->identities, rig->json.data);
	stream = last_stream();
	if (stream != NULL && !keep)
		goose_form_drop(stream);
}

/* A message, another one of so many bytes, and one as the first. */
static void
talk(const struct pdu *other, size_t len, bool keep)
{
	struct buf *log = &logs[keep];
	struct pdu first = encode(5, 7, false), last = encode(6, 1, true);

	buf_reset(log);
	rig_begin(&goose_proto, NULL);
	rig->ctx.levels.cyclic = PROTO_LOG_ALL;
	say(log, &first, pdu_len(&first), keep);
	assert_true((last_stream()->form.data_off > 0) == keep);
	say(log, other, len, keep);
	say(log, &last, pdu_len(&last), keep);
	for (unsigned int i = 0; i < GOOSE_COUNTER_COUNT; i++)
		buf_printf(log, "%llu ", (unsigned long long)rig->counters[i]);
	buf_putc(log, '\0');
	assert_false(log->full);
	rig_end();
}

static void
assert_same(const struct pdu *other, size_t len)
{
	talk(other, len, false);
	talk(other, len, true);
	assert_string_equal(logs[true].data, logs[false].data);
}

static void
what_follows_is_known(void **state)
{
	struct pdu first = encode(5, 7, false), pdus[] = { encode(5, 8, false), encode(6, 0, true), encode(0x1234, 0xff, true) };

	rig_begin(&goose_proto, NULL);
	(void)rig_parse(pdu_data(&first), pdu_len(&first));
	for (size_t i = 0; i < TEST_COUNT(pdus); i++)
		assert_non_null(goose_form_find(rig->ctx.state, cursor_of(pdu_data(&pdus[i]), pdu_len(&pdus[i]))));
	rig_end();
	for (size_t i = 0; i < TEST_COUNT(pdus); i++)
		assert_same(&pdus[i], pdu_len(&pdus[i]));
}

/* Whatever one byte is in the next message. */
static void
any_byte_differs(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0x20, 0xff };
	struct pdu pdu = encode(5, 8, false);

	for (size_t i = 0; i < pdu_len(&pdu); i++)
		for (size_t j = 0; j < TEST_COUNT(flips); j++) {
			struct pdu other = pdu;

			other.bytes[other.at + i] ^= flips[j];
			assert_same(&other, pdu_len(&other));
		}
}

static void
cut_at_every_length(void **state)
{
	struct pdu pdu = encode(5, 8, false);

	for (size_t len = 0; len < pdu_len(&pdu); len++)
		assert_same(&pdu, len);
}

static int
setup(void **state)
{
	return buf_create(&logs[0], LOG_MAX) != 0 || buf_create(&logs[1], LOG_MAX) != 0;
}

static int
teardown(void **state)
{
	buf_destroy(&logs[0]);
	buf_destroy(&logs[1]);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_follows_is_known),
		cmocka_unit_test(any_byte_differs),
		cmocka_unit_test(cut_at_every_length),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
