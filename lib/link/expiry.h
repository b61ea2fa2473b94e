/* Says before a certificate ends that it will: once each at 30, 7 and 1 days, and when it has. Thread: one at a time. */
#ifndef MR_LINK_EXPIRY_H
#define MR_LINK_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/** Of one certificate; { 0 } once another is in its place. */
struct expiry {
	unsigned int warned_days; /* the lowest threshold said; 0: none */
	bool ended;               /* that it has ended was said */
};

/** @param topic of the log line. @return whether something was said */
bool expiry_warn(struct expiry *expiry, const char *topic, const char *path, time_t end, time_t now);
/** Whole days left; 0 too when it has ended. */
uint64_t expiry_days_left(time_t end, time_t now);

#endif
