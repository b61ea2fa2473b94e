/* The keyword asn1: elements of BER with lengths that overflow a careless decoder. */
#ifndef MR_RULE_ASN1_H
#define MR_RULE_ASN1_H

#include "lib/rule/rule_parsed.h"

/**
 * Walks the elements from data on, into those that are constructed, at most 256 of them and 32 deep.
 *
 * @param end  out, where one was found: the bytes looked at, from data on
 * @return whether an element is one of those wanted
 * Source: X.690 8.1.
 */
bool rule_asn1_match(const struct rule_asn1 *wanted, const uint8_t *data, uint32_t len, uint32_t *end);

#endif
