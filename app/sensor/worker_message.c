/* Hot: what becomes of what a protocol found: rules first, then events. And what of it anybody wants. */
#include "app/sensor/worker.h"

/* Where a protocol counts its transactions a bit stays until 64 others have begun: a request and its response may both be events. */
static void
begin_tx(const struct proto_ctx *ctx, struct flow_session *session, uint32_t tx_id)
{
	uint32_t newer = tx_id - session->quiet_newest;

	if (!ctx->proto->counts_transactions || newer == 0 || newer > INT32_MAX)
		return;
	for (uint32_t i = 0; i < newer && session->quiet_txs != 0; i++)
		session->quiet_txs &= ~(UINT64_C(1) << ((tx_id - i) & 63));
	session->quiet_newest = tx_id;
}

static void
ask_rules(struct worker *worker, struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	struct flow *flow = worker->flow;
	struct flow_session *session = flow->session;
	struct rule_message message = { .app_idx = session->proto.proto_idx, .record = ctx->record->len == 0 ? NULL : ctx->record->base,
		.events = ctx->events, .undecided = ctx->undecided, .known = ctx->known, .before = ctx->before, .asked = ctx->asked,
		.pdu = ctx->pdu, .pdu_len = ctx->pdu_len, .tx_id = tx_id, .to_server = ctx->to_server, .file = ctx->file,
		.file_news = ctx->file == NULL ? 0 : (uint8_t)file_take_news(ctx->file), .file_only = (flags & PROTO_FILE) != 0 };

	rule_hits_reset(&worker->hits);
	rule_match_message(worker->matcher, worker->packet, flow, &message, &worker->hits);
	emit_alerts(worker, ctx->to_server, ctx, tx_id, (flags & PROTO_HOLD) != 0);
	session->quiet_txs |= worker->hits.quiet ? UINT64_C(1) << (tx_id & 63) : 0;
}

/* A message of a protocol: rules first, then the event. */
void
worker_deliver_message(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	struct worker *worker = ctx->owner;
	struct flow *flow = worker->flow;
	struct flow_session *session = flow->session;
	uint64_t quiet_bit = UINT64_C(1) << (tx_id & 63);

	worker_note_proto(flow, session); /* known since the first PDU was found */
	if (flags == PROTO_IDENTITY) {
		emit_identity(worker, ctx);
		return;
	}
	if (flags == PROTO_SUMMARY) {
		emit_summary(worker, ctx);
		return;
	}
	if (flags == (PROTO_FILE | PROTO_EMIT)) {
		if ((session->quiet_txs & quiet_bit) == 0 && worker->settings->sensor.log_files)
			emit_file(worker, ctx, session);
		return;
	}
	begin_tx(ctx, session, tx_id);
	if ((flags & PROTO_MATCH) != 0 && worker->matcher != NULL)
		ask_rules(worker, ctx, flags, tx_id);
	if ((flags & PROTO_FILE) != 0)
		return; /* the events are the message's */
	for (uint64_t left = ctx->events & ~ctx->proto->app.rule_events; left != 0; left &= left - 1)
		emit_app_anomaly(worker, ctx->proto, ctx->to_server, ctx->proto->app.events[__builtin_ctzll(left)].name, ctx, tx_id);
	ctx->events = 0;
	if ((flags & PROTO_EMIT) == 0)
		return;
	if (tx_id != 0)
		hold_complete(worker, flow, tx_id, ctx->record->base, ctx->record->len);
	if (flow->tx_count < UINT16_MAX)
		flow->tx_count++;
	if ((session->quiet_txs & quiet_bit) == 0 && (flags & PROTO_QUIET) == 0)
		emit_app(worker, ctx, session, tx_id);
	if (!ctx->proto->counts_transactions)
		session->quiet_txs &= ~quiet_bit;
}

void
worker_report_garbage(void *owner, const struct proto_session *session, bool to_server, uint32_t len)
{
	struct worker *worker = owner;

	(void)len;
	emit_app_anomaly(worker, session->proto, to_server, "resynchronised", NULL, 0);
}

/* What somebody wants to know of a protocol's files; nothing: they are not followed. */
static unsigned int
file_wants(const struct worker *worker, unsigned int proto_idx, bool to_server)
{
	unsigned int wants = worker->settings->sensor.log_files ? FILE_WANT_EVENT : 0;

	return worker->matcher == NULL ? wants : wants | rule_file_wants(worker->matcher, proto_idx, to_server);
}

void
worker_tell_readers(struct worker *worker)
{
	for (unsigned int i = 0; i < proto_settings_count(worker->settings->protos); i++)
		for (unsigned int to_server = 0; to_server < 2; to_server++) {
			proto_engine_set_unread(worker->protos, i, to_server != 0,
				worker->matcher == NULL || !rule_reads_messages(worker->matcher, i, to_server != 0));
			proto_engine_set_files(worker->protos, i, to_server != 0, file_wants(worker, i, to_server != 0));
		}
}
