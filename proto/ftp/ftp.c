/* FTP: finding lines, recognising the protocol, commands and their replies. */
#include "proto/ftp/ftp.h"

#include "proto/line.h"

enum {
	CODE_LEN = 3,
	CODE_DELAYED = 120,     /* RFC 959 5.4 */
	CODE_READY = 220,
	CODE_AUTH_DONE = 234,   /* RFC 4217 4 */
	CODE_PASSIVE = 227,     /* RFC 959 4.2.2 */
	CODE_EXTENDED = 229,    /* RFC 2428 3 */
	TELNET_IAC = 0xff,      /* RFC 959 4.1.3: ABOR comes behind a Telnet signal */
};

/* Commands that say which protocol it is, wherever they are seen: POP3, SMTP and IRC have none of these. */
static const char *const own_commands[] = { "PASV", "EPSV", "EPRT", "PORT", "SYST", "CWD", "STOR", "TYPE", "MKD", "RMD", "NLST",
	"MLSD", "MLST", "MDTM", "PBSZ", "RNFR", "XPWD", "SITE", "CDUP", "APPE", NULL };
/* Those that do on the usual port. */
static const char *const shared_commands[] = { "USER", "PASS", "AUTH", "FEAT", "QUIT", "RETR", "LIST", "PWD", "NOOP", "HELP", "STAT",
	"OPTS", "DELE", "SIZE", "REST", "ACCT", "HOST", "CLNT", "LANG", "PROT", "ABOR", "RNTO", "MODE", "STRU", "ALLO", "REIN", NULL };
/* Replies that other protocols do not have (RFC 959 4.2). */
static const char *const own_replies[] = { "227 Entering", "229 Entering", "331 ", "215 UNIX", "150 ", "226 ", "230 ", "257 \"", NULL };

static int
ftp_frame(struct cursor in, bool to_server)
{
	size_t left = cursor_left(&in), len = left < FTP_LINE_LEN_MAX ? left : FTP_LINE_LEN_MAX;
	const uint8_t *at = cursor_take(&in, len), *end = len == 0 ? NULL : memchr(at, '\n', len);

	(void)to_server;
	if (end != NULL)
		return (int)(end - at) + 1;
	return len == FTP_LINE_LEN_MAX ? FTP_LINE_LEN_MAX : 0;
}

/* ---- recognising ---- */

static bool
is_command(const struct cursor *line, const char *const words[])
{
	for (unsigned int i = 0; words[i] != NULL; i++) {
		size_t len = strlen(words[i]);

		if (line_begins(line, words[i]) && cursor_left(line) > len && strchr(" \r\n", line->pos[len]) != NULL)
			return true;
	}
	return false;
}

static bool
is_reply(const struct cursor *line)
{
	const uint8_t *at = line->pos;

	return cursor_left(line) > CODE_LEN && at[0] >= '1' && at[0] <= '6' && at[1] >= '0' && at[1] <= '5' && at[2] >= '0' &&
		at[2] <= '9' && (at[3] == ' ' || at[3] == '-' || at[3] == '\r');
}

/* SMTP greets with the same code. A host's name may have either word in it: SMTP's says its protocol behind the name. */
static bool
greets_as_ftp(const struct cursor *line, bool on_port)
{
	bool says_smtp = line_says(*line, "SMTP");

	return on_port ? !says_smtp : !says_smtp && line_begins(line, "220") && line_says(*line, "FTP");
}

static enum proto_probe
ftp_probe(struct cursor in, bool to_server, bool on_port)
{
	int len = ftp_frame(in, to_server);
	struct cursor line;

	if (cursor_left(&in) > 0 && (*in.pos < '1' || *in.pos > 'z' || (*in.pos > '6' && *in.pos < 'A')))
		return PROTO_PROBE_NO;
	if (len <= 0)
		return line_is_text(in) ? PROTO_PROBE_MORE : PROTO_PROBE_NO;
	line = cursor_sub(&in, (size_t)len);
	if (!line_is_text(line))
		return PROTO_PROBE_NO;
	if (is_reply(&line)) {
		if (greets_as_ftp(&line, on_port))
			return PROTO_PROBE_YES;
		for (unsigned int i = 0; own_replies[i] != NULL; i++)
			if (line_begins(&line, own_replies[i]))
				return PROTO_PROBE_YES;
		return PROTO_PROBE_NO;
	}
	if (is_command(&line, own_commands))
		return PROTO_PROBE_YES;
	return on_port && is_command(&line, shared_commands) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

static int
ftp_sender_is_server(struct cursor in)
{
	return is_reply(&in);
}

/* ---- lines ---- */

/* @return whether the line at hand is the rest of one that was too long */
static bool
follow_long_line(struct proto_ctx *ctx, const struct cursor *pdu, bool *is_cut)
{
	struct ftp_state *state = ctx->state;
	bool was = state->cutting[ctx->to_server];

	*is_cut = pdu->left > 0 && pdu->pos[pdu->left - 1] != '\n';
	state->cutting[ctx->to_server] = *is_cut;
	if (was || !*is_cut)
		return was;
	counter_add(&ctx->counters[FTP_COUNT_LINES_CUT], 1);
	proto_event(ctx, ctx->to_server ? FTP_EVENT_REQUEST_COMMAND_TOO_LONG : FTP_EVENT_RESPONSE_COMMAND_TOO_LONG);
	return false;
}

static void
put_text(struct proto_ctx *ctx, struct record_ref *ref, struct cursor text, size_t len_max)
{
	size_t len = cursor_left(&text);

	len = len < len_max ? len : len_max;
	record_put_bytes(ctx->record, ref, text.pos, (uint32_t)len);
}

/* ---- commands ---- */

/* The command's word in capitals, without what Telnet puts before it; the space behind it goes. @return as line_take_word() */
static size_t
take_word(struct cursor *line, char word[FTP_COMMAND_LEN_MAX])
{
	size_t len;

	while (cursor_left(line) >= 2 && *line->pos == TELNET_IAC)
		cursor_skip(line, 2);
	len = line_take_word(line, word, FTP_COMMAND_LEN_MAX);
	if (cursor_left(line) > 0 && *line->pos == ' ')
		cursor_skip(line, 1);
	return len;
}

static bool
is_word(const char *word, size_t len, const char *wanted)
{
	return len == strlen(wanted) && memcmp(word, wanted, len) == 0;
}

/* A data connection will come between the same two hosts, whatever address was named: translation changes it. */
static void
announce(struct proto_ctx *ctx, bool by_server, uint16_t port)
{
	struct ftp_state *state = ctx->state;

	state->data_port = port;
	state->data_by_server = by_server;
	state->announced = true;
	if (ftp_expect(ctx, by_server, port))
		counter_add(&ctx->counters[FTP_COUNT_EXPECTED_EVICTED], 1);
}

/* PORT and EPRT: the client listens. Another's address is how a server is made to attack a third host. */
static void
read_active(struct proto_ctx *ctx, struct ftp_record *record, bool extended, struct cursor data)
{
	struct ftp_address address;
	bool known = extended ? ftp_address_extended(data, &address) : ftp_address_numbers(data, &address);

	if (!known) {
		proto_event(ctx, FTP_EVENT_MALFORMED_ADDRESS);
		return;
	}
	record->dynamic_port = address.port;
	record->mode = FTP_ACTIVE;
	record_present(&record->head, FTP_HAS_PORT);
	announce(ctx, false, address.port);
	if (ctx->client_addr == NULL || address.version == 0)
		return;
	record->bounce = memcmp(address.bytes, ctx->client_addr, address.version == 4 ? 4 : 16) != 0;
	if (record->bounce)
		proto_event(ctx, FTP_EVENT_BOUNCE);
}

/* RFC 959 4.1.3, RFC 3659 7: commands whose data comes over the connection announced before. */
static const char *const transfers[] = { "RETR", "STOR", "STOU", "APPE", NULL };
static const char *const listings[] = { "LIST", "NLST", "MLSD", NULL };

static bool
is_one_of(const char *const words[], const char *word, size_t len)
{
	for (unsigned int i = 0; words[i] != NULL; i++)
		if (is_word(word, len, words[i]))
			return true;
	return false;
}

static void
tell_transfer(struct proto_ctx *ctx, const char *word, size_t len, struct cursor name)
{
	struct ftp_state *state = ctx->state;
	bool is_file = is_one_of(transfers, word, len);

	if (is_file && state->greeted && !state->announced)
		proto_event(ctx, FTP_EVENT_FILE_BEFORE_PORT);
	if (state->data_port == 0 || (!is_file && !is_one_of(listings, word, len)))
		return;
	ftp_expect_command(ctx, state->data_by_server, state->data_port, cursor_of(word, len), is_file ? name : cursor_of(word, 0));
	state->data_port = 0;
}

/* Of a password the rules see all and the event what the configuration lets it. */
static struct ftp_record *
read_command(struct proto_ctx *ctx, struct cursor line, bool is_cut, bool for_rules)
{
	const struct ftp_config *config = ctx->config;
	struct ftp_record *record = record_begin(ctx->record, &ftp_table);
	char word[FTP_COMMAND_LEN_MAX];
	size_t len = take_word(&line, word);

	if (len == 0)
		proto_event(ctx, FTP_EVENT_MALFORMED_COMMAND);
	record_put_bytes(ctx->record, &record->command, word, (uint32_t)len);
	record_present(&record->head, FTP_HAS_COMMAND);
	if (cursor_left(&line) > 0) {
		if (for_rules)
			put_text(ctx, &record->command_secret, line, FTP_LINE_LEN_MAX);
		if (for_rules || config->passwords || !is_word(word, len, "PASS"))
			put_text(ctx, &record->command_data, line, FTP_LINE_LEN_MAX);
		record_present(&record->head, FTP_HAS_COMMAND_DATA);
	}
	record->command_truncated = is_cut;
	if (is_word(word, len, "PORT") || is_word(word, len, "EPRT"))
		read_active(ctx, record, word[0] == 'E', line);
	else if (for_rules)
		tell_transfer(ctx, word, len, line);
	return record;
}

static const struct pair_desc pair_desc = { .response_time_off = offsetof(struct ftp_record, response_time_us),
	.response_time_bit = FTP_HAS_RESPONSE_TIME, .count_shed = FTP_COUNT_SHED, .count_unanswered = FTP_COUNT_UNANSWERED };
static const struct pair_key pair_key; /* replies come in the order of the commands */

static void
parse_command(struct proto_ctx *ctx, struct cursor line, bool is_cut)
{
	struct ftp_state *state = ctx->state;
	struct pair_wait wait = { .since_ns = ctx->ts_ns, .to_server = true };

	counter_add(&ctx->counters[FTP_COUNT_COMMANDS], 1);
	if (pair_make_room(ctx, &state->pairs, &pair_desc, FTP_OPEN_MAX))
		proto_event(ctx, FTP_EVENT_FLOODED);
	wait.id = ++state->last_id;
	if (read_command(ctx, line, is_cut, true) == NULL)
		return;
	proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, wait.id);
	(void)read_command(ctx, line, is_cut, false);
	ctx->events = 0;
	if (!pair_keep(ctx, &state->pairs, &pair_desc, &wait))
		proto_deliver(ctx, PROTO_EMIT, wait.id);
}

/* ---- replies ---- */

struct reply {
	uint16_t code; /* 0: a line within a reply */
	bool goes_on;  /* more lines of it follow */
	bool is_cut;
	struct cursor text;
	struct ftp_address address; /* port 0: none */
};

static void
add_text(struct proto_ctx *ctx, struct record_list *list, struct cursor text)
{
	struct ftp_text *child = record_append(ctx->record, list, ftp_text_tables, 0);

	if (child != NULL)
		put_text(ctx, &child->text, text, FTP_TEXT_LEN_MAX);
}

static void
add_reply(struct proto_ctx *ctx, struct ftp_record *record, const struct reply *reply, struct cursor line)
{
	record->replied = true;
	if (reply->code != 0) {
		add_text(ctx, &record->codes, cursor_sub(&line, CODE_LEN));
		record_present(&record->head, FTP_HAS_CODE);
	}
	add_text(ctx, &record->replies, reply->text);
	record_present(&record->head, FTP_HAS_REPLY);
	record->reply_truncated = record->reply_truncated || reply->is_cut;
	if (reply->address.port == 0)
		return;
	record->dynamic_port = reply->address.port;
	record->mode = FTP_PASSIVE;
	record_present(&record->head, FTP_HAS_PORT);
}

/* "227 Entering Passive Mode (h1,h2,h3,h4,p1,p2)", "229 ... (|||port|)". */
static void
read_passive(struct proto_ctx *ctx, struct reply *reply)
{
	struct cursor text = reply->text;
	const uint8_t *bracket = cursor_left(&text) == 0 ? NULL : memchr(text.pos, '(', cursor_left(&text));
	bool known;

	if (reply->code != CODE_PASSIVE && reply->code != CODE_EXTENDED)
		return;
	if (bracket != NULL)
		cursor_skip(&text, (size_t)(bracket - text.pos) + 1);
	known = reply->code == CODE_PASSIVE ? ftp_address_numbers(text, &reply->address)
					    : ftp_address_extended(text, &reply->address);
	if (!known) {
		reply->address.port = 0;
		proto_event(ctx, FTP_EVENT_MALFORMED_ADDRESS);
		return;
	}
	announce(ctx, true, reply->address.port);
}

/* RFC 959 4.2: "code-" opens a reply of several lines, "code " and the same code ends it. */
static struct reply
read_reply(struct proto_ctx *ctx, struct cursor line)
{
	struct ftp_state *state = ctx->state;
	struct reply reply = { .text = line };
	struct cursor digits = line;
	uint16_t code = 0;

	if (!is_reply(&line) && !(cursor_left(&line) == CODE_LEN && line.pos[0] >= '1' && line.pos[0] <= '6')) {
		reply.goes_on = state->multi_code != 0;
		if (!reply.goes_on)
			proto_event(ctx, FTP_EVENT_MALFORMED_REPLY);
		return reply;
	}
	for (unsigned int i = 0; i < CODE_LEN; i++)
		code = (uint16_t)(code * 10 + (cursor_u8(&digits) - '0'));
	if (state->multi_code != 0 && code != state->multi_code) {
		reply.goes_on = true;
		return reply;
	}
	reply.code = code;
	reply.goes_on = cursor_left(&digits) > 0 && *digits.pos == '-';
	cursor_skip(&digits, cursor_left(&digits) > 0 ? 1 : 0);
	reply.text = digits;
	state->multi_code = reply.goes_on ? code : 0;
	read_passive(ctx, &reply);
	return reply;
}

/* What a rule asks of the data connection holds of the answer to PORT as well. */
static void
add_port(struct ftp_record *record, const struct ftp_record *begun)
{
	if (begun == NULL || !record_is_present(begun, FTP_HAS_PORT) || record_is_present(record, FTP_HAS_PORT))
		return;
	record->dynamic_port = begun->dynamic_port;
	record->mode = begun->mode;
	record_present(&record->head, FTP_HAS_PORT);
}

/* RFC 4217 4: TLS follows where it was asked for; other mechanisms wrap each line (RFC 2228 6). A reply whose command was
 * not seen means the same. */
static bool
begins_tls(const struct ftp_record *begun)
{
	const uint8_t *base = (const uint8_t *)begun;
	struct cursor how;

	if (begun == NULL)
		return true;
	how = cursor_of(base + begun->command_data.off, begun->command_data.count);
	return is_word((const char *)base + begun->command.off, begun->command.count, "AUTH") &&
		(line_begins(&how, "TLS") || line_begins(&how, "SSL"));
}

/* RFC 959 5.4: 120 and 220 come as a connection is established; no command but REIN is answered so. A client may have sent
 * commands before. */
static bool
is_greeting(const struct ftp_state *state, const struct reply *reply)
{
	return !state->heard && (reply->code == CODE_DELAYED || reply->code == CODE_READY);
}

/* The rules see the line alone, the event is the command with all its replies; 1xx is not the last (RFC 959 4.2.1). */
static void
parse_reply(struct proto_ctx *ctx, struct cursor line, bool is_cut)
{
	struct ftp_state *state = ctx->state;
	struct reply reply = read_reply(ctx, line);
	struct pair_wait wait = { .since_ns = ctx->ts_ns }; /* of a reply that nobody asked for */
	const struct ftp_record *begun = is_greeting(state, &reply) ? NULL : pair_find(&state->pairs, &pair_desc, pair_key, &wait);
	uint32_t kept = begun == NULL ? 0 : begun->replies.count;
	bool unasked = begun == NULL, ends = !reply.goes_on && (reply.code < 100 || reply.code >= 200);
	struct ftp_record *record = record_begin(ctx->record, &ftp_table);

	reply.is_cut = is_cut;
	counter_add(&ctx->counters[FTP_COUNT_REPLIES], 1);
	if (state->last_id == 0)
		state->greeted = reply.code == CODE_READY;
	state->heard = true;
	if (unasked)
		wait.id = ++state->last_id;
	if (reply.code == CODE_AUTH_DONE && ends && begins_tls(begun)) {
		counter_add(&ctx->counters[FTP_COUNT_ENCRYPTED], 1);
		ctx->over = true;
	}
	if (kept == FTP_REPLIES_MAX)
		proto_event(ctx, FTP_EVENT_TOO_MANY_REPLIES);
	add_reply(ctx, record, &reply, line);
	add_port(record, begun);
	proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, wait.id);
	if (kept > FTP_REPLIES_MAX && !ends)
		return;
	record = unasked ? record_begin(ctx->record, &ftp_table) : pair_take(ctx, &state->pairs, &pair_desc, pair_key, &wait);
	if (record == NULL)
		return;
	add_reply(ctx, record, &reply, line);
	if (!ends && pair_keep_first(ctx, &state->pairs, &pair_desc, &wait))
		return;
	if (!unasked && record_is_present(record, FTP_HAS_COMMAND))
		pair_answered(ctx, &state->pairs, &pair_desc, &wait);
	ctx->to_server = !unasked;
	proto_deliver(ctx, PROTO_EMIT, wait.id);
}

static void
ftp_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	bool to_server = ctx->to_server, is_cut;
	struct cursor line = line_bare(pdu);

	if (follow_long_line(ctx, &pdu, &is_cut) || cursor_left(&line) == 0)
		return;
	if (to_server)
		parse_command(ctx, line, is_cut);
	else
		parse_reply(ctx, line, is_cut);
	ctx->to_server = to_server;
}

static void
ftp_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct ftp_state *state = ctx->state;

	(void)missing;
	state->greeted = false;
	state->cutting[ctx->to_server] = false;
	if (!ctx->to_server)
		state->multi_code = 0;
}

static void
ftp_end(struct proto_ctx *ctx)
{
	struct ftp_state *state = ctx->state;

	pair_shrink(ctx, &state->pairs, &pair_desc, 0);
}

static const uint16_t ftp_ports[] = { 21, 0 };

extern const struct proto ftp_proto;
const struct proto ftp_proto = {
	.app = {
		.name = "ftp",
		.record = &ftp_table,
		.events = ftp_events,
		.event_count = FTP_EVENT_COUNT,
		.keywords = ftp_keywords,
		.keyword_count = FTP_KEYWORD_COUNT,
		.buffers = ftp_buffers,
		.buffer_count = FTP_BUFFER_COUNT,
	},
	.transports = PROTO_TCP,
	.ports = ftp_ports,
	.pdu_len_min = 1,
	.probe = ftp_probe,
	.starts = { { '1', '6' }, { 'A', 'z' } },
	.start_count = 2,
	.sender_is_server = ftp_sender_is_server,
	.frame = ftp_frame,
	.parse = ftp_parse,
	.gap = ftp_gap,
	.end = ftp_end,
	.state_len = sizeof(struct ftp_state),
	.shared_len = sizeof(struct ftp_shared),
	.ahead = PAIR_AHEAD,
	.counters = ftp_counters,
	.counter_count = FTP_COUNTER_COUNT,
	.knobs = &ftp_knobs,
	.config_len = sizeof(struct ftp_config),
};
