/* `millrace capture`: frames that a sensor keeps in a file. */
#ifndef MR_MILLRACE_CAPTURE_H
#define MR_MILLRACE_CAPTURE_H

#include "app/millrace/options.h"

/** start [FILTER], stop, status. @return an exit status */
int capture_run(const struct options *options);

#endif
