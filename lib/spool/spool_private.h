/* What the files of this folder share: the spool's inside, by who writes it. */
#ifndef MR_SPOOL_SPOOL_PRIVATE_H
#define MR_SPOOL_SPOOL_PRIVATE_H

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/spool/segment.h"
#include "lib/spool/slot.h"
#include "lib/spool/spool.h"

enum {
	SPOOL_WRITE_LEN = 256 * 1024, /* buffered before a write(2) */
	SPOOL_BUFFER_LEN = SPOOL_WRITE_LEN + SPOOL_RECORD_LEN_MAX + SEAL_TAG_LEN + SEGMENT_ENTRY_LEN,
	SPOOL_RESERVE_STEP = 1 << 20, /* sequences reserved at once */
	/* Below this many left, more are reserved; more than a full buffer's records can be. */
	SPOOL_RESERVE_LOW = SPOOL_RESERVE_STEP / 2,
	SPOOL_GAPS_MAX = 64,          /* gaps not known to be delivered */
	SPOOL_GAP_REQUESTS_MAX = 16,  /* power of two */
	SPOOL_SEGMENT_SIZE_MIN = 4096,
	SPOOL_BOOT_ID_LEN = 40,
	SPOOL_READ_PATIENCE_MS = 30000, /* before a place that cannot be read is given up */
	SPOOL_DAMAGED_MAX = 4,          /* damaged segments kept aside */
	SPOOL_LET_GO_MS = 1000,         /* of failing writes, before the folder is let go */
	SPOOL_ROOM_SPARE = 2,           /* segments for which room is taken ahead, beside those that each lane may have open */
};

static_assert(SPOOL_RESERVE_LOW > SPOOL_BUFFER_LEN / (SEGMENT_ENTRY_LEN + 1), "a buffer never outruns the reservation");

/* A segment file on disk, as the writer knows it. */
struct spool_segment {
	uint64_t first;
	uint64_t next; /* after its last record; while it is open: see the lane */
	uint64_t bytes;
};

/* A gap that is owed to the aggregator until its record is acknowledged. */
struct spool_gap {
	uint64_t first;
	uint64_t last;
	uint64_t record_seq; /* of the gap record in the stats lane; 0: not appended yet */
	uint32_t lane;
	uint32_t reason;
};

/* How far a lane is delivered. */
struct spool_position {
	uint64_t acked;
	uint64_t skipped; /* whether acked was last moved by spool_skip() */
};

/* Saved by the writer. */
struct spool_writer_state {
	char boot_id[SPOOL_BOOT_ID_LEN];
	struct {
		uint64_t reserved; /* sequences from here on were never used */
		uint64_t floor;    /* sequences below it are not used again, whatever the segments say */
	} lanes[LINK_LANE_COUNT];
	uint64_t gap_count;
	struct spool_gap gaps[SPOOL_GAPS_MAX];
	uint64_t mount_id; /* of the file system, since its mount; 0: not known */
	uint64_t closed_next[LINK_LANE_COUNT]; /* numbering ended before it in a clean stop; 0: the spool is open */
	/* The segment before this number could not be read when a start went on from here: its reader finds where it ends. */
	uint64_t unread_next[LINK_LANE_COUNT];
	/* Up to here segments were removed because they were delivered, whether or not the reader could save its position. */
	struct spool_position released[LINK_LANE_COUNT];
};

/* Saved by the reader. */
struct spool_reader_state {
	uint64_t epoch;
	struct spool_position lanes[LINK_LANE_COUNT];
	uint64_t begins[LINK_LANE_COUNT]; /* the first number of the epoch; 0: not known */
	char owner[SPOOL_OWNER_MAX + 1];  /* whose records these are; "": not known */
};

static_assert(sizeof(struct spool_writer_state) <= SLOT_STATE_LEN_MAX, "fits a slot");
static_assert(sizeof(struct spool_reader_state) <= SLOT_STATE_LEN_MAX, "fits a slot");

struct spool_lane {
	/* The writer's. */
	enum link_lane id;
	int dir_fd;
	int fd;                  /* the segment being written; -1: none */
	char *buffer;            /* [SPOOL_BUFFER_LEN] */
	size_t buffer_len;
	size_t buffer_done;      /* of it, already in the file after a short write */
	size_t limit;            /* buffer_len above which append must look closer; 0 while blocked */
	uint64_t salt;
	struct seal *seal;       /* of the open segment; NULL: records are not encrypted */
	uint64_t next;           /* sequence of the next record */
	uint64_t accepted;       /* last sequence in the buffer or on disk */
	uint64_t hole_first;     /* sequences from here to next were reported as lost; equals next when none; or SEGMENT_HOLE_UNKNOWN */
	uint64_t dropped_first;  /* first number a record used up without being kept; 0: none */
	enum spool_gap_reason dropped_reason;
	uint64_t file_len;       /* of the open segment */
	uint64_t start_hole_first; /* the start reported from here up to start_next as lost; equal: nothing */
	uint64_t start_next;
	bool blocked;            /* appending waits for the next flush: a write failed, or numbers were given up */
	bool failed;             /* the last write failed */
	bool unsynced;
	struct spool_segment *segments; /* ring, oldest at head; the last is the open one when fd >= 0 */
	unsigned int segment_max;
	unsigned int segment_head;
	unsigned int segment_count;

	/* Written by the writer, read by all. */
	alignas(64) _Atomic uint64_t appended;
	_Atomic uint64_t readable;
	_Atomic uint64_t evicted_next; /* every loss below it is reported by the writer */
	_Atomic uint64_t bytes;

	/* Written by the reader, read by all. */
	alignas(64) _Atomic uint64_t acked;
	_Atomic bool skipped;
	struct segment_reader reader;
	uint64_t synced_first; /* segments before this one are on the disk */
	uint64_t synced_readable;
	uint64_t fault_seq; /* could not be read, since fault_ms */
	uint64_t fault_ms;
	bool unreadable;    /* the loss just found was given up, not damaged */
	bool ended;         /* it is behind the whole records of a segment that is not damaged */
};

struct spool_gap_request {
	uint64_t first;
	uint64_t last;
	enum link_lane lane;
	enum spool_gap_reason reason;
};

struct spool {
	struct spool_config config;
	bool sealed;
	struct seal_key key;
	char *path;
	int dir_fd;
	int lock_fd;
	bool ready;           /* opened whole: destroy has something to save */
	uint32_t record_len_max;
	uint64_t total_bytes; /* writer: of all segments */
	bool state_dirty;
	struct slot_file writer_slot;
	struct spool_writer_state writer_state;
	struct slot_file reader_slot;
	struct spool_reader_state reader_state;
	uint64_t synced_ms;
	uint64_t read_patience_ms;
	pthread_mutex_t folder_lock; /* held by the reader in each call, by the writer while the folder goes or comes back */
	bool away;              /* writer, under the lock: the file system failed, and no file is open */
	int fault;              /* writer: of the last failed write, not of a full disk */
	uint64_t fault_ms;      /* writer: since when writes fail; 0: they do not */
	uint64_t let_go_ms;
	uint64_t looked_ms;     /* writer: for the folder, while it is away */
	int look_error;
	uint64_t acked_seen;    /* writer: sum over the lanes when it last changed, since the fault */
	uint64_t acked_seen_ms;
	uint64_t saved_epoch;   /* on the disk, if it was lost there that a new one began */
	int damaged_dir_fd;
	uint64_t damaged_bytes; /* writer: of the damaged segments kept aside */
	unsigned int room_count; /* writer: files of room taken ahead */
	bool room_refused;       /* none is wanted, or the file system gives none */
	_Atomic uint64_t epoch;
	_Atomic uint64_t gaps_due; /* not appended yet */
	struct spool_gap_request requests[SPOOL_GAP_REQUESTS_MAX];
	alignas(64) _Atomic uint32_t request_tail; /* reader */
	alignas(64) _Atomic uint32_t request_head; /* writer */
	alignas(64) _Atomic uint64_t counters[SPOOL_COUNTER_COUNT];
	struct spool_lane lanes[LINK_LANE_COUNT];
};

static inline struct spool_segment *
spool_segment_at(const struct spool_lane *lane, unsigned int i)
{
	return &lane->segments[(lane->segment_head + i) % lane->segment_max];
}

static inline void
spool_count(struct spool *spool, enum spool_counter counter, uint64_t n)
{
	counter_add(&spool->counters[counter], n);
}

/* spool_mount.c */
/* Changes when the folder's file system is mounted again; 0 where it cannot be told. */
uint64_t spool_mount_id(int dir_fd);

/* spool.c */
/* Opens and locks the folder. @param lock_flags  of the lock's file */
int spool_folder_open(struct spool *spool, int lock_flags);
/* Closes every file. */
void spool_folder_close(struct spool *spool);
/* Gap records that are not on the disk are owed again. */
void spool_gaps_restore(struct spool *spool);

/* spool_reopen.c */
/* Notes that the disk did not take something. @param error  errno */
void spool_fault(struct spool *spool, int error);
/* Lets the folder go, or looks for it, when it is time. Returns whether it is away: then nothing can be written. */
bool spool_is_away(struct spool *spool);

/* spool_open.c */
int spool_check_key(struct spool *spool);
int spool_lane_open(struct spool *spool, struct spool_lane *lane, bool machine_same);
/* First sequences of the lane's segments, ascending; the caller frees. Returns how many, or -errno. */
int spool_lane_list(const struct spool_lane *lane, uint64_t **firsts);

/* spool_write.c */
int spool_lane_write(struct spool *spool, struct spool_lane *lane);
int spool_lane_reserve(struct spool *spool, struct spool_lane *lane);
/* Returns 0 or -errno, counted. */
int spool_save_writer_state(struct spool *spool, bool sync);

/* spool_damage.c */
int spool_damage_open(struct spool *spool);
/* Keeps a second name for the segment that begins at first, beside the lanes, until newer ones push it out. */
void spool_damage_keep(struct spool *spool, const struct spool_lane *lane, uint64_t first);
/* As before, for the segment that holds seq. */
void spool_damage_found(struct spool *spool, const struct spool_lane *lane, uint64_t seq);

/* spool_room.c; the writer's */
void spool_room_open(struct spool *spool);
/* Takes what is missing, as far as the disk has it. Cheap when nothing is. */
void spool_room_fill(struct spool *spool);
/* The blocks of a whole segment for the file. Returns 0 or -errno. */
int spool_room_claim(const struct spool *spool, int fd);
/* An empty segment of the name whose blocks are allocated. Returns its descriptor; -ENOENT where no room was taken, or -errno. */
int spool_room_take(struct spool *spool, const struct spool_lane *lane, const char *segment);
/* The segment ends at len: the rest of its room is the disk's again. */
void spool_room_give_back(const struct spool *spool, int fd, uint64_t len);

/* spool_evict.c */
bool spool_is_full(const struct spool *spool);
void spool_lane_drop_oldest(struct spool *spool, struct spool_lane *lane);
/* Keeps a lane that is about to begin a segment within its own share. */
void spool_lane_bound(struct spool *spool, struct spool_lane *lane);
bool spool_evict(struct spool *spool, enum link_lane for_lane);
void spool_remove_acked(struct spool *spool, struct spool_lane *lane);

/* spool_gap.c */
void spool_gap_owe(struct spool *spool, enum link_lane lane, uint64_t first, uint64_t last,
	enum spool_gap_reason reason);
void spool_gap_forget(struct spool *spool, uint64_t first_seq, uint64_t next_seq);
void spool_gap_flush(struct spool *spool);
void spool_gap_count_due(struct spool *spool);

#endif
