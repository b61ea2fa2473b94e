/* The Internet checksum (RFC 1071), as a partial sum that may be continued at an even offset. */
#ifndef MR_PACKET_CHECKSUM_H
#define MR_PACKET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Adds len bytes to a sum of 32-bit words; 64 bits hold the words of 16 GiB. */
static inline uint64_t
checksum_add(uint64_t sum, const uint8_t *data, size_t len)
{
	uint64_t other = 0;

	for (; len >= 16; len -= 16, data += 16) {
		uint64_t words[2];

		memcpy(words, data, sizeof(words));
		sum += (words[0] & 0xffffffffu) + (words[0] >> 32);
		other += (words[1] & 0xffffffffu) + (words[1] >> 32);
	}
	sum += other;
	for (; len >= 4; len -= 4, data += 4) {
		uint32_t word;

		memcpy(&word, data, sizeof(word));
		sum += word;
	}
	if (len > 0) {
		uint32_t word = 0;

		memcpy(&word, data, len);
		sum += word;
	}
	return sum;
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
