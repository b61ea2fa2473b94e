/*
 * Traffic against rules: every keyword's example, every buffer of every protocol, and the shipped rules. The first byte picks
 * a protocol, the rest is a script of packets, pieces of a stream and protocol data. Whatever the bytes: hits are bounded and
 * in order, each names a rule of the set, nothing of the flow stays in the slab.
 */
#include <jansson.h>

#include "lib/flow/flow.h"
#include "lib/packet/decode_event.h"
#include "lib/rule/rule_parser.h"
#include "lib/stream/stream_event.h"
#include "test/fuzz/fuzz_input.h"
#include "test/fuzz/proto_session.h"

enum { TEXT_MAX = 256 * 1024, FILE_MAX = 128 * 1024, KIND_PACKET = 0, KIND_STREAM = 1 };

static const struct rule_app *apps[PROTO_MAX];
static struct rule_config rule_config;

/* What one input works on; the rules live as long as the program. */
static struct {
	struct ruleset *ruleset;
	struct rule_matcher *matcher;
	struct slab *slab;
	struct flow flow;
	struct packet packet;
	struct rule_hits hits;
	struct buf members, json; /* of a metadata, and the object of them */
	struct fuzz_flow *sessions[PROTO_MAX];
	unsigned int proto_count, proto_idx;
	uint32_t again_len;
} world;

static void
add_rule(struct buf *text, unsigned int *sid, const char *proto, const char *options)
{
	const char *end = strrchr(options, ')');

	if (strstr(options, "any any") != NULL && end != NULL)
		buf_printf(text, "%.*s sid:%u;)\n", (int)(end - options), options, ++*sid);
	else
		buf_printf(text, "alert %s any any -> any any (%s sid:%u;)\n", proto, options, ++*sid);
}

static void
add_file(struct buf *text, const char *name)
{
	static char content[FILE_MAX];
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/rules/%s.rules", FUZZ_SOURCE_ROOT, name);
	file = fopen(path, "r");
	if (file == NULL)
		return; /* a protocol without rules of its own */
	buf_put(text, content, fread(content, 1, sizeof(content), file));
	fclose(file);
}

/* Most examples stand in two rules: on streams and on datagrams. */
static void
write_rules(struct buf *text)
{
	unsigned int sid = 0;
	char options[256];

	for (const struct rule_keyword *keyword = rule_keywords; keyword->name != NULL; keyword++)
		if (keyword->example != NULL && strcmp(keyword->name, "sid") != 0 && strstr(keyword->example, "sid:") == NULL) {
			add_rule(text, &sid, "tcp", keyword->example);
			add_rule(text, &sid, "udp", keyword->example);
		}
	for (unsigned int i = 0; i < world.proto_count; i++) {
		for (unsigned int b = 0; b < apps[i]->buffer_count; b++) {
			snprintf(options, sizeof(options), "%s; content:\"a\"; content:\"e\"; distance:0; within:9;",
				apps[i]->buffers[b].name);
			add_rule(text, &sid, apps[i]->name, options);
			snprintf(options, sizeof(options), "%s; absent: or_else; pcre:\"/[0-9]+x?$/i\";", apps[i]->buffers[b].name);
			add_rule(text, &sid, apps[i]->name, options);
		}
		if (apps[i]->record != NULL) {
			add_rule(text, &sid, apps[i]->name, "flow:to_server; xbits:set,asked,track tx;");
			add_rule(text, &sid, apps[i]->name, "flow:to_client; xbits:isset,asked,track tx;");
		}
		add_file(text, apps[i]->name);
	}
}

static void
deliver(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	struct rule_message message = { .app_idx = world.proto_idx, .record = ctx->record->len == 0 ? NULL : ctx->record->base,
		.events = ctx->events, .undecided = ctx->undecided, .known = ctx->known, .pdu = ctx->pdu, .pdu_len = ctx->pdu_len, .to_server = ctx->to_server,
		.tx_id = tx_id };

	world.flow.app_proto = (uint16_t)(world.proto_idx + 1);
	if ((flags & PROTO_MATCH) == 0)
		return;
	rule_match_message(world.matcher, &world.packet, &world.flow, &message, &world.hits);
}

static void
create_world(void)
{
	struct rule_world rules_of = { .apps = apps, .decode_event_find = decode_event_find, .stream_event_find = stream_event_find };
	static struct config *config; /* rule_config lends from it */
	struct config_error err;
	struct buf text;

	FUZZ_MUST(config_load(&config, NULL, &err) == 0);
	FUZZ_MUST(config_apply(config, &rule_knob_table, &rule_config, &err) == 0);
	rule_config.thresholds_max = rule_config.host_bits_max = 64;
	while (proto_table[world.proto_count] != NULL) {
		apps[world.proto_count] = &proto_table[world.proto_count]->app;
		world.proto_count++;
	}
	rules_of.app_count = world.proto_count;
	FUZZ_MUST(buf_create(&text, TEXT_MAX * 4) == 0 && buf_create(&world.members, TEXT_MAX) == 0 &&
		buf_create(&world.json, TEXT_MAX + 2) == 0);
	write_rules(&text);
	buf_putc(&text, '\0');
	FUZZ_MUST(!text.full);
	FUZZ_MUST(ruleset_create_text(&world.ruleset, "fuzz.rules", text.data, &rule_config, &rules_of, &err) == 0);
	FUZZ_MUST(ruleset_count(world.ruleset) > 500);
	buf_destroy(&text);
	FUZZ_MUST(slab_create(&world.slab, FUZZ_SLAB_LEN) == 0);
	FUZZ_MUST(rule_matcher_create(&world.matcher, world.ruleset, &rule_config, world.slab) == 0);
}

static void
check_hits(void)
{
	FUZZ_MUST(world.hits.count <= RULE_HITS_MAX);
	for (unsigned int i = 0; i < world.hits.count; i++) {
		const struct rule_hit *hit = &world.hits.hit[i];

		FUZZ_MUST(hit->rule_idx < ruleset_count(world.ruleset));
		FUZZ_MUST(ruleset_meta(world.ruleset, hit->rule_idx) == hit->meta && hit->sid == hit->meta->sid);
		FUZZ_MUST(hit->action != RULE_PASS);
	}
	if (world.hits.count == 0)
		return;
	rule_metadata_json(world.matcher, &world.flow, true, &world.members);
	buf_reset(&world.json);
	buf_putc(&world.json, '{');
	buf_put(&world.json, world.members.data, world.members.len);
	buf_putc(&world.json, '}');
	json_t *root = json_loadb(world.json.data, world.json.len, JSON_ALLOW_NUL, NULL);

	FUZZ_MUST(root != NULL);
	json_decref(root);
	rule_hits_reset(&world.hits);
}

static void
set_packet(uint8_t control, const uint8_t *data, uint32_t len)
{
	static const uint8_t protos[] = { IP_PROTO_UDP, IP_PROTO_TCP, IP_PROTO_ICMP, IP_PROTO_SCTP };
	bool to_server = control & 1;

	world.packet = (struct packet){ .data = data, .len = len, .wire_len = len, .payload = data, .payload_len = len,
		.sport = to_server ? 1000 : 502, .dport = to_server ? 502 : 1000, .ip_version = 4, .ip_proto = protos[control >> 4 & 3],
		.flags = PACKET_IP | PACKET_L4 | (to_server ? PACKET_TO_SERVER : 0) | (control & 8 ? PACKET_ESTABLISHED : 0),
		.ts_ns = world.packet.ts_ns + (uint64_t)control * 10000000, .frame_number = world.packet.frame_number + 1 };
	world.packet.src.bytes[0] = world.packet.dst.bytes[0] = 10;
	world.packet.src.bytes[3] = to_server ? 1 : 2;
	world.packet.dst.bytes[3] = to_server ? 2 : 1;
	world.flow.packets[to_server]++;
	if (control & 0x40)
		world.packet.stream_events[0] = world.packet.decode_events[0] = UINT64_C(1) << (len & 63);
}

/* A chunk shows again some of the bytes before it: as many as its control says, and they count as seen. */
static void
match_stream(uint8_t control, const uint8_t *data, uint32_t len)
{
	struct rule_chunk chunk = { .data = data, .len = len, .seen_len = len * (uint32_t)(control >> 4 & 3) / 4,
		.offset = control & 0x40 ? 0 : 5000, .to_server = control & 1, .again_len = world.again_len };

	chunk.unit_off = control & 0x80 ? chunk.seen_len : 0;
	world.again_len = rule_match_stream(world.matcher, control & 4 ? &world.packet : NULL, &world.flow, &chunk, &world.hits);
}

static void
one_step(struct fuzz_flow *session, struct cursor *in)
{
	uint8_t kind = cursor_u8(in), control = cursor_u8(in);
	struct cursor piece = fuzz_take(in, cursor_be16(in));
	uint32_t len = (uint32_t)cursor_left(&piece);
	uint8_t *data = fuzz_copy(piece);

	set_packet(control, data, len);
	if (kind % 3 == KIND_PACKET) {
		rule_match_packet(world.matcher, &world.packet, control & 2 ? NULL : &world.flow, &world.hits);
		(void)rule_packet_tagged(world.matcher, &world.packet, &world.flow);
	} else if (kind % 3 == KIND_STREAM) {
		match_stream(control, data, len);
	} else if (len > 0) {
		fuzz_flow_data(session, control & 1, data, len, control & 2 ? control : 0);
	}
	check_hits();
	free(data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor in = cursor_of(data, len);
	struct fuzz_flow *session;

	if (world.ruleset == NULL)
		create_world();
	world.proto_idx = cursor_u8(&in) % world.proto_count;
	if (world.sessions[world.proto_idx] == NULL)
		world.sessions[world.proto_idx] = fuzz_flow_create(proto_table[world.proto_idx], deliver, NULL);
	session = world.sessions[world.proto_idx];
	world.flow = (struct flow){ .flow_id = 7, .state = FLOW_ESTABLISHED };
	world.flow.key.ip_version = 4;
	world.flow.key.ip_proto = IP_PROTO_TCP;
	world.packet.ts_ns = 1000000000;
	world.again_len = 0;
	rule_hits_reset(&world.hits);
	fuzz_flow_begin(session, (session->proto->transports & PROTO_TCP) != 0, true);
	while (cursor_left(&in) > 0)
		one_step(session, &in);
	set_packet(1, data, 0);
	fuzz_flow_end(session);
	check_hits();
	rule_flow_end(world.matcher, &world.flow);
	FUZZ_MUST(slab_used(world.slab) == 0);
	return 0;
}
