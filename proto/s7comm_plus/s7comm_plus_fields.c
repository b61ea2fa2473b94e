/*
 * The tables of S7comm-plus: names of codes, the fields of a transaction (EVE keys, rule keywords and reference in one),
 * named events, counters, configuration keys. Keys and names of functions are ICSNPP's where it has them.
 */
#include "proto/s7comm_plus/s7comm_plus.h"

#include <assert.h>

static const struct field_name opcode_rows[] = {
	{ S7P_RESPONSE_2, "Response2" },
	{ S7P_REQUEST, "Request" },
	{ S7P_RESPONSE, "Response" },
	{ S7P_NOTIFICATION, "Notification" },
};
static const struct field_names opcodes = FIELD_NAMES(opcode_rows, "unknown");

static const struct field_name function_rows[] = {
	{ S7P_EXPLORE, "Explore" },
	{ S7P_CREATE_OBJECT, "Create Object" },
	{ S7P_DELETE_OBJECT, "Delete Object" },
	{ S7P_SET_VARIABLE, "Set Variable" },
	{ S7P_GET_VARIABLE, "Get Variable" },
	{ S7P_GET_LINK, "Get Link" },
	{ S7P_SET_MULTI_VARIABLES, "Set Multi Variables" },
	{ S7P_GET_MULTI_VARIABLES, "Get Multi Variables" },
	{ S7P_BEGIN_SEQUENCE, "Begin Sequence" },
	{ S7P_END_SEQUENCE, "End Sequence" },
	{ S7P_INVOKE, "Invoke" },
	{ S7P_SET_VAR_SUBSTREAMED, "Set Variable Sub Streamed" },
	{ S7P_GET_VAR_SUBSTREAMED, "Get Variable Sub Streamed" },
	{ S7P_GET_VARIABLES_ADDRESS, "Get Variables Address" },
	{ S7P_ABORT, "Abort" },
	{ S7P_ERROR, "Error" },
	{ S7P_INIT_SSL, "Init SSL" },
};
const struct field_names s7p_functions = FIELD_NAMES(function_rows, "unknown");

static const struct field_name function_word_rows[] = {
	{ S7P_EXPLORE, "explore" },
	{ S7P_CREATE_OBJECT, "create_object" },
	{ S7P_DELETE_OBJECT, "delete_object" },
	{ S7P_SET_VARIABLE, "set_variable" },
	{ S7P_GET_VARIABLE, "get_variable" },
	{ S7P_GET_LINK, "get_link" },
	{ S7P_SET_MULTI_VARIABLES, "set_multi_variables" },
	{ S7P_GET_MULTI_VARIABLES, "get_multi_variables" },
	{ S7P_BEGIN_SEQUENCE, "begin_sequence" },
	{ S7P_END_SEQUENCE, "end_sequence" },
	{ S7P_INVOKE, "invoke" },
	{ S7P_SET_VAR_SUBSTREAMED, "set_var_substreamed" },
	{ S7P_GET_VAR_SUBSTREAMED, "get_var_substreamed" },
	{ S7P_GET_VARIABLES_ADDRESS, "get_variables_address" },
	{ S7P_ABORT, "abort" },
	{ S7P_ERROR, "error" },
	{ S7P_INIT_SSL, "init_ssl" },
};
static const struct field_names function_words = FIELD_NAMES(function_word_rows, "unknown");

/* Objects, classes and attributes that a connection begins with. */
static const struct field_name id_rows[] = {
	{ 201, "ObjectRoot" },
	{ 211, "GetNewRIDOnServer" },
	{ 229, "ClassSubscriptions" },
	{ 233, "ObjectVariableTypeName" },
	{ 255, "ClassSubscription" },
	{ 285, "ObjectServerSessionContainer" },
	{ 287, "ClassServerSession" },
	{ 288, "ObjectNullServerSession" },
	{ 300, "ServerSessionUser" },
	{ 301, "ServerSessionApplication" },
	{ 302, "ServerSessionHost" },
	{ 303, "ServerSessionChallenge" },
	{ 304, "ServerSessionResponse" },
	{ 305, "ServerSessionRoles" },
	{ 306, "ServerSessionVersion" },
	{ 315, "LIDSessionVersionSystemOMS" },
	{ 316, "LIDSessionVersionProjectOMS" },
	{ 317, "LIDSessionVersionSystemPAOM" },
	{ 318, "LIDSessionVersionProjectPAOM" },
	{ 319, "LIDSessionVersionSystemPAOMString" },
	{ 320, "LIDSessionVersionProjectPAOMString" },
	{ 321, "LIDSessionVersionProjectFormat" },
	{ 1048, "SubscriptionReferenceList" },
	{ 1049, "SubscriptionCycleTime" },
	{ 1053, "SubscriptionCreditLimit" },
};
const struct field_names s7p_ids = FIELD_NAMES(id_rows, "unknown");

static const struct field_name type_rows[] = {
	{ S7P_NULL, "Null" },
	{ S7P_BOOL, "Bool" },
	{ S7P_USINT, "USInt" },
	{ S7P_UINT, "UInt" },
	{ S7P_UDINT, "UDInt" },
	{ S7P_ULINT, "ULInt" },
	{ S7P_SINT, "SInt" },
	{ S7P_INT, "Int" },
	{ S7P_DINT, "DInt" },
	{ S7P_LINT, "LInt" },
	{ S7P_BYTE, "Byte" },
	{ S7P_WORD, "Word" },
	{ S7P_DWORD, "DWord" },
	{ S7P_LWORD, "LWord" },
	{ S7P_REAL, "Real" },
	{ S7P_LREAL, "LReal" },
	{ S7P_TIMESTAMP, "Timestamp" },
	{ S7P_TIMESPAN, "Timespan" },
	{ S7P_RID, "RID" },
	{ S7P_AID, "AID" },
	{ S7P_BLOB, "Blob" },
	{ S7P_WSTRING, "WString" },
	{ S7P_VARIANT, "Variant" },
	{ S7P_STRUCT, "Struct" },
	{ S7P_S7STRING, "S7String" },
};
static const struct field_names type_names = FIELD_NAMES(type_rows, "unknown");

static const struct field_name area_rows[] = {
	{ 0, "DB" }, { 0x50, "I" }, { 0x51, "Q" }, { 0x52, "M" }, { 0x53, "C" }, { 0x54, "T" },
};
static const struct field_names areas = FIELD_NAMES(area_rows, "unknown");

static const struct field_name tls_rows[] = {
	{ 20, "change_cipher_spec" }, { 21, "alert" }, { 22, "handshake" }, { 23, "application_data" }, { 24, "heartbeat" },
};
static const struct field_names tls_contents = FIELD_NAMES(tls_rows, "unknown");

/* ---- fields ---- */

#define SOURCE "S7comm-plus"
#define ROW(path, type, bit, root, member, names, help) \
	{ path, FIELD_##type, bit, 0, offsetof(struct root, member), names, NULL, SOURCE, help }
#define RULES_ROW(path, type, bit, root, member, names, help) \
	{ path, FIELD_##type, bit, FIELD_HIDDEN, offsetof(struct root, member), names, NULL, SOURCE, help }
#define LIST_ROW(path, bit, root, member, children, help) \
	{ path, FIELD_LIST, bit, 0, offsetof(struct root, member), NULL, children, SOURCE, help }
#define TABLE_OF(name_, rows, root) { .name = name_, .fields = rows, .field_count = sizeof(rows) / sizeof((rows)[0]), \
	.size = sizeof(struct root) }

static const struct field address_fields[] = {
	ROW("area", U8, S7P_ADDRESS_AREA, s7p_address, area, &areas, "memory area"),
	ROW("db_number", U16, S7P_ADDRESS_DB, s7p_address, db_number, NULL, "data block"),
	ROW("area_id", U32, FIELD_ALWAYS, s7p_address, area_id, NULL, "where the way begins"),
	ROW("lids", U32S, FIELD_ALWAYS, s7p_address, lids, NULL, "the way to the variable"),
	ROW("crc", U32, S7P_ADDRESS_CRC, s7p_address, crc, NULL, "checksum of the symbol"),
};
static const struct record_table address_table = TABLE_OF("addresses", address_fields, s7p_address);
const struct record_table *const s7p_address_tables[] = { &address_table, NULL };

static const struct field value_fields[] = {
	ROW("object_id", U32, S7P_VALUE_OBJECT, s7p_value, object_id, NULL, "object it belongs to"),
	ROW("id", U32, S7P_VALUE_ID, s7p_value, id, NULL, "number of the item, attribute or element"),
	ROW("name", U32, S7P_VALUE_NAME, s7p_value, id, &s7p_ids, "name of a known attribute"),
	ROW("depth", U8, S7P_VALUE_DEPTH, s7p_value, depth, NULL, "structures around it"),
	ROW("element", U32, S7P_VALUE_ELEMENT, s7p_value, element, NULL, "which structure of an array of them, from 0"),
	ROW("key", U32, S7P_VALUE_KEY, s7p_value, key, NULL, "place in a sparse array"),
	ROW("type", U8, FIELD_ALWAYS, s7p_value, type, &type_names, "type of the value"),
	ROW("flags", U8, FIELD_ALWAYS, s7p_value, flags, NULL, "16 array, 32 array of addresses, 64 sparse array"),
	ROW("values", SCALARS, S7P_VALUE_VALUES, s7p_value, values, NULL, "the value or values; of a structure its kind"),
};
static const struct record_table value_table = TABLE_OF("values", value_fields, s7p_value);
const struct record_table *const s7p_value_tables[] = { &value_table, NULL };

static const struct field object_fields[] = {
	ROW("relation_id", U32, FIELD_ALWAYS, s7p_object, relation_id, NULL, "id of the object"),
	ROW("relation_name", U32, FIELD_ALWAYS, s7p_object, relation_id, &s7p_ids, "its name, when known"),
	ROW("class_id", U32, FIELD_ALWAYS, s7p_object, class_id, NULL, "its class"),
	ROW("class_name", U32, FIELD_ALWAYS, s7p_object, class_id, &s7p_ids, "name of the class, when known"),
	ROW("depth", U8, FIELD_ALWAYS, s7p_object, depth, NULL, "1: outermost"),
};
static const struct record_table object_table = TABLE_OF("objects", object_fields, s7p_object);
const struct record_table *const s7p_object_tables[] = { &object_table, NULL };

static const struct field tag_fields[] = {
	ROW("object_id", U32, FIELD_ALWAYS, s7p_tag_record, object_id, NULL, "object it belongs to"),
	ROW("name", STRING, FIELD_ALWAYS, s7p_tag_record, name, NULL, "what it is called"),
	ROW("lid", U32, 0, s7p_tag_record, lid, NULL, "its number on the way to it"),
	ROW("type", U8, 0, s7p_tag_record, type, &type_names, "type of its value"),
};
static const struct record_table tag_table = TABLE_OF("tags", tag_fields, s7p_tag_record);
const struct record_table *const s7p_tag_tables[] = { &tag_table, NULL };

static const struct field error_fields[] = {
	ROW("id", U32, FIELD_ALWAYS, s7p_error, id, NULL, "number of the item"),
	ROW("code", I16, FIELD_ALWAYS, s7p_error, code, NULL, "error"),
	ROW("value", U64, FIELD_ALWAYS, s7p_error, value, NULL, "the whole return value"),
};
static const struct record_table error_table = TABLE_OF("errors", error_fields, s7p_error);
const struct record_table *const s7p_error_tables[] = { &error_table, NULL };

static const struct field s7p_fields[] = {
	ROW("id", U32, FIELD_ALWAYS, s7p_record, id, NULL, "transactions of the flow, counted from 1"),
	COTP_FIELD_ROWS(s7p_record, cotp, S7P_HAS_COTP),
	ROW("version", U8, S7P_HAS_VERSION, s7p_record, version, NULL, "version of the framing, 1 to 3"),
	ROW("opcode", U8, S7P_HAS_OPCODE, s7p_record, opcode, NULL, "kind of message, of the request"),
	ROW("opcode_name", U8, S7P_HAS_OPCODE, s7p_record, opcode, &opcodes, "its name"),
	ROW("function_code", U16, S7P_HAS_FUNCTION, s7p_record, function, NULL, "function"),
	ROW("function_name", U16, S7P_HAS_FUNCTION, s7p_record, function, &s7p_functions, "its name"),
	RULES_ROW("function", U16, S7P_HAS_FUNCTION, s7p_record, function, &function_words,
		"its name in one word: set_multi_variables"),
	ROW("sequence_number", U16, S7P_HAS_SEQUENCE, s7p_record, sequence_number, NULL, "ties a response to its request"),
	ROW("session_id", U32, S7P_HAS_SESSION, s7p_record, session_id, NULL, "session; 288 before there is one"),
	ROW("transport_flags", U8, S7P_HAS_FLAGS, s7p_record, transport_flags, NULL, "flags of the transport"),
	ROW("integrity.digest", HEX, S7P_HAS_DIGEST, s7p_record, digest, NULL, "keyed digest of a version 3 message"),
	ROW("object_id", U32, S7P_HAS_OBJECT_ID, s7p_record, object_id, NULL, "object that is asked"),
	ROW("object_name", U32, S7P_HAS_OBJECT_ID, s7p_record, object_id, &s7p_ids, "its name, when known"),
	ROW("object_ids", U32S, S7P_HAS_OBJECT_IDS, s7p_record, object_ids, NULL, "attributes asked for, or objects created"),
	ROW("links", U32S, S7P_HAS_LINKS, s7p_record, links, NULL, "links given, to read by"),
	ROW("transaction_type", U8, S7P_HAS_TRANSACTION, s7p_record, transaction_type, NULL, "kind of a sequence that begins"),
	ROW("response.version", U8, S7P_HAS_RESPONSE, s7p_record, response_version, NULL, "version of the response"),
	ROW("response.opcode", U8, S7P_HAS_RESPONSE, s7p_record, response_opcode, NULL, "kind of message, of the response"),
	ROW("response.opcode_name", U8, S7P_HAS_RESPONSE, s7p_record, response_opcode, &opcodes, "its name"),
	ROW("return_value", U64, S7P_HAS_RETURN, s7p_record, return_value, NULL, "result; 0 is success"),
	ROW("error_code", I16, S7P_HAS_RETURN, s7p_record, error, NULL, "low half of the result: negative is an error"),
	ROW("response_time_us", U32, S7P_HAS_RESPONSE_TIME, s7p_record, response_time_us, NULL,
		"from request to response, microseconds"),
	LIST_ROW("addresses", S7P_HAS_ADDRESSES, s7p_record, addresses, s7p_address_tables, "variables asked for or written"),
	LIST_ROW("values", S7P_HAS_VALUES, s7p_record, values, s7p_value_tables, "values in the order they came"),
	LIST_ROW("objects", S7P_HAS_OBJECTS, s7p_record, objects, s7p_object_tables, "objects created or explored"),
	LIST_ROW("tags", S7P_HAS_TAGS, s7p_record, tags, s7p_tag_tables, "variables described in explored objects"),
	LIST_ROW("errors", S7P_HAS_ERRORS, s7p_record, errors, s7p_error_tables, "items that failed"),
	ROW("subscription.id", U32, S7P_HAS_SUBSCRIPTION_ID, s7p_record, subscription_id, NULL, "subscription that notifies"),
	ROW("subscription.credit", U8, S7P_HAS_CREDIT, s7p_record, credit, NULL, "credit tick; older devices have none"),
	ROW("subscription.sequence", U32, S7P_HAS_SUBSCRIPTION, s7p_record, notification_sequence, NULL, "sequence number"),
	ROW("subscription.changes", U8, S7P_HAS_SUBSCRIPTION, s7p_record, change_count, NULL,
		"how often the subscription itself was changed"),
	ROW("subscription.time", TIME, S7P_HAS_NOTIFIED_AT, s7p_record, notified_ns, NULL, "time by the device's clock"),
	ROW("tls.content_type", U8, S7P_HAS_TLS, s7p_record, tls_content, &tls_contents, "TLS from here on: first record seen"),
	ROW("tls.version", U16, S7P_HAS_TLS, s7p_record, tls_version, NULL, "version of its record layer"),
	ROW("truncated", BOOL, S7P_HAS_TRUNCATED, s7p_record, truncated, NULL, "there is more than is shown: values, elements, octets, ids"),
	ROW("data", HEX, S7P_HAS_DATA, s7p_record, data, NULL, "data of functions that have no form here"),
};
const struct record_table s7p_table = TABLE_OF("s7comm_plus", s7p_fields, s7p_record);

static_assert((unsigned int)S7P_HAS_TRUNCATED < 64, "the record's presence bits fit its head");

/* ---- events, counters, configuration ---- */

const struct rule_app_event s7p_events[] = {
	[S7P_EVENT_INVALID_TPDU] = { "invalid_tpdu", "a COTP header or parameter that runs past its length" },
	[S7P_EVENT_CONNECTION_REFUSED] = { "connection_refused", "the COTP connection was refused" },
	[S7P_EVENT_REASSEMBLY_DROPPED] = { "reassembly_dropped", "a message of several parts longer than max-message" },
	[S7P_EVENT_UNKNOWN_PROTOCOL_ID] = { "unknown_protocol_id", "data of another protocol on the connection" },
	[S7P_EVENT_UNKNOWN_VERSION] = { "unknown_version", "a version of the framing that is not known" },
	[S7P_EVENT_UNKNOWN_OPCODE] = { "unknown_opcode", "a kind of message that does not exist" },
	[S7P_EVENT_UNKNOWN_FUNCTION] = { "unknown_function", "a function that is not known" },
	[S7P_EVENT_INVALID_LENGTH] = { "invalid_length", "a message shorter than its own lengths say" },
	[S7P_EVENT_INVALID_VALUE] = { "invalid_value", "a value whose type is not known or that runs past the message" },
	[S7P_EVENT_INVALID_INTEGRITY] = { "invalid_integrity", "a version 3 message without a digest of 32 octets" },
	[S7P_EVENT_UNSOLICITED_RESPONSE] = { "unsolicited_response",
		"a response to no request that was seen; said once until one is answered again" },
	[S7P_EVENT_FLOODED] = { "flooded", "more requests wait for their response than request-flood" },
};

const struct counter_desc s7p_counters[] = {
	[S7P_COUNT_REQUESTS] = { "s7comm_plus.requests", "requests read" },
	[S7P_COUNT_RESPONSES] = { "s7comm_plus.responses", "responses read" },
	[S7P_COUNT_NOTIFICATIONS] = { "s7comm_plus.notifications", "notifications read" },
	[S7P_COUNT_KEEPALIVES] = { "s7comm_plus.keepalives", "keep-alive messages" },
	[S7P_COUNT_TLS] = { "s7comm_plus.tls_messages", "messages inside TLS, not read" },
	[S7P_COUNT_UNANSWERED] = { "s7comm_plus.unanswered", "requests given up without a response" },
	[S7P_COUNT_ORPHANS] = { "s7comm_plus.orphan_responses", "responses without a request" },
	[S7P_COUNT_SHED] = { "s7comm_plus.shed", "requests written without waiting for the response: no memory" },
};

#define KNOB(key) "app-layer.protocols.s7comm_plus." key
static const struct knob knobs[] = {
	{ KNOB("request-flood"), KNOB_NUMBER, offsetof(struct s7p_config, request_flood), 1, S7P_OPEN_MAX, "16", NULL,
		"requests of a flow that may wait for their response; above it the oldest is written as it is" },
	{ KNOB("max-message"), KNOB_SIZE, offsetof(struct s7p_config, message_max), 1024, COTP_MESSAGE_LEN_MAX, "64KiB", NULL,
		"length of a message put together from several parts" },
};
const struct knob_table s7p_knobs = { .owner = "s7comm_plus", .knobs = knobs, .count = sizeof(knobs) / sizeof(knobs[0]) };
