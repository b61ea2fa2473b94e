/* `millrace rules`: of a running sensor by its control socket, of files by the sensor's own program. */
#ifndef MR_MILLRACE_RULES_H
#define MR_MILLRACE_RULES_H

#include "app/millrace/options.h"

/** Becomes `millrace-sensor rules ...`: the one beside this program, else that of PATH. The engine with Hyperscan stays
 *  in one program. @return an exit status, only when that cannot be started. */
int rules_by_sensor(int argc, char **argv);
/** Prints the rules that cost a running sensor most. @return an exit status. */
int rules_top(const struct options *options);

#endif
