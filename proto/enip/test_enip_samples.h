/* CIP messages by service: request, response, and what the event must hold. Made by hand from the specifications. */
#ifndef MR_PROTO_ENIP_SAMPLES_H
#define MR_PROTO_ENIP_SAMPLES_H

#include <stdint.h>

#include "proto/enip/enip.h"

#define EVENT(name) (UINT64_C(1) << ENIP_EVENT_##name)

struct sample {
	const char *request;
	const char *response;
	uint64_t events;
	const char *expect[8];
};

static const struct sample samples[] = {
	/* attributes */
	{ "0e03 20012401 3007", "8e00 0000 05 5465737431", 0,
		{ "\"service\":\"Get Attributes Single\",\"service_code\":14", "\"class_name\":\"Identity\",\"class_id\":1",
			"\"path\":[{\"segment_type\":\"class\",\"value\":1},{\"segment_type\":\"instance\",\"value\":1},"
			"{\"segment_type\":\"attribute\",\"value\":7}]",
			"\"name\":\"product_name\",\"type\":\"SHORT_STRING\",\"value\":\"Test1\"", "\"status\":\"Success\"" } },
	{ "0e03 20012401 3004", "8e00 0000 0403", 0, { "\"name\":\"revision\",\"value\":\"4.3\"" } },
	{ "0e03 20f62401 3003", "8e00 0000 001d9cc01122", 0,
		{ "\"name\":\"physical_address\",\"value\":\"00:1d:9c:c0:11:22\"" } },
	{ "0e03 20f52401 3005", "8e00 0000 0a01a8c0 00ffffff 0101a8c0 00000000 00000000 0300 6c616200", 0,
		{ "\"name\":\"ip_address\",\"value\":\"192.168.1.10\"", "\"name\":\"network_mask\",\"value\":\"255.255.255.0\"",
			"\"name\":\"domain_name\",\"value\":\"lab\"" } },
	{ "0e03 20f52401 3004", "8e00 0000 0200 20f62401", 0, { "\"name\":\"physical_link_object\",\"value\":\"20f62401\"" } },
	{ "0e03 20012400 3002", "8e00 0000 0100", 0, { "\"name\":\"max_instance\",\"type\":\"UINT\",\"value\":1" } },
	{ "0e03 20042464 3003", "8e00 0000 deadbeef", 0, { "\"name\":\"data\",\"value\":\"deadbeef\"" } },
	{ "0e03 20772401 3003", "8e00 0000 dead", 0, { "\"class_name\":\"unknown-119\"", "\"attribute_id\":3,\"value\":\"dead\"" } },
	{ "1003 202a2401 3008 2c01", "9000 0000", 0, { "\"name\":\"speed_reference\",\"type\":\"INT\",\"value\":300" } },
	{ "0102 20012401", "8100 0000 0100 0e00 3600 1403 3000 78563412 04 504c4331", 0,
		{ "\"name\":\"vendor_id\",\"type\":\"UINT\",\"value\":1", "\"name\":\"serial_number\",\"type\":\"UDINT\",\"value\":305419896",
			"\"value\":\"20.3\"", "\"value\":\"PLC1\"" } },
	{ "0102 20062401", "8100 0000 0100 0200", 0, { "\"name\":\"open_requests\"" } },
	{ "0302 20012401 0300 0100 0600 6300", "8300 0000 0300 0100 0000 0100 0600 0000 78563412 6300 1400", 0,
		{ "\"attribute_list\":[1,6,99]", "\"attribute_id\":99,\"status\":\"Attribute Not Supported\"" } },
	{ "0402 20f52401 0100 0800 05", "8400 0000 0100 0800 0000", 0,
		{ "\"attribute_list\":[8]", "\"name\":\"ttl_value\",\"type\":\"USINT\",\"value\":5", "\"attribute_id\":8,\"status\":\"Success\"" } },
	/* other general services */
	{ "0502 20012401 00", "8500 0000", 0, { "\"service\":\"Reset\"", "\"data\":\"00\"" } },
	{ "0702 206b2401", "8700 0800", 0, { "\"service\":\"Stop\"", "\"status\":\"Service Not Supported\",\"status_code\":8" } },
	{ "5502 20722401 00", "d500 0000", 0, { "\"service\":\"unknown-85\"" } },
	/* paths */
	{ "0e05 2100 7200 2500 0002 3003", "8e00 0000 01", 0, { "\"class_id\":114,\"instance_id\":512", "\"value\":\"01\"" } },
	{ "0e06 2600 01000000 2100 0600 3001", "8e00 0000 0100", 0, { "\"class_id\":6,\"instance_id\":1", "open_requests" } },
	{ "0e04 20042466 2c01 3901", "8e00 0000", EVENT(INVALID_PATH), { "\"segment_type\":\"connection_point\",\"value\":1" } },
	{ "0e03 20042464 3003", "8e00", EVENT(INVALID_PDU), { "\"instance_id\":100" } },
	{ "0e03 20012401 3006", "8e00 0000 0102", EVENT(INVALID_SERVICE_DATA), { "\"data\":\"0102\"" } },
	/* tags */
	{ "4c05 9106 4d6f746f7231 2803 0100", "cc00 0000 c400 2a000000", 0,
		{ "\"class_service\":\"Read Tag\"", "\"tag\":\"Motor1[3]\",\"elements\":1", "\"type\":\"DINT\",\"value\":42" } },
	{ "4c04 9105 5370656564 00 0300", "cc00 0000 ca00 0000c03f 000000c0 cdcccc3d", 0,
		{ "\"tag\":\"Speed\"", "\"type\":\"REAL\",\"value\":[1.5,-2.0,0.1]" } },
	{ "4c0e 910c 50726f6772616d3a4d61696e 9105 5370656564 00 2801 9102 5056 0100", "cc00 0000 c300 ffff", 0,
		{ "\"tag\":\"Program:Main.Speed[1].PV\"", "\"type\":\"INT\",\"value\":-1" } },
	{ "4c03 9104 4d736731 0100", "cc00 0000 a002 ce0f 02000000 4f4b 0000", 0,
		{ "\"type\":\"STRUCT\",\"structure\":4046,\"value\":\"OK\"" } },
	{ "4d03 9104 466c6167 c100 0100 01", "cd00 0000", 0, { "\"service\":\"Write Data\"", "\"type\":\"BOOL\",\"value\":true" } },
	{ "4d03 9104 52656369 c300 0300 0100 feff 0300", "cd00 0000", 0, { "\"elements\":3", "\"value\":[1,-2,3]" } },
	{ "4d03 9104 52656369 a002 3412 0100 01020304", "cd00 0000", 0, { "\"structure\":4660,\"value\":\"01020304\"" } },
	{ "4e03 9104 52656369 0200 0100 feff", "ce00 0000", 0,
		{ "\"class_service\":\"Read Modify Write Tag\"", "\"name\":\"or_mask\",\"value\":1", "\"name\":\"and_mask\",\"value\":65534" } },
	{ "5203 9104 41727279 0a00 10000000", "d200 0600 c300 0100 0200", 0,
		{ "\"elements\":10,\"offset\":16", "\"status\":\"Partial Transfer\"", "\"value\":[1,2]" } },
	{ "5303 9104 41727279 c300 0a00 10000000 0100 0200", "d300 0000", 0, { "\"offset\":16", "\"value\":[1,2]" } },
	{ "5503 206b 2500 0000 0200 0100 0200", "d500 0600 05000000 0300 546167 c400 09000000 0200 4142 c300", 0,
		{ "\"name\":\"instance_id\",\"value\":5", "\"name\":\"symbol_name\",\"type\":\"STRING\",\"value\":\"Tag\"",
			"\"value\":\"AB\"" } },
	{ "5503 206b 2500 0000 0500 0200 0700 0800 0a00 0100",
		"d500 0600 77000000 c100 0100 000000000000000000000000 03 0300 546167 8e010000 c300 0200 000000000000000000000000 00 0100 42", 0,
		{ "\"name\":\"external_access\",\"type\":\"USINT\",\"value\":3}", "\"name\":\"symbol_name\",\"type\":\"STRING\",\"value\":\"Tag\"}",
			"\"name\":\"instance_id\",\"value\":398}", "\"value\":\"B\"}" } },
	{ "5503 206b 2500 0000 0200 0800 0200", "d500 0000 05000000 03000000 02000000 00000000 c400", 0,
		{ "\"name\":\"array_dimensions\",\"type\":\"UDINT\",\"value\":[3,2,0]", "\"name\":\"symbol_type\",\"type\":\"UINT\",\"value\":196" } },
	{ "0e04 206b 2500 0500 3008", "8e00 0000 03000000 02000000 00000000", 0, { "[3,2,0]" } },
	{ "4c03 206c 2500 8a05 00000000 2000", "cc00 0000 01020304", 0, { "\"class_service\":\"Read Template\"", "\"data\":\"01020304\"" } },
	/* inside others */
	{ "0a02 20022401 0200 0600 0e00 0e03 20012401 3001 0e03 20012401 3007",
		"8a00 0000 0200 0600 0c00 8e00 0000 0100 8e00 0000 02 4142", 0,
		{ "\"service\":\"Multiple Service Packet\"", "\"multiple\":[{", "\"value\":1", "\"value\":\"AB\"" } },
	{ "0a02 20022401 0200 0600 ff00 0e03 20012401 3001", "8a00 0000 0200 0600 0c00 8e00 0000 0100",
		EVENT(INVALID_MULTIPLE), { "\"multiple\":" } },
	{ "5202 20062401 0a 0e 0800 0e03 20012401 3007 01 00 0100", "8e00 0000 02 4142", 0,
		{ "\"class_service\":\"Unconnected Send\"", "\"embedded\":{", "\"timeout_ms\":14336",
			"\"route_path\":[{\"segment_type\":\"port\",\"value\":1,\"link\":\"00\"}]", "\"value\":\"AB\"" } },
	{ "5202 20062401 0a 0e 1c00 0a02 20022401 0200 0600 0e00 0e03 20012401 3001 0e03 20012401 3007 01 00 0100",
		"d200 0101 0402", 0,
		{ "\"embedded\":{\"service\":\"Multiple Service Packet\"", "\"status_extended_meaning\":\"Unconnected request timed out\"" } },
	/* rarer segments of a path, CIP C-1.4 */
	{ "0e04 20042401 3c01 0500", "8e00 0000", 0,
		{ "{\"segment_type\":\"extended_logical\",\"extended_type\":\"array_index\",\"value\":5}]" } },
	{ "0e05 20042401 3d03 0605 3001", "8e00 0800", 0, { "\"extended_type\":\"bit_index\",\"value\":1286}" } },
	{ "0e06 20042401 3e05 08070605 3001", "8e00 0800", 0,
		{ "\"extended_type\":\"structure_member_number\",\"value\":84281096},{\"segment_type\":\"attribute\",\"value\":1}]" } },
	{ "0e03 60c60500 3001", "8e00 0800", 0, { "\"path\":[{\"segment_type\":\"symbol\",\"value\":5},{\"segment_type\":\"attribute\"" } },
	{ "0e03 60c70501 3001", "8e00 0800", 0, { "[{\"segment_type\":\"symbol\",\"value\":261},{\"segment_type\":\"attribute\"" } },
	{ "0e04 60c805010000 3001", "8e00 0800", 0, { "[{\"segment_type\":\"symbol\",\"value\":261},{\"segment_type\":\"attribute\"" } },
	{ "0e04 602200410042 3001", "8e00 0800", 0, { "[{\"segment_type\":\"symbol\",\"data\":\"00410042\"},{\"segment_type\":\"attribute\"" } },
	{ "0e04 604101020300 3001", "8e00 0800", 0, { "[{\"segment_type\":\"symbol\",\"data\":\"010203\"},{\"segment_type\":\"attribute\"" } },
	{ "0e02 60600500", "8e00 0800", EVENT(INVALID_PATH), { "\"service_code\":14" } },
	{ "0e09 3405 01000e003700140b78563412 2001 2401", "8e00 0800", 0,
		{ "[{\"segment_type\":\"electronic_key\",\"data\":\"01000e003700140b78563412\"},{\"segment_type\":\"class\"" } },
	/* extended status: the connection manager's by its first word, others' by no name */
	{ "5202 20062401 0a 0e 0800 0e03 20012401 3007 01 00 0100", "d200 0102 0901 f401", 0,
		{ "\"status_extended\":\"0901f401\",\"status_extended_meaning\":\"Invalid connection size\"" } },
	{ "0502 20012401", "8500 0201 0001", 0, { "\"status\":\"Resource Unavailable\",\"status_code\":2,\"status_extended\":\"0001\"}" } },
	/* PCCC */
	{ "4b02 20672401 07 4d00 78563412 0f 00 0200 ab 02 03 85 ff0001 00 0f00 0500", "cb00 0000 07 4d00 78563412 4f 00 0200", 0,
		{ "\"address\":\"B3:256\"", "\"sub_element\":0,\"mask\":15,\"values\":[5]" } },
	{ "4b02 20672401 07 4d00 78563412 0f 00 0100 a2 04 07 89 00 00", "cb00 0000 07 4d00 78563412 4f 00 0100 0500 faff", 0,
		{ "\"class_service\":\"Execute PCCC\"", "\"function_name\":\"Protected Typed Logical Read, Three Address Fields\"",
			"\"address\":\"N7:0\"", "\"file_type\":\"Integer\"", "\"values\":[5,-6]" } },
	{ "4b02 20672401 07 4d00 78563412 0f 00 0200 aa 04 08 8a 02 00 0000c03f", "cb00 0000 07 4d00 78563412 4f 00 0200", 0,
		{ "\"address\":\"F8:2\"", "\"values\":[1.5]" } },
	{ "4b02 20672401 07 4d00 78563412 0f 00 0200 80 06", "cb00 0000 07 4d00 78563412 4f 00 0200", 0,
		{ "\"function_name\":\"Change Mode\"", "\"cpu_mode\":6,\"cpu_mode_name\":\"run\"" } },
	{ "4b02 20672401 07 4d00 78563412 0f 00 0200 3a 02", "cb00 0000 07 4d00 78563412 4f 00 0200", 0, { "\"cpu_mode\":2,\"data\"" } },
	{ "4b02 20672401 07 4d00 78563412 06 00 0300 03", "cb00 0000 07 4d00 78563412 46 f0 0300 0b", 0,
		{ "\"function_name\":\"Diagnostic Status\"", "\"status\":240,\"extended_status\":11" } },
};

/* Rule keywords, and how many of test_keyword()'s six messages each matches. */
static const struct {
	const char *name;
	const char *value;
	unsigned int hits;
} keyword_cases[] = {
	{ "enip_command", "111", 4 }, { "enip_command", "send_r_r_data", 4 }, { "enip_command", "!111", 2 },
	{ "enip_command", "<=99", 2 }, { "enip_command", "98-100", 2 }, { "enip_command", "&0x0f=0x0f", 4 },
	{ "enip.status", "0", 6 }, { "enip.status", "success", 6 }, { "enip.status", ">0", 0 },
	{ "cip_service", "14", 2 }, { "cip_service", "14,1", 1 }, { "cip_service", "14, 1, 7", 1 },
	{ "cip_service", "14,1,!7", 1 }, { "cip_service", "14,2", 0 }, { "cip_service", "3", 2 },
	{ "enip.cip_class", "1", 3 }, { "enip.cip_instance", "1", 4 }, { "enip.cip_attribute", "7", 2 },
	{ "enip.cip_attribute", "2", 2 }, { "enip.cip_status", "0", 1 }, { "enip.cip_status", "8", 1 },
	{ "enip.cip_extendedstatus", "0x107", 1 }, { "enip.vendor_id", "1", 1 }, { "enip.device_type", "12", 1 },
	{ "enip.product_code", "58", 1 }, { "enip.revision", "0x403", 1 }, { "enip.identity_status", "0x30", 1 },
	{ "enip.serial", "0x524D8E", 1 }, { "enip.state", "3", 1 }, { "enip.capabilities", "1", 0 },
	{ "enip.protocol_version", "1", 1 },
};

#endif
