/* Named oddities of TCP, under the names that `stream-event` rules use ("pkt_invalid_timestamp"; anomaly records
 * write "stream.pkt_invalid_timestamp").
 *
 * Rules may name these too, but nothing sets them: 3whs_syn_flood and 3whs_synack_flood (no queue of candidates is
 * kept: a bare SYN costs no state), 3whs_async_wrong_seq, 4whs_synack_with_wrong_syn, 4whs_wrong_seq and
 * 4whs_invalid_ack (they compare with the first SYN, which is not kept), wrong_thread (both directions always meet),
 * reassembly_insert_invalid, reassembly_urgent_oob_limit_reached (urgent bytes are never skipped). */
#ifndef MR_STREAM_STREAM_EVENT_H
#define MR_STREAM_STREAM_EVENT_H

#include <stdint.h>

#define STREAM_EVENTS(X) \
	X(3WHS_ACK_IN_WRONG_DIR, "3whs_ack_in_wrong_dir", "the ACK of the handshake came from the server") \
	X(3WHS_ASYNC_WRONG_SEQ, "3whs_async_wrong_seq", "one-way handshake with a wrong sequence number") \
	X(3WHS_RIGHT_SEQ_WRONG_ACK_EVASION, "3whs_right_seq_wrong_ack_evasion", \
		"handshake with the right sequence and a wrong acknowledgement number") \
	X(3WHS_SYNACK_IN_WRONG_DIRECTION, "3whs_synack_in_wrong_direction", "SYN+ACK from the client") \
	X(3WHS_SYNACK_RESEND_WITH_DIFFERENT_ACK, "3whs_synack_resend_with_different_ack", \
		"SYN+ACK sent again with another acknowledgement number") \
	X(3WHS_SYNACK_RESEND_WITH_DIFF_SEQ, "3whs_synack_resend_with_diff_seq", \
		"SYN+ACK sent again with another sequence number") \
	X(3WHS_SYNACK_TOSERVER_ON_SYN_RECV, "3whs_synack_toserver_on_syn_recv", \
		"SYN+ACK from the client after the server's") \
	X(3WHS_SYNACK_WITH_WRONG_ACK, "3whs_synack_with_wrong_ack", "SYN+ACK that acknowledges another SYN") \
	X(3WHS_SYNACK_FLOOD, "3whs_synack_flood", "more different SYN+ACKs than are followed") \
	X(3WHS_SYN_RESEND_DIFF_SEQ_ON_SYN_RECV, "3whs_syn_resend_diff_seq_on_syn_recv", \
		"SYN with another sequence number after the SYN+ACK") \
	X(3WHS_SYN_TOCLIENT_ON_SYN_RECV, "3whs_syn_toclient_on_syn_recv", "SYN from the server after its SYN+ACK") \
	X(3WHS_WRONG_SEQ_WRONG_ACK, "3whs_wrong_seq_wrong_ack", "handshake with both numbers wrong") \
	X(3WHS_ACK_DATA_INJECT, "3whs_ack_data_inject", "data before the handshake was over, without an ACK") \
	X(3WHS_SYNACK_TFO_DATA_IGNORED, "3whs_synack_tfo_data_ignored", \
		"the SYN+ACK did not acknowledge the fast open data") \
	X(3WHS_SYN_FLOOD, "3whs_syn_flood", "more different SYNs than are followed") \
	X(4WHS_SYNACK_WITH_WRONG_ACK, "4whs_synack_with_wrong_ack", "split handshake: wrong acknowledgement in SYN+ACK") \
	X(4WHS_SYNACK_WITH_WRONG_SYN, "4whs_synack_with_wrong_syn", "split handshake: wrong sequence in SYN+ACK") \
	X(4WHS_WRONG_SEQ, "4whs_wrong_seq", "split handshake: wrong sequence number") \
	X(4WHS_INVALID_ACK, "4whs_invalid_ack", "split handshake: invalid acknowledgement") \
	X(CLOSEWAIT_ACK_OUT_OF_WINDOW, "closewait_ack_out_of_window", "ACK out of window in CLOSE_WAIT") \
	X(CLOSEWAIT_FIN_OUT_OF_WINDOW, "closewait_fin_out_of_window", "FIN out of window in CLOSE_WAIT") \
	X(CLOSEWAIT_PKT_BEFORE_LAST_ACK, "closewait_pkt_before_last_ack", "old segment in CLOSE_WAIT") \
	X(CLOSEWAIT_INVALID_ACK, "closewait_invalid_ack", "invalid acknowledgement in CLOSE_WAIT") \
	X(CLOSING_ACK_WRONG_SEQ, "closing_ack_wrong_seq", "ACK with a wrong sequence number in CLOSING") \
	X(CLOSING_INVALID_ACK, "closing_invalid_ack", "invalid acknowledgement in CLOSING") \
	X(EST_PACKET_OUT_OF_WINDOW, "est_packet_out_of_window", "segment out of window") \
	X(EST_PKT_BEFORE_LAST_ACK, "est_pkt_before_last_ack", "segment wholly acknowledged before") \
	X(EST_SYNACK_RESEND, "est_synack_resend", "SYN+ACK sent again in ESTABLISHED") \
	X(EST_SYNACK_RESEND_WITH_DIFFERENT_ACK, "est_synack_resend_with_different_ack", \
		"SYN+ACK with another acknowledgement number in ESTABLISHED") \
	X(EST_SYNACK_RESEND_WITH_DIFF_SEQ, "est_synack_resend_with_diff_seq", \
		"SYN+ACK with another sequence number in ESTABLISHED") \
	X(EST_SYNACK_TOSERVER, "est_synack_toserver", "SYN+ACK from the client in ESTABLISHED") \
	X(EST_SYN_RESEND, "est_syn_resend", "SYN sent again in ESTABLISHED") \
	X(EST_SYN_RESEND_DIFF_SEQ, "est_syn_resend_diff_seq", "SYN with another sequence number in ESTABLISHED") \
	X(EST_SYN_TOCLIENT, "est_syn_toclient", "SYN from the server in ESTABLISHED") \
	X(EST_INVALID_ACK, "est_invalid_ack", "invalid acknowledgement in ESTABLISHED") \
	X(FIN_INVALID_ACK, "fin_invalid_ack", "FIN with an invalid acknowledgement") \
	X(FIN1_ACK_WRONG_SEQ, "fin1_ack_wrong_seq", "ACK with a wrong sequence number in FIN_WAIT1") \
	X(FIN1_FIN_WRONG_SEQ, "fin1_fin_wrong_seq", "FIN with a wrong sequence number in FIN_WAIT1") \
	X(FIN1_INVALID_ACK, "fin1_invalid_ack", "invalid acknowledgement in FIN_WAIT1") \
	X(FIN2_ACK_WRONG_SEQ, "fin2_ack_wrong_seq", "ACK with a wrong sequence number in FIN_WAIT2") \
	X(FIN2_FIN_WRONG_SEQ, "fin2_fin_wrong_seq", "FIN with a wrong sequence number in FIN_WAIT2") \
	X(FIN2_INVALID_ACK, "fin2_invalid_ack", "invalid acknowledgement in FIN_WAIT2") \
	X(FIN_BUT_NO_SESSION, "fin_but_no_session", "FIN without a connection") \
	X(FIN_OUT_OF_WINDOW, "fin_out_of_window", "FIN out of window") \
	X(FIN_SYN, "fin_syn", "SYN and FIN in one segment") \
	X(LASTACK_ACK_WRONG_SEQ, "lastack_ack_wrong_seq", "ACK with a wrong sequence number in LAST_ACK") \
	X(LASTACK_INVALID_ACK, "lastack_invalid_ack", "invalid acknowledgement in LAST_ACK") \
	X(RST_BUT_NO_SESSION, "rst_but_no_session", "RST without a connection") \
	X(RST_INVALID_ACK, "rst_invalid_ack", "RST with an invalid acknowledgement") \
	X(RST_WITH_DATA, "rst_with_data", "RST that carries data") \
	X(TIMEWAIT_ACK_WRONG_SEQ, "timewait_ack_wrong_seq", "ACK with a wrong sequence number in TIME_WAIT") \
	X(TIMEWAIT_INVALID_ACK, "timewait_invalid_ack", "invalid acknowledgement in TIME_WAIT") \
	X(SHUTDOWN_SYN_RESEND, "shutdown_syn_resend", "SYN sent again while closing") \
	X(PKT_INVALID_TIMESTAMP, "pkt_invalid_timestamp", "timestamp option that PAWS rejects") \
	X(PKT_INVALID_ACK, "pkt_invalid_ack", "acknowledges what was never sent") \
	X(PKT_BROKEN_ACK, "pkt_broken_ack", "acknowledgement number without the ACK flag") \
	X(PKT_BAD_WINDOW_UPDATE, "pkt_bad_window_update", "window shrunk below what was sent") \
	X(PKT_RETRANSMISSION, "pkt_retransmission", "segment sent again") \
	X(PKT_SPURIOUS_RETRANSMISSION, "pkt_spurious_retransmission", "segment sent again after it was acknowledged") \
	X(SUSPECTED_RST_INJECT, "suspected_rst_inject", "data follows a RST of the same side") \
	X(WRONG_THREAD, "wrong_thread", "the directions of a connection met on different workers") \
	X(REASSEMBLY_SEGMENT_BEFORE_BASE_SEQ, "reassembly_segment_before_base_seq", "segment before the stream's start") \
	X(REASSEMBLY_NO_SEGMENT, "reassembly_no_segment", "no memory for a segment") \
	X(REASSEMBLY_SEQ_GAP, "reassembly_seq_gap", "missing bytes were skipped") \
	X(REASSEMBLY_OVERLAP_DIFFERENT_DATA, "reassembly_overlap_different_data", "overlap with different content") \
	X(REASSEMBLY_DEPTH_REACHED, "reassembly_depth_reached", "the direction's depth was reached") \
	X(REASSEMBLY_INSERT_MEMCAP, "reassembly_insert_memcap", "segment dropped: memory bound") \
	X(REASSEMBLY_INSERT_LIMIT, "reassembly_insert_limit", "segment dropped: the direction's queue is full") \
	X(REASSEMBLY_INSERT_INVALID, "reassembly_insert_invalid", "segment dropped: cannot be placed") \
	X(REASSEMBLY_URGENT_OOB_LIMIT_REACHED, "reassembly_urgent_oob_limit_reached", \
		"more urgent bytes than are skipped") \
	X(URGENT_DATA, "urgent_data", "segment with urgent data") \
	X(SYN_WITH_DATA, "syn_with_data", "SYN that carries data without fast open")

#define STREAM_EVENT_ENUM(id, name, help) STREAM_##id,
enum stream_event { STREAM_EVENTS(STREAM_EVENT_ENUM) STREAM_EVENT_COUNT };
#undef STREAM_EVENT_ENUM

_Static_assert(STREAM_EVENT_COUNT <= 128, "every event has a bit of packet.stream_events");

struct stream_event_desc {
	const char *name; /* "pkt_invalid_timestamp" */
	const char *anomaly; /* the same as anomaly records write it, "stream.pkt_invalid_timestamp" */
	const char *help;
};

extern const struct stream_event_desc stream_event_table[STREAM_EVENT_COUNT];

/** Bits of packet.stream_events that sound connections set too: for rules and counters, never anomaly records. */
extern const uint64_t stream_event_quiet[2];

/** The event of a name, without "stream."; -1: there is none. */
int stream_event_find(const char *name);

#endif
