/* Which CPU each thread that polls has. */
#ifndef MR_SENSOR_CORES_H
#define MR_SENSOR_CORES_H

#include "app/sensor/sensor_config.h"

struct cores {
	unsigned int worker_count;
	unsigned int workers[WORKER_MAX];
	unsigned int exporter;
};

/** The CPUs of this machine, as far as the choice goes by them. */
struct cores_machine {
	unsigned int usable[256]; /* by this process */
	unsigned int usable_count;
	unsigned int count;       /* of all: they are numbered from 0 */
};

void cores_look(struct cores_machine *out);
/**
 * @param exporter_given  whether exporter.core is in the configuration
 * @param reading         captures: one worker where nothing is said
 * @return 0, or -EINVAL with err set: a CPU that is not there, or fewer named than there are workers
 */
int cores_choose(struct cores *out, const struct sensor_config *config, bool exporter_given, bool reading,
	const struct cores_machine *machine, struct config_error *err);
/** @return the first CPU that two of them have, or -1 */
int cores_shared(const struct cores *cores);

#endif
