/*
 * S7comm, the protocol of SIMATIC S7-200, 300, 400 and of others that speak it: the record of one transaction, the
 * state of one flow, and what the files of this folder share. Nothing outside the folder includes this.
 *
 * The vendor has not published the protocol. Sources: the SIMATIC system software reference (system and standard
 * functions, "SZL", block and error codes), and what public captures show.
 */
#ifndef MR_PROTO_S7COMM_H
#define MR_PROTO_S7COMM_H

#include "proto/cotp/cotp.h"
#include "proto/pair.h"
#include "proto/proto.h"

enum {
	S7_PROTOCOL_ID = 0x32,
	S7_HEADER_LEN = 10,
	S7_ITEMS_MAX = 255,          /* the count is one octet */
	S7_LIDS_MAX = 16,            /* steps of a symbolic address */
	S7_BYTE_VALUES_MAX = 32,     /* more bytes than these are shown as hex only */
	S7_ENTRIES_MAX = 512,        /* SZL entries, blocks of a list, in one message */
	S7_OPEN_MAX = 64,            /* requests waiting for their response, in one flow */
	S7_SZL_ENTRY_MAX = 64,       /* of an entry that two messages share, the bytes kept */
	S7_TEXT_MAX = 32,
};

enum s7_rosctr { S7_JOB = 1, S7_ACK = 2, S7_ACK_DATA = 3, S7_USERDATA = 7 };

enum s7_function {
	S7_CPU_SERVICES = 0x00,
	S7_READ_VAR = 0x04,
	S7_WRITE_VAR = 0x05,
	S7_REQUEST_DOWNLOAD = 0x1a,
	S7_DOWNLOAD_BLOCK = 0x1b,
	S7_DOWNLOAD_ENDED = 0x1c,
	S7_START_UPLOAD = 0x1d,
	S7_UPLOAD = 0x1e,
	S7_END_UPLOAD = 0x1f,
	S7_PI_SERVICE = 0x28,
	S7_PLC_STOP = 0x29,
	S7_SETUP = 0xf0,
};

/* Userdata: the low half of the function octet; the high half is the kind. */
enum s7_group {
	S7_GROUP_MODE = 0,
	S7_GROUP_PROGRAMMER = 1,
	S7_GROUP_CYCLIC = 2,
	S7_GROUP_BLOCKS = 3,
	S7_GROUP_CPU = 4,
	S7_GROUP_SECURITY = 5,
	S7_GROUP_PBC = 6,
	S7_GROUP_TIME = 7,
	S7_GROUP_NC = 15,
};

enum s7_kind { S7_KIND_PUSH = 0, S7_KIND_REQUEST = 4, S7_KIND_RESPONSE = 8 };

enum s7_area {
	S7_AREA_COUNTER = 0x1c,
	S7_AREA_TIMER = 0x1d,
	S7_AREA_PERIPHERAL = 0x80,
	S7_AREA_INPUT = 0x81,
	S7_AREA_OUTPUT = 0x82,
	S7_AREA_FLAG = 0x83,
	S7_AREA_DB = 0x84,
};

enum s7_transport {
	S7_TRANSPORT_BIT = 1,
	S7_TRANSPORT_BYTE = 2,
	S7_TRANSPORT_CHAR = 3,
	S7_TRANSPORT_WORD = 4,
	S7_TRANSPORT_INT = 5,
	S7_TRANSPORT_DWORD = 6,
	S7_TRANSPORT_DINT = 7,
	S7_TRANSPORT_REAL = 8,
	S7_TRANSPORT_DATE = 9,
	S7_TRANSPORT_TOD = 10,
	S7_TRANSPORT_TIME = 11,
	S7_TRANSPORT_S5TIME = 12,
	S7_TRANSPORT_DATE_AND_TIME = 15,
	S7_TRANSPORT_COUNTER = 28,
	S7_TRANSPORT_TIMER = 29,
};

enum s7_syntax {
	S7_SYNTAX_ANY = 0x10,
	S7_SYNTAX_PBC = 0x13,
	S7_SYNTAX_NCK = 0x82,
	S7_SYNTAX_NCK_METRIC = 0x83,
	S7_SYNTAX_NCK_INCH = 0x84,
	S7_SYNTAX_DRIVE = 0xa2,
	S7_SYNTAX_DBREAD = 0xb0,
	S7_SYNTAX_SYMBOLIC = 0xb2,
};

/* Presence bits of s7_record; those of the COTP part come first. */
enum s7_bit {
	S7_HAS_COTP = 0,
	S7_HAS_CONNECTION = COTP_BIT_COUNT,
	S7_HAS_HEADER,
	S7_HAS_FUNCTION,
	S7_HAS_SUBFUNCTION,
	S7_HAS_USERDATA,
	S7_HAS_SEQUENCE,
	S7_HAS_PI,
	S7_HAS_PI_ARGUMENT,
	S7_HAS_PI_BLOCKS,
	S7_HAS_ERROR,
	S7_HAS_RESPONSE,
	S7_HAS_RESPONSE_FUNCTION,
	S7_HAS_RESPONSE_TIME,
	S7_HAS_SETUP,
	S7_HAS_RESPONSE_SETUP,
	S7_HAS_STATUS,
	S7_HAS_TRANSFER_ERROR,
	S7_HAS_SESSION,
	S7_HAS_FILE,
	S7_HAS_BLOCK_TYPE,
	S7_HAS_BLOCK_LENGTH,
	S7_HAS_LENGTHS,
	S7_HAS_ITEMS,
	S7_HAS_SZL,
	S7_HAS_SZL_LENGTHS,
	S7_HAS_SZL_ENTRIES,
	S7_HAS_BLOCKS,
	S7_HAS_CLOCK,
	S7_HAS_PASSWORD,
	S7_HAS_PASSWORD_TEXT,
	S7_HAS_CYCLIC,
	S7_HAS_CYCLIC_JOB,
	S7_HAS_MESSAGES,
	S7_HAS_ALARMS,
	S7_HAS_TRIGGER,
	S7_HAS_JOB,
	S7_HAS_RETURN_CODE,
	S7_HAS_DATA_UNIT,
	S7_HAS_DATA,
};

/* What the request and the response each have. */
struct s7_head {
	uint8_t rosctr;
	uint8_t function;
	uint8_t kind;          /* enum s7_kind, of userdata */
	uint16_t reference;
	uint16_t function_key; /* 0x0100 or 0x0700 and the code: names differ by rosctr */
};

struct s7_record {
	struct record_head head;
	uint32_t id;               /* transactions of the flow, counted from 1 */
	uint32_t response_time_us;
	struct cotp_info cotp;
	uint8_t connection_type;   /* of the called TSAP */
	uint8_t rack;
	uint8_t slot;
	struct s7_head first;      /* of the request, or of a message alone */
	struct s7_head response;
	uint8_t subfunction;
	uint8_t sequence;
	uint8_t data_unit;
	uint8_t last_data_unit;    /* 0: the last one */
	uint16_t subfunction_key;  /* group and sub-function, or S7_PI_KEY and the service */
	uint8_t error_class;
	uint16_t error_code;
	uint16_t error_key;        /* class and code as one number */
	uint8_t return_code;
	uint8_t function_status;
	uint16_t transfer_error;
	uint16_t amq_calling, amq_called, pdu_length;
	uint16_t response_amq_calling, response_amq_called, response_pdu_length;
	uint32_t session_id;
	uint32_t block_length;
	uint32_t load_length, code_length;
	uint32_t block_number;
	uint8_t block_type;
	uint8_t filesystem;
	uint16_t szl_id, szl_part, szl_index, szl_entry_length, szl_count;
	uint16_t interval_base, interval_factor;
	uint16_t trigger, job_key; /* of programmer commands */
	uint8_t job;
	uint8_t cyclic_job;
	uint8_t message_events;
	uint64_t clock_ns;
	uint8_t password_len;
	struct record_ref filename;
	struct record_ref pi_service;
	struct record_ref pi_argument;
	struct record_ref password;
	struct record_ref message_user;
	struct record_ref data;
	struct record_list pi_blocks;
	struct record_list items;
	struct record_list entries;
	struct record_list blocks;
	struct record_list alarms;
};

/** One address, and what is there: of a request and its response together. */
struct s7_item {
	struct record_head head;
	uint8_t syntax;
	uint8_t area;
	uint8_t transport;
	uint8_t bit_address;
	uint8_t return_code;
	uint8_t data_transport;
	uint8_t nck_area, nck_unit, nck_module, nck_line_count;
	uint16_t nck_column, nck_line;
	uint16_t count;
	uint16_t db_number;
	uint32_t byte_address;  /* of counters and timers: their number */
	uint32_t crc;           /* of a symbolic address */
	bool piece;             /* of the same address as the item before */
	struct record_ref lids; /* uint32_t */
	struct record_ref raw;  /* an address of another syntax */
	struct record_ref values;
	struct record_ref data;
};

enum s7_item_bit {
	S7_ITEM_SYNTAX,
	S7_ITEM_AREA,
	S7_ITEM_DB,
	S7_ITEM_ADDRESS,
	S7_ITEM_BIT_ADDRESS,
	S7_ITEM_TRANSPORT,
	S7_ITEM_COUNT,
	S7_ITEM_NCK,
	S7_ITEM_SYMBOLIC,
	S7_ITEM_RAW,
	S7_ITEM_RETURN_CODE,
	S7_ITEM_DATA_TRANSPORT,
	S7_ITEM_VALUES,
	S7_ITEM_DATA,
};

/** One entry of a system status list. */
struct s7_entry {
	struct record_head head;
	uint16_t index;
	uint16_t index_key;    /* names of an index differ by list */
	uint16_t module_type;
	uint16_t version[2];
	uint16_t event_id;
	uint8_t priority, ob;
	uint8_t mode, previous_mode;
	uint8_t led, led_on, led_flashing;
	uint16_t protection[3]; /* by the key switch, by parameters, in force */
	uint16_t switch_position;
	uint32_t configuration_checksum, program_checksum;
	uint64_t time_ns;
	struct record_ref text;
	struct record_ref data;
};

enum s7_entry_bit {
	S7_ENTRY_INDEX,
	S7_ENTRY_NAME,
	S7_ENTRY_ORDER,
	S7_ENTRY_TEXT,
	S7_ENTRY_EVENT,
	S7_ENTRY_TIME,
	S7_ENTRY_MODE,
	S7_ENTRY_LED,
	S7_ENTRY_PROTECTION,
	S7_ENTRY_CHECKSUMS,
	S7_ENTRY_DATA,
};

/** A block in a list, in a PI service, or its description. */
struct s7_block {
	struct record_head head;
	uint8_t type;
	uint8_t filesystem;
	uint8_t flags;
	uint8_t language;
	uint8_t version;
	uint16_t checksum;
	uint16_t local_length;
	uint32_t number;
	uint32_t count;
	uint32_t load_length;
	uint32_t code_length;
	uint32_t security;
	uint64_t code_ns, interface_ns;
	struct record_ref author, family, name;
};

enum s7_block_bit {
	S7_BLOCK_TYPE,
	S7_BLOCK_NUMBER,
	S7_BLOCK_FILESYSTEM,
	S7_BLOCK_COUNT,
	S7_BLOCK_LANGUAGE,
	S7_BLOCK_INFO,
};

/** An alarm as it came, goes on standing, was acknowledged or locked. */
struct s7_alarm {
	struct record_head head;
	uint8_t signals; /* a bit each of eight */
	uint8_t acknowledged_going, acknowledged_coming;
	uint32_t event_id;
	uint64_t time_ns;
	struct record_ref values;
};

enum s7_alarm_bit {
	S7_ALARM_EVENT_ID,
	S7_ALARM_TIME,
	S7_ALARM_SIGNALS,
	S7_ALARM_ACKNOWLEDGED,
	S7_ALARM_VALUES,
};

enum {
	S7_PI_KEY = 0x8000,
	S7_SZL_MODULE = 0x11,
	S7_SZL_LEDS = 0x19,
	S7_SZL_COMPONENT = 0x1c,
	S7_SZL_MODES = 0x24,
	S7_SZL_STATUS = 0x32,
	S7_SZL_LEDS_H = 0x74,
	S7_SZL_DIAGNOSTIC = 0xa0,
};

extern const struct record_table s7_table;
extern const struct record_table *const s7_item_tables[];
extern const struct record_table *const s7_entry_tables[];
extern const struct record_table *const s7_block_tables[];
extern const struct record_table *const s7_alarm_tables[];
extern const struct field_names s7_function_keys;
extern const struct field_names s7_subfunction_keys;
extern const struct rule_app_event s7_events[];
extern const struct counter_desc s7_counters[];
extern const struct knob_table s7_knobs;

enum s7_event {
	S7_EVENT_INVALID_TPDU,
	S7_EVENT_CONNECTION_REFUSED,
	S7_EVENT_REASSEMBLY_DROPPED,
	S7_EVENT_UNKNOWN_PROTOCOL_ID,
	S7_EVENT_INVALID_LENGTH,
	S7_EVENT_TRAILING_BYTES,
	S7_EVENT_UNKNOWN_ROSCTR,
	S7_EVENT_UNKNOWN_FUNCTION,
	S7_EVENT_INVALID_ITEM,
	S7_EVENT_ITEM_COUNT_MISMATCH,
	S7_EVENT_INVALID_VALUE,
	S7_EVENT_UNSOLICITED_RESPONSE,
	S7_EVENT_REUSED_PDU_REFERENCE,
	S7_EVENT_FLOODED,
	S7_EVENT_COUNT,
};

enum s7_counter {
	S7_COUNT_JOBS,
	S7_COUNT_ACKS,
	S7_COUNT_USERDATA,
	S7_COUNT_CONNECTIONS,
	S7_COUNT_DATA_TPDUS,
	S7_COUNT_UNANSWERED,
	S7_COUNT_ORPHANS,
	S7_COUNT_SHED,
	S7_COUNTER_COUNT,
};

struct s7_config {
	uint64_t request_flood; /* 1..S7_OPEN_MAX */
	uint64_t message_max;   /* bytes, at most COTP_MESSAGE_LEN_MAX */
	bool log_passwords;
};

/* What the next message of a long status list begins with. */
struct s7_szl_rest {
	uint16_t id, index, entry_length;
	uint8_t data_unit; /* 0: nothing is under way */
	bool to_server;    /* whose messages they are */
	uint8_t len;
	uint8_t bytes[S7_SZL_ENTRY_MAX];
};

struct s7_state {
	struct pair_table pairs;      /* requests that wait for their response */
	struct pair_orphans orphans;
	uint64_t gap_ns;              /* when bytes were lost last */
	uint32_t last_id;
	bool orphan_said;         /* until a response answers a request again */
	bool seen[2];             /* by to_server: a message was read whole */
	struct cotp_message messages[2];
	struct s7_szl_rest szl;
};

/* ---- one message being read ---- */

/* Found in status lists, handed on when the record itself is delivered. */
struct s7_identity {
	struct {
		uint8_t what; /* enum identity_bit */
		uint8_t len;
		char text[S7_TEXT_MAX];
	} texts[8];
	uint8_t count;
};

struct s7_message {
	struct proto_ctx *ctx;
	struct s7_record *record;
	struct s7_head *half;         /* the one being filled */
	bool response;
	bool answers;                 /* the record holds the request too */
	struct cursor parameters;
	struct cursor data;
	struct s7_identity identity;
};

static inline void
s7_has(struct s7_message *message, enum s7_bit bit)
{
	record_present(&message->record->head, (uint8_t)bit);
}

/** What is left at the cursor as the message's data: what the tables do not know the form of. */
static inline void
s7_put_data(struct s7_message *message, struct cursor *in)
{
	uint32_t len = (uint32_t)cursor_left(in);

	if (len == 0)
		return;
	record_put_bytes(message->ctx->record, &message->record->data, cursor_take(in, len), len);
	s7_has(message, S7_HAS_DATA);
}

/** What only an answer says: a request has a placeholder in its place, and the event is of both. */
static inline bool
s7_asks(const struct s7_message *message)
{
	return message->half->rosctr == S7_JOB || message->half->kind == S7_KIND_REQUEST;
}

/** Of an answer in several messages each stands in data units of one number; its form is that of all of them together. */
static inline bool
s7_is_part(const struct s7_message *message)
{
	return record_is_present(message->record, S7_HAS_DATA_UNIT) && message->record->data_unit != 0;
}

static inline struct s7_config
s7_config_of(const struct proto_ctx *ctx)
{
	return *(const struct s7_config *)ctx->config;
}

/* s7comm_item.c */
struct s7_item *s7_append_item(struct s7_message *message);
/** Type, length and bytes as they stand before each other; the next one begins at an even place. */
struct cursor s7_take_data(struct cursor *in, uint8_t *transport, bool more);
/** Addresses of a read or write, count of them. */
void s7_read_addresses(struct s7_message *message, struct cursor *in, unsigned int count);
/** What was read, or is to be written: count times return code, type, length, bytes. */
void s7_read_values(struct s7_message *message, struct cursor *in, unsigned int count);
/** The return codes of a write. */
void s7_read_return_codes(struct s7_message *message, struct cursor *in, unsigned int count);

/* s7comm_job.c */
void s7_read_job(struct s7_message *message);

/* s7comm_userdata.c */
/** Function, sub-function and the rest of the parameters; before the request is looked for. */
void s7_read_userdata_head(struct s7_message *message);
void s7_read_userdata(struct s7_message *message);

/* s7comm_block.c */
/** "_0800001P": block type, number, file system, when the text is of that form. */
void s7_read_filename(struct s7_message *message, const uint8_t *name, uint32_t len);
void s7_read_block_functions(struct s7_message *message, struct cursor *in);
void s7_read_pi_blocks(struct s7_message *message, struct cursor *in);
/** Decimal digits. @return false: others are among them */
bool s7_digits(struct cursor *in, unsigned int count, uint32_t *out);
/** The name's last octet: 'A', 'P', 'B'. */
uint8_t s7_hex_pair(struct cursor *in);

/* s7comm_message.c */
/** Functions of the CPU group but status lists. */
void s7_read_messages(struct s7_message *message, struct cursor *in);

/* s7comm_programmer.c */
void s7_read_programmer(struct s7_message *message, struct cursor *in);

/* s7comm_szl.c */
/** One entry of the diagnostic buffer, told as it is made. */
void s7_read_diagnostic(struct s7_message *message, struct cursor *in);
void s7_read_szl(struct s7_message *message, struct cursor *in);
/** Writes what the message said of its sender. */
void s7_deliver_identity(struct s7_message *message);

/* s7comm_time.c */
/** Eight octets of BCD: year, month, day, hour, minute, second, milliseconds and weekday. @return false: no such time */
bool s7_read_clock(struct cursor *in, uint64_t *out_ns);
/** Milliseconds of the day, days since 1984 (SIMATIC DATE); six octets. */
uint64_t s7_read_stamp(struct cursor *in);
#endif
