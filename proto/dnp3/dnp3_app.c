/*
 * DNP3's application layer (IEEE 1815 4.2.2): header, internal indications, object headers;
 * and which request a response answers.
 */
#include "proto/dnp3/dnp3.h"

enum {
	CONTROL_FIR = 0x80,
	CONTROL_FIN = 0x40,
	CONTROL_CON = 0x20,
	CONTROL_UNS = 0x10,
	CONTROL_SEQUENCE = 0x0f,

	GROUP_TIME = 50,
	GROUP_CLASS = 60,
	GROUP_AUTHENTICATION = 120,
	RANGE_RESERVED = 0xff,
};

/* Function codes whose object headers name points and bring no objects (4.4.2 and following). */
static const bool no_data_functions[DNP3_REQUEST_LAST + 1] = {
	[DNP3_CONFIRM] = true,
	[DNP3_READ] = true,
	[7] = true,  /* immediate freeze */
	[8] = true,
	[9] = true,  /* freeze and clear */
	[10] = true,
	[DNP3_FREEZE_AT_TIME] = true,
	[DNP3_FREEZE_AT_TIME_NR] = true,
	[20] = true, /* enable unsolicited */
	[21] = true, /* disable unsolicited */
	[22] = true, /* assign class */
};

/* Function codes that are not answered: confirmation, and those "no acknowledgement". */
static const bool no_answer_functions[DNP3_REQUEST_LAST + 1] = {
	[DNP3_CONFIRM] = true, [6] = true, [8] = true, [10] = true, [DNP3_FREEZE_AT_TIME_NR] = true, [33] = true,
};

/* Prefix codes, table 4-5: bytes of the prefix, and whether it is a size. Code 7 is reserved. */
static const struct {
	uint8_t len;
	bool sized;
} prefixes[8] = {
	{ 0, false }, { 1, false }, { 2, false }, { 4, false }, { 1, true }, { 2, true }, { 4, true }, { 0, false },
};

/* Range specifier codes, table 4-6: bytes of each number, and how many numbers. */
static const struct {
	uint8_t len;
	uint8_t numbers;
} ranges[16] = {
	[0] = { 1, 2 }, [1] = { 2, 2 }, [2] = { 4, 2 }, [3] = { 1, 2 }, [4] = { 2, 2 }, [5] = { 4, 2 }, [6] = { 0, 0 },
	[7] = { 1, 1 }, [8] = { 2, 1 }, [9] = { 4, 1 }, [10] = { 0, RANGE_RESERVED }, [11] = { 1, 1 },
	[12] = { 0, RANGE_RESERVED }, [13] = { 0, RANGE_RESERVED }, [14] = { 0, RANGE_RESERVED },
	[15] = { 0, RANGE_RESERVED },
};

static struct dnp3_open *
open_find(struct dnp3_state *state, uint16_t master, uint16_t outstation, uint8_t sequence)
{
	for (unsigned int i = 0; i < state->open_count; i++) {
		struct dnp3_open *open = &state->open[i];

		if (open->master == master && open->outstation == outstation && open->sequence == sequence)
			return open;
	}
	return NULL;
}

static void
open_remove(struct dnp3_state *state, struct dnp3_open *open)
{
	size_t after = (size_t)(&state->open[state->open_count] - open) - 1;

	memmove(open, open + 1, after * sizeof(*open));
	state->open_count--;
}

/* Sixteen sequence numbers name any number of requests: one after the other without any response is a flood, too. */
static void
count_unanswered(struct proto_ctx *ctx, struct dnp3_state *state)
{
	if (state->unanswered <= DNP3_OPEN_MAX && ++state->unanswered > DNP3_OPEN_MAX)
		proto_event(ctx, DNP3_EVENT_FLOODED);
}

/*
 * A request was seen: its response will name its function. A repeated request may be answered twice; one of a function that
 * does not exist is answered too, by IIN2.0 (4.2.2.6).
 */
static void
request_open(struct proto_ctx *ctx, const struct dnp3_record *record)
{
	struct dnp3_state *state = ctx->state;
	struct dnp3_open *open;

	if (record->function >= DNP3_RESPONSE || record->dst >= DNP3_BROADCAST_MIN ||
		(record->function <= DNP3_REQUEST_LAST && no_answer_functions[record->function]))
		return;
	state->request_seen = true;
	count_unanswered(ctx, state);
	open = open_find(state, record->src, record->dst, record->sequence);
	if (open != NULL) {
		open->waiting += open->waiting < UINT8_MAX;
		open->function = record->function;
		return;
	}
	if (state->open_count == DNP3_OPEN_MAX) {
		proto_event(ctx, DNP3_EVENT_FLOODED);
		counter_add(&ctx->counters[DNP3_REQUESTS_SHED], 1);
		open_remove(state, &state->open[0]);
	}
	state->open[state->open_count++] = (struct dnp3_open){ .master = record->src, .outstation = record->dst,
		.sequence = record->sequence, .function = record->function, .waiting = 1 };
}

/* A response was seen. Further fragments of the same response count the sequence up (4.2.2.4.4). */
static void
request_close(struct proto_ctx *ctx, struct dnp3_record *record)
{
	struct dnp3_state *state = ctx->state;
	struct dnp3_open *open = open_find(state, record->dst, record->src, record->sequence);

	state->unanswered = 0;
	if (open == NULL) {
		if (state->request_seen)
			proto_event(ctx, DNP3_EVENT_UNEXPECTED_RESPONSE);
		return;
	}
	record->request_function = open->function;
	record_present(&record->head, DNP3_HAS_REQUEST);
	if (record->fin && --open->waiting == 0)
		open_remove(state, open);
	else if (!record->fin)
		open->sequence = (record->sequence + 1) & CONTROL_SEQUENCE;
}

static struct dnp3_object *
object_append(struct dnp3_message *message)
{
	struct record_builder *b = message->ctx->record;
	struct dnp3_record *record = message->record;

	if (b->len + sizeof(struct dnp3_object) + message->ids_room > b->cap) {
		record->objects_truncated++;
		record_present(&record->head, DNP3_HAS_OBJECTS_TRUNCATED);
		counter_add(&message->ctx->counters[DNP3_OBJECTS_TRUNCATED], 1);
		return NULL;
	}
	record_present(&record->head, DNP3_HAS_OBJECTS);
	return record_append(b, &record->objects, dnp3_object_shapes, 0);
}

/* The object's record, all but its points. */
static struct dnp3_object *
object_begin(struct dnp3_message *message, const struct dnp3_header *header, uint8_t qualifier, uint32_t stop)
{
	struct dnp3_object *object = object_append(message);

	if (object == NULL)
		return NULL;
	object->group = header->group;
	object->variation = header->variation;
	object->qualifier = qualifier;
	object->prefix_code = header->prefix_code;
	object->range_code = qualifier & 0x0f;
	object->start = header->start;
	object->stop = stop;
	object->count = header->count;
	object->name = dnp3_group_name(header->group);
	if (object->name != NULL)
		record_present(&object->head, DNP3_OBJECT_HAS_NAME);
	object->variation_name = header->group == 0      ? dnp3_attribute_name(header->variation) :
	                         header->layout != NULL ? header->layout->name : NULL;
	if (object->variation_name != NULL)
		record_present(&object->head, DNP3_OBJECT_HAS_FORM);
	return object;
}

/* Reads an object header after its qualifier. @return stop, or -1 with an event. */
static int64_t
range_read(struct dnp3_message *message, struct dnp3_header *header, uint8_t range_code)
{
	uint32_t stop;

	if (ranges[range_code].numbers == 0)
		return 0;
	if (ranges[range_code].numbers == 1) {
		header->count = dnp3_number_read(&message->in, ranges[range_code].len);
		return 0;
	}
	header->start = dnp3_number_read(&message->in, ranges[range_code].len);
	stop = dnp3_number_read(&message->in, ranges[range_code].len);
	/* All of 2^32 points is a count that 32 bits do not hold; no message has room for them either. */
	if (stop < header->start || stop - header->start == UINT32_MAX) {
		proto_event(message->ctx, DNP3_EVENT_INVALID_RANGE);
		return -1;
	}
	header->count = stop - header->start + 1;
	return stop;
}

/* Requests that only name points still bring some objects: a file block is read by its handle, a freeze has a time, and any
 * request may be authenticated in aggressive mode: sequence number and user stand in front (A.45.3). */
static bool
brings_no_data(uint8_t function, const struct dnp3_header *header)
{
	bool freeze_time = (function == DNP3_FREEZE_AT_TIME || function == DNP3_FREEZE_AT_TIME_NR) &&
	                   header->group == GROUP_TIME;

	return function <= DNP3_REQUEST_LAST && no_data_functions[function] && !header->sized && !freeze_time &&
	       header->group != GROUP_AUTHENTICATION;
}

/* One object header and its points. false: what follows cannot be read. */
static bool
object_read(struct dnp3_message *message)
{
	struct dnp3_header header = { .group = cursor_u8(&message->in) };
	uint8_t qualifier;
	int64_t stop;

	header.variation = cursor_u8(&message->in);
	qualifier = cursor_u8(&message->in);
	header.prefix_code = qualifier >> 4 & 7;
	header.prefix_len = prefixes[header.prefix_code].len;
	header.sized = prefixes[header.prefix_code].sized;
	if (message->in.short_read) {
		proto_event(message->ctx, DNP3_EVENT_TRUNCATED_OBJECT);
		return false;
	}
	if ((qualifier & 0x80) != 0 || header.prefix_code == 7 || ranges[qualifier & 0x0f].numbers == RANGE_RESERVED) {
		proto_event(message->ctx, DNP3_EVENT_INVALID_QUALIFIER);
		return false;
	}
	if (message->objects_left-- == 0) {
		proto_event(message->ctx, DNP3_EVENT_TOO_MANY_OBJECTS);
		return false;
	}
	stop = range_read(message, &header, qualifier & 0x0f);
	if (stop < 0)
		return false;
	if (message->in.short_read) {
		proto_event(message->ctx, DNP3_EVENT_TRUNCATED_OBJECT);
		return false;
	}
	/* Class objects have no contents, and are most of what is asked for. */
	header.layout = header.group == GROUP_CLASS ? NULL : dnp3_layout_find(header.group, header.variation);
	header.no_data = brings_no_data(message->record->function, &header);
	message->ids[message->id_count++] = (uint16_t)(header.group << 8 | header.variation);
	return dnp3_points_read(message, &header, object_begin(message, &header, qualifier, (uint32_t)stop));
}

/* All object headers of the fragment. @return whether every byte was understood. */
static bool
objects_read(struct dnp3_message *message)
{
	struct proto_ctx *ctx = message->ctx;
	const struct dnp3_config *config = ctx->config;
	struct dnp3_record *record = message->record;
	bool complete = true;
	uint16_t *ids;

	message->points_left = config->max_points;
	message->objects_left = config->max_objects;
	message->id_count = 0;
	dnp3_leave_room(message, cursor_left(&message->in));
	message->unknown_skipped = false;
	while (complete && cursor_left(&message->in) > 0)
		complete = object_read(message);
	if (message->id_count > 0) {
		ids = record_reserve(ctx->record, &record->object_ids, message->id_count, sizeof(*ids));
		if (ids != NULL)
			memcpy(ids, message->ids, message->id_count * sizeof(*ids));
	}
	if (record->points_truncated > 0)
		record_present(&record->head, DNP3_HAS_POINTS_TRUNCATED);
	return complete && !message->unknown_skipped;
}

/* Static data: what a point is now. Everything else happened once. 1815-2012 annex A. */
static bool
is_static(uint16_t id)
{
	switch (id >> 8) {
	case 1:
	case 3:
	case 10:
	case 20:
	case 21:
	case 30:
	case 31:
	case 34:
	case 40:
		return true;
	default:
		return false;
	}
}

/* A poll, and an answer that brings static data or nothing, say the same again and again. */
static void
compare_values(const struct dnp3_message *message, const struct dnp3_link *link, struct cursor in)
{
	struct proto_ctx *ctx = message->ctx;
	const struct dnp3_record *record = message->record;
	uint64_t ends = (uint64_t)link->src << 16 | link->dst | UINT64_C(1) << 32;
	struct cursor objects;

	if (!proto_compares(ctx, 0) || (record->function != DNP3_READ && record->function != DNP3_RESPONSE))
		return;
	for (unsigned int i = 0; record->function == DNP3_RESPONSE && i < message->id_count; i++)
		if (!is_static(message->ids[i]))
			return;
	cursor_skip(&in, 1); /* control: its sequence number changes each time */
	objects = in;
	cursor_skip(&objects, record->function == DNP3_READ ? 1 : 3);
	if (record->function == DNP3_RESPONSE && cursor_left(&objects) > DNP3_OBJECT_HEADER_MIN)
		objects = cursor_sub(&objects, DNP3_OBJECT_HEADER_MIN); /* the first header says which poll is answered */
	proto_value(ctx, proto_value_hash(ends << 8 | record->function, objects), proto_value_hash(0, in));
}

/* What the function code says about the message; counts it and pairs it. */
static void
message_classify(struct proto_ctx *ctx, struct dnp3_record *record)
{
	switch (record->function) {
	case DNP3_CONFIRM:
		record->type = "confirm";
		break;
	case DNP3_RESPONSE:
	case DNP3_AUTHENTICATE_RESP:
		record->type = "response";
		counter_add(&ctx->counters[DNP3_RESPONSES], 1);
		request_close(ctx, record);
		break;
	case DNP3_UNSOLICITED_RESPONSE:
		record->type = "unsolicited_response";
		counter_add(&ctx->counters[DNP3_UNSOLICITED], 1);
		break;
	default:
		record->type = record->function > DNP3_UNSOLICITED_RESPONSE ? "response" : "request";
		counter_add(&ctx->counters[DNP3_REQUESTS], 1);
		request_open(ctx, record);
	}
}

/* 4.2.2.2: control, function code, and in a response the internal indications. false: too short for them. */
static bool
header_read(struct dnp3_record *record, struct cursor *in)
{
	uint8_t control = cursor_u8(in);
	uint8_t function = cursor_u8(in);

	if (in->short_read)
		return false;
	record->fir = (control & CONTROL_FIR) != 0;
	record->fin = (control & CONTROL_FIN) != 0;
	record->con = (control & CONTROL_CON) != 0;
	record->uns = (control & CONTROL_UNS) != 0;
	record->sequence = control & CONTROL_SEQUENCE;
	record->function = function;
	if (function >= DNP3_RESPONSE && function <= DNP3_AUTHENTICATE_RESP) {
		record->iin_bits = cursor_le16(in);
		record->iin = __builtin_bswap16(record->iin_bits);
		if (in->short_read)
			return false;
		record_present(&record->head, DNP3_HAS_IIN);
	}
	record_present(&record->head, DNP3_HAS_APPLICATION);
	return true;
}

void
dnp3_app_parse(struct proto_ctx *ctx, const struct dnp3_link *link, const uint8_t *data, uint32_t len)
{
	const struct dnp3_config *config = ctx->config;
	struct dnp3_record *record = dnp3_record_begin(ctx, link);
	unsigned int flags = PROTO_MATCH | PROTO_EMIT;
	struct dnp3_message message;
	bool answers;

	counter_add(&ctx->counters[DNP3_APP_MESSAGES], 1);
	record_put_bytes(ctx->record, &record->data, data, len);
	record_present(&record->head, DNP3_HAS_DATA);
	message.ctx = ctx;
	message.record = record;
	message.in = cursor_of(data, len);
	message.fact_count = 0;
	message.has_common_time = false;
	if (!header_read(record, &message.in)) {
		proto_event(ctx, DNP3_EVENT_LEN_TOO_SMALL);
		proto_deliver(ctx, PROTO_MATCH, 0);
		return;
	}
	message_classify(ctx, record);
	if (record->function > DNP3_REQUEST_LAST &&
		(record->function < DNP3_RESPONSE || record->function > DNP3_AUTHENTICATE_RESP)) {
		proto_event(ctx, DNP3_EVENT_INVALID_FUNCTION_CODE);
	} else {
		record->complete = objects_read(&message);
		compare_values(&message, link, cursor_of(data, len));
	}
	if (record->function == DNP3_CONFIRM && !config->log_confirms)
		flags = PROTO_MATCH;
	answers = record->function == DNP3_RESPONSE || record->function == DNP3_UNSOLICITED_RESPONSE;
	proto_deliver(ctx, flags, 0);
	if (answers && message.fact_count > 0)
		dnp3_identity_deliver(&message, link->src);
}
