#include "lib/spool/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/spool/spool.h"

static_assert(sizeof(struct segment_header) == SEGMENT_HEADER_LEN, "written as it is");
static_assert(sizeof(struct segment_entry) == SEGMENT_ENTRY_LEN, "written as it is");
static_assert(SEGMENT_CHUNK_LEN >= SPOOL_RECORD_LEN_MAX + SEAL_TAG_LEN + SEGMENT_ENTRY_LEN, "a chunk holds any entry");

enum {
	RESYNC_RECORDS_MAX = 1 << 16, /* lost in one place, at most, for the rest to be found */
	RESYNC_TRIES_MAX = 1 << 26,   /* some 0.2 s */
	RESYNC_UNREADABLE_MAX = 16,   /* pages stepped over: each may cost a failing disk seconds */
	PAGE_LEN = 4096,
	STORED_LEN_MAX = SPOOL_RECORD_LEN_MAX + SEAL_TAG_LEN,
};

static const char segment_magic[8] = "MRSPOOL1";

void
segment_name(char name[SEGMENT_NAME_LEN + 1], uint64_t first)
{
	snprintf(name, SEGMENT_NAME_LEN + 1, "%016" PRIx64 ".seg", first);
}

bool
segment_name_parse(const char *name, uint64_t *first)
{
	char again[SEGMENT_NAME_LEN + 1];
	uint64_t value = strtoull(name, NULL, 16);

	segment_name(again, value);
	*first = value;
	return value > 0 && strcmp(name, again) == 0;
}

static uint32_t
header_check(const struct segment_header *header)
{
	return crc32c(0, header, offsetof(struct segment_header, check));
}

void
segment_header_write(struct segment_header *header, unsigned int lane, uint64_t first)
{
	memcpy(header->magic, segment_magic, sizeof(header->magic));
	if (header->version == 0)
		header->version = SEGMENT_VERSION;
	header->lane = lane;
	header->first = first;
	header->check = header_check(header);
}

bool
segment_header_valid(const struct segment_header *header, unsigned int lane, uint64_t first)
{
	return memcmp(header->magic, segment_magic, sizeof(header->magic)) == 0 &&
		(header->version == SEGMENT_VERSION || header->version == SEGMENT_VERSION_SEALED) && header->check == header_check(header) &&
		header->lane == lane && header->first == first && header->hole_first <= first;
}

/* CRC32C tells any four wrong bits of so few, so that a header which checks with one bit turned is that one bit off. */
static bool
header_mend(struct segment_header *header, unsigned int lane, uint64_t first)
{
	uint8_t *bytes = (uint8_t *)header;

	for (unsigned int bit = 0; bit < 8 * SEGMENT_HEADER_LEN; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (segment_header_valid(header, lane, first))
			return true;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return false;
}

bool
segment_entry_seal(char *to, uint64_t salt, uint64_t seq, const void *line, uint32_t len, struct seal *seal)
{
	struct segment_entry entry = { .len = len + SEAL_TAG_LEN };

	if (!seal_write(seal, seq, to + SEGMENT_ENTRY_LEN, line, len))
		return false;
	entry.head_check = segment_head_check(salt, seq, entry.len);
	entry.body_check = segment_body_check(entry.head_check, to + SEGMENT_ENTRY_LEN, entry.len);
	memcpy(to, &entry, SEGMENT_ENTRY_LEN);
	return true;
}

int
segment_reader_create(struct segment_reader *reader, const struct seal_key *key)
{
	*reader = (struct segment_reader){ .fd = -1 };
	reader->chunk = malloc(SEGMENT_CHUNK_LEN);
	if (reader->chunk == NULL || key == NULL)
		return reader->chunk == NULL ? -ENOMEM : 0;
	reader->plain = malloc(SPOOL_RECORD_LEN_MAX);
	return reader->plain == NULL ? -ENOMEM : seal_create(&reader->seal, key);
}

void
segment_reader_destroy(struct segment_reader *reader)
{
	segment_reader_close(reader);
	seal_destroy(reader->seal);
	free(reader->plain);
	free(reader->chunk);
	reader->seal = NULL;
	reader->chunk = reader->plain = NULL;
}

void
segment_reader_close(struct segment_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
}

/* Returns an open file, or as segment_header_read(). */
static int
header_open(struct segment_header *header, int dir_fd, unsigned int lane, uint64_t first)
{
	char name[SEGMENT_NAME_LEN + 1];

	segment_name(name, first);
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t got = pread(fd, header, SEGMENT_HEADER_LEN, 0);
	int rc = got < 0 ? -errno : got != SEGMENT_HEADER_LEN ? -EBADMSG : fd;

	if (rc >= 0 && !segment_header_valid(header, lane, first) && !header_mend(header, lane, first))
		rc = -EBADMSG;
	if (rc < 0)
		close(fd);
	return rc;
}

int
segment_header_read(struct segment_header *header, int dir_fd, unsigned int lane, uint64_t first)
{
	int fd = header_open(header, dir_fd, lane, first);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

int
segment_reader_open(struct segment_reader *reader, int dir_fd, unsigned int lane, uint64_t first)
{
	segment_reader_close(reader);
	int rc = header_open(&reader->header, dir_fd, lane, first);

	if (rc < 0)
		return rc;
	reader->fd = rc;
	rc = 0;
	if (reader->header.version == SEGMENT_VERSION_SEALED && reader->seal != NULL && !seal_begin(reader->seal, &reader->header))
		rc = -EIO;
	if (rc < 0) {
		segment_reader_close(reader);
		return rc;
	}
	reader->seq = first;
	reader->offset = SEGMENT_HEADER_LEN;
	reader->chunk_len = 0;
	return 0;
}

/* Bytes of the chunk from the reader's offset on, at least need unless the file ends before. Negative: -errno. */
static ssize_t
chunk_fill(struct segment_reader *reader, size_t need)
{
	uint64_t chunk_end = reader->chunk_offset + reader->chunk_len;
	bool inside = reader->chunk_len > 0 && reader->offset >= reader->chunk_offset && reader->offset <= chunk_end;

	if (inside && chunk_end - reader->offset >= need)
		return (ssize_t)(chunk_end - reader->offset);
	ssize_t got = pread(reader->fd, reader->chunk, SEGMENT_CHUNK_LEN, (off_t)reader->offset);

	if (got < 0)
		return -errno;
	reader->chunk_offset = reader->offset;
	reader->chunk_len = (size_t)got;
	return got;
}

static int
entry_read(struct segment_reader *reader, const char **line, uint32_t *len)
{
	struct segment_entry entry;
	ssize_t have = chunk_fill(reader, SEGMENT_ENTRY_LEN);

	if (have < 0)
		return (int)have;
	if (have == 0)
		return SEGMENT_END;
	if (have < SEGMENT_ENTRY_LEN)
		return SEGMENT_TORN;
	memcpy(&entry, reader->chunk + (reader->offset - reader->chunk_offset), sizeof(entry));
	if (entry.head_check != segment_head_check(reader->header.salt, reader->seq, entry.len) ||
		entry.len == 0 || entry.len > STORED_LEN_MAX)
		return SEGMENT_BAD;
	have = chunk_fill(reader, SEGMENT_ENTRY_LEN + entry.len);
	if (have < 0)
		return (int)have;
	if ((size_t)have < SEGMENT_ENTRY_LEN + entry.len)
		return SEGMENT_TORN;
	*line = reader->chunk + (reader->offset - reader->chunk_offset) + SEGMENT_ENTRY_LEN;
	*len = entry.len;
	return segment_body_check(entry.head_check, *line, entry.len) == entry.body_check ? SEGMENT_ENTRY :
		SEGMENT_BAD_BODY;
}

static int
entry_unseal(struct segment_reader *reader, const char **line, uint32_t *len)
{
	if (reader->seal == NULL || *len <= SEAL_TAG_LEN)
		return SEGMENT_BAD_BODY;
	*len -= SEAL_TAG_LEN;
	if (!seal_read(reader->seal, reader->seq, reader->plain, *line, *len))
		return SEGMENT_BAD_BODY;
	*line = reader->plain;
	return SEGMENT_ENTRY;
}

int
segment_reader_next(struct segment_reader *reader, const char **line, uint32_t *len)
{
	*len = 0;
	int status = entry_read(reader, line, len);

	if (status == SEGMENT_BAD || status == SEGMENT_BAD_BODY) {
		/* The chunk may be older than the file: look once more before calling it damage. */
		reader->chunk_len = 0;
		status = entry_read(reader, line, len);
	}
	if (status != SEGMENT_ENTRY && status != SEGMENT_BAD_BODY)
		return status;
	reader->entry_len = *len;
	if (status == SEGMENT_ENTRY && reader->header.version == SEGMENT_VERSION_SEALED)
		status = entry_unseal(reader, line, len);
	reader->offset += SEGMENT_ENTRY_LEN + reader->entry_len;
	reader->seq++;
	return status;
}

/* Whether the bytes at the reader's offset are a whole entry of a sequence from seq on; then the reader has it as its next. */
static bool
entry_matches(struct segment_reader *reader, uint64_t seq, uint64_t seq_count, uint64_t *tries)
{
	uint32_t salted = hash_u64(SEGMENT_HEAD_SEED, reader->header.salt);
	struct segment_entry entry;
	const char *line;

	memcpy(&entry, reader->chunk + (reader->offset - reader->chunk_offset), sizeof(entry));
	/* In a text no four bytes are so small a number: hardly any place but a head comes further. */
	if (entry.len == 0 || entry.len > STORED_LEN_MAX)
		return false;
	for (uint64_t i = 0; i < seq_count && *tries > 0; i++, --*tries) {
		if (hash_u64(hash_u64(salted, seq + i), entry.len) != entry.head_check)
			continue;
		reader->seq = seq + i;
		if (entry_read(reader, &line, &entry.len) == SEGMENT_ENTRY)
			return true;
	}
	return false;
}

int
segment_reader_resync(struct segment_reader *reader)
{
	const uint64_t start = reader->offset;
	const uint64_t seq = reader->seq;
	unsigned int unreadable = 0;
	uint64_t tries = RESYNC_TRIES_MAX;
	ssize_t have = 0;

	for (reader->offset = start + 1; tries > 0; reader->offset++) {
		have = chunk_fill(reader, SEGMENT_ENTRY_LEN);
		if (have == -EIO && unreadable++ < RESYNC_UNREADABLE_MAX) {
			reader->chunk_len = 0;
			reader->offset |= PAGE_LEN - 1;
			continue;
		}
		if (have < SEGMENT_ENTRY_LEN)
			break;
		uint64_t lost_max = (reader->offset - start) / (SEGMENT_ENTRY_LEN + 1);

		if (lost_max > RESYNC_RECORDS_MAX)
			lost_max = RESYNC_RECORDS_MAX;
		if (entry_matches(reader, seq + 1, lost_max, &tries))
			return 1;
	}
	reader->offset = start;
	reader->seq = seq;
	return have < 0 ? (int)have : 0;
}

void
segment_reader_unread(struct segment_reader *reader)
{
	reader->offset -= SEGMENT_ENTRY_LEN + reader->entry_len;
	reader->seq--;
}
