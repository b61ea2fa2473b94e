/* How much may be sent a second, by time of day. Thread: any; a table is immutable once read. */
#ifndef MR_LINK_RATE_H
#define MR_LINK_RATE_H

#include <stdint.h>

#include "lib/config/config.h"

enum { RATE_ROWS_MAX = 8, RATE_BYTES_S_MIN = 128 };

struct rate_table {
	struct {
		unsigned int from, to; /* minutes of the day; from 0 to 1440: always */
		uint64_t bytes_s;
	} rows[RATE_ROWS_MAX];
	unsigned int count;
};

/**
 * Reads a list of "[HH:MM-HH:MM] RATE": 64kbit and 1mbit are bits a second, 8 KiB and 1 MiB bytes a second. Hours may
 * go over midnight.
 *
 * @param list  of strings, or NULL: no bound
 * @param bad   out: the item at fault, borrowed
 * @return 0 or -EINVAL
 */
int rate_table_read(struct rate_table *out, const json_t *list, const char **bad);
/** The first row that holds then. @param minute of the day, 0..1439 @return bytes a second, 0: no bound */
uint64_t rate_table_at(const struct rate_table *table, unsigned int minute);

#endif
