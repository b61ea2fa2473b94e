/*
 * Frames kept as evidence: while one is under way, workers hand the frames that its filter takes through a ring each to a
 * thread, which writes them to a pcap file (draft-ietf-opsawg-pcap, nanoseconds). Frames of one worker stand in the order
 * they came; those of several are merged by time as far as they are there.
 *
 * Thread: the control thread, except where said.
 */
#ifndef MR_SENSOR_RECORDING_H
#define MR_SENSOR_RECORDING_H

#include "lib/capture/capture_filter.h"
#include "lib/config/config.h"
#include "lib/packet/packet.h"

enum { RECORDING_PATH_MAX = 1024 };

struct recording_order {
	const char *dir;        /* made where it is missing */
	const char *name;       /* of the file in it: letters, digits, '.', '-', '_', and no '.' first; it must not be there yet */
	const char *filter;     /* capture_filter.h */
	uint64_t frames_max;    /* 0: any number */
	uint64_t seconds_max;   /* 0: until it is ended */
	uint64_t bytes_max;     /* of the file */
	uint64_t keep_free;     /* bytes of the file system that stay free */
};

/** Why it ended. RECORDING_CLOSING: it did, and the file is not whole yet. */
enum recording_end { RECORDING_RUNS, RECORDING_CLOSING, RECORDING_ASKED, RECORDING_FRAMES, RECORDING_SECONDS, RECORDING_SIZE, RECORDING_DISK,
	RECORDING_FAILED, RECORDING_END_COUNT };

extern const char *const recording_end_names[RECORDING_END_COUNT]; /* "running", "closing", ... */

struct recording_state {
	enum recording_end end;
	uint64_t began_ns, ended_ns; /* wall clock; 0: it runs, or is being closed */
	uint64_t frames, bytes;      /* in the file */
	uint64_t dropped;            /* frames that the filter took and a full ring or disk did not */
	uint64_t skipped;            /* frames that the file cannot have: not Ethernet's, or of more than 65,535 bytes */
	char path[RECORDING_PATH_MAX];
	char filter[CAPTURE_FILTER_LEN_MAX + 1];
	char fault[256];             /* RECORDING_FAILED: what */
};

struct recording;

/** The thread runs from here on. The file is NAME.part until it is whole. @return 0 or -errno with err set */
int recording_start(struct recording **out, const struct recording_order *order, unsigned int worker_count, struct config_error *err);
/** Worker: a burst of its frames. @return how many of them are lost to a full ring */
unsigned int recording_take(struct recording *recording, unsigned int worker_idx, const struct packet packets[], uint16_t count);
/** Whether it ended: workers give it nothing more. Any thread. */
bool recording_is_over(const struct recording *recording);
/** No worker takes part any more: what is still in the rings is written, the file closed, and given its name.
 *  @return whether that is so before wait_ms have passed; else the disk hangs, and it is to be asked again */
bool recording_finish(struct recording *recording, unsigned int wait_ms);
void recording_get_state(struct recording *recording, struct recording_state *out);
/** After recording_finish() was true. */
void recording_destroy(struct recording *recording);

#endif
