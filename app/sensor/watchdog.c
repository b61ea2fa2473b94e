#include "app/sensor/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/sensor/sensor.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/service.h"

enum { TICK_MS = 1000, NAP_MS = 100 };

struct watchdog {
	struct sensor *sensor;
	pthread_t thread;
	_Atomic bool stop;
	uint64_t tell_ms;  /* between two tellings; 0: nobody wants to hear */
	uint64_t told_ms;  /* when it last heard */
};

/* @return whether it goes round */
static bool
look_at(const struct worker *worker, struct stall *stall)
{
	uint64_t rounds = counter_get(&worker->counters[WORKER_BURSTS]) + counter_get(&worker->counters[WORKER_EMPTY_POLLS]);

	switch (stall_step(stall, rounds, worker->done)) {
	case STALL_BEGINS:
		log_error("sensor", "worker %u stands still for %d s: nothing is seen of its frames", worker->worker_idx, STALL_TICKS);
		break;
	case STALL_ENDS:
		log_notice("sensor", "worker %u goes on", worker->worker_idx);
		break;
	default:
		break;
	}
	return !stall->stalled;
}

static void
tick(struct watchdog *watchdog)
{
	struct sensor *sensor = watchdog->sensor;
	uint64_t now_ms = clock_ms();
	bool well = true;

	for (unsigned int i = 0; i < sensor->worker_count; i++)
		well = look_at(sensor->workers[i], &sensor->stalls[i]) && well;
	if (!well || watchdog->tell_ms == 0 || now_ms - watchdog->told_ms < watchdog->tell_ms)
		return;
	(void)service_tell("WATCHDOG=1");
	watchdog->told_ms = now_ms;
}

static void *
run(void *arg)
{
	struct watchdog *watchdog = arg;

	for (unsigned int naps = 0; !watchdog->stop; naps++) {
		if (naps % (TICK_MS / NAP_MS) == 0)
			tick(watchdog);
		usleep(NAP_MS * 1000);
	}
	return NULL;
}

int
watchdog_create(struct watchdog **out, struct sensor *sensor)
{
	struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
	int err;

	*out = NULL;
	if (watchdog == NULL)
		return -ENOMEM;
	watchdog->sensor = sensor;
	watchdog->tell_ms = service_watchdog_ms();
	/* Before the thread, which has more to tell. */
	err = service_tell("READY=1");
	if (err != 0)
		log_warning("sensor", "the service manager did not hear that the sensor is ready: %s", strerror(-err));
	err = -pthread_create(&watchdog->thread, NULL, run, watchdog);
	if (err != 0) {
		free(watchdog);
		return err;
	}
	*out = watchdog;
	return 0;
}

void
watchdog_destroy(struct watchdog *watchdog)
{
	if (watchdog == NULL)
		return;
	(void)service_tell("STOPPING=1");
	watchdog->stop = true;
	pthread_join(watchdog->thread, NULL);
	free(watchdog);
}
