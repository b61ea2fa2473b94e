/* Metrics by alias: births name them, later messages give the number alone (SpB 6.4.6). A small table for each flow. */
#include "proto/mqtt/sparkplug.h"

struct sparkplug_aliases {
	struct sparkplug_alias rows[SPARKPLUG_ALIASES_MAX];
};

static uint32_t
slot_of(uint32_t owner, uint64_t alias)
{
	return ((uint32_t)alias * UINT32_C(0x9e3779b1) ^ owner) & (SPARKPLUG_ALIASES_MAX - 1);
}

static bool
row_is(const struct sparkplug_alias *row, uint32_t owner, uint64_t alias)
{
	return row->owner == owner && row->alias == alias;
}

void
sparkplug_alias_learn(struct proto_ctx *ctx, uint32_t owner, uint64_t alias, uint32_t datatype, const uint8_t *name,
	uint32_t name_len)
{
	struct mqtt_state *state = ctx->state;
	struct sparkplug_alias *row = NULL;

	if (name_len == 0 || name_len > SPARKPLUG_NAME_LEN_MAX)
		return;
	if (state->aliases == NULL) {
		state->aliases = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, sizeof(*state->aliases));
		if (state->aliases == NULL) {
			counter_add(&ctx->counters[MQTT_COUNT_SHED], 1);
			return;
		}
		for (unsigned int i = 0; i < SPARKPLUG_ALIASES_MAX; i++)
			state->aliases->rows[i].owner = 0;
	}
	for (unsigned int i = 0; i < SPARKPLUG_ALIAS_PROBES; i++) {
		row = &state->aliases->rows[(slot_of(owner, alias) + i) & (SPARKPLUG_ALIASES_MAX - 1)];
		if (row->owner == 0 || row_is(row, owner, alias))
			break;
	}
	/* With none free the last one looked at makes way: the newest birth is the one that counts. */
	row->owner = owner;
	row->alias = alias;
	row->datatype = datatype <= UINT8_MAX ? (uint8_t)datatype : 0;
	row->name_len = (uint8_t)name_len;
	memcpy(row->name, name, name_len);
}

const struct sparkplug_alias *
sparkplug_alias_find(const struct mqtt_state *state, uint32_t owner, uint64_t alias)
{
	for (unsigned int i = 0; state->aliases != NULL && i < SPARKPLUG_ALIAS_PROBES; i++) {
		const struct sparkplug_alias *row = &state->aliases->rows[(slot_of(owner, alias) + i) & (SPARKPLUG_ALIASES_MAX - 1)];

		if (row_is(row, owner, alias))
			return row;
		if (row->owner == 0)
			break;
	}
	return NULL;
}

void
sparkplug_alias_free(struct proto_ctx *ctx)
{
	struct mqtt_state *state = ctx->state;

	slab_free(ctx->slab, state->aliases, sizeof(*state->aliases));
	state->aliases = NULL;
}
