/* What test_modbus.c walks: transactions as hex with what must come of them, and rules with what they match. */
#ifndef MR_PROTO_TEST_MODBUS_SAMPLES_H
#define MR_PROTO_TEST_MODBUS_SAMPLES_H

#include "proto/modbus/modbus.h"

/* A transaction, what its event must hold, and the events it raises (a bit set). */
struct sample {
	const char *request;
	const char *response;
	const char *expect[6];
	uint64_t events;
};

#define E(name) (UINT64_C(1) << MODBUS_EVENT_##name)

static const struct sample samples[] = {
	{ "0002 0000 0006 05 01 0001 0008", "0002 0000 0004 05 01 01 e9",
		{ "\"function_code\":\"RdCoils\",\"access_type\":\"READ | COILS\",\"category\":\"PUBLIC_ASSIGNED\","
		  "\"error_flags\":\"NONE\",\"read\":{\"address\":1,\"quantity\":8}",
		  "\"read\":{\"data\":\"e9\",\"values\":[1,0,0,1,0,1,1,1]}" }, 0 },
	{ "0001 0000 0006 04 02 0000 000a", "0001 0000 0005 04 02 02 ffff",
		{ "\"RdDiscreteInputs\"", "\"values\":[1,1,1,1,1,1,1,1,1,1]}" }, 0 },
	{ "0006 0000 0006 05 03 0001 0002", "0006 0000 0007 05 03 04 00aa ef84",
		{ "\"id\":1,\"response_time_us\":0,", "\"RdHoldRegs\",\"access_type\":\"READ | HOLDING\"",
		  "\"read\":{\"data\":\"00aaef84\",\"values\":[170,61316]}" }, 0 },
	{ "0007 0000 0006 04 04 ffff 0001", "0007 0000 0005 04 04 02 8e2b",
		{ "\"RdInputRegs\"", "\"address\":65535,\"quantity\":1", "\"values\":[36395]" }, 0 },
	{ "0009 0000 0006 06 05 0001 ff00", "0009 0000 0006 06 05 0001 ff00",
		{ "\"WrSingleCoil\",\"access_type\":\"WRITE | COILS | SINGLE | WRITE_SINGLE\"",
		  "\"write\":{\"address\":1,\"data\":65280,\"values\":[1]}", "\"write\":{\"address\":1,\"data\":65280}" }, 0 },
	{ "000a 0000 0006 07 06 0001 abcd", "000a 0000 0006 07 06 0001 abcd",
		{ "\"WrSingleReg\"", "\"write\":{\"address\":1,\"data\":43981,\"values\":[43981]}" }, 0 },
	{ "000b 0000 0002 02 07", "000b 0000 0003 02 07 6d", { "\"RdExcStatus\"", "\"exception_status\":109" }, 0 },
	{ "000c 0000 0006 02 08 0002 0000", "000c 0000 0006 02 08 0002 1234",
		{ "\"diagnostic\":{\"raw\":2,\"code\":\"RetDiagReg\",\"data\":\"0000\",\"value\":0}", "\"value\":4660" }, 0 },
	{ "000c 0000 000a 02 08 0000 a537 0102 0304", "000c 0000 000a 02 08 0000 a537 0102 0304",
		{ "\"RetQueryData\",\"data\":\"a53701020304\"}" }, 0 },
	{ "0001 0000 0006 02 08 0001 ff00", "0001 0000 0006 02 08 0001 ff00", { "\"RestartCommOpt\"" }, 0 },
	{ "0001 0000 0006 02 08 0003 0a00", "0001 0000 0006 02 08 0003 0a00", { "\"ChangeInputDelimiter\"" }, 0 },
	{ "0001 0000 0006 02 08 0014 0000", "0001 0000 0006 02 08 0014 0000", { "\"ClearOverrunCounterFlag\"" }, 0 },
	{ "0001 0000 0002 02 0b", "0001 0000 0006 02 0b ffff 0108",
		{ "\"GetCommEventCtr\"", "\"comm_event\":{\"status\":65535,\"event_count\":264}" }, 0 },
	{ "0001 0000 0002 02 0c", "0001 0000 000b 02 0c 08 0000 0108 0121 2000",
		{ "\"GetCommEventLog\"", "\"event_count\":264,\"message_count\":289,\"events\":\"2000\"}" }, 0 },
	{ "000d 0000 0009 07 0f 0013 000a 02 cd01", "000d 0000 0006 07 0f 0013 000a",
		{ "\"WrMultCoils\"", "\"write\":{\"address\":19,\"quantity\":10,\"data\":\"cd01\","
		  "\"values\":[1,0,1,1,0,0,1,1,1,0]}", "\"write\":{\"address\":19,\"data\":10}" }, 0 },
	{ "000e 0000 000b 07 10 0001 0002 04 00aa 00bb", "000e 0000 0006 07 10 0001 0002",
		{ "\"WrMultRegs\"", "\"quantity\":2,\"data\":\"00aa00bb\",\"values\":[170,187]}" }, 0 },
	{ "000f 0000 0002 0a 11", "000f 0000 0015 0a 11 12 00 ff 57696e6770617468204c696d69746564",
		{ "\"ReportServerID\"", "\"server\":{\"id\":\"00\",\"run_indicator\":\"ON\",\"text\":\"Wingpath Limited\"}" },
		0 },
	{ "000f 0000 0002 0a 11", "000f 0000 0007 0a 11 04 504c43 00",
		{ "\"server\":{\"id\":\"504c43\",\"run_indicator\":\"OFF\",\"text\":\"PLC\"}" }, 0 },
	{ "0001 0000 0011 01 14 0e 06 0004 0001 0002 06 0003 0009 0002",
		"0001 0000 000f 01 14 0c 05 06 0dfe 0020 05 06 33cd 0040",
		{ "\"RdFileRec\"", "\"file_records\":[{\"reference_type\":6,\"file_number\":4,\"record_number\":1,"
		  "\"record_length\":2},{\"reference_type\":6,\"file_number\":3,\"record_number\":9,\"record_length\":2}]",
		  "\"file_records\":[{\"reference_type\":6,\"record_length\":2,\"data\":\"0dfe0020\",\"values\":[3582,32]},"
		  "{\"reference_type\":6,\"record_length\":2,\"data\":\"33cd0040\",\"values\":[13261,64]}]" }, 0 },
	{ "0001 0000 0010 01 15 0d 06 0004 0007 0003 06af 04be 100d",
		"0001 0000 0010 01 15 0d 06 0004 0007 0003 06af 04be 100d",
		{ "\"WrFileRec\"", "\"file_number\":4,\"record_number\":7,\"record_length\":3,\"data\":\"06af04be100d\","
		  "\"values\":[1711,1214,4109]" }, 0 },
	{ "0013 0000 0008 04 16 000a ffff dead", "0013 0000 0008 04 16 000a ffff dead",
		{ "\"MaskWrReg\",\"access_type\":\"WRITE | HOLDING\"",
		  "\"write\":{\"address\":10,\"and_mask\":65535,\"or_mask\":57005}" }, 0 },
	{ "0015 0000 0011 06 17 0001 0004 0002 0003 06 00aa 00bb 00cc", "0015 0000 000b 06 17 08 00aa 00aa 00bb 00cc",
		{ "\"RdWrMultRegs\"", "\"read\":{\"address\":1,\"quantity\":4},\"write\":{\"address\":2,\"quantity\":3,"
		  "\"data\":\"00aa00bb00cc\",\"values\":[170,187,204]}", "\"values\":[170,170,187,204]" }, 0 },
	{ "0016 0000 0004 0a 18 04de", "0016 0000 000a 0a 18 0006 0002 01b8 1284",
		{ "\"RdFIFOQueue\"", "\"fifo\":{\"address\":1246}",
		  "\"fifo\":{\"count\":2,\"data\":\"01b81284\",\"values\":[440,4740]}" }, 0 },
	{ "0017 0000 0005 01 2b 0e 01 00", "0017 0000 0012 01 2b 0e 01 81 00 00 02 00 03 41 42 43 01 03 58 2d 31",
		{ "\"mei\":{\"raw\":14,\"code\":\"RdDevId\",\"data\":\"0100\"},\"identification\":{\"device_id_code\":1,"
		  "\"device_id\":\"basic\",\"object_id_code\":0,\"object_id\":\"VendorName\"}",
		  "\"conformity_level_code\":129,\"conformity_level\":\"basic, stream and individual access\","
		  "\"more_follows\":\"no\",\"next_object_id\":0,\"object_count\":2,\"objects\":[{\"id\":0,"
		  "\"name\":\"VendorName\",\"value\":\"ABC\"},{\"id\":1,\"name\":\"ProductCode\",\"value\":\"X-1\"}]" }, 0 },
	{ "0017 0000 0006 01 2b 0d 010203", "0017 0000 0005 01 2b 0d 0405",
		{ "\"code\":\"CANOpenGenRefReqResp\",\"data\":\"010203\"}", "\"data\":\"0405\"}" }, 0 },
	{ "0001 0000 0006 00 03 0258 000a", "0001 0000 0003 00 83 02",
		{ "\"function_raw\":131,\"function_code\":\"RdHoldRegs\"",
		  "\"exception\":{\"raw\":2,\"code\":\"IllegalDataAddr\"}" }, 0 },
	{ "0001 0000 0006 00 5a 0002 0304", "0001 0000 0004 00 5a 00fe",
		{ "\"function_code\":\"Unknown\",\"access_type\":\"NONE\",\"category\":\"RESERVED\"",
		  "\"data\":\"00020304\"", "\"data\":\"00fe\"" }, 0 },
	{ "0001 0000 0003 00 41 ff", "0001 0000 0002 00 41", { "\"category\":\"USER_DEFINED\"" }, 0 },
	{ "0001 0000 0003 00 1e ff", "0001 0000 0002 00 1e", { "\"category\":\"PUBLIC_UNASSIGNED\"" }, 0 },

	/* What is wrong with a message is an event, and in its error_flags. */
	{ "0001 0000 0006 01 03 0000 0000", "0001 0000 0003 01 83 03", { "\"error_flags\":\"DATA_VALUE\"" },
		E(INVALID_VALUE) },
	{ "0001 0000 0006 01 03 0000 007e", "0001 0000 0003 01 83 03", { "\"quantity\":126" }, E(INVALID_VALUE) },
	{ "0001 0000 0006 01 01 0000 07d1", "0001 0000 0003 01 81 03", { "\"quantity\":2001" }, E(INVALID_VALUE) },
	{ "0001 0000 0006 01 04 fff0 0020", "0001 0000 0003 01 84 02", { "\"address\":65520" }, E(INVALID_VALUE) },
	{ "0001 0000 0006 01 05 0000 0001", "0001 0000 0003 01 85 03", { "\"data\":1" }, E(INVALID_VALUE) },
	{ "0001 0000 0009 01 10 0000 0002 02 0001", "0001 0000 0003 01 90 03", { "\"quantity\":2" }, E(INVALID_VALUE) },
	{ "0001 0000 0005 01 03 0000 00", "0001 0000 0003 01 83 03", { "\"error_flags\":\"DATA_LENGTH\"" },
		E(INVALID_LENGTH) },
	{ "0001 0000 0008 01 03 0000 0001 ffff", "0001 0000 0005 01 03 02 0001", { "\"DATA_LENGTH\"" },
		E(INVALID_LENGTH) | E(TRAILING_BYTES) },
	{ "0001 0000 0006 01 03 0000 0002", "0001 0000 0005 01 03 02 0001", { "\"error_flags\":\"DATA_VALUE\"" },
		E(VALUE_MISMATCH) },
	{ "0001 0000 0006 01 03 0000 0002", "0001 0000 0006 01 03 04 000102", { "\"values\":[1]" }, E(VALUE_MISMATCH) },
	{ "0001 0000 0006 01 06 0000 0002", "0001 0000 0006 01 06 0001 0002", { "\"address\":1" }, E(VALUE_MISMATCH) },
	{ "0001 0000 0008 01 16 0000 0002 0003", "0001 0000 0008 01 16 0000 0002 0004", { "\"or_mask\":4" },
		E(VALUE_MISMATCH) },
	{ "0001 0000 0006 01 08 0000 1234", "0001 0000 0006 01 08 0000 1235", { "\"value\":4661" }, E(INVALID_VALUE) },
	{ "0001 0000 0006 01 08 0005 0000", "0001 0000 0006 01 08 0005 0000", { "\"code\":\"Reserved\"",
		"\"category\":\"RESERVED\"" }, E(UNKNOWN_SUBFUNCTION) },
	{ "0001 0000 0006 01 08 000a 0001", "0001 0000 0006 01 08 000a 0001", { "\"ClearCtrDiagReg\"" },
		E(INVALID_VALUE) },
	{ "0001 0000 0003 01 2b 42", "0001 0000 0003 01 2b 42", { "\"code\":\"Unknown\"" }, E(UNKNOWN_MEI_TYPE) },
	{ "0001 0000 0005 01 2b 0e 09 00", "0001 0000 0003 01 ab 03", { "\"device_id\":\"unknown\"" }, E(INVALID_VALUE) },
	{ "0001 0000 0005 01 2b 0e 01 00", "0001 0000 000a 01 2b 0e 01 01 00 00 05 00 ff", { "\"object_count\":5" },
		E(INVALID_LENGTH) },
	{ "0001 0000 0006 01 03 0000 0001", "0001 0000 0003 01 83 09", { "\"error_flags\":\"EXC_CODE\"",
		"\"code\":\"Unknown\"" }, E(INVALID_EXCEPTION_CODE) },
	{ "0001 0000 0006 01 03 0000 0001", "0001 0000 0003 01 83 08", { "\"MemParityErr\"" },
		E(INVALID_EXCEPTION_CODE) },
	{ "0001 0000 0002 01 07", "0001 0000 0003 01 87 02", { "\"IllegalDataAddr\"" }, E(INVALID_EXCEPTION_CODE) },
	{ "0001 0001 0006 01 03 0000 0001", "0001 0000 0005 01 03 02 0001", { "\"protocol_id\":1",
		"\"error_flags\":\"PROTO_ID\"" }, E(INVALID_PROTOCOL_ID) },
	{ "0001 0000 0004 01 18 04de", "0001 0000 0006 01 18 0002 0005", { "\"fifo\":{\"count\":5" },
		E(INVALID_VALUE) },
};

/* First bytes of a flow, what probe says of them off and on the port, and which end sent them. */
static const struct {
	const char *bytes;
	enum proto_probe off_port;
	enum proto_probe on_port;
	int server;
} probe_rows[] = {
	{ "0001 0000 0006 01 03 0000 0001", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
	{ "0001 0000 0005 01 03 02 0001", PROTO_PROBE_YES, PROTO_PROBE_YES, 1 },
	{ "0001 0000 0003 01 83 02", PROTO_PROBE_YES, PROTO_PROBE_YES, 1 },
	{ "0001 0000 0003 01 83 42", PROTO_PROBE_NO, PROTO_PROBE_YES, 1 },
	{ "0001 0000 0006 01 06 0000 0001", PROTO_PROBE_YES, PROTO_PROBE_YES, -1 },
	{ "0001 0000 0006 01 03 0000 0001 0002 0000 0006 01 03 0000 0001", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
	{ "0001 0000 0006 01 03 0000 0001 0002 0001", PROTO_PROBE_NO, PROTO_PROBE_NO, 0 },
	{ "0001 0000 0006 01 03 0000 0001 47", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
	{ "0001 0000 0007 01 03 0000 0001 47", PROTO_PROBE_NO, PROTO_PROBE_YES, -1 },
	{ "0001 0000 0006 01 41 0000 0001", PROTO_PROBE_NO, PROTO_PROBE_YES, -1 },
	{ "0001 0000 0005 01 2b 0e 01 00", PROTO_PROBE_YES, PROTO_PROBE_YES, 0 },
	{ "0001 0000 0003 01 2b 0f", PROTO_PROBE_NO, PROTO_PROBE_YES, -1 },
	{ "3084 0000 0006 02 02 0098 4200", PROTO_PROBE_NO, PROTO_PROBE_YES, 0 }, /* LDAP: end of a session */
	{ "0001 0000 0006 01 03 0000 0000", PROTO_PROBE_NO, PROTO_PROBE_YES, 0 },
	{ "0001 0000 0006", PROTO_PROBE_MORE, PROTO_PROBE_MORE, -1 },
	{ "0001 0001", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
	/* An EtherNet/IP register session, a DICOM association, a HART-IP session, mDNS, a Bitcoin-like frame. */
	{ "6500 0400 0000 0000 0000 0000 0000 0000", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
	{ "0100 0000 00cd 0001 0000 414e 592d 5343 5020", PROTO_PROBE_NO, PROTO_PROBE_MORE, -1 },
	{ "0100 0000 0001 000d 0100 007530", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
	{ "0000 0000 0001 0000 0000 0000 055f68747470", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
	{ "3a00 0000 0100 0000 0000 0000 d407 0000", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
	{ "0000 0000 0000 0000 0000 0000 0000 0000", PROTO_PROBE_NO, PROTO_PROBE_NO, -1 },
};

#define COILS_REQUEST "0001 0000 0006 0a 01 0000 0001"

static const struct {
	const char *rule;
	const char *request;
	bool match;
} keyword_rows[] = {
	{ "function 1", COILS_REQUEST, true },
	{ "function 2", COILS_REQUEST, false },
	{ "function assigned", COILS_REQUEST, true },
	{ "function !assigned", COILS_REQUEST, false },
	{ "function public", COILS_REQUEST, true },
	{ "function all", COILS_REQUEST, true },
	{ "function user", "0001 0000 0002 0a 41", true },
	{ "function reserved", "0001 0000 0002 0a 5a", true },
	{ "function unassigned", "0001 0000 0002 0a 1e", true },
	{ "function !unassigned", "0001 0000 0002 0a 1e", false },
	{ "function !user", COILS_REQUEST, true },
	{ "function 8, subfunction 4", "0001 0000 0006 0a 08 0004 0000", true },
	{ "function 8, subfunction 3", "0001 0000 0006 0a 08 0004 0000", false },
	{ "function 8,subfunction 4", "0001 0000 0006 0a 08 0004 0000", true },
	{ "unit 10", COILS_REQUEST, true },
	{ "unit 11", COILS_REQUEST, false },
	{ "unit >9", COILS_REQUEST, true },
	{ "unit >10", COILS_REQUEST, false },
	{ "unit <11", COILS_REQUEST, true },
	{ "unit 9<>11", COILS_REQUEST, true },
	{ "unit 10<>12", COILS_REQUEST, false },
	{ "unit 10, function 1", COILS_REQUEST, true },
	{ "unit 10, function 2", COILS_REQUEST, false },
	{ "unit >9, access read coils, address 0<>2", COILS_REQUEST, true },
	{ "unit >9, access read coils, address 1<>2", COILS_REQUEST, false },
	{ "\"unit 10, access read\"", COILS_REQUEST, true },
	{ "access read", COILS_REQUEST, true },
	{ "access write", COILS_REQUEST, false },
	{ "access read holding", COILS_REQUEST, false },
	{ "access read discretes", "0001 0000 0006 0a 02 0000 0001", true },
	{ "access read input, address 11", "0001 0000 0006 0a 04 0000 000a", false },
	{ "access read input, address 10", "0001 0000 0006 0a 04 0000 000a", true },
	{ "access read input, address >9", "0001 0000 0006 0a 04 0000 000a", true },
	{ "access read input, address >10", "0001 0000 0006 0a 04 0000 000a", false },
	{ "access read input, address <2", "0001 0000 0006 0a 04 0000 000a", true },
	{ "access read input, address <1", "0001 0000 0006 0a 04 0000 000a", false },
	{ "access read holding, address 65535", "0001 0000 0006 0a 03 fffe 0001", true },
	{ "access write coils", "0001 0000 0006 0a 05 0000 ff00", true },
	{ "access write holding", "0001 0000 0006 0a 05 0000 ff00", false },
	{ "access write coils, address 1, value 1", "0001 0000 0006 0a 05 0000 ff00", true },
	{ "access write coils, address 1, value 0", "0001 0000 0006 0a 05 0000 ff00", false },
	{ "access write coils, address 10, value 1", "0001 0000 0009 0a 0f 0000 000a 02 0002", true },
	{ "access write coils, address 9, value 1", "0001 0000 0009 0a 0f 0000 000a 02 0002", false },
	{ "access write holding, address 500, value >200", "0001 0000 0006 0a 06 01f3 00c9", true },
	{ "access write holding, address 500, value >201", "0001 0000 0006 0a 06 01f3 00c9", false },
	{ "access write holding, address 2, value 4<>6", "0001 0000 000b 0a 10 0000 0002 04 0004 0005", true },
	{ "access write holding, address 3, value 4<>6", "0001 0000 000b 0a 10 0000 0002 04 0004 0005", false },
	{ "access write holding, address 3", "0001 0000 0008 0a 16 0002 0000 0001", true },
	{ "access write holding, address 3", "0001 0000 000d 0a 17 0008 0001 0002 0001 02 0007", true },
	{ "access read holding, address 9", "0001 0000 000d 0a 17 0008 0001 0002 0001 02 0007", true },
	{ "access write holding, address 9", "0001 0000 000d 0a 17 0008 0001 0002 0001 02 0007", false },
	{ "access write holding, address 3, value 7", "0001 0000 000d 0a 17 0008 0001 0002 0001 02 0007", true },
};

#endif
