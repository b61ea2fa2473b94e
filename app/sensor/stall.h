/*
 * Whether a worker goes round. One that does not come back from a burst is blind, and looks from outside like a port on which
 * nothing happens; it must not.
 *
 * Thread: stall_step() on one thread; what stats read may be read by any.
 */
#ifndef MR_SENSOR_STALL_H
#define MR_SENSOR_STALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { STALL_TICKS = 10 }; /* without a round that are too many */

/** Ticks are counted, not time: after the machine stood still as a whole the worker gets its turn first. */
struct stall {
	uint64_t rounds;        /* as last seen */
	unsigned int ticks;     /* since they changed */
	_Atomic bool stalled;
	_Atomic uint64_t count; /* times that it was */
};

enum stall_news { STALL_NONE, STALL_BEGINS, STALL_ENDS };

/** Called about once a second. @param rounds  of the worker so far. @param ended  there will be no more */
enum stall_news stall_step(struct stall *stall, uint64_t rounds, bool ended);

#endif
