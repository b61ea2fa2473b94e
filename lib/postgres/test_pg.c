/* A thread that has others to serve is not held up by a server that is silent or away; without patience it waits. */
#include "test/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/postgres/pg.h"

enum { PATIENCE_MS = 300, AT_ONCE_MS = 150, PATIENCE_OVER_MS = 2500, BACK_MS = 15000, MESSAGE_MAX = 4096 };

/* As much of a server as a client needs to see (PostgreSQL 15, 55.7). */
enum mode { GOOD, SILENT, NO_GREETING };

static _Atomic enum mode mode;
static int listen_fd;

static void
say(int fd, const char *bytes, size_t len)
{
	(void)!send(fd, bytes, len, MSG_NOSIGNAL);
}

static bool
read_all(int fd, uint8_t *out, size_t len)
{
	return len == 0 || recv(fd, out, len, MSG_WAITALL) == (ssize_t)len;
}

static uint32_t
be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

#define SAY(fd, text) say(fd, text, sizeof(text) - 1)
#define READY "Z\0\0\0\5I"

/* Answers a statement, or leaves it. @return false: the client has gone */
static bool
serve_message(int fd)
{
	uint8_t head[5], body[MESSAGE_MAX];

	if (!read_all(fd, head, sizeof(head)) || be32(head + 1) > sizeof(body) || !read_all(fd, body, be32(head + 1) - 4))
		return false;
	if (atomic_load(&mode) != GOOD)
		return true;
	if (head[0] == 'Q' && memcmp(body, "COMMIT", 6) == 0)
		SAY(fd, "C\0\0\0\13COMMIT\0" READY);
	else if (head[0] == 'Q')
		SAY(fd, "C\0\0\0\10SET\0" READY);
	else if (head[0] == 'S')
		SAY(fd, "1\0\0\0\4" "2\0\0\0\4" "n\0\0\0\4" "C\0\0\0\15UPDATE 7\0" READY);
	return head[0] != 'X';
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint8_t startup[MESSAGE_MAX];

	if (read_all(fd, startup, 4) && be32(startup) <= sizeof(startup) && read_all(fd, startup, be32(startup) - 4)) {
		while (atomic_load(&mode) == NO_GREETING)
			usleep(10000);
		SAY(fd, "R\0\0\0\10\0\0\0\0" READY);
		while (serve_message(fd))
			;
	}
	close(fd);
	return NULL;
}

static void *
accept_all(void *unused)
{
	pthread_t thread;
	int fd;

	while ((fd = accept(listen_fd, NULL, NULL)) >= 0)
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	return NULL;
}

static pthread_t acceptor;
static char url[128];

static int
setup(void **unused)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	atomic_store(&mode, GOOD);
	listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listen_fd, (struct sockaddr *)&address, len) != 0 || listen(listen_fd, 8) != 0 ||
		getsockname(listen_fd, (struct sockaddr *)&address, &len) != 0)
		return -1;
	snprintf(url, sizeof(url), "host=127.0.0.1 port=%u user=x sslmode=disable gssencmode=disable connect_timeout=2",
		ntohs(address.sin_port));
	return pthread_create(&acceptor, NULL, accept_all, NULL);
}

static int
teardown(void **unused)
{
	atomic_store(&mode, GOOD);
	shutdown(listen_fd, SHUT_RDWR);
	pthread_join(acceptor, NULL);
	close(listen_fd);
	return 0;
}

static int
timed(struct pg *pg, uint64_t *took_ms)
{
	uint64_t begin_ms = clock_ms();
	int rows = pg_run(pg, "UPDATE t SET a = $1", "n", (int64_t)1);

	*took_ms = clock_ms() - begin_ms;
	return rows;
}

static void
expect_back(struct pg *pg)
{
	uint64_t end_ms = clock_ms() + BACK_MS;
	uint64_t took_ms;

	while (timed(pg, &took_ms) != 7 && clock_ms() < end_ms) {
		assert_true(took_ms < PATIENCE_OVER_MS);
		usleep(10000);
	}
	assert_true(pg_is_connected(pg));
}

static void
a_silent_server_is_given_up(void **unused)
{
	struct pg *pg = NULL;
	uint64_t took_ms;

	assert_int_equal(pg_open(&pg, url, "test"), 0);
	pg_set_patience(pg, PATIENCE_MS);
	assert_int_equal(timed(pg, &took_ms), 7);
	atomic_store(&mode, SILENT);
	assert_int_equal(timed(pg, &took_ms), -EIO);
	assert_in_range(took_ms, PATIENCE_MS, PATIENCE_OVER_MS);
	assert_false(pg_is_connected(pg));
	/* And one that accepts connections and says nothing: it is somebody else who waits for it. */
	atomic_store(&mode, NO_GREETING);
	assert_int_equal(timed(pg, &took_ms), -EIO);
	assert_true(took_ms < PATIENCE_OVER_MS);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(timed(pg, &took_ms), -EIO);
		assert_true(took_ms < AT_ONCE_MS);
	}
	atomic_store(&mode, GOOD);
	expect_back(pg);
	pg_close(pg);
}

static void
a_commit_is_given_up(void **unused)
{
	struct pg *pg = NULL;
	uint64_t begin_ms;

	assert_int_equal(pg_open(&pg, url, "test"), 0);
	pg_set_patience(pg, PATIENCE_MS);
	assert_int_equal(pg_begin(pg), 0);
	assert_int_equal(pg_commit(pg), 0);
	assert_int_equal(pg_begin(pg), 0);
	atomic_store(&mode, SILENT);
	begin_ms = clock_ms();
	assert_int_equal(pg_commit(pg), -EIO);
	assert_in_range(clock_ms() - begin_ms, PATIENCE_MS, PATIENCE_OVER_MS);
	assert_false(pg_in_transaction(pg));
	atomic_store(&mode, GOOD);
	expect_back(pg);
	/* Closed while somebody tries. */
	atomic_store(&mode, NO_GREETING);
	assert_int_equal(timed(pg, &begin_ms), -EIO);
	pg_close(pg);
}

static void
without_patience_it_waits(void **unused)
{
	struct pg *pg = NULL;
	uint64_t took_ms;

	assert_int_equal(pg_open(&pg, url, "test"), 0);
	assert_int_equal(timed(pg, &took_ms), 7);
	pg_close(pg);
	shutdown(listen_fd, SHUT_RDWR);
	assert_int_equal(pg_open(&pg, url, "test"), -EIO);
}

static void
weak_ways_are_named(void **unused)
{
	static const char *const good[] = { "host=127.0.0.1,::1 dbname=x", "postgresql:///x", "host=/run/postgresql", "dbname=x",
		"postgresql://u:p@db.example/x?sslmode=verify-full", "host=db.example sslmode=verify-ca" };
	static const char *const plain[] = { "postgresql://u:p@db.example/x", "host=127.0.0.1,db.example", "host=db.example sslmode=prefer",
		"hostaddr=192.0.2.1 host=localhost" };

	unsetenv("PGSSLMODE");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(pg_weakness(good[i]));
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		assert_non_null(strstr(pg_weakness(plain[i]), "unencrypted"));
	assert_non_null(strstr(pg_weakness("host=db.example sslmode=require"), "who the server is"));
	setenv("PGSSLMODE", "verify-full", 1);
	assert_null(pg_weakness(plain[0]));
	assert_non_null(pg_weakness(plain[2]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_silent_server_is_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(a_commit_is_given_up, setup, teardown),
		cmocka_unit_test(weak_ways_are_named),
		cmocka_unit_test_setup_teardown(without_patience_it_waits, setup, teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
