/*
 * How much is written of what a protocol finds: every record, those that say something new, summaries of flows, or
 * nothing beside alerts. The user chooses for each protocol (log, log-cyclic); the protocol says what a record's values
 * were, one by one, with proto_value(). What is not written is counted by name, and in the flow's summaries.
 *
 * Memory: a block for a flow of which something was not written, another for one whose values are compared; each of
 * VOLUME_LEN and VOLUME_LAST_LEN at most. Without it records are written that need not be; never the other way round.
 *
 * Thread: the worker that owns the flow.
 */
#ifndef MR_PROTO_VOLUME_H
#define MR_PROTO_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cursor.h"

struct field;
struct proto_ctx;
struct record_table;

/** From most to least: of two that apply the greater counts. */
enum proto_log {
	PROTO_LOG_ALL,
	PROTO_LOG_CHANGES, /* not those whose values are all as they were */
	PROTO_LOG_SUMMARY, /* only what sums up others */
	PROTO_LOG_ALERTS,  /* none */
};

enum {
	VOLUME_LAST_MAX = 1024,  /* points of a flow whose last values are remembered; a power of two */
	VOLUME_LAST_LEN = VOLUME_LAST_MAX * 16,
	VOLUME_KINDS_MAX = 13,   /* that are told apart; the last one stands for all others */
	VOLUME_LEN = 256,
};

/** The user's choice for one protocol. */
struct proto_levels {
	uint8_t usual;  /* enum proto_log */
	uint8_t cyclic; /* the same, of records delivered with PROTO_CYCLIC; not below usual */
	uint32_t summary_interval_s; /* 0: only at the end */
	const struct field *kind;    /* of the protocol's records, proto->kind; NULL: none */
};

/** What the values of the record at hand say, as proto_value() found. */
enum proto_values { PROTO_VALUES_NONE, PROTO_VALUES_SAME, PROTO_VALUES_CHANGED };

struct volume_last;

struct volume_kind {
	const char *name;
	uint32_t count;
};

/** Of a flow: what was not written since the last summary. */
struct proto_volume {
	struct volume_last *last; /* NULL: nothing is compared */
	uint64_t first_ns, last_ns;
	uint32_t unchanged;       /* their values were as before */
	uint32_t summarised;      /* summaries are all the user wants */
	uint32_t kind_count;
	struct volume_kind kinds[VOLUME_KINDS_MAX];
};

/** Records that were not written, of all flows. */
enum proto_volume_counter { PROTO_VOLUME_UNCHANGED, PROTO_VOLUME_SUMMARISED, PROTO_VOLUME_UNWANTED };

/** Whether proto_value() would look at values of records with these flags: else it need not be called. */
bool proto_compares(const struct proto_ctx *ctx, unsigned int flags);
/**
 * One value that the record at hand brings. Where points fall on one place they push each other out: they are then told
 * more often than they change, never less.
 * @param point  which: a hash over all that names it, not 0
 * @param value  a hash of what it is now
 */
void proto_value(struct proto_ctx *ctx, uint64_t point, uint64_t value);

/** A hash for the two above, continuing from another (0 at first). Inputs that differ in one word never collide. */
static inline uint64_t
proto_value_hash(uint64_t hash, struct cursor in)
{
	static const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);

	hash = (hash ^ cursor_left(&in)) * odd;
	while (cursor_left(&in) >= 8)
		hash = ((hash ^ cursor_le64(&in)) * odd) ^ hash >> 29;
	while (cursor_left(&in) > 0)
		hash = (hash ^ cursor_u8(&in)) * odd;
	return hash;
}

/* ---- for proto_deliver() and the engine ---- */

/** The field of a path, for proto_levels.kind. @return NULL: path is NULL, or names no number that has names */
const struct field *proto_volume_kind(const struct record_table *table, const char *path);

/** Judges a complete record. @return PROTO_QUIET, or 0: it is to be written */
unsigned int proto_volume_judge(struct proto_ctx *ctx, unsigned int flags);
/** Delivers a summary when one is due, or at the flow's end. ctx->record is used. */
void proto_volume_settle(struct proto_ctx *ctx);
/** Gives the flow's blocks back. */
void proto_volume_free(struct proto_ctx *ctx);

#endif
