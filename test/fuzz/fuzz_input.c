#include "test/fuzz/fuzz_input.h"

#include <sys/mman.h>
#include <unistd.h>

#include "test/folder.h"

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

static char folder[64];

static void
remove_folder(void)
{
	(void)test_folder_remove(folder);
}

const char *
fuzz_folder(const char *name)
{
	snprintf(folder, sizeof(folder), "/dev/shm/fuzz-%s.%d", name, getpid());
	remove_folder();
	FUZZ_MUST(atexit(remove_folder) == 0);
	return folder;
}
