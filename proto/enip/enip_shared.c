/*
 * Connections of classes 0 and 1: opened over TCP, their data in UDP flows of the same two ends. Packets between two
 * addresses are all of one worker, so what the flows of a worker know together is enough, and is the same however many
 * workers there are.
 */
#include "lib/base/hash.h"
#include "proto/enip/enip.h"

struct enip_ends
enip_ends_of(const struct proto_ctx *ctx)
{
	struct enip_ends ends = { .known = ctx->client_addr != NULL && ctx->server_addr != NULL };

	if (!ends.known)
		return ends;
	ends.client = memcmp(ctx->client_addr, ctx->server_addr, sizeof(ends.addr[0])) > 0;
	memcpy(ends.addr[ends.client], ctx->client_addr, sizeof(ends.addr[0]));
	memcpy(ends.addr[!ends.client], ctx->server_addr, sizeof(ends.addr[0]));
	return ends;
}

static struct enip_shared_entry *
set_of(struct enip_shared *shared, const struct enip_ends *ends, uint32_t id)
{
	uint32_t hash = hash_u64(crc32c(0, ends->addr, sizeof(ends->addr)), id);

	return shared->sets[hash % ENIP_SHARED_SETS];
}

static struct enip_shared_entry *
find(struct enip_shared *shared, const struct enip_ends *ends, uint8_t from, uint32_t id)
{
	struct enip_shared_entry *set = set_of(shared, ends, id);

	for (unsigned int i = 0; i < ENIP_SHARED_WAYS; i++)
		if (set[i].ends.known && set[i].connection_id == id && set[i].from == from &&
			memcmp(set[i].ends.addr, ends->addr, sizeof(ends->addr)) == 0)
			return &set[i];
	return NULL;
}

/* An entry that is free, or else the oldest. */
static struct enip_shared_entry *
entry_to_use(struct proto_ctx *ctx, struct enip_shared_entry *set)
{
	const struct enip_shared *shared = ctx->shared;
	struct enip_shared_entry *oldest = &set[0];

	for (unsigned int i = 0; i < ENIP_SHARED_WAYS; i++) {
		if (!set[i].ends.known)
			return &set[i];
		if (shared->opened - set[i].opened > shared->opened - oldest->opened)
			oldest = &set[i];
	}
	counter_add(&ctx->counters[ENIP_COUNT_SHARED_EVICTED], 1);
	return oldest;
}

/* Who sends the data of one way, the target being the sender of the PDU at hand. */
static uint8_t
sender(const struct proto_ctx *ctx, const struct enip_ends *ends, enum enip_way way)
{
	uint8_t target = ctx->to_server ? ends->client : !ends->client;

	return way == ENIP_T_O ? target : !target;
}

void
enip_shared_open(struct proto_ctx *ctx, const uint32_t ids[2], const struct enip_tracked *what)
{
	struct enip_shared *shared = ctx->shared;
	const struct enip_ends ends = enip_ends_of(ctx);

	if (shared == NULL || !ends.known)
		return;
	shared->opened++;
	for (unsigned int way = ENIP_O_T; way <= ENIP_T_O; way++) {
		uint8_t from = sender(ctx, &ends, way);
		struct enip_shared_entry *entry = find(shared, &ends, from, ids[way]);

		if (entry == NULL)
			entry = entry_to_use(ctx, set_of(shared, &ends, ids[way]));
		*entry = (struct enip_shared_entry){
			.ends = ends, .from = from, .connection_id = ids[way], .opened = shared->opened, .what = *what
		};
		entry->what.way = (uint8_t)way;
	}
}

void
enip_shared_close(struct proto_ctx *ctx, const uint32_t ids[2], const struct enip_tracked *what)
{
	const struct enip_ends ends = enip_ends_of(ctx);

	if (ctx->shared == NULL || !ends.known)
		return;
	for (unsigned int way = ENIP_O_T; way <= ENIP_T_O; way++) {
		struct enip_shared_entry *entry = find(ctx->shared, &ends, sender(ctx, &ends, way), ids[way]);

		/* Another one may have the number since. */
		if (entry != NULL && entry->what.serial_number == what->serial_number &&
			entry->what.vendor_id == what->vendor_id && entry->what.originator_serial == what->originator_serial)
			entry->ends.known = false;
	}
}

bool
enip_shared_find(
	struct proto_ctx *ctx, const struct enip_ends *ends, bool to_server, uint32_t id, struct enip_tracked *out)
{
	uint8_t from = to_server ? ends->client : !ends->client;
	const struct enip_shared_entry *entry =
		ctx->shared == NULL || !ends->known ? NULL : find(ctx->shared, ends, from, id);

	if (entry != NULL)
		*out = entry->what;
	return entry != NULL;
}
