/* Content codings of a body that is kept: gzip and deflate, by zlib in memory of the slab, given back at once. */
#include <assert.h>
#include <zlib.h>

#include "proto/http/http.h"

enum {
	ARENA_LEN = 64 * 1024, /* zlib: about 7 KiB of state and a window of 32 KiB */
	ARENA_ALIGN = 16,
	BOMB_RATIO = 512,      /* deflate reaches 1032; no page of a device comes near */
};

struct arena {
	uint32_t used;
	uint32_t reserved[3];
	_Alignas(ARENA_ALIGN) uint8_t bytes[ARENA_LEN - ARENA_ALIGN];
};

static_assert(sizeof(struct arena) == ARENA_LEN, "a block of the slab");

static void *
arena_take(void *opaque, unsigned int count, unsigned int size)
{
	struct arena *arena = opaque;
	uint64_t len = ((uint64_t)count * size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;

	if (len > sizeof(arena->bytes) - arena->used)
		return NULL;
	arena->used += (uint32_t)len;
	return arena->bytes + arena->used - len;
}

static void
arena_give(void *opaque, void *block)
{
	(void)opaque;
	(void)block;
}

struct decoded {
	uint32_t read_len;
	uint32_t len;
	bool failed;
};

/* As much as fits. @param window_bits  as of inflateInit2() */
static struct decoded
inflate_once(struct arena *arena, int window_bits, const struct http_half *half, struct buf *out)
{
	z_stream stream = { .zalloc = arena_take, .zfree = arena_give, .opaque = arena };
	struct decoded done = { .failed = true };
	int rc;

	arena->used = 0;
	if (inflateInit2(&stream, window_bits) != Z_OK)
		return done;
	stream.next_in = half->kept + half->head_len;
	stream.avail_in = half->kept_len - half->head_len;
	stream.next_out = (uint8_t *)out->data;
	stream.avail_out = (unsigned int)out->cap;
	rc = inflate(&stream, Z_SYNC_FLUSH);
	done.failed = rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR;
	done.len = (uint32_t)stream.total_out;
	done.read_len = (uint32_t)stream.total_in;
	(void)inflateEnd(&stream);
	return done;
}

/* "deflate" is the zlib format (RFC 9110 8.4.1.2), but some send the bare one. */
static struct decoded
inflate_any(struct arena *arena, const struct http_half *half, struct buf *out)
{
	struct decoded done = inflate_once(arena, 32 + MAX_WBITS, half, out);

	if (done.failed && done.len == 0)
		done = inflate_once(arena, -MAX_WBITS, half, out);
	return done;
}

void
http_half_decode(struct proto_ctx *ctx, struct http_half *half)
{
	const struct http_config *config = ctx->config;
	struct buf out = { .data = (char *)ctx->record->base, .cap = (size_t)config->body_limit[half->head.is_request] };
	struct arena *arena;
	struct decoded done;

	if (half->head.coding == HTTP_CODING_NONE || half->kept == NULL)
		return;
	arena = half->head.coding == HTTP_CODING_ZLIB ? slab_alloc(ctx->slab, sizeof(*arena)) : NULL;
	if (arena == NULL) {
		counter_add(&ctx->counters[HTTP_COUNT_NOT_DECODED], 1);
		return;
	}
	done = inflate_any(arena, half, &out);
	slab_free(ctx->slab, arena, sizeof(*arena));
	if (done.failed)
		proto_event(ctx, HTTP_EVENT_DECOMPRESSION_FAILED);
	if (done.len == 0)
		return;
	if (done.len == out.cap && done.len / BOMB_RATIO > done.read_len)
		proto_event(ctx, HTTP_EVENT_COMPRESSION_BOMB);
	if (http_half_replace(ctx, half, (const uint8_t *)out.data, done.len))
		counter_add(&ctx->counters[HTTP_COUNT_DECODED], 1);
}
