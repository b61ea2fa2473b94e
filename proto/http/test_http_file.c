/* HTTP/1: bodies as files, their names and ends. */
#include <zlib.h>

#include "proto/http/test_http.h"

static void
follow(unsigned int wants)
{
	proto_engine_set_files(rig->engine, 0, false, wants);
	proto_engine_set_files(rig->engine, 0, true, wants);
}

static void
assert_told(const char *text)
{
	buf_putc(&rig->told, '\0');
	assert_string_equal(rig->told.data, text);
	buf_reset(&rig->told);
}

static void
test_names(void **state)
{
	static const struct {
		const char *fields, *name;
	} rows[] = {
		{ "", "/a/report.pdf" },
		{ "Content-Disposition: attachment; filename=\"b;c.pdf\"; size=3\r\n", "b;c.pdf" },
		{ "content-disposition: attachment;filename=plain.exe ; x=y\r\n", "plain.exe" },
		{ "Content-Disposition: inline\r\n", "/a/report.pdf" },
		{ "Content-Disposition: attachment; filename=\"\"\r\n", "/a/report.pdf" },
		{ "Content-Disposition: attachment; filename=\"open\r\n", "open" },
	};
	char text[512];

	(void)state;
	follow(FILE_WANT_EVENT);
	for (unsigned int i = 0; i < TEST_COUNT(rows); i++) {
		feed("GET /a/./report%2epdf?unit=3 HTTP/1.1\r\nHost: a\r\n\r\n", true);
		snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%sContent-Length: 3\r\n\r\nabc", rows[i].fields);
		feed(text, false);
		snprintf(text, sizeof(text), "\"filename\":\"%s\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":3,\"tx_id\":%u}\n",
			rows[i].name, i);
		buf_putc(&rig->told, '\0');
		if (strstr(rig->told.data, text) == NULL)
			fail_msg("no %s in %s", text, rig->told.data);
		buf_reset(&rig->told);
	}
}

/* A request that carries something is a file as well; one without a body is none, and nor is an answer without. */
static void
test_upload(void **state)
{
	(void)state;
	follow(FILE_WANT_EVENT | 1 << FILE_MD5);
	feed("PUT /firmware.bin HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", true);
	feed("HTTP/1.1 204 No Content\r\n\r\n", false);
	feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
	assert_told("match {\"filename\":\"/firmware.bin\",\"gaps\":false,\"state\":\"CLOSED\",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\","
		"\"stored\":false,\"size\":3,\"tx_id\":0}\n"
		"event {\"filename\":\"/firmware.bin\",\"gaps\":false,\"state\":\"CLOSED\",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\","
		"\"stored\":false,\"size\":3,\"tx_id\":0}\n");
}

/* Rules see the message when as much of it is there as is kept, and a file of which that is not all once more when it ended, with
 * what was kept. */
static void
test_long(void **state)
{
	static uint8_t body[20000];

	(void)state;
	rig_renew("app-layer.protocols.http.response-body-limit=100");
	follow(FILE_WANT_EVENT | FILE_WANT_RULES);
	feed("GET /long HTTP/1.1\r\nHost: a\r\n\r\n", true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n", false);
	feed_bytes(body, sizeof(body) - 1, false, 0);
	assert_told("match {\"filename\":\"/long\",\"gaps\":false,\"state\":\"UNKNOWN\",\"stored\":false,\"size\":19999,\"tx_id\":0}\n");
	assert_int_equal(rig->matched, 2);
	feed_bytes(body, 1, false, 0);
	assert_told("end {\"filename\":\"/long\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":20000,\"tx_id\":0}\n"
		"event {\"filename\":\"/long\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":20000,\"tx_id\":0}\n");
	assert_int_equal(rig->matched, 2);
	assert_int_equal(rig->emitted, 1);
}

/* The end does not come, or a chunk of a request has no length. */
static void
test_broken(void **state)
{
	(void)state;
	follow(FILE_WANT_EVENT);
	feed("POST /chunk HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", true);
	feed("HTTP/1.1 204 No Content\r\n\r\n", false);
	feed("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n", true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false);
	finish_flow();
	buf_putc(&rig->told, '\0');
	assert_non_null(strstr(rig->told.data, "event {\"filename\":\"/chunk\",\"gaps\":false,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":3"));
	assert_non_null(strstr(rig->told.data, "event {\"filename\":\"/cut\",\"gaps\":false,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":3"));
}

/* A body without a head ends with its flow. */
static void
test_headless_file(void **state)
{
	(void)state;
	follow(FILE_WANT_EVENT);
	feed("GET /old HTTP/1.1\r\nHost: a\r\n\r\n", true);
	feed("<p>hello", false);
	finish_flow();
	buf_putc(&rig->told, '\0');
	assert_non_null(strstr(rig->told.data, "event {\"filename\":\"/old\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":8"));
}

static void
test_gap(void **state)
{
	(void)state;
	follow(FILE_WANT_EVENT | 1 << FILE_SHA1);
	feed("GET /gap HTTP/1.1\r\nHost: a\r\n\r\n", true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false);
	feed_bytes("xyz", 3, false, 3);
	buf_putc(&rig->told, '\0');
	assert_non_null(strstr(rig->told.data, "event {\"filename\":\"/gap\",\"gaps\":true,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":9"));
}

/* Lost from its first byte on, it is a file all the same; so where the gap goes beyond its end. */
static void
test_gap_whole(void **state)
{
	(void)state;
	follow(FILE_WANT_EVENT);
	for (unsigned int beyond = 0; beyond <= 200; beyond += 200) {
		feed("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n", true);
		feed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false);
		feed_bytes("HTTP/1.1 204 No\r\n\r\n", 19, false, 9 + beyond);
		buf_putc(&rig->told, '\0');
		assert_non_null(strstr(rig->told.data, "event {\"filename\":\"/gone\",\"gaps\":true,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":9"));
		buf_reset(&rig->told);
	}
}

/* A file is what a content coding was put on. */
static void
test_coded(void **state)
{
	z_stream stream = { 0 };
	uint8_t packed[256];
	char head[128];

	(void)state;
	follow(FILE_WANT_EVENT | 1 << FILE_MD5);
	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (uint8_t *)"abc";
	stream.avail_in = 3;
	stream.next_out = packed;
	stream.avail_out = sizeof(packed);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	feed("GET /packed HTTP/1.1\r\nHost: a\r\n\r\n", true);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n", stream.total_out);
	feed(head, false);
	feed_bytes(packed, stream.total_out, false, 0);
	assert_int_equal(deflateEnd(&stream), Z_OK);
	buf_putc(&rig->told, '\0');
	assert_non_null(strstr(rig->told.data, "event {\"filename\":\"/packed\",\"gaps\":false,\"state\":\"CLOSED\","
		"\"md5\":\"900150983cd24fb0d6963f7d28e17f72\",\"stored\":false,\"size\":3,\"tx_id\":0}"));
}

/* Each part of a form that has a file's name is one, however the form is cut. */
static void
test_form(void **state)
{
	static const char form[] = "--xy\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n--xy\r\n"
		"Content-Disposition: form-data; name=\"f\"; filename=\"one.bin\"\r\nContent-Type: x/y\r\n\r\nabc\r\n--xy\r\n"
		"Content-Disposition: form-data; filename=\"two\"\r\n\r\n\r\r\n--x\r\n--xy\r\n"
		"content-disposition: form-data; filename=none\r\n\r\n\r\n--xy--\r\nbehind";
	static const char told[] = "end {\"filename\":\"one.bin\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":3,\"tx_id\":0}\n"
		"event {\"filename\":\"one.bin\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":3,\"tx_id\":0}\n"
		"end {\"filename\":\"two\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":6,\"tx_id\":0}\n"
		"event {\"filename\":\"two\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":6,\"tx_id\":0}\n"
		"end {\"filename\":\"none\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":0,\"tx_id\":0}\n"
		"event {\"filename\":\"none\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":0,\"tx_id\":0}\n";
	char head[256];

	(void)state;
	for (size_t cut = 1; cut <= sizeof(form) - 1; cut++) {
		rig_renew(NULL);
		follow(FILE_WANT_EVENT | FILE_WANT_RULES);
		snprintf(head, sizeof(head), "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=\"xy\"\r\n"
			"Content-Length: %zu\r\n\r\n", sizeof(form) - 1);
		feed(head, true);
		for (size_t at = 0; at < sizeof(form) - 1; at += cut)
			feed_bytes(form + at, cut < sizeof(form) - 1 - at ? cut : sizeof(form) - 1 - at, true, 0);
		assert_told(told);
	}
}

/* Where nobody wants files, nothing is followed. */
static void
test_unwanted(void **state)
{
	(void)state;
	feed(get_request, true);
	feed(ok_response, false);
	assert_told("");
	assert_int_equal(counter_get(&file_tracker_counters(rig->files).values[FILE_COUNT_FILES]), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, rig_create, rig_destroy),
		cmocka_unit_test_setup_teardown(test_upload, rig_create, rig_destroy),
		cmocka_unit_test_setup_teardown(test_long, rig_create, rig_destroy),
		cmocka_unit_test_setup_teardown(test_broken, rig_create, rig_destroy),
		cmocka_unit_test_setup_teardown(test_headless_file, rig_create, rig_destroy),
		cmocka_unit_test_setup_teardown(test_gap, rig_create, rig_destroy),
		cmocka_unit_test_setup_teardown(test_gap_whole, rig_create, rig_destroy),
		cmocka_unit_test_setup_teardown(test_coded, rig_create, rig_destroy),
		cmocka_unit_test_setup_teardown(test_form, rig_create, rig_destroy),
		cmocka_unit_test_setup_teardown(test_unwanted, rig_create, rig_destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
