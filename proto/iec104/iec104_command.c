/*
 * Commands followed through: activation, confirmation, termination (60870-5-5 6.8,
 * 60870-5-101 7.2.3, 7.3.2 and 7.3.4). Open ones are told apart by type, common address and
 * object address, as the confirmation mirrors them.
 */
#include "proto/iec104/iec104.h"

enum { NS_PER_S = 1000000000, NS_PER_US = 1000 };

/* Which of the open commands of one object is looked for. */
enum wanted { WANT_ANY, WANT_UNCONFIRMED, WANT_SELECTED, WANT_RUNNING };

static bool
is_wanted(const struct iec104_open *open, enum wanted wanted)
{
	switch (wanted) {
	case WANT_UNCONFIRMED:
		return !open->confirmed;
	case WANT_SELECTED:
		return open->confirmed && open->stage == IEC104_STAGE_SELECT;
	case WANT_RUNNING:
		return open->confirmed && open->stage != IEC104_STAGE_SELECT;
	default:
		return true;
	}
}

/* The same command may be sent again before it is answered: what has the value of the answer comes first, of those
 * the oldest. */
static struct iec104_open *
find(struct iec104_state *state, const struct iec104_asdu *asdu, const struct iec104_object *object, enum wanted wanted)
{
	struct iec104_open *best = NULL;
	bool best_same = false;

	for (unsigned int i = 0; state->open_count > 0 && i < IEC104_OPEN_MAX; i++) {
		struct iec104_open *open = &state->open[i];
		bool same = open->value == object->value.u32 && open->octet == object->octet;

		if (!open->used || open->type_id != asdu->type_id || open->common_address != asdu->common_address ||
			open->obj_addr != object->obj_addr || !is_wanted(open, wanted))
			continue;
		if (best != NULL && (same < best_same || (same == best_same && open->number > best->number)))
			continue;
		best = open;
		best_same = same;
	}
	return best;
}

static void
close_open(struct iec104_state *state, struct iec104_open *open)
{
	open->used = false;
	state->open_count--;
}

/* One that nobody waits for any more: told where it was never confirmed. */
static void
give_up(struct proto_ctx *ctx, struct iec104_open *open)
{
	if (!open->confirmed)
		proto_event(ctx, IEC104_EVENT_COMMAND_UNCONFIRMED);
	close_open(ctx->state, open);
}

static void
expire(struct proto_ctx *ctx)
{
	const struct iec104_config *config = ctx->config;
	struct iec104_state *state = ctx->state;
	uint64_t timeout_ns = config->command_timeout_s * NS_PER_S;

	for (unsigned int i = 0; state->open_count > 0 && i < IEC104_OPEN_MAX; i++)
		if (state->open[i].used && ctx->ts_ns > state->open[i].ts_ns &&
			ctx->ts_ns - state->open[i].ts_ns > timeout_ns)
			give_up(ctx, &state->open[i]);
}

/* A free place; when all are used, that of the oldest that was confirmed, else of the oldest. */
static struct iec104_open *
take_place(struct proto_ctx *ctx)
{
	struct iec104_state *state = ctx->state;
	struct iec104_open *oldest = &state->open[0];

	for (unsigned int i = 0; i < IEC104_OPEN_MAX; i++) {
		struct iec104_open *open = &state->open[i];

		if (!open->used)
			return open;
		if (open->confirmed > oldest->confirmed ||
			(open->confirmed == oldest->confirmed && open->number < oldest->number))
			oldest = open;
	}
	if (!oldest->confirmed) {
		proto_event(ctx, IEC104_EVENT_COMMANDS_FLOODED);
		counter_add(&ctx->counters[IEC104_COMMANDS_SHED], 1);
	}
	close_open(state, oldest);
	return oldest;
}

static enum iec104_stage
stage_of(const struct iec104_asdu *asdu, const struct iec104_object *first)
{
	if (asdu->type->category != IEC104_PROCESS_CONTROL)
		return IEC104_STAGE_ACTIVATE;
	return first->flag != 0 ? IEC104_STAGE_SELECT : IEC104_STAGE_EXECUTE;
}

static void
activate(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object *first)
{
	struct iec104_state *state = ctx->state;
	enum iec104_stage stage = stage_of(asdu, first);
	struct iec104_open *selected, *open;

	expire(ctx);
	selected = stage == IEC104_STAGE_EXECUTE ? find(state, asdu, first, WANT_SELECTED) : NULL;
	if (selected != NULL)
		close_open(state, selected);
	open = take_place(ctx);
	*open = (struct iec104_open){ .ts_ns = ctx->ts_ns, .obj_addr = first->obj_addr, .value = first->value.u32,
		.common_address = asdu->common_address, .ssn = record->ssn, .octet = first->octet,
		.type_id = asdu->type_id, .number = state->commands++, .stage = (uint8_t)stage,
		.selected = selected != NULL, .to_server = ctx->to_server, .used = true };
	state->open_count++;
	state->command_seen = true;
	record->stage = open->stage;
	if (stage == IEC104_STAGE_EXECUTE) {
		record->selected = open->selected;
		record_present(&record->head, IEC104_HAS_SELECTED);
	}
	counter_add(&ctx->counters[IEC104_COMMANDS], 1);
}

/* What the answer answers, and how long it took. */
static void
name_activation(const struct proto_ctx *ctx, struct iec104_record *record, const struct iec104_open *open)
{
	if (open == NULL)
		return;
	record->activation_stage = open->stage;
	record->activation_ssn = open->ssn;
	record->response_time_us = ctx->ts_ns > open->ts_ns ? (ctx->ts_ns - open->ts_ns) / NS_PER_US : 0;
	record_present(&record->head, IEC104_HAS_ACTIVATION);
	if (open->stage == IEC104_STAGE_EXECUTE) {
		record->selected = open->selected;
		record_present(&record->head, IEC104_HAS_SELECTED);
	}
}

static void
confirm(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object *first)
{
	struct iec104_state *state = ctx->state;
	struct iec104_open *open = find(state, asdu, first, WANT_UNCONFIRMED);

	record->stage = IEC104_STAGE_CONFIRMATION;
	counter_add(&ctx->counters[asdu->pn ? IEC104_COMMANDS_REFUSED : IEC104_COMMANDS_CONFIRMED], 1);
	name_activation(ctx, record, open);
	/* The activation of one that comes first in a flow may have been before the capture. */
	if (open == NULL || open->to_server == ctx->to_server) {
		if (state->command_seen)
			proto_event(ctx, IEC104_EVENT_UNEXPECTED_CONFIRMATION);
		return;
	}
	if (first->value.u32 != open->value || first->octet != open->octet)
		proto_event(ctx, IEC104_EVENT_CONFIRMATION_MISMATCH);
	open->confirmed = true;
	if (asdu->pn)
		close_open(state, open);
}

static void
terminate(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object *first)
{
	struct iec104_state *state = ctx->state;
	struct iec104_open *open = find(state, asdu, first, WANT_RUNNING);

	record->stage = IEC104_STAGE_TERMINATION;
	name_activation(ctx, record, open);
	if (open != NULL)
		close_open(state, open);
	else if (state->command_seen)
		proto_event(ctx, IEC104_EVENT_UNEXPECTED_TERMINATION);
}

static void
cancel_confirm(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object *first)
{
	struct iec104_open *open = find(ctx->state, asdu, first, WANT_ANY);

	record->stage = IEC104_STAGE_CANCEL_CONFIRMATION;
	name_activation(ctx, record, open);
	if (open != NULL)
		close_open(ctx->state, open);
}

/* Causes 44 to 47: the station does not know the type, cause, common or object address. */
static void
refuse(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object *first)
{
	struct iec104_open *open = find(ctx->state, asdu, first, WANT_UNCONFIRMED);

	record->stage = IEC104_STAGE_REFUSAL;
	counter_add(&ctx->counters[IEC104_COMMANDS_REFUSED], 1);
	name_activation(ctx, record, open);
	if (open != NULL)
		close_open(ctx->state, open);
}

static void
cancel(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object *first)
{
	(void)ctx;
	(void)asdu;
	(void)first;
	record->stage = IEC104_STAGE_CANCEL;
}

void
iec104_command_follow(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object *first)
{
	static void (*const by_cause[IEC104_CAUSE_COUNT])(struct proto_ctx *, const struct iec104_asdu *,
		struct iec104_record *, const struct iec104_object *) = {
		[IEC104_CAUSE_ACT] = activate,
		[IEC104_CAUSE_ACTCON] = confirm,
		[IEC104_CAUSE_DEACT] = cancel,
		[IEC104_CAUSE_DEACTCON] = cancel_confirm,
		[IEC104_CAUSE_ACTTERM] = terminate,
		[IEC104_CAUSE_UNKNOWN_FIRST ... IEC104_CAUSE_UNKNOWN_LAST] = refuse,
	};

	if (first == NULL || by_cause[asdu->cause] == NULL)
		return;
	by_cause[asdu->cause](ctx, asdu, record, first);
	record_present(&record->head, IEC104_HAS_COMMAND);
}

void
iec104_command_end(struct proto_ctx *ctx)
{
	struct iec104_state *state = ctx->state;

	for (unsigned int i = 0; state->open_count > 0 && i < IEC104_OPEN_MAX; i++)
		if (state->open[i].used)
			give_up(ctx, &state->open[i]);
}
