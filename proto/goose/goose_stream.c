/* GOOSE: the publications that are followed, and the summary of one. */
#include "proto/goose/goose.h"

#include "lib/base/clock.h"

static const uint64_t NS_PER_S = UINT64_C(1000000000);
static const uint64_t NS_PER_MS = 1000000;

struct goose_record *
goose_record_begin(struct proto_ctx *ctx, const struct publication_source *source, enum goose_reason reason)
{
	struct goose_record *record = record_begin(ctx->record, &goose_table);

	record->reason = (uint8_t)reason;
	record->source = *source;
	if (source->linked)
		record_present(&record->head, GOOSE_HAS_LINK);
	if (source->tagged)
		record_present(&record->head, GOOSE_HAS_VLAN);
	return record;
}

void
goose_summary_put(struct proto_ctx *ctx, struct goose_record *record, struct goose_stream *stream)
{
	record->messages = stream->messages;
	record->states = stream->states;
	record->lost = stream->lost;
	record->anomalies = stream->anomalies;
	record->duration_ms = ctx->ts_ns > stream->since_ns ? (ctx->ts_ns - stream->since_ns) / NS_PER_MS : 0;
	record->gap_min_us = stream->gap_min_us;
	record->gap_max_us = stream->gap_max_us;
	record_present(&record->head, GOOSE_HAS_SUMMARY);
	if (stream->gap_max_us > 0)
		record_present(&record->head, GOOSE_HAS_GAPS);
	stream->messages = stream->states = stream->lost = stream->anomalies = 0;
	stream->gap_min_us = stream->gap_max_us = 0;
	stream->told = 0;
	stream->since_ns = ctx->ts_ns;
}

/* What a publication said, from memory: its last summary. */
static void
tell_end(struct proto_ctx *ctx, struct goose_stream *stream)
{
	struct goose_record *record = goose_record_begin(ctx, &stream->source, GOOSE_END);
	struct record_ref *refs[] = { &record->ref, NULL, &record->dat_set, &record->go_id };

	for (unsigned int i = 0; i < 4; i++)
		if (refs[i] != NULL && stream->text_len[i] > 0) {
			record_put_bytes(ctx->record, refs[i], goose_stream_text(stream, i), stream->text_len[i]);
			record_present(&record->head, (uint8_t)i);
		}
	record->ttl_ms = stream->ttl_ms;
	record->st_num = stream->st_num;
	record->sq_num = stream->sq_num;
	record->conf_rev = stream->conf_rev;
	record->head.present |= 1u << GOOSE_HAS_TTL | 1u << GOOSE_HAS_ST_NUM | 1u << GOOSE_HAS_SQ_NUM | 1u << GOOSE_HAS_CONF_REV;
	goose_summary_put(ctx, record, stream);
	proto_deliver(ctx, PROTO_EMIT | PROTO_CYCLIC | PROTO_SUMMARY, 0);
}

static void
end_stream(struct proto_ctx *ctx, struct goose_stream *stream)
{
	tell_end(ctx, stream);
	goose_known_drop(ctx, stream);
	slab_free(ctx->slab, stream, sizeof(*stream));
}

/* The one that was silent for the longest time. */
static uint8_t
oldest_stream(const struct goose_state *state)
{
	uint8_t oldest = 0;

	for (uint8_t i = 1; i < state->stream_count; i++)
		if (state->streams[i]->last_ns < state->streams[oldest]->last_ns)
			oldest = i;
	return oldest;
}

void
goose_budget_renew(struct proto_ctx *ctx)
{
	struct goose_state *state = ctx->state;

	if (!clock_has_passed(ctx->ts_ns, state->broken_ns, ctx->levels.summary_interval_s * NS_PER_S))
		return;
	state->broken_ns = ctx->ts_ns;
	state->broken = 0;
}

static bool
stream_is(const struct goose_stream *stream, const struct cursor *ref)
{
	size_t len = cursor_left(ref);

	return stream->text_len[GOOSE_HAS_REF] == len && memcmp(goose_stream_text(stream, GOOSE_HAS_REF), ref->pos, len) == 0;
}

struct goose_stream *
goose_stream_find(struct goose_state *state, const struct cursor *ref)
{
	if (state->last != NULL && stream_is(state->last, ref))
		return state->last;
	for (uint8_t i = 0; i < state->stream_count; i++)
		if (stream_is(state->streams[i], ref))
			return state->last = state->streams[i];
	return NULL;
}

struct goose_stream *
goose_stream_add(struct proto_ctx *ctx, const struct publication *publication, const struct cursor *ref)
{
	struct goose_state *state = ctx->state;
	struct goose_stream *stream;

	goose_budget_renew(ctx);
	if (state->stream_count == GOOSE_STREAMS_MAX && state->broken >= GOOSE_ANOMALIES_MAX)
		return NULL; /* made up by somebody: not one more record for each */
	if (state->stream_count == GOOSE_STREAMS_MAX) {
		uint64_t events = ctx->events;
		uint8_t oldest = oldest_stream(state);

		ctx->events = 0;
		end_stream(ctx, state->streams[oldest]);
		ctx->events = events;
		state->streams[oldest] = state->streams[--state->stream_count];
		state->last = NULL;
		if (!state->overflowed)
			proto_event(ctx, GOOSE_EVENT_TOO_MANY_STREAMS);
		state->overflowed = true;
		state->broken++;
	}
	stream = slab_alloc(ctx->slab, sizeof(*stream));
	if (stream == NULL) {
		counter_add(&ctx->counters[GOOSE_COUNT_SHED], 1);
		return NULL;
	}
	memset(stream, 0, offsetof(struct goose_stream, form.bytes));
	publication_source_fill(&stream->source, ctx->link);
	stream->appid = publication->appid;
	stream->since_ns = ctx->ts_ns;
	goose_stream_put_text(stream, GOOSE_HAS_REF, ref);
	state->last = stream;
	state->streams[state->stream_count++] = stream;
	counter_add(&ctx->counters[GOOSE_COUNT_STREAMS], 1);
	return stream;
}

void
goose_streams_end(struct proto_ctx *ctx)
{
	struct goose_state *state = ctx->state;

	for (uint8_t i = 0; i < state->stream_count; i++)
		end_stream(ctx, state->streams[i]);
	state->stream_count = 0;
	state->last = NULL;
}
