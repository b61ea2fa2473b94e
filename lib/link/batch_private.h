/* Shared by the codec's files. */
#ifndef MR_LINK_BATCH_PRIVATE_H
#define MR_LINK_BATCH_PRIVATE_H

#include "lib/link/batch.h"

/** Digits alone, up to max. @return whether it is such a number */
bool batch_number_read(const char *text, uint64_t max, uint64_t *out);

#endif
