/*
 * A segment of 64 KiB with each bit turned and cut at each byte: no wrong record is ever handed out, the damage costs the
 * record it hits and no other, and the loss is reported. `test_spool_damage all` tries every bit and byte; else a sample.
 */
#include "lib/spool/test_spool.h"

#include <fcntl.h>

#include "lib/base/log.h"

enum { SEGMENT_SIZE = 64 * 1024, FILES_MAX = 2 * 4096 };

static bool all;

static struct {
	uint64_t faults, delivered, lost;
} ledger;

static struct image segment;
static uint32_t entry_of[SEGMENT_SIZE]; /* sequence of the record that a byte belongs to; 0: the header */
static uint64_t record_count;

static int
setup_damage(void **state)
{
	int rc = setup(state);

	config.segment_size = SEGMENT_SIZE;
	config.size = 16 * SEGMENT_SIZE;
	log_set_level(LOG_LEVEL_ERROR - 1);
	ledger.faults = ledger.delivered = ledger.lost = 0;
	return rc;
}

static int
teardown_damage(void **state)
{
	printf("  %" PRIu64 " faults, %" PRIu64 " records delivered, %" PRIu64 " lost and reported, 0 wrong, 0 unreported\n",
		ledger.faults, ledger.delivered, ledger.lost);
	return teardown(state);
}

/* Writes the lane until its first segment is full; with more, until a second one is begun. */
static void
fill(struct spool *spool, bool more)
{
	struct spool_lane *lane = &spool->lanes[LINK_LANE_EVENT];
	uint64_t next = 1;

	while (next * 2 * 64 < SEGMENT_SIZE || lane->file_len + lane->buffer_len + 256 < SEGMENT_SIZE)
		next = append_one(spool, LINK_LANE_EVENT) + 1;
	if (more)
		while (lane->segment_count < 2)
			next = append_one(spool, LINK_LANE_EVENT) + 1;
	spool_flush(spool);
	image_load(&segment, "event/0000000000000001.seg");
	memset(entry_of, 0, sizeof(entry_of));
	record_count = 0;
	for (size_t at = SEGMENT_HEADER_LEN; at < segment.len;) {
		struct segment_entry entry;

		memcpy(&entry, segment.data + at, sizeof(entry));
		record_count++;
		for (size_t i = 0; i < SEGMENT_ENTRY_LEN + entry.len; i++)
			entry_of[at++] = (uint32_t)record_count;
	}
	assert_true(segment.len > SEGMENT_SIZE - 300);
}

/* As after a start: the reader knows nothing of the file. */
static void
forget(struct spool *spool)
{
	segment_reader_close(&spool->lanes[LINK_LANE_EVENT].reader);
	spool->lanes[LINK_LANE_EVENT].reader.chunk_len = 0;
}

/* What the reader found lost is what it asked the writer to report. */
static void
check_requests(struct spool *spool, uint64_t missing, uint64_t first)
{
	uint32_t tail = atomic_load(&spool->request_tail);
	uint64_t reported = 0;

	for (uint32_t i = atomic_load(&spool->request_head); i != tail; i++) {
		const struct spool_gap_request *request = &spool->requests[i % SPOOL_GAP_REQUESTS_MAX];

		assert_int_equal(request->first, first);
		assert_int_equal(request->reason, SPOOL_GAP_DAMAGED);
		reported += request->last - request->first + 1;
	}
	assert_int_equal(reported, missing);
	atomic_store(&spool->request_head, tail);
}

static void
note(uint64_t seen, uint64_t lost)
{
	ledger.faults++;
	ledger.delivered += seen;
	ledger.lost += lost;
}

static void
test_bit_in_the_middle(void **state)
{
	struct spool *spool = open_spool();

	fill(spool, true);
	uint64_t appended = spool_get_appended(spool, LINK_LANE_EVENT);

	for (size_t bit = 0; bit < 8 * segment.len; bit += all ? 1 : 1009) {
		uint64_t missing;
		uint8_t turned = segment.data[bit / 8] ^ (uint8_t)(1 << bit % 8);
		int fd = open(segment.path, O_WRONLY);

		assert_int_equal(pwrite(fd, &turned, 1, (off_t)(bit / 8)), 1);
		forget(spool);
		uint64_t seen = read_all(spool, LINK_LANE_EVENT, &missing);

		assert_int_equal(missing, entry_of[bit / 8] != 0);
		assert_int_equal(seen, appended - missing);
		check_requests(spool, missing, entry_of[bit / 8]);
		note(seen, missing);
		assert_int_equal(pwrite(fd, &segment.data[bit / 8], 1, (off_t)(bit / 8)), 1);
		close(fd);
	}
	spool_destroy(spool);
}

static void
test_cut_in_the_middle(void **state)
{
	struct spool *spool = open_spool();

	fill(spool, true);
	uint64_t appended = spool_get_appended(spool, LINK_LANE_EVENT);

	for (size_t cut = segment.len; cut-- > 0; cut -= all || cut < 256 ? 0 : 499) {
		uint64_t missing;
		uint64_t whole = cut < SEGMENT_HEADER_LEN ? 0 : entry_of[cut] - 1;

		assert_int_equal(truncate(segment.path, (off_t)cut), 0);
		forget(spool);
		uint64_t seen = read_all(spool, LINK_LANE_EVENT, &missing);

		assert_int_equal(missing, record_count - whole);
		assert_int_equal(seen, appended - missing);
		check_requests(spool, missing, whole + 1);
		note(seen, missing);
	}
	spool_destroy(spool);
}

/* Numbers in [1, next) that are owed as a gap. */
static uint64_t
count_owed(const struct spool *spool, uint64_t next)
{
	uint64_t owed = 0;

	for (uint64_t i = 0; i < spool->writer_state.gap_count; i++) {
		const struct spool_gap *gap = &spool->writer_state.gaps[i];

		assert_int_equal(gap->lane, LINK_LANE_EVENT);
		assert_true(gap->first >= 1 && gap->last < next);
		owed += gap->last - gap->first + 1;
	}
	return owed;
}

/* The spool opens over the damaged segment, which is its last, and goes on. */
static void
start_over(uint64_t lost)
{
	struct spool *spool = open_spool();
	uint64_t seq = append_one(spool, LINK_LANE_EVENT);
	uint64_t missing;

	assert_int_not_equal(seq, 0);
	spool_flush(spool);
	uint64_t seen = read_all(spool, LINK_LANE_EVENT, &missing);

	spool_flush(spool);
	assert_int_equal(seen + missing, seq);
	assert_int_equal(seen, record_count - lost + 1);
	assert_int_equal(count_owed(spool, seq), missing);
	note(seen, missing);
	spool_destroy(spool);
}

static void
restore(const struct image states[2], size_t len)
{
	assert_int_equal(teardown(NULL), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	char path[128];

	snprintf(path, sizeof(path), "%s/event", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	image_store(&states[0], states[0].len);
	image_store(&states[1], states[1].len);
	image_store(&segment, len);
	assert_int_equal(buf_create(&lines, SPOOL_RECORD_LEN_MAX + 1), 0);
}

static void
test_last_segment(void **state)
{
	static struct image states[2];
	struct spool *spool = open_spool();

	fill(spool, false);
	spool_destroy(spool);
	image_load(&states[0], "writer.state");
	image_load(&states[1], "reader.state");
	for (size_t bit = 0; bit < 8 * segment.len; bit += all ? 1 : 16411) {
		segment.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		restore(states, segment.len);
		segment.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		start_over(entry_of[bit / 8] != 0);
	}
	for (size_t cut = 0; cut <= segment.len; cut += all ? 1 : 2047) {
		restore(states, cut);
		start_over(cut == segment.len ? 0 : record_count - (cut < SEGMENT_HEADER_LEN ? 0 : entry_of[cut] - 1));
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bit_in_the_middle, setup_damage, teardown_damage),
		cmocka_unit_test_setup_teardown(test_cut_in_the_middle, setup_damage, teardown_damage),
		cmocka_unit_test_setup_teardown(test_last_segment, setup_damage, teardown_damage),
	};

	all = argc > 1 && strcmp(argv[1], "all") == 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
