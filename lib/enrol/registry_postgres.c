/* The registry in PostgreSQL, for any number of aggregators at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/enrol/registry_private.h"
#include "lib/base/clock.h"
#include "lib/postgres/pg.h"

enum {
	LOCK_REGISTRY = 0x6d720005, /* advisory: one program at a time changes it */
	/* The door's thread has others to serve: these bound how long it stands still, and how much of the time. */
	QUESTION_MS = 1000,
	CHANGE_MS = 3000,        /* each step of one; its commit waits for the standby, too */
	PAUSE_MS = 1000,         /* after a server that was not there */
	PAUSE_FACTOR = 4,        /* of how long it took to fail */
	OID_BYTEA = 17,  /* src/include/catalog/pg_type.dat: fixed for good */
};

struct shared {
	struct pg *pg;
	char *url;
	uint64_t pause_ms[2]; /* until when nothing is tried: questions, changes; CLOCK_MONOTONIC */
	uint64_t begun_ms;    /* the change that goes on */
	char *texts[REGISTRY_SQL_COUNT];
};

extern const struct pg_migration enrol_migrations[];
extern const unsigned int enrol_migrations_count;

enum { QUESTIONS, CHANGES };

/* What failed at once because of what was asked is no reason to pause. */
static int
note(struct shared *shared, int which, uint64_t begun_ms, int result)
{
	uint64_t now_ms = clock_ms();
	uint64_t pause_ms = (now_ms - begun_ms) * PAUSE_FACTOR;

	if (result < 0 && pause_ms < PAUSE_MS && !pg_is_connected(shared->pg))
		pause_ms = PAUSE_MS;
	shared->pause_ms[which] = result < 0 ? now_ms + pause_ms : 0;
	return result;
}

/* @return 0 or what the row's function said; the cells' own copies of bytes are freed */
static int
give(const PGresult *rows, int row, const struct registry_question *question)
{
	struct registry_cell cells[REGISTRY_CELLS_MAX] = { 0 };
	unsigned char *bytes[REGISTRY_CELLS_MAX] = { 0 };
	int count = PQnfields(rows);
	int err = 0;

	for (int i = 0; i < count && i < REGISTRY_CELLS_MAX; i++) {
		if (PQgetisnull(rows, row, i))
			continue;
		cells[i].data = PQgetvalue(rows, row, i);
		cells[i].len = (size_t)PQgetlength(rows, row, i);
		if (PQftype(rows, i) != OID_BYTEA)
			continue;
		bytes[i] = PQunescapeBytea((const unsigned char *)cells[i].data, &cells[i].len);
		cells[i].data = (const char *)bytes[i];
		if (bytes[i] == NULL)
			err = -ENOMEM;
	}
	if (err == 0)
		err = question->row(question->arg, cells);
	for (int i = 0; i < REGISTRY_CELLS_MAX; i++)
		PQfreemem(bytes[i]);
	return err;
}

static int
shared_ask(void *books, const struct registry_question *question, va_list arguments)
{
	struct shared *shared = books;
	uint64_t begun_ms = clock_ms();
	PGresult *rows;
	int count;
	int err = 0;

	if (begun_ms < shared->pause_ms[QUESTIONS])
		return -EIO;
	rows = pg_ask_list(shared->pg, shared->texts[question->which], question->types, arguments);
	if (rows == NULL)
		return note(shared, QUESTIONS, begun_ms, pg_error(shared->pg));
	count = pg_count(rows);
	for (int i = 0; i < PQntuples(rows) && question->row != NULL && err == 0; i++)
		err = give(rows, i, question);
	PQclear(rows);
	shared->pause_ms[QUESTIONS] = 0;
	return err != 0 ? err : count;
}

static int
shared_begin(void *books)
{
	struct shared *shared = books;
	int err;

	shared->begun_ms = clock_ms();
	if (shared->begun_ms < shared->pause_ms[CHANGES])
		return -EIO;
	pg_set_patience(shared->pg, CHANGE_MS);
	err = pg_begin(shared->pg);
	if (err == 0)
		err = pg_script(shared->pg, "SET LOCAL lock_timeout = 2000");
	if (err == 0)
		err = pg_run(shared->pg, "SELECT pg_advisory_xact_lock($1)", "n", (int64_t)LOCK_REGISTRY);
	if (err >= 0)
		return 0;
	pg_rollback(shared->pg);
	pg_set_patience(shared->pg, QUESTION_MS);
	return note(shared, CHANGES, shared->begun_ms, err);
}

static int
shared_end(void *books, bool keep)
{
	struct shared *shared = books;
	int err = 0;

	if (keep)
		err = note(shared, CHANGES, shared->begun_ms, pg_commit(shared->pg));
	else
		pg_rollback(shared->pg);
	pg_set_patience(shared->pg, QUESTION_MS);
	return err;
}

static int
shared_announce(void *books, const char *sensor)
{
	struct shared *shared = books;
	int err = pg_run(shared->pg, "SELECT pg_notify('" REGISTRY_CHANNEL "', $1)", "t", sensor);

	return err < 0 ? err : 0;
}

static void
shared_close(void *books)
{
	struct shared *shared = books;

	if (shared == NULL)
		return;
	pg_close(shared->pg);
	for (unsigned int i = 0; i < REGISTRY_SQL_COUNT; i++)
		free(shared->texts[i]);
	free(shared->url);
	free(shared);
}

/* As PostgreSQL writes parameters. */
static int
write_texts(struct shared *shared)
{
	for (unsigned int i = 0; i < REGISTRY_SQL_COUNT; i++) {
		shared->texts[i] = strdup(registry_texts[i]);
		if (shared->texts[i] == NULL)
			return -ENOMEM;
		for (char *at = shared->texts[i]; *at != '\0'; at++)
			if (*at == '?')
				*at = '$';
	}
	return 0;
}

static int
shared_open(void **books, const char *where)
{
	struct shared *shared = calloc(1, sizeof(*shared));
	int err;

	if (shared == NULL)
		return -ENOMEM;
	shared->url = strdup(where);
	err = shared->url == NULL ? -ENOMEM : write_texts(shared);
	if (err == 0)
		err = pg_open(&shared->pg, shared->url, "enrol");
	if (err == 0)
		err = pg_migrate(shared->pg, "enrol", enrol_migrations, enrol_migrations_count);
	if (err != 0) {
		shared_close(shared);
		return err;
	}
	pg_set_patience(shared->pg, QUESTION_MS);
	*books = shared;
	return 0;
}

const struct registry_books registry_postgres = {
	.open = shared_open,
	.close = shared_close,
	.begin = shared_begin,
	.end = shared_end,
	.ask = shared_ask,
	.announce = shared_announce,
};
