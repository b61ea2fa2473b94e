#include "proto/pair.h"

#include <assert.h>
#include <string.h>

enum {
	PATIENCE_RESPONSES = 8,     /* times the usual response time */
	PATIENCE_US_MIN = 20000,    /* for servers that answer at once */
	PATIENCE_US_MAX = 1000000,  /* and before the first answer */
};

struct pair_open {
	struct pair_open *older, *newer;
	struct pair_open *chain; /* with an index: the next newer one of the bucket */
	struct pair_wait wait;
	uint32_t record_len;
	_Alignas(8) uint8_t record[];
};

struct pair_index {
	struct pair_bucket {
		struct pair_open *first, *last;
	} buckets[PAIR_BUCKETS]; /* each the oldest first */
};

/* NULL: there is no index. */
static struct pair_bucket *
bucket_of(const struct pair_table *table, uint64_t value)
{
	return table->index == NULL ? NULL : &table->index->buckets[value * UINT64_C(0x9e3779b97f4a7c15) >> 58 & (PAIR_BUCKETS - 1)];
}

static struct pair_open *
find(const struct pair_table *table, const struct pair_desc *desc, struct pair_key key)
{
	const struct pair_bucket *bucket = bucket_of(table, key.value);
	struct pair_open *open = bucket != NULL ? bucket->first : table->oldest;

	for (; open != NULL; open = bucket != NULL ? open->chain : open->newer) {
		uint64_t detail = open->wait.key.detail;

		if (open->wait.key.value == key.value &&
			(desc->answers == NULL ? detail == key.detail : desc->answers(detail, key.detail)))
			break;
	}
	return open;
}

/* @param first  before all others of its bucket, else behind them */
static void
index_add(struct pair_table *table, struct pair_open *open, bool first)
{
	struct pair_bucket *bucket = bucket_of(table, open->wait.key.value);

	if (bucket == NULL)
		return;
	open->chain = first ? bucket->first : NULL;
	if (bucket->first == NULL)
		bucket->first = bucket->last = open;
	else if (first)
		bucket->first = open;
	else
		bucket->last = bucket->last->chain = open;
}

static void
index_remove(struct pair_table *table, struct pair_open *open)
{
	struct pair_bucket *bucket = bucket_of(table, open->wait.key.value);
	struct pair_open *before = NULL;

	if (bucket == NULL)
		return;
	for (struct pair_open *at = bucket->first; at != open; at = at->chain)
		before = at;
	if (before != NULL)
		before->chain = open->chain;
	else
		bucket->first = open->chain;
	if (bucket->last == open)
		bucket->last = before;
}

/* Many wait, and there is no index yet. Without memory for one they are looked through. */
static void
index_make(struct proto_ctx *ctx, struct pair_table *table)
{
	if (table->index != NULL || table->count < PAIR_INDEX_FROM)
		return;
	table->index = slab_alloc(ctx->slab, sizeof(*table->index));
	if (table->index == NULL)
		return;
	memset(table->index, 0, sizeof(*table->index));
	for (struct pair_open *open = table->oldest; open != NULL; open = open->newer)
		index_add(table, open, false);
}

static void
index_drop(struct proto_ctx *ctx, struct pair_table *table)
{
	if (table->index != NULL)
		slab_free(ctx->slab, table->index, sizeof(*table->index));
	table->index = NULL;
}

static struct pair_open *
make(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, const struct pair_wait *wait)
{
	size_t len = sizeof(struct pair_open) + ctx->record->len;
	struct pair_open *open = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, len);

	if (open == NULL) {
		counter_add(&ctx->counters[desc->count_shed], 1);
		return NULL;
	}
	*open = (struct pair_open){ .wait = *wait, .record_len = ctx->record->len };
	memcpy(open->record, ctx->record->base, ctx->record->len);
	index_make(ctx, table);
	table->count++;
	return open;
}

bool
pair_keep(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, const struct pair_wait *wait)
{
	struct pair_open *open = make(ctx, table, desc, wait);

	if (open == NULL)
		return false;
	index_add(table, open, false);
	open->older = table->newest;
	if (table->newest != NULL)
		table->newest->newer = open;
	else
		table->oldest = open;
	table->newest = open;
	return true;
}

bool
pair_keep_first(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, const struct pair_wait *wait)
{
	struct pair_open *open = make(ctx, table, desc, wait);

	if (open == NULL)
		return false;
	index_add(table, open, true);
	open->newer = table->oldest;
	if (table->oldest != NULL)
		table->oldest->older = open;
	else
		table->newest = open;
	table->oldest = open;
	return true;
}

const void *
pair_find(const struct pair_table *table, const struct pair_desc *desc, struct pair_key key, struct pair_wait *out)
{
	const struct pair_open *open = find(table, desc, key);

	if (open == NULL)
		return NULL;
	*out = open->wait;
	return open->record;
}

static void
unlink_open(struct proto_ctx *ctx, struct pair_table *table, struct pair_open *open)
{
	index_remove(table, open);
	if (open->older != NULL)
		open->older->newer = open->newer;
	else
		table->oldest = open->newer;
	if (open->newer != NULL)
		open->newer->older = open->older;
	else
		table->newest = open->older;
	assert(table->count > 0);
	if (--table->count > 0)
		return;
	table->flooded = false;
	index_drop(ctx, table);
}

static void
give_back(struct proto_ctx *ctx, struct pair_open *open)
{
	slab_free(ctx->slab, open, sizeof(*open) + open->record_len);
}

void
pair_release(struct proto_ctx *ctx)
{
	if (ctx->taken != NULL)
		give_back(ctx, ctx->taken);
	ctx->taken = NULL;
	ctx->before = NULL;
}

void *
pair_take(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, struct pair_key key,
	struct pair_wait *out)
{
	struct pair_open *open = find(table, desc, key);

	if (open == NULL)
		return NULL;
	*out = open->wait;
	pair_release(ctx);
	unlink_open(ctx, table, open);
	ctx->taken = open;
	void *record = record_begin_copy(ctx->record, open->record, open->record_len);

	ctx->before = record == NULL ? NULL : open->record;
	return record;
}

void
pair_answered(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, const struct pair_wait *wait)
{
	uint64_t waited_us = ctx->ts_ns > wait->since_ns ? (ctx->ts_ns - wait->since_ns) / 1000 : 0;
	uint32_t us = waited_us > UINT32_MAX ? UINT32_MAX : (uint32_t)waited_us;

	memcpy(ctx->record->base + desc->response_time_off, &us, sizeof(us));
	record_present((struct record_head *)(void *)ctx->record->base, desc->response_time_bit);
	table->response_time_us = table->response_time_us == 0 ? us : (uint32_t)((table->response_time_us * UINT64_C(7) + us) / 8);
}

uint64_t
pair_patience_ns(const struct pair_table *table)
{
	uint64_t wait_us = (uint64_t)table->response_time_us * PATIENCE_RESPONSES;

	if (table->response_time_us == 0 || wait_us > PATIENCE_US_MAX)
		wait_us = PATIENCE_US_MAX;
	if (wait_us < PATIENCE_US_MIN)
		wait_us = PATIENCE_US_MIN;
	return wait_us * 1000;
}

/* It is told without the events of the message at hand. */
static void
deliver_unanswered(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, struct pair_open *open)
{
	bool to_server = ctx->to_server;
	uint64_t events = ctx->events;
	uint32_t id = open->wait.id;

	ctx->events = 0;
	ctx->to_server = open->wait.to_server;
	counter_add(&ctx->counters[desc->count_unanswered], 1);
	unlink_open(ctx, table, open);
	if (record_begin_copy(ctx->record, open->record, open->record_len) != NULL)
		proto_deliver(ctx, PROTO_EMIT, id);
	give_back(ctx, open);
	ctx->to_server = to_server;
	ctx->events = events;
}

static bool
waits_since(const struct pair_open *open, uint64_t now_ns, uint64_t waited_ns)
{
	return waited_ns == 0 || (now_ns >= open->wait.since_ns && now_ns - open->wait.since_ns >= waited_ns);
}

bool
pair_give_up(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, struct pair_key key,
	uint64_t waited_ns)
{
	struct pair_open *open;
	bool any = false;

	while ((open = find(table, desc, key)) != NULL && waits_since(open, ctx->ts_ns, waited_ns)) {
		deliver_unanswered(ctx, table, desc, open);
		any = true;
	}
	return any;
}

void
pair_shrink(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, unsigned int count)
{
	while (table->count > count)
		deliver_unanswered(ctx, table, desc, table->oldest);
}

bool
pair_make_room(struct proto_ctx *ctx, struct pair_table *table, const struct pair_desc *desc, uint64_t max)
{
	bool first = !table->flooded;

	if (table->count < max)
		return false;
	pair_shrink(ctx, table, desc, (unsigned int)max - 1);
	table->flooded = true;
	return first;
}

void
pair_orphan_keep(struct pair_orphans *orphans, uint64_t value)
{
	orphans->values[orphans->next++ & (PAIR_ORPHANS - 1)] = value;
}

bool
pair_orphan_take(struct pair_orphans *orphans, uint64_t value)
{
	for (unsigned int i = 0; i < PAIR_ORPHANS; i++)
		if (orphans->values[i] == value) {
			orphans->values[i] = 0;
			return true;
		}
	return false;
}
