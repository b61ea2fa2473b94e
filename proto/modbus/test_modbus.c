/* Modbus: every function both ways, pairing, hostile input, the tables and the rule keyword. */
#include "test/test.h"

#include <errno.h>

#include "lib/base/buf.h"
#include "proto/modbus/modbus.h"

extern const struct proto modbus_proto;

enum {
	DELIVERED_MAX = 700,
	JSON_LEN_MAX = 64 * 1024,
	PDU_MAX = MODBUS_HEADER_LEN + MODBUS_LENGTH_FRAMED,
};

/* One worker's and one flow's share, and what was delivered. */
struct rig {
	struct proto_ctx ctx;
	struct modbus_state state;
	struct modbus_config config;
	struct record_builder builder;
	_Atomic uint64_t counters[MODBUS_COUNTER_COUNT];
	struct slab *slab;
	struct record_writer *writer;
	struct buf json;       /* of the last record */
	unsigned int count;
	unsigned int flags[DELIVERED_MAX];
	uint32_t tx_ids[DELIVERED_MAX];
	uint64_t events;       /* of all deliveries */
	uint64_t events_last;
	bool to_server_last;
	_Alignas(8) uint8_t area[RECORD_LEN_MAX];
};

static struct rig *rig;

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	assert_ptr_equal(ctx->owner, rig);
	assert_true(rig->count < DELIVERED_MAX);
	rig->flags[rig->count] = flags;
	rig->tx_ids[rig->count++] = tx_id;
	rig->events |= ctx->events;
	rig->events_last = ctx->events;
	rig->to_server_last = ctx->to_server;
	ctx->events = 0;
	buf_reset(&rig->json);
	record_write_json(rig->writer, &rig->json, ctx->record->base, ctx->record->len);
	buf_putc(&rig->json, '\0');
	assert_false(rig->json.full);
}

static int
rig_create(void **state)
{
	(void)state;
	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_int_equal(slab_create(&rig->slab, 1 << 20), 0);
	assert_int_equal(record_writer_create(&rig->writer, &modbus_table), 0);
	assert_int_equal(buf_create(&rig->json, JSON_LEN_MAX), 0);
	record_builder_init(&rig->builder, rig->area, sizeof(rig->area));
	rig->config.request_flood = 128;
	rig->ctx = (struct proto_ctx){ .proto = &modbus_proto, .config = &rig->config, .state = &rig->state,
		.slab = rig->slab, .record = &rig->builder, .counters = rig->counters, .ts_ns = UINT64_C(1000000000000),
		.tcp = true, .deliver = collect, .owner = rig };
	return 0;
}

static int
rig_destroy(void **state)
{
	(void)state;
	rig->ctx.ending = true;
	modbus_proto.end(&rig->ctx);
	assert_int_equal(rig->state.open_count, 0);
	assert_null(rig->state.oldest);
	assert_null(rig->state.newest);
	assert_int_equal(slab_used(rig->slab), 0);
	slab_destroy(rig->slab);
	record_writer_destroy(rig->writer);
	buf_destroy(&rig->json);
	free(rig);
	return 0;
}

/* Spaces in hex are for the reader. */
static size_t
unhex(const char *hex, uint8_t *out, size_t cap)
{
	size_t len = 0;

	while (*hex != '\0') {
		unsigned int byte;

		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(len < cap);
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		out[len++] = (uint8_t)byte;
		hex += 2;
	}
	return len;
}

/* Whole PDUs, framed and parsed as the session does it. The bytes stand at the end of a heap block, so that the
 * sanitizer sees every read beyond them. */
static void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	struct cursor in;

	assert_non_null(copy);
	memcpy(copy, data, len);
	in = cursor_of(copy, len);
	rig->ctx.to_server = to_server;
	while (cursor_left(&in) > 0) {
		int pdu_len = modbus_proto.frame(in, to_server);

		assert_true(pdu_len > 0);
		modbus_proto.parse(&rig->ctx, cursor_sub(&in, (size_t)pdu_len));
		assert_false(in.short_read);
		assert_int_equal(rig->ctx.to_server, to_server);
	}
	free(copy);
}

static void
feed(const char *hex, bool to_server)
{
	uint8_t data[4 * PDU_MAX];

	feed_bytes(data, unhex(hex, data, sizeof(data)), to_server);
}

static bool
saw(enum modbus_event event)
{
	return (rig->events >> event & 1) != 0;
}

static void
assert_json_has(const char *text)
{
	if (strstr(rig->json.data, text) == NULL)
		fail_msg("no %s in %s", text, rig->json.data);
}

/* A transaction, what its event must hold, and the events it raises (a bit set). */
struct sample {
	const char *request;
	const char *response;
	const char *expect[6];
	uint64_t events;
};

#define E(name) (UINT64_C(1) << MODBUS_EVENT_##name)

static const struct sample samples[] = {
	{ "0002 0000 0006 05 01 0001 0008", "0002 0000 0004 05 01 01 e9",
		{ "\"function_code\":\"RdCoils\",\"access_type\":\"READ | COILS\",\"category\":\"PUBLIC_ASSIGNED\","
		  "\"error_flags\":\"NONE\",\"read\":{\"address\":1,\"quantity\":8}",
		  "\"read\":{\"data\":\"e9\",\"values\":[1,0,0,1,0,1,1,1]}" }, 0 },
	{ "0001 0000 0006 04 02 0000 000a", "0001 0000 0005 04 02 02 ffff",
		{ "\"RdDiscreteInputs\"", "\"values\":[1,1,1,1,1,1,1,1,1,1]}" }, 0 },
	{ "0006 0000 0006 05 03 0001 0002", "0006 0000 0007 05 03 04 00aa ef84",
		{ "\"id\":1,\"response_time_us\":0,", "\"RdHoldRegs\",\"access_type\":\"READ | HOLDING\"",
		  "\"read\":{\"data\":\"00aaef84\",\"values\":[170,61316]}" }, 0 },
	{ "0007 0000 0006 04 04 ffff 0001", "0007 0000 0005 04 04 02 8e2b",
		{ "\"RdInputRegs\"", "\"address\":65535,\"quantity\":1", "\"values\":[36395]" }, 0 },
	{ "0009 0000 0006 06 05 0001 ff00", "0009 0000 0006 06 05 0001 ff00",
		{ "\"WrSingleCoil\",\"access_type\":\"WRITE | COILS | SINGLE | WRITE_SINGLE\"",
		  "\"write\":{\"address\":1,\"data\":65280,\"values\":[1]}", "\"write\":{\"address\":1,\"data\":65280}" }, 0 },
	{ "000a 0000 0006 07 06 0001 abcd", "000a 0000 0006 07 06 0001 abcd",
		{ "\"WrSingleReg\"", "\"write\":{\"address\":1,\"data\":43981,\"values\":[43981]}" }, 0 },
	{ "000b 0000 0002 02 07", "000b 0000 0003 02 07 6d", { "\"RdExcStatus\"", "\"exception_status\":109" }, 0 },
	{ "000c 0000 0006 02 08 0002 0000", "000c 0000 0006 02 08 0002 1234",
		{ "\"diagnostic\":{\"raw\":2,\"code\":\"RetDiagReg\",\"data\":\"0000\",\"value\":0}", "\"value\":4660" }, 0 },
	{ "000c 0000 000a 02 08 0000 a537 0102 0304", "000c 0000 000a 02 08 0000 a537 0102 0304",
		{ "\"RetQueryData\",\"data\":\"a53701020304\"}" }, 0 },
	{ "0001 0000 0006 02 08 0001 ff00", "0001 0000 0006 02 08 0001 ff00", { "\"RestartCommOpt\"" }, 0 },
	{ "0001 0000 0006 02 08 0003 0a00", "0001 0000 0006 02 08 0003 0a00", { "\"ChangeInputDelimiter\"" }, 0 },
	{ "0001 0000 0006 02 08 0014 0000", "0001 0000 0006 02 08 0014 0000", { "\"ClearOverrunCounterFlag\"" }, 0 },
	{ "0001 0000 0002 02 0b", "0001 0000 0006 02 0b ffff 0108",
		{ "\"GetCommEventCtr\"", "\"comm_event\":{\"status\":65535,\"event_count\":264}" }, 0 },
	{ "0001 0000 0002 02 0c", "0001 0000 000b 02 0c 08 0000 0108 0121 2000",
		{ "\"GetCommEventLog\"", "\"event_count\":264,\"message_count\":289,\"events\":\"2000\"}" }, 0 },
	{ "000d 0000 0009 07 0f 0013 000a 02 cd01", "000d 0000 0006 07 0f 0013 000a",
		{ "\"WrMultCoils\"", "\"write\":{\"address\":19,\"quantity\":10,\"data\":\"cd01\","
		  "\"values\":[1,0,1,1,0,0,1,1,1,0]}", "\"write\":{\"address\":19,\"data\":10}" }, 0 },
	{ "000e 0000 000b 07 10 0001 0002 04 00aa 00bb", "000e 0000 0006 07 10 0001 0002",
		{ "\"WrMultRegs\"", "\"quantity\":2,\"data\":\"00aa00bb\",\"values\":[170,187]}" }, 0 },
	{ "000f 0000 0002 0a 11", "000f 0000 0015 0a 11 12 00 ff 57696e6770617468204c696d69746564",
		{ "\"ReportServerID\"", "\"server\":{\"id\":\"00\",\"run_indicator\":\"ON\",\"text\":\"Wingpath Limited\"}" },
		0 },
	{ "000f 0000 0002 0a 11", "000f 0000 0007 0a 11 04 504c43 00",
		{ "\"server\":{\"id\":\"504c43\",\"run_indicator\":\"OFF\",\"text\":\"PLC\"}" }, 0 },
	{ "0001 0000 0011 01 14 0e 06 0004 0001 0002 06 0003 0009 0002",
		"0001 0000 000f 01 14 0c 05 06 0dfe 0020 05 06 33cd 0040",
		{ "\"RdFileRec\"", "\"file_records\":[{\"reference_type\":6,\"file_number\":4,\"record_number\":1,"
		  "\"record_length\":2},{\"reference_type\":6,\"file_number\":3,\"record_number\":9,\"record_length\":2}]",
		  "\"file_records\":[{\"reference_type\":6,\"record_length\":2,\"data\":\"0dfe0020\",\"values\":[3582,32]},"
		  "{\"reference_type\":6,\"record_length\":2,\"data\":\"33cd0040\",\"values\":[13261,64]}]" }, 0 },
	{ "0001 0000 0010 01 15 0d 06 0004 0007 0003 06af 04be 100d",
		"0001 0000 0010 01 15 0d 06 0004 0007 0003 06af 04be 100d",
		{ "\"WrFileRec\"", "\"file_number\":4,\"record_number\":7,\"record_length\":3,\"data\":\"06af04be100d\","
		  "\"values\":[1711,1214,4109]" }, 0 },
	{ "0013 0000 0008 04 16 000a ffff dead", "0013 0000 0008 04 16 000a ffff dead",
		{ "\"MaskWrReg\",\"access_type\":\"WRITE | HOLDING\"",
		  "\"write\":{\"address\":10,\"and_mask\":65535,\"or_mask\":57005}" }, 0 },
	{ "0015 0000 0011 06 17 0001 0004 0002 0003 06 00aa 00bb 00cc", "0015 0000 000b 06 17 08 00aa 00aa 00bb 00cc",
		{ "\"RdWrMultRegs\"", "\"read\":{\"address\":1,\"quantity\":4},\"write\":{\"address\":2,\"quantity\":3,"
		  "\"data\":\"00aa00bb00cc\",\"values\":[170,187,204]}", "\"values\":[170,170,187,204]" }, 0 },
	{ "0016 0000 0004 0a 18 04de", "0016 0000 000a 0a 18 0006 0002 01b8 1284",
		{ "\"RdFIFOQueue\"", "\"fifo\":{\"address\":1246}",
		  "\"fifo\":{\"count\":2,\"data\":\"01b81284\",\"values\":[440,4740]}" }, 0 },
	{ "0017 0000 0005 01 2b 0e 01 00", "0017 0000 0012 01 2b 0e 01 81 00 00 02 00 03 41 42 43 01 03 58 2d 31",
		{ "\"mei\":{\"raw\":14,\"code\":\"RdDevId\",\"data\":\"0100\"},\"identification\":{\"device_id_code\":1,"
		  "\"device_id\":\"basic\",\"object_id_code\":0,\"object_id\":\"VendorName\"}",
		  "\"conformity_level_code\":129,\"conformity_level\":\"basic, stream and individual access\","
		  "\"more_follows\":\"no\",\"next_object_id\":0,\"object_count\":2,\"objects\":[{\"id\":0,"
		  "\"name\":\"VendorName\",\"value\":\"ABC\"},{\"id\":1,\"name\":\"ProductCode\",\"value\":\"X-1\"}]" }, 0 },
	{ "0017 0000 0006 01 2b 0d 010203", "0017 0000 0005 01 2b 0d 0405",
		{ "\"code\":\"CANOpenGenRefReqResp\",\"data\":\"010203\"}", "\"data\":\"0405\"}" }, 0 },
	{ "0001 0000 0006 00 03 0258 000a", "0001 0000 0003 00 83 02",
		{ "\"function_raw\":131,\"function_code\":\"RdHoldRegs\"",
		  "\"exception\":{\"raw\":2,\"code\":\"IllegalDataAddr\"}" }, 0 },
	{ "0001 0000 0006 00 5a 0002 0304", "0001 0000 0004 00 5a 00fe",
		{ "\"function_code\":\"Unknown\",\"access_type\":\"NONE\",\"category\":\"RESERVED\"",
		  "\"data\":\"00020304\"", "\"data\":\"00fe\"" }, 0 },
	{ "0001 0000 0003 00 41 ff", "0001 0000 0002 00 41", { "\"category\":\"USER_DEFINED\"" }, 0 },
	{ "0001 0000 0003 00 1e ff", "0001 0000 0002 00 1e", { "\"category\":\"PUBLIC_UNASSIGNED\"" }, 0 },

	/* What is wrong with a message is an event, and in its error_flags. */
	{ "0001 0000 0006 01 03 0000 0000", "0001 0000 0003 01 83 03", { "\"error_flags\":\"DATA_VALUE\"" },
		E(INVALID_VALUE) },
	{ "0001 0000 0006 01 03 0000 007e", "0001 0000 0003 01 83 03", { "\"quantity\":126" }, E(INVALID_VALUE) },
	{ "0001 0000 0006 01 01 0000 07d1", "0001 0000 0003 01 81 03", { "\"quantity\":2001" }, E(INVALID_VALUE) },
	{ "0001 0000 0006 01 04 fff0 0020", "0001 0000 0003 01 84 02", { "\"address\":65520" }, E(INVALID_VALUE) },
	{ "0001 0000 0006 01 05 0000 0001", "0001 0000 0003 01 85 03", { "\"data\":1" }, E(INVALID_VALUE) },
	{ "0001 0000 0009 01 10 0000 0002 02 0001", "0001 0000 0003 01 90 03", { "\"quantity\":2" }, E(INVALID_VALUE) },
	{ "0001 0000 0005 01 03 0000 00", "0001 0000 0003 01 83 03", { "\"error_flags\":\"DATA_LENGTH\"" },
		E(INVALID_LENGTH) },
	{ "0001 0000 0008 01 03 0000 0001 ffff", "0001 0000 0005 01 03 02 0001", { "\"DATA_LENGTH\"" },
		E(INVALID_LENGTH) | E(TRAILING_BYTES) },
	{ "0001 0000 0006 01 03 0000 0002", "0001 0000 0005 01 03 02 0001", { "\"error_flags\":\"DATA_VALUE\"" },
		E(VALUE_MISMATCH) },
	{ "0001 0000 0006 01 03 0000 0002", "0001 0000 0006 01 03 04 000102", { "\"values\":[1]" }, E(VALUE_MISMATCH) },
	{ "0001 0000 0006 01 06 0000 0002", "0001 0000 0006 01 06 0001 0002", { "\"address\":1" }, E(VALUE_MISMATCH) },
	{ "0001 0000 0008 01 16 0000 0002 0003", "0001 0000 0008 01 16 0000 0002 0004", { "\"or_mask\":4" },
		E(VALUE_MISMATCH) },
	{ "0001 0000 0006 01 08 0000 1234", "0001 0000 0006 01 08 0000 1235", { "\"value\":4661" }, E(INVALID_VALUE) },
	{ "0001 0000 0006 01 08 0005 0000", "0001 0000 0006 01 08 0005 0000", { "\"code\":\"Reserved\"",
		"\"category\":\"RESERVED\"" }, E(UNKNOWN_SUBFUNCTION) },
	{ "0001 0000 0006 01 08 000a 0001", "0001 0000 0006 01 08 000a 0001", { "\"ClearCtrDiagReg\"" },
		E(INVALID_VALUE) },
	{ "0001 0000 0003 01 2b 42", "0001 0000 0003 01 2b 42", { "\"code\":\"Unknown\"" }, E(UNKNOWN_MEI_TYPE) },
	{ "0001 0000 0005 01 2b 0e 09 00", "0001 0000 0003 01 ab 03", { "\"device_id\":\"unknown\"" }, E(INVALID_VALUE) },
	{ "0001 0000 0005 01 2b 0e 01 00", "0001 0000 000a 01 2b 0e 01 01 00 00 05 00 ff", { "\"object_count\":5" },
		E(INVALID_LENGTH) },
	{ "0001 0000 0006 01 03 0000 0001", "0001 0000 0003 01 83 09", { "\"error_flags\":\"EXC_CODE\"",
		"\"code\":\"Unknown\"" }, E(INVALID_EXCEPTION_CODE) },
	{ "0001 0000 0006 01 03 0000 0001", "0001 0000 0003 01 83 08", { "\"MemParityErr\"" },
		E(INVALID_EXCEPTION_CODE) },
	{ "0001 0000 0002 01 07", "0001 0000 0003 01 87 02", { "\"IllegalDataAddr\"" }, E(INVALID_EXCEPTION_CODE) },
	{ "0001 0001 0006 01 03 0000 0001", "0001 0000 0005 01 03 02 0001", { "\"protocol_id\":1",
		"\"error_flags\":\"PROTO_ID\"" }, E(INVALID_PROTOCOL_ID) },
	{ "0001 0000 0004 01 18 04de", "0001 0000 0006 01 18 0002 0005", { "\"fifo\":{\"count\":5" },
		E(INVALID_VALUE) },
};

static void
rig_renew(void)
{
	rig->ctx.ending = true;
	modbus_proto.end(&rig->ctx);
	rig->ctx.ending = false;
	memset(&rig->state, 0, sizeof(rig->state));
	memset((void *)rig->counters, 0, sizeof(rig->counters));
	rig->count = 0;
	rig->events = 0;
}

static void
test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(samples); i++) {
		const struct sample *sample = &samples[i];

		rig_renew();
		feed(sample->request, true);
		assert_int_equal(rig->count, 1);
		assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_HOLD);
		feed(sample->response, false);
		assert_int_equal(rig->count, 2);
		assert_int_equal(rig->flags[1], PROTO_MATCH | PROTO_EMIT);
		assert_int_equal(rig->tx_ids[0], rig->tx_ids[1]);
		for (size_t j = 0; j < TEST_COUNT(sample->expect) && sample->expect[j] != NULL; j++)
			assert_json_has(sample->expect[j]);
		if (rig->events != sample->events)
			fail_msg("sample %zu (%s): events %llx, not %llx", i, sample->request,
				(unsigned long long)rig->events, (unsigned long long)sample->events);
		assert_int_equal(rig->state.open_count, 0);
	}
}

/* Each half alone: a PDU cut anywhere is never framed as whole; a body cut with its length made to fit is parsed
 * without reading beyond it. */
static void
test_cut(void **state)
{
	uint8_t data[PDU_MAX], *copy;

	(void)state;
	for (size_t i = 0; i < 2 * TEST_COUNT(samples); i++) {
		bool to_server = i % 2 == 0;
		size_t len = unhex(to_server ? samples[i / 2].request : samples[i / 2].response, data, sizeof(data));

		for (size_t cut = 0; cut < len; cut++) {
			int pdu_len;

			copy = malloc(cut == 0 ? 1 : cut);
			assert_non_null(copy);
			memcpy(copy, data, cut);
			pdu_len = modbus_proto.frame(cursor_of(copy, cut), to_server);
			assert_true(pdu_len <= 0 || (size_t)pdu_len > cut);
			assert_true(modbus_proto.probe(cursor_of(copy, cut), to_server, false) != PROTO_PROBE_YES);
			assert_true(modbus_proto.probe(cursor_of(copy, cut), to_server, true) != PROTO_PROBE_YES);
			(void)modbus_proto.sender_is_server(cursor_of(copy, cut));
			free(copy);
			if (cut < MODBUS_HEADER_LEN + MODBUS_LENGTH_MIN)
				continue;
			rig_renew();
			data[2] = data[3] = 0;
			data[4] = 0;
			data[5] = (uint8_t)(cut - MODBUS_HEADER_LEN);
			feed_bytes(data, cut, to_server);
			data[5] = (uint8_t)(len - MODBUS_HEADER_LEN);
		}
	}
}

/* Every byte of every sample at its extremes, after the sample's own request where it is a response. */
static void
test_extremes(void **state)
{
	static const uint8_t extremes[] = { 0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff };
	uint8_t data[PDU_MAX];

	(void)state;
	for (size_t i = 0; i < 2 * TEST_COUNT(samples); i++) {
		bool to_server = i % 2 == 0;
		size_t len = unhex(to_server ? samples[i / 2].request : samples[i / 2].response, data, sizeof(data));

		for (size_t at = MODBUS_HEADER_LEN; at < len; at++) {
			uint8_t was = data[at];

			for (size_t j = 0; j < TEST_COUNT(extremes); j++) {
				data[at] = extremes[j];
				if (modbus_proto.frame(cursor_of(data, len), to_server) != (int)len)
					continue;
				rig_renew();
				if (!to_server)
					feed(samples[i / 2].request, true);
				feed_bytes(data, len, to_server);
			}
			data[at] = was;
		}
	}
}

/* The longest PDU of every function, filled with each byte: counts from the wire end at the body's end. */
static void
test_longest(void **state)
{
	static const uint8_t fills[] = { 0x00, 0x01, 0x06, 0x0e, 0xff };
	uint8_t data[PDU_MAX];

	(void)state;
	for (unsigned int function = 1; function < 256; function++)
		for (size_t i = 0; i < 2 * TEST_COUNT(fills); i++) {
			size_t len = MODBUS_HEADER_LEN + MODBUS_LENGTH_MAX;

			if ((function & 0x7f) == 0)
				continue;
			rig_renew();
			memset(data, fills[i / 2], sizeof(data));
			memset(data, 0, MODBUS_HEADER_LEN);
			data[5] = MODBUS_LENGTH_MAX;
			data[7] = (uint8_t)function;
			feed_bytes(data, len, i % 2 == 0);
			assert_false(rig->builder.truncated);
		}
}

static void
test_oversized(void **state)
{
	uint8_t data[PDU_MAX] = { 0, 1, 0, 0, 0x01, 0x04, 1, 16, 0, 0, 0, 0x7e, 0xfc };

	(void)state;
	feed_bytes(data, MODBUS_HEADER_LEN + 0x104, true);
	assert_true(saw(MODBUS_EVENT_INVALID_LENGTH));
	data[7] = 65;
	assert_int_equal(modbus_proto.frame(cursor_of(data, sizeof(data)), true), -EBADMSG);
	data[7] = MODBUS_FUNCTION_UMAS;
	assert_int_equal(modbus_proto.frame(cursor_of(data, sizeof(data)), true), MODBUS_HEADER_LEN + 0x104);
	data[4] = 0xff;
	assert_int_equal(modbus_proto.frame(cursor_of(data, sizeof(data)), true), -EBADMSG);
}

static void
test_frame(void **state)
{
	static const struct {
		const char *bytes;
		int len;
	} rows[] = {
		{ "", 0 },
		{ "0001 0000 0006 01", 0 },
		{ "0001 0000 0006 01 03", 12 },
		{ "0001 0000 0001 01 03 00", -EBADMSG },
		{ "0001 0000 0000 01 03 00", -EBADMSG },
		{ "0001 0000 0006 01 00 00", -EBADMSG },
		{ "0001 0000 0006 01 80 00", -EBADMSG },
		{ "0001 0000 00ff 01 41 00", -EBADMSG },
		{ "0001 0010 0006 0a 01 00", 12 },   /* named invalid_protocol_id */
		{ "0001 0010 0007 0a 01 00", -EBADMSG },
		{ "0001 0010 0006 0a 41 00", -EBADMSG },
		{ "0000 0000 0000 00 00 00", -EBADMSG },
		{ "ffff ffff ffff ff ff ff", -EBADMSG },
	};
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		size_t len = unhex(rows[i].bytes, data, sizeof(data));

		assert_int_equal(modbus_proto.frame(cursor_of(data, len), true), rows[i].len);
		assert_int_equal(modbus_proto.frame(cursor_of(data, len), false), rows[i].len);
	}
}

static void
test_probe(void **state)
{
	static const struct {
		const char *bytes;
		enum proto_probe off_port;
		enum proto_probe on_port;
		int server;
	} rows[] = {
		{ "0001 0000 0006 01 03 0000 0001", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
		{ "0001 0000 0005 01 03 02 0001", PROTO_PROBE_YES, PROTO_PROBE_YES, 1 },
		{ "0001 0000 0003 01 83 02", PROTO_PROBE_YES, PROTO_PROBE_YES, 1 },
		{ "0001 0000 0003 01 83 42", PROTO_PROBE_NO, PROTO_PROBE_YES, 1 },
		{ "0001 0000 0006 01 06 0000 0001", PROTO_PROBE_YES, PROTO_PROBE_YES, -1 },
		{ "0001 0000 0006 01 03 0000 0001 0002 0000 0006 01 03 0000 0001", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
		{ "0001 0000 0006 01 03 0000 0001 0002 0001", PROTO_PROBE_NO, PROTO_PROBE_NO, 0 },
		{ "0001 0000 0006 01 03 0000 0001 47", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
		{ "0001 0000 0007 01 03 0000 0001 47", PROTO_PROBE_NO, PROTO_PROBE_YES, -1 },
		{ "0001 0000 0006 01 41 0000 0001", PROTO_PROBE_NO, PROTO_PROBE_YES, -1 },
		{ "0001 0000 0005 01 2b 0e 01 00", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
		{ "0001 0000 0003 01 2b 0f", PROTO_PROBE_NO, PROTO_PROBE_YES, -1 },
		{ "0001 0000 0006", PROTO_PROBE_MORE, PROTO_PROBE_MORE, -1 },
		{ "0001 0001", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
		/* An EtherNet/IP register session, a DICOM association, a HART-IP session, mDNS, a Bitcoin-like frame. */
		{ "6500 0400 0000 0000 0000 0000 0000 0000", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
		{ "0100 0000 00cd 0001 0000 414e 592d 5343 5020", PROTO_PROBE_NO, PROTO_PROBE_MORE, -1 },
		{ "0100 0000 0001 000d 0100 007530", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
		{ "0000 0000 0001 0000 0000 0000 055f68747470", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
		{ "3a00 0000 0100 0000 0000 0000 d407 0000", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
		{ "0000 0000 0000 0000 0000 0000 0000 0000", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
	};
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		size_t len = unhex(rows[i].bytes, data, sizeof(data));

		assert_int_equal(modbus_proto.probe(cursor_of(data, len), true, false), rows[i].off_port);
		assert_int_equal(modbus_proto.probe(cursor_of(data, len), false, true), rows[i].on_port);
		assert_int_equal(modbus_proto.sender_is_server(cursor_of(data, len)), rows[i].server);
	}
}

/* Several requests in one segment, answered in another order. */
static void
test_pipeline(void **state)
{
	(void)state;
	feed("0001 0000 0006 01 03 0000 0001 0002 0000 0006 01 03 0010 0001 0003 0000 0006 02 01 0000 0001", true);
	assert_int_equal(rig->state.open_count, 3);
	feed("0003 0000 0004 02 01 01 01", false);
	assert_json_has("\"id\":3,");
	feed("0001 0000 0005 01 03 02 0007 0002 0000 0005 01 03 02 0008", false);
	assert_json_has("\"id\":2,");
	assert_json_has("\"values\":[8]");
	assert_int_equal(rig->count, 6);
	assert_int_equal(rig->events, 0);
	assert_int_equal(rig->state.open_count, 0);
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_REQUESTS]), 3);
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_RESPONSES]), 3);
}

/* One id for all: paired in order. Another unit's or function's response answers nothing. */
static void
test_same_id(void **state)
{
	(void)state;
	feed("0000 0000 0006 01 03 0000 0001 0000 0000 0006 01 03 0005 0001", true);
	feed("0000 0000 0005 01 03 02 0007", false);
	assert_json_has("\"read\":{\"address\":0,");
	feed("0000 0000 0005 02 03 02 0007", false);
	assert_true(saw(MODBUS_EVENT_UNSOLICITED_RESPONSE));
	feed("0000 0000 0005 01 04 02 0007", false);
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_ORPHANS]), 2);
	assert_null(strstr(rig->json.data, "\"request\""));
	feed("0000 0000 0003 01 83 06", false);
	assert_json_has("\"read\":{\"address\":5,");
	assert_json_has("\"ServerDeviceBusy\"");
	assert_int_equal(rig->state.open_count, 0);
}

/* A request is given up when its id comes again a second later; its response, when late, answers nobody. */
static void
test_reused_id(void **state)
{
	(void)state;
	feed("0000 0000 0006 01 03 0000 0001", true);
	rig->ctx.ts_ns += UINT64_C(3000000000);
	feed("0000 0000 0006 01 03 0005 0001", true);
	assert_int_equal(rig->count, 3);
	assert_int_equal(rig->flags[1], PROTO_EMIT);
	assert_int_equal(rig->tx_ids[1], 1);
	assert_int_equal(rig->events_last, E(REUSED_TRANSACTION_ID));
	rig->ctx.ts_ns += 2500000;
	feed("0000 0000 0005 01 03 02 0007", false);
	assert_json_has("\"id\":2,\"response_time_us\":2500,");
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_UNANSWERED]), 1);
	feed("0000 0000 0005 01 03 02 0007", false);
	assert_true(saw(MODBUS_EVENT_UNSOLICITED_RESPONSE));
}

/* Diagnostics and MEI are paired by their sub-code as well; an exception names none. */
static void
test_sub_codes(void **state)
{
	(void)state;
	feed("0000 0000 0006 01 08 0002 0000 0000 0000 0006 01 08 000b 0000 0000 0000 0006 01 08 000c 0000", true);
	feed("0000 0000 0006 01 08 000b 0009", false);
	assert_json_has("\"id\":2,");
	feed("0000 0000 0003 01 88 01", false);
	assert_json_has("\"id\":1,");
	feed("0000 0000 0006 01 08 000c 0009", false);
	assert_json_has("\"id\":3,");
	assert_int_equal(rig->events, 0);
}

static void
test_flood(void **state)
{
	(void)state;
	rig->config.request_flood = 4;
	for (unsigned int i = 0; i < 10; i++) {
		uint8_t request[] = { 0, (uint8_t)i, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1 };

		feed_bytes(request, sizeof(request), true);
		assert_true(rig->state.open_count <= 4);
		assert_int_equal((rig->events_last >> MODBUS_EVENT_FLOODED & 1) != 0, i == 4);
	}
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_UNANSWERED]), 6);
	assert_int_equal(rig->count, 16);
}

static void
test_end(void **state)
{
	(void)state;
	feed("0001 0000 0006 01 05 0000 ff00 0002 0000 0006 01 03 0000 0001", true);
	rig->ctx.to_server = false;
	rig->ctx.ending = true;
	modbus_proto.end(&rig->ctx);
	assert_int_equal(rig->count, 4);
	assert_int_equal(rig->flags[2], PROTO_EMIT);
	assert_int_equal(rig->tx_ids[2], 1);
	assert_int_equal(rig->tx_ids[3], 2);
	assert_true(rig->to_server_last);
	assert_json_has("\"request\"");
	assert_null(strstr(rig->json.data, "\"response\""));
}

/* Without memory a request is an event at once. */
static void
test_shed(void **state)
{
	(void)state;
	rig->ctx.slab = NULL;
	feed("0001 0000 0006 01 05 0000 ff00", true);
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_EMIT);
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_SHED]), 1);
	feed("0001 0000 0006 01 05 0000 ff00", false);
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_ORPHANS]), 1);
	rig->ctx.slab = rig->slab;
}

/* A flow that the server opened: its responses come from the originator. */
static void
test_reversed(void **state)
{
	(void)state;
	feed("0001 0000 0006 01 03 0000 0001", false);
	assert_true(saw(MODBUS_EVENT_WRONG_DIRECTION));
	assert_json_has("\"request\"");
	feed("0001 0000 0005 01 03 02 0007", true);
	assert_json_has("\"values\":[7]");
	assert_int_equal(rig->state.open_count, 0);
	feed("0001 0000 0004 0a 81 06 00", true);
	assert_true(saw(MODBUS_EVENT_INVALID_FUNCTION_CODE));
	assert_true(saw(MODBUS_EVENT_UNSOLICITED_RESPONSE));
}

/* A response of the form of a request answers the request that waits, wrong as it is. */
static void
test_malformed_response(void **state)
{
	(void)state;
	feed("0001 0000 0006 01 03 0000 0001", true);
	feed("0001 0000 0006 01 03 02 0001 ff", false);
	assert_int_equal(rig->events, E(VALUE_MISMATCH));
	assert_int_equal(rig->state.open_count, 0);
}

/* ---- tables ---- */

static void
test_tables(void **state)
{
	(void)state;
	assert_null(record_table_check(&modbus_table));
	for (unsigned int i = 0; i < MODBUS_EVENT_COUNT; i++)
		assert_non_null(modbus_events[i].name);
	for (unsigned int i = 0; i < MODBUS_COUNTER_COUNT; i++)
		assert_non_null(modbus_counters[i].name);
	for (unsigned int i = 0; i < MODBUS_FUNCTION_COUNT; i++) {
		assert_non_null(modbus_functions[i].read_request);
		assert_non_null(modbus_functions[i].read_response);
		assert_int_equal(modbus_functions[i].category == 0, i == 0);
	}
	assert_true(modbus_proto.state_len <= SLAB_BLOCK_MAX);
	assert_true(MODBUS_RESPONSE + MODBUS_HAS_OBJECTS < MODBUS_HAS_RESPONSE_TIME);
}

/* ---- the keyword ---- */

#define COILS_REQUEST "0001 0000 0006 0a 01 0000 0001"

static const struct {
	const char *rule;
	const char *request;
	bool match;
} keyword_rows[] = {
	{ "function 1", COILS_REQUEST, true },
	{ "function 2", COILS_REQUEST, false },
	{ "function assigned", COILS_REQUEST, true },
	{ "function !assigned", COILS_REQUEST, false },
	{ "function public", COILS_REQUEST, true },
	{ "function all", COILS_REQUEST, true },
	{ "function user", "0001 0000 0002 0a 41", true },
	{ "function reserved", "0001 0000 0002 0a 5a", true },
	{ "function unassigned", "0001 0000 0002 0a 1e", true },
	{ "function !unassigned", "0001 0000 0002 0a 1e", false },
	{ "function !user", COILS_REQUEST, true },
	{ "function 8, subfunction 4", "0001 0000 0006 0a 08 0004 0000", true },
	{ "function 8, subfunction 3", "0001 0000 0006 0a 08 0004 0000", false },
	{ "function 8,subfunction 4", "0001 0000 0006 0a 08 0004 0000", true },
	{ "unit 10", COILS_REQUEST, true },
	{ "unit 11", COILS_REQUEST, false },
	{ "unit >9", COILS_REQUEST, true },
	{ "unit >10", COILS_REQUEST, false },
	{ "unit <11", COILS_REQUEST, true },
	{ "unit 9<>11", COILS_REQUEST, true },
	{ "unit 10<>12", COILS_REQUEST, false },
	{ "unit 10, function 1", COILS_REQUEST, true },
	{ "unit 10, function 2", COILS_REQUEST, false },
	{ "unit >9, access read coils, address 0<>2", COILS_REQUEST, true },
	{ "unit >9, access read coils, address 1<>2", COILS_REQUEST, false },
	{ "\"unit 10, access read\"", COILS_REQUEST, true },
	{ "access read", COILS_REQUEST, true },
	{ "access write", COILS_REQUEST, false },
	{ "access read holding", COILS_REQUEST, false },
	{ "access read discretes", "0001 0000 0006 0a 02 0000 0001", true },
	{ "access read input, address 11", "0001 0000 0006 0a 04 0000 000a", false },
	{ "access read input, address 10", "0001 0000 0006 0a 04 0000 000a", true },
	{ "access read input, address >9", "0001 0000 0006 0a 04 0000 000a", true },
	{ "access read input, address >10", "0001 0000 0006 0a 04 0000 000a", false },
	{ "access read input, address <2", "0001 0000 0006 0a 04 0000 000a", true },
	{ "access read input, address <1", "0001 0000 0006 0a 04 0000 000a", false },
	{ "access read holding, address 65535", "0001 0000 0006 0a 03 fffe 0001", true },
	{ "access write coils", "0001 0000 0006 0a 05 0000 ff00", true },
	{ "access write holding", "0001 0000 0006 0a 05 0000 ff00", false },
	{ "access write coils, address 1, value 1", "0001 0000 0006 0a 05 0000 ff00", true },
	{ "access write coils, address 1, value 0", "0001 0000 0006 0a 05 0000 ff00", false },
	{ "access write coils, address 10, value 1", "0001 0000 0009 0a 0f 0000 000a 02 0002", true },
	{ "access write coils, address 9, value 1", "0001 0000 0009 0a 0f 0000 000a 02 0002", false },
	{ "access write holding, address 500, value >200", "0001 0000 0006 0a 06 01f3 00c9", true },
	{ "access write holding, address 500, value >201", "0001 0000 0006 0a 06 01f3 00c9", false },
	{ "access write holding, address 2, value 4<>6", "0001 0000 000b 0a 10 0000 0002 04 0004 0005", true },
	{ "access write holding, address 3, value 4<>6", "0001 0000 000b 0a 10 0000 0002 04 0004 0005", false },
	{ "access write holding, address 3", "0001 0000 0008 0a 16 0002 0000 0001", true },
	{ "access write holding, address 3", "0001 0000 000d 0a 17 0008 0001 0002 0001 02 0007", true },
	{ "access read holding, address 9", "0001 0000 000d 0a 17 0008 0001 0002 0001 02 0007", true },
	{ "access write holding, address 9", "0001 0000 000d 0a 17 0008 0001 0002 0001 02 0007", false },
	{ "access write holding, address 3, value 7", "0001 0000 000d 0a 17 0008 0001 0002 0001 02 0007", true },
};

static void
test_keyword(void **state)
{
	const struct rule_app_keyword *keyword = &modbus_keywords[0];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(keyword_rows); i++) {
		struct rule_app_test test;
		char err[128] = "";

		rig_renew();
		feed(keyword_rows[i].request, true);
		if (keyword->setup(keyword_rows[i].rule, &test, err, sizeof(err)) != 0)
			fail_msg("%s: %s", keyword_rows[i].rule, err);
		if (keyword->test(&test, rig->builder.base) != keyword_rows[i].match)
			fail_msg("%s on %s", keyword_rows[i].rule, keyword_rows[i].request);
	}
	/* A response without its request matches nothing. */
	rig_renew();
	feed("0001 0000 0004 0a 01 01 01", false);
	for (size_t i = 0; i < TEST_COUNT(keyword_rows); i++) {
		struct rule_app_test test;
		char err[128];

		assert_int_equal(keyword->setup(keyword_rows[i].rule, &test, err, sizeof(err)), 0);
		assert_false(keyword->test(&test, rig->builder.base));
	}
}

static void
test_keyword_errors(void **state)
{
	static const char *const rules[] = {
		"", " ", "function", "function 0", "function 256", "function foo", "function 1, subfunction",
		"function 1, subfunction 65536", "function 8, subfunction 4x", "access", "access execute",
		"access write discretes", "access write input", "access read coils, address", "access read coils, address x",
		"access read coils, address 5<>5", "access read coils, address 65536", "access read coils, address 1, value 1",
		"access write coils, address 1<>5, value 1", "access write coils, value 1", "unit", "unit x", "unit 1<>",
		"unit 1, foo", "function 1, access read", "function !", "function 4294967297",
		"function aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rules); i++) {
		struct rule_app_test test;
		char err[128] = "";

		if (modbus_keywords[0].setup(rules[i], &test, err, sizeof(err)) != -EINVAL)
			fail_msg("accepted: %s", rules[i]);
		assert_true(err[0] != '\0');
	}
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_create, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_samples), CASE(test_cut), CASE(test_extremes), CASE(test_longest), CASE(test_oversized),
		CASE(test_frame), CASE(test_probe), CASE(test_pipeline), CASE(test_same_id), CASE(test_reused_id),
		CASE(test_sub_codes), CASE(test_flood), CASE(test_end), CASE(test_shed), CASE(test_reversed),
		CASE(test_malformed_response), CASE(test_tables), CASE(test_keyword), CASE(test_keyword_errors),
	};

	return cmocka_run_group_tests_name("modbus", tests, NULL, NULL);
}
