#include "lib/sink/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/folder.h"
#include "lib/base/log.h"

enum { TORN_CHUNK_LEN = 64 * 1024 };

struct file_sink {
	struct file_sink_config config;
	char *path;
	int fd; /* -1: to be opened again at the next flush */
	bool plain;          /* a file, no pipe or device */
	uint64_t file_len;   /* of a plain file */
	uint64_t rotate_len; /* rotated beyond it: rotate_size, and later where that failed */
	bool failing;
	struct buf buffer; /* whole lines */
	_Atomic uint64_t counters[FILE_SINK_COUNTER_COUNT];
};

static const struct knob file_rows[] = {
	{ "outputs.eve.enabled", KNOB_BOOL, offsetof(struct file_sink_config, enabled), 0, 0, "yes", NULL,
		"write events to a file, one JSON object a line" },
	{ "outputs.eve.path", KNOB_TEXT, offsetof(struct file_sink_config, path), 0, 0, "eve.json", NULL,
		"the file; below the log folder unless absolute" },
	{ "outputs.eve.rotate-size", KNOB_SIZE, offsetof(struct file_sink_config, rotate_size), 0, 1ull << 50, "1 GiB", NULL,
		"begin a new file at this size; 0: never" },
	{ "outputs.eve.rotate-keep", KNOB_NUMBER, offsetof(struct file_sink_config, rotate_keep), 0, FILE_SINK_KEEP_MAX, "8",
		NULL, "older files kept, numbered from 1" },
};

const struct knob_table file_sink_knobs = { "sink/file", file_rows, sizeof(file_rows) / sizeof(file_rows[0]) };

static const struct counter_desc counter_descs[FILE_SINK_COUNTER_COUNT] = {
	[FILE_SINK_LINES] = { "sink.file.lines", "lines taken" },
	[FILE_SINK_BYTES] = { "sink.file.bytes", "bytes written" },
	[FILE_SINK_DROPPED] = { "sink.file.dropped", "lines lost because the disk did not take them" },
	[FILE_SINK_ERRORS] = { "sink.file.errors", "failed opens, writes and renames" },
	[FILE_SINK_ROTATIONS] = { "sink.file.rotations", "new files begun by size" },
	[FILE_SINK_TORN_BYTES] = { "sink.file.torn_bytes", "bytes cut from a torn last line at start" },
};

const struct counter_table file_sink_counter_table = { counter_descs, FILE_SINK_COUNTER_COUNT };

static void
fail(struct file_sink *sink, int error, const char *what)
{
	if (!sink->failing)
		log_error("sink", "%s: cannot %s: %s; lines are dropped until it works again", sink->path, what,
			strerror(error));
	sink->failing = true;
	counter_add(&sink->counters[FILE_SINK_ERRORS], 1);
}

/* Where the last whole line ends, searching back from the end. Negative: -errno. */
static off_t
whole_lines_end(int fd, off_t end)
{
	static const off_t chunk_len = TORN_CHUNK_LEN;
	char *chunk = malloc(TORN_CHUNK_LEN);

	if (chunk == NULL)
		return -ENOMEM;
	while (end > 0) {
		off_t at = end > chunk_len ? end - chunk_len : 0;
		ssize_t got = pread(fd, chunk, (size_t)(end - at), at);

		if (got != end - at) {
			end = got < 0 ? -errno : -EIO;
			break;
		}
		const char *newline = memrchr(chunk, '\n', (size_t)got);

		if (newline != NULL) {
			end = at + (newline - chunk) + 1;
			break;
		}
		end = at;
	}
	free(chunk);
	return end;
}

static int
cut_torn_line(struct file_sink *sink)
{
	struct stat st;

	if (fstat(sink->fd, &st) != 0)
		return -errno;
	sink->plain = S_ISREG(st.st_mode);
	if (!sink->plain)
		return 0;
	off_t end = whole_lines_end(sink->fd, st.st_size);

	if (end < 0)
		return (int)end;
	sink->file_len = (uint64_t)end;
	if (end == st.st_size)
		return 0;
	counter_add(&sink->counters[FILE_SINK_TORN_BYTES], (uint64_t)(st.st_size - end));
	log_notice("sink", "%s: cut %lld bytes of a torn last line", sink->path, (long long)(st.st_size - end));
	return ftruncate(sink->fd, end) != 0 ? -errno : 0;
}

static int
open_file(struct file_sink *sink)
{
	/* Of a plain file it means nothing; a pipe that nobody reads must not hold the exporter, and so all other sinks. */
	int flags = O_APPEND | O_CLOEXEC | (sink->config.waits ? 0 : O_NONBLOCK);
	int rc = folder_make_above(sink->path);

	sink->file_len = 0;
	sink->fd = -1;
	if (rc < 0)
		return rc;
	sink->fd = open(sink->path, O_RDWR | O_CREAT | flags, 0640);
	if (sink->fd < 0 && errno == EINVAL)
		sink->fd = open(sink->path, O_WRONLY | flags);
	if (sink->fd < 0)
		return -errno;
	rc = cut_torn_line(sink);
	if (rc < 0) {
		close(sink->fd);
		sink->fd = -1;
	}
	return rc;
}

int
file_sink_create(struct file_sink **out, const struct file_sink_config *config)
{
	struct file_sink *sink = calloc(1, sizeof(*sink));

	if (sink == NULL)
		return -ENOMEM;
	sink->config = *config;
	sink->rotate_len = config->rotate_size;
	sink->fd = -1;
	sink->path = strdup(config->path);
	int rc = sink->path == NULL ? -ENOMEM : buf_create(&sink->buffer, FILE_SINK_WRITE_LEN + FILE_SINK_LINE_LEN_MAX + 1);

	if (rc == 0)
		rc = open_file(sink);
	if (rc < 0) {
		file_sink_destroy(sink);
		return rc;
	}
	*out = sink;
	return 0;
}

void
file_sink_destroy(struct file_sink *sink)
{
	if (sink == NULL)
		return;
	if (sink->buffer.data != NULL)
		file_sink_flush(sink);
	if (sink->fd >= 0)
		close(sink->fd);
	buf_destroy(&sink->buffer);
	free(sink->path);
	free(sink);
}

void
file_sink_write(struct file_sink *sink, const char *line, size_t len)
{
	if (sink->buffer.len + len >= FILE_SINK_WRITE_LEN && sink->buffer.len > 0 && !sink->failing)
		file_sink_flush(sink);
	if (len > FILE_SINK_LINE_LEN_MAX || len + 1 > sink->buffer.cap - sink->buffer.len) {
		counter_add(&sink->counters[FILE_SINK_DROPPED], 1);
		return;
	}
	buf_put(&sink->buffer, line, len);
	buf_putc(&sink->buffer, '\n');
	counter_add(&sink->counters[FILE_SINK_LINES], 1);
}

/* The file goes on growing, and the next attempt is far away: each one opens it anew. */
static void
rotate_fail(struct file_sink *sink, const char *what)
{
	if (sink->rotate_len == sink->config.rotate_size)
		log_error("sink", "%s: cannot %s: %s; it is written on", sink->path, what, strerror(errno));
	sink->rotate_len = sink->file_len + sink->config.rotate_size;
	counter_add(&sink->counters[FILE_SINK_ERRORS], 1);
}

/* Shifts eve.json.1 to eve.json.2 and so on; the last falls off. */
static void
rotate(struct file_sink *sink)
{
	char from[PATH_MAX];
	char to[PATH_MAX];

	close(sink->fd);
	sink->fd = -1;
	for (uint64_t i = sink->config.rotate_keep; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%llu", sink->path, (unsigned long long)i);
		if (i == 1)
			snprintf(from, sizeof(from), "%s", sink->path);
		else
			snprintf(from, sizeof(from), "%s.%llu", sink->path, (unsigned long long)i - 1);
		if (rename(from, to) != 0 && errno != ENOENT)
			rotate_fail(sink, "rotate");
	}
	if (sink->config.rotate_keep == 0 && unlink(sink->path) != 0)
		rotate_fail(sink, "remove the old file");
	counter_add(&sink->counters[FILE_SINK_ROTATIONS], 1);
}

/* What a short write left of a line is taken back, so that no reader ever sees half of one for long. */
static void
take_back(struct file_sink *sink, size_t done)
{
	const char *end = memrchr(sink->buffer.data, '\n', done);
	size_t whole = end == NULL ? 0 : (size_t)(end - sink->buffer.data) + 1;

	if (ftruncate(sink->fd, (off_t)(sink->file_len + whole)) != 0) {
		/* A pipe or the like: the rest of the line must follow. */
		whole = done;
	}
	sink->file_len += whole;
	counter_add(&sink->counters[FILE_SINK_BYTES], whole);
	memmove(sink->buffer.data, sink->buffer.data + whole, sink->buffer.len - whole);
	sink->buffer.len -= whole;
}

static void
write_buffer(struct file_sink *sink)
{
	ssize_t done = write(sink->fd, sink->buffer.data, sink->buffer.len);

	if (done < 0 || (size_t)done < sink->buffer.len) {
		int error = done < 0 ? errno : ENOSPC;

		if (done > 0)
			take_back(sink, (size_t)done);
		fail(sink, error, "write");
		return;
	}
	sink->file_len += (uint64_t)done;
	counter_add(&sink->counters[FILE_SINK_BYTES], (uint64_t)done);
	buf_reset(&sink->buffer);
	if (sink->failing)
		log_notice("sink", "%s: writing works again", sink->path);
	sink->failing = false;
}

/* What other programs did to the file: cut it, or took it away, so that nobody would ever see what is written. */
static void
look_again(struct file_sink *sink)
{
	struct stat st;

	if (!sink->plain || fstat(sink->fd, &st) != 0)
		return;
	sink->file_len = (uint64_t)st.st_size;
	if (sink->file_len <= sink->config.rotate_size)
		sink->rotate_len = sink->config.rotate_size;
	if (st.st_nlink == 0) {
		close(sink->fd);
		sink->fd = -1;
	} else if (sink->config.rotate_size > 0 && sink->file_len > 0 && sink->file_len + sink->buffer.len > sink->rotate_len) {
		rotate(sink);
	}
}

static void
flush(struct file_sink *sink)
{
	if (sink->fd >= 0)
		look_again(sink);
	if (sink->fd < 0) {
		int rc = open_file(sink);

		if (rc < 0) {
			fail(sink, -rc, "open");
			return;
		}
	}
	write_buffer(sink);
}

void
file_sink_flush(struct file_sink *sink)
{
	if (sink->buffer.len == 0)
		return;
	flush(sink);
	/* Who reads a capture is told at its end what was lost; there is no later. */
	if (!sink->config.waits || sink->buffer.len == 0)
		return;
	for (size_t i = 0; i < sink->buffer.len; i++)
		counter_add(&sink->counters[FILE_SINK_DROPPED], sink->buffer.data[i] == '\n');
	buf_reset(&sink->buffer);
}

void
file_sink_reopen(struct file_sink *sink)
{
	file_sink_flush(sink);
	if (sink->fd >= 0)
		close(sink->fd);
	int rc = open_file(sink);

	if (rc < 0)
		fail(sink, -rc, "open");
}

struct counter_set
file_sink_get_counters(struct file_sink *sink)
{
	return (struct counter_set){ counter_descs, sink->counters, FILE_SINK_COUNTER_COUNT };
}
