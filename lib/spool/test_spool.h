/* What the spool's tests share: a folder of their own and records that can be told from their sequence. */
#ifndef MR_SPOOL_TEST_SPOOL_H
#define MR_SPOOL_TEST_SPOOL_H

#include "test/test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "lib/spool/spool_private.h"
#include "test/folder.h"

enum { IMAGE_MAX = 64 * 1024 };

static char dir[TEST_FOLDER_LEN];
static struct spool_config config;
static struct buf lines;

static inline int
setup(void **state)
{
	/* Each of some thousand opens waits for the disk; in memory they do not. */
	assert_int_equal(test_folder_make(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", "test_spool"), 0);
	config = (struct spool_config){ .path = dir, .size = 16 * 4096, .segment_size = 4096, .fsync = SPOOL_FSYNC_NEVER };
	return buf_create(&lines, SPOOL_RECORD_LEN_MAX + 1);
}

static inline int
teardown(void **state)
{
	buf_destroy(&lines);
	return test_folder_remove(dir);
}

static inline struct spool *
open_spool(void)
{
	struct spool *spool = NULL;

	assert_int_equal(spool_create(&spool, &config), 0);
	return spool;
}

/* The line whose sequence and lane can be told from its text alone. */
static inline size_t
make_line(char *text, size_t cap, enum link_lane lane, uint64_t seq)
{
	return (size_t)snprintf(text, cap, "{\"lane\":\"%s\",\"seq\":%" PRIu64 ",\"pad\":\"%.*s\"}", link_lane_name(lane), seq,
		(int)(seq * 7 % 40), "0123456789012345678901234567890123456789");
}

static inline uint64_t
append_one(struct spool *spool, enum link_lane lane)
{
	char text[128];
	uint64_t seq = spool->lanes[lane].next;
	size_t len = make_line(text, sizeof(text), lane, seq);

	return spool_append(spool, lane, text, len);
}

static inline uint64_t
counter_of(struct spool *spool, enum spool_counter counter)
{
	return counter_get(&spool->counters[counter]);
}

/* Every line of the batch must be the one written under its sequence. */
static inline void
check_batch(enum link_lane lane, const struct spool_batch *batch)
{
	char text[128];
	size_t at = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		size_t len = make_line(text, sizeof(text), lane, batch->first + i);

		assert_true(lines.len - at > len);
		assert_memory_equal(lines.data + at, text, len);
		assert_int_equal(lines.data[at + len], '\n');
		at += len + 1;
	}
	assert_int_equal(at, lines.len);
}

/* Reads the lane from its start to its end. Returns the records seen; those missing are counted. */
static inline uint64_t
read_all(struct spool *spool, enum link_lane lane, uint64_t *missing)
{
	struct spool_batch batch;
	uint64_t from = spool_get_acked(spool, lane) + 1;
	uint64_t seen = 0;

	*missing = 0;
	for (;;) {
		int rc = spool_peek_batch(spool, &(struct spool_want){ lane, from, 3, 400 }, &lines, &batch);

		if (rc == -EAGAIN) {
			spool_flush(spool);
			continue;
		}
		assert_true(rc >= 0);
		assert_true(batch.first >= from);
		*missing += batch.first - from;
		if (rc == 0)
			return seen;
		if (lane != LINK_LANE_STATS)
			check_batch(lane, &batch);
		seen += batch.count;
		from = batch.first + batch.count;
	}
}

/** A file of the spool, to be spoiled and written back. */
struct image {
	char path[128];
	uint8_t data[IMAGE_MAX];
	size_t len;
};

static inline void
image_load(struct image *image, const char *name)
{
	snprintf(image->path, sizeof(image->path), "%s/%s", dir, name);
	int fd = open(image->path, O_RDONLY);

	assert_true(fd >= 0);
	ssize_t len = read(fd, image->data, sizeof(image->data));

	assert_true(len > 0);
	image->len = (size_t)len;
	close(fd);
}

static inline void
image_store(const struct image *image, size_t len)
{
	int fd = open(image->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, image->data, len), len);
	close(fd);
}

#endif
