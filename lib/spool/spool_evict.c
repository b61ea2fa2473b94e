/* Removal of segments: those acknowledged, and those that the bound on the size takes. */
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/spool/spool_private.h"

static void
lane_unlink_oldest(struct spool *spool, struct spool_lane *lane)
{
	struct spool_segment *oldest = spool_segment_at(lane, 0);
	char name[SEGMENT_NAME_LEN + 1];

	segment_name(name, oldest->first);
	unlinkat(lane->dir_fd, name, 0);
	spool->total_bytes -= oldest->bytes;
	counter_set(&lane->bytes, counter_get(&lane->bytes) - oldest->bytes);
	lane->segment_head = (lane->segment_head + 1) % lane->segment_max;
	lane->segment_count--;
	if (lane->segment_count > 0)
		return;
	/* No file says any more which numbers were used. */
	spool->writer_state.lanes[lane->id].floor = lane->next;
	spool_save_writer_state(spool, false);
}

static unsigned int
lane_closed_count(const struct spool_lane *lane)
{
	return lane->segment_count - (lane->fd >= 0);
}

/*
 * Notes how far the lane is delivered before a segment goes for it. Else a start might find the segment gone and its records not
 * known to be delivered: the machine stopped, or the disk did not take the reader's position. Returns acked, or what is noted
 * of it.
 */
static uint64_t
lane_release(struct spool *spool, struct spool_lane *lane)
{
	struct spool_position *released = &spool->writer_state.released[lane->id];
	const struct spool_position before = *released;
	uint64_t acked = atomic_load_explicit(&lane->acked, memory_order_acquire);

	if (acked <= before.acked)
		return before.acked;
	*released = (struct spool_position){ acked, atomic_load_explicit(&lane->skipped, memory_order_relaxed) };
	if (spool_save_writer_state(spool, true) < 0)
		*released = before;
	return released->acked;
}

void
spool_remove_acked(struct spool *spool, struct spool_lane *lane)
{
	uint64_t acked = atomic_load_explicit(&lane->acked, memory_order_acquire);

	while (lane_closed_count(lane) > 0 && spool_segment_at(lane, 0)->next <= acked + 1) {
		if (spool_segment_at(lane, 0)->next > lane_release(spool, lane) + 1)
			return;
		lane_unlink_oldest(spool, lane);
	}
}

/* Takes the oldest closed segment; what of it is not acknowledged becomes an owed gap. */
void
spool_lane_drop_oldest(struct spool *spool, struct spool_lane *lane)
{
	struct spool_segment oldest = *spool_segment_at(lane, 0);
	uint64_t acked = atomic_load_explicit(&lane->acked, memory_order_acquire);

	(void)lane_release(spool, lane); /* or a full disk has room for the note when this one is gone */
	uint64_t first = oldest.first > acked ? oldest.first : acked + 1;

	/* Before the file goes: a reader that misses it must find that the writer reports it. */
	if (oldest.next > first)
		atomic_store_explicit(&lane->evicted_next, oldest.next, memory_order_release);
	if (oldest.next <= first) {
		lane_unlink_oldest(spool, lane);
		return;
	}
	spool_count(spool, SPOOL_EVICTED_SEGMENTS, 1);
	spool_count(spool, SPOOL_EVICTED_RECORDS, oldest.next - first);
	if (lane->id == LINK_LANE_STATS)
		spool_gap_forget(spool, first, oldest.next);
	spool_gap_owe(spool, lane->id, first, oldest.next - 1, SPOOL_GAP_SPOOL_FULL);
	/* The loss is on the disk before it happens. */
	spool_save_writer_state(spool, true);
	lane_unlink_oldest(spool, lane);
	log_warning("spool", "full: evicted %s records %" PRIu64 "..%" PRIu64, link_lane_name(lane->id), first,
		oldest.next - 1);
}

/*
 * Whether a segment must go before another begins. Every lane may have one open whatever the others hold, so that the
 * bound is kept without an urgent lane's segments ever going for a less urgent one.
 */
bool
spool_is_full(const struct spool *spool)
{
	uint64_t closed_bytes = spool->total_bytes + spool->damaged_bytes;

	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		closed_bytes -= spool->lanes[i].fd >= 0 ? spool->lanes[i].file_len : 0;
	unsigned int others = LINK_LANE_COUNT + (spool->config.keep_room ? SPOOL_ROOM_SPARE : 0);

	return closed_bytes + others * spool->config.segment_size > spool->config.size;
}

void
spool_lane_bound(struct spool *spool, struct spool_lane *lane)
{
	uint64_t bytes_max = spool->config.size / 100 * spool->config.lane_percent[lane->id];

	while (lane_closed_count(lane) > 0 && counter_get(&lane->bytes) + spool->config.segment_size > bytes_max)
		spool_lane_drop_oldest(spool, lane);
}

/* Acknowledged segments go first, whatever their lane; then the oldest of the first lane in the order that has one. */
bool
spool_evict(struct spool *spool, enum link_lane for_lane)
{
	/* Counters and gap records are small; gap records that go are written again. */
	static const enum link_lane order[LINK_LANE_COUNT] = {
		LINK_LANE_FLOW, LINK_LANE_STATS, LINK_LANE_EVENT, LINK_LANE_ASSET, LINK_LANE_ALERT,
	};
	uint64_t before = spool->total_bytes;

	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		spool_remove_acked(spool, &spool->lanes[i]);
	if (spool->total_bytes < before)
		return true;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		if (lane_closed_count(&spool->lanes[order[i]]) > 0) {
			spool_lane_drop_oldest(spool, &spool->lanes[order[i]]);
			return true;
		}
		if (order[i] == for_lane)
			return false;
	}
	return false;
}
