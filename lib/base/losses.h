/* Which counters tell of losses. */
#ifndef MR_BASE_LOSSES_H
#define MR_BASE_LOSSES_H

#include <jansson.h>

enum { LOSSES_MAX = 512 }; /* names in one object */

/** Adds n to the total of that name; beyond LOSSES_MAX no names are added. */
void losses_add(json_t *totals, const char *path, json_int_t n);
/** Adds what a stats record says was lost, by the counters' paths, those that are 0 too. What parts say is in the totals beside them. */
void losses_add_stats(json_t *totals, const json_t *stats);

#endif
