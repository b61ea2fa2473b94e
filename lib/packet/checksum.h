/* The Internet checksum (RFC 1071), as a partial sum that may be continued at an even offset. */
#ifndef MR_PACKET_CHECKSUM_H
#define MR_PACKET_CHECKSUM_H

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
