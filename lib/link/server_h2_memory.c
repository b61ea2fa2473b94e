/*
 * Memory for nghttp2. A session has a buffer for a whole frame, 16 KiB, of which an answer to a batch touches the first bytes: on pages of its
 * own the rest of it is never there, which is a quarter of what a sensor's idle connection would cost.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/link/server_h2.h"

enum { LARGE = 16 * 1024 };

/* Before each block; keeps malloc's alignment. */
struct block {
	size_t len;
	size_t mapped; /* bytes with this; 0: of the heap */
};

static void *
take(size_t len)
{
	size_t whole = len + sizeof(struct block);
	struct block *block;

	if (whole < len)
		return NULL;
	block = len < LARGE ? malloc(whole) : mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == NULL || block == MAP_FAILED)
		return NULL;
	*block = (struct block){ .len = len, .mapped = len < LARGE ? 0 : whole };
	return block + 1;
}

static void *
h2_malloc(size_t len, void *user)
{
	return take(len);
}

static void
h2_free(void *at, void *user)
{
	struct block *block = at;

	if (block == NULL)
		return;
	block--;
	if (block->mapped != 0)
		munmap(block, block->mapped);
	else
		free(block);
}

static void *
h2_calloc(size_t count, size_t len, void *user)
{
	void *at = len != 0 && count > SIZE_MAX / len ? NULL : take(count * len);

	if (at != NULL && count * len < LARGE)
		memset(at, 0, count * len);
	return at;
}

static void *
h2_realloc(void *old, size_t len, void *user)
{
	void *at = take(len);

	if (at == NULL || old == NULL)
		return at;
	memcpy(at, old, len < ((struct block *)old)[-1].len ? len : ((struct block *)old)[-1].len);
	h2_free(old, user);
	return at;
}

nghttp2_mem server_h2_memory = { .malloc = h2_malloc, .free = h2_free, .calloc = h2_calloc, .realloc = h2_realloc };
