/* The state of a TCP connection, as a bystander sees it. RFC 9293 3.3.2; states are the server's where the ends
 * differ (CLOSE_WAIT: the client sent its FIN first). */
#include "lib/flow/flow_table.h"

enum { NS_PER_US = 1000 };

enum segment_kind { SEGMENT_ACK, SEGMENT_SYN, SEGMENT_SYNACK, SEGMENT_FIN, SEGMENT_RST, SEGMENT_KIND_COUNT };

/** By state, kind and direction; 0 (FLOW_TCP_NONE): stays. */
static const uint8_t transitions[FLOW_TCP_STATE_COUNT][SEGMENT_KIND_COUNT][2] = {
	[FLOW_TCP_NONE] = {
		[SEGMENT_SYN] = { FLOW_TCP_SYN_SENT, FLOW_TCP_SYN_SENT },
		[SEGMENT_SYNACK] = { FLOW_TCP_SYN_RECV, FLOW_TCP_SYN_RECV },
		[SEGMENT_ACK] = { FLOW_TCP_ESTABLISHED, FLOW_TCP_ESTABLISHED },
		[SEGMENT_FIN] = { FLOW_TCP_FIN_WAIT1, FLOW_TCP_CLOSE_WAIT },
	},
	[FLOW_TCP_SYN_SENT] = {
		[SEGMENT_SYNACK] = { FLOW_TCP_SYN_RECV, FLOW_TCP_SYN_RECV },
		[SEGMENT_FIN] = { FLOW_TCP_FIN_WAIT1, FLOW_TCP_CLOSE_WAIT },
		/* an ACK here: the SYN+ACK was not mirrored, or the stream is one-way */
		[SEGMENT_ACK] = { FLOW_TCP_ESTABLISHED, FLOW_TCP_ESTABLISHED },
	},
	[FLOW_TCP_SYN_RECV] = {
		[SEGMENT_ACK] = { FLOW_TCP_ESTABLISHED, FLOW_TCP_ESTABLISHED },
		[SEGMENT_FIN] = { FLOW_TCP_FIN_WAIT1, FLOW_TCP_CLOSE_WAIT },
	},
	[FLOW_TCP_ESTABLISHED] = {
		[SEGMENT_FIN] = { FLOW_TCP_FIN_WAIT1, FLOW_TCP_CLOSE_WAIT },
	},
	[FLOW_TCP_FIN_WAIT1] = {
		[SEGMENT_ACK] = { 0, FLOW_TCP_FIN_WAIT2 },
		[SEGMENT_FIN] = { 0, FLOW_TCP_TIME_WAIT },
	},
	[FLOW_TCP_FIN_WAIT2] = {
		[SEGMENT_FIN] = { 0, FLOW_TCP_TIME_WAIT },
	},
	[FLOW_TCP_CLOSE_WAIT] = {
		[SEGMENT_FIN] = { FLOW_TCP_LAST_ACK, 0 },
	},
	[FLOW_TCP_CLOSING] = {
		[SEGMENT_ACK] = { FLOW_TCP_TIME_WAIT, FLOW_TCP_TIME_WAIT },
	},
	[FLOW_TCP_TIME_WAIT] = {
		[SEGMENT_ACK] = { FLOW_TCP_CLOSED, 0 },
	},
	[FLOW_TCP_LAST_ACK] = {
		[SEGMENT_ACK] = { 0, FLOW_TCP_CLOSED },
	},
};

static const uint8_t states[FLOW_TCP_STATE_COUNT] = {
	[FLOW_TCP_NONE] = FLOW_NEW,
	[FLOW_TCP_LISTEN] = FLOW_NEW,
	[FLOW_TCP_SYN_SENT] = FLOW_NEW,
	[FLOW_TCP_SYN_RECV] = FLOW_NEW,
	[FLOW_TCP_ESTABLISHED] = FLOW_ESTABLISHED,
	[FLOW_TCP_FIN_WAIT1] = FLOW_ESTABLISHED,
	[FLOW_TCP_FIN_WAIT2] = FLOW_ESTABLISHED,
	[FLOW_TCP_CLOSE_WAIT] = FLOW_ESTABLISHED,
	[FLOW_TCP_CLOSING] = FLOW_ESTABLISHED,
	[FLOW_TCP_TIME_WAIT] = FLOW_CLOSED,
	[FLOW_TCP_LAST_ACK] = FLOW_CLOSED,
	[FLOW_TCP_CLOSED] = FLOW_CLOSED,
};

static enum segment_kind
kind_of(uint8_t flags)
{
	if ((flags & TCP_RST) != 0)
		return SEGMENT_RST;
	if ((flags & TCP_SYN) != 0)
		return (flags & TCP_ACK) != 0 ? SEGMENT_SYNACK : SEGMENT_SYN;
	if ((flags & TCP_FIN) != 0)
		return SEGMENT_FIN;
	return SEGMENT_ACK;
}

void
flow_tcp_update(struct flow *flow, const struct packet *packet, bool to_server)
{
	enum segment_kind kind = kind_of(packet->tcp_flags);
	uint8_t before = flow->tcp_state;
	uint8_t next = kind == SEGMENT_RST ? FLOW_TCP_CLOSED : transitions[before][kind][to_server];

	if (next == FLOW_TCP_NONE)
		return;
	if (kind == SEGMENT_ACK && (packet->tcp_flags & TCP_ACK) == 0 && before != FLOW_TCP_NONE)
		return;
	if (before == FLOW_TCP_NONE && kind != SEGMENT_SYN && kind != SEGMENT_SYNACK)
		flow->flags |= FLOW_MIDSTREAM;
	if (before == FLOW_TCP_SYN_RECV && next == FLOW_TCP_ESTABLISHED && (flow->flags & FLOW_SYNACK_FIRST) == 0) {
		flow->flags |= FLOW_3WHS;
		flow->handshake_us = (uint32_t)((packet->ts_ns - flow->first_ns) / NS_PER_US);
	}
	if (kind == SEGMENT_FIN)
		flow->flags |= FLOW_FIN_SEEN;
	if (kind == SEGMENT_RST)
		flow->flags |= FLOW_RST_SEEN;
	flow->tcp_state = next;
	flow->state = states[next];
}
