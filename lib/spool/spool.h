/*
 * The disk queue between the exporter and the uplink: the log of what the aggregator has not
 * acknowledged yet. Each lane (lane.h) is a folder of segment files; a record is one line,
 * numbered from 1 without repetition for as long as the spool lives.
 *
 * What a reader can rely on:
 * - A record is handed out only after write(2) took it: a killed process loses nothing that was
 *   ever sent, and a torn tail is cut off at the next start by its checksum.
 * - Damage inside a segment costs the records it hits: the walk finds the next whole one by its
 *   checks. A copy of the damaged file is kept in the folder `damaged`, the newest few of them.
 * - A number never comes back with other content. Numbers are reserved on disk (with fdatasync)
 *   ahead of their use; after a stop of the machine or a new mount of the file system, which may have
 *   lost written records, or after damage at the tail, numbering goes on at the end of the
 *   reservation and a gap record says so. So it does where the tail cannot be read: that is no damage, what is
 *   in it is delivered when it can be read again, and only then a gap record says which numbers are in doubt.
 *   The epoch therefore changes only when the spool starts without valid state, or when the
 *   aggregator turns out to know more than the spool does (spool_renew_epoch()).
 * - The total size is bounded, and each lane's if its share is set. When it is reached, the oldest
 *   segment goes of the first lane in the order flow, stats, event, asset, alert that has one, but
 *   never one of a lane that comes after the lane which needs the room. What is lost by
 *   that is on the disk, as a gap that is owed, before the segment goes; and a segment goes as
 *   delivered only when the acknowledgement is on the disk.
 * - With keep_room the blocks of each lane's open segment and of SPOOL_ROOM_SPARE more are allocated ahead, within the bound. So a
 *   full disk takes records as long as those before them are acknowledged.
 * - Records lost (evicted, damaged on disk, disk full, refused by the aggregator) are counted and
 *   reported by a gap record in the stats lane: {"timestamp":..,"event_type":"gap",
 *   "gap":{"lane":..,"first":..,"last":..,"reason":..}}. A gap that evicts an undelivered gap record
 *   is reported again. Records that were on their way during an eviction may be both
 *   delivered and part of a gap.
 *
 * Threads: one writer (the exporter) and one reader (the uplink), at the same time, without locks.
 * Create and destroy while neither runs.
 */
#ifndef MR_SPOOL_SPOOL_H
#define MR_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/counter.h"
#include "lib/config/config.h"
#include "lib/spool/lane.h"

enum {
	SPOOL_RECORD_LEN_MAX = 512 * 1024, /* bytes of one line */
	SPOOL_OWNER_MAX = 64,              /* characters of spool_set_owner() */
	SPOOL_SEGMENTS_PER_SIZE_MIN = 16,  /* size is at least this many segments */
};

/** When written records are forced to the disk, for the case that the machine stops. */
enum spool_fsync {
	SPOOL_FSYNC_NEVER,    /* the system's own writeback, some 30 s */
	SPOOL_FSYNC_INTERVAL, /* by the reader, each fsync_interval_ms */
	SPOOL_FSYNC_BATCH,    /* by the writer, in each spool_flush(); it waits for the disk */
};

struct spool_config {
	const char *path;           /* folder; made when absent */
	uint64_t size;              /* bytes of all segments; at least 16 segments */
	uint64_t segment_size;      /* bytes of one segment file */
	unsigned int fsync;         /* enum spool_fsync */
	uint64_t fsync_interval_ms;
	const char *key_file;       /* of the key that records are encrypted with (seal.h); NULL or "": they are not */
	const char *key_tpm;        /* key of a TPM2 that with key_file's public key makes that key (seal.h); NULL or "": the file holds it */
	uint64_t read_patience_ms;  /* before a place that cannot be read is given up for what is behind it; 0: 30 s */
	uint64_t queue_size;        /* bytes that wait in memory for a slow disk; for struct spool_feed */
	bool keep_room;             /* of some segments, ahead: a disk that others fill stops nothing that is acknowledged in time */
	bool waits;                 /* the same: records wait for the disk and are never shed; not a key */
	uint64_t lane_percent[LINK_LANE_COUNT]; /* of size, that a lane may take, 1..100; 0: all */
};

/** Keys of `spool.`; fills a struct spool_config. */
extern const struct knob_table spool_knobs;

enum spool_counter {
	SPOOL_APPENDED,         /* writer */
	SPOOL_APPENDED_BYTES,   /* writer */
	SPOOL_TOO_LONG,         /* writer */
	SPOOL_DISK_FULL,        /* writer */
	SPOOL_SHED,             /* who feeds the writer */
	SPOOL_WRITE_ERRORS,     /* writer */
	SPOOL_EVICTED_RECORDS,  /* writer */
	SPOOL_EVICTED_SEGMENTS, /* writer */
	SPOOL_TORN_BYTES,       /* writer, at start */
	SPOOL_GAPS,             /* writer */
	SPOOL_STORED_BYTES,     /* writer, a level: bytes of all segments now */
	SPOOL_DAMAGED_SEGMENTS, /* writer */
	SPOOL_UNREAD_SEGMENTS,  /* writer, at start */
	SPOOL_ACKED,            /* reader */
	SPOOL_CORRUPT_RECORDS,  /* reader */
	SPOOL_READ_ERRORS,      /* reader */
	SPOOL_STATE_ERRORS,     /* reader: the replay position could not be saved */
	SPOOL_SYNC_ERRORS,      /* the thread of the fsync policy */
	SPOOL_COUNTER_COUNT,
};

/** Why records are lost; the names in gap records are spool_gap_reason_names[]. */
enum spool_gap_reason {
	SPOOL_GAP_SPOOL_FULL,   /* evicted to bound the size */
	SPOOL_GAP_DISK_FULL,    /* could not be written */
	SPOOL_GAP_UNCLEAN_STOP, /* the machine stopped: numbers not used again, some may have held records */
	SPOOL_GAP_DAMAGED,      /* failed their checksum */
	SPOOL_GAP_POISON,       /* refused by the aggregator, kept in the quarantine file */
	SPOOL_GAP_NOT_HELD,     /* asked for by the aggregator after it had acknowledged them */
	SPOOL_GAP_DISK_SLOW,    /* the disk did not keep up, or hung */
	SPOOL_GAP_REASON_COUNT,
};

extern const char *const spool_gap_reason_names[SPOOL_GAP_REASON_COUNT];

struct spool;

/**
 * Opens the spool, locks its folder, cuts a torn tail.
 *
 * @param out     owned by the caller
 * @param config  copied, strings included
 * @return 0, -EBUSY (another process has it), -EINVAL (bounds), -ENODEV (key_tpm), -ENOKEY or -EKEYREJECTED (records are encrypted, with
 *         another key; nothing was changed), -ENOMEM, or -errno of the file system; said in the log
 */
int spool_create(struct spool **out, const struct spool_config *config);
/** Reads the key that the configuration names; where a TPM has a part in it, looks whether there is the file. @param reason  out: why it is none. @return 0 or -errno */
int spool_key_check(const struct spool_config *config, const char **reason);
/** Why spool_create() failed, in words. */
const char *spool_strerror(int rc);
/** Writes what is buffered, syncs, releases. NULL is accepted. */
void spool_destroy(struct spool *spool);

/* ---- writer ---- */

/**
 * Buffers one record. It reaches the reader with the next spool_flush(), or when the buffer fills.
 *
 * @param line  one EVE line without newline, 1..SPOOL_RECORD_LEN_MAX bytes; borrowed for the call
 * @return its sequence; 0 when it was dropped (too long, disk full), which is counted
 */
uint64_t spool_append(struct spool *spool, enum link_lane lane, const void *line, size_t len);
/** Takes numbers for records that were lost before they came here; the next flush reports them. */
void spool_give_up(struct spool *spool, enum link_lane lane, uint64_t count);
/** Writes all lanes' buffers, removes acknowledged segments, appends gap records that are due.
 *  Call each 100 ms or so. Does nothing fast when nothing is due. */
void spool_flush(struct spool *spool);

/* ---- reader ---- */

struct spool_want {
	enum link_lane lane;
	uint64_t from_seq;  /* first sequence wanted, from 1 */
	uint32_t count_max; /* records, from 1 */
	size_t bytes_max;   /* of lines, newlines included; the first record is taken even if it is longer */
};

struct spool_batch {
	uint64_t first; /* sequence of the first record; above from_seq when records before it are lost */
	uint32_t count;
	size_t bytes;   /* put into lines */
};

/**
 * Copies consecutive records as lines ended by \n.
 *
 * @param lines  reset and filled; its capacity is at least SPOOL_RECORD_LEN_MAX + 1
 * @param out    what was found; with 0 records and first above from_seq all in between is lost
 * @return records found, 0 when none is there yet, -EAGAIN when a loss must be reported by the
 *         writer first, or -errno (counted; come back later)
 */
int spool_peek_batch(struct spool *spool, const struct spool_want *want, struct buf *lines, struct spool_batch *out);
/** Everything up to seq is stored by the aggregator or given up. Lower than before: ignored. Saved across restarts. */
void spool_ack(struct spool *spool, enum link_lane lane, uint64_t seq);
/** As spool_ack() for records that are lost and reported: the aggregator does not know yet that they will not come. */
void spool_skip(struct spool *spool, enum link_lane lane, uint64_t seq);
/** Whether the last records given up were skipped: the next batch must say Millrace-Skip-To. */
bool spool_is_skipped(const struct spool *spool, enum link_lane lane);
/** Asks the writer for a gap record. @return 0 or -EAGAIN (come back after a flush). */
int spool_report_gap(struct spool *spool, enum link_lane lane, uint64_t first, uint64_t last,
	enum spool_gap_reason reason);
/** A new epoch for all that is not acknowledged yet; sequences stay. @return 0 or -errno. */
int spool_renew_epoch(struct spool *spool);
/** The lane's first sequence of the epoch; 0: not known. */
uint64_t spool_get_begin(const struct spool *spool, enum link_lane lane);
/**
 * Whose records these are, by the name that the aggregator knows them by. Under another name than before a new epoch begins: what
 * was acknowledged before is not missing there.
 *
 * @param owner 1..SPOOL_OWNER_MAX characters
 * @return 0 or -errno: it holds, and is not on the disk
 */
int spool_set_owner(struct spool *spool, const char *owner);
/** Forces written records to the disk when the policy is an interval and it has passed. */
void spool_sync(struct spool *spool, uint64_t now_ms);

/* ---- any thread ---- */

uint64_t spool_get_epoch(const struct spool *spool);
/** The folder; lent until spool_destroy(). */
const char *spool_get_path(const struct spool *spool);
/** Highest sequence appended, readable, and acknowledged; 0: none. */
uint64_t spool_get_appended(const struct spool *spool, enum link_lane lane);
uint64_t spool_get_readable(const struct spool *spool, enum link_lane lane);
uint64_t spool_get_acked(const struct spool *spool, enum link_lane lane);
/** Bytes of the lane's segment files. */
uint64_t spool_get_bytes(const struct spool *spool, enum link_lane lane);
/** Whether every record appended is acknowledged and no gap waits to be reported. */
bool spool_is_drained(const struct spool *spool);
/** Names and values, enum spool_counter. */
struct counter_set spool_get_counters(struct spool *spool);
extern const struct counter_table spool_counter_table;

#endif
