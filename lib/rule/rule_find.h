/* Hot: a few bytes in many. Not for other folders. */
#ifndef MR_RULE_FIND_H
#define MR_RULE_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The first place of a needle. @param needle_len  at least 1 @param nocase  the needle is in lower case, of ASCII
 *  @return NULL: it is not there */
const uint8_t *rule_find(const uint8_t *data, size_t len, const uint8_t *needle, size_t needle_len, bool nocase);

#endif
