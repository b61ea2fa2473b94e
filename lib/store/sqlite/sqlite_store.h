/*
 * The embedded store: one SQLite file in WAL mode. The writer commits with synchronous=FULL,
 * so what was committed outlives a power cut; readers never wait for it.
 */
#ifndef MR_STORE_SQLITE_STORE_H
#define MR_STORE_SQLITE_STORE_H

#include "lib/store/store.h"

extern const struct store_ops sqlite_store_ops;

#endif
