/* The Internet checksum (RFC 1071), as a partial sum that may be continued at an even offset. */
#ifndef MR_PACKET_CHECKSUM_H
#define MR_PACKET_CHECKSUM_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Adds len bytes to a sum of 32-bit words; 64 bits hold the words of 16 GiB. */
static inline uint64_t
checksum_add(uint64_t sum, const uint8_t *data, size_t len)
{
	if (len >= 32) {
		const __m256i low = _mm256_set1_epi64x(0xffffffff);
		__m256i even = _mm256_setzero_si256(), odd = even;
		__m128i both;

		for (; len >= 32; len -= 32, data += 32) {
			__m256i words = _mm256_loadu_si256((const __m256i *)(const void *)data);

			even = _mm256_add_epi64(even, _mm256_and_si256(words, low));
			odd = _mm256_add_epi64(odd, _mm256_srli_epi64(words, 32));
		}
		even = _mm256_add_epi64(even, odd);
		both = _mm_add_epi64(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
		sum += (uint64_t)_mm_cvtsi128_si64(both) + (uint64_t)_mm_extract_epi64(both, 1);
	}
	for (; len >= 8; len -= 8, data += 8) {
		uint64_t words;

		memcpy(&words, data, sizeof(words));
		sum += (words & 0xffffffffu) + (words >> 32);
	}
	if ((len & 4) != 0) {
		uint32_t word;

		memcpy(&word, data, sizeof(word));
		sum += word;
		data += sizeof(word);
	}
	if ((len & 2) != 0) {
		uint16_t half;

		memcpy(&half, data, sizeof(half));
		sum += half;
		data += sizeof(half);
	}
	return (len & 1) != 0 ? sum + data[0] : sum;
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

#endif
