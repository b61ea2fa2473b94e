/* Records encrypted on the disk: nothing of them can be read there, and a wrong key changes nothing. */
#include "lib/spool/test_spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "lib/base/log.h"

enum { FILES_LEN_MAX = 4 << 20 };

static const enum link_lane LANE = LINK_LANE_EVENT;

static char key_path[128];

static void
write_key(char digit)
{
	char text[66];
	int fd = open(key_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	memset(text, digit, 64);
	text[64] = '\n';
	assert_int_equal(write(fd, text, 65), 65);
	close(fd);
}

static int
setup_seal(void **state)
{
	int rc = setup(state);

	snprintf(key_path, sizeof(key_path), "%s/key", dir);
	write_key('a');
	config.key_file = key_path;
	log_set_level(LOG_LEVEL_ERROR - 1);
	return rc;
}

/* All segments of the lane, one behind the other. */
static size_t
read_files(char *to)
{
	char path[128];
	size_t len = 0;

	snprintf(path, sizeof(path), "%s/event", dir);
	DIR *folder = opendir(path);

	assert_non_null(folder);
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		int fd = entry->d_name[0] == '.' ? -1 : openat(dirfd(folder), entry->d_name, O_RDONLY);
		ssize_t got;

		while (fd >= 0 && (got = read(fd, to + len, FILES_LEN_MAX - len)) > 0)
			len += (size_t)got;
		if (fd >= 0)
			close(fd);
	}
	closedir(folder);
	return len;
}

static void
test_nothing_readable(void **state)
{
	static char files[FILES_LEN_MAX];
	uint64_t missing;
	struct spool *spool = open_spool();

	for (unsigned int i = 0; i < 100; i++)
		append_one(spool, LANE);
	spool_flush(spool);
	size_t len = read_files(files);

	assert_true(len > 100 * 40);
	assert_null(memmem(files, len, "lane", 4));
	assert_null(memmem(files, len, "0123", 4));
	assert_int_equal(read_all(spool, LANE, &missing), 100);
	spool_destroy(spool);
	spool = open_spool();
	assert_int_equal(append_one(spool, LANE), 101);
	spool_flush(spool);
	assert_int_equal(read_all(spool, LANE, &missing), 101);
	assert_int_equal(missing, 0);
	spool_destroy(spool);
}

/* Killed and begun again at every step: no segment is ever written on, and none has another's salt. */
static void
test_nonces(void **state)
{
	uint64_t salts[20][2], missing;

	for (unsigned int i = 0; i < 20; i++) {
		int status;
		pid_t child = fork();

		if (child == 0) {
			struct spool *spool = open_spool();

			append_one(spool, LANE);
			spool_flush(spool);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		struct spool_lane lane = { .id = LANE, .dir_fd = -1 };
		char path[128];
		uint64_t *firsts;
		struct segment_header header;

		snprintf(path, sizeof(path), "%s/event", dir);
		lane.dir_fd = open(path, O_RDONLY | O_DIRECTORY);
		assert_int_equal(spool_lane_list(&lane, &firsts), i + 1);
		assert_int_equal(segment_header_read(&header, lane.dir_fd, LANE, firsts[i]), 0);
		assert_int_equal(header.version, SEGMENT_VERSION_SEALED);
		salts[i][0] = header.salt;
		salts[i][1] = header.salt_more;
		for (unsigned int k = 0; k < i; k++)
			assert_memory_not_equal(salts[k], salts[i], sizeof(salts[i]));
		free(firsts);
		close(lane.dir_fd);
	}
	struct spool *spool = open_spool();

	assert_int_equal(read_all(spool, LANE, &missing), 20);
	assert_int_equal(missing, 0);
	spool_destroy(spool);
}

static void
test_wrong_key(void **state)
{
	static char before[FILES_LEN_MAX], after[FILES_LEN_MAX];
	struct spool *spool = open_spool();
	uint64_t missing;

	for (unsigned int i = 0; i < 100; i++)
		append_one(spool, LANE);
	spool_destroy(spool);
	size_t len = read_files(before);

	write_key('b');
	assert_int_equal(spool_create(&spool, &config), -EKEYREJECTED);
	config.key_file = "";
	assert_int_equal(spool_create(&spool, &config), -ENOKEY);
	config.key_file = key_path;
	write_key('g');
	assert_int_equal(spool_create(&spool, &config), -EINVAL);
	assert_int_equal(chmod(key_path, 0644), 0);
	assert_int_equal(spool_create(&spool, &config), -EPERM);
	assert_int_equal(unlink(key_path), 0);
	assert_int_equal(spool_create(&spool, &config), -ENOENT);
	assert_int_equal(read_files(after), len);
	assert_memory_equal(before, after, len);
	write_key('A');
	spool = open_spool();
	assert_int_equal(read_all(spool, LANE, &missing), 100);
	assert_int_equal(missing, 0);
	/* Once all is delivered another key may come, or none. */
	spool_ack(spool, LANE, 100);
	spool_destroy(spool);
	write_key('b');
	spool = open_spool();
	assert_int_equal(append_one(spool, LANE), 101);
	spool_flush(spool);
	assert_int_equal(read_all(spool, LANE, &missing), 1);
	spool_ack(spool, LANE, 101);
	spool_destroy(spool);
	config.key_file = NULL;
	spool = open_spool();
	assert_int_equal(append_one(spool, LANE), 102);
	spool_destroy(spool);
	/* And a spool that was not encrypted goes on encrypted. */
	config.key_file = key_path;
	spool = open_spool();
	assert_int_equal(append_one(spool, LANE), 103);
	spool_flush(spool);
	assert_int_equal(read_all(spool, LANE, &missing), 2);
	assert_int_equal(missing, 0);
	spool_destroy(spool);
}

/* Damage, and damage by one who can mend the checksums but has no key. */
static void
test_damage(void **state)
{
	struct spool *spool = open_spool();
	uint64_t missing;
	char path[128];

	for (unsigned int i = 0; i < 20; i++)
		append_one(spool, LANE);
	spool_flush(spool);
	snprintf(path, sizeof(path), "%s/event/0000000000000001.seg", dir);
	int fd = open(path, O_RDWR);
	char whole[4096], turned[4096];
	ssize_t len = pread(fd, whole, sizeof(whole), 0);
	struct segment_header header;
	struct segment_entry entry;

	assert_true(len > 0);
	memcpy(&header, whole, sizeof(header));
	for (unsigned int bit = 8 * SEGMENT_HEADER_LEN; bit < 8 * (unsigned int)len; bit += 7) {
		memcpy(turned, whole, (size_t)len);
		turned[bit / 8] ^= (char)(1 << bit % 8);
		memcpy(&entry, turned + SEGMENT_HEADER_LEN, sizeof(entry));
		if (SEGMENT_HEADER_LEN + SEGMENT_ENTRY_LEN <= bit / 8 && bit / 8 < SEGMENT_HEADER_LEN + SEGMENT_ENTRY_LEN + entry.len) {
			entry.body_check = segment_body_check(entry.head_check, turned + SEGMENT_HEADER_LEN + SEGMENT_ENTRY_LEN,
				entry.len);
			memcpy(turned + SEGMENT_HEADER_LEN, &entry, sizeof(entry));
		}
		assert_int_equal(pwrite(fd, turned, (size_t)len, 0), len);
		segment_reader_close(&spool->lanes[LANE].reader);
		spool->lanes[LANE].reader.chunk_len = 0;
		assert_int_equal(read_all(spool, LANE, &missing), 19);
		assert_int_equal(missing, 1);
		spool_flush(spool);
	}
	close(fd);
	spool_destroy(spool);
}

static void
test_cut(void **state)
{
	uint64_t missing;
	char path[128];

	for (unsigned int cut = 0; cut < 600; cut += 11) {
		int status;
		pid_t child = fork();

		if (child == 0) {
			struct spool *spool = open_spool();

			for (unsigned int i = 0; i < 6; i++)
				append_one(spool, LANE);
			spool_flush(spool);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		snprintf(path, sizeof(path), "%s/event/0000000000000001.seg", dir);
		struct stat st;

		assert_int_equal(stat(path, &st), 0);
		if (st.st_size < (off_t)cut)
			break;
		assert_int_equal(truncate(path, (off_t)cut), 0);
		struct spool *spool = open_spool();
		uint64_t seen = read_all(spool, LANE, &missing);

		assert_int_equal(missing, 0);
		assert_int_equal(append_one(spool, LANE), seen + 1);
		spool_flush(spool);
		assert_int_equal(read_all(spool, LANE, &missing), seen + 1);
		assert_int_equal(missing, 0);
		spool_destroy(spool);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup_seal(state), 0);
	}
}

static void
test_seal_allocation(void **state)
{
	struct spool *spool = NULL;

	TEST_FAIL_EACH_ALLOC(spool_create(&spool, &config), == 0, spool_destroy(spool));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_readable, setup_seal, teardown),
		cmocka_unit_test_setup_teardown(test_nonces, setup_seal, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_key, setup_seal, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup_seal, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup_seal, teardown),
		cmocka_unit_test_setup_teardown(test_seal_allocation, setup_seal, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
