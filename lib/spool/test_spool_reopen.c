/* A file system that fails under the spool: it lets go of the folder, and goes on when the folder is back. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/spool/test_spool.h"

/* As if the file system had turned read-only: what is open takes no writes. */
static void
fail_writes(struct spool *spool)
{
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		struct spool_lane *lane = &spool->lanes[i];

		if (lane->fd < 0)
			continue;
		close(lane->fd);
		lane->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(lane->fd >= 0);
	}
}

/* At once, without the wait of who runs for years. */
static void
flush_now(struct spool *spool)
{
	spool->let_go_ms = 0;
	spool->looked_ms = 0;
	spool_flush(spool);
}

static void
move(const char *from, const char *to)
{
	char a[96], b[96];

	snprintf(a, sizeof(a), "%s%s", dir, from);
	snprintf(b, sizeof(b), "%s%s", dir, to);
	assert_int_equal(rename(a, b), 0);
}

static unsigned int
open_files(void)
{
	unsigned int count = 0;

	for (int fd = 3; fd < 64; fd++) {
		char path[32], target[128];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t len = readlink(path, target, sizeof(target) - 1);

		target[len < 0 ? 0 : len] = '\0';
		count += strncmp(target, dir, strlen(dir)) == 0;
	}
	return count;
}

/* Records 1 to 5 are on the disk, 6 to 8 are not, 9 and 10 come while the folder is away. */
static struct spool *
fail_spool(void)
{
	struct spool *spool = open_spool();

	for (unsigned int i = 0; i < 5; i++)
		append_one(spool, LINK_LANE_EVENT);
	spool_flush(spool);
	fail_writes(spool);
	for (unsigned int i = 0; i < 3; i++)
		append_one(spool, LINK_LANE_EVENT);
	spool_flush(spool);
	return spool;
}

static void
test_comes_back(void **state)
{
	struct spool *spool = fail_spool();
	uint64_t epoch = spool_get_epoch(spool);
	uint64_t missing;

	move("", ".gone");
	flush_now(spool);
	assert_true(spool->away);
	assert_int_equal(open_files(), 0);
	assert_int_equal(append_one(spool, LINK_LANE_EVENT), 0);
	assert_int_equal(append_one(spool, LINK_LANE_EVENT), 0);
	/* Nothing is there, then another spool: it is not touched. */
	flush_now(spool);
	assert_true(spool->away);
	struct spool *other = open_spool();

	spool_destroy(other);
	flush_now(spool);
	assert_true(spool->away);
	assert_int_equal(spool->look_error, -ESTALE);
	move("", ".other");
	move(".gone", "");
	flush_now(spool);
	assert_false(spool->away);
	assert_int_equal(append_one(spool, LINK_LANE_EVENT), 11);
	spool_flush(spool);
	assert_int_equal(spool_get_epoch(spool), epoch);
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 6);
	assert_int_equal(missing, 5);
	assert_int_equal(counter_of(spool, SPOOL_DISK_FULL), 5);
	/* One gap record says so. */
	assert_int_equal(read_all(spool, LINK_LANE_STATS, &missing), 1);
	assert_non_null(strstr(lines.data, "\"lane\":\"event\",\"first\":6,\"last\":10,\"reason\":\"disk_full\""));
	spool_destroy(spool);
	move(".other", ".event");
	char other_dir[TEST_FOLDER_LEN + 16];

	snprintf(other_dir, sizeof(other_dir), "%s.event", dir);
	assert_int_equal(test_folder_remove(other_dir), 0);
}

/* What the disk lost although it had been written is told from what memory knows, without a number used twice. */
static void
test_disk_lost(void **state)
{
	struct spool *spool = fail_spool();
	char path[128], name[SEGMENT_NAME_LEN + 1];
	struct stat st;
	uint64_t missing;

	spool_ack(spool, LINK_LANE_EVENT, 2);
	move("", ".gone");
	flush_now(spool);
	assert_true(spool->away);
	/* Acknowledged meanwhile: what the aggregator has is no loss. */
	spool_ack(spool, LINK_LANE_EVENT, 3);
	move(".gone", "");
	segment_name(name, 1);
	snprintf(path, sizeof(path), "%s/event/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	flush_now(spool);
	assert_false(spool->away);
	assert_int_equal(append_one(spool, LINK_LANE_EVENT), 9);
	spool_flush(spool);
	assert_int_equal(spool_get_acked(spool, LINK_LANE_EVENT), 3);
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 2);
	assert_int_equal(missing, 4);
	assert_int_equal(read_all(spool, LINK_LANE_STATS, &missing), 1);
	assert_non_null(strstr(lines.data, "\"first\":5,\"last\":8"));
	spool_destroy(spool);
	/* And so it is after the next start. */
	spool = open_spool();
	assert_int_equal(spool_get_acked(spool, LINK_LANE_EVENT), 3);
	assert_int_equal(append_one(spool, LINK_LANE_EVENT), 10);
	spool_destroy(spool);
}

/* Segments that are gone whole are a loss as well; a short fault lets nothing go. */
static void
test_segments_gone(void **state)
{
	struct spool *spool = fail_spool();
	char path[128], name[SEGMENT_NAME_LEN + 1];
	uint64_t missing;

	move("", ".gone");
	flush_now(spool);
	move(".gone", "");
	segment_name(name, 1);
	snprintf(path, sizeof(path), "%s/event/%s", dir, name);
	assert_int_equal(unlink(path), 0);
	flush_now(spool);
	assert_false(spool->away);
	append_one(spool, LINK_LANE_EVENT);
	spool_flush(spool);
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 1);
	assert_int_equal(missing, 8);
	assert_int_equal(read_all(spool, LINK_LANE_STATS, &missing), 1);
	assert_non_null(strstr(lines.data, "\"first\":1,\"last\":8"));
	spool_destroy(spool);
}

static void
test_stopped_while_away(void **state)
{
	struct spool *spool = fail_spool();
	uint64_t missing;

	move("", ".gone");
	flush_now(spool);
	assert_true(spool->away);
	assert_int_equal(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_EVENT, 1, 3, 400 }, &lines,
		&(struct spool_batch){ 0 }), -EIO);
	spool_sync(spool, UINT64_MAX / 2);
	spool_destroy(spool);
	move(".gone", "");
	spool = open_spool();
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 5);
	spool_destroy(spool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segments_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped_while_away, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
