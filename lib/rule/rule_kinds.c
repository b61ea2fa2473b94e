/*
 * Kinds of packets: what the header names, what each keyword can hold on, what protocols are carried by. A rule of which
 * nothing is left can never fire. It loads, as elsewhere, and is told of.
 */
#include <stdio.h>

#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_tests.h"

/* As text, the widest first; of what several kinds share one name. */
static const struct {
	const char *name;
	uint16_t kinds;
} kind_rows[] = {
	{ "IP", KIND_IP }, { "IPv4", KIND_IPV4 }, { "IPv6", KIND_IPV6 }, { "ICMP", KIND_ICMP | KIND_ICMPV6 },
	{ "TCP", KIND_TCP }, { "UDP", KIND_UDP }, { "ICMPv4", KIND_ICMP }, { "ICMPv6", KIND_ICMPV6 }, { "SCTP", KIND_SCTP },
	{ "IGMP", KIND_IGMP }, { "TCP over IPv4", KIND_TCP & KIND_IPV4 }, { "TCP over IPv6", KIND_TCP & KIND_IPV6 },
	{ "UDP over IPv4", KIND_UDP & KIND_IPV4 }, { "UDP over IPv6", KIND_UDP & KIND_IPV6 },
	{ "ICMPv4", KIND_ICMP & KIND_IPV4 }, { "ICMPv6", KIND_ICMPV6 & KIND_IPV6 }, { "IGMP", KIND_IGMP & KIND_IPV4 },
	{ "Ethernet", KIND_ETHER }, { "ARP", KIND_ARP },
};

void
rule_kinds_put(struct buf *out, uint16_t kinds)
{
	bool more = false;

	for (unsigned int i = 0; kinds != KIND_ANY && i < sizeof(kind_rows) / sizeof(kind_rows[0]); i++) {
		if ((kind_rows[i].kinds & ~kinds) != 0)
			continue;
		buf_printf(out, "%s%s", more ? ", " : "", kind_rows[i].name);
		kinds &= (uint16_t)~kind_rows[i].kinds;
		more = true;
	}
}

void
rule_never(struct rule_parser *parser, const char *format, ...)
{
	va_list args;

	if (parser->never[0] != '\0')
		return; /* the first reason is enough */
	va_start(args, format);
	vsnprintf(parser->never, sizeof(parser->never), format, args);
	va_end(args);
}

/* ---- the header's ---- */

static const uint16_t kinds_of_class[CLASS_COUNT] = {
	[CLASS_IP] = KIND_IGMP | KIND_OTHER_IP, /* also fragments, and what could not be read */
	[CLASS_TCP] = KIND_TCP,
	[CLASS_UDP] = KIND_UDP,
	[CLASS_ICMP] = KIND_ICMP,
	[CLASS_ICMPV6] = KIND_ICMPV6,
	[CLASS_SCTP] = KIND_SCTP,
	[CLASS_OTHER] = KIND_ARP | KIND_ETHER,
};

/* What a protocol is carried by. */
static uint16_t
kinds_of_app(const struct rule_parser *parser, unsigned int app)
{
	const struct rule_world *world = &parser->set->world;
	unsigned int transports = world->app_transports == NULL ? 0 : world->app_transports[app];

	if (transports == 0)
		return KIND_ANY;
	return (uint16_t)(((transports & RULE_OVER_TCP) != 0 ? KIND_TCP : 0) | ((transports & RULE_OVER_UDP) != 0 ? KIND_UDP : 0)
		| ((transports & RULE_OVER_ETHERNET) != 0 ? KIND_ETHER : 0));
}

static const struct {
	uint8_t proto; /* enum rule_proto_flag */
	uint16_t kinds;
} kinds_of_proto[] = { { RULE_PROTO_IPV4, KIND_IPV4 }, { RULE_PROTO_IPV6, KIND_IPV6 }, { RULE_PROTO_ARP, KIND_ARP } };

void
rule_kinds_begin(struct rule_parser *parser, const char *proto)
{
	const struct rule *draft = &parser->draft;
	uint16_t kinds = 0;

	for (unsigned int i = 0; i < CLASS_COUNT; i++)
		kinds |= (draft->classes >> i & 1) != 0 ? kinds_of_class[i] : 0;
	for (unsigned int i = 0; i < sizeof(kinds_of_proto) / sizeof(kinds_of_proto[0]); i++)
		kinds &= (draft->proto & kinds_of_proto[i].proto) != 0 ? kinds_of_proto[i].kinds : KIND_ANY;
	if (draft->app != RULE_APP_NONE)
		kinds &= kinds_of_app(parser, draft->app);
	parser->kinds = parser->header_kinds = kinds;
	snprintf(parser->proto, sizeof(parser->proto), "%s", proto);
}

/* ---- what narrows them ---- */

void
rule_kinds_narrow(struct rule_parser *parser, uint16_t kinds, const char *what)
{
	if ((parser->kinds & kinds) == 0 && (parser->header_kinds & kinds) == 0)
		rule_never(parser, "no packet of %s has %s", parser->proto, what);
	else if ((parser->kinds & kinds) == 0)
		rule_never(parser, "no packet has %s and what else is asked for", what);
	parser->kinds &= kinds;
}

static void
narrow_addresses(struct rule_parser *parser, const struct rule_addresses *addresses, const char *what)
{
	if (!addresses->any)
		rule_kinds_narrow(parser, (uint16_t)((addresses->count4 > 0 ? KIND_IPV4 : 0) | (addresses->count6 > 0 ? KIND_IPV6 : 0)), what);
}

static void
narrow_app(struct rule_parser *parser)
{
	char what[64];

	if (parser->draft.app == RULE_APP_NONE)
		return;
	snprintf(what, sizeof(what), "the protocol %.32s", parser->set->world.apps[parser->draft.app]->name);
	rule_kinds_narrow(parser, kinds_of_app(parser, parser->draft.app), what);
}

/* Of the numbers that IP gives its protocols, those of which packets of a kind are. */
static void
narrow_ip_proto(struct rule_parser *parser, const struct rule_test *test)
{
	static const struct {
		uint8_t number;
		uint16_t kinds;
	} rows[] = { { IP_PROTO_TCP, KIND_TCP }, { IP_PROTO_UDP, KIND_UDP }, { IP_PROTO_ICMP, KIND_ICMP }, { IP_PROTO_ICMPV6, KIND_ICMPV6 },
		{ IP_PROTO_SCTP, KIND_SCTP }, { IP_PROTO_IGMP, KIND_IGMP } };
	uint16_t kinds = KIND_OTHER_IP;

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		kinds |= rule_numbers_match(&test->numbers, rows[i].number) != test->negated ? rows[i].kinds : 0;
	rule_kinds_narrow(parser, kinds, "that ip_proto");
}

static void
narrow_app_protocol(struct rule_parser *parser, const struct rule_test *test)
{
	const struct rule_protocols *protocols = &test->protocols;
	uint16_t kinds = 0;

	if (test->negated || protocols->unknown || protocols->failed)
		return;
	for (unsigned int i = 0; i < parser->set->world.app_count; i++)
		kinds |= (protocols->apps >> i & 1) != 0 ? kinds_of_app(parser, i) : 0;
	rule_kinds_narrow(parser, kinds, "that app-layer-protocol");
	if (protocols->mode == PROTOCOL_FINAL && parser->draft.app != RULE_APP_NONE && (protocols->apps >> parser->draft.app & 1) == 0)
		rule_never(parser, "no flow of %.32s has that app-layer-protocol", parser->set->world.apps[parser->draft.app]->name);
}

void
rule_kinds_finish(struct rule_parser *parser)
{
	const struct rule *draft = &parser->draft;
	const uint16_t of_flows = RULE_FLOW_TO_SERVER | RULE_FLOW_TO_CLIENT | RULE_FLOW_ESTABLISHED;

	/* What has no port, or its header could not be read, has none that a rule could name. */
	if (!draft->src_ports->any || !draft->dst_ports->any)
		rule_kinds_narrow(parser, KIND_TCP | KIND_UDP | KIND_SCTP, "ports");
	narrow_addresses(parser, draft->src, "that source address");
	narrow_addresses(parser, draft->dst, "that destination address");
	narrow_app(parser);
	if ((draft->flags & RULE_FILE) != 0)
		rule_kinds_narrow(parser, KIND_TCP | KIND_UDP, "files");
	if ((draft->flow & of_flows) != 0)
		rule_kinds_narrow(parser, (uint16_t)~KIND_ARP, "a flow");
	for (unsigned int i = 0; i < parser->test_count; i++) {
		if (parser->tests[i].fn == rule_test_ip_proto)
			narrow_ip_proto(parser, &parser->tests[i]);
		if (parser->tests[i].fn == rule_test_app_protocol)
			narrow_app_protocol(parser, &parser->tests[i]);
	}
}
