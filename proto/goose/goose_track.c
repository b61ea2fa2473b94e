/*
 * stNum and sqNum of one publication, IEC 61850-8-1 18.1.2.5: another state is stNum + 1 with sqNum 0, a repetition
 * the same stNum with sqNum + 1; a publisher that starts says stNum 1, sqNum 1. A message that is older than what was
 * said before does not become the current one until that one's time to live is over, as subscribers do it
 * (IEC 62351-6).
 */
#include "lib/base/hash.h"
#include "proto/goose/goose.h"

static const uint64_t NS_PER_MS = 1000000;

enum verdict {
	VERDICT_REPETITION, /* of the same state */
	VERDICT_STATE,      /* another state */
	VERDICT_STALE,      /* older than what was said */
};

static void
lose(struct proto_ctx *ctx, struct goose_stream *stream, uint32_t count)
{
	if (count == 0)
		return;
	stream->lost += count;
	counter_add(&ctx->counters[GOOSE_COUNT_LOST], count);
	proto_event(ctx, GOOSE_EVENT_SQ_NUM_GAP);
}

static enum verdict
restarted(struct proto_ctx *ctx)
{
	proto_event(ctx, GOOSE_EVENT_RESTARTED);
	return VERDICT_STATE;
}

/* The same stNum. sqNum runs from 4294967295 to 1. */
static enum verdict
judge_repetition(struct proto_ctx *ctx, struct goose_stream *stream, const struct goose_apdu *apdu, bool over)
{
	uint32_t last = stream->sq_num;

	if (apdu->sq_num == last) {
		proto_event(ctx, GOOSE_EVENT_SQ_NUM_REPEATED);
		return VERDICT_STALE;
	}
	if (apdu->sq_num > last) {
		lose(ctx, stream, apdu->sq_num - last - 1);
		return VERDICT_REPETITION;
	}
	if (last == UINT32_MAX && apdu->sq_num <= 1)
		return VERDICT_REPETITION;
	if (apdu->st_num == 1 && apdu->sq_num <= 1)
		return restarted(ctx);
	proto_event(ctx, GOOSE_EVENT_SQ_NUM_OLD);
	return over ? VERDICT_REPETITION : VERDICT_STALE;
}

static enum verdict
judge(struct proto_ctx *ctx, struct goose_stream *stream, const struct goose_apdu *apdu, bool over)
{
	uint32_t last = stream->st_num;

	if (apdu->st_num == last)
		return judge_repetition(ctx, stream, apdu, over);
	if (apdu->st_num == last + 1 || (last == UINT32_MAX && apdu->st_num == 1)) {
		lose(ctx, stream, apdu->sq_num);
		return VERDICT_STATE;
	}
	if (apdu->st_num > last) {
		proto_event(ctx, GOOSE_EVENT_ST_NUM_JUMP);
		return VERDICT_STATE;
	}
	if (apdu->st_num == 1 && apdu->sq_num <= 1)
		return restarted(ctx);
	proto_event(ctx, GOOSE_EVENT_ST_NUM_OLD);
	return over ? VERDICT_STATE : VERDICT_STALE;
}

/* What a message says of itself, by comparison with the one before; the first one is compared with a silent one. */
static void
compare_flags(struct proto_ctx *ctx, const struct goose_stream *stream, const struct goose_apdu *apdu)
{
	bool clock_bad = (apdu->t_quality & (TIME_CLOCK_FAILURE | TIME_NOT_SYNCHRONIZED)) != 0;

	if (apdu->simulation && !stream->simulated)
		proto_event(ctx, GOOSE_EVENT_SIMULATED);
	if (apdu->nds_com && !stream->nds_com)
		proto_event(ctx, GOOSE_EVENT_NEEDS_COMMISSIONING);
	if (clock_bad && !stream->clock_bad)
		proto_event(ctx, GOOSE_EVENT_CLOCK);
	if (stream->secured && !apdu->secured)
		proto_event(ctx, GOOSE_EVENT_SECURITY_LOST);
}

static bool
text_differs(const struct goose_stream *stream, const struct goose_apdu *apdu, unsigned int which)
{
	size_t len = cursor_left(&apdu->texts[which]);

	return len != stream->text_len[which] || (len > 0 && memcmp(apdu->texts[which].pos, goose_stream_text(stream, which), len) != 0);
}

static bool
data_differs(const struct goose_stream *stream, const struct goose_apdu *apdu)
{
	size_t len = cursor_left(&apdu->all_data);

	if (len != stream->data_len)
		return true;
	if (len <= GOOSE_DATA_MAX)
		return len > 0 && memcmp(apdu->all_data.pos, stream->data, len) != 0;
	return crc32c(0, apdu->all_data.pos, len) != stream->data_crc;
}

static void
compare_content(struct proto_ctx *ctx, const struct goose_stream *stream, const struct goose_apdu *apdu, enum verdict verdict)
{
	bool revised = apdu->conf_rev != stream->conf_rev;

	if (revised)
		proto_event(ctx, GOOSE_EVENT_CONF_REV_CHANGED);
	if (text_differs(stream, apdu, GOOSE_HAS_DAT_SET))
		proto_event(ctx, GOOSE_EVENT_DAT_SET_CHANGED);
	if (verdict == VERDICT_REPETITION && !revised && data_differs(stream, apdu))
		proto_event(ctx, GOOSE_EVENT_DATA_WITHOUT_STATE);
	if (verdict == VERDICT_STATE && apdu->st_num > stream->st_num && apdu->t_ns < stream->t_ns)
		proto_event(ctx, GOOSE_EVENT_TIME_BACKWARDS);
}

/* The message is the current one now. */
static void
take_over(struct proto_ctx *ctx, struct goose_stream *stream, const struct goose_apdu *apdu, bool content)
{
	stream->last_ns = ctx->ts_ns;
	stream->st_num = apdu->st_num;
	stream->sq_num = apdu->sq_num;
	stream->ttl_ms = apdu->ttl_ms;
	stream->simulated = apdu->simulation;
	stream->nds_com = apdu->nds_com;
	stream->clock_bad = (apdu->t_quality & (TIME_CLOCK_FAILURE | TIME_NOT_SYNCHRONIZED)) != 0;
	stream->secured = apdu->secured;
	if (!content)
		return;
	stream->t_ns = apdu->t_ns;
	stream->conf_rev = apdu->conf_rev;
	goose_stream_put_text(stream, GOOSE_HAS_DAT_SET, &apdu->texts[GOOSE_HAS_DAT_SET]);
	goose_stream_put_text(stream, GOOSE_HAS_GO_ID, &apdu->texts[GOOSE_HAS_GO_ID]);
	stream->data_len = (uint32_t)cursor_left(&apdu->all_data);
	stream->known_is_current = false;
	if (stream->data_len > GOOSE_DATA_MAX)
		stream->data_crc = crc32c(0, apdu->all_data.pos, stream->data_len);
	else if (stream->data_len > 0)
		memcpy(stream->data, apdu->all_data.pos, stream->data_len);
}

static void
measure_gap(struct goose_stream *stream, uint64_t gap_ns)
{
	uint64_t us = gap_ns / 1000;
	uint32_t gap_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;

	if (stream->gap_max_us == 0 || gap_us < stream->gap_min_us)
		stream->gap_min_us = gap_us;
	if (gap_us > stream->gap_max_us)
		stream->gap_max_us = gap_us;
}

enum goose_reason
goose_track(struct proto_ctx *ctx, struct goose_stream *stream, const struct goose_apdu *apdu)
{
	uint64_t gap_ns = ctx->ts_ns > stream->last_ns ? ctx->ts_ns - stream->last_ns : 0;
	bool over = stream->ttl_ms > 0 && gap_ns > stream->ttl_ms * NS_PER_MS;
	enum verdict verdict;

	stream->messages++;
	compare_flags(ctx, stream, apdu);
	if (stream->last_ns == 0) {
		take_over(ctx, stream, apdu, true);
		return GOOSE_FIRST;
	}
	measure_gap(stream, gap_ns);
	if (over)
		proto_event(ctx, GOOSE_EVENT_TTL_EXPIRED);
	verdict = judge(ctx, stream, apdu, over);
	compare_content(ctx, stream, apdu, verdict);
	if (verdict == VERDICT_STALE)
		return GOOSE_ANOMALY;
	take_over(ctx, stream, apdu, verdict == VERDICT_STATE || ctx->events != 0);
	if (verdict == VERDICT_REPETITION)
		return ctx->events != 0 ? GOOSE_ANOMALY : GOOSE_NOTHING;
	stream->states++;
	counter_add(&ctx->counters[GOOSE_COUNT_STATES], 1);
	return GOOSE_STATE_CHANGE;
}
