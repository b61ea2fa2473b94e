#include "test/test.h"

#include <errno.h>
#include <fcntl.h>
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
a_file_is_made_once(void **state)
{
	char path[PATH_LEN], link[PATH_LEN];
	mode_t before = umask(022);
	int fd;

	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(folder_make_file(link, NULL, 0600), -EEXIST);
	assert_int_equal(access(path, F_OK), -1);
	fd = folder_make_file(path, NULL, 0640);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(mode_of(path), 0640);
	assert_int_equal(folder_make_file(path, NULL, 0640), -EEXIST);
	snprintf(path, sizeof(path), "%s/none/file", dir);
	assert_int_equal(folder_make_file(path, NULL, 0640), -ENOENT);
	umask(before);
}

static uid_t
owner_after_making(const char *path, const char *replaces)
{
	struct stat status;
	int fd = folder_make_file(path, replaces, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_uid + 1, status.st_gid);
	close(fd);
	return status.st_uid;
}

/* A service that is not root's reads what an operator made as root. */
static void
what_root_makes_is_the_folders(void **state)
{
	enum { SERVICE = 12345, OTHER = 23456 };
	char path[PATH_LEN], older[PATH_LEN];
	struct stat status;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(dir, SERVICE, SERVICE + 1), 0);
	snprintf(path, sizeof(path), "%s/new", dir);
	snprintf(older, sizeof(older), "%s/older", dir);
	assert_int_equal(owner_after_making(older, NULL), SERVICE);
	assert_int_equal(chown(older, OTHER, OTHER + 1), 0);
	assert_int_equal(owner_after_making(path, older), OTHER);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(older), 0);
	assert_int_equal(owner_after_making(path, older), SERVICE);
	snprintf(path, sizeof(path), "%s/sub/sub", dir);
	assert_int_equal(folder_make(path, 0700), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, SERVICE);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(owner_after_making("here", NULL), SERVICE);
	assert_int_equal(chdir("/"), 0);
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

static void
what_can_be_made(void **state)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "%s/a/b/file", dir);
	assert_int_equal(folder_can_make(path), 0);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/file", dir);
	assert_int_equal(folder_can_make(path), 0);
	assert_int_equal(folder_make_file(path, NULL, 0600) < 0, 0);
	assert_int_equal(folder_can_make(path), 0);
	snprintf(path, sizeof(path), "%s/file/below", dir);
	assert_int_equal(folder_can_make(path), -ENOTDIR);
	assert_int_equal(folder_can_make(dir), -EISDIR);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(folder_can_make("here"), 0);
	assert_int_equal(folder_can_make("a/b/here"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(chmod(dir, 0500), 0);
	snprintf(path, sizeof(path), "%s/a/file", dir);
	/* Root may write anywhere. */
	assert_int_equal(folder_can_make(path), geteuid() == 0 ? 0 : -EACCES);
	assert_int_equal(folder_can_open(path), geteuid() == 0 ? 0 : -EACCES);
	snprintf(path, sizeof(path), "%s/file", dir);
	assert_int_equal(folder_can_open(path), 0);
	assert_int_equal(folder_can_open("/dev/null"), 0);
	assert_int_equal(folder_can_open(dir), -EISDIR);
	assert_int_equal(chmod(dir, 0700), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_missing_is_made, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_is_made_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_root_makes_is_the_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_made, setup, teardown),
		cmocka_unit_test_setup_teardown(what_can_be_made, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
