/* How much is written of a flow: levels, values, summaries, memory. */
#include "test/test.h"

#include "lib/record/summary.h"
#include "proto/proto.h"

enum { WRITTEN_MAX = 64 };

struct note {
	struct record_head head;
	uint8_t what;
};

static const struct field_name what_rows[] = { { 1, "read" }, { 2, "write" } };
static const struct field_names whats = FIELD_NAMES(what_rows, NULL);
static const struct field note_fields[] = {
	{ "what", FIELD_U8, FIELD_ALWAYS, 0, offsetof(struct note, what), &whats, NULL, "", "a kind" },
	{ "number", FIELD_U8, FIELD_ALWAYS, 0, offsetof(struct note, what), NULL, NULL, "", "a number" },
};
static const struct record_table note_table = { "note", note_fields, 2, sizeof(struct note) };

static struct rig {
	struct proto_ctx ctx;
	struct record_builder builder;
	_Alignas(8) uint8_t area[8192];
	struct proto_volume *volume;
	_Atomic uint64_t counters[3];
	unsigned int written, quiet, summaries;
	struct summary_record summary; /* the last one */
	struct summary_kind kinds[VOLUME_KINDS_MAX];
} rig;

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	uint32_t at;

	(void)tx_id;
	if (flags != PROTO_SUMMARY) {
		rig.written += (flags & PROTO_QUIET) == 0;
		rig.quiet += (flags & PROTO_QUIET) != 0;
		return;
	}
	rig.summaries++;
	memcpy(&rig.summary, ctx->record->base, sizeof(rig.summary));
	at = rig.summary.kinds.first;
	for (unsigned int i = 0; i < rig.summary.kinds.count && i < VOLUME_KINDS_MAX; i++) {
		memcpy(&rig.kinds[i], ctx->record->base + at, sizeof(rig.kinds[i]));
		at = rig.kinds[i].head.next;
	}
}

static int
create(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	record_builder_init(&rig.builder, rig.area, sizeof(rig.area));
	rig.ctx = (struct proto_ctx){ .record = &rig.builder, .ts_ns = UINT64_C(1000000000000), .deliver = collect,
		.volume = &rig.volume, .volume_counters = rig.counters };
	rig.ctx.levels.kind = proto_volume_kind(&note_table, "what");
	return slab_create(&rig.ctx.slab, 1 << 20);
}

static int
destroy(void **state)
{
	(void)state;
	proto_volume_free(&rig.ctx);
	assert_int_equal(slab_used(rig.ctx.slab), 0);
	slab_destroy(rig.ctx.slab);
	return 0;
}

/* A record of one value, or of none (point 0). */
static void
say(uint8_t what, uint64_t point, uint64_t value, unsigned int flags)
{
	struct note *note = record_begin(rig.ctx.record, &note_table);

	note->what = what;
	if (point != 0 && proto_compares(&rig.ctx, flags))
		proto_value(&rig.ctx, point, value);
	proto_deliver(&rig.ctx, PROTO_EMIT | flags, 0);
	rig.ctx.events = 0;
	proto_volume_settle(&rig.ctx);
}

static void
test_all(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		say(1, 7, 5, 0);
	assert_int_equal(rig.written, 3);
	assert_null(rig.volume);
}

static void
test_changes(void **state)
{
	(void)state;
	rig.ctx.levels.usual = rig.ctx.levels.cyclic = PROTO_LOG_CHANGES;
	say(1, 7, 5, 0); /* first seen */
	say(1, 7, 5, 0);
	say(1, 8, 5, 0); /* another point */
	say(1, 7, 6, 0);
	say(1, 7, 6, 0);
	say(2, 0, 0, 0); /* no value: a write */
	say(2, 0, 0, 0);
	assert_int_equal(rig.written, 5);
	assert_int_equal(rig.quiet, 2);
	proto_event(&rig.ctx, 0);
	say(1, 7, 6, 0); /* what is wrong is written */
	assert_int_equal(rig.written, 6);
	/* One of several values is enough. */
	proto_value(&rig.ctx, 7, 6);
	proto_value(&rig.ctx, 8, 9);
	proto_value(&rig.ctx, 7, 6);
	proto_deliver(&rig.ctx, PROTO_EMIT, 0);
	assert_int_equal(rig.written, 7);
	assert_int_equal(rig.summaries, 0);
	rig.ctx.ending = true;
	proto_volume_settle(&rig.ctx);
	proto_volume_settle(&rig.ctx);
	assert_int_equal(rig.summaries, 1);
	assert_int_equal(rig.summary.unchanged, 2);
	assert_int_equal(rig.summary.summarised, 0);
	assert_int_equal(rig.summary.kinds.count, 1);
	assert_string_equal(rig.kinds[0].name, "read");
	assert_int_equal(rig.kinds[0].count, 2);
	assert_int_equal(counter_get(&rig.counters[PROTO_VOLUME_UNCHANGED]), 2);
}

static void
test_summary(void **state)
{
	uint64_t began = rig.ctx.ts_ns;

	(void)state;
	rig.ctx.levels.usual = rig.ctx.levels.cyclic = PROTO_LOG_SUMMARY;
	rig.ctx.levels.summary_interval_s = 10;
	for (unsigned int i = 0; i < 11; i++, rig.ctx.ts_ns += UINT64_C(1000000000))
		say(i < 8 ? 1 : (uint8_t)i, 7, i, 0);
	assert_int_equal(rig.written, 0);
	assert_int_equal(rig.summaries, 1);
	assert_int_equal(rig.summary.summarised, 11);
	assert_true(rig.summary.first_ns == began && rig.summary.last_ns == began + UINT64_C(10000000000));
	assert_int_equal(rig.summary.kinds.count, 2);
	assert_int_equal(rig.kinds[0].count, 8);
	assert_string_equal(rig.kinds[1].name, "other");
	assert_int_equal(rig.kinds[1].count, 3);
	say(1, 0, 0, PROTO_SUMMARY); /* the protocol's own summary */
	assert_int_equal(rig.written, 1);
	assert_int_equal(counter_get(&rig.counters[PROTO_VOLUME_SUMMARISED]), 11);
}

/* A clock that is set back does not silence a flow until it is what it was. */
static void
test_clock_set_back(void **state)
{
	(void)state;
	rig.ctx.levels.usual = rig.ctx.levels.cyclic = PROTO_LOG_SUMMARY;
	rig.ctx.levels.summary_interval_s = 10;
	say(1, 7, 0, 0);
	rig.ctx.ts_ns -= UINT64_C(30000000000); /* disorder of packets */
	say(1, 7, 1, 0);
	assert_int_equal(rig.summaries, 0);
	rig.ctx.ts_ns -= UINT64_C(3600000000000);
	say(1, 7, 2, 0);
	assert_int_equal(rig.summaries, 1);
	assert_int_equal(rig.summary.summarised, 3);
}

static void
test_alerts(void **state)
{
	(void)state;
	rig.ctx.levels.usual = rig.ctx.levels.cyclic = PROTO_LOG_ALERTS;
	say(1, 7, 5, 0);
	say(1, 0, 0, PROTO_SUMMARY);
	assert_int_equal(rig.written, 0);
	assert_int_equal(rig.quiet, 2);
	assert_int_equal(counter_get(&rig.counters[PROTO_VOLUME_UNWANTED]), 2);
	assert_null(rig.volume);
}

/* Cyclic records have a level of their own. */
static void
test_cyclic(void **state)
{
	(void)state;
	rig.ctx.levels.cyclic = PROTO_LOG_CHANGES;
	say(1, 7, 5, 0);
	say(1, 7, 5, 0);
	assert_int_equal(rig.written, 2);
	say(1, 7, 5, PROTO_CYCLIC);
	say(1, 7, 5, PROTO_CYCLIC);
	assert_int_equal(rig.written, 3);
	assert_int_equal(rig.quiet, 1);
}

/* Any number of points costs the same memory, and points that push each other out are written again. */
static void
test_bounds(void **state)
{
	struct slab *slab = rig.ctx.slab;

	(void)state;
	rig.ctx.levels.usual = PROTO_LOG_CHANGES;
	for (unsigned int round = 0; round < 2; round++)
		for (uint64_t point = 1; point <= 100 * VOLUME_LAST_MAX; point++)
			say(1, point, 5, 0);
	assert_true(rig.written >= 199 * VOLUME_LAST_MAX);
	assert_true(slab_used(slab) <= VOLUME_LEN + VOLUME_LAST_LEN);
	proto_volume_free(&rig.ctx);
	rig.written = 0;
	rig.ctx.slab = NULL; /* without memory all is written */
	say(1, 7, 5, 0);
	say(1, 7, 5, 0);
	assert_int_equal(rig.written, 2);
	rig.ctx.slab = slab;
}

/* One word's difference always shows, wherever it is. */
static void
test_hash(void **state)
{
	uint8_t data[40] = { 0 };
	uint64_t hash = proto_value_hash(0, cursor_of(data, sizeof(data)));

	(void)state;
	for (unsigned int bit = 0; bit < sizeof(data) * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(proto_value_hash(0, cursor_of(data, sizeof(data))) != hash);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(proto_value_hash(0, cursor_of(data, 39)) != hash);
	assert_true(proto_value_hash(1, cursor_of(data, sizeof(data))) != hash);
}

static void
test_tables(void **state)
{
	(void)state;
	assert_null(record_table_check(&summary_table));
	assert_null(record_table_check(&note_table));
	assert_null(proto_volume_kind(&note_table, NULL));
	assert_null(proto_volume_kind(&note_table, "number"));
	for (unsigned int i = 0; proto_table[i] != NULL; i++)
		if (proto_table[i]->kind != NULL)
			assert_non_null(proto_volume_kind(proto_table[i]->app.record, proto_table[i]->kind));
}

int
main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, create, destroy)
	const struct CMUnitTest tests[] = { CASE(test_all), CASE(test_changes), CASE(test_summary), CASE(test_clock_set_back), CASE(test_alerts),
		CASE(test_cyclic), CASE(test_bounds), cmocka_unit_test(test_hash), cmocka_unit_test(test_tables) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
