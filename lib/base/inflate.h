/*
 * Unpacking of gzip and deflate (RFC 1950 to 1952) without allocating: zlib in memory of the caller's.
 *
 * Thread: any; the area is the caller's alone.
 */
#ifndef MR_BASE_INFLATE_H
#define MR_BASE_INFLATE_H

#include <stdbool.h>
#include <stdint.h>

enum { INFLATE_AREA_LEN = 64 * 1024, INFLATE_ALIGN = 16 }; /* about 7 KiB of state and a window of 32 KiB */

struct inflate_area {
	uint32_t used;
	uint32_t reserved[3];
	_Alignas(INFLATE_ALIGN) uint8_t bytes[INFLATE_AREA_LEN - INFLATE_ALIGN];
};

enum inflate_format { INFLATE_BARE, INFLATE_ZLIB, INFLATE_GZIP, INFLATE_ZLIB_OR_GZIP };

struct inflated {
	uint32_t read_len;  /* bytes of the input that were taken */
	uint32_t len;       /* bytes of the output, also where it failed */
	bool failed;        /* not of this format, or damaged; that the input ends early is no failure */
	bool ended;         /* that was all of it */
};

/** Unpacks as much as fits. @param out  [out_cap] */
struct inflated inflate_once(struct inflate_area *area, enum inflate_format format, const uint8_t *in, uint32_t in_len, uint8_t *out,
	uint32_t out_cap);

#endif
