/* What is not plain data: handshakes, resets, urgent data; and a connection's first packet. */
#include <string.h>

#include "lib/stream/stream_state.h"

/* A bare SYN gets no state: the SYN+ACK repeats its number, and a flood of half-open connections costs nothing. */
struct stream *
stream_open(struct stream_engine *engine, struct flow *flow, struct packet *packet)
{
	struct stream *stream;

	if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && packet->payload_len == 0 && flow_to_server(packet)) {
		stream_count(engine, STREAM_COUNTER_SYN, 1);
		if ((packet->tcp_flags & TCP_FIN) != 0)
			stream_event_set(packet, STREAM_FIN_SYN);
		return NULL;
	}
	if ((packet->tcp_flags & (TCP_RST | TCP_FIN)) != 0 && packet->payload_len == 0 &&
	    flow->packets[0] + flow->packets[1] == 1)
		stream_event_set(packet, (packet->tcp_flags & TCP_RST) != 0 ? STREAM_RST_BUT_NO_SESSION :
			STREAM_FIN_BUT_NO_SESSION);
	if ((packet->tcp_flags & TCP_RST) != 0) {
		stream_count(engine, STREAM_COUNTER_RST, 1);
		return NULL;
	}
	stream = slab_alloc(engine->states, sizeof(*stream));
	if (stream == NULL) {
		stream_count(engine, STREAM_COUNTER_SSN_MEMCAP_DROP, 1);
		return NULL;
	}
	memset(stream, 0, sizeof(*stream));
	for (unsigned int i = 0; i < 2; i++) {
		/* what was agreed is not known until a SYN+ACK is seen */
		stream->dirs[i].wscale = STREAM_WSCALE_MAX;
		stream->dirs[i].policy = (uint8_t)host_policy_of(&engine->hosts, flow->key.ip_version, &flow->key.addr[!i]);
	}
	flow->stream = stream;
	stream_count(engine, STREAM_COUNTER_SESSIONS, 1);
	if ((flow->flags & FLOW_MIDSTREAM) != 0)
		stream_count(engine, STREAM_COUNTER_MIDSTREAM_PICKUPS, 1);
	counter_set(&engine->counters[STREAM_COUNTER_ACTIVE_SESSIONS], ++engine->active);
	return stream;
}

void
stream_dir_open(struct stream_dir *dir, uint32_t seq, bool midstream)
{
	dir->flags |= STREAM_DIR_OPEN | (midstream ? STREAM_DIR_MIDSTREAM : 0);
	dir->next_seq = seq;
	dir->max_seq = seq;
}

/** SYN. RFC 9293 3.10.7; data in it: RFC 7413. */
static void
check_syn(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	struct packet *packet = step->packet;

	stream_count(step->engine, STREAM_COUNTER_SYN, 1);
	if ((packet->tcp_flags & TCP_FIN) != 0)
		stream_event_set(packet, STREAM_FIN_SYN);
	if (step->flow->tcp_state >= FLOW_TCP_FIN_WAIT1)
		stream_event_set(packet, STREAM_SHUTDOWN_SYN_RESEND);
	else if (!flow_to_server(packet) && step->flow->tcp_state >= FLOW_TCP_SYN_RECV)
		stream_event_set(packet, step->flow->tcp_state == FLOW_TCP_SYN_RECV ?
			STREAM_3WHS_SYN_TOCLIENT_ON_SYN_RECV : STREAM_EST_SYN_TOCLIENT);
	if ((dir->flags & STREAM_DIR_OPEN) != 0) {
		bool same = dir->next_pos == 0 ? dir->next_seq == packet->tcp_seq + 1 :
			seq_diff(packet->tcp_seq, dir->next_seq) < 0;
		bool recv = step->flow->tcp_state == FLOW_TCP_SYN_RECV;

		if (!same)
			stream_event_set(packet, recv ? STREAM_3WHS_SYN_RESEND_DIFF_SEQ_ON_SYN_RECV :
				STREAM_EST_SYN_RESEND_DIFF_SEQ);
		else if (!recv && step->flow->state == FLOW_ESTABLISHED)
			stream_event_set(packet, STREAM_EST_SYN_RESEND);
		return;
	}
	stream_dir_open(dir, packet->tcp_seq + 1, false);
	dir->flags |= STREAM_DIR_SYN;
	if (packet->payload_len == 0)
		return;
	if (!packet_is(packet, PACKET_TCP_FASTOPEN))
		stream_event_set(packet, STREAM_SYN_WITH_DATA);
	if (piece_insert(&dir->early, step->engine->segments, dir->policy, 0, packet->payload,
		packet->payload_len, 0) == 0) {
		dir->flags |= STREAM_DIR_SYN_DATA;
		dir->max_seq += packet->payload_len;
	}
}

/** SYN+ACK: both ends' numbers are known now. */
static void
check_synack(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	struct stream_dir *peer = &step->stream->dirs[!side];
	struct packet *packet = step->packet;
	uint8_t wscale = packet_is(packet, PACKET_TCP_WSCALE) ? packet->tcp_wscale : 0;

	stream_count(step->engine, STREAM_COUNTER_SYNACK, 1);
	if (flow_to_server(packet) && (peer->flags & STREAM_DIR_SYN) != 0) {
		/* split handshake: the server answered the SYN with a SYN, which this acknowledges */
		if (packet->tcp_ack != peer->next_seq)
			stream_event_set(packet, STREAM_4WHS_SYNACK_WITH_WRONG_ACK);
	} else if (flow_to_server(packet)) {
		stream_event_set(packet, step->flow->state == FLOW_ESTABLISHED ? STREAM_EST_SYNACK_TOSERVER :
			(dir->flags & STREAM_DIR_SYNACKED) != 0 ? STREAM_3WHS_SYNACK_TOSERVER_ON_SYN_RECV :
			STREAM_3WHS_SYNACK_IN_WRONG_DIRECTION);
	}
	if ((dir->flags & STREAM_DIR_OPEN) != 0) {
		bool established = step->flow->state == FLOW_ESTABLISHED;

		if (dir->next_pos == 0 && dir->next_seq != packet->tcp_seq + 1)
			stream_event_set(packet, established ? STREAM_EST_SYNACK_RESEND_WITH_DIFF_SEQ :
				STREAM_3WHS_SYNACK_RESEND_WITH_DIFF_SEQ);
		else if ((peer->flags & STREAM_DIR_OPEN) != 0 && peer->next_pos == 0 && packet->tcp_ack != peer->next_seq)
			stream_event_set(packet, established ? STREAM_EST_SYNACK_RESEND_WITH_DIFFERENT_ACK :
				STREAM_3WHS_SYNACK_RESEND_WITH_DIFFERENT_ACK);
		else if (established)
			stream_event_set(packet, STREAM_EST_SYNACK_RESEND);
	} else {
		stream_dir_open(dir, packet->tcp_seq + 1, false);
		dir->wscale = wscale <= STREAM_WSCALE_MAX ? wscale : STREAM_WSCALE_MAX;
		/* without the option here neither side scales; with it the peer's own factor went by in its SYN */
		if (!packet_is(packet, PACKET_TCP_WSCALE))
			peer->wscale = 0;
	}
	if (!flow_to_server(packet) && step->flow->tcp_state == FLOW_TCP_SYN_RECV)
		peer->flags |= STREAM_DIR_SYNACKED;
	if ((peer->flags & STREAM_DIR_OPEN) == 0) {
		stream_dir_open(peer, packet->tcp_ack, false);
	} else if ((peer->flags & STREAM_DIR_SYN_DATA) != 0) {
		if (packet->tcp_ack == peer->next_seq) {
			stream_event_set(packet, STREAM_3WHS_SYNACK_TFO_DATA_IGNORED);
			piece_clear(&peer->early, step->engine->segments);
			peer->max_seq = peer->next_seq;
		} else if (seq_diff(packet->tcp_ack, peer->next_seq) < 0 || seq_diff(packet->tcp_ack, peer->max_seq) > 0) {
			stream_event_set(packet, STREAM_3WHS_SYNACK_WITH_WRONG_ACK);
		}
	} else if (peer->next_pos == 0 && packet->tcp_ack != peer->next_seq) {
		stream_event_set(packet, STREAM_3WHS_SYNACK_WITH_WRONG_ACK);
	}
}

/** RFC 9293 3.10.7.4, RFC 5961 3: a RST counts only near the next byte. Data goes on being followed: if the RST was
 *  forged, the end host ignored it too. */
static bool
check_rst(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	struct packet *packet = step->packet;
	int32_t rel = seq_diff(packet->tcp_seq, dir->next_seq);

	stream_count(step->engine, STREAM_COUNTER_RST, 1);
	if (packet->payload_len > 0)
		stream_event_set(packet, STREAM_RST_WITH_DATA);
	if (packet_is(packet, PACKET_TCP_TIMESTAMP) && (dir->flags & STREAM_DIR_TIMESTAMP) != 0 &&
	    seq_diff(packet->tcp_ts_value, dir->ts_recent) < 0)
		stream_event_set(packet, STREAM_PKT_INVALID_TIMESTAMP); /* a sign of a forged RST; it counts all the same */
	if ((dir->flags & STREAM_DIR_OPEN) != 0 && (rel < -STREAM_WINDOW_SLACK ||
	    rel > (int64_t)(UINT64_C(65535) << STREAM_WSCALE_MAX))) {
		stream_event_set(packet, STREAM_RST_INVALID_ACK);
		return false;
	}
	dir->flags |= STREAM_DIR_RST;
	return false;
}

/** The segment that ends the handshake, RFC 9293 3.5: from the client, both numbers right. */
static void
check_third(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side], *peer = &step->stream->dirs[!side];
	struct packet *packet = step->packet;
	bool seq_right = packet->tcp_seq == dir->next_seq, ack_right = packet->tcp_ack == peer->next_seq;

	if ((packet->tcp_flags & TCP_ACK) == 0) {
		if (packet->payload_len > 0)
			stream_event_set(packet, STREAM_3WHS_ACK_DATA_INJECT);
		return;
	}
	if ((peer->flags & STREAM_DIR_SYNACKED) != 0) { /* the server goes on before the client's ACK was seen */
		peer->flags &= (uint16_t)~STREAM_DIR_SYNACKED;
		if (packet->payload_len == 0 && (packet->tcp_flags & TCP_FIN) == 0)
			stream_event_set(packet, STREAM_3WHS_ACK_IN_WRONG_DIR);
		return;
	}
	dir->flags &= (uint16_t)~STREAM_DIR_SYNACKED;
	if (!seq_right && !ack_right)
		stream_event_set(packet, STREAM_3WHS_WRONG_SEQ_WRONG_ACK);
	else if (!ack_right && peer->next_pos == 0)
		stream_event_set(packet, STREAM_3WHS_RIGHT_SEQ_WRONG_ACK_EVASION);
}

/** While the connection closes every segment lies close behind what was sent. */
static void
check_closing(struct stream_step *step, unsigned int side)
{
	if (step->packet->payload_len == 0 && (step->packet->tcp_flags & TCP_FIN) == 0 && !stream_seq_fits(step, side))
		stream_odd(step, STREAM_ODD_SEQ);
}

bool
stream_check(struct stream_step *step, unsigned int side)
{
	struct stream_dir *dir = &step->stream->dirs[side];
	struct packet *packet = step->packet;
	uint8_t flags = packet->tcp_flags;

	if ((flags & TCP_RST) != 0)
		return check_rst(step, side);
	if ((dir->flags & STREAM_DIR_RST) != 0 && packet->payload_len > 0)
		stream_event_set(packet, STREAM_SUSPECTED_RST_INJECT);
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		check_syn(step, side);
	else if ((flags & TCP_SYN) != 0)
		check_synack(step, side);
	if ((flags & TCP_ACK) == 0 && packet->tcp_ack != 0)
		stream_event_set(packet, STREAM_PKT_BROKEN_ACK);
	if ((flags & TCP_URG) != 0) {
		stream_count(step->engine, STREAM_COUNTER_URG, 1);
		stream_event_set(packet, STREAM_URGENT_DATA);
	}
	if ((flags & TCP_SYN) == 0 &&
	    ((dir->flags | step->stream->dirs[!side].flags) & STREAM_DIR_SYNACKED) != 0)
		check_third(step, side);
	if ((dir->flags | step->stream->dirs[!side].flags) & STREAM_DIR_FIN)
		check_closing(step, side);
	/* the first packet after the SYN decides that its data counts */
	if ((flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		for (unsigned int i = 0; i < 2; i++)
			if ((step->stream->dirs[i].flags & STREAM_DIR_SYN_DATA) != 0) {
				step->stream->dirs[i].flags &= (uint16_t)~STREAM_DIR_SYN_DATA;
				stream_drain(step, i);
			}
	return true;
}
