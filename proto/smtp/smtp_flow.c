/* What a flow goes through: transactions, and which reply answers which command. */
#include "proto/smtp/smtp.h"

struct smtp_mail *
smtp_mail_at_hand(struct proto_ctx *ctx)
{
	struct smtp_state *state = ctx->state;

	if (state->mail == NULL)
		state->mail = smtp_mail_create(ctx, smtp_tx_at_hand(state));
	return state->mail;
}

void
smtp_emit_sent(struct proto_ctx *ctx, uint16_t code)
{
	struct smtp_state *state = ctx->state;
	struct smtp_mail *sent = state->sent;

	if (sent == NULL)
		return;
	state->sent = NULL;
	if (code == 0)
		counter_add(&ctx->counters[SMTP_COUNT_UNANSWERED], 1);
	smtp_mail_emit(ctx, sent, code);
}

/* The message is whole: the rules see the transaction, and it waits for the server's answer. */
void
smtp_send_mail(struct proto_ctx *ctx)
{
	struct smtp_state *state = ctx->state;
	struct smtp_mail *mail = state->mail;

	state->content = SMTP_NO_CONTENT;
	ctx->raw = false;
	counter_add(&ctx->counters[SMTP_COUNT_MESSAGES], 1);
	state->tx_id++;
	if (mail == NULL)
		return;
	smtp_mime_end(ctx, mail);
	if (mail->status != SMTP_GAPPED)
		mail->status = SMTP_DONE;
	mail->since_ns = ctx->ts_ns;
	smtp_mail_match(ctx, mail);
	smtp_emit_sent(ctx, 0);
	state->sent = mail;
	state->mail = NULL;
}

/* A transaction that ends without its message. */
void
smtp_give_up_mail(struct proto_ctx *ctx)
{
	struct smtp_state *state = ctx->state;
	struct smtp_mail *mail = state->mail;

	if (mail == NULL)
		return;
	state->mail = NULL;
	state->tx_id++;
	smtp_mail_end_file(ctx, mail, false);
	smtp_mime_end(ctx, mail);
	smtp_mail_match(ctx, mail);
	smtp_mail_emit(ctx, mail, 0);
}

/* ---- which reply answers what ---- */

void
smtp_open_push(struct proto_ctx *ctx, enum smtp_kind kind)
{
	struct smtp_state *state = ctx->state;

	if (state->open_count == SMTP_OPEN_MAX || state->beyond > 0) {
		if (!state->flooded)
			proto_event(ctx, SMTP_EVENT_TOO_MANY_COMMANDS);
		state->flooded = true;
		state->beyond++;
		return;
	}
	state->open[(state->open_first + state->open_count++) % SMTP_OPEN_MAX] = (uint8_t)kind;
}

/* @return false: no command waits */
bool
smtp_open_pop(struct smtp_state *state, enum smtp_kind *kind)
{
	*kind = SMTP_KIND_OTHER;
	if (state->open_count == 0) {
		if (state->beyond == 0)
			return false;
		state->beyond--;
		return true;
	}
	*kind = (enum smtp_kind)state->open[state->open_first];
	state->open_first = (uint8_t)((state->open_first + 1) % SMTP_OPEN_MAX);
	state->open_count--;
	return true;
}

bool
smtp_open_has(const struct smtp_state *state, enum smtp_kind kind)
{
	for (unsigned int i = 0; i < state->open_count; i++)
		if (state->open[(state->open_first + i) % SMTP_OPEN_MAX] == kind)
			return true;
	return false;
}
