/* What the files of the identity share. */
#ifndef MR_ENROL_IDENTITY_PRIVATE_H
#define MR_ENROL_IDENTITY_PRIVATE_H

#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/enrol/identity.h"

#define IDENTITY_CA_NAME "ca.pem"

/** Under another name, on the disk, then in one step under its own. @return 0 or -errno with error set */
int identity_put_file(const char *dir, const char *name, mode_t mode, const struct buf *text, char error[IDENTITY_ERROR_MAX]);

#endif
