/*
 * PostgreSQL for what is small and changes: a connection that comes back by itself, statements with typed parameters,
 * and a schema that is brought up to date in numbered steps.
 *
 * Thread: a connection belongs to one thread.
 */
#ifndef MR_POSTGRES_PG_H
#define MR_POSTGRES_PG_H

#include <libpq-fe.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg;

/** One step of a schema: SQL that takes it from the version before to this one. */
struct pg_migration {
	unsigned int version; /* 1, 2, ... in the order of their array */
	const char *sql;
};

/**
 * @param url   as libpq reads it: "postgresql://..." or "host=... dbname=..."; several hosts are tried in order
 * @param topic of what is logged. Both are kept, the caller owns them.
 * @return 0 or -errno, logged
 */
int pg_open(struct pg **out, const char *url, const char *topic);
/** What is weak about the way to the server, static text; NULL: it is local, or TLS is wanted and the server's certificate checked. */
const char *pg_weakness(const char *url);
/** Waits for a connection that is being made. NULL is accepted. */
void pg_close(struct pg *pg);
/**
 * From now on no call waits longer than this for an answer, nor for a connection: a server that does not answer in time counts as
 * lost, and a lost connection is made again on a thread of its own; while that takes longer, calls fail at once (-EIO). For
 * threads that have others to serve. A commit that is given up may have happened.
 *
 * @param ms  0: as long as it takes, which is how it begins
 */
void pg_set_patience(struct pg *pg, uint64_t ms);

/**
 * Runs one statement. Outside a transaction it is tried once more when the connection was lost, so it must be one that
 * may happen twice.
 *
 * @param types a letter for each of $1..: t const char * (NULL: null), n int64_t, d const void *, size_t (bytea)
 * @return the caller's to PQclear(), or NULL: pg_error() tells
 */
PGresult *pg_ask(struct pg *pg, const char *sql, const char *types, ...);
/** The same, its parameters as a list. */
PGresult *pg_ask_list(struct pg *pg, const char *sql, const char *types, va_list arguments);
/** Rows returned or changed. */
int pg_count(const PGresult *result);
/** The same where only the number of rows matters. @return rows returned or changed, or -errno */
int pg_run(struct pg *pg, const char *sql, const char *types, ...);
/** Several statements at once, without parameters. @return 0 or -errno */
int pg_script(struct pg *pg, const char *sql);
/** Why the last call failed: -EAGAIN (a lock, a deadlock: may go well another time), -EEXIST (unique), -EIO. Logged,
 *  the first excepted. */
int pg_error(const struct pg *pg);

/** Whether the server was there when it was last asked. */
bool pg_is_connected(struct pg *pg);

int pg_begin(struct pg *pg);
/** @return 0: it is durable, on the synchronous standby as well where there is one; -errno: it is not known to be */
int pg_commit(struct pg *pg);
void pg_rollback(struct pg *pg);
bool pg_in_transaction(const struct pg *pg);

int64_t pg_number(const PGresult *rows, int row, int column);

/**
 * Brings the schema `name` to the last version, one step after the other; several programs may do so at once.
 * @return 0; -EPROTO: it has a version that this program does not know, logged; other -errno
 */
int pg_migrate(struct pg *pg, const char *name, const struct pg_migration *steps, unsigned int count);

#endif
