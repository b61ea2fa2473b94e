/*
 * Cyclic data: CPF packets of class 0 and 1 connections over UDP (EIP 3-3.1, 3-3.2). A plant
 * sends thousands a second. By default a record is written when a connection is first seen,
 * when its length changes, and at its end with totals; app-layer.protocols.enip.log-cyclic
 * asks for a record of each change, or of each packet.
 */
#include "proto/enip/enip.h"

#include <errno.h>

enum {
	IO_ITEMS = 2,
	IO_HEADER_MIN = 14,   /* count, address item of a connection id, header of the data item */
	CIP_SEQUENCE_LEN = 2, /* class 1: in front of the data */
	SEQUENCE_JUMP_MAX = 0x10000, /* further apart: the producer began anew */
};

struct stream {
	uint32_t connection_id;
	uint32_t sequence_number;
	uint32_t data_hash;
	uint16_t data_length;
	bool to_server;
	bool sequence_said; /* a break in the numbers is an event once a connection */
	bool tied;          /* what is known */
	uint8_t next;       /* in the bucket: index + 1 */
	uint64_t packets;
	uint64_t changes;
	uint64_t lost;
	uint64_t first_ns;
	uint64_t last_ns;
	struct enip_tracked what;
};

struct enip_io_table {
	struct enip_ends ends; /* of the flow: end() does not have them */
	uint8_t count;
	uint8_t buckets[ENIP_IO_BUCKETS]; /* index + 1 */
	struct stream streams[ENIP_IO_MAX];
};

struct packet {
	uint32_t connection_id;
	uint32_t sequence_number;
	uint16_t cip_sequence;
	struct cursor data; /* of the data item, whole */
};

bool
enip_is_io(struct cursor in)
{
	uint16_t count = cursor_le16(&in);
	uint16_t type = cursor_le16(&in);
	uint16_t len = cursor_le16(&in);

	return !in.short_read && count == IO_ITEMS &&
		((type == ENIP_ITEM_SEQUENCED_ADDRESS && len == 8) || (type == ENIP_ITEM_CONNECTED_ADDRESS && len == 4));
}

int
enip_io_frame(struct cursor in)
{
	size_t whole = cursor_left(&in);
	uint16_t address_len, type, len;

	cursor_skip(&in, 4);
	address_len = cursor_le16(&in);
	cursor_skip(&in, address_len);
	type = cursor_le16(&in);
	len = cursor_le16(&in);
	if (in.short_read)
		return whole < IO_HEADER_MIN + 4 ? 0 : -EBADMSG;
	return type == ENIP_ITEM_CONNECTED_DATA ? 2 + 4 + address_len + 4 + len : -EBADMSG;
}

static void
read_packet(struct cursor in, struct packet *out)
{
	uint16_t address_len;
	struct cursor address, peek;

	cursor_skip(&in, 4);
	address_len = cursor_le16(&in);
	address = cursor_sub(&in, address_len);
	out->connection_id = cursor_le32(&address);
	out->sequence_number = address_len == 8 ? cursor_le32(&address) : 0;
	cursor_skip(&in, 4);
	out->data = in;
	peek = in;
	out->cip_sequence = cursor_le16(&peek);
}

/* Of all but the sequence count, eight octets at a time. */
static uint32_t
hash_data(struct cursor in)
{
	uint64_t hash = cursor_left(&in);

	cursor_skip(&in, CIP_SEQUENCE_LEN);
	while (cursor_left(&in) >= 8)
		hash = (hash ^ cursor_le64(&in)) * UINT64_C(0x9e3779b97f4a7c15);
	while (cursor_left(&in) > 0)
		hash = (hash ^ cursor_u8(&in)) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(hash >> 32);
}

static struct enip_io_table *
table_of(struct proto_ctx *ctx)
{
	struct enip_state *state = ctx->state;

	if (state->io != NULL || ctx->slab == NULL)
		return state->io;
	state->io = slab_alloc(ctx->slab, sizeof(*state->io));
	if (state->io == NULL) {
		counter_add(&ctx->counters[ENIP_COUNT_SHED], 1);
		return NULL;
	}
	state->io->count = 0;
	state->io->ends = enip_ends_of(ctx);
	memset(state->io->buckets, 0, sizeof(state->io->buckets));
	return state->io;
}

/* The connection's own stream, made when new; NULL when the table is full. */
static struct stream *
stream_of(struct proto_ctx *ctx, const struct packet *packet)
{
	struct enip_io_table *table = table_of(ctx);
	uint8_t *bucket, at;

	if (table == NULL)
		return NULL;
	bucket = &table->buckets[(packet->connection_id * UINT32_C(0x9e3779b1)) >> 26];
	for (at = *bucket; at != 0; at = table->streams[at - 1].next)
		if (table->streams[at - 1].connection_id == packet->connection_id &&
			table->streams[at - 1].to_server == ctx->to_server)
			return &table->streams[at - 1];
	if (table->count == ENIP_IO_MAX) {
		counter_add(&ctx->counters[ENIP_COUNT_SHED], 1);
		return NULL;
	}
	table->streams[table->count] = (struct stream){ .connection_id = packet->connection_id, .next = *bucket,
		.to_server = ctx->to_server, .first_ns = ctx->ts_ns };
	*bucket = ++table->count;
	return &table->streams[table->count - 1];
}

static struct enip_record *
begin(struct proto_ctx *ctx, enum enip_io_reason reason)
{
	struct enip_state *state = ctx->state;
	struct enip_record *record = record_begin(ctx->record, &enip_table);

	record->id = ++state->last_id;
	record->io.reason = (uint8_t)reason;
	record_present(&record->head, ENIP_HAS_IO);
	return record;
}

/*
 * The forward open is in another flow of the same two ends. It is looked up with each record anew: the first packets may
 * have come before it, and numbers are used again.
 */
static void
tie(struct proto_ctx *ctx, struct enip_record *record, struct stream *stream)
{
	const struct enip_state *state = ctx->state;

	if (enip_shared_find(ctx, &state->io->ends, stream->to_server, stream->connection_id, &stream->what))
		stream->tied = true;
	if (!stream->tied)
		return;
	record->tracked = stream->what;
	record_present(&record->head, ENIP_HAS_TRACKED);
	record_present(&record->head, ENIP_HAS_TRACKED_WAY);
	if (stream->what.has_points)
		record_present(&record->head, ENIP_HAS_TRACKED_POINTS);
}

/* @param stream NULL: more of them than are followed */
static void
write_packet(struct proto_ctx *ctx, struct stream *stream, const struct packet *packet, enum enip_io_reason reason)
{
	struct enip_record *record = begin(ctx, reason);
	struct enip_io *io = &record->io;

	if (stream != NULL)
		tie(ctx, record, stream);

	io->connection_id = packet->connection_id;
	io->sequence_number = packet->sequence_number;
	io->cip_sequence = packet->cip_sequence;
	io->data_length = (uint16_t)cursor_left(&packet->data);
	record_put_bytes(ctx->record, &io->data, packet->data.pos, io->data_length);
	record_present(&record->head, ENIP_HAS_IO_DATA);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC | PROTO_SUMMARY, record->id);
}

/* Numbers that go back are copies or late; those far away are a producer that began anew. */
static void
follow_sequence(struct proto_ctx *ctx, struct stream *stream, uint32_t number)
{
	uint32_t step = number - stream->sequence_number;

	stream->sequence_number = number;
	if (stream->packets == 0 || step <= 1)
		return;
	if (step < SEQUENCE_JUMP_MAX) {
		stream->lost += step - 1;
		counter_add(&ctx->counters[ENIP_COUNT_IO_LOST], step - 1);
	}
	if (!stream->sequence_said)
		proto_event(ctx, ENIP_EVENT_IO_SEQUENCE);
	stream->sequence_said = true;
}

static bool
wanted(const struct proto_ctx *ctx, enum enip_io_reason reason)
{
	switch (reason) {
	case ENIP_IO_DATA:
		return ctx->levels.cyclic == PROTO_LOG_ALL;
	case ENIP_IO_CHANGED:
		return ctx->levels.cyclic <= PROTO_LOG_CHANGES;
	default:
		return true;
	}
}

void
enip_io_read(struct proto_ctx *ctx, struct cursor pdu)
{
	enum enip_io_reason reason = ENIP_IO_DATA;
	struct packet packet;
	struct stream *stream;
	uint32_t hash;
	uint16_t len;

	read_packet(pdu, &packet);
	counter_add(&ctx->counters[ENIP_COUNT_IO_PACKETS], 1);
	stream = stream_of(ctx, &packet);
	if (stream == NULL) {
		if (wanted(ctx, ENIP_IO_DATA))
			write_packet(ctx, NULL, &packet, ENIP_IO_DATA);
		return;
	}
	hash = hash_data(packet.data);
	len = (uint16_t)cursor_left(&packet.data);
	follow_sequence(ctx, stream, packet.sequence_number);
	if (stream->packets == 0) {
		reason = ENIP_IO_FIRST;
	} else if (len != stream->data_length) {
		reason = ENIP_IO_LENGTH;
		stream->changes++;
		proto_event(ctx, ENIP_EVENT_IO_LENGTH);
	} else if (hash != stream->data_hash) {
		reason = ENIP_IO_CHANGED;
		stream->changes++;
	}
	stream->packets++;
	stream->data_hash = hash;
	stream->data_length = len;
	stream->last_ns = ctx->ts_ns;
	if (wanted(ctx, reason) || wanted(ctx, ENIP_IO_DATA))
		write_packet(ctx, stream, &packet, reason);
}

static void
write_total(struct proto_ctx *ctx, struct stream *stream)
{
	struct enip_record *record = begin(ctx, ENIP_IO_END);
	struct enip_io *io = &record->io;
	uint64_t mean_us = stream->packets > 1 ? (stream->last_ns - stream->first_ns) / (stream->packets - 1) / 1000 : 0;

	io->connection_id = stream->connection_id;
	io->sequence_number = stream->sequence_number;
	io->data_length = stream->data_length;
	io->packets = stream->packets;
	io->changes = stream->changes;
	io->lost = stream->lost;
	io->first_ns = stream->first_ns;
	io->last_ns = stream->last_ns;
	io->interval_us = mean_us > UINT32_MAX ? UINT32_MAX : (uint32_t)mean_us;
	record_present(&record->head, ENIP_HAS_IO_TOTAL);
	tie(ctx, record, stream);
	if (!stream->tied)
		counter_add(&ctx->counters[ENIP_COUNT_IO_UNTIED], 1);
	ctx->to_server = stream->to_server;
	proto_deliver(ctx, PROTO_EMIT | PROTO_CYCLIC | PROTO_SUMMARY, record->id);
}

void
enip_io_end(struct proto_ctx *ctx)
{
	struct enip_state *state = ctx->state;
	struct enip_io_table *table = state->io;

	for (unsigned int i = 0; table != NULL && i < table->count; i++)
		write_total(ctx, &table->streams[i]);
	slab_free(ctx->slab, table, sizeof(*table));
	state->io = NULL;
}
