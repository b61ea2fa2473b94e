/*
 * Bounded TCP reassembly: each direction's bytes in order, handed to a callback that takes
 * whole PDUs and leaves the rest.
 *
 * In-order data is handed straight from the packet. Only what the callback leaves, and
 * segments that came early, are copied into the engine's slab. Memory of a flow is bounded;
 * what does not fit is skipped as a gap and counted.
 *
 * Thread: the engine's owner only. State hangs from flow->stream.
 * Source: RFC 9293, RFC 7323 (window scale, PAWS), RFC 7413 (fast open).
 */
#ifndef MR_STREAM_STREAM_H
#define MR_STREAM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/config/config.h"
#include "lib/flow/flow.h"
#include "lib/packet/packet.h"
#include "lib/stream/stream_event.h"

enum {
	STREAM_PENDING_MAX = 64 * 1024,  /* bytes of an unfinished PDU kept for each direction; more is skipped */
	STREAM_SEGMENTS_MAX = 256,       /* early segments kept for each direction */
};

enum stream_data_flag {
	STREAM_GAP = 1,       /* `missing` bytes before data were lost: the direction continues behind them */
	STREAM_END = 2,       /* the direction's FIN, a RST, or the flow's end: nothing comes after */
	STREAM_START = 4,     /* data begins at the first byte after the SYN */
	STREAM_FROM_PACKET = 8, /* data lies in the packet at hand (else in the engine's memory) */
	STREAM_MIDSTREAM = 16,  /* the direction's start was not seen */
};

/** What is handed on: contiguous bytes of one direction, beginning where the last call stopped consuming. */
struct stream_data {
	const uint8_t *data; /* lent for the call; NULL when len is 0 */
	uint32_t len;        /* 0 only with STREAM_GAP or STREAM_END */
	uint32_t missing;    /* with STREAM_GAP */
	uint32_t fresh_off;  /* data[fresh_off..len) was not in the call before */
	uint32_t seq_end;    /* sequence number behind the last byte of data */
	uint8_t flags;       /* enum stream_data_flag */
	bool to_server;
};

/**
 * Takes bytes of a direction.
 *
 * @param packet  the packet at hand, which may be of the other direction (its ACK revealed a gap); NULL at flow end
 * @return bytes consumed, 0..data->len: the rest is offered again, followed by what came since. Unconsumed bytes
 *         before a gap are dropped (the GAP call comes after).
 */
typedef uint32_t (*stream_deliver_fn)(void *arg, struct flow *flow, struct packet *packet,
	const struct stream_data *data);

/** Who wins where segments overlap that both wait for earlier data. Delivered data never changes. */
enum stream_policy {
	STREAM_POLICY_FIRST,
	STREAM_POLICY_LAST,
	STREAM_POLICY_BSD,
	STREAM_POLICY_LINUX,
	STREAM_POLICY_WINDOWS,
	STREAM_POLICY_SOLARIS,
	STREAM_POLICY_COUNT,
};

extern const char *const stream_policy_names[STREAM_POLICY_COUNT + 1]; /* ends with NULL */

struct stream_config {
	uint64_t memcap_bytes;            /* of one worker: connection state */
	uint64_t reassembly_memcap_bytes; /* of one worker: segments and unfinished PDUs */
	uint64_t depth_bytes;             /* of each direction; 0: no end */
	bool midstream;          /* rules may see connections whose start was not seen (parsing always does) */
	bool inline_mode;        /* data is always delivered as it comes; `read` numbers events by the frame that brought it */
	bool checksum_validation; /* segments with a bad checksum are not reassembled */
	bool check_overlap;      /* compare segments sent again with what was delivered, as far as prints are kept */
	unsigned int policy;     /* enum stream_policy; of hosts that no range names */
	const json_t *host_os_policy; /* not of a key: packet_config's; NULL: no ranges */
	uint64_t segments_max;
};

extern const struct knob_table stream_knobs;

enum stream_counter {
	STREAM_COUNTER_SESSIONS,
	STREAM_COUNTER_ACTIVE_SESSIONS,
	STREAM_COUNTER_SSN_MEMCAP_DROP,
	STREAM_COUNTER_SEGMENT_MEMCAP_DROP,
	STREAM_COUNTER_SEGMENT_LIMIT_DROP,
	STREAM_COUNTER_PENDING_DROP,
	STREAM_COUNTER_INVALID_CHECKSUM,
	STREAM_COUNTER_MIDSTREAM_PICKUPS,
	STREAM_COUNTER_SYN,
	STREAM_COUNTER_SYNACK,
	STREAM_COUNTER_RST,
	STREAM_COUNTER_URG,
	STREAM_COUNTER_STREAM_DEPTH_REACHED,
	STREAM_COUNTER_REASSEMBLY_GAP,
	STREAM_COUNTER_GAP_BYTES,
	STREAM_COUNTER_OVERLAP,
	STREAM_COUNTER_OVERLAP_DIFF_DATA,
	STREAM_COUNTER_RETRANSMISSIONS,
	STREAM_COUNTER_OUT_OF_ORDER,
	STREAM_COUNTER_EARLY_ANSWERS,
	STREAM_COUNTER_OUT_OF_WINDOW,
	STREAM_COUNTER_KEEPALIVES,
	STREAM_COUNTER_COPIED_BYTES,
	STREAM_COUNTER_DELIVERED_BYTES,
	STREAM_COUNTER_MEMUSE,
	STREAM_COUNTER_COUNT,
};

extern const struct counter_desc stream_counters[STREAM_COUNTER_COUNT];

struct stream_engine;

/** @param config   copied; host_os_policy is read and not kept
 *  @param counters [STREAM_COUNTER_COUNT], lent until destroy. @return 0, -EINVAL or -ENOMEM */
int stream_engine_create(struct stream_engine **out, const struct stream_config *config, _Atomic uint64_t *counters);
void stream_engine_destroy(struct stream_engine *engine);

/**
 * Follows one TCP segment, after flow_update(): sets packet->stream_events and delivers what became contiguous.
 * Packets that are not TCP of a flow are ignored. Clears PACKET_ESTABLISHED of a connection picked up midstream
 * unless stream.midstream says otherwise. The callback may call stream_give_up() and
 * flow_swap_direction().
 */
void stream_segment(struct stream_engine *engine, struct flow *flow, struct packet *packet,
	stream_deliver_fn deliver, void *arg);

/** At the flow's end: offers early data behind a last gap and STREAM_END for each direction that did not have it.
 *  deliver may be NULL. Then frees flow->stream. */
void stream_end(struct stream_engine *engine, struct flow *flow, stream_deliver_fn deliver, void *arg);

/** The protocol gave up (or was never recognised): from now on only numbers are followed; what is queued is freed
 *  with the flow's next segment. May be called from the callback. */
static inline void
stream_give_up(struct stream_engine *engine, struct flow *flow)
{
	flow->flags |= FLOW_APP_GIVEN_UP;
}

/** After flow_swap_direction(). Streams are kept by address, so nothing moves; the call marks the place. */
static inline void
stream_swap_direction(struct flow *flow)
{
}

/** Sequence number behind the last byte delivered; 0 without stream state. */
uint32_t stream_next_seq(const struct flow *flow, bool to_server);
/** Whether the receiver acknowledged all bytes of the direction up to seq_end. */
bool stream_is_acked(const struct flow *flow, bool to_server, uint32_t seq_end);
/** Bytes that the direction has delivered and skipped. */
uint64_t stream_size(const struct flow *flow, bool to_server);
/** Sequence numbers from the direction's first to its next one: its bytes and one for its SYN; 0 before it sent anything. */
uint64_t stream_distance(const struct flow *flow, bool to_server);

uint64_t stream_bytes_used(const struct stream_engine *engine);

#endif
