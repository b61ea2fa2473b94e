/*
 * EtherNet/IP and CIP: the record of one transaction, the state of one flow, and what the
 * files of this folder share. Nothing outside the folder includes this.
 *
 * Source: The CIP Networks Library, volume 1 "Common Industrial Protocol" ("CIP") and
 * volume 2 "EtherNet/IP Adaptation" ("EIP"); for Logix tags "Logix 5000 Controllers Data
 * Access", 1756-PM020 ("PM020"); for PCCC "DF1 Protocol and Command Set", 1770-6.5.16 ("DF1").
 */
#ifndef MR_PROTO_ENIP_H
#define MR_PROTO_ENIP_H

#include "proto/enip/enip_record.h"
#include "proto/pair.h"
#include "proto/proto.h"

enum {
	ENIP_HEADER_LEN = 24,
	ENIP_LENGTH_MAX = 65511,   /* of what follows the header (EIP 2-3.2) */
	ENIP_ITEMS_MAX = 16,       /* CPF items of a PDU */
	ENIP_SEGMENTS_MAX = 32,    /* segments of a path that are read */
	ENIP_SERVICES_MAX = 128,   /* services of a multiple service packet */
	ENIP_ATTRIBUTES_MAX = 128, /* attributes of a list, or of a whole object */
	ENIP_ELEMENTS_MAX = 1024,  /* array elements given as numbers */
	ENIP_TAG_LEN_MAX = 256,
	ENIP_OPEN_MAX = 1024,      /* requests waiting for their response, in one flow */
	ENIP_CONNECTIONS_MAX = 32, /* CIP connections remembered in one flow */
	ENIP_IO_MAX = 64,          /* I/O connections followed in one flow */
	ENIP_IO_BUCKETS = 64,      /* a power of two */
	ENIP_SHARED_SETS = 512,    /* a power of two; connections of a worker for cyclic data, each with two ids */
	ENIP_SHARED_WAYS = 8,
	ENIP_REPLY_BIT = 0x80,
	ENIP_IDENTITIES_MAX = 32,  /* of devices told apart in one flow */
	ENIP_PORT_SECURE = 2221,
	ENIP_KEYWORD_COUNT = 17,
	ENIP_BUFFER_COUNT = 2,
};

enum enip_command {
	ENIP_NOP = 0x00,
	ENIP_LIST_TARGETS = 0x01, /* of the protocol's first edition; answered by old devices */
	ENIP_LIST_SERVICES = 0x04,
	ENIP_LIST_IDENTITY = 0x63,
	ENIP_LIST_INTERFACES = 0x64,
	ENIP_REGISTER_SESSION = 0x65,
	ENIP_UNREGISTER_SESSION = 0x66,
	ENIP_SEND_RR_DATA = 0x6f,
	ENIP_SEND_UNIT_DATA = 0x70,
	ENIP_INDICATE_STATUS = 0x72,
	ENIP_CANCEL = 0x73,
};

/* CPF item types (EIP 2-6.2). */
enum enip_item_type {
	ENIP_ITEM_NULL = 0x0000,
	ENIP_ITEM_IDENTITY = 0x000c,
	ENIP_ITEM_CONNECTED_ADDRESS = 0x00a1,
	ENIP_ITEM_CONNECTED_DATA = 0x00b1,
	ENIP_ITEM_UNCONNECTED_DATA = 0x00b2,
	ENIP_ITEM_LIST_SERVICES = 0x0100,
	ENIP_ITEM_SOCKADDR_O_T = 0x8000,
	ENIP_ITEM_SOCKADDR_T_O = 0x8001,
	ENIP_ITEM_SEQUENCED_ADDRESS = 0x8002,
};

enum enip_class {
	ENIP_CLASS_IDENTITY = 0x01,
	ENIP_CLASS_CONNECTION_MANAGER = 0x06,
	ENIP_CLASS_PCCC = 0x67,
	ENIP_CLASS_SYMBOL = 0x6b,
	ENIP_CLASS_TEMPLATE = 0x6c,
	ENIP_CLASS_ANY = 0xffffffff,
};

enum enip_service_code {
	ENIP_GET_ATTRIBUTES_ALL = 0x01,
	ENIP_SET_ATTRIBUTES_ALL = 0x02,
	ENIP_GET_ATTRIBUTE_LIST = 0x03,
	ENIP_SET_ATTRIBUTE_LIST = 0x04,
	ENIP_MULTIPLE_SERVICE = 0x0a,
	ENIP_GET_ATTRIBUTE_SINGLE = 0x0e,
	ENIP_SET_ATTRIBUTE_SINGLE = 0x10,
	ENIP_READ_TAG = 0x4c,
	ENIP_UNCONNECTED_SEND = 0x52, /* of the symbol class: Read Tag Fragmented */
	ENIP_FORWARD_CLOSE = 0x4e,
	ENIP_FORWARD_OPEN = 0x54,
	ENIP_LARGE_FORWARD_OPEN = 0x5b,
};

extern const struct record_table enip_table;
extern const struct record_table *const enip_segment_tables[];
extern const struct record_table *const enip_value_tables[];
extern const struct record_table *const enip_leaf_tables[];  /* messages of a multiple service packet */
extern const struct record_table *const enip_outer_tables[]; /* the message of an unconnected send */
extern const struct record_table *const enip_connection_tables[];
extern const struct record_table *const enip_pccc_tables[];
extern const struct record_table *const enip_item_tables[];
extern const struct field_names enip_extended_statuses;
extern const struct field_names enip_vendors;
extern const struct field_names enip_device_types;
extern const struct field_names enip_commands;
extern const struct field_names enip_statuses;
extern const struct field_names enip_cip_services;
extern const struct field_names enip_cip_statuses;
extern const struct field_names enip_cip_classes;
extern const struct field_names enip_data_types;
extern const struct field_names enip_item_types;
extern const struct field_names enip_segment_types;
extern const struct field_names enip_extended_logicals;
extern const struct field_names enip_pccc_functions;
extern const struct field_names enip_pccc_file_types;
extern const struct rule_app_event enip_events[];
extern const struct rule_app_keyword enip_keywords[];
extern const struct rule_app_buffer enip_buffers[];
/** rule_app.record_tags, .keyword_tag: commands, services and statuses, wherever in the record. */
unsigned int enip_record_tags(const void *blob, uint32_t out[RULE_TAGS_MAX]);
bool enip_keyword_tag(const struct rule_app_keyword *keyword, const struct rule_app_test *test, uint32_t *tag);
extern const struct counter_desc enip_counters[];
extern const struct knob_table enip_knobs;

/* Index into enip_events[]. The first two are Suricata's. */
enum enip_event {
	ENIP_EVENT_TOO_MANY_TRANSACTIONS,
	ENIP_EVENT_INVALID_PDU,
	ENIP_EVENT_INVALID_ITEM,
	ENIP_EVENT_INVALID_PATH,
	ENIP_EVENT_INVALID_SERVICE_DATA,
	ENIP_EVENT_INVALID_MULTIPLE,
	ENIP_EVENT_TRAILING_BYTES,
	ENIP_EVENT_UNSOLICITED_RESPONSE,
	ENIP_EVENT_SERVICE_MISMATCH,
	ENIP_EVENT_UNKNOWN_SESSION,
	ENIP_EVENT_TOO_MANY_CONNECTIONS,
	ENIP_EVENT_IO_SEQUENCE,
	ENIP_EVENT_IO_LENGTH,
	ENIP_EVENT_REUSED_CONTEXT,
	ENIP_EVENT_COUNT,
};

enum enip_counter {
	ENIP_COUNT_REQUESTS,
	ENIP_COUNT_RESPONSES,
	ENIP_COUNT_ERRORS,
	ENIP_COUNT_UNANSWERED,
	ENIP_COUNT_ORPHANS,
	ENIP_COUNT_IO_PACKETS,
	ENIP_COUNT_IO_LOST,
	ENIP_COUNT_IO_UNTIED,
	ENIP_COUNT_SHARED_EVICTED,
	ENIP_COUNT_SECURE,
	ENIP_COUNT_SHED,
	ENIP_COUNTER_COUNT,
};


struct enip_config {
	uint64_t max_tx; /* 1..ENIP_OPEN_MAX */
};

/* ---- one PDU being read ---- */

/** What a device said of itself in the PDU; points into it. */
struct enip_facts {
	uint32_t has; /* bit: identity attribute */
	uint16_t vendor_id;
	uint16_t device_type;
	uint16_t product_code;
	uint16_t revision;
	uint32_t serial;
	const uint8_t *name;
	uint32_t name_len;
};

struct enip_pdu {
	struct proto_ctx *ctx;
	struct enip_record *record;
	struct enip_half *half;
	uint8_t bit;      /* ENIP_REQUEST or ENIP_RESPONSE */
	bool asked;       /* of a response: the record holds its request */
	bool routed;      /* of a response: it came through an unconnected send */
	bool reads, acts; /* services of the message that ask for values; others */
	struct cursor said; /* the outermost CIP message, without its sequence number */
	struct enip_facts facts;
};

/** A message being filled: the half's own, or a child record. */
struct enip_node {
	struct record_head *head;
	struct enip_cip *cip;
	const struct record_head *asked_head; /* of a response: the request it answers, or NULL */
	const struct enip_cip *asked;
	uint8_t bit;
	uint8_t asked_bit;
};

typedef void (*enip_body)(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);

static inline void
enip_has(struct enip_pdu *pdu, enum enip_bit bit)
{
	record_present(&pdu->record->head, (uint8_t)(pdu->bit + bit));
}

static inline void
enip_node_has(struct enip_node *node, enum enip_bit bit)
{
	record_present(node->head, (uint8_t)(node->bit + bit));
}

static inline bool
enip_node_is(const struct enip_node *node, enum enip_bit bit)
{
	return record_is_present(node->head, (uint8_t)(node->bit + bit));
}

/** Whether the request that is answered holds something. */
static inline bool
enip_asked_is(const struct enip_node *node, enum enip_bit bit)
{
	return node->asked != NULL && record_is_present(node->asked_head, (uint8_t)(node->asked_bit + bit));
}

/** The rest of the cursor as bytes of the record. */
void enip_put_rest(struct enip_pdu *pdu, struct record_ref *ref, struct cursor *in);

/* ---- enip_cip.c ---- */

/** Reads a CIP message, with those inside it, into node. */
void enip_cip_read(struct enip_pdu *pdu, struct enip_node *node, struct cursor in);
/** Body as hex. */
void enip_read_opaque(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);

/* What a service means: in any class, or in one. Rows ascend by service, then class. */
struct enip_service {
	uint32_t class_id;
	uint8_t service;
	const char *name; /* NULL: the general one says it all */
	enip_body read_request;
	enip_body read_reply;
};

extern const struct enip_service enip_service_table[];
extern const unsigned int enip_service_count;

/* ---- enip_path.c ---- */

/** What a path leads to. */
struct enip_target {
	bool has_class, has_instance, has_attribute, safety;
	uint32_t class_id, instance_id, attribute_id;
	unsigned int tag_len;
	char tag[ENIP_TAG_LEN_MAX];
};

/** Reads a padded EPATH into list (CIP appendix C). @return false: something in it is no segment */
bool enip_path_read(struct enip_pdu *pdu, struct cursor in, struct record_list *list, struct enip_target *target);
/** The path of a request: list, class, instance, attribute and tag of node. */
void enip_path_read_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor path);

/* ---- enip_value.c ---- */

struct enip_attribute {
	uint16_t class_id;
	uint16_t attribute_id;
	uint16_t type; /* CIP data type, or enum enip_own_type */
	const char *name;
};

/* Forms of attributes that CIP's elementary types do not say. */
enum enip_own_type {
	ENIP_TYPE_IP = 0x1000,   /* UDINT holding an IPv4 address */
	ENIP_TYPE_MAC,           /* six octets */
	ENIP_TYPE_REVISION,      /* two USINT: major, minor */
	ENIP_TYPE_PATH,          /* UINT words, and as many of an EPATH */
	ENIP_TYPE_INTERFACE,     /* TCP/IP interface configuration */
	ENIP_TYPE_BYTES4,
	ENIP_TYPE_DIMENSIONS,    /* three UDINT */
	ENIP_TYPE_REST,          /* all that is left */
};

/** Known attribute of a class, NULL: none. attribute_id of class-wide attributes is asked with instance 0. */
const struct enip_attribute *enip_attribute_find(uint32_t class_id, bool instance, uint32_t attribute_id);
/** Attributes of a class as Get Attributes All lists them. @return how many; *first is the first row */
unsigned int enip_attributes_all(uint32_t class_id, const struct enip_attribute **first);

void enip_read_attribute_single(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_read_attribute_set(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_read_attributes_all(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_read_attributes_set_all(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_read_attribute_ids(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_read_attribute_list(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_read_attribute_list_set(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_read_attribute_statuses(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
/** Sets a value that is one number, or bytes. */
void enip_value_put_number(struct enip_pdu *pdu, struct enip_value *value, uint64_t number);
void enip_value_put_bytes(struct enip_pdu *pdu, struct enip_value *value, enum record_scalar_kind kind, struct cursor bytes);
/** A value of a CIP data type: one element, or several where the rest of the body holds more. */
struct enip_value *enip_append_typed(struct enip_pdu *pdu, struct enip_node *node, uint16_t type, struct cursor *body);
/** Bytes of one element of an elementary type; 0: its length varies, or it is none. */
unsigned int enip_type_size(uint16_t type);

/* ---- enip_tag.c ---- */

void enip_tag_read_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_tag_read_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_tag_read_fragment_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_tag_write_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_tag_write_fragment_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_tag_modify_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_template_read_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_tag_list_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);

/* ---- enip_connection.c ---- */

struct enip_state;

void enip_forward_open_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_large_forward_open_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_forward_open_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_forward_close_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_forward_close_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
/** Fills record->tracked when the flow knows the connection. */
void enip_connection_annotate(struct enip_pdu *pdu, uint32_t connection_id);
/** What tells messages over a connection that the flow knows from those over another: the number that answers bear.
 *  @param asks  a request's number; else an answer's. @return 0: not known */
uint32_t enip_connection_of(const struct enip_state *state, uint32_t connection_id, bool asks);
void enip_connections_free(struct proto_ctx *ctx);

/* ---- enip_shared.c: connections of classes 0 and 1, whose data are in other flows than their forward open ---- */

/** Both ends of a flow, the lower address first. */
struct enip_ends {
	uint8_t addr[2][16];
	uint8_t client; /* which of them is the flow's originator */
	bool known;
};

struct enip_shared_entry {
	struct enip_ends ends; /* known: the entry is in use */
	uint8_t from;          /* which of the ends sends its data */
	uint32_t connection_id;
	uint32_t opened;       /* which forward open it was, counted */
	struct enip_tracked what;
};

/** A worker's; all zero at the start. */
struct enip_shared {
	uint32_t opened;
	struct enip_shared_entry sets[ENIP_SHARED_SETS][ENIP_SHARED_WAYS];
};

struct enip_ends enip_ends_of(const struct proto_ctx *ctx);
/** The sender of the PDU at hand let a connection be opened, or closed, by the other end. @param ids by enum enip_way */
void enip_shared_open(struct proto_ctx *ctx, const uint32_t ids[2], const struct enip_tracked *what);
void enip_shared_close(struct proto_ctx *ctx, const uint32_t ids[2], const struct enip_tracked *what);
/** @return false: no forward open was seen between these ends of a connection whose data are sent so */
bool enip_shared_find(
	struct proto_ctx *ctx, const struct enip_ends *ends, bool to_server, uint32_t id, struct enip_tracked *out);
/* ---- enip_pccc.c ---- */

void enip_pccc_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);
void enip_pccc_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body);

/* ---- enip_item.c: bodies of the commands, and CPF ---- */

void enip_read_register(struct enip_pdu *pdu, struct cursor *body);
void enip_read_list(struct enip_pdu *pdu, struct cursor *body);
void enip_read_cpf(struct enip_pdu *pdu, struct cursor *body);
void enip_read_nothing(struct enip_pdu *pdu, struct cursor *body);

/** What of a command's body pairing needs, without reading it all. */
struct enip_peek {
	bool cip;
	uint8_t service; /* as on the wire */
	uint16_t sequence;
	uint32_t connection_id; /* 0: of no connection */
};

struct enip_peek enip_peek_cpf(struct cursor body);
/** Whether a body begins as a CPF list does: PROTO_PROBE_MORE while too short. */
enum proto_probe enip_cpf_plausible(struct cursor in);

/* ---- enip_identity.c ---- */

/** Remembers an identity attribute of the PDU. */
void enip_fact(struct enip_pdu *pdu, uint32_t attribute_id, struct cursor value);
/** Delivers what the PDU said of a device, unless the flow said the same before. Uses ctx->record. */
void enip_identity_deliver(struct enip_pdu *pdu);
/** "4.3". */
void enip_put_revision(struct enip_pdu *pdu, struct record_ref *ref, uint16_t revision);

/* ---- enip_io.c ---- */

bool enip_is_io(struct cursor in);
/** @return length of the CPF packet of cyclic data, 0: more is needed, -EBADMSG */
int enip_io_frame(struct cursor in);
void enip_io_read(struct proto_ctx *ctx, struct cursor pdu);
/** Delivers the totals of every connection and gives memory back. */
void enip_io_end(struct proto_ctx *ctx);

/* ---- the state of a flow ---- */

struct enip_io_table;
struct enip_connection_table;

struct enip_state {
	struct pair_table pairs; /* requests that wait for their response */
	struct enip_connection_table *connections;
	struct enip_io_table *io;
	uint32_t last_id;
	uint32_t session_handle;   /* of the last session registered in the flow */
	uint32_t identity_hashes[ENIP_IDENTITIES_MAX]; /* of the identities delivered last: chassis have many modules */
	uint8_t identity_next;
	bool secured;         /* said once */
	bool unknown_session; /* said once */
	bool asked;           /* a request was seen */
};

#endif
