/* Room taken ahead, on a disk that is filled by others: these calls of the C library's are of a disk that has so much left. */
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "lib/spool/test_spool.h"

enum { BLOCK = 512, ROOM = LINK_LANE_COUNT + SPOOL_ROOM_SPARE };

static bool is_full;          /* from now on free_bytes counts */
static uint64_t free_bytes;
static int fallocate_error;   /* errno of each fallocate(2); 0: it works */
static unsigned int fallocate_count;
static int refused[2];        /* files that take nothing, as of a file system that writes each block elsewhere */

static uint64_t
blocks_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * BLOCK;
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	uint64_t before = blocks_of(fd);

	fallocate_count++;
	if (fallocate_error != 0 || (is_full && before + free_bytes < (uint64_t)(at + len))) {
		errno = fallocate_error != 0 ? fallocate_error : ENOSPC;
		return -1;
	}
	if (syscall(SYS_fallocate, fd, mode, at, len) != 0)
		return -1;
	free_bytes -= is_full ? blocks_of(fd) - before : 0;
	return 0;
}

int
fstatvfs(int fd, struct statvfs *out)
{
	(void)fd;
	*out = (struct statvfs){ .f_frsize = BLOCK, .f_bavail = is_full ? free_bytes / BLOCK : UINT32_MAX };
	return 0;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	if ((is_full && blocks_of(fd) < (uint64_t)at + len) || fd == refused[0] || fd == refused[1]) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}

int
unlinkat(int dir_fd, const char *name, int flags)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, 0) == 0)
		free_bytes += (uint64_t)st.st_blocks * BLOCK;
	return (int)syscall(SYS_unlinkat, dir_fd, name, flags);
}

static int
setup_room(void **state)
{
	is_full = false;
	free_bytes = 0;
	fallocate_error = 0;
	refused[0] = refused[1] = -1;
	assert_int_equal(setup(state), 0);
	config.keep_room = true;
	return 0;
}

static unsigned int
rooms_there(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < ROOM + 2; i++) {
		char path[96];

		snprintf(path, sizeof(path), "%s/room.%u", dir, i);
		count += access(path, F_OK) == 0;
	}
	return count;
}

static void
append_to_all(struct spool *spool)
{
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		append_one(spool, (enum link_lane)i);
	spool_flush(spool);
}

/** As an uplink that works. @return records that were appended */
static unsigned int
deliver(struct spool *spool, enum link_lane lane, unsigned int count)
{
	unsigned int appended = 0;

	for (unsigned int i = 0; i < count; i++) {
		appended += append_one(spool, lane) != 0;
		if (i % 10 == 9) {
			spool_flush(spool);
			spool_ack(spool, lane, spool_get_readable(spool, lane));
		}
	}
	spool_flush(spool);
	return appended;
}

static void
test_full_disk_stops_nothing(void **state)
{
	struct spool *spool = open_spool();

	assert_int_equal(rooms_there(), ROOM);
	append_to_all(spool);
	assert_int_equal(rooms_there(), SPOOL_ROOM_SPARE);
	is_full = true;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		assert_int_equal(deliver(spool, (enum link_lane)i, 2000), 2000);
	assert_int_equal(counter_of(spool, SPOOL_DISK_FULL), 0);
	assert_int_equal(counter_of(spool, SPOOL_WRITE_ERRORS), 0);
	assert_int_equal(rooms_there(), SPOOL_ROOM_SPARE);
	spool_destroy(spool);
	/* A start on the full disk has the room of the one before. */
	spool = open_spool();
	assert_int_equal(deliver(spool, LINK_LANE_ALERT, 2000), 2000);
	spool_destroy(spool);
}

static void
test_without_room_it_does(void **state)
{
	config.keep_room = false;
	struct spool *spool = open_spool();

	append_to_all(spool);
	assert_int_equal(rooms_there(), 0);
	is_full = true;
	assert_in_range(deliver(spool, LINK_LANE_EVENT, 2000), 0, 100);
	assert_int_not_equal(counter_of(spool, SPOOL_DISK_FULL), 0);
	is_full = false;
	spool_flush(spool);
	assert_int_not_equal(counter_of(spool, SPOOL_GAPS), 0);
	spool_destroy(spool);
}

static uint64_t
disk_of(const struct spool *spool, unsigned int *segments)
{
	uint64_t sum = 0;

	*segments = 0;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		const struct spool_lane *lane = &spool->lanes[i];

		for (unsigned int k = 0; k < lane->segment_count; k++) {
			char name[SEGMENT_NAME_LEN + 1];
			struct stat st;

			segment_name(name, spool_segment_at(lane, k)->first);
			assert_int_equal(fstatat(lane->dir_fd, name, &st, 0), 0);
			sum += (uint64_t)st.st_blocks * BLOCK;
			++*segments;
		}
	}
	return sum + (uint64_t)spool->room_count * config.segment_size;
}

/* What is held for an uplink that is away and what is taken ahead are within the bound together. */
static void
test_the_bound_holds(void **state)
{
	unsigned int segments;
	struct spool *spool = open_spool();

	for (unsigned int i = 0; i < 20000; i++) {
		append_one(spool, (enum link_lane)(i % LINK_LANE_COUNT));
		if (i % 50 == 49)
			spool_flush(spool);
	}
	assert_in_range(disk_of(spool, &segments), config.size / 2, config.size);
	assert_true(segments > LINK_LANE_COUNT);
	assert_int_not_equal(counter_of(spool, SPOOL_EVICTED_SEGMENTS), 0);
	spool_destroy(spool);
}

/* An end gives the rest of a segment's room back, also the end by a kill. */
static void
test_ends(void **state)
{
	struct stat st;
	char path[160], name[SEGMENT_NAME_LEN + 1];

	config.segment_size = 1 << 20;
	config.size = 16 << 20;
	struct spool *spool = open_spool();

	append_one(spool, LINK_LANE_FLOW);
	spool_flush(spool);
	segment_name(name, 1);
	snprintf(path, sizeof(path), "%s/flow/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_blocks * BLOCK, config.segment_size, config.segment_size + 65536);
	/* The numbers given up begin another segment. */
	spool_give_up(spool, LINK_LANE_FLOW, 1);
	spool_flush(spool);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_blocks * BLOCK, 1, 65536);
	spool_destroy(spool);
	config.keep_room = false;
	spool = open_spool();
	assert_int_equal(rooms_there(), 0);
	spool_destroy(spool);
}

/* An encrypted segment is never written on, also not by a start that wants no room any more. */
static void
test_turned_off(void **state)
{
	char path[160], key[160], name[SEGMENT_NAME_LEN + 1];
	struct stat st;

	config.segment_size = 1 << 20;
	config.size = 16 << 20;
	snprintf(key, sizeof(key), "%s/../key.%d", dir, (int)getpid());
	int fd = open(key, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(write(fd, "a", 1), 1);
	close(fd);
	config.key_file = key;
	struct spool *spool = open_spool();

	append_one(spool, LINK_LANE_FLOW);
	spool_flush(spool);
	spool_destroy(spool);
	segment_name(name, 1);
	snprintf(path, sizeof(path), "%s/flow/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_blocks * BLOCK, config.segment_size, config.segment_size + 65536);
	config.keep_room = false;
	spool = open_spool();
	assert_int_equal(rooms_there(), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_blocks * BLOCK, 1, 65536);
	spool_destroy(spool);
	unlink(key);
}

/* It is not tried what cannot be had: that would take from others what little they have. */
static void
test_a_disk_with_little_is_left_alone(void **state)
{
	fallocate_error = ENOSPC;
	struct spool *spool = open_spool();

	fallocate_error = 0;
	is_full = true;
	free_bytes = config.segment_size - BLOCK;
	fallocate_count = 0;
	for (unsigned int i = 0; i < 3; i++)
		spool_flush(spool);
	assert_int_equal(fallocate_count, 0);
	assert_int_equal(rooms_there(), 0);
	free_bytes = config.size;
	spool_flush(spool);
	assert_int_equal(rooms_there(), ROOM);
	spool_destroy(spool);
}

static void
test_a_file_system_without(void **state)
{
	fallocate_error = EOPNOTSUPP;
	struct spool *spool = open_spool();

	assert_int_equal(rooms_there(), 0);
	assert_int_equal(deliver(spool, LINK_LANE_EVENT, 2000), 2000);
	spool_destroy(spool);
	/* Or one that has none left now, and later has. */
	fallocate_error = ENOSPC;
	spool = open_spool();
	assert_int_equal(rooms_there(), 0);
	assert_int_equal(deliver(spool, LINK_LANE_EVENT, 2000), 2000);
	fallocate_error = 0;
	spool_flush(spool);
	assert_int_equal(rooms_there(), ROOM - 1);
	spool_destroy(spool);
}

/* A kill after the position was not saved: what was delivered and removed is no damage, nor lost. */
static void
test_position_not_saved(void **state)
{
	for (unsigned int both = 0; both < 2; both++) {
		struct spool *spool = open_spool();
		uint64_t missing, before;
		unsigned int segments;

		before = append_one(spool, LINK_LANE_EVENT);
		spool_flush(spool);
		refused[0] = spool->reader_slot.fd;
		refused[1] = both == 0 ? -1 : spool->writer_slot.fd;
		assert_int_equal(deliver(spool, LINK_LANE_EVENT, 200), 200);
		assert_int_not_equal(counter_of(spool, SPOOL_STATE_ERRORS), 0);
		disk_of(spool, &segments);
		assert_in_range(segments, both == 0 ? 1 : 3, both == 0 ? 2 : 8);
		refused[0] = refused[1] = -1;
		spool->ready = false;
		spool_destroy(spool);
		spool = open_spool();
		assert_int_equal(counter_of(spool, SPOOL_GAPS), 0);
		assert_int_equal(counter_of(spool, SPOOL_DAMAGED_SEGMENTS), 0);
		assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), before + 200 - spool_get_acked(spool, LINK_LANE_EVENT));
		assert_int_equal(missing, 0);
		spool_ack(spool, LINK_LANE_EVENT, before + 200);
		spool_destroy(spool);
	}
}

/* As before, where the bound on the size took what was delivered, and what was skipped stays so. */
static void
test_position_of_what_is_evicted(void **state)
{
	struct spool *spool = open_spool();
	uint64_t missing;

	refused[0] = spool->reader_slot.fd;
	for (unsigned int i = 0; i < 100; i++)
		append_one(spool, LINK_LANE_EVENT);
	spool_flush(spool);
	spool_skip(spool, LINK_LANE_EVENT, 60);
	for (unsigned int i = 0; i < 2000; i++)
		append_one(spool, LINK_LANE_EVENT);
	spool_flush(spool);
	refused[0] = -1;
	spool->ready = false;
	spool_destroy(spool);
	spool = open_spool();
	assert_int_equal(spool_get_acked(spool, LINK_LANE_EVENT), 60);
	assert_true(spool_is_skipped(spool, LINK_LANE_EVENT));
	for (uint64_t i = 0; i < spool->writer_state.gap_count; i++)
		assert_int_equal(spool->writer_state.gaps[i].reason, SPOOL_GAP_SPOOL_FULL);
	assert_int_not_equal(spool->writer_state.gap_count, 0);
	assert_int_not_equal(read_all(spool, LINK_LANE_EVENT, &missing), 0);
	spool_destroy(spool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full_disk_stops_nothing, setup_room, teardown),
		cmocka_unit_test_setup_teardown(test_without_room_it_does, setup_room, teardown),
		cmocka_unit_test_setup_teardown(test_the_bound_holds, setup_room, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup_room, teardown),
		cmocka_unit_test_setup_teardown(test_turned_off, setup_room, teardown),
		cmocka_unit_test_setup_teardown(test_a_disk_with_little_is_left_alone, setup_room, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_system_without, setup_room, teardown),
		cmocka_unit_test_setup_teardown(test_position_not_saved, setup_room, teardown),
		cmocka_unit_test_setup_teardown(test_position_of_what_is_evicted, setup_room, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
