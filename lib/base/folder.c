#include "lib/base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whose what root makes is to be. Root that may not give it away keeps it, and can use it. */
static int
owner_of(struct stat *out, const char *file, const char *replaces)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(file, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - file);

	if (replaces != NULL && stat(replaces, out) == 0)
		return 0;
	if (len >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, file, len);
	dir[len] = '\0';
	return stat(slash == NULL ? "." : len == 0 ? "/" : dir, out) == 0 ? 0 : -errno;
}

static int
make_one(const char *dir, mode_t mode)
{
	struct stat status;

	if (mkdir(dir, mode) == 0) {
		if (geteuid() == 0 && owner_of(&status, dir, NULL) == 0)
			(void)!lchown(dir, status.st_uid, status.st_gid);
		return 0;
	}
	int err = -errno;

	/* A read-only file system, or a folder that others own, may have it already. */
	if (stat(dir, &status) != 0)
		return err;
	return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int
folder_can_make(const char *file)
{
	char above[PATH_MAX];
	struct stat status;
	size_t len = strlen(file);

	if (len >= sizeof(above))
		return -ENAMETOOLONG;
	if (stat(file, &status) == 0 && S_ISDIR(status.st_mode))
		return -EISDIR;
	if (access(file, F_OK) == 0 && access(file, R_OK | W_OK) != 0)
		return -errno;
	memcpy(above, file, len + 1);
	do {
		char *slash = strrchr(above, '/');

		if (slash == NULL)
			memcpy(above, ".", sizeof("."));
		else
			slash[slash == above] = '\0';
	} while (stat(above, &status) != 0 && strcmp(above, "/") != 0 && strcmp(above, ".") != 0);
	if (stat(above, &status) != 0 || !S_ISDIR(status.st_mode))
		return -ENOTDIR;
	return access(above, W_OK | X_OK) == 0 ? 0 : -errno;
}

int
folder_can_open(const char *file)
{
	struct stat status;
	bool there = stat(file, &status) == 0 && !S_ISDIR(status.st_mode) && access(file, W_OK) == 0;

	return there ? 0 : folder_can_make(file);
}

int
folder_make_above(const char *file)
{
	char path[PATH_MAX];
	size_t len = strlen(file);

	if (len == 0 || len >= sizeof(path))
		return len == 0 ? 0 : -ENAMETOOLONG;
	memcpy(path, file, len + 1);
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int err = make_one(path, 0755);

		*slash = '/';
		if (err != 0)
			return err;
	}
	return 0;
}

int
folder_make(const char *dir, mode_t mode)
{
	char path[PATH_MAX];
	size_t len = strlen(dir);

	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, dir, len + 1);
	/* "a/" is the folder a, not one above something. */
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	int err = folder_make_above(path);

	return err != 0 ? err : make_one(path, mode);
}

int
folder_make_file(const char *file, const char *replaces, mode_t mode)
{
	int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	struct stat owner;

	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && owner_of(&owner, file, replaces) == 0)
		(void)!fchown(fd, owner.st_uid, owner.st_gid);
	return fd;
}
