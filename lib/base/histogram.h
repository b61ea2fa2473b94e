/*
 * Sixteen steps for each power of two: a value's place is known to a sixteenth of it, over the
 * whole range, in a table of fixed size.
 */
#ifndef MR_BASE_HISTOGRAM_H
#define MR_BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 64 * 16 };

static inline unsigned int
histogram_bucket(uint64_t value)
{
	unsigned int power;

	if (value < 16)
		return (unsigned int)value;
	power = 63 - (unsigned int)__builtin_clzll(value);
	return (power - 3) * 16 + (unsigned int)(value >> (power - 4) & 15);
}

/** The least value of a bucket. */
static inline uint64_t
histogram_value(unsigned int bucket)
{
	return bucket < 16 ? bucket : (UINT64_C(16) + bucket % 16) << (bucket / 16 - 1);
}

/** The value that a share (0 to 1) of all values does not exceed, to a sixteenth. 0: there are none. */
static inline uint64_t
histogram_share(const uint64_t buckets[HISTOGRAM_BUCKETS], double share)
{
	uint64_t total = 0, seen = 0;
	unsigned int i = 0;

	for (unsigned int j = 0; j < HISTOGRAM_BUCKETS; j++)
		total += buckets[j];
	while (i + 1 < HISTOGRAM_BUCKETS && (double)(seen += buckets[i]) < share * (double)total)
		i++;
	return total == 0 ? 0 : histogram_value(i);
}

#endif
