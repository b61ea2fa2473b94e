/*
 * Unpacking of LZMA in the format of its first tool (".lzma": properties, size, stream) into memory of the caller's. Source:
 * LZMA specification (I. Pavlov, 2015). What was unpacked is the dictionary: distances beyond it are damage.
 *
 * Thread: any; the memory is the caller's alone.
 */
#ifndef MR_BASE_LZMA_H
#define MR_BASE_LZMA_H

#include "lib/base/cursor.h"
#include "lib/base/inflate.h"

enum { LZMA_CONTEXT_BITS_MAX = 4, LZMA_AREA_LEN = 2 * (1984 + (768 << LZMA_CONTEXT_BITS_MAX)) };

/**
 * Unpacks as much as fits and is there; that the input ends early is no failure.
 *
 * @param area  [area_len] at least LZMA_AREA_LEN, aligned for uint16_t: what the decoder learns
 * @param out   [out_cap]
 */
struct inflated lzma_once(void *area, size_t area_len, struct cursor in, uint8_t *out, uint32_t out_cap);

#endif
