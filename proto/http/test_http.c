/* HTTP/1: heads and the buffers that rules see, recognition, hostile input. */
#include "proto/http/test_http.h"

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
	{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n", HTTP_EVENT_DUPLICATE_REQUEST_CONTENT_LENGTH },
	{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0,\r\n\r\n", HTTP_EVENT_INVALID_REQUEST_CONTENT_LENGTH },
	{ "GET /x\r\n", HTTP_EVENT_MISSING_PROTOCOL },
	{ "GET HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_EVENT_MISSING_PROTOCOL },
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

/* Fields that were joined on the way say how long a body is, as those that were not. */
static void
test_length_list(void **state)
{
	(void)state;
	feed("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3 ,3\r\n\r\nabc", true);
	assert_field("request_body", "abc");
	feed("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", true);
	assert_field("url", "/2");
}

/* Without a target what is behind the method is it, as in Suricata; the response is its answer. */
static void
test_no_target(void **state)
{
	(void)state;
	feed("GET HTTP/1.1\r\nHost: a\r\n\r\n", true);
	assert_field("http_method", "GET");
	feed(ok_response, false);
	assert_int_equal(rig->emitted, 1);
	assert_json_has("\"url\":\"HTTP/1.1\"");
	assert_false(saw(HTTP_EVENT_UNMATCHED_RESPONSE));
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
	/* HTTP/0.9: on a usual port alone. */
	assert_int_equal(http_proto.probe(cursor_of("GET /a\r\n", 8), true, true), PROTO_PROBE_YES);
	assert_int_equal(http_proto.probe(cursor_of("GET /a\r\n", 8), true, false), PROTO_PROBE_NO);
	assert_int_equal(http_proto.probe(cursor_of("POST /a\r\n", 9), true, true), PROTO_PROBE_NO);
	assert_int_equal(http_proto.probe(cursor_of("GET a\r\n", 7), true, true), PROTO_PROBE_NO);
	assert_int_equal(http_proto.probe(cursor_of("GET /a RTSP/1.0\r\n", 17), true, true), PROTO_PROBE_NO);
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

/* All header fields, for those who want them; as they were sent, continued lines as one. */
static void
test_dump(void **state)
{
	(void)state;
	rig_renew("app-layer.protocols.http.dump-all-headers=both");
	feed("GET / HTTP/1.0\r\nHost: a\r\nX:b\r\n c\r\nnone\r\n\r\n", true);
	feed("HTTP/1.0 2XX Fine\r\nSet-Cookie: d\r\nset-cookie: e\r\nContent-Length: 0\r\n\r\n", false);
	assert_json_has("\"request_headers\":[{\"name\":\"Host\",\"value\":\"a\"},{\"name\":\"X\",\"value\":\"b\\r\\n c\"},"
		"{\"name\":\"\",\"value\":\"none\"}]");
	assert_json_has("\"response_headers\":[{\"name\":\"Set-Cookie\",\"value\":\"d\"},{\"name\":\"set-cookie\",\"value\":\"e\"},");
	assert_json_has("\"status_string\":\"2XX\"");
	assert_true(saw(HTTP_EVENT_INVALID_STATUS));
	rig_renew("app-layer.protocols.http.dump-all-headers=request");
	feed(get_request, true);
	feed(ok_response, false);
	assert_json_has("\"request_headers\":[{\"name\":\"Host\"");
	assert_json_lacks("response_headers");
	assert_json_lacks("status_string");
}

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

/* A direction that ends within a head: what there is of it is a message, from where it can be told what it is. */
static void
test_remains(void **state)
{
	static const char response[] = "HTTP/1.0 200 OK\r\nServer: a";

	(void)state;
	for (size_t len = 1; len < strlen(get_request); len++) {
		bool is_line = len > strlen("GET ");

		rig_renew(NULL);
		feed_bytes(get_request, len, true, 0);
		end_direction(true);
		feed_bytes(response, strlen(response), false, 0);
		end_direction(false);
		finish_flow();
		assert_int_equal(rig->emitted, 1);
		assert_true(saw(HTTP_EVENT_REQUEST_INCOMPLETE) == is_line);
		assert_true(saw(HTTP_EVENT_RESPONSE_INCOMPLETE));
		assert_field("server", "a");
	}
	rig_renew(NULL);
	feed("GET /", true);
	end_direction(true);
	finish_flow();
	assert_field("uri", "/");
	rig_renew(NULL);
	feed("HTTP/1.1 2", false);
	end_direction(false);
	finish_flow();
	assert_int_equal(rig->emitted, 0);
}

/* Lines for rules are those of all fields, cookies behind the others. */
static void
test_lines(void **state)
{
	(void)state;
	feed("GET / HTTP/1.1\r\nCookie: b=1\r\nHost: a\r\n\r\n", true);
	assert_field("header", "Host: a\r\n");
	assert_field("header_lines", "Host: a\r\nCookie: b=1\r\n");
	feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true);
	assert_field("header_lines", "Host: a\r\n");
}

/* Browsers take a status line behind a few blanks; a request is none there, nor is anything else. */
static void
test_blanks(void **state)
{
	static const char response[] = " \r HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 0\r\n\r\n";

	(void)state;
	for (size_t len = 1; len < strlen(response); len++) {
		rig_renew(NULL);
		feed(get_request, true);
		feed_bytes(response, len, false, 0);
		feed(response + len, false);
		assert_int_equal(rig->emitted, 1);
		assert_field("server", "a");
		assert_true(saw(HTTP_EVENT_LEADING_WHITESPACE));
		assert_false(saw(HTTP_EVENT_NO_HEAD));
	}
	rig_renew(NULL);
	feed(get_request, true);
	feed("     HTTP/1.1 200 OK\r\nServer: a\r\n\r\n", false);
	finish_flow();
	assert_true(saw(HTTP_EVENT_NO_HEAD));
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
		CASE(test_length_list), CASE(test_no_target), CASE(test_long_head), CASE(test_probe), CASE(test_resynchronise), CASE(test_dump), CASE(test_cuts), CASE(test_ends), CASE(test_remains), CASE(test_lines), CASE(test_blanks),
		CASE(test_tables),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
