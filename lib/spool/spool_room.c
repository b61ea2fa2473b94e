/*
 * Room on the disk that is taken ahead: files whose blocks are allocated and that hold nothing. A segment begins in one of them, so
 * a disk that others fill stops no lane while what is acknowledged makes room again. Each lane may have one segment open, and
 * there is a file for each that has none yet, and some for the segments behind those.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/spool/spool_private.h"

enum {
	ROOM_MAX = LINK_LANE_COUNT + SPOOL_ROOM_SPARE,
	NAME_LEN_MAX = 16,
	BLOCK_LEN = 512,    /* of st_blocks */
	SLACK = 256 * 1024, /* what a file system may take for a file beside its bytes */
};

static void
room_name(char name[NAME_LEN_MAX], unsigned int i)
{
	snprintf(name, NAME_LEN_MAX, "room.%u", i);
}

int
spool_room_claim(const struct spool *spool, int fd)
{
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)spool->config.segment_size) == 0 ? 0 : -errno;
}

/** Whether an earlier start has left it, as large as it is wanted now. */
static bool
is_room(const struct spool *spool, const char *name)
{
	struct stat st;

	return fstatat(spool->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 &&
		(uint64_t)st.st_blocks * BLOCK_LEN >= spool->config.segment_size &&
		(uint64_t)st.st_blocks * BLOCK_LEN <= spool->config.segment_size + SLACK;
}

/** The segment that an earlier start was writing is either written on, with its room, or has ended. */
static void
settle_last(const struct spool *spool, const struct spool_lane *lane)
{
	char name[SEGMENT_NAME_LEN + 1];
	struct stat st;

	if (lane->fd >= 0 && !spool->room_refused)
		(void)spool_room_claim(spool, lane->fd);
	if (lane->fd >= 0 || lane->segment_count == 0)
		return;
	segment_name(name, spool_segment_at(lane, lane->segment_count - 1)->first);
	int fd = openat(lane->dir_fd, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_blocks * BLOCK_LEN > (uint64_t)st.st_size + SLACK)
		spool_room_give_back(spool, fd, (uint64_t)st.st_size);
	close(fd);
}

void
spool_room_open(struct spool *spool)
{
	char name[NAME_LEN_MAX];

	spool->room_refused = !spool->config.keep_room;
	spool->room_count = 0;
	for (unsigned int i = 0; i < ROOM_MAX; i++) {
		room_name(name, i);
		if (!spool->room_refused && spool->room_count == i && is_room(spool, name))
			spool->room_count++;
		else
			unlinkat(spool->dir_fd, name, 0);
	}
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		settle_last(spool, &spool->lanes[i]);
	spool_room_fill(spool);
}

/* fallocate() that finds too little takes what there is, and until that is given back the disk is full for all who write there. */
static bool
disk_has_one(const struct spool *spool)
{
	struct statvfs disk;

	return fstatvfs(spool->dir_fd, &disk) != 0 || (uint64_t)disk.f_bavail * disk.f_frsize >= spool->config.segment_size;
}

static int
room_make(const struct spool *spool, unsigned int i)
{
	char name[NAME_LEN_MAX];

	room_name(name, i);
	int fd = openat(spool->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	int rc = spool_room_claim(spool, fd);

	close(fd);
	if (rc < 0)
		unlinkat(spool->dir_fd, name, 0);
	return rc;
}

void
spool_room_fill(struct spool *spool)
{
	unsigned int wanted = ROOM_MAX;
	int rc = 0;

	if (spool->room_refused)
		return;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		wanted -= spool->lanes[i].fd >= 0;
	while (rc == 0 && spool->room_count < wanted && disk_has_one(spool)) {
		rc = room_make(spool, spool->room_count);
		spool->room_count += rc == 0;
	}
	if (rc != -EOPNOTSUPP && rc != -ENOSYS)
		return;
	log_notice("spool", "%s: this file system takes no room ahead (spool.keep-room)", spool->path);
	spool->room_refused = true;
}

int
spool_room_take(struct spool *spool, const struct spool_lane *lane, const char *segment)
{
	char name[NAME_LEN_MAX];

	if (spool->room_count == 0)
		return -ENOENT;
	room_name(name, --spool->room_count);
	int fd = openat(spool->dir_fd, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (renameat2(spool->dir_fd, name, lane->dir_fd, segment, RENAME_NOREPLACE) == 0)
		return fd;
	int error = errno;

	close(fd);
	return -error;
}

void
spool_room_give_back(const struct spool *spool, int fd, uint64_t len)
{
	if (ftruncate(fd, (off_t)len) != 0)
		log_warning("spool", "%s: cannot give back what a segment did not take: %s", spool->path, strerror(errno));
}
