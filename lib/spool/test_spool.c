#include "lib/spool/test_spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/log.h"

enum { RECORDS = 6 };

/* As a process that is killed after a flush: nothing is closed, no state is saved. */
static void
write_and_die(enum link_lane lane, unsigned int count)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct spool *spool = open_spool();

		for (unsigned int i = 0; i < count; i++)
			append_one(spool, lane);
		spool_flush(spool);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
remove_segments(const char *lane)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, lane);
	DIR *folder = opendir(path);

	assert_non_null(folder);
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		snprintf(path, sizeof(path), "%s/%s/%s", dir, lane, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	closedir(folder);
}

static struct image segment, writer_state, reader_state;

static void
images_load(void)
{
	image_load(&segment, "event/0000000000000001.seg");
	image_load(&writer_state, "writer.state");
	image_load(&reader_state, "reader.state");
}

static void
images_restore(size_t segment_len)
{
	remove_segments("event");
	remove_segments("stats");
	image_store(&segment, segment_len);
	image_store(&writer_state, writer_state.len);
	image_store(&reader_state, reader_state.len);
}

static void
test_round_trip(void **state)
{
	struct spool *spool = open_spool();
	struct spool_batch batch;
	uint64_t missing;

	assert_true(spool_is_drained(spool));
	assert_int_equal(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_FLOW, 1, 10, 4096 }, &lines, &batch), 0);
	for (unsigned int i = 1; i <= 10; i++)
		assert_int_equal(append_one(spool, LINK_LANE_FLOW), i);
	assert_int_equal(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_FLOW, 1, 10, 4096 }, &lines, &batch), 0);
	spool_flush(spool);
	assert_int_equal(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_FLOW, 1, 4, 4096 }, &lines, &batch), 4);
	assert_int_equal(batch.first, 1);
	check_batch(LINK_LANE_FLOW, &batch);
	assert_int_equal(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_FLOW, 5, 100, 1 }, &lines, &batch), 1);
	check_batch(LINK_LANE_FLOW, &batch);
	assert_int_equal(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_FLOW, 3, 100, 4096 }, &lines, &batch), 8);
	check_batch(LINK_LANE_FLOW, &batch);
	spool_ack(spool, LINK_LANE_FLOW, 7);
	spool_ack(spool, LINK_LANE_FLOW, 2);
	assert_int_equal(spool_get_acked(spool, LINK_LANE_FLOW), 7);
	assert_false(spool_is_drained(spool));
	uint64_t epoch = spool_get_epoch(spool);

	spool_destroy(spool);
	spool = open_spool();
	assert_int_equal(spool_get_epoch(spool), epoch);
	assert_int_equal(spool_get_acked(spool, LINK_LANE_FLOW), 7);
	assert_int_equal(read_all(spool, LINK_LANE_FLOW, &missing), 3);
	assert_int_equal(missing, 0);
	assert_int_equal(append_one(spool, LINK_LANE_FLOW), 11);
	assert_int_equal(spool_append(spool, LINK_LANE_FLOW, "", 0), 0);
	assert_int_equal(counter_of(spool, SPOOL_TOO_LONG), 1);
	spool_destroy(spool);
}

static void
test_lock(void **state)
{
	struct spool *spool = open_spool();
	struct spool *second = NULL;

	assert_int_equal(spool_create(&second, &config), -EBUSY);
	spool_destroy(spool);
}

static void
test_restarts(void **state)
{
	uint64_t missing;

	for (unsigned int i = 0; i < 20; i++) {
		write_and_die(LINK_LANE_EVENT, 3);
		struct spool *spool = open_spool();

		assert_int_equal(spool->lanes[LINK_LANE_EVENT].next, 4 * i + 4);
		append_one(spool, LINK_LANE_EVENT);
		spool_destroy(spool);
	}
	struct spool *spool = open_spool();

	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 80);
	assert_int_equal(missing, 0);
	spool_destroy(spool);
}

static void
test_torn_at_every_byte(void **state)
{
	write_and_die(LINK_LANE_EVENT, RECORDS);
	images_load();
	for (size_t cut = 0; cut <= segment.len; cut++) {
		uint64_t missing;

		images_restore(cut);
		struct spool *spool = open_spool();
		uint64_t seen = read_all(spool, LINK_LANE_EVENT, &missing);

		assert_int_equal(missing, 0);
		assert_int_equal(seen, cut == segment.len ? RECORDS : spool_get_readable(spool, LINK_LANE_EVENT));
		assert_int_equal(append_one(spool, LINK_LANE_EVENT), seen + 1);
		spool_flush(spool);
		assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), seen + 1);
		spool_destroy(spool);
	}
}

static void
test_damage_at_every_byte(void **state)
{
	write_and_die(LINK_LANE_EVENT, RECORDS);
	images_load();
	for (size_t at = 0; at < segment.len; at++) {
		uint64_t missing;

		segment.data[at] ^= 0x41;
		images_restore(segment.len);
		segment.data[at] ^= 0x41;
		struct spool *spool = open_spool();
		uint64_t seq = append_one(spool, LINK_LANE_EVENT);

		/* A number that may have been sent is never used for another record. */
		assert_true(seq > RECORDS);
		spool_flush(spool);
		uint64_t seen = read_all(spool, LINK_LANE_EVENT, &missing);

		assert_true(seen <= RECORDS + 1);
		assert_int_equal(seen + missing, seq);
		assert_true(missing > 0);
		spool_flush(spool);
		assert_true(counter_of(spool, SPOOL_GAPS) > 0);
		spool_destroy(spool);
	}
}

static void
test_state_at_every_byte(void **state)
{
	write_and_die(LINK_LANE_EVENT, RECORDS);
	images_load();
	struct image *files[] = { &writer_state, &reader_state };

	for (unsigned int f = 0; f < TEST_COUNT(files); f++) {
		for (size_t at = 0; at < files[f]->len; at += 199) {
			uint64_t missing;

			files[f]->data[at] ^= 0x41;
			images_restore(segment.len);
			files[f]->data[at] ^= 0x41;
			struct spool *spool = open_spool();

			assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), RECORDS);
			assert_int_equal(missing, 0);
			spool_destroy(spool);
		}
	}
	images_restore(segment.len);
	struct spool *spool = open_spool();
	uint64_t epoch = spool_get_epoch(spool);

	spool_destroy(spool);
	images_restore(segment.len);
	unlink(reader_state.path);
	spool = open_spool();
	assert_int_not_equal(spool_get_epoch(spool), epoch);
	spool_destroy(spool);
}

static void
test_machine_stop(void **state)
{
	struct spool_writer_state saved;
	struct slot_file slot;
	uint64_t missing;

	write_and_die(LINK_LANE_EVENT, RECORDS);
	assert_int_equal(slot_open(&slot, AT_FDCWD, (snprintf(writer_state.path, 128, "%s/writer.state", dir),
		writer_state.path), &saved, sizeof(saved)), 1);
	saved.boot_id[0] ^= 1;
	assert_int_equal(slot_save(&slot, &saved, sizeof(saved), false), 0);
	slot_close(&slot);

	struct spool *spool = open_spool();
	uint64_t next = spool->lanes[LINK_LANE_EVENT].next;

	assert_true(next > RECORDS + 1);
	assert_int_equal(counter_of(spool, SPOOL_GAPS), 1);
	spool_destroy(spool);
	/* Not again, and not backwards, although no record was written since. */
	spool = open_spool();
	assert_int_equal(append_one(spool, LINK_LANE_EVENT), next);
	spool_flush(spool);
	assert_int_equal(counter_of(spool, SPOOL_GAPS), 0);
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), RECORDS + 1);
	assert_int_equal(missing, next - RECORDS - 1);
	assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS), 0);
	assert_int_equal(spool_get_appended(spool, LINK_LANE_STATS), 1);
	spool_destroy(spool);
}

/* Damage in a segment that is not the last, found by the reader. */
static void
test_damage_in_the_middle(void **state)
{
	static const struct { size_t at; uint64_t lost_min, lost_max; } rows[] = {
		{ SEGMENT_HEADER_LEN + SEGMENT_ENTRY_LEN + 4, 1, 1 },
		{ SEGMENT_HEADER_LEN + 1, 1, 1 },
		{ 3, 20, 80 },
	};

	write_and_die(LINK_LANE_EVENT, 100);
	images_load();
	struct spool *spool = open_spool();
	uint64_t missing;

	for (unsigned int i = 0; i < TEST_COUNT(rows); i++) {
		segment.data[rows[i].at] ^= 0xff;
		image_store(&segment, segment.len);
		segment.data[rows[i].at] ^= 0xff;
		segment_reader_close(&spool->lanes[LINK_LANE_EVENT].reader);
		spool->lanes[LINK_LANE_EVENT].reader.chunk_len = 0;
		uint64_t before = counter_of(spool, SPOOL_CORRUPT_RECORDS);

		assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing) + missing, 100);
		assert_in_range(missing, rows[i].lost_min, rows[i].lost_max);
		assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS) - before, missing);
		spool_flush(spool);
		assert_int_equal(counter_of(spool, SPOOL_GAPS), i + 1);
	}
	assert_non_null(strstr((read_all(spool, LINK_LANE_STATS, &missing),
		spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_STATS, 1, 9, 9999 }, &lines,
		&(struct spool_batch){ 0 }), lines.data),
		"\"event_type\":\"gap\",\"gap\":{\"lane\":\"event\",\"first\":1,\"last\":1,\"reason\":\"damaged\"}}"));
	spool_destroy(spool);
}

static void
test_eviction(void **state)
{
	struct spool *spool = open_spool();
	uint64_t missing;

	for (unsigned int i = 0; i < 20; i++)
		append_one(spool, LINK_LANE_ALERT);
	for (unsigned int i = 0; i < 3000; i++) {
		append_one(spool, i % 3 == 0 ? LINK_LANE_FLOW : LINK_LANE_EVENT);
		if (i % 50 == 0)
			spool_flush(spool);
	}
	/* A gap record may itself have evicted gap records, which the next flush then appends again. */
	for (unsigned int i = 0; i < 4; i++)
		spool_flush(spool);
	assert_true(spool->total_bytes <= config.size);
	assert_int_equal(read_all(spool, LINK_LANE_ALERT, &missing), 20);
	assert_int_equal(missing, 0);
	uint64_t lost = 0;
	uint64_t seen = read_all(spool, LINK_LANE_EVENT, &missing);

	lost += missing;
	seen += read_all(spool, LINK_LANE_FLOW, &missing);
	lost += missing;
	assert_int_equal(seen + lost, 3000);
	assert_true(counter_of(spool, SPOOL_EVICTED_RECORDS) >= lost);
	assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS), 0);
	/* What is owed names every lost record, although gap records were evicted too. */
	uint8_t covered[LINK_LANE_COUNT][3001] = { 0 };
	uint64_t named = 0;

	for (uint64_t i = 0; i < spool->writer_state.gap_count; i++) {
		const struct spool_gap *gap = &spool->writer_state.gaps[i];

		assert_int_not_equal(gap->record_seq, 0);
		for (uint64_t seq = gap->first; seq <= gap->last && seq <= 3000; seq++)
			covered[gap->lane][seq] = 1;
	}
	for (unsigned int seq = 1; seq <= 3000; seq++)
		named += covered[LINK_LANE_EVENT][seq] + covered[LINK_LANE_FLOW][seq];
	assert_int_equal(named, lost);
	for (unsigned int lane = 0; lane < LINK_LANE_COUNT; lane++)
		spool_ack(spool, lane, spool_get_appended(spool, lane));
	spool_flush(spool);
	assert_int_equal(spool->writer_state.gap_count, 0);
	assert_true(spool_is_drained(spool));
	assert_true(spool->total_bytes < 5 * 4096);
	spool_destroy(spool);
}

/* More losses than there are places for, of which none is delivered: each is named, if with others that lie between two. */
static void
test_gaps_without_place(void **state)
{
	struct spool *spool = open_spool();
	const struct spool_writer_state *saved = &spool->writer_state;

	for (uint64_t i = 1; i <= SPOOL_GAPS_MAX; i++)
		spool_gap_owe(spool, LINK_LANE_FLOW, i * 1000, i * 1000 + (i == 7 ? 990 : 10), SPOOL_GAP_SPOOL_FULL);
	assert_int_equal(saved->gap_count, SPOOL_GAPS_MAX);
	spool_gap_owe(spool, LINK_LANE_EVENT, 5, 6, SPOOL_GAP_DISK_FULL);
	/* The two that were nearest have become one. */
	assert_int_equal(saved->gaps[6].first, 7000);
	assert_int_equal(saved->gaps[6].last, 8010);
	spool_gap_owe(spool, LINK_LANE_ALERT, 7, 8, SPOOL_GAP_DISK_FULL);
	assert_int_equal(saved->gap_count, SPOOL_GAPS_MAX);
	for (uint64_t i = 1; i <= SPOOL_GAPS_MAX; i++) {
		bool named = false;

		for (uint64_t k = 0; k < saved->gap_count; k++)
			named |= saved->gaps[k].lane == LINK_LANE_FLOW && saved->gaps[k].first <= i * 1000 && saved->gaps[k].last >= i * 1000 + 10;
		assert_true(named);
	}
	assert_int_equal(saved->gaps[SPOOL_GAPS_MAX - 2].lane, LINK_LANE_EVENT);
	assert_int_equal(saved->gaps[SPOOL_GAPS_MAX - 1].lane, LINK_LANE_ALERT);
	spool_destroy(spool);
}

static uint64_t
folder_bytes(void)
{
	char path[128];
	uint64_t bytes = 0;

	for (unsigned int i = 0; i <= LINK_LANE_COUNT; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, i < LINK_LANE_COUNT ? link_lane_name(i) : "damaged");
		DIR *folder = opendir(path);
		struct stat st;

		assert_non_null(folder);
		for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
			if (fstatat(dirfd(folder), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
				bytes += (uint64_t)st.st_size;
		closedir(folder);
	}
	return bytes;
}

/* Every lane is given so much that it alone fills the spool; those before it in the order go first, and whole. */
static void
test_eviction_order(void **state)
{
	static const enum link_lane order[] = { LINK_LANE_FLOW, LINK_LANE_STATS, LINK_LANE_EVENT, LINK_LANE_ASSET,
		LINK_LANE_ALERT };
	struct spool *spool = open_spool();

	for (unsigned int i = 0; i < TEST_COUNT(order); i++) {
		struct spool_lane *lane = &spool->lanes[order[i]];

		for (unsigned int k = 0; k < 1000; k++) {
			append_one(spool, order[i]);
			assert_true(folder_bytes() <= config.size);
			for (unsigned int later = i + 1; later < TEST_COUNT(order); later++)
				if (order[later] != LINK_LANE_STATS)
					assert_int_equal(spool->lanes[order[later]].next, 1);
			/* Of the lane itself nothing goes while one before it has a closed segment. */
			for (unsigned int earlier = 0; earlier < i; earlier++)
				if (lane->segment_count > 0 && spool_segment_at(lane, 0)->first > 1 && order[i] != LINK_LANE_STATS)
					assert_true(spool->lanes[order[earlier]].segment_count <= 1);
		}
		assert_true(lane->segment_count > 0);
	}
	/* And the least one never costs the others anything. */
	uint64_t before = spool_get_bytes(spool, LINK_LANE_ALERT);

	for (unsigned int k = 0; k < 1000; k++)
		assert_int_not_equal(append_one(spool, LINK_LANE_FLOW), 0);
	assert_int_equal(spool_get_bytes(spool, LINK_LANE_ALERT), before);
	assert_true(folder_bytes() <= config.size);
	spool_destroy(spool);
}

static void
test_lane_share(void **state)
{
	uint64_t missing;

	config.lane_percent[LINK_LANE_ALERT] = 25;
	struct spool *spool = open_spool();

	for (unsigned int i = 0; i < 100; i++)
		append_one(spool, LINK_LANE_FLOW);
	for (unsigned int i = 0; i < 1000; i++) {
		append_one(spool, LINK_LANE_ALERT);
		spool_flush(spool);
		assert_true(spool_get_bytes(spool, LINK_LANE_ALERT) <= config.size / 4);
	}
	assert_int_equal(read_all(spool, LINK_LANE_FLOW, &missing), 100);
	uint64_t seen = read_all(spool, LINK_LANE_ALERT, &missing);

	assert_true(missing > 0);
	assert_int_equal(seen + missing, 1000);
	uint64_t reported_to = 0;

	for (uint64_t i = 0; i < spool->writer_state.gap_count; i++) {
		assert_int_equal(spool->writer_state.gaps[i].first, reported_to + 1);
		reported_to = spool->writer_state.gaps[i].last;
	}
	assert_int_equal(reported_to, missing);
	spool_destroy(spool);
}

/* The reader steps back to what was evicted meanwhile: nothing but that is passed over. */
static void
test_step_back(void **state)
{
	struct spool *spool = open_spool();
	struct spool_lane *lane = &spool->lanes[LINK_LANE_EVENT];
	struct spool_batch batch;

	while (lane->segment_count < 4)
		append_one(spool, LINK_LANE_EVENT);
	spool_flush(spool);
	uint64_t second = spool_segment_at(lane, 1)->first;
	uint64_t last = spool_get_readable(spool, LINK_LANE_EVENT);

	assert_int_equal(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_EVENT, last - 1, 1, 999 }, &lines, &batch), 1);
	spool_lane_drop_oldest(spool, lane);
	assert_int_equal(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_EVENT, 1, 1, 999 }, &lines, &batch), 1);
	assert_int_equal(batch.first, second);
	check_batch(LINK_LANE_EVENT, &batch);
	assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS), 0);
	spool_destroy(spool);
}

static void
test_disk_full(void **state)
{
	struct rlimit before, small;
	unsigned int dropped = 0;
	uint64_t missing;

	config.segment_size = 32 * 1024;
	config.size = 16 * config.segment_size;
	signal(SIGXFSZ, SIG_IGN);
	struct spool *spool = open_spool();

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ .rlim_cur = 10000, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	log_set_level(LOG_LEVEL_ERROR);
	for (unsigned int i = 0; i < 600; i++) {
		dropped += append_one(spool, LINK_LANE_EVENT) == 0;
		if (i % 10 == 0)
			spool_flush(spool);
	}
	assert_true(dropped > 0);
	assert_int_equal(counter_of(spool, SPOOL_DISK_FULL), dropped);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	spool_flush(spool);
	assert_int_equal(append_one(spool, LINK_LANE_EVENT), 601);
	spool_flush(spool);
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 601 - dropped);
	assert_int_equal(missing, dropped);
	assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS), 0);
	assert_true(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_STATS, 1, 9, 9999 }, &lines,
		&(struct spool_batch){ 0 }) > 0);
	assert_non_null(strstr(lines.data, "\"last\":600,\"reason\":\"disk_full\""));
	spool_destroy(spool);
}

static void
test_skip(void **state)
{
	struct spool *spool = open_spool();
	struct spool_batch batch;

	append_one(spool, LINK_LANE_ALERT);
	append_one(spool, LINK_LANE_ALERT);
	spool_flush(spool);
	assert_int_equal(spool_report_gap(spool, LINK_LANE_ALERT, 1, 1, SPOOL_GAP_POISON), 0);
	spool_skip(spool, LINK_LANE_ALERT, 1);
	assert_false(spool_is_drained(spool));
	spool_destroy(spool);
	spool = open_spool();
	assert_true(spool_is_skipped(spool, LINK_LANE_ALERT));
	assert_int_equal(spool_peek_batch(spool, &(struct spool_want){ LINK_LANE_ALERT, 1, 9, 9999 }, &lines, &batch), 1);
	assert_int_equal(batch.first, 2);
	spool_ack(spool, LINK_LANE_ALERT, 2);
	assert_false(spool_is_skipped(spool, LINK_LANE_ALERT));
	assert_int_equal(spool_get_readable(spool, LINK_LANE_STATS), 1);
	spool_destroy(spool);
}

static void
test_allocation(void **state)
{
	struct spool *spool = NULL;

	log_set_level(LOG_LEVEL_ERROR - 1);
	write_and_die(LINK_LANE_EVENT, RECORDS);
	TEST_FAIL_EACH_ALLOC(spool_create(&spool, &config), == 0, spool_destroy(spool));
	log_set_level(LOG_LEVEL_ERROR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_at_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_at_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_at_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_machine_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_eviction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gaps_without_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_eviction_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lane_share, setup, teardown),
		cmocka_unit_test_setup_teardown(test_step_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_skip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_allocation, setup, teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
