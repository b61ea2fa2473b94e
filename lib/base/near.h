/* Known names that are near to one that is not known, for messages. Cold. */
#ifndef MR_BASE_NEAR_H
#define MR_BASE_NEAR_H

#include <stdbool.h>

enum { NEAR_LEN_MAX = 127, NEAR_FAR = 1000 };

/** Letters to change, add or take away to make one text of the other, of either case; NEAR_FAR for texts longer than NEAR_LEN_MAX. */
unsigned int near_distance(const char *a, const char *b);

/** The nearest of the names that were offered; begins as { .written = TEXT }, which is borrowed. */
struct near {
	const char *written;
	unsigned int distance; /* of best; 0: there is none */
	char best[NEAR_LEN_MAX + 1];
};

/** Offers a name: it is taken where it is nearer than those before, and so near that a slip is likely. */
void near_offer(struct near *near, const char *name);

#endif
