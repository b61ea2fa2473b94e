/*
 * A protocol, as the rest of the sensor sees it: one struct proto, listed by proto/meson.build in
 * proto_table[]. `frame` finds one PDU, `parse` reads a whole one and hands on messages.
 *
 * Thread: all functions run on the worker that owns the flow. Nothing here allocates from the
 * system, locks, logs or reads a clock.
 */
#ifndef MR_PROTO_PROTO_H
#define MR_PROTO_PROTO_H

#include "lib/base/counter.h"
#include "lib/base/cursor.h"
#include "lib/base/slab.h"
#include "lib/config/config.h"
#include "lib/file/file.h"
#include "lib/record/identity.h"
#include "lib/record/record.h"
#include "lib/rule/rule_app.h"
#include "proto/volume.h"

enum { PROTO_STARTS_MAX = 4 };

enum proto_transport { PROTO_TCP = 1, PROTO_UDP = 2, PROTO_ETHERNET = 4 };

enum proto_probe {
	PROTO_PROBE_NO,   /* cannot be this protocol */
	PROTO_PROBE_MORE, /* too few bytes to say */
	PROTO_PROBE_YES,
};

enum proto_deliver_flag {
	PROTO_MATCH = 1,  /* let the rules see the record, in the direction of the PDU */
	PROTO_EMIT = 2,   /* write an event: the transaction, or the message, is complete */
	PROTO_IDENTITY = 8, /* the record is an identity_record, not the protocol's own; alone, without the others */
	PROTO_HOLD = 4,   /* with MATCH: alerts wait for this transaction's PROTO_EMIT, given by the same tx_id */
	PROTO_CYCLIC = 16, /* with EMIT: sent by a clock, not by an event or a question; the key log-cyclic is its own */
	PROTO_SUMMARY = 32, /* with EMIT: it sums up what was not written. Alone: the record is a summary_record */
	PROTO_FILE = 128,  /* the record is beside ctx->file. With MATCH: only rules that ask for files see it; with EMIT: it is told of */
	PROTO_QUIET = 64,  /* with EMIT, set by proto_deliver(): the user does not want it written */
};

enum { PROTO_PDU_LEN_MAX = 64 * 1024 };

/** As skip_len: the direction is passed over for good, however long it is. */
#define PROTO_SKIP_ALL UINT32_MAX

/** The link-layer header of a PDU that came without IP. */
struct proto_link {
	const uint8_t *src_mac; /* [6], lent for the call */
	const uint8_t *dst_mac;
	uint16_t ether_type;
	uint16_t vlan_tci;      /* priority (3 bits), DEI, VLAN; with tagged */
	bool tagged;
};

/** A flow that nothing is known of yet but its ends; as in struct proto_ctx. */
struct proto_ends {
	const uint8_t *client_addr; /* [16] */
	const uint8_t *server_addr; /* [16] */
	uint16_t sport, dport;      /* of the originator, of the responder */
	uint64_t ts_ns;
};

struct proto_ctx;
struct pair_open;

/** What parse hands on, through ctx->deliver. The record is ctx->record's content. */
typedef void (*proto_deliver_fn)(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id);

/** Everything a protocol may use while it handles one PDU. */
struct proto_ctx {
	const struct proto *proto;
	const void *config;          /* the struct proto->knobs fills */
	void *state;                 /* proto->state_len bytes, zeroed when the flow was recognised */
	void *shared;                /* proto->shared_len bytes of the worker, zeroed at start: what its flows know together. All
	                                packets between two addresses are of one worker, so what is kept by both addresses does
	                                not depend on how many workers there are. NULL: none */
	struct slab *slab;           /* more memory for the flow's life; may return NULL: shed and count */
	struct record_builder *record;
	_Atomic uint64_t *counters;  /* [proto->counter_count] of this worker */
	uint64_t ts_ns;              /* capture time */
	const uint8_t *pdu;          /* the PDU's bytes, set by the caller of parse: rules with plain content see them */
	uint32_t pdu_len;
	uint32_t skip_len;           /* parse may set it: bytes of its direction behind the PDU to pass over unread, the rest of
	                                a message of which frame() gave only the front */
	uint32_t skipped_len;        /* parse: bytes of its direction before the PDU that were none, told as resynchronised; the
	                                first 2^32 - 1 of them */
	bool raw;                    /* over TCP: what follows in the direction is not framed but goes to proto->raw, until it
	                                says otherwise; set by parse, gap and raw, which finds what was said last */
	bool remains;                /* in parse: the direction ended in the PDU, of which there is no more than this: see proto->remains */
	bool over;                   /* set by parse or raw: what follows in both directions is another protocol; end() is
	                                called and the flow's protocol is looked for anew */
	uint64_t events;             /* bits set by proto_event(); taken by the next deliver */
	uint64_t undecided;          /* around a deliver with PROTO_MATCH: presence bits of the record that another message of the
	                                direction sets or leaves clear; the keyword absent says nothing of them here. Else 0 */
	uint64_t known;              /* around a deliver with PROTO_MATCH: presence bits of the record that an earlier message of the
	                                direction set: rules ask for them beside what is new, but not for them alone. Else 0 */
	const void *before;          /* around the deliver with PROTO_MATCH of an answer that pair_take() found the request of: the record as
	                                rules were asked of it then. Else NULL */
	uint64_t asked;              /* the same where no such record is kept: presence bits of the record that the request had then. Else 0 */
	struct pair_open *taken;     /* pair.c's: what before is of, until pair_release() */
	struct file_tracker *files;  /* NULL: none are followed */
	uint8_t file_wants[2];       /* by to_server: enum file_want of the flow's files; 0: they are not followed */
	struct file *file;           /* around a deliver: what the record carries, or a part of it; else NULL */
	struct proto_levels levels;  /* how much the user wants written */
	enum proto_values values;    /* what proto_value() found of the record at hand */
	struct proto_volume **volume; /* the flow's; NULL: nothing is left out */
	_Atomic uint64_t *volume_counters; /* [enum proto_volume_counter] of the worker; NULL: none */
	bool to_server;              /* sent by the flow's originator */
	const uint8_t *client_addr;  /* [16] of the flow's originator, IPv4 in the first four; NULL: not known. As the ports */
	const uint8_t *server_addr;  /* [16] of the other end */
	uint16_t sport, dport;       /* of the PDU's flow, either may be the usual port; 0 in gap() and end() */
	bool tcp;                    /* false: UDP or Ethernet, a PDU is a datagram's rest */
	bool midstream;              /* the flow was picked up in its middle: what came before may have been anything */
	bool ending;                 /* in end(): the flow is over */
	bool unread[2];              /* by to_server: see proto_is_unread() */
	const struct proto_link *link; /* PROTO_ETHERNET: of the PDU at hand; NULL over IP and in end() */
	proto_deliver_fn deliver;
	void *owner;                 /* of deliver */
};

/** No rule reads the protocol's records of this direction, nor its events: what is delivered with PROTO_MATCH alone need not
 *  be built, its record may stay empty. What is delivered with PROTO_EMIT is written all the same. */
static inline bool
proto_is_unread(const struct proto_ctx *ctx, bool to_server)
{
	return ctx->unread[to_server];
}

/** Names an anomaly of the PDU at hand: an `anomaly` record is written and app-layer-event rules see it. */
static inline void
proto_event(struct proto_ctx *ctx, unsigned int event_idx)
{
	ctx->events |= UINT64_C(1) << event_idx;
}

/* What rules were asked of before is of one message. */
static inline void
proto_hand_on(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	ctx->deliver(ctx, flags, tx_id);
	if ((flags & PROTO_MATCH) != 0) {
		ctx->before = NULL;
		ctx->asked = 0;
	}
}

/**
 * Hands on ctx->record (begun by record_begin()).
 * @param tx_id  the protocol's own number for the transaction, unique among those open in the flow; 0: none
 */
static inline void
proto_deliver(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	if ((flags & PROTO_EMIT) != 0 && (ctx->levels.usual | ctx->levels.cyclic) != PROTO_LOG_ALL)
		flags |= proto_volume_judge(ctx, flags);
	proto_hand_on(ctx, flags, tx_id);
}

/** A file begins in the direction. @return NULL: nobody wants to know, or there is no memory */
static inline struct file *
proto_file_begin(struct proto_ctx *ctx, bool to_server, const uint8_t *name, uint32_t name_len)
{
	return ctx->file_wants[to_server] == 0 ? NULL : file_begin(ctx->files, name, name_len, ctx->file_wants[to_server]);
}

/** Hands on ctx->record with a file beside it: with flags PROTO_MATCH, or PROTO_FILE and one of MATCH and EMIT. */
static inline void
proto_deliver_file(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id, struct file *file)
{
	ctx->file = file;
	proto_hand_on(ctx, flags, tx_id);
	ctx->file = NULL;
}

/** Values of a byte, both ends included. */
struct proto_bytes {
	uint8_t low, high;
};

struct proto {
	struct rule_app app;         /* app.name is the EVE event type */
	uint8_t transports;          /* enum proto_transport, or-ed */
	const uint16_t *ports;       /* usual server ports, ends with 0: asked first, never trusted alone */
	const uint16_t *ether_types; /* PROTO_ETHERNET: frames that are its own, ends with 0; their "flow" is the pair of
	                                MACs, the payload begins behind the EtherType */
	uint16_t pdu_len_min;        /* bytes frame() needs before it can say anything */

	/**
	 * Whether bytes from the start of one direction's data (or of a datagram) are this protocol.
	 * A YES must rest on content that random bytes or other protocols do not have.
	 * @param on_port  one of the flow's ports is in ports (or in the user's detection-ports)
	 */
	enum proto_probe (*probe)(struct cursor in, bool to_server, bool on_port);
	/** The same for a datagram, where it is not what a stream begins with; NULL: probe. */
	enum proto_probe (*probe_datagram)(struct cursor in, bool to_server, bool on_port);
	/** First bytes at which the probes do not always say PROTO_PROBE_NO, so that they are not asked in vain; on its port a
	 *  protocol is asked at any. start_count 0: they may say yes at any. */
	struct proto_bytes starts[PROTO_STARTS_MAX];
	uint8_t start_count;
	/** Whether another flow announced this one, over TCP, of which its bytes say nothing: asked before any probe.
	 *  @param shared  as ctx->shared. NULL: never */
	bool (*expects)(void *shared, const struct proto_ends *ends);
	/** Which end is the server, when a flow was picked up midstream: 1 the sender of these bytes is the server,
	 *  0 it is the client, -1 cannot say. NULL: never says. */
	int (*sender_is_server)(struct cursor in);
	/**
	 * One PDU at the start of in. @return its length in bytes, 0: need more, -EBADMSG: not a PDU here
	 * (the caller skips to the next place where frame() succeeds, and counts the bytes).
	 * When it needs more it may only do so while fewer than PROTO_PDU_LEN_MAX bytes are there.
	 */
	int (*frame)(struct cursor in, bool to_server);
	/** The same in a datagram; NULL: frame. */
	int (*frame_datagram)(struct cursor in, bool to_server);
	/** As frame(), where the end of a PDU must be searched for: it is not in the first seen_len bytes, which an earlier
	 *  call looked at. NULL: frame() is cheap. */
	int (*frame_on)(struct cursor in, bool to_server, uint32_t seen_len);
	/** Where no PDU begins: bytes at the front of in at which frame() says -EBADMSG, as far as that can be told at a glance.
	 *  What is left of them frame() is asked about. NULL: frame() is asked at every byte. */
	size_t (*pass)(struct cursor in);
	/** Bytes at the end of a direction, of which probe() or frame() want more that will not come: whether parse() is given them as
	 *  they are, with ctx->remains. @param on_port  of a flow whose protocol is not known yet as in probe, else true. NULL: never */
	bool (*remains)(struct cursor in, bool to_server, bool on_port);
	/** Reads one whole PDU as frame() delimited it. Never fails: what is wrong is an event of the PDU. */
	void (*parse)(struct proto_ctx *ctx, struct cursor pdu);
	/**
	 * Bytes without frames of the direction ctx->to_server, as they come: a body that is longer than a PDU may be, or
	 * whose end is known only from what is in it. The records must not depend on how the bytes were cut.
	 * @return how many were taken: all of them, or fewer with ctx->raw set to false. NULL: ctx->raw is never set.
	 */
	uint32_t (*raw)(struct proto_ctx *ctx, struct cursor in);
	/**
	 * Bytes of the direction ctx->to_server at the front of which no PDU begins, right behind the last one, or at the direction's end
	 * one that goes on: whether they go to raw, which takes one of them at least. NULL: never; what is no PDU is passed over, counted
	 * and told.
	 */
	bool (*stray)(struct proto_ctx *ctx, struct cursor in);
	/** missing bytes of the direction ctx->to_server were lost: drop what spans them. NULL: nothing to do. */
	void (*gap)(struct proto_ctx *ctx, uint32_t missing);
	/** The flow is over: deliver what still waits, give slab memory back. Called once if parse ever was. */
	void (*end)(struct proto_ctx *ctx);

	const char *kind;            /* path of the field, a number with names, that tells records apart in summaries; NULL: none */
	size_t state_len;            /* at most SLAB_BLOCK_MAX */
	bool counts_transactions;    /* the tx_id of what it delivers is the transaction's number in the flow, from 1: events show it */
	uint8_t ahead;               /* the state begins with a pointer to what the next PDU most likely reads, as a pair_table does: so
	                                many cache lines of it are fetched ahead; 0: it does not */
	size_t shared_len;           /* of ctx->shared; 0: nothing */
	const struct proto *shares;  /* what ctx->shared is of, where it is another protocol's; NULL: its own */
	const struct counter_desc *counters;
	uint8_t counter_count;
	uint8_t cyclic;              /* enum proto_log: what is written of records with PROTO_CYCLIC unless the user says otherwise.
	                                PROTO_LOG_ALL: it has none, nor the key */
	const struct knob_table *knobs; /* keys "app-layer.protocols.<name>.…"; NULL: none */
	size_t config_len;           /* of the struct the knobs fill */
};

/** Every protocol, ends with NULL. Made by proto/meson.build from its list of folders. */
extern const struct proto *const proto_table[];

#endif
