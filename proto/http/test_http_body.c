/* HTTP/1: bodies, requests and their responses, loss. */
#include <zlib.h>

#include "proto/http/test_http.h"

/* ---- bodies ---- */

static void
test_post(void **state)
{
	(void)state;
	feed("POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n",
		true);
	assert_int_equal(rig->matched, 0);
	feed("user=adm", true);
	assert_int_equal(rig->matched, 0);
	feed("x", true);
	assert_int_equal(rig->matched, 1);
	assert_field("request_body", "user=admx");
	assert_field("body", "user=admx");
	feed("HTTP/1.1 302 Found\r\nLocation: /home\r\nContent-Length: 0\r\n\r\n", false);
	assert_field("request_body", "user=admx");
	assert_field("body", NULL);
	assert_field("redirect", "/home");
	assert_json_has("\"status\":302,\"redirect\":\"/home\",\"length\":0}");
	assert_json_lacks("user=");
}

static void
test_chunked(void **state)
{
	(void)state;
	feed(get_request, true);
	feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n06\r\n world\r\n0\r\nT: x\r\n\r\n"
	     "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false);
	assert_int_equal(rig->emitted, 2);
	assert_non_null(strstr(rig->log.data, "68656c6c6f20776f726c64"));
	assert_non_null(strstr(rig->log.data, "\"length\":11"));
	assert_true(saw(HTTP_EVENT_UNMATCHED_RESPONSE));
	assert_field("stat_code", "404");
}

/* Nothing tells the end but the end of the flow. */
static void
test_until_close(void **state)
{
	(void)state;
	feed(get_request, true);
	feed("HTTP/1.0 200 OK\r\n\r\nhello", false);
	feed(" world", false);
	assert_int_equal(rig->matched, 1);
	finish_flow();
	assert_field("response_body", "hello world");
	assert_json_has("\"length\":11}");
}

/* What is beyond the limit is counted, not kept; the rules need not wait for it. */
static void
test_limit(void **state)
{
	static char body[6000];

	(void)state;
	memset(body, 'x', sizeof(body));
	rig_renew("app-layer.protocols.http.response-body-limit=1000");
	feed(get_request, true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 18446744073\r\n\r\n", false);
	feed_bytes(body, 999, false, 0);
	assert_int_equal(rig->matched, 1);
	feed_bytes(body, 6000, false, 0);
	assert_int_equal(rig->matched, 2);
	assert_int_equal(strlen(field_text("response_body")), 1000);
	assert_int_equal(rig->emitted, 0);
	finish_flow();
	assert_json_has("\"length\":6999}");
	assert_int_equal(count_of(HTTP_COUNT_BODIES_CUT), 1);
}

static void
test_no_bodies(void **state)
{
	static const char *const responses[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(responses); i++) {
		feed(i == 0 ? "HEAD / HTTP/1.0\r\n\r\n" : "GET / HTTP/1.0\r\n\r\n", true);
		feed(responses[i], false);
		assert_int_equal(rig->emitted, i + 1);
	}
	feed("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", true);
	feed("HTTP/1.1 100 Continue\r\n\r\n", false);
	feed("ok", true);
	feed("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", false);
	assert_json_has("\"status\":201");
	assert_int_equal(count_of(HTTP_COUNT_INTERIM), 1);
	assert_int_equal(count_of(HTTP_COUNT_ORPHANS), 0);
}

/* Where there should be no body and the head gives its length, it depends on what comes. */
static void
test_unexpected_bodies(void **state)
{
	static const char *const heads[] = {
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(heads); i++) {
		rig_renew(NULL);
		feed("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", true);
		feed(heads[i], false);
		feed("hello", false);
		assert_field("response_body", "hello");
		assert_int_equal(rig->emitted, 1);
		rig_renew(NULL);
		feed("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", true);
		feed(heads[i], false);
		feed(ok_response, false);
		assert_json_has("/2");
		assert_int_equal(rig->emitted, 2);
	}
	feed("GET /3 HTTP/1.0\r\n\r\n", true);
	feed(heads[0], false);
	finish_flow();
	assert_json_has("/3");
	assert_json_has("304");
}

/* Sizes and extensions as browsers take them. */
static void
test_odd_chunks(void **state)
{
	static const char *const bodies[] = {
		"f,\r\nhello, hello, h\r\n4;x\r\nello\r\n0\r\n\r\n", "\r\n\t0f \r\nhello, hello, h\n\f 4\v\nello\n0\n\n",
		"\r13\r\nhello, hello, hello\r\n\r\n\n0,\r\nX: y\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(bodies); i++) {
		rig_renew(NULL);
		feed(get_request, true);
		feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;\r\n\r\n", false);
		feed(bodies[i], false);
		assert_field("response_body", "hello, hello, hello");
		assert_int_equal(rig->emitted, 1);
		assert_int_equal(saw(HTTP_EVENT_RESPONSE_CHUNK_EXTENSION), i == 0);
		assert_false(saw(HTTP_EVENT_INVALID_RESPONSE_CHUNK_LEN));
	}
	/* No chunks at all, whatever the head says: it is shown as it comes. */
	rig_renew(NULL);
	feed(get_request, true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", false);
	feed("hello, ", false);
	feed("hello", false);
	finish_flow();
	assert_field("response_body", "hello, hello");
	assert_true(saw(HTTP_EVENT_INVALID_RESPONSE_CHUNK_LEN));
}

/* As HTTP/0.9 answers; and lines before a head, which are none of it. */
static void
test_headless(void **state)
{
	static const char *const pieces[] = { "<p>hel", "lo\n", "Hello\nHTTP", "/", "1" };

	(void)state;
	feed(get_request, true);
	for (size_t i = 0; i < TEST_COUNT(pieces); i++)
		feed(pieces[i], false);
	assert_int_equal(rig->emitted, 0);
	finish_flow();
	assert_int_equal(rig->emitted, 1);
	assert_field("response_body", "<p>hello\nHello\n");
	assert_json_has("/status.html");
	assert_true(saw(HTTP_EVENT_NO_HEAD));
	/* One that no line ends, and that might begin with a method. */
	rig_renew(NULL);
	feed(get_request, true);
	feed("hello", false);
	end_direction(false);
	finish_flow();
	assert_int_equal(rig->emitted, 1);
	assert_field("response_body", "hello");
	rig_renew(NULL);
	feed(get_request, true);
	feed("What is this?\n", false);
	feed("Hm\n", false);
	feed(ok_response, false);
	assert_int_equal(rig->emitted, 1);
	assert_field("response_body", "hello");
	assert_field("stat_code", "200");
	assert_true(saw(HTTP_EVENT_NO_HEAD));
	assert_false(saw(HTTP_EVENT_UNMATCHED_RESPONSE));
	/* Behind a response it is damage. */
	feed(get_request, true);
	feed("What is this?\n", false);
	feed(ok_response, false);
	assert_int_equal(rig->emitted, 2);
	/* As much as is kept, and no request that waits. */
	rig_renew("app-layer.protocols.http.response-body-limit=10");
	feed(get_request, true);
	feed("<p>one\n<p>two\nHTTP/1.1 200 OK\r\n\r\n", false);
	assert_field("response_body", "<p>one\n<p>");
	finish_flow();
	assert_int_equal(rig->emitted, 1);
}

/* @return the length of the compressed text */
static size_t
compress_text(const char *text, size_t len, int window_bits, uint8_t *out, size_t cap)
{
	z_stream stream = { 0 };

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (uint8_t *)(uintptr_t)text;
	stream.avail_in = (unsigned int)len;
	stream.next_out = out;
	stream.avail_out = (unsigned int)cap;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	len = stream.total_out;
	assert_int_equal(deflateEnd(&stream), Z_OK);
	return len;
}

static void
feed_coded(const char *coding, const uint8_t *body, size_t len)
{
	char head[200];

	feed(get_request, true);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", coding, len);
	feed(head, false);
	feed_bytes(body, len, false, 0);
}

static void
test_decoding(void **state)
{
	static const struct {
		const char *coding;
		int window_bits;
	} rows[] = { { "gzip", 31 }, { "x-gzip", 31 }, { "deflate", 15 }, { "deflate", -15 } };
	static char zeros[1 << 20];
	uint8_t body[8192];
	size_t len;

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		rig_renew(NULL);
		len = compress_text("hello, hello, hello", 19, rows[i].window_bits, body, sizeof(body));
		feed_coded(rows[i].coding, body, len);
		assert_field("response_body", "hello, hello, hello");
		assert_int_equal(rig->events, 0);
		assert_int_equal(count_of(HTTP_COUNT_DECODED), 1);
	}
	/* Nothing to take it off. */
	rig_renew(NULL);
	feed_coded("gzip", body, 0);
	assert_int_equal(rig->emitted, 1);
	assert_field("response_body", NULL);
	/* Cut short, it says what it can. */
	rig_renew(NULL);
	len = compress_text("hello, hello, hello", 19, 31, body, sizeof(body));
	feed_coded("gzip", body, len - 9);
	assert_non_null(strstr(field_text("response_body"), "hello"));
	rig_renew(NULL);
	feed_coded("gzip", (const uint8_t *)"no such thing", 13);
	assert_true(saw(HTTP_EVENT_DECOMPRESSION_FAILED));
	assert_field("response_body", "no such thing");
	rig_renew(NULL);
	feed_coded("br", (const uint8_t *)"whatever", 8);
	assert_int_equal(count_of(HTTP_COUNT_NOT_DECODED), 1);
	assert_json_has("\"content_encoding\":\"br\"");
	rig_renew(NULL);
	len = compress_text(zeros, sizeof(zeros), 31, body, sizeof(body));
	feed_coded("gzip", body, len);
	assert_true(rig->seen_len < 32 * 1024);
}

/* Codings one upon the other, in a list or in fields; what is not coded as it says stays as it is. */
static void
test_layers(void **state)
{
	static const char text[] = "hello, hello, hello";
	static const char json_text[] = "{\"sdk_version\":11026,\"app_package\":\"com.plant\",\"app_version\":\"1.7.4\",\"device_id\":\"3\"}";
	static const struct {
		const char *coding;
		int first, second; /* window bits; 0: not coded */
		bool odd;
	} rows[] = {
		{ "gzip, deflate", 31, -15, false }, { "deflate\r\nContent-Encoding: gzip", 15, 31, false },
		{ "gzip,identity", 31, 0, false }, { "deflate,", 15, 0, false }, { " :gzip x", 31, 0, true },
		{ "gzip\r\nContent-Encoding: gzip", 31, 0, false }, { "gzip, deflate", -15, 0, false }, { "x-deflate", -15, 0, false },
		{ "gzip", 0, 0, false }, { "\r\n\tgzip", 31, 0, false }, { "\r gzip", 31, 0, false }, { "gz;ip,def;late", 0, 0, true },
	};
	uint8_t first[256], second[256];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		size_t len = strlen(text);

		rig_renew(NULL);
		memcpy(first, text, len);
		if (rows[i].first != 0)
			len = compress_text(text, len, rows[i].first, first, sizeof(first));
		memcpy(second, first, len);
		if (rows[i].second != 0)
			len = compress_text((const char *)first, len, rows[i].second, second, sizeof(second));
		feed_coded(rows[i].coding, second, len);
		assert_field("response_body", text);
		assert_int_equal(count_of(HTTP_COUNT_DECODED), rows[i].first != 0);
		assert_int_equal(saw(HTTP_EVENT_ABNORMAL_CONTENT_ENCODING), rows[i].odd);
		assert_false(saw(HTTP_EVENT_TOO_MANY_ENCODINGS));
	}
	/* Text whose first bits are some of deflate. */
	rig_renew(NULL);
	feed_coded("gzip", (const uint8_t *)json_text, sizeof(json_text) - 1);
	assert_field("response_body", json_text);
	rig_renew(NULL);
	feed_coded("gzip, identity, gzip", first, 5);
	assert_true(saw(HTTP_EVENT_TOO_MANY_ENCODINGS));
	rig_renew("app-layer.protocols.http.libhtp.default-config.response-body-decompress-layer-limit=3");
	feed_coded("gzip, identity, gzip", first, 5);
	assert_false(saw(HTTP_EVENT_TOO_MANY_ENCODINGS));
}

/* A header of gzip with a wrong check sum, reserved flags, all that may be in it; and LZMA. */
static void
test_odd_codings(void **state)
{
	static const struct {
		uint8_t bytes[15];
		size_t len;
	} headers[] = {
		{ { 0x1f, 0x8b, 8, 0x02, 0, 0, 0, 0, 0, 3, 0, 0 }, 12 }, { { 0x1f, 0x8b, 8, 0xe0, 0, 0, 0, 0, 0, 3 }, 10 },
		{ { 0x1f, 0x8b, 8, 0x1c, 0, 0, 0, 0, 0, 3, 1, 0, 'e', 0, 0 }, 15 },
	};
	static const uint8_t lzma[] = {
		0x5d, 0x00, 0x00, 0x80, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x34, 0x19, 0x49, 0xee, 0x8d, 0xef,
		0x8c, 0x87, 0x32, 0x7f, 0x5d, 0xb7, 0xff, 0xff, 0xbc, 0x64, 0x00, 0x00,
	};
	uint8_t body[256];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(headers); i++) {
		size_t header_len = headers[i].len, len;

		rig_renew(NULL);
		memcpy(body, headers[i].bytes, header_len);
		len = compress_text("hello, hello, hello", 19, -15, body + header_len, sizeof(body) - header_len);
		feed_coded("gzip", body, header_len + len);
		assert_field("response_body", "hello, hello, hello");
		feed_coded("gzip", body, header_len - 1);
		assert_true(saw(HTTP_EVENT_DECOMPRESSION_FAILED));
	}
	rig_renew(NULL);
	feed_coded("lzma", lzma, sizeof(lzma));
	assert_field("response_body", "hello, hello, hello");
}

/* Heads that only some read as they stand: what browsers do. */
static void
test_odd_heads(void **state)
{
	static const struct {
		const char *head, *field, *text;
	} rows[] = {
		{ "http/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "stat_code", "200" },
		{ "HTTP/1.1 200 OK\rServer: a\rContent-Length: 5\r\n\r\n", "server", "a" },
		{ "HTTP/1.1 200 OK\r\nServer: a\r\n\r\rContent-Length: 5\r\n\r\n", "server", "a" },
		{ "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 5\n\r\r\n", "server", "a" },
		{ "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 5\n\r\r\n\r\n", "server", "a" },
		{ "HTTP/1.1 200 OK\nServer: a\nContent-Length: 5\n \n", "server", "a" },
		{ "HTTP/1.1 200 OK\nServer: a\nContent-Length: 5\n\t\n\n", "server", "a" },
		{ "HTTP/1.1 200 OK\r\nServer\r\n : a\r\n b\r\nContent-Length: 5\r\n\r\n", "server", "a b" },
		{ "HTTP/1.1 200 OK\r\nX: y\r\n Server: a\r\n\tContent-Length : 5\r\n\r\n", "server", "a" },
		{ "HTTP/1.1 200 OK\r\n Server: a\r\nContent-Length\v: 5\r\n\r\n", "server", "a" },
		{ "HTTP/1.1 200 OK\r\nX: a\r\n b: c\r\n d; e\r\nContent-Length: 5\r\n\r\n", "header",
			"X: a\r\nb: c d; e\r\nContent-Length: 5\r\n" },
		{ "HTTP/1.1\rServer: a\r\nContent-Length: 5\r\n\r\n", "server", "a" },
	};
	static const char nul_head[] = "HTTP/1.1 200 OK\r\nTransfer\0-Encoding:\n\0chun\0ked\r\n\r\n";

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		rig_renew(NULL);
		feed(get_request, true);
		feed(rows[i].head, false);
		feed("hello", false);
		assert_int_equal(rig->emitted, 1);
		assert_field("response_body", "hello");
		assert_field(rows[i].field, rows[i].text);
	}
	/* NUL is passed over in names and codings, and continues a line. */
	rig_renew(NULL);
	feed(get_request, true);
	feed_bytes(nul_head, sizeof(nul_head) - 1, false, 0);
	feed("5\r\nhello\r\n0\r\n\r\n", false);
	assert_field("response_body", "hello");
	assert_int_equal(rig->emitted, 1);
}

/* ---- transactions ---- */

static void
test_pipeline(void **state)
{
	(void)state;
	feed("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\nGET /3 HTTP/1.0\r\n\r\n", true);
	assert_int_equal(rig->matched, 3);
	for (unsigned int i = 1; i <= 3; i++) {
		char url[32];

		feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", false);
		snprintf(url, sizeof(url), "\"url\":\"/%u\"", i);
		assert_json_has(url);
		assert_int_equal(rig->tx_last, i);
	}
	assert_int_equal(rig->events, 0);
}

/* What could not wait is written alone, and later responses still find their requests. */
static void
test_crowd(void **state)
{
	(void)state;
	rig_renew("app-layer.protocols.http.max-tx=2");
	feed("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\nGET /3 HTTP/1.0\r\n\r\n", true);
	assert_true(saw(HTTP_EVENT_TOO_MANY_REQUESTS));
	assert_int_equal(rig->emitted, 1);
	assert_json_has("/3");
	feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
	assert_json_has("/1");
	feed("GET /4 HTTP/1.0\r\n\r\n", true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
	assert_json_has("/2");
	feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
	assert_json_lacks("url");
	feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
	assert_json_has("/4");
	assert_int_equal(count_of(HTTP_COUNT_REQUESTS_SHED), 1);
	assert_int_equal(count_of(HTTP_COUNT_ORPHANS), 0);
}

/* A server may answer before it has heard all. */
static void
test_early_response(void **state)
{
	(void)state;
	feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", true);
	feed("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", false);
	assert_int_equal(rig->matched, 2);
	assert_json_has("\"status\":413");
	assert_field("request_body", "abc");
	feed("defghijGET /next HTTP/1.0\r\n\r\n", true);
	assert_field("uri", "/next");
}

static void
test_tunnel(void **state)
{
	(void)state;
	feed("CONNECT plc:502 HTTP/1.1\r\nHost: plc:502\r\n\r\n", true);
	assert_field("uri", "plc:502");
	assert_field("hostname", "plc");
	feed("HTTP/1.1 200 Connection established\r\n\r\n", false);
	assert_json_has("\"http_port\":502");
	assert_int_equal(count_of(HTTP_COUNT_TUNNELS), 1);
	assert_int_equal(rig->session.found, PROTO_UNKNOWN);
	assert_int_equal(slab_used(rig->slab), 0);
	/* Whatever it is, it is looked for; here it is HTTP once more. */
	feed("GET /inner HTTP/1.0\r\n\r\n", true);
	assert_field("uri", "/inner");
	rig_renew(NULL);
	feed("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", true);
	feed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello", false);
	assert_json_has("\"status\":101");
	assert_int_equal(rig->emitted, 1);
	/* A path is nobody's host. */
	rig_renew(NULL);
	feed("CONNECT /a HTTP/1.1\r\n\r\n", true);
	assert_field("uri", "/a");
	assert_field("hostname", NULL);
	/* Refused, it stays what it was. */
	rig_renew(NULL);
	feed("CONNECT plc:502 HTTP/1.1\r\nHost: plc:502\r\n\r\n", true);
	feed("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", false);
	assert_int_equal(rig->session.found, PROTO_FOUND);
}

/* ---- loss ---- */

static void
test_gap_in_body(void **state)
{
	(void)state;
	feed(get_request, true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", false);
	feed_bytes("ghij", 4, false, 4);
	assert_json_has("\"length\":10}");
	assert_field("response_body", "ab");
	feed(get_request, true);
	feed(ok_response, false);
	assert_int_equal(rig->emitted, 2);
	assert_int_equal(rig->events, 0);
}

/* Too little is lost beyond the body for a head to be among it. */
static void
test_gap_just_beyond(void **state)
{
	(void)state;
	feed("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", false);
	feed_bytes(ok_response, strlen(ok_response), false, 12);
	assert_int_equal(rig->emitted, 2);
	assert_json_has("/2");
	assert_non_null(strstr(rig->log.data, "\"length\":10}"));
	assert_int_equal(count_of(HTTP_COUNT_ORPHANS), 0);
}

/* Beyond the body nothing is known: the request that waits is not given to the response behind the gap. */
static void
test_gap_beyond(void **state)
{
	(void)state;
	feed("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", true);
	feed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", false);
	feed_bytes(ok_response, strlen(ok_response), false, 200);
	assert_int_equal(rig->emitted, 3);
	assert_json_lacks("url");
	assert_int_equal(count_of(HTTP_COUNT_UNANSWERED), 1);
	assert_int_equal(count_of(HTTP_COUNT_ORPHANS), 1);
}

static void
test_no_memory(void **state)
{
	static struct {
		void *block;
		size_t len;
	} taken[4096];
	size_t count = 0;

	(void)state;
	feed("GET /1 HTTP/1.0\r\n\r\n", true);
	for (size_t len = SLAB_BLOCK_MAX; len >= SLAB_BLOCK_MIN; len /= 2)
		while (count < TEST_COUNT(taken) && (taken[count].block = slab_alloc(rig->slab, len)) != NULL)
			taken[count++].len = len;
	assert_true(count < TEST_COUNT(taken));
	feed("POST /2 HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", true);
	feed(ok_response, false);
	assert_json_has("/1");
	assert_int_equal(count_of(HTTP_COUNT_SHED), 2);
	while (count-- > 0)
		slab_free(rig->slab, taken[count].block, taken[count].len);
	feed(ok_response, false); /* the answer to the request that was shed */
	assert_json_lacks("url");
	assert_int_equal(count_of(HTTP_COUNT_ORPHANS), 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_create, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_post), CASE(test_chunked), CASE(test_until_close), CASE(test_limit), CASE(test_no_bodies),
		CASE(test_unexpected_bodies), CASE(test_odd_chunks), CASE(test_headless), CASE(test_layers), CASE(test_odd_codings), CASE(test_odd_heads),
		CASE(test_decoding), CASE(test_pipeline), CASE(test_crowd), CASE(test_early_response), CASE(test_tunnel),
		CASE(test_gap_in_body), CASE(test_gap_just_beyond), CASE(test_gap_beyond), CASE(test_no_memory),
	};

	return cmocka_run_group_tests_name("http_body", tests, NULL, NULL);
}
