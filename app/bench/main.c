/* millrace-bench: what sensor and aggregator cost, and traffic to measure and show it with. */
#include <stdio.h>
#include <string.h>

#include "app/bench/generate.h"
#include "app/bench/replay.h"
#include "app/bench/senders.h"
#include "app/bench/store.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "replay", replay_main, "replay FILE [options]     replay a capture from memory through the whole sensor" },
	{ "generate", generate_main, "generate [options]        write the capture of a plant" },
	{ "store", store_main, "store FILE [options]      store EVE lines as the aggregator does" },
	{ "senders", senders_main, "senders FILE [options]    play many sensors against an aggregator" },
};

static int
usage(FILE *out)
{
	fprintf(out, "millrace-bench %s\n\n", MILLRACE_VERSION);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  millrace-bench %s\n", commands[i].help);
	fprintf(out, "\nEach command has --help.\n");
	return out == stdout ? 0 : 2;
}

int
main(int argc, char **argv)
{
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return usage(stdout);
	if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
		printf("millrace-bench %s\n", MILLRACE_VERSION);
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return usage(stderr);
}
