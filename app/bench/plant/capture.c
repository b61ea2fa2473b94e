#include "app/bench/plant/capture.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PCAP_FILE_HEADER_LEN = 24,
	PCAP_RECORD_HEADER_LEN = 16,
	PCAP_MAGIC_MICROSECONDS = (int)0xa1b2c3d4,
	PCAP_MAGIC_NANOSECONDS = (int)0xa1b23c4d,
	PCAP_LINKTYPE_ETHERNET = 1,
	PCAP_SNAPLEN = 262144,
	CAPTURE_BUFFER_LEN = 1 << 20,
};

/* A waiting frame; order breaks ties of time, so that equal times keep the order given. */
struct queued {
	uint64_t ts_ns;
	uint64_t order;
	uint16_t slot;
	uint16_t len;
};

struct plant_capture {
	struct plant_capture_config config;
	FILE *file;
	int error; /* first failure of a write, -errno */
	uint64_t frames;
	uint64_t bytes;
	uint64_t last_ns;
	uint64_t order;
	struct queued *heap; /* [PLANT_QUEUE_MAX], the earliest first */
	unsigned int heap_count;
	uint16_t *free_slots; /* [PLANT_QUEUE_MAX] */
	unsigned int free_count;
	uint8_t (*slots)[PLANT_FRAME_LEN_MAX];
};

static_assert(PLANT_QUEUE_MAX <= UINT16_MAX, "a slot number fits its type");

static bool
queued_before(const struct queued *a, const struct queued *b)
{
	return a->ts_ns != b->ts_ns ? a->ts_ns < b->ts_ns : a->order < b->order;
}

static void
capture_write(struct plant_capture *capture, const void *data, size_t len)
{
	if (capture->error == 0 && fwrite(data, 1, len, capture->file) != len)
		capture->error = errno == 0 ? -EIO : -errno;
	capture->bytes += len;
}

static void
capture_write_header(struct plant_capture *capture)
{
	const uint32_t header[PCAP_FILE_HEADER_LEN / 4] = {
		(uint32_t)(capture->config.nanoseconds ? PCAP_MAGIC_NANOSECONDS : PCAP_MAGIC_MICROSECONDS),
		4u << 16 | 2u, /* version 2.4 */
		0,
		0,
		PCAP_SNAPLEN,
		PCAP_LINKTYPE_ETHERNET,
	};

	capture_write(capture, header, sizeof(header));
}

static void
capture_write_frame(struct plant_capture *capture, const struct queued *frame)
{
	uint32_t fraction = (uint32_t)(frame->ts_ns % UINT64_C(1000000000));
	const uint32_t header[PCAP_RECORD_HEADER_LEN / 4] = {
		(uint32_t)(frame->ts_ns / UINT64_C(1000000000)),
		capture->config.nanoseconds ? fraction : fraction / 1000,
		frame->len,
		frame->len,
	};

	if (plant_capture_full(capture))
		return;
	capture_write(capture, header, sizeof(header));
	capture_write(capture, capture->slots[frame->slot], frame->len);
	capture->frames++;
	capture->last_ns = frame->ts_ns;
}

static void
heap_push(struct plant_capture *capture, struct queued frame)
{
	unsigned int at = capture->heap_count++;

	while (at > 0 && queued_before(&frame, &capture->heap[(at - 1) / 2])) {
		capture->heap[at] = capture->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	capture->heap[at] = frame;
}

static struct queued
heap_pop(struct plant_capture *capture)
{
	struct queued first = capture->heap[0];
	struct queued last = capture->heap[--capture->heap_count];
	unsigned int at = 0;

	for (;;) {
		unsigned int child = 2 * at + 1;

		if (child >= capture->heap_count)
			break;
		if (child + 1 < capture->heap_count && queued_before(&capture->heap[child + 1], &capture->heap[child]))
			child++;
		if (!queued_before(&capture->heap[child], &last))
			break;
		capture->heap[at] = capture->heap[child];
		at = child;
	}
	capture->heap[at] = last;
	return first;
}

static void
capture_pop(struct plant_capture *capture)
{
	struct queued frame = heap_pop(capture);

	capture_write_frame(capture, &frame);
	capture->free_slots[capture->free_count++] = frame.slot;
}

static int
capture_open(struct plant_capture *capture)
{
	if (strcmp(capture->config.path, "-") == 0) {
		capture->file = stdout;
		return 0;
	}
	capture->file = fopen(capture->config.path, "wb");
	if (capture->file == NULL)
		return -errno;
	(void)setvbuf(capture->file, NULL, _IOFBF, CAPTURE_BUFFER_LEN);
	return 0;
}

int
plant_capture_create(struct plant_capture **out, const struct plant_capture_config *config)
{
	struct plant_capture *capture = calloc(1, sizeof(*capture));
	int err;

	if (capture == NULL)
		return -ENOMEM;
	capture->config = *config;
	capture->heap = calloc(PLANT_QUEUE_MAX, sizeof(*capture->heap));
	capture->free_slots = calloc(PLANT_QUEUE_MAX, sizeof(*capture->free_slots));
	capture->slots = calloc(PLANT_QUEUE_MAX, sizeof(*capture->slots));
	err = capture->heap == NULL || capture->free_slots == NULL || capture->slots == NULL ? -ENOMEM
											     : capture_open(capture);
	if (err != 0) {
		plant_capture_destroy(capture);
		return err;
	}
	for (unsigned int i = 0; i < PLANT_QUEUE_MAX; i++)
		capture->free_slots[i] = (uint16_t)(PLANT_QUEUE_MAX - 1 - i);
	capture->free_count = PLANT_QUEUE_MAX;
	capture_write_header(capture);
	*out = capture;
	return 0;
}

void
plant_capture_destroy(struct plant_capture *capture)
{
	if (capture == NULL)
		return;
	if (capture->file != NULL && capture->file != stdout)
		(void)fclose(capture->file);
	free(capture->heap);
	free(capture->free_slots);
	free(capture->slots);
	free(capture);
}

uint8_t *
plant_capture_get(struct plant_capture *capture)
{
	if (capture->free_count == 0)
		capture_pop(capture);
	return capture->slots[capture->free_slots[capture->free_count - 1]];
}

void
plant_capture_give(struct plant_capture *capture, uint64_t ts_ns, size_t len)
{
	assert(capture->free_count > 0 && len <= PLANT_FRAME_LEN_MAX);
	heap_push(capture,
		(struct queued){ .ts_ns = ts_ns,
			.order = capture->order++,
			.slot = capture->free_slots[--capture->free_count],
			.len = (uint16_t)len });
}

void
plant_capture_advance(struct plant_capture *capture, uint64_t ts_ns)
{
	while (capture->heap_count > 0 && capture->heap[0].ts_ns < ts_ns)
		capture_pop(capture);
}

bool
plant_capture_full(const struct plant_capture *capture)
{
	const struct plant_capture_config *config = &capture->config;

	return (config->frames_max != 0 && capture->frames >= config->frames_max) ||
		(config->bytes_max != 0 &&
			capture->bytes + PCAP_RECORD_HEADER_LEN + PLANT_FRAME_LEN_MAX > config->bytes_max);
}

int
plant_capture_finish(struct plant_capture *capture)
{
	plant_capture_advance(capture, UINT64_MAX);
	if (capture->file == NULL)
		return capture->error;
	if (fflush(capture->file) != 0 && capture->error == 0)
		capture->error = -errno;
	if (capture->file != stdout && fclose(capture->file) != 0 && capture->error == 0)
		capture->error = -errno;
	capture->file = NULL;
	return capture->error;
}

uint64_t
plant_capture_frames(const struct plant_capture *capture)
{
	return capture->frames;
}

uint64_t
plant_capture_bytes(const struct plant_capture *capture)
{
	return capture->bytes;
}

uint64_t
plant_capture_last_ns(const struct plant_capture *capture)
{
	return capture->last_ns;
}
