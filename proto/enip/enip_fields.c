/*
 * The fields of EtherNet/IP and CIP (EVE keys, rule keywords and reference in one), named
 * events, counters, configuration keys. Keys are Suricata's where it has them; the rest goes
 * by the specifications' words.
 */
#include "proto/enip/enip.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- segments of a path ---- */

#define AT(member) offsetof(struct enip_segment, member)

static const struct field segment_fields[] = {
	{ "segment_type", FIELD_U8, FIELD_ALWAYS, 0, AT(type), &enip_segment_types, NULL, "CIP C-1.4", "kind of segment" },
	{ "extended_type", FIELD_U8, ENIP_SEGMENT_EXTENDED, 0, AT(extended_type), &enip_extended_logicals, NULL, "CIP C-1.4.2",
		"what an extended logical segment counts" },
	{ "value", FIELD_U32, ENIP_SEGMENT_VALUE, 0, AT(value), NULL, NULL, "CIP C-1.4",
		"logical value, port number, or number in place of a name" },
	{ "symbol", FIELD_STRING, ENIP_SEGMENT_SYMBOL, 0, AT(text), NULL, NULL, "CIP C-1.4.4", "symbolic name" },
	{ "link", FIELD_HEX, ENIP_SEGMENT_LINK, 0, AT(text), NULL, NULL, "CIP C-1.4.1", "link address behind the port" },
	{ "data", FIELD_HEX, ENIP_SEGMENT_DATA, 0, AT(text), NULL, NULL, "CIP C-1.4.5", "data, key or network segment; a name of wider characters" },
};

static const struct record_table segment_table = {
	.name = "segment", .fields = segment_fields, .field_count = COUNT(segment_fields), .size = sizeof(struct enip_segment),
};
const struct record_table *const enip_segment_tables[] = { &segment_table, NULL };

#undef AT

/* ---- values ---- */

#define AT(member) offsetof(struct enip_value, member)

static const struct field value_fields[] = {
	{ "attribute_id", FIELD_U16, ENIP_VALUE_ATTRIBUTE, 0, AT(attribute_id), NULL, NULL, "CIP 4-3", "attribute" },
	{ "name", FIELD_TEXT, ENIP_VALUE_NAME, 0, AT(name), NULL, NULL, "CIP 5", "the attribute's name" },
	{ "status", FIELD_U16, ENIP_VALUE_STATUS, 0, AT(status), &enip_cip_statuses, NULL, "CIP appendix B",
		"why there is no value, or what became of it" },
	{ "type", FIELD_U16, ENIP_VALUE_TYPE, 0, AT(type), &enip_data_types, NULL, "CIP C-6.1", "data type" },
	{ "structure", FIELD_U16, ENIP_VALUE_STRUCTURE, 0, AT(structure), NULL, NULL, "PM020",
		"handle of the structure's template" },
	{ "value", FIELD_SCALARS, ENIP_VALUE_SCALARS, FIELD_ONE, AT(scalars), NULL, NULL, "CIP C-6",
		"the value; of several elements an array; hex where the type is not known" },
	{ "value", FIELD_IP, ENIP_VALUE_IP, 0, AT(ip), NULL, NULL, "EIP 5-4.3", "an address" },
	{ "value", FIELD_MAC, ENIP_VALUE_MAC, 0, AT(mac), NULL, NULL, "EIP 5-5.3", "a hardware address" },
};

static const struct record_table value_table = {
	.name = "value", .fields = value_fields, .field_count = COUNT(value_fields), .size = sizeof(struct enip_value),
};
const struct record_table *const enip_value_tables[] = { &value_table, NULL };

#undef AT

/* ---- connections ---- */

#define AT(member) offsetof(struct enip_connection_info, member)

static const struct field_name connection_types_rows[] = {
	{ 0, "null" }, { 1, "multicast" }, { 2, "point_to_point" }, { 3, "reserved" },
};
static const struct field_names connection_types = FIELD_NAMES(connection_types_rows, NULL);

static const struct field_name priorities_rows[] = { { 0, "low" }, { 1, "high" }, { 2, "scheduled" }, { 3, "urgent" } };
static const struct field_names priorities = FIELD_NAMES(priorities_rows, NULL);

static const struct field_name size_types_rows[] = { { 0, "fixed" }, { 1, "variable" } };
static const struct field_names size_types = FIELD_NAMES(size_types_rows, NULL);

static const struct field_name triggers_rows[] = { { 0, "cyclic" }, { 1, "change_of_state" }, { 2, "application" } };
static const struct field_names triggers = FIELD_NAMES(triggers_rows, "reserved");

static const struct field connection_fields[] = {
	{ "serial_number", FIELD_U16, ENIP_CONNECTION_KEY, 0, AT(serial_number), NULL, NULL, "CIP 3-5.5.1.4",
		"connection serial number" },
	{ "originator_vendor_id", FIELD_U16, ENIP_CONNECTION_KEY, 0, AT(vendor_id), NULL, NULL, "CIP 3-5.5.1.5",
		"vendor of the originator" },
	{ "originator_serial_number", FIELD_U32, ENIP_CONNECTION_KEY, 0, AT(originator_serial), NULL, NULL, "CIP 3-5.5.1.6",
		"serial number of the originator" },
	{ "o_t_connection_id", FIELD_U32, ENIP_CONNECTION_IDS, 0, AT(o_t_connection_id), NULL, NULL, "CIP 3-5.5.1.2",
		"connection id from originator to target" },
	{ "t_o_connection_id", FIELD_U32, ENIP_CONNECTION_IDS, 0, AT(t_o_connection_id), NULL, NULL, "CIP 3-5.5.1.2",
		"connection id from target to originator" },
	{ "o_t_interval_us", FIELD_U32, ENIP_CONNECTION_INTERVALS, 0, AT(o_t_interval_us), NULL, NULL, "CIP 3-5.5.1.3",
		"requested, in a reply actual, packet interval" },
	{ "t_o_interval_us", FIELD_U32, ENIP_CONNECTION_INTERVALS, 0, AT(t_o_interval_us), NULL, NULL, "CIP 3-5.5.1.3",
		"requested, in a reply actual, packet interval" },
	{ "o_t_size", FIELD_U16, ENIP_CONNECTION_PARAMETERS, 0, AT(o_t_size), NULL, NULL, "CIP 3-5.5.1.1", "bytes" },
	{ "t_o_size", FIELD_U16, ENIP_CONNECTION_PARAMETERS, 0, AT(t_o_size), NULL, NULL, "CIP 3-5.5.1.1", "bytes" },
	{ "o_t_type", FIELD_U8, ENIP_CONNECTION_PARAMETERS, 0, AT(o_t_type), &connection_types, NULL, "CIP 3-5.5.1.1",
		"connection type" },
	{ "t_o_type", FIELD_U8, ENIP_CONNECTION_PARAMETERS, 0, AT(t_o_type), &connection_types, NULL, "CIP 3-5.5.1.1",
		"connection type" },
	{ "o_t_priority", FIELD_U8, ENIP_CONNECTION_PARAMETERS, 0, AT(o_t_priority), &priorities, NULL, "CIP 3-5.5.1.1",
		"priority" },
	{ "t_o_priority", FIELD_U8, ENIP_CONNECTION_PARAMETERS, 0, AT(t_o_priority), &priorities, NULL, "CIP 3-5.5.1.1",
		"priority" },
	{ "o_t_size_type", FIELD_U8, ENIP_CONNECTION_PARAMETERS, 0, AT(o_t_size_type), &size_types, NULL, "CIP 3-5.5.1.1",
		"whether every message has the size, or it is the largest" },
	{ "t_o_size_type", FIELD_U8, ENIP_CONNECTION_PARAMETERS, 0, AT(t_o_size_type), &size_types, NULL, "CIP 3-5.5.1.1",
		"whether every message has the size, or it is the largest" },
	{ "o_t_redundant_owner", FIELD_BOOL, ENIP_CONNECTION_PARAMETERS, 0, AT(o_t_redundant_owner), NULL, NULL, "CIP 3-5.5.1.1",
		"others may own the connection at the same time" },
	{ "t_o_redundant_owner", FIELD_BOOL, ENIP_CONNECTION_PARAMETERS, 0, AT(t_o_redundant_owner), NULL, NULL, "CIP 3-5.5.1.1",
		"others may own the connection at the same time" },
	{ "o_t_parameters", FIELD_U32, ENIP_CONNECTION_PARAMETERS, 0, AT(o_t_parameters), NULL, NULL, "CIP 3-5.5.1.1",
		"network connection parameters as on the wire: 16 bits, 32 of a large forward open" },
	{ "t_o_parameters", FIELD_U32, ENIP_CONNECTION_PARAMETERS, 0, AT(t_o_parameters), NULL, NULL, "CIP 3-5.5.1.1",
		"network connection parameters as on the wire: 16 bits, 32 of a large forward open" },
	{ "transport_class_trigger", FIELD_U8, ENIP_CONNECTION_PARAMETERS, 0, AT(transport), NULL, NULL, "CIP 3-4.4.3",
		"direction, trigger and class as on the wire" },
	{ "transport_class", FIELD_U8, ENIP_CONNECTION_PARAMETERS, 0, AT(transport_class), NULL, NULL, "CIP 3-4.4.3",
		"0 and 1: I/O, 2 and 3: explicit messages" },
	{ "trigger", FIELD_U8, ENIP_CONNECTION_PARAMETERS, 0, AT(trigger), &triggers, NULL, "CIP 3-4.4.3",
		"what makes the producer send" },
	{ "server", FIELD_BOOL, ENIP_CONNECTION_PARAMETERS, 0, AT(server), NULL, NULL, "CIP 3-4.4.3",
		"the target is the server" },
	{ "timeout_multiplier", FIELD_U8, ENIP_CONNECTION_TIMEOUT, 0, AT(timeout_multiplier), NULL, NULL, "CIP 3-5.5.1.7",
		"code of the factor: 0 is 4, each further one doubles it" },
	{ "timeout_ms", FIELD_U32, ENIP_CONNECTION_TIMEOUT_MS, 0, AT(timeout_ms), NULL, NULL, "CIP 3-5.4.1",
		"how long the request may take" },
	{ "path", FIELD_LIST, ENIP_CONNECTION_PATH, 0, AT(path), NULL, enip_segment_tables, "CIP 3-5.5.1.10",
		"connection path" },
	{ "safety", FIELD_BOOL, ENIP_CONNECTION_SAFETY, 0, AT(safety), NULL, NULL, "CIP 5 (volume 5)",
		"CIP Safety: the path has a safety segment" },
	{ "remaining_path_words", FIELD_U8, ENIP_CONNECTION_REMAINING, 0, AT(remaining_path_words), NULL, NULL,
		"CIP 3-5.5.3", "of a refusal: words of the path that were not used" },
	{ "data", FIELD_HEX, ENIP_CONNECTION_DATA, 0, AT(data), NULL, NULL, "CIP 3-5.5.2", "application reply" },
};

static const struct record_table connection_table = {
	.name = "connection", .fields = connection_fields, .field_count = COUNT(connection_fields),
	.size = sizeof(struct enip_connection_info),
};
const struct record_table *const enip_connection_tables[] = { &connection_table, NULL };

#undef AT

/* ---- PCCC ---- */

static const struct field_name cpu_modes_rows[] = {
	{ 1, "program" }, { 6, "run" }, { 7, "test_continuous" }, { 8, "test_single_scan" }, { 9, "test_single_step" },
};
static const struct field_names cpu_modes = FIELD_NAMES(cpu_modes_rows, "unknown-");

#define AT(member) offsetof(struct enip_pccc, member)

static const struct field pccc_fields[] = {
	{ "command", FIELD_U8, ENIP_PCCC_HEADER, 0, AT(command), NULL, NULL, "DF1 7", "command code" },
	{ "function", FIELD_U8, ENIP_PCCC_FUNCTION, 0, AT(function), NULL, NULL, "DF1 7", "function code" },
	{ "function_name", FIELD_U16, ENIP_PCCC_FUNCTION, 0, AT(command_function), &enip_pccc_functions, NULL, "DF1 7",
		"command and function" },
	{ "status", FIELD_U8, ENIP_PCCC_HEADER, 0, AT(status), NULL, NULL, "DF1 8", "status" },
	{ "extended_status", FIELD_U8, ENIP_PCCC_EXTENDED, 0, AT(extended_status), NULL, NULL, "DF1 8", "extended status" },
	{ "transaction", FIELD_U16, ENIP_PCCC_HEADER, 0, AT(transaction), NULL, NULL, "DF1 7", "transaction number" },
	{ "requestor_vendor_id", FIELD_U16, ENIP_PCCC_REQUESTOR, 0, AT(requestor_vendor), NULL, NULL, "PM020",
		"vendor of the requestor" },
	{ "requestor_serial_number", FIELD_U32, ENIP_PCCC_REQUESTOR, 0, AT(requestor_serial), NULL, NULL, "PM020",
		"serial number of the requestor" },
	{ "byte_count", FIELD_U16, ENIP_PCCC_COUNT, 0, AT(byte_count), NULL, NULL, "DF1 7", "bytes read or written" },
	{ "address", FIELD_STRING, ENIP_PCCC_ADDRESS_TEXT, 0, AT(address), NULL, NULL, "DF1 7", "file, element and sub-element" },
	{ "file_number", FIELD_U16, ENIP_PCCC_ADDRESS, 0, AT(file_number), NULL, NULL, "DF1 7", "data file" },
	{ "file_type", FIELD_U8, ENIP_PCCC_ADDRESS, 0, AT(file_type), &enip_pccc_file_types, NULL, "DF1 7", "its type" },
	{ "element", FIELD_U16, ENIP_PCCC_ADDRESS, 0, AT(element), NULL, NULL, "DF1 7", "first element" },
	{ "sub_element", FIELD_U16, ENIP_PCCC_ADDRESS, 0, AT(sub_element), NULL, NULL, "DF1 7", "part of it" },
	{ "mask", FIELD_U16, ENIP_PCCC_MASK, 0, AT(mask), NULL, NULL, "DF1 7", "bits that a write with mask changes" },
	{ "cpu_mode", FIELD_U8, ENIP_PCCC_CPU_MODE, 0, AT(cpu_mode), NULL, NULL, "DF1 7", "mode that the CPU is to change to" },
	{ "cpu_mode_name", FIELD_U8, ENIP_PCCC_CPU_MODE_NAME, 0, AT(cpu_mode), &cpu_modes, NULL, "DF1 7",
		"of an SLC 500 or a MicroLogix, its name" },
	{ "values", FIELD_SCALARS, ENIP_PCCC_VALUES, 0, AT(values), NULL, NULL, "DF1 7", "elements as numbers" },
	{ "data", FIELD_HEX, ENIP_PCCC_DATA, 0, AT(data), NULL, NULL, "DF1 7", "data" },
};

static const struct record_table pccc_table = {
	.name = "pccc", .fields = pccc_fields, .field_count = COUNT(pccc_fields), .size = sizeof(struct enip_pccc),
};
const struct record_table *const enip_pccc_tables[] = { &pccc_table, NULL };

#undef AT

/* ---- CPF items that have no keys of their own ---- */

#define AT(member) offsetof(struct enip_item, member)

static const struct field item_fields[] = {
	{ "type_id", FIELD_U16, FIELD_ALWAYS, 0, AT(type), NULL, NULL, "EIP 2-6.2", "item type" },
	{ "type", FIELD_U16, FIELD_ALWAYS, 0, AT(type), &enip_item_types, NULL, "EIP 2-6.2", "item type" },
	{ "length", FIELD_U16, FIELD_ALWAYS, 0, AT(length), NULL, NULL, "EIP 2-6.1", "bytes" },
	{ "address", FIELD_IP, ENIP_ITEM_HAS_SOCKET, 0, AT(address), NULL, NULL, "EIP 2-6.3.3", "socket address" },
	{ "port", FIELD_U16, ENIP_ITEM_HAS_SOCKET, 0, AT(port), NULL, NULL, "EIP 2-6.3.3", "UDP port" },
	{ "data", FIELD_HEX, ENIP_ITEM_HAS_DATA, 0, AT(data), NULL, NULL, "EIP 2-6.1", "what is in it" },
};

static const struct record_table item_table = {
	.name = "item", .fields = item_fields, .field_count = COUNT(item_fields), .size = sizeof(struct enip_item),
};
const struct record_table *const enip_item_tables[] = { &item_table, NULL };

#undef AT

/*
 * ---- messages ----
 * The same rows stand at the root twice, and in both levels of messages inside others: P is the path's beginning, S the
 * struct, M the enip_cip in it, B what is added to the presence bits.
 */
#define CIP_ROWS(P, S, M, B) \
	{ P "service", FIELD_U8, (B) + ENIP_HAS_CIP, 0, offsetof(S, M.service), &enip_cip_services, NULL, \
		"CIP appendix A", "service" }, \
	{ P "service_code", FIELD_U8, (B) + ENIP_HAS_CIP, 0, offsetof(S, M.service), NULL, NULL, \
		"CIP appendix A", "service code, without the reply bit" }, \
	{ P "class_service", FIELD_TEXT, (B) + ENIP_HAS_CLASS_SERVICE, 0, offsetof(S, M.class_service), NULL, NULL, \
		"CIP 4-9", "what the class calls the service" }, \
	{ P "sequence_count", FIELD_U16, (B) + ENIP_HAS_SEQUENCE, 0, offsetof(S, M.sequence), NULL, NULL, \
		"CIP 3-4.4", "sequence count of a connected message" }, \
	{ P "status", FIELD_U8, (B) + ENIP_HAS_STATUS, 0, offsetof(S, M.status), &enip_cip_statuses, NULL, \
		"CIP appendix B", "general status" }, \
	{ P "status_code", FIELD_U8, (B) + ENIP_HAS_STATUS, 0, offsetof(S, M.status), NULL, NULL, \
		"CIP appendix B", "general status" }, \
	{ P "status_extended", FIELD_HEX, (B) + ENIP_HAS_STATUS_EXTENDED, 0, offsetof(S, M.status_extended), NULL, NULL, \
		"CIP 3-5.6", "extended status as on the wire" }, \
	{ P "status_extended_meaning", FIELD_U16, (B) + ENIP_HAS_STATUS_MEANING, 0, offsetof(S, M.status_extended_code), \
		&enip_extended_statuses, NULL, "CIP 3-5.6", "extended status" }, \
	{ P "path", FIELD_LIST, (B) + ENIP_HAS_PATH, 0, offsetof(S, M.path), NULL, enip_segment_tables, \
		"CIP C-1", "request path" }, \
	{ P "class_name", FIELD_U32, (B) + ENIP_HAS_CLASS, 0, offsetof(S, M.class_id), &enip_cip_classes, NULL, \
		"CIP 5", "class" }, \
	{ P "class_id", FIELD_U32, (B) + ENIP_HAS_CLASS, 0, offsetof(S, M.class_id), NULL, NULL, "CIP 5", "class" }, \
	{ P "instance_id", FIELD_U32, (B) + ENIP_HAS_INSTANCE, 0, offsetof(S, M.instance_id), NULL, NULL, \
		"CIP C-1.4.2", "instance" }, \
	{ P "attribute_id", FIELD_U32, (B) + ENIP_HAS_ATTRIBUTE, 0, offsetof(S, M.attribute_id), NULL, NULL, \
		"CIP C-1.4.2", "attribute" }, \
	{ P "attribute_list", FIELD_U16S, (B) + ENIP_HAS_ATTRIBUTE_LIST, 0, offsetof(S, M.attribute_list), NULL, NULL, \
		"CIP A-4.3", "attributes asked for, or set" }, \
	{ P "tag", FIELD_STRING, (B) + ENIP_HAS_TAG, 0, offsetof(S, M.tag), NULL, NULL, \
		"PM020", "tag: the path's symbols and indexes" }, \
	{ P "elements", FIELD_U32, (B) + ENIP_HAS_ELEMENTS, 0, offsetof(S, M.elements), NULL, NULL, \
		"PM020", "elements of the tag; of a template, bytes" }, \
	{ P "offset", FIELD_U32, (B) + ENIP_HAS_OFFSET, 0, offsetof(S, M.offset), NULL, NULL, \
		"PM020", "offset of a fragment, in bytes" }, \
	{ P "values", FIELD_LIST, (B) + ENIP_HAS_VALUES, 0, offsetof(S, M.values), NULL, enip_value_tables, \
		"CIP C-6", "values of attributes and tags" }, \
	{ P "connection", FIELD_LIST, (B) + ENIP_HAS_CONNECTION, FIELD_ONE, offsetof(S, M.connection), NULL, \
		enip_connection_tables, "CIP 3-5.5", "what forward open or close says of the connection" }, \
	{ P "pccc", FIELD_LIST, (B) + ENIP_HAS_PCCC, FIELD_ONE, offsetof(S, M.pccc), NULL, enip_pccc_tables, \
		"DF1 7", "PCCC command or reply" }, \
	{ P "data", FIELD_HEX, (B) + ENIP_HAS_DATA, 0, offsetof(S, M.data), NULL, NULL, \
		"CIP 2-4", "what is read no further" }

#define AT(member) offsetof(struct enip_message, member)

static const struct field leaf_fields[] = {
	CIP_ROWS("", struct enip_message, cip, 0),
};
static const struct record_table leaf_table = {
	.name = "message", .fields = leaf_fields, .field_count = COUNT(leaf_fields), .size = sizeof(struct enip_message),
};
const struct record_table *const enip_leaf_tables[] = { &leaf_table, NULL };

static const struct field outer_fields[] = {
	CIP_ROWS("", struct enip_message, cip, 0),
	{ "multiple", FIELD_LIST, ENIP_HAS_MULTIPLE, 0, AT(cip.multiple), NULL, enip_leaf_tables, "CIP A-4.10",
		"services of a multiple service packet" },
	{ "timeout_ms", FIELD_U32, FIELD_ALWAYS, 0, AT(timeout_ms), NULL, NULL, "CIP 3-5.4.1", "how long it may take" },
	{ "route_path", FIELD_LIST, FIELD_ALWAYS, 0, AT(route_path), NULL, enip_segment_tables, "CIP 3-5.5.2", "the way there" },
};
static const struct record_table outer_table = {
	.name = "message", .fields = outer_fields, .field_count = COUNT(outer_fields), .size = sizeof(struct enip_message),
};
const struct record_table *const enip_outer_tables[] = { &outer_table, NULL };

#undef AT

/* ---- the transaction ---- */

#define AT(member) offsetof(struct enip_record, member)

#define HALF_ROWS(P, M, B) \
	{ P "command", FIELD_U16, (B) + ENIP_HAS_HEADER, 0, AT(M.command), &enip_commands, NULL, \
		"EIP 2-3.2", "encapsulation command" }, \
	{ P "command_code", FIELD_U16, (B) + ENIP_HAS_HEADER, 0, AT(M.command), NULL, NULL, \
		"EIP 2-3.2", "encapsulation command" }, \
	{ P "status", FIELD_U32, (B) + ENIP_HAS_HEADER, 0, AT(M.status), &enip_statuses, NULL, \
		"EIP 2-3.5", "encapsulation status" }, \
	{ P "status_code", FIELD_U32, (B) + ENIP_HAS_HEADER, 0, AT(M.status), NULL, NULL, \
		"EIP 2-3.5", "encapsulation status" }, \
	{ P "options", FIELD_U32, (B) + ENIP_HAS_OPTIONS, 0, AT(M.options), NULL, NULL, \
		"EIP 2-3.7", "options, when not 0" }, \
	{ P "length", FIELD_U16, (B) + ENIP_HAS_HEADER, 0, AT(M.length), NULL, NULL, \
		"EIP 2-3.3", "bytes behind the header" }, \
	{ P "session_handle", FIELD_U32, (B) + ENIP_HAS_HEADER, 0, AT(M.session_handle), NULL, NULL, \
		"EIP 2-3.4", "session" }, \
	{ P "sender_context", FIELD_HEX, (B) + ENIP_HAS_HEADER, 0, AT(M.sender_context), NULL, NULL, \
		"EIP 2-3.6", "what the response repeats" }, \
	{ P "register_session.protocol_version", FIELD_U16, (B) + ENIP_HAS_REGISTER, 0, AT(M.protocol_version), NULL, NULL, \
		"EIP 2-4.4", "protocol version" }, \
	{ P "register_session.options", FIELD_U16, (B) + ENIP_HAS_REGISTER, 0, AT(M.register_options), NULL, NULL, \
		"EIP 2-4.4", "options" }, \
	{ P "interface_handle", FIELD_U32, (B) + ENIP_HAS_CPF, 0, AT(M.interface_handle), NULL, NULL, \
		"EIP 2-4.7", "0: CIP" }, \
	{ P "timeout_s", FIELD_U16, (B) + ENIP_HAS_CPF, 0, AT(M.timeout_s), NULL, NULL, \
		"EIP 2-4.7", "seconds the request may take; 0: its own protocol says it" }, \
	{ P "connection_id", FIELD_U32, (B) + ENIP_HAS_ADDRESS, 0, AT(M.connection_id), NULL, NULL, \
		"EIP 2-6.3.2", "connection of the address item" }, \
	{ P "sequence_number", FIELD_U32, (B) + ENIP_HAS_SEQUENCED, 0, AT(M.sequence_number), NULL, NULL, \
		"EIP 2-6.3.4", "of a sequenced address item" }, \
	{ P "items", FIELD_LIST, (B) + ENIP_HAS_ITEMS, 0, AT(M.items), NULL, enip_item_tables, \
		"EIP 2-6", "other items" }, \
	CIP_ROWS(P "cip.", struct enip_record, M.cip, B), \
	{ P "cip.multiple", FIELD_LIST, (B) + ENIP_HAS_MULTIPLE, 0, AT(M.cip.multiple), NULL, enip_leaf_tables, \
		"CIP A-4.10", "services of a multiple service packet" }, \
	{ P "cip.embedded", FIELD_LIST, (B) + ENIP_HAS_EMBEDDED, FIELD_ONE, AT(M.cip.embedded), NULL, enip_outer_tables, \
		"CIP 3-5.5.2", "the message of an unconnected send" }

enum { HAS_IDENTITY = ENIP_RESPONSE + ENIP_HAS_IDENTITY, HAS_SERVICES = ENIP_RESPONSE + ENIP_HAS_SERVICES };

static const struct field_name identity_states_rows[] = {
	{ 0, "nonexistent" }, { 1, "self_testing" }, { 2, "standby" }, { 3, "operational" }, { 4, "major_recoverable_fault" },
	{ 5, "major_unrecoverable_fault" }, { 255, "default" },
};
static const struct field_names identity_states = FIELD_NAMES(identity_states_rows, "unknown-");

static const struct field_name ways_rows[] = { { ENIP_O_T, "o_t" }, { ENIP_T_O, "t_o" } };
static const struct field_names ways = FIELD_NAMES(ways_rows, NULL);

static const struct field_name io_reasons_rows[] = {
	{ ENIP_IO_FIRST, "first" }, { ENIP_IO_DATA, "data" }, { ENIP_IO_LENGTH, "length_changed" },
	{ ENIP_IO_CHANGED, "data_changed" }, { ENIP_IO_END, "end" },
};
static const struct field_names io_reasons = FIELD_NAMES(io_reasons_rows, NULL);

static const struct field_name security_versions_rows[] = {
	{ 0x0301, "TLS 1.0" }, { 0x0302, "TLS 1.1" }, { 0x0303, "TLS 1.2" }, { 0x0304, "TLS 1.3" },
};
static const struct field_names security_versions = FIELD_NAMES(security_versions_rows, NULL);

static const struct field enip_fields[] = {
	{ "id", FIELD_U32, FIELD_ALWAYS, 0, AT(id), NULL, NULL, "own", "transaction of the flow, counted from 1" },
	{ "response_time_us", FIELD_U32, ENIP_HAS_RESPONSE_TIME, 0, AT(response_time_us), NULL, NULL, "own",
		"microseconds from request to response" },
	HALF_ROWS("request.", request, ENIP_REQUEST),
	HALF_ROWS("response.", response, ENIP_RESPONSE),
	{ "response.identity.protocol_version", FIELD_U16, HAS_IDENTITY, 0, AT(identity.protocol_version), NULL, NULL,
		"EIP 2-4.2.2", "encapsulation version" },
	{ "response.identity.revision", FIELD_STRING, HAS_IDENTITY, 0, AT(identity.revision_text), NULL, NULL,
		"CIP 5-2.2.1.4", "major and minor revision" },
	{ "response.identity.revision_raw", FIELD_U16, HAS_IDENTITY, FIELD_HIDDEN, AT(identity.revision), NULL, NULL,
		"CIP 5-2.2.1.4", "major revision times 256, and minor" },
	{ "response.identity.vendor_id", FIELD_U16, HAS_IDENTITY, 0, AT(identity.vendor_id), &enip_vendors, NULL,
		"CIP 5-2.2.1.1", "vendor" },
	{ "response.identity.vendor_code", FIELD_U16, HAS_IDENTITY, 0, AT(identity.vendor_id), NULL, NULL,
		"CIP 5-2.2.1.1", "vendor id" },
	{ "response.identity.device_type", FIELD_U16, HAS_IDENTITY, 0, AT(identity.device_type), &enip_device_types, NULL,
		"CIP 5-2.2.1.2", "device type" },
	{ "response.identity.device_type_code", FIELD_U16, HAS_IDENTITY, 0, AT(identity.device_type), NULL, NULL,
		"CIP 5-2.2.1.2", "device type" },
	{ "response.identity.product_code", FIELD_U16, HAS_IDENTITY, 0, AT(identity.product_code), NULL, NULL,
		"CIP 5-2.2.1.3", "product code" },
	{ "response.identity.status", FIELD_U16, HAS_IDENTITY, 0, AT(identity.status), NULL, NULL,
		"CIP 5-2.2.1.5", "status bits" },
	{ "response.identity.serial", FIELD_U32, HAS_IDENTITY, 0, AT(identity.serial), NULL, NULL,
		"CIP 5-2.2.1.6", "serial number" },
	{ "response.identity.product_name", FIELD_STRING, HAS_IDENTITY, 0, AT(identity.product_name), NULL, NULL,
		"CIP 5-2.2.1.7", "product name" },
	{ "response.identity.state", FIELD_U8, HAS_IDENTITY, 0, AT(identity.state), NULL, NULL,
		"CIP 5-2.2.1.8", "state" },
	{ "response.identity.state_name", FIELD_U8, HAS_IDENTITY, 0, AT(identity.state), &identity_states, NULL,
		"CIP 5-2.2.1.8", "state" },
	{ "response.identity.socket_address", FIELD_IP, HAS_IDENTITY, 0, AT(identity.socket_address), NULL, NULL,
		"EIP 2-4.2.2", "address the device gives as its own" },
	{ "response.identity.socket_port", FIELD_U16, HAS_IDENTITY, 0, AT(identity.socket_port), NULL, NULL,
		"EIP 2-4.2.2", "its port" },
	{ "response.list_services.protocol_version", FIELD_U16, HAS_SERVICES, 0, AT(services.protocol_version), NULL, NULL,
		"EIP 2-4.6.2", "encapsulation version" },
	{ "response.list_services.capabilities", FIELD_U16, HAS_SERVICES, 0, AT(services.capabilities), NULL, NULL,
		"EIP 2-4.6.2", "bit 5: CIP over TCP, bit 8: class 0 and 1 over UDP" },
	{ "response.list_services.service_name", FIELD_STRING, HAS_SERVICES, 0, AT(services.name), NULL, NULL,
		"EIP 2-4.6.2", "name of service" },
	{ "connection.serial_number", FIELD_U16, ENIP_HAS_TRACKED, 0, AT(tracked.serial_number), NULL, NULL,
		"CIP 3-5.5.1.4", "of the connection of the message or the cyclic data, when its forward open was seen" },
	{ "connection.originator_vendor_id", FIELD_U16, ENIP_HAS_TRACKED, 0, AT(tracked.vendor_id), NULL, NULL,
		"CIP 3-5.5.1.5", "vendor of the originator" },
	{ "connection.originator_serial_number", FIELD_U32, ENIP_HAS_TRACKED, 0, AT(tracked.originator_serial), NULL, NULL,
		"CIP 3-5.5.1.6", "serial number of the originator" },
	{ "connection.transport_class", FIELD_U8, ENIP_HAS_TRACKED, 0, AT(tracked.transport_class), NULL, NULL,
		"CIP 3-4.4.3", "transport class" },
	{ "connection.class_name", FIELD_U32, ENIP_HAS_TRACKED, 0, AT(tracked.class_id), &enip_cip_classes, NULL,
		"CIP 3-5.5.1.10", "class the connection leads to" },
	{ "connection.class_id", FIELD_U32, ENIP_HAS_TRACKED, 0, AT(tracked.class_id), NULL, NULL,
		"CIP 3-5.5.1.10", "class the connection leads to" },
	{ "connection.instance_id", FIELD_U32, ENIP_HAS_TRACKED, 0, AT(tracked.instance_id), NULL, NULL,
		"CIP 3-5.5.1.10", "instance the connection leads to" },
	{ "connection.direction", FIELD_U8, ENIP_HAS_TRACKED_WAY, 0, AT(tracked.way), &ways, NULL, "CIP 3-5.5.2",
		"of cyclic data: from originator to target, or back" },
	{ "connection.o_t_point", FIELD_U32, ENIP_HAS_TRACKED_POINTS, 0, AT(tracked.points[ENIP_O_T]), NULL, NULL,
		"CIP 3-5.5.1.10", "of cyclic data: connection point that consumes, an assembly's instance" },
	{ "connection.t_o_point", FIELD_U32, ENIP_HAS_TRACKED_POINTS, 0, AT(tracked.points[ENIP_T_O]), NULL, NULL,
		"CIP 3-5.5.1.10", "of cyclic data: connection point that produces" },
	{ "security.version", FIELD_U16, ENIP_HAS_SECURITY, 0, AT(security_version), &security_versions, NULL,
		"CIP volume 8", "EtherNet/IP inside TLS" },
	{ "io.reason", FIELD_U8, ENIP_HAS_IO, 0, AT(io.reason), &io_reasons, NULL, "own", "why cyclic data became a record" },
	{ "io.connection_id", FIELD_U32, ENIP_HAS_IO, 0, AT(io.connection_id), NULL, NULL, "EIP 3-3.2", "connection" },
	{ "io.sequence_number", FIELD_U32, ENIP_HAS_IO, 0, AT(io.sequence_number), NULL, NULL, "EIP 3-3.2",
		"of the encapsulation" },
	{ "io.data_length", FIELD_U16, ENIP_HAS_IO, 0, AT(io.data_length), NULL, NULL, "EIP 3-3.2", "bytes of the data item" },
	{ "io.sequence_count", FIELD_U16, ENIP_HAS_IO_DATA, 0, AT(io.cip_sequence), NULL, NULL, "CIP 3-4.4.3",
		"the data's first two bytes: in class 1 the sequence count" },
	{ "io.data", FIELD_HEX, ENIP_HAS_IO_DATA, 0, AT(io.data), NULL, NULL, "EIP 3-3.2", "the data item" },
	{ "io.packets", FIELD_U64, ENIP_HAS_IO_TOTAL, FIELD_LATE, AT(io.packets), NULL, NULL, "own", "packets of the connection" },
	{ "io.changes", FIELD_U64, ENIP_HAS_IO_TOTAL, FIELD_LATE, AT(io.changes), NULL, NULL, "own", "packets whose data were new" },
	{ "io.lost", FIELD_U64, ENIP_HAS_IO_TOTAL, FIELD_LATE, AT(io.lost), NULL, NULL, "own", "packets missing by their numbers" },
	{ "io.interval_us", FIELD_U32, ENIP_HAS_IO_TOTAL, FIELD_LATE, AT(io.interval_us), NULL, NULL, "own", "mean packet interval" },
	{ "io.first", FIELD_TIME, ENIP_HAS_IO_TOTAL, FIELD_LATE, AT(io.first_ns), NULL, NULL, "own", "time of the first packet" },
	{ "io.last", FIELD_TIME, ENIP_HAS_IO_TOTAL, FIELD_LATE, AT(io.last_ns), NULL, NULL, "own", "time of the last packet" },
};

const struct record_table enip_table = {
	.name = "enip",
	.fields = enip_fields,
	.field_count = COUNT(enip_fields),
	.size = sizeof(struct enip_record),
};

const struct rule_app_event enip_events[] = {
	[ENIP_EVENT_TOO_MANY_TRANSACTIONS] = { "too_many_transactions", "more requests wait for their response than max-tx" },
	[ENIP_EVENT_INVALID_PDU] = { "invalid_pdu", "a body shorter than its command's, or a message without service or status" },
	[ENIP_EVENT_INVALID_ITEM] = { "invalid_item", "an item shorter than its type's" },
	[ENIP_EVENT_INVALID_PATH] = { "invalid_path", "a path that ends inside a segment, or has one that is none" },
	[ENIP_EVENT_INVALID_SERVICE_DATA] = { "invalid_service_data", "a body shorter than its service's" },
	[ENIP_EVENT_INVALID_MULTIPLE] = { "invalid_multiple", "a multiple service packet whose offsets lead nowhere" },
	[ENIP_EVENT_TRAILING_BYTES] = { "trailing_bytes", "bytes behind the last item" },
	[ENIP_EVENT_UNSOLICITED_RESPONSE] = { "unsolicited_response", "a response to no request that was seen" },
	[ENIP_EVENT_SERVICE_MISMATCH] = { "service_mismatch", "a response to another service than was asked" },
	[ENIP_EVENT_UNKNOWN_SESSION] = { "unknown_session", "a session handle other than the flow's; said once" },
	[ENIP_EVENT_TOO_MANY_CONNECTIONS] = { "too_many_connections", "more CIP connections in the flow than are remembered" },
	[ENIP_EVENT_IO_SEQUENCE] = { "io_sequence", "cyclic data with a gap in its numbers; said once a connection" },
	[ENIP_EVENT_IO_LENGTH] = { "io_length", "cyclic data whose length changed" },
	[ENIP_EVENT_REUSED_CONTEXT] = { "reused_context", "a request like one that waited too long for its response" },
};

const struct counter_desc enip_counters[] = {
	[ENIP_COUNT_REQUESTS] = { "enip.requests", "requests read" },
	[ENIP_COUNT_RESPONSES] = { "enip.responses", "responses read" },
	[ENIP_COUNT_ERRORS] = { "enip.errors", "responses whose status is not success" },
	[ENIP_COUNT_UNANSWERED] = { "enip.unanswered", "requests given up without a response" },
	[ENIP_COUNT_ORPHANS] = { "enip.orphan_responses", "responses without a request" },
	[ENIP_COUNT_IO_PACKETS] = { "enip.io_packets", "packets of cyclic data" },
	[ENIP_COUNT_IO_LOST] = { "enip.io_lost", "packets of cyclic data missing by their numbers" },
	[ENIP_COUNT_IO_UNTIED] = { "enip.io_untied", "connections of cyclic data written without what they are: no forward open was seen" },
	[ENIP_COUNT_SHARED_EVICTED] = { "enip.connections_evicted", "connections forgotten for newer ones before their cyclic data ended" },
	[ENIP_COUNT_SECURE] = { "enip.tls_records", "TLS records of CIP Security" },
	[ENIP_COUNT_SHED] = { "enip.shed", "requests not paired, or connections not followed: no memory" },
};

static const struct knob knobs[] = {
	{ "app-layer.protocols.enip.max-tx", KNOB_NUMBER, offsetof(struct enip_config, max_tx), 1, ENIP_OPEN_MAX, "256", NULL,
		"requests of a flow that may wait for their response; above it the oldest is written as it is" },
	{ "app-layer.protocols.enip.stream-depth", KNOB_ACCEPTED, 0, 0, 0, NULL, NULL,
		"reassembly of EtherNet/IP has no depth limit here" },
};

const struct knob_table enip_knobs = {
	.owner = "enip",
	.knobs = knobs,
	.count = COUNT(knobs),
};
