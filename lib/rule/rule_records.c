/* Hot: the candidates of a record. */
#include "lib/rule/rule_mute.h"
#include "lib/rule/rule_sieve.h"

static inline bool
quick_holds(const struct rule_view *view, const struct rule_quick *quick, const uint8_t *record)
{
	if (quick->op == QUICK_ASK)
		return quick->test->fn(view, quick->test);
	if (!record_is_present(record, quick->at.bit))
		return false;
	int64_t value = rule_number_load(&quick->at, record);
	bool holds = quick->op == QUICK_BITS ? (value & quick->low) == quick->high : value >= quick->low && value <= quick->high;

	return holds != quick->negated;
}

void
rule_entry_ask(struct rule_view *view, const struct rule_entry *entry)
{
	if (rule_is_muted(view, entry->mute_bit))
		return;
	for (uint32_t i = 0; i < entry->quick_count; i++)
		if (!quick_holds(view, &entry->quicks[i], view->message->record))
			return;
	rule_candidate_add(view->matcher, entry->rule_idx);
}

/* The entries behind one value. */
static inline void
value_look(struct rule_view *view, const struct rule_records *records, const uint32_t first[256], uint64_t value)
{
	for (uint32_t at = first[value & 0xff]; at != 0; at = records->links[at].next) {
		const struct rule_entry *entry = &records->entries[records->links[at].entry];

		if (records->links[at].value == value && rule_need_met(&entry->need, view->message->record))
			rule_entry_ask(view, entry);
	}
}

struct index_arg {
	struct rule_view *view;
	const struct rule_records *records;
	const struct rule_value_index *index;
};

static bool
index_child(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const struct index_arg *look = arg;

	(void)field;
	(void)base;
	if (record_is_present(record, look->index->at.bit))
		value_look(look->view, look->records, look->index->first, (uint64_t)rule_number_load(&look->index->at, record));
	return false; /* on to the next child */
}

static inline void
index_look(struct rule_view *view, const struct rule_records *records, const struct rule_value_index *index)
{
	const uint8_t *record = view->message->record;
	struct index_arg arg = { view, records, index };

	if (index->path == NULL) {
		if (record_is_present(record, index->at.bit))
			value_look(view, records, index->first, (uint64_t)rule_number_load(&index->at, record));
	} else if (rule_need_met(&index->need, record)) {
		(void)record_path_any(index->path, record, index_child, &arg);
	}
}

/* ---- literals ---- */

struct scan_arg {
	struct rule_view *view;
	const struct rule_records *records;
	const struct rule_scan *scan;
};

static int
on_literal(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *arg)
{
	struct scan_arg *scan = arg;
	const struct rule_entry *entry = &scan->records->entries[scan->scan->database->rules[id]];

	(void)from;
	(void)to;
	(void)flags;
	if (rule_need_met(&entry->need, scan->view->message->record))
		rule_entry_ask(scan->view, entry);
	return 0;
}

static bool
scan_bytes(struct rule_view *view, const uint8_t *data, uint32_t len, void *arg)
{
	const struct rule_database *database = ((struct scan_arg *)arg)->scan->database;

	if (len >= database->len_min)
		rule_scan(view, database, data, len, on_literal, arg);
	return false; /* on to the next instance */
}

void
rule_records_candidates(struct rule_view *view, const struct rule_records *records)
{
	const uint8_t *record = view->message->record;

	for (uint32_t i = 0; i < records->sieve_count; i++)
		rule_sieve_candidates(view, &records->sieves[i]);
	for (uint32_t i = 0; i < records->index_count; i++)
		index_look(view, records, &records->indexes[i]);
	for (uint32_t i = 0; i < records->scan_count; i++) {
		struct scan_arg arg = { view, records, &records->scans[i] };

		if (rule_need_met(&arg.scan->need, record))
			(void)rule_buffer_each(view, arg.scan->buffer, scan_bytes, &arg);
	}
}
