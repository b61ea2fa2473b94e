/* S7comm-plus: functions both ways, values of every type, fragments, integrity, TLS, hostile input, the tables. */
#include <errno.h>

#include "proto/s7comm_plus/s7comm_plus.h"
#include "proto/test_rig.h"

extern const struct proto s7comm_plus_proto;

enum { TPKT_MAX = 8192 };

static struct s7p_state flow;
static struct s7p_config config;
static const struct rig_desc desc = { .proto = &s7comm_plus_proto, .table = &s7p_table, .state = &flow, .config = &config,
	.slab_len = 1 << 20, .json_flags = PROTO_MATCH | PROTO_EMIT };

static int
setup(void **state)
{
	(void)state;
	config = (struct s7p_config){ .request_flood = 16, .message_max = 65536 };
	return rig_create(&desc);
}

/* A COTP message in its headers, at the end of a heap block, so that the sanitizer sees every read beyond it. */
static void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	uint8_t *tpkt = malloc(len + 7);

	assert_non_null(tpkt);
	memcpy(tpkt, (const uint8_t[]){ 3, 0, (uint8_t)((len + 7) >> 8), (uint8_t)(len + 7), 2, 0xf0, 0x80 }, 7);
	memcpy(tpkt + 7, data, len);
	assert_int_equal(s7comm_plus_proto.frame(cursor_of(tpkt, len + 7), to_server), len + 7);
	rig->ctx.to_server = to_server;
	s7comm_plus_proto.parse(&rig->ctx, cursor_of(tpkt, len + 7));
	rig->events |= rig->ctx.events;
	rig->ctx.events = 0;
	free(tpkt);
}

/* The data part, wrapped as version 1 to 3 with a trailer (or without one: more parts follow). */
static size_t
wrap(unsigned int version, const char *hex, bool last, uint8_t *out)
{
	size_t at = S7P_HEADER_LEN, len;

	if (version == S7P_V3) {
		out[at++] = S7P_DIGEST_LEN;
		memset(out + at, 0xd1, S7P_DIGEST_LEN);
		at += S7P_DIGEST_LEN;
	}
	at += unhex(hex, out + at, TPKT_MAX);
	len = at - S7P_HEADER_LEN;
	out[0] = S7P_PROTOCOL_ID;
	out[1] = (uint8_t)version;
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	if (last) {
		memcpy(out + at, (const uint8_t[]){ S7P_PROTOCOL_ID, (uint8_t)version, 0, 0 }, S7P_HEADER_LEN);
		at += S7P_HEADER_LEN;
	}
	return at;
}

static void
send(unsigned int version, const char *hex, bool to_server)
{
	uint8_t out[TPKT_MAX + 64];

	feed_bytes(out, wrap(version, hex, true, out), to_server);
}

#define REQUEST(function) "31 0000 " function " 0000 0001 000003c0 34 "
#define RESPONSE(function) "32 0000 " function " 0000 0001 34 "
#define QUALIFIER " 000004e8 89 69 0012 00000000 89 6a 0013 00 89 6b 0004 00 00 00000000"

static const struct {
	unsigned int version;
	const char *request, *response;
	const char *expect[7];
	const char *identity[4];
} samples[] = {
	{ .version = S7P_V1,
		.request = "31 0000 04ca 0000 0001 00000120 36 0000011d 00 04 00 00000000 a1 000000d3 821f 00 00 "
			"a3 8169 0015 04 54455354 a3 822b 0004 02 a1 000000d3 817f 00 00 a2 a2 00000000",
		.response = "32 0000 04ca 0000 0001 36 00 02 8708 8709 a1 00000120 821f 00 00 a3 822f 1002 04 01020304 "
			"a3 8232 0017 0000013a 823b 0004 8200 823f 0015 1b 313b 36455337203531312d31414b30302d30414230 203b 56312e38 00 a2 00000000",
		.expect = { "\"function_name\":\"Create Object\"", "\"session_id\":288", "\"object_ids\":[904,905]",
			"\"relation_name\":\"GetNewRIDOnServer\",\"class_id\":287,\"class_name\":\"ClassServerSession\",\"depth\":1",
			"\"name\":\"ObjectVariableTypeName\",\"type\":\"WString\",\"flags\":0,\"values\":[\"TEST\"]",
			"\"name\":\"ServerSessionChallenge\",\"type\":\"USInt\",\"flags\":16,\"values\":[1,2,3,4]",
			"\"id\":315,\"name\":\"LIDSessionVersionSystemOMS\",\"depth\":1,\"type\":\"UDInt\",\"flags\":0,\"values\":[256]" },
		.identity = { "\"order_number\":\"6ES7 511-1AK00-0AB0\"", "\"firmware\":\"V1.8\"" } },
	{ .version = S7P_V2, .request = REQUEST("054c") "00000000 02 0b 81ffccb577 88d0b88003 02 09 0a 00 52 01 8768" QUALIFIER,
		.response = RESPONSE("054c") "00 01 00 0e 3fc00000 00 02 8184 80fe 00 00",
		.expect = { "\"function_name\":\"Get Multi Variables\"", "\"area\":\"DB\",\"db_number\":3", "\"lids\":[9,10]",
			"\"area\":\"M\"", "\"values\":[1.5]", "\"errors\":[{\"id\":2," } },
	{ .version = S7P_V3, .request = REQUEST("0542") "00000000 01 04 00 88d0b88007 01 09 01 00 07 fff6" QUALIFIER,
		.response = RESPONSE("0542") "00 00 00000000",
		.expect = { "\"function_name\":\"Set Multi Variables\"", "\"db_number\":7", "\"type\":\"Int\",\"flags\":0,\"values\":[-10]",
			"\"integrity\":{\"digest\":\"d1d1", "\"return_value\":0" } },
	{ .version = S7P_V2, .request = REQUEST("0542") "000003c0 01 01 8232 01 00 02 07" QUALIFIER, .response = RESPONSE("0542") "00 00",
		.expect = { "\"object_id\":960", "\"object_ids\":[306]", "\"object_id\":960,\"id\":1,\"type\":\"USInt\"" } },
	{ .version = S7P_V2, .request = REQUEST("04f2") "1000006a 01 881d 00 07 0006" QUALIFIER, .response = "02 0000 04f2 0000 0001 34 00",
		.expect = { "\"object_id\":268435562", "\"id\":1053,\"name\":\"SubscriptionCreditLimit\"", "\"values\":[6]",
			"\"opcode_name\":\"Response2\"" } },
	{ .version = S7P_V2, .request = REQUEST("0586") "00000032 20 04 01 9a7b 00" QUALIFIER,
		.response = RESPONSE("0586") "00 00 00 14 00 28 0000 2a00 36455337203231342d31484533302d30584230 20 53205a56425958583031363738333520",
		.expect = { "\"function_name\":\"Get Variable Sub Streamed\"", "\"type\":\"UDInt\",\"flags\":32,\"values\":[3451]",
			"\"type\":\"Blob\"" },
		.identity = { "\"order_number\":\"6ES7 214-1HE30-0XB0\"", "\"serial\":\"S ZVBYXX0167835\"" } },
	{ .version = S7P_V2, .request = REQUEST("04d4") "000003c0", .response = RESPONSE("04d4") "00 000003c0",
		.expect = { "\"function_name\":\"Delete Object\"", "\"object_id\":960", "\"return_value\":0,\"error_code\":0" } },
	{ .version = S7P_V2, .request = REQUEST("04bb") "00000003 00 01 00 01 00 02 8169 9315 00000000", .response = RESPONSE("04bb") "00 00000001 a1 00000001 932e 30 00 a3 8169 0015 02 4f4b a2 00",
		.expect = { "\"function_name\":\"Explore\"", "\"object_id\":3,", "\"object_ids\":[233,2453]", "\"class_id\":2478", "\"values\":[\"OK\"]" } },
	{ .version = S7P_V2, .request = REQUEST("0524") "00000031 915e 0000 00000000",
		.response = RESPONSE("0524") "00 02 88e10102 00000021 00000000",
		.expect = { "\"function_name\":\"Get Link\"", "\"object_id\":49", "\"object_ids\":[2270]", "\"links\":[2296447234,33]" } },
	/* What is called gives three results, and a fourth where its first item is none. */
	{ .version = S7P_V2, .request = REQUEST("056b") "00000120 00000000 01 00 04 05 00 00 00000000",
		.response = RESPONSE("056b") "00 00 00 01 00 07 fffe 00 00 00000000",
		.expect = { "\"function_name\":\"Invoke\"", "\"object_id\":288", "\"type\":\"UDInt\",\"flags\":0,\"values\":[5]",
			"\"id\":1,\"type\":\"Int\",\"flags\":0,\"values\":[-2]", "\"return_value\":0" } },
	{ .version = S7P_V2, .request = REQUEST("056b") "00000120 00000000 00 00 00000000",
		.response = RESPONSE("056b") "00 00 00 02 01 00 02 09 00 00 00000000",
		.expect = { "\"id\":1,\"type\":\"USInt\",\"flags\":0,\"values\":[9]" } },
	/* A sequence begins with an object or for an id, and is answered by an object's; in version 1 it has a type only. */
	{ .version = S7P_V2, .request = REQUEST("0556") "02 0001 00 a1 7fffc001 8d24 00 00 a3 8169 00 15 01 44 a2 00000000",
		.response = RESPONSE("0556") "00 0012 1000006a 00000000",
		.expect = { "\"transaction_type\":2", "\"relation_id\":2147467265,\"relation_name\":\"unknown\",\"class_id\":1700",
			"\"values\":[\"D\"]", "\"object_ids\":[268435562]" } },
	{ .version = S7P_V2, .request = REQUEST("0556") "04 0012 00000003 00000000", .response = RESPONSE("0556") "00 0012 00000000 00000000",
		.expect = { "\"object_id\":3,", "\"transaction_type\":4" } },
	{ .version = S7P_V1, .request = REQUEST("0556") "01 00000000", .response = RESPONSE("0556") "00 00000000",
		.expect = { "\"transport_flags\":52,\"transaction_type\":1" } },
	{ .version = S7P_V2, .request = REQUEST("0560") "0100 00000000", .response = RESPONSE("0560") "00 00000000",
		.expect = { "\"function_code\":1376,\"function_name\":\"End Sequence\",\"sequence_number\":1,\"session_id\":960,\"transport_flags\":52,\"response\"" } },
	{ .version = S7P_V2, .request = REQUEST("04fc") "000003c0 01 8232" QUALIFIER, .response = RESPONSE("04fc") "00 00 17 0000013a 823b 00 04 03 00 00000000",
		.expect = { "\"function_name\":\"Get Variable\"", "\"object_ids\":[306]", "\"object_id\":960,\"id\":306,\"name\":\"ServerSessionVersion\"",
			"\"id\":315,\"name\":\"LIDSessionVersionSystemOMS\",\"depth\":1,\"type\":\"UDInt\",\"flags\":0,\"values\":[3]" } },
	/* The way to a variable of four numbers: two ids, a 0 and the length of what is written. */
	{ .version = S7P_V2, .request = REQUEST("04f2") "1000006a 04 9376 05 00 02 00 07 fffd" QUALIFIER, .response = RESPONSE("04f2") "00 00000000",
		.expect = { "\"object_ids\":[5]", "\"object_id\":268435562,\"id\":5,\"type\":\"Int\",\"flags\":0,\"values\":[-3]" } },
	/* The value that is written stands behind the qualifier. */
	{ .version = S7P_V2, .request = REQUEST("057c") "00000032 20 04 01 9a7b" " 000004e8 89 69 0012 00000000 89 6a 0013 00 89 6b 0004 00 00"
			" 0000 00 14 01 03 0a0b0c 00000000", .response = RESPONSE("057c") "00 00000000",
		.expect = { "\"function_name\":\"Set Variable Sub Streamed\"", "\"values\":[3451]", "\"type\":\"Blob\",\"flags\":0,\"values\":[\"0a0b0c\"]" } },
	/* A link is read by as many numbers as the second count says. */
	{ .version = S7P_V2, .request = REQUEST("054c") "88e10102 01 02 8232 823b" QUALIFIER, .response = RESPONSE("054c") "00 01 00 02 07 00 00",
		.expect = { "\"object_ids\":[306,315]" } },
	/* Tags' types are passed over, their names are not; an attribute of an object has flags. */
	{ .version = S7P_V3, .request = REQUEST("04bb") "00000003 00 01 00 01 00 00", .response = RESPONSE("04bb") "00 00000001 8123 a1 00000001 932e 30 8169 07 "
			"ab 0006 010203040506 0002 0102 0000 ac 0004 02 6869 00 0007 03 502d31 00 0900 0000 a3 8169 0015 02 4f4b a2 a1 00000002 932f 30 00 ab 0000 01020304 a3 8169 0015 01 21 a2 00",
		.expect = { "\"tags\":[{\"object_id\":1,\"name\":\"hi\"},{\"object_id\":1,\"name\":\"P-1\"}]", "\"values\":[\"OK\"]", "\"relation_id\":2,", "\"values\":[\"!\"]" } },
	/* Tags described one by one: of a word, of a bit, of an array of one and of two dimensions, of an instance. */
	{ .version = S7P_V2, .request = REQUEST("04bb") "00000003 00 01 00 01 00 00", .response = RESPONSE("04bb") "00 00000001 a1 00000052 b453 00 00 "
			"a7 04 03 4d5730 00 0b 04 01900000 09 00 00 04 00 00 a8 a7 01 01 62 00 01 01 00000000 0a 00 01 02 03 04 a8 "
			"a7 02 01 61 00 07 05 00000000 0b 00 01 02 7f 8105 03 04 a8 a7 03 01 6d 00 07 05 00000000 0c 00 01 02 03 04 02 00 05 7f 06 a8 "
			"a7 08 01 69 00 17 11 00000000 0d 8345 01 02 03 04 05 06 a8 a3 8169 0015 02 4f4b a2 00 00000000",
		.expect = { "\"tags\":[{\"object_id\":82,\"name\":\"MW0\",\"lid\":9,\"type\":\"Word\"},{\"object_id\":82,\"name\":\"b\",\"lid\":10,\"type\":\"Bool\"}",
			"\"name\":\"a\",\"lid\":11,\"type\":\"Int\"", "\"name\":\"m\",\"lid\":12,", "\"name\":\"i\",\"lid\":13,\"type\":\"Struct\"}]",
			"\"values\":[\"OK\"]" } },
	/* What looks like an object in a digest is none. */
	{ .version = S7P_V2, .request = REQUEST("04ca") "0000011d 00 04 00 00000000 8123 a1 000000d3 821f 00 00 a2 00000000",
		.response = RESPONSE("04ca") "00 01 8708 8123 20 a10000000082 1f0000a38169001502 00000000",
		.expect = { "\"object_ids\":[904]", "\"objects\":[{\"relation_id\":211,\"relation_name\":\"GetNewRIDOnServer\",\"class_id\":287,\"class_name\":\"ClassServerSession\",\"depth\":1}]" } },
};

static void
test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(samples); i++) {
		rig_renew();
		send(samples[i].version, samples[i].request, true);
		assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_HOLD);
		send(samples[i].version, samples[i].response, false);
		assert_int_equal(rig->flags[1], PROTO_MATCH | PROTO_EMIT);
		for (size_t j = 0; j < TEST_COUNT(samples[i].expect) && samples[i].expect[j] != NULL; j++)
			assert_has(&rig->json, samples[i].expect[j]);
		for (size_t j = 0; j < TEST_COUNT(samples[i].identity) && samples[i].identity[j] != NULL; j++)
			assert_has(&rig->identity, samples[i].identity[j]);
		if (rig->events != 0)
			fail_msg("sample %zu: events %llx: %s", i, (unsigned long long)rig->events, rig->json.data);
	}
}

/* Every type, in a response of one item. */
static void
test_types(void **state)
{
	static const struct {
		const char *value, *expect;
	} rows[] = {
		{ "00 00", "\"type\":\"Null\",\"flags\":0,\"values\":[null]" },
		{ "00 01 01", "\"type\":\"Bool\",\"flags\":0,\"values\":[true]" },
		{ "00 02 ff", "\"values\":[255]" },
		{ "00 03 ffff", "\"values\":[65535]" },
		{ "00 04 8fffffff7f", "\"values\":[4294967295]" },
		{ "00 05 ffffffffffffffffff", "\"values\":[18446744073709551615]" },
		{ "00 06 80", "\"values\":[-128]" },
		{ "00 07 8000", "\"values\":[-32768]" },
		{ "00 08 7f", "\"values\":[-1]" },
		{ "00 08 00", "\"values\":[0]" },
		{ "00 08 8140", "\"values\":[192]" },
		{ "00 09 7f", "\"values\":[-1]" },
		{ "00 0a 10", "\"type\":\"Byte\",\"flags\":0,\"values\":[16]" },
		{ "00 0b 1234", "\"values\":[4660]" },
		{ "00 0c 12345678", "\"values\":[305419896]" },
		{ "00 0d 0000000100000000", "\"values\":[4294967296]" },
		{ "00 0e bfc00000", "\"values\":[-1.5]" },
		{ "00 0f 3ff8000000000000", "\"values\":[1.5]" },
		{ "00 10 000000003b9aca00", "\"values\":[\"1970-01-01T00:00:01.000000+0000\"]" },
		{ "00 11 7f", "\"type\":\"Timespan\",\"flags\":0,\"values\":[-1]" },
		{ "00 12 00000120", "\"type\":\"RID\",\"flags\":0,\"values\":[288]" },
		{ "00 13 8169", "\"type\":\"AID\",\"flags\":0,\"values\":[233]" },
		{ "00 14 00 02 abcd", "\"type\":\"Blob\",\"flags\":0,\"values\":[\"abcd\"]" },
		{ "00 15 02 6869", "\"type\":\"WString\",\"flags\":0,\"values\":[\"hi\"]" },
		{ "00 19 10 02 6869", "\"type\":\"S7String\",\"flags\":0,\"values\":[\"hi\"]" },
		{ "10 03 02 0001 0002", "\"type\":\"UInt\",\"flags\":16,\"values\":[1,2]" },
		{ "40 15 02 01 61 8149 01 62 00", "\"id\":1,\"key\":2,\"type\":\"WString\",\"flags\":64,\"values\":[\"a\"]},"
			"{\"id\":1,\"key\":201,\"type\":\"WString\",\"flags\":64,\"values\":[\"b\"]" },
		{ "00 14 01 02 abcd", "\"type\":\"Blob\",\"flags\":0,\"values\":[\"abcd\"]" },
		{ "00 14 02 0000000000000000 03 02 abcd", "\"type\":\"Blob\",\"flags\":0,\"values\":[\"abcd\"]" },
		{ "00 14 8a30 0000000000000000 00 05 00 02 07 00", "\"type\":\"Blob\",\"flags\":0},{\"id\":5,\"depth\":1,\"type\":\"USInt\",\"flags\":0,\"values\":[7]" },
		{ "20 14 02 00 01 aa 03 0000000000000000 02 01 bb", "\"flags\":32,\"values\":[\"aa\",\"bb\"]" },
		{ "00 16 00 07 fffe", "\"type\":\"Variant\",\"flags\":0,\"values\":[-2]" },
		{ "20 16 02 00 02 05 00 15 01 61", "\"type\":\"Variant\",\"flags\":32,\"values\":[5,\"a\"]" },
		{ "40 16 04 8549 00", "\"key\":4,\"type\":\"Variant\",\"flags\":64,\"values\":[713]" },
		{ "20 17 00000001 02 05 00 02 06 00 05 00 02 07 06 00 01 01 00", "\"id\":5,\"depth\":1,\"element\":1,\"type\":\"USInt\",\"flags\":0,\"values\":[7]},"
			"{\"id\":6,\"depth\":1,\"element\":1,\"type\":\"Bool\"" },
		{ "20 17 00000001 00", "\"type\":\"Struct\",\"flags\":32,\"values\":[1]" },
		{ "00 17 00000001 05 00 17 00000002 06 00 02 07 00 00", "\"id\":6,\"depth\":2,\"type\":\"USInt\",\"flags\":0,\"values\":[7]" },
		{ "00 17 02000001 0000000000000000 00 03 010203", "\"type\":\"Struct\",\"flags\":0,\"values\":[\"010203\"]" },
	};
	char hex[512];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		rig_renew();
		snprintf(hex, sizeof(hex), RESPONSE("054c") "00 01 %s 00 00", rows[i].value);
		send(S7P_V2, hex, false);
		assert_has(&rig->json, rows[i].expect);
		if (rig->events != 0)
			fail_msg("%s: events %llx: %s", rows[i].value, (unsigned long long)rig->events, rig->json.data);
	}
	/* Where a value ends that has no known type cannot be said. */
	rig_renew();
	send(S7P_V2, RESPONSE("054c") "00 01 00 77 00 00", false);
	assert_true((rig->events >> S7P_EVENT_INVALID_VALUE & 1) != 0);
	rig_renew();
	send(S7P_V2, RESPONSE("054c") "00 01 10 02 ffffff7f 00", false);
	assert_true((rig->events >> S7P_EVENT_INVALID_VALUE & 1) != 0);
	/* The number of an item is no id, and has no name. */
	rig_renew();
	send(S7P_V2, RESPONSE("054c") "00 8149 00 17 00000001 8149 00 02 01 00 00 00", false);
	assert_has(&rig->json, "{\"id\":201,\"type\":\"Struct\"");
	assert_has(&rig->json, "{\"id\":201,\"name\":\"ObjectRoot\",\"depth\":1");
}

/* Ids that the message has not are none, and not what an earlier record left in their place. */
static void
test_ids_end_early(void **state)
{
	(void)state;
	send(S7P_V2, REQUEST("04fc") "000003c0 08 8101 8102 8103 8104 8105 8106 8107 8108 00000000", true);
	send(S7P_V2, "31 0000 04fc 0000 0002 000003c0 34 000003c0 08 8169 8169 8169 8169", true);
	assert_true((rig->events >> S7P_EVENT_INVALID_LENGTH & 1) != 0);
	assert_has(&rig->json, "\"object_ids\":[233,233,233,233]}");
	rig_renew();
	send(S7P_V2, "31 0000 04fc 0000 0003 000003c0 34 000003c0 01 81", true);
	assert_true((rig->events >> S7P_EVENT_INVALID_LENGTH & 1) != 0);
}

/* What is left out is said: elements of an array, octets of a text, ids. */
static void
test_truncated(void **state)
{
	static const char *const rows[] = {
		"00 01 10 02 8200 %0512d 00 00",          /* 256 octets: all are shown */
		"00 01 10 02 8201 %0514d 00 00",
		"00 01 00 15 a001 %08194d 00 00",
	};
	char hex[9100], body[9000];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		rig_renew();
		snprintf(body, sizeof(body), rows[i], 0);
		snprintf(hex, sizeof(hex), RESPONSE("054c") "%s", body);
		send(S7P_V2, hex, false);
		assert_int_equal(strstr(rig->json.data, "\"truncated\":true") != NULL, i > 0);
		assert_int_equal(rig->events, 0);
	}
}

/* Who is the server, of a flow whose opening was not seen: 1 the sender, 0 the other, -1 cannot say. */
static void
test_sender(void **state)
{
	static const struct {
		unsigned int version;
		const char *body;
		int server;
	} rows[] = {
		{ S7P_V1, REQUEST("04ca"), 0 }, { S7P_V2, RESPONSE("054c") "00", 1 }, { S7P_V3, REQUEST("0542"), 0 },
		{ S7P_V3, "33 70000e51", 1 }, { S7P_V2, "02 0000 04f2", 1 }, { S7P_V2, "77", -1 }, { 9, "31", -1 },
	};
	static const uint8_t confirm[] = { 3, 0, 0, 11, 6, 0xd0, 0, 1, 0, 2, 0 }, request[] = { 3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 1, 0 };
	uint8_t tpkt[TPKT_MAX + 64] = { 3, 0, 0, 0, 2, 0xf0, 0x80 };

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		size_t len = 7 + wrap(rows[i].version, rows[i].body, true, tpkt + 7);

		tpkt[2] = (uint8_t)(len >> 8);
		tpkt[3] = (uint8_t)len;
		assert_int_equal(s7comm_plus_proto.sender_is_server(cursor_of(tpkt, len)), rows[i].server);
		assert_int_equal(s7comm_plus_proto.sender_is_server(cursor_of(tpkt, 7)), -1);
	}
	assert_int_equal(s7comm_plus_proto.sender_is_server(cursor_of(confirm, sizeof(confirm))), 1);
	assert_int_equal(s7comm_plus_proto.sender_is_server(cursor_of(request, sizeof(request))), 0);
	assert_int_equal(s7comm_plus_proto.sender_is_server(cursor_of((const uint8_t *)"GET / HTTP", 10)), -1);
}

/* Cut anywhere, any octet at its extremes. */
static void
test_damage(void **state)
{
	static const uint8_t extremes[] = { 0x00, 0x01, 0x7f, 0x80, 0xa1, 0xff };
	uint8_t out[TPKT_MAX + 64], copy[TPKT_MAX + 64];

	(void)state;
	for (size_t i = 0; i < 2 * TEST_COUNT(samples); i++) {
		bool to_server = i % 2 == 0;
		size_t len = wrap(samples[i / 2].version, to_server ? samples[i / 2].request : samples[i / 2].response, true, out);

		for (size_t cut = 0; cut <= len; cut++) {
			rig_renew();
			memcpy(copy, out, cut);
			if (cut >= 8) { /* the length and the trailer fit what is left */
				copy[2] = (uint8_t)((cut - 8) >> 8);
				copy[3] = (uint8_t)(cut - 8);
				feed_bytes(copy, cut, to_server);
			}
			feed_bytes(out, cut, to_server);
		}
		for (size_t at = 0; at < len; at++)
			for (size_t j = 0; j < TEST_COUNT(extremes); j++) {
				rig_renew();
				memcpy(copy, out, len);
				copy[at] = extremes[j];
				feed_bytes(copy, len, to_server);
			}
	}
}

static void
test_parts(void **state)
{
	uint8_t out[TPKT_MAX + 64];

	(void)state;
	feed_bytes(out, wrap(S7P_V3, "31 0000 04d4 0000 0001 0000", false, out), true);
	assert_int_equal(rig->count, 0);
	feed_bytes(out, wrap(S7P_V3, "03c0 34 000003c0", true, out), true);
	assert_int_equal(rig->count, 1);
	assert_has(&rig->json, "\"object_id\":960");
	rig_renew();
	config.message_max = 8;
	feed_bytes(out, wrap(S7P_V2, "31 0000 04d4 0000 0001 0000", false, out), true);
	assert_int_equal(rig->events, UINT64_C(1) << S7P_EVENT_REASSEMBLY_DROPPED);
	s7comm_plus_proto.gap(&rig->ctx, 1);
}

static void
test_notifications(void **state)
{
	static const char *const notifications[] = {
		"33 70000e51 040000000000 c9 8ec148 01 92 00000005 00 0e 41aa70aa 00 00000000",
		"33 70000e51 040000000000 ca 8ec149 01 92 00000005 00 0e 41aa70aa 00 00000000",
		"33 70000e51 040000000000 cb 8ec14a 01 92 00000005 00 0e 41aa70ab 13 00000007 00 00000000",
	};

	(void)state;
	send(S7P_V3, notifications[0], false);
	assert_has(&rig->json, "\"subscription\":{\"id\":1879051857,\"credit\":201,\"sequence\":237768,\"changes\":1}");
	assert_has(&rig->json, "\"id\":5,\"type\":\"Real\",\"flags\":0,\"values\":[21.3");
	send(S7P_V3, notifications[1], false);
	send(S7P_V3, notifications[2], false);
	assert_has(&rig->json, "\"errors\":[{\"id\":7,");
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC);
	assert_int_equal(rig->flags[1], PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC | PROTO_QUIET);
	assert_int_equal(rig->flags[2], PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC);
	assert_int_equal(rig->events, 0);
}

/* Older devices count in one octet and give no credit, newer ones tell their time, version 1 has none of both. */
static void
test_notification_heads(void **state)
{
	static const struct {
		unsigned int version;
		const char *body, *expect;
	} rows[] = {
		{ S7P_V2, "33 1000006a 040000000000 c9 01 92 ffffffff 00 07 0817 00 00000000",
			"\"values\":[{\"id\":4294967295,\"type\":\"Int\",\"flags\":0,\"values\":[2071]}],"
			"\"subscription\":{\"id\":268435562,\"sequence\":201,\"changes\":1}" },
		{ S7P_V3, "33 70000e51 040000000000 c9 02 00 0650f0d9c41f40 05 9b 05 00 02 07 00 00000000",
			"\"values\":[{\"id\":5,\"type\":\"USInt\",\"flags\":0,\"values\":[7]}],"
			"\"subscription\":{\"id\":1879051857,\"credit\":201,\"sequence\":2,\"changes\":5,\"time\":\"2026-05-03T21:53:56.145984" },
		{ S7P_V3, "33 70000e51 040000000000 c9 02 01 00 7000003e 0000 81 a1 00000001 932e 00 00 a3 8169 0015 02 4f4b a2 00 00000000",
			"\"objects\":[{\"relation_id\":1," },
		{ S7P_V3, "33 70000e51 040000000000 c9 02 01 00 8123 20 a1a2a3 80 a1 0000", "\"changes\":1}}" },
		{ S7P_V1, "33 00000120 00000000 00000122 0000 83 00 02 07 00 00000000",
			"\"values\":[{\"id\":0,\"type\":\"USInt\",\"flags\":0,\"values\":[7]}],\"subscription\":{\"id\":288}" },
		{ S7P_V1, "33 00000120 00000000 00000000", "\"subscription\":{\"id\":288}" },
		{ S7P_V2, "33 70000e51 0500000000000000", "\"subscription\":{\"id\":1879051857}" },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		rig_renew();
		send(rows[i].version, rows[i].body, false);
		assert_has(&rig->json, rows[i].expect);
		if (rig->events != 0)
			fail_msg("%s: events %llx", rows[i].body, (unsigned long long)rig->events);
	}
	rig_renew();
	send(S7P_V2, "33 70000e51 040000000000 c9 02", false);
	assert_int_equal(rig->events, UINT64_C(1) << S7P_EVENT_INVALID_LENGTH);
	rig_renew();
	send(S7P_V2, "33 70000e51 040000000000 c9 02 01 77", false);
	assert_int_equal(rig->events, UINT64_C(1) << S7P_EVENT_INVALID_VALUE);
	/* The time changes with each, and is no change. */
	rig_renew();
	send(S7P_V3, "33 70000e51 040000000000 c9 02 00 0650f0d9c41f40 05 9b 05 00 02 07 00 00000000", false);
	send(S7P_V3, "33 70000e51 040000000000 ca 03 00 0650f0d9c41f41 05 9b 05 00 02 07 00 00000000", false);
	assert_int_equal(rig->flags[1], PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC | PROTO_QUIET);
}

static void
test_framing(void **state)
{
	static const uint8_t connect[] = { 3, 0, 0, 32, 27, 0xe0, 0, 0, 0, 1, 0, 0xc1, 2, 6, 0, 0xc2, 15, 'S', 'I', 'M', 'A', 'T', 'I',
		'C', '-', 'R', 'O', 'O', 'T', '-', 'E', 'S' };
	static const uint8_t keepalive[] = { 0x72, 0xfe, 0, 2, 0, 0 }, other[] = { 0x32, 1, 0, 0 }, version[] = { 0x72, 9, 0, 0 },
		tls[] = { 22, 3, 1, 0, 1, 0 }, no_digest[] = { 0x72, 3, 0, 1, 0, 0x72, 3, 0, 0 };

	(void)state;
	assert_int_equal(s7comm_plus_proto.probe(cursor_of(connect, sizeof(connect)), true, false), PROTO_PROBE_YES);
	assert_int_equal(s7comm_plus_proto.sender_is_server(cursor_of(connect, sizeof(connect))), 0);
	rig->ctx.to_server = true;
	s7comm_plus_proto.parse(&rig->ctx, cursor_of(connect, sizeof(connect)));
	assert_has(&rig->json, "\"called_tsap_text\":\"SIMATIC-ROOT-ES\"");
	feed_bytes(keepalive, sizeof(keepalive), true);
	assert_int_equal(counter_get(&rig->counters[S7P_COUNT_KEEPALIVES]), 1);
	feed_bytes(other, sizeof(other), true);
	assert_int_equal(rig->events, UINT64_C(1) << S7P_EVENT_UNKNOWN_PROTOCOL_ID);
	feed_bytes(version, sizeof(version), true);
	assert_true((rig->events >> S7P_EVENT_UNKNOWN_VERSION & 1) != 0);
	feed_bytes(no_digest, sizeof(no_digest), true);
	assert_true((rig->events >> S7P_EVENT_INVALID_INTEGRITY & 1) != 0);
	rig->count = 0;
	feed_bytes(tls, sizeof(tls), true);
	feed_bytes(tls, sizeof(tls), false);
	assert_int_equal(rig->count, 1);
	assert_has(&rig->json, "\"tls\":{\"content_type\":\"handshake\",\"version\":769}");
	assert_int_equal(counter_get(&rig->counters[S7P_COUNT_TLS]), 2);
}

static void
test_pairing(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		send(S7P_V2, samples[6].request, true);
	assert_true((rig->events >> S7P_EVENT_FLOODED & 1) != 0);
	assert_int_equal(flow.pairs.count, 16);
	for (unsigned int i = 0; i < 17; i++)
		send(S7P_V2, samples[6].response, false);
	assert_true((rig->events >> S7P_EVENT_UNSOLICITED_RESPONSE & 1) != 0);
	rig_renew();
	rig->ctx.slab = NULL;
	send(S7P_V2, samples[6].request, true);
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_EMIT);
	rig->ctx.slab = rig->slab;
}

static void
test_tables(void **state)
{
	(void)state;
	assert_null(record_table_check(&s7p_table));
	for (unsigned int i = 0; i < S7P_EVENT_COUNT; i++)
		assert_non_null(s7p_events[i].name);
	for (unsigned int i = 0; i < S7P_COUNTER_COUNT; i++)
		assert_non_null(s7p_counters[i].name);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_samples), CASE(test_types), CASE(test_truncated), CASE(test_ids_end_early), CASE(test_sender), CASE(test_damage), CASE(test_parts),
		CASE(test_notifications),
		CASE(test_notification_heads),
		CASE(test_framing), CASE(test_pairing), CASE(test_tables),
	};

	return cmocka_run_group_tests_name("s7comm_plus", tests, NULL, NULL);
}
