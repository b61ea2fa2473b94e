/*
 * MQTT 3.1, 3.1.1 and 5.0: the record of one transaction, the state of one flow, and what the files of this folder
 * share. Nothing outside the folder includes this.
 *
 * Source: MQTT V3.1 Protocol Specification ("V3.1"), OASIS MQTT Version 3.1.1 ("V3.1.1"), OASIS MQTT Version 5.0 ("V5").
 */
#ifndef MR_PROTO_MQTT_H
#define MR_PROTO_MQTT_H

#include "proto/pair.h"
#include "proto/proto.h"

enum {
	MQTT_PDU_LEN_MAX = 32 * 1024,      /* of a longer message only the front is read, the rest is passed over */
	MQTT_HEADER_LEN_MAX = 5,           /* V5 2.1.1 */
	MQTT_TOPICS_MAX = 256,             /* of one SUBSCRIBE or UNSUBSCRIBE */
	MQTT_PROPERTIES_MAX = 128,         /* of one message: user properties may come in any number */
	MQTT_TOPIC_ALIASES_MAX = 64,       /* of one direction, from 1 */
	MQTT_ALIASED_LEN_MAX = 127,        /* of a topic that is known by its alias */
	MQTT_TX_TYPES_MAX = 8,             /* messages of a transaction that rules may count */
	MQTT_OPEN_MAX = 4096,              /* transactions of a flow that wait */
	MQTT_VERSION_3_1 = 3,
	MQTT_VERSION_3_1_1 = 4,
	MQTT_VERSION_5 = 5,
	MQTT_VERSION_BRIDGE = 0x80,        /* set by brokers that connect to brokers */
};

/* Control packet types (V5 2.1.2). */
enum mqtt_type {
	MQTT_UNASSIGNED,
	MQTT_CONNECT,
	MQTT_CONNACK,
	MQTT_PUBLISH,
	MQTT_PUBACK,
	MQTT_PUBREC,
	MQTT_PUBREL,
	MQTT_PUBCOMP,
	MQTT_SUBSCRIBE,
	MQTT_SUBACK,
	MQTT_UNSUBSCRIBE,
	MQTT_UNSUBACK,
	MQTT_PINGREQ,
	MQTT_PINGRESP,
	MQTT_DISCONNECT,
	MQTT_AUTH,
	MQTT_TYPE_COUNT,
};

/* CONNECT flags (V5 3.1.2.3). */
enum mqtt_connect_flag {
	MQTT_CONNECT_RESERVED = 0x01,
	MQTT_CONNECT_CLEAN = 0x02,
	MQTT_CONNECT_WILL = 0x04,
	MQTT_CONNECT_WILL_RETAIN = 0x20,
	MQTT_CONNECT_PASSWORD = 0x40,
	MQTT_CONNECT_USERNAME = 0x80,
};

/* Bits of mqtt_record.head.present; a message's bit is its type. */
enum mqtt_bit { MQTT_HAS_SPARKPLUG = MQTT_TYPE_COUNT, MQTT_HAS_RESPONSE_TIME };

/* Bits of mqtt_message.head.present. */
enum mqtt_message_bit {
	MQTT_HAS_BODY,
	MQTT_HAS_MESSAGE_ID,
	MQTT_HAS_CODE,
	MQTT_HAS_CODES,
	MQTT_HAS_MESSAGE,
	MQTT_HAS_PAYLOAD,
	MQTT_HAS_TRUNCATED,
	MQTT_HAS_PROPERTIES,
	MQTT_HAS_USERNAME,
	MQTT_HAS_PASSWORD,
	MQTT_HAS_SECRET,
	MQTT_HAS_WILL,
	MQTT_HAS_WILL_PROPERTIES,
};

/** One control packet. Which members hold something is said by its presence bits. */
struct mqtt_message {
	struct record_head head;
	uint8_t qos;
	bool retain, dup;
	bool session_present;
	bool truncated;
	uint8_t code;      /* reason or return code */
	uint8_t code_said; /* of DISCONNECT and AUTH: as other sensors say it */
	uint16_t message_id;
	uint32_t skipped_len; /* bytes of the whole packet, where it is above max-msg-length */
	uint32_t message_len; /* of the application message */
	uint32_t topic_count; /* topic filters, of which some may not be in topics */
	struct record_ref topic;
	struct record_ref message; /* as it is written: cut at string-log-limit */
	struct record_ref payload; /* as the rules see it */
	struct record_ref codes;
	struct record_list topics;
	struct record_list properties;
};

struct mqtt_connect {
	struct mqtt_message message;
	uint8_t version;
	bool username_flag, password_flag, will_flag, will_retain, clean_session;
	uint8_t will_qos;
	uint16_t keep_alive_s;
	struct record_ref protocol_string;
	struct record_ref client_id;
	struct record_ref username;
	struct record_ref password; /* as it is written */
	struct record_ref secret;   /* the password as the rules see it */
	struct record_ref will_topic;
	struct record_ref will_message;
	struct record_list will_properties;
};

struct mqtt_topic {
	struct record_head head;
	struct record_ref topic;
	uint8_t qos;
	bool no_local, retain_as_published;
	uint8_t retain_handling;
};

/* Presence bits of mqtt_topic. */
enum mqtt_topic_bit { MQTT_TOPIC_HAS_QOS, MQTT_TOPIC_HAS_OPTIONS };

struct mqtt_user_property {
	struct record_head head;
	struct record_ref name;
	struct record_ref value;
};

/** Properties of V5 2.2.2.2; the presence bit of each is its row in mqtt_properties_list[]. */
struct mqtt_properties {
	struct record_head head;
	uint8_t payload_format_indicator;
	uint8_t request_problem_information;
	uint8_t request_response_information;
	uint8_t maximum_qos;
	uint8_t retain_available;
	uint8_t wildcard_subscription_available;
	uint8_t subscription_identifiers_available;
	uint8_t shared_subscription_available;
	uint16_t server_keep_alive;
	uint16_t receive_maximum;
	uint16_t topic_alias_maximum;
	uint16_t topic_alias;
	uint32_t message_expiry_interval;
	uint32_t session_expiry_interval;
	uint32_t will_delay_interval;
	uint32_t maximum_packet_size;
	uint32_t skipped_len; /* of what stands behind MQTT_PROPERTIES_MAX */
	struct record_ref subscription_identifiers; /* struct record_scalar */
	struct record_ref content_type;
	struct record_ref response_topic;
	struct record_ref correlation_data;
	struct record_ref assigned_client_identifier;
	struct record_ref authentication_method;
	struct record_ref authentication_data;
	struct record_ref response_information;
	struct record_ref server_reference;
	struct record_ref reason_string;
	struct record_list user_properties;
};

/* Presence bits of mqtt_properties, in the order of the property identifiers. */
enum mqtt_property_bit {
	MQTT_PROPERTY_PAYLOAD_FORMAT,
	MQTT_PROPERTY_MESSAGE_EXPIRY,
	MQTT_PROPERTY_CONTENT_TYPE,
	MQTT_PROPERTY_RESPONSE_TOPIC,
	MQTT_PROPERTY_CORRELATION_DATA,
	MQTT_PROPERTY_SUBSCRIPTION_ID,
	MQTT_PROPERTY_SESSION_EXPIRY,
	MQTT_PROPERTY_ASSIGNED_CLIENT_ID,
	MQTT_PROPERTY_SERVER_KEEP_ALIVE,
	MQTT_PROPERTY_AUTH_METHOD,
	MQTT_PROPERTY_AUTH_DATA,
	MQTT_PROPERTY_REQUEST_PROBLEM,
	MQTT_PROPERTY_WILL_DELAY,
	MQTT_PROPERTY_REQUEST_RESPONSE,
	MQTT_PROPERTY_RESPONSE_INFORMATION,
	MQTT_PROPERTY_SERVER_REFERENCE,
	MQTT_PROPERTY_REASON_STRING,
	MQTT_PROPERTY_RECEIVE_MAXIMUM,
	MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM,
	MQTT_PROPERTY_TOPIC_ALIAS,
	MQTT_PROPERTY_MAXIMUM_QOS,
	MQTT_PROPERTY_RETAIN_AVAILABLE,
	MQTT_PROPERTY_USER,
	MQTT_PROPERTY_MAXIMUM_PACKET_SIZE,
	MQTT_PROPERTY_WILDCARD_AVAILABLE,
	MQTT_PROPERTY_SUBSCRIPTION_IDS_AVAILABLE,
	MQTT_PROPERTY_SHARED_AVAILABLE,
	MQTT_PROPERTY_SKIPPED,
	MQTT_PROPERTY_COUNT,
};

/** A transaction as it is written, or the message at hand as the rules see it. */
struct mqtt_record {
	struct record_head head;
	uint32_t current; /* offset of the message at hand */
	uint32_t response_time_us;
	uint8_t type;     /* of the message at hand */
	uint8_t version;
	uint8_t type_count;
	uint8_t types[MQTT_TX_TYPES_MAX]; /* of the transaction's messages so far, the one at hand last */
	struct record_list messages[MQTT_TYPE_COUNT];
	struct record_list sparkplug;
};

extern const struct record_table mqtt_table;
extern const struct record_table *const mqtt_message_tables[MQTT_TYPE_COUNT][2];
extern const struct record_table *const mqtt_topic_tables[];
extern const struct record_table *const mqtt_filter_tables[];
extern const struct record_table *const mqtt_property_tables[];
extern const struct record_table *const mqtt_user_property_tables[];
extern const struct rule_app_event mqtt_events[];
extern const struct rule_app_keyword mqtt_keywords[];
/** rule_app.record_tags and .keyword_tag: rules that name a packet's type are found by it. */
unsigned int mqtt_record_tags(const void *record, uint32_t tags[RULE_TAGS_MAX]);
bool mqtt_keyword_tag(const struct rule_app_keyword *keyword, const struct rule_app_test *test, uint32_t *tag);
extern const struct rule_app_buffer mqtt_buffers[];
extern const struct field_names mqtt_types;
extern const struct counter_desc mqtt_counters[];
extern const struct knob_table mqtt_knobs;

enum { MQTT_KEYWORD_COUNT = 8, MQTT_BUFFER_COUNT = 7 };

/* Index into mqtt_events[]. The first eleven are Suricata's. */
enum mqtt_event {
	MQTT_EVENT_MISSING_CONNECT,
	MQTT_EVENT_MISSING_PUBLISH,
	MQTT_EVENT_MISSING_SUBSCRIBE,
	MQTT_EVENT_MISSING_UNSUBSCRIBE,
	MQTT_EVENT_DOUBLE_CONNECT,
	MQTT_EVENT_UNINTRODUCED_MESSAGE,
	MQTT_EVENT_INVALID_QOS_LEVEL,
	MQTT_EVENT_MISSING_MSG_ID,
	MQTT_EVENT_UNASSIGNED_MSG_TYPE,
	MQTT_EVENT_TOO_MANY_TRANSACTIONS,
	MQTT_EVENT_MALFORMED_TRAFFIC,
	MQTT_EVENT_MESSAGE_TRUNCATED,
	MQTT_EVENT_TRAILING_BYTES,
	MQTT_EVENT_WRONG_DIRECTION,
	MQTT_EVENT_UNKNOWN_VERSION,
	MQTT_EVENT_INVALID_CONNECT_FLAGS,
	MQTT_EVENT_INVALID_TOPIC,
	MQTT_EVENT_INVALID_PROPERTY,
	MQTT_EVENT_REUSED_MSG_ID,
	MQTT_EVENT_SPARKPLUG_MALFORMED,
	MQTT_EVENT_SPARKPLUG_SEQUENCE,
	MQTT_EVENT_COUNT,
};

enum mqtt_counter {
	MQTT_COUNT_MESSAGES,
	MQTT_COUNT_PUBLISHES,
	MQTT_COUNT_UNANSWERED,
	MQTT_COUNT_ORPHANS,
	MQTT_COUNT_TRUNCATED,
	MQTT_COUNT_SHED,
	MQTT_COUNT_METRICS,
	MQTT_COUNT_UNPACKED_CUT,
	MQTT_COUNTER_COUNT,
};

struct mqtt_config {
	uint64_t message_len_max; /* max-msg-length */
	uint64_t text_len_max;    /* string-log-limit */
	uint64_t open_max;        /* max-tx */
	uint64_t subscribe_topics;
	uint64_t unsubscribe_topics;
	bool passwords;
};

/* ---- one message being read ---- */

struct mqtt_pdu {
	struct proto_ctx *ctx;
	struct mqtt_record *record;
	struct mqtt_message *message; /* the one being filled */
	uint32_t total_len;           /* of the packet, with what is not here */
	uint32_t cut_len;             /* bytes of it that are not here */
	uint8_t type;
	uint8_t flags;
	uint8_t version;
	bool for_rules;               /* the rules shall see all of a long message; else it is cut for the event */
};

/** Reads a body into pdu->message. Bytes that are missing leave the cursor short; the caller names that. */
typedef void (*mqtt_body)(struct mqtt_pdu *pdu, struct cursor *body);

/** By control packet type (mqtt_message.c). */
extern const mqtt_body mqtt_bodies[MQTT_TYPE_COUNT];

/** The message's own record, appended to the transaction at hand and filled from the fixed header and the body.
 *  @return whether there was room for it */
bool mqtt_message_read(struct mqtt_pdu *pdu, struct cursor body);
/** A text or binary data behind its 16-bit length. */
void mqtt_take_text(struct mqtt_pdu *pdu, struct cursor *body, struct record_ref *ref);
/** A variable byte integer (V5 1.5.5); too long a one leaves the cursor short. */
uint32_t mqtt_take_varint(struct cursor *in);
/** Properties with their length before them, into the only child of *list. @return whether there are any */
bool mqtt_properties_read(struct mqtt_pdu *pdu, struct cursor *body, struct record_list *list, uint8_t owner);

static inline void
mqtt_has(struct mqtt_message *message, enum mqtt_message_bit bit)
{
	record_present(&message->head, (uint8_t)bit);
}

/* ---- topic aliases (mqtt_topic.c) ---- */

/** The sender of the message at hand gives a topic a number. */
void mqtt_topic_learn(struct proto_ctx *ctx, uint16_t alias, struct cursor topic);
/** What it stands for; empty where that is not known. Lent until the next is learned. */
struct cursor mqtt_topic_find(const struct proto_ctx *ctx, uint16_t alias);
void mqtt_topics_forget(struct proto_ctx *ctx, bool to_server);

/* ---- shapes: what the first bytes of a packet must look like (mqtt_shape.c) ---- */

enum mqtt_fit { MQTT_FIT_NO, MQTT_FIT_MORE, MQTT_FIT_WEAK, MQTT_FIT_STRONG };

struct mqtt_header {
	uint8_t type;
	uint8_t flags;
	uint32_t remaining_len;
	uint32_t header_len;
};

/** Reads the fixed header and looks at the first bytes behind it. STRONG: with content that other protocols do not
 *  have; CONNECT always is. in is left behind the header. */
enum mqtt_fit mqtt_shape_fit(struct cursor *in, struct mqtt_header *header);

/* ---- the state of a flow ---- */

struct sparkplug_aliases;
struct mqtt_topics;

struct mqtt_state {
	struct pair_table pairs; /* transactions that wait */
	struct sparkplug_aliases *aliases; /* of the flow's births; NULL before the first */
	struct mqtt_topics *topics[2];     /* by to_server: what topic aliases stand for; NULL before the first */
	uint32_t last_id;
	uint8_t version;      /* 0: not known */
	uint8_t seq;          /* Sparkplug: of the client's last message */
	bool has_seq;
	bool connecting;      /* CONNECT was seen */
	bool introduced;      /* CONNACK was seen, and it accepts */
	bool unintroduced;    /* each of these is said once */
	bool wrong_direction;
};

#endif
