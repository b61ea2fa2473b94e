/*
 * Segments in which something was damaged are kept aside for who wants to know why: a second name in the folder
 * `damaged`, which stays when the segment itself goes. They are few, and count against the bound on the size.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/spool/spool_private.h"

enum { DAMAGED_NAME_LEN_MAX = LINK_LANE_NAME_LEN_MAX + 1 + SEGMENT_NAME_LEN };

struct damaged {
	char oldest[DAMAGED_NAME_LEN_MAX + 1];
	struct timespec oldest_time;
	unsigned int count;
	uint64_t bytes;
};

static void
damaged_add(struct damaged *damaged, const char *name, const struct stat *st)
{
	bool older = st->st_ctim.tv_sec < damaged->oldest_time.tv_sec ||
		(st->st_ctim.tv_sec == damaged->oldest_time.tv_sec && st->st_ctim.tv_nsec < damaged->oldest_time.tv_nsec);

	damaged->bytes += (uint64_t)st->st_size;
	if (damaged->count++ > 0 && !older)
		return;
	memcpy(damaged->oldest, name, strlen(name) + 1);
	damaged->oldest_time = st->st_ctim;
}

static void
damaged_list(const struct spool *spool, struct damaged *damaged)
{
	int fd = openat(spool->damaged_dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	*damaged = (struct damaged){ .count = 0 };
	if (dir == NULL && fd >= 0)
		close(fd);
	if (dir == NULL)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		struct stat st;

		if (entry->d_name[0] != '.' && strlen(entry->d_name) <= DAMAGED_NAME_LEN_MAX &&
			fstatat(spool->damaged_dir_fd, entry->d_name, &st, 0) == 0)
			damaged_add(damaged, entry->d_name, &st);
	}
	closedir(dir);
}

int
spool_damage_open(struct spool *spool)
{
	struct damaged damaged;

	if (mkdirat(spool->dir_fd, "damaged", 0700) != 0 && errno != EEXIST)
		return -errno;
	spool->damaged_dir_fd = openat(spool->dir_fd, "damaged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->damaged_dir_fd < 0)
		return -errno;
	damaged_list(spool, &damaged);
	spool->damaged_bytes = damaged.bytes;
	return 0;
}

void
spool_damage_keep(struct spool *spool, const struct spool_lane *lane, uint64_t first)
{
	char name[SEGMENT_NAME_LEN + 1];
	char kept[DAMAGED_NAME_LEN_MAX + 1];
	struct damaged damaged;

	segment_name(name, first);
	snprintf(kept, sizeof(kept), "%s-%s", link_lane_name(lane->id), name);
	if (linkat(lane->dir_fd, name, spool->damaged_dir_fd, kept, 0) != 0) {
		if (errno != EEXIST)
			log_warning("spool", "%s/%s/%s is damaged and cannot be kept: %s", spool->path, link_lane_name(lane->id),
				name, strerror(errno));
		return;
	}
	spool_count(spool, SPOOL_DAMAGED_SEGMENTS, 1);
	log_error("spool", "%s/%s/%s is damaged: kept as damaged/%s", spool->path, link_lane_name(lane->id), name, kept);
	damaged_list(spool, &damaged);
	while (damaged.count > SPOOL_DAMAGED_MAX && unlinkat(spool->damaged_dir_fd, damaged.oldest, 0) == 0)
		damaged_list(spool, &damaged);
	spool->damaged_bytes = damaged.bytes;
}

void
spool_damage_found(struct spool *spool, const struct spool_lane *lane, uint64_t seq)
{
	uint64_t first = 0;

	for (unsigned int i = 0; i < lane->segment_count; i++)
		if (spool_segment_at(lane, i)->first <= seq)
			first = spool_segment_at(lane, i)->first;
	if (first != 0)
		spool_damage_keep(spool, lane, first);
}
