/* Where a message begins and ends: the bytes behind DATA and BDAT. */
#include "proto/smtp/smtp.h"

enum { LINE_LEN_ENOUGH = 1 << 20 }; /* longer lines are as long */

/* Notes what the line at hand is, as far as it is here. */
static void
note_line(struct smtp_state *state, struct cursor piece)
{
	for (uint32_t i = 0; i < piece.left && state->line_len + i < sizeof(state->line_begin); i++)
		state->line_begin[state->line_len + i] = piece.pos[i];
	if (piece.left > 1)
		state->line_cr = piece.pos[piece.left - 2] == '\r';
	else if (state->line_len == 0)
		state->line_cr = false;
	if (state->line_len < LINE_LEN_ENOUGH)
		state->line_len += piece.left < LINE_LEN_ENOUGH ? piece.left : LINE_LEN_ENOUGH;
}

/* A line that has its end: a dot alone. */
static bool
is_data_end(const struct smtp_state *state)
{
	return state->line_begin[0] == '.' && (state->line_len == 2 || (state->line_len == 3 && state->line_begin[1] == '\r'));
}

/* Servers do not agree on what ends a message but CR LF . CR LF: who writes another end hides a second mail (smuggling). */
static void
end_data(struct proto_ctx *ctx)
{
	struct smtp_state *state = ctx->state;

	if (!state->line_after_crlf || state->line_len != 3)
		proto_event(ctx, SMTP_EVENT_AMBIGUOUS_DATA_END);
	if (state->mail != NULL)
		smtp_mime_drop_line(state->mail);
	smtp_open_push(ctx, SMTP_KIND_MESSAGE);
	smtp_send_mail(ctx);
}

static void
feed(struct proto_ctx *ctx, struct cursor piece)
{
	struct smtp_state *state = ctx->state;

	if (state->mail == NULL)
		return;
	smtp_mime_feed(ctx, state->mail, piece);
	state->mail->events |= ctx->events;
	ctx->events = 0;
}

/* RFC 5321 4.5.2: a dot before a line's first dot is not the message's. */
static uint32_t
take_data(struct proto_ctx *ctx, struct cursor in)
{
	struct smtp_state *state = ctx->state;
	size_t all = cursor_left(&in);

	while (cursor_left(&in) > 0) {
		const uint8_t *end = memchr(in.pos, '\n', cursor_left(&in));
		struct cursor piece = cursor_sub(&in, end == NULL ? cursor_left(&in) : (size_t)(end - in.pos) + 1);
		bool begins = state->line_len == 0;

		note_line(state, piece);
		if (end != NULL && is_data_end(state)) {
			end_data(ctx);
			return (uint32_t)(all - cursor_left(&in));
		}
		if (begins && *piece.pos == '.') {
			cursor_skip(&piece, 1);
			if (state->mail != NULL)
				state->mail->is_dotted = true;
		}
		feed(ctx, piece);
		if (end == NULL) {
			state->line_cr = piece.left > 0 && piece.pos[piece.left - 1] == '\r';
			continue;
		}
		state->line_after_crlf = state->line_cr;
		state->line_len = 0;
	}
	return (uint32_t)all;
}

/* RFC 2920 3.1: DATA is the last command of a group. Whoever sends the message before the answer does not mind what it is. */
static void
note_haste(struct proto_ctx *ctx)
{
	struct smtp_state *state = ctx->state;

	if (!state->data_begun && state->data_code == 0 && state->greeted && !state->lost)
		proto_event(ctx, SMTP_EVENT_INVALID_PIPELINED_SEQUENCE);
	state->data_begun = true;
}

static uint32_t
take_chunk(struct proto_ctx *ctx, struct cursor in)
{
	struct smtp_state *state = ctx->state;
	size_t left = cursor_left(&in), len = state->bdat_left < left ? (size_t)state->bdat_left : left;

	feed(ctx, cursor_sub(&in, len));
	state->bdat_left -= len;
	if (state->bdat_left > 0)
		return (uint32_t)len;
	state->content = SMTP_NO_CONTENT;
	ctx->raw = false;
	if (state->bdat_last)
		smtp_send_mail(ctx);
	return (uint32_t)len;
}

uint32_t
smtp_raw(struct proto_ctx *ctx, struct cursor in)
{
	struct smtp_state *state = ctx->state;

	if (state->content == SMTP_BDAT)
		return take_chunk(ctx, in);
	if (state->content == SMTP_DATA && (state->data_code == 0 || state->data_code == SMTP_CODE_SEND_DATA)) {
		note_haste(ctx);
		return take_data(ctx, in);
	}
	state->content = SMTP_NO_CONTENT; /* refused: commands follow */
	ctx->raw = false;
	return 0;
}
