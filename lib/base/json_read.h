/*
 * JSON that holds what was seen on the wire: numbers of 64 bits without a sign may be above what the JSON library takes for an
 * integer, and it refuses a text with one of them as a whole.
 *
 * Thread: any.
 */
#ifndef MR_BASE_JSON_READ_H
#define MR_BASE_JSON_READ_H

#include <stddef.h>

#include <jansson.h>

/** @return the caller's; integers that do not fit are reals, all others stay integers. NULL: no JSON, or no memory */
json_t *json_read(const char *text, size_t len);

#endif
