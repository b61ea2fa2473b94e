/* TLS: sessions, hellos, certificates, what is cut, lost or hostile, the keywords. */
#include <errno.h>

#include "proto/tls/tls.h"
#include "proto/test_rig.h"

extern const struct proto tls_proto;

enum { DATA_MAX = 8192, SLAB_LEN = 1 << 20 };

static struct tls_state flow;
static const struct rule_app_keyword *keyword; /* under test; NULL: none */
static struct rule_app_test keyword_test;
static bool keyword_held[2]; /* by to_server */
static const char *path;     /* of a buffer that is collected; NULL: none */
static char found[512];
static uint64_t known; /* of the records that were seen */

static bool
collect_bytes(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const uint8_t *data;
	uint32_t len;
	size_t at = strlen(found);

	(void)arg;
	if (field_get_bytes(field, base, record, &data, &len))
		snprintf(found + at, sizeof(found) - at, "%s%.*s", at > 0 ? "|" : "", (int)len, (const char *)data);
	return false;
}

static void
match(unsigned int flags)
{
	struct record_path resolved;

	if ((flags & PROTO_MATCH) == 0)
		return;
	known |= rig->ctx.known;
	if (keyword != NULL && keyword->test(&keyword_test, rig->builder.base))
		keyword_held[rig->ctx.to_server] = true;
	if (path != NULL && record_path_resolve(&tls_table, path, &resolved) == 0)
		(void)record_path_any(&resolved, rig->builder.base, collect_bytes, NULL);
}

static struct tls_config config;
static const struct rig_desc desc = { .proto = &tls_proto, .table = &tls_table, .state = &flow, .config = &config, .slab_len = SLAB_LEN,
	.json_flags = PROTO_EMIT, .seen = match };

static void
forget_matches(void)
{
	rig->ctx.ts_ns = UINT64_C(1750000000000000000); /* certificates are valid then */
	keyword_held[0] = keyword_held[1] = false;
	found[0] = '\0';
}

static int
setup(void **state)
{
	int err = rig_create(&desc);

	(void)state;
	forget_matches();
	return err;
}

static void
renew(void)
{
	rig_renew();
	forget_matches();
}

static void
close_length(uint8_t out[], size_t *len, size_t open, char kind)
{
	size_t inner = *len - open;
	uint8_t head[3] = { (uint8_t)(inner >> 16), (uint8_t)(inner >> 8), (uint8_t)inner };
	size_t head_len = kind == ')' ? 1 : kind == ']' ? 2 : 3;
	const uint8_t *at = head + 3 - head_len;

	if (kind == '>') { /* DER: always two bytes of length, which is allowed */
		head[0] = 0x82;
		at = head;
	}
	memmove(out + open + head_len, out + open, inner);
	memcpy(out + open, at, head_len);
	*len += head_len;
}

/* Hex, with spaces for the reader; text between quotes is itself; @ is 32 bytes of random; what is in () [] {} stands
 * behind its length of 1, 2 or 3 bytes, in <> behind one of BER. */
static size_t
bytes_of(const char *text, uint8_t *out)
{
	size_t open[16], depth = 0, len = 0;
	bool quoted = false;

	for (; *text != '\0'; text++) {
		unsigned int byte;

		assert_true(len + 64 < DATA_MAX);
		if (*text == '\'') {
			quoted = !quoted;
		} else if (quoted) {
			out[len++] = (uint8_t)*text;
		} else if (strchr("([{<", *text) != NULL) {
			assert_true(depth < TEST_COUNT(open));
			open[depth++] = len;
		} else if (strchr(")]}>", *text) != NULL) {
			assert_true(depth > 0);
			close_length(out, &len, open[--depth], *text);
		} else if (*text == '@') {
			memset(out + len, 'R', 32);
			len += 32;
		} else if (*text != ' ') {
			assert_int_equal(sscanf(text, "%2x", &byte), 1);
			out[len++] = (uint8_t)byte;
			text++;
		}
	}
	assert_int_equal(depth, 0);
	return len;
}

/* Whole records. */
static void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	assert_int_equal(rig_feed(data, len, to_server), len);
}

/* Lines that begin with C are the client's, with S the server's. */
static void
talk(const char *script)
{
	uint8_t data[DATA_MAX];
	char line[DATA_MAX];

	while (*script != '\0') {
		size_t len = strcspn(script, "\n");

		assert_true(len > 2 && len < sizeof(line));
		memcpy(line, script, len);
		line[len] = '\0';
		feed_bytes(data, bytes_of(line + 1, data), line[0] == 'C');
		script += len + (script[len] == '\n');
	}
}

/* ---- samples ---- */

#define NAME_OF(cn) "30< 31< 30< 06 03 550406 13 02 'DE' > > 31< 30< 06 03 550403 0c (" cn ") > > >"
#define CERT(cn, issuer, from, until, more) \
	"30< 30< a0 03 020102 02 03 00a1b2 30< 06 09 2a864886f70d01010b 05 00 > " NAME_OF(issuer) " 30< 17 (" from ") 17 (" \
	until ") > " NAME_OF(cn) " 30< 30< 06 09 2a864886f70d010101 > 03 02 00ff > " more " > 30< 06 09 2a864886f70d01010b > 03 02 00aa >"
#define SAN "a3< 30< 30< 06 03 551d0f 01 01 ff 04 03 030200 > 30< 06 03 551d11 04< 30< 82 ('plc.example') 87 04 0a0a0105 > > > > >"
#define PLC_CERT CERT("'plc-7'", "'Plant CA'", "'240101000000Z'", "'340101000000Z'", SAN)
#define OWN_CERT CERT("'plc-7'", "'plc-7'", "'200101000000Z'", "'210101000000Z'", "")
#define CLIENT_HELLO(extensions) "16 0301 [ 01 { 0303 @ () [ 0a0a c02f 009c 002f ] (00) [ " extensions " ] } ]"
#define SNI_PLC "0000 [ [ 00 [ 'plc.example' ] ] ] "
#define GROUPS "000a [ [ 0017 0018 ] ] 000b [ (00) ] 000d [ [ 0403 0804 ] ] "
#define ALPN_TWO "0010 [ [ ('h2') ('http/1.1') ] ] "
#define PSK_OFFER "0029 [ [ [ 01020304 ] 00000001 ] [ ( 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f ) ] ]"
#define SERVER_HELLO "02 { 0303 @ () c02f 00 [ ff01 [ 00 ] ] }"
#define SERVER_FLIGHT(cert) "16 0303 [ " SERVER_HELLO " 0b { { { " cert " } } } 0c { 03 } 0e {} ]"
#define KEY_EXCHANGE "16 0303 [ 10 { 04 01020304 } ] 14 0303 [ 01 ] 16 0303 [ 0102030405060708090a0b0c0d0e0f10 ]"
#define FINISHED "14 0303 [ 01 ] 16 0303 [ 0102030405060708090a0b0c0d0e0f10 ]"
#define DATA "17 0303 [ 00010203040506070809 ]"
#define SESSION "C" CLIENT_HELLO(SNI_PLC GROUPS ALPN_TWO) "\nS" SERVER_FLIGHT(PLC_CERT) "\nC" KEY_EXCHANGE "\nS" FINISHED "\nC" DATA "\nS" DATA

#define E(event) (UINT64_C(1) << TLS_EVENT_##event)

/* What a session's event says, and what is named; each is written once. */
static const struct {
	const char *name, *script, *has;
	uint64_t events;
} sessions[] = {
	{ "subject", SESSION, "\"subject\":\"C=DE, CN=plc-7\",\"issuerdn\":\"C=DE, CN=Plant CA\",\"serial\":\"00:A1:B2\"", 0 },
	{ "dates", SESSION, "\"notbefore\":\"2024-01-01T00:00:00\",\"notafter\":\"2034-01-01T00:00:00\"", 0 },
	{ "other names", SESSION, "\"subjectaltname\":[\"plc.example\",\"10.10.1.5\"]", 0 },
	{ "sni", SESSION, "\"sni\":\"plc.example\",\"version\":\"TLS 1.2\"", 0 },
	{ "ja3", SESSION, "\"string\":\"771,49199-156-47,0-10-11-13-16,23-24,0\"", 0 },
	{ "ja3s", SESSION, "\"string\":\"771,49199,65281\"", 0 },
	{ "ja4", SESSION, "\"ja4\":\"t12d0305h2_", 0 },
	{ "alpn", SESSION, "\"client_alpns\":[\"h2\",\"http/1.1\"]", 0 },
	{ "cipher", SESSION, "\"server_handshake\":{\"version\":\"TLS 1.2\",\"cipher\":49199}", 0 },
	{ "self-signed", "C" CLIENT_HELLO("") "\nS" SERVER_FLIGHT(OWN_CERT) "\nC" KEY_EXCHANGE "\nS" FINISHED, "\"self_signed\":true", 0 },
	{ "resumed", "C16 0301 [ 01 { 0303 @ (0102030405060708) [ c02f ] (00) } ]\nS16 0303 [ 02 { 0303 @ (0102030405060708) c02f 00 } ]\n"
		"S" FINISHED "\nC" FINISHED, "\"session_resumed\":true", 0 },
	{ "resumed by ticket", "C" CLIENT_HELLO("0023 [ 00 ]") "\nS16 0303 [ 02 { 0303 @ () c02f 00 } ] " FINISHED "\nC" FINISHED,
		"\"session_resumed\":true", 0 },
	{ "1.3", "C" CLIENT_HELLO("002b [ ( 7a7a 0304 0303 ) ]") "\nS16 0303 [ 02 { 0303 @ () 1301 00 [ 002b [ 0304 ] ] } ] 14 0303 [ 01 ] "
		DATA "\nC14 0303 [ 01 ] " DATA, "\"version\":\"TLS 1.3\"", 0 },
	{ "1.3 retried", "C" CLIENT_HELLO("002b [ ( 0304 ) ]") "\nS16 0303 [ 02 { 0303 @ () 1301 00 [ 002b [ 0304 ] ] } ]\nC14 0303 [ 01 ] "
		CLIENT_HELLO("002b [ ( 0304 ) ]") "\nS16 0303 [ 02 { 0303 @ () 1301 00 [ 002b [ 0304 ] ] } ] 14 0303 [ 01 ] " DATA "\nC" DATA,
		"\"version\":\"TLS 1.3\"", 0 },
	{ "1.3 resumed", "C" CLIENT_HELLO("002b [ ( 0304 ) ] " PSK_OFFER) "\nS16 0303 [ 02 { 0303 @ () 1301 00 [ 002b [ 0304 ] 0029 [ 0000 ] ] } ] "
		"14 0303 [ 01 ] " DATA "\nC14 0303 [ 01 ] " DATA, "\"session_resumed\":true", 0 },
	{ "1.3 resumed, its beginning not seen", "S16 0303 [ 02 { 0303 @ () 1301 00 [ 002b [ 0304 ] 0029 [ 0000 ] ] } ] " DATA "\nC" DATA,
		"\"session_resumed\":true", 0 },
	{ "1.3 resumed behind a retry", "C" CLIENT_HELLO("002b [ ( 0304 ) ] " PSK_OFFER) "\nS16 0303 [ 02 { 0303 @ () 1301 00 [ 002b [ 0304 ] ] } ]\n"
		"C14 0303 [ 01 ] " CLIENT_HELLO("002b [ ( 0304 ) ] " PSK_OFFER) "\nS16 0303 [ 02 { 0303 @ () 1301 00 [ 002b [ 0304 ] 0029 [ 0000 ] ] } ] "
		DATA "\nC" DATA, "\"session_resumed\":true", 0 },
	{ "1.3 key refused", "C" CLIENT_HELLO("002b [ ( 0304 ) ] " PSK_OFFER) "\nS16 0303 [ 02 { 0303 @ () 1301 00 [ 002b [ 0304 ] ] } ] " DATA "\nC" DATA,
		"{\"version\":\"TLS 1.3\"", 0 },
	{ "1.3 key not offered", "C" CLIENT_HELLO("002b [ ( 0304 ) ]") "\nS16 0303 [ 02 { 0303 @ () 1301 00 [ 002b [ 0304 ] 0029 [ 0000 ] ] } ] " DATA
		"\nC" DATA, "{\"version\":\"TLS 1.3\"", 0 },
	{ "client's certificate", "C" CLIENT_HELLO("") "\nS" SERVER_FLIGHT(PLC_CERT) "\nC16 0303 [ 0b { { { " OWN_CERT " } } } ] "
		KEY_EXCHANGE "\nS" FINISHED, "\"client\":{\"subject\":\"C=DE, CN=plc-7\",\"issuerdn\":\"C=DE, CN=plc-7\"", 0 },
	{ "client without one", "C" CLIENT_HELLO("") "\nS" SERVER_FLIGHT(PLC_CERT) "\nC16 0303 [ 0b { {} } ] " KEY_EXCHANGE "\nS" FINISHED,
		"\"subject\":\"C=DE, CN=plc-7\"", 0 },
	{ "refused", "C" CLIENT_HELLO("") "\nS15 0301 [ 0228 ]",
		"\"alerts\":[{\"level\":\"fatal\",\"description\":\"handshake_failure\",\"to_server\":false}]", 0 },
	{ "ssl 2 hello", "C80 1c 01 0002 0003 0000 0010 010080 00112233445566778899aabbccddeeff", "\"version\":\"SSLv2\"", 0 },
	{ "alert of no level", "C" CLIENT_HELLO("") "\nS15 0303 [ 0328 ]", "\"version\":\"TLS 1.2\"", E(INVALID_ALERT) },
	{ "two names", "C" CLIENT_HELLO(SNI_PLC SNI_PLC), "\"sni\":\"plc.example\"", E(MULTIPLE_SNI) },
	{ "name of a type", "C" CLIENT_HELLO("0000 [ [ 01 [ 'a' ] ] ]"), "\"ja3\"", E(INVALID_SNI_TYPE) },
	{ "name too long", "C" CLIENT_HELLO("0000 [ [ 00 0100 'a' ] ]"), "\"ja3\"", E(INVALID_SNI_LENGTH) },
	{ "bytes behind", "C16 0301 [ 01 { 0303 @ () [ c02f ] (00) [ 0017 [] ] 00 } ]", "\"ja3\"", E(HANDSHAKE_INVALID_LENGTH) },
	{ "change of two", "C" CLIENT_HELLO("") "\nS14 0303 [ 0101 ]", "\"ja3\"", E(INVALID_RECORD_LENGTH) },
	{ "chain cut", "C" CLIENT_HELLO("") "\nS16 0303 [ " SERVER_HELLO " 0b { { 000100 30 } } ]", "\"ja3s\"", E(CERTIFICATE_INVALID_LENGTH) },
	{ "no certificate", "C" CLIENT_HELLO("") "\nS16 0303 [ " SERVER_HELLO " 0b { { { 0500 } } } ]", "\"fingerprint\":\"",
		E(CERTIFICATE_INVALID_DER) | E(INVALID_CERTIFICATE) },
	{ "no date", "C" CLIENT_HELLO("") "\nS" SERVER_FLIGHT(CERT("'a'", "'b'", "'241301000000Z'", "'340101000000Z'", "")),
		"\"notafter\":\"2034-01-01T00:00:00\"", E(CERTIFICATE_INVALID_DATE) },
	{ "extensions cut", "C" CLIENT_HELLO("") "\nS" SERVER_FLIGHT(CERT("'a'", "'b'", "'240101000000Z'", "'340101000000Z'", "a3< 30< 30< 06 01 > > >")),
		"\"subject\":\"C=DE, CN=a\"", E(CERTIFICATE_INVALID_EXTENSIONS) },
	{ "heartbleed", "C" CLIENT_HELLO("") "\nC18 0302 [ 01 4000 ]", "\"ja3\"", E(OVERFLOW_HEARTBEAT) },
	{ "heartbleed answered", "C" CLIENT_HELLO("") "\nC18 0302 [ 01 4000 ]\nS18 0302 [ 02 0004 01020304 @ ]", "\"ja3\"",
		E(OVERFLOW_HEARTBEAT) | E(DATALEAK_HEARTBEAT) },
	{ "heartbeat cut", "C" CLIENT_HELLO("") "\nC18 0302 [ 03 ]", "\"ja3\"", E(INVALID_HEARTBEAT) },
	{ "unknown message", "C" CLIENT_HELLO("") "\nS16 0303 [ 63 { 00 } ]", "\"ja3\"", E(INVALID_HANDSHAKE_MESSAGE) },
	{ "too long", "C" CLIENT_HELLO("") "\nS16 0303 [ " SERVER_HELLO " 0b 020000 00 ]", "\"ja3s\"", E(HANDSHAKE_TOO_LONG) },
	{ "three hellos", "C" CLIENT_HELLO("") "\nC" CLIENT_HELLO("") "\nC" CLIENT_HELLO(""), "\"ja3\"", E(UNEXPECTED_HELLO) },
};

static void
test_sessions(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(sessions); i++) {
		renew();
		talk(sessions[i].script);
		rig_end();
		if (rig->emitted != 1)
			fail_msg("%s: %u events", sessions[i].name, rig->emitted);
		if (rig->events != sessions[i].events)
			fail_msg("%s: events %#llx", sessions[i].name, (unsigned long long)rig->events);
		assert_has(&rig->json, sessions[i].has);
	}
}

/* The digests are those of md5sum and sha256sum over the texts that the definitions give. */
static void
test_fingerprints(void **state)
{
	(void)state;
	renew();
	talk("C" CLIENT_HELLO(SNI_PLC GROUPS ALPN_TWO));
	rig_end();
	assert_has(&rig->json, "\"ja3\":{\"hash\":\"7b3e16592642c5ff580ac61db9bd99f4\"");
	assert_has(&rig->json, "\"ja4\":\"t12d0305h2_f81807f6db74_876bcc86782c\"");
	renew(); /* GREASE is passed over wherever it stands (RFC 8701 3.1) */
	talk("C" CLIENT_HELLO(SNI_PLC "000a [ [ 0017 0018 ] ] 000b [ (00) ] 000d [ [ 1a1a 0403 0804 ] ] " ALPN_TWO));
	rig_end();
	assert_has(&rig->json, "\"ja4\":\"t12d0305h2_f81807f6db74_876bcc86782c\"");
	renew();
	talk("C" CLIENT_HELLO(SNI_PLC));
	rig_end();
	assert_has(&rig->json, "\"ja4\":\"t12d030100_f81807f6db74_000000000000\"");
}

/* However a flight is cut into records, the session is the same. */
static void
test_cut_into_records(void **state)
{
	uint8_t flight[DATA_MAX], wire[DATA_MAX];
	char want[4096];
	size_t len;

	(void)state;
	renew();
	talk("C" CLIENT_HELLO(SNI_PLC) "\nS" SERVER_FLIGHT(PLC_CERT) "\nC" KEY_EXCHANGE "\nS" FINISHED);
	rig_end();
	snprintf(want, sizeof(want), "%s", rig->json.data);
	len = bytes_of(SERVER_FLIGHT(PLC_CERT), flight);
	for (size_t cut = 1; cut < len - 5; cut++) {
		size_t first = cut, second = len - 5 - cut;

		renew();
		talk("C" CLIENT_HELLO(SNI_PLC));
		memcpy(wire, (uint8_t[]){ 0x16, 3, 3, (uint8_t)(first >> 8), (uint8_t)first }, 5);
		memcpy(wire + 5, flight + 5, first);
		memcpy(wire + 5 + first, (uint8_t[]){ 0x16, 3, 3, (uint8_t)(second >> 8), (uint8_t)second }, 5);
		memcpy(wire + 10 + first, flight + 5 + first, second);
		feed_bytes(wire, len + 5, false);
		talk("C" KEY_EXCHANGE "\nS" FINISHED);
		assert_int_equal(rig->emitted, 1);
		assert_string_equal(rig->json.data, want);
		assert_true(rig->events == 0);
	}
}

/* The message ends anywhere: nothing is read beyond, and what was begun is told at the end. */
static void
test_cut(void **state)
{
	static const char *const samples[] = { CLIENT_HELLO(SNI_PLC GROUPS ALPN_TWO), SERVER_FLIGHT(PLC_CERT),
		"80 1c 01 0002 0003 0000 0010 010080 00112233445566778899aabbccddeeff", "15 0303 [ 0228 ]", "18 0302 [ 01 0001 61 @ ]" };
	uint8_t data[DATA_MAX];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(samples); i++) {
		size_t len = bytes_of(samples[i], data);

		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = malloc(cut == 0 ? 1 : cut);
			int frame;

			assert_non_null(copy);
			memcpy(copy, data, cut);
			frame = tls_proto.frame(cursor_of(copy, cut), true);
			if (frame != 0 && frame != (int)len)
				fail_msg("sample %zu cut at %zu frames as %d", i, cut, frame);
			if (cut > 8 && i != 2) { /* a record that is as long as this, of a message that is longer */
				copy[3] = (uint8_t)((cut - 5) >> 8);
				copy[4] = (uint8_t)(cut - 5);
				renew();
				feed_bytes(copy, cut, i != 1);
			}
			free(copy);
		}
	}
}

/* Lengths inside a message that promise more, or less, than there is. */
static void
test_bent(void **state)
{
	static const char *const samples[] = { CLIENT_HELLO(SNI_PLC GROUPS ALPN_TWO), SERVER_FLIGHT(PLC_CERT) };
	uint8_t data[DATA_MAX];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(samples); i++) {
		size_t len = bytes_of(samples[i], data);

		for (size_t at = 5; at < len; at++)
			for (unsigned int bit = 0; bit < 8; bit++) {
				data[at] ^= (uint8_t)(1u << bit);
				renew();
				feed_bytes(data, len, i == 0);
				data[at] ^= (uint8_t)(1u << bit);
			}
	}
}

/* Lists and whole certificates stand in the event where somebody wants them, else not. */
static void
test_written_whole(void **state)
{
	(void)state;
	for (unsigned int on = 0; on < 2; on++) {
		config = (struct tls_config){ .log_handshake = on != 0, .log_certificates = on != 0 };
		rig_renew();
		talk("C" CLIENT_HELLO(SNI_PLC) "\nS" SERVER_FLIGHT(PLC_CERT));
		rig_end();
		assert_int_equal(strstr(rig->json.data, "\"ciphers\":[") != NULL, on);
		assert_int_equal(strstr(rig->json.data, "\"certificate\":\"MII") != NULL, on);
		assert_int_equal(strstr(rig->json.data, "\"chain\":[\"MII") != NULL, on);
	}
	config = (struct tls_config){ 0 };
}

static void
test_lost(void **state)
{
	uint8_t data[DATA_MAX];
	size_t len = bytes_of("16 0303 [ 0b 000400 { { " PLC_CERT " } } ]", data);

	(void)state;
	talk("C" CLIENT_HELLO(SNI_PLC));
	feed_bytes(data, len, false);
	assert_true(slab_used(rig->slab) > 0);
	rig->ctx.to_server = false;
	tls_proto.gap(&rig->ctx, 1000);
	talk("S" FINISHED "\nC" KEY_EXCHANGE);
	rig_end();
	assert_int_equal(rig->emitted, 1);
	assert_null(strstr(rig->json.data, "subject"));
	assert_null(strstr(rig->json.data, "resumed"));
	assert_true(rig->events == 0);
}

static void
test_no_memory(void **state)
{
	void *blocks[64];
	unsigned int count = 0;

	(void)state;
	while (count < TEST_COUNT(blocks) && (blocks[count] = slab_alloc(rig->slab, SLAB_BLOCK_MAX)) != NULL)
		count++;
	talk("C" CLIENT_HELLO(SNI_PLC) "\nS16 0303 [ 0b 000400 00 ]\nS" SERVER_FLIGHT(PLC_CERT));
	assert_int_equal(rig->emitted, 1);
	assert_has(&rig->json, "\"sni\":\"plc.example\"");
	assert_true(rig->counters[TLS_COUNT_SHED] > 0);
	while (count > 0)
		slab_free(rig->slab, blocks[--count], SLAB_BLOCK_MAX);
}

/* Application data cost a header each, and are passed over by count. */
static void
test_passed_over(void **state)
{
	static const uint8_t record[] = { 0x17, 3, 3, 0x40, 0x00 };

	(void)state;
	assert_int_equal(tls_proto.frame(cursor_of(record, sizeof(record)), true), 5);
	rig->ctx.skip_len = 0;
	rig->ctx.to_server = true;
	tls_proto.parse(&rig->ctx, cursor_of(record, sizeof(record)));
	assert_int_equal(rig->ctx.skip_len, 0x4000);
	assert_int_equal(rig->matched, 0);
	assert_true(rig->counters[TLS_COUNT_ENCRYPTED_BYTES] == 0x4000);
}

static const struct {
	const char *bytes;
	bool on_port;
	enum proto_probe verdict;
	int server; /* as sender_is_server says */
} probes[] = {
	{ CLIENT_HELLO(""), false, PROTO_PROBE_YES, 0 },
	{ SERVER_FLIGHT(PLC_CERT), false, PROTO_PROBE_YES, 1 },
	{ "16 0303 [ 0b { { { " OWN_CERT " } } } ]", false, PROTO_PROBE_YES, -1 },
	{ "80 1c 01 0002 0003 0000 0010 010080 00112233445566778899aabbccddeeff", false, PROTO_PROBE_YES, 0 },
	{ DATA, true, PROTO_PROBE_YES, -1 },
	{ DATA, false, PROTO_PROBE_MORE, -1 },
	{ DATA DATA, false, PROTO_PROBE_YES, -1 },
	{ DATA "47 45 54", false, PROTO_PROBE_NO, -1 },
	{ "17 0303 1000 00", false, PROTO_PROBE_MORE, -1 },
	{ FINISHED, true, PROTO_PROBE_YES, -1 },
	{ "16", false, PROTO_PROBE_MORE, -1 },
	{ "16 0303 0040", false, PROTO_PROBE_MORE, -1 },
	{ "16 0303 0040 63", false, PROTO_PROBE_MORE, -1 },
	{ "16 0303 0040 63 000003", false, PROTO_PROBE_NO, -1 },
	{ "16 0303 0000", true, PROTO_PROBE_NO, -1 },
	{ "16 0503 0040", true, PROTO_PROBE_NO, -1 },
	{ "16 0309 0040", true, PROTO_PROBE_NO, -1 },
	{ "16 0303 ffff", true, PROTO_PROBE_NO, -1 },
	{ "03 00 00 16 11 e0", true, PROTO_PROBE_NO, -1 },
	{ "'GET / HTTP/1.1'", true, PROTO_PROBE_NO, -1 },
	{ "80 1c 01 0002 0004 0000 0010 010080 00112233445566778899aabbccddeeff", false, PROTO_PROBE_NO, -1 },
};

static void
test_probe(void **state)
{
	uint8_t data[DATA_MAX];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(probes); i++) {
		size_t len = bytes_of(probes[i].bytes, data);

		if (tls_proto.probe(cursor_of(data, len), true, probes[i].on_port) != probes[i].verdict)
			fail_msg("probe of %s", probes[i].bytes);
		assert_int_equal(tls_proto.sender_is_server(cursor_of(data, len)), probes[i].server);
	}
}

static const struct rule_app_keyword *
keyword_of(const char *name)
{
	for (unsigned int i = 0; i < TLS_KEYWORD_COUNT; i++)
		if (strcmp(tls_keywords[i].name, name) == 0)
			return &tls_keywords[i];
	fail_msg("no keyword %s", name);
	return NULL;
}

/* Asked in a session; the time is June 2025. */
static const struct {
	const char *keyword, *value, *script;
	bool client, server;
} asked[] = {
	{ "tls.version", "1.2", SESSION, true, true },
	{ "tls.version", "1.0", SESSION, false, false },
	{ "tls.version", "1.3", "C" CLIENT_HELLO("002b [ ( 0304 ) ]") "\nS16 0303 [ " SERVER_HELLO " ]", true, false },
	{ "ssl_version", "sslv2, sslv3", SESSION, false, false },
	{ "ssl_version", "!tls1.0,!tls1.1", SESSION, true, true },
	{ "ssl_version", "!tls1.2", SESSION, false, false },
	{ "ssl_version", "!tls1.3,tls1.0", SESSION, true, true },
	{ "ssl_version", "!tls1.2,tls1.2", SESSION, true, true },
	{ "ssl_version", "tls1.0,!tls1.2", SESSION, false, false },
	{ "tls.version", "0x0303", SESSION, true, true },
	{ "tls.version", "0x0304, !0x303", SESSION, false, false },
	{ "ssl_version", "sslv2", "C80 1c 01 0002 0003 0000 0010 010080 00112233445566778899aabbccddeeff", true, false },
	{ "ssl_state", "client_hello", SESSION, true, false },
	{ "ssl_state", "server_hello", SESSION, false, true },
	{ "ssl_state", "client_keyx,server_keyx", SESSION, true, true },
	{ "ssl_state", "!client_hello", SESSION, true, true },
	{ "tls_cert_expired", "", SESSION, false, false },
	{ "tls_cert_expired", "", "S" SERVER_FLIGHT(OWN_CERT), false, true },
	{ "tls_cert_valid", "", SESSION, false, true },
	{ "tls_cert_valid", "", "S" SERVER_FLIGHT(OWN_CERT), false, false },
	{ "tls_cert_notbefore", "2024", SESSION, false, true },
	{ "tls_cert_notbefore", "2024-01-01", SESSION, false, true },
	{ "tls_cert_notbefore", "2024-01-01T00:00:00", SESSION, false, true },
	{ "tls_cert_notbefore", "2024-02", SESSION, false, false },
	{ "tls_cert_notbefore", ">2023-12", SESSION, false, true },
	{ "tls_cert_notbefore", "<2024", SESSION, false, false },
	{ "tls_cert_notafter", "2033-06<>2034-02", SESSION, false, true },
	{ "tls_cert_notafter", "<2035", SESSION, false, true },
	{ "tls_cert_notafter", ">2034", SESSION, false, false },
};

static void
test_keywords(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(asked); i++) {
		char err[128] = "";

		renew();
		keyword = keyword_of(asked[i].keyword);
		if (keyword->setup(asked[i].value, &keyword_test, err, sizeof(err)) != 0)
			fail_msg("%s: %s", asked[i].value, err);
		talk(asked[i].script);
		if (keyword_held[true] != asked[i].client || keyword_held[false] != asked[i].server)
			fail_msg("%s:%s on row %zu", asked[i].keyword, asked[i].value, i);
	}
	keyword = NULL;
}

static void
test_keyword_errors(void **state)
{
	static const struct {
		const char *keyword, *value;
	} rows[] = {
		{ "tls.version", "" }, { "tls.version", "2.0" }, { "tls.version", "0x7f12" }, { "tls.version", "0x0303x" },
		{ "ssl_version", "tls1.0 tls1.1" }, { "ssl_version", "tls1.0," },
		{ "ssl_state", "" }, { "ssl_state", "hello" }, { "ssl_state", "client_hello server_hello" }, { "tls_cert_expired", "x" },
		{ "tls_cert_notafter", "" }, { "tls_cert_notafter", "2024-13" }, { "tls_cert_notafter", "2024-" },
		{ "tls_cert_notafter", "2024<>" }, { "tls_cert_notafter", ">2024<>2025" }, { "tls_cert_notafter", "1" },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct rule_app_test test;
		char err[128] = "";

		if (keyword_of(rows[i].keyword)->setup(rows[i].value, &test, err, sizeof(err)) != -EINVAL)
			fail_msg("accepted: %s:%s", rows[i].keyword, rows[i].value);
		assert_true(err[0] != '\0');
	}
}

/* Each buffer is shown to the rules once a session. */
static void
test_buffers(void **state)
{
	static const struct {
		const char *path, *found;
	} rows[] = {
		{ "sni", "plc.example" }, { "subject", "C=DE, CN=plc-7" }, { "issuerdn", "C=DE, CN=Plant CA" },
		{ "serial", "00:A1:B2" }, { "subjectaltname.name", "plc.example|10.10.1.5" }, { "alpn.name", "h2|http/1.1" },
		{ "ja3s.string", "771,49199,65281" }, { "ja3.string", "771,49199-156-47,0-10-11-13-16,23-24,0" },
		{ "random_time", "RRRR|RRRR" },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		renew();
		path = rows[i].path;
		talk(SESSION);
		assert_string_equal(found, rows[i].found);
	}
	renew();
	path = "subject";
	talk("C" CLIENT_HELLO("") "\nS" SERVER_FLIGHT(PLC_CERT) "\nC16 0303 [ 0b { { { " OWN_CERT " } } } ]");
	assert_string_equal(found, "C=DE, CN=plc-7|C=DE, CN=plc-7");
	/* a certificate in a record behind the hello's: what that told is here again */
	renew();
	known = 0;
	path = "ja3s.string";
	talk("C" CLIENT_HELLO(SNI_PLC) "\nS16 0303 [ " SERVER_HELLO " ] 16 0303 [ 0b { { { " PLC_CERT " } } } ]\nS16 0303 [ 0e {} ]");
	assert_string_equal(found, "771,49199,65281|771,49199,65281");
	assert_int_equal(known, TLS_BIT(VERSION) | TLS_BIT(JA3S));
	known = 0;
	path = NULL;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_sessions), CASE(test_fingerprints), CASE(test_cut_into_records), CASE(test_cut), CASE(test_bent),
		CASE(test_lost), CASE(test_written_whole), CASE(test_no_memory), CASE(test_passed_over), CASE(test_probe), CASE(test_keywords),
		CASE(test_keyword_errors), CASE(test_buffers),
	};

	return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
