#include "lib/store/sqlite/sqlite_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/store/sqlite/sqlite_private.h"

enum {
	SCHEMA_VERSION = 1,
	BUSY_TIMEOUT_MS = 10000,
	LANES_PER_SENSOR_MAX = 20480, /* 4096 epochs: a sensor that starts a spool daily for ten years */
	ARRIVAL_STEP_S = 60,
	DEADLINE_STEPS = 10000,       /* virtual machine steps between two looks at the clock */
};

/* The line is last, so that reading the columns before it never walks through it. */
static const char schema[] =
	"CREATE TABLE IF NOT EXISTS sensors(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" first_seen_s INTEGER NOT NULL, last_seen_s INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS lanes(id INTEGER PRIMARY KEY, sensor_id INTEGER NOT NULL REFERENCES sensors(id),"
	" epoch INTEGER NOT NULL, lane INTEGER NOT NULL, next_seq INTEGER NOT NULL, records INTEGER NOT NULL,"
	" lost INTEGER NOT NULL, updated_s INTEGER NOT NULL, UNIQUE(sensor_id, epoch, lane));"
	"CREATE TABLE IF NOT EXISTS gaps(id INTEGER PRIMARY KEY, lane_id INTEGER NOT NULL REFERENCES lanes(id),"
	" first INTEGER NOT NULL, last INTEGER NOT NULL, at_s INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS records(id INTEGER PRIMARY KEY, lane_id INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" ts_ns INTEGER NOT NULL, event_type TEXT NOT NULL, proto TEXT, app_proto TEXT, src_ip BLOB, src_port INTEGER,"
	" dest_ip BLOB, dest_port INTEGER, signature_id INTEGER, severity INTEGER, function INTEGER,"
	" response_function INTEGER, packets INTEGER, bytes INTEGER, line TEXT NOT NULL);"
	"CREATE UNIQUE INDEX IF NOT EXISTS records_sequence ON records(lane_id, seq);"
	"CREATE INDEX IF NOT EXISTS records_type ON records(event_type, ts_ns, function, response_function, lane_id);"
	"CREATE INDEX IF NOT EXISTS records_src ON records(src_ip, ts_ns) WHERE src_ip IS NOT NULL;"
	"CREATE INDEX IF NOT EXISTS records_dest ON records(dest_ip, ts_ns) WHERE dest_ip IS NOT NULL;"
	"CREATE INDEX IF NOT EXISTS records_signature ON records(signature_id, ts_ns, severity, lane_id)"
	" WHERE signature_id IS NOT NULL;"
	/* A run is what a sensor counted between a start and an end: it keeps its name, and its totals only grow. */
	"CREATE TABLE IF NOT EXISTS runs(lane_id INTEGER NOT NULL REFERENCES lanes(id), run INTEGER NOT NULL,"
	" name TEXT NOT NULL, uptime_s INTEGER NOT NULL, received INTEGER NOT NULL, ts_ns INTEGER NOT NULL,"
	" line TEXT NOT NULL, PRIMARY KEY(lane_id, run));"
	"CREATE TABLE IF NOT EXISTS arrivals(first_id INTEGER PRIMARY KEY, at_s INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS totals(name TEXT PRIMARY KEY, value INTEGER NOT NULL);";

static const char *const statement_texts[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_LANE_GET] = "SELECT l.id, l.next_seq, l.sensor_id FROM sensors s JOIN lanes l ON l.sensor_id = s.id"
		" WHERE s.name = ?1 AND l.epoch = ?2 AND l.lane = ?3",
	[SQL_SENSOR_ADD] = "INSERT OR IGNORE INTO sensors(name, first_seen_s, last_seen_s) VALUES(?1, ?2, ?2)",
	[SQL_LANE_COUNT] = "SELECT count(*) FROM lanes WHERE sensor_id = (SELECT id FROM sensors WHERE name = ?1)",
	[SQL_LANE_ADD] = "INSERT INTO lanes(sensor_id, epoch, lane, next_seq, records, lost, updated_s)"
		" SELECT id, ?2, ?3, 1, 0, 0, ?4 FROM sensors WHERE name = ?1",
	[SQL_LANE_UPDATE] = "UPDATE lanes SET next_seq = ?2, records = records + ?3, lost = lost + ?4, updated_s = ?5"
		" WHERE id = ?1",
	[SQL_SENSOR_SEEN] = "UPDATE sensors SET last_seen_s = ?2 WHERE name = ?1 AND last_seen_s < ?2",
	[SQL_GAP_ADD] = "INSERT INTO gaps(lane_id, first, last, at_s) VALUES(?1, ?2, ?3, ?4)",
	[SQL_RECORD_ADD] = "INSERT INTO records(id, lane_id, seq, ts_ns, event_type, proto, app_proto, src_ip, src_port,"
		" dest_ip, dest_port, signature_id, severity, function, response_function, packets, bytes, line)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
	[SQL_RUN_GET] = "SELECT run, uptime_s > ?2 OR received > ?3 OR name IS NOT ?4 FROM runs WHERE lane_id = ?1"
		" ORDER BY run DESC LIMIT 1",
	[SQL_RUN_PUT] = "INSERT OR REPLACE INTO runs(lane_id, uptime_s, received, name, run, ts_ns, line)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_ARRIVAL_ADD] = "INSERT OR IGNORE INTO arrivals(first_id, at_s) VALUES(?1, ?2)",
	[SQL_BOUNDS] = "SELECT (SELECT min(id) FROM records), (SELECT max(id) FROM records),"
		" (SELECT max(first_id) FROM arrivals), (SELECT max(at_s) FROM arrivals)",
	[SQL_AGE_BOUND] = "SELECT min(first_id) FROM arrivals WHERE at_s >= ?1",
	[SQL_DELETE] = "DELETE FROM records WHERE id < ?1",
	[SQL_ARRIVAL_DELETE] = "DELETE FROM arrivals WHERE first_id < (SELECT max(first_id) FROM arrivals WHERE first_id <= ?1)",
	[SQL_TOTAL_ADD] = "INSERT INTO totals(name, value) VALUES(?1, ?2)"
		" ON CONFLICT(name) DO UPDATE SET value = value + excluded.value",
	[SQL_TOTAL_GET] = "SELECT value FROM totals WHERE name = ?1",
	[SQL_PAGES] = "SELECT p.page_count, f.freelist_count, s.page_size"
		" FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s",
};

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int
sqlite_failed(struct sqlite_store *store, const char *what)
{
	int code = sqlite3_errcode(store->db);

	if (code == SQLITE_INTERRUPT)
		return -ETIMEDOUT;
	log_error("store", "%s: %s", what, sqlite3_errmsg(store->db));
	return code == SQLITE_FULL ? -ENOSPC : code == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

static int
past_deadline(void *arg)
{
	const struct sqlite_store *store = arg;

	return store->deadline_ms != 0 && clock_ms() > store->deadline_ms;
}

void
sqlite_start_deadline(struct sqlite_store *store)
{
	store->deadline_ms = store->query_max_ms == 0 ? 0 : clock_ms() + store->query_max_ms;
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
bind_u64(sqlite3_stmt *statement, int at, uint64_t value)
{
	sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

static void
bind_lane(sqlite3_stmt *statement, const struct batch_head *head)
{
	sqlite3_bind_text(statement, 1, head->sensor, -1, SQLITE_STATIC);
	bind_u64(statement, 2, head->epoch);
	sqlite3_bind_int(statement, 3, (int)head->lane);
}

struct lane {
	int64_t id;
	uint64_t next;
};

/* @return 1: found, 0: no such lane yet (next is 1), -errno */
static int
lane_get(struct sqlite_store *store, const struct batch_head *head, struct lane *out)
{
	sqlite3_stmt *statement = store->statements[SQL_LANE_GET];
	int code;
	int result = 0;

	*out = (struct lane){ .next = 1 };
	bind_lane(statement, head);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		out->id = sqlite3_column_int64(statement, 0);
		out->next = (uint64_t)sqlite3_column_int64(statement, 1);
		result = 1;
	} else if (code != SQLITE_DONE) {
		result = sqlite_failed(store, "lane");
	}
	sqlite3_reset(statement);
	return result;
}

static int
lane_add(struct sqlite_store *store, const struct batch_head *head, int64_t now_s, struct lane *out)
{
	sqlite3_stmt *count = store->statements[SQL_LANE_COUNT];
	sqlite3_stmt *add = store->statements[SQL_LANE_ADD];
	sqlite3_stmt *sensor = store->statements[SQL_SENSOR_ADD];
	int64_t lanes = 0;
	int err;

	sqlite3_bind_text(count, 1, head->sensor, -1, SQLITE_STATIC);
	if (sqlite3_step(count) == SQLITE_ROW)
		lanes = sqlite3_column_int64(count, 0);
	sqlite3_reset(count);
	if (lanes >= LANES_PER_SENSOR_MAX)
		return -EDQUOT;
	sqlite3_bind_text(sensor, 1, head->sensor, -1, SQLITE_STATIC);
	sqlite3_bind_int64(sensor, 2, now_s);
	err = sqlite_run(store, SQL_SENSOR_ADD);
	if (err != 0)
		return err;
	bind_lane(add, head);
	sqlite3_bind_int64(add, 4, now_s);
	err = sqlite_run(store, SQL_LANE_ADD);
	out->id = sqlite3_last_insert_rowid(store->db);
	return err;
}

static const struct line_text no_text = { .data = "" };

static void
bind_text(sqlite3_stmt *statement, int at, const struct line_text *text)
{
	if (text->data == NULL)
		sqlite3_bind_null(statement, at);
	else
		sqlite3_bind_text(statement, at, text->data, (int)text->len, SQLITE_STATIC);
}

static void
bind_ip(sqlite3_stmt *statement, int at, const struct line_ip *ip)
{
	if (ip->len == 0)
		sqlite3_bind_null(statement, at);
	else
		sqlite3_bind_blob(statement, at, ip->bytes, (int)ip->len, SQLITE_STATIC);
}

static void
bind_number(sqlite3_stmt *statement, int at, const struct line_number *number)
{
	if (number->present)
		sqlite3_bind_int64(statement, at, number->value);
	else
		sqlite3_bind_null(statement, at);
}

/* Both directions as one; a hostile pair cannot overflow. */
static struct line_number
sum(const struct line_number pair[2])
{
	int64_t total;

	if (__builtin_add_overflow(pair[0].value, pair[1].value, &total))
		total = INT64_MAX;
	return (struct line_number){ .value = total, .present = pair[0].present || pair[1].present };
}

static int
record_add(struct sqlite_store *store, int64_t lane_id, uint64_t sequence, const struct store_line *line)
{
	sqlite3_stmt *statement = store->statements[SQL_RECORD_ADD];
	struct line_number packets = sum(line->packets);
	struct line_number bytes = sum(line->bytes);

	sqlite3_bind_int64(statement, 1, store->next_id);
	sqlite3_bind_int64(statement, 2, lane_id);
	bind_u64(statement, 3, sequence);
	sqlite3_bind_int64(statement, 4, line->ts_ns.value);
	bind_text(statement, 5, line->event_type.data == NULL ? &no_text : &line->event_type);
	bind_text(statement, 6, &line->proto);
	bind_text(statement, 7, &line->app_proto);
	bind_ip(statement, 8, &line->src_ip);
	bind_number(statement, 9, &line->src_port);
	bind_ip(statement, 10, &line->dest_ip);
	bind_number(statement, 11, &line->dest_port);
	bind_number(statement, 12, &line->signature_id);
	bind_number(statement, 13, &line->severity);
	bind_number(statement, 14, &line->function);
	bind_number(statement, 15, &line->response_function);
	bind_number(statement, 16, &packets);
	bind_number(statement, 17, &bytes);
	bind_text(statement, 18, &line->text);
	store->next_id++;
	return sqlite_run(store, SQL_RECORD_ADD);
}

static void
bind_run(sqlite3_stmt *statement, int64_t lane_id, const struct store_line *line)
{
	sqlite3_bind_int64(statement, 1, lane_id);
	sqlite3_bind_int64(statement, 2, line->uptime_s.value);
	sqlite3_bind_int64(statement, 3, line->received.value);
	bind_text(statement, 4, line->run.data == NULL ? &no_text : &line->run);
}

/* Keeps the newest stats record of each run; retention never takes it away. */
static int
run_note(struct sqlite_store *store, int64_t lane_id, const struct store_line *line)
{
	sqlite3_stmt *get = store->statements[SQL_RUN_GET];
	sqlite3_stmt *put = store->statements[SQL_RUN_PUT];
	int64_t number = 1;

	bind_run(get, lane_id, line);
	if (sqlite3_step(get) == SQLITE_ROW)
		number = sqlite3_column_int64(get, 0) + sqlite3_column_int64(get, 1);
	sqlite3_reset(get);
	bind_run(put, lane_id, line);
	sqlite3_bind_int64(put, 5, number);
	sqlite3_bind_int64(put, 6, line->ts_ns.value);
	bind_text(put, 7, &line->text);
	return sqlite_run(store, SQL_RUN_PUT);
}

static int
arrival_note(struct sqlite_store *store, int64_t now_s)
{
	sqlite3_stmt *statement = store->statements[SQL_ARRIVAL_ADD];

	if (now_s < store->arrival_s + ARRIVAL_STEP_S)
		return 0;
	store->arrival_s = now_s;
	sqlite3_bind_int64(statement, 1, store->next_id);
	sqlite3_bind_int64(statement, 2, now_s);
	return sqlite_run(store, SQL_ARRIVAL_ADD);
}

static int
gap_add(struct sqlite_store *store, int64_t lane_id, uint64_t first, uint64_t last, int64_t now_s)
{
	sqlite3_stmt *statement = store->statements[SQL_GAP_ADD];

	sqlite3_bind_int64(statement, 1, lane_id);
	bind_u64(statement, 2, first);
	bind_u64(statement, 3, last);
	sqlite3_bind_int64(statement, 4, now_s);
	return sqlite_run(store, SQL_GAP_ADD);
}

static int
lane_update(struct sqlite_store *store, const struct batch_head *head, const struct lane *lane,
	const struct store_appended *done, int64_t now_s)
{
	sqlite3_stmt *update = store->statements[SQL_LANE_UPDATE];
	sqlite3_stmt *seen = store->statements[SQL_SENSOR_SEEN];
	int err;

	sqlite3_bind_int64(update, 1, lane->id);
	bind_u64(update, 2, done->next);
	bind_u64(update, 3, done->stored);
	bind_u64(update, 4, done->lost);
	sqlite3_bind_int64(update, 5, now_s);
	err = sqlite_run(store, SQL_LANE_UPDATE);
	if (err != 0)
		return err;
	sqlite3_bind_text(seen, 1, head->sensor, -1, SQLITE_STATIC);
	sqlite3_bind_int64(seen, 2, now_s);
	return sqlite_run(store, SQL_SENSOR_SEEN);
}

static int
records_add(struct sqlite_store *store, const struct lane *lane, const struct batch_head *head,
	const struct store_line *lines, struct store_appended *out)
{
	int err = 0;

	for (uint32_t i = 0; i < head->count && err == 0; i++) {
		uint64_t sequence = head->sequence + i;
		const struct store_line *line = &lines[i];

		if (sequence < out->next) {
			out->skipped++;
			continue;
		}
		err = record_add(store, lane->id, sequence, line);
		if (err == 0 && head->lane == LINK_LANE_STATS && line->uptime_s.present)
			err = run_note(store, lane->id, line);
		out->next = sequence + 1;
		out->stored++;
	}
	return err;
}

static int
sqlite_store_append(struct store *base, const struct batch_head *head, const struct store_line *lines,
	struct store_appended *out)
{
	struct sqlite_store *store = sqlite_of(base);
	int64_t now_s = (int64_t)time(NULL);
	struct lane lane;
	uint64_t expected;
	int err = lane_get(store, head, &lane);

	if (err < 0)
		return err;
	*out = (struct store_appended){ .next = lane.next };
	expected = head->skip_to > lane.next ? head->skip_to : lane.next;
	if (head->sequence > expected)
		return -ERANGE;
	if (head->sequence + head->count <= expected) {
		out->skipped = head->count;
		return 0;
	}
	if (!store->in_transaction) {
		int begun = sqlite_run(store, SQL_BEGIN);

		if (begun != 0)
			return begun;
		store->in_transaction = true;
	}
	if (err == 0 && (err = lane_add(store, head, now_s, &lane)) != 0)
		return err;
	err = arrival_note(store, now_s);
	if (err == 0 && expected > lane.next) {
		err = gap_add(store, lane.id, lane.next, expected - 1, now_s);
		out->lost = expected - lane.next;
		out->next = expected;
	}
	if (err >= 0)
		err = records_add(store, &lane, head, lines, out);
	return err != 0 ? err : lane_update(store, head, &lane, out, now_s);
}

static int
sqlite_store_next(struct store *base, const struct batch_head *head, uint64_t *next)
{
	struct lane lane;
	int err = lane_get(sqlite_of(base), head, &lane);

	*next = lane.next;
	return err < 0 ? err : 0;
}

/* Record ids go on from where they were, even when retention has emptied the table. */
static int
load_bounds(struct sqlite_store *store)
{
	sqlite3_stmt *statement = store->statements[SQL_BOUNDS];
	int err = 0;

	if (sqlite3_step(statement) == SQLITE_ROW) {
		int64_t newest = sqlite3_column_int64(statement, 1);
		int64_t arrival = sqlite3_column_int64(statement, 2);

		store->next_id = (newest > arrival ? newest : arrival) + 1;
		store->arrival_s = sqlite3_column_int64(statement, 3);
	} else {
		err = sqlite_failed(store, "bounds");
	}
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
	(void)load_bounds(store);
}

static int
sqlite_store_commit(struct store *base)
{
	struct sqlite_store *store = sqlite_of(base);
	int err;

	if (!store->in_transaction)
		return 0;
	err = sqlite_run(store, SQL_COMMIT);
	if (err != 0)
		sqlite_store_rollback(base);
	store->in_transaction = false;
	return err;
}

static void
sqlite_store_close(struct store *base)
{
	struct sqlite_store *store = sqlite_of(base);

	sqlite_store_rollback(base);
	for (unsigned int i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->db);
	free(store);
}

static int
check_version(struct sqlite_store *store)
{
	sqlite3_stmt *statement = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
		return sqlite_failed(store, "user_version");
	if (sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	if (version == 0 || version == SCHEMA_VERSION)
		return 0;
	log_error("store", "the database has schema version %d, this program reads version %d", version, SCHEMA_VERSION);
	return -EPROTO;
}

static int
exec(struct sqlite_store *store, const char *sql)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_failed(store, sql);
}

static int
open_writer(struct sqlite_store *store)
{
	int err = exec(store, "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		"PRAGMA wal_autocheckpoint = 16384; PRAGMA journal_size_limit = 268435456; PRAGMA cache_size = -65536;"
		"PRAGMA temp_store = MEMORY");

	if (err == 0)
		err = check_version(store);
	if (err == 0)
		err = exec(store, schema);
	if (err == 0)
		err = exec(store, "PRAGMA user_version = 1");
	for (unsigned int i = 0; i < SQL_COUNT && err == 0; i++)
		if (sqlite3_prepare_v3(store->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
		    &store->statements[i], NULL) != SQLITE_OK)
			err = sqlite_failed(store, statement_texts[i]);
	return err != 0 ? err : load_bounds(store);
}

static int
sqlite_store_open(struct store **out, const struct store_config *config, bool writer)
{
	struct sqlite_store *store = calloc(1, sizeof(*store));
	int err;

	if (store == NULL)
		return -ENOMEM;
	store->base.ops = &sqlite_store_ops;
	store->records_max = config->records_max;
	store->bytes_max = config->bytes_max;
	store->age_max_s = config->age_max_s;
	store->query_max_ms = config->query_max_ms;
	if (sqlite3_open_v2(config->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
	    (writer ? SQLITE_OPEN_CREATE : 0), NULL) != SQLITE_OK) {
		log_error("store", "store.path: %s: %s", config->path,
			store->db == NULL ? "out of memory" : sqlite3_errmsg(store->db));
		sqlite_store_close(&store->base);
		return -EIO;
	}
	sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	sqlite3_limit(store->db, SQLITE_LIMIT_ATTACHED, 0);
	if (writer)
		err = open_writer(store);
	else
		err = exec(store, "PRAGMA query_only = 1; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY");
	if (err != 0) {
		sqlite_store_close(&store->base);
		return err;
	}
	if (!writer)
		sqlite3_progress_handler(store->db, DEADLINE_STEPS, past_deadline, store);
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
};
