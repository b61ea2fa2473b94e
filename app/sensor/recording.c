#include "app/sensor/recording.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/folder.h"
#include "lib/event/event.h"

enum { RING_BYTES = 8 * 1024 * 1024, TURN_FRAMES = 1024, IDLE_US = 1000, FRAME_LEN_MAX = 65535, FILE_MODE = 0640, DIR_MODE = 0750,
	FILE_HEAD_LEN = 24, FRAME_HEAD_LEN = 16, LOOK_MS = 250, ROOM_LOOK_BYTES = 4 * 1024 * 1024 };

#define PART ".part" /* behind the name of a file that is not whole yet */

static const uint64_t NS_PER_S = 1000000000, MS_PER_S = 1000;

const char *const recording_end_names[RECORDING_END_COUNT] = {
	[RECORDING_RUNS] = "running", [RECORDING_CLOSING] = "closing", [RECORDING_ASKED] = "asked", [RECORDING_FRAMES] = "frames", [RECORDING_SECONDS] = "seconds",
	[RECORDING_SIZE] = "size", [RECORDING_DISK] = "disk", [RECORDING_FAILED] = "failed",
};

/* In the ring a frame is an event with this section. */
struct frame {
	uint32_t wire_len;
	uint32_t len;
	uint8_t data[];
};

/* One worker's way to the thread. */
struct lane {
	struct event_ring *ring;
	_Atomic uint64_t skipped;
} __attribute__((aligned(64)));

struct recording {
	struct capture_filter *filter;
	unsigned int lane_count;
	struct lane *lanes;
	_Atomic bool over;   /* nothing is taken any more */
	_Atomic bool finish; /* what the rings hold is the last */
	pthread_t thread;
	bool started;
	/* the thread's, once it runs */
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	uint64_t frames_max, bytes_max, keep_free, until_ms; /* 0: no end */
	uint64_t looked_ms, looked_bytes; /* when the file system was looked at last */
	uint64_t safe_frames, safe_bytes; /* what the file took for certain */
	bool torn;                        /* it took no more in the middle of something */
	char dir[RECORDING_PATH_MAX];
	char part[RECORDING_PATH_MAX];
	pthread_mutex_t lock;             /* of state */
	struct recording_state state;
};

/* ---- workers ---- */

static bool
put_frame(struct lane *lane, const struct packet *packet)
{
	struct event_builder b;
	uint32_t section_len = (uint32_t)sizeof(struct frame) + packet->len, len = event_len_of(1, section_len);
	struct event *room = event_ring_reserve(lane->ring, len);
	struct frame *frame;

	if (room == NULL)
		return false; /* counted by the ring */
	event_begin(&b, room, len, EVENT_PACKET);
	b.event->ts_ns = packet->ts_ns;
	frame = event_add(&b, EVENT_SECTION_PACKET, section_len);
	frame->wire_len = packet->wire_len;
	frame->len = packet->len;
	memcpy(frame->data, packet->data, packet->len);
	event_ring_commit(lane->ring, b.event);
	return true;
}

unsigned int
recording_take(struct recording *recording, unsigned int worker_idx, const struct packet packets[], uint16_t count)
{
	struct lane *lane = &recording->lanes[worker_idx];
	unsigned int lost = 0;

	if (recording_is_over(recording))
		return 0;
	for (uint16_t i = 0; i < count; i++) {
		if (packets[i].link_type != PACKET_LINK_ETHERNET || packets[i].len > FRAME_LEN_MAX)
			counter_add(&lane->skipped, 1);
		else if (capture_filter_takes(recording->filter, packets[i].data, packets[i].len, packets[i].wire_len))
			lost += !put_frame(lane, &packets[i]);
	}
	event_ring_publish(lane->ring);
	return lost;
}

bool
recording_is_over(const struct recording *recording)
{
	return atomic_load_explicit(&recording->over, memory_order_relaxed);
}

/* ---- the file ---- */

static uint64_t
wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool
has_room(const char *dir, uint64_t keep_free)
{
	struct statvfs fs;

	return statvfs(dir, &fs) != 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= keep_free;
}

static void
end(struct recording *recording, enum recording_end why)
{
	atomic_store_explicit(&recording->over, true, memory_order_relaxed);
	pthread_mutex_lock(&recording->lock);
	if (recording->state.end == RECORDING_RUNS)
		recording->state.end = why;
	pthread_mutex_unlock(&recording->lock);
}

static void
fail(struct recording *recording, int error)
{
	bool full = error == ENOSPC || error == EDQUOT;

	pthread_mutex_lock(&recording->lock);
	if (!full)
		snprintf(recording->state.fault, sizeof(recording->state.fault), "%s", strerror(error));
	pthread_mutex_unlock(&recording->lock);
	end(recording, full ? RECORDING_DISK : RECORDING_FAILED);
}

/* The lane whose next frame is the oldest, of those that have one. */
static struct lane *
oldest(struct recording *recording, const struct event **out)
{
	struct lane *found = NULL;

	for (unsigned int i = 0; i < recording->lane_count; i++) {
		const struct event *event = event_ring_peek(recording->lanes[i].ring);

		if (event == NULL || (found != NULL && event->ts_ns >= (*out)->ts_ns))
			continue;
		found = &recording->lanes[i];
		*out = event;
	}
	return found;
}

static bool
write_frame(struct recording *recording, const struct event *event)
{
	const struct frame *frame = event_find_section(event, EVENT_SECTION_PACKET);
	/* with this precision tv_usec holds nanoseconds */
	const struct pcap_pkthdr head = { .ts = { (time_t)(event->ts_ns / NS_PER_S), (suseconds_t)(event->ts_ns % NS_PER_S) },
		.caplen = frame->len, .len = frame->wire_len };
	uint64_t bytes = recording->state.bytes + FRAME_HEAD_LEN + frame->len;

	if (bytes > recording->bytes_max) {
		end(recording, RECORDING_SIZE);
		return false;
	}
	pcap_dump((u_char *)recording->dumper, &head, frame->data);
	pthread_mutex_lock(&recording->lock);
	recording->state.bytes = bytes;
	recording->state.frames++;
	pthread_mutex_unlock(&recording->lock);
	if (recording->state.frames == recording->frames_max)
		end(recording, RECORDING_FRAMES);
	return true;
}

/* To the file, so that what was counted is there. */
static void
settle(struct recording *recording)
{
	if (ferror(pcap_dump_file(recording->dumper)) || pcap_dump_flush(recording->dumper) != 0) {
		recording->torn = true;
		fail(recording, errno);
		return;
	}
	recording->safe_frames = recording->state.frames;
	recording->safe_bytes = recording->state.bytes;
}

/* Some frames. @return how many */
static unsigned int
write_turn(struct recording *recording)
{
	unsigned int count = 0;
	const struct event *event;
	struct lane *lane;

	while (count < TURN_FRAMES && recording->state.end <= RECORDING_ASKED && (lane = oldest(recording, &event)) != NULL) {
		if (!write_frame(recording, event))
			break;
		event_ring_release(lane->ring, event);
		count++;
	}
	if (count > 0)
		settle(recording);
	return count;
}

/* Limits that time and others bring about. */
static void
look_round(struct recording *recording)
{
	uint64_t now_ms = clock_ms();

	if (now_ms - recording->looked_ms < LOOK_MS && recording->state.bytes - recording->looked_bytes < ROOM_LOOK_BYTES)
		return;
	recording->looked_ms = now_ms;
	recording->looked_bytes = recording->state.bytes;
	if (recording->until_ms != 0 && now_ms >= recording->until_ms)
		end(recording, RECORDING_SECONDS);
	if (!has_room(recording->dir, recording->keep_free))
		end(recording, RECORDING_DISK);
}

/* To the last frame that is whole. */
static void
cut_back(struct recording *recording)
{
	if (truncate(recording->part, (off_t)recording->safe_bytes) != 0)
		fail(recording, errno);
	pthread_mutex_lock(&recording->lock);
	recording->state.dropped = recording->state.frames - recording->safe_frames;
	recording->state.frames = recording->safe_frames;
	recording->state.bytes = recording->safe_bytes;
	pthread_mutex_unlock(&recording->lock);
}

/* Unlike rename() alone it does not replace what came there meanwhile; some file systems have no second names. */
static int
name_file(const char *part, const char *path)
{
	if (link(part, path) == 0)
		return unlink(part);
	if ((errno != EPERM && errno != EOPNOTSUPP) || access(path, F_OK) == 0)
		return -1;
	return rename(part, path);
}

static void
close_file(struct recording *recording)
{
	int rc;

	if (fsync(fileno(pcap_dump_file(recording->dumper))) != 0)
		fail(recording, errno);
	pcap_dump_close(recording->dumper);
	recording->dumper = NULL;
	if (recording->torn)
		cut_back(recording);
	rc = name_file(recording->part, recording->state.path);
	if (rc != 0)
		fail(recording, errno);
	pthread_mutex_lock(&recording->lock);
	if (rc != 0)
		memcpy(recording->state.path, recording->part, sizeof(recording->part));
	recording->state.ended_ns = wall_ns();
	pthread_mutex_unlock(&recording->lock);
}

static void *
record(void *arg)
{
	struct recording *recording = arg;

	for (;;) {
		bool last = atomic_load(&recording->finish);
		unsigned int count = write_turn(recording);

		look_round(recording);
		if (recording->state.end > RECORDING_ASKED || (last && count == 0))
			break;
		if (count == 0)
			usleep(IDLE_US);
	}
	end(recording, RECORDING_ASKED);
	close_file(recording);
	return NULL;
}

/* ---- its life ---- */

static bool
is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	return name[0] != '\0' && name[0] != '.' && name[strspn(name, letters)] == '\0';
}

static int
open_file(struct recording *recording, struct config_error *err)
{
	int fd = folder_make(recording->dir, DIR_MODE);
	FILE *file;

	recording->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, FRAME_LEN_MAX, PCAP_TSTAMP_PRECISION_NANO);
	if (recording->pcap == NULL)
		fd = -ENOMEM;
	if (fd == 0 && access(recording->state.path, F_OK) == 0)
		fd = -EEXIST;
	if (fd == 0 && !has_room(recording->dir, recording->keep_free))
		fd = -ENOSPC;
	if (fd == 0)
		fd = folder_make_file(recording->part, NULL, FILE_MODE);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	recording->dumper = file == NULL ? NULL : pcap_dump_fopen(recording->pcap, file);
	if (recording->dumper != NULL && pcap_dump_flush(recording->dumper) == 0)
		return 0;
	snprintf(err->text, sizeof(err->text), "%.400s: %s", recording->state.path, strerror(fd < 0 ? -fd : errno));
	if (file != NULL && recording->dumper == NULL)
		fclose(file);
	return fd < 0 ? fd : -EIO;
}

static int
make_lanes(struct recording *recording, unsigned int count)
{
	recording->lanes = aligned_alloc(64, count * sizeof(*recording->lanes));
	if (recording->lanes == NULL)
		return -ENOMEM;
	memset(recording->lanes, 0, count * sizeof(*recording->lanes));
	for (int rc; recording->lane_count < count; recording->lane_count++) {
		rc = event_ring_create(&recording->lanes[recording->lane_count].ring, RING_BYTES);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
take_order(struct recording *recording, const struct recording_order *order, struct config_error *err)
{
	struct recording_state *state = &recording->state;

	recording->frames_max = order->frames_max;
	recording->bytes_max = order->bytes_max;
	recording->keep_free = order->keep_free;
	recording->until_ms = order->seconds_max == 0 ? 0 : clock_ms() + order->seconds_max * MS_PER_S;
	if (!is_name(order->name)) {
		snprintf(err->text, sizeof(err->text), "name: letters, digits, '.', '-' and '_' alone, and no '.' first");
		return -EINVAL;
	}
	if (strlen(order->dir) + strlen("/") + strlen(order->name) + strlen(PART) >= sizeof(state->path)) {
		snprintf(err->text, sizeof(err->text), "name: it is too long");
		return -ENAMETOOLONG;
	}
	snprintf(recording->dir, sizeof(recording->dir), "%s", order->dir);
	snprintf(state->path, sizeof(state->path), "%s/%s", order->dir, order->name);
	snprintf(recording->part, sizeof(recording->part), "%s/%s" PART, order->dir, order->name);
	state->began_ns = wall_ns();
	state->bytes = recording->safe_bytes = FILE_HEAD_LEN;
	return 0;
}

int
recording_start(struct recording **out, const struct recording_order *order, unsigned int worker_count, struct config_error *err)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	int rc;

	if (recording == NULL) {
		snprintf(err->text, sizeof(err->text), "no memory");
		return -ENOMEM;
	}
	pthread_mutex_init(&recording->lock, NULL);
	snprintf(err->text, sizeof(err->text), "no memory");
	rc = take_order(recording, order, err);
	if (rc == 0)
		rc = capture_filter_create(&recording->filter, order->filter, err);
	if (rc == 0)
		snprintf(recording->state.filter, sizeof(recording->state.filter), "%s", order->filter);
	if (rc == 0)
		rc = make_lanes(recording, worker_count);
	if (rc == 0)
		rc = open_file(recording, err);
	if (rc == 0) {
		rc = -pthread_create(&recording->thread, NULL, record, recording);
		recording->started = rc == 0;
	}
	if (rc != 0) {
		recording_destroy(recording);
		return rc;
	}
	*out = recording;
	return 0;
}

bool
recording_finish(struct recording *recording, unsigned int wait_ms)
{
	struct timespec until;

	atomic_store_explicit(&recording->over, true, memory_order_relaxed);
	atomic_store(&recording->finish, true);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / MS_PER_S;
	if (recording->started && pthread_clockjoin_np(recording->thread, NULL, CLOCK_MONOTONIC, &until) == 0)
		recording->started = false;
	return !recording->started;
}

void
recording_get_state(struct recording *recording, struct recording_state *out)
{
	pthread_mutex_lock(&recording->lock);
	*out = recording->state;
	if (out->ended_ns == 0)
		out->end = recording_is_over(recording) ? RECORDING_CLOSING : RECORDING_RUNS; /* the file is not whole yet */
	pthread_mutex_unlock(&recording->lock);
	for (unsigned int i = 0; i < recording->lane_count; i++) {
		struct counter_set ring = event_ring_counters_get(recording->lanes[i].ring);

		out->dropped += counter_get(&ring.values[EVENT_RING_DROPPED]);
		out->skipped += counter_get(&recording->lanes[i].skipped);
	}
}

void
recording_destroy(struct recording *recording)
{
	if (recording == NULL)
		return;
	if (recording->dumper != NULL) { /* it never began */
		pcap_dump_close(recording->dumper);
		unlink(recording->part);
	}
	for (unsigned int i = 0; i < recording->lane_count; i++)
		event_ring_destroy(recording->lanes[i].ring);
	capture_filter_destroy(recording->filter);
	if (recording->pcap != NULL)
		pcap_close(recording->pcap);
	pthread_mutex_destroy(&recording->lock);
	free(recording->lanes);
	free(recording);
}
