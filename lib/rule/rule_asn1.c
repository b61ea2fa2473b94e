/* Hot: elements of BER (X.690) whose lengths no decoder should believe, for the keyword asn1. */
#include "lib/base/cursor.h"
#include "lib/rule/rule_asn1.h"

enum {
	ELEMENTS_MAX = 256,
	DEPTH_MAX = 32,
	TAG_LEN_MAX = 5,          /* octets of a long tag */
	REAL_LEN_MAX = 256,       /* of a number written in digits: what fills an old decoder's buffer */
	CONSTRUCTED = 0x20,       /* X.690 8.1.2.5 */
	CLASS_MASK = 0xc0,        /* 0: universal */
	TAG_MASK = 0x1f,       /* all ones: a long tag follows */
	BIT_STRING = 3, REAL = 9, /* X.680 8.6 */
};

struct element {
	uint8_t identifier;
	bool indefinite;
	uint64_t len;
	struct cursor content; /* what is there of it, and all behind it */
};

/* X.690 8.1.2, 8.1.3. @return false: there is none */
static bool
element_read(struct cursor *in, struct element *out)
{
	uint8_t octet;

	out->identifier = cursor_u8(in);
	if ((out->identifier & TAG_MASK) == TAG_MASK)
		for (unsigned int i = 0; i < TAG_LEN_MAX && (cursor_u8(in) & 0x80) != 0; i++)
			;
	octet = cursor_u8(in);
	out->indefinite = octet == 0x80;
	out->len = octet;
	if (octet > 0x80) {
		out->len = 0;
		for (unsigned int i = octet & 0x7fu; i > 0 && !in->short_read; i--)
			out->len = out->len > UINT64_MAX >> 8 ? UINT64_MAX : out->len << 8 | cursor_u8(in);
	} else if (out->indefinite) {
		out->len = 0;
	}
	out->content = *in;
	return !in->short_read;
}

/* Whether a decoder may write or read beyond its memory at this element. */
static bool
element_is_bad(const struct rule_asn1 *wanted, const struct element *element)
{
	struct cursor content = element->content;
	bool universal = (element->identifier & (CLASS_MASK | CONSTRUCTED)) == 0;
	uint8_t number = element->identifier & TAG_MASK, first;

	if ((wanted->checks & RULE_ASN1_OVERSIZE) != 0 && element->len > wanted->oversize)
		return true;
	if (!universal || element->len == 0)
		return false;
	first = cursor_u8(&content);
	if (content.short_read)
		return false;
	/* X.690 8.6.2.2: the first octet tells how many bits of the last one are unused. */
	if ((wanted->checks & RULE_ASN1_BITSTRING) != 0 && number == BIT_STRING && element->len - 1 < (first + 7u) / 8)
		return true;
	/* X.690 8.5.6: bits 8 and 7 are clear where digits follow. */
	return (wanted->checks & RULE_ASN1_DOUBLE) != 0 && number == REAL && (first & CLASS_MASK) == 0 && element->len > REAL_LEN_MAX;
}

bool
rule_asn1_match(const struct rule_asn1 *wanted, const uint8_t *data, uint32_t len, uint32_t *end)
{
	struct cursor levels[DEPTH_MAX]; /* what is left of each element that is open */
	unsigned int depth = 0;

	levels[0] = cursor_of(data, len);
	for (unsigned int i = 0; i < ELEMENTS_MAX; i++) {
		struct element element;

		while (depth > 0 && cursor_left(&levels[depth]) == 0)
			depth--;
		if (cursor_left(&levels[depth]) == 0)
			return false;
		if (!element_read(&levels[depth], &element))
			continue; /* its level is at its end */
		if (element_is_bad(wanted, &element)) {
			*end = (uint32_t)(element.content.pos - data) + (cursor_left(&element.content) > 0 && element.len > 0);
			return true;
		}
		size_t left = cursor_left(&levels[depth]);
		size_t inside = element.indefinite || element.len > left ? left : (size_t)element.len;

		cursor_skip(&levels[depth], inside);
		if ((element.identifier & CONSTRUCTED) == 0)
			continue;
		if (depth + 1 == DEPTH_MAX)
			return false;
		levels[++depth] = cursor_of(element.content.pos, inside);
	}
	return false;
}
