/* What the counters say of the installation: a mistake that users make, told before they wonder about missing records. */
#ifndef MR_SENSOR_ADVICE_H
#define MR_SENSOR_ADVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The first advice that the counters give and that was not given yet.
 *
 * @param stats  of stats_collect()
 * @param given  one bit for each advice: 0 at first, kept by the caller
 * @param text   out: one line, without its end
 * @return whether there is one
 */
bool advice_next(const json_t *stats, uint32_t *given, char *text, size_t size);

#endif
