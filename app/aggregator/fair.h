/*
 * Who comes next, and who has had enough: deliveries wait in a queue a sensor, and the queues take turns, so that a sensor with
 * many batches delays another by one batch and no more. Each sensor has a token bucket of records; a batch beyond it
 * is told when to come again. What is known of a sensor is forgotten when its bucket is full and its queue empty.
 *
 * Thread: one.
 */
#ifndef MR_AGGREGATOR_FAIR_H
#define MR_AGGREGATOR_FAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum { FAIR_BURST_S = 4 }; /* seconds of the rate that may come at once */

/** What waits; the first member of the caller's struct. */
struct fair_item {
	STAILQ_ENTRY(fair_item) link;
	uint64_t bytes; /* the caller's: what it takes while it waits */
};

struct fair_config {
	uint64_t records_per_s; /* of a sensor; 0: no bound */
	uint64_t bytes_max;     /* of all that waits; see fair_is_full(); 0: no bound */
	uint32_t sensors_max;   /* known at once; more share no bucket and no turn: they are told to come again */
};

struct fair;

/** @return 0 or -ENOMEM */
int fair_create(struct fair **out, const struct fair_config *config);
/** What still waits is the caller's: fair_take() it first. */
void fair_destroy(struct fair *fair);

/**
 * Takes what a batch costs from the sensor's bucket and puts the item behind the sensor's others.
 *
 * @param sensor  1..BATCH_SENSOR_MAX characters
 * @param records of the batch
 * @param now_ms  of a clock that does not jump
 * @return 0: queued; else milliseconds after which the bucket has enough again
 */
uint64_t fair_put(struct fair *fair, const char *sensor, uint64_t records, uint64_t now_ms, struct fair_item *item);
/**
 * Whether so many bytes more of the sensor are too many. A sensor with nothing in the queue still comes in where others no
 * longer do, up to twice the bound, so that they cannot keep it out.
 */
bool fair_is_full(const struct fair *fair, const char *sensor, uint64_t bytes);
/** The next in turn, NULL: none waits. */
struct fair_item *fair_take(struct fair *fair);

#endif
