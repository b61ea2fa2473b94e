/* The libraries' streams, behind one table. */
#include "lib/capture/unpack.h"

#include <lz4frame.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
	GZIP_WINDOW = 15 + 16, /* zlib: the largest window, with gzip's head and tail */
	ZSTD_WINDOW_LOG = 27,
};

_Static_assert(UNPACK_WINDOW_MAX == 1 << ZSTD_WINDOW_LOG, "zstd's limit is the one told");

static void
moved(struct unpack_io *io, size_t taken, size_t made)
{
	io->in += taken;
	io->in_len -= taken;
	io->out += made;
	io->out_len -= made;
}

/* ---- gzip ---- */

struct gzip {
	z_stream stream;
	bool between; /* a member has ended, and nothing has come behind it */
};

static void *
gzip_open(void)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (gzip != NULL && inflateInit2(&gzip->stream, GZIP_WINDOW) != Z_OK) {
		free(gzip);
		return NULL;
	}
	return gzip;
}

static void
gzip_close(void *state)
{
	struct gzip *gzip = state;

	(void)inflateEnd(&gzip->stream);
	free(gzip);
}

static enum unpack_result
gzip_step(void *state, struct unpack_io *io)
{
	struct gzip *gzip = state;
	z_stream *stream = &gzip->stream;
	int rc;

	if (gzip->between && io->in_len == 0)
		return UNPACK_COMPLETE;
	if (gzip->between && io->in[0] != 0x1f)
		return UNPACK_OVER; /* what tapes and other copiers fill up with */
	gzip->between = false;
	stream->next_in = io->in;
	stream->avail_in = (uInt)io->in_len;
	stream->next_out = io->out;
	stream->avail_out = (uInt)io->out_len;
	rc = inflate(stream, Z_NO_FLUSH);
	moved(io, io->in_len - stream->avail_in, io->out_len - stream->avail_out);
	if (rc == Z_STREAM_END) {
		gzip->between = true;
		return inflateReset(stream) == Z_OK ? UNPACK_COMPLETE : UNPACK_DAMAGED;
	}
	if (rc == Z_MEM_ERROR)
		return UNPACK_NO_MEMORY;
	return rc == Z_OK || rc == Z_BUF_ERROR ? UNPACK_MORE : UNPACK_DAMAGED;
}

/* ---- zstd ---- */

static void *
zstd_open(void)
{
	ZSTD_DCtx *ctx = ZSTD_createDCtx();

	if (ctx != NULL)
		(void)ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	return ctx;
}

static void
zstd_close(void *state)
{
	(void)ZSTD_freeDCtx(state);
}

static enum unpack_result
zstd_step(void *state, struct unpack_io *io)
{
	ZSTD_inBuffer in = { io->in, io->in_len, 0 };
	ZSTD_outBuffer out = { io->out, io->out_len, 0 };
	size_t rc = ZSTD_decompressStream(state, &out, &in);

	moved(io, in.pos, out.pos);
	if (!ZSTD_isError(rc))
		return rc == 0 ? UNPACK_COMPLETE : UNPACK_MORE;
	switch (ZSTD_getErrorCode(rc)) {
	case ZSTD_error_memory_allocation:
		return UNPACK_NO_MEMORY;
	case ZSTD_error_frameParameter_windowTooLarge:
		return UNPACK_TOO_LARGE;
	default:
		return UNPACK_DAMAGED;
	}
}

/* ---- xz ---- */

static void *
xz_open(void)
{
	lzma_stream *stream = calloc(1, sizeof(*stream));

	if (stream != NULL && lzma_stream_decoder(stream, UNPACK_WINDOW_MAX, LZMA_CONCATENATED) != LZMA_OK) {
		free(stream);
		return NULL;
	}
	return stream;
}

static void
xz_close(void *state)
{
	lzma_end(state);
	free(state);
}

/* The library itself knows what may stand between pieces, and where the last one ends once it is told that nothing follows. */
static enum unpack_result
xz_step(void *state, struct unpack_io *io)
{
	lzma_stream *stream = state;
	lzma_ret rc;

	stream->next_in = io->in;
	stream->avail_in = io->in_len;
	stream->next_out = io->out;
	stream->avail_out = io->out_len;
	rc = lzma_code(stream, io->last ? LZMA_FINISH : LZMA_RUN);
	moved(io, io->in_len - stream->avail_in, io->out_len - stream->avail_out);
	switch (rc) {
	case LZMA_OK:
	case LZMA_BUF_ERROR:
		return UNPACK_MORE;
	case LZMA_STREAM_END:
		return UNPACK_OVER;
	case LZMA_MEM_ERROR:
		return UNPACK_NO_MEMORY;
	case LZMA_MEMLIMIT_ERROR:
		return UNPACK_TOO_LARGE;
	default:
		return UNPACK_DAMAGED;
	}
}

/* ---- lz4 ---- */

static void *
lz4_open(void)
{
	LZ4F_dctx *ctx;

	return LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)) ? NULL : ctx;
}

static void
lz4_close(void *state)
{
	(void)LZ4F_freeDecompressionContext(state);
}

static enum unpack_result
lz4_step(void *state, struct unpack_io *io)
{
	size_t taken = io->in_len, made = io->out_len;
	size_t rc = LZ4F_decompress(state, io->out, &made, io->in, &taken, NULL);

	if (LZ4F_isError(rc))
		return strstr(LZ4F_getErrorName(rc), "allocation") != NULL ? UNPACK_NO_MEMORY : UNPACK_DAMAGED;
	moved(io, taken, made);
	return rc == 0 ? UNPACK_COMPLETE : UNPACK_MORE;
}

static const struct unpacker unpackers[] = {
	{ "gzip", { 0x1f, 0x8b }, 2, gzip_open, gzip_step, gzip_close },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, zstd_open, zstd_step, zstd_close },
	{ "zstd", { 0x50, 0x2a, 0x4d, 0x18 }, 4, zstd_open, zstd_step, zstd_close }, /* pzstd: a frame to be skipped says how long the next is */
	{ "xz", { 0xfd, '7', 'z', 'X', 'Z', 0x00 }, 6, xz_open, xz_step, xz_close },
	{ "lz4", { 0x04, 0x22, 0x4d, 0x18 }, 4, lz4_open, lz4_step, lz4_close },
};

const struct unpacker *
unpacker_find(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < sizeof(unpackers) / sizeof(unpackers[0]); i++)
		if (len >= unpackers[i].magic_len && memcmp(data, unpackers[i].magic, unpackers[i].magic_len) == 0)
			return &unpackers[i];
	return NULL;
}
