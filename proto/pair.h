/*
 * Messages that wait for what answers them: copies of their records in slab blocks, found by key, the oldest first, so
 * that clients which send everything under one id are paired in order too. One pair_table in a protocol's state, one
 * pair_desc a protocol; zeroed is empty.
 *
 * Thread: the worker that owns the flow. Memory: what slab_alloc() gives; without it a message is shed, and counted.
 */
#ifndef MR_PROTO_PAIR_H
#define MR_PROTO_PAIR_H

#include "proto/proto.h"

enum {
	PAIR_INDEX_FROM = 8, /* so many wait: from then on they are found by an index, not one after another */
	PAIR_BUCKETS = 64, /* a power of two */
	PAIR_ORPHANS = 32, /* a power of two */
	PAIR_AHEAD = 3,    /* struct proto.ahead of a protocol whose state begins with a pair_table */
};

/** What a message and its answer have in common. */
struct pair_key {
	uint64_t value;  /* the same in both */
	uint64_t detail; /* what pair_desc.answers compares */
};

struct pair_desc {
	bool (*answers)(uint64_t waiting, uint64_t answer); /* of the details; NULL: when they are equal */
	uint16_t response_time_off; /* in the record: a uint32_t, microseconds */
	uint8_t response_time_bit;  /* its presence */
	uint8_t count_shed;         /* indices of the protocol's counters */
	uint8_t count_unanswered;
};

/** What is known of a message that waits. */
struct pair_wait {
	struct pair_key key;
	uint64_t since_ns;
	uint32_t id;    /* its tx_id */
	bool to_server; /* direction in which it is delivered when nothing answers it */
	uint8_t note;   /* the protocol's own */
	uint64_t asked; /* a hash of what it reads, where answers are compared; 0: nothing */
};

struct pair_open;
struct pair_index;

struct pair_table {
	struct pair_open *oldest, *newest; /* the oldest is the one that an answer most likely is to */
	struct pair_index *index;  /* by key.value; NULL: few wait, or there was no memory for it */
	uint32_t response_time_us; /* typical, moving; 0 before the first answer */
	uint16_t count;
	bool flooded;              /* pair_make_room() said so, until nothing waits any more */
};

/** Answers that came before their message: segments lost in one direction delay it by a few packets. A ring. */
struct pair_orphans {
	uint64_t values[PAIR_ORPHANS]; /* key.value, 0: none */
	uint8_t next;
};

/** Keeps a copy of ctx->record behind those that wait. @return false: no memory; counted as shed */
bool pair_keep(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, const struct pair_wait *wait);
/** The same, before all others: it was taken, and goes on waiting. */
bool pair_keep_first(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, const struct pair_wait *wait);
/** The oldest that key answers. @return its record, valid until the table changes, and *out; NULL: none waits */
const void *pair_find(const struct pair_table *table, const struct pair_desc *desc, struct pair_key key, struct pair_wait *out);
/** The same, taken out and copied into ctx->record, of which ctx->before says what it was. To be released when the PDU is done. @return ctx->record's content; NULL: none waits, or no room */
void *pair_take(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, struct pair_key key,
	struct pair_wait *out);
/** The PDU is done, or its message handed on: what pair_take() gave out is given back. The engine does it. */
void pair_release(struct proto_ctx *ctx);
/** Puts the time that a taken message waited into its record, and into the table's typical one. */
void pair_answered(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, const struct pair_wait *wait);
/** How long a message may wait before another one of its key says that its client gave it up: many times as long as
 *  answers usually take. One that comes sooner is behind it in the pipeline. Nanoseconds. */
uint64_t pair_patience_ns(const struct pair_table *table);
/** Delivers, as unanswered, those of the key that wait at least so long. Uses ctx->record. @return whether there was one */
bool pair_give_up(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, struct pair_key key,
	uint64_t waited_ns);
/** Delivers, as unanswered, the oldest while more than count wait. Uses ctx->record. */
void pair_shrink(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, unsigned int count);
/** Room for one more where at most max (1 and more) may wait. Uses ctx->record.
 *  @return true once, until nothing waits any more: there was none */
bool pair_make_room(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, uint64_t max);

/** @param value  key.value, not 0 */
void pair_orphan_keep(struct pair_orphans *orphans, uint64_t value);
/** Whether the answer was there already; it is forgotten. */
bool pair_orphan_take(struct pair_orphans *orphans, uint64_t value);

#endif
