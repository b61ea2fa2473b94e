/*
 * Inside proto/: the integers of Suricata's rule language, for keywords of protocols that are more than one field.
 * The text is a rule's, between start and reload; asking is hot.
 */
#ifndef MR_PROTO_COMPARE_H
#define MR_PROTO_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/rule/rule_app.h"

/** What a number is asked, in rule_app_test: words[0] the comparison, words[1] and [2] its operands. */
enum compare {
	COMPARE_EQUAL,
	COMPARE_BELOW,
	COMPARE_ABOVE,
	COMPARE_BETWEEN, /* both ends excluded */
	COMPARE_MASK,    /* (value & words[1]) == words[2] */
	COMPARE_ANY,     /* (value & words[1]) != 0 */
	COMPARE_NEGATED = 0x100,
};

/** The text behind spaces. */
const char *compare_skip_space(const char *at);
/** A decimal or 0x number, *at left behind it and spaces. @return false: none, or above max */
bool compare_number(const char **at, uint64_t max, uint64_t *out);
/** n, =n, !n, !=n, <n, <=n, >n, >=n, a-b, a<>b, !a-b, &mask=n, &mask!=n, and no more behind it.
 *  @param out  its first three words are written. @return false: the text is something else */
bool compare_parse(const char *text, uint64_t max, struct rule_app_test *out);
bool compare_holds(const struct rule_app_test *test, uint64_t value);

#endif
