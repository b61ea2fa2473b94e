/* S7comm: every function both ways, pairing, volume, hostile input, the tables. */
#include <errno.h>

#include "proto/s7comm/s7comm.h"
#include "proto/s7comm/test_s7comm_samples.h"
#include "proto/test_rig.h"

extern const struct proto s7comm_proto;

enum { TPKT_MAX = 4096 };

static struct s7_state flow;
static struct s7_config config;
static const struct rig_desc desc = { .proto = &s7comm_proto, .table = &s7_table, .state = &flow, .config = &config,
	.slab_len = 1 << 20, .json_flags = PROTO_MATCH | PROTO_EMIT };

static int
setup(void **state)
{
	(void)state;
	config = (struct s7_config){ .request_flood = 32, .message_max = 16384 };
	return rig_create(&desc);
}

/* Whole TPKTs. */
static void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	assert_int_equal(rig_feed(data, len, to_server), len);
}

/* An S7 message in its headers: rosctr, reference, error; parameters '|' data, in hex. */
static size_t
wrap(const struct message *message, uint8_t *out)
{
	const char *bar = strchr(message->body, '|');
	char parameters_hex[2 * TPKT_MAX];
	uint8_t parameters[TPKT_MAX], data[TPKT_MAX];
	size_t parameters_len, data_len = 0, at = 0, header = message->rosctr == S7_ACK || message->rosctr == S7_ACK_DATA ? 12 : 10;

	snprintf(parameters_hex, sizeof(parameters_hex), "%.*s",
		(int)(bar == NULL ? strlen(message->body) : (size_t)(bar - message->body)), message->body);
	parameters_len = unhex(parameters_hex, parameters, sizeof(parameters));
	if (bar != NULL)
		data_len = unhex(bar + 1, data, sizeof(data));
	out[at++] = 3;
	out[at++] = 0;
	out[at++] = (uint8_t)((7 + header + parameters_len + data_len) >> 8);
	out[at++] = (uint8_t)(7 + header + parameters_len + data_len);
	out[at++] = 2;
	out[at++] = 0xf0;
	out[at++] = 0x80;
	out[at++] = S7_PROTOCOL_ID;
	out[at++] = message->rosctr;
	out[at++] = 0;
	out[at++] = 0;
	out[at++] = 0;
	out[at++] = 9; /* reference */
	out[at++] = (uint8_t)(parameters_len >> 8);
	out[at++] = (uint8_t)parameters_len;
	out[at++] = (uint8_t)(data_len >> 8);
	out[at++] = (uint8_t)data_len;
	if (header == 12) {
		out[at++] = (uint8_t)(message->error >> 8);
		out[at++] = (uint8_t)message->error;
	}
	memcpy(out + at, parameters, parameters_len);
	memcpy(out + at + parameters_len, data, data_len);
	return at + parameters_len + data_len;
}

static void
send(const struct message *message, bool to_server)
{
	uint8_t out[3 * TPKT_MAX];

	if (message->body != NULL)
		feed_bytes(out, wrap(message, out), to_server);
}

static void
run_sample(const struct sample *sample)
{
	rig_renew();
	send(&sample->request, !sample->reversed);
	send(&sample->response, sample->reversed);
	for (size_t j = 0; j < TEST_COUNT(sample->expect) && sample->expect[j] != NULL; j++)
		assert_has(&rig->json, sample->expect[j]);
	for (size_t j = 0; j < TEST_COUNT(sample->identity) && sample->identity[j] != NULL; j++)
		assert_has(&rig->identity, sample->identity[j]);
	if (rig->events != sample->events)
		fail_msg("%s: events %llx, not %llx: %s", sample->name, (unsigned long long)rig->events,
			(unsigned long long)sample->events, rig->json.data);
	if (sample->request.body != NULL && sample->response.body != NULL) {
		assert_int_equal(rig->count, 2);
		assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_HOLD);
	}
	assert_int_equal(rig->flags[rig->count - 1], PROTO_MATCH | PROTO_EMIT);
	assert_int_equal(flow.pairs.count, 0);
}

static void
test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(samples); i++)
		run_sample(&samples[i]);
}

/* Each message cut at every length: its TPKT as it was is never whole; with a TPKT length that fits, the cut is
 * noticed or harmless. Every octet at its extremes. */
static void
test_damage(void **state)
{
	static const uint8_t extremes[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	uint8_t out[3 * TPKT_MAX], copy[3 * TPKT_MAX];

	(void)state;
	for (size_t i = 0; i < 2 * TEST_COUNT(samples); i++) {
		const struct sample *sample = &samples[i / 2];
		const struct message *message = i % 2 == 0 ? &sample->request : &sample->response;
		size_t len;

		if (message->body == NULL)
			continue;
		len = wrap(message, out);
		for (size_t cut = 7; cut < len; cut++) {
			assert_true(s7comm_proto.frame(cursor_of(out, cut), true) > (int)cut);
			rig_renew();
			if (i % 2 == 1)
				send(&sample->request, true);
			memcpy(copy, out, len);
			copy[2] = (uint8_t)(cut >> 8);
			copy[3] = (uint8_t)cut;
			feed_bytes(copy, cut, i % 2 == 0);
		}
		for (size_t at = 7; at < len; at++)
			for (size_t j = 0; j < TEST_COUNT(extremes); j++) {
				rig_renew();
				if (i % 2 == 1)
					send(&sample->request, true);
				memcpy(copy, out, len);
				copy[at] = extremes[j];
				feed_bytes(copy, len, i % 2 == 0);
			}
	}
}

static void
test_connection(void **state)
{
	static const uint8_t request[] = { 3, 0, 0, 22, 17, 0xe0, 0, 0, 0, 1, 0, 0xc0, 1, 10, 0xc1, 2, 1, 0, 0xc2, 2, 1, 0x22 };
	static const uint8_t refusal[] = { 3, 0, 0, 11, 6, 0x80, 0, 1, 0, 0, 3 };
	static const uint8_t broken[] = { 3, 0, 0, 14, 9, 0xe0, 0, 0, 0, 1, 0, 0xc1, 9, 1 };

	(void)state;
	assert_int_equal(s7comm_proto.probe(cursor_of(request, sizeof(request)), true, true), PROTO_PROBE_YES);
	assert_int_equal(s7comm_proto.sender_is_server(cursor_of(request, sizeof(request))), 0);
	feed_bytes(request, sizeof(request), true);
	assert_has(&rig->json, "\"pdu_name\":\"CR Connection Request\"");
	assert_has(&rig->json, "\"called_tsap\":\"0122\"");
	assert_has(&rig->json, "\"tpdu_size\":1024");
	assert_has(&rig->json, "\"connection\":{\"type_code\":1,\"type\":\"PG\",\"rack\":1,\"slot\":2}");
	feed_bytes(refusal, sizeof(refusal), false);
	assert_has(&rig->json, "\"reason_name\":\"address unknown\"");
	assert_int_equal(rig->events, UINT64_C(1) << S7_EVENT_CONNECTION_REFUSED);
	feed_bytes(broken, sizeof(broken), true);
	assert_int_equal(rig->events >> S7_EVENT_INVALID_TPDU & 1, 1);
}

static void
test_probe(void **state)
{
	static const struct {
		const char *hex;
		enum proto_probe verdict;
		int server;
	} rows[] = {
		{ "03 00 00 19 02 f0 80 32 01 00 00 00 09 00 08 00 00 f0 00", PROTO_PROBE_YES, 0 },
		{ "03 00 00 1b 02 f0 80 32 03 00 00 00 09 00 08 00 00 00 00 f0", PROTO_PROBE_YES, 1 },
		{ "03 00 00 1b 02 f0 80 32 01 00 00 00 09 00 08 00 00 1b 00", PROTO_PROBE_YES, 1 },
		{ "03 00 00 1b 02 f0 80 32 07 00 00 00 09 00 08 00 00 00 01 12 04 11 44 01 00", PROTO_PROBE_YES, 0 },
		{ "03 00 00 19 02 f0 80 72 01", PROTO_PROBE_NO, -1 },
		{ "03 00 00 19 02 f0 80 32 05", PROTO_PROBE_NO, 1 },
		{ "03 00 00 16 11 e0 00 00 00 01 00 c0 01 0a c1 02 00 02 c2 02 02 00", PROTO_PROBE_MORE, 0 },
		{ "03 00 00 0b 06 e0 00 00 00 00 00", PROTO_PROBE_MORE, 0 },
		{ "03 00 00 07 02 f0 00 03 00 00 19 02 f0 80 32 01", PROTO_PROBE_YES, -1 },
		{ "03 00", PROTO_PROBE_MORE, -1 },
		{ "16 03 01 00", PROTO_PROBE_NO, -1 },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		uint8_t data[64];
		size_t len = unhex(rows[i].hex, data, sizeof(data));

		if (s7comm_proto.probe(cursor_of(data, len), true, false) != rows[i].verdict)
			fail_msg("probe of %s", rows[i].hex);
		if (rows[i].verdict == PROTO_PROBE_YES && s7comm_proto.sender_is_server(cursor_of(data, len)) != rows[i].server)
			fail_msg("server of %s", rows[i].hex);
	}
}

/* A message in two TPDUs is the message. */
static void
test_fragments(void **state)
{
	uint8_t whole[3 * TPKT_MAX], part[3 * TPKT_MAX];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(samples); i++) {
		size_t len = samples[i].request.body == NULL ? 0 : wrap(&samples[i].request, whole);

		for (size_t cut = 8; cut < len; cut += 5) {
			rig_renew();
			memcpy(part, whole, cut);
			part[2] = (uint8_t)(cut >> 8);
			part[3] = (uint8_t)cut;
			part[6] = 0;
			feed_bytes(part, cut, true);
			assert_int_equal(rig->count, 0);
			memcpy(part + 7, whole + cut, len - cut);
			part[2] = (uint8_t)((len - cut + 7) >> 8);
			part[3] = (uint8_t)(len - cut + 7);
			part[6] = 0x80;
			feed_bytes(part, len - cut + 7, true);
			assert_int_equal(rig->count, 1);
			assert_int_equal(rig->events & UINT64_C(1) << S7_EVENT_INVALID_LENGTH, 0);
		}
	}
}

static const struct message read_request = { S7_JOB, 0, "04 01 12 0a 10 02 00 02 00 01 84 00 00 00" };
static const struct message read_answer = { S7_ACK_DATA, 0, "04 01 | ff 04 00 10 12 34" };
static const struct message other_answer = { S7_ACK_DATA, 0, "04 01 | ff 04 00 10 12 35" };
static const struct message push = { S7_USERDATA, 0, "000112 08 12 02 01 07 00 00 0000 | ff 09 0008 0001 ff04 0010 1234" };
static const struct message other_push = { S7_USERDATA, 0, "000112 08 12 02 01 07 00 00 0000 | ff 09 0008 0001 ff04 0010 1235" };

/* The same value again is not written; a refused read always is. */
static void
test_changes(void **state)
{
	enum { ASKED = PROTO_MATCH | PROTO_HOLD, TOLD = PROTO_MATCH | PROTO_EMIT, PUSHED = TOLD | PROTO_CYCLIC };
	static const unsigned int read_flags[] = { ASKED, TOLD, ASKED, TOLD | PROTO_QUIET, ASKED, TOLD };

	(void)state;
	rig->ctx.levels.usual = PROTO_LOG_CHANGES;
	for (unsigned int i = 0; i < 3; i++) {
		send(&read_request, true);
		send(i < 2 ? &read_answer : &other_answer, false);
	}
	assert_int_equal(rig->count, 6);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(rig->flags[i], read_flags[i]);
	rig->ctx.levels.usual = PROTO_LOG_ALL;
	rig_renew();
	for (unsigned int i = 0; i < 4; i++)
		send(i < 3 ? &push : &other_push, false);
	assert_int_equal(rig->flags[0], PUSHED);
	assert_int_equal(rig->flags[1], PUSHED | PROTO_QUIET);
	assert_int_equal(rig->flags[2], PUSHED | PROTO_QUIET);
	assert_int_equal(rig->flags[3], PUSHED);
	assert_has(&rig->json, "\"data\":\"1235\"");
}

/* An answer that the capture lost leaves its request open: that its reference comes again is nothing wrong. */
static void
test_reused_behind_loss(void **state)
{
	(void)state;
	send(&read_request, true);
	rig->ctx.ts_ns += 1000;
	rig->ctx.to_server = false;
	s7comm_proto.gap(&rig->ctx, 10);
	rig->ctx.ts_ns += 1000;
	send(&read_request, true);
	assert_int_equal(rig->events, 0);
	send(&read_answer, false);
	send(&read_answer, false);
	rig->ctx.ts_ns += 1000;
	send(&read_request, true);
	assert_int_equal(rig->events, 0);
	send(&read_request, true);
	assert_int_equal(rig->events, UINT64_C(1) << S7_EVENT_REUSED_PDU_REFERENCE);
}

static void
test_pairing(void **state)
{
	(void)state;
	/* The same reference twice: the first answered is the first asked. */
	send(&read_request, true);
	send(&read_request, true);
	assert_int_equal(rig->events, UINT64_C(1) << S7_EVENT_REUSED_PDU_REFERENCE);
	send(&read_answer, false);
	assert_has(&rig->json, "\"id\":1,");
	send(&read_answer, false);
	assert_has(&rig->json, "\"id\":2,");
	rig->events = 0;
	send(&read_answer, false);
	assert_int_equal(rig->events, UINT64_C(1) << S7_EVENT_UNSOLICITED_RESPONSE);
	rig_renew();
	for (unsigned int i = 0; i < 40; i++)
		send(&read_request, true);
	assert_int_equal(rig->events >> S7_EVENT_FLOODED & 1, 1);
	assert_int_equal(flow.pairs.count, 32);
	s7comm_proto.end(&rig->ctx);
	assert_int_equal(counter_get(&rig->counters[S7_COUNT_UNANSWERED]), 40);
	rig_renew();
	rig->ctx.slab = NULL;
	send(&read_request, true);
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_EMIT);
	assert_int_equal(counter_get(&rig->counters[S7_COUNT_SHED]), 1);
	rig->ctx.slab = rig->slab;
}

/* A success without data has no return code of its own; what failed has, and so has an answer that does not tell of errors. */
static void
test_no_data(void **state)
{
	static const struct {
		struct message answer;
		bool shown;
	} cases[] = {
		{ { S7_USERDATA, 0, "000112 08 12 87 02 01 00 00 0000 | 0a 00 0000" }, false },
		{ { S7_USERDATA, 0, "000112 08 12 87 02 01 00 00 dc01 | 0a 00 0000" }, true },
		{ { S7_USERDATA, 0, "000112 08 12 87 02 01 00 00 0000 | 03 00 0000" }, true },
		{ { S7_USERDATA, 0, "000112 08 12 87 02 01 00 00 0000 | 0a 09 0002 0000" }, true },
		{ { S7_USERDATA, 0, "000112 04 12 87 02 01 | 0a 00 0000" }, true },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		rig_renew();
		send(&cases[i].answer, false);
		assert_int_equal(strstr(rig->json.data, "\"return_code\"") != NULL, cases[i].shown);
	}
}

/* A status list in two messages whose border is inside an entry. */
static void
test_long_list(void **state)
{
	static const struct message first = { S7_USERDATA, 0,
		"000112 08 12 84 01 01 05 01 0000 | ff 09 0036 001c 0000 0022 0002 0001 "
		"4153203100000000000000000000000000000000000000000000000000000000 0005 53 20 43 2d 41 31 00 00 00 00" };
	static const struct message second = { S7_USERDATA, 0,
		"000112 08 12 84 01 02 05 00 0000 | ff 09 0016 00000000000000000000000000000000000000000000" };

	(void)state;
	send(&first, false);
	assert_has(&rig->identity, "\"name\":\"AS 1\"");
	send(&second, false);
	assert_has(&rig->json, "\"index_name\":\"serial number of the module\",\"text\":\"S C-A1\"");
	assert_has(&rig->identity, "\"serial\":\"S C-A1\"");
	assert_int_equal(flow.szl.data_unit, 0);
	send(&first, false);
	s7comm_proto.gap(&rig->ctx, 10);
	send(&second, false);
	assert_null(strstr(rig->json.data, "S C-A1"));
	/* What was lost of the other direction is none of the list. */
	send(&first, false);
	rig->ctx.to_server = true;
	s7comm_proto.gap(&rig->ctx, 10);
	send(&second, false);
	assert_has(&rig->json, "\"index_name\":\"serial number of the module\",\"text\":\"S C-A1\"");
}

static void
test_garbage(void **state)
{
	static const uint8_t other[] = { 3, 0, 0, 9, 2, 0xf0, 0x80, 0x72, 1 };
	static const uint8_t unknown[] = { 3, 0, 0, 17, 2, 0xf0, 0x80, 0x32, 9, 0, 0, 0, 0, 0, 0, 0, 0 };

	(void)state;
	feed_bytes(other, sizeof(other), true);
	assert_int_equal(rig->events, 0);
	send(&read_request, true);
	feed_bytes(other, sizeof(other), true);
	assert_int_equal(rig->events, UINT64_C(1) << S7_EVENT_UNKNOWN_PROTOCOL_ID);
	feed_bytes(unknown, sizeof(unknown), true);
	assert_int_equal(rig->events >> S7_EVENT_UNKNOWN_ROSCTR & 1, 1);
}

static void
test_tables(void **state)
{
	(void)state;
	assert_null(record_table_check(&s7_table));
	for (unsigned int i = 0; i < S7_EVENT_COUNT; i++)
		assert_non_null(s7_events[i].name);
	for (unsigned int i = 0; i < S7_COUNTER_COUNT; i++)
		assert_non_null(s7_counters[i].name);
	assert_true(s7comm_proto.state_len <= SLAB_BLOCK_MAX);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_samples), CASE(test_damage), CASE(test_connection), CASE(test_probe), CASE(test_fragments),
		CASE(test_changes), CASE(test_pairing), CASE(test_reused_behind_loss), CASE(test_no_data), CASE(test_long_list), CASE(test_garbage), CASE(test_tables),
	};

	return cmocka_run_group_tests_name("s7comm", tests, NULL, NULL);
}
