/*
 * When the file system fails under the spool. Open files cannot move to another mount, and a file system is not unmounted, or
 * mounted anew, while they are open. So the writer lets go of the folder and looks for it at its path until it is back: the
 * same spool, and writable. Meanwhile records are dropped, counted and later reported, as with a full disk.
 *
 * What is in memory (numbers, acknowledgements, gaps that are owed) goes on; only what the disk lost is read off it anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/clock.h"
#include "lib/spool/spool_private.h"

enum {
	LOOK_MS = 1000,     /* between two looks for the folder */
	DELIVERY_MS = 5000, /* a folder that is only read from is kept while acknowledgements come at least so often */
};

void
spool_fault(struct spool *spool, int error)
{
	/* A full disk is still there. */
	if (error == ENOSPC || error == EDQUOT)
		return;
	spool->fault = error;
	if (spool->fault_ms == 0)
		spool->fault_ms = clock_ms();
}

static bool
is_mended(const struct spool *spool)
{
	bool failed = spool->state_dirty;

	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		failed |= spool->lanes[i].failed;
	return !failed;
}

/* What can still be read is delivered, while there is somebody who takes it. */
static bool
is_delivering(struct spool *spool, uint64_t now)
{
	uint64_t sum = 0;
	bool waits = false;

	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		sum += spool_get_acked(spool, i);
		waits |= spool_get_acked(spool, i) < spool_get_readable(spool, i);
	}
	if (spool->fault != EROFS || !waits)
		return false;
	if (sum != spool->acked_seen) {
		spool->acked_seen = sum;
		spool->acked_seen_ms = now;
	}
	return now < spool->acked_seen_ms + DELIVERY_MS;
}

/* What is in the buffer was not read by anybody: it is dropped like what comes from now on. */
static void
lane_let_go(struct spool *spool, struct spool_lane *lane)
{
	uint64_t readable = atomic_load_explicit(&lane->readable, memory_order_relaxed);

	if (lane->buffer_len > 0 && lane->accepted > readable)
		spool_count(spool, SPOOL_DISK_FULL, lane->accepted - readable);
	lane->buffer_len = lane->buffer_done = 0;
	lane->blocked = lane->failed = true;
	lane->limit = 0;
}

static void
let_go(struct spool *spool)
{
	log_error("spool", "%s: the file system fails (%s): let go, so that it can be repaired and mounted again; records are dropped "
		"until it is back", spool->path, strerror(spool->fault));
	pthread_mutex_lock(&spool->folder_lock);
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		lane_let_go(spool, &spool->lanes[i]);
	spool_folder_close(spool);
	spool->away = true;
	pthread_mutex_unlock(&spool->folder_lock);
}

/* Whether what is at the path is this spool, and can be written. */
static int
find(struct spool *spool)
{
	struct spool_writer_state writer = { .gap_count = 0 };
	struct spool_reader_state reader = { .epoch = 0 };
	int rc = spool_folder_open(spool, O_RDWR);

	if (rc == 0)
		rc = slot_open(&spool->writer_slot, spool->dir_fd, "writer.state", &writer, sizeof(writer));
	if (rc == 1)
		rc = slot_open(&spool->reader_slot, spool->dir_fd, "reader.state", &reader, sizeof(reader));
	if (rc < 0)
		return rc;
	if (rc == 0 || (reader.epoch != spool->reader_state.epoch && reader.epoch != spool->saved_epoch))
		return -ESTALE;
	spool->writer_state.mount_id = spool_mount_id(spool->dir_fd);
	rc = slot_save(&spool->writer_slot, &spool->writer_state, sizeof(spool->writer_state), true);
	return rc < 0 ? rc : slot_save(&spool->reader_slot, &spool->reader_state, sizeof(spool->reader_state), true);
}

static int
lane_find(struct spool *spool, struct spool_lane *lane)
{
	free(lane->segments);
	lane->segments = NULL;
	lane->segment_max = lane->segment_head = lane->segment_count = 0;
	lane->file_len = 0;
	lane->synced_first = lane->synced_readable = 0;
	lane->fault_seq = 0;
	counter_set(&lane->bytes, 0);
	return spool_lane_open(spool, lane, true);
}

static int
come_back(struct spool *spool)
{
	int rc = find(spool);

	if (rc == 0)
		rc = spool_damage_open(spool);
	spool->total_bytes = 0;
	for (unsigned int i = 0; rc == 0 && i < LINK_LANE_COUNT; i++)
		rc = lane_find(spool, &spool->lanes[i]);
	if (rc < 0)
		return rc;
	spool_gaps_restore(spool);
	spool_room_open(spool);
	return slot_save(&spool->writer_slot, &spool->writer_state, sizeof(spool->writer_state), true);
}

static void
look(struct spool *spool)
{
	pthread_mutex_lock(&spool->folder_lock);
	int rc = come_back(spool);

	if (rc < 0)
		spool_folder_close(spool);
	for (unsigned int i = 0; rc == 0 && i < LINK_LANE_COUNT; i++) {
		spool->lanes[i].blocked = spool->lanes[i].failed = false;
		spool->lanes[i].dropped_first = 0;
	}
	spool->away = rc < 0;
	pthread_mutex_unlock(&spool->folder_lock);
	if (rc < 0 && rc != spool->look_error)
		log_warning("spool", "%s: not back yet: %s", spool->path, rc == -ESTALE ? "what is there is another spool" : spool_strerror(rc));
	spool->look_error = rc;
	if (rc < 0)
		return;
	spool->fault_ms = 0;
	spool->state_dirty = false;
	log_notice("spool", "%s: the file system is back, writing goes on", spool->path);
}

bool
spool_is_away(struct spool *spool)
{
	if (!spool->away && spool->fault_ms == 0)
		return false;
	uint64_t now = clock_ms();

	if (!spool->away && is_mended(spool)) {
		spool->fault_ms = 0;
	} else if (!spool->away && now >= spool->fault_ms + spool->let_go_ms && !is_delivering(spool, now)) {
		let_go(spool);
		spool->looked_ms = now;
	} else if (spool->away && now >= spool->looked_ms + LOOK_MS) {
		spool->looked_ms = now;
		look(spool);
	}
	return spool->away;
}
