/* Keywords over fields of packet headers: most are "name:numbers". */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/rule/keyword.h"
#include "lib/rule/rule_sctp.h"
#include "lib/rule/rule_tests.h"

#define NUMBER_KEYWORD(name) \
	int rule_setup_##name(struct rule_parser *parser, char *value) \
	{ \
		return rule_add_number_test(parser, value, NULL, rule_test_##name); \
	}

NUMBER_KEYWORD(ttl)
NUMBER_KEYWORD(itype)
NUMBER_KEYWORD(icode)
NUMBER_KEYWORD(icmp_id)
NUMBER_KEYWORD(icmp_seq)
NUMBER_KEYWORD(seq)
NUMBER_KEYWORD(ack)
NUMBER_KEYWORD(window)
NUMBER_KEYWORD(tcp_mss)
NUMBER_KEYWORD(tcp_wscale)
NUMBER_KEYWORD(vlan_layers)
NUMBER_KEYWORD(id)
NUMBER_KEYWORD(tos)
NUMBER_KEYWORD(fragoffset)
NUMBER_KEYWORD(icmpv6_mtu)
NUMBER_KEYWORD(igmp_type)
NUMBER_KEYWORD(sctp_vtag)
NUMBER_KEYWORD(sctp_chunk_cnt)

int
rule_setup_dsize(struct rule_parser *parser, char *value)
{
	parser->draft.flags |= RULE_ON_PACKET;
	return rule_add_number_test(parser, value, NULL, rule_test_dsize);
}

static const struct field_name ip_proto_rows[] = {
	{ 1, "icmp" }, { 2, "igmp" }, { 4, "ipip" }, { 6, "tcp" }, { 17, "udp" }, { 41, "ipv6" }, { 47, "gre" }, { 50, "esp" },
	{ 51, "ah" }, { 58, "ipv6-icmp" }, { 89, "ospf" }, { 103, "pim" }, { 112, "vrrp" }, { 132, "sctp" },
};

static const struct field_names ip_proto_names = FIELD_NAMES(ip_proto_rows, NULL);

int
rule_setup_ip_proto(struct rule_parser *parser, char *value)
{
	return rule_add_number_test(parser, value, &ip_proto_names, rule_test_ip_proto);
}

static const struct field_name l3_proto_rows[] = { { 0x0800, "ipv4" }, { 0x0806, "arp" }, { 0x86dd, "ipv6" } };
static const struct field_names l3_proto_names = FIELD_NAMES(l3_proto_rows, NULL);

int
rule_setup_l3_proto(struct rule_parser *parser, char *value)
{
	return rule_add_number_test(parser, value, &l3_proto_names, rule_test_l3_proto);
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
	return rule_add_number_test(parser, value, &rule_sctp_chunk_names, rule_test_sctp_chunk_type);
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

/* bits[0] the flags wanted, bits[1] those ignored, extra: '=' exactly, '+' at least, '*' any, '!' none of */
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

		if (strchr("+*!", *letters) != NULL) {
			test->extra = (uint64_t)*letters;
			continue;
		}
		while (i < sizeof(tcp_flag_rows) / sizeof(tcp_flag_rows[0]) && tcp_flag_rows[i].letter != upper)
			i++;
		if (i == sizeof(tcp_flag_rows) / sizeof(tcp_flag_rows[0]))
			return rule_refuse(parser, "'%c' is not a TCP flag (F S R P A U E C 0 with + * !)", *letters);
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
	if ((test->bits[0] & TCP_SYN) != 0 && test->extra != '!' && (test->extra != '*' || test->bits[0] == TCP_SYN))
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
	return rule_numbers_parse(parser, rule_trim(value), NULL, false, &test->numbers);
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
		if (strchr("+*!", *value) != NULL)
			test->extra = (uint64_t)*value;
		else if (strchr("MmDdRr", *value) != NULL)
			test->bits[0] |= (*value | 0x20) == 'm' ? 1 : (*value | 0x20) == 'd' ? 2 : 4;
		else
			return rule_refuse(parser, "'%c' is not a fragment bit (M D R with + * !)", *value);
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
