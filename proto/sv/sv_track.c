/*
 * smpCnt of one publication, IEC 61850-9-2 table 15: it grows by one with each sample and begins again from 0 with the
 * second that the clock marks (9-2LE), or where it wraps. How many samples a period has is learned.
 */
#include "proto/sv/sv.h"

static const uint64_t NS_PER_MS = 1000000;

/* Samples a second of 9-2LE and IEC 61869-9: the period to believe in before one was seen whole. */
static const uint32_t usual_periods[] = { 4000, 4800, 5760, 12800, 14400, 15360, 96000, 65536 };

static uint32_t
period_behind(const struct sv_stream *stream)
{
	if (stream->period > stream->smp_cnt)
		return stream->period;
	for (size_t i = 0; i < sizeof(usual_periods) / sizeof(usual_periods[0]); i++)
		if (usual_periods[i] > stream->smp_cnt)
			return usual_periods[i];
	return UINT32_MAX;
}

static void
lose(struct proto_ctx *ctx, struct sv_stream *stream, uint32_t count)
{
	stream->lost += count;
	counter_add(&ctx->counters[SV_COUNT_LOST], count);
	proto_event(ctx, SV_EVENT_SMP_CNT_GAP);
}

/* Lower than before: the period ended in between, or it is an old sample. */
static void
follow_wrap(struct proto_ctx *ctx, struct sv_stream *stream, uint32_t smp_cnt)
{
	uint32_t period = period_behind(stream);
	uint32_t missing = period - stream->smp_cnt - 1 + smp_cnt;

	if (smp_cnt == 0 && (stream->period == 0 || stream->smp_cnt + 1 == stream->period))
		stream->period = stream->smp_cnt + 1;
	else if (missing <= period / 2)
		lose(ctx, stream, missing);
	else
		proto_event(ctx, smp_cnt == 0 ? SV_EVENT_SMP_CNT_RESET : SV_EVENT_SMP_CNT_OLD);
}

static void
follow_count(struct proto_ctx *ctx, struct sv_stream *stream, uint32_t smp_cnt)
{
	if (smp_cnt == stream->smp_cnt) {
		stream->repeated++;
		proto_event(ctx, SV_EVENT_SMP_CNT_REPEATED);
	} else if (smp_cnt < stream->smp_cnt) {
		follow_wrap(ctx, stream, smp_cnt);
	} else if (smp_cnt != stream->smp_cnt + 1) {
		lose(ctx, stream, smp_cnt - stream->smp_cnt - 1);
	}
	stream->smp_cnt = smp_cnt;
}

/* @return whether something that lasts is another than before */
static bool
follow_condition(struct proto_ctx *ctx, struct sv_stream *stream, const struct sv_asdu *asdu, bool simulated)
{
	bool bad = asdu->pairs && (asdu->quality & SV_VALIDITY_MASK) != 0;
	bool test = asdu->pairs && (asdu->quality & SV_QUALITY_TEST) != 0;
	bool changed = bad != stream->bad_quality || test != stream->test || simulated != stream->simulated;

	if (bad && !stream->bad_quality)
		proto_event(ctx, SV_EVENT_QUALITY_BAD);
	if ((simulated && !stream->simulated) || (test && !stream->test))
		proto_event(ctx, SV_EVENT_SIMULATED);
	stream->bad_quality = bad;
	stream->test = test;
	stream->simulated = simulated;
	return changed;
}

static bool
follow_configuration(struct proto_ctx *ctx, struct sv_stream *stream, const struct sv_asdu *asdu)
{
	uint16_t sample_len = (uint16_t)cursor_left(&asdu->sample); /* a frame is no longer */
	bool changed = asdu->conf_rev != stream->conf_rev || asdu->smp_synch != stream->smp_synch ||
		sample_len != stream->sample_len;

	if (stream->last_ns != 0 && changed) {
		if (asdu->conf_rev != stream->conf_rev)
			proto_event(ctx, SV_EVENT_CONF_REV_CHANGED);
		if (sample_len != stream->sample_len)
			proto_event(ctx, SV_EVENT_SAMPLE_CHANGED);
		if (asdu->smp_synch == 0 && stream->smp_synch != 0)
			proto_event(ctx, SV_EVENT_SYNCH_LOST);
	}
	stream->conf_rev = asdu->conf_rev;
	stream->smp_synch = asdu->smp_synch;
	stream->sample_len = sample_len;
	return changed;
}

enum sv_reason
sv_track(struct proto_ctx *ctx, struct sv_stream *stream, const struct sv_asdu *asdu, bool simulated)
{
	const struct sv_config *config = ctx->config;
	uint64_t gap_ns = ctx->ts_ns > stream->last_ns ? ctx->ts_ns - stream->last_ns : 0;
	bool first = stream->last_ns == 0, changed;

	stream->samples++;
	if (first)
		stream->smp_cnt = asdu->smp_cnt;
	else if (gap_ns > config->interruption_ms * NS_PER_MS)
		proto_event(ctx, SV_EVENT_INTERRUPTED);
	if (!first)
		follow_count(ctx, stream, asdu->smp_cnt);
	changed = follow_condition(ctx, stream, asdu, simulated);
	changed = follow_configuration(ctx, stream, asdu) || changed;
	stream->last_ns = ctx->ts_ns;
	if (first)
		return SV_FIRST;
	return changed ? SV_STATE_CHANGE : SV_NOTHING;
}
