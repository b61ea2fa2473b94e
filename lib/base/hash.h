/* CRC32C: the hash of flow keys (hardware, SSE4.2) and the checksum of spool segments. */
#ifndef MR_BASE_HASH_H
#define MR_BASE_HASH_H

#include <nmmintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t
hash_u64(uint32_t seed, uint64_t value)
{
	return (uint32_t)_mm_crc32_u64(seed, value);
}

/** CRC32C (Castagnoli, RFC 3720 B.4) of len bytes, continuing from crc (0 at first). */
static inline uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t acc = crc ^ 0xffffffffu;

	for (; len >= 8; len -= 8, at += 8) {
		uint64_t word;

		memcpy(&word, at, sizeof(word));
		acc = _mm_crc32_u64(acc, word);
	}
	for (; len > 0; len--, at++)
		acc = _mm_crc32_u8((uint32_t)acc, *at);
	return (uint32_t)acc ^ 0xffffffffu;
}

#endif
