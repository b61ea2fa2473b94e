#include "lib/link/way_stream.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t
way_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
way_fail(struct way_failure *fail, enum way_error error, const char *format, ...)
{
	va_list args;

	fail->error = error;
	va_start(args, format);
	vsnprintf(fail->text, sizeof(fail->text), format, args);
	va_end(args);
	/* What a proxy said may be in it. */
	for (char *c = fail->text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

struct way_stream *
way_stream_create(int fd, int cancel_fd)
{
	struct way_stream *stream = calloc(1, sizeof(*stream));
	BIO *top = stream == NULL ? NULL : BIO_new_socket(fd, BIO_CLOSE);

	if (top == NULL) {
		close(fd);
		free(stream);
		return NULL;
	}
	*stream = (struct way_stream){ .fd = fd, .top = top, .cancel_fd = cancel_fd };
	return stream;
}

void
way_stream_destroy(struct way_stream *stream)
{
	if (stream == NULL)
		return;
	BIO_free_all(stream->top);
	free(stream);
}

int
way_stream_wait(const struct way_stream *stream, short events)
{
	/* Without events a poll still tells that the other end is gone. */
	struct pollfd fds[2] = { { .fd = stream->fd, .events = events }, { .fd = stream->cancel_fd } };

	for (;;) {
		uint64_t now_ms = way_now_ms();
		int rc = now_ms >= stream->deadline_ms ? 0 : poll(fds, 2, (int)(stream->deadline_ms - now_ms));

		if (rc == 0)
			return -ETIMEDOUT;
		if (rc > 0 && fds[1].revents != 0)
			return -ECANCELED;
		if (rc > 0 && fds[0].revents != 0)
			return 0;
	}
}

/* After a BIO did nothing. @return 0: once more */
static int
wait_for_bio(struct way_stream *stream)
{
	if (!BIO_should_retry(stream->top))
		return -EPIPE;
	return way_stream_wait(stream, BIO_should_write(stream->top) ? POLLOUT : POLLIN);
}

int
way_stream_write(struct way_stream *stream, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		int n = BIO_write(stream->top, at, len > 65536 ? 65536 : (int)len);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		int rc = wait_for_bio(stream);

		if (rc != 0)
			return rc;
	}
	return 0;
}

int
way_stream_read(struct way_stream *stream, void *data, size_t len)
{
	for (;;) {
		errno = 0;
		int n = BIO_read(stream->top, data, (int)len);

		if (n > 0)
			return n;
		/* Of a socket's end an SSL BIO says only that it is no retry. */
		if (!BIO_should_retry(stream->top))
			return errno == ECONNRESET || errno == ETIMEDOUT ? -EPIPE : 0;
		int rc = wait_for_bio(stream);

		if (rc != 0)
			return rc;
	}
}
