/*
 * A flow's protocol: recognised by content, then framed, parsed and, after garbage or loss,
 * found again. One struct proto_engine a worker, one struct proto_session a flow.
 *
 * Thread: the engine's owner. No allocation but from the slab it was given.
 */
#ifndef MR_PROTO_SESSION_H
#define MR_PROTO_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/base/histogram.h"
#include "proto/pair.h"
#include "proto/proto.h"

enum {
	PROTO_MAX = 64,
	PROTO_DETECT_LEN_MAX = 512,  /* bytes a probe may wait for */
	PROTO_DETECT_TRIES = 4,      /* pieces of data looked at before a flow is given up */
	PROTO_DETECT_TRIES_PORT = 16, /* the same, on a port that a protocol usually has */
};

enum proto_session_state { PROTO_UNKNOWN, PROTO_FOUND, PROTO_GIVEN_UP };

struct proto_session {
	const struct proto *proto; /* with PROTO_FOUND; with PROTO_GIVEN_UP that for whose state there was no memory, or NULL */
	void *state;
	struct proto_volume *volume; /* of records not written; NULL: none */
	uint8_t found;             /* enum proto_session_state */
	uint8_t proto_idx;         /* in the engine's table */
	uint8_t tries;
	bool parsed : 1;           /* parse was called: end is due */
	bool midstream : 1;        /* the flow was picked up in its middle; who makes the session says so */
	bool raw[2];               /* by to_server: the protocol takes the bytes as they come */
	bool waited[2];            /* by to_server: the seen_len bytes were there before the protocol was found, in the other direction */
	uint32_t seen_len[2];      /* by to_server: bytes that frame(), before that a probe, looked at and needs more */
	uint32_t skip_len[2];      /* by to_server: bytes still to be passed over, as the protocol asked */
	uint32_t garbage_len[2];   /* by to_server: bytes skipped since the last PDU, not yet reported; before PROTO_FOUND, bytes that
	                              no protocol knew as its own */
};

/** What the user says of each protocol; made once, read by all engines. */
struct proto_settings;

enum proto_counter {
	PROTO_COUNTER_DETECTED,
	PROTO_COUNTER_UNKNOWN,
	PROTO_COUNTER_UNDETECTED_BYTES,
	PROTO_COUNTER_STATE_SHED,
	PROTO_COUNTER_PDUS,
	PROTO_COUNTER_GARBAGE,
	PROTO_COUNTER_GARBAGE_BYTES,
	PROTO_COUNTER_GAPS,
	PROTO_COUNTER_RECORDS_TRUNCATED,
	PROTO_COUNTER_VOLUME, /* the first of enum proto_volume_counter */
	PROTO_COUNTER_SUMMARISED,
	PROTO_COUNTER_UNWANTED,
	PROTO_COUNTER_COUNT,
};

extern const struct counter_desc proto_counters[PROTO_COUNTER_COUNT];

struct proto_engine;

/** Cycles of one protocol's PDUs: reading it, and all that becomes of it (records, rules, events). For the benchmark. */
struct proto_meter {
	uint64_t pdus, cycles;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/** A piece of one direction's data. */
struct proto_input {
	const uint8_t *data;
	uint32_t len;
	uint32_t missing;   /* bytes lost before data */
	uint64_t ts_ns;
	uint16_t sport, dport; /* either may be a usual port */
	const uint8_t *client_addr; /* [16] of the originator, in network order; NULL: not known */
	const uint8_t *server_addr; /* [16] of the other end */
	bool to_server;
	bool tcp;
	bool ended;         /* nothing comes behind data in the direction */
	const struct proto_link *link; /* a frame without IP; NULL: TCP or UDP */
};

/** Bytes of a recognised flow that no PDU begins with were skipped. */
typedef void (*proto_garbage_fn)(void *owner, const struct proto_session *session, bool to_server, uint32_t len);

/**
 * Reads the settings of every protocol: app-layer.protocols.<name>.{enabled,detection-ports.dp,log,…} and its own knobs.
 * @param table  ends with NULL, at most PROTO_MAX; borrowed for the life of the settings
 * @return 0 or -errno with err set
 */
int proto_settings_create(struct proto_settings **out, const struct proto *const table[], struct config *config,
	struct config_error *err);
void proto_settings_destroy(struct proto_settings *settings);
/** Tables for config_check_unknown() and the reference page. @return how many */
unsigned int proto_settings_knobs(const struct proto_settings *settings, const struct knob_table *tables[],
	unsigned int table_max);
unsigned int proto_settings_count(const struct proto_settings *settings);
const struct proto *proto_settings_proto(const struct proto_settings *settings, unsigned int proto_idx);
/** EtherTypes of the enabled protocols: frames that must become flows. @return how many, at most ether_types_max */
unsigned int proto_settings_ether_types(const struct proto_settings *settings, uint16_t ether_types[],
	unsigned int ether_types_max);

/**
 * @param settings  borrowed
 * @param slab      memory of flows; borrowed
 * @param deliver   gets every message; ctx->owner is owner
 * @param garbage   may be NULL
 * @return 0 or -ENOMEM
 */
int proto_engine_create(struct proto_engine **out, const struct proto_settings *settings, struct slab *slab,
	proto_deliver_fn deliver, proto_garbage_fn garbage, void *owner);
void proto_engine_destroy(struct proto_engine *engine);
/** Whether any rule reads a protocol's messages of a direction: see proto_is_unread(). From the start all are read. */
void proto_engine_set_unread(struct proto_engine *engine, unsigned int proto_idx, bool to_server, bool unread);
/** Where protocols follow files. @param files  lent until destroy */
void proto_engine_give_files(struct proto_engine *engine, struct file_tracker *files);
/** What somebody wants to know of a protocol's files of a direction: enum file_want. At the start nobody does. */
void proto_engine_set_files(struct proto_engine *engine, unsigned int proto_idx, bool to_server, unsigned int wants);
/** From now on every PDU is measured. @param meters  [proto_settings_count()], lent until destroy; NULL: no more */
void proto_engine_measure(struct proto_engine *engine, struct proto_meter *meters);
/** The engine's own counters and each protocol's. @return how many sets */
unsigned int proto_engine_counters(struct proto_engine *engine, struct counter_set sets[], unsigned int sets_max);

/**
 * Reads what can be read.
 * @return bytes consumed: whole PDUs, and what is not wanted. The rest is to be offered again with more behind it.
 */
uint32_t proto_session_data(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input);
/** Recognises a flow's protocol by what proto_session_data() would be given, where that is certain already, and reads nothing: so that
 *  others who look at the same bytes know whose they are. */
void proto_session_recognise(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input);
/** Asks for the flow's state, some packets before it is wanted. The session is at hand. */
static inline void
proto_session_prefetch(const struct proto_session *session)
{
	const uint8_t *state = session->state;

	if (state == NULL)
		return;
	__builtin_prefetch(state, 1);
	__builtin_prefetch(state + 64, 1);
}

/** A packet or two later, the state has come: asks for what the next PDU most likely reads. */
static inline void
proto_session_prefetch_next(const struct proto_session *session)
{
	const uint8_t *const *state = session->state;

	if (state == NULL || *state == NULL)
		return;
	for (unsigned int i = 0; i < session->proto->ahead; i++)
		__builtin_prefetch(*state + 64 * i);
}
/** The flow is over: the protocol delivers what waits; the session is as new. */
void proto_session_end(struct proto_engine *engine, struct proto_session *session, uint64_t ts_ns);
/** The sender of these bytes is: 1 the server, 0 the client, -1 cannot say. For flows picked up midstream. */
int proto_sender_is_server(struct proto_engine *engine, const struct proto_input *input);
/** Whether a protocol usually has this server port: the other end of a midstream flow is the client. */
bool proto_is_port(const struct proto_engine *engine, bool tcp, uint16_t port);

#endif
