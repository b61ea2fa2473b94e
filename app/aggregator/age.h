/*
 * The time by which records are too old. The wall clock may be wrong for a while (a dead battery, a wrong NTP server, a year that was
 * mistyped), and what is deleted by it is gone: when it goes ahead by more than time passed, nothing is deleted by age for a day.
 *
 * Thread: the caller's alone.
 */
#ifndef MR_AGGREGATOR_AGE_H
#define MR_AGGREGATOR_AGE_H

#include <stdint.h>

enum { AGE_JUMP_S = 3600, AGE_HOLD_S = 86400 };

/** All zero: nothing is known yet. */
struct age {
	uint64_t wall_s, steady_ms; /* of the last look */
	uint64_t before_ms;         /* steady; nothing is too old until then */
};

/** @param steady_ms  clock_ms() @param wall_s  since the Unix epoch @return wall_s, or 0 while it is not to be trusted */
uint64_t age_now(struct age *age, uint64_t steady_ms, uint64_t wall_s);

#endif
