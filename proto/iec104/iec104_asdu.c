/*
 * ASDUs: the data unit identifier, how long its fields are in this flow, and the information
 * objects one by one (60870-5-101 7.1, 7.2).
 */
#include "proto/iec104/iec104.h"

#include <limits.h>

enum {
	SQ = 0x80,
	COUNT_MASK = 0x7f,
	CAUSE_MASK = 0x3f,
	NEGATIVE = 0x40,
	TEST = 0x80,
	ALL_LENGTHS = (1 << IEC104_LENGTHS_COUNT) - 1,
	MISSES_MAX = 4, /* ASDUs in a row that do not fit before the lengths are learned anew */
};

/* The companion standard 104 has one answer, the first; 101 and devices that were moved from it have the others. */
const struct iec104_lengths iec104_lengths_table[IEC104_LENGTHS_COUNT] = {
	{ 2, 2, 3 }, { 2, 2, 2 }, { 2, 1, 3 }, { 1, 2, 3 }, { 2, 1, 2 }, { 1, 2, 2 },
	{ 2, 2, 1 }, { 1, 1, 3 }, { 1, 1, 2 }, { 2, 1, 1 }, { 1, 2, 1 }, { 1, 1, 1 },
};

/* The row of a type below 128; private types have none. */
static const struct iec104_type *
type_of(uint8_t type_id)
{
	return type_id < IEC104_TYPE_COUNT ? &iec104_types[type_id] : NULL;
}

static uint32_t
asdu_len(struct iec104_lengths lengths, uint32_t size, uint8_t vsq)
{
	uint32_t count = vsq & COUNT_MASK;
	uint32_t objects = (vsq & SQ) != 0 ? lengths.ioa + count * size : count * (lengths.ioa + size);

	return 2u + lengths.cot + lengths.ca + objects;
}

uint16_t
iec104_lengths_fit(uint8_t type_id, uint8_t vsq, uint32_t len)
{
	const struct iec104_type *type = type_of(type_id);
	uint16_t fit = 0;

	if (type == NULL || type->name == NULL || (type->flags & IEC104_VARIABLE) != 0 || (vsq & COUNT_MASK) == 0)
		return ALL_LENGTHS;
	for (unsigned int i = 0; i < IEC104_LENGTHS_COUNT; i++)
		if (asdu_len(iec104_lengths_table[i], type->size, vsq) == len)
			fit |= (uint16_t)(1 << i);
	return fit;
}

uint16_t
iec104_lengths_allowed(const struct iec104_config *config)
{
	uint16_t allowed = 0;

	for (unsigned int i = 0; i < IEC104_LENGTHS_COUNT; i++) {
		const struct iec104_lengths *lengths = &iec104_lengths_table[i];

		if ((config->cot_len == 0 || config->cot_len == lengths->cot) &&
			(config->ca_len == 0 || config->ca_len == lengths->ca) &&
			(config->ioa_len == 0 || config->ioa_len == lengths->ioa))
			allowed |= (uint16_t)(1 << i);
	}
	return allowed;
}

static uint32_t
number_read(struct cursor *in, uint8_t len)
{
	if (len == 3)
		return cursor_le24(in);
	return len == 2 ? cursor_le16(in) : cursor_u8(in);
}

/*
 * How unlikely the fields are under these lengths: a common address of 0 is none (60870-5-101 7.2.4), originators are
 * rare, stations have small numbers, and some types have no object address. What was chosen before is a little more
 * likely, so that one odd ASDU does not turn it over.
 */
static unsigned int
unlikeliness(const struct iec104_state *state, unsigned int idx, struct cursor in)
{
	enum { NO_STATION = 8, ADDRESS = 4, ORIGINATOR = 2, LARGE_STATION = 1, OTHER = 1 };
	const struct iec104_lengths *lengths = &iec104_lengths_table[idx];
	const struct iec104_type *type = type_of(cursor_u8(&in));
	unsigned int sum = idx == state->lengths_idx ? 0 : OTHER;
	uint32_t station;

	cursor_skip(&in, 2);
	if (lengths->cot == 2 && cursor_u8(&in) != 0)
		sum += ORIGINATOR;
	station = number_read(&in, lengths->ca);
	if (station == 0)
		sum += NO_STATION;
	else if (station > UINT8_MAX && station != UINT16_MAX)
		sum += LARGE_STATION;
	if (type != NULL && (type->flags & IEC104_ZERO_ADDRESS) != 0 && number_read(&in, lengths->ioa) != 0)
		sum += ADDRESS;
	return sum;
}

static uint8_t
choose(const struct iec104_state *state, uint16_t candidates, struct cursor in)
{
	unsigned int best = 0, best_sum = UINT_MAX;

	for (unsigned int i = 0; i < IEC104_LENGTHS_COUNT; i++) {
		unsigned int sum = (candidates >> i & 1) != 0 ? unlikeliness(state, i, in) : UINT_MAX;

		if (sum < best_sum) {
			best = i;
			best_sum = sum;
		}
	}
	return (uint8_t)best;
}

static void
learn(struct iec104_state *state, uint16_t candidates, struct cursor in)
{
	state->candidates = candidates;
	state->lengths_idx = choose(state, candidates, in);
	state->lengths_misses = 0;
}

/* Told once those of the standard do not fit, unless the user set others. */
static void
tell_nonstandard(struct proto_ctx *ctx, uint16_t allowed)
{
	struct iec104_state *state = ctx->state;

	if (state->lengths_told || (state->candidates & 1) != 0 || (allowed & 1) == 0)
		return;
	state->lengths_told = true;
	proto_event(ctx, IEC104_EVENT_NONSTANDARD_LENGTHS);
}

struct iec104_lengths
iec104_lengths_of(struct proto_ctx *ctx, struct cursor in)
{
	struct iec104_state *state = ctx->state;
	struct cursor at = in;
	uint8_t type_id = cursor_u8(&at);
	uint8_t vsq = cursor_u8(&at);
	const struct iec104_type *type = type_of(type_id);
	uint16_t allowed, fit;

	if (state->candidates != 0 && (state->candidates & (state->candidates - 1)) == 0 && type != NULL &&
		asdu_len(iec104_lengths_table[state->lengths_idx], type->size, vsq) == cursor_left(&in)) {
		state->lengths_misses = 0;
		return iec104_lengths_table[state->lengths_idx];
	}
	allowed = iec104_lengths_allowed(ctx->config);
	if (state->candidates == 0)
		learn(state, allowed, in);
	fit = iec104_lengths_fit(type_id, vsq, (uint32_t)cursor_left(&in));
	if (fit == ALL_LENGTHS)
		return iec104_lengths_table[state->lengths_idx];
	if ((fit & state->candidates) != 0) {
		learn(state, fit & state->candidates, in);
	} else if ((fit & allowed) != 0 && ++state->lengths_misses >= MISSES_MAX) {
		counter_add(&ctx->counters[IEC104_LENGTHS_RELEARNED], 1);
		learn(state, fit & allowed, in);
	}
	tell_nonstandard(ctx, allowed);
	return iec104_lengths_table[state->lengths_idx];
}

/* Whether the sender is the controlling station: as STARTDT showed it, else the one that opened the connection. */
static bool
sender_controls(const struct proto_ctx *ctx)
{
	const struct iec104_state *state = ctx->state;

	return state->roles_known ? state->controller_is_client == ctx->to_server : ctx->to_server;
}

/* Commands go from the controlling station, what was measured goes to it. Told once a flow. */
static void
check_direction(struct proto_ctx *ctx, const struct iec104_asdu *asdu)
{
	struct iec104_state *state = ctx->state;
	bool activates = asdu->cause == IEC104_CAUSE_ACT || asdu->cause == IEC104_CAUSE_DEACT;
	bool monitors = asdu->type != NULL && (asdu->type->category == IEC104_PROCESS_MONITOR ||
		asdu->type->category == IEC104_SYSTEM_MONITOR);
	bool controls = sender_controls(ctx);

	if (state->direction_told || !((activates && !controls) || (monitors && controls)))
		return;
	state->direction_told = true;
	proto_event(ctx, IEC104_EVENT_WRONG_DIRECTION);
}

static void
check_cause(struct proto_ctx *ctx, const struct iec104_asdu *asdu)
{
	enum { PRIVATE_CAUSES = 48 };
	/* Never used, or reserved: 0, 17 to 19, 42, 43. */
	static const uint64_t reserved = UINT64_C(0xc00000e0001);

	if ((reserved >> asdu->cause & 1) != 0)
		proto_event(ctx, IEC104_EVENT_RESERVED_CAUSE);
	else if (asdu->type != NULL && asdu->type->name != NULL && asdu->cause < PRIVATE_CAUSES &&
		(asdu->type->causes >> asdu->cause & 1) == 0)
		proto_event(ctx, IEC104_EVENT_INVALID_CAUSE);
}

static void
check_identifier(struct proto_ctx *ctx, const struct iec104_asdu *asdu)
{
	uint16_t broadcast = asdu->lengths.ca == 2 ? UINT16_MAX : UINT8_MAX;
	uint8_t flags = asdu->type == NULL || asdu->type->name == NULL ? UINT8_MAX : asdu->type->flags;

	if (asdu->type == NULL)
		proto_event(ctx, IEC104_EVENT_PRIVATE_TYPE);
	else if (asdu->type->name == NULL)
		proto_event(ctx, IEC104_EVENT_RESERVED_TYPE);
	if (asdu->common_address == 0)
		proto_event(ctx, IEC104_EVENT_INVALID_COMMON_ADDRESS);
	if (asdu->common_address == broadcast && (flags & IEC104_BROADCAST) == 0)
		proto_event(ctx, IEC104_EVENT_INVALID_BROADCAST);
	if (asdu->count == 0)
		proto_event(ctx, IEC104_EVENT_NO_OBJECTS);
	if (asdu->sq && (flags & IEC104_SEQUENCE) == 0 && (flags & IEC104_VARIABLE) == 0)
		proto_event(ctx, IEC104_EVENT_INVALID_SQ);
	if (asdu->count > 1 && (flags & (IEC104_MANY | IEC104_VARIABLE)) == 0)
		proto_event(ctx, IEC104_EVENT_TOO_MANY_OBJECTS);
	check_cause(ctx, asdu);
	check_direction(ctx, asdu);
}

/* Reads the information objects. @return the first, NULL without one */
static struct iec104_object *
objects_read(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record, struct cursor in)
{
	const struct iec104_type *type = asdu->type;
	struct iec104_walk walk = { .ctx = ctx, .in = in };
	struct iec104_object *first = NULL;
	uint32_t address = 0;

	for (unsigned int i = 0; i < asdu->count; i++) {
		uint32_t address_len = i == 0 || !asdu->sq ? asdu->lengths.ioa : 0;

		if (cursor_left(&walk.in) < address_len + type->size) {
			proto_event(ctx, IEC104_EVENT_INVALID_LENGTH);
			break;
		}
		address = address_len > 0 ? number_read(&walk.in, asdu->lengths.ioa) : address + 1;
		walk.object = record_append(ctx->record, &record->objects, iec104_object_shapes, type->shape);
		if (walk.object == NULL)
			break;
		walk.present = 0;
		walk.object->obj_addr = address;
		iec104_walk_elements(&walk, type);
		walk.object->head.present = walk.present;
		if (first == NULL)
			first = walk.object;
	}
	if (first == NULL)
		return NULL;
	record_present(&record->head, IEC104_HAS_OBJECTS);
	counter_add(&ctx->counters[IEC104_OBJECTS], record->objects.count);
	if (record->objects.count == asdu->count && cursor_left(&walk.in) > 0)
		proto_event(ctx, IEC104_EVENT_INVALID_LENGTH);
	/* A sequence counts on from its first address, 7.2.2.1, but there are no more than its octets can say. */
	if (((type->flags & IEC104_ZERO_ADDRESS) != 0 && first->obj_addr != 0) || address >> 8 * asdu->lengths.ioa != 0)
		proto_event(ctx, IEC104_EVENT_INVALID_OBJECT_ADDRESS);
	return first;
}

static void
fill_record(struct iec104_record *record, const struct iec104_asdu *asdu)
{
	record->type_id = asdu->type_id;
	record->category = asdu->type == NULL ? IEC104_PRIVATE : asdu->type->category;
	record->nobj = asdu->count;
	record->sq = asdu->sq;
	record->cot = asdu->cause;
	record->pn = asdu->pn;
	record->test = asdu->test;
	record->originator_address = asdu->originator;
	record->common_address = asdu->common_address;
	record_present(&record->head, IEC104_HAS_ASDU);
	if (asdu->lengths.cot + asdu->lengths.ca + asdu->lengths.ioa == 7)
		return;
	record->cot_len = asdu->lengths.cot;
	record->ca_len = asdu->lengths.ca;
	record->ioa_len = asdu->lengths.ioa;
	record_present(&record->head, IEC104_HAS_LENGTHS);
}

static struct iec104_asdu
identifier_read(struct cursor *in, struct iec104_lengths lengths)
{
	struct iec104_asdu asdu = { .lengths = lengths };
	uint8_t octet;

	asdu.type_id = cursor_u8(in);
	asdu.type = type_of(asdu.type_id);
	octet = cursor_u8(in);
	asdu.sq = (octet & SQ) != 0;
	asdu.count = octet & COUNT_MASK;
	octet = cursor_u8(in);
	asdu.cause = octet & CAUSE_MASK;
	asdu.pn = (octet & NEGATIVE) != 0;
	asdu.test = (octet & TEST) != 0;
	if (lengths.cot == 2)
		asdu.originator = cursor_u8(in);
	asdu.common_address = (uint16_t)number_read(in, lengths.ca);
	return asdu;
}

void
iec104_asdu_parse(struct proto_ctx *ctx, struct iec104_record *record, struct cursor in)
{
	struct iec104_lengths lengths = iec104_lengths_of(ctx, in);
	struct iec104_asdu asdu = identifier_read(&in, lengths);
	struct iec104_object *first = NULL;

	if (in.short_read) {
		proto_event(ctx, IEC104_EVENT_SHORT_ASDU);
		return;
	}
	fill_record(record, &asdu);
	check_identifier(ctx, &asdu);
	if (asdu.type != NULL && asdu.type->name != NULL && (asdu.type->element_count > 0 || asdu.type->flags == 0)) {
		first = objects_read(ctx, &asdu, record, in);
	} else {
		record_put_bytes(ctx->record, &record->data, in.pos, (uint32_t)cursor_left(&in));
		record_present(&record->head, IEC104_HAS_DATA);
	}
	iec104_command_follow(ctx, &asdu, record, first);
	if (first != NULL && asdu.type->shape == IEC104_SHAPE_FILE)
		iec104_file_follow(ctx, &asdu, record, (const struct iec104_object_file *)first);
	if (first != NULL && asdu.type->category == IEC104_PROCESS_MONITOR && proto_compares(ctx, 0))
		iec104_values_compare(ctx, &asdu, record);
}
