/* The table of messages that wait, with records that hold a number. */
#include "test/test.h"

#include "proto/pair.h"

enum { HAS_RESPONSE_TIME = 3, DELIVERED_MAX = 64 };

struct note {
	struct record_head head;
	uint32_t number;
	uint32_t response_time_us;
};

static const struct field note_fields[] = {
	{ "number", FIELD_U32, FIELD_ALWAYS, 0, offsetof(struct note, number), NULL, NULL, "", "a number" },
};
static const struct record_table note_table = { "note", note_fields, 1, sizeof(struct note) };

static const struct pair_desc desc = { .response_time_off = offsetof(struct note, response_time_us),
	.response_time_bit = HAS_RESPONSE_TIME, .count_shed = 0, .count_unanswered = 1 };

static struct rig {
	struct proto_ctx ctx;
	struct pair_table table;
	struct record_builder builder;
	_Alignas(8) uint8_t area[256];
	_Atomic uint64_t counters[2];
	unsigned int delivered;
	uint32_t numbers[DELIVERED_MAX];
	uint64_t events;
	bool to_server;
} rig;

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	const struct note *note = (const void *)ctx->record->base;

	assert_int_equal(flags, PROTO_EMIT);
	assert_int_equal(tx_id, note->number);
	assert_true(rig.delivered < DELIVERED_MAX);
	rig.numbers[rig.delivered++] = note->number;
	rig.events |= ctx->events;
	rig.to_server = ctx->to_server;
}

static int
create(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	record_builder_init(&rig.builder, rig.area, sizeof(rig.area));
	rig.ctx = (struct proto_ctx){ .record = &rig.builder, .counters = rig.counters, .ts_ns = UINT64_C(1000000000000),
		.deliver = collect, .to_server = true };
	return slab_create(&rig.ctx.slab, 1 << 20);
}

static int
destroy(void **state)
{
	(void)state;
	rig.delivered = 0;
	pair_shrink(&rig.ctx, &rig.table, &desc, 0);
	pair_release(&rig.ctx);
	assert_int_equal(slab_used(rig.ctx.slab), 0);
	assert_null(rig.table.oldest);
	assert_null(rig.table.newest);
	assert_null(rig.table.index);
	slab_destroy(rig.ctx.slab);
	return 0;
}

static bool
keep(uint64_t value, uint64_t detail, uint32_t number)
{
	struct pair_wait wait = { { value, detail }, rig.ctx.ts_ns, number, true, (uint8_t)number, 0 };
	struct note *note = record_begin(&rig.builder, &note_table);

	note->number = number;
	return pair_keep(&rig.ctx, &rig.table, &desc, &wait);
}

static uint32_t
take(uint64_t value, uint64_t detail)
{
	struct pair_wait wait;
	struct note *note = pair_take(&rig.ctx, &rig.table, &desc, (struct pair_key){ value, detail }, &wait);

	if (note == NULL)
		return 0;
	assert_int_equal(wait.id, note->number);
	assert_int_equal(wait.note, (uint8_t)note->number);
	return note->number;
}

static void
overhear(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
}

/* What was asked of the request stays beside what becomes of its record, until it was handed on or the PDU is done. */
static void
remembers_the_request(void **state)
{
	struct pair_wait wait;
	struct pair_key key = { 1, 0 };
	struct note *note;

	(void)state;
	keep(1, 0, 1);
	keep(1, 0, 2);
	note = pair_take(&rig.ctx, &rig.table, &desc, key, &wait);
	note->number = 7;
	assert_int_equal(((const struct note *)rig.ctx.before)->number, 1);
	note = pair_take(&rig.ctx, &rig.table, &desc, key, &wait);
	assert_int_equal(((const struct note *)rig.ctx.before)->number, 2);
	rig.ctx.deliver = overhear;
	proto_deliver(&rig.ctx, PROTO_EMIT, 2);
	assert_non_null(rig.ctx.before);
	proto_deliver(&rig.ctx, PROTO_MATCH, 2);
	assert_null(rig.ctx.before);
	assert_null(pair_take(&rig.ctx, &rig.table, &desc, key, &wait));
	pair_release(&rig.ctx);
	assert_null(rig.ctx.taken);
}

static void
takes_the_oldest_of_a_key(void **state)
{
	struct pair_wait wait;

	(void)state;
	for (uint32_t i = 1; i <= 40; i++) {
		assert_true(keep(i % 4, i % 2, i));
		assert_true((rig.table.index != NULL) == (i > PAIR_INDEX_FROM));
	}
	assert_int_equal(rig.table.count, 40);
	assert_int_equal(take(1, 1), 1);
	assert_int_equal(take(1, 1), 5);
	assert_int_equal(take(1, 0), 0);
	assert_int_equal(take(7, 0), 0);
	assert_int_equal(((const struct note *)pair_find(&rig.table, &desc, (struct pair_key){ 1, 1 }, &wait))->number, 9);
	assert_int_equal(take(1, 1), 9);
	for (uint32_t i = 13; i <= 37; i += 4)
		assert_int_equal(take(1, 1), i);
	assert_int_equal(take(1, 1), 0);
	assert_int_equal(rig.table.count, 30);
}

/* Where there is memory for what waits alone: the answers are the same. */
static void
finds_without_an_index(void **state)
{
	void *blocks[2048];
	unsigned int count = 0;

	(void)state;
	while (count < 2048 && (blocks[count] = slab_alloc(rig.ctx.slab, 1024)) != NULL)
		count++;
	assert_true(count < 2048);
	for (unsigned int i = 0; i < 2; i++) /* eight fit into each */
		slab_free(rig.ctx.slab, blocks[--count], 1024);
	for (uint32_t i = 1; i <= 12; i++)
		assert_true(keep(i % 3, 0, i));
	assert_null(rig.table.index);
	for (uint32_t i = 1; i <= 12; i++)
		assert_int_equal(take(i % 3, 0), i);
	while (count > 0)
		slab_free(rig.ctx.slab, blocks[--count], 1024);
}

static bool
detail_not_above(uint64_t waiting, uint64_t answer)
{
	return waiting <= answer;
}

static void
asks_the_protocol_about_details(void **state)
{
	struct pair_desc own = desc;
	struct pair_wait wait;

	(void)state;
	own.answers = detail_not_above;
	keep(1, 5, 1);
	keep(1, 3, 2);
	assert_null(pair_find(&rig.table, &own, (struct pair_key){ 1, 2 }, &wait));
	assert_non_null(pair_find(&rig.table, &own, (struct pair_key){ 1, 4 }, &wait));
	assert_int_equal(wait.id, 2);
	assert_non_null(pair_find(&rig.table, &own, (struct pair_key){ 1, 6 }, &wait));
	assert_int_equal(wait.id, 1);
}

static void
puts_back_before_all_others(void **state)
{
	struct pair_wait wait = { .id = 9, .note = 9 };
	struct note *note;

	(void)state;
	note = record_begin(&rig.builder, &note_table);
	note->number = 9;
	assert_true(pair_keep_first(&rig.ctx, &rig.table, &desc, &wait)); /* into an empty table */
	keep(0, 0, 1);
	keep(0, 0, 2);
	assert_int_equal(take(0, 0), 9);
	wait.id = wait.note = 8;
	note = record_begin(&rig.builder, &note_table);
	note->number = 8;
	assert_true(pair_keep_first(&rig.ctx, &rig.table, &desc, &wait));
	assert_int_equal(take(0, 0), 8);
	assert_int_equal(take(0, 0), 1);
	assert_int_equal(take(0, 0), 2);
}

static void
tells_the_response_time(void **state)
{
	struct pair_wait wait;
	struct note *note;

	(void)state;
	assert_int_equal(pair_patience_ns(&rig.table), 1000000000);
	keep(1, 0, 1);
	rig.ctx.ts_ns += 10000000;
	note = pair_take(&rig.ctx, &rig.table, &desc, (struct pair_key){ 1, 0 }, &wait);
	pair_answered(&rig.ctx, &rig.table, &desc, &wait);
	assert_int_equal(note->response_time_us, 10000);
	assert_true(record_is_present(&note->head, HAS_RESPONSE_TIME));
	assert_int_equal(pair_patience_ns(&rig.table), 80000000);
	keep(1, 0, 2);
	rig.ctx.ts_ns -= 5000; /* the clock went back */
	note = pair_take(&rig.ctx, &rig.table, &desc, (struct pair_key){ 1, 0 }, &wait);
	pair_answered(&rig.ctx, &rig.table, &desc, &wait);
	assert_int_equal(note->response_time_us, 0);
	assert_true(pair_patience_ns(&rig.table) < 80000000);
}

static void
gives_up_what_waits_too_long(void **state)
{
	struct pair_key key = { 1, 0 };

	(void)state;
	keep(1, 0, 1);
	keep(2, 0, 2);
	rig.ctx.ts_ns += 1000;
	keep(1, 0, 3);
	rig.ctx.to_server = false;
	rig.ctx.events = 4;
	assert_false(pair_give_up(&rig.ctx, &rig.table, &desc, key, 1001));
	assert_true(pair_give_up(&rig.ctx, &rig.table, &desc, key, 1000));
	assert_int_equal(rig.delivered, 1);
	assert_int_equal(rig.numbers[0], 1);
	assert_int_equal(rig.events, 0); /* they are the message's at hand */
	assert_true(rig.to_server);
	assert_int_equal(rig.ctx.events, 4);
	assert_false(rig.ctx.to_server);
	assert_true(pair_give_up(&rig.ctx, &rig.table, &desc, key, 0));
	assert_int_equal(rig.numbers[1], 3);
	assert_int_equal(rig.counters[1], 2);
	assert_int_equal(rig.table.count, 1);
}

static void
makes_room_and_says_so_once(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= 10; i++)
		assert_int_equal(pair_make_room(&rig.ctx, &rig.table, &desc, 4) + 10 * keep(i, 0, i), i == 5 ? 11 : 10);
	assert_int_equal(rig.table.count, 4);
	assert_int_equal(rig.delivered, 6);
	assert_int_equal(rig.numbers[5], 6);
	pair_shrink(&rig.ctx, &rig.table, &desc, 0);
	for (uint32_t i = 1; i <= 4; i++)
		keep(i, 0, i);
	assert_true(pair_make_room(&rig.ctx, &rig.table, &desc, 4)); /* again, for nothing waited in between */
}

static void
sheds_without_memory(void **state)
{
	unsigned int kept = 0;

	(void)state;
	while (keep(1, 0, kept + 1))
		kept++;
	assert_int_equal(rig.counters[0], 1);
	assert_int_equal(rig.table.count, kept);
	for (unsigned int i = 0; i < kept; i++)
		assert_int_equal(take(1, 0), i + 1);
}

static void
remembers_orphans(void **state)
{
	struct pair_orphans orphans = { 0 };

	(void)state;
	for (uint64_t i = 1; i <= PAIR_ORPHANS + 1; i++)
		pair_orphan_keep(&orphans, i);
	assert_false(pair_orphan_take(&orphans, 1));
	assert_true(pair_orphan_take(&orphans, 2));
	assert_false(pair_orphan_take(&orphans, 2));
	assert_true(pair_orphan_take(&orphans, PAIR_ORPHANS + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(remembers_the_request, create, destroy),
		cmocka_unit_test_setup_teardown(takes_the_oldest_of_a_key, create, destroy),
		cmocka_unit_test_setup_teardown(finds_without_an_index, create, destroy),
		cmocka_unit_test_setup_teardown(asks_the_protocol_about_details, create, destroy),
		cmocka_unit_test_setup_teardown(puts_back_before_all_others, create, destroy),
		cmocka_unit_test_setup_teardown(tells_the_response_time, create, destroy),
		cmocka_unit_test_setup_teardown(gives_up_what_waits_too_long, create, destroy),
		cmocka_unit_test_setup_teardown(makes_room_and_says_so_once, create, destroy),
		cmocka_unit_test_setup_teardown(sheds_without_memory, create, destroy),
		cmocka_unit_test(remembers_orphans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
