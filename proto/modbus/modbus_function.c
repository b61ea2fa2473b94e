/* What each function code is: its bodies, their lengths, what it touches, how it may fail. */
#include "proto/modbus/modbus.h"

#define FIXED(n) { MODBUS_SHAPE_FIXED, (n) }
#define BYTES(at) { MODBUS_SHAPE_BYTES, (at) }
#define WORDS(at) { MODBUS_SHAPE_WORDS, (at) }
#define OF_KIND(kind) { (kind), 0 }

/* Exception codes a function's state diagram names (V1.1b3 6), as bits code-1. 05, 06, 07, 0A and 0B belong to
 * no function: acknowledge, busy and gateways may answer any (V1.1b3 7). */
enum {
	ANSWERS_ANY = 1 << 0 | 1 << 3,                 /* 01, 04 */
	ANSWERS_VALUE = ANSWERS_ANY | 1 << 2,          /* and 03 */
	ANSWERS_ADDRESS = ANSWERS_VALUE | 1 << 1,      /* and 02 */
	ANSWERS_FILE = ANSWERS_ADDRESS | 1 << 7,       /* and 08 */
	ANSWERS_ALL = 0xff,
};

#define PUBLIC .category = MODBUS_PUBLIC_ASSIGNED
#define OPAQUE(kind) .read_request = modbus_read_opaque, .read_response = modbus_read_opaque, .category = (kind), \
	.exceptions = ANSWERS_ALL

/* The ranges first, the functions that have a meaning after them: V1.1b3 5.1 and annex A. */
const struct modbus_function modbus_functions[MODBUS_FUNCTION_COUNT] = {
	[0] = { OPAQUE(0) }, /* not valid (V1.1b3 4.1) */
	[9] = { OPAQUE(MODBUS_RESERVED) },
	[10] = { OPAQUE(MODBUS_RESERVED) },
	[13] = { OPAQUE(MODBUS_RESERVED) },
	[14] = { OPAQUE(MODBUS_RESERVED) },
	[18 ... 19] = { OPAQUE(MODBUS_PUBLIC_UNASSIGNED) },
	[25 ... 40] = { OPAQUE(MODBUS_PUBLIC_UNASSIGNED) },
	[41 ... 42] = { OPAQUE(MODBUS_RESERVED) },
	[44 ... 64] = { OPAQUE(MODBUS_PUBLIC_UNASSIGNED) },
	[65 ... 72] = { OPAQUE(MODBUS_USER_DEFINED) },
	[73 ... 89] = { OPAQUE(MODBUS_PUBLIC_UNASSIGNED) },
	[90 ... 91] = { OPAQUE(MODBUS_RESERVED) },
	[92 ... 99] = { OPAQUE(MODBUS_PUBLIC_UNASSIGNED) },
	[100 ... 110] = { OPAQUE(MODBUS_USER_DEFINED) },
	[111 ... 124] = { OPAQUE(MODBUS_PUBLIC_UNASSIGNED) },
	[125 ... 127] = { OPAQUE(MODBUS_RESERVED) },

	[1] = { modbus_request_read, modbus_response_read, FIXED(4), BYTES(0), 2000,
		MODBUS_READ | MODBUS_COILS, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[2] = { modbus_request_read, modbus_response_read, FIXED(4), BYTES(0), 2000,
		MODBUS_READ | MODBUS_DISCRETES, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[3] = { modbus_request_read, modbus_response_read, FIXED(4), WORDS(0), 125,
		MODBUS_READ | MODBUS_HOLDING, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[4] = { modbus_request_read, modbus_response_read, FIXED(4), WORDS(0), 125,
		MODBUS_READ | MODBUS_INPUT, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[5] = { modbus_request_write_single, modbus_response_write, FIXED(4), FIXED(4), 1,
		MODBUS_WRITE | MODBUS_COILS | MODBUS_SINGLE, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[6] = { modbus_request_write_single, modbus_response_write, FIXED(4), FIXED(4), 1,
		MODBUS_WRITE | MODBUS_HOLDING | MODBUS_SINGLE, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[7] = { modbus_read_nothing, modbus_response_exception_status, FIXED(0), FIXED(1),
		PUBLIC, .exceptions = ANSWERS_ANY },
	[8] = { modbus_read_diagnostic, modbus_read_diagnostic, FIXED(4), FIXED(4),
		PUBLIC, .exceptions = ANSWERS_VALUE },
	[11] = { modbus_read_nothing, modbus_response_event_counter, FIXED(0), FIXED(4),
		PUBLIC, .exceptions = ANSWERS_ANY },
	[12] = { modbus_read_nothing, modbus_response_event_log, FIXED(0), BYTES(0),
		PUBLIC, .exceptions = ANSWERS_ANY },
	[15] = { modbus_request_write_multiple, modbus_response_write, BYTES(4), FIXED(4), 1968,
		MODBUS_WRITE | MODBUS_COILS | MODBUS_MULTIPLE, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[16] = { modbus_request_write_multiple, modbus_response_write, WORDS(4), FIXED(4), 123,
		MODBUS_WRITE | MODBUS_HOLDING | MODBUS_MULTIPLE, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[17] = { modbus_read_nothing, modbus_response_server_id, FIXED(0), BYTES(0),
		PUBLIC, .exceptions = ANSWERS_ANY },
	[20] = { modbus_request_read_file, modbus_response_read_file, BYTES(0), BYTES(0),
		PUBLIC, .exceptions = ANSWERS_FILE },
	[21] = { modbus_read_file_data, modbus_read_file_data, BYTES(0), BYTES(0),
		PUBLIC, .exceptions = ANSWERS_FILE },
	[22] = { modbus_read_mask_write, modbus_read_mask_write, FIXED(6), FIXED(6), 1,
		MODBUS_WRITE | MODBUS_HOLDING, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[23] = { modbus_request_read_write, modbus_response_read, WORDS(8), WORDS(0), 125,
		MODBUS_READ | MODBUS_WRITE | MODBUS_HOLDING | MODBUS_MULTIPLE, PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[24] = { modbus_request_fifo, modbus_response_fifo, FIXED(2), OF_KIND(MODBUS_SHAPE_QUEUE), 31,
		PUBLIC, .exceptions = ANSWERS_ADDRESS },
	[43] = { modbus_request_mei, modbus_response_mei, OF_KIND(MODBUS_SHAPE_MEI_REQUEST),
		OF_KIND(MODBUS_SHAPE_MEI_RESPONSE), PUBLIC, .exceptions = ANSWERS_ADDRESS },
};

static enum modbus_fit
fits(bool yes)
{
	return yes ? MODBUS_FIT_YES : MODBUS_FIT_NO;
}

/* V1.1b3 6.21: read device identification is 3 bytes one way, 6 and the objects the other. CANopen (6.20) is
 * free in its length, so it fits either way and decides nothing. */
static enum modbus_fit
mei_fit(struct cursor body, size_t body_len, bool request)
{
	uint8_t mei_type = cursor_u8(&body);

	if (body.short_read)
		return body_len == 0 ? MODBUS_FIT_NO : MODBUS_FIT_MORE;
	if (mei_type == MODBUS_MEI_DEVICE_ID)
		return fits(request ? body_len == 3 : body_len >= 6);
	return fits(mei_type == MODBUS_MEI_CANOPEN);
}

enum modbus_fit
modbus_shape_fit(struct modbus_shape shape, struct cursor body, size_t body_len)
{
	size_t count;

	switch ((enum modbus_shape_kind)shape.kind) {
	case MODBUS_SHAPE_FIXED:
		return fits(body_len == shape.len);
	case MODBUS_SHAPE_BYTES:
	case MODBUS_SHAPE_WORDS:
		if (body_len <= shape.len)
			return MODBUS_FIT_NO;
		cursor_skip(&body, shape.len);
		count = cursor_u8(&body);
		if (body.short_read)
			return MODBUS_FIT_MORE;
		return fits(body_len == shape.len + 1 + count &&
			(shape.kind == MODBUS_SHAPE_BYTES || (count > 0 && count % 2 == 0)));
	case MODBUS_SHAPE_QUEUE:
		if (body_len < 2)
			return MODBUS_FIT_NO;
		count = cursor_be16(&body);
		return body.short_read ? MODBUS_FIT_MORE : fits(body_len == 2 + count);
	case MODBUS_SHAPE_MEI_REQUEST:
	case MODBUS_SHAPE_MEI_RESPONSE:
		return mei_fit(body, body_len, shape.kind == MODBUS_SHAPE_MEI_REQUEST);
	default:
		return MODBUS_FIT_YES;
	}
}
