/* The fuzzer's bytes, as a script: numbers first come first served, zero once they are used up. */
#ifndef MR_TEST_FUZZ_INPUT_H
#define MR_TEST_FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What must hold whatever the input: as assert(), but also in a release build. */
#define FUZZ_MUST(condition)                                                                   \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
			abort();                                                               \
		}                                                                              \
	} while (0)

/** At most len of the bytes left. */
static inline struct cursor
fuzz_take(struct cursor *in, size_t len)
{
	size_t left = cursor_left(in);

	if (left == 0 || len == 0)
		return cursor_of("", 0);
	return cursor_sub(in, len < left ? len : left);
}

/** A copy of its own, so that the address sanitizer sees a read past the end. Free with free(). */
static inline uint8_t *
fuzz_copy(struct cursor in)
{
	size_t len = cursor_left(&in);
	uint8_t *copy = malloc(len);

	FUZZ_MUST(copy != NULL || len == 0);
	if (len > 0)
		memcpy(copy, in.pos, len);
	return copy;
}

/** A file with the bytes, in memory. @return its path in a static buffer; close *fd afterwards */
const char *fuzz_file(struct cursor in, int *fd);

/** The path of a folder in memory, which is not there yet and goes when the process ends. One a process. */
const char *fuzz_folder(const char *name);

#endif
