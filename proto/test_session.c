/* Sessions over an invented protocol: 'P', length, body. */
#include "test/test.h"

#include <errno.h>

#include "proto/session.h"

/* What a body of such a length says of the bytes behind it. */
enum {
	TOY_LONG = 9, /* ten are not wanted */
	TOY_RAW = 8,  /* raw ones to the first 'E' */
	TOY_OVER = 7, /* they are another protocol's */
};

struct toy_record {
	struct record_head head;
	uint8_t len;
};

static const struct field toy_fields[] = {
	{ "len", FIELD_U8, FIELD_ALWAYS, 0, offsetof(struct toy_record, len), NULL, NULL, "", "body length" },
};
static const struct record_table toy_table = { "toy", toy_fields, 1, sizeof(struct toy_record) };
static const struct rule_app_event toy_events[] = { { "empty", "a body of no bytes" } };
static const uint16_t toy_ports[] = { 7, 0 };
static const uint16_t toy_ether_types[] = { 0x88b5, 0 };

static enum proto_probe
toy_probe(struct cursor in, bool to_server, bool on_port)
{
	if (cursor_left(&in) < 2)
		return PROTO_PROBE_MORE;
	return cursor_u8(&in) == 'P' ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

static int
toy_frame(struct cursor in, bool to_server)
{
	uint8_t magic = cursor_u8(&in);
	uint8_t len = cursor_u8(&in);

	if (magic != 'P' && !(magic == 0 && in.short_read))
		return -EBADMSG;
	return in.short_read ? 0 : 2 + len;
}

static void
toy_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	struct toy_record *record;

	++*(uint32_t *)ctx->state;
	cursor_skip(&pdu, 1);
	if (ctx->pdu_len == 2) {
		proto_event(ctx, 0);
		return; /* an event without a record */
	}
	record = record_begin(ctx->record, &toy_table);
	record->len = cursor_u8(&pdu);
	if (record->len == TOY_LONG)
		ctx->skip_len = 10;
	ctx->raw = record->len == TOY_RAW;
	ctx->over = record->len == TOY_OVER;
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, 0);
}

/* Each raw byte but the last is told by its value. */
static uint32_t
toy_raw(struct proto_ctx *ctx, struct cursor in)
{
	uint32_t taken = 0;

	assert_true(ctx->raw);
	for (; ctx->raw && cursor_left(&in) > 0; taken++) {
		struct toy_record *record = record_begin(ctx->record, &toy_table);

		record->len = cursor_u8(&in);
		ctx->raw = record->len != 'E';
		if (ctx->raw)
			proto_deliver(ctx, PROTO_MATCH, 0);
	}
	return taken;
}

static void
toy_gap(struct proto_ctx *ctx, uint32_t missing)
{
	ctx->raw = ctx->raw && missing < 100;
}

static void
toy_end(struct proto_ctx *ctx)
{
	assert_true(ctx->ending);
	proto_event(ctx, 0);
}

static const struct proto toy = {
	.app = { .name = "toy", .record = &toy_table, .events = toy_events, .event_count = 1 },
	.transports = PROTO_TCP | PROTO_UDP | PROTO_ETHERNET, .ports = toy_ports, .ether_types = toy_ether_types, .pdu_len_min = 2, .probe = toy_probe, .frame = toy_frame,
	.parse = toy_parse, .raw = toy_raw, .gap = toy_gap, .end = toy_end, .state_len = sizeof(uint32_t),
};
static const struct proto *const toys[] = { &toy, NULL };

struct bench {
	struct config *config;
	struct proto_settings *settings;
	struct slab *slab;
	struct proto_engine *engine;
	char log[4096]; /* what was delivered: body lengths, behind 'u' where no rule reads, '!' for an event alone, 'g' and a count for garbage */
};

static void
on_deliver(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	struct bench *bench = ctx->owner;

	if (proto_is_unread(ctx, ctx->to_server))
		strcat(bench->log, "u");
	if (ctx->record->len == 0)
		strcat(bench->log, "!");
	else
		sprintf(bench->log + strlen(bench->log), "%u ", ((const struct toy_record *)(const void *)ctx->record->base)->len);
	ctx->events = 0;
}

static void
on_garbage(void *owner, const struct proto_session *session, bool to_server, uint32_t len)
{
	struct bench *bench = owner;

	sprintf(bench->log + strlen(bench->log), "g%u ", len);
}

static void
setup(struct bench *bench, const char *set)
{
	struct config_error err;

	memset(bench, 0, sizeof(*bench));
	assert_int_equal(config_load(&bench->config, NULL, &err), 0);
	if (set != NULL)
		assert_int_equal(config_set(bench->config, set, &err), 0);
	assert_int_equal(proto_settings_create(&bench->settings, toys, bench->config, &err), 0);
	assert_int_equal(slab_create(&bench->slab, 1), 0);
	assert_int_equal(proto_engine_create(&bench->engine, bench->settings, bench->slab, on_deliver, on_garbage, bench), 0);
}

static void
teardown(struct bench *bench)
{
	proto_engine_destroy(bench->engine);
	slab_destroy(bench->slab);
	proto_settings_destroy(bench->settings);
	config_destroy(bench->config);
}

static uint32_t
feed(struct bench *bench, struct proto_session *session, const char *data, uint32_t len, uint32_t missing)
{
	struct proto_input input = { .data = (const uint8_t *)data, .len = len, .missing = missing, .sport = 1000, .dport = 7,
		.to_server = true, .tcp = true };

	return proto_session_data(bench->engine, session, &input);
}

static void
pdus_come_whole(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };

	setup(&bench, NULL);
	assert_int_equal(feed(&bench, &session, "P", 1, 0), 0); /* too few to recognise */
	assert_int_equal(feed(&bench, &session, "P\x03" "abcP\x01xP\x05", 10, 0), 8);
	assert_int_equal(feed(&bench, &session, "P\x05" "abcdeP\x00", 9, 0), 9);
	assert_string_equal(bench.log, "3 1 5 !");
	proto_session_end(bench.engine, &session, 0);
	assert_string_equal(bench.log, "3 1 5 !!");
	assert_int_equal(slab_used(bench.slab), 0);
	teardown(&bench);
}

/* Bytes that a probe waits with may be no one's: what begins behind them is found all the same, and not taken for garbage. */
static void
found_behind_what_waited(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };

	setup(&bench, NULL);
	assert_int_equal(feed(&bench, &session, "x", 1, 0), 0);
	assert_int_equal(feed(&bench, &session, "xP\x01zP", 5, 0), 4);
	assert_int_equal(feed(&bench, &session, "P\x02zz", 4, 0), 4);
	assert_string_equal(bench.log, "1 2 ");
	proto_session_end(bench.engine, &session, 0);
	/* not where bytes are lost between */
	session = (struct proto_session){ 0 };
	bench.log[0] = '\0';
	assert_int_equal(feed(&bench, &session, "x", 1, 0), 0);
	assert_int_equal(feed(&bench, &session, "zP\x01z", 4, 3), 4);
	assert_int_equal(session.found, PROTO_UNKNOWN);
	proto_session_end(bench.engine, &session, 0);
	teardown(&bench);
}

static uint32_t
answer(struct bench *bench, struct proto_session *session, const char *data, uint32_t len)
{
	struct proto_input input = { .data = (const uint8_t *)data, .len = len, .sport = 1000, .dport = 7, .tcp = true };

	return proto_session_data(bench->engine, session, &input);
}

/* The other direction's bytes that waited came before the first PDU: none of the protocol, unless they begin one. */
static void
what_waited_on_the_other_side(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };
	struct counter_set sets[4];

	setup(&bench, NULL);
	assert_true(proto_engine_counters(bench.engine, sets, 4) > 0);
	assert_int_equal(answer(&bench, &session, "x", 1), 0);
	assert_int_equal(feed(&bench, &session, "P\x01x", 3, 0), 3);
	assert_int_equal(answer(&bench, &session, "xP\x02yyP", 6), 5);
	assert_string_equal(bench.log, "1 2 ");
	assert_int_equal(counter_get(&sets[0].values[PROTO_COUNTER_UNDETECTED_BYTES]), 1);
	proto_session_end(bench.engine, &session, 0);
	bench.log[0] = '\0';
	assert_int_equal(answer(&bench, &session, "P", 1), 0);
	assert_int_equal(feed(&bench, &session, "P\x01x", 3, 0), 3);
	assert_int_equal(answer(&bench, &session, "P\x02yy", 4), 4);
	assert_int_equal(answer(&bench, &session, "xP\x03yyy", 6), 6);
	assert_string_equal(bench.log, "1 2 g1 3 ");
	proto_session_end(bench.engine, &session, 0);
	teardown(&bench);
}

/* What stood before a protocol was recognised is counted, but not what was passed over in flows that never were. */
static void
undetected_bytes_are_counted(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };
	struct counter_set sets[4];

	setup(&bench, NULL);
	assert_true(proto_engine_counters(bench.engine, sets, 4) > 0);
	assert_int_equal(feed(&bench, &session, "zzzzz", 5, 0), 5);
	assert_int_equal(counter_get(&sets[0].values[PROTO_COUNTER_UNDETECTED_BYTES]), 0);
	assert_int_equal(feed(&bench, &session, "P\x01x", 3, 0), 3);
	assert_string_equal(bench.log, "1 ");
	assert_int_equal(counter_get(&sets[0].values[PROTO_COUNTER_UNDETECTED_BYTES]), 5);
	proto_session_end(bench.engine, &session, 0);
	assert_int_equal(feed(&bench, &session, "zzzzz", 5, 0), 5);
	proto_session_end(bench.engine, &session, 0);
	assert_int_equal(counter_get(&sets[0].values[PROTO_COUNTER_UNDETECTED_BYTES]), 5);
	teardown(&bench);
}

static void
garbage_and_loss_are_left_behind(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };

	setup(&bench, NULL);
	assert_int_equal(feed(&bench, &session, "P\x01xzzzP\x02yy", 10, 0), 10);
	assert_string_equal(bench.log, "1 g3 2 ");
	bench.log[0] = '\0';
	assert_int_equal(feed(&bench, &session, "yyP\x02yy", 6, 100), 6);
	assert_string_equal(bench.log, "g2 2 ");
	proto_session_end(bench.engine, &session, 0);
	teardown(&bench);
}

static void
raw_bytes_come_as_they_are(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };

	setup(&bench, NULL);
	assert_int_equal(feed(&bench, &session, "P\x08" "abcdefghPP", 12, 0), 12);
	assert_string_equal(bench.log, "8 80 80 ");
	bench.log[0] = '\0';
	assert_int_equal(feed(&bench, &session, "PEP\x01x", 5, 0), 5);
	assert_string_equal(bench.log, "80 1 ");
	bench.log[0] = '\0';
	assert_int_equal(feed(&bench, &session, "P\x08" "abcdefgh", 10, 0), 10);
	assert_int_equal(feed(&bench, &session, "A", 1, 99), 1); /* the protocol says that a small loss is none of its end */
	assert_int_equal(feed(&bench, &session, "P\x01xE", 4, 100), 4);
	assert_string_equal(bench.log, "8 65 1 ");
	proto_session_end(bench.engine, &session, 0);
	teardown(&bench);
}

static void
who_is_not_read_knows(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };

	setup(&bench, NULL);
	(void)feed(&bench, &session, "P\x01x", 3, 0);
	proto_engine_set_unread(bench.engine, 0, false, true);
	(void)feed(&bench, &session, "P\x02xx", 4, 0);
	proto_engine_set_unread(bench.engine, 0, true, true);
	(void)feed(&bench, &session, "P\x03xxx", 5, 0);
	proto_engine_set_unread(bench.engine, 0, true, false);
	(void)feed(&bench, &session, "P\x04xxxx", 6, 0);
	assert_string_equal(bench.log, "1 2 u3 4 ");
	proto_session_end(bench.engine, &session, 0);
	teardown(&bench);
}

static void
another_protocol_is_looked_for(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };

	setup(&bench, NULL);
	assert_int_equal(feed(&bench, &session, "P\x07" "abcdefgP\x01xx", 13, 0), 13);
	assert_string_equal(bench.log, "7 !1 ");
	assert_int_equal(session.found, PROTO_FOUND);
	assert_int_equal(feed(&bench, &session, "P\x07" "abcdefgxx", 11, 0), 11);
	assert_int_equal(session.found, PROTO_UNKNOWN);
	assert_int_equal(slab_used(bench.slab), 0);
	assert_int_equal(feed(&bench, &session, "yP", 2, 0), 2);
	proto_session_end(bench.engine, &session, 0);
	teardown(&bench);
}

static void
ethernet_is_told_by_its_type(void **state)
{
	struct proto_session session = { 0 };
	struct proto_link link = { .ether_type = 0x88b6 };
	struct proto_input input = { .data = (const uint8_t *)"P\x02xy", .len = 4, .to_server = true, .link = &link };
	struct bench bench;
	uint16_t types[2];

	setup(&bench, NULL);
	assert_int_equal(proto_settings_ether_types(bench.settings, types, 2), 1);
	assert_int_equal(types[0], 0x88b5);
	assert_int_equal(proto_session_data(bench.engine, &session, &input), 4);
	assert_string_equal(bench.log, "");
	link.ether_type = 0x88b5;
	assert_int_equal(proto_session_data(bench.engine, &session, &input), 4);
	assert_string_equal(bench.log, "2 ");
	proto_session_end(bench.engine, &session, 0);
	teardown(&bench);
}

static void
every_cut_gives_the_same(void **state)
{
	static const char data[] = "P\x03" "abcP\x01x??P\x04" "abcdP\x02zzP\x01y";
	const uint32_t len = sizeof(data) - 1;
	char want[256] = "";

	for (uint32_t cut = 0; cut <= len; cut++) {
		struct bench bench;
		struct proto_session session = { 0 };
		uint32_t at;

		setup(&bench, NULL);
		at = feed(&bench, &session, data, cut, 0);
		at += feed(&bench, &session, data + at, len - at, 0);
		assert_int_equal(at, len);
		if (cut == 0)
			strcpy(want, bench.log);
		assert_string_equal(bench.log, want);
		proto_session_end(bench.engine, &session, 0);
		teardown(&bench);
	}
	assert_string_equal(want, "3 1 g2 4 2 1 ");
}

static void
strangers_are_given_up(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };
	unsigned int tries = 0;

	setup(&bench, "app-layer.protocols.toy.detection-ports.dp=[9]");
	while (session.found != PROTO_GIVEN_UP) {
		assert_int_equal(feed(&bench, &session, "zz", 2, 0), 2);
		assert_true(++tries <= PROTO_DETECT_TRIES);
	}
	assert_int_equal(tries, PROTO_DETECT_TRIES);
	assert_null(session.proto);
	assert_true(proto_is_port(bench.engine, true, 9));
	assert_false(proto_is_port(bench.engine, true, 7));
	teardown(&bench);
	setup(&bench, "app-layer.protocols.toy.enabled=no");
	memset(&session, 0, sizeof(session));
	assert_int_equal(feed(&bench, &session, "P\x01x", 3, 0), 3);
	assert_int_equal(session.found, PROTO_UNKNOWN);
	teardown(&bench);
}

static void
full_memory_sheds_the_flow(void **state)
{
	struct bench bench;
	struct proto_session session = { 0 };

	setup(&bench, NULL);
	while (slab_alloc(bench.slab, 64) != NULL)
		;
	assert_int_equal(feed(&bench, &session, "P\x01x", 3, 0), 3);
	assert_int_equal(session.found, PROTO_GIVEN_UP);
	assert_non_null(session.proto); /* it was recognised: rules on what is not do not hold */
	assert_string_equal(bench.log, "");
	teardown(&bench);
}

static void
bad_ports_are_refused(void **state)
{
	struct proto_settings *settings;
	struct config *config;
	struct config_error err;

	assert_int_equal(config_load(&config, NULL, &err), 0);
	assert_int_equal(config_set(config, "app-layer.protocols.toy.detection-ports.dp=[99999]", &err), 0);
	assert_int_equal(proto_settings_create(&settings, toys, config, &err), -EINVAL);
	assert_non_null(strstr(err.text, "99999"));
	config_destroy(config);
}

/* What the protocol does not want is passed over, however it is cut, lost in part or followed by more. */
static void
unwanted_bytes_are_passed_over(void **state)
{
	static const char data[] = "P\x09" "123456789" "P\x01nopqrstu" "P\x01y";
	enum { LEN = sizeof(data) - 1 };

	for (uint32_t cut = 0; cut < LEN; cut++) {
		struct proto_session session = { 0 };
		struct bench bench;
		char rest[LEN];
		uint32_t done;

		setup(&bench, NULL);
		done = feed(&bench, &session, data, cut, 0);
		memcpy(rest, data + done, LEN - done);
		assert_int_equal(feed(&bench, &session, rest, LEN - done, 0), LEN - done);
		assert_string_equal(bench.log, "9 1 ");
		proto_session_end(bench.engine, &session, 0);
		teardown(&bench);
	}
	for (uint32_t lost = 1; lost <= 10; lost++) {
		struct proto_session session = { 0 };
		struct bench bench;

		setup(&bench, NULL);
		assert_int_equal(feed(&bench, &session, data, 11, 0), 11);
		feed(&bench, &session, data + 11 + lost, LEN - 11 - lost, lost);
		assert_string_equal(bench.log, "9 1 ");
		proto_session_end(bench.engine, &session, 0);
		teardown(&bench);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pdus_come_whole),
		cmocka_unit_test(found_behind_what_waited), cmocka_unit_test(what_waited_on_the_other_side),
		cmocka_unit_test(undetected_bytes_are_counted),
		cmocka_unit_test(garbage_and_loss_are_left_behind),
		cmocka_unit_test(every_cut_gives_the_same),
		cmocka_unit_test(ethernet_is_told_by_its_type),
		cmocka_unit_test(unwanted_bytes_are_passed_over),
		cmocka_unit_test(raw_bytes_come_as_they_are),
		cmocka_unit_test(who_is_not_read_knows),
		cmocka_unit_test(another_protocol_is_looked_for),
		cmocka_unit_test(strangers_are_given_up),
		cmocka_unit_test(full_memory_sheds_the_flow),
		cmocka_unit_test(bad_ports_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
