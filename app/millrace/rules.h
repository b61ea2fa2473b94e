/* `millrace rules`: of a running sensor, by its control socket. */
#ifndef MR_MILLRACE_RULES_H
#define MR_MILLRACE_RULES_H

#include "app/millrace/options.h"

/** Prints the rules that cost a running sensor most. @return an exit status. */
int rules_top(const struct options *options);

#endif
