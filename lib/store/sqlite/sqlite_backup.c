/* A copy of the database while it is written: pages of one state, read a few at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/store/sqlite/sqlite_private.h"

enum { PAGES_A_STEP = 512, PATH_MAX_LEN = 4096 };

static int
copy(struct sqlite_store *store, sqlite3 *to)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", store->db, "main");
	int code;

	if (backup == NULL)
		return -EIO;
	do {
		code = sqlite3_backup_step(backup, PAGES_A_STEP);
	} while (code == SQLITE_OK);
	return sqlite3_backup_finish(backup) == SQLITE_OK && code == SQLITE_DONE ? 0 : code == SQLITE_FULL ? -ENOSPC : -EIO;
}

/* Written beside its name, so that a copy under the name is whole. */
int
sqlite_store_backup(struct store *base, const char *path)
{
	struct sqlite_store *store = sqlite_of(base);
	char temporary[PATH_MAX_LEN];
	sqlite3 *to = NULL;
	int fd, err = 0;

	if (access(path, F_OK) == 0) {
		log_error("store", "backup: %s is there already", path);
		return -EEXIST;
	}
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", path) >= sizeof(temporary))
		return -ENAMETOOLONG;
	unlink(temporary);
	store->deadline_ms = 0;
	/* A read transaction holds the state: without it each commit of the writer would begin the copy anew. */
	err = sqlite_exec(store, "BEGIN; SELECT count(*) FROM sensors");
	if (err != 0)
		return err;
	fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		err = -errno;
	else
		close(fd);
	if (err == 0 && sqlite3_open_v2(temporary, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		err = -EIO;
	if (err == 0)
		err = copy(store, to);
	if (err != 0)
		log_error("store", "backup: %s: %s", path, to == NULL ? strerror(-err) : sqlite3_errmsg(to));
	sqlite3_close(to);
	(void)sqlite_exec(store, "ROLLBACK");
	if (err == 0 && rename(temporary, path) != 0)
		err = -errno;
	if (err != 0)
		unlink(temporary);
	return err;
}
