/*
 * allData: values of MMS types (ISO 9506-2, IEC 61850-8-1 annex A.3), flattened. A structure is a row of its own, its
 * members follow with the path that leads to them.
 */
#include "proto/goose/goose.h"

enum { FLOAT_EXPONENT_SINGLE = 8, FLOAT_EXPONENT_DOUBLE = 11, DAYS_TO_1984 = 5113, QUALITY_BITS = 13, POSITION_BITS = 2 };

static const uint64_t NS_PER_DAY = UINT64_C(86400000000000);
static const uint64_t NS_PER_MS = 1000000;

/** A value while it is read. */
struct reading {
	struct proto_ctx *ctx;
	struct goose_value *value;
	struct cursor content;
};

static bool
read_bool(struct reading *r)
{
	return ber_bool(r->content, &r->value->truth);
}

static bool
read_int(struct reading *r)
{
	return ber_i64(r->content, &r->value->i64);
}

static bool
read_uint(struct reading *r)
{
	return ber_u64(r->content, &r->value->u64);
}

/* The first byte says how wide the exponent is: 8 of a single, 11 of a double. */
static bool
read_float(struct reading *r)
{
	size_t len = cursor_left(&r->content);
	uint8_t exponent = cursor_u8(&r->content);
	uint64_t bits64;
	uint32_t bits32;
	float single;

	if (len == 5 && exponent == FLOAT_EXPONENT_SINGLE) {
		bits32 = cursor_be32(&r->content);
		memcpy(&single, &bits32, sizeof(single));
		r->value->f64 = (double)single;
		return true;
	}
	if (len != 9 || exponent != FLOAT_EXPONENT_DOUBLE)
		return false;
	bits64 = cursor_be64(&r->content);
	memcpy(&r->value->f64, &bits64, sizeof(bits64));
	return true;
}

/* Thirteen bits are a quality, two the position of a switch (IEC 61850-7-3). */
static void
name_bits(struct goose_value *value, uint16_t first)
{
	if (value->bit_count == POSITION_BITS) {
		value->position = (uint8_t)(first >> 14);
		record_present(&value->head, GOOSE_VALUE_POSITION);
	}
	if (value->bit_count != QUALITY_BITS)
		return;
	value->validity = (uint8_t)(first >> 14);
	record_present(&value->head, GOOSE_VALUE_GOOD);
	for (unsigned int bit = 2; (first & 0x3fff) != 0 && bit < QUALITY_BITS; bit++)
		value->quality |= (uint16_t)((first >> (15 - bit) & 1) << bit);
	if (value->quality != 0)
		record_present(&value->head, GOOSE_VALUE_QUALITY);
}

/* The eight bits of a byte as text, the highest first: in each byte of the word one of them is singled out. */
static void
put_eight(char *text, uint8_t byte)
{
	uint64_t bits = (byte * UINT64_C(0x0101010101010101)) & UINT64_C(0x0102040810204080);

	bits = (bits + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101);
	bits |= UINT64_C(0x3030303030303030);
	memcpy(text, &bits, sizeof(bits));
}

static bool
read_bits(struct reading *r)
{
	struct goose_value *value = r->value;
	uint8_t padding = cursor_u8(&r->content);
	uint32_t count = 8 * (uint32_t)cursor_left(&r->content);
	uint16_t first = 0;
	char *text;

	if (r->content.short_read || padding > 7 || padding > count)
		return false;
	value->bit_count = count - padding;
	count = value->bit_count < GOOSE_BITS_MAX ? value->bit_count : GOOSE_BITS_MAX;
	text = record_extend(r->ctx->record, (count + 7) & ~7u);
	if (text != NULL)
		value->bytes = (struct record_ref){ .off = (uint32_t)((uint8_t *)text - r->ctx->record->base), .count = count };
	for (uint32_t i = 0; text != NULL && i < count; i += 8) {
		uint8_t byte = cursor_u8(&r->content);

		if (i < 16)
			first |= (uint16_t)(byte << (8 - i));
		put_eight(text + i, byte);
	}
	name_bits(value, first);
	return true;
}

static bool
read_bytes(struct reading *r)
{
	uint32_t len = (uint32_t)cursor_left(&r->content);

	record_put_bytes(r->ctx->record, &r->value->bytes, r->content.pos, len);
	return true;
}

static bool
read_time(struct reading *r)
{
	uint8_t quality;
	bool good = publication_time(r->content, &r->value->u64, &quality);

	r->value->t_flags = quality >> 5;
	r->value->t_accuracy = quality & TIME_ACCURACY;
	if (good)
		record_present(&r->value->head, GOOSE_VALUE_UTC);
	return good;
}

/* Milliseconds since midnight and, in six bytes, days since 1984. */
static bool
read_binary_time(struct reading *r)
{
	size_t len = cursor_left(&r->content);
	uint64_t ms = cursor_be32(&r->content);
	uint64_t days = len == 6 ? cursor_be16(&r->content) + (uint64_t)DAYS_TO_1984 : 0;

	r->value->u64 = days * NS_PER_DAY + ms * NS_PER_MS;
	return len == 4 || len == 6;
}

enum { TAG_FIRST = 0x80 };

/* By identifier, from TAG_FIRST on. */
static const struct {
	bool known;
	uint8_t shape; /* enum goose_shape */
} types[] = {
	[0x83 - TAG_FIRST] = { true, GOOSE_SHAPE_BOOL }, [0x84 - TAG_FIRST] = { true, GOOSE_SHAPE_BITS },
	[0x85 - TAG_FIRST] = { true, GOOSE_SHAPE_INT }, [0x86 - TAG_FIRST] = { true, GOOSE_SHAPE_UINT },
	[0x87 - TAG_FIRST] = { true, GOOSE_SHAPE_FLOAT }, [0x89 - TAG_FIRST] = { true, GOOSE_SHAPE_OCTETS },
	[0x8a - TAG_FIRST] = { true, GOOSE_SHAPE_TEXT }, [0x8c - TAG_FIRST] = { true, GOOSE_SHAPE_TIME },
	[0x8d - TAG_FIRST] = { true, GOOSE_SHAPE_INT }, [0x8e - TAG_FIRST] = { true, GOOSE_SHAPE_BITS },
	[0x8f - TAG_FIRST] = { true, GOOSE_SHAPE_OCTETS }, [0x90 - TAG_FIRST] = { true, GOOSE_SHAPE_TEXT },
	[0x91 - TAG_FIRST] = { true, GOOSE_SHAPE_TIME },
};

/* @return false: it is not what its shape wants */
static inline bool
read_value(struct reading *r, uint8_t shape, uint32_t tag)
{
	switch (shape) {
	case GOOSE_SHAPE_BOOL:
		return read_bool(r);
	case GOOSE_SHAPE_BITS:
		return read_bits(r);
	case GOOSE_SHAPE_INT:
		return read_int(r);
	case GOOSE_SHAPE_UINT:
		return read_uint(r);
	case GOOSE_SHAPE_FLOAT:
		return read_float(r);
	case GOOSE_SHAPE_TIME:
		return tag == 0x91 ? read_time(r) : read_binary_time(r);
	default:
		return read_bytes(r);
	}
}

/** Where the walk is: at each depth what is left, and how many elements were read there. */
struct walk {
	struct cursor in[GOOSE_DEPTH_MAX];
	uint16_t place[GOOSE_DEPTH_MAX];
	unsigned int depth;
};

static void
put_path(struct proto_ctx *ctx, struct goose_value *value, const struct walk *walk)
{
	uint16_t *path;

	value->index = (uint16_t)(walk->place[0] - 1u);
	if (walk->depth == 0)
		return;
	path = record_reserve(ctx->record, &value->path, walk->depth, sizeof(*path));
	for (unsigned int i = 0; path != NULL && i < walk->depth; i++)
		path[i] = (uint16_t)(walk->place[i + 1] - 1u);
	record_present(&value->head, GOOSE_VALUE_PATH);
}

bool
goose_data_read(struct proto_ctx *ctx, struct goose_value *value, const struct ber *ber)
{
	struct reading r = { .ctx = ctx, .value = value, .content = ber->content };

	value->type = (uint8_t)ber->tag;
	if (read_value(&r, (uint8_t)value->head.shape, ber->tag))
		return true;
	proto_event(ctx, GOOSE_EVENT_INVALID_VALUE);
	return false;
}

void
goose_data_put_octets(struct proto_ctx *ctx, struct goose_value *value, const struct ber *ber)
{
	*value = (struct goose_value){ .head = { .next = value->head.next, .shape = GOOSE_SHAPE_OCTETS },
		.index = value->index, .type = value->type };
	record_put_bytes(ctx->record, &value->bytes, ber->content.pos, (uint32_t)cursor_left(&ber->content));
}

static void
put_value(struct proto_ctx *ctx, struct goose_record *record, const struct ber *ber, const struct walk *walk)
{
	struct goose_value *value;
	unsigned int i = ber->tag - TAG_FIRST;
	bool known = ber->tag >= TAG_FIRST && i < sizeof(types) / sizeof(types[0]) && types[i].known;
	uint8_t shape = known ? types[i].shape : (uint8_t)GOOSE_SHAPE_OCTETS;

	value = record_append_sized(ctx->record, &record->all_data, sizeof(*value), shape);
	if (!known)
		proto_event(ctx, GOOSE_EVENT_INVALID_VALUE);
	if (value == NULL)
		return;
	if (!goose_data_read(ctx, value, ber))
		goose_data_put_octets(ctx, value, ber);
	put_path(ctx, value, walk);
}

static void
put_group(struct proto_ctx *ctx, struct goose_record *record, const struct ber *ber, struct walk *walk)
{
	struct goose_value *value = record_append(ctx->record, &record->all_data, goose_value_tables, GOOSE_SHAPE_GROUP);

	if (value != NULL) {
		value->type = (uint8_t)ber->tag;
		value->u64 = goose_data_count(ber->content);
		put_path(ctx, value, walk);
	}
	if (walk->depth + 1 == GOOSE_DEPTH_MAX) {
		proto_event(ctx, GOOSE_EVENT_INVALID_VALUE);
		return;
	}
	walk->depth++;
	walk->in[walk->depth] = ber->content;
	walk->place[walk->depth] = 0;
}

uint32_t
goose_data_put(struct proto_ctx *ctx, struct goose_record *record, struct cursor all_data)
{
	struct walk walk = { .in = { all_data } };
	unsigned int values = 0;
	struct ber ber;

	while (values < GOOSE_VALUES_MAX) {
		if (!ber_next(&walk.in[walk.depth], &ber)) {
			if (walk.in[walk.depth].short_read)
				proto_event(ctx, GOOSE_EVENT_INVALID_APDU);
			if (walk.depth == 0)
				break;
			walk.depth--;
			continue;
		}
		values++;
		walk.place[walk.depth]++;
		if (ber.tag == 0xa1 || ber.tag == 0xa2)
			put_group(ctx, record, &ber, &walk);
		else
			put_value(ctx, record, &ber, &walk);
	}
	if (values < GOOSE_VALUES_MAX)
		return walk.place[0]; /* all of it was walked */
	ctx->record->truncated = true;
	return goose_data_count(all_data);
}

uint32_t
goose_data_count(struct cursor all_data)
{
	uint32_t count = 0;
	struct ber ber;

	while (ber_next(&all_data, &ber))
		count++;
	return count;
}

/* Whether len bytes differ, of which at least `left` may be read in both. */
static inline bool
bytes_differ(const uint8_t *a, const uint8_t *b, size_t len, size_t left)
{
	uint64_t x, y;

	if (len > sizeof(x) || left < sizeof(x) || len == 0)
		return memcmp(a, b, len) != 0;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x ^ y) << (64 - 8 * len) != 0;
}

static inline void
put_change(struct goose_changes *out, uint16_t place)
{
	if (out->count < GOOSE_CHANGED_MAX)
		out->places[out->count++] = place;
}

/*
 * As long as both have entries of the same short identifiers and lengths, as nearly always they have to the end. Both
 * are equally long. @return entries compared; the cursors stand behind them
 */
static uint16_t
compare_alike(struct goose_changes *out, struct cursor *now, struct cursor *before)
{
	struct cursor a = *now, b = *before;
	size_t len = cursor_left(now), at = 0;
	const uint8_t *new = cursor_take(&a, len), *old = cursor_take(&b, len);
	uint16_t count = 0;

	while (len - at >= 2) {
		size_t size = new[at + 1];

		if (new[at] != old[at] || new[at + 1] != old[at + 1] || (new[at] & BER_TAG_LONG) == BER_TAG_LONG || size >= 0x80 ||
			size > len - at - 2)
			break;
		if (bytes_differ(new + at + 2, old + at + 2, size, len - at - 2))
			put_change(out, count);
		at += 2 + size;
		count++;
	}
	cursor_skip(now, at);
	cursor_skip(before, at);
	return count;
}

/* @return false: one of the two has no entry any more; then *same_count says whether neither has */
static bool
next_pair(struct cursor *now, struct cursor *before, bool *differs, bool *same_count)
{
	struct ber a = { 0 }, b = { 0 };
	bool more = ber_next(now, &a);

	*same_count = ber_next(before, &b) == more;
	if (!more || !*same_count)
		return false;
	*differs = a.tag != b.tag || cursor_left(&a.content) != cursor_left(&b.content) ||
		(cursor_left(&a.content) > 0 && memcmp(a.content.pos, b.content.pos, cursor_left(&a.content)) != 0);
	return true;
}

void
goose_data_compare(struct goose_changes *out, const struct goose_stream *stream, struct cursor all_data)
{
	struct cursor kept = cursor_of(stream->data, stream->data_len);
	bool differs, same_count = false;
	uint16_t i = 0;

	if (goose_known_compare(out, stream, all_data))
		return;
	out->count = 0;
	if (stream->data_len > GOOSE_DATA_MAX)
		return;
	if (cursor_left(&all_data) == stream->data_len && stream->data_len > 0)
		i = compare_alike(out, &all_data, &kept);
	for (; next_pair(&all_data, &kept, &differs, &same_count); i++)
		if (differs)
			put_change(out, i);
	if (!same_count)
		out->count = 0; /* another number of entries: no place can be named */
}

void
goose_data_put_changes(struct proto_ctx *ctx, struct goose_record *record, const struct goose_changes *changes)
{
	uint16_t *out;

	if (changes->count == 0)
		return;
	out = record_reserve(ctx->record, &record->changed, changes->count, sizeof(*out));
	if (out == NULL)
		return;
	memcpy(out, changes->places, changes->count * sizeof(*out));
	record_present(&record->head, GOOSE_HAS_CHANGED);
}
