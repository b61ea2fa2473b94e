#include "lib/base/lzma.h"

#include <assert.h>

enum {
	STATES = 12,
	STATE_LITERALS = 7,  /* states below it follow a literal */
	POS_STATES = 16,
	PROB_BITS = 11,
	PROB_START = 1 << (PROB_BITS - 1),
	MOVE_BITS = 5,
	TOP = 1 << 24,
	LEN_STATES = 4,
	SLOT_BITS = 6,
	SLOT_MODELS = 14,    /* slots from here on have bits of a fixed probability */
	ALIGN_BITS = 4,
	MATCH_LEN_MIN = 2,
	LITERAL_SIZE = 0x300,
	PROPERTIES_MAX = 9 * 5 * 5,
};

struct lengths {
	uint16_t choice[2];
	uint16_t low[POS_STATES][8], mid[POS_STATES][8], high[256];
};

struct model {
	uint16_t is_match[STATES][POS_STATES], is_rep[STATES], is_rep_0[STATES], is_rep_1[STATES], is_rep_2[STATES];
	uint16_t is_rep_0_long[STATES][POS_STATES];
	uint16_t slots[LEN_STATES][1 << SLOT_BITS], special[128], align[1 << ALIGN_BITS];
	struct lengths match, rep;
	uint16_t literals[];
};

static_assert(sizeof(struct model) <= 2 * 1984, "LZMA_AREA_LEN is enough");

struct decoder {
	struct cursor in;
	struct model *model;
	uint8_t *out;
	uint32_t len, cap;
	uint32_t range, code;
	uint32_t reps[4];
	unsigned int state;
	unsigned int context_bits, literal_pos_mask, pos_mask;
	bool is_over, is_bad;
};

static void
normalize(struct decoder *d)
{
	if (d->range >= TOP)
		return;
	d->range <<= 8;
	d->code = d->code << 8 | cursor_u8(&d->in);
}

static unsigned int
take_bit(struct decoder *d, uint16_t *prob)
{
	uint32_t bound = (d->range >> PROB_BITS) * *prob;
	unsigned int bit = d->code >= bound;

	if (bit == 0) {
		d->range = bound;
		*prob = (uint16_t)(*prob + (((1 << PROB_BITS) - *prob) >> MOVE_BITS));
	} else {
		d->range -= bound;
		d->code -= bound;
		*prob = (uint16_t)(*prob - (*prob >> MOVE_BITS));
	}
	normalize(d);
	return bit;
}

static uint32_t
take_fixed(struct decoder *d, unsigned int count)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int bit;

		d->range >>= 1;
		bit = d->code >= d->range;
		if (bit != 0)
			d->code -= d->range;
		normalize(d);
		value = value << 1 | bit;
	}
	return value;
}

/* The highest bit comes first. */
static uint32_t
take_tree(struct decoder *d, uint16_t *probs, unsigned int bits)
{
	uint32_t at = 1;

	for (unsigned int i = 0; i < bits; i++)
		at = at << 1 | take_bit(d, &probs[at]);
	return at - (UINT32_C(1) << bits);
}

/* The lowest bit comes first. */
static uint32_t
take_reverse(struct decoder *d, uint16_t *probs, unsigned int bits)
{
	uint32_t at = 1, value = 0;

	for (unsigned int i = 0; i < bits; i++) {
		unsigned int bit = take_bit(d, &probs[at]);

		at = at << 1 | bit;
		value |= bit << i;
	}
	return value;
}

static void
take_literal(struct decoder *d)
{
	uint32_t before = d->len > 0 ? d->out[d->len - 1] : 0, at = 1;
	uint32_t context = (d->len & d->literal_pos_mask) << d->context_bits | before >> (8 - d->context_bits);
	uint16_t *probs = d->model->literals + (size_t)LITERAL_SIZE * context;
	unsigned int match = d->state >= STATE_LITERALS ? d->out[d->len - d->reps[0] - 1] : 0;
	bool matched = d->state >= STATE_LITERALS;

	while (at < 0x100) {
		unsigned int expected = match >> 7 & 1, bit;

		match <<= 1;
		bit = take_bit(d, matched ? &probs[((1 + expected) << 8) + at] : &probs[at]);
		at = at << 1 | bit;
		matched = matched && bit == expected;
	}
	d->out[d->len++] = (uint8_t)at;
	d->state = d->state < 4 ? 0 : d->state < 10 ? d->state - 3 : d->state - 6;
}

static uint32_t
take_len(struct decoder *d, struct lengths *lengths, uint32_t pos_state)
{
	if (take_bit(d, &lengths->choice[0]) == 0)
		return MATCH_LEN_MIN + take_tree(d, lengths->low[pos_state], 3);
	if (take_bit(d, &lengths->choice[1]) == 0)
		return MATCH_LEN_MIN + 8 + take_tree(d, lengths->mid[pos_state], 3);
	return MATCH_LEN_MIN + 16 + take_tree(d, lengths->high, 8);
}

static uint32_t
take_distance(struct decoder *d, uint32_t len)
{
	uint32_t len_state = len - MATCH_LEN_MIN < LEN_STATES ? len - MATCH_LEN_MIN : LEN_STATES - 1;
	uint32_t slot = take_tree(d, d->model->slots[len_state], SLOT_BITS), distance;
	unsigned int bits = (slot >> 1) - 1;

	if (slot < 4)
		return slot;
	distance = (2 | (slot & 1)) << bits;
	if (slot < SLOT_MODELS)
		return distance + take_reverse(d, d->model->special + distance - slot, bits);
	distance += take_fixed(d, bits - ALIGN_BITS) << ALIGN_BITS;
	return distance + take_reverse(d, d->model->align, ALIGN_BITS);
}

/* One of the last four distances. @return its length */
static uint32_t
take_repeated(struct decoder *d, uint32_t pos_state)
{
	struct model *model = d->model;
	unsigned int which = 0;
	uint32_t distance;

	if (take_bit(d, &model->is_rep_0[d->state]) == 0) {
		if (take_bit(d, &model->is_rep_0_long[d->state][pos_state]) == 0) {
			d->state = d->state < STATE_LITERALS ? 9 : 11;
			return 1;
		}
	} else if (take_bit(d, &model->is_rep_1[d->state]) == 0) {
		which = 1;
	} else {
		which = 2 + take_bit(d, &model->is_rep_2[d->state]);
	}
	distance = d->reps[which];
	for (; which > 0; which--)
		d->reps[which] = d->reps[which - 1];
	d->reps[0] = distance;
	d->state = d->state < STATE_LITERALS ? 8 : 11;
	return take_len(d, &model->rep, pos_state);
}

static uint32_t
take_match(struct decoder *d, uint32_t pos_state)
{
	uint32_t len = take_len(d, &d->model->match, pos_state);

	d->reps[3] = d->reps[2];
	d->reps[2] = d->reps[1];
	d->reps[1] = d->reps[0];
	d->reps[0] = take_distance(d, len);
	d->state = d->state < STATE_LITERALS ? 7 : 10;
	return len;
}

static void
step(struct decoder *d)
{
	uint32_t pos_state = d->len & d->pos_mask, len;

	if (take_bit(d, &d->model->is_match[d->state][pos_state]) == 0) {
		take_literal(d);
		return;
	}
	if (take_bit(d, &d->model->is_rep[d->state]) == 0)
		len = take_match(d, pos_state);
	else
		len = take_repeated(d, pos_state);
	d->is_over = d->reps[0] == UINT32_MAX; /* the end marker */
	d->is_bad = !d->is_over && d->reps[0] >= d->len;
	if (d->is_over || d->is_bad)
		return;
	for (; len > 0 && d->len < d->cap; len--, d->len++)
		d->out[d->len] = d->out[d->len - d->reps[0] - 1];
}

/* @return false: no LZMA, or one whose model does not fit into the area */
static bool
begin(struct decoder *d, size_t area_len)
{
	unsigned int properties = cursor_u8(&d->in), literal_pos_bits;
	uint16_t *probs = (uint16_t *)d->model;
	size_t count;
	uint64_t len;

	d->context_bits = properties % 9;
	literal_pos_bits = properties / 9 % 5;
	d->literal_pos_mask = (1u << literal_pos_bits) - 1;
	d->pos_mask = (1u << properties / 45) - 1;
	cursor_skip(&d->in, 4); /* of the dictionary */
	len = cursor_le64(&d->in);
	d->range = UINT32_MAX;
	if (cursor_u8(&d->in) != 0 || properties >= PROPERTIES_MAX)
		return false;
	d->code = cursor_be32(&d->in);
	count = sizeof(*d->model) / sizeof(*probs) + ((size_t)LITERAL_SIZE << (d->context_bits + literal_pos_bits));
	if (d->in.short_read || count * sizeof(*probs) > area_len)
		return false;
	for (size_t i = 0; i < count; i++)
		probs[i] = PROB_START;
	if (len < d->cap)
		d->cap = (uint32_t)len;
	return true;
}

struct inflated
lzma_once(void *area, size_t area_len, struct cursor in, uint8_t *out, uint32_t out_cap)
{
	struct decoder d = { .in = in, .model = area, .out = out, .cap = out_cap };
	struct inflated done = { .failed = !begin(&d, area_len) };
	uint32_t len;

	for (len = 0; !done.failed && d.len < d.cap && !d.is_over;) {
		step(&d);
		if (d.in.short_read)
			break;
		done.failed = d.is_bad;
		len = d.len;
	}
	done.len = len; /* what was read beyond the end of the input is nothing */
	done.read_len = (uint32_t)(cursor_left(&in) - cursor_left(&d.in));
	return done;
}
