/*
 * DNP3 (IEEE 1815-2012): the records of one message, the state of one flow, and what the
 * files of this folder share. dnp3.c reads link frames and transport segments, dnp3_app.c
 * application headers and object headers, dnp3_objects.c the points by the layouts that
 * dnp3_points.c lists; dnp3_fields.c names every field, dnp3_keyword.c has the rule keywords.
 *
 * Thread: the worker that owns the flow.
 */
#ifndef MR_PROTO_DNP3_DNP3_H
#define MR_PROTO_DNP3_DNP3_H

#include "proto/proto.h"

enum {
	DNP3_HEADER_LEN = 10,    /* link header with its CRC, IEEE 1815 9.2.4.1 */
	DNP3_BLOCK_LEN = 16,     /* user data between two CRCs */
	DNP3_LENGTH_MIN = 5,     /* link length octet: control and two addresses */
	DNP3_USER_DATA_MAX = 250,
	DNP3_BROADCAST_MIN = 0xfffd, /* 9.2.4.1.5: addresses that nobody answers */
	DNP3_SLOT_MAX = 8,       /* messages under reassembly in a flow */
	DNP3_OPEN_MAX = 32,      /* requests that wait for their response in a flow */
	DNP3_OBJECTS_MAX = 2048, /* upper bound of max-objects */
	DNP3_OBJECT_HEADER_MIN = 3, /* bytes on the wire */
	DNP3_FACTS_MAX = 8,      /* texts of a message that say what a device is */
	DNP3_IDENTITIES_MAX = 4, /* answers a flow remembers, so as to tell each once */
	DNP3_REASSEMBLY_FIRST = 2048, /* first block of a reassembly buffer; it doubles */
	DNP3_REASSEMBLY_MAX = 32 * 1024,
};

/* Application function codes that the parser itself must know, IEEE 1815 4.2.2.5. */
enum dnp3_function {
	DNP3_CONFIRM = 0,
	DNP3_READ = 1,
	DNP3_FREEZE_AT_TIME = 11,
	DNP3_FREEZE_AT_TIME_NR = 12,
	DNP3_REQUEST_LAST = 33,
	DNP3_RESPONSE = 129,
	DNP3_UNSOLICITED_RESPONSE = 130,
	DNP3_AUTHENTICATE_RESP = 131,
};

/* Index of dnp3_events[], bit of proto_ctx.events. The first eight and the last two are Suricata's, by its names. */
enum dnp3_event {
	DNP3_EVENT_FLOODED,
	DNP3_EVENT_LEN_TOO_SMALL,
	DNP3_EVENT_BAD_LINK_CRC,
	DNP3_EVENT_BAD_TRANSPORT_CRC,
	DNP3_EVENT_UNKNOWN_OBJECT,
	DNP3_EVENT_TOO_MANY_POINTS,
	DNP3_EVENT_TOO_MANY_OBJECTS,
	DNP3_EVENT_TOO_LONG_REASSEMBLY,
	DNP3_EVENT_INVALID_LINK_FUNCTION,
	DNP3_EVENT_UNEXPECTED_USER_DATA,
	DNP3_EVENT_TRANSPORT_SEQUENCE,
	DNP3_EVENT_REASSEMBLY_DROPPED,
	DNP3_EVENT_INVALID_FUNCTION_CODE,
	DNP3_EVENT_INVALID_QUALIFIER,
	DNP3_EVENT_INVALID_RANGE,
	DNP3_EVENT_TRUNCATED_OBJECT,
	DNP3_EVENT_INVALID_OBJECT_LENGTH,
	DNP3_EVENT_UNEXPECTED_RESPONSE,
	DNP3_EVENT_BAD_START_BYTES,
	DNP3_EVENT_POLICY_DIVERGENCE,
	DNP3_EVENT_COUNT,
};

/* Index of dnp3_counters[]. */
enum dnp3_counter {
	DNP3_LINK_FRAMES,
	DNP3_APP_MESSAGES,
	DNP3_REQUESTS,
	DNP3_RESPONSES,
	DNP3_UNSOLICITED,
	DNP3_CRC_ERRORS,
	DNP3_SEGMENTS_DROPPED,
	DNP3_REASSEMBLY_DROPPED,
	DNP3_REASSEMBLY_SHED,
	DNP3_REQUESTS_SHED,
	DNP3_POINTS_TRUNCATED,
	DNP3_OBJECTS_TRUNCATED,
	DNP3_COUNTERS_END,
};

/* ---- the record of a message ---- */

/* Presence bits of struct dnp3_record. */
enum dnp3_record_bit {
	DNP3_HAS_APPLICATION,
	DNP3_HAS_IIN,
	DNP3_HAS_OBJECTS,
	DNP3_HAS_REQUEST,
	DNP3_HAS_POINTS_TRUNCATED,
	DNP3_HAS_OBJECTS_TRUNCATED,
	DNP3_HAS_DATA,
};

struct dnp3_record {
	struct record_head head;
	const char *type;               /* "request", "response", "unsolicited_response", "confirm", "link" */
	const char *link_function_name;
	struct record_list objects;     /* of struct dnp3_object */
	uint32_t points_truncated;      /* points that found no room in the record */
	uint32_t objects_truncated;
	struct record_ref data;         /* the whole application fragment, for dnp3.data */
	struct record_ref object_ids;   /* uint16_t group << 8 | variation of every header read, for dnp3.obj */
	uint16_t src;
	uint16_t dst;
	uint16_t iin;                   /* first octet above the second, as rules write it */
	uint16_t iin_bits;              /* bit 0 is IIN1.0, bit 8 is IIN2.0 */
	bool dir, pri, fcb, fcv;
	uint8_t link_function;
	bool fir, fin, con, uns;
	uint8_t sequence;
	uint8_t function;
	uint8_t request_function;       /* of the request that a response answers */
	bool complete;
};

enum dnp3_object_bit { DNP3_OBJECT_HAS_POINTS, DNP3_OBJECT_HAS_NAME, DNP3_OBJECT_HAS_FORM, DNP3_OBJECT_TRUNCATED };

struct dnp3_object {
	struct record_head head;
	const char *name;           /* of the group: "analog_input_event" */
	const char *variation_name; /* of the variation: "32-bit with flag" */
	struct record_list points;  /* by enum dnp3_shape */
	uint32_t start;
	uint32_t stop;
	uint32_t count;
	uint32_t points_truncated;
	uint8_t group;
	uint8_t variation;
	uint8_t qualifier;
	uint8_t prefix_code;
	uint8_t range_code;
};

/* Shapes of points: index of dnp3_point_shapes[]. */
enum dnp3_shape {
	DNP3_SHAPE_PLAIN,
	DNP3_SHAPE_BIT,
	DNP3_SHAPE_BINARY,
	DNP3_SHAPE_BINARY_TIME,
	DNP3_SHAPE_COUNTER,
	DNP3_SHAPE_COUNTER_TIME,
	DNP3_SHAPE_ANALOG,
	DNP3_SHAPE_ANALOG_WIDE,
	DNP3_SHAPE_COMMAND,
	DNP3_SHAPE_TIME,
	DNP3_SHAPE_FILE,
	DNP3_SHAPE_ATTRIBUTE,
	DNP3_SHAPE_VALUE,
	DNP3_SHAPE_DATASET,
	DNP3_SHAPE_AUTH,
	DNP3_SHAPE_COUNT,
};

/* A point begins with this; alone it is an index of a request without data. */
struct dnp3_point {
	struct record_head head;
	uint32_t prefix;
	uint32_t index;
	uint32_t size;
	union { /* of the shapes that have a small value: they come in thousands, and here it costs nothing */
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		int32_t i32;
		float f32;
	} small;
};

enum { DNP3_HAS_SIZE = 0 }; /* bit 0 in every shape: the prefix was an object's size */

union dnp3_number {
	int32_t i32;
	uint32_t u32;
	int64_t i64;
	uint64_t u64;
	float f32;
	double f64;
};

struct dnp3_point_bit {
	struct dnp3_point at;
};

/* The next three end before their timestamp in their plain shape, and whole in the _TIME or _WIDE shape. */
struct dnp3_point_binary {
	struct dnp3_point at;
	uint8_t flag[8]; /* flag[i] is bit i of the flag octet */
	uint64_t timestamp; /* ms since the Unix epoch, as on the wire or of a relative time */
};

struct dnp3_point_counter {
	struct dnp3_point at;
	uint8_t flag[8];
	uint64_t timestamp;
	uint16_t association_id;
};

struct dnp3_point_analog {
	struct dnp3_point at;
	uint8_t flag[8];
	uint64_t timestamp;
	double f64;
};

struct dnp3_point_command {
	struct dnp3_point at;
	uint32_t ontime;  /* ms */
	uint32_t offtime; /* ms */
	uint8_t control[4]; /* op_type, qu, cr, tcc */
	uint8_t count;
	uint8_t status[2]; /* status_code; reserved or commanded_state */
	union dnp3_number value;
	uint64_t timestamp;
};

struct dnp3_point_time {
	struct dnp3_point at;
	uint32_t interval;
	uint64_t timestamp;
	uint16_t delay;
	uint8_t interval_units;
};

struct dnp3_point_file {
	struct dnp3_point at;
	uint32_t authentication_key;
	uint32_t file_size;
	uint32_t file_handle;
	uint32_t block_number;
	uint32_t file_id;
	uint32_t owner_id;
	uint32_t group_id;
	uint64_t created;
	struct record_ref filename;
	struct record_ref username;
	struct record_ref password;
	struct record_ref text; /* optional text, file data, file specification */
	uint16_t filename_offset;
	uint16_t filename_size;
	uint16_t username_offset;
	uint16_t username_size;
	uint16_t password_offset;
	uint16_t password_size;
	uint16_t permissions;
	uint16_t operational_mode;
	uint16_t maximum_block_size;
	uint16_t request_id;
	uint16_t file_type;
	uint16_t start_record;
	uint16_t end_record;
	uint16_t data_size;
	uint8_t filetype_code;
	uint8_t attribute_code;
	uint8_t file_function_code;
	uint8_t status_code;
	bool last_block;
};

struct dnp3_point_attribute {
	struct dnp3_point at;
	uint16_t length;
	uint8_t data_type;
	union dnp3_number number;
	struct record_ref bytes;
	struct record_ref flags;
};

struct dnp3_point_value {
	struct dnp3_point at;
	uint32_t delay_ms;
	union dnp3_number number;
	struct record_ref bytes;
	struct record_ref vendor_code;
	uint16_t object_id;
	uint16_t length;
	uint8_t flag[8];
	uint8_t fill[2]; /* fill_percentage, overflow_state */
	uint8_t group;
	uint8_t variation;
};

struct dnp3_point_dataset {
	struct dnp3_point at;
	struct record_list elements; /* of struct dnp3_element_record */
};

struct dnp3_element_record {
	struct record_head head;
	struct record_ref value;
	uint8_t length;
	uint8_t descriptor_code;
	uint8_t data_type;
	uint8_t max_length;
};

struct dnp3_point_auth {
	struct dnp3_point at;
	uint32_t sequence; /* csq, ksq, sequence_number or scs */
	uint64_t time_of_error;
	struct record_ref bytes[3];
	uint16_t user;
	uint16_t association_id;
	uint16_t user_role;
	uint16_t user_role_expiry_interval;
	uint16_t length[3];
	uint8_t octet[4];
};

/* ---- layouts: how a group and variation looks on the wire ---- */

/* What an element of a layout is. Those up to DNP3_KIND_BLOCK have a fixed size. */
enum dnp3_kind {
	DNP3_KIND_U8,
	DNP3_KIND_U16,
	DNP3_KIND_U32,
	DNP3_KIND_U16_U32,   /* 16 bits on the wire, uint32_t in the record */
	DNP3_KIND_I16_I32,
	DNP3_KIND_I32,
	DNP3_KIND_F32,
	DNP3_KIND_F64,
	DNP3_KIND_U8_U64,
	DNP3_KIND_TIME48,    /* DNP3TIME: ms since the Unix epoch, uint64_t in the record */
	DNP3_KIND_FLAGS,     /* an octet as eight uint8_t */
	DNP3_KIND_DOUBLE,    /* as FLAGS, with bits 6 and 7 together in the seventh */
	DNP3_KIND_SPLIT7,    /* 7 bits and 1 bit, two uint8_t */
	DNP3_KIND_EVENT,     /* FLAGS, and the octet as it is, the point's small value */
	DNP3_KIND_CONTROL,   /* 4 bits, 1, 1, 2: the control code of a CROB, four uint8_t */
	DNP3_KIND_BCD16,     /* packed decimal digits, uint64_t in the record */
	DNP3_KIND_BCD32,
	DNP3_KIND_BCD64,
	DNP3_KIND_BLOCK,     /* file block number with its last flag */
	DNP3_KIND_BYTES4,    /* VSTR4, a record_ref */
	DNP3_KIND_BYTES,     /* as many bytes as an earlier element said (reg), a record_ref */
	DNP3_KIND_REST,      /* the rest of an object whose size is known */
	DNP3_KIND_OCTETS,    /* as many bytes as the variation's number, or the rest */
	DNP3_KIND_ATTRIBUTE, /* type, length and value of a device attribute */
	DNP3_KIND_DESCRIPTORS, /* data set descriptor elements to the object's end */
	DNP3_KIND_VALUES,    /* data set values to the object's end */
};

struct dnp3_element {
	uint8_t kind;     /* enum dnp3_kind */
	uint8_t reg;      /* 1..3: a number kept as a length there; a BYTES of that length */
	uint16_t offset;  /* in the shape's struct */
	uint64_t present; /* bits set when it was read */
};

enum {
	DNP3_REG_COUNT = 4,
	DNP3_ELEMENT_MAX = 17,
};

struct dnp3_layout {
	uint8_t group;
	uint8_t variation;
	uint8_t shape;         /* enum dnp3_shape */
	uint8_t element_count;
	uint8_t packed_bits;   /* 1 or 2: points packed into octets; state is the only element */
	bool any_variation;    /* holds for every variation of the group */
	const struct dnp3_element *elements;
	const char *name;      /* of the variation */
};

extern const struct dnp3_layout dnp3_layouts[]; /* ascending by group, variation */
extern const uint16_t dnp3_layout_count;

/** The layout of a group and variation, or NULL. */
const struct dnp3_layout *dnp3_layout_find(uint8_t group, uint8_t variation);
/** Bytes a point takes on the wire; 0 when that varies, or bits are packed. */
uint32_t dnp3_layout_size(const struct dnp3_layout *layout);
/** Name of a group or NULL; of a device attribute (group 0) or NULL. Static. */
const char *dnp3_group_name(uint8_t group);
const char *dnp3_attribute_name(uint8_t variation);

/* ---- one message being read ---- */

/* The link header of the frame at hand. */
struct dnp3_link {
	uint16_t dst;
	uint16_t src;
	uint8_t control;
};

/* One application fragment on its way into a record. */
/* A text that an outstation said of itself: an attribute of group 0, lent for the message. */
struct dnp3_fact {
	const uint8_t *text;
	uint8_t len;
	uint8_t variation;
};

struct dnp3_message {
	struct proto_ctx *ctx;
	struct dnp3_record *record;
	struct cursor in;
	uint64_t points_left;    /* of max-points */
	uint64_t objects_left;   /* of max-objects */
	uint32_t ids_room;       /* bytes at the record's end that are kept for ids */
	uint32_t points_room;    /* builder length that points may reach */
	uint64_t common_time;    /* of the last common time of occurrence, ms since the Unix epoch */
	bool has_common_time;
	bool unknown_skipped;    /* objects of an unknown kind were passed over */
	uint8_t fact_count;
	struct dnp3_fact facts[DNP3_FACTS_MAX];
	uint16_t id_count;
	uint16_t ids[DNP3_OBJECTS_MAX];
};

/* An object header, IEEE 1815 4.2.2.7. */
struct dnp3_header {
	const struct dnp3_layout *layout; /* NULL: none is known */
	uint8_t group;
	uint8_t variation;
	uint8_t prefix_code;
	uint8_t prefix_len; /* bytes */
	bool sized;         /* the prefix is an object's size */
	bool no_data;       /* names points only: no objects follow */
	uint32_t start;
	uint32_t count;
};

/** A number of 1, 2 or 4 bytes; 0 for no bytes. */
uint32_t dnp3_number_read(struct cursor *in, uint8_t len);

/** Points leave room in the record for the object headers that so many bytes behind them may have, and for all their ids. */
void dnp3_leave_room(struct dnp3_message *message, size_t behind);

/**
 * Reads the points of one object header.
 * @param object  its record, or NULL when that found no room
 * @return false when the rest of the message cannot be read; an event says why
 */
bool dnp3_points_read(struct dnp3_message *message, const struct dnp3_header *header, struct dnp3_object *object);

/* ---- state and configuration ---- */

struct dnp3_config {
	bool log_confirms;
	uint64_t max_points;
	uint64_t max_objects;
	uint64_t max_reassembly; /* bytes */
};

/* A message under reassembly. */
struct dnp3_slot {
	uint8_t *bytes; /* of the slab */
	uint32_t len;
	uint32_t cap;
	uint16_t src;
	uint16_t dst;
	uint8_t sequence; /* of the last segment */
	bool used;
	bool discarding;  /* too long: nothing more until the next FIR */
	bool to_server;
};

struct dnp3_open {
	uint16_t master;
	uint16_t outstation;
	uint8_t sequence;
	uint8_t function;
	uint8_t waiting; /* times it was sent: each may be answered */
};

/* Zeroed when the flow was recognised. */
struct dnp3_state {
	struct dnp3_slot slots[DNP3_SLOT_MAX];
	struct dnp3_open open[DNP3_OPEN_MAX]; /* oldest first */
	uint8_t open_count;
	uint8_t slot_count;
	uint8_t slot_next;     /* the next to be given up when all are used */
	bool first_seen[2];    /* by to_server: a segment with FIR was there */
	bool link_error[2];    /* by to_server: the last frame's header was wrong */
	bool request_seen;
	uint8_t unanswered;    /* requests since the last response, at most DNP3_OPEN_MAX + 1 */
	uint8_t identity_next;
	uint32_t identity_hashes[DNP3_IDENTITIES_MAX]; /* of the answers already told */
};

/** Notes a text attribute of the message, if it says what the device is. */
void dnp3_identity_note(struct dnp3_message *message, uint8_t variation, const uint8_t *text, uint32_t len);
/** Delivers what the message's attributes say of the outstation, unless this flow said it before. Uses ctx->record: call it
 *  when the message is delivered. @param address  the outstation's */
void dnp3_identity_deliver(struct dnp3_message *message, uint16_t address);
/** CRC-16/DNP of len bytes, IEEE 1815 9.2.5. */
uint16_t dnp3_crc(const uint8_t *data, size_t len);
/** Starts ctx->record with the link header. */
struct dnp3_record *dnp3_record_begin(struct proto_ctx *ctx, const struct dnp3_link *link);
/** Reads one whole application fragment and delivers its message. */
void dnp3_app_parse(struct proto_ctx *ctx, const struct dnp3_link *link, const uint8_t *data, uint32_t len);

extern const struct record_table dnp3_record_table;
extern const struct record_table dnp3_object_table;
extern const struct record_table *const dnp3_object_shapes[];
extern const struct record_table *const dnp3_point_shapes[];
extern const struct record_table *const dnp3_element_shapes[];
extern const struct field_names dnp3_functions;
extern const struct field_names dnp3_indicators;
extern const struct rule_app_event dnp3_events[];
extern const struct rule_app_keyword dnp3_keywords[];
extern const struct rule_app_buffer dnp3_buffers[];
/** struct rule_app.keyword_index: rules that name one function, or bits of the indications, are found by them. */
bool dnp3_keyword_index(const struct rule_app_keyword *keyword, const struct rule_app_test *test,
	struct rule_app_index *out);
enum { DNP3_KEYWORD_COUNT = 6, DNP3_BUFFER_COUNT = 2 };

extern const struct proto dnp3_proto;

#endif
