#include "app/aggregator/fair.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/link/batch.h"

enum { BUCKETS = 4096, RETRY_FULL_MS = 1000 };

struct sensor {
	char name[BATCH_SENSOR_MAX + 1];
	uint64_t millirecords; /* in the bucket */
	uint64_t filled_ms;    /* when that was so */
	bool waits;            /* in the row of those that take turns */
	STAILQ_HEAD(, fair_item) items;
	LIST_ENTRY(sensor) link;
	TAILQ_ENTRY(sensor) turn;
};

struct fair {
	struct fair_config config;
	uint32_t count;
	uint64_t bytes; /* of what waits */
	uint32_t at; /* bucket that is swept next */
	TAILQ_HEAD(, sensor) turns;
	LIST_HEAD(, sensor) buckets[BUCKETS];
};

static uint32_t
bucket_of(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash % BUCKETS;
}

static uint64_t
bucket_size(const struct fair *fair)
{
	return fair->config.records_per_s * FAIR_BURST_S * 1000;
}

/* A record a second is a millirecord a millisecond. */
static void
fill(const struct fair *fair, struct sensor *sensor, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms - sensor->filled_ms;

	sensor->filled_ms = now_ms;
	if (passed_ms > FAIR_BURST_S * 1000)
		passed_ms = FAIR_BURST_S * 1000;
	sensor->millirecords += passed_ms * fair->config.records_per_s;
	if (sensor->millirecords > bucket_size(fair))
		sensor->millirecords = bucket_size(fair);
}

/* One bucket of the table a call: sensors that have been quiet for as long as their bucket takes to fill are forgotten. */
static void
sweep(struct fair *fair, uint64_t now_ms)
{
	struct sensor *sensor = LIST_FIRST(&fair->buckets[fair->at]);

	while (sensor != NULL) {
		struct sensor *next = LIST_NEXT(sensor, link);

		if (!sensor->waits && now_ms - sensor->filled_ms > FAIR_BURST_S * 1000) {
			LIST_REMOVE(sensor, link);
			free(sensor);
			fair->count--;
		}
		sensor = next;
	}
	fair->at = (fair->at + 1) % BUCKETS;
}

static struct sensor *
find(const struct fair *fair, const char *name)
{
	struct sensor *sensor;

	LIST_FOREACH(sensor, &fair->buckets[bucket_of(name)], link)
		if (strcmp(sensor->name, name) == 0)
			break;
	return sensor;
}

static struct sensor *
get(struct fair *fair, const char *name, uint64_t now_ms)
{
	struct sensor *sensor = find(fair, name);

	if (sensor != NULL)
		return sensor;
	if (fair->count == fair->config.sensors_max || strlen(name) > BATCH_SENSOR_MAX)
		return NULL;
	sensor = calloc(1, sizeof(*sensor));
	if (sensor == NULL)
		return NULL;
	memcpy(sensor->name, name, strlen(name) + 1);
	sensor->millirecords = bucket_size(fair);
	sensor->filled_ms = now_ms;
	STAILQ_INIT(&sensor->items);
	LIST_INSERT_HEAD(&fair->buckets[bucket_of(name)], sensor, link);
	fair->count++;
	return sensor;
}

bool
fair_is_full(const struct fair *fair, const char *name, uint64_t bytes)
{
	const struct sensor *sensor;

	if (fair->config.bytes_max == 0 || fair->bytes == 0 || fair->bytes + bytes <= fair->config.bytes_max)
		return false;
	if (fair->bytes + bytes > fair->config.bytes_max * 2)
		return true;
	sensor = find(fair, name);
	return sensor != NULL && sensor->waits;
}

uint64_t
fair_put(struct fair *fair, const char *name, uint64_t records, uint64_t now_ms, struct fair_item *item)
{
	uint64_t cost = records * 1000;
	struct sensor *sensor;

	sweep(fair, now_ms);
	sensor = get(fair, name, now_ms);
	if (sensor == NULL)
		return RETRY_FULL_MS;
	if (fair->config.records_per_s != 0) {
		fill(fair, sensor, now_ms);
		/* A batch above the whole burst goes when the bucket is full, or it would never go. */
		if (cost > bucket_size(fair))
			cost = bucket_size(fair);
		if (cost > sensor->millirecords)
			return (cost - sensor->millirecords) / fair->config.records_per_s + 1;
		sensor->millirecords -= cost;
	}
	sensor->filled_ms = now_ms;
	STAILQ_INSERT_TAIL(&sensor->items, item, link);
	fair->bytes += item->bytes;
	if (!sensor->waits) {
		sensor->waits = true;
		TAILQ_INSERT_TAIL(&fair->turns, sensor, turn);
	}
	return 0;
}

struct fair_item *
fair_take(struct fair *fair)
{
	struct sensor *sensor = TAILQ_FIRST(&fair->turns);
	struct fair_item *item;

	if (sensor == NULL)
		return NULL;
	TAILQ_REMOVE(&fair->turns, sensor, turn);
	item = STAILQ_FIRST(&sensor->items);
	STAILQ_REMOVE_HEAD(&sensor->items, link);
	fair->bytes -= item->bytes;
	sensor->waits = !STAILQ_EMPTY(&sensor->items);
	if (sensor->waits)
		TAILQ_INSERT_TAIL(&fair->turns, sensor, turn);
	return item;
}

int
fair_create(struct fair **out, const struct fair_config *config)
{
	struct fair *fair = calloc(1, sizeof(*fair));

	if (fair == NULL)
		return -ENOMEM;
	fair->config = *config;
	TAILQ_INIT(&fair->turns);
	*out = fair;
	return 0;
}

void
fair_destroy(struct fair *fair)
{
	if (fair == NULL)
		return;
	for (uint32_t i = 0; i < BUCKETS; i++) {
		struct sensor *sensor;

		while ((sensor = LIST_FIRST(&fair->buckets[i])) != NULL) {
			LIST_REMOVE(sensor, link);
			free(sensor);
		}
	}
	free(fair);
}
