/* Whether the file system that holds the spool is still the one, mounted as it was, that took the last writes. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/spool/spool_private.h"

enum { LINK_LEN_MAX = 512 };

static const char *const types[] = { "ext4", "xfs", "f2fs" };

/*
 * These file systems have a folder in sysfs as long as they are mounted, whose inode number the kernel never gives out
 * twice while it runs. A number of the mount itself would change with the sandbox of a service.
 */
uint64_t
spool_mount_id(int dir_fd)
{
	char path[64 + LINK_LEN_MAX];
	char target[LINK_LEN_MAX + 1];
	struct stat st;

	if (fstat(dir_fd, &st) != 0)
		return 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	ssize_t len = readlink(path, target, LINK_LEN_MAX);

	if (len <= 0)
		return 0;
	target[len] = '\0';
	const char *slash = strrchr(target, '/');

	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		snprintf(path, sizeof(path), "/sys/fs/%s/%s", types[i], slash == NULL ? target : slash + 1);
		if (stat(path, &st) == 0)
			return st.st_ino;
	}
	return 0;
}
