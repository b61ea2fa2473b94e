/*
 * The generator's own source of chance: the same seed gives the same bytes on every machine
 * and with every C library. SplitMix64 (Steele, Lea, Flood 2014): one word of state, so that
 * each part of the plant can have a stream of its own.
 */
#ifndef MR_BENCH_PLANT_RANDOM_H
#define MR_BENCH_PLANT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct plant_random {
	uint64_t state;
};

static inline uint64_t
plant_random_mix(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static inline uint64_t
plant_random_next(struct plant_random *random)
{
	random->state += UINT64_C(0x9e3779b97f4a7c15);
	return plant_random_mix(random->state);
}

/** @return 0..bound - 1; 0 where bound is 0. */
static inline uint32_t
plant_random_below(struct plant_random *random, uint32_t bound)
{
	return (uint32_t)((plant_random_next(random) >> 32) * bound >> 32);
}

/** @return low..high, both included */
static inline uint32_t
plant_random_between(struct plant_random *random, uint32_t low, uint32_t high)
{
	return low + plant_random_below(random, high - low + 1);
}

static inline bool
plant_random_chance(struct plant_random *random, uint32_t permille)
{
	return permille != 0 && plant_random_below(random, 1000) < permille;
}

#endif
