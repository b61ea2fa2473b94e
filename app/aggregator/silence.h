/*
 * Sensors of which nothing comes any more. A sensor says something every stats.interval, so silence is a fault of it, of its
 * way or of its site, and nobody else would tell. The store is looked at, not the door: with several aggregators a sensor
 * may come in by another one. What counts is that neither the number of its records nor the time of its last delivery changes,
 * so that no clock matters: after one was set back, the store keeps the later time.
 *
 * Thread: silence_look() of one; the others of any.
 */
#ifndef MR_AGGREGATOR_SILENCE_H
#define MR_AGGREGATOR_SILENCE_H

#include <stdint.h>

#include <jansson.h>

#include "lib/base/counter.h"

enum silence_counter { SILENCE_NOW, SILENCE_TOTAL, SILENCE_COUNTERS };

extern const struct counter_desc silence_counters[SILENCE_COUNTERS];

struct silence;

/** @param after_s  of silence, which is told then. @return 0 or -ENOMEM */
int silence_create(struct silence **out, uint64_t after_s);
/** NULL is accepted. */
void silence_destroy(struct silence *silence);
/**
 * Tells who fell silent since the last look, and who is heard again. Whoever is revoked or not in the rows any more is forgotten.
 *
 * @param rows    [{sensor, last_seen, records, state}], as /v1/sensors has them; last_seen null: it never delivered
 * @param now_ms  of a clock that does not jump
 */
void silence_look(struct silence *silence, const json_t *rows, uint64_t now_ms);
/** Adds "silent": true or false to each row, as of the last look. @return 0 or -ENOMEM */
int silence_mark(struct silence *silence, json_t *rows);
struct counter_set silence_counter_set(struct silence *silence);

#endif
