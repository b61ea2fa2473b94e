/* Keywords over bytes that are neither content nor numbers in them: base64, entropy, RPC calls, what is not there. */
#include <errno.h>
#include <string.h>

#include "lib/rule/keyword.h"
#include "lib/rule/rule_tests.h"

/* absent, absent:or_else */
int
rule_setup_absent(struct rule_parser *parser, char *value)
{
	bool or_else = value != NULL && strcmp(value, "or_else") == 0;

	if (value != NULL && *value != '\0' && !or_else)
		return rule_refuse(parser, "\"%.20s\" is not or_else", value);
	if (parser->buffer < 0 || parser->buffers[parser->buffer].buffer.kind == BUFFER_PAYLOAD)
		return rule_refuse(parser, "there is no sticky buffer before it");
	struct rule_buffer *buffer = &parser->buffers[parser->buffer].buffer;

	if (buffer->node_count > 0)
		return rule_refuse(parser, "absent stands before what looks into the buffer");
	buffer->absent = or_else ? ABSENT_OR_ELSE : ABSENT_ONLY;
	return 0;
}

static const struct {
	const char *name;
	uint8_t mode;
} base64_modes[] = { { "rfc4648", BASE64_RFC4648 }, { "rfc2045", BASE64_RFC2045 }, { "strict", BASE64_STRICT } };

static int
base64_word(struct rule_parser *parser, char *word, struct rule_base64 *out)
{
	char *argument = word + strcspn(word, " \t");
	int64_t number;

	if (*argument != '\0')
		*argument++ = '\0';
	argument = rule_trim(argument);
	if (strcmp(word, "relative") == 0 && *argument == '\0') {
		out->relative = true;
		return 0;
	}
	for (unsigned int i = 0; strcmp(word, "mode") == 0 && i < sizeof(base64_modes) / sizeof(base64_modes[0]); i++)
		if (strcmp(base64_modes[i].name, argument) == 0) {
			out->mode = base64_modes[i].mode;
			return 0;
		}
	bool bytes = strcmp(word, "bytes") == 0;

	if ((!bytes && strcmp(word, "offset") != 0) || !rule_integer(argument, &number) || number < bytes || number > 65535)
		return rule_refuse(parser, "\"%.20s %.20s\" is not bytes N, offset N, relative or mode rfc4648|rfc2045|strict", word,
			argument);
	*(bytes ? &out->bytes : &out->offset) = (uint32_t)number;
	return 0;
}

int
rule_base64_parse(struct rule_parser *parser, char *value, struct rule_base64 *out)
{
	char *word;

	*out = (struct rule_base64){ .mode = BASE64_RFC4648 };
	while (value != NULL && *value != '\0' && (word = rule_split(&value, ',')) != NULL)
		if (base64_word(parser, word, out) != 0)
			return -EINVAL;
	return 0;
}

int
rule_setup_base64_decode(struct rule_parser *parser, char *value)
{
	struct rule_node *node = rule_add_node(parser, NODE_BASE64);
	struct rule_base64 base64;

	if (node == NULL || rule_base64_parse(parser, value, &base64) != 0)
		return -EINVAL;
	node->flags = base64.relative ? NODE_RELATIVE : 0;
	node->base64.bytes = base64.bytes;
	node->base64.offset = base64.offset;
	node->base64.mode = base64.mode;
	parser->set->needs_scratch = true;
	return 0;
}

int
rule_setup_base64_data(struct rule_parser *parser, char *value)
{
	const struct rule_buffer buffer = { .kind = BUFFER_BASE64, .app = RULE_APP_NONE };
	bool decoded = false;

	(void)value;
	for (unsigned int i = 0; i < parser->buffer_count; i++)
		for (unsigned int n = 0; n < parser->buffers[i].buffer.node_count; n++)
			decoded = decoded || parser->buffers[i].nodes[n].kind == NODE_BASE64;
	return decoded ? rule_use_buffer(parser, &buffer) : rule_refuse(parser, "there is no base64_decode before it");
}

/* The value is kept for the flow by the buffer's name, as elsewhere: with _ for its dots. */
static int
entropy_name(struct rule_parser *parser, uint32_t *id)
{
	const struct rule_draft_buffer *draft = &parser->buffers[parser->buffer];
	char name[64];

	snprintf(name, sizeof(name), "%s", draft->buffer.kind == BUFFER_PAYLOAD ? "content" : draft->name);
	for (char *dot = name; *dot != '\0'; dot++)
		*dot = *dot == '.' ? '_' : *dot;
	parser->set->flow_vars = true;
	return rule_kind_id(parser->set, RULE_NAME_ENTROPY, name, id) == 0 ? 0 : rule_no_memory(parser);
}

/* entropy: [bytes N,] [offset N,] value OPERATOR NUMBER */
int
rule_setup_entropy(struct rule_parser *parser, char *value)
{
	struct rule_node *node = rule_add_node(parser, NODE_ENTROPY);
	char *word;

	if (node == NULL)
		return -EINVAL;
	node->entropy.bytes.var = node->entropy.offset.var = -1;
	while ((word = rule_split(&value, ',')) != NULL) {
		char *argument = word + strcspn(word, " \t<>=!");
		size_t len = (size_t)(argument - word);
		int ret;

		argument = rule_trim(argument);
		if (len == 5 && strncmp(word, "value", len) == 0)
			ret = rule_numbers_parse(parser, argument, NULL, false, &node->entropy.value);
		else if ((len == 5 && strncmp(word, "bytes", len) == 0) || (len == 6 && strncmp(word, "offset", len) == 0))
			ret = rule_value_parse(parser, argument, len == 5 ? &node->entropy.bytes : &node->entropy.offset);
		else
			return rule_refuse(parser, "\"%.40s\" is not bytes N, offset N or value OPERATOR NUMBER", word);
		if (ret != 0)
			return ret;
	}
	if (node->entropy.value.count == 0)
		return rule_refuse(parser, "value OPERATOR NUMBER is missing");
	node->flags = node->entropy.bytes.var >= 0 || node->entropy.offset.var >= 0 ? NODE_USES_VAR : 0;
	return entropy_name(parser, &node->entropy.var);
}

/* "oversize_length N", or a word alone. @return 0 or -EINVAL */
static int
asn1_word(struct rule_parser *parser, char *word, struct rule_node *node)
{
	static const struct {
		const char *name;
		uint8_t check;  /* 0: it places */
		bool number;
	} rows[] = {
		{ "oversize_length", RULE_ASN1_OVERSIZE, true }, { "bitstring_overflow", RULE_ASN1_BITSTRING, false },
		{ "double_overflow", RULE_ASN1_DOUBLE, false }, { "absolute_offset", 0, true }, { "relative_offset", 0, true },
	};
	char *argument = word + strcspn(word, " \t");
	int64_t number = 0;
	unsigned int i = 0;

	if (*argument != '\0')
		*argument++ = '\0';
	argument = rule_trim(argument);
	while (i < sizeof(rows) / sizeof(rows[0]) && strcmp(rows[i].name, word) != 0)
		i++;
	if (i == sizeof(rows) / sizeof(rows[0]) || rows[i].number != (*argument != '\0')
		|| (rows[i].number && (!rule_integer(argument, &number) || number > INT32_MAX / 4 || number < -INT32_MAX / 4)))
		return rule_refuse(parser, "\"%.20s %.20s\" is not bitstring_overflow, double_overflow, or oversize_length, "
			"absolute_offset or relative_offset with a number", word, argument);
	if (number < 0 && strcmp(word, "relative_offset") != 0)
		return rule_refuse(parser, "%s cannot be negative", word);
	node->asn1.checks |= rows[i].check;
	if (rows[i].check == RULE_ASN1_OVERSIZE)
		node->asn1.oversize = (uint32_t)number;
	else if (rows[i].number)
		node->asn1.offset = (int32_t)number;
	if (strcmp(word, "relative_offset") == 0)
		node->flags |= NODE_RELATIVE;
	return 0;
}

int
rule_setup_asn1(struct rule_parser *parser, char *value)
{
	struct rule_node *node = rule_add_node(parser, NODE_ASN1);
	char *word;

	if (node == NULL)
		return -EINVAL;
	while ((word = rule_split(&value, ',')) != NULL)
		if (asn1_word(parser, word, node) != 0)
			return -EINVAL;
	return node->asn1.checks != 0 ? 0 : rule_refuse(parser, "it does not say what to look for");
}

/* rpc:program[,version|*[,procedure|*]]; RFC 5531 9 */
int
rule_setup_rpc(struct rule_parser *parser, char *value)
{
	struct rule_test *test = rule_add_test(parser, rule_test_rpc);
	int64_t number;
	char *word;

	if (test == NULL)
		return -EINVAL;
	for (unsigned int i = 0; (word = rule_split(&value, ',')) != NULL; i++) {
		if (i == 3)
			return rule_refuse(parser, "rpc is program[,version[,procedure]]");
		if (i > 0 && strcmp(word, "*") == 0)
			continue;
		if (!rule_integer(word, &number) || number < 0 || number > UINT32_MAX)
			return rule_refuse(parser, "\"%.40s\" is not a number%s", word, i > 0 ? " or *" : "");
		test->bits[i] = (uint64_t)number;
		test->extra |= UINT64_C(1) << i;
	}
	parser->draft.flags |= RULE_ON_PACKET;
	return 0;
}

#define STICKY_BUFFER(name, buffer_kind) \
	int rule_setup_##name(struct rule_parser *parser, char *value) \
	{ \
		const struct rule_buffer buffer = { .kind = (buffer_kind), .app = RULE_APP_NONE }; \
\
		(void)value; \
		return rule_use_buffer(parser, &buffer); \
	}

STICKY_BUFFER(ip_src, BUFFER_IP_SRC)
STICKY_BUFFER(ip_dst, BUFFER_IP_DST)
STICKY_BUFFER(buffer_igmp, BUFFER_IGMP_HDR)
STICKY_BUFFER(buffer_sctp, BUFFER_SCTP_HDR)
STICKY_BUFFER(buffer_sctp_data, BUFFER_SCTP_DATA)

/* What a passive sensor cannot do at all. */
int
rule_setup_replace(struct rule_parser *parser, char *value)
{
	(void)value;
	return rule_refuse(parser, "a passive sensor replaces nothing");
}
