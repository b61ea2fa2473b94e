/*
 * S7comm-plus, the protocol of S7-1200 and 1500: the record of one transaction, the state of one flow, and what the
 * files of this folder share. Nothing outside the folder includes this.
 *
 * The vendor has not published the protocol; sources are public analyses of it and what public captures show.
 */
#ifndef MR_PROTO_S7COMM_PLUS_H
#define MR_PROTO_S7COMM_PLUS_H

#include "proto/cotp/cotp.h"
#include "proto/pair.h"
#include "proto/proto.h"

enum {
	S7P_PROTOCOL_ID = 0x72,
	S7P_HEADER_LEN = 4,
	S7P_DIGEST_LEN = 32,
	S7P_VALUES_MAX = 512,     /* values, addresses, attributes of one message */
	S7P_ELEMENTS_MAX = 256,   /* of one array */
	S7P_BYTES_MAX = 4096,     /* shown of one blob or text */
	S7P_LIDS_MAX = 16,
	S7P_IDS_MAX = 256,        /* shown of those that a message asks for */
	S7P_DEPTH_MAX = 8,        /* structures and objects in one another */
	S7P_OPEN_MAX = 32,        /* requests waiting for their response, in one flow */
	S7P_ORDER_NUMBER_LEN = 20,
	S7P_SERIAL_LEN = 16,
	S7P_TEXT_MAX = 32,
	S7P_FLAG_UNANSWERED = 0x40, /* of the transport: the sender can do without a response */
};

enum s7p_version { S7P_V1 = 1, S7P_V2 = 2, S7P_V3 = 3, S7P_KEEPALIVE = 0xfe, S7P_KEEPALIVE_SHORT = 0xff };

enum s7p_opcode { S7P_REQUEST = 0x31, S7P_RESPONSE = 0x32, S7P_NOTIFICATION = 0x33, S7P_RESPONSE_2 = 0x02 };

enum s7p_function {
	S7P_EXPLORE = 0x04bb,
	S7P_CREATE_OBJECT = 0x04ca,
	S7P_DELETE_OBJECT = 0x04d4,
	S7P_SET_VARIABLE = 0x04f2,
	S7P_GET_VARIABLE = 0x04fc,
	S7P_GET_LINK = 0x0524,
	S7P_SET_MULTI_VARIABLES = 0x0542,
	S7P_GET_MULTI_VARIABLES = 0x054c,
	S7P_BEGIN_SEQUENCE = 0x0556,
	S7P_END_SEQUENCE = 0x0560,
	S7P_INVOKE = 0x056b,
	S7P_SET_VAR_SUBSTREAMED = 0x057c,
	S7P_GET_VAR_SUBSTREAMED = 0x0586,
	S7P_GET_VARIABLES_ADDRESS = 0x0590,
	S7P_ABORT = 0x059a,
	S7P_ERROR = 0x05a9,
	S7P_INIT_SSL = 0x05b3,
};

enum s7p_type {
	S7P_NULL = 0x00,
	S7P_BOOL = 0x01,
	S7P_USINT = 0x02,
	S7P_UINT = 0x03,
	S7P_UDINT = 0x04,
	S7P_ULINT = 0x05,
	S7P_SINT = 0x06,
	S7P_INT = 0x07,
	S7P_DINT = 0x08,
	S7P_LINT = 0x09,
	S7P_BYTE = 0x0a,
	S7P_WORD = 0x0b,
	S7P_DWORD = 0x0c,
	S7P_LWORD = 0x0d,
	S7P_REAL = 0x0e,
	S7P_LREAL = 0x0f,
	S7P_TIMESTAMP = 0x10,
	S7P_TIMESPAN = 0x11,
	S7P_RID = 0x12,
	S7P_AID = 0x13,
	S7P_BLOB = 0x14,
	S7P_WSTRING = 0x15,
	S7P_VARIANT = 0x16,
	S7P_STRUCT = 0x17,
	S7P_S7STRING = 0x19,
	S7P_TYPE_COUNT = 0x1a,
};

enum s7p_bit {
	S7P_HAS_COTP = 0,
	S7P_HAS_VERSION = COTP_BIT_COUNT,
	S7P_HAS_OPCODE,
	S7P_HAS_FUNCTION,
	S7P_HAS_SEQUENCE,
	S7P_HAS_SESSION,
	S7P_HAS_FLAGS,
	S7P_HAS_DIGEST,
	S7P_HAS_RESPONSE,
	S7P_HAS_RETURN,
	S7P_HAS_RESPONSE_TIME,
	S7P_HAS_OBJECT_ID,
	S7P_HAS_OBJECT_IDS,
	S7P_HAS_ADDRESSES,
	S7P_HAS_VALUES,
	S7P_HAS_OBJECTS,
	S7P_HAS_TAGS,
	S7P_HAS_ERRORS,
	S7P_HAS_SUBSCRIPTION_ID,
	S7P_HAS_SUBSCRIPTION,
	S7P_HAS_CREDIT,
	S7P_HAS_NOTIFIED_AT,
	S7P_HAS_LINKS,
	S7P_HAS_TRANSACTION,
	S7P_HAS_TLS,
	S7P_HAS_DATA,
	S7P_HAS_TRUNCATED,
};

struct s7p_record {
	struct record_head head;
	uint32_t id;                /* transactions of the flow, counted from 1 */
	uint32_t response_time_us;
	struct cotp_info cotp;
	uint8_t version;
	uint8_t opcode;
	uint8_t transport_flags;
	uint8_t response_version;
	uint8_t response_opcode;
	uint8_t credit;
	uint8_t change_count;       /* of the subscription itself */
	uint8_t transaction_type;   /* of a sequence */
	bool truncated;             /* something was left out */
	uint8_t tls_content;
	uint16_t tls_version;
	uint16_t function;
	uint16_t sequence_number;
	int16_t error;              /* low half of the return value */
	uint32_t session_id;
	uint32_t object_id;
	uint32_t subscription_id;
	uint32_t notification_sequence;
	uint64_t return_value;
	uint64_t notified_ns;       /* by the device's clock */
	struct record_ref digest;
	struct record_ref object_ids; /* uint32_t */
	struct record_ref links;      /* uint32_t */
	struct record_ref data;
	struct record_list addresses;
	struct record_list values;
	struct record_list objects;
	struct record_list tags;
	struct record_list errors;
};

/** Where a variable is: a root, and the way down by ids. */
struct s7p_address {
	struct record_head head;
	uint32_t crc;
	uint32_t area_id;
	uint16_t db_number;
	uint8_t area;
	struct record_ref lids; /* uint32_t */
};

enum s7p_address_bit { S7P_ADDRESS_CRC, S7P_ADDRESS_AREA, S7P_ADDRESS_DB };

/** A value, of a variable, of an attribute of an object, or of an element of a structure. */
struct s7p_value {
	struct record_head head;
	uint32_t id;        /* item number, attribute or element */
	uint32_t object_id; /* the object it belongs to */
	uint32_t element;   /* of an array of structures, from 0 */
	uint32_t key;       /* of a sparse array */
	uint8_t type;
	uint8_t flags;
	uint8_t depth;      /* inside structures */
	struct record_ref values; /* struct record_scalar */
};

enum s7p_value_bit {
	S7P_VALUE_ID,
	S7P_VALUE_NAME,
	S7P_VALUE_OBJECT,
	S7P_VALUE_DEPTH,
	S7P_VALUE_ELEMENT,
	S7P_VALUE_KEY,
	S7P_VALUE_VALUES,
};

struct s7p_object {
	struct record_head head;
	uint32_t relation_id;
	uint32_t class_id;
	uint8_t depth;
};

/** What an object's variable is called, and where it is in it. */
struct s7p_tag_record {
	struct record_head head; /* present: bit 0, the number and the type */
	uint32_t object_id;
	uint32_t lid;
	uint8_t type;
	struct record_ref name;
};

struct s7p_error {
	struct record_head head;
	uint32_t id;
	int16_t code;
	uint64_t value;
};

extern const struct record_table s7p_table;
extern const struct record_table *const s7p_address_tables[];
extern const struct record_table *const s7p_value_tables[];
extern const struct record_table *const s7p_object_tables[];
extern const struct record_table *const s7p_tag_tables[];
extern const struct record_table *const s7p_error_tables[];
extern const struct field_names s7p_functions;
extern const struct field_names s7p_ids;
extern const struct rule_app_event s7p_events[];
extern const struct counter_desc s7p_counters[];
extern const struct knob_table s7p_knobs;

enum s7p_event {
	S7P_EVENT_INVALID_TPDU,
	S7P_EVENT_CONNECTION_REFUSED,
	S7P_EVENT_REASSEMBLY_DROPPED,
	S7P_EVENT_UNKNOWN_PROTOCOL_ID,
	S7P_EVENT_UNKNOWN_VERSION,
	S7P_EVENT_UNKNOWN_OPCODE,
	S7P_EVENT_UNKNOWN_FUNCTION,
	S7P_EVENT_INVALID_LENGTH,
	S7P_EVENT_INVALID_VALUE,
	S7P_EVENT_INVALID_INTEGRITY,
	S7P_EVENT_UNSOLICITED_RESPONSE,
	S7P_EVENT_FLOODED,
	S7P_EVENT_COUNT,
};

enum s7p_counter {
	S7P_COUNT_REQUESTS,
	S7P_COUNT_RESPONSES,
	S7P_COUNT_NOTIFICATIONS,
	S7P_COUNT_KEEPALIVES,
	S7P_COUNT_TLS,
	S7P_COUNT_UNANSWERED,
	S7P_COUNT_ORPHANS,
	S7P_COUNT_SHED,
	S7P_COUNTER_COUNT,
};

struct s7p_config {
	uint64_t request_flood; /* 1..S7P_OPEN_MAX */
	uint64_t message_max;
};

struct s7p_state {
	struct pair_table pairs;         /* requests that wait for their response */
	struct pair_orphans orphans;
	uint32_t last_id;
	bool orphan_said;
	bool seen[2];
	bool tls;                        /* a TLS record was seen: the rest cannot be read */
	struct cotp_message tpdus[2];    /* a COTP message, while its TPDUs come in */
	struct cotp_message parts[2];    /* the same of its own fragments */
};

struct s7p_message {
	struct proto_ctx *ctx;
	struct s7p_record *record;
	uint8_t version;
	uint8_t opcode;
	bool response;
	bool answers;         /* the record holds the request too */
	bool numbered;        /* outermost values are told by numbers of items, not by ids */
	unsigned int values;  /* read so far, all lists together */
	const uint8_t *digest;
	struct cursor body;
	/* What the device said of itself. */
	uint8_t order_number[S7P_ORDER_NUMBER_LEN];
	uint8_t serial[S7P_SERIAL_LEN];
	uint8_t firmware[S7P_TEXT_MAX];
	uint8_t order_number_len, serial_len, firmware_len;
};

static inline void
s7p_has(struct s7p_message *message, enum s7p_bit bit)
{
	record_present(&message->record->head, (uint8_t)bit);
}

/* More than is shown: counted, and said with the record. */
static inline void
s7p_leave_out(struct s7p_message *message)
{
	message->ctx->record->truncated = true;
}

/* s7comm_plus_value.c */
/** Numbers of seven bits an octet, the highest first; the high bit says that more follow. */
uint32_t s7p_vlq32(struct cursor *in);
uint64_t s7p_vlq64(struct cursor *in);
/** One value with all its elements, appended to the record. @return false: what follows cannot be read */
bool s7p_read_value(struct s7p_message *message, struct cursor *in, uint32_t id, uint32_t object_id);

/* s7comm_plus_object.c */
enum s7p_tag {
	S7P_TAG_OBJECT = 0xa1,
	S7P_TAG_OBJECT_END = 0xa2,
	S7P_TAG_ATTRIBUTE = 0xa3,
	S7P_TAG_RELATION = 0xa4,
	S7P_TAG_DESCRIPTION = 0xa7,
	S7P_TAG_DESCRIPTION_END = 0xa8,
	S7P_TAG_TYPES = 0xab,
	S7P_TAG_NAMES = 0xac,
};
/** Objects in one another with their attributes, as long as tags follow. */
void s7p_read_objects(struct s7p_message *message, struct cursor *in);

/* s7comm_plus_body.c */
void s7p_read_body(struct s7p_message *message);
/** An item, object or variable that failed. */
void s7p_append_error(struct s7p_message *message, uint32_t id, uint64_t value);
void s7p_deliver_identity(struct s7p_message *message);

/* s7comm_plus_notify.c */
/** What changes each time: subscription, credit, sequence. @return whether a list of items follows */
bool s7p_read_notification(struct s7p_message *message);
/** The items of a notification. */
void s7p_read_notified(struct s7p_message *message);

#endif
