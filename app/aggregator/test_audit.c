#include "test/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/aggregator/api_audit.h"
#include "test/folder.h"

static char dir[TEST_FOLDER_LEN], path[TEST_FOLDER_LEN + 32], moved[TEST_FOLDER_LEN + 32];
static struct api_audit *audit;
static struct api_audit_config config;

static int
setup(void **state)
{
	assert_int_equal(test_folder_make(dir, "/tmp", "test_audit"), 0);
	snprintf(path, sizeof(path), "%s/audit", dir);
	snprintf(moved, sizeof(moved), "%s/moved", dir);
	config = (struct api_audit_config){ .path = path, .size_max = 4096, .files_max = 2 };
	return 0;
}

static int
teardown(void **state)
{
	api_audit_destroy(audit);
	audit = NULL;
	return test_folder_remove(dir);
}

static void
note(const char *uri)
{
	const struct api_audit_entry entry = { .address = "192.0.2.1", .method = "GET", .uri = uri, .status = 200 };

	api_audit_note(audit, &entry);
}

static uint64_t
count_of(enum api_audit_counter counter)
{
	return counter_get(&api_audit_counter_set(audit).values[counter]);
}

/* @return lines, each of which must be whole */
static unsigned int
lines_of(const char *name)
{
	FILE *file = fopen(name, "r");
	char line[4096];
	unsigned int count = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		size_t len = strlen(line);

		assert_true(line[0] == '{' && strcmp(line + len - 2, "}\n") == 0);
		count++;
	}
	fclose(file);
	return count;
}

static void
a_file_that_was_moved_is_begun_anew(void **state)
{
	assert_int_equal(api_audit_create(&audit, &config), 0);
	note("/v1/a");
	assert_int_equal(rename(path, moved), 0);
	note("/v1/b");
	note("/v1/c");
	assert_int_equal(lines_of(moved), 1);
	assert_int_equal(lines_of(path), 2);
	assert_int_equal(unlink(path), 0);
	note("/v1/d");
	assert_int_equal(lines_of(path), 1);
}

static void
no_half_line_stays(void **state)
{
	struct rlimit before, small;

	assert_int_equal(api_audit_create(&audit, &config), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	note("/v1/a");
	small = (struct rlimit){ .rlim_cur = 300, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	note("/v1/b");
	note("/v1/c");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_not_equal(count_of(API_AUDIT_LOST), 0);
	note("/v1/d");
	assert_int_equal(lines_of(path), count_of(API_AUDIT_WRITTEN));
}

/* As root, /dev/null would be renamed. */
static void
a_device_is_not_rotated(void **state)
{
	struct stat status;
	int end;

	assert_int_equal(mkfifo(path, 0600), 0);
	end = open(path, O_RDWR | O_NONBLOCK);
	assert_true(end >= 0);
	config.size_max = 1;
	assert_int_equal(api_audit_create(&audit, &config), 0);
	for (unsigned int i = 0; i < 4; i++)
		note("/v1/a");
	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISFIFO(status.st_mode));
	close(end);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_that_was_moved_is_begun_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(no_half_line_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_device_is_not_rotated, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
