/*
 * EtherNet/IP and CIP: the record of one transaction, with the child records that hang from it. enip_fields.c names
 * what of it is written; sources are those of enip.h.
 */
#ifndef MR_PROTO_ENIP_RECORD_H
#define MR_PROTO_ENIP_RECORD_H

#include "lib/record/record.h"

/* Bit numbers of record_head.present: a half's own, plus ENIP_RESPONSE for the response. From ENIP_HAS_CIP on they
 * are also those of the messages inside others. */
enum enip_bit {
	ENIP_HAS_HEADER,
	ENIP_HAS_OPTIONS,
	ENIP_HAS_REGISTER,
	ENIP_HAS_ADDRESS,
	ENIP_HAS_SEQUENCED,
	ENIP_HAS_ITEMS,
	ENIP_HAS_CPF,
	ENIP_HAS_CIP,
	ENIP_HAS_SEQUENCE,
	ENIP_HAS_PATH,
	ENIP_HAS_CLASS,
	ENIP_HAS_INSTANCE,
	ENIP_HAS_ATTRIBUTE,
	ENIP_HAS_TAG,
	ENIP_HAS_CLASS_SERVICE,
	ENIP_HAS_STATUS,
	ENIP_HAS_STATUS_EXTENDED,
	ENIP_HAS_STATUS_MEANING,
	ENIP_HAS_DATA,
	ENIP_HAS_VALUES,
	ENIP_HAS_ELEMENTS,
	ENIP_HAS_OFFSET,
	ENIP_HAS_MULTIPLE,
	ENIP_HAS_EMBEDDED,
	ENIP_HAS_CONNECTION,
	ENIP_HAS_PCCC,
	ENIP_HAS_ATTRIBUTE_LIST,
	ENIP_HAS_IDENTITY,
	ENIP_HAS_SERVICES,
	ENIP_REQUEST = 0,
	ENIP_RESPONSE = 32,
	/* The record's own, in the gaps between the halves'. */
	ENIP_HAS_TRACKED_POINTS = 27,
	ENIP_HAS_TRACKED_WAY = 28,
	ENIP_HAS_IO = 29,
	ENIP_HAS_TRACKED = 30,
	ENIP_HAS_SECURITY = 31,
	ENIP_HAS_IO_TOTAL = 61,
	ENIP_HAS_IO_DATA = 62,
	ENIP_HAS_RESPONSE_TIME = 63,
};

/** A CIP message: the body of a PDU, or one inside another. */
struct enip_cip {
	uint8_t service; /* without ENIP_REPLY_BIT */
	uint8_t status;
	uint16_t sequence;
	uint16_t status_extended_code;
	uint32_t class_id; /* of the path: the last of each kind */
	uint32_t instance_id;
	uint32_t attribute_id;
	uint32_t elements; /* of a tag */
	uint32_t offset;   /* in bytes, of a fragment */
	const char *class_service;
	struct record_ref status_extended;
	struct record_ref tag;
	struct record_ref data;           /* what is read no further */
	struct record_ref attribute_list; /* uint16_t */
	struct record_list path;
	struct record_list values;
	struct record_list multiple;
	struct record_list embedded;
	struct record_list connection;
	struct record_list pccc;
};

struct enip_identity {
	uint16_t protocol_version;
	uint16_t socket_port;
	struct record_ip socket_address;
	uint16_t vendor_id;
	uint16_t device_type;
	uint16_t product_code;
	uint16_t status;
	uint32_t serial;
	uint16_t revision; /* major in the high byte */
	uint8_t state;
	struct record_ref revision_text;
	struct record_ref product_name;
};

struct enip_services {
	uint16_t protocol_version;
	uint16_t capabilities;
	struct record_ref name;
};

/** A request or a response. */
struct enip_half {
	uint16_t command;
	uint16_t length;
	uint32_t status;
	uint32_t session_handle;
	uint32_t options;
	uint32_t interface_handle;
	uint16_t timeout_s;
	uint16_t protocol_version;
	uint16_t register_options;
	uint32_t connection_id;
	uint32_t sequence_number;
	struct record_ref sender_context;
	struct record_list items;
	struct enip_cip cip;
};

/* Why a datagram of cyclic data became a record. */
enum enip_io_reason { ENIP_IO_FIRST, ENIP_IO_DATA, ENIP_IO_LENGTH, ENIP_IO_CHANGED, ENIP_IO_END };

/** Cyclic data (class 0 and 1) of one connection. */
struct enip_io {
	uint32_t connection_id;
	uint32_t sequence_number;
	uint16_t cip_sequence;
	uint16_t data_length;
	uint8_t reason;
	struct record_ref data;
	uint64_t packets;
	uint64_t changes;
	uint64_t lost;
	uint64_t first_ns;
	uint64_t last_ns;
	uint32_t interval_us; /* mean */
};

enum enip_way { ENIP_O_T, ENIP_T_O };

/** The connection of a connected message, when its forward open was seen in the flow; of cyclic data, in any flow. */
struct enip_tracked {
	uint16_t serial_number;
	uint16_t vendor_id;
	uint32_t originator_serial;
	uint32_t class_id;
	uint32_t instance_id;
	uint32_t points[2];      /* by enum enip_way: connection points */
	uint8_t transport_class;
	uint8_t way;             /* enum enip_way, of cyclic data */
	bool has_points;
};

struct enip_record {
	struct record_head head;
	uint32_t id; /* transactions of the flow, counted from 1 */
	uint32_t response_time_us;
	uint16_t security_version; /* of TLS, as on the wire */
	struct enip_tracked tracked;
	struct enip_half request;
	struct enip_half response;
	struct enip_identity identity; /* of the response */
	struct enip_services services; /* of the response */
	struct enip_io io;
};

/** A message inside a multiple service packet or an unconnected send. */
struct enip_message {
	struct record_head head;
	struct enip_cip cip;
	uint32_t timeout_ms;          /* of an unconnected send */
	struct record_list route_path; /* of an unconnected send */
};

struct enip_segment {
	struct record_head head;
	uint8_t type; /* as on the wire, without the format of a logical value */
	uint8_t extended_type; /* of an extended logical segment */
	uint32_t value;
	struct record_ref text; /* a symbol, a link address or data */
};

enum enip_segment_bit { ENIP_SEGMENT_VALUE, ENIP_SEGMENT_SYMBOL, ENIP_SEGMENT_LINK, ENIP_SEGMENT_DATA, ENIP_SEGMENT_EXTENDED };

/** An attribute's or a tag's value. */
struct enip_value {
	struct record_head head;
	uint16_t attribute_id;
	uint16_t status;
	uint16_t type; /* CIP data type code */
	uint16_t structure; /* handle of a structure's template */
	const char *name;
	struct record_ref scalars;  /* struct record_scalar: the value, or the elements of an array */
	struct record_ip ip;
	uint8_t mac[6];
};

enum enip_value_bit {
	ENIP_VALUE_ATTRIBUTE,
	ENIP_VALUE_STATUS,
	ENIP_VALUE_NAME,
	ENIP_VALUE_TYPE,
	ENIP_VALUE_STRUCTURE,
	ENIP_VALUE_SCALARS,
	ENIP_VALUE_IP,
	ENIP_VALUE_MAC,
};

/** Forward open, large forward open, forward close: what request or response says of the connection. */
struct enip_connection_info {
	struct record_head head;
	uint8_t timeout_multiplier;
	uint8_t transport;
	uint8_t transport_class;
	uint8_t trigger;
	bool server;
	bool safety;
	uint16_t serial_number;
	uint16_t vendor_id;
	uint32_t originator_serial;
	uint32_t o_t_connection_id;
	uint32_t t_o_connection_id;
	uint32_t o_t_interval_us;
	uint32_t t_o_interval_us;
	uint32_t timeout_ms;
	uint32_t o_t_parameters; /* as on the wire: 16 bits, or 32 of a large forward open */
	uint32_t t_o_parameters;
	uint16_t o_t_size;
	uint16_t t_o_size;
	uint8_t o_t_type;
	uint8_t t_o_type;
	uint8_t o_t_priority;
	uint8_t t_o_priority;
	uint8_t o_t_size_type;
	uint8_t t_o_size_type;
	bool o_t_redundant_owner;
	bool t_o_redundant_owner;
	uint8_t remaining_path_words;
	struct record_list path;
	struct record_ref data; /* application reply */
};

enum enip_connection_bit {
	ENIP_CONNECTION_KEY,
	ENIP_CONNECTION_IDS,
	ENIP_CONNECTION_INTERVALS,
	ENIP_CONNECTION_PARAMETERS,
	ENIP_CONNECTION_TIMEOUT,
	ENIP_CONNECTION_TIMEOUT_MS,
	ENIP_CONNECTION_PATH,
	ENIP_CONNECTION_REMAINING,
	ENIP_CONNECTION_DATA,
	ENIP_CONNECTION_SAFETY,
};

struct enip_pccc {
	struct record_head head;
	uint16_t requestor_vendor;
	uint32_t requestor_serial;
	uint8_t command; /* without the reply bit */
	uint8_t status;
	uint8_t extended_status;
	uint8_t function;
	uint16_t transaction;
	uint16_t command_function; /* both, for the name */
	uint16_t byte_count;
	uint16_t file_number;
	uint8_t file_type;
	uint16_t element;
	uint16_t sub_element;
	uint16_t mask; /* of the bits that a write changes */
	uint8_t cpu_mode;
	struct record_ref address; /* as programmers write it: N7:12 */
	struct record_ref data;
	struct record_ref values;  /* struct record_scalar */
};

enum enip_pccc_bit {
	ENIP_PCCC_REQUESTOR,
	ENIP_PCCC_HEADER,
	ENIP_PCCC_FUNCTION,
	ENIP_PCCC_EXTENDED,
	ENIP_PCCC_COUNT,
	ENIP_PCCC_ADDRESS,
	ENIP_PCCC_ADDRESS_TEXT,
	ENIP_PCCC_DATA,
	ENIP_PCCC_VALUES,
	ENIP_PCCC_MASK,
	ENIP_PCCC_CPU_MODE,
	ENIP_PCCC_CPU_MODE_NAME,
};

struct enip_item {
	struct record_head head;
	uint16_t type;
	uint16_t length;
	uint16_t port;
	struct record_ip address;
	struct record_ref data;
};

enum enip_item_bit { ENIP_ITEM_HAS_SOCKET, ENIP_ITEM_HAS_DATA };

#endif
