#include "lib/postgres/pg.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	PARAMS_MAX = 12,
	NUMBER_TEXT = 24,
	GREETING_MS = 5000,
	LOCK_MIGRATE = 0x6d720001, /* advisory: one program at a time changes the schema */
};

struct pg {
	PGconn *connection; /* the mender's while there is one that is not done */
	const char *topic;
	int error;
	bool in_transaction;
	uint64_t patience_ms; /* 0: every call waits as long as it takes */
	bool mending;
	pthread_t mender;
};

/* Values as libpq takes them; numbers are written here. */
struct params {
	const char *values[PARAMS_MAX];
	int lengths[PARAMS_MAX];
	int formats[PARAMS_MAX]; /* 1: binary */
	char numbers[PARAMS_MAX][NUMBER_TEXT];
	int count;
};

/* A dead server is noticed on either side: here by what was sent and not confirmed, there by probes, so that what a dead
 * gateway has locked becomes free. */
static const char session[] =
	"SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;"
	" SET client_min_messages = warning; SET idle_in_transaction_session_timeout = '120s'; SET timezone = 'UTC'";

static int
fail(struct pg *pg, const char *what, const PGresult *result)
{
	const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = result == NULL ? PQerrorMessage(pg->connection) : PQresultErrorMessage(result);

	pg->error = -EIO;
	if (state != NULL && (strcmp(state, "55P03") == 0 || strcmp(state, "40P01") == 0 || strcmp(state, "40001") == 0))
		pg->error = -EAGAIN;
	else if (state != NULL && strcmp(state, "23505") == 0)
		pg->error = -EEXIST;
	if (pg->error != -EAGAIN)
		log_error(pg->topic, "postgres: %.60s: %.*s", what, (int)strcspn(text, "\n"), text);
	return pg->error;
}

/* Until an answer has begun. @return false: it took too long */
static bool
wait_for_answer(PGconn *connection, uint64_t end_ms)
{
	while (PQisBusy(connection) == 1) {
		uint64_t now_ms = clock_ms();
		struct pollfd wait = { .fd = PQsocket(connection), .events = POLLIN };

		if (now_ms >= end_ms)
			return false;
		if (poll(&wait, 1, (int)(end_ms - now_ms)) > 0 && PQconsumeInput(connection) == 0)
			return true;
	}
	return true;
}

/* The last answer to what was sent. Of pg it touches the connection alone. @param sent whether it was */
static PGresult *
take_answer(struct pg *pg, bool sent, uint64_t wait_ms)
{
	uint64_t end_ms = clock_ms() + wait_ms;
	PGconn *connection = pg->connection;
	PGresult *last = NULL, *next;

	while (sent) {
		if (!wait_for_answer(connection, end_ms)) {
			log_error(pg->topic, "postgres: no answer within %llu ms", (unsigned long long)wait_ms);
			/* What comes of it is not known: so it is with a connection that broke. */
			shutdown(PQsocket(connection), SHUT_RDWR);
		}
		next = PQgetResult(connection);
		if (next == NULL)
			break;
		PQclear(last);
		last = next;
	}
	return last;
}

/* Also on the mender's thread, so that it touches the connection alone. A server may accept it and then be silent. */
static bool
greet(struct pg *pg)
{
	PGresult *result;
	bool fine = PQstatus(pg->connection) == CONNECTION_OK;

	if (fine) {
		result = take_answer(pg, PQsendQuery(pg->connection, session) == 1, GREETING_MS);
		fine = PQresultStatus(result) == PGRES_COMMAND_OK;
		PQclear(result);
	}
	if (!fine)
		log_error(pg->topic, "postgres: connect: %.*s", (int)strcspn(PQerrorMessage(pg->connection), "\n"),
			PQerrorMessage(pg->connection));
	return fine;
}

/* ---- with patience: nobody waits for a server that is not there, nor for one that does not answer ---- */

static void *
mend(void *arg)
{
	struct pg *pg = arg;

	/* Names, every host with its own bound: this may take long. */
	PQreset(pg->connection);
	(void)greet(pg);
	return NULL;
}

/* @return whether the connection is the caller's again */
static bool
take_back(struct pg *pg)
{
	if (pg->mending)
		pg->mending = pthread_tryjoin_np(pg->mender, NULL) != 0;
	return !pg->mending;
}

/* A server that is there is back at once; another is left to the mender. */
static void
start_mending(struct pg *pg)
{
	sigset_t all, before;
	struct timespec end;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pg->mending = pthread_create(&pg->mender, NULL, mend, pg) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)(pg->patience_ms / 1000);
	end.tv_nsec += (long)(pg->patience_ms % 1000) * 1000000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	if (pg->mending)
		pg->mending = pthread_clockjoin_np(pg->mender, NULL, CLOCK_MONOTONIC, &end) != 0;
}

static int
reconnect(struct pg *pg)
{
	if (pg_is_connected(pg))
		return 0;
	if (pg->patience_ms == 0) {
		PQreset(pg->connection);
		(void)greet(pg);
	} else if (!pg->mending) {
		start_mending(pg);
	}
	pg->error = pg_is_connected(pg) ? 0 : -EIO;
	return pg->error;
}

static PGresult *
run_text(struct pg *pg, const char *sql)
{
	return pg->patience_ms == 0 ? PQexec(pg->connection, sql) : take_answer(pg, PQsendQuery(pg->connection, sql) == 1, pg->patience_ms);
}

static PGresult *
run_params(struct pg *pg, const char *sql, const struct params *params)
{
	if (pg->patience_ms != 0)
		return take_answer(pg, PQsendQueryParams(pg->connection, sql, params->count, NULL, params->values, params->lengths,
			params->formats, 0) == 1, pg->patience_ms);
	return PQexecParams(pg->connection, sql, params->count, NULL, params->values, params->lengths, params->formats, 0);
}

void
pg_set_patience(struct pg *pg, uint64_t ms)
{
	pg->patience_ms = ms;
}

int
pg_open(struct pg **out, const char *url, const char *topic)
{
	/* What the url says itself wins. */
	static const char *const keys[] = { "connect_timeout", "tcp_user_timeout", "fallback_application_name", "dbname", NULL };
	const char *const values[] = { "5", "10000", "millrace", url, NULL };
	struct pg *pg = calloc(1, sizeof(*pg));
	int err;

	if (pg == NULL)
		return -ENOMEM;
	pg->topic = topic;
	pg->connection = PQconnectdbParams(keys, values, 1);
	err = pg->connection == NULL ? -ENOMEM : greet(pg) ? 0 : -EIO;
	if (err != 0) {
		pg_close(pg);
		return err;
	}
	*out = pg;
	return 0;
}

void
pg_close(struct pg *pg)
{
	if (pg == NULL)
		return;
	if (pg->mending)
		pthread_join(pg->mender, NULL);
	PQfinish(pg->connection);
	free(pg);
}

static bool
is_local(const char *host)
{
	return host[0] == '/' || host[0] == '@' || host[0] == '\0' || strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
		strcmp(host, "::1") == 0;
}

/* @param hosts  with commas between them; NULL: the local one */
static bool
are_local(const char *hosts)
{
	char text[1024];
	char *rest = text, *host;

	snprintf(text, sizeof(text), "%s", hosts == NULL ? "" : hosts);
	while ((host = strsep(&rest, ",")) != NULL)
		if (!is_local(host))
			return false;
	return true;
}

const char *
pg_weakness(const char *url)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	const char *mode = getenv("PGSSLMODE");
	bool local = true, required, checked;

	for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
		if (strcmp(option->keyword, "host") == 0 || strcmp(option->keyword, "hostaddr") == 0)
			local = local && are_local(option->val);
		else if (strcmp(option->keyword, "sslmode") == 0 && option->val != NULL)
			mode = option->val;
	}
	required = mode != NULL && strcmp(mode, "require") == 0;
	checked = mode != NULL && strncmp(mode, "verify-", strlen("verify-")) == 0;
	PQconninfoFree(options);
	if (local || checked)
		return NULL;
	return required ? "does not check who the server is: set sslmode=verify-full and sslrootcert" :
		"may go unencrypted, the password too: set sslmode=verify-full and sslrootcert";
}

int
pg_error(const struct pg *pg)
{
	return pg->error;
}

bool
pg_is_connected(struct pg *pg)
{
	return take_back(pg) && PQstatus(pg->connection) == CONNECTION_OK;
}

bool
pg_in_transaction(const struct pg *pg)
{
	return pg->in_transaction;
}

static void
read_params(struct params *out, const char *types, va_list arguments)
{
	out->count = 0;
	for (const char *type = types; *type != '\0' && out->count < PARAMS_MAX; type++) {
		int at = out->count++;

		out->lengths[at] = 0;
		out->formats[at] = *type == 'd';
		if (*type == 't') {
			out->values[at] = va_arg(arguments, const char *);
		} else if (*type == 'd') {
			out->values[at] = va_arg(arguments, const void *);
			out->lengths[at] = (int)va_arg(arguments, size_t);
		} else {
			snprintf(out->numbers[at], NUMBER_TEXT, "%" PRId64, va_arg(arguments, int64_t));
			out->values[at] = out->numbers[at];
		}
	}
}

static bool
went_well(const PGresult *result)
{
	return PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK;
}

static PGresult *
ask(struct pg *pg, const char *sql, const struct params *params)
{
	for (int attempt = 0;; attempt++) {
		PGresult *result;
		bool lost;

		if (!pg->in_transaction && reconnect(pg) != 0)
			return NULL;
		result = run_params(pg, sql, params);
		if (went_well(result))
			return result;
		lost = PQstatus(pg->connection) != CONNECTION_OK;
		if (!lost || pg->in_transaction || attempt > 0) {
			(void)fail(pg, sql, result);
			PQclear(result);
			return NULL;
		}
		PQclear(result);
	}
}

PGresult *
pg_ask_list(struct pg *pg, const char *sql, const char *types, va_list arguments)
{
	struct params params;

	read_params(&params, types, arguments);
	return ask(pg, sql, &params);
}

PGresult *
pg_ask(struct pg *pg, const char *sql, const char *types, ...)
{
	va_list arguments;
	PGresult *result;

	va_start(arguments, types);
	result = pg_ask_list(pg, sql, types, arguments);
	va_end(arguments);
	return result;
}

int
pg_count(const PGresult *result)
{
	/* libpq's own does not take a const one. */
	return PQresultStatus(result) == PGRES_TUPLES_OK ? PQntuples(result)
		: (int)strtol(PQcmdTuples((PGresult *)result), NULL, 10);
}

int
pg_run(struct pg *pg, const char *sql, const char *types, ...)
{
	va_list arguments;
	PGresult *result;
	int count;

	va_start(arguments, types);
	result = pg_ask_list(pg, sql, types, arguments);
	va_end(arguments);
	if (result == NULL)
		return pg->error;
	count = pg_count(result);
	PQclear(result);
	return count;
}

int
pg_script(struct pg *pg, const char *sql)
{
	PGresult *result;
	bool ok;

	if (!pg->in_transaction && reconnect(pg) != 0)
		return pg->error;
	result = run_text(pg, sql);
	ok = went_well(result);
	if (!ok)
		(void)fail(pg, sql, result);
	PQclear(result);
	return ok ? 0 : pg->error;
}

/* ---- transactions ---- */

int
pg_begin(struct pg *pg)
{
	int err = pg_run(pg, "BEGIN", "");

	pg->in_transaction = err >= 0;
	return err < 0 ? err : 0;
}

int
pg_commit(struct pg *pg)
{
	PGresult *result;
	bool ok;

	if (!pg->in_transaction)
		return 0;
	result = run_text(pg, "COMMIT");
	/* A transaction that failed is answered "ROLLBACK", without an error. */
	ok = went_well(result) && strcmp(PQcmdStatus(result), "COMMIT") == 0;
	if (!ok)
		(void)fail(pg, "COMMIT", result);
	PQclear(result);
	pg->in_transaction = false;
	return ok ? 0 : pg->error;
}

void
pg_rollback(struct pg *pg)
{
	if (pg->in_transaction && PQstatus(pg->connection) == CONNECTION_OK)
		PQclear(run_text(pg, "ROLLBACK"));
	pg->in_transaction = false;
}

int64_t
pg_number(const PGresult *rows, int row, int column)
{
	return PQgetisnull(rows, row, column) ? 0 : strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

/* ---- the schema ---- */

static int
read_version(struct pg *pg, const char *name, unsigned int *version)
{
	PGresult *rows;

	/* Asked for beforehand: making what is there would want a right that a reader need not have. */
	rows = pg_ask(pg, "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_versions'", "");
	if (rows == NULL)
		return pg->error;
	*version = PQntuples(rows) == 0 ? UINT32_MAX : 0;
	PQclear(rows);
	if (*version != 0 && pg_script(pg, "CREATE TABLE schema_versions(name text PRIMARY KEY, version bigint NOT NULL)") != 0)
		return pg->error;
	rows = pg_ask(pg, "SELECT version FROM schema_versions WHERE name = $1", "t", name);
	if (rows == NULL)
		return pg->error;
	*version = PQntuples(rows) == 0 ? 0 : (unsigned int)pg_number(rows, 0, 0);
	PQclear(rows);
	return 0;
}

static int
step(struct pg *pg, const char *name, const struct pg_migration *migration)
{
	int err = pg_script(pg, migration->sql);

	if (err == 0)
		err = pg_run(pg, "INSERT INTO schema_versions(name, version) VALUES($1, $2) ON CONFLICT(name)"
			" DO UPDATE SET version = excluded.version", "tn", name, (int64_t)migration->version);
	return err < 0 ? err : 0;
}

int
pg_migrate(struct pg *pg, const char *name, const struct pg_migration *steps, unsigned int count)
{
	unsigned int version = 0;
	int err = pg_begin(pg);

	if (err == 0)
		err = pg_run(pg, "SELECT pg_advisory_xact_lock($1)", "n", (int64_t)LOCK_MIGRATE);
	if (err >= 0)
		err = read_version(pg, name, &version);
	if (err == 0 && version > count) {
		log_error(pg->topic, "postgres: the schema %s has version %u, this program knows %u", name, version, count);
		err = -EPROTO;
	}
	for (unsigned int i = version; i < count && err == 0; i++)
		err = step(pg, name, &steps[i]);
	if (err == 0)
		return pg_commit(pg);
	pg_rollback(pg);
	return err;
}
