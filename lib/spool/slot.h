/*
 * A small state kept in a file of two slots, written in turn: whichever byte a crash stops at,
 * the older slot is whole. Both slots lie in blocks of their own and are written once at
 * creation, so that a full disk does not stop later saves.
 *
 * Thread: one at a time.
 */
#ifndef MR_SPOOL_SLOT_H
#define MR_SPOOL_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SLOT_LEN = 4096,
	SLOT_HEADER_LEN = 24,
	SLOT_STATE_LEN_MAX = SLOT_LEN - SLOT_HEADER_LEN,
};

struct slot_file {
	int fd; /* -1: not open */
	uint64_t generation;
};

/**
 * Opens or makes the file and reads its newest valid state.
 *
 * @param state, len  out: the state, 1..SLOT_STATE_LEN_MAX bytes; untouched when none is valid
 * @return 1 when a state was read, 0 when there is none (a longer one is none; the end of a shorter one, which a
 *         version before wrote, is zeroed), or -errno
 */
int slot_open(struct slot_file *file, int dir_fd, const char *name, void *state, size_t len);
/** @param sync  wait for the disk. @return 0 or -errno. */
int slot_save(struct slot_file *file, const void *state, size_t len, bool sync);
void slot_close(struct slot_file *file);

#endif
