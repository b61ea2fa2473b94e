/* One object on its way from the wire into a point's record. */
#ifndef MR_PROTO_DNP3_DNP3_WALK_H
#define MR_PROTO_DNP3_DNP3_WALK_H

#include "proto/dnp3/dnp3.h"

struct dnp3_walk {
	struct dnp3_message *message;
	struct cursor in;
	uint8_t *point;            /* the shape's struct */
	uint64_t present;
	uint32_t reg[DNP3_REG_COUNT];
	uint8_t variation;
	bool sized;                /* in ends where the object does */
	bool discard;              /* no room: the point is read past */
	bool shortened;            /* a variable part had no room */
	bool failed;               /* contents that cannot be delimited */
};

/** Reads the elements of one object, after its prefix. Stops at the first that is cut short or cannot be delimited:
 *  walk->in or walk->failed says so, walk->present what was read. */
void dnp3_object_walk(struct dnp3_walk *walk, const struct dnp3_layout *layout);

#endif
