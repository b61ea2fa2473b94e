#include "lib/store/function.h"

#include <assert.h>
#include <string.h>

enum { PATH_LEN_MAX = 64 };

#define CIP_COMMANDS 0x100 /* CIP services have seven bits: the encapsulation's commands stand above */
#define U_FUNCTIONS 0x100  /* type identifications have eight */

/* Both messages of a request that is answered, as MQTT has them: by their types, MQTT 3.1.1 2.2.1. */
#define MQTT(key, type, is_response) { .code = "mqtt." key, .fixed = type, .response = is_response }

const struct store_function store_functions[] = {
	{ .code = "modbus.request.function_raw", .name = "modbus.request.function_code" },
	/* The high bit of an exception is taken off: it answers that function. */
	{ .code = "modbus.response.function_raw", .name = "modbus.response.function_code", .mask = 0x7f, .response = true },
	/* IEEE 1815 4.2.2.5: the code says which way a message goes. */
	{ .code = "dnp3.application.function_code", .name = "dnp3.application.function_name", .responses = { { 128, 255 } } },
	{ .code = "s7comm.function_code", .name = "s7comm.function_name" },
	{ .code = "s7comm.response.function_code", .name = "s7comm.response.function_name", .response = true },
	{ .code = "s7comm_plus.function_code", .name = "s7comm_plus.function_name" },
	{ .code = "s7comm_plus.response.opcode", .name = "s7comm_plus.response.opcode_name", .response = true },
	{ .code = "enip.request.command_code", .name = "enip.request.command", .base = CIP_COMMANDS },
	{ .code = "enip.request.cip.service_code", .name = "enip.request.cip.service" },
	{ .code = "enip.response.command_code", .name = "enip.response.command", .base = CIP_COMMANDS, .response = true },
	{ .code = "enip.response.cip.service_code", .name = "enip.response.cip.service", .response = true },
	/* IEC 60870-5-101 7.2.1.1: process information in monitor direction, and the end of initialisation. */
	{ .code = "iec104.type_id_code", .name = "iec104.type_id", .responses = { { 1, 44 }, { 70, 70 } } },
	/* IEC 60870-5-104 5.1: confirmations of start, stop and test. */
	{ .code = "iec104.u_function_code", .name = "iec104.u_function", .base = U_FUNCTIONS,
		.responses = { { 8, 8 }, { 32, 32 }, { 128, 128 } } },
	MQTT("connect", 1, false),
	MQTT("connack", 2, true),
	MQTT("publish", 3, false),
	MQTT("puback", 4, true),
	MQTT("pubrec", 5, true),
	MQTT("pubcomp", 7, true),
	MQTT("subscribe", 8, false),
	MQTT("suback", 9, true),
	MQTT("unsubscribe", 10, false),
	MQTT("unsuback", 11, true),
	MQTT("pingreq", 12, false),
	MQTT("pingresp", 13, true),
	MQTT("disconnect", 14, false),
	MQTT("auth", 15, false),
};
const unsigned int store_function_count = sizeof(store_functions) / sizeof(store_functions[0]);
static_assert(sizeof(store_functions) / sizeof(store_functions[0]) <= STORE_FUNCTIONS_MAX, "rows of the scanner's mask");

int32_t
store_function_code(const struct store_function *function, int64_t number, bool *response)
{
	*response = function->response;
	if (function->fixed != 0)
		return function->fixed;
	if (number < 0 || number > STORE_FUNCTION_CODE_MAX)
		return -1;
	for (unsigned int i = 0; i < 3 && function->responses[i].last != 0; i++)
		*response |= number >= function->responses[i].first && number <= function->responses[i].last;
	return (int32_t)(function->mask == 0 ? number : number & function->mask) + function->base;
}

static const json_t *
value_at(const json_t *record, const char *path)
{
	char key[PATH_LEN_MAX];

	while (record != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");

		assert(len < sizeof(key));
		memcpy(key, path, len);
		key[len] = '\0';
		record = json_object_get(record, key);
		path += len + (path[len] == '.');
	}
	return record;
}

const char *
store_function_name(const json_t *record)
{
	const char *names[2] = { NULL, NULL }; /* requests, responses */

	for (unsigned int i = 0; i < store_function_count; i++) {
		const struct store_function *function = &store_functions[i];
		const json_t *value = value_at(record, function->code);
		const char *name;

		if (function->fixed != 0 ? !json_is_object(value) : !json_is_integer(value))
			continue;
		name = function->name == NULL ? strrchr(function->code, '.') + 1 : json_string_value(value_at(record, function->name));
		if (name != NULL)
			names[function->response] = name;
	}
	return names[0] != NULL ? names[0] : names[1];
}
