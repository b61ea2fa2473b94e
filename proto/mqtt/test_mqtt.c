/* MQTT: every packet, transactions, hostile input, the tables, the keywords, Sparkplug. */
#include "test/test.h"

#include <errno.h>

#include "lib/base/buf.h"
#include "proto/mqtt/mqtt.h"

extern const struct proto mqtt_proto;

enum { DELIVERED_MAX = 2048, JSON_LEN_MAX = 512 * 1024, DATA_MAX = 64 * 1024 };

/* One worker's and one flow's share, and what was delivered. */
struct rig {
	struct proto_ctx ctx;
	struct mqtt_state state;
	struct mqtt_config config;
	struct record_builder builder;
	_Atomic uint64_t counters[MQTT_COUNTER_COUNT];
	struct slab *slab;
	struct record_writer *writer;
	struct record_writer *identity_writer;
	struct buf json;       /* of the last record that was written or shown to the rules */
	struct buf identity;   /* of the last identity */
	unsigned int count;
	unsigned int flags[DELIVERED_MAX];
	uint32_t tx_ids[DELIVERED_MAX];
	uint64_t events;       /* of all deliveries */
	bool to_server_last;
	_Alignas(8) uint8_t area[RECORD_LEN_MAX];
	_Alignas(8) uint8_t matched[RECORD_LEN_MAX]; /* the last record that the rules saw */
};

static struct rig *rig;

#define SERVER false
#define CLIENT true

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	struct buf *json = flags == PROTO_IDENTITY ? &rig->identity : &rig->json;

	assert_ptr_equal(ctx->owner, rig);
	assert_true(rig->count < DELIVERED_MAX);
	rig->flags[rig->count] = flags;
	rig->tx_ids[rig->count++] = tx_id;
	rig->events |= ctx->events;
	rig->to_server_last = ctx->to_server;
	ctx->events = 0;
	if (flags & PROTO_MATCH)
		memcpy(rig->matched, ctx->record->base, ctx->record->len);
	buf_reset(json);
	record_write_json(flags == PROTO_IDENTITY ? rig->identity_writer : rig->writer, json, ctx->record->base,
		ctx->record->len);
	buf_putc(json, '\0');
	assert_false(json->full);
}

static int
rig_create(void **state)
{
	(void)state;
	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_int_equal(slab_create(&rig->slab, 4 << 20), 0);
	assert_int_equal(record_writer_create(&rig->writer, &mqtt_table), 0);
	assert_int_equal(record_writer_create(&rig->identity_writer, &identity_table), 0);
	assert_int_equal(buf_create(&rig->json, JSON_LEN_MAX), 0);
	assert_int_equal(buf_create(&rig->identity, JSON_LEN_MAX), 0);
	record_builder_init(&rig->builder, rig->area, sizeof(rig->area));
	rig->config = (struct mqtt_config){ .message_len_max = 1 << 20, .text_len_max = 1024, .open_max = 1024,
		.subscribe_topics = 100, .unsubscribe_topics = 100, .passwords = true };
	rig->ctx = (struct proto_ctx){ .proto = &mqtt_proto, .config = &rig->config, .state = &rig->state,
		.slab = rig->slab, .record = &rig->builder, .counters = rig->counters, .ts_ns = UINT64_C(1000000000000),
		.tcp = true, .deliver = collect, .owner = rig };
	return 0;
}

static void
rig_end(void)
{
	rig->ctx.ending = true;
	mqtt_proto.end(&rig->ctx);
	rig->ctx.ending = false;
	assert_int_equal(rig->state.open_count, 0);
	assert_null(rig->state.oldest);
	assert_null(rig->state.newest);
	assert_int_equal(slab_used(rig->slab), 0);
}

static int
rig_destroy(void **state)
{
	(void)state;
	rig_end();
	slab_destroy(rig->slab);
	record_writer_destroy(rig->writer);
	record_writer_destroy(rig->identity_writer);
	buf_destroy(&rig->json);
	buf_destroy(&rig->identity);
	free(rig);
	return 0;
}

static void
rig_renew(void)
{
	rig_end();
	memset(&rig->state, 0, sizeof(rig->state));
	memset((void *)rig->counters, 0, sizeof(rig->counters));
	rig->count = 0;
	rig->events = 0;
}

/* Hex, with spaces for the reader; text between quotes is itself; (...) stands behind a byte that is its length. */
static size_t
bytes_of(const char *text, uint8_t *out, size_t cap)
{
	size_t open[4], depth = 0;
	size_t len = 0;
	bool quoted = false;

	for (; *text != '\0'; text++) {
		unsigned int byte;

		assert_true(len < cap);
		if (!quoted && *text == '(') {
			assert_true(depth < TEST_COUNT(open));
			open[depth++] = len++;
		} else if (!quoted && *text == ')') {
			assert_true(depth > 0 && len - open[depth - 1] <= 128);
			depth--;
			out[open[depth]] = (uint8_t)(len - open[depth] - 1);
		} else if (*text == '\'') {
			quoted = !quoted;
		} else if (quoted) {
			out[len++] = (uint8_t)*text;
		} else if (*text != ' ') {
			assert_int_equal(sscanf(text, "%2x", &byte), 1);
			out[len++] = (uint8_t)byte;
			text++;
		}
	}
	assert_int_equal(depth, 0);
	return len;
}

/* Whole packets, framed and parsed as the session does it. The bytes stand at the end of a heap block, so that the
 * sanitizer sees every read beyond them. */
static void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	struct cursor in;

	assert_non_null(copy);
	memcpy(copy, data, len);
	in = cursor_of(copy, len);
	rig->ctx.to_server = to_server;
	while (cursor_left(&in) > 0) {
		int pdu_len = mqtt_proto.frame(in, to_server);

		assert_true(pdu_len > 0);
		rig->ctx.events = 0;
		rig->ctx.skip_len = 0;
		mqtt_proto.parse(&rig->ctx, cursor_sub(&in, (size_t)pdu_len));
		assert_false(in.short_read);
		assert_int_equal(rig->ctx.to_server, to_server);
		if (rig->ctx.skip_len > cursor_left(&in))
			break;
		cursor_skip(&in, rig->ctx.skip_len);
	}
	free(copy);
}

static void
feed(const char *text, bool to_server)
{
	static uint8_t data[DATA_MAX];

	feed_bytes(data, bytes_of(text, data, sizeof(data)), to_server);
}

/* Pieces of both directions: "> HEX" from the client, "< HEX" from the server. */
static void
talk(const char *script)
{
	char piece[1024];

	while (*script != '\0') {
		bool to_server = *script == '>';
		size_t len = strcspn(script + 1, "<>");

		assert_true((*script == '<' || to_server) && len < sizeof(piece));
		memcpy(piece, script + 1, len);
		piece[len] = '\0';
		feed(piece, to_server);
		script += 1 + len;
	}
}

static bool
saw(enum mqtt_event event)
{
	return (rig->events >> event & 1) != 0;
}

static void
assert_has(const struct buf *json, const char *text)
{
	if (strstr(json->data, text) == NULL)
		fail_msg("no %s in %s", text, json->data);
}

#define assert_json_has(text) assert_has(&rig->json, text)
#define E(event) (UINT64_C(1) << MQTT_EVENT_##event)

static const char connect_311[] = "10 (0004 'MQTT' 04 c2 003c 0002 'P1' 0001 'u' 0001 'p')";
static const char connect_5[] = "10 (0004 'MQTT' 05 02 003c 03 210014 0001 'c')";
static const char connack_311[] = "20 (0000)";
static const char connack_5[] = "20 (0000 03 22000a)";

static void
greet(const char *connect, const char *connack)
{
	feed(connect, CLIENT);
	feed(connack, SERVER);
}

/* One exchange behind the greeting: how many deliveries it makes, what the last record says, what is named. */
static const struct {
	const char *name;
	bool v5;
	const char *script;
	unsigned int deliveries;
	const char *has;
	uint64_t events;
} exchanges[] = {
	{ "qos 0", false, "> 30 (0003 't/a' '21C')", 1,
		"{\"publish\":{\"qos\":0,\"retain\":false,\"dup\":false,\"topic\":\"t/a\",\"message\":\"21C\",\"message_length\":3}}", 0 },
	{ "retained", false, "> 31 (0003 't/a' '1')", 1, "\"retain\":true", 0 },
	{ "from the server", false, "< 30 (0003 't/a' '1')", 1, "\"message\":\"1\"", 0 },
	{ "qos 1", false, "> 32 (0003 't/a' 0007 '21C') < 40 (0007)", 3,
		"\"message_id\":7,\"message\":\"21C\",\"message_length\":3},\"puback\":{\"qos\":0,\"retain\":false,\"dup\":false,\"message_id\":7}", 0 },
	{ "qos 1 to the client", false, "< 32 (0003 't/a' 0007 '21C') > 40 (0007)", 3, "\"puback\"", 0 },
	{ "qos 2", false, "> 34 (0003 't/a' 0007 '1') < 50 (0007) > 62 (0007) < 70 (0007)", 5,
		"\"pubrec\":{\"qos\":0,\"retain\":false,\"dup\":false,\"message_id\":7},\"pubrel\":{\"qos\":1,\"retain\":false,\"dup\":false,"
		"\"message_id\":7},\"pubcomp\":{\"qos\":0,\"retain\":false,\"dup\":false,\"message_id\":7},\"response_time_us\":0}", 0 },
	{ "one id both ways", false, "> 32 (0003 't/a' 0007 'x') < 32 (0003 't/a' 0007 'y') > 40 (0007) < 40 (0007)", 6,
		"\"message\":\"x\"", 0 },
	{ "subscribe", false, "> 82 (0001 0003 'a/#' 01 0002 'bc' 00) < 90 (0001 01 80)", 3, "\"qos_granted\":[1,128]", 0 },
	{ "filters", false, "> 82 (0001 0003 'a/#' 01 0002 'bc' 00) < 90 (0001 01 80)", 3,
		"\"topics\":[{\"topic\":\"a/#\",\"qos\":1},{\"topic\":\"bc\",\"qos\":0}],\"topic_count\":2}", 0 },
	{ "unsubscribe", false, "> a2 (0002 0003 'a/#' 0002 'bc') < b0 (0002)", 3, "\"topics\":[\"a/#\",\"bc\"]", 0 },
	{ "unsuback alone", false, "< b0 (0009)", 1, "\"unsuback\"", E(MISSING_UNSUBSCRIBE) },
	{ "suback alone", false, "< 90 (0009 00)", 1, "\"suback\"", E(MISSING_SUBSCRIBE) },
	{ "puback alone", false, "< 40 (0009)", 1, "\"puback\"", E(MISSING_PUBLISH) },
	{ "pubrel alone", false, "> 62 (0009)", 1, "\"pubrel\"", E(MISSING_PUBLISH) },
	{ "connack alone", false, "< 20 (0000)", 1, "\"connack\"", E(MISSING_CONNECT) },
	{ "ping", false, "> c0 ()< d0 00", 2, "{\"pingresp\":{\"qos\":0,\"retain\":false,\"dup\":false}}", 0 },
	{ "disconnect", false, "> e0 00", 1, "{\"disconnect\":{\"qos\":0,\"retain\":false,\"dup\":false}}", 0 },
	{ "second connect", false, "> 10 (0004 'MQTT' 04 c2 003c 0002 'P1' 0001 'u' 0001 'p') < 20 (0005)", 3,
		"\"return\":\"not authorized\"", E(DOUBLE_CONNECT) },
	{ "qos 3", false, "> 36 (0003 't/a' 0007 '1')", 1, "\"qos\":3", E(INVALID_QOS_LEVEL) },
	{ "id 0", false, "> 32 (0003 't/a' 0000 '1')", 1, "\"message_id\":0", E(MISSING_MSG_ID) },
	{ "wildcard", false, "> 30 (0003 't/#')", 1, "\"topic\":\"t/#\"", E(INVALID_TOPIC) },
	{ "no topic", false, "> 30 (0000 '1')", 1, "\"topic\":\"\"", E(INVALID_TOPIC) },
	{ "filter qos 3", false, "> 82 (0001 0003 'a/#' 03)", 1, "\"qos\":3", E(INVALID_QOS_LEVEL) },
	{ "filter cut", false, "> 82 (0001 0005 'abc')", 1, "\"subscribe\"", E(MALFORMED_TRAFFIC) },
	{ "wrong end", false, "< c0 ()< c0 00", 2, "\"pingreq\"", E(WRONG_DIRECTION) },
	{ "unassigned", false, "> 00 (0003 't/a' '21C')", 1, "\"unassigned\"", E(UNASSIGNED_MSG_TYPE) },
	{ "behind the end", false, "> 10 (0004 'MQTT' 04 02 003c 0002 'P1' 07) < 20 (0000)", 3, "\"client_id\":\"P1\"",
		E(DOUBLE_CONNECT) | E(TRAILING_BYTES) },
	{ "id again", false, "> 32 (0003 't/a' 0007 '1') > 32 (0003 't/a' 0007 '2') < 40 (0007)", 5, "\"message\":\"2\"",
		E(REUSED_MSG_ID) },
	{ "sent again", false, "> 32 (0003 't/a' 0007 '1') > 3a (0003 't/a' 0007 '1') < 40 (0007)", 5, "\"dup\":true", 0 },
	{ "v5 properties", true, "> 30 (0001 't' 0f 26 0001 'k' 0002 'vv' 02 00000e10 0101 '2112')", 1,
		"\"properties\":{\"payload_format_indicator\":1,\"message_expiry_interval\":3600,\"user_properties\":[{\"name\":\"k\",\"value\":\"vv\"}]}", 0 },
	{ "v5 alias", true, "> 30 (0000 03 230002 '1')", 1, "\"topic_alias\":2", 0 },
	{ "v5 response", true, "> 30 (0001 't' 12 08 0003 'a/b' 09 0002 'id' 0b 8101 03 0001 'x')", 1,
		"\"response_topic\":\"a/b\",\"correlation_data\":\"id\",\"subscription_identifier\":129}", 0 },
	{ "v5 unknown", true, "> 30 (0001 't' 02 7f00 '1')", 1, "\"message\":\"1\"", E(INVALID_PROPERTY) },
	{ "v5 twice", true, "> 30 (0001 't' 04 0101 0100 '1')", 1, "\"message\":\"1\"", E(INVALID_PROPERTY) },
	{ "v5 misplaced", true, "> 30 (0001 't' 03 210001 '1')", 1, "\"message\":\"1\"", E(INVALID_PROPERTY) },
	{ "v5 cut property", true, "> 30 (0001 't' 02 0200)", 1, "\"topic\":\"t\"", E(INVALID_PROPERTY) },
	{ "v5 cut properties", true, "> 30 (0001 't' 09 0200)", 1, "\"publish\"", E(MALFORMED_TRAFFIC) },
	{ "v5 puback", true, "> 32 (0001 't' 0007 00 '1') < 40 (0007 10)", 3,
		"\"reason_code\":16,\"reason\":\"no matching subscribers\"}", 0 },
	{ "v5 reason", true, "> 32 (0001 't' 0007 00 '1') < 40 (0007 83 05 1f 0002 'no')", 3, "\"reason_string\":\"no\"", 0 },
	{ "v5 refused", true, "> 34 (0001 't' 0007 00 '1') < 50 (0007 97)", 3, "\"quota exceeded\"", 0 },
	{ "v5 subscribe", true, "> 82 (0001 02 0b05 0002 'a+' 2e) < 90 (0001 00 02)", 3,
		"\"topics\":[{\"topic\":\"a+\",\"qos\":2,\"no_local\":true,\"retain_as_published\":true,\"retain_handling\":2}]", 0 },
	{ "v5 unsubscribe", true, "> a2 (0002 00 0001 'a') < b0 (0002 00 11)", 3, "\"reason_codes\":[17]", 0 },
	{ "v5 disconnect", true, "> e0 (04)", 1, "\"reason_code\":0,\"reason_raw\":4,\"reason\":\"disconnect with will message\"", 0 },
	{ "v5 server ends", true, "< e0 (8b 00)", 1, "\"reason_code\":139", 0 },
	{ "v5 auth", true, "> f0 (18 07 15 0004 'SCRM')", 1, "\"authentication_method\":\"SCRM\"", 0 },
};

static void
test_exchanges(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(exchanges); i++) {
		rig_renew();
		greet(exchanges[i].v5 ? connect_5 : connect_311, exchanges[i].v5 ? connack_5 : connack_311);
		assert_int_equal(rig->count, 3);
		assert_int_equal(rig->events, 0);
		talk(exchanges[i].script);
		if (rig->events != exchanges[i].events || rig->count != 3 + exchanges[i].deliveries)
			fail_msg("%s: events %llx, deliveries %u: %s", exchanges[i].name, (unsigned long long)rig->events,
				rig->count - 3, rig->json.data);
		assert_json_has(exchanges[i].has);
	}
}

/* A CONNECT with all that it may have, in both versions. */
static void
test_connect(void **state)
{
	(void)state;
	feed("10 (0004 'MQTT' 04 ee 003c 0002 'P1' 0004 'will' 0004 'gone' 0004 'user' 0004 'pass')", CLIENT);
	assert_json_has("\"flags\":{\"username\":true,\"password\":true,\"will_retain\":true,\"will\":true,\"clean_session\":true},"
		"\"username\":\"user\",\"password\":\"pass\",\"will\":{\"topic\":\"will\",\"message\":\"gone\",\"qos\":1}");
	assert_int_equal(rig->events, 0);
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_HOLD);
	rig_renew();
	rig->config.passwords = false;
	feed("10 (0004 'MQTT' 05 c6 003c 05 1100000064 0002 'P1' 05 1800000005 0001 'w' 0001 'm' 0001 'u' 0001 'p' 0001)", CLIENT);
	assert_json_has("\"will\":{\"topic\":\"w\",\"message\":\"m\",\"qos\":0,\"properties\":{\"will_delay_interval\":5}}");
	assert_null(strstr(rig->json.data, "\"password\":\"p\""));
	assert_int_equal(rig->events, E(TRAILING_BYTES));
	rig_renew();
	feed("10 (0004 'MQTT' 07 02 003c 0002 'P1')", CLIENT);
	assert_int_equal(rig->events, E(UNKNOWN_VERSION));
	rig_renew();
	feed("10 (0004 'MQTT' 84 03 003c 0002 'P1')", CLIENT);
	assert_int_equal(rig->events, E(INVALID_CONNECT_FLAGS));
	assert_int_equal(rig->state.version, MQTT_VERSION_3_1_1);
	rig_renew();
	feed("10 (0006 'MQIsdp' 03 02 003c 0002 'P1')", CLIENT);
	assert_json_has("\"protocol_string\":\"MQIsdp\",\"protocol_version\":3");
}

/* A connection seen from its middle: the version shows, and what cannot be known is not blamed. */
static void
test_midstream(void **state)
{
	(void)state;
	feed("40 (0001)", SERVER);
	assert_int_equal(rig->events, 0);
	feed("30 (0003 't/a' '21C')", CLIENT);
	assert_json_has("\"message\":\"21C\"");
	feed("40 (0001 10)", SERVER);
	assert_int_equal(rig->state.version, MQTT_VERSION_5);
	assert_int_equal(rig->events, 0);
	rig_renew();
	feed(connack_5, SERVER);
	assert_int_equal(rig->events, E(MISSING_CONNECT));
	feed("30 (0001 't' 00 '121')", CLIENT);
	assert_json_has("\"message\":\"121\"");
	assert_int_equal(rig->events, E(MISSING_CONNECT));
}

/* Once, however many come before the CONNACK. */
static void
test_unintroduced(void **state)
{
	(void)state;
	feed(connect_311, CLIENT);
	feed("30 (0003 't/a' '21C')", CLIENT);
	assert_int_equal(rig->events, E(UNINTRODUCED_MESSAGE));
	rig->events = 0;
	feed("30 (0003 't/a' '21C')", CLIENT);
	assert_int_equal(rig->events, 0);
}

/* What waits when the flow ends, or when too much waits, is written as it is. */
static void
test_unanswered(void **state)
{
	(void)state;
	rig->config.open_max = 2;
	greet(connect_311, connack_311);
	for (unsigned int i = 1; i <= 4; i++) {
		uint8_t publish[] = { 0x32, 7, 0, 1, 't', 0, (uint8_t)i, '2', '1' };

		feed_bytes(publish, sizeof(publish), CLIENT);
	}
	assert_int_equal(rig->state.open_count, 2);
	assert_int_equal(rig->events, E(TOO_MANY_TRANSACTIONS));
	rig->count = 0;
	rig_end();
	assert_int_equal(rig->count, 2);
	assert_int_equal(rig->flags[1], PROTO_EMIT);
	assert_int_equal(rig->tx_ids[1], 5);
	assert_true(rig->to_server_last);
	assert_int_equal(counter_get(&rig->counters[MQTT_COUNT_UNANSWERED]), 4);
}

/* Without memory a transaction is written at once. */
static void
test_shed(void **state)
{
	(void)state;
	rig->ctx.slab = NULL;
	feed(connect_311, CLIENT);
	assert_int_equal(rig->count, 2);
	assert_int_equal(rig->flags[1], PROTO_EMIT);
	feed("30 (0011 'spBv1.0/g/NBIRTH/n' 00 '2112')", CLIENT);
	assert_int_equal(counter_get(&rig->counters[MQTT_COUNT_SHED]), 1);
	rig->ctx.slab = rig->slab;
}

/* A message of len bytes of 'X' under the topic "t", in one buffer. */
static size_t
long_publish(uint8_t *out, uint8_t first, uint32_t len)
{
	uint32_t remaining = len + 3 + ((first & 6) != 0 ? 2 : 0);
	size_t at = 0;

	out[at++] = first;
	do {
		out[at++] = (uint8_t)((remaining & 0x7f) | (remaining > 0x7f ? 0x80 : 0));
		remaining >>= 7;
	} while (remaining > 0);
	memcpy(out + at, "\0\1t", 3);
	at += 3;
	if ((first & 6) != 0) {
		memcpy(out + at, "\0\5", 2);
		at += 2;
	}
	memset(out + at, 'X', len);
	return at + len;
}

/* Long payloads: whole for the rules, cut for the event; too long ones are passed over. */
static void
test_long(void **state)
{
	static uint8_t data[200000];
	const struct mqtt_message *seen;
	size_t len;

	(void)state;
	greet(connect_311, connack_311);
	rig->config.text_len_max = 10;
	len = long_publish(data, 0x30, 100);
	rig->count = 0;
	feed_bytes(data, len, CLIENT);
	assert_int_equal(rig->count, 2);
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_HOLD);
	assert_int_equal(rig->flags[1], PROTO_EMIT);
	assert_int_equal(rig->tx_ids[0], rig->tx_ids[1]);
	assert_json_has("\"message\":\"XXXXXXXXXX[truncated 90 additional bytes]\",\"message_length\":100");
	seen = (const void *)(rig->matched + ((struct mqtt_record *)rig->matched)->current);
	assert_int_equal(seen->payload.count, 100);
	len = long_publish(data, 0x32, 100000);
	assert_int_equal(mqtt_proto.frame(cursor_of(data, 100), true), MQTT_PDU_LEN_MAX);
	feed_bytes(data, len, CLIENT);
	assert_int_equal(rig->ctx.skip_len, len - MQTT_PDU_LEN_MAX);
	feed("40 (0005)", SERVER);
	assert_json_has("[truncated 99990 additional bytes]\",\"message_length\":100000},\"puback\"");
	assert_int_equal(rig->events, 0);
	rig->config.message_len_max = 500;
	len = long_publish(data, 0x30, 1000);
	feed_bytes(data, len, CLIENT);
	assert_json_has("\"truncated\":true,\"skipped_length\":1006,\"topic\":\"t\"}");
	assert_int_equal(rig->events, E(MESSAGE_TRUNCATED));
	assert_int_equal(counter_get(&rig->counters[MQTT_COUNT_TRUNCATED]), 1);
}

/* Filters beyond the limit are counted. */
static void
test_limits(void **state)
{
	(void)state;
	greet(connect_311, connack_311);
	rig->config.subscribe_topics = 1;
	rig->config.unsubscribe_topics = 0;
	feed("82 (0001 0003 'a/#' 01 0002 'bc' 00)", CLIENT);
	assert_json_has("\"topics\":[{\"topic\":\"a/#\",\"qos\":1}],\"topic_count\":2");
	feed("a2 (0002 0003 'a/#' 0002 'bc')", CLIENT);
	assert_json_has("\"topics\":[],\"topic_count\":2");
}

/* Every sample cut at every length: the rest is awaited, or the packet is told as malformed; nothing is read beyond. */
static void
test_cut(void **state)
{
	static uint8_t data[DATA_MAX];
	char script[1024];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(exchanges); i++) {
		size_t part = strcspn(exchanges[i].script + 1, "<>");
		size_t len;

		memcpy(script, exchanges[i].script + 1, part);
		script[part] = '\0';
		len = bytes_of(script, data, sizeof(data));
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = malloc(cut == 0 ? 1 : cut);

			memcpy(copy, data, cut);
			(void)mqtt_proto.probe(cursor_of(copy, cut), true, true);
			(void)mqtt_proto.sender_is_server(cursor_of(copy, cut));
			assert_true(mqtt_proto.frame(cursor_of(copy, cut), true) >= 0);
			/* The same bytes as a whole packet of a smaller length. */
			if (cut >= 2 && cut < 129) {
				copy[1] = (uint8_t)(cut - 2);
				if (mqtt_proto.frame(cursor_of(copy, cut), true) == (int)cut)
					feed_bytes(copy, cut, true);
			}
			rig_renew();
			rig->state.version = exchanges[i].v5 ? MQTT_VERSION_5 : 0;
			free(copy);
		}
	}
}

/* Each byte of each sample at its extremes. */
static void
test_extremes(void **state)
{
	static const uint8_t extremes[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	static uint8_t data[DATA_MAX];
	char script[1024];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(exchanges); i++) {
		size_t part = strcspn(exchanges[i].script + 1, "<>");
		size_t len;

		memcpy(script, exchanges[i].script + 1, part);
		script[part] = '\0';
		len = bytes_of(script, data, sizeof(data));
		for (size_t at = 2; at < len; at++)
			for (size_t j = 0; j < TEST_COUNT(extremes); j++) {
				uint8_t kept = data[at];

				data[at] = extremes[j];
				rig_renew();
				rig->state.version = exchanges[i].v5 ? MQTT_VERSION_5 : 0;
				if (mqtt_proto.frame(cursor_of(data, len), true) == (int)len)
					feed_bytes(data, len, true);
				data[at] = kept;
			}
	}
}

static const struct {
	const char *bytes;
	int len;
} frames[] = {
	{ "", 0 }, { "10", 0 }, { "30 ff", 0 }, { "30 ffffff", 0 }, { "30 ffffffff", -EBADMSG },
	{ "10 0c 0004 'MQTX'", -EBADMSG }, { "10 0c 0005", -EBADMSG }, { "11 0c", -EBADMSG }, { "10 04 0004", -EBADMSG },
	{ "10 0c 0004 'MQTT' 04", 14 }, { "20 02 0000", 4 }, { "20 02 0200", -EBADMSG }, { "20 02 0006", -EBADMSG },
	{ "20 01 00", -EBADMSG }, { "c0 00", 2 }, { "c0 01", -EBADMSG }, { "d0 00", 2 }, { "30 05 0004", -EBADMSG },
	{ "30 05 0003 01", -EBADMSG }, { "40 02", 4 }, { "40 03 0001 50", -EBADMSG }, { "e0 01 50", -EBADMSG },
	{ "00 00", -EBADMSG }, { "00 06 0003 't/a'", 8 }, { "00 05 0001 't'", -EBADMSG }, { "'GET / HTTP/1.1'", -EBADMSG },
	{ "'SSH-2.0-OpenSSH'", -EBADMSG }, { "'220 mail ready'", -EBADMSG }, { "1603010200", -EBADMSG },
	{ "300c 0201 01 6007 020103 0400 8000", -EBADMSG },
};

static void
test_frame(void **state)
{
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(frames); i++) {
		size_t len = bytes_of(frames[i].bytes, data, sizeof(data));
		int got = mqtt_proto.frame(cursor_of(data, len), true);

		if (got != frames[i].len)
			fail_msg("%s: %d", frames[i].bytes, got);
	}
}

static const struct {
	const char *bytes;
	enum proto_probe off_port, on_port;
	int server;
} probes[] = {
	{ "10 0c 0004 'MQTT' 04 02", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
	{ "10 0c 0004 'MQ'", PROTO_PROBE_MORE, PROTO_PROBE_MORE, -1 },
	{ "20 02 0000", PROTO_PROBE_NO, PROTO_PROBE_YES, 1 },
	{ "c0 00", PROTO_PROBE_NO, PROTO_PROBE_YES, 0 },
	{ "30 08 0003 't/a' '21C'", PROTO_PROBE_YES, PROTO_PROBE_YES, -1 },
	{ "30 08 0003 't/a' '2'", PROTO_PROBE_MORE, PROTO_PROBE_YES, -1 },
	{ "40 02 0001 30 08 0003 't/a' '2'", PROTO_PROBE_YES, PROTO_PROBE_YES, -1 },
	{ "82 08 0001 0003 'a/#' 00", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
	{ "90 03 0001 00", PROTO_PROBE_NO, PROTO_PROBE_YES, 1 },
	{ "'GET / HTTP/1.1'", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
	{ "300c 0201 01 6007 020103 0400 8000", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
	{ "0000 0000 0006 01 03", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
};

static void
test_probe(void **state)
{
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(probes); i++) {
		size_t len = bytes_of(probes[i].bytes, data, sizeof(data));

		if (mqtt_proto.probe(cursor_of(data, len), true, false) != probes[i].off_port ||
			mqtt_proto.probe(cursor_of(data, len), true, true) != probes[i].on_port ||
			mqtt_proto.sender_is_server(cursor_of(data, len)) != probes[i].server)
			fail_msg("%s", probes[i].bytes);
	}
}

/* ---- keywords ---- */

static const struct rule_app_keyword *
keyword_of(const char *name)
{
	for (unsigned int i = 0; i < MQTT_KEYWORD_COUNT; i++)
		if (strcmp(mqtt_keywords[i].name, name) == 0)
			return &mqtt_keywords[i];
	fail_msg("no %s", name);
	return NULL;
}

/* The greeting's answer, then the script; asked of the last message. */
static const struct {
	const char *keyword, *value, *script;
	bool match;
} asked[] = {
	{ "mqtt.type", "PINGREQ", "> c0 00", true },
	{ "mqtt.type", "!PINGREQ", "> c0 00", false },
	{ "mqtt.type", "12", "> c0 00", true },
	{ "mqtt.type", "2-5", "> c0 00", false },
	{ "mqtt.type", "pingresp", "> c0 00", false },
	{ "mqtt.type", "PUBACK,1", "> 32 (0001 't' 0001 '21') < 40 (0001)", true },
	{ "mqtt.type", "PUBLISH,0", "> 32 (0001 't' 0001 '21') < 40 (0001)", true },
	{ "mqtt.type", "PUBLISH", "> 32 (0001 't' 0001 '21') < 40 (0001)", false },
	{ "mqtt.type", "PUBLISH,any", "> 32 (0001 't' 0001 '21') < 40 (0001)", true },
	{ "mqtt.type", "PUBLISH,all", "> 32 (0001 't' 0001 '21') < 40 (0001)", false },
	{ "mqtt.type", "PUBACK,-1", "> 32 (0001 't' 0001 '21') < 40 (0001)", true },
	{ "mqtt.type", "PUBACK,5", "> 32 (0001 't' 0001 '21') < 40 (0001)", false },
	{ "mqtt.protocol_version", "4", "> c0 00", true },
	{ "mqtt.protocol_version", ">4", "> c0 00", false },
	{ "mqtt.protocol_version", "3-4", "> c0 00", true },
	{ "mqtt.protocol_version", "3<>5", "> c0 00", true },
	{ "mqtt.protocol_version", "!4", "> c0 00", false },
	{ "mqtt.qos", "1", "> 32 (0001 't' 0001 '21')", true },
	{ "mqtt.qos", "<1", "> 32 (0001 't' 0001 '21')", false },
	{ "mqtt.flags", "dup,!retain", "> 3a (0001 't' 0001 '21')", true },
	{ "mqtt.flags", "retain", "> 3a (0001 't' 0001 '21')", false },
	{ "mqtt.flags", "! retain , !dup", "> c0 00", true },
	{ "mqtt.reason_code", "128", "> 82 (0001 0003 'a/#' 00) < 90 (0001 80)", true },
	{ "mqtt.reason_code", "0", "> 82 (0001 0003 'a/#' 00) < 90 (0001 80)", false },
	{ "mqtt.reason_code", ">=135", "> e0 (8b 00)", true },
	{ "mqtt.reason_code", "<=3", "> c0 00", false },
	{ "mqtt.connack.return_code", "5", "> 10 (0004 'MQTT' 04 02 003c 0002 'P1') < 20 (0005)", true },
	{ "mqtt.connack.session_present", "yes", "> 10 (0004 'MQTT' 04 02 003c 0002 'P1') < 20 (0100)", true },
	{ "mqtt.connack.session_present", "false", "> 10 (0004 'MQTT' 04 02 003c 0002 'P1') < 20 (0100)", false },
	{ "mqtt.connack.session_present", "false", "> c0 00", false },
	{ "mqtt.connect.flags", "clean_session,!username", "> 10 (0004 'MQTT' 04 02 003c 0002 'P1')", true },
	{ "mqtt.connect.flags", "password", "> 10 (0004 'MQTT' 04 02 003c 0002 'P1')", false },
	{ "mqtt.connect.flags", "!will", "> c0 00", false },
};

static void
test_keywords(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(asked); i++) {
		const struct rule_app_keyword *keyword = keyword_of(asked[i].keyword);
		struct rule_app_test test;
		char err[128] = "";

		rig_renew();
		greet(connect_311, connack_311);
		talk(asked[i].script);
		if (keyword->setup(asked[i].value, &test, err, sizeof(err)) != 0)
			fail_msg("%s: %s", asked[i].value, err);
		if (keyword->test(&test, rig->matched) != asked[i].match)
			fail_msg("%s:%s on %s", asked[i].keyword, asked[i].value, asked[i].script);
	}
}

static void
test_keyword_errors(void **state)
{
	static const struct {
		const char *keyword, *value;
	} rows[] = {
		{ "mqtt.type", "" }, { "mqtt.type", "FOO" }, { "mqtt.type", "PUBLISH,foo" }, { "mqtt.type", "PUBLISH,99" },
		{ "mqtt.type", "PUBLISH x" }, { "mqtt.type", "AVERYLONGNAMEINDEED" }, { "mqtt.qos", "" }, { "mqtt.qos", "x" },
		{ "mqtt.qos", "5-1" }, { "mqtt.qos", "1-" }, { "mqtt.qos", "70000" }, { "mqtt.qos", ">" },
		{ "mqtt.reason_code", "1 2" }, { "mqtt.flags", "" }, { "mqtt.flags", "dup retain" }, { "mqtt.flags", "foo" },
		{ "mqtt.connect.flags", "dup" }, { "mqtt.connack.session_present", "maybe" }, { "mqtt.protocol_version", "five" },
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct rule_app_test test;
		char err[128] = "";

		if (keyword_of(rows[i].keyword)->setup(rows[i].value, &test, err, sizeof(err)) != -EINVAL)
			fail_msg("accepted: %s:%s", rows[i].keyword, rows[i].value);
		assert_true(err[0] != '\0');
	}
}

/* ---- tables ---- */

static void
test_tables(void **state)
{
	struct record_path path;

	(void)state;
	assert_null(record_table_check(&mqtt_table));
	for (unsigned int i = 0; i < MQTT_EVENT_COUNT; i++)
		assert_non_null(mqtt_events[i].name);
	for (unsigned int i = 0; i < MQTT_COUNTER_COUNT; i++)
		assert_non_null(mqtt_counters[i].name);
	for (unsigned int i = 0; i < MQTT_BUFFER_COUNT; i++)
		assert_int_equal(record_path_resolve(&mqtt_table, mqtt_buffers[i].path, &path), 0);
	assert_true(mqtt_proto.state_len <= SLAB_BLOCK_MAX);
}

/* ---- Sparkplug ---- */

static void
put_varint(uint8_t **at, uint64_t value)
{
	do {
		*(*at)++ = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value > 0);
}

/* A PUBLISH of QoS 0 with this topic and payload. */
static void
publish(const char *topic, const uint8_t *payload, size_t payload_len, bool to_server)
{
	static uint8_t data[DATA_MAX];
	size_t topic_len = strlen(topic);
	uint8_t *at = data;

	*at++ = 0x30;
	put_varint(&at, 2 + topic_len + payload_len);
	*at++ = (uint8_t)(topic_len >> 8);
	*at++ = (uint8_t)topic_len;
	memcpy(at, topic, topic_len);
	memcpy(at + topic_len, payload, payload_len);
	feed_bytes(data, (size_t)(at - data) + topic_len + payload_len, to_server);
}

static void
publish_text(const char *topic, const char *payload, bool to_server)
{
	static uint8_t data[4096];

	publish(topic, data, bytes_of(payload, data, sizeof(data)), to_server);
}

static const struct {
	const char *metric; /* its fields */
	const char *has;
} metrics[] = {
	{ "0a ('one') 10 07 18 e807 20 03 50 ffffffff0f", "\"name\":\"one\",\"alias\":7,\"timestamp\":\"1970-01-01T00:00:01.000000+0000\","
		"\"datatype_raw\":3,\"datatype\":\"Int32\",\"value\":-1}" },
	{ "0a ('a') 20 01 50 ff01", "\"datatype\":\"Int8\",\"value\":-1}" },
	{ "0a ('a') 20 02 50 ffff03", "\"datatype\":\"Int16\",\"value\":-1}" },
	{ "0a ('a') 20 04 58 ffffffffffffffffff01", "\"datatype\":\"Int64\",\"value\":-1}" },
	{ "0a ('a') 20 08 58 ffffffffffffffffff01", "\"datatype\":\"UInt64\",\"value\":18446744073709551615}" },
	{ "0a ('a') 20 07 50 ffffffff0f", "\"datatype\":\"UInt32\",\"value\":4294967295}" },
	{ "0a ('a') 20 09 65 0000c03f", "\"datatype\":\"Float\",\"value\":1.5}" },
	{ "0a ('a') 20 0a 69 000000000000f83f", "\"datatype\":\"Double\",\"value\":1.5}" },
	{ "0a ('a') 20 0b 70 01", "\"datatype\":\"Boolean\",\"value\":true}" },
	{ "0a ('a') 20 0c 7a ('hi')", "\"datatype\":\"String\",\"value\":\"hi\"}" },
	{ "0a ('a') 20 0d 58 e807", "\"value\":\"1970-01-01T00:00:01.000000+0000\"}" },
	{ "0a ('a') 20 11 8201 02 00ff", "\"datatype\":\"Bytes\",\"value\":\"00ff\"}" },
	{ "0a ('a') 20 10 8a01 02 0800", "\"datatype\":\"DataSet\",\"value\":\"0800\"}" },
	{ "0a ('a') 28 01 30 00 38 01", "\"is_historical\":true,\"is_transient\":false,\"is_null\":true}" },
	{ "0a ('a') 20 63 50 05", "\"datatype\":\"Unknown\",\"value\":5}" },
};

static void
test_sparkplug_metrics(void **state)
{
	uint8_t metric[128], payload[160];

	(void)state;
	greet(connect_311, connack_311);
	for (size_t i = 0; i < TEST_COUNT(metrics); i++) {
		size_t len = bytes_of(metrics[i].metric, metric, sizeof(metric));

		memcpy(payload, "\x08\xe8\x07\x12", 4);
		payload[4] = (uint8_t)len;
		memcpy(payload + 5, metric, len);
		publish("spBv1.0/plant/NDATA/edge", payload, len + 5, CLIENT);
		assert_json_has("\"sparkplug\":{\"namespace\":\"spBv1.0\",\"message_type\":\"NDATA\",\"group_id\":\"plant\","
			"\"edge_node_id\":\"edge\",\"timestamp\":\"1970-01-01T00:00:01.000000+0000\",\"metrics\":[{");
		assert_json_has(metrics[i].has);
		assert_null(strstr(rig->json.data, "\"message\":"));
		assert_int_equal(rig->events, 0);
		/* Every cut is named and read as a message. */
		for (size_t cut = 4; cut < len + 5; cut++) {
			publish("spBv1.0/plant/NDATA/edge", payload, cut, CLIENT);
			assert_true(saw(MQTT_EVENT_SPARKPLUG_MALFORMED));
			assert_json_has("\"message\":");
		}
		rig->events = 0;
		rig->count = 0;
	}
}

/* A birth names what later messages give by number alone, says who it is, and begins the count. */
static void
test_sparkplug_birth(void **state)
{
	(void)state;
	greet(connect_311, connack_311);
	publish_text("spBv1.0/plant/NBIRTH/edge",
		"08 e807 12 (0a ('two') 10 07 20 03 50 05) 12 (0a ('Properties/Hardware Make') 20 0c 7a (' ACME 1')) 18 00", CLIENT);
	assert_has(&rig->identity, "\"protocol\":\"mqtt\",\"of_sender\":true,\"vendor\":\"ACME 1\",\"name\":\"edge\","
		"\"role\":\"Sparkplug edge node\",\"address\":\"plant/edge\"");
	publish_text("spBv1.0/plant/DDATA/edge/pump", "12 (10 07 50 ffffffffffffffffff01) 18 01", CLIENT);
	assert_json_has("\"device_id\":\"pump\",\"seq\":1,\"metrics\":[{\"name\":\"two\",\"alias\":7,\"datatype_raw\":3,\"datatype\":\"Int32\","
		"\"value\":-1}]");
	assert_int_equal(rig->events, 0);
	publish_text("spBv1.0/plant/NDATA/other", "12 (10 07 50 05) 18 02", CLIENT);
	assert_json_has("\"metrics\":[{\"alias\":7,\"value\":5}]");
	publish_text("spBv1.0/plant/NDATA/edge", "12 (10 07 50 05) 18 09", CLIENT);
	assert_int_equal(rig->events, E(SPARKPLUG_SEQUENCE));
	publish_text("spBv1.0/plant/DBIRTH/edge/pump",
		"12 (0a ('Properties/Firmware Version') 20 0c 7a (' 2.1.0 ')) 18 0a", CLIENT);
	assert_has(&rig->identity, "\"firmware\":\"2.1.0\",\"name\":\"pump\",\"role\":\"Sparkplug device\",\"address\":\"plant/edge/pump\"");
	publish_text("spBv1.0/STATE/scada", "'{\"online\":true}'", SERVER);
	assert_json_has("\"message_type\":\"STATE\",\"host_id\":\"scada\"");
	assert_json_has("\"message\":\"{");
	assert_int_equal(slab_used(rig->slab) > 0, true);
}

/* More aliases than the table has rows: what is known stays right. */
static void
test_sparkplug_aliases(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4 * SPARKPLUG_ALIASES_MAX; i++) {
		char name[16];
		int len = snprintf(name, sizeof(name), "m%u", i);
		const struct sparkplug_alias *row;

		sparkplug_alias_learn(&rig->ctx, 1 + i % 3, i, 3, (const uint8_t *)name, (uint32_t)len);
		row = sparkplug_alias_find(&rig->state, 1 + i % 3, i);
		assert_non_null(row);
		assert_int_equal(row->name_len, len);
		assert_memory_equal(row->name, name, (size_t)len);
	}
	assert_null(sparkplug_alias_find(&rig->state, 9, 1));
	sparkplug_alias_learn(&rig->ctx, 1, 1, 3, (const uint8_t *)"", 0);
}

static void
test_sparkplug_topics(void **state)
{
	static const struct {
		const char *topic;
		bool is;
	} rows[] = {
		{ "spBv1.0/g/NBIRTH/n", true }, { "spBv1.0/g/DBIRTH/n/d", true }, { "spBv1.0/STATE/h", true },
		{ "spBv1.0/g/NCMD/n", true }, { "spBv1.0/g/DDEATH/n/d", true }, { "spBv1.0/g/NBIRTH/n/d", false },
		{ "spBv1.0/g/DBIRTH/n", false }, { "spBv1.0/g/FOO/n", false }, { "spBv1.0/g", false }, { "spBv1.0", false },
		{ "spBv1.0/", false }, { "spAv1.0/g/NBIRTH/n", false }, { "spBv1.0//NBIRTH/n", false },
		{ "spBv1.0/g/NBIRTH/", false }, { "spBv1.0/g/DBIRTH/n/d/e", false },
	};
	struct sparkplug_topic out;

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		if (sparkplug_topic_read((const uint8_t *)rows[i].topic, (uint32_t)strlen(rows[i].topic), &out) != rows[i].is)
			fail_msg("%s", rows[i].topic);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_create, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_exchanges), CASE(test_connect), CASE(test_midstream), CASE(test_unintroduced), CASE(test_unanswered), CASE(test_shed),
		CASE(test_long), CASE(test_limits), CASE(test_cut), CASE(test_extremes), CASE(test_frame), CASE(test_probe),
		CASE(test_keywords), CASE(test_keyword_errors), CASE(test_tables), CASE(test_sparkplug_metrics),
		CASE(test_sparkplug_birth), CASE(test_sparkplug_aliases), CASE(test_sparkplug_topics),
	};

	return cmocka_run_group_tests_name("mqtt", tests, NULL, NULL);
}
