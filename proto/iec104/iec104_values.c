/*
 * What a flow's points last said, for log-values: changes; and the stations behind a flow.
 * Points are kept by a hash of their address in a table without chains: two that fall on one
 * place push each other out, and are then reported more often than they change, never less.
 */
#include "proto/iec104/iec104.h"

enum { HASH_MULTIPLIER = 0x9e3779b1u };

struct iec104_last {
	struct {
		uint64_t point; /* type, common and object address; 0: free */
		uint32_t value;
		uint32_t quality;
	} places[IEC104_LAST_MAX];
};

_Static_assert(sizeof(struct iec104_last) <= SLAB_BLOCK_MAX, "the last values are one block");

static struct iec104_last *
take_memory(struct proto_ctx *ctx)
{
	struct iec104_state *state = ctx->state;

	if (state->last != NULL)
		return state->last;
	state->last = slab_alloc(ctx->slab, sizeof(*state->last));
	if (state->last == NULL)
		counter_add(&ctx->counters[IEC104_VALUES_SHED], 1);
	else
		memset(state->last, 0, sizeof(*state->last));
	return state->last;
}

/* Remembers one object. @return whether it differs from what was remembered */
static bool
remember(struct iec104_last *last, uint64_t point, const struct iec104_object *object)
{
	uint32_t at = ((uint32_t)point ^ (uint32_t)(point >> 32)) * HASH_MULTIPLIER >> 16 & (IEC104_LAST_MAX - 1);
	/* Without the sequence number of a counter reading, which counts readings. */
	uint32_t quality = (uint32_t)object->quality << 8 | object->flag;
	bool same = last->places[at].point == point && last->places[at].value == object->value.u32 &&
		last->places[at].quality == quality;

	last->places[at].point = point;
	last->places[at].value = object->value.u32;
	last->places[at].quality = quality;
	return !same;
}

bool
iec104_values_changed(struct proto_ctx *ctx, const struct iec104_asdu *asdu, const struct iec104_record *record)
{
	struct iec104_last *last = take_memory(ctx);
	uint32_t at = record->objects.first;
	bool changed = false;

	if (last == NULL)
		return true;
	for (uint32_t i = 0; i < record->objects.count; i++) {
		const struct iec104_object *object = (const void *)(ctx->record->base + at);
		uint64_t point = (uint64_t)asdu->type_id << 48 | (uint64_t)asdu->common_address << 32 | object->obj_addr;

		changed |= remember(last, point, object);
		at = object->head.next;
	}
	return changed;
}

void
iec104_values_free(struct proto_ctx *ctx)
{
	struct iec104_state *state = ctx->state;

	slab_free(ctx->slab, state->last, sizeof(*state->last));
	state->last = NULL;
}

void
iec104_identity_tell(struct proto_ctx *ctx, uint16_t common_address)
{
	static const char role[] = "controlled station";
	struct iec104_state *state = ctx->state;
	struct identity_record *identity;
	char digits[5];
	uint32_t len = 0;

	for (unsigned int i = 0; i < state->station_count; i++)
		if (state->stations[i] == common_address)
			return;
	if (state->station_count == IEC104_STATIONS_MAX)
		return;
	state->stations[state->station_count++] = common_address;
	for (uint32_t rest = common_address; rest > 0 || len == 0; rest /= 10)
		digits[sizeof(digits) - ++len] = (char)('0' + rest % 10);
	identity = record_begin(ctx->record, &identity_table);
	identity->protocol = "iec104";
	identity->of_sender = true;
	identity_put(ctx->record, identity, IDENTITY_ROLE, role, sizeof(role) - 1);
	identity_put(ctx->record, identity, IDENTITY_ADDRESS, digits + sizeof(digits) - len, len);
	proto_deliver(ctx, PROTO_IDENTITY, 0);
}
