/*
 * A driver without a fuzzer: runs the inputs of files and folders once each, and ends where the driver does. Built by the compiler
 * and the options that the programs are built by, which the fuzzer's clang does not share.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "test/fuzz/fuzz_input.h"

enum { INPUT_MAX = 1 << 20, PATH_LEN = 4096 };

static unsigned long count;
static char running[PATH_LEN];

/* What a crash was at. */
void __asan_on_error(void);

void
__asan_on_error(void)
{
	fprintf(stderr, "input: %s\n", running);
}

static bool
run_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	uint8_t *copy;
	size_t len;

	if (file == NULL) {
		perror(path);
		return false;
	}
	len = fread(data, 1, sizeof(data), file);
	fclose(file);
	copy = malloc(len == 0 ? 1 : len); /* its end is where the sanitizer sees it */
	if (copy == NULL)
		return false;
	memcpy(copy, data, len);
	snprintf(running, sizeof(running), "%s", path);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	count++;
	return true;
}

static bool
run_folder(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	char name[PATH_LEN];
	bool good = folder != NULL;

	if (folder == NULL)
		perror(path);
	while (good && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		good = run_file(name);
	}
	if (folder != NULL)
		closedir(folder);
	return good;
}

int
main(int argc, char **argv)
{
	bool good = true;

	for (int i = 1; i < argc && good; i++) {
		struct stat status;

		good = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode) ? run_folder(argv[i]) : run_file(argv[i]);
	}
	printf("%lu inputs\n", count);
	return good ? 0 : 1;
}
