/* Capture files as a source: frames are copied into mbufs of two sizes, with their time and number. */
#include <errno.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/sensor/frame_meta.h"
#include "app/sensor/source.h"
#include "lib/base/log.h"
#include "lib/capture/capture.h"

enum { FAULTS_LEN = 4096 };

const struct counter_desc source_file_counters[SOURCE_FILE_COUNTER_COUNT] = {
	[SOURCE_FILE_FRAMES] = { "capture.file.frames", "frames read from capture files" },
	[SOURCE_FILE_BYTES] = { "capture.file.bytes", "bytes of frames read from capture files" },
	[SOURCE_FILE_CUT] = { "capture.file.frames_cut", "frames longer than a buffer, cut to its length" },
	[SOURCE_FILE_ERRORS] = { "capture.file.errors", "capture files that could not be read to their end" },
};

struct source_file {
	struct source base;
	const char *const *paths;
	unsigned int path_count, path_idx;
	struct capture *capture;
	struct rte_mempool *pool, *jumbo_pool;
	uint64_t frame_number;
	uint64_t last_ns;
	_Atomic uint64_t counters[SOURCE_FILE_COUNTER_COUNT];
	bool waiting; /* `frame` was read and found no buffer: it comes first */
	struct capture_frame frame;
	char faults[FAULTS_LEN];
};

static void
add_fault(struct source_file *file, const char *text)
{
	size_t used = strlen(file->faults);

	counter_add(&file->counters[SOURCE_FILE_ERRORS], 1);
	log_warning("capture", "%s", text);
	snprintf(file->faults + used, sizeof(file->faults) - used, "%s\n", text);
}

/* The next file that can be read, from path_idx on. */
static bool
open_next(struct source_file *file)
{
	struct config_error err;

	for (; file->path_idx < file->path_count; file->path_idx++) {
		if (capture_open(&file->capture, file->paths[file->path_idx], &err) == 0)
			return true;
		add_fault(file, err.text);
	}
	return false;
}

/* The next frame into file->frame, going from file to file. */
static bool
next_frame(struct source_file *file)
{
	if (file->waiting)
		return true;
	for (;;) {
		if (file->capture != NULL) {
			int rc = capture_next(file->capture, &file->frame);

			if (rc > 0)
				return true;
			if (rc < 0)
				add_fault(file, capture_error(file->capture));
			capture_close(file->capture);
			file->capture = NULL;
			file->path_idx++;
		}
		if (!open_next(file))
			return false;
	}
}

static struct rte_mbuf *
to_mbuf(struct source_file *file)
{
	const struct capture_frame *frame = &file->frame;
	bool small = frame->len + RTE_PKTMBUF_HEADROOM <= rte_pktmbuf_data_room_size(file->pool);
	struct rte_mempool *pool = small ? file->pool : file->jumbo_pool;
	uint32_t room = (uint32_t)rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	uint32_t len = frame->len < room ? frame->len : room;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	struct frame_meta *meta;

	if (mbuf == NULL)
		return NULL;
	memcpy(rte_pktmbuf_mtod(mbuf, void *), frame->data, len);
	mbuf->data_len = (uint16_t)len;
	mbuf->pkt_len = len;
	mbuf->ol_flags |= frame_time_flag;
	*frame_time_of(mbuf) = frame->ts_ns;
	meta = frame_meta_of(mbuf);
	meta->frame_number = ++file->frame_number;
	meta->wire_len = frame->wire_len;
	meta->link_type = frame->link_type;
	counter_add(&file->counters[SOURCE_FILE_FRAMES], 1);
	counter_add(&file->counters[SOURCE_FILE_BYTES], frame->wire_len);
	if (len < frame->len)
		counter_add(&file->counters[SOURCE_FILE_CUT], 1);
	file->last_ns = frame->ts_ns > file->last_ns ? frame->ts_ns : file->last_ns;
	return mbuf;
}

static uint16_t
file_rx_burst(struct source *source, struct rte_mbuf *mbufs[], uint16_t count)
{
	struct source_file *file = (struct source_file *)source;
	uint16_t got = 0;

	while (got < count) {
		if (!next_frame(file)) {
			if (got == 0)
				atomic_store(&source->ended, true);
			break;
		}
		mbufs[got] = to_mbuf(file);
		file->waiting = mbufs[got] == NULL;
		if (file->waiting)
			break; /* the workers have all buffers: come back when some are free */
		got++;
	}
	return got;
}

static void
file_destroy(struct source *source)
{
	struct source_file *file = (struct source_file *)source;

	capture_close(file->capture);
	free(file);
}

static const struct source_ops file_ops = { .name = "file", .rx_burst = file_rx_burst, .destroy = file_destroy };

int
source_file_create(struct source **out, const char *const paths[], unsigned int path_count, struct rte_mempool *pool,
	struct rte_mempool *jumbo_pool, struct config_error *err)
{
	struct source_file *file = calloc(1, sizeof(*file));
	int rc;

	if (file == NULL) {
		snprintf(err->text, sizeof(err->text), "out of memory");
		return -ENOMEM;
	}
	file->base.ops = &file_ops;
	file->paths = paths;
	file->path_count = path_count;
	file->pool = pool;
	file->jumbo_pool = jumbo_pool;
	rc = path_count == 1 ? capture_open(&file->capture, paths[0], err) : open_next(file) ? 0 : -EINVAL;
	if (rc != 0) {
		if (path_count > 1)
			snprintf(err->text, sizeof(err->text), "none of %u files is a capture that can be read", path_count);
		file_destroy(&file->base);
		return rc;
	}
	*out = &file->base;
	return 0;
}

struct counter_set
source_file_counters_get(struct source *source)
{
	struct source_file *file = (struct source_file *)source;

	return (struct counter_set){ source_file_counters, file->counters, SOURCE_FILE_COUNTER_COUNT };
}

const char *
source_file_faults(const struct source *source)
{
	return ((const struct source_file *)source)->faults;
}

uint64_t
source_file_last_ns(const struct source *source)
{
	return ((const struct source_file *)source)->last_ns;
}
