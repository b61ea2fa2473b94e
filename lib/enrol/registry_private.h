/* What the files of the registry share. */
#ifndef MR_ENROL_REGISTRY_PRIVATE_H
#define MR_ENROL_REGISTRY_PRIVATE_H

#include <sqlite3.h>
#include <stdarg.h>

#include "lib/enrol/registry.h"

enum registry_sql {
	SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK,
	SQL_OPEN_COUNT, SQL_INVITE, SQL_TOKEN, SQL_USE,
	SQL_SENSOR_PUT, SQL_SENSOR_REVOKE, SQL_KNOWN, SQL_WITHDRAW,
	SQL_CERT_ADD, SQL_CERT_GET, SQL_CERT_BY_KEY, SQL_CERT_COUNT, SQL_CERT_REVOKE,
	SQL_ADMIT_SERIAL, SQL_ADMIT_NAME,
	SQL_PRUNE_INVITATIONS, SQL_PRUNE_CERTIFICATES, SQL_PRUNE_AUDIT,
	SQL_AUDIT_ADD, SQL_AUDIT_LIST, SQL_LIST,
	REGISTRY_SQL_COUNT,
};

struct registry {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *statements[REGISTRY_SQL_COUNT];
};

struct registry_deed {
	const char *actor, *action, *sensor, *detail;
};

/** The statement, reset. */
sqlite3_stmt *registry_statement(struct registry *registry, enum registry_sql which);
/** @param types a letter a parameter: t text, n uint64_t, d digest. @return 0 or -ENOMEM */
int registry_bind(sqlite3_stmt *statement, const char *types, ...);
/** Steps once and resets. @return 0 or -errno, logged */
int registry_run(struct registry *registry, sqlite3_stmt *statement, const char *what);
/** The first column of the first row. @return 0, -ENOENT (no row) or -errno, logged */
int registry_number(struct registry *registry, sqlite3_stmt *statement, uint64_t *out);
int registry_failed(struct registry *registry, const char *what);
int registry_begin(struct registry *registry);
/** Commits when err is 0, else rolls back. @return 0 when it is durable */
int registry_end(struct registry *registry, int err);
/** A row of the audit trail, within the caller's transaction. */
int registry_note(struct registry *registry, const struct registry_deed *deed, uint64_t now_s);

#endif
