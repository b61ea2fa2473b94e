#include "lib/postgres/pg_listen.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

enum { ASK_MS = 1000, LISTEN_SQL_MAX = 96 };

struct pg_listener {
	PGconn *connection;
	const char *topic;
	char listen[LISTEN_SQL_MAX];
	pg_heard_fn heard;
	void *arg;
	_Atomic uint64_t answered_ms;
	pthread_t thread;
	bool running;
	int stop_fd;
};

/* What was committed before the question is heard before the time of its answer counts. */
static bool
ask(struct pg_listener *listener, const char *sql)
{
	uint64_t since_ms = clock_ms();
	PGresult *result = PQexec(listener->connection, sql);
	bool fine = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
	PGnotify *notify;

	PQclear(result);
	while ((notify = PQnotifies(listener->connection)) != NULL) {
		listener->heard(listener->arg, notify->extra);
		PQfreemem(notify);
	}
	if (fine)
		atomic_store(&listener->answered_ms, since_ms);
	return fine;
}

static bool
is_stopped(const struct pg_listener *listener, int wait_ms)
{
	struct pollfd wait = { .fd = listener->stop_fd, .events = POLLIN };

	return poll(&wait, 1, wait_ms) > 0;
}

static void
connect_again(struct pg_listener *listener)
{
	log_warning(listener->topic, "postgres: the connection for news is lost: %.*s",
		(int)strcspn(PQerrorMessage(listener->connection), "\n"), PQerrorMessage(listener->connection));
	do {
		PQreset(listener->connection);
		if (PQstatus(listener->connection) == CONNECTION_OK && ask(listener, listener->listen)) {
			listener->heard(listener->arg, NULL);
			return;
		}
	} while (!is_stopped(listener, ASK_MS));
}

static void *
run(void *arg)
{
	struct pg_listener *listener = arg;

	for (;;) {
		struct pollfd waits[2] = { { .fd = listener->stop_fd, .events = POLLIN },
			{ .fd = PQsocket(listener->connection), .events = POLLIN } };

		(void)poll(waits, 2, ASK_MS);
		if (is_stopped(listener, 0))
			return NULL;
		if (PQstatus(listener->connection) != CONNECTION_OK || !ask(listener, "SELECT 1"))
			connect_again(listener);
	}
}

int
pg_listener_create(struct pg_listener **out, const char *url, const char *topic, const char *channel,
	pg_heard_fn heard, void *arg)
{
	/* What the url says itself wins. A server that is gone is noticed by what it does not confirm. */
	static const char *const keys[] = { "connect_timeout", "tcp_user_timeout", "fallback_application_name", "dbname", NULL };
	const char *const values[] = { "5", "10000", "millrace", url, NULL };
	struct pg_listener *listener = calloc(1, sizeof(*listener));
	int err = 0;

	if (listener == NULL)
		return -ENOMEM;
	*listener = (struct pg_listener){ .topic = topic, .heard = heard, .arg = arg };
	snprintf(listener->listen, sizeof(listener->listen), "LISTEN %s", channel);
	listener->stop_fd = eventfd(0, EFD_CLOEXEC);
	listener->connection = PQconnectdbParams(keys, values, 1);
	if (listener->stop_fd < 0 || listener->connection == NULL) {
		err = -ENOMEM;
	} else if (PQstatus(listener->connection) != CONNECTION_OK || !ask(listener, listener->listen)) {
		log_error(topic, "postgres: %.*s", (int)strcspn(PQerrorMessage(listener->connection), "\n"),
			PQerrorMessage(listener->connection));
		err = -EIO;
	} else {
		err = -pthread_create(&listener->thread, NULL, run, listener);
	}
	listener->running = err == 0;
	if (err != 0) {
		pg_listener_destroy(listener);
		return err;
	}
	*out = listener;
	return 0;
}

void
pg_listener_destroy(struct pg_listener *listener)
{
	static const uint64_t one = 1;

	if (listener == NULL)
		return;
	if (listener->running) {
		if (write(listener->stop_fd, &one, sizeof(one)) != sizeof(one))
			log_error(listener->topic, "postgres: stop: %s", strerror(errno));
		pthread_join(listener->thread, NULL);
	}
	if (listener->stop_fd >= 0)
		close(listener->stop_fd);
	PQfinish(listener->connection);
	free(listener);
}

bool
pg_listener_is_current(const struct pg_listener *listener)
{
	return clock_ms() - atomic_load(&listener->answered_ms) < PG_LISTEN_CURRENT_MS;
}
