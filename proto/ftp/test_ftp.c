/* FTP: commands and their replies, data ports, long lines, hostile input, what is not FTP, the tables. */
#include <errno.h>

#include "proto/ftp/ftp.h"
#include "proto/test_rig.h"

extern const struct proto ftp_proto;

static struct ftp_state flow;
static struct ftp_config config;
static bool bounced; /* the keyword held for a record */
static const uint8_t client_addr[16] = { 10, 10, 64, 5 };

static void
match_bounce(unsigned int flags)
{
	struct rule_app_test test = { 0 };

	if ((flags & PROTO_MATCH) != 0)
		bounced = bounced || ftp_keywords[0].test(&test, rig->builder.base);
}

static const struct rig_desc desc = { .proto = &ftp_proto, .table = &ftp_table, .state = &flow, .config = &config,
	.slab_len = 4 << 20, .json_flags = PROTO_EMIT, .seen = match_bounce };

static int
setup(void **state)
{
	int err;

	(void)state;
	config = (struct ftp_config){ .passwords = true };
	bounced = false;
	err = rig_create(&desc);
	rig->ctx.client_addr = client_addr;
	return err;
}

static void
renew(void)
{
	rig_renew();
	bounced = false;
}

/* Lines of both ends: "> TEXT" from the client, "< TEXT" from the server; each ends with a bar. */
static void
talk(const char *script)
{
	while (*script != '\0') {
		size_t len = strcspn(script + 2, "|");
		char line[512];

		assert_true(len + 3 < sizeof(line));
		memcpy(line, script + 2, len);
		memcpy(line + len, "\r\n", 2);
		rig_feed(line, len + 2, *script == '>');
		script += len + 3;
	}
}

#define E(event) (UINT64_C(1) << FTP_EVENT_##event)

static const struct {
	const char *name, *script;
	unsigned int matched, emitted;
	const char *has;
	uint64_t events;
} talks[] = {
	{ "greeting", "< 220 PLC FTP server|", 1, 1, "{\"reply\":[\"PLC FTP server\"],\"completion_code\":[\"220\"],"
		"\"reply_truncated\":false,\"reply_received\":\"yes\"}", 0 },
	{ "user", "> user operator|< 331 Password|", 2, 1,
		"{\"command\":\"USER\",\"command_data\":\"operator\",\"command_truncated\":false,\"reply\":[\"Password\"],"
		"\"completion_code\":[\"331\"],\"reply_truncated\":false,\"reply_received\":\"yes\",\"response_time_us\":0}", 0 },
	{ "password", "> PASS s3cret|< 230 In|", 2, 1, "\"command_data\":\"s3cret\"", 0 },
	{ "several lines", "> FEAT|< 211-Features:|<  MDTM|< 211-x|< 220 y|< 211 End|", 6, 1,
		"\"reply\":[\"Features:\",\" MDTM\",\"x\",\"220 y\",\"End\"],\"completion_code\":[\"211\",\"211\",\"211\"]", 0 },
	{ "preliminary", "> RETR main.cfg|< 150 Opening|< 226 Done|", 3, 1, "\"completion_code\":[\"150\",\"226\"]", 0 },
	{ "port", "> PORT 10,10,64,5,195,80|< 200 OK|", 2, 1, "\"dynamic_port\":50000,\"mode\":\"active\"", 0 },
	{ "port of another", "> PORT 10,10,64,6,0,22|< 200 OK|", 2, 1, "\"dynamic_port\":22", E(BOUNCE) },
	{ "port cut", "> PORT 10,10,64,6,0|< 500 No|", 2, 1, "\"PORT\"", E(MALFORMED_ADDRESS) },
	{ "port too high", "> PORT 10,10,64,6,0,256|< 500 No|", 2, 1, "\"PORT\"", E(MALFORMED_ADDRESS) },
	{ "passive", "> PASV|< 227 Entering Passive Mode (10,10,80,10,195,81).|", 2, 1, "\"dynamic_port\":50001,\"mode\":\"passive\"", 0 },
	{ "passive, no address", "> PASV|< 227 Entering Passive Mode|", 2, 1, "\"227\"", E(MALFORMED_ADDRESS) },
	{ "extended passive", "> EPSV|< 229 Entering Extended Passive Mode (!!!50002!)|", 2, 1, "\"dynamic_port\":50002", 0 },
	{ "one behind the other", "> SYST|> PWD|< 215 UNIX|< 257 \"/\"|", 4, 2, "\"command\":\"PWD\",\"command_truncated\":false,\"reply\":[\"\\\"/\\\"\"]", 0 },
	{ "unasked lines", "< 220-Hello|< there|< 220 ready|", 3, 1, "{\"reply\":[\"Hello\",\"there\",\"ready\"]", 0 },
	{ "commands before the greeting", "> USER a|> PASS b|< 220 ready|< 331 Password|< 230 In|", 5, 3,
		"\"command\":\"PASS\",\"command_data\":\"b\",\"command_truncated\":false,\"reply\":[\"In\"]", 0 },
	{ "a greeting of two replies", "> USER a|< 120 soon|< 220-x|< 220 ready|< 331 Password|", 5, 2,
		"\"command\":\"USER\",\"command_data\":\"a\",\"command_truncated\":false,\"reply\":[\"Password\"]", 0 },
	{ "unasked", "> QUIT|< 221 Bye|< 421 Timeout|", 3, 2, "{\"reply\":[\"Timeout\"]", 0 },
	{ "a file, and no connection for it", "< 220 x|> RETR a|< 425 No|", 3, 2, "\"RETR\"", E(FILE_BEFORE_PORT) },
	{ "a file behind one", "< 220 x|> PASV|< 227 (10,10,80,10,195,81)|> STOR a|< 226 Done|", 5, 3, "\"STOR\"", 0 },
	{ "not from the beginning", "< 331 x|< 220 x|> STOR a|< 226 Done|", 4, 3, "\"STOR\"", 0 },
	{ "telnet signal", "> \xff\xf4\xff\xf2" "ABOR|< 226 Closed|", 2, 1, "\"command\":\"ABOR\"", 0 },
	{ "no word", "> 12 34|< 500 No|", 2, 1, "\"command\":\"\"", E(MALFORMED_COMMAND) },
	{ "a word too long", "> SYSTTTTTTTTTTTTTTTTTTTTTTT 1|< 500 No|", 2, 1, "\"command_data\":\"SYSTTTTTTTTTTTTTTTTTTTTTTT 1\"", E(MALFORMED_COMMAND) },
	{ "no code", "> NOOP|< hello|< 200 OK|", 3, 2, "{\"reply\":[\"OK\"],\"completion_code\":[\"200\"]", E(MALFORMED_REPLY) },
	{ "code alone", "> NOOP|< 200|", 2, 1, "\"reply\":[\"\"],\"completion_code\":[\"200\"]", 0 },
};

static void
test_talks(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(talks); i++) {
		renew();
		talk(talks[i].script);
		if (rig->events != talks[i].events || rig->matched != talks[i].matched || rig->emitted != talks[i].emitted ||
			strstr(rig->json.data, talks[i].has) == NULL)
			fail_msg("%s: events %llx, %u and %u, no %s in %s", talks[i].name, (unsigned long long)rig->events,
				rig->matched, rig->emitted, talks[i].has, rig->json.data);
		assert_int_equal(bounced, (talks[i].events & E(BOUNCE)) != 0);
	}
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *text;
		bool numbers, known;
		uint8_t version;
		uint16_t port;
	} rows[] = {
		{ "|1|10.10.64.5|50001|", false, true, 4, 50001 }, { "|2|fe80::1|80|", false, true, 6, 80 }, { "|||6446|)", false, true, 0, 6446 },
		{ "|||70000|", false, false, 0, 0 }, { "|1|10.10.64|1|", false, false, 0, 0 }, { "|1|10.10.64.5|1", false, false, 0, 0 },
		{ "111", false, false, 0, 0 }, { "", false, false, 0, 0 }, { "||||", false, false, 0, 0 },
		{ "1,2,3,4,5,6", true, true, 4, 5 << 8 | 6 }, { "1,2,3,4,5", true, false, 0, 0 }, { "1,2,3,4,5,666", true, false, 0, 0 },
		{ "1,2,3,4,5,000006", true, true, 4, 5 << 8 }, { "", true, false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct ftp_address address = { 0 };
		struct cursor text = cursor_of(rows[i].text, strlen(rows[i].text));
		bool known = rows[i].numbers ? ftp_address_numbers(text, &address) : ftp_address_extended(text, &address);

		if (known != rows[i].known || (known && (address.version != rows[i].version || address.port != rows[i].port)))
			fail_msg("%s: %d, version %u, port %u", rows[i].text, known, address.version, address.port);
	}
	rig_feed("EPRT |1|10.10.64.5|50001|\r\n", 27, true);
	assert_int_equal(rig->events, 0);
	rig_feed("EPRT |1|10.10.64.9|50001|\r\n", 27, true);
	assert_int_equal(rig->events, E(BOUNCE));
	assert_true(bounced);
}

static void
test_passwords(void **state)
{
	(void)state;
	config.passwords = false;
	talk("> PASS s3cret|< 230 In|");
	assert_null(strstr(rig->json.data, "s3cret"));
	assert_non_null(strstr(rig->json.data, "\"PASS\""));
}

/* RFC 4217: behind the last line of 234 both directions are TLS, unless another mechanism was asked for. */
static void
test_encrypted(void **state)
{
	static const struct {
		const char *script;
		bool over;
	} rows[] = {
		{ "> AUTH TLS|< 234 Go on|", true }, { "> auth ssl|< 234-Go|< 234 on|", true }, { "> AUTH TLS-P|< 234 Go on|", true },
		{ "< 234 Go on|", true }, { "> AUTH TLS|< 234-Go|", false }, { "> AUTH TLS|< 534 No|", false },
		{ "> AUTH GSSAPI|< 234 OK|> MIC abcd|< 631 efgh|", false }, { "> AUTH|< 234 OK|", false }, { "> NOOP|< 234 OK|", false },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		renew();
		rig->ctx.over = false;
		talk(rows[i].script);
		if (rig->ctx.over != rows[i].over || rig->counters[FTP_COUNT_ENCRYPTED] != rows[i].over || rig->events != 0)
			fail_msg("%s: %d", rows[i].script, rig->ctx.over);
	}
	assert_has(&rig->json, "\"completion_code\":[\"234\"]");
}

static void
test_limits(void **state)
{
	static char line[3 * FTP_LINE_LEN_MAX];

	(void)state;
	memset(line, 'A', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	rig_feed(line, sizeof(line), true);
	assert_int_equal(rig->events, E(REQUEST_COMMAND_TOO_LONG) | E(MALFORMED_COMMAND));
	assert_int_equal(rig->matched, 1);
	memcpy(line, "200 ", 4);
	rig_feed(line, sizeof(line), false);
	assert_true((rig->events & E(RESPONSE_COMMAND_TOO_LONG)) != 0);
	assert_non_null(strstr(rig->json.data, "\"command_truncated\":true"));
	renew();
	for (unsigned int i = 0; i <= FTP_OPEN_MAX; i++)
		talk("> NOOP|");
	assert_int_equal(rig->events, E(FLOODED));
	assert_int_equal(flow.pairs.count, FTP_OPEN_MAX);
	renew();
	talk("> STAT|< 211-a|");
	for (unsigned int i = 0; i < 2 * FTP_REPLIES_MAX; i++)
		talk("<  more|");
	talk("< 211 b|");
	assert_int_equal(rig->events, E(TOO_MANY_REPLIES));
	assert_int_equal(rig->emitted, 1);
	/* Without memory each message is written at once. */
	renew();
	rig->ctx.slab = NULL;
	talk("> NOOP|< 200 OK|");
	assert_int_equal(rig->emitted, 2);
	assert_int_equal(rig->counters[FTP_COUNT_SHED], 1);
	rig->ctx.slab = rig->slab;
}

static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(talks); i++) {
		const char *at = talks[i].script + 2;
		size_t len = strcspn(at, "|");

		for (size_t cut = 0; cut <= len; cut++) {
			uint8_t *copy = malloc(cut + 1);

			assert_non_null(copy);
			memcpy(copy, at, cut);
			assert_int_equal(ftp_proto.frame(cursor_of(copy, cut), true), 0);
			(void)ftp_proto.probe(cursor_of(copy, cut), true, cut % 2);
			copy[cut] = '\n';
			(void)ftp_proto.probe(cursor_of(copy, cut + 1), true, cut % 2);
			rig_feed(copy, cut + 1, true);
			rig_feed(copy, cut + 1, false);
			free(copy);
		}
		renew();
	}
}

static void
test_probe(void **state)
{
	static const struct {
		const char *bytes;
		bool on_port;
		enum proto_probe verdict;
	} rows[] = {
		{ "220 (vsFTPd 3.0.3)\r\n", false, PROTO_PROBE_YES }, { "220 mail.example ESMTP\r\n", false, PROTO_PROBE_NO },
		{ "220 ready\r\n", true, PROTO_PROBE_YES }, { "220-wel", true, PROTO_PROBE_MORE }, { "USER a\r\n", true, PROTO_PROBE_YES },
		{ "USER a\r\n", false, PROTO_PROBE_NO }, { "PASV\r\n", false, PROTO_PROBE_YES }, { "PASVX\r\n", true, PROTO_PROBE_NO },
		{ "331 Password\r\n", false, PROTO_PROBE_YES }, { "GET / HTTP/1.1\r\n", true, PROTO_PROBE_NO },
		{ "+OK POP3\r\n", true, PROTO_PROBE_NO }, { "SSH-2.0-x\r\n", true, PROTO_PROBE_NO }, { "EHLO a\r\n", false, PROTO_PROBE_NO },
		{ "\x16\x03\x01\r\n", true, PROTO_PROBE_NO }, { "", true, PROTO_PROBE_MORE },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct cursor in = cursor_of(rows[i].bytes, strlen(rows[i].bytes));
		enum proto_probe verdict = ftp_proto.probe(in, true, rows[i].on_port);

		if (verdict != rows[i].verdict)
			fail_msg("%s: %d", rows[i].bytes, verdict);
		assert_int_equal(ftp_proto.sender_is_server(in), rows[i].bytes[0] >= '1' && rows[i].bytes[0] <= '9' && strlen(rows[i].bytes) > 3);
	}
}

static void
test_tables(void **state)
{
	struct record_path path;
	struct rule_app_test test;
	char err[64] = "";

	(void)state;
	assert_null(record_table_check(&ftp_table));
	for (unsigned int i = 0; i < FTP_EVENT_COUNT; i++)
		assert_non_null(ftp_events[i].name);
	for (unsigned int i = 0; i < FTP_COUNTER_COUNT; i++)
		assert_non_null(ftp_counters[i].name);
	for (unsigned int i = 0; i < FTP_BUFFER_COUNT; i++)
		assert_int_equal(record_path_resolve(&ftp_table, ftp_buffers[i].path, &path), 0);
	assert_int_equal(ftp_keywords[0].setup("", &test, err, sizeof(err)), 0);
	assert_int_equal(ftp_keywords[0].setup("x", &test, err, sizeof(err)), -EINVAL);
	assert_true(ftp_proto.state_len <= SLAB_BLOCK_MAX);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = { CASE(test_talks), CASE(test_addresses), CASE(test_passwords), CASE(test_encrypted),
		CASE(test_limits), CASE(test_cut), CASE(test_probe), CASE(test_tables) };

	return cmocka_run_group_tests_name("ftp", tests, NULL, NULL);
}
