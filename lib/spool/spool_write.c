/* The writer's side: spool_append() is the hot part, the rest runs once a buffer or once a flush. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/spool/spool_private.h"

static bool lane_make_room(struct spool *spool, struct spool_lane *lane, size_t need);
static void lane_drop(struct spool *spool, struct spool_lane *lane);

uint64_t
spool_append(struct spool *spool, enum link_lane lane_id, const void *line, size_t len)
{
	struct spool_lane *lane = &spool->lanes[lane_id];
	size_t need = SEGMENT_ENTRY_LEN + len + (spool->sealed ? SEAL_TAG_LEN : 0);

	if (len == 0 || len > spool->record_len_max) {
		spool_count(spool, SPOOL_TOO_LONG, 1);
		return 0;
	}
	if (lane->buffer_len + need > lane->limit && !lane_make_room(spool, lane, need)) {
		lane_drop(spool, lane);
		return 0;
	}
	uint64_t seq = lane->next;
	char *to = lane->buffer + lane->buffer_len;

	if (!spool->sealed) {
		segment_entry_write(to, lane->salt, seq, line, (uint32_t)len);
	} else if (!segment_entry_seal(to, lane->salt, seq, line, (uint32_t)len, lane->seal)) {
		spool_give_up(spool, lane_id, 1);
		return 0;
	}
	lane->next = seq + 1;
	lane->buffer_len += need;
	lane->accepted = seq;
	lane->hole_first = seq + 1;
	atomic_store_explicit(&lane->appended, seq, memory_order_relaxed);
	spool_count(spool, SPOOL_APPENDED, 1);
	spool_count(spool, SPOOL_APPENDED_BYTES, len);
	return seq;
}

/* A record that found no room uses up its number, so that the gap record can name it. */
static void
lane_drop(struct spool *spool, struct spool_lane *lane)
{
	spool_count(spool, SPOOL_DISK_FULL, 1);
	if (lane->dropped_first == 0) {
		lane->dropped_first = lane->next;
		lane->dropped_reason = SPOOL_GAP_DISK_FULL;
	}
	lane->next++;
}

void
spool_give_up(struct spool *spool, enum link_lane lane_id, uint64_t count)
{
	struct spool_lane *lane = &spool->lanes[lane_id];

	if (lane->dropped_first == 0) {
		lane->dropped_first = lane->next;
		lane->dropped_reason = SPOOL_GAP_DISK_SLOW;
	}
	lane->next += count;
	lane->blocked = true;
	lane->limit = 0;
}

static void
lane_set_limit(const struct spool *spool, struct spool_lane *lane)
{
	uint64_t room = lane->fd < 0 || lane->file_len > spool->config.segment_size ? 0 :
		spool->config.segment_size - lane->file_len;

	lane->limit = lane->blocked ? 0 : room < SPOOL_WRITE_LEN ? room : SPOOL_WRITE_LEN;
}

static void
lane_add_bytes(struct spool *spool, struct spool_lane *lane, uint64_t n)
{
	lane->file_len += n;
	spool_segment_at(lane, lane->segment_count - 1)->bytes += n;
	spool->total_bytes += n;
	counter_add(&lane->bytes, n);
}

static int
lane_fail(struct spool *spool, struct spool_lane *lane, int error, const char *what)
{
	if (!lane->failed)
		log_error("spool", "%s/%s: cannot %s: %s; records are dropped until it works again", spool->path,
			link_lane_name(lane->id), what, strerror(error));
	lane->failed = true;
	lane->blocked = true;
	lane->limit = 0;
	spool_count(spool, SPOOL_WRITE_ERRORS, 1);
	spool_fault(spool, error);
	return -error;
}

int
spool_lane_reserve(struct spool *spool, struct spool_lane *lane)
{
	uint64_t *reserved = &spool->writer_state.lanes[lane->id].reserved;
	uint64_t before = *reserved;

	if (before >= lane->next + SPOOL_RESERVE_LOW)
		return 0;
	*reserved = lane->next + SPOOL_RESERVE_STEP;
	int rc = slot_save(&spool->writer_slot, &spool->writer_state, sizeof(spool->writer_state), true);

	if (rc < 0)
		*reserved = before;
	return rc;
}

/* Writes the buffer; what was written becomes readable. Room is made by eviction when the disk itself is full. */
int
spool_lane_write(struct spool *spool, struct spool_lane *lane)
{
	bool evicted = false;

	while (lane->buffer_done < lane->buffer_len) {
		ssize_t done = pwrite(lane->fd, lane->buffer + lane->buffer_done, lane->buffer_len - lane->buffer_done,
			(off_t)lane->file_len);

		if (done > 0) {
			lane->buffer_done += (size_t)done;
			lane_add_bytes(spool, lane, (uint64_t)done);
			continue;
		}
		int error = done == 0 ? ENOSPC : errno;

		if (error == EINTR)
			continue;
		if ((error == ENOSPC || error == EDQUOT) && !evicted) {
			evicted = spool_evict(spool, lane->id);
			if (evicted)
				continue;
		}
		return lane_fail(spool, lane, error, "write");
	}
	lane->unsynced |= lane->buffer_len > 0;
	lane->buffer_len = 0;
	lane->buffer_done = 0;
	lane_set_limit(spool, lane);
	atomic_store_explicit(&lane->readable, lane->accepted, memory_order_release);
	return 0;
}

static void
lane_close_segment(struct spool *spool, struct spool_lane *lane)
{
	if (lane->fd < 0)
		return;
	if (spool->config.fsync == SPOOL_FSYNC_BATCH && fdatasync(lane->fd) != 0)
		spool_count(spool, SPOOL_SYNC_ERRORS, 1);
	spool_room_give_back(spool, lane->fd, lane->file_len);
	close(lane->fd);
	lane->fd = -1;
	spool_segment_at(lane, lane->segment_count - 1)->next = lane->accepted + 1;
}

static int
segment_file(struct spool *spool, const struct spool_lane *lane, const char *name)
{
	int fd = spool_room_take(spool, lane, name);

	if (fd >= 0 || fd == -EEXIST)
		return fd;
	fd = openat(lane->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (!spool->room_refused)
		(void)spool_room_claim(spool, fd); /* what there is of it */
	return fd;
}

static int
segment_make(struct spool *spool, struct spool_lane *lane)
{
	struct segment_header header = {
		.epoch = spool_get_epoch(spool), .hole_first = lane->hole_first,
		.version = spool->sealed ? SEGMENT_VERSION_SEALED : SEGMENT_VERSION, .key_id = spool->sealed ? spool->key.id : 0,
	};
	char name[SEGMENT_NAME_LEN + 1];

	if (getrandom(&header.salt, sizeof(header.salt), 0) != sizeof(header.salt))
		return -EIO;
	if (spool->sealed && getrandom(&header.salt_more, sizeof(header.salt_more), 0) != sizeof(header.salt_more))
		return -EIO;
	segment_header_write(&header, lane->id, lane->next);
	if (spool->sealed && !seal_begin(lane->seal, &header))
		return -EIO;
	segment_name(name, lane->next);
	int fd = segment_file(spool, lane, name);

	if (fd < 0)
		return fd;
	ssize_t done = pwrite(fd, &header, sizeof(header), 0);

	if (done != (ssize_t)sizeof(header)) {
		int error = done < 0 ? errno : ENOSPC;

		close(fd);
		unlinkat(lane->dir_fd, name, 0);
		return -error;
	}
	if (spool->config.fsync == SPOOL_FSYNC_BATCH)
		fsync(lane->dir_fd);
	lane->salt = header.salt;
	return fd;
}

/* The segment is full, or none is open: bounds the size, then begins a new one. */
static int
lane_open_segment(struct spool *spool, struct spool_lane *lane)
{
	lane_close_segment(spool, lane);
	spool_lane_bound(spool, lane);
	while (spool_is_full(spool))
		if (!spool_evict(spool, lane->id))
			break;
	if (lane->segment_count == lane->segment_max)
		spool_lane_drop_oldest(spool, lane);
	int rc = spool_lane_reserve(spool, lane);

	if (rc < 0)
		return lane_fail(spool, lane, -rc, "save the reservation");
	int fd = segment_make(spool, lane);

	if ((fd == -ENOSPC || fd == -EDQUOT) && spool_evict(spool, lane->id))
		fd = segment_make(spool, lane);
	if (fd < 0)
		return lane_fail(spool, lane, -fd, "begin a segment");
	lane->fd = fd;
	lane->file_len = 0;
	*spool_segment_at(lane, lane->segment_count++) =
		(struct spool_segment){ .first = lane->next, .next = lane->next };
	lane_add_bytes(spool, lane, SEGMENT_HEADER_LEN);
	return 0;
}

static bool
lane_make_room(struct spool *spool, struct spool_lane *lane, size_t need)
{
	if (lane->blocked)
		return false;
	if (lane->buffer_len > 0 && spool_lane_write(spool, lane) < 0)
		return false;
	if (spool_lane_reserve(spool, lane) < 0 && lane->next + SPOOL_RESERVE_STEP / 4 >
		spool->writer_state.lanes[lane->id].reserved) {
		lane_fail(spool, lane, EIO, "save the reservation");
		return false;
	}
	if ((lane->fd < 0 || lane->file_len + need > spool->config.segment_size) &&
		lane_open_segment(spool, lane) < 0)
		return false;
	lane_set_limit(spool, lane);
	return true;
}

/* After a failure: the buffer first; then the numbers that were dropped meanwhile are a reported hole. */
static void
lane_unblock(struct spool *spool, struct spool_lane *lane)
{
	if (lane->buffer_len > 0 && spool_lane_write(spool, lane) < 0)
		return;
	if (lane->dropped_first != 0) {
		lane_close_segment(spool, lane);
		spool_gap_owe(spool, lane->id, lane->dropped_first, lane->next - 1, lane->dropped_reason);
		spool->writer_state.lanes[lane->id].floor = lane->next;
		spool_save_writer_state(spool, true);
		lane->dropped_first = 0;
	}
	if (lane->fd < 0 && lane_open_segment(spool, lane) < 0)
		return;
	if (lane->failed)
		log_notice("spool", "%s/%s: writing works again", spool->path, link_lane_name(lane->id));
	lane->blocked = lane->failed = false;
	lane_set_limit(spool, lane);
}

static void
lane_flush(struct spool *spool, struct spool_lane *lane)
{
	if (lane->blocked)
		lane_unblock(spool, lane);
	else if (lane->buffer_len > 0)
		spool_lane_write(spool, lane);
	if (spool->config.fsync == SPOOL_FSYNC_BATCH && lane->unsynced && lane->fd >= 0) {
		lane->unsynced = false;
		if (fdatasync(lane->fd) != 0)
			spool_count(spool, SPOOL_SYNC_ERRORS, 1);
	}
}

void
spool_flush(struct spool *spool)
{
	if (spool_is_away(spool))
		return;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		lane_flush(spool, &spool->lanes[i]);
		spool_remove_acked(spool, &spool->lanes[i]);
	}
	spool_gap_flush(spool);
	spool_room_fill(spool);
	if (spool->state_dirty)
		spool_save_writer_state(spool, false);
	counter_set(&spool->counters[SPOOL_STORED_BYTES], spool->total_bytes);
}

int
spool_save_writer_state(struct spool *spool, bool sync)
{
	int rc = slot_save(&spool->writer_slot, &spool->writer_state, sizeof(spool->writer_state), sync);

	spool->state_dirty = rc < 0;
	if (rc < 0) {
		spool_count(spool, SPOOL_WRITE_ERRORS, 1);
		spool_fault(spool, -rc);
	}
	return rc;
}
