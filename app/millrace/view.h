/* The verbs on the query API: which resource, which columns. */
#ifndef MR_MILLRACE_VIEW_H
#define MR_MILLRACE_VIEW_H

#include <jansson.h>
#include <stdbool.h>

#include "app/millrace/options.h"

/** @return whether name is a verb of the query API. */
bool view_exists(const char *name);
/** Asks, pages when options->all, prints. @return an exit status. */
int view_run(const struct options *options, const char *name);
/** Prints rows (an array of objects) under the named view's columns. */
void view_print_rows(const char *name, const json_t *rows);
/** Prints one row on a line of its own, its values apart by two spaces. */
void view_print_line(const char *name, const json_t *row);
/** Prints JSON for programs: sorted as the aggregator sent it, ASCII only. */
void view_print_json(const json_t *root);

#endif
