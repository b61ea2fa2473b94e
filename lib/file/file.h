/*
 * Files on the wire: what a protocol carries that has a beginning, an end and most often a name. A parser says begin, bytes,
 * gap and end of each; this module counts, makes the sums that somebody asked for, and fills the record of it. The bytes
 * themselves are not kept.
 *
 * Thread: the worker that owns the tracker. After file_tracker_create() nothing is allocated but from the slab.
 */
#ifndef MR_FILE_FILE_H
#define MR_FILE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/base/slab.h"
#include "lib/config/config.h"
#include "lib/record/record.h"

enum {
	FILE_HASH_LEN_MAX = 32,
	FILE_NAME_LEN_MAX = 1024, /* of longer names the end, where what they are like is said */
};

/** Sums of a file; a bit set has 1 << of them. */
enum file_hash { FILE_MD5, FILE_SHA1, FILE_SHA256, FILE_HASH_COUNT };

enum file_state { FILE_OPEN, FILE_CLOSED, FILE_TRUNCATED };

/** What somebody wants to know of the files of a protocol's direction; above the bits of enum file_hash. */
enum file_want { FILE_WANT_EVENT = 1 << FILE_HASH_COUNT, FILE_WANT_RULES = 2 << FILE_HASH_COUNT };

/** What rules are told of a file, each once. */
enum file_news { FILE_NEWS_NAME = 1, FILE_NEWS_END = 2 };

struct file_sums;

struct file {
	uint64_t size;       /* bytes so far, lost ones too */
	struct file_sums *sums; /* being made; NULL: none, or no longer */
	uint32_t tx_id;      /* of the protocol's transaction, from 0 on */
	uint16_t name_len;
	uint8_t state;       /* enum file_state */
	uint8_t told;        /* enum file_news */
	uint8_t hashes;      /* 1 << enum file_hash: sums that are wanted; behind the end: that are there */
	bool gaps;           /* bytes were lost in it */
	uint8_t digests[FILE_HASH_COUNT][FILE_HASH_LEN_MAX];
	uint8_t name[];
};

extern const uint8_t file_hash_lens[FILE_HASH_COUNT];
extern const char *const file_hash_names[FILE_HASH_COUNT];

struct file_config {
	bool hashes[FILE_HASH_COUNT]; /* made of every file that is told of */
	uint64_t hashed_max;          /* files of a worker that are summed at once */
};

extern const struct knob_table file_knobs;

enum file_counter {
	FILE_COUNT_FILES,
	FILE_COUNT_TRUNCATED,
	FILE_COUNT_SHED,
	FILE_COUNT_HASHES_SHED,
	FILE_COUNT_NAMES_CUT,
	FILE_COUNTER_COUNT,
};

extern const struct counter_desc file_counters[FILE_COUNTER_COUNT];

struct file_tracker;

/** @param slab  where files are kept; borrowed. @return 0 or -ENOMEM */
int file_tracker_create(struct file_tracker **out, const struct file_config *config, struct slab *slab);
void file_tracker_destroy(struct file_tracker *tracker);
struct counter_set file_tracker_counters(struct file_tracker *tracker);

/**
 * A file begins.
 * @param name   [name_len], may be empty; copied
 * @param wants  enum file_want, and sums
 * @return NULL: nobody wants it, or there is no memory, which is counted. All other functions accept NULL.
 */
struct file *file_begin(struct file_tracker *tracker, const uint8_t *name, uint32_t name_len, unsigned int wants);
/** The next bytes. */
void file_bytes(struct file_tracker *tracker, struct file *file, const uint8_t *data, size_t len);
/** Bytes of it were lost: it will end truncated, without sums. */
void file_gap(struct file_tracker *tracker, struct file *file, uint64_t missing);
/** Its end, once: sums are complete. @param whole  nothing is missing at the end */
void file_end(struct file_tracker *tracker, struct file *file, bool whole);
/** Gives the memory back, ended or not. */
void file_destroy(struct file_tracker *tracker, struct file *file);

/** What of the file rules were not told yet: enum file_news. From now on they were. */
static inline unsigned int
file_take_news(struct file *file)
{
	unsigned int now = file->state == FILE_OPEN ? FILE_NEWS_NAME : FILE_NEWS_NAME | FILE_NEWS_END, news = now & ~file->told;

	file->told |= (uint8_t)now;
	return news;
}

/** EVE fileinfo. */
struct file_record {
	struct record_head head;
	struct record_ref filename;
	struct record_ref hashes[FILE_HASH_COUNT];
	const char *state;
	uint64_t size;
	uint32_t tx_id;
	bool gaps, stored;
};

extern const struct record_table fileinfo_table;

/** Bytes of a record of any file. */
enum { FILE_RECORD_LEN_MAX = sizeof(struct file_record) + FILE_NAME_LEN_MAX + FILE_HASH_COUNT * FILE_HASH_LEN_MAX + 64 };

/** Fills a builder with room for FILE_RECORD_LEN_MAX bytes. */
void file_record_fill(const struct file *file, struct record_builder *builder);

#endif
