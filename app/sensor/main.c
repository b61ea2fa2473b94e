/* millrace-sensor: arguments to one of its commands. */
#include <stdio.h>
#include <string.h>

#include "app/sensor/command.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", command_run, "run -c FILE [--set KEY=VALUE]...                       live, until SIGTERM; SIGHUP reloads rules" },
	{ "read", command_read, "read [-c FILE] -r FILE|DIR [-S RULES] [-l OUTDIR] [-k none|all] [--set KEY=VALUE]..." },
	{ "check", command_check, "check -c FILE [--set KEY=VALUE]...                     what is wrong, and how to mend it" },
	{ "enrol", command_enrol, "enrol FILE [-c FILE] [--again] [--set KEY=VALUE]...    become a sensor by an activation file" },
	{ "rules", command_rules, "rules check|explain ...                                which rules load, and how one is found" },
	{ "uplink", command_uplink, "uplink test -c FILE [WAY] [--set KEY=VALUE]...         walk the ways to the aggregator step by step" },
	{ "dump", command_dump, "dump [-c FILE] [--set KEY=VALUE]...                    the configuration in force" },
	{ "docs", command_docs, "docs DIR                                               write the reference pages" },
};

static int
usage(FILE *out)
{
	fprintf(out, "millrace-sensor %s: a passive sensor for industrial networks\n\n", MILLRACE_VERSION);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  millrace-sensor %s\n", commands[i].help);
	fprintf(out, "\nExit status: 0 done, 1 failed (said why), 2 wrong arguments.\n");
	return out == stdout ? 0 : 2;
}

int
main(int argc, char **argv)
{
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return usage(stdout);
	if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
		printf("millrace-sensor %s\n", MILLRACE_VERSION);
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	/* Options without a command read a capture, as other sensors do. */
	if (argc >= 2 && argv[1][0] == '-')
		return command_read(argc, argv);
	return usage(stderr);
}
