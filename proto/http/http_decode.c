/* Content codings of a body that is kept: gzip and deflate, by zlib in memory of the slab, given back at once. */
#include "lib/base/inflate.h"
#include "proto/http/http.h"

enum { BOMB_RATIO = 512 }; /* deflate reaches 1032; no page of a device comes near */

/* "deflate" is the zlib format (RFC 9110 8.4.1.2), but some send the bare one. */
static struct inflated
inflate_any(struct inflate_area *area, const struct http_half *half, struct buf *out)
{
	const uint8_t *in = half->kept + half->head_len;
	uint32_t in_len = half->kept_len - half->head_len;
	struct inflated done = inflate_once(area, INFLATE_ZLIB_OR_GZIP, in, in_len, (uint8_t *)out->data, (uint32_t)out->cap);

	if (done.failed && done.len == 0)
		done = inflate_once(area, INFLATE_BARE, in, in_len, (uint8_t *)out->data, (uint32_t)out->cap);
	return done;
}

void
http_half_decode(struct proto_ctx *ctx, struct http_half *half)
{
	const struct http_config *config = ctx->config;
	struct buf out = { .data = (char *)ctx->record->base, .cap = (size_t)config->body_limit[half->head.is_request] };
	struct inflate_area *area;
	struct inflated done;

	if (half->head.coding == HTTP_CODING_NONE || half->kept == NULL)
		return;
	area = half->head.coding == HTTP_CODING_ZLIB ? slab_alloc(ctx->slab, sizeof(*area)) : NULL;
	if (area == NULL) {
		counter_add(&ctx->counters[HTTP_COUNT_NOT_DECODED], 1);
		return;
	}
	done = inflate_any(area, half, &out);
	slab_free(ctx->slab, area, sizeof(*area));
	if (done.failed)
		proto_event(ctx, HTTP_EVENT_DECOMPRESSION_FAILED);
	if (done.len == 0)
		return;
	if (done.len == out.cap && done.len / BOMB_RATIO > done.read_len)
		proto_event(ctx, HTTP_EVENT_COMPRESSION_BOMB);
	if (http_half_replace(ctx, half, (const uint8_t *)out.data, done.len))
		counter_add(&ctx->counters[HTTP_COUNT_DECODED], 1);
}
