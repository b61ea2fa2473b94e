/* `uplink test`: the ways out, walked step by step, with what to do where one ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/sensor/command.h"
#include "lib/link/uplink_check.h"
#include "lib/sink/uplink/uplink_sink.h"

static const char usage[] = "usage: millrace-sensor uplink test -c FILE [WAY] [--set KEY=VALUE]...";

struct screen {
	const char *way; /* of the last line; NULL: none yet */
};

static void
print_line(void *arg, const struct uplink_check_line *line)
{
	struct screen *screen = arg;
	const char *mark = line->error != WAY_DONE ? "FAULT" : line->warning ? "warn" : "ok";

	if (line->way != NULL && line->way != screen->way)
		printf("\nway \"%s\"\n", line->way);
	screen->way = line->way;
	printf("  %-5s  %-15s  %s", mark, line->step, line->text);
	if (line->took_ms > 0)
		printf(" (%llu ms)", (unsigned long long)line->took_ms);
	putchar('\n');
	if (line->error != WAY_DONE)
		printf("         %-15s  %s: %s\n", "", way_error_name(line->error), way_error_advice(line->error));
	fflush(stdout);
}

int
command_uplink(int argc, char **argv)
{
	static struct command_args args;
	struct uplink_sink_settings uplink;
	struct settings settings;
	struct screen screen = { NULL };
	struct config_error err = { "" };
	bool help = argc >= 2 && strcmp(argv[1], "--help") == 0;

	if (argc < 2 || strcmp(argv[1], "test") != 0) {
		fprintf(help ? stdout : stderr, "%s\n", usage);
		return help ? 0 : 2;
	}
	int rc = command_parse_words(&args, argc - 1, argv + 1, usage);

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	if (args.word_count > 1) {
		fprintf(stderr, "%s\n", usage);
		return 2;
	}
	if (command_load(&settings, &args) != 0)
		return 1;
	rc = uplink_sink_settings_read(&uplink, settings.config, &err);
	if (rc == 0)
		rc = uplink_check(&uplink.uplink, args.word_count == 1 ? args.words[0] : NULL, print_line, &screen, &err);
	if (rc < 0)
		fprintf(stderr, "millrace-sensor: %s\n", err.text);
	else
		printf("\n%s\n", rc == 0 ? "every way works" : "not every way works");
	uplink_sink_settings_free(&uplink);
	settings_destroy(&settings);
	return rc == 0 ? 0 : 1;
}
