/*
 * Modbus/TCP: the record of one transaction, the state of one flow, and what the files of
 * this folder share. Nothing outside the folder includes this.
 *
 * Source: MODBUS Application Protocol Specification V1.1b3 ("V1.1b3"), MODBUS Messaging on
 * TCP/IP Implementation Guide V1.0b ("TCP V1.0b").
 */
#ifndef MR_PROTO_MODBUS_H
#define MR_PROTO_MODBUS_H

#include "proto/pair.h"
#include "proto/proto.h"

enum {
	MODBUS_HEADER_LEN = 6,       /* transaction, protocol, length: what the length field does not count */
	MODBUS_LENGTH_MIN = 2,       /* of the length field: unit and function */
	MODBUS_LENGTH_MAX = 254,     /* unit and a PDU of 253 bytes (V1.1b3 4.1) */
	MODBUS_LENGTH_FRAMED = 1100, /* longer is not taken for a PDU; Schneider's function 90 goes to 1030 */
	MODBUS_FUNCTION_COUNT = 128,
	MODBUS_EXCEPTION_BIT = 0x80,
	MODBUS_FUNCTION_UMAS = 90,
	MODBUS_REGISTERS_MAX = MODBUS_LENGTH_FRAMED / 2,
	MODBUS_FILE_RECORDS_MAX = 36, /* sub-requests of 7 bytes in 245 bytes (V1.1b3 6.14), and one more seen as wrong */
	MODBUS_OBJECTS_MAX = 128,     /* objects of at least 2 bytes in a PDU (V1.1b3 6.21) */
	MODBUS_IDENTITIES_MAX = 8,    /* answers a flow remembers, so as to tell each once */
	MODBUS_OPEN_MAX = 512,        /* requests waiting for their response, in one flow */
};

/* What a function does to which of the device's tables; the values Suricata's rules know. */
enum modbus_access {
	MODBUS_READ = 0x01,
	MODBUS_WRITE = 0x02,
	MODBUS_DISCRETES = 0x04,
	MODBUS_COILS = 0x08,
	MODBUS_INPUT = 0x10,
	MODBUS_HOLDING = 0x20,
	MODBUS_SINGLE = 0x40,
	MODBUS_MULTIPLE = 0x80,
	MODBUS_BITS = MODBUS_DISCRETES | MODBUS_COILS,
	MODBUS_TABLES = MODBUS_BITS | MODBUS_INPUT | MODBUS_HOLDING,
};

enum modbus_category {
	MODBUS_PUBLIC_ASSIGNED = 1,
	MODBUS_PUBLIC_UNASSIGNED = 2,
	MODBUS_USER_DEFINED = 4,
	MODBUS_RESERVED = 8,
};

/* What is wrong with one message: "error_flags". */
enum modbus_error {
	MODBUS_ERROR_VALUE = 1,
	MODBUS_ERROR_LENGTH = 2,
	MODBUS_ERROR_EXCEPTION = 4,
	MODBUS_ERROR_FUNCTION = 8,
	MODBUS_ERROR_PROTOCOL = 16,
};

enum modbus_mei { MODBUS_MEI_CANOPEN = 13, MODBUS_MEI_DEVICE_ID = 14 };

/* Bit numbers of record_head.present: a half's own, plus MODBUS_RESPONSE for the response. */
enum modbus_bit {
	MODBUS_HAS_HEADER,
	MODBUS_HAS_DATA,
	MODBUS_HAS_DIAGNOSTIC,
	MODBUS_HAS_DIAGNOSTIC_VALUE,
	MODBUS_HAS_MEI,
	MODBUS_HAS_IDENTIFICATION,
	MODBUS_HAS_READ,
	MODBUS_HAS_READ_VALUES,
	MODBUS_HAS_READ_BITS,
	MODBUS_HAS_WRITE,
	MODBUS_HAS_WRITE_SINGLE,
	MODBUS_HAS_WRITE_MULTIPLE,
	MODBUS_HAS_WRITE_VALUES,
	MODBUS_HAS_WRITE_BITS,
	MODBUS_HAS_WRITE_MASK,
	MODBUS_HAS_FIFO,
	MODBUS_HAS_FILE_RECORDS,
	MODBUS_HAS_EXCEPTION,
	MODBUS_HAS_EXCEPTION_STATUS,
	MODBUS_HAS_EVENT_COUNTER,
	MODBUS_HAS_EVENT_LOG,
	MODBUS_HAS_SERVER,
	MODBUS_HAS_SERVER_RUN,
	MODBUS_HAS_SERVER_TEXT,
	MODBUS_HAS_OBJECTS,
	MODBUS_REQUEST = 0,
	MODBUS_RESPONSE = 32,
	MODBUS_HAS_RESPONSE_TIME = 63,
};

/** A request or a response. Which members hold something is said by the root's presence bits. */
struct modbus_half {
	uint16_t transaction_id;
	uint16_t protocol_id;
	uint16_t length;
	uint8_t unit_id;
	uint8_t function_raw; /* as on the wire */
	uint8_t function;     /* without MODBUS_EXCEPTION_BIT */
	uint8_t access;       /* enum modbus_access */
	uint8_t category;     /* enum modbus_category */
	uint8_t errors;       /* enum modbus_error */
	uint16_t read_address;
	uint16_t read_quantity;
	uint16_t write_address;
	uint16_t write_quantity; /* of several; of one: its value; in a response: what was echoed */
	uint16_t and_mask;
	uint16_t or_mask;
	uint16_t subfunction;       /* diagnostics */
	uint16_t subfunction_value; /* its data, when it is one register */
	uint16_t status;            /* communication event counter and log */
	uint16_t event_count;
	uint16_t message_count;
	uint16_t fifo; /* request: pointer address; response: count of values */
	uint8_t mei_type;
	uint8_t device_id_code;
	uint8_t conformity_level;
	uint8_t more_follows;
	uint8_t object_id; /* request: the first wanted; response: the next */
	uint8_t object_count;
	uint8_t exception;
	uint8_t exception_status;
	uint8_t run_indicator;
	struct record_ref data;   /* the body's own bytes */
	struct record_ref values; /* registers (uint16_t), or bits (uint8_t 0 and 1) */
	struct record_ref text;   /* report server id */
	struct record_list list;  /* file records, or objects */
};

struct modbus_record {
	struct record_head head;
	uint32_t id;               /* transactions of the flow, counted from 1 */
	uint32_t response_time_us; /* from request to response */
	struct modbus_half request;
	struct modbus_half response;
};

/** One sub-request or sub-response of functions 20 and 21. */
struct modbus_file_record {
	struct record_head head;
	uint16_t file_number;
	uint16_t record_number;
	uint16_t record_length; /* registers */
	uint8_t reference_type;
	struct record_ref data;
	struct record_ref values;
};

enum modbus_file_record_bit { MODBUS_FILE_TYPE, MODBUS_FILE_WHERE, MODBUS_FILE_LENGTH, MODBUS_FILE_DATA };

/** One object of a device's identification. */
struct modbus_object {
	struct record_head head;
	uint8_t id;
	struct record_ref value;
};

extern const struct record_table modbus_table;
extern const struct record_table *const modbus_file_record_tables[];
extern const struct record_table *const modbus_object_tables[];
extern const struct rule_app_event modbus_events[];
extern const struct rule_app_keyword modbus_keywords[];
/** rule_app.keyword_index: a rule is asked only for requests of the function, category, unit or access it names. */
bool modbus_keyword_index(const struct rule_app_keyword *keyword, const struct rule_app_test *compiled,
	struct rule_app_index *out);
extern const struct counter_desc modbus_counters[];
extern const struct knob_table modbus_knobs;

/* Index into modbus_events[]. The first eight are Suricata's. */
enum modbus_event {
	MODBUS_EVENT_INVALID_PROTOCOL_ID,
	MODBUS_EVENT_UNSOLICITED_RESPONSE,
	MODBUS_EVENT_INVALID_LENGTH,
	MODBUS_EVENT_INVALID_FUNCTION_CODE,
	MODBUS_EVENT_INVALID_VALUE,
	MODBUS_EVENT_INVALID_EXCEPTION_CODE,
	MODBUS_EVENT_VALUE_MISMATCH,
	MODBUS_EVENT_FLOODED,
	MODBUS_EVENT_TRAILING_BYTES,
	MODBUS_EVENT_UNKNOWN_MEI_TYPE,
	MODBUS_EVENT_UNKNOWN_SUBFUNCTION,
	MODBUS_EVENT_REUSED_TRANSACTION_ID,
	MODBUS_EVENT_WRONG_DIRECTION,
	MODBUS_EVENT_COUNT,
};

enum modbus_counter {
	MODBUS_COUNT_REQUESTS,
	MODBUS_COUNT_RESPONSES,
	MODBUS_COUNT_EXCEPTIONS,
	MODBUS_COUNT_UNANSWERED,
	MODBUS_COUNT_ORPHANS,
	MODBUS_COUNT_SHED,
	MODBUS_COUNTER_COUNT,
};

struct modbus_config {
	uint64_t request_flood; /* 1..MODBUS_OPEN_MAX */
};

/* ---- one PDU being read ---- */

struct modbus_pdu {
	struct proto_ctx *ctx;
	struct modbus_record *record;
	struct modbus_half *half;          /* the one being filled */
	const struct modbus_half *request; /* of a response: what it answers, or NULL */
	const struct modbus_function *function;
	uint8_t bit;                       /* MODBUS_REQUEST or MODBUS_RESPONSE */
	struct cursor objects;             /* of a device's identification; empty otherwise */
};

/** Reads a body into pdu->half. Bytes that are missing leave the cursor short; the caller names that. */
typedef void (*modbus_body)(struct modbus_pdu *pdu, struct cursor *body);

/* How long a body is, as far as that says what it is. */
enum modbus_shape_kind {
	MODBUS_SHAPE_ANY,     /* says nothing */
	MODBUS_SHAPE_FIXED,   /* len bytes */
	MODBUS_SHAPE_BYTES,   /* an 8-bit count at offset len, and as many bytes behind it */
	MODBUS_SHAPE_WORDS,   /* as BYTES, of which there are two a value, and at least one value */
	MODBUS_SHAPE_QUEUE,   /* a 16-bit count at offset 0, and as many bytes behind it */
	MODBUS_SHAPE_MEI_REQUEST,
	MODBUS_SHAPE_MEI_RESPONSE,
};

struct modbus_shape {
	uint8_t kind;
	uint8_t len;
};

struct modbus_function {
	modbus_body read_request;
	modbus_body read_response;
	struct modbus_shape request;
	struct modbus_shape response;
	uint16_t quantity_max; /* of what is read, or of what is written by a pure write */
	uint8_t access;
	uint8_t category;
	uint8_t exceptions;    /* bit n: exception code n+1 is among those the function may answer with */
};

/** [MODBUS_FUNCTION_COUNT], by function code. */
extern const struct modbus_function modbus_functions[MODBUS_FUNCTION_COUNT];

enum modbus_fit { MODBUS_FIT_NO, MODBUS_FIT_MORE, MODBUS_FIT_YES };

/** Whether a body of body_len bytes, of which the cursor may hold only the first, has the shape. */
enum modbus_fit modbus_shape_fit(struct modbus_shape shape, struct cursor body, size_t body_len);

void modbus_read_exception(struct modbus_pdu *pdu, struct cursor *body);
/** Compares a response with what it answers; differences become MODBUS_ERROR_VALUE. */
void modbus_compare(struct modbus_pdu *pdu);

static inline void
modbus_has(struct modbus_pdu *pdu, enum modbus_bit bit)
{
	record_present(&pdu->record->head, (uint8_t)(pdu->bit + bit));
}

static inline bool
modbus_record_has(const struct modbus_record *record, unsigned int half, enum modbus_bit bit)
{
	return record_is_present(record, (uint8_t)(half + bit));
}

/* ---- body parts that requests and responses share (modbus_body.c) ---- */

/** The rest of the body as the half's data. */
const uint8_t *modbus_take_data(struct modbus_pdu *pdu, struct cursor *body, uint32_t *len);
/** The type of an encapsulated interface (V1.1b3 6.19) and all behind it as data. @return whether a device identification
 *  follows: its code is read, inner stands behind it */
bool modbus_take_mei(struct modbus_pdu *pdu, struct cursor *body, struct cursor *inner);
/** Registers from bytes; an odd last byte is left out. */
void modbus_put_registers(struct modbus_pdu *pdu, struct record_ref *ref, const uint8_t *data, uint32_t len);
/** The first count bits, least significant first (V1.1b3 6.1), as far as there are bytes. */
void modbus_put_bits(struct modbus_pdu *pdu, struct record_ref *ref, const uint8_t *data, uint32_t len, uint32_t count);
void modbus_read_nothing(struct modbus_pdu *pdu, struct cursor *body);
void modbus_read_opaque(struct modbus_pdu *pdu, struct cursor *body);
void modbus_read_mask_write(struct modbus_pdu *pdu, struct cursor *body);
void modbus_read_diagnostic(struct modbus_pdu *pdu, struct cursor *body);
/** The place and length of a file record (V1.1b3 6.14, 6.15); NULL when the body ends, or there is no room. */
struct modbus_file_record *modbus_append_file_record(struct modbus_pdu *pdu, struct cursor *body);
void modbus_read_file_data(struct modbus_pdu *pdu, struct cursor *body);

/* modbus_request.c */
void modbus_request_read(struct modbus_pdu *pdu, struct cursor *body);
void modbus_request_write_single(struct modbus_pdu *pdu, struct cursor *body);
void modbus_request_write_multiple(struct modbus_pdu *pdu, struct cursor *body);
void modbus_request_read_write(struct modbus_pdu *pdu, struct cursor *body);
void modbus_request_read_file(struct modbus_pdu *pdu, struct cursor *body);
void modbus_request_fifo(struct modbus_pdu *pdu, struct cursor *body);
void modbus_request_mei(struct modbus_pdu *pdu, struct cursor *body);

/* modbus_response.c */
void modbus_response_read(struct modbus_pdu *pdu, struct cursor *body);
void modbus_response_write(struct modbus_pdu *pdu, struct cursor *body);
void modbus_response_exception_status(struct modbus_pdu *pdu, struct cursor *body);
void modbus_response_event_counter(struct modbus_pdu *pdu, struct cursor *body);
void modbus_response_event_log(struct modbus_pdu *pdu, struct cursor *body);
void modbus_response_server_id(struct modbus_pdu *pdu, struct cursor *body);
void modbus_response_read_file(struct modbus_pdu *pdu, struct cursor *body);
void modbus_response_fifo(struct modbus_pdu *pdu, struct cursor *body);
void modbus_response_mei(struct modbus_pdu *pdu, struct cursor *body);

/* ---- the state of a flow ---- */

struct modbus_state {
	struct pair_table pairs; /* requests that wait for their response */
	uint32_t last_id;
	bool wrong_direction; /* said once */
	bool asked;           /* a request was seen */
	uint8_t identity_next;
	uint32_t identity_hashes[MODBUS_IDENTITIES_MAX]; /* of the answers already told; 0: none */
};

/** Delivers what the objects of a response say of the device, unless this flow said it before. Uses ctx->record: call it
 *  when the transaction is delivered. */
void modbus_identity_deliver(struct modbus_pdu *pdu);

#endif
