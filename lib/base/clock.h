/* Time that never jumps, for waits and pauses; what a person reads is CLOCK_REALTIME. And the time of packets, which may. Thread: any. */
#ifndef MR_BASE_CLOCK_H
#define MR_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { CLOCK_BACK_S = 60 };

/** Milliseconds of CLOCK_MONOTONIC, since an unspecified start. */
static inline uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/** Whether a packet's time is so far behind an earlier one that it is no disorder of packets: the clock was set back, or another
 *  capture begins. Nanoseconds since the Unix epoch. */
static inline bool
clock_is_back(uint64_t ts_ns, uint64_t earlier_ns)
{
	return ts_ns < earlier_ns && earlier_ns - ts_ns > CLOCK_BACK_S * UINT64_C(1000000000);
}

/** Whether so much time of packets passed since an earlier one; also when the time is so far behind that it begins anew. */
static inline bool
clock_has_passed(uint64_t ts_ns, uint64_t since_ns, uint64_t interval_ns)
{
	return ts_ns > since_ns ? ts_ns - since_ns >= interval_ns : clock_is_back(ts_ns, since_ns);
}

#endif
