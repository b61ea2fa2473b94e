/*
 * The tables of DNP3's records: each row is a field of the struct, a JSON key, a rule
 * keyword and a line of the reference page. Names follow Suricata's EVE where it has them;
 * `*_name` keys and those of objects it does not know are this project's.
 */
#include "proto/dnp3/dnp3.h"
#include "proto/dnp3/dnp3_shapes.h"

#define SOURCE "IEEE 1815 A"
#define ROWS(array) (array), sizeof(array) / sizeof((array)[0])

static const struct field_name function_rows[] = {
	{ 0, "confirm" }, { 1, "read" }, { 2, "write" }, { 3, "select" }, { 4, "operate" }, { 5, "direct_operate" },
	{ 6, "direct_operate_nr" }, { 7, "immed_freeze" }, { 8, "immed_freeze_nr" }, { 9, "freeze_clear" },
	{ 10, "freeze_clear_nr" }, { 11, "freeze_at_time" }, { 12, "freeze_at_time_nr" }, { 13, "cold_restart" },
	{ 14, "warm_restart" }, { 15, "initialize_data" }, { 16, "initialize_appl" }, { 17, "start_appl" },
	{ 18, "stop_appl" }, { 19, "save_config" }, { 20, "enable_unsolicited" }, { 21, "disable_unsolicited" },
	{ 22, "assign_class" }, { 23, "delay_measure" }, { 24, "record_current_time" }, { 25, "open_file" },
	{ 26, "close_file" }, { 27, "delete_file" }, { 28, "get_file_info" }, { 29, "authenticate_file" },
	{ 30, "abort_file" }, { 31, "activate_config" }, { 32, "authenticate_req" }, { 33, "authenticate_err" },
	{ 129, "response" }, { 130, "unsolicited_response" }, { 131, "authenticate_resp" },
};
const struct field_names dnp3_functions = FIELD_NAMES(function_rows, "reserved");

static const struct field_name indicator_rows[] = {
	{ 0, "all_stations" }, { 1, "class_1_events" }, { 2, "class_2_events" }, { 3, "class_3_events" }, { 4, "need_time" },
	{ 5, "local_control" }, { 6, "device_trouble" }, { 7, "device_restart" }, { 8, "no_func_code_support" },
	{ 9, "object_unknown" }, { 10, "parameter_error" }, { 11, "event_buffer_overflow" }, { 12, "already_executing" },
	{ 13, "config_corrupt" }, { 14, "reserved_2" }, { 15, "reserved_1" },
};
const struct field_names dnp3_indicators = FIELD_NAMES(indicator_rows, NULL);

static const struct field_name op_type_rows[] = {
	{ 0, "nul" }, { 1, "pulse_on" }, { 2, "pulse_off" }, { 3, "latch_on" }, { 4, "latch_off" },
};
static const struct field_names op_types = FIELD_NAMES(op_type_rows, "undefined");

static const struct field_name tcc_rows[] = { { 0, "nul" }, { 1, "close" }, { 2, "trip" }, { 3, "reserved" } };
static const struct field_names trip_close_codes = FIELD_NAMES(tcc_rows, NULL);

static const struct field_name status_rows[] = {
	{ 0, "success" }, { 1, "timeout" }, { 2, "no_select" }, { 3, "format_error" }, { 4, "not_supported" },
	{ 5, "already_active" }, { 6, "hardware_error" }, { 7, "local" }, { 8, "too_many_objs" }, { 9, "not_authorized" },
	{ 10, "automation_inhibit" }, { 11, "processing_limited" }, { 12, "out_of_range" }, { 13, "downstream_local" },
	{ 14, "already_complete" }, { 15, "blocked" }, { 16, "canceled" }, { 17, "blocked_other_master" },
	{ 18, "downstream_fail" }, { 126, "non_participating" }, { 127, "undefined" },
};
static const struct field_names control_statuses = FIELD_NAMES(status_rows, "reserved");

static const struct field_name interval_rows[] = {
	{ 0, "none" }, { 1, "milliseconds" }, { 2, "seconds" }, { 3, "minutes" }, { 4, "hours" }, { 5, "days" },
	{ 6, "weeks" }, { 7, "months" }, { 8, "months_on_day_from_start" }, { 9, "months_on_day_from_end" },
	{ 10, "seasons" },
};
static const struct field_names interval_units = FIELD_NAMES(interval_rows, "reserved");

static const struct field_name file_type_rows[] = { { 0, "directory" }, { 1, "simple_file" } };
static const struct field_names file_types = FIELD_NAMES(file_type_rows, "reserved");

static const struct field_name file_mode_rows[] = { { 0, "null" }, { 1, "read" }, { 2, "write" }, { 3, "append" } };
static const struct field_names file_modes = FIELD_NAMES(file_mode_rows, "reserved");

static const struct field_name permission_rows[] = {
	{ 0, "world_execute" }, { 1, "world_write" }, { 2, "world_read" }, { 3, "group_execute" }, { 4, "group_write" },
	{ 5, "group_read" }, { 6, "owner_execute" }, { 7, "owner_write" }, { 8, "owner_read" },
};
static const struct field_names file_permissions = FIELD_NAMES(permission_rows, NULL);

static const struct field_name file_status_rows[] = {
	{ 0, "success" }, { 1, "permission_denied" }, { 2, "invalid_mode" }, { 3, "not_found" }, { 4, "file_locked" },
	{ 5, "too_many_open" }, { 6, "invalid_handle" }, { 7, "write_block_size" }, { 8, "comm_lost" },
	{ 9, "cannot_abort" }, { 16, "not_open" }, { 17, "handle_expired" }, { 18, "write_overrun" }, { 19, "fatal" },
	{ 20, "block_sequence" }, { 255, "undefined" },
};
static const struct field_names file_statuses = FIELD_NAMES(file_status_rows, "reserved");

static const struct field_name data_type_rows[] = {
	{ 0, "none" }, { 1, "visible_string" }, { 2, "unsigned" }, { 3, "signed" }, { 4, "float" }, { 5, "octet_string" },
	{ 6, "bit_string" }, { 7, "time" }, { 8, "unicode" }, { 254, "attribute_list" }, { 255, "extended_attribute_list" },
};
static const struct field_names data_types = FIELD_NAMES(data_type_rows, "reserved");

static const struct field_name descriptor_rows[] = {
	{ 0, "nul" }, { 1, "id" }, { 2, "uuid" }, { 3, "namespace" }, { 4, "name" }, { 5, "data_element" },
	{ 6, "prototype" }, { 7, "control_value" }, { 8, "control_status" },
};
static const struct field_names descriptor_codes = FIELD_NAMES(descriptor_rows, "reserved");

static const struct field_name auth_error_rows[] = {
	{ 1, "authentication_failed" }, { 2, "unexpected_response" }, { 3, "no_response" },
	{ 4, "aggressive_mode_not_permitted" }, { 5, "mac_algorithm_not_permitted" },
	{ 6, "key_wrap_algorithm_not_permitted" }, { 7, "authorization_failed" },
	{ 8, "update_key_change_method_not_permitted" }, { 9, "invalid_signature" }, { 10, "invalid_certification_data" },
	{ 11, "unknown_user" }, { 12, "max_session_key_status_requests_exceeded" },
};
static const struct field_names auth_errors = FIELD_NAMES(auth_error_rows, "reserved");

/* ---- points ---- */

#define POINT_ROW(key, type, member, bit, help) \
	{ key, FIELD_##type, bit, 0, offsetof(struct dnp3_point, member), NULL, NULL, "IEEE 1815 4.2.2.7", help },
#define POINT_ROWS                                                                            \
	POINT_ROW("prefix", U32, prefix, FIELD_ALWAYS, "what precedes the object: index or size") \
	POINT_ROW("index", U32, index, FIELD_ALWAYS, "number of the point")                   \
	POINT_ROW("size", U32, size, DNP3_HAS_SIZE, "bytes of the object")

#define ROW(id, key, type, member, names, help) \
	{ key, FIELD_##type, BIT(id), 0, offsetof(struct SHAPE, member), names, NULL, SOURCE, help },
#define TABLE(name_, rows, struct_) \
	static const struct record_table name_ = { "points", rows, sizeof(rows) / sizeof((rows)[0]), sizeof(struct struct_) }

static const struct field plain_rows[] = { POINT_ROWS };
TABLE(plain_table, plain_rows, dnp3_point);

#define SHAPE dnp3_point_bit
#define BIT(id) DNP3_BIT_##id
static const struct field bit_rows[] = { POINT_ROWS DNP3_BIT_FIELDS(ROW) };
TABLE(bit_table, bit_rows, dnp3_point_bit);
#undef SHAPE
#undef BIT

#define SHAPE dnp3_point_binary
#define BIT(id) DNP3_BINARY_##id
static const struct field binary_rows[] = { POINT_ROWS DNP3_BINARY_FIELDS(ROW) };
static const struct record_table binary_table = { "points", ROWS(binary_rows), offsetof(struct SHAPE, timestamp) };
static const struct field binary_time_rows[] = { POINT_ROWS DNP3_BINARY_FIELDS(ROW) DNP3_BINARY_TIME_FIELDS(ROW) };
TABLE(binary_time_table, binary_time_rows, dnp3_point_binary);
#undef SHAPE
#undef BIT

#define SHAPE dnp3_point_counter
#define BIT(id) DNP3_COUNTER_##id
static const struct field counter_rows[] = { POINT_ROWS DNP3_COUNTER_FIELDS(ROW) };
static const struct record_table counter_table = { "points", ROWS(counter_rows), offsetof(struct SHAPE, timestamp) };
static const struct field counter_time_rows[] = { POINT_ROWS DNP3_COUNTER_FIELDS(ROW) DNP3_COUNTER_TIME_FIELDS(ROW) };
TABLE(counter_time_table, counter_time_rows, dnp3_point_counter);
#undef SHAPE
#undef BIT

#define SHAPE dnp3_point_analog
#define BIT(id) DNP3_ANALOG_##id
static const struct field analog_rows[] = { POINT_ROWS DNP3_ANALOG_FIELDS(ROW) };
static const struct record_table analog_table = { "points", ROWS(analog_rows), offsetof(struct SHAPE, timestamp) };
static const struct field analog_wide_rows[] = { POINT_ROWS DNP3_ANALOG_FIELDS(ROW) DNP3_ANALOG_WIDE_FIELDS(ROW) };
TABLE(analog_wide_table, analog_wide_rows, dnp3_point_analog);
#undef SHAPE
#undef BIT

#define SHAPE dnp3_point_command
#define BIT(id) DNP3_COMMAND_##id
static const struct field command_rows[] = { POINT_ROWS DNP3_COMMAND_FIELDS(ROW) };
TABLE(command_table, command_rows, dnp3_point_command);
#undef SHAPE
#undef BIT

#define SHAPE dnp3_point_time
#define BIT(id) DNP3_TIME_##id
static const struct field time_rows[] = { POINT_ROWS DNP3_TIME_FIELDS(ROW) };
TABLE(time_table, time_rows, dnp3_point_time);
#undef SHAPE
#undef BIT

#define SHAPE dnp3_point_file
#define BIT(id) DNP3_FILE_##id
static const struct field file_rows[] = { POINT_ROWS DNP3_FILE_FIELDS(ROW) };
TABLE(file_table, file_rows, dnp3_point_file);
#undef SHAPE
#undef BIT

#define SHAPE dnp3_point_attribute
#define BIT(id) DNP3_ATTRIBUTE_##id
static const struct field attribute_rows[] = { POINT_ROWS DNP3_ATTRIBUTE_FIELDS(ROW) };
TABLE(attribute_table, attribute_rows, dnp3_point_attribute);
#undef SHAPE
#undef BIT

#define SHAPE dnp3_point_value
#define BIT(id) DNP3_VALUE_##id
static const struct field value_rows[] = { POINT_ROWS DNP3_VALUE_FIELDS(ROW) };
TABLE(value_table, value_rows, dnp3_point_value);
#undef SHAPE
#undef BIT

#define SHAPE dnp3_element_record
#define BIT(id) DNP3_ELEMENT_##id
static const struct field element_rows[] = { DNP3_ELEMENT_FIELDS(ROW) };
static const struct record_table element_table = { "elements", ROWS(element_rows), sizeof(struct dnp3_element_record) };
const struct record_table *const dnp3_element_shapes[] = { &element_table, NULL };
#undef SHAPE
#undef BIT

static const struct field dataset_rows[] = {
	POINT_ROWS
	{ "elements", FIELD_LIST, 1, 0, offsetof(struct dnp3_point_dataset, elements), NULL, dnp3_element_shapes, SOURCE,
		"elements of the data set" },
};
TABLE(dataset_table, dataset_rows, dnp3_point_dataset);

#define SHAPE dnp3_point_auth
#define BIT(id) DNP3_AUTH_##id
static const struct field auth_rows[] = { POINT_ROWS DNP3_AUTH_FIELDS(ROW) };
TABLE(auth_table, auth_rows, dnp3_point_auth);
#undef SHAPE
#undef BIT

const struct record_table *const dnp3_point_shapes[] = {
	[DNP3_SHAPE_PLAIN] = &plain_table,
	[DNP3_SHAPE_BIT] = &bit_table,
	[DNP3_SHAPE_BINARY] = &binary_table,
	[DNP3_SHAPE_BINARY_TIME] = &binary_time_table,
	[DNP3_SHAPE_COUNTER] = &counter_table,
	[DNP3_SHAPE_COUNTER_TIME] = &counter_time_table,
	[DNP3_SHAPE_ANALOG] = &analog_table,
	[DNP3_SHAPE_ANALOG_WIDE] = &analog_wide_table,
	[DNP3_SHAPE_COMMAND] = &command_table,
	[DNP3_SHAPE_TIME] = &time_table,
	[DNP3_SHAPE_FILE] = &file_table,
	[DNP3_SHAPE_ATTRIBUTE] = &attribute_table,
	[DNP3_SHAPE_VALUE] = &value_table,
	[DNP3_SHAPE_DATASET] = &dataset_table,
	[DNP3_SHAPE_AUTH] = &auth_table,
	[DNP3_SHAPE_COUNT] = NULL,
};

/* ---- objects ---- */

#define OBJECT(key, type, bit, member, help) \
	{ key, FIELD_##type, bit, 0, offsetof(struct dnp3_object, member), NULL, NULL, "IEEE 1815 4.2.2.7", help }

static const struct field object_rows[] = {
	OBJECT("group", U8, FIELD_ALWAYS, group, "object group"),
	OBJECT("variation", U8, FIELD_ALWAYS, variation, "variation of the group; 0: any"),
	OBJECT("qualifier", U8, FIELD_ALWAYS, qualifier, "qualifier octet"),
	OBJECT("prefix_code", U8, FIELD_ALWAYS, prefix_code, "what precedes each object"),
	OBJECT("range_code", U8, FIELD_ALWAYS, range_code, "how the range is given"),
	OBJECT("start", U32, FIELD_ALWAYS, start, "first index"),
	OBJECT("stop", U32, FIELD_ALWAYS, stop, "last index"),
	OBJECT("count", U32, FIELD_ALWAYS, count, "number of points"),
	{ "points", FIELD_LIST, DNP3_OBJECT_HAS_POINTS, 0, offsetof(struct dnp3_object, points), NULL, dnp3_point_shapes,
		SOURCE, "points, each with the fields of its group and variation" },
	OBJECT("name", TEXT, DNP3_OBJECT_HAS_NAME, name, "name of the object group"),
	OBJECT("variation_name", TEXT, DNP3_OBJECT_HAS_FORM, variation_name, "name of the variation or device attribute"),
	OBJECT("points_truncated", U32, DNP3_OBJECT_TRUNCATED, points_truncated, "points that had no room in the record"),
};
const struct record_table dnp3_object_table = { "objects", ROWS(object_rows), sizeof(struct dnp3_object) };
const struct record_table *const dnp3_object_shapes[] = { &dnp3_object_table, NULL };

/* ---- messages ---- */

#define FIELD(key, type, bit, member, names, source, help) \
	{ key, FIELD_##type, bit, 0, offsetof(struct dnp3_record, member), names, NULL, "IEEE 1815 " source, help }
#define APPLICATION(key, type, member, names, source, help) \
	FIELD("application." key, type, DNP3_HAS_APPLICATION, member, names, source, help)

static const struct field record_rows[] = {
	FIELD("type", TEXT, FIELD_ALWAYS, type, NULL, "4.2.2.5",
		"request, response, unsolicited_response, confirm, or link for a frame without a message"),
	FIELD("control.dir", BOOL, FIELD_ALWAYS, dir, NULL, "9.2.4.1.3", "sent by a master"),
	FIELD("control.pri", BOOL, FIELD_ALWAYS, pri, NULL, "9.2.4.1.3", "sent by the primary station"),
	FIELD("control.fcb", BOOL, FIELD_ALWAYS, fcb, NULL, "9.2.4.1.3", "frame count bit; of a secondary station reserved"),
	FIELD("control.fcv", BOOL, FIELD_ALWAYS, fcv, NULL, "9.2.4.1.3",
		"frame count valid; of a secondary station data flow control"),
	FIELD("control.function_code", U8, FIELD_ALWAYS, link_function, NULL, "9.2.4.1.3", "link function code"),
	FIELD("control.function_name", TEXT, FIELD_ALWAYS, link_function_name, NULL, "9.2.4.1.3", "name of the link function"),
	FIELD("src", U16, FIELD_ALWAYS, src, NULL, "9.2.4.1.5", "source link address"),
	FIELD("dst", U16, FIELD_ALWAYS, dst, NULL, "9.2.4.1.5", "destination link address"),
	APPLICATION("control.fir", BOOL, fir, NULL, "4.2.2.4", "first fragment of a message"),
	APPLICATION("control.fin", BOOL, fin, NULL, "4.2.2.4", "last fragment of a message"),
	APPLICATION("control.con", BOOL, con, NULL, "4.2.2.4", "a confirmation is asked for"),
	APPLICATION("control.uns", BOOL, uns, NULL, "4.2.2.4", "unsolicited response, or its confirmation"),
	APPLICATION("control.sequence", U8, sequence, NULL, "4.2.2.4", "sequence number"),
	APPLICATION("function_code", U8, function, NULL, "4.2.2.5", "application function code"),
	APPLICATION("function_name", U8, function, &dnp3_functions, "4.2.2.5", "name of the application function"),
	FIELD("application.request_function_code", U8, DNP3_HAS_REQUEST, request_function, NULL, "4.2.2.4",
		"function code of the request that this response answers"),
	FIELD("application.request_function_name", U8, DNP3_HAS_REQUEST, request_function, &dnp3_functions, "4.2.2.4",
		"name of request_function_code"),
	{ "application.objects", FIELD_LIST, DNP3_HAS_OBJECTS, 0, offsetof(struct dnp3_record, objects), NULL,
		dnp3_object_shapes, "IEEE 1815 4.2.2.7", "object headers with their points" },
	APPLICATION("complete", BOOL, complete, NULL, "4.2.2.7", "every object of the message was understood"),
	FIELD("application.points_truncated", U32, DNP3_HAS_POINTS_TRUNCATED, points_truncated, NULL, "4.2.2.7",
		"points that had no room in the record"),
	FIELD("application.objects_truncated", U32, DNP3_HAS_OBJECTS_TRUNCATED, objects_truncated, NULL, "4.2.2.7",
		"object headers that had no room in the record"),
	FIELD("iin.indicators", NAMES16, DNP3_HAS_IIN, iin_bits, &dnp3_indicators, "4.2.2.6",
		"internal indications that are set"),
	FIELD("iin.raw", U16, DNP3_HAS_IIN, iin, NULL, "4.2.2.6", "internal indications, first octet above the second"),
	{ "data", FIELD_HEX, DNP3_HAS_DATA, FIELD_HIDDEN, offsetof(struct dnp3_record, data), NULL, NULL,
		"IEEE 1815 4.2.2", "the whole application fragment, without link CRCs and transport headers" },
};
const struct record_table dnp3_record_table = { "dnp3", ROWS(record_rows), sizeof(struct dnp3_record) };

const struct rule_app_event dnp3_events[DNP3_EVENT_COUNT] = {
	[DNP3_EVENT_FLOODED] = { "flooded", "more open requests, requests without any response, or reassemblies than a flow may have" },
	[DNP3_EVENT_LEN_TOO_SMALL] = { "len_too_small", "too few bytes for a transport or application header" },
	[DNP3_EVENT_BAD_LINK_CRC] = { "bad_link_crc", "the CRC of a link header is wrong" },
	[DNP3_EVENT_BAD_TRANSPORT_CRC] = { "bad_transport_crc", "the CRC of a block of user data is wrong" },
	[DNP3_EVENT_UNKNOWN_OBJECT] = { "unknown_object", "an object group and variation that the standard does not define" },
	[DNP3_EVENT_TOO_MANY_POINTS] = { "too_many_points", "more points in a message than max-points" },
	[DNP3_EVENT_TOO_MANY_OBJECTS] = { "too_many_objects", "more object headers in a message than max-objects" },
	[DNP3_EVENT_TOO_LONG_REASSEMBLY] = { "too_long_reassembly", "a fragment longer than max-reassembly" },
	[DNP3_EVENT_INVALID_LINK_FUNCTION] = { "invalid_link_function", "a reserved link function code" },
	[DNP3_EVENT_UNEXPECTED_USER_DATA] = { "unexpected_user_data", "user data in a frame whose function has none" },
	[DNP3_EVENT_TRANSPORT_SEQUENCE] = { "transport_sequence", "a transport segment out of sequence" },
	[DNP3_EVENT_REASSEMBLY_DROPPED] = { "reassembly_dropped", "a new fragment began before the last was complete" },
	[DNP3_EVENT_INVALID_FUNCTION_CODE] = { "invalid_function_code", "a reserved application function code" },
	[DNP3_EVENT_INVALID_QUALIFIER] = { "invalid_qualifier", "a reserved prefix or range specifier code" },
	[DNP3_EVENT_INVALID_RANGE] = { "invalid_range", "a range whose stop is below its start" },
	[DNP3_EVENT_TRUNCATED_OBJECT] = { "truncated_object", "the message ends inside an object" },
	[DNP3_EVENT_INVALID_OBJECT_LENGTH] = { "invalid_object_length", "an object's size does not fit its contents" },
	[DNP3_EVENT_UNEXPECTED_RESPONSE] = { "unexpected_response", "a response that no open request of the flow asked for" },
	[DNP3_EVENT_BAD_START_BYTES] = { "bad_start_bytes",
		"bytes that begin no frame stand before this one; the anomaly is `resynchronised`" },
	[DNP3_EVENT_POLICY_DIVERGENCE] = { "policy_divergence",
		"the first frame behind such bytes or a wrong header CRC, where another receiver may have given up; rules alone see it" },
};
