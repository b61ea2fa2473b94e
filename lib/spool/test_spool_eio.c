/*
 * A disk that does not give what it holds: EIO is not damage. Nothing is given up for it at a start, records go on being
 * written and delivered, and what could not be read is delivered when it can be.
 */
#include "lib/spool/test_spool.h"

#include "lib/base/log.h"
#include "lib/spool/test_eio.h"

static const char *bad_name; /* end of the path of the files that fail */
static off_t bad_first, bad_end; /* their bytes that do */

static bool
is_bad(int fd, off_t at, size_t len)
{
	return bad_name != NULL && at < bad_end && at + (off_t)len > bad_first && eio_is(fd, bad_name);
}

static void
fail_reads(const char *name, off_t first, off_t end)
{
	bad_name = name;
	bad_first = first;
	bad_end = end;
}

static int
setup_eio(void **state)
{
	log_set_level(LOG_LEVEL_ERROR - 1);
	eio_fails = is_bad;
	fail_reads(NULL, 0, 0);
	return setup(state);
}

static void
append(struct spool *spool, unsigned int count)
{
	while (count-- > 0)
		assert_int_not_equal(append_one(spool, LINK_LANE_EVENT), 0);
	spool_flush(spool);
}

/* As kill -9: nothing is written any more. */
static void
kill_spool(struct spool *spool)
{
	spool->ready = false;
	spool_destroy(spool);
}

static int
peek(struct spool *spool, enum link_lane lane, struct spool_batch *batch)
{
	return spool_peek_batch(spool, &(struct spool_want){ lane, spool_get_acked(spool, lane) + 1, 100, SPOOL_RECORD_LEN_MAX }, &lines, batch);
}

static bool
has_damaged(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/damaged", dir);
	return rmdir(path) != 0;
}

/* Ten records wait, and the start cannot read them from the byte first on. */
static struct spool *
start_blind(bool clean, off_t first)
{
	struct spool *spool = open_spool();

	append(spool, 10);
	if (clean)
		spool_destroy(spool);
	else
		kill_spool(spool);
	fail_reads(".seg", first, 1 << 20);
	spool = open_spool();
	assert_int_equal(counter_of(spool, SPOOL_UNREAD_SEGMENTS), 1);
	assert_int_equal(counter_of(spool, SPOOL_DAMAGED_SEGMENTS), 0);
	assert_int_equal(spool->writer_state.gap_count, 0);
	return spool;
}

/* Live records and the retries do not disturb each other; then all is there. */
static void
live_then_read(struct spool *spool, uint64_t doubt)
{
	struct spool_batch batch;
	uint64_t missing;

	append(spool, 5);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(peek(spool, LINK_LANE_EVENT, &batch), -EIO);
	assert_int_equal(counter_of(spool, SPOOL_READ_ERRORS), 3);
	append(spool, 5);
	assert_int_equal(spool->writer_state.gap_count, 0);
	fail_reads(NULL, 0, 0);
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 20);
	assert_int_equal(missing, doubt);
	assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS), 0);
	spool_flush(spool);
	assert_int_equal(counter_of(spool, SPOOL_DAMAGED_SEGMENTS), 0);
	assert_false(has_damaged());
}

/* All numbers are known after a clean stop. */
static void
test_clean_stop(void **state)
{
	static const off_t firsts[] = { 0, SEGMENT_HEADER_LEN, 300 };

	for (unsigned int i = 0; i < 3; i++) {
		struct spool *spool = start_blind(true, firsts[i]);

		live_then_read(spool, 0);
		assert_int_equal(spool_get_appended(spool, LINK_LANE_EVENT), 20);
		spool_destroy(spool);
		assert_int_equal(teardown(NULL), 0);
		assert_int_equal(setup_eio(NULL), 0);
	}
}

/* Else they go on at the reservation, and a gap says so once the end of the segment is known. */
static void
test_killed(void **state)
{
	struct spool *spool = start_blind(false, 300);
	uint64_t missing;

	live_then_read(spool, SPOOL_RESERVE_STEP - 10);
	assert_int_equal(read_all(spool, LINK_LANE_STATS, &missing), 1);
	assert_non_null(strstr(lines.data, "\"lane\":\"event\",\"first\":11,\"last\":1048576,\"reason\":\"unclean_stop\""));
	spool_destroy(spool);
}

/* The next start finds the segment readable, with nothing written behind it: the gap is owed then, once. */
static void
test_killed_again(void **state)
{
	struct spool *spool = start_blind(false, 300);
	uint64_t missing;

	kill_spool(spool);
	fail_reads(NULL, 0, 0);
	spool = open_spool();
	assert_int_equal(spool->writer_state.gap_count, 1);
	assert_int_equal(spool->writer_state.gaps[0].first, 11);
	append(spool, 1);
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 11);
	assert_int_equal(missing, SPOOL_RESERVE_STEP - 10);
	assert_int_equal(read_all(spool, LINK_LANE_STATS, &missing), 1);
	spool_destroy(spool);
}

/* Killed once more after records were written behind it: the reader still knows what the gap is. */
static void
test_killed_behind(void **state)
{
	struct spool *spool = start_blind(false, 300);
	uint64_t missing;

	append(spool, 5);
	kill_spool(spool);
	fail_reads(NULL, 0, 0);
	spool = open_spool();
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 15);
	assert_int_equal(missing, SPOOL_RESERVE_STEP - 10);
	assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS), 0);
	spool_destroy(spool);
}

/* A bad place inside: the end is found behind it, and no number is in doubt. */
static void
test_place_inside(void **state)
{
	struct spool *spool = open_spool();
	struct spool_batch batch;
	uint64_t missing;

	config.size = 16 * 65536;
	config.segment_size = 65536;
	spool_destroy(spool);
	spool = open_spool();
	append(spool, 300);
	kill_spool(spool);
	fail_reads(".seg", 9000, 9001);
	spool = open_spool();
	assert_int_equal(spool_get_appended(spool, LINK_LANE_EVENT), 300);
	assert_int_equal(spool->writer_state.gap_count, 0);
	append(spool, 5);
	assert_int_equal(peek(spool, LINK_LANE_EVENT, &batch), -EIO);
	fail_reads(NULL, 0, 0);
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 305);
	assert_int_equal(missing, 0);
	spool_destroy(spool);
}

/* What stays unreadable is given up in the end, as a loss that is reported: live records do not wait for ever. */
static void
test_for_ever(void **state)
{
	struct spool *spool = start_blind(true, 0);
	struct spool_batch batch;
	uint64_t missing;

	append(spool, 5);
	assert_int_equal(peek(spool, LINK_LANE_EVENT, &batch), -EIO);
	spool->read_patience_ms = 0;
	bad_name = "event/0000000000000001.seg";
	assert_int_equal(read_all(spool, LINK_LANE_EVENT, &missing), 5);
	assert_int_equal(missing, 10);
	assert_int_equal(counter_of(spool, SPOOL_CORRUPT_RECORDS), 10);
	spool_flush(spool);
	fail_reads(NULL, 0, 0);
	assert_int_equal(read_all(spool, LINK_LANE_STATS, &missing), 1);
	assert_non_null(strstr(lines.data, "\"first\":1,\"last\":10,\"reason\":\"damaged\""));
	spool_destroy(spool);
}

/* Nothing was ever in it: its name is free for what comes. */
static void
test_empty_segment(void **state)
{
	struct spool *spool = open_spool();

	append(spool, 3);
	spool_ack(spool, LINK_LANE_EVENT, 3);
	spool_give_up(spool, LINK_LANE_EVENT, 1);
	spool_flush(spool);
	spool_destroy(spool);
	fail_reads(".seg", 0, 1 << 20);
	spool = open_spool();
	append(spool, 2);
	assert_int_equal(spool_get_appended(spool, LINK_LANE_EVENT), 6);
	assert_int_equal(counter_of(spool, SPOOL_WRITE_ERRORS), 0);
	spool_destroy(spool);
}

/* Without its state a spool would begin anew, and send again what was sent: it does not open, and changes nothing. */
static void
test_state(void **state)
{
	struct spool *spool = open_spool();
	struct spool *other = NULL;
	uint64_t epoch = spool_get_epoch(spool);

	append(spool, 3);
	spool_destroy(spool);
	fail_reads("reader.state", 0, 1);
	assert_int_equal(spool_create(&other, &config), -EIO);
	fail_reads("writer.state", SLOT_LEN, 2 * SLOT_LEN);
	assert_int_equal(spool_create(&other, &config), -EIO);
	fail_reads(NULL, 0, 0);
	spool = open_spool();
	assert_int_equal(spool_get_epoch(spool), epoch);
	spool_destroy(spool);
}

/* A gap record that is lost in its turn is written again. */
static void
test_gap_record(void **state)
{
	struct spool *spool = open_spool();
	uint64_t missing;

	append(spool, 1);
	spool_give_up(spool, LINK_LANE_EVENT, 2);
	spool_flush(spool);
	assert_int_equal(spool_get_appended(spool, LINK_LANE_STATS), 1);
	spool->read_patience_ms = 0;
	assert_int_equal(spool_report_gap(spool, LINK_LANE_STATS, 1, 1, SPOOL_GAP_DAMAGED), 0);
	spool_ack(spool, LINK_LANE_STATS, 1);
	spool_flush(spool);
	assert_int_equal(read_all(spool, LINK_LANE_STATS, &missing), 2);
	assert_non_null(strstr(lines.data, "\"lane\":\"event\",\"first\":2,\"last\":3"));
	spool_destroy(spool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clean_stop, setup_eio, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup_eio, teardown),
		cmocka_unit_test_setup_teardown(test_killed_again, setup_eio, teardown),
		cmocka_unit_test_setup_teardown(test_killed_behind, setup_eio, teardown),
		cmocka_unit_test_setup_teardown(test_place_inside, setup_eio, teardown),
		cmocka_unit_test_setup_teardown(test_for_ever, setup_eio, teardown),
		cmocka_unit_test_setup_teardown(test_empty_segment, setup_eio, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup_eio, teardown),
		cmocka_unit_test_setup_teardown(test_gap_record, setup_eio, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
