/*
 * A publisher's states differ in few of their entries, and rarely in how the entries are laid out. So the values of the
 * last state stay as the record had them: of the next one, only what differs is read.
 */
#include "proto/goose/goose.h"

enum { HEADER_LEN = 2 /* of an entry: identifier and length in their short forms, no others are kept */ };

struct known_entry {
	uint16_t data_at; /* of its identifier, in the data */
	uint16_t row_at;  /* of its row, in rows */
};

struct goose_known {
	struct record_list list; /* as in the record */
	uint32_t block_len;
	uint32_t rows_len;
	uint16_t count;          /* entries: as many rows */
	struct known_entry entries[]; /* [count], the rows behind them */
};

/* What reading the data may name. A state that has one of these is not kept: it would be named no more. */
static const uint64_t DATA_EVENTS = 1u << GOOSE_EVENT_INVALID_APDU | 1u << GOOSE_EVENT_INVALID_VALUE;

static size_t
rows_off(unsigned int count)
{
	return (sizeof(struct goose_known) + count * sizeof(struct known_entry) + 7) & ~(size_t)7;
}

static uint8_t *
rows_of(struct goose_known *known)
{
	return (uint8_t *)known + rows_off(known->count);
}

/* ---- what differs ---- */

/* The entries in which the bytes at `at` differ, a byte of diff for each. @return false: in how one is laid out */
static bool
note(struct goose_changes *out, const struct goose_known *known, uint32_t at, uint64_t diff)
{
	uint16_t i = out->count > 0 ? out->places[out->count - 1] : 0;

	while (diff != 0) {
		unsigned int byte = (unsigned int)__builtin_ctzll(diff) / 8;
		uint32_t place = at + byte;

		while (i + 1u < known->count && known->entries[i + 1].data_at <= place)
			i++;
		if (place < known->entries[i].data_at + (uint32_t)HEADER_LEN)
			return false;
		if (out->count == 0 || out->places[out->count - 1] != i)
			out->places[out->count++] = i;
		diff &= byte == 7 ? 0 : UINT64_MAX << (8 * (byte + 1));
	}
	return true;
}

static uint64_t
word_at(const uint8_t *data, size_t len)
{
	uint64_t word = 0;

	memcpy(&word, data, len);
	return word;
}

bool
goose_known_compare(struct goose_changes *out, const struct goose_stream *stream, struct cursor all_data)
{
	size_t len = cursor_left(&all_data), at = 0;
	const uint8_t *data;

	out->known = NULL;
	out->count = 0;
	if (!stream->known_is_current || len == 0 || len != stream->data_len) /* a message without data has no bytes to point at */
		return false;
	data = cursor_take(&all_data, len);
	for (; at + 8 <= len; at += 8) {
		uint64_t diff = word_at(data + at, 8) ^ word_at(stream->data + at, 8);

		if (diff != 0 && !note(out, stream->known, (uint32_t)at, diff))
			return false;
	}
	if (at < len && !note(out, stream->known, (uint32_t)at, word_at(data + at, len - at) ^ word_at(stream->data + at, len - at)))
		return false;
	out->known = stream->known;
	return true;
}

/* ---- records ---- */

/* Reads an entry into its row, whose room is that of the value before, and keeps it so. */
static void
reread(struct proto_ctx *ctx, struct goose_known *known, struct cursor all_data, uint16_t place)
{
	struct known_entry entry = known->entries[place];
	uint32_t at = known->list.first + entry.row_at, len = ctx->record->len;
	struct goose_value *value = (void *)(ctx->record->base + at);
	uint32_t next = value->head.next;
	uint16_t shape = value->head.shape;
	struct ber ber;

	cursor_skip(&all_data, entry.data_at);
	if (!ber_next(&all_data, &ber))
		return;
	*value = (struct goose_value){ .head = { .next = next, .shape = shape }, .index = place };
	ctx->record->len = at + (uint32_t)sizeof(*value);
	if (goose_data_read(ctx, value, &ber)) {
		memcpy(rows_of(known) + entry.row_at, value, ctx->record->len - at);
		ctx->record->len = len;
		return;
	}
	/* Octets may need more room than there is. The state is not kept, as it has an event. */
	ctx->record->len = len;
	goose_data_put_octets(ctx, value, &ber);
}

bool
goose_known_put(struct proto_ctx *ctx, struct goose_record *record, struct cursor all_data, struct goose_changes *changes,
	uint32_t *count)
{
	struct record_builder *b = ctx->record;
	struct goose_known *known = changes->known;
	void *rows;

	if (known == NULL)
		return false;
	if (((b->len + 7) & ~UINT32_C(7)) != known->list.first || known->rows_len > b->cap - known->list.first) {
		changes->known = NULL;
		return false;
	}
	rows = record_extend(b, known->rows_len);
	memcpy(rows, rows_of(known), known->rows_len);
	record->all_data = known->list;
	for (uint16_t i = 0; i < changes->count; i++)
		reread(ctx, known, all_data, changes->places[i]);
	*count = known->count;
	return true;
}

/* ---- keeping ---- */

/* Where each entry and its row are. @return false: there are structures, long forms, or another number of rows */
static bool
place_entries(struct goose_known *known, const struct record_builder *b, struct cursor all_data)
{
	const uint8_t *start = all_data.pos;
	uint32_t at = known->list.first;
	uint16_t i = 0;
	struct ber ber;

	for (const uint8_t *from = start; i < known->count && ber_next(&all_data, &ber); from = all_data.pos, i++) {
		const struct goose_value *value = (const void *)(b->base + at);

		if (value->head.shape == GOOSE_SHAPE_GROUP || ber.content.pos - from != HEADER_LEN)
			return false;
		known->entries[i] = (struct known_entry){ (uint16_t)(from - start), (uint16_t)(at - known->list.first) };
		at = value->head.next;
	}
	return i == known->count && cursor_left(&all_data) == 0;
}

/* Whether the data are those that the stream has, and all of them could be read. */
static bool
may_keep(const struct proto_ctx *ctx, const struct goose_stream *stream, const struct cursor *all_data)
{
	size_t len = cursor_left(all_data);

	return len > 0 && len == stream->data_len && len <= GOOSE_DATA_MAX && memcmp(stream->data, all_data->pos, len) == 0 &&
		(ctx->events & DATA_EVENTS) == 0 && !ctx->record->truncated;
}

void
goose_known_drop(struct proto_ctx *ctx, struct goose_stream *stream)
{
	if (stream->known != NULL)
		slab_free(ctx->slab, stream->known, stream->known->block_len);
	stream->known = NULL;
	stream->known_is_current = false;
}

/* A block of the length, the stream's own where it fits. */
static struct goose_known *
reserve(struct proto_ctx *ctx, struct goose_stream *stream, size_t len)
{
	if (stream->known != NULL && stream->known->block_len == len)
		return stream->known;
	goose_known_drop(ctx, stream);
	stream->known = slab_alloc(ctx->slab, len);
	if (stream->known != NULL)
		stream->known->block_len = (uint32_t)len;
	return stream->known;
}

void
goose_known_keep(struct proto_ctx *ctx, struct goose_stream *stream, const struct goose_changes *changes, struct cursor all_data)
{
	const struct goose_record *record = (const void *)ctx->record->base;
	uint32_t rows_len = ctx->record->len - record->all_data.first;
	struct goose_known *known;

	stream->known_is_current = false;
	if (!may_keep(ctx, stream, &all_data) || record->all_data.count - 1 >= GOOSE_KNOWN_MAX || rows_len > GOOSE_KNOWN_LEN_MAX)
		return;
	if (changes->known != NULL) {
		stream->known_is_current = true; /* what changed was read into it */
		return;
	}
	known = reserve(ctx, stream, rows_off(record->all_data.count) + rows_len);
	if (known == NULL)
		return;
	known->list = record->all_data;
	known->rows_len = rows_len;
	known->count = (uint16_t)record->all_data.count;
	memcpy(rows_of(known), ctx->record->base + known->list.first, rows_len);
	stream->known_is_current = place_entries(known, ctx->record, all_data);
}
