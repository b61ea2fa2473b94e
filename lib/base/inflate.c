#include "lib/base/inflate.h"

#include <assert.h>
#include <stddef.h>

#define ZLIB_CONST
#include <zlib.h>

static_assert(sizeof(struct inflate_area) == INFLATE_AREA_LEN, "a block of the slab");

static void *
area_take(void *opaque, unsigned int count, unsigned int size)
{
	struct inflate_area *area = opaque;
	uint64_t len = ((uint64_t)count * size + INFLATE_ALIGN - 1) / INFLATE_ALIGN * INFLATE_ALIGN;

	if (len > sizeof(area->bytes) - area->used)
		return NULL;
	area->used += (uint32_t)len;
	return area->bytes + area->used - len;
}

static void
area_give(void *opaque, void *block)
{
	(void)opaque;
	(void)block;
}

struct inflated
inflate_once(struct inflate_area *area, enum inflate_format format, const uint8_t *in, uint32_t in_len, uint8_t *out, uint32_t out_cap)
{
	static const int window_bits[] = { [INFLATE_BARE] = -MAX_WBITS, [INFLATE_ZLIB] = MAX_WBITS, [INFLATE_GZIP] = 16 + MAX_WBITS,
		[INFLATE_ZLIB_OR_GZIP] = 32 + MAX_WBITS };
	z_stream stream = { .zalloc = area_take, .zfree = area_give, .opaque = area };
	struct inflated done = { .failed = true };
	int rc;

	area->used = 0;
	if (inflateInit2(&stream, window_bits[format]) != Z_OK)
		return done;
	stream.next_in = in;
	stream.avail_in = in_len;
	stream.next_out = out;
	stream.avail_out = out_cap;
	rc = inflate(&stream, Z_SYNC_FLUSH);
	done.failed = rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR;
	done.ended = rc == Z_STREAM_END;
	done.len = (uint32_t)stream.total_out;
	done.read_len = (uint32_t)stream.total_in;
	(void)inflateEnd(&stream);
	return done;
}
