/* A rule file's text, and behind a NUL a datagram: it compiles, or each refused rule says why; what compiled is matched. */
#include "lib/flow/flow.h"
#include "lib/packet/decode_event.h"
#include "lib/rule/rule.h"
#include "lib/stream/stream_event.h"
#include "proto/session.h"
#include "test/fuzz/fuzz_input.h"

static const struct rule_app *apps[PROTO_MAX];
static struct rule_config rule_config;

static struct rule_world
create_world(void)
{
	struct rule_world world = { .apps = apps, .decode_event_find = decode_event_find, .stream_event_find = stream_event_find };
	static struct config *config; /* rule_config lends from it */
	struct config_error err;

	if (config == NULL) {
		FUZZ_MUST(config_load(&config, NULL, &err) == 0);
		FUZZ_MUST(config_apply(config, &rule_knob_table, &rule_config, &err) == 0);
		rule_config.thresholds_max = rule_config.host_bits_max = 64;
	}
	for (unsigned int i = 0; proto_table[i] != NULL; i++)
		apps[world.app_count++] = &proto_table[i]->app;
	return world;
}

static void
check_ruleset(const struct ruleset *ruleset)
{
	const struct ruleset_stats *stats = ruleset_stats_get(ruleset);
	unsigned int error_count;
	const struct rule_error *errors = ruleset_errors(ruleset, &error_count);

	FUZZ_MUST(stats->rules_loaded == ruleset_count(ruleset));
	for (unsigned int i = 0; i < error_count; i++)
		FUZZ_MUST(errors[i].reason[0] != '\0' && errors[i].line > 0);
	for (unsigned int i = 0; i < ruleset_count(ruleset); i++)
		FUZZ_MUST(ruleset_meta(ruleset, i)->msg != NULL);
}

static void
match(struct ruleset *ruleset, const uint8_t *data, size_t len)
{
	struct packet packet = { .data = data, .len = (uint32_t)len, .wire_len = (uint32_t)len, .payload = data,
		.payload_len = (uint32_t)len, .sport = 1000, .dport = 502, .ip_version = 4, .ip_proto = IP_PROTO_UDP,
		.flags = PACKET_IP | PACKET_L4 | PACKET_TO_SERVER, .ts_ns = 1000000000, .frame_number = 1 };
	struct flow flow = { .flow_id = 7, .packets = { 5, 5 } };
	struct rule_chunk chunk = { .data = data, .len = (uint32_t)len, .to_server = true };
	struct rule_matcher *matcher;
	struct rule_hits hits;

	if (rule_matcher_create(&matcher, ruleset, &rule_config, NULL) != 0)
		return;
	for (unsigned int round = 0; round < 2; round++) {
		rule_hits_reset(&hits);
		rule_match_packet(matcher, &packet, &flow, &hits);
		packet.frame_number++;
		flow.key.ip_version = 4;
		flow.key.ip_proto = IP_PROTO_TCP;
		rule_match_stream(matcher, NULL, &flow, &chunk, &hits);
	}
	FUZZ_MUST(hits.count <= RULE_HITS_MAX);
	rule_flow_end(matcher, &flow);
	rule_matcher_destroy(matcher);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rule_world world = create_world();
	struct cursor in = cursor_of(data, len);
	struct cursor bytes = fuzz_take(&in, len);
	char *text = strndup((const char *)bytes.pos, cursor_left(&bytes));
	size_t text_len = strlen(text) < cursor_left(&bytes) ? strlen(text) + 1 : cursor_left(&bytes);
	struct ruleset *ruleset;
	struct config_error err;

	if (ruleset_create_text(&ruleset, "fuzz.rules", text, &rule_config, &world, &err) == 0) {
		check_ruleset(ruleset);
		cursor_skip(&bytes, text_len);
		match(ruleset, bytes.pos, cursor_left(&bytes));
		ruleset_destroy(ruleset);
	}
	free(text);
	return 0;
}
