/*
 * Folders that a file or socket is to be in: made where they are missing, so that what a guide shows runs on a fresh machine,
 * and what is below /run after a boot.
 *
 * Thread: any.
 */
#ifndef MR_BASE_FOLDER_H
#define MR_BASE_FOLDER_H

#include <sys/types.h>

/** Makes the folder with that mode, and those above it with 0755; those that are there stay as they are. @return 0 or -errno */
int folder_make(const char *dir, mode_t mode);
/** Makes the folders above a file, with 0755. @return 0 or -errno */
int folder_make_above(const char *file);

#endif
