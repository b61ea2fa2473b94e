#include "lib/record/summary.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROW(path, type, record, member, help) \
	{ path, FIELD_##type, FIELD_ALWAYS, 0, offsetof(struct record, member), NULL, NULL, "", help }

static const struct field kind_fields[] = {
	ROW("name", TEXT, summary_kind, name, "what the protocol calls them: a function, a service, a type"),
	ROW("count", U64, summary_kind, count, "how many"),
};
static const struct record_table kind_table = { "kinds", kind_fields, COUNT(kind_fields), sizeof(struct summary_kind) };
const struct record_table *const summary_kind_tables[] = { &kind_table, NULL };

static const struct field fields[] = {
	ROW("start", TIME, summary_record, first_ns, "when the first of the records would have been written"),
	ROW("end", TIME, summary_record, last_ns, "when the last would have been"),
	ROW("unchanged", U64, summary_record, unchanged, "records not written: every value was as before"),
	ROW("summarised", U64, summary_record, summarised, "records not written: only summaries are wanted"),
	{ "kinds", FIELD_LIST, SUMMARY_HAS_KINDS, 0, offsetof(struct summary_record, kinds), NULL, summary_kind_tables, "",
		"how many of each kind, where the protocol names kinds" },
};
const struct record_table summary_table = { "summary", fields, COUNT(fields), sizeof(struct summary_record) };
