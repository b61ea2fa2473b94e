/* Sampled Values: values, the way of smpCnt, what is told and what is not, hostile input. */
#include "proto/goose/test_publication.h"

#include "proto/sv/sv.h"

extern const struct proto sv_proto;

#define EVENT(name) (UINT64_C(1) << SV_EVENT_##name)

static struct sv_config config;

struct message {
	const char *id;
	uint32_t cnt, rev, synch, number, asdus; /* number as it says, asdus as there are */
	uint32_t quality;
	uint16_t appid, reserved1, left_out;
	uint8_t channels;
	uint8_t security_len;
	bool all; /* every optional element */
	uint8_t more; /* mA or 10 mV, of each channel */
	uint8_t t_len; /* 0: as it should be */
};

static const struct message usual = { .id = "MU01", .cnt = 10, .rev = 1, .synch = 2, .number = 1, .asdus = 1,
	.appid = 0x4000, .channels = 8 };

static void
encode_asdu(struct pdu *pdu, const struct message *m, uint32_t cnt)
{
	size_t end = pdu->at, sample;

	if (m->all) {
		pdu_number(pdu, 0x89, 0x0102030405060708, 8);
		pdu_number(pdu, 0x88, 1, 2);
	}
	sample = pdu->at;
	for (unsigned int i = m->channels; i-- > 0;) {
		pdu_be(pdu, m->quality, 4);
		pdu_be(pdu, (uint32_t)((-1000 - m->more) * (int32_t)i), 4);
	}
	pdu_tag(pdu, 0x87, sample);
	if (m->all)
		pdu_number(pdu, 0x86, 4000, 2);
	pdu_number(pdu, 0x85, m->synch, 1);
	if (m->all)
		pdu_number(pdu, 0x84, UINT64_C(0x6553f1008000002a), m->t_len == 0 ? 8 : m->t_len);
	pdu_number(pdu, 0x83, m->rev, 4);
	if (!(m->left_out & 1 << 2))
		pdu_number(pdu, 0x82, cnt, 2);
	if (m->all)
		pdu_text(pdu, 0x81, "ds1");
	pdu_text(pdu, 0x80, m->id);
	pdu_tag(pdu, 0x30, end);
}

static struct pdu
encode(const struct message *m)
{
	struct pdu pdu = pdu_begin();

	for (uint32_t i = m->asdus; i-- > 0;)
		encode_asdu(&pdu, m, m->cnt + i);
	pdu_tag(&pdu, 0xa2, RIG_PDU_MAX);
	if (m->security_len > 0)
		pdu_number(&pdu, 0x81, 0, m->security_len);
	pdu_number(&pdu, 0x80, m->number, 1);
	pdu_tag(&pdu, 0x60, RIG_PDU_MAX);
	pdu_header(&pdu, m->appid, m->reserved1, 0);
	return pdu;
}

static uint64_t
say(struct message m)
{
	struct pdu pdu = encode(&m);

	rig->ctx.ts_ns += 250000;
	return rig_parse(pdu_data(&pdu), pdu_len(&pdu));
}

static int
setup(void **state)
{
	config = (struct sv_config){ .interruption_ms = 100 };
	rig_begin(&sv_proto, &config);
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
	struct message m = usual;

	m.all = true;
	m.quality = 0x2000;
	m.security_len = 3;
	assert_true(say(m) == 0);
	assert_int_equal(rig->count, 1);
	assert_int_equal(rig->identities, 1);
	assert_json("\"reason\":\"first\",\"src\":\"02:00:00:00:00:01\",\"dst\":\"01:0c:cd:01:00:01\",\"vlan\":5");
	assert_json("\"sv_id\":\"MU01\",\"smpCnt\":10,\"noASDU\":1,\"asdu\":[{\"svID\":\"MU01\",\"datSet\":\"ds1\",\"smpCnt\":10,\"confRev\":1");
	assert_json("\"refrTm\":\"2023-11-14T22:13:20.500000+0000\",\"refrTm_quality\":[\"clock_not_synchronized\"],\"refrTm_accuracy\":10");
	assert_json("\"smpSynch\":\"global\",\"smpRate\":4000,\"smpMod\":\"samples_per_second\",\"gmIdentity\":\"0102030405060708\"");
	assert_json("{\"index\":1,\"name\":\"Ib\",\"value\":-1000,\"scaled\":-1");
	assert_json("{\"index\":7,\"name\":\"Un\",\"value\":-7000,\"scaled\":-70");
	assert_json("\"unit\":\"V\",\"validity\":\"good\",\"quality\":[\"derived\"]}");
	assert_json("\"security\":{\"length\":3}");
}

/* Numbers of thousandths and hundredths, to the last digit; and a time of six octets is none. */
static void
values_are_exact(void **state)
{
	struct message m = usual;

	m.all = true;
	m.more = 1;
	m.t_len = 6;
	assert_true(say(m) == EVENT(INVALID_VALUE));
	assert_json("\"value\":-1001,\"scaled\":-1.001,");
	assert_json("\"value\":-3003,\"scaled\":-3.003,");
	assert_json("\"value\":-5005,\"scaled\":-50.05,");
	assert_null(strstr(rig->json.data, "refrTm"));
}

static void
samples_that_are_no_pairs(void **state)
{
	struct message m = usual;

	m.channels = 2;
	m.quality = 0xdeadbeef;
	assert_true(say(m) == 0);
	assert_json("\"sample\":\"00000000deadbeeffffffc18deadbeef\"");
	assert_null(strstr(rig->json.data, "channels"));
	m.channels = 12;
	m.quality = 0;
	m.cnt++;
	assert_true(say(m) == EVENT(SAMPLE_CHANGED));
	assert_json("{\"index\":11,\"value\":-11000,\"validity\":\"good\"}");
}

/* Each row is a message after those before it: what it raises. */
static void
counts_are_followed(void **state)
{
	static const struct {
		uint32_t cnt;
		uint64_t events;
	} rows[] = {
		{ 3997, 0 },
		{ 3998, 0 },
		{ 3999, 0 },
		{ 0, 0 },                       /* the period is learned */
		{ 1, 0 },
		{ 2, 0 },
		{ 2, EVENT(SMP_CNT_REPEATED) },
		{ 5, EVENT(SMP_CNT_GAP) },      /* 2 */
		{ 4, EVENT(SMP_CNT_OLD) },
		{ 3998, EVENT(SMP_CNT_GAP) },   /* 3993 */
		{ 1, EVENT(SMP_CNT_GAP) },      /* 2: over the wrap */
		{ 1000, EVENT(SMP_CNT_GAP) },   /* 998 */
		{ 0, EVENT(SMP_CNT_RESET) },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct message m = usual;
		uint64_t events;

		m.cnt = rows[i].cnt;
		events = say(m);
		if (events != rows[i].events)
			fail_msg("row %zu: %lx", i, (unsigned long)events);
	}
	assert_int_equal(counter_get(&rig->counters[SV_COUNT_LOST]), 2 + 3993 + 2 + 998);
}

static void
several_asdus(void **state)
{
	struct message m = usual;

	m.asdus = m.number = 8;
	assert_true(say(m) == 0);
	m.cnt += 8;
	assert_true(say(m) == 0);
	assert_int_equal(rig->count, 1);
	m.cnt += 9;
	assert_true(say(m) == EVENT(SMP_CNT_GAP));
	assert_json("\"previous\":{\"smpCnt\":25,\"age_us\":250}");
	m.cnt += 8;
	m.number = 7;
	assert_true(say(m) == EVENT(ASDU_COUNT));
	m.cnt += 8;
	assert_true(say(m) == 0);
	assert_int_equal(counter_get(&rig->counters[SV_COUNT_SAMPLES]), 40);
	/* More than are read are counted all the same. */
	m.id = "MU02";
	m.channels = 0;
	m.asdus = m.number = 40;
	assert_true((say(m) & EVENT(ASDU_COUNT)) == 0);
}

static void
conditions_are_told_when_they_change(void **state)
{
	struct message m = usual;

	say(m);
	m.cnt++;
	m.quality = 1;
	assert_true(say(m) == EVENT(QUALITY_BAD));
	assert_json("\"reason\":\"state_change\"");
	assert_json("\"validity\":\"invalid\"");
	m.cnt++;
	assert_true(say(m) == 0);
	assert_int_equal(rig->count, 2);
	m.cnt++;
	m.quality = 0;
	assert_true(say(m) == 0);
	assert_int_equal(rig->count, 3);
	m.cnt++;
	m.synch = 0;
	m.rev = 2;
	assert_true(say(m) == (EVENT(SYNCH_LOST) | EVENT(CONF_REV_CHANGED)));
	m.cnt++;
	m.reserved1 = 0x8000;
	assert_true(say(m) == EVENT(SIMULATED));
	m.cnt++;
	rig_wait_ms(101);
	assert_true(say(m) == EVENT(INTERRUPTED));
	rig->link.dst_mac = rig_src;
	m.cnt++;
	m.appid = 1;
	assert_true(say(m) == (EVENT(UNICAST) | EVENT(APPID_RANGE)));
	m.cnt++;
	assert_true(say(m) == 0);
}

static void
summaries_and_the_end(void **state)
{
	struct message m = usual;

	rig->ctx.levels.summary_interval_s = 1;
	for (m.cnt = 0; m.cnt < 4001; m.cnt++)
		assert_true(say(m) == 0);
	assert_int_equal(rig->count, 2);
	assert_json("\"summary\":{\"messages\":4001,\"samples\":4001,\"lost\":0,\"repeated\":0,\"anomalies\":0,\"duration_ms\":1000}");
	m.cnt = 0;
	say(m);
	sv_proto.end(&rig->ctx);
	assert_json("\"reason\":\"end\"");
	assert_json("\"sv_id\":\"MU01\",\"smpCnt\":0,\"summary\":{\"messages\":1,");
	assert_json("\"period\":4001");
}

static void
everything_is_bounded(void **state)
{
	struct message m = usual;
	char id[16];
	uint64_t events = 0;

	for (unsigned int i = 0; i < 1000; i++)
		say(m);
	assert_int_equal(rig->count, 1 + SV_ANOMALIES_MAX);
	m.left_out = 1 << 2;
	for (unsigned int i = 0; i < 1000; i++)
		events |= say(m);
	assert_true(events == EVENT(MISSING_FIELD));
	assert_int_equal(rig->count, 1 + 2 * SV_ANOMALIES_MAX);
	m.left_out = 0;
	m.id = id;
	rig_wait_ms(60000);
	for (unsigned int i = 0; i < 2 * SV_STREAMS_MAX; i++) {
		snprintf(id, sizeof(id), "MU%u", i);
		events |= say(m);
	}
	assert_true((events & EVENT(TOO_MANY_STREAMS)) != 0);
	assert_int_equal(((struct sv_state *)rig->ctx.state)->stream_count, SV_STREAMS_MAX);
}

static void
all_messages_when_asked_for(void **state)
{
	struct message m = usual;

	rig->ctx.levels.cyclic = PROTO_LOG_ALL;
	say(m);
	m.cnt++;
	say(m);
	assert_int_equal(rig->count, 2);
	assert_json("\"reason\":\"message\"");
}

static void
without_memory(void **state)
{
	void *blocks[8192];
	unsigned int count = 0;

	while (count < TEST_COUNT(blocks) && (blocks[count] = slab_alloc(rig->slab, sizeof(struct sv_stream))) != NULL)
		count++;
	assert_true(say(usual) == 0);
	assert_int_equal(rig->count, 1);
	assert_int_equal(counter_get(&rig->counters[SV_COUNT_SHED]), 1);
	while (count > 0)
		slab_free(rig->slab, blocks[--count], sizeof(struct sv_stream));
}

static void
recognition(void **state)
{
	struct message m = usual;
	struct pdu pdu = encode(&m);
	static const uint8_t other[] = { 0x40, 1, 0, 20, 0, 0, 0, 0, 0x61, 1 };

	assert_int_equal(sv_proto.probe(cursor_of(pdu_data(&pdu), pdu_len(&pdu)), true, true), PROTO_PROBE_YES);
	assert_int_equal(sv_proto.probe(cursor_of(pdu_data(&pdu), pdu_len(&pdu)), true, false), PROTO_PROBE_NO);
	assert_int_equal(sv_proto.probe(cursor_of(other, sizeof(other)), true, true), PROTO_PROBE_NO);
	assert_int_equal(sv_proto.frame(cursor_of(other, sizeof(other)), true), sizeof(other));
	assert_true(rig_parse(other, sizeof(other)) == EVENT(UNKNOWN_APDU));
	assert_true(rig_parse(other, 7) == EVENT(INVALID_LENGTH));
}

static void
hostile_bytes(void **state)
{
	struct message m = usual;
	struct pdu pdu;
	size_t len;

	m.all = true;
	m.asdus = m.number = 3;
	pdu = encode(&m);
	len = pdu_len(&pdu);
	for (size_t cut = 0; cut < len; cut++)
		rig_parse(pdu_data(&pdu), cut);
	for (size_t i = 0; i < len; i++)
		for (unsigned int value = 0; value < 256; value += value == 0 || value == 254 ? 1 : 127) {
			struct pdu bent = pdu;

			bent.bytes[bent.at + i] = (uint8_t)value;
			rig_parse(pdu_data(&bent), len);
		}
}

/* What is told of a bent message behind two whole ones; read in any case, or known by its bytes where it may be. */
static uint64_t
tell_bent(size_t at, uint8_t value, bool read)
{
	struct message m = usual;
	struct sv_state *sv;
	struct pdu pdu;
	uint64_t events;

	rig_begin(&sv_proto, &config);
	m.asdus = m.number = 2;
	m.security_len = 2;
	for (unsigned int i = 0; i < 3; i++, m.cnt += 2)
		assert_true(say(m) == 0);
	sv = rig->ctx.state;
	assert_true(sv->streams[0]->repeat.len != 0);
	if (read)
		sv->streams[0]->repeat.len = 0;
	pdu = encode(&m);
	if (at < pdu_len(&pdu))
		pdu.bytes[pdu.at + at] = value;
	rig->ctx.ts_ns += 250000;
	events = rig_parse(pdu_data(&pdu), pdu_len(&pdu)) << 8 | rig->count;
	m.cnt += 2;
	events = events << 8 ^ say(m);
	events = events << 8 ^ counter_get(&rig->counters[SV_COUNT_SAMPLES]) << 4 ^ sv->streams[0]->samples;
	rig_end();
	return events;
}

static void
repetitions_hide_nothing(void **state)
{
	for (size_t at = 0; at < 256; at++)
		for (unsigned int value = 0; value < 256; value += value == 0 || value == 254 ? 1 : 127)
			if (tell_bent(at, (uint8_t)value, false) != tell_bent(at, (uint8_t)value, true))
				fail_msg("byte %zu as %u", at, value);
}

static void
table_holds(void **state)
{
	assert_null(record_table_check(&sv_table));
}

int
main(void)
{
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_holds),
		WITH_RIG(first_message_is_told),
		WITH_RIG(values_are_exact),
		WITH_RIG(samples_that_are_no_pairs),
		WITH_RIG(counts_are_followed),
		WITH_RIG(several_asdus),
		WITH_RIG(conditions_are_told_when_they_change),
		WITH_RIG(summaries_and_the_end),
		WITH_RIG(everything_is_bounded),
		WITH_RIG(all_messages_when_asked_for),
		WITH_RIG(without_memory),
		WITH_RIG(recognition),
		WITH_RIG(hostile_bytes),
		cmocka_unit_test(repetitions_hide_nothing),
	};

	config = (struct sv_config){ .interruption_ms = 100 };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
