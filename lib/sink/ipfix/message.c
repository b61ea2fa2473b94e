#include "lib/sink/ipfix/message.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/flow/flow.h"
#include "lib/sink/outlet.h"
#include "lib/store/function.h"

enum {
	VERSION = 10,
	SET_TEMPLATE = 2,
	SET_OPTIONS_TEMPLATE = 3,
	TEMPLATE_FIRST = 256,
	TEMPLATE_TYPES = TEMPLATE_FIRST + IPFIX_TEMPLATE_COUNT,
	REVERSE = 29305,      /* RFC 5103 6.1: the enterprise of reverse elements */
	OWN = 1,              /* stands for the configured enterprise */
	VARIABLE = 0xffff,
	ETHERNET_LEN = 14, TAG_LEN = 4,
	BIFLOW_BY_INITIATOR = 1, /* RFC 5103 6.3 */
};

enum kind {
	KIND_NUMBER,
	KIND_IP,
	KIND_MAC,
	KIND_TIME,     /* milliseconds since the Unix epoch */
	KIND_PROTO,
	KIND_REASON,
	KIND_HEX,
	KIND_BOOL,
	KIND_VLAN,     /* the outermost */
	KIND_OCTETS,   /* of IP: EVE counts whole frames */
	KIND_TEXT,
	KIND_INITIATOR,
	KIND_FUNCTION_CODE,
	KIND_FUNCTION_NAME,
};

/* One row an element of a template. */
struct element {
	uint32_t enterprise;
	uint16_t id;
	uint16_t len;
	enum kind kind;
	const char *path; /* in the event */
	const char *more; /* KIND_OCTETS: the packets */
};

/* ---- the enterprise's elements ---- */

enum { OWN_COMMUNITY = 1, OWN_ALERTED, OWN_TRANSACTIONS, OWN_FUNCTION_CODE, OWN_FUNCTION_NAME };
enum data_type { TYPE_UNSIGNED8 = 1, TYPE_UNSIGNED32 = 3, TYPE_UNSIGNED64 = 4, TYPE_STRING = 13 }; /* RFC 5610 3.1 */
enum semantics { SEMANTICS_DEFAULT = 0, SEMANTICS_DELTA = 3, SEMANTICS_IDENTIFIER = 4 };            /* RFC 5610 3.6 */

static const struct own_element {
	uint16_t id;
	enum data_type type;
	enum semantics semantics;
	uint64_t end; /* of the values; 0: what the type has */
	const char *name;
	const char *description;
} own_elements[] = {
	{ OWN_COMMUNITY, TYPE_STRING, SEMANTICS_IDENTIFIER, 0, "communityId", "Community ID of the flow" },
	{ OWN_ALERTED, TYPE_UNSIGNED8, SEMANTICS_DEFAULT, 1, "alerted", "1: a rule fired on the flow" },
	{ OWN_TRANSACTIONS, TYPE_UNSIGNED64, SEMANTICS_DELTA, 0, "transactionCount", "requests, with or without their responses" },
	{ OWN_FUNCTION_CODE, TYPE_UNSIGNED32, SEMANTICS_IDENTIFIER, 0, "functionCode", "as the protocol numbers its functions" },
	{ OWN_FUNCTION_NAME, TYPE_STRING, SEMANTICS_DEFAULT, 0, "functionName", "as the protocol names it" },
};

/* RFC 5610 3.9: the first two are the scope. */
static const struct {
	uint16_t id, len;
} type_fields[] = {
	{ 346, 4 },        /* privateEnterpriseNumber */
	{ 303, 2 },        /* informationElementId */
	{ 339, 1 },        /* informationElementDataType */
	{ 344, 1 },        /* informationElementSemantics */
	{ 345, 2 },        /* informationElementUnits */
	{ 342, 8 },        /* informationElementRangeBegin */
	{ 343, 8 },        /* informationElementRangeEnd */
	{ 341, VARIABLE }, /* informationElementName */
	{ 340, VARIABLE }, /* informationElementDescription */
};

enum { TYPE_FIELD_COUNT = sizeof(type_fields) / sizeof(type_fields[0]), TYPE_SCOPE_COUNT = 2 };

/* ---- templates ---- */

#define FLOW(ip_len, src, dst) { \
	{ 0, 152, 8, KIND_TIME, "flow.start", NULL },            /* flowStartMilliseconds */ \
	{ 0, 153, 8, KIND_TIME, "flow.end", NULL }, \
	{ 0, src, ip_len, KIND_IP, "src_ip", NULL }, \
	{ 0, dst, ip_len, KIND_IP, "dest_ip", NULL }, \
	{ 0, 7, 2, KIND_NUMBER, "src_port", NULL },              /* sourceTransportPort */ \
	{ 0, 11, 2, KIND_NUMBER, "dest_port", NULL }, \
	{ 0, 4, 1, KIND_PROTO, "proto", NULL },                  /* protocolIdentifier */ \
	{ 0, 136, 1, KIND_REASON, "flow.reason", NULL },         /* flowEndReason */ \
	{ 0, 239, 1, KIND_INITIATOR, "", NULL },                 /* biflowDirection */ \
	{ 0, 1, 8, KIND_OCTETS, "flow.bytes_toserver", "flow.pkts_toserver" }, /* octetDeltaCount */ \
	{ REVERSE, 1, 8, KIND_OCTETS, "flow.bytes_toclient", "flow.pkts_toclient" }, \
	{ 0, 2, 8, KIND_NUMBER, "flow.pkts_toserver", NULL },    /* packetDeltaCount */ \
	{ REVERSE, 2, 8, KIND_NUMBER, "flow.pkts_toclient", NULL }, \
	{ 0, 352, 8, KIND_NUMBER, "flow.bytes_toserver", NULL }, /* layer2OctetDeltaCount */ \
	{ REVERSE, 352, 8, KIND_NUMBER, "flow.bytes_toclient", NULL }, \
	{ 0, 6, 1, KIND_HEX, "tcp.tcp_flags_ts", NULL },         /* tcpControlBits */ \
	{ REVERSE, 6, 1, KIND_HEX, "tcp.tcp_flags_tc", NULL }, \
	{ 0, 58, 2, KIND_VLAN, "vlan", NULL },                   /* vlanId */ \
	{ 0, 56, 6, KIND_MAC, "ether.src_mac", NULL },           /* sourceMacAddress */ \
	{ 0, 80, 6, KIND_MAC, "ether.dest_mac", NULL },          /* destinationMacAddress */ \
	{ 0, 148, 8, KIND_NUMBER, "flow_id", NULL },             /* flowId */ \
	{ OWN, OWN_ALERTED, 1, KIND_BOOL, "flow.alerted", NULL }, \
	{ OWN, OWN_TRANSACTIONS, 8, KIND_NUMBER, "flow.tx_cnt", NULL }, \
	{ 0, 96, VARIABLE, KIND_TEXT, "app_proto", NULL },       /* applicationName */ \
	{ OWN, OWN_COMMUNITY, VARIABLE, KIND_TEXT, "community_id", NULL }, \
	{ 0 }, \
}

#define CALL(ip_len, src, dst) { \
	{ 0, 323, 8, KIND_TIME, "timestamp", NULL },             /* observationTimeMilliseconds */ \
	{ 0, src, ip_len, KIND_IP, "src_ip", NULL }, \
	{ 0, dst, ip_len, KIND_IP, "dest_ip", NULL }, \
	{ 0, 7, 2, KIND_NUMBER, "src_port", NULL }, \
	{ 0, 11, 2, KIND_NUMBER, "dest_port", NULL }, \
	{ 0, 4, 1, KIND_PROTO, "proto", NULL }, \
	{ 0, 148, 8, KIND_NUMBER, "flow_id", NULL }, \
	{ OWN, OWN_FUNCTION_CODE, 4, KIND_FUNCTION_CODE, "", NULL }, \
	{ 0, 96, VARIABLE, KIND_TEXT, "event_type", NULL }, \
	{ OWN, OWN_FUNCTION_NAME, VARIABLE, KIND_FUNCTION_NAME, "", NULL }, \
	{ 0 }, \
}

static const struct element templates[IPFIX_TEMPLATE_COUNT][28] = {
	[IPFIX_FLOW4] = FLOW(4, 8, 12),
	[IPFIX_FLOW6] = FLOW(16, 27, 28),
	[IPFIX_CALL4] = CALL(4, 8, 12),
	[IPFIX_CALL6] = CALL(16, 27, 28),
};

/* ---- numbers in network order ---- */

static void
put_number(struct buf *out, uint64_t value, unsigned int len)
{
	for (unsigned int shift = 8 * len; shift > 0; shift -= 8)
		buf_putc(out, (char)(value >> (shift - 8) & 0xff));
}

static void
set_number(struct buf *out, size_t at, uint64_t value, unsigned int len)
{
	struct buf place = { .data = out->data + at, .cap = len };

	put_number(&place, value, len);
}

/* ---- values ---- */

static uint64_t
number_at(const json_t *event, const char *path)
{
	json_int_t value = json_integer_value(outlet_value_at(event, path));

	return value < 0 ? 0 : (uint64_t)value;
}

static uint64_t
time_ms(const char *text)
{
	struct tm parts = { 0 };
	const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
	time_t seconds = rest == NULL ? -1 : timegm(&parts);
	unsigned int ms = 0;

	if (seconds < 0)
		return 0;
	if (*rest == '.' && sscanf(rest, ".%3u", &ms) != 1)
		ms = 0;
	return (uint64_t)seconds * 1000 + ms;
}

/* EVE's names; protocols without one are numbers there, as text with zeros before. 255: none */
static uint64_t
protocol_number(const char *name)
{
	static const struct {
		const char *name;
		uint8_t number;
	} usual[] = { { "TCP", 6 }, { "UDP", 17 }, { "ICMP", 1 }, { "IPv6-ICMP", 58 }, { "SCTP", 132 }, { "GRE", 47 }, { "IGMP", 2 } };
	unsigned long number;
	char *end;

	for (size_t i = 0; name != NULL && i < sizeof(usual) / sizeof(usual[0]); i++)
		if (strcmp(usual[i].name, name) == 0)
			return usual[i].number;
	number = name == NULL ? 255 : strtoul(name, &end, 10);
	return name != NULL && *name != '\0' && *end == '\0' && number < 255 ? number : 255;
}

static uint64_t
end_reason(const char *name)
{
	for (unsigned int i = 0; name != NULL && i < FLOW_END_COUNT; i++)
		if (strcmp(flow_end_names[i], name) == 0)
			return flow_end_reason_ipfix[i];
	return 0;
}

static unsigned int
tags_of(const json_t *event)
{
	const json_t *vlan = json_object_get(event, "vlan");

	return vlan == NULL ? 0 : json_is_array(vlan) ? (unsigned int)json_array_size(vlan) : 1;
}

static uint64_t
octets(const json_t *event, const struct element *element)
{
	uint64_t frames = number_at(event, element->path);
	uint64_t link = number_at(event, element->more) * (ETHERNET_LEN + TAG_LEN * tags_of(event));

	return frames > link ? frames - link : 0;
}

/* What a request asks; where there is none, what a message says. -1: nothing that has a number */
static int64_t
function_code(const json_t *event)
{
	int64_t answer = -1;
	bool response;

	for (unsigned int i = 0; i < store_function_count; i++) {
		const json_t *value = outlet_value_at(event, store_functions[i].code);
		int32_t code = value == NULL ? -1 : store_function_code(&store_functions[i], json_integer_value(value), &response);

		if (code >= 0 && !response)
			return code;
		if (code >= 0)
			answer = code;
	}
	return answer;
}

/* RFC 7011 7: one byte of length below 255. */
static void
put_text(struct buf *out, const char *text)
{
	size_t len = text == NULL ? 0 : strnlen(text, IPFIX_STRING_MAX);

	/* A character of UTF-8 is cut whole or not at all. */
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	buf_putc(out, (char)len);
	buf_put(out, text, len);
}

static void
put_mac(struct buf *out, const char *text)
{
	unsigned int bytes[6] = { 0 };

	if (text == NULL || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4],
		&bytes[5]) != 6)
		memset(bytes, 0, sizeof(bytes));
	for (unsigned int i = 0; i < 6; i++)
		buf_putc(out, (char)bytes[i]);
}

static void
put_ip(struct buf *out, const char *text, unsigned int len)
{
	uint8_t bytes[16] = { 0 };

	if (text == NULL || inet_pton(len == 4 ? AF_INET : AF_INET6, text, bytes) != 1)
		memset(bytes, 0, sizeof(bytes));
	buf_put(out, bytes, len);
}

static uint64_t
number_of(const json_t *event, const struct element *element)
{
	const json_t *value = outlet_value_at(event, element->path);
	const char *text = json_string_value(value);
	int64_t code;

	switch (element->kind) {
	case KIND_TIME: return time_ms(text);
	case KIND_PROTO: return protocol_number(text);
	case KIND_REASON: return end_reason(text);
	case KIND_HEX: return text == NULL ? 0 : strtoul(text, NULL, 16) & 0xff;
	case KIND_BOOL: return json_is_true(value);
	case KIND_VLAN: return number_at(event, "vlan") | (uint64_t)json_integer_value(json_array_get(value, 0));
	case KIND_OCTETS: return octets(event, element);
	case KIND_INITIATOR: return BIFLOW_BY_INITIATOR;
	case KIND_FUNCTION_CODE:
		code = function_code(event);
		return code < 0 ? UINT32_MAX : (uint64_t)code;
	default: return number_at(event, element->path);
	}
}

static void
put_element(struct buf *out, const json_t *event, const struct element *element)
{
	const char *text = json_string_value(outlet_value_at(event, element->path));

	switch (element->kind) {
	case KIND_IP: put_ip(out, text, element->len); break;
	case KIND_MAC: put_mac(out, text); break;
	case KIND_TEXT: put_text(out, text); break;
	case KIND_FUNCTION_NAME: put_text(out, store_function_name(event)); break;
	default: put_number(out, number_of(event, element), element->len); break;
	}
}

int
ipfix_encode(const struct ipfix_message *message, const json_t *event, enum ipfix_template *id, struct buf *record)
{
	const char *type = json_string_value(json_object_get(event, "event_type"));
	const char *address = json_string_value(json_object_get(event, "src_ip"));
	bool flow = type != NULL && strcmp(type, "flow") == 0;

	/* Flows without addresses are those of Ethernet alone; of other events only those that name a function go. */
	if (type == NULL || address == NULL || (!flow && (strcmp(type, "alert") == 0 || function_code(event) < 0)))
		return -ENOENT;
	*id = (flow ? IPFIX_FLOW4 : IPFIX_CALL4) + (strchr(address, ':') != NULL);
	buf_reset(record);
	for (const struct element *element = templates[*id]; element->len != 0; element++)
		put_element(record, event, element);
	return record->full ? -ENOENT : 0;
}

/* ---- messages ---- */

void
ipfix_begin(struct ipfix_message *message)
{
	buf_reset(&message->out);
	message->records = 0;
	message->set_at = 0;
	for (unsigned int i = 0; i < IPFIX_HEADER_LEN; i++)
		buf_putc(&message->out, 0);
}

static void
close_set(struct ipfix_message *message)
{
	if (message->set_at != 0)
		set_number(&message->out, message->set_at + 2, message->out.len - message->set_at, 2);
	message->set_at = 0;
}

static void
open_set(struct ipfix_message *message, uint16_t id)
{
	close_set(message);
	message->set_at = message->out.len;
	message->set_id = id;
	put_number(&message->out, id, 2);
	put_number(&message->out, 0, 2);
}

static void
put_template(struct ipfix_message *message, enum ipfix_template id)
{
	unsigned int count = 0;

	while (templates[id][count].len != 0)
		count++;
	put_number(&message->out, TEMPLATE_FIRST + id, 2);
	put_number(&message->out, count, 2);
	for (unsigned int i = 0; i < count; i++) {
		const struct element *element = &templates[id][i];
		uint32_t enterprise = element->enterprise == OWN ? message->enterprise : element->enterprise;

		put_number(&message->out, element->id | (enterprise != 0 ? 0x8000u : 0), 2);
		put_number(&message->out, element->len, 2);
		if (enterprise != 0)
			put_number(&message->out, enterprise, 4);
	}
}

bool
ipfix_put_templates(struct ipfix_message *message)
{
	if (!buf_has(&message->out, IPFIX_TEMPLATES_LEN))
		return false;
	open_set(message, SET_TEMPLATE);
	for (unsigned int i = 0; i < IPFIX_TEMPLATE_COUNT; i++)
		put_template(message, i);
	open_set(message, SET_OPTIONS_TEMPLATE);
	put_number(&message->out, TEMPLATE_TYPES, 2);
	put_number(&message->out, TYPE_FIELD_COUNT, 2);
	put_number(&message->out, TYPE_SCOPE_COUNT, 2);
	for (unsigned int i = 0; i < TYPE_FIELD_COUNT; i++) {
		put_number(&message->out, type_fields[i].id, 2);
		put_number(&message->out, type_fields[i].len, 2);
	}
	close_set(message);
	assert(!message->out.full);
	return true;
}

/* What the type itself has, where the table says nothing else; of strings a range says nothing. */
static uint64_t
range_end(const struct own_element *element)
{
	static const uint64_t ends[] = { [TYPE_UNSIGNED8] = UINT8_MAX, [TYPE_UNSIGNED32] = UINT32_MAX, [TYPE_UNSIGNED64] = UINT64_MAX,
		[TYPE_STRING] = 0 };

	return element->end != 0 ? element->end : ends[element->type];
}

bool
ipfix_put_types(struct ipfix_message *message)
{
	struct buf *out = &message->out;

	if (!buf_has(out, IPFIX_TYPES_LEN))
		return false;
	open_set(message, TEMPLATE_TYPES);
	for (unsigned int i = 0; i < sizeof(own_elements) / sizeof(own_elements[0]); i++) {
		put_number(out, message->enterprise, 4);
		put_number(out, own_elements[i].id, 2);
		put_number(out, own_elements[i].type, 1);
		put_number(out, own_elements[i].semantics, 1);
		put_number(out, 0, 2);
		put_number(out, 0, 8);
		put_number(out, range_end(&own_elements[i]), 8);
		put_text(out, own_elements[i].name);
		put_text(out, own_elements[i].description);
		message->records++;
	}
	close_set(message);
	assert(!out->full);
	return true;
}

bool
ipfix_put(struct ipfix_message *message, enum ipfix_template id, const struct buf *record)
{
	uint16_t set_id = (uint16_t)(TEMPLATE_FIRST + id);

	if (!buf_has(&message->out, record->len + 4))
		return false;
	if (message->set_at == 0 || message->set_id != set_id)
		open_set(message, set_id);
	buf_put(&message->out, record->data, record->len);
	message->records++;
	return true;
}

size_t
ipfix_end(struct ipfix_message *message, uint64_t now_s)
{
	close_set(message);
	if (message->out.len <= IPFIX_HEADER_LEN)
		return 0;
	set_number(&message->out, 0, VERSION, 2);
	set_number(&message->out, 2, message->out.len, 2);
	set_number(&message->out, 4, now_s, 4);
	set_number(&message->out, 8, message->sequence, 4);
	set_number(&message->out, 12, message->domain, 4);
	message->sequence += message->records;
	return message->out.len;
}
