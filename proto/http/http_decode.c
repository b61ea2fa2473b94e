/* Content codings of a body that is kept, by zlib and LZMA in memory of the slab that is given back at once. */
#include "lib/base/inflate.h"
#include "lib/base/lzma.h"
#include "proto/http/http.h"

enum { BOMB_RATIO = 512 }; /* deflate reaches 1032; no page of a device comes near */

enum {
	GZIP_TRAILER_LEN = 8,
	BARE_LEN_MIN = 1024, /* so many bytes of something else are not unpacked before it shows */
};

enum { GZIP_EXTRA = 4, GZIP_NAME = 8, GZIP_COMMENT = 16, GZIP_CHECK = 2 };

static void
skip_text(struct cursor *in)
{
	while (!in->short_read && cursor_u8(in) != '\0')
		;
}

/* RFC 1952 2.3, as browsers read it: a wrong check sum of the header and reserved flags do not matter. */
static bool
skip_gzip_header(struct cursor *in)
{
	uint32_t magic = cursor_be24(in);
	uint8_t flags = cursor_u8(in);

	cursor_skip(in, 6);
	if (flags & GZIP_EXTRA)
		cursor_skip(in, cursor_le16(in));
	if (flags & GZIP_NAME)
		skip_text(in);
	if (flags & GZIP_COMMENT)
		skip_text(in);
	if (flags & GZIP_CHECK)
		cursor_skip(in, 2);
	return !in->short_read && magic == 0x1f8b08;
}

static struct inflated
inflate_as(struct inflate_area *area, enum inflate_format format, struct cursor in, struct buf *out)
{
	uint32_t len = (uint32_t)cursor_left(&in);

	return inflate_once(area, format, cursor_take(&in, len), len, (uint8_t *)out->data, (uint32_t)out->cap);
}

/* Text that is no deflate at all may look like some for a while: then it fails, or ends early. */
static struct inflated
inflate_bare(struct inflate_area *area, struct cursor in, struct buf *out)
{
	struct inflated done = inflate_as(area, INFLATE_BARE, in, out);
	bool has_rest = done.len < out->cap && cursor_left(&in) > done.read_len + GZIP_TRAILER_LEN;

	if ((done.failed || has_rest) && done.read_len < BARE_LEN_MIN) {
		done.failed = true;
		done.len = 0;
	}
	return done;
}

/*
 * Not what the field says counts but what is there: gzip, "deflate" in the zlib format (RFC 9110 8.4.1.2), or the bare one
 * that some send.
 */
static struct inflated
inflate_any(struct inflate_area *area, struct cursor in, struct buf *out)
{
	struct cursor packed = in;
	struct inflated done;

	if (skip_gzip_header(&packed))
		return inflate_as(area, INFLATE_BARE, packed, out);
	done = inflate_as(area, INFLATE_ZLIB, in, out);
	return done.failed && done.len == 0 ? inflate_bare(area, in, out) : done;
}

enum taken { TAKEN_NOT, TAKEN_NOTHING, TAKEN_OFF };

/* Takes one coding off. TAKEN_NOT: it is none that is known, or there is no memory; TAKEN_NOTHING: the body is not of it. */
static enum taken
take_off(struct proto_ctx *ctx, struct http_half *half, uint8_t coding)
{
	const struct http_config *config = ctx->config;
	struct buf out = { .data = (char *)ctx->record->base, .cap = (size_t)config->body_limit[half->head.is_request] };
	struct cursor in = cursor_of(half->kept + half->head_len, half->kept_len - half->head_len);
	struct inflate_area *area = coding == HTTP_CODING_OTHER ? NULL : slab_alloc(ctx->slab, sizeof(*area));
	struct inflated done;

	if (area == NULL)
		return TAKEN_NOT;
	if (coding == HTTP_CODING_LZMA)
		done = lzma_once(area->bytes, sizeof(area->bytes), in, (uint8_t *)out.data, (uint32_t)out.cap);
	else
		done = inflate_any(area, in, &out);
	slab_free(ctx->slab, area, sizeof(*area));
	if (done.failed)
		proto_event(ctx, HTTP_EVENT_DECOMPRESSION_FAILED);
	if (done.len == 0)
		return TAKEN_NOTHING;
	if (done.len == out.cap && done.len / BOMB_RATIO > done.read_len)
		proto_event(ctx, HTTP_EVENT_COMPRESSION_BOMB);
	return http_half_replace(ctx, half, (const uint8_t *)out.data, done.len) ? TAKEN_OFF : TAKEN_NOT;
}

/* The one put on last is taken off first. What is not coded as its fields say stays as it is. */
void
http_half_decode(struct proto_ctx *ctx, struct http_half *half)
{
	enum taken taken = TAKEN_OFF;
	bool decoded = false;

	if (half->head.coding_count == 0 || half->kept == NULL)
		return;
	for (unsigned int left = half->head.coding_count; left > 0 && taken != TAKEN_NOT; left--) {
		taken = take_off(ctx, half, half->head.codings[left - 1]);
		decoded = decoded || taken == TAKEN_OFF;
	}
	if (taken == TAKEN_NOT || decoded)
		counter_add(&ctx->counters[taken == TAKEN_NOT ? HTTP_COUNT_NOT_DECODED : HTTP_COUNT_DECODED], 1);
}
