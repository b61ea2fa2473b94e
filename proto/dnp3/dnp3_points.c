/*
 * How each object group and variation of IEEE 1815-2012 annex A looks on the wire: a row per
 * variation that names its elements in order. A variation that is not here cannot be read.
 */
#include "proto/dnp3/dnp3.h"
#include "proto/dnp3/dnp3_shapes.h"

#define M(bit) (UINT64_C(1) << (bit))
#define M2(shape, a, b) (M(DNP3_##shape##_##a) | M(DNP3_##shape##_##b))
#define M3(shape, a, b, c) (M2(shape, a, b) | M(DNP3_##shape##_##c))
#define AT(kind, shape, member, present) \
	{ DNP3_KIND_##kind, 0, offsetof(struct dnp3_point_##shape, member), present }
/* A length that a later BYTES of the same reg uses, and that BYTES. */
#define LEN(reg, shape, member, present) { DNP3_KIND_U16, reg, offsetof(struct dnp3_point_##shape, member), present }
#define BYTES(reg, shape, member, present) \
	{ DNP3_KIND_BYTES, reg, offsetof(struct dnp3_point_##shape, member), present }

typedef const struct dnp3_element layout_elements[];

/* Flag octets: which of the shape's flag fields the eight bits are, A.2 to A.5. */
#define FIVE(shape)                                                                                            \
	(M(DNP3_##shape##_ONLINE) | M(DNP3_##shape##_RESTART) | M(DNP3_##shape##_COMM_LOST) |                  \
		M(DNP3_##shape##_REMOTE_FORCED) | M(DNP3_##shape##_LOCAL_FORCED))
#define INPUT_FLAGS AT(FLAGS, binary, flag, FIVE(BINARY) | M3(BINARY, CHATTER_FILTER, RESERVED_6, STATE))
#define DOUBLE_FLAGS AT(DOUBLE, binary, flag, FIVE(BINARY) | M2(BINARY, CHATTER_FILTER, DOUBLE_STATE))
#define EVENT_FLAGS AT(EVENT, binary, flag, FIVE(BINARY) | M2(BINARY, CHATTER_FILTER, RESERVED_6) | M2(BINARY, OCTET, VALUE))
#define OUTPUT_FLAGS AT(FLAGS, binary, flag, FIVE(BINARY) | M3(BINARY, RESERVED_5, RESERVED1_6, STATE))
#define BINARY_TIME AT(TIME48, binary, timestamp, M(DNP3_BINARY_TIMESTAMP))
/* With a discontinuity flag (d), the obsolete forms without (r), and those that have it but are known by the other's name (dr). */
#define COUNTER_FLAGS_D AT(FLAGS, counter, flag, FIVE(COUNTER) | M3(COUNTER, ROLLOVER, DISCONTINUITY, RESERVED0_7))
#define COUNTER_FLAGS_D1 AT(FLAGS, counter, flag, FIVE(COUNTER) | M3(COUNTER, ROLLOVER, DISCONTINUITY, RESERVED1_7))
#define COUNTER_FLAGS_R AT(FLAGS, counter, flag, FIVE(COUNTER) | M3(COUNTER, ROLLOVER, RESERVED0_6, RESERVED1_7))
#define COUNTER_FLAGS_DR AT(FLAGS, counter, flag, FIVE(COUNTER) | M2(COUNTER, ROLLOVER, DISCONTINUITY) | \
	M2(COUNTER, RESERVED0_6, RESERVED1_7))
#define STATISTIC_FLAGS AT(FLAGS, counter, flag, FIVE(COUNTER) | M3(COUNTER, RESERVED0_5, DISCONTINUITY, RESERVED1_7))
#define COUNT_32 AT(U32, counter, at.small, M(DNP3_COUNTER_COUNT))
#define COUNT_16 AT(U16_U32, counter, at.small, M(DNP3_COUNTER_COUNT))
#define COUNTER_TIME AT(TIME48, counter, timestamp, M(DNP3_COUNTER_TIMESTAMP))
#define ANALOG_FLAGS AT(FLAGS, analog, flag, FIVE(ANALOG) | M3(ANALOG, OVER_RANGE, REFERENCE_ERR, RESERVED0))
#define ANALOG_I32 AT(I32, analog, at.small, M(DNP3_ANALOG_I32))
#define ANALOG_I16 AT(I16_I32, analog, at.small, M(DNP3_ANALOG_I32))
#define ANALOG_F32 AT(F32, analog, at.small, M(DNP3_ANALOG_F32))
#define ANALOG_F64 AT(F64, analog, f64, M(DNP3_ANALOG_F64))
#define ANALOG_TIME AT(TIME48, analog, timestamp, M(DNP3_ANALOG_TIMESTAMP))
#define OUTPUT_STATUS AT(U8, command, status[0], M2(COMMAND, CONTROL_STATUS, STATUS_NAME))
#define COMMAND_STATUS AT(SPLIT7, command, status, M3(COMMAND, STATUS_CODE, STATUS_NAME, RESERVED0))
#define COMMAND_STATE AT(SPLIT7, command, status, M3(COMMAND, STATUS_CODE, STATUS_NAME, COMMANDED_STATE))
#define COMMAND_TIME AT(TIME48, command, timestamp, M(DNP3_COMMAND_TIMESTAMP))
#define TIME_STAMP AT(TIME48, time, timestamp, M(DNP3_TIME_TIMESTAMP))

static layout_elements state = { AT(U8, bit, at.small, M(DNP3_BIT_STATE)) };
static layout_elements point = { AT(U8, bit, at.small, M(DNP3_BIT_POINT)) };
static layout_elements input_flags = { INPUT_FLAGS };
static layout_elements input_event = { EVENT_FLAGS };
static layout_elements input_time = { INPUT_FLAGS, BINARY_TIME };
static layout_elements input_relative = { INPUT_FLAGS, AT(U16, binary, at.small, M(DNP3_BINARY_RELATIVE_TIMESTAMP)) };
static layout_elements double_flags = { DOUBLE_FLAGS };
static layout_elements double_time = { DOUBLE_FLAGS, BINARY_TIME };
static layout_elements double_relative = { DOUBLE_FLAGS, AT(U16, binary, at.small, M(DNP3_BINARY_RELATIVE_TIME_MS)) };
static layout_elements output_flags = { OUTPUT_FLAGS };
static layout_elements output_time = { OUTPUT_FLAGS, BINARY_TIME };
static layout_elements crob = {
	AT(CONTROL, command, control, M(DNP3_COMMAND_OP_TYPE) | M(DNP3_COMMAND_OP_TYPE_NAME) | M(DNP3_COMMAND_QU) |
		M(DNP3_COMMAND_CR) | M(DNP3_COMMAND_TCC) | M(DNP3_COMMAND_TCC_NAME)),
	AT(U8, command, count, M(DNP3_COMMAND_COUNT)),
	AT(U32, command, ontime, M(DNP3_COMMAND_ONTIME)),
	AT(U32, command, offtime, M(DNP3_COMMAND_OFFTIME)),
	AT(SPLIT7, command, status, M(DNP3_COMMAND_STATUS_CODE) | M(DNP3_COMMAND_STATUS_NAME) | M(DNP3_COMMAND_RESERVED)),
};
static layout_elements command_event = { COMMAND_STATE };
static layout_elements command_event_time = { COMMAND_STATE, COMMAND_TIME };

static layout_elements counter_32_d = { COUNTER_FLAGS_D, COUNT_32 };
static layout_elements counter_16_d = { COUNTER_FLAGS_D, COUNT_16 };
static layout_elements counter_32_r = { COUNTER_FLAGS_R, COUNT_32 };
static layout_elements counter_16_r = { COUNTER_FLAGS_R, COUNT_16 };
static layout_elements counter_32_d_time = { COUNTER_FLAGS_D, COUNT_32, COUNTER_TIME };
static layout_elements counter_16_d_time = { COUNTER_FLAGS_D, COUNT_16, COUNTER_TIME };
static layout_elements counter_32_d1_time = { COUNTER_FLAGS_D1, COUNT_32, COUNTER_TIME };
static layout_elements counter_16_d1_time = { COUNTER_FLAGS_D1, COUNT_16, COUNTER_TIME };
static layout_elements counter_32_r_time = { COUNTER_FLAGS_R, COUNT_32, COUNTER_TIME };
static layout_elements counter_16_r_time = { COUNTER_FLAGS_R, COUNT_16, COUNTER_TIME };
static layout_elements counter_16_dr = { COUNTER_FLAGS_DR, COUNT_16 };
static layout_elements counter_32_dr_time = { COUNTER_FLAGS_DR, COUNT_32, COUNTER_TIME };
static layout_elements counter_32 = { COUNT_32 };
static layout_elements counter_16 = { COUNT_16 };
static layout_elements statistic = {
	STATISTIC_FLAGS,
	AT(U16, counter, association_id, M(DNP3_COUNTER_ASSOCIATION_ID)),
	AT(U32, counter, at.small, M(DNP3_COUNTER_COUNT_VALUE)),
};
static layout_elements statistic_time = {
	STATISTIC_FLAGS,
	AT(U16, counter, association_id, M(DNP3_COUNTER_ASSOCIATION_ID)),
	AT(U32, counter, at.small, M(DNP3_COUNTER_COUNT_VALUE)),
	COUNTER_TIME,
};

static layout_elements analog_32_flags = { ANALOG_FLAGS, ANALOG_I32 };
static layout_elements analog_16_flags = { ANALOG_FLAGS, ANALOG_I16 };
static layout_elements analog_f32_flags = { ANALOG_FLAGS, ANALOG_F32 };
static layout_elements analog_f64_flags = { ANALOG_FLAGS, ANALOG_F64 };
static layout_elements analog_32_time = { ANALOG_FLAGS, ANALOG_I32, ANALOG_TIME };
static layout_elements analog_16_time = { ANALOG_FLAGS, ANALOG_I16, ANALOG_TIME };
static layout_elements analog_f32_time = { ANALOG_FLAGS, ANALOG_F32, ANALOG_TIME };
static layout_elements analog_f64_time = { ANALOG_FLAGS, ANALOG_F64, ANALOG_TIME };
static layout_elements analog_32 = { ANALOG_I32 };
static layout_elements analog_16 = { ANALOG_I16 };
static layout_elements deadband_16 = { AT(U16_U32, analog, at.small, M(DNP3_ANALOG_DEADBAND)) };
static layout_elements deadband_32 = { AT(U32, analog, at.small, M(DNP3_ANALOG_DEADBAND)) };
static layout_elements deadband_f32 = { AT(F32, analog, at.small, M(DNP3_ANALOG_DEADBAND_F32)) };
static layout_elements output_32 = { AT(I32, command, value, M(DNP3_COMMAND_I32)), OUTPUT_STATUS };
static layout_elements output_16 = { AT(I16_I32, command, value, M(DNP3_COMMAND_I32)), OUTPUT_STATUS };
static layout_elements output_f32 = { AT(F32, command, value, M(DNP3_COMMAND_F32)), OUTPUT_STATUS };
static layout_elements output_f64 = { AT(F64, command, value, M(DNP3_COMMAND_F64)), OUTPUT_STATUS };
static layout_elements commanded_32 = { COMMAND_STATUS, AT(I32, command, value, M(DNP3_COMMAND_COMMANDED_I32)) };
static layout_elements commanded_16 = { COMMAND_STATUS, AT(I16_I32, command, value, M(DNP3_COMMAND_COMMANDED_I32)) };
static layout_elements commanded_f32 = { COMMAND_STATUS, AT(F32, command, value, M(DNP3_COMMAND_COMMANDED_F32)) };
static layout_elements commanded_f64 = { COMMAND_STATUS, AT(F64, command, value, M(DNP3_COMMAND_COMMANDED_F64)) };
static layout_elements commanded_32_time = {
	COMMAND_STATUS,
	AT(I32, command, value, M(DNP3_COMMAND_COMMANDED_I32)),
	COMMAND_TIME,
};
static layout_elements commanded_16_time = {
	COMMAND_STATUS,
	AT(I16_I32, command, value, M(DNP3_COMMAND_COMMANDED_I32)),
	COMMAND_TIME,
};
static layout_elements commanded_f32_time = {
	COMMAND_STATUS,
	AT(F32, command, value, M(DNP3_COMMAND_COMMANDED_F32)),
	COMMAND_TIME,
};
static layout_elements commanded_f64_time = {
	COMMAND_STATUS,
	AT(F64, command, value, M(DNP3_COMMAND_COMMANDED_F64)),
	COMMAND_TIME,
};

static layout_elements time_stamp = { TIME_STAMP };
static layout_elements time_interval = { TIME_STAMP, AT(U32, time, interval, M(DNP3_TIME_INTERVAL)) };
static layout_elements time_indexed = {
	TIME_STAMP,
	AT(U32, time, interval, M(DNP3_TIME_INTERVAL_COUNT)),
	AT(U8, time, interval_units, M(DNP3_TIME_INTERVAL_UNITS) | M(DNP3_TIME_UNITS_NAME)),
};
static layout_elements delay_secs = { AT(U16, time, delay, M(DNP3_TIME_DELAY_SECS)) };
static layout_elements delay_ms = { AT(U16, time, delay, M(DNP3_TIME_DELAY_MS)) };

#define F(kind, member, id) AT(kind, file, member, M(DNP3_FILE_##id))
#define FILE_STATUS AT(U8, file, status_code, M2(FILE, STATUS_CODE, STATUS_NAME))
#define FILE_PERMISSIONS AT(U16, file, permissions, M2(FILE, PERMISSIONS, PERMISSION_NAMES))
#define FILE_BLOCK AT(BLOCK, file, block_number, M2(FILE, BLOCK_NUMBER, LAST_BLOCK))
static layout_elements file_identifier = {
	LEN(1, file, filename_size, M(DNP3_FILE_FILENAME_SIZE)),
	F(U8, filetype_code, FILETYPE_CODE),
	F(U8, attribute_code, ATTRIBUTE_CODE),
	F(U16, start_record, START_RECORD),
	F(U16, end_record, END_RECORD),
	F(U32, file_size, FILE_SIZE),
	F(TIME48, created, CREATED_TIMESTAMP),
	F(U16, permissions, PERMISSION),
	F(U32, file_id, FILE_ID),
	F(U32, owner_id, OWNER_ID),
	F(U32, group_id, GROUP_ID),
	F(U8, file_function_code, FILE_FUNCTION_CODE),
	FILE_STATUS,
	BYTES(1, file, filename, M(DNP3_FILE_FILENAME)),
	LEN(2, file, data_size, M(DNP3_FILE_DATA_SIZE)),
	BYTES(2, file, text, M(DNP3_FILE_DATA)),
};
static layout_elements file_authentication = {
	F(U16, username_offset, USERNAME_OFFSET),
	LEN(1, file, username_size, M(DNP3_FILE_USERNAME_SIZE)),
	F(U16, password_offset, PASSWORD_OFFSET),
	LEN(2, file, password_size, M(DNP3_FILE_PASSWORD_SIZE)),
	F(U32, authentication_key, AUTHENTICATION_KEY),
	BYTES(1, file, username, M(DNP3_FILE_USERNAME)),
	BYTES(2, file, password, M(DNP3_FILE_PASSWORD)),
};
static layout_elements file_command = {
	F(U16, filename_offset, FILENAME_OFFSET),
	LEN(1, file, filename_size, M(DNP3_FILE_FILENAME_SIZE)),
	F(TIME48, created, CREATED),
	FILE_PERMISSIONS,
	F(U32, authentication_key, AUTHENTICATION_KEY),
	F(U32, file_size, FILE_SIZE),
	AT(U16, file, operational_mode, M(DNP3_FILE_OPERATIONAL_MODE) | M(DNP3_FILE_MODE_NAME)),
	F(U16, maximum_block_size, MAXIMUM_BLOCK_SIZE),
	F(U16, request_id, REQUEST_ID),
	BYTES(1, file, filename, M(DNP3_FILE_FILENAME)),
};
static layout_elements file_command_status = {
	F(U32, file_handle, FILE_HANDLE),
	F(U32, file_size, FILE_SIZE),
	F(U16, maximum_block_size, MAXIMUM_BLOCK_SIZE),
	F(U16, request_id, REQUEST_ID),
	FILE_STATUS,
	F(REST, text, OPTIONAL_TEXT),
};
static layout_elements file_transport = { F(U32, file_handle, FILE_HANDLE), FILE_BLOCK, F(REST, text, FILE_DATA) };
static layout_elements file_transport_status = {
	F(U32, file_handle, FILE_HANDLE),
	FILE_BLOCK,
	FILE_STATUS,
	F(REST, text, OPTIONAL_TEXT),
};
static layout_elements file_descriptor = {
	F(U16, filename_offset, FILENAME_OFFSET),
	LEN(1, file, filename_size, M(DNP3_FILE_FILENAME_SIZE)),
	AT(U16, file, file_type, M(DNP3_FILE_FILE_TYPE) | M(DNP3_FILE_FILE_TYPE_NAME)),
	F(U32, file_size, FILE_SIZE),
	F(TIME48, created, CREATED_TIMESTAMP),
	FILE_PERMISSIONS,
	F(U16, request_id, REQUEST_ID),
	BYTES(1, file, filename, M(DNP3_FILE_FILENAME)),
};
static layout_elements file_specification = { F(REST, text, FILE_SPECIFICATION) };

#define V(kind, member, id) AT(kind, value, member, M(DNP3_VALUE_##id))
static layout_elements attribute = { { DNP3_KIND_ATTRIBUTE, 0, offsetof(struct dnp3_point_attribute, length), 0 } };
static layout_elements storage = {
	AT(SPLIT7, value, fill, M(DNP3_VALUE_FILL_PERCENTAGE) | M(DNP3_VALUE_OVERFLOW_STATE)),
	V(U8, group, GROUP),
	V(U8, variation, VARIATION),
};
static layout_elements hex_rest = { V(REST, bytes, HEX) };
static layout_elements private_object = {
	V(BYTES4, vendor_code, VENDOR_CODE),
	V(U16, object_id, OBJECT_ID),
	LEN(1, value, length, M(DNP3_VALUE_LENGTH)),
	BYTES(1, value, bytes, M(DNP3_VALUE_DATA_OBJECTS)),
};
static layout_elements private_descriptor = {
	V(BYTES4, vendor_code, VENDOR_CODE),
	V(U16, object_id, OBJECT_ID),
	V(REST, bytes, DATA_OBJECTS),
};
static layout_elements dataset_descriptors = {
	{ DNP3_KIND_DESCRIPTORS, 0, offsetof(struct dnp3_point_dataset, elements), M(1) },
};
static layout_elements dataset_values = {
	{ DNP3_KIND_VALUES, 0, offsetof(struct dnp3_point_dataset, elements), M(1) },
};
static layout_elements dataset_characteristics = {
	AT(FLAGS, value, flag, M(DNP3_VALUE_RD) | M(DNP3_VALUE_WR) | M(DNP3_VALUE_ST) | M(DNP3_VALUE_EV) | M(DNP3_VALUE_DF) |
		M(DNP3_VALUE_PADDING0) | M(DNP3_VALUE_PADDING1) | M(DNP3_VALUE_PADDING2)),
};
static layout_elements application_id = { V(REST, bytes, IDENTIFIER) };
static layout_elements operation_status = { V(U32, delay_ms, DELAY_MS), V(REST, bytes, STATUS_CODES) };
static layout_elements value_f32 = { V(F32, number, F32) };
static layout_elements value_f64 = { V(F64, number, F64) };
static layout_elements value_bcd16 = { V(BCD16, number, UINT) };
static layout_elements value_bcd32 = { V(BCD32, number, UINT) };
static layout_elements value_bcd64 = { V(BCD64, number, UINT) };
static layout_elements value_u8 = { V(U8_U64, number, UINT) };
static layout_elements octets = { V(OCTETS, bytes, TEXT) };
static layout_elements octets_rest = { V(REST, bytes, TEXT) };

#define A(kind, member, id) AT(kind, auth, member, M(DNP3_AUTH_##id))
#define A_LEN(reg, member, id) LEN(reg, auth, member, M(DNP3_AUTH_##id))
#define A_BYTES(reg, member, id) BYTES(reg, auth, member, M(DNP3_AUTH_##id))
static layout_elements auth_challenge = {
	A(U32, sequence, CSQ), A(U16, user, USR), A(U8, octet[2], MAL), A(U8, octet[1], REASON), A(REST, bytes[0], CHALLENGE),
};
static layout_elements auth_reply = { A(U32, sequence, CSQ), A(U16, user, USR), A(REST, bytes[1], MAC_VALUE) };
static layout_elements auth_aggressive = { A(U32, sequence, CSQ), A(U16, user, USER_NUMBER) };
static layout_elements auth_key_request = { A(U16, user, USER_NUMBER) };
static layout_elements auth_key_status = {
	A(U32, sequence, KSQ),
	A(U16, user, USER_NUMBER),
	A(U8, octet[0], KEY_WRAP_ALG),
	A(U8, octet[1], KEY_STATUS),
	A(U8, octet[2], MAL),
	A_LEN(1, length[0], CHALLENGE_LEN),
	A_BYTES(1, bytes[0], CHALLENGE),
	A(REST, bytes[1], MAC_VALUE),
};
static layout_elements auth_key_change = { A(U32, sequence, KSQ), A(U16, user, USR), A(REST, bytes[0], WRAPPED_KEY) };
static layout_elements auth_error = {
	A(U32, sequence, SEQUENCE_NUMBER),
	A(U16, user, USR),
	A(U16, association_id, ASSOCIATION_ID),
	AT(U8, auth, octet[0], M(DNP3_AUTH_ERROR_CODE) | M(DNP3_AUTH_ERROR_NAME)),
	A(TIME48, time_of_error, TIME_OF_ERROR),
	A(REST, bytes[0], ERROR_TEXT),
};
static layout_elements auth_certificate = {
	A(U8, octet[0], KEY_CHANGE_METHOD), A(U8, octet[1], CERTIFICATE_TYPE), A(REST, bytes[0], CERTIFICATE),
};
static layout_elements auth_mac_value = { A(REST, bytes[1], MAC_VALUE) };
static layout_elements auth_user_status = {
	A(U8, octet[0], KEY_CHANGE_METHOD),
	A(U8, octet[1], OPERATION),
	A(U32, sequence, SCS),
	A(U16, user_role, USER_ROLE),
	A(U16, user_role_expiry_interval, USER_ROLE_EXPIRY),
	A_LEN(1, length[0], USERNAME_LEN),
	A_LEN(2, length[1], PUBLIC_KEY_LEN),
	A_LEN(3, length[2], CERTIFICATION_LEN),
	A_BYTES(1, bytes[0], USERNAME),
	A_BYTES(2, bytes[1], PUBLIC_KEY),
	A_BYTES(3, bytes[2], CERTIFICATION),
};
static layout_elements auth_update_request = {
	A(U8, octet[0], KEY_CHANGE_METHOD),
	A_LEN(1, length[0], USERNAME_LEN),
	A_LEN(2, length[1], MASTER_CHALLENGE_LEN),
	A_BYTES(1, bytes[0], USERNAME),
	A_BYTES(2, bytes[1], MASTER_CHALLENGE),
};
static layout_elements auth_update_reply = {
	A(U32, sequence, KSQ), A(U16, user, USER_NUMBER), A_LEN(1, length[0], CHALLENGE_LEN), A_BYTES(1, bytes[0], CHALLENGE),
};
static layout_elements auth_update_key = {
	A(U32, sequence, KSQ),
	A(U16, user, USER_NUMBER),
	A_LEN(1, length[0], UPDATE_KEY_LEN),
	A_BYTES(1, bytes[0], UPDATE_KEY),
};
static layout_elements auth_signature = { A(REST, bytes[0], SIGNATURE) };
static layout_elements auth_mac = { A(REST, bytes[0], MAC) };

#define ROW(group, variation, shape, elements, name) \
	{ group, variation, DNP3_SHAPE_##shape, sizeof(elements) / sizeof((elements)[0]), 0, false, elements, name },
#define PACKED(group, variation, bits, elements, name) \
	{ group, variation, DNP3_SHAPE_BIT, 1, bits, false, elements, name },
#define EVERY(group, shape, elements, name) { group, 0, DNP3_SHAPE_##shape, 1, 0, true, elements, name },

/* Counter events (22, 23) and frozen counters (21) differ in how the flags above the fifth are called: as the objects of other
 * sensors' records do. */
const struct dnp3_layout dnp3_layouts[] = {
	EVERY(0, ATTRIBUTE, attribute, "device attribute")
	PACKED(1, 1, 1, state, "packed format")
	ROW(1, 2, BINARY, input_flags, "with flags")
	ROW(2, 1, BINARY, input_event, "without time")
	ROW(2, 2, BINARY_TIME, input_time, "with absolute time")
	ROW(2, 3, BINARY_TIME, input_relative, "with relative time")
	PACKED(3, 1, 2, state, "packed format")
	ROW(3, 2, BINARY, double_flags, "with flags")
	ROW(4, 1, BINARY, double_flags, "without time")
	ROW(4, 2, BINARY_TIME, double_time, "with absolute time")
	ROW(4, 3, BINARY_TIME, double_relative, "with relative time")
	PACKED(10, 1, 1, state, "packed format")
	ROW(10, 2, BINARY, output_flags, "output status with flags")
	ROW(11, 1, BINARY, output_flags, "status without time")
	ROW(11, 2, BINARY_TIME, output_time, "status with time")
	ROW(12, 1, COMMAND, crob, "control relay output block")
	ROW(12, 2, COMMAND, crob, "pattern control block")
	PACKED(12, 3, 1, point, "pattern mask")
	ROW(13, 1, COMMAND, command_event, "command status without time")
	ROW(13, 2, COMMAND, command_event_time, "command status with time")
	ROW(20, 1, COUNTER, counter_32_d, "32-bit with flag")
	ROW(20, 2, COUNTER, counter_16_d, "16-bit with flag")
	ROW(20, 3, COUNTER, counter_32_r, "32-bit with flag, delta")
	ROW(20, 4, COUNTER, counter_16_r, "16-bit with flag, delta")
	ROW(20, 5, COUNTER, counter_32, "32-bit without flag")
	ROW(20, 6, COUNTER, counter_16, "16-bit without flag")
	ROW(20, 7, COUNTER, counter_32, "32-bit without flag, delta")
	ROW(20, 8, COUNTER, counter_16, "16-bit without flag, delta")
	ROW(21, 1, COUNTER, counter_32_d, "32-bit with flag")
	ROW(21, 2, COUNTER, counter_16_d, "16-bit with flag")
	ROW(21, 3, COUNTER, counter_32_r, "32-bit with flag, delta")
	ROW(21, 4, COUNTER, counter_16_r, "16-bit with flag, delta")
	ROW(21, 5, COUNTER_TIME, counter_32_d1_time, "32-bit with flag and time")
	ROW(21, 6, COUNTER_TIME, counter_16_d1_time, "16-bit with flag and time")
	ROW(21, 7, COUNTER_TIME, counter_32_r_time, "32-bit with flag and time, delta")
	ROW(21, 8, COUNTER_TIME, counter_16_r_time, "16-bit with flag and time, delta")
	ROW(21, 9, COUNTER, counter_32, "32-bit without flag")
	ROW(21, 10, COUNTER, counter_16, "16-bit without flag")
	ROW(21, 11, COUNTER, counter_32, "32-bit without flag, delta")
	ROW(21, 12, COUNTER, counter_16, "16-bit without flag, delta")
	ROW(22, 1, COUNTER, counter_32_d, "32-bit with flag")
	ROW(22, 2, COUNTER, counter_16_d, "16-bit with flag")
	ROW(22, 3, COUNTER, counter_32_r, "32-bit with flag, delta")
	ROW(22, 4, COUNTER, counter_16_r, "16-bit with flag, delta")
	ROW(22, 5, COUNTER_TIME, counter_32_dr_time, "32-bit with flag and time")
	ROW(22, 6, COUNTER_TIME, counter_16_d_time, "16-bit with flag and time")
	ROW(22, 7, COUNTER_TIME, counter_32_r_time, "32-bit with flag and time, delta")
	ROW(22, 8, COUNTER_TIME, counter_16_r_time, "16-bit with flag and time, delta")
	ROW(23, 1, COUNTER, counter_32_d, "32-bit with flag")
	ROW(23, 2, COUNTER, counter_16_dr, "16-bit with flag")
	ROW(23, 3, COUNTER, counter_32_r, "32-bit with flag, delta")
	ROW(23, 4, COUNTER, counter_16_r, "16-bit with flag, delta")
	ROW(23, 5, COUNTER_TIME, counter_32_d_time, "32-bit with flag and time")
	ROW(23, 6, COUNTER_TIME, counter_16_d_time, "16-bit with flag and time")
	ROW(23, 7, COUNTER_TIME, counter_32_r_time, "32-bit with flag and time, delta")
	ROW(23, 8, COUNTER_TIME, counter_16_r_time, "16-bit with flag and time, delta")
	ROW(30, 1, ANALOG, analog_32_flags, "32-bit with flag")
	ROW(30, 2, ANALOG, analog_16_flags, "16-bit with flag")
	ROW(30, 3, ANALOG, analog_32, "32-bit without flag")
	ROW(30, 4, ANALOG, analog_16, "16-bit without flag")
	ROW(30, 5, ANALOG, analog_f32_flags, "single-precision with flag")
	ROW(30, 6, ANALOG_WIDE, analog_f64_flags, "double-precision with flag")
	ROW(31, 1, ANALOG, analog_32_flags, "32-bit with flag")
	ROW(31, 2, ANALOG, analog_16_flags, "16-bit with flag")
	ROW(31, 3, ANALOG_WIDE, analog_32_time, "32-bit with time of freeze")
	ROW(31, 4, ANALOG_WIDE, analog_16_time, "16-bit with time of freeze")
	ROW(31, 5, ANALOG, analog_32, "32-bit without flag")
	ROW(31, 6, ANALOG, analog_16, "16-bit without flag")
	ROW(31, 7, ANALOG, analog_f32_flags, "single-precision with flag")
	ROW(31, 8, ANALOG_WIDE, analog_f64_flags, "double-precision with flag")
	ROW(32, 1, ANALOG, analog_32_flags, "32-bit without time")
	ROW(32, 2, ANALOG, analog_16_flags, "16-bit without time")
	ROW(32, 3, ANALOG_WIDE, analog_32_time, "32-bit with time")
	ROW(32, 4, ANALOG_WIDE, analog_16_time, "16-bit with time")
	ROW(32, 5, ANALOG, analog_f32_flags, "single-precision without time")
	ROW(32, 6, ANALOG_WIDE, analog_f64_flags, "double-precision without time")
	ROW(32, 7, ANALOG_WIDE, analog_f32_time, "single-precision with time")
	ROW(32, 8, ANALOG_WIDE, analog_f64_time, "double-precision with time")
	ROW(33, 1, ANALOG, analog_32_flags, "32-bit without time")
	ROW(33, 2, ANALOG, analog_16_flags, "16-bit without time")
	ROW(33, 3, ANALOG_WIDE, analog_32_time, "32-bit with time")
	ROW(33, 4, ANALOG_WIDE, analog_16_time, "16-bit with time")
	ROW(33, 5, ANALOG, analog_f32_flags, "single-precision without time")
	ROW(33, 6, ANALOG_WIDE, analog_f64_flags, "double-precision without time")
	ROW(33, 7, ANALOG_WIDE, analog_f32_time, "single-precision with time")
	ROW(33, 8, ANALOG_WIDE, analog_f64_time, "double-precision with time")
	ROW(34, 1, ANALOG, deadband_16, "16-bit")
	ROW(34, 2, ANALOG, deadband_32, "32-bit")
	ROW(34, 3, ANALOG, deadband_f32, "single-precision")
	ROW(40, 1, ANALOG, analog_32_flags, "32-bit with flag")
	ROW(40, 2, ANALOG, analog_16_flags, "16-bit with flag")
	ROW(40, 3, ANALOG, analog_f32_flags, "single-precision with flag")
	ROW(40, 4, ANALOG_WIDE, analog_f64_flags, "double-precision with flag")
	ROW(41, 1, COMMAND, output_32, "32-bit")
	ROW(41, 2, COMMAND, output_16, "16-bit")
	ROW(41, 3, COMMAND, output_f32, "single-precision")
	ROW(41, 4, COMMAND, output_f64, "double-precision")
	ROW(42, 1, ANALOG, analog_32_flags, "32-bit without time")
	ROW(42, 2, ANALOG, analog_16_flags, "16-bit without time")
	ROW(42, 3, ANALOG_WIDE, analog_32_time, "32-bit with time")
	ROW(42, 4, ANALOG_WIDE, analog_16_time, "16-bit with time")
	ROW(42, 5, ANALOG, analog_f32_flags, "single-precision without time")
	ROW(42, 6, ANALOG_WIDE, analog_f64_flags, "double-precision without time")
	ROW(42, 7, ANALOG_WIDE, analog_f32_time, "single-precision with time")
	ROW(42, 8, ANALOG_WIDE, analog_f64_time, "double-precision with time")
	ROW(43, 1, COMMAND, commanded_32, "32-bit without time")
	ROW(43, 2, COMMAND, commanded_16, "16-bit without time")
	ROW(43, 3, COMMAND, commanded_32_time, "32-bit with time")
	ROW(43, 4, COMMAND, commanded_16_time, "16-bit with time")
	ROW(43, 5, COMMAND, commanded_f32, "single-precision without time")
	ROW(43, 6, COMMAND, commanded_f64, "double-precision without time")
	ROW(43, 7, COMMAND, commanded_f32_time, "single-precision with time")
	ROW(43, 8, COMMAND, commanded_f64_time, "double-precision with time")
	ROW(50, 1, TIME, time_stamp, "absolute time")
	ROW(50, 2, TIME, time_interval, "absolute time and interval")
	ROW(50, 3, TIME, time_stamp, "absolute time at last recorded time")
	ROW(50, 4, TIME, time_indexed, "indexed absolute time and long interval")
	ROW(51, 1, TIME, time_stamp, "absolute time, synchronized")
	ROW(51, 2, TIME, time_stamp, "absolute time, unsynchronized")
	ROW(52, 1, TIME, delay_secs, "coarse")
	ROW(52, 2, TIME, delay_ms, "fine")
	ROW(70, 1, FILE, file_identifier, "file identifier")
	ROW(70, 2, FILE, file_authentication, "authentication")
	ROW(70, 3, FILE, file_command, "file command")
	ROW(70, 4, FILE, file_command_status, "file command status")
	ROW(70, 5, FILE, file_transport, "file transport")
	ROW(70, 6, FILE, file_transport_status, "file transport status")
	ROW(70, 7, FILE, file_descriptor, "file descriptor")
	ROW(70, 8, FILE, file_specification, "file specification string")
	PACKED(80, 1, 1, state, "packed format")
	ROW(81, 1, VALUE, storage, "buffer fill status")
	ROW(82, 1, VALUE, hex_rest, "functions and indexes")
	ROW(83, 1, VALUE, private_object, "private registration object")
	ROW(83, 2, VALUE, private_descriptor, "private registration object descriptor")
	ROW(85, 1, DATASET, dataset_descriptors, "with universally unique identifier")
	ROW(86, 1, DATASET, dataset_descriptors, "data set contents")
	ROW(86, 2, VALUE, dataset_characteristics, "characteristics")
	ROW(86, 3, DATASET, dataset_values, "point index attributes")
	ROW(87, 1, DATASET, dataset_values, "present value")
	ROW(88, 1, DATASET, dataset_values, "snapshot")
	ROW(90, 1, VALUE, application_id, "identifier")
	ROW(91, 1, VALUE, operation_status, "status")
	ROW(100, 1, VALUE, value_f32, "single-precision")
	ROW(100, 2, VALUE, value_f64, "double-precision")
	ROW(101, 1, VALUE, value_bcd16, "small")
	ROW(101, 2, VALUE, value_bcd32, "medium")
	ROW(101, 3, VALUE, value_bcd64, "large")
	ROW(102, 1, VALUE, value_u8, "8-bit")
	EVERY(110, VALUE, octets, "as long as the variation says")
	EVERY(111, VALUE, octets, "as long as the variation says")
	EVERY(112, VALUE, octets, "as long as the variation says")
	EVERY(113, VALUE, octets, "as long as the variation says")
	EVERY(114, VALUE, octets_rest, "extended")
	EVERY(115, VALUE, octets_rest, "extended")
	ROW(120, 1, AUTH, auth_challenge, "challenge")
	ROW(120, 2, AUTH, auth_reply, "reply")
	ROW(120, 3, AUTH, auth_aggressive, "aggressive mode request")
	ROW(120, 4, AUTH, auth_key_request, "session key status request")
	ROW(120, 5, AUTH, auth_key_status, "session key status")
	ROW(120, 6, AUTH, auth_key_change, "session key change")
	ROW(120, 7, AUTH, auth_error, "error")
	ROW(120, 8, AUTH, auth_certificate, "user certificate")
	ROW(120, 9, AUTH, auth_mac_value, "message authentication code")
	ROW(120, 10, AUTH, auth_user_status, "user status change")
	ROW(120, 11, AUTH, auth_update_request, "update key change request")
	ROW(120, 12, AUTH, auth_update_reply, "update key change reply")
	ROW(120, 13, AUTH, auth_update_key, "update key change")
	ROW(120, 14, AUTH, auth_signature, "update key change signature")
	ROW(120, 15, AUTH, auth_mac, "update key change confirmation")
	ROW(121, 1, COUNTER_TIME, statistic, "32-bit with flag")
	ROW(122, 1, COUNTER_TIME, statistic, "32-bit with flag")
	ROW(122, 2, COUNTER_TIME, statistic_time, "32-bit with flag and time")
};
const uint16_t dnp3_layout_count = sizeof(dnp3_layouts) / sizeof(dnp3_layouts[0]);

static const char *const group_names[256] = {
	[0] = "device_attribute",
	[1] = "binary_input",
	[2] = "binary_input_event",
	[3] = "double_bit_binary_input",
	[4] = "double_bit_binary_input_event",
	[10] = "binary_output",
	[11] = "binary_output_event",
	[12] = "binary_output_command",
	[13] = "binary_output_command_event",
	[20] = "counter",
	[21] = "frozen_counter",
	[22] = "counter_event",
	[23] = "frozen_counter_event",
	[30] = "analog_input",
	[31] = "frozen_analog_input",
	[32] = "analog_input_event",
	[33] = "frozen_analog_input_event",
	[34] = "analog_input_deadband",
	[40] = "analog_output_status",
	[41] = "analog_output",
	[42] = "analog_output_event",
	[43] = "analog_output_command_event",
	[50] = "time_and_date",
	[51] = "time_and_date_common_time_of_occurrence",
	[52] = "time_delay",
	[60] = "class_objects",
	[70] = "file_control",
	[80] = "internal_indications",
	[81] = "device_storage",
	[82] = "device_profile",
	[83] = "data_set_private_registration",
	[85] = "data_set_prototype",
	[86] = "data_set_descriptor",
	[87] = "data_set_present_value",
	[88] = "data_set_event",
	[90] = "application",
	[91] = "status_of_requested_operation",
	[100] = "floating_point",
	[101] = "binary_coded_decimal",
	[102] = "unsigned_integer",
	[110] = "octet_string",
	[111] = "octet_string_event",
	[112] = "virtual_terminal_output_block",
	[113] = "virtual_terminal_event_data",
	[114] = "extended_octet_string",
	[115] = "extended_octet_string_event",
	[120] = "authentication",
	[121] = "security_statistic",
	[122] = "security_statistic_event",
};

/* Annex A.2, device attributes. */
static const char *const attribute_names[256] = {
	[196] = "configuration_id",
	[197] = "configuration_version",
	[198] = "configuration_build_date",
	[199] = "configuration_last_change_date",
	[200] = "configuration_signature",
	[201] = "configuration_signature_algorithm",
	[202] = "master_resource_id",
	[203] = "device_location_altitude",
	[204] = "device_location_longitude",
	[205] = "device_location_latitude",
	[206] = "secondary_operator_name",
	[207] = "primary_operator_name",
	[208] = "system_name",
	[209] = "secure_authentication_version",
	[210] = "security_statistics_per_association",
	[211] = "user_specific_attributes_support",
	[212] = "master_defined_data_set_prototypes",
	[213] = "outstation_defined_data_set_prototypes",
	[214] = "master_defined_data_sets",
	[215] = "outstation_defined_data_sets",
	[216] = "max_binary_outputs_per_request",
	[217] = "local_timing_accuracy",
	[218] = "duration_of_time_accuracy",
	[219] = "analog_output_events_support",
	[220] = "max_analog_output_index",
	[221] = "analog_output_count",
	[222] = "binary_output_events_support",
	[223] = "max_binary_output_index",
	[224] = "binary_output_count",
	[225] = "frozen_counter_events_support",
	[226] = "frozen_counters_support",
	[227] = "counter_events_support",
	[228] = "max_counter_index",
	[229] = "counter_count",
	[230] = "frozen_analog_inputs_support",
	[231] = "analog_input_events_support",
	[232] = "max_analog_input_index",
	[233] = "analog_input_count",
	[234] = "double_bit_input_events_support",
	[235] = "max_double_bit_input_index",
	[236] = "double_bit_input_count",
	[237] = "binary_input_events_support",
	[238] = "max_binary_input_index",
	[239] = "binary_input_count",
	[240] = "max_transmit_fragment_size",
	[241] = "max_receive_fragment_size",
	[242] = "software_version",
	[243] = "hardware_version",
	[244] = "owner_name",
	[245] = "location_name",
	[246] = "id_code",
	[247] = "device_name",
	[248] = "serial_number",
	[249] = "subset_and_conformance",
	[250] = "product_name_and_model",
	[252] = "manufacturer_name",
	[254] = "all_attributes",
	[255] = "list_of_attribute_variations",
};

const char *
dnp3_group_name(uint8_t group)
{
	return group_names[group];
}

const char *
dnp3_attribute_name(uint8_t variation)
{
	return attribute_names[variation];
}
