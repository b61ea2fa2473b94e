/*
 * Compressed captures: gzip (RFC 1952), zstd (RFC 8878), xz (The .xz File Format 1.1.0) and lz4 (LZ4 Frame Format 1.6), each
 * also as several pieces one behind the other, as rotating and parallel writers leave them. For lib/capture.
 *
 * Thread: the caller's. Memory: what the library holds of a stream, at most UNPACK_WINDOW_MAX.
 */
#ifndef MR_CAPTURE_UNPACK_H
#define MR_CAPTURE_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	UNPACK_MAGIC_LEN = 6,                  /* of the longest */
	UNPACK_WINDOW_MAX = 128 * 1024 * 1024, /* what zstd -19 and xz -9 need; more is refused */
};

enum unpack_result {
	UNPACK_MORE,      /* the stream goes on */
	UNPACK_COMPLETE,  /* it may end here; another piece may follow */
	UNPACK_OVER,      /* it ends here, whatever follows */
	UNPACK_DAMAGED,
	UNPACK_TOO_LARGE, /* it wants more memory than UNPACK_WINDOW_MAX */
	UNPACK_NO_MEMORY,
};

struct unpack_io {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
	bool last; /* nothing comes behind in */
};

struct unpacker {
	const char *name;
	uint8_t magic[UNPACK_MAGIC_LEN];
	size_t magic_len;
	/** @return its state, NULL: no memory */
	void *(*open)(void);
	/** Takes from in and writes to out what it can, moving both on. */
	enum unpack_result (*step)(void *state, struct unpack_io *io);
	void (*close)(void *state);
};

/** By the first bytes of a file. @return NULL: it is not compressed, or by none of these */
const struct unpacker *unpacker_find(const uint8_t *data, size_t len);

#endif
