/* The reader's side. It finds segments by their names alone, so that it shares no list with the writer. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/spool/spool_private.h"

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

/* Moves the reader before seq. Returns 1, 0 when no file holds it, or -errno. */
static int
lane_seek(struct spool_lane *lane, uint64_t seq)
{
	struct segment_reader *reader = &lane->reader;
	uint64_t at, behind;
	const char *line;
	uint32_t len;
	int rc = find_segments(lane, seq, seq, &at, &behind);

	if (rc < 0 || at == 0)
		return rc;
	rc = segment_reader_open(reader, lane->dir_fd, lane->id, at);
	if (rc < 0)
		return rc == -EBADMSG ? 0 : rc == -ENOENT ? -EAGAIN : rc;
	while (reader->seq < seq) {
		rc = segment_reader_next(reader, &line, &len);
		if (rc == SEGMENT_ENTRY || rc == SEGMENT_BAD_BODY)
			continue;
		segment_reader_close(reader);
		return rc < 0 ? rc : 0;
	}
	return 1;
}

/* The record seq. Returns 1, 0 when it is lost, or -errno. After damage to this record alone the reader stays open. */
static int
lane_read(struct spool_lane *lane, uint64_t seq, const char **line, uint32_t *len)
{
	struct segment_reader *reader = &lane->reader;
	int rc = 1;

	if (reader->fd < 0 || reader->seq != seq)
		rc = lane_seek(lane, seq);
	if (rc <= 0)
		return rc;
	rc = segment_reader_next(reader, line, len);
	if (rc == SEGMENT_END) {
		rc = segment_reader_open(reader, lane->dir_fd, lane->id, seq);
		if (rc < 0)
			return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
		rc = segment_reader_next(reader, line, len);
	}
	if (rc == SEGMENT_ENTRY)
		return 1;
	if (rc != SEGMENT_BAD_BODY)
		segment_reader_close(reader);
	return rc < 0 ? rc : 0;
}

/* Where records go on behind the lost seq, and up to where the writer has not reported the loss itself. */
static int
lane_resume(struct spool_lane *lane, uint64_t seq, uint64_t readable, uint64_t *resume, uint64_t *unreported_end)
{
	uint64_t at;

	if (lane->reader.fd >= 0 && lane->reader.seq == seq + 1) {
		*resume = *unreported_end = seq + 1;
		return 0;
	}
	int rc = find_segments(lane, seq, readable, &at, resume);

	if (rc < 0)
		return rc;
	if (*resume == 0) {
		*resume = *unreported_end = readable + 1;
		return 0;
	}
	*unreported_end = *resume;
	rc = segment_reader_open(&lane->reader, lane->dir_fd, lane->id, *resume);
	if (rc == 0)
		*unreported_end = lane->reader.header.hole_first;
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

	if (first < end) {
		rc = spool_report_gap(spool, lane->id, first, end - 1, SPOOL_GAP_DAMAGED);
		if (rc < 0) {
			segment_reader_close(&lane->reader);
			return rc;
		}
		spool_count(spool, SPOOL_CORRUPT_RECORDS, end - first);
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
		int rc = lane_read(lane, seq, &line, &len);

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
			segment_reader_unread(&lane->reader, len);
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
	int rc = peek(spool, want, lines, out);

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
	spool->reader_state.lanes[lane_id].acked = seq;
	spool->reader_state.lanes[lane_id].skipped = skipped;
	/* On disk before the writer may remove a segment because of it. */
	if (slot_save(&spool->reader_slot, &spool->reader_state, sizeof(spool->reader_state), false) < 0)
		spool_count(spool, SPOOL_STATE_ERRORS, 1);
	spool_count(spool, SPOOL_ACKED, seq - before);
	atomic_store_explicit(&lane->skipped, skipped, memory_order_relaxed);
	atomic_store_explicit(&lane->acked, seq, memory_order_release);
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
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		lane_sync(spool, &spool->lanes[i]);
	if (fdatasync(spool->reader_slot.fd) != 0)
		spool_count(spool, SPOOL_SYNC_ERRORS, 1);
}
