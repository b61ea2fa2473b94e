/*
 * Batches into the store, on a thread of its own: neither the disk nor a commit holds up the door. The door hands over a batch
 * that it has unpacked and checked, and gets it back once it is durable or cannot be stored. Between the two stands a queue
 * with a bound in bytes; the door looks at writer_has_room() first, and leaves with the sensors what has none.
 *
 * Batches are stored in the order they come, those of a lane that overtook each other in the order of the lane; as many as
 * are there become durable together.
 *
 * Thread: the door's, if nothing else is said; the writer's own has the store from writer_create() to writer_stop().
 */
#ifndef MR_AGGREGATOR_WRITER_H
#define MR_AGGREGATOR_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/base/buf.h"
#include "lib/base/counter.h"
#include "lib/store/store.h"

struct writer;

/** In the order of their descriptions in the caller's table. */
enum writer_counter { WRITER_REORDERED, WRITER_COMMITS, WRITER_COUNTERS };

struct writer_config {
	uint64_t queue_bytes_max; /* of jobs that are submitted and not taken back */
	uint64_t group_records;   /* after so many a group is committed, even when more batches wait */
	uint64_t reorder_ms;      /* a batch waits so long for those before it */
	_Atomic uint64_t *counters; /* [WRITER_COUNTERS], written by the writer's thread */
};

enum writer_verdict {
	WRITER_STORED,      /* durable up to done.next - 1 */
	WRITER_HOLE,        /* it leaves a hole: the lane expects done.next */
	WRITER_COMPARE,     /* it ends before the lane's last record: to be sent from that on, done.next - 1 */
	WRITER_FOREIGN,     /* other records are stored under its numbers */
	WRITER_QUOTA,       /* the sensor has used up its epochs */
	WRITER_FAILED,      /* the store failed */
	WRITER_NOT_DURABLE, /* the store could not commit it */
	WRITER_STOPPED,     /* it still waited for others when the writer was stopped */
};

/** A batch on its way. The buffers are used again; the door fills what stands before verdict. */
struct writer_job {
	const struct batch_head *head; /* lent until the job comes back */
	void *owner;                   /* the caller's */
	struct buf body;               /* as it came */
	struct buf lines;              /* unpacked */
	struct store_line *records;    /* [head->count], pointing into lines */
	uint32_t records_cap;
	enum writer_verdict verdict;
	struct store_appended done;
	uint64_t bytes;                /* the writer's: what it counts for in the queue */
	uint64_t deadline_ms;          /* the writer's: of one that waits for others */
	TAILQ_ENTRY(writer_job) link;
};

/** @param store the writer's handle; nobody else may use it until writer_stop(). @return 0 or -errno. */
int writer_create(struct writer **out, const struct writer_config *config, struct store *store);
/** Stops; jobs that nobody took back are freed. */
void writer_destroy(struct writer *writer);

/** Stores and commits what was submitted; what waits for others is given back. Afterwards nothing may be submitted. */
void writer_stop(struct writer *writer);
bool writer_is_stopped(const struct writer *writer);
/** Whether store_is_lost(); writer_fd() is readable once it is. */
bool writer_is_lost(const struct writer *writer);

/** An empty job with room for so many records. @return NULL: no memory */
struct writer_job *writer_job_get(struct writer *writer, uint32_t record_count);
void writer_job_put(struct writer *writer, struct writer_job *job);

/** Whether another job may be submitted. When it is none, a job that comes back will tell of the room. */
bool writer_has_room(struct writer *writer);
void writer_submit(struct writer *writer, struct writer_job *job);

/** A file descriptor that is readable when jobs may be taken back. */
int writer_fd(const struct writer *writer);
/** The next one that is done; NULL: none now. */
struct writer_job *writer_take(struct writer *writer);

#endif
