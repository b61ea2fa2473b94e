/* content and its modifiers, sizes, and the buffers of headers. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/hex.h"
#include "lib/rule/keyword.h"

/* Text with |00 01| and escapes into bytes. @return the count, or -EINVAL */
int
rule_content_bytes(struct rule_parser *parser, const char *text, uint8_t *out)
{
	int len = 0, half = -1;
	bool hex = false;

	for (; *text != '\0'; text++) {
		int digit = hex_digit(*text);
		int byte = -1;

		if (*text == '|') {
			if (half >= 0)
				return rule_refuse(parser, "a byte between | | has one hex digit");
			hex = !hex;
		} else if (hex && digit >= 0) {
			byte = half < 0 ? -1 : half << 4 | digit;
			half = half < 0 ? digit : -1;
		} else if (hex) {
			if (!isspace((unsigned char)*text))
				return rule_refuse(parser, "'%c' between | | is no hex digit", *text);
		} else {
			if (*text == '\\' && text[1] != '\0')
				text++;
			byte = (uint8_t)*text;
		}
		if (byte < 0)
			continue;
		if (len == RULE_CONTENT_LEN_MAX)
			return rule_refuse(parser, "longer than %d bytes", RULE_CONTENT_LEN_MAX);
		out[len++] = (uint8_t)byte;
	}
	if (hex || half >= 0)
		return rule_refuse(parser, "the closing | is missing");
	if (len == 0)
		return rule_refuse(parser, "the content is empty");
	return len;
}

int
rule_setup_content(struct rule_parser *parser, char *value)
{
	uint8_t bytes[RULE_CONTENT_LEN_MAX];
	bool negated = *value == '!';
	size_t len;

	value = rule_trim(value + negated);
	len = strlen(value);
	if (len < 2 || value[0] != '"' || value[len - 1] != '"')
		return rule_refuse(parser, "the text must be in quotes");
	value[len - 1] = '\0';
	int count = rule_content_bytes(parser, value + 1, bytes);

	if (count < 0)
		return count;
	parser->draft.flags |= parser->behind_bare && parser->buffer < 0 ? RULE_BARE : 0;
	struct rule_node *node = rule_add_node(parser, NODE_CONTENT);

	if (node == NULL)
		return -EINVAL;
	node->flags = negated ? NODE_NEGATED : 0;
	node->content.bytes = rule_arena_copy(&parser->set->arena, bytes, (size_t)count);
	node->content.len = (uint16_t)count;
	node->content.offset.var = -1;
	node->content.depth.var = -1;
	return node->content.bytes == NULL ? rule_no_memory(parser) : 0;
}

static struct rule_node *
content_last(struct rule_parser *parser)
{
	if (parser->last_content == NULL)
		rule_refuse(parser, "there is no content before it");
	return parser->last_content;
}

int
rule_setup_nocase(struct rule_parser *parser, char *value)
{
	struct rule_node *node = content_last(parser);

	(void)value;
	if (node == NULL)
		return -EINVAL;
	uint8_t *lower = rule_arena_copy(&parser->set->arena, node->content.bytes, node->content.len);

	if (lower == NULL)
		return rule_no_memory(parser);
	for (unsigned int i = 0; i < node->content.len; i++)
		lower[i] = (uint8_t)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] | 0x20 : lower[i]);
	node->content.bytes = lower;
	node->flags |= NODE_NOCASE;
	return 0;
}

static int
content_place(struct rule_parser *parser, char *value, uint32_t flags, uint32_t excluded, bool is_depth)
{
	struct rule_node *node = content_last(parser);

	if (node == NULL)
		return -EINVAL;
	if ((node->flags & excluded) != 0)
		return rule_refuse(parser, "offset and depth do not go with distance and within");
	struct rule_value *target = is_depth ? &node->content.depth : &node->content.offset;
	int ret = rule_value_parse(parser, value, target);

	if (ret != 0)
		return ret;
	if (target->var < 0 && (target->number > INT32_MAX / 4 || target->number < -INT32_MAX / 4))
		return rule_refuse(parser, "%s is out of range", value);
	if (is_depth && target->var < 0 && target->number < node->content.len)
		return rule_refuse(parser, "%s bytes are fewer than the content's %u", value, node->content.len);
	if (!is_depth && (flags & NODE_RELATIVE) == 0 && target->var < 0 && target->number < 0)
		return rule_refuse(parser, "an offset cannot be negative");
	node->flags |= flags | (target->var >= 0 ? NODE_USES_VAR : 0);
	return 0;
}

int
rule_setup_offset(struct rule_parser *parser, char *value)
{
	return content_place(parser, value, NODE_OFFSET, NODE_RELATIVE, false);
}

int
rule_setup_depth(struct rule_parser *parser, char *value)
{
	return content_place(parser, value, NODE_DEPTH, NODE_RELATIVE, true);
}

int
rule_setup_distance(struct rule_parser *parser, char *value)
{
	struct rule_node *node = content_last(parser);
	bool within = node != NULL && (node->flags & NODE_RELATIVE) != 0;

	return content_place(parser, value, NODE_RELATIVE, NODE_OFFSET | (within ? 0 : NODE_DEPTH), false);
}

int
rule_setup_within(struct rule_parser *parser, char *value)
{
	return content_place(parser, value, NODE_RELATIVE | NODE_DEPTH, NODE_OFFSET, true);
}

int
rule_setup_startswith(struct rule_parser *parser, char *value)
{
	struct rule_node *node = content_last(parser);

	(void)value;
	if (node == NULL)
		return -EINVAL;
	if ((node->flags & (NODE_OFFSET | NODE_DEPTH | NODE_RELATIVE)) != 0)
		return rule_refuse(parser, "startswith does not go with offset, depth, distance or within");
	node->content.depth.number = node->content.len;
	node->flags |= NODE_OFFSET | NODE_DEPTH;
	return 0;
}

int
rule_setup_endswith(struct rule_parser *parser, char *value)
{
	struct rule_node *node = content_last(parser);

	(void)value;
	if (node == NULL)
		return -EINVAL;
	node->flags |= NODE_ENDSWITH;
	return 0;
}

int
rule_setup_rawbytes(struct rule_parser *parser, char *value)
{
	(void)value;
	return content_last(parser) == NULL ? -EINVAL : 0;
}

int
rule_setup_fast_pattern(struct rule_parser *parser, char *value)
{
	struct rule_node *node = content_last(parser);
	int64_t offset, len;

	if (node == NULL)
		return -EINVAL;
	node->flags |= NODE_FAST;
	if (value == NULL || *value == '\0')
		return 0;
	if (strcmp(value, "only") == 0)
		return 0;
	char *comma = strchr(value, ',');

	if (comma == NULL)
		return rule_refuse(parser, "fast_pattern takes nothing, only, or offset,length");
	*comma = '\0';
	if (!rule_integer(rule_trim(value), &offset) || !rule_integer(rule_trim(comma + 1), &len) || offset < 0 || len < 1
		|| offset + len > node->content.len)
		return rule_refuse(parser, "offset and length must lie inside the content");
	node->content.fast_offset = (uint16_t)offset;
	node->content.fast_len = (uint16_t)len;
	return 0;
}

int
rule_setup_isdataat(struct rule_parser *parser, char *value)
{
	bool negated = *value == '!';
	char *rest = value + negated;
	struct rule_node *node = rule_add_node(parser, NODE_ISDATAAT);
	char *piece = rule_split(&rest, ',');

	if (node == NULL)
		return -EINVAL;
	node->flags = negated ? NODE_NEGATED : 0;
	int ret = rule_value_parse(parser, piece, &node->byte.offset);

	if (ret != 0)
		return ret;
	if (node->byte.offset.var < 0 && (node->byte.offset.number < 0 || node->byte.offset.number > 65535))
		return rule_refuse(parser, "isdataat goes from 0 to 65535");
	node->flags |= node->byte.offset.var >= 0 ? NODE_USES_VAR : 0;
	while ((piece = rule_split(&rest, ',')) != NULL) {
		if (strcmp(piece, "relative") == 0)
			node->flags |= NODE_RELATIVE;
		else if (strcmp(piece, "rawbytes") != 0)
			return rule_refuse(parser, "\"%.40s\" is not relative or rawbytes", piece);
	}
	/* "no byte further on" asks for the byte at the place itself; that no byte is needed would hold everywhere */
	if ((node->flags & NODE_RELATIVE) != 0 && node->byte.offset.var < 0 && node->byte.offset.number == 0)
		node->byte.offset.number = 1;
	return 0;
}

int
rule_setup_bsize(struct rule_parser *parser, char *value)
{
	if (parser->buffer < 0)
		return rule_refuse(parser, "there is no sticky buffer before it");
	struct rule_node *node = rule_add_node(parser, NODE_BSIZE);

	int ret = node == NULL ? -EINVAL : rule_numbers_parse(parser, value, NULL, false, &node->size);

	return ret != 0 ? ret : rule_numbers_check(parser, &node->size, 0, INT64_MAX);
}

int
rule_setup_pkt_data(struct rule_parser *parser, char *value)
{
	(void)value;
	parser->buffer = -1;
	parser->last_content = NULL;
	return 0;
}

#define HEADER_BUFFER(name, buffer_kind, class_bits) \
	int rule_setup_##name(struct rule_parser *parser, char *value) \
	{ \
		const struct rule_buffer buffer = { .kind = (buffer_kind), .app = RULE_APP_NONE }; \
\
		(void)value; \
		if (((class_bits) & parser->draft.classes) == 0) \
			return rule_refuse(parser, "the rule's protocol has no such header"); \
		return rule_use_buffer(parser, &buffer); \
	}

HEADER_BUFFER(buffer_ether, BUFFER_ETHER_HDR, 0xff)
HEADER_BUFFER(buffer_ipv4, BUFFER_IPV4_HDR, 0xff)
HEADER_BUFFER(buffer_ipv6, BUFFER_IPV6_HDR, 0xff)
HEADER_BUFFER(buffer_tcp, BUFFER_TCP_HDR, 1 << CLASS_TCP)
HEADER_BUFFER(buffer_udp, BUFFER_UDP_HDR, 1 << CLASS_UDP)
HEADER_BUFFER(buffer_icmpv4, BUFFER_ICMPV4_HDR, 1 << CLASS_ICMP)
HEADER_BUFFER(buffer_icmpv6, BUFFER_ICMPV6_HDR, 1 << CLASS_ICMPV6)
