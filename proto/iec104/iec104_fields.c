/*
 * The tables of IEC 104's records: each row is a field of the struct, a JSON key, a rule
 * keyword and a line of the reference page. Names follow the field's Zeek parser where it has
 * them (type_id, cot, pn, obj_addr), else the standard's abbreviations.
 */
#include "proto/iec104/iec104.h"
#include "proto/iec104/iec104_shapes.h"

#define ROWS(array) (array), sizeof(array) / sizeof((array)[0])

static const struct field_name format_rows[] = { { 0, "I" }, { 1, "S" }, { 3, "U" } };
static const struct field_names formats = FIELD_NAMES(format_rows, NULL);

static const struct field_name u_rows[] = {
	{ IEC104_STARTDT_ACT, "startdt_act" }, { IEC104_STARTDT_CON, "startdt_con" }, { IEC104_STOPDT_ACT, "stopdt_act" },
	{ IEC104_STOPDT_CON, "stopdt_con" }, { IEC104_TESTFR_ACT, "testfr_act" }, { IEC104_TESTFR_CON, "testfr_con" },
};
static const struct field_names u_functions = FIELD_NAMES(u_rows, "invalid");

static const struct field_name type_rows[] = {
	{ 1, "M_SP_NA_1" }, { 2, "M_SP_TA_1" }, { 3, "M_DP_NA_1" }, { 4, "M_DP_TA_1" }, { 5, "M_ST_NA_1" },
	{ 6, "M_ST_TA_1" }, { 7, "M_BO_NA_1" }, { 8, "M_BO_TA_1" }, { 9, "M_ME_NA_1" }, { 10, "M_ME_TA_1" },
	{ 11, "M_ME_NB_1" }, { 12, "M_ME_TB_1" }, { 13, "M_ME_NC_1" }, { 14, "M_ME_TC_1" }, { 15, "M_IT_NA_1" },
	{ 16, "M_IT_TA_1" }, { 17, "M_EP_TA_1" }, { 18, "M_EP_TB_1" }, { 19, "M_EP_TC_1" }, { 20, "M_PS_NA_1" },
	{ 21, "M_ME_ND_1" }, { 30, "M_SP_TB_1" }, { 31, "M_DP_TB_1" }, { 32, "M_ST_TB_1" }, { 33, "M_BO_TB_1" },
	{ 34, "M_ME_TD_1" }, { 35, "M_ME_TE_1" }, { 36, "M_ME_TF_1" }, { 37, "M_IT_TB_1" }, { 38, "M_EP_TD_1" },
	{ 39, "M_EP_TE_1" }, { 40, "M_EP_TF_1" }, { 41, "S_IT_TC_1" }, { 45, "C_SC_NA_1" }, { 46, "C_DC_NA_1" },
	{ 47, "C_RC_NA_1" }, { 48, "C_SE_NA_1" }, { 49, "C_SE_NB_1" }, { 50, "C_SE_NC_1" }, { 51, "C_BO_NA_1" },
	{ 58, "C_SC_TA_1" }, { 59, "C_DC_TA_1" }, { 60, "C_RC_TA_1" }, { 61, "C_SE_TA_1" }, { 62, "C_SE_TB_1" },
	{ 63, "C_SE_TC_1" }, { 64, "C_BO_TA_1" }, { 70, "M_EI_NA_1" }, { 81, "S_CH_NA_1" }, { 82, "S_RP_NA_1" },
	{ 83, "S_AR_NA_1" }, { 84, "S_KR_NA_1" }, { 85, "S_KS_NA_1" }, { 86, "S_KC_NA_1" }, { 87, "S_ER_NA_1" },
	{ 90, "S_US_NA_1" }, { 91, "S_UQ_NA_1" }, { 92, "S_UR_NA_1" }, { 93, "S_UK_NA_1" }, { 94, "S_UA_NA_1" },
	{ 95, "S_UC_NA_1" }, { 100, "C_IC_NA_1" }, { 101, "C_CI_NA_1" }, { 102, "C_RD_NA_1" }, { 103, "C_CS_NA_1" },
	{ 104, "C_TS_NA_1" }, { 105, "C_RP_NA_1" }, { 106, "C_CD_NA_1" }, { 107, "C_TS_TA_1" }, { 110, "P_ME_NA_1" },
	{ 111, "P_ME_NB_1" }, { 112, "P_ME_NC_1" }, { 113, "P_AC_NA_1" }, { 120, "F_FR_NA_1" }, { 121, "F_SR_NA_1" },
	{ 122, "F_SC_NA_1" }, { 123, "F_LS_NA_1" }, { 124, "F_AF_NA_1" }, { 125, "F_SG_NA_1" }, { 126, "F_DR_TA_1" },
	{ 127, "F_SC_NB_1" },
};
const struct field_names iec104_type_names = FIELD_NAMES(type_rows, "unknown");

static const struct field_name category_rows[] = {
	{ IEC104_RESERVED, "reserved" }, { IEC104_PROCESS_MONITOR, "process_monitor" },
	{ IEC104_PROCESS_CONTROL, "process_control" }, { IEC104_SYSTEM_MONITOR, "system_monitor" },
	{ IEC104_SYSTEM_CONTROL, "system_control" }, { IEC104_PARAMETER, "parameter" }, { IEC104_FILE, "file" },
	{ IEC104_SECURITY, "security" }, { IEC104_PRIVATE, "private" },
};
static const struct field_names categories = FIELD_NAMES(category_rows, NULL);

static const struct field_name cause_rows[] = {
	{ 1, "per_cyc" }, { 2, "back" }, { 3, "spont" }, { 4, "init" }, { 5, "req" }, { 6, "act" }, { 7, "actcon" },
	{ 8, "deact" }, { 9, "deactcon" }, { 10, "actterm" }, { 11, "retrem" }, { 12, "retloc" }, { 13, "file" },
	{ 14, "auth" }, { 15, "seskey" }, { 16, "usrkey" }, { 20, "inrogen" }, { 21, "inro1" }, { 22, "inro2" },
	{ 23, "inro3" }, { 24, "inro4" }, { 25, "inro5" }, { 26, "inro6" }, { 27, "inro7" }, { 28, "inro8" },
	{ 29, "inro9" }, { 30, "inro10" }, { 31, "inro11" }, { 32, "inro12" }, { 33, "inro13" }, { 34, "inro14" },
	{ 35, "inro15" }, { 36, "inro16" }, { 37, "reqcogen" }, { 38, "reqco1" }, { 39, "reqco2" }, { 40, "reqco3" },
	{ 41, "reqco4" }, { 44, "unknown_type" }, { 45, "unknown_cause" }, { 46, "unknown_asdu_address" },
	{ 47, "unknown_object_address" },
};
static const struct field_names causes = FIELD_NAMES(cause_rows, "reserved");

static const struct field_name stage_rows[] = {
	{ IEC104_STAGE_SELECT, "select" }, { IEC104_STAGE_EXECUTE, "execute" },
	{ IEC104_STAGE_ACTIVATE, "activate" }, { IEC104_STAGE_CANCEL, "cancel" },
	{ IEC104_STAGE_CONFIRMATION, "confirmation" }, { IEC104_STAGE_CANCEL_CONFIRMATION, "cancel_confirmation" },
	{ IEC104_STAGE_TERMINATION, "termination" }, { IEC104_STAGE_REFUSAL, "refusal" },
};
static const struct field_names stages = FIELD_NAMES(stage_rows, NULL);

/* ---- of information objects, 60870-5-101 7.2.6 ---- */

static const struct field_name state_rows[] = {
	{ IEC104_STATE_INTERMEDIATE, "intermediate" }, { IEC104_STATE_OFF, "off" }, { IEC104_STATE_ON, "on" },
	{ IEC104_STATE_INDETERMINATE, "indeterminate" }, { IEC104_STATE_LOWER, "lower" }, { IEC104_STATE_HIGHER, "higher" },
	{ IEC104_STATE_NOT_PERMITTED, "not_permitted" },
};
static const struct field_names states = FIELD_NAMES(state_rows, NULL);

static const struct field_name qualifier_rows[] = {
	{ 0, "none" }, { 1, "short_pulse" }, { 2, "long_pulse" }, { 3, "persistent" },
};
static const struct field_names command_qualifiers = FIELD_NAMES(qualifier_rows, "reserved");

static const struct field_name quality_rows[] = {
	{ 0, "overflow" }, { 3, "elapsed_time_invalid" }, { 4, "blocked" }, { 5, "substituted" }, { 6, "not_topical" },
	{ 7, "invalid" },
};
static const struct field_names qualities = FIELD_NAMES(quality_rows, NULL);

static const struct field_name counter_quality_rows[] = { { 5, "carry" }, { 6, "adjusted" }, { 7, "invalid" } };
static const struct field_names counter_qualities = FIELD_NAMES(counter_quality_rows, NULL);

static const struct field_name time_rows[] = { { 0, "invalid" }, { 1, "substituted" }, { 2, "summer_time" } };
static const struct field_names time_qualities = FIELD_NAMES(time_rows, NULL);

static const struct field_name start_rows[] = {
	{ 0, "general" }, { 1, "phase_l1" }, { 2, "phase_l2" }, { 3, "phase_l3" }, { 4, "earth_current" }, { 5, "reverse" },
};
static const struct field_names start_events = FIELD_NAMES(start_rows, NULL);

static const struct field_name output_rows[] = { { 0, "general" }, { 1, "phase_l1" }, { 2, "phase_l2" }, { 3, "phase_l3" } };
static const struct field_names output_circuits = FIELD_NAMES(output_rows, NULL);

static const struct field_name initialisation_rows[] = {
	{ 0, "local_power_switch_on" }, { 1, "local_manual_reset" }, { 2, "remote_reset" },
};
static const struct field_names initialisation_causes = FIELD_NAMES(initialisation_rows, "reserved");

static const struct field_name interrogation_rows[] = {
	{ 20, "station" }, { 21, "group_1" }, { 22, "group_2" }, { 23, "group_3" }, { 24, "group_4" }, { 25, "group_5" },
	{ 26, "group_6" }, { 27, "group_7" }, { 28, "group_8" }, { 29, "group_9" }, { 30, "group_10" },
	{ 31, "group_11" }, { 32, "group_12" }, { 33, "group_13" }, { 34, "group_14" }, { 35, "group_15" },
	{ 36, "group_16" },
};
static const struct field_names interrogations = FIELD_NAMES(interrogation_rows, "reserved");

static const struct field_name request_rows[] = {
	{ 1, "group_1" }, { 2, "group_2" }, { 3, "group_3" }, { 4, "group_4" }, { 5, "general" },
};
static const struct field_names counter_requests = FIELD_NAMES(request_rows, "reserved");

static const struct field_name freeze_rows[] = {
	{ 0, "read" }, { 1, "freeze" }, { 2, "freeze_and_reset" }, { 3, "reset" },
};
static const struct field_names counter_freezes = FIELD_NAMES(freeze_rows, NULL);

static const struct field_name reset_rows[] = { { 1, "general_reset" }, { 2, "reset_pending_events" } };
static const struct field_names resets = FIELD_NAMES(reset_rows, "reserved");

static const struct field_name parameter_rows[] = {
	{ 1, "threshold" }, { 2, "smoothing_factor" }, { 3, "low_limit" }, { 4, "high_limit" },
};
static const struct field_names parameter_kinds = FIELD_NAMES(parameter_rows, "reserved");

static const struct field_name parameter_flag_rows[] = { { 0, "local_change" }, { 1, "not_in_operation" } };
static const struct field_names parameter_flags = FIELD_NAMES(parameter_flag_rows, NULL);

static const struct field_name activation_rows[] = {
	{ 1, "loaded_parameters" }, { 2, "parameter_of_object" }, { 3, "cyclic_transmission" },
};
static const struct field_names parameter_activations = FIELD_NAMES(activation_rows, "reserved");

static const struct field_name call_rows[] = {
	{ 0, "default" }, { 1, "select_file" }, { 2, "request_file" }, { 3, "deactivate_file" }, { 4, "delete_file" },
	{ 5, "select_section" }, { 6, "request_section" }, { 7, "deactivate_section" },
};
static const struct field_names file_calls = FIELD_NAMES(call_rows, "reserved");

static const struct field_name last_rows[] = {
	{ 1, "file_without_deactivation" }, { 2, "file_with_deactivation" }, { 3, "section_without_deactivation" },
	{ 4, "section_with_deactivation" },
};
static const struct field_names file_lasts = FIELD_NAMES(last_rows, "reserved");

static const struct field_name acknowledge_rows[] = {
	{ 1, "file_positive" }, { 2, "file_negative" }, { 3, "section_positive" }, { 4, "section_negative" },
};
static const struct field_names file_acknowledges = FIELD_NAMES(acknowledge_rows, "reserved");

static const struct field_name error_rows[] = {
	{ 0, "none" }, { 1, "no_memory" }, { 2, "checksum_failed" }, { 3, "unexpected_service" }, { 4, "unexpected_file" },
	{ 5, "unexpected_section" },
};
static const struct field_names file_errors = FIELD_NAMES(error_rows, "reserved");

static const struct field_name file_flag_rows[] = { { 5, "last_of_directory" }, { 6, "directory" }, { 7, "transfer_active" } };
static const struct field_names file_flags = FIELD_NAMES(file_flag_rows, NULL);

#define OBJECT "60870-5-101 7.2.6"
#define ADDRESS { "obj_addr", FIELD_U32, FIELD_ALWAYS, 0, offsetof(struct iec104_object, obj_addr), NULL, NULL, \
	"60870-5-101 7.2.5", "information object address" },
#define VALUE_ROW(id, key, type, member, names, help) \
	{ key, FIELD_##type, IEC104_VALUE_##id, 0, offsetof(struct iec104_object, member), names, NULL, OBJECT, help },
#define COMMAND_ROW(id, key, type, member, names, help) \
	{ key, FIELD_##type, IEC104_COMMAND_##id, 0, offsetof(struct iec104_object, member), names, NULL, OBJECT, help },
#define SYSTEM_ROW(id, key, type, member, names, help) \
	{ key, FIELD_##type, IEC104_SYSTEM_##id, 0, offsetof(struct iec104_object, member), names, NULL, OBJECT, help },
#define FILE_ROW(id, key, type, member, names, help) \
	{ key, FIELD_##type, IEC104_FILE_##id, 0, offsetof(struct iec104_object_file, member), names, NULL, OBJECT, help },
#define FILE_TIME_ROW(id, key, type, member, names, help) FILE_ROW(id, key, type, at.member, names, help)

/* Numbers of rules are compared as integers by "value": floats have a keyword of their own. */
#define FLOAT_KEYWORD(bit) { "value_float", FIELD_F32, bit, FIELD_HIDDEN, offsetof(struct iec104_object, value), NULL, NULL, \
	OBJECT, "value, where it is a floating point or normalised one" },

#define TABLE(name, rows, size) static const struct record_table name = { "objects", ROWS(rows), size }

static const struct field value_rows[] = { ADDRESS IEC104_VALUE_FIELDS(VALUE_ROW) FLOAT_KEYWORD(IEC104_VALUE_FLOAT) };
TABLE(value_table, value_rows, offsetof(struct iec104_object, timestamp));
static const struct field value_time_rows[] = {
	ADDRESS IEC104_VALUE_FIELDS(VALUE_ROW) FLOAT_KEYWORD(IEC104_VALUE_FLOAT) IEC104_VALUE_TIME_FIELDS(VALUE_ROW)
	IEC104_TIME_FIELDS(VALUE_ROW)
};
TABLE(value_time_table, value_time_rows, sizeof(struct iec104_object));
static const struct field command_rows[] = {
	ADDRESS IEC104_COMMAND_FIELDS(COMMAND_ROW) FLOAT_KEYWORD(IEC104_COMMAND_FLOAT) IEC104_TIME_FIELDS(COMMAND_ROW)
};
TABLE(command_table, command_rows, sizeof(struct iec104_object));
static const struct field system_rows[] = {
	ADDRESS IEC104_SYSTEM_FIELDS(SYSTEM_ROW) FLOAT_KEYWORD(IEC104_SYSTEM_FLOAT) IEC104_TIME_FIELDS(SYSTEM_ROW)
};
TABLE(system_table, system_rows, sizeof(struct iec104_object));
static const struct field file_rows[] = {
	ADDRESS IEC104_FILE_FIELDS(FILE_ROW) IEC104_TIME_FIELDS(FILE_TIME_ROW)
};
TABLE(file_table, file_rows, sizeof(struct iec104_object_file));

const struct record_table *const iec104_object_shapes[] = {
	[IEC104_SHAPE_VALUE] = &value_table,
	[IEC104_SHAPE_VALUE_TIME] = &value_time_table,
	[IEC104_SHAPE_COMMAND] = &command_table,
	[IEC104_SHAPE_SYSTEM] = &system_table,
	[IEC104_SHAPE_FILE] = &file_table,
	[IEC104_SHAPE_COUNT] = NULL,
};

/* ---- APDUs ---- */

#define FIELD(key, type, bit, member, names, source, help) \
	{ key, FIELD_##type, IEC104_HAS_##bit, 0, offsetof(struct iec104_record, member), names, NULL, "60870-5-" source, help }

static const struct field record_rows[] = {
	FIELD("apci_type", U8, APCI, apci_type, &formats, "104 5.1", "format: I information, S supervisory, U unnumbered"),
	FIELD("apdu_len", U8, APCI, apdu_len, NULL, "104 5", "length octet"),
	FIELD("ssn", U16, SSN, ssn, NULL, "104 5.1", "send sequence number, N(S)"),
	FIELD("rsn", U16, RSN, rsn, NULL, "104 5.1", "receive sequence number, N(R)"),
	FIELD("u_function", U8, U, u_function, &u_functions, "104 5.1", "start, stop or test; act or con"),
	FIELD("u_function_code", U8, U, u_function, NULL, "104 5.1", "function bits of a U format"),
	FIELD("type_id", U8, ASDU, type_id, &iec104_type_names, "101 7.2.1", "type identification"),
	FIELD("type_id_code", U8, ASDU, type_id, NULL, "101 7.2.1", "type identification, the number"),
	FIELD("category", U8, ASDU, category, &categories, "101 7.2.1.1", "group of types"),
	FIELD("nobj", U8, ASDU, nobj, NULL, "101 7.2.2", "number of information objects"),
	FIELD("sq", BOOL, ASDU, sq, NULL, "101 7.2.2", "one address, and a sequence of elements behind it"),
	FIELD("cot", U8, ASDU, cot, &causes, "101 7.2.3", "cause of transmission"),
	FIELD("cot_code", U8, ASDU, cot, NULL, "101 7.2.3", "cause of transmission, the number"),
	FIELD("pn", BOOL, ASDU, pn, NULL, "101 7.2.3", "negative confirmation"),
	FIELD("test", BOOL, ASDU, test, NULL, "101 7.2.3", "sent under test conditions"),
	FIELD("originator_address", U8, ASDU, originator_address, NULL, "101 7.2.3", "which controlling station asked"),
	FIELD("common_address", U16, ASDU, common_address, NULL, "101 7.2.4", "station"),
	FIELD("lengths.cot", U8, LENGTHS, cot_len, NULL, "101 7.2.3",
		"octets of the cause of transmission; only where the lengths are not those of the standard"),
	FIELD("lengths.ca", U8, LENGTHS, ca_len, NULL, "101 7.2.4", "octets of the common address"),
	FIELD("lengths.ioa", U8, LENGTHS, ioa_len, NULL, "101 7.2.5", "octets of the object address"),
	FIELD("command.stage", U8, COMMAND, stage, &stages, "5 6.8", "what the APDU is in the life of a command"),
	FIELD("command.selected", BOOL, SELECTED, selected, NULL, "5 6.8",
		"a confirmed select of the same object preceded the execute command"),
	FIELD("command.activation", U8, ACTIVATION, activation_stage, &stages, "5 6.8", "what is answered: select, execute or activate"),
	FIELD("command.activation_ssn", U16, ACTIVATION, activation_ssn, NULL, "5 6.8",
		"send sequence number of the activation"),
	FIELD("command.response_time_us", U64, ACTIVATION, response_time_us, NULL, "5 6.8", "since the activation"),
	FIELD("file.octets", U32, FILE, file_octets, NULL, "101 7.4.11", "octets of the file seen so far"),
	FIELD("file.segments", U32, FILE, file_segments, NULL, "101 7.4.11", "segments of the file seen so far"),
	{ "objects", FIELD_LIST, IEC104_HAS_OBJECTS, 0, offsetof(struct iec104_record, objects), NULL, iec104_object_shapes,
		"60870-5-101 7.3", "information objects, each with the fields of its type" },
	FIELD("data", HEX, DATA, data, NULL, "101 7.2.1", "contents of an ASDU whose type is private, reserved or secure"),
};
const struct record_table iec104_record_table = { "iec104", ROWS(record_rows), sizeof(struct iec104_record) };

const struct rule_app_event iec104_events[IEC104_EVENT_COUNT] = {
	[IEC104_EVENT_INVALID_LENGTH] = { "invalid_length", "the length does not fit the type and number of objects" },
	[IEC104_EVENT_SHORT_ASDU] = { "short_asdu", "too few octets for a data unit identifier" },
	[IEC104_EVENT_RESERVED_CONTROL] = { "reserved_control", "reserved bits of the control field are set" },
	[IEC104_EVENT_INVALID_U_FUNCTION] = { "invalid_u_function", "a U format with no function, or with several" },
	[IEC104_EVENT_UNEXPECTED_U_CONFIRMATION] = { "unexpected_u_confirmation", "STARTDT, STOPDT or TESTFR is confirmed, and was not asked for" },
	[IEC104_EVENT_DATA_WHILE_STOPPED] = { "data_while_stopped", "information is sent after data transfer was stopped" },
	[IEC104_EVENT_SEQUENCE_GAP] = { "sequence_gap", "send sequence numbers are missing" },
	[IEC104_EVENT_SEQUENCE_DUPLICATE] = { "sequence_duplicate", "a send sequence number is used again" },
	[IEC104_EVENT_ACKNOWLEDGES_UNSENT] = { "acknowledges_unsent", "an acknowledgement of what was not sent" },
	[IEC104_EVENT_ACKNOWLEDGES_BACKWARD] = { "acknowledges_backward", "an acknowledgement below an earlier one" },
	[IEC104_EVENT_K_EXCEEDED] = { "k_exceeded", "more APDUs without acknowledgement than k" },
	[IEC104_EVENT_W_EXCEEDED] = { "w_exceeded", "an acknowledgement came later than after w APDUs" },
	[IEC104_EVENT_RESERVED_TYPE] = { "reserved_type", "a type identification that the standard reserves" },
	[IEC104_EVENT_PRIVATE_TYPE] = { "private_type", "a type identification of the private range" },
	[IEC104_EVENT_NO_OBJECTS] = { "no_objects", "an ASDU that says it has no objects" },
	[IEC104_EVENT_TOO_MANY_OBJECTS] = { "too_many_objects", "several objects in a type that has one" },
	[IEC104_EVENT_INVALID_SQ] = { "invalid_sq", "a sequence of elements in a type that has none" },
	[IEC104_EVENT_RESERVED_CAUSE] = { "reserved_cause", "a cause of transmission that is reserved or not used" },
	[IEC104_EVENT_INVALID_CAUSE] = { "invalid_cause", "a cause of transmission that the type is not sent with" },
	[IEC104_EVENT_INVALID_COMMON_ADDRESS] = { "invalid_common_address", "common address 0, which is not used" },
	[IEC104_EVENT_INVALID_BROADCAST] = { "invalid_broadcast", "sent to all stations, which the type may not be" },
	[IEC104_EVENT_INVALID_OBJECT_ADDRESS] = { "invalid_object_address", "an object address where the type has 0, or a sequence that goes beyond the last one" },
	[IEC104_EVENT_NONSTANDARD_LENGTHS] = { "nonstandard_lengths", "cause or addresses are shorter than the standard has them" },
	[IEC104_EVENT_WRONG_DIRECTION] = { "wrong_direction", "the controlled station commands, or the controlling one reports" },
	[IEC104_EVENT_RESERVED_QUALIFIER] = { "reserved_qualifier", "a qualifier that the standard reserves" },
	[IEC104_EVENT_RESERVED_BITS] = { "reserved_bits", "reserved bits of an information element are set" },
	[IEC104_EVENT_INVALID_VALUE] = { "invalid_value", "a command state that is not permitted" },
	[IEC104_EVENT_INVALID_FLOAT] = { "invalid_float", "a floating point value that is infinite or no number" },
	[IEC104_EVENT_INVALID_TIME] = { "invalid_time", "a time that no clock shows" },
	[IEC104_EVENT_INVALID_TEST_PATTERN] = { "invalid_test_pattern", "a test command with another pattern than 0x55aa" },
	[IEC104_EVENT_UNEXPECTED_CONFIRMATION] = { "unexpected_confirmation", "a confirmation of what was not activated" },
	[IEC104_EVENT_UNEXPECTED_TERMINATION] = { "unexpected_termination", "a termination of what was not confirmed" },
	[IEC104_EVENT_CONFIRMATION_MISMATCH] = { "confirmation_mismatch", "a confirmation with another value than its command" },
	[IEC104_EVENT_COMMAND_UNCONFIRMED] = { "command_unconfirmed", "a command was never confirmed" },
	[IEC104_EVENT_COMMANDS_FLOODED] = { "commands_flooded", "more open commands than are followed in a flow" },
	[IEC104_EVENT_FILE_CHECKSUM_MISMATCH] = { "file_checksum_mismatch", "the octets of a file or section do not add up" },
	[IEC104_EVENT_FILE_LENGTH_MISMATCH] = { "file_length_mismatch", "a file or section is not as long as was announced" },
	[IEC104_EVENT_FILE_OUT_OF_SEQUENCE] = { "file_out_of_sequence", "a segment or section of another file than was announced" },
};
