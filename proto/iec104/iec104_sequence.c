/*
 * Sequence numbers, acknowledgements and the start and stop of data transfer: 60870-5-104 5.1
 * to 5.5. Numbers are learned from the first APDU seen, so that a flow picked up in the
 * middle is no anomaly.
 */
#include "proto/iec104/iec104.h"

/* How far b is behind a, modulo 32768. */
static uint16_t
distance(uint16_t a, uint16_t b)
{
	return (uint16_t)(a - b) & IEC104_SEQUENCE_MASK;
}

/* Above half the range a number is older, not newer. */
static bool
is_behind(uint16_t ahead)
{
	return ahead > IEC104_SEQUENCE_MASK / 2;
}

/* N(R) in direction ctx->to_server acknowledges what the other direction sent. */
static void
acknowledge(struct proto_ctx *ctx, uint16_t rsn)
{
	const struct iec104_config *config = ctx->config;
	struct iec104_state *state = ctx->state;
	struct iec104_sequence *other = &state->sequences[!ctx->to_server];

	if (other->next_known && is_behind(distance(other->next, rsn))) {
		proto_event(ctx, IEC104_EVENT_ACKNOWLEDGES_UNSENT);
		counter_add(&ctx->counters[IEC104_SEQUENCE_ERRORS], 1);
		/* What it acknowledges may have been lost to the capture: go by it from here. */
		other->next_known = false;
	}
	if (other->acked_known) {
		uint16_t newly = distance(rsn, other->acked);

		if (is_behind(newly)) {
			proto_event(ctx, IEC104_EVENT_ACKNOWLEDGES_BACKWARD);
			counter_add(&ctx->counters[IEC104_SEQUENCE_ERRORS], 1);
		} else if (newly > config->w && !other->w_told) {
			proto_event(ctx, IEC104_EVENT_W_EXCEEDED);
			other->w_told = true;
		}
	}
	other->acked = rsn;
	other->acked_known = true;
}

void
iec104_sequence_i(struct proto_ctx *ctx, uint16_t ssn, uint16_t rsn)
{
	const struct iec104_config *config = ctx->config;
	struct iec104_state *state = ctx->state;
	struct iec104_sequence *own = &state->sequences[ctx->to_server];
	uint16_t ahead = distance(ssn, own->next);
	bool repeated = own->next_known && is_behind(ahead);

	if (own->next_known && ahead != 0) {
		proto_event(ctx, repeated ? IEC104_EVENT_SEQUENCE_DUPLICATE : IEC104_EVENT_SEQUENCE_GAP);
		counter_add(&ctx->counters[IEC104_SEQUENCE_ERRORS], 1);
	}
	if (!repeated) {
		own->next = (ssn + 1) & IEC104_SEQUENCE_MASK;
		own->next_known = true;
	}
	if (own->acked_known && !own->k_told && !is_behind(distance(own->next, own->acked)) &&
		distance(own->next, own->acked) > config->k) {
		proto_event(ctx, IEC104_EVENT_K_EXCEEDED);
		own->k_told = true;
	}
	if (state->stopped)
		proto_event(ctx, IEC104_EVENT_DATA_WHILE_STOPPED);
	acknowledge(ctx, rsn);
}

void
iec104_sequence_s(struct proto_ctx *ctx, uint16_t rsn)
{
	acknowledge(ctx, rsn);
}

/* The controlling station starts and stops data transfer, 5.3. */
static void
learn_roles(struct proto_ctx *ctx, bool sender_controls)
{
	struct iec104_state *state = ctx->state;

	state->roles_known = true;
	state->controller_is_client = sender_controls == ctx->to_server;
}

void
iec104_sequence_u(struct proto_ctx *ctx, uint8_t function)
{
	struct iec104_state *state = ctx->state;
	struct iec104_sequence *own = &state->sequences[ctx->to_server];
	struct iec104_sequence *other = &state->sequences[!ctx->to_server];
	bool first = !state->u_seen;

	state->u_seen = true;
	if ((function & IEC104_U_ACTS) != 0) {
		own->u_pending |= function;
		if (function != IEC104_TESTFR_ACT)
			learn_roles(ctx, true);
		return;
	}
	/* A confirmation's bit is next to its activation's. The first of a flow may answer what was not captured. */
	if ((other->u_pending & function >> 1) == 0 && !first)
		proto_event(ctx, IEC104_EVENT_UNEXPECTED_U_CONFIRMATION);
	other->u_pending &= (uint8_t)~(function >> 1);
	if (function == IEC104_TESTFR_CON)
		return;
	learn_roles(ctx, false);
	state->stopped = function == IEC104_STOPDT_CON;
}
