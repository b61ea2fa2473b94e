/* The rule header: action, protocol, addresses, ports, direction. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/near.h"
#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_tests.h"

static const struct {
	const char *name;
	enum rule_action action;
} action_rows[] = {
	{ "alert", RULE_ALERT }, { "pass", RULE_PASS }, { "drop", RULE_DROP }, { "reject", RULE_REJECT },
	{ "rejectsrc", RULE_REJECT }, { "rejectdst", RULE_REJECT }, { "rejectboth", RULE_REJECT },
	{ "config", RULE_CONFIG },
};

#define CLASSES_IP \
	(1 << CLASS_TCP | 1 << CLASS_UDP | 1 << CLASS_ICMP | 1 << CLASS_ICMPV6 | 1 << CLASS_SCTP | 1 << CLASS_IP)

static const struct {
	const char *name;
	uint8_t classes;
	uint8_t flags; /* enum rule_proto_flag */
	const char *ip_proto; /* where the class holds others as well */
} proto_rows[] = {
	{ "ip", CLASSES_IP, 0, NULL },
	{ "ipv4", CLASSES_IP, RULE_PROTO_IPV4, NULL },
	{ "ip4", CLASSES_IP, RULE_PROTO_IPV4, NULL },
	{ "ipv6", CLASSES_IP, RULE_PROTO_IPV6, NULL },
	{ "ip6", CLASSES_IP, RULE_PROTO_IPV6, NULL },
	{ "tcp", 1 << CLASS_TCP, 0, NULL },
	{ "tcp-pkt", 1 << CLASS_TCP, RULE_PROTO_PKT_ONLY, NULL },
	{ "tcp-stream", 1 << CLASS_TCP, RULE_PROTO_STREAM_ONLY, NULL },
	{ "udp", 1 << CLASS_UDP, 0, NULL },
	{ "icmp", 1 << CLASS_ICMP | 1 << CLASS_ICMPV6, 0, NULL },
	{ "icmpv4", 1 << CLASS_ICMP, 0, NULL },
	{ "icmpv6", 1 << CLASS_ICMPV6, 0, NULL },
	{ "sctp", 1 << CLASS_SCTP, 0, NULL },
	{ "igmp", 1 << CLASS_IP, 0, "2" },
	{ "pkthdr", CLASSES_IP | 1 << CLASS_OTHER, RULE_PROTO_PKTHDR, NULL },
	{ "ether", CLASSES_IP | 1 << CLASS_OTHER, RULE_PROTO_ETHER, NULL },
	{ "arp", 1 << CLASS_OTHER, RULE_PROTO_ARP, NULL },
};

/* Other names of protocols. */
static const struct {
	const char *name, *proto;
} proto_other[] = { { "http1", "http" }, { "ssl", "tls" } };

/* Where in a message or a transaction a rule is asked. Here it is asked of what is whole: the direction is what is left of it. */
static const struct {
	const char *prefix; /* of the hook's name */
	uint16_t flow;
	const char *states; /* with a blank before and behind each */
} hook_rows[] = {
	{ "request_", RULE_FLOW_TO_SERVER, " started line headers body trailer complete " },
	{ "response_", RULE_FLOW_TO_CLIENT, " started line headers body trailer complete " },
	{ "client_", RULE_FLOW_TO_SERVER, " in_progress hello_done cert_done handshake_done finished " },
	{ "server_", RULE_FLOW_TO_CLIENT, " in_progress hello hello_done cert_done handshake_done finished " },
};

/* Protocols that rule sets name and that no parser here knows yet. */
static const char *const proto_absent[] = {
	"http", "http1", "http2", "tls", "ssl", "dns", "doh2", "ssh", "ftp", "ftp-data", "smb", "dcerpc", "nfs",
	"smtp", "imap", "pop3", "snmp", "ldap", "krb5", "ntp", "dhcp", "tftp", "ike", "rdp", "rfb", "sip", "sdp", "telnet",
	"quic", "pgsql", "websocket", "bittorrent-dht", "enip", "mqtt", "pop", "nbss", "jabber", "irc", "msn", "template",
};

static int
header_action(struct rule_parser *parser, const char *word)
{
	for (unsigned int i = 0; i < sizeof(action_rows) / sizeof(action_rows[0]); i++)
		if (strcasecmp(action_rows[i].name, word) == 0) {
			parser->draft.meta.action = action_rows[i].action;
			return 0;
		}
	return rule_refuse(parser, "\"%.40s\" is not an action (alert, pass, drop, reject, config)", word);
}

static int
hook_of_app(struct rule_parser *parser, const char *hook)
{
	char state[32];

	for (unsigned int i = 0; i < sizeof(hook_rows) / sizeof(hook_rows[0]); i++) {
		size_t len = strlen(hook_rows[i].prefix);

		snprintf(state, sizeof(state), " %.28s ", strncmp(hook, hook_rows[i].prefix, len) == 0 ? hook + len : "-");
		if (strstr(hook_rows[i].states, state) != NULL) {
			parser->draft.flow |= hook_rows[i].flow;
			return 0;
		}
	}
	return rule_refuse(parser, "\"%.40s\" is not a state of a protocol, as request_complete", hook);
}

static int
header_hook(struct rule_parser *parser, const char *hook)
{
	if (parser->draft.app != RULE_APP_NONE)
		return hook_of_app(parser, hook);
	if (strcmp(hook, "all") == 0)
		return 0;
	if (strcmp(hook, "flow_start") == 0)
		return rule_add_test(parser, rule_test_flow_start) == NULL ? -EINVAL : 0;
	return rule_refuse(parser, "\"%.40s\" is not all or flow_start: other places are for what blocks packets", hook);
}

static int
header_name(struct rule_parser *parser, const char *word)
{
	const struct rule_world *world = &parser->set->world;
	char number[4];

	for (unsigned int i = 0; i < sizeof(proto_rows) / sizeof(proto_rows[0]); i++)
		if (strcasecmp(proto_rows[i].name, word) == 0) {
			parser->draft.classes = proto_rows[i].classes;
			parser->draft.proto = proto_rows[i].flags;
			if (proto_rows[i].ip_proto == NULL)
				return 0;
			snprintf(number, sizeof(number), "%s", proto_rows[i].ip_proto);
			return rule_add_number_test(parser, number, NULL, rule_test_ip_proto, UINT8_MAX);
		}
	for (unsigned int i = 0; i < world->app_count; i++)
		if (strcasecmp(world->apps[i]->name, word) == 0) {
			parser->draft.app = (uint8_t)i;
			parser->draft.classes = CLASSES_IP | 1 << CLASS_OTHER;
			return 0;
		}
	int alias = rule_alias_use(parser, word, strlen(word));

	if (alias != -1) {
		parser->draft.classes = CLASSES_IP | 1 << CLASS_OTHER;
		parser->draft.app = (uint8_t)alias;
		return alias < 0 ? alias : 0;
	}
	for (unsigned int i = 0; i < sizeof(proto_absent) / sizeof(proto_absent[0]); i++)
		if (strcasecmp(proto_absent[i], word) == 0)
			return rule_refuse(parser, "protocol %s has no parser here", proto_absent[i]);
	struct near near;
	const char *nearest = rule_near_app(parser, word, &near);

	return rule_refuse(parser, "\"%.40s\" is not a protocol%s%s", word, nearest[0] != '\0' ? "; the nearest is " : "", nearest);
}

/* "tls", "dns:request_complete" */
static int
header_proto(struct rule_parser *parser, const char *word)
{
	char name[64];
	const char *hook = strchr(word, ':');

	snprintf(name, sizeof(name), "%.*s", (int)(hook == NULL ? strlen(word) : (size_t)(hook - word)), word);
	for (unsigned int i = 0; i < sizeof(proto_other) / sizeof(proto_other[0]); i++)
		if (strcasecmp(proto_other[i].name, name) == 0)
			snprintf(name, sizeof(name), "%s", proto_other[i].proto);
	int ret = header_name(parser, name);

	if (ret == 0)
		rule_kinds_begin(parser, name);
	return ret != 0 || hook == NULL ? ret : header_hook(parser, hook + 1);
}

/* The next word; blanks inside brackets are part of it and are taken out, so that equal groups read the same. */
static char *
header_word(char **rest)
{
	char *start = *rest + strspn(*rest, " \t");
	char *out = start, *at = start;
	unsigned int depth = 0;

	for (; *at != '\0' && (depth > 0 || (*at != ' ' && *at != '\t')); at++) {
		depth += *at == '[' ? 1 : *at == ']' && depth > 0 ? -1u : 0;
		if (*at != ' ' && *at != '\t')
			*out++ = *at;
	}
	*rest = *at == '\0' ? at : at + 1;
	*out = '\0';
	return start;
}

static int
header_direction(struct rule_parser *parser, const char *word)
{
	if (strcmp(word, "<>") == 0)
		parser->draft.flags |= RULE_BOTH_WAYS;
	else if (strcmp(word, "=>") == 0)
		parser->draft.flags |= RULE_TRANSACTION;
	else if (strcmp(word, "->") != 0)
		return rule_refuse(parser, "the direction is \"%.20s\", not ->, <> or =>", word);
	return 0;
}

static int
header_src(struct rule_parser *parser, const char *word)
{
	return rule_addresses_parse(parser, word, &parser->draft.src);
}

static int
header_src_ports(struct rule_parser *parser, const char *word)
{
	return rule_ports_parse(parser, word, &parser->draft.src_ports);
}

static int
header_dst(struct rule_parser *parser, const char *word)
{
	return rule_addresses_parse(parser, word, &parser->draft.dst);
}

static int
header_dst_ports(struct rule_parser *parser, const char *word)
{
	return rule_ports_parse(parser, word, &parser->draft.dst_ports);
}

static int (*const header_parts[])(struct rule_parser *parser, const char *word) = {
	header_action, header_proto, header_src, header_src_ports, header_direction, header_dst, header_dst_ports,
};

static const char *const header_part_names[] = {
	"action", "protocol", "source address", "source port", "direction", "destination address", "destination port",
};

int
rule_parse_header(struct rule_parser *parser, char *header)
{
	const char *base = parser->text;
	char *start = header, *rest = header;

	for (unsigned int i = 0; i < sizeof(header_parts) / sizeof(header_parts[0]); i++) {
		parser->at = base + (rest - start) + strspn(rest, " \t");
		char *word = header_word(&rest);

		if (*word == '\0')
			return rule_refuse(parser, "the %s is missing", header_part_names[i]);
		int ret = header_parts[i](parser, word);

		if (ret != 0)
			return ret;
	}
	rest += strspn(rest, " \t");
	if (*rest != '\0') {
		parser->at = base + (rest - start);
		return rule_refuse(parser, "\"%.40s\" stands behind the destination port", rest);
	}
	return 0;
}
