/*
 * What a flow's records would have said that were not written, because the user wants fewer: one record for each flow and
 * interval, whatever the protocol. Built by the protocols' engine.
 */
#ifndef MR_RECORD_SUMMARY_H
#define MR_RECORD_SUMMARY_H

#include "lib/record/record.h"

enum summary_bit { SUMMARY_HAS_KINDS };

struct summary_record {
	struct record_head head;
	uint64_t first_ns, last_ns; /* of the records summed up */
	uint64_t unchanged;         /* their values were as before */
	uint64_t summarised;        /* only summaries are wanted */
	struct record_list kinds;   /* of struct summary_kind */
};

/** How many of them were of one kind. */
struct summary_kind {
	struct record_head head;
	const char *name; /* static; NULL: of others */
	uint64_t count;
};

extern const struct record_table summary_table; /* "summary" */
extern const struct record_table *const summary_kind_tables[];

#endif
