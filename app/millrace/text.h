/* Text for terminals. Whatever was sniffed may hold bytes that drive a terminal: none of them gets through. */
#ifndef MR_MILLRACE_TEXT_H
#define MR_MILLRACE_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "lib/base/buf.h"

enum { TEXT_CELL_MAX = 120 };

/** Writes text with control, bidirectional and invisible characters as \xNN or \u{NNNN}. */
void text_put(struct buf *out, const char *text, size_t len);
void text_print(FILE *out, const char *text, size_t len);
/** A JSON value as a cell shows it; objects and arrays as compact JSON. */
void text_put_value(struct buf *out, const json_t *value);

/** A table being filled: rows of cells, all text escaped, printed with aligned columns. */
struct text_table;

/** @param headings column_count headings; a leading '>' aligns right. Lent. @return NULL: out of memory. */
struct text_table *text_table_create(const char *const *headings, unsigned int column_count);
/** The next cell, in row order; empty values print as "-". */
void text_table_add(struct text_table *table, const char *cell, size_t len);
/** Prints and frees. */
void text_table_print(struct text_table *table, FILE *out);

#endif
