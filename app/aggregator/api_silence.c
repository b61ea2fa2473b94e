#include "app/aggregator/api_silence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/aggregator/api_private.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum { LOOKS_AT_MOST_EVERY_S = 1, LOOKS_AT_LEAST_EVERY_S = 30 };

struct api_silence {
	struct api_task task;
	struct api *api;
	struct silence *silence;
	struct event *timer;
	json_t *rows; /* what the store said; while a look is under way the pool's */
	bool under_way;
};

static int
ask(struct api_task *task, struct store *store)
{
	struct api_silence *looks = (struct api_silence *)task;
	struct store_filter any = { 0 };
	int err = store_report(store, STORE_REPORT_SENSORS, &any, &looks->rows);

	if (err == 0 && looks->api->sensors != NULL)
		err = api_sensors_join(looks->api->sensors, looks->rows, NULL);
	return err;
}

/* A store that does not answer says nothing of sensors. */
static void
asked(struct api_task *task)
{
	struct api_silence *looks = (struct api_silence *)task;

	looks->under_way = false;
	if (task->err == 0)
		silence_look(looks->silence, looks->rows, clock_ms());
	else if (task->err != -ECANCELED)
		log_warning("aggregator", "whether sensors are silent cannot be looked at: %s", strerror(-task->err));
	json_decref(looks->rows);
	looks->rows = NULL;
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct api_silence *looks = arg;

	looks->under_way = looks->under_way || api_pool_submit(looks->api->pool, &looks->task) == 0;
}

int
api_silence_create(struct api_silence **out, struct api *api, struct silence *silence, uint64_t after_s)
{
	struct api_silence *looks = calloc(1, sizeof(*looks));
	uint64_t every_s = after_s / 10;
	struct timeval every;

	if (looks == NULL)
		return -ENOMEM;
	if (every_s < LOOKS_AT_MOST_EVERY_S)
		every_s = LOOKS_AT_MOST_EVERY_S;
	if (every_s > LOOKS_AT_LEAST_EVERY_S)
		every_s = LOOKS_AT_LEAST_EVERY_S;
	every = (struct timeval){ .tv_sec = (time_t)every_s };
	looks->task.work = ask;
	looks->task.done = asked;
	looks->api = api;
	looks->silence = silence;
	looks->timer = event_new(api->base, -1, EV_PERSIST, on_time, looks);
	if (looks->timer == NULL || event_add(looks->timer, &every) != 0) {
		api_silence_destroy(looks);
		return -ENOMEM;
	}
	*out = looks;
	return 0;
}

void
api_silence_destroy(struct api_silence *looks)
{
	if (looks == NULL)
		return;
	if (looks->timer != NULL)
		event_free(looks->timer);
	free(looks);
}
