/*
 * The fields of each shape of point: X(id, JSON key, type, member, names, help). An id becomes
 * a presence bit, from 1 (bit 0 is DNP3_HAS_SIZE), and a row of the shape's table.
 */
#ifndef MR_PROTO_DNP3_DNP3_SHAPES_H
#define MR_PROTO_DNP3_DNP3_SHAPES_H

#define DNP3_BIT_FIELDS(X)                                                    \
	X(STATE, "state", U8, at.small.u8, NULL, "state of the point")           \
	X(POINT, "point", U8, at.small.u8, NULL, "whether the pattern mask selects the point")

#define DNP3_FLAG_FIELDS(X)                                                                  \
	X(ONLINE, "online", U8, flag[0], NULL, "point is online")                            \
	X(RESTART, "restart", U8, flag[1], NULL, "value is from before a restart's end")     \
	X(COMM_LOST, "comm_lost", U8, flag[2], NULL, "communication with the source is lost") \
	X(REMOTE_FORCED, "remote_forced", U8, flag[3], NULL, "forced at a remote device")    \
	X(LOCAL_FORCED, "local_forced", U8, flag[4], NULL, "forced at this device")

#define DNP3_BINARY_FIELDS(X) \
	DNP3_FLAG_FIELDS(X) \
	X(CHATTER_FILTER, "chatter_filter", U8, flag[5], NULL, "changes are being filtered") \
	X(RESERVED_5, "reserved0", U8, flag[5], NULL, "reserved bit 5") \
	X(RESERVED_6, "reserved", U8, flag[6], NULL, "reserved bit 6") \
	X(RESERVED1_6, "reserved1", U8, flag[6], NULL, "reserved bit 6") \
	X(STATE, "state", U8, flag[7], NULL, "state of the point") \
	X(OCTET, "state", U8, at.small.u8, NULL, "of an event without time: its whole octet") \
	X(VALUE, "value", U8, flag[7], NULL, "of an event without time: state of the point") \
	X(DOUBLE_STATE, "state", U8, flag[6], NULL, "0 intermediate, 1 off, 2 on, 3 indeterminate") \
	X(RELATIVE_TIME_MS, "relative_time_ms", U16, at.small.u16, NULL, "ms since the common time of occurrence")

#define DNP3_BINARY_TIME_FIELDS(X) \
	X(TIMESTAMP, "timestamp", U64, timestamp, NULL, "ms since the Unix epoch") \
	X(RELATIVE_TIMESTAMP, "timestamp", U16, at.small.u16, NULL, "of a relative time: ms since the common time of occurrence") \
	X(EVENT_TIMESTAMP, "event_timestamp", U64, timestamp, NULL, \
		"of a relative time: ms since the Unix epoch, by the common time of occurrence before it in the message")

#define DNP3_COUNTER_FIELDS(X) \
	DNP3_FLAG_FIELDS(X) \
	X(ROLLOVER, "rollover", U8, flag[5], NULL, "the counter has rolled over") \
	X(RESERVED0_5, "reserved0", U8, flag[5], NULL, "reserved bit 5") \
	X(DISCONTINUITY, "discontinuity", U8, flag[6], NULL, "not comparable with the value before") \
	X(RESERVED0_6, "reserved0", U8, flag[6], NULL, "reserved bit 6") \
	X(RESERVED0_7, "reserved0", U8, flag[7], NULL, "reserved bit 7") \
	X(RESERVED1_7, "reserved1", U8, flag[7], NULL, "reserved bit 7") \
	X(COUNT, "count", U32, at.small.u32, NULL, "value of the counter")

#define DNP3_COUNTER_TIME_FIELDS(X) \
	X(ASSOCIATION_ID, "association_id", U16, association_id, NULL, "security association") \
	X(COUNT_VALUE, "count_value", U32, at.small.u32, NULL, "value of the security statistic") \
	X(TIMESTAMP, "timestamp", U64, timestamp, NULL, "ms since the Unix epoch")

#define DNP3_ANALOG_FIELDS(X) \
	DNP3_FLAG_FIELDS(X) \
	X(OVER_RANGE, "over_range", U8, flag[5], NULL, "value exceeds the range") \
	X(REFERENCE_ERR, "reference_err", U8, flag[6], NULL, "reference signal is unreliable") \
	X(RESERVED0, "reserved0", U8, flag[7], NULL, "reserved bit 7") \
	X(I32, "value", I32, at.small.i32, NULL, "value of the point") \
	X(F32, "value", F32, at.small.f32, NULL, "value of the point") \
	X(DEADBAND, "deadband_value", U32, at.small.u32, NULL, "change that is reported") \
	X(DEADBAND_F32, "deadband_value", F32, at.small.f32, NULL, "change that is reported")

#define DNP3_ANALOG_WIDE_FIELDS(X) \
	X(F64, "value", F64, f64, NULL, "value of the point") \
	X(TIMESTAMP, "timestamp", U64, timestamp, NULL, "ms since the Unix epoch")

#define DNP3_COMMAND_FIELDS(X)                                                        \
	X(OP_TYPE, "op_type", U8, control[0], NULL, "operation")                      \
	X(QU, "qu", U8, control[1], NULL, "queue (obsolete)")                         \
	X(CR, "cr", U8, control[2], NULL, "clear what runs or waits")                 \
	X(TCC, "tcc", U8, control[3], NULL, "trip-close code")                        \
	X(COUNT, "count", U8, count, NULL, "times to operate")                        \
	X(ONTIME, "ontime", U32, ontime, NULL, "ms on")                               \
	X(OFFTIME, "offtime", U32, offtime, NULL, "ms off")                           \
	X(I32, "value", I32, value.i32, NULL, "value to output")                      \
	X(F32, "value", F32, value.f32, NULL, "value to output")                      \
	X(F64, "value", F64, value.f64, NULL, "value to output")                      \
	X(CONTROL_STATUS, "control_status", U8, status[0], NULL, "result of the command") \
	X(STATUS_CODE, "status_code", U8, status[0], NULL, "result of the command")   \
	X(RESERVED, "reserved", U8, status[1], NULL, "reserved bit 7")                \
	X(RESERVED0, "reserved0", U8, status[1], NULL, "reserved bit 7")              \
	X(COMMANDED_STATE, "commanded_state", U8, status[1], NULL, "state commanded") \
	X(COMMANDED_I32, "commanded_value", I32, value.i32, NULL, "value commanded")  \
	X(COMMANDED_F32, "commanded_value", F32, value.f32, NULL, "value commanded")  \
	X(COMMANDED_F64, "commanded_value", F64, value.f64, NULL, "value commanded")  \
	X(TIMESTAMP, "timestamp", U64, timestamp, NULL, "ms since the Unix epoch")    \
	X(OP_TYPE_NAME, "op_type_name", U8, control[0], &op_types, "name of op_type") \
	X(TCC_NAME, "tcc_name", U8, control[3], &trip_close_codes, "name of tcc")     \
	X(STATUS_NAME, "status_name", U8, status[0], &control_statuses, "name of status_code or control_status")

#define DNP3_TIME_FIELDS(X)                                                             \
	X(TIMESTAMP, "timestamp", U64, timestamp, NULL, "ms since the Unix epoch")      \
	X(INTERVAL, "interval", U32, interval, NULL, "interval")                        \
	X(INTERVAL_COUNT, "interval_count", U32, interval, NULL, "interval, in interval_units") \
	X(INTERVAL_UNITS, "interval_units", U8, interval_units, NULL, "unit of interval_count") \
	X(UNITS_NAME, "interval_units_name", U8, interval_units, &interval_units, "name of interval_units") \
	X(DELAY_SECS, "delay_secs", U16, delay, NULL, "delay in s")                     \
	X(DELAY_MS, "delay_ms", U16, delay, NULL, "delay in ms")

#define DNP3_FILE_FIELDS(X)                                                                        \
	X(USERNAME_OFFSET, "username_offset", U16, username_offset, NULL, "where the user name begins") \
	X(USERNAME_SIZE, "username_size", U16, username_size, NULL, "length of the user name")     \
	X(PASSWORD_OFFSET, "password_offset", U16, password_offset, NULL, "where the password begins") \
	X(PASSWORD_SIZE, "password_size", U16, password_size, NULL, "length of the password")      \
	X(FILENAME_OFFSET, "filename_offset", U16, filename_offset, NULL, "where the file name begins") \
	X(FILENAME_SIZE, "filename_size", U16, filename_size, NULL, "length of the file name")     \
	X(FILETYPE_CODE, "filetype_code", U8, filetype_code, NULL, "type of file (group 70 variation 1)") \
	X(ATTRIBUTE_CODE, "attribute_code", U8, attribute_code, NULL, "attribute (group 70 variation 1)") \
	X(START_RECORD, "start_record", U16, start_record, NULL, "first record")                   \
	X(END_RECORD, "end_record", U16, end_record, NULL, "last record")                          \
	X(FILE_TYPE, "file_type", U16, file_type, NULL, "0 directory, 1 file")                     \
	X(FILE_TYPE_NAME, "file_type_name", U16, file_type, &file_types, "name of file_type")      \
	X(CREATED, "created", U64, created, NULL, "time of creation, ms since the Unix epoch")     \
	X(FILE_HANDLE, "file_handle", U32, file_handle, NULL, "handle of the open file")           \
	X(AUTHENTICATION_KEY, "authentication_key", U32, authentication_key, NULL, "key of the authenticated user") \
	X(BLOCK_NUMBER, "block_number", U32, block_number, NULL, "number of the block, bit 31 in the last") \
	X(LAST_BLOCK, "last_block", BOOL, last_block, NULL, "the block is the last")               \
	X(FILE_SIZE, "file_size", U32, file_size, NULL, "bytes of the file")                       \
	X(CREATED_TIMESTAMP, "created_timestamp", U64, created, NULL, "time of creation, ms since the Unix epoch") \
	X(PERMISSION, "permission", U16, permissions, NULL, "permission bits (group 70 variation 1)") \
	X(PERMISSIONS, "permissions", U16, permissions, NULL, "permission bits")                   \
	X(PERMISSION_NAMES, "permission_names", NAMES16, permissions, &file_permissions, "names of the permissions") \
	X(FILE_ID, "file_id", U32, file_id, NULL, "id of the file")                                \
	X(OWNER_ID, "owner_id", U32, owner_id, NULL, "id of the owner")                            \
	X(GROUP_ID, "group_id", U32, group_id, NULL, "id of the group")                            \
	X(FILE_FUNCTION_CODE, "file_function_code", U8, file_function_code, NULL, "file function (group 70 variation 1)") \
	X(OPERATIONAL_MODE, "operational_mode", U16, operational_mode, NULL, "how the file is opened") \
	X(MODE_NAME, "operational_mode_name", U16, operational_mode, &file_modes, "name of operational_mode") \
	X(MAXIMUM_BLOCK_SIZE, "maximum_block_size", U16, maximum_block_size, NULL, "bytes of a block") \
	X(REQUEST_ID, "request_id", U16, request_id, NULL, "id of the request")                    \
	X(STATUS_CODE, "status_code", U8, status_code, NULL, "result")                             \
	X(STATUS_NAME, "status_name", U8, status_code, &file_statuses, "name of status_code")      \
	X(USERNAME, "username", STRING, username, NULL, "user name")                               \
	X(PASSWORD, "password", STRING, password, NULL, "password")                                \
	X(FILENAME, "filename", STRING, filename, NULL, "file name")                               \
	X(OPTIONAL_TEXT, "optional_text", STRING, text, NULL, "text about the result")             \
	X(FILE_DATA, "file_data", STRING, text, NULL, "contents of the block")                     \
	X(FILE_SPECIFICATION, "file_specification", STRING, text, NULL, "file specification string") \
	X(DATA_SIZE, "data_size", U16, data_size, NULL, "length of the data")                      \
	X(DATA, "data", STRING, text, NULL, "data (group 70 variation 1)")

#define DNP3_ATTRIBUTE_FIELDS(X)                                                           \
	X(DATA_TYPE, "data_type", U8, data_type, NULL, "type of the value")                \
	X(DATA_TYPE_NAME, "data_type_name", U8, data_type, &data_types, "name of data_type") \
	X(LENGTH, "length", U16, length, NULL, "bytes of the value")                       \
	X(TEXT, "value", STRING, bytes, NULL, "value of the attribute")                    \
	X(UINT, "value", U64, number.u64, NULL, "value of the attribute")                  \
	X(INT, "value", I64, number.i64, NULL, "value of the attribute")                   \
	X(F32, "value", F32, number.f32, NULL, "value of the attribute")                   \
	X(F64, "value", F64, number.f64, NULL, "value of the attribute")                   \
	X(HEX, "value", HEX, bytes, NULL, "value of the attribute")                        \
	X(VARIATIONS, "variations", U8S, bytes, NULL, "attributes that the device has")    \
	X(WRITABLE, "writable", BOOLS, flags, NULL, "which of variations may be written")

#define DNP3_VALUE_FIELDS(X)                                                                       \
	X(UINT, "value", U64, number.u64, NULL, "value of the object")                             \
	X(F32, "value", F32, number.f32, NULL, "value of the object")                              \
	X(F64, "value", F64, number.f64, NULL, "value of the object")                              \
	X(TEXT, "value", STRING, bytes, NULL, "bytes of the object")                               \
	X(HEX, "value", HEX, bytes, NULL, "bytes of the object")                                   \
	X(FILL_PERCENTAGE, "fill_percentage", U8, fill[0], NULL, "how full the buffer is, percent") \
	X(OVERFLOW_STATE, "overflow_state", U8, fill[1], NULL, "the buffer has overflowed")        \
	X(GROUP, "group", U8, group, NULL, "object group that the buffer holds")                   \
	X(VARIATION, "variation", U8, variation, NULL, "variation that the buffer holds")          \
	X(VENDOR_CODE, "vendor_code", STRING, vendor_code, NULL, "vendor of the private object")   \
	X(OBJECT_ID, "object_id", U16, object_id, NULL, "private object")                          \
	X(LENGTH, "length", U16, length, NULL, "bytes of data_objects")                            \
	X(DATA_OBJECTS, "data_objects", BASE64, bytes, NULL, "contents of the private object")     \
	X(RD, "rd", U8, flag[0], NULL, "the data set may be read")                                 \
	X(WR, "wr", U8, flag[1], NULL, "the data set may be written")                              \
	X(ST, "st", U8, flag[2], NULL, "a static data set is kept")                                \
	X(EV, "ev", U8, flag[3], NULL, "data set events are made")                                 \
	X(DF, "df", U8, flag[4], NULL, "the master defined the data set")                          \
	X(PADDING0, "padding0", U8, flag[5], NULL, "reserved bit 5")                               \
	X(PADDING1, "padding1", U8, flag[6], NULL, "reserved bit 6")                               \
	X(PADDING2, "padding2", U8, flag[7], NULL, "reserved bit 7")                               \
	X(IDENTIFIER, "application_id", STRING, bytes, NULL, "application identifier")             \
	X(DELAY_MS, "delay_ms", U32, delay_ms, NULL, "ms until the operation is done")             \
	X(STATUS_CODES, "status_codes", U8S, bytes, NULL, "result for each object of the request")

#define DNP3_AUTH_FIELDS(X)                                                                        \
	X(CSQ, "csq", U32, sequence, NULL, "challenge sequence number")                            \
	X(KSQ, "ksq", U32, sequence, NULL, "key change sequence number")                           \
	X(SEQUENCE_NUMBER, "sequence_number", U32, sequence, NULL, "sequence number of what failed") \
	X(KEY_CHANGE_METHOD, "key_change_method", U8, octet[0], NULL, "how update keys are changed") \
	X(OPERATION, "operation", U8, octet[1], NULL, "1 add, 2 delete, 3 change")                 \
	X(SCS, "scs", U32, sequence, NULL, "status change sequence number")                        \
	X(USR, "usr", U16, user, NULL, "user number")                                              \
	X(USER_NUMBER, "user_number", U16, user, NULL, "user number")                              \
	X(ASSOCIATION_ID, "association_id", U16, association_id, NULL, "security association")     \
	X(KEY_WRAP_ALG, "key_wrap_alg", U8, octet[0], NULL, "key wrap algorithm")                  \
	X(KEY_STATUS, "key_status", U8, octet[1], NULL, "1 ok, 2 not initialised, 3 link down, 4 not authenticated") \
	X(MAL, "mal", U8, octet[2], NULL, "MAC algorithm")                                         \
	X(REASON, "reason", U8, octet[1], NULL, "reason for the challenge")                        \
	X(ERROR_CODE, "error_code", U8, octet[0], NULL, "error")                                   \
	X(ERROR_NAME, "error_name", U8, octet[0], &auth_errors, "name of error_code")              \
	X(TIME_OF_ERROR, "time_of_error", U64, time_of_error, NULL, "ms since the Unix epoch")     \
	X(ERROR_TEXT, "error_text", STRING, bytes[0], NULL, "text about the error")                \
	X(CERTIFICATE_TYPE, "certificate_type", U8, octet[1], NULL, "1 certificate, 2 attribute certificate") \
	X(CERTIFICATE, "certificate", BASE64, bytes[0], NULL, "certificate")                       \
	X(USER_ROLE, "user_role", U16, user_role, NULL, "role of the user")                        \
	X(USER_ROLE_EXPIRY, "user_role_expiry_interval", U16, user_role_expiry_interval, NULL, "days that the role holds") \
	X(USERNAME_LEN, "username_len", U16, length[0], NULL, "length of the user name")           \
	X(PUBLIC_KEY_LEN, "user_public_key_len", U16, length[1], NULL, "length of the public key") \
	X(CERTIFICATION_LEN, "certification_data_len", U16, length[2], NULL, "length of the certification data") \
	X(MASTER_CHALLENGE_LEN, "master_challenge_data_len", U16, length[1], NULL, "length of the challenge") \
	X(CHALLENGE_LEN, "challenge_data_len", U16, length[0], NULL, "length of the challenge")    \
	X(UPDATE_KEY_LEN, "encrypted_update_key_len", U16, length[0], NULL, "length of the update key") \
	X(USERNAME, "username", STRING, bytes[0], NULL, "user name")                               \
	X(PUBLIC_KEY, "user_public_key", BASE64, bytes[1], NULL, "public key of the user")         \
	X(CERTIFICATION, "certification_data", BASE64, bytes[2], NULL, "certification data")       \
	X(MASTER_CHALLENGE, "master_challenge_data", BASE64, bytes[1], NULL, "challenge")          \
	X(CHALLENGE, "challenge_data", BASE64, bytes[0], NULL, "challenge")                        \
	X(UPDATE_KEY, "encrypted_update_key_data", BASE64, bytes[0], NULL, "encrypted update key") \
	X(WRAPPED_KEY, "wrapped_key_data", BASE64, bytes[0], NULL, "wrapped session keys")         \
	X(MAC_VALUE, "mac_value", BASE64, bytes[1], NULL, "message authentication code")           \
	X(SIGNATURE, "digital_signature", BASE64, bytes[0], NULL, "signature")                     \
	X(MAC, "mac", BASE64, bytes[0], NULL, "message authentication code")

/* Data set descriptors and values: presence bits from 0. */
#define DNP3_ELEMENT_FIELDS(X)                                                                     \
	X(LENGTH, "length", U8, length, NULL, "bytes of the element after this octet")             \
	X(DESCRIPTOR, "descriptor_code", U8, descriptor_code, NULL, "what the element describes")  \
	X(DESCRIPTOR_NAME, "descriptor_name", U8, descriptor_code, &descriptor_codes, "name of descriptor_code") \
	X(DATA_TYPE, "data_type", U8, data_type, NULL, "type of the data")                         \
	X(DATA_TYPE_NAME, "data_type_name", U8, data_type, &data_types, "name of data_type")       \
	X(MAX_LENGTH, "max_length", U8, max_length, NULL, "longest length of the data")            \
	X(TEXT, "value", STRING, value, NULL, "ancillary text")                                    \
	X(HEX, "value", HEX, value, NULL, "bytes of the element")

#define DNP3_BIT_OF(id, key, type, member, names, help) DNP3_SHAPE_PREFIX(id),

#define DNP3_SHAPE_PREFIX(id) DNP3_BIT_##id
enum dnp3_bit_field { DNP3_BIT_SIZE_, DNP3_BIT_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_BINARY_##id
enum dnp3_binary_field { DNP3_BINARY_SIZE_, DNP3_BINARY_FIELDS(DNP3_BIT_OF) DNP3_BINARY_TIME_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_COUNTER_##id
enum dnp3_counter_field { DNP3_COUNTER_SIZE_, DNP3_COUNTER_FIELDS(DNP3_BIT_OF) DNP3_COUNTER_TIME_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_ANALOG_##id
enum dnp3_analog_field { DNP3_ANALOG_SIZE_, DNP3_ANALOG_FIELDS(DNP3_BIT_OF) DNP3_ANALOG_WIDE_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_COMMAND_##id
enum dnp3_command_field { DNP3_COMMAND_SIZE_, DNP3_COMMAND_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_TIME_##id
enum dnp3_time_field { DNP3_TIME_SIZE_, DNP3_TIME_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_FILE_##id
enum dnp3_file_field { DNP3_FILE_SIZE_, DNP3_FILE_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_ATTRIBUTE_##id
enum dnp3_attribute_field { DNP3_ATTRIBUTE_SIZE_, DNP3_ATTRIBUTE_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_VALUE_##id
enum dnp3_value_field { DNP3_VALUE_SIZE_, DNP3_VALUE_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_AUTH_##id
enum dnp3_auth_field { DNP3_AUTH_SIZE_, DNP3_AUTH_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX
#define DNP3_SHAPE_PREFIX(id) DNP3_ELEMENT_##id
enum dnp3_element_field { DNP3_ELEMENT_FIELDS(DNP3_BIT_OF) };
#undef DNP3_SHAPE_PREFIX

#endif
