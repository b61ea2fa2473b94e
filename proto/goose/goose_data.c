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
	text = record_reserve(r->ctx->record, &value->bytes, (count + 7) & ~7u, 1);
	value->bytes.count = text != NULL ? count : 0;
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
	uint8_t shape; /* enum goose_shape */
	bool (*read)(struct reading *r);
} types[] = {
	[0x83 - TAG_FIRST] = { GOOSE_SHAPE_BOOL, read_bool },   [0x84 - TAG_FIRST] = { GOOSE_SHAPE_BITS, read_bits },
	[0x85 - TAG_FIRST] = { GOOSE_SHAPE_INT, read_int },     [0x86 - TAG_FIRST] = { GOOSE_SHAPE_UINT, read_uint },
	[0x87 - TAG_FIRST] = { GOOSE_SHAPE_FLOAT, read_float }, [0x89 - TAG_FIRST] = { GOOSE_SHAPE_OCTETS, read_bytes },
	[0x8a - TAG_FIRST] = { GOOSE_SHAPE_TEXT, read_bytes },  [0x8c - TAG_FIRST] = { GOOSE_SHAPE_TIME, read_binary_time },
	[0x8d - TAG_FIRST] = { GOOSE_SHAPE_INT, read_int },     [0x8e - TAG_FIRST] = { GOOSE_SHAPE_BITS, read_bits },
	[0x8f - TAG_FIRST] = { GOOSE_SHAPE_OCTETS, read_bytes }, [0x90 - TAG_FIRST] = { GOOSE_SHAPE_TEXT, read_bytes },
	[0x91 - TAG_FIRST] = { GOOSE_SHAPE_TIME, read_time },
};

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

static void
put_value(struct proto_ctx *ctx, struct goose_record *record, const struct ber *ber, const struct walk *walk)
{
	struct reading r = { .ctx = ctx, .content = ber->content };
	unsigned int i = ber->tag - TAG_FIRST;

	if (ber->tag < TAG_FIRST || i >= sizeof(types) / sizeof(types[0]) || types[i].read == NULL) {
		r.value = record_append(ctx->record, &record->all_data, goose_value_tables, GOOSE_SHAPE_OCTETS);
		if (r.value != NULL)
			(void)read_bytes(&r);
		proto_event(ctx, GOOSE_EVENT_INVALID_VALUE);
	} else {
		r.value = record_append(ctx->record, &record->all_data, goose_value_tables, types[i].shape);
		if (r.value != NULL && !types[i].read(&r))
			proto_event(ctx, GOOSE_EVENT_INVALID_VALUE);
	}
	if (r.value == NULL)
		return;
	r.value->type = (uint8_t)ber->tag;
	put_path(ctx, r.value, walk);
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
	/* all of it was walked, unless there was too much */
	return values < GOOSE_VALUES_MAX ? walk.place[0] : goose_data_count(all_data);
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

/* Both entries in one step where their identifiers and lengths are the same short ones, as they nearly always are.
 * @return false: they are to be read one by one */
static bool
next_alike(struct cursor *now, struct cursor *before, bool *differs)
{
	struct cursor a = *now, b = *before;
	uint16_t first = cursor_be16(&a);
	size_t len = first & 0xff;

	if (first != cursor_be16(&b) || a.short_read || b.short_read ||
		(first >> 8 & BER_TAG_LONG) == BER_TAG_LONG || len >= 0x80 || len > cursor_left(&a) || len > cursor_left(&b))
		return false;
	*differs = false;
	for (size_t i = 0; i < len && !*differs; i++)
		*differs = a.pos[i] != b.pos[i];
	cursor_skip(now, 2 + len);
	cursor_skip(before, 2 + len);
	return true;
}

/* @return false: one of the two has no entry any more; then *same_count says whether neither has */
static bool
next_pair(struct cursor *now, struct cursor *before, bool *differs, bool *same_count)
{
	struct ber a = { 0 }, b = { 0 };
	bool more;

	if (next_alike(now, before, differs))
		return true;
	more = ber_next(now, &a);
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

	out->count = 0;
	if (stream->data_len > GOOSE_DATA_MAX)
		return;
	for (uint16_t i = 0; next_pair(&all_data, &kept, &differs, &same_count); i++)
		if (differs && out->count < GOOSE_CHANGED_MAX)
			out->places[out->count++] = i;
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
