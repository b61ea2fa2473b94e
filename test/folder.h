/* A folder of a test's own, gone with everything in it at the end. */
#ifndef MR_TEST_FOLDER_H
#define MR_TEST_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEST_FOLDER_LEN = 64 };

static inline int
test_folder_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

/** @param under  /tmp, say  @param path  out  @return 0 or -1: for a test's setup */
static inline int
test_folder_make(char path[TEST_FOLDER_LEN], const char *under, const char *name)
{
	snprintf(path, TEST_FOLDER_LEN, "%s/%s.XXXXXX", under, name);
	return mkdtemp(path) == NULL ? -1 : 0;
}

/** @return 0 or -1: for a test's teardown */
static inline int
test_folder_remove(const char *path)
{
	return nftw(path, test_folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
