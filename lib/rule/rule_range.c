/*
 * Groups of addresses and ports: [a,!b,[c,d],$VAR]. A group is what it lists without what it
 * negates; a group of negations only is everything without those, or excepts them from the group it stands in. Nesting and variables are
 * walked with a stack, so that a hostile rule cannot make the walk deep.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_parser.h"

enum { GROUP_RANGES_MAX = 16384, GROUP_WORD_MAX = 256 };

/* IPv4 addresses live at ::ffff:0:0/96, so that one kind of range serves both. */
#define RANGE_V4_BASE ((rule_u128)0xffff << 32)
#define RANGE_V4_LAST (RANGE_V4_BASE | 0xffffffff)
#define RANGE_ALL     (~(rule_u128)0)

struct rule_group_cache_row {
	struct rule_group_cache_row *next;
	const void *made;
	char text[];
};

static int
range_add(struct rule_range_set *set, rule_u128 low, rule_u128 high)
{
	if (set->count == set->cap) {
		uint32_t cap = set->cap == 0 ? 8 : set->cap * 2;
		struct rule_range *ranges = cap > GROUP_RANGES_MAX ? NULL : realloc(set->ranges, cap * sizeof(*ranges));

		if (ranges == NULL)
			return -ENOMEM;
		set->ranges = ranges;
		set->cap = cap;
	}
	set->ranges[set->count++] = (struct rule_range){ low, high };
	return 0;
}

/* A range of IPv6 addresses that reaches over where those of IPv4 are kept is two: "::/0" has none of them. */
static int
range_add_apart(struct rule_range_set *set, rule_u128 low, rule_u128 high, bool addresses)
{
	if (!addresses || low >= RANGE_V4_BASE || high <= RANGE_V4_LAST)
		return range_add(set, low, high);
	if (range_add(set, low, RANGE_V4_BASE - 1) != 0)
		return -ENOMEM;
	return range_add(set, RANGE_V4_LAST + 1, high);
}

static int
range_compare(const void *left, const void *right)
{
	const struct rule_range *a = left, *b = right;

	return a->low < b->low ? -1 : a->low > b->low;
}

static void
range_normalise(struct rule_range_set *set)
{
	uint32_t kept = 0;

	if (set->count == 0)
		return;
	qsort(set->ranges, set->count, sizeof(set->ranges[0]), range_compare);
	for (uint32_t i = 1; i < set->count; i++) {
		struct rule_range *last = &set->ranges[kept];

		if (last->high == RANGE_ALL || set->ranges[i].low <= last->high + 1) {
			if (set->ranges[i].high > last->high)
				last->high = set->ranges[i].high;
		} else {
			set->ranges[++kept] = set->ranges[i];
		}
	}
	set->count = kept + 1;
}

/* out += listed without negated; everything without negated where nothing is listed. */
static int
range_subtract(struct rule_range_set *out, struct rule_range_set *listed, struct rule_range_set *negated, rule_u128 last)
{
	int ret = 0;

	if (listed->count == 0 && negated->count > 0)
		ret = range_add(listed, 0, last);
	range_normalise(listed);
	range_normalise(negated);
	for (uint32_t i = 0; ret == 0 && i < listed->count; i++) {
		rule_u128 low = listed->ranges[i].low, high = listed->ranges[i].high;
		bool left = true;

		for (uint32_t n = 0; ret == 0 && left && n < negated->count; n++) {
			const struct rule_range *cut = &negated->ranges[n];

			if (cut->high < low || cut->low > high)
				continue;
			if (cut->low > low)
				ret = range_add(out, low, cut->low - 1);
			left = cut->high < high;
			low = left ? cut->high + 1 : low;
		}
		if (ret == 0 && left)
			ret = range_add(out, low, high);
	}
	return ret;
}

/* ---- one address or port ---- */

static bool
address_number(const char *text, rule_u128 *value, unsigned int *bits)
{
	uint8_t bytes[16];
	uint32_t word;

	if (inet_pton(AF_INET, text, bytes) == 1) {
		memcpy(&word, bytes, sizeof(word));
		*value = RANGE_V4_BASE | __builtin_bswap32(word);
		*bits = 32;
		return true;
	}
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return false;
	*value = 0;
	for (unsigned int i = 0; i < sizeof(bytes); i++)
		*value = *value << 8 | bytes[i];
	*bits = 128;
	return true;
}

static bool
address_range(char *text, rule_u128 *low, rule_u128 *high)
{
	unsigned int bits, high_bits;
	int64_t prefix;
	char *slash = strchr(text, '/'), *dash = strchr(text, '-');
	rule_u128 mask;

	if (slash != NULL)
		*slash = '\0';
	else if (dash != NULL)
		*dash = '\0';
	if (!address_number(text, low, &bits))
		return false;
	*high = *low;
	if (slash == NULL && dash == NULL)
		return true;
	if (slash == NULL)
		return address_number(dash + 1, high, &high_bits) && high_bits == bits && *high >= *low;
	if (rule_integer(slash + 1, &prefix)) {
		if (prefix < 0 || prefix > bits)
			return false;
		mask = prefix == bits ? 0 : bits == 128 && prefix == 0 ? RANGE_ALL : ((rule_u128)1 << (bits - prefix)) - 1;
	} else {
		if (!address_number(slash + 1, &mask, &high_bits) || high_bits != 32 || bits != 32)
			return false;
		mask = ~(uint32_t)mask; /* a netmask */
	}
	*low &= ~mask;
	*high = *low | mask;
	return true;
}

static bool
port_range(char *text, rule_u128 *low, rule_u128 *high)
{
	int64_t first = 0, last = RULE_PORTS - 1;
	char *colon = strchr(text, ':');

	if (colon == NULL) {
		if (!rule_integer(text, &first))
			return false;
		last = first;
	} else {
		*colon = '\0';
		if ((*text != '\0' && !rule_integer(rule_trim(text), &first))
			|| (colon[1] != '\0' && !rule_integer(rule_trim(colon + 1), &last)))
			return false;
	}
	if (first < 0 || last >= RULE_PORTS || first > last)
		return false;
	*low = (rule_u128)first;
	*high = (rule_u128)last;
	return true;
}

/* ---- a group ---- */

struct group_frame {
	struct rule_range_set listed, negated;
	const char *back;  /* where to read on; NULL: in the text of the frame below */
	bool not;          /* the group itself is negated */
	bool variable;     /* ends with its text, not with ] */
};

struct group_walk {
	struct rule_parser *parser;
	struct group_frame frames[RULE_GROUP_DEPTH_MAX];
	unsigned int depth;
	const char *at;
	bool ports;
	rule_u128 last;
};

static int
group_push(struct group_walk *walk, bool not, bool variable, const char *back)
{
	if (walk->depth + 1 == RULE_GROUP_DEPTH_MAX)
		return rule_refuse(walk->parser, "groups are nested deeper than %d", RULE_GROUP_DEPTH_MAX);
	walk->depth++;
	walk->frames[walk->depth] = (struct group_frame){ .not = not, .variable = variable, .back = back };
	return 0;
}

static int
group_pop(struct group_walk *walk)
{
	struct group_frame *frame = &walk->frames[walk->depth];
	struct group_frame *below = &walk->frames[walk->depth - 1];
	/* "[a,[!b]]" excepts b from a. What a variable excepts is no business of the group that names it: "[$EXTERNAL_NET,10.0.0.1]". */
	bool exceptions = !frame->not && !frame->variable && frame->listed.count == 0;
	int ret = 0;

	for (uint32_t i = 0; exceptions && ret == 0 && i < frame->negated.count; i++)
		ret = range_add(&below->negated, frame->negated.ranges[i].low, frame->negated.ranges[i].high);
	if (!exceptions)
		ret = range_subtract(frame->not ? &below->negated : &below->listed, &frame->listed, &frame->negated, walk->last);

	if (frame->variable)
		walk->at = frame->back;
	free(frame->listed.ranges);
	free(frame->negated.ranges);
	*frame = (struct group_frame){ 0 };
	walk->depth--;
	return ret == 0 ? 0 : rule_no_memory(walk->parser);
}

/* Defaults as other sensors ship them; the configuration's vars come first. */
static const struct {
	const char *name, *text;
} group_defaults[2][22] = {
	{
		{ "HOME_NET", "any" }, { "EXTERNAL_NET", "any" }, { "HTTP_SERVERS", "$HOME_NET" },
		{ "SMTP_SERVERS", "$HOME_NET" }, { "SQL_SERVERS", "$HOME_NET" }, { "DNS_SERVERS", "$HOME_NET" },
		{ "TELNET_SERVERS", "$HOME_NET" }, { "AIM_SERVERS", "$EXTERNAL_NET" }, { "DC_SERVERS", "$HOME_NET" },
		{ "DNP3_SERVER", "$HOME_NET" }, { "DNP3_CLIENT", "$HOME_NET" }, { "MODBUS_CLIENT", "$HOME_NET" },
		{ "MODBUS_SERVER", "$HOME_NET" }, { "ENIP_CLIENT", "$HOME_NET" }, { "ENIP_SERVER", "$HOME_NET" },
		{ "BACNET_CLIENT", "$HOME_NET" }, { "BACNET_SERVER", "$HOME_NET" }, { "S7_CLIENT", "$HOME_NET" },
		{ "S7_SERVER", "$HOME_NET" }, { "IEC104_CLIENT", "$HOME_NET" }, { "IEC104_SERVER", "$HOME_NET" },
	},
	{
		{ "HTTP_PORTS", "80" }, { "SHELLCODE_PORTS", "!80" }, { "ORACLE_PORTS", "1521" }, { "SSH_PORTS", "22" },
		{ "DNP3_PORTS", "20000" }, { "MODBUS_PORTS", "502" }, { "FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]" },
		{ "FTP_PORTS", "21" }, { "GENEVE_PORTS", "6081" }, { "VXLAN_PORTS", "4789" }, { "TEREDO_PORTS", "3544" },
		{ "SIP_PORTS", "[5060,5061]" }, { "ENIP_PORTS", "44818" }, { "S7_PORTS", "102" }, { "IEC104_PORTS", "2404" },
		{ "BACNET_PORTS", "47808" }, { "FOX_PORTS", "[1911,4911]" }, { "FINS_PORTS", "9600" },
	},
};

/* A group as text: YAML's own list of texts is what the same in quotes is. @return NULL: it is neither, or no memory */
static const char *
group_text(struct rule_parser *parser, const json_t *value)
{
	size_t len = 3, at = 1, i;
	json_t *item;
	char *text;

	if (json_is_string(value))
		return json_string_value(value);
	json_array_foreach(value, i, item)
		len += json_string_length(item) + 1;
	text = json_array_size(value) == 0 ? NULL : rule_arena_alloc(&parser->set->arena, len);
	if (text == NULL)
		return NULL;
	text[0] = '[';
	json_array_foreach(value, i, item) {
		if (!json_is_string(item))
			return NULL;
		memcpy(text + at, json_string_value(item), json_string_length(item));
		at += json_string_length(item);
		text[at++] = ',';
	}
	memcpy(text + at - 1, "]", 2);
	return text;
}

static const char *
group_variable(const struct group_walk *walk, const char *name)
{
	json_t *tree = walk->ports ? walk->parser->config->port_groups : walk->parser->config->address_groups;
	json_t *value = json_object_get(tree, name);

	if (value != NULL)
		return group_text(walk->parser, value);
	for (unsigned int i = 0; i < sizeof(group_defaults[0]) / sizeof(group_defaults[0][0]); i++)
		if (group_defaults[walk->ports][i].name != NULL && strcmp(group_defaults[walk->ports][i].name, name) == 0)
			return group_defaults[walk->ports][i].text;
	return NULL;
}

static int
group_word(struct group_walk *walk, bool not)
{
	struct group_frame *frame = &walk->frames[walk->depth];
	size_t len = strcspn(walk->at, ",[] \t");
	const char *text = walk->at;
	char word[GROUP_WORD_MAX];
	rule_u128 low, high;
	bool any;

	if (len == 0 || len >= sizeof(word))
		return rule_refuse(walk->parser, "a%s is missing", walk->ports ? " port" : "n address");
	memcpy(word, text, len);
	word[len] = '\0';
	walk->at += len;
	if (word[0] == '$') {
		text = group_variable(walk, word + 1);
		if (text == NULL)
			return rule_refuse(walk->parser, "variable %s is not defined in vars.%s-groups", word,
				walk->ports ? "port" : "address");
		int ret = group_push(walk, not, true, walk->at);

		walk->at = text;
		return ret;
	}
	any = strcasecmp(word, "any") == 0;
	if (any) {
		if (not)
			return rule_refuse(walk->parser, "!any can never match");
		low = 0;
		high = walk->last;
	} else if (!(walk->ports ? port_range(word, &low, &high) : address_range(word, &low, &high))) {
		return rule_refuse(walk->parser, "\"%.*s\" is not %s", (int)(len < 60 ? len : 60), text,
			walk->ports ? "a port or a range of ports" : "an address, prefix or range");
	}
	if (range_add_apart(not ? &frame->negated : &frame->listed, low, high, !walk->ports && !any) != 0)
		return rule_no_memory(walk->parser);
	return 0;
}

static int
group_walk_text(struct group_walk *walk)
{
	bool not = false;
	int ret = 0;

	while (ret == 0) {
		walk->at += strspn(walk->at, ", \t");
		char c = *walk->at;

		if (c == '!') {
			not = !not;
			walk->at++;
			continue;
		}
		if (not && (c == '\0' || c == ']'))
			return rule_refuse(walk->parser, "nothing stands behind !");
		if (c == '\0' && walk->frames[walk->depth].variable) {
			ret = group_pop(walk);
			continue;
		}
		if (c == '\0')
			break;
		if (c == '[') {
			walk->at++;
			ret = group_push(walk, not, false, NULL);
		} else if (c == ']') {
			if (walk->depth == 0 || walk->frames[walk->depth].variable)
				return rule_refuse(walk->parser, "] without [");
			walk->at++;
			ret = group_pop(walk);
		} else {
			ret = group_word(walk, not);
		}
		not = false;
	}
	if (ret == 0 && walk->depth > 0)
		return rule_refuse(walk->parser, "] is missing");
	return ret;
}

/* @param out  ranges owned by the caller, normalised */
static int
group_parse(struct rule_parser *parser, const char *text, bool ports, struct rule_range_set *out)
{
	struct group_walk walk = { .parser = parser, .at = text, .ports = ports, .last = ports ? RULE_PORTS - 1 : RANGE_ALL };
	int ret = group_walk_text(&walk);

	*out = (struct rule_range_set){ 0 };
	if (ret == 0 && range_subtract(out, &walk.frames[0].listed, &walk.frames[0].negated, walk.last) != 0)
		ret = rule_no_memory(parser);
	range_normalise(out);
	for (unsigned int i = 0; i < RULE_GROUP_DEPTH_MAX; i++) {
		free(walk.frames[i].listed.ranges);
		free(walk.frames[i].negated.ranges);
	}
	if (ret == 0 && out->count == 0)
		ret = rule_refuse(parser, "the group \"%.60s\" is empty: it can never match", text);
	if (ret != 0) {
		free(out->ranges);
		out->ranges = NULL;
	}
	return ret;
}

static const void *
cache_find(const struct rule_group_cache_row *row, const char *text)
{
	while (row != NULL && strcmp(row->text, text) != 0)
		row = row->next;
	return row == NULL ? NULL : row->made;
}

static int
cache_add(struct rule_parser *parser, struct rule_group_cache_row **rows, const char *text, const void *made)
{
	struct rule_group_cache_row *row = malloc(sizeof(*row) + strlen(text) + 1);

	if (row == NULL)
		return rule_no_memory(parser);
	memcpy(row->text, text, strlen(text) + 1);
	row->made = made;
	row->next = *rows;
	*rows = row;
	return 0;
}

static struct rule_addresses *
addresses_make(struct rule_arena *arena, const struct rule_range_set *set)
{
	struct rule_addresses *out = rule_arena_alloc(arena, sizeof(*out));
	uint32_t (*v4)[2] = rule_arena_alloc(arena, set->count * sizeof(*v4) + 1);
	rule_u128 (*v6)[2] = rule_arena_alloc(arena, 2 * set->count * sizeof(*v6) + 1);

	if (out == NULL || v4 == NULL || v6 == NULL)
		return NULL;
	for (uint32_t i = 0; i < set->count; i++) {
		rule_u128 low = set->ranges[i].low, high = set->ranges[i].high;

		if (low == 0 && high == RANGE_ALL)
			out->any = true;
		if (low <= RANGE_V4_LAST && high >= RANGE_V4_BASE) {
			v4[out->count4][0] = low < RANGE_V4_BASE ? 0 : (uint32_t)low;
			v4[out->count4++][1] = high > RANGE_V4_LAST ? UINT32_MAX : (uint32_t)high;
		}
		if (low < RANGE_V4_BASE || high > RANGE_V4_LAST) {
			v6[out->count6][0] = low;
			v6[out->count6++][1] = high;
		}
	}
	out->v4 = (const uint32_t (*)[2])v4;
	out->v6 = (const rule_u128 (*)[2])v6;
	return out;
}

int
rule_addresses_parse(struct rule_parser *parser, const char *text, const struct rule_addresses **out)
{
	struct rule_range_set set;

	*out = cache_find(parser->address_cache, text);
	if (*out != NULL)
		return 0;
	int ret = group_parse(parser, text, false, &set);

	if (ret != 0)
		return ret;
	*out = addresses_make(&parser->set->arena, &set);
	free(set.ranges);
	return *out == NULL ? rule_no_memory(parser) : cache_add(parser, &parser->address_cache, text, *out);
}

void
rule_note_home(struct rule_parser *parser)
{
	const struct rule_addresses *home = cache_find(parser->address_cache, "$HOME_NET");

	parser->set->home = home == NULL || home->any ? NULL : home;
}

int
rule_ports_parse(struct rule_parser *parser, const char *text, const struct rule_ports **out)
{
	struct rule_range_set set;

	*out = cache_find(parser->port_cache, text);
	if (*out != NULL)
		return 0;
	int ret = group_parse(parser, text, true, &set);

	if (ret != 0)
		return ret;
	struct rule_ports *ports = rule_arena_alloc(&parser->set->arena, sizeof(*ports));
	uint16_t (*ranges)[2] = rule_arena_alloc(&parser->set->arena, set.count * sizeof(*ranges));

	if (ports != NULL && ranges != NULL) {
		for (uint32_t i = 0; i < set.count; i++) {
			ranges[i][0] = (uint16_t)set.ranges[i].low;
			ranges[i][1] = (uint16_t)set.ranges[i].high;
		}
		ports->count = (uint16_t)set.count;
		ports->ranges = (const uint16_t (*)[2])ranges;
		ports->any = ranges[0][0] == 0 && ranges[0][1] == RULE_PORTS - 1;
	}
	free(set.ranges);
	*out = ports;
	return ports == NULL || ranges == NULL ? rule_no_memory(parser) : cache_add(parser, &parser->port_cache, text, ports);
}

void
rule_parser_groups_free(struct rule_parser *parser)
{
	struct rule_group_cache_row **lists[] = { &parser->address_cache, &parser->port_cache };

	for (unsigned int i = 0; i < 2; i++)
		while (*lists[i] != NULL) {
			struct rule_group_cache_row *row = *lists[i];

			*lists[i] = row->next;
			free(row);
		}
}

static int
groups_check(struct rule_parser *parser, const json_t *tree, bool ports, struct config_error *err)
{
	const struct rule_addresses *addresses;
	const struct rule_ports *port_set;
	char name[GROUP_WORD_MAX];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)tree, key, value) {
		const char *text = group_text(parser, value);
		int ret = 0;

		parser->reason[0] = '\0';
		snprintf(name, sizeof(name), "$%s", key);
		if (text == NULL)
			ret = rule_refuse(parser, "%s is expected, or a list of them; what begins with ! or [ stands in quotes", ports ? "a port" : "an address");
		else
			ret = ports ? rule_ports_parse(parser, name, &port_set) : rule_addresses_parse(parser, name, &addresses);
		if (ret == -EINVAL)
			snprintf(err->text, sizeof(err->text), "vars.%s-groups.%.100s: %s", ports ? "port" : "address", key, parser->reason);
		if (ret != 0)
			return ret;
	}
	return 0;
}

int
rule_vars_check(struct rule_parser *parser, struct config_error *err)
{
	int ret = groups_check(parser, parser->config->address_groups, false, err);

	return ret != 0 ? ret : groups_check(parser, parser->config->port_groups, true, err);
}
