/*
 * eve.json: every EVE line, in big writes of whole lines. A line torn by a crash is cut off at
 * the next start. The file is rotated by size (eve.json -> eve.json.1 -> ... the oldest goes),
 * opened again after another program moved it, and begun anew when it is gone. Another program may
 * also cut it (logrotate's copytruncate). What is no plain file is written to and never rotated.
 *
 * Thread: the exporter's; counters by any.
 */
#ifndef MR_SINK_FILE_FILE_H
#define MR_SINK_FILE_FILE_H

#include "lib/sink/sink.h"

enum {
	FILE_SINK_WRITE_LEN = 256 * 1024,      /* buffered before a write(2) */
	FILE_SINK_LINE_LEN_MAX = 1024 * 1024,  /* bytes of one line */
	FILE_SINK_KEEP_MAX = 1000,
};

struct file_sink_config {
	bool enabled;
	const char *path;
	uint64_t rotate_size; /* bytes; 0: never */
	uint64_t rotate_keep; /* older files kept */
	bool waits;           /* no key: for a pipe's reader; else what a full pipe does not take is lost, and counted */
};

enum file_sink_counter {
	FILE_SINK_LINES,   /* taken */
	FILE_SINK_BYTES,   /* written */
	FILE_SINK_DROPPED, /* lines lost: too long, or the disk did not take them */
	FILE_SINK_ERRORS,  /* failed opens, writes and renames */
	FILE_SINK_ROTATIONS,
	FILE_SINK_TORN_BYTES,
	FILE_SINK_COUNTER_COUNT,
};

extern const struct knob_table file_sink_knobs;
extern const struct sink_ops file_sink_ops;

struct file_sink;

/** @param config  copied, the path included. @return 0, -ENOMEM, or -errno of the file. */
int file_sink_create(struct file_sink **out, const struct file_sink_config *config);
void file_sink_destroy(struct file_sink *sink);
void file_sink_write(struct file_sink *sink, const char *line, size_t len);
void file_sink_flush(struct file_sink *sink);
void file_sink_reopen(struct file_sink *sink);
struct counter_set file_sink_get_counters(struct file_sink *sink);
extern const struct counter_table file_sink_counter_table;

#endif
