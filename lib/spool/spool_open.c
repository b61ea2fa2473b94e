/* What a start finds in a lane's folder: where numbering goes on, and what the segments hold. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/spool/spool_private.h"

enum {
	/* Segments beyond those the size allows: short ones that restarts and full disks leave. */
	SEGMENTS_EXTRA = 64,
	LIST_GROW = 64,
};

/* How a lane's last segment ends. */
struct tail {
	uint64_t next;   /* after the last entry that can be told */
	uint64_t offset; /* of the file, behind that entry */
	bool damaged;    /* entries may follow that cannot be told */
	bool unread;     /* the disk did not give them: they may be whole */
	bool usable;     /* whole up to offset: can be appended to */
	bool sealed;     /* but never to this one: its sequences would be encrypted twice under one key */
};

static int
compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int
spool_lane_list(const struct spool_lane *lane, uint64_t **firsts)
{
	int fd = openat(lane->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	uint64_t *list = NULL;
	int count = 0;
	int rc = 0;

	if (dir == NULL) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0) {
		uint64_t first;

		errno = 0;
		struct dirent *entry = readdir(dir);

		if (entry == NULL) {
			rc = -errno;
			break;
		}

		if (!segment_name_parse(entry->d_name, &first))
			continue;
		if (count % LIST_GROW == 0) {
			uint64_t *more = realloc(list, ((size_t)count + LIST_GROW) * sizeof(*list));

			if (more == NULL) {
				rc = -ENOMEM;
				break;
			}
			list = more;
		}
		list[count++] = first;
	}
	closedir(dir);
	if (rc < 0) {
		free(list);
		return rc;
	}
	if (count > 0)
		qsort(list, (size_t)count, sizeof(*list), compare_u64);
	*firsts = list;
	return count;
}

static void
tail_walk(struct segment_reader *reader, struct tail *tail)
{
	const char *line;
	uint32_t len;
	int status;

	do {
		status = segment_reader_next(reader, &line, &len);
		if (status == SEGMENT_BAD || status < 0) {
			int rc = segment_reader_resync(reader);

			status = rc == 1 ? SEGMENT_BAD_BODY : rc < 0 ? rc : status;
		}
	} while (status == SEGMENT_ENTRY || status == SEGMENT_BAD_BODY);
	*tail = (struct tail){
		.next = reader->seq, .offset = reader->offset,
		.damaged = status == SEGMENT_BAD, .unread = status < 0,
		.usable = status == SEGMENT_END || status == SEGMENT_TORN,
	};
}

/* A file without a whole header never held an entry; one with a wrong header may have. */
static int
tail_of_segment(struct spool *spool, struct spool_lane *lane, uint64_t first, struct tail *tail)
{
	char name[SEGMENT_NAME_LEN + 1];
	struct stat st;
	int rc = segment_reader_open(&lane->reader, lane->dir_fd, lane->id, first);

	segment_name(name, first);
	if (rc == -EBADMSG) {
		if (fstatat(lane->dir_fd, name, &st, 0) != 0)
			return -errno;
		*tail = (struct tail){ .next = first, .damaged = st.st_size >= SEGMENT_HEADER_LEN };
		return 0;
	}
	if (rc == -EIO) {
		*tail = (struct tail){ .next = first, .unread = true };
		return 0;
	}
	if (rc < 0)
		return rc;
	tail_walk(&lane->reader, tail);
	lane->salt = lane->reader.header.salt;
	tail->sealed = spool->sealed || lane->reader.header.version == SEGMENT_VERSION_SEALED;
	segment_reader_close(&lane->reader);
	return 0;
}

static int
segments_load(struct spool *spool, struct spool_lane *lane, const uint64_t *firsts, unsigned int count)
{
	uint64_t fitting = spool->config.size / spool->config.segment_size;

	lane->segment_max = (unsigned int)(fitting > count ? fitting : count) + SEGMENTS_EXTRA;
	lane->segments = calloc(lane->segment_max, sizeof(*lane->segments));
	if (lane->segments == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++) {
		char name[SEGMENT_NAME_LEN + 1];
		struct stat st;

		segment_name(name, firsts[i]);
		if (fstatat(lane->dir_fd, name, &st, 0) != 0)
			return -errno;
		lane->segments[i] = (struct spool_segment){
			.first = firsts[i], .next = i + 1 < count ? firsts[i + 1] : firsts[i],
			.bytes = (uint64_t)st.st_size,
		};
		spool->total_bytes += (uint64_t)st.st_size;
		counter_add(&lane->bytes, (uint64_t)st.st_size);
	}
	lane->segment_count = count;
	return 0;
}

/* The last segment is written on, without the torn piece at its end. */
static int
tail_reuse(struct spool *spool, struct spool_lane *lane, const struct tail *tail)
{
	struct spool_segment *last = spool_segment_at(lane, lane->segment_count - 1);
	char name[SEGMENT_NAME_LEN + 1];
	uint64_t torn = last->bytes - tail->offset;

	segment_name(name, last->first);
	lane->fd = openat(lane->dir_fd, name, O_WRONLY | O_CLOEXEC);
	if (lane->fd < 0)
		return -errno;
	if (torn > 0) {
		if (ftruncate(lane->fd, (off_t)tail->offset) != 0)
			return -errno;
		log_notice("spool", "%s/%s: cut %" PRIu64 " torn bytes", spool->path, link_lane_name(lane->id), torn);
		spool_count(spool, SPOOL_TORN_BYTES, torn);
		spool->total_bytes -= torn;
		last->bytes -= torn;
		counter_set(&lane->bytes, counter_get(&lane->bytes) - torn);
	}
	lane->file_len = tail->offset;
	return 0;
}

/* Nothing in it can be read, and its name may be needed. */
static void
tail_remove(struct spool *spool, struct spool_lane *lane)
{
	struct spool_segment *last = spool_segment_at(lane, lane->segment_count - 1);
	char name[SEGMENT_NAME_LEN + 1];

	segment_name(name, last->first);
	unlinkat(lane->dir_fd, name, 0);
	spool->total_bytes -= last->bytes;
	counter_set(&lane->bytes, counter_get(&lane->bytes) - last->bytes);
	lane->segment_count--;
}

static void
tail_left(struct spool *spool, const struct spool_lane *lane)
{
	spool_count(spool, SPOOL_UNREAD_SEGMENTS, 1);
	log_error("spool", "%s/%s/%016" PRIx64 ".seg cannot be read: it stays, and is tried again", spool->path, link_lane_name(lane->id),
		spool_segment_at(lane, lane->segment_count - 1)->first);
}

/*
 * Numbering goes on behind the tail when every number ever used can be told from the files: the machine ran on
 * since they were written, and they are not damaged. Else it goes on where no number was ever used. What the disk did
 * not give is not lost yet: the numbers behind it are reported by the reader, when it knows where they begin.
 */
static void
lane_place(struct spool *spool, struct spool_lane *lane, const struct tail *tail, bool machine_same)
{
	uint64_t reserved = spool->writer_state.lanes[lane->id].reserved;
	uint64_t floor = spool->writer_state.lanes[lane->id].floor;
	uint64_t acked = spool->reader_state.lanes[lane->id].acked;
	uint64_t next = tail->next;
	/* The file system came back under a spool that ran on: it knows its own numbers. */
	const bool back = lane->next > 0;

	if ((!machine_same || tail->damaged || tail->unread) && !back && reserved > next)
		next = reserved;
	if (floor > next)
		next = floor;
	if (acked + 1 > next)
		next = acked + 1;
	if (lane->next > next)
		next = lane->next;
	uint64_t known = tail->unread ? next : tail->next;
	uint64_t lost_first = known > acked ? known : acked + 1;
	uint64_t *unread_next = &spool->writer_state.unread_next[lane->id];
	bool told = next > floor || back || *unread_next == floor;

	lane->next = next;
	lane->accepted = known - 1;
	lane->hole_first = tail->unread ? SEGMENT_HOLE_UNKNOWN : known;
	lane->start_hole_first = lost_first < next ? lost_first : next;
	lane->start_next = next;
	spool->writer_state.lanes[lane->id].floor = next;
	if (reserved < next)
		spool->writer_state.lanes[lane->id].reserved = next;
	if (tail->unread)
		*unread_next = next;
	else if (tail->next < *unread_next)
		*unread_next = 0;
	/* The floor was itself reported when it was set, unless it was behind what could not be read; what was on a disk that failed may be gone for all that. */
	if (next > lost_first && told)
		spool_gap_owe(spool, lane->id, lost_first, next - 1,
			tail->damaged ? SPOOL_GAP_DAMAGED : back ? SPOOL_GAP_DISK_FULL : SPOOL_GAP_UNCLEAN_STOP);
}

static int
lane_recover(struct spool *spool, struct spool_lane *lane, bool machine_same)
{
	uint64_t acked = spool->reader_state.lanes[lane->id].acked;
	struct tail tail = { .next = acked + 1 };
	int rc = 0;

	if (tail.next < spool->writer_state.lanes[lane->id].floor && lane->next == 0)
		tail.next = spool->writer_state.lanes[lane->id].floor;
	if (lane->segment_count > 0)
		rc = tail_of_segment(spool, lane, spool_segment_at(lane, lane->segment_count - 1)->first, &tail);
	if (rc < 0)
		return rc;
	/* Numbers used before a clean stop are missing although nothing was torn: the file was cut since. */
	tail.damaged |= !tail.unread && tail.next < spool->writer_state.closed_next[lane->id];
	if (tail.unread)
		tail_left(spool, lane);
	if (lane->segment_count > 0 && tail.damaged)
		spool_damage_found(spool, lane, tail.next);
	if (lane->segment_count > 0 && !tail.unread && tail.offset <= SEGMENT_HEADER_LEN && (!tail.usable || tail.sealed)) {
		tail_remove(spool, lane);
		tail.usable = false;
	}
	lane_place(spool, lane, &tail, machine_same);
	/* No number behind its own was ever used: it is empty, and in the way of the next. */
	if (tail.unread && spool_segment_at(lane, lane->segment_count - 1)->first == lane->next)
		tail_remove(spool, lane);
	if (lane->segment_count > 0)
		spool_segment_at(lane, lane->segment_count - 1)->next = tail.unread ? lane->next : tail.next;
	if (tail.usable && lane->next == tail.next)
		rc = tail_reuse(spool, lane, &tail);
	if (rc == 0 && tail.sealed && lane->fd >= 0) {
		close(lane->fd);
		lane->fd = -1;
	}
	return rc;
}

/* Segments that hold something to deliver must be of this key. */
static int
lane_check_key(const struct spool *spool, const struct spool_lane *lane)
{
	uint64_t acked = spool->reader_state.lanes[lane->id].acked;
	uint64_t *firsts = NULL;
	int count = spool_lane_list(lane, &firsts);
	int rc = count < 0 ? count : 0;

	for (int i = 0; rc == 0 && i < count; i++) {
		uint64_t next = i + 1 < count ? firsts[i + 1] : spool->writer_state.closed_next[lane->id];
		struct segment_header header;

		if ((next != 0 && next <= acked + 1) || segment_header_read(&header, lane->dir_fd, lane->id, firsts[i]) < 0 ||
			header.version != SEGMENT_VERSION_SEALED)
			continue;
		rc = !spool->sealed ? -ENOKEY : header.key_id != spool->key.id ? -EKEYREJECTED : 0;
		if (rc < 0)
			log_error("spool", "%s/%s/%016" PRIx64 ".seg: %s; nothing was changed", spool->path, link_lane_name(lane->id),
				firsts[i], spool->sealed ? "encrypted with another key than that of spool.key-file" :
				"encrypted, and there is no spool.key-file");
	}
	free(firsts);
	return rc;
}

/* Before anything is cut or removed. */
int
spool_check_key(struct spool *spool)
{
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < LINK_LANE_COUNT; i++) {
		struct spool_lane lane = { .id = (enum link_lane)i };

		lane.dir_fd = openat(spool->dir_fd, link_lane_name(lane.id), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (lane.dir_fd < 0)
			continue;
		rc = lane_check_key(spool, &lane);
		close(lane.dir_fd);
	}
	return rc;
}

/* Evicted segments are reported when they go. Others that should be there and are not are reported now. */
static void
owe_missing(struct spool *spool, const struct spool_lane *lane)
{
	uint64_t seq = spool->reader_state.lanes[lane->id].acked + 1;
	uint64_t end = lane->segment_count > 0 ? spool_segment_at(lane, 0)->first : seq;

	while (seq < end) {
		uint64_t missing_end = end;
		uint64_t covered_end = seq;

		for (uint64_t i = 0; i < spool->writer_state.gap_count && i < SPOOL_GAPS_MAX; i++) {
			const struct spool_gap *gap = &spool->writer_state.gaps[i];

			if (gap->lane != (uint32_t)lane->id || gap->last < seq)
				continue;
			if (gap->first > seq)
				missing_end = gap->first < missing_end ? gap->first : missing_end;
			else
				covered_end = gap->last + 1 > covered_end ? gap->last + 1 : covered_end;
		}
		if (covered_end == seq)
			spool_gap_owe(spool, lane->id, seq, missing_end - 1, SPOOL_GAP_DAMAGED);
		seq = covered_end == seq ? missing_end : covered_end;
	}
}

static int
lane_create(struct spool *spool, struct spool_lane *lane)
{
	lane->buffer = malloc(SPOOL_BUFFER_LEN);
	if (lane->buffer == NULL)
		return -ENOMEM;
	int rc = segment_reader_create(&lane->reader, spool->sealed ? &spool->key : NULL);

	return rc == 0 && spool->sealed ? seal_create(&lane->seal, &spool->key) : rc;
}

int
spool_lane_open(struct spool *spool, struct spool_lane *lane, bool machine_same)
{
	const char *name = link_lane_name(lane->id);
	uint64_t *firsts = NULL;

	if (mkdirat(spool->dir_fd, name, 0700) != 0 && errno != EEXIST)
		return -errno;
	lane->dir_fd = openat(spool->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lane->dir_fd < 0)
		return -errno;
	int rc = lane->buffer == NULL ? lane_create(spool, lane) : 0;

	if (rc < 0)
		return rc;
	int count = spool_lane_list(lane, &firsts);
	rc = count < 0 ? count : segments_load(spool, lane, firsts, (unsigned int)count);

	free(firsts);
	if (rc < 0)
		return rc;
	if (spool->reader_state.epoch == 0 && count > 0) {
		spool->reader_state.lanes[lane->id].acked = lane->segments[0].first - 1;
		spool->reader_state.lanes[lane->id].skipped = lane->segments[0].first > 1;
	}
	rc = lane_recover(spool, lane, machine_same);
	if (rc < 0)
		return rc;
	owe_missing(spool, lane);
	/* What was lost had been given out, perhaps: that the aggregator knows of it is no surprise. */
	uint64_t oldest = lane->segment_count > 0 ? spool_segment_at(lane, 0)->first : lane->next;

	if (oldest > atomic_load_explicit(&lane->evicted_next, memory_order_relaxed))
		atomic_store_explicit(&lane->evicted_next, oldest, memory_order_release);
	atomic_store_explicit(&lane->acked, spool->reader_state.lanes[lane->id].acked, memory_order_release);
	atomic_store_explicit(&lane->skipped, spool->reader_state.lanes[lane->id].skipped != 0, memory_order_relaxed);
	atomic_store_explicit(&lane->appended, lane->next - 1, memory_order_relaxed);
	atomic_store_explicit(&lane->readable, lane->next - 1, memory_order_release);
	return 0;
}
