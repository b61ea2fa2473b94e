/*
 * The sensor's certificate and key, read whole and checked against each other before use, so that a pair that is just
 * being replaced is never half of each. Inside lib/link. Thread: one at a time.
 */
#ifndef MR_LINK_UPLINK_IDENTITY_H
#define MR_LINK_UPLINK_IDENTITY_H

#include <sys/stat.h>
#include <time.h>

#include "lib/link/batch.h"
#include "lib/link/way.h"

enum { IDENTITY_FILE_LEN_MAX = 1 << 20 };

enum identity_file { IDENTITY_CERT, IDENTITY_KEY, IDENTITY_CA, IDENTITY_FILES };

struct identity_paths {
	char at[IDENTITY_FILES][WAY_PATH_LEN_MAX + 1];
};

struct identity {
	char *text[IDENTITY_FILES]; /* PEM; of the key, perhaps a handle (key.h) */
	size_t len[IDENTITY_FILES];
	struct timespec modified[IDENTITY_FILES];
	ino_t inode[IDENTITY_FILES];
	char sensor[BATCH_SENSOR_MAX + 1]; /* the subject CN */
	time_t not_after;                  /* of the certificate */
	time_t ca_not_after;               /* of the CA certificate that ends first */
};

/**
 * @param bad  out: the file at fault
 * @param why  out: what is wrong with it; static text
 * @return 0 or -errno
 */
int identity_load(struct identity *out, const struct identity_paths *paths, enum identity_file *bad, const char **why);
void identity_free(struct identity *identity);
/** Whether a file is another than the one that was read. */
bool identity_changed(const struct identity *identity, const struct identity_paths *paths);

#endif
