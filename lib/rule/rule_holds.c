/* Hot: whether a candidate holds: header, flow, events, conditions, bits, and last the payload. */
#include "lib/flow/flow.h"
#include "lib/rule/rule_internal.h"
#include "lib/rule/rule_tests.h"

bool
rule_addresses_match(const struct rule_addresses *set, uint8_t ip_version, const struct ip_addr *addr)
{
	if (set->any)
		return true;
	if (ip_version == 4) {
		uint32_t value = __builtin_bswap32(addr->words[0]);
		uint32_t low = 0, high = set->count4;

		while (low < high) {
			uint32_t middle = (low + high) / 2;

			if (value < set->v4[middle][0])
				high = middle;
			else if (value > set->v4[middle][1])
				low = middle + 1;
			else
				return true;
		}
		return false;
	}
	if (ip_version != 6)
		return false;
	rule_u128 value = (rule_u128)__builtin_bswap64(addr->halves[0]) << 64 | __builtin_bswap64(addr->halves[1]);

	for (uint32_t i = 0; i < set->count6; i++)
		if (value >= set->v6[i][0] && value <= set->v6[i][1])
			return true;
	return false;
}

static bool
ports_match(const struct rule_ports *ports, uint16_t port)
{
	if (ports->any)
		return true;
	for (unsigned int i = 0; i < ports->count; i++)
		if (port >= ports->ranges[i][0] && port <= ports->ranges[i][1])
			return true;
	return false;
}

static bool
ends_match(const struct rule_view *view, const struct rule *rule, bool swapped)
{
	return ports_match(rule->src_ports, swapped ? view->dport : view->sport)
		&& ports_match(rule->dst_ports, swapped ? view->sport : view->dport)
		&& rule_addresses_match(rule->src, view->ip_version, swapped ? &view->dst : &view->src)
		&& rule_addresses_match(rule->dst, view->ip_version, swapped ? &view->src : &view->dst);
}

/* A transport header that could not be read is of the protocol that IP names, for rules that wait for what is wrong with it. */
static bool
class_matches(const struct rule_view *view, const struct rule *rule)
{
	unsigned int class = view->class;

	if (class == CLASS_IP && view->packet != NULL && (rule->flags & RULE_EVENTS) != 0)
		class = rule_class_of_ip_proto[view->packet->ip_proto];
	return ((rule->classes >> view->class | rule->classes >> class) & 1) != 0;
}

static bool
proto_matches(const struct rule_view *view, const struct rule *rule)
{
	const struct packet *packet = view->packet;

	if (!class_matches(view, rule))
		return false;
	if ((rule->proto & RULE_PROTO_IPV4) != 0 && view->ip_version != 4)
		return false;
	if ((rule->proto & RULE_PROTO_IPV6) != 0 && view->ip_version != 6)
		return false;
	if (packet != NULL && (packet->flags & PACKET_FRAGMENT) != 0 && !(rule->src_ports->any && rule->dst_ports->any))
		return false; /* its ports are in the first one, and known when all are there */
	if ((rule->proto & RULE_PROTO_ARP) != 0 && (packet == NULL || (packet->flags & PACKET_ARP) == 0))
		return false;
	return (rule->proto & RULE_PROTO_ETHER) == 0 || (packet != NULL && (packet->flags & PACKET_ETHERNET) != 0);
}

/* As elsewhere, the packet that ends the handshake is not yet of an established flow; the data it carries is. */
static bool
view_established(const struct rule_view *view)
{
	if (view->phase == PHASE_PACKET && view->class == CLASS_TCP && (view->flow->flags & FLOW_3WHS) != 0
		&& view->flow->packets[FLOW_TO_SERVER] == 2 && view->flow->packets[FLOW_TO_CLIENT] == 1)
		return false;
	if (view->packet != NULL)
		return (view->packet->flags & PACKET_ESTABLISHED) != 0;
	return view->flow->state != FLOW_NEW;
}

static bool
flow_matches(const struct rule_view *view, uint16_t flow)
{
	if (flow == 0)
		return true;
	if (view->flow == NULL && (flow & (RULE_FLOW_TO_SERVER | RULE_FLOW_TO_CLIENT | RULE_FLOW_ESTABLISHED)) != 0)
		return false;
	if ((flow & RULE_FLOW_TO_SERVER) != 0 && !view->to_server)
		return false;
	if ((flow & RULE_FLOW_TO_CLIENT) != 0 && view->to_server)
		return false;
	if ((flow & RULE_FLOW_ESTABLISHED) != 0 && !view_established(view))
		return false;
	if ((flow & RULE_FLOW_NOT_ESTABLISHED) != 0 && view->flow != NULL && view_established(view))
		return false;
	if ((flow & RULE_FLOW_ONLY_STREAM) != 0 && view->phase == PHASE_PACKET)
		return false;
	bool reassembled = view->packet != NULL && (view->packet->flags & PACKET_REASSEMBLED) != 0;

	return !((flow & RULE_FLOW_ONLY_FRAG) != 0 && !reassembled) && !((flow & RULE_FLOW_NO_FRAG) != 0 && reassembled);
}

static bool
events_match(const struct rule_view *view, const struct rule *rule)
{
	if (rule->app_events != 0 && (view->message == NULL || (view->message->events & rule->app_events) == 0))
		return false;
	if ((rule->flags & RULE_EVENTS) == 0)
		return true;
	if (view->packet == NULL)
		return false;
	uint64_t any = (view->packet->stream_events[0] & rule->stream_events[0])
		| (view->packet->stream_events[1] & rule->stream_events[1]);

	for (unsigned int i = 0; i < DECODE_EVENT_WORDS; i++)
		any |= view->packet->decode_events[i] & rule->decode_events[i];
	return any != 0;
}

static bool
app_matches(const struct rule_view *view, const struct rule *rule)
{
	if (rule->app == RULE_APP_NONE)
		return true;
	if (view->message != NULL)
		return view->message->app_idx == rule->app;
	return view->flow != NULL && view->flow->app_proto == rule->app + 1;
}

/* Whether this is the first packet with data, of its direction, since the flow's protocol is known or was given up. */
static bool
protocol_is_new(struct rule_view *view)
{
	const struct flow *flow = view->flow;

	if (view->protocol_news == NEWS_NOT_ASKED) {
		bool known = flow != NULL && view->payload_len > 0
			&& (flow->app_proto != 0 || flow->app_failed);
		uint32_t which = !known ? 0 : (flow->app_proto * 2u + view->to_server) & FLOW_BIT_PROTOCOL_MASK;

		view->protocol_news = known && rule_flow_mark(view, FLOW_BIT_PROTOCOL + which) ? NEWS_YES : NEWS_NO;
	}
	return view->protocol_news == NEWS_YES;
}

/* How many of the paths lead to what the message's record has, and how many of them to what is not of these bits of its root. */
struct told {
	uint64_t known;
	unsigned int any, news;
};

static void
count_told(const struct rule_message *message, const struct record_path *paths, unsigned int count, struct told *told)
{
	uint64_t present = ((const struct record_head *)message->record)->present;

	for (unsigned int i = 0; i < count; i++) {
		uint8_t bit = paths[i].list_count > 0 ? paths[i].lists[0]->bit : paths[i].leaf->bit;

		if (bit >= 64 || (present >> bit & 1) == 0)
			continue;
		told->any++;
		told->news += (told->known >> bit & 1) == 0;
	}
}

/* Whether the rule asks for something that is there, and known was not among it. */
static bool
asks_beyond(const struct rule_message *message, const struct rule *rule, uint64_t known)
{
	struct told told = { .known = known };

	for (unsigned int i = 0; i < rule->buffer_count; i++)
		if (rule->buffers[i].kind == BUFFER_FIELD)
			count_told(message, rule->buffers[i].paths, rule->buffers[i].path_count, &told);
	for (unsigned int i = 0; i < rule->test_count; i++)
		if (rule->tests[i].app != RULE_APP_NONE && rule->tests[i].fn != rule_test_own)
			count_told(message, rule->tests[i].paths, rule->tests[i].path_count, &told);
	return told.news > 0 || told.any == 0;
}

/* Whether the rule asks for something that no message before this one told. */
static bool
asks_for_news(const struct rule_message *message, const struct rule *rule)
{
	return message->known == 0 || message->record == NULL || rule->app_events != 0 || asks_beyond(message, rule, message->known);
}

/* Whether the rule's fields were of a request as it was. */
static bool
held_of(struct rule_view *view, const struct rule *rule, const struct rule_message *message)
{
	struct rule_message request = *message;
	bool held = true;

	request.record = message->before;
	request.to_server = !message->to_server;
	request.known = request.undecided = 0;
	view->message = &request;
	for (unsigned int i = 0; i < rule->test_count && held; i++)
		held = rule->tests[i].fn(view, &rule->tests[i]);
	held = held && rule_verify_buffers(view, rule);
	view->message = message;
	return held;
}

/* Whether the rule held when the request came that the message answers: it was told then. */
static bool
told_of_request(struct rule_view *view, const struct rule *rule)
{
	const struct rule_message *message = view->message;

	if (message->record == NULL || (!ends_match(view, rule, true) && (rule->flags & RULE_BOTH_WAYS) == 0))
		return false;
	return message->before != NULL ? held_of(view, rule, message) : message->asked != 0 && !asks_beyond(message, rule, message->asked);
}

bool
rule_holds(struct rule_view *view, const struct rule *rule)
{
	if (!proto_matches(view, rule) || !flow_matches(view, rule->flow) || !app_matches(view, rule) || !events_match(view, rule))
		return false;
	/* the ends of a transaction are those of its request */
	if (!ends_match(view, rule, (rule->flags & RULE_TRANSACTION) != 0)
		&& ((rule->flags & RULE_BOTH_WAYS) == 0 || !ends_match(view, rule, true)))
		return false;
	if (view->message != NULL && !asks_for_news(view->message, rule))
		return false;
	bool asked = (rule->flags & RULE_ASKED) != 0;

	/* Whether it holds now or not: its other parts may come, also a second time. */
	if ((rule->flags & RULE_SPREAD) != 0 && ((rule->flags & RULE_ANCHORED) == 0 || view->unit_off == 0 || view->from_start))
		view->unsettled = true;
	for (unsigned int i = 0; i < rule->test_count; i++)
		if ((!asked || rule->tests[i].app == RULE_APP_NONE) && !rule->tests[i].fn(view, &rule->tests[i]))
			return false;
	if ((rule->flags & RULE_PROTOCOL_ONLY) != 0 && !protocol_is_new(view))
		return false;
	if ((rule->flags & RULE_FIELDS_ONLY) != 0 && view->message != NULL && told_of_request(view, rule))
		return false;
	return rule_state_conditions(view, rule) && rule_verify_buffers(view, rule);
}
