/* Keywords over fields of packet headers: most are "name:numbers". */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/rule/keyword.h"
#include "lib/rule/rule_sctp.h"
#include "lib/rule/rule_tests.h"

enum { FRAGMENT_OFFSET_MAX = 0x1fff, VLAN_ID_MAX = 0xfff };

#define NUMBER_KEYWORD(name, max) \
	int rule_setup_##name(struct rule_parser *parser, char *value) \
	{ \
		return rule_add_number_test(parser, value, NULL, rule_test_##name, (max)); \
	}

NUMBER_KEYWORD(ttl, UINT8_MAX)
NUMBER_KEYWORD(itype, UINT8_MAX)
NUMBER_KEYWORD(icode, UINT8_MAX)
NUMBER_KEYWORD(icmp_id, UINT16_MAX)
NUMBER_KEYWORD(icmp_seq, UINT16_MAX)
NUMBER_KEYWORD(seq, UINT32_MAX)
NUMBER_KEYWORD(ack, UINT32_MAX)
NUMBER_KEYWORD(window, UINT16_MAX)
NUMBER_KEYWORD(tcp_mss, UINT16_MAX)
NUMBER_KEYWORD(tcp_wscale, UINT8_MAX)
NUMBER_KEYWORD(vlan_layers, UINT8_MAX)
NUMBER_KEYWORD(id, UINT16_MAX)
NUMBER_KEYWORD(fragoffset, FRAGMENT_OFFSET_MAX)
NUMBER_KEYWORD(icmpv6_mtu, UINT32_MAX)
NUMBER_KEYWORD(igmp_type, UINT8_MAX)
NUMBER_KEYWORD(sctp_vtag, UINT32_MAX)
NUMBER_KEYWORD(sctp_chunk_cnt, UINT32_MAX)

/* Hex digits behind an x without the 0, "x10", are of this keyword alone. */
int
rule_setup_tos(struct rule_parser *parser, char *value)
{
	char text[64];
	size_t start = strspn(value, "! \t");
	bool hex = (value[start] | 0x20) == 'x';

	snprintf(text, sizeof(text), "%.*s%s%s", (int)start, value, hex ? "0" : "", value + start);
	return rule_add_number_test(parser, text, NULL, rule_test_tos, UINT8_MAX);
}

int
rule_setup_dsize(struct rule_parser *parser, char *value)
{
	parser->draft.flags |= RULE_ON_PACKET;
	return rule_add_number_test(parser, value, NULL, rule_test_dsize, UINT16_MAX);
}

/* IANA protocol-numbers, by the names of /etc/protocols; in their order. */
static const struct field_name ip_proto_rows[] = {
	{ 0, "ip" }, { 0, "hopopt" }, { 1, "icmp" }, { 2, "igmp" }, { 3, "ggp" }, { 4, "ipencap" }, { 4, "ipv4" },
	{ 5, "st" }, { 6, "tcp" }, { 7, "cbt" }, { 8, "egp" }, { 9, "igp" }, { 12, "pup" }, { 16, "chaos" }, { 17, "udp" },
	{ 20, "hmp" }, { 22, "xns-idp" }, { 27, "rdp" }, { 28, "irtp" }, { 29, "iso-tp4" }, { 33, "dccp" }, { 36, "xtp" }, { 37, "ddp" },
	{ 41, "ipv6" }, { 43, "ipv6-route" }, { 44, "ipv6-frag" }, { 45, "idrp" }, { 46, "rsvp" }, { 47, "gre" }, { 48, "dsr" },
	{ 50, "esp" }, { 50, "ipsec-esp" }, { 51, "ah" }, { 51, "ipsec-ah" }, { 54, "narp" }, { 55, "mobile" }, { 57, "skip" },
	{ 58, "ipv6-icmp" }, { 58, "icmpv6" }, { 59, "ipv6-nonxt" }, { 60, "ipv6-opts" }, { 80, "iso-ip" }, { 81, "vmtp" }, { 88, "eigrp" },
	{ 89, "ospf" }, { 89, "ospfigp" }, { 93, "ax.25" }, { 94, "ipip" }, { 97, "etherip" }, { 98, "encap" }, { 103, "pim" },
	{ 108, "ipcomp" }, { 112, "vrrp" }, { 115, "l2tp" }, { 124, "isis" }, { 132, "sctp" }, { 133, "fc" }, { 135, "mobility-header" },
	{ 136, "udplite" }, { 137, "mpls-in-ip" }, { 138, "manet" }, { 139, "hip" }, { 140, "shim6" }, { 141, "wesp" }, { 142, "rohc" },
};

static const struct field_names ip_proto_names = FIELD_NAMES(ip_proto_rows, NULL);

int
rule_setup_ip_proto(struct rule_parser *parser, char *value)
{
	return rule_add_number_test(parser, value, &ip_proto_names, rule_test_ip_proto, UINT8_MAX);
}

static const struct field_name l3_proto_rows[] = { { 0x0800, "ipv4" }, { 0x0806, "arp" }, { 0x86dd, "ipv6" } };
static const struct field_names l3_proto_names = FIELD_NAMES(l3_proto_rows, NULL);

int
rule_setup_l3_proto(struct rule_parser *parser, char *value)
{
	return rule_add_number_test(parser, value, &l3_proto_names, rule_test_l3_proto, UINT16_MAX);
}

/* RFC 9260 3.2, RFC 3758, RFC 4895, RFC 5061, RFC 6525, RFC 8260 */
static const struct field_name sctp_chunk_rows[] = {
	{ 0, "data" }, { 1, "init" }, { 2, "init_ack" }, { 3, "sack" }, { 4, "heartbeat" }, { 5, "heartbeat_ack" }, { 6, "abort" },
	{ 7, "shutdown" }, { 8, "shutdown_ack" }, { 9, "error" }, { 10, "cookie_echo" }, { 11, "cookie_ack" }, { 12, "ecne" },
	{ 13, "cwr" }, { 14, "shutdown_complete" }, { 15, "auth" }, { 64, "i_data" }, { 128, "asconf_ack" }, { 130, "re_config" },
	{ 132, "pad" }, { 192, "forward_tsn" }, { 193, "asconf" }, { 194, "i_forward_tsn" },
};
const struct field_names rule_sctp_chunk_names = FIELD_NAMES(sctp_chunk_rows, NULL);

int
rule_setup_sctp_chunk_type(struct rule_parser *parser, char *value)
{
	return rule_add_number_test(parser, value, &rule_sctp_chunk_names, rule_test_sctp_chunk_type, UINT8_MAX);
}

/* bits[0]: a bit for each enum rule_session_phase */
int
rule_setup_tcp_session(struct rule_parser *parser, char *value)
{
	static const char *const phases[] = { "setup", "established", "closing" };
	struct rule_test *test = rule_add_test(parser, rule_test_tcp_session);
	char *word;

	if (test == NULL)
		return -EINVAL;
	while ((word = rule_split(&value, ',')) != NULL) {
		unsigned int i = 0;

		while (i < sizeof(phases) / sizeof(phases[0]) && strcmp(phases[i], word) != 0)
			i++;
		if (i == sizeof(phases) / sizeof(phases[0]))
			return rule_refuse(parser, "\"%.20s\" is not setup, established or closing", word);
		test->bits[0] |= UINT64_C(1) << i;
	}
	parser->draft.flags |= RULE_ON_PACKET;
	return 0;
}

/* bits[0] the flags wanted, bits[1] those ignored, extra: '=' exactly, '+' at least, '*' any, '!' not all of, '-' none of */
static const struct {
	char letter;
	uint8_t flag;
} tcp_flag_rows[] = {
	{ 'F', TCP_FIN }, { 'S', TCP_SYN }, { 'R', TCP_RST }, { 'P', TCP_PSH }, { 'A', TCP_ACK }, { 'U', TCP_URG },
	{ 'E', TCP_ECE }, { 'C', TCP_CWR }, { '1', TCP_CWR }, { '2', TCP_ECE }, { '0', 0 },
};

static int
tcp_flag_letters(struct rule_parser *parser, const char *letters, struct rule_test *test, uint64_t *out)
{
	for (; *letters != '\0'; letters++) {
		unsigned int i = 0;
		char upper = (char)toupper((unsigned char)*letters);

		if (strchr("+*!=-", *letters) != NULL) {
			test->extra = (uint64_t)*letters;
			continue;
		}
		while (i < sizeof(tcp_flag_rows) / sizeof(tcp_flag_rows[0]) && tcp_flag_rows[i].letter != upper)
			i++;
		if (i == sizeof(tcp_flag_rows) / sizeof(tcp_flag_rows[0]))
			return rule_refuse(parser, "'%c' is not a TCP flag (F S R P A U E C 0 with + * ! = -)", *letters);
		*out |= tcp_flag_rows[i].flag;
	}
	return 0;
}

int
rule_setup_tcp_flags(struct rule_parser *parser, char *value)
{
	struct rule_test *test = rule_add_test(parser, rule_test_tcp_flags);
	char *wanted = rule_split(&value, ',');

	if (test == NULL)
		return -EINVAL;
	test->extra = '=';
	int ret = tcp_flag_letters(parser, wanted, test, &test->bits[0]);

	/* What a SYN carries (RFC 7413) enters the stream with a later segment: its own payload is looked at. */
	if ((test->bits[0] & TCP_SYN) != 0 && test->extra != '!' && test->extra != '-' && (test->extra != '*' || test->bits[0] == TCP_SYN))
		parser->draft.flags |= RULE_ON_PACKET;
	if (ret == 0 && value != NULL) {
		uint64_t how = test->extra;

		ret = tcp_flag_letters(parser, value, test, &test->bits[1]);
		test->extra = how;
	}
	return ret;
}

static const struct {
	const char *name;
	uint16_t bits;
} ip_option_rows[] = {
	{ "rr", IP_OPTION_RR }, { "lsrr", IP_OPTION_LSRR }, { "eol", IP_OPTION_EOL }, { "nop", IP_OPTION_NOP },
	{ "ts", IP_OPTION_TS }, { "sec", IP_OPTION_SEC }, { "esec", IP_OPTION_ESEC }, { "ssrr", IP_OPTION_SSRR },
	{ "satid", IP_OPTION_SATID }, { "cipso", IP_OPTION_CIPSO }, { "rtralt", IP_OPTION_RTRALT }, { "qs", IP_OPTION_QS },
	{ "any", 0xffff },
};

int
rule_setup_ipopts(struct rule_parser *parser, char *value)
{
	struct rule_test *test = rule_add_test(parser, rule_test_ipopts);

	if (test == NULL)
		return -EINVAL;
	for (unsigned int i = 0; i < sizeof(ip_option_rows) / sizeof(ip_option_rows[0]); i++)
		if (strcasecmp(ip_option_rows[i].name, value) == 0) {
			test->bits[0] = ip_option_rows[i].bits;
			return 0;
		}
	return rule_refuse(parser, "\"%.40s\" is not an IP option", value);
}

/* vlan.id:100,1 : a number, and which tags, the outermost first */
int
rule_setup_vlan_id(struct rule_parser *parser, char *value)
{
	struct rule_test *test = rule_add_test(parser, rule_test_vlan_id);
	int ret = test == NULL ? -EINVAL : rule_elements_parse(parser, value, test);

	if (ret != 0)
		return ret < 0 ? ret : 0;
	if (value[0] == '!' && value[1] == '[') {
		test->negated = true;
		value++;
	}
	ret = rule_numbers_parse(parser, rule_trim(value), NULL, false, &test->numbers);
	return ret != 0 ? ret : rule_numbers_check(parser, &test->numbers, 0, VLAN_ID_MAX);
}

/* bits[0]: wanted of 4 (reserved) 2 (DF) 1 (MF); extra as with TCP flags */
int
rule_setup_fragbits(struct rule_parser *parser, char *value)
{
	struct rule_test *test = rule_add_test(parser, rule_test_fragbits);

	if (test == NULL)
		return -EINVAL;
	test->extra = '=';
	for (; *value != '\0'; value++) {
		if (strchr("+*!=-", *value) != NULL)
			test->extra = (uint64_t)*value;
		else if (strchr("MmDdRr", *value) != NULL)
			test->bits[0] |= (*value | 0x20) == 'm' ? 1 : (*value | 0x20) == 'd' ? 2 : 4;
		else
			return rule_refuse(parser, "'%c' is not a fragment bit (M D R with + * ! = -)", *value);
	}
	return 0;
}

int
rule_setup_sameip(struct rule_parser *parser, char *value)
{
	(void)value;
	return rule_add_test(parser, rule_test_sameip) == NULL ? -EINVAL : 0;
}

/* ipv4-csum:valid|invalid; the sensor verifies checksums itself, unless that is switched off */
static int
csum_setup(struct rule_parser *parser, const char *value, unsigned int ip_version, unsigned int ip_proto)
{
	struct rule_test *test = rule_add_test(parser, rule_test_csum);
	bool valid = strcasecmp(value, "valid") == 0;

	if (test == NULL)
		return -EINVAL;
	if (!valid && strcasecmp(value, "invalid") != 0)
		return rule_refuse(parser, "\"%.20s\" is neither valid nor invalid", value);
	test->extra = valid;
	test->bits[0] = ip_version;
	test->bits[1] = ip_proto;
	parser->draft.flags |= RULE_ON_PACKET;
	return 0;
}

#define CSUM_KEYWORD(name, ip_version, ip_proto) \
	int rule_setup_##name(struct rule_parser *parser, char *value) \
	{ \
		return csum_setup(parser, value, (ip_version), (ip_proto)); \
	}

CSUM_KEYWORD(ipv4_csum, 4, 0)
CSUM_KEYWORD(tcpv4_csum, 4, IP_PROTO_TCP)
CSUM_KEYWORD(tcpv6_csum, 6, IP_PROTO_TCP)
CSUM_KEYWORD(udpv4_csum, 4, IP_PROTO_UDP)
CSUM_KEYWORD(udpv6_csum, 6, IP_PROTO_UDP)
CSUM_KEYWORD(icmpv4_csum, 4, IP_PROTO_ICMP)
CSUM_KEYWORD(icmpv6_csum, 6, IP_PROTO_ICMPV6)
CSUM_KEYWORD(igmp_csum, 4, IP_PROTO_IGMP)
