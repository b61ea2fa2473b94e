/*
 * Pieces of a byte range that arrive in any order and may overlap: IP fragments and early
 * TCP segments. Who owns an overlapping byte is decided for each pair of arrivals by a
 * target-based policy, so that the sensor sees what the receiving host saw.
 *
 * Pieces and their bytes lie in a slab. Thread: the slab's owner.
 * Source: Novak, "Target-Based Fragmentation Reassembly"; Novak and Sturges, "Target-Based
 * TCP Stream Reassembly".
 */
#ifndef MR_PACKET_PIECE_H
#define MR_PACKET_PIECE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/slab.h"

enum piece_policy {
	PIECE_FIRST,   /* the earlier arrival wins */
	PIECE_LAST,    /* the later arrival wins */
	PIECE_BSD,     /* the earlier wins where it starts no later than the new one */
	PIECE_LINUX,   /* the earlier wins where it starts before the new one */
	PIECE_WINDOWS, /* the new one wins where it starts before and ends after the earlier */
	PIECE_SOLARIS, /* the new one wins where it starts before and does not end before the earlier */
	PIECE_POLICY_COUNT,
};

extern const char *const piece_policy_names[PIECE_POLICY_COUNT + 1]; /* ends with NULL */

struct piece_block;

/** Bytes [start, end) as one arrival brought them; arrivals are [first, last). */
struct piece {
	struct piece *next;
	struct piece_block *block;
	uint64_t start, end;
	uint64_t first, last;
	uint32_t mark; /* the caller's, of the arrival */
};

struct piece_list {
	struct piece *head, *tail; /* ascending, never overlapping */
	uint32_t count;
	uint32_t bytes;            /* of the slab, held by blocks */
};

enum piece_result {
	PIECE_OVERLAP = 1,   /* some bytes were there before */
	PIECE_DIFFERENT = 2, /* with other content */
	PIECE_NO_MEMORY = 4, /* nothing, or not all, was kept */
};

/** Adds an arrival. @param mark kept with each of its pieces. @return enum piece_result, or-ed */
unsigned int piece_insert(struct piece_list *list, struct slab *slab, enum piece_policy policy, uint64_t start,
	const uint8_t *data, uint32_t len, uint32_t mark);
/** The bytes of a piece. Lent. */
const uint8_t *piece_data(const struct piece *piece);
/** Removes the first piece. */
void piece_pop(struct piece_list *list, struct slab *slab);
void piece_clear(struct piece_list *list, struct slab *slab);
/** The policy of a name; -EINVAL. Knows the names of hosts too ("windows2k3", "old-linux"). */
int piece_policy_find(const char *name);

#endif
