/*
 * DNP3's link layer (IEEE 1815 9) and transport function (8): frames out of bytes, whole
 * application fragments out of frames.
 */
#include "proto/dnp3/dnp3.h"

#include <assert.h>
#include <errno.h>

enum {
	SYNC_0 = 0x05,
	SYNC_1 = 0x64,
	CRC_LEN = 2,

	CONTROL_DIR = 0x80, /* from the master */
	CONTROL_PRM = 0x40, /* from the primary station */
	CONTROL_FCB = 0x20,
	CONTROL_FCV = 0x10,
	CONTROL_FUNCTION = 0x0f,
	CONFIRMED_USER_DATA = 3,
	UNCONFIRMED_USER_DATA = 4,

	TRANSPORT_FIN = 0x80,
	TRANSPORT_FIR = 0x40,
	TRANSPORT_SEQUENCE = 0x3f,
};

/* 9.2.4.1.3, by PRM and function code; NULL: reserved. */
static const char *const link_functions[2][16] = {
	{ [0] = "ack", [1] = "nack", [11] = "link_status", [15] = "not_supported" },
	{ [0] = "reset_link_states", [1] = "reset_user_process", [2] = "test_link_states", [3] = "confirmed_user_data",
		[4] = "unconfirmed_user_data", [9] = "request_link_status" },
};

/* Whether the bytes before a CRC agree with it. block holds len bytes and the CRC, low octet first. */
static bool
crc_agrees(const uint8_t *block, size_t len)
{
	return dnp3_crc(block, len) == (uint16_t)(block[len] | block[len + 1] << 8);
}

static size_t
block_len(size_t left)
{
	return left < DNP3_BLOCK_LEN ? left : DNP3_BLOCK_LEN;
}

/* Bytes of a frame whose length octet says `length`, CRCs included. */
static int
frame_len(uint8_t length)
{
	int data_len = length - DNP3_LENGTH_MIN;

	return DNP3_HEADER_LEN + data_len + (data_len + DNP3_BLOCK_LEN - 1) / DNP3_BLOCK_LEN * CRC_LEN;
}

/*
 * Whether a header with a wrong CRC stands before user data whose CRCs are all right: then the header was
 * damaged, and the frame is taken whole so that it can be reported. Chance bytes fail at the first block.
 */
static int
damaged_frame(struct cursor in, uint8_t length)
{
	size_t left = length - DNP3_LENGTH_MIN;

	if (left == 0)
		return -EBADMSG;
	while (left > 0) {
		size_t len = block_len(left);
		const uint8_t *block = cursor_take(&in, len + CRC_LEN);

		if (block == NULL)
			return 0;
		if (!crc_agrees(block, len))
			return -EBADMSG;
		left -= len;
	}
	return frame_len(length);
}

static bool
header_sound(const uint8_t header[static DNP3_HEADER_LEN])
{
	return header[0] == SYNC_0 && header[1] == SYNC_1 && header[2] >= DNP3_LENGTH_MIN &&
	       crc_agrees(header, DNP3_HEADER_LEN - CRC_LEN);
}

/* IEEE 1815 9.2.4. */
static int
dnp3_frame(struct cursor in, bool to_server)
{
	size_t left = cursor_left(&in);
	const uint8_t *header;

	if (left < DNP3_HEADER_LEN) {
		bool begins = cursor_u8(&in) == SYNC_0 && (left < 2 || cursor_u8(&in) == SYNC_1);

		return left == 0 || begins ? 0 : -EBADMSG;
	}
	header = cursor_take(&in, DNP3_HEADER_LEN);
	if (header_sound(header))
		return frame_len(header[2]);
	if (header[0] != SYNC_0 || header[1] != SYNC_1 || header[2] < DNP3_LENGTH_MIN)
		return -EBADMSG;
	return damaged_frame(in, header[2]);
}

/* Whether a frame that stands behind other bytes begins here. */
static bool
frame_behind(struct cursor in)
{
	while (cursor_left(&in) >= DNP3_HEADER_LEN) {
		struct cursor at = in;
		const uint8_t *header = cursor_take(&at, DNP3_HEADER_LEN);

		if (header_sound(header))
			return true;
		cursor_skip(&in, 1);
	}
	return false;
}

/* A frame with a right CRC, at the front; on its port also behind bytes that are none, which is what a lost start looks like. */
static enum proto_probe
dnp3_probe(struct cursor in, bool to_server, bool on_port)
{
	int len = dnp3_frame(in, to_server);

	if (len > 0)
		return PROTO_PROBE_YES;
	if (len == 0)
		return PROTO_PROBE_MORE;
	return on_port && frame_behind(in) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

/* The outstation listens, and DIR is clear in what it sends (9.2.4.1.3.1). */
static int
dnp3_sender_is_server(struct cursor in)
{
	const uint8_t *header = cursor_take(&in, 4);

	if (header == NULL || header[0] != SYNC_0 || header[1] != SYNC_1)
		return -1;
	return (header[3] & CONTROL_DIR) == 0;
}

struct dnp3_record *
dnp3_record_begin(struct proto_ctx *ctx, const struct dnp3_link *link)
{
	struct dnp3_record *record = record_begin(ctx->record, &dnp3_record_table);
	bool pri = (link->control & CONTROL_PRM) != 0;

	record->type = "link";
	record->dir = (link->control & CONTROL_DIR) != 0;
	record->pri = pri;
	record->fcb = (link->control & CONTROL_FCB) != 0;
	record->fcv = (link->control & CONTROL_FCV) != 0;
	record->link_function = link->control & CONTROL_FUNCTION;
	record->link_function_name = link_functions[pri][record->link_function];
	if (record->link_function_name == NULL)
		record->link_function_name = "reserved";
	record->src = link->src;
	record->dst = link->dst;
	return record;
}

/* A frame that completes no message: rules may look at its header and its events. */
static void
deliver_link(struct proto_ctx *ctx, const struct dnp3_link *link)
{
	dnp3_record_begin(ctx, link);
	proto_deliver(ctx, PROTO_MATCH, 0);
}

static void
slot_free(struct proto_ctx *ctx, struct dnp3_state *state, struct dnp3_slot *slot)
{
	slab_free(ctx->slab, slot->bytes, slot->cap);
	*slot = (struct dnp3_slot){ .used = false };
	state->slot_count--;
}

/* What was collected is lost. */
static void
slot_drop(struct proto_ctx *ctx, struct dnp3_state *state, struct dnp3_slot *slot)
{
	if (!slot->discarding)
		counter_add(&ctx->counters[DNP3_REASSEMBLY_DROPPED], 1);
	slot_free(ctx, state, slot);
}

static struct dnp3_slot *
slot_find(struct dnp3_state *state, const struct dnp3_link *link, bool to_server)
{
	if (state->slot_count == 0)
		return NULL;
	for (unsigned int i = 0; i < DNP3_SLOT_MAX; i++) {
		struct dnp3_slot *slot = &state->slots[i];

		if (slot->used && slot->src == link->src && slot->dst == link->dst && slot->to_server == to_server)
			return slot;
	}
	return NULL;
}

/* A free slot; when all are used the one that has been asked for longest ago is given up. */
static struct dnp3_slot *
slot_take(struct proto_ctx *ctx, struct dnp3_state *state)
{
	struct dnp3_slot *slot;

	for (unsigned int i = 0; i < DNP3_SLOT_MAX; i++)
		if (!state->slots[i].used)
			return &state->slots[i];
	slot = &state->slots[state->slot_next];
	state->slot_next = (uint8_t)((state->slot_next + 1) % DNP3_SLOT_MAX);
	counter_add(&ctx->counters[DNP3_REASSEMBLY_SHED], 1);
	proto_event(ctx, DNP3_EVENT_FLOODED);
	slot_drop(ctx, state, slot);
	return slot;
}

/* Adds a segment's bytes. false: no memory, or longer than max-reassembly. */
static bool
slot_append(struct proto_ctx *ctx, struct dnp3_slot *slot, const uint8_t *data, uint32_t len)
{
	const struct dnp3_config *config = ctx->config;

	if (slot->len + len > config->max_reassembly) {
		proto_event(ctx, DNP3_EVENT_TOO_LONG_REASSEMBLY);
		return false;
	}
	if (slot->len + len > slot->cap) {
		uint32_t cap = slot->cap == 0 ? DNP3_REASSEMBLY_FIRST : slot->cap * 2;
		uint8_t *bytes = slab_alloc(ctx->slab, cap);

		if (bytes == NULL) {
			counter_add(&ctx->counters[DNP3_REASSEMBLY_SHED], 1);
			return false;
		}
		if (slot->len > 0)
			memcpy(bytes, slot->bytes, slot->len);
		slab_free(ctx->slab, slot->bytes, slot->cap);
		slot->bytes = bytes;
		slot->cap = cap;
	}
	if (len > 0)
		memcpy(slot->bytes + slot->len, data, len);
	slot->len += len;
	return true;
}

/* Stops collecting until the next first segment, and gives the memory back. */
static void
slot_discard(struct proto_ctx *ctx, struct dnp3_slot *slot)
{
	counter_add(&ctx->counters[DNP3_REASSEMBLY_DROPPED], 1);
	slab_free(ctx->slab, slot->bytes, slot->cap);
	slot->bytes = NULL;
	slot->len = 0;
	slot->cap = 0;
	slot->discarding = true;
}

/* A later segment, 8.2.1.4: only the next in sequence continues a message. A repeated one is passed over. */
static bool
segment_continues(struct proto_ctx *ctx, struct dnp3_slot *slot, uint8_t sequence, const uint8_t *data, uint32_t len)
{
	if (slot->discarding)
		return false;
	if (sequence == ((slot->sequence + 1) & TRANSPORT_SEQUENCE)) {
		slot->sequence = sequence;
		return true;
	}
	if (sequence == slot->sequence && len <= slot->len &&
		(len == 0 || memcmp(slot->bytes + slot->len - len, data, len) == 0))
		return false;
	proto_event(ctx, DNP3_EVENT_TRANSPORT_SEQUENCE);
	slot_discard(ctx, slot);
	return false;
}

/* The slot that the segment belongs to, ready for its bytes; NULL: the segment is dropped. */
static struct dnp3_slot *
segment_slot(struct proto_ctx *ctx, const struct dnp3_link *link, uint8_t header, const uint8_t *data, uint32_t len)
{
	struct dnp3_state *state = ctx->state;
	struct dnp3_slot *slot = slot_find(state, link, ctx->to_server);

	if ((header & TRANSPORT_FIR) == 0) {
		if (slot != NULL && segment_continues(ctx, slot, header & TRANSPORT_SEQUENCE, data, len))
			return slot;
		/* The rest of a message whose start was before the capture is no anomaly. */
		if (slot == NULL && state->first_seen[ctx->to_server])
			proto_event(ctx, DNP3_EVENT_TRANSPORT_SEQUENCE);
		counter_add(&ctx->counters[DNP3_SEGMENTS_DROPPED], 1);
		return NULL;
	}
	state->first_seen[ctx->to_server] = true;
	if (slot != NULL) {
		if (!slot->discarding)
			proto_event(ctx, DNP3_EVENT_REASSEMBLY_DROPPED);
		slot_drop(ctx, state, slot);
	} else {
		slot = slot_take(ctx, state);
	}
	*slot = (struct dnp3_slot){ .used = true, .to_server = ctx->to_server, .src = link->src, .dst = link->dst,
		.sequence = header & TRANSPORT_SEQUENCE };
	state->slot_count++;
	return slot;
}

/* One transport segment, IEEE 1815 8.2. */
static void
segment_parse(struct proto_ctx *ctx, const struct dnp3_link *link, struct cursor in)
{
	enum { WHOLE = TRANSPORT_FIN | TRANSPORT_FIR };
	struct dnp3_state *state = ctx->state;
	uint8_t header = cursor_u8(&in);
	uint32_t len = (uint32_t)cursor_left(&in);
	const uint8_t *data = cursor_take(&in, len);
	struct dnp3_slot *slot;

	if ((header & WHOLE) == WHOLE && state->slot_count == 0) {
		state->first_seen[ctx->to_server] = true;
		dnp3_app_parse(ctx, link, data, len);
		return;
	}
	slot = segment_slot(ctx, link, header, data, len);
	if (slot != NULL && (header & WHOLE) == WHOLE) {
		slot_free(ctx, state, slot);
		dnp3_app_parse(ctx, link, data, len);
		return;
	}
	if (slot != NULL && !slot_append(ctx, slot, data, len)) {
		slot_discard(ctx, slot);
		slot = NULL;
	}
	if (slot != NULL && (header & TRANSPORT_FIN) != 0) {
		dnp3_app_parse(ctx, link, slot->bytes, slot->len);
		slot_free(ctx, state, slot);
	} else if (ctx->events != 0) {
		deliver_link(ctx, link);
	}
}

/* Copies user data out from between the CRCs. @return its length, or -EBADMSG when a CRC is wrong. */
static int
user_data_read(struct cursor *in, uint8_t out[static DNP3_USER_DATA_MAX], size_t data_len)
{
	for (size_t at = 0; at < data_len; at += DNP3_BLOCK_LEN) {
		size_t len = block_len(data_len - at);
		const uint8_t *block = cursor_take(in, len + CRC_LEN);

		if (block == NULL || !crc_agrees(block, len))
			return -EBADMSG;
		memcpy(out + at, block, len);
	}
	return (int)data_len;
}

/* A frame of good CRCs. */
static void
frame_parse(struct proto_ctx *ctx, const struct dnp3_link *link, struct cursor data)
{
	uint8_t function = link->control & CONTROL_FUNCTION;
	bool pri = (link->control & CONTROL_PRM) != 0;
	bool carries = pri && (function == CONFIRMED_USER_DATA || function == UNCONFIRMED_USER_DATA);

	if (link_functions[pri][function] == NULL)
		proto_event(ctx, DNP3_EVENT_INVALID_LINK_FUNCTION);
	if (carries && cursor_left(&data) > 0) {
		segment_parse(ctx, link, data);
		return;
	}
	if (carries)
		proto_event(ctx, DNP3_EVENT_LEN_TOO_SMALL);
	else if (cursor_left(&data) > 0)
		proto_event(ctx, DNP3_EVENT_UNEXPECTED_USER_DATA);
	deliver_link(ctx, link);
}

/* What stood before this frame, and whether its own header is right. @return whether it is */
static bool
note_link_errors(struct proto_ctx *ctx, const uint8_t *header)
{
	struct dnp3_state *state = ctx->state;
	bool sound = crc_agrees(header, DNP3_HEADER_LEN - CRC_LEN);

	if (ctx->skipped_len > 0)
		proto_event(ctx, DNP3_EVENT_BAD_START_BYTES);
	if (sound && (ctx->skipped_len > 0 || state->link_error[ctx->to_server]))
		proto_event(ctx, DNP3_EVENT_POLICY_DIVERGENCE);
	state->link_error[ctx->to_server] = !sound;
	return sound;
}

static void
dnp3_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	const uint8_t *header = cursor_take(&pdu, DNP3_HEADER_LEN);
	uint8_t data[DNP3_USER_DATA_MAX];
	struct dnp3_link link;
	int data_len;

	if (header == NULL || header[2] < DNP3_LENGTH_MIN)
		return;
	counter_add(&ctx->counters[DNP3_LINK_FRAMES], 1);
	link.control = header[3];
	link.dst = (uint16_t)(header[4] | header[5] << 8);
	link.src = (uint16_t)(header[6] | header[7] << 8);
	if (!note_link_errors(ctx, header)) {
		counter_add(&ctx->counters[DNP3_CRC_ERRORS], 1);
		proto_event(ctx, DNP3_EVENT_BAD_LINK_CRC);
		deliver_link(ctx, &link);
		return;
	}
	data_len = user_data_read(&pdu, data, header[2] - DNP3_LENGTH_MIN);
	if (data_len < 0) {
		counter_add(&ctx->counters[DNP3_CRC_ERRORS], 1);
		proto_event(ctx, DNP3_EVENT_BAD_TRANSPORT_CRC);
		deliver_link(ctx, &link);
		return;
	}
	frame_parse(ctx, &link, cursor_of(data, (size_t)data_len));
}

/* Bytes of this direction are missing: a message that spans them cannot be completed. */
static void
dnp3_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct dnp3_state *state = ctx->state;

	for (unsigned int i = 0; i < DNP3_SLOT_MAX && state->slot_count > 0; i++)
		if (state->slots[i].used && state->slots[i].to_server == ctx->to_server)
			slot_drop(ctx, state, &state->slots[i]);
	state->first_seen[ctx->to_server] = false;
}

static void
dnp3_end(struct proto_ctx *ctx)
{
	struct dnp3_state *state = ctx->state;

	for (unsigned int i = 0; i < DNP3_SLOT_MAX && state->slot_count > 0; i++)
		if (state->slots[i].used)
			slot_drop(ctx, state, &state->slots[i]);
}

static const uint16_t ports[] = { 20000, 0 };

static const struct counter_desc counters[DNP3_COUNTERS_END] = {
	[DNP3_LINK_FRAMES] = { "app_layer.dnp3.link_frames", "link frames read" },
	[DNP3_APP_MESSAGES] = { "app_layer.dnp3.app_messages", "application fragments read" },
	[DNP3_REQUESTS] = { "app_layer.dnp3.requests", "requests, confirmations not counted" },
	[DNP3_RESPONSES] = { "app_layer.dnp3.responses", "solicited responses" },
	[DNP3_UNSOLICITED] = { "app_layer.dnp3.unsolicited", "unsolicited responses" },
	[DNP3_CRC_ERRORS] = { "app_layer.dnp3.crc_errors", "frames dropped for a wrong CRC" },
	[DNP3_SEGMENTS_DROPPED] = { "app_layer.dnp3.segments_dropped", "transport segments that continue no message" },
	[DNP3_REASSEMBLY_DROPPED] = { "app_layer.dnp3.reassembly_dropped", "messages whose reassembly was given up" },
	[DNP3_REASSEMBLY_SHED] = { "app_layer.dnp3.reassembly_shed", "reassemblies without a free place or memory" },
	[DNP3_REQUESTS_SHED] = { "app_layer.dnp3.requests_shed", "requests no longer waited for, as too many were open" },
	[DNP3_POINTS_TRUNCATED] = { "app_layer.dnp3.points_truncated", "points left out of a record for want of room" },
	[DNP3_OBJECTS_TRUNCATED] = { "app_layer.dnp3.objects_truncated", "object headers left out for want of room" },
};

#define KNOB(key) "app-layer.protocols.dnp3." key
static const struct knob knobs[] = {
	{ KNOB("log-confirms"), KNOB_BOOL, offsetof(struct dnp3_config, log_confirms), 0, 0, "no", NULL,
		"write an event for application confirmations too" },
	{ KNOB("max-points"), KNOB_NUMBER, offsetof(struct dnp3_config, max_points), 1, 1 << 20, "16384", NULL,
		"points read of one message" },
	{ KNOB("max-objects"), KNOB_NUMBER, offsetof(struct dnp3_config, max_objects), 1, DNP3_OBJECTS_MAX, "2048", NULL,
		"object headers read of one message" },
	{ KNOB("max-reassembly"), KNOB_SIZE, offsetof(struct dnp3_config, max_reassembly), 250, DNP3_REASSEMBLY_MAX,
		"8KiB", NULL, "length of an application fragment put together from transport segments" },
	{ .name = KNOB("max-tx"), .type = KNOB_ACCEPTED, .help = "open requests of a flow are bounded at 32" },
	{ .name = KNOB("resync-on-bad-start"), .type = KNOB_ACCEPTED, .help = "bytes that begin no frame are always passed over" },
};
static const struct knob_table knob_table = { "dnp3", knobs, sizeof(knobs) / sizeof(knobs[0]) };

static_assert(sizeof(struct dnp3_state) <= 1024, "a flow that speaks DNP3 costs one small block");

const struct proto dnp3_proto = {
	.app = { .name = "dnp3", .record = &dnp3_record_table, .events = dnp3_events, .event_count = DNP3_EVENT_COUNT,
		.rule_events = UINT64_C(1) << DNP3_EVENT_BAD_START_BYTES | UINT64_C(1) << DNP3_EVENT_POLICY_DIVERGENCE,
		.keywords = dnp3_keywords, .keyword_count = DNP3_KEYWORD_COUNT, .buffers = dnp3_buffers,
		.buffer_count = DNP3_BUFFER_COUNT, .alert_key = { "response", "request" },
		.keyword_index = dnp3_keyword_index },
	.transports = PROTO_TCP | PROTO_UDP,
	.ports = ports,
	.pdu_len_min = DNP3_HEADER_LEN,
	.probe = dnp3_probe,
	.starts = { { 0x05, 0x05 } },
	.start_count = 1,
	.sender_is_server = dnp3_sender_is_server,
	.frame = dnp3_frame,
	.parse = dnp3_parse,
	.gap = dnp3_gap,
	.end = dnp3_end,
	.state_len = sizeof(struct dnp3_state),
	.kind = "application.function_name",
	.counters = counters,
	.counter_count = DNP3_COUNTERS_END,
	.knobs = &knob_table,
	.config_len = sizeof(struct dnp3_config),
};
