/*
 * An answer on its way from the databases to JSON: groups of texts, as several shards and PostgreSQL give them, joined, ordered
 * and written. A column's format says how its value is written, its join how two shards' values become one.
 */
#ifndef MR_STORE_CLICKHOUSE_GROUP_H
#define MR_STORE_CLICKHOUSE_GROUP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLICKHOUSE_COLUMNS_MAX = 10, CLICKHOUSE_ORDER_MAX = 4 };

enum clickhouse_format {
	AS_TEXT, AS_INTEGER, AS_WHOLE, AS_SECONDS, AS_NS, AS_HEX, AS_LANE, AS_IP, AS_JSON,
	AS_FUNCTION, AS_SIGNATURE, /* out of the line of the newest record, whose id is the value */
};

enum clickhouse_join { KEY, SUM, LEAST, MOST };

struct clickhouse_column {
	const char *name;
	enum clickhouse_format format;
	enum clickhouse_join join;
};

/** Texts, NULL where there is no value. */
struct clickhouse_group {
	char *cells[CLICKHOUSE_COLUMNS_MAX];
	char *line; /* of its sample */
};

struct clickhouse_groups {
	const struct clickhouse_column *columns; /* borrowed */
	unsigned int column_count;
	const int *order;                        /* [CLICKHOUSE_ORDER_MAX] columns from 1, negative: falling; borrowed */
	struct clickhouse_group *rows;           /* [count] */
	size_t count;
	size_t cap;
};

/** @return a new one without values, or NULL: no memory */
struct clickhouse_group *clickhouse_groups_add(struct clickhouse_groups *groups);
/** Adds those of an answer in TabSeparated. @return 0, -EBADMSG, -ENOMEM */
int clickhouse_groups_read(struct clickhouse_groups *groups, const char *text);
/** Makes one of those with the same keys, and orders them. @return 0 or -ENOMEM */
int clickhouse_groups_join(struct clickhouse_groups *groups);
/** Lets go what is beyond the first `most`. */
void clickhouse_groups_cut(struct clickhouse_groups *groups, size_t most);
void clickhouse_groups_free(struct clickhouse_groups *groups);

double clickhouse_cell_real(const char *cell);
bool clickhouse_format_is_number(enum clickhouse_format format);

/** A cell as JSON, in clickhouse_cell.c. @return NULL: no memory */
json_t *clickhouse_cell_write(const struct clickhouse_column *column, const struct clickhouse_group *group, const char *cell);

#endif
