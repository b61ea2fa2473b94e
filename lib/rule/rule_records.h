/*
 * How the rules of one protocol and direction are found for a record. A rule stands in one place: in a sieve; where a
 * buffer has many literals, behind the one of its own; where there are more rules than a sieve holds, behind a value
 * that it asks a number to have. Before it becomes a candidate its own conditions on the record are asked, cheapest
 * first. Not for other folders.
 */
#ifndef MR_RULE_RECORDS_H
#define MR_RULE_RECORDS_H

#include <string.h>

#include "lib/rule/rule_internal.h"

/** Where a number of the root lies: the eight bytes at off, shifted left and then right. */
struct rule_number_at {
	uint16_t off;
	uint8_t bit;          /* presence, or FIELD_ALWAYS */
	uint8_t left, right;
	bool is_signed;
};

enum rule_quick_op { QUICK_RANGE, QUICK_BITS, QUICK_ASK };

/** A condition on a record. */
struct rule_quick {
	struct rule_number_at at;
	uint8_t op;           /* enum rule_quick_op */
	bool negated;         /* !5: present, and not 5 */
	int64_t low, high;    /* QUICK_RANGE: inclusive; QUICK_BITS: the bits looked at, and what they must be */
	const struct rule_test *test; /* QUICK_ASK */
};

/** What must be there at the root. */
struct rule_need {
	uint64_t all, any;    /* presence bits: all of these, one of those (any 0: no matter) */
	uint32_t list_off;    /* a list that must have a child; 0: none */
};

struct rule_entry {
	struct rule_need need;
	uint32_t rule_idx;
	uint16_t quick_count;
	uint16_t mute_bit;    /* RULE_NOT_MUTED too where its sieve has looked */
	const struct rule_quick *quicks;
};

struct rule_value_link {
	uint64_t value;
	uint32_t entry;
	uint32_t next;        /* into links; 0 ends */
};

struct rule_value_index {
	const struct record_path *path; /* through lists; NULL: of the root */
	struct rule_number_at at;
	struct rule_need need;          /* of the whole index */
	uint32_t first[256];            /* by the value's lowest byte, into links; 0: none */
};

/** One buffer's literals. */
struct rule_scan {
	struct rule_need need;
	const struct rule_buffer *buffer;
	const struct rule_database *database; /* its rules[] are entries */
};

struct rule_sieve;

struct rule_records {
	uint32_t entry_count;
	const struct rule_entry *entries;
	uint32_t sieve_count;
	struct rule_sieve *sieves;
	uint32_t index_count;
	const struct rule_value_index *indexes;
	const struct rule_value_link *links;  /* [0] is unused */
	uint32_t scan_count;
	const struct rule_scan *scans;
	uint16_t mute_count;  /* the next rule's that may be muted */
};

static inline bool
rule_need_met(const struct rule_need *need, const uint8_t *record)
{
	const struct record_head *head = (const void *)record;

	if ((head->present & need->all) != need->all || (need->any != 0 && (head->present & need->any) == 0))
		return false;
	return need->list_off == 0 || ((const struct record_list *)(record + need->list_off))->first != 0;
}

static inline int64_t
rule_number_load(const struct rule_number_at *at, const uint8_t *record)
{
	uint64_t word;

	memcpy(&word, record + at->off, sizeof(word));
	word <<= at->left;
	return at->is_signed ? (int64_t)word >> at->right : (int64_t)(word >> at->right);
}

/** Asks a rule's own conditions of the view's record; one that holds becomes a candidate. Hot. rule_records.c */
void rule_entry_ask(struct rule_view *view, const struct rule_entry *entry);
/** Makes the search for rules list[0..count). rule_records_make.c @return 0 or -ENOMEM */
int rule_records_make(struct ruleset *set, const struct rule_app *app, bool to_server, const uint32_t *list, uint32_t count,
	const struct rule_records **out);
/** Gives a rule that may be muted a bit, where one is left. rule_records_make.c @return it, or RULE_NOT_MUTED */
uint16_t rule_mute_bit(struct rule *rule, bool to_server, uint16_t *count);
/** Adds the candidates of the view's record. Hot. rule_records.c */
void rule_records_candidates(struct rule_view *view, const struct rule_records *records);

#endif
