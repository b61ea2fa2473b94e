/*
 * The store for where one machine is outgrown: records in ClickHouse, replicated and sharded; what is small and changes in
 * PostgreSQL. Any number of gateways may write and read at once.
 *
 * What a gateway commits at once is a block: numbered in PostgreSQL before it is sent, written to ClickHouse with a
 * quorum, and then, in one transaction, its lanes move on and its number leaves the table of blocks. Whoever reads takes
 * a snapshot of that table and leaves out the blocks in it. So a record counts when its lane has moved on, however a
 * gateway, a node or a connection died in between.
 */
#ifndef MR_STORE_CLICKHOUSE_STORE_H
#define MR_STORE_CLICKHOUSE_STORE_H

#include "lib/store/store.h"

extern const struct store_ops clickhouse_store_ops;

#endif
