/* DNS: messages over both transports, pairing, hostile names, what is not DNS, the tables. */
#include <errno.h>

#include "proto/dns/dns.h"
#include "proto/test_rig.h"

extern const struct proto dns_proto;

enum { MESSAGE_MAX = 64 * 1024 };

static struct dns_state flow;
static struct dns_config config;
static const struct rig_desc desc = { .proto = &dns_proto, .table = &dns_table, .state = &flow, .config = &config,
	.json_flags = PROTO_MATCH | PROTO_EMIT };

static int
setup(void **state)
{
	int err = rig_create(&desc);

	(void)state;
	rig->ctx.tcp = false;
	config = (struct dns_config){ .requests = true, .responses = true };
	rig->ctx.sport = 40000;
	rig->ctx.dport = 53;
	return err;
}

/* Hex with spaces; text between quotes is itself; (...) stands behind a byte that is its length. */
static size_t
bytes_of(const char *text, uint8_t *out, size_t cap)
{
	size_t open[4], depth = 0, len = 0;
	bool quoted = false;

	for (; *text != '\0'; text++) {
		unsigned int byte;

		assert_true(len < cap);
		if (!quoted && *text == '(') {
			open[depth++] = len++;
		} else if (!quoted && *text == ')') {
			depth--;
			out[open[depth]] = (uint8_t)(len - open[depth] - 1);
		} else if (*text == '\'') {
			quoted = !quoted;
		} else if (quoted) {
			out[len++] = (uint8_t)*text;
		} else if (*text != ' ') {
			assert_int_equal(sscanf(text, "%2x", &byte), 1);
			out[len++] = (uint8_t)byte;
			text++;
		}
	}
	return len;
}

/* The bytes end where their block ends, so that the sanitizer sees every read beyond them. */
static void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	assert_non_null(copy);
	memcpy(copy, data, len);
	rig->ctx.to_server = to_server;
	rig->ctx.events = 0;
	dns_proto.parse(&rig->ctx, cursor_of(copy, len));
	rig->events |= rig->ctx.events;
	free(copy);
}

static void
feed(const char *text, bool to_server)
{
	uint8_t data[2048];

	feed_bytes(data, bytes_of(text, data, sizeof(data)), to_server);
}

#define NAME "('plc') ('plant') ('example') 00"
#define ASK "1234 0100 0001 0000 0000 0000 " NAME " 0001 0001"
#define ANSWER(counts, records) "1234 8580 0001 " counts " " NAME " 0001 0001 " records

#define E(event) (UINT64_C(1) << DNS_EVENT_##event)

static const struct {
	const char *name;
	const char *answer;
	const char *has;
	uint64_t events;
} answers[] = {
	{ "a", ANSWER("0001 0000 0000", "c00c 0001 0001 00000e10 0004 0a0a0101"),
		"\"answers\":[{\"rrname\":\"plc.plant.example\",\"rrtype\":\"A\",\"ttl\":3600,\"rdata\":\"10.10.1.1\"}],"
		"\"grouped\":{\"A\":[\"10.10.1.1\"]},\"response_time_us\":", 0 },
	{ "flags", ANSWER("0000 0000 0000", ""), "\"type\":\"response\",\"tx_id\":0,\"id\":4660,\"flags\":\"8580\",\"qr\":true,\"aa\":true,"
		"\"rd\":true,\"ra\":true,\"opcode\":0,\"rcode\":\"NOERROR\",\"queries\":[{\"rrname\":\"plc.plant.example\",\"rrtype\":\"A\"}]", 0 },
	{ "aaaa", ANSWER("0001 0000 0000", "c00c 001c 0001 00000e10 0010 20010db8000000000000000000000001"),
		"\"rdata\":\"2001:db8::1\"", 0 },
	{ "cname and a", ANSWER("0002 0000 0000", "c00c 0005 0001 00000001 0006 ('hmi') c010 c02f 0001 0001 00000001 0004 0a0a0102"),
		"\"grouped\":{\"A\":[\"10.10.1.2\"],\"CNAME\":[\"hmi.plant.example\"]}", 0 },
	{ "mx", ANSWER("0001 0000 0000", "c00c 000f 0001 00000001 0008 000a ('mta') c010"),
		"\"rdata\":\"mta.plant.example\",\"preference\":10", 0 },
	{ "txt", ANSWER("0001 0000 0000", "c00c 0010 0001 00000001 0007 ('ab') ('cd') 00"),
		"\"answers\":[{\"rrname\":\"plc.plant.example\",\"rrtype\":\"TXT\",\"ttl\":1,\"rdata\":\"ab\"},"
		"{\"rrname\":\"plc.plant.example\",\"rrtype\":\"TXT\",\"ttl\":1,\"rdata\":\"cd\"},"
		"{\"rrname\":\"plc.plant.example\",\"rrtype\":\"TXT\",\"ttl\":1,\"rdata\":\"\"}],"
		"\"grouped\":{\"TXT\":[\"ab\",\"cd\",\"\"]}", 0 },
	{ "txt, cut", ANSWER("0001 0000 0000", "c00c 0010 0001 00000001 0006 ('ab') 0563 64"), "\"rdata\":\"ab\"", E(MALFORMED_DATA) },
	{ "null, bytes", ANSWER("0001 0000 0000", "c00c 000a 0001 00000001 0004 'x' 03c5 e9"), "\"NULL\":[\"x\\u0003\\\\xc5\\\\xe9\"]", 0 },
	{ "null", ANSWER("0001 0000 0000", "c00c 000a 0001 00000001 0003 'xyz'"), "\"NULL\":[\"xyz\"]", 0 },
	{ "sshfp", ANSWER("0001 0000 0000", "c00c 002c 0001 00000001 0005 0102 abcdef"),
		"\"sshfp\":{\"algo\":1,\"type\":2,\"fingerprint\":\"ab:cd:ef\"}", 0 },
	{ "sshfp, nothing", ANSWER("0001 0000 0000", "c00c 002c 0001 00000001 0002 0102"), "\"ttl\":1}", 0 },
	{ "sshfp, cut", ANSWER("0001 0000 0000", "c00c 002c 0001 00000001 0001 01"), "\"ttl\":1}", E(MALFORMED_DATA) },
	{ "srv", ANSWER("0001 0000 0000", "c00c 0021 0001 00000001 000c 0001 0002 12c0 ('opc') c010"),
		"\"srv\":{\"priority\":1,\"weight\":2,\"port\":4800,\"name\":\"opc.plant.example\"}", 0 },
	{ "soa", ANSWER("0000 0001 0000", "c010 0006 0001 00000001 0018 c00c c00c 00000001 00000002 00000003 00000004 00000005"),
		"\"authorities\":[{\"rrname\":\"plant.example\",\"rrtype\":\"SOA\",\"ttl\":1,\"soa\":{\"mname\":\"plc.plant.example\","
		"\"rname\":\"plc.plant.example\",\"serial\":1,\"refresh\":2,\"retry\":3,\"expire\":4,\"minimum\":5}}]", 0 },
	{ "opt", ANSWER("0000 0000 0001", "00 0029 1000 01000000 0006 000a 0002 abcd"),
		"\"rcode\":\"BADVERS\",\"queries\":", 0 },
	{ "options", ANSWER("0000 0000 0001", "00 0029 1000 00000000 0006 000a 0002 abcd"),
		"\"additionals\":[{\"rrname\":\"\",\"rrtype\":\"OPT\",\"opt\":[{\"code\":10,\"data\":\"abcd\"}]}]", 0 },
	{ "unknown type", ANSWER("0001 0000 0000", "c00c ff00 0001 00000001 0002 beef"), "\"rrtype\":\"TYPE-65280\",\"ttl\":1,\"data\":\"beef\"", 0 },
	{ "loop", ANSWER("0001 0000 0000", "c023 0001 0001 00000e10 0004 0a0a0101"), "\"answers\"", E(INFINITE_LOOP) },
	{ "short address", ANSWER("0001 0000 0000", "c00c 0001 0001 00000e10 0003 0a0a01"), "\"ttl\":3600}", E(MALFORMED_DATA) },
	{ "long address", ANSWER("0001 0000 0000", "c00c 0001 0001 00000e10 0005 0a0a010101"), "\"rdata\"", E(MALFORMED_DATA) },
	{ "answer missing", ANSWER("0002 0000 0000", "c00c 0001 0001 00000e10 0004 0a0a0101"), "\"10.10.1.1\"", E(MALFORMED_DATA) },
	{ "name cut", "1234 8580 0001 0000 0000 0000 ('plc') 05 'pl'", "\"opcode\":0,\"rcode\":\"NOERROR\",\"response_time_us\":", E(MALFORMED_DATA) },
	{ "type cut", "1234 8580 0001 0000 0000 0000 " NAME " 0001 00", "\"queries\":[{\"rrname\":\"plc.plant.example\"}],\"response_time_us\":2500}", E(MALFORMED_DATA) },
	{ "answer cut", ANSWER("0001 0000 0000", "c00c 0001 0001 0000"), "\"answers\":[{\"rrname\":\"plc.plant.example\",\"rrtype\":\"A\"}],\"response_time_us\":2500}",
		E(MALFORMED_DATA) },
	{ "authority missing", ANSWER("0000 0001 0000", ""), "\"queries\"", E(INVALID_AUTHORITIES) },
	{ "additional missing", ANSWER("0000 0000 0001", "00"), "\"queries\"", E(INVALID_ADDITIONALS) },
	{ "behind the end", ANSWER("0000 0000 0000", "00"), "\"queries\"", E(TRAILING_BYTES) },
	{ "other label", ANSWER("0001 0000 0000", "8000 0001 0001 00000e10 0004 0a0a0101"), "\"queries\"", E(MALFORMED_DATA) },
	{ "cut and said", "1234 8780 0001 0001 0000 0000 " NAME " 0001 0001", "\"tc\":true", 0 },
	{ "reserved bit", "1234 85c3 0001 0000 0000 0000 " NAME " 0001 0001", "\"z\":true,\"opcode\":0,\"rcode\":\"NXDOMAIN\"", E(Z_FLAG_SET) },
	{ "other id", "1235 8580 0001 0000 0000 0000 " NAME " 0001 0001", "\"tx_id\":1,\"id\":4661", E(UNSOLICITED_RESPONSE) },
	{ "request", ASK, "\"request\"", E(NOT_RESPONSE) },
	{ "opcode", "1234 f980 0001 0000 0000 0000 " NAME " 0001 0001", "\"opcode\":15", E(INVALID_OPCODE) },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(answers); i++) {
		rig_renew();
		feed(ASK, true);
		assert_int_equal(rig->count, 1);
		assert_int_equal(rig->events, 0);
		assert_non_null(strstr(rig->json.data, "{\"version\":3,\"type\":\"request\",\"tx_id\":0,\"id\":4660,\"flags\":\"100\",\"rd\":true,"
			"\"opcode\":0,\"rcode\":\"NOERROR\",\"queries\":[{\"rrname\":\"plc.plant.example\",\"rrtype\":\"A\"}]}"));
		rig->ctx.ts_ns += 2500000;
		feed(answers[i].answer, false);
		assert_int_equal(rig->count, 2);
		assert_int_equal(rig->flags[1], PROTO_MATCH | PROTO_EMIT);
		if (rig->events != answers[i].events || strstr(rig->json.data, answers[i].has) == NULL)
			fail_msg("%s: events %llx, no %s in %s", answers[i].name, (unsigned long long)rig->events, answers[i].has,
				rig->json.data);
	}
}

static void
test_pairs(void **state)
{
	(void)state;
	/* From the middle of a flow: nobody is blamed. */
	feed(ANSWER("0000 0000 0000", ""), false);
	assert_int_equal(rig->events, 0);
	assert_int_equal(rig->counters[DNS_COUNT_ORPHANS], 1);
	for (unsigned int i = 0; i < DNS_OPEN_MAX; i++)
		feed(ASK, true);
	assert_int_equal(rig->events, 0);
	feed(ASK, true);
	assert_int_equal(rig->events, E(FLOODED));
	assert_int_equal(rig->counters[DNS_COUNT_UNANSWERED], 1);
	rig_renew();
	feed(ANSWER("0000 0000 0000", ""), true);
	assert_int_equal(rig->events, E(NOT_REQUEST));
}

/* Messages that are no events are seen by rules all the same. */
static void
test_unlogged(void **state)
{
	(void)state;
	config.requests = false;
	feed(ASK, true);
	assert_int_equal(rig->flags[0], PROTO_MATCH);
	feed(ANSWER("0000 0000 0000", ""), false);
	assert_int_equal(rig->flags[1], PROTO_MATCH | PROTO_EMIT);
	rig_renew();
	config = (struct dns_config){ .requests = true, .responses = false };
	feed(ASK, true);
	feed(ANSWER("0000 0000 0000", ""), false);
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_EMIT);
	assert_int_equal(rig->flags[1], PROTO_MATCH);
}

/* RFC 6762: both kinds from both ends, the id 0, cache flush bits; RFC 4795: other bits in the header. */
static void
test_neighbours(void **state)
{
	(void)state;
	rig->ctx.sport = rig->ctx.dport = DNS_PORT_MDNS;
	feed("0000 8400 0000 0001 0000 0000 ('plc') ('local') 00 0001 8001 00000078 0004 0a0a0101", true);
	assert_non_null(strstr(rig->json.data, "\"service\":\"mdns\""));
	feed("0000 0000 0001 0000 0000 0000 ('plc') ('local') 00 00ff 0001", false);
	feed("0000 8400 0000 0001 0000 0000 ('plc') ('local') 00 0001 8001 00000078 0004 0a0a0101", true);
	rig->ctx.dport = DNS_PORT_LLMNR;
	rig->ctx.sport = 50000;
	feed("4242 0040 0001 0000 0000 0000 ('hmi') 00 0001 0001", true);
	assert_non_null(strstr(rig->json.data, "\"service\":\"llmnr\""));
	assert_int_equal(rig->events, 0);
}

/* A browser of services asks for all that it knows at once: such a message is one, and all of it is told. */
static void
test_many_questions(void **state)
{
	static uint8_t data[MESSAGE_MAX];
	size_t len = bytes_of("0000 0000 0051 0000 0000 0000 ('_opc') ('_tcp') ('local') 00 000c 0001", data, sizeof(data));

	(void)state;
	while (len < 12 + 21 + 80 * 6)
		len += bytes_of("c00c 000c 0001", data + len, 16);
	rig->ctx.sport = rig->ctx.dport = DNS_PORT_MDNS;
	assert_int_equal(dns_proto.probe_datagram(cursor_of(data, len), true, true), PROTO_PROBE_YES);
	assert_int_equal(dns_proto.probe_datagram(cursor_of(data, len), true, false), PROTO_PROBE_NO);
	feed_bytes(data, len, true);
	assert_int_equal(((const struct dns_record *)(const void *)rig->builder.base)->queries.count, 0x51);
	assert_int_equal(rig->events, 0);
}

static void
test_long_names(void **state)
{
	uint8_t data[MESSAGE_MAX];
	size_t len = bytes_of("0001 0100 0001 0000 0000 0000", data, sizeof(data));
	size_t tail;

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		data[len++] = 60;
		memset(data + len, 'a', 60);
		len += 60;
	}
	tail = bytes_of("00 0001 0001", data + len, 16);
	feed_bytes(data, len + tail, true);
	assert_int_equal(rig->events, E(NAME_TOO_LONG));
	rig_renew();
	len = DNS_HEADER_LEN;
	for (unsigned int i = 0; i < DNS_LABELS_MAX + 2; i++) {
		data[len++] = 1;
		data[len++] = 'b';
	}
	feed_bytes(data, len + bytes_of("00 0001 0001", data + len, 16), true);
	assert_true((rig->events & E(TOO_MANY_LABELS)) != 0);
	assert_non_null(strstr(rig->json.data, "\"rrtype\":\"A\""));
}

/* More questions and records than are read, each as dear as can be. */
static void
test_extremes(void **state)
{
	static uint8_t data[MESSAGE_MAX];
	size_t len = bytes_of("0001 8100 0000 ffff 0000 0000", data, sizeof(data));

	(void)state;
	while (len + 12 <= sizeof(data))
		len += bytes_of("c00c 000c 0001 00000000 0002 c00c", data + len, 16);
	feed_bytes(data, len, false);
	assert_true((rig->events & E(INFINITE_LOOP)) != 0);
	assert_true((rig->events & E(TOO_MANY_RECORDS)) != 0);
	assert_int_equal(rig->counters[DNS_COUNT_RECORDS_SHED], 1);
	/* a TXT record of a thousand strings of nothing */
	rig_renew();
	len = bytes_of("0001 8100 0000 0001 0000 0000 00 0010 0001 00000000 03e8", data, sizeof(data));
	memset(data + len, 0, 1000);
	feed_bytes(data, len + 1000, false);
	assert_int_equal(((const struct dns_record *)(const void *)rig->builder.base)->answers.count, 1 + DNS_STRINGS_MAX);
	assert_int_equal(rig->counters[DNS_COUNT_RECORDS_SHED], 1);
}

static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(answers); i++) {
		uint8_t data[512];
		size_t len = bytes_of(answers[i].answer, data + DNS_PREFIX_LEN, sizeof(data) - DNS_PREFIX_LEN);

		data[0] = (uint8_t)(len >> 8);
		data[1] = (uint8_t)len;
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = malloc(cut + DNS_PREFIX_LEN);
			int framed;

			assert_non_null(copy);
			memcpy(copy, data, cut + DNS_PREFIX_LEN);
			framed = dns_proto.frame(cursor_of(copy, cut + DNS_PREFIX_LEN), false);
			assert_true(framed == 0 || framed == -EBADMSG || framed == (int)len + DNS_PREFIX_LEN);
			(void)dns_proto.probe(cursor_of(copy, cut + DNS_PREFIX_LEN), false, cut % 2);
			rig->ctx.tcp = true;
			feed_bytes(copy, cut + DNS_PREFIX_LEN, false);
			rig->ctx.tcp = false;
			if (answers[i].events != E(TRAILING_BYTES))
				assert_true(dns_proto.probe_datagram(cursor_of(copy + DNS_PREFIX_LEN, cut), false, false) != PROTO_PROBE_YES);
			feed_bytes(copy + DNS_PREFIX_LEN, cut, false);
			free(copy);
		}
	}
}

/* Over TCP the prefix says where a message ends, also of one whose counts lie: it is malformed, and the next one is found (RFC 1035 4.2.2). */
static void
test_overcounted(void **state)
{
	static const struct {
		const char *bytes;
		bool framed;
	} rows[] = {
		{ "001b 1234 0100 0001 ffff ffff ffff (706c63)(737465656c) 00 0001 0001", true },
		{ "001b 1234 8180 0004 0001 0000 0000 (706c63)(737465656c) 00 0001 0001", true },
		{ "001b 1234 0180 0001 ffff 0000 0000 (706c63)(737465656c) 00 0001 0001", false }, /* a request with what only responses have */
		{ "001b 1234 0100 0001 ffff 0000 0000 (706c63)(737465656c) 00 0001 7777", false },
		{ "001b 1234 0100 0001 ffff 0000 0000 (706c63)(730165656c) 00 0001 0001", false },
		{ "0019 1234 0100 0001 ffff 0000 0000 (706c63)(737465656c) 00 0001", false },
		{ "001b 1234 0100 4100 ffff 0000 0000 (706c63)(737465656c) 00 0001 0001", false },
	};
	uint8_t data[128];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		size_t len = bytes_of(rows[i].bytes, data, sizeof(data)), next;
		int whole = dns_proto.frame(cursor_of(data, len), true);

		if (whole != (rows[i].framed ? (int)len : -EBADMSG))
			fail_msg("%s: %d", rows[i].bytes, whole);
		assert_int_equal(dns_proto.probe(cursor_of(data, len), true, true), rows[i].framed ? PROTO_PROBE_YES : PROTO_PROBE_NO);
		assert_int_equal(dns_proto.probe(cursor_of(data, len), true, false), PROTO_PROBE_NO);
		if (!rows[i].framed)
			continue;
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(dns_proto.frame(cursor_of(data, cut), true), 0);
		rig_renew();
		rig->ctx.tcp = true;
		next = len + bytes_of("001b 1235 0100 0001 0000 0000 0000 (706c63)(737465656c) 00 0001 0001", data + len, sizeof(data) - len);
		assert_int_equal(rig_feed(data, next, true), next);
		assert_int_equal(rig->matched, 2);
		assert_int_not_equal(rig->events & E(MALFORMED_DATA), 0);
	}
}

static const struct {
	const char *name;
	const char *bytes;
	bool tcp, on_port;
	enum proto_probe verdict;
} probes[] = {
	{ "request", ASK, false, false, PROTO_PROBE_YES },
	{ "response", ANSWER("0001 0000 0000", "c00c 0001 0001 00000e10 0004 0a0a0101"), false, false, PROTO_PROBE_YES },
	{ "over tcp", "0023 " ASK, true, false, PROTO_PROBE_YES },
	{ "over tcp, more behind", "0023 " ASK " 0023 " ASK, true, false, PROTO_PROBE_YES },
	{ "too short to be one, before its header is here", "0001 0000 0003 0180 01", true, false, PROTO_PROBE_NO },
	{ "over tcp, half", "0023 1234 0100 0001 0000 0000 0000 03", true, false, PROTO_PROBE_MORE },
	{ "begins", "0023", true, true, PROTO_PROBE_MORE },
	{ "bytes behind", ASK "00", false, false, PROTO_PROBE_NO },
	{ "bytes behind, on its port", ASK "00", false, true, PROTO_PROBE_YES },
	{ "the root", "1234 0100 0001 0000 0000 0000 00 0002 0001", false, false, PROTO_PROBE_NO },
	{ "netbios", "1234 0110 0001 0000 0000 0000 ('CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA') 00 0021 0001", false, false, PROTO_PROBE_NO },
	{ "opcode", "1234 4900 0001 0000 0000 0000 " NAME " 0001 0001", false, false, PROTO_PROBE_NO },
	{ "opcode, on its port", "1234 4900 0001 0000 0000 0000 " NAME " 0001 0001", false, true, PROTO_PROBE_YES },
	{ "opcode, on its port, more behind", "1234 4900 0001 0000 0000 0000 " NAME " 0001 0001 00", false, true, PROTO_PROBE_NO },
	{ "no entry", "1234 0100 0000 0000 0000 0000", false, true, PROTO_PROBE_NO },
	{ "counts too high", "1234 0100 0007 0000 0000 0000 " NAME " 0001 0001", false, false, PROTO_PROBE_NO },
	{ "counts too high, on its port", "1234 0100 0007 0000 0000 0000 " NAME " 0001 0001", false, true, PROTO_PROBE_YES },
	{ "counts too high, of no class", "1234 0100 0007 0000 0000 0000 " NAME " 0001 0007", false, true, PROTO_PROBE_NO },
	{ "counts too high, a label of no kind", "1234 0100 0001 0000 0000 0001 80 0001 0001", false, true, PROTO_PROBE_NO },
	{ "counts too high, no text", "1234 0100 0001 0000 0000 0001 ('pl' 01) ('plant') 00 00", false, true, PROTO_PROBE_NO },
	{ "a header", "1234 0100 0001 0000 0000 0000", false, true, PROTO_PROBE_YES },
	{ "a header, off its port", "1234 0100 0001 0000 0000 0000", false, false, PROTO_PROBE_NO },
	{ "a header, and a little", "1234 0120 0001 0000 0000 0001 03 'pl'", false, true, PROTO_PROBE_YES },
	{ "response, a header", "1234 8180 0001 0004 0000 0001", false, true, PROTO_PROBE_YES },
	{ "response, cut in its answer", ANSWER("0001 0000 0000", "c00c 0001"), false, true, PROTO_PROBE_YES },
	{ "response, refused", "1234 8101 0000 0000 0000 0000", false, true, PROTO_PROBE_YES },
	{ "a header with an answer's bits", "1234 0183 0001 0000 0000 0000", false, true, PROTO_PROBE_NO },
	{ "a header with answers", "1234 0100 0001 0001 0000 0000", false, true, PROTO_PROBE_NO },
	{ "a header with two questions", "1234 0100 0002 0000 0000 0000", false, true, PROTO_PROBE_NO },
	{ "a header, more reserved", "1234 0140 0001 0000 0000 0000", false, true, PROTO_PROBE_NO },
	{ "the root, cut", "1234 0100 0001 0000 0000 0001 00 0002 0001 00 0029", false, true, PROTO_PROBE_YES },
	{ "modbus", "0001 0000 0006 01 03 0000 007d 0001 0000 0006 01 03 0000 007d", true, false, PROTO_PROBE_NO },
	{ "enip", "6300 0000 00000000 00000000 0000000000000000 00000000", false, false, PROTO_PROBE_NO },
	{ "bacnet", "810b 000c 0120 ffff 00ff 1008 0000", false, false, PROTO_PROBE_NO },
	{ "zeros", "0000 0000 0000 0000 0000 0000 0000 0000", false, true, PROTO_PROBE_NO },
};

static void
test_probe(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(probes); i++) {
		uint8_t data[512];
		struct cursor in = cursor_of(data, bytes_of(probes[i].bytes, data, sizeof(data)));
		enum proto_probe verdict = probes[i].tcp ? dns_proto.probe(in, true, probes[i].on_port)
							 : dns_proto.probe_datagram(in, true, probes[i].on_port);

		if (verdict != probes[i].verdict)
			fail_msg("%s: %d", probes[i].name, verdict);
		if (verdict == PROTO_PROBE_YES)
			assert_int_equal(dns_proto.sender_is_server(in), strncmp(probes[i].name, "response", 8) == 0);
	}
}

static void
test_tables(void **state)
{
	struct record_path path;

	(void)state;
	assert_null(record_table_check(&dns_table));
	for (unsigned int i = 0; i < DNS_EVENT_COUNT; i++)
		assert_non_null(dns_events[i].name);
	for (unsigned int i = 0; i < DNS_COUNTER_COUNT; i++)
		assert_non_null(dns_counters[i].name);
	for (unsigned int i = 0; i < DNS_BUFFER_COUNT; i++)
		for (const char *at = dns_buffers[i].path; *at != '\0'; at += strspn(at, " ")) {
			char word[64];

			snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, " "), at);
			assert_int_equal(record_path_resolve(&dns_table, word, &path), 0);
			at += strlen(word);
		}
	assert_true(dns_proto.state_len <= SLAB_BLOCK_MAX);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = { CASE(test_answers), CASE(test_pairs), CASE(test_unlogged), CASE(test_neighbours), CASE(test_many_questions), CASE(test_long_names),
		CASE(test_extremes), CASE(test_cut), CASE(test_overcounted), CASE(test_probe), CASE(test_tables) };

	return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
