/* Lines of the client: commands, and what must not be taken for one. */
#include "proto/line.h"
#include "proto/smtp/smtp.h"

enum { BDAT_DIGITS_MAX = 18 };

static enum smtp_kind
on_helo(struct proto_ctx *ctx, struct cursor argument)
{
	struct smtp_state *state = ctx->state;
	size_t len = cursor_left(&argument);

	smtp_give_up_mail(ctx);
	if (state->helo_len > 0)
		proto_event(ctx, SMTP_EVENT_DUPLICATE_FIELDS);
	state->helo_len = (uint16_t)(len < SMTP_HELO_LEN_MAX ? len : SMTP_HELO_LEN_MAX);
	memcpy(state->helo, argument.pos, state->helo_len);
	state->wrote = false;
	return SMTP_KIND_HELO;
}

/* "FROM:<a@b> SIZE=1", "TO: <a@b>". The path alone; a local part may be quoted and have blanks then. */
static struct cursor
path_of(struct cursor argument, const char *word)
{
	bool quoted = false;
	uint32_t len = 0;

	if (!line_begins(&argument, word))
		return cursor_of(argument.pos, 0);
	cursor_skip(&argument, strlen(word));
	argument = line_trim(argument);
	for (; len < argument.left && (quoted || argument.pos[len] != ' '); len++)
		quoted = quoted != (argument.pos[len] == '"');
	return cursor_of(argument.pos, len);
}

static enum smtp_kind
on_mail(struct proto_ctx *ctx, struct cursor argument)
{
	struct smtp_state *state = ctx->state;
	struct cursor path = path_of(argument, "FROM:");
	struct smtp_mail *mail;

	if (state->mail != NULL && state->mail->mail_from.count > 0) {
		proto_event(ctx, SMTP_EVENT_DUPLICATE_FIELDS);
		smtp_give_up_mail(ctx);
	}
	if (cursor_left(&path) == 0)
		proto_event(ctx, SMTP_EVENT_INVALID_COMMAND);
	mail = smtp_mail_at_hand(ctx);
	if (mail != NULL)
		smtp_mail_put(ctx, mail, &mail->mail_from, path);
	return SMTP_KIND_OTHER;
}

static enum smtp_kind
on_rcpt(struct proto_ctx *ctx, struct cursor argument)
{
	struct smtp_mail *mail = smtp_mail_at_hand(ctx);
	struct cursor path = path_of(argument, "TO:");

	if (cursor_left(&path) == 0) {
		proto_event(ctx, SMTP_EVENT_INVALID_COMMAND);
		return SMTP_KIND_OTHER;
	}
	if (mail == NULL)
		return SMTP_KIND_OTHER;
	if (mail->rcpt_count < SMTP_RCPTS_MAX) {
		smtp_mail_put(ctx, mail, &mail->rcpts[mail->rcpt_count++], path);
		return SMTP_KIND_OTHER;
	}
	if (!mail->rcpts_cut)
		proto_event(ctx, SMTP_EVENT_TOO_MANY_RECIPIENTS);
	mail->rcpts_cut = true;
	counter_add(&ctx->counters[SMTP_COUNT_RECIPIENTS_CUT], 1);
	return SMTP_KIND_OTHER;
}

static enum smtp_kind
on_data(struct proto_ctx *ctx, struct cursor argument)
{
	struct smtp_state *state = ctx->state;

	(void)argument;
	(void)smtp_mail_at_hand(ctx);
	state->content = SMTP_DATA;
	state->data_code = 0;
	state->data_begun = false;
	state->line_len = 0;
	state->line_after_crlf = true;
	ctx->raw = true;
	return SMTP_KIND_DATA;
}

/* RFC 3030 2: "BDAT 86 LAST". */
static enum smtp_kind
on_bdat(struct proto_ctx *ctx, struct cursor argument)
{
	struct smtp_state *state = ctx->state;
	uint64_t len = 0;
	unsigned int digits = 0;

	while (cursor_left(&argument) > 0 && *argument.pos >= '0' && *argument.pos <= '9' && digits++ < BDAT_DIGITS_MAX)
		len = len * 10 + (uint64_t)(cursor_u8(&argument) - '0');
	argument = line_trim(argument);
	state->bdat_last = line_begins(&argument, "LAST") && cursor_left(&argument) == 4;
	if (digits == 0 || digits > BDAT_DIGITS_MAX || (cursor_left(&argument) > 0 && !state->bdat_last)) {
		proto_event(ctx, SMTP_EVENT_INVALID_BDAT);
		state->bdat_last = false;
		return SMTP_KIND_OTHER;
	}
	(void)smtp_mail_at_hand(ctx);
	state->content = SMTP_BDAT;
	state->bdat_left = len;
	ctx->raw = len > 0;
	if (len == 0 && state->bdat_last)
		smtp_send_mail(ctx);
	return state->bdat_last ? SMTP_KIND_MESSAGE : SMTP_KIND_OTHER;
}

static enum smtp_kind
on_rset(struct proto_ctx *ctx, struct cursor argument)
{
	(void)argument;
	smtp_give_up_mail(ctx);
	return SMTP_KIND_OTHER;
}

static enum smtp_kind
on_starttls(struct proto_ctx *ctx, struct cursor argument)
{
	(void)ctx;
	(void)argument;
	return SMTP_KIND_STARTTLS;
}

static enum smtp_kind
on_auth(struct proto_ctx *ctx, struct cursor argument)
{
	struct smtp_state *state = ctx->state;
	uint8_t len = 0;

	while (cursor_left(&argument) > 0 && len < SMTP_AUTH_LEN_MAX && *argument.pos != ' ')
		state->auth[len++] = (char)cursor_u8(&argument);
	state->auth_len = len;
	state->auth_open = true;
	state->auth_asked = false;
	state->wrote = false;
	return SMTP_KIND_AUTH;
}

static enum smtp_kind
on_other(struct proto_ctx *ctx, struct cursor argument)
{
	(void)ctx;
	(void)argument;
	return SMTP_KIND_OTHER;
}

static const struct {
	const char *word;
	enum smtp_kind (*take)(struct proto_ctx *ctx, struct cursor argument); /* the rest of the line */
} verbs[] = {
	{ "EHLO", on_helo }, { "HELO", on_helo }, { "LHLO", on_helo }, { "MAIL", on_mail }, { "RCPT", on_rcpt }, { "DATA", on_data },
	{ "BDAT", on_bdat }, { "RSET", on_rset }, { "STARTTLS", on_starttls }, { "AUTH", on_auth }, { "NOOP", on_other },
	{ "QUIT", on_other }, { "HELP", on_other }, { "VRFY", on_other }, { "EXPN", on_other }, { "ETRN", on_other },
};

enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static unsigned int
find_verb(const char *word, size_t len)
{
	unsigned int i = 0;

	while (i < VERB_COUNT && !(strlen(verbs[i].word) == len && memcmp(verbs[i].word, word, len) == 0))
		i++;
	return i;
}

/* A line of AUTH's dialogue, which is a password or as good as one: it is not a command, and in no record. */
static bool
is_credential(const struct smtp_state *state, unsigned int verb)
{
	return state->auth_open && (state->auth_asked || verb == VERB_COUNT);
}

static void
match_command(struct proto_ctx *ctx, struct cursor word, struct cursor argument, uint32_t tx_id)
{
	struct smtp_record *record;

	if (proto_is_unread(ctx, true))
		return;
	record = record_begin(ctx->record, &smtp_table);
	smtp_put_text(ctx, &record->command, word);
	record_present(&record->head, SMTP_HAS_COMMAND);
	if (cursor_left(&argument) > 0) {
		smtp_put_text(ctx, &record->argument, argument);
		record_present(&record->head, SMTP_HAS_ARGUMENT);
	}
	proto_deliver(ctx, PROTO_MATCH | PROTO_HOLD, tx_id);
}

void
smtp_parse_command(struct proto_ctx *ctx, struct cursor line)
{
	struct smtp_state *state = ctx->state;
	struct cursor rest = line, argument;
	char word[SMTP_VERB_LEN_MAX];
	size_t len = line_take_word(&rest, word, SMTP_VERB_LEN_MAX);
	unsigned int verb = find_verb(word, len);
	enum smtp_kind kind = SMTP_KIND_OTHER;
	uint32_t tx_id;

	if (is_credential(state, verb)) {
		state->auth_asked = false;
		return;
	}
	counter_add(&ctx->counters[SMTP_COUNT_COMMANDS], 1);
	if (len == 0)
		proto_event(ctx, SMTP_EVENT_INVALID_COMMAND);
	/* RFC 3207 4: whoever sends more before the answer wants it to be taken for what came encrypted. */
	if (smtp_open_has(state, SMTP_KIND_STARTTLS))
		proto_event(ctx, SMTP_EVENT_INVALID_PIPELINED_SEQUENCE);
	argument = line_trim(rest);
	state->spoken = true;
	if (verb < VERB_COUNT)
		kind = verbs[verb].take(ctx, argument);
	tx_id = smtp_tx_at_hand(state);
	if (kind == SMTP_KIND_AUTH && memchr(argument.pos, ' ', cursor_left(&argument)) != NULL)
		argument = cursor_of(argument.pos, state->auth_len);
	smtp_open_push(ctx, kind);
	match_command(ctx, cursor_of(word, len), argument, tx_id);
}
