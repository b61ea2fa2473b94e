#include "test/test.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/folder.h"
#include "test/folder.h"

enum { PATH_LEN = TEST_FOLDER_LEN + 32 };

static char dir[TEST_FOLDER_LEN];

static int
setup(void **state)
{
	return test_folder_make(dir, "/tmp", "test_folder");
}

static int
teardown(void **state)
{
	return test_folder_remove(dir);
}

static mode_t
mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static void
what_is_missing_is_made(void **state)
{
	char path[PATH_LEN];
	mode_t before = umask(022);

	snprintf(path, sizeof(path), "%s/a/b/c/file", dir);
	assert_int_equal(folder_make_above(path), 0);
	assert_int_equal(folder_make_above(path), 0);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/a/b/c", dir);
	assert_int_equal(mode_of(path), 0755);
	snprintf(path, sizeof(path), "%s/d/e", dir);
	assert_int_equal(folder_make(path, 0700), 0);
	assert_int_equal(mode_of(path), 0700);
	snprintf(path, sizeof(path), "%s/f/g//", dir);
	assert_int_equal(folder_make(path, 0700), 0);
	assert_int_equal(mode_of(path), 0700);
	/* One that is there keeps its mode. */
	assert_int_equal(folder_make(path, 0755), 0);
	assert_int_equal(mode_of(path), 0700);
	umask(before);
}

static void
what_cannot_be_made(void **state)
{
	char path[PATH_LEN];
	FILE *file;

	snprintf(path, sizeof(path), "%s/file", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(folder_make(path, 0700), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/file/below/it", dir);
	assert_int_equal(folder_make_above(path), -ENOTDIR);
	assert_int_equal(folder_make_above("/proc/none/file"), -ENOENT);
	assert_int_equal(folder_make_above("file"), 0);
	assert_int_equal(folder_make_above(""), 0);
	assert_int_equal(folder_make_above("/file"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_missing_is_made, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_made, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
