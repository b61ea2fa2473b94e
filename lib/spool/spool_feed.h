/*
 * A queue in memory before the spool, and the thread that empties it: whoever has the records does not wait for the disk.
 * When the disk does not keep up, records wait in the queue; when that is full the caller waits for a moment, once; then
 * records are shed, counted and reported as a gap, until half of the queue is free again.
 *
 * Threads: one calls put and ask; the feed's own is the spool's writer as long as the feed lives.
 */
#ifndef MR_SPOOL_SPOOL_FEED_H
#define MR_SPOOL_SPOOL_FEED_H

#include "lib/spool/spool.h"

enum {
	SPOOL_FEED_WAIT_MS = 50,   /* for room, at most, before records are shed */
	SPOOL_FEED_FLUSH_MS = 100, /* between two flushes of the spool, at most */
};

struct spool_feed;

struct spool_feed_config {
	uint64_t size;              /* bytes of the queue, at least those of two of the longest records; rounded up to a power of two */
	bool waits;                 /* for room as long as it takes: nothing is shed */
	void (*flushed)(void *arg); /* after each flush, on the feed's thread */
	void *arg;
};

/** @param spool  must outlive the feed. @return 0 or -errno. */
int spool_feed_create(struct spool_feed **out, struct spool *spool, const struct spool_feed_config *config);
/** Gives the spool what is queued, flushes. NULL is accepted. */
void spool_feed_destroy(struct spool_feed *feed);
/** @param line  1..SPOOL_RECORD_LEN_MAX bytes, borrowed for the call. @return whether it was taken */
bool spool_feed_put(struct spool_feed *feed, enum link_lane lane, const void *line, size_t len);
/** Asks for a flush of all that was put before; does not wait. */
void spool_feed_ask(struct spool_feed *feed);
/** As spool_feed_ask(), and waits. @return 0 or -ETIMEDOUT. */
int spool_feed_flush(struct spool_feed *feed, uint64_t timeout_ms);

#endif
