/* MQTT: every packet, transactions, hostile input, the tables, the keywords. */
#include "proto/mqtt/test_mqtt.h"

#include <errno.h>

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
	{ "v5 alias", true, "> 30 (0000 03 230002 '1')", 1, "\"topic\":\"\",\"message\":\"1\",\"message_length\":1,\"properties\":{\"topic_alias\":2}", 0 },
	{ "v5 alias learned", true, "> 30 (0003 't/a' 03 230002 '1') > 30 (0001 'x' 03 230003 '1') > 30 (0000 03 230002 '2')", 3,
		"\"topic\":\"t/a\",\"message\":\"2\",\"message_length\":1,\"properties\":{\"topic_alias\":2}", 0 },
	{ "v5 alias given anew", true, "> 30 (0003 't/a' 03 230002 '1') > 30 (0003 't/b' 03 230002 '1') > 30 (0000 03 230002 '2')", 3,
		"\"topic\":\"t/b\",\"message\":\"2\"", 0 },
	{ "v5 alias of the other end", true, "> 30 (0003 't/a' 03 230002 '1') < 30 (0000 03 230002 '2')", 2, "\"topic\":\"\",\"message\":\"2\"", 0 },
	{ "v5 alias too high", true, "> 30 (0003 't/a' 03 23ffff '1') > 30 (0000 03 23ffff '2')", 2, "\"topic\":\"\",\"message\":\"2\"", 0 },
	{ "v5 alias 0", true, "> 30 (0003 't/a' 03 230000 '1')", 1, "\"topic_alias\":0", E(INVALID_PROPERTY) },
	{ "v5 neither topic nor alias", true, "> 30 (0000 00 '1')", 1, "\"topic\":\"\",\"message\":\"1\"", E(INVALID_TOPIC) },
	{ "v5 response", true, "> 30 (0001 't' 12 08 0003 'a/b' 09 0002 'id' 0b 8101 03 0001 'x')", 1,
		"\"response_topic\":\"a/b\",\"correlation_data\":\"id\",\"subscription_identifier\":129}", 0 },
	{ "v5 subscriptions", true, "< 30 (0001 't' 0c 0b05 26 0001 'k' 0001 'v' 0b8101 'x')", 1,
		"\"properties\":{\"subscription_identifier\":[5,129],\"user_properties\":[{\"name\":\"k\",\"value\":\"v\"}]}", 0 },
	{ "v5 names again", true, "> 30 (0001 't' 0f 26 0001 'k' 0001 'v' 26 0001 'k' 0002 'ww' 'x')", 1,
		"\"user_properties\":[{\"name\":\"k\",\"value\":\"v\"},{\"name\":\"k\",\"value\":\"ww\"}]}", 0 },
	{ "v5 subscription 0", true, "< 30 (0001 't' 02 0b00 'x')", 1, "\"subscription_identifier\":0}", E(INVALID_PROPERTY) },
	{ "v5 two of a subscribe", true, "> 82 (0001 04 0b05 0b06 0001 'a' 00) < 90 (0001 00 00)", 3,
		"\"subscription_identifier\":[5,6]}", E(INVALID_PROPERTY) },
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
		assert_has(&rig->json, exchanges[i].has);
	}
}

/* A CONNECT with all that it may have, in both versions. */
static void
test_connect(void **state)
{
	(void)state;
	feed("10 (0004 'MQTT' 04 ee 003c 0002 'P1' 0004 'will' 0004 'gone' 0004 'user' 0004 'pass')", CLIENT);
	assert_has(&rig->json, "\"flags\":{\"username\":true,\"password\":true,\"will_retain\":true,\"will\":true,\"clean_session\":true},"
		"\"username\":\"user\",\"password\":\"pass\",\"will\":{\"topic\":\"will\",\"message\":\"gone\",\"qos\":1}");
	assert_int_equal(rig->events, 0);
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_HOLD);
	rig_renew();
	config.passwords = false;
	feed("10 (0004 'MQTT' 05 c6 003c 05 1100000064 0002 'P1' 05 1800000005 0001 'w' 0001 'm' 0001 'u' 0001 'p' 0001)", CLIENT);
	assert_has(&rig->json, "\"will\":{\"topic\":\"w\",\"message\":\"m\",\"qos\":0,\"properties\":{\"will_delay_interval\":5}}");
	assert_null(strstr(rig->json.data, "\"password\":\"p\""));
	assert_int_equal(rig->events, E(TRAILING_BYTES));
	rig_renew();
	feed("10 (0004 'MQTT' 07 02 003c 0002 'P1')", CLIENT);
	assert_int_equal(rig->events, E(UNKNOWN_VERSION));
	rig_renew();
	feed("10 (0004 'MQTT' 84 03 003c 0002 'P1')", CLIENT);
	assert_int_equal(rig->events, E(INVALID_CONNECT_FLAGS));
	assert_int_equal(flow.version, MQTT_VERSION_3_1_1);
	rig_renew();
	feed("10 (0006 'MQIsdp' 03 02 003c 0002 'P1')", CLIENT);
	assert_has(&rig->json, "\"protocol_string\":\"MQIsdp\",\"protocol_version\":3");
}

/* A connection seen from its middle: the version shows, and what cannot be known is not blamed. */
static void
test_midstream(void **state)
{
	(void)state;
	feed("40 (0001)", SERVER);
	assert_int_equal(rig->events, 0);
	feed("30 (0003 't/a' '21C')", CLIENT);
	assert_has(&rig->json, "\"message\":\"21C\"");
	feed("40 (0001 10)", SERVER);
	assert_int_equal(flow.version, MQTT_VERSION_5);
	assert_int_equal(rig->events, 0);
	rig_renew();
	feed(connack_5, SERVER);
	assert_int_equal(rig->events, E(MISSING_CONNECT));
	feed("30 (0001 't' 00 '121')", CLIENT);
	assert_has(&rig->json, "\"message\":\"121\"");
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
	config.open_max = 2;
	greet(connect_311, connack_311);
	for (unsigned int i = 1; i <= 4; i++) {
		uint8_t publish[] = { 0x32, 7, 0, 1, 't', 0, (uint8_t)i, '2', '1' };

		feed_bytes(publish, sizeof(publish), CLIENT);
	}
	assert_int_equal(flow.pairs.count, 2);
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
	config.text_len_max = 10;
	len = long_publish(data, 0x30, 100);
	rig->count = 0;
	feed_bytes(data, len, CLIENT);
	assert_int_equal(rig->count, 2);
	assert_int_equal(rig->flags[0], PROTO_MATCH | PROTO_HOLD);
	assert_int_equal(rig->flags[1], PROTO_EMIT);
	assert_int_equal(rig->tx_ids[0], rig->tx_ids[1]);
	assert_has(&rig->json, "\"message\":\"XXXXXXXXXX[truncated 90 additional bytes]\",\"message_length\":100");
	seen = (const void *)(matched + ((struct mqtt_record *)matched)->current);
	assert_int_equal(seen->payload.count, 100);
	len = long_publish(data, 0x32, 100000);
	assert_int_equal(mqtt_proto.frame(cursor_of(data, 100), true), MQTT_PDU_LEN_MAX);
	feed_bytes(data, len, CLIENT);
	assert_int_equal(rig->ctx.skip_len, len - MQTT_PDU_LEN_MAX);
	feed("40 (0005)", SERVER);
	assert_has(&rig->json, "[truncated 99990 additional bytes]\",\"message_length\":100000},\"puback\"");
	assert_int_equal(rig->events, 0);
	config.message_len_max = 500;
	len = long_publish(data, 0x30, 1000);
	feed_bytes(data, len, CLIENT);
	assert_has(&rig->json, "\"truncated\":true,\"skipped_length\":1006,\"topic\":\"t\"}");
	assert_int_equal(rig->events, E(MESSAGE_TRUNCATED));
	assert_int_equal(counter_get(&rig->counters[MQTT_COUNT_TRUNCATED]), 1);
}

/* Filters beyond the limit are counted. */
static void
test_limits(void **state)
{
	(void)state;
	greet(connect_311, connack_311);
	config.subscribe_topics = 1;
	config.unsubscribe_topics = 0;
	feed("82 (0001 0003 'a/#' 01 0002 'bc' 00)", CLIENT);
	assert_has(&rig->json, "\"topics\":[{\"topic\":\"a/#\",\"qos\":1}],\"topic_count\":2");
	feed("a2 (0002 0003 'a/#' 0002 'bc')", CLIENT);
	assert_has(&rig->json, "\"topics\":[],\"topic_count\":2");
}

/* An alias for a topic that is too long to be kept stands for nothing, and for none of before. */
static void
test_aliases(void **state)
{
	uint8_t data[256];
	size_t at = bytes_of("30 00 0080", data, sizeof(data));

	(void)state;
	greet(connect_5, connack_5);
	feed("30 (0003 't/a' 03 230001 '1')", CLIENT);
	memset(data + at, 't', 128);
	at += 128;
	at += bytes_of("03 230001", data + at, 16);
	memmove(data + 3, data + 2, at - 2);
	data[1] = (uint8_t)((at - 2) % 128 | 0x80);
	data[2] = (uint8_t)((at - 2) / 128);
	feed_bytes(data, at + 1, CLIENT);
	assert_has(&rig->json, "tttt\",\"message\":\"\",");
	feed("30 (0000 03 230001 '1')", CLIENT);
	assert_has(&rig->json, "\"topic\":\"\",\"message\":\"1\"");
	/* Behind lost bytes nothing is known of the direction's. */
	feed("30 (0003 't/a' 03 230001 '1')", CLIENT);
	feed("30 (0003 't/b' 03 230001 '1')", SERVER);
	rig->ctx.to_server = CLIENT;
	mqtt_proto.gap(&rig->ctx, 1);
	feed("30 (0000 03 230001 '1')", CLIENT);
	assert_has(&rig->json, "\"topic\":\"\",\"message\":\"1\"");
	feed("30 (0000 03 230001 '2')", SERVER);
	assert_has(&rig->json, "\"topic\":\"t/b\",\"message\":\"2\"");
	assert_int_equal(rig->events, 0);
}

/* As many properties as are read; of the others their length. */
static void
test_properties_max(void **state)
{
	uint8_t data[2048];
	size_t at = bytes_of("30 0000 0001 't' a408", data, sizeof(data));
	unsigned int found = 0;

	(void)state;
	greet(connect_5, connack_5);
	for (unsigned int i = 0; i < MQTT_PROPERTIES_MAX + 4; i++) {
		memcpy(data + at, (uint8_t[]){ 0x26, 0, 1, 'k', 0, 2, (uint8_t)('A' + i / 16), (uint8_t)('a' + i % 16) }, 8);
		at += 8;
	}
	memcpy(data + at, (uint8_t[]){ 0x01, 1, 0x01, 1 }, 4);
	at += 4;
	data[1] = (uint8_t)((at - 3) % 128 | 0x80);
	data[2] = (uint8_t)((at - 3) / 128);
	feed_bytes(data, at, CLIENT);
	for (const char *pos = rig->json.data; (pos = strstr(pos, "\"name\":\"k\"")) != NULL; pos++)
		found++;
	assert_int_equal(found, MQTT_PROPERTIES_MAX);
	assert_has(&rig->json, "{\"name\":\"k\",\"value\":\"Hp\"}],\"skipped_length\":36}");
	assert_int_equal(rig->events, 0);
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
			flow.version = exchanges[i].v5 ? MQTT_VERSION_5 : 0;
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
				flow.version = exchanges[i].v5 ? MQTT_VERSION_5 : 0;
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
	{ "mqtt.protocol_version", "3-5", "> c0 00", true },
	{ "mqtt.protocol_version", "2-4", "> c0 00", false },
	{ "mqtt.protocol_version", "4-6", "> c0 00", false },
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
		uint32_t tags[RULE_TAGS_MAX], tag;
		char err[128] = "";

		rig_renew();
		greet(connect_311, connack_311);
		talk(asked[i].script);
		if (keyword->setup(asked[i].value, &test, err, sizeof(err)) != 0)
			fail_msg("%s: %s", asked[i].value, err);
		if (keyword->test(&test, matched) != asked[i].match)
			fail_msg("%s:%s on %s", asked[i].keyword, asked[i].value, asked[i].script);
		/* a record that a keyword holds for carries its tag: the rule would not be found otherwise */
		assert_int_equal(mqtt_record_tags(matched, tags), 1);
		if (asked[i].match && mqtt_keyword_tag(keyword, &test, &tag) && tag != tags[0])
			fail_msg("%s:%s on %s: other tag", asked[i].keyword, asked[i].value, asked[i].script);
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
		{ "mqtt.qos", "5-1" }, { "mqtt.qos", "1-2" }, { "mqtt.qos", "1<>2" }, { "mqtt.qos", "1-" }, { "mqtt.qos", "70000" }, { "mqtt.qos", ">" },
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

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_exchanges), CASE(test_connect), CASE(test_midstream), CASE(test_unintroduced), CASE(test_unanswered), CASE(test_shed),
		CASE(test_long), CASE(test_limits), CASE(test_properties_max), CASE(test_aliases), CASE(test_cut), CASE(test_extremes), CASE(test_frame), CASE(test_probe),
		CASE(test_keywords), CASE(test_keyword_errors), CASE(test_tables),
	};

	return cmocka_run_group_tests_name("mqtt", tests, NULL, NULL);
}
