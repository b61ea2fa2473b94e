#include "test/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/service.h"
#include "test/folder.h"

static char dir[TEST_FOLDER_LEN];

static int
setup(void **state)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return test_folder_make(dir, "/tmp", "test_service");
}

static int
teardown(void **state)
{
	return test_folder_remove(dir);
}

static void
heard(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[64] = "";

	assert_true(fd >= 0);
	assert_true(strlen(name) < sizeof(at.sun_path));
	memcpy(at.sun_path, name, strlen(name));
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(service_tell("READY=1"), 0);
	assert_int_equal(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), 7);
	assert_string_equal(text, "READY=1");
	/* Nobody reads: it does not wait for ever. */
	for (unsigned int i = 0; i < 100000; i++)
		if (service_tell("WATCHDOG=1") != 0)
			break;
	assert_int_equal(service_tell("WATCHDOG=1"), -EAGAIN);
	close(fd);
	assert_int_equal(service_tell("WATCHDOG=1"), -ECONNREFUSED);
}

static void
a_manager_hears(void **state)
{
	char path[TEST_FOLDER_LEN + 16];

	assert_int_equal(service_tell("READY=1"), 0);
	snprintf(path, sizeof(path), "%s/notify", dir);
	heard(path);
	snprintf(path, sizeof(path), "@millrace-test-%d", getpid());
	heard(path);
}

static void
odd_names_are_refused(void **state)
{
	static char longest[200];

	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(service_tell("READY=1"), -EINVAL);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	setenv("NOTIFY_SOCKET", longest, 1);
	assert_int_equal(service_tell("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
	assert_int_equal(service_tell("READY=1"), -ENOENT);
}

static void
watchdog_of_this_process(void **state)
{
	char pid[16];

	assert_int_equal(service_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(service_watchdog_ms(), 15000);
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(service_watchdog_ms(), 15000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(service_watchdog_ms(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "x", 1);
	assert_int_equal(service_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "99999999999999999999999", 1);
	assert_int_equal(service_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "1", 1);
	assert_int_equal(service_watchdog_ms(), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_manager_hears, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_names_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(watchdog_of_this_process, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
