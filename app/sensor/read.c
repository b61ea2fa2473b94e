/* `read`: captures through the same workers, then one screen of what was in them. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/sensor/command.h"
#include "app/sensor/sensor.h"
#include "lib/base/log.h"

enum { PATHS_MAX = 65536, WATCH_US = 2000, DRAIN_MS = 120000 };

static volatile sig_atomic_t stop_signal;

static void
on_signal(int number)
{
	stop_signal = 1;
}

/* The first one ends the reading in order; what it then waits for, a full disk or an aggregator that is away, need not come: the
 * second ends the program. */
static void
catch_signals(void)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file-size limit is an error of write(), counted by its sink */
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* The captures at path: itself, or the plain files of a folder, by name. */
static int
find_paths(const char *path, char ***out, unsigned int *count)
{
	struct dirent **entries = NULL;
	unsigned int folders = 0;
	struct stat st;
	int found;

	*count = 0;
	if (strcmp(path, "-") != 0 && stat(path, &st) != 0)
		return -errno;
	if (strcmp(path, "-") == 0 || !S_ISDIR(st.st_mode)) {
		*out = calloc(1, sizeof(char *));
		if (*out == NULL || ((*out)[0] = strdup(path)) == NULL)
			return -ENOMEM;
		*count = 1;
		return 0;
	}
	found = scandir(path, &entries, is_visible, by_name);
	if (found < 0)
		return -errno;
	*out = calloc((size_t)found + 1, sizeof(char *));
	for (int i = 0; i < found; i++) {
		char *name;

		if (*out != NULL && *count < PATHS_MAX && asprintf(&name, "%s/%s", path, entries[i]->d_name) > 0) {
			bool there = stat(name, &st) == 0;

			folders += there && S_ISDIR(st.st_mode);
			if (there && S_ISREG(st.st_mode))
				(*out)[(*count)++] = name;
			else
				free(name);
		}
		free(entries[i]);
	}
	free(entries);
	if (folders > 0)
		fprintf(stderr, "millrace-sensor: %s: %u folder%s in it %s not read\n", path, folders, folders == 1 ? "" : "s",
			folders == 1 ? "is" : "are");
	if (*out == NULL)
		return -ENOMEM;
	return *count > 0 ? 0 : -ENODATA;
}

static void
free_paths(char **paths, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
}

static uint64_t
number(const json_t *stats, const char *group, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(stats, group), key));
}

static uint64_t
lines_dropped(const json_t *stats)
{
	return number(json_object_get(stats, "sink"), "file", "dropped");
}

static void
print_drops(const json_t *stats)
{
	json_t *dropped = json_object_get(json_object_get(stats, "capture"), "dropped");
	const char *key;
	json_t *value;

	json_object_foreach(dropped, key, value)
		printf("  lost: %-22s %12lld\n", key, (long long)json_integer_value(value));
	printf("  lost: %-22s %12llu\n", "ring.events_dropped", (unsigned long long)number(stats, "ring", "events_dropped"));
	printf("  lost: %-22s %12llu\n", "sink.file.dropped", (unsigned long long)lines_dropped(stats));
}

/* @return lines that eve.json did not get */
static uint64_t
print_screen(struct sensor *sensor, const char *out_dir)
{
	uint64_t dropped;
	json_t *stats = stats_collect(sensor);

	printf("%u capture file%s, %u worker%s%s\n", sensor->path_count, sensor->path_count == 1 ? "" : "s",
		sensor->worker_count, sensor->worker_count == 1 ? "" : "s", sensor->huge_pages ? "" : " (no huge pages)");
	printf("  frames                       %12llu\n", (unsigned long long)number(stats, "capture", "received"));
	printf("  bytes                        %12llu\n", (unsigned long long)number(stats, "capture", "bytes"));
	printf("  flows                        %12llu\n", (unsigned long long)number(stats, "flow", "total"));
	printf("  flow records                 %12llu\n", (unsigned long long)number(stats, "exporter", "flow"));
	printf("  protocol records             %12llu\n", (unsigned long long)number(stats, "exporter", "app"));
	printf("  alerts                       %12llu\n", (unsigned long long)number(stats, "exporter", "alert"));
	printf("  anomalies                    %12llu\n", (unsigned long long)number(stats, "exporter", "anomaly"));
	printf("  rules loaded                 %12llu\n", (unsigned long long)number(stats, "rules", "loaded"));
	print_drops(stats);
	if (source_file_faults(sensor->file)[0] != '\0')
		printf("  damaged:\n%s", source_file_faults(sensor->file));
	dropped = lines_dropped(stats);
	printf("  events in %s/eve.json%s\n", out_dir, dropped > 0 ? ", not all of them" : "");
	fflush(stdout); /* what comes now may take two minutes */
	json_decref(stats);
	return dropped;
}

/* Records that receivers will never have: their spools had no room, or their disk did not take them. */
static uint64_t
records_lost(struct sensor *sensor)
{
	static const char *const spool[] = { "evicted_records", "disk_full", "shed", "too_long" };
	json_t *stats = stats_collect(sensor);
	uint64_t lost = 0;
	const char *name;
	json_t *sink;

	for (size_t i = 0; i < sizeof(spool) / sizeof(spool[0]); i++)
		lost += number(stats, "spool", spool[i]);
	json_object_foreach(json_object_get(stats, "sink"), name, sink)
		lost += (uint64_t)json_integer_value(json_object_get(sink, "lost"));
	json_decref(stats);
	return lost;
}

/* @param told  how many were told before  @return how many there are */
static uint64_t
tell_lost(struct sensor *sensor, uint64_t told)
{
	uint64_t lost = records_lost(sensor);

	if (lost > told)
		fprintf(stderr, "millrace-sensor: %llu records were lost on their way: the spool had no room (spool.size, or the sink's)\n",
			(unsigned long long)lost);
	return lost;
}

static int
read_captures(struct sensor *sensor, struct settings *settings, const char *out_dir)
{
	struct config_error err;
	uint64_t lost;
	int rc = sensor_create(sensor, settings, out_dir, &err);

	if (rc == 0) {
		rc = sensor_start(sensor, &err);
		while (rc == 0 && !stop_signal && !sensor_is_done(sensor))
			usleep(WATCH_US);
		sensor_stop(sensor);
		if (rc == 0 && print_screen(sensor, out_dir) > 0)
			rc = -ENOSPC;
		lost = tell_lost(sensor, 0);
		if (sink_set_drain(sensor->sinks, DRAIN_MS) != 0) {
			fprintf(stderr, "millrace-sensor: not all records were acknowledged in time: they stay in the spool\n");
			rc = -ETIMEDOUT;
		}
		if (tell_lost(sensor, lost) > 0)
			rc = -ENOSPC;
		sensor_destroy(sensor);
		return rc == 0 ? 0 : 1;
	}
	fprintf(stderr, "millrace-sensor: %s\n", err.text);
	return 1;
}

int
command_read(int argc, char **argv)
{
	static struct sensor sensor;
	static struct command_args args;
	static const char usage[] =
		"usage: millrace-sensor read [-c FILE] -r FILE|DIR [-S RULES] [-l OUTDIR] [-k none|all] [--set KEY=VALUE]...";
	struct settings settings;
	char **paths = NULL;
	int rc = command_parse(&args, argc, argv, usage);

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	if (args.read_path == NULL) {
		fprintf(stderr, "-r FILE|DIR is missing\n%s\n", usage);
		return 2;
	}
	if (args.rules != NULL)
		command_set(&args, "rule-files", args.rules);
	if (args.out_dir == NULL)
		args.out_dir = ".";
	rc = find_paths(args.read_path, &paths, &sensor.path_count);
	if (rc != 0)
		fprintf(stderr, "millrace-sensor: %s: %s\n", args.read_path, rc == -ENODATA ? "the folder has no files" : strerror(-rc));
	if (rc == 0)
		rc = command_make_dir(args.out_dir);
	if (rc == 0)
		rc = command_load(&settings, &args);
	if (rc == 0) {
		catch_signals();
		settings.sensor.acked_frame_numbers = !settings.stream.inline_mode;
		sensor.reading = true;
		sensor.paths = (const char *const *)paths;
		rc = read_captures(&sensor, &settings, args.out_dir);
	}
	free_paths(paths, sensor.path_count);
	return rc == 0 ? 0 : 1;
}
