/* Rules that can never match: a content that no transform leaves, more bytes asked for than there may be, conditions that exclude
 * each other. What is refused elsewhere is refused here; the rest loads and is told of. */
#include <ctype.h>
#include <errno.h>

#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_tests.h"

static const uint16_t digest_lens[] = { 16, 20, 32 }; /* as rule_digests[] */

static bool
content_has(const struct rule_node *node, int (*is)(int))
{
	for (unsigned int i = 0; i < node->content.len; i++)
		if (node->content.bytes[i] < 0x80 && is(node->content.bytes[i]) != 0)
			return true;
	return false;
}

static bool
content_has_space_run(const struct rule_node *node)
{
	for (unsigned int i = 1; i < node->content.len; i++)
		if (isspace(node->content.bytes[i - 1]) != 0 && isspace(node->content.bytes[i]) != 0)
			return true;
	return false;
}

/* What the last transform of a buffer never leaves in it. @return what the content has of that, NULL: nothing */
static const char *
content_excluded(const struct rule_transform *last, const struct rule_node *node)
{
	bool nocase = (node->flags & NODE_NOCASE) != 0;

	switch (last->kind) {
	case TRANSFORM_LOWERCASE:
		return !nocase && content_has(node, isupper) ? "capital letters" : NULL;
	case TRANSFORM_UPPERCASE:
		return !nocase && content_has(node, islower) ? "small letters" : NULL;
	case TRANSFORM_STRIP_WHITESPACE:
		return content_has(node, isspace) ? "whitespace" : NULL;
	case TRANSFORM_COMPRESS_WHITESPACE:
		return content_has_space_run(node) ? "whitespace in a row" : NULL;
	case TRANSFORM_DIGEST:
		return node->content.len > digest_lens[last->digest] ? "more bytes than a digest" : NULL;
	default:
		return NULL;
	}
}

/* The bytes that a buffer has at least where its contents are found. */
static int64_t
contents_len_min(const struct rule_draft_buffer *draft)
{
	int64_t end = 0, len = 0;

	for (unsigned int i = 0; i < draft->buffer.node_count; i++) {
		const struct rule_node *node = &draft->nodes[i];
		bool relative = (node->flags & NODE_RELATIVE) != 0;

		if (node->kind == NODE_CONTENT && (node->flags & NODE_NEGATED) == 0) {
			/* a place that only the traffic tells may be any */
			int64_t start = node->content.offset.var >= 0 ? 0 : node->content.offset.number + (relative ? end : 0);

			end = (start > 0 ? start : 0) + node->content.len;
			len = end > len ? end : len;
		} else if (node->kind == NODE_PCRE || node->kind == NODE_BYTE_JUMP || node->kind == NODE_BYTE_EXTRACT || node->kind == NODE_BYTE_MATH) {
			end = 0;
		}
	}
	return len;
}

/* Least and largest number that a list of alternatives takes. */
struct span {
	int64_t low, high;
};

static struct span
span_of(const struct rule_numbers *numbers)
{
	static const struct span all = { INT64_MIN, INT64_MAX };
	struct span span = { INT64_MAX, INT64_MIN };

	for (unsigned int i = 0; i < numbers->count; i++) {
		const struct rule_number *number = &numbers->items[i];
		int64_t low = number->op == NUMBER_BELOW ? INT64_MIN : number->op == NUMBER_ABOVE ? number->a + 1 : number->a;
		int64_t high = number->op == NUMBER_BELOW ? number->a - 1 : number->op == NUMBER_ABOVE ? INT64_MAX : number->a;

		if (number->negated || number->op > NUMBER_RANGE)
			return all;
		high = number->op == NUMBER_RANGE ? number->b : high;
		span.low = low < span.low ? low : span.low;
		span.high = high > span.high ? high : span.high;
	}
	return numbers->count == 0 ? all : span;
}

static int64_t
numbers_max(const struct rule_numbers *numbers)
{
	return span_of(numbers).high;
}

/* The most bytes that a buffer may have, by bsize and dsize. */
static int64_t
buffer_len_max(const struct rule_parser *parser, const struct rule_draft_buffer *draft)
{
	int64_t max = INT64_MAX;

	for (unsigned int i = 0; i < draft->buffer.node_count; i++)
		if (draft->nodes[i].kind == NODE_BSIZE && numbers_max(&draft->nodes[i].size) < max)
			max = numbers_max(&draft->nodes[i].size);
	for (unsigned int i = 0; draft->buffer.kind == BUFFER_PAYLOAD && i < parser->test_count; i++)
		if (parser->tests[i].fn == rule_test_dsize && !parser->tests[i].negated && numbers_max(&parser->tests[i].numbers) < max)
			max = numbers_max(&parser->tests[i].numbers);
	return max;
}

static int
check_len(struct rule_parser *parser, const struct rule_draft_buffer *draft)
{
	int64_t len = contents_len_min(draft), max = buffer_len_max(parser, draft);

	return len <= max ? 0 : rule_refuse(parser, "it can never match: its contents need %lld bytes, and there are at most %lld", (long long)len,
		(long long)max);
}

/* ---- what loads all the same ---- */

static const char *const header_names[] = { [BUFFER_ETHER_HDR] = "ether.hdr", [BUFFER_IPV4_HDR] = "ipv4.hdr", [BUFFER_TCP_HDR] = "tcp.hdr",
	[BUFFER_UDP_HDR] = "udp.hdr", [BUFFER_IP_SRC] = "ip.src", [BUFFER_IP_DST] = "ip.dst" };
static const uint8_t header_len_max[] = { [BUFFER_ETHER_HDR] = 14, [BUFFER_IPV4_HDR] = 60, [BUFFER_TCP_HDR] = 60, [BUFFER_UDP_HDR] = 8,
	[BUFFER_IP_SRC] = 16, [BUFFER_IP_DST] = 16 };

/* Headers are no longer than their standards say. */
static void
note_headers(struct rule_parser *parser)
{
	for (unsigned int i = 0; i < parser->buffer_count; i++) {
		const struct rule_draft_buffer *draft = &parser->buffers[i];
		unsigned int kind = draft->buffer.kind;
		int64_t max = kind < sizeof(header_len_max) ? header_len_max[kind] : 0;

		if (max > 0 && draft->transform_count == 0 && contents_len_min(draft) > max)
			rule_never(parser, "its contents need %lld bytes, and %s has at most %lld", (long long)contents_len_min(draft),
				header_names[kind], (long long)max);
	}
}

/* What a node at a fixed place needs of the bytes: at least so many; INT64_MIN where it says nothing. */
static int64_t
place_len_min(const struct rule_node *node)
{
	bool fixed = (node->flags & NODE_RELATIVE) == 0 && node->byte.offset.var < 0;

	if (node->kind == NODE_ISDATAAT)
		return fixed && (node->flags & NODE_NEGATED) == 0 ? node->byte.offset.number + 1 : INT64_MIN;
	if (node->kind < NODE_BYTE_TEST || node->kind > NODE_BYTE_MATH || !fixed || node->byte.count.var >= 0)
		return INT64_MIN;
	return node->byte.offset.number + node->byte.count.number;
}

/* Places behind the end that dsize, bsize or a negated isdataat sets. */
static void
note_places(struct rule_parser *parser)
{
	for (unsigned int i = 0; i < parser->buffer_count; i++) {
		const struct rule_draft_buffer *draft = &parser->buffers[i];
		int64_t len = contents_len_min(draft), max = buffer_len_max(parser, draft);

		for (unsigned int n = 0; n < draft->buffer.node_count; n++) {
			const struct rule_node *node = &draft->nodes[n];
			bool end = node->kind == NODE_ISDATAAT && (node->flags & NODE_NEGATED) != 0 && (node->flags & NODE_RELATIVE) == 0
				&& node->byte.offset.var < 0;

			len = place_len_min(node) > len ? place_len_min(node) : len;
			max = end && node->byte.offset.number < max ? node->byte.offset.number : max;
		}
		if (len > max && draft->buffer.absent == ABSENT_NO)
			rule_never(parser, "%lld bytes are needed, and there are at most %lld", (long long)len, (long long)max);
	}
}

/* One number, of which both tests speak. */
static bool
asks_the_same(const struct rule_test *a, const struct rule_test *b)
{
	static const rule_test_fn fns[] = { rule_test_dsize, rule_test_ttl, rule_test_itype, rule_test_icode, rule_test_icmp_id, rule_test_icmp_seq,
		rule_test_ip_proto, rule_test_seq, rule_test_ack, rule_test_window, rule_test_tcp_mss, rule_test_tcp_wscale, rule_test_vlan_layers,
		rule_test_id, rule_test_tos, rule_test_fragoffset, rule_test_icmpv6_mtu, rule_test_l3_proto, rule_test_igmp_type,
		rule_test_sctp_vtag, rule_test_sctp_chunk_cnt, rule_test_flow_age, rule_test_flow_pkts_toserver, rule_test_flow_pkts_toclient,
		rule_test_flow_bytes_toserver, rule_test_flow_bytes_toclient };
	bool one = false;

	if (a->fn != b->fn || a->negated || b->negated)
		return false;
	if (a->fn == rule_test_field_number)
		return a->path_count == 1 && b->path_count == 1 && a->paths[0].list_count == 0 && b->paths[0].list_count == 0
			&& a->paths[0].leaf == b->paths[0].leaf;
	for (unsigned int i = 0; i < sizeof(fns) / sizeof(fns[0]); i++)
		one = one || a->fn == fns[i];
	return one;
}

static void
note_numbers(struct rule_parser *parser)
{
	for (unsigned int i = 0; i < parser->test_count; i++)
		for (unsigned int j = 0; j < i; j++) {
			if (!asks_the_same(&parser->tests[i], &parser->tests[j]))
				continue;
			struct span a = span_of(&parser->tests[i].numbers), b = span_of(&parser->tests[j].numbers);

			if (a.low > b.high || b.low > a.high)
				rule_never(parser, "two of its conditions on one number exclude each other");
		}
}

static bool
state_asks_one(const struct rule_state *state, uint8_t op)
{
	return state->op == op && state->id_count == 1 && state->kind <= STATE_PAIR;
}

static void
note_bits(struct rule_parser *parser)
{
	for (unsigned int i = 0; i < parser->state_count; i++)
		for (unsigned int j = 0; j < parser->state_count; j++) {
			const struct rule_state *set = &parser->states[i], *clear = &parser->states[j];

			if (state_asks_one(set, STATE_ISSET) && state_asks_one(clear, STATE_ISNOTSET) && set->kind == clear->kind
				&& set->track == clear->track && set->ids[0] == clear->ids[0])
				rule_never(parser, "it asks for a bit to be set and not to be set");
		}
}

/* Whether only fragments meet the condition: of the whole datagram the bit and the offset are 0. */
static bool
asks_for_fragments(const struct rule_test *test)
{
	if (test->fn == rule_test_fragbits)
		return (test->bits[0] & 1) != 0 && (test->extra == '=' || test->extra == '+');
	return test->fn == rule_test_fragoffset && !test->negated && span_of(&test->numbers).low > 0;
}

static void
note_fragments(struct rule_parser *parser)
{
	const struct rule *rule = &parser->draft;
	bool fragments = false, more = parser->transport || !rule->src_ports->any || !rule->dst_ports->any;

	for (unsigned int i = 0; i < parser->test_count; i++) {
		const struct rule_test *test = &parser->tests[i];

		fragments = fragments || asks_for_fragments(test);
		more = more || (test->fn == rule_test_dsize && !test->negated && span_of(&test->numbers).low > 0);
	}
	for (unsigned int i = 0; i < parser->buffer_count; i++)
		more = more || (parser->buffers[i].buffer.kind == BUFFER_PAYLOAD && contents_len_min(&parser->buffers[i]) > 0);
	if (fragments && more)
		rule_never(parser, "fragments have neither ports, a transport's header nor payload of their own: those are of the whole datagram");
}

/* Of protocols whose answers come with their requests: what only an answer has is in no message to the server. */
static int
check_direction(struct rule_parser *parser)
{
	const struct rule *rule = &parser->draft;
	bool answers = rule->app != RULE_APP_NONE && parser->set->world.apps[rule->app]->buffer_of != NULL;

	for (unsigned int i = 0; i < parser->buffer_count; i++)
		answers = answers && parser->buffers[i].buffer.absent == ABSENT_NO;
	if (!answers || (rule->flow & RULE_FLOW_TO_SERVER) == 0 || (parser->directions & 1 << RULE_TO_CLIENT) == 0)
		return 0;
	return rule_refuse(parser, "it can never match: a buffer of it is of messages to the client");
}

int
rule_check_possible(struct rule_parser *parser)
{
	const struct rule *rule = &parser->draft;
	bool of_streams = (rule->flow & RULE_FLOW_ONLY_STREAM) != 0 || (rule->proto & RULE_PROTO_STREAM_ONLY) != 0;

	if (of_streams && ((rule->flags & RULE_ON_PACKET) != 0 || (rule->proto & RULE_PROTO_PKT_ONLY) != 0))
		return rule_refuse(parser, "it can never match: it asks for streams alone, and for what packets alone have");
	note_headers(parser);
	note_places(parser);
	note_numbers(parser);
	note_bits(parser);
	note_fragments(parser);
	rule_kinds_finish(parser);
	if (check_direction(parser) != 0)
		return -EINVAL;
	for (unsigned int i = 0; i < parser->buffer_count; i++) {
		const struct rule_draft_buffer *draft = &parser->buffers[i];
		const struct rule_transform *last = draft->transform_count == 0 ? NULL : &draft->transforms[draft->transform_count - 1];

		for (unsigned int n = 0; last != NULL && n < draft->buffer.node_count; n++) {
			const struct rule_node *node = &draft->nodes[n];
			const char *has = node->kind != NODE_CONTENT || (node->flags & NODE_NEGATED) != 0 ? NULL : content_excluded(last, node);

			if (has == NULL)
				continue;
			parser->at = draft->at;
			parser->keyword = draft->keyword;
			return rule_refuse(parser, "it can never match: a content has %s, of which the transform leaves none", has);
		}
		if (check_len(parser, draft) != 0)
			return -EINVAL;
	}
	return 0;
}
