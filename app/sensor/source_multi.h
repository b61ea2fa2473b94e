/* Several sources as one: each call asks the next in turn. For a worker that serves more than one port. */
#ifndef MR_SENSOR_SOURCE_MULTI_H
#define MR_SENSOR_SOURCE_MULTI_H

#include "app/sensor/source.h"

enum { SOURCE_MULTI_MAX = 256 };

/** @param parts [part_count], given; all live. @return 0 or -ENOMEM (parts are destroyed then) */
int source_multi_create(struct source **out, struct source *const parts[], unsigned int part_count);

#endif
