#include "app/aggregator/silence.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

const struct counter_desc silence_counters[SILENCE_COUNTERS] = {
	[SILENCE_NOW] = { "sensors.silent", "sensors of which nothing has come for sensors.silent-after seconds" },
	[SILENCE_TOTAL] = { "sensors.silences", "times that a sensor fell silent" },
};

struct silence {
	pthread_mutex_t lock;
	uint64_t after_ms;
	json_t *heard; /* sensor: {seen: last_seen, records, since: now_ms when one of them changed, silent} */
	_Atomic uint64_t counters[SILENCE_COUNTERS];
};

int
silence_create(struct silence **out, uint64_t after_s)
{
	struct silence *silence = calloc(1, sizeof(*silence));

	if (silence == NULL)
		return -ENOMEM;
	pthread_mutex_init(&silence->lock, NULL);
	silence->after_ms = after_s * 1000;
	silence->heard = json_object();
	if (silence->heard == NULL) {
		silence_destroy(silence);
		return -ENOMEM;
	}
	*out = silence;
	return 0;
}

void
silence_destroy(struct silence *silence)
{
	if (silence == NULL)
		return;
	json_decref(silence->heard);
	pthread_mutex_destroy(&silence->lock);
	free(silence);
}

/* What is known of a sensor, with the times of this look; NULL: no memory. */
static json_t *
note(const json_t *before, const char *seen, json_int_t records, uint64_t now_ms)
{
	const char *seen_before = json_string_value(json_object_get(before, "seen"));
	bool same = seen_before != NULL && strcmp(seen_before, seen) == 0 &&
		json_integer_value(json_object_get(before, "records")) == records;
	json_int_t since_ms = same ? json_integer_value(json_object_get(before, "since")) : (json_int_t)now_ms;

	return json_pack("{s:s, s:I, s:I}", "seen", seen, "records", records, "since", since_ms);
}

/* @return whether the sensor is silent */
static bool
judge(struct silence *silence, const char *sensor, json_t *known, const json_t *before, uint64_t now_ms)
{
	uint64_t silent_ms = now_ms - (uint64_t)json_integer_value(json_object_get(known, "since"));
	bool was = json_is_true(json_object_get(before, "silent"));
	bool is = silent_ms >= silence->after_ms;

	if (is && !was) {
		counter_add(&silence->counters[SILENCE_TOTAL], 1);
		log_warning("aggregator", "%s: nothing has come for %" PRIu64 " s; the last was stored at %s", sensor, silent_ms / 1000,
			json_string_value(json_object_get(known, "seen")));
	} else if (was && !is) {
		log_notice("aggregator", "%s: is heard again", sensor);
	}
	json_object_set_new(known, "silent", json_boolean(is));
	return is;
}

void
silence_look(struct silence *silence, const json_t *rows, uint64_t now_ms)
{
	json_t *heard = json_object();
	uint64_t silent = 0;
	json_t *row;
	size_t i;

	pthread_mutex_lock(&silence->lock);
	json_array_foreach(rows, i, row) {
		const char *sensor = json_string_value(json_object_get(row, "sensor"));
		const char *seen = json_string_value(json_object_get(row, "last_seen"));
		const char *state = json_string_value(json_object_get(row, "state"));
		const json_t *before;
		json_t *known;

		if (sensor == NULL || seen == NULL || (state != NULL && strcmp(state, "revoked") == 0))
			continue;
		before = json_object_get(silence->heard, sensor);
		known = note(before, seen, json_integer_value(json_object_get(row, "records")), now_ms);
		silent += known != NULL && judge(silence, sensor, known, before, now_ms);
		json_object_set_new(heard, sensor, known);
	}
	json_decref(silence->heard);
	silence->heard = heard;
	pthread_mutex_unlock(&silence->lock);
	counter_set(&silence->counters[SILENCE_NOW], silent);
}

int
silence_mark(struct silence *silence, json_t *rows)
{
	int err = 0;
	json_t *row;
	size_t i;

	pthread_mutex_lock(&silence->lock);
	json_array_foreach(rows, i, row) {
		const char *sensor = json_string_value(json_object_get(row, "sensor"));
		const json_t *known = sensor == NULL ? NULL : json_object_get(silence->heard, sensor);

		if (json_object_set_new(row, "silent", json_boolean(json_is_true(json_object_get(known, "silent")))) != 0)
			err = -ENOMEM;
	}
	pthread_mutex_unlock(&silence->lock);
	return err;
}

struct counter_set
silence_counter_set(struct silence *silence)
{
	return (struct counter_set){ silence_counters, silence->counters, SILENCE_COUNTERS };
}
