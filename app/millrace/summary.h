/* One screen of all that was delivered. */
#ifndef MR_MILLRACE_SUMMARY_H
#define MR_MILLRACE_SUMMARY_H

#include <jansson.h>

/** Prints what GET /v1/summary answered. */
void summary_print(const json_t *root);
/** Prints an object's values, nested names joined by dots, one "name value" a line. */
void summary_print_tree(const char *prefix, const json_t *object);

#endif
