/* Requests with their responses: what they are read as. */
#ifndef MR_PROTO_TEST_S7COMM_SAMPLES_H
#define MR_PROTO_TEST_S7COMM_SAMPLES_H

#include "proto/s7comm/s7comm.h"

struct message {
	uint8_t rosctr;
	uint16_t error;
	const char *body; /* parameters '|' data; NULL: no message */
};

struct sample {
	const char *name;
	struct message request, response;
	const char *expect[6];
	const char *identity[5];
	uint64_t events;
	bool reversed; /* the server asks */
};

#define E(name) (UINT64_C(1) << S7_EVENT_##name)

static const struct sample samples[] = {
	{ "setup", { S7_JOB, 0, "f0 00 0001 0001 01e0" }, { S7_ACK_DATA, 0, "f0 00 0001 0001 00f0" },
		.expect = { "\"function_name\":\"Setup Communication\"", "\"pdu_length\":480", "\"agreed_pdu_length\":240",
			"\"error_class\":\"No error\"", "\"response\":{\"rosctr_code\":3,\"rosctr_name\":\"ACK-Data\"" } },
	{ "read of every type",
		{ S7_JOB, 0, "04 06 12 0a 10 01 0001 0001 84 000053 12 0a 10 05 0002 0001 84 000010 12 0a 10 08 0001 0000 83 000320 "
			"12 0a 10 1c 0001 0000 1c 000005 12 0a 10 03 0002 0002 84 000000 12 0a 10 07 0001 0000 82 000000" },
		{ S7_ACK_DATA, 0, "04 06 | ff 03 0001 01 00 ff 05 0020 fff60007 ff 07 0004 3fc00000 ff 09 0002 0009 ff 09 0002 6869 "
			"0a 00 0000" },
		.expect = { "\"area\":\"DB\",\"db_number\":1,\"byte_address\":10,\"bit_address\":3,\"transport_size_code\":1,\"transport_size\":\"BIT\"", "\"values\":[true]",
			"\"values\":[-10,7]", "\"values\":[1.5]", "\"values\":[\"hi\"]", "\"return_code_name\":\"Object does not exist\"" } },
	{ "write", { S7_JOB, 0, "05 01 12 0a 10 04 0001 0007 84 000020 | 00 04 0010 0102" }, { S7_ACK_DATA, 0, "05 01 | ff" },
		.expect = { "\"function_name\":\"Write Variable\"", "\"db_number\":7,\"byte_address\":4", "\"values\":[258]",
			"\"return_code\":255,\"return_code_name\":\"Success\"" } },
	{ "write refused", { S7_JOB, 0, "05 01 12 0a 10 02 0001 0000 82 000000 | 00 04 0008 01" }, { S7_ACK, 0x8104, "" },
		.expect = { "\"area\":\"Q\"", "\"error_class_code\":129", "\"error_name\":\"service not implemented, or a frame error\"",
			"\"rosctr_name\":\"ACK\"" } },
	{ "symbolic, numerical control and pieces of blocks",
		{ S7_JOB, 0, "04 03 12 12 b2 ff 8a0e 0003 11223344 40000001 20000002 12 08 82 41 0001 0002 7f 01 "
			"12 07 b0 01 04 0002 0010 00" },
		{ S7_ACK_DATA, 0, "04 03 | ff 04 0008 01 00 ff 09 0002 0102 ff 04 0020 01020304" },
		.expect = { "\"syntax\":\"1200SYM\"", "\"symbol\":{\"crc\":287454020,\"lids\":[1073741825,536870914]}",
			"\"nck\":{\"area\":\"C - Channel\",\"unit\":1,\"column\":1,\"line\":2,\"module\":127,\"line_count\":1}",
			"\"syntax\":\"DBREAD\",\"area_code\":132,\"area\":\"DB\",\"db_number\":2,\"byte_address\":16" } },
	{ "pieces of blocks, each with its return code, and an item behind them",
		{ S7_JOB, 0, "04 02 12 0c b0 02 02 004a 006c 01 004c 0194 12 0a 10 02 0001 0007 84 000020" },
		{ S7_ACK_DATA, 0, "04 02 | ff 09 0005 ff 040a ff 2a 00 ff 04 0008 2b" },
		.expect = { "\"db_number\":74,\"byte_address\":108", "\"values\":[4,10]", "\"db_number\":76,\"byte_address\":404", "\"values\":[42]",
			"\"db_number\":7,\"byte_address\":4", "\"values\":[43]" } },
	{ "request download", { S7_JOB, 0, "1a 00 0100 00000000 09 5f3038303030303150 0d 31303030323530303030303838" },
		{ S7_ACK_DATA, 0, "1a" },
		.expect = { "\"filename\":\"_0800001P\",\"block_type\":\"Organization Block\",\"block_number\":1,\"destination_filesystem\":\"Passive\"",
			"\"load_length\":250,\"code_length\":88" } },
	{ "download block", { S7_JOB, 0, "1b 00 0100 00000000 09 5f3038303030303150" },
		{ S7_ACK_DATA, 0, "1b 00 | 0004 00fb 70700102" },
		.expect = { "\"function_name\":\"Download Block\"", "\"blocklength\":4", "\"data\":\"70700102\"" }, .reversed = true },
	{ "download ended", { S7_JOB, 0, "1c 00 0000 00000000 09 5f3038303030303150" }, { S7_ACK_DATA, 0, "1c" },
		.expect = { "\"function_name\":\"Download Ended\"" }, .reversed = true },
	{ "start upload", { S7_JOB, 0, "1d 00 0000 00000000 09 5f3042303030303041" },
		{ S7_ACK_DATA, 0, "1d 00 0100 00000007 07 30303030323136" },
		.expect = { "\"block_type\":\"System Data Block\",\"block_number\":0,\"destination_filesystem\":\"Active\"", "\"session_id\":7",
			"\"blocklength\":216" } },
	{ "upload", { S7_JOB, 0, "1e 00 0000 00000007" }, { S7_ACK_DATA, 0, "1e 00 | 0002 00fb 0102" },
		.expect = { "\"session_id\":7", "\"blocklength\":2", "\"data\":\"0102\"" } },
	{ "end upload", { S7_JOB, 0, "1f 00 0000 00000007" }, { S7_ACK_DATA, 0, "1f" }, .expect = { "\"function_name\":\"End Upload\"",
		"\"function_status\":0,\"transfer_error_code\":0,\"transfer_error_name\":\"no error\"" } },
	{ "an upload that failed", { S7_JOB, 0, "1f 02 8003 00000007" }, { S7_ACK_DATA, 0, "1f" }, .expect = {
		"\"function_status\":2,\"transfer_error_code\":32771,\"transfer_error_name\":\"error while the block was transferred\"" } },
	{ "start", { S7_JOB, 0, "28 000000000000fd 0000 09 505f50524f4752414d" }, { S7_ACK_DATA, 0, "28" },
		.expect = { "\"subfunction_name\":\"PLC Start / Stop\"", "\"pi_service\":{\"name\":\"P_PROGRAM\"}" } },
	{ "copy to ROM", { S7_JOB, 0, "28 000000000000fd 0002 4550 05 5f4d4f4455" }, { S7_ACK_DATA, 0, "28" },
		.expect = { "\"subfunction_name\":\"PLC Copy Ram to Rom\"", "\"pi_service\":{\"name\":\"_MODU\",\"argument\":\"EP\"}" } },
	{ "delete", { S7_JOB, 0, "28 000000000000fd 000a 01 00 3041303030303742 05 5f44454c45" }, { S7_ACK_DATA, 0xd209, "28" },
		.expect = { "\"subfunction_name\":\"Delete Block\"",
			"\"blocks\":[{\"block_type\":\"Data Block\",\"block_number\":7,\"destination_filesystem\":\"Both\"}]",
			"\"error_name\":\"block not found\"" } },
	{ "stop", { S7_JOB, 0, "29 0000000000 09 505f50524f4752414d" }, { S7_ACK_DATA, 0, "29" },
		.expect = { "\"function_name\":\"PLC Stop\"" } },
	{ "unknown job", { S7_JOB, 0, "77 0102" }, { S7_ACK, 0x8104, "" }, .expect = { "\"function_name\":\"unknown\"", "\"data\":\"0102\"" },
		.events = E(UNKNOWN_FUNCTION) },
	{ "module identification", { S7_USERDATA, 0, "000112 04 11 44 01 00 | ff 09 0004 0011 0000" },
		{ S7_USERDATA, 0, "000112 08 12 84 01 01 00 00 0000 | ff 09 005c 0011 0000 001c 0003 "
			"0001 3645533720333135 2d32454831342d3041 4230 20 00c0 0004 0001 "
			"0006 3645533720333135 2d32454831342d3041 4230 20 00c0 0004 0001 "
			"0007 2020202020202020 202020202020202020 2020 20 00c0 5603 0206" },
		.expect = { "\"function_name\":\"Request: CPU Functions\"", "\"subfunction_name\":\"Read SZL\"",
			"\"szl_id\":17,\"szl_id_name\":\"Module identification\"", "\"szl_entry_count\":3",
			"\"index_name\":\"basic firmware\"" },
		.identity = { "\"vendor\":\"Siemens\"", "\"order_number\":\"6ES7 315-2EH14-0AB0\"", "\"firmware\":\"V3.2.6\"", "\"hardware\":\"4\"" } },
	{ "modes and diagnostic buffer", { S7_USERDATA, 0, "000112 04 11 44 01 00 | ff 09 0004 00a0 0001" },
		{ S7_USERDATA, 0, "000112 08 12 84 01 01 00 00 0000 | ff 09 001c 00a0 0001 0014 0001 4302 ff 28 0102030405060708 "
			"20 06 15 10 20 30 12 34" },
		.expect = { "\"event_id\":17154", "\"priority\":255,\"ob\":40,\"time\":\"2020-06-15T10:20:30.123000+0000\"" } },
	{ "mode", { S7_USERDATA, 0, "000112 04 11 44 01 00 | ff 09 0004 0424 0000" },
		{ S7_USERDATA, 0, "000112 08 12 84 01 01 00 00 0000 | ff 09 000c 0424 0000 0004 0001 5143ff48" },
		.expect = { "\"mode\":\"RUN\",\"previous_mode\":\"STOP (internal)\"" } },
	{ "list refused", { S7_USERDATA, 0, "000112 04 11 44 01 00 | ff 09 0004 0111 0001" },
		{ S7_USERDATA, 0, "000112 08 12 84 01 01 00 00 d401 | 0a 00 0000" },
		.expect = { "\"error_class\":\"Diagnostic function error\"", "\"error_code\":54273" } },
	{ "list of blocks", { S7_USERDATA, 0, "000112 04 11 43 01 00 | 0a 00 0000" },
		{ S7_USERDATA, 0, "000112 08 12 83 01 01 00 00 0000 | ff 09 0008 3038 0002 3041 0005" },
		.expect = { "\"blocks\":[{\"block_type\":\"Organization Block\",\"count\":2},{\"block_type\":\"Data Block\",\"count\":5}]" } },
	{ "list of a type", { S7_USERDATA, 0, "000112 04 11 43 02 00 | ff 09 0002 3041" },
		{ S7_USERDATA, 0, "000112 08 12 83 02 01 00 00 0000 | ff 09 0004 0007 22 05" },
		.expect = { "\"block_type\":\"Data Block\"", "\"blocks\":[{\"block_number\":7,\"flags\":34,\"language_code\":5,\"language\":\"DB\"}]" } },
	{ "block info", { S7_USERDATA, 0, "000112 04 11 43 03 00 | ff 09 0008 3038303030303141" },
		{ S7_USERDATA, 0, "000112 08 12 83 03 01 00 00 0000 | ff 09 004e 01 00004a000020 7070 01 01 08 0001 000000d0 00000003 "
			"01a8c5d0 2f5c 01a8c5d0 2f5c 001c 0000 0014 0078 4a4f450000000000 4d494e4500000000 4d41494e00000000 15 00 abcd 0000 0000 0000 0000" },
		.expect = { "\"block_number\":1", "\"language\":\"AWL\"", "\"load_length\":208,\"code_length\":120", "\"security\":3",
			"\"author\":\"JOE\",\"family\":\"MINE\",\"name\":\"MAIN\",\"version\":21,\"checksum\":43981" } },
	{ "set clock", { S7_USERDATA, 0, "000112 04 11 47 02 00 | ff 09 000a 00 19 14 08 20 11 59 43 02 14" },
		{ S7_USERDATA, 0, "000112 08 12 87 02 01 00 00 0000 | 0a 00 0000" },
		.expect = { "\"subfunction_name\":\"Set Clock\"", "\"clock\":\"2014-08-20T11:59:43.021000+0000\"" } },
	{ "impossible clock", { S7_USERDATA, 0, "000112 04 11 47 02 00 | ff 09 000a 00 19 14 13 20 11 59 43 02 14" },
		{ S7_USERDATA, 0, "000112 08 12 87 02 01 00 00 dc01 | 0a 00 0000" }, .expect = { "\"error_name\":\"invalid date or time\"" },
		.events = E(INVALID_VALUE) },
	{ "password", { S7_USERDATA, 0, "000112 04 11 45 01 00 | ff 09 0008 36 3a 12 0e 42 6d 37 38" },
		{ S7_USERDATA, 0, "000112 08 12 85 01 01 00 00 d602 | 0a 00 0000" },
		.expect = { "\"password_length\":6", "\"error_name\":\"wrong password\"" } },
	{ "subscription", { S7_USERDATA, 0, "000112 04 11 42 01 00 | ff 09 0010 0001 01 05 12 0a 10 02 0002 0001 84 000000" },
		{ S7_USERDATA, 0, "000112 08 12 82 01 07 00 00 0000 | ff 09 0008 0001 ff04 0010 1234" },
		.expect = { "\"cyclic\":{\"interval_base_ms\":1000,\"interval_factor\":5}", "\"values\":[18,52]" } },
	{ "mode transition", { 0, 0, NULL }, { S7_USERDATA, 0, "000112 08 12 00 00 00 00 00 0000" },
		.expect = { "\"function_name\":\"Push: Mode-Transition\"", "\"subfunction_name\":\"Stop\"" } },
	{ "message of the CPU", { S7_USERDATA, 0, "000112 04 11 44 02 00 | ff 09 0004 01020304" },
		{ S7_USERDATA, 0, "000112 08 12 84 02 01 00 00 0000 | ff 09 0002 0506" },
		.expect = { "\"subfunction_name\":\"Message Service\"", "\"data\":\"0506\"" } },
	{ "subscription to messages", { S7_USERDATA, 0, "000112 04 11 44 02 00 | ff 09 000a 81 00 486d6952746d2020" },
		{ S7_USERDATA, 0, "000112 08 12 84 02 01 00 00 0000 | ff 09 0002 0200" },
		.expect = { "\"messages\":{\"events\":129,\"user\":\"HmiRtm\"}", "\"data\":\"0200\"" } },
	{ "diagnostic message", { 0, 0, NULL },
		{ S7_USERDATA, 0, "000112 04 11 04 03 00 | ff 09 0014 4304 ff 84 0102 0304 05060708 94 01 09 21 53 42 15 21" },
		.expect = { "\"subfunction_name\":\"Diagnostic Message\"",
			"\"szl_entries\":[{\"event_id\":17156,\"priority\":255,\"ob\":132,\"time\":\"1994-01-09T21:53:42.152000+0000\","
			"\"data\":\"0102030405060708\"}]" } },
	{ "alarm with values", { 0, 0, NULL },
		{ S7_USERDATA, 0, "000112 04 11 04 05 00 | ff 09 0026 94 01 06 00 27 20 39 75 40 01 12 0a 16 03 000000af 05 00 fe fb "
			"ff 04 0010 0001 ff 04 0008 07 00 0a 00 0000" },
		.expect = { "\"alarms\":[{\"event_id\":175,\"time\":\"1994-01-06T00:27:20.397000+0000\",\"signals\":5,"
			"\"acknowledged_coming\":251,\"acknowledged_going\":254,\"values\":[\"0001\",\"07\",null]}]" } },
	{ "alarm acknowledged", { S7_USERDATA, 0, "000112 04 11 44 0b 00 | ff 09 000c 00 01 12 08 19 01 000000af 04 02" },
		{ S7_USERDATA, 0, "000112 08 12 84 0b 01 00 00 0000 | ff 09 0003 00 01 ff" },
		.expect = { "\"alarms\":[{\"event_id\":175,\"acknowledged_coming\":2,\"acknowledged_going\":4}]" } },
	{ "alarms that stand", { S7_USERDATA, 0, "000112 04 11 44 13 00 | ff 09 000c 00 01 12 08 1a 00 08 34 00000002" },
		{ S7_USERDATA, 0, "000112 08 12 84 13 8a 00 00 0000 | ff 09 001e 00 01 ff 09 0018 0a 0000 02 0000002f 00 00 cf ce "
			"0a 0000 02 000000af 00 01 fe fd" },
		.expect = { "\"alarms\":[{\"event_id\":47,\"signals\":0,\"acknowledged_coming\":206,\"acknowledged_going\":207},"
			"{\"event_id\":175,\"signals\":1,\"acknowledged_coming\":253,\"acknowledged_going\":254}]" } },
	{ "variables modified", { S7_USERDATA, 0, "000112 08 12 41 08 00 00 00 0000 | ff 09 0032 0014 001a "
			"00000001000100060001000100010001 0001 0200 0002 02 01 0000 0004 10 01 0000 0008 00 09 0002 dead 00 09 0001 01 00" },
		{ S7_USERDATA, 0, "000112 08 12 81 08 02 00 00 0000 | 0a 00 0000" },
		.expect = { "\"area\":\"M\",\"byte_address\":4,\"transport_size_code\":4,\"transport_size\":\"WORD\",\"count\":1,"
			"\"data_transport_size_code\":9,\"data_transport_size\":\"OCTET STRING\",\"values\":[57005]",
			"\"area\":\"I\",\"byte_address\":8,\"bit_address\":1,\"transport_size_code\":1,\"transport_size\":\"BIT\",\"count\":1",
			"\"values\":[true]", "\"programmer\":{\"trigger\":512}" } },
	{ "variables watched", { 0, 0, NULL },
		{ S7_USERDATA, 0, "000112 08 12 01 02 02 00 00 0000 | ff 09 0012 0004 000a 0100 0002 0001 ff 09 0002 1234 00 00" },
		.expect = { "\"items\":[{\"return_code\":255", "\"data\":\"1234\"" } },
	{ "a part of variables watched", { 0, 0, NULL },
		{ S7_USERDATA, 0, "000112 08 12 01 02 02 07 01 0000 | ff 09 000e 0004 0006 0100 0002 0002 ff 09 0004" },
		.expect = { "\"data_unit_reference\":7", "\"data\":\"0004000601000002" } },
	{ "job enabled", { S7_USERDATA, 0, "000112 08 12 41 0e 00 00 00 0000 | ff 09 001a 0014 0002 "
			"00000001000000000001000100010001 0001 0000 08 02" },
		{ S7_USERDATA, 0, "000112 08 12 81 0e 03 00 00 0000 | 0a 00 0000" },
		.expect = { "\"programmer\":{\"trigger\":0,\"job_function\":\"Modify Variable\",\"job\":2}" } },
	{ "protection and checksums", { S7_USERDATA, 0, "000112 04 11 44 01 00 | ff 09 0004 0132 0004" },
		{ S7_USERDATA, 0, "000112 08 12 84 01 01 00 00 0000 | ff 09 0030 0132 0004 0028 0001 0004 0001 0003 0002 0002 0000 0000 5656 "
			"0001 0002 0003 0004 00000000000000000000000000000000" },
		.expect = { "\"protection\":{\"key\":1,\"assigned\":3,\"level\":2,\"switch\":\"RUN_P\"},"
			"\"configuration_checksum\":65538,\"program_checksum\":196612,\"data\":\"0004" } },
	{ "lights", { S7_USERDATA, 0, "000112 04 11 44 01 00 | ff 09 0004 0074 0000" },
		{ S7_USERDATA, 0, "000112 08 12 84 01 01 00 00 0000 | ff 09 000c 0074 0000 0004 0001 0006 01 02" },
		.expect = { "\"szl_entries\":[{\"led_code\":6,\"led\":\"FRCE\",\"led_on\":1,\"led_flashing\":2}]" } },
	{ "change-driven subscription", { S7_USERDATA, 0, "000112 04 11 42 07 00 | ff 09 0012 0001 01 02 12 0c b0 02 01 0044 0166 02 0048 0032" },
		{ S7_USERDATA, 0, "000112 08 12 82 07 01 00 00 0000 | ff 09 000b 0001 ff 09 0005 ff 2a ff 0102" },
		.expect = { "\"cyclic\":{\"interval_base_ms\":1000,\"interval_factor\":2}", "\"db_number\":68,\"byte_address\":358",
			"\"data\":\"2a\"", "\"db_number\":72,\"byte_address\":50", "\"data\":\"0102\"" } },
	{ "subscription ended", { S7_USERDATA, 0, "000112 04 11 42 04 00 | ff 09 0002 0503" },
		{ S7_USERDATA, 0, "000112 08 12 82 04 01 00 00 0000 | 0a 00 0000" }, .expect = { "\"cyclic\":{\"job\":3}", "\"data\":\"0503\"" } },
	{ "insertion that failed", { S7_JOB, 0, "28 000000000000fd 000a 01 00 3042303030303450 05 5f494e5345" }, { S7_ACK_DATA, 0xd209, "28 02" },
		.expect = { "\"subfunction_name\":\"Activate Block\"", "\"function_status\":2" } },
	{ "count without items", { S7_JOB, 0, "04 02 12 0a 10 02 0001 0000 83 000000" }, { S7_ACK_DATA, 0, "04 01 | ff 04 0008 01" },
		.expect = { "\"area\":\"M\"" }, .events = E(ITEM_COUNT_MISMATCH) },
	{ "malformed address", { S7_JOB, 0, "04 01 13 0a 10 02 0001 0000 83 000000" }, { S7_ACK, 0x8500, "" },
		.expect = { "\"error_name\":\"wrong frame\"" }, .events = E(INVALID_ITEM) | E(ITEM_COUNT_MISMATCH) },
};

#undef E

#endif
