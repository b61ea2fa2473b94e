/*
 * Attributes of the classes met in the field: data type and name (CIP 5, EIP 5, PM020). The
 * names are the specification's, in snake_case. To decode another attribute is one row.
 */
#include "proto/enip/enip.h"

enum {
	BOOL = 0xc1, SINT, INT, DINT, LINT, USINT, UINT, UDINT, ULINT, REAL,
	STRING = 0xd0, BYTE, WORD, DWORD, SHORT_STRING = 0xda,
	REST = ENIP_TYPE_REST,
};

/* Rows ascend by class and attribute. Class 0 stands for the attributes that every class itself has (CIP 4-4.1). */
static const struct enip_attribute attributes[] = {
	{ 0x00, 1, UINT, "revision" },
	{ 0x00, 2, UINT, "max_instance" },
	{ 0x00, 3, UINT, "number_of_instances" },
	{ 0x00, 4, REST, "optional_attribute_list" },
	{ 0x00, 5, REST, "optional_service_list" },
	{ 0x00, 6, UINT, "max_class_attribute" },
	{ 0x00, 7, UINT, "max_instance_attribute" },
	{ 0x01, 1, UINT, "vendor_id" },
	{ 0x01, 2, UINT, "device_type" },
	{ 0x01, 3, UINT, "product_code" },
	{ 0x01, 4, ENIP_TYPE_REVISION, "revision" },
	{ 0x01, 5, WORD, "status" },
	{ 0x01, 6, UDINT, "serial_number" },
	{ 0x01, 7, SHORT_STRING, "product_name" },
	{ 0x01, 8, USINT, "state" },
	{ 0x01, 9, UINT, "configuration_consistency_value" },
	{ 0x01, 10, USINT, "heartbeat_interval" },
	{ 0x01, 19, UINT, "protection_mode" },
	{ 0x02, 1, REST, "object_list" },
	{ 0x02, 2, UINT, "number_available" },
	{ 0x02, 3, UINT, "number_active" },
	{ 0x02, 4, REST, "active_connections" },
	{ 0x04, 1, UINT, "number_of_members" },
	{ 0x04, 2, REST, "member_list" },
	{ 0x04, 3, REST, "data" },
	{ 0x04, 4, UINT, "size" },
	{ 0x05, 1, USINT, "state" },
	{ 0x05, 2, USINT, "instance_type" },
	{ 0x05, 3, BYTE, "transport_class_trigger" },
	{ 0x05, 7, UINT, "produced_connection_size" },
	{ 0x05, 8, UINT, "consumed_connection_size" },
	{ 0x05, 9, UINT, "expected_packet_rate" },
	{ 0x05, 12, USINT, "watchdog_timeout_action" },
	{ 0x06, 1, UINT, "open_requests" },
	{ 0x06, 2, UINT, "open_format_rejects" },
	{ 0x06, 3, UINT, "open_resource_rejects" },
	{ 0x06, 4, UINT, "open_other_rejects" },
	{ 0x06, 5, UINT, "close_requests" },
	{ 0x06, 6, UINT, "close_format_rejects" },
	{ 0x06, 7, UINT, "close_other_rejects" },
	{ 0x06, 8, UINT, "connection_timeouts" },
	{ 0x08, 3, BOOL, "value" },
	{ 0x08, 4, BOOL, "status" },
	{ 0x09, 3, BOOL, "value" },
	{ 0x09, 4, BOOL, "status" },
	{ 0x09, 5, BOOL, "fault_action" },
	{ 0x09, 6, BOOL, "fault_value" },
	{ 0x0a, 3, INT, "value" },
	{ 0x0a, 4, BOOL, "status" },
	{ 0x0b, 3, INT, "value" },
	{ 0x0b, 4, BOOL, "status" },
	{ 0x0f, 1, REST, "parameter_value" },
	{ 0x0f, 2, USINT, "link_path_size" },
	{ 0x0f, 4, WORD, "descriptor" },
	{ 0x0f, 5, USINT, "data_type" },
	{ 0x0f, 6, USINT, "data_size" },
	{ 0x0f, 7, SHORT_STRING, "parameter_name" },
	{ 0x0f, 8, SHORT_STRING, "units" },
	{ 0x0f, 9, SHORT_STRING, "help" },
	{ 0x29, 3, BOOL, "run1" },
	{ 0x29, 4, BOOL, "run2" },
	{ 0x29, 5, BOOL, "net_control" },
	{ 0x29, 6, USINT, "state" },
	{ 0x29, 7, BOOL, "running1" },
	{ 0x29, 8, BOOL, "running2" },
	{ 0x29, 9, BOOL, "ready" },
	{ 0x29, 10, BOOL, "faulted" },
	{ 0x29, 11, BOOL, "warning" },
	{ 0x29, 12, BOOL, "fault_reset" },
	{ 0x29, 13, UINT, "fault_code" },
	{ 0x2a, 3, BOOL, "at_reference" },
	{ 0x2a, 4, BOOL, "net_reference" },
	{ 0x2a, 6, USINT, "drive_mode" },
	{ 0x2a, 7, INT, "speed_actual" },
	{ 0x2a, 8, INT, "speed_reference" },
	{ 0x2a, 9, INT, "current_actual" },
	{ 0x2a, 10, INT, "current_limit" },
	{ 0x2a, 11, INT, "torque_actual" },
	{ 0x2a, 12, INT, "torque_reference" },
	{ 0x37, 1, USINT, "state" },
	{ 0x37, 2, REST, "instance_name" },
	{ 0x37, 3, UINT, "instance_format_version" },
	{ 0x37, 4, REST, "file_name" },
	{ 0x37, 5, ENIP_TYPE_REVISION, "file_revision" },
	{ 0x37, 6, UDINT, "file_size" },
	{ 0x37, 7, UINT, "file_checksum" },
	{ 0x37, 8, USINT, "invocation_method" },
	{ 0x39, 11, USINT, "device_status" },
	{ 0x39, 12, BYTE, "exception_status" },
	{ 0x39, 15, BOOL, "alarm_enable" },
	{ 0x39, 16, BOOL, "warning_enable" },
	{ 0x43, 1, BOOL, "ptp_enable" },
	{ 0x43, 2, BOOL, "is_synchronized" },
	{ 0x43, 3, ULINT, "system_time_us" },
	{ 0x43, 4, ULINT, "system_time_ns" },
	{ 0x43, 5, LINT, "offset_from_master" },
	{ 0x43, 6, ULINT, "max_offset_from_master" },
	{ 0x47, 1, USINT, "network_topology" },
	{ 0x47, 2, USINT, "network_status" },
	{ 0x47, 3, USINT, "ring_supervisor_status" },
	{ 0x47, 4, REST, "ring_supervisor_config" },
	{ 0x47, 5, UINT, "ring_faults_count" },
	{ 0x48, 1, USINT, "q_tag_enable" },
	{ 0x48, 2, USINT, "dscp_ptp_event" },
	{ 0x48, 3, USINT, "dscp_ptp_general" },
	{ 0x48, 4, USINT, "dscp_urgent" },
	{ 0x48, 5, USINT, "dscp_scheduled" },
	{ 0x48, 6, USINT, "dscp_high" },
	{ 0x48, 7, USINT, "dscp_low" },
	{ 0x48, 8, USINT, "dscp_explicit" },
	{ 0x5d, 1, USINT, "state" },
	{ 0x5d, 2, WORD, "security_profiles" },
	{ 0x5d, 3, WORD, "security_profiles_configured" },
	{ 0x5e, 1, USINT, "state" },
	{ 0x5e, 2, DWORD, "capability_flags" },
	{ 0x6b, 1, STRING, "symbol_name" },
	{ 0x6b, 2, UINT, "symbol_type" },
	{ 0x6b, 3, UDINT, "symbol_address" },
	{ 0x6b, 5, UDINT, "symbol_object_address" },
	{ 0x6b, 6, UDINT, "software_control" },
	{ 0x6b, 7, UINT, "element_size" },
	{ 0x6b, 8, ENIP_TYPE_DIMENSIONS, "array_dimensions" },
	{ 0x6b, 10, USINT, "external_access" },
	{ 0x6c, 1, UINT, "structure_handle" },
	{ 0x6c, 2, UINT, "member_count" },
	{ 0x6c, 4, UDINT, "definition_size" },
	{ 0x6c, 5, UDINT, "structure_size" },
	{ 0x8b, 6, ULINT, "wall_clock_utc_us" },
	{ 0x8b, 11, ULINT, "wall_clock_local_us" },
	{ 0xf4, 1, UINT, "port_type" },
	{ 0xf4, 2, UINT, "port_number" },
	{ 0xf4, 3, ENIP_TYPE_PATH, "link_object" },
	{ 0xf4, 4, SHORT_STRING, "port_name" },
	{ 0xf4, 5, SHORT_STRING, "port_type_name" },
	{ 0xf4, 6, SHORT_STRING, "port_description" },
	{ 0xf4, 7, REST, "node_address" },
	{ 0xf5, 1, DWORD, "status" },
	{ 0xf5, 2, DWORD, "configuration_capability" },
	{ 0xf5, 3, DWORD, "configuration_control" },
	{ 0xf5, 4, ENIP_TYPE_PATH, "physical_link_object" },
	{ 0xf5, 5, ENIP_TYPE_INTERFACE, "interface_configuration" },
	{ 0xf5, 6, STRING, "host_name" },
	{ 0xf5, 7, REST, "safety_network_number" },
	{ 0xf5, 8, USINT, "ttl_value" },
	{ 0xf5, 9, REST, "mcast_config" },
	{ 0xf5, 10, BOOL, "select_acd" },
	{ 0xf5, 11, REST, "last_conflict_detected" },
	{ 0xf5, 12, BOOL, "quickconnect" },
	{ 0xf5, 13, UINT, "encapsulation_inactivity_timeout" },
	{ 0xf6, 1, UDINT, "interface_speed" },
	{ 0xf6, 2, DWORD, "interface_flags" },
	{ 0xf6, 3, ENIP_TYPE_MAC, "physical_address" },
	{ 0xf6, 4, REST, "interface_counters" },
	{ 0xf6, 5, REST, "media_counters" },
	{ 0xf6, 6, ENIP_TYPE_BYTES4, "interface_control" },
	{ 0xf6, 7, USINT, "interface_type" },
	{ 0xf6, 8, USINT, "interface_state" },
	{ 0xf6, 9, USINT, "admin_state" },
	{ 0xf6, 10, SHORT_STRING, "interface_label" },
};

enum { ATTRIBUTE_COUNT = sizeof(attributes) / sizeof(attributes[0]) };

/* Get Attributes All: how far a class's answer is made of the attributes in their order. */
static const struct {
	uint16_t class_id;
	uint16_t last_attribute;
} all_of[] = {
	{ 0x00, 2 }, /* what follows differs between classes */
	{ 0x01, 7 },
	{ 0x06, 8 },
	{ 0xf5, 6 },
	{ 0xf6, 3 },
};

/* The first row at or behind a place. */
static unsigned int
seek(uint32_t place)
{
	unsigned int low = 0, high = ATTRIBUTE_COUNT;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (((uint32_t)attributes[middle].class_id << 16 | attributes[middle].attribute_id) < place)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct enip_attribute *
enip_attribute_find(uint32_t class_id, bool instance, uint32_t attribute_id)
{
	uint32_t place;
	unsigned int at;

	if (class_id > UINT16_MAX || attribute_id > UINT16_MAX || (instance && class_id == 0))
		return NULL;
	if (!instance)
		class_id = 0;
	place = class_id << 16 | attribute_id;
	at = seek(place);
	return at < ATTRIBUTE_COUNT && attributes[at].class_id == class_id && attributes[at].attribute_id == attribute_id
		? &attributes[at]
		: NULL;
}

unsigned int
enip_attributes_all(uint32_t class_id, const struct enip_attribute **first)
{
	for (unsigned int i = 0; i < sizeof(all_of) / sizeof(all_of[0]); i++) {
		unsigned int at;

		if (all_of[i].class_id != class_id)
			continue;
		at = seek(class_id << 16);
		*first = &attributes[at];
		return seek((class_id << 16) + all_of[i].last_attribute + 1u) - at;
	}
	*first = NULL;
	return 0;
}
