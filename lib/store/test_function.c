/* Functions: where a line says them, what they are called, how they are counted. */
#include "test/test.h"

#include <unistd.h>

#include "lib/store/function.h"
#include "lib/store/store.h"

#define NONE (-1)
enum { REPORTED = 8 }; /* of the samples: answers alone are among them */

static const struct {
	const char *object; /* of the protocol, in a line */
	int request, response;
	const char *name;
} samples[] = {
	{ "\"modbus\":{\"request\":{\"function_raw\":3,\"function_code\":\"RdHoldRegs\"},\"response\":{\"function_raw\":3}}", 3, 3,
		"RdHoldRegs" },
	{ "\"modbus\":{\"response\":{\"function_raw\":131,\"function_code\":\"RdHoldRegs\"}}", NONE, 3, "RdHoldRegs" },
	{ "\"dnp3\":{\"application\":{\"function_code\":1,\"function_name\":\"read\"}}", 1, NONE, "read" },
	{ "\"dnp3\":{\"application\":{\"function_code\":130,\"function_name\":\"unsolicited_response\"}}", NONE, 130,
		"unsolicited_response" },
	{ "\"s7comm\":{\"function_code\":4,\"function_name\":\"Read Variable\",\"response\":{\"function_code\":4}}", 4, 4,
		"Read Variable" },
	{ "\"s7comm_plus\":{\"function_code\":1356,\"function_name\":\"Get Multi Variables\",\"response\":{\"opcode\":50}}", 1356,
		50, "Get Multi Variables" },
	{ "\"enip\":{\"request\":{\"command\":\"register_session\",\"command_code\":101}}", 0x165, NONE, "register_session" },
	{ "\"enip\":{\"request\":{\"command\":\"send_rr_data\",\"command_code\":111,\"cip\":{\"service\":\"Read Data\","
	  "\"service_code\":76,\"multiple\":[{\"service_code\":1}]}},\"response\":{\"command_code\":111,\"cip\":{\"service_code\":76}}}",
		76, 76, "Read Data" },
	{ "\"iec104\":{\"type_id\":\"C_SC_NA_1\",\"type_id_code\":45}", 45, NONE, "C_SC_NA_1" },
	{ "\"iec104\":{\"type_id\":\"M_ME_NC_1\",\"type_id_code\":13}", NONE, 13, "M_ME_NC_1" },
	{ "\"iec104\":{\"u_function\":\"startdt_con\",\"u_function_code\":8}", NONE, 0x108, "startdt_con" },
	{ "\"mqtt\":{\"publish\":{\"qos\":1},\"puback\":{\"message_id\":2}}", 3, 4, "publish" },
	{ "\"mqtt\":{\"pingresp\":{}}", NONE, 13, "pingresp" },
	{ "\"mqtt\":{\"publish\":[{\"qos\":1}]}", NONE, NONE, NULL },
	{ "\"other\":{\"mqtt\":{\"publish\":{}}},\"list\":[{\"modbus\":{\"request\":{\"function_raw\":3}}}]", NONE, NONE, NULL },
	{ "\"modbus\":{\"request\":{\"function_raw\":{\"function_raw\":3}}}", NONE, NONE, NULL },
	{ "\"modbus\":{\"request\":{\"function_raw\":-3}}", NONE, NONE, NULL },
	{ "\"modbus\":{\"request\":{\"function_raw\":999999999999}}", NONE, NONE, NULL },
	{ "\"modbus.request.function_raw\":3,\"modbus\":{\"request.function_raw\":4,\"\":5,\"request\":7}", NONE, NONE, NULL },
};

static int64_t
value_of(const struct line_number *number)
{
	return number->present ? number->value : NONE;
}

static void
lines_say_their_functions(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(samples); i++) {
		char text[512];
		struct store_line line;
		json_t *record;
		const char *name;

		snprintf(text, sizeof(text), "{\"event_type\":\"x\",%s}", samples[i].object);
		assert_null(store_line_read(&line, text, strlen(text)));
		assert_int_equal(value_of(&line.function), samples[i].request);
		assert_int_equal(value_of(&line.response_function), samples[i].response);
		record = json_loads(text, 0, NULL);
		assert_non_null(record);
		name = store_function_name(record);
		if (samples[i].name == NULL)
			assert_null(name);
		else
			assert_string_equal(name == NULL ? "none" : name, samples[i].name);
		json_decref(record);
	}
}

/* Each sample stored thrice; its row of the report. */
static void
report_counts_each_function(void **state)
{
	char path[] = "/tmp/test_function_XXXXXX";
	struct store_config config = { .path = path };
	struct batch_head head = { .sensor = "plant", .epoch = 1, .lane = LINK_LANE_EVENT, .sequence = 1, .count = 3 };
	struct store_filter filter = { 0 };
	struct store_appended appended;
	struct store_body body;
	struct store *store;
	json_t *rows, *row;
	char text[512];
	struct store_line lines[3];
	size_t i;

	assert_int_equal(close(mkstemp(path)), 0);
	assert_int_equal(store_open(&store, 0, &config, true), 0);
	for (i = 0; i < REPORTED; i++) {
		snprintf(text, sizeof(text), "{\"timestamp\":\"2026-01-02T03:04:05Z\",\"event_type\":\"p%zu\",%s}", i, samples[i].object);
		for (unsigned int j = 0; j < 3; j++)
			assert_null(store_line_read(&lines[j], text, strlen(text)));
		body = (struct store_body){ .data = text, .len = strlen(text), .lines = text, .lines_len = strlen(text) };
		assert_int_equal(store_append(store, &head, &body, lines, &appended), 0);
		head.sequence += 3;
	}
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_report(store, STORE_REPORT_PROTOCOLS, &filter, &rows), 0);
	assert_int_equal(json_array_size(rows), REPORTED);
	json_array_foreach(rows, i, row) {
		int function = samples[i].request != NONE ? samples[i].request : samples[i].response;

		assert_int_equal(json_integer_value(json_object_get(row, "function")), function);
		assert_string_equal(json_string_value(json_object_get(row, "name")), samples[i].name);
		assert_int_equal(json_integer_value(json_object_get(row, "requests")), samples[i].request != NONE ? 3 : 0);
		assert_int_equal(json_integer_value(json_object_get(row, "responses")), samples[i].response != NONE ? 3 : 0);
		assert_int_equal(json_integer_value(json_object_get(row, "records")), 3);
	}
	json_decref(rows);
	store_close(store);
	(void)unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_say_their_functions),
		cmocka_unit_test(report_counts_each_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
