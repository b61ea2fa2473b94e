/* Inside lib/stream: a connection's state. */
#ifndef MR_STREAM_STREAM_STATE_H
#define MR_STREAM_STREAM_STATE_H

#include "lib/base/slab.h"
#include "lib/packet/host_policy.h"
#include "lib/stream/stream.h"

enum {
	STREAM_REORDER_PACKETS = 4,   /* of the flow, for which acknowledged but unseen bytes may still come: mirror ports
	                               * swap frames of the two directions */
	STREAM_REORDER_MS = 50,       /* and for so long, while the direction that owes them shows nothing later: the two outputs
	                               * of a TAP, or the ports behind a switch, are as far apart as their queues */
	STREAM_REORDER_PACKETS_MAX = 255,
	STREAM_GAPS_IN_A_ROW = 2,     /* given up without a byte between: what the other side sends does not wait any more */
	STREAM_RESYNC_PACKETS = 8,    /* out of window in a row: then the sensor missed more than a window */
	STREAM_ONE_WAY_SEGMENTS = 32, /* early segments kept where the peer is not seen, so nothing acknowledges */
	STREAM_WINDOW_SLACK = 64 * 1024,
	STREAM_WSCALE_MAX = 14,       /* RFC 7323 2.3; also what an unseen handshake may have agreed */
	STREAM_PENDING_FIRST = 512,   /* bytes of a direction's first buffer */
	STREAM_PRINTS = 8192,         /* delivered segments remembered, of all connections */
};

enum stream_dir_flag {
	STREAM_DIR_OPEN = 1 << 0,     /* next_seq is known */
	STREAM_DIR_MIDSTREAM = 1 << 1,
	STREAM_DIR_STARTED = 1 << 2,  /* something was delivered */
	STREAM_DIR_FIN = 1 << 3,      /* fin_seq is known */
	STREAM_DIR_ENDED = 1 << 4,    /* STREAM_END was delivered */
	STREAM_DIR_ACKED = 1 << 5,    /* last_ack is known */
	STREAM_DIR_TIMESTAMP = 1 << 6, /* ts_recent is known */
	STREAM_DIR_RST = 1 << 7,      /* this side sent a RST that was in its place */
	STREAM_DIR_SYN_DATA = 1 << 8, /* early holds the SYN's data: it counts once the peer acknowledges it */
	STREAM_DIR_WINDOW = 1 << 9,   /* window is known */
	STREAM_DIR_DEPTH = 1 << 10,   /* the depth was reached */
	STREAM_DIR_SYNACKED = 1 << 11, /* the peer's SYN+ACK was seen; what ends the handshake is due from this side */
	STREAM_DIR_SYN = 1 << 12,     /* opened by a SYN without ACK */
	STREAM_DIR_HOLE = 1 << 13,    /* given up, so that nothing waits: bytes before hole_end did not come, and still may */
};

/** What one side sends. */
struct stream_dir {
	uint64_t next_pos;       /* bytes before next_seq, from the direction's first; also the early pieces' scale */
	struct piece_list early; /* behind next_pos */
	uint8_t *pending;        /* bytes before next_pos that were not consumed, at pending_off */
	uint32_t pending_off, pending_len;
	uint32_t next_seq;
	uint32_t last_ack;       /* by the peer */
	uint32_t max_seq;        /* behind the highest byte seen */
	uint32_t fin_seq;
	uint32_t ts_recent;
	uint32_t window;         /* this side's receive window, unscaled */
	uint16_t flags;          /* enum stream_dir_flag */
	uint8_t policy;          /* enum piece_policy, of the host that receives it */
	uint8_t wscale;
	uint8_t gap_packets;     /* since the peer acknowledged unseen bytes */
	uint8_t far_packets;     /* out of window in a row */
	uint8_t gap_run;         /* given up since a byte came */
	uint8_t pending_shift;   /* pending has STREAM_PENDING_FIRST << pending_shift bytes */
	uint32_t gap_ms;         /* when the peer acknowledged unseen bytes */
	uint32_t hole_seq, hole_end, hole_len; /* with STREAM_DIR_HOLE: between which numbers so many bytes are missing */
};

/** Bytes that pending has room for. */
static inline uint32_t
stream_pending_cap(const struct stream_dir *dir)
{
	return dir->pending == NULL ? 0 : (uint32_t)STREAM_PENDING_FIRST << dir->pending_shift;
}

struct stream {
	struct stream_dir dirs[2]; /* by side: which of flow.key.addr[] sends; stays when roles are swapped */
};

_Static_assert(sizeof(struct stream) == 192, "three cache lines");

/** A delivered segment: where it began and what was in it. */
struct stream_print {
	uint32_t place;   /* of flow, side, sequence number and length; 0: none */
	uint32_t content;
};

struct stream_engine {
	struct stream_config config;
	struct host_policy hosts;
	struct stream_print *prints; /* [STREAM_PRINTS]; NULL: segments sent again are not compared */
	struct slab *states;
	struct slab *segments;
	_Atomic uint64_t *counters;
	uint64_t active;
};

/** One segment on its way through. */
struct stream_step {
	struct stream_engine *engine;
	struct flow *flow;
	struct stream *stream;
	struct packet *packet; /* NULL at the flow's end */
	stream_deliver_fn deliver;
	void *arg;
};

static inline int32_t
seq_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static inline void
stream_event_set(struct packet *packet, enum stream_event event)
{
	packet->stream_events[event / 64] |= UINT64_C(1) << event % 64;
}

static inline void
stream_count(struct stream_engine *engine, enum stream_counter counter, uint64_t n)
{
	counter_add(&engine->counters[counter], n);
}

/** The side that sends to the server, or to the client. */
static inline unsigned int
stream_side(const struct flow *flow, bool to_server)
{
	return ((flow->flags & FLOW_SWAPPED) != 0) == to_server;
}

/** So many bytes of what a side sends were acknowledged and never seen. */
static inline void
stream_lose(struct stream_step *step, unsigned int side, uint32_t len)
{
	uint32_t *lost = &step->flow->lost_bytes[side == stream_side(step->flow, true)];

	*lost = *lost + (uint64_t)len < UINT32_MAX ? *lost + len : UINT32_MAX;
	stream_count(step->engine, STREAM_COUNTER_GAP_BYTES, len);
}

static inline struct stream_dir *
stream_dir_of(const struct flow *flow, bool to_server)
{
	struct stream *stream = flow->stream;

	return stream == NULL ? NULL : &stream->dirs[stream_side(flow, to_server)];
}

/** Hands contiguous bytes on and keeps what is left. @param from_packet data lies in the packet at hand */
void stream_hand_on(struct stream_step *step, unsigned int side, const uint8_t *data, uint32_t len, bool from_packet);
/** Hands on the early pieces that became contiguous and whose time has come, and the end behind them. */
void stream_drain(struct stream_step *step, unsigned int side);
/** Gives up the hole at next_pos: what is behind it goes on after a STREAM_GAP. Where there is none, what waits for the other
 *  direction waits no longer. */
void stream_skip_hole(struct stream_step *step, unsigned int side);
/** Bytes of the hole at next_pos: up to the next early piece, or to what the peer acknowledged. */
uint32_t stream_hole_len(const struct stream_dir *dir);
/** Frees what a direction holds. */
void stream_dir_clear(struct stream_engine *engine, struct stream_dir *dir);

/** Remembers a segment that is delivered from now on. */
void stream_print_keep(struct stream_step *step, unsigned int side);
/** Whether the segment at hand was delivered before with other content, as far as is remembered. */
bool stream_print_differs(struct stream_step *step, unsigned int side);

/* ---- stream_wait.c ---- */

/** Whether nothing is missing before the direction's first early piece, which waits for the other direction alone. */
static inline bool
stream_is_holding(const struct stream_dir *dir)
{
	return dir->early.head != NULL && dir->early.head->start <= dir->next_pos;
}

/**
 * Whether what this side sends, with that acknowledgement, answers bytes of the other side that were not handed on yet and may
 * still come. Of two sides that wait for each other one goes on.
 */
bool stream_is_early_answer(const struct stream_step *step, unsigned int side, uint32_t ack);
/** Keeps a segment that came before its turn. @return whether it is kept, or need not be */
bool stream_keep_early(struct stream_step *step, unsigned int side, uint32_t offset, const uint8_t *data, uint32_t len);
/** An answer that is here before its request, to wait for it. @return whether it is kept */
bool stream_keep_answer(struct stream_step *step, unsigned int side, const uint8_t *data, uint32_t len);
/** Waits a while for bytes that the peer acknowledged but that were not seen. */
void stream_follow_hole(struct stream_step *step, unsigned int side);
/** Lets go of what waits behind a hole, as nobody wants it; its numbers are followed. */
void stream_leave_early(struct stream_dir *dir);
/** Whether a segment is what did not come before. */
bool stream_fill_hole(struct stream_dir *dir, uint32_t seq, uint32_t len);
/** Counts what is acknowledged and did not come, at once. */
void stream_end_hole(struct stream_step *step, unsigned int side);
/** What one side has may be what the other waited for. */
void stream_settle(struct stream_step *step);

enum stream_oddity {
	STREAM_ODD_ACK,  /* acknowledges what was never sent */
	STREAM_ODD_SEQ,  /* out of the window, or of place while closing */
	STREAM_ODD_OLD,  /* wholly acknowledged before */
	STREAM_ODDITY_COUNT,
};

/** Whether a segment's number lies near the direction's next byte, as the peer's window allows. */
bool stream_seq_fits(const struct stream_step *step, unsigned int side);
/** Sets the event that names an oddity in the connection's state. */
void stream_odd(struct stream_step *step, enum stream_oddity oddity);

/** SYN, RST, URG, missing ACK: what is not plain data. @return false: nothing of the segment counts */
bool stream_check(struct stream_step *step, unsigned int side);
/** The state of a flow's connection, made when there is reason to; NULL: none, or no memory. */
struct stream *stream_open(struct stream_engine *engine, struct flow *flow, struct packet *packet);
void stream_dir_open(struct stream_dir *dir, uint32_t seq, bool midstream);

#endif
