/* The hot side: segments in, contiguous bytes out. */
#include "lib/stream/stream.h"

#include <string.h>

#include "lib/stream/stream_state.h"

enum { STREAM_PLAIN = TCP_ACK | TCP_PSH | TCP_ECE | TCP_CWR };

/** Calls back. @return bytes consumed */
static uint32_t
deliver(struct stream_step *step, struct stream_dir *dir, struct stream_data *data)
{
	uint32_t consumed;

	data->to_server = stream_side(step->flow, true) == (unsigned int)(dir - step->stream->dirs);
	data->seq_end = dir->next_seq;
	if ((dir->flags & STREAM_DIR_MIDSTREAM) != 0)
		data->flags |= STREAM_MIDSTREAM;
	if ((dir->flags & STREAM_DIR_STARTED) == 0) {
		dir->flags |= STREAM_DIR_STARTED;
		data->flags |= (dir->flags & STREAM_DIR_MIDSTREAM) == 0 ? STREAM_START : 0;
	}
	if (step->deliver == NULL)
		return data->len;
	consumed = step->deliver(step->arg, step->flow, step->packet, data);
	return consumed < data->len ? consumed : data->len;
}

static void
pending_free(struct stream_engine *engine, struct stream_dir *dir)
{
	if (dir->pending != NULL)
		slab_free(engine->segments, dir->pending, stream_pending_cap(dir));
	dir->pending = NULL;
	dir->pending_off = dir->pending_len = 0;
}

/** Makes room for len more bytes behind the pending ones. */
static bool
pending_reserve(struct stream_engine *engine, struct stream_dir *dir, uint32_t len)
{
	uint32_t need = dir->pending_len + len, cap = stream_pending_cap(dir);
	uint8_t *bigger, shift = 0;

	if (dir->pending_off + need <= cap)
		return true;
	if (need <= cap - cap / 3) { /* moving two thirds at most: each byte moves twice on average */
		memmove(dir->pending, dir->pending + dir->pending_off, dir->pending_len);
		dir->pending_off = 0;
		return true;
	}
	for (cap = STREAM_PENDING_FIRST; cap < need + need / 2 && cap < SLAB_BLOCK_MAX; cap *= 2)
		shift++;
	if (need > cap)
		return false;
	bigger = slab_alloc(engine->segments, cap);
	if (bigger == NULL)
		return false;
	if (dir->pending_len > 0)
		memcpy(bigger, dir->pending + dir->pending_off, dir->pending_len);
	if (dir->pending != NULL)
		slab_free(engine->segments, dir->pending, stream_pending_cap(dir));
	dir->pending = bigger;
	dir->pending_shift = shift;
	dir->pending_off = 0;
	return true;
}

static void
pending_append(struct stream_engine *engine, struct stream_dir *dir, const uint8_t *data, uint32_t len)
{
	memcpy(dir->pending + dir->pending_off + dir->pending_len, data, len);
	dir->pending_len += len;
	stream_count(engine, STREAM_COUNTER_COPIED_BYTES, len);
}

/** Unconsumed bytes cannot be kept: the callback learns of a hole in their place. */
static void
pending_drop(struct stream_step *step, struct stream_dir *dir, uint32_t more)
{
	struct stream_data gap = { .flags = STREAM_GAP, .missing = dir->pending_len + more };

	stream_count(step->engine, STREAM_COUNTER_PENDING_DROP, gap.missing);
	pending_free(step->engine, dir);
	deliver(step, dir, &gap);
}

static void
hand_on_joined(struct stream_step *step, struct stream_dir *dir, const uint8_t *data, uint32_t len)
{
	struct stream_data joined = { .fresh_off = dir->pending_len };
	uint32_t consumed;

	if (!pending_reserve(step->engine, dir, len)) {
		pending_drop(step, dir, len);
		return;
	}
	pending_append(step->engine, dir, data, len);
	joined.data = dir->pending + dir->pending_off;
	joined.len = dir->pending_len;
	consumed = deliver(step, dir, &joined);
	dir->pending_off += consumed;
	dir->pending_len -= consumed;
	if (dir->pending_len == 0)
		pending_free(step->engine, dir);
	else if (dir->pending_len > STREAM_PENDING_MAX)
		pending_drop(step, dir, 0);
}

void
stream_hand_on(struct stream_step *step, unsigned int side, const uint8_t *data, uint32_t len, bool from_packet)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	struct stream_engine *engine = step->engine;
	struct stream_data whole = { .data = data, .len = len, .flags = from_packet ? STREAM_FROM_PACKET : 0 };
	uint32_t consumed;

	dir->next_pos += len;
	dir->next_seq += len;
	dir->gap_packets = 0;
	dir->gap_run = 0;
	if ((step->flow->flags & FLOW_APP_GIVEN_UP) != 0)
		return;
	if (engine->config.depth_bytes != 0 && dir->next_pos - len >= engine->config.depth_bytes) {
		if ((dir->flags & STREAM_DIR_DEPTH) == 0) {
			dir->flags |= STREAM_DIR_DEPTH;
			stream_count(engine, STREAM_COUNTER_STREAM_DEPTH_REACHED, 1);
			if (step->packet != NULL)
				stream_event_set(step->packet, STREAM_REASSEMBLY_DEPTH_REACHED);
		}
		return;
	}
	stream_count(engine, STREAM_COUNTER_DELIVERED_BYTES, len);
	if (dir->pending_len > 0) {
		hand_on_joined(step, dir, data, len);
		return;
	}
	consumed = deliver(step, dir, &whole);
	if (consumed == len || (step->flow->flags & FLOW_APP_GIVEN_UP) != 0)
		return;
	if (len - consumed > STREAM_PENDING_MAX || !pending_reserve(engine, dir, len - consumed))
		pending_drop(step, dir, len - consumed);
	else
		pending_append(engine, dir, data + consumed, len - consumed);
}

static void
deliver_end(struct stream_step *step, struct stream_dir *dir)
{
	struct stream_data end = { .flags = STREAM_END };

	if ((dir->flags & STREAM_DIR_ENDED) != 0)
		return;
	dir->flags |= STREAM_DIR_ENDED;
	piece_clear(&dir->early, step->engine->segments); /* behind the end stands nothing */
	if ((step->flow->flags & FLOW_APP_GIVEN_UP) != 0)
		return;
	if (dir->pending_len > 0) {
		end.data = dir->pending + dir->pending_off;
		end.len = end.fresh_off = dir->pending_len;
	}
	deliver(step, dir, &end);
	pending_free(step->engine, dir);
}

/** @param patient early answers wait on */
static void
drain(struct stream_step *step, unsigned int side, bool patient)
{
	struct stream_dir *dir = &step->stream->dirs[side];

	while (stream_is_holding(dir) && !(patient && stream_is_early_answer(step, side, dir->early.head->mark))) {
		struct piece *piece = dir->early.head;

		if (piece->end > dir->next_pos) {
			uint32_t skip = (uint32_t)(dir->next_pos - piece->start);

			stream_hand_on(step, side, piece_data(piece) + skip,
				(uint32_t)(piece->end - piece->start) - skip, false);
		}
		piece_pop(&dir->early, step->engine->segments);
	}
	if ((dir->flags & (STREAM_DIR_FIN | STREAM_DIR_ENDED)) == STREAM_DIR_FIN &&
	    seq_diff(dir->next_seq, dir->fin_seq) >= 0)
		deliver_end(step, dir);
}

void
stream_drain(struct stream_step *step, unsigned int side)
{
	drain(step, side, true);
}

uint32_t
stream_hole_len(const struct stream_dir *dir)
{
	int32_t acked = (dir->flags & STREAM_DIR_ACKED) != 0 ? seq_diff(dir->last_ack, dir->next_seq) : 0;

	if ((dir->flags & STREAM_DIR_FIN) != 0 && acked > seq_diff(dir->fin_seq, dir->next_seq))
		acked = seq_diff(dir->fin_seq, dir->next_seq);
	if (dir->early.head != NULL)
		return (uint32_t)(dir->early.head->start - dir->next_pos);
	return acked > 0 ? (uint32_t)acked : 0;
}

/** What of the hole is told at once: up to where the other side had read when it sent what waits for it, so that this is handed
 *  on where it belongs, between two parts of the hole. Where nothing was seen behind the hole, it may be all of that side. */
static uint32_t
hole_part_len(const struct stream_step *step, unsigned int side, uint32_t left)
{
	const struct stream_dir *dir = &step->stream->dirs[side], *peer = &step->stream->dirs[!side];
	uint32_t mark = dir->early.head != NULL && stream_is_holding(peer) ? peer->early.head->mark : 0;
	int32_t ahead = seq_diff(mark, dir->next_seq);

	return mark != 0 && ahead > 0 && (uint32_t)ahead < left ? (uint32_t)ahead : left;
}

static void
skip_part(struct stream_step *step, unsigned int side, uint32_t len)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	struct stream_data gap = { .flags = STREAM_GAP, .missing = len };

	if ((dir->flags & STREAM_DIR_ACKED) != 0 && seq_diff(dir->last_ack, dir->next_seq) > 0)
		stream_lose(step, side, len);
	else
		stream_count(step->engine, STREAM_COUNTER_GAP_BYTES, len);
	dir->next_pos += len;
	dir->next_seq += len;
	pending_free(step->engine, dir);
	if ((step->flow->flags & FLOW_APP_GIVEN_UP) == 0)
		deliver(step, dir, &gap);
}

void
stream_skip_hole(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	uint32_t left = stream_hole_len(dir);

	if (left == 0) {
		drain(step, side, false);
		return;
	}
	stream_count(step->engine, STREAM_COUNTER_REASSEMBLY_GAP, 1);
	if (step->packet != NULL)
		stream_event_set(step->packet, STREAM_REASSEMBLY_SEQ_GAP);
	dir->gap_packets = 0;
	dir->gap_run += dir->gap_run < UINT8_MAX;
	while (left > 0) {
		uint32_t part = hole_part_len(step, side, left);

		skip_part(step, side, part);
		left -= part;
		if (left > 0)
			stream_drain(step, !side);
	}
	stream_drain(step, side);
}

/** Bytes that were delivered before: told apart from what still waits in the pending buffer. */
static void
see_again(struct stream_step *step, struct stream_dir *dir, const uint8_t *data, uint32_t len, int32_t rel)
{
	uint32_t back = -(uint32_t)rel;
	uint32_t old_len = back < len ? back : len;

	if (len == 1 && rel == -1) {
		stream_count(step->engine, STREAM_COUNTER_KEEPALIVES, 1);
		return;
	}
	if (stream_fill_hole(dir, step->packet->tcp_seq, len))
		return;
	stream_count(step->engine, STREAM_COUNTER_RETRANSMISSIONS, 1);
	stream_event_set(step->packet, STREAM_PKT_RETRANSMISSION);
	if (back > dir->next_pos && (dir->flags & STREAM_DIR_MIDSTREAM) == 0)
		stream_event_set(step->packet, STREAM_REASSEMBLY_SEGMENT_BEFORE_BASE_SEQ);
	if ((dir->flags & STREAM_DIR_ACKED) != 0 && seq_diff(dir->last_ack, step->packet->tcp_seq + len) >= 0) {
		stream_event_set(step->packet, STREAM_PKT_SPURIOUS_RETRANSMISSION);
		stream_odd(step, STREAM_ODD_OLD);
	}
	if (back >= len && stream_print_differs(step, (unsigned int)(dir - step->stream->dirs))) {
		stream_count(step->engine, STREAM_COUNTER_OVERLAP_DIFF_DATA, 1);
		stream_event_set(step->packet, STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA);
		return;
	}
	if (back > dir->pending_len) { /* the part before the buffer is gone */
		uint32_t gone = back - dir->pending_len;

		if (gone >= old_len)
			return;
		data += gone;
		old_len -= gone;
		back = dir->pending_len;
	}
	if (memcmp(dir->pending + dir->pending_off + (dir->pending_len - back), data, old_len) != 0) {
		stream_count(step->engine, STREAM_COUNTER_OVERLAP_DIFF_DATA, 1);
		stream_event_set(step->packet, STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA);
	}
}

/** @return whether so much is missing before a segment that it cannot be of this connection's present */
static bool
is_far(struct stream_step *step, unsigned int side, int32_t rel)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	const struct stream_dir *peer = &step->stream->dirs[!side];
	uint64_t window = UINT64_C(65535) << STREAM_WSCALE_MAX;

	if ((peer->flags & STREAM_DIR_WINDOW) != 0)
		window = (uint64_t)peer->window << peer->wscale;
	if ((uint64_t)rel <= window + STREAM_WINDOW_SLACK) {
		dir->far_packets = 0;
		return false;
	}
	stream_count(step->engine, STREAM_COUNTER_OUT_OF_WINDOW, 1);
	stream_odd(step, STREAM_ODD_SEQ);
	if (++dir->far_packets < STREAM_RESYNC_PACKETS)
		return true;
	dir->far_packets = 0; /* that many in a row: it is the sensor that missed them */
	while (dir->early.head != NULL)
		stream_skip_hole(step, side);
	return false;
}

static void
take_data(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	const struct packet *packet = step->packet;
	const uint8_t *data = packet->payload;
	uint32_t len = packet->payload_len;
	int32_t rel = seq_diff(packet->tcp_seq, dir->next_seq);

	if (seq_diff(packet->tcp_seq + len, dir->max_seq) > 0)
		dir->max_seq = packet->tcp_seq + len;
	if (rel < 0) {
		see_again(step, dir, data, len, rel);
		if ((int64_t)rel + len <= 0)
			return;
		data += -rel;
		len -= -(uint32_t)rel;
		rel = 0;
	}
	if ((dir->flags & STREAM_DIR_ENDED) != 0)
		return;
	if (step->engine->prints != NULL && data == packet->payload && (step->flow->flags & FLOW_APP_GIVEN_UP) == 0)
		stream_print_keep(step, side);
	if (rel > 0) {
		if (!is_far(step, side, rel))
			stream_keep_early(step, side, (uint32_t)seq_diff(packet->tcp_seq, dir->next_seq), data, len);
		return;
	}
	dir->far_packets = 0;
	if (stream_keep_answer(step, side, data, len))
		return;
	if (dir->early.head != NULL) {
		if (dir->early.head->start < dir->next_pos + len)
			stream_keep_early(step, side, 0, data, len);
		else
			stream_hand_on(step, side, data, len, true);
		stream_drain(step, side);
		return;
	}
	stream_hand_on(step, side, data, len, true);
}

static void
take_fin(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	uint32_t fin_seq = step->packet->tcp_seq + step->packet->payload_len;

	if (step->packet->payload_len == 0 && !stream_seq_fits(step, side)) {
		stream_odd(step, STREAM_ODD_SEQ);
		return;
	}
	if ((dir->flags & STREAM_DIR_FIN) == 0 && seq_diff(fin_seq, dir->next_seq) >= 0) {
		dir->flags |= STREAM_DIR_FIN;
		dir->fin_seq = fin_seq;
	}
	stream_drain(step, side);
}

/** RFC 9293 3.8.6: a receiver takes back, without acknowledging more, room that its peer has used already. */
static bool
window_shrinks(const struct stream_step *step, unsigned int side)
{
	const struct stream_dir *sender = &step->stream->dirs[side], *peer = &step->stream->dirs[!side];
	const struct packet *packet = step->packet;
	uint64_t room = (uint64_t)packet->tcp_window << sender->wscale;
	int32_t used = seq_diff(peer->max_seq, peer->last_ack);

	return packet->payload_len == 0 && packet->tcp_ack == peer->last_ack && packet->tcp_window < sender->window &&
		packet->tcp_window > 0 && (peer->flags & STREAM_DIR_OPEN) != 0 && used > 0 && room < (uint64_t)used;
}

/** What this segment says of the other direction. */
static void
take_ack(struct stream_step *step, unsigned int side)
{
	struct stream_dir *sender = &step->stream->dirs[side];
	struct stream_dir *peer = &step->stream->dirs[!side];
	const struct packet *packet = step->packet;
	int32_t ahead;

	if ((peer->flags & STREAM_DIR_ACKED) != 0 && seq_diff(packet->tcp_ack, peer->last_ack) <= 0) {
		if (window_shrinks(step, side))
			stream_event_set(step->packet, STREAM_PKT_BAD_WINDOW_UPDATE);
		sender->window = packet->tcp_window;
		return;
	}
	sender->window = packet->tcp_window;
	sender->flags |= STREAM_DIR_WINDOW;
	ahead = (peer->flags & STREAM_DIR_OPEN) != 0 ? seq_diff(packet->tcp_ack, peer->max_seq) : 0;
	if (ahead > 1 && (uint64_t)ahead > ((uint64_t)sender->window << sender->wscale) + STREAM_WINDOW_SLACK) {
		stream_event_set(step->packet, STREAM_PKT_INVALID_ACK);
		stream_odd(step, STREAM_ODD_ACK);
		return;
	}
	peer->flags |= STREAM_DIR_ACKED;
	peer->last_ack = packet->tcp_ack;
}

/** RFC 7323 5: a segment older than what was accepted. Only in-order segments move ts_recent. */
static bool
timestamp_is_old(struct stream_dir *dir, const struct packet *packet)
{
	int32_t rel = seq_diff(packet->tcp_seq, dir->next_seq);

	if (!packet_is(packet, PACKET_TCP_TIMESTAMP) || (dir->flags & STREAM_DIR_OPEN) == 0)
		return false;
	if ((dir->flags & STREAM_DIR_TIMESTAMP) != 0 && seq_diff(packet->tcp_ts_value, dir->ts_recent) < 0)
		return rel + (int64_t)packet->payload_len > 0;
	if (rel <= 0 && rel + (int64_t)packet->payload_len >= 0) {
		dir->flags |= STREAM_DIR_TIMESTAMP;
		dir->ts_recent = packet->tcp_ts_value;
	}
	return false;
}

/** Nobody wants the bytes any more. */
static void
stream_shed(struct stream_engine *engine, struct stream *stream)
{
	for (unsigned int i = 0; i < 2; i++)
		if (stream->dirs[i].pending != NULL || stream->dirs[i].early.head != NULL) {
			stream_leave_early(&stream->dirs[i]);
			stream_dir_clear(engine, &stream->dirs[i]);
		}
}

/**
 * A segment as nearly all are: plain, next in its direction, acknowledging no more than was seen, and nothing waits on
 * either side. Windows that may shrink, old timestamps, ends and gaps are for the long way.
 */
static bool
is_usual(const struct stream *stream, const struct packet *packet, unsigned int side)
{
	const struct stream_dir *dir = &stream->dirs[side], *peer = &stream->dirs[!side];
	const uint16_t both = STREAM_DIR_OPEN | STREAM_DIR_ACKED;
	const uint16_t none = STREAM_DIR_RST | STREAM_DIR_SYN_DATA | STREAM_DIR_SYNACKED | STREAM_DIR_FIN | STREAM_DIR_ENDED |
		STREAM_DIR_HOLE;
	int32_t news = seq_diff(packet->tcp_ack, peer->last_ack);

	if ((packet->tcp_flags & ~STREAM_PLAIN) != 0 || (packet->tcp_flags & TCP_ACK) == 0 ||
	    (dir->flags & peer->flags & both) != both || ((dir->flags | peer->flags) & none) != 0)
		return false;
	if (packet_is(packet, PACKET_TCP_TIMESTAMP) && (dir->flags & STREAM_DIR_TIMESTAMP) != 0 &&
	    seq_diff(packet->tcp_ts_value, dir->ts_recent) < 0)
		return false;
	return dir->early.head == NULL && peer->early.head == NULL && packet->tcp_seq == dir->next_seq &&
		seq_diff(dir->last_ack, dir->next_seq) <= 0 && seq_diff(packet->tcp_ack, peer->next_seq) <= 0 &&
		(news > 0 || (news == 0 && packet->payload_len > 0));
}

static void
take_usual(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side], *peer = &step->stream->dirs[!side];
	const struct packet *packet = step->packet;

	dir->window = packet->tcp_window;
	if (packet->tcp_ack != peer->last_ack) {
		dir->flags |= STREAM_DIR_WINDOW;
		peer->last_ack = packet->tcp_ack;
	}
	if (packet_is(packet, PACKET_TCP_TIMESTAMP)) {
		dir->flags |= STREAM_DIR_TIMESTAMP;
		dir->ts_recent = packet->tcp_ts_value;
	}
	if (packet->payload_len > 0) {
		dir->far_packets = 0;
		if (seq_diff(packet->tcp_seq + packet->payload_len, dir->max_seq) > 0)
			dir->max_seq = packet->tcp_seq + packet->payload_len;
		if (step->engine->prints != NULL && (step->flow->flags & FLOW_APP_GIVEN_UP) == 0)
			stream_print_keep(step, side);
		stream_hand_on(step, side, packet->payload, packet->payload_len, true);
	}
	if ((step->flow->flags & FLOW_APP_GIVEN_UP) != 0)
		stream_shed(step->engine, step->stream);
}

void
stream_segment(struct stream_engine *engine, struct flow *flow, struct packet *packet, stream_deliver_fn deliver_fn,
	void *arg)
{
	unsigned int side = packet_is(packet, PACKET_KEY_SWAPPED);
	struct stream_step step = { engine, flow, flow->stream, packet, deliver_fn, arg };
	struct stream_dir *dir;

	if (flow->key.ip_proto != IP_PROTO_TCP || packet->ip_proto != IP_PROTO_TCP || !packet_is(packet, PACKET_FLOW))
		return;
	if ((flow->flags & FLOW_MIDSTREAM) != 0 && !engine->config.midstream)
		packet->flags &= ~(uint32_t)PACKET_ESTABLISHED;
	if (packet_is(packet, PACKET_L4_CHECKSUM_BAD) && engine->config.checksum_validation) {
		stream_count(engine, STREAM_COUNTER_INVALID_CHECKSUM, 1);
		return;
	}
	if (step.stream == NULL)
		step.stream = stream_open(engine, flow, packet);
	if (step.stream == NULL)
		return;
	if (is_usual(step.stream, packet, side)) {
		take_usual(&step, side);
		return;
	}
	dir = &step.stream->dirs[side];
	if ((packet->tcp_flags & ~STREAM_PLAIN) != 0 || (packet->tcp_flags & TCP_ACK) == 0 ||
	    ((dir->flags | step.stream->dirs[!side].flags) &
		(STREAM_DIR_RST | STREAM_DIR_SYN_DATA | STREAM_DIR_SYNACKED | STREAM_DIR_FIN)) != 0) {
		if (!stream_check(&step, side))
			return;
	}
	if (timestamp_is_old(dir, packet)) {
		stream_event_set(packet, STREAM_PKT_INVALID_TIMESTAMP);
		return;
	}
	if ((packet->tcp_flags & TCP_ACK) != 0)
		take_ack(&step, side);
	if ((packet->tcp_flags & TCP_SYN) != 0)
		return;
	if ((dir->flags & STREAM_DIR_OPEN) == 0) {
		if (packet->payload_len == 0 && (packet->tcp_flags & TCP_FIN) == 0 &&
		    (flow->flags & FLOW_MIDSTREAM) != 0)
			return; /* may be a keep-alive, one below the next byte */
		stream_dir_open(dir, packet->tcp_seq, (flow->flags & FLOW_MIDSTREAM) != 0);
	}
	if (packet->payload_len > 0)
		take_data(&step, side);
	if ((packet->tcp_flags & TCP_FIN) != 0)
		take_fin(&step, side);
	stream_follow_hole(&step, side);
	stream_follow_hole(&step, !side);
	stream_settle(&step);
	if ((flow->flags & FLOW_APP_GIVEN_UP) != 0)
		stream_shed(engine, step.stream);
}

/** Whether bytes that the peer acknowledged never came. One number alone may be a FIN that was not mirrored. */
static bool
is_owing(const struct stream_dir *dir)
{
	return (dir->flags & (STREAM_DIR_OPEN | STREAM_DIR_ENDED)) == STREAM_DIR_OPEN &&
		stream_hole_len(dir) > ((dir->flags & STREAM_DIR_FIN) == 0);
}

void
stream_end(struct stream_engine *engine, struct flow *flow, stream_deliver_fn deliver_fn, void *arg)
{
	struct stream_step step = { engine, flow, flow->stream, NULL, deliver_fn, arg };

	if (flow->stream == NULL)
		return;
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int side = stream_side(flow, i == 0);
		struct stream_dir *dir = &step.stream->dirs[side];

		stream_end_hole(&step, side);
		stream_drain(&step, side);
		while (dir->early.head != NULL || is_owing(dir))
			stream_skip_hole(&step, side);
		if ((dir->flags & STREAM_DIR_STARTED) != 0)
			deliver_end(&step, dir);
		stream_dir_clear(engine, dir);
	}
	slab_free(engine->states, step.stream, sizeof(*step.stream));
	flow->stream = NULL;
	counter_set(&engine->counters[STREAM_COUNTER_ACTIVE_SESSIONS], --engine->active);
	counter_set(&engine->counters[STREAM_COUNTER_MEMUSE], stream_bytes_used(engine));
}

void
stream_dir_clear(struct stream_engine *engine, struct stream_dir *dir)
{
	pending_free(engine, dir);
	piece_clear(&dir->early, engine->segments);
}
