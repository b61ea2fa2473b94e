/* The reader's side. It finds segments by their names alone, so that it shares no list with the writer. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/spool/spool_private.h"
#include "lib/base/clock.h"

/* The lane's segments around seq: the last that begins at or before it, the next one behind; 0: none. */
static int
find_segments(const struct spool_lane *lane, uint64_t seq, uint64_t readable, uint64_t *at, uint64_t *behind)
{
	uint64_t *firsts = NULL;
	int count = spool_lane_list(lane, &firsts);

	*at = 0;
	*behind = 0;
	for (int i = 0; i < count; i++) {
		if (firsts[i] <= seq)
			*at = firsts[i];
		else if (*behind == 0 && firsts[i] <= readable)
			*behind = firsts[i];
	}
	free(firsts);
	return count < 0 ? count : 0;
}

/* What cannot be read may be readable soon; after a while the lane no longer waits for it. */
static bool
lane_gives_up(const struct spool *spool, struct spool_lane *lane, uint64_t seq)
{
	uint64_t now = clock_ms();

	if (lane->fault_seq != seq) {
		lane->fault_seq = seq;
		lane->fault_ms = now;
	}
	lane->unreadable = now - lane->fault_ms >= spool->read_patience_ms;
	return lane->unreadable;
}

/* Behind damage the reader is left before the next whole entry of the file, or closed. Returns 0, or -errno: wait. */
static int
lane_pass_damage(const struct spool *spool, struct spool_lane *lane, uint64_t seq, int status)
{
	struct segment_reader *reader = &lane->reader;

	if (status == SEGMENT_BAD_BODY)
		return 0;
	lane->ended = status == SEGMENT_END || status == SEGMENT_TORN;
	if (status < 0 && (status != -EIO || !lane_gives_up(spool, lane, seq))) {
		segment_reader_close(reader);
		return status;
	}
	if ((status != SEGMENT_BAD && status != -EIO) || segment_reader_resync(reader) <= 0)
		segment_reader_close(reader);
	return 0;
}

/* Moves the reader before seq. Returns 1, 0 when no file holds it, or -errno. */
static int
lane_seek(const struct spool *spool, struct spool_lane *lane, uint64_t seq)
{
	struct segment_reader *reader = &lane->reader;
	uint64_t at, behind;
	const char *line;
	uint32_t len;
	int rc = find_segments(lane, seq, seq, &at, &behind);

	/* Where it stood says nothing of what is lost. */
	segment_reader_close(reader);
	if (rc < 0 || at == 0)
		return rc;
	rc = segment_reader_open(reader, lane->dir_fd, lane->id, at);
	if (rc == -EIO && lane_gives_up(spool, lane, seq))
		return 0;
	if (rc < 0)
		return rc == -EBADMSG ? 0 : rc == -ENOENT ? -EAGAIN : rc;
	while (reader->fd >= 0 && reader->seq < seq) {
		rc = segment_reader_next(reader, &line, &len);
		if (rc != SEGMENT_ENTRY)
			rc = lane_pass_damage(spool, lane, seq, rc);
		if (rc < 0)
			return rc;
	}
	return reader->fd >= 0 && reader->seq == seq;
}

/* The record seq. Returns 1, 0 when it is lost, or -errno. The reader stays open when it knows where the file goes on. */
static int
lane_read(const struct spool *spool, struct spool_lane *lane, uint64_t seq, const char **line, uint32_t *len)
{
	struct segment_reader *reader = &lane->reader;
	int rc = 1;

	lane->unreadable = lane->ended = false;
	if (reader->fd < 0 || reader->seq != seq)
		rc = lane_seek(spool, lane, seq);
	if (rc <= 0)
		return rc;
	rc = segment_reader_next(reader, line, len);
	if (rc == SEGMENT_END) {
		rc = segment_reader_open(reader, lane->dir_fd, lane->id, seq);
		lane->ended = rc == -ENOENT;
		if (rc < 0)
			return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
		rc = segment_reader_next(reader, line, len);
	}
	return rc == SEGMENT_ENTRY ? 1 : lane_pass_damage(spool, lane, seq, rc);
}

/* Whether the reader is at the segment of that number, which a start began behind one that it could not read. */
static bool
is_behind_unread(const struct spool_lane *lane, uint64_t first)
{
	const struct segment_header *header = &lane->reader.header;

	return lane->reader.fd >= 0 && header->first == first && header->hole_first == SEGMENT_HOLE_UNKNOWN;
}

/* Where records go on behind the lost seq, and up to where the writer has not reported the loss itself. */
static int
lane_resume(struct spool_lane *lane, uint64_t seq, uint64_t readable, uint64_t *resume, uint64_t *unreported_end)
{
	uint64_t at;

	if (lane->reader.fd >= 0 && lane->reader.seq > seq && lane->reader.seq <= readable + 1) {
		*resume = *unreported_end = lane->reader.seq;
		return 0;
	}
	int rc = find_segments(lane, seq, readable, &at, resume);

	if (rc < 0)
		return rc;
	/* Where nothing can be read behind it either, it is the disk that fails and not the record. */
	if (*resume == 0 && lane->unreadable)
		return -EIO;
	if (*resume == 0) {
		*resume = readable + 1;
		*unreported_end = readable + 1 == lane->start_next ? lane->start_hole_first : readable + 1;
		return 0;
	}
	*unreported_end = *resume;
	rc = segment_reader_open(&lane->reader, lane->dir_fd, lane->id, *resume);
	if (rc == 0)
		*unreported_end = is_behind_unread(lane, *resume) ? *resume : lane->reader.header.hole_first;
	return rc == -ENOENT ? -EAGAIN : rc == -EBADMSG ? 0 : rc;
}

static int
lane_skip_lost(struct spool *spool, struct spool_lane *lane, uint64_t *seq, uint64_t readable)
{
	uint64_t resume, end;
	int rc = lane_resume(lane, *seq, readable, &resume, &end);

	if (rc < 0)
		return rc;
	/* Read after the search: what was evicted meanwhile is the writer's to report. */
	uint64_t evicted_next = atomic_load_explicit(&lane->evicted_next, memory_order_acquire);
	uint64_t first = *seq > evicted_next ? *seq : evicted_next;

	/* Numbers that a start left out because it could not read where they began. */
	bool in_doubt = lane->ended && (end == spool->writer_state.unread_next[lane->id] || is_behind_unread(lane, end));

	if (first < end) {
		rc = spool_report_gap(spool, lane->id, first, end - 1, in_doubt ? SPOOL_GAP_UNCLEAN_STOP : SPOOL_GAP_DAMAGED);
		if (rc < 0) {
			segment_reader_close(&lane->reader);
			return rc;
		}
		spool_count(spool, SPOOL_CORRUPT_RECORDS, in_doubt ? 0 : end - first);
	}
	*seq = resume;
	return 0;
}

static int
peek(struct spool *spool, const struct spool_want *want, struct buf *lines, struct spool_batch *out)
{
	struct spool_lane *lane = &spool->lanes[want->lane];
	size_t bytes_max = want->bytes_max < lines->cap ? want->bytes_max : lines->cap;
	uint64_t readable = atomic_load_explicit(&lane->readable, memory_order_acquire);

	for (uint64_t seq = out->first; out->count < want->count_max && seq <= readable;) {
		const char *line;
		uint32_t len;
		int rc = lane_read(spool, lane, seq, &line, &len);

		if (rc < 0)
			return rc;
		if (rc == 0) {
			if (out->count > 0)
				return 0;
			rc = lane_skip_lost(spool, lane, &seq, readable);
			if (rc < 0)
				return rc;
			out->first = seq;
			continue;
		}
		if (out->count > 0 && lines->len + len + 1 > bytes_max) {
			segment_reader_unread(&lane->reader);
			return 0;
		}
		buf_put(lines, line, len);
		buf_putc(lines, '\n');
		out->count++;
		seq++;
	}
	return 0;
}

int
spool_peek_batch(struct spool *spool, const struct spool_want *want, struct buf *lines, struct spool_batch *out)
{
	uint64_t acked = spool_get_acked(spool, want->lane);

	assert(lines->cap > SPOOL_RECORD_LEN_MAX && want->count_max > 0);
	buf_reset(lines);
	*out = (struct spool_batch){ .first = want->from_seq > acked ? want->from_seq : acked + 1 };
	pthread_mutex_lock(&spool->folder_lock);
	int rc = spool->away ? -EIO : peek(spool, want, lines, out);

	pthread_mutex_unlock(&spool->folder_lock);
	if (rc < 0 && rc != -EAGAIN)
		spool_count(spool, SPOOL_READ_ERRORS, 1);
	out->bytes = lines->len;
	return out->count > 0 ? (int)out->count : rc;
}

static void
advance(struct spool *spool, enum link_lane lane_id, uint64_t seq, bool skipped)
{
	struct spool_lane *lane = &spool->lanes[lane_id];
	uint64_t before = spool_get_acked(spool, lane_id);

	if (seq <= before)
		return;
	pthread_mutex_lock(&spool->folder_lock);
	spool->reader_state.lanes[lane_id].acked = seq;
	spool->reader_state.lanes[lane_id].skipped = skipped;
	/* On disk before the writer may remove a segment because of it. */
	if (spool->away || slot_save(&spool->reader_slot, &spool->reader_state, sizeof(spool->reader_state), false) < 0)
		spool_count(spool, SPOOL_STATE_ERRORS, 1);
	spool_count(spool, SPOOL_ACKED, seq - before);
	atomic_store_explicit(&lane->skipped, skipped, memory_order_relaxed);
	atomic_store_explicit(&lane->acked, seq, memory_order_release);
	pthread_mutex_unlock(&spool->folder_lock);
}

void
spool_ack(struct spool *spool, enum link_lane lane, uint64_t seq)
{
	advance(spool, lane, seq, false);
}

void
spool_skip(struct spool *spool, enum link_lane lane, uint64_t seq)
{
	advance(spool, lane, seq, true);
}

bool
spool_is_skipped(const struct spool *spool, enum link_lane lane)
{
	return atomic_load_explicit(&spool->lanes[lane].skipped, memory_order_relaxed);
}

int
spool_report_gap(struct spool *spool, enum link_lane lane, uint64_t first, uint64_t last, enum spool_gap_reason reason)
{
	uint32_t tail = atomic_load_explicit(&spool->request_tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&spool->request_head, memory_order_acquire) == SPOOL_GAP_REQUESTS_MAX)
		return -EAGAIN;
	spool->requests[tail % SPOOL_GAP_REQUESTS_MAX] = (struct spool_gap_request){ first, last, lane, reason };
	atomic_store_explicit(&spool->request_tail, tail + 1, memory_order_release);
	return 0;
}

static void
lane_sync(struct spool *spool, struct spool_lane *lane)
{
	uint64_t readable = atomic_load_explicit(&lane->readable, memory_order_acquire);
	uint64_t *firsts = NULL;

	if (readable == lane->synced_readable)
		return;
	int count = spool_lane_list(lane, &firsts);
	bool failed = count < 0;

	for (int i = 0; i < count; i++) {
		char name[SEGMENT_NAME_LEN + 1];

		if (firsts[i] < lane->synced_first)
			continue;
		segment_name(name, firsts[i]);
		int fd = openat(lane->dir_fd, name, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		failed |= fdatasync(fd) != 0;
		close(fd);
	}
	failed |= fsync(lane->dir_fd) != 0;
	if (failed) {
		spool_count(spool, SPOOL_SYNC_ERRORS, 1);
	} else {
		lane->synced_readable = readable;
		lane->synced_first = count > 0 ? firsts[count - 1] : lane->synced_first;
	}
	free(firsts);
}

void
spool_sync(struct spool *spool, uint64_t now_ms)
{
	if (spool->config.fsync != SPOOL_FSYNC_INTERVAL || now_ms < spool->synced_ms + spool->config.fsync_interval_ms)
		return;
	spool->synced_ms = now_ms;
	pthread_mutex_lock(&spool->folder_lock);
	for (unsigned int i = 0; !spool->away && i < LINK_LANE_COUNT; i++)
		lane_sync(spool, &spool->lanes[i]);
	if (spool->away || fdatasync(spool->reader_slot.fd) != 0)
		spool_count(spool, SPOOL_SYNC_ERRORS, 1);
	pthread_mutex_unlock(&spool->folder_lock);
}
