/*
 * One segment file: a header, then entries of consecutive sequences.
 *
 *   header  magic "MRSPOOL1", version, lane, epoch, first, hole_first, salt, key id, check
 *   entry   len, head_check, body_check, len bytes (one line without newline; sealed: encrypted, see seal.h)
 *
 * head_check covers salt, sequence and length, so that a length is trusted before its bytes
 * are, an entry never passes for another sequence or file, and a torn tail (a whole head whose
 * bytes end early, or a piece of a head) is told from damage. Behind damage the walk goes on at
 * the next place where a head and its body check for a later sequence; one wrong bit of the header
 * is mended. Integers are little endian: a spool stays on its machine. Sequences from hole_first up
 * to first were never written here and have been reported as a gap by the writer; where it is SEGMENT_HOLE_UNKNOWN, the segment
 * before could not be read, and what is missing between its end and first has not been reported.
 */
#ifndef MR_SPOOL_SEGMENT_H
#define MR_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/spool/seal.h"

enum {
	SEGMENT_HEADER_LEN = 64,
	SEGMENT_ENTRY_LEN = 12,             /* before the line's bytes */
	SEGMENT_CHUNK_LEN = 1024 * 1024,    /* read at once; holds the longest entry */
	SEGMENT_NAME_LEN = 16 + 4,          /* "%016x.seg" */
	SEGMENT_VERSION = 1,
	SEGMENT_VERSION_SEALED = 2,
	SEGMENT_HOLE_UNKNOWN = 0,
};

struct segment_header {
	char magic[8];
	uint32_t version;
	uint32_t lane;
	uint64_t epoch; /* at creation; for who looks at the file alone */
	uint64_t first;
	uint64_t hole_first;
	uint64_t salt; /* random: stale blocks of another segment do not check */
	uint64_t salt_more; /* sealed: as random; else 0 */
	uint32_t key_id;    /* sealed: of the key file; else 0 */
	uint32_t check; /* CRC32C of all before */
};

struct segment_entry {
	uint32_t len;
	uint32_t head_check;
	uint32_t body_check;
};

void segment_name(char name[SEGMENT_NAME_LEN + 1], uint64_t first);
/** @return whether the name is a segment's; first is set. */
bool segment_name_parse(const char *name, uint64_t *first);

/** Fills in what does not come from the caller: all but version, epoch, hole_first, salts and key_id. */
void segment_header_write(struct segment_header *header, unsigned int lane, uint64_t first);
bool segment_header_valid(const struct segment_header *header, unsigned int lane, uint64_t first);

/* Four CRC32C streams over every fourth word, then one over their values and the rest: as
 * strong against a burst of errors as one stream, without waiting for each word's latency. */
static inline uint32_t
segment_body_check(uint32_t seed, const char *at, size_t len)
{
	uint64_t stream[4] = { seed, ~seed, 0x5bd1e995u, 0x9e3779b9u };

	for (; len >= 32; len -= 32, at += 32) {
		uint64_t word[4];

		memcpy(word, at, sizeof(word));
		for (unsigned int i = 0; i < 4; i++)
			stream[i] = _mm_crc32_u64(stream[i], word[i]);
	}
	return crc32c(crc32c(seed, stream, sizeof(stream)), at, len);
}

static const uint32_t SEGMENT_HEAD_SEED = 0x6d696c6cu;

static inline uint32_t
segment_head_check(uint64_t salt, uint64_t seq, uint32_t len)
{
	return hash_u64(hash_u64(hash_u64(SEGMENT_HEAD_SEED, salt), seq), len);
}

/** Writes one entry. @param to  [SEGMENT_ENTRY_LEN + len] */
static inline void
segment_entry_write(char *to, uint64_t salt, uint64_t seq, const void *line, uint32_t len)
{
	struct segment_entry entry = { .len = len, .head_check = segment_head_check(salt, seq, len) };

	memcpy(to + SEGMENT_ENTRY_LEN, line, len);
	entry.body_check = segment_body_check(entry.head_check, to + SEGMENT_ENTRY_LEN, len);
	memcpy(to, &entry, SEGMENT_ENTRY_LEN);
}

/** As segment_entry_write(), encrypted. @param to  [SEGMENT_ENTRY_LEN + len + SEAL_TAG_LEN]. @return whether it was */
bool segment_entry_seal(char *to, uint64_t salt, uint64_t seq, const void *line, uint32_t len, struct seal *seal);

/** Walks one segment. Owned by one thread. */
struct segment_reader {
	int fd; /* -1: none open */
	struct segment_header header;
	uint64_t seq;          /* of the next entry */
	uint64_t offset;       /* of the next entry */
	char *chunk;           /* [SEGMENT_CHUNK_LEN] */
	uint64_t chunk_offset; /* where in the file the chunk begins */
	size_t chunk_len;
	uint32_t entry_len;    /* stored bytes of the entry just read */
	struct seal *seal;     /* NULL: sealed entries are as damaged */
	char *plain;           /* [SPOOL_RECORD_LEN_MAX], with seal */
};

enum segment_status {
	SEGMENT_ENTRY,    /* line and len are set; the reader stands behind it */
	SEGMENT_END,      /* the file ends here, between entries */
	SEGMENT_TORN,     /* the file ends inside this entry, which is right so far */
	SEGMENT_BAD_BODY, /* this entry is damaged; the reader stands behind it */
	SEGMENT_BAD,      /* damaged from here on; segment_reader_resync() may find where the next entry begins */
};

/** @param key  NULL: none. @return 0, -ENOMEM or -EIO (see seal_create()). */
int segment_reader_create(struct segment_reader *reader, const struct seal_key *key);
void segment_reader_destroy(struct segment_reader *reader);
/** Opens the segment that begins at first. @return 0, -EBADMSG (its header is damaged or short) or -errno. */
int segment_reader_open(struct segment_reader *reader, int dir_fd, unsigned int lane, uint64_t first);
void segment_reader_close(struct segment_reader *reader);
/** The next entry. @param line  out: lent until the next call. @return enum segment_status or -errno. */
int segment_reader_next(struct segment_reader *reader, const char **line, uint32_t *len);
/**
 * Looks behind damage, or behind a place that cannot be read, for the next whole entry of a later sequence.
 *
 * @return 1 (the reader stands before it), 0 (none found; the reader has not moved), or -errno
 */
int segment_reader_resync(struct segment_reader *reader);
/** Steps back before the entry just read. */
void segment_reader_unread(struct segment_reader *reader);
/** Reads and checks a header. @return 0, -EBADMSG (damaged or short) or -errno */
int segment_header_read(struct segment_header *header, int dir_fd, unsigned int lane, uint64_t first);

#endif
