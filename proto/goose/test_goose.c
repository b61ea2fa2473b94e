/* GOOSE: values of every type, the way of stNum and sqNum, what is told and what is not, hostile input. */
#include "proto/goose/test_goose.h"

#include <errno.h>

static int
setup(void **state)
{
	rig_begin(&goose_proto, NULL);
	return 0;
}

static int
teardown(void **state)
{
	rig_end();
	return 0;
}

static void
first_message_is_told(void **state)
{
	assert_true(say(usual) == 0);
	assert_int_equal(rig->count, 1);
	assert_int_equal(rig->identities, 1);
	assert_non_null(strstr(rig->identity.data, "\"name\":\"IED1LD0\""));
	assert_json("\"reason\":\"first\"");
	assert_json("\"src\":\"02:00:00:00:00:01\",\"dst\":\"01:0c:cd:01:00:01\",\"vlan\":5,\"vlan_priority\":4,\"appid\":1");
	assert_json("\"gocbRef\":\"IED1LD0/LLN0$GO$gcb1\",\"timeAllowedtoLive\":2000,\"datSet\":\"IED1LD0/LLN0$ds1\"");
	assert_json("\"goID\":\"goid\",\"t\":\"2023-11-14T22:13:20.500000+0000\"");
	assert_json("\"stNum\":5,\"sqNum\":7,\"simulation\":false,\"confRev\":1,\"ndsCom\":false,\"numDatSetEntries\":2");
	assert_json("{\"index\":0,\"type\":\"boolean\",\"value\":false}");
	assert_json("{\"index\":1,\"type\":\"bit-string\",\"value\":\"0000000000000\",\"bits\":13,\"validity\":\"good\"}");
}

static void
every_type_of_value(void **state)
{
	static const uint8_t data[] = {
		0x85, 2, 0xff, 0x7f,                               /* -129 */
		0x86, 5, 0, 0xff, 0xff, 0xff, 0xff,
		0x87, 5, 8, 0x3f, 0xc0, 0, 0,                      /* 1.5 */
		0x87, 9, 11, 0xc0, 0x04, 0, 0, 0, 0, 0, 0,         /* -2.5 */
		0x84, 2, 6, 0x40,                                  /* off */
		0x84, 3, 3, 0xe0, 0x10,                            /* questionable, overflow, test */
		0x89, 2, 0xca, 0xfe,
		0x8a, 2, 'o', 'k',
		0x90, 1, 'm',
		0x91, 8, 0x65, 0x53, 0xf1, 0x00, 0x40, 0, 0, 0x2a,
		0x8c, 6, 0, 0, 0, 1, 0, 1,                         /* 1984-01-02 and a millisecond */
		0xa2, 10, 0x83, 1, 1, 0xa1, 5, 0x86, 1, 9, 0x89, 0,
		0x8f, 1, 0x2a,
	};
	struct message m = usual;

	m.data = data;
	m.data_len = sizeof(data);
	m.entries = 13;
	assert_true(say(m) == 0);
	assert_json("{\"index\":0,\"type\":\"integer\",\"value\":-129},{\"index\":1,\"type\":\"unsigned\",\"value\":4294967295}");
	assert_json("{\"index\":2,\"type\":\"floating-point\",\"value\":1.5}");
	assert_json("{\"index\":3,\"type\":\"floating-point\",\"value\":-2.5}");
	assert_json("\"value\":\"01\",\"bits\":2,\"position\":\"off\"");
	assert_json("\"value\":\"1110000000010\",\"bits\":13,\"validity\":\"questionable\",\"quality\":[\"overflow\",\"test\"]");
	assert_json("\"type\":\"octet-string\",\"value\":\"cafe\"");
	assert_json("\"type\":\"visible-string\",\"value\":\"ok\"");
	assert_json("\"type\":\"mms-string\",\"value\":\"m\"");
	assert_json("\"value\":\"2023-11-14T22:13:20.250000+0000\",\"quality\":[\"clock_not_synchronized\"],\"accuracy\":10}");
	assert_json("\"value\":\"1984-01-02T00:00:00.001000+0000\",\"quality\":[]}");
	assert_json("{\"index\":11,\"type\":\"structure\",\"members\":2},{\"index\":11,\"path\":[0],\"type\":\"boolean\",\"value\":true}");
	assert_json("{\"index\":11,\"path\":[1],\"type\":\"array\",\"members\":2},{\"index\":11,\"path\":[1,0],\"type\":\"unsigned\",\"value\":9}");
	assert_json("{\"index\":12,\"type\":\"obj-id\",\"value\":\"2a\"}");
}

static void
values_that_are_none(void **state)
{
	static const uint8_t rows[][12] = {
		{ 3, 0x83, 2, 1 },                /* longer than the data */
		{ 4, 0x83, 2, 1, 1 },
		{ 2, 0x85, 0 },
		{ 7, 0x87, 5, 9, 0, 0, 0, 0 },
		{ 4, 0x84, 2, 9, 0 },
		{ 3, 0x91, 1, 0 },
		{ 3, 0x9e, 1, 0 },
		{ 2, 0xa2, 0x80 },
		{ 10, 0xa2, 8, 0xa2, 6, 0xa2, 4, 0xa2, 2, 0xa2, 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct message m = usual;
		uint64_t events;

		m.data = rows[i] + 1;
		m.data_len = rows[i][0];
		m.entries = 1;
		m.st = 5 + (uint32_t)i;
		m.sq = 0;
		setup(NULL);
		events = say(m);
		assert_true((events & (EVENT(INVALID_VALUE) | EVENT(INVALID_APDU))) != 0);
		teardown(NULL);
	}
	setup(NULL);
	struct message m = usual;

	m.entries = 3;
	assert_true(say(m) == EVENT(ENTRY_COUNT));
	m.sq++;
	m.st++;
	m.sq = 0;
	assert_true(say(m) == 0); /* the cause stays: said once */
	teardown(NULL);
}

/* What cannot be read is shown as it stands: a 0 would be a value. */
static void
unread_values_are_octets(void **state)
{
	static const uint8_t data[] = {
		0x83, 2, 0, 1, 0x85, 0, 0x85, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x86, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9,
		0x87, 5, 9, 0, 0, 0, 0, 0x84, 2, 9, 0x80, 0x91, 3, 1, 2, 3, 0x8c, 3, 1, 2, 3, 0x83, 1, 1,
	};
	struct message m = usual;

	(void)state;
	m.data = data;
	m.data_len = sizeof(data);
	m.entries = 9;
	assert_true(say(m) == EVENT(INVALID_VALUE));
	assert_json("\"allData\":[{\"index\":0,\"type\":\"boolean\",\"value\":\"0001\"},{\"index\":1,\"type\":\"integer\",\"value\":\"\"},"
		"{\"index\":2,\"type\":\"integer\",\"value\":\"010203040506070809\"},{\"index\":3,\"type\":\"unsigned\",\"value\":\"010203040506070809\"},"
		"{\"index\":4,\"type\":\"floating-point\",\"value\":\"0900000000\"},{\"index\":5,\"type\":\"bit-string\",\"value\":\"0980\"},"
		"{\"index\":6,\"type\":\"utc-time\",\"value\":\"010203\"},{\"index\":7,\"type\":\"binary-time\",\"value\":\"010203\"},"
		"{\"index\":8,\"type\":\"boolean\",\"value\":true}]");
}

/* Values beyond those that are shown are counted as left out, and are entries all the same. */
static void
values_left_out_are_said(void **state)
{
	uint8_t data[2 * (GOOSE_VALUES_MAX + 88)];
	struct message m = usual;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i += 2) {
		data[i] = 0x89;
		data[i + 1] = 0;
	}
	m.data = data;
	m.data_len = 2 * (GOOSE_VALUES_MAX - 1);
	m.entries = GOOSE_VALUES_MAX - 1;
	assert_true(say(m) == 0);
	assert_false(rig->builder.truncated);
	m.st++;
	m.sq = 0;
	m.data_len = sizeof(data);
	m.entries = GOOSE_VALUES_MAX + 88;
	assert_true(say(m) == 0);
	assert_true(rig->builder.truncated);
}

/* Nor has an element of the message that cannot be read a value; it is not missing. */
static void
unread_elements_are_absent(void **state)
{
	struct message m = usual;

	(void)state;
	m.t_len = 6;
	assert_true(say(m) == EVENT(INVALID_VALUE));
	assert_null(strstr(rig->json.data, "\"t\":"));
	assert_null(strstr(rig->json.data, "\"t_quality\":"));
	m.st_len = 9; /* no number of 32 bits: which state it is cannot be said */
	assert_true((say(m) & EVENT(MISSING_FIELD)) == 0);
	assert_null(strstr(rig->json.data, "\"stNum\":"));
	assert_json("\"reason\":\"anomaly\"");
}

/* Each row is a message after those before it: what it raises, and whether it is told. */
static void
numbers_are_followed(void **state)
{
	static const struct {
		uint32_t st, sq;
		bool value;
		uint64_t events;
		bool told;
	} rows[] = {
		{ 5, 7, false, 0, true },
		{ 5, 8, false, 0, false },
		{ 5, 9, false, 0, false },
		{ 6, 0, true, 0, true },
		{ 6, 1, true, 0, false },
		{ 6, 4, true, EVENT(SQ_NUM_GAP), true },
		{ 6, 4, true, EVENT(SQ_NUM_REPEATED), true },
		{ 6, 2, true, EVENT(SQ_NUM_OLD), true },
		{ 6, 5, true, 0, false },
		{ 6, 6, false, EVENT(DATA_WITHOUT_STATE), true },
		{ 9, 0, false, EVENT(ST_NUM_JUMP), true },
		{ 7, 3, true, EVENT(ST_NUM_OLD), true },
		{ 9, 1, false, 0, false },
		{ 10, 2, true, EVENT(SQ_NUM_GAP), true },
		{ 1, 1, true, EVENT(RESTARTED), true },
		{ 1, 2, true, 0, false },
		{ 1, 0, true, EVENT(RESTARTED), true },
	};

	setup(NULL);
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct message m = usual;
		unsigned int before = rig->count;
		uint64_t events;

		m.st = rows[i].st;
		m.sq = rows[i].sq;
		m.value = rows[i].value;
		rig_wait_ms(10);
		events = say(m);
		if (events != rows[i].events || rig->count - before != rows[i].told)
			fail_msg("row %zu: events %lx, told %u", i, (unsigned long)events, rig->count - before);
	}
	assert_int_equal(counter_get(&rig->counters[GOOSE_COUNT_LOST]), 4);
	teardown(NULL);
}

static void
state_change_says_what_changed(void **state)
{
	struct message m = usual;

	say(m);
	m.st++;
	m.sq = 0;
	m.value = true;
	rig_wait_ms(1500);
	say(m);
	assert_json("\"reason\":\"state_change\"");
	assert_json("\"changed\":[0],\"previous\":{\"stNum\":5,\"sqNum\":7,\"age_us\":1500000}");
}

static void
rollover_and_stale_time(void **state)
{
	struct message m = usual;

	m.sq = UINT32_MAX;
	say(m);
	m.sq = 1;
	assert_true(say(m) == 0);
	m.sq = 2;
	rig_wait_ms(2001);
	assert_true(say(m) == EVENT(TTL_EXPIRED));
	/* once its time to live is over, a lower stNum is the current one again */
	m.st = 3;
	rig_wait_ms(2001);
	assert_true(say(m) == (EVENT(TTL_EXPIRED) | EVENT(ST_NUM_OLD)));
	assert_json("\"reason\":\"state_change\"");
	m.st = 4;
	m.sq = 0;
	m.t -= UINT64_C(1) << 40;
	assert_true(say(m) == EVENT(TIME_BACKWARDS));
}

static void
flags_are_events_when_they_begin(void **state)
{
	struct message m = usual;

	m.security_len = 20;
	assert_true(say(m) == 0);
	assert_json("\"security\":{\"length\":20}");
	m.simulation = m.nds_com = true;
	m.reserved1 = 0x8000;
	m.t |= 0x20;
	m.rev = 2;
	m.sq++;
	assert_true(say(m) == (EVENT(SIMULATED) | EVENT(NEEDS_COMMISSIONING) | EVENT(CLOCK) | EVENT(CONF_REV_CHANGED)));
	assert_json("\"header_simulation\":true");
	m.sq++;
	assert_true(say(m) == 0);
	m.sq++;
	m.simulation = false;
	m.security_len = 0;
	assert_true(say(m) == (EVENT(SIMULATION_MISMATCH) | EVENT(SECURITY_LOST)));
	m.sq++;
	assert_true(say(m) == 0);
	rig->link.dst_mac = rig_src;
	m.appid = 0x4000;
	m.sq++;
	assert_true(say(m) == (EVENT(UNICAST) | EVENT(APPID_RANGE)));
}

static void
missing_fields(void **state)
{
	struct message m = usual;

	m.left_out = 1 << 2;
	assert_true(say(m) == EVENT(MISSING_FIELD));
	m.left_out = 1 << 5; /* belongs to no publication */
	assert_true(say(m) == EVENT(MISSING_FIELD));
	assert_json("\"reason\":\"anomaly\"");
	m.left_out = 1 << 11;
	m.sq++;
	assert_true((say(m) & EVENT(DATA_WITHOUT_STATE)) != 0);
}

static void
summaries_and_the_end(void **state)
{
	struct message m = usual;

	for (unsigned int i = 0; i < 130; i++, m.sq++) {
		assert_true(say(m) == 0);
		rig_wait_ms(1000);
	}
	assert_int_equal(rig->count, 3);
	assert_json("\"reason\":\"summary\"");
	assert_json("\"summary\":{\"messages\":60,\"states\":0,\"lost\":0,\"anomalies\":0,\"duration_ms\":60000,"
		"\"gap_min_us\":1000000,\"gap_max_us\":1000000}");
	goose_proto.end(&rig->ctx);
	assert_int_equal(rig->count, 4);
	assert_json("\"reason\":\"end\"");
	assert_json("\"gocbRef\":\"IED1LD0/LLN0$GO$gcb1\"");
	assert_json("\"summary\":{\"messages\":9,");
}

static void
all_messages_when_asked_for(void **state)
{
	struct message m = usual;

	rig->ctx.levels.cyclic = PROTO_LOG_ALL;
	say(m);
	m.sq++;
	say(m);
	assert_int_equal(rig->count, 2);
	assert_json("\"reason\":\"message\"");
}

static void
anomalies_are_bounded(void **state)
{
	struct message m = usual;

	for (unsigned int i = 0; i < 1000; i++)
		say(m);
	assert_int_equal(rig->count, 1 + GOOSE_ANOMALIES_MAX);
	assert_true(counter_get(&rig->counters[GOOSE_COUNT_SUPPRESSED]) == 999 - GOOSE_ANOMALIES_MAX);
	m.left_out = 1 << 5;
	for (unsigned int i = 0; i < 1000; i++)
		say(m);
	assert_int_equal(rig->count, 1 + 2 * GOOSE_ANOMALIES_MAX);
}

static void
publications_are_bounded(void **state)
{
	struct message m = usual;
	char ref[32];
	uint64_t events = 0;

	m.ref = ref;
	for (unsigned int i = 0; i < 20 * GOOSE_STREAMS_MAX; i++) {
		snprintf(ref, sizeof(ref), "IED%u/LLN0$GO$gcb", i);
		rig_wait_ms(1);
		events |= say(m);
	}
	assert_true(events == EVENT(TOO_MANY_STREAMS));
	assert_int_equal(rig->count, GOOSE_STREAMS_MAX + 2 * GOOSE_ANOMALIES_MAX);
	assert_int_equal(((struct goose_state *)rig->ctx.state)->stream_count, GOOSE_STREAMS_MAX);
	rig_wait_ms(60000);
	say(m);
	m.sq++;
	assert_true(say(m) == 0);
}

static void
without_memory(void **state)
{
	void *blocks[4096];
	unsigned int count = 0;

	while (count < TEST_COUNT(blocks) && (blocks[count] = slab_alloc(rig->slab, 2048)) != NULL)
		count++;
	assert_true(say(usual) == 0);
	assert_int_equal(rig->count, 1);
	assert_int_equal(counter_get(&rig->counters[GOOSE_COUNT_SHED]), 1);
	while (count > 0)
		slab_free(rig->slab, blocks[--count], 2048);
}

static void
management(void **state)
{
	struct pdu pdu = pdu_begin();
	size_t end = pdu.at;

	pdu_text(&pdu, 0x80, "ident");
	pdu_tag(&pdu, 0xa1, end);
	pdu_tag(&pdu, 0xa1, end);
	pdu_number(&pdu, 0x80, 77, 1);
	pdu_tag(&pdu, 0x60, RIG_PDU_MAX);
	pdu_header(&pdu, 1, 0, 0);
	assert_true(rig_parse(pdu_data(&pdu), pdu_len(&pdu)) == 0);
	assert_json("\"management\":{\"state_id\":77,\"response\":false,\"service\":\"get_go_reference\"}");
}

static void
routed(void **state)
{
	struct message m = usual;
	struct pdu pdu = encode(&m);
	struct publication publication;
	size_t apdu_len = pdu_len(&pdu) - PUBLICATION_HEADER_LEN;
	uint8_t with_signature[RIG_PDU_MAX + 8];
	size_t len;

	pdu.at += PUBLICATION_HEADER_LEN;
	pdu_be(&pdu, apdu_len, 2);
	pdu_be(&pdu, m.appid, 2);
	pdu_be(&pdu, 0, 1);
	pdu_be(&pdu, 0x81, 1);
	pdu_be(&pdu, apdu_len + 6, 4);
	pdu_be(&pdu, 0, 11); /* keys */
	pdu_be(&pdu, 1, 2);
	pdu_be(&pdu, 4711, 4);
	pdu_be(&pdu, apdu_len, 4);
	pdu_be(&pdu, 0x8016, 2);
	pdu_be(&pdu, 23, 1);
	pdu_be(&pdu, 0x0140a1, 3);
	len = pdu_len(&pdu);
	memcpy(with_signature, pdu_data(&pdu), len);
	memcpy(with_signature + len, "\x85\x02xy", 4);
	rig->ctx.link = NULL;
	assert_int_equal(goose_proto.probe(cursor_of(with_signature, len + 4), true, false), PROTO_PROBE_YES);
	assert_true(publication_read(cursor_of(with_signature, len + 4), &publication));
	assert_true(publication.signature);
	assert_true(rig_parse(with_signature, len + 4) == 0);
	assert_json("\"stNum\":5");
	assert_json("\"session\":{\"spdu_number\":4711,\"version\":1,\"signature\":true}");
	assert_null(strstr(rig->json.data, "\"src\""));
	for (size_t cut = 0; cut < len; cut++)
		rig_parse(with_signature, cut);
}

static void
recognition(void **state)
{
	struct message m = usual;
	struct pdu pdu = encode(&m);
	static const uint8_t other[] = { 0, 1, 0, 20, 0, 0, 0, 0, 0x30, 1 };

	assert_int_equal(goose_proto.probe(cursor_of(pdu_data(&pdu), pdu_len(&pdu)), true, true), PROTO_PROBE_YES);
	assert_int_equal(goose_proto.probe(cursor_of(pdu_data(&pdu), pdu_len(&pdu)), true, false), PROTO_PROBE_NO);
	assert_int_equal(goose_proto.probe(cursor_of(other, sizeof(other)), true, true), PROTO_PROBE_NO);
	assert_int_equal(goose_proto.frame(cursor_of(other, sizeof(other)), true), sizeof(other));
	assert_int_equal(goose_proto.frame(cursor_of(other, 7), true), -EBADMSG);
	assert_true(rig_parse(other, sizeof(other)) == (EVENT(UNKNOWN_APDU) | EVENT(INVALID_LENGTH)));
	assert_true(rig_parse(other, 7) == EVENT(INVALID_LENGTH));
}

/* Cut anywhere, and with each byte at its extremes: an end, and nothing read outside. */
static void
hostile_bytes(void **state)
{
	struct message m = usual;
	struct pdu pdu = encode(&m);
	size_t len = pdu_len(&pdu);

	for (size_t cut = 0; cut < len; cut++)
		rig_parse(pdu_data(&pdu), cut);
	for (size_t i = 0; i < len; i++)
		for (unsigned int value = 0; value < 256; value += value == 0 || value == 254 ? 1 : 127) {
			struct pdu bent = pdu;

			bent.bytes[bent.at + i] = (uint8_t)value;
			rig_parse(pdu_data(&bent), len);
		}
}

static void
table_holds(void **state)
{
	assert_null(record_table_check(&goose_table));
}

int
main(void)
{
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_holds),
		WITH_RIG(first_message_is_told),
		WITH_RIG(every_type_of_value),
		cmocka_unit_test(values_that_are_none),
		WITH_RIG(unread_values_are_octets),
		WITH_RIG(unread_elements_are_absent),
		WITH_RIG(values_left_out_are_said),
		cmocka_unit_test(numbers_are_followed),
		WITH_RIG(state_change_says_what_changed),
		WITH_RIG(rollover_and_stale_time),
		WITH_RIG(flags_are_events_when_they_begin),
		WITH_RIG(missing_fields),
		WITH_RIG(summaries_and_the_end),
		WITH_RIG(all_messages_when_asked_for),
		WITH_RIG(anomalies_are_bounded),
		WITH_RIG(publications_are_bounded),
		WITH_RIG(without_memory),
		WITH_RIG(management),
		WITH_RIG(routed),
		WITH_RIG(recognition),
		WITH_RIG(hostile_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
