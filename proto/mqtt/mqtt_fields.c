/*
 * The tables of MQTT: names of codes, the fields of each control packet (EVE keys, rule keywords and reference in one),
 * named events, counters, configuration keys. Names and keys are Suricata's where it has them.
 */
#include "proto/mqtt/sparkplug.h"

static const struct field_name types_rows[] = {
	{ MQTT_UNASSIGNED, "UNASSIGNED" },
	{ MQTT_CONNECT, "CONNECT" },
	{ MQTT_CONNACK, "CONNACK" },
	{ MQTT_PUBLISH, "PUBLISH" },
	{ MQTT_PUBACK, "PUBACK" },
	{ MQTT_PUBREC, "PUBREC" },
	{ MQTT_PUBREL, "PUBREL" },
	{ MQTT_PUBCOMP, "PUBCOMP" },
	{ MQTT_SUBSCRIBE, "SUBSCRIBE" },
	{ MQTT_SUBACK, "SUBACK" },
	{ MQTT_UNSUBSCRIBE, "UNSUBSCRIBE" },
	{ MQTT_UNSUBACK, "UNSUBACK" },
	{ MQTT_PINGREQ, "PINGREQ" },
	{ MQTT_PINGRESP, "PINGRESP" },
	{ MQTT_DISCONNECT, "DISCONNECT" },
	{ MQTT_AUTH, "AUTH" },
};
const struct field_names mqtt_types = FIELD_NAMES(types_rows, NULL);

/* V5 2.4; below 0x80 the meaning depends on the packet, and CONNACK of 3.1.1 has names of its own. */
static const struct field_name reasons_rows[] = {
	{ 0x00, "success" },
	{ 0x01, "granted QoS 1" },
	{ 0x02, "granted QoS 2" },
	{ 0x04, "disconnect with will message" },
	{ 0x10, "no matching subscribers" },
	{ 0x11, "no subscription existed" },
	{ 0x18, "continue authentication" },
	{ 0x19, "re-authenticate" },
	{ 0x80, "unspecified error" },
	{ 0x81, "malformed packet" },
	{ 0x82, "protocol error" },
	{ 0x83, "implementation specific error" },
	{ 0x84, "unsupported protocol version" },
	{ 0x85, "client identifier not valid" },
	{ 0x86, "bad user name or password" },
	{ 0x87, "not authorized" },
	{ 0x88, "server unavailable" },
	{ 0x89, "server busy" },
	{ 0x8a, "banned" },
	{ 0x8b, "server shutting down" },
	{ 0x8c, "bad authentication method" },
	{ 0x8d, "keep alive timeout" },
	{ 0x8e, "session taken over" },
	{ 0x8f, "topic filter invalid" },
	{ 0x90, "topic name invalid" },
	{ 0x91, "packet identifier in use" },
	{ 0x92, "packet identifier not found" },
	{ 0x93, "receive maximum exceeded" },
	{ 0x94, "topic alias invalid" },
	{ 0x95, "packet too large" },
	{ 0x96, "message rate too high" },
	{ 0x97, "quota exceeded" },
	{ 0x98, "administrative action" },
	{ 0x99, "payload format invalid" },
	{ 0x9a, "retain not supported" },
	{ 0x9b, "QoS not supported" },
	{ 0x9c, "use another server" },
	{ 0x9d, "server moved" },
	{ 0x9e, "shared subscriptions not supported" },
	{ 0x9f, "connection rate exceeded" },
	{ 0xa0, "maximum connect time" },
	{ 0xa1, "subscription identifiers not supported" },
	{ 0xa2, "wildcard subscriptions not supported" },
};
static const struct field_names reasons = FIELD_NAMES(reasons_rows, "unknown");

/* V3.1.1 3.2.2.3, and the codes of V5 behind them. */
static const struct field_name returns_rows[] = {
	{ 0x00, "accepted" },
	{ 0x01, "unacceptable protocol version" },
	{ 0x02, "identifier rejected" },
	{ 0x03, "server unavailable" },
	{ 0x04, "bad user name or password" },
	{ 0x05, "not authorized" },
	{ 0x80, "unspecified error" },
	{ 0x81, "malformed packet" },
	{ 0x82, "protocol error" },
	{ 0x83, "implementation specific error" },
	{ 0x84, "unsupported protocol version" },
	{ 0x85, "client identifier not valid" },
	{ 0x86, "bad user name or password" },
	{ 0x87, "not authorized" },
	{ 0x88, "server unavailable" },
	{ 0x89, "server busy" },
	{ 0x8a, "banned" },
	{ 0x8b, "server shutting down" },
	{ 0x8c, "bad authentication method" },
	{ 0x8d, "keep alive timeout" },
	{ 0x8e, "session taken over" },
	{ 0x8f, "topic filter invalid" },
	{ 0x90, "topic name invalid" },
	{ 0x91, "packet identifier in use" },
	{ 0x92, "packet identifier not found" },
	{ 0x93, "receive maximum exceeded" },
	{ 0x94, "topic alias invalid" },
	{ 0x95, "packet too large" },
	{ 0x96, "message rate too high" },
	{ 0x97, "quota exceeded" },
	{ 0x98, "administrative action" },
	{ 0x99, "payload format invalid" },
	{ 0x9a, "retain not supported" },
	{ 0x9b, "QoS not supported" },
	{ 0x9c, "use another server" },
	{ 0x9d, "server moved" },
	{ 0x9e, "shared subscriptions not supported" },
	{ 0x9f, "connection rate exceeded" },
	{ 0xa0, "maximum connect time" },
	{ 0xa1, "subscription identifiers not supported" },
	{ 0xa2, "wildcard subscriptions not supported" },
};
static const struct field_names returns = FIELD_NAMES(returns_rows, "unknown");

/* SpB 6.4.16 */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(text, rows, type) { .name = (text), .fields = (rows), .field_count = COUNT(rows), .size = sizeof(struct type) }

/* ---- properties ---- */

static const struct field user_property_fields[] = {
	{ "name", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct mqtt_user_property, name), NULL, NULL,
		"V5 3.1.2.11.8", "name" },
	{ "value", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct mqtt_user_property, value), NULL, NULL,
		"V5 3.1.2.11.8", "value" },
};
static const struct record_table user_property_table = TABLE("user_property", user_property_fields, mqtt_user_property);
const struct record_table *const mqtt_user_property_tables[] = { &user_property_table, NULL };

static const struct field property_fields[] = {
	{ "payload_format_indicator", FIELD_U8, MQTT_PROPERTY_PAYLOAD_FORMAT, 0,
		offsetof(struct mqtt_properties, payload_format_indicator), NULL, NULL,
		"V5 3.3.2.3.2", "1: the payload is UTF-8 text" },
	{ "message_expiry_interval", FIELD_U32, MQTT_PROPERTY_MESSAGE_EXPIRY, 0,
		offsetof(struct mqtt_properties, message_expiry_interval), NULL, NULL,
		"V5 3.3.2.3.3", "lifetime, seconds" },
	{ "content_type", FIELD_STRING, MQTT_PROPERTY_CONTENT_TYPE, 0,
		offsetof(struct mqtt_properties, content_type), NULL, NULL,
		"V5 3.3.2.3.9", "what the payload is" },
	{ "response_topic", FIELD_STRING, MQTT_PROPERTY_RESPONSE_TOPIC, 0,
		offsetof(struct mqtt_properties, response_topic), NULL, NULL,
		"V5 3.3.2.3.5", "topic of an answer" },
	{ "correlation_data", FIELD_STRING, MQTT_PROPERTY_CORRELATION_DATA, 0,
		offsetof(struct mqtt_properties, correlation_data), NULL, NULL,
		"V5 3.3.2.3.6", "ties an answer to its request" },
	{ "subscription_identifier", FIELD_SCALARS, MQTT_PROPERTY_SUBSCRIPTION_ID, FIELD_ONE,
		offsetof(struct mqtt_properties, subscription_identifiers), NULL, NULL,
		"V5 3.3.2.3.8", "the subscription, or each that the message is for" },
	{ "session_expiry_interval", FIELD_U32, MQTT_PROPERTY_SESSION_EXPIRY, 0,
		offsetof(struct mqtt_properties, session_expiry_interval), NULL, NULL,
		"V5 3.1.2.11.2", "seconds the session outlives the connection" },
	{ "assigned_client_identifier", FIELD_STRING, MQTT_PROPERTY_ASSIGNED_CLIENT_ID, 0,
		offsetof(struct mqtt_properties, assigned_client_identifier), NULL, NULL,
		"V5 3.2.2.3.7", "client id that the server chose" },
	{ "server_keep_alive", FIELD_U16, MQTT_PROPERTY_SERVER_KEEP_ALIVE, 0,
		offsetof(struct mqtt_properties, server_keep_alive), NULL, NULL,
		"V5 3.2.2.3.14", "keep alive that the server asks for, seconds" },
	{ "authentication_method", FIELD_STRING, MQTT_PROPERTY_AUTH_METHOD, 0,
		offsetof(struct mqtt_properties, authentication_method), NULL, NULL,
		"V5 3.1.2.11.9", "name of the authentication" },
	{ "authentication_data", FIELD_STRING, MQTT_PROPERTY_AUTH_DATA, 0,
		offsetof(struct mqtt_properties, authentication_data), NULL, NULL,
		"V5 3.1.2.11.10", "its data" },
	{ "request_problem_information", FIELD_U8, MQTT_PROPERTY_REQUEST_PROBLEM, 0,
		offsetof(struct mqtt_properties, request_problem_information), NULL, NULL,
		"V5 3.1.2.11.7", "1: reason strings are wanted" },
	{ "will_delay_interval", FIELD_U32, MQTT_PROPERTY_WILL_DELAY, 0,
		offsetof(struct mqtt_properties, will_delay_interval), NULL, NULL,
		"V5 3.1.3.2.2", "seconds before the will is published" },
	{ "request_response_information", FIELD_U8, MQTT_PROPERTY_REQUEST_RESPONSE, 0,
		offsetof(struct mqtt_properties, request_response_information), NULL, NULL,
		"V5 3.1.2.11.6", "1: response information is wanted" },
	{ "response_information", FIELD_STRING, MQTT_PROPERTY_RESPONSE_INFORMATION, 0,
		offsetof(struct mqtt_properties, response_information), NULL, NULL,
		"V5 3.2.2.3.15", "base of response topics" },
	{ "server_reference", FIELD_STRING, MQTT_PROPERTY_SERVER_REFERENCE, 0,
		offsetof(struct mqtt_properties, server_reference), NULL, NULL,
		"V5 3.2.2.3.16", "another server to use" },
	{ "reason_string", FIELD_STRING, MQTT_PROPERTY_REASON_STRING, 0,
		offsetof(struct mqtt_properties, reason_string), NULL, NULL,
		"V5 3.2.2.3.9", "reason, for the reader" },
	{ "receive_maximum", FIELD_U16, MQTT_PROPERTY_RECEIVE_MAXIMUM, 0,
		offsetof(struct mqtt_properties, receive_maximum), NULL, NULL,
		"V5 3.1.2.11.3", "QoS 1 and 2 messages in flight" },
	{ "topic_alias_maximum", FIELD_U16, MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM, 0,
		offsetof(struct mqtt_properties, topic_alias_maximum), NULL, NULL,
		"V5 3.1.2.11.5", "highest topic alias taken" },
	{ "topic_alias", FIELD_U16, MQTT_PROPERTY_TOPIC_ALIAS, 0,
		offsetof(struct mqtt_properties, topic_alias), NULL, NULL,
		"V5 3.3.2.3.4", "number that stands for the topic" },
	{ "maximum_qos", FIELD_U8, MQTT_PROPERTY_MAXIMUM_QOS, 0,
		offsetof(struct mqtt_properties, maximum_qos), NULL, NULL,
		"V5 3.2.2.3.4", "highest QoS of the server" },
	{ "retain_available", FIELD_U8, MQTT_PROPERTY_RETAIN_AVAILABLE, 0,
		offsetof(struct mqtt_properties, retain_available), NULL, NULL,
		"V5 3.2.2.3.5", "1: the server retains messages" },
	{ "user_properties", FIELD_LIST, MQTT_PROPERTY_USER, 0,
		offsetof(struct mqtt_properties, user_properties), NULL, mqtt_user_property_tables,
		"V5 3.1.2.11.8", "names and values of the user's own" },
	{ "maximum_packet_size", FIELD_U32, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE, 0,
		offsetof(struct mqtt_properties, maximum_packet_size), NULL, NULL,
		"V5 3.1.2.11.4", "longest packet taken, bytes" },
	{ "wildcard_subscription_available", FIELD_U8, MQTT_PROPERTY_WILDCARD_AVAILABLE, 0,
		offsetof(struct mqtt_properties, wildcard_subscription_available), NULL, NULL,
		"V5 3.2.2.3.11", "1: filters may have wildcards" },
	{ "subscription_identifiers_available", FIELD_U8, MQTT_PROPERTY_SUBSCRIPTION_IDS_AVAILABLE, 0,
		offsetof(struct mqtt_properties, subscription_identifiers_available), NULL, NULL,
		"V5 3.2.2.3.12", "1: subscriptions may have identifiers" },
	{ "shared_subscription_available", FIELD_U8, MQTT_PROPERTY_SHARED_AVAILABLE, 0,
		offsetof(struct mqtt_properties, shared_subscription_available), NULL, NULL,
		"V5 3.2.2.3.13", "1: subscriptions may be shared" },
	{ "skipped_length", FIELD_U32, MQTT_PROPERTY_SKIPPED, 0,
		offsetof(struct mqtt_properties, skipped_len), NULL, NULL,
		"V5 2.2.2.1", "bytes of properties that are more than are read" },
};
static const struct record_table property_table = TABLE("properties", property_fields, mqtt_properties);
const struct record_table *const mqtt_property_tables[] = { &property_table, NULL };

/* ---- rows that packets share ---- */

#define HEADER_ROWS \
	{ "qos", FIELD_U8, FIELD_ALWAYS, 0, offsetof(struct mqtt_message, qos), NULL, NULL, \
		"V5 3.3.1.2", "quality of service, bits 1 and 2 of the fixed header" }, \
	{ "retain", FIELD_BOOL, FIELD_ALWAYS, 0, offsetof(struct mqtt_message, retain), NULL, NULL, \
		"V5 3.3.1.3", "bit 0 of the fixed header" }, \
	{ "dup", FIELD_BOOL, FIELD_ALWAYS, 0, offsetof(struct mqtt_message, dup), NULL, NULL, \
		"V5 3.3.1.1", "sent again" }, \
	{ "truncated", FIELD_BOOL, MQTT_HAS_TRUNCATED, 0, offsetof(struct mqtt_message, truncated), NULL, NULL, \
		"own", "longer than max-msg-length: its payload is passed over" }, \
	{ "skipped_length", FIELD_U32, MQTT_HAS_TRUNCATED, 0, offsetof(struct mqtt_message, skipped_len), NULL, NULL, \
		"own", "its length, bytes" }
#define MESSAGE_ID_ROW \
	{ "message_id", FIELD_U16, MQTT_HAS_MESSAGE_ID, 0, offsetof(struct mqtt_message, message_id), NULL, NULL, \
		"V5 2.2.1", "packet identifier" }
#define REASON_ROWS \
	{ "reason_code", FIELD_U8, MQTT_HAS_CODE, 0, offsetof(struct mqtt_message, code), NULL, NULL, \
		"V5 2.4", "reason code" }, \
	{ "reason", FIELD_U8, MQTT_HAS_CODE, 0, offsetof(struct mqtt_message, code), &reasons, NULL, \
		"V5 2.4", "its name" }
#define PROPERTIES_ROW \
	{ "properties", FIELD_LIST, MQTT_HAS_PROPERTIES, FIELD_ONE, offsetof(struct mqtt_message, properties), NULL, \
		mqtt_property_tables, "V5 2.2.2", "properties" }

/* ---- packets ---- */

static const struct field unassigned_fields[] = {
	HEADER_ROWS,
};
static const struct record_table unassigned_table = TABLE("unassigned", unassigned_fields, mqtt_message);

static const struct field connect_fields[] = {
	HEADER_ROWS,
	{ "protocol_string", FIELD_STRING, FIELD_ALWAYS, 0,
		offsetof(struct mqtt_connect, protocol_string), NULL, NULL,
		"V5 3.1.2.1", "MQTT, or MQIsdp in 3.1" },
	{ "protocol_version", FIELD_U8, FIELD_ALWAYS, 0,
		offsetof(struct mqtt_connect, version), NULL, NULL,
		"V5 3.1.2.2", "3: 3.1, 4: 3.1.1, 5: 5.0; a bridge adds 128" },
	{ "client_id", FIELD_STRING, FIELD_ALWAYS, 0,
		offsetof(struct mqtt_connect, client_id), NULL, NULL,
		"V5 3.1.3.1", "client identifier" },
	{ "keep_alive", FIELD_U16, FIELD_ALWAYS, 0,
		offsetof(struct mqtt_connect, keep_alive_s), NULL, NULL,
		"V5 3.1.2.10", "seconds" },
	{ "flags.username", FIELD_BOOL, FIELD_ALWAYS, 0,
		offsetof(struct mqtt_connect, username_flag), NULL, NULL,
		"V5 3.1.2.3", "a user name follows" },
	{ "flags.password", FIELD_BOOL, FIELD_ALWAYS, 0,
		offsetof(struct mqtt_connect, password_flag), NULL, NULL,
		"V5 3.1.2.3", "a password follows" },
	{ "flags.will_retain", FIELD_BOOL, FIELD_ALWAYS, 0,
		offsetof(struct mqtt_connect, will_retain), NULL, NULL,
		"V5 3.1.2.3", "the will is retained" },
	{ "flags.will", FIELD_BOOL, FIELD_ALWAYS, 0,
		offsetof(struct mqtt_connect, will_flag), NULL, NULL,
		"V5 3.1.2.3", "a will follows" },
	{ "flags.clean_session", FIELD_BOOL, FIELD_ALWAYS, 0,
		offsetof(struct mqtt_connect, clean_session), NULL, NULL,
		"V5 3.1.2.3", "no earlier session is continued" },
	{ "username", FIELD_STRING, MQTT_HAS_USERNAME, 0,
		offsetof(struct mqtt_connect, username), NULL, NULL,
		"V5 3.1.3.5", "user name" },
	{ "password", FIELD_STRING, MQTT_HAS_PASSWORD, 0,
		offsetof(struct mqtt_connect, password), NULL, NULL,
		"V5 3.1.3.6", "password; only with the key passwords" },
	{ "secret", FIELD_STRING, MQTT_HAS_SECRET, FIELD_HIDDEN,
		offsetof(struct mqtt_connect, secret), NULL, NULL,
		"V5 3.1.3.6", "password, whatever is written" },
	{ "will.topic", FIELD_STRING, MQTT_HAS_WILL, 0,
		offsetof(struct mqtt_connect, will_topic), NULL, NULL,
		"V5 3.1.3.3", "topic of the will" },
	{ "will.message", FIELD_STRING, MQTT_HAS_WILL, 0,
		offsetof(struct mqtt_connect, will_message), NULL, NULL,
		"V5 3.1.3.4", "payload of the will" },
	{ "will.qos", FIELD_U8, MQTT_HAS_WILL, 0,
		offsetof(struct mqtt_connect, will_qos), NULL, NULL,
		"V5 3.1.2.6", "quality of service of the will" },
	{ "will.properties", FIELD_LIST, MQTT_HAS_WILL_PROPERTIES, FIELD_ONE,
		offsetof(struct mqtt_connect, will_properties), NULL, mqtt_property_tables,
		"V5 3.1.3.2", "properties of the will" },
	PROPERTIES_ROW,
};
static const struct record_table connect_table = TABLE("connect", connect_fields, mqtt_connect);

static const struct field connack_fields[] = {
	HEADER_ROWS,
	{ "session_present", FIELD_BOOL, MQTT_HAS_CODE, 0,
		offsetof(struct mqtt_message, session_present), NULL, NULL,
		"V5 3.2.2.1.1", "the server continues a session" },
	{ "return_code", FIELD_U8, MQTT_HAS_CODE, 0,
		offsetof(struct mqtt_message, code), NULL, NULL,
		"V3.1.1 3.2.2.3", "return code, or reason code of 5.0" },
	{ "return", FIELD_U8, MQTT_HAS_CODE, 0,
		offsetof(struct mqtt_message, code), &returns, NULL,
		"V3.1.1 3.2.2.3", "its name" },
	PROPERTIES_ROW,
};
static const struct record_table connack_table = TABLE("connack", connack_fields, mqtt_message);

static const struct field publish_fields[] = {
	HEADER_ROWS,
	{ "topic", FIELD_STRING, MQTT_HAS_BODY, 0,
		offsetof(struct mqtt_message, topic), NULL, NULL,
		"V5 3.3.2.1", "topic name" },
	MESSAGE_ID_ROW,
	{ "message", FIELD_STRING, MQTT_HAS_MESSAGE, 0,
		offsetof(struct mqtt_message, message), NULL, NULL,
		"V5 3.3.3", "payload, cut at string-log-limit" },
	{ "message_length", FIELD_U32, MQTT_HAS_PAYLOAD, 0,
		offsetof(struct mqtt_message, message_len), NULL, NULL,
		"V5 3.3.3", "bytes of the payload" },
	{ "payload", FIELD_STRING, MQTT_HAS_PAYLOAD, FIELD_HIDDEN,
		offsetof(struct mqtt_message, payload), NULL, NULL,
		"V5 3.3.3", "payload, as far as it is read" },
	PROPERTIES_ROW,
};
static const struct record_table publish_table = TABLE("publish", publish_fields, mqtt_message);

static const struct field ack_fields[] = {
	HEADER_ROWS,
	MESSAGE_ID_ROW,
	REASON_ROWS,
	PROPERTIES_ROW,
};
static const struct record_table ack_table = TABLE("ack", ack_fields, mqtt_message);

static const struct field topic_fields[] = {
	{ "topic", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct mqtt_topic, topic), NULL, NULL,
		"V5 3.8.3", "topic filter" },
	{ "qos", FIELD_U8, MQTT_TOPIC_HAS_QOS, 0, offsetof(struct mqtt_topic, qos), NULL, NULL,
		"V5 3.8.3.1", "highest QoS asked for" },
	{ "no_local", FIELD_BOOL, MQTT_TOPIC_HAS_OPTIONS, 0, offsetof(struct mqtt_topic, no_local), NULL, NULL,
		"V5 3.8.3.1", "not what this client published" },
	{ "retain_as_published", FIELD_BOOL, MQTT_TOPIC_HAS_OPTIONS, 0, offsetof(struct mqtt_topic, retain_as_published),
		NULL, NULL, "V5 3.8.3.1", "the retain flag is passed on" },
	{ "retain_handling", FIELD_U8, MQTT_TOPIC_HAS_OPTIONS, 0, offsetof(struct mqtt_topic, retain_handling), NULL, NULL,
		"V5 3.8.3.1", "when retained messages are sent" },
};
static const struct record_table topic_table = TABLE("topic", topic_fields, mqtt_topic);
const struct record_table *const mqtt_topic_tables[] = { &topic_table, NULL };

static const struct field filter_fields[] = {
	{ "topic", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct mqtt_topic, topic), NULL, NULL,
		"V5 3.10.3", "topic filter" },
};
static const struct record_table filter_table = TABLE("filter", filter_fields, mqtt_topic);
const struct record_table *const mqtt_filter_tables[] = { &filter_table, NULL };

static const struct field subscribe_fields[] = {
	HEADER_ROWS,
	MESSAGE_ID_ROW,
	{ "topics", FIELD_LIST, MQTT_HAS_BODY, 0,
		offsetof(struct mqtt_message, topics), NULL, mqtt_topic_tables,
		"V5 3.8.3", "topic filters and options" },
	{ "topic_count", FIELD_U32, MQTT_HAS_BODY, 0,
		offsetof(struct mqtt_message, topic_count), NULL, NULL,
		"V5 3.8.3", "filters, those that are left out too" },
	PROPERTIES_ROW,
};
static const struct record_table subscribe_table = TABLE("subscribe", subscribe_fields, mqtt_message);

static const struct field suback_fields[] = {
	HEADER_ROWS,
	MESSAGE_ID_ROW,
	{ "qos_granted", FIELD_U8S, MQTT_HAS_CODES, 0,
		offsetof(struct mqtt_message, codes), NULL, NULL,
		"V5 3.9.3", "for each filter the QoS granted, or a reason code from 128 on" },
	PROPERTIES_ROW,
};
static const struct record_table suback_table = TABLE("suback", suback_fields, mqtt_message);

static const struct field unsubscribe_fields[] = {
	HEADER_ROWS,
	MESSAGE_ID_ROW,
	{ "topics", FIELD_LIST, MQTT_HAS_BODY, FIELD_BARE,
		offsetof(struct mqtt_message, topics), NULL, mqtt_filter_tables,
		"V5 3.10.3", "topic filters" },
	{ "topic_count", FIELD_U32, MQTT_HAS_BODY, 0,
		offsetof(struct mqtt_message, topic_count), NULL, NULL,
		"V5 3.8.3", "filters, those that are left out too" },
	PROPERTIES_ROW,
};
static const struct record_table unsubscribe_table = TABLE("unsubscribe", unsubscribe_fields, mqtt_message);

static const struct field unsuback_fields[] = {
	HEADER_ROWS,
	MESSAGE_ID_ROW,
	{ "reason_codes", FIELD_U8S, MQTT_HAS_CODES, 0,
		offsetof(struct mqtt_message, codes), NULL, NULL,
		"V5 3.11.3", "reason code for each filter" },
	PROPERTIES_ROW,
};
static const struct record_table unsuback_table = TABLE("unsuback", unsuback_fields, mqtt_message);

static const struct field ping_fields[] = {
	HEADER_ROWS,
};
static const struct record_table ping_table = TABLE("ping", ping_fields, mqtt_message);

static const struct field end_fields[] = {
	HEADER_ROWS,
	{ "reason_code", FIELD_U8, MQTT_HAS_CODE, 0,
		offsetof(struct mqtt_message, code_said), NULL, NULL,
		"V5 2.4", "reason code as Suricata says it: 0 where no property length follows it" },
	{ "reason_raw", FIELD_U8, MQTT_HAS_CODE, 0,
		offsetof(struct mqtt_message, code), NULL, NULL,
		"V5 2.4", "reason code as on the wire" },
	{ "reason", FIELD_U8, MQTT_HAS_CODE, 0,
		offsetof(struct mqtt_message, code), &reasons, NULL,
		"V5 2.4", "its name" },
	PROPERTIES_ROW,
};
static const struct record_table end_table = TABLE("end", end_fields, mqtt_message);

const struct record_table *const mqtt_message_tables[MQTT_TYPE_COUNT][2] = {
	[MQTT_UNASSIGNED] = { &unassigned_table, NULL },
	[MQTT_CONNECT] = { &connect_table, NULL },
	[MQTT_CONNACK] = { &connack_table, NULL },
	[MQTT_PUBLISH] = { &publish_table, NULL },
	[MQTT_PUBACK] = { &ack_table, NULL },
	[MQTT_PUBREC] = { &ack_table, NULL },
	[MQTT_PUBREL] = { &ack_table, NULL },
	[MQTT_PUBCOMP] = { &ack_table, NULL },
	[MQTT_SUBSCRIBE] = { &subscribe_table, NULL },
	[MQTT_SUBACK] = { &suback_table, NULL },
	[MQTT_UNSUBSCRIBE] = { &unsubscribe_table, NULL },
	[MQTT_UNSUBACK] = { &unsuback_table, NULL },
	[MQTT_PINGREQ] = { &ping_table, NULL },
	[MQTT_PINGRESP] = { &ping_table, NULL },
	[MQTT_DISCONNECT] = { &end_table, NULL },
	[MQTT_AUTH] = { &end_table, NULL },
};

/* ---- a transaction ---- */

static const struct field mqtt_fields[] = {
	{ "type", FIELD_U8, FIELD_ALWAYS, FIELD_HIDDEN, offsetof(struct mqtt_record, type), &mqtt_types, NULL,
		"V5 2.1.2", "control packet type of the message at hand" },
	{ "protocol_version", FIELD_U8, FIELD_ALWAYS, FIELD_HIDDEN, offsetof(struct mqtt_record, version), NULL, NULL,
		"V5 3.1.2.2", "version of the connection" },
	{ "unassigned", FIELD_LIST, MQTT_UNASSIGNED, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_UNASSIGNED]), NULL,
		mqtt_message_tables[MQTT_UNASSIGNED], "V5 2.1.2", "a packet of type 0" },
	{ "connect", FIELD_LIST, MQTT_CONNECT, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_CONNECT]), NULL,
		mqtt_message_tables[MQTT_CONNECT], "V5 3.1", "request to connect" },
	{ "connack", FIELD_LIST, MQTT_CONNACK, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_CONNACK]), NULL,
		mqtt_message_tables[MQTT_CONNACK], "V5 3.2", "answer to it" },
	{ "publish", FIELD_LIST, MQTT_PUBLISH, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_PUBLISH]), NULL,
		mqtt_message_tables[MQTT_PUBLISH], "V5 3.3", "an application message" },
	{ "puback", FIELD_LIST, MQTT_PUBACK, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_PUBACK]), NULL,
		mqtt_message_tables[MQTT_PUBACK], "V5 3.4", "answer to QoS 1" },
	{ "pubrec", FIELD_LIST, MQTT_PUBREC, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_PUBREC]), NULL,
		mqtt_message_tables[MQTT_PUBREC], "V5 3.5", "first answer to QoS 2" },
	{ "pubrel", FIELD_LIST, MQTT_PUBREL, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_PUBREL]), NULL,
		mqtt_message_tables[MQTT_PUBREL], "V5 3.6", "release of QoS 2" },
	{ "pubcomp", FIELD_LIST, MQTT_PUBCOMP, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_PUBCOMP]), NULL,
		mqtt_message_tables[MQTT_PUBCOMP], "V5 3.7", "last answer to QoS 2" },
	{ "subscribe", FIELD_LIST, MQTT_SUBSCRIBE, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_SUBSCRIBE]), NULL,
		mqtt_message_tables[MQTT_SUBSCRIBE], "V5 3.8", "request to subscribe" },
	{ "suback", FIELD_LIST, MQTT_SUBACK, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_SUBACK]), NULL,
		mqtt_message_tables[MQTT_SUBACK], "V5 3.9", "answer to it" },
	{ "unsubscribe", FIELD_LIST, MQTT_UNSUBSCRIBE, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_UNSUBSCRIBE]), NULL,
		mqtt_message_tables[MQTT_UNSUBSCRIBE], "V5 3.10", "request to unsubscribe" },
	{ "unsuback", FIELD_LIST, MQTT_UNSUBACK, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_UNSUBACK]), NULL,
		mqtt_message_tables[MQTT_UNSUBACK], "V5 3.11", "answer to it" },
	{ "pingreq", FIELD_LIST, MQTT_PINGREQ, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_PINGREQ]), NULL,
		mqtt_message_tables[MQTT_PINGREQ], "V5 3.12", "ping" },
	{ "pingresp", FIELD_LIST, MQTT_PINGRESP, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_PINGRESP]), NULL,
		mqtt_message_tables[MQTT_PINGRESP], "V5 3.13", "answer to a ping" },
	{ "disconnect", FIELD_LIST, MQTT_DISCONNECT, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_DISCONNECT]), NULL,
		mqtt_message_tables[MQTT_DISCONNECT], "V5 3.14", "end of the connection" },
	{ "auth", FIELD_LIST, MQTT_AUTH, FIELD_ONE, offsetof(struct mqtt_record, messages[MQTT_AUTH]), NULL,
		mqtt_message_tables[MQTT_AUTH], "V5 3.15", "authentication in steps" },
	{ "sparkplug", FIELD_LIST, MQTT_HAS_SPARKPLUG, FIELD_ONE, offsetof(struct mqtt_record, sparkplug), NULL,
		sparkplug_tables, "SpB 4.1", "topic and payload of a Sparkplug B message" },
	{ "response_time_us", FIELD_U32, MQTT_HAS_RESPONSE_TIME, FIELD_LATE, offsetof(struct mqtt_record, response_time_us), NULL, NULL,
		"own", "from the first message to the last" },
};

const struct record_table mqtt_table = TABLE("mqtt", mqtt_fields, mqtt_record);

const struct rule_app_event mqtt_events[] = {
	[MQTT_EVENT_MISSING_CONNECT] = { "missing_connect",
		"a CONNACK without a CONNECT before it" },
	[MQTT_EVENT_MISSING_PUBLISH] = { "missing_publish",
		"a PUBACK, PUBREC, PUBREL or PUBCOMP without its PUBLISH" },
	[MQTT_EVENT_MISSING_SUBSCRIBE] = { "missing_subscribe",
		"a SUBACK without its SUBSCRIBE" },
	[MQTT_EVENT_MISSING_UNSUBSCRIBE] = { "missing_unsubscribe",
		"an UNSUBACK without its UNSUBSCRIBE" },
	[MQTT_EVENT_DOUBLE_CONNECT] = { "double_connect",
		"a CONNECT on a connection that is accepted already" },
	[MQTT_EVENT_UNINTRODUCED_MESSAGE] = { "unintroduced_message",
		"a message before the server accepted the client; said once in a flow" },
	[MQTT_EVENT_INVALID_QOS_LEVEL] = { "invalid_qos_level",
		"quality of service 3" },
	[MQTT_EVENT_MISSING_MSG_ID] = { "missing_msg_id",
		"packet identifier 0 where there must be one" },
	[MQTT_EVENT_UNASSIGNED_MSG_TYPE] = { "unassigned_msg_type",
		"control packet type 0" },
	[MQTT_EVENT_TOO_MANY_TRANSACTIONS] = { "too_many_transactions",
		"more transactions wait than max-tx" },
	[MQTT_EVENT_MALFORMED_TRAFFIC] = { "malformed_traffic",
		"a packet that ends within a field" },
	[MQTT_EVENT_MESSAGE_TRUNCATED] = { "message_truncated",
		"a packet longer than max-msg-length" },
	[MQTT_EVENT_TRAILING_BYTES] = { "trailing_bytes",
		"bytes behind the end of a packet's last field" },
	[MQTT_EVENT_WRONG_DIRECTION] = { "wrong_direction",
		"a packet that only the other end may send; said once in a flow" },
	[MQTT_EVENT_UNKNOWN_VERSION] = { "unknown_version",
		"a protocol level other than 3, 4 and 5" },
	[MQTT_EVENT_INVALID_CONNECT_FLAGS] = { "invalid_connect_flags",
		"CONNECT flags that contradict each other, or the reserved one" },
	[MQTT_EVENT_INVALID_TOPIC] = { "invalid_topic",
		"a topic name that is empty, or has a wildcard or a NUL" },
	[MQTT_EVENT_INVALID_PROPERTY] = { "invalid_property",
		"a property that is unknown, twice there, or of another packet" },
	[MQTT_EVENT_REUSED_MSG_ID] = { "reused_msg_id",
		"a packet identifier whose transaction is still open" },
	[MQTT_EVENT_SPARKPLUG_MALFORMED] = { "sparkplug_malformed",
		"a Sparkplug payload that is no Protocol Buffers message of its form" },
	[MQTT_EVENT_SPARKPLUG_SEQUENCE] = { "sparkplug_sequence",
		"a Sparkplug sequence number that does not follow the one before" },
};

const struct counter_desc mqtt_counters[] = {
	[MQTT_COUNT_MESSAGES] = { "mqtt.messages", "control packets read" },
	[MQTT_COUNT_PUBLISHES] = { "mqtt.publishes", "PUBLISH packets among them" },
	[MQTT_COUNT_UNANSWERED] = { "mqtt.unanswered", "transactions given up before their last message" },
	[MQTT_COUNT_ORPHANS] = { "mqtt.orphan_answers", "answers without what they answer" },
	[MQTT_COUNT_TRUNCATED] = { "mqtt.truncated", "packets longer than max-msg-length" },
	[MQTT_COUNT_SHED] = { "mqtt.shed", "transactions written at once, and aliases not learnt: no memory" },
	[MQTT_COUNT_METRICS] = { "mqtt.sparkplug_metrics", "Sparkplug metrics read" },
	[MQTT_COUNT_UNPACKED_CUT] = { "mqtt.sparkplug_cut", "compressed Sparkplug payloads of which only the first 64 KiB were read" },
};

#define AT(member) offsetof(struct mqtt_config, member)

static const struct knob knobs[] = {
	{ "app-layer.protocols.mqtt.max-msg-length", KNOB_SIZE, AT(message_len_max), 16, UINT64_C(1) << 28, "1mb", NULL,
		"of a longer message only header and topic are read" },
	{ "app-layer.protocols.mqtt.string-log-limit", KNOB_SIZE, AT(text_len_max), 0, UINT64_C(1) << 28, "1kb", NULL,
		"bytes of a payload that an event carries; no more than 32 KiB are read" },
	{ "app-layer.protocols.mqtt.max-tx", KNOB_NUMBER, AT(open_max), 1, MQTT_OPEN_MAX, "1024", NULL,
		"transactions of a flow that may wait; above it the oldest is written as it is" },
	{ "app-layer.protocols.mqtt.subscribe-topic-match-limit", KNOB_NUMBER, AT(subscribe_topics), 0, MQTT_TOPICS_MAX, "100",
		NULL, "topic filters of a SUBSCRIBE that are matched and written" },
	{ "app-layer.protocols.mqtt.unsubscribe-topic-match-limit", KNOB_NUMBER, AT(unsubscribe_topics), 0, MQTT_TOPICS_MAX,
		"100", NULL, "topic filters of an UNSUBSCRIBE that are matched and written" },
	{ "app-layer.protocols.mqtt.passwords", KNOB_BOOL, AT(passwords), 0, 0, "yes", NULL, "events carry passwords" },
};

const struct knob_table mqtt_knobs = { .owner = "mqtt", .knobs = knobs, .count = COUNT(knobs) };
