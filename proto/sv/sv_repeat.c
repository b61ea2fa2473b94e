/*
 * The message that says nothing new: all but sample count and sample are the bytes of the one before. Nearly every
 * message of a merging unit is one, thousands a second, so it is known by comparing bytes, without being read.
 */
#include "proto/sv/sv.h"

#include "lib/base/clock.h"

static const uint64_t NS_PER_S = UINT64_C(1000000000);
static const uint64_t NS_PER_MS = 1000000;

uint32_t
sv_quality_of(const uint8_t *sample, size_t len)
{
	uint64_t all = 0, channel;

	for (; len >= SV_CHANNEL_LEN; len -= SV_CHANNEL_LEN, sample += SV_CHANNEL_LEN) {
		memcpy(&channel, sample, sizeof(channel));
		all |= channel;
	}
	return __builtin_bswap32((uint32_t)(all >> 32)); /* each channel's last four bytes, big-endian */
}

void
sv_repeat_note(struct sv_repeat *repeat, const uint8_t *message, const struct sv_asdu *asdu)
{
	struct sv_part *part = &repeat->parts[repeat->part_count];

	/* A time changes with each message; what is no pair of value and quality may become one. */
	if (repeat->part_count == SV_REPEAT_PARTS || (asdu->present & 1u << SV_ASDU_REFR_TM) != 0 || !asdu->pairs ||
		asdu->smp_cnt_len != SV_COUNT_LEN || asdu->smp_cnt_at + SV_COUNT_LEN > asdu->sample.pos) {
		repeat->refused = true;
		return;
	}
	part->count_off = (uint16_t)(asdu->smp_cnt_at - message);
	part->sample_off = (uint16_t)(asdu->sample.pos - message);
	part->sample_len = (uint16_t)cursor_left(&asdu->sample);
	part->quality = asdu->quality;
	repeat->part_count++;
}

void
sv_repeat_learn(struct sv_stream *stream, const struct sv_repeat *repeat, const uint8_t *message, size_t len)
{
	stream->repeat.len = 0;
	if (repeat->refused || repeat->part_count == 0 || len > SV_REPEAT_LEN_MAX)
		return;
	stream->repeat = *repeat;
	stream->repeat.len = (uint16_t)len;
	memcpy(stream->repeat_bytes, message, len);
}

/* All but counts and samples, and the qualities in these. */
static bool
is_same(const struct sv_stream *stream, const uint8_t *message)
{
	const struct sv_repeat *repeat = &stream->repeat;
	const uint8_t *kept = stream->repeat_bytes;
	uint32_t at = 0;

	for (unsigned int i = 0; i < repeat->part_count; i++) {
		const struct sv_part *part = &repeat->parts[i];
		uint32_t behind = part->count_off + SV_COUNT_LEN;

		if (memcmp(message + at, kept + at, part->count_off - at) != 0 ||
			memcmp(message + behind, kept + behind, part->sample_off - behind) != 0 ||
			sv_quality_of(message + part->sample_off, part->sample_len) != part->quality)
			return false;
		at = part->sample_off + part->sample_len;
	}
	return memcmp(message + at, kept + at, repeat->len - at) == 0;
}

/* Every count follows the one before; a wrap is for who learns the period. */
static bool
counts_follow(const struct sv_stream *stream, const uint8_t *message)
{
	uint32_t last = stream->smp_cnt;

	for (unsigned int i = 0; i < stream->repeat.part_count; i++) {
		struct cursor count = cursor_of(message + stream->repeat.parts[i].count_off, SV_COUNT_LEN);

		if (cursor_be16(&count) != ++last)
			return false;
	}
	return true;
}

static bool
is_due(const struct proto_ctx *ctx, const struct sv_stream *stream)
{
	const struct sv_config *config = ctx->config;

	return ctx->levels.cyclic == PROTO_LOG_ALL || ctx->ts_ns < stream->last_ns ||
		ctx->ts_ns - stream->last_ns > config->interruption_ms * NS_PER_MS ||
		clock_has_passed(ctx->ts_ns, stream->since_ns, ctx->levels.summary_interval_s * NS_PER_S);
}

bool
sv_repeat_take(struct proto_ctx *ctx, struct cursor pdu)
{
	const struct sv_state *state = ctx->state;
	struct sv_stream *stream = state->last_idx < state->stream_count ? state->streams[state->last_idx] : NULL;
	const uint8_t *message;

	if (stream == NULL || stream->repeat.len == 0 || is_due(ctx, stream))
		return false;
	message = cursor_take(&pdu, stream->repeat.len);
	if (message == NULL || !counts_follow(stream, message) || !is_same(stream, message))
		return false;
	stream->messages++;
	stream->samples += stream->repeat.part_count;
	stream->smp_cnt += stream->repeat.part_count;
	stream->last_ns = ctx->ts_ns;
	counter_add(&ctx->counters[SV_COUNT_SAMPLES], stream->repeat.part_count);
	return true;
}
