/* A pretend protocol of text fields, and whether a rule fires on one message of it. */
#ifndef MR_TEST_WEB_H
#define MR_TEST_WEB_H

#include "lib/rule/test_toy.h"

/* A protocol of byte fields only, with the names that rules of other sensors use. */
enum { WEB_URI, WEB_URI_RAW, WEB_METHOD, WEB_HEADER, WEB_LINE, WEB_BODY, WEB_ANSWER, WEB_HOST, WEB_FIELDS };

struct web_record {
	struct record_head head;
	struct record_ref fields[WEB_FIELDS];
};

#define WEB_FIELD(path, index) \
	{ path, FIELD_STRING, index, 0, offsetof(struct web_record, fields) + (index) * sizeof(struct record_ref), NULL, NULL, "web", \
		path }

static const struct field web_fields[] = {
	WEB_FIELD("uri", WEB_URI), WEB_FIELD("uri.raw", WEB_URI_RAW), WEB_FIELD("method", WEB_METHOD),
	WEB_FIELD("header", WEB_HEADER), WEB_FIELD("request_line", WEB_LINE), WEB_FIELD("request_body", WEB_BODY),
	WEB_FIELD("response_body", WEB_ANSWER), WEB_FIELD("host", WEB_HOST),
	{ "header_lines", FIELD_STRING, WEB_HEADER, FIELD_HIDDEN | FIELD_LINES,
		offsetof(struct web_record, fields) + WEB_HEADER * sizeof(struct record_ref), NULL, NULL, "web", "header_lines" },
};
static const struct record_table web_table = { "http", web_fields, TEST_COUNT(web_fields), sizeof(struct web_record) };
static const struct field tls_fields[] = { WEB_FIELD("sni", 0) };
static const struct record_table tls_table = { "tls", tls_fields, 1, sizeof(struct web_record) };
static const struct field modbus_fields[] = { WEB_FIELD("request.data", 0) };
static const struct record_table modbus_table = { "modbus", modbus_fields, 1, sizeof(struct web_record) };
static const struct field mail_fields[] = { WEB_FIELD("data", 0) };
static const struct record_table mail_table = { "mail", mail_fields, 1, sizeof(struct web_record) };
static const struct rule_app_buffer mail_buffers[] = { { "mail.file_data", "data" } };
static const struct rule_app_event modbus_events[] = { { "invalid_length", "length" } };
static const struct rule_app_buffer web_buffers[] = { { "http.request_header", "header_lines" }, { "http.answer", "response_body" },
	{ "http.either", "header" } };

static inline enum rule_direction
web_direction(const struct rule_app_buffer *buffer)
{
	static const enum rule_direction directions[] = { RULE_TO_SERVER, RULE_TO_CLIENT, RULE_EITHER };

	return directions[buffer - web_buffers];
}

static inline const char *
web_of(const struct rule_app_buffer *buffer, bool to_server)
{
	enum rule_direction own = web_direction(buffer);

	if (own == RULE_EITHER)
		return to_server ? "request_body" : "response_body";
	return (own == RULE_TO_SERVER) == to_server ? buffer->path : NULL;
}

static const struct rule_app web_apps[] = {
	{ .name = "http", .record = &web_table, .buffers = web_buffers, .buffer_count = 3,
		.buffer_direction = web_direction, .buffer_of = web_of },
	{ .name = "tls", .record = &tls_table },
	{ .name = "modbus", .record = &modbus_table, .events = modbus_events, .event_count = 1 },
	{ .name = "mail", .record = &mail_table, .buffers = mail_buffers, .buffer_count = 1 },
};
static const struct rule_app *const web_world_apps[] = { &web_apps[0], &web_apps[1], &web_apps[2], &web_apps[3] };
static const struct rule_world web_world = { web_world_apps, TEST_COUNT(web_world_apps), toy_decode_event, toy_stream_event, false, NULL };

static inline struct ruleset *
web_ruleset(const char *text)
{
	struct rule_config config = toy_config();
	struct config_error err;
	struct ruleset *set = NULL;

	if (ruleset_create_text(&set, "web.rules", text, &config, &web_world, &err) != 0)
		fail_msg("%s", err.text);
	return set;
}

struct web_case {
	const char *options; /* of "alert http any any -> any any" */
	int field;           /* the one that is there besides the method POST; -1: none */
	const char *value;
	bool hit;
};

static inline void
web_record_make(uint64_t room[64], int field, const char *value)
{
	struct web_record *record = (struct web_record *)room;
	uint32_t off = sizeof(*record);

	memset(room, 0, 64 * sizeof(room[0]));
	record->head.present = 1u << WEB_METHOD;
	record->fields[WEB_METHOD] = (struct record_ref){ off, 4 };
	memcpy((uint8_t *)room + off, "POST", 4);
	if (field < 0)
		return;
	record->head.present |= 1u << field;
	record->fields[field] = (struct record_ref){ off + 8, (uint32_t)strlen(value) };
	memcpy((uint8_t *)room + off + 8, value, strlen(value));
}

static inline unsigned int
web_match(const char *text, int field, const char *value)
{
	struct rule_config config = toy_config();
	struct ruleset *set = web_ruleset(text);
	struct flow flow = toy_flow(IP_PROTO_TCP);
	struct rule_matcher *matcher;
	struct rule_hits hits;
	unsigned int count;
	uint64_t room[64];
	const struct rule_error *errors = ruleset_errors(set, &count);

	if (count > 0)
		fail_msg("%s: %s: %s", text, errors[0].keyword, errors[0].reason);
	web_record_make(room, field, value);
	const struct rule_message message = { .record = room, .to_server = true };

	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	for (unsigned int again = 0; again < 2; again++) { /* the second time from what is remembered */
		rule_hits_reset(&hits);
		rule_match_message(matcher, NULL, &flow, &message, &hits);
	}
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
	return hits.count;
}

static inline void
web_cases_check(const struct web_case *cases, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		const struct web_case *c = &cases[i];
		char text[512];

		snprintf(text, sizeof(text), "alert http any any -> any any (%s sid:1;)", c->options);
		if (web_match(text, c->field, c->value) != c->hit)
			fail_msg("%s: %s with \"%s\"", c->options, c->hit ? "did not fire" : "fired", c->value);
		/* the header's protocol may be the transport too */
		snprintf(text, sizeof(text), "alert tcp any any -> any any (%s sid:1;)", c->options);
		assert_int_equal(web_match(text, c->field, c->value), c->hit);
	}
}

#endif
