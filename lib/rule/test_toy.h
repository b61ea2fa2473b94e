/* An invented protocol and hand-made packets for the rule engine's tests. */
#ifndef MR_RULE_TEST_TOY_H
#define MR_RULE_TEST_TOY_H

#include "test/test.h"

#include "lib/flow/flow.h"
#include "lib/rule/rule.h"

struct toy_point {
	struct record_head head;
	uint16_t index;
	float value;
};

struct toy_record {
	struct record_head head;
	uint8_t unit;
	uint16_t function;
	uint8_t flags;
	struct record_ref data;
	struct record_list points;
};

static const struct field_name toy_functions[] = { { 1, "read" }, { 2, "write" }, { 7, "restart" }, { 9, "fetch, all" } };
static const struct field_names toy_function_names = FIELD_NAMES(toy_functions, "unknown");
static const struct field_name toy_flags[] = { { 0, "first" }, { 1, "final" }, { 7, "alarm" } };
static const struct field_names toy_flag_names = FIELD_NAMES(toy_flags, NULL);

static const struct field toy_point_fields[] = {
	{ "index", FIELD_U16, FIELD_ALWAYS, 0, offsetof(struct toy_point, index), NULL, NULL, "toy", "index" },
	{ "value", FIELD_F32, FIELD_ALWAYS, 0, offsetof(struct toy_point, value), NULL, NULL, "toy", "value" },
};
static const struct record_table toy_point_table = { "point", toy_point_fields, TEST_COUNT(toy_point_fields),
	sizeof(struct toy_point) };
static const struct record_table *const toy_point_shapes[] = { &toy_point_table, NULL };

static const struct field toy_fields[] = {
	{ "unit", FIELD_U8, FIELD_ALWAYS, 0, offsetof(struct toy_record, unit), NULL, NULL, "toy", "unit" },
	{ "request.function", FIELD_U16, 1, 0, offsetof(struct toy_record, function), &toy_function_names, NULL, "toy", "function" },
	{ "request.flags", FIELD_NAMES8, 2, 0, offsetof(struct toy_record, flags), &toy_flag_names, NULL, "toy", "flags" },
	{ "request.data", FIELD_STRING, 3, 0, offsetof(struct toy_record, data), NULL, NULL, "toy", "data" },
	{ "points", FIELD_LIST, FIELD_ALWAYS, 0, offsetof(struct toy_record, points), NULL, toy_point_shapes, "toy", "points" },
};
static const struct record_table toy_table = { "toy", toy_fields, TEST_COUNT(toy_fields), sizeof(struct toy_record) };

static const struct rule_app_event toy_events[] = { { "bad_length", "length" }, { "flooded", "flood" } };

static int
toy_setup(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	if (strncmp(value, "unit ", 5) != 0) {
		snprintf(err, err_len, "only \"unit N\" is understood");
		return -1;
	}
	out->words[0] = (uint64_t)atoi(value + 5);
	return 0;
}

static bool
toy_test(const struct rule_app_test *test, const void *record)
{
	return ((const struct toy_record *)record)->unit == test->words[0];
}

static const struct rule_app_keyword toy_keywords[] = {
	{ "toy", RULE_EITHER, toy_setup, toy_test, "unit N" },
	{ "toy_indexed", RULE_TO_SERVER, toy_setup, toy_test, "unit N" },
	{ "toy_masked", RULE_EITHER, toy_setup, toy_test, "unit N, two bits of which are told" },
};

static bool
toy_index(const struct rule_app_keyword *keyword, const struct rule_app_test *test, struct rule_app_index *out)
{
	*out = (struct rule_app_index){ "unit", test->words[0], keyword == &toy_keywords[1] ? UINT64_MAX : 6 };
	out->value &= out->mask;
	return keyword != &toy_keywords[0];
}

static const struct rule_app_buffer toy_buffers[] = { { "toy_data", "request.data" } };
static const struct rule_app_alias toy_aliases[] = { { "toytwo", "unit", "2" }, { "toythree", "unit", "3" } };
static const struct rule_app toy_app = { .name = "toy", .record = &toy_table, .events = toy_events,
	.event_count = TEST_COUNT(toy_events), .keywords = toy_keywords, .keyword_count = TEST_COUNT(toy_keywords),
	.buffers = toy_buffers, .aliases = toy_aliases, .alias_count = TEST_COUNT(toy_aliases), .buffer_count = TEST_COUNT(toy_buffers), .keyword_index = toy_index };
static const struct rule_app *const toy_apps[] = { &toy_app };

static int
toy_decode_event(const char *name)
{
	return strcmp(name, "ipv4.trunc_pkt") == 0 ? 3 : -1;
}

static int
toy_stream_event(const char *name)
{
	return strcmp(name, "pkt_invalid_timestamp") == 0 ? 5 : -1;
}

static const uint8_t toy_transports[] = { RULE_OVER_TCP };
static const struct rule_world toy_world = { toy_apps, 1, toy_decode_event, toy_stream_event, false, toy_transports };

static inline struct rule_config
toy_config(void)
{
	return (struct rule_config){ .alerts_max = 15, .verify_steps_max = 3000, .pcre_match_limit = 3500, .thresholds_max = 256,
		.host_bits_max = 256, .cache_dir = "" };
}

static inline struct ruleset *
toy_ruleset(const char *text)
{
	struct rule_config config = toy_config();
	struct config_error err;
	struct ruleset *set = NULL;

	if (ruleset_create_text(&set, "toy.rules", text, &config, &toy_world, &err) != 0)
		fail_msg("%s", err.text);
	return set;
}

/** A packet from 10.0.0.1:1000 to 10.0.0.2:502. */
static inline struct packet
toy_packet(uint8_t ip_proto, const void *payload, uint32_t len)
{
	struct packet packet = { .data = payload, .len = len, .wire_len = len, .payload = payload, .payload_len = len, .sport = 1000,
		.dport = 502, .ip_version = 4, .ip_proto = ip_proto, .flags = PACKET_IP | PACKET_L4 | PACKET_TO_SERVER,
		.ts_ns = 1000000000 };

	packet.src.bytes[0] = packet.dst.bytes[0] = 10;
	packet.src.bytes[3] = 1;
	packet.dst.bytes[3] = 2;
	return packet;
}

static inline struct flow
toy_flow(uint8_t ip_proto)
{
	struct flow flow = { .state = FLOW_ESTABLISHED, .packets = { 5, 5 }, .flow_id = 7 };

	flow.key.ip_version = 4;
	flow.key.ip_proto = ip_proto;
	flow.key.addr[0].bytes[0] = flow.key.addr[1].bytes[0] = 10;
	flow.key.addr[0].bytes[3] = 1;
	flow.key.addr[1].bytes[3] = 2;
	flow.key.port[0] = 1000;
	flow.key.port[1] = 502;
	return flow;
}

#endif
