/* Versions of the tables on a node. A node that was down, or is new, is brought up to date when it is first asked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/store/clickhouse/clickhouse_private.h"

enum { DDL_TIMEOUT_MS = 30000, LOCK_SCHEMA = 0x6d720004 };

#define ADD_COLUMN "ADD COLUMN "

extern const struct pg_migration clickhouse_migrations[];
extern const unsigned int clickhouse_migrations_count;

static int
tell(struct clickhouse_store *store, struct clickhouse_node *node, const char *sql, struct clickhouse_bytes *answer)
{
	const struct clickhouse_call call = { .sql = sql, .timeout_ms = DDL_TIMEOUT_MS };

	return clickhouse_ask(store, node, &call, answer);
}

static int
make_database(struct clickhouse_store *store, struct clickhouse_node *node, struct clickhouse_bytes *answer)
{
	struct clickhouse_bytes sql = { 0 };
	struct clickhouse_call call = { .timeout_ms = DDL_TIMEOUT_MS, .no_database = true };
	int err;

	clickhouse_bytes_printf(&sql, "CREATE DATABASE IF NOT EXISTS %s", store->database);
	clickhouse_bytes_put(&sql, "", 1);
	call.sql = sql.data;
	err = sql.failed ? -ENOMEM : clickhouse_ask(store, node, &call, answer);
	clickhouse_bytes_free(&sql);
	return err;
}

/* ClickHouse 18 knows no ADD COLUMN IF NOT EXISTS: a column may have come from another replica's, or with the table. */
static int
add_columns(struct clickhouse_store *store, struct clickhouse_node *node, const char *statement, struct clickhouse_bytes *answer)
{
	const char *column = strstr(statement, ADD_COLUMN) + strlen(ADD_COLUMN);
	struct clickhouse_bytes sql = { 0 };
	int err;

	clickhouse_bytes_printf(&sql, "SELECT count() FROM system.columns WHERE database = '%s' AND table = 'records' AND name = '%.*s'",
		store->database, (int)strcspn(column, " "), column);
	clickhouse_bytes_put(&sql, "", 1);
	err = sql.failed ? -ENOMEM : tell(store, node, sql.data, answer);
	clickhouse_bytes_free(&sql);
	if (err == 0 && strtoul(answer->data, NULL, 10) == 0)
		err = tell(store, node, statement, answer);
	return err;
}

/* Each statement of a step, with its variables filled in. */
static int
run_step(struct clickhouse_store *store, struct clickhouse_shard *shard, struct clickhouse_node *node, const char *text)
{
	struct clickhouse_bytes answer = { 0 };
	struct clickhouse_bytes sql = { 0 };
	int err = 0;

	while (err == 0 && *text != '\0') {
		if (strncmp(text, "$database", 9) == 0) {
			clickhouse_bytes_printf(&sql, "%s", store->database);
			text += 9;
		} else if (strncmp(text, "$shard", 6) == 0) {
			clickhouse_bytes_printf(&sql, "%u", (unsigned int)(shard - store->shards) + 1);
			text += 6;
		} else if (strncmp(text, "$replica", 8) == 0) {
			clickhouse_bytes_printf(&sql, "%s", node->replica);
			text += 8;
		} else if (text[0] == ';' && text[1] == '\n') {
			clickhouse_bytes_put(&sql, "", 1);
			err = sql.failed ? -ENOMEM : strstr(sql.data, ADD_COLUMN) != NULL ? add_columns(store, node, sql.data, &answer)
				: tell(store, node, sql.data, &answer);
			sql.len = 0;
			text += 2;
		} else {
			clickhouse_bytes_put(&sql, text++, 1);
		}
	}
	clickhouse_bytes_free(&sql);
	clickhouse_bytes_free(&answer);
	return err;
}

static int
migrate(struct clickhouse_store *store, struct clickhouse_shard *shard, struct clickhouse_node *node)
{
	struct clickhouse_bytes answer = { 0 };
	unsigned int version = 0;
	int err = make_database(store, node, &answer);

	if (err == 0)
		err = tell(store, node, "CREATE TABLE IF NOT EXISTS schema_versions (version UInt32) ENGINE = TinyLog", &answer);
	if (err == 0)
		err = tell(store, node, "SELECT max(version) FROM schema_versions", &answer);
	if (err == 0)
		version = (unsigned int)strtoul(answer.data, NULL, 10);
	if (err == 0 && version > clickhouse_migrations_count) {
		log_error("store", "clickhouse %s: the schema has version %u, this program knows %u", node->replica, version,
			clickhouse_migrations_count);
		err = -EPROTO;
	}
	for (unsigned int i = version; i < clickhouse_migrations_count && err == 0; i++) {
		struct clickhouse_bytes sql = { 0 };

		err = run_step(store, shard, node, clickhouse_migrations[i].sql);
		clickhouse_bytes_printf(&sql, "INSERT INTO schema_versions VALUES (%u)", clickhouse_migrations[i].version);
		clickhouse_bytes_put(&sql, "", 1);
		if (err == 0)
			err = sql.failed ? -ENOMEM : tell(store, node, sql.data, &answer);
		clickhouse_bytes_free(&sql);
	}
	clickhouse_bytes_free(&answer);
	return err;
}

/* Shards are known by their place in the configuration: where two aggregators disagree about it, or one has lost a line, records
 * would be looked for where they are not. */
static int
check_shard(struct clickhouse_store *store, struct clickhouse_shard *shard, struct clickhouse_node *node)
{
	struct clickhouse_bytes answer = { 0 };
	struct clickhouse_bytes path = { 0 };
	struct clickhouse_call call = { .timeout_ms = DDL_TIMEOUT_MS };
	struct clickhouse_bytes sql = { 0 };
	int err;

	clickhouse_bytes_printf(&sql, "SELECT zookeeper_path FROM system.replicas WHERE database = '%s' AND table = 'records'",
		store->database);
	clickhouse_bytes_put(&sql, "", 1);
	clickhouse_bytes_printf(&path, "/millrace/%s/%u/records\n", store->database, (unsigned int)(shard - store->shards) + 1);
	clickhouse_bytes_put(&path, "", 1);
	call.sql = sql.data;
	err = sql.failed || path.failed ? -ENOMEM : clickhouse_ask(store, node, &call, &answer);
	if (err == 0 && strcmp(answer.data, path.data) != 0) {
		log_error("store", "clickhouse %s: its records are %.*s, as shard %u it would have %.*s: shards must stand in the same order"
			" everywhere and for good", node->replica, (int)strcspn(answer.data, "\n"), answer.data,
			(unsigned int)(shard - store->shards) + 1, (int)strcspn(path.data, "\n"), path.data);
		err = -EPROTO;
	}
	clickhouse_bytes_free(&sql);
	clickhouse_bytes_free(&path);
	clickhouse_bytes_free(&answer);
	return err;
}

int
clickhouse_node_ready(struct clickhouse_store *store, struct clickhouse_shard *shard, struct clickhouse_node *node)
{
	const struct clickhouse_call call = { .sql = "SELECT version()", .timeout_ms = DDL_TIMEOUT_MS, .no_database = true };
	struct clickhouse_bytes answer = { 0 };
	int err;

	if (node->ready)
		return 0;
	err = clickhouse_ask(store, node, &call, &answer);
	if (err == 0)
		node->major = (unsigned int)strtoul(answer.data, NULL, 10);
	clickhouse_bytes_free(&answer);
	/* Gateways that begin at once do it one after the other. */
	if (err == 0)
		err = pg_run(store->aside, "SELECT pg_advisory_lock($1)", "n", (int64_t)LOCK_SCHEMA) < 0 ? -EIO : 0;
	if (err == 0) {
		err = migrate(store, shard, node);
		(void)pg_run(store->aside, "SELECT pg_advisory_unlock($1)", "n", (int64_t)LOCK_SCHEMA);
	}
	if (err == 0)
		err = check_shard(store, shard, node);
	node->ready = err == 0;
	return err;
}
