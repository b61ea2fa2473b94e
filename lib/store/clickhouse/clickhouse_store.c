#include "lib/store/clickhouse/clickhouse_store.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/store/clickhouse/clickhouse_private.h"

extern const struct pg_migration store_migrations[];
extern const unsigned int store_migrations_count;

static void
clickhouse_store_rollback(struct store *base)
{
	struct clickhouse_store *store = clickhouse_of(base);

	if (store->block.id != 0)
		clickhouse_block_give_up(store);
}

static int
clickhouse_store_commit(struct store *base)
{
	struct clickhouse_store *store = clickhouse_of(base);
	int err;

	if (store->block.id == 0)
		return 0;
	if (store->block.row_count == 0) {
		clickhouse_block_give_up(store);
		return 0;
	}
	err = clickhouse_block_send(store);
	if (err == 0)
		err = clickhouse_block_settle(store);
	if (err != 0) {
		log_error("store", "a block of %u records is given up: %s", store->block.row_count, strerror(-err));
		clickhouse_block_give_up(store);
	}
	return err;
}

static void
clickhouse_store_close(struct store *base)
{
	struct clickhouse_store *store = clickhouse_of(base);

	clickhouse_store_rollback(base);
	clickhouse_nodes_destroy(store);
	pg_close(store->tx);
	pg_close(store->aside);
	free(store->block.lanes);
	free(store->database);
	free(store->ca);
	free(store->postgres);
	free(store);
	curl_global_cleanup();
}

static bool
is_plain(const char *name)
{
	return name[0] != '\0' &&
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name);
}

static int
create(struct clickhouse_store **out, const struct store_config *config)
{
	const struct store_cluster *cluster = &config->cluster;
	struct clickhouse_store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return -ENOMEM;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		free(store);
		return -ENOMEM;
	}
	*out = store;
	store->base.ops = &clickhouse_store_ops;
	store->records_max = config->records_max;
	store->bytes_max = config->bytes_max;
	store->age_max_s = config->age_max_s;
	store->partition_records_max = config->partition_records_max;
	store->query_max_ms = config->query_max_ms;
	store->cancel = config->cancel;
	store->insert_timeout_ms = cluster->insert_timeout_ms;
	store->database = strdup(cluster->database);
	store->postgres = strdup(cluster->postgres);
	if (store->database == NULL || store->postgres == NULL)
		return -ENOMEM;
	if (cluster->ca != NULL && cluster->ca[0] != '\0') {
		store->ca = strdup(cluster->ca);
		if (store->ca == NULL)
			return -ENOMEM;
	}
	if (!is_plain(store->database)) {
		log_error("store", "store.clickhouse.database: %s: letters, digits and underscores are wanted", store->database);
		return -EINVAL;
	}
	return clickhouse_nodes_create(store, cluster);
}

/* A node that is down is no hindrance while the others are a quorum: it is looked after when it is asked again. */
static int
ready_nodes(struct clickhouse_store *store)
{
	for (unsigned int i = 0; i < store->shard_count; i++) {
		struct clickhouse_shard *shard = &store->shards[i];
		unsigned int ready = 0;

		for (unsigned int n = 0; n < shard->node_count; n++) {
			int err = clickhouse_node_ready(store, shard, &shard->nodes[n]);

			if (err == -EPROTO)
				return err;
			ready += err == 0;
		}
		if (ready < shard->quorum) {
			log_error("store", "clickhouse: %u of shard %u's %u replicas can be used, the quorum is %u", ready, i + 1,
				shard->node_count, shard->quorum);
			return -EHOSTUNREACH;
		}
	}
	return 0;
}

/* What is in a shard that the configuration does not name would be missing from every answer. */
static int
check_shards(struct clickhouse_store *store)
{
	PGresult *rows = pg_ask(store->aside, "SELECT coalesce(max(s.shard) + 1, 0) FROM stock s JOIN partitions p ON p.id = s.part"
		" WHERE NOT p.doomed", "");
	int64_t known = rows == NULL ? 0 : pg_number(rows, 0, 0);
	int err = rows == NULL ? pg_error(store->aside) : 0;

	PQclear(rows);
	if (err == 0 && known > store->shard_count) {
		log_error("store", "store.clickhouse.shards: %u are given, but records are in %lld", store->shard_count, (long long)known);
		err = -EINVAL;
	}
	return err;
}

static int
clickhouse_store_open(struct store **out, const struct store_config *config, bool writer)
{
	struct clickhouse_store *store = NULL;
	int err = create(&store, config);

	if (err == 0)
		err = pg_open(&store->aside, store->postgres, "store");
	if (err == 0)
		err = pg_migrate(store->aside, "store", store_migrations, store_migrations_count);
	if (err == 0)
		err = check_shards(store);
	if (err == 0 && writer)
		err = pg_open(&store->tx, store->postgres, "store");
	if (err == 0)
		err = ready_nodes(store);
	if (err != 0) {
		if (store != NULL)
			clickhouse_store_close(&store->base);
		return err;
	}
	*out = &store->base;
	return 0;
}

/* Each database has its own tool for it, that takes more than one file. */
static int
clickhouse_store_backup(struct store *base, const char *path)
{
	(void)base;
	(void)path;
	log_error("store", "the store clickhouse is backed up by its databases' own means: docs/guide/aggregator.md");
	return -EOPNOTSUPP;
}

const struct store_ops clickhouse_store_ops = {
	.name = "clickhouse",
	.shared = true,
	.open = clickhouse_store_open,
	.close = clickhouse_store_close,
	.next_sequence = clickhouse_store_next,
	.append = clickhouse_store_append,
	.commit = clickhouse_store_commit,
	.rollback = clickhouse_store_rollback,
	.expire = clickhouse_store_expire,
	.query = clickhouse_store_query,
	.report = clickhouse_store_report,
	.backup = clickhouse_store_backup,
};
