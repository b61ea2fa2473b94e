/* The tables of HTTP: fields, events, counters, configuration. */
#include "proto/http/http.h"

#include <assert.h>
#include <string.h>

#define REQUEST(slice) HTTP_HAS_REQUEST + (slice)
#define RESPONSE(slice) HTTP_HAS_RESPONSE + (slice)
#define MESSAGE(slice) HTTP_HAS_MESSAGE + (slice)
#define PLACE(kind, slice) offsetof(struct http_record, kind) + (slice) * sizeof(struct record_ref)

/* What both kinds of message have, of the request and of the response: for rules that look into both. */
#define EACH(name, slice, flags, source, what) \
	{ name "_of_request", FIELD_STRING, REQUEST(slice), FIELD_HIDDEN | (flags), PLACE(request, slice), NULL, NULL, source, what " of the request" }, \
	{ name "_of_response", FIELD_STRING, RESPONSE(slice), FIELD_HIDDEN | (flags), PLACE(response, slice), NULL, NULL, source, \
		what " of the response" }

static const struct field field_fields[] = {
	{ "name", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct http_field, name), NULL, NULL, "RFC 9112 5", "name of the field" },
	{ "value", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct http_field, value), NULL, NULL, "RFC 9112 5", "its value" },
};

static const struct record_table field_table = {
	.name = "field",
	.fields = field_fields,
	.field_count = sizeof(field_fields) / sizeof(field_fields[0]),
	.size = sizeof(struct http_field),
};

const struct record_table *const http_field_shapes[] = { &field_table, NULL };

static const struct field http_fields[] = {
	{ "hostname", FIELD_STRING, REQUEST(HTTP_HOST), 0, PLACE(request, HTTP_HOST), NULL, NULL,
		"RFC 9110 7.2", "host that the request is for, in lower case, without port" },
	{ "http_port", FIELD_U16, HTTP_HAS_PORT, 0, offsetof(struct http_record, port), NULL, NULL,
		"RFC 9110 7.2", "port that the request names" },
	{ "url", FIELD_STRING, REQUEST(HTTP_URI_RAW), 0, PLACE(request, HTTP_URI_RAW), NULL, NULL,
		"RFC 9112 3.2", "target of the request, as it is" },
	{ "http_user_agent", FIELD_STRING, REQUEST(HTTP_USER_AGENT), 0, PLACE(request, HTTP_USER_AGENT), NULL, NULL,
		"RFC 9110 10.1.5", "program that asks" },
	{ "xff", FIELD_STRING, REQUEST(HTTP_XFF), 0, PLACE(request, HTTP_XFF), NULL, NULL,
		"RFC 7239", "X-Forwarded-For" },
	{ "http_content_type", FIELD_STRING, HTTP_HAS_MEDIA_TYPE, 0, offsetof(struct http_record, media_type), NULL, NULL,
		"RFC 9110 8.3", "media type of the response, without parameters" },
	{ "content_range.raw", FIELD_STRING, RESPONSE(HTTP_CONTENT_RANGE), 0, PLACE(response, HTTP_CONTENT_RANGE), NULL, NULL,
		"RFC 9110 14.4", "Content-Range of the response" },
	{ "content_range.start", FIELD_U64, HTTP_HAS_RANGE, 0, offsetof(struct http_record, range_start), NULL, NULL,
		"RFC 9110 14.4", "first byte" },
	{ "content_range.end", FIELD_U64, HTTP_HAS_RANGE, 0, offsetof(struct http_record, range_end), NULL, NULL,
		"RFC 9110 14.4", "last byte" },
	{ "content_range.size", FIELD_U64, HTTP_HAS_RANGE_SIZE, 0, offsetof(struct http_record, range_size), NULL, NULL,
		"RFC 9110 14.4", "bytes of the whole" },
	{ "http_refer", FIELD_STRING, REQUEST(HTTP_REFERER), 0, PLACE(request, HTTP_REFERER), NULL, NULL,
		"RFC 9110 10.1.3", "page that led here" },
	{ "http_method", FIELD_STRING, REQUEST(HTTP_METHOD), 0, PLACE(request, HTTP_METHOD), NULL, NULL,
		"RFC 9110 9", "method" },
	{ "protocol", FIELD_STRING, HTTP_HAS_PROTOCOL, 0, offsetof(struct http_record, protocol), NULL, NULL,
		"RFC 9112 2.3", "version of the request, of the response where no request was seen" },
	{ "status", FIELD_U16, HTTP_HAS_STATUS, 0, offsetof(struct http_record, status), NULL, NULL,
		"RFC 9110 15", "status code" },
	{ "status_string", FIELD_STRING, HTTP_HAS_STATUS_STRING, 0, offsetof(struct http_record, status_string), NULL, NULL,
		"RFC 9110 15", "status code that is no number of three digits" },
	{ "redirect", FIELD_STRING, RESPONSE(HTTP_LOCATION), 0, PLACE(response, HTTP_LOCATION), NULL, NULL,
		"RFC 9110 10.2.2", "Location of the response" },
	{ "content_encoding", FIELD_STRING, RESPONSE(HTTP_CONTENT_ENCODING), 0, PLACE(response, HTTP_CONTENT_ENCODING), NULL,
		NULL, "RFC 9110 8.4", "content coding of the response" },
	{ "length", FIELD_U64, HTTP_HAS_LENGTH, FIELD_LATE, offsetof(struct http_record, length), NULL, NULL,
		"RFC 9112 6", "bytes of the response's body, without transfer coding" },

	{ "request_headers", FIELD_LIST, HTTP_HAS_REQUEST_HEADERS, 0, offsetof(struct http_record, headers[1]), NULL,
		http_field_shapes, "RFC 9112 5", "with `dump-all-headers`: all fields of the request" },
	{ "response_headers", FIELD_LIST, HTTP_HAS_RESPONSE_HEADERS, 0, offsetof(struct http_record, headers[0]), NULL,
		http_field_shapes, "RFC 9112 5", "with `dump-all-headers`: all fields of the response" },
	{ "uri", FIELD_STRING, REQUEST(HTTP_URI), FIELD_HIDDEN, PLACE(request, HTTP_URI), NULL, NULL,
		"RFC 3986 6.2", "path and query, decoded once, without empty, . and .. segments" },
	{ "host_raw", FIELD_STRING, REQUEST(HTTP_HOST_RAW), FIELD_HIDDEN, PLACE(request, HTTP_HOST_RAW), NULL, NULL,
		"RFC 9110 7.2", "host as it is, with port" },
	{ "accept", FIELD_STRING, REQUEST(HTTP_ACCEPT), FIELD_HIDDEN, PLACE(request, HTTP_ACCEPT), NULL, NULL,
		"RFC 9110 12.5.1", "Accept" },
	{ "accept_enc", FIELD_STRING, REQUEST(HTTP_ACCEPT_ENC), FIELD_HIDDEN, PLACE(request, HTTP_ACCEPT_ENC), NULL, NULL,
		"RFC 9110 12.5.3", "Accept-Encoding" },
	{ "accept_lang", FIELD_STRING, REQUEST(HTTP_ACCEPT_LANG), FIELD_HIDDEN, PLACE(request, HTTP_ACCEPT_LANG), NULL, NULL,
		"RFC 9110 12.5.4", "Accept-Language" },
	{ "request_line", FIELD_STRING, REQUEST(HTTP_START_LINE), FIELD_HIDDEN, PLACE(request, HTTP_START_LINE), NULL, NULL,
		"RFC 9112 3", "first line of the request" },
	{ "request_body", FIELD_STRING, REQUEST(HTTP_BODY), FIELD_HIDDEN, PLACE(request, HTTP_BODY), NULL, NULL,
		"RFC 9112 6", "first bytes of the request's body, without codings" },
	{ "response_line", FIELD_STRING, RESPONSE(HTTP_START_LINE), FIELD_HIDDEN, PLACE(response, HTTP_START_LINE), NULL, NULL,
		"RFC 9112 4", "first line of the response" },
	{ "stat_code", FIELD_STRING, RESPONSE(HTTP_STAT_CODE), FIELD_HIDDEN, PLACE(response, HTTP_STAT_CODE), NULL, NULL,
		"RFC 9112 4", "status code as text" },
	{ "stat_msg", FIELD_STRING, RESPONSE(HTTP_STAT_MSG), FIELD_HIDDEN, PLACE(response, HTTP_STAT_MSG), NULL, NULL,
		"RFC 9112 4", "reason phrase" },
	{ "server", FIELD_STRING, RESPONSE(HTTP_SERVER), FIELD_HIDDEN, PLACE(response, HTTP_SERVER), NULL, NULL,
		"RFC 9110 10.2.4", "Server" },
	{ "response_body", FIELD_STRING, RESPONSE(HTTP_BODY), FIELD_HIDDEN, PLACE(response, HTTP_BODY), NULL, NULL,
		"RFC 9112 6", "first bytes of the response's body, without codings" },

	{ "header", FIELD_STRING, MESSAGE(HTTP_HEADER), FIELD_HIDDEN, PLACE(message, HTTP_HEADER), NULL, NULL,
		"RFC 9112 5", "fields of the message at hand but cookies, as `Name: value` lines, repeated ones joined" },
	{ "header_lines", FIELD_STRING, MESSAGE(HTTP_HEADER_LINES), FIELD_HIDDEN | FIELD_LINES, PLACE(message, HTTP_HEADER_LINES), NULL, NULL,
		"RFC 9112 5", "each line of the same alone, cookies too" },
	{ "header_raw", FIELD_STRING, MESSAGE(HTTP_HEADER_RAW), FIELD_HIDDEN, PLACE(message, HTTP_HEADER_RAW), NULL, NULL,
		"RFC 9112 5", "fields of the message at hand as they are" },
	{ "header_names", FIELD_STRING, MESSAGE(HTTP_HEADER_NAMES), FIELD_HIDDEN, PLACE(message, HTTP_HEADER_NAMES), NULL,
		NULL, "RFC 9112 5", "names of the fields, each between line ends" },
	{ "cookie", FIELD_STRING, MESSAGE(HTTP_COOKIE), FIELD_HIDDEN, PLACE(message, HTTP_COOKIE), NULL, NULL,
		"RFC 6265", "Cookie of a request, Set-Cookie of a response" },
	{ "content_type", FIELD_STRING, MESSAGE(HTTP_CONTENT_TYPE), FIELD_HIDDEN, PLACE(message, HTTP_CONTENT_TYPE), NULL,
		NULL, "RFC 9110 8.3", "Content-Type of the message at hand" },
	{ "content_len", FIELD_STRING, MESSAGE(HTTP_CONTENT_LEN), FIELD_HIDDEN, PLACE(message, HTTP_CONTENT_LEN), NULL, NULL,
		"RFC 9110 8.6", "Content-Length of the message at hand, as text" },
	{ "connection", FIELD_STRING, MESSAGE(HTTP_CONNECTION), FIELD_HIDDEN, PLACE(message, HTTP_CONNECTION), NULL, NULL,
		"RFC 9110 7.6.1", "Connection of the message at hand" },
	{ "message_protocol", FIELD_STRING, MESSAGE(HTTP_PROTOCOL), FIELD_HIDDEN, PLACE(message, HTTP_PROTOCOL), NULL, NULL,
		"RFC 9112 2.3", "version of the message at hand" },
	{ "start", FIELD_STRING, MESSAGE(HTTP_START), FIELD_HIDDEN, PLACE(message, HTTP_START), NULL, NULL,
		"RFC 9112 2.1", "start line and fields of the message at hand, to the empty line" },
	{ "body", FIELD_STRING, MESSAGE(HTTP_BODY), FIELD_HIDDEN, PLACE(message, HTTP_BODY), NULL, NULL,
		"RFC 9112 6", "first bytes of the body of the message at hand, without codings" },

	EACH("header", HTTP_HEADER, 0, "RFC 9112 5", "fields"),
	EACH("header_lines", HTTP_HEADER_LINES, FIELD_LINES, "RFC 9112 5", "each line of the fields"),
	EACH("header_raw", HTTP_HEADER_RAW, 0, "RFC 9112 5", "fields as they are"),
	EACH("header_names", HTTP_HEADER_NAMES, 0, "RFC 9112 5", "names of the fields"),
	EACH("cookie", HTTP_COOKIE, 0, "RFC 6265", "cookies"),
	EACH("content_type", HTTP_CONTENT_TYPE, 0, "RFC 9110 8.3", "Content-Type"),
	EACH("content_len", HTTP_CONTENT_LEN, 0, "RFC 9110 8.6", "Content-Length"),
	EACH("connection", HTTP_CONNECTION, 0, "RFC 9110 7.6.1", "Connection"),
	EACH("protocol", HTTP_PROTOCOL, 0, "RFC 9112 2.3", "version"),
	EACH("start", HTTP_START, 0, "RFC 9112 2.1", "start line and fields"),
};

const struct record_table http_table = {
	.name = "http",
	.fields = http_fields,
	.field_count = sizeof(http_fields) / sizeof(http_fields[0]),
	.size = sizeof(struct http_record),
};

enum { REQUEST_BUFFERS = 14, RESPONSE_BUFFERS = 7 };

/* Those of requests, then those of responses, then those of both. */
const struct rule_app_buffer http_buffers[HTTP_BUFFER_COUNT] = {
	{ "http.method", "http_method" },
	{ "http.uri", "uri" },
	{ "http.uri.normalized", "uri" },
	{ "http.uri.raw", "url" },
	{ "http.host", "hostname" },
	{ "http.host.raw", "host_raw" },
	{ "http.user_agent", "http_user_agent" },
	{ "http.referer", "http_refer" },
	{ "http.accept", "accept" },
	{ "http.accept_enc", "accept_enc" },
	{ "http.accept_lang", "accept_lang" },
	{ "http.request_line", "request_line" },
	{ "http.request_body", "request_body" },
	{ "http.request_header", "header_lines" },
	{ "http.response_line", "response_line" },
	{ "http.stat_code", "stat_code" },
	{ "http.stat_msg", "stat_msg" },
	{ "http.server", "server" },
	{ "http.location", "redirect" },
	{ "http.response_body", "response_body" },
	{ "http.response_header", "header_lines" },
	{ "http.header", "header" },
	{ "http.header.raw", "header_raw" },
	{ "http.header_names", "header_names" },
	{ "http.cookie", "cookie" },
	{ "http.content_type", "content_type" },
	{ "http.content_len", "content_len" },
	{ "http.connection", "connection" },
	{ "http.protocol", "message_protocol" },
	{ "http.start", "start" },
};

enum rule_direction
http_buffer_direction(const struct rule_app_buffer *buffer)
{
	ptrdiff_t idx = buffer - http_buffers;

	if (idx < REQUEST_BUFFERS)
		return RULE_TO_SERVER;
	return idx < REQUEST_BUFFERS + RESPONSE_BUFFERS ? RULE_TO_CLIENT : RULE_EITHER;
}

/* A buffer of both kinds of message by its field of the message at hand: that of the response, that of the request. */
static const char *const of_each[][3] = {
#define OF_EACH(name) { name, name "_of_response", name "_of_request" }
	OF_EACH("header"), OF_EACH("header_lines"), OF_EACH("header_raw"), OF_EACH("header_names"), OF_EACH("cookie"), OF_EACH("content_type"),
	OF_EACH("content_len"), OF_EACH("connection"), OF_EACH("start"),
	{ "message_protocol", "protocol_of_response", "protocol_of_request" },
};

const char *
http_buffer_of(const struct rule_app_buffer *buffer, bool to_server)
{
	enum rule_direction own = http_buffer_direction(buffer);

	if (own != RULE_EITHER && (own == RULE_TO_SERVER) != to_server)
		return NULL;
	for (unsigned int i = 0; i < sizeof(of_each) / sizeof(of_each[0]); i++)
		if (strcmp(of_each[i][0], buffer->path) == 0)
			return of_each[i][to_server ? 2 : 1];
	return buffer->path;
}

static_assert(HTTP_BIT_COUNT <= 64, "one presence bit each");

const struct rule_app_event http_events[] = {
	[HTTP_EVENT_REQUEST_FIELD_MISSING_COLON] = { "request_field_missing_colon", "a header line without a colon" },
	[HTTP_EVENT_RESPONSE_FIELD_MISSING_COLON] = { "response_field_missing_colon", "a header line without a colon" },
	[HTTP_EVENT_INVALID_REQUEST_CHUNK_LEN] = { "invalid_request_chunk_len", "a chunk whose size cannot be read, or is wrong" },
	[HTTP_EVENT_INVALID_RESPONSE_CHUNK_LEN] = { "invalid_response_chunk_len", "a chunk whose size cannot be read, or is wrong" },
	[HTTP_EVENT_INVALID_REQUEST_TRANSFER_ENCODING] = { "invalid_transfer_encoding_value_in_request",
		"a transfer coding other than chunked" },
	[HTTP_EVENT_INVALID_RESPONSE_TRANSFER_ENCODING] = { "invalid_transfer_encoding_value_in_response",
		"a transfer coding other than chunked" },
	[HTTP_EVENT_INVALID_REQUEST_CONTENT_LENGTH] = { "invalid_content_length_field_in_request",
		"a Content-Length that is no number" },
	[HTTP_EVENT_INVALID_RESPONSE_CONTENT_LENGTH] = { "invalid_content_length_field_in_response",
		"a Content-Length that is no number" },
	[HTTP_EVENT_DUPLICATE_REQUEST_CONTENT_LENGTH] = { "duplicate_content_length_field_in_request",
		"more than one Content-Length" },
	[HTTP_EVENT_DUPLICATE_RESPONSE_CONTENT_LENGTH] = { "duplicate_content_length_field_in_response",
		"more than one Content-Length" },
	[HTTP_EVENT_REQUEST_HEADER_INVALID] = { "request_header_invalid", "a header name that is empty or ends with a space" },
	[HTTP_EVENT_RESPONSE_HEADER_INVALID] = { "response_header_invalid", "a header name that is empty or ends with a space" },
	[HTTP_EVENT_INVALID_REQUEST_FOLDING] = { "invalid_request_field_folding", "a continued header line without a first one" },
	[HTTP_EVENT_INVALID_RESPONSE_FOLDING] = { "invalid_response_field_folding",
		"a continued header line without a first one" },
	[HTTP_EVENT_REQUEST_FIELD_TOO_LONG] = { "request_field_too_long", "a head of more than 16 KiB, of which the rest is not read" },
	[HTTP_EVENT_RESPONSE_FIELD_TOO_LONG] = { "response_field_too_long",
		"a head of more than 16 KiB, of which the rest is not read" },
	[HTTP_EVENT_REQUEST_TOO_MANY_HEADERS] = { "request_too_many_headers", "more header fields than 128" },
	[HTTP_EVENT_RESPONSE_TOO_MANY_HEADERS] = { "response_too_many_headers", "more header fields than 128" },
	[HTTP_EVENT_REQUEST_HEADER_REPETITION] = { "request_header_repetition", "header fields repeated 64 times and more" },
	[HTTP_EVENT_RESPONSE_HEADER_REPETITION] = { "response_header_repetition", "header fields repeated 64 times and more" },
	[HTTP_EVENT_REQUEST_CHUNK_EXTENSION] = { "request_chunk_extension", "a chunk whose size has an extension" },
	[HTTP_EVENT_RESPONSE_CHUNK_EXTENSION] = { "response_chunk_extension", "a chunk whose size has an extension" },
	[HTTP_EVENT_REQUEST_AMBIGUOUS_LENGTH] = { "request_ambiguous_length",
		"Transfer-Encoding and Content-Length in one message: request smuggling" },
	[HTTP_EVENT_RESPONSE_AMBIGUOUS_LENGTH] = { "response_ambiguous_length",
		"Transfer-Encoding and Content-Length in one message" },
	[HTTP_EVENT_UNMATCHED_RESPONSE] = { "unable_to_match_response_to_request", "a response to no request that was seen" },
	[HTTP_EVENT_MISSING_HOST] = { "missing_host_header", "a request of HTTP/1.1 without Host" },
	[HTTP_EVENT_AMBIGUOUS_HOST] = { "host_header_ambiguous", "another host in the request line than in Host" },
	[HTTP_EVENT_INVALID_HOST] = { "request_header_host_invalid", "a Host that no host is called" },
	[HTTP_EVENT_INVALID_SERVER_PORT] = { "invalid_server_port_in_request", "a port that is none" },
	[HTTP_EVENT_METHOD_DELIMITER] = { "method_delim_non_compliant", "more or other than a space behind the method" },
	[HTTP_EVENT_URI_DELIMITER] = { "uri_delim_non_compliant", "other than a space behind the target" },
	[HTTP_EVENT_LEADING_WHITESPACE] = { "request_line_leading_whitespace", "several empty lines before a message" },
	[HTTP_EVENT_MISSING_PROTOCOL] = { "request_line_missing_protocol", "a request line without a version" },
	[HTTP_EVENT_DOUBLE_ENCODED_URI] = { "double_encoded_uri", "a target that is still encoded when it was decoded" },
	[HTTP_EVENT_CHUNKED_OLD_PROTOCOL] = { "response_chunked_old_proto", "chunks in HTTP/1.0 and before" },
	[HTTP_EVENT_INVALID_STATUS] = { "response_invalid_status", "a status code that is not three digits" },
	[HTTP_EVENT_INVALID_PROTOCOL] = { "response_invalid_protocol", "a version that cannot be read" },
	[HTTP_EVENT_NO_HEAD] = { "response_without_head", "a response that begins with its body" },
	[HTTP_EVENT_ABNORMAL_CONTENT_ENCODING] = { "abnormal_ce_header", "a content coding that nobody uses" },
	[HTTP_EVENT_TOO_MANY_ENCODINGS] = { "too_many_encoding_layers", "more content codings than are taken off" },
	[HTTP_EVENT_DECOMPRESSION_FAILED] = { "gzip_decompression_failed", "a body that is not what its content coding says" },
	[HTTP_EVENT_COMPRESSION_BOMB] = { "compression_bomb", "a body that grows more than 512-fold when it is unpacked" },
	[HTTP_EVENT_TOO_MANY_REQUESTS] = { "too_many_requests", "more requests wait for their response than max-tx" },
	[HTTP_EVENT_WRONG_DIRECTION] = { "wrong_direction",
		"a request from the server, or a response from the client; said once in a flow" },
	[HTTP_EVENT_REQUEST_INCOMPLETE] = { "request_incomplete", "a request that ends within its head: its sender said no more" },
	[HTTP_EVENT_RESPONSE_INCOMPLETE] = { "response_incomplete", "a response that ends within its head: its sender said no more" },
};

const struct counter_desc http_counters[] = {
	[HTTP_COUNT_REQUESTS] = { "http.requests", "requests read" },
	[HTTP_COUNT_RESPONSES] = { "http.responses", "responses read, interim ones not among them" },
	[HTTP_COUNT_INTERIM] = { "http.interim_responses", "responses of the kind 100 Continue" },
	[HTTP_COUNT_UNANSWERED] = { "http.unanswered", "requests written without a response" },
	[HTTP_COUNT_ORPHANS] = { "http.orphan_responses", "responses without a request" },
	[HTTP_COUNT_REQUESTS_SHED] = { "http.requests_shed", "requests that could not wait for their response: max-tx of them did" },
	[HTTP_COUNT_SHED] = { "http.shed", "messages not seen by rules and not written: no memory" },
	[HTTP_COUNT_HEADS_CUT] = { "http.heads_cut", "messages whose start line and header fields were too long" },
	[HTTP_COUNT_BODIES_CUT] = { "http.bodies_cut", "bodies longer than what is kept for the rules" },
	[HTTP_COUNT_BODIES_SHED] = { "http.bodies_shed", "bodies not kept for the rules: no memory" },
	[HTTP_COUNT_DECODED] = { "http.bodies_decoded", "bodies whose gzip or deflate was taken off" },
	[HTTP_COUNT_NOT_DECODED] = { "http.bodies_not_decoded", "bodies of a content coding that is not known, or without memory for it" },
	[HTTP_COUNT_TUNNELS] = { "http.tunnels", "flows that went on as another protocol: CONNECT or an upgrade" },
};

static const char *const dumps[] = { "none", "request", "response", "both", NULL };

static const struct knob knobs[] = {
	{ "app-layer.protocols.http.request-body-limit", KNOB_SIZE, offsetof(struct http_config, body_limit[1]),
		0, HTTP_BODY_LIMIT_MAX, "8kb", NULL, "first bytes of a request's body that rules see" },
	{ "app-layer.protocols.http.response-body-limit", KNOB_SIZE, offsetof(struct http_config, body_limit[0]),
		0, HTTP_BODY_LIMIT_MAX, "16kb", NULL, "first bytes of a response's body that rules see, unpacked" },
	{ "app-layer.protocols.http.max-tx", KNOB_NUMBER, offsetof(struct http_config, open_max),
		1, HTTP_OPEN_MAX, "128", NULL, "requests of a flow that may wait for their response; what comes above it is written alone" },
	{ "app-layer.protocols.http.dump-all-headers", KNOB_CHOICE, offsetof(struct http_config, dump), 0, 0, "none", dumps,
		"messages of which all header fields are written, as `http.request_headers` and `http.response_headers`" },
	{ "app-layer.protocols.http.libhtp.default-config.response-body-decompress-layer-limit", KNOB_NUMBER,
		offsetof(struct http_config, layers_max), 1, HTTP_LAYERS_MAX, "2", NULL,
		"content codings one upon the other that are taken off a body; what names more is an event" },
	{ "app-layer.protocols.http.libhtp.*", KNOB_ACCEPTED, 0, 0, 0, NULL, NULL, "settings of another parser" },
};

const struct knob_table http_knobs = {
	.owner = "http",
	.knobs = knobs,
	.count = sizeof(knobs) / sizeof(knobs[0]),
};
