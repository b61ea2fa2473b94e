/*
 * Basic Encoding Rules (ITU-T X.690) over a cursor: one element at a time, no recursion. Who
 * reads nested elements keeps a bounded stack of content cursors.
 *
 * Only the definite form of lengths is read (8.1.3.4, 8.1.3.5): protocols of stations use no
 * other, and one that hides its end cannot be bounded. What is malformed makes the cursor
 * short, so that a sequence of reads is tested once.
 */
#ifndef MR_BASE_BER_H
#define MR_BASE_BER_H

#include "lib/base/cursor.h"

enum {
	BER_CONSTRUCTED = 0x20,
	BER_TAG_LONG = 0x1f,      /* the tag number follows in the next bytes: X.690 8.1.2.4 */
	BER_TAG_BYTES_MAX = 3,    /* of a tag number in the long form: 21 bits */
	BER_LENGTH_BYTES_MAX = 4,
};

/** One element: its identifier and what is in it. */
struct ber {
	uint32_t tag; /* the identifier as it stands on the wire, 0x61 or 0xbf2d: class, form and number in one */
	struct cursor content;
};

/** A tag number of the long form, behind its first byte. 0 (and short) when it is too long. */
static inline uint32_t
ber_tag_long(struct cursor *in, uint32_t first)
{
	uint32_t tag = first;

	for (unsigned int i = 0; i < BER_TAG_BYTES_MAX; i++) {
		uint8_t byte = cursor_u8(in);

		tag = tag << 8 | byte;
		if (byte < 0x80)
			return tag;
	}
	in->short_read = true;
	return 0;
}

static inline size_t
ber_length(struct cursor *in)
{
	uint8_t first = cursor_u8(in);
	uint32_t len = 0;

	if (first < 0x80)
		return first;
	if (first == 0x80 || first > 0x80 + BER_LENGTH_BYTES_MAX) {
		in->short_read = true;
		return 0;
	}
	for (uint8_t i = 0x80; i < first; i++)
		len = len << 8 | cursor_u8(in);
	return len;
}

/** The next element in any form. What the caller holds in registers stays there: this works on copies. */
static __attribute__((noinline, unused)) struct ber
ber_take(struct cursor *in)
{
	struct ber ber;
	size_t len;

	ber.tag = cursor_u8(in);
	if ((ber.tag & BER_TAG_LONG) == BER_TAG_LONG)
		ber.tag = ber_tag_long(in, ber.tag);
	len = ber_length(in);
	ber.content = cursor_sub(in, len);
	return ber;
}

/**
 * The next element, which is consumed.
 * @return false: none is left, or it does not fit (then in is short)
 */
__attribute__((always_inline)) static inline bool
ber_next(struct cursor *in, struct ber *out)
{
	struct cursor head = *in;
	uint16_t first = cursor_be16(&head);
	size_t len = first & 0xff;

	/* the short forms of tag and length, which is nearly all there is */
	if ((first >> 8 & BER_TAG_LONG) != BER_TAG_LONG && len < 0x80 && len <= cursor_left(&head) && !head.short_read) {
		out->tag = first >> 8;
		out->content = (struct cursor){ .pos = head.pos, .left = (uint32_t)len };
		in->pos = head.pos + len;
		in->left = head.left - (uint32_t)len;
		return true;
	}
	if (cursor_left(in) == 0)
		return false;
	head = *in;
	*out = ber_take(&head);
	*in = head;
	return !in->short_read;
}

/** Whether the element holds others. The form bit stands in the first byte of the identifier. */
static inline bool
ber_is_constructed(const struct ber *ber)
{
	uint32_t first = ber->tag;

	while (first > 0xff)
		first >>= 8;
	return (first & BER_CONSTRUCTED) != 0;
}

/* A big-endian number of 1 to 8 bytes, from two reads that may overlap: no loop over its bytes. */
static inline uint64_t
ber_bytes(const uint8_t *at, size_t len)
{
	uint32_t high, low;
	uint16_t high16, low16;

	if (len >= sizeof(high)) {
		memcpy(&high, at, sizeof(high));
		memcpy(&low, at + len - sizeof(low), sizeof(low));
		return (uint64_t)__builtin_bswap32(high) << (8 * (len - sizeof(high))) | __builtin_bswap32(low);
	}
	if (len < sizeof(high16))
		return *at;
	memcpy(&high16, at, sizeof(high16));
	memcpy(&low16, at + len - sizeof(low16), sizeof(low16));
	return (uint64_t)__builtin_bswap16(high16) << (8 * (len - sizeof(high16))) | __builtin_bswap16(low16);
}

/** A signed integer of 1 to 8 bytes, X.690 8.3. false: empty or longer. */
static inline bool
ber_i64(struct cursor content, int64_t *out)
{
	size_t len = cursor_left(&content);
	const uint8_t *at = cursor_take(&content, len);
	unsigned int unused;

	if (at == NULL || len == 0 || len > 8)
		return false;
	unused = 64 - 8 * (unsigned int)len;
	*out = (int64_t)(ber_bytes(at, len) << unused) >> unused;
	return true;
}

/**
 * An integer that is never negative: leading zeros beyond 8 bytes are accepted, and so is a value whose sign bit was
 * meant as magnitude (encoders with fixed lengths write 4 bytes for 32 bits). false: empty or too great.
 */
static inline bool
ber_u64(struct cursor content, uint64_t *out)
{
	size_t len = cursor_left(&content);
	const uint8_t *at = cursor_take(&content, len);

	if (at == NULL || len == 0)
		return false;
	for (; len > 8; len--)
		if (*at++ != 0)
			return false;
	*out = ber_bytes(at, len);
	return true;
}

/** The same, of at most 32 bits. */
static inline bool
ber_u32(struct cursor content, uint32_t *out)
{
	uint64_t value = 0;
	bool good = ber_u64(content, &value) && value <= UINT32_MAX;

	*out = good ? (uint32_t)value : 0;
	return good;
}

/** X.690 8.2: one byte, anything but 0 is true. false: another length. */
static inline bool
ber_bool(struct cursor content, bool *out)
{
	if (cursor_left(&content) != 1)
		return false;
	*out = cursor_u8(&content) != 0;
	return true;
}

#endif
