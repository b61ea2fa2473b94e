/* Cold: how sieves and their lenses are made; see rule_sieve.h. Not for other folders. */
#ifndef MR_RULE_SIEVE_MAKE_H
#define MR_RULE_SIEVE_MAKE_H

#include "lib/rule/rule_places.h"
#include "lib/rule/rule_sieve.h"

/** A sieve of places[0..count).
 *  @param entries  room for count, kept by the sieve
 *  @return 0 or -ENOMEM */
int rule_sieve_make(struct rule_places *make, const struct rule_place *const *places, uint32_t count,
	struct rule_entry *entries, struct rule_sieve *out);

/** What a buffer of a rule can be: which first bytes and lengths. */
struct rule_narrow {
	bool first[RULE_LENS_VALUES];
	bool len[RULE_LENS_LENS];
	bool starts;          /* the first byte alone says much */
};

/** rule_narrow.c @return whether some text is ruled out */
bool rule_narrow_buffer(const struct rule_buffer *buffer, struct rule_narrow *out);
/** The lowest bytes that a number a test asks for can have, at any of its places. @return whether some are ruled out */
bool rule_narrow_number(const struct rule_test *test, const struct rule_number_at *ats, unsigned int count,
	bool possible[RULE_LENS_VALUES]);
/** The second lowest bytes that a set of bits can have. @return whether some are ruled out */
bool rule_narrow_high(const struct rule_test *test, bool possible[RULE_LENS_VALUES]);
/** The magnitudes it can have. Of tests that are not negated. @return whether some are ruled out */
bool rule_narrow_magnitude(const struct rule_test *test, bool possible[RULE_LENS_VALUES]);

#endif
