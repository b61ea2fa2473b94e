/* Topic aliases: a PUBLISH gives its topic a number, those behind it in the direction have the number alone (V5 3.3.2.3.4). */
#include "proto/mqtt/mqtt.h"

struct mqtt_topics {
	struct {
		uint8_t len; /* 0: the alias stands for nothing that is known */
		uint8_t text[MQTT_ALIASED_LEN_MAX];
	} rows[MQTT_TOPIC_ALIASES_MAX]; /* by alias, from 1 */
};

static_assert(MQTT_ALIASED_LEN_MAX <= UINT8_MAX, "len");

static struct mqtt_topics *
topics_of(struct proto_ctx *ctx)
{
	struct mqtt_state *state = ctx->state;
	struct mqtt_topics **topics = &state->topics[ctx->to_server];

	if (*topics != NULL)
		return *topics;
	*topics = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, sizeof(**topics));
	if (*topics == NULL) {
		counter_add(&ctx->counters[MQTT_COUNT_SHED], 1);
		return NULL;
	}
	for (unsigned int i = 0; i < MQTT_TOPIC_ALIASES_MAX; i++)
		(*topics)->rows[i].len = 0;
	return *topics;
}

void
mqtt_topic_learn(struct proto_ctx *ctx, uint16_t alias, struct cursor topic)
{
	size_t len = cursor_left(&topic);
	struct mqtt_topics *topics;

	if (alias == 0 || alias > MQTT_TOPIC_ALIASES_MAX)
		return;
	topics = topics_of(ctx);
	if (topics == NULL)
		return;
	topics->rows[alias - 1].len = len > MQTT_ALIASED_LEN_MAX ? 0 : (uint8_t)len;
	if (len <= MQTT_ALIASED_LEN_MAX)
		memcpy(topics->rows[alias - 1].text, topic.pos, len);
}

struct cursor
mqtt_topic_find(const struct proto_ctx *ctx, uint16_t alias)
{
	const struct mqtt_state *state = ctx->state;
	const struct mqtt_topics *topics = state->topics[ctx->to_server];

	if (topics == NULL || alias == 0 || alias > MQTT_TOPIC_ALIASES_MAX)
		return (struct cursor){ 0 };
	return cursor_of(topics->rows[alias - 1].text, topics->rows[alias - 1].len);
}

void
mqtt_topics_forget(struct proto_ctx *ctx, bool to_server)
{
	struct mqtt_state *state = ctx->state;

	slab_free(ctx->slab, state->topics[to_server], sizeof(*state->topics[to_server]));
	state->topics[to_server] = NULL;
}
