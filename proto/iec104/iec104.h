/*
 * IEC 60870-5-104: the record of one APDU, the state of one flow, and what the files of this
 * folder share. iec104.c finds and reads APDUs, iec104_sequence.c follows their numbers,
 * iec104_asdu.c reads ASDUs by the layouts that iec104_types.c lists and iec104_elements.c
 * interprets, iec104_command.c and iec104_file.c follow commands and files through;
 * iec104_fields.c names every field, iec104_keyword.c has the rule keywords.
 *
 * Thread: the worker that owns the flow.
 */
#ifndef MR_PROTO_IEC104_IEC104_H
#define MR_PROTO_IEC104_IEC104_H

#include "proto/proto.h"

enum {
	IEC104_START = 0x68,
	IEC104_APCI_LEN = 6,      /* start, length and four control octets, 60870-5-104 5.1 */
	IEC104_CONTROL_LEN = 4,   /* what the length octet counts at least */
	IEC104_LENGTH_MAX = 253,
	IEC104_ASDU_MAX = 249,
	IEC104_SEQUENCE_MASK = 0x7fff,
	IEC104_LENGTHS_COUNT = 12, /* cause 1 or 2, common address 1 or 2, object address 1 to 3 */
	IEC104_OPEN_MAX = 16,      /* commands followed in a flow */
	IEC104_STATIONS_MAX = 8,   /* common addresses of a flow whose identity was told */
};

enum iec104_format { IEC104_FORMAT_I, IEC104_FORMAT_S, IEC104_FORMAT_U = 3 };

/* Bits of a U format's first control octet, 60870-5-104 5.1. */
enum iec104_u {
	IEC104_STARTDT_ACT = 0x04,
	IEC104_STARTDT_CON = 0x08,
	IEC104_STOPDT_ACT = 0x10,
	IEC104_STOPDT_CON = 0x20,
	IEC104_TESTFR_ACT = 0x40,
	IEC104_TESTFR_CON = 0x80,
	IEC104_U_ACTS = IEC104_STARTDT_ACT | IEC104_STOPDT_ACT | IEC104_TESTFR_ACT,
};

/* Causes of transmission that the parser itself must know, 60870-5-101 7.2.3. */
enum iec104_cause {
	IEC104_CAUSE_ACT = 6,
	IEC104_CAUSE_ACTCON = 7,
	IEC104_CAUSE_DEACT = 8,
	IEC104_CAUSE_DEACTCON = 9,
	IEC104_CAUSE_ACTTERM = 10,
	IEC104_CAUSE_UNKNOWN_FIRST = 44,
	IEC104_CAUSE_UNKNOWN_LAST = 47,
	IEC104_CAUSE_COUNT = 64,
};

enum iec104_type_id {
	IEC104_M_EI_NA_1 = 70,
	IEC104_F_FR_NA_1 = 120,
	IEC104_F_SR_NA_1 = 121,
	IEC104_F_LS_NA_1 = 123,
	IEC104_F_SG_NA_1 = 125,
	IEC104_TYPE_COUNT = 128, /* types from here on are private, 60870-5-101 7.2.1.1 */
};

/* Index of iec104_events[], bit of proto_ctx.events. */
enum iec104_event {
	IEC104_EVENT_INVALID_LENGTH,
	IEC104_EVENT_SHORT_ASDU,
	IEC104_EVENT_RESERVED_CONTROL,
	IEC104_EVENT_INVALID_U_FUNCTION,
	IEC104_EVENT_UNEXPECTED_U_CONFIRMATION,
	IEC104_EVENT_DATA_WHILE_STOPPED,
	IEC104_EVENT_SEQUENCE_GAP,
	IEC104_EVENT_SEQUENCE_DUPLICATE,
	IEC104_EVENT_ACKNOWLEDGES_UNSENT,
	IEC104_EVENT_ACKNOWLEDGES_BACKWARD,
	IEC104_EVENT_K_EXCEEDED,
	IEC104_EVENT_W_EXCEEDED,
	IEC104_EVENT_RESERVED_TYPE,
	IEC104_EVENT_PRIVATE_TYPE,
	IEC104_EVENT_NO_OBJECTS,
	IEC104_EVENT_TOO_MANY_OBJECTS,
	IEC104_EVENT_INVALID_SQ,
	IEC104_EVENT_RESERVED_CAUSE,
	IEC104_EVENT_INVALID_CAUSE,
	IEC104_EVENT_INVALID_COMMON_ADDRESS,
	IEC104_EVENT_INVALID_BROADCAST,
	IEC104_EVENT_INVALID_OBJECT_ADDRESS,
	IEC104_EVENT_NONSTANDARD_LENGTHS,
	IEC104_EVENT_WRONG_DIRECTION,
	IEC104_EVENT_RESERVED_QUALIFIER,
	IEC104_EVENT_RESERVED_BITS,
	IEC104_EVENT_INVALID_VALUE,
	IEC104_EVENT_INVALID_FLOAT,
	IEC104_EVENT_INVALID_TIME,
	IEC104_EVENT_INVALID_TEST_PATTERN,
	IEC104_EVENT_UNEXPECTED_CONFIRMATION,
	IEC104_EVENT_UNEXPECTED_TERMINATION,
	IEC104_EVENT_CONFIRMATION_MISMATCH,
	IEC104_EVENT_COMMAND_UNCONFIRMED,
	IEC104_EVENT_COMMANDS_FLOODED,
	IEC104_EVENT_FILE_CHECKSUM_MISMATCH,
	IEC104_EVENT_FILE_LENGTH_MISMATCH,
	IEC104_EVENT_FILE_OUT_OF_SEQUENCE,
	IEC104_EVENT_COUNT,
};

/* Index of iec104_counters[]. */
enum iec104_counter {
	IEC104_I_FRAMES,
	IEC104_S_FRAMES,
	IEC104_U_FRAMES,
	IEC104_OBJECTS,
	IEC104_COMMANDS,
	IEC104_COMMANDS_CONFIRMED,
	IEC104_COMMANDS_REFUSED,
	IEC104_COMMANDS_SHED,
	IEC104_SEQUENCE_ERRORS,
	IEC104_LENGTHS_RELEARNED,
	IEC104_COUNTERS_END,
};

/* ---- the record of an APDU ---- */

/* Presence bits of struct iec104_record. */
enum iec104_record_bit {
	IEC104_HAS_APCI,
	IEC104_HAS_SSN,
	IEC104_HAS_RSN,
	IEC104_HAS_U,
	IEC104_HAS_ASDU,
	IEC104_HAS_LENGTHS,
	IEC104_HAS_OBJECTS,
	IEC104_HAS_COMMAND,
	IEC104_HAS_SELECTED,
	IEC104_HAS_ACTIVATION,
	IEC104_HAS_FILE,
	IEC104_HAS_DATA,
};

struct iec104_record {
	struct record_head head;
	struct record_list objects;  /* by enum iec104_shape */
	struct record_ref data;      /* of a type whose layout is not known */
	uint64_t response_time_us;   /* since the activation */
	uint32_t file_octets;        /* of the file, so far */
	uint32_t file_segments;
	uint16_t ssn;
	uint16_t rsn;
	uint16_t common_address;
	uint16_t activation_ssn;
	uint8_t apci_type;           /* enum iec104_format */
	uint8_t apdu_len;
	uint8_t u_function;
	uint8_t type_id;
	uint8_t category;            /* enum iec104_category */
	uint8_t nobj;
	uint8_t cot;
	uint8_t originator_address;
	uint8_t cot_len, ca_len, ioa_len;
	uint8_t stage;               /* enum iec104_stage */
	uint8_t activation_stage;    /* of the activation that this answers */
	bool sq, pn, test;
	bool selected;
};

/* What an APDU is in the life of a command. */
enum iec104_stage {
	IEC104_STAGE_NONE,
	IEC104_STAGE_SELECT,
	IEC104_STAGE_EXECUTE,
	IEC104_STAGE_ACTIVATE, /* of what is no process command: interrogation, clock, parameter */
	IEC104_STAGE_CANCEL,
	IEC104_STAGE_CONFIRMATION,
	IEC104_STAGE_CANCEL_CONFIRMATION,
	IEC104_STAGE_TERMINATION,
	IEC104_STAGE_REFUSAL,
};

/* Groups of types, 60870-5-101 7.2.1.1. */
enum iec104_category {
	IEC104_RESERVED,
	IEC104_PROCESS_MONITOR,
	IEC104_PROCESS_CONTROL,
	IEC104_SYSTEM_MONITOR,
	IEC104_SYSTEM_CONTROL,
	IEC104_PARAMETER,
	IEC104_FILE,
	IEC104_SECURITY,
	IEC104_PRIVATE,
};

/* Shapes of information objects: index of iec104_object_shapes[]. */
enum iec104_shape {
	IEC104_SHAPE_VALUE,
	IEC104_SHAPE_VALUE_TIME,
	IEC104_SHAPE_COMMAND,
	IEC104_SHAPE_SYSTEM,
	IEC104_SHAPE_FILE,
	IEC104_SHAPE_COUNT,
};

/* What the one or two bits of a point or command mean: one set of codes, so that a name in a rule means one state
 * whatever the type. */
enum iec104_point_state {
	IEC104_STATE_INTERMEDIATE,
	IEC104_STATE_OFF,
	IEC104_STATE_ON,
	IEC104_STATE_INDETERMINATE,
	IEC104_STATE_LOWER,
	IEC104_STATE_HIGHER,
	IEC104_STATE_NOT_PERMITTED,
};

union iec104_number {
	uint8_t u8;
	int8_t i8;
	int32_t i32;
	uint32_t u32;
	float f32;
	struct {
		uint16_t state;
		uint16_t change;
	} status; /* status and change detection */
};

/* An information object. A VALUE ends before `timestamp`, a FILE continues after the last member. */
struct iec104_object {
	struct record_head head;
	uint32_t obj_addr;
	union iec104_number value;
	uint8_t octet;      /* the type's descriptor or qualifier octet, as it is */
	uint8_t quality;    /* its quality bits */
	uint8_t qualifier;  /* its number, shifted down */
	uint8_t flag;       /* its high bits, shifted down */
	uint16_t interval_ms; /* CP16Time2a: elapsed, operating or delay time */
	union {
		int16_t raw;    /* normalised value as on the wire; association id */
		uint8_t state;  /* enum iec104_point_state, of types that have one */
	};
	uint64_t timestamp; /* CP56Time2a, ns since the Unix epoch as the station's clock shows it */
	uint32_t minute_ms; /* CP24Time2a, ms since the full hour */
	uint8_t time_flags; /* bit 0 invalid, 1 substituted, 2 summer time */
};

struct iec104_object_file {
	struct iec104_object at;
	uint64_t stop_timestamp;
	struct record_ref data;
	uint32_t length;
	uint16_t nof;
	uint8_t nos;
	uint8_t chs;
};

/* ---- layouts: how a type's information element looks on the wire ---- */

/* Kinds of elements. Those up to IEC104_KIND_SOF are octets that iec104_elements.c has one table for. */
enum iec104_kind {
	IEC104_KIND_SIQ,
	IEC104_KIND_DIQ,
	IEC104_KIND_QDS,
	IEC104_KIND_QDP,
	IEC104_KIND_SEP,
	IEC104_KIND_SPE,
	IEC104_KIND_OCI,
	IEC104_KIND_SCO,
	IEC104_KIND_DCO,
	IEC104_KIND_RCO,
	IEC104_KIND_QOS,
	IEC104_KIND_COI,
	IEC104_KIND_QOI,
	IEC104_KIND_QCC,
	IEC104_KIND_QRP,
	IEC104_KIND_QPM,
	IEC104_KIND_QPA,
	IEC104_KIND_FRQ,
	IEC104_KIND_SRQ,
	IEC104_KIND_SCQ,
	IEC104_KIND_LSQ,
	IEC104_KIND_AFQ,
	IEC104_KIND_SOF,
	IEC104_KIND_OCTETS, /* how many those are */
	IEC104_KIND_VTI = IEC104_KIND_OCTETS,
	IEC104_KIND_BSI,
	IEC104_KIND_NVA,
	IEC104_KIND_SVA,
	IEC104_KIND_R32,
	IEC104_KIND_BCR,
	IEC104_KIND_SCD,
	IEC104_KIND_FBP,
	IEC104_KIND_TSC,
	IEC104_KIND_AID,
	IEC104_KIND_CP16,
	IEC104_KIND_CP24,
	IEC104_KIND_CP56,
	IEC104_KIND_CP56_STOP,
	IEC104_KIND_NOF,
	IEC104_KIND_NOS,
	IEC104_KIND_LOF,
	IEC104_KIND_CHS,
	IEC104_KIND_SEGMENT, /* length and that many octets: the only element whose size varies */
	IEC104_KIND_COUNT,
};

struct iec104_element {
	uint64_t present; /* bits of the shape set when it was read */
	uint8_t kind;     /* enum iec104_kind */
};

enum iec104_type_flag {
	IEC104_MANY = 1,        /* several objects with an address each (SQ 0) */
	IEC104_SEQUENCE = 2,    /* several elements behind one address (SQ 1) */
	IEC104_ZERO_ADDRESS = 4, /* the object address has no meaning and is 0 */
	IEC104_BROADCAST = 8,   /* may be sent to all stations */
	IEC104_VARIABLE = 16,   /* its size varies */
};

/* One row for each type identification. name NULL: reserved. IEC104_VARIABLE without elements: contents are bytes. */
struct iec104_type {
	const char *name;
	const struct iec104_element *elements;
	uint64_t causes;     /* bit c: cause c is allowed */
	uint8_t element_count;
	uint8_t size;        /* of the elements on the wire; for IEC104_VARIABLE the least */
	uint8_t shape;       /* enum iec104_shape */
	uint8_t category;    /* enum iec104_category */
	uint8_t flags;       /* enum iec104_type_flag */
};

extern const struct iec104_type iec104_types[IEC104_TYPE_COUNT];

/** Bytes of a kind on the wire; for IEC104_KIND_SEGMENT the least. */
uint8_t iec104_kind_size(uint8_t kind);

/* ---- one ASDU being read ---- */

struct iec104_lengths {
	uint8_t cot;
	uint8_t ca;
	uint8_t ioa;
};

extern const struct iec104_lengths iec104_lengths_table[IEC104_LENGTHS_COUNT]; /* the standard's first */

/* What begins every ASDU, 60870-5-101 7.2. */
struct iec104_asdu {
	const struct iec104_type *type; /* NULL: private */
	struct iec104_lengths lengths;
	uint8_t type_id;
	uint8_t count;
	uint8_t cause;
	uint8_t originator;
	uint16_t common_address;
	bool sq, pn, test;
};

/* An information object on its way into a record. */
struct iec104_walk {
	struct proto_ctx *ctx;
	struct cursor in;
	struct iec104_object *object;
	uint64_t present;
};

/** Reads the elements of one object. They were seen to be there, but for a segment's octets. */
void iec104_walk_elements(struct iec104_walk *walk, const struct iec104_type *type);

/* ---- state and configuration ---- */


struct iec104_config {
	bool log_supervisory;
	unsigned int cot_len;    /* 0: found out */
	unsigned int ca_len;
	unsigned int ioa_len;
	uint64_t k;
	uint64_t w;
	uint64_t command_timeout_s;
};

/* One direction's numbers. */
struct iec104_sequence {
	uint16_t next;     /* expected N(S) */
	uint16_t acked;    /* N(R) last received for it */
	bool next_known;
	bool acked_known;
	bool k_told;       /* exceeding k or w is told once a flow and direction */
	bool w_told;
	uint8_t u_pending; /* activations that wait for their confirmation */
};

/* A command that was activated. */
struct iec104_open {
	uint64_t ts_ns;
	uint32_t obj_addr;
	uint32_t value;     /* of the first object: must come back in the confirmation */
	uint16_t common_address;
	uint16_t ssn;
	uint8_t octet;
	uint8_t type_id;
	uint32_t number;    /* of the command in the flow: which is older */
	uint8_t stage;      /* enum iec104_stage: SELECT, EXECUTE or ACTIVATE */
	bool confirmed;
	bool selected;      /* an EXECUTE that follows a confirmed SELECT */
	bool to_server;
	bool used;
};

/* The file under transfer; one at a time, 60870-5-101 7.4.11. */
struct iec104_file {
	uint32_t octets;
	uint32_t section_octets;
	uint32_t segments;
	uint32_t length;         /* as announced */
	uint32_t section_length;
	uint16_t nof;
	uint8_t nos;
	uint8_t sum;
	uint8_t section_sum;
	bool known;              /* read from its start without a loss */
	bool section_known;
};

/* Zeroed when the flow was recognised. */
struct iec104_state {
	struct iec104_sequence sequences[2]; /* by to_server */
	struct iec104_file file;
	uint32_t commands;                   /* activations so far */
	uint16_t candidates;                 /* bit i: iec104_lengths_table[i] fits all ASDUs so far */
	uint16_t stations[IEC104_STATIONS_MAX];
	uint8_t station_count;
	uint8_t lengths_idx;
	uint8_t lengths_misses;              /* ASDUs in a row that did not fit */
	bool lengths_told;
	bool u_seen;
	bool stopped;                        /* data transfer was seen to stop */
	bool roles_known;
	bool controller_is_client;           /* with roles_known */
	bool direction_told;
	bool command_seen;
	uint8_t open_count;
	struct iec104_open open[IEC104_OPEN_MAX];
};

/** N(S) and N(R) of an I format. */
void iec104_sequence_i(struct proto_ctx *ctx, uint16_t ssn, uint16_t rsn);
/** N(R) of an S format. */
void iec104_sequence_s(struct proto_ctx *ctx, uint16_t rsn);
/** STARTDT, STOPDT and TESTFR. */
void iec104_sequence_u(struct proto_ctx *ctx, uint8_t function);
/** Reads the ASDU of an I format into the record. */
void iec104_asdu_parse(struct proto_ctx *ctx, struct iec104_record *record, struct cursor in);
/** Which bit of iec104_state.candidates fit an ASDU of this type, variable structure qualifier and length (from the
 *  type on). 0 when none does; all when the type says nothing. */
uint16_t iec104_lengths_fit(uint8_t type_id, uint8_t vsq, uint32_t len);
/** Field lengths that the user allows. */
uint16_t iec104_lengths_allowed(const struct iec104_config *config);
/** The field lengths of this ASDU, which stands in `in` from its type on; learns from it. */
struct iec104_lengths iec104_lengths_of(struct proto_ctx *ctx, struct cursor in);
/** Follows a command: names the stage, pairs it with its activation. first: NULL without an object. */
void iec104_command_follow(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object *first);
/** The flow is over: what still waits for its confirmation is told. */
void iec104_command_end(struct proto_ctx *ctx);
/** Follows a file transfer. segment: its octets, lent, else NULL. */
void iec104_file_follow(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object_file *object);
/** Tells each object's value and quality to who compares them. */
void iec104_values_compare(struct proto_ctx *ctx, const struct iec104_asdu *asdu, const struct iec104_record *record);
/** Tells of a station, by its common address, once a flow. Overwrites ctx->record. */
void iec104_identity_tell(struct proto_ctx *ctx, uint16_t common_address);

extern const struct record_table iec104_record_table;
extern const struct record_table *const iec104_object_shapes[];
extern const struct field_names iec104_type_names;
extern const struct rule_app_event iec104_events[];
extern const struct rule_app_keyword iec104_keywords[];
bool iec104_keyword_index(const struct rule_app_keyword *keyword, const struct rule_app_test *test,
	struct rule_app_index *out);
enum { IEC104_KEYWORD_COUNT = 2 };

extern const struct proto iec104_proto;

#endif
