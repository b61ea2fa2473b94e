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

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_create, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_post), CASE(test_chunked), CASE(test_until_close), CASE(test_limit), CASE(test_no_bodies),
		CASE(test_decoding), CASE(test_pipeline), CASE(test_crowd), CASE(test_early_response), CASE(test_tunnel),
		CASE(test_gap_in_body), CASE(test_gap_beyond), CASE(test_no_memory),
	};

	return cmocka_run_group_tests_name("http_body", tests, NULL, NULL);
}
