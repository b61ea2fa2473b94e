/*
 * One worker: a core, its source of frames, its flow table, its protocols, its rules, its
 * ring to the exporter. worker.c shows a burst's whole path; emit.c makes events of what was
 * found; hold.c keeps those that wait for something still to come.
 *
 * Thread: everything on the worker's own core, except where said.
 */
#ifndef MR_SENSOR_WORKER_H
#define MR_SENSOR_WORKER_H

#include <stdatomic.h>

#include "app/sensor/census.h"
#include "app/sensor/hold.h"
#include "app/sensor/recording.h"
#include "app/sensor/sensor_config.h"
#include "app/sensor/source.h"
#include "lib/event/event.h"
#include "lib/flow/flow.h"
#include "lib/packet/packet.h"
#include "lib/rule/rule.h"
#include "lib/stream/stream.h"
#include "proto/session.h"

enum {
	WORKER_PACKETS_MAX = 256, /* frames of a burst and the packets inside them */
	WORKER_GATHER_LEN = 1024 * 1024, /* for frames that came in several mbufs */
	WORKER_COUNTER_SETS_MAX = 80,
	WORKER_METADATA_MAX = 4096, /* flow bits and variables of an alert, as JSON */
};

enum worker_counter {
	WORKER_RECEIVED,     /* frames from the source */
	WORKER_BYTES,
	WORKER_PROCESSED,    /* frames whose path ended regularly */
	WORKER_CUT,          /* frames in several buffers that did not fit together: read up to the first's end */
	WORKER_BURSTS,
	WORKER_EMPTY_POLLS,
	WORKER_EVENTS_SHED,  /* events too large for the ring */
	WORKER_SESSION_SHED, /* flows not parsed: no memory */
	WORKER_HELD_SHED,    /* events given out without waiting: no memory */
	WORKER_RELOADS,
	WORKER_UNRECORDED,   /* frames that are missing in a capture */
	WORKER_COUNTER_COUNT,
};

extern const struct counter_desc worker_counters[WORKER_COUNTER_COUNT];

/** Stages of a burst, for the benchmark. */
enum worker_stage { STAGE_RX, STAGE_DECODE, STAGE_FLOW, STAGE_ANALYSE, STAGE_EXPIRE, STAGE_FREE, STAGE_COUNT };

extern const char *const worker_stage_names[STAGE_COUNT];

/** How far a burst goes: the benchmark measures each limit alone. */
enum worker_depth { WORKER_RX_ONLY, WORKER_DECODE, WORKER_FLOW, WORKER_STREAM, WORKER_ALL };

/** What hangs from flow->session. */
struct flow_session {
	struct proto_session proto;
	uint32_t quiet_newest;         /* the highest tx_id that quiet_txs speaks of, where the protocol counts its transactions */
	uint32_t held_count;
	struct held *held_first, *held_last; /* hold.c's: events that wait, as they came */
	struct hold_bytes *unacked[2]; /* by enum flow_direction; hold.c's */
	struct mac_lists *macs;        /* macs.c's; NULL: each end had one address */
	uint16_t kept_len[2];          /* by to_server: bytes at the front of the stream's data that the protocol is done with,
	                                  kept so that rules find what straddles */
	uint16_t again_len[2];         /* by to_server: rule_match_stream() returned it last */
	uint8_t wants;                 /* enum rule_want, when wants_epoch is the worker's and wants_proto the flow's */
	uint16_t wants_proto;
	uint32_t wants_epoch;
	uint64_t quiet_txs;            /* bit tx_id & 63: a config rule matched, the transaction is not logged */
};

_Static_assert(sizeof(struct flow_session) == 128, "two cache lines");

/** What one poll brought. */
struct worker_frames {
	uint64_t tsc;              /* when */
	uint16_t count;            /* 0: handled, or nothing came */
	struct rte_mbuf *mbufs[BURST_MAX];
};

struct worker {
	unsigned int worker_idx;
	const struct settings *settings;
	struct source *source;
	struct packet_decoder *decoder;
	struct flow_table *flows;
	struct stream_engine *streams;
	struct proto_engine *protos;
	struct file_tracker *files;
	struct slab *slab;
	struct hold *hold;
	struct event_ring *ring;
	struct rule_matcher *matcher;
	uint32_t matcher_epoch;    /* of flow_session.wants; from 1 on */
	_Atomic(struct rule_matcher *) matcher_next; /* given by the control thread, taken between bursts */
	_Atomic(struct rule_matcher *) matcher_old;  /* given back to the control thread */
	_Atomic(struct recording *) recording_next; /* set by the control thread, taken between bursts */
	_Atomic(struct recording *) recording;      /* has the worker's frames now; NULL: none */
	_Atomic bool stop;
	_Atomic bool done;
	struct census *census;     /* of the flows; the control thread asks */
	uint16_t burst_max;        /* frames taken at once, at most BURST_MAX */
	enum worker_depth depth;
	bool measure;              /* the benchmark: cycles of each stage */
	bool waits_for_ring;       /* a capture file: a full ring stops the reading, nothing is dropped there */

	/* the burst at hand */
	uint64_t now_ns;           /* latest capture time seen */
	uint64_t behind_ns;        /* of the last packet that was far behind it */
	struct worker_frames *burst; /* of frames[] */
	struct packet *packet;     /* the packet at hand; NULL at a flow's end */
	struct flow *flow;
	const struct stream_data *chunk; /* the stream data at hand; NULL for datagrams */
	struct rule_hits hits;
	struct buf metadata;       /* of the alerts at hand: EVE metadata, in metadata_room */
	char metadata_room[WORKER_METADATA_MAX];
	struct buf context;        /* of the alert at hand: EVE alert.context, in context_room */
	char context_room[WORKER_METADATA_MAX];
	uint8_t *gather;
	uint32_t gather_len;
	uint64_t stage_cycles[STAGE_COUNT];

	/* live time: the wall clock at tsc_base, advanced by the TSC */
	uint64_t tsc_base, wall_base_ns;
	double ns_per_tsc;

	_Atomic uint64_t counters[WORKER_COUNTER_COUNT];
	_Atomic uint64_t packet_counters[PACKET_COUNTER_COUNT];
	_Atomic uint64_t decode_event_counters[DECODE_EVENT_COUNT];
	_Atomic uint64_t flow_counters[FLOW_COUNTER_COUNT];
	_Atomic uint64_t stream_counters[STREAM_COUNTER_COUNT];
	struct packet packets[WORKER_PACKETS_MAX];
	struct flow *flow_of[WORKER_PACKETS_MAX];
	struct worker_frames frames[2];
};

/**
 * @param settings  borrowed
 * @param source    given: destroyed with the worker
 * @param ruleset   a reference is taken
 * @return 0 or -errno
 */
int worker_create(struct worker **out, unsigned int worker_idx, const struct settings *settings, struct source *source,
	struct ruleset *ruleset);
void worker_destroy(struct worker *worker);

/** Runs until the source ended or worker->stop, then ends all flows and sets worker->done. */
int worker_run(void *worker);
/** Receives a burst and handles the one received before. @return frames handled, or else received; 0: neither */
uint16_t worker_burst(struct worker *worker);
/** Ends all flows, hands out what waits. */
void worker_finish(struct worker *worker);

/** Callbacks of the worker's proto_engine, whose owner it is. */
void worker_deliver_message(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id);
void worker_report_garbage(void *owner, const struct proto_session *session, bool to_server, uint32_t len);

/** Every counter of the worker, for stats. @return how many sets. Any thread. */
unsigned int worker_get_counters(struct worker *worker, struct counter_set sets[], unsigned int sets_max);

/** The rule set is another one: protocols learn which of their messages rules read. */
void worker_tell_readers(struct worker *worker);
/** The flow's session, made when first wanted; NULL when memory is short. */
struct flow_session *worker_session(struct worker *worker, struct flow *flow);
/** The flow's protocol is the session's. What it was before, where a protocol handed over to another one, is kept for the flow's event. */
static inline void
worker_note_proto(struct flow *flow, const struct flow_session *session)
{
	uint16_t app_proto = (uint16_t)(session->proto.proto_idx + 1);

	if (flow->app_proto == app_proto)
		return;
	if (flow->app_proto != 0)
		flow->app_proto_before = flow->app_proto;
	flow->app_proto = app_proto;
}

/* ---- worker_stream.c ---- */

/** Whose rules may want the flow's bytes: those of its protocol; before one is recognised, those of any. */
static inline uint16_t
worker_rules_proto(const struct flow *flow)
{
	const struct flow_session *session = flow->session;

	return session == NULL || session->proto.found == PROTO_UNKNOWN ? RULE_ANY_PROTO : flow->app_proto;
}

/** What the rules want of a TCP flow: bits of enum rule_want, kept in its session until the rules are other ones. */
unsigned int worker_rules_want(const struct worker *worker, const struct flow *flow);

/** Shows the rules what is new of a direction's data. Rules count their places from the beginning of a PDU, so each one is
 *  shown by itself; what an earlier call showed of it is context. Bytes of no protocol are context too, kept only so that
 *  matches may straddle: places count behind them.
 *  @param input  the same without the bytes at the front that the protocol is done with
 *  @return again_len of the session */
uint32_t worker_match_stream(struct worker *worker, struct flow *flow, const struct packet *packet, const struct stream_data *data,
	const struct proto_input *input);
/** A flow whose opening was not seen began with whoever spoke first, which may be the server. Content says who is who; where it
 *  cannot, a usual server port does. The packet's direction goes with the flow's. */
void worker_orient(struct worker *worker, struct flow *flow, struct packet *packet);
/** How many of the `done` bytes that the protocol is done with rules must see once more. The flow has a session. */
uint32_t worker_straddle_len(const struct flow *flow, const struct stream_data *data, uint32_t done);

/* ---- macs.c: which MAC addresses the ends of a flow were seen with ---- */

/** After the packet was handled. The first packets of a direction are looked at, then one in sixteen. */
void macs_note(struct worker *worker, struct flow *flow, const struct packet *packet);
void macs_end(struct worker *worker, struct flow_session *session);

/* ---- emit_flow.c: any thread, of a copy of the flow ---- */

/** Who speaks in a flow, for any event of it. */
void emit_put_flow(struct event *event, const struct flow *flow);
/** Of an event whose sender is the flow's responder. */
void emit_turn_ends(struct event *event);
/** What a flow event says of the flow itself: two sections. */
void emit_add_flow(struct event_builder *b, const struct flow *flow, const struct flow_part *told);
/** A flow event in memory of emit_flow_len() bytes, of a flow that may go on. */
void emit_flow_into(void *room, const struct flow *flow, const struct flow_part *whole);
uint32_t emit_flow_len(void);

/* ---- emit.c ---- */

enum { EMIT_PAYLOAD_LEN_MAX = 4096 };

/** Where an event's source and destination come from. */
enum emit_orientation { EMIT_FLOW, EMIT_PACKET };

void emit_app(struct worker *worker, struct proto_ctx *ctx, const struct flow_session *session, uint32_t tx_id);
/** A file, ctx->file, beside the record of what carried it. */
void emit_file(struct worker *worker, struct proto_ctx *ctx, const struct flow_session *session);
/** What a device said of itself: ctx->record is an identity_record. */
void emit_identity(struct worker *worker, struct proto_ctx *ctx);
/** What was not written of the flow: ctx->record is a summary_record. */
void emit_summary(struct worker *worker, struct proto_ctx *ctx);
/** A packet that a rule tagged. */
void emit_tagged(struct worker *worker);
void emit_alerts(struct worker *worker, bool to_server, const struct proto_ctx *ctx, uint32_t tx_id, bool hold);
void emit_decode_anomalies(struct worker *worker);
/** @param ctx  of the transaction tx_id; NULL, 0: it belongs to none */
void emit_app_anomaly(struct worker *worker, const struct proto *proto, bool to_server, const char *event_name, const struct proto_ctx *ctx,
	uint32_t tx_id);
void emit_arp(struct worker *worker, const struct packet_arp *arp);
/** The flow and netflow events that are wanted. */
void emit_flow(struct worker *worker, const struct flow *flow);
/** A flow_part_fn of the worker's flow table. */
void emit_flow_part(void *worker, struct flow *flow);
/** What rules wrote down of a flow, for an event of it, in worker->metadata: nothing where none did. */
void emit_read_metadata(struct worker *worker, const struct flow *flow);
/** How far the flow of an alert has come. */
static inline void
emit_alert_counts(struct alert_record *alert, const struct flow_table *flows, const struct flow *flow)
{
	alert->pkts_toserver = flow_packets(flows, flow, FLOW_TO_SERVER);
	alert->pkts_toclient = flow_packets(flows, flow, FLOW_TO_CLIENT);
	alert->bytes_toserver = flow->bytes[FLOW_TO_SERVER];
	alert->bytes_toclient = flow->bytes[FLOW_TO_CLIENT];
}
/** Hands a finished event to the ring, copying it; a full ring counts. */
void emit_push(struct worker *worker, const struct event *event);

#endif
