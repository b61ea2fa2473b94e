/* What waits: for bytes of its own direction that come later, and for those of the other one that it answers. */
#include "lib/stream/stream_state.h"

/** Whether so much of a direction is acknowledged and not handed on yet. A number alone may be a FIN. */
static bool
is_behind(const struct stream_dir *dir, uint32_t ack)
{
	return ack != 0 && seq_diff(ack, dir->next_seq) > 1;
}

bool
stream_is_early_answer(const struct stream_step *step, unsigned int side, uint32_t ack)
{
	const struct stream_dir *peer = &step->stream->dirs[!side];
	const uint16_t known = STREAM_DIR_OPEN | STREAM_DIR_ACKED;

	if (step->packet == NULL || (peer->flags & (known | STREAM_DIR_ENDED)) != known || !is_behind(peer, ack) ||
	    seq_diff(ack, peer->last_ack) > 0)
		return false;
	if (stream_is_holding(peer))
		return !is_behind(&step->stream->dirs[side], peer->early.head->mark);
	return peer->gap_run < STREAM_GAPS_IN_A_ROW;
}

/** Whether it has been waited long enough for bytes that the peer acknowledged. */
static bool
hole_is_lost(struct stream_dir *dir, uint64_t ts_ns)
{
	uint32_t now_ms = (uint32_t)(ts_ns / 1000000);

	if (dir->gap_packets == 0)
		dir->gap_ms = now_ms;
	/* so much behind it is as good: where hole follows on hole, each is not to take so many packets that the next ones pile up */
	if (dir->gap_packets++ < STREAM_REORDER_PACKETS && (dir->gap_packets < 2 || dir->early.count < STREAM_REORDER_PACKETS))
		return false;
	/* what the same side sent later is here, or time is up */
	return dir->early.head != NULL || now_ms - dir->gap_ms >= STREAM_REORDER_MS || dir->gap_packets == STREAM_REORDER_PACKETS_MAX;
}

/* ---- of a connection that was given up only numbers are followed ---- */

/** The next bytes did not come. */
static void
leave_hole(struct stream_dir *dir, uint32_t len)
{
	if (len == 0)
		return;
	if ((dir->flags & STREAM_DIR_HOLE) == 0) {
		dir->hole_seq = dir->next_seq;
		dir->hole_len = 0;
		dir->gap_packets = 0;
	}
	dir->flags |= STREAM_DIR_HOLE;
	dir->hole_len += len;
	dir->hole_end = dir->next_seq + len;
}

void
stream_leave_early(struct stream_dir *dir)
{
	int32_t seen = seq_diff(dir->max_seq, dir->next_seq);

	if (dir->early.head == NULL || seen <= 0)
		return;
	if (!stream_is_holding(dir))
		leave_hole(dir, (uint32_t)(dir->early.head->start - dir->next_pos));
	dir->next_pos += (uint32_t)seen;
	dir->next_seq = dir->max_seq;
}

bool
stream_fill_hole(struct stream_dir *dir, uint32_t seq, uint32_t len)
{
	if ((dir->flags & STREAM_DIR_HOLE) == 0 || seq_diff(seq, dir->hole_seq) < 0 || seq_diff(seq + len, dir->hole_end) > 0)
		return false;
	dir->hole_len -= len < dir->hole_len ? len : dir->hole_len;
	if (dir->hole_len == 0)
		dir->flags &= (uint16_t)~STREAM_DIR_HOLE;
	return true;
}

static bool
hole_is_acked(const struct stream_dir *dir)
{
	const uint16_t both = STREAM_DIR_HOLE | STREAM_DIR_ACKED;

	return (dir->flags & both) == both && seq_diff(dir->last_ack, dir->hole_end) >= 0;
}

void
stream_end_hole(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side];

	if (hole_is_acked(dir))
		stream_lose(step, side, dir->hole_len);
	dir->flags &= (uint16_t)~STREAM_DIR_HOLE;
}

void
stream_follow_hole(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	uint32_t limit = step->flow->packets[side != stream_side(step->flow, true)] == 0 ? STREAM_ONE_WAY_SEGMENTS :
		(uint32_t)step->engine->config.segments_max;

	if ((dir->flags & STREAM_DIR_HOLE) != 0) {
		if (hole_is_acked(dir) && hole_is_lost(dir, step->packet->ts_ns))
			stream_end_hole(step, side);
		return;
	}
	if (dir->early.count >= limit) {
		stream_event_set(step->packet, STREAM_REASSEMBLY_INSERT_LIMIT);
		stream_skip_hole(step, side);
		return;
	}
	if ((dir->flags & (STREAM_DIR_ACKED | STREAM_DIR_OPEN)) != (STREAM_DIR_ACKED | STREAM_DIR_OPEN) ||
	    seq_diff(dir->last_ack, dir->next_seq) <= 0)
		return;
	/* one acknowledged number without data behind it is most likely a FIN that was not mirrored */
	if ((dir->early.head == NULL && stream_hole_len(dir) <= 1) || stream_is_holding(dir))
		return;
	if (hole_is_lost(dir, step->packet->ts_ns))
		stream_skip_hole(step, side);
}

void
stream_settle(struct stream_step *step)
{
	const struct stream_dir *dirs = step->stream->dirs;
	uint64_t before;

	do {
		before = dirs[0].next_pos + dirs[1].next_pos;
		for (unsigned int side = 0; side < 2; side++)
			if (stream_is_holding(&dirs[side]) && (dirs[side].flags & STREAM_DIR_SYN_DATA) == 0)
				stream_drain(step, side);
	} while (dirs[0].next_pos + dirs[1].next_pos != before);
}

bool
stream_keep_early(struct stream_step *step, unsigned int side, uint32_t offset, const uint8_t *data, uint32_t len)
{
	struct stream_engine *engine = step->engine;
	struct stream_dir *dir = &step->stream->dirs[side];
	unsigned int result;

	if ((step->flow->flags & FLOW_APP_GIVEN_UP) != 0) {
		if (dir->early.head != NULL) {
			stream_leave_early(dir); /* and behind this segment */
			stream_dir_clear(engine, dir);
			return true;
		}
		leave_hole(dir, offset);
		dir->next_pos += offset + len;
		dir->next_seq += offset + len;
		return true;
	}
	result = piece_insert(&dir->early, engine->segments, dir->policy,
		dir->next_pos + offset, data, len, (step->packet->tcp_flags & TCP_ACK) != 0 ? step->packet->tcp_ack : 0);
	stream_count(engine, STREAM_COUNTER_OUT_OF_ORDER, 1);
	if ((result & PIECE_OVERLAP) != 0)
		stream_count(engine, STREAM_COUNTER_OVERLAP, 1);
	if ((result & PIECE_DIFFERENT) != 0) {
		stream_count(engine, STREAM_COUNTER_OVERLAP_DIFF_DATA, 1);
		stream_event_set(step->packet, STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA);
	}
	if ((result & PIECE_NO_MEMORY) != 0) {
		stream_count(engine, STREAM_COUNTER_SEGMENT_MEMCAP_DROP, 1);
		stream_event_set(step->packet, STREAM_REASSEMBLY_INSERT_MEMCAP);
		stream_event_set(step->packet, STREAM_REASSEMBLY_NO_SEGMENT);
		stream_skip_hole(step, side);
	}
	return (result & PIECE_NO_MEMORY) == 0;
}

bool
stream_keep_answer(struct stream_step *step, unsigned int side, const uint8_t *data, uint32_t len)
{
	if (!stream_is_early_answer(step, side, step->packet->tcp_ack) || (step->flow->flags & FLOW_APP_GIVEN_UP) != 0)
		return false;
	stream_count(step->engine, STREAM_COUNTER_EARLY_ANSWERS, 1);
	return stream_keep_early(step, side, 0, data, len);
}
