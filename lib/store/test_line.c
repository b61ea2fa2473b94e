/* Lines: what is a record, which columns it has. */
#include "test/test.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "lib/store/store.h"

static const struct {
	const char *line;
	const char *error;
} lines[] = {
	{ "{}", NULL },
	{ " { \"a\" : [ 1 , -2.5e3 , true , false , null , \"x\\n\\u0000\\ud83d\\ude00\" , { } , [ ] ] } ", NULL },
	{ "{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}", NULL },
	{ "", "not a JSON object" },
	{ "[]", "not a JSON object" },
	{ "42", "not a JSON object" },
	{ "{", "a key is missing" },
	{ "{\"a\"}", "a colon is missing" },
	{ "{\"a\":}", "not a JSON value" },
	{ "{\"a\":1", "a comma is missing" },
	{ "{\"a\":1,}", "a key is missing" },
	{ "{\"a\":[1,]}", "not a JSON value" },
	{ "{\"a\":[1}", "a comma is missing" },
	{ "{\"a\":1}}", "something follows the object" },
	{ "{} {}", "something follows the object" },
	{ "{\"a\":01}", "bad number" },
	{ "{\"a\":1.}", "bad number" },
	{ "{\"a\":1e}", "bad number" },
	{ "{\"a\":1e999}", "bad number" },
	{ "{\"a\":-}", "bad number" },
	{ "{\"a\":123456789012345678901}", "bad number" },
	{ "{\"a\":tru}", "not a JSON value" },
	{ "{\"a\":\"", "unfinished string" },
	{ "{\"a\":\"\t\"}", "control byte in a string" },
	{ "{\"a\":\"\\x\"}", "bad escape" },
	{ "{\"a\":\"\\u12g4\"}", "bad \\u escape" },
	{ "{\"a\":\"\\ud800\"}", "lone surrogate" },
	{ "{\"a\":\"\\udc00\"}", "lone surrogate" },
	{ "{\"a\":\"\xff\"}", "not UTF-8" },
	{ "{\"a\":\"\xc0\x80\"}", "not UTF-8" },
	{ "{\"a\":\"\xed\xa0\x80\"}", "not UTF-8" },
	{ "{\"a\":\"\xf4\x90\x80\x80\"}", "not UTF-8" },
};

static void
line_tells_objects_from_the_rest(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(lines); i++) {
		struct store_line line;
		const char *error = store_line_read(&line, lines[i].line, strlen(lines[i].line));

		if (lines[i].error == NULL)
			assert_null(error);
		else
			assert_string_equal(error == NULL ? "taken" : error, lines[i].error);
	}
}

static const char sample[] =
	"{\"timestamp\":\"2026-01-02T03:04:05.678901+0000\",\"flow_id\":9007199254740991,\"event_type\":\"modbus\",\"src_ip\":\"10.0.0.1\","
	"\"src_port\":49152,\"dest_ip\":\"2001:db8::2\",\"dest_port\":502,\"proto\":\"TCP\",\"app_proto\":\"modbus\","
	"\"text\":\"longer than the thirty-two bytes that are looked at together, and than twice as many: \xc3\xa4\","
	"\"other\":{\"src_ip\":\"9.9.9.9\",\"list\":[{\"proto\":\"x\"}]},"
	"\"modbus\":{\"id\":1,\"request\":{\"function_raw\":3,\"function_code\":\"RdHoldRegs\"},"
	"\"response\":{\"function_raw\":131}},\"alert\":{\"signature_id\":1110001,\"severity\":2},"
	"\"flow\":{\"pkts_toserver\":3,\"pkts_toclient\":4,\"bytes_toserver\":300,\"bytes_toclient\":400,\"part\":2},"
	"\"stats\":{\"uptime\":77}}";

static void
line_finds_its_columns(void **state)
{
	struct store_line line;

	assert_null(store_line_read(&line, sample, strlen(sample)));
	assert_int_equal(line.ts_ns.value, INT64_C(1767323045678901000));
	assert_int_equal(line.event_type.len, 6);
	assert_memory_equal(line.event_type.data, "modbus", 6);
	assert_memory_equal(line.proto.data, "TCP", 3);
	assert_int_equal(line.src_ip.len, 4);
	assert_memory_equal(line.src_ip.bytes, "\x0a\x00\x00\x01", 4);
	assert_int_equal(line.dest_ip.len, 16);
	assert_int_equal(line.src_port.value, 49152);
	assert_int_equal(line.dest_port.value, 502);
	assert_int_equal(line.signature_id.value, 1110001);
	assert_int_equal(line.severity.value, 2);
	assert_int_equal(line.function.value, 3);
	assert_int_equal(line.response_function.value, 3); /* the exception's mark is taken off */
	assert_int_equal(line.bytes[0].value + line.bytes[1].value, 700);
	assert_int_equal(line.packets[0].value + line.packets[1].value, 7);
	assert_int_equal(line.uptime_s.value, 77);
	assert_int_equal(line.flow_id.value, INT64_C(9007199254740991));
	assert_int_equal(line.flow_part.value, 2);
}

static void
hosts_of_arp_are_addresses(void **state)
{
	static const char arp[] = "{\"event_type\":\"arp\",\"arp\":{\"opcode\":\"request\",\"src_ip\":\"10.0.0.1\",\"dest_ip\":\"10.0.0.2\"}}";
	struct store_line line;

	assert_null(store_line_read(&line, arp, strlen(arp)));
	assert_int_equal(line.src_ip.len, 4);
	assert_memory_equal(line.src_ip.bytes, "\x0a\0\0\x01", 4);
	assert_memory_equal(line.dest_ip.bytes, "\x0a\0\0\x02", 4);
}

static const struct {
	const char *text;
	int64_t ns; /* -1: none */
} times[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "2000-02-29T12:00:00+00:00", INT64_C(951825600000000000) },
	{ "2026-01-02T03:04:05.5+0130", INT64_C(1767317645500000000) },
	{ "2026-01-02T03:04:05.123456789-0100", INT64_C(1767326645123456789) },
	{ "2026-01-02", -1 },
	{ "2026-13-02T03:04:05Z", -1 },
	{ "2026-01-02T03:04:05", -1 },
	{ "1960-01-02T03:04:05Z", -1 },
	{ "9999-01-02T03:04:05Z", -1 },
	{ "2026-01-02T03:04:05Zx", -1 },
};

static void
time_is_read_to_the_nanosecond(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(times); i++) {
		struct line_number out = { 0 };
		bool ok = store_time_read(&out, times[i].text, strlen(times[i].text));

		assert_int_equal(ok, times[i].ns >= 0);
		if (ok)
			assert_int_equal(out.value, times[i].ns);
	}
}

static void
line_cut_at_every_length_is_refused(void **state)
{
	for (size_t len = 0; len < strlen(sample); len++) {
		char *copy = malloc(len + 1);
		struct store_line line;

		memcpy(copy, sample, len);
		assert_non_null(store_line_read(&line, copy, len));
		free(copy);
	}
}

static void
text_agrees(const struct line_text *text, json_t *root, const char *key, bool escapes)
{
	const char *value = json_string_value(json_object_get(root, key));

	if (text->data == NULL) {
		assert_true(value == NULL || strlen(value) > LINE_TEXT_MAX || escapes);
		return;
	}
	assert_non_null(value);
	assert_int_equal(text->len, strlen(value));
	assert_memory_equal(text->data, value, text->len);
}

static void
number_agrees(const struct line_number *number, json_t *root, const char *object, const char *key)
{
	json_t *value = json_object_get(object == NULL ? root : json_object_get(root, object), key);

	/* Whole numbers are columns; 12.0 and 1e2 are none. */
	if (number->present)
		assert_true(json_is_number(value) && json_number_value(value) == (double)number->value);
}

/* What the scanner takes the JSON library takes too, and the other way round, and both find the same; the sanitizers watch
 * the rest. Only numbers have bounds here that the library has not. */
static void
line_mutated_agrees_with_jansson(void **state)
{
	static const char bytes[] = "{}[]\",:\\0123456789.eE+-truefalsn \xff\xc3\x80u";
	uint32_t seed = 20260102;
	size_t len = strlen(sample);
	char *copy = malloc(len);
	unsigned int taken = 0;

	for (unsigned int round = 0; round < 20000; round++) {
		struct store_line line;
		const char *why;
		json_t *root;
		bool escapes;

		memcpy(copy, sample, len);
		for (unsigned int i = 0; i < 1 + round % 4; i++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % len] = bytes[(seed >> 24) % (sizeof(bytes) - 1)];
		}
		why = store_line_read(&line, copy, len);
		root = json_loadb(copy, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
		assert_true((why == NULL) == (root != NULL) || (why != NULL && strcmp(why, "bad number") == 0));
		escapes = memchr(copy, '\\', len) != NULL;
		if (why == NULL) {
			taken++;
			text_agrees(&line.event_type, root, "event_type", escapes);
			text_agrees(&line.proto, root, "proto", escapes);
			text_agrees(&line.app_proto, root, "app_proto", escapes);
			number_agrees(&line.src_port, root, NULL, "src_port");
			number_agrees(&line.dest_port, root, NULL, "dest_port");
			number_agrees(&line.signature_id, root, "alert", "signature_id");
			number_agrees(&line.bytes[1], root, "flow", "bytes_toclient");
		}
		json_decref(root);
	}
	assert_in_range(taken, 1000, 19000);
	free(copy);
}

static void
line_deeper_than_the_bound_is_refused(void **state)
{
	char deep[LINE_DEPTH_MAX * 5 + 8];
	struct store_line line;

	for (unsigned int depth = LINE_DEPTH_MAX - 1; depth <= LINE_DEPTH_MAX; depth++) {
		size_t len = 0;

		len += (size_t)snprintf(deep, sizeof(deep), "{\"a\":");
		for (unsigned int i = 0; i < depth; i++)
			deep[len++] = '[';
		for (unsigned int i = 0; i < depth; i++)
			deep[len++] = ']';
		deep[len++] = '}';
		assert_int_equal(store_line_read(&line, deep, len) == NULL, depth < LINE_DEPTH_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_tells_objects_from_the_rest),
		cmocka_unit_test(line_finds_its_columns),
		cmocka_unit_test(hosts_of_arp_are_addresses),
		cmocka_unit_test(time_is_read_to_the_nanosecond),
		cmocka_unit_test(line_cut_at_every_length_is_refused),
		cmocka_unit_test(line_mutated_agrees_with_jansson),
		cmocka_unit_test(line_deeper_than_the_bound_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
