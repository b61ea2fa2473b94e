/* The file's bytes: plain or gzip'd, in a window that grows only for large blocks. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/capture/capture_private.h"

enum { GZIP_BUFFER_LEN = 256 * 1024 };

/* A pipe cannot be looked at without consuming: zlib then finds out by itself and passes plain data through. */
static bool
wants_gzip(int fd)
{
	uint8_t magic[2];
	ssize_t got = pread(fd, magic, sizeof(magic), 0);

	return got < 0 ? errno == ESPIPE : got == sizeof(magic) && magic[0] == 0x1f && magic[1] == 0x8b;
}

int
capture_input_open(struct capture_input *in, const char *path)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*in = (struct capture_input){ .fd = fd, .cap = CAPTURE_AREA_LEN };
	in->area = malloc(in->cap);
	if (in->area == NULL) {
		capture_input_close(in);
		return -ENOMEM;
	}
	if (!wants_gzip(fd)) {
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		return 0;
	}
	in->gz = gzdopen(fd, "rb");
	if (in->gz == NULL) {
		capture_input_close(in);
		return -ENOMEM;
	}
	in->fd = -1;
	(void)gzbuffer(in->gz, GZIP_BUFFER_LEN);
	return 0;
}

void
capture_input_close(struct capture_input *in)
{
	if (in->gz != NULL)
		(void)gzclose_r(in->gz);
	if (in->fd >= 0)
		(void)close(in->fd);
	free(in->area);
	*in = (struct capture_input){ .fd = -1 };
}

/* @return bytes read, 0 at the end, -errno */
static ssize_t
read_gzip(struct capture_input *in, size_t len)
{
	int got = gzread(in->gz, in->area + in->end, (unsigned int)len);
	int fault;

	if (got > 0)
		return got;
	(void)gzerror(in->gz, &fault);
	if (fault == Z_ERRNO)
		return errno != 0 ? -errno : -EIO;
	if (fault == Z_MEM_ERROR)
		return -ENOMEM;
	in->cut = fault != Z_OK && fault != Z_STREAM_END;
	return 0;
}

static ssize_t
read_plain(struct capture_input *in, size_t len)
{
	ssize_t got;

	do
		got = read(in->fd, in->area + in->end, len);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

int
capture_input_fill(struct capture_input *in, size_t len)
{
	if (in->pos > 0) {
		memmove(in->area, in->area + in->pos, in->end - in->pos);
		in->offset += in->pos;
		in->end -= in->pos;
		in->pos = 0;
	}
	if (len > in->cap) {
		uint8_t *area = realloc(in->area, len);

		if (area == NULL)
			return -ENOMEM;
		in->area = area;
		in->cap = len;
	}
	while (in->end < len && !in->ended) {
		ssize_t got = in->gz != NULL ? read_gzip(in, in->cap - in->end) : read_plain(in, in->cap - in->end);

		if (got < 0)
			return (int)got;
		in->ended = got == 0;
		in->end += (size_t)got;
	}
	return 0;
}
