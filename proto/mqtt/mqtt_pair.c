/* Transactions that wait for their next message: copies of their records in slab blocks, by age and by key. */
#include "proto/mqtt/mqtt.h"

#include <assert.h>

struct mqtt_open {
	struct mqtt_open *older;
	struct mqtt_open *newer;
	struct mqtt_open *chain; /* the next newer one of the bucket */
	uint64_t opened_ns;
	struct mqtt_key key;
	uint32_t id;
	uint32_t record_len;
	bool to_server;
	_Alignas(8) uint8_t record[];
};

static struct mqtt_bucket *
bucket_of(struct mqtt_state *state, struct mqtt_key key)
{
	return &state->buckets[key.value * UINT32_C(0x9e3779b1) >> 24 & (MQTT_OPEN_BUCKETS - 1)];
}

static struct mqtt_open *
find(const struct mqtt_state *state, struct mqtt_key key)
{
	struct mqtt_open *open = bucket_of((struct mqtt_state *)state, key)->first;

	while (open != NULL && open->key.value != key.value)
		open = open->chain;
	return open;
}

bool
mqtt_pair_keep(struct proto_ctx *ctx, struct mqtt_key key, uint32_t id, uint64_t opened_ns, bool to_server)
{
	struct mqtt_state *state = ctx->state;
	struct mqtt_bucket *bucket = bucket_of(state, key);
	size_t len = sizeof(struct mqtt_open) + ctx->record->len;
	struct mqtt_open *open = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, len);

	if (open == NULL) {
		counter_add(&ctx->counters[MQTT_COUNT_SHED], 1);
		return false;
	}
	*open = (struct mqtt_open){ .older = state->newest, .opened_ns = opened_ns, .key = key, .id = id,
		.record_len = ctx->record->len, .to_server = to_server };
	memcpy(open->record, ctx->record->base, ctx->record->len);
	if (bucket->last != NULL)
		bucket->last->chain = open;
	else
		bucket->first = open;
	bucket->last = open;
	if (state->newest != NULL)
		state->newest->newer = open;
	else
		state->oldest = open;
	state->newest = open;
	state->open_count++;
	return true;
}

bool
mqtt_pair_find(const struct mqtt_state *state, struct mqtt_key key, struct mqtt_open_info *out)
{
	const struct mqtt_open *open = find(state, key);
	const struct mqtt_record *record;

	if (open == NULL)
		return false;
	record = (const void *)open->record;
	out->id = open->id;
	out->type_count = record->type_count;
	memcpy(out->types, record->types, sizeof(out->types));
	return true;
}

static void
unlink_open(struct mqtt_state *state, struct mqtt_open *open)
{
	struct mqtt_bucket *bucket = bucket_of(state, open->key);
	struct mqtt_open *before = NULL;

	for (struct mqtt_open *at = bucket->first; at != open; at = at->chain)
		before = at;
	if (before != NULL)
		before->chain = open->chain;
	else
		bucket->first = open->chain;
	if (bucket->last == open)
		bucket->last = before;
	if (open->older != NULL)
		open->older->newer = open->newer;
	else
		state->oldest = open->newer;
	if (open->newer != NULL)
		open->newer->older = open->older;
	else
		state->newest = open->older;
	assert(state->open_count > 0);
	if (--state->open_count == 0)
		state->flooded = false;
}

static struct mqtt_record *
take(struct proto_ctx *ctx, struct mqtt_open *open)
{
	struct mqtt_record *record = record_begin_copy(ctx->record, open->record, open->record_len);

	unlink_open(ctx->state, open);
	slab_free(ctx->slab, open, sizeof(*open) + open->record_len);
	return record;
}

struct mqtt_record *
mqtt_pair_take(struct proto_ctx *ctx, struct mqtt_key key, uint64_t *opened_ns, bool *to_server)
{
	struct mqtt_open *open = find(ctx->state, key);

	if (open == NULL)
		return NULL;
	*opened_ns = open->opened_ns;
	*to_server = open->to_server;
	return take(ctx, open);
}

static void
deliver_unanswered(struct proto_ctx *ctx, struct mqtt_open *open)
{
	bool to_server = ctx->to_server;
	uint32_t id = open->id;

	ctx->to_server = open->to_server;
	counter_add(&ctx->counters[MQTT_COUNT_UNANSWERED], 1);
	if (take(ctx, open) != NULL)
		proto_deliver(ctx, PROTO_EMIT, id);
	ctx->to_server = to_server;
}

bool
mqtt_pair_give_up(struct proto_ctx *ctx, struct mqtt_key key)
{
	struct mqtt_open *open = find(ctx->state, key);

	if (open != NULL)
		deliver_unanswered(ctx, open);
	return open != NULL;
}

void
mqtt_pair_shrink(struct proto_ctx *ctx, unsigned int count)
{
	struct mqtt_state *state = ctx->state;

	while (state->open_count > count)
		deliver_unanswered(ctx, state->oldest);
}
