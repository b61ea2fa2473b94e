/* EtherNet/IP and CIP: commands, services and values both ways, pairing, cyclic data, hostile input, tables, keywords. */
#include <errno.h>

#include "proto/enip/enip.h"
#include "proto/enip/test_enip_hex.h"
#include "proto/enip/test_enip_samples.h"
#include "proto/test_rig.h"

extern const struct proto enip_proto;

static struct enip_state flow;
static struct enip_config config;
static const struct rule_app_keyword *keyword; /* under test; NULL: none */
static struct rule_app_test keyword_test;
static uint32_t hits; /* records that it holds for */

/* A record that a keyword holds for carries the keyword's tag: the rule would not be found otherwise. */
static void
check_tag(const struct enip_record *record)
{
	bool to_client = record_is_present(&record->head, ENIP_RESPONSE + ENIP_HAS_HEADER);
	uint32_t tags[RULE_TAGS_MAX], tag;
	unsigned int count = enip_record_tags(record, tags);
	bool found = false;

	if (!enip_keyword_tag(keyword, &keyword_test, &tag) || (keyword->direction == RULE_TO_SERVER && to_client))
		return; /* of the other direction: not asked */
	for (unsigned int i = 0; i < count && i < RULE_TAGS_MAX; i++)
		found = found || tags[i] == tag;
	assert_true(found);
}

static void
match_keyword(unsigned int flags)
{
	const void *record = rig->builder.base;

	if (keyword == NULL || (flags & PROTO_MATCH) == 0 || !keyword->test(&keyword_test, record))
		return;
	hits++;
	check_tag(record);
}

static const struct rig_desc desc = { .proto = &enip_proto, .table = &enip_table, .state = &flow, .config = &config,
	.slab_len = 8 << 20, .json_flags = PROTO_MATCH | PROTO_EMIT, .seen = match_keyword };

static int
setup(void **state)
{
	(void)state;
	config = (struct enip_config){ .max_tx = 256 };
	return rig_create(&desc);
}

static void
renew(void)
{
	rig_renew();
	hits = 0;
}

static void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	assert_int_equal(rig_feed(data, len, to_server), len);
}

static void
feed(const char *hex, bool to_server)
{
	uint8_t data[PDU_MAX];

	feed_bytes(data, unhex(hex, data, sizeof(data)), to_server);
}

static void
feed_cip(const char *cip, uint32_t connection_id, uint16_t sequence, bool to_server)
{
	uint8_t data[PDU_MAX];

	feed_bytes(data, wrap(cip, connection_id, sequence, data), to_server);
}

static void
test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(samples); i++) {
		const struct sample *sample = &samples[i];

		for (uint32_t connection_id = 0; connection_id < 2; connection_id++) {
			renew();
			feed_cip(sample->request, connection_id, 9, true);
			assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_HOLD);
			feed_cip(sample->response, connection_id, 9, false);
			assert_int_equal(rig->count, 2);
			assert_int_equal(rig->flags[1], PROTO_MATCH | PROTO_EMIT);
			for (size_t j = 0; j < TEST_COUNT(sample->expect) && sample->expect[j] != NULL; j++)
				assert_has(&rig->json, sample->expect[j]);
			if (rig->events != sample->events)
				fail_msg("sample %zu (%s): events %llx, not %llx", i, sample->request,
					(unsigned long long)rig->events, (unsigned long long)sample->events);
			assert_int_equal(flow.pairs.count, 0);
		}
	}
}

/* Every sample cut at every length, with lengths made to fit: named, never read beyond. */
static void
test_cut(void **state)
{
	uint8_t data[PDU_MAX];

	(void)state;
	for (size_t i = 0; i < 2 * TEST_COUNT(samples); i++) {
		const char *cip = i % 2 == 0 ? samples[i / 2].request : samples[i / 2].response;
		size_t whole = wrap(cip, 0, 0, data);

		for (size_t len = 1; len < whole; len++) {
			size_t message_len = len > ENIP_HEADER_LEN + 16 ? len - ENIP_HEADER_LEN - 16 : 0;

			assert_true(enip_proto.frame(cursor_of(data, len), true) == 0 ||
				(size_t)enip_proto.frame(cursor_of(data, len), true) > len);
			if (len < ENIP_HEADER_LEN)
				continue;
			put16(data + 2, len - ENIP_HEADER_LEN);
			if (message_len > 0)
				put16(data + ENIP_HEADER_LEN + 14, message_len);
			if (i % 2 == 1)
				feed_cip(samples[i / 2].request, 0, 0, true);
			feed_bytes(data, len, i % 2 == 0);
			whole = wrap(cip, 0, 0, data);
			renew();
		}
	}
}

/* Each byte of each sample at its extremes, and a length field changed at each. */
static void
test_extremes(void **state)
{
	static const uint8_t extremes[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	uint8_t data[PDU_MAX];

	(void)state;
	for (size_t i = 0; i < 2 * TEST_COUNT(samples); i++) {
		const char *cip = i % 2 == 0 ? samples[i / 2].request : samples[i / 2].response;
		size_t len = wrap(cip, 1, 9, data);

		for (size_t at = ENIP_HEADER_LEN; at < len; at++) {
			uint8_t kept = data[at];

			for (size_t j = 0; j < TEST_COUNT(extremes); j++) {
				data[at] = extremes[j];
				if (i % 2 == 1)
					feed_cip(samples[i / 2].request, 1, 9, true);
				feed_bytes(data, len, i % 2 == 0);
				renew();
			}
			data[at] = kept;
		}
	}
}

static void
test_commands(void **state)
{
	(void)state;
	feed("6500 0400 00000000 00000000 0000000000000000 00000000 0100 0000", true);
	feed("6500 0400 78563412 00000000 0000000000000000 00000000 0100 0000", false);
	assert_has(&rig->json, "\"command\":\"register_session\"");
	assert_has(&rig->json, "\"register_session\":{\"protocol_version\":1,\"options\":0}");
	assert_has(&rig->json, "\"session_handle\":305419896");
	feed("6f00 0000 01000000 00000000 0000000000000000 00000000", true);
	assert_true(saw(ENIP_EVENT_UNKNOWN_SESSION));
	feed("6f00 0000 01000000 64000000 0000000000000000 00000000", false);
	assert_has(&rig->json, "\"status\":\"invalid_session\"");
	feed("0400 0000 00000000 00000000 4142434445464748 00000000", true);
	feed("0400 1a00 00000000 00000000 4142434445464748 00000000 0100 0001 1400 0100 2001"
	     "436f6d6d756e69636174696f6e730000", false);
	assert_has(&rig->json, "\"list_services\":{\"protocol_version\":1,\"capabilities\":288,\"service_name\":\"Communications\"}");
	assert_has(&rig->json, "\"sender_context\":\"4142434445464748\"");
	feed("6400 0000 00000000 00000000 0000000000000000 00000000", true);
	feed("6400 0200 00000000 00000000 0000000000000000 00000000 0000", false);
	assert_has(&rig->json, "\"command\":\"list_interfaces\"");
	feed("0100 0000 00000000 00000000 0000000000000000 00000000", true);
	feed("0100 0600 00000000 00000000 0000000000000000 00000000 0100 0100 0000", false);
	assert_has(&rig->json, "\"command\":\"unknown-1\"");
	feed("6600 0000 78563412 00000000 0000000000000000 00000000", true);
	assert_int_equal(rig->flags[rig->count - 1], PROTO_MATCH | PROTO_EMIT);
	assert_int_equal(flow.pairs.count, 0);
	feed("0000 0300 00000000 00000000 0000000000000000 00000000 010203", true);
	assert_has(&rig->json, "\"command\":\"nop\"");
	assert_int_equal(rig->identities, 0);
}

static void
test_list_identity(void **state)
{
	(void)state;
	feed("6300 0000 00000000 00000000 0000000000000000 00000000", true);
	feed("6300 3300 00000000 00000000 0000000000000000 00000000 0100 0c00 2d00 0100"
	     "0002af120a0101a40000000000000000 0100 0c00 3a00 0403 3000 8e4d5200 0b 313735362d454e42542f41 03", false);
	assert_has(&rig->json, "\"revision\":\"4.3\"");
	assert_has(&rig->json, "\"vendor_id\":\"Rockwell Automation/Allen-Bradley\"");
	assert_has(&rig->json, "\"device_type\":\"Communications Adapter\"");
	assert_has(&rig->json, "\"serial\":5393806");
	assert_has(&rig->json, "\"product_name\":\"1756-ENBT/A\"");
	assert_has(&rig->json, "\"state\":3");
	assert_has(&rig->json, "\"socket_address\":\"10.1.1.164\",\"socket_port\":44818");
	assert_int_equal(rig->identities, 1);
	assert_has(&rig->identity, "1756-ENBT/A");
	assert_has(&rig->identity, "00524d8e");
	assert_has(&rig->identity, "4.3");
	feed("6300 0000 00000000 00000000 0000000000000000 00000000", true);
	feed("6300 3300 00000000 00000000 0000000000000000 00000000 0100 0c00 2d00 0100"
	     "0002af120a0101a40000000000000000 0100 0c00 3a00 0403 3000 8e4d5200 0b 313735362d454e42542f41 03", false);
	assert_int_equal(rig->identities, 1); /* said before */
	assert_int_equal(rig->events, 0);
	/* A name that is longer than its item. */
	feed("6300 0000 00000000 00000000 0000000000000000 00000000", true);
	feed("6300 3300 00000000 00000000 0000000000000000 00000000 0100 0c00 2d00 0100"
	     "0002af120a0101a40000000000000000 0100 0c00 3a00 0403 3000 8e4d5200 ff 313735362d454e42542f41 03", false);
	assert_true((rig->events >> ENIP_EVENT_INVALID_ITEM & 1) != 0);
}

#define OPEN_PATH "20022401"
#define OPEN_REQUEST "5402 20062401 0a 0e 00000000 01020304 0100 4d00 78563412 03 000000 10270000 f443 10270000 f443 a3 02" OPEN_PATH
#define OPEN_REPLY "d400 0000 aabbccdd 01020304 0100 4d00 78563412 10270000 10270000 00 00"

/* Every bit of the network connection parameters, in the form of 16 bits and that of 32. */
static void
test_connection_parameters(void **state)
{
	(void)state;
	feed_cip("5402 20062401 0a 0e 00000000 01020304 0100 4d00 78563412 03 000000 10270000 f4c7 10270000 ff29 11 02" OPEN_PATH, 0, 0, true);
	assert_has(&rig->json, "\"o_t_size\":500,\"t_o_size\":511,\"o_t_type\":\"point_to_point\",\"t_o_type\":\"multicast\","
		"\"o_t_priority\":\"high\",\"t_o_priority\":\"scheduled\",\"o_t_size_type\":\"variable\",\"t_o_size_type\":\"fixed\","
		"\"o_t_redundant_owner\":true,\"t_o_redundant_owner\":false,\"o_t_parameters\":51188,\"t_o_parameters\":10751,"
		"\"transport_class_trigger\":17,\"transport_class\":1,\"trigger\":\"change_of_state\",\"server\":false,"
		"\"timeout_multiplier\":3,\"timeout_ms\":14336,\"path\"");
	assert_int_equal(rig->events, 0);
	renew();
	feed_cip("5b02 20062401 01 ff 00000000 01020304 0100 4d00 78563412 03 000000 10270000 a00f0042 10270000 0100008c a3 02" OPEN_PATH,
		0, 0, true);
	assert_has(&rig->json, "\"o_t_size\":4000,\"t_o_size\":1,\"o_t_type\":\"point_to_point\",\"t_o_type\":\"null\","
		"\"o_t_priority\":\"low\",\"t_o_priority\":\"urgent\",\"o_t_size_type\":\"variable\",\"t_o_size_type\":\"fixed\","
		"\"o_t_redundant_owner\":false,\"t_o_redundant_owner\":true,\"o_t_parameters\":1107300256,\"t_o_parameters\":2348810241,"
		"\"transport_class_trigger\":163,");
	assert_has(&rig->json, "\"timeout_ms\":510,");
	assert_int_equal(rig->events, 0);
	renew();
	feed_cip("4e02 20062401 07 9b 0100 4d00 78563412 02 00" OPEN_PATH, 0, 0, true);
	assert_has(&rig->json, "\"originator_serial_number\":305419896,\"timeout_ms\":19840,\"path\"");
}

static void
test_connection(void **state)
{
	(void)state;
	feed_cip(OPEN_REQUEST, 0, 0, true);
	assert_has(&rig->json, "\"class_service\":\"Forward Open\"");
	assert_has(&rig->json, "\"o_t_size\":500");
	assert_has(&rig->json, "\"o_t_type\":\"point_to_point\"");
	assert_has(&rig->json, "\"transport_class\":3,\"trigger\":\"application\",\"server\":true");
	feed_cip(OPEN_REPLY, 0, 0, false);
	assert_has(&rig->json, "\"o_t_connection_id\":3721182122");
	feed_cip("0e03 20012401 3001", 0xddccbbaa, 1, true);
	assert_has(&rig->json, "\"connection\":{\"serial_number\":1,");
	assert_has(&rig->json, "\"class_name\":\"Message Router\"");
	feed_cip("8e00 0000 0100", 0x04030201, 1, false);
	assert_has(&rig->json, "\"value\":1");
	feed_cip("4e02 20062401 0a 0e 0100 4d00 78563412 02 00" OPEN_PATH, 0, 0, true);
	feed_cip("ce00 0000 0100 4d00 78563412 00 00", 0, 0, false);
	feed_cip("0e03 20012401 3001", 0xddccbbaa, 2, true);
	assert_null(strstr((const char *)rig->json.data, "\"transport_class\""));
	assert_int_equal(rig->events, 0);
	renew();
	feed_cip("5402 20062401 0a 0e 00000000 01020304 0100 4d00 78563412 03 000000 10270000 f443 10270000 f443 a3 05 "
		 "5003 000102030405 2039", 0, 0, true);
	assert_has(&rig->json, "\"safety\":true");
	feed_cip("d400 0101 0701 0100 4d00 78563412 02 00", 0, 0, false);
	assert_has(&rig->json, "\"status\":\"Connection Failure\"");
	assert_has(&rig->json, "\"status_extended\":\"0701\",\"status_extended_meaning\":\"Target connection not found\"");
	assert_has(&rig->json, "\"remaining_path_words\":2");
	for (unsigned int i = 0; i < ENIP_CONNECTIONS_MAX; i++) {
		char reply[] = "d400 0000 00bbccdd 01020304 0100 4d00 78563412 10270000 10270000 00 00";

		/* One that has the number of another takes its place. */
		assert_false(saw(ENIP_EVENT_TOO_MANY_CONNECTIONS));
		snprintf(reply + 10, 3, "%02x", i);
		reply[12] = 'b';
		feed_cip(OPEN_REQUEST, 0, 0, true);
		feed_cip(OPEN_REPLY, 0, 0, false);
		feed_cip(OPEN_REQUEST, 0, 0, true);
		feed_cip(reply, 0, 0, false);
	}
	assert_true(saw(ENIP_EVENT_TOO_MANY_CONNECTIONS));
}

/* Two connections count their messages each for itself: what has one number on both is told by the connection, in any order. */
static void
test_two_connections(void **state)
{
	(void)state;
	for (unsigned int known = 0; known < 3; known++) { /* of the two, from the first on */
		renew();
		feed_cip(OPEN_REQUEST, 0, 0, true);
		feed_cip(OPEN_REPLY, 0, 0, false);
		if (known > 0) {
			feed_cip(OPEN_REQUEST, 0, 0, true);
			feed_cip("d400 0000 11223344 05060708 0200 4d00 78563412 10270000 10270000 00 00", 0, 0, false);
		}
		feed_cip("0e03 20012401 3001", 0xddccbbaa, 7, true);
		feed_cip("0e03 20012401 3007", 0x44332211, 7, true);
		if (known == 2) { /* closed meanwhile: its answer is not lost */
			feed_cip("4e02 20062401 0a 0e 0200 4d00 78563412 02 00" OPEN_PATH, 0, 0, true);
			feed_cip("ce00 0000 0200 4d00 78563412 00 00", 0, 0, false);
			feed_cip("8e00 0000 0100", 0x04030201, 7, false);
		}
		feed_cip("8e00 0000 02 4142", known == 0 ? 0x01010101 : 0x08070605, 7, false);
		if (known > 0)
			assert_has(&rig->json, "\"value\":\"AB\"");
		if (known < 2)
			feed_cip("8e00 0000 0100", 0x04030201, 7, false);
		if (known == 1)
			assert_has(&rig->json, "\"value\":1");
		assert_int_equal(rig->events, 0);
		assert_int_equal(flow.pairs.count, 0);
	}
}

static void
test_pairing(void **state)
{
	(void)state;
	feed_cip("0e03 20012401 3001", 5, 1, true);
	feed_cip("0e03 20012401 3007", 5, 2, true);
	feed_cip("8e00 0000 02 4142", 6, 2, false);
	assert_has(&rig->json, "\"value\":\"AB\"");
	feed_cip("8e00 0000 0500", 6, 1, false);
	assert_has(&rig->json, "\"value\":5");
	assert_int_equal(rig->events, 0);
	feed_cip("8e00 0000 0500", 6, 1, false);
	assert_true(saw(ENIP_EVENT_UNSOLICITED_RESPONSE));
	feed_cip("0e03 20012401 3001", 0, 0, true);
	feed_cip("cc00 0000 c300 0500", 0, 0, false);
	assert_true(saw(ENIP_EVENT_SERVICE_MISMATCH));
	feed_cip("0e03 20012401 3001", 5, 1, true);
	rig->ctx.ts_ns += UINT64_C(5000000000);
	feed_cip("0e03 20012401 3001", 5, 1, true);
	assert_true(saw(ENIP_EVENT_REUSED_CONTEXT));
	renew();
	rig->ctx.midstream = true;
	feed_cip("8e00 0000 0500", 6, 1, false); /* the capture began behind its request */
	assert_int_equal(rig->events, 0);
	renew();
	rig->ctx.midstream = false;
	feed_cip("8e00 0000 0500", 6, 1, false);
	assert_true(saw(ENIP_EVENT_UNSOLICITED_RESPONSE));
	renew();
	rig->ctx.tcp = false;
	for (unsigned int i = 0; i < 2; i++, rig->ctx.ts_ns += UINT64_C(60000000000)) {
		feed("6300 0000 00000000 00000000 0000000000000000 00000000", true); /* who is there? */
		assert_int_equal(rig->events, 0);
	}
	rig->ctx.tcp = true;
	renew();
	config.max_tx = 4;
	for (uint16_t i = 0; i < 6; i++)
		feed_cip("0e03 20012401 3001", 5, i, true);
	assert_true(saw(ENIP_EVENT_TOO_MANY_TRANSACTIONS));
	assert_int_equal(flow.pairs.count, 4);
	config.max_tx = 256;
}

/* No memory: a request is written at once, nothing is tracked, nothing breaks. */
static void
test_shed(void **state)
{
	struct slab *slab = rig->slab;

	(void)state;
	rig->ctx.slab = NULL;
	feed_cip(OPEN_REQUEST, 0, 0, true);
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_EMIT);
	feed_cip(OPEN_REPLY, 0, 0, false);
	rig->ctx.tcp = false;
	feed("0200 0280 0800 aabbccdd 01000000 b100 0400 0100 1122", true);
	assert_true(rig->counters[ENIP_COUNT_SHED] >= 1);
	rig->ctx.slab = slab;
}

static void
test_io(void **state)
{
	(void)state;
	rig->ctx.tcp = false;
	feed("0200 0280 0800 aabbccdd 01000000 b100 0600 0100 11223344", true);
	assert_int_equal(rig->count, 1);
	assert_has(&rig->json, "\"io\":{\"reason\":\"first\",\"connection_id\":3721182122,\"sequence_number\":1,\"data_length\":6");
	assert_has(&rig->json, "\"data\":\"010011223344\"");
	feed("0200 0280 0800 aabbccdd 02000000 b100 0600 0200 11223344", true);
	feed("0200 0280 0800 aabbccdd 03000000 b100 0600 0300 11223355", true);
	assert_int_equal(rig->count, 1);
	assert_int_equal(rig->events, 0);
	feed("0200 0280 0800 aabbccdd 06000000 b100 0400 0400 1122", true);
	assert_int_equal(rig->count, 2);
	assert_has(&rig->json, "\"reason\":\"length_changed\"");
	assert_true(saw(ENIP_EVENT_IO_SEQUENCE));
	assert_true(saw(ENIP_EVENT_IO_LENGTH));
	feed("0200 0280 0800 11bbccdd 06000000 b100 0400 0400 1122", false);
	assert_int_equal(rig->count, 3);
	enip_proto.end(&rig->ctx);
	assert_int_equal(rig->count, 5);
	assert_int_equal(rig->flags[4], PROTO_EMIT | PROTO_CYCLIC | PROTO_SUMMARY);
	renew();
	rig->ctx.levels.cyclic = PROTO_LOG_CHANGES;
	feed("0200 0280 0800 aabbccdd 01000000 b100 0600 0100 11223344", true);
	feed("0200 0280 0800 aabbccdd 02000000 b100 0600 0200 11223344", true);
	feed("0200 0280 0800 aabbccdd 03000000 b100 0600 0300 11223355", true);
	assert_int_equal(rig->count, 2);
	assert_has(&rig->json, "\"reason\":\"data_changed\"");
	rig->ctx.levels.cyclic = PROTO_LOG_ALL;
	feed("0200 0280 0800 aabbccdd 04000000 b100 0600 0400 11223355", true);
	assert_int_equal(rig->count, 3);
	enip_proto.end(&rig->ctx);
	assert_has(&rig->json, "\"packets\":4,\"changes\":1,\"lost\":0");
	feed("7000 1a00 00000000 00000000 0000000000000000 00000000 00000000 0000 0200 a100 0400 aabbccdd b100 0600 0500 11223366", true);
	assert_has(&rig->json, "\"data\":\"050011223366\"");
	for (uint32_t i = 0; i < ENIP_IO_MAX + 3; i++) {
		uint8_t data[32];
		size_t len = unhex("0200 0280 0800 00bbccdd 01000000 b100 0600 0100 11223344", data, sizeof(data));

		data[6] = (uint8_t)i;
		feed_bytes(data, len, true);
	}
}

static void
test_security(void **state)
{
	(void)state;
	feed("1603010004 01000000", true);
	feed("1703030004 01020304", true);
	assert_int_equal(rig->count, 1);
	assert_has(&rig->json, "\"security\":{\"version\":\"TLS 1.0\"}");
}

static enum proto_probe
probe_of(const char *hex, bool to_server, bool on_port)
{
	uint8_t data[PDU_MAX];

	return enip_proto.probe(cursor_of(data, unhex(hex, data, sizeof(data))), to_server, on_port);
}

static enum proto_probe
probe(const char *hex, bool on_port)
{
	return probe_of(hex, true, on_port);
}

static void
test_probe(void **state)
{
	(void)state;
	assert_int_equal(probe("6300 0000 00000000 00000000 0000000000000000 00000000", false), PROTO_PROBE_YES);
	/* a list request asks a server: what a server sends like one is 24 octets of nearly nothing */
	assert_int_equal(probe_of("6300 0000 00000000 00000000 0000000000002c0e 00000000", false, false), PROTO_PROBE_NO);
	assert_int_equal(probe("0400 0000 00000000 18000000 0000000006000000 00000000", false), PROTO_PROBE_NO);
	assert_int_equal(probe_of("6600 0000 01000000 00000000 0000000000000000 00000000", false, false), PROTO_PROBE_YES);
	assert_int_equal(probe("6500 0400 00000000 00000000 0000000000000000 00000000 0100 0000", false), PROTO_PROBE_YES);
	assert_int_equal(probe("6500 0400 00000000 00000000 0000000000000000 00000000 0200 0000", false), PROTO_PROBE_NO);
	assert_int_equal(probe("6500 0400 00000000 00000000 0000000000000000 00000000", false), PROTO_PROBE_MORE);
	assert_int_equal(probe("65", false), PROTO_PROBE_MORE);
	assert_int_equal(probe("47455420 2f", true), PROTO_PROBE_NO);
	assert_int_equal(probe("6f00 1000 01000000 00000000 0000000000000000 00000000 00000000 0000 0200 0000 0000 b200 0000", false),
		PROTO_PROBE_YES);
	assert_int_equal(probe("6f00 1000 01000000 00000000 0000000000000000 00000000 00000000 0000 0900 0000 0000 b200 0000", false),
		PROTO_PROBE_NO);
	assert_int_equal(probe("0000 0000 00000000 00000000 0000000000000000 00000000", false), PROTO_PROBE_NO);
	assert_int_equal(probe("0000 0000 00000000 00000000 0000000000000000 00000000", true), PROTO_PROBE_YES);
	assert_int_equal(probe("0000 0000 00000000 00000000 0000000000000000 00000000 0000", true), PROTO_PROBE_NO);
	assert_int_equal(probe("0000 0100 00000000 00000000 0000000000000000 00000000 00", true), PROTO_PROBE_YES);
	assert_int_equal(probe("0200 0280 0800 aabbccdd 01000000 b100 0400 0100 1122", false), PROTO_PROBE_YES);
	assert_int_equal(probe("1603010004 01000000", false), PROTO_PROBE_NO);
	assert_int_equal(probe("1603010004 01000000", true), PROTO_PROBE_YES);
}

static void
test_tables(void **state)
{
	static const struct field_names *const all[] = { &enip_commands, &enip_statuses, &enip_cip_services,
		&enip_cip_statuses, &enip_extended_statuses, &enip_cip_classes, &enip_data_types, &enip_item_types,
		&enip_segment_types, &enip_pccc_functions, &enip_pccc_file_types, &enip_device_types, &enip_vendors };
	const char *wrong = record_table_check(&enip_table);

	(void)state;
	if (wrong != NULL)
		fail_msg("%s", wrong);
	for (size_t i = 0; i < TEST_COUNT(all); i++)
		for (uint16_t j = 1; j < all[i]->count; j++)
			assert_true(all[i]->rows[j - 1].value < all[i]->rows[j].value);
	for (unsigned int i = 1; i < enip_service_count; i++)
		assert_true(enip_service_table[i - 1].service < enip_service_table[i].service ||
			(enip_service_table[i - 1].service == enip_service_table[i].service &&
				enip_service_table[i - 1].class_id < enip_service_table[i].class_id));
	for (uint32_t class_id = 0; class_id < 0x100; class_id++)
		for (uint32_t id = 0; id < 32; id++) {
			const struct enip_attribute *row = enip_attribute_find(class_id, class_id != 0, id);

			assert_true(row == NULL || (row->class_id == class_id && row->attribute_id == id));
		}
	assert_non_null(enip_attribute_find(0xf6, true, 3));
	assert_true(sizeof(struct enip_state) <= SLAB_BLOCK_MAX);
}

/* Keywords asked of a whole conversation: how many records each matches. */
static void
test_keyword(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(keyword_cases); i++) {
		char err[160] = "";

		keyword = NULL;
		for (unsigned int j = 0; j < ENIP_KEYWORD_COUNT; j++)
			if (strcmp(enip_keywords[j].name, keyword_cases[i].name) == 0)
				keyword = &enip_keywords[j];
		assert_non_null(keyword);
		assert_int_equal(keyword->setup(keyword_cases[i].value, &keyword_test, err, sizeof(err)), 0);
		renew();
		feed_cip("0e03 20012401 3007", 0, 0, true);
		feed_cip("8e00 0801 0701", 0, 0, false);
		feed_cip("0a02 20022401 0100 0400 0302 20012401 0100 0200", 0, 0, true);
		feed_cip("8a00 0000 0100 0400 8300 0000 0100 0200 0000 0c00", 0, 0, false);
		feed("6300 0000 00000000 00000000 0000000000000000 00000000", true);
		feed("6300 3300 00000000 00000000 0000000000000000 00000000 0100 0c00 2d00 0100 0002af120a0101a40000000000000000"
		     "0100 0c00 3a00 0403 3000 8e4d5200 0b 313735362d454e42542f41 03", false);
		if (strncmp(keyword_cases[i].name, "enip.cip_", 9) == 0 && keyword->direction == RULE_TO_SERVER) {
			/* The engine asks in one direction only; here both halves of a pair hold the request. */
			assert_true(hits > 0 && hits <= 4);
			continue;
		}
		if (hits != keyword_cases[i].hits)
			fail_msg("%s:%s matched %u records, not %u", keyword_cases[i].name, keyword_cases[i].value, hits, keyword_cases[i].hits);
	}
	keyword = NULL;
}

static void
test_keyword_errors(void **state)
{
	static const char *const bad[] = { "", "x", "1 2", "<", "5-4", "&3", "99999999999", "1,", "1,2,3,4", "!" };
	char err[160];

	(void)state;
	for (unsigned int i = 0; i < ENIP_KEYWORD_COUNT; i++)
		for (size_t j = 0; j < TEST_COUNT(bad); j++) {
			struct rule_app_test out;

			err[0] = '\0';
			assert_int_equal(enip_keywords[i].setup(bad[j], &out, err, sizeof(err)), -EINVAL);
			assert_true(err[0] != '\0');
		}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_samples),
		CASE(test_cut),
		CASE(test_extremes),
		CASE(test_commands),
		CASE(test_list_identity),
		CASE(test_connection), CASE(test_connection_parameters),
		CASE(test_two_connections), CASE(test_pairing),
		CASE(test_shed),
		CASE(test_io),
		CASE(test_security),
		CASE(test_probe),
		CASE(test_tables),
		CASE(test_keyword),
		CASE(test_keyword_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
