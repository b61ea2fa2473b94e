/* The file's bytes: as they are or unpacked, in a window that grows only for large blocks. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/capture/capture_private.h"

enum { PACKED_LEN = 256 * 1024 };

/* @return bytes read, 0 at the end, -errno */
static ssize_t
read_some(int fd, uint8_t *to, size_t len)
{
	ssize_t got;

	do
		got = read(fd, to, len);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* A pipe cannot be looked at without consuming: the first bytes are read for good, and handed to who is to unpack them. */
static int
find_unpacker(struct capture_input *in)
{
	while (in->end < UNPACK_MAGIC_LEN && !in->ended) {
		ssize_t got = read_some(in->fd, in->area + in->end, UNPACK_MAGIC_LEN - in->end);

		if (got < 0)
			return (int)got;
		in->ended = got == 0;
		in->end += (size_t)got;
	}
	in->packed.by = unpacker_find(in->area, in->end);
	if (in->packed.by == NULL)
		return 0;
	in->packed.area = malloc(PACKED_LEN);
	in->packed.state = in->packed.area == NULL ? NULL : in->packed.by->open();
	if (in->packed.state == NULL)
		return -ENOMEM;
	memcpy(in->packed.area, in->area, in->end);
	in->packed.end = in->end;
	in->packed.ended = in->ended;
	in->ended = false;
	in->end = 0;
	return 0;
}

int
capture_input_open(struct capture_input *in, const char *path)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	*in = (struct capture_input){ .fd = fd, .cap = CAPTURE_AREA_LEN };
	in->area = malloc(in->cap);
	error = in->area == NULL ? -ENOMEM : find_unpacker(in);
	if (error < 0)
		capture_input_close(in);
	else
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return error;
}

void
capture_input_close(struct capture_input *in)
{
	if (in->packed.state != NULL)
		in->packed.by->close(in->packed.state);
	if (in->fd >= 0)
		(void)close(in->fd);
	free(in->packed.area);
	free(in->area);
	*in = (struct capture_input){ .fd = -1 };
}

/* One step. @return bytes made, -errno */
static ssize_t
unpack(struct capture_input *in, size_t len)
{
	size_t left = in->packed.end - in->packed.pos;
	struct unpack_io io = { .in = in->packed.area + in->packed.pos, .in_len = left, .out = in->area + in->end, .out_len = len,
		.last = in->packed.ended };
	enum unpack_result result = in->packed.by->step(in->packed.state, &io);
	bool idle = io.in_len == left && io.out_len == len;

	in->packed.pos = in->packed.end - io.in_len;
	if (result == UNPACK_NO_MEMORY)
		return -ENOMEM;
	/* A step that neither took nor made says nothing new, but that it is stuck where there was something to take. */
	if (!idle || result > UNPACK_COMPLETE)
		in->packed.result = result;
	else if (left > 0)
		in->packed.result = UNPACK_DAMAGED;
	return (ssize_t)(len - io.out_len);
}

/* @return bytes made, 0 at the end, -errno */
static ssize_t
read_packed(struct capture_input *in, size_t len)
{
	bool drained = false;

	while (in->packed.result <= UNPACK_COMPLETE && !drained) {
		ssize_t made;

		drained = in->packed.ended && in->packed.pos == in->packed.end;
		if (in->packed.pos == in->packed.end && !in->packed.ended) {
			ssize_t got = read_some(in->fd, in->packed.area, PACKED_LEN);

			if (got < 0)
				return got;
			in->packed.pos = 0;
			in->packed.end = (size_t)got;
			in->packed.ended = got == 0;
		}
		made = unpack(in, len);
		if (made != 0)
			return made;
	}
	in->cut = in->packed.result != UNPACK_COMPLETE && in->packed.result != UNPACK_OVER;
	return 0;
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
		size_t room = in->cap - in->end;
		ssize_t got = in->packed.by != NULL ? read_packed(in, room) : read_some(in->fd, in->area + in->end, room);

		if (got < 0)
			return (int)got;
		in->ended = got == 0;
		in->end += (size_t)got;
	}
	return 0;
}
