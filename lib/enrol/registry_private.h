/* What the files of the registry share: what it decides is in registry.c and registry_issue.c, where it is kept in a row each. */
#ifndef MR_ENROL_REGISTRY_PRIVATE_H
#define MR_ENROL_REGISTRY_PRIVATE_H

#include <stdarg.h>

#include "lib/enrol/registry.h"

enum registry_sql {
	SQL_OPEN_COUNT, SQL_INVITE, SQL_TOKEN, SQL_USE,
	SQL_SENSOR_PUT, SQL_SENSOR_REVOKE, SQL_KNOWN, SQL_WITHDRAW,
	SQL_CERT_ADD, SQL_CERT_GET, SQL_CERT_BY_KEY, SQL_CERT_COUNT, SQL_CERT_REVOKE,
	SQL_ADMIT_SERIAL, SQL_ADMIT_NAME,
	SQL_PRUNE_INVITATIONS, SQL_PRUNE_CERTIFICATES, SQL_PRUNE_AUDIT,
	SQL_AUDIT_ADD, SQL_AUDIT_LIST, SQL_LIST,
	SQL_ALL_SENSORS, SQL_ALL_INVITATIONS, SQL_ALL_CERTIFICATES, SQL_ALL_AUDIT,
	SQL_TAKE_SENSOR, SQL_TAKE_INVITATION, SQL_TAKE_CERTIFICATE,
	REGISTRY_SQL_COUNT,
};

/** Parameters are ?1, ?2, ...; tables are of the schema enrol. The same text for every row of registry_books. */
extern const char *const registry_texts[REGISTRY_SQL_COUNT];

enum { REGISTRY_CELLS_MAX = 9 };

/** A value of a row; numbers are decimal text. data NULL: null. Lent for the row; text ends with a NUL. */
struct registry_cell {
	const char *data;
	size_t len;
};

/** @return 0, or -errno: no further row is wanted */
typedef int (*registry_row_fn)(void *arg, const struct registry_cell cells[REGISTRY_CELLS_MAX]);

struct registry_question {
	enum registry_sql which;
	registry_row_fn row; /* NULL: rows do not matter */
	void *arg;
	const char *types; /* a letter a parameter: t text, n uint64_t, d const void *, size_t */
};

/** Where the registry is kept: one row each, in the order of enum registry_kind. */
struct registry_books {
	int (*open)(void **books, const char *where);
	void (*close)(void *books);
	/** Whoever else wants to change something waits, for some seconds. */
	int (*begin)(void *books);
	/** Commits, or rolls back. @return 0: what was done is durable */
	int (*end)(void *books, bool keep);
	/** @return how many rows were found or changed, or -errno, logged */
	int (*ask)(void *books, const struct registry_question *question, va_list arguments);
	/** Within a change: other programs are to ask about this sensor again when it is committed. NULL: nobody else asks. */
	int (*announce)(void *books, const char *sensor);
};

/** Of a file: nobody else has it open, nor opens it before it is closed. @return 0 or -errno (-EBUSY: somebody has), logged */
int registry_file_hold(void *books);

extern const struct registry_books registry_sqlite;
extern const struct registry_books registry_postgres;

struct registry {
	const struct registry_books *kept;
	void *books;
};

struct registry_deed {
	const char *actor, *action, *sensor, *detail;
};

/** @return how many rows were found or changed, or -errno */
int registry_ask(struct registry *registry, const struct registry_question *question, ...);
/** Where rows do not matter. @return rows changed, or -errno */
int registry_run(struct registry *registry, enum registry_sql which, const char *types, ...);
uint64_t registry_cell_number(const struct registry_cell *cell);
/** A row's first value. @param arg uint64_t */
int registry_take_number(void *arg, const struct registry_cell cells[REGISTRY_CELLS_MAX]);
/** @return 0 or -errno, logged */
int registry_begin(struct registry *registry);
/** Commits when err is 0, else rolls back. @return 0 when it is durable */
int registry_end(struct registry *registry, int err);
/** A row of the audit trail, within the caller's transaction. */
int registry_note(struct registry *registry, const struct registry_deed *deed, uint64_t now_s);
/** The sensor's certificates changed: whoever has let it in asks again. Within the caller's transaction. */
int registry_announce(struct registry *registry, const char *sensor);

#endif
