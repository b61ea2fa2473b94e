/* `run`: live, until SIGTERM or SIGINT. SIGHUP reads the rules again and opens output files anew. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/sensor/command.h"
#include "app/sensor/sensor.h"
#include "app/sensor/watchdog.h"
#include "lib/base/log.h"

enum { WATCH_MS = 100, WATCHES_PER_S = 10, DRAIN_MS = 10000 };

static volatile sig_atomic_t stop_signal, reload_signal;

static void
on_signal(int number)
{
	if (number == SIGHUP)
		reload_signal = 1;
	else
		stop_signal = 1;
}

static void
catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file-size limit is an error of write(), counted by its sink */
}

static void
reload(struct sensor *sensor)
{
	struct config_error err;

	reload_signal = 0;
	exporter_reopen(sensor->exporter);
	if (sensor_reload_rules(sensor, &err) != 0)
		log_error("sensor", "rules not reloaded, the old ones stay in force: %s", err.text);
}

/* @return 0, -ENODEV: as it is the sensor would see nothing any more of a port that is there, or -errno */
static int
watch(struct sensor *sensor)
{
	struct watchdog *watchdog;
	int rc = watchdog_create(&watchdog, sensor);

	if (rc != 0)
		log_error("sensor", "cannot run: %s", strerror(-rc));
	for (unsigned int i = 0; rc == 0 && !stop_signal && !sensor_is_done(sensor); i++) {
		if (reload_signal)
			reload(sensor);
		if (i % WATCHES_PER_S == 0)
			rc = sensor_watch_ports(sensor);
		usleep(WATCH_MS * 1000);
	}
	watchdog_destroy(watchdog);
	return rc;
}

int
command_run(int argc, char **argv)
{
	static struct sensor sensor;
	static struct command_args args;
	struct settings settings;
	struct config_error err;
	int rc = command_parse(&args, argc, argv, "usage: millrace-sensor run -c FILE [--set KEY=VALUE]...");

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	if (args.rules != NULL)
		command_set(&args, "rule-files", args.rules);
	if (command_make_dir(args.out_dir) != 0 || command_load(&settings, &args) != 0)
		return 1;
	catch_signals();
	rc = sensor_create(&sensor, &settings, args.out_dir, &err);
	if (rc != 0) {
		fprintf(stderr, "millrace-sensor: %s\n", err.text);
		return 1;
	}
	rc = sensor_start(&sensor, &err);
	if (rc == 0) {
		log_notice("sensor", "running: %u workers, %u ports", sensor.worker_count, sensor.port_count);
		rc = watch(&sensor);
		if (rc == -ENODEV)
			log_error("sensor", "ending, to be started anew: only then is the interface opened");
	} else {
		fprintf(stderr, "millrace-sensor: %s\n", err.text);
	}
	sensor_stop(&sensor);
	if (sink_set_drain(sensor.sinks, DRAIN_MS) != 0)
		log_notice("sensor", "stopped before all records were acknowledged: they stay in the spool");
	sensor_destroy(&sensor);
	return rc == 0 ? 0 : 1;
}
