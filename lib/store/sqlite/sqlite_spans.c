/*
 * What a run of records has, noted once a run instead of once a record: a span for each address and type, from its first
 * record to its last, and a tally for each function. A question goes over the spans of what it asks for, newest first, and
 * looks at their records; a count sums tallies. An index row a record cost two thirds of the time that storing took. Of flows, of which
 * there may be as many as records, a run notes two bytes each: a question looks at the runs where the one asked for may be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/store/sqlite/sqlite_private.h"

enum {
	RUN_RECORDS_MAX = 4096,          /* a question looks at so many at once, at most */
	SPANS_MAX = 3 * RUN_RECORDS_MAX, /* two addresses and a type a record */
	TALLIES_MAX = RUN_RECORDS_MAX,
	SLOTS = 32768,                   /* a power of two */
	PROBES_MAX = 16,                 /* addresses come from whoever is on the wire: those made to meet cost no more */
	NO_SLOT = UINT16_MAX,
	SPAN_BYTES = 45,                 /* of a span's or tally's row, about */
	PRINTS = 65536,                  /* a flow's is 16 bits of its hash */
	PRINTS_OF_WORD = 64,
};
_Static_assert(SLOTS >= 2 * SPANS_MAX && SPANS_MAX < UINT16_MAX, "slots are at most half full, and one holds a place");

struct span {
	int64_t first_id, last_id;
	int64_t ts_min_ns, ts_max_ns;
	enum sqlite_span_kind kind;
	uint16_t slot;
	uint32_t len;
	uint8_t key[LINE_TEXT_MAX];
};

struct tally {
	struct line_text event_type; /* lent from a line, until the run is written */
	struct line_number function, response_function;
	int64_t records;
	int64_t sample; /* the newest of them */
	uint16_t slot;
};

struct sqlite_spans {
	struct span all; /* every record of the run */
	uint32_t records;
	uint32_t span_count, tally_count;
	struct span spans[SPANS_MAX];
	struct tally tallies[TALLIES_MAX];
	uint16_t span_slots[SLOTS];  /* 1 + place in spans; 0: free */
	uint16_t tally_slots[SLOTS];
	struct span flows;           /* the records that have a flow */
	uint32_t print_count;        /* 0: none has */
	uint16_t prints[RUN_RECORDS_MAX]; /* of those flows, once each */
	uint64_t has_print[PRINTS / PRINTS_OF_WORD];
};

int
sqlite_spans_create(struct sqlite_spans **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ENOMEM : 0;
}

void
sqlite_spans_destroy(struct sqlite_spans *spans)
{
	free(spans);
}

void
sqlite_spans_clear(struct sqlite_spans *spans)
{
	for (uint32_t i = 0; i < spans->span_count; i++)
		if (spans->spans[i].slot != NO_SLOT)
			spans->span_slots[spans->spans[i].slot] = 0;
	for (uint32_t i = 0; i < spans->tally_count; i++)
		if (spans->tallies[i].slot != NO_SLOT)
			spans->tally_slots[spans->tallies[i].slot] = 0;
	for (uint32_t i = 0; i < spans->print_count; i++)
		spans->has_print[spans->prints[i] / PRINTS_OF_WORD] = 0;
	spans->records = spans->span_count = spans->tally_count = spans->print_count = 0;
}

/* ---- noted ---- */

static void
stretch(struct span *span, int64_t id, int64_t ts_ns)
{
	span->last_id = id;
	if (ts_ns < span->ts_min_ns)
		span->ts_min_ns = ts_ns;
	if (ts_ns > span->ts_max_ns)
		span->ts_max_ns = ts_ns;
}

/* A key that finds no slot finds none later in the run either: each of its records is a span of its own. */
static void
note_key(struct sqlite_spans *spans, const struct span *record, const void *key, uint32_t len)
{
	uint16_t slot = (uint16_t)(crc32c(record->kind, key, len) % SLOTS);
	struct span *span;

	for (unsigned int i = 0; i < PROBES_MAX && spans->span_slots[slot] != 0; i++) {
		span = &spans->spans[spans->span_slots[slot] - 1];
		if (span->kind == record->kind && span->len == len && memcmp(span->key, key, len) == 0) {
			stretch(span, record->last_id, record->ts_max_ns);
			return;
		}
		slot = (slot + 1) % SLOTS;
	}
	span = &spans->spans[spans->span_count++];
	*span = *record;
	span->slot = spans->span_slots[slot] == 0 ? slot : NO_SLOT;
	span->len = len;
	memcpy(span->key, key, len);
	if (span->slot != NO_SLOT)
		spans->span_slots[slot] = (uint16_t)spans->span_count;
}

static uint16_t
print_of(int64_t flow_id)
{
	return (uint16_t)hash_u64(0, (uint64_t)flow_id);
}

/* Nearly each flow of a busy network is in one run or two: a span for each would be as dear as an index of records. */
static void
note_flow(struct sqlite_spans *spans, const struct span *record, int64_t flow_id)
{
	uint16_t print = print_of(flow_id);
	uint64_t *word = &spans->has_print[print / PRINTS_OF_WORD];
	uint64_t bit = UINT64_C(1) << print % PRINTS_OF_WORD;

	if (spans->print_count == 0) {
		spans->flows = *record;
		spans->flows.kind = SPAN_FLOWS;
	}
	stretch(&spans->flows, record->last_id, record->ts_max_ns);
	if ((*word & bit) == 0)
		spans->prints[spans->print_count++] = print;
	*word |= bit;
}

static bool
is_same(const struct line_number *a, const struct line_number *b)
{
	return a->present == b->present && (!a->present || a->value == b->value);
}

static uint64_t
number_of(const struct line_number *number)
{
	return number->present ? (uint64_t)number->value : UINT64_MAX;
}

static void
note_tally(struct sqlite_spans *spans, const struct store_line *line, const struct line_text *type, int64_t id)
{
	uint32_t hash = hash_u64(crc32c(0, type->data, type->len), number_of(&line->function));
	uint16_t slot = (uint16_t)(hash_u64(hash, number_of(&line->response_function)) % SLOTS);
	struct tally *tally;

	for (unsigned int i = 0; i < PROBES_MAX && spans->tally_slots[slot] != 0; i++) {
		tally = &spans->tallies[spans->tally_slots[slot] - 1];
		if (is_same(&tally->function, &line->function) && is_same(&tally->response_function, &line->response_function) &&
		    tally->event_type.len == type->len && memcmp(tally->event_type.data, type->data, type->len) == 0) {
			tally->records++;
			tally->sample = id;
			return;
		}
		slot = (slot + 1) % SLOTS;
	}
	tally = &spans->tallies[spans->tally_count++];
	*tally = (struct tally){ .event_type = *type, .function = line->function,
		.response_function = line->response_function, .records = 1, .sample = id,
		.slot = spans->tally_slots[slot] == 0 ? slot : NO_SLOT };
	if (tally->slot != NO_SLOT)
		spans->tally_slots[slot] = (uint16_t)spans->tally_count;
}

/* ---- written ---- */

static int
write_span(struct sqlite_store *store, const struct span *span)
{
	sqlite3_stmt *add = store->part_statements[PART_SPAN_ADD];
	int code;

	sqlite3_bind_int(add, 1, (int)span->kind);
	sqlite3_bind_blob(add, 2, span->key, (int)span->len, SQLITE_STATIC);
	sqlite3_bind_int64(add, 3, span->ts_max_ns);
	sqlite3_bind_int64(add, 4, span->first_id);
	sqlite3_bind_int64(add, 5, span->ts_min_ns);
	sqlite3_bind_int64(add, 6, span->last_id);
	sqlite3_bind_blob(add, 7, span->kind == SPAN_FLOWS ? store->spans->prints : NULL,
		(int)(store->spans->print_count * sizeof(store->spans->prints[0])), SQLITE_STATIC);
	code = sqlite3_step(add);
	sqlite3_reset(add);
	return code == SQLITE_DONE ? 0 : sqlite_failed(store, "span");
}

static int
write_tally(struct sqlite_store *store, int64_t lane_id, const struct tally *tally)
{
	const struct span *all = &store->spans->all;
	sqlite3_stmt *add = store->part_statements[PART_TALLY_ADD];
	int code;

	sqlite3_bind_int64(add, 1, all->first_id);
	sqlite3_bind_int64(add, 2, all->last_id);
	sqlite3_bind_int64(add, 3, lane_id);
	sqlite3_bind_int64(add, 4, all->ts_min_ns);
	sqlite3_bind_int64(add, 5, all->ts_max_ns);
	sqlite3_bind_text(add, 6, tally->event_type.data, (int)tally->event_type.len, SQLITE_STATIC);
	sqlite_bind_number(add, 7, &tally->function);
	sqlite_bind_number(add, 8, &tally->response_function);
	sqlite3_bind_int64(add, 9, tally->records);
	sqlite3_bind_int64(add, 10, tally->sample);
	code = sqlite3_step(add);
	sqlite3_reset(add);
	return code == SQLITE_DONE ? 0 : sqlite_failed(store, "tally");
}

int
sqlite_spans_write(struct sqlite_store *store, int64_t lane_id)
{
	struct sqlite_spans *spans = store->spans;
	int err = spans->records == 0 ? 0 : write_span(store, &spans->all);

	if (err == 0 && spans->print_count > 0)
		err = write_span(store, &spans->flows);
	for (uint32_t i = 0; i < spans->span_count && err == 0; i++)
		err = write_span(store, &spans->spans[i]);
	for (uint32_t i = 0; i < spans->tally_count && err == 0; i++)
		err = write_tally(store, lane_id, &spans->tallies[i]);
	store->partition.bytes += SPAN_BYTES * (1 + spans->span_count + spans->tally_count) +
		(spans->print_count == 0 ? 0 : SPAN_BYTES + spans->print_count * sizeof(spans->prints[0]));
	sqlite_spans_clear(spans);
	return err;
}

int
sqlite_spans_note(struct sqlite_store *store, int64_t lane_id, int64_t id, const struct store_line *line)
{
	static const struct line_text no_type = { .data = "" };
	const struct line_text *type = line->event_type.data == NULL ? &no_type : &line->event_type;
	struct sqlite_spans *spans = store->spans;
	struct span record = { .first_id = id, .last_id = id, .ts_min_ns = line->ts_ns.value, .ts_max_ns = line->ts_ns.value };

	if (spans->records++ == 0)
		spans->all = record;
	stretch(&spans->all, id, line->ts_ns.value);
	record.kind = SPAN_SRC_IP;
	if (line->src_ip.len > 0)
		note_key(spans, &record, line->src_ip.bytes, line->src_ip.len);
	record.kind = SPAN_DEST_IP;
	if (line->dest_ip.len > 0)
		note_key(spans, &record, line->dest_ip.bytes, line->dest_ip.len);
	record.kind = SPAN_TYPE;
	note_key(spans, &record, type->data, type->len);
	note_tally(spans, line, type, id);
	if (line->flow_id.present)
		note_flow(spans, &record, line->flow_id.value);
	return spans->records < RUN_RECORDS_MAX ? 0 : sqlite_spans_write(store, lane_id);
}

static void
may_have_flow(sqlite3_context *context, int count, sqlite3_value **values)
{
	size_t len = (size_t)sqlite3_value_bytes(values[0]);
	const char *prints = sqlite3_value_blob(values[0]);
	uint16_t wanted = print_of(sqlite3_value_int64(values[1]));
	int found = 0;

	for (size_t at = 0; at + sizeof(wanted) <= len && found == 0; at += sizeof(wanted))
		found = memcmp(prints + at, &wanted, sizeof(wanted)) == 0;
	sqlite3_result_int(context, found);
}

int
sqlite_spans_functions(struct sqlite_store *store)
{
	if (sqlite3_create_function_v2(store->db, "may_have_flow", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
	    may_have_flow, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_failed(store, "may_have_flow");
	return 0;
}
