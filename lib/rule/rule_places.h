/*
 * Cold: where each rule of a protocol and direction will be found, worked out for all of them together before
 * anything is written; see rule_records.h. Not for other folders.
 */
#ifndef MR_RULE_PLACES_H
#define MR_RULE_PLACES_H

#include "lib/rule/rule_records.h"

enum { PLACE_VALUES_MAX = 16 }; /* values of one place: an enumeration, a short range */

enum place_kind { PLACE_SIEVE, PLACE_INDEX, PLACE_SCAN };

/** A number of a record: where, and behind which lists (NULL: none). */
struct rule_place_number {
	const struct record_path *path;
	struct rule_number_at at;
};

/** A rule, and where it will be found. */
struct rule_place {
	uint32_t rule_idx;
	uint8_t kind;
	uint8_t value_count;
	struct rule_need need;
	uint16_t quick_count;
	const struct rule_quick *quicks;
	struct rule_place_number number;        /* PLACE_INDEX */
	int64_t values[PLACE_VALUES_MAX];
	uint32_t buffer;                        /* the best literal's, in rule_places.buffers */
	bool has_literal;
	struct rule_plan literal;
};

/** A buffer in which some rule's best literal lies. */
struct rule_place_buffer {
	const struct rule_buffer *buffer;
	uint32_t count;                         /* rules that are found by it */
};

/** How many rules ask a number for one value. */
struct rule_value_use {
	struct rule_place_number number;
	int64_t value;
	uint32_t count;
};

struct rule_places {
	struct ruleset *set;
	const struct rule_app *app;
	bool to_server;
	struct rule_place *places;
	uint32_t place_count;
	struct rule_place_buffer *buffers;      /* freed by the caller, as uses */
	uint32_t buffer_count;
	struct rule_value_use *uses;
	uint32_t use_count, use_cap;
};

/** Fills places[0..place_count) for rules list[0..count): all but those that can never match. places[] has room for
 *  count. rule_places.c @return 0 or -ENOMEM */
int rule_places_find(struct rule_places *make, const uint32_t *list, uint32_t count);
/** Where the number a path leads to lies in the struct that has it. false: it is no number */
bool rule_place_number_at(const struct record_path *path, struct rule_number_at *out);
/** The number a test asks for, if it has one place. */
bool rule_place_number_of(const struct rule_test *test, struct rule_place_number *out);
/** What a protocol's own keyword says of a number of the root. false: nothing */
bool rule_place_index_of(const struct rule_app *app, const struct rule_test *test, struct rule_app_index *out,
	struct rule_number_at *at);
/** The few values a test allows a number to have. @return how many, 0: not so */
unsigned int rule_place_values_of(const struct rule_places *make, const struct rule_test *test, struct rule_place_number *number,
	int64_t values[PLACE_VALUES_MAX]);
/** What the paths of one condition need at the root is added to need. */
void rule_need_paths(const struct record_path *paths, unsigned int count, struct rule_need *need);
/** Orders, for sorting and for what is the same. */
int rule_place_number_compare(const struct rule_place_number *a, const struct rule_place_number *b);
int rule_need_compare(const struct rule_need *a, const struct rule_need *b);

#endif
