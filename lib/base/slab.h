/*
 * Bounded memory for one thread: blocks in power-of-two classes, cut from one area that
 * is obtained at creation. No system call after slab_create(). When the area is used up
 * slab_alloc() returns NULL and the caller sheds and counts.
 *
 * Thread: the owner's only.
 */
#ifndef MR_BASE_SLAB_H
#define MR_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum {
	SLAB_BLOCK_MIN = 64,
	SLAB_BLOCK_MAX = 256 * 1024,
};

struct slab;

/**
 * @param out     the slab, owned by the caller
 * @param bytes   area to cut blocks from; rounded up to a whole number of the largest blocks
 * @return 0, -EINVAL (bytes is 0) or -ENOMEM
 */
int slab_create(struct slab **out, size_t bytes);
void slab_destroy(struct slab *slab);

/** @return a block of at least len bytes, 64-byte aligned, not cleared; NULL when none is left
 *  or len is above SLAB_BLOCK_MAX. */
void *slab_alloc(struct slab *slab, size_t len);
/** Gives a block back. @param len the length it was asked for with. NULL is accepted. */
void slab_free(struct slab *slab, void *block, size_t len);

/** Bytes handed out now, in whole blocks. */
size_t slab_used(const struct slab *slab);
size_t slab_size(const struct slab *slab);

#endif
