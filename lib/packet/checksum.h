/* The Internet checksum (RFC 1071), as a partial sum that may be continued at an even offset. */
#ifndef MR_PACKET_CHECKSUM_H
#define MR_PACKET_CHECKSUM_H

#include <assert.h>
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t
checksum_add_word(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word); /* the carry comes around */
}

/** Adds len bytes to a one's complement sum of 64-bit words. */
static inline uint64_t
checksum_add(uint64_t sum, const uint8_t *data, size_t len)
{
	uint64_t other = 0, word;
	uint32_t half = 0;
	uint16_t quarter = 0;

	for (; len >= 16; len -= 16, data += 16) {
		memcpy(&word, data, sizeof(word));
		sum = checksum_add_word(sum, word);
		memcpy(&word, data + 8, sizeof(word));
		other = checksum_add_word(other, word);
	}
	if ((len & 8) != 0) {
		memcpy(&word, data, sizeof(word));
		sum = checksum_add_word(sum, word);
		data += 8;
	}
	if ((len & 4) != 0) {
		memcpy(&half, data, sizeof(half));
		data += 4;
	}
	if ((len & 2) != 0) {
		memcpy(&quarter, data, sizeof(quarter));
		data += 2;
	}
	word = (uint64_t)half + quarter + ((len & 1) != 0 ? *data : 0);
	return checksum_add_word(checksum_add_word(sum, other), word);
}

static inline uint32_t
checksum_load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/**
 * The sum of a whole segment, 4 bytes at least. What the last vectors read behind its end is masked, so that nothing
 * depends on the length but how often the first loop runs, and that is not at all for most segments of a plant:
 * no processor foresees lengths.
 */
static inline __attribute__((always_inline)) uint64_t
checksum_segment(const uint8_t *data, size_t len)
{
	const __m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	__m256i even = _mm256_setzero_si256(), odd = _mm256_setzero_si256();
	uint64_t rest = (uint64_t)checksum_load32(data + len - 4) >> (32 - len % 4 * 8);
	size_t words = len / 4;
	__m256i left;
	__m128i sum;

	assert(len >= 4);
	for (; words > 32; words -= 8, data += 32) {
		__m256i part = _mm256_loadu_si256((const __m256i *)(const void *)data);

		even = _mm256_add_epi64(even, _mm256_and_si256(part, low));
		odd = _mm256_add_epi64(odd, _mm256_srli_epi64(part, 32));
	}
	left = _mm256_set1_epi32((int)words);
	for (unsigned int i = 0; i < 32; i += 8) {
		__m256i mask = _mm256_cmpgt_epi32(left, lanes);
		__m256i part = _mm256_maskload_epi32((const int *)(const void *)(data + i * 4), mask);

		lanes = _mm256_add_epi32(lanes, _mm256_set1_epi32(8));
		even = _mm256_add_epi64(even, _mm256_and_si256(part, low));
		odd = _mm256_add_epi64(odd, _mm256_srli_epi64(part, 32));
	}
	even = _mm256_add_epi64(even, odd);
	sum = _mm_add_epi64(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
	return (uint64_t)_mm_extract_epi64(sum, 0) + (uint64_t)_mm_extract_epi64(sum, 1) + rest;
}

/** The one's complement sum, in wire order; 0xffff: a packet whose checksum is right. */
static inline uint16_t
checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)sum;
}

/** Whether a sum that is not 0 says that the checksum is right. Sums that were added without carry need no folding:
 *  2^16 is 1 where 0xffff is 0. A multiple of 0xffff, times what 0xffff times is 1 in 64 bits, is how often it goes in;
 *  all others become larger than that can be. The compiler would divide. */
static inline bool
checksum_is_right(uint64_t sum)
{
	return sum * UINT64_C(0xfffefffefffeffff) <= UINT64_MAX / 0xffff;
}

#endif
