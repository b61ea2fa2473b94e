/* `millrace sensors invite|revoke|audit`: who may be a sensor. */
#ifndef MR_MILLRACE_SENSORS_H
#define MR_MILLRACE_SENSORS_H

#include "app/millrace/options.h"

/** @param options its words are sensors and what follows. @return an exit status. */
int sensors_run(const struct options *options);

#endif
