/* A recognised flow's bytes, PDU by PDU: framed, parsed and, after garbage or loss, found again. */
#include "proto/session.h"

#include <assert.h>
#include <string.h>

#include "proto/engine.h"

static void
meter_add(struct proto_meter *meter, uint64_t cycles)
{
	meter->pdus++;
	meter->cycles += cycles;
	meter->buckets[histogram_bucket(cycles)]++;
}

static struct proto_ctx *
prepare(struct proto_engine *engine, struct proto_session *session, uint64_t ts_ns, bool to_server, bool tcp)
{
	struct proto_ctx *ctx = &engine->ctx;

	ctx->proto = session->proto;
	ctx->config = engine->settings->each[session->proto_idx].config;
	ctx->counters = engine->proto_counters[session->proto_idx];
	ctx->state = session->state;
	ctx->shared = engine->shared[session->proto_idx];
	ctx->ts_ns = ts_ns;
	ctx->to_server = to_server;
	ctx->tcp = tcp;
	ctx->midstream = session->midstream;
	ctx->ending = false;
	memcpy(ctx->file_wants, engine->file_wants[session->proto_idx], sizeof(ctx->file_wants));
	memcpy(ctx->unread, engine->unread[session->proto_idx], sizeof(ctx->unread));
	ctx->link = NULL;
	ctx->events = 0;
	ctx->levels = engine->settings->each[session->proto_idx].levels;
	ctx->values = PROTO_VALUES_NONE;
	ctx->volume = &session->volume;
	ctx->client_addr = NULL;
	ctx->server_addr = NULL;
	ctx->sport = 0;
	ctx->dport = 0;
	ctx->pdu = NULL;
	ctx->pdu_len = 0;
	ctx->skip_len = 0;
	ctx->skipped_len = 0;
	ctx->raw = tcp && session->raw[to_server];
	ctx->over = false;
	engine->record.len = 0;
	engine->record.truncated = false;
	return ctx;
}

/* Events that no message took with it are handed on alone. */
static void
settle(struct proto_engine *engine)
{
	if (engine->record.truncated)
		counter_add(&engine->counters[PROTO_COUNTER_RECORDS_TRUNCATED], 1);
	engine->record.len = 0;
	if (engine->ctx.events != 0)
		proto_deliver(&engine->ctx, PROTO_MATCH, 0);
	engine->ctx.events = 0;
	pair_release(&engine->ctx);
	proto_volume_settle(&engine->ctx);
}

/* Says once what was skipped before the PDU (or the end) that was found now. */
static void
report_garbage(struct proto_engine *engine, struct proto_session *session, bool to_server)
{
	uint32_t len = session->garbage_len[to_server];

	if (len == 0)
		return;
	session->garbage_len[to_server] = 0;
	counter_add(&engine->counters[PROTO_COUNTER_GARBAGE], 1);
	if (engine->garbage != NULL)
		engine->garbage(engine->ctx.owner, session, to_server, len);
}

static void
parse_pdu(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input,
	uint32_t at, uint32_t len)
{
	uint64_t since = engine->meters != NULL ? __builtin_ia32_rdtsc() : 0;
	uint32_t skipped_len = session->garbage_len[input->to_server];
	struct proto_ctx *ctx;

	report_garbage(engine, session, input->to_server);
	ctx = prepare(engine, session, input->ts_ns, input->to_server, input->tcp);
	ctx->skipped_len = skipped_len;
	ctx->link = input->link;
	ctx->client_addr = input->client_addr;
	ctx->server_addr = input->server_addr;
	ctx->sport = input->sport;
	ctx->dport = input->dport;
	ctx->pdu = input->data + at;
	ctx->pdu_len = len;
	ctx->remains = input->ended && at + len == input->len;
	session->parsed = true;
	counter_add(&engine->counters[PROTO_COUNTER_PDUS], 1);
	session->proto->parse(ctx, cursor_of(ctx->pdu, len));
	session->skip_len[input->to_server] = input->tcp ? ctx->skip_len : 0;
	session->raw[input->to_server] = input->tcp && ctx->raw;
	settle(engine);
	if (engine->meters != NULL)
		meter_add(&engine->meters[session->proto_idx], __builtin_ia32_rdtsc() - since);
}

/* @return bytes that the protocol took as they are */
static uint32_t
read_raw(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input, uint32_t at)
{
	struct proto_ctx *ctx = prepare(engine, session, input->ts_ns, input->to_server, input->tcp);
	uint32_t left = input->len - at, taken;

	ctx->pdu = input->data + at;
	ctx->pdu_len = left;
	taken = session->proto->raw(ctx, cursor_of(ctx->pdu, left));
	assert(taken == left || (taken < left && !ctx->raw));
	session->raw[input->to_server] = ctx->raw;
	settle(engine);
	return taken;
}

/* Of so many bytes, those that the protocol does not want to see. */
static uint32_t
pass_over(struct proto_session *session, bool to_server, uint32_t len)
{
	uint32_t passed = session->skip_len[to_server] < len ? session->skip_len[to_server] : len;

	if (session->skip_len[to_server] == PROTO_SKIP_ALL)
		return len;
	session->skip_len[to_server] -= passed;
	return passed;
}

static int
frame_at(const struct proto *proto, const struct proto_input *input, uint32_t at)
{
	struct cursor in = cursor_of(input->data + at, input->len - at);

	if (!input->tcp && proto->frame_datagram != NULL)
		return proto->frame_datagram(in, input->to_server);
	return proto->frame(in, input->to_server);
}

/*
 * The next place at or behind `from` where a PDU may begin. The first plausible header counts, whatever follows: what
 * comes after may not be here yet, and the answer must not depend on how the bytes were cut.
 */
static uint32_t
find_pdu(const struct proto *proto, const struct proto_input *input, uint32_t from)
{
	for (uint32_t at = from; at < input->len; at++) {
		int len;

		if (proto->pass != NULL)
			at += (uint32_t)proto->pass(cursor_of(input->data + at, input->len - at));
		if (at == input->len)
			break;
		len = frame_at(proto, input, at);
		if (len > 0 && (input->tcp || (uint32_t)len <= input->len - at))
			return at;
		if (len == 0 && input->tcp)
			return at;
	}
	return input->len;
}

static uint32_t
skip_garbage(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input, uint32_t from,
	uint32_t at)
{
	uint32_t next = find_pdu(session->proto, input, at);

	counter_add(&engine->counters[PROTO_COUNTER_GARBAGE_BYTES], next - from);
	session->garbage_len[input->to_server] += next - from;
	return next;
}

/* Where no PDU begins, or none that will have an end: whether the protocol takes the bytes as they are. */
static bool
take_stray(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input, uint32_t at)
{
	struct proto_ctx *ctx;

	if (session->proto->stray == NULL || !session->parsed || !input->tcp || session->garbage_len[input->to_server] > 0)
		return false;
	ctx = prepare(engine, session, input->ts_ns, input->to_server, input->tcp);
	session->raw[input->to_server] = session->proto->stray(ctx, cursor_of(input->data + at, input->len - at));
	settle(engine);
	return session->raw[input->to_server];
}

static int
frame_on(const struct proto *proto, const struct proto_input *input, uint32_t at, uint32_t seen_len)
{
	if (seen_len > 0 && input->tcp && proto->frame_on != NULL)
		return proto->frame_on(cursor_of(input->data + at, input->len - at), input->to_server, seen_len);
	return frame_at(proto, input, at);
}

/*
 * Bytes that were kept for another protocol, which they might have become, when this one was found in the other direction: it
 * begins behind them, as an answer does that was not asked for yet. Unless they are its own. @return bytes left behind
 */
static uint32_t
leave_waited(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	uint32_t len = input->missing > 0 ? 0 : session->seen_len[input->to_server];

	session->waited[input->to_server] = false;
	session->seen_len[input->to_server] = 0;
	if (len == 0 || len > input->len || frame_at(session->proto, input, 0) >= 0)
		return 0;
	counter_add(&engine->counters[PROTO_COUNTER_UNDETECTED_BYTES], len);
	return len;
}

/* Whole PDUs from the front of the data. @return bytes consumed */
static uint32_t
read_pdus(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	uint32_t at = session->waited[input->to_server] ? leave_waited(engine, session, input)
							: pass_over(session, input->to_server, input->len);
	uint32_t seen_len = input->missing > 0 || at > 0 ? 0 : session->seen_len[input->to_server];

	session->seen_len[input->to_server] = 0;
	while (at < input->len && !engine->ctx.over) {
		uint32_t left = input->len - at;
		int len;

		if (session->raw[input->to_server]) {
			at += read_raw(engine, session, input, at);
			continue;
		}
		len = frame_on(session->proto, input, at, seen_len);
		len = len == 0 && input->ended ? proto_remains_len(session->proto, input, at) : len;
		seen_len = 0;
		if (len > 0 && (uint32_t)len <= left) {
			parse_pdu(engine, session, input, at, (uint32_t)len);
			at += (uint32_t)len;
			at += pass_over(session, input->to_server, input->len - at);
			continue;
		}
		if ((len < 0 || input->ended) && take_stray(engine, session, input, at))
			continue;
		if (len >= 0 && input->tcp && left < PROTO_PDU_LEN_MAX) {
			session->seen_len[input->to_server] = left;
			return at;
		}
		/* No PDU here; or a datagram's cut one; or one longer than any may be. */
		at = skip_garbage(engine, session, input, at, len >= 0 ? at + 1 : at);
	}
	if (!input->tcp)
		report_garbage(engine, session, input->to_server);
	return at;
}

static void
lose(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	struct proto_ctx *ctx;

	counter_add(&engine->counters[PROTO_COUNTER_GAPS], 1);
	report_garbage(engine, session, input->to_server);
	if (session->proto->gap == NULL)
		return;
	ctx = prepare(engine, session, input->ts_ns, input->to_server, input->tcp);
	session->proto->gap(ctx, input->missing);
	session->raw[input->to_server] = ctx->raw;
	settle(engine);
}

/* @return bytes consumed, by one protocol */
static uint32_t
advance(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	uint32_t consumed = 0;
	struct proto_input rest;

	if (session->found == PROTO_GIVEN_UP)
		return input->len;
	if (session->found == PROTO_UNKNOWN && !proto_recognise(engine, session, input, &consumed))
		return session->found == PROTO_GIVEN_UP ? input->len : consumed;
	if (input->missing > pass_over(session, input->to_server, input->missing))
		lose(engine, session, input);
	if (consumed == 0)
		return read_pdus(engine, session, input);
	rest = proto_input_rest(input, consumed);
	return consumed + read_pdus(engine, session, &rest);
}

/* The protocol says that what follows is another one, once or more. @return bytes consumed, by all of them */
static uint32_t
start_over(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input, uint32_t consumed)
{
	struct proto_input rest = *input;

	rest.missing = 0;
	while (engine->ctx.over) {
		proto_session_end(engine, session, input->ts_ns);
		engine->ctx.over = false;
		rest.data = input->data + consumed;
		rest.len = input->len - consumed;
		consumed += advance(engine, session, &rest);
	}
	return consumed;
}

uint32_t
proto_session_data(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	uint32_t consumed;

	engine->ctx.over = false;
	consumed = advance(engine, session, input);
	return engine->ctx.over ? start_over(engine, session, input, consumed) : consumed;
}

/* The last summary, where end() did not bring it. */
static void
end_volume(struct proto_engine *engine, struct proto_session *session, uint64_t ts_ns)
{
	struct proto_ctx *ctx;

	if (session->volume == NULL)
		return;
	ctx = prepare(engine, session, ts_ns, true, true);
	ctx->ending = true;
	proto_volume_settle(ctx);
	proto_volume_free(ctx);
}

void
proto_session_end(struct proto_engine *engine, struct proto_session *session, uint64_t ts_ns)
{
	if (session->found == PROTO_FOUND) {
		report_garbage(engine, session, false);
		report_garbage(engine, session, true);
		if (session->parsed && session->proto->end != NULL) {
			struct proto_ctx *ctx = prepare(engine, session, ts_ns, true, true);

			ctx->ending = true;
			session->proto->end(ctx);
			settle(engine);
		}
		end_volume(engine, session, ts_ns);
		slab_free(engine->slab, session->state, session->proto->state_len);
	}
	memset(session, 0, sizeof(*session));
}
