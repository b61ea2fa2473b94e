/*
 * Sensors' batches, from the wire to the disk. ingest.c shows a batch's way through the door: who is it, what do the headers
 * say, its sensor's turn, unpack, check each line, hand over, answer. writer.c shows the rest: is it next in its lane, append,
 * commit together with the others that arrived.
 *
 * Thread: the one that runs the base; the store belongs to a thread of its own between ingest_create() and
 * ingest_finish(). Counters may be read by any.
 */
#ifndef MR_AGGREGATOR_INGEST_H
#define MR_AGGREGATOR_INGEST_H

#include "app/aggregator/settings.h"
#include "lib/base/counter.h"
#include "lib/store/store.h"

struct event_base;
struct enrol;
struct ingest;

enum ingest_counter {
	INGEST_REQUESTS, INGEST_BATCHES, INGEST_RECORDS, INGEST_BYTES, INGEST_DUPLICATES, INGEST_LOST,
	INGEST_HOLES, INGEST_FOREIGN, INGEST_POISON, INGEST_REFUSED, INGEST_TOO_LARGE, INGEST_VERSION, INGEST_LATER,
	INGEST_LIMITED, INGEST_BEHIND,
	INGEST_REORDERED, INGEST_COMMITS, /* in the order of enum writer_counter */
	INGEST_SERVER, /* and on, enum link_server_counter */
	INGEST_COUNTERS = INGEST_SERVER + LINK_SERVER_COUNTERS,
};

extern const struct counter_desc ingest_counters[INGEST_COUNTERS];

/** @param settings, store, enrol borrowed, must outlive it; enrol NULL: nobody is revoked or renewed.
 *  @return 0 or -errno, logged. */
int ingest_create(struct ingest **out, struct event_base *base, const struct settings *settings, struct store *store,
	struct enrol *enrol);
/** Stores and answers what was taken; batches that still wait, and all that come later, are told to come again. */
void ingest_finish(struct ingest *ingest);
/** Whether the base's loop was left because of store_is_lost(). */
bool ingest_is_lost(const struct ingest *ingest);
void ingest_destroy(struct ingest *ingest);
uint16_t ingest_port(const struct ingest *ingest);
struct counter_set ingest_counter_set(struct ingest *ingest);

#endif
