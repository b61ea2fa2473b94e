/*
 * CIP connections: what forward open and close say of them (CIP 3-5.5), and which ones the
 * flow knows, so that a connected message can be told by what it is connected to.
 */
#include "proto/enip/enip.h"

enum { SIZE_FIXED_MASK = 0x1ff, LARGE_SIZE_MASK = 0xffff };

struct known {
	uint32_t o_t_connection_id;
	uint32_t t_o_connection_id;
	struct enip_tracked what;
};

struct enip_connection_table {
	unsigned int count;
	unsigned int oldest; /* replaced first when full */
	struct known known[ENIP_CONNECTIONS_MAX];
};

static struct enip_connection_info *
append(struct enip_pdu *pdu, struct enip_node *node)
{
	struct enip_connection_info *info =
		record_append(pdu->ctx->record, &node->cip->connection, enip_connection_tables, 0);

	if (info != NULL)
		enip_node_has(node, ENIP_HAS_CONNECTION);
	return info;
}

static void
read_key(struct enip_connection_info *info, struct cursor *body)
{
	info->serial_number = cursor_le16(body);
	info->vendor_id = cursor_le16(body);
	info->originator_serial = cursor_le32(body);
	if (!body->short_read)
		record_present(&info->head, ENIP_CONNECTION_KEY);
}

/* The parameters of the short form where the long one has them. */
static uint32_t
widen(uint32_t raw, bool large)
{
	return large ? raw : (raw & SIZE_FIXED_MASK) | (raw & ~(uint32_t)SIZE_FIXED_MASK) << 16;
}

/* Network connection parameters (CIP 3-5.5.1.1): 16 bits, or 32 of a large forward open. */
static void
take_parameters(struct enip_connection_info *info, bool large)
{
	uint32_t o_t = widen(info->o_t_parameters, large), t_o = widen(info->t_o_parameters, large);

	info->o_t_size = (uint16_t)(o_t & LARGE_SIZE_MASK);
	info->t_o_size = (uint16_t)(t_o & LARGE_SIZE_MASK);
	info->o_t_size_type = o_t >> 25 & 1;
	info->t_o_size_type = t_o >> 25 & 1;
	info->o_t_priority = o_t >> 26 & 3;
	info->t_o_priority = t_o >> 26 & 3;
	info->o_t_type = o_t >> 29 & 3;
	info->t_o_type = t_o >> 29 & 3;
	info->o_t_redundant_owner = o_t >> 31;
	info->t_o_redundant_owner = t_o >> 31;
	info->transport_class = info->transport & 0x0f;
	info->trigger = info->transport >> 4 & 7;
	info->server = info->transport >> 7;
	record_present(&info->head, ENIP_CONNECTION_PARAMETERS);
}

/* CIP 3-5.4.1 */
static void
read_timeout(struct enip_connection_info *info, struct cursor *body)
{
	uint8_t tick = cursor_u8(body) & 0x0f;
	uint8_t ticks = cursor_u8(body);

	info->timeout_ms = (uint32_t)ticks << tick;
	if (!body->short_read)
		record_present(&info->head, ENIP_CONNECTION_TIMEOUT_MS);
}

static void
read_path(struct enip_pdu *pdu, struct enip_connection_info *info, struct enip_target *target, struct cursor path)
{
	if (!enip_path_read(pdu, path, &info->path, target))
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_PATH);
	if (info->path.count > 0)
		record_present(&info->head, ENIP_CONNECTION_PATH);
	info->safety = target->safety;
	if (target->safety)
		record_present(&info->head, ENIP_CONNECTION_SAFETY);
}

static void
open_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body, bool large)
{
	struct enip_connection_info *info = append(pdu, node);
	struct enip_target target;
	size_t path_len;

	if (info == NULL)
		return;
	read_timeout(info, body);
	info->o_t_connection_id = cursor_le32(body);
	info->t_o_connection_id = cursor_le32(body);
	read_key(info, body);
	info->timeout_multiplier = cursor_u8(body);
	cursor_skip(body, 3); /* reserved */
	info->o_t_interval_us = cursor_le32(body);
	info->o_t_parameters = large ? cursor_le32(body) : cursor_le16(body);
	info->t_o_interval_us = cursor_le32(body);
	info->t_o_parameters = large ? cursor_le32(body) : cursor_le16(body);
	info->transport = cursor_u8(body);
	path_len = (size_t)cursor_u8(body) * 2;
	if (body->short_read)
		return;
	info->head.present |= 1u << ENIP_CONNECTION_IDS | 1u << ENIP_CONNECTION_INTERVALS | 1u << ENIP_CONNECTION_TIMEOUT;
	take_parameters(info, large);
	read_path(pdu, info, &target, cursor_sub(body, path_len));
}

void
enip_forward_open_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	open_request(pdu, node, body, false);
}

void
enip_large_forward_open_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	open_request(pdu, node, body, true);
}

/* CIP 3-4.4.3: classes 0 and 1 carry cyclic data. */
static bool
is_cyclic(const struct enip_tracked *what)
{
	return what->transport_class <= 1;
}

/* What the connection leads to, from the request's path. */
static void
follow_path(const struct enip_pdu *pdu, const struct enip_connection_info *request, struct enip_tracked *out)
{
	enum { CLASS = 0x20, INSTANCE = 0x24, POINT = 0x2c };
	uint32_t at = request->path.first;
	unsigned int points = 0;

	for (unsigned int i = 0; at != 0 && i < ENIP_SEGMENTS_MAX; i++) {
		const struct enip_segment *segment = (const void *)(pdu->ctx->record->base + at);

		if (segment->type == CLASS)
			out->class_id = segment->value;
		else if (segment->type == INSTANCE)
			out->instance_id = segment->value;
		else if (segment->type == POINT && points < 2)
			out->points[points++] = segment->value;
		at = segment->head.next;
	}
	/* CIP 3-5.5.1.10: of two, the first consumes what the originator sends. */
	out->has_points = points == 2 && is_cyclic(out);
}

static struct enip_connection_table *
table_of(struct proto_ctx *ctx)
{
	struct enip_state *state = ctx->state;

	if (state->connections == NULL && ctx->slab != NULL) {
		state->connections = slab_alloc(ctx->slab, sizeof(*state->connections));
		if (state->connections == NULL)
			counter_add(&ctx->counters[ENIP_COUNT_SHED], 1);
		else
			state->connections->count = state->connections->oldest = 0;
	}
	return state->connections;
}

static struct known *
find_known(struct enip_connection_table *table, uint32_t o_t_connection_id)
{
	for (unsigned int i = 0; i < table->count; i++)
		if (table->known[i].o_t_connection_id == o_t_connection_id)
			return &table->known[i];
	return NULL;
}

static void
remember(struct enip_pdu *pdu, const struct enip_connection_info *reply, const struct enip_connection_info *request)
{
	struct enip_connection_table *table = table_of(pdu->ctx);
	struct known *known;

	if (table == NULL)
		return;
	known = find_known(table, reply->o_t_connection_id); /* given again: what had it is over */
	if (known == NULL && table->count < ENIP_CONNECTIONS_MAX) {
		known = &table->known[table->count++];
	} else if (known == NULL) {
		known = &table->known[table->oldest];
		table->oldest = (table->oldest + 1) % ENIP_CONNECTIONS_MAX;
		proto_event(pdu->ctx, ENIP_EVENT_TOO_MANY_CONNECTIONS);
	}
	*known = (struct known){ .o_t_connection_id = reply->o_t_connection_id,
		.t_o_connection_id = reply->t_o_connection_id,
		.what = { .serial_number = reply->serial_number, .vendor_id = reply->vendor_id,
			.originator_serial = reply->originator_serial, .transport_class = request->transport_class } };
	follow_path(pdu, request, &known->what);
	if (is_cyclic(&known->what))
		enip_shared_open(pdu->ctx, (uint32_t[]){ known->o_t_connection_id, known->t_o_connection_id }, &known->what);
}

static void
forget(struct enip_pdu *pdu, const struct enip_connection_info *closed)
{
	struct enip_connection_table *table = ((struct enip_state *)pdu->ctx->state)->connections;

	for (unsigned int i = 0; table != NULL && i < table->count; i++) {
		const struct enip_tracked *what = &table->known[i].what;

		if (what->serial_number != closed->serial_number || what->vendor_id != closed->vendor_id ||
			what->originator_serial != closed->originator_serial)
			continue;
		enip_shared_close(pdu->ctx,
			(uint32_t[]){ table->known[i].o_t_connection_id, table->known[i].t_o_connection_id }, what);
		table->known[i] = table->known[--table->count];
		table->oldest = 0;
		return;
	}
}

static const struct enip_connection_info *
asked_connection(const struct enip_pdu *pdu, const struct enip_node *node)
{
	return enip_asked_is(node, ENIP_HAS_CONNECTION)
		? (const void *)(pdu->ctx->record->base + node->asked->connection.first)
		: NULL;
}

static void
read_application_reply(struct enip_pdu *pdu, struct enip_connection_info *info, struct cursor *body)
{
	size_t len = (size_t)cursor_u8(body) * 2;
	struct cursor data;

	cursor_skip(body, 1); /* reserved */
	data = cursor_sub(body, len);
	if (body->short_read || len == 0)
		return;
	enip_put_rest(pdu, &info->data, &data);
	record_present(&info->head, ENIP_CONNECTION_DATA);
}

/* CIP 3-5.5.3 and 3-5.5.4: which connection was refused, and how much of its path was left. */
static void
refused(struct enip_connection_info *info, struct cursor *body)
{
	if (cursor_left(body) < 8)
		return;
	read_key(info, body);
	if (cursor_left(body) == 0)
		return;
	info->remaining_path_words = cursor_u8(body);
	record_present(&info->head, ENIP_CONNECTION_REMAINING);
	if (cursor_left(body) > 0)
		cursor_skip(body, 1); /* reserved */
}

void
enip_forward_open_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	const struct enip_connection_info *request = asked_connection(pdu, node);
	struct enip_connection_info *info = append(pdu, node);

	if (info == NULL)
		return;
	if (node->cip->status != 0) {
		refused(info, body);
		return;
	}
	info->o_t_connection_id = cursor_le32(body);
	info->t_o_connection_id = cursor_le32(body);
	read_key(info, body);
	info->o_t_interval_us = cursor_le32(body);
	info->t_o_interval_us = cursor_le32(body);
	if (body->short_read)
		return;
	info->head.present |= 1u << ENIP_CONNECTION_IDS | 1u << ENIP_CONNECTION_INTERVALS;
	read_application_reply(pdu, info, body);
	if (request != NULL)
		remember(pdu, info, request);
}

void
enip_forward_close_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	struct enip_connection_info *info = append(pdu, node);
	struct enip_target target;
	size_t path_len;

	if (info == NULL)
		return;
	read_timeout(info, body);
	read_key(info, body);
	path_len = (size_t)cursor_u8(body) * 2;
	cursor_skip(body, 1); /* reserved */
	if (!body->short_read)
		read_path(pdu, info, &target, cursor_sub(body, path_len));
}

void
enip_forward_close_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	struct enip_connection_info *info = append(pdu, node);

	if (info == NULL)
		return;
	if (node->cip->status != 0) {
		refused(info, body);
		return;
	}
	read_key(info, body);
	if (cursor_left(body) > 0)
		read_application_reply(pdu, info, body);
	if (record_is_present(info, ENIP_CONNECTION_KEY))
		forget(pdu, info);
}

void
enip_connection_annotate(struct enip_pdu *pdu, uint32_t connection_id)
{
	const struct enip_connection_table *table = ((struct enip_state *)pdu->ctx->state)->connections;

	for (unsigned int i = 0; table != NULL && i < table->count; i++) {
		const struct known *known = &table->known[i];

		if (known->o_t_connection_id != connection_id && known->t_o_connection_id != connection_id)
			continue;
		pdu->record->tracked = known->what;
		record_present(&pdu->record->head, ENIP_HAS_TRACKED);
		return;
	}
}

uint32_t
enip_connection_of(const struct enip_state *state, uint32_t connection_id, bool asks)
{
	const struct enip_connection_table *table = state->connections;

	for (unsigned int i = 0; table != NULL && i < table->count; i++) {
		const struct known *known = &table->known[i];

		if ((asks ? known->o_t_connection_id : known->t_o_connection_id) == connection_id)
			return known->t_o_connection_id;
	}
	return 0;
}

void
enip_connections_free(struct proto_ctx *ctx)
{
	struct enip_state *state = ctx->state;

	slab_free(ctx->slab, state->connections, sizeof(*state->connections));
	state->connections = NULL;
}
