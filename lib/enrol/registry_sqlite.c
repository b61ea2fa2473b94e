/* The registry in a file of one aggregator. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/folder.h"
#include "lib/base/log.h"
#include "lib/enrol/registry_private.h"

enum { BUSY_TIMEOUT_MS = 5000, SCHEMA_VERSION = 1 };

struct file {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *statements[REGISTRY_SQL_COUNT];
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS sensors(name TEXT PRIMARY KEY, site TEXT NOT NULL, zone TEXT NOT NULL,"
	" revoked_s INTEGER, barred INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS invitations(id TEXT PRIMARY KEY, secret BLOB NOT NULL, sensor TEXT NOT NULL,"
	" site TEXT NOT NULL, zone TEXT NOT NULL, created_s INTEGER NOT NULL, expires_s INTEGER NOT NULL,"
	" withdrawn_s INTEGER, serial TEXT) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS invitations_sensor ON invitations(sensor, expires_s);"
	"CREATE TABLE IF NOT EXISTS certificates(serial TEXT PRIMARY KEY, sensor TEXT NOT NULL, key_digest BLOB NOT NULL,"
	" not_before_s INTEGER NOT NULL, not_after_s INTEGER NOT NULL, revoked_s INTEGER, pem TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS certificates_sensor ON certificates(sensor, not_after_s);"
	"CREATE TABLE IF NOT EXISTS audit(id INTEGER PRIMARY KEY AUTOINCREMENT, at_s INTEGER NOT NULL, actor TEXT NOT NULL,"
	" action TEXT NOT NULL, sensor TEXT NOT NULL, detail TEXT NOT NULL);";

static int
failed(struct file *file, const char *what)
{
	int code = sqlite3_errcode(file->db);

	log_error("enrol", "%s: %s: %s", file->path, what, sqlite3_errmsg(file->db));
	return code == SQLITE_FULL ? -ENOSPC : code == SQLITE_BUSY ? -EBUSY : -EIO;
}

/* ---- questions ---- */

static int
bind(sqlite3_stmt *statement, const char *types, va_list arguments)
{
	int rc = SQLITE_OK;

	for (int i = 1; *types != '\0' && rc == SQLITE_OK; i++, types++) {
		if (*types == 't') {
			rc = sqlite3_bind_text(statement, i, va_arg(arguments, const char *), -1, SQLITE_TRANSIENT);
		} else if (*types == 'd') {
			const void *data = va_arg(arguments, const void *);

			rc = sqlite3_bind_blob64(statement, i, data, va_arg(arguments, size_t), SQLITE_TRANSIENT);
		} else {
			rc = sqlite3_bind_int64(statement, i, (sqlite3_int64)va_arg(arguments, uint64_t));
		}
	}
	return rc == SQLITE_OK ? 0 : -ENOMEM;
}

static int
give(sqlite3_stmt *statement, const struct registry_question *question)
{
	struct registry_cell cells[REGISTRY_CELLS_MAX] = { 0 };
	int count = sqlite3_column_count(statement);

	for (int i = 0; i < count && i < REGISTRY_CELLS_MAX; i++) {
		cells[i].data = sqlite3_column_type(statement, i) == SQLITE_BLOB ? sqlite3_column_blob(statement, i)
			: (const char *)sqlite3_column_text(statement, i);
		cells[i].len = (size_t)sqlite3_column_bytes(statement, i);
	}
	return question->row(question->arg, cells);
}

static int
file_ask(void *books, const struct registry_question *question, va_list arguments)
{
	struct file *file = books;
	sqlite3_stmt *statement = file->statements[question->which];
	int err = bind(statement, question->types, arguments);
	int rc = SQLITE_DONE;
	int count = 0;

	while (err == 0 && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
		count++;
		err = question->row == NULL ? 0 : give(statement, question);
	}
	if (err == 0 && rc != SQLITE_DONE)
		err = failed(file, registry_texts[question->which]);
	if (count == 0 && !sqlite3_stmt_readonly(statement))
		count = sqlite3_changes(file->db);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return err != 0 ? err : count;
}

static int
run(struct file *file, const char *sql)
{
	return sqlite3_exec(file->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(file, sql);
}

static int
file_begin(void *books)
{
	return run(books, "BEGIN IMMEDIATE");
}

static int
file_end(void *books, bool keep)
{
	struct file *file = books;
	int err = keep ? run(file, "COMMIT") : 0;

	if ((err != 0 || !keep) && sqlite3_get_autocommit(file->db) == 0)
		(void)run(file, "ROLLBACK");
	return err;
}

/* ---- life ---- */

static int
prepare(struct file *file)
{
	char version[64];
	int err;

	sqlite3_busy_timeout(file->db, BUSY_TIMEOUT_MS);
	/* What the statements call it, alike in either row. */
	if (sqlite3_db_config(file->db, SQLITE_DBCONFIG_MAINDBNAME, "enrol") != SQLITE_OK)
		return -EIO;
	snprintf(version, sizeof(version), "PRAGMA user_version = %d", SCHEMA_VERSION);
	err = run(file, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;");
	if (err == 0)
		err = run(file, schema);
	if (err == 0)
		err = run(file, version);
	for (unsigned int i = 0; i < REGISTRY_SQL_COUNT && err == 0; i++)
		if (sqlite3_prepare_v3(file->db, registry_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &file->statements[i],
			NULL) != SQLITE_OK)
			err = failed(file, registry_texts[i]);
	return err;
}

int
registry_file_hold(void *books)
{
	struct file *file = books;

	/* Who has it open does not close it soon. */
	sqlite3_busy_timeout(file->db, 0);
	return run(file, "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT");
}

/* Made beforehand, so that it is nobody else's from the first byte on. One that is there is not opened: to close it would
 * let go of the locks that other handles of this program hold on it. */
static int
make_file(const char *path)
{
	int err = folder_make_above(path);
	int fd = err != 0 ? err : folder_make_file(path, NULL, 0600);

	if (fd < 0 && fd != -EEXIST)
		err = fd;
	if (err != 0)
		log_error("enrol", "enrol.state: %s: %s", path, strerror(-err));
	if (fd >= 0)
		close(fd);
	return err;
}

static void
file_close(void *books)
{
	struct file *file = books;

	if (file == NULL)
		return;
	for (unsigned int i = 0; i < REGISTRY_SQL_COUNT; i++)
		sqlite3_finalize(file->statements[i]);
	sqlite3_close(file->db);
	free(file->path);
	free(file);
}

static int
file_open(void **books, const char *where)
{
	struct file *file = calloc(1, sizeof(*file));
	int err;

	if (file == NULL)
		return -ENOMEM;
	file->path = strdup(where);
	err = file->path == NULL ? -ENOMEM : make_file(where);
	if (err == 0 && sqlite3_open_v2(where, &file->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		err = failed(file, "open");
	if (err == 0)
		err = prepare(file);
	if (err != 0) {
		file_close(file);
		return err;
	}
	*books = file;
	return 0;
}

const struct registry_books registry_sqlite = {
	.open = file_open,
	.close = file_close,
	.begin = file_begin,
	.end = file_end,
	.ask = file_ask,
};
