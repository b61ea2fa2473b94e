/* Modbus: every function both ways, pairing, hostile input, the tables and the rule keyword. */
#include <errno.h>

#include "proto/modbus/test_modbus.h"
#include "proto/modbus/test_modbus_samples.h"

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
			assert_has(&rig->json, sample->expect[j]);
		if (rig->events != sample->events)
			fail_msg("sample %zu (%s): events %llx, not %llx", i, sample->request,
				(unsigned long long)rig->events, (unsigned long long)sample->events);
		assert_int_equal(flow.pairs.count, 0);
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
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(probe_rows); i++) {
		size_t len = unhex(probe_rows[i].bytes, data, sizeof(data));

		assert_int_equal(modbus_proto.probe(cursor_of(data, len), true, false), probe_rows[i].off_port);
		assert_int_equal(modbus_proto.probe(cursor_of(data, len), false, true), probe_rows[i].on_port);
		assert_int_equal(modbus_proto.sender_is_server(cursor_of(data, len)), probe_rows[i].server);
	}
}

/* Several requests in one segment, answered in another order. */
static void
test_pipeline(void **state)
{
	(void)state;
	feed("0001 0000 0006 01 03 0000 0001 0002 0000 0006 01 03 0010 0001 0003 0000 0006 02 01 0000 0001", true);
	assert_int_equal(flow.pairs.count, 3);
	feed("0003 0000 0004 02 01 01 01", false);
	assert_has(&rig->json, "\"id\":3,");
	feed("0001 0000 0005 01 03 02 0007 0002 0000 0005 01 03 02 0008", false);
	assert_has(&rig->json, "\"id\":2,");
	assert_has(&rig->json, "\"values\":[8]");
	assert_int_equal(rig->count, 6);
	assert_int_equal(rig->events, 0);
	assert_int_equal(flow.pairs.count, 0);
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
	assert_has(&rig->json, "\"read\":{\"address\":0,");
	feed("0000 0000 0005 02 03 02 0007", false);
	assert_true(saw(MODBUS_EVENT_UNSOLICITED_RESPONSE));
	feed("0000 0000 0005 01 04 02 0007", false);
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_ORPHANS]), 2);
	assert_null(strstr(rig->json.data, "\"request\""));
	feed("0000 0000 0003 01 83 06", false);
	assert_has(&rig->json, "\"read\":{\"address\":5,");
	assert_has(&rig->json, "\"ServerDeviceBusy\"");
	assert_int_equal(flow.pairs.count, 0);
}

/* A capture that begins in the middle, or sees one direction only. */
static void
test_midstream(void **state)
{
	(void)state;
	rig->ctx.midstream = true;
	feed("0001 0000 0005 01 03 02 0007", false);
	assert_int_equal(rig->events, 0);
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_ORPHANS]), 1);
	feed("0002 0000 0006 01 03 0000 0001 0003 0000 0006 01 03 0000 0001", true);
	feed("0002 0000 0005 01 03 02 0007", false);
	assert_int_equal(rig->events, 0);
	feed("0002 0000 0005 01 03 02 0007", false);
	assert_true(saw(MODBUS_EVENT_UNSOLICITED_RESPONSE));
}

/* A server that speaks first in a connection that was seen from its beginning. */
static void
test_unasked(void **state)
{
	(void)state;
	feed("0001 0000 0005 01 03 02 0007", false);
	assert_true(saw(MODBUS_EVENT_UNSOLICITED_RESPONSE));
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
	assert_has(&rig->json, "\"id\":2,\"response_time_us\":2500,");
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_UNANSWERED]), 1);
	feed("0000 0000 0005 01 03 02 0007", false);
	assert_true(saw(MODBUS_EVENT_UNSOLICITED_RESPONSE));
}

/* One response is lost: the polls after it are paired rightly, though all have one id. */
static void
test_no_shift(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		feed("0003 0000 0006 00 03 0000 0001", true);
		rig->ctx.ts_ns += 3000000;
		if (i != 4) {
			feed("0003 0000 0005 00 03 02 0007", false);
			assert_has(&rig->json, "\"response_time_us\":3000,");
		}
		rig->ctx.ts_ns += 97000000;
	}
	assert_int_equal(counter_get(&rig->counters[MODBUS_COUNT_UNANSWERED]), 1);
	assert_int_equal(rig->events, E(REUSED_TRANSACTION_ID));
}

/* Diagnostics and MEI are paired by their sub-code as well; an exception names none. */
static void
test_sub_codes(void **state)
{
	(void)state;
	feed("0000 0000 0006 01 08 0002 0000 0000 0000 0006 01 08 000b 0000 0000 0000 0006 01 08 000c 0000", true);
	feed("0000 0000 0006 01 08 000b 0009", false);
	assert_has(&rig->json, "\"id\":2,");
	feed("0000 0000 0003 01 88 01", false);
	assert_has(&rig->json, "\"id\":1,");
	feed("0000 0000 0006 01 08 000c 0009", false);
	assert_has(&rig->json, "\"id\":3,");
	assert_int_equal(rig->events, 0);
}

static void
test_flood(void **state)
{
	(void)state;
	config.request_flood = 4;
	for (unsigned int i = 0; i < 10; i++) {
		uint8_t request[] = { 0, (uint8_t)i, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1 };

		feed_bytes(request, sizeof(request), true);
		assert_true(flow.pairs.count <= 4);
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
	assert_has(&rig->json, "\"request\"");
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
	assert_has(&rig->json, "\"request\"");
	feed("0001 0000 0005 01 03 02 0007", true);
	assert_has(&rig->json, "\"values\":[7]");
	assert_int_equal(flow.pairs.count, 0);
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
	assert_int_equal(flow.pairs.count, 0);
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
	{
		struct rule_app_test test;
		struct rule_app_index index;
		char err[128];

		assert_int_equal(keyword->setup("unit 1, function 8", &test, err, sizeof(err)), 0);
		assert_true(modbus_keyword_index(keyword, &test, &index));
		assert_string_equal(index.path, "request.function_code");
		assert_int_equal(index.value, 8);
		assert_int_equal(keyword->setup("function reserved", &test, err, sizeof(err)), 0);
		assert_true(modbus_keyword_index(keyword, &test, &index));
		assert_string_equal(index.path, "request.category");
		assert_int_equal(index.value, MODBUS_RESERVED);
		assert_int_equal(keyword->setup("function public", &test, err, sizeof(err)), 0);
		assert_false(modbus_keyword_index(keyword, &test, &index));
		assert_int_equal(keyword->setup("unit 7, access write", &test, err, sizeof(err)), 0);
		assert_true(modbus_keyword_index(keyword, &test, &index));
		assert_string_equal(index.path, "request.unit_id");
		assert_int_equal(index.value, 7);
		assert_int_equal(keyword->setup("unit >7, access write coils", &test, err, sizeof(err)), 0);
		assert_true(modbus_keyword_index(keyword, &test, &index));
		assert_string_equal(index.path, "request.access_type");
		assert_int_equal(index.value, MODBUS_WRITE);
		assert_int_equal(index.mask, MODBUS_WRITE);
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

static void
assert_identity_has(const char *text)
{
	if (strstr(rig->identity.data, text) == NULL)
		fail_msg("no %s in %s", text, rig->identity.data);
}

/* V1.1b3 6.21: vendor, product code and revision; then another unit of the same gateway, and one of an empty name. */
static void
test_identity(void **state)
{
	(void)state;
	feed("0001 0000 0005 07 2b0e 01 00", true);
	feed("0001 0000 0018 07 2b0e 01 82 00 00 03 0004 41636d65 0103 502d31 0203 322e31", false);
	assert_int_equal(rig->identities, 1);
	assert_identity_has("\"vendor\":\"Acme\"");
	assert_identity_has("\"order_number\":\"P-1\"");
	assert_identity_has("\"firmware\":\"2.1\"");
	assert_identity_has("\"address\":\"7\"");
	feed("0002 0000 0005 07 2b0e 01 00", true);
	feed("0002 0000 0018 07 2b0e 01 82 00 00 03 0004 41636d65 0103 502d31 0203 322e31", false);
	assert_int_equal(rig->identities, 1);
	feed("0003 0000 0005 c8 2b0e 01 00", true);
	feed("0003 0000 0018 c8 2b0e 01 82 00 00 03 0004 41636d65 0103 502d31 0203 322e31", false);
	assert_int_equal(rig->identities, 2);
	assert_identity_has("\"address\":\"200\"");
	feed("0004 0000 0005 09 2b0e 04 06", true);
	feed("0004 0000 000a 09 2b0e 04 82 00 00 01 0600", false);
	assert_int_equal(rig->identities, 2);
	assert_int_equal(rig->count, 8);
}

/* Objects that their lengths lead out of the PDU: what was whole is told. */
static void
test_identity_cut(void **state)
{
	(void)state;
	feed("0001 0000 000e 07 2b0e 01 82 00 00 02 0004 41636d65", false);
	assert_int_equal(rig->identities, 1);
	feed("0002 0000 0010 07 2b0e 01 82 00 00 03 0003 41636d 0109 50", false);
	assert_int_equal(rig->identities, 2);
	assert_identity_has("\"vendor\":\"Acm\"");
	feed("0003 0000 000a 07 2b0e 01 82 00 00 05 00ff", false);
	assert_int_equal(rig->identities, 2);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_identity), CASE(test_identity_cut),
		CASE(test_samples), CASE(test_cut), CASE(test_extremes), CASE(test_longest), CASE(test_oversized),
		CASE(test_frame), CASE(test_probe), CASE(test_pipeline), CASE(test_same_id), CASE(test_midstream), CASE(test_unasked), CASE(test_reused_id), CASE(test_no_shift),
		CASE(test_sub_codes), CASE(test_flood), CASE(test_end), CASE(test_shed), CASE(test_reversed),
		CASE(test_malformed_response), CASE(test_tables), CASE(test_keyword), CASE(test_keyword_errors),
	};

	return cmocka_run_group_tests_name("modbus", tests, NULL, NULL);
}
