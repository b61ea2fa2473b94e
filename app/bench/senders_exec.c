#include "app/bench/senders.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char program[] = "millrace-bench-senders";

int
senders_main(int argc, char **argv)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof(program) - 1);
	char *slash;

	path[len < 0 ? 0 : len] = '\0';
	slash = strrchr(path, '/');
	if (slash != NULL) {
		memcpy(slash + 1, program, sizeof(program));
		execv(path, argv);
	}
	fprintf(stderr, "millrace-bench: %s: %s\n", program, strerror(errno));
	return 1;
}
