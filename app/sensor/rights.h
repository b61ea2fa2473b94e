/* What this process may not do, though its ports need it: root may lack it, too, in a container or under a supervisor. */
#ifndef MR_SENSOR_RIGHTS_H
#define MR_SENSOR_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

enum { RIGHTS_TEXT = 96 };

/**
 * @param xdp  for af_xdp:, else for af_packet:
 * @param out  names of the capabilities that are missing, a space before each (capabilities(7)); "": none is
 */
void rights_missing(bool xdp, char out[RIGHTS_TEXT]);

#endif
