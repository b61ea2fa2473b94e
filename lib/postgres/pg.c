#include "lib/postgres/pg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

enum {
	PARAMS_MAX = 12,
	NUMBER_TEXT = 24,
	LOCK_MIGRATE = 0x6d720001, /* advisory: one program at a time changes the schema */
};

struct pg {
	PGconn *connection;
	const char *topic;
	int error;
	bool in_transaction;
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

static int
greet(struct pg *pg)
{
	PGresult *result;
	bool ok;

	if (PQstatus(pg->connection) != CONNECTION_OK)
		return fail(pg, "connect", NULL);
	result = PQexec(pg->connection, session);
	ok = PQresultStatus(result) == PGRES_COMMAND_OK;
	if (!ok)
		(void)fail(pg, "session", result);
	PQclear(result);
	return ok ? 0 : pg->error;
}

static int
reconnect(struct pg *pg)
{
	if (PQstatus(pg->connection) == CONNECTION_OK)
		return 0;
	PQreset(pg->connection);
	return greet(pg);
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
	err = pg->connection == NULL ? -ENOMEM : greet(pg);
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
	PQfinish(pg->connection);
	free(pg);
}

int
pg_error(const struct pg *pg)
{
	return pg->error;
}

bool
pg_is_connected(const struct pg *pg)
{
	return PQstatus(pg->connection) == CONNECTION_OK;
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
		result = PQexecParams(pg->connection, sql, params->count, NULL, params->values, params->lengths, params->formats, 0);
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
	result = PQexec(pg->connection, sql);
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
	result = PQexec(pg->connection, "COMMIT");
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
		PQclear(PQexec(pg->connection, "ROLLBACK"));
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
