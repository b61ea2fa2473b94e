/*
 * The capture file that the plant writes: classic pcap, Ethernet. Frames may be given a little
 * out of time order (conversations overlap); they wait in a bounded queue and leave it in order.
 *
 * Thread: one.
 */
#ifndef MR_BENCH_PLANT_CAPTURE_H
#define MR_BENCH_PLANT_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PLANT_FRAME_LEN_MAX = 1536,
	PLANT_QUEUE_MAX = 8192, /* frames waiting for their turn; when full the earliest leaves */
};

struct plant_capture_config {
	const char *path; /* "-" is standard output */
	bool nanoseconds; /* pcap's nanosecond format; microseconds otherwise */
	uint64_t frames_max; /* 0: no bound */
	uint64_t bytes_max; /* of the file, 0: no bound */
};

struct plant_capture;

/** @return 0, -ENOMEM, or -errno of opening the file */
int plant_capture_create(struct plant_capture **out, const struct plant_capture_config *config);
/** Drops what still waits. NULL is accepted. */
void plant_capture_destroy(struct plant_capture *capture);

/** Lends PLANT_FRAME_LEN_MAX bytes for one frame, until plant_capture_give() or the next call. */
uint8_t *plant_capture_get(struct plant_capture *capture);
/** Queues the frame that was written to the lent bytes. @param ts_ns since the Unix epoch */
void plant_capture_give(struct plant_capture *capture, uint64_t ts_ns, size_t len);
/** Writes every waiting frame that is older than ts_ns. */
void plant_capture_advance(struct plant_capture *capture, uint64_t ts_ns);
/** Whether frames_max or bytes_max is reached; later frames are discarded. */
bool plant_capture_full(const struct plant_capture *capture);
/** Writes all that waits and closes the file. @return 0 or -errno of any write so far */
int plant_capture_finish(struct plant_capture *capture);

uint64_t plant_capture_frames(const struct plant_capture *capture);
uint64_t plant_capture_bytes(const struct plant_capture *capture);
/** Time of the last frame written, 0 before the first. */
uint64_t plant_capture_last_ns(const struct plant_capture *capture);

#endif
