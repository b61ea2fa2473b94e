/* IEC 104: APDUs, recognition, sequence numbers, field lengths, commands, files, volume. */
#include "proto/iec104/test_iec104.h"

#include <errno.h>

#define STARTDT_ACT "680407000000"
#define STARTDT_CON "68040b000000"
#define STOPDT_ACT "680413000000"
#define STOPDT_CON "680423000000"
#define TESTFR_ACT "680443000000"
#define TESTFR_CON "680483000000"
#define POINT "01 01 0300 0a00 010000 01"

static int
frame_of(const char *hex)
{
	struct bytes b = { .len = 0 };

	put_hex(&b, hex);
	return iec104_proto.frame(cursor_of(b.data, b.len), true);
}

static void
test_frame(void **unused)
{
	static const struct {
		const char *hex;
		int len;
	} rows[] = {
		{ "6804 43000000", 6 }, { "680e 00000000", 16 }, { "68fd 00000000", 255 }, { "6804 01000000", 6 },
		{ "6804 ff000000", 6 }, { "6804 01ff0000", 6 }, { "6808 43000000", 10 }, { "6808 01000200", 10 },
		{ "", 0 }, { "68", 0 }, { "6804430000", 0 }, { "6904 43000000", -EBADMSG }, { "6803 43000000", -EBADMSG },
		{ "68fe 00000000", -EBADMSG }, { "6800 00000000", -EBADMSG }, { "680e 00000100", -EBADMSG },
		{ "6808 ff000000", -EBADMSG }, { "6808 01ff0000", -EBADMSG },
	};

	(void)unused;
	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		assert_int_equal(frame_of(rows[i].hex), rows[i].len);
}

static void
test_probe(void **unused)
{
	static const struct {
		const char *hex;
		enum proto_probe verdict;
	} rows[] = {
		{ STARTDT_ACT, PROTO_PROBE_YES }, { "680401000e00", PROTO_PROBE_YES },
		{ STARTDT_ACT TESTFR_CON, PROTO_PROBE_YES }, { STARTDT_ACT "47455420", PROTO_PROBE_YES },
		{ STARTDT_ACT "474554202f20", PROTO_PROBE_NO },
		{ "680e 00000000 6401 0600 0a00 000000 14", PROTO_PROBE_YES },
		{ "680e 00000000 6401 06", PROTO_PROBE_YES }, { "680e 00000000 64", PROTO_PROBE_MORE },
		{ "68", PROTO_PROBE_MORE }, { "680e0000", PROTO_PROBE_MORE }, { "474554", PROTO_PROBE_NO },
		{ "6802", PROTO_PROBE_NO }, { "6804ff000000", PROTO_PROBE_NO }, { "680443010000", PROTO_PROBE_NO },
		{ "6808 43000000 00000000", PROTO_PROBE_NO },
		{ "680f 00000000 6401 0600 0a00 000000 14", PROTO_PROBE_NO },
		{ "680e 00000000 6401 0300 0a00 000000 14", PROTO_PROBE_NO },
		{ "680e 00000000 1601 0300 0a00 000000 14", PROTO_PROBE_NO },
		{ "680e 00000000 c801 0300 0a00 000000 14", PROTO_PROBE_NO },
		{ "6806 00000000 64", PROTO_PROBE_NO },
	};
	static const struct {
		const char *hex;
		int server;
	} senders[] = {
		{ STARTDT_ACT, 0 }, { STARTDT_CON, 1 }, { STOPDT_ACT, 0 }, { TESTFR_ACT, -1 }, { "680401000000", -1 },
		{ "680e 00000000 6401 0600 0a00 000000 14", 0 }, { "680e 00000000 6401 0700 0a00 000000 14", 1 },
		{ "680e 00000000 6401 0a00 0a00 000000 14", 1 }, { "680e 00000000 0101 0300 0a00 000000 01", 1 },
		{ "680e 00000000 4601 0400 0a00 000000 00", 1 }, { "680e 00000000 6601 0500", -1 },
		{ "680e 00000000 66", -1 }, { "6803", -1 },
	};

	(void)unused;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct bytes b = { .len = 0 };

		put_hex(&b, rows[i].hex);
		if (iec104_proto.probe(cursor_of(b.data, b.len), true, false) != rows[i].verdict)
			print_error("%s\n", rows[i].hex);
		assert_int_equal(iec104_proto.probe(cursor_of(b.data, b.len), true, false), rows[i].verdict);
	}
	for (size_t i = 0; i < TEST_COUNT(senders); i++) {
		struct bytes b = { .len = 0 };

		put_hex(&b, senders[i].hex);
		assert_int_equal(iec104_proto.sender_is_server(cursor_of(b.data, b.len)), senders[i].server);
	}
}

static void
test_control_formats(void **unused)
{
	(void)unused;
	harness_begin();
	assert_int_equal(feed_hex(STARTDT_ACT, true), 0);
	assert_int_equal(h.emitted, 1);
	assert_true(json_has("{\"apci_type\":\"U\",\"apdu_len\":4,\"u_function\":\"startdt_act\",\"u_function_code\":4}"));
	assert_int_equal(feed_hex(STARTDT_CON, false), 0);
	assert_int_equal(feed_hex(TESTFR_ACT, false), 0);
	assert_int_equal(feed_hex(TESTFR_CON, true), 0);
	assert_int_equal(h.emitted, 2);
	assert_int_equal(feed_hex(TESTFR_CON, true), EVENT(UNEXPECTED_U_CONFIRMATION));
	assert_int_equal(feed_i(POINT, false), 0);
	assert_int_equal(feed_hex("680401000200", true), 0);
	assert_int_equal(h.emitted, 3);
	assert_true(json_has("{\"apci_type\":\"S\",\"apdu_len\":4,\"rsn\":1}"));
	h.config.log_supervisory = true;
	assert_int_equal(feed_hex("680401000200", true), 0);
	assert_int_equal(h.emitted, 4);
	assert_int_equal(feed_hex("6804010100 00 6804 05000200", true), EVENT(RESERVED_CONTROL) | EVENT(ACKNOWLEDGES_BACKWARD));
	assert_int_equal(feed_hex("680443000001", true), EVENT(RESERVED_CONTROL));
	assert_int_equal(feed_hex("680403000000", true), EVENT(INVALID_U_FUNCTION));
	assert_int_equal(feed_hex("6804c3000000", true), EVENT(INVALID_U_FUNCTION));
	assert_int_equal(feed_hex("6806430000000102", true), EVENT(INVALID_LENGTH));
	assert_int_equal(feed_hex(STOPDT_ACT, true), 0);
	assert_int_equal(feed_i(POINT, false), 0);
	assert_int_equal(feed_hex(STOPDT_CON, false), 0);
	assert_int_equal(feed_i(POINT, false), EVENT(DATA_WHILE_STOPPED));
	assert_int_equal(feed_hex(STARTDT_ACT, true) | feed_hex(STARTDT_CON, false), 0);
	assert_int_equal(feed_i(POINT, false), 0);
	/* A flow picked up between act and con. */
	harness_begin();
	assert_int_equal(feed_hex(STARTDT_CON, false), 0);
	/* The station that opened the connection may be the controlled one. */
	harness_begin();
	feed_hex(STARTDT_ACT, false);
	assert_int_equal(feed_i(POINT, true), 0);
	assert_int_equal(feed_i("64 01 0600 0a00 000000 14", false), 0);
	assert_int_equal(h.identities, 1);
}

static void
test_sequence(void **unused)
{
	(void)unused;
	harness_begin();
	h.ssn[false] = 32766;
	h.ssn[true] = 5;
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(feed_i(POINT, false), 0);
	assert_int_equal(last()->ssn, 1);
	assert_int_equal(last()->rsn, 5);
	h.ssn[false] += 2;
	assert_int_equal(feed_i(POINT, false), EVENT(SEQUENCE_GAP));
	assert_int_equal(feed_i(POINT, false), 0);
	h.ssn[false] -= 1;
	assert_int_equal(feed_i(POINT, false), EVENT(SEQUENCE_DUPLICATE));
	assert_int_equal(feed_hex("680401000800", true), 0);
	assert_int_equal(feed_hex("680401000600", true), EVENT(ACKNOWLEDGES_BACKWARD));
	assert_int_equal(feed_hex("680401001400", true), EVENT(ACKNOWLEDGES_UNSENT));
	/* Lost bytes are no anomaly of the protocol. */
	harness_begin();
	feed_i(POINT, false);
	h.ctx.to_server = false;
	iec104_proto.gap(&h.ctx, 100);
	h.ssn[false] += 9;
	assert_int_equal(feed_i(POINT, false), 0);
	/* k and w are told once. */
	harness_begin();
	assert_int_equal(feed_hex("680401000000", true), 0);
	for (unsigned int i = 0; i < 12; i++)
		assert_int_equal(feed_i(POINT, false), 0);
	assert_int_equal(feed_i(POINT, false), EVENT(K_EXCEEDED));
	assert_int_equal(feed_i(POINT, false), 0);
	assert_int_equal(feed_hex("680401001c00", true), EVENT(W_EXCEEDED));
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(feed_i(POINT, false), 0);
	assert_int_equal(feed_hex("680401003000", true), 0);
	assert_int_equal(counter_get(&h.counters[IEC104_SEQUENCE_ERRORS]), 0);
}

/* Two objects of M_SP_NA_1 and a command, with fields of these lengths. */
static void
put_with_lengths(struct bytes *b, struct iec104_lengths lengths, const char *type_and_vsq, const char *cause,
	unsigned int count, const char *element, bool to_server)
{
	char asdu[256];
	size_t len = (size_t)snprintf(asdu, sizeof(asdu), "%s %s%s 0a%s", type_and_vsq, cause, lengths.cot == 2 ? "00" : "",
		lengths.ca == 2 ? "01" : "");

	for (unsigned int i = 0; i < count; i++)
		len += (size_t)snprintf(asdu + len, sizeof(asdu) - len, " %02x%s%s %s", i + 1, lengths.ioa > 1 ? "02" : "",
			lengths.ioa > 2 ? "03" : "", element);
	put_i(b, asdu, to_server);
}

static void
test_lengths(void **unused)
{
	(void)unused;
	for (unsigned int i = 0; i < IEC104_LENGTHS_COUNT; i++) {
		struct iec104_lengths lengths = iec104_lengths_table[i];
		uint32_t address = lengths.ioa == 3 ? 0x030202 : lengths.ioa == 2 ? 0x0202 : 2;
		struct bytes b = { .len = 0 };

		harness_begin();
		put_with_lengths(&b, lengths, "0102", "03", 2, "01", false);
		put_with_lengths(&b, lengths, "0104", "14", 4, "80", false);
		put_with_lengths(&b, lengths, "0b03", "03", 3, "0100 00", false);
		assert_int_equal(feed(b.data, b.len, false), 0);
		assert_int_equal(h.deliveries, 3);
		assert_int_equal(h.events, i > 0 ? EVENT(NONSTANDARD_LENGTHS) : 0);
		assert_int_equal(last()->objects.count, 3);
		assert_int_equal(last()->cot, 3);
		assert_int_equal(((const struct iec104_object *)object(1))->obj_addr, address);
		assert_int_equal(last()->common_address, lengths.ca == 2 ? 0x010a : 0x0a);
		assert_int_equal(record_is_present(last(), IEC104_HAS_LENGTHS), i > 0);
		/* The user may say it. */
		harness_begin();
		h.config.cot_len = lengths.cot;
		h.config.ca_len = lengths.ca;
		h.config.ioa_len = lengths.ioa;
		feed(b.data, b.len, false);
		assert_int_equal(h.events, 0);
		assert_int_equal(last()->common_address, lengths.ca == 2 ? 0x010a : 0x0a);
	}
}

static void
test_lengths_learned_anew(void **unused)
{
	static const char odd[] = "01 02 03 0a 0100 01 0200 01"; /* 1, 1, 2 */

	(void)unused;
	harness_begin();
	feed_i(POINT, false);
	for (unsigned int i = 0; i < 3; i++)
		assert_true((feed_i(odd, false) & EVENT(INVALID_LENGTH)) != 0);
	assert_int_equal(feed_i(odd, false), EVENT(NONSTANDARD_LENGTHS));
	assert_int_equal(feed_i(odd, false), 0);
	assert_int_equal(last()->common_address, 10);
	assert_int_equal(counter_get(&h.counters[IEC104_LENGTHS_RELEARNED]), 1);
	/* One object leaves it open which fields are short; the common address 0 is none. */
	harness_begin();
	assert_int_equal(feed_i("64 01 06 00 0a 000000 14", true), EVENT(NONSTANDARD_LENGTHS));
	assert_int_equal(last()->common_address, 10);
	assert_int_equal(last()->cot_len, 2);
	harness_begin();
	assert_int_equal(feed_i("64 01 06 0a 00 000000 14", true), EVENT(NONSTANDARD_LENGTHS));
	assert_int_equal(last()->common_address, 10);
	assert_int_equal(last()->cot_len, 1);
}

static void
test_commands(void **unused)
{
	(void)unused;
	harness_begin();
	assert_int_equal(feed_i("2d 01 0600 0a00 951100 81", true), 0);
	assert_true(json_has("\"command\":{\"stage\":\"select\"}"));
	h.ctx.ts_ns += 5000000;
	assert_int_equal(feed_i("2d 01 0700 0a00 951100 81", false), 0);
	assert_true(json_has("\"command\":{\"stage\":\"confirmation\",\"activation\":\"select\",\"activation_ssn\":0,"
			     "\"response_time_us\":5000}"));
	assert_int_equal(feed_i("2d 01 0600 0a00 951100 01", true), 0);
	assert_true(json_has("\"command\":{\"stage\":\"execute\",\"selected\":true}"));
	assert_int_equal(feed_i("2d 01 0700 0a00 951100 01", false), 0);
	assert_true(json_has("\"command\":{\"stage\":\"confirmation\",\"selected\":true,\"activation\":\"execute\","
			     "\"activation_ssn\":1,\"response_time_us\":0}"));
	assert_int_equal(feed_i("2d 01 0a00 0a00 951100 01", false), 0);
	assert_true(json_has("\"stage\":\"termination\",\"selected\":true"));
	assert_int_equal(h.state.open_count, 0);
	assert_int_equal(feed_i("2d 01 0a00 0a00 951100 01", false), EVENT(UNEXPECTED_TERMINATION));
	assert_int_equal(feed_i("2d 01 0700 0a00 951100 01", false), EVENT(UNEXPECTED_CONFIRMATION));
	/* Executed without a select; refused; answered with another value; never answered. */
	assert_int_equal(feed_i("2e 01 0600 0a00 010000 02", true), 0);
	assert_true(json_has("\"command\":{\"stage\":\"execute\",\"selected\":false}"));
	assert_int_equal(feed_i("2e 01 4700 0a00 010000 02", false), 0);
	assert_true(json_has("\"pn\":true"));
	assert_int_equal(h.state.open_count, 0);
	assert_int_equal(feed_i("32 01 0600 0a00 010000 0000803f 00", true), 0);
	assert_int_equal(feed_i("32 01 0700 0a00 010000 00000040 00", false), EVENT(CONFIRMATION_MISMATCH));
	assert_int_equal(feed_i("32 01 0600 0a00 020000 0000803f 00", true), 0);
	assert_int_equal(feed_i("32 01 0600 0a00 020000 0000803f 00", true), 0);
	assert_int_equal(feed_i("32 01 0700 0a00 020000 0000803f 00", false), 0);
	assert_true(json_has("\"activation_ssn\":4,"));
	h.ctx.ts_ns += UINT64_C(61000000000);
	assert_int_equal(feed_i("32 01 0600 0a00 030000 0000803f 00", true), EVENT(COMMAND_UNCONFIRMED));
	assert_int_equal(h.state.open_count, 1);
	assert_int_equal(h.state.open[0].obj_addr, 3);
	/* Unknown to the station; cancelled. */
	assert_int_equal(feed_i("32 01 6f00 0a00 030000 0000803f 00", false), 0);
	assert_true(json_has("\"cot\":\"unknown_object_address\",\"cot_code\":47,\"pn\":true"));
	assert_true(json_has("\"stage\":\"refusal\",\"selected\":false,\"activation\":\"execute\""));
	assert_int_equal(feed_i("2d 01 0600 0a00 010000 81", true), 0);
	assert_int_equal(feed_i("2d 01 0800 0a00 010000 81", true), 0);
	assert_true(json_has("\"command\":{\"stage\":\"cancel\"}"));
	assert_int_equal(feed_i("2d 01 0900 0a00 010000 81", false), 0);
	assert_true(json_has("\"stage\":\"cancel_confirmation\",\"activation\":\"select\""));
	assert_int_equal(h.state.open_count, 0);
	/* An interrogation, with its answers in between. */
	assert_int_equal(feed_i("64 01 0600 0a00 000000 14", true), 0);
	assert_true(json_has("\"command\":{\"stage\":\"activate\"}"));
	assert_int_equal(feed_i("64 01 0700 0a00 000000 14", false), 0);
	assert_int_equal(feed_i("01 01 1400 0a00 010000 01", false), 0);
	assert_false(record_is_present(last(), IEC104_HAS_COMMAND));
	assert_int_equal(feed_i("64 01 0a00 0a00 000000 14", false), 0);
	assert_int_equal(feed_i("67 01 0600 0a00 000000 0000000001011a", true), 0);
	h.events = 0;
	iec104_proto.end(&h.ctx);
	assert_int_equal(h.ctx.events, EVENT(COMMAND_UNCONFIRMED));
	h.ctx.events = 0;
	/* Answers of a flow picked up in the middle. */
	harness_begin();
	assert_int_equal(feed_i("2d 01 0700 0a00 951100 01", false), 0);
	assert_int_equal(feed_i("2d 01 0a00 0a00 951100 01", false), 0);
}

static void
test_command_flood(void **unused)
{
	(void)unused;
	harness_begin();
	for (unsigned int i = 0; i < IEC104_OPEN_MAX + 3; i++) {
		char asdu[64];

		snprintf(asdu, sizeof(asdu), "2d 01 0600 0a00 %02x0000 01", i + 1);
		h.ctx.ts_ns++;
		assert_int_equal(feed_i(asdu, true) & ~EVENT(K_EXCEEDED), i < IEC104_OPEN_MAX ? 0 : EVENT(COMMANDS_FLOODED));
	}
	assert_int_equal(h.state.open_count, IEC104_OPEN_MAX);
	assert_int_equal(counter_get(&h.counters[IEC104_COMMANDS_SHED]), 3);
	iec104_proto.end(&h.ctx);
	h.ctx.events = 0;
}

static void
test_files(void **unused)
{
	(void)unused;
	harness_begin();
	assert_int_equal(feed_i("7a 01 0d00 0a00 010000 0100 00 01", true), 0);
	assert_int_equal(feed_i("78 01 0d00 0a00 010000 0100 060000 00", false), 0);
	assert_int_equal(feed_i("79 01 0d00 0a00 010000 0100 01 060000 00", false), 0);
	assert_int_equal(feed_i("7d 01 0d00 0a00 010000 0100 01 04 01020304", false), 0);
	assert_int_equal(feed_i("7d 01 0d00 0a00 010000 0100 01 02 05ff", false), 0);
	assert_true(json_has("\"file\":{\"octets\":6,\"segments\":2}"));
	assert_int_equal(feed_i("7b 01 0d00 0a00 010000 0100 01 03 0e", false), 0);
	assert_int_equal(feed_i("7c 01 0d00 0a00 010000 0100 01 03", true), 0);
	assert_int_equal(feed_i("7b 01 0d00 0a00 010000 0100 01 01 0e", false), 0);
	/* Told wrong. */
	assert_int_equal(feed_i("78 01 0d00 0a00 010000 0100 070000 00", false), 0);
	assert_int_equal(feed_i("79 01 0d00 0a00 010000 0100 01 020000 00", false), 0);
	assert_int_equal(feed_i("7d 01 0d00 0a00 010000 0100 01 02 0102", false), 0);
	assert_int_equal(feed_i("7b 01 0d00 0a00 010000 0100 01 03 04", false), EVENT(FILE_CHECKSUM_MISMATCH));
	assert_int_equal(feed_i("7b 01 0d00 0a00 010000 0100 01 01 03", false), EVENT(FILE_LENGTH_MISMATCH));
	assert_int_equal(feed_i("79 01 0d00 0a00 010000 0100 01 020000 00", false), 0);
	assert_int_equal(feed_i("7d 01 0d00 0a00 010000 0200 01 02 0102", false), EVENT(FILE_OUT_OF_SEQUENCE));
	assert_int_equal(feed_i("78 01 0d00 0a00 010000 0100 070000 00", false), 0);
	assert_int_equal(feed_i("79 01 0d00 0a00 010000 0200 01 020000 00", false), EVENT(FILE_OUT_OF_SEQUENCE));
	/* From the middle, or after a loss, nothing is compared. */
	harness_begin();
	assert_int_equal(feed_i("7d 01 0d00 0a00 010000 0100 01 02 0102", false), 0);
	assert_int_equal(feed_i("7b 01 0d00 0a00 010000 0100 01 03 99", false), 0);
	assert_int_equal(feed_i("7b 01 0d00 0a00 010000 0100 01 01 99", false), 0);
}

static void
test_volume(void **unused)
{
	(void)unused;
	harness_begin();
	h.ctx.levels.usual = PROTO_LOG_CHANGES;
	feed_i("0b 02 0100 0a00 010000 0100 00 020000 0200 00", false);
	assert_int_equal(h.emitted, 1);
	feed_i("0b 02 0100 0a00 010000 0100 00 020000 0200 00", false);
	assert_int_equal(h.emitted, 1);
	assert_int_equal(h.deliveries, 2);
	feed_i("0b 02 0100 0a00 010000 0100 00 020000 0300 00", false);
	assert_int_equal(h.emitted, 2);
	feed_i("0b 02 0100 0a00 010000 0100 80 020000 0300 00", false);
	assert_int_equal(h.emitted, 3);
	feed_i("0b 02 0400 0a00 010000 0100 80 020000 0300 00", false); /* what is wrong is written */
	assert_int_equal(h.emitted, 4);
	feed_i("0b 02 0100 0b00 010000 0100 80 020000 0300 00", false);
	assert_int_equal(h.emitted, 5);
	assert_int_equal((*h.ctx.volume)->unchanged, 1);
	feed_i("64 01 0600 0a00 000000 14", true); /* a command is no value */
	feed_i("64 01 0700 0a00 000000 14", false);
	feed_i("64 01 0600 0a00 000000 14", true);
	assert_int_equal(h.emitted, 8);
	/* Without memory all is written. */
	harness_begin();
	h.ctx.levels.usual = PROTO_LOG_CHANGES;
	h.ctx.slab = NULL;
	feed_i(POINT, false);
	feed_i(POINT, false);
	assert_int_equal(h.emitted, 2);
	h.ctx.slab = slab;
}

/* Many APDUs in one segment, garbage between them, cut at every octet. */
static void
test_stream(void **unused)
{
	struct bytes b = { .len = 0 };

	(void)unused;
	harness_begin();
	put_hex(&b, STARTDT_CON);
	for (unsigned int i = 0; i < 10; i++)
		put_i(&b, POINT, false);
	put_hex(&b, "00ff68 0102");
	put_i(&b, POINT, false);
	assert_int_equal(feed(b.data, b.len, false), 5);
	assert_int_equal(h.deliveries, 12);
	assert_int_equal(h.events, 0);
	for (uint32_t cut = 0; cut < b.len; cut++) {
		uint32_t len = 6 + 10 * 16;

		if (cut > len)
			break;
		harness_begin();
		feed(b.data, cut, false);
		assert_int_equal(h.deliveries, cut < 6 ? 0 : 1 + (cut - 6) / 16);
	}
}

static void
test_keywords(void **unused)
{
	static const struct {
		unsigned int keyword;
		const char *value;
		bool holds;
	} rows[] = {
		{ 0, "I", true }, { 0, "i", true }, { 0, "information_transfer_format", true }, { 0, "S", false },
		{ 0, "unnumbered_control_function", false }, { 1, "C_SC_NA_1", true }, { 1, "c_sc_na_1", true },
		{ 1, "45", true }, { 1, "M_SP_NA_1", false }, { 1, "200", false },
	};
	struct rule_app_test compiled;
	struct record_path found;
	struct rule_app_index index;
	char err[128];

	(void)unused;
	harness_begin();
	feed_i("2d 01 0600 0a00 010000 01", true);
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		const struct rule_app_keyword *keyword = &iec104_keywords[rows[i].keyword];

		assert_int_equal(keyword->setup(rows[i].value, &compiled, err, sizeof(err)), 0);
		assert_int_equal(keyword->test(&compiled, h.last), rows[i].holds);
		assert_true(iec104_proto.app.keyword_index(keyword, &compiled, &index));
		assert_int_equal(record_path_resolve(&iec104_record_table, index.path, &found), 0);
		assert_int_equal(index.value, compiled.words[0]);
	}
	for (unsigned int i = 0; i < IEC104_KEYWORD_COUNT; i++) {
		assert_int_equal(iec104_keywords[i].setup("nothing", &compiled, err, sizeof(err)), -EINVAL);
		assert_int_equal(iec104_keywords[i].setup("300", &compiled, err, sizeof(err)), -EINVAL);
		memset(h.last, 0, sizeof(struct iec104_record));
		iec104_keywords[i].setup(i == 0 ? "I" : "0", &compiled, err, sizeof(err));
		assert_false(iec104_keywords[i].test(&compiled, h.last));
	}
}

static void
test_random(void **unused)
{
	uint32_t seed = 104;

	(void)unused;
	for (unsigned int round = 0; round < 20000; round++) {
		uint8_t data[255] = { IEC104_START };
		uint32_t len = 6 + round % 120;

		if (round % 50 == 0)
			harness_begin();
		h.ctx.levels.usual = (uint8_t)(round / 50 % 3);
		for (uint32_t i = 2; i < len; i++) {
			seed = seed * 1103515245 + 12345;
			data[i] = (uint8_t)(seed >> 16);
		}
		data[1] = (uint8_t)(len - 2);
		if (round % 2 == 0)
			data[2] &= 0xfe;
		data[4] &= 0xfe;
		if (len > 7) {
			data[6] &= 0x7f;
			data[7] &= 0x87;
		}
		h.ctx.ts_ns += seed;
		feed(data, len, seed >> 20 & 1);
		if (h.last_len > 0)
			json();
	}
	harness_begin();
	iec104_proto.end(&h.ctx);
	assert_int_equal(slab_used(slab), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables), cmocka_unit_test(test_frame), cmocka_unit_test(test_probe),
		cmocka_unit_test(test_control_formats), cmocka_unit_test(test_sequence), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_lengths_learned_anew), cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_sequence_of_elements), cmocka_unit_test(test_checks), cmocka_unit_test(test_times),
		cmocka_unit_test(test_commands), cmocka_unit_test(test_command_flood), cmocka_unit_test(test_files),
		cmocka_unit_test(test_volume), cmocka_unit_test(test_stream), cmocka_unit_test(test_keywords),
		cmocka_unit_test(test_random),
	};

	if (slab_create(&slab, 1 << 20) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
