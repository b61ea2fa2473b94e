/* How a value of a report is written, whatever the store. */
#ifndef MR_STORE_CELL_H
#define MR_STORE_CELL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns the caller's, NULL without memory; null where the value is not of its kind. */

/** Since the Unix epoch. "2026-01-02T03:04:05.000006+0000" */
json_t *store_cell_time(int64_t seconds, int64_t ns);
/** A record's timestamp, ns since the Unix epoch; 0: it has none that can be read. */
int64_t store_cell_time_read(const json_t *record);
/** Of 4 or 16 bytes. */
json_t *store_cell_ip(const void *bytes, size_t len);
/** The lane's name. */
json_t *store_cell_lane(int64_t lane);
/** Sixteen digits. */
json_t *store_cell_hex(uint64_t value);
/** A sum that is kept as a double, so that a hostile one cannot overflow: an integer where it is one. */
json_t *store_cell_whole(double value);
/** A record. @param line NULL is none */
json_t *store_cell_line(const char *line, size_t len);

#endif
