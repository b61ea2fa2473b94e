/* IEC 104: the layout of every type, values, qualifiers, times, and what is wrong with them. */
#include "proto/iec104/test_iec104.h"

void
test_tables(void **unused)
{
	(void)unused;
	if (record_table_check(&iec104_record_table) != NULL)
		fail_msg("%s", record_table_check(&iec104_record_table));
	for (unsigned int id = 0; id < IEC104_TYPE_COUNT; id++) {
		const struct iec104_type *type = &iec104_types[id];
		uint32_t size = 0;

		for (unsigned int i = 0; i < type->element_count; i++)
			size += iec104_kind_size(type->elements[i].kind);
		/* What lies behind a plain value's end is not written; only files have a file's members. */
		for (unsigned int i = 0; i < type->element_count; i++) {
			uint8_t kind = type->elements[i].kind;

			assert_true((kind != IEC104_KIND_CP24 && kind != IEC104_KIND_CP56) || type->shape != IEC104_SHAPE_VALUE);
			assert_true(kind < IEC104_KIND_CP56_STOP || type->shape == IEC104_SHAPE_FILE);
		}
		assert_int_equal(size, type->size);
		if (type->name == NULL)
			assert_string_equal(field_name_of(&iec104_type_names, id), "unknown");
		else
			assert_string_equal(field_name_of(&iec104_type_names, id), type->name);
	}
	for (unsigned int i = 0; i < IEC104_EVENT_COUNT; i++)
		assert_true(iec104_events[i].name != NULL && iec104_events[i].help != NULL);
}

/* 2026-07-15 (a Wednesday) 13:45:30.250 with summer time; 13:45:30.250 short. */
#define LONG "2a762d 8d 6f 07 1a "
#define LONG_JSON "\"timestamp\":\"2026-07-15T13:45:30.250000+0000\",\"time_quality\":[\"summer_time\"]"
#define SHORT "2a76 2d "
#define SHORT_JSON "\"minute_ms\":2730250"

static const struct {
	const char *asdu; /* standard lengths: type, qualifier, cause, originator, station 10 */
	const char *json;
	bool to_server;
} types[] = {
	{ "01 01 0300 0a00 010000 91", "{\"obj_addr\":1,\"value\":1,\"value_name\":\"on\",\"quality\":[\"blocked\",\"invalid\"],\"siq\":145}", false },
	{ "02 01 0300 0a00 010000 00" SHORT, "\"value\":0,\"value_name\":\"off\",\"quality\":[],\"siq\":0," SHORT_JSON, false },
	{ "03 01 0300 0a00 010203 42", "{\"obj_addr\":197121,\"value\":2,\"value_name\":\"on\",\"quality\":[\"not_topical\"],\"diq\":66}", false },
	{ "04 01 0300 0a00 010000 00" SHORT, "\"value_name\":\"intermediate\"", false },
	{ "05 01 0300 0a00 010000 bf 00", "{\"obj_addr\":1,\"value\":63,\"transient\":true,\"quality\":[],\"qds\":0}", false },
	{ "05 01 0300 0a00 010000 40 01", "{\"obj_addr\":1,\"value\":-64,\"transient\":false,\"quality\":[\"overflow\"],\"qds\":1}", false },
	{ "06 01 0300 0a00 010000 7f 00" SHORT, "\"value\":-1,", false },
	{ "07 01 0300 0a00 010000 78563412 20", "{\"obj_addr\":1,\"value\":305419896,\"quality\":[\"substituted\"],\"qds\":32}", false },
	{ "08 01 0300 0a00 010000 ffffffff 00" SHORT, "\"value\":4294967295,", false },
	{ "09 01 0300 0a00 010000 0040 00", "{\"obj_addr\":1,\"value\":0.5,\"quality\":[],\"nva\":16384,\"qds\":0}", false },
	{ "0a 01 0300 0a00 010000 0080 00" SHORT, "\"value\":-1.0,\"quality\":[],\"nva\":-32768,", false },
	{ "0b 01 0300 0a00 010000 18fc 00", "{\"obj_addr\":1,\"value\":-1000,\"quality\":[],\"qds\":0}", false },
	{ "0c 01 0300 0a00 010000 e803 00" SHORT, "\"value\":1000,", false },
	{ "0d 01 0300 0a00 010000 0000c03f 00", "{\"obj_addr\":1,\"value\":1.5,\"quality\":[],\"qds\":0}", false },
	{ "0e 01 0300 0a00 010000 000020c1 00" SHORT, "\"value\":-10.0,", false },
	{ "0f 01 2500 0a00 010000 40e20100 a3", "{\"obj_addr\":1,\"value\":123456,\"quality\":[\"carry\",\"invalid\"],\"sequence\":3,\"bcr\":163}", false },
	{ "10 01 2500 0a00 010000 ffffffff 40" SHORT, "\"value\":-1,\"quality\":[\"adjusted\"],\"sequence\":0,", false },
	{ "11 01 0300 0a00 010000 0a e803" SHORT, "\"value\":2,\"value_name\":\"on\",\"quality\":[\"elapsed_time_invalid\"],\"elapsed_time_ms\":1000,\"sep\":10," SHORT_JSON, false },
	{ "12 01 0300 0a00 010000 23 00 e803" SHORT, "\"value\":35,\"start_events\":[\"general\",\"phase_l1\",\"reverse\"],\"quality\":[],\"relay_duration_ms\":1000,\"qdp\":0,", false },
	{ "13 01 0300 0a00 010000 05 80 e803" SHORT, "\"value\":5,\"output_circuits\":[\"general\",\"phase_l2\"],\"quality\":[\"invalid\"],\"relay_operating_time_ms\":1000,\"qdp\":128,", false },
	{ "14 01 0300 0a00 010000 0f00 0100 00", "\"value\":15,\"change_detection\":1,\"quality\":[]", false },
	{ "15 01 0300 0a00 010000 0020", "{\"obj_addr\":1,\"value\":0.25,\"nva\":8192}", false },
	{ "1e 01 0300 0a00 010000 01" LONG, "\"value\":1,\"value_name\":\"on\",\"quality\":[],\"siq\":1," LONG_JSON, false },
	{ "1f 01 0300 0a00 010000 01" LONG, "\"value\":1,\"value_name\":\"off\",\"quality\":[],\"diq\":1," LONG_JSON, false },
	{ "20 01 0300 0a00 010000 05 00" LONG, "\"value\":5,\"transient\":false,\"quality\":[],\"qds\":0," LONG_JSON, false },
	{ "21 01 0300 0a00 010000 01000000 00" LONG, "\"value\":1,\"quality\":[],\"qds\":0," LONG_JSON, false },
	{ "22 01 0300 0a00 010000 00c0 00" LONG, "\"value\":-0.5,\"quality\":[],\"nva\":-16384,\"qds\":0," LONG_JSON, false },
	{ "23 01 0300 0a00 010000 0100 00" LONG, "\"value\":1,\"quality\":[],\"qds\":0," LONG_JSON, false },
	{ "24 01 0300 0a00 010000 00004842 00" LONG, "\"value\":50.0,\"quality\":[],\"qds\":0," LONG_JSON, false },
	{ "25 01 2500 0a00 010000 01000000 01" LONG, "\"value\":1,\"quality\":[],\"sequence\":1,\"bcr\":1," LONG_JSON, false },
	{ "26 01 0300 0a00 010000 01 0100" LONG, "\"value\":1,\"value_name\":\"off\",", false },
	{ "27 01 0300 0a00 010000 01 00 0100" LONG, "\"start_events\":[\"general\"]", false },
	{ "28 01 0300 0a00 010000 01 00 0100" LONG, "\"output_circuits\":[\"general\"]", false },
	{ "29 01 0300 0a00 010000 0700 09000000 00" LONG, "\"value\":9,\"quality\":[],\"sequence\":0,\"association_id\":7,", false },
	{ "2d 01 0600 0a00 010000 85", "{\"obj_addr\":1,\"value\":1,\"value_name\":\"on\",\"select\":true,\"qu\":1,\"qu_name\":\"short_pulse\",\"sco\":133}", true },
	{ "2e 01 0600 0a00 010000 02", "\"value\":2,\"value_name\":\"on\",\"select\":false,\"qu\":0,\"qu_name\":\"none\",\"dco\":2", true },
	{ "2f 01 0600 0a00 010000 09", "\"value\":1,\"value_name\":\"lower\",\"select\":false,\"qu\":2,\"qu_name\":\"long_pulse\",\"rco\":9", true },
	{ "30 01 0600 0a00 010000 0040 80", "\"value\":0.5,\"select\":true,\"ql\":0,\"nva\":16384,\"qos\":128", true },
	{ "31 01 0600 0a00 010000 9cff 00", "\"value\":-100,\"select\":false,\"ql\":0,\"qos\":0", true },
	{ "32 01 0600 0a00 010000 0000803f 00", "\"value\":1.0,\"select\":false,", true },
	{ "33 01 0600 0a00 010000 efbeadde", "{\"obj_addr\":1,\"value\":3735928559}", true },
	{ "3a 01 0600 0a00 010000 01" LONG, "\"sco\":1," LONG_JSON, true },
	{ "3b 01 0600 0a00 010000 01" LONG, "\"dco\":1," LONG_JSON, true },
	{ "3c 01 0600 0a00 010000 02" LONG, "\"value_name\":\"higher\"", true },
	{ "3d 01 0600 0a00 010000 0040 00" LONG, "\"nva\":16384,\"qos\":0," LONG_JSON, true },
	{ "3e 01 0600 0a00 010000 0100 00" LONG, "\"value\":1,\"select\":false,", true },
	{ "3f 01 0600 0a00 010000 0000803f 00" LONG, "\"value\":1.0,\"select\":false,", true },
	{ "40 01 0600 0a00 010000 01000000" LONG, "\"value\":1," LONG_JSON, true },
	{ "46 01 0400 0a00 000000 82", "\"coi\":130,\"coi_name\":\"remote_reset\",\"local_parameters_changed\":true", false },
	{ "64 01 0600 0a00 000000 14", "\"qoi\":20,\"qoi_name\":\"station\"", true },
	{ "65 01 0600 0a00 000000 45", "\"qcc\":69,\"rqt\":5,\"rqt_name\":\"general\",\"frz\":1,\"frz_name\":\"freeze\"", true },
	{ "66 01 0500 0a00 0a0000", "\"objects\":[{\"obj_addr\":10}]", true },
	{ "67 01 0600 0a00 000000" LONG, "{\"obj_addr\":0," LONG_JSON, true },
	{ "68 01 0600 0a00 000000 aa55", "\"fbp\":21930", true },
	{ "69 01 0600 0a00 000000 01", "\"qrp\":1,\"qrp_name\":\"general_reset\"", true },
	{ "6a 01 0600 0a00 000000 6400", "\"delay_ms\":100", true },
	{ "6b 01 0600 0a00 000000 0700" LONG, "\"tsc\":7," LONG_JSON, true },
	{ "6e 01 0600 0a00 010000 0040 01", "\"value\":0.5,\"nva\":16384,\"qpm\":1,\"kpa\":1,\"kpa_name\":\"threshold\",\"parameter_flags\":[]", true },
	{ "6f 01 0600 0a00 010000 0500 c3", "\"value\":5,\"qpm\":195,\"kpa\":3,\"kpa_name\":\"low_limit\",\"parameter_flags\":[\"local_change\",\"not_in_operation\"]", true },
	{ "70 01 0600 0a00 010000 0000803f 04", "\"value\":1.0,\"qpm\":4,", true },
	{ "71 01 0600 0a00 010000 03", "\"qpa\":3,\"qpa_name\":\"cyclic_transmission\"", true },
	{ "78 01 0d00 0a00 010000 0100 100000 80", "\"nof\":1,\"lof\":16,\"frq\":128,\"negative\":true", false },
	{ "79 01 0d00 0a00 010000 0100 02 100000 00", "\"nof\":1,\"nos\":2,\"lof\":16,\"srq\":0,\"not_ready\":false", false },
	{ "7a 01 0d00 0a00 010000 0100 00 34", "\"scq\":52,\"scq_name\":\"delete_file\",\"error\":3,\"error_name\":\"unexpected_service\"", true },
	{ "7b 01 0d00 0a00 010000 0100 02 03 ff", "\"lsq\":3,\"lsq_name\":\"section_without_deactivation\",\"chs\":255", false },
	{ "7c 01 0d00 0a00 010000 0100 02 03", "\"afq\":3,\"afq_name\":\"section_positive\",\"error\":0,\"error_name\":\"none\"", true },
	{ "7d 01 0d00 0a00 010000 0100 02 03 abcdef", "\"nof\":1,\"nos\":2,\"los\":3,\"data\":\"abcdef\"", false },
	{ "7e 01 0300 0a00 010000 0100 100000 e0" LONG, "\"nof\":1,\"lof\":16,\"sof\":224,\"file_flags\":[\"last_of_directory\",\"directory\",\"transfer_active\"]," LONG_JSON, false },
	{ "7f 01 0500 0a00 010000 0100" LONG LONG, "\"nof\":1,\"stop_timestamp\":\"2026-07-15T13:45:30.250000+0000\"," LONG_JSON, true },
	{ "51 01 0e00 0a00 0102030405", "\"type_id\":\"S_CH_NA_1\",\"type_id_code\":81,\"category\":\"security\"", true },
};

void
test_every_type(void **unused)
{
	uint8_t seen[IEC104_TYPE_COUNT] = { 0 };

	(void)unused;
	for (size_t i = 0; i < TEST_COUNT(types); i++) {
		struct bytes whole = { .len = 0 };
		uint64_t events;

		harness_begin();
		events = feed_i(types[i].asdu, types[i].to_server);
		if (events != 0)
			print_error("%s: events %#lx\n", types[i].asdu, (unsigned long)events);
		assert_int_equal(events, 0);
		assert_int_equal(h.emitted, 1);
		assert_true(json_has(types[i].json));
		seen[last()->type_id] = 1;
		/* Cut at every octet, with the length as it should be: bounded, and told. */
		put_i(&whole, types[i].asdu, types[i].to_server);
		for (uint32_t len = 6; len < whole.len; len++) {
			harness_begin();
			whole.data[1] = (uint8_t)(len - 2);
			h.ctx.to_server = types[i].to_server;
			iec104_proto.parse(&h.ctx, cursor_of(whole.data, len));
			assert_int_equal(h.deliveries, 1);
			assert_true(h.events != 0 || last()->category == IEC104_SECURITY);
		}
		/* Each octet at its extremes. */
		whole.data[1] = (uint8_t)(whole.len - 2);
		for (uint32_t at = 6; at < whole.len; at++) {
			static const uint8_t extremes[] = { 0x00, 0x7f, 0x80, 0xff };
			uint8_t kept = whole.data[at];

			for (size_t k = 0; k < sizeof(extremes); k++) {
				harness_begin();
				whole.data[at] = extremes[k];
				feed(whole.data, whole.len, types[i].to_server);
				assert_int_equal(h.deliveries, 1);
				json();
			}
			whole.data[at] = kept;
		}
	}
	for (unsigned int id = 0; id < IEC104_TYPE_COUNT; id++)
		assert_true(seen[id] || iec104_types[id].name == NULL || iec104_types[id].category == IEC104_SECURITY);
}

void
test_sequence_of_elements(void **unused)
{
	(void)unused;
	harness_begin();
	assert_int_equal(feed_i("01 84 1400 1e04 100000 01 00 01 80", false), 0);
	assert_int_equal(last()->objects.count, 4);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(((const struct iec104_object *)object(i))->obj_addr, 16 + i);
	assert_true(json_has("\"type_id\":\"M_SP_NA_1\",\"type_id_code\":1,\"category\":\"process_monitor\",\"nobj\":4,"
			     "\"sq\":true,\"cot\":\"inrogen\",\"cot_code\":20,\"pn\":false,\"test\":false,"
			     "\"originator_address\":0,\"common_address\":1054,\"objects\":["));
	assert_int_equal(feed_i("0d 02 c101 0a00 010000 0000803f 00 050000 00000040 00", false), 0);
	assert_int_equal(((const struct iec104_object *)object(1))->obj_addr, 5);
	assert_true(json_has("\"pn\":true,\"test\":true,\"originator_address\":1"));
	/* As many as the qualifier can say. */
	harness_begin();
	{
		struct bytes b = { .len = 0 };

		put_i(&b, "01 ff 1400 0100 000000", false);
		memset(b.data + b.len, 1, 127);
		b.len += 127;
		b.data[1] = (uint8_t)(b.len - 2);
		feed(b.data, b.len, false);
		assert_int_equal(h.events, 0);
		assert_int_equal(last()->objects.count, 127);
	}
}

void
test_checks(void **unused)
{
	static const struct {
		const char *asdu;
		uint64_t events;
		bool to_server;
	} rows[] = {
		{ "01 01 0300 0a00 010000 01 00", EVENT(INVALID_LENGTH), false },
		{ "01 02 0300 0a00 010000 01", EVENT(INVALID_LENGTH), false },
		{ "7d 01 0d00 0a00 010000 0100 02 09 abcdef", EVENT(INVALID_LENGTH), false },
		{ "7d 01 0d00 0a00 010000 0100 02 01 abcdef", EVENT(INVALID_LENGTH), false },
		{ "01 01 03", EVENT(SHORT_ASDU), false },
		{ "", EVENT(SHORT_ASDU), false },
		{ "16 01 0300 0a00 010000 01", EVENT(RESERVED_TYPE), false },
		{ "c8 01 0300 0a00 010000 01", EVENT(PRIVATE_TYPE), false },
		{ "01 00 0300 0a00", EVENT(NO_OBJECTS), false },
		{ "64 02 0600 0a00 000000 14 000000 15", EVENT(TOO_MANY_OBJECTS), true },
		{ "1e 81 0300 0a00 010000 01" LONG, EVENT(INVALID_SQ), false },
		{ "01 01 0000 0a00 010000 01", EVENT(RESERVED_CAUSE), false },
		{ "01 01 2a00 0a00 010000 01", EVENT(RESERVED_CAUSE), false },
		{ "01 01 0400 0a00 010000 01", EVENT(INVALID_CAUSE), false },
		{ "01 01 3000 0a00 010000 01", 0, false },
		{ "01 01 0300 0000 010000 01", EVENT(INVALID_COMMON_ADDRESS), false },
		{ "2d 01 0600 ffff 010000 01", EVENT(INVALID_BROADCAST), true },
		{ "64 01 0600 ffff 000000 14", 0, true },
		{ "64 01 0600 0a00 010000 14", EVENT(INVALID_OBJECT_ADDRESS), true },
		{ "01 82 0300 0a00 ffffff 01 00", EVENT(INVALID_OBJECT_ADDRESS), false },
		{ "01 01 0300 0a00 010000 01", EVENT(WRONG_DIRECTION), true },
		{ "2d 01 0600 0a00 010000 01", EVENT(WRONG_DIRECTION), false },
		{ "64 01 0600 0a00 000000 01", EVENT(RESERVED_QUALIFIER), true },
		{ "64 01 0600 0a00 000000 40", 0, true },
		{ "2d 01 0600 0a00 010000 11", EVENT(RESERVED_QUALIFIER), true },
		{ "01 01 0300 0a00 010000 03", EVENT(RESERVED_BITS), false },
		{ "2e 01 0600 0a00 010000 03", EVENT(INVALID_VALUE), true },
		{ "2f 01 0600 0a00 010000 00", EVENT(INVALID_VALUE), true },
		{ "0d 01 0300 0a00 010000 0000807f 00", EVENT(INVALID_FLOAT), false },
		{ "0d 01 0300 0a00 010000 0100c0ff 00", EVENT(INVALID_FLOAT), false },
		{ "68 01 0600 0a00 000000 5555", EVENT(INVALID_TEST_PATTERN), true },
	};

	(void)unused;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		uint64_t events;

		harness_begin();
		feed_i("01 01 0300 0a00 010000 01", false); /* settles the lengths */
		events = feed_i(rows[i].asdu, rows[i].to_server);
		if (events != rows[i].events)
			print_error("%s: events %#lx\n", rows[i].asdu, (unsigned long)events);
		assert_int_equal(events, rows[i].events);
		assert_int_equal(h.deliveries, 2);
	}
	harness_begin();
	feed_i("c8 01 0300 0a00 0102ff", false);
	assert_true(json_has("\"type_id\":\"unknown\",\"type_id_code\":200,\"category\":\"private\""));
	assert_true(json_has("\"data\":\"0102ff\""));
}

void
test_times(void **unused)
{
	static const struct {
		const char *time;
		uint64_t events;
		const char *json;
	} rows[] = {
		{ "0000 00 00 01 01 46", 0, "\"timestamp\":\"1970-01-01T00:00:00.000000+0000\"" },
		{ "0000 00 00 1d 02 18", 0, "\"timestamp\":\"2024-02-29T00:00:00.000000+0000\"" },
		{ "0000 00 00 01 03 18", 0, "\"timestamp\":\"2024-03-01T00:00:00.000000+0000\"" },
		{ "5fea 3b 17 1f 0c 45", 0, "\"timestamp\":\"2069-12-31T23:59:59.999000+0000\"" },
		{ "0000 c0 00 01 01 1a", 0, "\"time_quality\":[\"invalid\",\"substituted\"]" },
		{ "60ea 00 00 01 01 1a", EVENT(INVALID_TIME), "\"time_quality\":[]" },
		{ "0000 3c 00 01 01 1a", EVENT(INVALID_TIME), "\"time_quality\":[]" },
		{ "0000 00 18 01 01 1a", EVENT(INVALID_TIME), "\"time_quality\":[]" },
		{ "0000 00 00 00 01 1a", EVENT(INVALID_TIME), "\"time_quality\":[]" },
		{ "0000 00 00 1e 02 1a", EVENT(INVALID_TIME), "\"time_quality\":[]" },
		{ "0000 00 00 01 0d 1a", EVENT(INVALID_TIME), "\"time_quality\":[]" },
		{ "0000 00 00 01 01 64", EVENT(INVALID_TIME), "\"timestamp\":\"2000-01-01T00:00:00.000000+0000\"" },
		{ "0000 00 00 01 01 7f", EVENT(INVALID_TIME), "\"timestamp\":\"2027-01-01T00:00:00.000000+0000\"" },
		{ "0000 80 00 00 00 00", 0, "\"time_quality\":[\"invalid\"]" },
		{ "0000 00 40 01 01 1a", EVENT(RESERVED_BITS), "\"timestamp\":" },
		{ "0000 00 00 01 11 1a", EVENT(RESERVED_BITS), "\"timestamp\":" },
	};

	(void)unused;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		char asdu[128];

		harness_begin();
		snprintf(asdu, sizeof(asdu), "1e 01 0300 0a00 010000 01 %s", rows[i].time);
		assert_int_equal(feed_i(asdu, false), rows[i].events);
		assert_true(json_has(rows[i].json));
	}
	harness_begin();
	assert_int_equal(feed_i("02 01 0300 0a00 010000 01 60ea 00", false), EVENT(INVALID_TIME));
	assert_int_equal(feed_i("02 01 0300 0a00 010000 01 60ea 80", false), 0);
	assert_int_equal(feed_i("11 01 0300 0a00 010000 01 ffff 0000 00", false), EVENT(INVALID_TIME));
}
