/*
 * Hot: which rules hold for a packet, for stream data, for a record. Groups that could match are found by
 * port; each names candidates (rule_candidates.c), which are collected as bits, so that they are verified
 * once and in order of precedence, whatever found them.
 */
#include <string.h>
#include <time.h>

#include "lib/flow/flow.h"
#include "lib/rule/rule_mute.h"
#include "lib/rule/rule_records.h"
#include "lib/rule/rule_transform.h"

/* ---- candidates ---- */

/* The rules that wait for one of the events a message came with. */
static void
event_candidates(struct rule_view *view, uint64_t events, const struct rule_event_rules *by_event)
{
	for (; events != 0; events &= events - 1) {
		const struct rule_event_rules *waiting = &by_event[__builtin_ctzll(events)];

		for (uint32_t i = 0; i < waiting->count; i++)
			if (!rule_is_muted(view, waiting->rules[i].mute_bit))
				rule_candidate_add(view->matcher, waiting->rules[i].rule_idx);
	}
}

/* ---- hits ---- */

/* The alert, if it is not one too many. */
static void
rule_tells(struct rule_view *view, const struct rule *rule, uint32_t rule_idx, uint16_t captured_from, struct rule_hits *hits)
{
	struct rule_matcher *matcher = view->matcher;
	uint8_t action = rule->meta.action == RULE_PASS ? RULE_ALERT : rule->meta.action;

	if (!rule_threshold_allows(view, rule, &action)) {
		rule_count(view, RULE_COUNTER_SUPPRESSED);
		return;
	}
	if (hits->count >= matcher->alerts_max) {
		rule_count(view, RULE_COUNTER_OVERFLOW);
		hits->dropped++;
		return;
	}
	for (unsigned int i = 0; i < RULE_TAGS_OF_RULE && rule->tags[i].where != TAG_NONE; i++)
		rule_tag_begin(view, &rule->tags[i]);
	rule_count(view, RULE_COUNTER_HITS);
	counter_add(&matcher->profiles[rule_idx].alerts, 1);
	hits->hit[hits->count++] = (struct rule_hit){ .rule_idx = rule_idx, .sid = rule->meta.sid, .meta = &rule->meta,
		.action = action, .stream = view->phase == PHASE_STREAM, .captured_from = captured_from,
		.captured_count = (uint16_t)(matcher->captured_count - captured_from) };
}

/* @param hits  NULL: pass rules of a packet are asked again, and were heard. @return false: a pass rule ends the matching */
static bool
rule_fires(struct rule_view *view, const struct rule *rule, uint32_t rule_idx, struct rule_hits *hits)
{
	uint16_t captured_from = view->matcher->captured_count;

	rule_state_actions(view, rule);
	rule_captures_keep(view);
	if (rule->meta.action == RULE_PASS) {
		rule_count(view, RULE_COUNTER_PASSED);
		if ((rule->flags & RULE_PASS_FLOW) != 0)
			rule_flow_pass(view);
		if ((rule->flags & RULE_PASS_ALERT) != 0 && hits != NULL)
			rule_tells(view, rule, rule_idx, captured_from, hits);
		return false;
	}
	hits->quiet = hits->quiet || (rule->flags & RULE_QUIET) != 0;
	if ((rule->flags & RULE_QUIET_FLOW) != 0)
		(void)rule_flow_mark(view, FLOW_BIT_QUIET);
	if ((rule->flags & RULE_NOALERT) == 0 && rule->meta.action != RULE_CONFIG)
		rule_tells(view, rule, rule_idx, captured_from, hits);
	return true;
}

/* The cycle counter, or what is like it. */
static inline uint64_t
ticks_now(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
#endif
}

/* Counts what it costs; the clock is read for one candidate in RULE_PROFILE_TURN. */
static bool
candidate_holds(struct rule_view *view, uint32_t rule_idx)
{
	struct rule_matcher *matcher = view->matcher;
	struct rule_profile *profile = &matcher->profiles[rule_idx];
	bool measured = ++matcher->profile_turn % RULE_PROFILE_TURN == 0;
	uint64_t start = measured ? ticks_now() : 0;
	bool holds = rule_holds(view, matcher->set->rules[rule_idx]);

	rule_count(view, RULE_COUNTER_CANDIDATES);
	counter_add(&profile->checks, 1);
	if (holds)
		counter_add(&profile->matches, 1);
	if (measured) {
		counter_add(&profile->ticks, ticks_now() - start);
		counter_add(&profile->measured, 1);
	}
	return holds;
}

/* Verifies the candidates below limit and forgets all. @return false: a pass rule ended it */
static bool
candidates_verify(struct rule_view *view, struct rule_hits *hits, uint32_t limit)
{
	struct rule_matcher *matcher = view->matcher;
	bool going = true;

	matcher->found = false;
	for (uint32_t s = 0; s < matcher->summary_words; s++) {
		uint64_t words = matcher->summary[s];

		matcher->summary[s] = 0;
		for (; words != 0; words &= words - 1) {
			uint32_t w = s * 64 + (uint32_t)__builtin_ctzll(words);
			uint64_t bits = matcher->bits[w];

			matcher->bits[w] = 0;
			for (; going && bits != 0; bits &= bits - 1) {
				uint32_t idx = w * 64 + (uint32_t)__builtin_ctzll(bits);

				if (idx < limit && candidate_holds(view, idx))
					going = rule_fires(view, matcher->set->rules[idx], idx, hits);
			}
		}
	}
	return going;
}

/* ---- views ---- */

/* Protocols without a row are CLASS_IP, which is 0. */
const uint8_t rule_class_of_ip_proto[256] = {
	[IP_PROTO_TCP] = CLASS_TCP,
	[IP_PROTO_UDP] = CLASS_UDP,
	[IP_PROTO_ICMP] = CLASS_ICMP,
	[IP_PROTO_ICMPV6] = CLASS_ICMPV6,
	[IP_PROTO_SCTP] = CLASS_SCTP,
};

static inline uint8_t
packet_class(const struct packet *packet)
{
	if ((packet->flags & PACKET_IP) == 0)
		return CLASS_OTHER;
	/* a fragment is of its datagram's protocol, and has nothing else of it */
	return (packet->flags & (PACKET_L4 | PACKET_FRAGMENT)) != 0 ? rule_class_of_ip_proto[packet->ip_proto] : CLASS_IP;
}

static void
view_init(struct rule_view *view, struct rule_matcher *matcher, const struct packet *packet, struct flow *flow)
{
	view->matcher = matcher;
	view->packet = packet;
	view->flow = flow;
	view->message = NULL;
	view->muted = NULL;
	view->payload = NULL;
	view->payload_len = 0;
	view->seen_len = 0;
	view->unit_off = 0;
	view->from_start = false;
	view->unsettled = false;
	view->again_len = 0;
	view->first_hit = UINT32_MAX;
	view->protocol_news = NEWS_NOT_ASKED;
	view->steps_max = (uint32_t)matcher->set->verify_steps_max;
	rule_scratch_forget(matcher->scratch_bytes);
	view->captured_count = 0;
	view->steps = 0;
	rule_captures_begin(matcher, packet == NULL ? 0 : packet->frame_number);
}

static void
view_ends_of_packet(struct rule_view *view, const struct packet *packet)
{
	view->ip_version = packet->ip_version;
	view->sport = packet->sport;
	view->dport = packet->dport;
	view->src = packet->src;
	view->dst = packet->dst;
	view->ts_ns = packet->ts_ns;
	view->class = packet_class(packet);
}

/* The ends of data that one direction of a flow sent. */
static void
view_ends_of_flow(struct rule_view *view, const struct flow *flow, bool to_server)
{
	uint16_t client_port = flow_originator_port(flow), server_port = flow_responder_port(flow);

	view->ip_version = flow->key.ip_version;
	view->sport = to_server ? client_port : server_port;
	view->dport = to_server ? server_port : client_port;
	view->src = to_server ? *flow_originator(flow) : *flow_responder(flow);
	view->dst = to_server ? *flow_responder(flow) : *flow_originator(flow);
	view->ts_ns = view->packet != NULL ? view->packet->ts_ns : flow->last_ns;
	view->class = rule_class_of_ip_proto[flow->key.ip_proto];
}

static void
view_ends(struct rule_view *view, bool to_server)
{
	const struct packet *packet = view->packet;

	view->to_server = to_server;
	if (packet != NULL && (view->flow == NULL || ((packet->flags & PACKET_TO_SERVER) != 0) == to_server))
		view_ends_of_packet(view, packet);
	else
		view_ends_of_flow(view, view->flow, to_server);
}

/* ---- routes ---- */

static unsigned int
route_between(const struct rule_addresses *home, uint8_t ip_version, const struct ip_addr *src, const struct ip_addr *dst)
{
	if (ip_version == 0)
		return 0;
	return (rule_addresses_match(home, ip_version, src) ? 0 : ROUTE_FROM_OUTSIDE)
		| (rule_addresses_match(home, ip_version, dst) ? 0 : ROUTE_TO_OUTSIDE);
}

/* The route of what a flow's client sends, or its server: the other way. */
static unsigned int
route_of_flow(const struct ruleset *set, const struct flow *flow, bool to_server)
{
	const struct ip_addr *client = flow_originator(flow), *server = flow_responder(flow);

	return route_between(set->home, flow->key.ip_version, to_server ? client : server, to_server ? server : client);
}

/* Looked up once a flow: HOME_NET is the same for all rule sets of a sensor. */
static unsigned int
route_of(const struct ruleset *set, const struct packet *packet, struct flow *flow, bool to_server)
{
	enum { KNOWN = RULE_ROUTES };

	if (flow == NULL)
		return route_between(set->home, packet->ip_version, &packet->src, &packet->dst);
	if (flow->rule_route == 0)
		flow->rule_route = (KNOWN | route_of_flow(set, flow, true)) & 0xf;
	unsigned int route = flow->rule_route & (KNOWN - 1);

	return to_server ? route : (route >> 1 | route << 1) & (KNOWN - 1);
}

/* The tables that data of one kind meets: that of all rules, and that of those which ask for the flow's protocol. */
struct tables_met {
	const struct rule_table *all, *app; /* NULL: no such rule */
};

static inline struct tables_met
tables_of(const struct ruleset *set, const struct packet *packet, struct flow *flow, unsigned int phase, unsigned int class,
	bool to_server)
{
	unsigned int route = set->home == NULL || class == CLASS_OTHER ? 0 : route_of(set, packet, flow, to_server);
	const struct rule_table *all = &set->tables.of[route][phase][class][to_server], *app = NULL;
	unsigned int proto = flow == NULL ? 0 : flow->app_proto;

	if (proto > 0 && (set->tabled_apps >> (proto - 1) & 1) != 0)
		app = &set->app_tables[proto - 1].of[route][phase][class][to_server];
	return (struct tables_met){ all->empty ? NULL : all, app == NULL || app->empty ? NULL : app };
}

static inline bool
table_reaches(const struct rule_table *table, uint16_t sport, uint16_t dport)
{
	return table != NULL && (table->any != RULE_GROUP_NONE || rule_port_group(table->by_dst, dport) != RULE_GROUP_NONE
		|| rule_port_group(table->by_src, sport) != RULE_GROUP_NONE);
}

/* The groups of rules that these ports meet in some tables: three of each at most. */
struct groups_met {
	uint16_t idx[6 + 1]; /* the last is written and not counted */
	unsigned int count;
};

static inline void
groups_add(struct groups_met *met, uint16_t group_idx)
{
	met->idx[met->count] = group_idx;
	met->count += group_idx != RULE_GROUP_NONE;
}

static inline void
groups_of_table(struct groups_met *met, const struct rule_table *table, uint16_t sport, uint16_t dport)
{
	if (table == NULL)
		return;
	groups_add(met, rule_port_group(table->by_dst, dport));
	groups_add(met, rule_port_group(table->by_src, sport));
	groups_add(met, table->any);
}

static inline void
groups_of(struct groups_met *met, struct tables_met tables, uint16_t sport, uint16_t dport)
{
	met->count = 0;
	groups_of_table(met, tables.all, sport, dport);
	groups_of_table(met, tables.app, sport, dport);
}

static inline void
groups_candidates(struct rule_view *view, const struct groups_met *met)
{
	for (unsigned int i = 0; i < met->count; i++)
		rule_group_candidates(view, met->idx[i]);
}

/* Asks the pass rules, which come first in order, again: rule_match_packet() told of those that alert. */
static bool
pass_rules_hold(struct rule_matcher *matcher, const struct packet *packet, struct flow *flow)
{
	const struct ruleset *set = matcher->set;
	struct groups_met met;
	struct rule_view view;

	bool to_server = (packet->flags & PACKET_TO_SERVER) != 0;
	struct tables_met tables = tables_of(set, packet, flow, PHASE_PACKET, packet_class(packet), to_server);

	if (tables.all == NULL && tables.app == NULL)
		return false;
	view_init(&view, matcher, packet, flow);
	view.phase = PHASE_PACKET;
	view.to_server = to_server;
	view.payload = packet->payload;
	view.payload_len = packet->payload_len;
	groups_of(&met, tables, packet->sport, packet->dport);
	groups_candidates(&view, &met);
	if (tables.all != NULL && tables.all->once != RULE_GROUP_NONE && (flow == NULL || flow->packets[to_server] <= 1))
		rule_group_candidates(&view, tables.all->once);
	if (!matcher->found)
		return false;
	view_ends_of_packet(&view, packet);
	return !candidates_verify(&view, NULL, set->pass_count);
}

/* Whether a pass rule on the packet itself silences what its bytes would say. */
static inline bool
packet_passes(struct rule_matcher *matcher, const struct packet *packet, struct flow *flow)
{
	return matcher->set->pass_count > 0
		&& (rule_flow_passed(flow) || (packet != NULL && pass_rules_hold(matcher, packet, flow)));
}

/* ---- entry points ---- */

void
rule_match_packet(struct rule_matcher *matcher, const struct packet *packet, struct flow *flow, struct rule_hits *hits)
{
	const struct ruleset *set = matcher->set;

	if (!set->packet_rules)
		return;
	bool to_server = (packet->flags & PACKET_TO_SERVER) != 0;
	struct tables_met tables = tables_of(set, packet, flow, PHASE_PACKET, packet_class(packet), to_server);
	bool events = set->event_group != RULE_GROUP_NONE && packet_has_events(packet);
	struct groups_met met;
	struct rule_view view;

	if (tables.all == NULL && tables.app == NULL && !events)
		return;
	bool once = tables.all != NULL && tables.all->once != RULE_GROUP_NONE && (flow == NULL || flow->packets[to_server] <= 1);

	groups_of(&met, tables, packet->sport, packet->dport);
	if ((met.count == 0 && !events && !once) || (set->pass_count > 0 && rule_flow_passed(flow)))
		return;
	view_init(&view, matcher, packet, flow);
	view.phase = PHASE_PACKET;
	view.to_server = to_server;
	view.payload = packet->payload;
	view.payload_len = packet->payload_len;
	groups_candidates(&view, &met);
	if (once)
		rule_group_candidates(&view, tables.all->once);
	if (events)
		rule_group_candidates(&view, set->event_group);
	if (!matcher->found)
		return;
	view_ends_of_packet(&view, packet);
	(void)candidates_verify(&view, hits, UINT32_MAX);
}

uint32_t
rule_match_stream(struct rule_matcher *matcher, const struct packet *packet, struct flow *flow,
	const struct rule_chunk *chunk, struct rule_hits *hits)
{
	struct tables_met tables = tables_of(matcher->set, packet, flow, PHASE_STREAM, CLASS_TCP, chunk->to_server);
	struct groups_met met;
	struct rule_view view;

	if ((tables.all == NULL && tables.app == NULL) || chunk->len <= chunk->seen_len || packet_passes(matcher, packet, flow))
		return 0;
	uint16_t client_port = flow_originator_port(flow), server_port = flow_responder_port(flow);

	groups_of(&met, tables, chunk->to_server ? client_port : server_port, chunk->to_server ? server_port : client_port);
	if (met.count == 0)
		return 0;
	view_init(&view, matcher, packet, flow);
	view.phase = PHASE_STREAM;
	view.to_server = chunk->to_server;
	view.payload = chunk->data;
	view.payload_len = chunk->len;
	view.seen_len = chunk->seen_len;
	view.unit_off = chunk->unit_off < chunk->seen_len ? chunk->unit_off : chunk->seen_len;
	view.again_len = chunk->again_len;
	/* Places also count from the stream's beginning, as long as it is in view: a cut must not hide what stands there. */
	view.from_start = chunk->offset == 0 && view.unit_off > 0;
	groups_candidates(&view, &met);
	if (matcher->found) {
		view_ends(&view, chunk->to_server);
		(void)candidates_verify(&view, hits, UINT32_MAX);
	}
	return view.unsettled && view.first_hit < view.payload_len ? view.payload_len - view.first_hit : 0;
}

/* Whether this is the first message of its direction; only asked where some rule waits for it. */
static bool
message_is_first(const struct rule_view *view)
{
	return view->flow != NULL && rule_flow_mark(view, FLOW_BIT_ONCE_APP + view->to_server);
}

/* The rules that what is new of a file decides. */
static void
file_candidates(struct rule_view *view, uint16_t group_idx)
{
	const struct ruleset *set = view->matcher->set;
	const struct rule_group *group = &set->groups[group_idx];

	for (uint32_t i = 0; group_idx != RULE_GROUP_NONE && i < group->rule_count; i++) {
		bool at_end = (set->rules[group->rules[i]]->flags & RULE_FILE_END) != 0;

		if ((view->message->file_news & (at_end ? FILE_NEWS_END : FILE_NEWS_NAME)) != 0)
			rule_candidate_add(view->matcher, group->rules[i]);
	}
}

void
rule_match_message(struct rule_matcher *matcher, const struct packet *packet, struct flow *flow,
	const struct rule_message *message, struct rule_hits *hits)
{
	const struct rule_app_groups *app = &matcher->set->apps[message->app_idx];
	unsigned int direction = message->to_server;
	uint64_t events = message->events & app->event_mask[direction];
	const struct rule_records *records = message->record == NULL ? NULL : app->records[direction];
	bool once = app->once[direction] != RULE_GROUP_NONE;
	uint16_t files = message->file_news == 0 ? RULE_GROUP_NONE : app->files[direction];
	struct rule_view view;

	if (message->file_only) {
		records = NULL;
		once = false;
		events = 0;
	}
	if (matcher->set->quiet_flows && rule_flow_marked(flow, FLOW_BIT_QUIET))
		hits->quiet = true;
	if ((events == 0 && records == NULL && !once && files == RULE_GROUP_NONE) || (packet == NULL && flow == NULL) || packet_passes(matcher, packet, flow))
		return;
	view_init(&view, matcher, packet, flow);
	view.phase = PHASE_MESSAGE;
	view.to_server = message->to_server;
	view.message = message;
	view.tx = message->tx_id != 0 ? message->tx_id & ~RULE_TX_ALONE : matcher->memory->messages++ | RULE_TX_ALONE;
	view.payload = message->pdu;
	view.payload_len = message->pdu_len;
	view.ts_ns = packet != NULL ? packet->ts_ns : flow->last_ns; /* as view_ends() will say */
	if (records != NULL)
		rule_records_candidates(&view, records);
	event_candidates(&view, events, app->events[direction]);
	if (once && message_is_first(&view))
		rule_group_candidates(&view, app->once[direction]);
	file_candidates(&view, files);
	if (!matcher->found)
		return;
	view_ends(&view, message->to_server);
	(void)candidates_verify(&view, hits, UINT32_MAX);
}

/* What one direction of a flow may meet in some tables. */
static unsigned int
tables_want(const struct rule_tables *tables, const struct ruleset *set, const struct flow *flow, bool to_server)
{
	unsigned int class = rule_class_of_ip_proto[flow->key.ip_proto];
	unsigned int route = set->home == NULL ? 0 : route_of_flow(set, flow, to_server), wants = 0;
	uint16_t client_port = flow_originator_port(flow), server_port = flow_responder_port(flow);
	uint16_t sport = to_server ? client_port : server_port, dport = to_server ? server_port : client_port;

	if (table_reaches(&tables->of[route][PHASE_STREAM][class][to_server], sport, dport))
		wants |= to_server ? RULE_WANTS_TO_SERVER : RULE_WANTS_TO_CLIENT;
	if (table_reaches(&tables->of[route][PHASE_PACKET][class][to_server], sport, dport))
		wants |= RULE_WANTS_PACKETS;
	return wants;
}

unsigned int
rule_wants(const struct rule_matcher *matcher, const struct flow *flow, uint16_t app_proto)
{
	const struct ruleset *set = matcher->set;
	unsigned int wants = tables_want(&set->tables, set, flow, true) | tables_want(&set->tables, set, flow, false);
	uint64_t apps = app_proto == RULE_ANY_PROTO ? set->tabled_apps : 0;

	if (app_proto > 0 && app_proto != RULE_ANY_PROTO)
		apps = set->tabled_apps & UINT64_C(1) << (app_proto - 1);
	for (; apps != 0 && wants != RULE_WANTS_ALL; apps &= apps - 1)
		for (unsigned int to_server = 0; to_server < 2; to_server++)
			wants |= tables_want(&set->app_tables[__builtin_ctzll(apps)], set, flow, to_server == 1);
	return wants;
}

bool
rule_reads_messages(const struct rule_matcher *matcher, unsigned int app_idx, bool to_server)
{
	const struct rule_app_groups *app = &matcher->set->apps[app_idx];

	return app->transactions || app->group[to_server] != RULE_GROUP_NONE || app->once[to_server] != RULE_GROUP_NONE || app->event_mask[to_server] != 0
		|| app->files[to_server] != RULE_GROUP_NONE;
}

unsigned int
rule_file_wants(const struct rule_matcher *matcher, unsigned int app_idx, bool to_server)
{
	const struct rule_app_groups *app = &matcher->set->apps[app_idx];

	return app->files[to_server] == RULE_GROUP_NONE ? 0 : FILE_WANT_RULES | (unsigned int)app->file_hashes[to_server];
}
