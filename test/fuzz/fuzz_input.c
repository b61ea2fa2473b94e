#include "test/fuzz/fuzz_input.h"

#include <sys/mman.h>
#include <unistd.h>

const char *
fuzz_file(struct cursor in, int *fd)
{
	static char path[64];
	size_t len = cursor_left(&in);

	*fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_MUST(*fd >= 0);
	if (len > 0)
		FUZZ_MUST(write(*fd, in.pos, len) == (ssize_t)len);
	FUZZ_MUST(lseek(*fd, 0, SEEK_SET) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	return path;
}
