/*
 * Partitions: each day's records, or a part of a busy day's, are tables of their own, so that indexes stay small and
 * warm, questions about a time pass over the others, and retention takes whole tables away. They are of one
 * file, because a batch's records and its lane's position must become durable together.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/sqlite/sqlite_private.h"

enum {
	SECONDS_OF_DAY = 86400,
	RECORDS_MIN = 10000,             /* of a partition that ends because it is full */
	BYTES_MIN = 16 * 1024 * 1024,
	PARTS_OF_BOUND = 8,              /* a bound is kept to an eighth */
	SQL_TEXT_MAX = 2048,
};

/* The columns of a record are those that questions filter and count by; its line is in a block. What few records are, has
 * an index of records; what most are, spans and tallies of runs (sqlite_spans.c). */
static const char tables[] =
	"CREATE TABLE blocks_$(id INTEGER PRIMARY KEY, lines_len INTEGER NOT NULL, body BLOB NOT NULL);"
	"CREATE TABLE records_$(id INTEGER PRIMARY KEY, lane_id INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" ts_ns INTEGER NOT NULL, event_type TEXT NOT NULL, proto TEXT, app_proto TEXT, src_ip BLOB, src_port INTEGER,"
	" dest_ip BLOB, dest_port INTEGER, signature_id INTEGER, severity INTEGER, function INTEGER,"
	" response_function INTEGER, packets INTEGER, bytes INTEGER, block INTEGER NOT NULL, at INTEGER NOT NULL,"
	" len INTEGER NOT NULL, flow_id INTEGER, flow_part INTEGER);"
	"CREATE INDEX flow_$ ON records_$(ts_ns) WHERE event_type = 'flow';"
	"CREATE INDEX signature_$ ON records_$(signature_id, ts_ns, severity, lane_id) WHERE signature_id IS NOT NULL;"
	"CREATE TABLE spans_$(kind INTEGER NOT NULL, key BLOB NOT NULL, ts_max_ns INTEGER NOT NULL, first_id INTEGER NOT NULL,"
	" ts_min_ns INTEGER NOT NULL, last_id INTEGER NOT NULL, prints BLOB, PRIMARY KEY(kind, key, ts_max_ns, first_id)) WITHOUT ROWID;"
	"CREATE TABLE tallies_$(first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, lane_id INTEGER NOT NULL,"
	" ts_min_ns INTEGER NOT NULL, ts_max_ns INTEGER NOT NULL, event_type TEXT NOT NULL, function INTEGER,"
	" response_function INTEGER, records INTEGER NOT NULL, sample INTEGER NOT NULL);";

/* What version 4 added; what is there has none of it. */
static const char upgrade[] =
	"ALTER TABLE records_$ ADD COLUMN flow_id INTEGER;"
	"ALTER TABLE records_$ ADD COLUMN flow_part INTEGER;"
	"ALTER TABLE spans_$ ADD COLUMN prints BLOB;";

static const char *const part_texts[PART_COUNT] = {
	[PART_RECORD_ADD] = "INSERT INTO records_$(id, lane_id, seq, ts_ns, event_type, proto, app_proto, src_ip, src_port,"
		" dest_ip, dest_port, signature_id, severity, function, response_function, packets, bytes, block, at, len,"
		" flow_id, flow_part)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
	[PART_BLOCK_ADD] = "INSERT INTO blocks_$(id, lines_len, body) VALUES(?1, ?2, ?3)",
	[PART_SPAN_ADD] = "INSERT INTO spans_$(kind, key, ts_max_ns, first_id, ts_min_ns, last_id, prints)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[PART_TALLY_ADD] = "INSERT INTO tallies_$ VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
};

void
sqlite_put_numbered(struct buf *out, const char *text, int64_t number)
{
	for (; *text != '\0'; text++) {
		if (*text == '$')
			buf_printf(out, "%" PRId64, number);
		else
			buf_putc(out, *text);
	}
}

int
sqlite_exec_numbered(struct sqlite_store *store, const char *text, int64_t id)
{
	char numbered[SQL_TEXT_MAX];
	struct buf sql = { .data = numbered, .cap = sizeof(numbered) - 1 };

	sqlite_put_numbered(&sql, text, id);
	numbered[sql.len] = '\0';
	return sql.full ? -E2BIG : sqlite_exec(store, numbered);
}

int
sqlite_partition_make(struct sqlite_store *store, int64_t id)
{
	return sqlite_exec_numbered(store, tables, id);
}

void
sqlite_partition_close(struct sqlite_store *store)
{
	for (unsigned int i = 0; i < PART_COUNT; i++) {
		sqlite3_finalize(store->part_statements[i]);
		store->part_statements[i] = NULL;
	}
	store->partition = (struct sqlite_partition){ 0 };
}

static int
prepare(struct sqlite_store *store)
{
	for (unsigned int i = 0; i < PART_COUNT; i++) {
		char text[SQL_TEXT_MAX];
		struct buf sql = { .data = text, .cap = sizeof(text) - 1 };

		sqlite_put_numbered(&sql, part_texts[i], store->partition.id);
		text[sql.len] = '\0';
		if (sqlite3_prepare_v3(store->db, text, -1, SQLITE_PREPARE_PERSISTENT, &store->part_statements[i],
		    NULL) != SQLITE_OK)
			return sqlite_failed(store, "partition");
	}
	return 0;
}

static void
read_row(sqlite3_stmt *row, struct sqlite_partition *out)
{
	*out = (struct sqlite_partition){
		.id = sqlite3_column_int64(row, 0),
		.day = sqlite3_column_int64(row, 1),
		.first_id = sqlite3_column_int64(row, 2),
		.next_id = sqlite3_column_int64(row, 3),
		.ts_min_ns = sqlite3_column_int64(row, 4),
		.ts_max_ns = sqlite3_column_int64(row, 5),
		.arrived_s = sqlite3_column_int64(row, 6),
		.bytes = sqlite3_column_int64(row, 7),
		.doomed = sqlite3_column_int(row, 8) != 0,
	};
}

int
sqlite_partitions(struct sqlite_store *store, bool doomed, struct sqlite_partition **out)
{
	struct sqlite_partition *rows = calloc(SQLITE_PARTITIONS_MAX, sizeof(*rows));
	sqlite3_stmt *statement = NULL;
	int count = 0;
	int code;

	if (rows == NULL)
		return -ENOMEM;
	code = sqlite3_prepare_v2(store->db, "SELECT id, day, first_id, next_id, ts_min_ns, ts_max_ns, arrived_s, bytes,"
		" doomed FROM partitions WHERE id > 0 AND doomed = ?1 ORDER BY id", -1, &statement, NULL);
	sqlite3_bind_int(statement, 1, doomed);
	if (code == SQLITE_OK)
		while ((code = sqlite3_step(statement)) == SQLITE_ROW && count < SQLITE_PARTITIONS_MAX)
			read_row(statement, &rows[count++]);
	if (code != SQLITE_DONE) {
		free(rows);
		count = sqlite_failed(store, "partitions");
	} else {
		*out = rows;
	}
	sqlite3_finalize(statement);
	return count;
}

int
sqlite_partitions_upgrade(struct sqlite_store *store)
{
	struct sqlite_partition *rows;
	int count = sqlite_partitions(store, false, &rows);
	int err = count < 0 ? count : sqlite_exec_numbered(store, upgrade, 0);

	for (int i = 0; i < count && err == 0; i++)
		err = sqlite_exec_numbered(store, upgrade, rows[i].id);
	if (count >= 0)
		free(rows);
	return err;
}

/* Ids go on from where they were, even when retention has emptied the store: row 0 remembers. */
static int
load_ids(struct sqlite_store *store)
{
	sqlite3_stmt *statement = NULL;
	int err = 0;

	if (sqlite3_prepare_v2(store->db, "SELECT max(next_id), max(next_block), count(*) - 1,"
	    " max(iif(id = 0, day, id)) FROM partitions", -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
		store->next_id = sqlite3_column_int64(statement, 0);
		store->next_block = sqlite3_column_int64(statement, 1);
		store->partition_count = sqlite3_column_int64(statement, 2);
		store->newest_partition = sqlite3_column_int64(statement, 3);
	} else {
		err = sqlite_failed(store, "partitions");
	}
	sqlite3_finalize(statement);
	return err;
}

int
sqlite_partition_load(struct sqlite_store *store)
{
	struct sqlite_partition *rows;
	int count = sqlite_partitions(store, false, &rows);

	sqlite_partition_close(store);
	if (count < 0)
		return count;
	if (count > 0)
		store->partition = rows[count - 1];
	free(rows);
	if (load_ids(store) != 0)
		return -EIO;
	return store->partition.id == 0 ? 0 : prepare(store);
}

static bool
is_full(const struct sqlite_store *store)
{
	const struct sqlite_partition *partition = &store->partition;
	uint64_t records = (uint64_t)(partition->next_id - partition->first_id);
	uint64_t records_max = store->records_max / PARTS_OF_BOUND;
	uint64_t bytes_max = store->bytes_max / PARTS_OF_BOUND;

	if (records >= store->partition_records_max)
		return true;
	if (store->records_max != 0 && records > (records_max > RECORDS_MIN ? records_max : RECORDS_MIN))
		return true;
	return store->bytes_max != 0 && (uint64_t)partition->bytes > (bytes_max > BYTES_MIN ? bytes_max : BYTES_MIN);
}

static int
begin(struct sqlite_store *store, int64_t day)
{
	int64_t id = store->newest_partition + 1;
	sqlite3_stmt *add = store->statements[SQL_PARTITION_ADD];
	int err = 0;

	if (store->partition.id != 0)
		err = sqlite_partition_save(store);
	sqlite_partition_close(store);
	if (err == 0)
		err = sqlite_partition_make(store, id);
	if (err != 0)
		return err;
	store->partition = (struct sqlite_partition){ .id = id, .day = day, .first_id = store->next_id,
		.next_id = store->next_id, .ts_min_ns = INT64_MAX };
	sqlite3_bind_int64(add, 1, id);
	sqlite3_bind_int64(add, 2, day);
	sqlite3_bind_int64(add, 3, store->next_id);
	err = sqlite_run(store, SQL_PARTITION_ADD);
	store->newest_partition = id;
	store->partition_count++;
	return err != 0 ? err : prepare(store);
}

int
sqlite_partition_ready(struct sqlite_store *store, int64_t now_s)
{
	int64_t day = now_s / SECONDS_OF_DAY;
	int err = 0;

	/* A clock that goes back goes on with what is there. */
	if (store->partition.id == 0 || (store->partition_count < SQLITE_PARTITIONS_MAX &&
	    (day > store->partition.day || is_full(store))))
		err = begin(store, day);
	if (now_s > store->partition.arrived_s)
		store->partition.arrived_s = now_s;
	return err;
}

int
sqlite_partition_save(struct sqlite_store *store)
{
	const struct sqlite_partition *partition = &store->partition;
	sqlite3_stmt *update = store->statements[SQL_PARTITION_UPDATE];

	sqlite3_bind_int64(update, 1, partition->id);
	sqlite3_bind_int64(update, 2, store->next_id);
	sqlite3_bind_int64(update, 3, partition->ts_min_ns);
	sqlite3_bind_int64(update, 4, partition->ts_max_ns);
	sqlite3_bind_int64(update, 5, partition->arrived_s);
	sqlite3_bind_int64(update, 6, partition->bytes);
	sqlite3_bind_int64(update, 7, store->next_block);
	return sqlite_run(store, SQL_PARTITION_UPDATE);
}
