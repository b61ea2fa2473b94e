/*
 * A disk of which places cannot be read, for the tests: this pread() takes the C library's place in the program that
 * includes it, and asks first.
 */
#ifndef MR_SPOOL_TEST_EIO_H
#define MR_SPOOL_TEST_EIO_H

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whether a read of the file's bytes [at, at + len) fails; NULL: none does. */
static bool (*eio_fails)(int fd, off_t at, size_t len);

ssize_t
pread(int fd, void *to, size_t len, off_t at)
{
	if (eio_fails != NULL && eio_fails(fd, at, len)) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, to, len, at);
}

/* @param name  of a file; @return whether fd is open on one whose path ends so */
static inline bool
eio_is(int fd, const char *name)
{
	char link[32], path[256];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t got = readlink(link, path, sizeof(path) - 1);
	size_t len = strlen(name);

	path[got < 0 ? 0 : got] = '\0';
	return got >= (ssize_t)len && strcmp(path + got - len, name) == 0;
}

#endif
