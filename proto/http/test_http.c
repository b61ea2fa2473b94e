/* HTTP/1: heads and the buffers that rules see, bodies, pairing, recognition, hostile input. */
#include <zlib.h>

#include "proto/http/test_http.h"

static const char get_request[] =
	"GET /status.html?unit=3 HTTP/1.1\r\nHost: PLC-7.plant.example:8080\r\nUser-Agent: Panel/2.1\r\nAccept: text/html\r\n"
	"Accept-Encoding: gzip\r\nAccept-Language: en\r\nCookie: id=42\r\nReferer: http://plc-7/\r\nConnection: keep-alive\r\n"
	"X-Forwarded-For: 10.1.2.3\r\n\r\n";
static const char ok_response[] =
	"HTTP/1.1 200 OK\r\nServer: Goahead\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n"
	"Set-Cookie: id=43\r\n\r\nhello";

/* ---- heads ---- */

static void
test_request(void **state)
{
	(void)state;
	feed(get_request, true);
	assert_int_equal(rig->matched, 1);
	assert_int_equal(rig->emitted, 0);
	assert_field("http_method", "GET");
	assert_field("uri", "/status.html?unit=3");
	assert_field("url", "/status.html?unit=3");
	assert_field("hostname", "plc-7.plant.example");
	assert_field("host_raw", "PLC-7.plant.example:8080");
	assert_field("http_user_agent", "Panel/2.1");
	assert_field("http_refer", "http://plc-7/");
	assert_field("accept", "text/html");
	assert_field("accept_enc", "gzip");
	assert_field("accept_lang", "en");
	assert_field("connection", "keep-alive");
	assert_field("cookie", "id=42");
	assert_field("message_protocol", "HTTP/1.1");
	assert_field("request_line", "GET /status.html?unit=3 HTTP/1.1");
	assert_field("start", get_request);
	assert_field("header_raw", strchr(get_request, '\n') + 1);
	assert_field("header", "Host: PLC-7.plant.example:8080\r\nUser-Agent: Panel/2.1\r\nAccept: text/html\r\n"
		"Accept-Encoding: gzip\r\nAccept-Language: en\r\nReferer: http://plc-7/\r\nConnection: keep-alive\r\n"
		"X-Forwarded-For: 10.1.2.3\r\n");
	assert_field("header_names", "\r\nHost\r\nUser-Agent\r\nAccept\r\nAccept-Encoding\r\nAccept-Language\r\nCookie\r\nReferer\r\n"
		"Connection\r\nX-Forwarded-For\r\n\r\n");
	assert_field("body", NULL);
	assert_field("stat_code", NULL);
	assert_int_equal(rig->pdu_len_last, strlen(get_request));
}

static void
test_response(void **state)
{
	(void)state;
	feed(get_request, true);
	feed(ok_response, false);
	assert_int_equal(rig->matched, 2);
	assert_int_equal(rig->emitted, 1);
	assert_int_equal(rig->tx_last, 1);
	assert_field("stat_code", "200");
	assert_field("stat_msg", "OK");
	assert_field("response_line", "HTTP/1.1 200 OK");
	assert_field("server", "Goahead");
	assert_field("cookie", "id=43");
	assert_field("content_type", "text/html; charset=utf-8");
	assert_field("content_len", "5");
	assert_field("response_body", "hello");
	assert_field("body", "hello");
	assert_field("request_body", NULL);
	/* The request is still to be seen. */
	assert_field("uri", "/status.html?unit=3");
	assert_string_equal(rig->json.data, "{\"hostname\":\"plc-7.plant.example\",\"http_port\":8080,"
		"\"url\":\"/status.html?unit=3\",\"http_user_agent\":\"Panel/2.1\",\"xff\":\"10.1.2.3\","
		"\"http_content_type\":\"text/html\",\"http_refer\":\"http://plc-7/\",\"http_method\":\"GET\","
		"\"protocol\":\"HTTP/1.1\",\"status\":200,\"length\":5}");
	assert_int_equal(rig->events, 0);
}

static const struct {
	const char *fields, *header, *names;
	uint64_t event;
} header_rows[] = {
	{ "Host: a\r\n", "Host: a\r\n", "\r\nHost\r\n\r\n", 0 },
	{ "Host:a\r\nX: \t b  \r\n", "Host: a\r\nX: b\r\n", "\r\nHost\r\nX\r\n\r\n", 0 },
	{ "Host: a\nX: b\n", "Host: a\r\nX: b\r\n", "\r\nHost\r\nX\r\n\r\n", 0 },
	{ "Host: a\r\nX: b\r\nY: c\r\nx: d\r\n", "Host: a\r\nX: b, d\r\nY: c\r\n", "\r\nHost\r\nX\r\nY\r\n\r\n", 0 },
	{ "Host: a\r\nX: b\r\n c\r\n\td\r\n", "Host: a\r\nX: b c\td\r\n", "\r\nHost\r\nX\r\n\r\n", 0 },
	{ "Host: a\r\nX:\r\n", "Host: a\r\nX: \r\n", "\r\nHost\r\nX\r\n\r\n", 0 },
	{ "Host: a\r\nX : b\r\n", "Host: a\r\nX: b\r\n", "\r\nHost\r\nX\r\n\r\n", HTTP_EVENT_REQUEST_HEADER_INVALID },
	{ "Host: a\r\nnothing\r\n", "Host: a\r\n: nothing\r\n", "\r\nHost\r\n\r\n", HTTP_EVENT_REQUEST_FIELD_MISSING_COLON },
	{ " Host: a\r\n", " Host: a\r\n", "\r\n Host\r\n\r\n", HTTP_EVENT_INVALID_REQUEST_FOLDING },
	{ "Host: a\r\nCookie: b\r\n", "Host: a\r\n", "\r\nHost\r\nCookie\r\n\r\n", 0 },
};

static void
test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(header_rows); i++) {
		rig_renew(NULL);
		feed("GET / HTTP/1.1\r\n", true);
		feed(header_rows[i].fields, true);
		feed("\r\n", true);
		assert_field("header", header_rows[i].header);
		assert_field("header_names", header_rows[i].names);
		if (header_rows[i].event != 0 && !saw((enum http_event)header_rows[i].event))
			fail_msg("no event %u for %s", (unsigned int)header_rows[i].event, header_rows[i].fields);
	}
}

static const struct {
	const char *target, *uri, *host;
	uint64_t event;
} uri_rows[] = {
	{ "/", "/", "h", 0 },
	{ "/a%20b?c=%41", "/a b?c=A", "h", 0 },
	{ "/a/./b/../c", "/a/c", "h", 0 },
	{ "/../../etc/passwd", "/etc/passwd", "h", 0 },
	{ "/a/..", "/", "h", 0 },
	{ "/a/.", "/a/", "h", 0 },
	{ "//a///b", "/a/b", "h", 0 },
	{ "/a\\b\\..\\c", "/a/c", "h", 0 },
	{ "/%2e%2e/%2fx", "/x", "h", 0 },
	{ "/a%zz%4", "/a%zz%4", "h", 0 },
	{ "/a%u0041%uff42", "/aAb", "h", 0 },
	{ "/a%2541", "/a%41", "h", HTTP_EVENT_DOUBLE_ENCODED_URI },
	{ "/a?b=../c//d", "/a?b=../c//d", "h", 0 },
	{ "/a#%62", "/a#b", "h", 0 },
	{ "http://H/x", "/x", "h", 0 },
	{ "http://user@Other:81/x", "/x", "other", HTTP_EVENT_AMBIGUOUS_HOST },
	{ "http://h", "", "h", 0 },
	{ "*", "*", "h", 0 },
	{ "/a b", "/a b", "h", 0 },
};

static void
test_uri(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(uri_rows); i++) {
		char text[256];

		rig_renew(NULL);
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: H\r\n\r\n", uri_rows[i].target);
		feed(text, true);
		assert_field("uri", uri_rows[i].uri);
		assert_field("url", uri_rows[i].target);
		assert_field("hostname", uri_rows[i].host);
		assert_int_equal(rig->events, uri_rows[i].event == 0 ? 0 : UINT64_C(1) << uri_rows[i].event);
	}
}

static const struct {
	const char *head;
	enum http_event event;
} odd_heads[] = {
	{ "GET / HTTP/1.1\r\n\r\n", HTTP_EVENT_MISSING_HOST },
	{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HTTP_EVENT_INVALID_HOST },
	{ "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", HTTP_EVENT_INVALID_SERVER_PORT },
	{ "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", HTTP_EVENT_INVALID_SERVER_PORT },
	{ "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_EVENT_METHOD_DELIMITER },
	{ "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", HTTP_EVENT_URI_DELIMITER },
	{ "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_EVENT_LEADING_WHITESPACE },
	{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", HTTP_EVENT_INVALID_REQUEST_CONTENT_LENGTH },
	{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		HTTP_EVENT_DUPLICATE_REQUEST_CONTENT_LENGTH },
	{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", HTTP_EVENT_INVALID_REQUEST_TRANSFER_ENCODING },
	{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		HTTP_EVENT_REQUEST_AMBIGUOUS_LENGTH },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HTTP_EVENT_CHUNKED_OLD_PROTOCOL },
	{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", HTTP_EVENT_INVALID_REQUEST_CHUNK_LEN },
	{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: zip\r\n\r\n", HTTP_EVENT_ABNORMAL_CONTENT_ENCODING },
	{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip, gzip, gzip\r\n\r\n", HTTP_EVENT_TOO_MANY_ENCODINGS },
	{ "GET /x\r\n", HTTP_EVENT_MISSING_PROTOCOL },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP_EVENT_WRONG_DIRECTION },
};

static void
test_odd_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(odd_heads); i++) {
		rig_renew(NULL);
		feed("OPTIONS * HTTP/1.0\r\n\r\n", true); /* recognised before */
		assert_int_equal(rig->events, 0);
		feed(odd_heads[i].head, true);
		if (!saw(odd_heads[i].event))
			fail_msg("no event %u for %s", odd_heads[i].event, odd_heads[i].head);
	}
	rig_renew(NULL);
	feed(get_request, true);
	feed("HTTP/1.1 2000 OK\r\n\r\n", false);
	finish_flow();
	assert_true(saw(HTTP_EVENT_INVALID_STATUS));
	assert_field("stat_code", "2000");
	rig_renew(NULL);
	feed(get_request, true);
	feed("HTTP/1.x 200 OK\r\n\r\n", false);
	finish_flow();
	assert_true(saw(HTTP_EVENT_INVALID_PROTOCOL));
}

/* A head without end is cut; what follows it is found. */
static void
test_long_head(void **state)
{
	static char text[40000];
	size_t len;

	(void)state;
	strcpy(text, "GET / HTTP/1.0\r\n");
	for (len = strlen(text); len < 30000; len += 10)
		memcpy(text + len, "X-Y: abc\r\n", 10);
	strcpy(text + len, "\r\nHEAD /next HTTP/1.0\r\n\r\n");
	feed(text, true);
	assert_true(saw(HTTP_EVENT_REQUEST_FIELD_TOO_LONG));
	assert_true(saw(HTTP_EVENT_REQUEST_TOO_MANY_HEADERS));
	assert_int_equal(count_of(HTTP_COUNT_HEADS_CUT), 1);
	assert_int_equal(rig->matched, 2);
	assert_field("uri", "/next");
}

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
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
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

/* ---- recognition ---- */

static const struct {
	const char *text;
	enum proto_probe verdict;
} probe_rows[] = {
	{ "GET / HTTP/1.1\r\n", PROTO_PROBE_YES },
	{ "BREW /pot HTTP/1.1\r\n", PROTO_PROBE_YES },
	{ "CONNECT a:1 HTTP/1.1\r\n", PROTO_PROBE_YES },
	{ "OPTIONS * HTTP/1.1\r\n", PROTO_PROBE_YES },
	{ "HTTP/1.1 200 OK\r\n", PROTO_PROBE_YES },
	{ "HTTP/1.0 404 ", PROTO_PROBE_YES },
	{ "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", PROTO_PROBE_YES },
	{ "GET", PROTO_PROBE_MORE },
	{ "GET /a", PROTO_PROBE_MORE },
	{ "HTTP/1.1 2", PROTO_PROBE_MORE },
	{ "INVITE sip:a@b SIP/2.0\r\n", PROTO_PROBE_NO },
	{ "OPTIONS sip:a@b SIP/2.0\r\n", PROTO_PROBE_NO },
	{ "OPTIONS rtsp://a/b RTSP/1.0\r\n", PROTO_PROBE_NO },
	{ "OPTIONS * RTSP/1.0\r\n", PROTO_PROBE_NO },
	{ "DESCRIBE rtsp://a/b RTSP/1.0\r\n", PROTO_PROBE_NO },
	{ "REQMOD icap://a/b ICAP/1.0\r\n", PROTO_PROBE_NO },
	{ "PRI * HTTP/2.0\r\n", PROTO_PROBE_NO },
	{ "HTTP/2 200 OK\r\n", PROTO_PROBE_NO },
	{ "GET foo\r\n", PROTO_PROBE_NO },
	{ "USER anonymous\r\n", PROTO_PROBE_NO },
	{ "HELO a\r\n", PROTO_PROBE_NO },
	{ "SSH-2.0-x\r\n", PROTO_PROBE_NO },
	{ "\x16\x03\x01\x02", PROTO_PROBE_NO },
};

static void
test_probe(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEST_COUNT(probe_rows); i++) {
		struct cursor in = cursor_of(probe_rows[i].text, strlen(probe_rows[i].text));

		if (http_proto.probe(in, true, true) != probe_rows[i].verdict)
			fail_msg("%s", probe_rows[i].text);
		assert_int_equal(http_proto.probe(in, false, false), probe_rows[i].verdict);
	}
	assert_int_equal(http_proto.sender_is_server(cursor_of("HTTP/1.1 200 OK", 15)), 1);
	assert_int_equal(http_proto.sender_is_server(cursor_of("GET / HTTP/1.1\r\n", 16)), 0);
	assert_int_equal(http_proto.sender_is_server(cursor_of("GET ", 4)), -1);
}

/* A flow picked up in the middle of a body is found again at the next message. */
static void
test_resynchronise(void **state)
{
	(void)state;
	feed(get_request, true);
	feed("rest of something\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false);
	assert_int_equal(rig->emitted, 1);
	assert_field("response_body", "ok");
}

/* ---- cuts ---- */

static const struct {
	const char *text;
	bool to_server;
} talk[] = {
	{ "\r\nPOST /a%20b HTTP/1.1\r\nHost: X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;e\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n"
	  "GET /simple HTTP/1.0\r\nCookie: a\r\n\r\n", true },
	{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: a/b;c\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	  "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/10\r\nContent-Length: 4\r\n\r\nllo!", false },
	{ "CONNECT plc:502 HTTP/1.1\r\nHost: plc:502\r\n\r\n", true },
	{ "HTTP/1.1 200 Fine\r\n\r\n", false },
	{ "GET /inner HTTP/1.0\r\n\r\n", true },
	{ "HTTP/1.0 200 OK\r\n\r\nuntil the end", false },
};

static void
play(size_t piece_len)
{
	for (size_t i = 0; i < TEST_COUNT(talk); i++)
		for (size_t at = 0, len = strlen(talk[i].text); at < len; at += piece_len)
			feed_bytes(talk[i].text + at, len - at < piece_len ? len - at : piece_len, talk[i].to_server, 0);
	finish_flow();
	buf_putc(&rig->log, '\0');
}

/* However the bytes are cut, the same is delivered. */
static void
test_cuts(void **state)
{
	char *whole;

	(void)state;
	play(4096);
	assert_int_equal(rig->emitted, 4);
	assert_non_null(strstr(rig->log.data, "\"content_range\":{\"raw\":\"bytes 2-5/10\",\"start\":2,\"end\":5,\"size\":10}"));
	whole = strdup(rig->log.data);
	assert_non_null(whole);
	for (size_t len = 1; len < 100; len++) {
		rig_renew(NULL);
		play(len);
		assert_string_equal(rig->log.data, whole);
	}
	free(whole);
}

/* Cut at every length and then ended: no more than what was there is said, and nothing stays. */
static void
test_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t len = 0; len < strlen(talk[i].text); len++) {
			rig_renew(NULL);
			feed_bytes(talk[i].text, len, talk[i].to_server, 0);
			finish_flow();
			assert_int_equal(slab_used(rig->slab), 0);
			memset(rig->pending_len, 0, sizeof(rig->pending_len));
		}
	for (size_t len = 0; len < strlen(get_request); len++) {
		struct cursor in = cursor_of(get_request, len);

		assert_int_equal(http_proto.frame(in, true), 0);
		for (uint32_t seen = 0; seen <= len; seen++)
			assert_int_equal(http_proto.frame_on(cursor_of(get_request, strlen(get_request)), true, seen),
				strlen(get_request));
	}
}

static void
test_tables(void **state)
{
	(void)state;
	assert_null(record_table_check(&http_table));
	for (unsigned int i = 0; i < HTTP_EVENT_COUNT; i++)
		assert_non_null(http_events[i].name);
	for (unsigned int i = 0; i < HTTP_COUNTER_COUNT; i++)
		assert_non_null(http_counters[i].name);
	for (unsigned int i = 0; i < HTTP_BUFFER_COUNT; i++) {
		struct record_path path;

		assert_non_null(http_buffers[i].name);
		assert_int_equal(record_path_resolve(&http_table, http_buffers[i].path, &path), 0);
		if ((path.leaf->flags & FIELD_LINES) != 0)
			continue; /* either's fields, line by line, by the buffer's own name */
		/* The bit of a buffer's field says whose it is. */
		assert_int_equal(http_buffer_direction(&http_buffers[i]), path.leaf->bit < HTTP_HAS_RESPONSE ? RULE_TO_SERVER
			: path.leaf->bit < HTTP_HAS_MESSAGE ? RULE_TO_CLIENT : RULE_EITHER);
	}
	assert_true((int)HTTP_EVENT_COUNT <= (int)RULE_APP_EVENT_MAX);
	assert_true(sizeof(struct http_state) <= 256);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_create, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_request), CASE(test_response), CASE(test_headers), CASE(test_uri), CASE(test_odd_heads),
		CASE(test_long_head), CASE(test_post), CASE(test_chunked), CASE(test_until_close), CASE(test_limit),
		CASE(test_no_bodies), CASE(test_decoding), CASE(test_pipeline), CASE(test_crowd), CASE(test_early_response),
		CASE(test_tunnel), CASE(test_gap_in_body), CASE(test_gap_beyond), CASE(test_no_memory), CASE(test_probe),
		CASE(test_resynchronise), CASE(test_cuts), CASE(test_ends), CASE(test_tables),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
