#include "test/test.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/hold.h"
#include "test/folder.h"

static char dir[TEST_FOLDER_LEN];

static int
setup(void **state)
{
	return test_folder_make(dir, "/tmp", "test_hold");
}

static int
teardown(void **state)
{
	return test_folder_remove(dir);
}

static void
processes_take_turns(void **state)
{
	char file[TEST_FOLDER_LEN + 8];
	int status = -1, held = hold_folder(dir);
	pid_t other;

	snprintf(file, sizeof(file), "%s/x", dir);
	assert_true(held >= 0);
	other = fork();
	if (other == 0) {
		/* Its copy of the hold is none of its own. */
		hold_let_go(held);
		_exit(hold_folder_of(file) >= 0 ? 7 : 1);
	}
	usleep(50000);
	assert_int_equal(waitpid(other, &status, WNOHANG), 0);
	hold_let_go(held);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(WEXITSTATUS(status), 7);
	/* It went with its hold. */
	held = hold_folder(dir);
	assert_true(held >= 0);
	hold_let_go(held);
}

static void
one_has_a_file(void **state)
{
	char file[TEST_FOLDER_LEN + 8];

	snprintf(file, sizeof(file), "%s/x", dir);
	int held = hold_file(file);

	assert_true(held >= 0);
	assert_int_equal(hold_file(file), -EBUSY);
	hold_let_go(held);
	held = hold_file(file);
	assert_true(held >= 0);
	hold_let_go(held);
	assert_int_equal(hold_file("/nonexistent/x"), -ENOENT);
}

static void
folders_that_are_none(void **state)
{
	int held = hold_folder_of("x");

	assert_true(held >= 0);
	hold_let_go(held);
	assert_int_equal(hold_folder("/nonexistent"), -ENOENT);
	assert_int_equal(hold_folder_of("/nonexistent/x"), -ENOENT);
	assert_int_equal(hold_folder("/proc/self/status"), -ENOTDIR);
	hold_let_go(-ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(processes_take_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(one_has_a_file, setup, teardown),
		cmocka_unit_test(folders_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
