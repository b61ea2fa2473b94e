/* DNP3: messages and their JSON, what is malformed, limits, the keywords. */
#include "proto/dnp3/test_dnp3.h"

#include <errno.h>

static void
test_read_request(void **unused)
{
	static const uint8_t app[] = { 0xc2, 1, 60, 2, 6, 60, 3, 6, 60, 4, 6, 60, 1, 6, 1, 0, 0, 2, 9, 30, 0, 0x17, 2, 5, 7 };

	harness_begin();
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.emitted, 1);
	assert_int_equal(h.events, 0);
	assert_true(json_has("{\"type\":\"request\",\"control\":{\"dir\":true,\"pri\":true,\"fcb\":false,\"fcv\":false,"
			     "\"function_code\":4,\"function_name\":\"unconfirmed_user_data\"},\"src\":1,\"dst\":10,"
			     "\"application\":{\"control\":{\"fir\":true,\"fin\":true,\"con\":false,\"uns\":false,"
			     "\"sequence\":2},\"function_code\":1,\"function_name\":\"read\",\"objects\":[{\"group\":60,"
			     "\"variation\":2,\"qualifier\":6,\"prefix_code\":0,\"range_code\":6,\"start\":0,\"stop\":0,"
			     "\"count\":0,\"name\":\"class_objects\"}"));
	assert_true(json_has("\"complete\":true}}"));
	assert_int_equal(object(4)->count, 8);
	assert_int_equal(object(4)->points.count, 0);
	assert_int_equal(object(5)->points.count, 2);
	assert_int_equal(((const struct dnp3_point *)point(object(5), 1))->index, 7);
	assert_memory_equal(at(last()->data.off), app, sizeof(app));
}

static void
test_response(void **unused)
{
	static const uint8_t request[] = { 0xc3, 1, 60, 1, 6 };
	static const uint8_t app[] = { 0xe3, 129, 0x80, 0x02, 30, 1, 0, 1, 2, 0x02, 0x9c, 0xff, 0xff, 0xff, 0x01, 5, 0, 0, 0,
		1, 1, 0, 3, 8, 0x35, 2, 2, 0x28, 1, 0, 7, 0, 0x81, 1, 2, 3, 4, 5, 6 };

	harness_begin();
	feed_app(request, sizeof(request), true);
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.emitted, 2);
	assert_int_equal(h.events, 0);
	assert_true(json_has("\"request_function_code\":1,\"request_function_name\":\"read\""));
	assert_true(json_has("\"points\":[{\"prefix\":0,\"index\":1,\"online\":0,\"restart\":1,\"comm_lost\":0,"
			     "\"remote_forced\":0,\"local_forced\":0,\"over_range\":0,\"reference_err\":0,"
			     "\"reserved0\":0,\"value\":-100},{"));
	assert_true(json_has("{\"prefix\":0,\"index\":3,\"state\":1},{\"prefix\":0,\"index\":4,\"state\":0},"));
	assert_true(json_has("{\"prefix\":0,\"index\":8,\"state\":1}]"));
	assert_true(json_has("{\"prefix\":7,\"index\":7,\"online\":1,\"restart\":0,\"comm_lost\":0,\"remote_forced\":0,"
			     "\"local_forced\":0,\"chatter_filter\":0,\"reserved\":0,\"state\":1,"
			     "\"timestamp\":6618611909121}"));
	assert_true(json_has("\"iin\":{\"indicators\":[\"device_restart\",\"object_unknown\"],\"raw\":32770}"));
	assert_int_equal(h.state.open_count, 0);
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.events, EVENT(UNEXPECTED_RESPONSE));
}

static void
test_confirm(void **unused)
{
	static const uint8_t app[] = { 0xd0, 0 };

	harness_begin();
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.deliveries, 1);
	assert_int_equal(h.emitted, 0);
	h.config.log_confirms = true;
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.emitted, 1);
	assert_string_equal(last()->type, "confirm");
}

static void
test_crob(void **unused)
{
	static const uint8_t app[] = { 0xc4, 5, 12, 1, 0x28, 1, 0, 9, 0, 0x41, 1, 0xf4, 1, 0, 0, 0, 0, 0, 0, 0 };

	harness_begin();
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.events, 0);
	assert_true(json_has("{\"prefix\":9,\"index\":9,\"op_type\":1,\"qu\":0,\"cr\":0,\"tcc\":1,\"count\":1,\"ontime\":500,"
			     "\"offtime\":0,\"status_code\":0,\"reserved\":0,\"op_type_name\":\"pulse_on\","
			     "\"tcc_name\":\"close\",\"status_name\":\"success\"}"));
}

/* A.45.3: a request that only names points, authenticated in aggressive mode. */
static void
test_aggressive(void **unused)
{
	static const uint8_t functions[] = { 1, 7, 11, 20, 21, 22 };
	uint8_t app[] = { 0xc4, 0, 120, 3, 7, 1, 4, 3, 2, 1, 9, 0, 60, 2, 6, 60, 3, 6, 120, 9, 0x5b, 1, 4, 0, 'm', 'a', 'c', '!' };

	for (unsigned int i = 0; i < sizeof(functions); i++) {
		app[1] = functions[i];
		harness_begin();
		feed_app(app, sizeof(app), true);
		assert_int_equal(h.events, 0);
		assert_true(last()->complete);
		assert_int_equal(last()->objects.count, 4);
		assert_true(json_has("{\"prefix\":0,\"index\":0,\"csq\":16909060,\"user_number\":9}"));
		assert_true(json_has("\"mac_value\":\"bWFjIQ==\"}"));
	}
}

/* 4.2.2.6: a function that does not exist is refused by a response, which is no surprise. */
static void
test_unknown_function(void **unused)
{
	static const uint8_t read[] = { 0xc1, 1, 60, 1, 6 };
	static const uint8_t unknown[] = { 0xc2, 99 }, refused[] = { 0xc2, 129, 0, 1 };

	harness_begin();
	feed_app(read, sizeof(read), true);
	feed_app(unknown, sizeof(unknown), true);
	assert_true(h.events == EVENT(INVALID_FUNCTION_CODE));
	h.events = 0;
	feed_app(refused, sizeof(refused), false);
	assert_int_equal(h.events, 0);
	assert_true(json_has("\"request_function_code\":99"));
	feed_app(refused, sizeof(refused), false);
	assert_true(h.events == EVENT(UNEXPECTED_RESPONSE));
}

/* A.3.1: an event without time is its flags, the state in the highest; annex A has a discontinuity in both counters. */
static void
test_flags(void **unused)
{
	static const uint8_t app[] = { 0xc5, 130, 0, 0, 2, 1, 0x17, 2, 4, 0x81, 5, 0x24, 22, 5, 0x17, 1, 3, 0x41, 7, 0, 0, 0, 1, 0, 0, 0,
		0, 0, 23, 2, 0x17, 1, 3, 0x41, 8, 0 };

	harness_begin();
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.events, 0);
	assert_true(json_has("{\"prefix\":4,\"index\":4,\"online\":1,\"restart\":0,\"comm_lost\":0,\"remote_forced\":0,"
			     "\"local_forced\":0,\"chatter_filter\":0,\"reserved\":0,\"state\":129,\"value\":1}"));
	assert_true(json_has("\"comm_lost\":1,\"remote_forced\":0,\"local_forced\":0,\"chatter_filter\":1,\"reserved\":0,"
			     "\"state\":36,\"value\":0}"));
	assert_true(json_has("\"discontinuity\":1,\"reserved0\":1,\"reserved1\":0,\"count\":7,\"timestamp\":1}"));
	assert_true(json_has("\"discontinuity\":1,\"reserved0\":1,\"reserved1\":0,\"count\":8}"));
}

/* A.24: behind a common time of occurrence relative times are of its; before it they stand alone. */
static void
test_relative_times(void **unused)
{
	static const uint8_t app[] = { 0xc5, 129, 0, 0, 2, 3, 0x17, 1, 4, 0x81, 7, 0, 51, 1, 7, 1, 0x00, 0x10, 0, 0, 0, 0,
		2, 3, 0x17, 1, 5, 0x01, 5, 0, 51, 2, 7, 1, 0x00, 0x20, 0, 0, 0, 0, 4, 3, 0x17, 2, 6, 0x41, 3, 0, 7, 0x81, 0, 1 };

	harness_begin();
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.events, 0);
	assert_true(json_has("\"state\":1,\"timestamp\":7}"));
	assert_true(json_has("\"state\":0,\"timestamp\":5,\"event_timestamp\":4101}"));
	assert_true(json_has("\"state\":1,\"relative_time_ms\":3,\"event_timestamp\":8195}"));
	assert_true(json_has("\"state\":2,\"relative_time_ms\":256,\"event_timestamp\":8448}"));
	/* The next message has none. */
	feed_app((const uint8_t[]){ 0xc6, 129, 0, 0, 2, 3, 0x17, 1, 4, 0x81, 7, 0 }, 12, false);
	assert_true(json_has("\"state\":1,\"timestamp\":7}"));
}

static void
test_file(void **unused)
{
	static const uint8_t app[] = { 0xc6, 25, 70, 3, 0x5b, 1, 29, 0, 26, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 0, 0, 0, 0, 0,
		0, 0, 0, 2, 0, 0, 4, 6, 0, 'a', '/', 'b' };

	harness_begin();
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.events, 0);
	assert_true(json_has("{\"prefix\":29,\"index\":0,\"size\":29,\"filename_offset\":26,\"filename_size\":3,\"created\":0,"
			     "\"authentication_key\":0,\"file_size\":0,\"permissions\":511,\"permission_names\":["));
	assert_true(json_has("\"operational_mode\":2,\"operational_mode_name\":\"write\",\"maximum_block_size\":1024,"
			     "\"request_id\":6,\"filename\":\"a/b\"}"));
}

static void
test_attribute(void **unused)
{
	static const uint8_t app[] = { 0xc5, 129, 0, 0, 0, 252, 0, 0, 0, 1, 4, 'A', 'c', 'm', 'e', 0, 213, 0, 0, 0, 2, 4, 1, 0,
		0, 0, 0, 217, 0, 0, 0, 3, 2, 0xfe, 0xff, 0, 203, 0, 0, 0, 4, 4, 0, 0, 0x80, 0x3f, 0, 255, 0, 0, 0, 254, 4,
		252, 0, 247, 1, 0, 200, 0, 0, 0, 5, 2, 0xab, 0xcd };

	harness_begin();
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.events, 0);
	assert_true(last()->complete);
	assert_true(json_has("\"data_type\":1,\"data_type_name\":\"visible_string\",\"length\":4,\"value\":\"Acme\"}"));
	assert_true(json_has("\"variation_name\":\"manufacturer_name\""));
	assert_true(json_has("\"data_type_name\":\"unsigned\",\"length\":4,\"value\":1}"));
	assert_true(json_has("\"data_type_name\":\"signed\",\"length\":2,\"value\":-2}"));
	assert_true(json_has("\"data_type_name\":\"float\",\"length\":4,\"value\":1"));
	assert_true(json_has("\"variations\":[252,247],\"writable\":[false,true]}"));
	assert_true(json_has("\"value\":\"abcd\"}"));
}

/* Annex A.2: the texts that say what the device is, once a flow; a master that writes them says nothing of itself. */
static void
test_identity(void **unused)
{
	static const uint8_t app[] = { 0xc5, 129, 0, 0, 0, 252, 0, 0, 0, 1, 4, 'A', 'c', 'm', 'e', 0, 250, 0, 0, 0, 1, 3, 'R', 'T',
		'U', 0, 242, 0, 0, 0, 1, 3, '1', '.', '2', 0, 246, 0, 0, 0, 1, 2, 'i', 'd' };
	uint8_t other[sizeof(app)];

	harness_begin();
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.identities, 1);
	assert_true(identity_says(IDENTITY_VENDOR, "Acme"));
	assert_true(identity_says(IDENTITY_PRODUCT, "RTU"));
	assert_true(identity_says(IDENTITY_FIRMWARE, "1.2"));
	assert_true(identity_says(IDENTITY_ADDRESS, "10"));
	assert_false(identity_says(IDENTITY_NAME, "id"));
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.identities, 1);
	memcpy(other, app, sizeof(app));
	other[14] = 'f';
	feed_app(other, sizeof(other), false);
	assert_int_equal(h.identities, 2);
	assert_true(identity_says(IDENTITY_VENDOR, "Acmf"));
	for (uint32_t len = 0; len < sizeof(app); len++)
		feed_app(app, len, false); /* cut at every length: only what is whole is told */
	assert_true(h.identities <= 5);
}

static void
test_identity_of_master(void **unused)
{
	static const uint8_t app[] = { 0xc5, 2, 0, 247, 0, 0, 0, 1, 2, 'n', 'm' };

	harness_begin();
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.deliveries, 1);
	assert_int_equal(h.identities, 0);
}

static void
test_dataset(void **unused)
{
	static const uint8_t app[] = { 0xc6, 129, 0, 0, 85, 1, 0x5b, 1, 20, 0, 4, 1, 0, 0, 0, 5, 2, 0, 0, 0x1a, 0x6a, 8, 5, 4,
		8, 'P', 'h', 's', ' ', 'A', 88, 1, 0x5b, 1, 5, 0, 1, 7, 2, 0xab, 0xcd };

	harness_begin();
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.events, 0);
	assert_true(json_has("\"elements\":[{\"length\":4,\"descriptor_code\":1,\"descriptor_name\":\"id\",\"data_type\":0,"
			     "\"data_type_name\":\"none\",\"max_length\":0,\"value\":\"00\"},{\"length\":5"));
	assert_true(json_has("\"value\":\"1a6a\"}"));
	assert_true(json_has("\"descriptor_name\":\"data_element\",\"data_type\":4,\"data_type_name\":\"float\","
			     "\"max_length\":8,\"value\":\"Phs A\"}]"));
	assert_true(json_has("\"elements\":[{\"length\":1,\"value\":\"07\"},{\"length\":2,\"value\":\"abcd\"}]"));
}

static void
test_malformed(void **unused)
{
	static const struct {
		const char *app;
		uint8_t len;
		uint64_t events;
	} rows[] = {
		{ "\xc0", 1, EVENT(LEN_TOO_SMALL) },
		{ "\xc0\x81\x00", 3, EVENT(LEN_TOO_SMALL) },
		{ "\xc0\x50", 2, EVENT(INVALID_FUNCTION_CODE) },
		{ "\xc0\x82\x00\x00\x1e", 5, EVENT(TRUNCATED_OBJECT) },
		{ "\xc0\x82\x00\x00\x1e\x01\x00\x05\x04", 9, EVENT(INVALID_RANGE) },
		{ "\xc0\x82\x00\x00\x1e\x01\x02\x00\x00\x00\x00\xff\xff\xff\xff", 15, EVENT(INVALID_RANGE) },
		{ "\xc0\x82\x00\x00\x1e\x01\x0f\x05\x04", 9, EVENT(INVALID_QUALIFIER) },
		{ "\xc0\x82\x00\x00\x1e\x01\x77\x01", 8, EVENT(INVALID_QUALIFIER) },
		{ "\xc0\x82\x00\x00\x1e\x01\x80\x01\x01", 9, EVENT(INVALID_QUALIFIER) },
		{ "\xc0\x82\x00\x00\x1e\x0e\x07\x01\x01", 9, EVENT(UNKNOWN_OBJECT) },
		{ "\xc0\x82\x00\x00\x1e\x0e\x5b\x01\x01\x00\x55", 11, EVENT(UNKNOWN_OBJECT) },
		{ "\xc0\x82\x00\x00\x1e\x01\x09\xff\xff\xff\xff\x01", 12, EVENT(TRUNCATED_OBJECT) },
		{ "\xc0\x82\x00\x00\x01\x01\x09\xff\xff\xff\xff\x01", 12, EVENT(TOO_MANY_POINTS) },
		{ "\xc0\x82\x00\x00\x6e\x00\x09\xff\xff\xff\xff", 11, EVENT(TOO_MANY_POINTS) },
		{ "\xc0\x82\x00\x00\x6e\x00\x07\x05", 8, 0 },
		{ "\xc0\x82\x00\x00\x46\x05\x07\x01\x00\x00\x00\x00\x00\x00\x00\x00", 16, EVENT(TRUNCATED_OBJECT) },
		{ "\xc0\x82\x00\x00\x46\x05\x5b\x01\x04\x00\x00\x00\x00\x00", 14, EVENT(INVALID_OBJECT_LENGTH) },
		{ "\xc0\x82\x00\x00\x0a\x02\x4b\x01\x02\x00\x00", 11, EVENT(INVALID_OBJECT_LENGTH) },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		harness_begin();
		feed_app((const uint8_t *)rows[i].app, rows[i].len, false);
		if (h.events != rows[i].events)
			print_error("row %zu: events %#lx\n", i, (unsigned long)h.events);
		assert_int_equal(h.events, rows[i].events);
		assert_int_equal(h.deliveries, 1);
	}
}

static void
test_limits(void **unused)
{
	static struct bytes app, out;

	/* 1,200 bits of 32-byte records and more do not fit: counted, never lost silently. */
	harness_begin();
	app.len = 0;
	put(&app, (uint8_t[]){ 0xc0, 129, 0, 0, 1, 1, 1, 0, 0, 0xff, 0x1f }, 11);
	app.len += 1024;
	put(&app, (uint8_t[]){ 30, 1, 0, 0, 0, 1, 7, 0, 0, 0, 12, 1, 0, 0, 1 }, 10);
	out.len = 0;
	put_fragment(&out, 0x44, app.data, app.len, 249);
	feed(out.data, out.len, false);
	assert_int_equal(h.events, 0);
	assert_int_equal(object(0)->count, 8192);
	assert_true(object(0)->points_truncated > 0);
	assert_int_equal(object(0)->points.count + object(0)->points_truncated, 8192);
	assert_int_equal(last()->points_truncated, object(0)->points_truncated + object(1)->points_truncated);
	assert_true(last()->complete);
	assert_true(json_has("\"points_truncated\":"));
	/* All of a record, when nothing follows: the state of a station with 1,024 inputs, 512 outputs and 240 measurements. */
	harness_begin();
	app.len = 0;
	put(&app, (uint8_t[]){ 0xc0, 129, 0, 0, 1, 1, 1, 0, 0, 0xff, 0x03 }, 11);
	app.len += 128;
	put(&app, (uint8_t[]){ 10, 2, 1, 0, 0, 0xff, 0x01 }, 7);
	app.len += 512;
	put(&app, (uint8_t[]){ 30, 5, 1, 0, 0, 239, 0 }, 7);
	app.len += 240 * 5;
	out.len = 0;
	put_fragment(&out, 0x44, app.data, app.len, 249);
	feed(out.data, out.len, false);
	assert_int_equal(h.events, 0);
	assert_int_equal(object(2)->points.count, 240);
	assert_int_equal(last()->points_truncated, 0);
	assert_true(last()->complete);
	/* Headers without points, more than max-objects. */
	harness_begin();
	h.config.max_objects = 100;
	app.len = 0;
	put(&app, (uint8_t[]){ 0xc0, 1 }, 2);
	for (unsigned int i = 0; i < 101; i++)
		put(&app, (uint8_t[]){ 60, 1, 6 }, 3);
	feed_app(app.data, 2 + 100 * 3, true);
	assert_int_equal(h.emitted, 0 + 1);
	out.len = 0;
	put_fragment(&out, 0xc4, app.data, app.len, 249);
	feed(out.data, out.len, true);
	assert_int_equal(h.events & EVENT(TOO_MANY_OBJECTS), EVENT(TOO_MANY_OBJECTS));
	/* All that max-objects allows, in a record that cannot hold their headers: the ids are still complete. */
	harness_begin();
	app.len = 2;
	for (unsigned int i = 0; i < 2047; i++)
		put(&app, (uint8_t[]){ 60, 1, 6 }, 3);
	put(&app, (uint8_t[]){ 60, 4, 6 }, 3);
	out.len = 0;
	put_fragment(&out, 0xc4, app.data, app.len, 249);
	feed(out.data, out.len, true);
	assert_int_equal(h.events, 0);
	assert_true(last()->objects_truncated > 0);
	assert_int_equal(last()->objects.count + last()->objects_truncated, 2048);
	assert_int_equal(last()->object_ids.count, 2048);
}

static void
test_flood(void **unused)
{
	harness_begin();
	for (unsigned int i = 0; i < 3; i++)
		for (uint8_t sequence = 0; sequence < 16; sequence++) {
			struct bytes out = { .len = 0 };

			put(&out, (uint8_t[]){ 5, 0x64, 11, 0xc4, (uint8_t)(10 + i), 0, 1, 0 }, 8);
			put_crc(&out, 0);
			put(&out, (uint8_t[]){ 0xc0, 0xc0 | sequence, 1, 60, 1, 6 }, 6);
			put_crc(&out, 10);
			feed(out.data, out.len, true);
			assert_int_equal(h.events, i < 2 ? 0 : EVENT(FLOODED));
		}
	assert_int_equal(h.state.open_count, DNP3_OPEN_MAX);
	assert_int_equal(counter_get(&h.counters[DNP3_REQUESTS_SHED]), 16);
}

/* Between two stations sixteen sequence numbers come again and again: told once, and again only behind a response. */
static void
test_flood_of_a_pair(void **unused)
{
	static const uint8_t response[] = { 0xc0, 129, 0, 0 };

	harness_begin();
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 3 * DNP3_OPEN_MAX; i++) {
			const uint8_t request[] = { (uint8_t)(0xc0 | (i & 15)), 1, 60, 1, 6 };

			h.events = 0;
			feed_app(request, sizeof(request), true);
			assert_int_equal(h.events, i == DNP3_OPEN_MAX ? EVENT(FLOODED) : 0);
		}
		feed_app(response, sizeof(response), false);
	}
}

static bool
keyword(const char *name, const char *value)
{
	struct rule_app_test compiled;
	char err[128];

	for (unsigned int i = 0; i < DNP3_KEYWORD_COUNT; i++)
		if (strcmp(dnp3_keywords[i].name, name) == 0) {
			if (dnp3_keywords[i].setup(value, &compiled, err, sizeof(err)) != 0) {
				print_error("%s:%s: %s\n", name, value, err);
				fail();
			}
			return dnp3_keywords[i].test(&compiled, h.last);
		}
	fail();
	return false;
}

static void
test_keyword_index(void **unused)
{
	static const struct {
		const char *value;
		uint16_t mask, bits; /* rules are found by them; mask 0: by nothing */
	} indicated[] = {
		{ "device_restart", 0x8000, 0x8000 }, { "+device_restart,need_time", 0x9000, 0x9000 },
		{ "device_restart,!need_time", 0x9000, 0x8000 }, { "-need_time", 0x1000, 0 },
		{ "device_restart,need_time", 0, 0 }, { "!0", 0, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < TEST_COUNT(indicated); i++) {
		const struct rule_app_keyword *ind = &dnp3_keywords[2];
		struct rule_app_test compiled;
		struct record_path found;
		struct rule_app_index index;
		char err[128];

		assert_int_equal(ind->setup(indicated[i].value, &compiled, err, sizeof(err)), 0);
		assert_int_equal(dnp3_proto.app.keyword_index(ind, &compiled, &index), indicated[i].mask != 0);
		if (indicated[i].mask == 0)
			continue;
		assert_int_equal(record_path_resolve(&dnp3_record_table, index.path, &found), 0);
		assert_int_equal(index.mask, indicated[i].mask);
		assert_int_equal(index.value, indicated[i].bits);
	}
}

static void
test_keywords(void **unused)
{
	static const uint8_t app[] = { 0xc3, 129, 0x80, 0x00, 30, 1, 0, 1, 1, 0x02, 0x9c, 0xff, 0xff, 0xff };
	static const struct {
		const char *name, *value;
		bool holds;
	} rows[] = {
		{ "dnp3_func", "129", true }, { "dnp3.func", "response", true }, { "dnp3_func", "read", false },
		{ "dnp3_func", "!read", true }, { "dnp3_func", ">128", true }, { "dnp3_func", "<=129", true },
		{ "dnp3_func", "<129", false }, { "dnp3_func", "128-130", true }, { "dnp3_func", "!129", false },
		{ "dnp3_ind", "device_restart", true }, { "dnp3.ind", "0x8000", true }, { "dnp3.ind", "!0", true },
		{ "dnp3.ind", "device_restart,!need_time", true }, { "dnp3.ind", "need_time", false },
		{ "dnp3_ind", "device_restart,need_time", true }, { "dnp3_ind", "+device_restart,need_time", false },
		{ "dnp3_ind", "-need_time,local_control", true }, { "dnp3_ind", "-device_restart", false },
		{ "dnp3_ind", "=device_restart", true }, { "dnp3_ind", "*device_restart,need_time", true },
		{ "dnp3_ind", "&0x8000=0x8000", true }, { "dnp3_ind", "&0x8000!=0x8000", false },
		{ "dnp3_obj", "30,1", true }, { "dnp3.obj", "30, 01", true }, { "dnp3_obj", "30,2", false },
		{ "dnp3_obj", "30", true }, { "dnp3_obj", "22,1", false },
	};
	static const char *const refused[][2] = {
		{ "dnp3_func", "no_such" }, { "dnp3_func", "256" }, { "dnp3_func", "" }, { "dnp3_ind", "sideways" },
		{ "dnp3_ind", "0x10000" }, { "dnp3_ind", "" }, { "dnp3_obj", "" }, { "dnp3_obj", "1,256" },
		{ "dnp3_obj", "1,2,3" }, { "dnp3_obj", "a,b" },
	};

	harness_begin();
	feed_app(app, sizeof(app), false);
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		if (keyword(rows[i].name, rows[i].value) != rows[i].holds)
			print_error("%s:%s\n", rows[i].name, rows[i].value);
		assert_int_equal(keyword(rows[i].name, rows[i].value), rows[i].holds);
	}
	for (size_t i = 0; i < TEST_COUNT(refused); i++)
		for (unsigned int k = 0; k < DNP3_KEYWORD_COUNT; k++) {
			struct rule_app_test compiled;
			char err[128] = "";

			if (strcmp(dnp3_keywords[k].name, refused[i][0]) != 0)
				continue;
			assert_int_equal(dnp3_keywords[k].setup(refused[i][1], &compiled, err, sizeof(err)), -EINVAL);
			assert_true(err[0] != '\0');
		}
	for (unsigned int k = 0; k < 2; k++) {
		const struct rule_app_keyword *func = &dnp3_keywords[k];
		struct rule_app_test compiled;
		struct record_path found;
		struct rule_app_index index;
		char err[128];

		assert_int_equal(func->setup("write", &compiled, err, sizeof(err)), 0);
		assert_true(dnp3_proto.app.keyword_index(func, &compiled, &index));
		assert_int_equal(index.value, 2);
		assert_int_equal(record_path_resolve(&dnp3_record_table, index.path, &found), 0);
		assert_int_equal(func->setup("!write", &compiled, err, sizeof(err)), 0);
		assert_false(dnp3_proto.app.keyword_index(func, &compiled, &index));
	}
	/* A frame without a message has neither function code nor indications. */
	harness_begin();
	segment(0x44, 0x40, "");
	feed((const uint8_t *)"\x05\x64\x05\xc9\x01\x00\x0a\x00", 8, true);
	memset(h.last, 0, sizeof(struct dnp3_record));
	assert_false(keyword("dnp3_func", "confirm"));
	assert_false(keyword("dnp3_ind", "!1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc), cmocka_unit_test(test_tables), cmocka_unit_test(test_frame),
		cmocka_unit_test(test_link), cmocka_unit_test(test_read_request), cmocka_unit_test(test_response),
		cmocka_unit_test(test_confirm), cmocka_unit_test(test_crob), cmocka_unit_test(test_file),
		cmocka_unit_test(test_aggressive), cmocka_unit_test(test_unknown_function), cmocka_unit_test(test_flags), cmocka_unit_test(test_relative_times),
		cmocka_unit_test(test_attribute),
		cmocka_unit_test(test_identity), cmocka_unit_test(test_identity_of_master), cmocka_unit_test(test_dataset), cmocka_unit_test(test_every_layout),
		cmocka_unit_test(test_segments), cmocka_unit_test(test_segment_order), cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_many_reassemblies), cmocka_unit_test(test_bad_crc),
		cmocka_unit_test(test_resynchronisation), cmocka_unit_test(test_malformed), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_flood), cmocka_unit_test(test_flood_of_a_pair), cmocka_unit_test(test_keywords),
		cmocka_unit_test(test_keyword_index), cmocka_unit_test(test_random),
	};

	if (slab_create(&slab, 1 << 20) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
