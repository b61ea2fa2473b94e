/*
 * A page on its way out of a store: rows are found in parts, each part's in the page's order, and merged; the page is cut, the
 * rows' lines are read, and given. What is alike whatever the store.
 */
#ifndef MR_STORE_WALK_H
#define MR_STORE_WALK_H

#include "lib/store/store.h"

/** A record found. */
struct store_row {
	int64_t id;
	int64_t ts_ns;
	uint64_t epoch;
	uint64_t sequence;
	uint64_t len;      /* of its line */
	enum link_lane lane;
	char sensor[BATCH_SENSOR_MAX + 1];
	char *line;        /* NULL: not read yet; the store's */
	int64_t partition; /* where the store "sqlite" has the line */
	int64_t block;
	uint64_t at;
};

struct store_walk {
	const struct store_filter *filter; /* borrowed */
	struct store_page *page;           /* borrowed */
	bool by_time;           /* ordered by (time, id), else by id */
	uint32_t cap;           /* rows looked for: the page's and one, which says that there are more */
	uint32_t count;
	struct store_row *rows; /* [cap] */
	struct store_row *more; /* [cap], for those of a part */
	struct store_row *merged;
};

bool store_filter_has(const struct store_filter *filter, enum store_filter_key key);
/** Whether that filter is there, and of a network. */
bool store_filter_has_network(const struct store_filter *filter, enum store_filter_key key);

/** @return 0, -EINVAL (the page's limit) or -ENOMEM; store_walk_end() in any case */
int store_walk_begin(struct store_walk *walk, const struct store_filter *filter, struct store_page *page);
/** Takes those of walk->more that are among the first. */
void store_walk_merge(struct store_walk *walk, uint32_t more_count);
/** As many rows as the page takes, at least one; says whether there are more. */
void store_walk_cut(struct store_walk *walk);
/** Each has its line. */
void store_walk_give(const struct store_walk *walk, store_found_fn found, void *arg);
void store_walk_end(struct store_walk *walk);

#endif
