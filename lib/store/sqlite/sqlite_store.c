#include "lib/store/sqlite/sqlite_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "lib/base/clock.h"
#include "lib/base/folder.h"
#include "lib/base/hold.h"
#include "lib/base/log.h"
#include "lib/store/sqlite/sqlite_private.h"

enum {
	SCHEMA_VERSION = 4,
	SCHEMA_VERSION_FORMER = 3, /* is taken over */
	BUSY_TIMEOUT_MS = 10000,
	DEADLINE_STEPS = 10000,       /* virtual machine steps between two looks at the clock */
	PARTITION_RECORDS = 4000000,
	LOOKASIDE_LEN = 1200,
	LOOKASIDE_SLOTS = 500,
	LOST_FAILURES = 10,
	LOST_MS = 10000,
};

/* What is not a partition's. A run is what a sensor counted between a start and an end: it keeps its name, and its totals
 * only grow. Row 0 of partitions is no partition: it keeps the ids, when the others are gone. */
static const char schema[] =
	"CREATE TABLE sensors(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" first_seen_s INTEGER NOT NULL, last_seen_s INTEGER NOT NULL);"
	"CREATE TABLE lanes(id INTEGER PRIMARY KEY, sensor_id INTEGER NOT NULL REFERENCES sensors(id),"
	" epoch INTEGER NOT NULL, lane INTEGER NOT NULL, next_seq INTEGER NOT NULL, records INTEGER NOT NULL,"
	" lost INTEGER NOT NULL, updated_s INTEGER NOT NULL, last_mark INTEGER NOT NULL DEFAULT 0, UNIQUE(sensor_id, epoch, lane));"
	"CREATE TABLE gaps(id INTEGER PRIMARY KEY, lane_id INTEGER NOT NULL REFERENCES lanes(id),"
	" first INTEGER NOT NULL, last INTEGER NOT NULL, at_s INTEGER NOT NULL);"
	"CREATE TABLE runs(lane_id INTEGER NOT NULL REFERENCES lanes(id), run INTEGER NOT NULL,"
	" name TEXT NOT NULL, uptime_s INTEGER NOT NULL, received INTEGER NOT NULL, ts_ns INTEGER NOT NULL,"
	" line TEXT NOT NULL, PRIMARY KEY(lane_id, run));"
	"CREATE TABLE totals(name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
	"CREATE TABLE partitions(id INTEGER PRIMARY KEY, day INTEGER NOT NULL, first_id INTEGER NOT NULL,"
	" next_id INTEGER NOT NULL, ts_min_ns INTEGER NOT NULL, ts_max_ns INTEGER NOT NULL, arrived_s INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL, next_block INTEGER NOT NULL, doomed INTEGER NOT NULL);"
	"INSERT INTO partitions VALUES(0, 0, 1, 1, 0, 0, 0, 0, 1, 0);";

static const char *const statement_texts[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_LANE_GET] = "SELECT l.id, l.next_seq, l.last_mark FROM sensors s JOIN lanes l ON l.sensor_id = s.id"
		" WHERE s.name = ?1 AND l.epoch = ?2 AND l.lane = ?3",
	[SQL_SENSOR_ADD] = "INSERT OR IGNORE INTO sensors(name, first_seen_s, last_seen_s) VALUES(?1, ?2, ?2)",
	[SQL_LANE_COUNT] = "SELECT count(*) FROM lanes WHERE sensor_id = (SELECT id FROM sensors WHERE name = ?1)",
	[SQL_LANE_ADD] = "INSERT INTO lanes(sensor_id, epoch, lane, next_seq, records, lost, updated_s)"
		" SELECT id, ?2, ?3, 1, 0, 0, ?4 FROM sensors WHERE name = ?1",
	[SQL_LANE_UPDATE] = "UPDATE lanes SET next_seq = ?2, records = records + ?3, lost = lost + ?4, updated_s = ?5, last_mark = ?6"
		" WHERE id = ?1",
	[SQL_SENSOR_SEEN] = "UPDATE sensors SET last_seen_s = ?2 WHERE name = ?1 AND last_seen_s < ?2",
	[SQL_GAP_ADD] = "INSERT INTO gaps(lane_id, first, last, at_s) VALUES(?1, ?2, ?3, ?4)",
	[SQL_GAP_PRUNE] = "DELETE FROM gaps WHERE id <= (SELECT max(id) FROM gaps) - ?1",
	[SQL_RUN_GET] = "SELECT run, uptime_s > ?2 OR received > ?3 OR name IS NOT ?4 FROM runs WHERE lane_id = ?1"
		" ORDER BY run DESC LIMIT 1",
	[SQL_RUN_PUT] = "INSERT OR REPLACE INTO runs(lane_id, uptime_s, received, name, run, ts_ns, line)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	/* Those of the lane's sensor, from the newest on. */
	[SQL_RUN_SURPLUS] = "SELECT n.lane_id, n.run, n.line FROM (SELECT r.lane_id, r.run FROM lanes l JOIN runs r ON r.lane_id = l.id"
		" WHERE l.sensor_id = (SELECT sensor_id FROM lanes WHERE id = ?1) ORDER BY r.lane_id DESC, r.run DESC LIMIT ?3 OFFSET ?2) k"
		" JOIN runs n ON n.lane_id = k.lane_id AND n.run = k.run ORDER BY n.lane_id DESC, n.run DESC",
	[SQL_RUN_FORGET] = "DELETE FROM runs WHERE lane_id = ?1 AND run = ?2",
	[SQL_TOTAL_ADD] = "INSERT INTO totals(name, value) VALUES(?1, ?2)"
		" ON CONFLICT(name) DO UPDATE SET value = value + excluded.value",
	[SQL_PAGES] = "SELECT p.page_count, f.freelist_count, s.page_size"
		" FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s",
	[SQL_PARTITION_ADD] = "INSERT INTO partitions VALUES(?1, ?2, ?3, ?3, 9223372036854775807, 0, 0, 0, 1, 0)",
	[SQL_PARTITION_UPDATE] = "UPDATE partitions SET next_id = ?2, ts_min_ns = ?3, ts_max_ns = ?4, arrived_s = ?5,"
		" bytes = ?6, next_block = ?7 WHERE id = ?1",
	[SQL_PARTITION_FIRST] = "UPDATE partitions SET first_id = ?2 WHERE id = ?1",
	[SQL_PARTITION_DOOM] = "UPDATE partitions SET doomed = 1 WHERE id = ?1",
	/* day of row 0 is the highest number that a partition had. */
	[SQL_PARTITION_KEEP] = "UPDATE partitions SET next_id = ?1, next_block = ?2, day = ?3 WHERE id = 0",
	[SQL_PARTITION_FORGET] = "DELETE FROM partitions WHERE id = ?1",
};

static void
note_failure(struct sqlite_store *store)
{
	store->failing.last_ms = clock_ms();
	if (store->failing.count++ == 0)
		store->failing.since_ms = store->failing.last_ms;
}

/* Not one that failed long ago and had nothing to write since. */
static bool
sqlite_store_is_lost(const struct store *base)
{
	const struct sqlite_store *store = (const struct sqlite_store *)base;

	return store->failing.count >= LOST_FAILURES && store->failing.last_ms - store->failing.since_ms >= LOST_MS &&
		clock_ms() - store->failing.last_ms < LOST_MS;
}

int
sqlite_failed(struct sqlite_store *store, const char *what)
{
	int code = sqlite3_errcode(store->db);

	if (code == SQLITE_INTERRUPT)
		return -ETIMEDOUT;
	if (code == SQLITE_NOTADB)
		log_error("store", "store.path: %s: %s", sqlite3_db_filename(store->db, "main"), sqlite3_errmsg(store->db));
	else
		log_error("store", "%s: %s", what, sqlite3_errmsg(store->db));
	if (code == SQLITE_FULL || code == SQLITE_NOMEM)
		return code == SQLITE_FULL ? -ENOSPC : -ENOMEM;
	if (code != SQLITE_BUSY && code != SQLITE_LOCKED)
		note_failure(store);
	return -EIO;
}

static int
past_deadline(void *arg)
{
	const struct sqlite_store *store = arg;

	return (store->cancel != NULL && *store->cancel) || (store->deadline_ms != 0 && clock_ms() > store->deadline_ms);
}

void
sqlite_start_deadline(struct sqlite_store *store)
{
	store->deadline_ms = store->query_max_ms == 0 ? 0 : clock_ms() + store->query_max_ms;
}

int
sqlite_begin_read(struct sqlite_store *store)
{
	int err;

	/* The writer's own questions see what it has not committed. */
	if (sqlite3_get_autocommit(store->db) == 0)
		return 0;
	err = sqlite_exec(store, "BEGIN");
	store->reading = err == 0;
	return err;
}

void
sqlite_end_read(struct sqlite_store *store)
{
	if (store->reading)
		(void)sqlite_exec(store, "ROLLBACK");
	store->reading = false;
}

int
sqlite_run(struct sqlite_store *store, enum sqlite_statement which)
{
	sqlite3_stmt *statement = store->statements[which];
	int code = sqlite3_step(statement);
	int err = code == SQLITE_DONE ? 0 : sqlite_failed(store, statement_texts[which]);

	sqlite3_reset(statement);
	return err;
}

static void
sqlite_store_rollback(struct store *base)
{
	struct sqlite_store *store = sqlite_of(base);

	if (!store->in_transaction)
		return;
	store->in_transaction = false;
	/* A failed commit may have rolled back by itself. */
	if (sqlite3_get_autocommit(store->db) == 0)
		(void)sqlite_run(store, SQL_ROLLBACK);
	(void)sqlite_partition_load(store);
}

static int
sqlite_store_commit(struct store *base)
{
	struct sqlite_store *store = sqlite_of(base);
	int err;

	if (!store->in_transaction)
		return 0;
	err = store->partition.id == 0 ? 0 : sqlite_partition_save(store);
	if (err == 0)
		err = sqlite_run(store, SQL_COMMIT);
	if (err == 0)
		store->failing.count = 0;
	else
		sqlite_store_rollback(base);
	store->in_transaction = false;
	return err;
}

static void
sqlite_store_close(struct store *base)
{
	struct sqlite_store *store = sqlite_of(base);

	sqlite_store_rollback(base);
	sqlite_partition_close(store);
	for (unsigned int i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite_blocks_free(store);
	sqlite_spans_destroy(store->spans);
	sqlite3_close(store->db);
	hold_let_go(store->held);
	free(store);
}

static int
read_version(struct sqlite_store *store, int *version)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
		return sqlite_failed(store, "user_version");
	*version = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
	sqlite3_finalize(statement);
	if (*version == 0 || *version == SCHEMA_VERSION || *version == SCHEMA_VERSION_FORMER)
		return 0;
	log_error("store", "the database has schema version %d, this program reads versions %d and %d", *version,
		SCHEMA_VERSION_FORMER, SCHEMA_VERSION);
	return -EPROTO;
}

int
sqlite_exec(struct sqlite_store *store, const char *sql)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_failed(store, sql);
}

static int
make_schema(struct sqlite_store *store)
{
	int err = sqlite_exec(store, "BEGIN IMMEDIATE");

	if (err == 0)
		err = sqlite_exec(store, schema);
	if (err == 0)
		err = sqlite_partition_make(store, 0);
	if (err == 0)
		err = sqlite_exec(store, "PRAGMA user_version = 4; COMMIT");
	return err;
}

/* Some of version 3 have no mark of a lane's last record. */
static int
add_mark(struct sqlite_store *store)
{
	sqlite3_stmt *statement = NULL;
	bool there;

	if (sqlite3_prepare_v2(store->db, "SELECT 1 FROM pragma_table_info('lanes') WHERE name = 'last_mark'", -1, &statement,
	    NULL) != SQLITE_OK)
		return sqlite_failed(store, "table_info");
	there = sqlite3_step(statement) == SQLITE_ROW;
	sqlite3_finalize(statement);
	return there ? 0 : sqlite_exec(store, "ALTER TABLE lanes ADD COLUMN last_mark INTEGER NOT NULL DEFAULT 0");
}

/* As a whole or not at all. */
static int
upgrade_schema(struct sqlite_store *store)
{
	int err = sqlite_exec(store, "BEGIN IMMEDIATE");

	log_notice("store", "the database has schema version %d: it becomes version %d", SCHEMA_VERSION_FORMER, SCHEMA_VERSION);
	if (err == 0)
		err = add_mark(store);
	if (err == 0)
		err = sqlite_partitions_upgrade(store);
	return err != 0 ? err : sqlite_exec(store, "PRAGMA user_version = 4; COMMIT");
}

static int
open_writer(struct sqlite_store *store)
{
	int version = 0;
	int err = sqlite_exec(store, "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		"PRAGMA wal_autocheckpoint = 16384; PRAGMA journal_size_limit = 268435456; PRAGMA cache_size = -65536;"
		"PRAGMA temp_store = MEMORY");

	if (err == 0)
		err = read_version(store, &version);
	if (err == 0 && version == 0)
		err = make_schema(store);
	if (err == 0 && version == SCHEMA_VERSION_FORMER)
		err = upgrade_schema(store);
	for (unsigned int i = 0; i < SQL_COUNT && err == 0; i++)
		if (sqlite3_prepare_v3(store->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
		    &store->statements[i], NULL) != SQLITE_OK)
			err = sqlite_failed(store, statement_texts[i]);
	if (err == 0)
		err = sqlite_spans_create(&store->spans);
	return err != 0 ? err : sqlite_partition_load(store);
}

static int
open_reader(struct sqlite_store *store)
{
	sqlite3_progress_handler(store->db, DEADLINE_STEPS, past_deadline, store);
	return sqlite_exec(store, "PRAGMA query_only = 1; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY");
}

/* SQLite counts its memory under a lock, at each allocation of each row. Refused, harmlessly, when it is in use already. */
static void
stop_counting_memory(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int
create(struct sqlite_store **out, const struct store_config *config)
{
	struct sqlite_store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return -ENOMEM;
	store->base.ops = &sqlite_store_ops;
	store->held = -1;
	store->records_max = config->records_max;
	store->bytes_max = config->bytes_max;
	store->age_max_s = config->age_max_s;
	store->query_max_ms = config->query_max_ms;
	store->cancel = config->cancel;
	store->partition_records_max = config->partition_records_max == 0 ? PARTITION_RECORDS
		: config->partition_records_max;
	store->packer = ZSTD_createCCtx();
	store->unpacker = ZSTD_createDCtx();
	*out = store;
	return store->packer == NULL || store->unpacker == NULL ? -ENOMEM : 0;
}

/* Ids and partitions go on from what the writer has in memory: a second one would store over its records. The database is
 * nobody else's to read, as eve.json; SQLite gives what it puts beside it the same mode. One that is there is not opened:
 * to close it would let go of the locks that other handles of this program hold on it. */
static int
hold_database(struct sqlite_store *store, const char *path)
{
	char lock[PATH_MAX];
	int err = folder_make_above(path);

	if (err == 0 && (size_t)snprintf(lock, sizeof(lock), "%s-lock", path) >= sizeof(lock))
		err = -ENAMETOOLONG;
	if (err == 0)
		store->held = hold_file(lock);
	if (err == 0 && store->held < 0)
		err = store->held;
	if (err == 0) {
		int fd = folder_make_file(path, NULL, 0640);

		err = fd < 0 && fd != -EEXIST ? fd : 0;
		if (fd >= 0)
			close(fd);
	}
	if (err != 0)
		log_error("store", "store.path: %s: %s", path, err == -EBUSY ? "another aggregator writes it" : strerror(-err));
	return err;
}

static int
sqlite_store_open(struct store **out, const struct store_config *config, bool writer)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sqlite_store *store = NULL;
	int err = create(&store, config);

	pthread_once(&once, stop_counting_memory);

	if (err == 0 && writer)
		err = hold_database(store, config->path);
	if (err == 0 && sqlite3_open_v2(config->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
	    (writer ? SQLITE_OPEN_CREATE : 0), NULL) != SQLITE_OK) {
		log_error("store", "store.path: %s: %s", config->path,
			store->db == NULL ? "out of memory" : sqlite3_errmsg(store->db));
		err = -EIO;
	}
	if (err == 0) {
		sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
		/* A row's five cursors and keys come from there. */
		(void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, LOOKASIDE_LEN, LOOKASIDE_SLOTS);
		sqlite3_limit(store->db, SQLITE_LIMIT_ATTACHED, 0);
		err = sqlite_block_functions(store);
	}
	if (err == 0)
		err = sqlite_spans_functions(store);
	if (err == 0)
		err = writer ? open_writer(store) : open_reader(store);
	if (err != 0) {
		if (store != NULL)
			sqlite_store_close(&store->base);
		return err;
	}
	*out = &store->base;
	return 0;
}

const struct store_ops sqlite_store_ops = {
	.name = "sqlite",
	.open = sqlite_store_open,
	.close = sqlite_store_close,
	.next_sequence = sqlite_store_next,
	.append = sqlite_store_append,
	.commit = sqlite_store_commit,
	.rollback = sqlite_store_rollback,
	.expire = sqlite_store_expire,
	.query = sqlite_store_query,
	.report = sqlite_store_report,
	.backup = sqlite_store_backup,
	.is_lost = sqlite_store_is_lost,
};
