#include "app/sensor/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/sensor/sensor.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/service.h"

enum { TICK_MS = 1000, NAP_MS = 100, EXPORTER_PATIENCE_TICKS = 120 };

struct watchdog {
	struct sensor *sensor;
	pthread_t thread;
	_Atomic bool stop;
	uint64_t tell_ms;  /* between two tellings; 0: nobody wants to hear */
	uint64_t told_ms;  /* when it last heard */
};

/* Whose rounds are looked at. */
struct watched {
	const char *name, *lost; /* what does not happen while it stands still */
	uint64_t rounds;
	bool ended;
	unsigned int patience_ticks; /* it may stand still for so long */
};

/* @return whether it goes round */
static bool
look_at(const struct watched *watched, struct stall *stall)
{
	switch (stall_step(stall, watched->rounds, watched->ended)) {
	case STALL_BEGINS:
		log_error("sensor", "%s stands still for %d s: %s", watched->name, STALL_TICKS, watched->lost);
		break;
	case STALL_ENDS:
		log_notice("sensor", "%s goes on", watched->name);
		break;
	default:
		break;
	}
	return !stall->stalled || stall->ticks < watched->patience_ticks;
}

static bool
look_at_worker(const struct worker *worker, struct stall *stall)
{
	char name[32];
	const struct watched watched = { .name = name, .lost = "nothing is seen of its frames", .ended = worker->done,
		.rounds = counter_get(&worker->counters[WORKER_BURSTS]) + counter_get(&worker->counters[WORKER_EMPTY_POLLS]) };

	snprintf(name, sizeof(name), "worker %u", worker->worker_idx);
	return look_at(&watched, stall);
}

static bool
look_at_spreader(struct sensor *sensor)
{
	if (sensor->spreader == NULL)
		return true;
	const struct watched watched = { .name = "the spreader", .lost = "workers are given no frames", .ended = sensor_is_done(sensor),
		.rounds = counter_get(&spreader_get_counters(sensor->spreader).values[SPREADER_POLLS]) };

	return look_at(&watched, &sensor->spreader_stall);
}

static bool
look_at_exporter(struct sensor *sensor)
{
	const struct counter_set counters = exporter_get_counters(sensor->exporter);
	const struct watched watched = { .name = "the exporter", .lost = "events wait in the workers' rings, and are dropped when these are full",
		.rounds = counter_get(&counters.values[EXPORTER_TURNS]), .patience_ticks = EXPORTER_PATIENCE_TICKS };
	uint64_t before = sensor->exporter_stall.count;
	bool well = look_at(&watched, &sensor->exporter_stall);

	counter_add(&counters.values[EXPORTER_STALLS], sensor->exporter_stall.count - before);
	return well;
}

static void
tick(struct watchdog *watchdog)
{
	struct sensor *sensor = watchdog->sensor;
	uint64_t now_ms = clock_ms();
	bool well = true;

	for (unsigned int i = 0; i < sensor->worker_count; i++)
		well = look_at_worker(sensor->workers[i], &sensor->stalls[i]) && well;
	well = look_at_spreader(sensor) && well;
	well = look_at_exporter(sensor) && well;
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
