/*
 * How the rules of one protocol and direction are found for a record. A rule stands in one place: behind a
 * value of a number field it asks to be equal, behind a tag its protocol gives such records, behind a literal that one of its buffers must contain, or on
 * a shelf with all those that need the same fields to be present. Before it becomes a candidate its own
 * conditions on the record are asked, cheapest first. Not for other folders.
 */
#ifndef MR_RULE_RECORDS_H
#define MR_RULE_RECORDS_H

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
	bool item_negated;    /* !5: present, and not 5 */
	bool negated;         /* ![5,6]: also where it is not present */
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
	uint32_t quick_count;
	const struct rule_quick *quicks;
};

/** Entries that are asked whenever what they need is there. */
struct rule_shelf {
	struct rule_need need;
	uint32_t first, count; /* of entries */
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

/** Rules found by the tags of rule_app.record_tags. */
struct rule_tag_index {
	unsigned int (*record_tags)(const void *record, uint32_t tags[RULE_TAGS_MAX]);
	uint32_t first[256];            /* as above */
	uint32_t entry_first, entry_count; /* all that are found so */
};

/** One buffer's literals. */
struct rule_scan {
	struct rule_need need;
	const struct rule_buffer *buffer;
	const struct rule_database *database; /* its rules[] are entries */
};

struct rule_records {
	uint32_t entry_count;
	const struct rule_entry *entries;
	uint32_t shelf_count;
	const struct rule_shelf *shelves;
	uint32_t index_count;
	const struct rule_value_index *indexes;
	const struct rule_tag_index *tags;    /* NULL: no rule is found by one */
	const struct rule_value_link *links;  /* [0] is unused */
	uint32_t scan_count;
	const struct rule_scan *scans;
};

/** Makes the search for rules list[0..count). rule_records_make.c @return 0 or -ENOMEM */
int rule_records_make(struct ruleset *set, const struct rule_app *app, bool to_server, const uint32_t *list, uint32_t count,
	const struct rule_records **out);
/** Adds the candidates of the view's record. Hot. rule_records.c */
void rule_records_candidates(struct rule_view *view, const struct rule_records *records);

#endif
