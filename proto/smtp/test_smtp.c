/* SMTP: transactions, messages and their parts, cut at every place; limits, hostile input, what is not SMTP, the tables. */
#include <errno.h>

#include "proto/smtp/smtp.h"
#include "proto/test_rig.h"

extern const struct proto smtp_proto;

enum { KEPT_LEN = 64 * 1024 };

static struct smtp_state flow;
static struct smtp_config config;
static bool raw; /* of the client's direction */
static uint8_t kept[2][KEPT_LEN];
static size_t kept_len[2];
static char seen[4096]; /* files of the record that the rules saw, each between bars */
static unsigned int mails_matched;
static unsigned int sizes_of_files; /* told of with the size of their mail */

static void
see_files(unsigned int flags)
{
	const uint8_t *base = rig->builder.base;
	const struct smtp_record *record = (const void *)base;
	size_t len = 0;

	if ((flags & PROTO_MATCH) == 0 || rig->builder.len == 0 || record_is_present(record, SMTP_HAS_COMMAND) ||
		record_is_present(record, SMTP_HAS_CODE))
		return;
	mails_matched++;
	for (uint32_t at = record->files.first, i = 0; i < record->files.count; i++) {
		const struct smtp_file *file = (const void *)(base + at);

		len += (size_t)snprintf(seen + len, sizeof(seen) - len, "%.*s|", (int)(file->data.count < 512 ? file->data.count : 512),
			(const char *)base + file->data.off);
		assert_true(len < sizeof(seen));
		at = file->head.next;
	}
}

static void
see_size(unsigned int flags)
{
	sizes_of_files += record_is_present(rig->builder.base, SMTP_HAS_SIZE);
}

static const struct rig_desc desc = { .proto = &smtp_proto, .table = &smtp_table, .state = &flow, .config = &config,
	.slab_len = 4 << 20, .json_flags = PROTO_EMIT, .file_wants = FILE_WANT_EVENT | FILE_WANT_RULES | 1 << FILE_MD5, .seen = see_files,
	.file_seen = see_size };

static void
forget(void)
{
	raw = false;
	kept_len[0] = kept_len[1] = 0;
	seen[0] = '\0';
	mails_matched = 0;
}

static int
setup(void **state)
{
	(void)state;
	config = (struct smtp_config){ .body_limit = 16 * 1024 };
	forget();
	return rig_create(&desc);
}

static void
renew(void)
{
	rig_renew();
	forget();
}

static void
begin(bool to_server)
{
	rig->ctx.to_server = to_server;
	rig->ctx.events = 0;
	rig->ctx.raw = to_server && raw;
	rig->ctx.over = false;
}

static void
finish(bool to_server)
{
	rig->events |= rig->ctx.events;
	assert_int_equal(rig->ctx.to_server, to_server);
	if (to_server)
		raw = rig->ctx.raw;
}

/* One look at what is there. @return bytes taken */
static size_t
step(const uint8_t *data, size_t len, bool to_server)
{
	int pdu_len;
	uint32_t taken;

	begin(to_server);
	if (rig->ctx.raw) {
		taken = smtp_proto.raw(&rig->ctx, cursor_of(data, len));
		assert_true(taken == len || (taken < len && !rig->ctx.raw));
		finish(to_server);
		return taken == 0 ? step(data, len, to_server) : taken;
	}
	pdu_len = smtp_proto.frame(cursor_of(data, len), to_server);
	assert_true(pdu_len >= 0);
	if (pdu_len == 0)
		return 0;
	smtp_proto.parse(&rig->ctx, cursor_of(data, (size_t)pdu_len));
	finish(to_server);
	return (size_t)pdu_len;
}

/* As a stream brings it. The bytes end where their block ends, so that the sanitizer sees every read beyond them. */
static void
feed_bytes(const void *data, size_t len, bool to_server)
{
	size_t all = kept_len[to_server] + len, at = 0, taken;
	uint8_t *copy = malloc(all == 0 ? 1 : all);

	assert_non_null(copy);
	memcpy(copy, kept[to_server], kept_len[to_server]);
	memcpy(copy + kept_len[to_server], data, len);
	while (at < all && (taken = step(copy + at, all - at, to_server)) > 0)
		at += taken;
	assert_true(all - at <= KEPT_LEN);
	memcpy(kept[to_server], copy + at, all - at);
	kept_len[to_server] = all - at;
	free(copy);
}

/* Lines of both ends: "> TEXT" from the client, "< TEXT" from the server; each ends with a bar. @param cut  bytes at once */
static void
talk_cut(const char *script, size_t cut)
{
	while (*script != '\0') {
		size_t len = strcspn(script + 2, "|");
		char line[512];

		assert_true(len + 3 < sizeof(line));
		memcpy(line, script + 2, len);
		memcpy(line + len, "\r\n", 2);
		for (size_t at = 0; at < len + 2; at += cut)
			feed_bytes(line + at, len + 2 - at < cut ? len + 2 - at : cut, *script == '>');
		script += len + 3;
	}
}

static void
talk(const char *script)
{
	talk_cut(script, 1000);
}

#define E(event) (UINT64_C(1) << SMTP_EVENT_##event)
#define OPEN "< 220 mx ESMTP|> EHLO plc1|< 250-mx|< 250 PIPELINING|"
#define ENVELOPE "> MAIL FROM:<a@plant>|< 250 OK|> RCPT TO:<b@plant>|< 250 OK|"
#define DATA_BEGIN OPEN ENVELOPE "> DATA|< 354 Go on|"
#define DATA_END "> .|< 250 Queued|"
#define MULTI "> MIME-Version: 1.0|> Content-Type: multipart/mixed; boundary=\"x y\"|> |> before|> --x y|"

static const struct {
	const char *name, *script;
	unsigned int emitted, mails;
	const char *has, *files;
	uint64_t events;
} talks[] = {
	{ "a mail", DATA_BEGIN "> From: A <a@plant>|> To: b@plant, \"C, D\" <c@plant>|> Subject: Alarm|>  of pump 7|> |> Hello|> ..|" DATA_END, 1, 1,
		"{\"helo\":\"plc1\",\"mail_from\":\"<a@plant>\",\"rcpt_to\":[\"<b@plant>\"],\"message_size\":90,\"reply_code\":250,\"response_time_us\":0}", "Hello\r\n.\r\n|", 0 },
	{ "no message", OPEN ENVELOPE "> RSET|< 250 OK|", 1, 1, "\"mail_from\":\"<a@plant>\",\"rcpt_to\":[\"<b@plant>\"]}", "", 0 },
	{ "two mails", DATA_BEGIN "> |> 1|" DATA_END ENVELOPE "> DATA|< 354 x|> |> 2|" DATA_END, 2, 2, "\"reply_code\":250", "2\r\n|", 0 },
	{ "pipelined", OPEN "> MAIL FROM:<a@plant>|> RCPT TO:<b@plant>|> DATA|< 250 OK|< 250 OK|< 354 x|> S: 1|> |> x|" DATA_END, 1, 1, "\"reply_code\":250", "x\r\n|", 0 },
	{ "message not taken", DATA_BEGIN "> |> x|> .|< 554-No|< 554 spam|", 1, 1, "\"reply_code\":554", "x\r\n|", 0 },
	{ "data refused", OPEN ENVELOPE "> DATA|< 503 No|> QUIT|< 221 Bye|", 0, 0, "", "", E(DATA_COMMAND_REJECTED) },
	{ "dots", DATA_BEGIN "> X: y|> |> x|> .x|" DATA_END, 1, 1, "\"reply_code\":250", "x\r\nx\r\n|", 0 },
	{ "bdat", OPEN ENVELOPE "> BDAT 6|> S: 1|< 250 OK|> BDAT 5 LAST|> |> x|< 250 OK|", 1, 1, "\"message_size\":11,\"reply_code\":250", "x\r\n|", 0 },
	{ "bdat of nothing", OPEN ENVELOPE "> BDAT 7|> S: 123|> BDAT 0 LAST|< 250 OK|< 250 OK|", 1, 1, "\"message_size\":7,\"reply_code\":250", "", 0 },
	{ "bdat without length", OPEN ENVELOPE "> BDAT LAST|< 501 No|", 0, 0, "", "", E(INVALID_BDAT) },
	{ "parts", DATA_BEGIN MULTI "> |> text|> --x y|> Content-Disposition: attachment; filename=\"a;b.txt\"|> Content-Transfer-Encoding: base64|> |> aGVs|> bG8=|> --x y--|> after|" DATA_END,
		1, 1, "\"reply_code\":250", "text|hello|", 0 },
	{ "quoted", DATA_BEGIN "> Content-Transfer-Encoding: Quoted-Printable|> |> a=3D=|> b =C3=A4|> c|" DATA_END, 1, 1, "\"helo\"", "a=b \xc3\xa4\r\nc\r\n|", 0 },
	{ "quoted, padded", DATA_BEGIN "> Content-Transfer-Encoding: quoted-printable|> |> a= \t|> b=20 |> c  |" DATA_END, 1, 1, "\"helo\"", "ab \r\nc\r\n|", 0 },
	{ "quoted wrong", DATA_BEGIN "> Content-Transfer-Encoding: quoted-printable|> |> a=zz=4|" DATA_END, 1, 1, "\"helo\"", "a=zz|", E(MIME_INVALID_QP) },
	{ "base64 wrong", DATA_BEGIN "> Content-Transfer-Encoding: base64|> |> aG!Vs|> bG8|" DATA_END, 1, 1, "\"helo\"", "hello|", E(MIME_INVALID_BASE64) },
	{ "nested", DATA_BEGIN MULTI "> Content-Type: multipart/alternative; boundary=in|> |> --in|> |> 1|> --in|> Content-Type: text/html|> |> 2|> --x y|> |> 3|> --x y--|" DATA_END, 1, 1, "\"helo\"", "1|2|3|", 0 },
	{ "boundary in pieces", DATA_BEGIN "> Content-Type: multipart/mixed; boundary*0=\"x\"; boundary*1*=%20y|> |> --x y|> |> text|> --x y--|" DATA_END, 1, 1, "\"helo\"", "text|", 0 },
	{ "boundary with a comment", DATA_BEGIN "> Content-Type: multipart/mixed; boundary=\"x\\ y\" (in \"mail\")|> |> --x y|> |> text|> --x y--|" DATA_END, 1, 1, "\"helo\"", "text|", 0 },
	{ "digest", DATA_BEGIN "> Content-Type: multipart/digest; boundary=x|> |> --x|> |> S: 1|> |> one|> --x|> Content-Type: text/plain|> |> S: 2|> --x--|" DATA_END, 1, 1, "\"helo\"", "one|S: 2|", 0 },
	{ "a message within", DATA_BEGIN MULTI "> Content-Type: message/rfc822|> |> Subject: inner|> Content-Type: text/plain; name=in.txt|> |> inner|> --x y--|" DATA_END, 1, 1, "\"helo\"", "inner|", 0 },
	{ "header without colon", DATA_BEGIN "> From a|> |> x|" DATA_END, 1, 1, "\"helo\"", "x\r\n|", E(MIME_MALFORMED_MSG) },
	{ "helo alone", "< 220 mx|> HELO plc1|< 250 mx|> QUIT|< 221 Bye|", 0, 0, "", "", 0 },
	{ "old server", "< 220 mx|> EHLO plc1|< 502 No|> HELO plc1|< 250 mx|", 0, 0, "", "", 0 },
	{ "helo twice", OPEN "> EHLO plc2|< 250 mx|", 0, 0, "", "", E(DUPLICATE_FIELDS) },
	{ "mail twice", OPEN ENVELOPE "> MAIL FROM:<c@plant>|< 503 No|", 1, 1, "\"<a@plant>\"", "", E(DUPLICATE_FIELDS) },
	{ "no path", OPEN "> MAIL a@plant|< 501 No|", 0, 0, "", "", E(INVALID_COMMAND) },
	{ "no word", OPEN "> 12 34|< 500 No|", 0, 0, "", "", E(INVALID_COMMAND) },
	{ "commands before the greeting", "> EHLO plc1|< 220 mx ESMTP|< 250-mx|< 250 PIPELINING|" ENVELOPE "> DATA|< 354 Go on|> |> x|" DATA_END, 1, 1,
		"\"reply_code\":250", "x\r\n|", 0 },
	{ "starttls before the greeting", "> EHLO plc1|> STARTTLS|< 250 mx|< 220 Go on|", 0, 0, "", "", 0 },
	{ "no welcome", "< 421 Busy|", 0, 0, "", "", E(NO_SERVER_WELCOME_MESSAGE) },
	{ "no code", OPEN "> NOOP|< Hello|< 250 OK|", 0, 0, "", "", E(INVALID_REPLY) },
	{ "another code", OPEN "> NOOP|< 250-a|< 251 b|", 0, 0, "", "", E(INVALID_REPLY) },
	{ "unasked", OPEN "< 250 OK|", 0, 0, "", "", E(UNABLE_TO_MATCH_REPLY_WITH_REQUEST) },
	{ "timeout", OPEN "< 421 Timeout|", 0, 0, "", "", 0 },
	{ "tls refused", OPEN "> STARTTLS|< 454 No|", 0, 0, "", "", E(TLS_REJECTED) },
	{ "sent behind starttls", OPEN "> STARTTLS|> MAIL FROM:<a@plant>|", 0, 0, "", "", E(INVALID_PIPELINED_SEQUENCE) },
	{ "sent behind data", OPEN ENVELOPE "> DATA|> S: 1|> |> x|< 354 Go|" DATA_END, 1, 1, "\"reply_code\":250", "x\r\n|", E(INVALID_PIPELINED_SEQUENCE) },
	{ "data of one direction", "> EHLO plc|> MAIL FROM:<a@plant>|> RCPT TO:<b@plant>|> DATA|> S: 1|> |> x|> .|", 0, 1, "", "x\r\n|", 0 },
};

static void
check_talk(size_t i, size_t cut)
{
	talk_cut(talks[i].script, cut);
	if (rig->events != talks[i].events || rig->emitted != talks[i].emitted || mails_matched != talks[i].mails ||
		strstr(rig->json.data, talks[i].has) == NULL || strstr(seen, talks[i].files) == NULL)
		fail_msg("%s, %zu at once: events %llx, %u written, %u mails seen, %s, files %s", talks[i].name, cut,
			(unsigned long long)rig->events, rig->emitted, mails_matched, rig->json.data, seen);
}

/* However the bytes are cut: the same. */
static void
test_talks(void **state)
{
	static const size_t cuts[] = { 1000, 1, 2, 3, 7 };

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(talks); i++)
		for (size_t j = 0; j < TEST_COUNT(cuts); j++) {
			renew();
			check_talk(i, cuts[j]);
		}
}

/* Each script, ended behind each of its bytes: all memory comes back, which rig_renew() asserts. */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(talks); i++)
		for (size_t len = 0; len < strlen(talks[i].script); len++) {
			char *script = strndup(talks[i].script, len), *last;

			assert_non_null(script);
			last = strrchr(script, '|');
			if (last != NULL)
				last[1] = '\0';
			else
				script[0] = '\0';
			talk(script);
			if (last != NULL && strlen(last + 1) > 2)
				feed_bytes(last + 3, strlen(last + 3), last[1] == '>');
			free(script);
			renew();
		}
}

static void
test_alerts_belong(void **state)
{
	uint32_t first;

	(void)state;
	talk(OPEN);
	first = rig->tx_ids[0];
	talk(ENVELOPE "> DATA|< 354 x|> |> x|" DATA_END);
	assert_int_equal(rig->tx_ids[rig->count - 1], first);
	talk(ENVELOPE);
	assert_int_not_equal(rig->tx_ids[rig->count - 1], first);
}

static void
test_passwords(void **state)
{
	(void)state;
	talk(OPEN "> AUTH LOGIN|< 334 VXNlcg==|> b3BlcmF0b3I=|< 334 UGFzcw==|> UVVJVA==|> .|< 235 In|" ENVELOPE "> DATA|< 354 x|> |> x|" DATA_END);
	assert_non_null(strstr(rig->json.data, "\"auth\":\"LOGIN\""));
	assert_int_equal(rig->events, 0);
	for (unsigned int i = 0; i < 3; i++) {
		static const char *const logins[] = { "> AUTH PLAIN AHUAcGFzc3dvcmQ=|", "> AUTH PLAIN|< 334 |> QUIT|", "> AUTH CRAM-MD5|> cGFzcw==|" };

		renew();
		talk(OPEN);
		memset(rig->area, 0, sizeof(rig->area));
		talk(logins[i]);
		assert_null(memmem(rig->area, sizeof(rig->area), "cGFzc", 5));
		assert_int_equal(flow.auth_len > 0, true);
	}
}

static void
test_starttls(void **state)
{
	(void)state;
	talk(OPEN "> STARTTLS|< 220 Go on|");
	assert_true(rig->ctx.over);
	assert_int_equal(rig->counters[SMTP_COUNT_ENCRYPTED], 1);
	rig_end();
	assert_non_null(strstr(rig->json.data, "{\"helo\":\"plc1\",\"starttls\":true}"));
}

static void
test_ambiguous_end(void **state)
{
	static const char *const ends[] = { "x\n.\n", "x\n.\r\n", "x\r\n.\n" };

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(ends); i++) {
		renew();
		talk(DATA_BEGIN "> |");
		feed_bytes(ends[i], strlen(ends[i]), true);
		assert_int_equal(rig->events, E(AMBIGUOUS_DATA_END));
		assert_int_equal(rig->counters[SMTP_COUNT_MESSAGES], 1);
	}
	renew();
	talk(DATA_BEGIN "> x|> .|");
	assert_int_equal(rig->events, E(MIME_MALFORMED_MSG)); /* x is no header field */
}

/* What is wrong with a message is told once, however its bytes are cut. */
static void
test_events_once(void **state)
{
	static const size_t cuts[] = { 1000, 1, 5 };

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(cuts); i++) {
		renew();
		talk(DATA_BEGIN);
		talk_cut("> no colon|> nor here|> Content-Transfer-Encoding: base64|> |> !|> !|", cuts[i]);
		assert_int_equal(rig->events, 0);
		talk("> .|");
		assert_int_equal(rig->events_last, E(MIME_MALFORMED_MSG) | E(MIME_INVALID_BASE64));
		assert_int_equal(rig->emitted, 0);
	}
}

static void
test_gaps(void **state)
{
	(void)state;
	talk(DATA_BEGIN "> Subject: a|> |> x|");
	begin(true);
	smtp_proto.gap(&rig->ctx, 1000);
	finish(true);
	talk("> y|" DATA_END);
	assert_int_equal(rig->events, 0);
	rig_end();
	assert_non_null(strstr(rig->json.data, "\"helo\":\"plc1\""));
	assert_int_equal(rig->emitted, 1);
	renew();
	talk(OPEN ENVELOPE "> BDAT 100 LAST|> x|");
	begin(true);
	smtp_proto.gap(&rig->ctx, 90);
	finish(true);
	assert_true(raw);
	begin(true);
	smtp_proto.gap(&rig->ctx, 90);
	finish(true);
	assert_false(raw);
}

static void
test_limits(void **state)
{
	static char line[3 * SMTP_LINE_LEN_MAX];

	(void)state;
	memset(line, 'A', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	feed_bytes(line, sizeof(line), true);
	assert_int_equal(rig->events, E(MAX_COMMAND_LINE_LEN_EXCEEDED) | E(INVALID_COMMAND));
	memcpy(line, "250 ", 4);
	feed_bytes(line, sizeof(line), false);
	assert_true((rig->events & E(MAX_REPLY_LINE_LEN_EXCEEDED)) != 0);
	renew();
	talk(OPEN);
	for (unsigned int i = 0; i <= SMTP_OPEN_MAX; i++)
		talk("> NOOP|");
	assert_int_equal(rig->events, E(TOO_MANY_COMMANDS));
	for (unsigned int i = 0; i <= SMTP_OPEN_MAX; i++)
		talk("< 250 OK|");
	assert_int_equal(rig->events, E(TOO_MANY_COMMANDS));
	renew();
	talk(OPEN);
	for (unsigned int i = 0; i < SMTP_RCPTS_MAX + 2; i++)
		talk("> RCPT TO:<a@plant>|< 250 OK|");
	assert_int_equal(rig->events, E(TOO_MANY_RECIPIENTS));
	assert_int_equal(rig->counters[SMTP_COUNT_RECIPIENTS_CUT], 2);
}

static void
repeat(const char *script, unsigned int count)
{
	while (count-- > 0)
		talk(script);
}

static void
test_message_limits(void **state)
{
	static char line[3 * SMTP_FIELD_LEN_MAX] = "Subject: ";

	(void)state;
	talk(DATA_BEGIN);
	memset(line + 9, 'x', sizeof(line) - 10);
	line[sizeof(line) - 1] = '\n';
	feed_bytes(line, sizeof(line), true);
	talk("> |");
	assert_int_equal(flow.mail->events, E(MIME_LONG_LINE) | E(MIME_LONG_HEADER_VALUE));
	repeat("> a line of text that fills the body up to its limit and beyond it, which is counted then|", 1000);
	talk(DATA_END);
	assert_int_equal(rig->counters[SMTP_COUNT_BODIES_CUT], 1);
	assert_int_equal(rig->emitted, 1);
	renew();
	talk(DATA_BEGIN MULTI);
	repeat("> |> part|> --x y|", SMTP_PARTS_MAX + 3);
	assert_int_equal(rig->counters[SMTP_COUNT_PARTS_CUT], 3);
	renew();
	talk(DATA_BEGIN MULTI);
	repeat("> Content-Type: multipart/mixed; boundary=in|> |> --in|", SMTP_DEPTH_MAX);
	assert_int_equal(flow.mail->events, E(MIME_TOO_DEEP));
	renew();
	talk(DATA_BEGIN "> Content-Type: multipart/mixed; boundary=12345678901234567890123456789012345678901234567890123456789012345678901|> |");
	assert_int_equal(flow.mail->events, E(MIME_LONG_BOUNDARY));
}

/* RFC 2231: pieces, and percent signs. */
static void
test_names(void **state)
{
	static const struct {
		const char *field, *name;
	} rows[] = {
		{ "> Content-Disposition: attachment; filename=a.exe|", "[\"a.exe\"]" },
		{ "> Content-Disposition: attachment; filename=\"a\\\"b;c.exe\"|", "[\"a\\\"b;c.exe\"]" },
		{ "> Content-Disposition: attachment;|>  filename*0=\"a\"; filename*1=b;|> \tfilename*2*=%2Eexe|", "[\"ab.exe\"]" },
		{ "> Content-Disposition: attachment; filename*=utf-8'en'%C3%A4.exe|", "[\"\xc3\xa4.exe\"]" },
		{ "> Content-Disposition: attachment; filename=\"a.exe\" (a program)|", "[\"a.exe\"]" },
		{ "> Content-Disposition: attachment; filename=\"=?utf-8?B?YS5leGU=?=\"|", "[\"a.exe\"]" },
		{ "> Content-Type: application/x;|>  name=\"=?utf-8?q?a_b?=|>  =?utf-8?Q?c=2Eexe?=\"|", "[\"a bc.exe\"]" },
		{ "> Content-Disposition: attachment; filename=\"x =?utf-8?B?YQ==?= y =?utf-8?X?a?= =?\"|", "[\"x a y =?utf-8?X?a?= =?\"]" },
		{ "> Content-Type: application/x; name=other|> Content-Disposition: attachment; filename=a|", "[\"a\"]" },
		{ "> Content-Disposition: attachment; filename=a|> Content-Type: application/x; name=other|", "[\"a\"]" },
		{ "> Content-Type: application/x; name = \"only\" ; x|", "[\"only\"]" },
		{ "> Content-Type: application/x; name*1=x; =; *; **=%|", "\"attachment\":[\"x\"]" },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		const struct smtp_part *part = NULL;

		renew();
		talk(DATA_BEGIN);
		talk(rows[i].field);
		talk("> |> x|> .|");
		assert_non_null(flow.sent);
		part = &flow.sent->parts[0];
		assert_true(part->name.count > 0);
		if (strncmp(rows[i].name, "[\"", 2) == 0 && strstr(rows[i].name, "\\") == NULL)
			assert_memory_equal(flow.sent->text + part->name.off, rows[i].name + 2, part->name.count);
	}
}

static void
test_no_memory(void **state)
{
	(void)state;
	rig->ctx.slab = NULL;
	talk(DATA_BEGIN "> Subject: x|> |> x|" DATA_END "> QUIT|< 221 Bye|");
	assert_int_equal(rig->events, 0);
	assert_true(rig->counters[SMTP_COUNT_SHED] > 0);
	assert_int_equal(rig->counters[SMTP_COUNT_MESSAGES], 1);
	rig->ctx.slab = rig->slab;
}

static void
test_probe(void **state)
{
	static const struct {
		const char *bytes;
		bool on_port;
		enum proto_probe verdict;
	} rows[] = {
		{ "220 (vsFTPd 3.0.3)\r\n", false, PROTO_PROBE_NO }, { "220 mail.example ESMTP\r\n", false, PROTO_PROBE_YES },
		{ "220-ftp.example ESMTP Exim\r\n", false, PROTO_PROBE_YES }, { "220 ready\r\n", true, PROTO_PROBE_YES },
		{ "220 ready\r\n", false, PROTO_PROBE_NO }, { "220 FTP server\r\n", true, PROTO_PROBE_NO }, { "220-wel", true, PROTO_PROBE_MORE },
		{ "EHLO a\r\n", false, PROTO_PROBE_YES }, { "helo a\n", false, PROTO_PROBE_YES }, { "MAIL FROM:<a>\r\n", false, PROTO_PROBE_YES },
		{ "EHLOX\r\n", false, PROTO_PROBE_NO }, { "QUIT\r\n", true, PROTO_PROBE_YES }, { "QUIT\r\n", false, PROTO_PROBE_NO },
		{ "USER a\r\n", true, PROTO_PROBE_NO }, { "GET / HTTP/1.1\r\n", true, PROTO_PROBE_NO }, { "+OK POP3\r\n", true, PROTO_PROBE_NO },
		{ "SSH-2.0-x\r\n", true, PROTO_PROBE_NO }, { "\x16\x03\x01\r\n", true, PROTO_PROBE_NO }, { "EHLO\x01\r\n", true, PROTO_PROBE_NO },
		{ "250 OK\r\n", false, PROTO_PROBE_NO }, { "", true, PROTO_PROBE_MORE },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct cursor in = cursor_of(rows[i].bytes, strlen(rows[i].bytes));
		enum proto_probe verdict = smtp_proto.probe(in, true, rows[i].on_port);

		if (verdict != rows[i].verdict)
			fail_msg("%s: %d", rows[i].bytes, verdict);
		assert_int_equal(smtp_proto.sender_is_server(in), rows[i].bytes[0] == '2');
	}
}

/* A part with a name is a file, whatever more of it there is than is kept; told of when it ended, each alone. The first of a mail
 * is written when another begins or the mail is whole, of which the only one is a part for alerts. */
static void
test_files(void **state)
{
	(void)state;
	config.body_limit = 1;
	sizes_of_files = 0;
	talk(DATA_BEGIN MULTI "> |> no name, no file|> --x y|> Content-Disposition: attachment; filename=a.txt|> Content-Transfer-Encoding: base64|> |> YWJj|"
		"> --x y|> Content-Type: text/plain; name=b.txt|> |> abcd|> --x y--|" DATA_END);
	assert_told("end {\"filename\":\"a.txt\",\"gaps\":false,\"state\":\"CLOSED\",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\",\"stored\":false,\"size\":3,\"tx_id\":0}\n"
		"event {\"filename\":\"a.txt\",\"gaps\":false,\"state\":\"CLOSED\",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\",\"stored\":false,\"size\":3,\"tx_id\":0}\n"
		"end {\"filename\":\"b.txt\",\"gaps\":false,\"state\":\"CLOSED\",\"md5\":\"e2fc714c4727ee9395f324cd2e7f331f\",\"stored\":false,\"size\":4,\"tx_id\":0}\n"
		"event {\"filename\":\"b.txt\",\"gaps\":false,\"state\":\"CLOSED\",\"md5\":\"e2fc714c4727ee9395f324cd2e7f331f\",\"stored\":false,\"size\":4,\"tx_id\":0}\n");
	assert_int_equal(sizes_of_files, 0); /* the mail was not whole then */
	/* the flow ends in it */
	renew();
	talk(DATA_BEGIN "> Content-Disposition: attachment; filename=c|> |> abc|");
	rig->ctx.to_server = true;
	smtp_proto.end(&rig->ctx);
	assert_told("end {\"filename\":\"c\",\"gaps\":false,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":3,\"tx_id\":0}\n"
		"match {\"filename\":\"c\",\"gaps\":false,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":3,\"tx_id\":0}\n"
		"event {\"filename\":\"c\",\"gaps\":false,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":3,\"tx_id\":0}\n");
}

static void
test_tables(void **state)
{
	struct record_path path;

	(void)state;
	assert_null(record_table_check(&smtp_table));
	assert_true(SMTP_BIT_COUNT <= 64);
	for (unsigned int i = 0; i < SMTP_EVENT_COUNT; i++)
		assert_non_null(smtp_events[i].name);
	for (unsigned int i = 0; i < SMTP_COUNTER_COUNT; i++)
		assert_non_null(smtp_counters[i].name);
	for (unsigned int i = 0; i < SMTP_BUFFER_COUNT; i++)
		assert_int_equal(record_path_resolve(&smtp_table, smtp_buffers[i].path, &path), 0);
	assert_true(smtp_proto.state_len <= SLAB_BLOCK_MAX);
}

/* Links are told without scheme and what is around them; the sum is of the body as it was sent. */
static void
test_links(void **state)
{
	static const char *const wanted[] = { "plc7/a?b=1,", "x.example/y)", "z" };

	(void)state;
	for (size_t cut = 1; cut < 200; cut *= 3) {
		const uint8_t *base = rig->builder.base;
		const struct smtp_record *record = (const void *)base;
		uint32_t at;

		renew();
		talk_cut(DATA_BEGIN "> Subject: http://not.this|> |> See http://plc7/a?b=1, (HTTPS://x.example/y) <ftp://z>|"
			"> ..dot and http:// nothing, gopher://no|" DATA_END, cut);
		assert_int_equal(record->links.count, TEST_COUNT(wanted));
		at = record->links.first;
		for (unsigned int i = 0; i < TEST_COUNT(wanted); i++) {
			const struct smtp_text *link = (const void *)(base + at);

			assert_int_equal(link->text.count, strlen(wanted[i]));
			assert_memory_equal(base + link->text.off, wanted[i], link->text.count);
			at = link->head.next;
		}
		assert_memory_equal(base + record->body_md5.off, "a1e3ea1661f2948ba46078cc70419467", 32);
	}
	for (unsigned int i = 0; i < 2; i++) {
		renew();
		rig->ctx.unread[true] = i == 0;
		talk(DATA_BEGIN "> |> http://a|" DATA_END);
		assert_int_equal(((const struct smtp_record *)(const void *)rig->builder.base)->body_md5.count, i == 0 ? 0 : 32);
	}
	/* whether rules read mails or not, as it is set */
	for (unsigned int i = 0; i < 2; i++) {
		const struct smtp_record *record = (const void *)rig->builder.base;

		config.body_md5 = i == 0 ? SMTP_BODY_MD5_ALL : SMTP_BODY_MD5_NONE;
		config.subject_md5 = i == 0;
		renew();
		rig->ctx.unread[true] = i == 0;
		talk(DATA_BEGIN "> Subject: x|> |> http://a|" DATA_END);
		assert_int_equal(record->body_md5.count, i == 0 ? 32 : 0);
		assert_int_equal(record->subject_md5.count, i == 0 ? 32 : 0);
		if (i == 0)
			assert_memory_equal(rig->builder.base + record->subject_md5.off, "9dd4e461268c8034f5c8564e155c67a6", 32);
	}
	config.body_md5 = SMTP_BODY_MD5_READ;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = { CASE(test_talks), CASE(test_cut), CASE(test_alerts_belong), CASE(test_passwords),
		CASE(test_starttls), CASE(test_ambiguous_end), CASE(test_events_once), CASE(test_gaps), CASE(test_files), CASE(test_limits), CASE(test_message_limits), CASE(test_names),
		CASE(test_links), CASE(test_no_memory), CASE(test_probe), CASE(test_tables) };

	return cmocka_run_group_tests_name("smtp", tests, NULL, NULL);
}
