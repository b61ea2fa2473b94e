/*
 * A capture held in memory as a source of frames: every receive takes packet buffers from a
 * pool, as a driver does, and points them at the frames. Loops are begun by hand; between
 * two, addresses can be rewritten so that every flow is new.
 */
#ifndef MR_BENCH_MEMORY_SOURCE_H
#define MR_BENCH_MEMORY_SOURCE_H

#include "app/sensor/source.h"
#include "lib/capture/capture_filter.h"

enum { MEMORY_MADE_LEN = 138 }; /* as the mean of plant-mix.pcap */

struct memory_capture {
	uint8_t *area;
	size_t area_len;
	struct memory_frame *frames;
	uint32_t frame_count;
	uint64_t bytes;        /* on the wire */
	uint64_t duration_ns;  /* of the capture, with one mean gap behind */
	uint32_t loop;         /* what the addresses are rewritten for now */
};

/** Loads a capture, or of it what the filter takes; NULL: all. @param frames_max  0: all of them. @return 0 or -errno with err set */
int memory_capture_load(struct memory_capture *out, const char *path, const struct capture_filter *filter, uint32_t frames_max,
	struct config_error *err);
/**
 * A capture made up: UDP datagrams of MEMORY_MADE_LEN bytes, one frame after the other of flows in an order that no cache
 * foresees, each flow as often as the others.
 *
 * @param frame_count  a power of two. @param flow_count  a power of two, at most frame_count. @return 0 or -ENOMEM
 */
int memory_capture_make(struct memory_capture *out, uint32_t frame_count, uint32_t flow_count, uint64_t duration_ns);
void memory_capture_unload(struct memory_capture *capture);
/** Rewrites the second byte of every IPv4 address, and the checksums with it, for a loop number. */
void memory_capture_rewrite(struct memory_capture *capture, uint32_t loop);

/** @param pool  at least BURST_MAX * 4 buffers. The capture is borrowed. */
int memory_source_create(struct source **out, const struct memory_capture *capture, struct rte_mempool *pool);
/** Begins a loop: capture time goes on behind the last one's. */
void memory_source_rewind(struct source *source, uint32_t loop);

#endif
