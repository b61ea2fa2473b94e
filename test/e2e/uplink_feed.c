/*
 * Feeds the sinks by hand: `uplink_feed [--shed] KEY=VALUE...` reads from standard input "LANE JSON" (a record), "!flush",
 * "!drain MS" and "!status", and answers each command with one line. For uplink_test.py and for trying a link out. With
 * --shed records are dropped as a live sensor does when the disk hangs; else they wait.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/sink/sink.h"

static void
command(struct sink_set *set, const char *text)
{
	if (strncmp(text, "!flush", 6) == 0) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		sink_set_flush(set, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
		puts("flushed");
	} else if (strncmp(text, "!drain ", 7) == 0) {
		puts(sink_set_drain(set, strtoull(text + 7, NULL, 10)) == 0 ? "drained" : "timeout");
	} else if (strncmp(text, "!status", 7) == 0) {
		struct counter_set sets[SINK_MAX];
		unsigned int count = sink_set_counters(set, sets, SINK_MAX);
		json_t *status = sink_set_status(set);
		json_t *counters = json_object();

		for (unsigned int i = 0; i < count; i++)
			for (unsigned int k = 0; k < sets[i].count; k++)
				json_object_set_new(counters, sets[i].descs[k].name,
					json_integer((json_int_t)counter_get(&sets[i].values[k])));
		json_object_set_new(status, "counters", counters);
		json_dumpf(status, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(status);
	} else {
		puts("unknown command");
	}
	fflush(stdout);
}

static void
record(struct sink_set *set, char *line)
{
	char *space = strchr(line, ' ');
	int lane = space == NULL ? -1 : link_lane_parse(line, (size_t)(space - line));

	if (lane < 0) {
		fprintf(stderr, "no lane: %s\n", line);
		return;
	}
	sink_set_write(set, (enum link_lane)lane, space + 1, strlen(space + 1));
}

int
main(int argc, char **argv)
{
	bool sheds = argc > 1 && strcmp(argv[1], "--shed") == 0;
	const struct sink_env env = { .waits = !sheds };
	struct config_error err = { "" };
	struct config *config = NULL;
	struct sink_set *set = NULL;
	char *line = NULL;
	size_t cap = 0;
	int rc = config_load(&config, NULL, &err);

	for (int i = sheds ? 2 : 1; rc == 0 && i < argc; i++)
		rc = config_set(config, argv[i], &err);
	if (rc == 0)
		rc = sink_set_create(&set, config, &env, &err);
	if (rc < 0) {
		fprintf(stderr, "%s\n", err.text);
		config_destroy(config);
		return 1;
	}
	for (ssize_t len; (len = getline(&line, &cap, stdin)) > 0;) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		if (line[0] == '!')
			command(set, line);
		else
			record(set, line);
	}
	free(line);
	sink_set_destroy(set);
	config_destroy(config);
	return 0;
}
