/* Sparkplug B: topics, payloads to the metric, aliases, identities. */
#include "proto/mqtt/sparkplug.h"
#include "proto/mqtt/test_mqtt.h"

#include <zlib.h>

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
	/* arrays, SpB 6.4.16 */
	{ "0a ('a') 20 16 8201 02 ff7f", "\"datatype\":\"Int8Array\",\"value\":[-1,127]}" },
	{ "0a ('a') 20 17 8201 04 feff0100", "\"value\":[-2,1]}" },
	{ "0a ('a') 20 18 8201 04 ffffffff", "\"value\":[-1]}" },
	{ "0a ('a') 20 19 8201 08 ffffffffffffffff", "\"value\":[-1]}" },
	{ "0a ('a') 20 1a 8201 02 ff01", "\"value\":[255,1]}" },
	{ "0a ('a') 20 1d 8201 08 ffffffffffffffff", "\"value\":[18446744073709551615]}" },
	{ "0a ('a') 20 1e 8201 08 0000c03f 000020c0", "\"datatype\":\"FloatArray\",\"value\":[1.5,-2.5]}" },
	{ "0a ('a') 20 1f 8201 08 000000000000f83f", "\"value\":[1.5]}" },
	{ "0a ('a') 20 20 8201 06 0c000000 34d0", "\"value\":[false,false,true,true,false,true,false,false,true,true,false,true]}" },
	{ "0a ('a') 20 21 8201 05 6162 00 63 00", "\"value\":[\"ab\",\"c\"]}" },
	{ "0a ('a') 20 22 8201 08 e803000000000000", "\"value\":[\"1970-01-01T00:00:01.000000+0000\"]}" },
	{ "0a ('a') 20 18 8201 03 ffffff", "\"datatype\":\"Int32Array\",\"value\":\"ffffff\"}" },
	{ "0a ('a') 20 20 8201 05 09000000 34", "\"datatype\":\"BooleanArray\",\"value\":\"0900000034\"}" },
	{ "0a ('a') 20 21 8201 02 6162", "\"datatype\":\"StringArray\",\"value\":\"6162\"}" },
	/* data sets, SpB 6.4.11: types one by one and packed; a cell without a value; more cells than columns */
	{ "0a ('a') 20 10 8a01 02 0800", "\"data_set\":{\"num_of_columns\":0,\"row_count\":0,\"columns\":[],\"rows\":[]}}" },
	{ "0a ('a') 8a01 (08 02 12 ('c') 12 ('d') 18 0c 18 03 22 (0a (32 ('x')) 0a (08 ffffffff0f)) 22 (0a 00 0a (08 05)))",
		"\"data_set\":{\"num_of_columns\":2,\"row_count\":2,\"columns\":[{\"name\":\"c\",\"datatype_raw\":12,\"datatype\":\"String\"},"
		"{\"name\":\"d\",\"datatype_raw\":3,\"datatype\":\"Int32\"}],\"rows\":[[\"x\",-1],[null,5]]}}" },
	{ "0a ('a') 8a01 (08 01 12 ('c') 1a 01 0a 22 (0a (21 000000000000f83f) 0a (28 01)))",
		"\"columns\":[{\"name\":\"c\",\"datatype_raw\":10,\"datatype\":\"Double\"}],\"rows\":[[1.5,true]]}}" },
	{ "0a ('a') 20 13 9201 (0a ('1') 1a (0a ('p') 10 03 18 f7ffffff0f) 22 ('ref') 28 01)",
		"\"template\":{\"version\":\"1\",\"template_ref\":\"ref\",\"is_definition\":true,\"parameters\":[{\"name\":\"p\",\"datatype_raw\":3,"
		"\"datatype\":\"Int32\",\"value\":-9}]}}" },
	{ "0a ('a') 4a (0a ('Quality') 0a ('unit') 12 (08 03 18 c001) 12 (08 0c 42 ('deg')) 12 (10 01)) 50 05",
		"\"value\":5,\"properties\":[{\"name\":\"Quality\",\"datatype_raw\":3,\"datatype\":\"Int32\",\"value\":192},"
		"{\"name\":\"unit\",\"datatype_raw\":12,\"datatype\":\"String\",\"value\":\"deg\"}]}" },
	{ "0a ('a') 42 (08 01 12 ('t/p') 18 05 20 02 2a ('f') 32 ('x') 3a ('0f') 42 ('d'))",
		"\"metadata\":{\"is_multi_part\":true,\"content_type\":\"t/p\",\"size\":5,\"seq\":2,\"file_name\":\"f\",\"file_type\":\"x\","
		"\"md5\":\"0f\",\"description\":\"d\"}}" },
	{ "0a ('a') 28 01 30 00 38 01", "\"is_historical\":true,\"is_transient\":false,\"is_null\":true}" },
	{ "0a ('a') 20 63 50 05", "\"datatype\":\"Unknown\",\"value\":5}" },
};

static void
test_sparkplug_metrics(void **state)
{
	uint8_t metric[160], payload[192];

	(void)state;
	greet(connect_311, connack_311);
	for (size_t i = 0; i < TEST_COUNT(metrics); i++) {
		size_t len = bytes_of(metrics[i].metric, metric, sizeof(metric));

		memcpy(payload, "\x08\xe8\x07\x12", 4);
		payload[4] = (uint8_t)len;
		memcpy(payload + 5, metric, len);
		publish("spBv1.0/plant/NDATA/edge", payload, len + 5, CLIENT);
		assert_has(&rig->json, "\"sparkplug\":{\"namespace\":\"spBv1.0\",\"message_type\":\"NDATA\",\"group_id\":\"plant\","
			"\"edge_node_id\":\"edge\",\"timestamp\":\"1970-01-01T00:00:01.000000+0000\",\"metrics\":[{");
		assert_has(&rig->json, metrics[i].has);
		assert_null(strstr(rig->json.data, "\"message\":"));
		assert_int_equal(rig->events, 0);
		/* Every cut is named and read as a message. */
		for (size_t cut = 4; cut < len + 5; cut++) {
			publish("spBv1.0/plant/NDATA/edge", payload, cut, CLIENT);
			assert_true(saw(MQTT_EVENT_SPARKPLUG_MALFORMED));
			assert_has(&rig->json, "\"message\":");
		}
		rig->events = 0;
		rig->count = 0;
	}
}

/* Templates in templates: their metrics stand in one list, with the names around them; below SPARKPLUG_DEPTH_MAX they are bytes. */
static void
test_sparkplug_templates(void **state)
{
	(void)state;
	greet(connect_311, connack_311);
	publish_text("spBv1.0/plant/NDATA/edge",
		"12 (0a ('motor') 9201 (12 (0a ('on') 70 01) 12 (0a ('drive') 9201 (22 ('vfd') 12 (0a ('hz') 65 00004842)"
		" 12 (0a ('fan') 9201 (12 (0a ('rpm') 50 09))))) 12 (0a ('off') 70 00)))", CLIENT);
	assert_has(&rig->json, "\"metrics\":[{\"name\":\"motor\",\"template\":{\"metrics\":[{\"name\":\"on\",\"value\":true},"
		"{\"name\":\"drive\",\"template\":{\"template_ref\":\"vfd\"}},{\"within\":\"drive\",\"name\":\"hz\",\"value\":50.0},"
		"{\"within\":\"drive\",\"name\":\"fan\",\"template\":{}},{\"within\":\"drive/fan\",\"name\":\"rpm\",\"value\":9},"
		"{\"name\":\"off\",\"value\":false}]}}]");
	publish_text("spBv1.0/plant/NDATA/edge",
		"12 (0a ('1') 9201 (12 (0a ('2') 9201 (12 (0a ('3') 9201 (12 (0a ('4') 9201 (12 (0a ('5') 9201 (0a ('v')))))))))))", CLIENT);
	assert_has(&rig->json, "{\"within\":\"2/3/4\",\"name\":\"5\",\"value\":\"0a0176\"}");
	assert_int_equal(rig->events, 0);
}

/* What is damaged inside a metric is named, and shown as its bytes. */
static void
test_sparkplug_damaged(void **state)
{
	static const char *const rows[] = { "8a01 02 0880", "8a01 (22 02 0a05)", "8a01 (22 (0a 01 30))", "9201 (12 02 0a05)", "9201 (1a 02 0a05)",
		"42 02 12ff", "4a 02 0aff", "4a (0a ('k') 12 02 42ff)" };

	(void)state;
	greet(connect_311, connack_311);
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		char text[96];

		(void)snprintf(text, sizeof(text), "12 (0a ('a') %s) 12 (0a ('b') 50 05)", rows[i]);
		rig->events = 0;
		publish_text("spBv1.0/plant/NDATA/edge", text, CLIENT);
		if (rig->events != E(SPARKPLUG_MALFORMED))
			fail_msg("%s", rows[i]);
		assert_has(&rig->json, "{\"name\":\"b\",\"value\":5}]");
	}
}

/* A data set whose rows are more than the record shall hold: all are counted. */
static void
test_sparkplug_long_data_set(void **state)
{
	enum { ROWS = 3000 };
	static uint8_t payload[3 * ROWS + 32];
	uint8_t *at = payload;

	(void)state;
	greet(connect_311, connack_311);
	*at++ = 0x12;
	put_varint(&at, 2 * ROWS + 4);
	*at++ = 0x8a;
	*at++ = 0x01;
	put_varint(&at, 2 * ROWS);
	for (unsigned int i = 0; i < ROWS; i++, at += 2)
		memcpy(at, "\x22\x00", 2);
	publish("spBv1.0/plant/NDATA/edge", payload, (size_t)(at - payload), CLIENT);
	assert_has(&rig->json, "\"row_count\":3000,");
	assert_int_equal(rig->events, 0);
}

/* Compressed as Eclipse Tahu does: the count goes on inside, and a birth says who it is. */
static void
test_sparkplug_compressed(void **state)
{
	static const int windows[] = { 15, 15 + 16 }; /* zlib, gzip */

	(void)state;
	greet(connect_311, connack_311);
	publish_text("spBv1.0/plant/NBIRTH/edge", "18 00", CLIENT);
	for (unsigned int i = 0; i < TEST_COUNT(windows); i++) {
		uint8_t inner[96], payload[192], *at = payload;
		size_t len = bytes_of("12 (0a ('Properties/Hardware Make') 20 0c 7a ('ACME')) 18 01", inner, sizeof(inner));
		z_stream stream = { .next_in = inner, .avail_in = (uInt)len, .next_out = payload + 64, .avail_out = 128 };

		inner[len - 1] = (uint8_t)(i + 1);
		assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, windows[i], 8, Z_DEFAULT_STRATEGY), Z_OK);
		assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
		at += bytes_of("22 ('SPBV1.0_COMPRESSED') 2a", at, 64);
		*at++ = (uint8_t)stream.total_out;
		memmove(at, payload + 64, stream.total_out);
		publish("spBv1.0/plant/DBIRTH/edge/pump", payload, (size_t)(at - payload) + stream.total_out, CLIENT);
		assert_int_equal(deflateEnd(&stream), Z_OK);
		assert_has(&rig->json, "\"value\":\"ACME\"}]");
		assert_has(&rig->identity, "\"vendor\":\"ACME\",\"name\":\"pump\"");
		assert_int_equal(rig->events, 0);
	}
	publish_text("spBv1.0/plant/NDATA/edge", "22 ('SPBV1.0_COMPRESSED') 2a 02 7801", CLIENT); /* cut: nothing is inside */
	publish_text("spBv1.0/plant/NDATA/edge", "18 09", CLIENT); /* so this is not blamed */
	assert_int_equal(rig->events, 0);
	publish_text("spBv1.0/plant/NDATA/edge", "22 ('SPBV1.0_COMPRESSED') 2a 02 ffff", CLIENT);
	assert_int_equal(rig->events, E(SPARKPLUG_MALFORMED));
}

/* Of a compressed payload beyond the bound what is before it is read, and the rest counted; damage is damage still. */
static void
test_sparkplug_long(void **state)
{
	enum { METRIC_LEN = 64 };
	static const struct {
		size_t before, len; /* what stands before the metrics; the whole */
		bool damaged;
		uint64_t cuts;
	} cases[] = { { 0, SPARKPLUG_UNPACKED_MAX, false, 0 }, { 2, SPARKPLUG_UNPACKED_MAX + 2, false, 1 },
		{ 34, 2 * SPARKPLUG_UNPACKED_MAX + 34, false, 2 }, { 2, 2 * SPARKPLUG_UNPACKED_MAX + 2, true, 2 } };
	static uint8_t inner[2 * SPARKPLUG_UNPACKED_MAX + 35];

	(void)state;
	greet(connect_311, connack_311);
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		uint8_t payload[2048], *at = payload;
		z_stream stream = { .next_in = inner, .avail_in = (uInt)cases[i].len, .next_out = payload + 64, .avail_out = sizeof(payload) - 64 };

		for (size_t k = 0; k < cases[i].before; k += 2) /* fields that nobody knows */
			(void)bytes_of("78 00", inner + k, 3);
		for (size_t k = cases[i].before; k < cases[i].len; k += METRIC_LEN)
			assert_int_equal(bytes_of("12 (0a ('line 1/machine 4/motor 2/drive/temperature of the stat') 20 03 50 07) 18 00", inner + k, METRIC_LEN + 1), METRIC_LEN);
		assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15, 8, Z_DEFAULT_STRATEGY), Z_OK);
		assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
		at += bytes_of("22 ('SPBV1.0_COMPRESSED') 2a", at, 64);
		put_varint(&at, stream.total_out);
		memmove(at, payload + 64, stream.total_out);
		memset(at + 8, 0xff, cases[i].damaged ? 8 : 0);
		publish("spBv1.0/plant/NBIRTH/edge", payload, (size_t)(at - payload) + stream.total_out, CLIENT);
		assert_int_equal(deflateEnd(&stream), Z_OK);
		assert_int_equal(rig->events, cases[i].damaged ? E(SPARKPLUG_MALFORMED) : 0);
		assert_int_equal(counter_get(&rig->counters[MQTT_COUNT_UNPACKED_CUT]), cases[i].cuts);
		if (!cases[i].damaged)
			assert_has(&rig->json, "of the stat\",\"datatype_raw\":3");
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
	assert_has(&rig->json, "\"device_id\":\"pump\",\"seq\":1,\"metrics\":[{\"name\":\"two\",\"alias\":7,\"datatype_raw\":3,\"datatype\":\"Int32\","
		"\"value\":-1}]");
	assert_int_equal(rig->events, 0);
	publish_text("spBv1.0/plant/NDATA/other", "12 (10 07 50 05) 18 02", CLIENT);
	assert_has(&rig->json, "\"metrics\":[{\"alias\":7,\"value\":5}]");
	publish_text("spBv1.0/plant/NDATA/edge", "12 (10 07 50 05) 18 09", CLIENT);
	assert_int_equal(rig->events, E(SPARKPLUG_SEQUENCE));
	publish_text("spBv1.0/plant/DBIRTH/edge/pump",
		"12 (0a ('Properties/Firmware Version') 20 0c 7a (' 2.1.0 ')) 18 0a", CLIENT);
	assert_has(&rig->identity, "\"firmware\":\"2.1.0\",\"name\":\"pump\",\"role\":\"Sparkplug device\",\"address\":\"plant/edge/pump\"");
	publish_text("spBv1.0/STATE/scada", "'{\"online\":true}'", SERVER);
	assert_has(&rig->json, "\"message_type\":\"STATE\",\"host_id\":\"scada\"");
	assert_has(&rig->json, "\"message\":\"{");
	assert_int_equal(slab_used(rig->slab) > 0, true);
}

/* Seen from its middle, a connection of 5.0 shows by the empty properties before the payload. */
static void
test_sparkplug_midstream(void **state)
{
	(void)state;
	publish_text("spBv1.0/plant/NDATA/edge", "00 08 e807 12 (10 07 50 05)", CLIENT);
	assert_has(&rig->json, "\"metrics\":[{\"alias\":7,\"value\":5}]");
	assert_int_equal(rig->events, 0);
	assert_int_equal(flow.version, MQTT_VERSION_5);
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
		row = sparkplug_alias_find(&flow, 1 + i % 3, i);
		assert_non_null(row);
		assert_int_equal(row->name_len, len);
		assert_memory_equal(row->name, name, (size_t)len);
	}
	assert_null(sparkplug_alias_find(&flow, 9, 1));
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
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_sparkplug_metrics), CASE(test_sparkplug_birth), CASE(test_sparkplug_aliases),
		CASE(test_sparkplug_topics), CASE(test_sparkplug_midstream), CASE(test_sparkplug_templates),
		CASE(test_sparkplug_damaged), CASE(test_sparkplug_long_data_set), CASE(test_sparkplug_compressed),
		CASE(test_sparkplug_long),
	};

	return cmocka_run_group_tests_name("sparkplug", tests, NULL, NULL);
}
