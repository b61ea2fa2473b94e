#include "lib/base/slab.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/base/mem.h"

enum { SLAB_CLASS_COUNT = 13 }; /* 64 bytes to 256 KiB */

static_assert(SLAB_BLOCK_MIN << (SLAB_CLASS_COUNT - 1) == SLAB_BLOCK_MAX, "classes reach from min to max");

struct slab_block {
	struct slab_block *next;
};

struct slab {
	struct slab_block *free[SLAB_CLASS_COUNT];
	uint8_t *area;
	size_t area_len;
	size_t fresh; /* offset of what was never cut */
	size_t used;
};

int
slab_create(struct slab **out, size_t bytes)
{
	struct slab *slab;

	if (bytes == 0)
		return -EINVAL;
	slab = calloc(1, sizeof(*slab));
	if (slab == NULL)
		return -ENOMEM;
	slab->area_len = (bytes + SLAB_BLOCK_MAX - 1) & ~(size_t)(SLAB_BLOCK_MAX - 1);
	slab->area = mem_area_create(slab->area_len);
	if (slab->area == NULL) {
		slab_destroy(slab);
		return -ENOMEM;
	}
	*out = slab;
	return 0;
}

void
slab_destroy(struct slab *slab)
{
	if (slab == NULL)
		return;
	mem_area_destroy(slab->area, slab->area_len);
	free(slab);
}

static unsigned int
class_of(size_t len)
{
	if (len <= SLAB_BLOCK_MIN)
		return 0;
	return 64 - 6 - (unsigned int)__builtin_clzll(len - 1);
}

static void
push(struct slab *slab, unsigned int class_idx, void *block)
{
	struct slab_block *head = block;

	head->next = slab->free[class_idx];
	slab->free[class_idx] = head;
}

/* Cuts a fresh block; when the area is used up, halves the smallest larger block that is free. */
static void *
cut(struct slab *slab, unsigned int class_idx)
{
	size_t len = (size_t)SLAB_BLOCK_MIN << class_idx;
	unsigned int from = class_idx + 1;
	uint8_t *block;

	if (slab->area_len - slab->fresh >= len) {
		slab->fresh += len;
		return slab->area + slab->fresh - len;
	}
	while (from < SLAB_CLASS_COUNT && slab->free[from] == NULL)
		from++;
	if (from == SLAB_CLASS_COUNT)
		return NULL;
	block = (uint8_t *)slab->free[from];
	slab->free[from] = slab->free[from]->next;
	while (from-- > class_idx)
		push(slab, from, block + ((size_t)SLAB_BLOCK_MIN << from));
	return block;
}

void *
slab_alloc(struct slab *slab, size_t len)
{
	unsigned int class_idx;
	struct slab_block *block;

	if (len > SLAB_BLOCK_MAX)
		return NULL;
	class_idx = class_of(len);
	block = slab->free[class_idx];
	if (block != NULL) {
		slab->free[class_idx] = block->next;
		__builtin_prefetch(block->next, 1); /* the next one to be asked for was given back long ago */
	} else {
		block = cut(slab, class_idx);
	}
	if (block != NULL)
		slab->used += (size_t)SLAB_BLOCK_MIN << class_idx;
	return block;
}

void
slab_free(struct slab *slab, void *block, size_t len)
{
	unsigned int class_idx = class_of(len);

	if (block == NULL)
		return;
	slab->used -= (size_t)SLAB_BLOCK_MIN << class_idx;
	push(slab, class_idx, block);
}

size_t
slab_used(const struct slab *slab)
{
	return slab->used;
}

size_t
slab_size(const struct slab *slab)
{
	return slab->area_len;
}
