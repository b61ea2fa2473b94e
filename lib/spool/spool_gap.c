/*
 * Gaps are owed until the aggregator has acknowledged their record. They are appended at a flush, never where
 * the loss is found: an eviction may happen inside an append.
 */
#include <string.h>
#include <time.h>

#include "lib/spool/spool_private.h"

const char *const spool_gap_reason_names[SPOOL_GAP_REASON_COUNT] = {
	[SPOOL_GAP_SPOOL_FULL] = "spool_full",
	[SPOOL_GAP_DISK_FULL] = "disk_full",
	[SPOOL_GAP_UNCLEAN_STOP] = "unclean_stop",
	[SPOOL_GAP_DAMAGED] = "damaged",
	[SPOOL_GAP_POISON] = "poison",
	[SPOOL_GAP_NOT_HELD] = "not_held",
	[SPOOL_GAP_DISK_SLOW] = "disk_slow",
};

void
spool_gap_count_due(struct spool *spool)
{
	uint64_t due = 0;

	for (uint64_t i = 0; i < spool->writer_state.gap_count; i++)
		due += spool->writer_state.gaps[i].record_seq == 0;
	atomic_store_explicit(&spool->gaps_due, due, memory_order_release);
}

/* Neighbours that wait become one, so that a spool that evicts its own gap records needs ever fewer of them. */
static void
join_neighbours(struct spool_writer_state *state)
{
	uint64_t kept = 0;

	for (uint64_t i = 0; i < state->gap_count; i++) {
		const struct spool_gap gap = state->gaps[i];
		uint64_t k = 0;

		while (k < kept && (gap.record_seq != 0 || state->gaps[k].record_seq != 0 || state->gaps[k].lane != gap.lane ||
			state->gaps[k].reason != gap.reason || state->gaps[k].last + 1 != gap.first))
			k++;
		if (k < kept)
			state->gaps[k].last = gap.last;
		else
			state->gaps[kept++] = gap;
	}
	state->gap_count = kept;
}

/* Of one lane, those with the fewest numbers between them become one, which names these numbers too: rather that than one less. */
static void
join_nearest(struct spool_writer_state *state)
{
	uint64_t least = UINT64_MAX, into = 0, from = 0;

	for (uint64_t i = 0; i < state->gap_count; i++)
		for (uint64_t k = 0; k < state->gap_count; k++) {
			const struct spool_gap *a = &state->gaps[i], *b = &state->gaps[k];
			uint64_t between = b->first > a->last ? b->first - a->last : 0;

			if (i == k || a->lane != b->lane || b->first < a->first || between >= least)
				continue;
			least = between;
			into = i;
			from = k;
		}
	if (least == UINT64_MAX)
		return;
	if (state->gaps[from].last > state->gaps[into].last)
		state->gaps[into].last = state->gaps[from].last;
	state->gaps[into].record_seq = 0;
	memmove(&state->gaps[from], &state->gaps[from + 1], (state->gap_count - from - 1) * sizeof(state->gaps[0]));
	state->gap_count--;
}

static_assert(SPOOL_GAPS_MAX > (int)LINK_LANE_COUNT, "in a full table two are of one lane");

/* One that is not appended yet, and ends before it. */
static struct spool_gap *
find_before(struct spool_writer_state *state, enum link_lane lane, uint64_t first, enum spool_gap_reason reason)
{
	for (uint64_t i = 0; i < state->gap_count; i++) {
		struct spool_gap *gap = &state->gaps[i];

		if (gap->lane == lane && gap->record_seq == 0 && gap->reason == reason && gap->last + 1 == first)
			return gap;
	}
	return NULL;
}

void
spool_gap_owe(struct spool *spool, enum link_lane lane, uint64_t first, uint64_t last, enum spool_gap_reason reason)
{
	struct spool_writer_state *state = &spool->writer_state;
	struct spool_gap *before = find_before(state, lane, first, reason);

	spool_count(spool, SPOOL_GAPS, 1);
	if (before == NULL && state->gap_count == SPOOL_GAPS_MAX)
		join_neighbours(state);
	if (before == NULL && state->gap_count == SPOOL_GAPS_MAX)
		join_nearest(state);
	if (before != NULL)
		before->last = last;
	else
		state->gaps[state->gap_count++] = (struct spool_gap){ first, last, 0, lane, reason };
	spool->state_dirty = true;
	spool_gap_count_due(spool);
}

/* The stats records [first_seq, next_seq) are gone: gap records among them are owed again. */
void
spool_gap_forget(struct spool *spool, uint64_t first_seq, uint64_t next_seq)
{
	struct spool_writer_state *state = &spool->writer_state;

	for (uint64_t i = 0; i < state->gap_count; i++)
		if (state->gaps[i].record_seq >= first_seq && state->gaps[i].record_seq < next_seq)
			state->gaps[i].record_seq = 0;
	spool->state_dirty = true;
	spool_gap_count_due(spool);
}

static uint64_t
gap_append(struct spool *spool, const struct spool_gap *gap)
{
	char text[320];
	struct buf line = { .data = text, .cap = sizeof(text) };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	buf_puts(&line, "{\"timestamp\":");
	buf_json_time(&line, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	buf_puts(&line, ",\"event_type\":\"gap\",\"gap\":{\"lane\":\"");
	buf_puts(&line, link_lane_name((enum link_lane)gap->lane));
	buf_puts(&line, "\",\"first\":");
	buf_u64(&line, gap->first);
	buf_puts(&line, ",\"last\":");
	buf_u64(&line, gap->last);
	buf_puts(&line, ",\"reason\":\"");
	buf_puts(&line, spool_gap_reason_names[gap->reason]);
	buf_puts(&line, "\"}}");
	return spool_append(spool, LINK_LANE_STATS, line.data, line.len);
}

static void
take_requests(struct spool *spool)
{
	uint32_t head = atomic_load_explicit(&spool->request_head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&spool->request_tail, memory_order_acquire);

	for (; head != tail; head++) {
		const struct spool_gap_request *request = &spool->requests[head % SPOOL_GAP_REQUESTS_MAX];

		spool_gap_owe(spool, request->lane, request->first, request->last, request->reason);
		if (request->reason != SPOOL_GAP_DAMAGED)
			continue;
		spool_damage_found(spool, &spool->lanes[request->lane], request->first);
		/* Gap records among them are owed again. */
		if (request->lane == LINK_LANE_STATS)
			spool_gap_forget(spool, request->first, request->last + 1);
	}
	/* After gaps_due went up, so that spool_is_drained() never sees neither. */
	atomic_store_explicit(&spool->request_head, head, memory_order_release);
}

static void
remove_delivered(struct spool *spool, uint64_t acked)
{
	struct spool_writer_state *state = &spool->writer_state;
	uint64_t kept = 0;

	for (uint64_t i = 0; i < state->gap_count; i++)
		if (state->gaps[i].record_seq == 0 || state->gaps[i].record_seq > acked)
			state->gaps[kept++] = state->gaps[i];
	spool->state_dirty |= kept != state->gap_count;
	state->gap_count = kept;
}

void
spool_gap_flush(struct spool *spool)
{
	struct spool_writer_state *state = &spool->writer_state;
	uint64_t appended = 0;
	/* Before the requests: the reader asks for a gap first, and passes over it then. */
	uint64_t acked = atomic_load_explicit(&spool->lanes[LINK_LANE_STATS].acked, memory_order_acquire);

	if (atomic_load_explicit(&spool->request_tail, memory_order_relaxed) !=
		atomic_load_explicit(&spool->request_head, memory_order_relaxed))
		take_requests(spool);
	if (state->gap_count == 0)
		return;
	remove_delivered(spool, acked);
	join_neighbours(state);
	for (uint64_t i = 0; i < state->gap_count; i++) {
		if (state->gaps[i].record_seq != 0)
			continue;
		struct spool_gap gap = state->gaps[i];
		uint64_t seq = gap_append(spool, &gap);

		appended += seq != 0;
		/* The append may itself have evicted, and so made this gap longer or moved it: then it stays due. */
		if (memcmp(&state->gaps[i], &gap, sizeof(gap)) == 0)
			state->gaps[i].record_seq = seq;
	}
	if (appended > 0) {
		spool->state_dirty = true;
		spool_lane_write(spool, &spool->lanes[LINK_LANE_STATS]);
	}
	spool_gap_count_due(spool);
}
