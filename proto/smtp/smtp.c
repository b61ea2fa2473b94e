/* SMTP: finding lines, recognising the protocol, replies, lost bytes, the end. */
#include "proto/smtp/smtp.h"

#include "proto/line.h"

enum { CODE_LEN = 3 };

static int
smtp_frame_on(struct cursor in, bool to_server, uint32_t seen_len)
{
	size_t left = cursor_left(&in), len = left < SMTP_LINE_LEN_MAX ? left : SMTP_LINE_LEN_MAX;
	const uint8_t *at = cursor_take(&in, len), *end;

	(void)to_server;
	if (len > seen_len) {
		end = memchr(at + seen_len, '\n', len - seen_len);
		if (end != NULL)
			return (int)(end - at) + 1;
	}
	return len == SMTP_LINE_LEN_MAX ? SMTP_LINE_LEN_MAX : 0;
}

static int
smtp_frame(struct cursor in, bool to_server)
{
	return smtp_frame_on(in, to_server, 0);
}

/* ---- recognising ---- */

/* What no other protocol's client begins a line with, wherever it is seen. */
static const char *const own_commands[] = { "EHLO ", "HELO ", "MAIL FROM:", "RCPT TO:", NULL };
/* Those that do on a usual port. */
static const char *const shared_commands[] = { "MAIL ", "RCPT ", "DATA\r", "BDAT ", "RSET\r", "VRFY ", "EXPN ", "HELP", "NOOP", "QUIT",
	"AUTH ", "STARTTLS", "LHLO ", "ETRN ", "XCLIENT ", NULL };

static bool
begins_with_any(const struct cursor *line, const char *const words[])
{
	for (unsigned int i = 0; words[i] != NULL; i++)
		if (line_begins(line, words[i]))
			return true;
	return false;
}

/* RFC 5321 4.2: three digits, the first 2 to 5, the second 0 to 5. */
static bool
is_reply(const struct cursor *line)
{
	const uint8_t *at = line->pos;

	if (cursor_left(line) < CODE_LEN || at[0] < '2' || at[0] > '5' || at[1] < '0' || at[1] > '5' || at[2] < '0' || at[2] > '9')
		return false;
	return cursor_left(line) == CODE_LEN || at[3] == ' ' || at[3] == '-' || at[3] == '\r' || at[3] == '\n';
}

/* FTP greets with the same code. */
static bool
greets_as_smtp(const struct cursor *line, bool on_port)
{
	if (!line_begins(line, "220"))
		return on_port;
	return line_says(*line, "SMTP") || (on_port && !line_says(*line, "FTP"));
}

static bool
may_begin(uint8_t byte)
{
	return (byte >= '2' && byte <= '5') || (byte >= 'A' && byte <= 'X') || (byte >= 'a' && byte <= 'x');
}

static enum proto_probe
smtp_probe(struct cursor in, bool to_server, bool on_port)
{
	int len;
	struct cursor line;

	if (cursor_left(&in) > 0 && !may_begin(*in.pos))
		return PROTO_PROBE_NO;
	len = smtp_frame(in, to_server);
	if (len <= 0)
		return line_is_text(in) ? PROTO_PROBE_MORE : PROTO_PROBE_NO;
	line = cursor_sub(&in, (size_t)len);
	if (!line_is_text(line))
		return PROTO_PROBE_NO;
	if (is_reply(&line))
		return greets_as_smtp(&line, on_port) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	if (begins_with_any(&line, own_commands))
		return PROTO_PROBE_YES;
	return on_port && begins_with_any(&line, shared_commands) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

static int
smtp_sender_is_server(struct cursor in)
{
	return is_reply(&in);
}

/* ---- lines ---- */

/* @return whether the line at hand is the rest of one that was too long */
static bool
follow_long_line(struct proto_ctx *ctx, const struct cursor *pdu, bool *is_cut)
{
	struct smtp_state *state = ctx->state;
	bool was = state->cutting[ctx->to_server];

	*is_cut = pdu->left > 0 && pdu->pos[pdu->left - 1] != '\n';
	state->cutting[ctx->to_server] = *is_cut;
	if (was || !*is_cut)
		return was;
	counter_add(&ctx->counters[SMTP_COUNT_LINES_CUT], 1);
	proto_event(ctx, ctx->to_server ? SMTP_EVENT_MAX_COMMAND_LINE_LEN_EXCEEDED : SMTP_EVENT_MAX_REPLY_LINE_LEN_EXCEEDED);
	return false;
}

/* ---- replies ---- */

static void
answer_starttls(struct proto_ctx *ctx, uint16_t code)
{
	struct smtp_state *state = ctx->state;

	if (code != SMTP_CODE_READY) {
		proto_event(ctx, SMTP_EVENT_TLS_REJECTED);
		return;
	}
	state->starttls = true;
	state->wrote = false;
	counter_add(&ctx->counters[SMTP_COUNT_ENCRYPTED], 1);
	ctx->over = true;
}

static void
answer_data(struct proto_ctx *ctx, uint16_t code)
{
	struct smtp_state *state = ctx->state;

	state->data_code = code;
	if (code != SMTP_CODE_SEND_DATA)
		proto_event(ctx, SMTP_EVENT_DATA_COMMAND_REJECTED);
}

/* The first reply; and 220 behind commands that did not wait for it, as no command but STARTTLS is answered so (RFC 5321 4.3.2,
 * RFC 3207 4). */
static bool
is_greeting(const struct smtp_state *state, uint16_t code)
{
	return !state->greeted && (!state->spoken || (code == SMTP_CODE_READY && !smtp_open_has(state, SMTP_KIND_STARTTLS)));
}

/* A reply is whole. */
static void
answer(struct proto_ctx *ctx, uint16_t code)
{
	struct smtp_state *state = ctx->state;
	enum smtp_kind kind;

	if (is_greeting(state, code)) {
		state->greeted = true;
		if (code != SMTP_CODE_READY && code != SMTP_CODE_NO_SERVICE)
			proto_event(ctx, SMTP_EVENT_NO_SERVER_WELCOME_MESSAGE);
		return;
	}
	if (state->auth_open && code == SMTP_CODE_AUTH_GOES_ON) {
		state->auth_asked = true;
		return;
	}
	if (!smtp_open_pop(state, &kind)) {
		if (code != SMTP_CODE_CLOSING && !state->lost)
			proto_event(ctx, SMTP_EVENT_UNABLE_TO_MATCH_REPLY_WITH_REQUEST);
		return;
	}
	if (kind == SMTP_KIND_HELO && code >= SMTP_CODE_REFUSED)
		state->helo_len = 0; /* EHLO to an old server: HELO follows */
	else if (kind == SMTP_KIND_AUTH)
		state->auth_open = false;
	else if (kind == SMTP_KIND_STARTTLS)
		answer_starttls(ctx, code);
	else if (kind == SMTP_KIND_DATA)
		answer_data(ctx, code);
	else if (kind == SMTP_KIND_MESSAGE)
		smtp_emit_sent(ctx, code);
}

static void
match_reply(struct proto_ctx *ctx, uint16_t code, struct cursor text)
{
	struct smtp_state *state = ctx->state;
	struct smtp_record *record;

	if (proto_is_unread(ctx, false))
		return;
	record = record_begin(ctx->record, &smtp_table);
	record->code = code;
	record_present(&record->head, SMTP_HAS_CODE);
	smtp_put_text(ctx, &record->reply, text);
	record_present(&record->head, SMTP_HAS_REPLY);
	proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, state->sent != NULL ? state->sent->id : smtp_tx_at_hand(state));
}

/* RFC 5321 4.2.1: "code-" on all lines of a reply but the last. */
static void
parse_reply(struct proto_ctx *ctx, struct cursor line)
{
	struct smtp_state *state = ctx->state;
	struct cursor rest = line;
	uint16_t code = 0;
	bool goes_on;

	counter_add(&ctx->counters[SMTP_COUNT_REPLIES], 1);
	if (!is_reply(&line)) {
		if (!state->lost)
			proto_event(ctx, SMTP_EVENT_INVALID_REPLY);
		return;
	}
	for (unsigned int i = 0; i < CODE_LEN; i++)
		code = (uint16_t)(code * 10 + (cursor_u8(&rest) - '0'));
	goes_on = cursor_left(&rest) > 0 && *rest.pos == '-';
	cursor_skip(&rest, cursor_left(&rest) > 0 ? 1 : 0);
	if (state->multi_code != 0 && code != state->multi_code)
		proto_event(ctx, SMTP_EVENT_INVALID_REPLY);
	state->multi_code = goes_on ? code : 0;
	match_reply(ctx, code, rest);
	if (!goes_on)
		answer(ctx, code);
}

static void
smtp_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	struct cursor line = line_bare(pdu);
	bool is_cut;

	if (follow_long_line(ctx, &pdu, &is_cut) || cursor_left(&line) == 0)
		return;
	if (ctx->to_server)
		smtp_parse_command(ctx, line);
	else
		parse_reply(ctx, line);
}

static void
smtp_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct smtp_state *state = ctx->state;

	state->lost = true;
	state->open_count = 0;
	state->beyond = 0;
	state->multi_code = 0;
	state->cutting[ctx->to_server] = false;
	if (!ctx->to_server || state->content == SMTP_NO_CONTENT)
		return;
	if (state->mail != NULL)
		smtp_mime_gap(ctx, state->mail);
	state->line_len = 0;
	if (state->content == SMTP_DATA)
		return;
	if (missing < state->bdat_left) {
		state->bdat_left -= missing;
		return;
	}
	state->content = SMTP_NO_CONTENT;
	ctx->raw = false;
}

static void
smtp_end(struct proto_ctx *ctx)
{
	struct smtp_state *state = ctx->state;

	smtp_emit_sent(ctx, 0);
	smtp_give_up_mail(ctx);
	if (!state->wrote && (state->helo_len > 0 || state->auth_len > 0 || state->starttls))
		smtp_mail_emit(ctx, NULL, 0);
}

static const uint16_t smtp_ports[] = { 25, 587, 2525, 465, 0 };

extern const struct proto smtp_proto;
const struct proto smtp_proto = {
	.app = {
		.name = "smtp",
		.record = &smtp_table,
		.events = smtp_events,
		.event_count = SMTP_EVENT_COUNT,
		.buffers = smtp_buffers,
		.buffer_count = SMTP_BUFFER_COUNT,
	},
	.transports = PROTO_TCP,
	.ports = smtp_ports,
	.pdu_len_min = 1,
	.probe = smtp_probe,
	.starts = { { '2', '5' }, { 'A', 'X' }, { 'a', 'x' } },
	.start_count = 3,
	.sender_is_server = smtp_sender_is_server,
	.frame = smtp_frame,
	.frame_on = smtp_frame_on,
	.parse = smtp_parse,
	.raw = smtp_raw,
	.gap = smtp_gap,
	.end = smtp_end,
	.counts_transactions = true,
	.state_len = sizeof(struct smtp_state),
	.counters = smtp_counters,
	.counter_count = SMTP_COUNTER_COUNT,
	.knobs = &smtp_knobs,
	.config_len = sizeof(struct smtp_config),
};
