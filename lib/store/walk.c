#include "lib/store/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool
store_filter_has(const struct store_filter *filter, enum store_filter_key key)
{
	return (filter->present >> key & 1) != 0;
}

bool
store_filter_has_network(const struct store_filter *filter, enum store_filter_key key)
{
	return store_filter_has(filter, key) && store_filters[key].type == STORE_IS_IP && filter->value[key].last_ip.len > 0;
}

/* Which filter leads in SQLite: its index gives the order. Answers are the same from every store. */
static bool
ordered_by_time(const struct store_filter *filter, const struct store_page *page)
{
	return page->order == STORE_NEWEST && (store_filter_has(filter, STORE_EVENT_TYPE) ||
		store_filter_has(filter, STORE_SIGNATURE_ID) || store_filter_has(filter, STORE_FLOW_ID) || store_filter_has(filter, STORE_IP) ||
		store_filter_has(filter, STORE_SRC_IP) || store_filter_has(filter, STORE_DEST_IP) ||
		store_filter_has(filter, STORE_SINCE) || store_filter_has(filter, STORE_UNTIL));
}

int
store_walk_begin(struct store_walk *walk, const struct store_filter *filter, struct store_page *page)
{
	*walk = (struct store_walk){ .filter = filter, .page = page };
	if (page->limit == 0 || page->limit > STORE_LIMIT_MAX)
		return -EINVAL;
	walk->by_time = ordered_by_time(filter, page);
	walk->cap = page->limit + 1;
	walk->rows = calloc(walk->cap, sizeof(*walk->rows));
	walk->more = calloc(walk->cap, sizeof(*walk->more));
	walk->merged = calloc(walk->cap, sizeof(*walk->merged));
	return walk->rows == NULL || walk->more == NULL || walk->merged == NULL ? -ENOMEM : 0;
}

static bool
is_before(const struct store_walk *walk, const struct store_row *a, const struct store_row *b)
{
	if (walk->by_time && a->ts_ns != b->ts_ns)
		return a->ts_ns > b->ts_ns;
	return walk->page->order == STORE_ARRIVAL ? a->id < b->id : a->id > b->id;
}

void
store_walk_merge(struct store_walk *walk, uint32_t more_count)
{
	uint32_t a = 0, b = 0, n = 0;

	while (n < walk->cap && (a < walk->count || b < more_count)) {
		if (b == more_count || (a < walk->count && is_before(walk, &walk->rows[a], &walk->more[b])))
			walk->merged[n++] = walk->rows[a++];
		else
			walk->merged[n++] = walk->more[b++];
	}
	memcpy(walk->rows, walk->merged, n * sizeof(*walk->rows));
	walk->count = n;
}

void
store_walk_cut(struct store_walk *walk)
{
	struct store_page *page = walk->page;
	uint64_t bytes = 0;
	uint32_t count = 0;

	while (count < walk->count && count < page->limit) {
		bytes += walk->rows[count].len;
		if (count > 0 && page->bytes_max != 0 && bytes > page->bytes_max)
			break;
		count++;
	}
	page->more = count < walk->count;
	if (page->more)
		page->last_id = walk->rows[count - 1].id;
	walk->count = count;
}

void
store_walk_give(const struct store_walk *walk, store_found_fn found, void *arg)
{
	for (uint32_t i = 0; i < walk->count; i++) {
		const struct store_row *row = &walk->rows[i];
		const struct store_found record = {
			.id = row->id,
			.ts_ns = row->ts_ns,
			.sensor = row->sensor,
			.epoch = row->epoch,
			.lane = row->lane,
			.sequence = row->sequence,
			.line = row->line,
			.line_len = row->len,
		};

		found(arg, &record);
	}
}

void
store_walk_end(struct store_walk *walk)
{
	free(walk->rows);
	free(walk->more);
	free(walk->merged);
}
