/*
 * Sieves: how rules of one protocol and direction are found for a record. A sieve has up to RULE_SIEVE_BITS rules, a bit
 * each. The bits of those whose fields are there are set; each lens looks at one thing in the record (a number, a text's
 * beginning and length, what a search finds in it) and takes away the rules that cannot hold with what it saw. What is
 * left is asked rule by rule. A lens may keep too many, never too few. Not for other folders.
 */
#ifndef MR_RULE_SIEVE_H
#define MR_RULE_SIEVE_H

#include "lib/rule/rule_records.h"

enum {
	RULE_SIEVE_WORDS = 4,
	RULE_SIEVE_BITS = 64 * RULE_SIEVE_WORDS,
	RULE_LENS_VALUES = 256, /* a number's lowest byte or its magnitude, a text's first byte, of tags a hash */
	RULE_MAGNITUDE_NEGATIVE = 255,
	RULE_LENS_LENS = 64,    /* lengths told apart; the last is all that are as long or longer */
};

enum rule_lens_kind {
	LENS_NUMBER,            /* of the root */
	LENS_NUMBERS,           /* behind lists */
	LENS_ARRAY,             /* numbers of the root that lie one behind the other */
	LENS_TAGS,              /* what rule_app.record_tags gives */
	LENS_TEXT,              /* a buffer's first byte and length */
	LENS_LITERALS,          /* a buffer's content, by a few literals one after the other */
	LENS_SEARCH,            /* a buffer's content, by Hyperscan */
};

enum { RULE_LENS_LITERALS_MAX = 4 };

struct rule_lens_literal {
	const uint8_t *bytes;   /* in lower case where nocase */
	uint8_t len;
	bool nocase;
	uint16_t bit;           /* the rule that stays where it is found */
};

/** What a look at anything but a number of the root needs. */
struct rule_lens_deep {
	uint16_t path_count;    /* LENS_NUMBERS: one for each shape a list's children have the field in */
	uint16_t literal_count;
	const struct record_path *paths;
	const struct rule_number_at *ats;   /* LENS_NUMBERS: [path_count] */
	const struct rule_number_at **by_shape; /* LENS_NUMBERS behind one list or two: by the shape of the last one's children,
	                                           NULL: it has no such field */
	const struct rule_buffer *buffer;   /* LENS_TEXT, LENS_LITERALS, LENS_SEARCH */
	const struct rule_database *database; /* LENS_SEARCH: its rules[] are bits */
	uint64_t *by_len;       /* LENS_TEXT: [RULE_LENS_LENS] and with a length */
	struct rule_lens_literal literals[RULE_LENS_LITERALS_MAX];
};

/** Sets of rules are [words] long. One line of the cache: a protocol that is seldom met finds nothing of this there. */
struct rule_lens {
	uint64_t asked[RULE_SIEVE_WORDS]; /* the rules it can take away */
	uint64_t *by_value;     /* [RULE_LENS_VALUES] those that stay with a value; then those that stay where it sees nothing, all that are
	                           not asked among them */
	struct rule_number_at at; /* LENS_NUMBER, LENS_ARRAY */
	uint8_t kind;           /* enum rule_lens_kind */
	bool magnitude;         /* numbers are told apart by rule_magnitude(), not by their lowest byte: for "more than" */
	const struct field *plain; /* a buffer's field, where it is a text of the root and not transformed */
	struct rule_lens_deep *deep;
};

/** Rules that need the same fields. */
struct rule_sieve_shelf {
	struct rule_need need;
	uint64_t rules[RULE_SIEVE_WORDS];
};

struct rule_sieve {
	uint32_t words;
	uint32_t rule_count;
	uint32_t shelf_count;
	uint32_t lens_count;
	bool may_mute;                      /* the first of its protocol and direction: its bits are those of mutes */
	uint32_t number_count;              /* the first lenses, of LENS_NUMBER */
	const struct rule_sieve_shelf *shelves;
	struct rule_lens *lenses;           /* cheap ones first */
	const struct rule_entry *entries;   /* [rule_count] by bit */
	unsigned int (*record_tags)(const void *record, uint32_t tags[RULE_TAGS_MAX]); /* LENS_TAGS */
};

/** A number's place on a scale of 256 steps, four to each power of two, below 8 exact. Not falling, negative ones apart. */
static inline uint8_t
rule_magnitude(int64_t value)
{
	if (value < 0)
		return RULE_MAGNITUDE_NEGATIVE;
	if (value < 8)
		return (uint8_t)value;
	unsigned int power = 63 - (unsigned int)__builtin_clzll((uint64_t)value);

	return (uint8_t)(8 + (power - 3) * 4 + ((uint64_t)value >> (power - 2) & 3));
}

static inline uint8_t
rule_tag_hash(uint32_t tag)
{
	return (uint8_t)(tag * UINT32_C(0x9e3779b1) >> 24);
}

/** Asks the rules of a sieve that the view's record leaves. Hot. rule_sieve.c */
void rule_sieve_candidates(struct rule_view *view, const struct rule_sieve *sieve);
/** Rules whose pattern Hyperscan would not take are kept by their lens: call when all databases are built. */
void rule_sieve_settle(struct rule_sieve *sieve);

#endif
