/*
 * Folders that a file or socket is to be in: made where they are missing, so that what a guide shows runs on a fresh machine,
 * and what is below /run after a boot. And files in them, made for whom they are.
 *
 * Thread: any.
 */
#ifndef MR_BASE_FOLDER_H
#define MR_BASE_FOLDER_H

#include <sys/types.h>

/** Makes the folder with that mode, and those above it with 0755; those that are there stay as they are. What root makes belongs to
 *  the owner of the folder above. @return 0 or -errno */
int folder_make(const char *dir, mode_t mode);
/** Makes the folders above a file, with 0755. @return 0 or -errno */
int folder_make_above(const char *file);

/** Whether a file that a program will write can be there: it, or what it would be made in, takes it. Nothing is made.
 *  @return 0 or -errno */
int folder_can_make(const char *file);
/** The same of one that is written on as it is where it is there, a pipe or a device among them: it alone has to take it. */
int folder_can_open(const char *file);

/**
 * Makes a file that is not there yet, for writing and reading, not through a symbolic link. One that root makes belongs to the
 * owner of the file it is to replace, else of its folder: what an operator does by hand is for a service that is another user's.
 *
 * @param replaces  NULL: none. @return a descriptor, or -errno (-EEXIST: it is there)
 */
int folder_make_file(const char *file, const char *replaces, mode_t mode);

#endif
