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
		.expect = { "\"area\":\"DB\",\"db_number\":1,\"byte_address\":10,\"bit_address\":3,\"transport_size\":\"BIT\"", "\"values\":[true]",
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
		.expect = { "\"block_type\":\"Data Block\"", "\"blocks\":[{\"block_number\":7,\"flags\":34,\"language\":\"DB\"}]" } },
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
	{ "count without items", { S7_JOB, 0, "04 02 12 0a 10 02 0001 0000 83 000000" }, { S7_ACK_DATA, 0, "04 01 | ff 04 0008 01" },
		.expect = { "\"area\":\"M\"" }, .events = E(ITEM_COUNT_MISMATCH) },
	{ "malformed address", { S7_JOB, 0, "04 01 13 0a 10 02 0001 0000 83 000000" }, { S7_ACK, 0x8500, "" },
		.expect = { "\"error_name\":\"wrong frame\"" }, .events = E(INVALID_ITEM) | E(ITEM_COUNT_MISMATCH) },
};

#undef E

#endif
