#include "lib/base/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/folder.h"

int
hold_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	while (err == 0 && flock(fd, LOCK_EX) != 0)
		err = errno == EINTR ? 0 : -errno;
	if (err == 0)
		return fd;
	hold_let_go(fd);
	return err;
}

int
hold_folder_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	char *dir = slash == NULL ? strdup(".") : strndup(file, slash == file ? 1 : (size_t)(slash - file));
	int held = dir == NULL ? -ENOMEM : hold_folder(dir);

	free(dir);
	return held;
}

int
hold_file(const char *path)
{
	int fd = folder_make_file(path, NULL, 0600);
	int err;

	if (fd == -EEXIST)
		fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	else if (fd < 0)
		return fd;
	err = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 ? -errno : 0;
	if (err == 0)
		return fd;
	hold_let_go(fd);
	return err == -EWOULDBLOCK ? -EBUSY : err;
}

void
hold_let_go(int held)
{
	if (held >= 0)
		close(held);
}
